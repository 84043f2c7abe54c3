/*
 * restorer.c - a signal that comes in an intercepted call does not make it fail.
 *
 * How     The host ends a call that the manager has not read yet when a signal comes. With
 *         SA_RESTART it is made again; else it would fail with EINTR, which no memory call
 *         knows: malloc() would fail in any program with a timer. So handlers without SA_RESTART
 *         return through code of ours. Where the interrupted context is just behind a call that
 *         we intercept, and has EINTR as its result, it is set back to before the call.
 * Holds   R1  the code begins as the C library's, by which debuggers and unwinders know the frame
 *         of a signal: `mov $15, %rax; syscall`. The filter refuses that one call, and the code
 *         goes on
 * Why     The call's number is not in the frame: it is read from the instruction that loaded it,
 *         next to the call or a few moves before it, as glibc and musl have it. Where it is
 *         elsewhere (syscall(2) with the number in a register), EINTR stays.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fault/fault.h"
#include "mmu/host/host.h"

extern const char __start_restorer_text[], __stop_restorer_text[];

/*
 * At the start %rsp is the frame's ucontext: rax at 144, rip at 168. All registers are free.
 * Numbers below 64 by a mask: lseek mmap mprotect munmap brk rt_sigaction, mremap to madvise,
 * shmat shmctl clone fork execve.
 */
__asm__(".pushsection restorer_text, \"ax\", @progbits\n"
	"	.byte 0x48, 0xc7, 0xc0, 15, 0, 0, 0\n" /* mov $15, %rax */
	"	syscall\n"
	"	cmpq $-4, 144(%rsp)\n" /* EINTR */
	"	jne 9f\n"
	"	mov 168(%rsp), %rcx\n"
	"	mov %ecx, %edx\n"
	"	and $0xfff, %edx\n"
	"	cmp $24, %edx\n" /* not on the page before */
	"	jb 9f\n"
	"	cmpw $0x050f, -2(%rcx)\n" /* syscall */
	"	jne 9f\n"
	"	mov $4, %esi\n"
	"4:	mov -6(%rcx), %eax\n"
	"	cmpb $0xb8, -7(%rcx)\n" /* mov $number, %eax */
	"	je 1f\n"
	"	cmpl $0xfffff000, -6(%rcx)\n" /* and $-4096, %register */
	"	jne 5f\n"
	"	sub $4, %rcx\n"
	"	jmp 6f\n"
	"5:	mov -4(%rcx), %al\n"
	"	or $0xa0, %al\n"
	"	cmp $0xa9, %al\n" /* mov, sub of registers */
	"	jne 9f\n"
	"6:	sub $3, %rcx\n"
	"	dec %esi\n"
	"	jnz 4b\n"
	"	jmp 9f\n"
	"1:	cmp $64, %eax\n"
	"	jae 2f\n"
	"	movabs $0x0b000000de003f00, %rdx\n"
	"	bt %rax, %rdx\n"
	"	jc 8f\n"
	"	jmp 9f\n"
	"2:	lea 7f(%rip), %rsi\n"
	"3:	movzwl (%rsi), %edx\n"
	"	test %edx, %edx\n"
	"	jz 9f\n"
	"	add $2, %rsi\n"
	"	cmp %edx, %eax\n"
	"	jne 3b\n"
	"8:	mov %rax, 144(%rsp)\n"
	"	subq $2, 168(%rsp)\n"
	"9:	mov $15, %eax\n"
	"	syscall\n"
	"	hlt\n"
	/* getrlimit sysinfo mlock munlock mlockall munlockall setrlimit sched_setaffinity, */
	/* sched_getaffinity set_tid_address set_robust_list prlimit64 execveat mlock2 */
	/* pkey_mprotect rseq */
	"7:	.short 97, 99, 149, 150, 151, 152, 160, 203, 204, 218, 273, 302, 322, 325, 329\n"
	"	.short 334, 0\n"
	".popsection\n");

struct kernel_action {
	u64 handler, flags, restorer, mask;
};

#define HAS_RESTORER 0x04000000ull

void restorer_write(int code_fd)
{
	ssize_t size = __stop_restorer_text - __start_restorer_text;

	if (pwrite(code_fd, __start_restorer_text, (size_t)size, AGENT_RESTORER - AGENT_BASE) !=
	    size)
		host_fail("cannot write the restorer's code: %s", strerror(errno));
}

void restorer_use(struct mm *mm, vaddr_t act)
{
	const u64 ours = AGENT_RESTORER;
	const struct vma *vma = vma_at(mm, act);
	struct kernel_action k;

	if (!vma || (vma->flags & VM_PFNMAP) || fault_copy_out(mm, act, &k, sizeof(k)) < 0)
		return;
	if (k.handler > 1 && (k.flags & HAS_RESTORER) && !(k.flags & SA_RESTART))
		(void)fault_copy_in(mm, act + offsetof(struct kernel_action, restorer), &ours,
				    sizeof(ours));
}
