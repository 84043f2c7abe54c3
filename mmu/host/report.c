/*
 * report.c - quire_run(): a supervisor, a manager, and the numbers at the end.
 *
 * How     The caller's process stays as supervisor and forks the manager. Either notices the death
 *         of the other, and then kills everything below it: as subreapers, they inherit every
 *         process whose parent is gone. The manager hands the report over through a memory file.
 * Why     kill -9 of any of them leaves nothing behind.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quire/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmu/host/cleanup.h"
#include "mmu/host/file.h"
#include "mmu/host/host.h"

/* The report as it crosses from the manager to the supervisor: one flat piece of shared memory. */
struct flat {
	bool complete;
	bool has_socket; /* which the supervisor removes at the end */
	int own_error; /* exit status of an error of ours */
	struct quire_report report;
	struct quire_counter counter[NR_VM_STAT];
	struct quire_call call[CALL_STATS];
	struct quire_oom oom[OOM_KILLS];
	struct quire_node node[MAX_NUMNODES];
};

static void fill_row(struct quire_oom_row *to, const struct oom_row *from)
{
	*to = (struct quire_oom_row){ .pid = from->pid,
				      .uid = from->uid,
				      .oom_score_adj = from->oom_score_adj,
				      .total_vm_pages = from->total_vm,
				      .rss_pages = from->rss,
				      .pgtables_bytes = from->pgtables_bytes,
				      .swapents_pages = from->swapents,
				      .points = from->points };
	memcpy(to->comm, from->comm, sizeof(to->comm));
}

static void fill_oom(struct flat *f, const struct machine *m)
{
	unsigned int i, k;

	f->report.nr_oom = (unsigned int)min_u64(m->nr_oom, OOM_KILLS);
	for (i = 0; i < f->report.nr_oom; i++) {
		fill_row(&f->oom[i].victim, &m->oom[i].victim);
		f->oom[i].nr_rows = m->oom[i].nr_rows;
		for (k = 0; k < m->oom[i].nr_rows; k++)
			fill_row(&f->oom[i].row[k], &m->oom[i].rows[k]);
	}
}

static void fill_counters(struct flat *f, struct machine *m)
{
	int i;

	phys_stat_sync(&m->phys);
	for (i = 0; i < NR_VM_STAT; i++) {
		const struct stat_info *info = stat_info((enum vm_stat_item)i);

		f->counter[i] =
			(struct quire_counter){ info->name, info->unit, info->meaning,
						stat_read(&m->phys.stat, (enum vm_stat_item)i) };
	}
	f->report.nr_counters = NR_VM_STAT;
}

static void fill_calls(struct flat *f, const struct host *h)
{
	int nr;

	f->report.nr_calls = 0;
	for (nr = 0; nr < CALL_STATS; nr++)
		if (h->call[nr].count)
			f->call[f->report.nr_calls++] =
				(struct quire_call){ call_name(nr), h->call[nr].count,
						     h->call[nr].ns, h->call[nr].refused };
}

static void fill_nodes(struct flat *f, struct phys *phys)
{
	unsigned int nid;

	f->report.nr_nodes = 0;
	for (nid = 0; nid < phys->nr_nodes; nid++) {
		const u64 *lru = phys->nodes[nid]->lruvec.nr;
		struct vm_stat s;
		u64 managed = 0;
		int type;

		phys_node_stat(phys, nid, &s);
		for (type = 0; type < MAX_NR_ZONES; type++)
			managed += phys->nodes[nid]->zones[type].managed_pages;
		f->node[f->report.nr_nodes++] = (struct quire_node){
			.id = nid,
			.total_kb = managed * 4,
			.free_kb = s.v[NR_FREE_PAGES] * 4,
			.anon_kb = (lru[LRU_INACTIVE_ANON] + lru[LRU_ACTIVE_ANON]) * 4,
			.file_kb = (lru[LRU_INACTIVE_FILE] + lru[LRU_ACTIVE_FILE]) * 4,
			.numa_hit = s.v[NUMA_HIT],
			.numa_miss = s.v[NUMA_MISS],
			.numa_foreign = s.v[NUMA_FOREIGN],
			.numa_interleave = s.v[NUMA_INTERLEAVE],
			.numa_local = s.v[NUMA_LOCAL],
			.numa_other = s.v[NUMA_OTHER],
		};
	}
}

static struct quire_usage usage_of(u64 peak, u64 sum, u64 now, u64 samples)
{
	return (struct quire_usage){ peak * 4, samples ? sum * 4 / samples : 0, now * 4 };
}

