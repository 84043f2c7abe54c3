/*
 * gather.h - collects translations to forget, so that the back end is asked once for many.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_SPACE_GATHER_H
#define QUIRE_SPACE_GATHER_H

#include "table/mmu.h"

struct machine;

#define GATHER_MAX 64

/* Linux: struct mmu_gather. On the caller's stack; must be flushed before a frame is reused. */
struct gather {
	struct machine *machine;
	unsigned int nr;
	struct mmu_range range[GATHER_MAX];
};

static inline void gather_init(struct gather *g, struct machine *m)
{
	g->machine = m;
	g->nr = 0;
}

/* Adds one page; joins it to a range that it continues. */
void gather_add(struct gather *g, struct mm *mm, vaddr_t addr);
/* Nothing gathered translates any more when this returns. */
void gather_flush(struct gather *g);

#endif
