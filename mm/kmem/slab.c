/*
 * slab.c - slabs: pages cut into objects, whose free ones are bits.
 *
 * How     Objects leave and enter in batches, for the magazines (magazine.c). A batch is taken in
 *         address order, so that objects handed out one after another lie side by side. An object
 *         is never written here.
 * Holds   S1, S2, S3 of cache.h.
 * Locks   cache->lock, then the page allocator's.
 * Why     Linux: mm/slub.c, whose free lists run through the objects; bits touch only memory of
 *         their own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/cache.h"

#define EMPTY_SLABS_KEPT 2

/* --- slabs --- */

static void count_pages(struct kmem_cache *cache, u64 pages)
{
	enum vm_stat_item item =
		cache->flags & SLAB_RECLAIM_ACCOUNT ? NR_SLAB_RECLAIMABLE : NR_SLAB_UNRECLAIMABLE;

	stat_add_atomic(&cache->phys->stat, item, pages);
}

static void set_all_free(struct kmem_cache *cache, struct page *slab)
{
	u64 *bits = slab_bits(cache, slab);
	unsigned n = slab_objs(cache, slab), i;

	for (i = 0; n >= 64; i++, n -= 64)
		bits[i] = ~(u64)0;
	if (n || i < 2)
		bits[i] = ((u64)1 << n) - 1;
	if (i == 0)
		bits[1] = 0;
}

/* A block of the cache's order without any effort, else one of the least order with all of it. */
static struct page *alloc_slab_pages(struct kmem_cache *cache, gfp_t gfp)
{
	gfp_t modest = (gfp | __GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_COMP) &
		       ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL | __GFP_MEMALLOC);
	struct page *slab;

	if (cache->order == cache->min_order)
		return alloc_pages(cache->phys, gfp | (cache->order ? __GFP_COMP : 0),
				   cache->order);
	slab = alloc_pages(cache->phys, modest, cache->order);
	if (slab)
		return slab;
	return alloc_pages(cache->phys, gfp | (cache->min_order ? __GFP_COMP : 0),
			   cache->min_order);
}

/* All pages of a slab name its cache: kfree() need not look for the first. */
static void name_cache(struct kmem_cache *cache, struct page *slab)
{
	u64 i;

	for (i = 0; i < compound_nr(slab); i++) {
		struct page *page = pfn_to_page(cache->phys, page_to_pfn(cache->phys, slab) + i);

		page_set(page, PG_slab);
		page->slab_cache = cache;
	}
}

/* A slab of free objects, or NULL. Takes no lock of the cache. */
static struct page *slab_create(struct kmem_cache *cache, gfp_t gfp)
{
	struct page *slab;
	unsigned i;

	gfp &= ~(__GFP_ZERO | __GFP_HIGHMEM | __GFP_MOVABLE);
	if (cache->flags & SLAB_RECLAIM_ACCOUNT)
		gfp |= __GFP_RECLAIMABLE;
	slab = alloc_slab_pages(cache, gfp);
	if (!slab)
		return NULL;
	name_cache(cache, slab);
	slab->slab_inuse = 0;
	set_all_free(cache, slab);
	for (i = 0; i < slab_objs(cache, slab); i++) {
		if (cache->flags & SLAB_DEBUG_FLAGS)
			slab_debug_init(cache, slab_space(cache, slab, i));
		if (cache->ctor)
			cache->ctor(slab_space(cache, slab, i) + cache->object_offset);
	}
	count_pages(cache, (u64)1 << compound_order(slab));
	return slab;
}

static void slab_destroy(struct kmem_cache *cache, struct page *slab)
{
	unsigned order = compound_order(slab);
	u64 i;

	count_pages(cache, 0 - ((u64)1 << order));
	for (i = 0; i < (u64)1 << order; i++) {
		struct page *page = pfn_to_page(cache->phys, page_to_pfn(cache->phys, slab) + i);

		page_clear(page, PG_slab);
		page->slab_cache = NULL;
	}
	__free_pages(cache->phys, slab, order);
}

/* Move up to nr free objects of a slab to objs[], the lowest address last. Returns how many. */
static unsigned slab_take(struct kmem_cache *cache, struct page *slab, void **objs, unsigned nr)
{
	u64 *bits = slab_bits(cache, slab), word;
	unsigned words = (slab_objs(cache, slab) + 63u) / 64, i, n = 0;
	void *swap;

	for (i = 0; i < words && n < nr; i++) {
		for (word = bits[i]; word && n < nr; word &= word - 1)
			objs[n++] =
				slab_space(cache, slab, i * 64 + (unsigned)__builtin_ctzll(word)) +
				cache->object_offset;
		bits[i] = word;
	}
	slab->slab_inuse += (u16)n;
	for (i = 0; i < n / 2; i++) {
		swap = objs[i];
		objs[i] = objs[n - 1 - i];
		objs[n - 1 - i] = swap;
	}
	return n;
}

