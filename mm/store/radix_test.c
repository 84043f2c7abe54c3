/*
 * radix_test.c - the tree against an array, at small and at huge indices.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "base/errno.h"
#include "kmem/slab.h"
#include "store/radix.h"

#define NR 700u

static struct world w;

/* Indices in clusters: near zero, across a node's border, and as high as a u64 goes. */
static u64 index_of(unsigned int n)
{
	static const u64 base[] = { 0, 200, 4090, (1ull << 36) - 20, ~0ull - 400 };

	return base[n % 5] + n / 5;
}

static void compare(struct radix *r, void *const *model)
{
	u64 pages = 0, shadows = 0, met = 0, at = 0, last = 0;
	unsigned int n;
	void *value;

	for (n = 0; n < NR; n++) {
		assert_ptr_equal(radix_get(r, index_of(n)), model[n]);
		pages += model[n] && !radix_is_shadow(model[n]);
		shadows += model[n] && radix_is_shadow(model[n]);
	}
	assert_int_equal(r->nr_pages, pages);
	assert_int_equal(r->nr_shadows, shadows);
	while ((value = radix_next(r, &at))) {
		assert_ptr_equal(value, radix_get(r, at));
		assert_true(met == 0 || at > last);
		last = at;
		met++;
		if (at++ == ~0ull)
			break;
	}
	assert_int_equal(met, pages + shadows);
}

static void like_an_array(void **state)
{
	static char things[NR * 2];
	void *model[NR] = { NULL };
	struct radix r;
	u64 seed = 3, i;
	unsigned int n;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 2048 });
	radix_init(&r, w.m.radix_cache);
	for (i = 0; i < 8000; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		n = (unsigned int)(seed >> 33) % NR;
		model[n] = seed >> 60 < 6    ? NULL
			   : seed >> 60 < 10 ? radix_shadow(i)
					     : &things[n * 2 & ~1u];
		assert_int_equal(radix_set(&r, index_of(n), model[n]), 0);
		if (i % 1000 == 0)
			compare(&r, model);
	}
	compare(&r, model);
	for (n = 0; n < NR; n++)
		assert_int_equal(radix_set(&r, index_of(n), NULL), 0);
	assert_null(r.root); /* every node went with its last value */
	radix_fini(&r);
	world_close(&w);
}

/* A node that cannot be had: -ENOMEM, nothing changed, nothing left. */
static void out_of_memory(void **state)
{
	static u64 thing;
	struct radix r;
	unsigned int failed = 0, tries;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 2048 });
	radix_init(&r, w.m.radix_cache);
	assert_int_equal(radix_set(&r, 5, &thing), 0);
	for (tries = 0; tries < 2000; tries++) {
		u64 at = 1ull << (7 + tries % 50);

		w.m.phys.fault = (struct phys_fault){ .nth = 1, .interval = 1 };
		if (radix_set(&r, at + tries, &thing) == -ENOMEM) {
			failed++;
			assert_null(radix_get(&r, at + tries));
		} else {
			assert_ptr_equal(radix_get(&r, at + tries), &thing);
		}
		w.m.phys.fault = (struct phys_fault){ 0 };
		assert_ptr_equal(radix_get(&r, 5), &thing);
	}
	assert_true(failed > 0 && failed < tries);
	radix_fini(&r);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_an_array),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
