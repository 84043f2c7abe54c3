/*
 * events.c - the manager's loop: faults, calls, deaths, signals, and background work in between.
 *
 * How     One thread, one epoll set. Faults are answered before calls: a thread that waits for a
 *         fault inside a system call cannot be interrupted. Background steps run when nothing
 *         waits.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fault/fault.h"
#include "mmu/host/control.h"
#include "mmu/host/host.h"
#include "mmu/host/shadow.h"
#include "reclaim/reclaim.h"

#define MSG_BATCH 16
#define SAMPLE_NS 20000000ull

u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
}

void host_add_uffd(struct space *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (u64)(uintptr_t)s | 2 };

	epoll_ctl(s->host->epoll_fd, EPOLL_CTL_ADD, s->uffd, &ev);
}

static u64 kernel_pages(struct machine *m)
{
	return stat_read(&m->phys.stat, NR_SLAB_RECLAIMABLE) +
	       stat_read(&m->phys.stat, NR_SLAB_UNRECLAIMABLE);
}

static void note_peaks(struct host *h)
{
	struct machine *m = &h->machine;
	unsigned int i;

	h->now[USE_ANON] =
		stat_read(&m->phys.stat, NR_ANON_MAPPED) + stat_read(&m->phys.stat, NR_SHMEM);
	h->now[USE_FILE] = stat_read(&m->phys.stat, NR_FILE_MAPPED);
	h->now[USE_TABLE] = stat_read(&m->phys.stat, NR_PAGETABLE);
	h->now[USE_KERNEL] = kernel_pages(m);
	for (i = 0; i < NR_USE; i++)
		h->peak[i] = max_u64(h->peak[i], h->now[i]);
}

static void sample(struct host *h, u64 now)
{
	unsigned int i;

	note_peaks(h);
	for (i = 0; i < NR_USE; i++)
		h->sum[i] += h->now[i];
	h->samples++;
	h->next_sample_ns = now + SAMPLE_NS;
	if (h->on_sample)
		h->on_sample(h);
}

/*
 * A write where the area allows reading. The page itself comes, with the area's rights: the host
 * then refuses the write, and whoever reads there later sees what the page holds.
 */
static void refuse_write(struct space *s, vaddr_t addr)
{
	enum fault_result r = fault_handle(s->mm, addr, ACCESS_READ);

	if (r == FAULT_DONE)
		space_wake(s, addr);
	else
		space_bad_access(s, addr, r == FAULT_SIGBUS ? BAD_BUS : BAD_ACCERR);
}

/*
 * Between the core's fork and the host's the two must see the same mappings: a fault of the
 * parent, which could change them, waits.
 */
static void hold_fault(struct space *s, vaddr_t addr, u64 flags)
{
	if (s->nr_held == s->max_held) {
		s->max_held = s->max_held ? 2 * s->max_held : 16;
		s->held = realloc(s->held, s->max_held * sizeof(*s->held));
		if (!s->held)
			host_fail("out of host memory");
	}
	s->held[s->nr_held++] = (struct held_fault){ addr, flags };
}

#define PATIENCE_NS 1000000000ull

/*
 * A child just forked holds all pages that it shares with its parent, until it has its agent. Who
 * lacks room meanwhile waits, and leaves the child the CPU; but not for one that does not come.
 */
static bool waits_for_newborn(const struct space *s)
{
	const struct space *newborn = s->host->newborn;

	return s->starved && newborn && newborn != s && now_ns() - newborn->forked_ns < PATIENCE_NS;
}

