/*
 * hotplug.c - adds, onlines, offlines and removes memory (hotplug.h).
 *
 * How     A frame that is added but not online is present and not managed, as reserved frames are;
 *         PG_offline on its struct page tells the two apart.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/boot.h"
#include "phys/buddy.h"
#include "phys/contig.h"
#include "phys/hotplug.h"
#include "phys/pcp.h"
#include "phys/prepare.h"
#include "phys/watermark.h"

static enum zone_type type_by_address(const struct phys *phys, pfn_t pfn)
{
	unsigned type = 0;

	while (pfn >= zone_type_limit(phys->layout, (enum zone_type)type))
		type++;
	return (enum zone_type)type;
}

static bool is_range_ok(const struct phys *phys, pfn_t start, u64 nr)
{
	return nr && is_aligned(start, PAGEBLOCK_PAGES) && is_aligned(nr, PAGEBLOCK_PAGES) &&
	       start + nr <= phys->max_pages;
}

/* Lists for a zone that had no memory so far. */
static bool add_pcp(struct zone *zone, u64 nr)
{
	struct phys *phys = zone->phys;
	size_t each = pcp_bytes(nr, phys->nr_cpus),
	       table = align_up(phys->nr_cpus * sizeof(struct pcp *), 64);
	u8 *mem = alloc_pages_exact(phys, table + phys->nr_cpus * each, GFP_KERNEL | __GFP_ZERO);
	unsigned cpu;

	if (!mem)
		return false;
	zone->pcp = (struct pcp **)(void *)mem;
	for (cpu = 0; cpu < phys->nr_cpus; cpu++) {
		zone->pcp[cpu] = (struct pcp *)(void *)(mem + table + cpu * each);
		pcp_init(zone->pcp[cpu], zone, cpu, nr);
		phys->zone_pcp[cpu * phys->pcp_stride +
			       (zone->nid << PAGE_ZONE_BITS | zone->type)] = zone->pcp[cpu];
	}
	return true;
}

/* Zeroed struct pages, from the memory that there is already; in one piece, but of any size. */
static struct page *create_map(struct phys *phys, u64 nr)
{
	size_t bytes = nr * sizeof(struct page);
	u64 frames = align_up((u64)bytes, PAGE_SIZE) >> PAGE_SHIFT;
	pfn_t pfn = PFN_NONE;
	unsigned nid;

	if (frames <= (u64)1 << MAX_PAGE_ORDER)
		return alloc_pages_exact(phys, bytes,
					 GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_ZERO);
	for (nid = 0; nid < phys->nr_nodes && pfn == PFN_NONE; nid++)
		if (phys->nodes[nid]->present_pages)
			pfn = alloc_contig_pages_locked(phys, frames, 1, nid);
	if (pfn == PFN_NONE)
		return NULL;
	memset(pfn_to_virt(phys, pfn), 0, bytes);
	return pfn_to_virt(phys, pfn);
}

static void destroy_map(struct phys *phys, struct page *map, u64 nr)
{
	free_pages_exact(phys, map, nr * sizeof(struct page));
}

/* Those that boot made stay: they lie in reserved frames. */
static void remove_sections(struct phys *phys, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	for (pfn = start; pfn < end; pfn += SECTION_PAGES) {
		if (page_test(virt_to_page(phys, phys->sections[pfn / SECTION_PAGES]), PG_reserved))
			continue;
		destroy_map(phys, phys->sections[pfn / SECTION_PAGES], SECTION_PAGES);
		phys->sections[pfn / SECTION_PAGES] = NULL;
	}
}

static int add_sections(struct phys *phys, pfn_t start, pfn_t end)
{
	struct page *map;
	pfn_t pfn;

	if (!is_aligned(start, SECTION_PAGES) || !is_aligned(end, SECTION_PAGES))
		return -PHYS_EINVAL;
	for (pfn = start; pfn < end; pfn += SECTION_PAGES) {
		if (phys->sections[pfn / SECTION_PAGES]) /* boot's, which stayed */
			continue;
		map = create_map(phys, SECTION_PAGES);
		if (!map) {
			remove_sections(phys, start, pfn);
			return -PHYS_ENOMEM;
		}
		phys->sections[pfn / SECTION_PAGES] = map;
	}
	return 0;
}

