/*
 * herd.c - on which CPUs the programs run.
 *
 * How     A program that faults often takes turns with the manager. Where waking a sleeping CPU is
 *         dear, both are best on one CPU: the herd is gathered there while events are many, and
 *         spread over all CPUs the program was given when they are few and there are threads to
 *         spread. How many are many depends on what a wake-up costs here, which is measured once
 *         there is something to decide. The program never sees it: sched_getaffinity() tells what
 *         it would without.
 * Why     docs/decisions/002: a wake-up on an idle CPU costs 300 us on some virtual machines, a few
 *         us on others.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmu/host/host.h"

/* Gathered above so many events a second that their wake-ups would cost most of a CPU. */
#define GATHER_NS      700000000ull
#define GATHER_LEAST   4000
#define GATHER_MOST    200000
#define SPREAD_PERCENT 40 /* spread below this share of it */

#define WAKE_ROUNDS   3
#define WAKE_PAUSE_NS 50000ull /* until the other CPU sleeps */
#define WAKE_MOST_NS  2000000ull

/* A thread on another CPU that is woken, and says so. */
struct sleeper {
	const cpu_set_t *cpus;
	_Atomic u32 call, answer;
};

static void *sleep_and_answer(void *arg)
{
	struct sleeper *s = arg;
	u32 round;

	sched_setaffinity(0, sizeof(*s->cpus), s->cpus);
	for (round = 1; round <= WAKE_ROUNDS; round++) {
		s->answer = 2 * round - 1; /* about to sleep */
		while (s->call < round)
			syscall(SYS_futex, &s->call, FUTEX_WAIT_PRIVATE, round - 1, NULL, NULL, 0);
		s->answer = 2 * round;
	}
	return NULL;
}

static void spin_until(const struct sleeper *s, u32 answer, u64 from, u64 most)
{
	while (s->answer < answer && now_ns() - from < most)
		;
}

/* What it costs to wake a CPU that sleeps: the middle one of three times. */
static u64 wake_cost(const struct host *h)
{
	cpu_set_t others = h->all_cpus;
	struct sleeper s = { &others, 0, 0 };
	u64 cost[WAKE_ROUNDS], start;
	pthread_t thread;
	u32 round;

	CPU_XOR(&others, &h->all_cpus, &h->one_cpu);
	CPU_AND(&others, &others, &h->all_cpus);
	if (!CPU_COUNT(&others) || pthread_create(&thread, NULL, sleep_and_answer, &s))
		return 0;
	for (round = 1; round <= WAKE_ROUNDS; round++) {
		spin_until(&s, 2 * round - 1, now_ns(), WAKE_MOST_NS);
		start = now_ns();
		while (now_ns() - start < WAKE_PAUSE_NS)
			;
		start = now_ns();
		s.call = round;
		syscall(SYS_futex, &s.call, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
		spin_until(&s, 2 * round, start, WAKE_MOST_NS);
		cost[round - 1] = now_ns() - start;
	}
	pthread_join(thread, NULL);
	return max_u64(min_u64(cost[0], cost[1]), min_u64(max_u64(cost[0], cost[1]), cost[2]));
}

static void set_limits(struct host *h)
{
	u64 cost = wake_cost(h);
	u64 most = cost ? GATHER_NS / cost : GATHER_LEAST;

	h->gather_above = max_u64(GATHER_LEAST, min_u64(most, GATHER_MOST));
	if (h->verbose)
		host_log(h,
			 "waking a CPU costs %llu us: one CPU for all above %llu events a second",
			 (unsigned long long)cost / 1000, (unsigned long long)h->gather_above);
}

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
	if (h->nr_tids >= 2 && !h->gather_above)
		set_limits(h);
	if (h->nr_tids < 2 || rate > h->gather_above)
		herd_move(h, true);
	else if (rate < h->gather_above * SPREAD_PERCENT / 100)
		herd_move(h, false);
}
