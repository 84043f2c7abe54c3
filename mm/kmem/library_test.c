/*
 * library_test.c - <quire/memory.h> as a caller sees it, who knows nothing of phys and kmem.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <string.h>

#include <quire/memory.h>

#include "test/testram.h"

#define BYTES ((size_t)16 << 20)

static void *block;
static unsigned cpu_number;

static unsigned this_cpu(void *arg)
{
	return cpu_number;
}

static struct quire_memory *create(const struct quire_memory_options *options)
{
	struct quire_memory *memory;

	block = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(block != MAP_FAILED);
	memset(block, 0xff, BYTES);
	memory = quire_memory_create(block, BYTES, options);
	assert_non_null(memory);
	return memory;
}

static uint64_t free_bytes(struct quire_memory *memory)
{
	struct quire_memory_info info;

	quire_memory_reap(memory);
	quire_memory_check(memory);
	quire_memory_info(memory, &info);
	assert_int_equal(info.total, BYTES);
	return info.free;
}

static void destroy(struct quire_memory *memory, uint64_t free)
{
	assert_int_equal(free_bytes(memory), free);
	munmap(block, BYTES);
}

static void everything_comes_back(void **state)
{
	struct quire_memory *memory = create(NULL);
	uint64_t before = free_bytes(memory);
	struct quire_cache *cache = quire_cache_create(memory, "things", 100, 64);
	char *text = quire_alloc(memory, 1000, QUIRE_ZERO), *page, *things[500];
	unsigned i;

	assert_true(before > BYTES - (BYTES >> 5));
	for (i = 0; i < 500; i++) {
		things[i] = quire_cache_alloc(cache, QUIRE_ZERO);
		assert_int_equal((uintptr_t)things[i] % 64, 0);
		assert_true(things[i][0] == 0 && things[i][99] == 0);
		memset(things[i], 1, 100);
	}
	assert_int_equal(quire_cache_destroy(cache), -16);
	assert_true(text[0] == 0 && text[999] == 0);
	strcpy(text, "kept");
	text = quire_realloc(memory, text, 2 << 20);
	assert_string_equal(text, "kept");
	assert_true(quire_size(memory, text) >= 2 << 20);
	page = quire_pages_alloc(memory, 3, QUIRE_ZERO);
	assert_int_equal((uintptr_t)page % 4096, 0);
	assert_int_equal(page[8 * 4096 - 1], 0);
	assert_true(free_bytes(memory) < before - (2 << 20));
	quire_pages_free(memory, page, 3);
	quire_free(memory, text);
	for (i = 0; i < 500; i++)
		quire_cache_free(cache, things[i]);
	assert_int_equal(quire_cache_destroy(cache), 0);
	destroy(memory, before);
}

static void no_room_is_an_answer(void **state)
{
	struct quire_memory *memory = create(NULL);
	uint64_t before = free_bytes(memory);
	void *first = NULL, **last = &first, *at;
	unsigned nr = 0;

	assert_null(quire_alloc(memory, SIZE_MAX / 2, 0));
	assert_null(quire_memory_create(block, 4096, NULL));
	while ((at = quire_alloc(memory, 5000, 0))) {
		*last = at;
		last = at;
		*last = NULL;
		nr++;
	}
	assert_in_range(nr, BYTES / 8192 * 9 / 10, BYTES / 5000);
	while (first) {
		at = *(void **)first;
		quire_free(memory, first);
		first = at;
	}
	destroy(memory, before);
}

/* What an idle thread's CPU has on its lists is not lost to the others. */
static void idle_threads_keep_nothing(void **state)
{
	const struct quire_memory_options options = { .threads = QUIRE_THREAD_PER_CPU,
						      .nr_cpus = 2,
						      .this_cpu = this_cpu };
	struct quire_memory *memory = create(&options);
	uint64_t before = free_bytes(memory);
	struct quire_memory_info info;
	void *blocks[200];
	unsigned i;

	cpu_number = 1;
	for (i = 0; i < 200; i++)
		blocks[i] = quire_alloc(memory, 1000, 0);
	for (i = 0; i < 200; i++)
		quire_free(memory, blocks[i]);
	cpu_number = 0;
	quire_memory_reap(memory);
	quire_memory_info(memory, &info);
	assert_true(info.slab > 0); /* busy: its magazines are out of reach */
	cpu_number = 1;
	quire_thread_idle(memory);
	cpu_number = 0;
	assert_int_equal(free_bytes(memory), before);
	cpu_number = 1;
	quire_thread_busy(memory);
	quire_free(memory, quire_alloc(memory, 1000, 0));
	quire_thread_idle(memory);
	cpu_number = 0;
	destroy(memory, before);
}

