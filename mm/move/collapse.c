/*
 * collapse.c - a file's cached pages come side by side, in the file's order.
 *
 * How     A read fault maps cached neighbours as far as their frames are contiguous, because the
 *         back end then needs one translation for all of them. Text that was read in pieces, here
 *         and there as it was needed, is scattered. When faults on a file have ended at such a
 *         border often enough, what is cached of the 2 MiB around the last one moves into one
 *         block of frames, each page to its own place in it; the block's other frames are free
 *         again. Each time it takes twice as many faults for the next.
 * Use     mapping_note_scattered() in faults; collapse_step() from machine_tick().
 * Locks   The machine's.
 * Why     Linux: mm/khugepaged.c, collapse_file() with READ_ONLY_THP_FOR_FS; but pages stay single,
 *         and nothing is read for it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "move/migrate.h"
#include "phys/phys.h"
#include "store/mapping.h"
#include "store/state.h"

/* The cached pages of a range, and in how many pieces of frames they lie. */
struct range {
	struct page *page[COLLAPSE_PAGES];
	unsigned int nr, cached, pieces;
};

static void look_up(struct range *r, struct mapping *map, u64 first)
{
	struct page *prev = NULL;
	unsigned int i;

	r->nr = (unsigned int)min_u64(COLLAPSE_PAGES, mapping_pages(map) - first);
	r->cached = r->pieces = 0;
	for (i = 0; i < r->nr; i++) {
		struct page *page = mapping_find(map, first + i);

		if (page && !page_test(page, PG_uptodate))
			page = NULL;
		r->page[i] = page;
		r->cached += page != NULL;
		r->pieces += page && (!prev || page != prev + 1);
		prev = page;
	}
}

static void collapse(struct mapping *map, u64 first)
{
	struct machine *m = map->machine;
	struct page *block;
	struct range r;
	unsigned int order, moved;

	if (first >= mapping_pages(map))
		return;
	look_up(&r, map, first);
	order = log2_ceil(r.nr);
	if (r.pieces < 3 || nr_free_buffer_pages(&m->phys) < 2ull << order)
		return;
	block = user_pages_alloc(m, __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN, order);
	if (!block)
		return;
	split_page(&m->phys, block, order);
	for (; r.nr < 1u << order; r.nr++)
		r.page[r.nr] = NULL;
	moved = migrate_pages(m, r.page, block, r.nr);
	stat_add(&m->phys.stat, QUIRE_COLLAPSE, moved);
}

void collapse_step(struct machine *m)
{
	struct collapse_wish wish = m->collapse;

	if (!wish.map || !m->phys.move_ops || m->reclaiming || migrate_must_wait(m))
		return;
	m->collapse.map = NULL;
	collapse(wish.map, wish.first);
}
