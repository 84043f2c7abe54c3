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

void gather_add(struct gather *g, struct mm *mm, vaddr_t addr)
{
	struct mmu_range *last = g->nr ? &g->range[g->nr - 1] : NULL;

	if (last && last->mm == mm && last->end == addr) {
		last->end += PAGE_SIZE;
		return;
	}
	if (last && last->mm == mm && last->start == addr + PAGE_SIZE) {
		last->start = addr;
		return;
	}
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
