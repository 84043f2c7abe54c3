/*
 * signals.c - signals that arrive while pages are missing: timers, restarted calls, masks,
 *             children, threads, stop and continue, and handlers that touch cold memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <pthread.h>
#include <sys/time.h>

enum { COLD_PAGES = 2000 };

static volatile sig_atomic_t alarms, children, users;
static char *cold;
static volatile size_t cold_next;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
	fill_page(cold + (cold_next++ % COLD_PAGES) * PAGE, 5);
}

static void on_child(int number)
{
	(void)number;
	children++;
}

static void on_user(int number)
{
	(void)number;
	users++;
}

static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	must(sigaction(number, &action, NULL) == 0);
}

static void timer(long us)
{
	struct itimerval t = { { 0, us }, { 0, us } };

	must(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

/* A handler every 700 us while every page of a large range is first touched, then rewritten. */
static void faults_under_alarm(void)
{
	size_t pages = 3000, i, round;
	char *memory = map_anonymous(pages * PAGE, MAP_PRIVATE);

	handle(SIGALRM, on_alarm, SA_RESTART);
	timer(700);
	for (round = 0; round < 3 || alarms < 20; round++) {
		for (i = 0; i < pages; i++)
			fill_page(memory + i * PAGE, i + round);
		for (i = 0; i < pages; i++)
			must(page_holds(memory + i * PAGE, i + round));
	}
	timer(0);
	printf("faults under alarm: fine, alarms %s\n", alarms >= 20 ? "arrived" : "missing");
	must(munmap(memory, pages * PAGE) == 0);
}

/* Calls that fault inside the kernel, interrupted all the time. */
static void calls_under_alarm(void)
{
	size_t size = 4 << 20, done, i;
	int fd[2];
	pid_t pid;

	must(pipe(fd) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		char *out = map_anonymous(size, MAP_PRIVATE);

		for (i = 0; i < size / PAGE; i++)
			fill_page(out + i * PAGE, i);
		for (done = 0; done < size;) {
			ssize_t n = write(fd[1], out + done, size - done);

			must(n > 0);
			done += (size_t)n;
		}
		_exit(0);
	} else {
		char *in = map_anonymous(size, MAP_PRIVATE);

		close(fd[1]);
		timer(300);
		for (done = 0; done < size;) {
			ssize_t n = read(fd[0], in + done, size - done);

			must(n > 0);
			done += (size_t)n;
		}
		timer(0);
		for (i = 0; i < size / PAGE; i++)
			must(page_holds(in + i * PAGE, i));
		must(wait_for(pid) == 0);
		must(munmap(in, size) == 0);
	}
	close(fd[0]);
	printf("calls under alarm: fine\n");
}

/* fork, mmap and munmap restarted by signals. */
static void forks_under_alarm(void)
{
	int i;

	timer(400);
	for (i = 0; i < 30; i++) {
		char *p = map_anonymous(50 * PAGE, MAP_PRIVATE);
		pid_t pid;

		fill_page(p + 20 * PAGE, (uint64_t)i);
		pid = fork();
		must(pid >= 0);
		if (pid == 0)
			_exit(page_holds(p + 20 * PAGE, (uint64_t)i) ? i : 98);
		must(wait_for(pid) == i);
		must(munmap(p, 50 * PAGE) == 0);
	}
	timer(0);
	printf("forks under alarm: fine\n");
}

static void child_signals(void)
{
	sigset_t block, old;
	int i, status, stops = 0;
	pid_t pid;

	handle(SIGCHLD, on_child, SA_RESTART | SA_NOCLDSTOP);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	must(sigprocmask(SIG_BLOCK, &block, &old) == 0);
	for (i = 0; i < 5; i++) {
		pid = fork();
		must(pid >= 0);
		if (pid == 0)
			_exit(i);
		while (children <= i)
			sigsuspend(&old);
		must(wait_for(pid) == i);
	}
	must(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	printf("SIGCHLD: %d\n", (int)children);
	pid = fork();
	must(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	kill(pid, SIGSTOP);
	must(waitpid(pid, &status, WUNTRACED) == pid);
	stops += WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
	kill(pid, SIGCONT);
	must(waitpid(pid, &status, WCONTINUED) == pid);
	stops += !!WIFCONTINUED(status);
	kill(pid, SIGTERM);
	printf("stopped and continued: %d, ended %d\n", stops, wait_for(pid));
}

static void ends(void)
{
	static const int numbers[] = { SIGKILL, SIGABRT, SIGFPE, SIGILL, SIGUSR1, SIGPIPE };
	size_t i;

	handle(SIGUSR1, SIG_DFL, 0);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		pid_t pid = fork();

		must(pid >= 0);
		if (pid == 0) {
			raise(numbers[i]);
			_exit(0);
		}
		printf("signal %d: %d\n", numbers[i], wait_for(pid));
	}
}

static void *wait_for_signal(void *set)
{
	int number;

	must(sigwait(set, &number) == 0);
	return (void *)(long)number;
}

static void *spin(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_ACQUIRE))
		free(malloc(300000));
	return NULL;
}

static void thread_signals(void)
{
	pthread_t waiter, spinner;
	sigset_t set;
	int stop = 0, i;
	void *number;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	must(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	must(pthread_create(&waiter, NULL, wait_for_signal, &set) == 0);
	must(kill(getpid(), SIGUSR2) == 0);
	must(pthread_join(waiter, &number) == 0);
	printf("sigwait in a thread: %ld\n", (long)number);
	handle(SIGUSR1, on_user, SA_RESTART);
	must(pthread_create(&spinner, NULL, spin, &stop) == 0);
	for (i = 0; i < 200; i++) {
		int before = users;

		must(pthread_kill(spinner, SIGUSR1) == 0);
		while (users == before)
			sched_yield();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	must(pthread_join(spinner, NULL) == 0);
	printf("pthread_kill: %d\n", (int)users);
}

static void interrupted(void)
{
	struct itimerval again = { { 0, 20000 }, { 0, 20000 } }, never = { 0 };
	int fd[2];
	char byte;

	must(pipe(fd) == 0);
	handle(SIGALRM, on_alarm, 0);
	/* Again and again: the first may come before the read. */
	must(setitimer(ITIMER_REAL, &again, NULL) == 0);
	errno = 0;
	must(read(fd[0], &byte, 1) == -1 && errno == EINTR);
	must(setitimer(ITIMER_REAL, &never, NULL) == 0);
	printf("read without SA_RESTART: errno %d\n", EINTR);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	cold = map_anonymous(COLD_PAGES * PAGE, MAP_PRIVATE);
	faults_under_alarm();
	calls_under_alarm();
	forks_under_alarm();
	child_signals();
	ends();
	thread_signals();
	interrupted();
	return 0;
}
