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

/*
 * size bytes, or NULL (also when size > KMALLOC_MAX_SIZE). kmalloc(0) is a legal pointer to
 * nothing.
 */
void *must_use kmalloc(struct phys *phys, size_t size, gfp_t gfp);
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
void kfree(struct phys *phys, const void *mem);
/* A copy of a string. */
char *must_use kstrdup(struct phys *phys, const char *text, gfp_t gfp);

#endif
