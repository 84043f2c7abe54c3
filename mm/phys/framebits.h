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
