/*
 * filter.c - which system calls the manager sees.
 *
 * How     A seccomp filter sorts by number: memory calls, process creation, exec and a few that
 *         name memory to the kernel are reported; what would pin or map host memory behind the
 *         manager's back is refused with the errno of a kernel without it; all else runs natively.
 *         The agent's own code is let through by its address.
 * Why     Linux: Documentation/userspace-api/seccomp_filter.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmu/host/host.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define LOAD_ARG_HIGH(n)                                                                           \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + 4)
#define IP_HIGH                                                                                    \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4)
#define IP_LOW                                                                                     \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer))
#define RET(value)	      BPF_STMT(BPF_RET | BPF_K, (value))
#define SKIP_UNLESS_EQ(k, n)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (n))
#define SKIP_IF_EQ(k, n)      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (n), 0)
#define SKIP_UNLESS_SET(k, n) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (k), 0, (n))
#define SKIP_IF_SET(k, n)     BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (k), (n), 0)
#define SKIP_IF_GE(k, n)      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (k), (n), 0)

#define ALLOW	    RET(SECCOMP_RET_ALLOW)
#define NOTIFY	    RET(SECCOMP_RET_USER_NOTIF)
#define REFUSE(err) RET(SECCOMP_RET_ERRNO | (err))

#define TELL(nr)      SKIP_UNLESS_EQ((nr), 1), NOTIFY
#define DENY(nr, err) SKIP_UNLESS_EQ((nr), 1), REFUSE(err)

#define O_DIRECT_BIT	 040000
#define CLONE_NEWPID_BIT 0x20000000
#define CLONE_VM_BIT	 0x100
#define CLONE_VFORK_BIT	 0x4000
#define CLONE_THREAD_BIT 0x10000

static struct sock_filter program[] = {
	LOAD(arch),
	SKIP_IF_EQ(AUDIT_ARCH_X86_64, 1),
	REFUSE(ENOSYS),
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1),
	REFUSE(ENOSYS), /* x32 */
	IP_HIGH,
	SKIP_UNLESS_EQ((u32)(AGENT_BASE >> 32), 8),
	IP_LOW,
	SKIP_UNLESS_EQ((u32)RESTORER_FIRST_CALL, 1),
	REFUSE(0),
	SKIP_IF_GE((u32)AGENT_CODE_MAX, 4),
	LOAD(nr),
	SKIP_IF_EQ(GATE_NR, 1),
	ALLOW,
	NOTIFY,
	LOAD(nr),
	/* Frequent first. */
	TELL(SYS_mmap),
	TELL(SYS_munmap),
	TELL(SYS_brk),
	TELL(SYS_mprotect),
	TELL(SYS_madvise),
	SKIP_UNLESS_EQ(SYS_futex, 8),
	LOAD_ARG(1),
	SKIP_IF_SET(128, 4), /* private: keyed by address */
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 127),
	SKIP_IF_EQ(0, 3),
	SKIP_IF_EQ(9, 2),
	SKIP_IF_EQ(6, 1), /* WAIT, WAIT_BITSET, LOCK_PI */
	ALLOW,
	NOTIFY,
	SKIP_UNLESS_EQ(SYS_openat, 3),
	LOAD_ARG(2),
	SKIP_UNLESS_SET(O_DIRECT_BIT, 1),
	NOTIFY,
	LOAD(nr),
	TELL(SYS_mremap),
	SKIP_UNLESS_EQ(SYS_rt_sigaction, 6),
	LOAD_ARG(1),
	SKIP_UNLESS_EQ(0, 3),
	LOAD_ARG_HIGH(1),
	SKIP_UNLESS_EQ(0, 1),
	ALLOW,
	NOTIFY,
	TELL(SYS_execve),
	TELL(SYS_execveat),
	TELL(SYS_fork),
	SKIP_UNLESS_EQ(SYS_clone, 6),
	LOAD_ARG(0),
	SKIP_IF_SET(CLONE_NEWPID_BIT, 3),
	SKIP_UNLESS_SET(CLONE_VM_BIT, 2),
	SKIP_UNLESS_SET(CLONE_VFORK_BIT | CLONE_THREAD_BIT, 1),
	ALLOW,
	NOTIFY,
	DENY(SYS_clone3, ENOSYS),
	TELL(SYS_set_robust_list),
	TELL(SYS_rseq),
	TELL(SYS_set_tid_address),
	TELL(SYS_sched_getaffinity),
	TELL(SYS_sched_setaffinity),
	TELL(SYS_mlock),
	TELL(SYS_munlock),
	TELL(SYS_mlockall),
	TELL(SYS_munlockall),
	TELL(SYS_mlock2),
	TELL(SYS_mincore),
	TELL(SYS_msync),
	TELL(SYS_sysinfo),
	TELL(SYS_shmat),
	TELL(SYS_shmctl),
	TELL(SYS_mbind),
	TELL(SYS_set_mempolicy),
	TELL(SYS_get_mempolicy),
	TELL(SYS_migrate_pages),
	TELL(SYS_move_pages),
	TELL(SYS_setrlimit),
	TELL(SYS_remap_file_pages),
	TELL(SYS_pkey_mprotect),
	SKIP_UNLESS_EQ(SYS_prlimit64, 9),
	LOAD_ARG(1),
	SKIP_IF_EQ(2, 5), /* DATA */
	SKIP_IF_EQ(9, 4), /* AS */
	LOAD_ARG(2),
	SKIP_UNLESS_EQ(0, 2),
	LOAD_ARG_HIGH(2),
	SKIP_IF_EQ(0, 1),
	NOTIFY,
	ALLOW,
	SKIP_UNLESS_EQ(SYS_getrlimit, 5),
	LOAD_ARG(0),
	SKIP_IF_EQ(2, 2),
	SKIP_IF_EQ(9, 1),
	ALLOW,
	NOTIFY,
	SKIP_UNLESS_EQ(SYS_unshare, 4),
	LOAD_ARG(0),
	SKIP_UNLESS_SET(CLONE_NEWPID_BIT, 1),
	NOTIFY,
	ALLOW,
	SKIP_UNLESS_EQ(SYS_setns, 5),
	LOAD_ARG(1),
	SKIP_IF_EQ(0, 2), /* of any kind */
	SKIP_IF_SET(CLONE_NEWPID_BIT, 1),
	ALLOW,
	NOTIFY,
	SKIP_UNLESS_EQ(SYS_ptrace, 10),
	LOAD_ARG(0),
	SKIP_IF_EQ(0 /* TRACEME */, 7),
	SKIP_IF_EQ(1, 6),
	SKIP_IF_EQ(2, 5),
	SKIP_IF_EQ(4, 4),
	SKIP_IF_EQ(5, 3), /* PEEKTEXT, PEEKDATA, POKETEXT, POKEDATA */
	SKIP_IF_EQ(16, 2),
	SKIP_IF_EQ(0x4206, 1), /* ATTACH, SEIZE */
	ALLOW,
	NOTIFY,
	/* Offsets of a terabyte and more are addresses in /proc/PID/mem. */
	SKIP_IF_EQ(SYS_pread64, 1),
	SKIP_UNLESS_EQ(SYS_pwrite64, 4),
	LOAD_ARG_HIGH(3),
	SKIP_IF_GE((u32)(MEM_OFFSET_MIN >> 32), 1),
	ALLOW,
	NOTIFY,
	SKIP_UNLESS_EQ(SYS_lseek, 6),
	LOAD_ARG(2),
	SKIP_UNLESS_EQ(0 /* SEEK_SET */, 2),
	LOAD_ARG_HIGH(1),
	SKIP_IF_GE((u32)(MEM_OFFSET_MIN >> 32), 1),
	ALLOW,
	NOTIFY,
	TELL(SYS_pkey_alloc),
	TELL(SYS_swapon),
	TELL(SYS_swapoff),
	TELL(SYS_userfaultfd),
	TELL(SYS_io_uring_setup),
	TELL(SYS_vmsplice),
	TELL(SYS_process_madvise),
	TELL(447 /* memfd_secret */),
	TELL(448 /* process_mrelease */),
	TELL(450 /* set_mempolicy_home_node */),
	TELL(453 /* map_shadow_stack */),
	TELL(462 /* mseal */),
	TELL(454 /* futex_wake */),
	TELL(455 /* futex_wait */),
	TELL(449 /* futex_waitv */),
	TELL(SYS_modify_ldt),
	SKIP_UNLESS_EQ(SYS_open, 3),
	LOAD_ARG(1),
	SKIP_UNLESS_SET(O_DIRECT_BIT, 1),
	NOTIFY,
	LOAD(nr),
	SKIP_UNLESS_EQ(SYS_fcntl, 5),
	LOAD_ARG(1),
	SKIP_UNLESS_EQ(4 /* F_SETFL */, 3),
	LOAD_ARG(2),
	SKIP_UNLESS_SET(O_DIRECT_BIT, 1),
	NOTIFY,
	ALLOW,
};

int filter_install(void)
{
	struct sock_fprog prog = { .len = array_size(program), .filter = program };
	unsigned long flags =
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);

	if (fd < 0 && errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	return fd < 0 ? -errno : (int)fd;
}
