/*
 * debug.h - what enum phys_debug switches on: poisoned free frames and the record of who holds each
 * frame.
 *
 * How     Poison fills a freed block with 0xaa and verifies it when it is handed out: a write after
 *         free stops the program. The record keeps, per frame, the order, the gfp flags and the
 *         caller's tag of the last allocation.
 * Locks   a frame's record belongs to whoever owns the frame.
 * Why     Linux: page_poisoning, mm/page_owner.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_DEBUG_H
#define QUIRE_PHYS_DEBUG_H

#include "phys/gfp.h"
#include "phys/phys.h"

#define PAGE_POISON 0xaa

/* Who holds a frame. */
struct page_owner {
	u64 tag; /* the caller's: set with page_owner_tag(); 0: not told */
	u64 count; /* serial number of the allocation; 0: free */
	gfp_t gfp;
	u16 order;
	u16 free_calls; /* how often the frame was freed, modulo 65536 */
};

/* Hooks of the allocator; called only when phys->debug is set. */
void debug_page_allocated(struct phys *phys, struct page *page, unsigned order, gfp_t gfp);
void debug_page_freed(struct phys *phys, struct page *page, unsigned order);
void debug_page_split(struct phys *phys, struct page *page, unsigned order);

/*
 * Say who holds the block that begins with this page, in the caller's own coding (a call site, a
 * process).
 */
void page_owner_tag(struct phys *phys, struct page *page, u64 tag);
/* Record of a frame that is handed out, or NULL (free, reserved, or PHYS_OWNER is off). */
const struct page_owner *page_owner_of(const struct phys *phys, pfn_t pfn);
/* Visit the first frame of each block held. */
void page_owner_for_each(struct phys *phys,
			 void (*visit)(void *arg, pfn_t pfn, const struct page_owner *owner),
			 void *arg);

#endif
