/*
 * slab_test.c - kmem_cache and kmalloc: shapes, contents, accounting, debugging.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>

#include "kmem/kmalloc.h"
#include "test/testram.h"

static void boot(struct testram *t)
{
	testram_boot(t, (struct phys_config){ .nr_pages = MIB(64) });
	assert_int_equal(kmem_boot(&t->phys), 0);
}

static void objects_are_apart(void **state)
{
	struct testram t;
	struct kmem_cache *cache;
	struct slab_info info;
	u8 *objs[1000];
	int i, j;

	boot(&t);
	cache = kmem_cache_create(&t.phys, "test", 72, 16, 0, NULL);
	for (i = 0; i < 1000; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		assert_int_equal((uintptr_t)objs[i] % 16, 0);
		memset(objs[i], i, 72);
	}
	for (i = 0; i < 1000; i++)
		for (j = 0; j < 72; j++)
			assert_int_equal(objs[i][j], (u8)i);
	kmem_cache_info(cache, &info);
	assert_int_equal(info.active_objs, 1000);
	assert_true(info.num_objs >= 1000);
	assert_int_equal(info.object_size, 72);
	for (i = 0; i < 1000; i++)
		kmem_cache_free(cache, objs[i * 7 % 1000]);
	kmem_cache_shrink(cache);
	kmem_cache_info(cache, &info);
	assert_int_equal(info.num_slabs, 0);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	phys_check(&t.phys);
	testram_end(&t);
}

static void leaks_keep_the_cache(void **state)
{
	struct testram t;
	struct kmem_cache *cache;
	void *obj;

	boot(&t);
	cache = kmem_cache_create(&t.phys, "leaky", 100, 0, 0, NULL);
	obj = kmem_cache_alloc(cache, GFP_KERNEL);
	assert_int_equal(kmem_cache_destroy(cache), -PHYS_EBUSY);
	kmem_cache_free(cache, obj);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	testram_end(&t);
}

static int constructed;
static void construct(void *obj)
{
	constructed++;
	memset(obj, 0x5a, 40);
}

static void constructors_run_once(void **state)
{
	struct testram t;
	struct kmem_cache *cache;
	u8 *obj;
	int i, before;

	boot(&t);
	cache = kmem_cache_create(&t.phys, "ctor", 40, 0, 0, construct);
	obj = kmem_cache_alloc(cache, GFP_KERNEL);
	before = constructed;
	assert_int_equal(obj[39], 0x5a);
	for (i = 0; i < 100; i++) {
		kmem_cache_free(cache, obj);
		obj = kmem_cache_alloc(cache, GFP_KERNEL);
	}
	assert_int_equal(constructed, before);
	testram_end(&t);
}

static void caches_merge(void **state)
{
	struct testram t;
	struct kmem_cache *a, *b, *c;

	boot(&t);
	a = kmem_cache_create(&t.phys, "a", 60, 0, 0, NULL);
	b = kmem_cache_create(&t.phys, "b", 64, 0, 0, NULL);
	c = kmem_cache_create(&t.phys, "c", 64, 0, SLAB_NO_MERGE, NULL);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_equal(kmem_cache_destroy(a), 0);
	kmem_cache_free(b, kmem_cache_alloc(b, GFP_KERNEL));
	assert_int_equal(kmem_cache_destroy(b), 0);
	testram_end(&t);
}

static void kmalloc_fits(void **state)
{
	struct testram t;
	size_t size;
	u8 *mem, *more;
	u64 pages;

	boot(&t);
	for (size = 1; size < 40000; size += size / 7 + 1) {
		mem = kmalloc(&t.phys, size, GFP_KERNEL);
		assert_true(ksize(&t.phys, mem) >= size);
		assert_true(ksize(&t.phys, mem) <= max_u64(8, 2 * size));
		memset(mem, 1, size);
		kfree(&t.phys, mem);
	}
	for (size = 8; size <= 4096; size *= 2) {
		mem = kmalloc(&t.phys, size, GFP_KERNEL);
		assert_int_equal((uintptr_t)mem % size, 0);
		kfree(&t.phys, mem);
	}
	pages = kmem_slab_pages(&t.phys);
	mem = kzalloc(&t.phys, 100000, GFP_KERNEL);
	assert_int_equal(kmem_slab_pages(&t.phys), pages + 32);
	assert_int_equal(mem[99999], 0);
	mem[5] = 7;
	more = krealloc(&t.phys, mem, 200000, GFP_KERNEL);
	assert_int_equal(more[5], 7);
	more = krealloc(&t.phys, more, 10, GFP_KERNEL);
	assert_int_equal(more[5], 7);
	kfree(&t.phys, more);
	assert_int_equal(kmem_slab_pages(&t.phys), pages);
	assert_null(kmalloc(&t.phys, KMALLOC_MAX_SIZE + 1, GFP_KERNEL));
	assert_null(kmalloc_array(&t.phys, SIZE_MAX / 16, 32, GFP_KERNEL));
	kfree(&t.phys, kmalloc(&t.phys, 0, GFP_KERNEL));
	kfree(&t.phys, NULL);
	testram_end(&t);
}

/* The class of each size is the smallest that holds it. */
static void classes_of_kmalloc(void **state)
{
	static const size_t classes[] = { 8,   16,  32,	  64,	96,   128, 192,
					  256, 512, 1024, 2048, 4096, 8192 };
	struct testram t;
	size_t size;
	unsigned i = 0;
	u8 *mem;

	boot(&t);
	for (size = 1; size <= 8192; size++) {
		i += size > classes[i];
		mem = kmalloc(&t.phys, size, GFP_KERNEL);
		assert_int_equal(ksize(&t.phys, mem), classes[i]);
		kfree(&t.phys, mem);
	}
	mem = kmalloc(&t.phys, 8193, GFP_KERNEL);
	assert_int_equal(ksize(&t.phys, mem), 4 * PAGE_SIZE);
	kfree(&t.phys, mem);
	mem = kmalloc(&t.phys, 0, GFP_KERNEL);
	assert_int_equal(ksize(&t.phys, mem), 0);
	assert_int_equal(ksize(&t.phys, NULL), 0);
	mem = krealloc(&t.phys, mem, 20, GFP_KERNEL);
	memset(mem, 3, 20);
	kfree(&t.phys, mem);
	mem = kcalloc(&t.phys, 4, 5, GFP_KERNEL);
	assert_true(!mem[0] && !mem[19]);
	kfree(&t.phys, mem);
	mem = (u8 *)kstrdup(&t.phys, "text", GFP_KERNEL);
	assert_string_equal((char *)mem, "text");
	kfree(&t.phys, mem);
	kmem_check(&t.phys);
	testram_end(&t);
}

