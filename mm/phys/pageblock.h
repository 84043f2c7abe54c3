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
/* Count frames that became free (or, negative, are free no more) in the zone. */
void pageblock_account(struct zone *zone, const struct pageblock *block, s64 frames);
/* The same where the type of the pageblock is known to be an ordinary one. */
static inline void zone_add_free(struct zone *zone, u32 frames)
{
	__atomic_store_n(&zone->free_pages, zone->free_pages + frames, __ATOMIC_RELAXED);
}

/* A listed pageblock of that type with a block of `order`, or PAGEBLOCK_NIL. */
static inline u32 pageblock_find(const struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned mask = zone->order_mask[type] >> order;

	return mask ? zone->heads[type][order + (unsigned)__builtin_ctz(mask)] : PAGEBLOCK_NIL;
}

/* The pageblock to take from: own type, the reserves that the flags open, another type. */
u32 pageblock_choose(struct zone *zone, unsigned order, enum migratetype type,
		     unsigned alloc_flags);
/* Take a wholly free pageblock of that type, half of a pair if need be; PAGEBLOCK_NIL: none. */
u32 pageblock_take_whole(struct zone *zone, enum migratetype type);
/* Make all frames of a pageblock free, none of which is. */
void pageblock_give_whole(struct zone *zone, u32 id);

#endif
