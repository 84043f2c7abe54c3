/*
 * segv.c - bad accesses: the right signal, si_code and si_addr, on the right stack.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <pthread.h>

static sigjmp_buf back;
static siginfo_t seen;
static volatile int on_alternate;
static char *alternate;
enum { ALTERNATE = 128 * 1024 };

static void handler(int number, siginfo_t *info, void *context)
{
	char here;

	(void)number;
	(void)context;
	seen = *info;
	on_alternate = &here >= alternate && &here < alternate + ALTERNATE;
	siglongjmp(back, 1);
}

static void report(const char *what, const char *expected)
{
	const char *code = "?";

	if (seen.si_signo == SIGSEGV)
		code = seen.si_code == SEGV_MAPERR   ? "MAPERR"
		       : seen.si_code == SEGV_ACCERR ? "ACCERR"
						     : "other";
	if (seen.si_signo == SIGBUS)
		code = seen.si_code == BUS_ADRERR ? "ADRERR" : "other";
	printf("%s: signal %d %s, address %s, %s stack\n", what, seen.si_signo, code,
	       (char *)seen.si_addr == expected ? "right" : "wrong",
	       on_alternate ? "alternate" : "normal");
	memset(&seen, 0, sizeof(seen));
}

static void write_to(const char *what, char *address)
{
	if (!sigsetjmp(back, 1)) {
		*(volatile char *)address = 1;
		printf("%s: no signal\n", what);
	} else {
		report(what, address);
	}
}

static void read_from(const char *what, char *address)
{
	if (!sigsetjmp(back, 1)) {
		printf("%s: no signal, value %d\n", what, *(volatile char *)address);
	} else {
		report(what, address);
	}
}

static void run_at(const char *what, char *address)
{
	if (!sigsetjmp(back, 1)) {
		((void (*)(void))(uintptr_t)address)();
		printf("%s: no signal\n", what);
	} else {
		report(what, address);
	}
}

static volatile unsigned long recursed;

static int recurse(int depth)
{
	volatile char frame[4096];

	frame[0] = (char)depth;
	if (++recursed > 1000000000)
		return 0;
	return recurse(depth + 1) + frame[0];
}

static void overflow(void)
{
	if (!sigsetjmp(back, 1)) {
		printf("%d\n", recurse(0));
	} else {
		printf("stack overflow: signal %d, %s stack, depth %s\n", seen.si_signo,
		       on_alternate ? "alternate" : "normal",
		       recursed > 1500 ? "plausible" : "small");
	}
}

static void *in_thread(void *page)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = ALTERNATE };

	must(sigaltstack(&stack, NULL) == 0);
	write_to("thread", page);
	return NULL;
}

static void beyond_file(void)
{
	FILE *f = tmpfile();
	char *map;

	must(f && ftruncate(fileno(f), 100) == 0);
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(f), 0);
	must(map != MAP_FAILED);
	read_from("last page of the file", map + 200);
	read_from("beyond the file", map + PAGE + 8);
	write_to("beyond the file, write", map + PAGE + 16);
	must(munmap(map, 2 * PAGE) == 0);
	map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fileno(f), 0);
	must(map != MAP_FAILED);
	read_from("beyond the file, shared", map + PAGE + 24);
	fclose(f);
}

static void result(const char *what, ssize_t value)
{
	printf("%s: %zd errno %d\n", what, value, value < 0 ? errno : 0);
}

static void kernel_sees(char *page)
{
	int fd[2];

	must(pipe(fd) == 0 && mprotect(page, PAGE, PROT_NONE) == 0);
	result("write(2) from PROT_NONE", write(fd[1], page, 8));
	must(mprotect(page, PAGE, PROT_READ) == 0 && write(fd[1], "12345678", 8) == 8);
	result("read(2) into PROT_READ", read(fd[0], page, 8));
	must(munmap(page, PAGE) == 0);
	result("read(2) into a hole", read(fd[0], page, 8));
}

/* All of the address space goes: there is nothing to come back to. */
static void unmap_everything(void)
{
	volatile char *file = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fileno(tmpfile()), 0);
	pid_t child = fork();

	must(file != MAP_FAILED);
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		munmap(NULL, 0x7fffffff0000);
		_exit(0);
	}
	printf("everything unmapped: %d\n", wait_for(child));
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_size = ALTERNATE };
	volatile char *volatile nowhere = (char *)16;
	pthread_t thread;
	char *page;

	(void)argv;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1) { /* unhandled: the exit status tells */
		*nowhere = 1;
		return 0;
	}
	stack.ss_sp = alternate = map_anonymous(ALTERNATE, MAP_PRIVATE);
	must(sigaltstack(&stack, NULL) == 0);
	must(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
	page = map_anonymous(3 * PAGE, MAP_PRIVATE);
	page[0] = 7;
	write_to("null pointer", NULL);
	read_from("near null", (char *)0x123);
	must(mprotect(page, PAGE, PROT_READ) == 0);
	read_from("read of PROT_READ", page);
	write_to("write to PROT_READ", page + 5);
	must(mprotect(page, PAGE, PROT_NONE) == 0);
	read_from("read of PROT_NONE", page + 9);
	write_to("write to PROT_NONE", page + 10);
	must(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
	read_from("read again", page);
	read_from("never touched", page + PAGE);
	must(mprotect(page + PAGE, PAGE, PROT_NONE) == 0);
	write_to("touched by reading, PROT_NONE", page + PAGE + 1);
	run_at("execute a data page", page);
	must(munmap(page + PAGE, PAGE) == 0);
	read_from("unmapped", page + PAGE + 100);
	write_to("text", (char *)(uintptr_t)main);
	write_to("string constant", (char *)(uintptr_t) "constant");
	must(pthread_create(&thread, NULL, in_thread, page + PAGE) == 0);
	must(pthread_join(thread, NULL) == 0);
	beyond_file();
	kernel_sees(page);
	unmap_everything();
	overflow();
	return 0;
}
