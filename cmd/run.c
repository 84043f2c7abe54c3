/*
 * run.c - quire run: a program on a machine with the RAM that you give it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/topology.h"
#include "plat/size.h"

#define STATUS_EXPECT 124
#define STATUS_ERROR  125
#define EXPECT_MAX    64

enum {
	OPT_SWAP_FILE = 1000,
	OPT_SWAP_DIRECT,
	OPT_SET,
	OPT_REPORT,
	OPT_JSON,
	OPT_EXPECT,
	OPT_JUNIT,
	OPT_SEED,
	OPT_PROGRESS,
	OPT_FAIL,
	OPT_WAIT,
	OPT_MALLOC,
	OPT_NODES,
	OPT_MACHINE,
	OPT_MODEL,
	OPT_POISON,
	OPT_POLICY,
	OPT_MAX_MEM,
	OPT_MOVABLE,
	OPT_CMA,
	OPT_LAYOUT,
	OPT_OWNER,
	OPT_AT,
	OPT_CONTROL
};

static const struct argp_option options[] = {
	{ "mem", 'm', "SIZE", 0, "RAM of the machine (K, M, G; default 256M)", 0 },
	{ "swap", 's', "SIZE", 0, "swap space (default 0: none)", 0 },
	{ "swap-file", OPT_SWAP_FILE, "FILE", 0,
	  "where to swap; by default a file without a name in "
	  "$TMPDIR or /var/tmp, which cannot stay behind",
	  0 },
	{ "swap-direct", OPT_SWAP_DIRECT, NULL, 0,
	  "swap past the host's page cache, at the speed of its disk", 0 },
	{ "set", OPT_SET, "KNOB=VALUE", 0,
	  "a knob of /proc/sys/vm: swappiness, page-cluster, "
	  "min_free_kbytes, watermark_scale_factor, watermark_boost_factor, "
	  "overcommit_memory, "
	  "read_ahead_kb, fault_around_bytes, fault_zero_pages, collapse_faults, "
	  "oom_kill_allocating_task, compaction_proactiveness, extfrag_threshold, "
	  "percpu_pagelist_high_fraction, lowmem_reserve_ratio=N,N,N (repeatable)",
	  0 },
	{ "wait", OPT_WAIT, NULL, 0,
	  "when PROGRAM ends, wait for the processes that it left running; without this they are "
	  "killed, as in a container",
	  0 },
	{ "malloc", OPT_MALLOC, NULL, 0,
	  "the program uses Quire's malloc; QUIRE_MALLOC holds its settings, as for quire malloc",
	  0 },
	{ "nodes", OPT_NODES, "NxSIZE", 0, "NUMA nodes instead of --mem: 2x512M, or 512M,256M", 0 },
	{ "machine", OPT_MACHINE, "FILE", 0,
	  "nodes, holes, distances, CPUs from a file (docs/migrate.md)", 0 },
	{ "memory-model", OPT_MODEL, "MODEL", 0, "flat (default), discontig or sparse", 0 },
	{ "numa-policy", OPT_POLICY, "POLICY", 0, "local (default), interleave or preferred:NODE",
	  0 },
	{ "max-mem", OPT_MAX_MEM, "SIZE", 0, "how far memory added later may reach", 0 },
	{ "movable", OPT_MOVABLE, "SIZE", 0,
	  "zone Movable, which can go offline, at the top of each node", 0 },
	{ "cma", OPT_CMA, "SIZE", 0,
	  "an area on node 0 that movable pages borrow, and that can be had in one piece", 0 },
	{ "layout", OPT_LAYOUT, "BITS", 0,
	  "zones of a 64-bit machine (default), or 32: DMA, Normal below 896M, where all that is "
	  "the kernel's must lie, and HighMem",
	  0 },
	{ "at", OPT_AT, "TIME:ORDER", 0,
	  "do this while the program runs, for example "
	  "2s:'offline 512M-640M' (repeatable); see quire ctl --help",
	  0 },
	{ "control", OPT_CONTROL, "SOCKET", 0, "take orders from quire ctl SOCKET", 0 },
	{ "report", OPT_REPORT, "FILE", 0, "write the report to FILE instead of stderr", 1 },
	{ "json", OPT_JSON, NULL, 0, "the report as JSON", 1 },
	{ "quiet", 'q', NULL, 0, "no report", 1 },
	{ "progress", OPT_PROGRESS, NULL, 0, "one line on stderr while the program runs", 1 },
	{ "verbose", 'v', NULL, 0, "the machine's log on stderr", 1 },
	{ "expect", OPT_EXPECT, "'COUNTER OP NUMBER'", 0,
	  "fail with status 124 unless this holds at the end: "
	  "any counter of the report; OP is one of "
	  "< <= > >= == != (repeatable)",
	  2 },
	{ "junit", OPT_JUNIT, "FILE", 0, "write what was expected and found as JUnit XML", 2 },
	{ "page-poison", OPT_POISON, NULL, 0,
	  "fill freed frames and stop where one was written to, to find faults of Quire's own", 2 },
	{ "page-owner", OPT_OWNER, NULL, 0,
	  "remember how each frame was allocated, for quire ctl SOCKET owners", 2 },
	{ "seed", OPT_SEED, "N", 0, "fix every choice, the program's address layout included", 2 },
	{ "fail", OPT_FAIL, "read|write:N:ERRNO", 0,
	  "let the N-th transfer of file or swap end with ERRNO "
	  "(EIO, ENOSPC), to test what happens then; pause:N gives other threads "
	  "N microseconds while a mapping is half made",
	  2 },
	{ 0 }
};

static const char doc[] = "Runs PROGRAM, unmodified, with its memory in the page frames of a "
			  "machine with the given RAM, and "
			  "tells at the end what its memory did.\v"
			  "Exit status: the program's own; 128+N if signal N killed it; 124 if an "
			  "expectation does not hold; "
			  "125 for an error of quire's own; 126 if PROGRAM cannot be executed; 127 "
			  "if it is not found.\n\n"
			  "Example: quire run --mem 64M --swap 512M -- python3 job.py";

/* Options as parsed. */
struct run {
	struct quire_run_config config;
	const char *report_path, *junit_path;
	bool json, quiet, progress, mem_given;
	struct expectation expect[EXPECT_MAX];
	unsigned int nr_expect;
};

