/*
 * linked.c - a program around the edges: constructors before ours, thread exit, signals, dlopen.
 *
 * How     test/malloc/linking runs it with the library preloaded, linked, and linked statically.
 *         Built with -DPLUGIN it is the shared object that it loads.
 * Use     linked [PLUGIN]       prints "fine", or what was not
 *
 * SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

extern char *plugin_text;

#ifdef PLUGIN

char *plugin_text;

__attribute__((constructor)) static void at_load(void)
{
	plugin_text = strdup("text of the plugin");
}

__attribute__((destructor)) static void at_unload(void)
{
	free(plugin_text);
}

#else

static char *early;
static pthread_key_t key;
static volatile sig_atomic_t ticks;

static void require(int holds, const char *what)
{
	if (!holds) {
		printf("not so: %s\n", what);
		exit(1);
	}
}

/* Before the constructors of any library without a priority. */
__attribute__((constructor(101))) static void first(void)
{
	early = strdup("allocated early");
}

__attribute__((destructor(101))) static void last(void)
{
	free(early);
	free(malloc(100));
}

/* Runs in the thread's last moments, again and again: the C library allows four rounds. */
static void at_thread_exit(void *value)
{
	char *more = malloc(300);

	memset(more, 1, 300);
	free(value);
	pthread_setspecific(key, more);
}

static void *brief(void *unused)
{
	(void)unused;
	pthread_setspecific(key, malloc(50));
	for (int i = 0; i < 200; i++)
		free(malloc((size_t)i * 13));
	return NULL;
}

static void threads(void)
{
	pthread_t t[8];

	pthread_key_create(&key, at_thread_exit);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 8; i++)
			require(!pthread_create(&t[i], NULL, brief, NULL), "a thread starts");
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
	}
}

static void on_tick(int number)
{
	(void)number;
	ticks++;
}

/* Signals interrupt calls of malloc at any point; their handlers do not allocate. */
static void signals(void)
{
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
	char *held[64] = { NULL };
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_tick;
	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &often, NULL);
	for (unsigned i = 0; ticks < 20; i++) {
		size_t bytes = 16 + i * 37 % 5000;

		if (held[i % 64])
			require(held[i % 64][8] == (char)(i % 64), "contents stay");
		free(held[i % 64]);
		held[i % 64] = memset(malloc(bytes), (int)(i % 64), bytes);
	}
	setitimer(ITIMER_PROF, &never, NULL);
	for (int i = 0; i < 64; i++)
		free(held[i]);
}

static void plugins(const char *path)
{
	for (int i = 0; i < 200; i++) {
		void *plugin = dlopen(path, RTLD_NOW);
		char **text = plugin ? dlsym(plugin, "plugin_text") : NULL;

		require(text && !strcmp(*text, "text of the plugin"), "the plugin loads");
		dlclose(plugin);
	}
}

int main(int argc, char **argv)
{
	require(early && !strcmp(early, "allocated early"), "a constructor's block stays");
	threads();
	signals();
	if (argc > 1)
		plugins(argv[1]);
	puts("fine");
	return 0;
}

#endif
