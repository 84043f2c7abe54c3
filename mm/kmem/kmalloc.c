/*
 * kmalloc.c - sizes to classes, and whole pages above them.
 *
 * How     Up to 1024 bytes a table gives the class, above it the power of two. A pointer's page
 *         says what it is: a slab's (its cache knows the size) or a compound page of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/cache.h"

/* size is not 0. */
static inline struct kmem_cache *class_for(struct kmem *kmem, size_t size)
{
	if (likely(size <= KMALLOC_TABLE_SIZE))
		return container_of(kmem->front.by_size[(size + 7) / 8], struct kmem_cache, front);
	/* 2048 is class 10, 8192 is class 12. */
	return kmem->classes[log2_ceil(size) - 1];
}

static void *alloc_large(struct phys *phys, size_t size, gfp_t gfp)
{
	unsigned order = log2_ceil(align_up(size, PAGE_SIZE) >> PAGE_SHIFT);
	struct page *page;

	if (size > KMALLOC_MAX_SIZE)
		return NULL;
	page = alloc_pages(phys, (gfp & ~(__GFP_HIGHMEM | __GFP_MOVABLE)) | __GFP_COMP, order);
	if (!page)
		return NULL;
	stat_add_atomic(&phys->stat, NR_SLAB_UNRECLAIMABLE, (u64)1 << order);
	return page_address(phys, page);
}

static inline void *alloc_sized(struct phys *phys, size_t size, gfp_t gfp, const void *caller)
{
	if (unlikely(size > KMALLOC_MAX_CACHE_SIZE))
		return alloc_large(phys, size, gfp);
	if (unlikely(!size))
		return ZERO_SIZE_PTR;
	return slab_alloc(class_for(phys->kmem, size), gfp, caller);
}

void *kmalloc_slowly(struct phys *phys, size_t size, gfp_t gfp)
{
	if (unlikely(size > KMALLOC_MAX_CACHE_SIZE))
		return alloc_large(phys, size, gfp);
	if (unlikely(!size))
		return ZERO_SIZE_PTR;
	return slab_alloc_slowly(class_for(phys->kmem, size), gfp, __builtin_return_address(0));
}

void *kzalloc(struct phys *phys, size_t size, gfp_t gfp)
{
	return alloc_sized(phys, size, gfp | __GFP_ZERO, __builtin_return_address(0));
}

void *kmalloc_array(struct phys *phys, size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return alloc_sized(phys, bytes, gfp, __builtin_return_address(0));
}

void *kcalloc(struct phys *phys, size_t n, size_t size, gfp_t gfp)
{
	return kmalloc_array(phys, n, size, gfp | __GFP_ZERO);
}

size_t ksize(struct phys *phys, const void *mem)
{
	struct page *page;

	if (ZERO_OR_NULL_PTR(mem))
		return 0;
	page = compound_head(virt_to_page(phys, mem));
	return page_test(page, PG_slab) ? page->slab_cache->object_size
					: (size_t)PAGE_SIZE << compound_order(page);
}

void *krealloc(struct phys *phys, const void *mem, size_t size, gfp_t gfp)
{
	size_t old = ksize(phys, mem);
	void *grown;

	if (old && size && size <= old && size > old / 2)
		return (void *)(uintptr_t)mem;
	grown = alloc_sized(phys, size, gfp, __builtin_return_address(0));
	if (!grown)
		return NULL;
	if (old && size)
		memcpy(grown, mem, min_u64(old, size));
	kfree(phys, mem);
	return grown;
}

static no_inline void free_large(struct phys *phys, const void *mem)
{
	struct page *page = compound_head(virt_to_page(phys, mem));

	require(is_aligned((uintptr_t)mem, PAGE_SIZE));
	stat_add_atomic(&phys->stat, NR_SLAB_UNRECLAIMABLE, 0 - compound_nr(page));
	__free_pages(phys, page, compound_order(page));
}

void kfree_slowly(struct phys *phys, const void *mem)
{
	struct page *page;

	if (ZERO_OR_NULL_PTR(mem))
		return;
	page = virt_to_page(phys, mem);
	if (unlikely(!page_test(page, PG_slab)))
		free_large(phys, mem);
	else
		slab_free(page->slab_cache, (void *)(uintptr_t)mem, __builtin_return_address(0));
}

char *kstrdup(struct phys *phys, const char *text, gfp_t gfp)
{
	size_t size = 1;
	char *copy;

	while (text[size - 1])
		size++;
	copy = alloc_sized(phys, size, gfp, __builtin_return_address(0));
	if (copy)
		memcpy(copy, text, size);
	return copy;
}
