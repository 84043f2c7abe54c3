/*
 * gather.c - batches of invalidations.
 *
 * Why     A back end pays for each request, little for each range. Linux: tlb_gather_mmu(),
 *         tlb_finish_mmu().
 *
 * SPDX-License-Identifier: MIT
 */
#include "space/gather.h"

#include "store/state.h"

/* Widens the range if it is of this space and the page continues it. */
static bool range_join(struct mmu_range *range, const struct mm *mm, vaddr_t addr)
{
	if (range->mm != mm)
		return false;
	if (range->end == addr)
		range->end += PAGE_SIZE;
	else if (range->start == addr + PAGE_SIZE)
		range->start = addr;
	else
		return false;
	return true;
}

void gather_add(struct gather *g, struct mm *mm, vaddr_t addr)
{
	unsigned int i;

	/* A page shared by several spaces adds to each in turn. */
	for (i = g->nr; i-- > 0;)
		if (range_join(&g->range[i], mm, addr))
			return;
	if (g->nr == GATHER_MAX)
		gather_flush(g);
	g->range[g->nr++] = (struct mmu_range){ mm, addr, addr + PAGE_SIZE };
}

void gather_flush(struct gather *g)
{
	if (g->nr)
		g->machine->mmu->invalidate(g->range, g->nr);
	g->nr = 0;
}
