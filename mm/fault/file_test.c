/*
 * file_test.c - a private write to a file's area takes the neighbours with it, while memory lasts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include <errno.h>

#include "call/call.h"
#include "phys/watermark.h"

/* Two pages of one aligned block of eight, a whole one, two pages of the next. */
#define PAGES 12u
#define START (ARENA + 10 * PAGE_SIZE)

static struct world w;
static struct test_device file;

static u64 count(enum vm_stat_item item)
{
	return stat_read(&w.m.phys.stat, item);
}

static struct mm *private_file(void)
{
	struct map_request req = { .addr = START,
				   .len = PAGES * PAGE_SIZE,
				   .prot = 3,
				   .flags = CALL_MAP_PRIVATE | CALL_MAP_FIXED };
	struct mm *mm;
	u64 i;

	world_open(&w, (struct world_config){ .ram_pages = 1024 });
	test_device_init(&file, PAGES * PAGE_SIZE);
	for (i = 0; i < PAGES; i++)
		file.bytes[i * PAGE_SIZE] = (u8)(i + 1);
	mm = world_space(&w);
	req.mapping = world_file(&w, &file, 3);
	assert_non_null(mm);
	assert_non_null(req.mapping);
	assert_int_equal(call_mmap(mm, &req), START);
	mapping_put(req.mapping);
	return mm;
}

static void write_page(struct mm *mm, u64 n, u8 value)
{
	assert_int_equal(world_write(mm, START + n * PAGE_SIZE + 1, &value, 1), FAULT_DONE);
}

/* All bytes are the file's but those that were written; the file's own are what they were. */
static void check_bytes(struct mm *mm, u64 written, u8 value)
{
	u8 bytes[2];
	u64 i;

	for (i = 0; i < PAGES; i++) {
		assert_int_equal(world_read(mm, START + i * PAGE_SIZE, bytes, 2), FAULT_DONE);
		assert_int_equal(bytes[0], i + 1);
		assert_int_equal(bytes[1], i == written ? value : 0);
		assert_int_equal(file.bytes[i * PAGE_SIZE + 1], 0);
	}
	world_check(&w);
}

static void close_all(struct mm *mm)
{
	world_exit(mm);
	world_close(&w);
	free(file.bytes);
}

/* One write makes its aligned block private; the other blocks stay the file's. */
static void block_at_once(void **state)
{
	struct mm *mm = private_file();
	u64 faults, i;

	(void)state;
	write_page(mm, 5, 77);
	assert_int_equal(count(PGFAULT), 1);
	assert_int_equal(mm->counter[MM_ANONPAGES], 8);
	assert_int_equal(mm->counter[MM_FILEPAGES], 0);
	for (i = 2; i < 10; i++)
		write_page(mm, i, i == 5 ? 77 : 0);
	assert_int_equal(count(PGFAULT), 1);
	faults = count(PGFAULT);
	write_page(mm, 1, 0);
	assert_int_equal(count(PGFAULT) - faults, 1);
	assert_int_equal(mm->counter[MM_ANONPAGES], 10);
	check_bytes(mm, 5, 77);
	assert_int_equal(file.reads, 1);
	close_all(mm);
}

/* Where random accesses are announced, the one page. */
static void one_page_if_random(void **state)
{
	struct mm *mm = private_file();

	(void)state;
	vma_at(mm, START)->flags |= VM_RAND_READ;
	write_page(mm, 5, 77);
	assert_int_equal(mm->counter[MM_ANONPAGES], 1);
	check_bytes(mm, 5, 77);
	close_all(mm);
}

/* Where little more is free than the high watermark: the one page. */
static void one_page_if_short(void **state)
{
	struct mm *mm = private_file();
	u64 kbytes = 1024;

	(void)state;
	for (; fault_spare_pages(&w.m) > 1; kbytes += 64)
		set_min_free_kbytes(&w.m.phys, kbytes);
	write_page(mm, 5, 77);
	assert_int_equal(mm->counter[MM_ANONPAGES], 1);
	check_bytes(mm, 5, 77);
	close_all(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_at_once),
		cmocka_unit_test(one_page_if_random),
		cmocka_unit_test(one_page_if_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
