/*
 * zone.h - one kind of memory of one node: its frames, watermarks, reserves, and free blocks.
 *
 * How     Below the per-CPU lists (pcp.h), the free frames of a zone are bits: one bit per frame,
 *         512 frames to a pageblock, whose 64 bytes of bits are one cache line. A free block of
 *         order k is a run of 2^k set bits at a multiple of 2^k; merging with the buddy is not an
 *         action but a fact. A zone lists its pageblocks by migrate type and by the order of the
 *         largest block that each can give.
 *         Wholly free ones have such lists for each quarter of the zone, so that CPUs which take
 *         and give them work in different places.
 * Holds   Z1  free_pages is the number of set bits in the zone's pageblocks, isolated ones and Z4
 *             excepted
 *         Z2  a pageblock is on list [migratetype][order] of its zone, where order is that of its
 *             largest free block, and from order 9 on of its quarter; a pageblock without free
 *             frames is on none
 *         Z3  of two wholly free buddies (order 9) with the same type, only the lower is listed,
 *             under order 10
 *         Z4  the bits of a pageblock without free frames mean nothing: they are clear, or, if it
 *             was taken as a whole (`filled`), still set
 * Locks   (Z) zone->lock; (C) constant after boot or only changed under the hotplug lock.
 * Why     Lists threaded through struct page cost a cache miss for each neighbour when memory is
 *         freed in random order; bits of 4 GiB fit the L2 cache. Linux: struct zone, struct
 *         free_area, pageblock_flags.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_ZONE_H
#define QUIRE_PHYS_ZONE_H

#include "base/lock.h"
#include "base/types.h"
#include "phys/gfp.h"

#define MAX_PAGE_ORDER	10
#define NR_PAGE_ORDERS	(MAX_PAGE_ORDER + 1)
#define PAGEBLOCK_ORDER 9
#define PAGEBLOCK_PAGES ((u64)1 << PAGEBLOCK_ORDER)
#define PAGEBLOCK_WORDS (PAGEBLOCK_PAGES / 64)

enum zone_type {
	ZONE_DMA, /* below 16 MiB */
	ZONE_DMA32, /* below 4 GiB, 64-bit layout only */
	ZONE_NORMAL, /* the rest; 32-bit layout: below 896 MiB */
	ZONE_HIGHMEM, /* 32-bit layout: without a permanent address */
	ZONE_MOVABLE, /* only what can be moved away */
	MAX_NR_ZONES
};

enum migratetype {
	MIGRATE_UNMOVABLE,
	MIGRATE_MOVABLE,
	MIGRATE_RECLAIMABLE,
	MIGRATE_PCPTYPES, /* the types above have per-CPU lists */
	MIGRATE_HIGHATOMIC = MIGRATE_PCPTYPES, /* kept for high-order requests that cannot wait */
	MIGRATE_CMA, /* movable users only; cma_alloc() clears them away */
	MIGRATE_ISOLATE, /* being emptied: nothing is allocated */
	MIGRATE_TYPES
};

enum zone_watermark { WMARK_MIN, WMARK_LOW, WMARK_HIGH, WMARK_PROMO, NR_WMARK };

struct node;
struct pcp;

/* 2^9 frames. Linux: pageblock_flags and the free_area entries of its frames. */
struct pageblock {
	/* (Z) neighbours on the zone's list, as pageblock numbers; PAGEBLOCK_NIL: none */
	u32 next;
	u32 prev; /* (Z) */
	u16 nr_free; /* (Z) set bits */
	u8 order; /* (Z) of its largest free block, 0 to 10; PAGEBLOCK_FULL: nothing free */
	u8 migratetype; /* (Z) */
	u16 zone_id; /* (C) nid << 3 | type; PAGEBLOCK_NO_ZONE: hole */
	u8 type_before : 4; /* (Z) while isolated: the type to return to */
	u8 listed : 1; /* (Z) on a list */
	u8 filled : 1; /* (Z) nothing is free, and yet all bits are set: Z4 */
	u8 claimed : 1; /* (Z) a CPU takes its single frames here: others look elsewhere first */
	/* (Z) some of its fresh bits may be set; read by the taker of a block without the lock */
	u8 fresh;
};

#define PAGEBLOCK_NIL	  (~(u32)0)
#define PAGEBLOCK_FULL	  0xff
#define PAGEBLOCK_NO_ZONE 0xffff

/* Parts of a zone with lists of their own for wholly free pageblocks. */
#define NR_QUARTERS	 4
#define QUARTER_MIN_BITS 4 /* at least 16 pageblocks, whose entries are four cache lines */

/* The lists of a quarter, on a line of their own: first pageblocks, of orders 9 and 10. */
struct quarter {
	u32 heads[MIGRATE_TYPES][2];
} __attribute__((aligned(64)));

