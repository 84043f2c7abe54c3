/*
 * pcp.c - fills and drains the per-CPU lists.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/buddy.h"
#include "phys/pageblock.h"
#include "phys/pcp.h"

#define RING_CAPACITY_MAX     1024
#define RING_WHOLE_MAX	      64 /* of order 9 */
#define PCP_HIGH_FRACTION_MIN 8 /* as Linux has it */

unsigned zone_batchsize(u64 managed_pages)
{
	u64 batch = min_u64(managed_pages >> 10, 256) / 4;

	if (batch < 1)
		batch = 1;
	batch = ((u64)1 << log2_floor(batch + batch / 2)) - 1;
	return batch ? (unsigned)batch : 1;
}

/*
 * Blocks that a ring of that order can hold: about 1/256 of the zone for single frames, fewer of
 * larger blocks; of order 9, for which the way to the zone is the longest (another CPU has had its
 * lines), a sixteenth of the zone for all CPUs together: half of what Linux lets them have.
 */
static u32 ring_capacity(u64 zone_pages, unsigned nr_cpus, unsigned order)
{
	u64 frames = clamp_u64(zone_pages / 256, 16, RING_CAPACITY_MAX);

	if (order == PAGEBLOCK_ORDER)
		return 1u << log2_floor(clamp_u64(zone_pages / PAGEBLOCK_PAGES / 16 / nr_cpus, 1,
						  RING_WHOLE_MAX));
	frames = (u64)1 << log2_floor(frames);
	return (u32)max_u64(frames >> (order ? order + 1 : 0), 2);
}

size_t pcp_bytes(u64 zone_pages, unsigned nr_cpus)
{
	size_t bytes = align_up(sizeof(struct pcp), 64);
	int i;

	for (i = 0; i < NR_PCP_RINGS; i++)
		bytes += ring_capacity(zone_pages, nr_cpus, pcp_ring_order(i)) * sizeof(u32);
	return align_up(bytes, 64);
}

void pcp_init(struct pcp *pcp, struct zone *zone, unsigned cpu, u64 zone_pages)
{
	u32 *frames = (u32 *)(void *)((u8 *)pcp + align_up(sizeof(struct pcp), 64));
	u32 capacity, batch = zone_batchsize(zone_pages);
	int i;

	memset(pcp, 0, sizeof(*pcp));
	memset(pcp->claims, 0xff, sizeof(pcp->claims)); /* PAGEBLOCK_NIL */
	pcp->zone = zone;
	pcp->quarter = (u16)((u64)cpu * NR_QUARTERS / zone->phys->nr_cpus);
	lock_init(&pcp->lock, RANK_PCP, zone->phys->locks);
	for (i = 0; i < NR_PCP_RINGS; i++) {
		unsigned order = pcp_ring_order(i);

		capacity = ring_capacity(zone_pages, zone->phys->nr_cpus, order);
		pcp->rings[i].frames = frames;
		pcp->rings[i].mask = (u16)(capacity - 1);
		pcp->rings[i].limit = capacity;
		pcp->rings[i].batch =
			(u16)clamp_u64(order > PCP_MAX_ORDER ? capacity / 2 : batch >> order, 1,
				       max_u64(capacity / 2, 1));
		frames += capacity;
	}
}

/* What a ring may hold: see set_percpu_pagelist_high_fraction(). */
static u32 ring_limit(const struct pcp *pcp, int index)
{
	const struct phys *phys = pcp->zone->phys;
	const struct pcp_ring *ring = &pcp->rings[index];
	u64 capacity = ring->mask + 1u, share;

	if (!phys->pcp_high_fraction)
		return (u32)capacity;
	share = pcp->zone->managed_pages / phys->nr_cpus / phys->pcp_high_fraction;
	share = max_u64(share >> pcp_ring_order(index), (u64)ring->batch * 4);
	return (u32)min_u64(share, capacity);
}

int set_percpu_pagelist_high_fraction(struct phys *phys, unsigned fraction)
{
	if (fraction && fraction < PCP_HIGH_FRACTION_MIN)
		return -PHYS_EINVAL;
	phys->pcp_high_fraction = fraction;
	drain_all_pages(phys);
	return 0;
}

void pcp_drain(struct pcp *pcp)
{
	int i;

	for (i = 0; i < NR_PCP_RINGS; i++) {
		struct pcp_ring *ring = &pcp->rings[i];

		__atomic_store_n(&ring->limit, ring_limit(pcp, i), __ATOMIC_RELAXED);
		if (ring_count(ring))
			pcp_drain_ring(pcp, i, ring_count(ring));
	}
	lock_take(&pcp->zone->lock);
	for (i = 0; i < MIGRATE_PCPTYPES; i++)
		pageblock_unclaim(pcp->zone, &pcp->claims[i]);
	lock_give(&pcp->zone->lock);
}

