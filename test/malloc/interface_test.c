/*
 * interface_test.c - each function of glibc's interface, its errors and its corner cases.
 *
 * SPDX-License-Identifier: MIT
 */
#include "malloc/check.h"
#include "malloc/heap.h"
#include "malloc/malloc.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* volatile: the compiler must neither know the sizes nor drop the calls */
static volatile size_t too_much = SIZE_MAX;
static volatile size_t half = SIZE_MAX / 2 + 1;
static void *volatile sink;

static void assert_enomem(void *p)
{
	assert_null(p);
	assert_int_equal(errno, ENOMEM);
	errno = 0;
}

static void test_zero_and_null(void **state)
{
	void *a = malloc(0), *b = malloc(0);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	free(a);
	free(b);
	free(NULL);
	sink = realloc(NULL, 10);
	assert_non_null(sink);
	assert_null(realloc(sink, 0));
	assert_int_equal(malloc_usable_size(NULL), 0);
}

static void test_overflow(void **state)
{
	void *p = malloc(10);

	(void)state;
	errno = 0;
	assert_enomem(malloc(too_much));
	assert_enomem(malloc(too_much - 14));
	assert_enomem(malloc(half));
	assert_enomem(calloc(half, 2));
	assert_enomem(calloc(half, half));
	assert_enomem(reallocarray(p, half, 2));
	assert_enomem(realloc(p, too_much));
	assert_enomem(memalign(4096, too_much - 4096));
	assert_enomem(pvalloc(too_much - 1));
	assert_enomem(valloc(too_much - 1));
	free(p);
}

static void test_errno_is_kept(void **state)
{
	void *large = malloc((size_t)4 << 20), *small = malloc(100);

	(void)state;
	errno = 77;
	free(large);
	free(small);
	assert_int_equal(errno, 77);
}

static void test_alignment(void **state)
{
	void *p;

	(void)state;
	for (size_t align = 1; align <= (size_t)4 << 20; align *= 2)
		for (size_t bytes = 1; bytes < 300000; bytes = bytes * 3 + 1) {
			p = memalign(align, bytes);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % align, 0);
			memset(p, 1, bytes);
			free(p);
		}
	p = memalign(48, 10);
	assert_int_equal((uintptr_t)p % 64, 0);
	free(p);
	assert_int_equal((uintptr_t)(sink = valloc(10)) % 4096, 0);
	free(sink);
	sink = pvalloc(4097);
	assert_true(malloc_usable_size(sink) >= 8192);
	free(sink);
	sink = aligned_alloc(256, 512);
	assert_int_equal((uintptr_t)sink % 256, 0);
	free_aligned_sized(sink, 256, 512);
	sink = malloc(20);
	free_sized(sink, 20);
}

static void test_posix_memalign(void **state)
{
	void *p = &p;

	(void)state;
	assert_int_equal(posix_memalign(&p, 24, 8), EINVAL);
	assert_int_equal(posix_memalign(&p, 4, 8), EINVAL);
	assert_int_equal(posix_memalign(&p, 0, 8), EINVAL);
	errno = 5;
	assert_int_equal(posix_memalign(&p, 64, too_much), ENOMEM);
	assert_int_equal(errno, 5);
	assert_ptr_equal(p, &p);
	assert_int_equal(posix_memalign(&p, 64, 100), 0);
	assert_int_equal((uintptr_t)p % 64, 0);
	free(p);
}

static void test_memalign_refuses(void **state)
{
	(void)state;
	errno = 0;
	assert_null(memalign(half + 1, 8));
	assert_int_equal(errno, EINVAL);
}

