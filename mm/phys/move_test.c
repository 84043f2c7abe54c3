/*
 * move_test.c - everything that moves pages: compaction, contiguous ranges, CMA, hotplug.
 *
 * How     The owner of the pages is a table of one word per page held; moving a page copies its
 *         content and changes the word. Each page holds its own number, so that nothing may get
 *         lost.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "phys/compact.h"
#include "phys/contig.h"
#include "phys/hotplug.h"
#include "test/testram.h"

#define HELD_MAX 40000

static struct testram t;
static struct page *held[HELD_MAX];
static u64 nr_held;

static int move_page(void *arg, struct phys *phys, struct page *from, struct page *to)
{
	if (!page_test(from, PG_private))
		return -PHYS_EBUSY;
	memcpy(page_address(phys, to), page_address(phys, from), PAGE_SIZE << compound_order(from));
	to->index = from->index;
	page_set(to, PG_private);
	held[from->index] = to;
	page_clear(from, PG_private);
	put_page(phys, from);
	return 0;
}

static const struct move_ops ops = { .move = move_page };

static void boot(struct phys_config config)
{
	testram_boot(&t, config);
	t.phys.move_ops = &ops;
	nr_held = 0;
	memset(held, 0, sizeof(held));
}

static bool hold_one(gfp_t gfp)
{
	struct page *page = alloc_page(&t.phys, gfp | __GFP_NOWARN);

	if (!page || nr_held == HELD_MAX)
		return false;
	page->index = nr_held;
	page_set(page, PG_private);
	*(u64 *)page_address(&t.phys, page) = nr_held;
	held[nr_held++] = page;
	return true;
}

static void check_held(void)
{
	u64 i;

	for (i = 0; i < nr_held; i++)
		if (held[i])
			assert_int_equal(*(u64 *)page_address(&t.phys, held[i]), i);
	phys_check(&t.phys);
}

static void drop(u64 i)
{
	page_clear(held[i], PG_private);
	put_page(&t.phys, held[i]);
	held[i] = NULL;
}

/* Fill the machine with movable pages and free all but every nth. */
static void fragment(unsigned n)
{
	u64 i;

	while (hold_one(GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM))
		;
	for (i = 0; i < nr_held; i++)
		if (i % n)
			drop(i);
	drain_all_pages(&t.phys);
}

/* extfrag_threshold 1000: memory is never scattered enough for a costly block to be made. */
static void threshold_of_compaction(void **state)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN;
	struct page *page;

	boot((struct phys_config){ .nr_pages = MIB(64) });
	fragment(4);
	t.phys.extfrag_threshold = 1000;
	assert_null(alloc_pages(&t.phys, gfp, 9));
	assert_int_equal(t.phys.stat.v[PGMIGRATE_SUCCESS], 0);
	t.phys.extfrag_threshold = 500;
	page = alloc_pages(&t.phys, gfp, 9);
	assert_non_null(page);
	assert_true(t.phys.stat.v[PGMIGRATE_SUCCESS] > 0);
	__free_pages(&t.phys, page, 9);
	check_held();
	testram_end(&t);
}

static void compaction_makes_large_blocks(void **state)
{
	struct zone *zone;

	boot((struct phys_config){ .nr_pages = MIB(64) });
	zone = &t.phys.nodes[0]->zones[ZONE_DMA32];
	fragment(4);
	assert_int_equal(unusable_free_index(zone, 9) > 900, true);
	assert_in_range(fragmentation_index(zone, 9), 500, 1000);
	compact_all(&t.phys);
	assert_int_equal(unusable_free_index(zone, 9) < 150, true);
	assert_int_equal(fragmentation_index(zone, 9), -1000);
	assert_true(t.phys.stat.v[PGMIGRATE_SUCCESS] > 500);
	check_held();
	testram_end(&t);
}

static void allocation_compacts(void **state)
{
	struct page *page;

	boot((struct phys_config){ .nr_pages = MIB(64) });
	fragment(4);
	page = alloc_pages(&t.phys, GFP_KERNEL | __GFP_NOWARN, 8);
	assert_non_null(page);
	assert_int_equal(t.phys.stat.v[COMPACTSUCCESS], 1);
	check_held();
	testram_end(&t);
}

