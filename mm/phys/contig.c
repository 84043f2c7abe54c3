/*
 * contig.c - isolates, empties and takes ranges of frames (contig.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/buddy.h"
#include "phys/compact.h"
#include "phys/contig.h"
#include "phys/prepare.h"

#define EMPTY_TRIES 3

static void set_isolated(struct zone *zone, u64 id)
{
	struct pageblock *block = &zone->phys->blocks[id];

	lock_take(&zone->lock);
	if (block->migratetype != MIGRATE_ISOLATE) {
		block->type_before = block->migratetype;
		buddy_set_type(zone, id, MIGRATE_ISOLATE);
	}
	lock_give(&zone->lock);
}

static void unset_isolated(struct zone *zone, u64 id)
{
	struct pageblock *block = &zone->phys->blocks[id];

	lock_take(&zone->lock);
	if (block->migratetype == MIGRATE_ISOLATE)
		buddy_set_type(zone, id, (enum migratetype)block->type_before);
	lock_give(&zone->lock);
}

static bool one_zone(const struct phys *phys, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	if (start >= end || end > phys->span_pages)
		return false;
	for (pfn = align_down(start, PAGEBLOCK_PAGES); pfn < end; pfn += PAGEBLOCK_PAGES)
		if (!pfn_valid(phys, pfn) || pfn_zone(phys, pfn) != pfn_zone(phys, start))
			return false;
	return true;
}

/*
 * Move one page out of an isolated range; the target comes from elsewhere, for here nothing is
 * free.
 * False: it was split instead, and its first page is to be moved next.
 */
static bool move_out(struct phys *phys, struct page *page)
{
	unsigned order = compound_order(page);
	/* Near where it is; rather not at all than by killing somebody. */
	struct page *target = alloc_pages_node(
		phys, page_to_nid(page),
		GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_RETRY_MAYFAIL | __GFP_NOWARN, order);

	if (!target)
		return !split_for_move(phys, page);
	if (phys->move_ops->move(phys->move_arg, phys, page, target) == 0) {
		stat_add_atomic(&phys->stat, PGMIGRATE_SUCCESS, (u64)1 << order);
	} else {
		stat_add_atomic(&phys->stat, PGMIGRATE_FAIL, (u64)1 << order);
		__free_pages(phys, target, order);
	}
	return true;
}

/* Move what can be moved out of one pageblock's part of the range. */
static void empty_part(struct phys *phys, pfn_t start, pfn_t end)
{
	struct page *page;
	pfn_t pfn;

	pcp_settle_zone(pfn_zone(phys, start));
	if (phys->move_ops->prepare)
		phys->move_ops->prepare(phys->move_arg, phys, start, end);
	for (pfn = start; pfn < end;) {
		page = movable_page(phys, pfn);
		if (!page || move_out(phys, page))
			pfn++;
	}
}

static bool all_free(const struct phys *phys, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	for (pfn = start; pfn < end; pfn++)
		if (!pfn_is_free(phys, pfn))
			return false;
	return true;
}

