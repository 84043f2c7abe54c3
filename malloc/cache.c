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

/*
 * The cache whose magazines are all empty and full, without slots; and the first real one, because
 * most programs have one thread. Neighbours, to touch few pages.
 */
static struct {
	char empty[offsetof(struct cache, few)] __attribute__((aligned(64)));
	char first[CACHE_BYTES] __attribute__((aligned(64)));
} room;
#define none (*(struct cache *)room.empty)

__thread struct cache *cache = (struct cache *)room.empty;
struct cache *cache_list in_data;
struct lock cache_lock in_data;

static __thread bool gone; /* this thread is about to end: no cache any more */
static struct cache *spare in_data;
static uint32_t made in_data, in_use in_data; /* caches; of them threads have */
static pthread_key_t key in_data;

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void magazine_init(struct cache *t, unsigned class)
{
	struct magazine *m = magazine_of(t, class);

	t->few[class][0] = &t->stop;
	m->first = m->top = &t->few[class][1];
	m->limit = m->first + min32(class_info[class].magazine_max, MAGAZINE_FIRST);
	m->inverse = class_info[class].inverse;
	m->class = (uint8_t) class;
}

static void cache_init(struct cache *t)
{
	t->stop = 1;
	t->magazine[0] = none.magazine[0];
	for (unsigned c = 0; c < CLASS_COUNT; c++)
		magazine_init(t, c);
	t->random = (tune.sample_bytes ? os_random() : 0) ^ (uintptr_t)t;
}

static struct cache *cache_place(void)
{
	if (!made)
		return (struct cache *)room.first;
	if (!zone_open(&heap.caches, (size_t)made * CACHE_BYTES))
		return NULL;
	return (struct cache *)(heap.caches.base + (size_t)(made - 1) * CACHE_BYTES);
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
		return t;
	}
	t = cache_place();
	if (!t) {
		in_use--;
		return NULL;
	}
	t->id = made++;
	cache_init(t);
	t->next = cache_list;
	__atomic_store_n(&cache_list, t, __ATOMIC_RELEASE);
	return t;
}

struct cache *cache_mine(void)
{
	struct cache *t = cache;

	if (likely(t != &none))
		return t;
	if (gone)
		return NULL;
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
		size_t n = magazine_count(m);

		m->top = m->first;
		if (n)
			slab_give(c, m->first, n);
	}
}

void cache_flush_mine(void)
{
	if (cache != &none)
		cache_flush(cache);
}

static void cache_retire(void *arg)
{
	struct cache *t = arg;

	gone = true;
	cache = &none;
	cache_flush(t);
	lock_take(&cache_lock);
	t->in_use = 0;
	in_use--;
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
		in_use--;
		t->prev = spare;
		spare = t;
	}
}

bool cache_setup(void)
{
	static void *stopped[2] = { &room.empty[offsetof(struct cache, stop)] };

	_Static_assert(sizeof(((struct cache *)0)->magazine) <= UINT16_MAX, "offsets: 16 bits");
	none.stop = 1;
	for (unsigned i = 0; i <= CLASS_COUNT; i++)
		none.magazine[i].first = none.magazine[i].top = none.magazine[i].limit =
			&stopped[1];
	return pthread_key_create(&key, cache_retire) == 0;
}

static struct cache *cache_of(struct magazine *m)
{
	return (struct cache *)(m - m->class - 1);
}

/* Gives the magazine that capacity; out of the few slots into the many if need be. */
static void set_capacity(struct magazine *m, uint32_t capacity)
{
	struct cache *t = cache_of(m);
	void **to = m->first;

	if (capacity > MAGAZINE_FIRST && to == &t->few[m->class][1]) {
		to = (void **)((char *)t + class_info[m->class].slots_at) + 1;
		to[-1] = &t->stop;
		memcpy(to, m->first, magazine_count(m) * sizeof(*to));
		m->top = to + magazine_count(m);
		m->first = to;
	}
	m->limit = m->first + capacity;
}

static void grow(struct magazine *m)
{
	uint32_t capacity = (uint32_t)(m->limit - m->first), most;

	most = class_info[m->class].magazine_max;
	if (capacity < most && (++m->turns & 1) == 0)
		set_capacity(m, min32(capacity * 2, most));
}

void *magazine_refill(struct magazine *m)
{
	size_t want = (size_t)(m->limit - m->first) / 2, got;

	m->flushes = 0;
	grow(m);
	got = slab_take(m->class, m->first, want ? want : 1);
	if (!got)
		return NULL;
	m->top = m->first + got - 1;
	return *m->top;
}

/*
 * Keeps the younger half: those blocks are likely still in the processor's caches; and less if
 * the thread seems to have no more use for them. The count falls before the slabs get the
 * blocks, so that a fork in between leaves none in both places.
 */
static void give_older(struct magazine *m)
{
	size_t keep = (size_t)(m->limit - m->first) / (m->flushes < FLUSHES_MOST ? 2 : 4);
	size_t give = magazine_count(m) - keep;
	void *old[MAGAZINE_MOST];

	memcpy(old, m->first, give * sizeof(*old));
	m->top = m->first + keep;
	memmove(m->first, m->first + give, keep * sizeof(*old));
	slab_give(m->class, old, give);
}

void magazine_push_full(struct magazine *m, void *block)
{
	uint32_t low = class_info[m->class].magazine_low;

	if (m->flushes < FLUSHES_MOST) {
		m->flushes++;
		grow(m);
	} else if (m->limit > m->first + low) {
		m->limit = m->first + low;
	}
	if (m->top >= m->limit)
		give_older(m);
	*m->top++ = block;
}

bool magazine_has(const struct magazine *m, const void *block)
{
	for (void **at = m->first; at < m->top; at++)
		if (*at == block)
			return true;
	return false;
}