static void fill_usage(struct quire_report *r, struct host *h)
{
	r->anon = usage_of(h->peak[USE_ANON], h->sum[USE_ANON], h->now[USE_ANON], h->samples);
	r->file = usage_of(h->peak[USE_FILE], h->sum[USE_FILE], h->now[USE_FILE], h->samples);
	r->pagetables =
		usage_of(h->peak[USE_TABLE], h->sum[USE_TABLE], h->now[USE_TABLE], h->samples);
	r->kernel =
		usage_of(h->peak[USE_KERNEL], h->sum[USE_KERNEL], h->now[USE_KERNEL], h->samples);
}

static void fill_report(struct flat *f, struct host *h)
{
	struct machine *m = &h->machine;
	struct quire_report *r = &f->report;

	r->wall_s = (double)(now_ns() - h->start_ns) / 1e9;
	r->inside_s = (double)h->busy_ns / 1e9;
	r->ram_kb = m->phys.present_pages * 4;
	r->swap_kb = swap_total(&m->swap) * 4;
	r->free_kb = nr_free_pages(&m->phys) * 4;
	r->swap_now_kb = m->swap.used * 4;
	r->swap_peak_kb = m->swap_peak * 4;
	r->swap_errors = m->swap.read_errors + m->swap.write_errors;
	r->swap_errno = m->swap.last_error;
	r->outside = (struct quire_outside){ h->outside[OUTSIDE_FILE] >> 10,
					     h->outside[OUTSIDE_SHM] >> 10,
					     h->outside[OUTSIDE_SYSV] >> 10,
					     h->outside[OUTSIDE_DEVICE] >> 10 };
	r->host_mapped_kb =
		r->outside.file_kb + r->outside.shm_kb + r->outside.sysv_kb + r->outside.device_kb;
	r->processes = h->procs_seen;
	r->agent_trips = h->agent_trips;
	r->agent_commands = h->agent_commands;
	r->actions_done = h->actions_done;
	r->actions_failed = h->actions_failed;
	fill_usage(r, h);
	fill_nodes(f, &m->phys);
	fill_counters(f, m);
	fill_calls(f, h);
	fill_oom(f, m);
	r->node = f->node;
	r->counter = f->counter;
	r->call = f->call;
	r->oom = f->oom;
}

/* What the manager's sampling calls. */
static void on_sample(struct host *h)
{
	struct flat *f = h->report;

	if (now_ns() < h->next_progress_ns)
		return;
	h->next_progress_ns = now_ns() + (u64)h->config->progress_ms * 1000000;
	fill_report(f, h);
	h->config->progress(&f->report);
}

