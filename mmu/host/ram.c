/*
 * ram.c - the files that the machine's memory is made of.
 *
 * How     RAM is a file in a tmpfs of its own, mounted nowhere, that takes huge pages: the host
 *         makes, clears, maps and frees 2 MiB at once. A memfd gets huge pages only where the
 *         administrator set shmem_enabled; it serves where a file system may not be made.
 * Why     The host's first touch of a 4 KiB page of a file costs ten times its share of a huge
 *         page, more than all that Quire does for it (docs/speed.md).
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmu/host/host.h"

#define HUGE_BYTES (2ull << 20)

/* An unnamed file in a new tmpfs that ends with its last user; -1 where that cannot be had. */
static int huge_file(void)
{
	int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC), mount = -1, fd = -1;

	if (fs >= 0 && !syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "huge", "always", 0) &&
	    !syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "0", 0) &&
	    !syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (mount >= 0)
		fd = openat(mount, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (mount >= 0)
		close(mount);
	if (fs >= 0)
		close(fs);
	return fd;
}

static int set_size(int fd, const char *name, u64 bytes)
{
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		host_fail("cannot make %llu MiB of memory (%s): %s",
			  (unsigned long long)bytes >> 20, name, strerror(errno));
	return fd;
}

int memory_file(const char *name, u64 bytes)
{
	return set_size(memfd_create(name, MFD_CLOEXEC), name, bytes);
}

int ram_file(u64 bytes)
{
	int fd = huge_file();

	return fd < 0 ? memory_file("quire-ram", bytes) : set_size(fd, "quire-ram", bytes);
}

void *memory_map(int fd, u64 bytes, u64 offset)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			(off_t)offset);

	if (at == MAP_FAILED)
		host_fail("cannot map %llu MiB: %s", (unsigned long long)bytes >> 20,
			  strerror(errno));
	return at;
}

void *ram_map(int fd, u64 bytes)
{
	/* Where a huge page may lie, so that one entry of the host's tables maps it. */
	u8 *room = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u8 *at = (u8 *)(((uintptr_t)room + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));

	if (room != MAP_FAILED)
		room = mmap(at, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
	if (room == MAP_FAILED)
		host_fail("cannot map %llu MiB: %s", (unsigned long long)bytes >> 20,
			  strerror(errno));
	return at;
}
