/*
 * sweep_test.c - one scenario that calls everything that allocates, with the first allocation
 * failing, then the second, and so on until it runs through; each time nothing may be lost.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/compact.h"
#include "phys/contig.h"
#include "phys/hotplug.h"
#include "test/testram.h"

static struct testram t;

#define KEEP 64

static struct {
	pfn_t pfn[KEEP];
	unsigned order[KEEP];
	unsigned nr;
} kept;

static void keep(struct page *page, unsigned order)
{
	if (!page)
		return;
	kept.pfn[kept.nr] = page_to_pfn(&t.phys, page);
	kept.order[kept.nr++] = order;
}

static int move_nothing(void *arg, struct phys *phys, struct page *from, struct page *to)
{
	return -PHYS_EBUSY;
}

/* Calls everything that allocates; what it gets, it gives back. */
static void scenario(void)
{
	struct phys *phys = &t.phys;
	struct page *pages[16], *page;
	struct cma cma;
	void *addr;
	unsigned i;
	pfn_t pfn;
	u64 got;

	kept.nr = 0;
	for (i = 0; i <= MAX_PAGE_ORDER; i += 5)
		keep(alloc_pages(phys, GFP_KERNEL | __GFP_NOWARN, i), i);
	keep(alloc_pages(phys, GFP_TRANSHUGE, 9), 9);
	keep(alloc_page(phys, GFP_ATOMIC | __GFP_NOWARN), 0);
	addr = get_zeroed_page(phys, GFP_KERNEL | __GFP_NOWARN);
	if (addr)
		assert_int_equal(*(u64 *)addr, 0);
	free_page(phys, addr);
	free_pages(phys, __get_free_pages(phys, GFP_KERNEL | __GFP_NOWARN, 2), 2);
	got = alloc_pages_bulk(phys, GFP_KERNEL, 16, pages);
	free_pages_bulk(phys, got, pages);
	addr = alloc_pages_exact(phys, 5 * PAGE_SIZE, GFP_KERNEL | __GFP_NOWARN);
	free_pages_exact(phys, addr, 5 * PAGE_SIZE);
	keep(alloc_pages_at(phys, MIB(40), 3, GFP_KERNEL), 3);
	/* In the way of the contiguous pages below, which are sought from the top down. */
	for (i = 0; i < 24; i++)
		keep(alloc_pages_at(phys, MIB(125) + i, 0, GFP_HIGHUSER_MOVABLE), 0);
	pfn = alloc_frames(phys, GFP_KERNEL | __GFP_NOWARN, 1);
	if (pfn != PFN_NONE)
		free_frames(phys, pfn, 1);
	page = alloc_pages(phys, GFP_KERNEL | __GFP_NOWARN, 2);
	if (page) {
		split_page(phys, page, 2);
		for (i = 0; i < 4; i++)
			__free_page(phys, page + i);
	}
	pfn = alloc_contig_pages(phys, 600, 1, 0);
	if (pfn != PFN_NONE)
		free_contig_range(phys, pfn, 600);
	if (cma_create(&cma, phys, "sweep", MIB(4), 0) == 0) {
		page = cma_alloc(&cma, 100, 2);
		if (page)
			assert_true(cma_release(&cma, page, 100));
		free_pages_exact(phys, cma.bits, cma.bits_bytes);
	}
	/* Two sections: the second failing must undo the first. */
	if (memory_add(phys, MIB(128), MIB(256), 0, ONLINE_MOVABLE) == 0)
		assert_int_equal(memory_remove(phys, MIB(128), MIB(256)), 0);
	while (kept.nr--)
		__free_pages(phys, pfn_to_page(phys, kept.pfn[kept.nr]), kept.order[kept.nr]);
}

/* Frames that a scenario leaves behind for good: the lists of a zone that got memory. */
static u64 sweep(u64 nth, u64 interval)
{
	static const struct move_ops stubborn = { .move = move_nothing };
	u64 failed, before;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(128),
					       .max_pages = MIB(384),
					       .model = MEMORY_SPARSE });
	t.phys.move_ops = &stubborn;
	scenario();
	drain_all_pages(&t.phys);
	before = nr_free_pages(&t.phys);
	t.phys.fault = (struct phys_fault){ .nth = nth, .interval = interval };
	scenario();
	failed = t.phys.fault.failed;
	t.phys.fault = (struct phys_fault){ 0 };
	drain_all_pages(&t.phys);
	assert_int_equal(nr_free_pages(&t.phys), before);
	phys_check(&t.phys);
	testram_end(&t);
	return failed;
}

static void each_allocation_fails_in_turn(void **state)
{
	u64 nth = 0;

	do
		nth++;
	while (sweep(nth, 0));
	/* There were that many to fail. */
	assert_in_range(nth, 30, 200);
	/* And all of them from some point on. */
	for (nth = 1; nth < 30; nth += 7)
		assert_true(sweep(nth, 1) > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_fails_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
