/*
 * vma.h - one area of an address space, and the tree of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_SPACE_VMA_H
#define QUIRE_SPACE_VMA_H

#include "base/list.h"
#include "base/rbtree.h"
#include "base/types.h"

struct mm;
struct mapping;
struct anon_vma;

/* Linux's values, so that smaps and pmap read the same. */
enum vma_flags {
	VM_READ = 0x1,
	VM_WRITE = 0x2,
	VM_EXEC = 0x4,
	VM_SHARED = 0x8,
	VM_MAYREAD = 0x10,
	VM_MAYWRITE = 0x20,
	VM_MAYEXEC = 0x40,
	VM_MAYSHARE = 0x80,
	VM_GROWSDOWN = 0x100,
	/* The host maps it (a shared file): it is in the tree only to keep the place. */
	VM_PFNMAP = 0x400,
	VM_LOCKED = 0x2000,
	VM_SEQ_READ = 0x8000,
	VM_RAND_READ = 0x10000,
	VM_DONTCOPY = 0x20000,
	VM_DONTEXPAND = 0x40000,
	VM_LOCKONFAULT = 0x80000,
	VM_ACCOUNT = 0x100000,
	VM_NORESERVE = 0x200000,
	VM_WIPEONFORK = 0x2000000,
	VM_DONTDUMP = 0x4000000,
	VM_HUGEPAGE = 0x20000000,
	VM_NOHUGEPAGE = 0x40000000,
};

#define VM_ACCESS (VM_READ | VM_WRITE | VM_EXEC)

/* Swap readahead's memory of one area. Linux: vma->swap_readahead_info. */
struct swap_ra {
	vaddr_t addr; /* of the last swap fault */
	unsigned int win; /* pages read then */
	unsigned int hits; /* pages read ahead and used since */
	u8 ahead; /* pages read ahead then and left in the cache, to see whether they are used */
	u8 sure; /* 0 to SWAP_SURE_MAX: how often lately they all were */
	u8 window; /* counts windows: some of a sure area are left in the cache all the same */
	u8 written; /* 0 to SWAP_WRITTEN_MAX: how sure it is that a page read will be written */
	u8 probe; /* counts swap-ins: some are mapped read-only to see whether that still holds */
};

#define SWAP_WRITTEN_MAX 15u
#define SWAP_SURE_MAX	 15u

/* One area: [start, end) with one set of flags and one backing. */
struct vma {
	vaddr_t start, end; /* (T) page aligned, half open */
	struct mm *mm; /* (C) */
	struct rb_node node; /* in mm->areas */
	u64 gap; /* free bytes in front of it */
	u64 gap_max; /* the largest gap in its subtree */
	u32 flags; /* enum vma_flags */
	u64 pgoff; /* of start in the mapping; start >> PAGE_SHIFT if anonymous */
	struct mapping *mapping; /* NULL: private anonymous; holds a reference */
	struct list_head mapping_link; /* on mapping->areas */
	struct anon_vma *anon_vma; /* NULL until a private page appears */
	/*
	 * A private page may be other than zero. Until then Linux maps its zero page and gives the
	 * area no anon_vma; what areas merge, and where they move, depends on that.
	 */
	bool written;
	struct list_head anon_link; /* on anon_vma->areas */
	struct swap_ra swap_ra;
	vaddr_t fault_next; /* where the last run of zero pages ended */
	unsigned int fault_run; /* its length in pages: doubles while faults are sequential */
};

static inline bool vma_is_anon(const struct vma *vma)
{
	return !vma->mapping;
}

static inline u64 vma_pages(const struct vma *vma)
{
	return (vma->end - vma->start) >> PAGE_SHIFT;
}

/* Index of an address in the area's mapping. Linux: linear_page_index(). */
static inline u64 vma_index(const struct vma *vma, vaddr_t addr)
{
	return vma->pgoff + ((addr - vma->start) >> PAGE_SHIFT);
}

/* What an area should become, or a new one: passed whole instead of eight arguments. */
struct vma_desc {
	vaddr_t start, end;
	u32 flags;
	u64 pgoff;
	struct mapping *mapping; /* borrowed; the area takes its own reference */
	struct anon_vma *anon_vma; /* normally NULL */
	bool written; /* as that of the area */
};

/* The first area that ends above addr, or NULL. Linux: find_vma(). */
struct vma *vma_find(struct mm *mm, vaddr_t addr);
/* The area that contains addr, or NULL. Linux: vma_lookup(). */
struct vma *vma_at(struct mm *mm, vaddr_t addr);
/* Neighbours in address order; NULL at the ends. */
struct vma *vma_next(const struct vma *vma);
struct vma *vma_prev(const struct vma *vma);
struct vma *vma_first(struct mm *mm);

/*
 * Puts a new area into a free range, or widens a neighbour that can merge. The area that now
 * covers the range, or NULL without memory. Linux: vma_merge_new_range(), vma_link().
 */
must_use struct vma *vma_add(struct mm *mm, const struct vma_desc *desc);

/* Splits at addr, inside the area; 0 or -ENOMEM. The given one keeps the lower part. */
must_use int vma_split(struct vma *vma, vaddr_t addr);

/* Takes an area out and frees it. Its pages must be unmapped. */
void vma_remove(struct vma *vma);

/* Cuts areas so that none straddles start or end; 0, or -ENOMEM with all as before. */
must_use int vma_cut(struct mm *mm, vaddr_t start, vaddr_t end);
/* Undoes a cut at addr: the areas that meet there become one again if they fit. */
void vma_heal(struct mm *mm, vaddr_t addr);

/* Sets flags of an area and merges it with what it now fits to; the area that covers its start. */
struct vma *vma_set_flags(struct vma *vma, u32 flags);

/* Moves a boundary; the range between old and new must be free. Linux: expand_stack(), brk. */
void vma_resize(struct vma *vma, vaddr_t start, vaddr_t end);

/*
 * The highest free range of len bytes in [low, high), aligned; 0 without. Linux:
 * unmapped_area_topdown().
 */
vaddr_t vma_gap_topdown(struct mm *mm, u64 len, vaddr_t low, vaddr_t high, u64 align);

/* The lowest free range of len bytes in [low, high); 0 without. Linux: unmapped_area(). */
vaddr_t vma_gap_bottomup(struct mm *mm, u64 len, vaddr_t low, vaddr_t high, u64 align);

/* Panics unless tree, gaps, counts and links hold. Linux: validate_mm(). */
void vma_check(struct mm *mm);

#endif
