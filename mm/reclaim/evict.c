/*
 * evict.c - the last look at inactive pages: keep, or unmap, write and free.
 *
 * How     isolated -> kept      referenced, pinned, locked, no swap slot       [decide]
 *         isolated -> unmapped  every entry names the slot (or nothing)        [unmap_all]
 *         unmapped -> written   if newer than the store, 32 in one transfer    [write_out]
 *         written  -> free      a shadow with the eviction's age stays behind  [free_one]
 *         The back end forgets the translations of the whole batch at once, before any write.
 * Holds   E1  a page is freed only with no entry, no translation and a clean store
 * Locks   The machine's.
 * Why     Linux: shrink_folio_list(), try_to_unmap(), __remove_mapping().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/errno.h"
#include "reclaim/reclaim.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

enum verdict { KEEP, ACTIVATE, EVICT, LOCK };

/* One batch of pages on their way out. */
struct batch {
	struct scan *scan;
	struct gather gather;
	struct page *page[SWAP_CLUSTER_MAX];
	unsigned int nr;
};

/* Linux: folio_check_references(). */
static enum verdict check_references(struct batch *b, struct page *page)
{
	u32 vm_flags;
	unsigned int young = page_referenced(b->scan->machine, page, &b->gather, &vm_flags);
	bool before = page_test_and_clear(page, PG_referenced);

	if (vm_flags & VM_LOCKED)
		return LOCK;
	if (!young)
		return EVICT;
	page_set(page, PG_referenced);
	if (before || young > 1)
		return ACTIVATE;
	if ((vm_flags & VM_EXEC) && !page_test(page, PG_swapbacked))
		return ACTIVATE;
	return KEEP;
}

static enum verdict decide(struct batch *b, struct page *page)
{
	struct machine *m = b->scan->machine;
	enum verdict v;

	if (page_test(page, PG_mlocked))
		return LOCK;
	/* One reference more is the isolation's. */
	if (page->refcount != 1 + page_explained_refs(page) || page_test(page, PG_pinned))
		return ACTIVATE;
	v = check_references(b, page);
	if (v != EVICT || !page_test(page, PG_swapbacked) || page_test(page, PG_swapcache))
		return v;
	return swap_add(&m->swap, page) < 0 ? ACTIVATE : EVICT;
}

struct unmap {
	struct machine *machine;
	struct gather *gather;
	struct page *page;
};

static enum rmap_step unmap_entry(void *ctx, const struct rmap_entry *e)
{
	struct unmap *u = ctx;
	struct machine *m = u->machine;
	struct mm *mm = e->vma->mm;
	pte_t entry = *e->pte;

	if (pte_young(entry))
		gather_add(u->gather, mm, e->addr);
	if (entry & PTE_DIRTY)
		page_set(u->page, PG_dirty);
	mm_count(mm, mm_counter_of(u->page), -1);
	if (page_is_anon(u->page)) {
		if (!page_test(u->page, PG_dirty) && e->vma->swap_ra.written)
			e->vma->swap_ra.written--; /* came back and was only read */
		swap_dup(&m->swap, u->page->private);
		mm_count(mm, MM_SWAPENTS, 1);
		table_set(&mm->table, e->pte, pte_swap(u->page->private));
	} else {
		table_set(&mm->table, e->pte, 0);
	}
	rmap_remove(m, u->page);
	u->page->refcount--;
	return RMAP_NEXT;
}

static void unmap_all(struct batch *b, struct page *page)
{
	struct unmap u = { b->scan->machine, &b->gather, page };

	rmap_walk(b->scan->machine, page, unmap_entry, &u);
}

static void put_back(struct machine *m, struct page *page)
{
	page_lru_add(m, page);
	page_put(m, page);
}

/* Writes what is dirty. On an error the pages stay dirty and are kept. */
static void write_out(struct batch *b)
{
	struct page *dirty[SWAP_CLUSTER_MAX];
	unsigned int i, nr = 0;

	for (i = 0; i < b->nr; i++)
		if (page_test(b->page[i], PG_dirty) && page_test(b->page[i], PG_swapcache))
			dirty[nr++] = b->page[i];
	if (nr)
		(void)swap_write(&b->scan->machine->swap, dirty, nr);
}

/* When, and whether the page had been in use for long. Linux: pack_shadow(). */
static void *eviction_shadow(struct machine *m, const struct page *page)
{
	u64 age = page_lruvec(&m->phys, page)->nonresident_age++;

	return radix_shadow(age << 1 | page_test(page, PG_workingset));
}

/* Shared memory keeps its slot in the object's tree. */
static void free_shmem(struct machine *m, struct page *page)
{
	u64 slot = page->private;

	swap_dup(&m->swap, slot);
	swap_cache_delete(&m->swap, page, NULL);
	mapping_delete(page, radix_shadow(slot));
}

static bool free_one(struct machine *m, struct page *page)
{
	invariant(E1, page->mapcount == 0);
	if (page_test(page, PG_dirty) && page_test(page, PG_swapbacked)) {
		if (!page_is_anon(page)) /* not written: back to being plain shared memory */
			swap_cache_delete(&m->swap, page, NULL);
		page_set(page, PG_active);
		put_back(m, page);
		return false;
	}
	if (page_is_anon(page))
		swap_cache_delete(&m->swap, page, eviction_shadow(m, page));
	else if (page_test(page, PG_swapbacked))
		free_shmem(m, page);
	else
		mapping_delete(page, eviction_shadow(m, page));
	page_put(m, page);
	return true;
}

static void keep(struct machine *m, struct page *page, enum verdict v)
{
	if (v == ACTIVATE) {
		page_set(page, PG_active);
		stat_inc(&m->phys.stat, PGACTIVATE);
	} else if (v == LOCK) {
		page_set(page, PG_unevictable);
		stat_inc(&m->phys.stat, UNEVICTABLE_PGCULLED);
	}
	put_back(m, page);
}

u64 evict_pages(struct scan *s, struct list_head *pages)
{
	struct batch b = { .scan = s };
	unsigned int i;
	u64 freed = 0;

	gather_init(&b.gather, s->machine);
	while (!list_empty(pages)) {
		struct page *page = list_last_entry(pages, struct page, lru);
		enum verdict v;

		list_del_init(&page->lru);
		v = decide(&b, page);
		if (v != EVICT) {
			keep(s->machine, page, v);
			continue;
		}
		unmap_all(&b, page);
		b.page[b.nr++] = page;
	}
	gather_flush(&b.gather);
	write_out(&b);
	for (i = 0; i < b.nr; i++)
		freed += free_one(s->machine, b.page[i]);
	return freed;
}
