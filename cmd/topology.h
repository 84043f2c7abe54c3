/*
 * topology.h - how a machine is built, as options and as a file say it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_CMD_TOPOLOGY_H
#define QUIRE_CMD_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

#include "quire/run.h"

/* "2x512M" or "512M,256M": nodes of these sizes, one behind the other. False: not that. */
bool topology_nodes(struct quire_topology *t, const char *text);
/* "32" or "64": the zones that there are. */
bool topology_layout(struct quire_topology *t, const char *text);
/* "flat", "discontig" or "sparse". */
bool topology_model(struct quire_topology *t, const char *text);
/* "local", "interleave" or "preferred:N". */
bool topology_policy(struct quire_topology *t, const char *text);
/*
 * Reads a machine file (docs/migrate.md). False, with what is wrong and in which line, in `why`.
 */
bool topology_read(struct quire_topology *t, const char *path, char *why, size_t size);
/* Whether the whole makes sense; false with a message in `why`. */
bool topology_check(const struct quire_topology *t, char *why, size_t size);
/* Bytes of RAM, holes excluded. */
uint64_t topology_bytes(const struct quire_topology *t);
/* "2s:offline 512M-640M": an action and its time. False: not that. */
bool topology_action(struct quire_action *action, char *text);

#endif
