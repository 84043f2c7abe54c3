/*
 * cleanup.c - kills whole families.
 *
 * How     A subreaper's descendants become its children when their parents die. So: kill the
 *         children, reap them, and again, until there are none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mmu/host/cleanup.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENT_ROUNDS 16

void cleanup_descendants(void)
{
	char path[64];
	int round;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	for (round = 0; round < 10000; round++) {
		FILE *f = fopen(path, "re");
		int pid;

		while (f && fscanf(f, "%d", &pid) == 1)
			kill(pid, SIGKILL);
		if (f)
			fclose(f);
		do {
			pid = waitpid(-1, NULL, WNOHANG);
		} while (pid > 0);
		if (pid < 0 && errno == ECHILD)
			return;
		if (round < PATIENT_ROUNDS) /* most end as soon as they get the CPU */
			sched_yield();
		else
			usleep(200);
	}
}
