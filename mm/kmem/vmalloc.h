/*
 * vmalloc.h - the kernel's address space: fixed regions, vmalloc() and vmap() with guard pages,
 * kmap().
 *
 * How     A kernel address is a number (vaddr_t), laid out as on x86: 64 bits with a direct map of
 *         all memory, 32 bits with 3G/1G and 896 MiB of direct map. Areas of vmalloc live in a tree
 *         by address with the largest gap below each node; a new one takes the lowest gap that
 *         fits, followed by a page that belongs to nobody. kernel_to_ptr() walks from a kernel
 *         address to the byte in RAM as the processor would, and finds nothing at a guard page.
 * Use     kspace_create() once per machine. A back end that can map real addresses sets kspace_ops.
 * Locks   kspace->lock; not held across page allocation.
 * Why     Linux: mm/vmalloc.c, mm/highmem.c, Documentation/arch/x86/x86_64/mm.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_KMEM_VMALLOC_H
#define QUIRE_KMEM_VMALLOC_H

#include "base/rbtree.h"
#include "kmem/kmalloc.h"

enum kernel_region {
	REGION_DIRECT, /* all memory (32 bits: its first 896 MiB) */
	REGION_VMALLOC,
	REGION_VMEMMAP, /* struct pages, 64 bits only */
	REGION_PKMAP, /* kmap(), 32 bits only */
	REGION_FIXMAP, /* one page per purpose and CPU; kmap_local() */
	NR_KERNEL_REGIONS
};

/* [start, end); empty where the layout has no such region. */
struct kernel_range {
	const char *name;
	vaddr_t start;
	vaddr_t end;
};

/* Linux: struct vm_struct. */
struct vm_area {
	struct rb_node node;
	vaddr_t start;
	u64 nr_pages; /* mapped; the guard page behind them is not counted */
	u64 gap_before; /* bytes between the area before (its guard included) and this one */
	u64 max_gap; /* largest gap_before in the subtree */
	struct page **pages;
	enum { VM_ALLOC, VM_MAP } kind; /* VM_MAP: the pages are the caller's */
	const void *caller;
};

#define PKMAP_SLOTS	 512
#define KMAP_LOCAL_SLOTS 16 /* per CPU */

/* One slot of the kmap region. */
struct pkmap_slot {
	struct page *page;
	u32 users; /* 0 with a page: kept until the slot is wanted */
};

struct kspace {
	struct phys *phys;
	struct kernel_range regions[NR_KERNEL_REGIONS]; /* (C) */
	struct lock lock;
	struct rb_root areas; /* (lock) */
	u64 nr_areas; /* (lock) */
	struct pkmap_slot *pkmap; /* (lock) 32 bits only */
	unsigned pkmap_next; /* (lock) where the search for a slot begins */
	struct page **local; /* kmap_local: KMAP_LOCAL_SLOTS per CPU, the CPU's own */
	u8 *local_depth; /* per CPU */
	/*
	 * Told of each page that appears or goes (page NULL), if set: a back end with real
	 * addresses.
	 */
	void (*changed)(void *arg, vaddr_t addr, struct page *page);
	void *arg;
};

/*
 * The kernel address space of a machine, of its layout; NULL: no memory. Destroy frees what is
 * left.
 */
struct kspace *must_use kspace_create(struct phys *phys);
void kspace_destroy(struct kspace *space);

/* size bytes (rounded up to pages) at contiguous kernel addresses, or 0. vzalloc zeroes. */
vaddr_t must_use vmalloc(struct kspace *space, u64 size, gfp_t gfp);
vaddr_t must_use vzalloc(struct kspace *space, u64 size, gfp_t gfp);
/* 0 is legal; anything else must come from vmalloc. */
void vfree(struct kspace *space, vaddr_t addr);
/* Contiguous addresses for the caller's pages, which must stay until vunmap(); 0: no memory. */
vaddr_t must_use vmap(struct kspace *space, struct page **pages, u64 nr);
void vunmap(struct kspace *space, vaddr_t addr);
/* Page behind an address of vmalloc or vmap, or NULL. */
struct page *vmalloc_to_page(struct kspace *space, vaddr_t addr);
/* Visit all areas in order (/proc/vmallocinfo). */
void vmalloc_for_each(struct kspace *space, void (*visit)(void *arg, const struct vm_area *area),
		      void *arg);

/*
 * An address for a page of any zone. On 64 bits, and below 896 MiB, that of the direct map; else a
 * slot of PKMAP (shared by all users of the page), or 0 when all slots are in use.
 */
vaddr_t must_use kmap(struct kspace *space, struct page *page);
void kunmap(struct kspace *space, struct page *page);
/* The same for a short while on this CPU, in the fixmap; undone in reverse order. */
vaddr_t kmap_local_page(struct kspace *space, struct page *page);
void kunmap_local(struct kspace *space, vaddr_t addr);

/* Direct map address of a frame, or 0 if it has none. */
vaddr_t direct_address(const struct kspace *space, pfn_t pfn);
/* The byte in RAM behind a kernel address of any region, or NULL: nothing is mapped there. */
void *kernel_to_ptr(struct kspace *space, vaddr_t addr);

#endif
