/*
 * alloc.c - alloc_pages() and its kin: which zone, which list, and what to do when there is
 * nothing. What is handed out comes back in free.c.
 *
 * How     fast path: first zone of the zonelist above low whose per-CPU ring has a block: pop it,
 *         write the struct page. No lock is contended, nothing else is touched. slow path: wake
 *         kswapd; try down to min; relieve pressure and try again as long as that helps.
 * Holds   A1  a page handed out has refcount 1, mapcount 0, links that name its zone, and no other
 *             flag than PG_hostzero (and PG_head)
 * Locks   pcp->lock for one operation, zone->lock inside it.
 * Why     Linux: mm/page_alloc.c: get_page_from_freelist(), rmqueue(), __alloc_pages_slowpath().
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/buddy.h"
#include "phys/compact.h"
#include "phys/debug.h"
#include "phys/pcp.h"
#include "phys/prepare.h"
#include "phys/pressure.h"

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

static void count_alloc(const struct request *req, struct pcp *pcp)
{
	pcp->allocated += (u64)1 << req->order;
	if (pcp->zone->nid != req->nid) {
		pcp->numa_miss += (u64)1 << req->order;
		stat_add_atomic(&req->phys->nodes[req->nid]->stat, NUMA_FOREIGN,
				(u64)1 << req->order);
	}
	if (pcp->zone->nid != req->phys->cpu_node[req->cpu])
		pcp->numa_other += (u64)1 << req->order;
}

/* From the CPU's ring, filled from the zone if need be. */
static u32 take_ring(const struct request *req, struct pcp *pcp, int index)
{
	struct pcp_ring *ring = &pcp->rings[index];
	u32 entry = FRAME_NONE;

	lock_take(&pcp->lock);
	pcp_settle_all(pcp, ring);
	if (ring_count(ring) || pcp_refill(pcp, index, req->alloc_flags)) {
		entry = ring->frames[--ring->newest & ring->mask];
		count_alloc(req, pcp);
	}
	lock_give(&pcp->lock);
	return entry;
}

/* Straight from the zone. */
static u32 take_zone(const struct request *req, struct pcp *pcp)
{
	struct zone *zone = pcp->zone;
	pfn_t pfn;

	lock_take(&zone->lock);
	pfn = buddy_take(zone, req->order, req->type, req->alloc_flags);
	if (pfn != PFN_NONE && req->alloc_flags & ALLOC_HIGHATOMIC)
		buddy_reserve_highatomic(zone, pfn);
	lock_give(&zone->lock);
	if (pfn == PFN_NONE)
		return FRAME_NONE;
	lock_take(&pcp->lock);
	count_alloc(req, pcp);
	lock_give(&pcp->lock);
	return (u32)pfn;
}

/*
 * Fresh bits of a larger block. The bits of a taken block change no more, so that looking needs no
 * lock.
 */
static no_inline bool take_freshness(struct phys *phys, pfn_t pfn, unsigned order)
{
	struct zone *zone = pfn_zone(phys, pfn);
	bool fresh;

	lock_take(&zone->lock);
	fresh = fresh_take(phys, pfn, order);
	lock_give(&zone->lock);
	return fresh;
}

static inline bool block_is_fresh(struct phys *phys, pfn_t pfn, unsigned order)
{
	return unlikely(fresh_any(phys, pfn, order)) && take_freshness(phys, pfn, order);
}

static u32 take_from(const struct request *req, struct zone *zone)
{
	struct pcp *pcp = zone->pcp[req->cpu];
	int index = pcp_ring_index(req->type, req->order);

	if (index >= 0 && !(req->alloc_flags & ALLOC_HIGHATOMIC))
		return take_ring(req, pcp, index);
	return take_zone(req, pcp);
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
	u64 frames = zone_wmark(zone, mark);

	if (req->alloc_flags & ALLOC_NO_WATERMARKS)
		return true;
	/* Urgent ones shall not fail because of a boost. */
	if (mark == WMARK_MIN && !req->order && req->gfp & __GFP_HIGH)
		frames = zone->watermark[WMARK_MIN];
	return zone_watermark_ok(zone, req->order, frames, req->highest, req->alloc_flags);
}

/* From the first zone of the list that stays above the mark. Linux: get_page_from_freelist(). */
static u32 take_first_fit(const struct request *req, enum zone_watermark mark)
{
	struct zone **at = req->phys->nodes[req->nid]->zonelist[req->highest].zones;
	u32 entry;

	for (; *at; at++) {
		if (!zone_allowed(req, *at))
			continue;
		/* The watermark is on the line that the lock is on. */
		prefetch_write(&(*at)->lock);
		if (!zone_has_room(req, *at, mark))
			continue;
		entry = take_from(req, *at);
		if (entry != FRAME_NONE)
			return entry;
	}
	return FRAME_NONE;
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
		if (node->kswapd_zones <= req->highest)
			__atomic_store_n(&node->kswapd_zones, req->highest + 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&req->phys->kswapd_wanted, 1, __ATOMIC_RELAXED);
	if (req->order) {
		node = req->phys->nodes[req->nid];
		__atomic_store_n(&node->kcompactd_order, req->order, __ATOMIC_RELAXED);
		__atomic_store_n(&node->kcompactd_wanted, 1, __ATOMIC_RELAXED);
	}
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
	if (req->order > PAGE_ALLOC_COSTLY_ORDER)
		return req->gfp & __GFP_RETRY_MAYFAIL ? RETRIES_MAYFAIL : RETRIES_COSTLY;
	return RETRIES_MAX;
}

