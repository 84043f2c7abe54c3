/*
 * zero.c - private anonymous memory appears: zero-filled pages.
 *
 * How     A fault maps a naturally aligned run of pages, of one contiguous block of frames, so that
 *         the back end needs one translation for it. The run doubles while an area is touched in
 *         order, as readahead does, and shrinks to what is free above the watermarks. A frame
 *         that was never used is known to be zero and is not filled again.
 * Why     Linux: do_anonymous_page(), and its multi-size THP (alloc_anon_folio()).
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "fault/fault.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/vma.h"
#include "store/state.h"

#define RUN_FIRST 16u

static bool run_is_empty(struct fault *f, vaddr_t start, vaddr_t end)
{
	return !table_next(&f->mm->table, &start, end);
}

u64 fault_spare_pages(struct machine *m)
{
	return nr_free_buffer_pages(&m->phys) / 16;
}

/* The largest order worth trying. */
static unsigned int run_order(struct fault *f)
{
	struct machine *m = f->mm->machine;
	u64 most = min_u64(m->knobs.fault_zero_pages, fault_spare_pages(m));
	u64 run = RUN_FIRST;

	if (f->vma->flags & (VM_RAND_READ | VM_NOHUGEPAGE))
		run = 1;
	else if (f->vma->fault_next == f->addr)
		run = max_u64(run, min_u64((u64)f->vma->fault_run * 2, PAGEBLOCK_PAGES));
	run = max_u64(1, min_u64(max_u64(run, 1), most));
	return log2_floor(run);
}

/* A block for the run, found without any pressure; order 0 may reclaim. */
static struct page *run_alloc(struct fault *f,
			      bool (*is_empty)(struct fault *f, vaddr_t start, vaddr_t end),
			      unsigned int *order)
{
	struct machine *m = f->mm->machine;
	struct page *page;

	for (; *order > 0; (*order)--) {
		vaddr_t start = f->addr & ~((PAGE_SIZE << *order) - 1);
		vaddr_t end = start + (PAGE_SIZE << *order);

		if (start < f->vma->start || end > f->vma->end || !is_empty(f, start, end))
			continue;
		page = user_pages_alloc(m, __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN, *order);
		if (page)
			return page;
	}
	return fault_alloc(f);
}

struct page *fault_zero_run(struct fault *f,
			    bool (*is_empty)(struct fault *f, vaddr_t start, vaddr_t end),
			    unsigned int *order)
{
	struct phys *phys = &f->mm->machine->phys;
	struct page *block;

	*order = run_order(f);
	block = run_alloc(f, is_empty, order);
	if (!block)
		return NULL;
	f->start = f->addr & ~((PAGE_SIZE << *order) - 1);
	f->end = f->start + (PAGE_SIZE << *order);
	f->vma->fault_next = f->end;
	f->vma->fault_run = 1u << *order;
	if (!page_test(block, PG_hostzero))
		memset(page_address(phys, block), 0, PAGE_SIZE << *order);
	return block;
}

static enum fault_result no_entries(struct fault *f, struct page *block, unsigned int order)
{
	__free_pages(&f->mm->machine->phys, block, order);
	return FAULT_OOM;
}

enum fault_result fault_zero(struct fault *f)
{
	struct machine *m = f->mm->machine;
	struct page *block;
	unsigned int order;
	u64 i;

	if (anon_vma_prepare(f->vma) < 0)
		return FAULT_OOM;
	block = fault_zero_run(f, run_is_empty, &order);
	if (!block)
		return FAULT_OOM;
	if (!table_get(&f->mm->table, f->start)) /* one leaf covers an aligned run */
		return no_entries(f, block, order);
	split_page(&m->phys, block, order);
	for (i = 0; i < 1u << order; i++) {
		vaddr_t addr = f->start + i * PAGE_SIZE;
		pte_t *pte = table_find(&f->mm->table, addr);

		page_prepare(&block[i]);
		page_set(&block[i], PG_uptodate);
		rmap_new_anon(&block[i], f->vma, addr);
		fault_set(f, addr, pte, &block[i], fault_bits(f->vma, true));
		page_lru_add(m, &block[i]);
	}
	stat_inc(&m->phys.stat, QUIRE_FAULT_ZERO);
	return FAULT_DONE;
}
