/*
 * sweep.c - returns the free pages of slabs that are only partly in use.
 *
 * How     A page of a slab can go when every block that touches it is free. That is read off the
 *         bitmap, under the class's lock, for slabs to which nothing was given back for a while:
 *
 *             page      |0       |1       |2       |3       |
 *             block     |a  |b  |c  |d  |e  |f  |g  |h  |i  |
 *             free       .   x   x   x   x   x   .   .   x       -> page 1 goes
 *
 * Why     Blocks cannot be moved, so one survivor pins its slab; but seldom all of its pages.
 *
 * SPDX-License-Identifier: MIT
 */
#include "classes.h"
#include "reap.h"
#include "slab.h"
#include "sweep.h"
#include "units.h"

uint64_t sweep_bytes;

static bool bits_all_set(const uint64_t *bits, unsigned from, unsigned to)
{
	for (; from < to; from++)
		if (!(bits[from / 64] >> (from % 64) & 1))
			return false;
	return true;
}

static bool page_is_free(const struct slab *s, unsigned page)
{
	const struct class_info *info = &class_info[s->class];
	unsigned from = class_index(s->class, page << PAGE_SHIFT);
	unsigned to = class_index(s->class, ((page + 1) << PAGE_SHIFT) - 1) + 1;

	if (to > info->per_slab)
		to = info->per_slab;
	return bits_all_set(s->bits, from, to);
}

/* locked: class. */
static void sweep_slab(struct slab *s, uint32_t unit)
{
	unsigned page = 0, from;

	s->swept = 1;
	while (page < UNIT_PAGES) {
		from = page;
		while (page < UNIT_PAGES && page_is_free(s, page))
			page++;
		if (page > from) {
			os_purge(unit_start(unit) + from * PAGE_BYTES, (page - from) * PAGE_BYTES);
			sweep_bytes += (page - from) * PAGE_BYTES;
		}
		page++;
	}
}

static void sweep_list(uint32_t unit, uint32_t older_than)
{
	for (; unit; unit = slab_at(unit)->next) {
		struct slab *s = slab_at(unit);

		if (!s->swept && s->stamp < older_than)
			sweep_slab(s, unit);
	}
}

void slab_sweep(uint32_t older_than)
{
	for (unsigned c = 0; c < CLASS_COUNT; c++) {
		struct class_state *cs = &class_state[c];

		lock_take(&cs->lock);
		for (unsigned i = 0; i < SLAB_LISTS && cs->free; i++)
			sweep_list(cs->list[i], older_than);
		lock_give(&cs->lock);
	}
}
