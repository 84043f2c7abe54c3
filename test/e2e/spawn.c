/*
 * spawn.c - exec in every way: posix_spawn, vfork, from a thread, in a chain, and failing.
 *
 * Use     spawn            run all
 *         spawn MODE ...   what the children of `spawn` are started as
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/stat.h>

extern char **environ;
static const char *self;

static void write_file(const char *name, const char *content, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);

	must(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	must(fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void spawned(void)
{
	char *arguments[] = { (char *)"spawn", (char *)"exit", (char *)"7", NULL };
	pid_t pid;
	int i, sum = 0;

	for (i = 0; i < 20; i++) {
		must(posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0);
		sum += wait_for(pid);
	}
	printf("posix_spawn: %d\n", sum);
	printf("posix_spawn of nothing: %d\n",
	       posix_spawn(&pid, "/nowhere", NULL, NULL, arguments, environ));
}

static void vforked(void)
{
	volatile int shared = 0, i;

	for (i = 0; i < 20; i++) {
		pid_t pid = vfork();

		must(pid >= 0);
		if (pid == 0) {
			shared++;
			execl(self, "spawn", "exit", "3", (char *)NULL);
			_exit(127);
		}
		must(wait_for(pid) == 3);
	}
	printf("vfork and exec: the child wrote to our memory %d times\n", shared);
	if (vfork() == 0) {
		shared = 100;
		_exit(0);
	}
	must(wait(NULL) > 0);
	printf("vfork and exit: %d\n", shared);
}

static void try_exec(const char *what, const char *path)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		execl(path, path, "exit", "5", (char *)NULL);
		printf("exec of %s: errno %d\n", what, errno);
		fflush(stdout);
		_exit(errno);
	}
	printf("%s: %d\n", what, wait_for(pid));
}

static void failures(void)
{
	must(mkdir("directory", 0755) == 0);
	write_file("plain", "plain text\n", 0644);
	write_file("no-format", "neither fish nor fowl\n", 0755);
	write_file("empty", "", 0755);
	write_file("script", "#!/bin/sh\nexit 9\n", 0755);
	write_file("bad-script", "#!/nowhere/interpreter\nexit 9\n", 0755);
	write_file("half-elf", "\177ELF\2\1\1", 0755);
	try_exec("a missing file", "nowhere");
	try_exec("a directory", "directory");
	try_exec("a file without x", "plain");
	try_exec("no known format", "no-format");
	try_exec("an empty file", "empty");
	try_exec("a script", "./script");
	try_exec("a script without interpreter", "./bad-script");
	try_exec("half an ELF file", "./half-elf");
	try_exec("below a file", "plain/x");
	try_exec("ourselves", self);
}

static void too_big(void)
{
	size_t size = 3 << 20;
	char *big = malloc(size);
	char *many[] = { (char *)"spawn", big, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		memset(big, 'x', size - 1);
		big[size - 1] = 0;
		execv(self, many);
		_exit(errno);
	}
	printf("arguments too big: %d\n", wait_for(pid));
	free(big);
}

static void arguments(void)
{
	enum { COUNT = 1200 };
	static char *many[COUNT + 3];
	int i;
	pid_t pid;

	many[0] = (char *)"spawn";
	many[1] = (char *)"count";
	for (i = 2; i < COUNT + 2; i++) {
		many[i] = malloc(80);
		snprintf(many[i], 80, "argument %d %060d", i, i * 7919);
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execv(self, many);
		_exit(127);
	}
	printf("many arguments: %d\n", wait_for(pid));
}

static void *exec_here(void *unused)
{
	(void)unused;
	execl(self, "spawn", "exit", "11", (char *)NULL);
	return NULL;
}

static void *sleep_long(void *unused)
{
	sleep(1000);
	return unused;
}

static void from_thread(void)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		pthread_t sleeper[4], executor;
		int i;

		for (i = 0; i < 4; i++)
			must(pthread_create(&sleeper[i], NULL, sleep_long, NULL) == 0);
		must(pthread_create(&executor, NULL, exec_here, NULL) == 0);
		pthread_join(executor, NULL);
		_exit(99);
	}
	printf("exec from a thread: %d\n", wait_for(pid));
}

/* Each link dirties memory, which the next exec must not see, and counts down. */
static int chain(int links)
{
	char number[16];
	char *memory = map_anonymous(300 * PAGE, MAP_PRIVATE);
	int i;

	for (i = 0; i < 300 * PAGE; i++)
		must(memory[i] == 0);
	memset(memory, links, 300 * PAGE);
	if (links == 0)
		return 21;
	snprintf(number, sizeof(number), "%d", links - 1);
	execl("/proc/self/exe", "spawn", "chain", number, (char *)NULL);
	return 98;
}

static void inherited(void)
{
	int fd[2];
	char number[16];
	pid_t pid;

	must(pipe(fd) == 0);
	snprintf(number, sizeof(number), "%d", fd[1]);
	pid = fork();
	if (pid == 0) {
		setenv("QUIRE_TEST_VALUE", "handed down", 1);
		execl(self, "spawn", "tell", number, (char *)NULL);
		_exit(127);
	} else {
		char text[64] = { 0 };

		must(wait_for(pid) == 0);
		must(read(fd[0], text, sizeof(text) - 1) > 0);
		printf("through exec: %s\n", text);
	}
}

static int child(int argc, char **argv)
{
	int i, sum = 0;

	if (!strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	if (!strcmp(argv[1], "chain"))
		return chain(atoi(argv[2]));
	if (!strcmp(argv[1], "tell")) {
		const char *value = getenv("QUIRE_TEST_VALUE");

		return write(atoi(argv[2]), value, strlen(value)) < 0;
	}
	for (i = 2; i < argc; i++)
		sum += (int)strlen(argv[i]);
	printf("counted %d of %d\n", sum, argc);
	return 13;
}

int main(int argc, char **argv)
{
	static char path[4096];
	pid_t pid;

	if (argc > 1)
		return child(argc, argv);
	must(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	self = path;
	spawned();
	vforked();
	failures();
	too_big();
	arguments();
	from_thread();
	pid = fork();
	if (pid == 0)
		_exit(chain(12));
	printf("a chain of execs: %d\n", wait_for(pid));
	inherited();
	return system("exit 6") >> 8;
}