/* What a thread gets when its access cannot be granted. */
static void fault_failed(struct space *s, vaddr_t addr, u64 flags, enum fault_result r)
{
	switch (r) {
	case FAULT_SEGV_MAPERR:
		space_bad_access(s, addr, BAD_MAPERR);
		break;
	case FAULT_SEGV_ACCERR:
		refuse_write(s, addr);
		break;
	case FAULT_SIGBUS:
		space_bad_access(s, addr, BAD_BUS);
		break;
	case FAULT_NO_ROOM:
		s->starved = s->host->newborn != NULL;
		if (waits_for_newborn(s)) {
			hold_fault(s, addr, flags);
			break;
		}
		(void)reclaim_pages(&s->host->machine, 64);
		space_wake(s, addr); /* it faults again */
		break;
	default:
		if (!s->mm->oom_victim)
			proc_kill(s->mm, "out of memory");
		s->mm->oom_victim = true;
		oom_reap(s->mm);
	}
}

/* A bounded step of what has time. What moves frames only to have them in order, has most. */
static bool background(struct host *h)
{
	if (h->replacing && !h->machine.phys.kswapd_wanted)
		return false;
	space_settle(h);
	return machine_tick(&h->machine);
}

/*
 * With a seed, background work depends on the program's own events alone, not on their timing. A
 * fault that only shows that a thread was faster than the agent is none.
 */
static void take_turn(struct host *h)
{
	if (!h->turn_due)
		return;
	h->turn_due = false;
	h->turns++;
	while (background(h))
		;
}

static void handle_fault(struct space *s, vaddr_t addr, u64 flags)
{
	bool write = flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP);
	enum fault_result r;
	u32 *sh;

	s->host->nr_faults++;
	if (s->host->replacing != s)
		space_settle(s->host);
	if (s->mm->oom_victim || s->gone)
		return;
	addr &= PAGE_MASK;
	sh = shadow_find(s, addr);
	if (s->in_flight) {
		if (agent_sync(s) < 0 && !s->gone) {
			fault_failed(s, addr, flags, FAULT_NO_ROOM);
			return;
		}
		if (sh && *sh & SHADOW_INSTALLED) { /* just now, after the access */
			space_wake(s, addr);
			return;
		}
	}
	take_turn(s->host);
	s->fault_addr = addr;
	s->host->served = s;
	s->host->cpu = s->cpu;
	s->woken = false;
	/* The host said what it had, a moment ago: it may have the page by now. */
	s->absent = !(flags & UFFD_PAGEFAULT_FLAG_WP);
	if (sh && !s->absent)
		*sh |= SHADOW_WP;
	r = fault_handle(s->mm, addr, write ? ACCESS_WRITE : ACCESS_READ);
	if (r != FAULT_DONE)
		fault_failed(s, addr, flags, r);
	else if (!s->woken)
		space_wake(s, addr);
	s->fault_addr = 0;
	s->host->served = NULL;
	s->absent = false;
	note_peaks(s->host);
}

static void release_held(struct space *s)
{
	struct held_fault f;

	while (s->nr_held && !space_is_forking(s) && !waits_for_newborn(s)) {
		f = s->held[--s->nr_held];
		handle_fault(s, f.addr, f.flags);
	}
}

void events_fork_failed(struct host *h)
{
	struct space *parent = h->newborn->forked_from;

	space_destroy(h->newborn);
	release_held(parent);
}

/* The forked child's own channel; its process is met at its first event. */
static void note_fork(struct space *parent, int uffd)
{
	struct host *h = parent->host;

	if (!space_is_forking(parent)) {
		close(uffd);
		return;
	}
	h->newborn->uffd = uffd;
	h->newborn->forked_from = NULL;
	host_add_uffd(h->newborn);
	h->forked = parent;
}

/* Pages that the host writes at a thread's end are the parent's own again; its faults go on. */
static void settle_fork(struct host *h)
{
	struct space *parent = h->forked;
	unsigned int i;

	if (!parent)
		return;
	h->forked = NULL;
	for (i = 0; i < parent->nr_pinned; i++)
		if (vma_at(parent->mm, parent->pinned[i]))
			(void)fault_handle(parent->mm, parent->pinned[i], ACCESS_WRITE);
	release_held(parent);
}

