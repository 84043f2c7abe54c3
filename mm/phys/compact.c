/*
 * compact.c - the two scanners of compact.h, direct compaction, and kcompactd's step.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/buddy.h"
#include "phys/compact.h"
#include "phys/pageblock.h"
#include "phys/prepare.h"

#define DEFER_SHIFT_MAX 6
#define STEP_BUDGET	4 /* pageblocks of one step of kcompactd: faults wait meanwhile */

static const u64 immovable = PAGE_FLAG(PG_reserved) | PAGE_FLAG(PG_slab) | PAGE_FLAG(PG_table) |
			     PAGE_FLAG(PG_pinned) | PAGE_FLAG(PG_buddy) | PAGE_FLAG(PG_tail) |
			     PAGE_FLAG(PG_offline) | PAGE_FLAG(PG_writeback);

struct page *movable_page(struct phys *phys, pfn_t pfn)
{
	struct page *page = pfn_to_page(phys, pfn);

	if (pfn_is_free(phys, pfn) || page->refcount <= 0 || page->flags & immovable)
		return NULL;
	/* The owner of one that was moved before may just have given it back. */
	pcp_settle_cpu(pfn_zone(phys, pfn), phys_this_cpu(phys));
	return page->refcount > 0 ? page : NULL;
}

/* --- free scanner --- */

static bool is_target_block(const struct compact_control *control, u64 id, unsigned order)
{
	const struct zone *zone = control->zone;
	const struct pageblock *block = &zone->phys->blocks[id];

	if (block->zone_id != (zone->nid << PAGE_ZONE_BITS | zone->type) || !block->nr_free)
		return false;
	if (block->order >= PAGEBLOCK_ORDER || block->order < order)
		return false;
	return block->migratetype == (MIGRATE_MOVABLE & zone->phys->mobility_mask) ||
	       block->migratetype == MIGRATE_CMA;
}

static pfn_t take_target(struct zone *zone, u64 id, unsigned order)
{
	struct pageblock *block = &zone->phys->blocks[id];
	pfn_t pfn = PFN_NONE;

	lock_take(&zone->lock);
	if (block->order < PAGEBLOCK_ORDER && block->order >= order) {
		pfn = (pfn_t)id * PAGEBLOCK_PAGES +
		      framebits_find(pageblock_words(zone->phys, id), order);
		if (buddy_take_at(zone, pfn, order))
			(void)fresh_take(zone->phys, pfn, order);
		else
			pfn = PFN_NONE;
	}
	lock_give(&zone->lock);
	return pfn;
}

/* Frames handed out without going through alloc_pages(). */
static struct page *handed_out(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct pcp *pcp = zone->pcp[phys_this_cpu(zone->phys)];

	lock_take(&pcp->lock);
	pcp->allocated += (u64)1 << order;
	lock_give(&pcp->lock);
	return prepare_block(zone, pfn, order);
}

/* A free block for a page of that order, as near to the zone's end as there is; NULL: none left. */
static struct page *next_target(struct compact_control *control, unsigned order)
{
	u64 *at = &control->free_block[order];
	pfn_t pfn;

	while (*at > control->next_block) {
		if (is_target_block(control, *at, order)) {
			pfn = take_target(control->zone, *at, order);
			if (pfn != PFN_NONE)
				return handed_out(control->zone, pfn, order);
		}
		control->free_scanned += PAGEBLOCK_PAGES;
		--*at;
	}
	return NULL;
}

/* --- migration scanner --- */

bool split_for_move(struct phys *phys, struct page *head)
{
	return compound_order(head) && phys->move_ops->split &&
	       phys->move_ops->split(phys->move_arg, phys, head) == 0;
}

