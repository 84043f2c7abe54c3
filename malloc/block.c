/*
 * block.c - the slow half of malloc: chooses where a block lives, and finds out where it lived.
 *
 * Why     The mapping threshold follows glibc: a mapped block that is freed raises it to its
 *         size, so that a program that cycles through large blocks stops paying for page
 *         faults; unlike glibc the memory kept for it is returned by age (reap.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "block.h"
#include "cache.h"
#include "fork.h"
#include "guard.h"
#include "heap.h"
#include "large.h"
#include "profile.h"
#include "reap.h"
#include "report.h"
#include "slab.h"
#include "span.h"
#include "stats.h"
#include "tune.h"
#include "units.h"

#include <string.h>

#define CHUNK_OVERHEAD 23 /* glibc's, for the same threshold */

static struct lock setup_lock in_data;

static bool setup_locked(void)
{
	if (heap.ready)
		return true;
	if (!tune.read)
		tune_from_environment();
	if (!heap_setup() || !cache_setup())
		return false;
	heap_route(tune_route());
	fork_setup();
	__atomic_store_n(&heap.ready, true, __ATOMIC_RELEASE);
	return true;
}

cold bool block_setup(void)
{
	bool done, first;

	lock_take(&setup_lock);
	first = !heap.ready;
	done = setup_locked();
	lock_give(&setup_lock);
	if (done && first && tune.sample_bytes)
		profile_setup(); /* allocates: it loads the unwinder */
	return done;
}

static inline bool ready(void)
{
	return likely(__atomic_load_n(&heap.ready, __ATOMIC_ACQUIRE)) || block_setup();
}

static void *pop(struct cache *t, unsigned class)
{
	struct magazine *m = magazine_mine(t, class);

	return magazine_count(t, m) ? *--m->top : magazine_refill(m);
}

static void *small_take(unsigned class)
{
	struct cache *t = cache_mine();
	void *block = NULL, *one;

	if (unlikely(tune.hardened))
		block = guard_draw(class);
	else if (t)
		block = pop(t, class);
	else if (slab_take(class, &one, 1))
		block = one;
	if (!block)
		return NULL;
	if (unlikely(!is_marked(block)))
		report_written(block);
	*(uint64_t *)block = 0;
	return block;
}

/* Page runs below the threshold, or when one fits that is there already; else a mapping. */
static void *big_take(size_t bytes, size_t align, enum span_place place, bool *zeroed)
{
	bool map = bytes + CHUNK_OVERHEAD >= tune.mmap_threshold && larges.used < tune.mmap_max;
	size_t pages = pages_for(bytes), align_pages = pages_for(align);
	void *block;

	if (bytes > PTRDIFF_MAX)
		return NULL;
	block = span_take(pages ? pages : 1, align_pages ? align_pages : 1,
			  map ? SPAN_NO_GROWTH : place, zeroed);
	if (!block) {
		*zeroed = true;
		block = large_take(bytes ? bytes : 1, align);
	}
	return block;
}

/* The smallest class whose blocks are aligned and large enough, or CLASS_COUNT. */
static unsigned class_aligned(size_t bytes, size_t align)
{
	unsigned class;

	if (bytes > SMALL_MAX || align > SMALL_MAX)
		return CLASS_COUNT;
	for (class = class_of(bytes); class < CLASS_COUNT; class ++)
		if (class_info[class].bytes % align == 0)
			return class;
	return CLASS_COUNT;
}

static void *place_block(size_t bytes, size_t align, bool *zeroed)
{
	unsigned class = class_aligned(bytes, align);
	void *block = NULL;

	*zeroed = false;
	if (class < CLASS_COUNT)
		block = small_take(class);
	if (block && unlikely(tune.counts))
		stats_asked(class, bytes);
	return block ? block : big_take(bytes, align, SPAN_TIGHT, zeroed);
}

/* Blocks that some mode places itself. */
static void *watched_alloc(size_t bytes, size_t align)
{
	void *block = tune.hardened ? guard_alloc(bytes, align) : NULL;

	return block || !tune.sample_bytes ? block : profile_alloc(bytes, align, SPAN_TIGHT);
}

void *block_alloc(size_t bytes, size_t align, enum block_zero zero)
{
	bool zeroed = false;
	void *block;

	if (!ready())
		return NULL;
	block = unlikely(tune.watched) ? watched_alloc(bytes, align) : NULL;
	if (!block)
		block = place_block(bytes, align, &zeroed);
	if (!block)
		return NULL;
	if (zero == BLOCK_ZERO && !zeroed)
		memset(block, 0, bytes);
	else if (unlikely(tune.perturb) && zero == BLOCK_ANY)
		memset(block, tune.perturb ^ 0xff, bytes);
	return block;
}

void *block_pop(size_t bytes)
{
	struct cache *t = cache;
	struct magazine *m;
	void *block;

	if (bytes > SMALL_MAX || !t)
		return NULL;
	m = &magazines[class_of(bytes) + 1];
	if (!magazine_count(t, m))
		return NULL;
	if (tune.sample_bytes) {
		if (sample_left <= (int64_t)bytes)
			return NULL;
		sample_left -= (int64_t)bytes;
	}
	block = *--m->top;
	if (unlikely(!unmark(block)))
		report_written(block);
	if (unlikely(tune.counts))
		stats_asked(class_of(bytes), bytes);
	return block;
}

