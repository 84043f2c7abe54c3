/*
 * comm.h - what the manager and its agent in the program's address space share.
 *
 * How     The agent's code is mapped at AGENT_BASE in every address space, and a comm block behind
 *         it. The manager writes commands, which are system calls, and the agent makes them. Code
 *         in [AGENT_BASE, AGENT_BASE + AGENT_CODE_MAX) may make any system call unseen.
 * Locks   seq and done are futex words; the rest belongs to the manager while done == seq, to the
 *         agent otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_HOST_COMM_H
#define QUIRE_HOST_COMM_H

#include <stdint.h>

#define AGENT_BASE	 0x5f0000000000ull
#define AGENT_CODE_MAX	 0x4000ull
#define AGENT_RESTORER	 (AGENT_BASE + 0x3f00) /* restorer.c */
#define AGENT_COMM	 (AGENT_BASE + 0x10000)
#define AGENT_END	 (AGENT_COMM + COMM_SIZE)
#define AGENT_STRINGS	 (AGENT_BASE + 0x100000) /* the program's arguments and environment */
#define AGENT_STAGE	 (AGENT_BASE + (1ull << 40)) /* mappings are made ready here: stage.c */
#define AGENT_ZONE_END	 (AGENT_BASE + (1ull << 42)) /* nothing of the program's below */
#define COMM_SIZE	 0x8000ull
#define COMM_FILE_OFFSET 0x10000ull /* of slot 0 in the code file */
#define COMM_SLOTS	 4096u
#define COMM_COMMANDS	 256
#define COMM_ECANCELED	 125 /* of a command that was not tried */

/*
 * brk, made by the agent's code, tells the manager that the agent is there. A filter of the
 * program's own refuses what it does not know, and then nothing would be reported.
 */
#define GATE_NR 12

/* What an entry into the agent's code carries in one register. */
#define ENTRY_SLOT(word)       ((uint32_t)((word)&0xffff))
#define ENTRY_RAM_FD(word)     ((int)(((word) >> 16) & 0xffff))
#define ENTRY_NEED_UFFD	       (1ull << 32)
#define ENTRY_GENERATION(word) ((uint32_t)((word) >> 40))

struct comm_command {
	int64_t nr;
	uint64_t arg[6]; /* from the fourth on it may be what an ioctl's third points to, */
	int64_t result; /* which may write here before its result comes */
};

struct comm {
	/* Offsets 0 and 8 are known to the entry code. */
	uint64_t resume_nr; /* rax on resuming: the number of the call to repeat */
	uint64_t resume_pc; /* of the syscall instruction */
	uint32_t seq; /* (futex) commands posted */
	uint32_t done; /* (futex) commands finished */
	uint32_t nr; /* commands in this post */
	uint32_t generation; /* of the block's use: an agent of an earlier one ends */
	int32_t manager; /* its process id; the agent ends without it */
	int32_t program; /* process to kill when the manager is gone */
	uint32_t careful; /* do nothing more after a command that fails, but wake `wake` */
	struct {
		uint64_t start, len;
	} wake; /* len 0: nothing */
	int32_t uffd; /* descriptor in the program, or -errno */
	int32_t agent_uffd; /* in the agent, or -errno */
	int32_t uffd_dev; /* /dev/userfaultfd in the program, or negative */
	int32_t ram_fd; /* descriptor in the agent */
	uint32_t pause; /* for tests: microseconds that others have after each mapping */
	int32_t agent; /* process id of the agent, from when it was made */
	struct comm_command command[COMM_COMMANDS];
};

_Static_assert(sizeof(struct comm) < 0x5000, "stacks lie behind");

#endif