static bool empty_range(struct phys *phys, pfn_t start, pfn_t end)
{
	unsigned try;
	pfn_t pfn, next;

	for (try = 0; try < EMPTY_TRIES; try++) {
		/* Frames on per-CPU lists go to their pageblocks, where they stay. */
		drain_zone_pages(pfn_zone(phys, start));
		if (all_free(phys, start, end))
			return true;
		if (!phys->move_ops)
			return false;
		for (pfn = start; pfn < end; pfn = next) {
			next = min_u64(end, align_down(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
			empty_part(phys, pfn, next);
		}
	}
	drain_zone_pages(pfn_zone(phys, start));
	return all_free(phys, start, end);
}

void undo_isolate_range(struct phys *phys, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	for (pfn = align_down(start, PAGEBLOCK_PAGES); pfn < end; pfn += PAGEBLOCK_PAGES)
		unset_isolated(pfn_zone(phys, pfn), pfn >> PAGEBLOCK_ORDER);
}

int isolate_range(struct phys *phys, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	for (pfn = align_down(start, PAGEBLOCK_PAGES); pfn < end; pfn += PAGEBLOCK_PAGES)
		set_isolated(pfn_zone(phys, pfn), pfn >> PAGEBLOCK_ORDER);
	if (empty_range(phys, start, end))
		return 0;
	undo_isolate_range(phys, start, end);
	return -PHYS_EBUSY;
}

static void prepare_singles(struct zone *zone, pfn_t start, pfn_t end)
{
	struct pcp *pcp = zone->pcp[phys_this_cpu(zone->phys)];
	pfn_t pfn;

	lock_take(&pcp->lock);
	pcp->allocated += end - start;
	lock_give(&pcp->lock);
	for (pfn = start; pfn < end; pfn++) {
		lock_take(&zone->lock);
		(void)fresh_take(zone->phys, pfn, 0);
		lock_give(&zone->lock);
		(void)prepare_page(zone, pfn, 0);
	}
}

static int take_contig(struct phys *phys, pfn_t start, pfn_t end)
{
	struct zone *zone = pfn_zone(phys, start);
	bool taken;

	if (isolate_range(phys, start, end))
		return -PHYS_EBUSY;
	lock_take(&zone->lock);
	taken = buddy_take_range(zone, start, end);
	lock_give(&zone->lock);
	undo_isolate_range(phys, start, end);
	if (!taken)
		return -PHYS_EBUSY;
	prepare_singles(zone, start, end);
	return 0;
}

int alloc_contig_range(struct phys *phys, pfn_t start, pfn_t end)
{
	int error = -PHYS_EINVAL;

	lock_take(&phys->hotplug_lock);
	if (one_zone(phys, start, end))
		error = take_contig(phys, start, end);
	lock_give(&phys->hotplug_lock);
	return error;
}

void free_contig_range(struct phys *phys, pfn_t start, u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++)
		__free_page(phys, pfn_to_page(phys, start + i));
}

/* The first frame that keeps a range from being taken: of no zone, of another one, or immovable. */
static pfn_t find_obstacle(struct phys *phys, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	for (pfn = start; pfn < end; pfn++) {
		const struct page *page;

		if ((pfn == start || is_aligned(pfn, PAGEBLOCK_PAGES)) &&
		    (!pfn_valid(phys, pfn) || pfn_zone(phys, pfn) != pfn_zone(phys, start)))
			return pfn;
		page = pfn_to_page(phys, pfn);
		if (pfn_is_free(phys, pfn) || page->refcount <= 0)
			continue;
		if (!movable_page(phys, pfn) || !phys->move_ops)
			return pfn;
	}
	return PFN_NONE;
}

pfn_t alloc_contig_pages_locked(struct phys *phys, u64 nr, u64 align, unsigned nid)
{
	const struct node *node = phys->nodes[nid];
	pfn_t first = align_up(node->start_pfn, align), obstacle;
	pfn_t end = node->start_pfn + node->spanned_pages;

	/*
	 * From the top down: low memory is scarce. No range that holds an obstacle will do; one
	 * that looked good and could not be emptied costs too much to try again a frame further.
	 */
	while (end >= first + nr) {
		pfn_t start = align_down(end - nr, align);

		obstacle = find_obstacle(phys, start, start + nr);
		if (obstacle == PFN_NONE && take_contig(phys, start, start + nr) == 0)
			return start;
		end = obstacle == PFN_NONE ? start : obstacle;
	}
	return PFN_NONE;
}

pfn_t alloc_contig_pages(struct phys *phys, u64 nr, u64 align, unsigned nid)
{
	pfn_t pfn;

	lock_take(&phys->hotplug_lock);
	pfn = alloc_contig_pages_locked(phys, nr, align, nid);
	lock_give(&phys->hotplug_lock);
	return pfn;
}
