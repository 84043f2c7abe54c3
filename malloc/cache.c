/*
 * cache.c - creating, filling, emptying and retiring the caches of threads.
 *
 * How     A thread's cache is made on its first slow path. At thread exit a key's destructor
 *         gives the blocks back and the cache itself to the next thread; what later destructors
 *         of the same thread allocate or free goes to the slabs directly.
 * Locks   cache_lock guards the lists of caches. A cache's magazines are its thread's alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cache.h"
#include "heap.h"
#include "slab.h"
#include "tune.h"

#include <pthread.h>
#include <string.h>

#define FLUSHES_MOST 4 /* in a row: from then on the thread only frees */

/* What a magazine not in use points at: M4, and nothing at its top. */
static uint64_t stop in_data = 1;
static void *nothing[] in_data = { MALLOC_CHECKS ? &stop : NULL, NULL };

/* The limit is read without checks only: `inverse` turns every block away. */
#define NOT_IN_USE                                                                                 \
	{                                                                                          \
		.top = &nothing[1], .limit = MALLOC_CHECKS ? NULL : &nothing[1]                    \
	}

per_thread struct magazine magazines[CLASS_COUNT + 1] = { [0 ... CLASS_COUNT] = NOT_IN_USE };
per_thread struct cache *cache;
per_thread int64_t sample_left;
struct cache *cache_list in_data;
struct lock cache_lock in_data;

static __thread bool gone; /* this thread is about to end: no cache any more */
static char first[CACHE_BYTES] __attribute__((aligned(64))); /* most programs have one thread */
static struct cache *spare in_data;
static uint32_t made in_data, in_use in_data; /* caches; of them threads have */
static pthread_key_t key in_data;

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void **magazine_first(struct cache *t, const struct magazine *m)
{
	if (m->wide)
		return (void **)((char *)t + class_info[m->class].slots_at) + 1;
	return &t->few[m->class][1];
}

size_t magazine_count(struct cache *t, const struct magazine *m)
{
	return m->inverse ? (size_t)(m->top - magazine_first(t, m)) : 0;
}

struct magazine *magazine_mine(struct cache *mine, unsigned class)
{
	struct magazine *m = &magazines[class + 1];
	void **at = mine->few[class];

	if (likely(m->inverse))
		return m;
	*at++ = MALLOC_CHECKS ? &mine->stop : NULL;
	m->top = at;
	m->limit = at + min32(class_info[class].magazine_max, MAGAZINE_FIRST);
	m->inverse = class_info[class].inverse;
	m->class = (uint8_t) class;
	return m;
}

static struct cache *cache_place(void)
{
	if (!made)
		return (struct cache *)first;
	if (!zone_open(&heap.caches, (size_t)made * CACHE_BYTES))
		return NULL;
	return (struct cache *)(heap.caches.base + (size_t)(made - 1) * CACHE_BYTES);
}

/*
 * A cache that another thread had when the program forked may have lost the mark of a block that
 * this thread was about to hand out. Such a block is left alone.
 */
static void take_over(struct cache *t)
{
	memcpy(magazines, t->parked, sizeof(magazines));
	for (unsigned c = 0; c < CLASS_COUNT; c++) {
		struct magazine *m = &magazines[c + 1];

		if (magazine_count(t, m) && !is_marked(m->top[-1]))
			m->top--;
		if (m->inverse)
			*m->top = NULL;
	}
}

/* locked: cache_lock. */
static struct cache *cache_create(void)
{
	struct cache *t = spare;

	if (tune.arena_max && in_use >= tune.arena_max)
		return NULL;
	in_use++;
	if (t) {
		spare = t->prev;
		take_over(t);
		return t;
	}
	t = cache_place();
	if (!t) {
		in_use--;
		return NULL;
	}
	t->id = made++;
	t->stop = 1;
	t->random = (tune.sample_bytes ? os_random() : 0) ^ (uintptr_t)t;
	t->next = cache_list;
	__atomic_store_n(&cache_list, t, __ATOMIC_RELEASE);
	return t;
}

struct cache *cache_mine(void)
{
	struct cache *t = cache;

