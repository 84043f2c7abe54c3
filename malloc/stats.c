/*
 * stats.c - counts, and says so in text, XML and glibc's structures.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stats.h"
#include "cache.h"
#include "large.h"
#include "slab.h"
#include "span.h"
#include "sweep.h"
#include "tune.h"
#include "units.h"

#include <string.h>

/*
 * What programs ask for within a class. Not kept by block: a block in use is taken to be like the
 * requests of its class so far.
 */
static struct {
	uint64_t requests, bytes;
} asked[CLASS_COUNT];

void stats_asked(unsigned class, size_t bytes)
{
	__atomic_fetch_add(&asked[class].requests, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&asked[class].bytes, bytes, __ATOMIC_RELAXED);
}

/* Internal fragmentation: the part of a block that nobody asked for. */
unsigned stats_slack(const struct class_stats *cs, unsigned class)
{
	uint64_t given = cs->requests * class_info[class].bytes;

	return given > cs->asked_bytes ? (unsigned)(100 * (given - cs->asked_bytes) / given) : 0;
}

/* External fragmentation: the part of the slabs' blocks that is not in use. */
unsigned stats_idle(const struct class_stats *cs)
{
	return cs->slots ? (unsigned)(100 * (cs->slots - cs->used) / cs->slots) : 0;
}

/* Its thread may be: between two of its stores the pointers make no sense. */
static size_t seen_count(struct cache *t, unsigned class)
{
	size_t n = magazine_count(t, &t->magazine[class + 1]);

	return n <= class_info[class].magazine_max ? n : 0;
}

static void count_caches(struct stats *s)
{
	lock_take(&cache_lock);
	for (struct cache *t = cache_list; t; t = t->next) {
		s->threads += t->in_use;
		for (unsigned c = 0; c < CLASS_COUNT; c++)
			s->class[c].cached += seen_count(t, c);
	}
	lock_give(&cache_lock);
}

static void count_class(struct stats *s, unsigned c)
{
	struct class_stats *cs = &s->class[c];
	struct class_state *state = &class_state[c];
	size_t bytes = class_info[c].bytes, idle;

	lock_take(&state->lock);
	cs->slabs = state->slabs;
	cs->free = state->free;
	cs->refills = state->refills;
	cs->flushes = state->flushes;
	lock_give(&state->lock);
	cs->slots = cs->slabs * class_info[c].per_slab;
	idle = cs->free + cs->cached;
	cs->used = cs->slots > idle ? cs->slots - idle : 0;
	cs->requests = relaxed(asked[c].requests);
	cs->asked_bytes = relaxed(asked[c].bytes);
	s->small_slack += cs->used * bytes * stats_slack(cs, c) / 100;
	s->small_used += cs->used * bytes;
	s->small_cached += cs->cached * bytes;
	s->small_free += cs->free * bytes;
	s->small_tail += cs->slabs * (UNIT_BYTES - class_info[c].per_slab * bytes);
}

static void count_spans(struct stats *s)
{
	lock_take(&spans.lock);
	s->span_blocks = spans.used;
	s->span_used = spans.used_pages << PAGE_SHIFT;
	s->span_free = spans.free_pages << PAGE_SHIFT;
	s->span_dirty = spans.dirty_pages << PAGE_SHIFT;
	s->page_bytes = (size_t)spans.top << PAGE_SHIFT;
	lock_give(&spans.lock);
}

static void count_units(struct stats *s)
{
	lock_take(&units.lock);
	s->unit_bytes = units.top ? (size_t)(units.top - 1) << UNIT_SHIFT : 0;
	s->unit_dirty = (size_t)units.dirty << UNIT_SHIFT;
	s->unit_clean = (size_t)units.clean << UNIT_SHIFT;
	lock_give(&units.lock);
}

void stats_take(struct stats *s)
{
	memset(s, 0, sizeof(*s));
	count_caches(s);
	for (unsigned c = 0; c < CLASS_COUNT; c++)
		count_class(s, c);
	count_spans(s);
	count_units(s);
	lock_take(&larges.lock);
	s->large_blocks = larges.used;
	s->large_bytes = larges.bytes;
	s->large_most = larges.most_bytes;
	lock_give(&larges.lock);
	s->meta_bytes = heap.slabs.open_bytes + heap.maps.open_bytes + heap.bits.open_bytes +
			heap.tags.open_bytes + heap.caches.open_bytes;
	s->returned_bytes = units.purged_bytes + spans.purged_bytes + sweep_bytes;
	s->live_bytes = s->small_used + s->span_used + s->large_bytes;
}

