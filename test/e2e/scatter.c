/*
 * scatter.c - more mappings than the host allows a process: pages in scattered frames, and areas.
 *
 * How     frames MB   every page of MB is touched at random, in the order that scatters frames most
 *         areas N     every other of N pages loses a right, until mprotect() says it is enough
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

static void test_frames(size_t pages)
{
	unsigned char *memory = map_anonymous(pages * PAGE, MAP_PRIVATE | MAP_NORESERVE);
	unsigned char *copy = calloc(pages, 1);
	unsigned int wrong = 0;
	uint64_t seed = 77;
	size_t i;

	must(copy && madvise(memory, pages * PAGE, MADV_RANDOM) == 0);
	for (i = 0; i < 2 * pages; i++) {
		size_t page = next_number(&seed) % pages;

		wrong += memory[page * PAGE] != copy[page];
		memory[page * PAGE] = ++copy[page];
	}
	printf("frames: %u wrong\n", wrong);
}

static void test_areas(size_t pages)
{
	unsigned char *memory = map_anonymous(pages * PAGE, MAP_PRIVATE);
	unsigned int wrong = 0;
	size_t i;

	for (i = 0; i < pages; i++)
		memory[i * PAGE] = (unsigned char)(i % 251);
	for (i = 0; i < pages; i += 2)
		if (mprotect(memory + i * PAGE, PAGE, PROT_READ) < 0)
			break;
	printf("areas: %s%s\n", i < pages ? "refused " : "", i < pages ? strerror(errno) : "");
	for (i = 0; i < pages; i++)
		wrong += memory[i * PAGE] != i % 251;
	must(munmap(memory, pages * PAGE) == 0);
	memory = map_anonymous(pages * PAGE, MAP_PRIVATE);
	for (i = 0; i < pages; i += 100)
		wrong += memory[i * PAGE]++ != 0;
	printf("areas: %u wrong\n", wrong);
}

int main(int argc, char **argv)
{
	size_t n = argc > 2 ? (size_t)atoi(argv[2]) : 0;

	must(argc > 2);
	if (!strcmp(argv[1], "frames"))
		test_frames(n * 256);
	else
		test_areas(n);
	return 0;
}
