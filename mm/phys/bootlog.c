/*
 * bootlog.c - the lines that Linux prints about memory while booting, and phys_log().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/format.h"
#include "phys/boot.h"

void phys_log(struct phys *phys, const char *fmt, ...)
{
	char line[160];
	va_list args;

	if (!phys->log)
		return;
	va_start(args, fmt);
	vformat(line, sizeof(line), fmt, args);
	va_end(args);
	phys->log(phys->arg, line);
}

static unsigned long first_byte(pfn_t pfn)
{
	return (unsigned long)(pfn << PAGE_SHIFT);
}
static unsigned long last_byte(pfn_t end)
{
	return (unsigned long)((end << PAGE_SHIFT) - 1);
}
static unsigned long kib(u64 pages)
{
	return (unsigned long)(pages << (PAGE_SHIFT - 10));
}

/* Span of a zone type over all nodes. */
static void log_zone_type(struct phys *phys, enum zone_type type)
{
	pfn_t start = ~(pfn_t)0, end = 0;
	unsigned nid;

	for (nid = 0; nid < phys->nr_nodes; nid++) {
		const struct zone *zone = &phys->nodes[nid]->zones[type];

		if (!zone->spanned_pages)
			continue;
		start = min_u64(start, zone->start_pfn);
		end = max_u64(end, zone_end_pfn(zone));
	}
	if (end)
		phys_log(phys, "  %-8s [mem 0x%016lx-0x%016lx]", zone_type_name(type),
			 first_byte(start), last_byte(end));
	else
		phys_log(phys, "  %-8s empty", zone_type_name(type));
}

static void log_zones(struct phys *phys)
{
	unsigned nid, type;

	phys_log(phys, "Zone ranges:");
	for (type = 0; type < ZONE_MOVABLE; type++)
		if (zone_type_limit(phys->layout, (enum zone_type)type))
			log_zone_type(phys, (enum zone_type)type);
	phys_log(phys, "Movable zone start for each node");
	for (nid = 0; nid < phys->nr_nodes; nid++) {
		const struct zone *zone = &phys->nodes[nid]->zones[ZONE_MOVABLE];

		if (zone->spanned_pages)
			phys_log(phys, "  Node %u: 0x%016lx", nid, first_byte(zone->start_pfn));
	}
}

static void log_nodes(struct phys *phys)
{
	unsigned nid;

	phys_log(phys, "Early memory node ranges");
	for (nid = 0; nid < phys->nr_nodes; nid++) {
		const struct node *node = phys->nodes[nid];

		if (node->spanned_pages)
			phys_log(phys, "  node %3u: [mem 0x%016lx-0x%016lx]", nid,
				 first_byte(node->start_pfn),
				 last_byte(node->start_pfn + node->spanned_pages));
	}
}

void boot_log(struct phys *phys)
{
	if (!phys->log)
		return;
	log_zones(phys);
	log_nodes(phys);
	phys_log(phys, "Built %u zonelists, mobility grouping %s.  Total pages: %lu",
		 phys->nr_nodes, phys->mobility_mask ? "on" : "off",
		 (unsigned long)phys->present_pages);
	phys_log(phys, "Memory: %luK/%luK available (%luK reserved, 0K cma-reserved)",
		 kib(phys->total_pages), kib(phys->present_pages), kib(phys->reserved_pages));
}
