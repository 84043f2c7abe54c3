/*
 * takeover.c - a new image, or a forked child, gets its agent, and its memory becomes the
 * machine's.
 *
 * How     STUB   the thread waits in an intercepted call; the code behind the call is saved and a
 *                stub written there, which maps the agent's code and jumps to it.  [takeover_begin]
 *         GATE   the agent exists; the thread waits at the gate. The stub is undone. A new
 *                image's memory becomes ours.                                   [image.c]
 *         then   the thread repeats its call, and all goes the usual way.
 * Why     Works under a debugger, for static programs, and without ptrace.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault/fault.h"
#include "mmu/host/host.h"
#include "mmu/host/shadow.h"

extern const char __start_agent_text[], __stop_agent_text[], agent_entry[];

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

/* Writes the stub over the code, which is saved; the file stays open until that is undone. */
static int put_stub(struct proc *p, pid_t tid, const struct code *stub)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	p->stub_len = stub->len;
	if (pread(fd, p->stub_saved, stub->len, (off_t)p->stub_pc) != (ssize_t)stub->len ||
	    pwrite(fd, stub->byte, stub->len, (off_t)p->stub_pc) != (ssize_t)stub->len) {
		close(fd);
		return -EIO;
	}
	p->stub_mem = fd;
	return 0;
}

static int undo_stub(const struct proc *p)
{
	ssize_t n = pwrite(p->stub_mem, p->stub_saved, p->stub_len, (off_t)p->stub_pc);

	return n == (ssize_t)p->stub_len ? 0 : -EIO;
}

static int give_fd(struct host *h, u64 id, int fd)
{
	struct seccomp_notif_addfd add = { .id = id, .srcfd = (u32)fd };

	return ioctl(h->notify_fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

/*
 * A program that was killed while it was entered may leave an agent that we never met. It ends when
 * it sees that the block has got another generation; but its stack lies in the block, too, and is
 * not to become another agent's before that.
 */
#define SLOT_REST_NS 10000000000ull

void takeover_slot_free(struct host *h, int slot, bool entered)
{
	h->slot_used[slot] = 0;
	h->slot_rests_ns[slot] = entered ? 0 : now_ns() + SLOT_REST_NS;
}

static int slot_alloc(struct host *h)
{
	u64 now = now_ns();
	int i, best = -1;

	for (i = 0; i < (int)COMM_SLOTS; i++) {
		if (h->slot_used[i])
			continue;
		if (best < 0 || h->slot_rests_ns[i] < h->slot_rests_ns[best])
			best = i;
		if (h->slot_rests_ns[i] <= now)
			break;
	}
	if (best >= 0)
		h->slot_used[best] = 1;
	return best;
}

static struct comm *comm_prepare(struct host *h, int slot, pid_t program, const struct deferred *n)
{
	struct comm *c = (struct comm *)(void *)(h->comm_base + (u64)slot * COMM_SIZE);

	u32 generation = (c->generation + 1) & 0xffffff;

	memset(c, 0, offsetof(struct comm, command));
	c->generation = generation;
	c->resume_nr = (u64)n->nr;
	c->resume_pc = n->ip - 2; /* the syscall instruction again */
	c->manager = h->manager;
	c->program = program;
	c->pause = h->config->fail.pause_us;
	c->uffd = -1;
	c->uffd_dev = -1;
	return c;
}

int takeover_begin(struct proc *p, const struct deferred *n, struct space *incoming)
{
	struct host *h = p->host;
	struct comm *comm;
	struct code stub;
	int code_fd, ram_fd, err;
	u64 id = n->id;

	incoming->slot = slot_alloc(h);
	if (incoming->slot < 0)
		return -EAGAIN;
	code_fd = give_fd(h, id, h->code_fd);
	ram_fd = code_fd >= 0 ? give_fd(h, id, h->ram_fd) : -1;
	if (ram_fd < 0)
		return -EMFILE;
	comm = comm_prepare(h, incoming->slot, p->pid, n);
	if (incoming->uffd < 0 && h->uffd_dev >= 0)
		comm->uffd_dev = give_fd(h, id, h->uffd_dev);
	if (incoming->uffd >= 0)
		comm->uffd = give_fd(h, id, incoming->uffd);
	if (incoming->uffd >= 0 && comm->uffd < 0)
		return -EMFILE;
	make_stub(&stub, code_fd,
		  (u64)incoming->slot | (u64)ram_fd << 16 | (u64)comm->generation << 40 |
			  (incoming->uffd < 0 ? ENTRY_NEED_UFFD : 0));
	if (incoming->uffd >= 0) { /* a forked child: its code is a window and must be there */
		incoming->fault_addr = n->ip & PAGE_MASK;
		(void)fault_handle(incoming->mm, n->ip, ACCESS_EXEC);
		incoming->fault_addr = 0;
	}
	p->stub_pc = n->ip;
	err = put_stub(p, n->pid, &stub);
	if (err)
		return err;
	p->incoming = incoming;
	p->takeover = TAKEOVER_STUB;
	reply_value(h, id, 0);
	return 0;
}

void takeover_finish(struct proc *p, u64 id)
{
	struct space *s = p->incoming;
	struct host *h = p->host;
	bool image = s->uffd < 0;
	int err = 0;

	s->comm = (struct comm *)(void *)(h->comm_base + (u64)s->slot * COMM_SIZE);
	if (s->comm->agent > 0 && proc_same_vm(p->pid, s->comm->agent))
		s->agent = s->comm->agent; /* the program could name any other later */
	if (s->agent <= 0) /* killed while it was being made, or of another namespace */
		err = -ESRCH;
	else if (s->comm->uffd >= 0 && s->comm->agent_uffd < 0)
		err = s->comm->agent_uffd; /* at the limit of its descriptors */
	else
		herd_agent(h, s->agent);
	if (!err)
		err = undo_stub(p);
	proc_end_stub(p);
	p->takeover = TAKEOVER_NONE;
	p->incoming = NULL;
	if (image) {
		s->users = 1;
		proc_name(p, s->mm);
		if (!err)
			err = image_adopt(p, s);
		if (!err)
			peek_new_image(p);
	} else {
		if (!err)
			err = lend_settle(s);
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
