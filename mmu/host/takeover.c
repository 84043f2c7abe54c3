/*
 * takeover.c - a new image, or a forked child, gets its agent, and its memory becomes the
 * machine's.
 *
 * How     STUB   the thread waits in an intercepted call; the code behind the call is saved and a
 *                stub written there, which maps the agent's code and jumps to it.  [takeover_begin]
 *         GATE   the agent exists; the thread waits at the gate. The stub is undone. For a new
 *                image, every area that the host made becomes one of ours, pages that were
 *                written before now are carried over, and backdrop is put over
 *                everything.
 *                [takeover_finish]
 *         then   the thread repeats its call, and all goes the usual way.
 * Why     Works under a debugger, for static programs, and without ptrace.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "call/call.h"
#include "fault/fault.h"
#include "mmu/host/file.h"
#include "mmu/host/host.h"
#include "mmu/host/shadow.h"

extern const char __start_agent_text[], __stop_agent_text[], agent_entry[];

/* The image and its heap lie below, the areas of mmap() and the stack above. */
#define LOW_HALF  0x700000000000ull
#define HEAP_ROOM (1ull << 40)
/* Between our agent and this the host puts what it maps itself. */
#define NATIVE_END (AGENT_BASE + (1ull << 42))
#define STACK_ROOM (1ull << 27)

/* Small assembler for the stub. */
struct code {
	u8 byte[128];
	unsigned int len;
};

static void emit(struct code *c, const void *bytes, unsigned int len)
{
	memcpy(c->byte + c->len, bytes, len);
	c->len += len;
}

#define EMIT(c, ...) emit(c, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static void emit64(struct code *c, u64 value)
{
	emit(c, &value, 8);
}

static void emit32(struct code *c, u32 value)
{
	emit(c, &value, 4);
}

/* Saves what the call preserves, maps the agent's code from code_fd, jumps to agent_entry. */
static void make_stub(struct code *c, int code_fd, u64 word)
{
	c->len = 0;
	EMIT(c, 0x48, 0x8d, 0x64, 0x24, 0x80); /* lea -128(%rsp), %rsp */
	EMIT(c, 0x57, 0x56, 0x52, 0x41, 0x52, 0x41, 0x50, 0x41,
	     0x51); /* push rdi rsi rdx r10 r8 r9 */
	EMIT(c, 0xb8);
	emit32(c, SYS_mmap); /* mov $9, %eax */
	EMIT(c, 0x48, 0xbf);
	emit64(c, AGENT_BASE); /* movabs $base, %rdi */
	EMIT(c, 0xbe);
	emit32(c, (u32)AGENT_CODE_MAX); /* mov $size, %esi */
	EMIT(c, 0xba);
	emit32(c, PROT_READ | PROT_EXEC); /* mov $5, %edx */
	EMIT(c, 0x41, 0xba);
	emit32(c, MAP_PRIVATE | MAP_FIXED); /* mov $flags, %r10d */
	EMIT(c, 0x41, 0xb8);
	emit32(c, (u32)code_fd); /* mov $fd, %r8d */
	EMIT(c, 0x45, 0x31, 0xc9); /* xor %r9d, %r9d */
	EMIT(c, 0x0f, 0x05); /* syscall */
	EMIT(c, 0x49, 0xb9);
	emit64(c, word); /* movabs $word, %r9 */
	EMIT(c, 0x48, 0x05);
	emit32(c, (u32)(agent_entry - __start_agent_text)); /* add $entry, %rax */
	EMIT(c, 0xff, 0xe0); /* jmp *%rax */
}

static int poke(pid_t tid, u64 addr, const void *bytes, unsigned int len, void *saved)
{
	char path[64];
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/%d/mem", tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (saved && pread(fd, saved, len, (off_t)addr) != (ssize_t)len)
		err = -EIO;
	if (!err && pwrite(fd, bytes, len, (off_t)addr) != (ssize_t)len)
		err = -EIO;
	close(fd);
	return err;
}

