/*
 * pageblock.c - keeps the lists of pageblocks and chooses among them.
 *
 * Holds   Z1, Z2, Z3 of zone.h.
 * Locks   zone->lock guards everything here.
 * Why     Linux: struct free_area, __rmqueue_fallback(), steal_suitable_fallback().
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/buddy.h"
#include "phys/pageblock.h"

/* Written under the lock, read by anyone. */
static void set_mask(struct zone *zone, enum migratetype type, unsigned mask)
{
	__atomic_store_n(&zone->order_mask[type], (u16)mask, __ATOMIC_RELAXED);
}

static void add_count(u64 *count, s64 frames)
{
	__atomic_store_n(count, *count + (u64)frames, __ATOMIC_RELAXED);
}

static inline u32 *list_of(struct zone *zone, u32 id, enum migratetype type, unsigned order)
{
	return order < PAGEBLOCK_ORDER ? &zone->heads[type][order]
				       : &zone->quarters[pageblock_quarter(zone, id)]
						  .heads[type][order - PAGEBLOCK_ORDER];
}

static bool pageblock_is_of(const struct zone *zone, u32 id)
{
	return zone->phys->blocks[id].zone_id == (zone->nid << PAGE_ZONE_BITS | zone->type);
}

static inline void list_block(struct zone *zone, u32 id, enum migratetype type, unsigned order)
{
	struct pageblock *blocks = zone->phys->blocks;
	u32 *list = list_of(zone, id, type, order), head = *list;

	blocks[id].order = (u8)order;
	blocks[id].listed = 1;
	blocks[id].prev = PAGEBLOCK_NIL;
	blocks[id].next = head;
	if (head != PAGEBLOCK_NIL)
		blocks[head].prev = id;
	*list = id;
	if (!(zone->order_mask[type] >> order & 1))
		set_mask(zone, type, zone->order_mask[type] | 1u << order);
}

/* A list of that type and order has become empty. */
static void list_emptied(struct zone *zone, enum migratetype type, unsigned order)
{
	if (order < PAGEBLOCK_ORDER || pageblock_first_whole(zone, type, order) == PAGEBLOCK_NIL)
		set_mask(zone, type, zone->order_mask[type] & ~(1u << order));
}

static inline void unlist_block(struct zone *zone, u32 id)
{
	struct pageblock *blocks = zone->phys->blocks, *block = &blocks[id];
	u32 *head = list_of(zone, id, (enum migratetype)block->migratetype, block->order);

	if (block->next != PAGEBLOCK_NIL)
		blocks[block->next].prev = block->prev;
	if (block->prev != PAGEBLOCK_NIL)
		blocks[block->prev].next = block->next;
	else
		*head = block->next;
	if (*head == PAGEBLOCK_NIL)
		list_emptied(zone, (enum migratetype)block->migratetype, block->order);
	block->listed = 0;
}

/* The other half of the order-10 block, if it is wholly free and would merge; else NIL. */
static inline u32 free_partner(struct zone *zone, u32 id)
{
	const struct pageblock *other;
	u32 partner = id ^ 1;

	if (partner >= zone->phys->nr_blocks)
		return PAGEBLOCK_NIL;
	other = &zone->phys->blocks[partner];
	if (other->zone_id != zone->phys->blocks[id].zone_id || other->nr_free != PAGEBLOCK_PAGES ||
	    other->migratetype != zone->phys->blocks[id].migratetype)
		return PAGEBLOCK_NIL;
	return partner;
}

/* Take the pageblock off its list; a partner that was merged with it goes back to order 9 alone. */
static void detach_block(struct zone *zone, u32 id)
{
	struct pageblock *block = &zone->phys->blocks[id];
	u32 partner = id ^ 1;

	if (block->listed)
		unlist_block(zone, id);
	if (block->order == MAX_PAGE_ORDER) {
		if (zone->phys->blocks[partner].listed)
			unlist_block(zone, partner);
		list_block(zone, partner, (enum migratetype)block->migratetype, PAGEBLOCK_ORDER);
	}
	block->order = PAGEBLOCK_FULL;
}

/* Put a detached pageblock on the list that its free frames call for. */
static inline void attach_block(struct zone *zone, u32 id, unsigned order)
{
	struct pageblock *blocks = zone->phys->blocks;
	enum migratetype type = (enum migratetype)blocks[id].migratetype;
	u32 partner;

	if (order == PAGEBLOCK_ORDER && (partner = free_partner(zone, id)) != PAGEBLOCK_NIL) {
		unlist_block(zone, partner);
		blocks[id].order = MAX_PAGE_ORDER;
		blocks[partner].order = MAX_PAGE_ORDER;
		list_block(zone, id & ~(u32)1, type, MAX_PAGE_ORDER);
		return;
	}
	list_block(zone, id, type, order);
}

