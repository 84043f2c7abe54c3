/*
 * pattern.c - private, shared and file pages with known contents, checked again and again while
 * their frames change under them.
 *
 * usage: pattern MIB SECONDS [FILE]         with FILE not before somebody has made it
 *
 * How     Threads and a child read and rewrite pages in an order of their own; every page must
 *         always hold what was last written to it. A child is forked now and then, so that pages
 *         are shared copy-on-write, and half of the memory is given back and taken again, so that
 *         free memory is scattered.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <time.h>

#include "e2e.h"

#define THREADS	     3
#define FILE_PAGES   256
#define SHARED_PAGES 256

static unsigned char *memory, *shared, *file;
static size_t nr_pages;
static double end_s;
static const char *end_file;
static volatile int over;
static unsigned long checked[THREADS];

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The version of each page that its owner wrote last. */
static uint32_t *version;

static void check_page(size_t page)
{
	must(page_holds(memory + page * PAGE, page * 1000003 + version[page]));
}

/* Each thread has every THREADS-th page. */
static void *work(void *arg)
{
	size_t me = (size_t)arg, page, i;
	uint64_t state = me + 12345;

	do {
		for (i = 0; i < 500; i++) {
			page = next_number(&state) % (nr_pages / THREADS) * THREADS + me;
			check_page(page);
			checked[me]++;
			if (next_number(&state) % 4)
				continue;
			version[page]++;
			fill_page(memory + page * PAGE, page * 1000003 + version[page]);
		}
		page = next_number(&state) % FILE_PAGES;
		must(page_holds(file + page * PAGE, page));
	} while (!over);
	return NULL;
}

/* The parent writes the shared pages, children only look; private pages are theirs alone. */
static int child(void)
{
	uint64_t state = 99;
	size_t i, page;

	for (i = 0; i < 2000; i++) {
		page = next_number(&state) % SHARED_PAGES;
		must(page_holds(shared + page * PAGE, page + 7));
		page = next_number(&state) % nr_pages;
		fill_page(memory + page * PAGE, ~page);
		must(page_holds(memory + page * PAGE, ~page));
	}
	return 0;
}

static void make_file(void)
{
	static unsigned char page[PAGE];
	int fd = open("pattern.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t i;

	must(fd >= 0);
	for (i = 0; i < FILE_PAGES; i++) {
		fill_page(page, i);
		must(write(fd, page, PAGE) == PAGE);
	}
	file = mmap(NULL, FILE_PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	must(file != MAP_FAILED);
	close(fd);
}

/* Every second page of a second area goes and comes: holes everywhere. */
static void scatter(unsigned char *area, size_t pages)
{
	size_t i;

	for (i = 0; i < pages; i++)
		area[i * PAGE] = 1;
	for (i = 0; i < pages; i += 2)
		must(madvise(area + i * PAGE, PAGE, MADV_DONTNEED) == 0);
}

static pid_t fork_child(void)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0)
		_exit(child());
	return pid;
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS];
	unsigned char *area;
	size_t i;

	must(argc == 3 || argc == 4);
	end_file = argv[3];
	nr_pages = (size_t)atoi(argv[1]) * 256 / THREADS * THREADS;
	memory = map_anonymous(nr_pages * PAGE, MAP_PRIVATE);
	area = map_anonymous(nr_pages * PAGE / 2, MAP_PRIVATE);
	shared = map_anonymous(SHARED_PAGES * PAGE, MAP_SHARED);
	version = map_anonymous(nr_pages * sizeof(*version), MAP_PRIVATE);
	make_file();
	for (i = 0; i < nr_pages; i++)
		fill_page(memory + i * PAGE, i * 1000003);
	for (i = 0; i < SHARED_PAGES; i++)
		fill_page(shared + i * PAGE, i + 7);
	end_s = now_s() + atof(argv[2]);
	for (i = 0; i < THREADS; i++)
		must(pthread_create(&thread[i], NULL, work, (void *)i) == 0);
	do {
		pid_t pid = fork_child();
		int status;

		scatter(area, nr_pages / 2);
		status = wait_for(pid);
		if (status)
			fprintf(stderr, "the child ended with %d\n", status);
		must(status == 0);
		usleep(50000);
	} while (now_s() < end_s || (end_file && access(end_file, F_OK)));
	over = 1;
	for (i = 0; i < THREADS; i++)
		must(pthread_join(thread[i], NULL) == 0);
	for (i = 0; i < nr_pages; i++)
		check_page(i);
	for (i = 0; i < THREADS; i++)
		must(checked[i] > 0);
	printf("%zu pages hold what was written\n", nr_pages);
	return 0;
}