static int give_fd(struct host *h, u64 id, int fd)
{
	struct seccomp_notif_addfd add = { .id = id, .srcfd = (u32)fd };

	return ioctl(h->notify_fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

static int slot_alloc(struct host *h)
{
	int i;

	for (i = 0; i < (int)COMM_SLOTS; i++)
		if (!h->slot_used[i]) {
			h->slot_used[i] = 1;
			return i;
		}
	return -1;
}

static struct comm *comm_prepare(struct host *h, int slot, pid_t program, u64 nr, u64 pc)
{
	struct comm *c = (struct comm *)(void *)(h->comm_base + (u64)slot * COMM_SIZE);

	u32 generation = (c->generation + 1) & 0xffffff;

	memset(c, 0, offsetof(struct comm, command));
	c->generation = generation;
	c->resume_nr = nr;
	c->resume_pc = pc - 2; /* the syscall instruction again */
	c->manager = h->manager;
	c->program = program;
	c->uffd = -1;
	c->uffd_dev = -1;
	return c;
}

int takeover_begin(struct proc *p, u64 id, pid_t tid, struct space *incoming)
{
	struct host *h = p->host;
	struct comm *comm;
	struct code stub;
	int code_fd, ram_fd, err;
	u64 nr, sp, pc;

	err = proc_syscall(tid, &nr, &sp, &pc);
	if (err)
		return err;
	incoming->slot = slot_alloc(h);
	if (incoming->slot < 0)
		return -EAGAIN;
	code_fd = give_fd(h, id, h->code_fd);
	ram_fd = code_fd >= 0 ? give_fd(h, id, h->ram_fd) : -1;
	if (ram_fd < 0)
		return -EMFILE;
	comm = comm_prepare(h, incoming->slot, p->pid, nr, pc);
	if (incoming->uffd < 0 && h->uffd_dev >= 0)
		comm->uffd_dev = give_fd(h, id, h->uffd_dev);
	make_stub(&stub, code_fd,
		  (u64)incoming->slot | (u64)ram_fd << 16 | (u64)comm->generation << 40 |
			  (incoming->uffd < 0 ? ENTRY_NEED_UFFD : 0));
	if (incoming->uffd >= 0) /* a forked child: its code is a window and must be there */
		(void)fault_handle(incoming->mm, pc, ACCESS_EXEC);
	err = poke(tid, pc, stub.byte, stub.len, p->stub_saved);
	if (err)
		return err;
	p->incoming = incoming;
	p->takeover = TAKEOVER_STUB;
	p->stub_pc = pc;
	p->stub_len = stub.len;
	p->stub_tid = tid;
	reply_value(h, id, 0);
	return 0;
}

/* One line of /proc/PID/maps. */
struct host_area {
	vaddr_t start, end;
	u32 prot;
	bool shared;
	u64 offset, inode;
	char name[256];
};

static bool parse_area(const char *line, struct host_area *a)
{
	unsigned long long start, end, offset, inode;
	char perm[8];
	unsigned int major, minor;

	a->name[0] = '\0';
	if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %255[^\n]", &start, &end, perm, &offset,
		   &major, &minor, &inode, a->name) < 7)
		return false;
	*a = (struct host_area){ .start = start,
				 .end = end,
				 .offset = offset,
				 .inode = inode,
				 .shared = perm[3] == 's',
				 .name = "" };
	sscanf(line, "%*s %*s %*s %*s %*s %255[^\n]", a->name);
	a->prot = (perm[0] == 'r' ? PROT_READ : 0) | (perm[1] == 'w' ? PROT_WRITE : 0) |
		  (perm[2] == 'x' ? PROT_EXEC : 0);
	return true;
}

/* Areas that stay the host's: its own pages for the clock, and ours. */
static bool stays_native(const struct host_area *a)
{
	return !strncmp(a->name, "[v", 2) || a->start >= TASK_SIZE ||
	       (a->start >= AGENT_BASE && a->start < NATIVE_END);
}

