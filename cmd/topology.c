/*
 * topology.c - reads what a machine is made of: --nodes, --machine FILE.
 *
 * How     The file is a small part of TOML: comments, `key = value`, `[[node]]` for each node;
 *         values are numbers, "strings" and lists of them in one line.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cmd/topology.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plat/size.h"

#define BLOCK	    (2ull << 20) /* memory comes in pageblocks */
#define LIST_MAX    QUIRE_NODES_MAX
#define LINE_LENGTH 1024

static bool add_ram(struct quire_topology *t, uint64_t start, uint64_t bytes, unsigned int node)
{
	if (t->nr_ram == QUIRE_RAM_MAX || node >= QUIRE_NODES_MAX)
		return false;
	t->ram[t->nr_ram++] = (struct quire_ram){ start, bytes, node };
	if (t->nr_nodes <= node)
		t->nr_nodes = node + 1;
	return true;
}

static uint64_t end_of_ram(const struct quire_topology *t)
{
	return t->nr_ram ? t->ram[t->nr_ram - 1].start + t->ram[t->nr_ram - 1].bytes : 0;
}

uint64_t topology_bytes(const struct quire_topology *t)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < t->nr_ram; i++)
		bytes += t->ram[i].bytes;
	return bytes;
}

/* "2x" at the start of *text, which moves behind it; 1 without. */
static unsigned long scan_count(const char **text)
{
	unsigned long count;
	char *times;

	if (!isdigit((unsigned char)**text))
		return 1;
	count = strtoul(*text, &times, 10);
	if (*times != 'x')
		return 1;
	*text = times + 1;
	return count;
}

bool topology_nodes(struct quire_topology *t, const char *text)
{
	unsigned long count;
	uint64_t bytes;

	t->nr_ram = t->nr_nodes = 0;
	do {
		count = scan_count(&text);
		if (!size_scan(text, &text, &bytes) || !bytes || !count || count > QUIRE_NODES_MAX)
			return false;
		while (count--)
			if (!add_ram(t, end_of_ram(t), bytes, t->nr_nodes))
				return false;
	} while (*text++ == ',');
	return !text[-1];
}

bool topology_model(struct quire_topology *t, const char *text)
{
	static const char *const names[] = { "flat", "discontig", "sparse" };
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (!strcmp(text, names[i])) {
			t->model = (enum quire_memory_model)i;
			return true;
		}
	return false;
}

bool topology_layout(struct quire_topology *t, const char *text)
{
	t->layout = strcmp(text, "32") ? QUIRE_LAYOUT_64 : QUIRE_LAYOUT_32;
	return !strcmp(text, "32") || !strcmp(text, "64");
}

