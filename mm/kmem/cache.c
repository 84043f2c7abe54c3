/*
 * cache.c - makes and ends caches: shape, magazines, merging, the size classes of kmalloc.
 *
 * How     The first cache, of struct kmem_cache itself, lies in struct kmem; the others come from
 *         it. Magazines come from kmalloc, so that the classes get theirs last.
 * Locks   kmem->lock guards the list of caches and their numbers of users.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/cache.h"

/* --- caches --- */

/* Objects in a slab of that order; *first becomes the offset of the first. */
static unsigned objects_in(const struct kmem_cache *cache, unsigned order, u32 *first)
{
	size_t bytes = (size_t)PAGE_SIZE << order;
	unsigned nr = (unsigned)(bytes / cache->size);

	*first = 0;
	if (nr <= SLAB_BITS_IN_PAGE)
		return nr;
	do {
		*first = (u32)align_up(((size_t)nr + 63) / 64 * 8, (size_t)cache->align);
	} while (*first + (size_t)nr * cache->size > bytes && nr--);
	return nr;
}

/* The smallest slab that holds an object, with its bits where the others have them. */
static void choose_min_order(struct kmem_cache *cache)
{
	unsigned order = 0;

	while (cache->first + cache->size > (size_t)PAGE_SIZE << order)
		order++;
	cache->min_order = cache->first ? cache->order : (u8)order;
	cache->min_objs =
		cache->first ? cache->nr_objs : (u16)(((size_t)PAGE_SIZE << order) / cache->size);
}

/* The smallest slab that holds enough objects and wastes at most an eighth. */
static void choose_order(struct kmem_cache *cache)
{
	unsigned wanted = cache->size <= 256 ? 32 : cache->size <= 1024 ? 16 : 4, order, nr;
	u32 first;

	for (order = 0;; order++) {
		size_t bytes = (size_t)PAGE_SIZE << order;

		nr = objects_in(cache, order, &first);
		if (nr >= wanted && (bytes - (size_t)nr * cache->size) * 8 <= bytes)
			break;
		if (order >= SLAB_MAX_ORDER && nr)
			break;
	}
	cache->order = (u8)order;
	cache->nr_objs = (u16)nr;
	cache->first = first;
	choose_min_order(cache);
}

static void cache_init(struct kmem_cache *cache, struct phys *phys, const char *name, size_t size,
		       size_t align, unsigned flags, void (*ctor)(void *obj))
{
	require(size && size <= KMALLOC_MAX_SIZE / 4 && (align & (align - 1)) == 0 &&
		align <= PAGE_SIZE);
	memset(cache, 0, sizeof(*cache));
	if (flags & SLAB_HWCACHE_ALIGN)
		align = max_u64(align, 64);
	cache->phys = phys;
	cache->name = name;
	cache->flags = flags;
	cache->ctor = ctor;
	cache->users = 1;
	cache->align = (u32)max_u64(align, 8);
	cache->object_size = (u32)size;
	slab_debug_layout(cache);
	cache->reciprocal = (u32)((((u64)1 << 32) + cache->size - 1) / cache->size);
	choose_order(cache);
	lock_init(&cache->lock, RANK_KMEM_NODE, phys->locks);
	list_init(&cache->partial);
	list_init(&cache->full);
	list_init(&cache->empty);
}

/* A cache of the same shape that may be shared, or NULL. kmem->lock is held. */
static struct kmem_cache *find_mergeable(struct kmem *kmem, const struct kmem_cache *like)
{
	const unsigned unmergeable = SLAB_NO_MERGE | SLAB_DEBUG_FLAGS;
	struct kmem_cache *cache;

	if (like->ctor || like->flags & unmergeable)
		return NULL;
	list_for_each_entry(cache, &kmem->caches, struct kmem_cache, link) {
		if (cache->size == like->size && cache->align == like->align && !cache->ctor &&
		    cache != &kmem->caches_cache && !(cache->flags & unmergeable) &&
		    (cache->flags & SLAB_RECLAIM_ACCOUNT) == (like->flags & SLAB_RECLAIM_ACCOUNT))
			return cache;
	}
	return NULL;
}

static void publish(struct kmem *kmem, struct kmem_cache *cache)
{
	lock_take(&kmem->lock);
	list_add_tail(&cache->link, &kmem->caches);
	lock_give(&kmem->lock);
}

struct kmem_cache *kmem_cache_create(struct phys *phys, const char *name, size_t size, size_t align,
				     unsigned flags, void (*ctor)(void *obj))
{
	struct kmem *kmem = phys->kmem;
	struct kmem_cache shape, *cache;

	require(kmem != NULL);
	cache_init(&shape, phys, name, size, align, flags, ctor);
	lock_take(&kmem->lock);
	cache = find_mergeable(kmem, &shape);
	if (cache) {
		cache->users++;
		cache->object_size = (u32)max_u64(cache->object_size, size);
	}
	lock_give(&kmem->lock);
	if (cache)
		return cache;
	cache = kmem_cache_alloc(&kmem->caches_cache, GFP_KERNEL);
	if (cache) {
		cache_init(cache, phys, name, size, align, flags, ctor);
		if (magazines_init(cache)) {
			publish(kmem, cache);
			return cache;
		}
		kmem_cache_free(&kmem->caches_cache, cache);
	}
	require(!(flags & SLAB_PANIC));
	return NULL;
}

