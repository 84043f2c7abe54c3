/*
 * magazine.h - the part of a cache that nearly every call is satisfied from, inlined: an array of
 * free objects per CPU.
 *
 * How     Where the machine has one CPU and no locks, front->only leads to its magazine; all other
 *         cases are calls into magazine.c.
 * Locks   none: front->only is NULL where one would be needed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_KMEM_MAGAZINE_H
#define QUIRE_KMEM_MAGAZINE_H

#include "base/lock.h"
#include "base/types.h"

/* Free objects of one cache. */
struct magazine {
	struct magazine *next; /* (N) in the depot */
	u32 count; /* (M) objects in it */
	u32 capacity; /* (C) */
	void *objs[]; /* (M) the newest last */
};

/* What belongs to one CPU of one cache. */
struct cpu_cache {
	struct lock lock;
	struct magazine *loaded; /* (M) objects come from and go to this one */
	struct magazine *previous; /* (M) full or empty */
	u8 pad[64 - sizeof(struct lock) - 2 * sizeof(void *)]; /* a cache line each */
};

/* How a struct kmem_cache begins (cache.h). */
struct kmem_front {
	struct cpu_cache *only; /* (C) the machine's only CPU, if it needs no lock; else NULL */
};

/* The newest object of the only CPU; NULL: there is none, or it is not that simple. */
static always_inline void *magazine_pop(const void *cache)
{
	const struct cpu_cache *cpu = ((const struct kmem_front *)cache)->only;
	struct magazine *mag;

	if (unlikely(!cpu))
		return NULL;
	mag = cpu->loaded;
	return likely(mag->count) ? mag->objs[--mag->count] : NULL;
}

/* Leave an object with the only CPU; false: there is no room, or it is not that simple. */
static always_inline bool magazine_push(const void *cache, void *obj)
{
	const struct cpu_cache *cpu = ((const struct kmem_front *)cache)->only;
	struct magazine *mag;

	if (unlikely(!cpu))
		return false;
	mag = cpu->loaded;
	if (unlikely(mag->count >= mag->capacity))
		return false;
	mag->objs[mag->count++] = obj;
	return true;
}

#endif
