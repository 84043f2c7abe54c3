/*
 * collapse_test.c - text that was read in pieces comes side by side, and nobody notices.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "call/call.h"
#include "move/migrate.h"

#define PAGES 300u
#define STEP  32u /* pages that a fault reads ahead */

static struct world w;
static struct test_device file;
static struct mapping *map;

static u64 count(enum vm_stat_item item)
{
	return stat_read(&w.m.phys.stat, item);
}

static struct mm *text_space(void)
{
	struct map_request req = { .addr = ARENA,
				   .len = PAGES * PAGE_SIZE,
				   .prot = 5,
				   .flags = CALL_MAP_PRIVATE | CALL_MAP_FIXED,
				   .mapping = map };
	struct mm *mm = world_space(&w);

	assert_non_null(mm);
	assert_int_equal(call_mmap(mm, &req), ARENA);
	return mm;
}

static u8 byte_of(u64 n)
{
	return (u8)(n * 7 + 3);
}

static void look(struct mm *mm, u64 n)
{
	u8 byte;

	assert_int_equal(world_read(mm, ARENA + n * PAGE_SIZE + 5, &byte, 1), FAULT_DONE);
	assert_int_equal(byte, byte_of(n));
}

static unsigned int pieces(void)
{
	struct page *prev = NULL, *page;
	unsigned int nr = 0;
	u64 i;

	for (i = 0; i < PAGES; i++, prev = page) {
		page = mapping_find(map, i);
		nr += page && (!prev || page != prev + 1);
	}
	return nr;
}

/* Most of the file is read, from its end to its start: no two pieces lie in order. */
static struct mm *scattered(void)
{
	struct mm *mm;
	u64 i;

	world_open(&w, (struct world_config){ .ram_pages = 8192 });
	test_device_init(&file, PAGES * PAGE_SIZE);
	for (i = 0; i < PAGES; i++)
		memset(file.bytes + i * PAGE_SIZE, byte_of(i), PAGE_SIZE);
	map = world_file(&w, &file, 3);
	mm = text_space();
	for (i = PAGES - 20; i >= STEP && i < PAGES; i -= STEP)
		look(mm, i);
	assert_true(pieces() >= 5);
	return mm;
}

static void end(struct mm *mm)
{
	world_exit(mm);
	mapping_put(map);
	world_close(&w);
	free(file.bytes);
}

/* What programs do that start again and again: each looks here and there. */
static u64 faults_of_a_start(void)
{
	struct mm *mm = text_space();
	u64 before = count(PGFAULT), i;

	for (i = 40; i < PAGES - 20; i += 10)
		look(mm, i);
	before = count(PGFAULT) - before;
	world_exit(mm);
	return before;
}

/* After some starts all is in order, with one piece left of each run of cached pages. */
static void in_order_after_a_while(void **state)
{
	struct mm *mm = scattered();
	u64 first = faults_of_a_start(), frames = world_frames(&w), i;
	u8 mine = 99, byte;

	(void)state;
	assert_true(first >= 5);
	for (i = 0; i < 8; i++) {
		(void)faults_of_a_start();
		while (machine_tick(&w.m))
			;
	}
	assert_true(count(QUIRE_COLLAPSE) > 200);
	assert_true(pieces() <= 2);
	assert_int_equal(world_frames(&w), frames);
	assert_true(faults_of_a_start() <= 2);
	for (i = 0; i < PAGES; i++)
		look(mm, i);
	world_check(&w);
	/* A page that is written is the writer's, as before. */
	assert_int_equal(call_mprotect(mm, ARENA, PAGE_SIZE, 3), 0);
	assert_int_equal(world_write(mm, ARENA, &mine, 1), FAULT_DONE);
	assert_int_equal(world_read(mm, ARENA, &byte, 1), FAULT_DONE);
	assert_int_equal(byte, mine);
	assert_int_equal(file.bytes[0], byte_of(0));
	world_check(&w);
	end(mm);
}

/* The knob at 0: nothing moves. */
static void not_if_not_wanted(void **state)
{
	struct mm *mm = scattered();
	u64 i;

	(void)state;
	w.m.knobs.collapse_faults = 0;
	for (i = 0; i < 20; i++) {
		(void)faults_of_a_start();
		while (machine_tick(&w.m))
			;
	}
	assert_int_equal(count(QUIRE_COLLAPSE), 0);
	assert_true(pieces() >= 5);
	end(mm);
}

/* The file goes between the wish and the deed; a child just forked makes it wait. */
static void wishes(void **state)
{
	struct mm *mm = scattered(), *child;

	(void)state;
	w.m.collapse = (struct collapse_wish){ map, 0 };
	child = call_fork(mm);
	assert_non_null(child);
	world_forked(mm, child);
	collapse_step(&w.m);
	assert_int_equal(count(QUIRE_COLLAPSE), 0);
	world_adopt(child);
	collapse_step(&w.m);
	assert_true(count(QUIRE_COLLAPSE) > 200);
	world_exit(child);
	w.m.collapse = (struct collapse_wish){ map, 0 };
	map->stale = true;
	world_exit(mm);
	mapping_put(map);
	assert_null(w.m.collapse.map);
	world_close(&w);
	free(file.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order_after_a_while),
		cmocka_unit_test(not_if_not_wanted),
		cmocka_unit_test(wishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
