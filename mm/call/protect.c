/*
 * protect.c - mprotect.
 *
 * How     Areas are cut at the borders, their flags change, entries lose what is no longer
 *         allowed. Nothing gains access here: a write that became legal faults first, because the
 *         page may be shared. Where rights are only taken away, as for a library's data after
 *         relocation, the back end may keep its translations.
 * Why     Linux: mm/mprotect.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/errno.h"
#include "call/call.h"
#include "space/mm.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/state.h"

/* The entries follow the area: no write where it forbids it, NX as it says; with `old`, old. */
static void change_entries(struct mm *mm, vaddr_t start, vaddr_t end, u32 flags, bool old)
{
	vaddr_t addr = start;
	pte_t *pte;

	for (; (pte = table_next(&mm->table, &addr, end)); addr += PAGE_SIZE) {
		pte_t entry = *pte;

		if (!pte_present(entry))
			continue;
		if (entry & PTE_DIRTY)
			page_set(pfn_to_page(&mm->machine->phys, pte_pfn(entry)), PG_dirty);
		entry &= ~(PTE_NX | (old ? PTE_ACCESSED : 0));
		if (!(flags & VM_WRITE))
			entry &= ~(PTE_WRITE | PTE_DIRTY);
		table_set(&mm->table, pte, entry | (flags & VM_EXEC ? 0 : PTE_NX));
	}
}

/* Can the back end go on with what it has, but for the rights that are taken away? */
static bool restrict_access(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end,
			    u32 before)
{
	const struct mmu_ops *mmu = mm->machine->mmu;
	u32 access = vma->flags & VM_ACCESS;

	return mmu->restrict_access && (access & VM_READ) && !(access & ~before) &&
	       mmu->restrict_access(mm, vma, start, end);
}

/* [start, end) lies in one area and gets these rights. */
static int protect_area(struct mm *mm, vaddr_t start, vaddr_t end, u32 access)
{
	struct vma *vma = vma_at(mm, start);
	u32 before = vma->flags & VM_ACCESS;
	u32 flags = (vma->flags & ~(u32)VM_ACCESS) | access;
	bool kept;

	if ((vma->flags & VM_ACCESS) == access)
		return 0;
	if (mm->map_count >= MAX_MAP_COUNT && (vma->start < start || end < vma->end))
		return -ENOMEM;
	if (vma_cut(mm, start, end) < 0)
		return -ENOMEM;
	vma = vma_at(mm, start);
	if ((flags & (VM_WRITE | VM_SHARED | VM_NORESERVE)) == VM_WRITE)
		flags |= VM_ACCOUNT;
	vma = vma_set_flags(vma, flags);
	kept = restrict_access(mm, vma, start, end, before);
	change_entries(mm, start, end, flags, !kept);
	return kept ? 0 : mm->machine->mmu->area_changed(mm, vma, start, end);
}

s64 call_mprotect(struct mm *mm, vaddr_t addr, u64 len, u32 prot)
{
	vaddr_t end = addr + align_up(len, PAGE_SIZE);
	u32 access = prot & VM_ACCESS;
	struct vma *vma;
	int err;

	if ((addr & ~PAGE_MASK) ||
	    (prot & ~(VM_ACCESS | 8u | CALL_PROT_GROWSDOWN | CALL_PROT_GROWSUP)))
		return -EINVAL;
	if (!len)
		return 0;
	if (end <= addr)
		return -ENOMEM;
	if (prot & CALL_PROT_GROWSDOWN) {
		vma = vma_at(mm, addr);
		if (!vma || !(vma->flags & VM_GROWSDOWN))
			return -EINVAL;
		addr = vma->start;
	}
	while (addr < end) {
		vaddr_t stop;

		vma = vma_at(mm, addr);
		if (!vma)
			return -ENOMEM; /* what lies before the hole is changed, as on Linux */
		if (access & ~(vma->flags >> 4) & VM_ACCESS)
			return -EACCES;
		stop = min_u64(vma->end, end);
		err = protect_area(mm, addr, stop, access);
		if (err)
			return err;
		addr = stop;
	}
	return 0;
}
