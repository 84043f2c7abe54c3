/*
 * span.h - runs of pages for blocks above SMALL_MAX, described outside the blocks.
 *
 * How     Each page has a tag; only those of a run's first and last page mean anything (boundary
 *         tags), so neighbours merge in constant time. Free runs sit in bins by length. A free
 *         run is dirty until the reaper has returned its frames. Above the last run the zone
 *         has never been used.
 * Use     span_take(), span_give(), span_grow() in place, span_shrink(); sizes in pages.
 *         span_find() tells a block from a stray pointer.
 * Holds   P1  runs tile the zone from its start to spans.top
 *         P2  no two free runs are neighbours
 *         P3  a free run is in the bin of its length; spans.free_pages is their sum
 * Locks   spans.lock, one for the zone: such blocks cost far more to touch than to find.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_SPAN_H
#define QUIRE_MALLOC_SPAN_H

#include "heap.h"
#include "lock.h"

enum span_state { SPAN_NONE, SPAN_FREE, SPAN_USED, SPAN_BUSY }; /* BUSY: being purged */
enum span_place { SPAN_TIGHT, SPAN_ROOMY, SPAN_NO_GROWTH };

struct tag {
	uint32_t pages;
	uint8_t state; /* enum span_state; of the first page only */
	uint8_t dirty;
	uint16_t first; /* 1 on the first page of a run */
	union {
		struct {
			uint32_t next, prev; /* free: in its bin, page + 1 */
		};
		uint64_t sample; /* used: record of the profile, or 0 */
	};
};

#define SPAN_EXACT 64
#define SPAN_BINS  (SPAN_EXACT + 8 * 24)

struct spans {
	struct lock lock;
	uint32_t top; /* pages */
	uint32_t bin[SPAN_BINS]; /* page + 1 */
	uint64_t map[SPAN_BINS / 64];
	size_t free_pages, dirty_pages, used, used_pages;
	uint64_t purged_bytes;
};

hidden extern struct spans spans;

/* align_pages is a power of two. NULL: no memory, or SPAN_NO_GROWTH and no free run fits. */
must_use void *span_take(size_t pages, size_t align_pages, enum span_place place, bool *zeroed);
must_use bool span_give(void *block); /* false: no block starts there */
size_t span_find(const void *block); /* pages of the used block, or 0 */
bool span_was_freed(const void *block);
must_use bool span_grow(void *block, size_t pages);
void span_shrink(void *block, size_t pages);
void span_purge(uint32_t older_than);
void span_trim(size_t keep_pages); /* now; of the free run at the top so much stays */
size_t span_top_free(void); /* bytes free at the end, dirty */

static inline struct tag *tag_at(size_t page)
{
	return (struct tag *)heap.tags.base + page;
}

static inline size_t page_of(const void *p)
{
	return ((uintptr_t)p - (uintptr_t)heap.pages.base) >> PAGE_SHIFT;
}

static inline char *page_start(size_t page)
{
	return heap.pages.base + (page << PAGE_SHIFT);
}

#endif
