/*
 * alloc_test.c - the page API on small machines.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "phys/buddy.h"
#include "phys/pcp.h"
#include "test/testram.h"

static void boots_and_counts(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	assert_int_equal(phys->present_pages, MIB(64));
	assert_int_equal(phys->total_pages + phys->reserved_pages, MIB(64));
	/* mem_map is 1 MiB (64-bit code); all else is small. */
	assert_in_range(phys->reserved_pages, map_pages(MIB(64)), map_pages(MIB(64)) + 64);
	assert_int_equal(nr_free_pages(phys), phys->total_pages);
	assert_int_equal(phys->nodes[0]->zones[ZONE_DMA].spanned_pages, MIB(16));
	assert_int_equal(phys->nodes[0]->zones[ZONE_DMA32].spanned_pages, MIB(48));
	phys_check(phys);
	testram_end(&t);
}

static void page_is_as_promised(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct page *page;
	void *addr;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	page = alloc_pages(phys, GFP_KERNEL, 3);
	assert_non_null(page);
	assert_int_equal(page->refcount, 1);
	assert_int_equal(page->mapcount, 0);
	assert_true(page_test(page, PG_hostzero));
	assert_int_equal(page_to_pfn(phys, page) % 8, 0);
	addr = page_address(phys, page);
	assert_ptr_equal(virt_to_page(phys, addr), page);
	assert_ptr_equal(page_zone(phys, page), &phys->nodes[0]->zones[ZONE_DMA32]);
	memset(addr, 1, 8 * PAGE_SIZE);
	__free_pages(phys, page, 3);

	/* A used frame is not known to be zero, and __GFP_ZERO makes it so. */
	page = alloc_pages(phys, GFP_KERNEL | __GFP_ZERO, 3);
	assert_ptr_equal(page_address(phys, page), addr);
	assert_false(page_test(page, PG_hostzero));
	assert_int_equal(((char *)addr)[8 * PAGE_SIZE - 1], 0);
	__free_pages(phys, page, 3);
	drain_all_pages(phys);
	phys_check(phys);
	testram_end(&t);
}

static u64 fresh_frames(struct phys *phys)
{
	u64 i, n = 0;

	for (i = 0; i < phys->max_pages / 64; i++)
		n += (u64)__builtin_popcountll(phys->fresh_bits[i]);
	return n;
}

static void fresh_frames_stay_known(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct page *page, *other;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	page = alloc_page(phys, GFP_KERNEL);
	other = alloc_page(phys, GFP_KERNEL);
	assert_ptr_equal(other, page + 1);
	assert_true(page_test(page, PG_hostzero) && page_test(other, PG_hostzero));
	__free_page(phys, page);
	__free_page(phys, other);
	drain_all_pages(phys);
	/*
	 * The rest of the batch went back untouched: of all frames exactly two are no longer fresh.
	 */
	assert_int_equal(fresh_frames(phys), phys->total_pages - 2);
	page = alloc_page(phys, GFP_KERNEL);
	assert_false(page_test(page, PG_hostzero));
	testram_end(&t);
}

static void everything_can_be_taken(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct page **pages = calloc(MIB(32), sizeof(*pages));
	u64 n = 0, i;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(32) });
	while ((pages[n] = alloc_page(phys, GFP_KERNEL | __GFP_MEMALLOC)) != NULL)
		n++;
	assert_int_equal(n, phys->total_pages);
	assert_int_equal(nr_free_pages(phys), 0);
	phys_check(phys);
	for (i = 0; i < n; i++)
		__free_page(phys, pages[(i * 7919) % n]);
	drain_all_pages(phys);
	assert_int_equal(nr_free_pages(phys), n);
	phys_check(phys);
	phys_stat_sync(phys);
	assert_int_equal(phys->stat.v[PGFREE], n);
	assert_int_equal(phys->stat.v[PGALLOC_DMA] + phys->stat.v[PGALLOC_DMA32], n);
	free(pages);
	testram_end(&t);
}

static unsigned relieved;

static enum pressure_result count_pressure(struct phys *phys, gfp_t gfp, unsigned order)
{
	relieved++;
	return PRESSURE_FAIL;
}