/*
 * DISCONTIGMEM: a node has one map, which cannot grow, for struct pages stay where they are. What
 * is added must fill a hole of the node, or be all of it.
 */
static int add_node_map(struct phys *phys, struct node *node, pfn_t start, u64 nr)
{
	if (node->mem_map)
		return start >= node->start_pfn &&
				       start + nr <= node->start_pfn + node->spanned_pages
			       ? 0
			       : -PHYS_EINVAL;
	node->mem_map = create_map(phys, nr);
	if (!node->mem_map)
		return -PHYS_ENOMEM;
	node->start_pfn = start;
	node->spanned_pages = nr;
	node->map_added = true;
	return 0;
}

/* The map that was added with a node goes when all of the node is gone. */
static void remove_node_map(struct phys *phys, struct node *node)
{
	unsigned type;

	if (!node->map_added || node->present_pages)
		return;
	destroy_map(phys, node->mem_map, node->spanned_pages);
	node->mem_map = NULL;
	node->map_added = false;
	node->start_pfn = 0;
	node->spanned_pages = 0;
	for (type = 0; type < MAX_NR_ZONES; type++)
		node->zones[type].spanned_pages = 0;
}

static int add_maps(struct phys *phys, struct node *node, pfn_t start, u64 nr)
{
	switch (phys->model) {
	case MEMORY_SPARSE:
		return add_sections(phys, start, start + nr);
	case MEMORY_DISCONTIG:
		return add_node_map(phys, node, start, nr);
	default:
		return 0;
	}
}

/* Widen a span to include [start, end). */
static void grow_span(pfn_t *span_start, u64 *spanned, pfn_t start, pfn_t end)
{
	pfn_t first = *spanned ? min_u64(*span_start, start) : start;
	pfn_t last = *spanned ? max_u64(*span_start + *spanned, end) : end;

	*span_start = first;
	*spanned = last - first;
}

static void count_present(struct zone *zone, s64 pages)
{
	zone->present_pages += (u64)pages;
	zone->node->present_pages += (u64)pages;
	zone->phys->present_pages += (u64)pages;
	zone->phys->reserved_pages += (u64)pages;
	node_update_states(zone->phys, zone->node);
}

static void count_managed(struct zone *zone, s64 pages)
{
	zone->managed_pages += (u64)pages;
	zone->phys->total_pages += (u64)pages;
	zone->phys->reserved_pages -= (u64)pages;
	update_watermarks(zone->phys);
	build_zonelists(zone->phys);
}

static void attach(struct phys *phys, struct zone *zone, pfn_t start, u64 nr)
{
	pfn_t pfn;

	grow_span(&zone->start_pfn, &zone->spanned_pages, start, start + nr);
	grow_span(&zone->node->start_pfn, &zone->node->spanned_pages, start, start + nr);
	phys->span_pages = max_u64(phys->span_pages, start + nr);
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		struct pageblock *block = pfn_to_block(phys, pfn);

		block->zone_id = (u16)(zone->nid << PAGE_ZONE_BITS | zone->type);
		block->claimed = 0;
		block->migratetype = (u8)(MIGRATE_MOVABLE & phys->mobility_mask);
	}
	for (pfn = start; pfn < start + nr; pfn++)
		pfn_to_page(phys, pfn)->flags =
			zone->page_links | section_bits(phys, pfn) | PAGE_FLAG(PG_offline);
	count_present(zone, (s64)nr);
}

static int add_locked(struct phys *phys, pfn_t start, u64 nr, unsigned nid, enum online_type type)
{
	struct zone *zone;
	pfn_t pfn;
	int error;

	if (!is_range_ok(phys, start, nr) || nid >= phys->nr_nodes || phys->model == MEMORY_NONE)
		return -PHYS_EINVAL;
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES)
		if (pfn_valid(phys, pfn))
			return -PHYS_EBUSY;
	zone = &phys->nodes[nid]->zones[type == ONLINE_MOVABLE ? ZONE_MOVABLE
							       : type_by_address(phys, start)];
	if (!zone->pcp && !add_pcp(zone, nr))
		return -PHYS_ENOMEM;
	error = add_maps(phys, zone->node, start, nr);
	if (!error)
		attach(phys, zone, start, nr);
	return error;
}

