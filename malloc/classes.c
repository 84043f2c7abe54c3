/*
 * classes.c - the table of block sizes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "classes.h"
#include "cache.h"
#include "slab.h"

struct class_info class_info[CLASS_COUNT] in_data;
uint8_t class_table[SMALL_MAX / ALIGN_MIN + 1];

#define BY_STEP	 48 /* classes up to 4 KiB */
#define BY_COUNT 15 /* blocks per unit of the first class above */

static uint32_t class_bytes(unsigned class)
{
	unsigned doubling, step;

	if (class < 16)
		return 16 * (class + 1);
	if (class >= BY_STEP)
		return (uint32_t)(UNIT_BYTES / (BY_COUNT - (class - BY_STEP))) & ~15u;
	doubling = (class - 16) / 8;
	step = (class - 16) % 8 + 1;
	return (256u << doubling) + step * (32u << doubling);
}

static uint16_t magazine_max(uint32_t bytes)
{
	uint32_t n = (bytes <= MAGAZINE_LOW_FROM ? MAGAZINE_MORE : MAGAZINE_BYTES) / bytes;

	if (n > MAGAZINE_MOST)
		n = MAGAZINE_MOST;
	return (uint16_t)(n < MAGAZINE_LEAST ? MAGAZINE_LEAST : n);
}

/* Smaller blocks go by the hundred to another thread that frees them: that must stay cheap. */
static uint16_t magazine_low(const struct class_info *info)
{
	bool small = info->bytes <= MAGAZINE_LOW_FROM;
	uint32_t n = (small ? MAGAZINE_BYTES : MAGAZINE_LOW_BYTES) / info->bytes;

	if (n > info->magazine_max)
		n = info->magazine_max;
	return (uint16_t)(n ? n : 1);
}

void class_setup(void)
{
	size_t at = offsetof(struct cache, many), i = 0;

	for (unsigned c = 0; c < CLASS_COUNT; c++) {
		struct class_info *info = &class_info[c];
		uint32_t n;

		info->bytes = class_bytes(c);
		info->inverse = (uint32_t)((((uint64_t)1 << 32) + info->bytes - 1) / info->bytes);
		n = (uint32_t)UNIT_BYTES / info->bytes;
		info->per_slab = (uint16_t)(n > SLAB_BITS ? SLAB_BITS : n);
		info->list_scale = (SLAB_LISTS << 16) / (info->per_slab + 1u);
		info->magazine_max = magazine_max(info->bytes);
		info->magazine_low = magazine_low(info);
		info->magazine_at = magazine_offset(c + 1);
		info->slots_at = (uint16_t)at;
		for (; i * ALIGN_MIN <= info->bytes; i++)
			class_table[i] = (uint8_t)c;
		at += (2u + info->magazine_max) * sizeof(void *);
	}
	_Static_assert(CACHE_BYTES <= UINT16_MAX, "offsets of slots have 16 bits");
}