/* The last resort before failing: the pageblocks kept for those who cannot wait. */
static bool unreserve_highatomic(const struct request *req)
{
	struct zone **at = req->phys->nodes[req->nid]->zonelist[req->highest].zones;
	bool given = false;

	for (; *at && !given; at++) {
		lock_take(&(*at)->lock);
		given = buddy_unreserve_highatomic(*at, req->type);
		lock_give(&(*at)->lock);
	}
	return given;
}

/* Below every watermark, and what waits on lists of another type or CPU. */
static u32 take_reserves(struct request *req)
{
	u32 entry;

	req->alloc_flags |= ALLOC_NO_WATERMARKS;
	entry = take_first_fit(req, WMARK_MIN);
	if (entry != FRAME_NONE)
		return entry;
	drain_all_pages(req->phys);
	return take_first_fit(req, WMARK_MIN);
}

/* Large blocks may be had by moving pages, without losing any. */
static u32 take_by_moving(const struct request *req)
{
	if (!req->order ||
	    compact_direct(req->phys, req->gfp, req->order, req->nid) != COMPACT_SUCCESS)
		return FRAME_NONE;
	return take_first_fit(req, WMARK_MIN);
}

/* Relieve pressure and try again for as long as it helps. */
static u32 take_with_relief(struct request *req)
{
	unsigned left = retries_allowed(req);
	enum pressure_result relief;
	u32 entry = take_by_moving(req);

	while (entry == FRAME_NONE && left-- > 0) {
		relief = pressure_relieve(req->phys, req->gfp, req->order);
		if (relief == PRESSURE_RESERVES && !(req->gfp & __GFP_NOMEMALLOC))
			return take_reserves(req);
		if (relief != PRESSURE_RETRY && !unreserve_highatomic(req))
			break;
		entry = take_first_fit(req, WMARK_MIN);
		if (entry == FRAME_NONE) {
			drain_all_pages(req->phys);
			entry = take_first_fit(req, WMARK_MIN);
		}
		if (entry == FRAME_NONE)
			entry = take_by_moving(req);
	}
	if (entry == FRAME_NONE && req->gfp & __GFP_NOFAIL) {
		entry = take_reserves(req);
		require(entry != FRAME_NONE);
	}
	return entry;
}

static void report_failure(const struct request *req)
{
	stat_add_atomic(&req->phys->stat, QUIRE_ALLOC_FAIL, 1);
	if (!(req->gfp & __GFP_NOWARN))
		phys_log(req->phys, "page allocation failure: order:%u, mode:0x%x, nodemask=0x%lx",
			 req->order, req->gfp, (unsigned long)req->nodemask);
}

