/*
 * buddy_test.c - the free blocks against a naive model: one byte per frame.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "phys/buddy.h"
#include "phys/pageblock.h"
#include "test/testram.h"

#define WORLD MIB(8)

/* What should be free, frame by frame, and the largest blocks that follow from it. */
struct model {
	u8 free[WORLD];
	u64 nr_free;
};

static struct testram t;
static struct zone *zone;
static struct model model;

static void model_take(pfn_t pfn, unsigned order)
{
	pfn_t i;

	assert_int_equal(pfn % ((pfn_t)1 << order), 0);
	for (i = pfn; i < pfn + ((pfn_t)1 << order); i++) {
		assert_int_equal(model.free[i], 1);
		model.free[i] = 0;
	}
	model.nr_free -= (u64)1 << order;
}

static void model_give(pfn_t pfn, unsigned order)
{
	memset(model.free + pfn, 1, (size_t)1 << order);
	model.nr_free += (u64)1 << order;
}

static bool model_has(pfn_t pfn, unsigned order)
{
	pfn_t i;

	for (i = pfn; i < pfn + ((pfn_t)1 << order); i++)
		if (i >= WORLD || !model.free[i])
			return false;
	return true;
}

/* Orders of all largest blocks. */
static void model_area(u64 nr_blocks[NR_PAGE_ORDERS])
{
	pfn_t pfn = 0;
	unsigned order;

	memset(nr_blocks, 0, NR_PAGE_ORDERS * sizeof(nr_blocks[0]));
	while (pfn < WORLD) {
		if (!model.free[pfn]) {
			pfn++;
			continue;
		}
		for (order = 0; order < MAX_PAGE_ORDER; order++)
			if (pfn % ((pfn_t)2 << order) || !model_has(pfn, order + 1))
				break;
		nr_blocks[order]++;
		pfn += (pfn_t)1 << order;
	}
}

static void compare(void)
{
	u64 ours[NR_PAGE_ORDERS], theirs[NR_PAGE_ORDERS];
	pfn_t pfn;

	buddy_check(zone);
	assert_int_equal(zone->free_pages, model.nr_free);
	zone_free_area(zone, ours);
	model_area(theirs);
	assert_memory_equal(ours, theirs, sizeof(ours));
	for (pfn = 0; pfn < WORLD; pfn += 37)
		assert_int_equal(pfn_is_free(&t.phys, pfn), model.free[pfn]);
}

/* A machine of one zone (DMA) with one migrate type, as small machines have. */
static void start(void)
{
	pfn_t pfn;

	testram_boot(&t, (struct phys_config){ .nr_pages = WORLD });
	zone = &t.phys.nodes[0]->zones[ZONE_DMA];
	memset(&model, 0, sizeof(model));
	for (pfn = 0; pfn < WORLD; pfn++)
		model.free[pfn] = pfn_is_free(&t.phys, pfn);
	model.nr_free = zone->free_pages;
	compare();
}

static void random_blocks(void **state)
{
	struct {
		pfn_t pfn;
		unsigned order;
	} held[4096];
	unsigned nr = 0, step, seed = 7, i;

	start();
	for (step = 0; step < 60000; step++) {
		bool take;

		seed = seed * 1664525 + 1013904223;
		take = (seed >> 20) % 16 < (step / 3000 % 2 ? 6u : 10u);
		if (take && nr < array_size(held)) {
			unsigned order =
				(seed >> 8) % 4 ? (seed >> 10) % 4 : (seed >> 10) % NR_PAGE_ORDERS;
			pfn_t pfn = buddy_take(zone, order, MIGRATE_UNMOVABLE, 0);

			if (pfn == PFN_NONE) {
				u64 area[NR_PAGE_ORDERS];

				model_area(area);
				for (i = order; i < NR_PAGE_ORDERS; i++)
					assert_int_equal(area[i], 0);
				continue;
			}
			model_take(pfn, order);
			/* Large ones come back in parts, some of them. */
			for (; order > 5 && seed >> 30 && nr < array_size(held) - 1;
			     pfn += 1u << order) {
				held[nr].pfn = pfn;
				held[nr++].order = --order;
			}
			held[nr].pfn = pfn;
			held[nr++].order = order;
		} else if (nr) {
			i = (seed >> 4) % nr;
			buddy_give(zone, held[i].pfn, held[i].order);
			model_give(held[i].pfn, held[i].order);
			held[i] = held[--nr];
		}
		if (step % 500 == 0)
			compare();
	}
	while (nr--) {
		buddy_give(zone, held[nr].pfn, held[nr].order);
		model_give(held[nr].pfn, held[nr].order);
	}
	compare();
	testram_end(&t);
}

