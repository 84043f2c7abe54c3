/*
 * canary_test.c - a test that must fail: proof that the harness notices failures.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void test_one_is_two(void **state)
{
	(void)state;
	assert_int_equal(1, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_is_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
