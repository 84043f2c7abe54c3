/*
 * errno.h - Linux's error numbers (x86-64), for a core without libc.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_BASE_ERRNO_H
#define QUIRE_BASE_ERRNO_H

#ifndef EPERM
#define EPERM 1
#define ENOENT 2
#define EIO 5
#define EBADF 9
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define ENOSPC 28
#define ENOSYS 38
#define EOVERFLOW 75
#define EOPNOTSUPP 95
#endif

#endif
