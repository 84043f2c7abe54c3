/*
 * advise.c - madvise, msync, mincore, and the locking of pages.
 *
 * How     Advice either changes an area's flags, or acts on its pages now. MADV_FREE frees at once:
 *         the contract allows any moment between the call and the next write.
 * Why     Linux: mm/madvise.c, mm/mlock.c, mm/mincore.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/errno.h"
#include "call/call.h"
#include "fault/fault.h"
#include "space/mm.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/readahead.h"
#include "store/state.h"

enum advice {
	ADV_NORMAL,
	ADV_RANDOM,
	ADV_SEQUENTIAL,
	ADV_WILLNEED,
	ADV_DONTNEED,
	ADV_FREE = 8,
	ADV_REMOVE,
	ADV_DONTFORK,
	ADV_DOFORK,
	ADV_MERGEABLE,
	ADV_UNMERGEABLE,
	ADV_HUGEPAGE,
	ADV_NOHUGEPAGE,
	ADV_DONTDUMP,
	ADV_DODUMP,
	ADV_WIPEONFORK,
	ADV_KEEPONFORK,
	ADV_COLD,
	ADV_PAGEOUT,
	ADV_POPULATE_READ,
	ADV_POPULATE_WRITE,
	ADV_DONTNEED_LOCKED,
};

/* The flags an advice leaves behind, or the same ones. */
static u32 advised_flags(u32 flags, int advice)
{
	static const struct {
		u8 advice;
		u32 clear, set;
	} row[] = {
		{ ADV_NORMAL, VM_RAND_READ | VM_SEQ_READ, 0 },
		{ ADV_RANDOM, VM_SEQ_READ, VM_RAND_READ },
		{ ADV_SEQUENTIAL, VM_RAND_READ, VM_SEQ_READ },
		{ ADV_DONTFORK, 0, VM_DONTCOPY },
		{ ADV_DOFORK, VM_DONTCOPY, 0 },
		{ ADV_HUGEPAGE, VM_NOHUGEPAGE, VM_HUGEPAGE },
		{ ADV_NOHUGEPAGE, VM_HUGEPAGE, VM_NOHUGEPAGE },
		{ ADV_DONTDUMP, 0, VM_DONTDUMP },
		{ ADV_DODUMP, VM_DONTDUMP, 0 },
		{ ADV_WIPEONFORK, 0, VM_WIPEONFORK },
		{ ADV_KEEPONFORK, VM_WIPEONFORK, 0 },
	};
	unsigned int i;

	for (i = 0; i < array_size(row); i++)
		if (row[i].advice == advice)
			return (flags & ~row[i].clear) | row[i].set;
	return flags;
}

static int remove_shared(struct vma *vma, vaddr_t start, vaddr_t end)
{
	struct mapping *map = vma->mapping;
	u64 index = vma_index(vma, start), last = vma_index(vma, end);
	void *value;

	if (!map || map->kind != MAPPING_SHMEM || !(vma->flags & VM_SHARED))
		return -EINVAL;
	unmap_mapping(map, index, last - index);
	while ((value = radix_next(&map->pages, &index)) && index < last) {
		if (!radix_is_shadow(value)) {
			mapping_delete(value, NULL);
		} else {
			swap_put(&map->machine->swap, radix_shadow_stamp(value));
			if (radix_set(&map->pages, index, NULL) < 0)
				return -ENOMEM;
		}
		index++;
	}
	return 0;
}

static void drop(struct mm *mm, vaddr_t start, vaddr_t end, int advice)
{
	u64 before = mm_rss(mm);

	unmap_pages(mm, start, end);
	if (advice == ADV_FREE) {
		stat_add(&mm->machine->phys.stat, PGLAZYFREE, before - mm_rss(mm));
		stat_add(&mm->machine->phys.stat, PGLAZYFREED, before - mm_rss(mm));
	}
}