/* Pages that the program or its loader wrote before now are private and not the file's. */
static int carry_pages(struct space *s, pid_t pid, const struct host_area *a, int pagemap)
{
	u8 data[PAGE_SIZE];
	u64 entries[128];
	unsigned int i = 0, have = 0;
	vaddr_t addr;

	for (addr = a->start; addr < a->end; addr += PAGE_SIZE, i++) {
		struct iovec local = { data, PAGE_SIZE }, remote = { (void *)addr, PAGE_SIZE };

		if (i == have) {
			u64 left = (a->end - addr) >> PAGE_SHIFT;
			ssize_t n = pread(pagemap, entries, min_u64(left, array_size(entries)) * 8,
					  (off_t)(addr >> PAGE_SHIFT) * 8);

			if (n < 8)
				return -EIO;
			have = (unsigned int)(n / 8);
			i = 0;
		}
		if (!(entries[i] >> 63) || (entries[i] >> 61 & 1))
			continue;
		if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)PAGE_SIZE)
			continue;
		if (fault_insert(s->mm, addr, data) < 0)
			return -ENOMEM;
	}
	return 0;
}

static struct mapping *area_mapping(struct space *s, pid_t pid, const struct host_area *a)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", pid,
		 (unsigned long long)a->start, (unsigned long long)a->end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	return file_mapping(&s->host->machine, fd, a->name);
}

static int adopt_area(struct space *s, pid_t pid, const struct host_area *a, int pagemap)
{
	bool stack = !strcmp(a->name, "[stack]");
	struct map_request req = { .addr = a->start,
				   .len = a->end - a->start,
				   .prot = a->prot,
				   .flags =
					   MAP_PRIVATE | MAP_FIXED | (a->inode ? 0 : MAP_ANONYMOUS),
				   .offset = a->inode ? a->offset : 0,
				   .vm_flags = stack ? VM_GROWSDOWN : 0 };
	s64 r;

	if (a->inode) {
		req.mapping = area_mapping(s, pid, a);
		if (!req.mapping)
			return -ENOMEM;
	}
	r = call_mmap(s->mm, &req);
	if (req.mapping)
		mapping_put(req.mapping);
	if (stack)
		s->mm->start_stack = a->end;
	return r < 0 ? (int)r : carry_pages(s, pid, a, pagemap);
}

#define NATIVE_MAX 16

/* What the layout of the image is, besides its areas. */
struct layout {
	vaddr_t image_low, image_high; /* program, up to the heap */
	vaddr_t mmap_top, stack_end;
	struct default_range native[NATIVE_MAX]; /* in order */
	unsigned int nr_native;
};

/* The host's own area keeps its place: nothing of ours will be put there. */
static int keep_native(struct space *s, struct layout *l, const struct host_area *a)
{
	struct map_request req = { .addr = a->start,
				   .len = a->end - a->start,
				   .prot = a->prot,
				   .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   .vm_flags = VM_PFNMAP };

	if (a->start >= TASK_SIZE)
		return 0;
	if (l->nr_native == NATIVE_MAX)
		return -ENOMEM;
	l->native[l->nr_native++] = (struct default_range){ a->start, a->end };
	return call_mmap(s->mm, &req) < 0 ? -ENOMEM : 0;
}

static void note_area(struct layout *l, const struct host_area *a)
{
	if (!strcmp(a->name, "[stack]")) {
		l->stack_end = a->end;
	} else if (a->start < LOW_HALF) {
		if (!l->image_low)
			l->image_low = a->start;
		l->image_high = a->end;
	} else if (a->end > l->mmap_top) {
		l->mmap_top = a->end;
	}
}

/* Where the image's parts are, as the host's kernel has it. */
struct image {
	unsigned long long start_code, end_code, start_stack, start_data, end_data, start_brk;
	unsigned long long arg_start, arg_end, env_start, env_end;
};

/* Fields 26 to 28 and 45 to 51 of /proc/PID/stat. */
static int read_image(struct image *im, pid_t pid)
{
	char path[64], text[2048];
	const char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')');
	if (!at ||
	    sscanf(at + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%*u %*u %*d %*u %llu %llu %llu %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %*u "
		   "%*u %*u %*u %*d %llu %llu %llu %llu %llu %llu %llu",
		   &im->start_code, &im->end_code, &im->start_stack, &im->start_data, &im->end_data,
		   &im->start_brk, &im->arg_start, &im->arg_end, &im->env_start,
		   &im->env_end) != 10)
		return -ESRCH;
	return 0;
}

