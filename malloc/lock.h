/*
 * lock.h - a mutex of one word that sleeps on a futex.
 *
 * How     0 free, 1 taken, 2 taken and somebody may sleep. A waiter spins briefly first:
 *         what is done under these locks takes less than a microsecond.
 * Locks   Order, outermost first: reap, profile, cache list, class, units, spans, large, meta.
 *         While a thread forks it holds all of them (fork.c) and its own calls pass through.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_LOCK_H
#define QUIRE_MALLOC_LOCK_H

#include "os.h"

struct lock {
	_Atomic uint32_t state;
};

hidden extern _Atomic int lock_forking_tid; /* 0, or the thread inside fork() */

bool lock_passes(void); /* is the caller that thread? */
void lock_wait(struct lock *lock);

static inline void lock_take(struct lock *lock)
{
	uint32_t free = 0;

	if (unlikely(!atomic_compare_exchange_strong_explicit(
		    &lock->state, &free, 1, memory_order_acquire, memory_order_relaxed)))
		lock_wait(lock);
}

static inline void lock_give(struct lock *lock)
{
	if (unlikely(atomic_load_explicit(&lock_forking_tid, memory_order_relaxed)) &&
	    lock_passes())
		return;
	if (unlikely(atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2))
		os_wake_one(&lock->state);
}

#endif
