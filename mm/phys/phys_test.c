/*
 * phys_test.c - machines of every shape: nodes, holes, memory models, layouts.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "phys/debug.h"
#include "phys/watermark.h"
#include "test/testram.h"

/* Take everything, check where it lies, give it back in another order. */
static void exercise(struct phys *phys)
{
	struct page **pages = calloc(phys->total_pages + 1, sizeof(*pages));
	u64 nr = 0, i;

	phys_check(phys);
	while ((pages[nr] =
			alloc_page(phys, GFP_HIGHUSER_MOVABLE | __GFP_MEMALLOC | __GFP_NOWARN))) {
		pfn_t pfn = page_to_pfn(phys, pages[nr]);

		assert_true(pfn_valid(phys, pfn));
		assert_ptr_equal(pfn_to_page(phys, pfn), pages[nr]);
		assert_ptr_equal(page_zone(phys, pages[nr]), pfn_zone(phys, pfn));
		assert_true(zone_spans_pfn(page_zone(phys, pages[nr]), pfn));
		*(u64 *)page_address(phys, pages[nr]) = pfn;
		nr++;
	}
	assert_int_equal(nr, phys->total_pages);
	phys_check(phys);
	for (i = 0; i < nr; i++)
		assert_int_equal(*(u64 *)page_address(phys, pages[i]), page_to_pfn(phys, pages[i]));
	for (i = 0; i < nr; i++)
		__free_page(phys, pages[i]);
	free(pages);
}

static void every_model(void **state)
{
	static const enum memory_model models[] = { MEMORY_FLAT, MEMORY_DISCONTIG, MEMORY_SPARSE };
	/* Two nodes, the first with a hole, a large hole between them. */
	static const struct phys_range ranges[] = {
		{ 0, MIB(20), 0 },
		{ MIB(32), MIB(8), 0 },
		{ MIB(300), MIB(30), 1 },
	};
	struct testram t;
	unsigned i;

	for (i = 0; i < array_size(models); i++) {
		struct page **pages;
		u64 nr = 0;

		testram_boot(&t, (struct phys_config){
					 .nr_pages = MIB(330),
					 .ranges = ranges,
					 .nr_ranges = 3,
					 .model = models[i],
				 });
		assert_int_equal(t.phys.nr_nodes, 2);
		assert_int_equal(t.phys.present_pages, MIB(58));
		assert_int_equal(t.phys.nodes[0]->spanned_pages, MIB(40));
		assert_int_equal(t.phys.nodes[0]->present_pages, MIB(28));
		assert_int_equal(t.phys.nodes[1]->start_pfn, MIB(300));
		assert_false(pfn_valid(&t.phys, MIB(25)));
		assert_false(pfn_valid(&t.phys, MIB(200)));
		/* A flat map pays for the holes, the others do not. */
		if (models[i] == MEMORY_FLAT)
			assert_true(t.phys.reserved_pages > map_pages(MIB(330)));
		else
			assert_true(t.phys.reserved_pages < map_pages(MIB(110)));
		pages = calloc(t.phys.total_pages + 1, sizeof(*pages));
		while ((pages[nr] =
				alloc_page(&t.phys, GFP_HIGHUSER | __GFP_MEMALLOC | __GFP_NOWARN)))
			nr++;
		assert_int_equal(nr, t.phys.total_pages);
		while (nr--) {
			assert_ptr_equal(pfn_to_page(&t.phys, page_to_pfn(&t.phys, pages[nr])),
					 pages[nr]);
			assert_ptr_equal(page_zone(&t.phys, pages[nr]),
					 pfn_zone(&t.phys, page_to_pfn(&t.phys, pages[nr])));
			put_page(&t.phys, pages[nr]);
		}
		free(pages);
		drain_all_pages(&t.phys);
		assert_int_equal(nr_free_pages(&t.phys), t.phys.total_pages);
		phys_check(&t.phys);
		testram_end(&t);
	}
}

static void frames_without_pages(void **state)
{
	struct testram t;
	pfn_t *frames;
	u64 nr = 0;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(256), .model = MEMORY_NONE });
	/* 0.19 bytes per frame, and the lists. */
	assert_true(t.phys.reserved_pages < 40);
	frames = calloc(t.phys.total_pages + 1, sizeof(*frames));
	while ((frames[nr] = alloc_frames(&t.phys, GFP_HIGHUSER | __GFP_MEMALLOC | __GFP_NOWARN,
					  0)) != PFN_NONE)
		nr++;
	assert_int_equal(nr, t.phys.total_pages);
	while (nr--)
		free_frames(&t.phys, frames[nr], 0);
	free(frames);
	drain_all_pages(&t.phys);
	phys_check(&t.phys);
	testram_end(&t);
}

