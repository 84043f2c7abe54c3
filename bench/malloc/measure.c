/*
 * measure.c - runs a command and prints its CPU seconds and peak RSS: "user system kilobytes".
 *
 * How     A process as small as this one, because a child's peak counts from before its exec.
 * Use     malloc-measure COUNT LIBRARY COMMAND ...   COUNT runs one after the other, LIBRARY
 *         preloaded (or "-"), their standard output discarded. The figures are of all children
 *         they waited for: sums of time, the largest peak. Fails if a run fails.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *library, char **argv)
{
	int status = 0, null;
	pid_t pid = fork();

	if (pid == 0) {
		if (strcmp(library, "-"))
			setenv("LD_PRELOAD", library, 1);
		null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return status != 0;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage use;

	if (argc < 4)
		return 2;
	for (int n = atoi(argv[1]); n > 0; n--)
		if (run(argv[2], argv + 3))
			return 1;
	getrusage(RUSAGE_CHILDREN, &use);
	printf("%f %f %ld\n", seconds(use.ru_utime), seconds(use.ru_stime), use.ru_maxrss);
	return 0;
}
