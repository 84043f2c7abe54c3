/*
 * magazine.c - kmem_cache_alloc() and kmem_cache_free(): arrays of free objects in front of the
 * slabs.
 *
 * How     Each CPU has two magazines, loaded and previous; the previous one is full or empty, so
 *         that a CPU can go back and forth over the edge without asking anybody. Behind them the
 *         cache's depot keeps full magazines, up to a limit, which any CPU exchanges for its empty
 *         one and back: moving 126 objects from one thread to another costs one lock. Only when the
 *         depot has none, or enough, are objects taken from slabs and given to them.
 * Holds   M1  previous->count is 0 or capacity
 *         M2  the depot has nr_full full magazines, at most full_max
 * Locks   cpu->lock, then cache->lock; cpu->lock is off where a CPU is one thread's alone.
 * Why     Bonwick and Adams, "Magazines and Vmem", 2001.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/cache.h"

static inline struct cpu_cache *this_cpu_cache(struct kmem_cache *cache)
{
	return &cache->cpus[phys_this_cpu(cache->phys)];
}

static void swap_magazines(struct cpu_cache *cpu)
{
	struct magazine *loaded = cpu->loaded;

	cpu->loaded = cpu->previous;
	cpu->previous = loaded;
}

/* --- the depot --- */

/* Exchange the CPU's empty previous magazine for a full one, which becomes loaded. */
static bool take_full(struct kmem_cache *cache, struct cpu_cache *cpu)
{
	struct magazine *full;

	lock_take(&cache->lock);
	full = cache->full_magazines;
	if (full) {
		cache->full_magazines = full->next;
		cache->nr_full--;
		cpu->previous->next = cache->empty_magazines;
		cache->empty_magazines = cpu->previous;
		cpu->previous = cpu->loaded;
		cpu->loaded = full;
	}
	lock_give(&cache->lock);
	return full;
}

/* An empty magazine for the depot's next full one, or NULL: the depot is full, or no memory. */
static struct magazine *take_empty(struct kmem_cache *cache)
{
	struct magazine *empty;
	bool wanted;

	lock_take(&cache->lock);
	wanted = cache->nr_full < cache->full_max;
	empty = wanted ? cache->empty_magazines : NULL;
	if (empty)
		cache->empty_magazines = empty->next;
	lock_give(&cache->lock);
	return wanted && !empty ? magazine_create(cache) : empty;
}

/* Leave the CPU's full previous magazine in the depot; `empty` becomes loaded. */
static void leave_full(struct kmem_cache *cache, struct cpu_cache *cpu, struct magazine *empty)
{
	lock_take(&cache->lock);
	cpu->previous->next = cache->full_magazines;
	cache->full_magazines = cpu->previous;
	cache->nr_full++;
	lock_give(&cache->lock);
	cpu->previous = cpu->loaded;
	cpu->loaded = empty;
}

/* --- the CPU's magazines --- */

/* Make the loaded magazine, which is empty, not empty; false: all slabs are full. */
static bool refill(struct kmem_cache *cache, struct cpu_cache *cpu)
{
	struct magazine *mag = cpu->loaded;

	if (cpu->previous->count) {
		swap_magazines(cpu);
		return true;
	}
	if (take_full(cache, cpu))
		return true;
	mag->count = slab_take_objects(cache, mag->objs, (mag->capacity + 1) / 2);
	return mag->count > 0;
}

/* Make room in the loaded magazine, which is full. */
static void make_room(struct kmem_cache *cache, struct cpu_cache *cpu)
{
	struct magazine *mag = cpu->loaded, *empty;
	unsigned nr;

	if (!cpu->previous->count) {
		swap_magazines(cpu);
		return;
	}
	empty = take_empty(cache);
	if (empty) {
		leave_full(cache, cpu, empty);
		return;
	}
	/* Give the older half back. */
	nr = (mag->count + 1) / 2;
	slab_give_objects(cache, mag->objs, nr);
	mag->count -= nr;
	memmove(mag->objs, mag->objs + nr, mag->count * sizeof(void *));
}

static no_inline void *alloc_locked(struct kmem_cache *cache)
{
	struct cpu_cache *cpu = this_cpu_cache(cache);
	void *obj = NULL;

	lock_take(&cpu->lock);
	if (cpu->loaded->count || refill(cache, cpu))
		obj = cpu->loaded->objs[--cpu->loaded->count];
	lock_give(&cpu->lock);
	return obj;
}

