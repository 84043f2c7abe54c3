/*
 * phys.c - the machine's memory as a whole: counters and the walk that checks it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/buddy.h"
#include "phys/pcp.h"

static void sync_pcp(struct vm_stat *stat, const struct zone *zone, const struct pcp *pcp)
{
	stat_add(stat, (enum vm_stat_item)(PGALLOC_DMA + zone->type), pcp->allocated);
	stat_add(stat, PGFREE, pcp->freed);
	stat_add(stat, NUMA_HIT, pcp->allocated - pcp->numa_miss);
	stat_add(stat, NUMA_MISS, pcp->numa_miss);
	stat_add(stat, NUMA_FOREIGN, pcp->numa_miss);
	stat_add(stat, NUMA_LOCAL, pcp->allocated - pcp->numa_other);
	stat_add(stat, NUMA_OTHER, pcp->numa_other);
}

/* Adds what a zone has counted, even if its memory is offline by now. */
static void sync_zone(struct vm_stat *stat, struct zone *zone)
{
	unsigned cpu;

	if (!zone->pcp)
		return;
	for (cpu = 0; cpu < zone->phys->nr_cpus; cpu++) {
		lock_take(&zone->pcp[cpu]->lock);
		sync_pcp(stat, zone, zone->pcp[cpu]);
		lock_give(&zone->pcp[cpu]->lock);
	}
	stat_add(stat, NR_FREE_PAGES, zone_free_pages(zone));
	stat_add(stat, NR_FREE_CMA, zone->nr_free_cma);
}

void phys_stat_sync(struct phys *phys)
{
	static const enum vm_stat_item ours[] = { PGALLOC_DMA,	PGALLOC_DMA32,	 PGALLOC_NORMAL,
						  PGALLOC_HIGH, PGALLOC_MOVABLE, PGFREE,
						  NUMA_HIT,	NUMA_MISS,	 NUMA_FOREIGN,
						  NUMA_LOCAL,	NUMA_OTHER,	 NR_FREE_PAGES,
						  NR_FREE_CMA };
	unsigned nid, type, i;

	for (i = 0; i < array_size(ours); i++)
		phys->stat.v[ours[i]] = 0;
	for (i = 0; i < NR_LRU_LISTS; i++)
		phys->stat.v[NR_INACTIVE_ANON + i] = 0;
	for (nid = 0; nid < phys->nr_nodes; nid++) {
		for (i = 0; phys->nodes[nid] && i < NR_LRU_LISTS; i++)
			phys->stat.v[NR_INACTIVE_ANON + i] += phys->nodes[nid]->lruvec.nr[i];
		for (type = 0; phys->nodes[nid] && type < MAX_NR_ZONES; type++)
			sync_zone(&phys->stat, &phys->nodes[nid]->zones[type]);
	}
}

void phys_node_stat(struct phys *phys, unsigned nid, struct vm_stat *stat)
{
	struct node *node = phys->nodes[nid];
	unsigned type;

	memset(stat, 0, sizeof(*stat));
	for (type = 0; type < MAX_NR_ZONES; type++) {
		sync_zone(stat, &node->zones[type]);
		if (node->zones[type].pcp)
			stat_add(stat, NR_FREE_PAGES, zone_pcp_pages(&node->zones[type]));
	}
	stat->v[NUMA_FOREIGN] = node->stat.v[NUMA_FOREIGN];
	stat->v[NUMA_INTERLEAVE] = node->stat.v[NUMA_INTERLEAVE];
}

u64 nr_free_pages(struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type;
	u64 pages = 0;

	for_each_zone(phys, nid, type, zone)
		pages += zone_free_pages(zone) + zone_pcp_pages(zone);
	return pages;
}

u64 nr_free_buffer_pages(struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type;
	u64 pages = 0, high;

	for_each_zone(phys, nid, type, zone) {
		high = zone->watermark[WMARK_HIGH];
		if (type <= ZONE_NORMAL && zone->managed_pages > high)
			pages += zone->managed_pages - high;
	}
	return pages;
}

