/*
 * free.c - giving pages back: drop a reference, and the last one puts the frames on the caller's
 * list.
 *
 * How     A page freed in random order is a cache miss, which a processor can only wait for: its
 *         count must be read before anybody may have the frame. So __free_pages() puts the block on
 *         the caller's list unseen, asks for the line of its struct page and goes on; a few frees
 *         later, and at the latest when somebody takes from the list or empties it, the line is
 *         there and pcp_settle() drops the reference with all checks. A block that then turns out
 *         to have other users leaves the list again. put_page(), of which others may be waiting to
 *         see the effect, looks at once. Which zone and list it is comes from the pageblock's
 *         entry, which is in the cache.
 * Holds   A2  a page given back has none of PAGE_FLAGS_AT_FREE and is not mapped
 *         A3  the newest `unchecked` blocks of a list are as __free_pages() got them; nothing is
 *             taken from a list before all of it is settled, so that a block freed twice is found
 * Locks   pcp->lock for one operation, zone->lock inside it.
 * Why     Linux: __free_pages(), free_unref_page(), free_unref_folios().
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/buddy.h"
#include "phys/debug.h"
#include "phys/pcp.h"

/* A list with so many unchecked blocks has half of them settled: their lines have arrived. */
#define UNCHECKED_MAX 32

static no_inline void split_tails(struct phys *phys, struct page *head, unsigned order)
{
	pfn_t pfn = page_to_pfn(phys, head), i;

	for (i = 1; i < (pfn_t)1 << order; i++)
		pfn_to_page(phys, pfn + i)->flags &= PAGE_LINK_MASK;
}

static no_inline void give_zone(struct pcp *pcp, pfn_t pfn, unsigned order)
{
	lock_take(&pcp->lock);
	pcp->freed += (u64)1 << order;
	lock_give(&pcp->lock);
	lock_take(&pcp->zone->lock);
	buddy_give(pcp->zone, pfn, order);
	lock_give(&pcp->zone->lock);
}

static void give_ring(struct pcp *pcp, int index, pfn_t pfn, unsigned order, gfp_t gfp)
{
	struct pcp_ring *ring = &pcp->rings[index];

	lock_take(&pcp->lock);
	pcp->freed += (u64)1 << order;
	pcp_settle_all(pcp, ring);
	if (unlikely(ring_is_full(ring)))
		pcp_make_room(pcp, index);
	if (unlikely(gfp & __GFP_COLD))
		ring->frames[--ring->oldest & ring->mask] = (u32)pfn;
	else
		ring->frames[ring->newest++ & ring->mask] = (u32)pfn;
	lock_give(&pcp->lock);
}

/* The CPU's lists of the zone that the frame is in. */
static always_inline struct pcp *pcp_of(const struct phys *phys, pfn_t pfn, unsigned cpu)
{
	return phys->zone_pcp[cpu * phys->pcp_stride + pfn_to_block(phys, pfn)->zone_id];
}

/* To the caller's list, or to the zone. */
static no_inline void give_frames(struct phys *phys, pfn_t pfn, unsigned order, gfp_t gfp)
{
	enum migratetype type = pfn_migratetype(phys, pfn);
	int index = likely(type < MIGRATE_PCPTYPES) ? pcp_ring_index(type, order) : -1;

	if (likely(index >= 0))
		give_ring(pcp_of(phys, pfn, phys_this_cpu(phys)), index, pfn, order, gfp);
	else
		give_zone(pcp_of(phys, pfn, phys_this_cpu(phys)), pfn, order);
}

/* One frame to the caller's list if that is as simple as it usually is. The lists need no lock. */
static always_inline bool push_frame(struct phys *phys, pfn_t pfn)
{
	unsigned type = pfn_migratetype(phys, pfn);
	struct pcp *pcp = pcp_of(phys, pfn, phys_this_cpu(phys));
	struct pcp_ring *ring = &pcp->rings[type];

	if (unlikely(phys->lists_locked || type >= MIGRATE_PCPTYPES || ring->unchecked ||
		     ring_is_full(ring)))
		return false;
	pcp->freed++;
	ring->frames[ring->newest & ring->mask] = (u32)pfn;
	ring->newest++;
	return true;
}

/* A page that nobody refers to any more. */
static void mark_free(struct page *page)
{
	page->flags = (page->flags & PAGE_LINK_MASK) | PAGE_FLAG(PG_buddy);
}

/*
 * Drop a reference, with all checks. True: it was the last, and the block, of *order then, is free.
 */
static bool put_checks(struct phys *phys, struct page *page, unsigned *order)
{
	if (page_test(page, PG_head))
		*order = page->compound_order;
	require(page->refcount > 0);
	if (!put_page_testzero(page))
		return false;
	require(!(page->flags & PAGE_FLAGS_AT_FREE));
	require(page->mapcount == 0);
	if (page_test(page, PG_head))
		split_tails(phys, page, *order);
	if (phys->debug)
		debug_page_freed(phys, page, *order);
	mark_free(page);
	return true;
}

static no_inline void put_checked(struct phys *phys, struct page *page, unsigned order, gfp_t gfp)
{
	if (put_checks(phys, page, &order))
		give_frames(phys, page_to_pfn(phys, page), order, gfp);
}

/* Drop the only reference of a page with nothing unusual about it; else false, nothing done. */
static always_inline bool put_simple(struct page *page)
{
	u64 flags = page->flags;

	if (unlikely(__atomic_load_n(&page->counts, __ATOMIC_ACQUIRE) != PAGE_ONE_REFERENCE ||
		     flags & (PAGE_FLAGS_AT_FREE | PAGE_FLAG(PG_head))))
		return false;
	/* Before the frame is anybody's on the list. */
	__atomic_store_n(&page->counts, 0, __ATOMIC_RELAXED);
	page->flags = (flags & PAGE_LINK_MASK) | PAGE_FLAG(PG_buddy);
	return true;
}

