/*
 * framebits.h - arithmetic on the bits of free frames: runs, orders, ranges. Knows no zones.
 *
 * How     A word of 64 bits holds the frames of an order-6 block, a pageblock has eight. The runs
 *         of a word are found by folding it on itself.
 * Locks   the caller's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_FRAMEBITS_H
#define QUIRE_PHYS_FRAMEBITS_H

#include "phys/zone.h"

#define WORD_ORDER 6

/* 2^order bits from bit 0 on; all 64 from order 6 on. */
static inline u64 run_mask(unsigned order)
{
	return order >= WORD_ORDER ? ~(u64)0 : ((u64)1 << (1u << order)) - 1;
}

/* Bits of frames [pfn, next) of one word, in place. */
static inline u64 range_mask(pfn_t pfn, pfn_t next)
{
	return (next - pfn == 64 ? ~(u64)0 : ((u64)1 << (next - pfn)) - 1) << pfn % 64;
}

/* Order of the largest free block of a pageblock whose nr_free (not 0) bits are set: 0 to 9. */
unsigned framebits_order(const u64 *words, unsigned nr_free);
/* Bits at the multiples of 2^k in a word. */
#define ALIGNED_BITS(k)                                                                            \
	((k) >= 6   ? (u64)1                                                                       \
	 : (k) == 5 ? (u64)0x0000000100000001                                                      \
	 : (k) == 4 ? (u64)0x0001000100010001                                                      \
	 : (k) == 3 ? (u64)0x0101010101010101                                                      \
	 : (k) == 2 ? (u64)0x1111111111111111                                                      \
	 : (k) == 1 ? (u64)0x5555555555555555                                                      \
		    : ~(u64)0)

/* Order of the largest free block within a word that is not 0. */
unsigned framebits_word_order(u64 word);

/* Whether the aligned run of that order (at most 6) around the bit is free. */
static inline bool framebits_in_run(u64 word, unsigned bit, unsigned order)
{
	u64 mask = (((u64)2 << ((1u << order) - 1)) - 1) << (bit & ~((1u << order) - 1));

	return (word & mask) == mask;
}

/* Whether the word has a free block of that order (1 to 6). */
static inline bool framebits_has_run(u64 word, unsigned order)
{
	word &= word >> 1 & ALIGNED_BITS(1);
	if (order >= 2)
		word &= word >> 2 & ALIGNED_BITS(2);
	if (order >= 3)
		word &= word >> 4 & ALIGNED_BITS(3);
	if (order >= 4)
		word &= word >> 8 & ALIGNED_BITS(4);
	if (order >= 5)
		word &= word >> 16 & ALIGNED_BITS(5);
	if (order >= 6)
		word &= word >> 32 & ALIGNED_BITS(6);
	return word;
}

/* Order of the free block around `bit`, given that its aligned run of 2^order bits is set. */
unsigned framebits_merged(const u64 *words, unsigned bit, unsigned order);
/*
 * Where in a pageblock that has a free block of `order` (0 to 9) to take one: the first bit of the
 * smallest block that will do.
 */
unsigned framebits_find(const u64 *words, unsigned order);
/* Clear an aligned run of 2^order bits. */
void framebits_clear(u64 *bits, pfn_t pfn, unsigned order);
/* Number of set bits of frames [start, start + nr). */
unsigned framebits_count(const u64 *bits, pfn_t start, u64 nr);
/* Add the largest blocks of a pageblock to nr_blocks[], by order 0 to 9. */
void framebits_count_blocks(const u64 *words, u64 nr_blocks[NR_PAGE_ORDERS]);

#endif
