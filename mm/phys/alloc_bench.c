/*
 * alloc_bench.c - ns of thread CPU time to get and to put a block, ours beside three rivals.
 *
 * How     Patterns: repeat (get, put at once), bulk (all, then all back in order), random (all,
 *         then back in random order), each with order 0 and order 9, one thread and two; and random
 *         once more after the free frames were thoroughly mixed. No frame is touched, only what
 *         describes it. The allocators take turns, round by round. A line per measurement: name,
 *         order, pattern, threads, ns of a get, ns of a put; bench/run makes the table.
 *         usage: alloc_bench [MiB] [rounds] [PATTERN]
 * Ours    frames   alloc_frames(): numbers, no struct page
 *         pages    alloc_pages(): one struct page written at each get and at each put
 * Rivals  floor    one list of free frames through an array of 64-byte page structs, no lock
 *         misses   no allocator: reads, checks and writes the struct page at each put, by a call,
 *                  and does nothing at a get but hand out the next; cannot be mixed
 *         buddy    a textbook buddy: a list per order through the page structs, one spin lock
 *         pcp      the same buddy behind a list of up to 512 frames per thread: Linux's structure
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/list.h"
#include "phys/alloc.h"
#include "test/benchseams.h"

#define MAX_THREADS 2

static __thread unsigned thread_cpu;
static unsigned this_cpu(void *arg)
{
	return thread_cpu;
}

/* An allocator under test. */
struct rival {
	const char *name;
	void (*start)(u64 nr_pages, int threads);
	void *(*get)(unsigned order);
	void (*put)(void *block, unsigned order);
	void (*stop)(void);
	int threads; /* most that it can serve */
	unsigned order; /* largest block */
};

/* --- ours --- */

static struct phys phys;
static void *ram;
static size_t ram_bytes;

static void ours_start_model(u64 nr_pages, int threads, enum memory_model model)
{
	struct phys_config config = {
		.nr_pages = nr_pages,
		.nr_cpus = (unsigned)threads,
		.model = model,
		.cpu_node = (const u8[MAX_THREADS]){ 0 },
		.locks = threads > 1 ? LOCK_OWNED : LOCK_OFF,
		.this_cpu = threads > 1 ? this_cpu : NULL,
	};

	ram_bytes = nr_pages * PAGE_SIZE;
	ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	madvise(ram, ram_bytes, MADV_HUGEPAGE);
	config.ram = ram;
	if (ram == MAP_FAILED || phys_boot(&phys, &config))
		abort();
}

static void ours_start(u64 nr_pages, int threads)
{
	ours_start_model(nr_pages, threads, MEMORY_FLAT);
}

static void frames_start(u64 nr_pages, int threads)
{
	ours_start_model(nr_pages, threads, MEMORY_NONE);
}

static void *frames_get(unsigned order)
{
	/* Frame 0 must not look like NULL. */
	return (void *)(uintptr_t)(alloc_frames(&phys,
						GFP_HIGHUSER_MOVABLE | __GFP_MEMALLOC |
							__GFP_NOWARN,
						order) +
				   1);
}

static void frames_put(void *block, unsigned order)
{
	free_frames(&phys, (uintptr_t)block - 1, order);
}

static void *ours_get(unsigned order)
{
	return alloc_pages(&phys, GFP_HIGHUSER_MOVABLE | __GFP_MEMALLOC | __GFP_NOWARN, order);
}

static void ours_put(void *block, unsigned order)
{
	__free_pages(&phys, block, order);
}

static void ours_stop(void)
{
	drain_all_pages(&phys);
	phys_check(&phys);
	munmap(ram, ram_bytes);
}

/* --- rivals: page structs of 64 bytes in one array --- */

static struct page *map;
static u64 map_pages;

