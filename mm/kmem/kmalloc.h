/*
 * kmalloc.h - memory of any size for the manager itself: size classes of slab.h, whole pages above
 * 8 KiB.
 *
 * How     Classes 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192. Above that, a
 *         compound page; its size is found from the page at kfree(). Alignment: 8; a power of two
 *         is aligned to itself (up to 4096).
 * Use     kmem_boot() must have run.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_KMEM_KMALLOC_H
#define QUIRE_KMEM_KMALLOC_H

#include "kmem/slab.h"

#define KMALLOC_MAX_CACHE_SIZE 8192
#define KMALLOC_MAX_SIZE       ((size_t)PAGE_SIZE << MAX_PAGE_ORDER)

/* kmalloc(0): a pointer that must not be followed; kfree() knows it. */
#define ZERO_SIZE_PTR	      ((void *)16)
#define ZERO_OR_NULL_PTR(mem) ((uintptr_t)(mem) <= (uintptr_t)ZERO_SIZE_PTR)

/* Up to so many bytes a table has the class of each size. */
#define KMALLOC_TABLE_SIZE 1024

/* How a struct kmem begins (cache.h). */
struct kmalloc_front {
	/* By (size + 7) / 8: the class; of size 0 one that has nothing. */
	struct kmem_front *by_size[KMALLOC_TABLE_SIZE / 8 + 1];
};

/* What is left of kmalloc() and kfree() where the magazine at hand does not serve. */
void *must_use kmalloc_slowly(struct phys *phys, size_t size, gfp_t gfp);
void kfree_slowly(struct phys *phys, const void *mem);

/*
 * size bytes, or NULL (also when size > KMALLOC_MAX_SIZE). kmalloc(0) is a legal pointer to
 * nothing.
 */
static inline void *must_use kmalloc(struct phys *phys, size_t size, gfp_t gfp)
{
	const struct kmalloc_front *front = (const struct kmalloc_front *)phys->kmem;
	void *obj;

	if (likely(size <= KMALLOC_TABLE_SIZE) && likely(!(gfp & __GFP_ZERO)) &&
	    likely(front_pop(front->by_size[(size + 7) / 8], &obj)))
		return obj;
	return kmalloc_slowly(phys, size, gfp);
}

void *must_use kzalloc(struct phys *phys, size_t size, gfp_t gfp);
/* n * size bytes, NULL on overflow; kcalloc zeroes. */
void *must_use kmalloc_array(struct phys *phys, size_t n, size_t size, gfp_t gfp);
void *must_use kcalloc(struct phys *phys, size_t n, size_t size, gfp_t gfp);
/*
 * Grow or shrink, content kept up to the smaller size; on NULL the old memory stays. krealloc(NULL)
 * is kmalloc.
 */
void *must_use krealloc(struct phys *phys, const void *mem, size_t size, gfp_t gfp);
/* Usable bytes. */
size_t ksize(struct phys *phys, const void *mem);
/* NULL is legal. */
static inline void kfree(struct phys *phys, const void *mem)
{
	const struct page *page;

	if (likely(phys->model == MEMORY_FLAT) && likely(!ZERO_OR_NULL_PTR(mem))) {
		page = phys->mem_map + virt_to_pfn(phys, mem);
		if (likely(page_test(page, PG_slab)) &&
		    likely(front_push((struct kmem_front *)page->slab_cache,
				      (void *)(uintptr_t)mem)))
			return;
	}
	kfree_slowly(phys, mem);
}

/* A copy of a string. */
char *must_use kstrdup(struct phys *phys, const char *text, gfp_t gfp);

#endif