	if (likely(t != NULL))
		return t;
	if (gone)
		return NULL;
	lock_take(&cache_lock);
	t = cache_create();
	if (t) {
		t->magazine = magazines;
		t->in_use = 1;
	}
	lock_give(&cache_lock);
	if (!t)
		return NULL;
	cache = t;
	pthread_setspecific(key, t);
	return t;
}

void cache_flush_mine(void)
{
	for (unsigned c = 0; cache && c < CLASS_COUNT; c++) {
		struct magazine *m = &magazines[c + 1];
		size_t n = magazine_count(cache, m);

		if (!n)
			continue;
		m->top -= n;
		slab_give(c, m->top, n);
		*m->top = NULL;
	}
}

/* locked: cache_lock. */
static void park(struct cache *t)
{
	memcpy(t->parked, t->magazine, sizeof(t->parked));
	t->magazine = t->parked;
	t->in_use = 0;
	in_use--;
	t->prev = spare;
	spare = t;
}

static void cache_retire(void *arg)
{
	struct cache *t = arg;

	gone = true;
	cache_flush_mine();
	lock_take(&cache_lock);
	park(t);
	lock_give(&cache_lock);
	cache = NULL;
	for (unsigned i = 0; i <= CLASS_COUNT; i++)
		magazines[i] = (struct magazine)NOT_IN_USE;
}

/* Whoever needs a new cache in the child takes over one of theirs, blocks and all. */
void cache_forget_others(void)
{
	for (struct cache *t = cache_list; t; t = t->next)
		if (t != cache && t->in_use)
			park(t);
}

bool cache_setup(void)
{
	_Static_assert(sizeof(struct magazine) == 24, "little of what a library may have late");
	return pthread_key_create(&key, cache_retire) == 0;
}

/* Gives the magazine that capacity; out of the few slots into the many if need be. */
static void set_capacity(struct magazine *m, uint32_t capacity)
{
	size_t count = magazine_count(cache, m);
	void **from = magazine_first(cache, m), **to;

	if (capacity > MAGAZINE_FIRST && !m->wide) {
		m->wide = 1;
		to = magazine_first(cache, m);
		to[-1] = from[-1];
		memcpy(to, from, count * sizeof(*to));
		m->top = to + count;
		*m->top = NULL;
		from = to;
	}
	m->limit = from + capacity;
}

static void grow(struct magazine *m)
{
	uint32_t capacity = (uint32_t)(m->limit - magazine_first(cache, m));
	uint32_t most = class_info[m->class].magazine_max;

	if (capacity < most && (++m->turns & 1) == 0)
		set_capacity(m, min32(capacity * 2, most));
}

void *magazine_refill(struct magazine *m)
{
	size_t want = (size_t)(m->limit - m->top) / 2, got;

	m->flushes = 0;
	grow(m);
	got = slab_take(m->class, m->top, want ? want : 1);
	if (!got)
		return NULL;
	m->top += got - 1;
	m->top[1] = NULL;
	return *m->top;
}

/*
 * Keeps the younger half: those blocks are likely still in the processor's caches; and less if
 * the thread seems to have no more use for them. The count falls before the slabs get the
 * blocks, so that a fork in between leaves none in both places.
 */
static void give_older(struct magazine *m)
{
	void *old[MAGAZINE_MOST], **at = magazine_first(cache, m);
	size_t keep = (size_t)(m->limit - at) / (m->flushes < FLUSHES_MOST ? 2 : 4);
	size_t give = magazine_count(cache, m) - keep;

	memcpy(old, at, give * sizeof(*old));
	m->top = at + keep;
	memmove(at, at + give, keep * sizeof(*old));
	slab_give(m->class, old, give);
}

void magazine_push_full(struct magazine *m, void *block)
{
	void **at = magazine_first(cache, m);
	uint32_t low = class_info[m->class].magazine_low;

	if (m->flushes < FLUSHES_MOST) {
		m->flushes++;
		grow(m);
	} else if (m->limit > at + low) {
		m->limit = at + low;
	}
	if (m->top >= m->limit)
		give_older(m);
	magazine_push(m, block);
}

bool magazine_has(struct cache *t, const struct magazine *m, const void *block)
{
	if (!m->inverse)
		return false;
	for (void **at = magazine_first(t, m); at < m->top; at++)
		if (*at == block)
			return true;
	return false;
}
