/*
 * pageblock.h - a zone's lists of pageblocks, by migrate type and largest free block.
 *
 * How     A pageblock moves between its zone's lists when its largest block changes. To take order
 *         k, look for the lowest non-empty list from k up: the pageblock whose largest block is the
 *         smallest that will do, so that large blocks last.
 * Holds   Z2, Z3 of zone.h.
 * Locks   zone->lock is held by the caller of everything here.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_PAGEBLOCK_H
#define QUIRE_PHYS_PAGEBLOCK_H

#include "phys/framebits.h"
#include "phys/phys.h"

/* The words of free bits of a pageblock. */
static inline u64 *pageblock_words(struct phys *phys, u64 id)
{
	return phys->free_bits + id * PAGEBLOCK_WORDS;
}

/* Put the pageblock where its largest free block, now of `order`, calls for. */
void pageblock_refile_slowly(struct zone *zone, u32 id, unsigned order);

static inline void pageblock_refile(struct zone *zone, u32 id, unsigned order)
{
	if (zone->phys->blocks[id].order != order)
		pageblock_refile_slowly(zone, id, order);
}

/* The same after frames were taken, the new largest block to be found. */
void pageblock_shrunk(struct zone *zone, u32 id);
/* The same after word `word` of the pageblock became full of a larger block than it had. */
void pageblock_grown(struct zone *zone, u32 id, unsigned word);
/* Nothing of the pageblock is free, and something is going to be: make its bits say so (Z4). */
void pageblock_forget_bits(struct phys *phys, u32 id);
static inline void pageblock_begin_giving(struct phys *phys, u32 id)
{
	if (unlikely(phys->blocks[id].filled))
		pageblock_forget_bits(phys, id);
}
/* Count frames that became free (or, negative, are free no more) in the zone. */
void pageblock_account(struct zone *zone, const struct pageblock *block, s64 frames);
/* The same where the type of the pageblock is known to be an ordinary one. */
static inline void zone_add_free(struct zone *zone, s64 frames)
{
	__atomic_store_n(&zone->free_pages, zone->free_pages + (u64)frames, __ATOMIC_RELAXED);
}

/* Which lists of wholly free pageblocks the pageblock belongs to. */
static inline unsigned pageblock_quarter(const struct zone *zone, u32 id)
{
	return id >> zone->quarter_bits & (NR_QUARTERS - 1);
}
/* The first of a list that is not empty, of order 9 or 10: from the holder's quarter on. */
static inline u32 pageblock_first_whole(const struct zone *zone, enum migratetype type,
					unsigned order)
{
	unsigned i, quarter;
	u32 id = PAGEBLOCK_NIL;

	for (i = 0; i < NR_QUARTERS && id == PAGEBLOCK_NIL; i++) {
		quarter = (zone->quarter + i) % NR_QUARTERS;
		id = zone->quarters[quarter].heads[type][order - PAGEBLOCK_ORDER];
	}
	return id;
}
/* The first of a list that is not empty. */
static inline u32 pageblock_first(const struct zone *zone, enum migratetype type, unsigned order)
{
	return order < PAGEBLOCK_ORDER ? zone->heads[type][order]
				       : pageblock_first_whole(zone, type, order);
}

/* A listed pageblock of that type with a block of `order`, or PAGEBLOCK_NIL. */
static inline u32 pageblock_find(const struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned mask = zone->order_mask[type] >> order;

	if (!mask)
		return PAGEBLOCK_NIL;
	return pageblock_first(zone, type, order + (unsigned)__builtin_ctz(mask));
}

/* The pageblock to take from: own type, the reserves that the flags open, another type. */
u32 pageblock_choose(struct zone *zone, unsigned order, enum migratetype type,
		     unsigned alloc_flags);
/*
 * The pageblock for the single frames of a CPU: the one that it has claimed, or another that nobody
 * has, which becomes its claim. As above where there is none.
 */
u32 pageblock_choose_own(struct zone *zone, enum migratetype type, unsigned alloc_flags,
			 u32 *claim);
void pageblock_unclaim(struct zone *zone, u32 *claim);
/* The first frames of up to nr wholly free pageblocks of that type; returns how many. */
u32 pageblock_take_whole(struct zone *zone, enum migratetype type, u32 *frames, u32 nr);
/* Make all frames of nr pageblocks free, none of which is; frames: the first of each. */
void pageblock_give_whole(struct zone *zone, const u32 *frames, u32 nr);

#endif
