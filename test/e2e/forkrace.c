/*
 * forkrace.c - threads use, write and change memory at the very moment when others fork it.
 *
 * usage: forkrace ROUNDS
 *
 * How     Main forks again and again. Each child reads and writes all pages, in both orders.
 *         Meanwhile one thread of the parent writes to single pages, so that their copies come in
 *         blocks; one only reads, and must never see what a child wrote; one takes write access
 *         from other pages and gives it back, or gives memory back and takes it again. What they
 *         have in common is that between the fork in the kernel and the one that was prepared for
 *         it nothing may change.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdatomic.h>

#include "e2e.h"

#define PAGES 512
#define BLOCK 8

static unsigned char *memory, *changing;
static atomic_int stop;
static atomic_long reads, changes;

static uint64_t *word_of(size_t page)
{
	return (uint64_t *)(void *)(memory + page * PAGE);
}

/* The first page of each block is the writer's, others hold their number. */
static void *write_some(void *arg)
{
	uint64_t n = 0;
	size_t page;

	(void)arg;
	while (!stop)
		for (page = 0; page < PAGES; page += BLOCK) {
			*word_of(page) = n++;
			must(*word_of(page) == n - 1);
		}
	return NULL;
}

static void *read_others(void *arg)
{
	size_t page;

	(void)arg;
	while (!stop)
		for (page = 0; page < PAGES; page++, reads++)
			if (page % BLOCK)
				must(*(volatile uint64_t *)word_of(page) == page);
	return NULL;
}

static void *change_rights(void *arg)
{
	unsigned char *own = map_anonymous(16 * PAGE, MAP_PRIVATE);

	(void)arg;
	for (; !stop; changes++) {
		must(mprotect(changing, 16 * PAGE, PROT_READ) == 0);
		must(page_holds(changing + changes % 16 * PAGE, (uint64_t)(changes % 16)));
		must(mprotect(changing, 16 * PAGE, PROT_READ | PROT_WRITE) == 0);
		fill_page(changing + changes % 16 * PAGE, (uint64_t)(changes % 16));
		own[0] = own[PAGE * 15] = 1;
		must(madvise(own, 16 * PAGE, MADV_DONTNEED) == 0);
		must(own[0] == 0 && own[PAGE * 15] == 0);
	}
	return NULL;
}

static int child(int round)
{
	volatile unsigned char sum = 0; /* what is there may be half written, but must be there */
	size_t i, page;

	for (i = 0; i < PAGES; i++) {
		page = round % 2 ? PAGES - 1 - i : i;
		must(page % BLOCK == 0 || *word_of(page) == page);
		*word_of(page) = ~page;
	}
	for (i = 0; i < 16 * PAGE; i += PAGE)
		sum += changing[i];
	for (page = 0; page < PAGES; page++)
		must(*word_of(page) == ~page);
	(void)sum;
	return 0;
}

int main(int argc, char **argv)
{
	void *(*const job[])(void *) = { write_some, read_others, change_rights };
	pthread_t thread[3];
	size_t i;
	int round;

	must(argc == 2);
	memory = map_anonymous(PAGES * PAGE, MAP_PRIVATE);
	changing = map_anonymous(16 * PAGE, MAP_PRIVATE);
	for (i = 0; i < PAGES; i++)
		*word_of(i) = i;
	for (i = 0; i < 16; i++)
		fill_page(changing + i * PAGE, i);
	for (i = 0; i < 3; i++)
		must(pthread_create(&thread[i], NULL, job[i], NULL) == 0);
	for (round = 0; round < atoi(argv[1]); round++) {
		pid_t pid = fork();

		must(pid >= 0);
		if (pid == 0)
			_exit(child(round));
		must(wait_for(pid) == 0);
	}
	stop = 1;
	for (i = 0; i < 3; i++)
		must(pthread_join(thread[i], NULL) == 0);
	must(reads > 0 && changes > 0);
	puts("nobody saw what another wrote");
	return 0;
}
