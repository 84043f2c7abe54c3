/*
 * model_test.c - the whole page API against a naive model: an owner for every frame.
 *
 * How     Random calls on machines of several shapes. The model knows only who holds each frame;
 *         it checks that what is handed out was nobody's, carries what its owner wrote in it until
 *         it is given back, and that an allocation fails only when it may. Every so often each
 *         frame of the machine is found in exactly one place: in a free block, on one per-CPU
 *         list, with the owner that the model knows, offline, or reserved at boot.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "phys/compact.h"
#include "phys/contig.h"
#include "phys/hotplug.h"
#include "phys/pcp.h"
#include "test/testram.h"

#define FRAMES_MAX MIB(512)
#define HELD_MAX   20000
#define NOBODY	   0
#define RESERVED   0xfffffffe
#define OFFLINE	   0xfffffffd

enum kind { BLOCK, COMPOUND, EXACT, CONTIG };

struct holding {
	pfn_t pfn;
	u64 nr; /* frames */
	unsigned order;
	enum kind kind;
	bool movable;
	u64 tag; /* in the first word of each frame */
};

static struct testram t;
static struct holding held[HELD_MAX];
static u32 nr_held;
static u32 owner[FRAMES_MAX]; /* NOBODY, 1 + holding, or one of the above */
static u64 nr_owned;
static u64 next_tag, moves, splits;
static u64 random_state;

static u64 roll(u64 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % n;
}

static u64 *word_of(pfn_t pfn)
{
	return pfn_to_virt(&t.phys, pfn);
}

/* --- the model --- */

static void set_owner(pfn_t pfn, u64 nr, u32 who)
{
	pfn_t i;

	for (i = pfn; i < pfn + nr; i++) {
		assert_true(pfn_valid(&t.phys, i));
		assert_true((owner[i] == NOBODY) != (who == NOBODY));
		owner[i] = who;
	}
	nr_owned += who == NOBODY ? 0 - nr : nr;
}

static void hold(pfn_t pfn, u64 nr, unsigned order, enum kind kind, bool movable)
{
	pfn_t i;

	assert_true(nr_held < HELD_MAX);
	held[nr_held] = (struct holding){ pfn, nr, order, kind, movable, ++next_tag };
	set_owner(pfn, nr, ++nr_held);
	for (i = pfn; i < pfn + nr; i++) {
		*word_of(i) = next_tag;
		assert_false(pfn_is_free(&t.phys, i));
	}
}

static void check_content(const struct holding *holding)
{
	pfn_t i;

	for (i = holding->pfn; i < holding->pfn + holding->nr; i++)
		assert_int_equal(*word_of(i), holding->tag);
}

/* Give a holding back the way that its kind is given back. */
static void let_go(u32 which)
{
	struct holding h = held[which];
	struct page *page = pfn_to_page(&t.phys, h.pfn);
	pfn_t i;

	check_content(&h);
	set_owner(h.pfn, h.nr, NOBODY);
	held[which] = held[--nr_held];
	for (i = held[which].pfn; which < nr_held && i < held[which].pfn + held[which].nr; i++)
		owner[i] = which + 1;
	switch (h.kind) {
	case BLOCK:
		if (roll(4))
			__free_pages(&t.phys, page, h.order);
		else
			__free_pages_cold(&t.phys, page, h.order);
		break;
	case COMPOUND:
		put_page(&t.phys, page);
		break;
	case EXACT:
		free_pages_exact(&t.phys, page_address(&t.phys, page), h.nr * PAGE_SIZE);
		break;
	case CONTIG:
		free_contig_range(&t.phys, h.pfn, h.nr);
		break;
	}
}

static int move_holding(void *arg, struct phys *phys, struct page *from, struct page *to)
{
	pfn_t source = page_to_pfn(phys, from), target = page_to_pfn(phys, to), i;
	struct holding *h;

	assert_true(owner[source] != NOBODY);
	if (owner[source] >= OFFLINE)
		return -PHYS_EBUSY;
	h = &held[owner[source] - 1];
	if (!h->movable || h->pfn != source || page_count(from) != 1 || roll(16) == 0)
		return -PHYS_EBUSY;
	assert_int_equal(compound_order(to), h->order);
	check_content(h);
	set_owner(target, h->nr, owner[source]);
	set_owner(source, h->nr, NOBODY);
	h->pfn = target;
	for (i = target; i < target + h->nr; i++)
		*word_of(i) = h->tag;
	put_page(phys, from);
	moves++;
	return 0;
}

