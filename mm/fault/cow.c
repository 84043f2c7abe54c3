/*
 * cow.c - a write to a page that is mapped read-only: shared with a relative, or clean.
 *
 * How     A shared area writes in place. A private anonymous page that only this entry maps is
 *         reused, with its neighbours that are alone too, and gives its swap slot back. Any
 *         other page is copied, with its neighbours in an aligned block of eight while memory is
 *         plenty: a fault costs more than the copies. Where the back end cannot put another frame
 *         at this address (a child just forked), the others get the copy and this address keeps the
 *         frame.
 * Why     Linux: do_wp_page(), wp_page_reuse(), wp_page_copy().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "fault/fault.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

#define REUSE_AROUND 64
#define COPY_AROUND  8 /* pages copied at once */

/* Nobody but this entry (and perhaps a swap slot of no other user) holds the page. */
static bool alone(struct machine *m, struct page *page)
{
	if (!page_is_anon(page) || page->mapcount != 1)
		return false;
	if (page_test(page, PG_swapcache))
		return page->refcount == 2 && swap_count(&m->swap, page->private) == 1;
	return page->refcount == 1;
}

static void make_writable(struct fault *f, pte_t *pte, struct page *page)
{
	struct machine *m = f->mm->machine;

	if (page_test(page, PG_swapcache)) {
		swap_cache_delete(&m->swap, page, NULL);
		if (f->vma->swap_ra.written < SWAP_WRITTEN_MAX)
			f->vma->swap_ra.written++;
	}
	page_set(page, PG_dirty);
	*pte |= fault_bits(f->vma, true);
}

/* The neighbour's page if it may become writable with this one. */
static struct page *reusable(struct fault *f, vaddr_t addr, pte_t **pte)
{
	struct page *page;

	*pte = table_find(&f->mm->table, addr);
	if (!*pte || !pte_young(**pte) || (**pte & PTE_WRITE))
		return NULL;
	page = pfn_to_page(&f->mm->machine->phys, pte_pfn(**pte));
	return alone(f->mm->machine, page) && !page_test(page, PG_swapcache) ? page : NULL;
}

static enum fault_result reuse(struct fault *f, struct page *page)
{
	vaddr_t low = max_u64(f->vma->start, f->addr & ~(REUSE_AROUND * PAGE_SIZE - 1));
	vaddr_t high = min_u64(f->vma->end, low + REUSE_AROUND * PAGE_SIZE);
	pte_t *pte;

	make_writable(f, f->pte, page);
	f->start = f->addr;
	f->end = f->addr + PAGE_SIZE;
	for (; f->start > low && (page = reusable(f, f->start - PAGE_SIZE, &pte));
	     f->start -= PAGE_SIZE)
		make_writable(f, pte, page);
	for (; f->end < high && (page = reusable(f, f->end, &pte)); f->end += PAGE_SIZE)
		make_writable(f, pte, page);
	stat_inc(&f->mm->machine->phys.stat, PGREUSE);
	return FAULT_DONE;
}

/* Replaces the page of one entry by the copy. */
static void put_copy(struct machine *m, struct mm *mm, pte_t *pte, struct page *copy, u64 bits)
{
	struct page *old = pfn_to_page(&m->phys, pte_pfn(*pte));

	table_set(&mm->table, pte, pte_mk(page_to_pfn(&m->phys, copy), bits));
	mm_count(mm, mm_counter_of(old), -1);
	mm_count(mm, mm_counter_of(copy), 1);
	rmap_add(m, copy);
	rmap_remove(m, old);
	page_put(m, old);
}

/* Who else maps the page, and what they get instead. */
struct others {
	struct fault *f;
	struct page *copy;
};

static enum rmap_step move_other(void *ctx, const struct rmap_entry *e)
{
	struct others *o = ctx;
	struct mmu_range range = { e->vma->mm, e->addr, e->addr + PAGE_SIZE };
	u64 bits = *e->pte & (PTE_NX | PTE_DIRTY);

	if (e->pte == o->f->pte)
		return RMAP_NEXT;
	o->f->mm->machine->mmu->invalidate(&range, 1);
	put_copy(o->f->mm->machine, e->vma->mm, e->pte, o->copy, bits);
	return RMAP_NEXT;
}

/* The copy takes the page's place in its file; the page is private from now on. */
static void leave_cache(struct fault *f, struct page *page, struct page *copy)
{
	struct mapping *map = page->mapping;

	mapping_replace(map, page, copy);
	mm_count(f->mm, MM_FILEPAGES, -1);
	mm_count(f->mm, MM_ANONPAGES, 1);
	rmap_new_anon(page, f->vma, f->addr);
	page_lru_add(f->mm->machine, page);
}

/* The copy is the others'; this entry keeps the frame that the back end has there. */
static enum fault_result keep_frame(struct fault *f, struct page *page, struct page *copy)
{
	struct machine *m = f->mm->machine;
	struct others o = { f, copy };

	rmap_walk(m, page, move_other, &o);
	if (!page_is_anon(page))
		leave_cache(f, page, copy);
	else if (page_test(page, PG_swapcache) && swap_count(&m->swap, page->private) > 1)
		swap_cache_replace(&m->swap, page, copy); /* others still name its slot */
	if (alone(m, page))
		make_writable(f, f->pte, page);
	return alone(m, page) ? FAULT_DONE : FAULT_NO_ROOM;
}

/* A page that must be copied before it is written, and can be without any further effort. */
static struct page *copyable(struct fault *f, vaddr_t addr, pte_t **pte)
{
	struct machine *m = f->mm->machine;
	struct page *page;

