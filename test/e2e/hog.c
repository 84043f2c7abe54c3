/*
 * hog.c - takes memory, and keeps it for a while.
 *
 * Use     hog MEGABYTES [rewrite ROUNDS | sleep MS | adj N | tell FILE | await FILE]...
 *         Touches every page, checks every page, prints how much. With tell it makes a file when
 *         it has its memory; with await it goes on when somebody else has made one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

static void rewrite(char *memory, size_t pages, int rounds)
{
	uint64_t key;
	size_t i;

	for (key = 1; key <= (uint64_t)rounds; key++) {
		for (i = 0; i < pages; i++)
			fill_page(memory + i * PAGE, i + key * 1000003);
		for (i = 0; i < pages; i++)
			must(page_holds(memory + i * PAGE, i + key * 1000003));
	}
}

static void adjust(const char *value)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	must(fd >= 0 && write(fd, value, strlen(value)) > 0 && close(fd) == 0);
}

static void tell(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	must(fd >= 0 && close(fd) == 0);
}

int main(int argc, char **argv)
{
	size_t pages = (size_t)atoi(argv[1]) * 256;
	char *memory;
	int i;

	for (i = 2; i + 1 < argc; i += 2)
		if (!strcmp(argv[i], "adj"))
			adjust(argv[i + 1]);
	memory = map_anonymous(pages * PAGE, MAP_PRIVATE | MAP_NORESERVE); /* may overcommit */
	rewrite(memory, pages, 1);
	for (i = 2; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "rewrite"))
			rewrite(memory, pages, atoi(argv[i + 1]));
		if (!strcmp(argv[i], "sleep"))
			usleep((useconds_t)atoi(argv[i + 1]) * 1000);
		if (!strcmp(argv[i], "tell"))
			tell(argv[i + 1]);
		while (!strcmp(argv[i], "await") && access(argv[i + 1], F_OK))
			usleep(10000);
	}
	printf("%zu pages\n", pages);
	return 0;
}
