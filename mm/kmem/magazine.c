/*
 * magazine.c - kmem_cache_alloc() and kmem_cache_free(): arrays of free objects in front of the
 * slabs.
 *
 * How     Each CPU has two magazines, a loaded and a previous one, which is full or empty, so
 *         that a CPU can go back and forth over the edge without asking anybody. Behind them the
 *         cache's depot keeps full magazines, up to a limit, which any CPU exchanges for its empty
 *         one and back: moving some hundred objects from one thread to another costs one lock.
 *         Only when the depot has none, or enough, are objects taken from slabs and given to them.
 * Holds   M1  previous->count is 0 or capacity
 *         M2  the depot has nr_full full magazines, at most full_max
 *         M3  bottom <= top <= end of the loaded one: what is below top is free
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

static unsigned front_count(const struct kmem_front *front)
{
	return (unsigned)(front->top - front->bottom);
}

static void front_load(struct kmem_front *front, struct magazine *mag)
{
	front->bottom = mag->objs;
	front->top = mag->objs + mag->count;
	front->end = mag->objs + mag->capacity;
}

/* The magazine that was loaded, with its count; another one must be. */
static struct magazine *front_unload(struct kmem_front *front)
{
	struct magazine *mag = container_of(front->bottom, struct magazine, objs);

	mag->count = front_count(front);
	return mag;
}

/* `mag` becomes loaded, what was loaded the previous one. */
static void exchange(struct cpu_cache *cpu, struct kmem_front *front, struct magazine *mag)
{
	cpu->previous = front_unload(front);
	front_load(front, mag);
}

/* --- the depot --- */

