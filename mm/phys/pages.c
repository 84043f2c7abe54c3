/*
 * pages.c - the page API built on alloc_pages(): by address, in bulk, of exact size; splitting.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/debug.h"
#include "phys/pcp.h"
#include "phys/prepare.h"

void *__get_free_pages(struct phys *phys, gfp_t gfp, unsigned order)
{
	struct page *page = alloc_pages(phys, gfp & ~__GFP_HIGHMEM, order);

	return page ? page_address(phys, page) : NULL;
}

void *__get_free_page(struct phys *phys, gfp_t gfp)
{
	return __get_free_pages(phys, gfp, 0);
}
void *get_zeroed_page(struct phys *phys, gfp_t gfp)
{
	return __get_free_pages(phys, gfp | __GFP_ZERO, 0);
}

void free_pages(struct phys *phys, void *addr, unsigned order)
{
	if (addr)
		__free_pages(phys, virt_to_page(phys, addr), order);
}

void free_page(struct phys *phys, void *addr)
{
	free_pages(phys, addr, 0);
}

u64 alloc_pages_bulk(struct phys *phys, gfp_t gfp, u64 nr, struct page **pages)
{
	u64 done;

	gfp &= ~__GFP_DIRECT_RECLAIM;
	for (done = 0; done < nr; done++) {
		pages[done] = alloc_pages(phys, gfp | __GFP_NOWARN, 0);
		if (!pages[done])
			break;
	}
	return done;
}

void *alloc_pages_exact(struct phys *phys, u64 size, gfp_t gfp)
{
	u64 nr = align_up(size, PAGE_SIZE) >> PAGE_SHIFT, i;
	unsigned order = nr ? log2_ceil(nr) : 0;
	struct page *page;

	require(!(gfp & __GFP_COMP));
	if (order > MAX_PAGE_ORDER)
		return NULL;
	page = alloc_pages(phys, gfp & ~__GFP_HIGHMEM, order);
	if (!page)
		return NULL;
	split_page(phys, page, order);
	for (i = nr; i < (u64)1 << order; i++)
		__free_page(phys, pfn_to_page(phys, page_to_pfn(phys, page) + i));
	return page_address(phys, page);
}

void free_pages_exact(struct phys *phys, void *addr, u64 size)
{
	u64 i;

	for (i = 0; addr && i < size; i += PAGE_SIZE)
		free_page(phys, (u8 *)addr + i);
}

void split_page(struct phys *phys, struct page *page, unsigned order)
{
	struct zone *zone = page_zone(phys, page);
	pfn_t pfn = page_to_pfn(phys, page), i;

	require(!page_test(page, PG_head) && !page_test(page, PG_tail));
	require(page->refcount == 1);
	for (i = 1; i < (pfn_t)1 << order; i++)
		(void)prepare_page(zone, pfn + i, page->flags & PAGE_FLAG(PG_hostzero));
	if (unlikely(phys->debug))
		debug_page_split(phys, page, order);
}

void split_compound(struct phys *phys, struct page *head)
{
	unsigned order = compound_order(head);

	require(head->refcount == 1 && page_test(head, PG_head));
	page_clear(head, PG_head);
	head->compound_order = 0;
	split_page(phys, head, order);
}

bool pfn_is_free(const struct phys *phys, pfn_t pfn)
{
	return pfn < phys->max_pages && phys->free_bits[pfn / 64] >> pfn % 64 & 1 &&
	       phys->blocks[pfn >> PAGEBLOCK_ORDER].nr_free;
}
