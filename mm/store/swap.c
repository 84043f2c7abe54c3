/*
 * swap.c - slots with a count of users, a cache of the pages that have one, and their transfers.
 *
 * How     Two bytes per slot count its users: table entries, shared memory, and the cache. Slots
 *         are
 *         handed out in order from where the last search ended, so that pages evicted together
 *         lie together and come back in one transfer. A page whose bytes are all zero is
 *         never written: its slot carries a mark.
 * Use     swap_add() then swap_write() to push out; swap_cache_insert() then swap_read() to
 *         bring in.
 * Holds   W1  used is the number of slots with a user
 *         W2  a page with PG_swapcache is in the cache at page->private, and counts as one user
 * Locks   The machine's.
 * Why     Linux: mm/swapfile.c, mm/swap_state.c, swap_zeromap.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/swap.h"

#include "base/check.h"
#include "base/errno.h"
#include "kmem/kmalloc.h"
#include "store/device.h"
#include "store/state.h"

#define COUNT_MASK     0x7fff
#define SLOT_ZERO      0x8000
#define SLOTS_PER_PAGE (PAGE_SIZE / sizeof(u16))

int swap_on(struct machine *m, struct device *dev, u64 pages)
{
	struct swap *s = &m->swap;
	u64 chunks = (pages + SLOTS_PER_PAGE - 1) / SLOTS_PER_PAGE;

	s->machine = m;
	radix_init(&s->cache, m->radix_cache);
	if (!dev)
		return 0;
	s->count = kcalloc(&m->phys, chunks, sizeof(*s->count), GFP_KERNEL);
	if (!s->count)
		return -ENOMEM;
	s->dev = dev;
	s->nr_slots = pages;
	s->next = 1;
	return 0;
}

void swap_off(struct machine *m)
{
	struct swap *s = &m->swap;
	u64 i;

	invariant(W1, s->used == 0);
	for (i = 0; s->count && i * SLOTS_PER_PAGE < s->nr_slots; i++)
		if (s->count[i])
			free_page(&m->phys, s->count[i]);
	kfree(&m->phys, s->count);
	radix_fini(&s->cache);
	if (s->dev)
		s->dev->ops->close(s->dev);
	*s = (struct swap){ .machine = m };
}

static u16 *slot_count(const struct swap *s, u64 slot)
{
	require(slot > 0 && slot < s->nr_slots);
	return &s->count[slot / SLOTS_PER_PAGE][slot % SLOTS_PER_PAGE];
}

unsigned int swap_count(const struct swap *s, u64 slot)
{
	return *slot_count(s, slot) & COUNT_MASK;
}

void swap_dup(struct swap *s, u64 slot)
{
	u16 *users = slot_count(s, slot);

	require((*users & COUNT_MASK) > 0 && (*users & COUNT_MASK) < COUNT_MASK);
	(*users)++;
}

void swap_put(struct swap *s, u64 slot)
{
	u16 *users = slot_count(s, slot);
	void *value;

	require((*users & COUNT_MASK) > 0);
	(*users)--;
	if (*users & COUNT_MASK)
		return;
	*users = 0;
	s->used--;
	s->failing = 0;
	value = radix_get(&s->cache, slot);
	if (value && radix_set(&s->cache, slot, NULL) < 0) /* a shadow: no page can be there */
		BUG("erasing needs no memory");
}

/* The next free slot, with its count page made; 0 when there is none. */
static u64 slot_search(struct swap *s)
{
	u64 tried;

	for (tried = 0; tried < s->nr_slots; tried++, s->next++) {
		u16 **chunk;

		if (s->next >= s->nr_slots)
			s->next = 1;
		chunk = &s->count[s->next / SLOTS_PER_PAGE];
		if (!*chunk)
			*chunk = get_zeroed_page(&s->machine->phys, GFP_ATOMIC | __GFP_MEMALLOC);
		if (!*chunk)
			return 0;
		if (!(*chunk)[s->next % SLOTS_PER_PAGE])
			return s->next++;
	}
	return 0;
}

static void cache_link(struct swap *s, u64 slot, struct page *page)
{
	page_set(page, PG_swapcache);
	page->private = slot;
	page->refcount++;
	stat_inc(&s->machine->phys.stat, NR_SWAPCACHE);
	stat_inc(&s->machine->phys.stat, NR_FILE_PAGES);
}

int swap_add(struct swap *s, struct page *page)
{
	u64 slot;

	require(!page_test(page, PG_swapcache));
	if (!s->dev || !swap_free_slots(s))
		return -ENOSPC;
	slot = slot_search(s);
	if (!slot)
		return -ENOMEM;
	if (radix_set(&s->cache, slot, page) < 0)
		return -ENOMEM;
	*slot_count(s, slot) = 1;
	s->used++;
	s->machine->swap_peak = max_u64(s->machine->swap_peak, s->used);
	cache_link(s, slot, page);
	page_set(page, PG_dirty);
	return 0;
}

int swap_cache_insert(struct swap *s, u64 slot, struct page *page, void **shadow)
{
	*shadow = radix_get(&s->cache, slot);
	require(!*shadow || radix_is_shadow(*shadow));
	if (radix_set(&s->cache, slot, page) < 0)
		return -ENOMEM;
	swap_dup(s, slot);
	cache_link(s, slot, page);
	return 0;
}

