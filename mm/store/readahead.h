/*
 * readahead.h - which pages of a file to read, and reading them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_STORE_READAHEAD_H
#define QUIRE_STORE_READAHEAD_H

#include "base/types.h"

struct mapping;
struct page;

enum readahead_hint { READAHEAD_NORMAL, READAHEAD_RANDOM, READAHEAD_SEQUENTIAL };

/*
 * Brings the page at index in for a mapping fault, with what is read around it. 0, -ENOMEM or
 * -EIO. On 0 the page is in the cache and up to date. Linux: do_sync_mmap_readahead().
 */
must_use int readahead_fault(struct mapping *map, u64 index, enum readahead_hint hint);

/*
 * Reads what is absent of [first, first + nr). Stops quietly without memory. Linux:
 * force_page_cache_readahead().
 */
void readahead_range(struct mapping *map, u64 first, u64 nr);

#endif
