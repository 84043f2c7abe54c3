/*
 * units.h - 64 KiB units: who has them, and which free ones still hold frames.
 *
 * How     Units below the top are in use, free and dirty (resident), or free and clean. Taking
 *         prefers the lowest dirty unit, then the lowest clean one, then raises the top. Two
 *         bitmaps, words interleaved, remember the free ones.
 * Use     unit_take() / unit_give(); units_purge() returns the frames of units that were free
 *         for a while, and is called by the reaper, never by malloc or free.
 * Holds   U1  a unit has at most one of its two bits set, and then map[unit] is 0
 *         U2  unit 0 is never used: number 0 means none
 * Locks   One lock, inside a class's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_UNITS_H
#define QUIRE_MALLOC_UNITS_H

#include "lock.h"

struct unit_bits {
	uint64_t dirty, clean;
};

struct units {
	struct lock lock;
	uint32_t top; /* units below it were used once */
	uint32_t low_word; /* no free unit in the words below */
	uint32_t dirty, clean; /* free units of each kind */
	uint64_t purged_bytes; /* returned to the kernel so far */
};

hidden extern struct units units;

must_use uint32_t unit_take(void); /* 0: no memory */
void unit_give(uint32_t unit);
uint32_t units_top(void);
bool unit_was_freed(const void *block);
void units_purge(uint32_t older_than); /* stamps below it; 0 purges nothing */

#endif
