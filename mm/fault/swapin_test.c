/*
 * swapin_test.c - what one swap fault brings: windows, and pages mapped before they are asked for.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "call/call.h"
#include "reclaim/reclaim.h"

#define PAGES 400u

static struct world w;

static u64 count(enum vm_stat_item item)
{
	return stat_read(&w.m.phys.stat, item);
}

static void swap_all(struct mm *mm)
{
	unsigned int i;

	for (i = 0; mm->counter[MM_ANONPAGES] && i < 100; i++)
		(void)reclaim_pages(&w.m, PAGES);
	assert_int_equal(mm->counter[MM_ANONPAGES], 0);
}

/* A space of PAGES pages, each with its number in it, all of them in swap. */
static struct mm *swapped_space(void)
{
	struct map_request req = { .addr = ARENA,
				   .len = PAGES * PAGE_SIZE,
				   .prot = 3,
				   .flags =
					   CALL_MAP_PRIVATE | CALL_MAP_ANONYMOUS | CALL_MAP_FIXED };
	struct mm *mm = world_space(&w);
	u64 i;

	assert_non_null(mm);
	assert_int_equal(call_mmap(mm, &req), ARENA);
	for (i = 0; i < PAGES; i++)
		assert_int_equal(world_write(mm, ARENA + i * PAGE_SIZE, &i, sizeof(i)), FAULT_DONE);
	swap_all(mm);
	return mm;
}

static void read_page(struct mm *mm, u64 n)
{
	u64 word;

	assert_int_equal(world_read(mm, ARENA + n * PAGE_SIZE, &word, sizeof(word)), FAULT_DONE);
	assert_int_equal(word, n);
}

/* Once windows have proved right, a page costs hardly more faults than windows. */
static void in_order(void **state)
{
	struct mm *mm;
	u64 i, faults, major;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 1024 });
	mm = swapped_space();
	faults = count(PGFAULT);
	for (i = 0; i < PAGES; i++)
		read_page(mm, i);
	faults = count(PGFAULT) - faults;
	major = count(PGMAJFAULT);
	assert_in_range(major, PAGES / 8, PAGES / 4);
	assert_true(faults < major * 5 / 4); /* two a window without that */
	world_check(&w);
	world_exit(mm);
	world_close(&w);
}

/* A window lies in contiguous frames, if there are any. */
static void contiguous(void **state)
{
	unsigned int same = 0;
	struct mm *mm;
	u64 i;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 1024 });
	mm = swapped_space();
	for (i = 0; i < PAGES; i++)
		read_page(mm, i);
	for (i = 1; i < PAGES; i++) {
		pte_t *a = table_find(&mm->table, ARENA + (i - 1) * PAGE_SIZE);
		pte_t *b = table_find(&mm->table, ARENA + i * PAGE_SIZE);

		same += pte_pfn(*b) == pte_pfn(*a) + 1;
	}
	assert_true(same >= PAGES * 3 / 4);
	world_exit(mm);
	world_close(&w);
}

/* What was right once does not stay so: no page that nobody asks for is read for long. */
static void order_ends(void **state)
{
	struct mm *mm;
	u64 i, read = 0, seed = 12345;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 1024 });
	mm = swapped_space();
	for (i = 0; i < PAGES; i++)
		read_page(mm, i);
	for (i = 0; i < 100; i++) {
		if (i % 10 == 0)
			swap_all(mm);
		if (i == 80)
			read = count(PSWPIN);
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		read_page(mm, 40 * (i % 10) + (seed >> 59));
	}
	assert_in_range(count(PSWPIN) - read, 20, 40);
	world_check(&w);
	world_exit(mm);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(contiguous),
		cmocka_unit_test(order_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
