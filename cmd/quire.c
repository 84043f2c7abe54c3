/*
 * quire.c - the command: one subcommand, one file, one line of the table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

static const struct command commands[] = {
	{ "ctl", cmd_ctl, "give an order to a running machine: its memory, compaction" },
	{ "malloc", cmd_malloc, "run a program with Quire's malloc and see its heap" },
	{ "run", cmd_run, "run a program on a machine with the RAM and swap that you give it" },
};

static int usage(FILE *out)
{
	unsigned int i;

	fprintf(out, "usage: quire COMMAND [OPTIONS] [-- PROGRAM ARGS...]\n\n"
		     "A Linux-like memory manager as an ordinary program.\n\ncommands:\n");
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\n'quire COMMAND --help' tells more; 'quire --version' the version.\n");
	return out == stderr ? 125 : 0;
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return usage(stdout);
	if (!strcmp(argv[1], "--version")) {
		printf("quire %s\n", QUIRE_VERSION);
		return 0;
	}
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "quire: no command '%s'\n", argv[1]);
	return usage(stderr);
}
