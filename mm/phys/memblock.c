/*
 * memblock.c - the early allocator of memblock.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/buddy.h"
#include "phys/memblock.h"

static pfn_t range_end(const struct phys_range *range)
{
	return range->start + range->pages;
}

bool memblock_add(struct memblock *mb, pfn_t start, u64 pages, unsigned nid)
{
	struct memblock_type *memory = &mb->memory;

	if (memory->nr == MEMBLOCK_RANGES)
		return false;
	if (memory->nr && start < range_end(&memory->ranges[memory->nr - 1]))
		return false;
	memory->ranges[memory->nr++] = (struct phys_range){ start, pages, nid };
	return true;
}

/* Insert a range and merge it with the neighbours it touches. */
static bool reserve(struct memblock *mb, pfn_t start, u64 pages)
{
	struct memblock_type *taken = &mb->reserved;
	unsigned at = 0, i;

	while (at < taken->nr && taken->ranges[at].start < start)
		at++;
	if (at < taken->nr && start + pages == taken->ranges[at].start) {
		taken->ranges[at].start = start;
		taken->ranges[at].pages += pages;
	} else if (at > 0 && range_end(&taken->ranges[at - 1]) == start) {
		taken->ranges[at - 1].pages += pages;
	} else {
		if (taken->nr == MEMBLOCK_RANGES)
			return false;
		for (i = taken->nr++; i > at; i--)
			taken->ranges[i] = taken->ranges[i - 1];
		taken->ranges[at] = (struct phys_range){ start, pages, 0 };
	}
	return true;
}

/*
 * Highest start at or below end - pages such that [start, start + pages) is not reserved and not
 * below floor.
 */
static pfn_t find_top_down(const struct memblock *mb, pfn_t floor, pfn_t end, u64 pages, u64 align)
{
	unsigned i = mb->reserved.nr;
	pfn_t start;

	while (end >= floor + pages) {
		start = align_down(end - pages, align);
		if (start < floor)
			break;
		while (i > 0 && mb->reserved.ranges[i - 1].start >= start + pages)
			i--;
		if (i == 0 || range_end(&mb->reserved.ranges[i - 1]) <= start)
			return start;
		end = mb->reserved.ranges[i - 1].start;
	}
	return PFN_NONE;
}

/* Bounds of the contiguous RAM that range i is the top of; spans nodes if nid is ANY. */
static pfn_t contiguous_floor(const struct memblock *mb, unsigned i, unsigned nid)
{
	const struct phys_range *ranges = mb->memory.ranges;

	while (nid == MEMBLOCK_ANY_NODE && i > 0 && range_end(&ranges[i - 1]) == ranges[i].start)
		i--;
	return ranges[i].start;
}

pfn_t memblock_alloc(struct memblock *mb, u64 pages, u64 align, pfn_t limit, unsigned nid)
{
	const struct phys_range *ranges = mb->memory.ranges;
	unsigned i;
	pfn_t start;

	for (i = mb->memory.nr; i-- > 0;) {
		if (ranges[i].start >= limit || (nid != MEMBLOCK_ANY_NODE && ranges[i].nid != nid))
			continue;
		start = find_top_down(mb, contiguous_floor(mb, i, nid),
				      min_u64(limit, range_end(&ranges[i])), pages, align);
		if (start != PFN_NONE)
			return reserve(mb, start, pages) ? start : PFN_NONE;
	}
	return PFN_NONE;
}

void memblock_for_each_free(const struct memblock *mb, pfn_t start, pfn_t end,
			    void (*fn)(void *arg, pfn_t start, pfn_t end), void *arg)
{
	const struct phys_range *ranges = mb->memory.ranges, *taken = mb->reserved.ranges;
	unsigned i, j;

	for (i = 0; i < mb->memory.nr; i++) {
		pfn_t at = max_u64(start, ranges[i].start),
		      stop = min_u64(end, range_end(&ranges[i]));

		for (j = 0; j < mb->reserved.nr && at < stop; j++) {
			if (range_end(&taken[j]) <= at)
				continue;
			if (taken[j].start >= stop)
				break;
			if (taken[j].start > at)
				fn(arg, at, taken[j].start);
			at = range_end(&taken[j]);
		}
		if (at < stop)
			fn(arg, at, stop);
	}
}

u64 memblock_present(const struct memblock *mb, pfn_t start, pfn_t end, unsigned nid)
{
	u64 pages = 0;
	unsigned i;

	for (i = 0; i < mb->memory.nr; i++) {
		const struct phys_range *range = &mb->memory.ranges[i];
		pfn_t from = max_u64(start, range->start), to = min_u64(end, range_end(range));

		if ((nid == MEMBLOCK_ANY_NODE || nid == range->nid) && from < to)
			pages += to - from;
	}
	return pages;
}
