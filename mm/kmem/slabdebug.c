/*
 * slabdebug.c - red zones, poison, owners and consistency checks of caches that asked for them.
 *
 * How     | red zone (align) | object | red zone to a multiple of 8 | track |
 *
 *         The red zones hold 0xbb while the object is free and 0xcc while it is in use, so that a
 *         free object is recognised. A free object is filled with 0x6b. Such caches have no
 *         magazines: each object goes through its slab and is checked there.
 * Why     Linux: SLAB_RED_ZONE, SLAB_POISON, SLAB_STORE_USER in mm/slub.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/cache.h"

#define RED_FREE    0xbb
#define RED_USED    0xcc
#define POISON_FREE 0x6b

/* Behind the object and its right red zone. */
struct track {
	u64 in_use;
	const void *allocated_by;
	const void *freed_by;
};

static u32 right_zone(const struct kmem_cache *cache)
{
	return (u32)align_up(cache->object_size + 1, 8u) - cache->object_size;
}

void slab_debug_layout(struct kmem_cache *cache)
{
	u32 size = cache->object_size;

	if (cache->flags & SLAB_DEBUG_FLAGS) {
		cache->object_offset = cache->align;
		size = cache->object_offset + size + right_zone(cache) + (u32)sizeof(struct track);
	}
	cache->size = align_up(size, cache->align);
}

static struct track *track_of(const struct kmem_cache *cache, u8 *space)
{
	return (struct track *)(void *)(space + cache->object_offset + cache->object_size +
					right_zone(cache));
}

static void fill_zones(struct kmem_cache *cache, u8 *space, int byte)
{
	if (!(cache->flags & SLAB_RED_ZONE))
		return;
	memset(space, byte, cache->object_offset);
	memset(space + cache->object_offset + cache->object_size, byte, right_zone(cache));
}

static bool all_bytes(const u8 *at, size_t size, u8 byte)
{
	return !size || (at[0] == byte && memcmp(at, at + 1, size - 1) == 0);
}

static void report(struct kmem_cache *cache, const u8 *space, const char *what)
{
	const struct track *track = track_of(cache, (u8 *)(uintptr_t)space);

	phys_log(cache->phys, "BUG %s: %s, object %p", cache->name, what,
		 (const void *)(space + cache->object_offset));
	phys_log(cache->phys, "  allocated by %p, freed by %p", track->allocated_by,
		 track->freed_by);
}

static void check_zones(struct kmem_cache *cache, u8 *space, u8 byte)
{
	bool left, right;

	if (!(cache->flags & SLAB_RED_ZONE))
		return;
	left = all_bytes(space, cache->object_offset, byte);
	right = all_bytes(space + cache->object_offset + cache->object_size, right_zone(cache),
			  byte);
	if (!left || !right) {
		report(cache, space,
		       left ? "Right Redzone overwritten" : "Left Redzone overwritten");
		BUG("slab: red zone overwritten");
	}
}

static bool poisons(const struct kmem_cache *cache)
{
	return cache->flags & SLAB_POISON && !cache->ctor;
}

void slab_debug_init(struct kmem_cache *cache, u8 *space)
{
	*track_of(cache, space) = (struct track){ 0 };
	fill_zones(cache, space, RED_FREE);
	if (poisons(cache))
		memset(space + cache->object_offset, POISON_FREE, cache->object_size);
}

void slab_debug_alloc(struct kmem_cache *cache, u8 *space, const void *caller)
{
	struct track *track = track_of(cache, space);

	check_zones(cache, space, RED_FREE);
	if (poisons(cache) &&
	    !all_bytes(space + cache->object_offset, cache->object_size, POISON_FREE)) {
		report(cache, space, "Poison overwritten");
		BUG("slab: written after free");
	}
	fill_zones(cache, space, RED_USED);
	track->in_use = 1;
	track->allocated_by = caller;
}

void slab_debug_free(struct kmem_cache *cache, struct page *slab, u8 *space, const void *caller)
{
	struct track *track;

	if (!page_test(slab, PG_slab) || slab->slab_cache != cache ||
	    space != slab_space(cache, slab, slab_index(cache, slab, space)))
		BUG("slab: not an object of this cache");
	track = track_of(cache, space);
	if (!track->in_use) {
		report(cache, space, "Object already free");
		BUG("slab: double free");
	}
	check_zones(cache, space, RED_USED);
	track->in_use = 0;
	track->freed_by = caller;
	fill_zones(cache, space, RED_FREE);
	if (poisons(cache))
		memset(space + cache->object_offset, POISON_FREE, cache->object_size);
}

/* Call sites and their objects; the last entry gathers what finds no room. */
struct site_table {
	const void *sites[64];
	u64 objects[65];
	unsigned nr;
};

static void count_site(struct site_table *table, const void *site)
{
	unsigned i;

	for (i = 0; i < table->nr; i++)
		if (table->sites[i] == site)
			break;
	if (i == table->nr && i < array_size(table->sites))
		table->sites[table->nr++] = site;
	table->objects[i]++;
}

static void count_slabs(struct kmem_cache *cache, struct list_head *slabs, struct site_table *table)
{
	struct page *slab;
	unsigned n;

	list_for_each_entry(slab, slabs, struct page, lru) {
		for (n = 0; n < slab_objs(cache, slab); n++) {
			const struct track *track = track_of(cache, slab_space(cache, slab, n));

			if (track->in_use)
				count_site(table, track->allocated_by);
		}
	}
}

void kmem_cache_leaks(struct kmem_cache *cache,
		      void (*visit)(void *arg, const void *call_site, u64 objects), void *arg)
{
	struct site_table table;
	unsigned i;

	require(cache->flags & SLAB_STORE_USER);
	memset(&table, 0, sizeof(table));
	lock_take(&cache->lock);
	count_slabs(cache, &cache->partial, &table);
	count_slabs(cache, &cache->full, &table);
	lock_give(&cache->lock);
	for (i = 0; i < table.nr; i++)
		visit(arg, table.sites[i], table.objects[i]);
	if (table.objects[array_size(table.sites)])
		visit(arg, NULL, table.objects[array_size(table.sites)]);
}