static int split_holding(void *arg, struct phys *phys, struct page *head)
{
	pfn_t pfn = page_to_pfn(phys, head), i;
	struct holding *h, *part;

	assert_true(owner[pfn] != NOBODY);
	if (owner[pfn] >= OFFLINE)
		return -PHYS_EBUSY;
	h = &held[owner[pfn] - 1];
	if (!h->movable || h->pfn != pfn || nr_held + h->nr > HELD_MAX)
		return -PHYS_EBUSY;
	split_compound(phys, head);
	for (i = pfn + 1; i < pfn + h->nr; i++) {
		part = &held[nr_held++];
		*part = *h;
		part->pfn = i;
		part->nr = 1;
		part->order = 0;
		part->kind = BLOCK;
		owner[i] = nr_held;
	}
	h->nr = 1;
	h->order = 0;
	h->kind = BLOCK;
	splits++;
	return 0;
}

static const struct move_ops ops = { .move = move_holding, .split = split_holding };

/* Every frame is in exactly one place. */
static void check_conservation(void)
{
	static u8 places[FRAMES_MAX];
	struct phys *phys = &t.phys;
	struct zone *zone;
	unsigned nid, type, cpu, i;
	u64 free = 0;
	pfn_t pfn;
	u32 at;

	memset(places, 0, sizeof(places));
	phys_check(phys);
	for_each_zone(phys, nid, type, zone) {
		for (cpu = 0; cpu < phys->nr_cpus; cpu++) {
			for (i = 0; i < NR_PCP_RINGS; i++) {
				const struct pcp_ring *ring = &zone->pcp[cpu]->rings[i];

				for (at = ring->oldest; at != ring->newest; at++) {
					u64 n = (u64)1 << pcp_ring_order((int)i);

					pfn = ring->frames[at & ring->mask] & ~FRAME_FRESH;
					for (free += n; n--; pfn++)
						places[pfn]++;
				}
			}
		}
	}
	for (pfn = 0; pfn < phys->span_pages; pfn++) {
		free += pfn_is_free(phys, pfn);
		places[pfn] += pfn_is_free(phys, pfn);
		places[pfn] += owner[pfn] != NOBODY;
		assert_int_equal(places[pfn], pfn_valid(phys, pfn) ? 1 : 0);
	}
	assert_int_equal(free, nr_free_pages(phys));
	assert_int_equal(free + nr_owned, phys->present_pages);
}

/* --- the calls --- */

static gfp_t some_gfp(void)
{
	static const gfp_t gfps[] = { GFP_KERNEL,
				      GFP_HIGHUSER_MOVABLE,
				      GFP_HIGHUSER_MOVABLE,
				      GFP_KERNEL | __GFP_RECLAIMABLE,
				      GFP_ATOMIC,
				      GFP_KERNEL | GFP_DMA32,
				      GFP_NOWAIT };
	gfp_t gfp = gfps[roll(array_size(gfps))] | __GFP_NOWARN;

	return roll(8) ? gfp : gfp | __GFP_ZERO;
}

static void assert_zero(pfn_t pfn, u64 nr)
{
	for (; nr--; pfn++) {
		assert_int_equal(*word_of(pfn), 0);
		assert_int_equal(word_of(pfn)[511], 0);
	}
}

