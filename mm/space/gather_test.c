/*
 * gather_test.c - what a back end is asked to forget comes in few ranges.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "space/gather.h"

static struct world w;

/* Pages that several spaces share are added in turn: each space has one range all the same. */
static void shared_pages(void **state)
{
	struct mm *mm[8];
	struct gather g;
	unsigned int i, page;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024 });
	gather_init(&g, &w.m);
	for (i = 0; i < array_size(mm); i++)
		mm[i] = world_space(&w);
	for (page = 0; page < 32; page++)
		for (i = 0; i < array_size(mm); i++)
			gather_add(&g, mm[i], ARENA + page * PAGE_SIZE);
	assert_int_equal(g.nr, array_size(mm));
	for (i = 0; i < g.nr; i++)
		assert_true(g.range[i].start == ARENA && g.range[i].end == ARENA + 32 * PAGE_SIZE);
	gather_flush(&g);
	for (i = 0; i < array_size(mm); i++)
		world_exit(mm[i]);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
