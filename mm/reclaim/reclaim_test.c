/*
 * reclaim_test.c - who is evicted, who stays, and whom the OOM killer chooses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "call/call.h"
#include "reclaim/reclaim.h"

static struct world w;

static struct mm *space_with(unsigned int pages)
{
	struct map_request req = { .addr = ARENA,
				   .len = pages * PAGE_SIZE,
				   .prot = 3,
				   .flags =
					   CALL_MAP_PRIVATE | CALL_MAP_ANONYMOUS | CALL_MAP_FIXED };
	struct mm *mm = world_space(&w);

	assert_non_null(mm);
	assert_int_equal(call_mmap(mm, &req), ARENA);
	return mm;
}

static void write_pages(struct mm *mm, unsigned int first, unsigned int nr)
{
	u64 i;

	for (i = first; i < first + nr; i++)
		assert_int_equal(world_write(mm, ARENA + i * PAGE_SIZE, &i, sizeof(i)), FAULT_DONE);
}

static bool resident(struct mm *mm, unsigned int n)
{
	pte_t *pte = table_find(&mm->table, ARENA + n * PAGE_SIZE);

	return pte && pte_present(*pte);
}

/* Pages that are used between two looks stay; those that are not go, oldest first. */
static void second_chance(void **state)
{
	unsigned int round, n, hot = 0, cold = 0;
	struct mm *mm;
	u64 got;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 1024 });
	mm = space_with(200);
	write_pages(mm, 0, 200);
	for (round = 0; round < 12; round++) {
		u64 word;

		for (n = 0; n < 40; n++) /* the working set */
			assert_int_equal(world_read(mm, ARENA + n * PAGE_SIZE, &word, 8),
					 FAULT_DONE);
		(void)reclaim_pages(&w.m, 16);
	}
	for (n = 0; n < 200; n++)
		*(n < 40 ? &hot : &cold) += resident(mm, n);
	assert_true(hot >= 24); /* of 40 */
	assert_true(cold * 40 * 3 < hot * 160); /* of 160: a third of the others' share at most */
	write_pages(mm, 0, 200); /* everything comes back as it was */
	for (round = 0, got = 0; round < 4; round++)
		got += reclaim_pages(&w.m, 1000);
	assert_true(got >= 190); /* nobody uses anything now: all of it can go */
	world_check(&w);
	world_exit(mm);
	world_close(&w);
}

/* Where the kernel wants room, pages of zone Movable stay, for they are none. */
static void lower_zones(void **state)
{
	struct page *page[512];
	struct mm *mm;
	u64 written;
	unsigned int nr, i;

	(void)state;
	world_open(&w, (struct world_config){
			       .ram_pages = 1024, .swap_pages = 1024, .movable_pages = 512 });
	mm = space_with(640);
	/* The upper half of RAM is used first: it is at the back of the lists. */
	write_pages(mm, 0, 640);
	written = stat_read(&w.m.phys.stat, PSWPOUT);
	for (nr = 0; nr < 512 && !stat_read(&w.m.phys.stat, PGSKIP_MOVABLE); nr++)
		assert_non_null(page[nr] = alloc_page(&w.m.phys, GFP_KERNEL));
	for (i = 0; i < 32; i++)
		assert_non_null(page[nr++] = alloc_page(&w.m.phys, GFP_KERNEL));
	assert_in_range(stat_read(&w.m.phys.stat, PSWPOUT), written + 1, written + 128);
	for (i = 0; i < nr; i++)
		__free_page(&w.m.phys, page[i]);
	world_exit(mm);
	world_close(&w);
}

/* swappiness 0: anonymous pages stay while there is file cache. */
static void swappiness(void **state)
{
	struct mapping *map;
	struct test_device file;
	struct map_request req = { .addr = ARENA + 100 * PAGE_SIZE,
				   .len = 100 * PAGE_SIZE,
				   .prot = 1,
				   .flags = CALL_MAP_PRIVATE | CALL_MAP_FIXED };
	struct mm *mm;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 1024 });
	test_device_init(&file, 100 * PAGE_SIZE);
	map = world_file(&w, &file, 1);
	mm = space_with(100);
	write_pages(mm, 0, 100);
	req.mapping = map;
	assert_int_equal(call_mmap(mm, &req), req.addr);
	assert_int_equal(fault_populate(mm, req.addr, req.addr + req.len), 0);
	assert_int_equal(machine_set_knob(&w.m, "swappiness", &(u64){ 0 }, 1), 0);
	assert_true(reclaim_pages(&w.m, 60) >= 60);
	assert_int_equal(stat_read(&w.m.phys.stat, PSWPOUT), 0);
	assert_int_equal(mm->counter[MM_ANONPAGES], 100);
	world_exit(mm);
	mapping_put(map);
	world_close(&w);
	free(file.bytes);
}

