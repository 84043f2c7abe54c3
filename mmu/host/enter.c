/*
 * enter.c - is the caller ours already? If not, its image is taken over first.
 *
 * How     A process is entered at its first call after exec, and a forked child at its first call.
 *         Until then its calls go on natively.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "mmu/host/host.h"

/* Has the process another image than when it called execve? */
static bool image_changed(struct proc *p)
{
	if (!p->space)
		return true;
	return p->space->comm ? !proc_same_vm(p->pid, p->space->agent) : !space_alive(p->space);
}

static void begin_takeover(struct proc *p, const struct deferred *n, struct space *s)
{
	int err = takeover_begin(p, n, s);

	if (!err)
		return;
	if (ioctl(p->host->notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) == 0) /* else killed */
		host_log(p->host, "cannot enter process %d: %s", p->pid, strerror(-err));
	kill(p->pid, SIGKILL);
	reply_value(p->host, n->id, -EPERM);
}

/* True where the notification was about becoming ours, and is answered. */
bool enter_process(struct proc *p, const struct deferred *n)
{
	bool exec = n->nr == SYS_execve || n->nr == SYS_execveat;
	unsigned int cpu = p->space ? p->space->cpu : 0;
	struct host *h = p->host;
	struct mm *mm;

	if (p->takeover == TAKEOVER_STUB) { /* the stub's own mmap */
		reply_continue(h, n->id);
		return true;
	}
	if (p->exec_pending && !(exec && !p->space)) {
		/* Other threads call until the exec takes effect, which says nothing about it. */
		if (image_changed(p)) {
			p->exec_pending = 0;
			proc_drop_space(p);
			mm = mm_create(&h->machine);
			if (!mm) {
				kill(p->pid, SIGKILL);
				return true;
			}
			space_create(h, mm)->cpu = cpu;
			begin_takeover(p, n, space_of(mm));
			return true;
		}
		if (p->exec_pending == n->pid)
			p->exec_pending = 0; /* it failed, and its caller goes on */
	}
	if (!p->space) {
		if (exec)
			p->exec_pending = n->pid;
		reply_continue(h, n->id);
		return true;
	}
	if (!p->space->comm && !exec) {
		begin_takeover(p, n, p->space);
		return true;
	}
	return false;
}
