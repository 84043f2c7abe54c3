/*
 * report_text.c - the report for people.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cmd/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define LINE_COLUMNS 98

int report_exit_status(const struct quire_report *r)
{
	return WIFEXITED(r->status) ? WEXITSTATUS(r->status) : 128 + WTERMSIG(r->status);
}

static uint64_t get(const struct quire_report *r, const char *name)
{
	uint64_t value = 0;

	(void)quire_report_value(r, name, &value);
	return value;
}

/* 1536 KiB as "1.5M". */
static const char *size_text(uint64_t kb, char *buf, size_t len)
{
	if (kb < 10000)
		snprintf(buf, len, "%" PRIu64 "K", kb);
	else if (kb < 10000 * 1024ull)
		snprintf(buf, len, "%.1fM", (double)kb / 1024);
	else
		snprintf(buf, len, "%.1fG", (double)kb / 1048576);
	return buf;
}

static void usage_line(FILE *out, const char *what, const struct quire_usage *u)
{
	char peak[32], mean[32];

	fprintf(out, "  %-14s %10s %10s\n", what, size_text(u->peak_kb, peak, sizeof(peak)),
		size_text(u->mean_kb, mean, sizeof(mean)));
}

static void faults(FILE *out, const struct quire_report *r)
{
	uint64_t all = get(r, "pgfault"), pages = get(r, "quire_fault_pages");

	fprintf(out, "faults           %" PRIu64 " (%" PRIu64 " major), %.1f pages each\n", all,
		get(r, "pgmajfault"), all ? (double)pages / (double)all : 0.0);
	fprintf(out,
		"  zero %" PRIu64 ", file %" PRIu64 ", swap-in %" PRIu64 ", COW %" PRIu64
		", soft %" PRIu64 "\n",
		get(r, "quire_fault_zero"), get(r, "quire_fault_file"),
		get(r, "quire_fault_swapin"), get(r, "quire_fault_cow"),
		get(r, "quire_fault_soft"));
}

static void reclaim(FILE *out, const struct quire_report *r)
{
	char peak[32];

	fprintf(out,
		"reclaim          kswapd scanned %" PRIu64 ", stole %" PRIu64
		"; direct scanned %" PRIu64 ", stole %" PRIu64 "\n",
		get(r, "pgscan_kswapd"), get(r, "pgsteal_kswapd"), get(r, "pgscan_direct"),
		get(r, "pgsteal_direct"));
	fprintf(out, "  refaults       %" PRIu64 " anon, %" PRIu64 " file\n",
		get(r, "workingset_refault_anon"), get(r, "workingset_refault_file"));
	fprintf(out, "swap             in %" PRIu64 ", out %" PRIu64 " pages, peak %s\n",
		get(r, "pswpin"), get(r, "pswpout"),
		size_text(r->swap_peak_kb, peak, sizeof(peak)));
	if (r->swap_errors)
		fprintf(out, "  errors         %" PRIu64 ", last: %s\n", r->swap_errors,
			strerror(r->swap_errno));
}

static void nodes(FILE *out, const struct quire_report *r)
{
	char total[32], free_text[32];
	unsigned int i;

	for (i = 0; r->nr_nodes > 1 && i < r->nr_nodes; i++) {
		const struct quire_node *n = &r->node[i];

		fprintf(out,
			"node %-11u %s, %s free; hit %" PRIu64 ", miss %" PRIu64
			", foreign %" PRIu64 ",\n",
			n->id, size_text(n->total_kb, total, sizeof(total)),
			size_text(n->free_kb, free_text, sizeof(free_text)), n->numa_hit,
			n->numa_miss, n->numa_foreign);
		fprintf(out,
			"                 interleave %" PRIu64 ", local %" PRIu64 ", other %" PRIu64
			" pages\n",
			n->numa_interleave, n->numa_local, n->numa_other);
	}
}

static void migration(FILE *out, const struct quire_report *r)
{
	uint64_t moved = get(r, "pgmigrate_success"), failed = get(r, "pgmigrate_fail");

	if (moved + failed)
		fprintf(out,
			"migration        %" PRIu64 " pages moved, %" PRIu64
			" not; direct compaction %" PRIu64 " times, %" PRIu64 " with success\n",
			moved, failed, get(r, "compact_stall"), get(r, "compact_success"));
	if (r->actions_done + r->actions_failed)
		fprintf(out, "orders           %" PRIu64 " done, %" PRIu64 " failed\n",
			r->actions_done, r->actions_failed);
}

static void oom(FILE *out, const struct quire_report *r)
{
	unsigned int i, k;

	fprintf(out, "oom kills        %" PRIu64 "\n", get(r, "oom_kill"));
	for (i = 0; i < r->nr_oom; i++) {
		const struct quire_oom *kill = &r->oom[i];

		fprintf(out, "  killed         process %d (%s), %" PRId64 " points\n",
			kill->victim.pid, kill->victim.comm, kill->victim.points);
		fprintf(out,
			"  [  pid  ]   uid total_vm      rss pgtables_bytes swapents oom_score_adj "
			"points name\n");
		for (k = 0; k < kill->nr_rows; k++) {
			const struct quire_oom_row *w = &kill->row[k];

			fprintf(out,
				"  [%7d] %5d %8" PRIu64 " %8" PRIu64 " %14" PRIu64 " %8" PRIu64
				" %13d %6" PRId64 " %s\n",
				w->pid, w->uid, w->total_vm_pages, w->rss_pages, w->pgtables_bytes,
				w->swapents_pages, w->oom_score_adj, w->points, w->comm);
		}
	}
}

