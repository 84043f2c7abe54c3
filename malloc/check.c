/*
 * check.c - walks slabs, units, page runs and the table of mapped blocks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "check.h"
#include "cache.h"
#include "reap.h"
#include "slab.h"
#include "span.h"
#include "units.h"

static unsigned bits_set(const struct slab *s)
{
	unsigned n = 0;

	for (unsigned w = 0; w < SLAB_WORDS; w++)
		n += (unsigned)__builtin_popcountl(s->bits[w]);
	return n;
}

static bool blocks_marked(const struct slab *s, uint32_t unit)
{
	for (unsigned i = 0; i < class_info[s->class].per_slab; i++) {
		const void *block = unit_start(unit) + i * class_info[s->class].bytes;

		if ((s->bits[i / 64] >> (i % 64) & 1) && !is_marked(block) &&
		    *(const uint64_t *)block != 0)
			return false;
	}
	return true;
}

static const char *check_slab(uint32_t unit)
{
	struct slab *s = slab_at(unit);
	unsigned per_slab = class_info[s->class].per_slab;

	if (s->free != bits_set(s))
		return "S1";
	for (unsigned i = per_slab; i < SLAB_BITS; i++)
		if (s->bits[i / 64] >> (i % 64) & 1)
			return "S1";
	if ((s->free == 0) != (s->list == SLAB_LISTS))
		return "S2";
	if (s->free && s->list != s->free * class_info[s->class].list_scale >> 16)
		return "S2";
	if (!s->mixed && !blocks_marked(s, unit))
		return "S3";
	return heap_map[unit] == class_info[s->class].magazine_at ? NULL : "H2";
}

static const char *check_units(void)
{
	struct unit_bits *bits = (struct unit_bits *)heap.bits.base;
	uint32_t dirty = 0, clean = 0;
	const char *wrong;

	for (uint32_t unit = 1; unit < units.top; unit++) {
		bool d = bits[unit / 64].dirty >> (unit % 64) & 1;
		bool c = bits[unit / 64].clean >> (unit % 64) & 1;

		dirty += d;
		clean += c;
		if (d + c + slab_at(unit)->in_use != 1 ||
		    ((d || c) && heap_map[unit] != magazine_offset(0)))
			return "U1";
		wrong = slab_at(unit)->in_use ? check_slab(unit) : NULL;
		if (wrong)
			return wrong;
	}
	return dirty == units.dirty && clean == units.clean ? NULL : "U1";
}

static const char *check_spans(void)
{
	size_t page = 0, free = 0, used = 0;
	bool after_free = false;

	while (page < spans.top) {
		struct tag *t = tag_at(page);

		if (!t->first || !t->pages || tag_at(page + t->pages - 1)->pages != t->pages)
			return "P1";
		if (after_free && t->state == SPAN_FREE)
			return "P2";
		after_free = t->state == SPAN_FREE;
		*(after_free ? &free : &used) += t->pages;
		page += t->pages;
	}
	if (page != spans.top)
		return "P1";
	return free == spans.free_pages && used == spans.used_pages ? NULL : "P3";
}

static const char *check_magazine(struct cache *t, const struct magazine *m)
{
	void **first = magazine_first(t, m);

	if (first > m->top || m->top > m->limit ||
	    m->limit > first + class_info[m->class].magazine_max)
		return "M1";
	for (void **at = first; at < m->top; at++)
		if (!is_marked(*at))
			return "M2";
	if (first[-1] != &t->stop || is_marked(&t->stop) || !t->stop)
		return "M4";
	return *m->top && magazine_has(t, m, *m->top) ? "M5" : NULL;
}

static const char *check_caches(void)
{
	const char *wrong = NULL;

	lock_take(&cache_lock);
	for (struct cache *t = cache_list; t && !wrong; t = t->next) {
		const struct magazine *m = t->magazine;

		if (m->inverse || *m->top)
			wrong = "M3";
		for (unsigned c = 1; c <= CLASS_COUNT && !wrong; c++)
			wrong = m[c].inverse ? check_magazine(t, &m[c]) : NULL;
	}
	lock_give(&cache_lock);
	return wrong;
}

const char *heap_check(void)
{
	const char *wrong;

	lock_take(&reap_lock);
	wrong = check_units();
	if (!wrong)
		wrong = check_spans();
	if (!wrong)
		wrong = check_caches();
	lock_give(&reap_lock);
	return wrong;
}
