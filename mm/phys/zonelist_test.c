/*
 * zonelist_test.c - where a request's frame comes from: zone, node, migrate type, end of the list.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "phys/buddy.h"
#include "phys/pcp.h"
#include "test/testram.h"

static struct testram t;

/* The highest zone by the zone bits. Linux: GFP_ZONE_TABLE, with and without ZONE_DMA32. */
static void highest_zone(void **state)
{
	static const struct {
		gfp_t gfp;
		enum zone_type of_64, of_32;
	} rows[] = {
		{ 0, ZONE_NORMAL, ZONE_NORMAL },
		{ __GFP_DMA, ZONE_DMA, ZONE_DMA },
		{ __GFP_HIGHMEM, ZONE_NORMAL, ZONE_HIGHMEM },
		{ __GFP_DMA32, ZONE_DMA32, ZONE_NORMAL },
		{ __GFP_MOVABLE, ZONE_NORMAL, ZONE_NORMAL },
		{ __GFP_MOVABLE | __GFP_DMA, ZONE_DMA, ZONE_DMA },
		{ __GFP_MOVABLE | __GFP_HIGHMEM, ZONE_MOVABLE, ZONE_MOVABLE },
		{ __GFP_MOVABLE | __GFP_DMA32, ZONE_DMA32, ZONE_NORMAL },
	};
	unsigned i;

	for (i = 0; i < array_size(rows); i++) {
		t.phys.layout = LAYOUT_64;
		assert_int_equal(gfp_zone(&t.phys, rows[i].gfp | GFP_KERNEL), rows[i].of_64);
		t.phys.layout = LAYOUT_32;
		assert_int_equal(gfp_zone(&t.phys, rows[i].gfp | GFP_KERNEL), rows[i].of_32);
	}
	assert_int_equal(gfp_migratetype(GFP_KERNEL), MIGRATE_UNMOVABLE);
	assert_int_equal(gfp_migratetype(GFP_HIGHUSER_MOVABLE), MIGRATE_MOVABLE);
	assert_int_equal(gfp_migratetype(GFP_KERNEL | __GFP_RECLAIMABLE), MIGRATE_RECLAIMABLE);
}

/*
 * A request that cannot reclaim, until it gets no more: it goes from zone to zone downwards, down
 * to low in each, and once more, down to min; in each it leaves what that keeps from those who may
 * use a higher one.
 */