static void sixty_four_nodes(void **state)
{
	struct phys_range ranges[64];
	struct testram t;
	struct page *page;
	unsigned i;

	for (i = 0; i < 64; i++)
		ranges[i] = (struct phys_range){ i * MIB(4), MIB(4), i };
	testram_boot(&t, (struct phys_config){
				 .nr_pages = MIB(256),
				 .ranges = ranges,
				 .nr_ranges = 64,
				 .nr_cpus = 2,
				 .model = MEMORY_DISCONTIG,
			 });
	assert_int_equal(t.phys.nr_nodes, 64);
	for (i = 0; i < 64; i++) {
		page = alloc_pages_node(&t.phys, i, GFP_KERNEL | __GFP_THISNODE, 0);
		assert_int_equal(page_to_nid(page), i);
		put_page(&t.phys, page);
	}
	/* A full node overflows to the others, unless told not to. */
	while ((page = alloc_pages_node(&t.phys, 5, GFP_NOWAIT | __GFP_THISNODE, 0)))
		assert_int_equal(page_to_nid(page), 5);
	page = alloc_pages_node(&t.phys, 5, GFP_NOWAIT, 0);
	assert_int_equal(page_to_nid(page), 6);
	page = alloc_pages_nodemask(&t.phys, GFP_NOWAIT, 0, 5, (u64)1 << 9 | (u64)1 << 7);
	assert_int_equal(page_to_nid(page), 7);
	phys_check(&t.phys);
	testram_end(&t);
}

static void nearest_node_first(void **state)
{
	static const struct phys_range ranges[] = {
		{ 0, MIB(32), 0 },
		{ MIB(32), MIB(32), 1 },
		{ MIB(64), MIB(32), 2 },
	};
	static const u8 distances[] = { 10, 40, 20, 40, 10, 30, 20, 30, 10 };
	struct testram t;
	struct zone **zones;

	testram_boot(&t, (struct phys_config){
				 .nr_pages = MIB(96),
				 .ranges = ranges,
				 .nr_ranges = 3,
				 .distances = distances,
				 .nr_cpus = 3,
			 });
	zones = t.phys.nodes[0]->zonelist[ZONE_NORMAL].zones;
	assert_int_equal(zones[0]->nid, 0);
	assert_int_equal(zones[0]->type, ZONE_DMA32);
	assert_int_equal(zones[1]->type, ZONE_DMA);
	assert_int_equal(zones[2]->nid, 2);
	assert_int_equal(zones[3]->nid, 1);
	assert_null(zones[4]);
	assert_int_equal(node_distance(&t.phys, 1, 2), 30);
	assert_int_equal(t.phys.node_states[N_MEMORY], 7);
	assert_int_equal(t.phys.node_states[N_CPU], 7);
	testram_end(&t);
}

static void numa_counters(void **state)
{
	static const struct phys_range ranges[] = { { 0, MIB(32), 0 }, { MIB(32), MIB(32), 1 } };
	struct testram t;
	int i;

	testram_boot(&t,
		     (struct phys_config){ .nr_pages = MIB(64), .ranges = ranges, .nr_ranges = 2 });
	for (i = 0; i < 100; i++)
		put_page(&t.phys, alloc_page(&t.phys, GFP_KERNEL));
	for (i = 0; i < 10; i++)
		assert_non_null(alloc_pages_node(&t.phys, 1, GFP_KERNEL, 0));
	phys_stat_sync(&t.phys);
	assert_int_equal(t.phys.stat.v[NUMA_HIT], 110);
	assert_int_equal(t.phys.stat.v[NUMA_MISS], 0);
	assert_int_equal(t.phys.stat.v[NUMA_LOCAL], 100);
	assert_int_equal(t.phys.stat.v[NUMA_OTHER], 10);
	testram_end(&t);
}

static void layout_of_32_bits(void **state)
{
	struct testram t;
	struct zone *zones;
	struct page *page;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(1024), .layout = LAYOUT_32 });
	zones = t.phys.nodes[0]->zones;
	assert_int_equal(zones[ZONE_DMA].present_pages, MIB(16));
	assert_int_equal(zones[ZONE_NORMAL].present_pages, MIB(880));
	assert_int_equal(zones[ZONE_HIGHMEM].present_pages, MIB(128));
	assert_int_equal(zones[ZONE_DMA32].present_pages, 0);
	/* All tables are in low memory. */
	assert_int_equal(zones[ZONE_HIGHMEM].managed_pages, MIB(128));
	page = alloc_page(&t.phys, GFP_HIGHUSER);
	assert_int_equal(page_zonenum(page), ZONE_HIGHMEM);
	page = alloc_page(&t.phys, GFP_KERNEL);
	assert_int_equal(page_zonenum(page), ZONE_NORMAL);
	page = alloc_page(&t.phys, GFP_DMA);
	assert_int_equal(page_zonenum(page), ZONE_DMA);
	testram_end(&t);
}

static void movable_zone(void **state)
{
	struct testram t;
	struct zone *zone;
	struct page *page;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(128), .movable_pages = MIB(40) });
	zone = &t.phys.nodes[0]->zones[ZONE_MOVABLE];
	assert_int_equal(zone->start_pfn, MIB(88));
	assert_int_equal(zone->managed_pages, MIB(40));
	page = alloc_page(&t.phys, GFP_HIGHUSER_MOVABLE);
	assert_int_equal(page_zonenum(page), ZONE_MOVABLE);
	page = alloc_page(&t.phys, GFP_KERNEL);
	assert_int_not_equal(page_zonenum(page), ZONE_MOVABLE);
	testram_end(&t);
	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(128), .movable_pages = MIB(40) });
	exercise(&t.phys);
	testram_end(&t);
}