/* The class of the slab that block is one of, or CLASS_COUNT. */
static unsigned small_class(const void *block)
{
	uint32_t unit = unit_of(block);
	uint32_t offset = (uint32_t)((uintptr_t)block & (UNIT_BYTES - 1));
	struct slab *s;

	if (!zone_has(&heap.units, block) || unit >= units_top() || !slab_at(unit)->in_use)
		return CLASS_COUNT;
	s = slab_at(unit);
	if (offset % class_info[s->class].bytes ||
	    offset / class_info[s->class].bytes >= class_info[s->class].per_slab)
		return CLASS_COUNT;
	return s->class;
}

/* K2: a marked block may be in use. Where a free one would be, if it is one of ours. */
static bool is_free(const void *block, unsigned class)
{
	if (slab_has_free(class, block))
		return true;
	return tune.hardened ? guard_holds(block)
			     : magazine_has(cache, &magazines[class + 1], block);
}

static void small_free(void *block, unsigned class)
{
	struct cache *t;
	struct magazine *m;

	if (MALLOC_CHECKS && is_marked(block) && is_free(block, class))
		report_double_free(block);
	if (unlikely(tune.perturb))
		memset(block, tune.perturb, class_info[class].bytes);
	mark(block);
	if (unlikely(tune.hardened)) {
		guard_quarantine(block, class);
		return;
	}
	t = cache_mine();
	if (!t) {
		slab_give(class, &block, 1);
		return;
	}
	m = magazine_mine(t, class);
	if (m->top < m->limit)
		magazine_push(m, block);
	else
		magazine_push_full(m, block);
}

static void raise_threshold(size_t bytes)
{
	if (tune.fixed || bytes <= tune.mmap_threshold || bytes > MMAP_THRESHOLD_MOST)
		return;
	tune.mmap_threshold = bytes;
	tune.trim_threshold = 2 * bytes;
}

static void trim_if_asked(void)
{
	if (tune.trim_set && span_top_free() > tune.trim_threshold)
		span_purge(UINT32_MAX);
}

static void big_free(void *block)
{
	size_t bytes;

	if (zone_has(&heap.pages, block)) {
		if (unlikely(tune.hardened) && guard_free(block))
			return;
		if (unlikely(tune.sample_bytes))
			profile_free(block);
		if (!span_give(block))
			span_was_freed(block) ? report_double_free(block)
					      : report_invalid_free(block);
		trim_if_asked();
		return;
	}
	bytes = large_give(block);
	if (!bytes)
		report_invalid_free(block);
	raise_threshold(bytes);
}

void block_free(void *block)
{
	unsigned class;

	if (!block)
		return;
	if (!ready())
		report_invalid_free(block);
	class = small_class(block);
	if (class < CLASS_COUNT)
		small_free(block, class);
	else if (zone_has(&heap.units, block))
		unit_was_freed(block) ? report_double_free(block) : report_invalid_free(block);
	else
		big_free(block);
}

size_t block_usable(const void *block)
{
	unsigned class;
	size_t bytes;

	if (!block || !heap.ready)
		return 0;
	class = small_class(block);
	if (class < CLASS_COUNT)
		return class_info[class].bytes;
	if (unlikely(tune.hardened) && (bytes = guard_usable(block)))
		return bytes;
	if (zone_has(&heap.pages, block))
		bytes = span_find(block) << PAGE_SHIFT;
	else
		bytes = large_find(block);
	return bytes;
}

/* What the caller may keep: no smaller class would do, and not much is wasted. */
static bool small_stays(unsigned class, size_t bytes)
{
	size_t has = class_info[class].bytes;

	return bytes <= has && (bytes > has / 2 || has <= 64);
}

static bool span_resized(void *block, size_t old, size_t bytes)
{
	size_t pages = pages_for(bytes);

	if (bytes <= SMALL_MAX)
		return false;
	if (pages << PAGE_SHIFT > old)
		return span_grow(block, pages);
	if (pages << PAGE_SHIFT < old)
		span_shrink(block, pages);
	return true;
}

/* For a block that grows, and will again. */
static void *roomy_take(size_t bytes)
{
	void *block = NULL;
	bool zeroed;

	if (unlikely(tune.sample_bytes))
		block = profile_alloc(bytes, ALIGN_MIN, SPAN_ROOMY);
	return block ? block : big_take(bytes, ALIGN_MIN, SPAN_ROOMY, &zeroed);
}

static void *move(void *block, size_t old, size_t bytes)
{
	void *to;

	if (bytes > SMALL_MAX && bytes > old)
		to = roomy_take(bytes);
	else
		to = block_alloc(bytes, ALIGN_MIN, BLOCK_ANY);
	if (!to)
		return NULL;
	memcpy(to, block, old < bytes ? old : bytes);
	block_free(block);
	return to;
}

void *block_resize(void *block, size_t bytes)
{
	unsigned class = small_class(block);
	size_t old = block_usable(block);

	if (!old)
		report_invalid_free(block);
	if (class < CLASS_COUNT)
		return small_stays(class, bytes) ? block : move(block, old, bytes);
	if (unlikely(tune.hardened) && guard_usable(block))
		return move(block, old, bytes);
	if (zone_has(&heap.pages, block))
		return span_resized(block, old, bytes) ? block : move(block, old, bytes);
	if (bytes > SMALL_MAX && bytes > old / 4)
		return large_resize(block, bytes);
	return move(block, old, bytes);
}
