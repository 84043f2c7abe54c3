/*
 * cache.h - what a kmem_cache is made of; for the files of kmem/ only.
 *
 * How     A slab is a block of 2^order frames cut into objects; a bit per object says whether it is
 *         free. The bits lie in the head's struct page (up to 128 objects) or at the start of the
 *         slab. In front of the slabs each CPU has a magazine: an array of free objects, filled and
 *         emptied in batches.
 * Holds   S1  slab_inuse = objects - set bits, in each slab
 *         S2  a slab with free objects is on partial (some used) or empty (none used), a full one
 *             on full
 *         S3  an object is in one magazine, or its bit is set, or it is handed out
 *         S4  all pages of a slab have PG_slab and name the cache
 * Locks   (M) the CPU's lock; (N) cache->lock, taken inside it; (C) constant after creation.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_KMEM_CACHE_H
#define QUIRE_KMEM_CACHE_H

#include "base/list.h"
#include "base/lock.h"
#include "kmem/kmalloc.h"
#include "kmem/magazine.h"
#include "kmem/slab.h"

#define SLAB_MAX_ORDER	  3
#define SLAB_BITS_IN_PAGE 128
#define KMALLOC_CLASSES	  13

/* What belongs to one CPU of one cache. */
struct cpu_cache {
	struct lock lock;
	struct kmem_front own; /* (M) objects come from and go to this one */
	struct magazine *previous; /* (M) full or empty */
	u8 pad[64 - sizeof(struct lock) - 4 * sizeof(void *)]; /* a cache line each */
};

struct kmem_cache {
	struct kmem_front front; /* (M) must come first: magazine.h; of the only CPU, else NULLs */
	struct cpu_cache *cpus; /* (C) NULL: no magazines (debugging, or early boot) */
	struct phys *phys; /* (C) */
	u32 size; /* (C) bytes from one object to the next */
	u32 object_size; /* (C) bytes that the caller may use */
	u32 object_offset; /* (C) bytes before the object: left red zone */
	u32 reciprocal; /* (C) 2^32 / size, rounded up */
	u32 first; /* (C) offset of object 0 in the slab: after the bits */
	u16 nr_objs; /* (C) objects per slab */
	u16 min_objs; /* (C) and in one of min_order */
	u8 order; /* (C) frames per slab: 2^order */
	u8 min_order; /* (C) when there is no block of that order. Linux: s->min */
	u8 alone; /* (C) one CPU and no lock: its magazine is `front` */
	u8 unlocked; /* (C) several CPUs, whose magazines need no lock */
	u8 kmalloc_class; /* (C) 1 + class, or 0 */
	unsigned flags; /* (C) enum slab_flag */
	u32 align; /* (C) */
	u32 users; /* (kmem list lock) caches merged into this one */
	const char *name; /* (C) */
	void (*ctor)(void *obj); /* (C) */

	u32 magazine_capacity; /* (C) */
	u32 full_max; /* (C) */
	struct lock lock;
	struct magazine *full_magazines; /* (N) the depot */
	struct magazine *empty_magazines; /* (N) */
	u64 nr_full; /* (N) */
	struct list_head partial; /* (N) slabs by page->lru */
	struct list_head full; /* (N) */
	struct list_head empty; /* (N) */
	u64 nr_slabs; /* (N) all three lists */
	u64 nr_empty; /* (N) */
	u64 nr_small; /* (N) slabs of min_order, where that is another */
	/* (N) objects out of their slabs: handed out or in magazines */
	u64 nr_inuse;
	struct list_head link; /* (kmem list lock) all caches */
};

/* All caches of one machine. */
struct kmem {
	struct kmalloc_front front; /* must come first: kmalloc.h */
	struct kmem_front nothing; /* (C) of size 0 */
	struct lock lock;
	struct list_head caches;
	struct kmem_cache caches_cache; /* where struct kmem_cache comes from */
	struct kmem_cache magazine_cache; /* where magazines come from; has none itself */
	struct kmem_cache *classes[KMALLOC_CLASSES];
};

