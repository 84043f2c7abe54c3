/*
 * lock.c - waiting for a spin lock.
 *
 * How     Read the word until it looks free, then try to swap it in: the cache line stays shared
 *         while waiting. After a while each read is preceded by a longer pause, for the holder may
 *         have lost its CPU.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/lock.h"

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
	} while (!lock_try(lock));
}
