/*
 * calls.c - intercepted system calls: the core decides, the answer is the call's result.
 *
 * How     calls_handle() finds the process, brings its image in if need be, and looks the call up
 *         in a table. Calls on memory that the host maps itself (shared files) go on natively.
 * Why     Linux: seccomp user notification.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "call/call.h"
#include "fault/fault.h"
#include "mmu/host/file.h"
#include "mmu/host/request.h"
#include "mmu/host/shadow.h"
#include "move/migrate.h"

static void reply(struct host *h, struct seccomp_notif_resp *resp)
{
	/* ENOENT: the caller was killed meanwhile. */
	ioctl(h->notify_fd, SECCOMP_IOCTL_NOTIF_SEND, resp);
}

void reply_value(struct host *h, u64 id, s64 value)
{
	struct seccomp_notif_resp resp = { .id = id };

	if (value < 0 && value > -4096)
		resp.error = (s32)value;
	else
		resp.val = value;
	reply(h, &resp);
}

void reply_continue(struct host *h, u64 id)
{
	struct seccomp_notif_resp resp = { .id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	reply(h, &resp);
}

/* Is any of the range an area of ours, or covered by backdrop? Else the host knows better. */
static bool managed(struct request *r, vaddr_t addr, u64 len)
{
	struct vma *vma = vma_find(r->mm, addr & PAGE_MASK);
	struct space *s = space_of(r->mm);
	u32 *sh;

	for (; vma && vma->start < addr + len; vma = vma_next(vma))
		return !(vma->flags & VM_PFNMAP);
	sh = shadow_find(s, addr);
	return ((sh ? *sh : shadow_default(s, addr)) & SHADOW_KIND) != SHADOW_HOLE;
}

/* Does the range touch the addresses of the agent, which the program cannot have? */
static bool meets_agent(vaddr_t addr, u64 len)
{
	return addr < AGENT_ZONE_END && (addr >= AGENT_BASE || len > AGENT_BASE - addr);
}

/* The host maps [addr, addr + len) itself from now on; the place is kept in our tree. */
static s64 map_native(struct request *r, const struct map_request *asked, enum outside what)
{
	vaddr_t addr = asked->addr;
	u64 len = asked->len;
	u32 flags = asked->flags;
	struct map_request req = { .addr = addr,
				   .len = len,
				   .flags = MAP_SHARED | MAP_FIXED,
				   .prot = PROT_READ | PROT_WRITE,
				   .vm_flags = VM_PFNMAP };

	r->host->outside[what] += len;
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return NATIVE;
	if ((flags & MAP_FIXED_NOREPLACE) && vma_find(r->mm, addr) &&
	    vma_find(r->mm, addr)->start < addr + len)
		return -EEXIST;
	len = align_up(len, PAGE_SIZE);
	if (call_mmap(r->mm, &req) < 0)
		return -ENOMEM;
	agent_post(space_of(r->mm), SYS_munmap, addr, len, 0, 0, 0, 0);
	(void)agent_run(space_of(r->mm));
	space_forget_range(space_of(r->mm), addr, addr + len);
	return NATIVE;
}

static s64 map_file(struct request *r, struct map_request *req, int fd)
{
	int mine = (int)syscall(SYS_pidfd_getfd, r->proc->pidfd, fd, 0);
	enum outside what;
	struct stat st;
	int mode;
	s64 ret;

	if (mine < 0)
		return errno == EBADF ? -EBADF : -ENODEV;
	mode = fcntl(mine, F_GETFL);
	what = file_outside(mine);
	if (fstat(mine, &st) < 0 || !S_ISREG(st.st_mode)) {
		bool zero = S_ISCHR(st.st_mode) && st.st_rdev == 0x105;

		close(mine);
		if (!zero)
			return map_native(r, req, what);
		req->flags |= MAP_ANONYMOUS;
		return ANSWERED;
	}
	if ((req->flags & 3) != MAP_PRIVATE) {
		close(mine);
		return map_native(r, req, what);
	}
	if ((mode & O_ACCMODE) == O_WRONLY || (mode & O_PATH)) {
		close(mine);
		return mode & O_PATH ? -EBADF : -EACCES;
	}
	req->mapping = file_mapping(&r->host->machine, mine, "");
	if (!req->mapping)
		return -ENOMEM;
	ret = call_mmap(r->mm, req);
	mapping_put(req->mapping);
	return ret;
}

static s64 on_mmap(struct request *r)
{
	const u64 *a = r->n->arg;
	struct map_request req = {
		.addr = a[0], .len = a[1], .prot = (u32)a[2], .flags = (u32)a[3], .offset = a[5]
	};
	s64 ret;

	if (req.flags & MAP_HUGETLB)
		return -ENOMEM;
	if (meets_agent(req.addr, req.len)) {
		if (req.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
			return -ENOMEM;
		req.addr = 0;
	}
	if (!(req.flags & MAP_ANONYMOUS)) {
		ret = map_file(r, &req, (int)a[4]);
		if (ret != ANSWERED)
			return ret;
	}
	req.offset = 0;
	if ((req.flags & 3) == MAP_PRIVATE || !req.len)
		return call_mmap(r->mm, &req);
	req.mapping = mapping_create_shmem(&r->host->machine, align_up(req.len, PAGE_SIZE));
	if (!req.mapping)
		return -ENOMEM;
	ret = call_mmap(r->mm, &req);
	mapping_put(req.mapping);
	return ret;
}

/* For a range that goes on behind our own addresses, which must stay. */
static void unmap_native(struct request *r, vaddr_t start, vaddr_t end)
{
	struct space *s = space_of(r->mm);

	if (start >= end)
		return;
	agent_post(s, SYS_munmap, start, end - start, 0, 0, 0, 0);
	(void)agent_run(s);
	space_forget_range(s, start, end);
}

static s64 on_munmap(struct request *r)
{
	vaddr_t start = r->n->arg[0], end = start + align_up(r->n->arg[1], PAGE_SIZE);
	bool native = false;
	struct vma *vma;
	s64 ret;

	for (vma = vma_find(r->mm, start); vma && vma->start < end; vma = vma_next(vma))
		native |= vma->flags & VM_PFNMAP;
	native |= !managed(r, start, end - start);
	ret = call_munmap(r->mm, start, r->n->arg[1]);
	if (ret < 0 || !native)
		return ret;
	if (meets_agent(start, end - start)) {
		unmap_native(r, start, min_u64(end, AGENT_BASE));
		unmap_native(r, AGENT_ZONE_END, end);
		return 0;
	}
	space_forget_range(space_of(r->mm), start, end);
	return NATIVE;
}

static s64 on_brk(struct request *r)
{
	return call_brk(r->mm, r->n->arg[0]);
}

static s64 on_mprotect(struct request *r)
{
	const u64 *a = r->n->arg;

	if (!managed(r, a[0], a[1]))
		return NATIVE;
	return call_mprotect(r->mm, a[0], a[1], (u32)a[2]);
}

static s64 on_pkey_mprotect(struct request *r)
{
	return (s32)r->n->arg[3] == -1 ? on_mprotect(r) : -EINVAL;
}

static s64 on_madvise(struct request *r)
{
	const u64 *a = r->n->arg;

	if (a[1] && !managed(r, a[0], a[1]))
		return NATIVE;
	return call_madvise(r->mm, a[0], a[1], (int)a[2]);
}

static s64 on_mremap(struct request *r)
{
	const u64 *a = r->n->arg;

	if (!managed(r, a[0], a[1]))
		return NATIVE;
	if ((a[3] & MREMAP_FIXED) && meets_agent(a[4], a[2]))
		return -ENOMEM;
	return call_mremap(r->mm, a[0], a[1], a[2], (u32)a[3], a[4]);
}

static s64 on_mlock(struct request *r)
{
	const u64 *a = r->n->arg;

	if (r->n->nr == SYS_mlock2 && (a[2] & ~1ull))
		return -EINVAL;
	if (!managed(r, a[0], a[1]))
		return NATIVE;
	return call_mlock(r->mm, a[0], a[1], r->n->nr == SYS_mlock2 && (a[2] & 1));
}

static s64 on_munlock(struct request *r)
{
	return managed(r, r->n->arg[0], r->n->arg[1])
		       ? call_munlock(r->mm, r->n->arg[0], r->n->arg[1])
		       : NATIVE;
}

static s64 on_mlockall(struct request *r)
{
	return call_mlockall(r->mm, (u32)r->n->arg[0]);
}

static s64 on_munlockall(struct request *r)
{
	return call_munlockall(r->mm);
}

static s64 on_msync(struct request *r)
{
	const u64 *a = r->n->arg;

	return managed(r, a[0], a[1]) ? call_msync(r->mm, a[0], a[1], (u32)a[2]) : NATIVE;
}

static s64 on_mincore(struct request *r)
{
	const u64 *a = r->n->arg;
	u64 pages = align_up(a[1], PAGE_SIZE) >> PAGE_SHIFT;
	u64 filled = 0; /* what lies before a hole is told, too */
	u8 *vec;
	s64 ret;

	if (a[1] && !managed(r, a[0], a[1]))
		return NATIVE;
	if (pages > (TASK_SIZE >> PAGE_SHIFT))
		return -ENOMEM;
	vec = malloc(pages + 1);
	ret = vec ? call_mincore(r->mm, a[0], a[1], vec, &filled) : -EAGAIN;
	if (filled && fault_copy_in(r->mm, a[2], vec, filled) < 0)
		ret = -EFAULT;
	free(vec);
	return ret;
}

static s64 on_sysinfo(struct request *r)
{
	struct machine *m = &r->host->machine;
	struct sysinfo info;

	if (sysinfo(&info) < 0)
		return -errno;
	info.mem_unit = 1;
	info.totalram = m->phys.total_pages * PAGE_SIZE;
	info.freeram = nr_free_pages(&m->phys) * PAGE_SIZE;
	info.sharedram = stat_read(&m->phys.stat, NR_SHMEM) * PAGE_SIZE;
	info.bufferram = 0;
	info.totalswap = swap_total(&m->swap) * PAGE_SIZE;
	info.freeswap = swap_free_slots(&m->swap) * PAGE_SIZE;
	info.totalhigh = info.freehigh = 0;
	return fault_copy_in(r->mm, r->n->arg[0], &info, sizeof(info));
}

static s64 refuse(struct request *r, s64 err)
{
	if (r->n->nr >= 0 && r->n->nr < CALL_STATS)
		r->host->call[r->n->nr].refused++;
	return err;
}

static s64 on_fork(struct request *r)
{
	int err;

	if (r->n->nr == SYS_clone && (r->n->arg[0] & CLONE_NEWPID))
		return refuse(r, -EINVAL); /* the agent would have another parent there */
	if (r->n->nr == SYS_clone && (r->n->arg[0] & CLONE_VM)) {
		space_of(r->mm)->lent = true;
		return NATIVE;
	}
	if (r->host->newborn)
		return LATER;
	err = fork_begin(r->proc, r->n);
	return err ? err : NATIVE;
}

static s64 on_exec(struct request *r)
{
	r->proc->exec_pending = r->n->pid;
	return NATIVE;
}

/* A page that the host kernel writes when nobody can answer a fault: it stays mapped, writable. */
static void pin_page(struct request *r, vaddr_t addr)
{
	struct space *s = space_of(r->mm);
	unsigned int i;
	pte_t *pte;

	addr &= PAGE_MASK;
	if (fault_handle(r->mm, addr, ACCESS_WRITE) != FAULT_DONE)
		return;
	pte = table_find(&r->mm->table, addr);
	if (migrate_for_pin(&r->host->machine,
			    pfn_to_page(&r->host->machine.phys, pte_pfn(*pte))) &&
	    fault_handle(r->mm, addr, ACCESS_WRITE) != FAULT_DONE)
		return;
	page_set(pfn_to_page(&r->host->machine.phys, pte_pfn(*pte)), PG_pinned);
	for (i = 0; i < s->nr_pinned; i++)
		if (s->pinned[i] == addr)
			return;
	if (s->nr_pinned == PINNED_MAX) /* threads long gone */
		memmove(s->pinned, s->pinned + 1, (--s->nr_pinned) * sizeof(*s->pinned));
	s->pinned[s->nr_pinned++] = addr;
}

static s64 on_pin(struct request *r)
{
	vaddr_t addr = r->n->arg[0];

	if (!addr || !vma_at(r->mm, addr))
		return NATIVE;
	/* The thread's id, which the kernel clears, lies in front of the list's head in glibc. */
	pin_page(r, addr);
	pin_page(r, addr - (r->n->nr == SYS_set_robust_list ? 64 : 0));
	if (r->n->nr == SYS_rseq)
		pin_page(r, addr + 31);
	return NATIVE;
}

static s64 on_sigaction(struct request *r)
{
	restorer_use(r->mm, r->n->arg[1]);
	return NATIVE;
}

static s64 on_futex(struct request *r)
{
	vaddr_t addr = r->n->arg[0];

	if (vma_at(r->mm, addr) && fault_handle(r->mm, addr, ACCESS_READ) == FAULT_DONE)
		space_note_futex(space_of(r->mm), addr);
	return NATIVE;
}

/* The program's CPUs, not the herd's. */
static s64 on_getaffinity(struct request *r)
{
	const u64 *a = r->n->arg;

	if (!r->host->gathered || r->proc->own_affinity || a[1] < (u64)r->host->mask_bytes ||
	    (a[0] && !proc_of(r->host, (pid_t)a[0])))
		return NATIVE;
	if (fault_copy_in(r->mm, a[2], &r->host->all_cpus, (size_t)r->host->mask_bytes) < 0)
		return -EFAULT;
	return r->host->mask_bytes;
}

static s64 on_setaffinity(struct request *r)
{
	r->proc->own_affinity = true;
	return NATIVE;
}

static s64 on_shmat(struct request *r)
{
	r->host->outside[OUTSIDE_SYSV] += file_sysv_bytes((int)r->n->arg[0]);
	return NATIVE;
}

/* A process that has ended is not attached any more, as whoever waited for it knows. */
static s64 on_shmctl(struct request *r)
{
	proc_release_dead(r->host);
	return NATIVE;
}

static s64 on_peek(struct request *r)
{
	peek_prepare(r->host, r->proc, r->n);
	return NATIVE;
}

static s64 on_enosys(struct request *r)
{
	return refuse(r, -ENOSYS);
}

static s64 on_eperm(struct request *r)
{
	return refuse(r, -EPERM);
}

static s64 on_enospc(struct request *r)
{
	return refuse(r, -ENOSPC);
}

static s64 on_einval(struct request *r)
{
	return refuse(r, -EINVAL);
}

struct entry {
	int nr;
	const char *name;
	s64 (*handle)(struct request *r);
};

static const struct entry table[] = {
	{ SYS_mmap, "mmap", on_mmap },
	{ SYS_munmap, "munmap", on_munmap },
	{ SYS_brk, "brk", on_brk },
	{ SYS_mprotect, "mprotect", on_mprotect },
	{ SYS_madvise, "madvise", on_madvise },
	{ SYS_mremap, "mremap", on_mremap },
	{ SYS_futex, "futex", on_futex },
	{ SYS_rt_sigaction, "rt_sigaction", on_sigaction },
	{ SYS_fork, "fork", on_fork },
	{ SYS_clone, "clone", on_fork },
	{ SYS_execve, "execve", on_exec },
	{ SYS_execveat, "execveat", on_exec },
	{ SYS_set_robust_list, "set_robust_list", on_pin },
	{ SYS_rseq, "rseq", on_pin },
	{ SYS_set_tid_address, "set_tid_address", on_pin },
	{ SYS_sched_getaffinity, "sched_getaffinity", on_getaffinity },
	{ SYS_sched_setaffinity, "sched_setaffinity", on_setaffinity },
	{ SYS_mlock, "mlock", on_mlock },
	{ SYS_mlock2, "mlock2", on_mlock },
	{ SYS_munlock, "munlock", on_munlock },
	{ SYS_mlockall, "mlockall", on_mlockall },
	{ SYS_munlockall, "munlockall", on_munlockall },
	{ SYS_mincore, "mincore", on_mincore },
	{ SYS_msync, "msync", on_msync },
	{ SYS_sysinfo, "sysinfo", on_sysinfo },
	{ SYS_shmat, "shmat", on_shmat },
	{ SYS_shmctl, "shmctl", on_shmctl },
	{ SYS_setrlimit, "setrlimit", on_limits },
	{ SYS_getrlimit, "getrlimit", on_limits },
	{ SYS_prlimit64, "prlimit64", on_limits },
	{ SYS_unshare, "unshare", on_einval }, /* of process ids */
	{ SYS_setns, "setns", on_einval },
	{ SYS_pkey_mprotect, "pkey_mprotect", on_pkey_mprotect },
	{ SYS_ptrace, "ptrace", on_peek },
	{ SYS_pread64, "pread64", on_peek },
	{ SYS_pwrite64, "pwrite64", on_peek },
	{ SYS_lseek, "lseek", on_peek },
	{ SYS_open, "open", on_einval },
	{ SYS_openat, "openat", on_einval },
	{ SYS_fcntl, "fcntl", on_einval },
	{ SYS_mbind, "mbind", on_enosys },
	{ SYS_set_mempolicy, "set_mempolicy", on_enosys },
	{ SYS_get_mempolicy, "get_mempolicy", on_enosys },
	{ SYS_migrate_pages, "migrate_pages", on_enosys },
	{ SYS_move_pages, "move_pages", on_enosys },
	{ SYS_remap_file_pages, "remap_file_pages", on_enosys },
	{ SYS_pkey_alloc, "pkey_alloc", on_enospc },
	{ SYS_swapon, "swapon", on_eperm },
	{ SYS_swapoff, "swapoff", on_eperm },
	{ SYS_userfaultfd, "userfaultfd", on_enosys },
	{ SYS_io_uring_setup, "io_uring_setup", on_enosys },
	{ SYS_vmsplice, "vmsplice", on_enosys },
	{ SYS_process_madvise, "process_madvise", on_enosys },
	{ SYS_modify_ldt, "modify_ldt", on_enosys },
	{ 447, "memfd_secret", on_enosys },
	{ 448, "process_mrelease", on_enosys },
	{ 449, "futex_waitv", on_enosys },
	{ 450, "set_mempolicy_home_node", on_enosys },
	{ 453, "map_shadow_stack", on_enosys },
	{ 454, "futex_wake", on_enosys },
	{ 455, "futex_wait", on_enosys },
	{ 462, "mseal", on_enosys },
};

static const struct entry *entry_of(int nr)
{
	unsigned int i;

	for (i = 0; i < array_size(table); i++)
		if (table[i].nr == nr)
			return &table[i];
	return NULL;
}

const char *call_name(int nr)
{
	const struct entry *e = entry_of(nr);

	return e ? e->name : "unknown";
}

/* False: it must wait. */
static bool answer(struct host *h, struct proc *p, const struct deferred *n)
{
	const struct entry *e = entry_of(n->nr);
	struct request r = { h, p, p->space->mm, n };
	s64 ret;

	if (p->limits_stale || p->space->users > 1)
		limits_read(p);
	h->cpu = p->space->cpu;
	h->served = p->space;
	ret = e ? e->handle(&r) : NATIVE;
	h->served = NULL;
	if (ret == LATER)
		events_call_later(h, n);
	else if (ret == NATIVE)
		reply_continue(h, n->id);
	else
		reply_value(h, n->id, ret);
	return ret != LATER;
}

static bool is_gate(const struct deferred *n)
{
	return n->nr == GATE_NR && n->ip - AGENT_BASE < AGENT_CODE_MAX;
}

void calls_handle(struct host *h, const struct deferred *n)
{
	struct proc *p = proc_of(h, n->pid);
	u64 start = now_ns();

	space_settle(h);
	if (!p)
		return;
	if (h->newborn && h->newborn->forked_from && h->newborn->forker == n->pid)
		events_fork_failed(h);
	if (h->nr_peeked)
		peek_end(h, n->pid);
	if (p->space && space_is_forking(p->space)) { /* it would change what the host copies */
		events_call_later(h, n);
		return;
	}
	if (is_gate(n)) {
		if (p->takeover == TAKEOVER_STUB)
			takeover_finish(p, n->id);
		else
			reply_value(h, n->id, -ENOSYS);
		return;
	}
	if (!enter_process(p, n) && !answer(h, p, n))
		return; /* it counts when it is answered */
	if (n->nr >= 0 && n->nr < CALL_STATS) {
		h->call[n->nr].count++;
		h->call[n->nr].ns += now_ns() - start;
	}
}
