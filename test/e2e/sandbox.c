/*
 * sandbox.c - a program that refuses itself what it does not know, as containers do, and goes on:
 *             it forks, its child executes, and so does it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { LAST_KNOWN = 460 };

static void shut_in(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

int main(void)
{
	char *memory = map_anonymous(64 * PAGE, MAP_PRIVATE);
	pid_t child;

	shut_in();
	fill_page(memory, 1);
	must((child = fork()) >= 0);
	if (!child) {
		fill_page(memory, 2);
		printf("child: %d\n", page_holds(memory, 2));
		fflush(stdout);
		execl("/bin/echo", "echo", "child: another image", NULL);
	}
	printf("ended: %d, mine: %d\n", wait_for(child), page_holds(memory, 1));
	fflush(stdout);
	execl("/bin/echo", "echo", "another image", NULL);
	return 1;
}
