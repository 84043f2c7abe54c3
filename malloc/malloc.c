/*
 * malloc.c - the C interface, and the paths that most calls take.
 *
 * How     malloc: size -> magazine (a table) -> pop. free: address -> unit -> magazine (a table)
 *         -> push. Neither knows which thread's or slab's block it is. What they cannot serve
 *         goes to block.c.
 * Holds   A free block carries its mark (mark.h), and an allocated one is handed out without.
 *         malloc() misses the mark only where somebody wrote to a free block, or freed it
 *         twice: no block is handed out twice. There are no links inside blocks to be bent.
 * Why     A block that is freed in the reverse order still lies in the slot that it was popped
 *         from (M5): that proves at once all that free() asks of others one by one, class,
 *         start of a block, room, not just freed.
 *         free() does not look for the mark itself: loading a block that the program has not used
 *         for long costs a cache miss that storing to it does not (docs/malloc.md). It compares
 *         with the last block freed instead; the slabs' bitmaps find the other double frees.
 *         The pointers are changed in memory, not in registers, because that is one instruction
 *         instead of two; malloc takes 10, free 13 or 24 on x86-64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "block.h"
#include "cache.h"
#include "heap.h"
#include "malloc.h"
#include "mark.h"
#include "report.h"

#include <errno.h>
#include <string.h>

#define text_of(name) #name
#define alias(of)     __attribute__((alias(text_of(of)))) /* also where the names are macros */

cold static void *fail(void)
{
	errno = ENOMEM;
	return NULL;
}

__attribute__((noinline)) static void *malloc_other(size_t bytes)
{
	void *block = NULL;

	if (heap.route != ROUTE_SLOW)
		block = block_pop(bytes);
	if (!block)
		block = block_alloc(bytes, ALIGN_MIN, BLOCK_ANY);
	return likely(block != NULL) ? block : fail();
}

/* What lay at the magazine's top was no free block: M4's word if it was empty. */
__attribute__((noinline)) static void *malloc_odd(size_t bytes, void *top)
{
	if (!zone_has(&heap.units, top))
		return malloc_other(bytes);
	unmark_undo(top);
	report_written(top);
}

/* While samples are taken: the quick path with a countdown of bytes in it. */
__attribute__((noinline)) static void *malloc_slow(size_t bytes)
{
	magazine_here_t *m;
	void *block;

	if (bytes >= heap_counted)
		return malloc_other(bytes);
	sample_left -= (int64_t)bytes;
	m = magazine_here(heap_magazine[bytes]);
	block = m->top[-1];
	if (unlikely(sample_left <= 0 || (!MALLOC_CHECKS && !block))) {
		sample_left += (int64_t)bytes;
		return malloc_other(bytes);
	}
	if (unlikely(!unmark(block))) {
		sample_left += (int64_t)bytes;
		return malloc_odd(bytes, block);
	}
	m->top--;
	return block;
}

public
void *malloc(size_t bytes)
{
	magazine_here_t *m;
	void *block;

	if (unlikely(bytes >= operand(heap_quick)))
		return malloc_slow(bytes);
	m = magazine_here(heap_magazine[bytes]);
	block = m->top[-1];
	if (!MALLOC_CHECKS && unlikely(!block))
		return malloc_slow(bytes);
	if (MALLOC_CHECKS && unlikely(!unmark(block)))
		return malloc_odd(bytes, block);
	m->top--;
	return block;
}

/* The pointer as memory has it: increased there, not in a register. */
#define in_memory(word) __asm__("" : "+m"(word))

public
void free(void *p)
{
	size_t unit = ((uintptr_t)p - heap_base) >> UNIT_SHIFT;
	magazine_here_t *m;
	void **top;

	if (unlikely(unit >= operand(heap_unit_limit))) {
		block_free(p);
		return;
	}
	m = magazine_here(operand(heap_map[unit]));
	top = m->top;
	if (*top == p) { /* M5 */
		mark(p);
		in_memory(m->top);
		m->top++;
		return;
	}
	if (unlikely((MALLOC_CHECKS && (uint16_t)(uintptr_t)p * m->inverse >= m->inverse) ||
		     top == m->limit || (MALLOC_CHECKS && top[-1] == p))) {
		block_free(p);
		return;
	}
	top[0] = p;
	top[1] = NULL; /* M5 */
	mark(p);
	in_memory(m->top);
	m->top++;
}

public
void *calloc(size_t count, size_t bytes)
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

public
void *realloc(void *p, size_t bytes)
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

public
void *reallocarray(void *p, size_t count, size_t bytes)
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
public
void *memalign(size_t align, size_t bytes)
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

public
void *aligned_alloc(size_t align, size_t bytes) alias(memalign);

public
int posix_memalign(void **out, size_t align, size_t bytes)
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

public
void *valloc(size_t bytes)
{
	return memalign(PAGE_BYTES, bytes);
}

public
void *pvalloc(size_t bytes)
{
	if (bytes > SIZE_MAX - PAGE_BYTES)
		return fail();
	return memalign(PAGE_BYTES, bytes ? round_up(bytes, PAGE_BYTES) : PAGE_BYTES);
}

public
size_t malloc_usable_size(void *p)
{
	return block_usable(p);
}

public
void cfree(void *p)
{
	free(p);
}

public
void free_sized(void *p, size_t bytes)
{
	(void)bytes;
	free(p);
}

public
void free_aligned_sized(void *p, size_t align, size_t bytes)
{
	(void)align;
	(void)bytes;
	free(p);
}