static void places_and_ranges(void **state)
{
	unsigned step, seed = 3;

	start();
	for (step = 0; step < 20000; step++) {
		pfn_t pfn, len;
		unsigned order;

		seed = seed * 1664525 + 1013904223;
		order = (seed >> 24) % 10;
		pfn = align_down((seed >> 8) % WORLD, (pfn_t)1 << order);
		len = (seed >> 3) % 700 + 1;
		if (step % 3 == 0) {
			bool had = model_has(pfn, order);

			assert_int_equal(buddy_take_at(zone, pfn, order), had);
			if (had)
				model_take(pfn, order);
		} else if (step % 3 == 1 && pfn + len <= WORLD) {
			bool had = true;
			pfn_t i;

			for (i = pfn; i < pfn + len; i++)
				had = had && model.free[i];
			assert_int_equal(buddy_take_range(zone, pfn, pfn + len), had);
			for (i = pfn; had && i < pfn + len; i++)
				model_take(i, 0);
		} else if (pfn + ((pfn_t)1 << order) <= WORLD - 512) {
			pfn_t i;

			for (i = pfn; i < pfn + ((pfn_t)1 << order) && !model.free[i]; i++)
				;
			if (i == pfn + ((pfn_t)1 << order)) {
				buddy_give(zone, pfn, order);
				model_give(pfn, order);
			}
		}
		assert_int_equal(buddy_order_at(&t.phys, pfn) >= 0, model.free[pfn]);
		if (step % 200 == 0)
			compare();
	}
	testram_end(&t);
}

/*
 * Every sequence of five operations on eight frames: take order 0 to 3, give back the oldest or the
 * newest block. All else of the zone is taken.
 */
static void exhaustive_small_world(void **state)
{
	const pfn_t base = 1024;
	u32 all[WORLD];
	unsigned sequence, step, nr = 0;
	pfn_t pfn;

	start();
	while (nr < WORLD && buddy_take_singles(zone, MIGRATE_UNMOVABLE, 0, NULL, all + nr, 1))
		nr++;
	memset(model.free, 0, sizeof(model.free));
	model.nr_free = 0;
	buddy_give(zone, base, 3);
	model_give(base, 3);
	for (sequence = 0; sequence < 6 * 6 * 6 * 6 * 6; sequence++) {
		struct {
			pfn_t pfn;
			unsigned order;
		} held[8];
		unsigned n = 0, rest = sequence, i;

		for (step = 0; step < 5; step++, rest /= 6) {
			unsigned op = rest % 6;

			if (op < 4) {
				pfn = buddy_take(zone, op, MIGRATE_UNMOVABLE, 0);
				if (pfn == PFN_NONE) {
					for (i = 0; i < 8; i += 1u << op)
						assert_false(model_has(base + i, op));
					continue;
				}
				model_take(pfn, op);
				held[n].pfn = pfn;
				held[n++].order = op;
			} else if (n) {
				i = op == 4 ? 0 : n - 1;
				buddy_give(zone, held[i].pfn, held[i].order);
				model_give(held[i].pfn, held[i].order);
				for (n--; i < n; i++)
					held[i] = held[i + 1];
			}
			assert_int_equal(zone->free_pages, model.nr_free);
		}
		for (i = 0; i < n; i++) {
			buddy_give(zone, held[i].pfn, held[i].order);
			model_give(held[i].pfn, held[i].order);
		}
		assert_int_equal(buddy_order_at(&t.phys, base), 3);
	}
	compare();
	testram_end(&t);
}