static void call_alloc(void)
{
	unsigned order = roll(4) ? (unsigned)roll(4) : (unsigned)roll(NR_PAGE_ORDERS);
	gfp_t gfp = some_gfp() | (roll(2) ? __GFP_COMP : 0);
	struct page *page = alloc_pages_node(&t.phys, (unsigned)roll(t.phys.nr_nodes), gfp, order);
	pfn_t pfn;

	if (!page)
		return;
	pfn = page_to_pfn(&t.phys, page);
	assert_int_equal(pfn % ((u64)1 << order), 0);
	assert_int_equal(page->counts, PAGE_ONE_REFERENCE);
	assert_true(page_zonenum(page) <= gfp_zone(&t.phys, gfp));
	if (gfp & __GFP_ZERO || page_test(page, PG_hostzero))
		assert_zero(pfn, (u64)1 << order);
	hold(pfn, (u64)1 << order, order, gfp & __GFP_COMP && order ? COMPOUND : BLOCK,
	     gfp & __GFP_MOVABLE && (gfp & __GFP_COMP || !order));
}

static void call_bulk(void)
{
	struct page *pages[64];
	u64 nr = roll(64) + 1, got = alloc_pages_bulk(&t.phys, some_gfp(), nr, pages), i;

	assert_true(got <= nr);
	for (i = 0; i < got; i++)
		hold(page_to_pfn(&t.phys, pages[i]), 1, 0, BLOCK, false);
}

/* Takes the last frame that there is: fails only if the model has none left, either. */
static void call_alloc_last(void)
{
	gfp_t gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM) | __GFP_MEMALLOC | __GFP_NOWARN;
	struct page *page = alloc_page(&t.phys, gfp);

	if (page)
		hold(page_to_pfn(&t.phys, page), 1, 0, BLOCK, true);
	else
		assert_int_equal(nr_owned, t.phys.present_pages);
}

static void call_exact(void)
{
	u64 nr = roll(40) + 1;
	void *addr = alloc_pages_exact(&t.phys, nr * PAGE_SIZE, GFP_KERNEL | __GFP_NOWARN);

	if (addr)
		hold(virt_to_pfn(&t.phys, addr), nr, 0, EXACT, false);
}

static void call_at(void)
{
	unsigned order = (unsigned)roll(6);
	pfn_t pfn = align_down(roll(t.phys.span_pages), (pfn_t)1 << order);
	struct page *page = alloc_pages_at(&t.phys, pfn, order, GFP_HIGHUSER_MOVABLE | __GFP_COMP);

	if (page) {
		assert_int_equal(page_to_pfn(&t.phys, page), pfn);
		hold(pfn, (u64)1 << order, order, order ? COMPOUND : BLOCK, true);
	}
}

static void call_contig(void)
{
	u64 nr = roll(700) + 1;
	pfn_t pfn = roll(t.phys.span_pages);

	if (roll(2))
		pfn = alloc_contig_pages(&t.phys, nr, 1, (unsigned)roll(t.phys.nr_nodes));
	else if (alloc_contig_range(&t.phys, pfn, pfn + nr))
		pfn = PFN_NONE;
	if (pfn != PFN_NONE)
		hold(pfn, nr, 0, CONTIG, false);
}

/* References of others come and go; what remains is the owner's. */
static void call_references(u32 which)
{
	struct page *page = pfn_to_page(&t.phys, held[which].pfn + roll(held[which].nr));
	s32 before = page_count(page);

	if (held[which].kind == BLOCK && held[which].order)
		return;
	get_page(page);
	get_page(page);
	put_page(&t.phys, page);
	assert_int_equal(page_count(page), before + 1);
	put_page(&t.phys, page);
	assert_int_equal(page_count(page), before);
}

/* A block becomes single pages, which have to be given back one by one. */
static void call_split(u32 which)
{
	struct holding *h = &held[which];
	struct page *page = pfn_to_page(&t.phys, h->pfn);

	if (h->kind == BLOCK)
		split_page(&t.phys, page, h->order);
	else if (h->kind == COMPOUND)
		split_compound(&t.phys, page);
	else
		return;
	h->kind = CONTIG;
	h->order = 0;
	h->movable = false;
}

static void call_hotplug(void)
{
	pfn_t start = align_down(roll(t.phys.span_pages), PAGEBLOCK_PAGES);

	if (memory_offline(&t.phys, start, PAGEBLOCK_PAGES))
		return;
	set_owner(start, PAGEBLOCK_PAGES, OFFLINE);
	if (roll(2))
		check_conservation();
	assert_int_equal(memory_online(&t.phys, start, PAGEBLOCK_PAGES), 0);
	set_owner(start, PAGEBLOCK_PAGES, NOBODY);
}