/* Reads the host's areas into ours. */
static int adopt_image(struct space *s, pid_t pid, struct layout *l)
{
	char path[64], line[512];
	struct host_area area;
	int pagemap, err = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps || pagemap < 0)
		err = -errno;
	while (!err && fgets(line, sizeof(line), maps)) {
		if (!parse_area(line, &area))
			continue;
		if (stays_native(&area)) {
			err = keep_native(s, l, &area);
			continue;
		}
		note_area(l, &area);
		if (strcmp(area.name, "[heap]"))
			err = adopt_area(s, pid, &area, pagemap);
	}
	if (maps)
		fclose(maps);
	if (pagemap >= 0)
		close(pagemap);
	return err;
}

/* Backdrop over [start, end) but for what stays native. */
static int cover_range(struct space *s, const struct layout *l, vaddr_t start, vaddr_t end)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i <= l->nr_native && !err && start < end; i++) {
		vaddr_t stop = i < l->nr_native ? l->native[i].start : end;

		stop = min_u64(stop, end);
		if (start < stop) {
			err = space_backdrop(s, start, stop);
			space_set_default(s, start, stop);
		}
		if (i < l->nr_native)
			start = max_u64(start, l->native[i].end);
	}
	return err;
}

/* Backdrop everywhere that the program is likely to use. */
static int cover(struct space *s, const struct layout *l)
{
	struct mm *mm = s->mm;
	vaddr_t heap_end = max_u64(align_up(mm->brk, PAGE_SIZE), l->image_high) + HEAP_ROOM;
	vaddr_t top = l->stack_end ? l->stack_end : l->mmap_top;
	int err;

	if (heap_end > AGENT_BASE && l->image_low < AGENT_BASE)
		heap_end = AGENT_BASE;
	mm->mmap_base = l->mmap_top ? l->mmap_top : align_down(top - STACK_ROOM, PAGE_SIZE);
	mm->mmap_low = NATIVE_END;
	err = cover_range(s, l, l->image_low, heap_end);
	return err ? err : cover_range(s, l, mm->mmap_low, top);
}

#define STRINGS_MAX (4ull << 20)

/* Tells the host's kernel where the strings are now. PR_SET_MM_MAP needs no capability. */
static void move_strings(struct space *s, const struct image *im, u64 by)
{
	struct prctl_mm_map map = {
		.start_code = im->start_code,
		.end_code = im->end_code,
		.start_data = im->start_data,
		.end_data = im->end_data,
		.start_brk = im->start_brk,
		.brk = im->start_brk,
		.start_stack = im->start_stack,
		.arg_start = im->arg_start + by,
		.arg_end = im->arg_end + by,
		.env_start = im->env_start + by,
		.env_end = im->env_end + by,
		.exe_fd = (u32)-1,
	};
	u64 offset = offsetof(struct comm, command[COMM_COMMANDS - 1]);

	_Static_assert(sizeof(map) <= 2 * sizeof(struct comm_command),
		       "fits behind the first commands");
	memcpy((u8 *)s->comm + offset - sizeof(struct comm_command), &map, sizeof(map));
	agent_post(s, SYS_prctl, PR_SET_MM, PR_SET_MM_MAP,
		   AGENT_COMM + offset - sizeof(struct comm_command), sizeof(map), 0, 0);
	(void)agent_run(s);
}

/*
 * /proc/PID/cmdline and environ read private memory of the host only: a copy of the strings stays
 * there. It is the one thing of the program's that is not in the machine's frames.
 */
static void keep_strings(struct space *s, pid_t pid, const struct image *im)
{
	vaddr_t low = im->arg_start & PAGE_MASK, high = align_up(im->env_end, PAGE_SIZE);
	struct iovec local, remote;
	u8 *copy;

	if (!im->arg_start || high <= low || high - low > STRINGS_MAX)
		return;
	copy = malloc(high - low);
	if (!copy)
		return;
	local = (struct iovec){ copy + (im->arg_start - low), im->env_end - im->arg_start };
	remote = (struct iovec){ (void *)im->arg_start, local.iov_len };
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)local.iov_len) {
		agent_post(s, SYS_mmap, AGENT_STRINGS, high - low, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, (u64)-1, 0);
		(void)agent_run(s);
		remote.iov_base = (void *)(AGENT_STRINGS + (im->arg_start - low));
		(void)process_vm_writev(pid, &local, 1, &remote, 1, 0);
		move_strings(s, im, AGENT_STRINGS - low);
	}
	free(copy);
}

