/*
 * free.c - giving pages back: drop a reference, and the last one puts the frames on the caller's
 * list.
 *
 * How     The usual case, one page of which the caller has the only reference, in a machine whose
 *         lists need no lock, is straight-line code without a call: a page freed in random order is
 *         a cache miss, and the fewer instructions there are, the more misses the processor has
 *         under way at once. Which zone and list it is comes from the pageblock's entry, which is
 *         in the cache, and not from the struct page, of which one line is touched.
 * Holds   A2  a page given back has none of PAGE_FLAGS_AT_FREE and is not mapped
 * Locks   pcp->lock for one operation, zone->lock inside it.
 * Why     Linux: __free_pages(), free_unref_page(), free_unref_folios().
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/buddy.h"
#include "phys/debug.h"
#include "phys/pcp.h"

#define PREFETCH_AHEAD 16

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
	if (unlikely(ring_is_full(ring)))
		pcp_make_room(pcp, index);
	if (unlikely(gfp & __GFP_COLD))
		ring->frames[--ring->oldest & ring->mask] = (u32)pfn;
	else
		ring->frames[ring->newest++ & ring->mask] = (u32)pfn;
	lock_give(&pcp->lock);
}

/* The caller's lists of the zone that the frame is in. */
static always_inline struct pcp *pcp_of(const struct phys *phys, pfn_t pfn)
{
	return phys->zone_pcp[phys_this_cpu(phys) * phys->pcp_stride +
			      pfn_to_block(phys, pfn)->zone_id];
}

/* To the caller's list, or to the zone. */
static no_inline void give_frames(struct phys *phys, pfn_t pfn, unsigned order, gfp_t gfp)
{
	enum migratetype type = pfn_migratetype(phys, pfn);
	int index = likely(type < MIGRATE_PCPTYPES) ? pcp_ring_index(type, order) : -1;

	if (likely(index >= 0))
		give_ring(pcp_of(phys, pfn), index, pfn, order, gfp);
	else
		give_zone(pcp_of(phys, pfn), pfn, order);
}

/* One frame to the caller's list if that is as simple as it usually is. The lists need no lock. */
static always_inline bool push_frame(struct phys *phys, pfn_t pfn)
{
	unsigned type = pfn_migratetype(phys, pfn);
	struct pcp *pcp = pcp_of(phys, pfn);
	struct pcp_ring *ring = &pcp->rings[type];

	if (unlikely(type >= MIGRATE_PCPTYPES || ring_is_full(ring)))
		return false;
	pcp->freed++;
	ring->frames[ring->newest & ring->mask] = (u32)pfn;
	ring->newest++;
	return true;
}

void free_frames(struct phys *phys, pfn_t pfn, unsigned order)
{
	if (unlikely(order || phys->lists_locked || !push_frame(phys, pfn)))
		give_frames(phys, pfn, order, 0);
}

/* A page that nobody refers to any more. */
static void mark_free(struct page *page)
{
	page->flags = (page->flags & PAGE_LINK_MASK) | PAGE_FLAG(PG_buddy);
}

/* Drop a reference, with all checks, and the tails of a compound page. */
static no_inline void put_checked(struct phys *phys, struct page *page, unsigned order, gfp_t gfp)
{
	if (page_test(page, PG_head))
		order = page->compound_order;
	require(page->refcount > 0);
	if (!put_page_testzero(page))
		return;
	require(!(page->flags & PAGE_FLAGS_AT_FREE));
	require(page->mapcount == 0);
	if (page_test(page, PG_head))
		split_tails(phys, page, order);
	if (phys->debug)
		debug_page_freed(phys, page, order);
	mark_free(page);
	give_frames(phys, page_to_pfn(phys, page), order, gfp);
}

/*
 * Give back a block of one reference. False, and nothing done, where something is unusual about
 * the machine or the page.
 */
static always_inline bool put_simple(struct phys *phys, struct page *page, unsigned order)
{
	u64 flags = page->flags;

	if (unlikely(__atomic_load_n(&page->counts, __ATOMIC_ACQUIRE) != PAGE_ONE_REFERENCE ||
		     flags & (PAGE_FLAGS_AT_FREE | PAGE_FLAG(PG_head)) || !phys->puts_simple))
		return false;
	/* Before the frame is anybody's on the list. */
	__atomic_store_n(&page->counts, 0, __ATOMIC_RELAXED);
	page->flags = (flags & PAGE_LINK_MASK) | PAGE_FLAG(PG_buddy);
	if (unlikely(order || !push_frame(phys, (pfn_t)(page - phys->mem_map))))
		give_frames(phys, (pfn_t)(page - phys->mem_map), order, 0);
	return true;
}

void __free_pages(struct phys *phys, struct page *page, unsigned order)
{
	if (unlikely(!(order ? put_simple(phys, page, order) : put_simple(phys, page, 0))))
		put_checked(phys, page, order, 0);
}

void __free_pages_cold(struct phys *phys, struct page *page, unsigned order)
{
	put_checked(phys, page, order, __GFP_COLD);
}

void put_page(struct phys *phys, struct page *page)
{
	if (unlikely(!put_simple(phys, page, 0)))
		put_checked(phys, compound_head(page), 0, 0);
}

void free_pages_bulk(struct phys *phys, u64 nr, struct page **pages)
{
	u64 i;

	/* In random order each struct page is a cache miss: have many of them under way. */
	for (i = 0; i < nr && i < PREFETCH_AHEAD; i++)
		__builtin_prefetch(pages[i], 1);
	for (i = 0; i < nr; i++) {
		if (i + PREFETCH_AHEAD < nr)
			__builtin_prefetch(pages[i + PREFETCH_AHEAD], 1);
		if (unlikely(!put_simple(phys, pages[i], 0)))
			put_checked(phys, pages[i], 0, 0);
	}
}
