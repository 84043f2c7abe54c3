/*
 * thread_test.c - threads that free each other's blocks, come and go, and fork.
 *
 * SPDX-License-Identifier: MIT
 */
#include "malloc/check.h"
#include "malloc/malloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define THREADS 32
#define SHARED	512

static _Atomic(uint32_t *) shared[SHARED];
static _Atomic int wrong;
static _Atomic bool stop;

static uint32_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

/* A block carries its word count and ends with the same; whoever frees it checks. */
static uint32_t *make(uint64_t *seed)
{
	uint32_t words = 2 + next(seed) % (next(seed) % 64 ? 100 : 20000);
	uint32_t *p = malloc(words * sizeof(*p));

	p[0] = words;
	p[words - 1] = words;
	return p;
}

static void discard(uint32_t *p)
{
	if (!p)
		return;
	if (p[p[0] - 1] != p[0])
		atomic_fetch_add(&wrong, 1);
	free(p);
}

static void *swap_blocks(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (int i = 0; i < 20000 && !stop; i++)
		discard(atomic_exchange(&shared[next(&seed) % SHARED], make(&seed)));
	return NULL;
}

static void empty_shared(void)
{
	for (int i = 0; i < SHARED; i++)
		discard(atomic_exchange(&shared[i], NULL));
}

static void run_threads(void *(*body)(void *))
{
	pthread_t t[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, body, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static void test_exchange(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		run_threads(swap_blocks);
	empty_shared();
	assert_int_equal(wrong, 0);
	assert_null(heap_check());
}

static void *come_and_go(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (int i = 0; i < 50; i++)
		discard(atomic_exchange(&shared[next(&seed) % SHARED], make(&seed)));
	return NULL;
}

/* Blocks of threads that ended are neither lost nor handed out twice. */
static void test_thread_exit(void **state)
{
	size_t before;

	(void)state;
	run_threads(come_and_go);
	empty_shared();
	before = mallinfo2().arena;
	for (int i = 0; i < 60; i++)
		run_threads(come_and_go);
	empty_shared();
	assert_int_equal(wrong, 0);
	assert_null(heap_check());
	assert_true(mallinfo2().arena <= before + ((size_t)8 << 20));
}

static void *swap_runs(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	uint32_t *p;

	while (!stop) {
		p = malloc(20000 + next(&seed) % 60000);
		p[0] = 2;
		p[1] = 2;
		discard(atomic_exchange(&shared[next(&seed) % 64], p));
	}
	return NULL;
}

/* Runs are purged with the lock given up meanwhile: their neighbours may change. */
static void test_purge_races(void **state)
{
	pthread_t t[3];

	(void)state;
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, swap_runs, (void *)(i + 1));
	for (int i = 0; i < 3000; i++)
		malloc_trim(0);
	stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	stop = false;
	empty_shared();
	assert_int_equal(wrong, 0);
	assert_null(heap_check());
}

/* The thread sanitizer kills a child that starts threads. */
#if defined(__SANITIZE_THREAD__)
#define THREADS_IN_ONE_OF 1000
#else
#define THREADS_IN_ONE_OF 4
#endif

static void *make_some(void *arg)
{
	uint64_t seed = 99;

	for (int i = 0; i < 200; i++)
		discard(make(&seed));
	return arg;
}

/* New threads of the child take over what its parent's threads had at hand. */
static int in_child(bool with_threads)
{
	pthread_t t[4];

	make_some(NULL);
	for (int i = 0; with_threads && i < 4; i++)
		if (pthread_create(&t[i], NULL, make_some, NULL))
			return 1;
	for (int i = 0; with_threads && i < 4; i++)
		pthread_join(t[i], NULL);
	return wrong != 0;
}

/* Forks as many times; how often the child failed. */
static void *fork_often(void *arg)
{
	uintptr_t failed = 0;
	int status;

	for (uintptr_t i = 0; i < (uintptr_t)arg; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(in_child(i % THREADS_IN_ONE_OF == THREADS_IN_ONE_OF - 1));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			failed++;
	}
	return (void *)failed;
}

/* A thousand forks in two threads at once, while four others allocate. */
static void test_fork(void **state)
{
	pthread_t t[4], forker[2];
	uintptr_t failed = 0;
	void *result;

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, swap_blocks, (void *)(i + 1));
	for (int i = 0; i < 2; i++)
		pthread_create(&forker[i], NULL, fork_often, (void *)(uintptr_t)500);
	for (int i = 0; i < 2; i++) {
		pthread_join(forker[i], &result);
		failed += (uintptr_t)result;
	}
	stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	empty_shared();
	assert_int_equal(failed, 0);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_thread_exit),
		cmocka_unit_test(test_purge_races),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