static int start_uffd(struct space *s, struct proc *p)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_THREAD_ID |
					      UFFD_FEATURE_MISSING_SHMEM |
					      UFFD_FEATURE_MINOR_SHMEM |
					      UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
					      UFFD_FEATURE_PAGEFAULT_FLAG_WP };

	if (s->comm->uffd < 0 && p->pid == s->host->first_pid)
		host_fail("cannot get the program's userfaultfd (%s); CAP_SYS_PTRACE is needed",
			  strerror(-s->comm->uffd));
	if (s->comm->uffd < 0) {
		host_log(s->host,
			 "process %d may not open a userfaultfd (%s); it changed its user? "
			 "/dev/userfaultfd or vm.unprivileged_userfaultfd=1 would allow it",
			 p->pid, strerror(-s->comm->uffd));
		return s->comm->uffd;
	}
	s->uffd = (int)syscall(SYS_pidfd_getfd, p->pidfd, s->comm->uffd, 0);
	if (s->uffd < 0)
		host_fail("cannot get the program's userfaultfd (%s); CAP_SYS_PTRACE is needed",
			  strerror(errno));
	if (ioctl(s->uffd, UFFDIO_API, &api) < 0)
		host_fail("this kernel's userfaultfd lacks what Quire needs: %s", strerror(errno));
	host_add_uffd(s);
	return 0;
}

static int take_image(struct proc *p, struct space *s)
{
	struct layout l = { 0 };
	struct image im;
	int err;

	err = start_uffd(s, p);
	if (err)
		return err;
	s->quiet = true;
	err = read_image(&im, p->pid);
	if (err)
		return err;
	s->mm->start_brk = s->mm->brk = im.start_brk;
	keep_strings(s, p->pid, &im); /* while the host still has them */
	p->space = s;
	proc_read_limits(p);
	err = adopt_image(s, p->pid, &l);
	s->quiet = false;
	if (!err)
		err = cover(s, &l);
	return err;
}

void takeover_finish(struct proc *p, u64 id)
{
	struct space *s = p->incoming;
	struct host *h = p->host;
	bool image = s->uffd < 0;
	char path[64], comm[32] = "";
	int err = 0, fd;

	s->comm = (struct comm *)(void *)(h->comm_base + (u64)s->slot * COMM_SIZE);
	herd_agent(h, s->comm->agent);
	err = poke(p->stub_tid, p->stub_pc, p->stub_saved, p->stub_len, NULL);
	p->takeover = TAKEOVER_NONE;
	p->incoming = NULL;
	snprintf(path, sizeof(path), "/proc/%d/comm", p->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, comm, sizeof(comm) - 1);

		comm[n > 0 ? n - 1 : 0] = '\0';
		close(fd);
	}
	snprintf(s->mm->comm, sizeof(s->mm->comm), "%.15s", comm);
	s->mm->pid = p->pid;
	if (image) {
		s->users = 1;
		if (!err)
			err = take_image(p, s);
	} else {
		/* The private copy of the patched code goes; the window shows the file again. */
		agent_post(s, SYS_madvise, p->stub_pc & PAGE_MASK,
			   ((p->stub_pc + p->stub_len + PAGE_SIZE - 1) & PAGE_MASK) -
				   (p->stub_pc & PAGE_MASK),
			   MADV_DONTNEED, 0, 0, 0);
		(void)agent_run(s);
		for (vaddr_t a = p->stub_pc & PAGE_MASK; a < p->stub_pc + p->stub_len;
		     a += PAGE_SIZE)
			*shadow_get(s, a) &= ~(SHADOW_INSTALLED | SHADOW_WP);
	}
	if (h->newborn == s)
		h->newborn = NULL;
	if (err) {
		host_log(h, "cannot take over process %d (%s): %s", p->pid, s->mm->comm,
			 strerror(-err));
		kill(p->pid, SIGKILL);
	}
	reply_value(h, id, 0);
}