/* C2: a frame on a ring is not free; marks nothing, for a duplicate shows up in the sums. */
static u64 check_rings(struct zone *zone)
{
	u64 frames = 0;
	unsigned cpu;
	int i;
	u32 at;

	for (cpu = 0; cpu < zone->phys->nr_cpus; cpu++) {
		for (i = 0; i < NR_PCP_RINGS; i++) {
			const struct pcp_ring *ring = &zone->pcp[cpu]->rings[i];

			invariant(C1, ring_count(ring) <= ring->mask + 1u);
			invariant(C1, ring->unchecked <= ring_count(ring));
			for (at = ring->oldest; at != ring->newest; at++) {
				pfn_t pfn = ring->frames[at & ring->mask] & ~FRAME_FRESH;

				invariant(C2, pfn_valid(zone->phys, pfn) &&
						      pfn_zone(zone->phys, pfn) == zone);
				invariant(C2, !pfn_is_free(zone->phys, pfn));
				frames += (u64)1 << pcp_ring_order(i);
			}
		}
	}
	return frames;
}

/* C3: every claim is marked, and nothing else is: no two CPUs have the same. */
static void check_claims(const struct zone *zone)
{
	unsigned cpu, type, zone_id = zone->nid << PAGE_ZONE_BITS | zone->type;
	const struct pageblock *blocks = zone->phys->blocks;
	u64 id, claims = 0, marked = 0;

	for (cpu = 0; cpu < zone->phys->nr_cpus; cpu++) {
		for (type = 0; type < MIGRATE_PCPTYPES; type++) {
			id = zone->pcp[cpu]->claims[type];
			if (id == PAGEBLOCK_NIL || blocks[id].zone_id != zone_id)
				continue;
			invariant(C3, blocks[id].claimed);
			claims++;
		}
	}
	for (id = zone->start_pfn >> PAGEBLOCK_ORDER; id << PAGEBLOCK_ORDER < zone_end_pfn(zone);
	     id++)
		marked += blocks[id].zone_id == zone_id && blocks[id].claimed;
	invariant(C3, claims == marked);
}

/* Frames handed out by the zone's own count. */
static s64 zone_outstanding(const struct zone *zone)
{
	u64 allocated = 0, freed = 0;
	unsigned cpu;

	for (cpu = 0; cpu < zone->phys->nr_cpus; cpu++) {
		allocated += zone->pcp[cpu]->allocated;
		freed += zone->pcp[cpu]->freed;
	}
	return (s64)(allocated - freed);
}

static u64 isolated_free(const struct zone *zone)
{
	u64 id, frames = 0;

	for (id = zone->start_pfn >> PAGEBLOCK_ORDER; id << PAGEBLOCK_ORDER < zone_end_pfn(zone);
	     id++)
		if (zone->phys->blocks[id].migratetype == MIGRATE_ISOLATE &&
		    zone->phys->blocks[id].zone_id == (zone->nid << PAGE_ZONE_BITS | zone->type))
			frames += zone->phys->blocks[id].nr_free;
	return frames;
}

/* A frame in a free block is not in use; a used one is not free. */
static void check_frames(struct phys *phys, struct zone *zone)
{
	pfn_t pfn;

	if (phys->model == MEMORY_NONE)
		return;
	for (pfn = zone->start_pfn; pfn < zone_end_pfn(zone); pfn++) {
		const struct page *page;

		if (!pfn_valid(phys, pfn) || pfn_zone(phys, pfn) != zone || !pfn_is_free(phys, pfn))
			continue;
		page = pfn_to_page(phys, pfn);
		invariant(P1, page->refcount == 0 || page_test(page, PG_tail) ||
				      !page_test(page, PG_reserved));
		invariant(P1, !page_test(page, PG_reserved) && !page_test(page, PG_lru));
	}
}

void phys_check(struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type;

	for_each_zone(phys, nid, type, zone) {
		u64 rings = check_rings(zone);

		buddy_check(zone);
		check_claims(zone);
		check_frames(phys, zone);
		invariant(P2, zone_free_pages(zone) + isolated_free(zone) + rings +
					      (u64)zone_outstanding(zone) ==
				      zone->managed_pages);
	}
}
