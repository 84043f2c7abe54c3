/*
 * unmap.c - empties table entries and lets go of what they named.
 *
 * How     First the back end forgets the whole range at once, then entries are cleared and
 *         references dropped: a frame is never free while something still translates to it.
 * Use     unmap_pages() for munmap, exit, MADV_DONTNEED; page_put() wherever a reference ends.
 * Locks   The machine's.
 * Why     Linux: zap_page_range(), free_swap_and_cache(), put_page().
 *
 * SPDX-License-Identifier: MIT
 */
#include "space/unmap.h"

#include "base/check.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

void page_put(struct machine *m, struct page *page)
{
	/* Only the cache holds it: nobody will ask for this slot by a page again. */
	if (page->refcount == 2 && page_test(page, PG_swapcache) && page->mapcount == 0 &&
	    swap_count(&m->swap, page->private) == 1)
		swap_cache_delete(&m->swap, page, NULL);
	if (page->refcount == 1 && page_is_anon(page))
		rmap_page_free(m, page);
	store_page_put(m, page);
}

/* Lets the back end forget what it holds of the range. */
static void forget(struct mm *mm, vaddr_t start, vaddr_t end)
{
	struct mmu_range range = { .mm = mm };
	vaddr_t addr = start;
	pte_t *pte;

	for (; (pte = table_next(&mm->table, &addr, end)); addr += PAGE_SIZE) {
		if (!pte_young(*pte))
			continue;
		if (!range.end)
			range.start = addr;
		range.end = addr + PAGE_SIZE;
	}
	if (range.end)
		mm->machine->mmu->invalidate(&range, 1);
}

static void drop_swap(struct mm *mm, u64 slot)
{
	struct swap *s = &mm->machine->swap;
	struct page *page = swap_cache_find(s, slot);

	mm_count(mm, MM_SWAPENTS, -1);
	if (page && swap_count(s, slot) == 2 && page->mapcount == 0 && page->refcount == 1) {
		/* The entry and the cache were the last users. */
		page->refcount++;
		swap_put(s, slot);
		swap_cache_delete(s, page, NULL);
		page_put(mm->machine, page);
		return;
	}
	swap_put(s, slot);
}

static void drop_page(struct mm *mm, pte_t entry)
{
	struct machine *m = mm->machine;
	struct page *page = pfn_to_page(&m->phys, pte_pfn(entry));

	mm_count(mm, mm_counter_of(page), -1);
	if (entry & PTE_DIRTY)
		page_set(page, PG_dirty);
	if (pte_young(entry) && !page_is_anon(page))
		page_mark_accessed(m, page);
	rmap_remove(m, page);
	page_put(m, page);
}

void unmap_pages(struct mm *mm, vaddr_t start, vaddr_t end)
{
	vaddr_t addr = start;
	pte_t *pte;

	forget(mm, start, end);
	for (; (pte = table_next(&mm->table, &addr, end)); addr += PAGE_SIZE) {
		pte_t entry = *pte;

		table_set(&mm->table, pte, 0);
		if (pte_present(entry))
			drop_page(mm, entry);
		else
			drop_swap(mm, pte_slot(entry));
	}
	table_trim(&mm->table, start, end);
}

void unmap_mapping(struct mapping *map, u64 first, u64 nr)
{
	struct vma *vma;

	list_for_each_entry(vma, &map->areas, struct vma, mapping_link) {
		u64 from = max_u64(first, vma->pgoff);
		u64 to = min_u64(nr > ~0ull - first ? ~0ull : first + nr,
				 vma->pgoff + vma_pages(vma));

		if (from < to)
			unmap_pages(vma->mm, vma->start + ((from - vma->pgoff) << PAGE_SHIFT),
				    vma->start + ((to - vma->pgoff) << PAGE_SHIFT));
	}
}
