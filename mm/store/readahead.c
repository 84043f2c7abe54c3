/*
 * readahead.c - file pages come in windows, in one transfer, in contiguous frames where there are.
 *
 * How     A fault on a mapped file reads the window [index - 16, index + 16) that the fault lies in
 *         (read_ahead_kb 128); random advice reads the one page; sequential advice reads ahead
 *         only. Pages already cached are not read again. A window takes one block of frames if
 *         one is free, so that the back end can translate it as one piece.
 * Use     readahead_fault() from fault/file.c, readahead_range() for WILLNEED.
 * Locks   The machine's, across the transfer.
 * Why     Linux: mm/readahead.c, mm/filemap.c (filemap_fault).
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/readahead.h"

#include "base/check.h"
#include "base/errno.h"
#include "store/device.h"
#include "store/mapping.h"
#include "store/state.h"

#define WINDOW_MAX 256u

/* One transfer: consecutive absent pages of a file. */
struct window {
	struct mapping *map;
	u64 first;
	unsigned int nr;
	struct page *page[WINDOW_MAX];
};

/* Single pages for the window from one block, or one by one; how many there are. */
static unsigned int window_alloc(struct window *w, bool hard)
{
	struct machine *m = w->map->machine;
	struct phys *phys = &m->phys;
	gfp_t easy = __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN;
	unsigned int order = log2_ceil(w->nr), i;
	struct page *block =
		order && order <= MAX_PAGE_ORDER ? user_pages_alloc(m, easy, order) : NULL;

	if (block) {
		split_page(phys, block, order);
		for (i = 0; i < 1u << order; i++) {
			if (i < w->nr)
				w->page[i] = block + i;
			else
				__free_pages(phys, block + i, 0);
		}
		return w->nr;
	}
	for (i = 0; i < w->nr; i++) {
		w->page[i] = user_pages_alloc(m, hard && i == 0 ? GFP_HIGHUSER_MOVABLE : easy, 0);
		if (!w->page[i])
			break;
	}
	return i;
}

/* An evicted page is read again: did it belong to the working set? Linux: workingset_refault(). */
static void note_refault(struct machine *m, struct page *page, void *shadow)
{
	struct lruvec *lru = page_lruvec(&m->phys, page);
	u64 distance = lru->nonresident_age - (radix_shadow_stamp(shadow) >> 1);
	u64 set = lru->nr[LRU_ACTIVE_FILE];

	if (m->swap.dev)
		set += lru->nr[LRU_ACTIVE_ANON] + lru->nr[LRU_INACTIVE_ANON];
	stat_inc(&m->phys.stat, WORKINGSET_REFAULT_FILE);
	if (distance > set)
		return;
	page_set(page, PG_active);
	lru->nonresident_age++;
	stat_inc(&m->phys.stat, WORKINGSET_ACTIVATE_FILE);
	if (radix_shadow_stamp(shadow) & 1) {
		page_set(page, PG_workingset);
		stat_inc(&m->phys.stat, WORKINGSET_RESTORE_FILE);
	}
}

/* Puts the window's pages into the cache; those that found no room are given back. */
static void window_insert(struct window *w)
{
	struct machine *m = w->map->machine;
	unsigned int i;

	for (i = 0; i < w->nr; i++) {
		struct page *page = w->page[i];
		void *shadow = NULL;

		page_prepare(page);
		if (mapping_insert(w->map, w->first + i, page, &shadow) < 0)
			break;
		if (shadow)
			note_refault(m, page, shadow);
	}
	for (unsigned int k = i; k < w->nr; k++)
		__free_pages(&m->phys, w->page[k], 0);
	w->nr = i;
}

static int window_transfer(struct window *w)
{
	struct machine *m = w->map->machine;
	struct device_vec vec[WINDOW_MAX];
	s64 want = (s64)w->nr << PAGE_SHIFT, done;
	unsigned int i;

	for (i = 0; i < w->nr; i++) {
		vec[i].base = page_address(&m->phys, w->page[i]);
		vec[i].len = PAGE_SIZE;
	}
	done = w->map->dev->ops->read(w->map->dev, w->first << PAGE_SHIFT, vec, w->nr);
	stat_add(&m->phys.stat, PGPGIN, w->nr * (PAGE_SIZE / 1024));
	for (i = 0; done >= 0 && i < w->nr; i++) {
		s64 have = done - (s64)i * (s64)PAGE_SIZE;

		if (have < (s64)PAGE_SIZE)
			memset((u8 *)vec[i].base + max_u64(0, have > 0 ? (u64)have : 0), 0,
			       PAGE_SIZE - (have > 0 ? (u64)have : 0));
	}
	return done < 0 || done > want ? -EIO : 0;
}

/* The device failed: the pages leave the cache again. */
static void window_cancel(struct window *w)
{
	unsigned int i;

	for (i = 0; i < w->nr; i++) {
		mapping_delete(w->page[i], NULL);
		store_page_put(w->map->machine, w->page[i]);
	}
}

static int window_read(struct window *w, bool hard)
{
	struct machine *m = w->map->machine;
	unsigned int i;
	int err;

	w->nr = window_alloc(w, hard);
	window_insert(w);
	if (!w->nr)
		return -ENOMEM;
	err = window_transfer(w);
	if (err) {
		window_cancel(w);
		return err;
	}
	for (i = 0; i < w->nr; i++) {
		page_set(w->page[i], PG_uptodate);
		page_lru_add(m, w->page[i]);
		store_page_put(m, w->page[i]); /* ours; the cache has its own */
	}
	return 0;
}

/* Reads the absent run that begins at *at, at most up to end; *at moves behind it. */
static int read_run(struct mapping *map, u64 *at, u64 end, bool hard)
{
	struct window w = { .map = map };
	int err;

	while (*at < end && mapping_find(map, *at))
		(*at)++;
	w.first = *at;
	while (*at < end && w.nr < WINDOW_MAX && !mapping_find(map, *at)) {
		w.nr++;
		(*at)++;
	}
	if (!w.nr)
		return 0;
	err = window_read(&w, hard);
	*at = err ? *at : w.first + w.nr;
	return err;
}

int readahead_fault(struct mapping *map, u64 index, enum readahead_hint hint)
{
	u64 most = map->machine->knobs.read_ahead_kb * 1024 / PAGE_SIZE;
	u64 first = index, end = index + 1, at;
	int err;

	if (hint == READAHEAD_SEQUENTIAL)
		end = index + 2 * most;
	else if (hint == READAHEAD_NORMAL) {
		first = index > most / 2 ? index - most / 2 : 0;
		end = first + most;
	}
	end = min_u64(end, mapping_pages(map));
	/* The wanted page's own run first: it is the one that must succeed. */
	at = index;
	while (at > first && !mapping_find(map, at - 1))
		at--;
	err = read_run(map, &at, end, true);
	if (!mapping_find(map, index)) {
		at = index;
		err = read_run(map, &at, index + 1, true);
	}
	return mapping_find(map, index) ? 0 : err ? err : -ENOMEM;
}

void readahead_range(struct mapping *map, u64 first, u64 nr)
{
	u64 end = min_u64(first + nr, mapping_pages(map));

	while (first < end)
		if (read_run(map, &first, end, false) < 0)
			return;
}
