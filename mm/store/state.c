/*
 * state.c - a page's way into the caches and out of the machine.
 *
 * Use     page_prepare() after allocation, page_lru_add() once it is mapped or cached,
 *         store_page_put() for each reference.
 * Locks   The machine's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/state.h"

#include "base/check.h"

void page_prepare(struct page *page)
{
	page->mapping = NULL;
	page->index = 0;
	page->private = 0;
	list_init(&page->lru);
}

void page_lru_add(struct machine *m, struct page *page)
{
	if (!page_test(page, PG_lru))
		lru_add(page_lruvec(&m->phys, page), page);
}

void store_page_put(struct machine *m, struct page *page)
{
	require(page->refcount > 0);
	if (page->refcount > 1) {
		page->refcount--;
		return;
	}
	invariant(C1, page->mapcount == 0 && !page->mapping);
	if (page_test(page, PG_lru))
		lru_del(page_lruvec(&m->phys, page), page);
	page->flags &= PAGE_LINK_MASK;
	__free_pages(&m->phys, page, 0);
}
