/*
 * table_test.c - the page table against an array, at addresses of every level.
 *
 * SPDX-License-Identifier: MIT
 */
#include "table/table.h"

#include "test/testram.h"

#include <string.h>

#define NR 4096u

/* Address of the model's nth page: neighbours, other leaves, other upper levels. */
static vaddr_t address(unsigned int n)
{
	static const u64 far[] = { 0, 1ull << 21, 1ull << 30, 1ull << 39,
				   (1ull << 47) - (1 << 26) };

	return far[n % 5] + (u64)(n / 5 % 200) * PAGE_SIZE + ((u64)(n / 1000) << 22);
}

static u64 random_number(u64 *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* Every entry by table_find(), all of them in order by table_next(). */
static void compare(struct table *t, const pte_t *model)
{
	u64 used = 0, met = 0;
	vaddr_t addr = 0, last = 0;
	unsigned int n;
	pte_t *pte;

	for (n = 0; n < NR; n++) {
		pte = table_find(t, address(n));
		assert_int_equal(pte ? *pte : 0, model[n]);
		used += model[n] != 0;
	}
	for (; (pte = table_next(t, &addr, 1ull << 47)); addr += PAGE_SIZE) {
		assert_true(*pte != 0 && (met == 0 || addr > last));
		last = addr;
		met++;
	}
	assert_int_equal(met, used);
}

static void like_an_array(void **state)
{
	static pte_t model[NR];
	struct testram ram;
	struct table t;
	u64 seed = 7, i, free_before;
	unsigned int n;

	(void)state;
	testram_boot(&ram, (struct phys_config){ .nr_pages = MIB(16) });
	free_before = nr_free_pages(&ram.phys);
	table_init(&t, &ram.phys);
	memset(model, 0, sizeof(model));
	for (i = 0; i < 6000; i++) {
		pte_t *pte;

		n = (unsigned int)(random_number(&seed) % NR);
		if (random_number(&seed) % 3) {
			pte = table_get(&t, address(n));
			assert_non_null(pte);
			model[n] = (i << PAGE_SHIFT) | PTE_SWAP;
			table_set(&t, pte, model[n]);
		} else if ((pte = table_find(&t, address(n)))) {
			model[n] = 0;
			table_set(&t, pte, 0);
			table_trim(&t, address(n), address(n) + PAGE_SIZE);
		}
		if (i % 500 == 0)
			compare(&t, model);
	}
	compare(&t, model);
	for (n = 0; n < NR; n++)
		if (model[n])
			table_set(&t, table_find(&t, address(n)), 0);
	table_trim(&t, 0, 1ull << 47); /* all levels go with their last entry */
	assert_int_equal(t.nr_pages, 0);
	assert_null(t.root);
	assert_int_equal(nr_free_pages(&ram.phys), free_before);
	testram_end(&ram);
}

/* What tables cost is what x86-64 charges. */
static void costs(void **state)
{
	struct testram ram;
	struct table t;
	u64 i;

	(void)state;
	testram_boot(&ram, (struct phys_config){ .nr_pages = MIB(16) });
	table_init(&t, &ram.phys);
	for (i = 0; i < 65536; i++) /* 256 MiB dense: 128 leaves and three levels above */
		assert_non_null(table_get(&t, i << PAGE_SHIFT));
	assert_int_equal(t.nr_pages, 128 + 3);
	table_fini(&t);
	for (i = 0; i < 64; i++) /* 64 pages 1 GiB apart: a leaf and a directory each */
		assert_non_null(table_get(&t, i << 30));
	assert_int_equal(t.nr_pages, 64 * 2 + 2);
	table_fini(&t);
	testram_end(&ram);
}

/* No frame for a level: NULL, and what there is stays right. */
static void out_of_memory(void **state)
{
	struct testram ram;
	struct table t;
	unsigned int nth;

	(void)state;
	testram_boot(&ram, (struct phys_config){ .nr_pages = MIB(16) });
	for (nth = 1; nth <= 4; nth++) {
		table_init(&t, &ram.phys);
		ram.phys.fault = (struct phys_fault){ .nth = nth };
		assert_null(table_get(&t, 1ull << 40));
		assert_null(table_find(&t, 1ull << 40));
		assert_int_equal(t.nr_pages, nth - 1);
		assert_non_null(table_get(&t, 1ull << 40));
		assert_int_equal(t.nr_pages, 4);
		table_fini(&t);
	}
	testram_end(&ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_an_array),
		cmocka_unit_test(costs),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