static void objects_begin_at_cache_lines(void **state)
{
	struct testram t;
	struct kmem_cache *cache;
	size_t size;
	int i;

	boot(&t);
	for (size = 1; size < 500; size += 37) {
		cache = kmem_cache_create(&t.phys, "lines", size, 0,
					  SLAB_HWCACHE_ALIGN | SLAB_NO_MERGE, NULL);
		for (i = 0; i < 100; i++)
			assert_int_equal((uintptr_t)kmem_cache_alloc(cache, GFP_KERNEL) % 64, 0);
	}
	testram_end(&t);
}

static void debugging_finds_bugs(void **state)
{
	struct testram t;
	struct kmem_cache *cache;
	u8 *obj, *volatile other;

	boot(&t);
	cache = kmem_cache_create(&t.phys, "debug", 50, 0, SLAB_DEBUG_ALL, NULL);
	obj = kmem_cache_alloc(cache, GFP_KERNEL);
	memset(obj, 1, 50);
	kmem_cache_free(cache, obj);
	EXPECT_PANIC(kmem_cache_free(cache, obj));
	other = kmem_cache_alloc(cache, GFP_KERNEL);
	other[50] = 1;
	EXPECT_PANIC(kmem_cache_free(cache, other));
	other[50] = 0xcc;
	other[-1] = 1;
	EXPECT_PANIC(kmem_cache_free(cache, other));
	other[-1] = 0xcc;
	EXPECT_PANIC(kmem_cache_free(cache, other + 8));
	kmem_cache_free(cache, other);
	other[3] = 1;
	EXPECT_PANIC((void)!kmem_cache_alloc(cache, GFP_KERNEL));
	testram_end(&t);
}

