/*
 * control.h - orders to a running machine: by schedule, or over a socket.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_HOST_CONTROL_H
#define QUIRE_HOST_CONTROL_H

#include <stddef.h>

#include "base/types.h"
#include "phys/phys.h"
#include "quire/run.h"

struct host;

/* The tag among the events: the socket's; with a descriptor above, a client's. */
#define CONTROL_EVENT 8u
#define CONTROL_SHIFT 8

static inline bool control_is_event(u64 tag)
{
	return (tag & ((1u << CONTROL_SHIFT) - 1)) == CONTROL_EVENT;
}

/* Opens the socket that the config asks for; ends the program with a message where it cannot. */
void control_open(struct host *h);
/* Somebody connected, or sends what is wanted: one request, one answer. */
void control_event(struct host *h, u64 tag);
/* Does what is due. Milliseconds until there is more to do, at most `most`. */
int control_tick(struct host *h, int most);
void control_close(struct host *h);

/* The answer to a command, written piece by piece. */
struct answer {
	char *text;
	size_t size, len;
};

void answer_add(struct answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Does what one line of words says: docs/migrate.md. 0 or -errno, with what there is to say in the
 * answer.
 */
int control_execute(struct host *h, const char *line, struct answer *a);

/* The config's topology as phys wants it, with the tables that it points to. */
struct memory_layout_config {
	struct phys_config phys;
	struct phys_range range[QUIRE_RAM_MAX];
	u8 distance[QUIRE_NODES_MAX * QUIRE_NODES_MAX];
	u8 cpu_node[QUIRE_CPUS_MAX];
};

/* memory.c: fills the layout, and the sizes of the host's RAM file. */
void memory_describe(struct host *h, struct memory_layout_config *layout);

/* memory.c: after boot, what the config wants besides: the CMA area. */
void memory_set_up(struct host *h);

/* memory.c: tables of the machine's memory. */
void memory_show_blocks(struct host *h, struct answer *a);
void memory_show_nodes(struct host *h, struct answer *a);
void memory_show_zones(struct host *h, struct answer *a);
void memory_show_buddy(struct host *h, struct answer *a);
/* owners.c: who holds how many frames. */
void memory_show_owners(struct host *h, struct answer *a);

/* memory.c: memory that comes and goes, [start, end) in bytes. 0 or -errno. */
int memory_plug(struct host *h, u64 start, u64 end, unsigned int nid);
int memory_unplug(struct host *h, u64 start, u64 end);

#endif