static bool number(const char *text, unsigned long most, unsigned long *value)
{
	char *end;

	*value = strtoul(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && *value <= most;
}

bool topology_policy(struct quire_topology *t, const char *text)
{
	unsigned long node = 0;

	if (!strcmp(text, "local"))
		t->policy = QUIRE_LOCAL;
	else if (!strcmp(text, "interleave"))
		t->policy = QUIRE_INTERLEAVE;
	else if (!strncmp(text, "preferred:", 10) && number(text + 10, QUIRE_NODES_MAX - 1, &node))
		t->policy = QUIRE_PREFERRED;
	else
		return false;
	t->preferred_node = (unsigned int)node;
	return true;
}

static bool check_distances(const struct quire_topology *t, char *why, size_t size)
{
	unsigned int from, to;

	if (!t->distance[0][0])
		return true;
	for (from = 0; from < t->nr_nodes; from++) {
		if (t->distance[from][from] != 10) {
			snprintf(why, size, "node %u: its distance to itself must be 10", from);
			return false;
		}
		for (to = 0; to < t->nr_nodes; to++)
			if (!t->distance[from][to]) {
				snprintf(why, size, "node %u: no distance to node %u", from, to);
				return false;
			}
	}
	return true;
}

bool topology_check(const struct quire_topology *t, char *why, size_t size)
{
	unsigned int i;

	for (i = 0; i < t->nr_ram; i++) {
		const struct quire_ram *r = &t->ram[i];

		if ((r->start | r->bytes) % BLOCK)
			snprintf(why, size, "memory of node %u: not a multiple of 2M", r->node);
		else if (i && r->start < r[-1].start + r[-1].bytes)
			snprintf(why, size, "memory of node %u: overlaps, or is not in order",
				 r->node);
		else
			continue;
		return false;
	}
	if (t->preferred_node && t->preferred_node >= t->nr_nodes) {
		snprintf(why, size, "preferred node %u: there is none", t->preferred_node);
		return false;
	}
	for (i = 0; i < t->nr_cpus; i++)
		if (t->cpu_node[i] >= t->nr_nodes) {
			snprintf(why, size, "CPU %u: on no node", i);
			return false;
		}
	return check_distances(t, why, size);
}

bool topology_action(struct quire_action *action, char *text)
{
	char *end;
	double at = strtod(text, &end);
	double unit = 1000;

	if (end == text || at < 0 || at > 1e9)
		return false;
	if (end[0] == 'm' && end[1] == 's') {
		unit = 1;
		end += 2;
	} else if (*end == 's') {
		end++;
	}
	if (*end != ':' || !end[1])
		return false;
	*action = (struct quire_action){ (uint64_t)(at * unit), end + 1 };
	return true;
}

/* --- the file --- */

/* One line, taken apart. */
struct line {
	char *key;
	char *value[LIST_MAX];
	unsigned int nr;
};

static char *skip_blanks(char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

/* One value, quoted or not, ended in place; *after is what follows it, at the result. Or NULL. */
static char *cut_value(char *at, char **value, char *after)
{
	bool quoted = *at == '"';
	char *end;

	*value = at + quoted;
	end = *value + strcspn(*value, quoted ? "\"" : " \t,]");
	if (end == *value || (quoted && !*end))
		return NULL;
	at = skip_blanks(end + quoted);
	*after = *at;
	*end = '\0';
	return at;
}

static bool cut_list(char *at, struct line *l)
{
	char after;

	at = skip_blanks(at);
	if (*at == ']')
		return !*skip_blanks(at + 1);
	while (l->nr < LIST_MAX) {
		at = cut_value(skip_blanks(at), &l->value[l->nr++], &after);
		if (!at)
			return false;
		if (after == ']')
			return !*skip_blanks(at + 1);
		if (after != ',')
			return false;
		at++;
	}
	return false;
}

/* "key = value" or "key = [value, value]". */
static bool cut_line(char *text, struct line *l)
{
	char *equals = strchr(text, '='), *end, after;

	if (!equals)
		return false;
	l->nr = 0;
	l->key = text;
	for (end = equals; end > text && isspace((unsigned char)end[-1]); end--)
		;
	*end = '\0';
	text = skip_blanks(equals + 1);
	if (*text == '[')
		return cut_list(text + 1, l);
	l->nr = 1;
	return cut_value(text, &l->value[0], &after) && !after;
}

static bool set_machine(struct quire_topology *t, const struct line *l)
{
	if (l->nr != 1)
		return false;
	if (!strcmp(l->key, "model"))
		return topology_model(t, l->value[0]);
	if (!strcmp(l->key, "layout"))
		return topology_layout(t, l->value[0]);
	if (!strcmp(l->key, "cma"))
		return size_parse(l->value[0], &t->cma_bytes);
	if (!strcmp(l->key, "policy"))
		return topology_policy(t, l->value[0]);
	if (!strcmp(l->key, "max"))
		return size_parse(l->value[0], &t->max_bytes);
	if (!strcmp(l->key, "movable"))
		return size_parse(l->value[0], &t->movable_bytes);
	return false;
}

static bool set_node(struct quire_topology *t, const struct line *l)
{
	unsigned int node = t->nr_nodes - 1, i;
	unsigned long value;
	uint64_t start, end;

	for (i = 0; i < l->nr; i++) {
		if (!strcmp(l->key, "memory")) {
			if (!size_parse_range(l->value[i], &start, &end) ||
			    !add_ram(t, start, end - start, node))
				return false;
		} else if (!strcmp(l->key, "cpus")) {
			if (!number(l->value[i], QUIRE_CPUS_MAX - 1, &value))
				return false;
			t->cpu_node[value] = (uint8_t)node;
			if (t->nr_cpus <= value)
				t->nr_cpus = (unsigned int)value + 1;
		} else if (!strcmp(l->key, "distance")) {
			if (!number(l->value[i], 254, &value) || value < 10)
				return false;
			t->distance[node][i] = (uint8_t)value;
		} else {
			return false;
		}
	}
	return true;
}

static bool read_line(struct quire_topology *t, char *text)
{
	struct line l = { 0 };

	text[strcspn(text, "#\n")] = '\0';
	text = skip_blanks(text);
	if (!*text)
		return true;
	if (!strncmp(text, "[[node]]", 8) && !*skip_blanks(text + 8))
		return ++t->nr_nodes <= QUIRE_NODES_MAX;
	return cut_line(text, &l) && (t->nr_nodes ? set_node(t, &l) : set_machine(t, &l));
}

static int by_start(const void *a, const void *b)
{
	const struct quire_ram *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

bool topology_read(struct quire_topology *t, const char *path, char *why, size_t size)
{
	FILE *in = fopen(path, "re");
	char text[LINE_LENGTH], copy[LINE_LENGTH];
	unsigned int number_of_line = 0;
	bool good = true;

	if (!in) {
		snprintf(why, size, "%s", strerror(errno));
		return false;
	}
	while (good && fgets(text, sizeof(text), in)) {
		number_of_line++;
		memcpy(copy, text, sizeof(copy));
		copy[strcspn(copy, "\n")] = '\0';
		good = read_line(t, text);
	}
	fclose(in);
	if (!good)
		snprintf(why, size, "line %u: %.60s", number_of_line, copy);
	else if (!t->nr_ram)
		snprintf(why, size, "no memory: write [[node]] and memory = [\"0-512M\"]");
	qsort(t->ram, t->nr_ram, sizeof(t->ram[0]), by_start);
	return good && t->nr_ram && topology_check(t, why, size);
}