static int split_page_of_ours(void *arg, struct phys *phys, struct page *head)
{
	u64 index = head->index, i;

	split_compound(phys, head);
	page_set(head, PG_private);
	head->index = index;
	for (i = 1; i < 8; i++) {
		page_set(head + i, PG_private);
		head[i].index = index + i;
		held[index + i] = head + i;
		*(u64 *)page_address(phys, head + i) = index + i;
	}
	return 0;
}

/*
 * Every pageblock is half large pages and half small ones, of which every second is free: room for
 * small pages, but not for one large. They move when they may be split.
 */
static void large_pages_are_split_to_move(void **state)
{
	const struct move_ops with_split = { .move = move_page, .split = split_page_of_ours };
	struct zone *zone;
	struct page *head;
	u64 i;

	boot((struct phys_config){ .nr_pages = MIB(64) });
	zone = &t.phys.nodes[0]->zones[ZONE_DMA32];
	while ((head = alloc_pages(&t.phys, GFP_TRANSHUGE_LIGHT, 3))) {
		head->index = nr_held;
		held[nr_held] = head;
		*(u64 *)page_address(&t.phys, head) = nr_held;
		page_set(head, PG_private);
		nr_held += 8;
		for (i = 0; i < 8; i++)
			(void)hold_one(GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM);
	}
	for (i = 0; i < nr_held; i++)
		if (held[i] && !page_test(held[i], PG_head) && page_to_pfn(&t.phys, held[i]) % 2)
			drop(i);
	drain_all_pages(&t.phys);
	compact_all(&t.phys);
	assert_true(unusable_free_index(zone, 9) > 900);
	check_held();
	t.phys.move_ops = &with_split;
	compact_all(&t.phys);
	assert_true(unusable_free_index(zone, 9) < 150);
	check_held();
	testram_end(&t);
}

static void background_steps_are_bounded(void **state)
{
	struct node *node;
	unsigned steps = 0;

	boot((struct phys_config){ .nr_pages = MIB(128) });
	node = t.phys.nodes[0];
	t.phys.compaction_proactiveness = 100;
	fragment(3);
	while (compact_step(node))
		steps++;
	assert_in_range(steps, 1, 20);
	assert_true(unusable_free_index(&node->zones[ZONE_DMA32], 9) < 300);
	check_held();
	testram_end(&t);
}

static void what_cannot_move_stays(void **state)
{
	struct page *pinned;
	pfn_t pfn;

	boot((struct phys_config){ .nr_pages = MIB(64) });
	pfn = MIB(24);
	pinned = alloc_pages_at(&t.phys, pfn + 5, 0, GFP_HIGHUSER_MOVABLE);
	assert_non_null(pinned);
	assert_int_equal(alloc_contig_range(&t.phys, pfn, pfn + 100), -PHYS_EBUSY);
	phys_check(&t.phys);
	assert_int_equal(alloc_contig_range(&t.phys, pfn + 6, pfn + 106), 0);
	free_contig_range(&t.phys, pfn + 6, 100);
	assert_int_equal(alloc_contig_range(&t.phys, MIB(60), MIB(70)), -PHYS_EINVAL);
	check_held();
	testram_end(&t);
}

static void contiguous_ranges_are_cleared(void **state)
{
	pfn_t pfn;
	u64 i;

	boot((struct phys_config){ .nr_pages = MIB(64) });
	fragment(3);
	assert_int_equal(alloc_contig_range(&t.phys, MIB(20) + 100, MIB(20) + 3000), 0);
	for (pfn = MIB(20) + 100; pfn < MIB(20) + 3000; pfn++) {
		assert_int_equal(pfn_to_page(&t.phys, pfn)->refcount, 1);
		memset(pfn_to_virt(&t.phys, pfn), 0xee, PAGE_SIZE);
	}
	check_held();
	free_contig_range(&t.phys, MIB(20) + 100, 2900);
	pfn = alloc_contig_pages(&t.phys, 2000, 1024, 0);
	assert_int_not_equal(pfn, PFN_NONE);
	assert_int_equal(pfn % 1024, 0);
	free_contig_range(&t.phys, pfn, 2000);
	for (i = 0; i < nr_held; i++)
		if (held[i])
			drop(i);
	drain_all_pages(&t.phys);
	assert_int_equal(nr_free_pages(&t.phys), t.phys.total_pages);
	testram_end(&t);
}

