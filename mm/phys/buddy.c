/*
 * buddy.c - takes and gives blocks of free frames, as bits.
 *
 * How     Taking asks pageblock.c for a pageblock and framebits.c for the place in it, clears the
 *         bits and has the pageblock refiled. Giving sets bits; how far the block merges says
 *         whether the pageblock changes lists.
 * Holds   Z1, Z2, Z3 of zone.h.
 * Locks   zone->lock guards everything here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/buddy.h"
#include "phys/pageblock.h"

/* --- taking --- */

/* Take a block of `order` (0 to 10) from the listed pageblock, which has one. */
static pfn_t take_from_block(struct zone *zone, u32 id, unsigned order)
{
	struct phys *phys = zone->phys;
	pfn_t pfn = (pfn_t)id << PAGEBLOCK_ORDER;
	u32 last = order == MAX_PAGE_ORDER ? id + 1 : id, i;

	if (order < PAGEBLOCK_ORDER) {
		pfn += framebits_find(pageblock_words(phys, id), order);
		framebits_clear(phys->free_bits, pfn, order);
		phys->blocks[id].nr_free -= (u16)(1u << order);
		pageblock_account(zone, &phys->blocks[id], -(s64)(1u << order));
		pageblock_shrunk(zone, id);
		return pfn;
	}
	for (i = id; i <= last; i++) {
		pageblock_account(zone, &phys->blocks[i], -(s64)PAGEBLOCK_PAGES);
		pageblock_refile(zone, i, PAGEBLOCK_FULL);
		phys->blocks[i].nr_free = 0;
		phys->blocks[i].filled = 1;
	}
	return pfn;
}

pfn_t buddy_take(struct zone *zone, unsigned order, enum migratetype type, unsigned alloc_flags)
{
	u32 id = PAGEBLOCK_NIL;

	if (unlikely(alloc_flags & ALLOC_HIGHATOMIC) && order > 0)
		id = pageblock_find(zone, order, MIGRATE_HIGHATOMIC);
	if (id == PAGEBLOCK_NIL)
		id = pageblock_choose(zone, order, type, alloc_flags);
	return id == PAGEBLOCK_NIL ? PFN_NONE : take_from_block(zone, id, order);
}

u32 buddy_take_whole(struct zone *zone, enum migratetype type, unsigned alloc_flags, u32 *out,
		     u32 nr)
{
	u32 done = 0;
	pfn_t pfn;

	if (likely(!zone->cma_pages))
		done = pageblock_take_whole(zone, type, out, nr);
	for (; done < nr; done++) {
		pfn = buddy_take(zone, PAGEBLOCK_ORDER, type, alloc_flags);
		if (pfn == PFN_NONE)
			break;
		out[done] = (u32)pfn;
	}
	return done;
}

/* Some fresh bits were cleared: remember it if these were the last. */
static void fresh_cleared(struct phys *phys, u64 id)
{
	const u64 *words = phys->fresh_bits + id * PAGEBLOCK_WORDS;
	u64 any = 0;
	unsigned i;

	for (i = 0; i < PAGEBLOCK_WORDS; i++)
		any |= words[i];
	if (!any)
		__atomic_store_n(&phys->blocks[id].fresh, 0, __ATOMIC_RELAXED);
}

/* Move up to nr frames of one word to out[]; returns how many. */
static unsigned take_word(struct phys *phys, u64 word_index, u32 *out, unsigned nr)
{
	u64 word = phys->free_bits[word_index], left = word;
	u64 fresh = fresh_in_block(phys, word_index / PAGEBLOCK_WORDS)
			    ? phys->fresh_bits[word_index]
			    : 0;
	u32 base = (u32)(word_index * 64), n = 0;

	while (left && n < nr) {
		unsigned bit = (unsigned)__builtin_ctzll(left);

		out[n++] = (base + bit) | (fresh >> bit & 1 ? FRAME_FRESH : 0);
		left &= left - 1;
	}
	phys->free_bits[word_index] = left;
	if (fresh)
		__atomic_store_n(&phys->fresh_bits[word_index], fresh & ~(word & ~left),
				 __ATOMIC_RELAXED);
	return n;
}

unsigned buddy_take_singles(struct zone *zone, enum migratetype type, unsigned alloc_flags,
			    u32 *claim, u32 *out, unsigned nr)
{
	struct phys *phys = zone->phys;
	unsigned done = 0, before, i;
	u32 id;

	while (done < nr) {
		id = claim ? pageblock_choose_own(zone, type, alloc_flags, claim)
			   : pageblock_choose(zone, 0, type, alloc_flags);
		if (id == PAGEBLOCK_NIL)
			break;
		before = done;
		for (i = 0; i < PAGEBLOCK_WORDS && done < nr; i++)
			done += take_word(phys, id * PAGEBLOCK_WORDS + i, out + done, nr - done);
		if (unlikely(fresh_in_block(phys, id)))
			fresh_cleared(phys, id);
		phys->blocks[id].nr_free -= (u16)(done - before);
		pageblock_account(zone, &phys->blocks[id], -(s64)(done - before));
		pageblock_shrunk(zone, id);
	}
	return done;
}

