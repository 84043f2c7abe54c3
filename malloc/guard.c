/*
 * guard.c - guard pages, quarantine and random placement.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard.h"
#include "classes.h"
#include "lock.h"
#include "report.h"
#include "slab.h"
#include "span.h"

#include <string.h>

#define GUARD_ONE_IN 64
#define GUARDS_MOST  4096 /* each costs the kernel two mappings */
#define RING	     1024
#define GUARD_RING   256
#define RANDOM_FROM  16
#define FILL	     0xa5

/* A guarded run's tag: marked, with what was asked for. */
#define MARK ((uint64_t)1 << 63)

static struct lock lock;
static uint64_t random_state;
static unsigned live;

static struct held {
	void *block;
	unsigned class;
} ring[RING];
static void *guard_ring[GUARD_RING];
static unsigned ring_at, guard_ring_at;

/* locked: guard. */
static uint32_t random_next(void)
{
	if (!random_state)
		random_state = os_random() | 1;
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33);
}

static bool chosen(size_t bytes, size_t align)
{
	bool yes;

	if (bytes > PAGE_BYTES || align > PAGE_BYTES)
		return false;
	lock_take(&lock);
	yes = live < GUARDS_MOST && random_next() % GUARD_ONE_IN == 0;
	live += yes;
	lock_give(&lock);
	return yes;
}

static size_t offset_for(size_t bytes, size_t align)
{
	return (PAGE_BYTES - bytes) & ~((align < ALIGN_MIN ? ALIGN_MIN : align) - 1);
}

void *guard_alloc(size_t bytes, size_t align)
{
	size_t offset;
	bool zeroed;
	char *page;

	bytes += !bytes; /* a block of no bytes is one all the same */
	offset = offset_for(bytes, align);
	if (!chosen(bytes, align))
		return NULL;
	page = span_take(2, 1, SPAN_TIGHT, &zeroed);
	if (!page)
		return NULL;
	os_guard(page + PAGE_BYTES, PAGE_BYTES);
	if (!zeroed)
		memset(page, 0, PAGE_BYTES);
	memset(page + offset + bytes, FILL, PAGE_BYTES - offset - bytes);
	tag_at(page_of(page))->sample = MARK | bytes << 16 | offset;
	return page + offset;
}

/* The tag of the guarded run that block is in; stops the program if it does not start there. */
static struct tag *guarded(const void *block)
{
	size_t page = page_of(block);
	struct tag *t;

	if (!heap_base || !zone_has(&heap.pages, block) || page >= spans.top)
		return NULL;
	t = tag_at(page);
	if (!t->first || t->state != SPAN_USED || !(t->sample & MARK))
		return NULL;
	if ((t->sample & 0xffff) != ((uintptr_t)block & (PAGE_BYTES - 1)))
		report_invalid_free(block);
	return t;
}

size_t guard_usable(const void *block)
{
	struct tag *t = guarded(block);

	return t ? (size_t)((t->sample & ~MARK) >> 16) : 0;
}

static void check_slack(const char *block, size_t bytes)
{
	const char *end = (const char *)round_up((uintptr_t)block + bytes, PAGE_BYTES);

	for (const char *at = block + bytes; at < end; at++)
		if ((unsigned char)*at != FILL)
			report_overflow(block);
}

static void release(char *page)
{
	if (page && os_commit(page, 2 * PAGE_BYTES) && !span_give(page))
		report_invalid_free(page);
}

bool guard_free(void *block)
{
	struct tag *t = guarded(block);
	char *page = (char *)((uintptr_t)block & ~(PAGE_BYTES - 1)), *oldest;

	if (!t)
		return false;
	if (t->dirty == 2)
		report_double_free(block);
	check_slack(block, guard_usable(block));
	t->dirty = 2;
	os_guard(page, PAGE_BYTES);
	lock_take(&lock);
	oldest = guard_ring[guard_ring_at % GUARD_RING];
	guard_ring[guard_ring_at++ % GUARD_RING] = page;
	live -= oldest != NULL;
	lock_give(&lock);
	release(oldest);
	return true;
}

static void check_zero(const char *block, size_t bytes)
{
	for (size_t i = sizeof(uint64_t); i < bytes; i++)
		if (block[i])
			report_written(block);
	if (!is_marked(block))
		report_written(block);
}

void guard_quarantine(void *block, unsigned class)
{
	struct held old;

	memset((char *)block + sizeof(uint64_t), 0, class_info[class].bytes - sizeof(uint64_t));
	lock_take(&lock);
	old = ring[ring_at % RING];
	ring[ring_at++ % RING] = (struct held){ block, class };
	lock_give(&lock);
	if (!old.block)
		return;
	check_zero(old.block, class_info[old.class].bytes);
	slab_give(old.class, &old.block, 1);
}

bool guard_holds(const void *block)
{
	bool found = false;

	lock_take(&lock);
	for (unsigned i = 0; i < RING && !found; i++)
		found = ring[i].block == block;
	lock_give(&lock);
	return found;
}

void *guard_draw(unsigned class)
{
	void *slot[RANDOM_FROM], *block;
	size_t n = slab_take(class, slot, RANDOM_FROM), i;

	if (!n)
		return NULL;
	lock_take(&lock);
	i = random_next() % n;
	lock_give(&lock);
	block = slot[i];
	slot[i] = slot[n - 1];
	if (n > 1)
		slab_give(class, slot, n - 1);
	return block;
}