int kmem_cache_destroy(struct kmem_cache *cache)
{
	struct kmem *kmem;

	if (!cache)
		return 0;
	kmem = cache->phys->kmem;
	lock_take(&kmem->lock);
	if (cache->users > 1) {
		cache->users--;
		lock_give(&kmem->lock);
		return 0;
	}
	lock_give(&kmem->lock);
	kmem_cache_shrink(cache);
	if (cache->nr_inuse) {
		phys_log(cache->phys, "kmem_cache_destroy %s: cache still has %lu objects",
			 cache->name, (unsigned long)cache->nr_inuse);
		return -PHYS_EBUSY;
	}
	lock_take(&kmem->lock);
	list_del(&cache->link);
	lock_give(&kmem->lock);
	magazines_fini(cache);
	kmem_cache_free(&kmem->caches_cache, cache);
	return 0;
}

static const u32 class_sizes[KMALLOC_CLASSES] = { 8,   16,  32,	  64,	96,   128, 192,
						  256, 512, 1024, 2048, 4096, 8192 };

static bool boot_classes(struct kmem *kmem, struct phys *phys)
{
	static const char *const names[KMALLOC_CLASSES] = {
		"kmalloc-8",   "kmalloc-16",  "kmalloc-32",  "kmalloc-64",  "kmalloc-96",
		"kmalloc-128", "kmalloc-192", "kmalloc-256", "kmalloc-512", "kmalloc-1k",
		"kmalloc-2k",  "kmalloc-4k",  "kmalloc-8k",
	};
	unsigned i, size;

	for (i = 0; i < KMALLOC_CLASSES; i++) {
		u32 bytes = class_sizes[i],
		    align = bytes & (bytes - 1) ? 32 : (u32)min_u64(bytes, PAGE_SIZE);
		struct kmem_cache *cache = kmem_cache_alloc(&kmem->caches_cache, GFP_KERNEL);

		if (!cache)
			return false;
		cache_init(cache, phys, names[i], bytes, align, SLAB_NO_MERGE, NULL);
		cache->kmalloc_class = (u8)(i + 1);
		kmem->classes[i] = cache;
		publish(kmem, cache);
	}
	kmem->front.by_size[0] = &kmem->nothing;
	for (size = 1, i = 0; size < array_size(kmem->front.by_size); size++) {
		i += size * 8 > class_sizes[i];
		kmem->front.by_size[size] = &kmem->classes[i]->front;
	}
	for (i = 0; i < KMALLOC_CLASSES; i++)
		if (!magazines_init(kmem->classes[i]))
			return false;
	return magazines_init(&kmem->caches_cache);
}

/* Bytes of a magazine, of which a CPU has some tens: 1/65536 of the machine, 1 to 4 KiB. */
static size_t magazine_bytes(const struct phys *phys)
{
	return (size_t)clamp_u64((u64)1 << log2_ceil(phys->total_pages / 16 + 1), 1024, 4096);
}

int kmem_boot(struct phys *phys)
{
	struct kmem *kmem = alloc_pages_exact(phys, sizeof(*kmem), GFP_KERNEL | __GFP_ZERO);

	_Static_assert(sizeof(struct kmem) <= 4096, "one page");
	if (!kmem)
		return -PHYS_ENOMEM;
	phys->kmem = kmem;
	lock_init(&kmem->lock, RANK_KMEM_LIST, phys->locks);
	list_init(&kmem->caches);
	cache_init(&kmem->caches_cache, phys, "kmem_cache", sizeof(struct kmem_cache), 64,
		   SLAB_NO_MERGE, NULL);
	cache_init(&kmem->magazine_cache, phys, "magazine", magazine_bytes(phys), 64, SLAB_NO_MERGE,
		   NULL);
	publish(kmem, &kmem->caches_cache);
	publish(kmem, &kmem->magazine_cache);
	return boot_classes(kmem, phys) ? 0 : -PHYS_ENOMEM;
}

/* --- questions --- */

size_t kmem_cache_size(const struct kmem_cache *cache)
{
	return cache->object_size;
}

void kmem_cache_info(struct kmem_cache *cache, struct slab_info *info)
{
	u64 waiting = magazines_count(cache);

	lock_take(&cache->lock);
	*info = (struct slab_info){
		.name = cache->name,
		.active_objs = cache->nr_inuse - waiting,
		.num_objs = (cache->nr_slabs - cache->nr_small) * cache->nr_objs +
			    cache->nr_small * cache->min_objs,
		.object_size = cache->object_size,
		.size = cache->size,
		.objs_per_slab = cache->nr_objs,
		.pages_per_slab = (u64)1 << cache->order,
		.active_slabs = cache->nr_slabs - cache->nr_empty,
		.num_slabs = cache->nr_slabs,
	};
	lock_give(&cache->lock);
}

void kmem_for_each_cache(struct phys *phys, void (*visit)(void *arg, struct kmem_cache *cache),
			 void *arg)
{
	struct kmem_cache *cache;

	lock_take(&phys->kmem->lock);
	list_for_each_entry(cache, &phys->kmem->caches, struct kmem_cache, link)
		visit(arg, cache);
	lock_give(&phys->kmem->lock);
}

u64 kmem_slab_pages(struct phys *phys)
{
	return stat_read(&phys->stat, NR_SLAB_RECLAIMABLE) +
	       stat_read(&phys->stat, NR_SLAB_UNRECLAIMABLE);
}