bool buddy_take_at(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct phys *phys = zone->phys;
	u32 id = (u32)(pfn >> PAGEBLOCK_ORDER);

	if (phys->blocks[id].migratetype == MIGRATE_ISOLATE || !phys->blocks[id].nr_free)
		return false;
	if (order >= WORD_ORDER)
		return buddy_take_range(zone, pfn, pfn + ((pfn_t)1 << order));
	if ((phys->free_bits[pfn / 64] >> pfn % 64 & run_mask(order)) != run_mask(order))
		return false;
	framebits_clear(phys->free_bits, pfn, order);
	phys->blocks[id].nr_free -= (u16)(1u << order);
	pageblock_account(zone, &phys->blocks[id], -(s64)(1u << order));
	pageblock_shrunk(zone, id);
	return true;
}

/* --- giving --- */

/*
 * Set bits of one word, and refile the pageblock if a larger block than it had has formed. Whether
 * one has is a single question, and the answer is nearly always no: is there a run of the next
 * order in the word (or, if all of `mask` lies around `bit`, there)?
 * Returns the pageblock, whose frames the caller still has to account.
 */
static always_inline struct pageblock *give_word(struct zone *zone, u64 at, u64 mask,
						 unsigned frames, int bit)
{
	struct phys *phys = zone->phys;
	u32 id = (u32)(at / PAGEBLOCK_WORDS);
	struct pageblock *block = &phys->blocks[id];
	u64 word;

	if (unlikely(block->order == PAGEBLOCK_FULL))
		pageblock_begin_giving(phys, id);
	word = phys->free_bits[at];
	invariant(Z1, !(word & mask));
	word |= mask;
	phys->free_bits[at] = word;
	block->nr_free += (u16)frames;
	if (unlikely(block->order == PAGEBLOCK_FULL))
		pageblock_refile(zone, id, framebits_word_order(word));
	else if (block->order >= WORD_ORDER ? word == ~(u64)0
		 : bit >= 0 ? framebits_in_run(word, (unsigned)bit, block->order + 1u)
			    : framebits_has_run(word, block->order + 1u))
		pageblock_grown(zone, id, (unsigned)(at % PAGEBLOCK_WORDS));
	return block;
}

static void give_small(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct pageblock *block =
		give_word(zone, pfn / 64, run_mask(order) << pfn % 64, 1u << order, pfn % 64);

	pageblock_account(zone, block, (s64)(1u << order));
}

void buddy_give_singles(struct zone *zone, const u32 *entries, u32 nr)
{
	u32 i = 0, given = 0;

	while (i < nr) {
		u32 entry = entries[i], n = 0;
		u64 at = (entry & ~FRAME_FRESH) / 64, mask = 0, bit;
		struct pageblock *block;

		do {
			bit = (u64)1 << entry % 64;
			if (unlikely(entry & FRAME_FRESH))
				fresh_put(zone->phys, entry & ~FRAME_FRESH);
			invariant(Z1, !(mask & bit));
			mask |= bit;
			n++;
			entry = ++i < nr ? entries[i] : ~(u32)0;
		} while (entry / 64 == at);
		block = n == 1 ? give_word(zone, at, mask, 1, (int)(entries[i - 1] % 64))
			       : give_word(zone, at, mask, n, -1);
		if (likely(block->migratetype < MIGRATE_PCPTYPES))
			given += n;
		else
			pageblock_account(zone, block, n);
	}
	zone_add_free(zone, given);
}

/* Set the bits of [start, end), which lie in one pageblock. */
static void give_in_block(struct zone *zone, pfn_t start, pfn_t end)
{
	struct phys *phys = zone->phys;
	u32 id = (u32)(start >> PAGEBLOCK_ORDER);
	struct pageblock *block = &phys->blocks[id];
	pfn_t pfn, next;

	pageblock_begin_giving(phys, id);
	for (pfn = start; pfn < end; pfn = next) {
		u64 mask;

		next = min_u64(end, align_down(pfn, 64) + 64);
		mask = range_mask(pfn, next);
		invariant(Z1, !(phys->free_bits[pfn / 64] & mask));
		phys->free_bits[pfn / 64] |= mask;
	}
	block->nr_free += (u16)(end - start);
	pageblock_account(zone, block, (s64)(end - start));
	if (block->order < PAGEBLOCK_ORDER || block->order == PAGEBLOCK_FULL)
		pageblock_refile(zone, id,
				 framebits_order(pageblock_words(phys, id), block->nr_free));
}

