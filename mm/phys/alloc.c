/*
 * alloc.c - alloc_pages() and its kin: which zone, which list, and what to do when there is
 * nothing.
 *
 * How     fast path: first zone of the zonelist above low whose per-CPU ring has a block: pop it,
 *         write the struct page. No lock is contended, nothing else is touched. slow path: wake
 *         kswapd; try down to min; relieve pressure and try again as long as that helps.
 * Holds   A1  a page handed out has refcount 1, mapcount 0, links that name its zone, and no other
 *             flag than PG_hostzero (and PG_head)
 *         A2  a page given back has none of PAGE_FLAGS_AT_FREE and is not mapped
 * Locks   pcp->lock for one operation, zone->lock inside it.
 * Why     Linux: mm/page_alloc.c: get_page_from_freelist(), rmqueue(), __alloc_pages_slowpath().
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/buddy.h"
#include "phys/debug.h"
#include "phys/pcp.h"
#include "phys/prepare.h"
#include "phys/pressure.h"

#define COSTLY_ORDER	3
#define RETRIES_COSTLY	2
#define RETRIES_MAYFAIL 16
#define RETRIES_MAX	10000

/* One request on its way through the zones. */
struct request {
	struct phys *phys;
	gfp_t gfp;
	unsigned order;
	unsigned nid;
	unsigned cpu;
	u64 nodemask; /* 0: any */
	enum zone_type highest;
	enum migratetype type;
	unsigned alloc_flags;
};

/* Index: the low four bits of gfp_t (DMA, HIGHMEM, DMA32, MOVABLE). */
static const u8 gfp_zones[2][16] = {
	[LAYOUT_64] = { ZONE_NORMAL, ZONE_DMA, ZONE_NORMAL, ZONE_DMA, ZONE_DMA32, ZONE_DMA,
			ZONE_DMA32, ZONE_DMA, ZONE_NORMAL, ZONE_DMA, ZONE_MOVABLE, ZONE_DMA,
			ZONE_DMA32, ZONE_DMA, ZONE_DMA32, ZONE_DMA },
	[LAYOUT_32] = { ZONE_NORMAL, ZONE_DMA, ZONE_HIGHMEM, ZONE_DMA, ZONE_NORMAL, ZONE_DMA,
			ZONE_NORMAL, ZONE_DMA, ZONE_NORMAL, ZONE_DMA, ZONE_MOVABLE, ZONE_DMA,
			ZONE_NORMAL, ZONE_DMA, ZONE_NORMAL, ZONE_DMA },
};

enum zone_type gfp_zone(const struct phys *phys, gfp_t gfp)
{
	return (enum zone_type)gfp_zones[phys->layout][gfp & 15];
}
enum migratetype gfp_migratetype(gfp_t gfp)
{
	return (enum migratetype)(gfp >> 3 & 3);
}

static inline void count_alloc(const struct request *req, struct zone *zone, struct pcp *pcp)
{
	pcp->allocated += (u64)1 << req->order;
	if (likely(req->phys->nr_nodes == 1))
		return;
	if (zone->nid == req->nid)
		pcp->numa_hit += (u64)1 << req->order;
	else
		pcp->numa_miss += (u64)1 << req->order;
	if (zone->nid == req->phys->cpu_node[req->cpu])
		pcp->numa_local += (u64)1 << req->order;
	else
		pcp->numa_other += (u64)1 << req->order;
}

/* From the CPU's ring: a frame number with FRAME_FRESH, or PFN_NONE. */
static inline pfn_t take_ring(const struct request *req, struct zone *zone, struct pcp *pcp,
			      int index)
{
	struct pcp_ring *ring = &pcp->rings[index];
	pfn_t entry = PFN_NONE;

	lock_take(&pcp->lock);
	if (likely(ring_count(ring)) || pcp_refill(zone, pcp, index, req->alloc_flags)) {
		entry = ring->frames[--ring->newest & ring->mask];
		count_alloc(req, zone, pcp);
	}
	lock_give(&pcp->lock);
	return entry;
}

static no_inline pfn_t take_zone(const struct request *req, struct zone *zone, struct pcp *pcp)
{
	pfn_t pfn;

	lock_take(&zone->lock);
	pfn = buddy_take(zone, req->order, req->type, req->alloc_flags);
	lock_give(&zone->lock);
	if (pfn == PFN_NONE)
		return pfn;
	lock_take(&pcp->lock);
	count_alloc(req, zone, pcp);
	lock_give(&pcp->lock);
	return pfn;
}

/*
 * Fresh bits of a larger block. The bits of a taken block change no more, so that looking needs no
 * lock.
 */
