/*
 * request.h - one intercepted call, for those who answer it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_HOST_REQUEST_H
#define QUIRE_HOST_REQUEST_H

#include "mmu/host/host.h"

/* Not a value that a system call returns: go on natively. */
#define NATIVE	 ((s64)1 << 62)
#define LATER	 (NATIVE + 1)
#define ANSWERED (NATIVE + 2)

/* One call being handled. */
struct request {
	struct host *host;
	struct proc *proc;
	struct mm *mm;
	const struct deferred *n;
};

/* limits.c: getrlimit, setrlimit, prlimit64. */
s64 on_limits(struct request *r);

#endif
