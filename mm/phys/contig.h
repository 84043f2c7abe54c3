/*
 * contig.h - whole ranges of frames, cleared of what is in them: isolation, alloc_contig_range(),
 * CMA.
 *
 * How     The pageblocks of the range become MIGRATE_ISOLATE, so that nothing new is allocated
 *         there; what is in use is moved away through phys->move_ops; then the range is taken.
 * Locks   phys->hotplug_lock is taken inside; the caller holds none.
 * Why     Linux: mm/page_isolation.c, alloc_contig_range(), mm/cma.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_CONTIG_H
#define QUIRE_PHYS_CONTIG_H

#include "phys/alloc.h"

/*
 * Take frames [start, end), which lie in one zone, as single pages with one reference each. 0;
 * -EBUSY: something there cannot be moved; -EINVAL: not all of it is memory of one zone.
 * free_contig_range() gives them back.
 */
int must_use alloc_contig_range(struct phys *phys, pfn_t start, pfn_t end);
void free_contig_range(struct phys *phys, pfn_t start, u64 nr);
/* The same at any place where it can be had, start a multiple of `align` frames; PFN_NONE. */
pfn_t must_use alloc_contig_pages(struct phys *phys, u64 nr, u64 align, unsigned nid);
/* The same with hotplug_lock held. */
pfn_t must_use alloc_contig_pages_locked(struct phys *phys, u64 nr, u64 align, unsigned nid);

/*
 * Isolate the pageblocks that [start, end) touches, empty the range, and drain the lists; 0 or
 * -EBUSY
 * (then all is as before). undo returns the pageblocks to their types. Linux:
 * start_isolate_page_range().
 * Both with hotplug_lock held.
 */
int must_use isolate_range(struct phys *phys, pfn_t start, pfn_t end);
void undo_isolate_range(struct phys *phys, pfn_t start, pfn_t end);

/* An area that movable pages borrow until somebody wants it in one piece. Linux: struct cma. */
struct cma {
	struct phys *phys;
	pfn_t start;
	u64 nr_pages;
	u64 used_pages;
	u64 *bits; /* frame start + n is handed out by cma_alloc() */
	u64 bits_bytes;
	const char *name;
};

/* Make an area of nr frames (a multiple of 512) on the node. 0, -EINVAL, -ENOMEM. */
int must_use cma_create(struct cma *cma, struct phys *phys, const char *name, u64 nr, unsigned nid);
/* nr contiguous pages out of it, start a multiple of 2^align_order frames, or NULL. */
struct page *must_use cma_alloc(struct cma *cma, u64 nr, unsigned align_order);
/* Give them back; false if they are not from this area, or not handed out. */
bool cma_release(struct cma *cma, struct page *page, u64 nr);

#endif