/* Where the loaded magazine of a CPU is. */
static inline struct kmem_front *front_of(struct kmem_cache *cache, struct cpu_cache *cpu)
{
	return cache->alone && cpu == cache->cpus ? &cache->front : &cpu->own;
}

/* The slab that holds an address, as its first page. */
static inline struct page *slab_of(const struct kmem_cache *cache, const void *obj)
{
	return compound_head(virt_to_page(cache->phys, obj));
}

/* Objects in this slab. */
static inline unsigned slab_objs(const struct kmem_cache *cache, const struct page *slab)
{
	return compound_order(slab) == cache->order ? cache->nr_objs : cache->min_objs;
}

static inline u64 *slab_bits(const struct kmem_cache *cache, struct page *slab)
{
	return cache->nr_objs <= SLAB_BITS_IN_PAGE ? slab->slab_bits
						   : page_address(cache->phys, slab);
}

/* First byte of the n-th object's space (its left red zone, if any). */
static inline u8 *slab_space(const struct kmem_cache *cache, struct page *slab, unsigned n)
{
	return (u8 *)page_address(cache->phys, slab) + cache->first + (size_t)n * cache->size;
}

/* Number of the object whose space begins at `space`. */
static inline unsigned slab_index(const struct kmem_cache *cache, struct page *slab,
				  const void *space)
{
	u64 offset =
		(u64)((const u8 *)space - (u8 *)page_address(cache->phys, slab)) - cache->first;

	return (unsigned)(offset * cache->reciprocal >> 32);
}

/* slabdebug.c: sizes, and the checks of a cache with debugging flags. */
#define SLAB_DEBUG_FLAGS (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_CONSISTENCY_CHECKS)
/* Bytes before and after the object that its debugging flags need. */
void slab_debug_layout(struct kmem_cache *cache);
/*
 * A new slab's object, an object about to be handed out, an object given back; caller is a code
 * address.
 */
void slab_debug_init(struct kmem_cache *cache, u8 *space);
void slab_debug_alloc(struct kmem_cache *cache, u8 *space, const void *caller);
void slab_debug_free(struct kmem_cache *cache, struct page *slab, u8 *space, const void *caller);

/* slab.c: batches of objects. */
unsigned slab_take_objects(struct kmem_cache *cache, void **objs, unsigned nr);
void slab_give_objects(struct kmem_cache *cache, void **objs, unsigned nr);
bool slab_grow(struct kmem_cache *cache, gfp_t gfp);

/* magazine.c: an empty magazine for a cache, or NULL; and back. */
struct magazine *magazine_create(struct kmem_cache *cache);
void magazine_destroy(struct kmem_cache *cache, struct magazine *mag);
/* Give the cache its magazines, false: no memory; and take them away, when they are empty. */
bool magazines_init(struct kmem_cache *cache);
void magazines_fini(struct kmem_cache *cache);
/*
 * Give all their objects back to the slabs; with LOCK_OWNED not those of other CPUs whose threads
 * are busy (phys_cpu_idle()).
 */
void magazines_empty(struct kmem_cache *cache);
/* Objects in magazines. */
u64 magazines_count(struct kmem_cache *cache);
/* For kmalloc.c, which knows its caller better. */
void *slab_alloc_slowly(struct kmem_cache *cache, gfp_t gfp, const void *caller);
void slab_free_slowly(struct kmem_cache *cache, void *obj, const void *caller);

static always_inline void *slab_alloc(struct kmem_cache *cache, gfp_t gfp, const void *caller)
{
	void *obj;

	if (likely(!(gfp & __GFP_ZERO)) && likely(front_pop(&cache->front, &obj)))
		return obj;
	return slab_alloc_slowly(cache, gfp, caller);
}

static always_inline void slab_free(struct kmem_cache *cache, void *obj, const void *caller)
{
	if (unlikely(!front_push(&cache->front, obj)))
		slab_free_slowly(cache, obj, caller);
}

#endif
