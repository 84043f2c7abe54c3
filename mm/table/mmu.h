/*
 * mmu.h - SEAM: what the core asks of the thing that translates addresses.
 *
 * How     The core's page table is the truth; a back end caches it. It may hold a translation only
 *         for a present entry, and the core marks such an entry PTE_ACCESSED. The core calls
 *         down after it has changed the table, and always before a frame is used for anything
 *         else: when invalidate() has returned, nothing reaches the frame any more.
 * Locks   Called with the mm held; never calls back into the core.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TABLE_MMU_H
#define QUIRE_TABLE_MMU_H

#include "base/types.h"

struct mm;
struct vma;

/* A range of one address space, half open, page aligned. */
struct mmu_range {
	struct mm *mm;
	vaddr_t start;
	vaddr_t end;
};

struct mmu_ops {
	/*
	 * Translations for [start, end) as the table has them now: all entries are present, their
	 * frames hold their contents. An entry without PTE_WRITE must fault when written to.
	 * 0 or -ENOMEM (the back end has no room; the core evicts some and asks again).
	 */
	int (*install)(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end);
	/*
	 * Can translations be taken away, and another frame be put where there is one? Not in a
	 * child just forked: until it can, its pages stay where they are.
	 */
	bool (*can_replace)(struct mm *mm);
	/* Take away write access from [start, end); entries stay young. */
	void (*write_protect)(struct mm *mm, vaddr_t start, vaddr_t end);
	/* Forget the translations of these ranges, at once for all of them. */
	void (*invalidate)(const struct mmu_range *ranges, unsigned int nr);
	/* The area now covers [start, end) with its flags: accesses must reach fault_handle(). */
	int (*area_changed)(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end);
	/* [start, end) was unmapped; its translations were invalidated before. */
	void (*area_removed)(struct mm *mm, vaddr_t start, vaddr_t end);
	/*
	 * Take rights of [start, end) away, so that the area's flags are left, and keep the
	 * translations. False, or no such function: not possible, nothing is changed.
	 */
	bool (*restrict_access)(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end);
};

#endif
