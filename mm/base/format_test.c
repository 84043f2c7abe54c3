/*
 * format_test.c - format() against the host's snprintf.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/format.h"

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char ours[100], theirs[100];                                                       \
		int length = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                        \
		assert_int_equal(format(ours, sizeof(ours), __VA_ARGS__), length);                 \
		assert_string_equal(ours, theirs);                                                 \
	} while (0)

static void like_snprintf(void **state)
{
	SAME("plain");
	SAME("%s and %c%%", "text", 'x');
	SAME("%d %d %u %x", -5, 0, 7u, 255u);
	SAME("[%8s] [%-8s] [%5d] [%05d] [%-5d]", "ab", "cd", 42, -42, 7);
	SAME("%ld %lu %lx %016lx", -1L, ~0UL, 1UL << 31, 4096UL);
	SAME("%lld %llu %zu", -9223372036854775807LL - 1, ~0ULL, sizeof(int));
	SAME("%llx", 1ULL << 40);
}

static void cut_to_size(void **state)
{
	char buf[5] = "....";

	assert_int_equal(format(buf, sizeof(buf), "%s", "abcdefg"), 7);
	assert_string_equal(buf, "abcd");
	assert_int_equal(format(NULL, 0, "%u", 123u), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_snprintf),
		cmocka_unit_test(cut_to_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
