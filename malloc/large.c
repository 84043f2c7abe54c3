/*
 * large.c - mapped blocks.
 *
 * SPDX-License-Identifier: MIT
 */
#include "large.h"
#include "tune.h"

#define FIRST_SLOTS 256
#define REMOVED	    1

struct larges larges;

static size_t slot_of(uintptr_t block, size_t slots)
{
	return (size_t)((block >> PAGE_SHIFT) * 0x9e3779b97f4a7c15u >> 32) & (slots - 1);
}

/* locked: large. The entry of that block, or NULL. */
static struct large_entry *find(uintptr_t block)
{
	size_t i;

	if (!larges.slots || block <= REMOVED)
		return NULL;
	for (i = slot_of(block, larges.slots); larges.table[i].block;
	     i = (i + 1) & (larges.slots - 1))
		if (larges.table[i].block == block)
			return &larges.table[i];
	return NULL;
}

static void insert(struct large_entry *table, size_t slots, struct large_entry entry)
{
	size_t i = slot_of(entry.block, slots);

	while (table[i].block > REMOVED)
		i = (i + 1) & (slots - 1);
	if (!table[i].block)
		larges.filled++;
	table[i] = entry;
}

static bool reserve_slot(void)
{
	size_t slots = larges.slots;
	struct large_entry *table;

	if (slots && larges.filled < slots / 4 * 3)
		return true;
	slots = larges.used * 2 < slots ? slots : slots ? slots * 2 : FIRST_SLOTS;
	table = os_map(slots * sizeof(*table), OS_READ_WRITE);
	if (!table)
		return false;
	larges.filled = 0;
	for (size_t i = 0; i < larges.slots; i++)
		if (larges.table[i].block > REMOVED)
			insert(table, slots, larges.table[i]);
	if (larges.table)
		os_unmap(larges.table, larges.slots * sizeof(*table));
	larges.table = table;
	larges.slots = slots;
	return true;
}

static bool add(void *block, size_t bytes)
{
	bool done;

	lock_take(&larges.lock);
	done = reserve_slot();
	if (done) {
		insert(larges.table, larges.slots, (struct large_entry){ (uintptr_t)block, bytes });
		larges.used++;
		larges.bytes += bytes;
		if (larges.bytes > larges.most_bytes)
			larges.most_bytes = larges.bytes;
		if (larges.used > larges.most)
			larges.most = larges.used;
	}
	lock_give(&larges.lock);
	return done;
}

static size_t take_out(void *block)
{
	struct large_entry *e;
	size_t bytes = 0;

	lock_take(&larges.lock);
	e = find((uintptr_t)block);
	if (e) {
		bytes = e->bytes;
		e->block = REMOVED;
		larges.used--;
		larges.bytes -= bytes;
	}
	lock_give(&larges.lock);
	return bytes;
}

/* Maps `bytes` at a multiple of `align`, by mapping more and cutting off both ends. */
static char *map_aligned(size_t bytes, size_t align)
{
	size_t all = bytes + align - PAGE_BYTES, head;
	char *at;

	if (align <= PAGE_BYTES)
		return os_map(bytes, OS_READ_WRITE);
	if (all < bytes)
		return NULL;
	at = os_map(all, OS_READ_WRITE);
	if (!at)
		return NULL;
	head = (size_t)(round_up((uintptr_t)at, align) - (uintptr_t)at);
	if (head)
		os_unmap(at, head);
	if (all > head + bytes)
		os_unmap(at + head + bytes, all - head - bytes);
	return at + head;
}

void *large_take(size_t bytes, size_t align)
{
	size_t whole = round_up(bytes, PAGE_BYTES);
	char *at;

	if (whole < bytes || whole > PTRDIFF_MAX)
		return NULL;
	at = map_aligned(whole, align);
	if (at && !add(at, whole)) {
		os_unmap(at, whole);
		return NULL;
	}
	if (at && tune.huge && whole >= HUGE_FROM / 4)
		os_want_huge(at, whole);
	return at;
}

size_t large_give(void *block)
{
	size_t bytes = take_out(block);

	if (bytes)
		os_unmap(block, bytes);
	return bytes;
}

size_t large_find(const void *block)
{
	struct large_entry *e;
	size_t bytes;

	lock_take(&larges.lock);
	e = find((uintptr_t)block);
	bytes = e ? e->bytes : 0;
	lock_give(&larges.lock);
	return bytes;
}

/* The slot that taking the entry out freed is there for the new one: add() cannot fail. */
void *large_resize(void *block, size_t bytes)
{
	size_t whole = round_up(bytes, PAGE_BYTES), old;
	void *moved;

	if (whole < bytes || whole > PTRDIFF_MAX)
		return NULL;
	old = take_out(block);
	if (!old)
		return NULL;
	moved = old == whole ? block : os_remap(block, old, whole);
	if (!add(moved ? moved : block, moved ? whole : old))
		__builtin_trap();
	return moved;
}