int memory_add(struct phys *phys, pfn_t start, u64 nr, unsigned nid, enum online_type type)
{
	int error;

	lock_take(&phys->hotplug_lock);
	error = add_locked(phys, start, nr, nid, type);
	lock_give(&phys->hotplug_lock);
	return error;
}

/* All of the range is present and of one kind: offline, or not. */
static bool is_offline(struct phys *phys, pfn_t start, u64 nr)
{
	pfn_t pfn;

	for (pfn = start; pfn < start + nr; pfn++)
		if (!pfn_valid(phys, pfn) || !page_test(pfn_to_page(phys, pfn), PG_offline))
			return false;
	return true;
}

int memory_online(struct phys *phys, pfn_t start, u64 nr)
{
	struct zone *zone;
	pfn_t pfn;

	if (!is_range_ok(phys, start, nr))
		return -PHYS_EINVAL;
	lock_take(&phys->hotplug_lock);
	if (!is_offline(phys, start, nr)) {
		lock_give(&phys->hotplug_lock);
		return -PHYS_EINVAL;
	}
	zone = pfn_zone(phys, start);
	for (pfn = start; pfn < start + nr; pfn++)
		pfn_to_page(phys, pfn)->flags &= PAGE_LINK_MASK;
	lock_take(&zone->lock);
	buddy_give_range(zone, start, start + nr);
	lock_give(&zone->lock);
	count_managed(zone, (s64)nr);
	lock_give(&phys->hotplug_lock);
	return 0;
}

static int offline_locked(struct phys *phys, pfn_t start, u64 nr)
{
	struct zone *zone = pfn_zone(phys, start);
	pfn_t pfn;
	bool taken;

	if (isolate_range(phys, start, start + nr))
		return -PHYS_EBUSY;
	lock_take(&zone->lock);
	taken = buddy_take_range(zone, start, start + nr);
	for (pfn = start; taken && pfn < start + nr; pfn++)
		(void)fresh_take(phys, pfn, 0);
	lock_give(&zone->lock);
	undo_isolate_range(phys, start, start + nr);
	if (!taken)
		return -PHYS_EBUSY;
	for (pfn = start; pfn < start + nr; pfn++)
		pfn_to_page(phys, pfn)->flags =
			zone->page_links | section_bits(phys, pfn) | PAGE_FLAG(PG_offline);
	count_managed(zone, -(s64)nr);
	return 0;
}

int memory_offline(struct phys *phys, pfn_t start, u64 nr)
{
	int error;
	pfn_t pfn;

	if (!is_range_ok(phys, start, nr))
		return -PHYS_EINVAL;
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES)
		if (!pfn_valid(phys, pfn) || pfn_zone(phys, pfn) != pfn_zone(phys, start))
			return -PHYS_EINVAL;
	lock_take(&phys->hotplug_lock);
	error = offline_locked(phys, start, nr);
	lock_give(&phys->hotplug_lock);
	return error;
}

int memory_remove(struct phys *phys, pfn_t start, u64 nr)
{
	int error = -PHYS_EBUSY;
	pfn_t pfn;

	if (phys->model == MEMORY_SPARSE &&
	    (!is_aligned(start, SECTION_PAGES) || !is_aligned(nr, SECTION_PAGES)))
		return -PHYS_EINVAL;
	lock_take(&phys->hotplug_lock);
	if (is_range_ok(phys, start, nr) && is_offline(phys, start, nr)) {
		struct zone *zone = pfn_zone(phys, start);

		/* Spans keep their ends: what lies between is a hole like any other. */
		count_present(zone, -(s64)nr);
		for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES)
			pfn_to_block(phys, pfn)->zone_id = PAGEBLOCK_NO_ZONE;
		if (phys->model == MEMORY_SPARSE)
			remove_sections(phys, start, start + nr);
		else if (phys->model == MEMORY_DISCONTIG)
			remove_node_map(phys, zone->node);
		error = 0;
	}
	lock_give(&phys->hotplug_lock);
	return error;
}
