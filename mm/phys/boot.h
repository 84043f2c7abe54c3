/*
 * boot.h - the parts of phys_boot() that hotplug needs again.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_BOOT_H
#define QUIRE_PHYS_BOOT_H

#include "phys/phys.h"

/*
 * Order of the zones to try, for every node, from distances and populated zones. Linux:
 * build_all_zonelists().
 */
void build_zonelists(struct phys *phys);
/* Bytes of the zone pointers of one node's zonelists. */
size_t zonelist_bytes(unsigned nr_nodes);
/*
 * First frame that is no longer of that type, by address alone: 16 MiB, 4 GiB or 896 MiB, the end.
 */
pfn_t zone_type_limit(enum memory_layout layout, enum zone_type type);
/* Name as Linux prints it. */
const char *zone_type_name(enum zone_type type);
/* Set the bits of node_states that follow from a node's zones. */
void node_update_states(struct phys *phys, struct node *node);
/* Print a memory range and what is available, as Linux does at boot. */
void boot_log(struct phys *phys);

#endif
