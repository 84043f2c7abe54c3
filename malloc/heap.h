/*
 * heap.h - the one reservation of address space, its zones, and the fields malloc() reads.
 *
 * How     heap_setup() reserves all zones at once, with no access; a zone grows upwards by
 *         opening (mprotect) more of itself, as a break grows. Nothing lies between a block and
 *         its neighbours: what describes blocks is in zones of its own, out of reach of an
 *         overflow.
 *
 *         | units (slabs) | span pages | caches | tags | free bits | unit map | slab descriptors |
 *
 * Use     heap_setup() before anything else; zone_open() makes the first bytes of a zone usable.
 * Holds   H1  heap_unit_limit counts the units that are open; the map has an entry for each. It
 *             is 0 when free() may not take its fast path
 *         H2  heap_map[unit] is where the class's magazine lies, counted from the thread pointer;
 *             that of no class (cache.h, M3) if the unit is no slab
 *         H3  heap_magazine[bytes] is that place for a request; malloc() asks it for requests
 *             below heap_quick, which is 0 when it may not take its fast path
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_HEAP_H
#define QUIRE_MALLOC_HEAP_H

#include "layout.h"

#define QUICK_MAX 1024 /* the largest request that malloc() itself serves */

struct zone {
	char *base;
	size_t open_bytes; /* usable so far */
	size_t limit_bytes;
	size_t step_bytes; /* opened at least this much at a time */
	size_t seen_top; /* by the reaper ... */
	uint32_t seen_at; /* ... first at that tick */
	bool tail_gone; /* what lies above it was returned */
	bool holds_blocks; /* opened by M_TOP_PAD at least */
	bool by_break; /* opened by moving the break: QUIRE_MALLOC=brk=1 */
};

struct heap {
	int route; /* enum heap_route */
	bool ready;

	struct zone units, pages, slabs, maps, bits, tags, caches;
};

hidden extern struct heap heap;

/* Read by malloc() and free(), apart from the rest: each is an operand of one instruction. */
hidden extern uintptr_t heap_base; /* of unit 0 */
hidden extern size_t heap_unit_limit; /* H1 */
hidden extern int32_t *heap_map; /* H2 */
hidden extern size_t heap_quick; /* H3 */
hidden extern size_t heap_counted; /* H3 for requests that are counted for samples */
hidden extern int32_t heap_magazine[QUICK_MAX + 1];

must_use bool heap_setup(void); /* once; false: no memory at all */
must_use bool zone_open(struct zone *zone, size_t bytes);
void zone_purge_tail(struct zone *zone, size_t top_bytes, uint32_t older_than);

/* Which calls may take the fast paths; the others go through block.c each time. */
enum heap_route { ROUTE_FAST, ROUTE_FREE_FAST, ROUTE_SLOW };
void heap_route(enum heap_route route);
void heap_show_units(size_t count); /* publishes H1 */

static inline bool zone_has(const struct zone *zone, const void *p)
{
	return (uintptr_t)p - (uintptr_t)zone->base < zone->limit_bytes;
}

#endif