static void want_size(struct argp_state *state, const char *name, const char *text, uint64_t *bytes)
{
	if (!size_parse(text, bytes))
		argp_failure(state, STATUS_ERROR, 0, "--%s %s: not a size; write for example 64M",
			     name, text);
}

static void add_knob(struct argp_state *state, struct run *r, char *text)
{
	char *value = strchr(text, '=');
	struct quire_knob *k = &r->config.knob[r->config.nr_knobs];

	if (!value || r->config.nr_knobs == QUIRE_KNOBS_MAX)
		argp_failure(state, STATUS_ERROR, 0, "--set %s: write --set KNOB=VALUE", text);
	*value = '\0';
	k->name = text;
	do {
		text = value + 1;
		k->value[k->nr_values] = strtoull(text, &value, 10);
		if (!isdigit((unsigned char)*text) || (*value && *value != ',') ||
		    ++k->nr_values > QUIRE_KNOB_VALUES - (*value == ','))
			argp_failure(state, STATUS_ERROR, 0,
				     "--set %s=%s: the value must be a number", k->name, text);
	} while (*value);
	r->config.nr_knobs++;
}

static void add_expectation(struct argp_state *state, struct run *r, const char *text)
{
	const char *why;

	if (r->nr_expect == EXPECT_MAX)
		argp_failure(state, STATUS_ERROR, 0, "more than %d expectations", EXPECT_MAX);
	if (!expectation_parse(&r->expect[r->nr_expect], text, &why))
		argp_failure(state, STATUS_ERROR, 0, "--expect '%s': %s", text, why);
	r->nr_expect++;
}

