/*
 * node.c - names and limits of zone types, zonelists, node states.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/boot.h"

#define MIB_PAGES(n) ((pfn_t)(n) << (20 - PAGE_SHIFT))

pfn_t zone_type_limit(enum memory_layout layout, enum zone_type type)
{
	static const pfn_t limits[2][MAX_NR_ZONES] = {
		[LAYOUT_64] = { MIB_PAGES(16), MIB_PAGES(4096), ~(pfn_t)0, 0, ~(pfn_t)0 },
		[LAYOUT_32] = { MIB_PAGES(16), 0, MIB_PAGES(896), ~(pfn_t)0, ~(pfn_t)0 },
	};

	return limits[layout][type];
}

const char *zone_type_name(enum zone_type type)
{
	static const char *const names[MAX_NR_ZONES] = { "DMA", "DMA32", "Normal", "HighMem",
							 "Movable" };

	return names[type];
}

size_t zonelist_bytes(unsigned nr_nodes)
{
	return MAX_NR_ZONES * ((size_t)nr_nodes * MAX_NR_ZONES + 1) * sizeof(struct zone *);
}

/* Zones of one node, best type first, no higher than `highest`. Returns the new end of the list. */
static struct zone **append_zones(struct zone **at, struct node *node, enum zone_type highest)
{
	int type;

	for (type = (int)highest; type >= 0; type--)
		if (node->zones[type].managed_pages)
			*at++ = &node->zones[type];
	return at;
}

/*
 * The nearest node not in `done`; ties go to the next number after `from`, so that neighbours share
 * the load.
 */
static int nearest_node(const struct phys *phys, unsigned from, u64 done)
{
	unsigned best_distance = ~0u, i, nid;
	int best = -1;

	for (i = 0; i < phys->nr_nodes; i++) {
		nid = (from + i) % phys->nr_nodes;
		if (!phys->nodes[nid] || done >> nid & 1 ||
		    node_distance(phys, from, nid) >= best_distance)
			continue;
		best_distance = node_distance(phys, from, nid);
		best = (int)nid;
	}
	return best;
}

static void build_node(struct phys *phys, struct node *node)
{
	struct zone **at[MAX_NR_ZONES];
	u64 done = 0;
	unsigned type;
	int nid;

	for (type = 0; type < MAX_NR_ZONES; type++)
		at[type] = node->zonelist[type].zones;
	while ((nid = nearest_node(phys, node->nid, done)) >= 0) {
		done |= (u64)1 << nid;
		for (type = 0; type < MAX_NR_ZONES; type++)
			at[type] = append_zones(at[type], phys->nodes[nid], (enum zone_type)type);
	}
	for (type = 0; type < MAX_NR_ZONES; type++)
		*at[type] = NULL;
}

/* The list that an allocation looks at first, if it is of the CPU's own node. */
static void build_cpu(struct phys *phys, unsigned cpu)
{
	unsigned type, nid = phys->cpu_node[cpu];
	struct zone *zone;

	for (type = 0; type < MAX_NR_ZONES; type++) {
		zone = phys->nodes[nid] ? phys->nodes[nid]->zonelist[type].zones[0] : NULL;
		phys->first_pcp[cpu * MAX_NR_ZONES + type] =
			zone && zone->nid == nid ? zone->pcp[cpu] : NULL;
	}
}

void build_zonelists(struct phys *phys)
{
	unsigned nid, cpu;

	for (nid = 0; nid < phys->nr_nodes; nid++)
		if (phys->nodes[nid])
			build_node(phys, phys->nodes[nid]);
	for (cpu = 0; cpu < phys->nr_cpus; cpu++)
		build_cpu(phys, cpu);
}

static void set_state(struct phys *phys, enum node_state state, unsigned nid, u64 on)
{
	phys->node_states[state] = (phys->node_states[state] & ~((u64)1 << nid)) | on << nid;
}

void node_update_states(struct phys *phys, struct node *node)
{
	u64 low = 0, any = 0;
	unsigned type;

	for (type = 0; type < MAX_NR_ZONES; type++) {
		u64 present = node->zones[type].present_pages != 0;

		any |= present;
		if (type <= ZONE_NORMAL)
			low |= present;
	}
	set_state(phys, N_POSSIBLE, node->nid, 1);
	set_state(phys, N_ONLINE, node->nid, any | (phys->node_states[N_CPU] >> node->nid & 1));
	set_state(phys, N_NORMAL_MEMORY, node->nid, low);
	set_state(phys, N_HIGH_MEMORY, node->nid,
		  any && (low || node->zones[ZONE_HIGHMEM].present_pages));
	set_state(phys, N_MEMORY, node->nid, any);
}