void pageblock_refile_slowly(struct zone *zone, u32 id, unsigned order)
{
	if (zone->phys->blocks[id].order != PAGEBLOCK_FULL)
		detach_block(zone, id);
	if (order != PAGEBLOCK_FULL)
		attach_block(zone, id, order);
}

void pageblock_account(struct zone *zone, const struct pageblock *block, s64 frames)
{
	if (unlikely(block->migratetype >= MIGRATE_PCPTYPES)) {
		if (block->migratetype == MIGRATE_ISOLATE)
			return;
		if (block->migratetype == MIGRATE_CMA)
			add_count(&zone->nr_free_cma, frames);
		else
			add_count(&zone->nr_free_highatomic, frames);
	}
	add_count(&zone->free_pages, frames);
}

void pageblock_grown(struct zone *zone, u32 id, unsigned word)
{
	const u64 *words = pageblock_words(zone->phys, id);
	unsigned order = framebits_word_order(words[word]);

	if (order == WORD_ORDER)
		order = framebits_merged(words, word * 64, WORD_ORDER);
	if (order > zone->phys->blocks[id].order)
		pageblock_refile(zone, id, order);
}

/* Recompute after frames were taken. */
void pageblock_shrunk(struct zone *zone, u32 id)
{
	struct pageblock *block = &zone->phys->blocks[id];

	pageblock_refile(zone, id,
			 block->nr_free
				 ? framebits_order(pageblock_words(zone->phys, id), block->nr_free)
				 : PAGEBLOCK_FULL);
}

void pageblock_forget_bits(struct phys *phys, u32 id)
{
	memset(pageblock_words(phys, id), 0, PAGEBLOCK_PAGES / 8);
	phys->blocks[id].filled = 0;
}

/* --- wholly free pageblocks, many at a time --- */

/* Its bits stay as they are: where frames are counted in blocks of 512, nobody looks at them. */
static inline u32 took_whole(struct pageblock *block, u32 id)
{
	block->order = PAGEBLOCK_FULL;
	block->nr_free = 0;
	block->listed = 0;
	block->filled = 1;
	return id << PAGEBLOCK_ORDER;
}

/* From the beginning of one list: singles (order 9), or pairs (10) while both fit. */
static u32 take_from_list(struct zone *zone, enum migratetype type, unsigned quarter,
			  unsigned order, u32 *frames, u32 nr)
{
	struct pageblock *blocks = zone->phys->blocks;
	u32 *list = &zone->quarters[quarter].heads[type][order - PAGEBLOCK_ORDER];
	u32 id = *list, done = 0, each = 1u << (order - PAGEBLOCK_ORDER);

	if (id == PAGEBLOCK_NIL)
		return 0;
	for (; id != PAGEBLOCK_NIL && done + each <= nr; id = blocks[id].next) {
		frames[done++] = took_whole(&blocks[id], id);
		if (each == 2)
			frames[done++] = took_whole(&blocks[id + 1], id + 1);
	}
	*list = id;
	if (id != PAGEBLOCK_NIL)
		blocks[id].prev = PAGEBLOCK_NIL;
	else
		list_emptied(zone, type, order);
	return done;
}

/* Half of a pair. */
static u32 take_half(struct zone *zone, enum migratetype type, u32 *frame)
{
	struct pageblock *blocks = zone->phys->blocks;
	u32 id = pageblock_first_whole(zone, type, MAX_PAGE_ORDER);

	if (id == PAGEBLOCK_NIL)
		return 0;
	unlist_block(zone, id);
	list_block(zone, id + 1, type, PAGEBLOCK_ORDER);
	*frame = took_whole(&blocks[id], id);
	return 1;
}

u32 pageblock_take_whole(struct zone *zone, enum migratetype type, u32 *frames, u32 nr)
{
	unsigned i, quarter;
	u32 done = 0;

	/* One alone shall break no pair; of many, those close by are cheaper. */
	for (i = 0; i < NR_QUARTERS && done < nr; i++) {
		quarter = (zone->quarter + i) % NR_QUARTERS;
		done += take_from_list(zone, type, quarter, PAGEBLOCK_ORDER, frames + done,
				       nr - done);
		done += take_from_list(zone, type, quarter, MAX_PAGE_ORDER, frames + done,
				       nr - done);
	}
	if (done < nr)
		done += take_half(zone, type, frames + done);
	zone_add_free(zone, -(s64)(done * PAGEBLOCK_PAGES));
	return done;
}

