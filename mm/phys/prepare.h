/*
 * prepare.h - the struct page of a frame that leaves the allocator; for the files of phys/ only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_PREPARE_H
#define QUIRE_PHYS_PREPARE_H

#include "phys/pcp.h"
#include "phys/phys.h"

static inline u64 section_bits(const struct phys *phys, pfn_t pfn)
{
	return unlikely(phys->model == MEMORY_SPARSE) ? pfn / SECTION_PAGES << PAGE_SECTION_SHIFT
						      : 0;
}

/* Write the struct page of a frame that leaves the allocator. */
static inline struct page *prepare_page(const struct zone *zone, pfn_t pfn, u64 flags)
{
	struct page *page = pfn_to_page(zone->phys, pfn);

	page->flags = zone->page_links | section_bits(zone->phys, pfn) | flags;
	page->mapping = NULL;
	page->private = 0;
	__atomic_store_n(&page->counts, PAGE_ONE_REFERENCE, __ATOMIC_RELAXED);
	page->owner_word = 0;
	return page;
}

/* The same for a block; from order 1 up it becomes a compound page. */
struct page *prepare_block(struct zone *zone, pfn_t pfn, unsigned order);

#endif
