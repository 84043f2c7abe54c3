/*
 * library.c - <quire/memory.h>: phys and kmem behind opaque handles.
 *
 * How     The first pages of the given memory hold struct quire_memory, the rest is the machine's
 *         RAM.
 *
 * SPDX-License-Identifier: MIT
 */
#include <quire/memory.h>

#include "kmem/kmalloc.h"
#include "kmem/slab.h"

struct quire_memory {
	struct phys phys;
	u64 bytes; /* handed over */
};

#define HEAD_BYTES align_up((u64)sizeof(struct quire_memory), PAGE_SIZE)

static gfp_t to_gfp(unsigned flags)
{
	gfp_t gfp = flags & QUIRE_URGENT ? GFP_ATOMIC : GFP_KERNEL;

	if (flags & QUIRE_ZERO)
		gfp |= __GFP_ZERO;
	if (flags & QUIRE_MOVABLE)
		gfp |= __GFP_MOVABLE | __GFP_HIGHMEM;
	return gfp;
}

struct quire_memory *quire_memory_create(void *base, size_t bytes,
					 const struct quire_memory_options *options)
{
	static const struct quire_memory_options none;
	static const enum lock_mode modes[] = { LOCK_OFF, LOCK_ON, LOCK_OWNED };
	struct quire_memory *memory = base;
	struct phys_config config = { 0 };

	if (!options)
		options = &none;
	require(is_aligned((uintptr_t)base, PAGE_SIZE) &&
		(unsigned)options->threads < array_size(modes));
	if (bytes < 1 << 20)
		return NULL;
	config.ram = (u8 *)base + HEAD_BYTES;
	config.nr_pages = (bytes - HEAD_BYTES) >> PAGE_SHIFT;
	config.nr_cpus = options->nr_cpus;
	config.locks = modes[options->threads];
	config.this_cpu = options->this_cpu;
	config.log = options->log;
	config.arg = options->arg;
	config.ram_content = options->is_zeroed ? RAM_ZEROED : RAM_DIRTY;
	config.debug = options->poison ? PHYS_POISON : 0;
	memset(memory, 0, sizeof(*memory));
	memory->bytes = bytes;
	if (phys_boot(&memory->phys, &config) || kmem_boot(&memory->phys))
		return NULL;
	return memory;
}

void *quire_pages_alloc(struct quire_memory *memory, unsigned order, unsigned flags)
{
	struct page *page = alloc_pages(&memory->phys, to_gfp(flags), order);

	return page ? page_address(&memory->phys, page) : NULL;
}

void quire_pages_free(struct quire_memory *memory, void *pages, unsigned order)
{
	free_pages(&memory->phys, pages, order);
}

struct quire_cache *quire_cache_create(struct quire_memory *memory, const char *name, size_t size,
				       size_t align)
{
	return (struct quire_cache *)kmem_cache_create(&memory->phys, name, size, align, 0, NULL);
}

int quire_cache_destroy(struct quire_cache *cache)
{
	return kmem_cache_destroy((struct kmem_cache *)cache);
}

void *quire_cache_alloc(struct quire_cache *cache, unsigned flags)
{
	return kmem_cache_alloc((struct kmem_cache *)cache, to_gfp(flags));
}

void quire_cache_free(struct quire_cache *cache, void *object)
{
	kmem_cache_free((struct kmem_cache *)cache, object);
}

void *quire_alloc(struct quire_memory *memory, size_t size, unsigned flags)
{
	return kmalloc(&memory->phys, size, to_gfp(flags));
}

void *quire_realloc(struct quire_memory *memory, void *block, size_t size)
{
	return krealloc(&memory->phys, block, size, GFP_KERNEL);
}

size_t quire_size(struct quire_memory *memory, const void *block)
{
	return ksize(&memory->phys, block);
}

void quire_free(struct quire_memory *memory, void *block)
{
	kfree(&memory->phys, block);
}

void quire_thread_idle(struct quire_memory *memory)
{
	phys_cpu_idle(&memory->phys);
}

void quire_thread_busy(struct quire_memory *memory)
{
	phys_cpu_busy(&memory->phys);
}

uint64_t quire_memory_reap(struct quire_memory *memory)
{
	u64 pages = kmem_reap(&memory->phys);

	drain_all_pages(&memory->phys);
	return pages << PAGE_SHIFT;
}

static unsigned largest_order(struct phys *phys)
{
	u64 area[NR_PAGE_ORDERS];
	struct zone *zone;
	unsigned nid, type, order, best = 0;

	for_each_zone(phys, nid, type, zone) {
		zone_free_area(zone, area);
		for (order = best; order < NR_PAGE_ORDERS; order++)
			if (area[order])
				best = order;
	}
	return best;
}

void quire_memory_info(struct quire_memory *memory, struct quire_memory_info *info)
{
	struct phys *phys = &memory->phys;

	*info = (struct quire_memory_info){
		.total = memory->bytes,
		.managed = phys->total_pages << PAGE_SHIFT,
		.free = nr_free_pages(phys) << PAGE_SHIFT,
		.slab = kmem_slab_pages(phys) << PAGE_SHIFT,
		.largest_free_block = PAGE_SIZE << largest_order(phys),
	};
}

void quire_memory_check(struct quire_memory *memory)
{
	phys_check(&memory->phys);
	kmem_check(&memory->phys);
}
