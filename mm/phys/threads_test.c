/*
 * threads_test.c - threads that allocate, give each other what they have, and drain each other's
 * lists, with locks and with CPUs of their own. Made for the race detector.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "phys/pcp.h"
#include "test/testram.h"

struct worker {
	struct phys *phys;
	unsigned number;
	u64 handed; /* blocks allocated */
};

#define SHELF 64
static struct page *shelf[SHELF]; /* where threads leave blocks for each other */

static void empty_shelf(struct phys *phys)
{
	unsigned i;

	for (i = 0; i < SHELF; i++) {
		if (shelf[i])
			__free_pages(phys, shelf[i], (unsigned)shelf[i]->index);
		shelf[i] = NULL;
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct phys *phys = worker->phys;
	unsigned seed = worker->number + 1, step;

	testram_cpu = worker->number;
	for (step = 0; step < 30000; step++) {
		struct page *page;
		unsigned order;

		seed = seed * 1664525 + 1013904223;
		order = seed >> 16 & 7 ? seed >> 19 & 3 : seed >> 19 & 7;
		page = alloc_pages(
			phys, seed >> 24 & 1 ? GFP_HIGHUSER_MOVABLE | __GFP_NOWARN : GFP_NOWAIT,
			order);
		if (page) {
			worker->handed++;
			page->index = order;
			*(u64 *)page_address(phys, page) = seed;
		}
		page = __atomic_exchange_n(&shelf[seed >> 8 & (SHELF - 1)], page, __ATOMIC_ACQ_REL);
		if (page)
			__free_pages(phys, page, (unsigned)page->index);
	}
	return NULL;
}

static void stress(enum lock_mode mode)
{
	struct testram t;
	struct worker workers[4];
	pthread_t ids[4];
	u64 handed = 0;
	unsigned i;

	testram_boot_cpus(&t, mode);
	for (i = 0; i < 4; i++) {
		workers[i] = (struct worker){ &t.phys, i, 0 };
		pthread_create(&ids[i], NULL, work, &workers[i]);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(ids[i], NULL);
		handed += workers[i].handed;
	}
	assert_true(handed > 100000);
	empty_shelf(&t.phys);
	drain_all_pages(&t.phys);
	phys_check(&t.phys);
	assert_int_equal(nr_free_pages(&t.phys), t.phys.total_pages);
	testram_end(&t);
}

/* --- lists of other CPUs that no lock guards --- */

static u64 fill_list(struct phys *phys, unsigned cpu)
{
	struct page *pages[100];

	testram_cpu = cpu;
	assert_int_equal(alloc_pages_bulk(phys, GFP_KERNEL, 100, pages), 100);
	free_pages_bulk(phys, 100, pages);
	testram_cpu = 0;
	return nr_free_pages(phys) - zone_free_pages(&phys->nodes[0]->zones[ZONE_DMA32]) -
	       zone_free_pages(&phys->nodes[0]->zones[ZONE_DMA]);
}

static void owned_lists_are_drained_by_request(void **state)
{
	struct testram t;
	struct zone *zone = NULL;
	struct page *page;
	u64 listed;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64),
					       .nr_cpus = 3,
					       .locks = LOCK_OWNED,
					       .this_cpu = testram_this_cpu });
	zone = &t.phys.nodes[0]->zones[ZONE_DMA32];
	listed = fill_list(&t.phys, 1);
	assert_true(listed >= 16);

	/* CPU 1 is busy: CPU 0 may only ask. */
	drain_all_pages(&t.phys);
	assert_int_equal(zone_pcp_pages(zone), listed);
	testram_cpu = 2;
	page = alloc_page(&t.phys, GFP_KERNEL);
	testram_cpu = 1;
	__free_page(&t.phys, page);
	drain_zone_pages(zone);
	testram_cpu = 2;
	drain_local_pages(&t.phys);
	testram_cpu = 0;
	assert_int_equal(zone_pcp_pages(zone), 0);

	/* Once the request is served, lists fill again; one that runs empty serves it, too. */
	listed = fill_list(&t.phys, 1);
	assert_true(listed >= 16);
	drain_all_pages(&t.phys);
	testram_cpu = 1;
	page = alloc_page(&t.phys, GFP_KERNEL | __GFP_RECLAIMABLE);
	testram_cpu = 0;
	assert_int_equal(ring_count(&zone->pcp[1]->rings[MIGRATE_UNMOVABLE]), 0);
	__free_page(&t.phys, page);

	/* An idle CPU is drained at once, and is its thread's again afterwards. */
	assert_true(fill_list(&t.phys, 1) >= 16);
	testram_cpu = 1;
	phys_cpu_idle(&t.phys);
	testram_cpu = 0;
	drain_all_pages(&t.phys);
	assert_int_equal(zone_pcp_pages(zone), 0);
	testram_cpu = 1;
	phys_cpu_busy(&t.phys);
	phys_cpu_busy(&t.phys);
	testram_cpu = 0;
	assert_true(fill_list(&t.phys, 1) >= 16);
	phys_check(&t.phys);
	testram_end(&t);
}

/* As work(), but away now and then, so that others may drain. */
static void *work_and_rest(void *arg)
{
	struct worker *worker = arg;
	unsigned round;

	for (round = 0; round < 6; round++) {
		work(arg);
		phys_cpu_idle(worker->phys);
		sched_yield();
		phys_cpu_busy(worker->phys);
	}
	phys_cpu_idle(worker->phys);
	return NULL;
}

static void threads_drain_each_other(void **state)
{
	struct testram t;
	struct worker workers[3];
	pthread_t ids[3];
	unsigned i;

	testram_boot_cpus(&t, LOCK_OWNED);
	for (i = 0; i < 3; i++) {
		workers[i] = (struct worker){ &t.phys, i + 1, 0 };
		pthread_create(&ids[i], NULL, work_and_rest, &workers[i]);
	}
	testram_cpu = 0;
	for (i = 0; i < 2000; i++) {
		drain_all_pages(&t.phys);
		sched_yield();
	}
	for (i = 0; i < 3; i++)
		pthread_join(ids[i], NULL);
	empty_shelf(&t.phys);
	/* All are idle: nothing is out of reach. */
	drain_all_pages(&t.phys);
	phys_check(&t.phys);
	assert_int_equal(zone_free_pages(&t.phys.nodes[0]->zones[ZONE_DMA]) +
				 zone_free_pages(&t.phys.nodes[0]->zones[ZONE_DMA32]),
			 t.phys.total_pages);
	testram_end(&t);
}

static void threads_with_locks(void **state)
{
	stress(LOCK_ON);
}

static void threads_with_cpus_of_their_own(void **state)
{
	stress(LOCK_OWNED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owned_lists_are_drained_by_request),
		cmocka_unit_test(threads_drain_each_other),
		cmocka_unit_test(threads_with_locks),
		cmocka_unit_test(threads_with_cpus_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
