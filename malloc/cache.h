/*
 * cache.h - what a thread keeps at hand: one magazine of free blocks per class.
 *
 * How     A magazine is an array of pointers, popped and pushed at its end; nothing is threaded
 *         through the blocks. An empty one is filled to half its capacity from slabs, a full one
 *         gives its older half back, whichever thread's blocks they are. Capacity starts small
 *         and doubles with use, so that a short program touches few pages.
 *         A thread without a cache points at cache_none, whose magazines hold and take nothing:
 *         the fast paths need no test for it.
 * Use     cache_mine() on slow paths; NULL when this thread must do without one.
 * Holds   M1  count <= capacity <= class_info[].magazine_max
 *         M2  the first word of each block in a magazine is heap.secret
 *         M3  the magazine at offset 0 is always empty, full and of no class
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_CACHE_H
#define QUIRE_MALLOC_CACHE_H

#include "classes.h"
#include "lock.h"

#define MAGAZINE_BYTES	16384
#define MAGAZINE_MOST	128
#define MAGAZINE_LEAST	4
#define CACHE_BYTES	(24 * 1024)

struct magazine {
	uint32_t count;
	uint32_t capacity;
	uint32_t inverse;		/* class_info[].inverse; 0: no block belongs here */
	uint16_t class;
	uint16_t refills;
	void *slot[];
};

struct cache {
	struct magazine none;		/* M3 */
	struct cache *next, *prev;	/* all caches, or the spare ones */
	int64_t sample_left;		/* bytes until the next sampled block */
	uint64_t random;
	uint32_t in_use;
	uint32_t id;
	char magazines[];
};

extern __thread struct cache *cache __attribute__((tls_model("initial-exec")));
extern struct cache *cache_list;	/* every cache ever made */
extern struct lock cache_lock;

must_use bool cache_setup(void);
struct cache *cache_mine(void);
bool cache_missing(void);		/* does this thread still lack one it could have? */
void cache_forget_others(void);		/* in a forked child: only this thread is left */
void cache_flush(struct cache *t);	/* give back all blocks */
void cache_flush_mine(void);
void cache_limit(uint32_t capacity);	/* of new caches' magazines: 0 turns them off */
must_use void *magazine_refill(struct magazine *m);	/* a block, or NULL */
void magazine_push_full(struct magazine *m, void *block);

static inline struct magazine *magazine_of(struct cache *t, unsigned class)
{
	return (struct magazine *)((char *)t + class_info[class].magazine_at);
}

#endif
