/*
 * topology_test.c - sizes, nodes, actions and machine files: what is understood, and what is not.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/topology.h"
#include "plat/size.h"

#define M (1ull << 20)

static void sizes(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t bytes;
	} row[] = {
		{ "4096", true, 4096 },	  { "64K", true, 65536 }, { "1g", true, 1024 * M },
		{ "2MiB", true, 2 * M },  { "3mb", true, 3 * M }, { "1T", true, M * M },
		{ "0x1000", true, 4096 }, { "010", true, 10 },	  { "0", true, 0 },
		{ "", false, 0 },	  { "M", false, 0 },	  { "-1", false, 0 },
		{ "1X", false, 0 },	  { "1MM", false, 0 },	  { "99999999T", false, 0 },
		{ " 1", false, 0 },
	};
	uint64_t bytes, end;
	unsigned int i;

	for (i = 0; i < sizeof(row) / sizeof(*row); i++) {
		assert_int_equal(size_parse(row[i].text, &bytes), row[i].good);
		if (row[i].good)
			assert_int_equal(bytes, row[i].bytes);
	}
	assert_true(size_parse_range("512M-640M", &bytes, &end));
	assert_int_equal(bytes, 512 * M);
	assert_int_equal(end, 640 * M);
	assert_false(size_parse_range("640M-512M", &bytes, &end));
	assert_false(size_parse_range("1M-1M", &bytes, &end));
	assert_false(size_parse_range("1M", &bytes, &end));
	assert_false(size_parse_range("1M-2M-3M", &bytes, &end));
}

static void nodes(void **state)
{
	struct quire_topology t = { 0 };
	static const char *const bad[] = { "",	     "x",    "2x",  "0x64M",   "65x2M", "64M,",
					   "64M,,2", "-64M", "2x0", "64M 64M", "2y64M" };
	unsigned int i;

	assert_true(topology_nodes(&t, "2x64M"));
	assert_int_equal(t.nr_nodes, 2);
	assert_int_equal(t.ram[1].start, 64 * M);
	assert_int_equal(t.ram[1].node, 1);
	assert_true(topology_nodes(&t, "64M,2x32M,16M"));
	assert_int_equal(t.nr_nodes, 4);
	assert_int_equal(t.ram[3].start, 128 * M);
	assert_int_equal(topology_bytes(&t), 144 * M);
	assert_true(topology_nodes(&t, "64x2M"));
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(topology_nodes(&t, bad[i]));
}

static void actions(void **state)
{
	struct quire_action a;
	char one[] = "2s:offline 512M-640M", two[] = "250ms:compact", three[] = "1.5:set a b";
	char bad[][16] = { "2s", "2s:", ":compact", "x:compact", "-1s:compact", "2m:compact" };
	unsigned int i;

	assert_true(topology_action(&a, one));
	assert_int_equal(a.at_ms, 2000);
	assert_string_equal(a.command, "offline 512M-640M");
	assert_true(topology_action(&a, two));
	assert_int_equal(a.at_ms, 250);
	assert_true(topology_action(&a, three));
	assert_int_equal(a.at_ms, 1500);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(topology_action(&a, bad[i]));
}

/* Reads a machine file with this text. */
static bool read_text(struct quire_topology *t, const char *text, char *why, size_t size)
{
	char path[] = "/tmp/quire-topology-XXXXXX";
	int fd = mkstemp(path);
	bool good;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	memset(t, 0, sizeof(*t));
	good = topology_read(t, path, why, size);
	unlink(path);
	return good;
}