/* Cached pages that one process after another used outlive those that one process used. */
static void used_in_turn(void **state)
{
	struct map_request req = { .addr = ARENA,
				   .len = 40 * PAGE_SIZE,
				   .prot = 1,
				   .flags = CALL_MAP_PRIVATE | CALL_MAP_FIXED };
	struct test_device file;
	unsigned int run, i, hot = 0, cold = 0;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 1024 });
	test_device_init(&file, 100 * PAGE_SIZE);
	req.mapping = world_file(&w, &file, 1);
	for (run = 0; run < 3; run++) {
		struct mm *mm = world_space(&w);

		req.offset = run == 2 ? 50 * PAGE_SIZE : 0;
		assert_int_equal(call_mmap(mm, &req), req.addr);
		assert_int_equal(fault_populate(mm, req.addr, req.addr + req.len), 0);
		world_exit(mm);
	}
	(void)reclaim_pages(&w.m, 32);
	for (i = 0; i < 40; i++) {
		hot += mapping_find(req.mapping, i) != NULL;
		cold += mapping_find(req.mapping, 50 + i) != NULL;
	}
	assert_int_equal(hot, 40);
	assert_true(cold <= 24);
	mapping_put(req.mapping);
	world_close(&w);
	free(file.bytes);
}

/* FACTS: resident + swapped + tables, and oom_score_adj thousandths of RAM and swap. */
static void badness(void **state)
{
	struct mm *mm;
	s64 total;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 1025 });
	mm = space_with(120);
	write_pages(mm, 0, 120);
	total = (s64)(w.m.phys.total_pages + 1024);
	assert_int_equal(oom_badness(&w.m, mm), 120 + (s64)mm->table.nr_pages);
	(void)reclaim_pages(&w.m, 50); /* swapping changes nothing */
	assert_true(mm->counter[MM_SWAPENTS] > 0);
	assert_int_equal(oom_badness(&w.m, mm), 120 + (s64)mm->table.nr_pages);
	mm->oom_score_adj = 300;
	assert_int_equal(oom_badness(&w.m, mm),
			 120 + (s64)mm->table.nr_pages + 300 * (total / 1000));
	mm->oom_score_adj = -200;
	assert_int_equal(oom_badness(&w.m, mm),
			 120 + (s64)mm->table.nr_pages - 200 * (total / 1000));
	world_exit(mm);
	world_close(&w);
}

/* The largest dies unless it is protected; its memory is free at once; others lose nothing. */
static void victims(void **state)
{
	struct mm *small, *large, *child;
	u64 word;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024 });
	small = space_with(50);
	large = space_with(150);
	write_pages(small, 0, 50);
	write_pages(large, 0, 150);
	large->oom_score_adj = -1000;
	assert_true(oom_kill(&w.m, 0));
	assert_ptr_equal(w.last_killed, small);
	assert_int_equal(mm_rss(small), 0);
	large->oom_score_adj = 0;
	child = call_fork(large);
	assert_non_null(child);
	world_forked(large, child);
	child->oom_score_adj = 1000; /* worst, but nothing can be taken from it yet */
	assert_true(oom_kill(&w.m, 0));
	assert_ptr_equal(w.last_killed, large);
	assert_int_equal(w.kills, 2);
	assert_int_equal(mm_rss(child), 150);
	assert_int_equal(world_read(child, ARENA + 149 * PAGE_SIZE, &word, 8), FAULT_DONE);
	assert_int_equal(word, 149);
	world_check(&w);
	world_exit(small);
	world_exit(large);
	world_exit(child);
	world_close(&w);
}

/* A child just forked holds most of RAM: nobody is killed for that. */
static void fork_in_full_memory(void **state)
{
	struct mm *mm, *child, *other;
	enum fault_result r = FAULT_DONE;
	u64 word = 1;
	unsigned int n;

	(void)state;
	world_open(&w, (struct world_config){
			       .ram_pages = 256, .swap_pages = 1024, .min_free_kbytes = 64 });
	mm = space_with(400);
	other = space_with(400);
	for (n = 0; w.m.swap.used == 0; n++)
		write_pages(mm, n, 1);
	child = call_fork(mm);
	assert_non_null(child);
	world_forked(mm, child);
	for (n = 0; r == FAULT_DONE && n < 400; n++)
		r = world_write(other, ARENA + n * PAGE_SIZE, &word, 8);
	assert_true(r == FAULT_DONE || r == FAULT_NO_ROOM);
	assert_int_equal(w.kills, 0);
	assert_int_equal(world_write(child, ARENA, &word, 8), FAULT_DONE); /* from the reserves */
	world_adopt(child);
	write_pages(other, 0, 400);
	assert_int_equal(w.kills, 0);
	w.refused = true; /* entries whose fault was put off */
	world_check(&w);
	world_exit(child);
	world_exit(other);
	world_exit(mm);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_chance),
		cmocka_unit_test(swappiness),
		cmocka_unit_test(used_in_turn),
		cmocka_unit_test(badness),
		cmocka_unit_test(victims),
		cmocka_unit_test(lower_zones),
		cmocka_unit_test(fork_in_full_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
