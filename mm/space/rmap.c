/*
 * rmap.c - who maps this frame?
 *
 * How     A page cache page knows its mapping, and a mapping its areas; an anonymous page knows its
 *         anon_vma, which lists the areas of one lineage: an area, the ones split from it, and
 *         their copies in forked children. The page's index tells the address in each area; the
 *         entry there tells whether the page is (still) mapped.
 * Use     rmap_add() and rmap_remove() with each entry written, rmap_walk() to find them again.
 * Holds   P1  page->mapcount is the number of entries that map it
 *         P2  an anon_vma lives while areas or pages name it
 * Locks   The machine's.
 * Why     One anon_vma for a lineage instead of one for each generation: docs/decisions/001.
 *         Linux: mm/rmap.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "space/rmap.h"

#include "base/check.h"
#include "base/errno.h"
#include "kmem/slab.h"
#include "store/state.h"
#include "phys/phys.h"
#include "space/mm.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/mapping.h"

static struct anon_vma *page_anon_vma(const struct page *page)
{
	return (struct anon_vma *)((uintptr_t)page->mapping & ~(uintptr_t)1);
}

static void anon_vma_drop(struct machine *m, struct anon_vma *anon)
{
	if (anon->nr_areas == 0 && anon->nr_pages == 0)
		kmem_cache_free(m->anon_vma_cache, anon);
}

/* Do the two, of which `low` ends where `high` begins, differ in nothing that mprotect changes? */
static bool anon_compatible(const struct vma *low, const struct vma *high)
{
	return low->end == high->start && low->mapping == high->mapping &&
	       !((low->flags ^ high->flags) & ~(u32)VM_ACCESS) &&
	       vma_index(low, low->end) == high->pgoff;
}

/* The anon_vma of a neighbour, so that the two can merge one day. Linux: the next one first. */
static struct anon_vma *neighbour_anon(const struct vma *vma)
{
	const struct vma *prev = vma_prev(vma);
	const struct vma *next = vma_next(vma);

	if (next && next->anon_vma && anon_compatible(vma, next))
		return next->anon_vma;
	return prev && prev->anon_vma && anon_compatible(prev, vma) ? prev->anon_vma : NULL;
}

int anon_vma_prepare(struct vma *vma)
{
	struct machine *m = vma->mm->machine;
	struct anon_vma *anon;

	if (vma->anon_vma)
		return 0;
	anon = neighbour_anon(vma);
	if (!anon) {
		anon = kmem_cache_alloc(m->anon_vma_cache, GFP_KERNEL);
		if (!anon)
			return -ENOMEM;
		list_init(&anon->areas);
		anon->nr_areas = 0;
		anon->nr_pages = 0;
	}
	anon_vma_join(vma, anon);
	return 0;
}

void anon_vma_join(struct vma *vma, struct anon_vma *anon)
{
	require(!vma->anon_vma);
	vma->anon_vma = anon;
	list_add_tail(&vma->anon_link, &anon->areas);
	anon->nr_areas++;
}

void anon_vma_leave(struct vma *vma)
{
	struct anon_vma *anon = vma->anon_vma;

	if (!anon)
		return;
	list_del_init(&vma->anon_link);
	vma->anon_vma = NULL;
	anon->nr_areas--;
	anon_vma_drop(vma->mm->machine, anon);
}

void rmap_new_anon(struct page *page, struct vma *vma, vaddr_t addr)
{
	require(vma->anon_vma);
	page->mapping = (void *)((uintptr_t)vma->anon_vma | 1);
	page->index = vma_index(vma, addr);
	page_set(page, PG_swapbacked);
	vma->anon_vma->nr_pages++;
}

void rmap_page_free(struct machine *m, struct page *page)
{
	struct anon_vma *anon = page_anon_vma(page);

	invariant(P1, page->mapcount == 0);
	if (!page_is_anon(page))
		return;
	page->mapping = NULL;
	anon->nr_pages--;
	anon_vma_drop(m, anon);
}

void rmap_rehome_zeros(struct mm *mm, vaddr_t start, vaddr_t end, struct anon_vma *to, u64 index)
{
	struct machine *m = mm->machine;
	vaddr_t addr = start;
	pte_t *pte;

	for (; (pte = table_next(&mm->table, &addr, end)); addr += PAGE_SIZE) {
		struct page *page = NULL;

		if (pte_present(*pte))
			page = pfn_to_page(&m->phys, pte_pfn(*pte));
		else if (swap_count(&m->swap, pte_slot(*pte)) == 1)
			continue; /* in its slot alone: nothing names an anon_vma */
		if (page && !page_is_anon(page))
			continue;
		if (!page || page->refcount != 1) { /* a relative, or the swap cache, knows it */
			unmap_pages(mm, addr, addr + PAGE_SIZE);
			continue;
		}
		to->nr_pages++;
		page_anon_vma(page)->nr_pages--;
		anon_vma_drop(m, page_anon_vma(page));
		page->mapping = (void *)((uintptr_t)to | 1);
		page->index = index + ((addr - start) >> PAGE_SHIFT);
	}
}

void rmap_add(struct machine *m, struct page *page)
{
	page->refcount++;
	if (page->mapcount++ == 0)
		stat_inc(&m->phys.stat, page_is_anon(page) ? NR_ANON_MAPPED : NR_FILE_MAPPED);
}

void rmap_remove(struct machine *m, struct page *page)
{
	invariant(P1, page->mapcount > 0);
	if (--page->mapcount == 0)
		stat_dec(&m->phys.stat, page_is_anon(page) ? NR_ANON_MAPPED : NR_FILE_MAPPED);
}

/* The page's entry in this area, if it is mapped there. */
static bool entry_in(struct machine *m, struct page *page, struct vma *vma, struct rmap_entry *e)
{
	if (page->index < vma->pgoff || page->index - vma->pgoff >= vma_pages(vma))
		return false;
	e->vma = vma;
	e->addr = vma->start + ((page->index - vma->pgoff) << PAGE_SHIFT);
	e->pte = table_find(&vma->mm->table, e->addr);
	return e->pte && pte_present(*e->pte) && pte_pfn(*e->pte) == page_to_pfn(&m->phys, page);
}

void rmap_walk(struct machine *m, struct page *page,
	       enum rmap_step (*visit)(void *ctx, const struct rmap_entry *e), void *ctx)
{
	struct rmap_entry e;
	struct vma *vma;

	if (!page->mapping)
		return;
	if (page_is_anon(page)) {
		list_for_each_entry(vma, &page_anon_vma(page)->areas, struct vma, anon_link)
			if (entry_in(m, page, vma, &e) && visit(ctx, &e) == RMAP_STOP)
				return;
		return;
	}
	list_for_each_entry(vma, &((struct mapping *)page->mapping)->areas, struct vma,
			    mapping_link)
		if (entry_in(m, page, vma, &e) && visit(ctx, &e) == RMAP_STOP)
			return;
}

s32 page_explained_refs(const struct page *page)
{
	return page->mapcount + (page->mapping && !page_is_anon(page)) +
	       page_test(page, PG_swapcache);
}
