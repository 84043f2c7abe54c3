/*
 * hotplug.h - memory that comes and goes while the machine runs.
 *
 * How     add: the frames get struct pages and belong to a zone, offline. online: they become free.
 *         offline: they are isolated and emptied by moving, then taken from the allocator. remove:
 *         they are a hole again. Units are whole pageblocks; with SPARSEMEM whole sections.
 * Locks   phys->hotplug_lock is taken inside. Other threads may allocate meanwhile; those that walk
 *         zones or pageblocks by number must hold the lock.
 * Why     Linux: mm/memory_hotplug.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_HOTPLUG_H
#define QUIRE_PHYS_HOTPLUG_H

#include "phys/phys.h"

enum online_type {
	ONLINE_KERNEL, /* the zone that the address calls for */
	ONLINE_MOVABLE, /* zone Movable, so that it can be taken offline again */
};

/*
 * Announce frames [start, start + nr) below config.max_pages, which the caller has mapped behind
 * the direct map, zeroed, on one of the machine's nodes, which may have had none so far
 * (config.nr_nodes). 0; -EINVAL: alignment, no room in the tables, or DISCONTIGMEM and the node has
 * memory elsewhere; -EBUSY: not a hole; -ENOMEM: no memory for the struct pages.
 */
int must_use memory_add(struct phys *phys, pfn_t start, u64 nr, unsigned nid,
			enum online_type type);
/* Hand added frames to the allocator. 0 or -EINVAL. */
int must_use memory_online(struct phys *phys, pfn_t start, u64 nr);
/* Empty frames of one zone and take them from it. 0; -EBUSY: something cannot move; -EINVAL. */
int must_use memory_offline(struct phys *phys, pfn_t start, u64 nr);
/*
 * Make offline frames a hole; the caller may unmap them. 0; -EBUSY: not offline; -EINVAL: not whole
 * sections of SPARSEMEM.
 */
int must_use memory_remove(struct phys *phys, pfn_t start, u64 nr);

#endif