void swap_cache_delete(struct swap *s, struct page *page, void *shadow)
{
	u64 slot = page->private;

	require(page_test(page, PG_swapcache));
	if (radix_set(&s->cache, slot, swap_count(s, slot) > 1 ? shadow : NULL) < 0)
		BUG("replacing needs no memory");
	page_clear(page, PG_swapcache);
	page->private = 0;
	stat_dec(&s->machine->phys.stat, NR_SWAPCACHE);
	stat_dec(&s->machine->phys.stat, NR_FILE_PAGES);
	swap_put(s, slot);
	require(page->refcount > 1);
	page->refcount--;
}

void swap_cache_replace(struct swap *s, struct page *page, struct page *by)
{
	u64 slot = page->private;

	require(page_test(page, PG_swapcache) && !page_test(by, PG_swapcache));
	if (radix_set(&s->cache, slot, by) < 0)
		BUG("replacing needs no memory");
	page_set(by, PG_swapcache);
	by->private = slot;
	by->refcount++;
	if (page_test(page, PG_dirty))
		page_set(by, PG_dirty);
	page_clear(page, PG_swapcache);
	page->private = 0;
	require(page->refcount > 1);
	page->refcount--;
}

struct page *swap_cache_find(const struct swap *s, u64 slot)
{
	void *value = radix_get(&s->cache, slot);

	return value && !radix_is_shadow(value) ? value : NULL;
}

static bool page_is_zero(const struct machine *m, const struct page *page)
{
	const u64 *word = page_address(&m->phys, page);
	unsigned int i;

	for (i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/* Length of the run from `at` that lies in consecutive slots and needs the device. */
static unsigned int fill_run(struct swap *s, struct page **pages, unsigned int at, unsigned int nr,
			     struct device_vec *vec)
{
	unsigned int n = 0;

	while (at + n < nr && n < SWAP_BATCH && pages[at + n]->private == pages[at]->private + n &&
	       !(*slot_count(s, pages[at + n]->private) & SLOT_ZERO)) {
		vec[n].base = page_address(&s->machine->phys, pages[at + n]);
		vec[n].len = PAGE_SIZE;
		n++;
	}
	return n;
}

static void note_error(struct swap *s, s64 result, u64 *counter)
{
	(*counter)++;
	s->last_error = result < 0 ? (int)-result : EIO;
}

static void mark_zero_pages(struct swap *s, struct page **pages, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		u16 *users = slot_count(s, pages[i]->private);

		*users &= (u16)~SLOT_ZERO;
		if (!page_is_zero(s->machine, pages[i]))
			continue;
		*users |= SLOT_ZERO;
		page_clear(pages[i], PG_dirty);
		stat_inc(&s->machine->phys.stat, SWPOUT_ZERO);
	}
}

int swap_write(struct swap *s, struct page **pages, unsigned int nr)
{
	struct device_vec vec[SWAP_BATCH];
	unsigned int i, k, n;
	int err = 0;

	mark_zero_pages(s, pages, nr);
	for (i = 0; i < nr; i += n ? n : 1) {
		s64 done;

		n = fill_run(s, pages, i, nr, vec);
		if (!n)
			continue;
		done = s->dev->ops->write(s->dev, pages[i]->private << PAGE_SHIFT, vec, n);
		if (done != (s64)(n * PAGE_SIZE)) {
			note_error(s, done, &s->write_errors);
			s->failing = SWAP_FAILING_ROUNDS;
			err = -s->last_error;
			continue;
		}
		for (k = 0; k < n; k++)
			page_clear(pages[i + k], PG_dirty);
		stat_add(&s->machine->phys.stat, PSWPOUT, n);
		stat_add(&s->machine->phys.stat, NR_WRITTEN, n);
		stat_add(&s->machine->phys.stat, PGPGOUT, n * (PAGE_SIZE / 1024));
	}
	return err;
}

static void read_zero(struct swap *s, struct page *page)
{
	memset(page_address(&s->machine->phys, page), 0, PAGE_SIZE);
	page_set(page, PG_uptodate);
	stat_inc(&s->machine->phys.stat, SWPIN_ZERO);
}

unsigned int swap_read(struct swap *s, struct page **pages, unsigned int nr)
{
	struct device_vec vec[SWAP_BATCH];
	unsigned int i, k, n, transfers = 0;

	for (i = 0; i < nr; i += n ? n : 1) {
		s64 done;

		n = fill_run(s, pages, i, nr, vec);
		if (!n) {
			read_zero(s, pages[i]);
			continue;
		}
		done = s->dev->ops->read(s->dev, pages[i]->private << PAGE_SHIFT, vec, n);
		transfers++;
		if (done != (s64)(n * PAGE_SIZE))
			note_error(s, done, &s->read_errors);
		for (k = 0; k < n; k++)
			page_set(pages[i + k],
				 done == (s64)(n * PAGE_SIZE) ? PG_uptodate : PG_error);
		stat_add(&s->machine->phys.stat, PSWPIN, n);
		stat_add(&s->machine->phys.stat, PGPGIN, n * (PAGE_SIZE / 1024));
	}
	return transfers;
}