static void add_times(struct quire_report *r)
{
	struct rusage u;

	if (getrusage(RUSAGE_CHILDREN, &u) < 0)
		return;
	r->user_s = (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6;
	r->sys_s = (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
}

static void set_knobs(struct host *h, const struct quire_run_config *c)
{
	unsigned int i;

	for (i = 0; i < c->nr_knobs; i++) {
		const struct quire_knob *k = &c->knob[i];
		int err = machine_set_knob(&h->machine, k->name, k->value, k->nr_values);

		if (err)
			host_fail("--set %s=%llu%s: %s", k->name, (unsigned long long)k->value[0],
				  k->nr_values > 1 ? ",..." : "",
				  err == -ENOENT ? "no such knob" : "value out of range");
	}
}

/* The manager's whole life. */
static void run_manager(const struct quire_run_config *c, struct flat *f, pid_t supervisor)
{
	struct host *h = host_create(c);

	h->supervisor = supervisor;
	f->has_socket = c->control_path;
	set_knobs(h, c);
	file_fail_at(c->fail.reads, c->fail.writes, c->fail.error);
	h->report = f;
	h->on_sample = c->progress ? on_sample : NULL;
	f->own_error = host_start(h, c->argv);
	f->report.killed_at_end = proc_count_alive(h);
	f->report.status = h->first_status;
	fill_report(f, h);
	host_destroy(h);
	add_times(&f->report);
	f->complete = true;
	exit(0);
}

static volatile sig_atomic_t forward_to;

/* What a process sent; a signal of the terminal goes to all of its processes anyway. */
static void forward(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (forward_to > 0 && (info->si_code <= 0 || (sig != SIGINT && sig != SIGQUIT)))
		kill((pid_t)forward_to, sig);
}

/* Waits for the manager; a manager that was killed takes everything with it. */
static int supervise(pid_t manager)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct sigaction act = { .sa_sigaction = forward, .sa_flags = SA_SIGINFO };
	unsigned int i;
	int status;

	forward_to = manager;
	for (i = 0; i < array_size(signals); i++)
		sigaction(signals[i], &act, NULL);
	while (waitpid(manager, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		cleanup_descendants();
	return status;
}

/* Copies what the flat memory holds into memory of the caller's. */
static int keep_report(const struct flat *f, struct quire_report *report)
{
	*report = f->report;
	report->counter = malloc(sizeof(f->counter));
	report->call = malloc(sizeof(f->call));
	report->oom = malloc(sizeof(f->oom));
	report->node = malloc(sizeof(f->node));
	if (!report->counter || !report->call || !report->oom || !report->node)
		return 125;
	memcpy(report->node, f->node, sizeof(f->node));
	memcpy(report->counter, f->counter, sizeof(f->counter));
	memcpy(report->call, f->call, sizeof(f->call));
	memcpy(report->oom, f->oom, sizeof(f->oom));
	return 0;
}

int quire_run(const struct quire_run_config *config, struct quire_report *report)
{
	struct flat *f =
		mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t supervisor = getpid(), manager;
	sigset_t set;
	int status, ret;

	if (f == MAP_FAILED)
		host_fail("out of host memory");
	if (access("/proc/self/status", R_OK) < 0)
		host_fail("there is no /proc here; mount it: mount -t proc proc /proc");
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	fflush(NULL);
	manager = fork();
	if (manager < 0)
		host_fail("cannot fork: %s", strerror(errno));
	if (manager == 0) {
		/* Blocked first: where SIGHUP is ignored (nohup) it would be lost until then. */
		host_block_signals(&set);
		prctl(PR_SET_PDEATHSIG, SIGHUP, 0, 0, 0);
		if (getppid() != supervisor)
			_exit(125);
		run_manager(config, f, supervisor);
	}
	status = supervise(manager);
	if (f->has_socket)
		unlink(config->control_path);
	if (WIFSIGNALED(status)) {
		fprintf(stderr,
			"quire: the manager was ended by signal %d; all its programs are gone\n",
			WTERMSIG(status));
		ret = 125;
	} else if (!f->complete) {
		ret = WEXITSTATUS(status) ? WEXITSTATUS(status) : 125;
	} else {
		ret = f->own_error ? f->own_error : keep_report(f, report);
	}
	munmap(f, sizeof(*f));
	return ret;
}

/* Numbers of the report that are not counters. */
static bool report_number(const struct quire_report *r, const char *name, uint64_t *value)
{
	const struct {
		const char *name;
		uint64_t value;
	} row[] = {
		{ "exit_status", (uint64_t)(WIFEXITED(r->status) ? WEXITSTATUS(r->status)
								 : 128 + WTERMSIG(r->status)) },
		{ "wall_ms", (uint64_t)(r->wall_s * 1000) },
		{ "user_ms", (uint64_t)(r->user_s * 1000) },
		{ "sys_ms", (uint64_t)(r->sys_s * 1000) },
		{ "quire_ms", (uint64_t)(r->inside_s * 1000) },
		{ "ram_kb", r->ram_kb },
		{ "anon_peak_kb", r->anon.peak_kb },
		{ "file_peak_kb", r->file.peak_kb },
		{ "pagetables_peak_kb", r->pagetables.peak_kb },
		{ "kernel_peak_kb", r->kernel.peak_kb },
		{ "swap_peak_kb", r->swap_peak_kb },
		{ "swap_errors", r->swap_errors },
		{ "host_mapped_kb", r->host_mapped_kb },
		{ "processes", r->processes },
		{ "killed_at_end", r->killed_at_end },
		{ "actions_done", r->actions_done },
		{ "actions_failed", r->actions_failed },
	};
	unsigned int i;

	for (i = 0; i < array_size(row); i++)
		if (!strcmp(row[i].name, name)) {
			*value = row[i].value;
			return true;
		}
	return false;
}

bool quire_report_value(const struct quire_report *r, const char *name, uint64_t *value)
{
	unsigned int i;

	for (i = 0; i < r->nr_counters; i++)
		if (!strcmp(r->counter[i].name, name)) {
			*value = r->counter[i].value;
			return true;
		}
	return report_number(r, name, value);
}

bool quire_report_knows(const char *name)
{
	static const struct quire_report none;
	uint64_t value;

	return stat_find(name) != NR_VM_STAT || report_number(&none, name, &value);
}

void quire_report_free(struct quire_report *r)
{
	free(r->counter);
	free(r->call);
	free(r->oom);
	free(r->node);
	*r = (struct quire_report){ 0 };
}
