/*
 * swapin.c - the entry names a swap slot: bring the page back, with those that lie around it.
 *
 * How     A page in the swap cache is mapped at once, a minor fault. Otherwise a window of entries
 *         around the fault is read: its size follows how many of the last window's pages were
 *         used, from 1 to 2^page-cluster, and its direction follows the faults. It lies in
 *         contiguous frames where there are, which the back end can translate as one piece. Pages
 *         read ahead stay in the cache, marked; the first one used brings its cached neighbours
 *         with it. In an area where all of them were used several times in a row, they are mapped
 *         at once, but for a window in eight, which shows whether that still holds.
 *         A page read for reading keeps its slot, and is mapped read-only, until it is written to;
 *         in an area where that soon happens to most pages, it is made writable at once: the
 *         fault that is saved costs more than a page written in vain. Linux maps it writable and
 *         looks at the dirty bit, which is the host's here.
 * Why     Linux: do_swap_page(), swap_vma_readahead(), __swapin_nr_pages().
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
#include "store/state.h"

#define SWAP_WRITTEN_LIKELY 4u
#define SWAP_PROBE	    32u /* one in so many is mapped read-only all the same */
#define SWAP_SURE	    4u
#define SWAP_SURE_PROBE	    8u /* one window in so many is not mapped at once all the same */

/* The number of pages to read. Linux: __swapin_nr_pages(). */
static unsigned int window_pages(struct fault *f, unsigned int most)
{
	struct swap_ra *ra = &f->vma->swap_ra;
	unsigned int pages = ra->hits + 2, last = ra->win / 2;

	if (most <= 1)
		return 1;
	if (pages == 2) {
		/* No hits: go on only if this fault is next to the last one. */
		if (f->addr != ra->addr + PAGE_SIZE && f->addr + PAGE_SIZE != ra->addr)
			pages = 1;
	} else {
		unsigned int pow = 4;

		while (pow < pages)
			pow <<= 1;
		pages = pow;
	}
	pages = (unsigned int)min_u64(pages, most);
	return (unsigned int)max_u64(pages, last);
}

/* Where the window lies: ahead of the faults' direction, within area and leaf. */
static void place_window(struct fault *f, unsigned int pages, vaddr_t *low, vaddr_t *high)
{
	struct swap_ra *ra = &f->vma->swap_ra;
	vaddr_t leaf = f->addr & ~(PAGE_SIZE * TABLE_ENTRIES - 1);
	u64 before = f->addr == ra->addr + PAGE_SIZE   ? 0
		     : f->addr + PAGE_SIZE == ra->addr ? pages - 1
						       : (pages - 1) / 2;
	vaddr_t first = f->addr - min_u64(before << PAGE_SHIFT, f->addr - leaf);

	*low = max_u64(max_u64(first, leaf), f->vma->start);
	*high = min_u64(min_u64(first + ((u64)pages << PAGE_SHIFT),
				leaf + PAGE_SIZE * TABLE_ENTRIES),
			f->vma->end);
}

/* Did the page belong to the working set when it was evicted? Linux: workingset_refault(). */
static void note_refault(struct machine *m, struct page *page, void *shadow)
{
	struct lruvec *lru = page_lruvec(&m->phys, page);
	u64 distance, set;

	if (!shadow)
		return;
	distance = lru->nonresident_age - (radix_shadow_stamp(shadow) >> 1);
	set = lru->nr[LRU_ACTIVE_FILE] + lru->nr[LRU_INACTIVE_FILE] + lru->nr[LRU_ACTIVE_ANON];
	stat_inc(&m->phys.stat, WORKINGSET_REFAULT_ANON);
	if (distance > set)
		return;
	page_set(page, PG_active);
	lru->nonresident_age++;
	stat_inc(&m->phys.stat, WORKINGSET_ACTIVATE_ANON);
	if (radix_shadow_stamp(shadow) & 1) {
		page_set(page, PG_workingset);
		stat_inc(&m->phys.stat, WORKINGSET_RESTORE_ANON);
	}
}