/* Acts on the part of one area. */
static int act(struct vma *vma, vaddr_t start, vaddr_t end, int advice)
{
	switch (advice) {
	case ADV_DONTNEED:
	case ADV_FREE:
		if (vma->flags & VM_LOCKED)
			return -EINVAL;
		if (advice == ADV_FREE && !vma_is_anon(vma))
			return -EINVAL;
		drop(vma->mm, start, end, advice);
		return 0;
	case ADV_COLD:
	case ADV_PAGEOUT:
		return vma->flags & VM_LOCKED ? -EINVAL : 0;
	case ADV_DONTNEED_LOCKED:
		unmap_pages(vma->mm, start, end);
		return 0;
	case ADV_WILLNEED:
		if (vma->mapping && vma->mapping->kind == MAPPING_FILE)
			readahead_range(vma->mapping, vma_index(vma, start),
					(end - start) >> PAGE_SHIFT);
		return 0;
	case ADV_REMOVE:
		return remove_shared(vma, start, end);
	case ADV_WIPEONFORK:
		if (!vma_is_anon(vma) || (vma->flags & VM_SHARED))
			return -EINVAL;
		return 0;
	default:
		return 0;
	}
}

static bool known(int advice)
{
	if (advice == ADV_MERGEABLE || advice == ADV_UNMERGEABLE)
		return false; /* as a kernel without CONFIG_KSM */
	return (advice >= ADV_NORMAL && advice <= ADV_DONTNEED) ||
	       (advice >= ADV_FREE && advice <= ADV_DONTNEED_LOCKED);
}

/* One area's part of the advice; *addr moves to its end. */
static int advise_area(struct vma *vma, vaddr_t *addr, vaddr_t end, int advice)
{
	vaddr_t start = max_u64(*addr, vma->start), stop = min_u64(end, vma->end);
	struct mm *mm = vma->mm;
	u32 flags = advised_flags(vma->flags, advice);
	int err = act(vma, start, stop, advice);

	*addr = stop;
	if (err || flags == vma->flags)
		return err;
	if (vma_cut(mm, start, stop) < 0)
		return -EAGAIN; /* as Linux has it: try again when there is memory */
	vma_set_flags(vma_at(mm, start), flags);
	return 0;
}

/* What lies before a hole or a forbidden area is brought in. Linux: madvise_populate(). */
static s64 populate(struct mm *mm, vaddr_t addr, vaddr_t end, u32 need)
{
	while (addr < end) {
		struct vma *vma = vma_at(mm, addr);
		vaddr_t stop;
		int err;

		if (!vma)
			return -ENOMEM;
		if (!(vma->flags & need))
			return -EINVAL;
		stop = min_u64(vma->end, end);
		err = fault_populate(mm, addr, stop);
		if (err)
			return err;
		addr = stop;
	}
	return 0;
}

s64 call_madvise(struct mm *mm, vaddr_t addr, u64 len, int advice)
{
	vaddr_t end = addr + align_up(len, PAGE_SIZE);
	bool hole = false;

	if ((addr & ~PAGE_MASK) || !known(advice) || end < addr)
		return -EINVAL;
	if (advice == ADV_POPULATE_READ || advice == ADV_POPULATE_WRITE)
		return populate(mm, addr, end, advice == ADV_POPULATE_READ ? VM_READ : VM_WRITE);
	while (addr < end) {
		struct vma *vma = vma_find(mm, addr);
		int err;

		if (!vma || vma->start >= end)
			return -ENOMEM;
		hole |= vma->start > addr;
		err = advise_area(vma, &addr, end, advice);
		if (err)
			return err;
	}
	return hole ? -ENOMEM : 0;
}

s64 call_msync(struct mm *mm, vaddr_t addr, u64 len, u32 flags)
{
	vaddr_t end = addr + align_up(len, PAGE_SIZE);

	if ((flags & ~7u) || (addr & ~PAGE_MASK) || (flags & 5) == 5 || end < addr)
		return end < addr ? -ENOMEM : -EINVAL;
	while (addr < end) {
		struct vma *vma = vma_at(mm, addr);

		if (!vma)
			return -ENOMEM;
		if ((flags & 2) && (vma->flags & VM_LOCKED))
			return -EBUSY;
		addr = vma->end;
	}
	return 0; /* private and anonymous memory has nothing to write back */
}

/* Is the page in memory, mapped here or not? */
static bool resident(struct vma *vma, vaddr_t addr)
{
	pte_t *pte = table_find(&vma->mm->table, addr);

	if (pte && *pte)
		return pte_present(*pte) ||
		       swap_cache_find(&vma->mm->machine->swap, pte_slot(*pte));
	return vma->mapping && mapping_find(vma->mapping, vma_index(vma, addr));
}

