/*
 * tids.c - a child that has the id of a thread which its parent once had.
 *
 * How     A thread ends, and the next process is made to get its id, through
 *         /proc/sys/kernel/ns_last_pid; others may take the id first, so it is tried some times.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "e2e.h"

static void *note_id(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	return NULL;
}

static void next_id(pid_t id)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
	char text[16];

	must(fd >= 0);
	must(write(fd, text, (size_t)sprintf(text, "%d", id - 1)) > 0);
	close(fd);
}

int main(void)
{
	static volatile int value = 7;
	int tries, met = 0;

	for (tries = 0; tries < 200 && met < 3; tries++) {
		pthread_t thread;
		pid_t tid, pid;

		must(pthread_create(&thread, NULL, note_id, &tid) == 0);
		must(pthread_join(thread, NULL) == 0);
		usleep(2000); /* it has left its stack, but perhaps not yet its id */
		next_id(tid);
		pid = fork();
		must(pid >= 0);
		if (pid == 0) {
			unsigned char *own = map_anonymous(64 * PAGE, MAP_PRIVATE);

			memset(own, 1, 64 * PAGE);
			value = 8;
			must(munmap(own, 64 * PAGE) == 0);
			_exit(value);
		}
		must(wait_for(pid) == 8 && value == 7);
		met += pid == tid;
	}
	must(met == 3);
	puts("three children had the id of a thread");
	return 0;
}
