/*
 * boot.c - phys_boot(): from a mapping and a few numbers to a working page allocator.
 *
 * How     1 check the ranges     memblock knows the RAM
 *         2 place the tables     bits, pageblocks, nodes, per-CPU lists, mem_map: in the RAM
 *         3 build zones          spans, the pageblocks' zones, zonelists
 *         4 hand over            every frame not reserved becomes a free bit
 *         5 watermarks, log
 *
 *         A struct page is not written before its frame is first handed out (or reserved): booting
 *         4 GiB touches the 128 KiB of bits and not the 64 MiB of struct pages.
 * Locks   none: nobody else knows the machine yet.
 * Why     Linux: start_kernel() to mm_core_init(): free_area_init(), memblock_free_all().
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/boot.h"
#include "phys/buddy.h"
#include "phys/debug.h"
#include "phys/memblock.h"
#include "phys/pcp.h"
#include "phys/watermark.h"

/* What the steps of booting share. */
struct boot {
	struct phys *phys;
	const struct phys_config *config;
	struct memblock mb;
	pfn_t movable_start[MAX_NUMNODES]; /* zone Movable of each node begins here */
	bool failed; /* RAM is too small for its tables */
};

/* --- 1: ranges --- */

static int add_ranges(struct boot *boot)
{
	const struct phys_config *config = boot->config;
	struct phys_range all = { 0, config->nr_pages, 0 };
	const struct phys_range *ranges = config->ranges ? config->ranges : &all;
	unsigned nr = config->ranges ? config->nr_ranges : 1, i;
	struct phys *phys = boot->phys;

	for (i = 0; i < nr; i++) {
		if (!is_aligned(ranges[i].start, PAGEBLOCK_PAGES) || !ranges[i].pages ||
		    ranges[i].nid >= MAX_NUMNODES ||
		    ranges[i].start + ranges[i].pages > config->nr_pages)
			return -PHYS_EINVAL;
		if (!memblock_add(&boot->mb, ranges[i].start, ranges[i].pages, ranges[i].nid))
			return -PHYS_EINVAL;
		phys->nr_nodes = (unsigned)max_u64(phys->nr_nodes, ranges[i].nid + 1);
		phys->span_pages = ranges[i].start + ranges[i].pages;
	}
	if (config->nr_nodes) {
		if (config->nr_nodes < phys->nr_nodes || config->nr_nodes > MAX_NUMNODES)
			return -PHYS_EINVAL;
		phys->nr_nodes = config->nr_nodes;
	}
	return nr ? 0 : -PHYS_EINVAL;
}

/* Where zone Movable begins on each node: the top of its memory, in proportion to its size. */
static void place_movable(struct boot *boot)
{
	struct memblock *mb = &boot->mb;
	u64 total = memblock_present(mb, 0, ~(pfn_t)0, MEMBLOCK_ANY_NODE), share, have;
	unsigned nid, i;

	for (nid = 0; nid < MAX_NUMNODES; nid++) {
		boot->movable_start[nid] = ~(pfn_t)0;
		share = boot->config->movable_pages * memblock_present(mb, 0, ~(pfn_t)0, nid) /
			total;
		share = align_down(share, PAGEBLOCK_PAGES);
		for (i = mb->memory.nr, have = 0; i-- > 0 && have < share;) {
			const struct phys_range *range = &mb->memory.ranges[i];

			if (range->nid != nid)
				continue;
			boot->movable_start[nid] = range->start;
			if (have + range->pages > share)
				boot->movable_start[nid] =
					align_up(range->start + range->pages - (share - have),
						 PAGEBLOCK_PAGES);
			have += range->pages;
		}
	}
}

/* --- 2: tables --- */

/*
 * The lowest frame of any node's zone Movable: tables stay below it, so that such memory can be
 * unplugged.
 */