static void failures_lose_nothing(void **state)
{
	struct testram t;
	struct kmem_cache *cache;
	u64 nth, free_before;

	boot(&t);
	free_before = nr_free_pages(&t.phys);
	for (nth = 1;; nth++) {
		void *objs[300];
		size_t got;

		t.phys.fault = (struct phys_fault){ .nth = nth };
		cache = kmem_cache_create(&t.phys, "sweep", 300, 0, SLAB_NO_MERGE, NULL);
		got = cache ? kmem_cache_alloc_bulk(cache, GFP_KERNEL, 300, objs) : 0;
		if (cache) {
			kmem_cache_free_bulk(cache, got, objs);
			assert_int_equal(kmem_cache_destroy(cache), 0);
		}
		if (!t.phys.fault.failed)
			break;
		assert_true(got == 0 || got == 300); /* a smaller slab may do */
	}
	assert_in_range(nth, 5, 100);
	phys_check(&t.phys);
	assert_true(nr_free_pages(&t.phys) + 4 >= free_before);
	testram_end(&t);
}

/* Without a block of the cache's order, the smallest slab that holds an object will do. */
static void slabs_of_single_frames(void **state)
{
	struct testram t;
	struct kmem_cache *cache;
	struct slab_info info;
	struct page *page, *kept = NULL;
	void *objs[100];
	unsigned n = 0;
	int i;

	boot(&t);
	cache = kmem_cache_create(&t.phys, "nodes", 520, 0, SLAB_NO_MERGE, NULL);
	kmem_cache_info(cache, &info);
	assert_true(info.pages_per_slab > 1);
	while ((page = alloc_page(&t.phys, GFP_NOWAIT | __GFP_MEMALLOC | __GFP_NOWARN))) {
		page->private = (u64)(uintptr_t)kept;
		kept = page;
	}
	while (kept) { /* every other frame is free: no block of two */
		page = kept;
		kept = (struct page *)(uintptr_t)page->private;
		if (page_to_pfn(&t.phys, page) % 2)
			__free_page(&t.phys, page);
		else
			n++;
	}
	assert_true(n > 1000);
	assert_null(alloc_pages(&t.phys, GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, 1));
	for (i = 0; i < 100; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		assert_non_null(objs[i]);
		memset(objs[i], i, 520);
	}
	kmem_cache_info(cache, &info);
	assert_int_equal(info.active_objs, 100);
	assert_int_equal(info.num_objs, info.num_slabs * (PAGE_SIZE / 520));
	for (i = 0; i < 100; i++) {
		assert_int_equal(((u8 *)objs[i])[519], i);
		kmem_cache_free(cache, objs[i]);
	}
	assert_int_equal(kmem_cache_destroy(cache), 0);
	phys_check(&t.phys);
	testram_end(&t);
}

struct leak_sum {
	unsigned sites;
	u64 objects;
};

static void sum_leaks(void *arg, const void *call_site, u64 objects)
{
	struct leak_sum *sum = arg;

	assert_non_null(call_site);
	sum->sites++;
	sum->objects += objects;
}

