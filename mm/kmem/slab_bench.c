/*
 * slab_bench.c - ns of thread CPU time per operation on objects of one size.
 *
 * How     usage: slab_bench own|NAME [rounds]. own: the floor, kmem and kmalloc in turn, round by
 *         round; NAME: malloc, under that name. bench/run calls it, with LD_PRELOAD for the rivals
 *         of malloc, and makes the table. A line per measurement: allocator, size, pattern, ns. An
 *         operation is one alloc or one free; the first word of each object is written after its
 *         allocation, whoever allocated it.
 *         pair    alloc and free at once
 *         lifo    1000 allocated, freed in reverse
 *         fifo    1000 allocated, freed in order
 *         random  10000 held, one at random freed and allocated anew
 *         cross   one thread allocates, another frees, 1000 at a time; the mean of both
 * Floor   floor   a free list through the objects, which it reads and writes
 *         stack   an array of pointers: like ours, it does not touch the objects
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
static void *ram, *arena;

/* A new machine in place of the last one. */
static void boot(enum lock_mode locks)
{
	struct phys_config config = { .nr_pages = RAM_PAGES, .nr_cpus = 2, .locks = locks };

	if (locks != LOCK_OFF)
		config.this_cpu = this_cpu;
	if (ram)
		munmap(ram, RAM_PAGES * PAGE_SIZE);
	ram = mmap(NULL, RAM_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	config.ram = ram;
	if (ram == MAP_FAILED || phys_boot(&phys, &config) || kmem_boot(&phys))
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
	size_t i;

	free(arena);
	arena = malloc(size * (HELD + BATCH));
	for (floor_list = NULL, i = HELD + BATCH; i-- > 0;) {
		*(void **)(void *)((char *)arena + i * size) = floor_list;
		floor_list = (char *)arena + i * size;
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

static struct {
	size_t count;
	void *objs[HELD + BATCH];
} stack;

static void stack_start(size_t size)
{
	floor_start(size);
	for (stack.count = 0; stack.count < HELD + BATCH; stack.count++)
		stack.objs[stack.count] = (char *)arena + (HELD + BATCH - 1 - stack.count) * size;
}

static void *stack_get(size_t size)
{
	return stack.objs[--stack.count];
}

static void stack_put(void *obj)
{
	stack.objs[stack.count++] = obj;
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

static const struct allocator own[] = {
	{ "floor", floor_start, floor_get, floor_put },
	{ "stack", stack_start, stack_get, stack_put },
	{ "kmem", kmem_start, kmem_get, kmem_put },
	{ "kmalloc", nothing, kmalloc_get, kmalloc_put },
};
static struct allocator rival = { NULL, nothing, malloc_get, free };

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
	double start = 0;
	int i, r;

	for (r = -10; r < 500; r++) {
		if (r == 0)
			start = now_ns();
		for (i = 0; i < BATCH; i++)
			objs[i] = get(size);
		while (i--)
			a->put(objs[i]);
	}
	return (now_ns() - start) / (2.0 * 500 * BATCH);
}

static double fifo(size_t size)
{
	double start = 0;
	int i, r;

	for (r = -10; r < 500; r++) {
		if (r == 0)
			start = now_ns();
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
	double start = 0;
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
	double start = 0;
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

static void measure(const struct allocator *allocator, size_t size, const char *name,
		    double (*pattern)(size_t))
{
	a = allocator;
	a->start(size);
	printf("%s %zu %s %.2f\n", a->name, size, name, pattern(size));
}

static void one_round(const struct allocator *allocators, unsigned nr)
{
	static const struct {
		const char *name;
		double (*run)(size_t);
	} patterns[] = {
		{ "pair", pair }, { "lifo", lifo }, { "fifo", fifo }, { "random", random_order }
	};
	static const size_t sizes[] = { 64, 192, 1024 };
	unsigned i, j, k;

	boot(LOCK_OFF);
	for (i = 0; i < array_size(sizes); i++)
		for (j = 0; j < array_size(patterns); j++)
			for (k = 0; k < nr; k++)
				measure(&allocators[k], sizes[i], patterns[j].name,
					patterns[j].run);
	/* Threads that own their CPU, as those of the rivals own their caches. */
	boot(LOCK_OWNED);
	for (i = 0; i < array_size(sizes); i += 2)
		for (k = nr == 1 ? 0 : 2; k < nr; k++) /* the floors are one thread's */
			measure(&allocators[k], sizes[i], "cross", cross);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 5;

	rival.name = argc > 1 ? argv[1] : "malloc";
	while (rounds-- > 0) {
		if (!strcmp(rival.name, "own"))
			one_round(own, array_size(own));
		else
			one_round(&rival, 1);
	}
	return 0;
}