static pfn_t table_limit(const struct boot *boot, unsigned nid)
{
	pfn_t limit = boot->phys->layout == LAYOUT_32 ? zone_type_limit(LAYOUT_32, ZONE_NORMAL)
						      : ~(pfn_t)0;

	return nid < MAX_NUMNODES ? min_u64(limit, boot->movable_start[nid]) : limit;
}

/*
 * From the node, from another one, at last from anywhere; never from zone Movable if that can be.
 */
static pfn_t find_frames(struct boot *boot, u64 pages, unsigned nid)
{
	unsigned i, nr = boot->phys->nr_nodes, first = nid < nr ? nid : 0;
	pfn_t pfn;

	for (i = 0; i < nr; i++) {
		unsigned at = (first + i) % nr;

		pfn = memblock_alloc(&boot->mb, pages, 1, table_limit(boot, at), at);
		if (pfn != PFN_NONE)
			return pfn;
	}
	return memblock_alloc(&boot->mb, pages, 1, table_limit(boot, MEMBLOCK_ANY_NODE),
			      MEMBLOCK_ANY_NODE);
}

/* Zeroed memory from the early allocator, or NULL (and boot->failed). */
static void *boot_alloc(struct boot *boot, size_t bytes, unsigned nid)
{
	u64 pages = align_up((u64)bytes, PAGE_SIZE) >> PAGE_SHIFT;
	pfn_t pfn = pages ? find_frames(boot, pages, nid) : PFN_NONE;

	if (pfn == PFN_NONE) {
		boot->failed = true;
		return NULL;
	}
	if (boot->config->ram_content == RAM_DIRTY)
		memset(pfn_to_virt(boot->phys, pfn), 0, bytes);
	return pfn_to_virt(boot->phys, pfn);
}

/* Several tables that share whole frames. */
struct carver {
	u8 *at;
};

static void *carve(struct carver *carver, size_t bytes)
{
	void *mem = carver->at;

	carver->at += align_up(bytes, 64);
	return mem;
}

static size_t map_bytes(u64 pages)
{
	return pages * sizeof(struct page);
}

static bool alloc_global_tables(struct boot *boot)
{
	struct phys *phys = boot->phys;
	size_t bits = phys->nr_blocks * (PAGEBLOCK_PAGES / 8),
	       blocks = phys->nr_blocks * sizeof(struct pageblock);
	size_t sections = phys->nr_sections * sizeof(struct page *);
	size_t distances = (size_t)phys->nr_nodes * phys->nr_nodes;
	size_t pcps = (size_t)phys->nr_cpus * phys->nr_nodes * 8 * sizeof(struct pcp *);
	size_t firsts = (size_t)phys->nr_cpus * MAX_NR_ZONES * sizeof(struct pcp *);
	struct carver carver;

	carver.at = boot_alloc(boot,
			       2 * align_up(bits, 64) + align_up(blocks, 64) +
				       align_up(sections, 64) + align_up(distances, 64) +
				       2 * align_up((size_t)phys->nr_cpus, 64) +
				       align_up(pcps, 64) + align_up(firsts, 64),
			       MEMBLOCK_ANY_NODE);
	if (boot->failed)
		return false;
	phys->free_bits = carve(&carver, bits);
	phys->fresh_bits = carve(&carver, bits);
	phys->blocks = carve(&carver, blocks);
	phys->sections = carve(&carver, sections);
	phys->distances = carve(&carver, distances);
	phys->cpu_node = carve(&carver, phys->nr_cpus);
	phys->cpu_states = carve(&carver, phys->nr_cpus);
	phys->pcp_stride = phys->nr_nodes << PAGE_ZONE_BITS;
	phys->zone_pcp = carve(&carver, pcps);
	phys->first_pcp = carve(&carver, firsts);
	/* In one piece, perhaps larger than any node: before these take parts of it. */
	if (phys->model == MEMORY_FLAT)
		phys->mem_map = boot_alloc(boot, map_bytes(phys->max_pages), MEMBLOCK_ANY_NODE);
	if (phys->debug & PHYS_OWNER)
		phys->owners = boot_alloc(boot, phys->max_pages * sizeof(struct page_owner),
					  MEMBLOCK_ANY_NODE);
	return !boot->failed;
}

