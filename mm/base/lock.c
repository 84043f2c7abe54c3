/*
 * lock.c - waiting for a spin lock; and, from check level 2 on, the lock order.
 *
 * How     Read the word until it looks free, then try to swap it in: the cache line stays shared
 *         while waiting. After a while each read is preceded by a longer pause, for the holder may
 *         have lost its CPU. The order is checked whether the machine has threads or not: a count
 *         per rank says what this thread holds.
 * Holds   L1  a thread takes a lock only while it holds none of the same or a later rank
 * Why     Linux: lockdep; jemalloc: witness.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/lock.h"

#include "base/check.h"

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

void lock_wait(struct lock *lock)
{
	unsigned pause = 1, i;

	do {
		while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED)) {
			for (i = 0; i < pause; i++)
				relax();
			if (pause < 64)
				pause *= 2;
		}
	} while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE) != 0);
}

#if QUIRE_CHECK >= 2

/* The only variable of the core that is not a machine's, and only where the order is checked. */
static _Thread_local u8 held_ranks[NR_LOCK_RANKS];

void lock_check_order(const struct lock *lock)
{
	unsigned rank;

	for (rank = lock->rank; rank < NR_LOCK_RANKS; rank++)
		invariant(L1, !held_ranks[rank]);
}

void lock_note_taken(const struct lock *lock)
{
	held_ranks[lock->rank]++;
}

void lock_note_given(const struct lock *lock)
{
	invariant(L1, held_ranks[lock->rank]);
	held_ranks[lock->rank]--;
}

void lock_forget_held(void)
{
	unsigned rank;

	for (rank = 0; rank < NR_LOCK_RANKS; rank++)
		held_ranks[rank] = 0;
}

#endif