static void leaks_by_call_site(void **state)
{
	struct leak_sum sum = { 0, 0 };
	struct kmem_cache *cache;
	struct testram t;
	void *first[30], *second;
	int i;

	boot(&t);
	cache = kmem_cache_create(&t.phys, "leaks", 50, 0, SLAB_STORE_USER, NULL);
	for (i = 0; i < 30; i++)
		first[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	second = kmem_cache_alloc(cache, GFP_KERNEL);
	kmem_cache_leaks(cache, sum_leaks, &sum);
	assert_int_equal(sum.sites, 2);
	assert_int_equal(sum.objects, 31);
	kmem_cache_free_bulk(cache, 30, first);
	kmem_cache_free(cache, second);
	assert_int_equal(kmem_cache_destroy(cache), 0);
	testram_end(&t);
}

static void reaping_gives_pages_back(void **state)
{
	struct testram t;
	void *objs[5000];
	u64 before;
	int i;

	boot(&t);
	kmem_reap(&t.phys);
	before = nr_free_pages(&t.phys);
	for (i = 0; i < 5000; i++)
		objs[i] = kmalloc(&t.phys, 256, GFP_KERNEL);
	for (i = 0; i < 5000; i++)
		kfree(&t.phys, objs[i]);
	assert_true(nr_free_pages(&t.phys) < before);
	kmem_reap(&t.phys);
	assert_true(nr_free_pages(&t.phys) + 8 >= before);
	phys_check(&t.phys);
	testram_end(&t);
}

/* --- threads that free each other's objects --- */

#define SHELF 256
static u64 *shelf[SHELF];
static struct kmem_cache *shared;

static void *work(void *arg)
{
	unsigned number = *(unsigned *)arg, seed = number + 1, step;
	u64 *obj;

	testram_cpu = number;
	for (step = 0; step < 50000; step++) {
		seed = seed * 1664525 + 1013904223;
		obj = kmem_cache_alloc(shared, GFP_KERNEL);
		obj[0] = (uintptr_t)obj;
		obj[7] = ~(u64)(uintptr_t)obj;
		obj = __atomic_exchange_n(&shelf[seed >> 16 & (SHELF - 1)], obj, __ATOMIC_ACQ_REL);
		if (obj) {
			require(obj[0] == (uintptr_t)obj && obj[7] == ~(u64)(uintptr_t)obj);
			kmem_cache_free(shared, obj);
		}
	}
	return NULL;
}

static void stress(enum lock_mode mode)
{
	static unsigned numbers[4] = { 0, 1, 2, 3 };
	struct slab_info info;
	struct testram t;
	pthread_t ids[4];
	u64 held = 0;
	int i;

	testram_boot_cpus(&t, mode);
	assert_int_equal(kmem_boot(&t.phys), 0);
	shared = kmem_cache_create(&t.phys, "shared", 64, 0, SLAB_NO_MERGE, NULL);
	for (i = 0; i < 4; i++)
		pthread_create(&ids[i], NULL, work, &numbers[i]);
	for (i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
	for (i = 0; i < SHELF; i++)
		held += shelf[i] != NULL;
	kmem_cache_info(shared, &info);
	assert_int_equal(info.active_objs, held);
	for (i = 0; i < SHELF; i++) {
		kmem_cache_free(shared, shelf[i]);
		shelf[i] = NULL;
	}
	/* Empty the magazines of each CPU as its owner. */
	for (testram_cpu = 4; testram_cpu-- > 0;)
		kmem_cache_shrink(shared);
	testram_cpu = 0;
	assert_int_equal(kmem_cache_destroy(shared), 0);
	testram_end(&t);
}

static void threads_with_locks(void **state)
{
	stress(LOCK_ON);
}

static void threads_with_cpus_of_their_own(void **state)
{
	stress(LOCK_OWNED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_apart),
		cmocka_unit_test(leaks_keep_the_cache),
		cmocka_unit_test(constructors_run_once),
		cmocka_unit_test(caches_merge),
		cmocka_unit_test(kmalloc_fits),
		cmocka_unit_test(classes_of_kmalloc),
		cmocka_unit_test(objects_begin_at_cache_lines),
		cmocka_unit_test(debugging_finds_bugs),
		cmocka_unit_test(failures_lose_nothing),
		cmocka_unit_test(slabs_of_single_frames),
		cmocka_unit_test(leaks_by_call_site),
		cmocka_unit_test(reaping_gives_pages_back),
		cmocka_unit_test(threads_with_locks),
		cmocka_unit_test(threads_with_cpus_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
