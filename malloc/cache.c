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

#include <pthread.h>
#include <string.h>

#define CAPACITY_FIRST 8

static char none_storage[CACHE_BYTES] __attribute__((aligned(64)));
static char gone_storage[CACHE_BYTES] __attribute__((aligned(64)));
#define cache_none ((struct cache *)none_storage)
#define cache_gone ((struct cache *)gone_storage)

__thread struct cache *cache = cache_none;
struct cache *cache_list;
struct lock cache_lock;

static struct cache *spare;
static uint32_t made;
static uint32_t capacity_limit = UINT32_MAX;
static pthread_key_t key;

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void cache_init(struct cache *t)
{
	for (unsigned c = 0; c < CLASS_COUNT; c++) {
		struct magazine *m = magazine_of(t, c);

		m->count = 0;
		m->capacity = min32(min32(class_info[c].magazine_max, CAPACITY_FIRST),
				    capacity_limit);
		m->inverse = class_info[c].inverse;
		m->class = (uint16_t)c;
		m->refills = 0;
	}
	t->random = heap.secret ^ (uintptr_t)t;
}

/* locked: cache_lock. */
static struct cache *cache_create(void)
{
	struct cache *t = spare;

	if (t) {
		spare = t->prev;
		return t;
	}
	if (!zone_open(&heap.caches, (size_t)(made + 1) * CACHE_BYTES))
		return NULL;
	t = (struct cache *)(heap.caches.base + (size_t)made * CACHE_BYTES);
	t->id = made++;
	cache_init(t);
	t->next = cache_list;
	__atomic_store_n(&cache_list, t, __ATOMIC_RELEASE);
	return t;
}

bool cache_missing(void)
{
	return cache == cache_none;
}

struct cache *cache_mine(void)
{
	struct cache *t = cache;

	if (likely(t != cache_none))
		return t == cache_gone ? NULL : t;
	lock_take(&cache_lock);
	t = cache_create();
	lock_give(&cache_lock);
	if (!t)
		return NULL;
	t->in_use = 1;
	cache = t;
	pthread_setspecific(key, t);
	return t;
}

void cache_flush(struct cache *t)
{
	for (unsigned c = 0; c < CLASS_COUNT; c++) {
		struct magazine *m = magazine_of(t, c);
		uint32_t n = m->count;

		m->count = 0;
		if (n)
			slab_give(c, m->slot, n);
	}
}

void cache_flush_mine(void)
{
	if (cache != cache_none && cache != cache_gone)
		cache_flush(cache);
}

static void cache_retire(void *arg)
{
	struct cache *t = arg;

	cache = cache_gone;
	cache_flush(t);
	lock_take(&cache_lock);
	t->in_use = 0;
	t->prev = spare;
	spare = t;
	lock_give(&cache_lock);
}

/* Whoever needs a new cache in the child takes over one of theirs, blocks and all. */
void cache_forget_others(void)
{
	for (struct cache *t = cache_list; t; t = t->next) {
		if (t == cache || !t->in_use)
			continue;
		t->in_use = 0;
		t->prev = spare;
		spare = t;
	}
}

bool cache_setup(void)
{
	_Static_assert(CACHE_BYTES <= UINT16_MAX, "magazine offsets have 16 bits");

	return pthread_key_create(&key, cache_retire) == 0;
}

void cache_limit(uint32_t capacity)
{
	capacity_limit = capacity;
}

static void grow(struct magazine *m)
{
	uint32_t most = min32(class_info[m->class].magazine_max, capacity_limit);

	if (m->capacity < most && (++m->refills & 1) == 0)
		m->capacity = min32(m->capacity * 2, most);
}

void *magazine_refill(struct magazine *m)
{
	uint32_t want = m->capacity / 2;
	size_t got;

	grow(m);
	got = slab_take(m->class, m->slot, want ? want : 1);
	if (!got)
		return NULL;
	m->count = (uint32_t)got - 1;
	return m->slot[got - 1];
}

/*
 * Keeps the younger half: those blocks are likely still in the processor's caches. The count
 * falls before the slabs get the blocks, so that a fork in between leaves none in both places.
 */
void magazine_push_full(struct magazine *m, void *block)
{
	uint32_t give = m->count - m->count / 2;
	void *old[MAGAZINE_MOST];

	if (!m->capacity) {
		slab_give(m->class, &block, 1);
		return;
	}
	grow(m);
	if (m->count >= m->capacity) {
		memcpy(old, m->slot, give * sizeof(void *));
		m->count -= give;
		memmove(m->slot, m->slot + give, m->count * sizeof(void *));
		slab_give(m->class, old, give);
	}
	m->slot[m->count++] = block;
}
