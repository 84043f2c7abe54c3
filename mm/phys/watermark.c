/*
 * watermark.c - computes watermarks and reserves from the knobs, by Linux's formulas (watermark.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/watermark.h"

static u64 int_sqrt(u64 x)
{
	u64 root = 0, bit = (u64)1 << 62;

	for (; bit; bit >>= 2) {
		if (x >= root + bit) {
			x -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return root;
}

u64 default_min_free_kbytes(u64 lowmem_kbytes)
{
	return clamp_u64(int_sqrt(lowmem_kbytes * 16), 128, 262144);
}

static bool is_lowmem(const struct zone *zone)
{
	return zone->type != ZONE_HIGHMEM && zone->type != ZONE_MOVABLE;
}

static u64 lowmem_pages(const struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type;
	u64 pages = 0;

	for_each_zone(phys, nid, type, zone)
		if (is_lowmem(zone))
			pages += zone->managed_pages;
	return pages;
}

static void setup_watermarks(struct zone *zone, u64 pages_min, u64 lowmem)
{
	u64 min, step;

	if (is_lowmem(zone))
		min = lowmem ? pages_min * zone->managed_pages / lowmem : 0;
	else
		min = clamp_u64(zone->managed_pages / 1024, 32, 128);
	/*
	 * Linux computes the step from the share of pages_min, also for zones whose min is clamped.
	 */
	step = lowmem ? pages_min * zone->managed_pages / lowmem / 4 : 0;
	step = max_u64(step, zone->managed_pages * zone->phys->watermark_scale_factor / 10000);
	zone->watermark[WMARK_MIN] = min;
	zone->watermark[WMARK_LOW] = min + step;
	zone->watermark[WMARK_HIGH] = min + 2 * step;
	zone->watermark[WMARK_PROMO] = min + 3 * step;
	zone->watermark_boost = 0;
}

static void setup_lowmem_reserve(struct node *node)
{
	struct phys *phys = node->phys;
	unsigned j, k;

	for (j = 0; j < MAX_NR_ZONES; j++) {
		struct zone *zone = &node->zones[j];
		u64 above = 0;

		for (k = 0; k < MAX_NR_ZONES; k++) {
			zone->lowmem_reserve[k] = 0;
			if (k <= j)
				continue;
			above += node->zones[k].managed_pages;
			if (phys->lowmem_reserve_ratio[j] && zone->managed_pages)
				zone->lowmem_reserve[k] = above / phys->lowmem_reserve_ratio[j];
		}
	}
}

void update_watermarks(struct phys *phys)
{
	u64 lowmem = lowmem_pages(phys), pages_min = phys->min_free_kbytes / (PAGE_SIZE / 1024);
	unsigned nid, type;

	for (nid = 0; nid < phys->nr_nodes; nid++) {
		if (!phys->nodes[nid])
			continue;
		for (type = 0; type < MAX_NR_ZONES; type++)
			setup_watermarks(&phys->nodes[nid]->zones[type], pages_min, lowmem);
		setup_lowmem_reserve(phys->nodes[nid]);
	}
}

void set_min_free_kbytes(struct phys *phys, u64 kbytes)
{
	phys->min_free_kbytes = kbytes;
	update_watermarks(phys);
}

/* Low memory that is not kept for emergencies. Linux: nr_free_buffer_pages(). */
static u64 free_buffer_pages(const struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type;
	u64 pages = 0;

	for_each_zone(phys, nid, type, zone)
		if (is_lowmem(zone) && zone->managed_pages > zone->watermark[WMARK_HIGH])
			pages += zone->managed_pages - zone->watermark[WMARK_HIGH];
	return pages;
}

void set_recommended_min_free_kbytes(struct phys *phys)
{
	u64 pageblocks = 0, pages, kbytes;
	struct zone *zone;
	unsigned nid, type;

	for_each_zone(phys, nid, type, zone)
		if (is_lowmem(zone))
			pageblocks += 2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES;
	pages = min_u64(pageblocks * PAGEBLOCK_PAGES, free_buffer_pages(phys) / 20);
	kbytes = pages * (PAGE_SIZE / 1024);
	if (kbytes > phys->min_free_kbytes)
		set_min_free_kbytes(phys, kbytes);
}

int set_watermark_scale_factor(struct phys *phys, unsigned factor)
{
	if (factor < 1 || factor > 3000)
		return -PHYS_EINVAL;
	phys->watermark_scale_factor = factor;
	update_watermarks(phys);
	return 0;
}

void set_lowmem_reserve_ratio(struct phys *phys, enum zone_type type, unsigned ratio)
{
	require((unsigned)type < MAX_NR_ZONES);
	phys->lowmem_reserve_ratio[type] = ratio;
	update_watermarks(phys);
}

void set_watermark_boost_factor(struct phys *phys, unsigned factor)
{
	phys->watermark_boost_factor = factor;
}

u64 node_watermark_boost(const struct node *node)
{
	u64 boost = 0;
	unsigned type;

	for (type = 0; type < MAX_NR_ZONES; type++)
		boost += __atomic_load_n(&node->zones[type].watermark_boost, __ATOMIC_RELAXED);
	return boost;
}

void lower_watermark_boost(struct node *node)
{
	unsigned type;

	for (type = 0; type < MAX_NR_ZONES; type++) {
		struct zone *zone = &node->zones[type];

		if (!zone_managed(zone))
			continue;
		lock_take(&zone->lock);
		__atomic_store_n(&zone->watermark_boost, 0, __ATOMIC_RELAXED);
		lock_give(&zone->lock);
	}
	__atomic_store_n(&node->kcompactd_order, PAGEBLOCK_ORDER, __ATOMIC_RELAXED);
	__atomic_store_n(&node->kcompactd_wanted, 1, __ATOMIC_RELAXED);
}

u64 totalreserve_pages(const struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type, k;
	u64 total = 0, most;

	for_each_zone(phys, nid, type, zone) {
		most = 0;
		for (k = type; k < MAX_NR_ZONES; k++)
			most = max_u64(most, zone->lowmem_reserve[k]);
		total += min_u64(most + zone_wmark(zone, WMARK_HIGH), zone->managed_pages);
	}
	return total;
}