static no_inline bool block_is_fresh(struct zone *zone, pfn_t pfn, unsigned order)
{
	bool fresh;

	if (likely(!fresh_any(zone->phys, pfn, order)))
		return false;
	lock_take(&zone->lock);
	fresh = fresh_take(zone->phys, pfn, order);
	lock_give(&zone->lock);
	return fresh;
}

static inline struct page *take_from(const struct request *req, struct zone *zone)
{
	struct pcp *pcp = zone->pcp[req->cpu];
	int index = pcp_ring_index(req->type, req->order);
	bool fresh;
	pfn_t pfn;

	if (likely(index >= 0) && likely(!(req->alloc_flags & ALLOC_HIGHATOMIC)))
		pfn = take_ring(req, zone, pcp, index);
	else
		pfn = take_zone(req, zone, pcp);
	if (unlikely(pfn == PFN_NONE))
		return NULL;
	fresh = req->order ? block_is_fresh(zone, pfn, req->order) : pfn & FRAME_FRESH;
	return prepare_page(zone, pfn & ~(pfn_t)FRAME_FRESH, fresh ? PAGE_FLAG(PG_hostzero) : 0);
}

static inline bool zone_allowed(const struct request *req, const struct zone *zone)
{
	if (req->gfp & __GFP_THISNODE && zone->nid != req->nid)
		return false;
	return !req->nodemask || req->nodemask >> zone->nid & 1;
}

static inline bool zone_has_room(const struct request *req, const struct zone *zone,
				 enum zone_watermark mark)
{
	if (req->alloc_flags & ALLOC_NO_WATERMARKS)
		return true;
	return zone_watermark_ok(zone, req->order, zone_wmark(zone, mark), req->highest,
				 req->alloc_flags);
}

/* The first zone of the list that stays above the mark. Linux: get_page_from_freelist(). */
static inline struct page *take_first_fit(const struct request *req, enum zone_watermark mark)
{
	struct zone **at = req->phys->nodes[req->nid]->zonelist[req->highest].zones;
	struct page *page;

	for (; *at; at++) {
		if (!zone_allowed(req, *at) || !zone_has_room(req, *at, mark))
			continue;
		page = take_from(req, *at);
		if (likely(page))
			return page;
	}
	return NULL;
}

