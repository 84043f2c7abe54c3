/*
 * agent.c - the code that runs inside the program's address space.
 *
 * How     A thread of the program enters at agent_entry, from a stub that the manager put behind an
 *         intercepted system call. It maps the comm block, opens a userfaultfd if asked to, and
 *         makes the agent: a process of its own that shares the address space, made by a child
 *         of the thread that ends at once, so that the program has no new child and the
 *         manager, as subreaper, gets it. The thread then tells the manager (the gate),
 *         and repeats its system call. The agent makes system calls on order until its manager
 *         dies.
 * Holds   A1  this file's code is position independent, calls nothing outside, and has no data
 * Why     One task inside is the only way to change a running process's mappings without ptrace.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stddef.h>
#include <stdint.h>

#include <linux/ioctl.h>
#include <linux/userfaultfd.h>

#include "mmu/host/comm.h"

#define AGENT  __attribute__((section("agent_text"), used))
#define INLINE static inline __attribute__((always_inline))

enum {
	NR_mmap = 9,
	NR_rt_sigaction = 13,
	NR_rt_sigprocmask = 14,
	NR_ioctl = 16,
	NR_madvise = 28,
	NR_nanosleep = 35,
	NR_clone = 56,
	NR_exit = 60,
	NR_wait4 = 61,
	NR_kill = 62,
	NR_getppid = 110,
	NR_setsid = 112,
	NR_prctl = 157,
	NR_futex = 202,
	NR_userfaultfd = 323,
	NR_close = 3,
	NR_close_range = 436,
	NR_dup3 = 292,
	NR_sched_yield = 24,
};

INLINE int64_t call(int64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
		    uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	int64_t ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define CALL1(nr, a)	   call(nr, (uint64_t)(a), 0, 0, 0, 0, 0)
#define CALL2(nr, a, b)	   call(nr, (uint64_t)(a), (uint64_t)(b), 0, 0, 0, 0)
#define CALL3(nr, a, b, c) call(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)
#define CALL4(nr, a, b, c, d)                                                                      \
	call(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)

INLINE struct comm *the_comm(void)
{
	return (struct comm *)AGENT_COMM;
}

/*
 * clone(flags, stack) whose child calls fn(arg) on the new stack and never returns.
 * Written out because the child has no frame to return to.
 */
INLINE int64_t spawn(uint64_t flags, uint64_t stack, void (*fn)(uint64_t), uint64_t arg)
{
	int64_t ret;

	__asm__ volatile("mov %[fn], %%r12\n\t"
			 "mov %[arg], %%r13\n\t"
			 "xor %%edx, %%edx\n\t"
			 "xor %%r10d, %%r10d\n\t"
			 "xor %%r8d, %%r8d\n\t"
			 "syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r13, %%rdi\n\t"
			 "call *%%r12\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(ret)
			 : "a"((int64_t)NR_clone), "D"(flags),
			   "S"(stack), [fn] "r"(fn), [arg] "r"(arg)
			 : "rcx", "rdx", "r8", "r10", "r11", "r12", "r13", "memory");
	return ret;
}

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1

/* The manager is gone: nothing may run on its memory any more. */
AGENT static void agent_orphaned(int sig)
{
	(void)sig;
	CALL2(NR_kill, the_comm()->program, 9);
	CALL1(NR_exit, 0);
}

struct kernel_sigaction {
	void (*handler)(int);
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};

/* Notices the manager's death by a signal that nothing else can send it unseen. */
INLINE void watch_manager(struct comm *c)
{
	struct kernel_sigaction act;
	uint64_t all = ~0ull, none = ~(1ull << 14);

	act.handler = agent_orphaned;
	act.flags = 0x04000000; /* SA_RESTORER: never used, the handler does not return */
	act.restorer = 0;
	act.mask = all;
	CALL4(NR_rt_sigaction, 15, &act, 0, 8);
	while (CALL1(NR_getppid, 0) != c->manager)
		if (CALL1(NR_sched_yield, 0) < 0)
			break;
	CALL2(NR_prctl, 1, 15); /* PR_SET_PDEATHSIG, SIGTERM */
	CALL4(NR_rt_sigprocmask, 2, &none, 0, 8);
	if (CALL1(NR_getppid, 0) != c->manager)
		agent_orphaned(0);
}

INLINE void pause(const struct comm *c)
{
	uint64_t time[2] = { 0, c->pause * 1000ull };

	if (c->pause)
		CALL2(NR_nanosleep, time, 0);
}

INLINE void run_commands(struct comm *c)
{
	uint32_t i;

	for (i = 0; i < c->nr && i < COMM_COMMANDS; i++) {
		struct comm_command *k = &c->command[i];

		k->result = call(k->nr, k->arg[0], k->arg[1], k->arg[2], k->arg[3], k->arg[4],
				 k->arg[5]);
		if (k->nr == NR_mmap)
			pause(c);
		if (k->result < 0 && k->result > -4096 && c->careful)
			break;
	}
	if (i == c->nr)
		return;
	while (++i < c->nr && i < COMM_COMMANDS)
		c->command[i].result = -COMM_ECANCELED;
	if (c->wake.len)
		CALL3(NR_ioctl, c->agent_uffd, UFFDIO_WAKE, &c->wake);
}

