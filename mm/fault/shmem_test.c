/*
 * shmem_test.c - shared anonymous memory comes in runs, and comes back in runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include <errno.h>

#include "call/call.h"
#include "reclaim/reclaim.h"

#define PAGES 256u

static struct world w;

static u64 count(enum vm_stat_item item)
{
	return stat_read(&w.m.phys.stat, item);
}

static struct mm *shared_space(void)
{
	struct map_request req = { .addr = ARENA,
				   .len = PAGES * PAGE_SIZE,
				   .prot = 3,
				   .flags = CALL_MAP_SHARED | CALL_MAP_ANONYMOUS | CALL_MAP_FIXED };
	struct mm *mm;

	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 1024 });
	mm = world_space(&w);
	req.mapping = mapping_create_shmem(&w.m, req.len);
	assert_non_null(mm);
	assert_non_null(req.mapping);
	assert_int_equal(call_mmap(mm, &req), ARENA);
	mapping_put(req.mapping); /* the area's now */
	return mm;
}

static pfn_t frame(struct mm *mm, u64 n)
{
	pte_t *pte = table_find(&mm->table, ARENA + n * PAGE_SIZE);

	return pte && pte_present(*pte) ? pte_pfn(*pte) : 0;
}

/* One touch brings an aligned run of zero pages in contiguous frames, as for private memory. */
static void zero_run(void **state)
{
	struct mm *mm = shared_space();
	u64 n, word = 1;

	(void)state;
	assert_int_equal(world_write(mm, ARENA + 9 * PAGE_SIZE, &word, 8), FAULT_DONE);
	assert_int_equal(mm->counter[MM_SHMEMPAGES], 16);
	for (n = 4; n < 20; n++) { /* ARENA lies 100 pages below a border */
		vaddr_t addr = ARENA + n * PAGE_SIZE;

		assert_true(frame(mm, n) && frame(mm, n) == frame(mm, 4) + n - 4);
		assert_int_equal(world_read(mm, addr, &word, 8), FAULT_DONE);
		assert_int_equal(word, n == 9);
	}
	assert_int_equal(count(PGFAULT), 1);
	world_check(&w);
	world_exit(mm);
	world_close(&w);
}

/* What left together comes back together; a device that fails costs nobody else a page. */
static void swapped_run(void **state)
{
	struct mm *mm = shared_space();
	u64 i, reads, word;

	(void)state;
	for (i = 0; i < PAGES; i++) {
		word = i + 1;
		assert_int_equal(world_write(mm, ARENA + i * PAGE_SIZE, &word, 8), FAULT_DONE);
	}
	for (i = 0; mm->counter[MM_SHMEMPAGES] && i < 100; i++)
		(void)reclaim_pages(&w.m, PAGES);
	assert_int_equal(w.m.swap.used, PAGES);
	w.swap.read.nth = 1;
	w.swap.read.error = EIO;
	assert_int_equal(world_read(mm, ARENA + 40 * PAGE_SIZE, &word, 8), FAULT_SIGBUS);
	assert_int_equal(w.m.swap.used, PAGES);
	reads = w.swap.reads;
	for (i = 0; i < PAGES; i++) {
		assert_int_equal(world_read(mm, ARENA + i * PAGE_SIZE, &word, 8), FAULT_DONE);
		assert_int_equal(word, i + 1);
	}
	assert_true(w.swap.reads - reads <= PAGES / 4);
	assert_int_equal(w.m.swap.used, 0);
	world_check(&w);
	world_exit(mm);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_run),
		cmocka_unit_test(swapped_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
