/*
 * trip.c - the manager's side of the agent: post system calls, hand them over, wait.
 *
 * How     agent_post() collects commands; agent_run() has them done and waits, agent_go() does not
 *         wait: the agent itself lets the faulting thread go on, and the manager is free for
 *         the next event. The next use of the agent, or of what it changes, waits first.
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

#include "mmu/host/cleanup.h"
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
		if (s->comm && !s->gone && s->agent == pid)
			mourn(s);
}

/* Nobody is left who would end us, and the agent may never answer. */
static void leave_if_alone(const struct host *h)
{
	if (getppid() == h->supervisor)
		return;
	cleanup_descendants();
	_exit(125);
}

static void wait_done(struct space *s, u32 want)
{
	struct timespec patience = { 0, 100000000 };
	u32 done;

	while ((done = __atomic_load_n(&s->comm->done, __ATOMIC_ACQUIRE)) != want) {
		long r;

		if (s->staged && events_take_notes(s)) /* it waits for us, too */
			continue;
		r = syscall(SYS_futex, &s->comm->done, FUTEX_WAIT, done, &patience, NULL, 0);

		if (r == 0 || errno != ETIMEDOUT)
			continue;
		leave_if_alone(s->host);
		if (is_dead(s->agent)) {
			mourn(s);
			break;
		}
	}
	s->staged = 0;
}

static bool failed(s64 result)
{
	return result < 0 && result > -4096;
}

/* The first error of what was done; what concerns windows is put right by space.c. */
static int collect(struct space *s)
{
	struct comm *c = s->comm;
	int err = 0;
	unsigned int i;

	for (i = 0; i < c->nr; i++) {
		s64 result = c->command[i].result;

		if (failed(result) && c->careful)
			result = space_command_failed(s, &c->command[i]);
		if (failed(result) && !err)
			err = (int)result;
	}
	return err;
}

static void hand_over(struct space *s, vaddr_t fault)
{
	struct comm *c = s->comm;

	c->nr = s->posted;
	c->careful = s->careful;
	c->wake.start = fault;
	c->wake.len = fault ? PAGE_SIZE : 0;
	s->posted = 0;
	s->careful = false;
	s->host->agent_trips++;
	s->host->agent_commands += c->nr;
	__atomic_add_fetch(&c->seq, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &c->seq, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

int agent_sync(struct space *s)
{
	if (!s->in_flight)
		return 0;
	s->in_flight = false;
	wait_done(s, s->comm->seq);
	return s->gone ? -ESRCH : collect(s);
}

int agent_run(struct space *s)
{
	if (!s->posted)
		return 0;
	if (!s->comm || s->gone) {
		s->posted = 0;
		return -ESRCH;
	}
	hand_over(s, 0);
	wait_done(s, s->comm->seq);
	return s->gone ? -ESRCH : collect(s);
}

void agent_go(struct space *s, vaddr_t fault)
{
	if (!s->posted || s->gone) {
		s->posted = 0;
		return;
	}
	hand_over(s, fault);
	s->in_flight = true;
}

struct comm_command *agent_post(struct space *s, s64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	struct comm_command *k;

	if (!s->comm)
		return NULL;
	(void)agent_sync(s);
	if (s->posted == COMM_COMMANDS)
		(void)agent_run(s);
	k = &s->comm->command[s->posted++];
	*k = (struct comm_command){ .nr = nr, .arg = { a, b, c, d, e, f } };
	return k;
}

void agent_post_uffd(struct space *s, u64 request, u64 start, u64 len, u64 mode)
{
	struct comm_command *k = agent_post(s, SYS_ioctl, 0, request, 0, start, len, mode);

	if (!k)
		return;
	k->arg[0] = (u64)s->comm->agent_uffd;
	k->arg[2] = AGENT_COMM + (u64)((u8 *)&k->arg[3] - (u8 *)s->comm);
	s->careful = true;
}

void agent_end(struct space *s)
{
	struct comm *c;

	if (s->slot < 0)
		return;
	c = (struct comm *)(void *)(s->host->comm_base + (u64)s->slot * COMM_SIZE);
	if (s->agent > 0) {
		kill(s->agent, SIGKILL);
		if (s->host->nr_dying < DYING_MAX)
			s->host->dying[s->host->nr_dying++] = s->agent;
		s->agent = 0;
	}
	c->generation = (c->generation + 1) & 0xffffff; /* one that is just beginning ends itself */
	syscall(SYS_futex, &c->seq, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}
