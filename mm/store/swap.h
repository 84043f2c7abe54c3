/*
 * swap.h - swap slots, and the swap cache: pages that have one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_STORE_SWAP_H
#define QUIRE_STORE_SWAP_H

#include "base/types.h"
#include "store/radix.h"

struct device;
struct machine;
struct page;

#define SWAP_BATCH 32u /* pages of one transfer (Linux: SWAP_CLUSTER_MAX) */

/* The swap area of one machine. Slot 0 is the header and never used. */
struct swap {
	struct machine *machine; /* (C) */
	struct device *dev; /* (C) owned; NULL: no swap */
	u64 nr_slots; /* (C) slot 0 included */
	u16 **count; /* a page of counts for 2048 slots, made when first needed */
	u64 used; /* slots in use */
	u64 next; /* where the search for a free slot begins */
	struct radix cache; /* slot -> page, or the eviction stamp of one that is gone */
	u64 write_errors, read_errors;
	int last_error; /* of the device, 0 none */
	unsigned int failing; /* a write failed: as good as full for so many rounds of reclaim */
};

#define SWAP_FAILING_ROUNDS 64

/* Swap of `pages` on `dev` (taken over). 0 or -ENOMEM. */
must_use int swap_on(struct machine *m, struct device *dev, u64 pages);
void swap_off(struct machine *m);

static inline u64 swap_total(const struct swap *s)
{
	return s->nr_slots ? s->nr_slots - 1 : 0;
}

static inline u64 swap_free_slots(const struct swap *s)
{
	return s->failing ? 0 : swap_total(s) - s->used;
}

/* More than half full: clean pages give their slots back. Linux: vm_swap_full(). */
static inline bool swap_full(const struct swap *s)
{
	return s->used * 2 > swap_total(s);
}

/* One user more, one less. */
void swap_dup(struct swap *s, u64 slot);
void swap_put(struct swap *s, u64 slot);
/* Users of the slot: entries, and the cache. */
unsigned int swap_count(const struct swap *s, u64 slot);

/* Gives the page a slot and puts it in the cache: 0, -ENOSPC or -ENOMEM. Linux: add_to_swap(). */
must_use int swap_add(struct swap *s, struct page *page);
/* Puts a page that is to be read into the cache under its slot. 0 or -ENOMEM. *shadow as found. */
must_use int swap_cache_insert(struct swap *s, u64 slot, struct page *page, void **shadow);
/* Takes it out, leaves the shadow while the slot is used, and drops both references. */
void swap_cache_delete(struct swap *s, struct page *page, void *shadow);
/* Puts `by`, which holds the same bytes, in the page's place. */
void swap_cache_replace(struct swap *s, struct page *page, struct page *by);
struct page *swap_cache_find(const struct swap *s, u64 slot);

/*
 * Writes pages that are in the cache; neighbours in one transfer. Zero-filled ones are only
 * remembered as such. Clears PG_dirty of those written; 0 or the device's -errno.
 */
int swap_write(struct swap *s, struct page **pages, unsigned int nr);
/* Reads pages in the cache, sets PG_uptodate or PG_error. The number of device transfers. */
unsigned int swap_read(struct swap *s, struct page **pages, unsigned int nr);

#endif
