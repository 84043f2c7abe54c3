/*
 * reap.h - returns memory that has been free for a while, without a call by the program.
 *
 * How     Time is a count of ticks. Once REAP_FROM bytes are free and resident, a bare task
 *         (no C library thread: os_spawn) wakes every tick, returns what has been free for
 *         REAP_AGE ticks, and ends when little is left. Small programs never have one. Where it
 *         cannot be started, every so many slow frees do a tick's work.
 * Use     reap_note() after memory became free, with no lock held; reap_now() stamps it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_REAP_H
#define QUIRE_MALLOC_REAP_H

#include "lock.h"

#define REAP_TICK_MS 100
#define REAP_AGE     3
#define REAP_FROM    ((size_t)4 << 20)

hidden extern uint32_t reap_ticks;

extern struct lock reap_lock; /* held during a tick, outside all others */
void reap_start(size_t dirty_bytes);
void reap_forked(void); /* in the child: there is no reaper */
void reap_all(size_t pad); /* now, whatever its age, but `pad` at the top; malloc_trim() */

static inline uint32_t reap_now(void)
{
	return __atomic_load_n(&reap_ticks, __ATOMIC_RELAXED);
}

static inline void reap_note(size_t dirty_bytes)
{
	if (unlikely(dirty_bytes >= REAP_FROM))
		reap_start(dirty_bytes);
}

#endif
