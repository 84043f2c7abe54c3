/*
 * peak.c - runs a command and writes down its peak memory, wall and CPU time.
 *
 * Use     peak [-s] OUTFILE COMMAND [ARG...]
 *         Exit status: the command's own; 128+n if signal n ended it; 127 if it could not start.
 *         OUTFILE gets one `name value` per line: peak_kb maxrss_kb wall_us user_us sys_us
 * How     Without -s, peak_kb is ru_maxrss: the largest single process. With -s the proportional
 *         set sizes (Pss) of all descendants are summed every few milliseconds; orphans stay in
 *         view because this process is their subreaper.
 * Why     A process inherits its parent's high-water mark across exec, so that a small C program
 *         has to do the measuring, not the test runner.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLE_US = 4000 };

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long pss_kb(int pid)
{
	char path[64], line[256];
	long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %ld", &kb) == 1)
			break;
	fclose(f);
	return kb;
}

static long tree_kb(int pid)
{
	char path[64];
	long kb = 0;
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fscanf(f, "%d", &child) == 1)
		kb += pss_kb(child) + tree_kb(child);
	fclose(f);
	return kb;
}

static int wait_sampling(pid_t pid, struct rusage *usage, long *peak_kb)
{
	int status;

	while (wait4(pid, &status, WNOHANG, usage) == 0) {
		long long start_us = now_us();
		long kb = tree_kb(getpid());

		if (kb > *peak_kb)
			*peak_kb = kb;
		usleep((useconds_t)(SAMPLE_US + 9 * (now_us() - start_us))); /* a tenth at most */
	}
	return status;
}

static long long tv_us(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

static void write_down(const char *path, const struct rusage *usage, long peak_kb,
		       long long wall_us)
{
	FILE *f = fopen(path, "w");

	if (!f) {
		fprintf(stderr, "peak: %s: %s\n", path, strerror(errno));
		exit(126);
	}
	fprintf(f, "peak_kb %ld\nmaxrss_kb %ld\nwall_us %lld\nuser_us %lld\nsys_us %lld\n", peak_kb,
		usage->ru_maxrss, wall_us, tv_us(usage->ru_utime), tv_us(usage->ru_stime));
	fclose(f);
}

static pid_t start(char **argv)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	int sampling = argc > 1 && !strcmp(argv[1], "-s");
	struct rusage usage = { 0 };
	long long start_us;
	long peak_kb = 0;
	int status;
	pid_t pid;

	argv += sampling;
	if (argc - sampling < 3) {
		fprintf(stderr, "usage: peak [-s] OUTFILE COMMAND [ARG...]\n");
		return 126;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	start_us = now_us();
	pid = start(argv + 2);
	if (sampling)
		status = wait_sampling(pid, &usage, &peak_kb);
	else
		wait4(pid, &status, 0, &usage);
	if (usage.ru_maxrss > peak_kb)
		peak_kb = usage.ru_maxrss;
	write_down(argv[1], &usage, peak_kb, now_us() - start_us);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
