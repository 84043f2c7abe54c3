/*
 * memblock.h - the early allocator: where RAM is, and what of it is taken before the page allocator
 * exists.
 *
 * How     Two sorted arrays of ranges, in frames. Allocation is top-down, whole frames, never given
 *         back.
 * Use     boot only; lives on the stack of phys_boot(). Linux: mm/memblock.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_MEMBLOCK_H
#define QUIRE_PHYS_MEMBLOCK_H

#include "phys/phys.h"

#define MEMBLOCK_RANGES 256

/* Ranges ascending, disjoint. */
struct memblock_type {
	unsigned nr;
	struct phys_range ranges[MEMBLOCK_RANGES];
};

struct memblock {
	struct memblock_type memory; /* RAM, not merged across nodes */
	struct memblock_type reserved; /* taken, merged where adjacent */
};

#define MEMBLOCK_ANY_NODE MAX_NUMNODES

/* Declare RAM in ascending order. false: overlap, or too many ranges. */
bool must_use memblock_add(struct memblock *mb, pfn_t start, u64 pages, unsigned nid);
/*
 * `pages` contiguous free frames below frame `limit`, start a multiple of `align`, on node nid;
 * with MEMBLOCK_ANY_NODE anywhere, across nodes if need be. PFN_NONE if there are none.
 */
pfn_t memblock_alloc(struct memblock *mb, u64 pages, u64 align, pfn_t limit, unsigned nid);
/* Call fn for each free range in [start, end), ascending. */
void memblock_for_each_free(const struct memblock *mb, pfn_t start, pfn_t end,
			    void (*fn)(void *arg, pfn_t start, pfn_t end), void *arg);
/* Frames of RAM, and reserved frames, within [start, end); nid MEMBLOCK_ANY_NODE: of all nodes. */
u64 memblock_present(const struct memblock *mb, pfn_t start, pfn_t end, unsigned nid);

#endif