/* --- threads --- */

static struct quire_memory *shared;
static struct quire_cache *shared_cache;
static void *shelf[64];
static __thread unsigned own_number;

static unsigned own_cpu(void *arg)
{
	return own_number;
}

static void put_away(unsigned place, void *mem, size_t size)
{
	*(size_t *)mem = size;
	memset((size_t *)mem + 1, (int)size, size - sizeof(size_t));
	mem = __atomic_exchange_n(&shelf[place], mem, __ATOMIC_ACQ_REL);
	if (!mem)
		return;
	size = *(size_t *)mem;
	require(((unsigned char *)mem)[size - 1] == (unsigned char)size);
	if (size == 100)
		quire_cache_free(shared_cache, mem);
	else if (size == 8192)
		quire_pages_free(shared, mem, 1);
	else
		quire_free(shared, mem);
}

/* Each thread takes objects, blocks and pages, and frees what another one left on the shelf. */
static void *use_shared(void *arg)
{
	unsigned seed = own_number = *(unsigned *)arg, step;
	void *mem;

	for (step = 0; step < 20000; step++) {
		size_t size;

		seed = seed * 1664525 + 1013904223;
		size = seed >> 30 == 0 ? 100 : seed >> 30 == 1 ? 8192 : (seed >> 8) % 3000 + 200;
		mem = size == 100    ? quire_cache_alloc(shared_cache, 0)
		      : size == 8192 ? quire_pages_alloc(shared, 1, 0)
				     : quire_alloc(shared, size, 0);
		require(mem != NULL);
		put_away(seed >> 16 & 63, mem, size);
	}
	return NULL;
}

static void share(enum quire_threads mode)
{
	static unsigned numbers[3] = { 0, 1, 2 };
	const struct quire_memory_options options = { .threads = mode,
						      .nr_cpus = 3,
						      .this_cpu = own_cpu };
	pthread_t ids[3];
	unsigned i;

	shared = create(&options);
	shared_cache = quire_cache_create(shared, "shared", 100, 0);
	for (i = 0; i < 3; i++)
		pthread_create(&ids[i], NULL, use_shared, &numbers[i]);
	for (i = 0; i < 3; i++)
		pthread_join(ids[i], NULL);
	quire_memory_check(shared);
	for (i = 0; i < 64; i++)
		if (shelf[i])
			put_away(i, quire_alloc(shared, 200, 0), 200);
	for (i = 0; i < 64; i++) {
		if (shelf[i])
			quire_free(shared, shelf[i]);
		shelf[i] = NULL;
	}
	for (own_number = 3; own_number-- > 0;)
		quire_memory_reap(shared);
	own_number = 0;
	assert_int_equal(quire_cache_destroy(shared_cache), 0);
	quire_memory_check(shared);
	munmap(block, BYTES);
}

static void threads_share_a_memory(void **state)
{
	share(QUIRE_THREADS);
	share(QUIRE_THREAD_PER_CPU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_comes_back),
		cmocka_unit_test(no_room_is_an_answer),
		cmocka_unit_test(idle_threads_keep_nothing),
		cmocka_unit_test(threads_share_a_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