struct zone {
	/* Read by every allocation. */
	u64 watermark[NR_WMARK]; /* (C) frames */
	u64 lowmem_reserve[MAX_NR_ZONES]; /* (C) frames kept from requests that could use zone k */
	struct pcp **pcp; /* (C) one per CPU */
	u64 page_links; /* (C) node and zone bits of page->flags */

	struct phys *phys; /* (C) */
	struct node *node; /* (C) */
	const char *name; /* (C) "DMA", "DMA32", "Normal", "HighMem", "Movable" */
	enum zone_type type; /* (C) */
	unsigned nid; /* (C) */
	pfn_t start_pfn; /* (C) */
	u64 spanned_pages; /* (C) holes included */
	u64 present_pages; /* (C) holes excluded */
	u64 managed_pages; /* (C) given to the allocator */
	u64 cma_pages; /* (C) frames in CMA pageblocks */

	/* What each holder of the lock writes is one cache line, for it goes from CPU to CPU. */
	struct lock lock __attribute__((aligned(64)));
	u16 order_mask[MIGRATE_TYPES]; /* (Z) bit k: list [type][k] is not empty */
	u16 quarter; /* (Z) where the holder of the lock looks first for whole pageblocks */
	u16 quarter_bits; /* (C) of a pageblock's number, those below its quarter's */
	/* (Z), read by anyone: frames in free blocks (not on per-CPU lists) */
	u64 free_pages;
	u64 watermark_boost; /* (Z) frames added to all watermarks after a fallback */
	u64 nr_reserved_highatomic; /* (Z) frames */
	u64 nr_free_highatomic; /* (Z) frames free in pageblocks of that type */
	u64 nr_free_cma; /* (Z) frames free in pageblocks of that type */
	struct quarter quarters[NR_QUARTERS]; /* (Z) */
	u32 heads[MIGRATE_TYPES][PAGEBLOCK_ORDER]; /* (Z) first pageblock of each list below */

	/* Compaction's memory of where it was, and when to leave it (Linux: compact_*). */
	pfn_t compact_migrate_pfn;
	pfn_t compact_free_pfn;
	unsigned compact_considered;
	unsigned compact_defer_shift;
	int compact_order_failed;
};

/* End of the span. */
static inline pfn_t zone_end_pfn(const struct zone *zone)
{
	return zone->start_pfn + zone->spanned_pages;
}
static inline bool zone_populated(const struct zone *zone)
{
	return zone->present_pages != 0;
}
static inline bool zone_managed(const struct zone *zone)
{
	return zone->managed_pages != 0;
}
static inline bool zone_spans_pfn(const struct zone *zone, pfn_t pfn)
{
	return pfn >= zone->start_pfn && pfn < zone_end_pfn(zone);
}

/* Watermark in frames, boost included. */
static inline u64 zone_wmark(const struct zone *zone, enum zone_watermark mark)
{
	return zone->watermark[mark] + __atomic_load_n(&zone->watermark_boost, __ATOMIC_RELAXED);
}

/* Frames free now, without those on per-CPU lists. */
static inline u64 zone_free_pages(const struct zone *zone)
{
	return __atomic_load_n(&zone->free_pages, __ATOMIC_RELAXED);
}

/* Flags of an attempt to allocate. Linux: ALLOC_*. */
enum alloc_flag {
	ALLOC_NO_WATERMARKS = 1 << 0, /* take whatever there is */
	ALLOC_MIN_RESERVE = 1 << 1, /* __GFP_HIGH: half of min */
	ALLOC_NON_BLOCK = 1 << 2, /* cannot reclaim: another quarter */
	ALLOC_OOM = 1 << 3, /* being killed: half of what then remains */
	ALLOC_CMA = 1 << 4, /* movable: may use CMA pageblocks */
	ALLOC_HIGHATOMIC = 1 << 5, /* may use the high-atomic reserve */
};

/*
 * Whether taking 2^order frames leaves the zone above `mark`, plus what it keeps for requests that
 * may use up to zone `highest`, and has a block of that order. Linux: __zone_watermark_ok().
 */
bool zone_watermark_ok(const struct zone *zone, unsigned order, u64 mark, enum zone_type highest,
		       unsigned alloc_flags);

/*
 * Frames in the largest blocks of each order that the zone's free frames form (/proc/buddyinfo);
 * walks the zone.
 */
void zone_free_area(struct zone *zone, u64 nr_blocks[NR_PAGE_ORDERS]);
/*
 * The same for one migrate type (/proc/pagetypeinfo); nr_pageblocks (may be NULL) counts its
 * pageblocks.
 */
void zone_free_area_type(struct zone *zone, enum migratetype type, u64 nr_blocks[NR_PAGE_ORDERS],
			 u64 *nr_pageblocks);
/*
 * Names as Linux prints them: "Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA",
 * "Isolate".
 */
const char *migratetype_name(enum migratetype type);

#endif
