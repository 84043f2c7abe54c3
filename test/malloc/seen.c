/*
 * seen.c - a program whose memory is known to the byte, for test/malloc/seeing to look at.
 *
 * Use     malloc-seen leak BLOCKS BYTES    leaks from leak_here(), frees as many from tidy_up()
 *         malloc-seen hold                 page runs and blocks, half of them freed, as one picture
 *         malloc-seen ramp FILE            holds 32 MiB for 5 rows of a timeline, then lives on
 *         malloc-seen signal N             sends itself a signal while it holds 100 blocks of 48
 *         malloc-seen info                 prints malloc_info()
 *
 * SPDX-License-Identifier: MIT
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One exported, one not: the reports must name both. */
__attribute__((visibility("default"))) void *leak_here(size_t bytes);
static void *volatile last;

__attribute__((noinline)) void *leak_here(size_t bytes)
{
	last = malloc(bytes);
	return last;
}

__attribute__((noinline)) static void *tidy_up(size_t bytes)
{
	last = malloc(bytes);
	return last;
}

static void leak(size_t blocks, size_t bytes)
{
	for (size_t i = 0; i < blocks; i++) {
		leak_here(bytes);
		free(tidy_up(bytes));
	}
}

static void hold(void)
{
	void *half[2000];

	for (int i = 0; i < 8; i++)
		memset(leak_here(100 << 10), 1, 100 << 10);
	for (int i = 0; i < 2000; i++)
		half[i] = memset(tidy_up(1000), 1, 1000);
	for (int i = 0; i < 2000; i += 2)
		free(half[i]);
}

/* Waits until so many lines more are in the file, which the allocator's own task writes. */
static void pass_rows(const char *path, int more)
{
	static int seen_rows;
	int rows, c;

	for (;; usleep(10000)) {
		FILE *f = fopen(path, "r");

		for (rows = 0; f && (c = getc(f)) != EOF; rows += c == '\n')
			;
		if (f)
			fclose(f);
		if (rows >= seen_rows + more)
			break;
	}
	seen_rows = rows;
}

static void ramp(const char *path)
{
	static char *part[512];

	pass_rows(path, 3);
	for (int i = 0; i < 512; i++)
		part[i] = memset(malloc(64 << 10), 1, 64 << 10);
	pass_rows(path, 5);
	for (int i = 0; i < 512; i++)
		free(part[i]);
	pass_rows(path, 7);
}

static void signalled(int number)
{
	for (int i = 0; i < 100; i++)
		leak_here(48);
	raise(number);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "leak"))
		leak(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	else if (argc == 2 && !strcmp(argv[1], "hold"))
		hold();
	else if (argc == 3 && !strcmp(argv[1], "ramp"))
		ramp(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "signal"))
		signalled(atoi(argv[2]));
	else if (argc == 2 && !strcmp(argv[1], "info"))
		last = malloc(100), malloc_info(0, stdout);
	else
		return 2;
	return 0;
}