static bool is_drain_requested(const struct pcp_ring *ring)
{
	return unlikely(!__atomic_load_n(&ring->limit, __ATOMIC_RELAXED));
}

void pcp_request_drain(struct pcp *pcp)
{
	int i;

	for (i = 0; i < NR_PCP_RINGS; i++)
		__atomic_store_n(&pcp->rings[i].limit, 0, __ATOMIC_RELAXED);
}

void pcp_make_room(struct pcp *pcp, int index)
{
	if (is_drain_requested(&pcp->rings[index]))
		pcp_drain(pcp);
	else
		pcp_drain_ring(pcp, index, pcp->rings[index].batch);
}

/* The newest end is taken first: make that the lowest address. */
static void reverse(u32 *frames, u32 n)
{
	u32 i, swap;

	for (i = 0; i < n / 2; i++) {
		swap = frames[i];
		frames[i] = frames[n - 1 - i];
		frames[n - 1 - i] = swap;
	}
}

/* A batch of blocks of a ring's order from the zone. */
static u32 refill_blocks(struct pcp *pcp, struct pcp_ring *ring, enum migratetype type,
			 unsigned order, unsigned alloc_flags)
{
	struct zone *zone = pcp->zone;
	u32 n;
	pfn_t pfn;

	if (order == 0)
		return buddy_take_singles(zone, type, alloc_flags,
					  zone->phys->nr_cpus > 1 ? &pcp->claims[type] : NULL,
					  ring->frames, ring->batch);
	if (order == PAGEBLOCK_ORDER)
		return buddy_take_whole(zone, type, alloc_flags, ring->frames, ring->batch);
	for (n = 0; n < ring->batch; n++) {
		pfn = buddy_take(zone, order, type, alloc_flags);
		if (pfn == PFN_NONE)
			break;
		ring->frames[n] = (u32)pfn;
	}
	return n;
}

bool pcp_refill(struct pcp *pcp, int index, unsigned alloc_flags)
{
	struct zone *zone = pcp->zone;
	struct pcp_ring *ring = &pcp->rings[index];
	enum migratetype type = (enum migratetype)(index % MIGRATE_PCPTYPES);
	unsigned order = pcp_ring_order(index);
	u32 n, i;

	if (is_drain_requested(ring))
		pcp_drain(pcp);
	lock_take(&zone->lock);
	zone->quarter = pcp->quarter;
	n = refill_blocks(pcp, ring, type, order, alloc_flags);
	lock_give(&zone->lock);
	/* The ring was empty: it starts at its beginning, so that the batch is contiguous. */
	ring->oldest = 0;
	ring->newest = n;
	reverse(ring->frames, n);
	/* The owner's first act is to write it, and another CPU may have been the last. */
	for (i = 0; order && zone->phys->mem_map && i < n; i++)
		prefetch_write(zone->phys->mem_map + ring->frames[i]);
	return n > 0;
}

void pcp_drain_ring(struct pcp *pcp, int index, u32 nr)
{
	struct zone *zone = pcp->zone;
	struct pcp_ring *ring = &pcp->rings[index];
	unsigned order = pcp_ring_order(index);
	u32 i, first = ring->oldest & ring->mask;

	if (nr > ring_count(ring) - ring->unchecked)
		pcp_settle_all(pcp, ring);
	nr = (u32)min_u64(nr, ring_count(ring));
	for (i = 0; i < nr; i++)
		buddy_prefetch(zone->phys,
			       ring->frames[(ring->oldest + i) & ring->mask] & ~FRAME_FRESH, order);
	lock_take(&zone->lock);
	/* Up to the end of the array, then from its beginning. */
	i = (u32)min_u64(nr, ring->mask + 1u - first);
	if (order == 0) {
		buddy_give_singles(zone, ring->frames + first, i);
		buddy_give_singles(zone, ring->frames, nr - i);
	} else if (order == PAGEBLOCK_ORDER) {
		buddy_give_whole(zone, ring->frames + first, i);
		buddy_give_whole(zone, ring->frames, nr - i);
	} else {
		for (i = 0; i < nr; i++)
			buddy_give(zone, ring->frames[(ring->oldest + i) & ring->mask], order);
	}
	lock_give(&zone->lock);
	ring->oldest += nr;
}

u64 zone_pcp_pages(struct zone *zone)
{
	u64 frames = 0;
	unsigned cpu;
	int i;

	for (cpu = 0; cpu < zone->phys->nr_cpus; cpu++) {
		lock_take(&zone->pcp[cpu]->lock);
		for (i = 0; i < NR_PCP_RINGS; i++)
			frames += (u64)ring_count(&zone->pcp[cpu]->rings[i]) << pcp_ring_order(i);
		lock_give(&zone->pcp[cpu]->lock);
	}
	return frames;
}
