/*
 * churn.c - never ends: maps, writes, forks, swaps and execs, to be killed at any moment.
 *
 * Use     churn MEGABYTES
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <pthread.h>

static size_t pages;

static void *thread(void *argument)
{
	char *memory = map_anonymous(pages * PAGE, MAP_PRIVATE);
	uint64_t state = (uint64_t)(long)argument + 1;

	for (;;) {
		size_t i = next_number(&state) % pages;

		fill_page(memory + i * PAGE, i);
		must(page_holds(memory + i * PAGE, i));
		if (state % 1000 == 0)
			must(madvise(memory + i * PAGE, PAGE, MADV_DONTNEED) == 0);
		if (state % 5000 == 1) {
			memory = mremap(memory, pages * PAGE, pages * PAGE + PAGE, MREMAP_MAYMOVE);
			must(memory != MAP_FAILED);
			must(mremap(memory, pages * PAGE + PAGE, pages * PAGE, 0) == memory);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	char *shared = map_anonymous(100 * PAGE, MAP_SHARED);
	pthread_t threads[2];
	uint64_t round;

	must(argc == 2);
	pages = (size_t)atoi(argv[1]) * 256 / 2;
	for (round = 0; round < 2; round++)
		must(pthread_create(&threads[round], NULL, thread, (void *)round) == 0);
	for (round = 0;; round++) {
		pid_t pid = fork();
		size_t i;

		if (pid == 0) {
			for (i = 0; i < 100; i++)
				fill_page(shared + i * PAGE, round);
			if (round % 3 == 0)
				execl("/bin/true", "true", (char *)NULL);
			_exit(0);
		}
		if (pid > 0)
			wait_for(pid);
	}
}
