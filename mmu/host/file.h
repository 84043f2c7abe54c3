/*
 * file.h - host files as devices of the machine.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_HOST_FILE_H
#define QUIRE_HOST_FILE_H

#include "store/device.h"
#include "mmu/host/host.h"
#include "store/mapping.h"

/* The mapping of an open file, with one user; takes fd over. NULL without memory. */
struct mapping *file_mapping(struct machine *m, int fd, const char *name);
/* A device that reads and writes an open file; takes fd over. */
struct device *file_device(int fd);

/* What a shared mapping of the file is: a file's, POSIX shared memory or a memfd, or a device's. */
enum outside file_outside(int fd);
/* Size of a System V segment, as it is when attached; 0 if there is none. */
u64 file_sysv_bytes(int id);

/* For tests: make the n-th read or write of all devices from now on fail with err (0: none). */
void file_fail_at(unsigned long reads, unsigned long writes, int err);

#endif