/* Exchange the CPU's empty previous magazine for a full one, which becomes loaded. */
static bool take_full(struct kmem_cache *cache, struct cpu_cache *cpu, struct kmem_front *front)
{
	struct magazine *full;

	lock_take(&cache->lock);
	full = cache->full_magazines;
	if (full) {
		cache->full_magazines = full->next;
		cache->nr_full--;
		cpu->previous->next = cache->empty_magazines;
		cache->empty_magazines = cpu->previous;
		exchange(cpu, front, full);
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

/* Leave the CPU's full previous magazine in the depot. */
static void leave_full(struct kmem_cache *cache, struct cpu_cache *cpu)
{
	lock_take(&cache->lock);
	cpu->previous->next = cache->full_magazines;
	cache->full_magazines = cpu->previous;
	cache->nr_full++;
	lock_give(&cache->lock);
}

/* --- the CPU's magazines --- */

/* Make the loaded magazine, which is empty, not empty; false: all slabs are full. */
static bool refill(struct kmem_cache *cache, struct cpu_cache *cpu, struct kmem_front *front)
{
	unsigned room = (unsigned)(front->end - front->bottom);

	if (cpu->previous->count) {
		exchange(cpu, front, cpu->previous);
		return true;
	}
	if (take_full(cache, cpu, front))
		return true;
	front->top += slab_take_objects(cache, front->bottom, (room + 1) / 2);
	return front->top != front->bottom;
}

/* Make room in the loaded magazine, which is full. */
static void make_room(struct kmem_cache *cache, struct cpu_cache *cpu, struct kmem_front *front)
{
	struct magazine *empty;
	unsigned nr;

	if (!cpu->previous->count) {
		exchange(cpu, front, cpu->previous);
		return;
	}
	empty = take_empty(cache);
	if (empty) {
		leave_full(cache, cpu);
		exchange(cpu, front, empty);
		return;
	}
	/* Give the older half back. */
	nr = (front_count(front) + 1) / 2;
	slab_give_objects(cache, front->bottom, nr);
	front->top -= nr;
	memmove(front->bottom, front->bottom + nr, front_count(front) * sizeof(void *));
}

static no_inline void *alloc_locked(struct kmem_cache *cache)
{
	struct cpu_cache *cpu = this_cpu_cache(cache);
	struct kmem_front *front = front_of(cache, cpu);
	void *obj;

	lock_take(&cpu->lock);
	if (!front_pop(front, &obj) && !(refill(cache, cpu, front) && front_pop(front, &obj)))
		obj = NULL;
	lock_give(&cpu->lock);
	return obj;
}

static no_inline void free_locked(struct kmem_cache *cache, void *obj)
{
	struct cpu_cache *cpu = this_cpu_cache(cache);
	struct kmem_front *front = front_of(cache, cpu);

	lock_take(&cpu->lock);
	while (!front_push(front, obj))
		make_room(cache, cpu, front);
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
	void *obj;

	if (likely(cache->unlocked && !(gfp & __GFP_ZERO)) &&
	    likely(front_pop(&this_cpu_cache(cache)->own, &obj)))
		return obj;
	return alloc_slowly(cache, gfp, caller);
}

void slab_free_slowly(struct kmem_cache *cache, void *obj, const void *caller)
{
	if (likely(cache->unlocked) && likely(front_push(&this_cpu_cache(cache)->own, obj)))
		return;
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
	struct kmem_front *front = front_of(cache, cpu);

	lock_take(&cpu->lock);
	slab_give_objects(cache, front->bottom, front_count(front));
	slab_give_objects(cache, cpu->previous->objs, cpu->previous->count);
	front->top = front->bottom;
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

u64 magazines_count(struct kmem_cache *cache)
{
	u64 objects = 0;
	unsigned cpu;

	for (cpu = 0; cache->cpus && cpu < cache->phys->nr_cpus; cpu++)
		objects += front_count(front_of(cache, &cache->cpus[cpu])) +
			   cache->cpus[cpu].previous->count;
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
	struct cpu_cache *cpus = cache->cpus;
	unsigned cpu;

	for (cpu = 0; cpus && cpu < cache->phys->nr_cpus; cpu++) {
		struct kmem_front *front = front_of(cache, &cpus[cpu]);

		magazine_destroy(cache, front->bottom ? front_unload(front) : NULL);
		magazine_destroy(cache, cpus[cpu].previous);
	}
	cache->cpus = NULL;
	cache->front = (struct kmem_front){ 0 };
	cache->unlocked = false;
	cache->alone = false;
	kfree(cache->phys, cpus);
}

/*
 * Objects per magazine and magazines per depot: at most 16 to 64 KiB of objects, by the size of the
 * machine, and 64 KiB to 2 MiB.
 */
static void choose_capacity(struct kmem_cache *cache)
{
	u64 ram = cache->phys->total_pages * PAGE_SIZE;
	u64 depot = clamp_u64(ram / 128, 64 << 10, 2 << 20);
	u64 bytes = clamp_u64(ram / 2048, 16 << 10, 64 << 10);
	u64 places = (cache->phys->kmem->magazine_cache.object_size - sizeof(struct magazine)) /
		     sizeof(void *);

	cache->magazine_capacity = (u32)min_u64(max_u64(bytes / cache->size, 8), places);
	cache->full_max = (u32)clamp_u64(depot / cache->size / cache->magazine_capacity, 1, 64);
}

static bool cpu_init(struct kmem_cache *cache, struct cpu_cache *cpu)
{
	struct magazine *mag = magazine_create(cache);

	lock_init(&cpu->lock, RANK_KMEM_CPU, cache->phys->locks);
	if (mag)
		front_load(front_of(cache, cpu), mag);
	cpu->previous = magazine_create(cache);
	return mag && cpu->previous;
}

bool magazines_init(struct kmem_cache *cache)
{
	struct phys *phys = cache->phys;
	struct cpu_cache *cpus;
	unsigned cpu;
	bool locked;

	if (cache->flags & SLAB_DEBUG_FLAGS)
		return true;
	choose_capacity(cache);
	cpus = kzalloc(phys, phys->nr_cpus * sizeof(*cpus), GFP_KERNEL);
	if (!cpus)
		return false;
	cache->cpus = cpus;
	cache->alone = phys->locks == LOCK_OFF && !phys->this_cpu;
	for (cpu = 0; cpu < phys->nr_cpus; cpu++) {
		if (cpu_init(cache, &cpus[cpu]))
			continue;
		magazines_fini(cache);
		return false;
	}
	locked = cpus[0].lock.mode;
	cache->unlocked = !locked && !cache->alone;
	return true;
}