/* What one fault reads: pages of the window that are neither present nor cached. */
struct window {
	struct fault *f;
	unsigned int nr;
	struct {
		vaddr_t addr;
		u64 slot;
	} absent[SWAP_BATCH];
	struct page *wanted; /* of them, the fault's */
};

static void find_absent(struct window *w, vaddr_t addr, vaddr_t high)
{
	struct fault *f = w->f;
	pte_t *pte;

	for (; (pte = table_next(&f->mm->table, &addr, high)); addr += PAGE_SIZE)
		if (pte_is_swap(*pte) && !swap_cache_find(&f->mm->machine->swap, pte_slot(*pte))) {
			w->absent[w->nr].addr = addr;
			w->absent[w->nr++].slot = pte_slot(*pte);
		}
}

/* Puts a page into the cache for the i-th of them, not read yet; false without memory. */
static bool cache_page(struct window *w, unsigned int i, struct page *page)
{
	struct machine *m = w->f->mm->machine;
	void *shadow;

	if (!page)
		return false;
	page_prepare(page);
	if (swap_cache_insert(&m->swap, w->absent[i].slot, page, &shadow) < 0) {
		store_page_put(m, page);
		return false;
	}
	rmap_new_anon(page, w->f->vma, w->absent[i].addr);
	note_refault(m, page, shadow);
	if (w->absent[i].addr == w->f->addr) {
		w->wanted = page;
	} else {
		page_set(page, PG_readahead);
		stat_inc(&m->phys.stat, SWAP_RA);
	}
	return true;
}

/* Pages for all of them, from one block if one is free; those that got one are in `batch`. */
static unsigned int cache_window(struct window *w, struct page **batch)
{
	struct machine *m = w->f->mm->machine;
	gfp_t easy = __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN;
	unsigned int order = log2_ceil(w->nr), i, nr = 0;
	struct page *block = order ? user_pages_alloc(m, easy, order) : NULL, *page;

	if (block)
		split_page(&m->phys, block, order);
	for (i = 0; block && i < 1u << order; i++) {
		if (i >= w->nr)
			__free_pages(&m->phys, block + i, 0);
		else if (cache_page(w, i, block + i))
			batch[nr++] = block + i;
	}
	for (i = 0; !block && i < w->nr; i++) {
		bool hard = w->absent[i].addr == w->f->addr;

		page = hard ? fault_alloc(w->f) : user_pages_alloc(m, easy, 0);
		if (cache_page(w, i, page))
			batch[nr++] = page;
	}
	return nr;
}

/* Were the pages of the last window that stayed in the cache all used? */
static void judge_window(struct swap_ra *ra, unsigned int pages, unsigned int ahead)
{
	if (ra->ahead && ra->hits < ra->ahead)
		ra->sure -= min_u64(ra->sure, SWAP_SURE);
	else if (ra->ahead && ra->sure < SWAP_SURE_MAX)
		ra->sure++;
	ra->win = pages;
	ra->hits = 0;
	ra->ahead = (u8)ahead;
}

/* Reads the window; the wanted page, or NULL without memory. */
static struct page *read_window(struct fault *f)
{
	struct machine *m = f->mm->machine;
	struct page *batch[SWAP_BATCH];
	struct window w = { .f = f };
	unsigned int pages, nr, i;
	vaddr_t low, high;

	pages = window_pages(f, (unsigned int)min_u64(1u << m->knobs.page_cluster, SWAP_BATCH));
	place_window(f, pages, &low, &high);
	find_absent(&w, low, high);
	nr = cache_window(&w, batch);
	judge_window(&f->vma->swap_ra, pages, nr - (w.wanted ? 1 : 0));
	if (nr && swap_read(&m->swap, batch, nr))
		f->major = true;
	for (i = 0; i < nr; i++) {
		page_lru_add(m, batch[i]);
		if (batch[i] != w.wanted)
			page_put(m, batch[i]); /* the cache keeps it */
	}
	return w.wanted;
}

/* Is it likely enough that all pages of a window are used, to map them with the first? */
static bool expect_all(struct vma *vma)
{
	struct swap_ra *ra = &vma->swap_ra;

	if (!ra->ahead || ra->sure < SWAP_SURE || ra->window++ % SWAP_SURE_PROBE == 0)
		return false;
	ra->ahead = 0; /* tells nothing */
	return true;
}