void pageblock_give_whole(struct zone *zone, const u32 *frames, u32 nr)
{
	s64 given = 0;
	u32 i, id;

	for (i = 0; i < nr; i++) {
		struct pageblock *block;

		id = frames[i] >> PAGEBLOCK_ORDER;
		block = &zone->phys->blocks[id];
		invariant(Z1, !block->nr_free);
		if (unlikely(!block->filled))
			memset(pageblock_words(zone->phys, id), 0xff, PAGEBLOCK_PAGES / 8);
		block->filled = 0;
		block->nr_free = PAGEBLOCK_PAGES;
		if (likely(block->migratetype < MIGRATE_PCPTYPES))
			given += PAGEBLOCK_PAGES;
		else
			pageblock_account(zone, block, (s64)PAGEBLOCK_PAGES);
		attach_block(zone, id, PAGEBLOCK_ORDER);
	}
	zone_add_free(zone, given);
}

void buddy_set_type(struct zone *zone, u64 id, enum migratetype type)
{
	struct pageblock *block = &zone->phys->blocks[id];
	unsigned nr_free = block->nr_free;

	if (block->migratetype == type)
		return;
	if (block->order != PAGEBLOCK_FULL)
		detach_block(zone, (u32)id);
	pageblock_account(zone, block, -(s64)nr_free);
	__atomic_store_n(&block->migratetype, (u8)type, __ATOMIC_RELAXED);
	pageblock_account(zone, block, (s64)nr_free);
	if (nr_free)
		attach_block(zone, (u32)id,
			     framebits_order(pageblock_words(zone->phys, id), nr_free));
}

/* --- the reserve for high-order requests that cannot wait --- */

