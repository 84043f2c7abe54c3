/*
 * lock.h - the lock order, and a spin lock that costs one predictable branch in a machine with one
 * thread.
 *
 * How     A lock starts either off (all operations do nothing: one thread uses the machine) or on
 *         (a test-and-set word; waiters read it until it looks free). Nothing sleeps here: every
 *         hold is bounded and short.
 * Use     lock_init(&l, rank, on) once; lock_take/lock_give in pairs; lock_try when one may
 *         decline.
 * Order   enum lock_rank, lowest first: a holder of a lock may take only locks of a higher rank.
 *         From QUIRE_CHECK 2 on, doing otherwise stops the program, with threads or without.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_BASE_LOCK_H
#define QUIRE_BASE_LOCK_H

#include "base/check.h"
#include "base/types.h"

/* The whole lock order. Holding one, take only those further down. */
enum lock_rank {
	RANK_HOTPLUG, /* phys: adding and removing memory, CMA areas */
	RANK_VMALLOC, /* kmem: the kernel address space */
	RANK_KMEM_LIST, /* kmem: the list of caches */
	RANK_KMEM_CPU, /* kmem: one CPU's magazine of one cache */
	RANK_KMEM_NODE, /* kmem: the partial slabs of one cache */
	RANK_PCP, /* phys: one CPU's lists of one zone */
	RANK_ZONE, /* phys: the free blocks of one zone */
	RANK_OWNER, /* phys: the record of page owners */
	NR_LOCK_RANKS
};

/*
 * LOCK_OFF: one thread. LOCK_ON: any threads. LOCK_OWNED: any threads, but each CPU number is one
 * thread's at a time (the caller's this_cpu() sees to it), so that what belongs to a CPU needs no
 * lock.
 */
enum lock_mode { LOCK_OFF, LOCK_ON, LOCK_OWNED };

struct lock {
	u32 held;
	u8 mode; /* 0: all operations do nothing (C) */
	u8 rank; /* enum lock_rank (C) */
};

static inline void lock_init(struct lock *lock, enum lock_rank rank, enum lock_mode mode)
{
	lock->held = 0;
	lock->mode = mode != LOCK_OFF &&
		     !(mode == LOCK_OWNED && (rank == RANK_PCP || rank == RANK_KMEM_CPU));
	lock->rank = (u8)rank;
}

#if QUIRE_CHECK >= 2
/* What the thread holds: is the lock's turn; it was taken; it was given back. */
void lock_check_order(const struct lock *lock);
void lock_note_taken(const struct lock *lock);
void lock_note_given(const struct lock *lock);
/* For a test that goes on after a panic: the thread holds nothing. */
void lock_forget_held(void);
#else
static inline void lock_check_order(const struct lock *lock)
{
	(void)lock;
}
static inline void lock_note_taken(const struct lock *lock)
{
	(void)lock;
}
static inline void lock_note_given(const struct lock *lock)
{
	(void)lock;
}
static inline void lock_forget_held(void)
{
}
#endif

/* Take it if it is free; never waits, and so may come in any order. */
static inline bool must_use lock_try(struct lock *lock)
{
	if (lock->mode && __atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE) != 0)
		return false;
	lock_note_taken(lock);
	return true;
}

/* Wait until it is free, and take it; the slow half of lock_take(). */
void lock_wait(struct lock *lock);

static inline void lock_take(struct lock *lock)
{
	lock_check_order(lock);
	if (lock->mode && __atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE) != 0)
		lock_wait(lock);
	lock_note_taken(lock);
}

static inline void lock_give(struct lock *lock)
{
	lock_note_given(lock);
	if (lock->mode)
		__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

#endif