/* Structs and lists of a node, on the node itself if it has memory. */
static bool alloc_node(struct boot *boot, unsigned nid)
{
	struct phys *phys = boot->phys;
	size_t node_bytes = align_up(sizeof(struct node), 64),
	       list_bytes = align_up(zonelist_bytes(phys->nr_nodes), 64);
	struct carver carver = { boot_alloc(boot, node_bytes + list_bytes, nid) };
	struct node *node;
	struct zone **zones;
	unsigned type;

	if (boot->failed)
		return false;
	node = carve(&carver, node_bytes);
	zones = carve(&carver, list_bytes);
	for (type = 0; type < MAX_NR_ZONES; type++)
		node->zonelist[type].zones =
			zones + type * ((size_t)phys->nr_nodes * MAX_NR_ZONES + 1);
	node->phys = phys;
	node->nid = nid;
	lruvec_init(&node->lruvec);
	phys->nodes[nid] = node;
	return true;
}

static bool alloc_pcp(struct boot *boot, struct zone *zone)
{
	struct phys *phys = boot->phys;
	size_t each = pcp_bytes(zone->present_pages, phys->nr_cpus),
	       table = align_up(phys->nr_cpus * sizeof(struct pcp *), 64);
	struct carver carver = { boot_alloc(boot, table + phys->nr_cpus * each, zone->nid) };
	unsigned cpu;

	if (boot->failed)
		return false;
	zone->pcp = carve(&carver, table);
	for (cpu = 0; cpu < phys->nr_cpus; cpu++) {
		zone->pcp[cpu] = carve(&carver, each);
		pcp_init(zone->pcp[cpu], zone, cpu, zone->present_pages);
		phys->zone_pcp[cpu * phys->pcp_stride +
			       (zone->nid << PAGE_ZONE_BITS | zone->type)] = zone->pcp[cpu];
	}
	return true;
}

/* Shrink [*start, *end) to the RAM in it, of all nodes; *nid becomes a node that has some. */
static bool trim_section(const struct boot *boot, pfn_t *start, pfn_t *end, unsigned *nid)
{
	pfn_t first = *end, last = *start;
	unsigned i;

	for (i = 0; i < boot->mb.memory.nr; i++) {
		const struct phys_range *range = &boot->mb.memory.ranges[i];
		pfn_t from = max_u64(*start, range->start);
		pfn_t to = min_u64(*end, range->start + range->pages);

		if (from >= to)
			continue;
		first = min_u64(first, from);
		last = max_u64(last, to);
		*nid = range->nid;
	}
	*start = first;
	*end = last;
	return first < last;
}

static bool alloc_sparse_maps(struct boot *boot)
{
	struct phys *phys = boot->phys;
	struct page *map;
	unsigned nid = 0;
	u64 s;

	for (s = 0; s < phys->nr_sections; s++) {
		pfn_t start = s * SECTION_PAGES, end = start + SECTION_PAGES;

		if (!trim_section(boot, &start, &end, &nid))
			continue;
		map = boot_alloc(boot, map_bytes(end - start), nid);
		if (!map)
			return false;
		phys->sections[s] = map - start % SECTION_PAGES;
	}
	return true;
}

/* FLATMEM's is there already. */
static bool alloc_node_maps(struct boot *boot)
{
	struct phys *phys = boot->phys;
	unsigned nid;

	if (phys->model == MEMORY_SPARSE)
		return alloc_sparse_maps(boot);
	if (phys->model != MEMORY_DISCONTIG)
		return true;
	for (nid = 0; nid < phys->nr_nodes; nid++)
		if (phys->nodes[nid]->spanned_pages)
			phys->nodes[nid]->mem_map =
				boot_alloc(boot, map_bytes(phys->nodes[nid]->spanned_pages), nid);
	return !boot->failed;
}