static no_inline void free_locked(struct kmem_cache *cache, void *obj)
{
	struct cpu_cache *cpu = this_cpu_cache(cache);

	lock_take(&cpu->lock);
	if (cpu->loaded->count == cpu->loaded->capacity)
		make_room(cache, cpu);
	cpu->loaded->objs[cpu->loaded->count++] = obj;
	lock_give(&cpu->lock);
}

/* --- caches without magazines: debugging, and early boot --- */

static void *alloc_unbuffered(struct kmem_cache *cache, gfp_t gfp, const void *caller)
{
	void *obj;

	while (!slab_take_objects(cache, &obj, 1))
		if (!slab_grow(cache, gfp))
			return NULL;
	if (cache->flags & SLAB_DEBUG_FLAGS)
		slab_debug_alloc(cache, (u8 *)obj - cache->object_offset, caller);
	return obj;
}

static void free_unbuffered(struct kmem_cache *cache, void *obj, const void *caller)
{
	if (cache->flags & SLAB_DEBUG_FLAGS)
		slab_debug_free(cache, slab_of(cache, obj), (u8 *)obj - cache->object_offset,
				caller);
	slab_give_objects(cache, &obj, 1);
}

/* --- the API --- */

static no_inline void *alloc_slowly(struct kmem_cache *cache, gfp_t gfp, const void *caller)
{
	void *obj;

	if (cache->cpus) {
		obj = alloc_locked(cache);
		while (!obj && slab_grow(cache, gfp))
			obj = alloc_locked(cache);
	} else {
		obj = alloc_unbuffered(cache, gfp, caller);
	}
	if (gfp & __GFP_ZERO && obj)
		memset(obj, 0, cache->object_size);
	return obj;
}

static no_inline void free_slowly(struct kmem_cache *cache, void *obj, const void *caller)
{
	if (cache->cpus)
		free_locked(cache, obj);
	else
		free_unbuffered(cache, obj, caller);
}

/*
 * With several CPUs, whose number must be asked for; or when the only one's magazine is at its end.
 */
void *slab_alloc_slowly(struct kmem_cache *cache, gfp_t gfp, const void *caller)
{
	struct magazine *mag;

	if (likely(cache->unlocked && !(gfp & __GFP_ZERO))) {
		mag = this_cpu_cache(cache)->loaded;
		if (likely(mag->count))
			return mag->objs[--mag->count];
	}
	return alloc_slowly(cache, gfp, caller);
}

void slab_free_slowly(struct kmem_cache *cache, void *obj, const void *caller)
{
	struct magazine *mag;

	if (likely(cache->unlocked)) {
		mag = this_cpu_cache(cache)->loaded;
		if (likely(mag->count < mag->capacity)) {
			mag->objs[mag->count++] = obj;
			return;
		}
	}
	free_slowly(cache, obj, caller);
}

void *kmem_cache_alloc_slowly(struct kmem_cache *cache, gfp_t gfp)
{
	return slab_alloc_slowly(cache, gfp, __builtin_return_address(0));
}

void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp)
{
	return slab_alloc(cache, gfp | __GFP_ZERO, __builtin_return_address(0));
}

void kmem_cache_free_slowly(struct kmem_cache *cache, void *obj)
{
	if (likely(obj))
		slab_free_slowly(cache, obj, __builtin_return_address(0));
}

size_t kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t nr, void **objs)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		objs[i] = slab_alloc(cache, gfp, __builtin_return_address(0));
		if (!objs[i]) {
			kmem_cache_free_bulk(cache, i, objs);
			return 0;
		}
	}
	return nr;
}

void kmem_cache_free_bulk(struct kmem_cache *cache, size_t nr, void **objs)
{
	size_t i;

	for (i = 0; i < nr; i++)
		kmem_cache_free(cache, objs[i]);
}

/* --- emptying --- */

static void empty_cpu(struct kmem_cache *cache, struct cpu_cache *cpu)
{
	lock_take(&cpu->lock);
	slab_give_objects(cache, cpu->loaded->objs, cpu->loaded->count);
	slab_give_objects(cache, cpu->previous->objs, cpu->previous->count);
	cpu->loaded->count = 0;
	cpu->previous->count = 0;
	lock_give(&cpu->lock);
}

static struct magazine *take_list(struct kmem_cache *cache, struct magazine **list)
{
	struct magazine *mag;

