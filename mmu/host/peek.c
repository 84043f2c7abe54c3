/*
 * peek.c - a debugger looks at another process's memory.
 *
 * How     PTRACE_PEEK and /proc/PID/mem do not wait for a userfaultfd: on the host they fail
 *         on a page that is not there. So those calls are reported, and the pages are made present
 *         before the host goes on, and held until the caller is seen again. A pread() is taken for
 *         one of /proc/PID/mem by its offset, which no file has. An image at addresses that a file
 *         could have (-no-pie) is locked into RAM while it is traced; its heap is not, and parts of
 *         it may be unreadable at times.
 * Why     Linux: access_process_vm(), mem_rw(). process_vm_readv() waits, and needs none of this.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "call/call.h"
#include "fault/fault.h"
#include "mmu/host/host.h"
#include "space/unmap.h"

#define PEEK_PAGES 64 /* of one call: gdb reads a page at most */
#define SEEK_PAGES 4 /* behind a position, for the read that follows */

static void drop_peeked(struct host *h, unsigned int i)
{
	struct page *page = h->peeked[i].page;

	h->nr_peeked--;
	memmove(&h->peeked[i], &h->peeked[i + 1], (h->nr_peeked - i) * sizeof(*h->peeked));
	page_put(&h->machine, page);
}

void peek_end(struct host *h, pid_t looker)
{
	unsigned int i = h->nr_peeked;

	while (i--)
		if (!looker || h->peeked[i].looker == looker)
			drop_peeked(h, i);
}

static void hold_page(struct proc *target, vaddr_t addr, pid_t looker)
{
	struct host *h = target->host;
	pte_t *pte = table_find(&target->space->mm->table, addr);
	struct page *page = pfn_to_page(&h->machine.phys, pte_pfn(*pte));

	if (h->nr_peeked == PEEKED_MAX)
		drop_peeked(h, 0);
	page->refcount++;
	h->peeked[h->nr_peeked++] = (struct peeked){ page, looker };
}

static void make_present(struct proc *target, vaddr_t addr, u64 len, enum access access,
			 pid_t looker)
{
	vaddr_t end = addr + min_u64(len, PEEK_PAGES * PAGE_SIZE);
	struct vma *vma;

	if (!target || !target->space || !target->space->comm || target->space->gone)
		return;
	for (addr &= PAGE_MASK; addr < end; addr += PAGE_SIZE) {
		vma = vma_at(target->space->mm, addr);
		if (!vma || (vma->flags & VM_PFNMAP))
			continue;
		/* A breakpoint in text is the host's own affair once the page is there. */
		if (fault_handle(target->space->mm, addr,
				 vma->flags & VM_WRITE ? access : ACCESS_READ) == FAULT_DONE)
			hold_page(target, addr, looker);
	}
}

/* The process whose /proc/PID/mem the caller's descriptor is, or NULL. */
static struct proc *mem_file(struct host *h, struct proc *caller, int fd)
{
	char path[64], name[64];
	int mine = (int)syscall(SYS_pidfd_getfd, caller->pidfd, fd, 0);
	int pid, used = 0;
	ssize_t n;

	if (mine < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mine);
	n = readlink(path, name, sizeof(name) - 1);
	close(mine);
	if (n <= 0)
		return NULL;
	name[n] = '\0';
	if (sscanf(name, "/proc/%d/%n", &pid, &used) != 1 || !used)
		return NULL;
	if (!strncmp(name + used, "task/", 5) && sscanf(name + used, "task/%d", &pid) != 1)
		return NULL;
	return strcmp(strrchr(name, '/'), "/mem") ? NULL : proc_of(h, pid);
}

static void hold_image(struct proc *target)
{
	struct vma *vma;
	vaddr_t addr = 0;
	struct mm *mm;
	u64 limit;

	if (!target || !target->space || !target->space->comm || target->space->gone)
		return;
	mm = target->space->mm;
	limit = mm->rlimit_memlock;
	mm->rlimit_memlock = ~0ull; /* it is not the program that locks */
	while ((vma = vma_find(mm, addr)) && vma->start < MEM_OFFSET_MIN) {
		addr = vma->end;
		if (vma->mapping && !(vma->flags & VM_PFNMAP))
			(void)call_mlock(mm, vma->start, vma->end - vma->start, 0);
	}
	mm->rlimit_memlock = limit;
}

void peek_new_image(struct proc *p)
{
	pid_t tgid, ppid, tracer;

	if (p->host->traced && proc_status(p->pid, &tgid, &ppid, &tracer) == 0 && tracer)
		hold_image(p);
}

void peek_prepare(struct host *h, struct proc *caller, const struct deferred *n)
{
	const u64 *a = n->arg;

	switch (n->nr) {
	case SYS_ptrace:
		h->traced = true;
		h->machine.knobs.collapse_faults = 0; /* breakpoints stay where they are */
		if (a[0] == PTRACE_TRACEME)
			break;
		if (a[0] == PTRACE_ATTACH || a[0] == PTRACE_SEIZE)
			hold_image(proc_of(h, (pid_t)a[1]));
		else
			make_present(proc_of(h, (pid_t)a[1]), a[2], sizeof(long),
				     a[0] == PTRACE_POKETEXT || a[0] == PTRACE_POKEDATA
					     ? ACCESS_WRITE
					     : ACCESS_READ,
				     n->pid);
		break;
	case SYS_pread64:
		make_present(mem_file(h, caller, (int)a[0]), a[3], a[2], ACCESS_READ, n->pid);
		break;
	case SYS_pwrite64:
		make_present(mem_file(h, caller, (int)a[0]), a[3], a[2], ACCESS_WRITE, n->pid);
		break;
	case SYS_lseek:
		make_present(mem_file(h, caller, (int)a[0]), a[1], SEEK_PAGES * PAGE_SIZE,
			     ACCESS_READ, n->pid);
		break;
	default:
		break;
	}
}