static void handle_pagefault(struct space *s, const struct uffd_msg *msg)
{
	struct host *h = s->host;
	pid_t tid = (pid_t)msg->arg.pagefault.feat.ptid;

	if (s == h->newborn && !s->users)
		(void)proc_of(h, tid);
	if (space_is_forking(s) && tid == h->newborn->forker)
		events_fork_failed(h); /* it is back from a fork that told us nothing */
	if (space_is_forking(s))
		hold_fault(s, msg->arg.pagefault.address, msg->arg.pagefault.flags);
	else
		handle_fault(s, msg->arg.pagefault.address, msg->arg.pagefault.flags);
}

enum reading { HANDLE, TAKE_NOTES };

static bool read_messages(struct space *s, enum reading how)
{
	struct uffd_msg msg[MSG_BATCH];
	ssize_t n = read(s->uffd, msg, sizeof(msg));
	ssize_t i;

	if (n <= 0)
		return false;
	/* What is handled next may wait for the agent, which waits no more. */
	for (i = 0; i < n / (ssize_t)sizeof(*msg); i++)
		if (msg[i].event == UFFD_EVENT_REMAP && s->staged)
			s->staged--;
	for (i = 0; i < n / (ssize_t)sizeof(*msg); i++) {
		if (msg[i].event == UFFD_EVENT_FORK)
			note_fork(s, (int)msg[i].arg.fork.ufd);
		else if (msg[i].event == UFFD_EVENT_PAGEFAULT && how == HANDLE)
			handle_pagefault(s, &msg[i]);
		else if (msg[i].event == UFFD_EVENT_PAGEFAULT)
			hold_fault(s, msg[i].arg.pagefault.address, msg[i].arg.pagefault.flags);
	}
	if (how == HANDLE)
		settle_fork(s->host);
	return true;
}

static bool handle_messages(struct space *s)
{
	return read_messages(s, HANDLE);
}

bool events_take_notes(struct space *s)
{
	struct pollfd fd = { .fd = s->uffd, .events = POLLIN };

	/* The fork that is under way may need this CPU to get to where it tells us. */
	(void)poll(&fd, 1, 10);
	return read_messages(s, TAKE_NOTES);
}

void events_drain(struct space *s)
{
	while (handle_messages(s))
		;
}

static bool handle_notification(struct host *h)
{
	struct seccomp_notif req = { 0 };
	struct deferred n;

	if (ioctl(h->notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
		return false;
	h->nr_notifications++;
	n = (struct deferred){ .id = req.id,
			       .pid = (pid_t)req.pid,
			       .nr = req.data.nr,
			       .ip = req.data.instruction_pointer };
	memcpy(n.arg, req.data.args, sizeof(n.arg));
	take_turn(h);
	calls_handle(h, &n);
	return true;
}

void events_call_later(struct host *h, const struct deferred *n)
{
	if (h->nr_later == h->max_later) {
		h->max_later = h->max_later ? 2 * h->max_later : 16;
		h->later = realloc(h->later, h->max_later * sizeof(*h->later));
		if (!h->later)
			host_fail("out of host memory");
	}
	h->later[h->nr_later++] = *n;
}

/* Calls that waited for a fork to be done, or for the last child to be ready, may wait again. */
static void retry_later(struct host *h)
{
	unsigned int n = h->nr_later, i;

	for (i = 0; i < n; i++) {
		struct deferred call = h->later[i];

		/* A signal may have ended the call, or its thread. */
		if (ioctl(h->notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &call.id) == 0)
			calls_handle(h, &call);
	}
	h->nr_later -= n;
	if (h->nr_later) /* there may be no queue yet */
		memmove(h->later, h->later + n, h->nr_later * sizeof(*h->later));
}

static void forget_dying(struct host *h, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < h->nr_dying; i++)
		if (h->dying[i] == pid)
			h->dying[i--] = h->dying[--h->nr_dying];
}

static void reap_children(struct host *h)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		forget_dying(h, pid);
		agent_died(h, pid);
		if (pid == h->first_pid) {
			h->first_status = status;
			h->first_ended = true;
		}
	}
}

