/*
 * lock_test.c - the lock order is watched (from check level 2 on, which this file turns on).
 *
 * SPDX-License-Identifier: MIT
 */
#undef QUIRE_CHECK
#define QUIRE_CHECK 2

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/lock.c"

static jmp_buf panic_jump;
static bool panicked;

void quire_panic(const char *file, int line, const char *what)
{
	panicked = true;
	longjmp(panic_jump, 1);
}

/* Take them in this order; whether it was allowed. Whatever was taken is given back. */
static bool allowed(struct lock *locks, unsigned nr)
{
	volatile unsigned taken = 0;

	panicked = false;
	if (setjmp(panic_jump) == 0)
		for (; taken < nr; taken++)
			lock_take(&locks[taken]);
	while (taken)
		lock_give(&locks[--taken]);
	return !panicked;
}

static void check_mode(enum lock_mode mode)
{
	struct lock locks[3];
	unsigned a, b;

	for (a = 0; a < NR_LOCK_RANKS; a++) {
		for (b = 0; b < NR_LOCK_RANKS; b++) {
			lock_init(&locks[0], (enum lock_rank)a, mode);
			lock_init(&locks[1], (enum lock_rank)b, mode);
			assert_int_equal(allowed(locks, 2), a < b);
		}
	}
	/* Not only the last one taken counts. */
	lock_init(&locks[0], RANK_KMEM_LIST, mode);
	lock_init(&locks[1], RANK_ZONE, mode);
	lock_init(&locks[2], RANK_PCP, mode);
	assert_false(allowed(locks, 3));
	lock_init(&locks[2], RANK_OWNER, mode);
	assert_true(allowed(locks, 3));
}

static void order_is_watched(void **state)
{
	check_mode(LOCK_OFF);
	check_mode(LOCK_ON);
	check_mode(LOCK_OWNED);
}

static void trying_may_come_in_any_order(void **state)
{
	struct lock low, high;

	lock_init(&low, RANK_PCP, LOCK_ON);
	lock_init(&high, RANK_ZONE, LOCK_ON);
	panicked = false;
	lock_take(&high);
	assert_true(lock_try(&low));
	assert_false(lock_try(&low));
	lock_give(&low);
	lock_give(&high);
	assert_false(panicked);
	/* Giving what one has not. */
	if (setjmp(panic_jump) == 0)
		lock_give(&low);
	assert_true(panicked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_watched),
		cmocka_unit_test(trying_may_come_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