/* --- 3: zones --- */

/* Frames of zone `type` on a node, by address: [*start, *end), perhaps empty. */
static void zone_bounds(const struct boot *boot, unsigned nid, enum zone_type type, pfn_t *start,
			pfn_t *end)
{
	enum memory_layout layout = boot->phys->layout;
	int below;

	if (type == ZONE_MOVABLE) {
		*start = boot->movable_start[nid];
		*end = ~(pfn_t)0;
		return;
	}
	*end = min_u64(zone_type_limit(layout, type), boot->movable_start[nid]);
	*start = 0;
	for (below = (int)type - 1; below >= 0 && *start == 0; below--)
		*start = zone_type_limit(layout, (enum zone_type)below);
}

/* Shrink [*start, *end) to the RAM of the node in it; returns the frames present. */
static u64 clip_to_ram(const struct boot *boot, unsigned nid, pfn_t *start, pfn_t *end)
{
	pfn_t first = ~(pfn_t)0, last = 0;
	u64 present = 0;
	unsigned i;

	for (i = 0; i < boot->mb.memory.nr; i++) {
		const struct phys_range *range = &boot->mb.memory.ranges[i];
		pfn_t from = max_u64(*start, range->start),
		      to = min_u64(*end, range->start + range->pages);

		if (range->nid != nid || from >= to)
			continue;
		first = min_u64(first, from);
		last = max_u64(last, to);
		present += to - from;
	}
	*start = present ? first : 0;
	*end = present ? last : 0;
	return present;
}

static void init_zone(struct boot *boot, struct node *node, enum zone_type type)
{
	struct zone *zone = &node->zones[type];
	pfn_t start, end;

	zone_bounds(boot, node->nid, type, &start, &end);
	zone->phys = boot->phys;
	zone->node = node;
	zone->nid = node->nid;
	zone->type = type;
	zone->name = zone_type_name(type);
	zone->present_pages = clip_to_ram(boot, node->nid, &start, &end);
	zone->start_pfn = start;
	zone->spanned_pages = end - start;
	zone->page_links = (u64)type << PAGE_ZONE_SHIFT | (u64)node->nid << PAGE_NODE_SHIFT;
	zone->compact_order_failed = -1;
	lock_init(&zone->lock, RANK_ZONE, boot->phys->locks);
	buddy_init(zone);
}

static bool init_node(struct boot *boot, unsigned nid)
{
	struct node *node;
	pfn_t start = 0, end = ~(pfn_t)0;
	unsigned type;

	if (!alloc_node(boot, nid))
		return false;
	node = boot->phys->nodes[nid];
	node->present_pages = clip_to_ram(boot, nid, &start, &end);
	node->start_pfn = start;
	node->spanned_pages = end - start;
	for (type = 0; type < MAX_NR_ZONES; type++) {
		init_zone(boot, node, (enum zone_type)type);
		if (node->zones[type].present_pages && !alloc_pcp(boot, &node->zones[type]))
			return false;
	}
	node_update_states(boot->phys, node);
	return true;
}