s64 call_mincore(struct mm *mm, vaddr_t addr, u64 len, u8 *vec, u64 *filled)
{
	vaddr_t end = addr + align_up(len, PAGE_SIZE);

	*filled = 0;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (end < addr)
		return -ENOMEM;
	for (; addr < end; addr += PAGE_SIZE) {
		struct vma *vma = vma_at(mm, addr);

		if (!vma)
			return -ENOMEM;
		vec[(*filled)++] = resident(vma, addr);
	}
	return 0;
}

/* Pages of an unlocked range may be reclaimed again. */
static void make_evictable(struct mm *mm, vaddr_t start, vaddr_t end)
{
	struct machine *m = mm->machine;
	vaddr_t addr = start;
	pte_t *pte;

	for (; (pte = table_next(&mm->table, &addr, end)); addr += PAGE_SIZE) {
		struct page *page;

		if (!pte_present(*pte))
			continue;
		page = pfn_to_page(&m->phys, pte_pfn(*pte));
		if (!page_test(page, PG_unevictable) || !page_test(page, PG_lru))
			continue;
		lru_del(page_lruvec(&m->phys, page), page);
		page_clear(page, PG_unevictable);
		page_lru_add(m, page);
		stat_inc(&m->phys.stat, UNEVICTABLE_PGRESCUED);
	}
}

/* Sets and clears flags over a range that must be all areas. Linux: apply_vma_lock_flags(). */
static s64 lock_range(struct mm *mm, vaddr_t addr, u64 len, u32 clear, u32 set)
{
	vaddr_t end = align_up(addr + len, PAGE_SIZE);

	addr &= PAGE_MASK;
	if (end < addr)
		return -EINVAL;
	if (addr == end)
		return 0;
	while (addr < end) {
		struct vma *vma = vma_at(mm, addr);
		vaddr_t stop;
		u32 flags;

		if (!vma)
			return -ENOMEM;
		stop = min_u64(vma->end, end);
		flags = (vma->flags & ~clear) | set;
		if (flags != vma->flags) {
			if (vma_cut(mm, addr, stop) < 0)
				return -ENOMEM;
			if (!set)
				make_evictable(mm, addr, stop);
			vma_set_flags(vma_at(mm, addr), flags);
		}
		addr = stop;
	}
	return 0;
}

s64 call_mlock(struct mm *mm, vaddr_t addr, u64 len, u32 on_fault)
{
	vaddr_t start = addr & PAGE_MASK, end = align_up(addr + len, PAGE_SIZE);
	s64 r;

	if (((mm->locked_vm << PAGE_SHIFT) + (end - start)) > mm->rlimit_memlock)
		return -ENOMEM;
	r = lock_range(mm, addr, len, VM_LOCKONFAULT, VM_LOCKED | (on_fault ? VM_LOCKONFAULT : 0));
	if (r < 0 || on_fault)
		return r;
	r = fault_populate(mm, start, end);
	return r == -EFAULT ? -ENOMEM : r == -ENOMEM ? -EAGAIN : 0;
}

s64 call_munlock(struct mm *mm, vaddr_t addr, u64 len)
{
	return lock_range(mm, addr, len, VM_LOCKED | VM_LOCKONFAULT, 0);
}

s64 call_mlockall(struct mm *mm, u32 flags)
{
	struct vma *vma;

	if (!flags || (flags & ~7u) || flags == 4)
		return -EINVAL;
	mm->def_flags = flags & 2 ? VM_LOCKED | (flags & 4 ? VM_LOCKONFAULT : 0) : 0;
	if (!(flags & 1))
		return 0;
	if ((mm->total_vm << PAGE_SHIFT) > mm->rlimit_memlock)
		return -ENOMEM;
	for (vma = vma_first(mm); vma; vma = vma_next(vma)) {
		if (vma->flags & VM_PFNMAP)
			continue; /* not ours to lock */
		vma = vma_set_flags(vma, vma->flags | VM_LOCKED | (flags & 4 ? VM_LOCKONFAULT : 0));
		if (!(flags & 4) && (vma->flags & VM_ACCESS))
			(void)fault_populate(mm, vma->start, vma->end);
	}
	return 0;
}

s64 call_munlockall(struct mm *mm)
{
	struct vma *vma;

	mm->def_flags = 0;
	for (vma = vma_first(mm); vma; vma = vma_next(vma)) {
		make_evictable(mm, vma->start, vma->end);
		vma = vma_set_flags(vma, vma->flags & ~(u32)(VM_LOCKED | VM_LOCKONFAULT));
	}
	return 0;
}