/* Move what can be moved out of a pageblock; false when there is nowhere left to move it. */
static bool empty_block(struct compact_control *control, u64 id)
{
	struct phys *phys = control->zone->phys;
	pfn_t pfn = id * PAGEBLOCK_PAGES, end = min_u64(pfn + PAGEBLOCK_PAGES, phys->span_pages);
	struct page *page, *target;
	unsigned order;

	pcp_settle_zone(control->zone);
	if (phys->move_ops->prepare)
		phys->move_ops->prepare(phys->move_arg, phys, pfn, end);
	for (; pfn < end; pfn++) {
		control->scanned++;
		page = movable_page(phys, pfn);
		if (!page)
			continue;
		order = compound_order(page);
		target = next_target(control, order);
		if (!target && !order)
			return false;
		if (!target) {
			/* In pieces, from its first page on; or not at all. */
			pfn += split_for_move(phys, page) ? ~(pfn_t)0 : ((pfn_t)1 << order) - 1;
			continue;
		}
		if (phys->move_ops->move(phys->move_arg, phys, page, target) == 0) {
			control->moved += (u64)1 << order;
		} else {
			control->failed += (u64)1 << order;
			__free_pages(phys, target, order);
		}
		pfn += ((pfn_t)1 << order) - 1;
	}
	return true;
}

static bool is_source_block(const struct compact_control *control, u64 id)
{
	const struct zone *zone = control->zone;
	const struct pageblock *block = &zone->phys->blocks[id];

	return block->zone_id == (zone->nid << PAGE_ZONE_BITS | zone->type) &&
	       block->nr_free != PAGEBLOCK_PAGES && block->migratetype != MIGRATE_ISOLATE &&
	       block->migratetype != MIGRATE_HIGHATOMIC;
}

static bool has_order(const struct zone *zone, int order)
{
	unsigned type, mask = 0;

	for (type = 0; type < MIGRATE_PCPTYPES; type++)
		mask |= zone->order_mask[type];
	return order >= 0 && mask >> order;
}

static void count(struct compact_control *control)
{
	struct vm_stat *stat = &control->zone->phys->stat;

	stat_add_atomic(stat, COMPACTMIGRATE_SCANNED, control->scanned);
	stat_add_atomic(stat, COMPACTFREE_SCANNED, control->free_scanned);
	stat_add_atomic(stat, COMPACTISOLATED, control->moved + control->failed);
	stat_add_atomic(stat, PGMIGRATE_SUCCESS, control->moved);
	stat_add_atomic(stat, PGMIGRATE_FAIL, control->failed);
}

enum compact_result compact_zone(struct compact_control *control)
{
	struct zone *zone = control->zone;
	enum compact_result result = COMPACT_COMPLETE;

	if (!zone->phys->move_ops)
		return COMPACT_SKIPPED;
	control->scanned = control->free_scanned = control->moved = control->failed = 0;
	while (control->next_block < control->free_block[0]) {
		if (!control->budget--) {
			result = COMPACT_CONTINUE;
			break;
		}
		if (is_source_block(control, control->next_block)) {
			bool room = empty_block(control, control->next_block);

			drain_zone_pages(zone);
			if (has_order(zone, control->order)) {
				result = COMPACT_SUCCESS;
				break;
			}
			if (!room)
				break;
		}
		control->next_block++;
	}
	count(control);
	return result;
}

/* From pageblock `first` upwards and `last` downwards. */
static struct compact_control between(struct zone *zone, int order, u64 first, u64 last)
{
	struct compact_control control = { 0 };
	unsigned k;

	control.zone = zone;
	control.order = order;
	control.budget = ~(u64)0;
	control.next_block = first;
	for (k = 0; k < NR_PAGE_ORDERS; k++)
		control.free_block[k] = last;
	return control;
}

static struct compact_control whole_zone(struct zone *zone, int order)
{
	return between(zone, order, zone->start_pfn >> PAGEBLOCK_ORDER,
		       (zone_end_pfn(zone) - 1) >> PAGEBLOCK_ORDER);
}