static void set_failure(struct argp_state *state, struct run *r, const char *text)
{
	char kind[8], name[8];
	unsigned long n;

	if (sscanf(text, "pause:%u", &r->config.fail.pause_us) == 1)
		return;
	if (sscanf(text, "%7[a-z]:%lu:%7[A-Z]", kind, &n, name) != 3 || !n ||
	    (strcmp(kind, "read") && strcmp(kind, "write")) ||
	    (strcmp(name, "EIO") && strcmp(name, "ENOSPC")))
		argp_failure(state, STATUS_ERROR, 0,
			     "--fail %s: write for example --fail write:3:ENOSPC", text);
	*(kind[0] == 'r' ? &r->config.fail.reads : &r->config.fail.writes) = n;
	r->config.fail.error = strcmp(name, "EIO") ? ENOSPC : EIO;
}

static void read_machine(struct argp_state *state, struct run *r, const char *path)
{
	char why[160];

	r->config.topology.nr_ram = r->config.topology.nr_nodes = 0;
	if (!topology_read(&r->config.topology, path, why, sizeof(why)))
		argp_failure(state, STATUS_ERROR, 0, "--machine %s: %s", path, why);
}

static void add_action(struct argp_state *state, struct run *r, char *text)
{
	struct quire_action *action = &r->config.action[r->config.nr_actions];

	if (r->config.nr_actions == QUIRE_ACTIONS_MAX || !topology_action(action, text))
		argp_failure(state, STATUS_ERROR, 0,
			     "--at %s: write for example --at 2s:'offline 512M-640M'", text);
	/* By time; those of the same time as given. */
	for (; action > r->config.action && action[-1].at_ms > action->at_ms; action--) {
		struct quire_action later = action[-1];

		action[-1] = *action;
		*action = later;
	}
	r->config.nr_actions++;
}

/* What several options say together. */
static void check_topology(struct argp_state *state, struct run *r)
{
	struct quire_topology *t = &r->config.topology;
	char why[160];

	if (!topology_check(t, why, sizeof(why)))
		argp_failure(state, STATUS_ERROR, 0, "%s", why);
	if (t->nr_ram && r->mem_given)
		argp_failure(state, STATUS_ERROR, 0,
			     "--mem and nodes: their sizes are the machine's");
	if (t->nr_ram)
		r->config.ram_bytes = topology_bytes(t);
}

