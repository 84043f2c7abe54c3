/*
 * types.h - the integers and the few macros that every file uses.
 *
 * Units   pfn_t counts page frames of PAGE_SIZE bytes from physical address 0; vaddr_t is a byte
 *         address in an address space. Both are plain integers: the name, not the compiler, keeps
 *         them apart.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_BASE_TYPES_H
#define QUIRE_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
/* Aligned on 32 bits too, where it need not be: what crosses a cache line is not read at once. */
typedef uint64_t u64 __attribute__((aligned(8)));
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64 __attribute__((aligned(8)));

typedef u64 pfn_t; /* number of a page frame */
typedef u64 vaddr_t; /* byte address in an address space */

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((u64)1 << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define array_size(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Round to a multiple of `to`, a power of two. */
#define align_up(x, to)	  (((x) + ((to)-1)) & ~((to)-1))
#define align_down(x, to) ((x) & ~((to)-1))
#define is_aligned(x, to) (((x) & ((to)-1)) == 0)

#define must_use      __attribute__((warn_unused_result))
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)
#define always_inline inline __attribute__((always_inline))
#define no_inline     __attribute__((noinline))

/* Bring in a line that is going to be written. A shared copy, which __builtin_prefetch() asks for
 * without -mprfchw, would have to be asked for again. */
#if defined(__x86_64__)
#define prefetch_write(addr) __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(addr)))
#else
#define prefetch_write(addr) __builtin_prefetch(addr, 1)
#endif

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}
static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}
static inline u64 clamp_u64(u64 x, u64 lo, u64 hi)
{
	return x < lo ? lo : x > hi ? hi : x;
}

/* Number of set bits; the builtin would call libgcc where the processor is not known to count. */
static inline unsigned count_bits(u64 x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	return (unsigned)(((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56);
}

/* Position of the highest set bit; x is not 0. */
static inline unsigned log2_floor(u64 x)
{
	return 63u - (unsigned)__builtin_clzll(x);
}
/* Smallest k with 2^k >= x; x is not 0. */
static inline unsigned log2_ceil(u64 x)
{
	return x <= 1 ? 0 : log2_floor(x - 1) + 1;
}

/*
 * The four memory functions that a freestanding compiler may call anyway; the embedder's libc or
 * kernel has them.
 */
void *memset(void *dst, int byte, size_t size);
void *memcpy(void *restrict dst, const void *restrict src, size_t size);
void *memmove(void *dst, const void *src, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