static void double_give_is_caught(void **state)
{
	pfn_t pfn;

	start();
	pfn = buddy_take(zone, 2, MIGRATE_UNMOVABLE, 0);
	buddy_give(zone, pfn, 2);
	EXPECT_PANIC(buddy_give(zone, pfn, 2));
	EXPECT_PANIC(buddy_give(zone, pfn + 1, 0));
	pfn = buddy_take(zone, PAGEBLOCK_ORDER, MIGRATE_UNMOVABLE, 0);
	buddy_give(zone, pfn, PAGEBLOCK_ORDER);
	EXPECT_PANIC(buddy_give(zone, pfn, PAGEBLOCK_ORDER));
	testram_end(&t);
}

/* Batches of order 9 from every quarter: nobody's twice, and free for nobody else while taken. */
static void whole_pageblocks(void **state)
{
	static u8 is_held[MIB(256) / PAGEBLOCK_PAGES];
	u32 held[array_size(is_held)], nr = 0, n, i, step, seed = 5;
	struct phys *phys = &t.phys;
	u64 all;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(256) });
	zone = &phys->nodes[0]->zones[ZONE_DMA32];
	all = zone->free_pages;
	for (step = 0; step < 5000; step++) {
		seed = seed * 1664525 + 1013904223;
		n = (seed >> 8) % 24;
		zone->quarter = seed >> 16 & (NR_QUARTERS - 1);
		if (seed >> 31) {
			n = buddy_take_whole(zone, MIGRATE_MOVABLE, 0, held + nr, n);
			for (i = nr; i < nr + n; i++) {
				assert_false(is_held[held[i] / PAGEBLOCK_PAGES]++);
				assert_false(pfn_is_free(phys, held[i] + seed % PAGEBLOCK_PAGES));
				assert_int_equal(buddy_order_at(phys, held[i]), -1);
				assert_false(buddy_take_at(zone, held[i], seed % 10));
				assert_false(buddy_take_range(zone, held[i] + 100, held[i] + 164));
			}
			nr += n;
			/* Taken as a range it has no bits left. */
			if (n && seed >> 30 & 1) {
				i = held[nr - 1];
				buddy_give_range(zone, i, i + PAGEBLOCK_PAGES);
				assert_true(buddy_take_range(zone, i, i + PAGEBLOCK_PAGES));
			}
		} else {
			n = (u32)min_u64(n, nr);
			nr -= n;
			for (i = nr; i < nr + n; i++)
				is_held[held[i] / PAGEBLOCK_PAGES] = 0;
			buddy_give_whole(zone, held + nr, n);
		}
		assert_int_equal(zone->free_pages, all - nr * PAGEBLOCK_PAGES);
		if (step % 100 == 0)
			buddy_check(zone);
	}
	buddy_give_whole(zone, held, nr);
	buddy_check(zone);
	testram_end(&t);
}

static unsigned cpu;
static unsigned this_cpu(void *arg)
{
	return cpu;
}