	lock_take(&cache->lock);
	mag = *list;
	*list = NULL;
	if (list == &cache->full_magazines)
		cache->nr_full = 0;
	lock_give(&cache->lock);
	return mag;
}

static void empty_list(struct kmem_cache *cache, struct magazine *mag)
{
	struct magazine *next;

	for (; mag; mag = next) {
		next = mag->next;
		slab_give_objects(cache, mag->objs, mag->count);
		magazine_destroy(cache, mag);
	}
}

void magazines_empty(struct kmem_cache *cache)
{
	unsigned cpu;

	for (cpu = 0; cache->cpus && cpu < cache->phys->nr_cpus; cpu++) {
		if (!phys_cpu_borrow(cache->phys, cpu))
			continue;
		empty_cpu(cache, &cache->cpus[cpu]);
		phys_cpu_return(cache->phys, cpu);
	}
	empty_list(cache, take_list(cache, &cache->full_magazines));
	empty_list(cache, take_list(cache, &cache->empty_magazines));
}

u64 magazines_count(const struct kmem_cache *cache)
{
	u64 objects = 0;
	unsigned cpu;

	for (cpu = 0; cache->cpus && cpu < cache->phys->nr_cpus; cpu++)
		objects += cache->cpus[cpu].loaded->count + cache->cpus[cpu].previous->count;
	return objects + cache->nr_full * cache->magazine_capacity;
}

/* --- making --- */

struct magazine *magazine_create(struct kmem_cache *cache)
{
	struct magazine *mag = kmem_cache_alloc(&cache->phys->kmem->magazine_cache, GFP_NOWAIT);

	if (mag) {
		mag->next = NULL;
		mag->count = 0;
		mag->capacity = cache->magazine_capacity;
	}
	return mag;
}

void magazine_destroy(struct kmem_cache *cache, struct magazine *mag)
{
	if (mag)
		kmem_cache_free(&cache->phys->kmem->magazine_cache, mag);
}

void magazines_fini(struct kmem_cache *cache)
{
	unsigned cpu;

	for (cpu = 0; cache->cpus && cpu < cache->phys->nr_cpus; cpu++) {
		magazine_destroy(cache, cache->cpus[cpu].loaded);
		magazine_destroy(cache, cache->cpus[cpu].previous);
	}
	kfree(cache->phys, cache->cpus);
	cache->cpus = NULL;
	cache->unlocked = false;
	cache->front.only = NULL;
}

/*
 * Objects per magazine and magazines per depot, so that a CPU holds some tens of KiB, a depot 1
 * MiB.
 */
static void choose_capacity(struct kmem_cache *cache)
{
	u64 depot = clamp_u64(cache->phys->total_pages * PAGE_SIZE / 128, 64 << 10, 2 << 20);

	cache->magazine_capacity = cache->size <= 256	 ? MAGAZINE_OBJS
				   : cache->size <= 1024 ? 64
				   : cache->size <= 4096 ? 16
							 : 8;
	cache->full_max = (u32)clamp_u64(depot / cache->size / cache->magazine_capacity, 1, 64);
}

bool magazines_init(struct kmem_cache *cache)
{
	struct phys *phys = cache->phys;
	struct cpu_cache *cpus;
	unsigned cpu;

	if (cache->flags & SLAB_DEBUG_FLAGS)
		return true;
	choose_capacity(cache);
	cpus = kzalloc(phys, phys->nr_cpus * sizeof(*cpus), GFP_KERNEL);
	if (!cpus)
		return false;
	for (cpu = 0; cpu < phys->nr_cpus; cpu++) {
		lock_init(&cpus[cpu].lock, RANK_KMEM_CPU, phys->locks);
		cpus[cpu].loaded = magazine_create(cache);
		cpus[cpu].previous = magazine_create(cache);
		if (!cpus[cpu].loaded || !cpus[cpu].previous) {
			for (cpu = 0; cpu < phys->nr_cpus; cpu++) {
				magazine_destroy(cache, cpus[cpu].loaded);
				magazine_destroy(cache, cpus[cpu].previous);
			}
			kfree(phys, cpus);
			return false;
		}
	}
	cache->unlocked = !cpus[0].lock.mode;
	cache->front.only = cache->unlocked && !phys->this_cpu ? &cpus[0] : NULL;
	cache->cpus = cpus;
	return true;
}