/* Enough free memory to hold copies. Linux: compaction_suitable(). */
static bool is_suitable(const struct zone *zone, unsigned order)
{
	return zone_watermark_ok(zone, 0, zone_wmark(zone, WMARK_LOW) + ((u64)2 << order), ZONE_DMA,
				 ALLOC_CMA);
}

/* After n failures only every 2^n-th request is tried. Linux: compaction_deferred(). */
static bool is_deferred(struct zone *zone, unsigned order)
{
	if ((int)order < zone->compact_order_failed || zone->compact_order_failed < 0)
		return false;
	if (++zone->compact_considered >= 1u << zone->compact_defer_shift) {
		zone->compact_considered = 1u << zone->compact_defer_shift;
		return false;
	}
	return true;
}

static void note_result(struct zone *zone, unsigned order, enum compact_result result)
{
	if (result == COMPACT_SUCCESS) {
		zone->compact_considered = 0;
		zone->compact_defer_shift = 0;
		zone->compact_order_failed = -1;
	} else if (result == COMPACT_COMPLETE) {
		zone->compact_considered = 0;
		if (zone->compact_order_failed < 0 || (int)order < zone->compact_order_failed)
			zone->compact_order_failed = (int)order;
		if (zone->compact_defer_shift < DEFER_SHIFT_MAX)
			zone->compact_defer_shift++;
	}
}

/*
 * Would moving pages help? An index towards 0 says that memory is short, one towards 1000 that it
 * is scattered. As Linux has it, asked for costly orders only.
 */
static bool moving_helps(struct zone *zone, unsigned order)
{
	int index;

	if (order <= PAGE_ALLOC_COSTLY_ORDER)
		return true;
	index = fragmentation_index(zone, order);
	return index < 0 || index > (int)zone->phys->extfrag_threshold;
}

static enum compact_result compact_for(struct zone *zone, unsigned order)
{
	struct compact_control control = whole_zone(zone, (int)order);
	enum compact_result result;

	if (!is_suitable(zone, order) || !moving_helps(zone, order))
		return COMPACT_SKIPPED;
	if (is_deferred(zone, order))
		return COMPACT_DEFERRED;
	result = compact_zone(&control);
	note_result(zone, order, result);
	return result;
}

enum compact_result compact_direct(struct phys *phys, gfp_t gfp, unsigned order, unsigned nid)
{
	struct zone **at = phys->nodes[nid]->zonelist[gfp_zone(phys, gfp)].zones;
	enum compact_result best = COMPACT_SKIPPED, result;

	if (!phys->move_ops)
		return COMPACT_SKIPPED;
	stat_add_atomic(&phys->stat, COMPACTSTALL, 1);
	for (; *at && best != COMPACT_SUCCESS; at++) {
		result = compact_for(*at, order);
		if (result > best)
			best = result;
	}
	stat_add_atomic(&phys->stat, best == COMPACT_SUCCESS ? COMPACTSUCCESS : COMPACTFAIL, 1);
	return best;
}

void compact_all(struct phys *phys)
{
	struct compact_control control;
	struct zone *zone;
	unsigned nid, type;

	for_each_zone(phys, nid, type, zone) {
		control = whole_zone(zone, -1);
		(void)compact_zone(&control);
	}
}

/* Proactive compaction begins above this score, by the knob of 0 to 100. */
static unsigned proactive_limit(const struct phys *phys)
{
	unsigned low = 100 - phys->compaction_proactiveness;

	return phys->compaction_proactiveness ? (unsigned)min_u64(max_u64(low, 5) + 10, 100) : 101;
}

static bool is_scattered(struct zone *zone)
{
	return unusable_free_index(zone, PAGEBLOCK_ORDER) / 10 > proactive_limit(zone->phys) &&
	       is_suitable(zone, PAGEBLOCK_ORDER);
}

bool compact_is_worthwhile(struct node *node)
{
	unsigned type;

	for (type = 0; type < MAX_NR_ZONES; type++)
		if (node->zones[type].managed_pages && is_scattered(&node->zones[type]))
			return true;
	return false;
}