static error_t parse_topology(int key, char *arg, struct argp_state *state)
{
	struct run *r = state->input;

	switch (key) {
	case OPT_NODES:
		if (!topology_nodes(&r->config.topology, arg))
			argp_failure(state, STATUS_ERROR, 0,
				     "--nodes %s: write for example 2x512M or 512M,256M", arg);
		break;
	case OPT_MACHINE:
		read_machine(state, r, arg);
		break;
	case OPT_MODEL:
		if (!topology_model(&r->config.topology, arg))
			argp_failure(state, STATUS_ERROR, 0,
				     "--memory-model %s: flat, discontig or sparse", arg);
		break;
	case OPT_POLICY:
		if (!topology_policy(&r->config.topology, arg))
			argp_failure(state, STATUS_ERROR, 0,
				     "--numa-policy %s: local, interleave or preferred:NODE", arg);
		break;
	case OPT_CMA:
		want_size(state, "cma", arg, &r->config.topology.cma_bytes);
		break;
	case OPT_LAYOUT:
		if (!topology_layout(&r->config.topology, arg))
			argp_failure(state, STATUS_ERROR, 0, "--layout %s: 32 or 64", arg);
		break;
	case OPT_OWNER:
		r->config.page_owner = true;
		break;
	case OPT_POISON:
		r->config.page_poison = true;
		break;
	case OPT_MAX_MEM:
		want_size(state, "max-mem", arg, &r->config.topology.max_bytes);
		break;
	case OPT_MOVABLE:
		want_size(state, "movable", arg, &r->config.topology.movable_bytes);
		break;
	case OPT_AT:
		add_action(state, r, arg);
		break;
	case OPT_CONTROL:
		r->config.control_path = arg;
		break;
	case ARGP_KEY_END:
		check_topology(state, r);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run *r = state->input;

	switch (key) {
	case 'm':
		want_size(state, "mem", arg, &r->config.ram_bytes);
		r->mem_given = true;
		break;
	case 's':
		want_size(state, "swap", arg, &r->config.swap_bytes);
		break;
	case OPT_SWAP_FILE:
		r->config.swap_path = arg;
		break;
	case OPT_SWAP_DIRECT:
		r->config.swap_direct = true;
		break;
	case OPT_SET:
		add_knob(state, r, arg);
		break;
	case OPT_REPORT:
		r->report_path = arg;
		break;
	case OPT_JSON:
		r->json = true;
		break;
	case 'q':
		r->quiet = true;
		break;
	case 'v':
		r->config.verbose = true;
		break;
	case OPT_PROGRESS:
		r->progress = true;
		break;
	case OPT_EXPECT:
		add_expectation(state, r, arg);
		break;
	case OPT_JUNIT:
		r->junit_path = arg;
		break;
	case OPT_SEED:
		r->config.seeded = true;
		r->config.seed = strtoull(arg, NULL, 0);
		break;
	case OPT_WAIT:
		r->config.wait_all = true;
		break;
	case OPT_MALLOC:
		if (malloc_preload())
			argp_failure(state, STATUS_ERROR, 0,
				     "--malloc: libquire-malloc.so is not beside the command");
		break;
	case OPT_FAIL:
		set_failure(state, r, arg);
		break;
	case ARGP_KEY_ARG:
		r->config.argv = &state->argv[state->next - 1];
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_failure(state, STATUS_ERROR, 0,
			     "which program? quire run [OPTIONS] -- PROGRAM ARGS...");
		break;
	default:
		return parse_topology(key, arg, state);
	}
	return 0;
}

static int write_report(const struct run *r, const struct quire_report *report)
{
	FILE *out = stderr;
	int bad = 0;

	if (r->quiet)
		return 0;
	if (r->report_path)
		out = fopen(r->report_path, "we");
	if (!out) {
		fprintf(stderr, "quire: cannot write the report to %s: %s\n", r->report_path,
			strerror(errno));
		return STATUS_ERROR;
	}
	if (r->json)
		bad = report_json(out, report, r->config.argv) < 0;
	else
		report_text(out, report, r->config.argv);
	if (out != stderr)
		bad |= fclose(out) != 0;
	if (bad)
		fprintf(stderr, "quire: the report could not be written\n");
	return bad ? STATUS_ERROR : 0;
}

/* Says what does not hold; how many. */
static unsigned int check_expectations(const struct run *r, const struct quire_report *report)
{
	unsigned int i, failed = 0;
	uint64_t actual;

	for (i = 0; i < r->nr_expect; i++) {
		if (expectation_met(&r->expect[i], report, &actual))
			continue;
		failed++;
		if (quire_report_value(report, r->expect[i].name, &actual))
			fprintf(stderr, "quire: expected %s, but it is %" PRIu64 "\n",
				r->expect[i].text, actual);
		else
			fprintf(stderr,
				"quire: expected %s, but there is no counter of that name\n",
				r->expect[i].text);
	}
	return failed;
}

int cmd_run(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "-- PROGRAM [ARGS...]", doc, NULL,
					  NULL,	   NULL };
	struct run r = { .config = { .ram_bytes = 256ull << 20, .progress_ms = 500 } };
	struct quire_report report = { 0 };
	unsigned int unmet;
	int status;

	argp_err_exit_status = STATUS_ERROR;
	argv[0] = (char *)"quire run";
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r);
	r.config.progress = r.progress ? report_progress : NULL;
	status = quire_run(&r.config, &report);
	if (r.progress)
		fputc('\n', stderr);
	if (status)
		return status;
	status = report_exit_status(&report);
	unmet = check_expectations(&r, &report);
	if (r.junit_path &&
	    report_junit(r.junit_path, &report, r.config.argv, r.expect, r.nr_expect) < 0) {
		fprintf(stderr, "quire: cannot write %s\n", r.junit_path);
		status = status ? status : STATUS_ERROR;
	}
	if (write_report(&r, &report) && !status)
		status = STATUS_ERROR;
	quire_report_free(&report);
	return status ? status : unmet ? STATUS_EXPECT : 0;
}