/* Every pageblock belongs to a zone or to a hole. */
static void init_blocks(struct boot *boot)
{
	struct phys *phys = boot->phys;
	struct zone *zone;
	unsigned nid, type, i;
	u64 id;

	for (id = 0; id < phys->nr_blocks; id++) {
		phys->blocks[id].order = PAGEBLOCK_FULL;
		phys->blocks[id].zone_id = PAGEBLOCK_NO_ZONE;
		phys->blocks[id].migratetype = (u8)(MIGRATE_MOVABLE & phys->mobility_mask);
	}
	for (nid = 0; nid < phys->nr_nodes; nid++) {
		for (type = 0; type < MAX_NR_ZONES; type++) {
			zone = &phys->nodes[nid]->zones[type];
			for (i = 0; zone->present_pages && i < boot->mb.memory.nr; i++) {
				const struct phys_range *range = &boot->mb.memory.ranges[i];
				pfn_t from = max_u64(zone->start_pfn, range->start);
				pfn_t to = min_u64(zone_end_pfn(zone), range->start + range->pages);

				for (; range->nid == nid && from < to; from += PAGEBLOCK_PAGES)
					phys->blocks[from >> PAGEBLOCK_ORDER].zone_id =
						(u16)(nid << PAGE_ZONE_BITS | type);
			}
		}
	}
}

/* --- 4: handing over --- */