static void test_realloc_keeps(void **state)
{
	unsigned char *p = NULL;
	size_t old = 0;

	(void)state;
	for (size_t bytes = 1; bytes < (size_t)64 << 20; bytes = bytes * 5 / 3 + 1) {
		p = realloc(p, bytes);
		for (size_t i = 0; i < old; i += 997)
			assert_int_equal(p[i], (i / 997) & 0xff);
		for (size_t i = 0; i < bytes; i += 997)
			p[i] = (unsigned char)(i / 997);
		old = bytes;
	}
	for (size_t bytes = old; bytes; bytes /= 3) {
		p = realloc(p, bytes);
		for (size_t i = 0; i < bytes; i += 997)
			assert_int_equal(p[i], (i / 997) & 0xff);
	}
	free(p);
}

static void test_calloc_is_zero(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes < (size_t)1 << 21; bytes = bytes * 2 + 1) {
		unsigned char *p = malloc(bytes);

		memset(p, 0xee, bytes);
		free(p);
		p = calloc(1, bytes);
		for (size_t i = 0; i < bytes; i++)
			assert_int_equal(p[i], 0);
		free(p);
	}
}

/* glibc's rules: a mapped block that is freed raises the threshold; setting it ends that. */
static void test_mmap_threshold(void **state)
{
	size_t before = mallinfo2().hblks;

	(void)state;
	sink = malloc((size_t)3 << 20);
	assert_int_equal(mallinfo2().hblks, before + 1);
	free(sink);
	assert_int_equal(mallinfo2().hblks, before);
	sink = malloc((size_t)2 << 20);
	assert_int_equal(mallinfo2().hblks, before);
	free(sink);
	assert_int_equal(mallopt(-3, 64 << 10), 1);
	malloc_trim(0);
	sink = malloc((size_t)40 << 20);
	assert_int_equal(mallinfo2().hblks, before + 1);
	assert_true(mallinfo2().hblkhd >= (size_t)40 << 20);
	free(sink);
	assert_int_equal(mallopt(-4, 0), 1);
	sink = malloc((size_t)40 << 20);
	assert_int_equal(mallinfo2().hblks, before);
	free(sink);
	assert_int_equal(mallopt(-4, 65536), 1);
	assert_int_equal(mallopt(12345, 1), 0);
}

static void test_mallinfo(void **state)
{
	struct mallinfo2 a = mallinfo2(), b;
	void *held[1000];

	(void)state;
	for (int i = 0; i < 1000; i++)
		held[i] = malloc(1000);
	b = mallinfo2();
	assert_int_equal(b.uordblks - a.uordblks, 1000 * 1024);
	assert_int_equal(b.uordblks + b.fordblks, b.arena);
	assert_true(b.fsmblks <= b.fordblks);
	for (int i = 0; i < 1000; i++)
		free(held[i]);
	assert_int_equal(mallinfo2().uordblks, a.uordblks);
	assert_int_equal(mallinfo().uordblks, (int)a.uordblks);
}

static void test_trim(void **state)
{
	static void *held[2000];

	(void)state;
	for (int i = 0; i < 2000; i++)
		held[i] = memset(malloc(5000), 1, 5000);
	for (int i = 0; i < 2000; i++)
		free(held[i]);
	assert_int_equal(malloc_trim(0), 1);
	assert_int_equal(mallinfo2().keepcost, 0);
}

/* Far from the reaper's age: what stays at the top is what was asked for. */
static void test_trim_pad(void **state)
{
	static void *held[100];
	size_t arena;

	(void)state;
	for (int i = 0; i < 100; i++)
		held[i] = memset(malloc(60000), 1, 60000);
	for (int i = 0; i < 100; i++)
		free(held[i]);
	assert_int_equal(malloc_trim((size_t)1 << 20), 1);
	arena = mallinfo2().arena;
	assert_in_range(mallinfo2().keepcost, (size_t)1 << 20, (size_t)1 << 20);
	assert_int_equal(malloc_trim((size_t)1 << 20), 0);
	assert_int_equal(malloc_trim(0), 1);
	assert_int_equal(mallinfo2().keepcost, 0);
	assert_int_equal(mallinfo2().arena, arena - ((size_t)1 << 20));
	assert_null(heap_check());
	held[0] = calloc(1, (size_t)2 << 20);
	for (size_t i = 0; i < (size_t)2 << 20; i++)
		assert_int_equal(((char *)held[0])[i], 0);
	free(held[0]);
}

