/*
 * model_test.c - caches and kmalloc against a naive model: a list of what is handed out, and what
 * was written to it.
 *
 * How     Random calls on machines of several shapes, at times with an allocation of pages that
 *         fails. Every byte of an object carries its tag until it is given back, so that two that
 *         overlap are noticed. Every so often kmem_check() finds each object in one place, and the
 *         caches count as handed out what the model holds. At the end nothing is left.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "kmem/kmalloc.h"
#include "test/testram.h"

#define HELD_MAX 3000
#define CACHES	 5
#define STEPS	 60000

struct holding {
	u8 *mem;
	size_t size;
	unsigned cache; /* CACHES: kmalloc */
	u8 tag;
};

static struct testram t;
static struct holding held[HELD_MAX];
static unsigned nr_held;
static struct kmem_cache *caches[CACHES];
static u64 of_cache[CACHES]; /* held */
static u64 random_state;

static const struct shape {
	const char *name;
	size_t size, align;
	unsigned flags;
} shapes[CACHES] = {
	{ "small", 24, 0, SLAB_NO_MERGE },
	{ "lines", 150, 0, SLAB_NO_MERGE | SLAB_HWCACHE_ALIGN },
	{ "large", 3000, 8, SLAB_NO_MERGE },
	{ "pages", 4096, 4096, SLAB_NO_MERGE },
	{ "watched", 100, 16, SLAB_DEBUG_ALL },
};

static u64 roll(u64 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % n;
}

static bool all(const u8 *mem, size_t size, u8 byte)
{
	return !size || (mem[0] == byte && memcmp(mem, mem + 1, size - 1) == 0);
}

static void hold(void *mem, size_t size, unsigned cache)
{
	struct holding *h = &held[nr_held++];

	*h = (struct holding){ mem, size, cache, (u8)roll(256) };
	memset(mem, h->tag, size);
	if (cache < CACHES)
		of_cache[cache]++;
}

static void check(const struct holding *h)
{
	assert_true(all(h->mem, h->size, h->tag));
}

static void forget(unsigned i)
{
	if (held[i].cache < CACHES)
		of_cache[held[i].cache]--;
	held[i] = held[--nr_held];
}

/* --- calls --- */

static size_t some_size(void)
{
	static const unsigned most[] = { 64, 300, 2000, 9000, 40000 };

	return roll(most[roll(100) < 97 ? roll(4) : 4]) + 1;
}

static void call_kmalloc(void)
{
	size_t size = some_size(), usable;
	bool zero = roll(3) == 0;
	u8 *mem = zero ? kzalloc(&t.phys, size, GFP_KERNEL | __GFP_NOWARN)
		       : kmalloc(&t.phys, size, GFP_KERNEL | __GFP_NOWARN);

	if (!mem)
		return;
	usable = ksize(&t.phys, mem);
	assert_true(usable >= size && usable <= max_u64(8, size * 2 + PAGE_SIZE));
	assert_true(!zero || all(mem, size, 0));
	hold(mem, usable, CACHES);
}

static void call_krealloc(struct holding *h)
{
	size_t size = some_size(), kept = min_u64(size, h->size);
	u8 *mem = krealloc(&t.phys, h->mem, size, GFP_KERNEL | __GFP_NOWARN), tag = h->tag;

	if (!mem) {
		check(h);
		return;
	}
	assert_true(all(mem, kept, tag));
	forget((unsigned)(h - held));
	hold(mem, ksize(&t.phys, mem), CACHES);
}

static void call_cache_alloc(unsigned c)
{
	bool zero = roll(3) == 0;
	u8 *obj = zero ? kmem_cache_zalloc(caches[c], GFP_KERNEL | __GFP_NOWARN)
		       : kmem_cache_alloc(caches[c], GFP_KERNEL | __GFP_NOWARN);

	if (!obj)
		return;
	assert_int_equal((uintptr_t)obj % max_u64(shapes[c].align, 8), 0);
	assert_true(!(shapes[c].flags & SLAB_HWCACHE_ALIGN) || (uintptr_t)obj % 64 == 0);
	assert_true(!zero || all(obj, shapes[c].size, 0));
	hold(obj, shapes[c].size, c);
}

static void call_bulk(unsigned c)
{
	void *objs[200];
	size_t nr = roll(200) + 1, got;

	got = kmem_cache_alloc_bulk(caches[c], GFP_KERNEL | __GFP_NOWARN, nr, objs);
	assert_true(got == 0 || got == nr);
	while (got--)
		hold(objs[got], shapes[c].size, c);
}

static void give_back(unsigned i)
{
	check(&held[i]);
	if (held[i].cache < CACHES)
		kmem_cache_free(caches[held[i].cache], held[i].mem);
	else
		kfree(&t.phys, held[i].mem);
	forget(i);
}

static void check_all(void)
{
	struct slab_info info;
	unsigned i;

	kmem_check(&t.phys);
	for (i = 0; i < CACHES; i++) {
		kmem_cache_info(caches[i], &info);
		assert_int_equal(info.active_objs, of_cache[i]);
	}
	for (i = 0; i < nr_held; i++)
		check(&held[i]);
}