static void watermarks_hold(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct zone *zone;
	u64 min;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	zone = &phys->nodes[0]->zones[ZONE_DMA32];
	test_pressure = count_pressure;
	relieved = 0;
	while (!phys->kswapd_wanted)
		assert_non_null(alloc_page(phys, GFP_KERNEL));
	assert_true(zone_free_pages(zone) <= zone->watermark[WMARK_LOW] + 1);
	assert_int_equal(relieved, 0);
	while (alloc_page(phys, GFP_KERNEL))
		;
	assert_int_equal(relieved, 1);
	min = zone->watermark[WMARK_MIN];
	assert_in_range(zone_free_pages(zone), min - 63, min);
	/* Urgent requests go deeper, those that free memory take all. */
	assert_non_null(alloc_page(phys, GFP_ATOMIC));
	while (alloc_page(phys, GFP_ATOMIC))
		;
	assert_in_range(zone_free_pages(zone), min * 3 / 8 - 63, min / 2);
	assert_non_null(alloc_page(phys, GFP_KERNEL | __GFP_MEMALLOC));
	test_pressure = NULL;
	testram_end(&t);
}

static void a_block_at_a_place(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct page *page, *next;
	pfn_t pfn;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	pfn = MIB(24);
	page = alloc_pages_at(phys, pfn, 4, GFP_HIGHUSER_MOVABLE);
	assert_int_equal(page_to_pfn(phys, page), pfn);
	assert_null(alloc_pages_at(phys, pfn, 4, GFP_HIGHUSER_MOVABLE));
	next = alloc_pages_at(phys, pfn + 16, 4, GFP_HIGHUSER_MOVABLE);
	assert_ptr_equal(next, page + 16);
	assert_true(page_test(next, PG_hostzero));
	split_page(phys, next, 4);
	__free_page(phys, next + 5);
	__free_pages(phys, page, 4);
	drain_all_pages(phys);
	phys_check(phys);
	assert_null(alloc_pages_at(phys, pfn + 16, 4, GFP_HIGHUSER_MOVABLE));
	assert_int_equal(pfn_is_free(phys, pfn + 21), true);
	assert_non_null(alloc_pages_at(phys, pfn + 21, 0, GFP_HIGHUSER_MOVABLE));
	assert_non_null(alloc_pages_at(phys, MIB(32), 9, GFP_HIGHUSER_MOVABLE));
	phys_check(phys);
	testram_end(&t);
}

static void compound_pages(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct page *head;
	int i;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	head = alloc_pages(phys, GFP_HIGHUSER_MOVABLE | __GFP_COMP, 4);
	assert_int_equal(compound_order(head), 4);
	assert_ptr_equal(compound_head(head + 9), head);
	get_page(head + 9);
	assert_int_equal(page_count(head + 3), 2);
	put_page(phys, head + 1);
	put_page(phys, head);
	head = alloc_pages(phys, GFP_HIGHUSER_MOVABLE | __GFP_COMP, 4);
	split_compound(phys, head);
	for (i = 0; i < 16; i++) {
		assert_int_equal(head[i].refcount, 1);
		put_page(phys, head + i);
	}
	drain_all_pages(phys);
	assert_int_equal(nr_free_pages(phys), phys->total_pages);
	phys_check(phys);
	testram_end(&t);
}

static void misuse_is_caught(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct page *page;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64), .debug = PHYS_POISON });
	page = alloc_page(phys, GFP_KERNEL);
	__free_page(phys, page);
	EXPECT_PANIC(__free_page(phys, page));
	page = alloc_page(phys, GFP_KERNEL);
	page->mapcount = 1;
	EXPECT_PANIC(__free_page(phys, page));
	page->mapcount = 0;
	page->refcount = 1;
	page_set(page, PG_lru);
	EXPECT_PANIC(__free_page(phys, page));
	testram_end(&t);
}

enum mistake { TWICE, TWICE_BY_PUT, MAPPED, LISTED, NR_MISTAKES };

static void expect_caught(enum mistake mistake)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct page *page, *other;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	other = alloc_page(phys, GFP_KERNEL);
	page = alloc_page(phys, GFP_KERNEL);
	__free_page(phys, other);
	if (mistake == MAPPED)
		page->mapcount = 1;
	if (mistake == LISTED)
		page_set(page, PG_lru);
	__free_page(phys, page);
	assert_int_equal(page->refcount, 1);
	if (mistake == TWICE)
		__free_page(phys, page);
	if (mistake == TWICE_BY_PUT)
		EXPECT_PANIC((put_page(phys, page), settle_free_pages(phys)));
	else
		EXPECT_PANIC((void)!alloc_page(phys, GFP_KERNEL));
	testram_end(&t);
}

