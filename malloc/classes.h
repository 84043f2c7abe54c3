/*
 * classes.h - the block sizes that slabs come in.
 *
 * How     Steps of 16 bytes up to 256, eight steps per doubling up to 4 KiB, and above that the
 *         sizes that divide a unit into 15, 14, ... 4 blocks without a rest.
 * Use     class_of(bytes) for bytes <= SMALL_MAX; class_info[] for the rest.
 * Holds   C1  a slab's blocks start at multiples of the size, counted from the unit's start
 *         C2  offset * inverse, modulo 2^32, is below inverse exactly if size divides offset
 *             (offset < 2^16; inverse = ceil(2^32 / size))
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_CLASSES_H
#define QUIRE_MALLOC_CLASSES_H

#include "layout.h"

struct class_info {
	uint32_t bytes;
	uint32_t inverse;
	uint32_t list_scale; /* free blocks * this / 2^16: the slab's list */
	uint16_t per_slab;
	uint16_t magazine_max; /* most blocks a thread's magazine holds */
	uint16_t magazine_low; /* the same for a thread that only frees */
	uint16_t slots_at; /* offset in struct cache of its many slots */
	int32_t magazine_at; /* from the thread pointer: magazine_here() */
};

hidden extern struct class_info class_info[CLASS_COUNT];

void class_setup(void);

hidden extern uint8_t class_table[SMALL_MAX / ALIGN_MIN + 1];

static inline unsigned class_of(size_t bytes)
{
	return class_table[(bytes + ALIGN_MIN - 1) / ALIGN_MIN];
}

static inline unsigned class_index(unsigned class, uint32_t offset)
{
	return (unsigned)(((uint64_t)offset * class_info[class].inverse) >> 32);
}

#endif
