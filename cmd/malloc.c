/*
 * malloc.c - quire malloc: runs a program with the project's allocator preloaded.
 *
 * How     Finds libquire-malloc.so beside the command (build tree, then installed), turns the
 *         options into the variable QUIRE_MALLOC, and becomes the program.
 * Use     quire malloc [options] -- program args; docs/malloc.md explains the reports.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 125

static const char help[] =
	"usage: quire malloc [OPTIONS] -- PROGRAM ARGS...\n\n"
	"Runs PROGRAM with Quire's malloc. A %p in FILE becomes the process number.\n\n"
	"  --stats           counts by block size, when the program ends\n"
	"  --leaks           what is still allocated at the end, by call stack\n"
	"  --profile FILE    heap profile for pprof: profile.proto if FILE ends in .pb.gz\n"
	"  --picture FILE    the heap by pages at the end, as SVG\n"
	"  --timeline FILE   live memory ten times a second, as CSV\n"
	"  --sample BYTES    one stack per so many bytes (default 512K; 1: each request)\n"
	"  --report FILE     statistics and leaks go there instead of standard error\n"
	"  --signal N        write statistics and picture when signal N comes, too\n"
	"  --hardened        guard pages, quarantine, zeroing, random placement\n"
	"  --set NAME=VALUE  any other setting of docs/malloc.md\n";

/* Options that set a name, and what they set it to: NULL takes the argument. */
static const struct option options[] = {
	{ "stats", no_argument, NULL, 's' },	     { "leaks", no_argument, NULL, 'l' },
	{ "hardened", no_argument, NULL, 'H' },	     { "profile", required_argument, NULL, 'p' },
	{ "picture", required_argument, NULL, 'i' }, { "timeline", required_argument, NULL, 't' },
	{ "sample", required_argument, NULL, 'b' },  { "report", required_argument, NULL, 'r' },
	{ "signal", required_argument, NULL, 'g' },  { "set", required_argument, NULL, 'S' },
	{ "help", no_argument, NULL, 'h' },	     { NULL, 0, NULL, 0 },
};

static char settings[2048], preload[PATH_MAX * 2];

static void add(const char *name, const char *value)
{
	size_t used = strlen(settings);

	snprintf(settings + used, sizeof(settings) - used, "%s%s%s%s", used ? "," : "",
		 name ? name : "", name ? "=" : "", value);
}

static const char *name_of(int option)
{
	for (const struct option *o = options; o->name; o++)
		if (o->val == option)
			return o->name;
	return NULL;
}

/* 0: go on; 1: help was asked for; -1: not understood. */
static int parse(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (c == 'h')
			return 1;
		if (c == '?')
			return -1;
		add(c == 'S' ? NULL : name_of(c), optarg ? optarg : "1");
	}
	return optind < argc ? 0 : -1;
}

/* Fills preload with the library's path and what was preloaded before. */
static int find_library(void)
{
	static const char *const places[] = {
		"malloc", "../malloc", "../lib/x86_64-linux-gnu", "../lib64", "../lib",
	};
	const char *before = getenv("LD_PRELOAD");
	char self[PATH_MAX] = "", path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash = n > 0 ? strrchr(self, '/') : NULL;

	if (!slash)
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		n = snprintf(path, sizeof(path), "%s/%s/libquire-malloc.so", self, places[i]);
		if (n >= (ssize_t)sizeof(path) || access(path, R_OK))
			continue;
		snprintf(preload, sizeof(preload), "%s%s%s", path, before ? ":" : "",
			 before ? before : "");
		return 0;
	}
	return -ENOENT;
}

int malloc_preload(void)
{
	int error = find_library();

	return error ? error : setenv("LD_PRELOAD", preload, 1);
}

int cmd_malloc(int argc, char **argv)
{
	int asked;

	argv[0] = (char *)"quire malloc";
	asked = parse(argc, argv);
	if (asked) {
		fputs(help, asked > 0 ? stdout : stderr);
		return asked > 0 ? 0 : EXIT_USAGE;
	}
	if (malloc_preload()) {
		fprintf(stderr, "quire malloc: libquire-malloc.so is not beside the command\n");
		return EXIT_USAGE;
	}
	if (*settings)
		setenv("QUIRE_MALLOC", settings, 1);
	execvp(argv[optind], argv + optind);
	fprintf(stderr, "quire malloc: %s: %s\n", argv[optind], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
