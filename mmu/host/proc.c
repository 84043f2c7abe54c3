/*
 * proc.c - which process a thread belongs to, and what the host knows about it.
 *
 * How     Threads are met at their first event; /proc tells their process. Ids are used again:
 *         whether a thread is still the process's is asked each time. A process that was not
 *         known is the child of one that forked, or shares its parent's memory (vfork).
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call/call.h"
#include "mmu/host/host.h"

static struct list_head *bucket(struct list_head *table, pid_t id)
{
	return &table[(unsigned int)id % PROC_HASH];
}

bool proc_same_vm(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0;
}

int proc_status(pid_t tid, pid_t *tgid, pid_t *ppid, pid_t *tracer)
{
	static const struct {
		const char *key;
		size_t len;
	} keys[] = { { "\nTgid:", 6 }, { "\nPPid:", 6 }, { "\nTracerPid:", 11 } };
	pid_t *values[] = { tgid, ppid, tracer };
	char path[64], text[1024];
	unsigned int i;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (i = 0; i < array_size(keys); i++) {
		const char *at = strstr(text, keys[i].key);

		*values[i] = at ? atoi(at + keys[i].len) : 0;
	}
	return *tgid ? 0 : -ESRCH;
}

vaddr_t proc_stack_pointer(pid_t tid)
{
	char path[64], text[256] = "";
	unsigned long long sp;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (got <= 0 || sscanf(text, "%*u %*x %*x %*x %*x %*x %*x %llx", &sp) != 1)
		return 0;
	return sp;
}

struct proc *proc_find(struct host *h, pid_t pid)
{
	struct proc *p;

	list_for_each_entry(p, bucket(h->proc_hash, pid), struct proc, hash)
		if (p->pid == pid)
			return p;
	return NULL;
}

static struct proc *proc_new(struct host *h, pid_t pid)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct proc *p = calloc(1, sizeof(*p));

	if (!p)
		host_fail("out of host memory");
	p->host = h;
	p->pid = pid;
	p->stub_mem = -1;
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	list_init(&p->tids);
	list_add(&p->hash, bucket(h->proc_hash, pid));
	h->nr_procs++;
	h->procs_seen++;
	ev.data.u64 = (u64)(uintptr_t)p | 1;
	if (p->pidfd >= 0)
		epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, p->pidfd, &ev);
	return p;
}

void proc_name(const struct proc *p, struct mm *mm)
{
	char path[64], comm[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", p->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, comm, sizeof(comm) - 1) : 0;
	if (fd >= 0)
		close(fd);
	while (n > 0 && comm[n - 1] == '\n')
		comm[--n] = '\0';
	snprintf(mm->comm, sizeof(mm->comm), "%.15s", comm);
	mm->pid = p->pid;
}

/* A process not met before: whose memory does it have? */
static void adopt(struct proc *p, pid_t parent_pid)
{
	struct host *h = p->host;
	struct proc *parent = proc_find(h, parent_pid);

	p->limits = parent ? parent->limits : h->limits;
	if (parent && parent->space && proc_same_vm(p->pid, parent->pid)) {
		p->space = parent->space;
		p->space->users++;
		return;
	}
	if (!h->newborn || h->newborn->users)
		return;
	p->space = h->newborn;
	p->limits = p->space->limits;
	p->space->users++;
	p->space->parent = NULL;
	proc_name(p, p->space->mm);
}

static struct tid *find_tid(struct host *h, pid_t tid)
{
	struct tid *t;

	list_for_each_entry(t, bucket(h->tid_hash, tid), struct tid, hash)
		if (t->tid == tid)
			return t;
	return NULL;
}

static void forget_tid(struct tid *t)
{
	t->proc->host->nr_tids--;
	peek_end(t->proc->host, t->tid);
	list_del(&t->hash);
	list_del(&t->proc_link);
	free(t);
}

struct proc *proc_of(struct host *h, pid_t tid)
{
	pid_t tgid, ppid, tracer;
	struct proc *p;
	struct tid *t;

	t = find_tid(h, tid);
	if (t && syscall(SYS_tgkill, t->proc->pid, tid, 0) == 0)
		return t->proc;
	if (t)
		forget_tid(t); /* the id may be somebody else's by now */
	if (proc_status(tid, &tgid, &ppid, &tracer) < 0)
		return NULL;
	p = proc_find(h, tgid);
	if (!p) {
		p = proc_new(h, tgid);
		adopt(p, ppid);
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		host_fail("out of host memory");
	t->tid = tid;
	t->proc = p;
	list_add(&t->hash, bucket(h->tid_hash, tid));
	list_add(&t->proc_link, &p->tids);
	h->nr_tids++;
	return p;
}

void proc_drop_space(struct proc *p)
{
	struct space *s = p->space;

	p->space = NULL;
	if (s && --s->users == 0)
		space_destroy(s);
}

void proc_end_stub(struct proc *p)
{
	if (p->stub_mem >= 0)
		close(p->stub_mem);
	p->stub_mem = -1;
}

void proc_exit(struct proc *p)
{
	struct host *h = p->host;
	struct tid *t, *after;

	proc_end_stub(p);
	if (p->pidfd >= 0)
		close(p->pidfd);
	list_for_each_entry_safe(t, after, &p->tids, struct tid, proc_link)
		forget_tid(t);
	if (p->incoming && p->incoming != p->space)
		space_destroy(p->incoming);
	proc_drop_space(p);
	list_del(&p->hash);
	h->nr_procs--;
	free(p);
}

static bool is_dead(const struct proc *p)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	return p->pidfd >= 0 && poll(&pfd, 1, 0) == 1;
}

unsigned int proc_count_alive(struct host *h)
{
	unsigned int n = 0;
	struct proc *p;
	int i;

	for (i = 0; i < PROC_HASH; i++)
		list_for_each_entry(p, &h->proc_hash[i], struct proc, hash)
			n += p->pidfd >= 0 && !is_dead(p);
	return n;
}

void proc_release_dead(struct host *h)
{
	struct proc *p;
	int i;

	for (i = 0; i < PROC_HASH; i++)
		list_for_each_entry(p, &h->proc_hash[i], struct proc, hash) {
			struct space *s = p->space;

			if (!s || s->users != 1 || s->agent <= 0 || !is_dead(p))
				continue;
			s->gone = true;
			agent_end(s);
		}
	while (h->nr_dying)
		(void)waitpid(h->dying[--h->nr_dying], NULL, __WALL);
}

void proc_refresh(struct mm *mm)
{
	char path[64], text[32] = "";
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", mm->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0)
		mm->oom_score_adj = atoi(text);
	if (fstat(fd, &st) == 0)
		mm->uid = (int)st.st_uid; /* the effective one, unless it is not dumpable: root */
	close(fd);
}

void proc_kill(struct mm *mm, const char *why)
{
	(void)why;
	if (mm->pid > 0)
		kill(mm->pid, SIGKILL);
}
