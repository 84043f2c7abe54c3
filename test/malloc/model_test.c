/*
 * model_test.c - random requests against a plain table of what must be where.
 *
 * How     The model is an array of (address, size, fill). After each step blocks must not overlap,
 *         must keep their contents, be aligned, and the heap's invariants must hold now and
 *         then. MALLOC_TEST_STEPS and MALLOC_TEST_SEED set length and seed; a failure prints them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "malloc/check.h"
#include "malloc/malloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SLOTS 4000

static struct slot {
	unsigned char *block;
	size_t bytes;
	unsigned char fill;
} slots[SLOTS];

static uint64_t seed;

static uint32_t next(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

/* Every order of magnitude, small ones more often; a few above the mapping threshold. */
static size_t some_size(void)
{
	unsigned bits = next() % 100 < 85 ? next() % 11 : next() % 19;

	return next() % ((size_t)2 << bits);
}

static void fill(struct slot *s)
{
	s->fill = (unsigned char)(next() | 1);
	memset(s->block, s->fill, s->bytes);
}

static void verify(const struct slot *s, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (s->block[i] != s->fill)
			fail_msg("block %p of %zu changed at %zu", (void *)s->block, s->bytes, i);
}

static void take(struct slot *s)
{
	size_t align = (size_t)16 << next() % 10;

	s->bytes = some_size();
	switch (next() % 8) {
	case 0:
		s->block = calloc(1, s->bytes);
		for (size_t i = 0; i < s->bytes; i++)
			assert_int_equal(s->block[i], 0);
		break;
	case 1:
		s->block = memalign(align, s->bytes);
		assert_int_equal((uintptr_t)s->block % align, 0);
		break;
	default:
		s->block = malloc(s->bytes);
	}
	assert_non_null(s->block);
	assert_int_equal((uintptr_t)s->block % 16, 0);
	assert_true(malloc_usable_size(s->block) >= s->bytes);
	fill(s);
}

static void resize(struct slot *s)
{
	size_t bytes = some_size() + 1;
	unsigned char *to = realloc(s->block, bytes);

	assert_non_null(to);
	s->block = to;
	verify(s, bytes < s->bytes ? bytes : s->bytes);
	s->bytes = bytes;
	fill(s);
}

static void drop(struct slot *s)
{
	verify(s, s->bytes);
	free(s->block);
	memset(s, 0, sizeof(*s));
}

static int by_address(const void *a, const void *b)
{
	const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;

	return x->block < y->block ? -1 : x->block > y->block;
}

static void check_overlap(void)
{
	static struct slot *order[SLOTS];
	size_t n = 0;

	for (size_t i = 0; i < SLOTS; i++)
		if (slots[i].block)
			order[n++] = &slots[i];
	qsort(order, n, sizeof(*order), by_address);
	for (size_t i = 1; i < n; i++)
		assert_true(order[i - 1]->block + order[i - 1]->bytes <= order[i]->block);
}

static void check_all(unsigned long step)
{
	const char *wrong = heap_check();

	if (wrong)
		fail_msg("invariant %s broken at step %lu", wrong, step);
	check_overlap();
}

static void test_random(void **state)
{
	const char *steps_text = getenv("MALLOC_TEST_STEPS");
	const char *seed_text = getenv("MALLOC_TEST_SEED");
	unsigned long steps = steps_text ? strtoul(steps_text, NULL, 10) : 300000;

	(void)state;
	seed = seed_text ? strtoul(seed_text, NULL, 10) : 1;
	print_message("seed %lu, %lu steps\n", (unsigned long)seed, steps);
	for (unsigned long i = 0; i < steps; i++) {
		struct slot *s = &slots[next() % SLOTS];

		if (!s->block)
			take(s);
		else if (next() % 4 == 0)
			resize(s);
		else
			drop(s);
		if (i % 20011 == 0)
			check_all(i);
		if (i % 50021 == 0)
			malloc_trim(0);
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (slots[i].block)
			drop(&slots[i]);
	check_all(steps);
}

/* QUIRE_MALLOC=brk=1 in the environment: were the steps taken at the break at all? */
static void test_road(void **state)
{
	const char *settings = getenv("QUIRE_MALLOC");
	bool wanted = settings && strstr(settings, "brk=1");
	char *p = malloc(100);

	(void)state;
	assert_int_equal(p < (char *)sbrk(0) && p + ((size_t)4 << 30) > (char *)sbrk(0), wanted);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random),
					    cmocka_unit_test(test_road) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
