/*
 * fork.c - a copy of an address space.
 *
 * How     Areas are copied in order; entries of private pages lose write access on both sides, and
 *         each page and slot gets one user more. Entries of shared areas are copied as they are:
 *         the back end's copy will have them. It write-protects the parent's private ranges first.
 * Why     Linux: dup_mmap(), copy_page_range().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/errno.h"
#include "call/call.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

enum sharing { COPY_PRIVATE, COPY_SHARED };

static void copy_entry(struct mm *parent, struct mm *child, pte_t *to, pte_t *pte,
		       enum sharing sharing)
{
	struct machine *m = parent->machine;

	if (!pte_present(*pte)) {
		swap_dup(&m->swap, pte_slot(*pte));
		table_set(&child->table, to, *pte);
		mm_count(child, MM_SWAPENTS, 1);
		return;
	}
	if (*pte & PTE_DIRTY)
		page_set(pfn_to_page(&m->phys, pte_pfn(*pte)), PG_dirty);
	if (sharing == COPY_PRIVATE)
		*pte &= ~(PTE_WRITE | PTE_DIRTY);
	table_set(&child->table, to, *pte);
	rmap_add(m, pfn_to_page(&m->phys, pte_pfn(*pte)));
	mm_count(child, mm_counter_of(pfn_to_page(&m->phys, pte_pfn(*pte))), 1);
}

/* Entries of one area; ranges that were writable are write-protected. */
static int copy_entries(struct vma *from, struct mm *child)
{
	struct mm *parent = from->mm;
	enum sharing sharing = from->flags & VM_SHARED ? COPY_SHARED : COPY_PRIVATE;
	vaddr_t addr = from->start, run = 0, run_end = 0;
	pte_t *pte, *to;
	int err = 0;

	for (; (pte = table_next(&parent->table, &addr, from->end)); addr += PAGE_SIZE) {
		bool writable;

		to = table_get(&child->table, addr);
		if (!to) {
			err = -ENOMEM;
			break;
		}
		if (!*pte) /* a file's page, evicted for the level */
			continue;
		writable = pte_young(*pte) && (*pte & PTE_WRITE) && sharing == COPY_PRIVATE;
		copy_entry(parent, child, to, pte, sharing);
		if (!writable)
			continue;
		if (run && run_end == addr) {
			run_end += PAGE_SIZE;
			continue;
		}
		if (run)
			parent->machine->mmu->write_protect(parent, run, run_end);
		run = addr;
		run_end = addr + PAGE_SIZE;
	}
	if (run)
		parent->machine->mmu->write_protect(parent, run, run_end);
	return err;
}

/* What the child must not see is not translated while the back end copies its own. */
static void hide_area(struct vma *vma)
{
	struct mmu_range range = { vma->mm, vma->start, vma->end };
	vaddr_t addr = vma->start;
	pte_t *pte;

	for (; (pte = table_next(&vma->mm->table, &addr, vma->end)); addr += PAGE_SIZE)
		*pte &= pte_present(*pte) ? ~PTE_ACCESSED : ~0ull;
	vma->mm->machine->mmu->invalidate(&range, 1);
}

static int copy_area(struct vma *from, struct mm *child)
{
	struct vma_desc d = { .start = from->start,
			      .end = from->end,
			      .flags = from->flags & ~(u32)(VM_LOCKED | VM_LOCKONFAULT),
			      .pgoff = from->pgoff,
			      .mapping = from->mapping,
			      .written = from->written && !(from->flags & VM_WIPEONFORK),
			      .anon_vma = from->flags & VM_WIPEONFORK ? NULL : from->anon_vma };

	if (from->flags & (VM_DONTCOPY | VM_WIPEONFORK))
		hide_area(from);
	if (from->flags & VM_DONTCOPY)
		return 0;
	if (!vma_add(child, &d))
		return -ENOMEM;
	if (from->flags & VM_WIPEONFORK)
		return 0;
	return copy_entries(from, child);
}

struct mm *call_fork(struct mm *parent)
{
	struct mm *child = mm_create(parent->machine);
	struct vma *vma;
	int err = 0;

	if (!child)
		return NULL;
	child->start_brk = parent->start_brk;
	child->brk = parent->brk;
	child->start_stack = parent->start_stack;
	child->mmap_base = parent->mmap_base;
	child->mmap_low = parent->mmap_low;
	child->rlimit_as = parent->rlimit_as;
	child->rlimit_data = parent->rlimit_data;
	child->rlimit_stack = parent->rlimit_stack;
	child->rlimit_memlock = parent->rlimit_memlock;
	child->oom_score_adj = parent->oom_score_adj;
	child->uid = parent->uid;
	memcpy(child->comm, parent->comm, sizeof(child->comm));
	/* What is being copied must not be reaped. */
	parent->machine->faulting = parent;
	for (vma = vma_first(parent); vma && !err; vma = vma_next(vma))
		err = copy_area(vma, child);
	parent->machine->faulting = NULL;
	if (!err)
		return child;
	mm_destroy(child);
	return NULL;
}
