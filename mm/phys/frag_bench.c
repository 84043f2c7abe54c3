/*
 * frag_bench.c - how much of the free memory huge pages can use, after a long mix of lifetimes.
 *
 * How     1 GiB, 80 to 97 % full, at the end 90: blocks of order 0 to 3, of which 70 % are movable,
 *         20 % not, 10 % reclaimable; half of the frees hit the most recent quarter. After `steps`
 *         allocations and frees, the share of free frames that lie in free blocks of order 9 or
 *         more, before and after compaction; with migrate types and without. No frame is touched:
 *         moving copies no content. Two lines: name, % before, % after, pages moved, ms of
 *         compaction; bench/run makes a table of them. It fails unless compaction makes at least
 *         twice as much usable with migrate types as without, and so is a unit test, too.
 *         usage: frag_bench [steps]
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "phys/compact.h"
#include "test/benchseams.h"

#define PAGES	 ((u64)1 << 18)
#define HELD_MAX 400000

struct block {
	struct page *page;
	u8 order;
	bool movable;
};

static struct phys phys;
static struct block held[HELD_MAX];
static u64 nr_held, nr_pages;

static int move_block(void *arg, struct phys *p, struct page *from, struct page *to)
{
	struct block *block = &held[from->index];

	if (block->page != from || !block->movable)
		return -PHYS_EBUSY;
	to->index = from->index;
	block->page = to;
	put_page(p, from);
	return 0;
}

static int split_block(void *arg, struct phys *p, struct page *head)
{
	struct block *block = &held[head->index];
	u64 index = head->index, i;

	if (block->page != head || !block->movable || nr_held + 8 > HELD_MAX)
		return -PHYS_EBUSY;
	split_compound(p, head);
	head->index = index;
	for (i = 1; i < (u64)1 << block->order; i++) {
		head[i].index = nr_held;
		held[nr_held++] = (struct block){ head + i, 0, true };
	}
	block->order = 0;
	return 0;
}

static const struct move_ops ops = { .move = move_block, .split = split_block };

static u64 random_state = 88172645463325252ull;
static u64 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 11;
}

static bool take(void)
{
	u64 dice = next_random() % 100;
	gfp_t gfp = dice < 70	? GFP_HIGHUSER_MOVABLE
		    : dice < 90 ? GFP_KERNEL
				: GFP_KERNEL | __GFP_RECLAIMABLE;
	unsigned order = next_random() % 8 ? 0 : (unsigned)(next_random() % 4);
	struct page *page;

	gfp = (gfp & ~__GFP_RECLAIM) | __GFP_NOWARN | (order ? __GFP_COMP : 0);
	page = nr_held < HELD_MAX ? alloc_pages(&phys, gfp, order) : NULL;
	if (!page)
		return false;
	page->index = nr_held;
	held[nr_held++] = (struct block){ page, (u8)order, dice < 70 };
	nr_pages += (u64)1 << order;
	return true;
}

static void give(u64 i)
{
	nr_pages -= (u64)1 << held[i].order;
	put_page(&phys, held[i].page);
	held[i] = held[--nr_held];
	if (i < nr_held)
		held[i].page->index = i;
}

/* Every other free hits the most recent quarter. */
static void give_one(void)
{
	u64 span = next_random() % 2 ? nr_held / 4 + 1 : nr_held;

	if (nr_held)
		give(nr_held - 1 - next_random() % span);
}

/* The load swings between 80 and 97 % of memory and ends at 90. */
static void mix(u64 steps)
{
	u64 low = phys.total_pages * 80 / 100, high = phys.total_pages * 97 / 100, i;
	bool filling = true;

	for (i = 0; i < steps; i++) {
		if (nr_pages > high)
			filling = false;
		if (nr_pages < low)
			filling = true;
		if (next_random() % 8 < (filling ? 5u : 3u)) {
			if (!take())
				filling = false;
		} else {
			give_one();
		}
	}
	while (nr_pages < phys.total_pages * 90 / 100 && take())
		;
	while (nr_pages > phys.total_pages * 90 / 100)
		give(next_random() % nr_held);
}

static double usable(void)
{
	struct zone *zone = &phys.nodes[0]->zones[ZONE_DMA32];

	drain_all_pages(&phys);
	return 100.0 - unusable_free_index(zone, 9) / 10.0;
}

/* Returns the share after compaction. */
static double run(const char *name, unsigned debug, u64 steps)
{
	struct phys_config config = { .nr_pages = PAGES, .debug = debug };
	double before, after, ms;
	struct timespec a, b;

	config.ram = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (config.ram == MAP_FAILED || phys_boot(&phys, &config))
		abort();
	phys.move_ops = &ops;
	nr_held = nr_pages = 0;
	random_state = 88172645463325252ull;
	mix(steps);
	before = usable();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	compact_all(&phys);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
	after = usable();
	phys_check(&phys);
	printf("%s %.1f %.1f %lu %.1f\n", name, before, after,
	       (unsigned long)phys.stat.v[PGMIGRATE_SUCCESS], ms);
	munmap(config.ram, PAGES * PAGE_SIZE);
	return after;
}

int main(int argc, char **argv)
{
	u64 steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
	double types = run("types", 0, steps), one = run("one-type", PHYS_NO_MOBILITY, steps);

	if (types >= 2 * one)
		return 0;
	fprintf(stderr, "migrate types keep %.1f %% usable, one type %.1f %%\n", types, one);
	return 1;
}
