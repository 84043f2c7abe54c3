/*
 * malloc.c - the C interface, and the paths that most calls take.
 *
 * How     malloc: size -> magazine offset (a table) -> pop. free: address -> unit -> magazine
 *         offset (a table) -> push. Neither knows which thread's or slab's block it is. What
 *         they cannot serve goes to block.c.
 * Holds   A free block starts with heap.secret, and an allocated one is handed out with that word
 *         cleared. malloc() misses the word only where somebody wrote to a free block, or freed
 *         it twice: no block is handed out twice. There are no links inside blocks to be bent.
 * Why     free() does not look for the word itself: loading a block that the program has not used
 *         for long costs a cache miss that storing to it does not (docs/malloc.md). It compares
 *         with the last block freed instead; the slabs' bitmaps find the other double frees.
 *
 * SPDX-License-Identifier: MIT
 */
#include "block.h"
#include "cache.h"
#include "heap.h"
#include "malloc.h"
#include "report.h"

#include <errno.h>
#include <string.h>

#define alias(of) __attribute__((alias(#of)))

cold static void *fail(void)
{
	errno = ENOMEM;
	return NULL;
}

__attribute__((noinline)) static void *malloc_slow(size_t bytes)
{
	void *block = NULL;

	if (heap.route == ROUTE_FREE_FAST)
		block = block_pop_counted(bytes);
	if (!block)
		block = block_alloc(bytes, ALIGN_MIN, BLOCK_ANY);
	return likely(block != NULL) ? block : fail();
}

public void *malloc(size_t bytes)
{
	struct magazine *m;
	uint64_t *block;
	size_t n;

	if (unlikely(bytes > SMALL_MAX))
		return malloc_slow(bytes);
	m = (struct magazine *)((char *)cache + heap.magazine[(bytes + 15) / ALIGN_MIN]);
	n = m->count;
	if (unlikely(!n))
		return malloc_slow(bytes);
	block = m->slot[n - 1];
	if (unlikely(*block != heap.secret))
		report_written(block);
	m->count = (uint32_t)(n - 1);
	*block = 0;
	return block;
}

public void free(void *p)
{
	size_t unit = ((uintptr_t)p - heap.base) >> UNIT_SHIFT;
	struct magazine *m;
	size_t n;

	if (unlikely(unit >= heap.unit_limit)) {
		block_free(p);
		return;
	}
	m = (struct magazine *)((char *)cache + heap.map[unit]);
	n = m->count;
	if (unlikely((uint16_t)(uintptr_t)p * m->inverse >= m->inverse || n >= m->capacity ||
		     m->slot[n - 1] == p)) {
		block_free(p);
		return;
	}
	*(uint64_t *)p = heap.secret;
	m->slot[n] = p;
	m->count = (uint32_t)n + 1;
}

public void *calloc(size_t count, size_t bytes)
{
	size_t all;
	void *block;

	if (unlikely(__builtin_mul_overflow(count, bytes, &all)))
		return fail();
	if (likely(all <= SMALL_MAX)) {
		block = malloc(all);
		return likely(block != NULL) ? memset(block, 0, all) : NULL;
	}
	block = block_alloc(all, ALIGN_MIN, BLOCK_ZERO);
	return block ? block : fail();
}

public void *realloc(void *p, size_t bytes)
{
	void *block;

	if (!p)
		return malloc(bytes);
	if (!bytes) {
		free(p);
		return NULL;
	}
	block = block_resize(p, bytes);
	return likely(block != NULL) ? block : fail();
}

public void *reallocarray(void *p, size_t count, size_t bytes)
{
	size_t all;

	if (unlikely(__builtin_mul_overflow(count, bytes, &all)))
		return fail();
	return realloc(p, all);
}

static void *aligned(size_t align, size_t bytes)
{
	if (align <= ALIGN_MIN)
		return malloc_slow(bytes);
	return bytes > PTRDIFF_MAX ? NULL : block_alloc(bytes, align, BLOCK_ANY);
}

/* glibc rounds an alignment that is no power of two up to the next one. */
public void *memalign(size_t align, size_t bytes)
{
	void *block;

	if (align > (SIZE_MAX >> 1) + 1) {
		errno = EINVAL;
		return NULL;
	}
	if (align & (align - 1))
		align = (size_t)1 << (64 - __builtin_clzl(align));
	block = aligned(align, bytes);
	return block ? block : fail();
}

public void *aligned_alloc(size_t align, size_t bytes) alias(memalign);

public int posix_memalign(void **out, size_t align, size_t bytes)
{
	int saved = errno;
	void *block;

	if (align % sizeof(void *) || !align || (align & (align - 1)))
		return EINVAL;
	block = aligned(align, bytes);
	errno = saved;
	if (!block)
		return ENOMEM;
	*out = block;
	return 0;
}

public void *valloc(size_t bytes)
{
	return memalign(PAGE_BYTES, bytes);
}

public void *pvalloc(size_t bytes)
{
	if (bytes > SIZE_MAX - PAGE_BYTES)
		return fail();
	return memalign(PAGE_BYTES, bytes ? round_up(bytes, PAGE_BYTES) : PAGE_BYTES);
}

public size_t malloc_usable_size(void *p)
{
	return block_usable(p);
}

public void cfree(void *p)
{
	free(p);
}

public void free_sized(void *p, size_t bytes)
{
	(void)bytes;
	free(p);
}

public void free_aligned_sized(void *p, size_t align, size_t bytes)
{
	(void)align;
	(void)bytes;
	free(p);
}
