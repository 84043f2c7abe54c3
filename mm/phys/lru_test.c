/*
 * lru_test.c - pages on and off the five lists.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/lru.h"
#include "test/testram.h"

static void lists_follow_flags(void **state)
{
	struct lruvec lruvec;
	struct page pages[4] = { 0 };

	lruvec_init(&lruvec);
	page_set(&pages[0], PG_swapbacked);
	page_set(&pages[1], PG_active);
	lru_add(&lruvec, &pages[0]);
	lru_add(&lruvec, &pages[1]);
	lru_add(&lruvec, &pages[2]);
	lru_add_tail(&lruvec, &pages[3]);
	assert_int_equal(lruvec.nr[LRU_INACTIVE_ANON], 1);
	assert_int_equal(lruvec.nr[LRU_ACTIVE_FILE], 1);
	assert_int_equal(lruvec.nr[LRU_INACTIVE_FILE], 2);
	assert_ptr_equal(lru_last(&lruvec, LRU_INACTIVE_FILE), &pages[3]);
	lru_rotate(&lruvec, &pages[3]);
	assert_ptr_equal(lru_last(&lruvec, LRU_INACTIVE_FILE), &pages[2]);
	lruvec_check(&lruvec);

	lru_activate(&lruvec, &pages[0]);
	assert_int_equal(lruvec.nr[LRU_ACTIVE_ANON], 1);
	lru_make_unevictable(&lruvec, &pages[0]);
	assert_int_equal(lruvec.nr[LRU_UNEVICTABLE], 1);
	lru_make_evictable(&lruvec, &pages[0]);
	assert_int_equal(lruvec.nr[LRU_INACTIVE_ANON], 1);
	lru_deactivate(&lruvec, &pages[1]);
	assert_int_equal(lruvec.nr[LRU_INACTIVE_FILE], 3);
	lruvec_check(&lruvec);

	lru_del(&lruvec, &pages[2]);
	assert_false(page_test(&pages[2], PG_lru));
	EXPECT_PANIC(lru_del(&lruvec, &pages[2]));
	EXPECT_PANIC(lru_add(&lruvec, &pages[1]));
	lruvec_check(&lruvec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_follow_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
