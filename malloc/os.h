/*
 * os.h - everything the allocator asks of the kernel.
 *
 * How     Bare system calls: they touch neither errno nor thread-local storage, so that the
 *         reaper (reap.h) can use them without being a thread of the C library.
 * Use     Functions that can fail return NULL or false. os_fail_at(n) makes the n-th fallible
 *         call from now on, and all later ones, fail: the fault sweep of the tests.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_OS_H
#define QUIRE_MALLOC_OS_H

#include "layout.h"

#include <stdatomic.h>

enum os_access { OS_RESERVED, OS_READ_WRITE };

must_use void *os_map(size_t bytes, enum os_access access);
must_use bool os_commit(void *at, size_t bytes);
must_use bool os_extend_break(void *from, size_t bytes); /* false: the break is elsewhere, too */
void *os_break(void);
must_use void *os_remap(void *at, size_t old_bytes, size_t bytes);
must_use void *os_remap_in_place(void *at, size_t old_bytes, size_t bytes);
const char *os_map_file(const char *path, size_t *bytes); /* to read; NULL: no such file */
void os_unmap(void *at, size_t bytes);
void os_guard(void *at, size_t bytes);
void os_purge(void *at, size_t bytes); /* give the frames back; reads as zero */
void os_want_huge(void *at, size_t bytes);

void os_wait(_Atomic uint32_t *word, uint32_t value);
void os_wake_one(_Atomic uint32_t *word);
void os_sleep_ms(unsigned ms);
int os_spawn(int (*body)(void), void *stack_top, void *control_block); /* 0, or -errno */
uint64_t os_now_ns(void);
size_t os_ram_bytes(void);
size_t os_address_limit(void); /* RLIMIT_AS, SIZE_MAX if none */
uint64_t os_random(void);
int os_open(const char *path, int flags, int mode);
long os_read(int fd, void *buffer, size_t bytes);
void os_write(int fd, const void *text, size_t bytes);
void os_close(int fd);
int os_pid(void);
int os_tid(void);

void os_fail_at(unsigned long nth); /* 0: never */
unsigned long os_calls(void); /* fallible calls so far */

#endif