/* Without debugging the page is looked at later, but before anybody else gets it. */
static void misuse_is_caught_later(void **state)
{
	int mistake;

	for (mistake = 0; mistake < NR_MISTAKES; mistake++)
		expect_caught((enum mistake)mistake);
}

/* A page with a second user leaves the list again, in whatever way the list is emptied. */
static void freed_pages_with_users_stay(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	struct page *pages[40], *head;
	unsigned way, i;
	u64 held;

	for (way = 0; way < 4; way++) {
		testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
		head = alloc_pages(phys, GFP_KERNEL | __GFP_COMP, 4);
		for (i = 0; i < array_size(pages); i++)
			pages[i] = alloc_page(phys, GFP_KERNEL);
		for (i = 0; i < array_size(pages); i += 3)
			get_page(pages[i]);
		for (i = 0; i < array_size(pages); i++)
			__free_page(phys, pages[i]);
		__free_page(phys, head); /* all of it, by its head */
		held = (array_size(pages) + 2) / 3;
		if (way == 0)
			drain_all_pages(phys);
		if (way == 1)
			put_page(phys, alloc_page(phys, GFP_KERNEL));
		if (way == 2)
			settle_free_pages(phys);
		if (way < 3)
			assert_int_equal(nr_free_pages(phys), phys->total_pages - held);
		for (i = 0; i < array_size(pages); i += 3) {
			if (way < 3)
				assert_int_equal(page_count(pages[i]), 1);
			put_page(phys, pages[i]);
		}
		settle_free_pages(phys);
		assert_int_equal(nr_free_pages(phys), phys->total_pages);
		phys_check(phys);
		testram_end(&t);
	}
}

static void nth_allocation_fails(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	phys->fault.nth = 3;
	assert_non_null(alloc_page(phys, GFP_KERNEL));
	assert_non_null(alloc_page(phys, GFP_KERNEL));
	assert_null(alloc_page(phys, GFP_KERNEL));
	assert_non_null(alloc_page(phys, GFP_KERNEL));
	assert_int_equal(phys->fault.failed, 1);
	testram_end(&t);
}

static void tiny_ram_is_refused(void **state)
{
	struct testram t;

	assert_int_equal(testram_try(&t, (struct phys_config){ .nr_pages = 2 }), -PHYS_ENOMEM);
	testram_end(&t);
}

static void exact_sizes(void **state)
{
	struct testram t;
	struct phys *phys = &t.phys;
	u64 before;
	void *mem;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	before = nr_free_pages(phys);
	mem = alloc_pages_exact(phys, 5 * PAGE_SIZE + 1, GFP_KERNEL);
	assert_int_equal(nr_free_pages(phys), before - 6);
	free_pages_exact(phys, mem, 5 * PAGE_SIZE + 1);
	assert_int_equal(nr_free_pages(phys), before);
	testram_end(&t);
}

static void dirty_ram(void **state)
{
	struct testram t;
	struct page *page;
	u64 i;

	/* Used once, booted again in what is left. */
	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	memset(t.ram, 0xff, t.bytes);
	assert_int_equal(phys_boot(&t.phys, &(struct phys_config){ .ram = t.ram,
								   .nr_pages = MIB(64),
								   .ram_content = RAM_DIRTY }),
			 0);
	phys_check(&t.phys);
	for (i = 0; i < 1000; i++) {
		page = alloc_page(&t.phys, GFP_KERNEL | __GFP_ZERO);
		assert_false(page_test(page, PG_hostzero));
		assert_int_equal(((u8 *)page_address(&t.phys, page))[i], 0);
	}
	phys_check(&t.phys);
	testram_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boots_and_counts),
		cmocka_unit_test(page_is_as_promised),
		cmocka_unit_test(fresh_frames_stay_known),
		cmocka_unit_test(everything_can_be_taken),
		cmocka_unit_test(watermarks_hold),
		cmocka_unit_test(a_block_at_a_place),
		cmocka_unit_test(compound_pages),
		cmocka_unit_test(misuse_is_caught),
		cmocka_unit_test(misuse_is_caught_later),
		cmocka_unit_test(freed_pages_with_users_stay),
		cmocka_unit_test(nth_allocation_fails),
		cmocka_unit_test(tiny_ram_is_refused),
		cmocka_unit_test(exact_sizes),
		cmocka_unit_test(dirty_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
