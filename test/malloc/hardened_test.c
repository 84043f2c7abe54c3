/*
 * hardened_test.c - what QUIRE_MALLOC=hardened=1 promises; meson.build sets it.
 *
 * How     As in safety_test.c, mistakes run in children. One small block in 64 is guarded, so
 *         those that only a guarded block would show are made with a thousand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "malloc/malloc.h"
#include "malloc/tune.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "outcome.h"

#define MANY 1500

typedef char *volatile pointer;

/* A guarded block says what was asked for; one of a slab, what it holds. */
static void past_the_page(void)
{
	for (int i = 0; i < MANY; i++) {
		pointer p = malloc(90);

		if (malloc_usable_size(p) == 90)
			p[96] = 1;
	}
}

static void past_the_end(void)
{
	for (int i = 0; i < MANY; i++) {
		pointer p = malloc(100);

		p[100] = 1;
		free(p);
	}
}

static void read_after_free(void)
{
	for (int i = 0; i < MANY; i++) {
		pointer p = malloc(96);

		free(p);
		(void)*(volatile char *)(p + 50);
	}
}

static void written_in_quarantine(void)
{
	for (int i = 0; i < 2 * MANY; i++) {
		pointer p = malloc(200);

		free(p);
		if (i == 10)
			p[150] = 1;
	}
}

static void freed_in_quarantine(void)
{
	pointer p = malloc(200), q;

	free(p);
	for (int i = 0; i < 100; i++) {
		q = malloc(200);
		free(q);
	}
	free(p);
}

static void test_guard_pages(void **state)
{
	(void)state;
	assert_int_equal(outcome(past_the_page), SIGSEGV);
	assert_int_equal(outcome(read_after_free), SIGSEGV);
	assert_int_equal(outcome(past_the_end), SIGABRT);
	assert_non_null(strstr(outcome_text, "overrun past the end of block 0x"));
}

static void test_quarantine(void **state)
{
	(void)state;
	assert_int_equal(outcome(written_in_quarantine), SIGABRT);
	assert_non_null(strstr(outcome_text, "written after free"));
	assert_int_equal(outcome(freed_in_quarantine), SIGABRT);
	assert_non_null(strstr(outcome_text, "double free of block 0x"));
}

/* A block stays away for a while, and is zero when it comes back. */
static void test_zero_and_late(void **state)
{
	static void *gone[200];
	int seen = 0;

	(void)state;
	for (int i = 0; i < 200; i++)
		gone[i] = memset(malloc(3000), 0x77, 3000);
	for (int i = 0; i < 200; i++)
		free(gone[i]);
	for (int i = 0; i < 3000; i++) {
		unsigned char *p = malloc(3000);

		for (int k = 0; k < 3000; k++)
			assert_int_equal(p[k], 0);
		for (int k = 0; k < 200; k++) {
			assert_true(i > 600 || p != gone[k]);
			seen += p == gone[k];
		}
		memset(p, 0x55, 3000);
		free(p);
	}
	assert_true(seen > 0);
}

static void test_random_order(void **state)
{
	int down = 0;
	char *last = malloc(320), *p;

	(void)state;
	for (int i = 0; i < 200; i++, last = p) {
		p = malloc(320);
		down += p < last;
	}
	assert_in_range(down, 30, 170);
}

/* Guarded or not: a block of no bytes can be resized and freed. */
static void test_no_bytes(void **state)
{
	(void)state;
	for (int i = 0; i < MANY; i++) {
		void *volatile p = malloc(0);

		p = realloc(p, 40);
		assert_non_null(p);
		memset(p, 1, 40);
		free(p);
		p = malloc(0);
		free(p);
	}
}

static void test_is_on(void **state)
{
	free(malloc(1));
	(void)state;
	assert_true(tune.hardened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_on),	     cmocka_unit_test(test_guard_pages),
		cmocka_unit_test(test_quarantine),   cmocka_unit_test(test_zero_and_late),
		cmocka_unit_test(test_random_order), cmocka_unit_test(test_no_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
