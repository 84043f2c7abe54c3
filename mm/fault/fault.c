/*
 * fault.c - an access has no translation: find out what should be there, and put it there.
 *
 * How                     entry empty      swap slot     present, old     present, read-only
 *         private, anon   zero.c           swapin.c      take it back     cow.c
 *         private, file   file.c (+ copy)  swapin.c      take it back     cow.c
 *         shared          file.c           -             take it back     make writable
 *
 *         "Take it back": the back end forgot the translation, for ageing or for room; the page
 *         is there and is used, so it becomes young again, with its neighbours.
 * Use     fault_handle(), from a back end.
 * Holds   F1  after FAULT_DONE the entry of addr is present, young, and allows the access
 * Locks   The machine's; device I/O happens inside.
 * Why     Linux: handle_mm_fault(), mm/memory.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fault/fault.h"

#include "base/check.h"
#include "base/errno.h"
#include "phys/pressure.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

#define NO_ROOM_TRIES 16 /* evictions to make room in the back end, in one populate */
#define SOFT_AROUND   16 /* pages taken back at once */

/* Grows a stack down to addr. Linux: expand_downwards(). */
static bool grow_stack(struct mm *mm, struct vma *vma, vaddr_t addr)
{
	struct vma *prev = vma_prev(vma);

	if (!(vma->flags & VM_GROWSDOWN) || vma->end - addr > mm->rlimit_stack)
		return false;
	if (prev && (prev->flags & VM_ACCESS) && addr - prev->end < STACK_GUARD_GAP)
		return false;
	if (((mm->total_vm << PAGE_SHIFT) + vma->start - addr) > mm->rlimit_as)
		return false;
	vma_resize(vma, addr, vma->end);
	return true;
}

static enum fault_result find_area(struct fault *f)
{
	u32 need = f->access == ACCESS_WRITE  ? VM_WRITE
		   : f->access == ACCESS_EXEC ? VM_EXEC
					      : VM_READ;
	struct vma *vma = vma_find(f->mm, f->addr);

	if (!vma || (vma->start > f->addr && !grow_stack(f->mm, vma, f->addr)))
		return FAULT_SEGV_MAPERR;
	f->vma = vma;
	if (f->access == ACCESS_READ)
		return vma->flags & VM_ACCESS ? FAULT_NEXT : FAULT_SEGV_ACCERR;
	return vma->flags & need ? FAULT_NEXT : FAULT_SEGV_ACCERR;
}

struct page *fault_alloc(struct fault *f)
{
	struct machine *m = f->mm->machine;
	bool newborn = !m->mmu->can_replace(f->mm);
	gfp_t easy = newborn ? __GFP_NORETRY | __GFP_NOWARN : 0;
	struct page *page = user_pages_alloc(m, GFP_HIGHUSER_MOVABLE | easy, 0);

	/*
	 * Little may be reclaimable while a child just forked is on its way to its first call. The
	 * reserves are for that, but not before: with nothing left, nothing could be swapped.
	 */
	if (!page && newborn)
		page = user_pages_alloc(m, GFP_HIGHUSER_MOVABLE | __GFP_MEMALLOC, 0);
	if (page)
		page_prepare(page);
	return page;
}

u64 fault_bits(struct vma *vma, bool writable)
{
	vma->written |= writable && (vma->flags & VM_WRITE);
	return PTE_ACCESSED | (vma->flags & VM_EXEC ? 0 : PTE_NX) |
	       (writable && (vma->flags & VM_WRITE) ? PTE_WRITE | PTE_DIRTY : 0);
}

void fault_set(struct fault *f, vaddr_t addr, pte_t *pte, struct page *page, u64 bits)
{
	struct machine *m = f->mm->machine;

	(void)addr;
	table_set(&f->mm->table, pte, pte_mk(page_to_pfn(&m->phys, page), bits));
	rmap_add(m, page);
	page->refcount--; /* the caller's, which the entry's replaces */
	mm_count(f->mm, mm_counter_of(page), 1);
	stat_inc(&m->phys.stat, QUIRE_FAULT_PAGES);
}

/* The page is there and the back end forgot it: it becomes young again, with old neighbours. */
static enum fault_result take_back(struct fault *f)
{
	vaddr_t low = max_u64(f->vma->start, f->addr & ~(SOFT_AROUND * PAGE_SIZE - 1));
	vaddr_t high = min_u64(f->vma->end, low + SOFT_AROUND * PAGE_SIZE);
	pte_t *pte;

	f->start = f->addr;
	f->end = f->addr + PAGE_SIZE;
	*f->pte |= PTE_ACCESSED;
	while (f->start > low && (pte = table_find(&f->mm->table, f->start - PAGE_SIZE)) &&
	       pte_present(*pte)) {
		*pte |= PTE_ACCESSED;
		f->start -= PAGE_SIZE;
	}
	while (f->end < high && (pte = table_find(&f->mm->table, f->end)) && pte_present(*pte)) {
		*pte |= PTE_ACCESSED;
		f->end += PAGE_SIZE;
	}
	stat_inc(&f->mm->machine->phys.stat, QUIRE_FAULT_SOFT);
	return FAULT_DONE;
}

