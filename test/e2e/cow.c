/*
 * cow.c - a family of processes that share pages after fork and write to them one after the other.
 *
 * Use     cow PAGES GENERATIONS
 * How     Each process keeps, for each page, the key of the contents it must see; it rewrites a
 *         third of the pages, forks two children that do the same, rewrites others while they
 *         run, and checks everything again at the end. A page shared too long or copied too early
 *         shows as a wrong key. Children are fork()ed with all pages in each state: fresh, written,
 *         read only as zero, dropped by MADV_DONTNEED, and shared (MAP_SHARED) for the counters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

struct family {
	size_t pages;
	char *memory;
	uint64_t *keys; /* 0: must be zero */
	uint64_t *shared; /* [0] processes, [1] pages written: MAP_SHARED */
	uint64_t state;
};

static int is_zero(const char *page)
{
	size_t i;

	for (i = 0; i < PAGE; i++)
		if (page[i])
			return 0;
	return 1;
}

static void verify(const struct family *f)
{
	size_t i;

	for (i = 0; i < f->pages; i++) {
		char *page = f->memory + i * PAGE;

		must(f->keys[i] ? page_holds(page, f->keys[i]) : is_zero(page));
	}
}

static void rewrite(struct family *f, unsigned one_of)
{
	uint64_t written = 0;
	size_t i;

	for (i = 0; i < f->pages; i++) {
		uint64_t n = next_number(&f->state) >> 8;

		if (n % one_of)
			continue;
		if (n % 97 == 0) {
			must(madvise(f->memory + i * PAGE, PAGE, MADV_DONTNEED) == 0);
			f->keys[i] = 0;
		} else {
			f->keys[i] = n | 1;
			fill_page(f->memory + i * PAGE, f->keys[i]);
		}
		written++;
	}
	__atomic_add_fetch(&f->shared[1], written, __ATOMIC_SEQ_CST);
}

static void live(struct family *f, int generations)
{
	pid_t children[2];
	int i;

	__atomic_add_fetch(&f->shared[0], 1, __ATOMIC_SEQ_CST);
	verify(f);
	rewrite(f, 3);
	for (i = 0; i < 2 && generations > 0; i++) {
		children[i] = fork();
		must(children[i] >= 0);
		if (children[i] == 0) {
			f->state = f->state * 31 + (uint64_t)i + 1;
			live(f, generations - 1);
			_exit(0);
		}
		rewrite(f, 5);
		verify(f);
	}
	rewrite(f, 4);
	for (i = 0; i < 2 && generations > 0; i++)
		must(wait_for(children[i]) == 0);
	rewrite(f, 2); /* alone again: reuse without a copy */
	verify(f);
}

int main(int argc, char **argv)
{
	struct family f = { .state = 42 };

	must(argc == 3);
	f.pages = strtoul(argv[1], NULL, 10);
	f.memory = map_anonymous(f.pages * PAGE, MAP_PRIVATE);
	f.keys = calloc(f.pages, sizeof(*f.keys));
	f.shared = map_anonymous(PAGE, MAP_SHARED);
	live(&f, atoi(argv[2]));
	printf("%llu processes, %llu pages written, all as they must be: %016llx\n",
	       (unsigned long long)f.shared[0], (unsigned long long)f.shared[1],
	       (unsigned long long)hash_bytes(f.memory, f.pages * PAGE));
	return 0;
}
