/*
 * peek.c - a debugger reads and writes a stopped process's memory while memory is short.
 *
 * How     The child's pages do not fit in RAM, and a third process keeps reclaim busy. The parent
 *         looks at the child with PTRACE_PEEKDATA and POKEDATA, with pread() of /proc/PID/mem, and
 *         with lseek() and read().
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

static size_t pages;
static char *memory;

static void churn(void)
{
	size_t i, size = pages * PAGE / 2;
	char *mine = map_anonymous(size, MAP_PRIVATE);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		for (i = 0; i < size; i += PAGE)
			mine[i]++;
}

static uint64_t key(size_t page)
{
	return 1 + page * 7;
}

static void show(const char *what, unsigned int failed, unsigned int wrong)
{
	printf("%s: %u failed, %u wrong\n", what, failed, wrong);
}

static void look_by_word(pid_t child, uint64_t *seed, unsigned int times)
{
	unsigned int failed = 0, wrong = 0;

	while (times--) {
		size_t page = next_number(seed) % pages;
		char *at = memory + page * PAGE + 8 * (next_number(seed) % 500);
		long expected = (long)(key(page) * 0x9e3779b97f4a7c15ULL +
				       (uint64_t)(at - memory) % PAGE / 8);
		long word;

		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, child, at, NULL);
		failed += errno != 0;
		wrong += errno == 0 && word != expected;
		failed += ptrace(PTRACE_POKEDATA, child, at, expected) != 0;
	}
	show("words", failed, wrong);
}

static void look_by_file(int fd, uint64_t *seed, unsigned int times, int seek)
{
	static char buffer[16 * PAGE];
	unsigned int failed = 0, wrong = 0;

	while (times--) {
		size_t nr = seek ? 1 + next_number(seed) % 3 : 16, i;
		size_t page = next_number(seed) % (pages - nr);
		off_t at = (off_t)(uintptr_t)(memory + page * PAGE);
		ssize_t n;

		if (seek) {
			must(lseek(fd, at, SEEK_SET) == at);
			usleep(3000);
			n = read(fd, buffer, nr * PAGE);
		} else {
			n = pread(fd, buffer, nr * PAGE, at);
		}
		failed += n != (ssize_t)(nr * PAGE);
		for (i = 0; n == (ssize_t)(nr * PAGE) && i < nr; i++)
			wrong += !page_holds(buffer + i * PAGE, key(page + i));
	}
	show(seek ? "lseek and read" : "pread", failed, wrong);
}

int main(int argc, char **argv)
{
	unsigned int times = argc > 2 ? (unsigned int)atoi(argv[2]) : 60;
	uint64_t seed = 99;
	pid_t child, other;
	char path[64];
	size_t i;
	int fd, status;

	pages = (argc > 1 ? (size_t)atoi(argv[1]) : 16) * 256;
	memory = map_anonymous(pages * PAGE, MAP_PRIVATE);
	must((child = fork()) >= 0);
	if (!child) {
		must(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
		for (i = 0; i < pages; i++)
			fill_page(memory + i * PAGE, key(i));
		raise(SIGSTOP);
		for (i = 0; i < pages; i++)
			must(page_holds(memory + i * PAGE, key(i)));
		_exit(7);
	}
	must(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	must((other = fork()) >= 0);
	if (!other)
		churn();
	/* Whoever wants the CPU has it first, between the look and its preparation. */
	must(sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 }) == 0);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)child);
	must((fd = open(path, O_RDWR)) >= 0);
	look_by_word(child, &seed, times);
	look_by_file(fd, &seed, times, 0);
	look_by_file(fd, &seed, times, 1);
	must(ptrace(PTRACE_DETACH, child, NULL, NULL) == 0);
	printf("child: %d\n", wait_for(child));
	must(kill(other, SIGKILL) == 0);
	printf("other: %d\n", wait_for(other));
	return 0;
}
