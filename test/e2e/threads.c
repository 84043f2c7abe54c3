/*
 * threads.c - hundreds of threads: stacks, thread-local storage, joins, condition variables, and
 *             mutexes while memory is short.
 *
 * Use     threads COUNT ROUNDS
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <pthread.h>
#include <sys/syscall.h>

static __thread uint64_t mine[512]; /* a page of thread-local storage each */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static unsigned turn, finished;
static unsigned count;

static void *use_stack(void *argument)
{
	unsigned long index = (unsigned long)argument;
	char stack[24 * PAGE];
	int i;

	for (i = 0; i < 24; i++)
		fill_page(stack + i * PAGE, index + (unsigned long)i);
	for (i = 0; i < 512; i++)
		mine[i] = index;
	pthread_mutex_lock(&lock);
	finished++;
	while (finished < count)
		pthread_cond_wait(&turned, &lock); /* all stacks live at the same time */
	pthread_cond_broadcast(&turned);
	pthread_mutex_unlock(&lock);
	for (i = 0; i < 24; i++)
		must(page_holds(stack + i * PAGE, index + (unsigned long)i));
	for (i = 0; i < 512; i++)
		must(mine[i] == index);
	return (void *)(index * 3);
}

static void all_at_once(void)
{
	pthread_t *threads = calloc(count, sizeof(*threads));
	unsigned long sum = 0;
	pthread_attr_t attributes;
	unsigned i;

	pthread_attr_init(&attributes);
	must(pthread_attr_setstacksize(&attributes, 256 * 1024) == 0);
	finished = 0;
	for (i = 0; i < count; i++)
		must(pthread_create(&threads[i], &attributes, use_stack, (void *)(long)i) == 0);
	for (i = 0; i < count; i++) {
		void *value;

		must(pthread_join(threads[i], &value) == 0);
		sum += (unsigned long)value;
	}
	printf("%u threads at once: %lu\n", count, sum);
	free(threads);
}

static void *quick(void *argument)
{
	char *memory = malloc(60000);

	memset(memory, (int)(long)argument, 60000);
	must(memory[59999] == (char)(long)argument);
	free(memory);
	return argument;
}

static void one_by_one(int rounds)
{
	long i, sum = 0;

	for (i = 0; i < rounds; i++) {
		pthread_t thread;
		void *value;

		must(pthread_create(&thread, NULL, quick, (void *)i) == 0);
		must(pthread_join(thread, &value) == 0);
		sum += (long)value;
	}
	printf("one by one: %ld\n", sum);
}

static void *pass_on(void *argument)
{
	unsigned me = (unsigned)(long)argument, i;

	for (i = 0; i < 50; i++) {
		pthread_mutex_lock(&lock);
		while (turn % 8 != me)
			pthread_cond_wait(&turned, &lock);
		turn++;
		pthread_cond_broadcast(&turned);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void in_turns(void)
{
	pthread_t threads[8];
	long i;

	turn = 0;
	for (i = 0; i < 8; i++)
		must(pthread_create(&threads[i], NULL, pass_on, (void *)i) == 0);
	for (i = 0; i < 8; i++)
		must(pthread_join(threads[i], NULL) == 0);
	printf("in turns: %u\n", turn);
}

static void *die_with_lock(void *mutex)
{
	must(pthread_mutex_lock(mutex) == 0);
	return NULL;
}

static void robust(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutex_t *mutex = map_anonymous(PAGE, MAP_PRIVATE);
	pthread_t thread;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &attributes);
	must(pthread_create(&thread, NULL, die_with_lock, mutex) == 0);
	must(pthread_join(thread, NULL) == 0);
	printf("robust mutex of a dead thread: %d\n", pthread_mutex_lock(mutex));
	must(pthread_mutex_consistent(mutex) == 0 && pthread_mutex_unlock(mutex) == 0);
}

static void *pressure(void *stop)
{
	enum { PAGES = 3000 };
	char *memory = map_anonymous(PAGES * PAGE, MAP_PRIVATE);
	uint64_t key = 1;
	int i;

	while (!__atomic_load_n((int *)stop, __ATOMIC_ACQUIRE)) {
		for (i = 0; i < PAGES; i++)
			fill_page(memory + i * PAGE, key + (uint64_t)i);
		for (i = 0; i < PAGES; i++)
			must(page_holds(memory + i * PAGE, key + (uint64_t)i));
		key++;
	}
	return NULL;
}

/* Sleepers whose futex word lies on a page that goes cold while they sleep. */
static void cold_futex(void)
{
	pthread_t presser, threads[16];
	int stop = 0;
	long i;

	must(pthread_create(&presser, NULL, pressure, &stop) == 0);
	count = 17;
	finished = 0;
	for (i = 0; i < 16; i++)
		must(pthread_create(&threads[i], NULL, use_stack, (void *)i) == 0);
	usleep(300000);
	pthread_mutex_lock(&lock);
	finished++;
	pthread_cond_broadcast(&turned);
	pthread_mutex_unlock(&lock);
	for (i = 0; i < 16; i++)
		must(pthread_join(threads[i], NULL) == 0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	must(pthread_join(presser, NULL) == 0);
	printf("woken from cold memory: %u\n", finished);
}

int main(int argc, char **argv)
{
	must(argc == 3);
	count = (unsigned)atoi(argv[1]);
	all_at_once();
	all_at_once();
	one_by_one(atoi(argv[2]));
	in_turns();
	robust();
	cold_futex();
	return 0;
}