static void free_range(void *arg, pfn_t start, pfn_t end)
{
	struct zone *zone = arg;
	struct phys *phys = zone->phys;
	pfn_t pfn;

	/* Only frames of this zone: ranges of other nodes may lie within its span. */
	for (pfn = start; pfn < end; pfn = start) {
		start = min_u64(end, align_down(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
		if (pfn_zone(phys, pfn) != zone)
			continue;
		zone->managed_pages += start - pfn;
		buddy_give_range(zone, pfn, start);
	}
}

static void mark_fresh(void *arg, pfn_t start, pfn_t end)
{
	fresh_put_range(arg, start, end);
}

/* Reserved frames get their struct page now, for nobody will hand them out. */
static void init_reserved(struct boot *boot)
{
	struct phys *phys = boot->phys;
	unsigned i;
	pfn_t pfn;

	for (i = 0; i < boot->mb.reserved.nr; i++) {
		const struct phys_range *range = &boot->mb.reserved.ranges[i];

		phys->boot_pages += range->pages;
		if (phys->model == MEMORY_NONE)
			continue;
		for (pfn = range->start; pfn < range->start + range->pages; pfn++) {
			struct page *page = pfn_to_page(phys, pfn);

			page->flags = pfn_zone(phys, pfn)->page_links | PAGE_FLAG(PG_reserved);
			if (phys->model == MEMORY_SPARSE)
				page->flags |= pfn / SECTION_PAGES << PAGE_SECTION_SHIFT;
			page->refcount = 1;
		}
	}
}

static void hand_over(struct boot *boot)
{
	struct phys *phys = boot->phys;
	unsigned nid, type;

	for (nid = 0; nid < phys->nr_nodes; nid++) {
		for (type = 0; type < MAX_NR_ZONES; type++) {
			struct zone *zone = &phys->nodes[nid]->zones[type];

			if (zone->present_pages)
				memblock_for_each_free(&boot->mb, zone->start_pfn,
						       zone_end_pfn(zone), free_range, zone);
			phys->total_pages += zone->managed_pages;
			phys->present_pages += zone->present_pages;
		}
	}
	phys->reserved_pages = phys->present_pages - phys->total_pages;
	if (boot->config->ram_content == RAM_ZEROED)
		memblock_for_each_free(&boot->mb, 0, phys->span_pages, mark_fresh, phys);
	init_reserved(boot);
}

/* --- the whole --- */

static void init_cpus(struct boot *boot)
{
	struct phys *phys = boot->phys;
	unsigned cpu, from, to;

	for (cpu = 0; cpu < phys->nr_cpus; cpu++) {
		phys->cpu_node[cpu] = boot->config->cpu_node ? boot->config->cpu_node[cpu]
							     : (u8)(cpu % phys->nr_nodes);
		phys->node_states[N_CPU] |= (u64)1 << phys->cpu_node[cpu];
	}
	for (from = 0; from < phys->nr_nodes; from++)
		for (to = 0; to < phys->nr_nodes; to++)
			phys->distances[from * phys->nr_nodes + to] =
				boot->config->distances
					? boot->config->distances[from * phys->nr_nodes + to]
				: from == to ? LOCAL_DISTANCE
					     : REMOTE_DISTANCE;
}

static void init_knobs(struct boot *boot)
{
	struct phys *phys = boot->phys;
	const struct phys_config *config = boot->config;
	u64 lowmem = 0;
	unsigned nid, type;
	struct zone *zone;

	for_each_zone(phys, nid, type, zone)
		if (type != ZONE_HIGHMEM && type != ZONE_MOVABLE)
			lowmem += zone->managed_pages;
	phys->lowmem_reserve_ratio[ZONE_DMA] = 256;
	phys->lowmem_reserve_ratio[ZONE_DMA32] = 256;
	phys->lowmem_reserve_ratio[ZONE_NORMAL] = 32;
	phys->extfrag_threshold = 500;
	phys->compaction_proactiveness = 20;
	phys->watermark_scale_factor =
		config->watermark_scale_factor ? config->watermark_scale_factor : 10;
	phys->min_free_kbytes = config->min_free_kbytes
					? config->min_free_kbytes
					: default_min_free_kbytes(lowmem * (PAGE_SIZE / 1024));
	update_watermarks(phys);
}

static void init_phys(struct phys *phys, const struct phys_config *config)
{
	memset(phys, 0, sizeof(*phys));
	phys->ram = config->ram;
	phys->model = config->model;
	phys->layout = config->layout;
	phys->nr_cpus = config->nr_cpus ? config->nr_cpus : 1;
	phys->max_pages = align_up(max_u64(config->max_pages, config->nr_pages), PAGEBLOCK_PAGES);
	phys->nr_blocks = phys->max_pages / PAGEBLOCK_PAGES;
	phys->nr_sections = align_up(phys->max_pages, SECTION_PAGES) / SECTION_PAGES;
	phys->locks = config->locks;
	phys->debug = config->debug;
	phys->lists_locked = config->locks == LOCK_ON;
	phys->puts = config->model != MEMORY_FLAT || config->debug    ? PUTS_NOW
		     : config->locks == LOCK_OFF && !config->this_cpu ? PUTS_LATER_ALONE
								      : PUTS_LATER;
	phys->this_cpu = config->this_cpu;
	phys->log = config->log;
	phys->arg = config->arg;
	lock_init(&phys->hotplug_lock, RANK_HOTPLUG, config->locks);
}

static bool build(struct boot *boot)
{
	struct phys *phys = boot->phys;
	unsigned nid;

	if (!alloc_global_tables(boot))
		return false;
	init_cpus(boot);
	for (nid = 0; nid < phys->nr_nodes; nid++)
		if (!init_node(boot, nid))
			return false;
	if (!alloc_node_maps(boot))
		return false;
	/* Grouping by mobility needs some pageblocks of each type; Linux has the same limit. */
	phys->mobility_mask =
		phys->debug & PHYS_NO_MOBILITY || memblock_present(&boot->mb, 0, phys->span_pages,
								   MEMBLOCK_ANY_NODE) <
							  PAGEBLOCK_PAGES * MIGRATE_TYPES
			? 0
			: 3;
	init_blocks(boot);
	hand_over(boot);
	init_knobs(boot);
	build_zonelists(phys);
	return true;
}

int phys_boot(struct phys *phys, const struct phys_config *config)
{
	struct boot boot;
	int error;

	require(config->ram && is_aligned((uintptr_t)config->ram, PAGE_SIZE) && config->nr_pages);
	memset(&boot, 0, sizeof(boot));
	boot.phys = phys;
	boot.config = config;
	init_phys(phys, config);
	error = add_ranges(&boot);
	if (error)
		return error;
	place_movable(&boot);
	if (!build(&boot))
		return -PHYS_ENOMEM;
	boot_log(phys);
	return 0;
}

void phys_shutdown(struct phys *phys)
{
	memset(phys, 0, sizeof(*phys));
}