void buddy_reserve_highatomic(struct zone *zone, pfn_t pfn)
{
	u64 limit = align_down(zone->managed_pages / 100, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES;
	u64 id = pfn >> PAGEBLOCK_ORDER;

	if (zone->managed_pages / 100 < PAGEBLOCK_PAGES ||
	    zone->nr_reserved_highatomic + PAGEBLOCK_PAGES > limit ||
	    zone->phys->blocks[id].migratetype >= MIGRATE_PCPTYPES)
		return;
	buddy_set_type(zone, id, MIGRATE_HIGHATOMIC);
	zone->nr_reserved_highatomic += PAGEBLOCK_PAGES;
	stat_add_atomic(&zone->phys->stat, QUIRE_HIGHATOMIC_RESERVE, 1);
}

bool buddy_unreserve_highatomic(struct zone *zone, enum migratetype type)
{
	u32 id = pageblock_find(zone, 0, MIGRATE_HIGHATOMIC);

	if (id == PAGEBLOCK_NIL)
		return false;
	buddy_set_type(zone, id, type);
	zone->nr_reserved_highatomic -= PAGEBLOCK_PAGES;
	return true;
}

/* --- fallback: taking from another type --- */

static const u8 fallback_types[MIGRATE_PCPTYPES][2] = {
	[MIGRATE_UNMOVABLE] = { MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE },
	[MIGRATE_MOVABLE] = { MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE },
	[MIGRATE_RECLAIMABLE] = { MIGRATE_UNMOVABLE, MIGRATE_MOVABLE },
};

/*
 * The pageblock of another type to take from. Unmovable and reclaimable requests look for the
 * largest block, to be disturbed once and then filled; small movable ones take the smallest, for
 * they can be moved away again.
 */
static u32 find_fallback(const struct zone *zone, unsigned order, enum migratetype type)
{
	bool smallest = type == MIGRATE_MOVABLE && order < PAGEBLOCK_ORDER / 2;
	u32 id = PAGEBLOCK_NIL;
	unsigned i, mask, best = 0, k;

	for (i = 0; i < array_size(fallback_types[0]); i++) {
		enum migratetype other = (enum migratetype)fallback_types[type][i];

		mask = zone->order_mask[other] >> order;
		if (!mask)
			continue;
		k = smallest ? (unsigned)__builtin_ctz(mask) : log2_floor(mask);
		if (id != PAGEBLOCK_NIL && (smallest ? k >= best : k <= best))
			continue;
		best = k;
		id = pageblock_first(zone, other, order + k);
	}
	return id;
}

/*
 * Whether the pageblock becomes the request's: when at least half of it is free. Linux:
 * steal_suitable_fallback().
 */
static bool should_steal(const struct zone *zone, u32 id, unsigned order, enum migratetype type)
{
	const struct pageblock *block = &zone->phys->blocks[id];

	if (block->order >= PAGEBLOCK_ORDER)
		return true;
	if (type == MIGRATE_MOVABLE && order < PAGEBLOCK_ORDER / 2)
		return false;
	return block->nr_free >= PAGEBLOCK_PAGES / 2;
}

/*
 * Like Linux's boost: keep more free for a while, so that kswapd makes room for the type that was
 * pushed aside.
 */
static void boost_watermark(struct zone *zone)
{
	u64 max_boost = zone->watermark[WMARK_HIGH] * zone->phys->watermark_boost_factor / 10000;

	if (!max_boost || PAGEBLOCK_PAGES * 4 > zone->managed_pages)
		return;
	max_boost = max_u64(max_boost, PAGEBLOCK_PAGES);
	__atomic_store_n(&zone->watermark_boost,
			 min_u64(zone->watermark_boost + PAGEBLOCK_PAGES, max_boost),
			 __ATOMIC_RELAXED);
	/* Linux: ZONE_BOOSTED_WATERMARK, for which rmqueue() wakes kswapd. */
	__atomic_store_n(&zone->node->kswapd_wanted, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&zone->phys->kswapd_wanted, 1, __ATOMIC_RELAXED);
}

static u32 take_fallback(struct zone *zone, unsigned order, enum migratetype type)
{
	u32 id = find_fallback(zone, order, type);
	bool whole;

	if (id == PAGEBLOCK_NIL)
		return id;
	stat_add_atomic(&zone->phys->stat, QUIRE_ALLOC_FALLBACK, 1);
	if (should_steal(zone, id, order, type)) {
		/* A wholly free pageblock changes its type and mixes nothing. */
		whole = zone->phys->blocks[id].order >= PAGEBLOCK_ORDER;
		if (order == MAX_PAGE_ORDER)
			buddy_set_type(zone, id + 1, type);
		buddy_set_type(zone, id, type);
		if (!whole)
			boost_watermark(zone);
		stat_add_atomic(&zone->phys->stat, QUIRE_PAGEBLOCK_STEAL, 1);
	}
	return id;
}

/* Pageblock to take from: own type, the reserves that the flags open, another type. */
u32 pageblock_choose(struct zone *zone, unsigned order, enum migratetype type, unsigned alloc_flags)
{
	u32 id = PAGEBLOCK_NIL;

	/*
	 * CMA before movable once more than half of what is free lies there, so that neither runs
	 * dry alone.
	 */
	if (unlikely(alloc_flags & ALLOC_CMA) && zone->nr_free_cma > zone->free_pages / 2)
		id = pageblock_find(zone, order, MIGRATE_CMA);
	if (id == PAGEBLOCK_NIL)
		id = pageblock_find(zone, order, type);
	if (likely(id != PAGEBLOCK_NIL))
		return id;
	if (alloc_flags & ALLOC_CMA)
		id = pageblock_find(zone, order, MIGRATE_CMA);
	if (id == PAGEBLOCK_NIL)
		id = take_fallback(zone, order, type);
	if (id == PAGEBLOCK_NIL &&
	    (alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_NO_WATERMARKS | ALLOC_OOM)))
		id = pageblock_find(zone, order, MIGRATE_HIGHATOMIC);
	return id;
}

/* --- one pageblock per CPU and type --- */

#define CLAIMED_MAX 8 /* so many claimed pageblocks of a list are passed by */

void pageblock_unclaim(struct zone *zone, u32 *claim)
{
	/* Memory that was taken away may have come back as another zone's. */
	if (*claim != PAGEBLOCK_NIL && pageblock_is_of(zone, *claim))
		zone->phys->blocks[*claim].claimed = 0;
	*claim = PAGEBLOCK_NIL;
}

static u32 find_unclaimed(const struct zone *zone, enum migratetype type)
{
	const struct pageblock *blocks = zone->phys->blocks;
	unsigned mask, passed;
	u32 id;

	for (mask = zone->order_mask[type]; mask; mask &= mask - 1) {
		id = pageblock_first(zone, type, (unsigned)__builtin_ctz(mask));
		for (passed = 0; id != PAGEBLOCK_NIL && passed < CLAIMED_MAX; passed++) {
			if (!blocks[id].claimed)
				return id;
			id = blocks[id].next;
		}
	}
	return PAGEBLOCK_NIL;
}

