/*
 * slabcheck.c - kmem_check(): every object of every cache is in exactly one place.
 *
 * How     The bit of each object that waits in a magazine is set for a moment: one that is set
 *         already belongs to an object that is free, or was found before.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/cache.h"

static unsigned free_objects(struct kmem_cache *cache, struct page *slab)
{
	unsigned words = (slab_objs(cache, slab) + 63u) / 64, i, nr = 0;

	for (i = 0; i < words; i++)
		nr += count_bits(slab_bits(cache, slab)[i]);
	return nr;
}

/* Adds up what a cache's three lists hold. */
struct slab_sums {
	u64 slabs;
	u64 small;
	u64 inuse;
};

static void check_slab(struct kmem_cache *cache, struct page *slab)
{
	pfn_t first = page_to_pfn(cache->phys, slab), pfn;

	for (pfn = first; pfn < first + compound_nr(slab); pfn++) {
		const struct page *page = pfn_to_page(cache->phys, pfn);

		invariant(S4, page_test(page, PG_slab) && page->slab_cache == cache);
	}
	invariant(S1, slab->slab_inuse + free_objects(cache, slab) == slab_objs(cache, slab));
}

static void check_list(struct kmem_cache *cache, const struct list_head *list,
		       struct slab_sums *sums)
{
	struct page *slab;

	list_for_each_entry(slab, list, struct page, lru) {
		unsigned nr = slab_objs(cache, slab);

		check_slab(cache, slab);
		invariant(S2, list == &cache->full    ? slab->slab_inuse == nr
			      : list == &cache->empty ? slab->slab_inuse == 0
						      : slab->slab_inuse < nr);
		sums->slabs++;
		sums->small += compound_order(slab) != cache->order;
		sums->inuse += slab->slab_inuse;
	}
}

enum mark { MARK_FREE, MARK_TAKEN };

static void mark_objects(struct kmem_cache *cache, void **objs, u64 nr, enum mark mark)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		struct page *slab = slab_of(cache, objs[i]);
		u8 *space = (u8 *)objs[i] - cache->object_offset;
		unsigned n = slab_index(cache, slab, space);
		u64 *word = &slab_bits(cache, slab)[n / 64], bit = (u64)1 << n % 64;

		invariant(S3, slab->slab_cache == cache && n < slab_objs(cache, slab) &&
				      space == slab_space(cache, slab, n));
		invariant(S3, !(*word & bit) == (mark == MARK_FREE));
		*word ^= bit;
	}
}

static void mark_magazines(struct kmem_cache *cache, enum mark mark)
{
	struct magazine *mag;
	u64 nr_full = 0;
	unsigned cpu;

	for (cpu = 0; cache->cpus && cpu < cache->phys->nr_cpus; cpu++) {
		const struct kmem_front *front = front_of(cache, &cache->cpus[cpu]);

		mag = cache->cpus[cpu].previous;
		invariant(M1, !mag->count || mag->count == mag->capacity);
		invariant(M3, front->bottom <= front->top && front->top <= front->end);
		mark_objects(cache, mag->objs, mag->count, mark);
		mark_objects(cache, front->bottom, (u64)(front->top - front->bottom), mark);
	}
	for (mag = cache->full_magazines; mag; mag = mag->next, nr_full++) {
		invariant(M2, mag->count == mag->capacity);
		mark_objects(cache, mag->objs, mag->count, mark);
	}
	invariant(M2, nr_full == cache->nr_full && nr_full <= cache->full_max);
}

void kmem_check(struct phys *phys)
{
	struct kmem_cache *cache;

	list_for_each_entry(cache, &phys->kmem->caches, struct kmem_cache, link) {
		struct slab_sums sums = { 0, 0, 0 }, empty = { 0, 0, 0 };

		check_list(cache, &cache->partial, &sums);
		check_list(cache, &cache->full, &sums);
		check_list(cache, &cache->empty, &empty);
		invariant(S2, empty.slabs == cache->nr_empty);
		invariant(S2, sums.slabs + empty.slabs == cache->nr_slabs);
		invariant(S2, sums.small + empty.small == cache->nr_small);
		invariant(S1, sums.inuse == cache->nr_inuse);
		mark_magazines(cache, MARK_FREE);
		mark_magazines(cache, MARK_TAKEN);
	}
}
