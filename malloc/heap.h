/*
 * heap.h - the one reservation of address space, its zones, and the fields malloc() reads.
 *
 * How     heap_setup() reserves all zones at once, with no access; a zone grows upwards by
 *         opening (mprotect) more of itself, as a break grows. Nothing lies between a block and
 *         its neighbours: what describes blocks is in zones of its own, out of reach of an
 *         overflow.
 *
 *         | units (slabs) | span pages | slab descriptors | unit map | free bits | tags | caches |
 *
 * Use     heap_setup() before anything else; zone_open() makes the first bytes of a zone usable.
 * Holds   H1  unit_limit counts the units that are open; the map has an entry for each. It is
 *             0 when free() may not take its fast path
 *         H2  map[unit] is the offset of the class's magazine in struct cache, or 0
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_HEAP_H
#define QUIRE_MALLOC_HEAP_H

#include "layout.h"

struct zone {
	char *base;
	size_t open_bytes;		/* usable so far */
	size_t limit_bytes;
	size_t step_bytes;		/* opened at least this much at a time */
};

struct heap {
	uintptr_t base;			/* of unit 0 */
	size_t unit_limit;
	uint16_t *map;
	uint64_t secret;		/* first word of every free block of a slab */
	uint16_t magazine[SMALL_MAX / ALIGN_MIN + 1];	/* (bytes + 15) / 16 -> offset */
	int route;			/* enum heap_route */
	bool ready;

	struct zone units, pages, slabs, maps, bits, tags, caches;
};

extern struct heap heap;

must_use bool heap_setup(void);		/* once; false: no memory at all */
must_use bool zone_open(struct zone *zone, size_t bytes);

/* Which calls may take the fast paths; the others go through block.c each time. */
enum heap_route { ROUTE_FAST, ROUTE_FREE_FAST, ROUTE_SLOW };
void heap_route(enum heap_route route);
void heap_show_units(size_t count);	/* publishes H1 */

static inline bool zone_has(const struct zone *zone, const void *p)
{
	return (uintptr_t)p - (uintptr_t)zone->base < zone->limit_bytes;
}

#endif
