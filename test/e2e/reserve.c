/*
 * reserve.c - huge reservations, sparsely used: what node, java and Go do with address space.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

static const size_t GIB = (size_t)1 << 30;

static void sparse(size_t size, size_t stride, int protection)
{
	char *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t sum = 0;
	size_t at;

	must(p != MAP_FAILED);
	for (at = 0; at < size; at += stride) {
		if (protection == PROT_NONE)
			must(mprotect(p + at, 4 * PAGE, PROT_READ | PROT_WRITE) == 0);
		fill_page(p + at, at / stride + 1);
		must(p[at + PAGE] == 0);
	}
	for (at = 0; at < size; at += stride)
		sum += page_holds(p + at, at / stride + 1);
	printf("%zu GiB every %zu MiB: %llu of %zu pages\n", size / GIB, stride >> 20,
	       (unsigned long long)sum, size / stride);
	must(madvise(p, size, MADV_DONTNEED) == 0);
	must(munmap(p, size) == 0);
}

/* Commit and decommit chunks of a reservation, as garbage collectors do. */
static void chunks(void)
{
	size_t chunk = 256 * 1024, count = 64, i, round;
	char *heap =
		mmap(NULL, 4 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t state = 9;

	must(heap != MAP_FAILED);
	for (round = 0; round < 30; round++) {
		for (i = 0; i < count; i++) {
			char *p = heap + (next_number(&state) % (4 * GIB / chunk)) * chunk;

			must(mprotect(p, chunk, PROT_READ | PROT_WRITE) == 0);
			fill_page(p + chunk / 2, i);
			must(page_holds(p + chunk / 2, i));
			if (i % 3 == 0)
				must(mmap(p, chunk, PROT_NONE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
					  -1, 0) == p);
			else if (i % 3 == 1)
				must(madvise(p, chunk, MADV_DONTNEED) == 0 &&
				     mprotect(p, chunk, PROT_NONE) == 0);
		}
	}
	must(munmap(heap, 4 * GIB) == 0);
	printf("chunks: fine\n");
}

/* An aligned block cut out of a larger mapping, the rest given back. */
static void aligned(void)
{
	size_t align = 64 << 20, i;

	for (i = 0; i < 8; i++) {
		char *raw = mmap(NULL, 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *p = (char *)(((uintptr_t)raw + align - 1) & -align);

		must(raw != MAP_FAILED);
		if (p > raw)
			must(munmap(raw, (size_t)(p - raw)) == 0);
		must(munmap(p + align, (size_t)(raw + align - p)) == 0);
		must(mprotect(p, 20 * PAGE, PROT_READ | PROT_WRITE) == 0);
		fill_page(p + 19 * PAGE, i);
		must(page_holds(p + 19 * PAGE, i));
	}
	printf("aligned blocks: fine\n");
}

/* Very many areas: every other page of a range gets another protection. */
static void many_areas(void)
{
	size_t pages = 6000, i;
	char *p = map_anonymous(pages * PAGE, MAP_PRIVATE);

	for (i = 0; i < pages; i += 2)
		must(mprotect(p + i * PAGE, PAGE, PROT_READ) == 0);
	for (i = 1; i < pages; i += 2)
		p[i * PAGE] = (char)i;
	for (i = 0; i < pages; i++)
		must(p[i * PAGE] == (i % 2 ? (char)i : 0));
	must(munmap(p, pages * PAGE) == 0);
	printf("many areas: fine\n");
}

int main(void)
{
	sparse(64 * GIB, 64 << 20, PROT_READ | PROT_WRITE);
	sparse(1024 * GIB, (size_t)8192 << 20, PROT_NONE);
	sparse(16384 * GIB, (size_t)262144 << 20, PROT_READ | PROT_WRITE);
	chunks();
	aligned();
	many_areas();
	return 0;
}
