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

/* True if an aligned run of 2^order pages around the fault lies in the area and is empty. */
static bool run_is_empty(struct fault *f, unsigned int order)
{
	vaddr_t addr = f->addr & ~((PAGE_SIZE << order) - 1);
	vaddr_t end = addr + (PAGE_SIZE << order);

	if (addr < f->vma->start || end > f->vma->end)
		return false;
	return !table_next(&f->mm->table, &addr, end);
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
		run = min_u64((u64)f->vma->fault_run * 2, PAGEBLOCK_PAGES);
	run = max_u64(1, min_u64(max_u64(run, 1), most));
	return log2_floor(run);
}

/* A block for the run, found without any pressure; order 0 may reclaim. */
static struct page *run_alloc(struct fault *f, unsigned int *order)
{
	struct machine *m = f->mm->machine;
	struct page *page;

	for (; *order > 0; (*order)--) {
		if (!run_is_empty(f, *order))
			continue;
		page = user_pages_alloc(m, __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN, *order);
		if (page)
			return page;
	}
	return user_pages_alloc(m, GFP_HIGHUSER_MOVABLE, 0);
}

static enum fault_result no_entries(struct fault *f, struct page *block, unsigned int order)
{
	__free_pages(&f->mm->machine->phys, block, order);
	return FAULT_OOM;
}

enum fault_result fault_zero(struct fault *f)
{
	struct machine *m = f->mm->machine;
	unsigned int order = run_order(f);
	struct page *block;
	u64 i;

	if (anon_vma_prepare(f->vma) < 0)
		return FAULT_OOM;
	block = run_alloc(f, &order);
	if (!block)
		return FAULT_OOM;
	f->start = f->addr & ~((PAGE_SIZE << order) - 1);
	f->end = f->start + (PAGE_SIZE << order);
	if (!page_test(block, PG_hostzero))
		memset(page_address(&m->phys, block), 0, PAGE_SIZE << order);
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
	f->vma->fault_next = f->end;
	f->vma->fault_run = 1u << order;
	stat_inc(&m->phys.stat, QUIRE_FAULT_ZERO);
	return FAULT_DONE;
}
