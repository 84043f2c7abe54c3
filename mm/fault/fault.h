/*
 * fault.h - VERB: bring in.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_FAULT_FAULT_H
#define QUIRE_FAULT_FAULT_H

#include "base/types.h"
#include "table/pte.h"

struct mm;
struct page;
struct vma;

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC };

enum fault_result {
	FAULT_DONE, /* mapped; the access can be repeated */
	FAULT_NEXT, /* inside the spine: go on to the next stage */
	FAULT_SEGV_MAPERR, /* no area there */
	FAULT_SEGV_ACCERR, /* the area forbids it */
	FAULT_SIGBUS, /* beyond the object's end, or its device failed */
	FAULT_OOM, /* no memory; the killer has chosen somebody, or this mm is dying */
	FAULT_NO_ROOM, /* not now: the back end's translations, or a fork; evict and try again */
};

/* One fault on its way through the stages. */
struct fault {
	struct mm *mm;
	vaddr_t addr; /* page aligned */
	enum access access;
	struct vma *vma; /* set by fault_find_area() */
	pte_t *pte; /* set by fault_walk_table() */
	vaddr_t start, end; /* what became mapped: install this */
	bool major; /* waited for a device */
};

/* Handles one fault. Linux: handle_mm_fault() with what comes before it. */
enum fault_result fault_handle(struct mm *mm, vaddr_t addr, enum access access);

/*
 * Enter the pages of a file's private area that are in the cache into the table, without I/O and
 * without the back end. For areas of a new image that are small.
 */
void fault_map_cached(struct mm *mm, struct vma *vma);

/*
 * Brings in all of [start, end): MAP_POPULATE, mlock. 0, -ENOMEM at a hole or without memory,
 * -EFAULT where an area forbids every access. Private writable areas get their own pages at once.
 * Linux: __mm_populate().
 */
int fault_populate(struct mm *mm, vaddr_t start, vaddr_t end);

/*
 * Copies bytes of an address space, faulting in what it needs. 0 or -EFAULT. Linux:
 * access_process_vm().
 */
int fault_copy_in(struct mm *mm, vaddr_t addr, const void *src, size_t len);
int fault_copy_out(struct mm *mm, vaddr_t addr, void *dst, size_t len);

/*
 * Puts a private page with these PAGE_SIZE bytes at addr, whatever was there before. 0 or
 * -ENOMEM.
 */
must_use int fault_insert(struct mm *mm, vaddr_t addr, const void *data);

/* The stages that obtain a page; each sets start and end. One file each. */
struct machine;
/* Frames that a fault may take beyond the one it needs, by what is free above high. */
u64 fault_spare_pages(struct machine *m);
enum fault_result fault_zero(struct fault *f);
/*
 * A block of 2^*order frames full of zeros, one reference for all of it, for the largest naturally
 * aligned run of addresses around the fault that lies in its area and is_empty(); f->start and
 * f->end are the run's. NULL without memory.
 */
struct page *fault_zero_run(struct fault *f,
			    bool (*is_empty)(struct fault *f, vaddr_t start, vaddr_t end),
			    unsigned int *order);
enum fault_result fault_file(struct fault *f);
/* A page of shared memory comes into its mapping: FAULT_NEXT, or why not. */
enum fault_result fault_shmem(struct fault *f, u64 index);
enum fault_result fault_swapin(struct fault *f);
enum fault_result fault_cow(struct fault *f);
/* The part of the area whose pages may be copied together with the one at f->addr. */
void fault_copy_block(const struct fault *f, vaddr_t *low, vaddr_t *high);

/* Shared by the stages. */

/* A page for user memory, prepared, not zeroed; NULL without memory. */
struct page *fault_alloc(struct fault *f);
/* Writes the entry for a page and counts it. Takes the caller's reference over. */
void fault_set(struct fault *f, vaddr_t addr, pte_t *pte, struct page *page, u64 bits);
/* Entry bits of a fresh mapping of the area, writable or not; if so, notes it in the area. */
u64 fault_bits(struct vma *vma, bool writable);

#endif