static void downwards(gfp_t gfp, const enum zone_type *order, unsigned nr)
{
	struct zone *zones = t.phys.nodes[0]->zones;
	enum zone_type highest = gfp_zone(&t.phys, gfp);
	unsigned at = 0, i;
	struct page *page;

	gfp = (gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_NOMEMALLOC | __GFP_NOWARN;
	t.phys.kswapd_wanted = 0;
	while ((page = alloc_page(&t.phys, gfp))) {
		while (page_zonenum(page) != (unsigned)order[at % nr])
			assert_true(++at < 2 * nr);
		if (nr > 1)
			assert_int_equal(t.phys.kswapd_wanted, at >= nr);
	}
	assert_int_equal(at, nr == 1 ? 0 : 2 * nr - 1);
	for (i = 0; i < nr; i++) {
		const struct zone *zone = &zones[order[i]];

		/* A batch is taken at a time. */
		assert_in_range(zone_free_pages(zone) + 63,
				zone->watermark[WMARK_MIN] + zone->lowmem_reserve[highest],
				zone->watermark[WMARK_MIN] + zone->lowmem_reserve[highest] + 63);
	}
}

static void zones_downwards(void **state)
{
	static const struct phys_config of_32 = { .nr_pages = MIB(1024),
						  .layout = LAYOUT_32,
						  .movable_pages = MIB(32) };
	static const struct phys_config of_64 = { .nr_pages = MIB(128), .movable_pages = MIB(40) };
	struct zone *zones;

	testram_boot(&t, of_32);
	downwards(GFP_HIGHUSER_MOVABLE,
		  (const enum zone_type[]){ ZONE_MOVABLE, ZONE_HIGHMEM, ZONE_NORMAL, ZONE_DMA }, 4);
	/* What the kernel alone may use it still gets, its own reserve excepted. */
	downwards(GFP_KERNEL, (const enum zone_type[]){ ZONE_NORMAL, ZONE_DMA }, 2);
	downwards(GFP_KERNEL | __GFP_DMA, (const enum zone_type[]){ ZONE_DMA }, 1);
	phys_check(&t.phys);
	testram_end(&t);

	testram_boot(&t, of_64);
	zones = t.phys.nodes[0]->zones;
	downwards(GFP_KERNEL, (const enum zone_type[]){ ZONE_DMA32, ZONE_DMA }, 2);
	drain_all_pages(&t.phys);
	assert_int_equal(zone_free_pages(&zones[ZONE_MOVABLE]), zones[ZONE_MOVABLE].managed_pages);
	testram_end(&t);
}

/* The counters of numastat when the wanted node is full. */
static void another_node(void **state)
{
	static const struct phys_range ranges[] = { { 0, MIB(32), 0 }, { MIB(32), MIB(32), 1 } };
	struct vm_stat of[2];
	struct page *page;
	u64 there = 0;

	testram_boot(&t,
		     (struct phys_config){ .nr_pages = MIB(64), .ranges = ranges, .nr_ranges = 2 });
	/* The CPU is node 0's; it wants node 1. */
	while ((page = alloc_pages_node(&t.phys, 1, GFP_NOWAIT | __GFP_THISNODE, 0)))
		there++;
	for (int i = 0; i < 7; i++) {
		page = alloc_pages_node(&t.phys, 1, GFP_NOWAIT, 0);
		assert_int_equal(page_to_nid(page), 0);
	}
	phys_node_stat(&t.phys, 0, &of[0]);
	phys_node_stat(&t.phys, 1, &of[1]);
	assert_int_equal(of[1].v[NUMA_HIT], there);
	assert_int_equal(of[1].v[NUMA_MISS], 0);
	assert_int_equal(of[1].v[NUMA_FOREIGN], 7);
	assert_int_equal(of[1].v[NUMA_OTHER], there);
	assert_int_equal(of[0].v[NUMA_HIT], 0);
	assert_int_equal(of[0].v[NUMA_MISS], 7);
	assert_int_equal(of[0].v[NUMA_FOREIGN], 0);
	assert_int_equal(of[0].v[NUMA_LOCAL], 7);
	testram_end(&t);
}

/* Both layouts in all models: a page says which section, node and zone it is of. */
static void links_in_flags(void **state)
{
	static const enum memory_model models[] = { MEMORY_FLAT, MEMORY_DISCONTIG, MEMORY_SPARSE };
	static const struct phys_range ranges[] = { { 0, MIB(160), 0 }, { MIB(300), MIB(30), 1 } };
	unsigned i, layout;
	pfn_t pfn;

	for (i = 0; i < array_size(models) * 2; i++) {
		layout = i % 2 ? LAYOUT_32 : LAYOUT_64;
		testram_boot(&t, (struct phys_config){ .nr_pages = MIB(330),
						       .ranges = ranges,
						       .nr_ranges = 2,
						       .layout = (enum memory_layout)layout,
						       .model = models[i / 2] });
		for (pfn = 0; pfn < MIB(330); pfn += 8) {
			struct page *page = alloc_pages_at(&t.phys, pfn, 3, GFP_HIGHUSER_MOVABLE);
			enum zone_type zone = pfn < MIB(16)	    ? ZONE_DMA
					      : layout == LAYOUT_32 ? ZONE_NORMAL
								    : ZONE_DMA32;

			assert_true(!page || pfn_valid(&t.phys, pfn));
			if (!page)
				continue;
			assert_int_equal(page_to_nid(page), pfn >= MIB(300));
			assert_int_equal(page_zonenum(page), zone);
			if (models[i / 2] == MEMORY_SPARSE)
				assert_int_equal(page_to_section(page), pfn / SECTION_PAGES);
			assert_int_equal(page_to_pfn(&t.phys, page), pfn);
			__free_pages(&t.phys, page, 3);
		}
		drain_all_pages(&t.phys);
		assert_int_equal(nr_free_pages(&t.phys), t.phys.total_pages);
		testram_end(&t);
	}
}

/* Freed hot, a block is the next to go out; freed cold, the last, and the first to leave. */
static void ends_of_a_list(void **state)
{
	static const unsigned orders[] = { 0, 1, 2, 3, PAGEBLOCK_ORDER };
	struct page *hot[2], *cold, *page;
	unsigned i, order;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(512) });
	for (i = 0; i < array_size(orders); i++) {
		order = orders[i];
		hot[0] = alloc_pages(&t.phys, GFP_HIGHUSER_MOVABLE, order);
		hot[1] = alloc_pages(&t.phys, GFP_HIGHUSER_MOVABLE, order);
		cold = alloc_pages(&t.phys, GFP_HIGHUSER_MOVABLE, order);
		drain_all_pages(&t.phys);
		__free_pages(&t.phys, hot[0], order);
		__free_pages_cold(&t.phys, cold, order);
		__free_pages(&t.phys, hot[1], order);
		/* Lists of other types and orders do not have it. */
		page = alloc_pages(&t.phys, GFP_KERNEL, order);
		assert_true(page != hot[0] && page != hot[1] && page != cold);
		__free_pages(&t.phys, page, order);
		assert_ptr_equal(alloc_pages(&t.phys, GFP_HIGHUSER_MOVABLE, order), hot[1]);
		assert_ptr_equal(alloc_pages(&t.phys, GFP_HIGHUSER_MOVABLE, order), hot[0]);
		assert_ptr_equal(alloc_pages(&t.phys, GFP_HIGHUSER_MOVABLE, order), cold);
	}
	/* Orders without a list merge at once. */
	for (order = PCP_MAX_ORDER + 1; order < PAGEBLOCK_ORDER; order++) {
		page = alloc_pages(&t.phys, GFP_HIGHUSER_MOVABLE, order);
		assert_false(pfn_is_free(&t.phys, page_to_pfn(&t.phys, page)));
		__free_pages(&t.phys, page, order);
		assert_true(buddy_order_at(&t.phys, page_to_pfn(&t.phys, page)) >= (int)order);
	}
	phys_check(&t.phys);
	testram_end(&t);
}