/* --- blocks on a list whose struct page nobody has looked at --- */

/* The unusual ones. True: the block is free and stays on its list. */
static no_inline bool settle_slowly(struct pcp *pcp, struct page *page, unsigned listed_order)
{
	struct zone *zone = pcp->zone;
	unsigned order = listed_order;

	if (!put_checks(zone->phys, page, &order)) {
		pcp->freed -= (u64)1 << listed_order;
		return false;
	}
	if (order == listed_order)
		return true;
	/* A compound page by its head alone. */
	pcp->freed += ((u64)1 << order) - ((u64)1 << listed_order);
	lock_take(&zone->lock);
	buddy_give(zone, page_to_pfn(zone->phys, page), order);
	lock_give(&zone->lock);
	return false;
}

void pcp_settle(struct pcp *pcp, struct pcp_ring *ring, u32 nr)
{
	struct page *mem_map = pcp->zone->phys->mem_map;
	u32 *block;

	for (; nr && ring->unchecked; nr--) {
		block = &ring->frames[(ring->newest - ring->unchecked) & ring->mask];
		if (unlikely(!put_simple(mem_map + *block)) &&
		    !settle_slowly(pcp, mem_map + *block, pcp_ring_order((int)(ring - pcp->rings))))
			*block = ring->frames[--ring->newest & ring->mask];
		ring->unchecked--;
	}
}

/* The list is full. */
static no_inline void make_room_and_free(struct phys *phys, struct page *page, unsigned order,
					 struct pcp *pcp, unsigned index)
{
	lock_take(&pcp->lock);
	if (ring_is_full(&pcp->rings[index]))
		pcp_make_room(pcp, (int)index);
	lock_give(&pcp->lock);
	__free_pages(phys, page, order);
}

/*
 * A block to a list that has room. The first after somebody took from the list is looked at at
 * once, for it has probably just been in use; false: there is something unusual about it.
 */
static always_inline bool push_page(struct phys *phys, struct page *page, unsigned order,
				    struct pcp *pcp, struct pcp_ring *ring)
{
	u32 newest = ring->newest, unchecked = ring->unchecked;

	if (unchecked || newest == ring->newest_freed) {
		prefetch_write(page);
		ring->unchecked = ++unchecked;
	} else if (unlikely(!put_simple(page))) {
		return false;
	}
	ring->frames[newest & ring->mask] = (u32)(page - phys->mem_map);
	ring->newest = ring->newest_freed = newest + 1;
	pcp->freed += (u64)1 << order;
	if (unlikely(unchecked >= UNCHECKED_MAX))
		pcp_settle(pcp, ring, UNCHECKED_MAX / 2);
	return true;
}

/* Any order, with the list's lock where it has one. */
static no_inline void free_block(struct phys *phys, struct page *page, unsigned order)
{
	pfn_t pfn = (pfn_t)(page - phys->mem_map);
	enum migratetype type = pfn_migratetype(phys, pfn);
	int index = type < MIGRATE_PCPTYPES ? pcp_ring_index(type, order) : -1;
	struct pcp *pcp = pcp_of(phys, pfn, phys_this_cpu(phys));
	bool pushed, full;

	if (unlikely(index < 0)) {
		put_checked(phys, page, order, 0);
		return;
	}
	lock_take(&pcp->lock);
	full = ring_is_full(&pcp->rings[index]);
	pushed = !full && push_page(phys, page, order, pcp, &pcp->rings[index]);
	lock_give(&pcp->lock);
	if (unlikely(full))
		make_room_and_free(phys, page, order, pcp, (unsigned)index);
	else if (unlikely(!pushed))
		put_checked(phys, page, order, 0);
}

/* A single page in a machine that one thread uses. No call returns here: no register is saved. */
static always_inline void free_alone(struct phys *phys, struct page *page)
{
	pfn_t pfn = (pfn_t)(page - phys->mem_map);
	unsigned type = pfn_migratetype(phys, pfn);
	struct pcp *pcp = pcp_of(phys, pfn, 0);

	if (unlikely(type >= MIGRATE_PCPTYPES))
		put_checked(phys, page, 0, 0);
	else if (unlikely(ring_is_full(&pcp->rings[type])))
		make_room_and_free(phys, page, 0, pcp, type);
	else if (unlikely(!push_page(phys, page, 0, pcp, &pcp->rings[type])))
		put_checked(phys, page, 0, 0);
}

/* --- the API --- */

void free_frames(struct phys *phys, pfn_t pfn, unsigned order)
{
	if (unlikely(order || !push_frame(phys, pfn)))
		give_frames(phys, pfn, order, 0);
}

void __free_pages(struct phys *phys, struct page *page, unsigned order)
{
	if (likely(phys->puts == PUTS_LATER_ALONE && !order))
		free_alone(phys, page);
	else if (likely(phys->puts != PUTS_NOW))
		free_block(phys, page, order);
	else
		put_checked(phys, page, order, 0);
}

void __free_pages_cold(struct phys *phys, struct page *page, unsigned order)
{
	put_checked(phys, page, order, __GFP_COLD);
}

void put_page(struct phys *phys, struct page *page)
{
	if (likely(phys->puts != PUTS_NOW && put_simple(page)))
		free_frames(phys, (pfn_t)(page - phys->mem_map), 0);
	else
		put_checked(phys, compound_head(page), 0, 0);
}

void free_pages_bulk(struct phys *phys, u64 nr, struct page **pages)
{
	u64 i;

	for (i = 0; i < nr; i++)
		__free_pages(phys, pages[i], 0);
}
