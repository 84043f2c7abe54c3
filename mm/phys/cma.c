/*
 * cma.c - the contiguous memory allocator: areas that movable pages borrow (contig.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/buddy.h"
#include "phys/contig.h"
#include "phys/framebits.h"

static void set_area_type(struct phys *phys, pfn_t start, u64 nr)
{
	struct zone *zone;
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		zone = pfn_zone(phys, pfn);
		lock_take(&zone->lock);
		buddy_set_type(zone, pfn >> PAGEBLOCK_ORDER, MIGRATE_CMA);
		zone->cma_pages += PAGEBLOCK_PAGES;
		lock_give(&zone->lock);
	}
}

int cma_create(struct cma *cma, struct phys *phys, const char *name, u64 nr, unsigned nid)
{
	if (!nr || !is_aligned(nr, PAGEBLOCK_PAGES) || nid >= phys->nr_nodes)
		return -PHYS_EINVAL;
	*cma = (struct cma){ .phys = phys, .nr_pages = nr, .name = name, .bits_bytes = nr / 8 };
	cma->bits = alloc_pages_exact(phys, cma->bits_bytes, GFP_KERNEL | __GFP_ZERO);
	if (!cma->bits)
		return -PHYS_ENOMEM;
	cma->start = alloc_contig_pages(phys, nr, PAGEBLOCK_PAGES, nid);
	if (cma->start == PFN_NONE) {
		free_pages_exact(phys, cma->bits, cma->bits_bytes);
		return -PHYS_ENOMEM;
	}
	set_area_type(phys, cma->start, nr);
	free_contig_range(phys, cma->start, nr);
	return 0;
}

static bool range_used(const struct cma *cma, u64 first, u64 nr)
{
	return framebits_count(cma->bits, first, nr) != 0;
}

static void mark(struct cma *cma, u64 first, u64 nr, bool used)
{
	u64 i;

	for (i = first; i < first + nr; i++) {
		if (used)
			cma->bits[i / 64] |= (u64)1 << i % 64;
		else
			cma->bits[i / 64] &= ~((u64)1 << i % 64);
	}
	cma->used_pages += used ? nr : 0 - nr;
}

struct page *cma_alloc(struct cma *cma, u64 nr, unsigned align_order)
{
	struct phys *phys = cma->phys;
	u64 step = (u64)1 << align_order, first;

	for (first = align_up(cma->start, step) - cma->start; nr && first + nr <= cma->nr_pages;
	     first += step) {
		if (range_used(cma, first, nr) ||
		    alloc_contig_range(phys, cma->start + first, cma->start + first + nr))
			continue;
		mark(cma, first, nr, true);
		stat_add_atomic(&phys->stat, CMA_ALLOC_SUCCESS, nr);
		return pfn_to_page(phys, cma->start + first);
	}
	stat_add_atomic(&phys->stat, CMA_ALLOC_FAIL, nr);
	return NULL;
}

bool cma_release(struct cma *cma, struct page *page, u64 nr)
{
	pfn_t pfn = page ? page_to_pfn(cma->phys, page) : PFN_NONE;

	if (pfn - cma->start >= cma->nr_pages || nr > cma->nr_pages - (pfn - cma->start) ||
	    framebits_count(cma->bits, pfn - cma->start, nr) != nr)
		return false;
	mark(cma, pfn - cma->start, nr, false);
	free_contig_range(cma->phys, pfn, nr);
	return true;
}
