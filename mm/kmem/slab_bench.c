/*
 * slab_bench.c - ns of thread CPU time per operation on objects of one size: one allocator, one
 * line.
 *
 * How     usage: slab_bench floor|kmem|kmalloc|malloc [rounds]. bench/phys/run calls it for each
 *         allocator, with
 *         LD_PRELOAD for the rivals of malloc, and puts the lines below each other. An operation is
 *         one alloc or one free; the first word of each object is written after its allocation.
 *         pair    alloc and free at once
 *         lifo    1000 allocated, freed in reverse
 *         fifo    1000 allocated, freed in order
 *         random  10000 held, one at random freed and allocated anew
 *         cross   one thread allocates, another frees, 1000 at a time; the mean of both
 *         Every cell is the median of the rounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "kmem/kmalloc.h"
#include "test/benchseams.h"

static __thread unsigned thread_cpu;
static unsigned this_cpu(void *arg)
{
	return thread_cpu;
}

#define RAM_PAGES ((u64)1 << 16)
#define BATCH	  1000
#define HELD	  10000

static struct phys phys;
static struct kmem_cache *cache;

static void boot(enum lock_mode locks)
{
	struct phys_config config = { .nr_pages = RAM_PAGES, .nr_cpus = 2, .locks = locks };

	if (locks != LOCK_OFF)
		config.this_cpu = this_cpu;
	config.ram = mmap(NULL, RAM_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (config.ram == MAP_FAILED || phys_boot(&phys, &config) || kmem_boot(&phys))
		abort();
}

/* --- allocators --- */

struct allocator {
	const char *name;
	void (*start)(size_t size);
	void *(*get)(size_t size);
	void (*put)(void *obj);
};

static void *floor_list;

static void floor_start(size_t size)
{
	char *arena = malloc(size * (HELD + BATCH));
	size_t i;

	for (floor_list = NULL, i = HELD + BATCH; i-- > 0;) {
		*(void **)(void *)(arena + i * size) = floor_list;
		floor_list = arena + i * size;
	}
}

static void *floor_get(size_t size)
{
	void *obj = floor_list;

	floor_list = *(void **)obj;
	return obj;
}

static void floor_put(void *obj)
{
	*(void **)obj = floor_list;
	floor_list = obj;
}

static void kmem_start(size_t size)
{
	cache = kmem_cache_create(&phys, "bench", size, 0, SLAB_NO_MERGE, NULL);
}

static void *kmem_get(size_t size)
{
	return kmem_cache_alloc(cache, GFP_KERNEL);
}

static void kmem_put(void *obj)
{
	kmem_cache_free(cache, obj);
}

static void nothing(size_t size)
{
}

static void *kmalloc_get(size_t size)
{
	return kmalloc(&phys, size, GFP_KERNEL);
}

static void kmalloc_put(void *obj)
{
	kfree(&phys, obj);
}

static void *malloc_get(size_t size)
{
	return malloc(size);
}

static const struct allocator allocators[] = {
	{ "floor", floor_start, floor_get, floor_put },
	{ "kmem", kmem_start, kmem_get, kmem_put },
	{ "kmalloc", nothing, kmalloc_get, kmalloc_put },
	{ "malloc", nothing, malloc_get, free },
};

static const struct allocator *a;

/* --- patterns: each returns ns per operation --- */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *objs[HELD];

static inline void *get(size_t size)
{
	void *obj = a->get(size);

	*(volatile size_t *)obj = size;
	return obj;
}

static double pair(size_t size)
{
	double start = now_ns();
	int i;

	for (i = 0; i < 1000000; i++)
		a->put(get(size));
	return (now_ns() - start) / 2e6;
}

static double lifo(size_t size)
{
	double start = now_ns();
	int i, r;

	for (r = 0; r < 500; r++) {
		for (i = 0; i < BATCH; i++)
			objs[i] = get(size);
		while (i--)
			a->put(objs[i]);
	}
	return (now_ns() - start) / (2.0 * 500 * BATCH);
}