static void step(unsigned nr_cpus)
{
	u64 what = roll(100);

	testram_cpu = (unsigned)roll(nr_cpus);
	t.phys.fault.nth = roll(50) ? 0 : roll(3) + 1;
	if (what < 30 && nr_held < HELD_MAX)
		call_kmalloc();
	else if (what < 55 && nr_held < HELD_MAX)
		call_cache_alloc((unsigned)roll(CACHES));
	else if (what < 56 && nr_held + 200 < HELD_MAX)
		call_bulk((unsigned)roll(CACHES));
	else if (what < 60 && nr_held) {
		struct holding *h = &held[roll(nr_held)];

		if (h->cache == CACHES)
			call_krealloc(h);
	} else if (nr_held)
		give_back((unsigned)roll(nr_held));
	t.phys.fault.nth = 0;
	if (roll(1000) == 0)
		kmem_cache_shrink(caches[roll(CACHES)]);
	if (roll(3000) == 0)
		kmem_reap(&t.phys);
}

/* All CPUs give up what they hold, each as its owner. */
static u64 free_after_reaping(unsigned nr_cpus)
{
	for (testram_cpu = nr_cpus; testram_cpu-- > 0;)
		kmem_reap(&t.phys);
	testram_cpu = 0;
	drain_all_pages(&t.phys);
	return nr_free_pages(&t.phys);
}

/* Objects that are handed out; magazines not counted, which a depot may keep. */
static void add_active(void *arg, struct kmem_cache *cache)
{
	struct slab_info info;

	kmem_cache_info(cache, &info);
	if (strcmp(info.name, "magazine"))
		*(u64 *)arg += info.active_objs;
}

static u64 active_objects(void)
{
	u64 sum = 0;

	kmem_for_each_cache(&t.phys, add_active, &sum);
	return sum;
}

static void run(struct phys_config config)
{
	unsigned nr_cpus = config.nr_cpus ? config.nr_cpus : 1, i, phase;
	u64 before, active;

	random_state = 88172645463325252;
	testram_boot(&t, config);
	assert_int_equal(kmem_boot(&t.phys), 0);
	before = free_after_reaping(nr_cpus);
	active = active_objects();
	for (i = 0; i < CACHES; i++)
		caches[i] = kmem_cache_create(&t.phys, shapes[i].name, shapes[i].size,
					      shapes[i].align, shapes[i].flags, NULL);
	for (phase = 0; phase < 10; phase++) {
		for (i = 0; i < STEPS / 10; i++)
			step(nr_cpus);
		while (phase % 3 == 2 && nr_held > 100)
			give_back((unsigned)roll(nr_held));
		check_all();
	}
	while (nr_held)
		give_back(nr_held - 1);
	check_all();
	(void)free_after_reaping(nr_cpus);
	for (i = 0; i < CACHES; i++)
		assert_int_equal(kmem_cache_destroy(caches[i]), 0);
	/* The magazines that are left lie in more slabs than before. */
	assert_in_range(free_after_reaping(nr_cpus), before - 32, before);
	assert_int_equal(active_objects(), active);
	kmem_check(&t.phys);
	phys_check(&t.phys);
	testram_end(&t);
}

/* --- machines --- */

static void one_cpu(void **state)
{
	run((struct phys_config){ .nr_pages = MIB(64) });
}

static void little_memory(void **state)
{
	run((struct phys_config){ .nr_pages = MIB(4) });
}

static void large_magazines(void **state)
{
	run((struct phys_config){ .nr_pages = MIB(512) });
}

static void high_memory(void **state)
{
	run((struct phys_config){ .nr_pages = MIB(1024), .layout = LAYOUT_32 });
}

static void other_models(void **state)
{
	static const struct phys_range ranges[] = { { 0, MIB(32), 0 }, { MIB(256), MIB(32), 1 } };

	run((struct phys_config){
		.nr_pages = MIB(288), .ranges = ranges, .nr_ranges = 2, .model = MEMORY_SPARSE });
	run((struct phys_config){ .nr_pages = MIB(288),
				  .ranges = ranges,
				  .nr_ranges = 2,
				  .model = MEMORY_DISCONTIG });
}

static void several_cpus(void **state)
{
	static const enum lock_mode modes[] = { LOCK_OFF, LOCK_ON, LOCK_OWNED };
	unsigned i;

	for (i = 0; i < array_size(modes); i++)
		run((struct phys_config){ .nr_pages = MIB(64),
					  .nr_cpus = 3,
					  .locks = modes[i],
					  .this_cpu = testram_this_cpu });
}

/* What kmem_check() is for. */
static void damage_is_found(void **state)
{
	struct kmem_cache *cache;
	void *obj, *other;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	assert_int_equal(kmem_boot(&t.phys), 0);
	cache = kmem_cache_create(&t.phys, "damaged", 64, 0, SLAB_NO_MERGE, NULL);
	obj = kmem_cache_alloc(cache, GFP_KERNEL);
	other = kmem_cache_alloc(cache, GFP_KERNEL);
	kmem_check(&t.phys);
	kmem_cache_free(cache, other);
	kmem_cache_free(cache, obj);
	kmem_cache_free(cache, obj); /* twice in the magazine */
	EXPECT_PANIC(kmem_check(&t.phys));
	testram_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_cpu),	   cmocka_unit_test(little_memory),
		cmocka_unit_test(large_magazines), cmocka_unit_test(high_memory),
		cmocka_unit_test(other_models),	   cmocka_unit_test(several_cpus),
		cmocka_unit_test(damage_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
