/*
 * node.h - one NUMA node: its zones, its LRU lists, and the order in which its CPUs look for
 * memory.
 *
 * How     Lives in the first memory of the node itself. Linux: struct pglist_data (node_data[]).
 * Locks   (C) constant after boot or changed under the hotplug lock; (L) the caller's lock of the
 *         LRU lists.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_NODE_H
#define QUIRE_PHYS_NODE_H

#include "base/stat.h"
#include "phys/lru.h"
#include "phys/zone.h"

#define MAX_NUMNODES	64
#define LOCAL_DISTANCE	10
#define REMOTE_DISTANCE 20

/* Linux's node_states, one bit mask of nodes each in struct phys. */
enum node_state {
	N_POSSIBLE,
	N_ONLINE,
	N_NORMAL_MEMORY,
	N_HIGH_MEMORY,
	N_MEMORY,
	N_CPU,
	NR_NODE_STATES
};

/*
 * Zones to try, best first: by distance, then by type downwards; NULL ends it. Linux: struct
 * zonelist.
 */
struct zonelist {
	struct zone **zones; /* (C) */
};

struct node {
	struct phys *phys; /* (C) */
	unsigned nid; /* (C) */
	pfn_t start_pfn; /* (C) */
	u64 spanned_pages; /* (C) */
	u64 present_pages; /* (C) */
	struct zone zones[MAX_NR_ZONES];
	/* (C) by highest zone allowed; NODE fallback order */
	struct zonelist zonelist[MAX_NR_ZONES];
	struct page *mem_map; /* (H) DISCONTIGMEM: the node's own map; NULL otherwise */
	bool map_added; /* (H) the map came with added memory, and goes with it */
	struct lruvec lruvec; /* (L) */
	struct vm_stat stat; /* the caller's lock; the allocator adds numa_foreign, atomically */
	/* set by the allocator when a zone here is below low, cleared by kswapd */
	u32 kswapd_wanted;
	u32 kswapd_order; /* largest order wanted since cleared */
	/* one more than the highest zone wanted since cleared; 0: nobody said */
	u32 kswapd_zones;
	u32 kcompactd_wanted; /* set by the allocator when a high order was not there */
	u32 kcompactd_order;
};

#endif
