/*
 * cache.h - what a thread keeps at hand: one magazine of free blocks per class.
 *
 * How     A magazine is an array of pointers, popped and pushed at its end; nothing is threaded
 *         through the blocks. An empty one is filled to half its capacity from slabs, a full one
 *         gives its older half back, whichever thread's blocks they are. Capacity starts small,
 *         in slots that share a page, and doubles with use; a thread that only frees gets it
 *         cut again, so that it does not sit on what it frees.
 *         A thread without a cache points at cache_none, whose magazines hold and take nothing:
 *         the fast paths need no test for it.
 *
 *         | magazines | few slots of each class | many slots of each class |
 *
 * Use     cache_mine() on slow paths; NULL when this thread must do without one.
 * Holds   M1  first <= top <= limit; limit - first <= class_info[].magazine_max
 *         M2  the first word of each block in a magazine is its mark (mark.h)
 *         M3  the magazine at offset 0 is always empty, full and of no class
 *         M4  below the first slot lies the address of a word that never carries its mark: what
 *             malloc() pops from an empty magazine, and turns down
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_CACHE_H
#define QUIRE_MALLOC_CACHE_H

#include "classes.h"
#include "lock.h"

#define MAGAZINE_BYTES	   16384
#define MAGAZINE_LOW_BYTES 4096 /* of a thread that only frees ... */
#define MAGAZINE_LOW_FROM  256 /* ... blocks above this size */
#define MAGAZINE_MOST	   128
#define MAGAZINE_LEAST	   4
#define MAGAZINE_FIRST	   8 /* capacity of a new one */
#define CACHE_BYTES	   (28 * 1024)

struct magazine {
	void **top; /* where the next block goes */
	void **limit;
	uint32_t inverse; /* class_info[].inverse; 0: no block belongs here */
	uint8_t class;
	uint8_t turns; /* refills and flushes, for growth */
	uint8_t flushes; /* since the last refill */
	void **first;
};

struct cache {
	struct magazine magazine[CLASS_COUNT + 1]; /* [0]: M3; then by class */
	uint64_t stop; /* M4: 1, or 1 ^ its address */
	struct cache *next, *prev; /* all caches, or the spare ones */
	int64_t sample_left; /* bytes until the next sampled block */
	uint64_t random;
	uint32_t in_use;
	uint32_t id;
	void *few[CLASS_COUNT][1 + MAGAZINE_FIRST];
	void *many[]; /* class_info[].slots_at */
};

extern __thread struct cache *cache __attribute__((tls_model("initial-exec")));
extern struct cache *cache_list; /* every cache ever made */
extern struct lock cache_lock;

must_use bool cache_setup(void);
struct cache *cache_mine(void);
void cache_forget_others(void); /* in a forked child: only this thread is left */
void cache_flush(struct cache *t); /* give back all blocks */
void cache_flush_mine(void);
must_use void *magazine_refill(struct magazine *m); /* a block, still marked, or NULL */
void magazine_push_full(struct magazine *m, void *block);
bool magazine_has(const struct magazine *m, const void *block);

static inline struct magazine *magazine_of(struct cache *t, unsigned class)
{
	return &t->magazine[class + 1];
}

static inline size_t magazine_count(const struct magazine *m)
{
	return (size_t)(m->top - m->first);
}

#endif