/*
 * The supervisor passes on what was sent to it. The terminal's own SIGINT and SIGQUIT reach the
 * program without us.
 */
static bool to_be_forwarded(const struct host *h, const struct signalfd_siginfo *info)
{
	if (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT)
		return info->ssi_code == SI_USER && (pid_t)info->ssi_pid == h->supervisor;
	return true;
}

static void handle_signal(struct host *h)
{
	struct signalfd_siginfo info;

	while (read(h->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap_children(h);
		else if (getppid() != h->supervisor)
			h->done = true; /* the supervisor was killed: end everything */
		else if (h->first_pid > 0 && to_be_forwarded(h, &info))
			kill(h->first_pid, (int)info.ssi_signo);
	}
}

static void dispatch(struct host *h, const struct epoll_event *ev)
{
	u64 tag = ev->data.u64 & 3;
	void *ptr = (void *)(uintptr_t)(ev->data.u64 & ~3ull);

	if (tag != 2)
		space_settle(h);
	if (tag == 1)
		proc_exit(ptr);
	else if (tag == 2)
		handle_messages(ptr);
	else if (ev->data.u64 == 0 && ev->events & EPOLLIN)
		handle_notification(h);
	else if (ev->data.u64 == 0) /* nobody is left who could call */
		epoll_ctl(h->epoll_fd, EPOLL_CTL_DEL, h->notify_fd, NULL);
	else if (control_is_event(ev->data.u64))
		control_event(h, ev->data.u64);
	else
		handle_signal(h);
}

/* Faults first, then calls, deaths last: an event may end what a later one names. */
static void dispatch_all(struct host *h, struct epoll_event *ev, int n)
{
	static const u64 order[] = { 2, 0, 1 };
	unsigned int pass;
	int i;

	for (i = 0; i < n; i++)
		if ((ev[i].data.u64 & 3) == 1) {
			sample(h, now_ns()); /* while the dying process still has its memory */
			break;
		}
	for (pass = 0; pass < array_size(order); pass++)
		for (i = 0; i < n; i++)
			if ((ev[i].data.u64 & 3) == order[pass])
				dispatch(h, &ev[i]);
}

/* Faults noted in the middle of something else. */
static void release_noted(struct host *h)
{
	struct space *s;

	list_for_each_entry(s, &h->spaces, struct space, all)
		if (s->nr_held && !space_is_forking(s) && !waits_for_newborn(s)) {
			s->starved = false;
			release_held(s);
		}
}

/* The machine lives as long as its first process, or, if asked for, as any. */
static bool ended(const struct host *h)
{
	return h->done || (h->first_ended && !(h->config->wait_all && (h->nr_procs || h->newborn)));
}

int host_loop(struct host *h)
{
	struct epoll_event ev[32];
	bool more = false;

	h->next_sample_ns = 0;
	while (!ended(h)) {
		int idle_ms = control_tick(h, h->newborn ? 20 : 200);
		int n = epoll_wait(h->epoll_fd, ev, array_size(ev), more ? 0 : idle_ms);
		u64 start = now_ns();

		if (n < 0 && errno != EINTR)
			host_fail("waiting for events: %s", strerror(errno));
		h->turn_due = h->config->seeded;
		if (n > 0)
			dispatch_all(h, ev, n);
		if (h->newborn && h->newborn->uffd >= 0 && !space_alive(h->newborn) &&
		    !h->newborn->users)
			space_destroy(h->newborn);
		settle_fork(h);
		release_noted(h);
		retry_later(h);
		more = h->config->seeded ? false : background(h);
		if (start >= h->next_sample_ns) {
			sample(h, start);
			herd_tick(h, start);
		}
		h->busy_ns += now_ns() - start;
	}
	return 0;
}
