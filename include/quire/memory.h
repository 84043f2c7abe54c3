/*
 * memory.h - a page allocator, slabs and a malloc in memory that the caller hands over.
 *
 * What    For kernels, unikernels, emulators and servers with arenas: all state lies in the given
 *         memory, nothing is global, any number of memories can live side by side. No libc, no
 *         threads, no system calls.
 * Use     Compile mm/base, mm/phys and mm/kmem (tests and benches excepted) with -Imm -Iinclude,
 *         and define quire_panic(), which ends the program, and pressure_relieve() of
 *         mm/phys/pressure.h, which may free something when memory is short. examples/arena.c is a
 *         whole program.
 * Threads With QUIRE_THREADS any thread may call; with QUIRE_THREAD_PER_CPU each number that
 *         this_cpu returns must be one thread's at a time, which spares the fast paths their
 *         locks. What lies on a CPU's lists then is its thread's to give back: a thread that will
 *         not call for a while says quire_thread_idle().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MEMORY_H
#define QUIRE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct quire_memory;
struct quire_cache;

enum quire_threads { QUIRE_ONE_THREAD, QUIRE_THREADS, QUIRE_THREAD_PER_CPU };

enum quire_flags {
	QUIRE_ZERO = 1, /* fill with zeroes; free for memory that was never used */
	QUIRE_MOVABLE = 2, /* will be freed soon or can be moved: kept apart from what stays */
	QUIRE_URGENT = 4, /* may use the reserve, does not ask for relief */
};

/* All zero is a good default. */
struct quire_memory_options {
	enum quire_threads threads;
	unsigned nr_cpus; /* 0: one */
	unsigned (*this_cpu)(void *arg); /* number of the caller's CPU; NULL: 0 */
	void (*log)(void *arg, const char *line); /* boot lines and failures; NULL: none */
	void *arg; /* for the two functions */
	int is_zeroed; /* the memory is known to be all zero */
	int poison; /* find writes to freed pages */
};

/* Bytes. */
struct quire_memory_info {
	uint64_t total; /* handed over, tables included */
	uint64_t managed; /* can be allocated */
	uint64_t free;
	uint64_t slab; /* in caches and large blocks */
	uint64_t largest_free_block;
};

/*
 * Turn `bytes` bytes at `base` (aligned to 4096, at least 1 MiB) into a memory, or NULL when they
 * are too few. Tables take about 1.8 % of it. Nothing is freed at the end: the memory stays the
 * caller's.
 */
struct quire_memory *quire_memory_create(void *base, size_t bytes,
					 const struct quire_memory_options *options);

/* 2^order pages of 4096 bytes, aligned to their size; order 0 to 10; NULL: none. And back. */
void *quire_pages_alloc(struct quire_memory *memory, unsigned order, unsigned flags);
void quire_pages_free(struct quire_memory *memory, void *pages, unsigned order);

/* Objects of one size. align: 0 or a power of two up to 4096. name is kept, not copied. */
struct quire_cache *quire_cache_create(struct quire_memory *memory, const char *name, size_t size,
				       size_t align);
/* 0, or -16 (EBUSY) when objects are still allocated. */
int quire_cache_destroy(struct quire_cache *cache);
void *quire_cache_alloc(struct quire_cache *cache, unsigned flags);
void quire_cache_free(struct quire_cache *cache, void *object);

/* Any size up to 4 MiB. */
void *quire_alloc(struct quire_memory *memory, size_t size, unsigned flags);
void *quire_realloc(struct quire_memory *memory, void *block, size_t size);
size_t quire_size(struct quire_memory *memory, const void *block);
void quire_free(struct quire_memory *memory, void *block);

/*
 * QUIRE_THREAD_PER_CPU: the calling thread will not call for a while, and others may take what lies
 * on its CPU's lists; it is back. In between it must call nothing of this memory.
 */
void quire_thread_idle(struct quire_memory *memory);
void quire_thread_busy(struct quire_memory *memory);

/* Give what the caches hold in reserve back to the pages. Returns bytes. */
uint64_t quire_memory_reap(struct quire_memory *memory);
void quire_memory_info(struct quire_memory *memory, struct quire_memory_info *info);
/* Verify every invariant; panics if one does not hold. Walks all memory. */
void quire_memory_check(struct quire_memory *memory);

#endif
