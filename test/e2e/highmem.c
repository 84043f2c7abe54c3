/*
 * highmem.c - more memory than a 32-bit machine has, in an order that needs each of its zones.
 *
 * usage: highmem FILL GIVE TABLES EXTRA      (MiB, MiB, number, MiB)
 *
 * How     fill    FILL MiB, nearly all: HighMem first, then what is below 896 MiB
 *         tables  GIVE MiB of the oldest are given back, so that HighMem has room; then a page in
 *                 each of TABLES pieces of 2 MiB: its page table is the kernel's, and must find
 *                 room below
 *         refill  what was given back, and EXTRA MiB: more than there is
 *         check   all, the newest first, and rewritten; then all once more, the other way round
 *
 *         Each turn of direction begins with what was used last, so that only what is missing goes
 *         to swap and comes back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#define MIB_PAGES  256
#define TABLE_SPAN ((size_t)2 << 20)

static char *area, *sparse;
static size_t fill, give, tables, extra;

static void write_pages(size_t from, size_t to, uint64_t version)
{
	size_t i;

	for (i = from; i < to; i++)
		fill_page(area + i * PAGE, i * 3 + version);
}

static void check_and_rewrite(size_t i, uint64_t version)
{
	must(page_holds(area + i * PAGE, i * 3 + version));
	fill_page(area + i * PAGE, i * 3 + 2);
}

int main(int argc, char **argv)
{
	size_t i;

	must(argc == 5);
	fill = (size_t)atoi(argv[1]) * MIB_PAGES;
	give = (size_t)atoi(argv[2]) * MIB_PAGES;
	tables = (size_t)atoi(argv[3]);
	extra = (size_t)atoi(argv[4]) * MIB_PAGES;
	area = map_anonymous((fill + extra) * PAGE, MAP_PRIVATE | MAP_NORESERVE);
	sparse = map_anonymous(tables * TABLE_SPAN, MAP_PRIVATE | MAP_NORESERVE);
	must(madvise(sparse, tables * TABLE_SPAN, MADV_NOHUGEPAGE) == 0);

	write_pages(0, fill, 0);
	must(madvise(area, give * PAGE, MADV_DONTNEED) == 0);
	for (i = 0; i < tables; i++)
		fill_page(sparse + i * TABLE_SPAN, ~i);
	write_pages(0, give, 1);
	write_pages(fill, fill + extra, 1);

	for (i = fill + extra; i-- > fill;)
		check_and_rewrite(i, 1);
	for (i = give; i-- > 0;)
		check_and_rewrite(i, 1);
	for (i = tables; i-- > 0;)
		must(page_holds(sparse + i * TABLE_SPAN, ~i));
	for (i = fill; i-- > give;)
		check_and_rewrite(i, 0);
	for (i = give; i < fill; i++)
		must(page_holds(area + i * PAGE, i * 3 + 2));
	for (i = 0; i < give; i++)
		must(page_holds(area + i * PAGE, i * 3 + 2));
	for (i = fill; i < fill + extra; i++)
		must(page_holds(area + i * PAGE, i * 3 + 2));
	printf("%zu pages, twice\n", fill + extra + tables);
	return 0;
}