static void cma_lends_to_movable_pages(void **state)
{
	struct cma cma;
	struct zone *zone;
	struct page *page, *more;
	u64 i, inside = 0;

	boot((struct phys_config){ .nr_pages = MIB(64) });
	assert_int_equal(cma_create(&cma, &t.phys, "test", MIB(8), 0), 0);
	zone = pfn_zone(&t.phys, cma.start);
	assert_int_equal(zone->nr_free_cma, MIB(8));
	/* Unmovable pages never go there. */
	for (i = 0; i < 3000; i++) {
		page = alloc_page(&t.phys, GFP_NOWAIT);
		assert_false(page && page_to_pfn(&t.phys, page) - cma.start < MIB(8));
	}
	while (hold_one(GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM))
		inside += page_to_pfn(&t.phys, held[nr_held - 1]) - cma.start < MIB(8);
	assert_true(inside > 1000);
	for (i = 0; i < nr_held; i += 2)
		drop(i);
	page = cma_alloc(&cma, 700, 4);
	assert_non_null(page);
	more = cma_alloc(&cma, 300, 0);
	assert_non_null(more);
	assert_int_equal(cma.used_pages, 1000);
	check_held();
	assert_true(cma_release(&cma, page, 700));
	assert_true(cma_release(&cma, more, 300));
	assert_false(cma_release(&cma, held[1] ? pfn_to_page(&t.phys, cma.start - 1) : page, 1));
	assert_null(cma_alloc(&cma, MIB(8) + 1, 0));
	check_held();
	testram_end(&t);
}

static void memory_comes_and_goes(void **state)
{
	static const enum memory_model models[] = { MEMORY_FLAT, MEMORY_SPARSE };
	struct zone *zone;
	u64 total, present;
	unsigned i;

	for (i = 0; i < array_size(models); i++) {
		boot((struct phys_config){
			.nr_pages = MIB(128), .max_pages = MIB(384), .model = models[i] });
		total = t.phys.total_pages;
		present = t.phys.present_pages;
		zone = &t.phys.nodes[0]->zones[ZONE_MOVABLE];
		assert_int_equal(memory_add(&t.phys, MIB(64), MIB(128), 0, ONLINE_MOVABLE),
				 -PHYS_EBUSY);
		assert_int_equal(memory_add(&t.phys, MIB(384), MIB(128), 0, ONLINE_MOVABLE),
				 -PHYS_EINVAL);
		assert_int_equal(memory_add(&t.phys, MIB(128), MIB(128), 0, ONLINE_MOVABLE), 0);
		assert_int_equal(t.phys.present_pages, present + MIB(128));
		assert_int_equal(zone->managed_pages, 0);
		assert_int_equal(memory_online(&t.phys, MIB(128), MIB(128)), 0);
		assert_int_equal(zone->managed_pages, MIB(128));
		assert_int_equal(memory_online(&t.phys, MIB(128), MIB(128)), -PHYS_EINVAL);
		phys_check(&t.phys);
		while (nr_held < 25000 && hold_one(GFP_HIGHUSER_MOVABLE))
			;
		assert_int_equal(page_zonenum(held[0]), ZONE_MOVABLE);
		assert_int_equal(memory_remove(&t.phys, MIB(128), MIB(128)), -PHYS_EBUSY);
		assert_int_equal(memory_offline(&t.phys, MIB(128), MIB(128)), 0);
		check_held();
		assert_int_equal(zone->managed_pages, 0);
		assert_int_equal(memory_remove(&t.phys, MIB(128), MIB(128)), 0);
		assert_false(pfn_valid(&t.phys, MIB(130)));
		assert_int_equal(t.phys.total_pages, total);
		assert_int_equal(t.phys.present_pages, present);
		check_held();
		/* And again, as ordinary memory. */
		assert_int_equal(memory_add(&t.phys, MIB(128), MIB(128), 0, ONLINE_KERNEL), 0);
		assert_int_equal(memory_online(&t.phys, MIB(128), MIB(128)), 0);
		assert_int_equal(t.phys.total_pages, total + MIB(128));
		check_held();
		testram_end(&t);
	}
}