static void files(void **state)
{
	struct quire_topology t;
	char why[160];

	assert_true(read_text(&t,
			      "model = \"sparse\" # a comment\n\nmax=2G\nmovable = \"64M\"\n"
			      "policy = \"preferred:1\"\n[[node]]\n"
			      "memory = [ \"0-64M\" , \"1G-1088M\"]\ncpus = [0,2]\n"
			      "distance = [10, 21]\n [[node]] # second\nmemory=64M-128M\n"
			      "cpus = 1\ndistance = [21, 10]\n",
			      why, sizeof(why)));
	assert_int_equal(t.model, QUIRE_SPARSEMEM);
	assert_int_equal(t.policy, QUIRE_PREFERRED);
	assert_int_equal(t.preferred_node, 1);
	assert_int_equal(t.max_bytes, 2048 * M);
	assert_int_equal(t.movable_bytes, 64 * M);
	assert_int_equal(t.nr_nodes, 2);
	assert_int_equal(t.nr_ram, 3);
	assert_int_equal(t.ram[1].start, 64 * M); /* by address */
	assert_int_equal(t.ram[1].node, 1);
	assert_int_equal(t.ram[2].node, 0);
	assert_int_equal(t.nr_cpus, 3);
	assert_int_equal(t.cpu_node[1], 1);
	assert_int_equal(t.cpu_node[2], 0);
	assert_int_equal(t.distance[0][1], 21);
	assert_int_equal(topology_bytes(&t), 192 * M);
}

static void wrong_files(void **state)
{
	static const struct {
		const char *text, *why;
	} row[] = {
		{ "", "no memory" },
		{ "[[node]]\n", "no memory" },
		{ "colour = \"red\"\n", "line 1: colour" },
		{ "\n\nmemory = \"0-64M\"\n", "line 3" },
		{ "[[node]]\nmemory = []\n", "no memory" },
		{ "[[node]]\nmemory = [\"0-64M\"\n", "line 2" },
		{ "[[node]]\nmemory = [\"0-64M]\n", "line 2" },
		{ "[[node]]\nmemory = [0-64M] x\n", "line 2" },
		{ "[[node]]\nmemory = [0-64M 64M-128M]\n", "line 2" },
		{ "[[node]]\nmemory = 0-3M\n", "multiple of 2M" },
		{ "[[node]]\nmemory = [0-64M, 32M-96M]\n", "overlaps" },
		{ "[[node]]\nmemory = 0-64M\ndistance = [11]\n", "must be 10" },
		{ "[[node]]\nmemory = 0-64M\ndistance = [9]\n", "line 3" },
		{ "[[node]]\nmemory = 0-64M\ndistance = [10]\n[[node]]\n", "to node 1" },
		{ "[[node]]\nmemory = 0-64M\ncpus = 64\n", "line 3" },
		{ "policy = \"preferred:3\"\n[[node]]\nmemory = 0-64M\n", "preferred node" },
		{ "[[node]\n", "line 1" },
		{ "=\n", "line 1" },
		{ "model\n", "line 1" },
	};
	struct quire_topology t;
	char why[160];
	unsigned int i;

	for (i = 0; i < sizeof(row) / sizeof(*row); i++) {
		why[0] = '\0';
		assert_false(read_text(&t, row[i].text, why, sizeof(why)));
		if (!strstr(why, row[i].why))
			fail_msg("%s: said '%s'", row[i].text, why);
	}
}

/* Whatever is in a file: an answer, and what was read is within bounds. */
static void random_files(void **state)
{
	static const char *const piece[] = { "[[node]]", "memory", "cpus", "distance", "model",
					     " = ",	 "[",	   "]",	   ",",	       "\"",
					     "0-64M",	 "10",	   "\n",   "#",	       " ",
					     "sparse",	 "64",	   "max",  "4T-5T",    "policy" };
	uint64_t random = 88172645463325252ull;
	struct quire_topology t;
	char text[400], why[160];
	unsigned int round, n;

	for (round = 0; round < 3000; round++) {
		text[0] = '\0';
		for (n = 0; n < 30; n++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			strcat(text, piece[random % (sizeof(piece) / sizeof(*piece))]);
		}
		if (!read_text(&t, text, why, sizeof(why)))
			continue;
		assert_in_range(t.nr_nodes, 1, QUIRE_NODES_MAX);
		assert_in_range(t.nr_ram, 1, QUIRE_RAM_MAX);
		assert_true(t.nr_cpus <= QUIRE_CPUS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),       cmocka_unit_test(nodes),
		cmocka_unit_test(actions),     cmocka_unit_test(files),
		cmocka_unit_test(wrong_files), cmocka_unit_test(random_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