static bool is_small(const struct kmem_cache *cache, const struct page *slab)
{
	return compound_order(slab) != cache->order;
}

/*
 * One more slab on partial; false: no memory. No lock is held: the page allocator may call reclaim,
 * which calls us.
 */
bool slab_grow(struct kmem_cache *cache, gfp_t gfp)
{
	struct page *slab = slab_create(cache, gfp);

	if (!slab)
		return false;
	lock_take(&cache->lock);
	cache->nr_slabs++;
	cache->nr_small += is_small(cache, slab);
	list_add(&slab->lru, &cache->partial);
	lock_give(&cache->lock);
	return true;
}

/* A slab with free objects at the front of partial, or NULL. */
static struct page *partial_slab(struct kmem_cache *cache)
{
	struct page *slab;

	if (!list_empty(&cache->partial))
		return list_first_entry(&cache->partial, struct page, lru);
	if (list_empty(&cache->empty))
		return NULL;
	slab = list_first_entry(&cache->empty, struct page, lru);
	cache->nr_empty--;
	list_move(&slab->lru, &cache->partial);
	return slab;
}

/* Up to nr objects from the slabs that there are. Takes cache->lock. */
unsigned slab_take_objects(struct kmem_cache *cache, void **objs, unsigned nr)
{
	struct page *slab;
	unsigned n = 0;

	lock_take(&cache->lock);
	while (n < nr && (slab = partial_slab(cache))) {
		n += slab_take(cache, slab, objs + n, nr - n);
		if (slab->slab_inuse == slab_objs(cache, slab))
			list_move(&slab->lru, &cache->full);
	}
	cache->nr_inuse += n;
	lock_give(&cache->lock);
	return n;
}

/*
 * Set the object's bit; the slab changes lists. An emptied slab that is one too many goes to
 * `doomed`.
 */
static void give_object(struct kmem_cache *cache, void *obj, struct list_head *doomed)
{
	struct page *slab = slab_of(cache, obj);
	unsigned n = slab_index(cache, slab, (u8 *)obj - cache->object_offset);
	u64 *bits = slab_bits(cache, slab), bit = (u64)1 << n % 64;

	require(page_test(slab, PG_slab) && slab->slab_cache == cache);
	invariant(S3, !(bits[n / 64] & bit));
	bits[n / 64] |= bit;
	if (slab->slab_inuse-- == slab_objs(cache, slab))
		list_move(&slab->lru, &cache->partial);
	if (slab->slab_inuse)
		return;
	if (cache->nr_empty < EMPTY_SLABS_KEPT) {
		cache->nr_empty++;
		list_move(&slab->lru, &cache->empty);
	} else {
		cache->nr_slabs--;
		cache->nr_small -= is_small(cache, slab);
		list_move(&slab->lru, doomed);
	}
}

static u64 destroy_slabs(struct kmem_cache *cache, struct list_head *doomed)
{
	struct page *slab, *next;
	u64 pages = 0;

	list_for_each_entry_safe(slab, next, doomed, struct page, lru) {
		pages += (u64)1 << compound_order(slab);
		slab_destroy(cache, slab);
	}
	return pages;
}

void slab_give_objects(struct kmem_cache *cache, void **objs, unsigned nr)
{
	struct list_head doomed;
	unsigned i;

	list_init(&doomed);
	lock_take(&cache->lock);
	for (i = 0; i < nr; i++)
		give_object(cache, objs[i], &doomed);
	cache->nr_inuse -= nr;
	lock_give(&cache->lock);
	destroy_slabs(cache, &doomed);
}

u64 kmem_cache_shrink(struct kmem_cache *cache)
{
	struct list_head doomed;
	struct page *slab;

	magazines_empty(cache);
	list_init(&doomed);
	lock_take(&cache->lock);
	list_for_each_entry(slab, &cache->empty, struct page, lru)
		cache->nr_small -= is_small(cache, slab);
	list_splice_init(&cache->empty, &doomed);
	cache->nr_slabs -= cache->nr_empty;
	cache->nr_empty = 0;
	lock_give(&cache->lock);
	return destroy_slabs(cache, &doomed);
}

/* What is in slabs that go was looked at. Linux counts what its shrinkers scan. */
static void reap_cache(void *arg, struct kmem_cache *cache)
{
	u64 slabs = cache->nr_slabs;

	*(u64 *)arg += kmem_cache_shrink(cache);
	stat_add_atomic(&cache->phys->stat, SLABS_SCANNED,
			(slabs - cache->nr_slabs) * cache->nr_objs);
}

u64 kmem_reap(struct phys *phys)
{
	u64 pages = 0;

	kmem_for_each_cache(phys, reap_cache, &pages);
	/* The depots' magazines are free by now. */
	return pages + kmem_cache_shrink(&phys->kmem->magazine_cache);
}
