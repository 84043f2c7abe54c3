/*
 * shmem.c - a page of shared anonymous memory appears, or comes back from swap.
 *
 * How     Memory that was never used comes in aligned runs of zero pages in one block of frames, as
 *         private memory does (zero.c): each process that maps it needs one translation for the
 *         run. A page that comes back brings its neighbours in the mapping that lie next to it in
 *         swap too: they left together. Shared memory keeps no slot for a page that is in.
 * Why     Linux: shmem_get_folio_gfp(), shmem_swapin_cluster().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "fault/fault.h"
#include "space/mm.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

/* Puts a page with its contents into the mapping; takes the reference over. */
static bool insert(struct fault *f, u64 index, struct page *page)
{
	struct machine *m = f->mm->machine;
	bool done;
	void *slot;

	page->flags |= PAGE_FLAG(PG_uptodate) | PAGE_FLAG(PG_dirty);
	done = mapping_insert(f->vma->mapping, index, page, &slot) == 0;
	if (done && slot)
		swap_put(&m->swap, radix_shadow_stamp(slot));
	if (done)
		page_lru_add(m, page);
	page_put(m, page);
	return done;
}

static bool run_is_empty(struct fault *f, vaddr_t start, vaddr_t end)
{
	struct mapping *map = f->vma->mapping;
	u64 index = vma_index(f->vma, start), last = vma_index(f->vma, end - PAGE_SIZE);

	return last < mapping_pages(map) && (!radix_next(&map->pages, &index) || index > last);
}

static enum fault_result bring_zero(struct fault *f, u64 index)
{
	struct machine *m = f->mm->machine;
	struct page *block;
	unsigned int order;
	u64 first, i;

	block = fault_zero_run(f, run_is_empty, &order);
	if (!block)
		return FAULT_OOM;
	first = vma_index(f->vma, f->start);
	split_page(&m->phys, block, order);
	for (i = 0; i < 1u << order; i++)
		page_prepare(&block[i]);
	for (i = 0; i < 1u << order; i++)
		(void)insert(f, first + i, &block[i]);
	return mapping_find(f->vma->mapping, index) ? FAULT_NEXT : FAULT_OOM;
}

/* The slot of a page of the mapping that is in swap, or 0. */
static u64 slot_of(struct mapping *map, u64 index)
{
	void *value = radix_get(&map->pages, index);

	return value && radix_is_shadow(value) ? radix_shadow_stamp(value) : 0;
}

/* The indices around `index`, in an aligned block, whose slots follow one another: its length. */
static unsigned int swapped_run(struct fault *f, u64 index, u64 *first)
{
	struct machine *m = f->mm->machine;
	struct mapping *map = f->vma->mapping;
	u64 most = min_u64(1ull << m->knobs.page_cluster, SWAP_BATCH);
	u64 low = index & ~(most - 1), end = index + 1;

	*first = index;
	if (f->vma->flags & VM_RAND_READ)
		return 1;
	while (*first > low && slot_of(map, *first - 1) + 1 == slot_of(map, *first) &&
	       slot_of(map, *first - 1))
		(*first)--;
	while (end < low + most && slot_of(map, end) == slot_of(map, end - 1) + 1)
		end++;
	return (unsigned int)(end - *first);
}

/* Pages for all of [first, first + nr), of which `wanted` is one; false: it alone has one. */
static bool alloc_run(struct fault *f, u64 wanted, u64 first, unsigned int nr, struct page **page)
{
	struct machine *m = f->mm->machine;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (first + i == wanted)
			continue;
		page[i] = user_pages_alloc(m, __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN, 0);
		if (!page[i])
			break;
		page_prepare(page[i]);
	}
	if (i == nr)
		return true;
	while (i-- > 0)
		if (first + i != wanted)
			page_put(m, page[i]);
	return false;
}

static enum fault_result bring_back(struct fault *f, u64 index)
{
	struct machine *m = f->mm->machine;
	struct page *wanted = fault_alloc(f), *page[SWAP_BATCH];
	enum fault_result r = FAULT_OOM;
	unsigned int nr, i;
	u64 first;

	if (!wanted)
		return FAULT_OOM;
	nr = swapped_run(f, index, &first);
	if (!alloc_run(f, index, first, nr, page)) {
		first = index;
		nr = 1;
	}
	page[index - first] = wanted;
	for (i = 0; i < nr; i++)
		page[i]->private = slot_of(f->vma->mapping, first + i);
	swap_read(&m->swap, page, nr);
	f->major = true;
	for (i = 0; i < nr; i++) {
		bool read = page_test(page[i], PG_uptodate), done = false;

		page[i]->private = 0;
		if (read)
			done = insert(f, first + i, page[i]);
		else
			page_put(m, page[i]);
		if (first + i == index)
			r = done ? FAULT_NEXT : read ? FAULT_OOM : FAULT_SIGBUS;
	}
	return r;
}

enum fault_result fault_shmem(struct fault *f, u64 index)
{
	return slot_of(f->vma->mapping, index) ? bring_back(f, index) : bring_zero(f, index);
}
