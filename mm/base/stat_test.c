/*
 * stat_test.c - the counters' names are unique and can be found.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/stat.h"

void quire_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "panic: %s:%d: %s\n", file, line, what);
	abort();
}

static void every_name_finds_its_counter(void **state)
{
	unsigned i;

	for (i = 0; i < NR_VM_STAT; i++) {
		const struct stat_info *info = stat_info((enum vm_stat_item)i);

		assert_int_equal(stat_find(info->name), i);
		assert_non_null(info->unit);
		assert_non_null(info->meaning);
	}
	assert_int_equal(stat_find("pgmajfault"), PGMAJFAULT);
	assert_int_equal(stat_find("no_such_counter"), NR_VM_STAT);
}

static void counting(void **state)
{
	struct vm_stat stat = { 0 };

	stat_add(&stat, PGFAULT, 5);
	stat_inc(&stat, PGFAULT);
	stat_dec(&stat, PGFAULT);
	stat_sub(&stat, PGFAULT, 2);
	stat_add_atomic(&stat, PGFAULT, 10);
	assert_int_equal(stat_read(&stat, PGFAULT), 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_finds_its_counter),
		cmocka_unit_test(counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
