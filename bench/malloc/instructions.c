/*
 * instructions.c - counts the instructions of one malloc(64) + free pair, by single-stepping.
 *
 * How     The child runs warm-up pairs, then raises SIGSTOP before and after one pair; the parent
 *         steps it in between and subtracts what two stops without a pair take. The jumps
 *         through the PLT count: the program pays for them.
 * Use     malloc-instructions LIBRARY ("-": the C library's own)
 *
 * SPDX-License-Identifier: MIT
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void *volatile sink;

static void pairs(int n)
{
	for (int i = 0; i < n; i++) {
		sink = malloc(64);
		free(sink);
	}
}

static int child(void)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	pairs(1000);
	raise(SIGSTOP);
	pairs(0);
	raise(SIGSTOP);
	pairs(10);
	raise(SIGSTOP);
	return 0;
}

/* Steps until the next stop by SIGSTOP; the count of steps, or -1. */
static long steps(pid_t pid)
{
	int status;
	long n = 0;

	for (;; n++) {
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, 0) != pid ||
		    !WIFSTOPPED(status))
			return -1;
		if (WSTOPSIG(status) == SIGSTOP)
			return n;
	}
}

int main(int argc, char **argv)
{
	long none, ten;
	int status;
	pid_t pid;

	if (argc > 1 && !strcmp(argv[1], "child"))
		return child();
	pid = fork();
	if (pid == 0) {
		if (argc > 1 && strcmp(argv[1], "-"))
			setenv("LD_PRELOAD", argv[1], 1);
		execl("/proc/self/exe", argv[0], "child", (char *)NULL);
		_exit(127);
	}
	do
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			return 1;
	while (WSTOPSIG(status) != SIGSTOP && !ptrace(PTRACE_CONT, pid, 0, 0));
	none = steps(pid);
	ten = steps(pid);
	kill(pid, SIGKILL);
	if (none < 0 || ten < 0)
		return 1;
	/* the loop itself is six instructions a turn */
	printf("%.1f\n", (double)(ten - none) / 10);
	return 0;
}
