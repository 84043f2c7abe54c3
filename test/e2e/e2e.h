/*
 * e2e.h - what the C programs of the end-to-end tests share: checks that end the program, a
 *         generator of numbers, page patterns, and touching memory that may not be there.
 *
 * Holds   Output is deterministic: no addresses, no process ids, no times.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TEST_E2E_H
#define QUIRE_TEST_E2E_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			int e_ = errno;                                                            \
			fflush(stdout);                                                            \
			fprintf(stderr, "%s:%d: %s: errno %d\n", __FILE__, __LINE__, #condition,   \
				e_);                                                               \
			_exit(99);                                                                 \
		}                                                                                  \
	} while (0)

static inline uint64_t next_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t hash_bytes(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	uint64_t h = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < size; i++)
		h = (h ^ bytes[i]) * 0x100000001b3ULL;
	return h;
}

/* A page full of words derived from key. */
static inline void fill_page(void *page, uint64_t key)
{
	uint64_t *word = page;
	size_t i;

	for (i = 0; i < PAGE / sizeof(*word); i++)
		word[i] = key * 0x9e3779b97f4a7c15ULL + i;
}

static inline int page_holds(const void *page, uint64_t key)
{
	const uint64_t *word = page;
	size_t i;

	for (i = 0; i < PAGE / sizeof(*word); i++)
		if (word[i] != key * 0x9e3779b97f4a7c15ULL + i)
			return 0;
	return 1;
}

static inline void *map_anonymous(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	must(p != MAP_FAILED);
	return p;
}

static inline int wait_for(pid_t pid)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	must(got == pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