static void wake_kswapd(const struct request *req)
{
	struct zone **at = req->phys->nodes[req->nid]->zonelist[req->highest].zones;
	struct node *node;

	for (; *at; at++) {
		if (!zone_allowed(req, *at))
			continue;
		node = (*at)->node;
		__atomic_store_n(&node->kswapd_wanted, 1, __ATOMIC_RELAXED);
		if (node->kswapd_order < req->order)
			__atomic_store_n(&node->kswapd_order, req->order, __ATOMIC_RELAXED);
		if (node->kswapd_highest < req->highest)
			__atomic_store_n(&node->kswapd_highest, req->highest, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&req->phys->kswapd_wanted, 1, __ATOMIC_RELAXED);
}

/* What the request may do below the low watermark. Linux: gfp_to_alloc_flags(). */
static unsigned slow_flags(const struct request *req)
{
	unsigned flags = req->alloc_flags & ALLOC_CMA;

	if (req->gfp & __GFP_MEMALLOC && !(req->gfp & __GFP_NOMEMALLOC))
		flags |= ALLOC_NO_WATERMARKS;
	if (req->gfp & __GFP_HIGH)
		flags |= ALLOC_MIN_RESERVE;
	if (!(req->gfp & __GFP_DIRECT_RECLAIM) && !(req->gfp & __GFP_NOMEMALLOC)) {
		flags |= ALLOC_NON_BLOCK;
		if (req->order > 0 && req->gfp & __GFP_HIGH)
			flags |= ALLOC_HIGHATOMIC;
	}
	return flags;
}

static unsigned retries_allowed(const struct request *req)
{
	if (req->gfp & __GFP_NORETRY)
		return 1;
	if (req->order > COSTLY_ORDER)
		return req->gfp & __GFP_RETRY_MAYFAIL ? RETRIES_MAYFAIL : RETRIES_COSTLY;
	return RETRIES_MAX;
}

/* Relieve pressure and try again for as long as it helps. */
static struct page *take_with_relief(struct request *req)
{
	unsigned left = retries_allowed(req);
	struct page *page = NULL;

	while (!page && left-- > 0) {
		if (pressure_relieve(req->phys, req->gfp, req->order) == PRESSURE_FAIL)
			break;
		page = take_first_fit(req, WMARK_MIN);
		if (!page) {
			drain_all_pages(req->phys);
			page = take_first_fit(req, WMARK_MIN);
		}
	}
	if (!page && req->gfp & __GFP_NOFAIL) {
		req->alloc_flags |= ALLOC_NO_WATERMARKS;
		page = take_first_fit(req, WMARK_MIN);
		require(page != NULL);
	}
	return page;
}

static void report_failure(const struct request *req)
{
	stat_add_atomic(&req->phys->stat, QUIRE_ALLOC_FAIL, 1);
	if (!(req->gfp & __GFP_NOWARN))
		phys_log(req->phys, "page allocation failure: order:%u, mode:0x%x, nodemask=0x%lx",
			 req->order, req->gfp, (unsigned long)req->nodemask);
}

static no_inline struct page *take_slowly(struct request *req)
{
	struct page *page;

	if (req->gfp & __GFP_KSWAPD_RECLAIM)
		wake_kswapd(req);
	req->alloc_flags = slow_flags(req);
	page = take_first_fit(req, WMARK_MIN);
	if (!page && req->gfp & __GFP_DIRECT_RECLAIM && !(req->alloc_flags & ALLOC_NO_WATERMARKS))
		page = take_with_relief(req);
	if (!page)
		report_failure(req);
	return page;
}

static no_inline bool fault_injected(struct phys *phys)
{
	if (__atomic_sub_fetch(&phys->fault.nth, 1, __ATOMIC_RELAXED))
		return false;
	phys->fault.nth = phys->fault.interval;
	phys->fault.failed++;
	return true;
}

static no_inline void zero_block(struct phys *phys, struct page *page, unsigned order)
{
	memset(page_address(phys, page), 0, (size_t)PAGE_SIZE << order);
}

/* Head and tails of a new compound page. */
static no_inline void make_compound(struct phys *phys, struct page *head, unsigned order)
{
	struct zone *zone = page_zone(phys, head);
	pfn_t pfn = page_to_pfn(phys, head), i;
	struct page *tail;

	for (i = 1; i < (pfn_t)1 << order; i++) {
		tail = prepare_page(zone, pfn + i,
				    PAGE_FLAG(PG_tail) | (head->flags & PAGE_FLAG(PG_hostzero)));
		__atomic_store_n(&tail->refcount, 0, __ATOMIC_RELAXED);
		tail->compound_head = head;
	}
	page_set(head, PG_head);
	head->compound_order = (u8)order;
}

static inline struct page *finish(const struct request *req, struct page *page)
{
	if (unlikely(!page))
		return NULL;
	if (unlikely(req->phys->debug))
		debug_page_allocated(req->phys, page, req->order, req->gfp);
	if (unlikely(req->gfp & __GFP_ZERO) && !page_test(page, PG_hostzero))
		zero_block(req->phys, page, req->order);
	if (unlikely(req->gfp & __GFP_COMP) && req->order)
		make_compound(req->phys, page, req->order);
	return page;
}

static inline struct page *allocate(struct phys *phys, gfp_t gfp, unsigned order, unsigned nid,
				    unsigned cpu, u64 mask)
{
	struct request req = { phys,
			       gfp,
			       order,
			       nid,
			       cpu,
			       mask,
			       gfp_zone(phys, gfp),
			       (enum migratetype)(gfp_migratetype(gfp) & phys->mobility_mask),
			       0 };
	struct page *page;

	require(order <= MAX_PAGE_ORDER);
	if (unlikely(phys->fault.nth) && fault_injected(phys))
		return NULL;
	if (req.type == MIGRATE_MOVABLE)
		req.alloc_flags = ALLOC_CMA;
	page = take_first_fit(&req, WMARK_LOW);
	if (unlikely(!page))
		page = take_slowly(&req);
	return finish(&req, page);
}

struct page *alloc_pages(struct phys *phys, gfp_t gfp, unsigned order)
{
	unsigned cpu = phys_this_cpu(phys);

	return allocate(phys, gfp, order, phys->cpu_node[cpu], cpu, 0);
}

struct page *alloc_pages_node(struct phys *phys, unsigned nid, gfp_t gfp, unsigned order)
{
	return alloc_pages_nodemask(phys, gfp, order, nid, 0);
}

struct page *alloc_pages_nodemask(struct phys *phys, gfp_t gfp, unsigned order, unsigned nid,
				  u64 nodemask)
{
	require(nid < phys->nr_nodes && phys->nodes[nid]);
	return allocate(phys, gfp, order, nid, phys_this_cpu(phys), nodemask);
}

/* --- giving back --- */

static no_inline void split_tails(struct phys *phys, struct page *head, unsigned order)
{
	pfn_t pfn = page_to_pfn(phys, head), i;

	for (i = 1; i < (pfn_t)1 << order; i++)
		pfn_to_page(phys, pfn + i)->flags &= PAGE_LINK_MASK;
}

static no_inline void give_zone(struct zone *zone, struct pcp *pcp, pfn_t pfn, unsigned order)
{
	lock_take(&pcp->lock);
	pcp->freed += (u64)1 << order;
	lock_give(&pcp->lock);
	lock_take(&zone->lock);
	buddy_give(zone, pfn, order);
	lock_give(&zone->lock);
}

static inline void give_ring(struct zone *zone, struct pcp *pcp, int index, pfn_t pfn, gfp_t gfp)
{
	struct pcp_ring *ring = &pcp->rings[index];

	lock_take(&pcp->lock);
	pcp->freed += (u64)1 << pcp_ring_order(index);
	if (unlikely(ring_count(ring) > ring->mask))
		pcp_drain_ring(zone, pcp, index, ring->batch);
	if (unlikely(gfp & __GFP_COLD))
		ring->frames[--ring->oldest & ring->mask] = (u32)pfn;
	else
		ring->frames[ring->newest++ & ring->mask] = (u32)pfn;
	lock_give(&pcp->lock);
}

/* The frames of a page that nobody refers to any more. */
static inline void give(struct phys *phys, struct page *page, unsigned order, gfp_t gfp)
{
	struct zone *zone = page_zone(phys, page);
	struct pcp *pcp = zone->pcp[phys_this_cpu(phys)];
	pfn_t pfn = page_to_pfn(phys, page);
	enum migratetype type = pfn_migratetype(phys, pfn);
	int index;

	require(!(page->flags & PAGE_FLAGS_AT_FREE));
	require(page->mapcount == 0);
	if (unlikely(page_test(page, PG_head)))
		split_tails(phys, page, order);
	if (unlikely(phys->debug))
		debug_page_freed(phys, page, order);
	page->flags = (page->flags & PAGE_LINK_MASK) | PAGE_FLAG(PG_buddy);
	index = likely(type < MIGRATE_PCPTYPES) ? pcp_ring_index(type, order) : -1;
	if (likely(index >= 0))
		give_ring(zone, pcp, index, pfn, gfp);
	else
		give_zone(zone, pcp, pfn, order);
}

void __free_pages(struct phys *phys, struct page *page, unsigned order)
{
	if (unlikely(page_test(page, PG_head)))
		order = page->compound_order;
	require(page->refcount > 0);
	if (put_page_testzero(page))
		give(phys, page, order, 0);
}

void __free_pages_cold(struct phys *phys, struct page *page, unsigned order)
{
	if (page_test(page, PG_head))
		order = page->compound_order;
	require(page->refcount > 0);
	if (put_page_testzero(page))
		give(phys, page, order, __GFP_COLD);
}

void put_page(struct phys *phys, struct page *page)
{
	__free_pages(phys, compound_head(page), 0);
}

struct page *alloc_pages_at(struct phys *phys, pfn_t pfn, unsigned order, gfp_t gfp)
{
	struct request req = { phys,
			       gfp,
			       order,
			       numa_node_id(phys),
			       phys_this_cpu(phys),
			       0,
			       gfp_zone(phys, gfp),
			       MIGRATE_MOVABLE,
			       ALLOC_CMA };
	struct zone *zone;
	struct page *page;
	bool taken, fresh;

	require(is_aligned(pfn, (pfn_t)1 << order));
	if (!pfn_valid(phys, pfn) || (unlikely(phys->fault.nth) && fault_injected(phys)))
		return NULL;
	zone = pfn_zone(phys, pfn);
	if (zone->type > req.highest ||
	    !zone_watermark_ok(zone, 0, zone_wmark(zone, WMARK_LOW) + ((u64)1 << order) - 1,
			       req.highest, req.alloc_flags))
		return NULL;
	lock_take(&zone->lock);
	taken = buddy_take_at(zone, pfn, order);
	fresh = taken && fresh_take(phys, pfn, order);
	lock_give(&zone->lock);
	if (!taken)
		return NULL;
	lock_take(&zone->pcp[req.cpu]->lock);
	count_alloc(&req, zone, zone->pcp[req.cpu]);
	lock_give(&zone->pcp[req.cpu]->lock);
	page = prepare_page(zone, pfn, fresh ? PAGE_FLAG(PG_hostzero) : 0);
	return finish(&req, page);
}
