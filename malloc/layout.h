/*
 * layout.h - the sizes everything else is built from, and a few words.
 *
 * How     The heap is one reservation of address space, cut into zones (heap.h). Blocks up to
 *         SMALL_MAX bytes come from slabs of one unit, larger ones from runs of pages.
 * Use     Included by every file here; defines nothing that takes memory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_LAYOUT_H
#define QUIRE_MALLOC_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)
#define UNIT_SHIFT 16
#define UNIT_BYTES ((size_t)1 << UNIT_SHIFT)
#define UNIT_PAGES (UNIT_BYTES / PAGE_BYTES)
#define HUGE_BYTES ((size_t)2 << 20)

#define ALIGN_MIN   16
#define SMALL_MAX   16384 /* the largest block of a slab */
#define CLASS_COUNT 60

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define must_use    __attribute__((warn_unused_result))
#define cold	    __attribute__((cold, noinline))
#define public __attribute__((visibility("default")))
#define hidden __attribute__((visibility("hidden"))) /* not by way of the GOT */

/* For small variables: the loader has written to this page in any case, .bss is another one. */
#define in_data __attribute__((section(".data")))

/*
 * For what one thread changes under a lock and others read without, as a hint or to check it again:
 * the word is read and written whole. In the two calls that count instructions a plain load does
 * the same, as operand of another instruction.
 */
#define relaxed(word)		 __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define relaxed_set(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELAXED)
#if defined(__SANITIZE_THREAD__)
#define operand(word) relaxed(word)
#else
#define operand(word) (word)
#endif

static inline size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

static inline size_t pages_for(size_t bytes)
{
	return (bytes + PAGE_BYTES - 1) >> PAGE_SHIFT;
}

#endif
