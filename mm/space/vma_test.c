/*
 * vma_test.c - areas against one flag word per page: add, remove, split, change, and both searches
 * for a gap.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#define NR    300u
#define FIRST (ARENA + 50 * PAGE_SIZE)

static struct world w;
static struct mm *mm;
static u32 model[NR]; /* flags; 0: nothing there */
static u64 seed;

static unsigned int below(unsigned int n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)((seed >> 33) % n);
}

static vaddr_t at(unsigned int n)
{
	return FIRST + n * PAGE_SIZE;
}

/* Flags of each page, and that areas are as long as they can be: V1 to V5 are vma_check()'s. */
static void compare(void)
{
	unsigned int n, areas = 0;

	vma_check(mm);
	for (n = 0; n < NR; n++) {
		struct vma *vma = vma_at(mm, at(n));

		assert_int_equal(vma ? vma->flags : 0, model[n]);
		if (!vma)
			continue;
		assert_int_equal(vma_index(vma, at(n)), at(n) >> PAGE_SHIFT);
		areas += n == 0 || model[n] != model[n - 1];
	}
	assert_int_equal(mm->map_count, areas);
}

/* The first area that ends above an address. */
static void compare_find(unsigned int n)
{
	struct vma *vma = vma_find(mm, at(n));

	while (n < NR && !model[n])
		n++;
	if (n == NR)
		assert_null(vma);
	else
		assert_true(vma->start <= at(n) && at(n) < vma->end);
}

static bool is_free(unsigned int n, unsigned int nr)
{
	while (nr-- > 0)
		if (model[n++])
			return false;
	return true;
}

/* Both searches, against trying every place. */
static void compare_gaps(void)
{
	unsigned int nr = 1 + below(40), low = below(NR / 2), high = low + below(NR - low + 1), n;
	u64 align = PAGE_SIZE << below(4);
	vaddr_t down = 0, up = 0;

	for (n = low; n + nr <= high; n++)
		if (is_free(n, nr) && is_aligned(at(n), align)) {
			up = up ? up : at(n);
			down = at(n);
		}
	assert_int_equal(vma_gap_topdown(mm, nr * PAGE_SIZE, at(low), at(high), align), down);
	assert_int_equal(vma_gap_bottomup(mm, nr * PAGE_SIZE, at(low), at(high), align), up);
}

static void add(unsigned int n, unsigned int nr, u32 flags)
{
	struct vma_desc d = {
		.start = at(n), .end = at(n + nr), .flags = flags, .pgoff = at(n) >> PAGE_SHIFT
	};
	struct vma *vma;

	if (!is_free(n, nr))
		return;
	vma = vma_add(mm, &d);
	assert_non_null(vma);
	assert_true(vma->start <= d.start && d.end <= vma->end);
	while (nr-- > 0)
		model[n++] = flags;
}

/* As the calls do: munmap cuts the range, mprotect each area that changes. */
static void remove_range(unsigned int n, unsigned int nr)
{
	struct vma *vma, *next;

	assert_int_equal(vma_cut(mm, at(n), at(n + nr)), 0);
	for (vma = vma_find(mm, at(n)); vma && vma->start < at(n + nr); vma = next) {
		next = vma_next(vma);
		vma_remove(vma);
	}
	memset(&model[n], 0, nr * sizeof(model[0]));
}

static void change(unsigned int n, unsigned int nr, u32 flags)
{
	vaddr_t addr = at(n), end = at(n + nr);
	struct vma *vma;

	while (addr < end && (vma = vma_find(mm, addr)) && vma->start < end) {
		vaddr_t start = max_u64(addr, vma->start), stop = min_u64(end, vma->end);

		if (vma->flags != flags) {
			assert_int_equal(vma_cut(mm, start, stop), 0);
			vma = vma_set_flags(vma_at(mm, start), flags);
			assert_true(vma->start <= start && stop <= vma->end);
		}
		addr = stop;
	}
	for (; nr-- > 0; n++)
		model[n] = model[n] ? flags : 0;
}

static void like_flags_per_page(void **state)
{
	unsigned int step, runs;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024 });
	for (runs = 1; runs <= 5; runs++) {
		seed = runs;
		mm = world_space(&w);
		memset(model, 0, sizeof(model));
		for (step = 0; step < 1500; step++) {
			unsigned int nr = 1 + below(30), n = below(NR - nr);

			if (below(2))
				add(n, nr, 1 + below(3));
			else if (below(2))
				change(n, nr, 1 + below(3));
			else
				remove_range(n, nr);
			compare();
			compare_find(below(NR));
			compare_gaps();
		}
		world_exit(mm);
	}
	world_close(&w);
}

/* A split or an area that finds no memory leaves all as it was. */
static void out_of_memory(void **state)
{
	u64 failed = 0;
	unsigned int i, n;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024 });
	mm = world_space(&w);
	memset(model, 0, sizeof(model));
	seed = 9;
	add(0, NR, 1);
	for (i = 0; i < 600; i++) {
		n = 1 + below(NR - 2);
		w.m.phys.fault = (struct phys_fault){ .nth = 1, .interval = 1 };
		if (vma_cut(mm, at(n), at(n + 1)) < 0) {
			failed++;
			w.m.phys.fault = (struct phys_fault){ 0 };
			compare();
			change(n, 1, 2); /* with memory */
		} else {
			w.m.phys.fault = (struct phys_fault){ 0 };
			vma_set_flags(vma_at(mm, at(n)), 2 - (i & 1));
			model[n] = 2 - (i & 1);
			vma_heal(mm, at(n));
			vma_heal(mm, at(n + 1));
		}
		compare();
	}
	assert_true(failed > 0);
	world_exit(mm);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_flags_per_page),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
