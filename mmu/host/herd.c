/*
 * herd.c - on which CPUs the programs run.
 *
 * How     A program that faults often takes turns with the manager. Where waking a sleeping CPU is
 *         dear, both are best on one CPU: the herd is gathered there while events are many, and
 *         spread over all CPUs the program was given when they are few and there are threads to
 *         spread. The program never sees it: sched_getaffinity() tells what it would without.
 * Why     docs/decisions/002: a wake-up on an idle CPU costs 300 us on some virtual machines.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmu/host/host.h"

#define SPREAD_BELOW 1500 /* events per second */
#define GATHER_ABOVE 4000

static void herd_process(struct host *h, const struct proc *p, const cpu_set_t *mask)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	if (p->own_affinity)
		return;
	snprintf(path, sizeof(path), "/proc/%d/task", p->pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			sched_setaffinity(atoi(e->d_name), sizeof(*mask), mask);
	if (d)
		closedir(d);
	(void)h;
}

static void herd_move(struct host *h, bool gather)
{
	struct proc *p;
	int i;

	if (h->gathered == gather)
		return;
	h->gathered = gather;
	for (i = 0; i < PROC_HASH; i++)
		list_for_each_entry(p, &h->proc_hash[i], struct proc, hash)
			herd_process(h, p, gather ? &h->one_cpu : &h->all_cpus);
}

void herd_start(struct host *h)
{
	int cpu = sched_getcpu();

	CPU_ZERO(&h->all_cpus);
	h->mask_bytes = (int)syscall(SYS_sched_getaffinity, 0, sizeof(h->all_cpus), &h->all_cpus);
	CPU_ZERO(&h->one_cpu);
	CPU_SET(cpu < 0 ? 0 : cpu, &h->one_cpu);
	sched_setaffinity(0, sizeof(h->one_cpu), &h->one_cpu);
	h->gathered = true;
}

void herd_agent(struct host *h, pid_t agent)
{
	sched_setaffinity(agent, sizeof(h->one_cpu), &h->one_cpu);
	setpriority(PRIO_PROCESS, (id_t)agent, -20);
}

void herd_tick(struct host *h, u64 now)
{
	u64 events = h->nr_faults + h->nr_notifications;
	u64 rate, span = now - h->herd_ns;

	if (span < 20000000ull)
		return;
	rate = (events - h->herd_events) * 1000000000ull / span;
	h->herd_events = events;
	h->herd_ns = now;
	if (CPU_COUNT(&h->all_cpus) < 2)
		return;
	if (rate > GATHER_ABOVE || h->nr_tids < 2)
		herd_move(h, true);
	else if (rate < SPREAD_BELOW)
		herd_move(h, false);
}
