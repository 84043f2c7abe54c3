/*
 * large.h - blocks with a mapping of their own, and the table that knows them.
 *
 * How     mmap on request, munmap at once when freed, mremap to grow. An open-addressed hash
 *         table keyed by address, in pages of its own, doubles when three quarters full.
 * Use     large_give() and large_find() return 0 for an address that is no such block.
 * Locks   large.lock guards the table; never held over a system call but the table's growth.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_LARGE_H
#define QUIRE_MALLOC_LARGE_H

#include "lock.h"

struct large_entry {
	uintptr_t block; /* 0: empty, 1: was removed */
	size_t bytes; /* of the mapping */
};

struct larges {
	struct lock lock;
	struct large_entry *table;
	size_t slots, used, filled; /* filled counts removed entries too */
	size_t bytes, most_bytes, most;
};

extern struct larges larges;

must_use void *large_take(size_t bytes, size_t align);
size_t large_give(void *block); /* its bytes */
size_t large_find(const void *block);
must_use void *large_resize(void *block, size_t bytes);

#endif