static void step(bool filling)
{
	u32 which = nr_held ? (u32)roll(nr_held) : 0;
	u64 dice = roll(1000);

	if (dice < (filling ? 560u : 260u) && nr_held < HELD_MAX - 64) {
		switch (roll(12)) {
		case 0:
			call_bulk();
			break;
		case 1:
			call_exact();
			break;
		case 2:
			call_at();
			break;
		case 3:
			call_alloc_last();
			break;
		default:
			call_alloc();
		}
	} else if (dice < 960) {
		if (nr_held)
			let_go(which);
	} else if (dice < 980 && nr_held) {
		if (roll(2))
			call_references(which);
		else
			call_split(which);
	} else if (dice < 990) {
		drain_local_pages(&t.phys);
	} else if (dice < 994) {
		(void)compact_step(t.phys.nodes[roll(t.phys.nr_nodes)]);
	} else if (dice < 997) {
		call_contig();
	} else {
		call_hotplug();
	}
}

static void start(struct phys_config config)
{
	pfn_t pfn;

	random_state = 88172645463325252ull;
	nr_held = 0;
	nr_owned = 0;
	moves = 0;
	splits = 0;
	testram_boot(&t, config);
	t.phys.move_ops = &ops;
	assert_true(t.phys.max_pages <= FRAMES_MAX);
	for (pfn = 0; pfn < FRAMES_MAX; pfn++) {
		owner[pfn] = NOBODY;
		if (pfn_valid(&t.phys, pfn) && !pfn_is_free(&t.phys, pfn)) {
			owner[pfn] = RESERVED;
			nr_owned++;
		}
	}
	assert_int_equal(nr_owned, t.phys.reserved_pages);
	check_conservation();
}

static void run(struct phys_config config, unsigned steps)
{
	u64 reserved;
	unsigned i;

	start(config);
	reserved = nr_owned;
	/* Most memory is still known to be zero: what each call makes of that shows later. */
	for (i = 0; i < 10; i++) {
		call_contig();
		call_at();
		call_hotplug();
	}
	while (nr_held)
		let_go(0);
	for (i = 0; i < steps; i++) {
		step(i / 2500 % 2 == 0);
		if (i % 1000 == 999)
			check_conservation();
	}
	/* To the very last frame, and all the way back. */
	while (nr_owned < t.phys.present_pages && nr_held < HELD_MAX)
		call_alloc_last();
	check_conservation();
	while (nr_held)
		let_go((u32)roll(nr_held));
	drain_all_pages(&t.phys);
	check_conservation();
	assert_int_equal(nr_owned, reserved);
	assert_int_equal(nr_free_pages(&t.phys), t.phys.total_pages);
	assert_true(moves > 0);
	testram_end(&t);
}

static void one_node(void **state)
{
	run((struct phys_config){ .nr_pages = MIB(64) }, 20000);
	assert_true(splits > 0);
}

static void one_migrate_type(void **state)
{
	run((struct phys_config){ .nr_pages = MIB(32), .debug = PHYS_NO_MOBILITY | PHYS_POISON },
	    5000);
}

static void three_nodes_with_holes(void **state)
{
	static const struct phys_range ranges[] = {
		{ 0, MIB(20), 0 },
		{ MIB(32), MIB(8), 1 },
		{ MIB(300), MIB(34), 2 },
	};
	static const enum memory_model models[] = { MEMORY_FLAT, MEMORY_DISCONTIG, MEMORY_SPARSE };
	unsigned i;

	for (i = 0; i < array_size(models); i++)
		run((struct phys_config){ .nr_pages = MIB(334),
					  .ranges = ranges,
					  .nr_ranges = 3,
					  .movable_pages = MIB(16),
					  .model = models[i] },
		    10000);
}

static void lists_with_locks(void **state)
{
	run((struct phys_config){ .nr_pages = MIB(64), .nr_cpus = 2, .locks = LOCK_ON }, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_node),
		cmocka_unit_test(one_migrate_type),
		cmocka_unit_test(three_nodes_with_holes),
		cmocka_unit_test(lists_with_locks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
