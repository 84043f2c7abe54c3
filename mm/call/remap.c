/*
 * remap.c - mremap: shrink, grow in place, or move.
 *
 * How     A move makes the new area with the old one's offset, carries the entries over leaf by
 *         leaf, and removes the old area: the pages stay in their frames, and rmap finds them by
 *         the same offset at the new place.
 * Why     Linux: mm/mremap.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/errno.h"
#include "call/call.h"
#include "space/mm.h"
#include "space/unmap.h"
#include "space/rmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

/* Carries entries from the old range to the new one; all become old. 0 or -ENOMEM. */
static int move_entries(struct mm *mm, vaddr_t from, vaddr_t to, u64 len)
{
	struct mmu_range range = { mm, from, from + len };
	vaddr_t addr = from;
	pte_t *pte;

	mm->machine->mmu->invalidate(&range, 1);
	for (; (pte = table_next(&mm->table, &addr, from + len)); addr += PAGE_SIZE) {
		pte_t *new = table_get(&mm->table, to + (addr - from));

		if (!new)
			return -ENOMEM;
		table_set(&mm->table, new, pte_present(*pte) ? *pte & ~PTE_ACCESSED : *pte);
		table_set(&mm->table, pte, 0);
	}
	return 0;
}

/* Where the area goes. */
static s64 choose_target(struct mm *mm, const struct vma *vma, u64 new_len, u32 flags, vaddr_t to)
{
	if (flags & CALL_MREMAP_FIXED)
		return (s64)to;
	return call_get_area(mm, 0, new_len,
			     vma->flags & VM_SHARED ? CALL_MAP_SHARED : CALL_MAP_PRIVATE);
}

static s64 move_area(struct mm *mm, struct vma *vma, vaddr_t old, u64 old_len, u64 new_len,
		     u32 flags, vaddr_t to)
{
	s64 at = choose_target(mm, vma, new_len, flags, to);
	struct vma_desc d;
	struct vma *new;

	if (at < 0)
		return at;
	d = (struct vma_desc){ .start = (vaddr_t)at,
			       .end = (vaddr_t)at + new_len,
			       .flags = vma->flags,
			       .pgoff = vma_index(vma, old),
			       .mapping = vma->mapping };
	if (vma_is_anon(vma) && !vma->anon_vma)
		d.pgoff = d.start >> PAGE_SHIFT;
	d.anon_vma = vma->anon_vma;
	new = vma_add(mm, &d);
	if (!new)
		return -ENOMEM;
	if (mm->machine->mmu->area_changed(mm, new, d.start, d.end) < 0 ||
	    move_entries(mm, old, (vaddr_t)at, min_u64(old_len, new_len)) < 0)
		return -ENOMEM;
	if (!(flags & CALL_MREMAP_DONTUNMAP))
		(void)call_munmap(mm, old, old_len);
	return at;
}

static bool grow_in_place(struct mm *mm, struct vma *vma, vaddr_t new_end)
{
	struct vma *next = vma_next(vma);
	vaddr_t old_end = vma->end;

	if ((next && next->start < new_end) || new_end > TASK_SIZE)
		return false;
	vma_resize(vma, vma->start, new_end);
	vma = vma_set_flags(vma, vma->flags);
	return mm->machine->mmu->area_changed(mm, vma, old_end, new_end) == 0;
}

static int check(vaddr_t old, u64 old_len, u64 new_len, u32 flags, vaddr_t to)
{
	if ((flags & ~7u) || (old & ~PAGE_MASK) || !new_len)
		return -EINVAL;
	if ((flags & (CALL_MREMAP_FIXED | CALL_MREMAP_DONTUNMAP)) && !(flags & CALL_MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & CALL_MREMAP_DONTUNMAP) && old_len != new_len)
		return -EINVAL;
	if ((flags & (CALL_MREMAP_FIXED | CALL_MREMAP_DONTUNMAP)) && (to & ~PAGE_MASK))
		return -EINVAL;
	if (new_len > TASK_SIZE)
		return -ENOMEM;
	if (!(flags & CALL_MREMAP_FIXED))
		return 0;
	if ((to & ~PAGE_MASK) || to > TASK_SIZE - new_len)
		return -EINVAL;
	return to < old + old_len && old < to + new_len ? -EINVAL : 0;
}

s64 call_mremap(struct mm *mm, vaddr_t old, u64 old_len, u64 new_len, u32 flags, vaddr_t to)
{
	struct vma *vma;
	int err;

	old_len = align_up(old_len, PAGE_SIZE);
	new_len = align_up(new_len, PAGE_SIZE);
	err = check(old, old_len, new_len, flags, to);
	if (err)
		return err;
	vma = vma_at(mm, old);
	if (!vma)
		return -EFAULT;
	if (!old_len && !(vma->flags & VM_SHARED))
		return -EINVAL;
	if (new_len <= old_len && !(flags & (CALL_MREMAP_FIXED | CALL_MREMAP_DONTUNMAP))) {
		if (new_len < old_len)
			(void)call_munmap(mm, old + new_len, old_len - new_len);
		return (s64)old;
	}
	if (old + old_len > vma->end)
		return -EFAULT;
	if (flags & CALL_MREMAP_FIXED) {
		s64 r = call_munmap(mm, to, new_len);

		if (r < 0)
			return r;
	}
	if (new_len > old_len && ((mm->total_vm << PAGE_SHIFT) + new_len - old_len) > mm->rlimit_as)
		return -ENOMEM;
	if (!(flags & (CALL_MREMAP_FIXED | CALL_MREMAP_DONTUNMAP))) {
		if (old + old_len == vma->end && grow_in_place(mm, vma, old + new_len))
			return (s64)old;
		if (!(flags & CALL_MREMAP_MAYMOVE))
			return -ENOMEM;
	}
	if (vma_cut(mm, old, old + old_len) < 0)
		return -ENOMEM;
	vma = vma_at(mm, old);
	return move_area(mm, vma, old, old_len, new_len, flags, to);
}
