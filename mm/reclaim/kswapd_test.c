/*
 * kswapd_test.c - when kswapd wakes and when it stops, zone by zone, and when a request has to
 * reclaim itself.
 *
 * How     A zone with the watermarks of a kernel that was watched (min 421, low 526, high 631): it
 *         woke kswapd at 526 free pages or, by what its lists take at a time, somewhat less, and
 *         kswapd stopped at 634, 637 and 727.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "call/call.h"
#include "reclaim/reclaim.h"

#define MIN_FREE_KBYTES 1684
#define MAX_SPACES	16

static struct world w;
static struct mm *spaces[MAX_SPACES];
static unsigned int nr_spaces;
static u64 nr_written;

static struct zone *zone_of(enum zone_type type)
{
	return &w.m.phys.nodes[0]->zones[type];
}

static void start(u64 ram_pages, u64 min_free_kbytes)
{
	world_open(&w, (struct world_config){ .ram_pages = ram_pages,
					      .swap_pages = 2 * ram_pages,
					      .min_free_kbytes = min_free_kbytes });
	/* Page by page, so that each frame that is taken can be seen. */
	assert_int_equal(machine_set_knob(&w.m, "fault_zero_pages", &(u64){ 1 }, 1), 0);
	w.m.phys.kswapd_wanted = 0;
	nr_spaces = 0;
	nr_written = 0;
}

static void end(void)
{
	world_check(&w);
	while (nr_spaces)
		world_exit(spaces[--nr_spaces]);
	world_close(&w);
}

/* One more page of one more program. */
static void write_page(void)
{
	struct map_request req = { .addr = ARENA,
				   .len = ARENA_PAGES * PAGE_SIZE,
				   .prot = 3,
				   .flags =
					   CALL_MAP_PRIVATE | CALL_MAP_ANONYMOUS | CALL_MAP_FIXED };
	u64 at = nr_written++ % ARENA_PAGES;

	if (!at) {
		assert_true(nr_spaces < MAX_SPACES);
		spaces[nr_spaces] = world_space(&w);
		assert_non_null(spaces[nr_spaces]);
		assert_int_equal(call_mmap(spaces[nr_spaces++], &req), ARENA);
	}
	assert_int_equal(world_write(spaces[nr_spaces - 1], ARENA + at * PAGE_SIZE, &at, 8),
			 FAULT_DONE);
}

/* kswapd until it sleeps; how many steps it took. */
static unsigned int run_kswapd(void)
{
	unsigned int steps = 0;

	for (; w.m.phys.kswapd_wanted; steps++) {
		assert_true(steps < 1000);
		(void)machine_tick(&w.m);
	}
	return steps;
}

static void wakes_at_low_stops_at_high(void **state)
{
	struct zone *zone;
	u64 before, runs;
	unsigned int turn;

	(void)state;
	start(4096, MIN_FREE_KBYTES);
	zone = zone_of(ZONE_DMA);
	assert_int_equal(zone->watermark[WMARK_MIN], 421);
	assert_int_equal(zone->watermark[WMARK_LOW], 526);
	assert_int_equal(zone->watermark[WMARK_HIGH], 631);
	for (turn = 0; turn < 3; turn++) {
		do {
			before = zone_free_pages(zone);
			write_page();
		} while (!w.m.phys.kswapd_wanted);
		/* The page, and perhaps a table for it or an object of the allocator's. */
		assert_in_range(before, 526, 526 + 4);
		assert_in_range(zone_free_pages(zone), 526 - 4, 525);
		runs = stat_read(&w.m.phys.stat, PAGEOUTRUN);
		assert_true(run_kswapd() > 1);
		assert_true(stat_read(&w.m.phys.stat, PAGEOUTRUN) > runs);
		assert_in_range(zone_free_pages(zone), 632, 727);
		/* Enough is enough: woken again it goes back to sleep. */
		before = zone_free_pages(zone);
		w.m.phys.kswapd_wanted = 1;
		assert_int_equal(run_kswapd(), 1);
		assert_int_equal(zone_free_pages(zone), before);
	}
	assert_int_equal(stat_read(&w.m.phys.stat, ALLOCSTALL_MOVABLE), 0);
	assert_int_equal(stat_read(&w.m.phys.stat, PGSCAN_DIRECT), 0);
	end();
}

