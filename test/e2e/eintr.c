/*
 * eintr.c - signals without SA_RESTART while memory calls are made: none of these fails, calls
 *               that wait do, and who looks at the stack from the handler sees all of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <execinfo.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/time.h>

static volatile int signals, saw_caller;

static long spin(volatile int *until)
{
	volatile long turns = 0;

	while (!*until)
		turns++;
	return turns;
}

static long (*volatile spinner)(volatile int *) = spin; /* not inlined */

static void on_alarm(int number)
{
	(void)number;
	signals++;
}

static void on_look(int number)
{
	void *frame[64];
	int i, n = backtrace(frame, 64);

	(void)number;
	for (i = 0; i < n; i++) {
		ptrdiff_t into = (char *)frame[i] - (char *)(uintptr_t)spinner;

		saw_caller |= into > 0 && into < 200;
	}
	signals++;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler }, old;

	must(sigaction(number, &action, NULL) == 0);
	must(sigaction(number, NULL, &old) == 0 && old.sa_handler == handler);
}

static void every(int microseconds)
{
	struct itimerval timer = { { 0, microseconds }, { 0, microseconds } };

	must(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void *to_be_cancelled(void *nothing)
{
	static volatile int never;

	must(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
	spinner(&never);
	return nothing;
}

static int memory_calls(int rounds)
{
	unsigned char resident[4];
	int i, failed = 0;

	for (i = 0; i < rounds; i++) {
		char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED) {
			failed++;
			continue;
		}
		p[0] = p[2 * PAGE] = 1;
		failed += mprotect(p, PAGE, PROT_READ) < 0;
		failed += madvise(p, PAGE, MADV_WILLNEED) < 0;
		failed += mincore(p, PAGE, resident) < 0;
		failed += sbrk(i % 2 ? PAGE : -PAGE) == (void *)-1;
		failed += p[0] + p[PAGE] + p[2 * PAGE] != 2;
		failed += munmap(p, 4 * PAGE) < 0;
	}
	return failed;
}

int main(int argc, char **argv)
{
	void *dummy[4], *result;
	pthread_t thread;
	int fd[2], failed;
	char byte;
	pid_t child;

	must(argc == 2 && pipe(fd) == 0 && sbrk(PAGE) != (void *)-1);
	(void)backtrace(dummy, 4); /* loads the library */
	handle(SIGUSR1, on_look);
	handle(SIGALRM, on_look);
	alarm(1);
	spinner(&signals);
	printf("the handler saw its caller: %d\n", saw_caller);
	handle(SIGALRM, on_alarm);
	every(300);
	failed = memory_calls(atoi(argv[1]));
	printf("memory calls that failed: %d, signals: %s\n", failed,
	       signals > 50 ? "many" : "few");
	failed = read(fd[0], &byte, 1) == -1 ? errno : 0;
	printf("read: errno %d\n", failed);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		handle(SIGALRM, on_alarm);
		every(300);
		_exit(memory_calls(atoi(argv[1]) / 4));
	}
	printf("in a child: %d\n", wait_for(child));
	every(0);
	must(pthread_create(&thread, NULL, to_be_cancelled, NULL) == 0);
	usleep(20000);
	must(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
	printf("cancelled: %d\n", result == PTHREAD_CANCELED);
	return 0;
}