static u32 take_slowly(struct request *req)
{
	u32 entry;

	if (req->gfp & __GFP_KSWAPD_RECLAIM)
		wake_kswapd(req);
	req->alloc_flags = slow_flags(req);
	entry = take_first_fit(req, WMARK_MIN);
	if (entry == FRAME_NONE && req->gfp & __GFP_DIRECT_RECLAIM &&
	    !(req->alloc_flags & ALLOC_NO_WATERMARKS))
		entry = take_with_relief(req);
	if (entry == FRAME_NONE && req->alloc_flags & ALLOC_NO_WATERMARKS)
		entry = take_reserves(req);
	if (entry == FRAME_NONE)
		report_failure(req);
	return entry;
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

struct page *prepare_block(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct page *page = prepare_page(zone, pfn, 0);

	if (order)
		make_compound(zone->phys, page, order);
	return page;
}

/* Everything that most requests do not ask for. */
static no_inline void finish(struct phys *phys, struct page *page, unsigned order, gfp_t gfp)
{
	if (phys->debug)
		debug_page_allocated(phys, page, order, gfp);
	if (gfp & __GFP_ZERO && !page_test(page, PG_hostzero))
		zero_block(phys, page, order);
	if (gfp & __GFP_COMP && order)
		make_compound(phys, page, order);
}

/* The struct page of what was taken. */
static always_inline struct page *page_of(struct phys *phys, u32 entry, unsigned order, gfp_t gfp,
					  const struct zone *zone)
{
	pfn_t pfn = entry & ~FRAME_FRESH;
	bool fresh = order ? block_is_fresh(phys, pfn, order) : entry & FRAME_FRESH;
	struct page *page = prepare_page(zone, pfn, fresh ? PAGE_FLAG(PG_hostzero) : 0);

	if (unlikely(phys->debug | (gfp & (__GFP_ZERO | __GFP_COMP))))
		finish(phys, page, order, gfp);
	return page;
}

static no_inline u32 take_frames(struct phys *phys, gfp_t gfp, unsigned order, unsigned nid,
				 u64 nodemask)
{
	struct request req = {
		.phys = phys,
		.gfp = gfp,
		.order = order,
		.nid = nid,
		.cpu = phys_this_cpu(phys),
		.nodemask = nodemask,
		.highest = gfp_zone(phys, gfp),
		.type = (enum migratetype)(gfp_migratetype(gfp) & phys->mobility_mask),
	};
	u32 entry;

	require(order <= MAX_PAGE_ORDER);
	if (phys->fault.nth && fault_injected(phys))
		return FRAME_NONE;
	if (req.type == MIGRATE_MOVABLE)
		req.alloc_flags = ALLOC_CMA;
	entry = take_first_fit(&req, WMARK_LOW);
	return entry == FRAME_NONE ? take_slowly(&req) : entry;
}

/*
 * What the caller's CPU has at hand for a request on its own node. What lies there is below no
 * watermark: the zone counted it as taken when the ring was filled.
 */
static always_inline u32 take_at_hand(struct phys *phys, gfp_t gfp, unsigned order,
				      struct pcp **pcp)
{
	unsigned type = gfp_migratetype(gfp) & phys->mobility_mask;
	int index = pcp_ring_index((enum migratetype)type, order);

	*pcp = phys->first_pcp[phys_this_cpu(phys) * MAX_NR_ZONES + gfp_zone(phys, gfp)];
	if (unlikely(index < 0 || !*pcp || phys->fault.nth))
		return FRAME_NONE;
	return pcp_pop(*pcp, index, order);
}

struct page *alloc_pages(struct phys *phys, gfp_t gfp, unsigned order)
{
	struct pcp *pcp;
	u32 entry = take_at_hand(phys, gfp, order, &pcp);

	if (likely(entry != FRAME_NONE))
		return page_of(phys, entry, order, gfp, pcp->zone);
	return alloc_pages_nodemask(phys, gfp, order, numa_node_id(phys), 0);
}

struct page *alloc_pages_node(struct phys *phys, unsigned nid, gfp_t gfp, unsigned order)
{
	return alloc_pages_nodemask(phys, gfp, order, nid, 0);
}

struct page *alloc_pages_nodemask(struct phys *phys, gfp_t gfp, unsigned order, unsigned nid,
				  u64 nodemask)
{
	u32 entry;

	require(nid < phys->nr_nodes && phys->nodes[nid]);
	entry = take_frames(phys, gfp, order, nid, nodemask);
	if (entry == FRAME_NONE)
		return NULL;
	return page_of(phys, entry, order, gfp, pfn_zone(phys, entry & ~FRAME_FRESH));
}

pfn_t alloc_frames(struct phys *phys, gfp_t gfp, unsigned order)
{
	struct pcp *pcp;
	u32 entry = take_at_hand(phys, gfp, order, &pcp);

	if (unlikely(entry == FRAME_NONE)) {
		entry = take_frames(phys, gfp, order, numa_node_id(phys), 0);
		if (entry == FRAME_NONE)
			return PFN_NONE;
	}
	if (unlikely(order))
		(void)block_is_fresh(phys, entry & ~FRAME_FRESH, order);
	return entry & ~FRAME_FRESH;
}

struct page *alloc_pages_at(struct phys *phys, pfn_t pfn, unsigned order, gfp_t gfp)
{
	enum zone_type highest = gfp_zone(phys, gfp);
	struct zone *zone;
	struct pcp *pcp;
	bool taken;
	u32 fresh;

	require(is_aligned(pfn, (pfn_t)1 << order));
	if (!pfn_valid(phys, pfn) || (phys->fault.nth && fault_injected(phys)))
		return NULL;
	zone = pfn_zone(phys, pfn);
	if (zone->type > highest ||
	    !zone_watermark_ok(zone, 0, zone_wmark(zone, WMARK_LOW) + ((u64)1 << order) - 1,
			       highest, ALLOC_CMA))
		return NULL;
	lock_take(&zone->lock);
	taken = buddy_take_at(zone, pfn, order);
	lock_give(&zone->lock);
	if (!taken)
		return NULL;
	pcp = zone->pcp[phys_this_cpu(phys)];
	lock_take(&pcp->lock);
	pcp->allocated += (u64)1 << order;
	lock_give(&pcp->lock);
	fresh = !order && block_is_fresh(phys, pfn, 0) ? FRAME_FRESH : 0;
	return page_of(phys, (u32)pfn | fresh, order, gfp, zone);
}