static void print_class(struct out *o, const struct class_stats *cs, unsigned c)
{
	if (!cs->slabs)
		return;
	out_print(o, "%7u %7zu %9zu %9zu %7zu %9zu %6u%% ", class_info[c].bytes, cs->slabs,
		  cs->slots, cs->used, cs->cached, cs->free, stats_idle(cs));
	if (cs->requests)
		out_print(o, "%6u%% ", stats_slack(cs, c));
	else
		out_text(o, "      - ");
	out_print(o, "%10lu %10lu\n", (unsigned long)cs->refills, (unsigned long)cs->flushes);
}

void stats_print(struct out *o, const struct stats *s)
{
	size_t has = s->unit_bytes - s->unit_dirty - s->unit_clean;

	out_print(o,
		  "quire-malloc: live %zu KiB: small %zu, page runs %zu (%zu blocks), "
		  "mapped %zu (%zu blocks)\n",
		  s->live_bytes >> 10, s->small_used >> 10, s->span_used >> 10, s->span_blocks,
		  s->large_bytes >> 10, s->large_blocks);
	out_print(o,
		  "  slabs %zu KiB: used %zu, in the caches of %u threads %zu, free %zu, "
		  "tails %zu\n",
		  has >> 10, s->small_used >> 10, s->threads, s->small_cached >> 10,
		  s->small_free >> 10, s->small_tail >> 10);
	out_print(o,
		  "  free units: %zu KiB resident, %zu KiB returned; page runs free: %zu KiB, "
		  "%zu resident\n",
		  s->unit_dirty >> 10, s->unit_clean >> 10, s->span_free >> 10,
		  s->span_dirty >> 10);
	out_print(o, "  descriptors %zu KiB opened; %lu KiB returned to the kernel so far\n",
		  s->meta_bytes >> 10, (unsigned long)(s->returned_bytes >> 10));
	if (tune.counts)
		out_print(o, "  of the small blocks in use, %zu KiB were not asked for\n",
			  s->small_slack >> 10);
	out_text(o, "  class   slabs    blocks      used  cached      free   idle   slack    "
		    "refills    flushes\n");
	for (unsigned c = 0; c < CLASS_COUNT; c++)
		print_class(o, &s->class[c], c);
}

static void xml_class(struct out *o, const struct class_stats *cs, unsigned c)
{
	if (!cs->slabs)
		return;
	out_print(o,
		  "<size from=\"%u\" to=\"%u\" total=\"%zu\" count=\"%zu\" used=\"%zu\" "
		  "cached=\"%zu\"/>\n",
		  c ? class_info[c - 1].bytes + 1 : 1, class_info[c].bytes,
		  cs->free * class_info[c].bytes, cs->free, cs->used, cs->cached);
}

/* The elements are those of glibc's; `fast` is what threads keep in their caches. */
void stats_print_xml(struct out *o, const struct stats *s)
{
	size_t cached = 0, free = 0, system = s->unit_bytes + s->page_bytes;
	size_t rest = s->small_free + s->unit_dirty + s->unit_clean + s->span_free;

	for (unsigned c = 0; c < CLASS_COUNT; c++) {
		cached += s->class[c].cached;
		free += s->class[c].free;
	}
	out_text(o, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
	for (unsigned c = 0; c < CLASS_COUNT; c++)
		xml_class(o, &s->class[c], c);
	out_text(o, "</sizes>\n");
	out_print(o, "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n", cached,
		  s->small_cached);
	out_print(o, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", free, rest);
	out_print(o,
		  "<system type=\"current\" size=\"%zu\"/>\n"
		  "<system type=\"max\" size=\"%zu\"/>\n",
		  system, system);
	out_text(o, "</heap>\n");
	out_print(o, "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n", cached,
		  s->small_cached);
	out_print(o, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", free, rest);
	out_print(o, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", s->large_blocks,
		  s->large_bytes);
	out_print(o,
		  "<system type=\"current\" size=\"%zu\"/>\n"
		  "<system type=\"max\" size=\"%zu\"/>\n",
		  system, system);
	out_print(o,
		  "<aspace type=\"total\" size=\"%zu\"/>\n"
		  "<aspace type=\"mprotect\" size=\"%zu\"/>\n",
		  heap.units.limit_bytes + heap.pages.limit_bytes,
		  heap.units.open_bytes + heap.pages.open_bytes);
	out_text(o, "</malloc>\n");
}
