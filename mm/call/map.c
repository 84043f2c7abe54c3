/*
 * map.c - mmap, munmap, brk.
 *
 * How     Only areas change; pages come with faults. mmap places an area top down below mmap_base,
 *         as Linux does on x86-64, and takes a hint where it is free.
 * Locks   The machine's.
 * Why     Linux: mm/mmap.c.
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
#include "store/state.h"

#define LOW_32BIT_END	0x80000000ull
#define LOW_32BIT_START 0x40000000ull

static u32 prot_flags(u32 prot)
{
	return (prot & CALL_PROT_READ ? VM_READ : 0) | (prot & CALL_PROT_WRITE ? VM_WRITE : 0) |
	       (prot & CALL_PROT_EXEC ? VM_EXEC : 0);
}

static bool range_free(struct mm *mm, vaddr_t addr, u64 len)
{
	struct vma *next = vma_find(mm, addr);

	return !next || next->start >= addr + len;
}

s64 call_get_area(struct mm *mm, vaddr_t hint, u64 len, u32 flags)
{
	vaddr_t at = 0;

	if (len > TASK_SIZE)
		return -ENOMEM;
	if (flags & (CALL_MAP_FIXED | CALL_MAP_FIXED_NOREPLACE)) {
		if (hint & ~PAGE_MASK)
			return -EINVAL;
		if (hint > TASK_SIZE - len)
			return -ENOMEM;
		return (s64)hint;
	}
	hint = align_up(hint, PAGE_SIZE);
	if (hint >= MMAP_MIN_ADDR && hint <= TASK_SIZE - len && range_free(mm, hint, len))
		return (s64)hint;
	if (flags & CALL_MAP_32BIT)
		at = vma_gap_bottomup(mm, len, LOW_32BIT_START, LOW_32BIT_END, PAGE_SIZE);
	else
		at = vma_gap_topdown(mm, len, mm->mmap_low, mm->mmap_base, PAGE_SIZE);
	if (!at) /* as Linux: then anywhere, from below */
		at = vma_gap_bottomup(mm, len, MMAP_MIN_ADDR, TASK_SIZE, PAGE_SIZE);
	return at ? (s64)at : -ENOMEM;
}

int call_may_expand(struct mm *mm, u64 pages, u32 flags)
{
	struct machine *m = mm->machine;
	u64 total = m->phys.total_pages + swap_total(&m->swap);

	if (((mm->total_vm + pages) << PAGE_SHIFT) > mm->rlimit_as)
		return -ENOMEM;
	if ((flags & (VM_WRITE | VM_SHARED)) == VM_WRITE &&
	    ((mm->data_vm + pages) << PAGE_SHIFT) > mm->rlimit_data)
		return -ENOMEM;
	if (mm->map_count >= MAX_MAP_COUNT)
		return -ENOMEM;
	if ((flags & VM_ACCOUNT) && m->knobs.overcommit_memory == 0 && pages > total)
		return -ENOMEM;
	return 0;
}

static u32 area_flags(const struct mm *mm, const struct map_request *req)
{
	u32 flags = prot_flags(req->prot) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
	u32 overcommit = mm->machine->knobs.overcommit_memory;

	if ((req->flags & 3) != CALL_MAP_PRIVATE)
		flags |= VM_SHARED | VM_MAYSHARE;
	if (req->flags & CALL_MAP_GROWSDOWN)
		flags |= VM_GROWSDOWN;
	if (req->flags & CALL_MAP_LOCKED)
		flags |= VM_LOCKED;
	if ((req->flags & CALL_MAP_NORESERVE) && overcommit != 2)
		flags |= VM_NORESERVE;
	if (!(flags & (VM_SHARED | VM_NORESERVE)) && (flags & VM_WRITE))
		flags |= VM_ACCOUNT;
	return (flags & ~req->deny) | req->vm_flags | mm->def_flags;
}

/* Takes areas out of a range whose borders were cut. */
static void remove_areas(struct mm *mm, vaddr_t start, vaddr_t end)
{
	struct vma *vma = vma_find(mm, start);

	unmap_pages(mm, start, end);
	while (vma && vma->start < end) {
		struct vma *next = vma_next(vma);

		vma_remove(vma);
		vma = next;
	}
	mm->machine->mmu->area_removed(mm, start, end);
}