static enum fault_result get_page_for(struct fault *f)
{
	f->pte = table_get(&f->mm->table, f->addr);
	if (!f->pte)
		return FAULT_OOM;
	if (!*f->pte)
		return vma_is_anon(f->vma) ? fault_zero(f) : fault_file(f);
	if (!pte_present(*f->pte))
		return fault_swapin(f);
	if (f->access == ACCESS_WRITE && !(*f->pte & PTE_WRITE))
		return fault_cow(f);
	return take_back(f);
}

static enum fault_result install(struct fault *f)
{
	int err = f->mm->machine->mmu->install(f->mm, f->vma, f->start, f->end);

	return err ? FAULT_NO_ROOM : FAULT_DONE;
}

enum fault_result fault_handle(struct mm *mm, vaddr_t addr, enum access access)
{
	struct fault f = { .mm = mm, .addr = addr & PAGE_MASK, .access = access };
	struct vm_stat *stat = &mm->machine->phys.stat;
	struct mm *before = mm->machine->faulting;
	unsigned int deferred = mm->machine->oom_deferred;
	enum fault_result r;

	stat_inc(stat, PGFAULT);
	mm->machine->faulting = mm;
	r = find_area(&f);
	if (r == FAULT_NEXT)
		r = get_page_for(&f);
	if (r == FAULT_DONE)
		r = install(&f);
	if (r == FAULT_OOM && mm->machine->oom_deferred > deferred)
		r = FAULT_NO_ROOM; /* for now */
	if (f.major)
		stat_inc(stat, PGMAJFAULT);
	mm->machine->faulting = before;
	return r;
}

int fault_populate(struct mm *mm, vaddr_t start, vaddr_t end)
{
	unsigned int tries = 0;
	vaddr_t addr = start;

	while (addr < end) {
		struct vma *vma = vma_find(mm, addr);
		struct fault f = { .mm = mm, .vma = vma, .access = ACCESS_READ };
		enum fault_result r;
		pte_t *pte;

		if (!vma || vma->start > addr)
			return -ENOMEM;
		if (vma->flags & VM_PFNMAP) { /* the host's: there is nothing to bring in */
			addr = vma->end;
			continue;
		}
		f.addr = addr;
		pte = table_find(&mm->table, addr);
		if (!(vma->flags & VM_ACCESS))
			return -EFAULT;
		if ((vma->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
			f.access = ACCESS_WRITE;
		if (pte && pte_young(*pte) && (f.access == ACCESS_READ || (*pte & PTE_WRITE))) {
			addr += PAGE_SIZE;
			continue;
		}
		r = fault_handle(mm, addr, f.access);
		if (r == FAULT_NO_ROOM && tries++ < NO_ROOM_TRIES) {
			(void)pressure_relieve(&mm->machine->phys,
					       GFP_HIGHUSER_MOVABLE | __GFP_NORETRY, 0);
			continue;
		}
		if (r == FAULT_OOM || r == FAULT_NO_ROOM)
			return -ENOMEM;
		if (r != FAULT_DONE)
			return -EFAULT;
		addr += PAGE_SIZE;
	}
	return 0;
}

/* Where the byte at addr is in RAM, after the access was allowed; NULL: it is not. */
static u8 *reach(struct mm *mm, vaddr_t addr, enum access access)
{
	pte_t *pte;

	if (fault_handle(mm, addr, access) != FAULT_DONE)
		return NULL;
	pte = table_find(&mm->table, addr);
	return (u8 *)pfn_to_virt(&mm->machine->phys, pte_pfn(*pte)) + (addr & ~PAGE_MASK);
}

int fault_copy_in(struct mm *mm, vaddr_t addr, const void *src, size_t len)
{
	const u8 *from = src;

	while (len) {
		size_t part = (size_t)min_u64(len, PAGE_SIZE - (addr & ~PAGE_MASK));
		u8 *at = reach(mm, addr, ACCESS_WRITE);

		if (!at)
			return -EFAULT;
		memcpy(at, from, part);
		addr += part;
		from += part;
		len -= part;
	}
	return 0;
}

int fault_copy_out(struct mm *mm, vaddr_t addr, void *dst, size_t len)
{
	u8 *to = dst;

	while (len) {
		size_t part = (size_t)min_u64(len, PAGE_SIZE - (addr & ~PAGE_MASK));
		const u8 *at = reach(mm, addr, ACCESS_READ);

		if (!at)
			return -EFAULT;
		memcpy(to, at, part);
		addr += part;
		to += part;
		len -= part;
	}
	return 0;
}

int fault_insert(struct mm *mm, vaddr_t addr, const void *data)
{
	struct fault f = { .mm = mm, .addr = addr, .vma = vma_at(mm, addr) };
	struct page *page;

	require(f.vma);
	unmap_pages(mm, addr, addr + PAGE_SIZE);
	if (anon_vma_prepare(f.vma) < 0)
		return -ENOMEM;
	page = fault_alloc(&f);
	f.pte = page ? table_get(&mm->table, addr) : NULL;
	if (!f.pte) {
		if (page)
			page_put(mm->machine, page);
		return -ENOMEM;
	}
	memcpy(page_address(&mm->machine->phys, page), data, PAGE_SIZE);
	f.vma->written = true;
	page->flags |= PAGE_FLAG(PG_uptodate) | PAGE_FLAG(PG_dirty);
	rmap_new_anon(page, f.vma, addr);
	fault_set(&f, addr, f.pte, page, fault_bits(f.vma, true) & ~PTE_ACCESSED);
	page_lru_add(mm->machine, page);
	return 0;
}