void buddy_give_range(struct zone *zone, pfn_t start, pfn_t end)
{
	pfn_t next;

	for (; start < end; start = next) {
		next = min_u64(end, align_down(start, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
		give_in_block(zone, start, next);
	}
}

void buddy_give_whole(struct zone *zone, const u32 *frames, u32 nr)
{
	pageblock_give_whole(zone, frames, nr);
}

void buddy_give(struct zone *zone, pfn_t pfn, unsigned order)
{
	u32 frame = (u32)pfn;

	if (order < WORD_ORDER)
		give_small(zone, pfn, order);
	else if (order == PAGEBLOCK_ORDER)
		buddy_give_whole(zone, &frame, 1);
	else
		buddy_give_range(zone, pfn, pfn + ((pfn_t)1 << order));
}

/* --- ranges, places, freshness --- */

static void take_in_block(struct zone *zone, pfn_t start, pfn_t end)
{
	struct phys *phys = zone->phys;
	u32 id = (u32)(start >> PAGEBLOCK_ORDER);
	pfn_t pfn, next;

	for (pfn = start; pfn < end; pfn = next) {
		u64 mask;

		next = min_u64(end, align_down(pfn, 64) + 64);
		mask = range_mask(pfn, next);
		phys->free_bits[pfn / 64] &= ~mask;
	}
	phys->blocks[id].nr_free -= (u16)(end - start);
	pageblock_account(zone, &phys->blocks[id], -(s64)(end - start));
	pageblock_shrunk(zone, id);
}

bool buddy_take_range(struct zone *zone, pfn_t start, pfn_t end)
{
	pfn_t pfn, next;

	for (pfn = start; pfn < end; pfn = next) {
		next = min_u64(end, align_down(pfn, 64) + 64);
		if (!pfn_to_block(zone->phys, pfn)->nr_free ||
		    framebits_count(zone->phys->free_bits, pfn, next - pfn) != next - pfn)
			return false;
	}
	for (pfn = start; pfn < end; pfn = next) {
		next = min_u64(end, align_down(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
		take_in_block(zone, pfn, next);
	}
	return true;
}

int buddy_order_at(const struct phys *phys, pfn_t pfn)
{
	const u64 *words = phys->free_bits + (pfn >> PAGEBLOCK_ORDER) * PAGEBLOCK_WORDS;

	if (!pfn_is_free(phys, pfn))
		return -1;
	if (pfn_to_block(phys, pfn)->order == MAX_PAGE_ORDER)
		return MAX_PAGE_ORDER;
	return (int)framebits_merged(words, (unsigned)(pfn % PAGEBLOCK_PAGES), 0);
}

bool fresh_take(struct phys *phys, pfn_t pfn, unsigned order)
{
	u64 *word = phys->fresh_bits + pfn / 64, mask = run_mask(order)
							<< (order < WORD_ORDER ? pfn % 64 : 0);
	u64 all = mask;
	unsigned i, nr = order < WORD_ORDER ? 1 : 1u << (order - WORD_ORDER);

	for (i = 0; i < nr; i++) {
		all &= word[i];
		if (word[i])
			__atomic_store_n(&word[i], word[i] & ~mask, __ATOMIC_RELAXED);
	}
	for (i = 0; i < (order > PAGEBLOCK_ORDER ? 2u : 1u); i++)
		fresh_cleared(phys, (pfn >> PAGEBLOCK_ORDER) + i);
	return all == mask;
}

bool fresh_any_in_bits(const struct phys *phys, pfn_t pfn, unsigned order)
{
	const u64 *word = phys->fresh_bits + pfn / 64;
	u64 mask = run_mask(order) << (order < WORD_ORDER ? pfn % 64 : 0), any = 0;
	unsigned i, nr = order < WORD_ORDER ? 1 : 1u << (order - WORD_ORDER);

	for (i = 0; i < nr; i++)
		any |= __atomic_load_n(&word[i], __ATOMIC_RELAXED);
	return any & mask;
}

void fresh_put(struct phys *phys, pfn_t pfn)
{
	u64 *word = phys->fresh_bits + pfn / 64;

	__atomic_store_n(word, *word | (u64)1 << pfn % 64, __ATOMIC_RELAXED);
	__atomic_store_n(&pfn_to_block(phys, pfn)->fresh, 1, __ATOMIC_RELAXED);
}

void fresh_put_range(struct phys *phys, pfn_t start, pfn_t end)
{
	pfn_t next;

	for (; start < end; start = next) {
		next = min_u64(end, align_down(start, 64) + 64);
		phys->fresh_bits[start / 64] |= range_mask(start, next);
		phys->blocks[start >> PAGEBLOCK_ORDER].fresh = 1;
	}
}