static void *cached_by_a_thread(void *arg)
{
	size_t *cached = arg;
	void *held[64];

	for (int i = 0; i < 64; i++)
		held[i] = malloc(200);
	*cached = mallinfo2().smblks;
	for (int i = 0; i < 64; i++)
		free(held[i]);
	*cached = mallinfo2().smblks - *cached;
	return NULL;
}

static size_t cached_in_thread(void)
{
	size_t cached = 0;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, cached_by_a_thread, &cached), 0);
	pthread_join(t, NULL);
	return cached;
}

/* The first thread has a cache: with one arena no other thread gets one. */
static void test_arena_max(void **state)
{
	(void)state;
	assert_true(cached_in_thread() > 0);
	assert_int_equal(mallopt(-8, 1), 1);
	assert_int_equal(cached_in_thread(), 0);
	assert_int_equal(mallopt(-8, 0), 1);
	assert_true(cached_in_thread() > 0);
}

static void test_top_pad(void **state)
{
	static void *held[4096];
	size_t before = heap.units.open_bytes, pad = (size_t)48 << 20;
	int n = 0;

	(void)state;
	assert_int_equal(mallopt(-2, (int)pad), 1);
	for (; n < 4096 && heap.units.open_bytes == before; n++)
		held[n] = malloc(16000);
	assert_true(heap.units.open_bytes - before >= pad);
	while (n--)
		free(held[n]);
	assert_int_equal(mallopt(-2, 0), 1);
}

static void test_perturb(void **state)
{
	unsigned char *p;

	(void)state;
	assert_int_equal(mallopt(-6, 0x5a), 1);
	p = malloc(100);
	assert_int_equal(p[50], 0x5a ^ 0xff);
	free(p);
	p = calloc(1, 100);
	assert_int_equal(p[50], 0);
	free(p);
	mallopt(-6, 0);
}

static void test_info_is_xml(void **state)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);

	(void)state;
	assert_int_equal(malloc_info(1, f), -1);
	assert_int_equal(malloc_info(0, f), 0);
	fclose(f);
	assert_non_null(strstr(text, "<malloc version=\"1\">"));
	assert_non_null(strstr(text, "</malloc>"));
	free(text);
}

extern void *_Znwm(size_t bytes);
extern void _ZdlPvm(void *p, size_t bytes);
extern void *_ZnamSt11align_val_t(size_t bytes, size_t align);
extern void _ZdaPvSt11align_val_t(void *p, size_t align);
extern void *_ZnwmRKSt9nothrow_t(size_t bytes, const void *tag);

static void test_operators(void **state)
{
	void *p = _Znwm(100);

	(void)state;
	_ZdlPvm(p, 100);
	p = _ZnamSt11align_val_t(100, 512);
	assert_int_equal((uintptr_t)p % 512, 0);
	_ZdaPvSt11align_val_t(p, 512);
	assert_null(_ZnwmRKSt9nothrow_t(too_much, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mmap_threshold), /* before others leave free runs */
		cmocka_unit_test(test_zero_and_null),  cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_errno_is_kept),  cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_posix_memalign), cmocka_unit_test(test_memalign_refuses),
		cmocka_unit_test(test_realloc_keeps),  cmocka_unit_test(test_calloc_is_zero),
		cmocka_unit_test(test_mallinfo),       cmocka_unit_test(test_trim),
		cmocka_unit_test(test_trim_pad),       cmocka_unit_test(test_arena_max),
		cmocka_unit_test(test_top_pad),	       cmocka_unit_test(test_perturb),
		cmocka_unit_test(test_info_is_xml),    cmocka_unit_test(test_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
