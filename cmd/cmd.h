/*
 * cmd.h - the subcommands. Each returns the exit status of the command.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_CMD_CMD_H
#define QUIRE_CMD_CMD_H

int cmd_ctl(int argc, char **argv);
int cmd_malloc(int argc, char **argv);
int cmd_run(int argc, char **argv);

/* Puts libquire-malloc.so in front of LD_PRELOAD. -ENOENT: it is not beside the command. */
int malloc_preload(void);

#endif
