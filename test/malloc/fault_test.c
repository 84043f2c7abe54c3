/*
 * fault_test.c - fails the first, the second, ... request to the kernel until none is hit.
 *
 * How     Each point runs in a child of its own. After the failure requests may return NULL with
 *         ENOMEM, nothing else; what was held keeps its contents; the invariants hold; and when
 *         the kernel gives memory again, so does malloc.
 *
 * SPDX-License-Identifier: MIT
 */
#include "malloc/check.h"
#include "malloc/malloc.h"
#include "malloc/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define BLOCKS 450

static unsigned char *held[BLOCKS];
static size_t size[BLOCKS];
static int refused;

static void require_that(int holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "fault_test.c:%d does not hold\n", line);
	_exit(9);
}
#define REQUIRE(holds) require_that(!!(holds), __LINE__)

static size_t size_at(int i)
{
	static const size_t sizes[] = { 24, 700, 9000, 40000, 3000, 200000, 64, 350000, 16384 };

	return sizes[i % 9] + (size_t)i;
}

static void take(int i)
{
	errno = 0;
	size[i] = size_at(i);
	held[i] = i % 5 ? malloc(size[i]) : calloc(1, size[i]);
	if (held[i]) {
		memset(held[i], i & 0xff, size[i]);
		return;
	}
	refused++;
	REQUIRE(errno == ENOMEM);
}

static void grow(int i)
{
	unsigned char *p = realloc(held[i], size[i] * 2);

	if (!p) {
		refused++;
		return;
	}
	memset(p + size[i], i & 0xff, size[i]);
	held[i] = p;
	size[i] *= 2;
}

static void verify(int i)
{
	for (size_t k = 0; held[i] && k < size[i]; k += 61)
		REQUIRE(held[i][k] == (i & 0xff));
}

static int scenario(unsigned long fail_at)
{
	os_fail_at(fail_at);
	for (int i = 0; i < BLOCKS; i++)
		take(i);
	for (int i = 0; i < BLOCKS; i += 3)
		if (held[i])
			grow(i);
	for (int i = 0; i < BLOCKS; i++)
		verify(i);
	REQUIRE(!heap_check());
	os_fail_at(0);
	for (int i = 0; i < BLOCKS; i++)
		if (!held[i])
			take(i);
	for (int i = 0; i < BLOCKS; i++) {
		REQUIRE(held[i]);
		verify(i);
		free(held[i]);
	}
	REQUIRE(!heap_check());
	return refused ? 1 : 0;
}

static void test_sweep(void **state)
{
	unsigned long at = 1;
	int status, hit = 0;

	(void)state;
	for (;; at++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(scenario(at));
		waitpid(pid, &status, 0);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		hit += WEXITSTATUS(status);
		if (WEXITSTATUS(status) == 0 && at > 60)
			break;
	}
	print_message("%lu points, %d of them refused a request\n", at, hit);
	assert_true(hit > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_sweep) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
