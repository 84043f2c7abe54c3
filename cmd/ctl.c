/*
 * ctl.c - quire ctl: an order to a machine that runs, over its socket.
 *
 * SPDX-License-Identifier: MIT
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/cmd.h"

#define STATUS_ERROR  125
#define STATUS_FAILED 1
#define ORDER_LENGTH  256

static const char doc[] =
	"Gives one order to the machine that was started with quire run --control SOCKET, and "
	"prints the answer.\v"
	"Orders (ranges are physical addresses, multiples of 2M: 512M-640M):\n"
	"  memory                 which memory there is: node, zone, online or offline\n"
	"  nodes                  size, free memory and numastat's counters of each node\n"
	"  buddyinfo              free blocks of each order, as /proc/buddyinfo\n"
	"  zoneinfo               watermarks and sizes of each zone, as /proc/zoneinfo\n"
	"  add RANGE [NODE]       plug memory in, offline; up to --max-mem\n"
	"  online RANGE           to the allocator; online_movable: in zone Movable\n"
	"  offline RANGE          move everything out of it, and take it away\n"
	"  remove RANGE           unplug offline memory\n"
	"  compact                compact all zones\n"
	"  contig RANGE           move everything out of it for a moment\n"
	"  cma_alloc SIZE         take so much out of the CMA area; cma_release RANGE\n"
	"  owners                 who holds how many frames\n"
	"  shrink                 free what empty slabs hold\n"
	"  check                  verify the machine's books; ends the run where they are wrong\n"
	"  set KNOB VALUE...      a knob of /proc/sys/vm\n"
	"\nThe exit status is 0, 1 if the order failed, 125 if nobody answers.";

/* What is to be sent, and where. */
struct ctl {
	const char *path;
	char order[ORDER_LENGTH];
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ctl *c = state->input;
	size_t len = strlen(c->order);

	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			c->path = arg;
			break;
		}
		if (len + strlen(arg) + 2 >= sizeof(c->order))
			argp_failure(state, STATUS_ERROR, 0, "the order is too long");
		else
			snprintf(c->order + len, sizeof(c->order) - len, "%s%s", len ? " " : "",
				 arg);
		break;
	case ARGP_KEY_END:
		if (!c->order[0])
			argp_failure(state, STATUS_ERROR, 0,
				     "which order? quire ctl SOCKET ORDER...");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Prints the answer; its last line decides. */
static int print_answer(int fd)
{
	static char text[1 << 16];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	if (len >= 3 && !strcmp(text + len - 3, "ok\n")) {
		text[len - 3] = '\0';
		fputs(text, stdout);
		return 0;
	}
	if (!len)
		fprintf(stderr, "quire ctl: no answer\n");
	fputs(text, stderr);
	return len ? STATUS_FAILED : STATUS_ERROR;
}

int cmd_ctl(int argc, char **argv)
{
	static const struct argp argp = { NULL, parse, "SOCKET ORDER...", doc, NULL, NULL, NULL };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct ctl c = { 0 };
	int fd, status = STATUS_ERROR;

	argp_err_exit_status = STATUS_ERROR;
	argv[0] = (char *)"quire ctl";
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &c);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strlen(c.path) < sizeof(at.sun_path))
		strcpy(at.sun_path, c.path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    dprintf(fd, "%s\n", c.order) < 0)
		fprintf(stderr, "quire ctl: %s: %s\n", c.path, strerror(errno));
	else
		status = print_answer(fd);
	if (fd >= 0)
		close(fd);
	return status;
}
