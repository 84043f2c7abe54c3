/*
 * zone.c - questions about one zone: is there enough, and what do its free blocks look like.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/framebits.h"

/* Without the lock: a guess, as good as any made before taking it. */
static unsigned read_mask(const struct zone *zone, enum migratetype type)
{
	return __atomic_load_n(&zone->order_mask[type], __ATOMIC_RELAXED);
}

static u64 read_count(const u64 *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* Whether a block of at least that order is listed under a type that the request may use. */
static bool has_block(const struct zone *zone, unsigned order, unsigned alloc_flags)
{
	unsigned mask = 0, type;

	for (type = 0; type < MIGRATE_PCPTYPES; type++)
		mask |= read_mask(zone, (enum migratetype)type);
	if (alloc_flags & ALLOC_CMA)
		mask |= read_mask(zone, MIGRATE_CMA);
	if (alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_OOM))
		mask |= read_mask(zone, MIGRATE_HIGHATOMIC);
	return mask >> order;
}

bool zone_watermark_ok(const struct zone *zone, unsigned order, u64 mark, enum zone_type highest,
		       unsigned alloc_flags)
{
	u64 unusable = ((u64)1 << order) - 1, min = mark, free = zone_free_pages(zone);

	if (!(alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_OOM)))
		unusable += read_count(&zone->nr_free_highatomic);
	if (!(alloc_flags & ALLOC_CMA))
		unusable += read_count(&zone->nr_free_cma);
	if (alloc_flags & ALLOC_MIN_RESERVE) {
		min -= min / 2;
		if (alloc_flags & ALLOC_NON_BLOCK)
			min -= min / 4;
	}
	if (alloc_flags & ALLOC_OOM)
		min -= min / 2;
	if (free <= unusable + min + zone->lowmem_reserve[highest])
		return false;
	return order == 0 || has_block(zone, order, alloc_flags);
}

static void count_zone(struct zone *zone, int type, u64 nr_blocks[NR_PAGE_ORDERS],
		       u64 *nr_pageblocks)
{
	struct phys *phys = zone->phys;
	u64 id;

	memset(nr_blocks, 0, NR_PAGE_ORDERS * sizeof(nr_blocks[0]));
	lock_take(&zone->lock);
	for (id = zone->start_pfn >> PAGEBLOCK_ORDER; id << PAGEBLOCK_ORDER < zone_end_pfn(zone);
	     id++) {
		const struct pageblock *block = &phys->blocks[id];

		if (block->zone_id != (zone->nid << PAGE_ZONE_BITS | zone->type))
			continue;
		if (type >= 0 ? block->migratetype != type : block->migratetype == MIGRATE_ISOLATE)
			continue;
		if (nr_pageblocks)
			++*nr_pageblocks;
		if (block->order == MAX_PAGE_ORDER)
			nr_blocks[MAX_PAGE_ORDER] += block->listed;
		else if (block->nr_free)
			framebits_count_blocks(phys->free_bits + id * PAGEBLOCK_WORDS, nr_blocks);
	}
	lock_give(&zone->lock);
}

void zone_free_area(struct zone *zone, u64 nr_blocks[NR_PAGE_ORDERS])
{
	count_zone(zone, -1, nr_blocks, NULL);
}

void zone_free_area_type(struct zone *zone, enum migratetype type, u64 nr_blocks[NR_PAGE_ORDERS],
			 u64 *nr_pageblocks)
{
	if (nr_pageblocks)
		*nr_pageblocks = 0;
	count_zone(zone, (int)type, nr_blocks, nr_pageblocks);
}

const char *migratetype_name(enum migratetype type)
{
	static const char *const names[MIGRATE_TYPES] = { "Unmovable",	"Movable", "Reclaimable",
							  "HighAtomic", "CMA",	   "Isolate" };

	require((unsigned)type < MIGRATE_TYPES);
	return names[type];
}
