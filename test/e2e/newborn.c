/*
 * newborn.c - what a forked child does before the C library's first call: signals on an alternate
 *             stack, a stack of its own, memory that nobody touched before, and bad accesses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <sched.h>
#include <sys/syscall.h>

enum { STACK = 64 * PAGE, FRESH = 40 };

static char *fresh; /* pages that only children touch */
static char bss[20 * PAGE];
static volatile sig_atomic_t handled;

/* fork() without a C library around it: the child makes no call that it does not ask for. */
static pid_t bare_fork(void)
{
	return (pid_t)syscall(SYS_fork);
}

static int fill_and_check(int salt)
{
	int i, wrong = 0;

	for (i = 0; i < FRESH; i += 3)
		fill_page(fresh + i * PAGE, (uint64_t)(i + salt));
	for (i = 0; i < FRESH; i += 3)
		wrong += !page_holds(fresh + i * PAGE, (uint64_t)(i + salt));
	return wrong;
}

static void on_signal(int number)
{
	char local[9 * PAGE];

	(void)number;
	memset(local, 'x', sizeof(local));
	handled += local[5 * PAGE] == 'x';
}

static void on_bad(int number)
{
	_exit(number == SIGSEGV ? 7 : 8);
}

/* All of it must still hold when the child has become a process like any other. */
static int whole_child(int salt)
{
	int i, wrong = 0;

	memset(bss, salt, sizeof(bss) / 2);
	wrong += fill_and_check(salt);
	wrong += bss[sizeof(bss) - 1] != 0;
	must(munmap(map_anonymous(PAGE, MAP_PRIVATE), PAGE) == 0);
	for (i = 0; i < FRESH; i++)
		wrong += i % 3 ? fresh[i * PAGE] != 0
			       : !page_holds(fresh + i * PAGE, (uint64_t)(i + salt));
	for (i = 0; i < (int)sizeof(bss); i++)
		wrong += bss[i] != (i < (int)sizeof(bss) / 2 ? salt : 0);
	return wrong + fill_and_check(salt + 1);
}

static int on_own_stack(void *argument)
{
	char local[30 * PAGE];
	int i, wrong = 0;

	memset(local, 'y', sizeof(local));
	wrong += whole_child(*(int *)argument);
	for (i = 0; i < (int)sizeof(local); i++)
		wrong += local[i] != 'y';
	return wrong;
}

static void alternate_stack(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_size = STACK, .ss_sp = map_anonymous(STACK, MAP_PRIVATE) };
	pid_t child;

	must(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	child = bare_fork();
	if (child == 0) {
		syscall(SYS_kill, syscall(SYS_getpid), SIGUSR1);
		_exit(handled == 1 ? whole_child(3) : 90);
	}
	printf("signal on an alternate stack: %d\n", wait_for(child));
}

static void own_stack(void)
{
	char *stack = map_anonymous(STACK, MAP_PRIVATE);
	int salt = 5;
	pid_t child = clone(on_own_stack, stack + STACK, SIGCHLD, &salt);

	must(child > 0);
	printf("clone with a stack: %d\n", wait_for(child));
	must(munmap(stack, STACK) == 0);
}

/* In a child at once; `caught`: it has a handler. */
static void bad_access(const char *what, char *address, int caught)
{
	pid_t child;

	signal(SIGSEGV, caught ? on_bad : SIG_DFL);
	child = bare_fork();
	if (child == 0) {
		*(volatile char *)address = 1;
		_exit(0);
	}
	printf("%s: %d\n", what, wait_for(child));
	signal(SIGSEGV, SIG_DFL);
}

int main(void)
{
	char *hole = map_anonymous(PAGE, MAP_PRIVATE);
	pid_t child;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	fresh = map_anonymous(FRESH * PAGE, MAP_PRIVATE);
	for (i = 0; i < 3; i++) {
		child = bare_fork();
		if (child == 0)
			_exit(whole_child(i + 1));
		printf("fresh memory: %d\n", wait_for(child));
	}
	alternate_stack();
	own_stack();
	bad_access("null pointer", (char *)16, 0);
	bad_access("null pointer, caught", (char *)16, 1);
	must(mprotect(hole, PAGE, PROT_NONE) == 0);
	bad_access("no rights", hole, 0);
	must(munmap(hole, PAGE) == 0);
	bad_access("hole, caught", hole, 1);
	printf("fresh memory of the parent: %d\n", fresh[0] || fresh[3 * PAGE]);
	return 0;
}
