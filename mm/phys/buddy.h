/*
 * buddy.h - the free blocks of a zone: take and give 2^order frames.
 *
 * Use     buddy_take()  a block or PFN_NONE; never waits, never reclaims, looks at no watermark:
 *         alloc.c does.
 *         buddy_give()  return it; no reference to it may remain.
 * Locks   zone->lock is held by the caller of everything here.
 * Why     For the representation see zone.h. Linux: __rmqueue(), __free_one_page(),
 *         steal_suitable_fallback().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_BUDDY_H
#define QUIRE_PHYS_BUDDY_H

#include "phys/phys.h"

/*
 * What the allocator passes around for a single frame: its number, and whether it is still zero
 * from boot.
 */
#define FRAME_FRESH ((u32)1 << 31)

/*
 * A block of 2^order frames of the given type, from another type if need be; its fresh bits are
 * left alone.
 */
pfn_t buddy_take(struct zone *zone, unsigned order, enum migratetype type, unsigned alloc_flags);
/* The first frames of up to nr blocks of order 9 into out[]; returns how many. */
u32 buddy_take_whole(struct zone *zone, enum migratetype type, unsigned alloc_flags, u32 *out,
		     u32 nr);
/*
 * Up to nr single frames into out[], FRAME_FRESH included; returns how many. claim: what the CPU
 * has claimed (pageblock.h); NULL: it claims nothing.
 */
unsigned buddy_take_singles(struct zone *zone, enum migratetype type, unsigned alloc_flags,
			    u32 *claim, u32 *out, unsigned nr);
/* The block at pfn, if all of it is free and its pageblock is not isolated. */
bool buddy_take_at(struct zone *zone, pfn_t pfn, unsigned order);
/* Return 2^order frames. */
void buddy_give(struct zone *zone, pfn_t pfn, unsigned order);
/*
 * Return nr single frames, FRAME_FRESH included; neighbours in the array that are neighbours in
 * memory cost little more than one. Before that, without the lock: buddy_prefetch() of each.
 */
void buddy_give_singles(struct zone *zone, const u32 *entries, u32 nr);
/* Return nr blocks of order 9; before that, the same. */
void buddy_give_whole(struct zone *zone, const u32 *frames, u32 nr);
/* Return any range of frames (boot, hotplug, alloc_contig_range). */
void buddy_give_range(struct zone *zone, pfn_t start, pfn_t end);
/*
 * Take any range of frames that are all free, isolated pageblocks included; false (and nothing
 * done) otherwise.
 */
bool buddy_take_range(struct zone *zone, pfn_t start, pfn_t end);
/*
 * Change the type of a pageblock, its free frames included. Linux: set_pageblock_migratetype +
 * move_freepages.
 */
void buddy_set_type(struct zone *zone, u64 block, enum migratetype type);
/*
 * Keep the pageblock of a high-order request that could not wait for the next of its kind, up to
 * one percent of the zone; and give one that has free frames back for a type. Linux:
 * reserve_highatomic_pageblock().
 */
void buddy_reserve_highatomic(struct zone *zone, pfn_t pfn);
bool buddy_unreserve_highatomic(struct zone *zone, enum migratetype type);
/*
 * Order of the largest free block that contains frame pfn (0 to 10), or -1 if the frame is not
 * free.
 */
int buddy_order_at(const struct phys *phys, pfn_t pfn);
/* Empty lists for a zone. */
void buddy_init(struct zone *zone);
/* Panic unless Z1 to Z3 hold. */
void buddy_check(struct zone *zone);

/* Clear the fresh bits of a range; true if all of them were set. */
bool fresh_take(struct phys *phys, pfn_t pfn, unsigned order);
/* Whether frames of the pageblock have never been used. Of one's own frames, "no" is final. */
static inline bool fresh_in_block(const struct phys *phys, u64 id)
{
	return __atomic_load_n(&phys->blocks[id].fresh, __ATOMIC_RELAXED);
}

/* Whether any fresh bit of a taken block is set; needs no lock. */
bool fresh_any_in_bits(const struct phys *phys, pfn_t pfn, unsigned order);

static inline bool fresh_any(const struct phys *phys, pfn_t pfn, unsigned order)
{
	if (likely(!fresh_in_block(phys, pfn >> PAGEBLOCK_ORDER)) && order <= PAGEBLOCK_ORDER)
		return false;
	return fresh_any_in_bits(phys, pfn, order);
}

/* Set one fresh bit again, or all of a range. */
void fresh_put(struct phys *phys, pfn_t pfn);
void fresh_put_range(struct phys *phys, pfn_t start, pfn_t end);

static inline struct pageblock *pfn_to_block(const struct phys *phys, pfn_t pfn)
{
	return &phys->blocks[pfn >> PAGEBLOCK_ORDER];
}

/* Bring in what giving or taking a block is going to write: of a whole pageblock, no bits. */
static inline void buddy_prefetch(const struct phys *phys, pfn_t pfn, unsigned order)
{
	if (order < PAGEBLOCK_ORDER)
		prefetch_write(&phys->free_bits[pfn / 64]);
	prefetch_write(pfn_to_block(phys, pfn));
}

static inline enum migratetype pfn_migratetype(const struct phys *phys, pfn_t pfn)
{
	return (enum migratetype)__atomic_load_n(&pfn_to_block(phys, pfn)->migratetype,
						 __ATOMIC_RELAXED);
}

#endif
