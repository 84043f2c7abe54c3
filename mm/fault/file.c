/*
 * file.c - an access to an object's page: file contents, or shared memory (shmem.c).
 *
 * How     The page is found in the cache, or read. A write to a private area gets a copy at once,
 *         and so do its neighbours in the cache, as cow.c does it: loaders relocate whole segments.
 *         Otherwise the page is mapped together with its neighbours in the cache (fault-around),
 *         as far as they are contiguous in the area and their entries are empty; beyond
 *         fault_around_bytes as far as their frames are contiguous too, which costs the back end no
 *         further translation.
 * Why     Linux: do_read_fault(), do_cow_fault(), do_shared_fault(), filemap_map_pages().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/errno.h"
#include "fault/fault.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/readahead.h"
#include "store/state.h"

/* What one leaf of the table translates. */
#define LEAF_SIZE (PAGE_SIZE * TABLE_ENTRIES)

static enum readahead_hint hint_of(const struct vma *vma)
{
	if (vma->flags & VM_RAND_READ)
		return READAHEAD_RANDOM;
	return vma->flags & VM_SEQ_READ ? READAHEAD_SEQUENTIAL : READAHEAD_NORMAL;
}

static enum fault_result bring(struct fault *f, u64 index)
{
	int err;

	if (f->vma->mapping->kind == MAPPING_SHMEM)
		return fault_shmem(f, index);
	err = readahead_fault(f->vma->mapping, index, hint_of(f->vma));
	f->major = true;
	return err == -ENOMEM ? FAULT_OOM : err ? FAULT_SIGBUS : FAULT_NEXT;
}

/* A private write: the copy is mapped, the cache's page is not. */
static enum fault_result copy_alone(struct fault *f, struct page *from)
{
	struct machine *m = f->mm->machine;
	struct page *page;

	from->refcount++;
	page = anon_vma_prepare(f->vma) < 0 ? NULL : fault_alloc(f);
	if (page) {
		memcpy(page_address(&m->phys, page), page_address(&m->phys, from), PAGE_SIZE);
		page_set(page, PG_uptodate);
		rmap_new_anon(page, f->vma, f->addr);
		fault_set(f, f->addr, f->pte, page, fault_bits(f->vma, true));
		page_lru_add(m, page);
		stat_inc(&m->phys.stat, QUIRE_FAULT_COW);
	}
	page_put(m, from);
	f->start = f->addr;
	f->end = f->addr + PAGE_SIZE;
	return page ? FAULT_DONE : FAULT_OOM;
}

/* A cached page that can be mapped at addr, where nothing is yet. */
static struct page *mappable(struct fault *f, vaddr_t addr)
{
	pte_t *pte = table_find(&f->mm->table, addr);
	u64 index = vma_index(f->vma, addr);
	struct page *page;

	if ((pte && *pte) || index >= mapping_pages(f->vma->mapping))
		return NULL;
	page = mapping_find(f->vma->mapping, index);
	return page && page_test(page, PG_uptodate) ? page : NULL;
}

static bool map_one(struct fault *f, vaddr_t addr, struct page *page)
{
	bool shared = f->vma->flags & VM_SHARED;
	pte_t *pte;

	page->refcount++;
	pte = table_get(&f->mm->table, addr);
	if (!pte) {
		page_put(f->mm->machine, page);
		return false;
	}
	fault_set(f, addr, pte, page, fault_bits(f->vma, shared));
	return true;
}

/* Entries of [start, end) that the back end will not hear of are old; reclaim may have had some. */
static void leave_old(struct mm *mm, vaddr_t start, vaddr_t end)
{
	pte_t *pte;

	for (; start < end; start += PAGE_SIZE)
		if ((pte = table_find(&mm->table, start)) && pte_present(*pte))
			*pte &= ~PTE_ACCESSED;
}

/*
 * A private write where nothing is mapped yet: the page and its cached neighbours are mapped as by
 * reads, and then written.
 */
static enum fault_result copy_private(struct fault *f, struct page *page)
{
	vaddr_t low, high, start = f->addr, end = f->addr;
	enum fault_result r;