/* Will the page be written before it is evicted again, going by the others of the area? */
static bool expect_write(struct vma *vma)
{
	struct swap_ra *ra = &vma->swap_ra;

	return (vma->flags & VM_WRITE) && ra->written >= SWAP_WRITTEN_LIKELY &&
	       ra->probe++ % SWAP_PROBE;
}

/* Maps a cached page at its entry; takes the caller's reference over. */
static void map_cached(struct fault *f, vaddr_t addr, pte_t *pte, struct page *page, bool write)
{
	struct swap *s = &f->mm->machine->swap;
	u64 slot = pte_slot(*pte);
	bool last = swap_count(s, slot) == 2 && page->mapcount == 0;

	swap_put(s, slot);
	mm_count(f->mm, MM_SWAPENTS, -1);
	if (last && (write || swap_full(s) || expect_write(f->vma))) {
		swap_cache_delete(s, page, NULL);
		page_set(page, PG_dirty);
		write = true;
	} else {
		write = false;
	}
	fault_set(f, addr, pte, page, fault_bits(f->vma, write));
}

/* Neighbours that were read ahead and are still in the cache. */
static struct page *cached_neighbour(struct fault *f, vaddr_t addr, pte_t **pte)
{
	struct page *page;

	*pte = table_find(&f->mm->table, addr);
	if (!*pte || !pte_is_swap(**pte))
		return NULL;
	page = swap_cache_find(&f->mm->machine->swap, pte_slot(**pte));
	return page && page_test(page, PG_uptodate) && page_test(page, PG_readahead) ? page : NULL;
}

static void use_readahead(struct fault *f, struct page *page)
{
	page_clear(page, PG_readahead);
	f->vma->swap_ra.hits++;
	stat_inc(&f->mm->machine->phys.stat, SWAP_RA_HIT);
}

/* The first hit in a window proves it right: the rest is mapped with it. */
static void map_neighbours(struct fault *f)
{
	bool write = f->access == ACCESS_WRITE;
	struct page *page;
	pte_t *pte;

	for (; f->end < f->vma->end && (page = cached_neighbour(f, f->end, &pte));
	     f->end += PAGE_SIZE) {
		use_readahead(f, page);
		page->refcount++;
		map_cached(f, f->end, pte, page, write);
	}
	for (; f->start > f->vma->start && (page = cached_neighbour(f, f->start - PAGE_SIZE, &pte));
	     f->start -= PAGE_SIZE) {
		use_readahead(f, page);
		page->refcount++;
		map_cached(f, f->start - PAGE_SIZE, pte, page, write);
	}
}

enum fault_result fault_swapin(struct fault *f)
{
	struct machine *m = f->mm->machine;
	u64 slot = pte_slot(*f->pte);
	struct page *page = swap_cache_find(&m->swap, slot);
	enum fault_result r = FAULT_DONE;
	bool ahead = false; /* neighbours that were read ahead are mapped with it */

	if (page) {
		page->refcount++;
		ahead = page_test(page, PG_readahead);
		if (ahead)
			use_readahead(f, page);
	} else {
		page = read_window(f);
		if (!page)
			return FAULT_OOM;
		ahead = expect_all(f->vma);
	}
	f->vma->swap_ra.addr = f->addr;
	if (!page_test(page, PG_uptodate)) {
		page_put(m, page);
		return FAULT_SIGBUS;
	}
	f->start = f->addr;
	f->end = f->addr + PAGE_SIZE;
	map_cached(f, f->addr, f->pte, page, f->access == ACCESS_WRITE);
	stat_inc(&m->phys.stat, QUIRE_FAULT_SWAPIN);
	if (f->access == ACCESS_WRITE && !(*f->pte & PTE_WRITE))
		r = fault_cow(f); /* a relative's too */
	/* Last: the copy's frame may have cost the neighbours theirs. */
	if (r == FAULT_DONE && ahead)
		map_neighbours(f);
	return r;
}