/* Where a type takes from that has nothing left: by size, and of equal ones in Linux's order. */
static void other_types(void **state)
{
	static const enum migratetype first[MIGRATE_PCPTYPES] = {
		[MIGRATE_UNMOVABLE] = MIGRATE_RECLAIMABLE,
		[MIGRATE_MOVABLE] = MIGRATE_RECLAIMABLE,
		[MIGRATE_RECLAIMABLE] = MIGRATE_UNMOVABLE,
	};
	struct zone *zone;
	unsigned type, other, k, size[2], largest;
	pfn_t pfn, at[2];

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	zone = &t.phys.nodes[0]->zones[ZONE_DMA32];
	/* Nothing but two blocks in two pageblocks that are no buddies. */
	while (buddy_take(zone, 0, MIGRATE_MOVABLE, 0) != PFN_NONE)
		;
	at[0] = MIB(32);
	at[1] = MIB(36);
	for (type = 0; type < MIGRATE_PCPTYPES; type++) {
		for (k = 0; k < 3; k++) {
			other = MIGRATE_PCPTYPES - type - first[type];
			buddy_set_type(zone, at[0] / PAGEBLOCK_PAGES, first[type]);
			buddy_set_type(zone, at[1] / PAGEBLOCK_PAGES, (enum migratetype)other);
			/* Equal, the second larger, the first larger. */
			size[0] = k == 2 ? 4 : 2;
			size[1] = k == 1 ? 4 : 2;
			buddy_give(zone, at[0], size[0]);
			buddy_give(zone, at[1], size[1]);
			/* Movable ones, which can be moved away again, take the smallest. */
			largest = k == 0 ? 0 : k == 1 ? 1 : 0;
			if (type == MIGRATE_MOVABLE && k)
				largest = !largest;
			pfn = buddy_take(zone, 0, (enum migratetype)type, 0);
			assert_int_equal(pfn / PAGEBLOCK_PAGES, at[largest] / PAGEBLOCK_PAGES);
			while (buddy_take(zone, 0, (enum migratetype)type, 0) != PFN_NONE)
				;
			buddy_check(zone);
		}
	}
	testram_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(highest_zone),	  cmocka_unit_test(zones_downwards),
		cmocka_unit_test(another_node),	  cmocka_unit_test(links_in_flags),
		cmocka_unit_test(ends_of_a_list), cmocka_unit_test(other_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
