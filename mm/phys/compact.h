/*
 * compact.h - makes large free blocks out of small ones, by moving pages to the end of their zone.
 *
 * How     Two scanners walk the zone towards each other, pageblock by pageblock: one finds pages
 *         that can move, the other free frames for them. Between them nothing is left; they meet or
 *         stop when a block of the wanted order has formed.
 * Use     set phys->move_ops (else nothing moves). The allocator calls compact_direct() for orders
 *         above 0; kcompactd is compact_step(), called from time to time per node.
 * Locks   none held by the caller; takes the zone's for each frame. One compaction per zone at a
 *         time.
 * Why     Linux: mm/compaction.c. The formulas of both indices are Linux's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_COMPACT_H
#define QUIRE_PHYS_COMPACT_H

#include "phys/alloc.h"

/* SEAM: what phys must ask of those who know what refers to a page. Implemented by move/. */
struct move_ops {
	/*
	 * Move the content of `from` (the head of what its owner allocated, of any use) and all
	 * references to `to`, a page of the same order with one reference, and give `from` back. 0;
	 * or -EBUSY, -EAGAIN: not moved, and `to` remains the caller's. Called without locks. In a
	 * machine of several threads `from` may just have been given back by another one: refuse.
	 */
	int (*move)(void *arg, struct phys *phys, struct page *from, struct page *to);
	/*
	 * What is movable in frames [start, end) is about to be moved: do together what costs less
	 * together. May be NULL.
	 */
	void (*prepare)(void *arg, struct phys *phys, pfn_t start, pfn_t end);
	/*
	 * There is no room for a large page in one piece: make single pages of it
	 * (split_compound()), with the references divided among them. 0, or -EBUSY: not split.
	 * NULL: nothing can be split; large pages then move into holes of their size only. Called
	 * without locks.
	 */
	int (*split)(void *arg, struct phys *phys, struct page *head);
};

/* Split the large page if its owner can. Linux: try_split_folio(). */
bool split_for_move(struct phys *phys, struct page *head);

enum compact_result {
	COMPACT_SKIPPED, /* too little free memory, or nobody can move pages */
	COMPACT_DEFERRED, /* failed lately: not tried */
	COMPACT_CONTINUE, /* the budget is used up; call again */
	COMPACT_COMPLETE, /* the whole zone was scanned, without success */
	COMPACT_SUCCESS, /* there is a block of the wanted order */
};

/* One compaction on its way through a zone. */
struct compact_control {
	struct zone *zone;
	int order; /* wanted; -1: the whole zone */
	u64 budget; /* pageblocks to look at in this call */
	u64 next_block; /* migration scanner, upwards */
	/* free scanners, downwards, one for each order of page that needs room */
	u64 free_block[NR_PAGE_ORDERS];
	u64 scanned; /* pages looked at */
	u64 free_scanned; /* pageblocks looked at for free frames, times their frames */
	u64 moved;
	u64 failed;
};

/* Compact one zone for blocks of 2^order frames (-1: all of it). */
enum compact_result compact_zone(struct compact_control *control);
/* For one request: the zones that it may use, in its order, deferred where it failed lately. */
enum compact_result compact_direct(struct phys *phys, gfp_t gfp, unsigned order, unsigned nid);
/* kcompactd: one bounded step for a node; true if there is more to do. */
bool compact_step(struct node *node);
/*
 * Is the node's free memory so scattered that compaction_proactiveness asks for compaction, and is
 * there room for it? Linux: should_proactive_compact_node().
 */
bool compact_is_worthwhile(struct node *node);
/*
 * How scattered the node's free memory is, 0 to 100: by zone, weighted by size. Linux:
 * fragmentation_score_node().
 */
unsigned compact_score(struct node *node);
/* /proc/sys/vm/compact_memory */
void compact_all(struct phys *phys);

/*
 * Why an allocation of that order would fail, in thousandths: towards 0 for lack of memory, towards
 * 1000 for fragmentation; -1000: it would not fail. Linux: fragmentation_index().
 */
int fragmentation_index(struct zone *zone, unsigned order);
/* Share of the free frames that blocks of that order cannot use, in thousandths. */
unsigned unusable_free_index(struct zone *zone, unsigned order);

/* A page that may be worth moving at pfn, or NULL: in use, not reserved, slab, table or pinned. */
struct page *movable_page(struct phys *phys, pfn_t pfn);

#endif
