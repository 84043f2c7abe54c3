/*
 * table.c - a radix tree from virtual page to entry, as the x86-64 hardware walks it.
 *
 * How     Four levels of 512 entries, each level one frame. An upper entry holds the pfn of the
 *         level below. The struct page of a level counts its used entries (private), so that an
 *         empty level is known without a scan.
 * Use     table_get() to map, table_find() to look, table_next() to iterate, table_set() to write.
 * Holds   T1  page->private of a level equals its entries that are not zero
 *         T2  nr_pages is the number of levels reachable from the root, the root included
 * Locks   The mm's.
 * Why     Real frames: page tables cost what they cost on Linux, and show up in the accounts.
 *         Linux: __pte_alloc(), free_pgtables().
 *
 * SPDX-License-Identifier: MIT
 */
#include "table/table.h"

#include "base/check.h"
#include "phys/alloc.h"
#include "phys/phys.h"

#define LEVELS 4

static unsigned int level_index(vaddr_t addr, int level)
{
	return (addr >> (PAGE_SHIFT + 9 * level)) & (TABLE_ENTRIES - 1);
}

static u64 *level_alloc(struct table *t)
{
	struct page *page = alloc_pages(t->phys, GFP_KERNEL | __GFP_ZERO, 0);

	if (!page)
		return NULL;
	page->flags |= 1ul << PG_table;
	page->private = 0;
	t->nr_pages++;
	stat_inc(&t->phys->stat, NR_PAGETABLE);
	return page_address(t->phys, page);
}

static void level_free(struct table *t, u64 *level)
{
	struct page *page = virt_to_page(t->phys, level);

	page->flags &= ~(1ul << PG_table);
	t->nr_pages--;
	stat_dec(&t->phys->stat, NR_PAGETABLE);
	__free_pages(t->phys, page, 0);
}

static u64 *level_below(struct table *t, u64 entry)
{
	return page_address(t->phys, pfn_to_page(t->phys, pte_pfn(entry)));
}

void table_init(struct table *t, struct phys *phys)
{
	t->phys = phys;
	t->root = NULL;
	t->nr_pages = 0;
}

static void fini_level(struct table *t, u64 *level, int depth)
{
	int i;

	for (i = 0; depth > 0 && i < TABLE_ENTRIES; i++)
		if (level[i])
			fini_level(t, level_below(t, level[i]), depth - 1);
	level_free(t, level);
}

void table_fini(struct table *t)
{
	if (t->root)
		fini_level(t, t->root, LEVELS - 1);
	t->root = NULL;
	invariant(T2, t->nr_pages == 0);
}

pte_t *table_find(struct table *t, vaddr_t addr)
{
	u64 *level = t->root;
	int depth;

	for (depth = LEVELS - 1; level && depth > 0; depth--) {
		u64 entry = level[level_index(addr, depth)];

		level = entry ? level_below(t, entry) : NULL;
	}
	return level ? &level[level_index(addr, 0)] : NULL;
}

pte_t *table_get(struct table *t, vaddr_t addr)
{
	u64 *level;
	int depth;

	if (!t->root)
		t->root = level_alloc(t);
	level = t->root;
	for (depth = LEVELS - 1; level && depth > 0; depth--) {
		u64 *slot = &level[level_index(addr, depth)];

		if (!*slot) {
			u64 *below = level_alloc(t);

			if (!below)
				return NULL;
			table_set(t, slot,
				  pte_mk(page_to_pfn(t->phys, virt_to_page(t->phys, below)),
					 PTE_WRITE | PTE_ACCESSED));
		}
		level = level_below(t, *slot);
	}
	return level ? &level[level_index(addr, 0)] : NULL;
}

static pte_t *next_in(struct table *t, u64 *level, int depth, vaddr_t *addr, vaddr_t end)
{
	u64 span = 1ull << (PAGE_SHIFT + 9 * depth);
	unsigned int i;

	for (i = level_index(*addr, depth); i < TABLE_ENTRIES && *addr < end; i++) {
		if (level[i] && depth == 0)
			return &level[i];
		if (level[i]) {
			pte_t *pte = next_in(t, level_below(t, level[i]), depth - 1, addr, end);

			if (pte || *addr >= end)
				return pte;
			continue; /* the level below moved *addr to the start of its successor */
		}
		*addr = (*addr & ~(span - 1)) + span;
	}
	return NULL;
}

pte_t *table_next(struct table *t, vaddr_t *addr, vaddr_t end)
{
	return t->root && *addr < end ? next_in(t, t->root, LEVELS - 1, addr, end) : NULL;
}

void table_set(struct table *t, pte_t *pte, pte_t value)
{
	struct page *page = virt_to_page(t->phys, pte);

	page->private += (value != 0) - (*pte != 0);
	*pte = value;
}

/* True where the level became empty and was given back. */
static bool trim_level(struct table *t, u64 *level, int depth, vaddr_t start, vaddr_t end)
{
	u64 span = 1ull << (PAGE_SHIFT + 9 * depth);

	while (depth > 0 && start < end) {
		u64 *slot = &level[level_index(start, depth)];
		vaddr_t next = (start & ~(span - 1)) + span;

		if (*slot &&
		    trim_level(t, level_below(t, *slot), depth - 1, start, min_u64(next, end)))
			table_set(t, slot, 0);
		start = next;
	}
	if (virt_to_page(t->phys, level)->private)
		return false;
	level_free(t, level);
	return true;
}

void table_trim(struct table *t, vaddr_t start, vaddr_t end)
{
	if (t->root && start < end && trim_level(t, t->root, LEVELS - 1, start, end))
		t->root = NULL;
}
