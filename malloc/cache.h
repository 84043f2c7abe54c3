/*
 * cache.h - what a thread keeps at hand: one magazine of free blocks per class.
 *
 * How     A magazine is an array of pointers, popped and pushed at its end; nothing is threaded
 *         through the blocks. An empty one is filled to half its capacity from slabs, a full one
 *         gives its older half back, whichever thread's blocks they are. Capacity starts small,
 *         in slots that share a page, and doubles with use; a thread that only frees gets it
 *         cut again, so that it does not sit on what it frees.
 *         What malloc() and free() read of a magazine lies in thread-local storage, at the same
 *         distance from every thread's pointer: tables hold that distance (H2, H3), so that one
 *         load leads from a size or an address to the magazine. As a thread starts, its magazines
 *         hold nothing and take nothing: the fast paths need no test for it. The slots are in
 *         struct cache, which the slow path gives a thread, and later to another one.
 *
 *         | struct cache | few slots of each class | parked magazines | many slots of each class |
 *
 * Use     cache_mine() on slow paths, NULL when this thread must do without one; then
 *         magazine_mine(). magazine_push() and magazine_pop() keep M4 and M5.
 * Holds   M1  first <= top <= limit; limit - first <= class_info[].magazine_max
 *         M2  the first word of each block in a magazine is its mark (mark.h)
 *         M3  magazines[0] is always empty, takes nothing, and is of no class
 *         M4  below the first slot lies the address of a word that never carries its mark: what
 *             malloc() pops from an empty magazine, and turns down
 *         M5  what lies in the slot at top, is the block that was popped from there last, with
 *             all slots below as they are now; or NULL. There is a slot at the limit, too. So
 *             free() of that block needs no further check: it was a block of this class, is not
 *             in this magazine, and there is room
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_CACHE_H
#define QUIRE_MALLOC_CACHE_H

#include "classes.h"
#include "lock.h"
#include "mark.h"

#define MAGAZINE_BYTES	   16384
#define MAGAZINE_MORE	   24576 /* of blocks up to MAGAZINE_LOW_FROM */
#define MAGAZINE_LOW_BYTES 4096 /* of a thread that only frees ... */
#define MAGAZINE_LOW_FROM  256 /* ... blocks above this size */
#define MAGAZINE_MOST	   128
#define MAGAZINE_LEAST	   4
#define MAGAZINE_FIRST	   8 /* capacity of a new one */
#define CACHE_BYTES	   (28 * 1024)

struct magazine {
	void **top; /* where the next block goes */
	void **limit;
	uint32_t inverse; /* class_info[].inverse; 0: not in use yet, no block belongs here */
	uint8_t class;
	uint8_t turns; /* refills and flushes, for growth */
	uint8_t flushes; /* since the last refill */
	uint8_t wide; /* in the many slots */
};

struct cache {
	struct magazine *magazine; /* its thread's, or parked */
	uint64_t stop; /* M4: 1, or 1 ^ its address */
	struct cache *next, *prev; /* all caches, or the spare ones */
	uint64_t random;
	uint32_t in_use;
	uint32_t id;
	void *few[CLASS_COUNT][1 + MAGAZINE_FIRST + 1];
	struct magazine parked[CLASS_COUNT + 1]; /* while no thread has the cache */
	void *many[]; /* class_info[].slots_at */
};

#define per_thread __thread __attribute__((tls_model("initial-exec")))
hidden extern per_thread struct magazine magazines[CLASS_COUNT + 1]; /* [0]: M3; by class */
hidden extern per_thread struct cache *cache; /* NULL: none yet, or none any more */
hidden extern per_thread int64_t sample_left; /* bytes until the next sampled block */
extern struct cache *cache_list; /* every cache ever made; locked: cache_lock */
extern struct lock cache_lock;

must_use bool cache_setup(void);
struct cache *cache_mine(void);
void cache_forget_others(void); /* in a forked child: only this thread is left */
void cache_flush_mine(void); /* give back all blocks */
struct magazine *magazine_mine(struct cache *mine, unsigned class);
must_use void *magazine_refill(struct magazine *m); /* a block, still marked, or NULL */
void magazine_push_full(struct magazine *m, void *block);
bool magazine_has(struct cache *t, const struct magazine *m, const void *block);
void **magazine_first(struct cache *t, const struct magazine *m);
size_t magazine_count(struct cache *t, const struct magazine *m);

static inline uintptr_t thread_pointer(void)
{
#if defined(__x86_64__)
	uintptr_t p;

	__asm__("movq %%fs:0, %0" : "=r"(p));
	return p;
#else
	return (uintptr_t)__builtin_thread_pointer();
#endif
}

/* The same in each thread: room for these variables is made when the program starts. */
static inline int32_t magazine_offset(unsigned index)
{
	return (int32_t)((uintptr_t)&magazines[index] - thread_pointer());
}

#if defined(__SEG_FS) && !defined(__SANITIZE_THREAD__)
typedef struct magazine __seg_fs magazine_here_t; /* an offset is a pointer there */
static inline magazine_here_t *magazine_here(int32_t offset)
{
	return (magazine_here_t *)(intptr_t)offset;
}
#else
typedef struct magazine magazine_here_t;
static inline magazine_here_t *magazine_here(int32_t offset)
{
	return (magazine_here_t *)(thread_pointer() + (intptr_t)offset);
}
#endif

/* Not where the block came from: the slots above say nothing any more (M5). */
static inline void magazine_push(struct magazine *m, void *block)
{
	m->top[0] = block;
	m->top[1] = NULL;
	m->top++;
}

#endif
