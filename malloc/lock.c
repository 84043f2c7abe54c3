/*
 * lock.c - the contended half of lock.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lock.h"

#define SPINS 60

_Atomic int lock_forking_tid;

bool lock_passes(void)
{
	return atomic_load(&lock_forking_tid) == os_tid();
}

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

cold void lock_wait(struct lock *lock)
{
	uint32_t seen;

	if (atomic_load(&lock_forking_tid) && lock_passes())
		return;
	for (int i = 0; i < SPINS; i++) {
		seen = 0;
		if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 &&
		    atomic_compare_exchange_weak_explicit(
			    &lock->state, &seen, 1, memory_order_acquire, memory_order_relaxed))
			return;
		relax();
	}
	while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
		os_wait(&lock->state, 2);
}
