/*
 * touch.c - first touch of anonymous memory: nanoseconds per 4 KiB page.
 *
 * Use     touch MEGABYTES [ROUNDS]     prints the median of the rounds (default 5)
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGE = 4096, MOST = 64 };

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	size_t size = (size_t)atoi(argc > 1 ? argv[1] : "256") << 20, at;
	int rounds = argc > 2 ? atoi(argv[2]) : 5, i;
	double each[MOST];

	if (rounds < 1 || rounds > MOST)
		return 2;
	for (i = 0; i < rounds; i++) {
		volatile char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		double start = now_ns();

		if (p == MAP_FAILED)
			return 1;
		for (at = 0; at < size; at += PAGE)
			p[at] = 1;
		each[i] = (now_ns() - start) / (double)(size / PAGE);
		munmap((void *)p, size);
	}
	qsort(each, (size_t)rounds, sizeof(each[0]), by_value);
	printf("%.1f\n", each[rounds / 2]);
	return 0;
}
