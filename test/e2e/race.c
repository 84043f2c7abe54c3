/*
 * race.c - threads that touch memory in the moment in which its mapping changes.
 *
 * How     rights    others read pages whose rights one thread changes all the time
 *         first     two threads meet at the first use of pages of a private file mapping: one
 *                   reads, the other writes; nobody else may ever see what was written
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { PAGES = 256 };

static atomic_uint turn, stop;
static unsigned char *memory;
static unsigned long wrong;

/* Watches closely for a while, as the other may be on another CPU, or else needs this one. */
#define wait_until(condition)                                                                      \
	for (unsigned int n_ = 0; !(condition); n_++)                                              \
		if (n_ > 200)                                                                      \
	sched_yield()

static void spin(unsigned int n)
{
	while (n--)
		__asm__ volatile("pause");
}

static void *read_all(void *arg)
{
	size_t i;

	while (!atomic_load(&stop))
		for (i = 0; i < PAGES; i++)
			wrong += ((volatile uint64_t *)(memory + i * PAGE))[1] != i + 1;
	return arg;
}

/* Reading is allowed all the time. */
static void test_rights(unsigned int rounds)
{
	static const int prot[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
				    PROT_READ | PROT_WRITE | PROT_EXEC };
	pthread_t reader;
	unsigned int i;

	memory = map_anonymous(PAGES * PAGE, MAP_PRIVATE);
	for (i = 0; i < PAGES; i++)
		((uint64_t *)(memory + i * PAGE))[1] = i + 1;
	must(pthread_create(&reader, NULL, read_all, NULL) == 0);
	for (i = 0; i < rounds; i++) {
		must(mprotect(memory, PAGES * PAGE, prot[i % 4]) == 0);
		if (prot[i % 4] & PROT_WRITE)
			memory[(i % PAGES) * PAGE] = (unsigned char)i;
	}
	atomic_store(&stop, 1);
	must(pthread_join(reader, NULL) == 0);
	must(munmap(memory, PAGES * PAGE) == 0);
	printf("rights: %lu wrong\n", wrong);
}

static void *write_all(void *arg)
{
	unsigned int n, delay = *(unsigned int *)arg;

	atomic_fetch_add(&turn, 1);
	wait_until(atomic_load(&turn) == 2);
	for (n = 0; n < PAGES; n++) {
		spin(delay);
		memory[n * PAGE + 100] = 0xee;
	}
	return NULL;
}

/* Both go through all pages, now the one in front and now the other. */
static void meet(unsigned int delay)
{
	pthread_t writer;
	unsigned int n;

	atomic_store(&turn, 0);
	must(pthread_create(&writer, NULL, write_all, &delay) == 0);
	wait_until(atomic_load(&turn) == 1);
	atomic_store(&turn, 2);
	for (n = 0; n < PAGES; n++)
		wrong += ((volatile unsigned char *)memory)[n * PAGE] != 0x11;
	must(pthread_join(writer, NULL) == 0);
}

static void test_first(unsigned int rounds)
{
	static char page[PAGE];
	unsigned int i, n;
	int fd = open("race.data", O_RDWR | O_CREAT | O_TRUNC, 0600);

	must(fd >= 0);
	memset(page, 0x11, PAGE);
	for (n = 0; n < PAGES; n++)
		must(write(fd, page, PAGE) == PAGE);
	for (i = 0; i < rounds; i++) {
		unsigned char *other = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

		memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		must(memory != MAP_FAILED && other != MAP_FAILED);
		must(madvise(memory, PAGES * PAGE, MADV_RANDOM) == 0);
		meet(i * 61 % 500);
		for (n = 0; n < PAGES; n++)
			wrong += other[n * PAGE + 100] != 0x11;
		must(munmap(memory, PAGES * PAGE) == 0 && munmap(other, PAGES * PAGE) == 0);
	}
	must(close(fd) == 0 && unlink("race.data") == 0);
	printf("first: %lu wrong\n", wrong);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 40;

	test_rights(rounds * 20);
	wrong = 0;
	test_first(rounds);
	return 0;
}
