/*
 * report_json.c - the report for programs: JSON, and JUnit's XML.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cmd/report.h"

#include <cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static cJSON *usage(const struct quire_usage *u)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "peak_kb", (double)u->peak_kb);
	cJSON_AddNumberToObject(o, "mean_kb", (double)u->mean_kb);
	return o;
}

static void add_memory(cJSON *root, const struct quire_report *r)
{
	cJSON *rss = cJSON_AddObjectToObject(root, "rss");
	cJSON *outside = cJSON_AddObjectToObject(root, "host_mapped");

	cJSON_AddNumberToObject(root, "ram_kb", (double)r->ram_kb);
	cJSON_AddItemToObject(rss, "anon", usage(&r->anon));
	cJSON_AddItemToObject(rss, "file", usage(&r->file));
	cJSON_AddItemToObject(rss, "pagetables", usage(&r->pagetables));
	cJSON_AddItemToObject(rss, "kernel", usage(&r->kernel));
	cJSON_AddNumberToObject(root, "host_mapped_kb", (double)r->host_mapped_kb);
	cJSON_AddNumberToObject(outside, "file_kb", (double)r->outside.file_kb);
	cJSON_AddNumberToObject(outside, "shm_kb", (double)r->outside.shm_kb);
	cJSON_AddNumberToObject(outside, "sysv_kb", (double)r->outside.sysv_kb);
	cJSON_AddNumberToObject(outside, "device_kb", (double)r->outside.device_kb);
}

static void add_counters(cJSON *root, const struct quire_report *r)
{
	cJSON *stat = cJSON_AddObjectToObject(root, "vmstat");
	cJSON *faults = cJSON_AddObjectToObject(root, "faults");
	static const char cause[] = "quire_fault_";
	unsigned int i;

	for (i = 0; i < r->nr_counters; i++) {
		const struct quire_counter *c = &r->counter[i];

		cJSON_AddNumberToObject(stat, c->name, (double)c->value);
		if (!strncmp(c->name, cause, sizeof(cause) - 1))
			cJSON_AddNumberToObject(faults, c->name + sizeof(cause) - 1,
						(double)c->value);
	}
}

static void add_swap(cJSON *root, const struct quire_report *r)
{
	cJSON *swap = cJSON_AddObjectToObject(root, "swap");
	uint64_t in = 0, out = 0;

	(void)quire_report_value(r, "pswpin", &in);
	(void)quire_report_value(r, "pswpout", &out);
	cJSON_AddNumberToObject(swap, "total_kb", (double)r->swap_kb);
	cJSON_AddNumberToObject(swap, "in_pages", (double)in);
	cJSON_AddNumberToObject(swap, "out_pages", (double)out);
	cJSON_AddNumberToObject(swap, "peak_kb", (double)r->swap_peak_kb);
	cJSON_AddNumberToObject(swap, "errors", (double)r->swap_errors);
}

static void add_nodes(cJSON *root, const struct quire_report *r)
{
	cJSON *list = cJSON_AddArrayToObject(root, "nodes");
	unsigned int i;

	for (i = 0; i < r->nr_nodes; i++) {
		const struct quire_node *n = &r->node[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddNumberToObject(o, "node", n->id);
		cJSON_AddNumberToObject(o, "total_kb", (double)n->total_kb);
		cJSON_AddNumberToObject(o, "free_kb", (double)n->free_kb);
		cJSON_AddNumberToObject(o, "anon_kb", (double)n->anon_kb);
		cJSON_AddNumberToObject(o, "file_kb", (double)n->file_kb);
		cJSON_AddNumberToObject(o, "numa_hit", (double)n->numa_hit);
		cJSON_AddNumberToObject(o, "numa_miss", (double)n->numa_miss);
		cJSON_AddNumberToObject(o, "numa_foreign", (double)n->numa_foreign);
		cJSON_AddNumberToObject(o, "numa_interleave", (double)n->numa_interleave);
		cJSON_AddNumberToObject(o, "numa_local", (double)n->numa_local);
		cJSON_AddNumberToObject(o, "numa_other", (double)n->numa_other);
		cJSON_AddItemToArray(list, o);
	}
}

static void add_actions(cJSON *root, const struct quire_report *r)
{
	cJSON *o = cJSON_AddObjectToObject(root, "actions");

	cJSON_AddNumberToObject(o, "done", (double)r->actions_done);
	cJSON_AddNumberToObject(o, "failed", (double)r->actions_failed);
}

static cJSON *oom_row(const struct quire_oom_row *w)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "pid", w->pid);
	cJSON_AddStringToObject(o, "comm", w->comm);
	cJSON_AddNumberToObject(o, "uid", w->uid);
	cJSON_AddNumberToObject(o, "total_vm", (double)w->total_vm_pages);
	cJSON_AddNumberToObject(o, "rss", (double)w->rss_pages);
	cJSON_AddNumberToObject(o, "pgtables_bytes", (double)w->pgtables_bytes);
	cJSON_AddNumberToObject(o, "swapents", (double)w->swapents_pages);
	cJSON_AddNumberToObject(o, "oom_score_adj", w->oom_score_adj);
	cJSON_AddNumberToObject(o, "points", (double)w->points);
	return o;
}

static void add_oom(cJSON *root, const struct quire_report *r)
{
	cJSON *list = cJSON_AddArrayToObject(root, "oom");
	unsigned int i, k;

	for (i = 0; i < r->nr_oom; i++) {
		cJSON *kill = oom_row(&r->oom[i].victim);
		cJSON *rows = cJSON_AddArrayToObject(kill, "candidates");

		for (k = 0; k < r->oom[i].nr_rows; k++)
			cJSON_AddItemToArray(rows, oom_row(&r->oom[i].row[k]));
		cJSON_AddItemToArray(list, kill);
	}
}

static void add_calls(cJSON *root, const struct quire_report *r)
{
	cJSON *calls = cJSON_AddObjectToObject(root, "calls");
	cJSON *refused = cJSON_AddObjectToObject(root, "unhandled");
	unsigned int i;

	for (i = 0; i < r->nr_calls; i++) {
		cJSON *c = cJSON_AddObjectToObject(calls, r->call[i].name);

		cJSON_AddNumberToObject(c, "count", (double)r->call[i].count);
		cJSON_AddNumberToObject(c, "ns", (double)r->call[i].ns);
		if (r->call[i].refused)
			cJSON_AddNumberToObject(refused, r->call[i].name,
						(double)r->call[i].refused);
	}
}

int report_json(FILE *out, const struct quire_report *r, char **argv)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *command = cJSON_AddArrayToObject(root, "command");
	char *text;
	int ok;

	cJSON_AddStringToObject(root, "quire", QUIRE_VERSION);
	for (; *argv; argv++)
		cJSON_AddItemToArray(command, cJSON_CreateString(*argv));
	cJSON_AddNumberToObject(root, "exit_status", report_exit_status(r));
	cJSON_AddNumberToObject(root, "wall_s", r->wall_s);
	cJSON_AddNumberToObject(root, "user_s", r->user_s);
	cJSON_AddNumberToObject(root, "sys_s", r->sys_s);
	cJSON_AddNumberToObject(root, "quire_s", r->inside_s);
	cJSON_AddNumberToObject(root, "agent_trips", (double)r->agent_trips);
	cJSON_AddNumberToObject(root, "agent_commands", (double)r->agent_commands);
	cJSON_AddNumberToObject(root, "processes", (double)r->processes);
	cJSON_AddNumberToObject(root, "killed_at_end", (double)r->killed_at_end);
	add_memory(root, r);
	add_nodes(root, r);
	add_actions(root, r);
	add_counters(root, r);
	add_swap(root, r);
	add_oom(root, r);
	add_calls(root, r);
	text = cJSON_Print(root);
	ok = text && fprintf(out, "%s\n", text) > 0 && fflush(out) == 0;
	free(text);
	cJSON_Delete(root);
	return ok ? 0 : -1;
}

static void xml_text(FILE *out, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			if ((unsigned char)*s >= ' ')
				fputc(*s, out);
		}
	}
}

static void junit_case(FILE *out, const char *name, double seconds, bool failed, const char *why)
{
	fputs("  <testcase classname=\"quire\" name=\"", out);
	xml_text(out, name);
	fprintf(out, "\" time=\"%.3f\">", seconds);
	if (failed) {
		fputs("<failure message=\"", out);
		xml_text(out, why);
		fputs("\"/>", out);
	}
	fputs("</testcase>\n", out);
}

int report_junit(const char *path, const struct quire_report *r, char **argv,
		 const struct expectation *e, unsigned int nr)
{
	FILE *out = fopen(path, "we");
	unsigned int i, failed = report_exit_status(r) != 0;
	char why[160];
	uint64_t actual;
	int bad;

	if (!out)
		return -1;
	for (i = 0; i < nr; i++)
		failed += !expectation_met(&e[i], r, &actual);
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"quire run\" "
		"tests=\"%u\" "
		"failures=\"%u\" time=\"%.3f\">\n",
		nr + 1, failed, r->wall_s);
	snprintf(why, sizeof(why), "exit status %d", report_exit_status(r));
	junit_case(out, argv[0], r->wall_s, report_exit_status(r) != 0, why);
	for (i = 0; i < nr; i++) {
		bool met = expectation_met(&e[i], r, &actual);

		snprintf(why, sizeof(why), "%s is %" PRIu64, e[i].name, actual);
		junit_case(out, e[i].text, 0, !met, why);
	}
	fputs("</testsuite>\n", out);
	bad = ferror(out);
	return fclose(out) || bad ? -1 : 0;
}
