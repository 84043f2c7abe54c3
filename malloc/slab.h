/*
 * slab.h - blocks of one size in one unit, free ones marked in a bitmap outside it.
 *
 * How     Each class keeps the slabs that have free blocks in four lists by how many, and takes
 *         from the fullest, lowest block first: live blocks gather, the other slabs run empty
 *         and go back to units.h at once.
 * Use     slab_take() and slab_give() move batches between a class and a thread's magazine.
 * Holds   S1  a set bit is a free block; free counts them; no bit at or above per_slab is set
 *         S2  a slab is in list[free * 4 / (per_slab + 1)] of its class, in none when free is 0
 *         S3  a block with its bit set is not in any magazine, and carries its mark (mark.h),
 *             or starts with 0 if its page was never used since the kernel gave it
 * Locks   One per class; inside it those of units.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_SLAB_H
#define QUIRE_MALLOC_SLAB_H

#include "heap.h"
#include "lock.h"
#include "mark.h"

#define SLAB_WORDS 56
#define SLAB_BITS  (SLAB_WORDS * 64)
#define SLAB_LISTS 4

struct slab {
	uint32_t next, prev; /* unit numbers; 0 ends a list */
	uint16_t free;
	uint16_t low_word; /* no bit set in the words below */
	uint8_t class;
	uint8_t list; /* SLAB_LISTS: in none */
	uint8_t in_use; /* this unit is a slab */
	uint8_t swept; /* its free pages were returned since the last give */
	uint32_t stamp; /* reap_now() when it was last given back; 0: clean */
	uint8_t mixed; /* the unit had another class before: S3 may not hold */
	uint8_t unused[43];
	uint64_t bits[SLAB_WORDS];
};

struct class_state {
	struct lock lock;
	uint32_t list[SLAB_LISTS]; /* first unit of each */
	uint32_t slabs;
	uint64_t free; /* blocks, over all slabs */
	uint64_t refills, flushes;
} __attribute__((aligned(64)));

hidden extern struct class_state class_state[CLASS_COUNT];

must_use size_t slab_take(unsigned class, void **slot, size_t want);
void slab_give(unsigned class, void **slot, size_t count);
bool slab_has_free(unsigned class, const void *block); /* is its bit set? */

static inline struct slab *slab_at(uint32_t unit)
{
	return (struct slab *)heap.slabs.base + unit;
}

static inline uint32_t unit_of(const void *p)
{
	return (uint32_t)(((uintptr_t)p - heap_base) >> UNIT_SHIFT);
}

static inline char *unit_start(uint32_t unit)
{
	return (char *)heap_base + ((size_t)unit << UNIT_SHIFT);
}

#endif