static int more_time(const void *a, const void *b)
{
	const struct quire_call *x = a, *y = b;

	return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

/* A heading and what follows it, in as many lines of LINE_COLUMNS as that takes. */
struct list {
	FILE *out;
	const char *heading;
	int column; /* 0 before the first item */
};

static void list_item(struct list *l, const char *item)
{
	int len = (int)strlen(item);

	if (!l->column)
		l->column = fprintf(l->out, "%-17s", l->heading);
	else if (l->column + 2 + len > LINE_COLUMNS)
		l->column = fprintf(l->out, ",\n%-17s", "") - 2;
	else
		l->column += fprintf(l->out, ", ");
	l->column += fprintf(l->out, "%s", item);
}

static void list_end(struct list *l)
{
	if (l->column)
		fputc('\n', l->out);
}

static void calls(FILE *out, const struct quire_report *r)
{
	struct list frequent = { out, "calls", 0 }, refused = { out, "refused calls", 0 };
	char item[96];
	unsigned int i;

	qsort(r->call, r->nr_calls, sizeof(*r->call), more_time);
	for (i = 0; i < r->nr_calls && i < 8; i++) {
		snprintf(item, sizeof(item), "%s %" PRIu64 " (%.1f us)", r->call[i].name,
			 r->call[i].count, (double)r->call[i].ns / 1e3 / (double)r->call[i].count);
		list_item(&frequent, item);
	}
	list_end(&frequent);
	for (i = 0; i < r->nr_calls; i++) {
		if (!r->call[i].refused)
			continue;
		snprintf(item, sizeof(item), "%s %" PRIu64, r->call[i].name, r->call[i].refused);
		list_item(&refused, item);
	}
	list_end(&refused);
}

static void outside(FILE *out, const struct quire_report *r)
{
	const struct {
		const char *what;
		uint64_t kb;
	} row[] = { { "shared files", r->outside.file_kb },
		    { "POSIX shared memory", r->outside.shm_kb },
		    { "System V shared memory", r->outside.sysv_kb },
		    { "devices", r->outside.device_kb } };
	struct list list = { out, "outside the RAM", 0 };
	char item[64], size[32];
	unsigned int i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (!row[i].kb)
			continue;
		snprintf(item, sizeof(item), "%s %s", row[i].what,
			 size_text(row[i].kb, size, sizeof(size)));
		list_item(&list, item);
	}
	list_end(&list);
}

void report_text(FILE *out, const struct quire_report *r, char **argv)
{
	char ram[32], swap[32];
	int status = report_exit_status(r);

	fprintf(out, "\nquire: ");
	for (; *argv; argv++)
		fprintf(out, "%s ", *argv);
	fprintf(out, "-> %d", status);
	if (WIFSIGNALED(r->status))
		fprintf(out, " (%s)", strsignal(WTERMSIG(r->status)));
	fprintf(out, "\ntime             %.3f s wall, %.3f user, %.3f sys, %.3f inside Quire\n",
		r->wall_s, r->user_s, r->sys_s, r->inside_s);
	fprintf(out, "machine          %s RAM, %s swap, %" PRIu64 " processes\n",
		size_text(r->ram_kb, ram, sizeof(ram)), size_text(r->swap_kb, swap, sizeof(swap)),
		r->processes);
	fprintf(out, "rss                    peak       mean\n");
	usage_line(out, "anonymous", &r->anon);
	usage_line(out, "file", &r->file);
	usage_line(out, "page tables", &r->pagetables);
	usage_line(out, "kernel objects", &r->kernel);
	faults(out, r);
	reclaim(out, r);
	migration(out, r);
	nodes(out, r);
	calls(out, r);
	outside(out, r);
	if (r->killed_at_end)
		fprintf(out, "left running     %" PRIu64 " processes, killed at the end\n",
			r->killed_at_end);
	oom(out, r);
}

void report_progress(const struct quire_report *r)
{
	static uint64_t last_faults;
	static double last_wall;
	uint64_t faults_now = get(r, "pgfault");
	double rate = r->wall_s > last_wall
			      ? (double)(faults_now - last_faults) / (r->wall_s - last_wall)
			      : 0;
	char rss[32], free_text[32], swap[32];

	fprintf(stderr, "\rquire: %6.1f s  rss %8s  free %8s  swap %8s  %8.0f faults/s ", r->wall_s,
		size_text(r->anon.now_kb + r->file.now_kb, rss, sizeof(rss)),
		size_text(r->free_kb, free_text, sizeof(free_text)),
		size_text(r->swap_now_kb, swap, sizeof(swap)), rate);
	fflush(stderr);
	last_faults = faults_now;
	last_wall = r->wall_s;
}