/* Nobody runs kswapd: at min the request reclaims, some of a cluster more than it wants. */
static void reclaims_itself_at_min(void **state)
{
	struct zone *zone;
	u64 before;

	(void)state;
	start(4096, MIN_FREE_KBYTES);
	zone = zone_of(ZONE_DMA);
	do {
		before = zone_free_pages(zone);
		write_page();
	} while (!stat_read(&w.m.phys.stat, ALLOCSTALL_MOVABLE));
	assert_in_range(before, 421, 421 + 4);
	assert_in_range(stat_read(&w.m.phys.stat, PGSTEAL_DIRECT), 32, 61 + 32);
	assert_in_range(zone_free_pages(zone), 421 + 32 - 4, 421 + 61 + 32);
	assert_int_equal(stat_read(&w.m.phys.stat, PGSCAN_KSWAPD), 0);
	end();
}

/* Two zones: it wakes when both are low, one with its reserve, and stops when one is high. */
static void each_zone_by_its_own_marks(void **state)
{
	struct zone *dma, *dma32;
	u64 reserve;

	(void)state;
	start(8192, 2 * MIN_FREE_KBYTES);
	dma = zone_of(ZONE_DMA);
	dma32 = zone_of(ZONE_DMA32);
	reserve = dma->lowmem_reserve[ZONE_MOVABLE];
	assert_int_equal(reserve, dma32->managed_pages / 256);
	assert_int_equal(dma->watermark[WMARK_MIN],
			 842 * dma->managed_pages / (dma->managed_pages + dma32->managed_pages));
	while (!w.m.phys.kswapd_wanted) {
		assert_true(zone_free_pages(dma32) > dma32->watermark[WMARK_LOW] ||
			    zone_free_pages(dma) >= dma->watermark[WMARK_LOW] + reserve);
		write_page();
	}
	assert_in_range(dma32->watermark[WMARK_LOW] - zone_free_pages(dma32), 0, 4);
	assert_in_range(dma->watermark[WMARK_LOW] + reserve - zone_free_pages(dma), 0, 4);
	assert_true(run_kswapd() > 1);
	assert_true(zone_free_pages(dma32) > dma32->watermark[WMARK_HIGH] ||
		    zone_free_pages(dma) > dma->watermark[WMARK_HIGH] + reserve);
	end();
}

/* A request that only the lowest zone can serve: that the others have plenty does not help it. */
static void lowest_zone_alone(void **state)
{
	struct zone *dma, *dma32;
	struct page *page[4096];
	unsigned int nr = 0;

	(void)state;
	start(8192, 2 * MIN_FREE_KBYTES);
	dma = zone_of(ZONE_DMA);
	dma32 = zone_of(ZONE_DMA32);
	while (!w.m.phys.kswapd_wanted)
		write_page();
	/* The first programs are where frames were taken first. */
	world_exit(spaces[0]);
	memmove(spaces, spaces + 1, --nr_spaces * sizeof(spaces[0]));
	drain_all_pages(&w.m.phys);
	assert_true(zone_free_pages(dma32) > dma32->watermark[WMARK_HIGH] + 100);
	assert_int_equal(run_kswapd(), 1);
	while (!w.m.phys.kswapd_wanted) {
		assert_true(nr < array_size(page));
		page[nr] = alloc_page(&w.m.phys, GFP_KERNEL | GFP_DMA);
		assert_non_null(page[nr++]);
	}
	assert_in_range(dma->watermark[WMARK_LOW] - zone_free_pages(dma), 0, 4);
	assert_true(run_kswapd() > 1);
	assert_true(zone_free_pages(dma) > dma->watermark[WMARK_HIGH]);
	while (nr)
		__free_page(&w.m.phys, page[--nr]);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wakes_at_low_stops_at_high),
		cmocka_unit_test(reclaims_itself_at_min),
		cmocka_unit_test(each_zone_by_its_own_marks),
		cmocka_unit_test(lowest_zone_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