u32 pageblock_choose_own(struct zone *zone, enum migratetype type, unsigned alloc_flags, u32 *claim)
{
	struct pageblock *blocks = zone->phys->blocks;
	u32 id = *claim;

	if (zone->cma_pages)
		return pageblock_choose(zone, 0, type, alloc_flags);
	if (id != PAGEBLOCK_NIL && pageblock_is_of(zone, id) && blocks[id].nr_free &&
	    blocks[id].migratetype == type)
		return id;
	pageblock_unclaim(zone, claim);
	id = find_unclaimed(zone, type);
	if (id == PAGEBLOCK_NIL)
		return pageblock_choose(zone, 0, type, alloc_flags);
	blocks[id].claimed = 1;
	*claim = id;
	return id;
}

/* --- start and check --- */

void buddy_init(struct zone *zone)
{
	unsigned type, order;

	for (type = 0; type < MIGRATE_TYPES; type++) {
		zone->order_mask[type] = 0;
		for (order = 0; order < PAGEBLOCK_ORDER; order++)
			zone->heads[type][order] = PAGEBLOCK_NIL;
		for (order = 0; order < NR_QUARTERS * 2; order++)
			zone->quarters[order / 2].heads[type][order % 2] = PAGEBLOCK_NIL;
	}
	zone->quarter_bits = QUARTER_MIN_BITS;
	while (zone->spanned_pages >> PAGEBLOCK_ORDER > (u64)NR_QUARTERS << zone->quarter_bits)
		zone->quarter_bits++;
}

/* Z2, Z3 for one pageblock. */
static void check_block(struct zone *zone, u32 id)
{
	struct pageblock *block = &zone->phys->blocks[id];
	const u64 *words = pageblock_words(zone->phys, id);
	bool paired;

	invariant(Z1, framebits_count(words, 0, PAGEBLOCK_PAGES) ==
			      (block->filled ? PAGEBLOCK_PAGES : block->nr_free));
	invariant(Z4, !block->filled || !block->nr_free);
	if (!block->nr_free) {
		invariant(Z2, block->order == PAGEBLOCK_FULL && !block->listed);
		return;
	}
	paired = block->nr_free == PAGEBLOCK_PAGES && free_partner(zone, id) != PAGEBLOCK_NIL;
	invariant(Z3, (block->order == MAX_PAGE_ORDER) == paired);
	if (paired) {
		invariant(Z3, block->listed == !(id & 1));
	} else {
		invariant(Z2, block->listed);
		invariant(Z2, block->order == framebits_order(words, block->nr_free));
	}
}

/* Z2 for one list; returns its length. */
static u64 check_list(struct zone *zone, unsigned type, unsigned order, u32 first)
{
	const struct pageblock *blocks = zone->phys->blocks;
	u64 listed = 0;
	u32 at;

	for (at = first; at != PAGEBLOCK_NIL; at = blocks[at].next) {
		invariant(Z2, blocks[at].order == order);
		invariant(Z2, blocks[at].migratetype == type);
		invariant(Z2, order < PAGEBLOCK_ORDER || pageblock_quarter(zone, at) ==
								 pageblock_quarter(zone, first));
		listed++;
	}
	return listed;
}

void buddy_check(struct zone *zone)
{
	u64 id, listed = 0, free = 0, expect = 0;
	unsigned type, order, quarter;

	for (id = zone->start_pfn >> PAGEBLOCK_ORDER; id << PAGEBLOCK_ORDER < zone_end_pfn(zone);
	     id++) {
		const struct pageblock *block = &zone->phys->blocks[id];

		if (block->zone_id == PAGEBLOCK_NO_ZONE ||
		    pfn_zone(zone->phys, id << PAGEBLOCK_ORDER) != zone)
			continue;
		check_block(zone, (u32)id);
		expect += block->listed;
		free += block->migratetype == MIGRATE_ISOLATE ? 0 : block->nr_free;
	}
	invariant(Z1, free == zone->free_pages);
	for (type = 0; type < MIGRATE_TYPES; type++) {
		for (order = 0; order < NR_PAGE_ORDERS; order++) {
			invariant(Z2, (pageblock_first(zone, (enum migratetype)type, order) !=
				       PAGEBLOCK_NIL) == (zone->order_mask[type] >> order & 1));
			if (order < PAGEBLOCK_ORDER)
				listed += check_list(zone, type, order, zone->heads[type][order]);
			for (quarter = 0; order >= PAGEBLOCK_ORDER && quarter < NR_QUARTERS;
			     quarter++)
				listed += check_list(zone, type, order,
						     zone->quarters[quarter]
							     .heads[type][order - PAGEBLOCK_ORDER]);
		}
	}
	invariant(Z2, listed == expect);
}