static void bad_configurations(void **state)
{
	static const struct phys_range overlap[] = { { 0, MIB(8), 0 }, { MIB(4), MIB(8), 0 } };
	static const struct phys_range crooked[] = { { 3, MIB(8), 0 } };
	static const struct phys_range outside[] = { { 0, MIB(65), 0 } };
	struct testram t;

	assert_int_equal(testram_try(&t, (struct phys_config){ .nr_pages = MIB(64),
							       .ranges = overlap,
							       .nr_ranges = 2 }),
			 -PHYS_EINVAL);
	testram_end(&t);
	assert_int_equal(testram_try(&t, (struct phys_config){ .nr_pages = MIB(64),
							       .ranges = crooked,
							       .nr_ranges = 1 }),
			 -PHYS_EINVAL);
	testram_end(&t);
	assert_int_equal(testram_try(&t, (struct phys_config){ .nr_pages = MIB(64),
							       .ranges = outside,
							       .nr_ranges = 1 }),
			 -PHYS_EINVAL);
	testram_end(&t);
}

static char boot_lines[4000];
static void keep_line(void *arg, const char *line)
{
	strcat(strcat(boot_lines, line), "\n");
}

static void boot_log_is_linux_like(void **state)
{
	struct testram t;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64), .log = keep_line });
	assert_non_null(
		strstr(boot_lines, "  DMA      [mem 0x0000000000000000-0x0000000000ffffff]\n"));
	assert_non_null(strstr(boot_lines, "  Normal   empty\n"));
	assert_non_null(strstr(boot_lines, "K/65536K available ("));
	testram_end(&t);
}

/* An urgent request of a high order below min leaves its pageblock to the next one. */
static void high_order_reserve(void **state)
{
	struct testram t;
	struct zone *zone;
	struct page *page;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(512) });
	zone = &t.phys.nodes[0]->zones[ZONE_DMA32];
	/* Down to min, in large blocks, so that what remains is in one piece. */
	while (alloc_pages(&t.phys, GFP_NOWAIT | __GFP_NOMEMALLOC, 5))
		;
	page = alloc_pages(&t.phys, GFP_ATOMIC, 4);
	assert_non_null(page);
	assert_int_equal(zone->nr_reserved_highatomic, 512);
	assert_int_equal(t.phys.stat.v[QUIRE_HIGHATOMIC_RESERVE], 1);
	phys_check(&t.phys);
	/* Others do not get it until all else has failed. */
	assert_null(alloc_pages(&t.phys, GFP_NOWAIT | __GFP_NOMEMALLOC, 4));
	__free_pages(&t.phys, page, 4);
	assert_non_null(alloc_pages(&t.phys, GFP_ATOMIC, 4));
	phys_check(&t.phys);
	testram_end(&t);
}

static void owners_are_remembered(void **state)
{
	const struct page_owner *owner;
	struct testram t;
	struct page *page;
	pfn_t pfn;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64), .debug = PHYS_OWNER });
	page = alloc_pages(&t.phys, GFP_USER, 2);
	pfn = page_to_pfn(&t.phys, page);
	page_owner_tag(&t.phys, page, 4711);
	owner = page_owner_of(&t.phys, pfn);
	assert_int_equal(owner->tag, 4711);
	assert_int_equal(owner->order, 2);
	assert_int_equal(owner->gfp, GFP_USER);
	assert_null(page_owner_of(&t.phys, pfn + 1));
	split_page(&t.phys, page, 2);
	__free_page(&t.phys, page);
	assert_null(page_owner_of(&t.phys, pfn));
	assert_int_equal(page_owner_of(&t.phys, pfn + 3)->tag, 4711);
	testram_end(&t);
}

static void poison_finds_late_writes(void **state)
{
	struct testram t;
	struct page *page;
	u8 *addr;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64),
					       .debug = PHYS_POISON | PHYS_OWNER });
	page = alloc_page(&t.phys, GFP_KERNEL);
	addr = page_address(&t.phys, page);
	memset(addr, 1, PAGE_SIZE);
	__free_page(&t.phys, page);
	assert_int_equal(addr[100], 0xaa);
	addr[100] = 1;
	EXPECT_PANIC((void)!alloc_page(&t.phys, GFP_KERNEL));
	testram_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_model),
		cmocka_unit_test(frames_without_pages),
		cmocka_unit_test(sixty_four_nodes),
		cmocka_unit_test(nearest_node_first),
		cmocka_unit_test(numa_counters),
		cmocka_unit_test(layout_of_32_bits),
		cmocka_unit_test(movable_zone),
		cmocka_unit_test(bad_configurations),
		cmocka_unit_test(boot_log_is_linux_like),
		cmocka_unit_test(poison_finds_late_writes),
		cmocka_unit_test(high_order_reserve),
		cmocka_unit_test(owners_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