/* A node without memory gets some, is used, and loses it again. */
static void a_node_comes_and_goes(void **state)
{
	static const enum memory_model models[] = { MEMORY_FLAT, MEMORY_DISCONTIG, MEMORY_SPARSE };
	static const struct phys_range ranges[] = { { 0, MIB(128), 0 } };
	u64 total, i;

	for (i = 0; i < array_size(models); i++) {
		u64 free;

		boot((struct phys_config){ .nr_pages = MIB(128),
					   .max_pages = MIB(896),
					   .ranges = ranges,
					   .nr_ranges = 1,
					   .nr_nodes = 3,
					   .cpu_node = (const u8[]){ 0 },
					   .model = models[i] });
		total = t.phys.total_pages;
		free = nr_free_pages(&t.phys);
		assert_int_equal(t.phys.node_states[N_ONLINE], 1);
		assert_int_equal(t.phys.node_states[N_POSSIBLE], 7);
		assert_int_equal(memory_add(&t.phys, MIB(384), MIB(512), 2, ONLINE_KERNEL), 0);
		assert_int_equal(t.phys.node_states[N_ONLINE], 5);
		assert_int_equal(memory_online(&t.phys, MIB(384), MIB(512)), 0);
		assert_int_equal(t.phys.node_states[N_MEMORY], 5);
		assert_int_equal(t.phys.total_pages, total + MIB(512));
		/* The one map of a node cannot grow; the sections of SPARSEMEM can. */
		assert_int_equal(memory_add(&t.phys, MIB(256), MIB(128), 2, ONLINE_KERNEL),
				 models[i] == MEMORY_DISCONTIG ? -PHYS_EINVAL : 0);
		if (models[i] != MEMORY_DISCONTIG)
			assert_int_equal(memory_remove(&t.phys, MIB(256), MIB(128)), 0);
		while (nr_held < 20000) {
			struct page *page = alloc_pages_node(
				&t.phys, 2, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, 0);

			assert_non_null(page);
			assert_int_equal(page_to_nid(page), 2);
			page->index = nr_held;
			page_set(page, PG_private);
			*(u64 *)page_address(&t.phys, page) = nr_held;
			held[nr_held++] = page;
		}
		/* What is there moves to node 0. */
		assert_int_equal(memory_offline(&t.phys, MIB(384), MIB(512)), 0);
		assert_int_equal(page_to_nid(held[0]), 0);
		check_held();
		assert_int_equal(memory_remove(&t.phys, MIB(384), MIB(512)), 0);
		assert_int_equal(t.phys.node_states[N_ONLINE], 1);
		while (nr_held)
			drop(--nr_held);
		drain_all_pages(&t.phys);
		/* The maps came back, too; the lists of the new zone stay. */
		assert_in_range(free - nr_free_pages(&t.phys), 0, 64);
		/* Elsewhere, and again. */
		assert_int_equal(memory_add(&t.phys, MIB(256), MIB(128), 2, ONLINE_MOVABLE), 0);
		assert_int_equal(memory_online(&t.phys, MIB(256), MIB(128)), 0);
		assert_int_equal(t.phys.total_pages, total + MIB(128));
		assert_int_equal(t.phys.nodes[2]->zones[ZONE_MOVABLE].managed_pages, MIB(128));
		check_held();
		testram_end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threshold_of_compaction),
		cmocka_unit_test(compaction_makes_large_blocks),
		cmocka_unit_test(allocation_compacts),
		cmocka_unit_test(large_pages_are_split_to_move),
		cmocka_unit_test(background_steps_are_bounded),
		cmocka_unit_test(what_cannot_move_stays),
		cmocka_unit_test(contiguous_ranges_are_cleared),
		cmocka_unit_test(cma_lends_to_movable_pages),
		cmocka_unit_test(memory_comes_and_goes),
		cmocka_unit_test(a_node_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