AGENT static void agent_main(uint64_t word)
{
	uint64_t ram_fd = (uint64_t)ENTRY_RAM_FD(word);
	struct comm *c = the_comm();
	uint32_t seen = c->done;

	if (c->generation != ENTRY_GENERATION(word))
		CALL1(NR_exit, 0);
	CALL1(NR_setsid, 0);
	if (ram_fd > 0)
		CALL3(NR_close_range, 0, ram_fd - 1, 0);
	CALL3(NR_close_range, ram_fd + 2, ~0u, 0); /* the userfaultfd lies behind */
	watch_manager(c);
	for (;;) {
		while (__atomic_load_n(&c->seq, __ATOMIC_ACQUIRE) == seen &&
		       c->generation == ENTRY_GENERATION(word))
			CALL4(NR_futex, &c->seq, FUTEX_WAIT, seen, 0);
		if (c->generation != ENTRY_GENERATION(word))
			CALL1(NR_exit, 0); /* our program ended before the manager knew us */
		run_commands(c);
		seen++;
		__atomic_store_n(&c->done, seen, __ATOMIC_RELEASE);
		CALL3(NR_futex, &c->done, FUTEX_WAKE, 1);
	}
}

#define CLONE_VM       0x100
#define CLONE_FS       0x200
#define CLONE_FILES    0x400
#define CLONE_VFORK    0x4000
#define CLONE_UNTRACED 0x800000

/*
 * Lives just long enough that the agent has no parent in the program. Commands may be posted before
 * the agent has begun to run.
 */
AGENT static void agent_parent(uint64_t word)
{
	struct comm *c = the_comm();

	c->ram_fd = ENTRY_RAM_FD(word);
	c->agent_uffd = c->uffd;
	if (c->uffd != c->ram_fd + 1)
		c->agent_uffd = (int32_t)CALL3(NR_dup3, c->uffd, c->ram_fd + 1, 02000000);
	c->agent = (int32_t)spawn(CLONE_VM | CLONE_FILES | CLONE_UNTRACED | 17,
				  AGENT_COMM + COMM_SIZE, agent_main, word);
	CALL1(NR_exit, 0);
}

#define UFFD_FLAGS   02004000 /* O_CLOEXEC | O_NONBLOCK */
#define UFFD_IOC_NEW 0xaa00

/* The device's descriptor is the manager's permission: the program may be any user. */
INLINE void open_uffd(struct comm *c)
{
	if (c->uffd_dev < 0) {
		c->uffd = (int32_t)CALL1(NR_userfaultfd, UFFD_FLAGS);
		return;
	}
	c->uffd = (int32_t)CALL3(NR_ioctl, c->uffd_dev, UFFD_IOC_NEW, UFFD_FLAGS);
	CALL1(NR_close, c->uffd_dev);
}

/* Runs on the thread that was diverted; its registers are saved by agent_entry. */
AGENT static void agent_enter(uint64_t code_fd, uint64_t word)
{
	struct comm *c = the_comm();
	uint64_t offset = COMM_FILE_OFFSET + ENTRY_SLOT(word) * COMM_SIZE;
	uint64_t all = ~0ull, old;
	int64_t child;

	CALL4(NR_rt_sigprocmask, 0, &all, &old, 8);
	call(NR_mmap, AGENT_COMM, COMM_SIZE, 3, 0x11, code_fd, offset);
	CALL3(NR_madvise, AGENT_COMM, COMM_SIZE, 10); /* MADV_DONTFORK: a child gets its own */
	if (word & ENTRY_NEED_UFFD)
		open_uffd(c);
	child = spawn(CLONE_VM | CLONE_VFORK | CLONE_UNTRACED, AGENT_COMM + COMM_SIZE - 0x800,
		      agent_parent, word);
	CALL4(NR_wait4, child, 0, 0x40000000, 0);
	CALL1(NR_close, code_fd);
	CALL1(NR_close, ENTRY_RAM_FD(word));
	CALL1(GATE_NR, child);
	if (c->uffd >= 0)
		CALL1(NR_close, c->uffd);
	CALL4(NR_rt_sigprocmask, 2, &old, 0, 8);
}

/*
 * The stub saved what a system call preserves and C does not, below the red
 * zone, in this order: rdi rsi rdx r10 r8 r9. r8 has the code file, r9 the entry word.
 */
__asm__(".pushsection agent_text, \"ax\", @progbits\n"
	".globl agent_entry\n"
	"agent_entry:\n"
	"	push %rbx\n"
	"	mov %rsp, %rbx\n"
	"	and $-16, %rsp\n"
	"	mov %r8, %rdi\n"
	"	mov %r9, %rsi\n"
	"	call agent_enter\n"
	"	mov %rbx, %rsp\n"
	"	pop %rbx\n"
	"	pop %r9\n"
	"	pop %r8\n"
	"	pop %r10\n"
	"	pop %rdx\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	lea 128(%rsp), %rsp\n"
	"	movabs $0x5f0000010000, %r11\n"
	"	mov (%r11), %rax\n"
	"	mov 8(%r11), %r11\n"
	"	jmp *%r11\n"
	".popsection\n");
_Static_assert(AGENT_COMM == 0x5f0000010000ull, "the entry code knows the address");
