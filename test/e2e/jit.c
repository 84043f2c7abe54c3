/*
 * jit.c - code written at run time: W^X toggles, a writable and an executable view of the same
 *         memory, code that is rewritten, dlopen and dlclose in a loop.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <dlfcn.h>

typedef int function(int);

/* lea eax, [rdi + value]; ret */
static void emit(unsigned char *code, int value)
{
	code[0] = 0x8d;
	code[1] = 0x87;
	memcpy(code + 2, &value, sizeof(value));
	code[6] = 0xc3;
}

static int call(void *code, int argument)
{
	function *f;

	memcpy(&f, &code, sizeof(f));
	return f(argument);
}

static void toggled(void)
{
	char *page = map_anonymous(100 * PAGE, MAP_PRIVATE);
	int i, sum = 0;

	for (i = 0; i < 100; i++) {
		must(mprotect(page + i * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
		emit((unsigned char *)page + i * PAGE, i);
		must(mprotect(page + i * PAGE, PAGE, PROT_READ | PROT_EXEC) == 0);
	}
	for (i = 0; i < 100; i++)
		sum += call(page + i * PAGE, 1000);
	printf("toggled: %d\n", sum);
}

static void at_once(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i, sum = 0;

	must(page != MAP_FAILED);
	for (i = 0; i < 1000; i++) {
		emit((unsigned char *)page + i % 16 * 64, i);
		sum += call(page + i % 16 * 64, 1);
	}
	printf("at once: %d\n", sum);
}

static void two_views(void)
{
	int fd = memfd_create("code", 0), i, sum = 0;
	char *writable, *executable;

	must(fd >= 0 && ftruncate(fd, 10 * PAGE) == 0);
	writable = mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	executable = mmap(NULL, 10 * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	must(writable != MAP_FAILED && executable != MAP_FAILED);
	for (i = 0; i < 200; i++) {
		emit((unsigned char *)writable + i * 200, i * 2);
		sum += call(executable + i * 200, 3);
	}
	printf("two views: %d\n", sum);
}

static void after_fork(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	must(page != MAP_FAILED);
	emit((unsigned char *)page, 5);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		emit((unsigned char *)page, 50);
		_exit(call(page, 1));
	}
	emit((unsigned char *)page, 6);
	printf("after fork: child %d, parent %d\n", wait_for(pid), call(page, 1));
}

static void libraries(void)
{
	double sum = 0;
	int i;

	for (i = 0; i < 30; i++) {
		void *library = dlopen("libresolv.so.2", RTLD_NOW | RTLD_LOCAL);
		void *math = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
		double (*f)(double);
		void *symbol;

		must(library && math);
		symbol = dlsym(math, "cbrt");
		must(symbol && dlsym(library, "ns_get16"));
		memcpy(&f, &symbol, sizeof(f));
		sum += f((double)(i * i * i));
		must(dlclose(library) == 0 && dlclose(math) == 0);
	}
	printf("libraries: %.3f\n", sum);
}

int main(void)
{
	toggled();
	at_once();
	two_views();
	after_fork();
	libraries();
	return 0;
}