static int check_request(const struct map_request *req)
{
	u32 type = req->flags & 0xf;

	if (!req->len || (req->offset & ~PAGE_MASK))
		return -EINVAL;
	if (type != CALL_MAP_SHARED && type != CALL_MAP_PRIVATE && type != CALL_MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (align_up(req->len, PAGE_SIZE) < req->len)
		return -ENOMEM;
	if (req->offset + align_up(req->len, PAGE_SIZE) < req->offset)
		return -EOVERFLOW;
	return 0;
}

s64 call_mmap(struct mm *mm, const struct map_request *req)
{
	u64 len = align_up(req->len, PAGE_SIZE);
	u32 flags = area_flags(mm, req);
	s64 at = check_request(req);
	struct vma_desc d;
	struct vma *vma;
	int err;

	if (at == 0)
		at = call_get_area(mm, req->addr, len, req->flags);
	if (at < 0)
		return at;
	if ((req->flags & CALL_MAP_FIXED_NOREPLACE) && !range_free(mm, (vaddr_t)at, len))
		return -EEXIST;
	err = call_may_expand(mm, len >> PAGE_SHIFT, flags);
	if (err)
		return err;
	if (!range_free(mm, (vaddr_t)at, len)) {
		if (vma_cut(mm, (vaddr_t)at, (vaddr_t)at + len) < 0)
			return -ENOMEM;
		remove_areas(mm, (vaddr_t)at, (vaddr_t)at + len);
	}
	d = (struct vma_desc){ .start = (vaddr_t)at,
			       .end = (vaddr_t)at + len,
			       .flags = flags,
			       .pgoff = req->mapping ? req->offset >> PAGE_SHIFT
						     : (vaddr_t)at >> PAGE_SHIFT,
			       .mapping = req->mapping };
	vma = vma_add(mm, &d);
	if (!vma)
		return -ENOMEM;
	err = mm->machine->mmu->area_changed(mm, vma, d.start, d.end);
	if (err) {
		(void)call_munmap(mm, d.start, len);
		return err;
	}
	if ((flags & VM_LOCKED) ||
	    (req->flags & (CALL_MAP_POPULATE | CALL_MAP_NONBLOCK)) == CALL_MAP_POPULATE)
		(void)fault_populate(mm, d.start, d.end);
	return at;
}

s64 call_munmap(struct mm *mm, vaddr_t addr, u64 len)
{
	vaddr_t end = addr + align_up(len, PAGE_SIZE);
	struct vma *vma;

	if ((addr & ~PAGE_MASK) || !len || addr > TASK_SIZE || end < addr ||
	    end > TASK_SIZE + PAGE_SIZE)
		return -EINVAL;
	if (range_free(mm, addr, end - addr))
		return 0;
	vma = vma_at(mm, addr);
	if (mm->map_count >= MAX_MAP_COUNT && vma && vma->start < addr && end < vma->end)
		return -ENOMEM; /* it would leave one area more */
	if (vma_cut(mm, addr, end) < 0)
		return -ENOMEM;
	remove_areas(mm, addr, end);
	return 0;
}

/* The heap grows or shrinks. Failure is an unchanged break. Linux: brk(2). */
s64 call_brk(struct mm *mm, vaddr_t brk)
{
	vaddr_t old_end = align_up(mm->brk, PAGE_SIZE), new_end = align_up(brk, PAGE_SIZE);
	struct map_request req = { .addr = old_end,
				   .len = new_end - old_end,
				   .prot = CALL_PROT_READ | CALL_PROT_WRITE,
				   .flags = CALL_MAP_PRIVATE | CALL_MAP_ANONYMOUS |
					    CALL_MAP_FIXED_NOREPLACE };

	if (brk < mm->start_brk || brk > TASK_SIZE || brk - mm->start_brk > mm->rlimit_data)
		return (s64)mm->brk;
	if (new_end > old_end) {
		/* One guard page below the next area. */
		if (!range_free(mm, old_end, new_end - old_end + PAGE_SIZE) ||
		    call_mmap(mm, &req) < 0)
			return (s64)mm->brk;
	} else if (new_end < old_end && call_munmap(mm, new_end, old_end - new_end) < 0) {
		return (s64)mm->brk;
	}
	mm->brk = brk;
	return (s64)brk;
}