	fault_copy_block(f, &low, &high);
	if (high - low == PAGE_SIZE || !f->mm->machine->mmu->can_replace(f->mm) ||
	    !map_one(f, f->addr, page))
		return copy_alone(f, page);
	while (start > low && (page = mappable(f, start - PAGE_SIZE)) &&
	       map_one(f, start - PAGE_SIZE, page))
		start -= PAGE_SIZE;
	do
		end += PAGE_SIZE;
	while (end < high && (page = mappable(f, end)) && map_one(f, end, page));
	f->pte = table_find(&f->mm->table, f->addr);
	r = fault_cow(f);
	leave_old(f->mm, start, r == FAULT_DONE ? f->start : f->addr);
	leave_old(f->mm, r == FAULT_DONE ? f->end : f->addr, end);
	return r;
}

/* Does what is mapped now end where the next page is cached, but in a frame elsewhere? */
static void note_border(struct fault *f, vaddr_t addr)
{
	if (f->vma->mapping->kind == MAPPING_FILE && !(f->vma->flags & VM_WRITE) &&
	    mappable(f, addr))
		mapping_note_scattered(f->vma->mapping, vma_index(f->vma, f->addr));
}

/* Maps the page and its cached neighbours. Linux: filemap_map_pages(). */
static enum fault_result map_around(struct fault *f, struct page *page)
{
	u64 around = max_u64(PAGE_SIZE, f->mm->machine->knobs.fault_around_bytes);
	u64 far = around > PAGE_SIZE ? LEAF_SIZE : PAGE_SIZE;
	vaddr_t low = f->addr & ~(around - 1), high = low + around;
	vaddr_t first = max_u64(f->vma->start, f->addr & ~(far - 1));
	vaddr_t last = min_u64(f->vma->end, (f->addr & ~(far - 1)) + far);
	struct page *prev = page;

	if (!map_one(f, f->addr, page))
		return FAULT_OOM;
	f->start = f->addr;
	f->end = f->addr + PAGE_SIZE;
	while (f->start > first && (page = mappable(f, f->start - PAGE_SIZE)) &&
	       (f->start > low || page + 1 == prev) && map_one(f, f->start - PAGE_SIZE, page)) {
		f->start -= PAGE_SIZE;
		prev = page;
	}
	prev = mapping_find(f->vma->mapping, vma_index(f->vma, f->end - PAGE_SIZE));
	while (f->end < last && (page = mappable(f, f->end)) &&
	       (f->end < high || page == prev + 1) && map_one(f, f->end, page)) {
		f->end += PAGE_SIZE;
		prev = page;
	}
	if (f->end >= high && f->end < last)
		note_border(f, f->end);
	else if (f->start <= low && f->start > first)
		note_border(f, f->start - PAGE_SIZE);
	return FAULT_DONE;
}

void fault_map_cached(struct mm *mm, struct vma *vma)
{
	struct fault f = { .mm = mm, .vma = vma, .access = ACCESS_READ };
	struct page *page;
	vaddr_t addr;

	for (addr = vma->start; addr < vma->end; addr += PAGE_SIZE) {
		f.addr = addr;
		page = mappable(&f, addr);
		if (page && !map_one(&f, addr, page))
			return;
	}
}

enum fault_result fault_file(struct fault *f)
{
	u64 index = vma_index(f->vma, f->addr);
	struct page *page;
	enum fault_result r;

	if (!mapping_has(f->vma->mapping, index))
		return FAULT_SIGBUS;
	page = mapping_find(f->vma->mapping, index);
	if (!page) {
		r = bring(f, index);
		if (r != FAULT_NEXT)
			return r;
		page = mapping_find(f->vma->mapping, index);
		invariant(F1, page);
	}
	if (f->access == ACCESS_WRITE && !(f->vma->flags & VM_SHARED))
		return copy_private(f, page);
	r = map_around(f, page);
	if (r == FAULT_DONE)
		stat_inc(&f->mm->machine->phys.stat, QUIRE_FAULT_FILE);
	return r;
}
