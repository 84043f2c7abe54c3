/*
 * safety_test.c - a mistake of each kind must stop the program and name the block.
 *
 * How     Each case runs in a child whose standard error is read back. volatile pointers keep the
 *         compiler from noticing what we do.
 *
 * SPDX-License-Identifier: MIT
 */
#include "malloc/malloc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "outcome.h"

typedef char *volatile pointer;

static void double_free(void)
{
	pointer p = malloc(100);

	free(p);
	free(p);
}

/* The slot that p was popped from still has it, above the one that it was freed into. */
static void double_free_beside(void)
{
	pointer p = malloc(100), q = malloc(100);

	free(p);
	free(p);
	free(q);
}

static void double_free_later(void)
{
	pointer p = malloc(100), q = malloc(100);

	free(p);
	free(q);
	free(p);
	for (int i = 0; i < 3; i++)
		p = memset(malloc(100), 1, 100);
}

static void double_free_flushed(void)
{
	static void *held[1000];
	pointer p;

	for (int i = 0; i < 1000; i++)
		held[i] = malloc(100);
	p = held[0];
	for (int i = 0; i < 1000; i++)
		free(held[i]);
	free(p);
	for (int i = 0; i < 2000; i++)
		p = memset(malloc(100), 1, 100);
}

static void double_free_run(void)
{
	pointer p = malloc(50000);

	free(p);
	free(p);
}

static void double_free_mapped(void)
{
	pointer p = malloc((size_t)64 << 20);

	free(p);
	free(p);
}

static void interior(void)
{
	pointer p = malloc(100);

	free(p + 16);
}

static void interior_run(void)
{
	pointer p = malloc(50000);

	free(p + 4096);
}

static void on_stack(void)
{
	char here[64];
	pointer p = here;

	free(p);
}

static void not_ours(void)
{
	static char here[64];
	pointer p = here;

	free(p);
}

static void realloc_stray(void)
{
	pointer p = malloc(1000);

	p = realloc(p + 32, 2000);
}

static void written_after_free(void)
{
	pointer p = malloc(100);

	free(p);
	memset(p, 'x', 8);
	p = malloc(100);
}

static void overrun(void)
{
	pointer p = malloc(112), q = malloc(112);

	free(q);
	memset(p < q ? p : q, 'x', 112 + 8);
	p = malloc(112);
}

/* What a mistake that stopped its process had it say; NULL if it did not stop it. */
static const char *last_words(void (*mistake)(void))
{
	return outcome(mistake) == SIGABRT ? outcome_text : NULL;
}

static void must_say(void (*mistake)(void), const char *what)
{
	const char *text = last_words(mistake);

	if (!text)
		fail_msg("not stopped: expected \"%s\"", what);
	if (!strstr(text, what) || !strstr(text, "0x"))
		fail_msg("said \"%s\" instead of \"%s\"", text, what);
}

static void test_double_free(void **state)
{
	(void)state;
	must_say(double_free, "double free of block");
	must_say(double_free_beside, "double free of block");
	must_say(double_free_later, "after free");
	assert_non_null(last_words(double_free_flushed));
	must_say(double_free_run, "double free of block");
	must_say(double_free_mapped, "invalid free of");
}

static void test_invalid_free(void **state)
{
	(void)state;
	must_say(interior, "invalid free of");
	must_say(interior_run, "invalid free of");
	must_say(on_stack, "not in the heap");
	must_say(not_ours, "not in the heap");
	must_say(realloc_stray, "invalid free of");
}

static void test_writes(void **state)
{
	(void)state;
	must_say(written_after_free, "written after free");
	must_say(overrun, "overrun from below");
}

/* A block in use may hold its own address, as a list's head does: freeing it is no mistake. */
static void heads(void)
{
	static void **held[3000];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3000; i++) {
			held[i] = malloc(48);
			*held[i] = held[i];
		}
		for (int i = 0; i < 3000; i++)
			free(held[i]);
	}
}

static void test_marked_by_chance(void **state)
{
	(void)state;
	assert_null(last_words(heads));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_double_free),
		cmocka_unit_test(test_invalid_free),
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_marked_by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