static double fifo(size_t size)
{
	double start = now_ns();
	int i, r;

	for (r = 0; r < 500; r++) {
		for (i = 0; i < BATCH; i++)
			objs[i] = get(size);
		for (i = 0; i < BATCH; i++)
			a->put(objs[i]);
	}
	return (now_ns() - start) / (2.0 * 500 * BATCH);
}

static double random_order(size_t size)
{
	unsigned seed = 1;
	double start;
	int i;

	for (i = 0; i < HELD; i++)
		objs[i] = get(size);
	for (i = -100000; i < 500000; i++) {
		unsigned at;

		if (i == 0)
			start = now_ns();
		seed = seed * 1664525 + 1013904223;
		at = (unsigned)((u64)seed * HELD >> 32);
		a->put(objs[at]);
		objs[at] = get(size);
	}
	start = (now_ns() - start) / 1e6;
	for (i = 0; i < HELD; i++)
		a->put(objs[i]);
	return start;
}

/* Two batches go round between the threads. */
static struct {
	pthread_barrier_t barrier;
	void *batch[2][BATCH];
	double freeing;
	size_t size;
} exchange;

#define EXCHANGES 1000

static void *free_batches(void *arg)
{
	double start;
	int r, i;

	thread_cpu = 1;
	for (r = 0; r < EXCHANGES; r++) {
		pthread_barrier_wait(&exchange.barrier);
		start = now_ns();
		for (i = 0; i < BATCH; i++)
			a->put(exchange.batch[r & 1][i]);
		exchange.freeing += now_ns() - start;
	}
	return NULL;
}

static double cross(size_t size)
{
	double allocating = 0, start;
	pthread_t id;
	int r, i;

	exchange.size = size;
	exchange.freeing = 0;
	pthread_barrier_init(&exchange.barrier, NULL, 2);
	pthread_create(&id, NULL, free_batches, NULL);
	for (r = 0; r < EXCHANGES; r++) {
		start = now_ns();
		for (i = 0; i < BATCH; i++)
			exchange.batch[r & 1][i] = get(size);
		allocating += now_ns() - start;
		pthread_barrier_wait(&exchange.barrier);
	}
	pthread_join(id, NULL);
	return (allocating + exchange.freeing) / (2.0 * EXCHANGES * BATCH);
}

static int compare(const void *x, const void *y)
{
	double d = *(const double *)x - *(const double *)y;

	return (d > 0) - (d < 0);
}

static double median(double (*pattern)(size_t), size_t size, int rounds)
{
	double times[32];
	int i;

	for (i = 0; i < rounds; i++) {
		a->start(size);
		times[i] = pattern(size);
	}
	qsort(times, (size_t)rounds, sizeof(double), compare);
	return times[rounds / 2];
}

int main(int argc, char **argv)
{
	static double (*const patterns[])(size_t) = { pair, lifo, fifo, random_order };
	static const size_t sizes[] = { 64, 192, 1024 };
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	unsigned i, j;

	for (i = 0; i < array_size(allocators); i++)
		if (argc > 1 && !strcmp(argv[1], allocators[i].name))
			a = &allocators[i];
	if (!a || rounds < 1 || rounds > 32)
		return 2;
	boot(LOCK_OFF);
	for (i = 0; i < array_size(sizes); i++)
		for (j = 0; j < array_size(patterns); j++)
			printf(" %6.1f", median(patterns[j], sizes[i], rounds));
	if (strcmp(a->name, "floor")) {
		/* Threads that own their CPU, as those of the rivals own their caches. */
		boot(LOCK_OWNED);
		printf(" %6.1f", median(cross, 64, rounds));
		printf(" %6.1f", median(cross, 1024, rounds));
	} else {
		printf("      -      -");
	}
	printf("\n");
	return 0;
}
