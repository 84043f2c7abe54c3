/*
 * readahead_test.c - which pages of a file one fault brings in, and what a failing file does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "base/errno.h"
#include "store/readahead.h"

#define FILE_PAGES 300u

static struct world w;
static struct test_device file;
static struct mapping *map;

static void begin(void)
{
	u64 i;

	world_open(&w, (struct world_config){ .ram_pages = 2048 });
	test_device_init(&file, FILE_PAGES * PAGE_SIZE - 100);
	for (i = 0; i < FILE_PAGES; i++)
		memset(file.bytes + i * PAGE_SIZE, (int)(i % 251) + 1,
		       i == FILE_PAGES - 1 ? PAGE_SIZE - 100 : PAGE_SIZE);
	map = world_file(&w, &file, 3);
	assert_non_null(map);
}

static void end(void)
{
	mapping_put(map);
	world_close(&w);
	free(file.bytes);
}

/* Exactly [first, end) is cached, and holds the file's bytes. */
static void expect(u64 first, u64 end_page)
{
	u64 i;

	for (i = 0; i < FILE_PAGES; i++) {
		struct page *page = mapping_find(map, i);

		assert_int_equal(page != NULL, i >= first && i < end_page);
		if (page)
			assert_int_equal(*(u8 *)page_address(&w.m.phys, page), i % 251 + 1);
	}
}

/* 32 pages around the fault, within the file, in one transfer. */
static void around(void **state)
{
	(void)state;
	begin();
	assert_int_equal(readahead_fault(map, 100, READAHEAD_NORMAL), 0);
	expect(84, 116);
	assert_int_equal(file.reads, 1);
	assert_int_equal(readahead_fault(map, 120, READAHEAD_NORMAL), 0);
	expect(84, 136); /* what was there is not read again */
	assert_int_equal(file.pages_read, 52);
	end();
	begin();
	assert_int_equal(readahead_fault(map, 3, READAHEAD_NORMAL), 0);
	expect(0, 32);
	end();
	begin();
	assert_int_equal(readahead_fault(map, FILE_PAGES - 1, READAHEAD_NORMAL), 0);
	expect(FILE_PAGES - 17, FILE_PAGES);
	assert_int_equal(((u8 *)page_address(&w.m.phys, mapping_find(map, FILE_PAGES - 1)))[4095],
			 0); /* beyond the end: zero */
	end();
}

static void hints(void **state)
{
	(void)state;
	begin();
	assert_int_equal(readahead_fault(map, 50, READAHEAD_RANDOM), 0);
	expect(50, 51);
	end();
	begin();
	assert_int_equal(readahead_fault(map, 50, READAHEAD_SEQUENTIAL), 0);
	expect(50, 114); /* twice as far, nothing behind */
	end();
	begin();
	readahead_range(map, 280, 100); /* WILLNEED stops at the end */
	expect(280, FILE_PAGES);
	end();
}

/* Only the page that was asked for must succeed. */
static void failing_file(void **state)
{
	(void)state;
	begin();
	file.read = (struct failing){ .nth = 1, .error = EIO };
	assert_int_equal(readahead_fault(map, 100, READAHEAD_NORMAL), 0);
	expect(100, 101);
	file.read = (struct failing){ .nth = 1, .interval = 1, .error = EIO };
	assert_int_equal(readahead_fault(map, 200, READAHEAD_NORMAL), -EIO);
	expect(100, 101);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(around),
		cmocka_unit_test(hints),
		cmocka_unit_test(failing_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
