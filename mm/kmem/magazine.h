/*
 * magazine.h - the part of a cache that nearly every call is satisfied from, inlined: an array of
 * free objects per CPU.
 *
 * How     A CPU works on its loaded magazine with three pointers: a call compares two of them and
 *         moves one. Where the machine has one CPU and no locks they lie at the very beginning of
 *         the cache (struct kmem_front). Everywhere else those three are equal, so that the array
 *         seems both empty and full, and the call goes on in magazine.c.
 * Locks   none: see How.
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
	u32 count; /* (M) objects in it, while no CPU has it loaded */
	u32 capacity; /* (C) */
	void *objs[]; /* (M) the newest last */
};

/* A CPU's loaded magazine; bottom <= top <= end. With a struct kmem_cache begins one (cache.h). */
struct kmem_front {
	void **top; /* (M) behind the newest object */
	void **bottom; /* (M) the magazine's objs */
	void **end; /* (M) behind the last place */
};

/* The newest object; false: there is none, or it is not that simple. */
static always_inline bool front_pop(struct kmem_front *front, void **obj)
{
	void **top = front->top;

	if (unlikely(top == front->bottom))
		return false;
	*obj = *--top;
	front->top = top;
	return true;
}

/* Leave an object; false: there is no room, or it is not that simple. */
static always_inline bool front_push(struct kmem_front *front, void *obj)
{
	void **top = front->top;

	if (unlikely(top == front->end))
		return false;
	*top = obj;
	front->top = top + 1;
	return true;
}

#endif