	*pte = table_find(&f->mm->table, addr);
	if (!*pte || !pte_young(**pte) || (**pte & PTE_WRITE))
		return NULL;
	page = pfn_to_page(&m->phys, pte_pfn(**pte));
	if (alone(m, page) || page_test(page, PG_pinned) || page_test(page, PG_swapcache))
		return NULL;
	return page;
}

void fault_copy_block(const struct fault *f, vaddr_t *low, vaddr_t *high)
{
	u64 spare = max_u64(1, fault_spare_pages(f->mm->machine));
	u64 most = min_u64(COPY_AROUND, 1ull << log2_floor(spare));

	if (f->vma->flags & (VM_RAND_READ | VM_NOHUGEPAGE))
		most = 1;
	*low = f->addr & ~(most * PAGE_SIZE - 1);
	*high = min_u64(*low + most * PAGE_SIZE, f->vma->end);
	*low = max_u64(*low, f->vma->start);
}

/* The copyable pages around the fault, itself included, within an aligned block. */
static unsigned int copy_extent(struct fault *f)
{
	vaddr_t low, high;
	pte_t *pte;

	fault_copy_block(f, &low, &high);
	f->start = f->addr;
	f->end = f->addr + PAGE_SIZE;
	if (!copyable(f, f->addr, &pte))
		return 1;
	while (f->start > low && copyable(f, f->start - PAGE_SIZE, &pte))
		f->start -= PAGE_SIZE;
	while (f->end < high && copyable(f, f->end, &pte))
		f->end += PAGE_SIZE;
	return (unsigned int)((f->end - f->start) >> PAGE_SHIFT);
}

/* [f->start, f->end) gets copies, in contiguous frames that were had without any pressure. */
static bool copy_run(struct fault *f)
{
	struct machine *m = f->mm->machine;
	unsigned int nr = copy_extent(f), order = log2_ceil(nr), i;
	struct page *copy = NULL;

	if (nr > 1)
		copy = user_pages_alloc(m, __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN, order);
	if (!copy) {
		f->start = f->addr;
		f->end = f->addr + PAGE_SIZE;
		return false;
	}
	split_page(&m->phys, copy, order);
	for (i = 0; i < 1u << order; i++, copy++) {
		vaddr_t addr = f->start + i * PAGE_SIZE;
		struct page *page;
		pte_t *pte;

		if (i >= nr) {
			__free_pages(&m->phys, copy, 0);
			continue;
		}
		page = copyable(f, addr, &pte);
		page_prepare(copy);
		memcpy(page_address(&m->phys, copy), page_address(&m->phys, page), PAGE_SIZE);
		page_set(copy, PG_uptodate);
		rmap_new_anon(copy, f->vma, addr);
		put_copy(m, f->mm, pte, copy, fault_bits(f->vma, true));
		page_lru_add(m, copy);
		page_put(m, copy); /* the allocation's reference */
	}
	stat_inc(&m->phys.stat, QUIRE_FAULT_COW);
	return true;
}

/*
 * A page for the copy. The copy of a pinned page is pinned, because the host writes at this address
 * in both address spaces, and such pages keep out of zone Movable.
 */
static struct page *alloc_copy(struct fault *f, const struct page *page)
{
	struct page *copy;

	if (!page_test(page, PG_pinned))
		return fault_alloc(f);
	copy = user_pages_alloc(f->mm->machine, GFP_HIGHUSER, 0);
	if (copy) {
		page_prepare(copy);
		page_set(copy, PG_pinned);
	}
	return copy;
}

static enum fault_result copy_page(struct fault *f, struct page *page)
{
	struct machine *m = f->mm->machine;
	struct page *copy;
	enum fault_result r = FAULT_DONE;
	bool movable = m->mmu->can_replace(f->mm);
	int err;

	/* The entry still holds it: reclaim and migration leave a page with an extra user alone. */
	page->refcount++;
	err = anon_vma_prepare(f->vma);
	page->refcount--;
	if (err)
		return FAULT_OOM;
	if (movable && copy_run(f))
		return FAULT_DONE;
	page->refcount++;
	copy = alloc_copy(f, page);
	page->refcount--;
	if (!copy)
		return FAULT_OOM;
	memcpy(page_address(&m->phys, copy), page_address(&m->phys, page), PAGE_SIZE);
	page_set(copy, PG_uptodate);
	if (movable || page_is_anon(page))
		rmap_new_anon(copy, f->vma, f->addr);
	else
		copy->mapping = page->mapping; /* it stays in the cache, and the page leaves */
	if (movable)
		put_copy(m, f->mm, f->pte, copy, fault_bits(f->vma, true));
	else
		r = keep_frame(f, page, copy);
	page_lru_add(m, copy);
	page_put(m, copy); /* the allocation's reference */
	stat_inc(&m->phys.stat, QUIRE_FAULT_COW);
	return r;
}

enum fault_result fault_cow(struct fault *f)
{
	struct machine *m = f->mm->machine;
	struct page *page = pfn_to_page(&m->phys, pte_pfn(*f->pte));

	f->start = f->addr;
	f->end = f->addr + PAGE_SIZE;
	if (f->vma->flags & VM_SHARED) {
		*f->pte |= fault_bits(f->vma, true);
		page_set(page, PG_dirty);
		return FAULT_DONE;
	}
	if (alone(m, page))
		return reuse(f, page);
	return copy_page(f, page);
}