unsigned compact_score(struct node *node)
{
	u64 score = 0, pages = 0;
	unsigned type;

	for (type = 0; type < MAX_NR_ZONES; type++) {
		struct zone *zone = &node->zones[type];

		if (!zone->managed_pages)
			continue;
		score += unusable_free_index(zone, PAGEBLOCK_ORDER) * zone->present_pages;
		pages += zone->present_pages;
	}
	return pages ? (unsigned)(score / pages / 10) : 0;
}

#define NOT_WANTED (-2)

/*
 * What kcompactd should make in the zone: the order that somebody waits for; -1: as much as can be,
 * for the zone is scattered, or was when this compaction of it began.
 */
static int wanted_order(struct node *node, struct zone *zone)
{
	int order = (int)node->kcompactd_order;

	if (!zone->managed_pages)
		return NOT_WANTED;
	if (node->kcompactd_wanted)
		return has_order(zone, order) ? NOT_WANTED : order;
	return zone->compact_migrate_pfn || is_scattered(zone) ? -1 : NOT_WANTED;
}

bool compact_step(struct node *node)
{
	struct compact_control control;
	enum compact_result result;
	bool more = false;
	unsigned type;

	for (type = 0; type < MAX_NR_ZONES && node->phys->move_ops; type++) {
		struct zone *zone = &node->zones[type];
		int order = wanted_order(node, zone);

		if (order == NOT_WANTED)
			continue;
		control = whole_zone(zone, order);
		/* Go on where the last step stopped. */
		if (zone->compact_migrate_pfn && zone->compact_migrate_pfn < zone->compact_free_pfn)
			control = between(zone, order, zone->compact_migrate_pfn >> PAGEBLOCK_ORDER,
					  zone->compact_free_pfn >> PAGEBLOCK_ORDER);
		control.budget = STEP_BUDGET;
		stat_add_atomic(&node->phys->stat, KCOMPACTD_WAKE, 1);
		result = compact_zone(&control);
		stat_add_atomic(&node->phys->stat, KCOMPACTD_MIGRATE_SCANNED, control.scanned);
		stat_add_atomic(&node->phys->stat, KCOMPACTD_FREE_SCANNED, control.free_scanned);
		zone->compact_migrate_pfn = control.next_block << PAGEBLOCK_ORDER;
		zone->compact_free_pfn = control.free_block[0] << PAGEBLOCK_ORDER;
		if (result != COMPACT_CONTINUE)
			zone->compact_migrate_pfn = 0;
		more |= result == COMPACT_CONTINUE;
	}
	if (!more)
		node->kcompactd_wanted = 0;
	return more;
}

/* --- indices --- */

/* Free frames, blocks, and blocks of at least `order` in units of that order. */
struct free_info {
	u64 pages;
	u64 blocks;
	u64 suitable;
};

static struct free_info free_info(struct zone *zone, unsigned order)
{
	struct free_info info = { 0 };
	u64 area[NR_PAGE_ORDERS];
	unsigned k;

	zone_free_area(zone, area);
	for (k = 0; k < NR_PAGE_ORDERS; k++) {
		info.pages += area[k] << k;
		info.blocks += area[k];
		if (k >= order)
			info.suitable += area[k] << (k - order);
	}
	return info;
}

int fragmentation_index(struct zone *zone, unsigned order)
{
	struct free_info info = free_info(zone, order);

	if (!info.blocks)
		return 0;
	if (info.suitable)
		return -1000;
	return 1000 - (int)((1000 + info.pages * 1000 / ((u64)1 << order)) / info.blocks);
}

unsigned unusable_free_index(struct zone *zone, unsigned order)
{
	struct free_info info = free_info(zone, order);

	if (!info.pages)
		return 1000;
	return (unsigned)((info.pages - (info.suitable << order)) * 1000 / info.pages);
}