static void map_start(u64 nr_pages)
{
	map_pages = nr_pages;
	map = mmap(NULL, nr_pages * sizeof(*map), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		abort();
	madvise(map, nr_pages * sizeof(*map), MADV_HUGEPAGE);
}

static void map_stop(void)
{
	munmap(map, map_pages * sizeof(*map));
}

static struct page *floor_head;

static void floor_start(u64 nr_pages, int threads)
{
	u64 i;

	map_start(nr_pages);
	floor_head = NULL;
	for (i = nr_pages; i-- > 0;) {
		map[i].mapping = floor_head;
		floor_head = &map[i];
	}
}

static void *floor_get(unsigned order)
{
	struct page *page = floor_head;

	if (page) {
		floor_head = page->mapping;
		page->refcount = 1;
	}
	return page;
}

static void floor_put(void *block, unsigned order)
{
	struct page *page = block;

	page->refcount = 0;
	page->mapping = floor_head;
	floor_head = page;
}

/* What a put cannot do without: look whether the page is free, and write that it is. */
static u64 misses_next;

static void misses_start(u64 nr_pages, int threads)
{
	map_start(nr_pages);
	misses_next = 0;
}

static void *misses_get(unsigned order)
{
	struct page *page = &map[misses_next++ % map_pages];

	page->counts = PAGE_ONE_REFERENCE;
	return page;
}

static void misses_put(void *block, unsigned order)
{
	struct page *page = block;

	if (page->counts != PAGE_ONE_REFERENCE || page->flags & PAGE_FLAGS_AT_FREE)
		abort();
	page->counts = 0;
	page->flags = 0;
}

#define FREE_FLAG 1

static struct list_head buddy_lists[NR_PAGE_ORDERS];
static struct lock buddy_lock;

static void buddy_start(u64 nr_pages, int threads)
{
	u64 i;
	int order;

	map_start(nr_pages);
	lock_init(&buddy_lock, RANK_ZONE, LOCK_ON);
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		list_init(&buddy_lists[order]);
	for (i = 0; i < nr_pages; i += 1 << MAX_PAGE_ORDER) {
		map[i].flags = FREE_FLAG;
		map[i].private = MAX_PAGE_ORDER;
		list_add_tail(&map[i].lru, &buddy_lists[MAX_PAGE_ORDER]);
	}
}

static struct page *buddy_get_locked(unsigned order)
{
	unsigned k = order;
	struct page *page;

	while (k <= MAX_PAGE_ORDER && list_empty(&buddy_lists[k]))
		k++;
	if (k > MAX_PAGE_ORDER)
		return NULL;
	page = list_first_entry(&buddy_lists[k], struct page, lru);
	list_del(&page->lru);
	page->flags = 0;
	while (k > order) {
		struct page *half = page + (1ul << --k);

		half->flags = FREE_FLAG;
		half->private = k;
		list_add(&half->lru, &buddy_lists[k]);
	}
	page->refcount = 1;
	return page;
}

static void buddy_put_locked(struct page *page, unsigned order)
{
	u64 pfn = (u64)(page - map);

	page->refcount = 0;
	for (; order < MAX_PAGE_ORDER; order++) {
		struct page *buddy = &map[pfn ^ (1ul << order)];

		if (!(buddy->flags & FREE_FLAG) || buddy->private != order)
			break;
		list_del(&buddy->lru);
		buddy->flags = 0;
		pfn &= ~(1ul << order);
	}
	map[pfn].flags = FREE_FLAG;
	map[pfn].private = order;
	list_add(&map[pfn].lru, &buddy_lists[order]);
}

static void *buddy_get(unsigned order)
{
	struct page *page;

	lock_take(&buddy_lock);
	page = buddy_get_locked(order);
	lock_give(&buddy_lock);
	return page;
}

static void buddy_put(void *block, unsigned order)
{
	lock_take(&buddy_lock);
	buddy_put_locked(block, order);
	lock_give(&buddy_lock);
}

#define PCP_BATCH 63
#define PCP_HIGH  512

static struct pcp_list {
	struct list_head list;
	unsigned count;
	char pad[40];
} pcp_lists[MAX_THREADS];

static void pcp_start(u64 nr_pages, int threads)
{
	int i;

	buddy_start(nr_pages, threads);
	for (i = 0; i < MAX_THREADS; i++) {
		list_init(&pcp_lists[i].list);
		pcp_lists[i].count = 0;
	}
}

static void *pcp_get(unsigned order)
{
	struct pcp_list *pcp = &pcp_lists[thread_cpu];
	struct page *page;

	if (order)
		return buddy_get(order);
	if (!pcp->count) {
		lock_take(&buddy_lock);
		while (pcp->count < PCP_BATCH && (page = buddy_get_locked(0))) {
			list_add_tail(&page->lru, &pcp->list);
			pcp->count++;
		}
		lock_give(&buddy_lock);
		if (!pcp->count)
			return NULL;
	}
	page = list_first_entry(&pcp->list, struct page, lru);
	list_del(&page->lru);
	pcp->count--;
	page->refcount = 1;
	return page;
}

static void pcp_put(void *block, unsigned order)
{
	struct pcp_list *pcp = &pcp_lists[thread_cpu];
	struct page *page = block;
	int i;

	if (order) {
		buddy_put(block, order);
		return;
	}
	page->refcount = 0;
	list_add(&page->lru, &pcp->list);
	if (++pcp->count < PCP_HIGH)
		return;
	lock_take(&buddy_lock);
	for (i = 0; i < PCP_BATCH; i++) {
		page = list_last_entry(&pcp->list, struct page, lru);
		list_del(&page->lru);
		pcp->count--;
		buddy_put_locked(page, 0);
	}
	lock_give(&buddy_lock);
}

static const struct rival rivals[] = {
	{ "floor", floor_start, floor_get, floor_put, map_stop, 1, 0 },
	{ "misses", misses_start, misses_get, misses_put, map_stop, 1, 0 },
	{ "buddy", buddy_start, buddy_get, buddy_put, map_stop, MAX_THREADS, 9 },
	{ "pcp", pcp_start, pcp_get, pcp_put, map_stop, MAX_THREADS, 9 },
	{ "frames", frames_start, frames_get, frames_put, ours_stop, MAX_THREADS, 9 },
	{ "pages", ours_start, ours_get, ours_put, ours_stop, MAX_THREADS, 9 },
};

/* --- patterns --- */

enum pattern { REPEAT, BULK, RANDOM, MIXED, NR_PATTERNS };
static const char *const pattern_names[] = { "repeat", "bulk", "random", "mixed" };

struct run {
	const struct rival *rival;
	enum pattern pattern;
	unsigned order;
	unsigned thread;
	u64 nr; /* blocks */
	void **blocks;
	double get, put; /* ns */
	pthread_barrier_t *barrier;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static u64 random_state = 88172645463325252ull;
static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void shuffle(void **blocks, u64 nr)
{
	u64 i, j, state = random_state;
	void *swap;

	for (i = nr; i > 1; i--) {
		j = next_random(&state) % i;
		swap = blocks[i - 1];
		blocks[i - 1] = blocks[j];
		blocks[j] = swap;
	}
	random_state = state;
}

static u64 get_all(struct run *run)
{
	u64 i;

	for (i = 0; i < run->nr; i++)
		if (!(run->blocks[i] = run->rival->get(run->order)))
			break;
	return i;
}

static void put_all(struct run *run, u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++)
		run->rival->put(run->blocks[i], run->order);
}

static void run_repeat(struct run *run)
{
	double start;
	u64 i, nr = 2000000;

	start = now_ns();
	for (i = 0; i < nr; i++)
		run->rival->put(run->rival->get(run->order), run->order);
	run->get = run->put = (now_ns() - start) / (double)nr / 2;
}

/* Put and get back half of the blocks at random, many times over. */
static void mix(struct run *run, u64 nr)
{
	u64 i, j, state = 12345;

	shuffle(run->blocks, nr);
	for (i = 0; i < nr; i++) {
		j = next_random(&state) % nr;
		run->rival->put(run->blocks[j], run->order);
		run->blocks[j] = run->rival->get(run->order);
	}
}

static void *run_thread(void *arg)
{
	struct run *run = arg;
	/* Large blocks are few: time many passes over them. */
	int pass, passes = run->order ? 64 : 1;
	double start;
	u64 nr;

	thread_cpu = run->thread;
	pthread_barrier_wait(run->barrier);
	if (run->pattern == REPEAT) {
		run_repeat(run);
		return NULL;
	}
	/* Once without looking, so that no page fault of the host is measured. */
	nr = get_all(run);
	if (run->pattern == MIXED)
		mix(run, nr);
	put_all(run, nr);
	pthread_barrier_wait(run->barrier);
	for (pass = 0; pass < passes; pass++) {
		start = now_ns();
		nr = get_all(run);
		run->get += (now_ns() - start) / (double)nr / passes;
		if (run->pattern != BULK)
			shuffle(run->blocks, nr);
		pthread_barrier_wait(run->barrier);
		start = now_ns();
		put_all(run, nr);
		run->put += (now_ns() - start) / (double)nr / passes;
	}
	return NULL;
}

static void run_once(const struct rival *rival, enum pattern pattern, unsigned order, int threads,
		     u64 nr_pages, double *get, double *put)
{
	struct run runs[MAX_THREADS];
	pthread_t ids[MAX_THREADS];
	pthread_barrier_t barrier;
	int i;

	rival->start(nr_pages, threads);
	pthread_barrier_init(&barrier, NULL, (unsigned)threads);
	for (i = 0; i < threads; i++) {
		u64 nr = (nr_pages * 15 / 16 / (u64)threads) >> order;

		runs[i] = (struct run){ rival,	     pattern, order,
					(unsigned)i, nr,      calloc(nr, sizeof(void *)),
					0,	     0,	      &barrier };
		memset(runs[i].blocks, 1, nr * sizeof(void *));
		pthread_create(&ids[i], NULL, run_thread, &runs[i]);
	}
	*get = *put = 0;
	for (i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		*get += runs[i].get / threads;
		*put += runs[i].put / threads;
		free(runs[i].blocks);
	}
	thread_cpu = 0;
	rival->stop();
}

/* One row of the table, round by round. */
static void measure(enum pattern pattern, unsigned order, int threads, u64 nr_pages, int rounds)
{
	double get, put;
	unsigned r;

	while (rounds--) {
		for (r = 0; r < array_size(rivals); r++) {
			if (threads > rivals[r].threads || order > rivals[r].order ||
			    (pattern == MIXED && rivals[r].start == misses_start))
				continue;
			run_once(&rivals[r], pattern, order, threads, nr_pages, &get, &put);
			printf("%s %u %s %d %.2f %.2f\n", rivals[r].name, order,
			       pattern_names[pattern], threads, get, put);
			fflush(stdout);
		}
	}
}

int main(int argc, char **argv)
{
	u64 nr_pages = (argc > 1 ? strtoull(argv[1], NULL, 0) : 4096) << (20 - PAGE_SHIFT);
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	int threads, pattern;
	unsigned order;

	for (order = 0; order <= PAGEBLOCK_ORDER; order += PAGEBLOCK_ORDER)
		for (threads = 1; threads <= MAX_THREADS; threads++)
			for (pattern = 0; pattern < NR_PATTERNS; pattern++)
				if (argc < 4 || !strcmp(argv[3], pattern_names[pattern]))
					measure((enum pattern)pattern, order, threads, nr_pages,
						rounds);
	return 0;
}
