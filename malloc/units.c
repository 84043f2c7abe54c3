/*
 * units.c - the zone of 64 KiB units.
 *
 * Why     Huge pages are asked for only above HUGE_FROM: a heap that large fills its newest
 *         2 MiB within moments, so they cost at most one chunk of memory and save most page
 *         faults. Below it every page counts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "units.h"
#include "heap.h"
#include "reap.h"
#include "slab.h"
#include "tune.h"

struct units units in_data;
static size_t ready_bytes in_data; /* of the zone, with descriptors to match */

static struct unit_bits *bits_of(uint32_t word)
{
	return (struct unit_bits *)heap.bits.base + word;
}

static void want_huge(size_t from, size_t to)
{
	if (from < HUGE_FROM)
		from = HUGE_FROM;
	if (tune_huge() && to > from)
		os_want_huge(heap.units.base + from, to - from);
}

static bool open_more(uint32_t top)
{
	size_t before = heap.units.open_bytes, need = ((size_t)top + 1) << UNIT_SHIFT;
	size_t count;

	if (!zone_open(&heap.units, need))
		return false;
	count = heap.units.open_bytes >> UNIT_SHIFT;
	if (!zone_open(&heap.slabs, count * sizeof(struct slab)) ||
	    !zone_open(&heap.maps, count * sizeof(int32_t)) ||
	    !zone_open(&heap.bits, (count / 64 + 1) * sizeof(struct unit_bits)))
		return false;
	want_huge(before, heap.units.open_bytes);
	ready_bytes = heap.units.open_bytes;
	heap_show_units(count);
	return true;
}

static uint32_t take_top(void)
{
	uint32_t unit = units.top ? units.top : 1;

	if (((size_t)unit + 1) << UNIT_SHIFT > ready_bytes && !open_more(unit))
		return 0;
	relaxed_set(units.top, unit + 1);
	return unit;
}

static uint32_t take_free(void)
{
	uint32_t words = units.top / 64 + 1, i;
	bool seek_dirty = units.dirty != 0;

	for (i = seek_dirty ? units.low_word : 0; i < words; i++) {
		struct unit_bits *b = bits_of(i);
		uint64_t *word = seek_dirty ? &b->dirty : &b->clean;
		uint32_t bit;

		if (!*word)
			continue;
		bit = (uint32_t)__builtin_ctzl(*word);
		*word &= *word - 1;
		if (seek_dirty)
			relaxed_set(units.dirty, units.dirty - 1);
		else
			units.clean--;
		if (seek_dirty)
			units.low_word = i;
		return i * 64 + bit;
	}
	return 0;
}

uint32_t unit_take(void)
{
	uint32_t unit;

	lock_take(&units.lock);
	unit = units.dirty || units.clean ? take_free() : 0;
	if (!unit)
		unit = take_top();
	lock_give(&units.lock);
	return unit;
}

void unit_give(uint32_t unit)
{
	lock_take(&units.lock);
	slab_at(unit)->stamp = reap_now();
	bits_of(unit / 64)->dirty |= (uint64_t)1 << (unit % 64);
	if (unit / 64 < units.low_word)
		units.low_word = unit / 64;
	relaxed_set(units.dirty, units.dirty + 1);
	lock_give(&units.lock);
}

static bool is_old(uint32_t unit, uint32_t older_than)
{
	return (bits_of(unit / 64)->dirty >> (unit % 64) & 1) && slab_at(unit)->stamp < older_than;
}

/* locked: units. Takes a run of old units out of the bitmap; returns its length. */
static uint32_t claim_run(uint32_t from, uint32_t older_than)
{
	uint32_t unit = from;

	while (unit < units.top && is_old(unit, older_than)) {
		bits_of(unit / 64)->dirty &= ~((uint64_t)1 << (unit % 64));
		relaxed_set(units.dirty, units.dirty - 1);
		unit++;
	}
	return unit - from;
}

#define PER_PAGE (PAGE_BYTES / sizeof(struct slab))

static bool all_clean(uint32_t page)
{
	uint64_t mask = ((uint64_t)1 << PER_PAGE) - 1;
	uint32_t unit = page * PER_PAGE;

	return (bits_of(unit / 64)->clean >> (unit % 64) & mask) == mask;
}

/*
 * locked: units. Descriptors of clean units say nothing but zero: a page of them can go when all
 * its units are clean.
 */
static void purge_descriptors(uint32_t from, uint32_t count)
{
	uint32_t page = from / PER_PAGE, end = (from + count - 1) / PER_PAGE + 1, first;

	_Static_assert(64 % PER_PAGE == 0, "a page's units share a word of the bitmap");
	while (page < end) {
		for (first = page; page < end && all_clean(page);)
			page++;
		if (page > first)
			os_purge(slab_at(first * PER_PAGE), (page - first) * PAGE_BYTES);
		page++;
	}
}

static void settle_run(uint32_t from, uint32_t count)
{
	for (uint32_t unit = from; unit < from + count; unit++) {
		bits_of(unit / 64)->clean |= (uint64_t)1 << (unit % 64);
		slab_at(unit)->stamp = 0;
		slab_at(unit)->mixed = 0;
	}
	purge_descriptors(from, count);
	units.clean += count;
	units.purged_bytes += (uint64_t)count << UNIT_SHIFT;
}

void units_purge(uint32_t older_than)
{
	uint32_t unit, count;

	lock_take(&units.lock);
	zone_purge_tail(&heap.units, (size_t)units.top << UNIT_SHIFT, older_than);
	for (unit = 1; unit < units.top && units.dirty; unit++) {
		count = claim_run(unit, older_than);
		if (!count)
			continue;
		lock_give(&units.lock);
		os_purge(heap.units.base + ((size_t)unit << UNIT_SHIFT),
			 (size_t)count << UNIT_SHIFT);
		lock_take(&units.lock);
		settle_run(unit, count);
		unit += count;
	}
	lock_give(&units.lock);
}

uint32_t units_top(void)
{
	return relaxed(units.top);
}

bool unit_was_freed(const void *block)
{
	uint32_t unit = unit_of(block);

	return unit && unit < units_top() && !slab_at(unit)->in_use;
}
