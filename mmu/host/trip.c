/*
 * trip.c - the manager's side of the agent: post system calls, hand them over, wait.
 *
 * Why     One trip costs two context switches however many commands it carries.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mmu/host/host.h"

/* A killed agent is a zombie until it is reaped. */
static bool is_dead(pid_t agent)
{
	siginfo_t info = { 0 };

	if (agent <= 0 || kill(agent, 0) < 0)
		return true;
	return waitid(P_PID, (id_t)agent, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       info.si_pid;
}

/* Without its agent the program could only wait for ever. */
static void mourn(struct space *s)
{
	s->gone = true;
	kill(s->comm->program, SIGKILL);
}

void agent_died(struct host *h, pid_t pid)
{
	struct space *s;

	list_for_each_entry(s, &h->spaces, struct space, all)
		if (s->comm && !s->gone && s->comm->agent == pid)
			mourn(s);
}

static void wait_done(struct space *s, u32 want)
{
	struct timespec patience = { 0, 100000000 };
	u32 done;

	while ((done = __atomic_load_n(&s->comm->done, __ATOMIC_ACQUIRE)) != want) {
		long r = syscall(SYS_futex, &s->comm->done, FUTEX_WAIT, done, &patience, NULL, 0);

		if (r < 0 && errno == ETIMEDOUT && is_dead(s->comm->agent)) {
			mourn(s);
			return;
		}
	}
}

int agent_run(struct space *s)
{
	int err = 0;
	unsigned int i;

	if (!s->posted)
		return 0;
	if (!s->comm || s->gone) {
		s->posted = 0;
		return -ESRCH;
	}
	s->comm->nr = s->posted;
	s->posted = 0;
	s->host->agent_trips++;
	s->host->agent_commands += s->comm->nr;
	__atomic_add_fetch(&s->comm->seq, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &s->comm->seq, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
	wait_done(s, s->comm->seq);
	for (i = 0; i < s->comm->nr && !err; i++)
		if (s->comm->command[i].result < 0 && s->comm->command[i].result > -4096)
			err = (int)s->comm->command[i].result;
	return s->gone ? -ESRCH : err;
}

struct comm_command *agent_post(struct space *s, s64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	struct comm_command *k;

	if (!s->comm)
		return NULL;
	if (s->posted == COMM_COMMANDS)
		(void)agent_run(s);
	k = &s->comm->command[s->posted++];
	*k = (struct comm_command){ .nr = nr, .arg = { a, b, c, d, e, f } };
	return k;
}

void agent_end(struct space *s)
{
	struct comm *c;

	if (s->slot < 0)
		return;
	c = (struct comm *)(void *)(s->host->comm_base + (u64)s->slot * COMM_SIZE);
	if (c->agent > 0) {
		kill(c->agent, SIGKILL);
		if (s->host->nr_dying < DYING_MAX)
			s->host->dying[s->host->nr_dying++] = c->agent;
	}
	c->generation = (c->generation + 1) & 0xffffff; /* one that is just beginning ends itself */
	syscall(SYS_futex, &c->seq, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}
