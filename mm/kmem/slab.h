/*
 * slab.h - objects of one size, cut from pages: kmem_cache by Linux's names, with the machine as
 * first argument.
 *
 * Use     kmem_cache_create() once, kmem_cache_alloc()/kmem_cache_free() often,
 *         kmem_cache_destroy() at the end. kmem_boot() must have run on the machine (it makes the
 *         size classes of kmalloc.h too).
 * Locks   any thread may call; each CPU has its own objects in front of the shared slabs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_KMEM_SLAB_H
#define QUIRE_KMEM_SLAB_H

#include "kmem/magazine.h"
#include "phys/alloc.h"

struct kmem_cache;

enum slab_flag {
	SLAB_HWCACHE_ALIGN = 1 << 0, /* objects begin at a multiple of 64 bytes */
	SLAB_RECLAIM_ACCOUNT = 1 << 1, /* a shrinker can free them: nr_slab_reclaimable */
	SLAB_RED_ZONE = 1 << 2, /* guard bytes around each object, checked at free */
	SLAB_POISON = 1 << 3, /* fill freed objects, check when handed out */
	SLAB_STORE_USER = 1 << 4, /* remember who allocated: slab_leak_report() */
	SLAB_CONSISTENCY_CHECKS = 1 << 5, /* double and wild frees are found at free */
	SLAB_NO_MERGE = 1 << 6, /* never share with a cache of the same shape */
	SLAB_PANIC = 1 << 7, /* creation must not fail */
	SLAB_DEBUG_ALL = SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_CONSISTENCY_CHECKS,
};

/* Numbers of one cache (/proc/slabinfo). Objects in per-CPU magazines are not active. */
struct slab_info {
	const char *name;
	u64 active_objs; /* handed out */
	u64 num_objs; /* in all slabs */
	u64 object_size; /* bytes, as asked for */
	u64 size; /* bytes, as spaced */
	u64 objs_per_slab;
	u64 pages_per_slab;
	u64 active_slabs; /* with at least one object handed out or in a magazine */
	u64 num_slabs;
};

/* Prepare kmem on a booted machine: the cache of caches and kmalloc's classes. 0 or -ENOMEM. */
int must_use kmem_boot(struct phys *phys);

/*
 * A cache of objects of `size` bytes at multiples of `align` (0: 8; a power of two up to 4096).
 * ctor (may be NULL) runs once per object when its slab is made; objects must be freed in that
 * state. NULL when there is no memory. The name is kept, not copied. Two caches of one shape
 * without ctor may be one underneath (unless SLAB_NO_MERGE).
 */
struct kmem_cache *must_use kmem_cache_create(struct phys *phys, const char *name, size_t size,
					      size_t align, unsigned flags,
					      void (*ctor)(void *obj));
/*
 * Gives all slabs back. Objects still allocated are leaks: logged, and -EBUSY (the cache stays).
 * NULL is legal.
 */
int kmem_cache_destroy(struct kmem_cache *cache);

/* What is left of the next two where the magazine at hand does not serve. */
void *must_use kmem_cache_alloc_slowly(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free_slowly(struct kmem_cache *cache, void *obj);

/* One object, or NULL. __GFP_ZERO is honoured. */
static inline void *must_use kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	void *obj;

	if (likely(!(gfp & __GFP_ZERO)) && likely(front_pop((struct kmem_front *)cache, &obj)))
		return obj;
	return kmem_cache_alloc_slowly(cache, gfp);
}

void *must_use kmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp);

/* Back to its cache. NULL is legal. */
static inline void kmem_cache_free(struct kmem_cache *cache, void *obj)
{
	if (unlikely(!obj || !front_push((struct kmem_front *)cache, obj)))
		kmem_cache_free_slowly(cache, obj);
}

/* nr objects or none (0); and back. */
size_t kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t nr, void **objs);
void kmem_cache_free_bulk(struct kmem_cache *cache, size_t nr, void **objs);
/* Give empty slabs back to the page allocator; returns pages freed. */
u64 kmem_cache_shrink(struct kmem_cache *cache);

/*
 * For a cache with SLAB_STORE_USER: call visit once per call site that holds objects, with their
 * number; at most 64 call sites, the rest together as NULL. Call sites are code addresses.
 */
void kmem_cache_leaks(struct kmem_cache *cache,
		      void (*visit)(void *arg, const void *call_site, u64 objects), void *arg);
/*
 * Give back what magazines and empty slabs of all caches hold, under pressure; returns pages freed.
 */
u64 kmem_reap(struct phys *phys);

size_t kmem_cache_size(const struct kmem_cache *cache);
void kmem_cache_info(struct kmem_cache *cache, struct slab_info *info);
/* Visit every cache of the machine, kmalloc's included. */
void kmem_for_each_cache(struct phys *phys, void (*visit)(void *arg, struct kmem_cache *cache),
			 void *arg);
/*
 * Panic unless every object is in exactly one place, and all numbers are right. Nobody else may be
 * in a cache meanwhile.
 */
void kmem_check(struct phys *phys);
/* Pages in slabs of all caches. Linux: nr_slab_reclaimable + nr_slab_unreclaimable. */
u64 kmem_slab_pages(struct phys *phys);

#endif
