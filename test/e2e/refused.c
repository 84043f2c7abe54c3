/*
 * refused.c - calls that could bypass the machine's RAM: each must be done by Quire or refused.
 *
 * Prints `name refused` or `name allowed`; natively most are allowed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <linux/userfaultfd.h>
#include <sys/swap.h>
#include <sys/syscall.h>

static void show(const char *name, long result)
{
	printf("%s %s\n", name, result < 0 ? "refused" : "allowed");
}

int main(void)
{
	char parameters[256] = { 0 };

	show("userfaultfd", syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY));
	show("io_uring_setup", syscall(SYS_io_uring_setup, 4, parameters));
	show("swapon", swapon("/nowhere", 0));
	show("memfd_secret", syscall(447, 0));
	show("remap_file_pages", syscall(SYS_remap_file_pages, parameters, PAGE, 0, 0, 0));
	show("mmap hugetlb", (long)mmap(NULL, 2 << 20, PROT_READ,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0));
	return 0;
}