/* CPUs take huge blocks from different quarters while they can, and from any when they must. */
static void cpus_keep_apart(void **state)
{
	struct phys *phys = &t.phys;
	struct page *pages[256];
	unsigned quarter, nr[2] = { 0, 0 }, i;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(512),
					       .nr_cpus = 2,
					       .cpu_node = (const u8[]){ 0, 0 },
					       .locks = LOCK_OWNED,
					       .this_cpu = this_cpu });
	zone = &phys->nodes[0]->zones[ZONE_DMA32];
	for (i = 0; i < 120; i++) {
		cpu = i % 2;
		pages[i] = alloc_pages(phys, GFP_HIGHUSER_MOVABLE, PAGEBLOCK_ORDER);
		quarter = pageblock_quarter(zone, (u32)(page_to_pfn(phys, pages[i]) >> 9));
		nr[cpu] += quarter / 2 == cpu;
	}
	assert_int_equal(nr[0], 60);
	assert_int_equal(nr[1], 60);
	while (i--) {
		cpu = i % 2;
		__free_pages(phys, pages[i], PAGEBLOCK_ORDER);
	}
	drain_all_pages(phys);
	cpu = 1;
	for (i = 0; i < 200; i++) {
		pages[i] = alloc_pages(phys, GFP_HIGHUSER_MOVABLE, PAGEBLOCK_ORDER);
		assert_non_null(pages[i]);
	}
	while (i--)
		__free_pages(phys, pages[i], PAGEBLOCK_ORDER);
	phys_check(phys);
	testram_end(&t);
}

/* CPUs take single frames from pageblocks of their own while there are enough. */
static void cpus_share_no_pageblock(void **state)
{
	static u8 users[MIB(64) / PAGEBLOCK_PAGES]; /* bit n: CPU n */
	struct phys *phys = &t.phys;
	struct page *page;
	unsigned i, nr = 0;
	pfn_t pfn;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64),
					       .nr_cpus = 4,
					       .cpu_node = (const u8[]){ 0, 0, 0, 0 },
					       .locks = LOCK_OWNED,
					       .this_cpu = this_cpu });
	for (i = 0; i < 7000; i++) {
		cpu = i % 4;
		pfn = page_to_pfn(phys, alloc_page(phys, GFP_HIGHUSER_MOVABLE));
		users[pfn / PAGEBLOCK_PAGES] |= (u8)(1u << cpu);
	}
	for (i = 0; i < array_size(users); i++)
		assert_int_equal(users[i] & (users[i] - 1), 0);
	phys_check(phys);
	/* And all there is in the end, whoever has claimed it. */
	while ((page = alloc_page(phys, GFP_HIGHUSER_MOVABLE | __GFP_MEMALLOC | __GFP_NOWARN)))
		nr++;
	assert_true(7000 + nr + 3 * 63 >= phys->total_pages);
	phys_check(phys);
	for (cpu = 0; cpu < 4; cpu++)
		drain_local_pages(phys);
	for (i = 0; i < phys->nr_blocks; i++)
		assert_false(phys->blocks[i].claimed);
	testram_end(&t);
}

/* Unmovable requests claim whole pageblocks, and movable ones stay out of them. */
static void types_stay_apart(void **state)
{
	struct phys *phys = &t.phys;
	u64 area[NR_PAGE_ORDERS], blocks;
	struct page *page;
	unsigned i;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	zone = &phys->nodes[0]->zones[ZONE_DMA32];
	for (i = 0; i < 1000; i++) {
		page = alloc_page(phys, i % 2 ? GFP_HIGHUSER_MOVABLE : GFP_KERNEL);
		assert_int_equal(pfn_migratetype(phys, page_to_pfn(phys, page)),
				 i % 2 ? MIGRATE_MOVABLE : MIGRATE_UNMOVABLE);
	}
	zone_free_area_type(zone, MIGRATE_UNMOVABLE, area, &blocks);
	assert_in_range(blocks, 1, 2);
	phys_check(phys);
	testram_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_blocks),	   cmocka_unit_test(places_and_ranges),
		cmocka_unit_test(exhaustive_small_world),  cmocka_unit_test(double_give_is_caught),
		cmocka_unit_test(whole_pageblocks),	   cmocka_unit_test(cpus_keep_apart),
		cmocka_unit_test(cpus_share_no_pageblock), cmocka_unit_test(types_stay_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
