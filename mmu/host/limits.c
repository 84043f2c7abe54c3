/*
 * limits.c - RLIMIT_AS and RLIMIT_DATA, which the core applies and the host must not.
 *
 * How     The host counts backdrop, terabytes of it, so that under any limit no image could be
 *         taken over. Both limits are therefore lifted on the host, remembered for each process,
 *         inherited by its children, and told to whoever asks.
 * Why     Linux: do_prlimit(), may_expand_vm().
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "fault/fault.h"
#include "mmu/host/request.h"

#define CAP_SYS_RESOURCE_BIT 24

/* The limit is lifted, as far as the host lets us, and `was` is what it was. */
static void lift(int resource, const char *option, struct rlimit *was)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	if (getrlimit((unsigned int)resource, was) < 0 || was->rlim_cur == RLIM_INFINITY ||
	    setrlimit((unsigned int)resource, &none) == 0)
		return;
	none.rlim_max = was->rlim_max;
	if (setrlimit((unsigned int)resource, &none) < 0)
		host_fail("Quire needs terabytes of address space and is started with a limit of "
			  "%llu KiB, which cannot be lifted: use ulimit %s unlimited",
			  (unsigned long long)was->rlim_cur >> 10, option);
}

void limits_lift(struct host *h)
{
	lift(RLIMIT_AS, "-v", &h->limits.as);
	lift(RLIMIT_DATA, "-d", &h->limits.data);
}

void limits_read(struct proc *p)
{
	struct mm *mm = p->space->mm;
	struct rlimit lim;

	mm->rlimit_as = p->limits.as.rlim_cur;
	mm->rlimit_data = p->limits.data.rlim_cur;
	if (prlimit(p->pid, RLIMIT_STACK, NULL, &lim) == 0)
		mm->rlimit_stack = lim.rlim_cur;
	p->limits_stale = false;
}

static bool may_raise(pid_t pid)
{
	unsigned long long caps = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (f)
		fclose(f);
	return caps >> CAP_SYS_RESOURCE_BIT & 1;
}

static s64 set_limit(struct request *r, struct proc *p, struct rlimit *lim, vaddr_t from)
{
	struct rlimit new;

	if (fault_copy_out(r->mm, from, &new, sizeof(new)) < 0)
		return -EFAULT;
	if (new.rlim_cur > new.rlim_max)
		return -EINVAL;
	if (new.rlim_max > lim->rlim_max && !may_raise(r->n->pid))
		return -EPERM;
	*lim = new;
	p->limits_stale = true;
	return 0;
}

s64 on_limits(struct request *r)
{
	bool both = r->n->nr == SYS_prlimit64;
	const u64 *a = r->n->arg + both;
	vaddr_t set = r->n->nr == SYS_getrlimit ? 0 : a[1];
	vaddr_t get = both ? a[2] : r->n->nr == SYS_getrlimit ? a[1] : 0;
	struct proc *p = both && r->n->arg[0] ? proc_find(r->host, (pid_t)r->n->arg[0]) : r->proc;
	struct rlimit *lim, old;
	s64 err = 0;

	if (!p)
		return NATIVE;
	if (a[0] != RLIMIT_AS && a[0] != RLIMIT_DATA) {
		p->limits_stale = true;
		return NATIVE;
	}
	lim = a[0] == RLIMIT_AS ? &p->limits.as : &p->limits.data;
	old = *lim;
	if (set || r->n->nr == SYS_setrlimit)
		err = set_limit(r, p, lim, set);
	if (!err && (get || r->n->nr == SYS_getrlimit))
		err = fault_copy_in(r->mm, get, &old, sizeof(old));
	return err;
}
