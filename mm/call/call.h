/*
 * call.h - SENTENCES: the memory system calls. Arguments and results are Linux's: a value, or
 * -errno.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_CALL_CALL_H
#define QUIRE_CALL_CALL_H

#include "base/types.h"

struct mapping;
struct mm;
struct vma;

/* Linux's values (x86-64). */
enum {
	CALL_PROT_READ = 1,
	CALL_PROT_WRITE = 2,
	CALL_PROT_EXEC = 4,
	CALL_PROT_GROWSDOWN = 0x01000000,
	CALL_PROT_GROWSUP = 0x02000000,
	CALL_MAP_SHARED = 1,
	CALL_MAP_PRIVATE = 2,
	CALL_MAP_SHARED_VALIDATE = 3,
	CALL_MAP_FIXED = 0x10,
	CALL_MAP_ANONYMOUS = 0x20,
	CALL_MAP_32BIT = 0x40,
	CALL_MAP_GROWSDOWN = 0x100,
	CALL_MAP_LOCKED = 0x2000,
	CALL_MAP_NORESERVE = 0x4000,
	CALL_MAP_POPULATE = 0x8000,
	CALL_MAP_NONBLOCK = 0x10000,
	CALL_MAP_STACK = 0x20000,
	CALL_MAP_HUGETLB = 0x40000,
	CALL_MAP_FIXED_NOREPLACE = 0x100000,
	CALL_MREMAP_MAYMOVE = 1,
	CALL_MREMAP_FIXED = 2,
	CALL_MREMAP_DONTUNMAP = 4,
};

/* mmap(2). */
struct map_request {
	vaddr_t addr;
	u64 len; /* bytes */
	u32 prot, flags; /* as the caller gave them */
	u64 offset; /* bytes; page aligned */
	struct mapping *mapping; /* borrowed; NULL: anonymous */
	u32 vm_flags; /* more enum vma_flags for the area */
	u32 deny; /* VM_MAY* that the file does not give */
};

s64 call_mmap(struct mm *mm, const struct map_request *req);
s64 call_munmap(struct mm *mm, vaddr_t addr, u64 len);
s64 call_brk(struct mm *mm, vaddr_t brk);
s64 call_mprotect(struct mm *mm, vaddr_t addr, u64 len, u32 prot);
s64 call_mremap(struct mm *mm, vaddr_t old, u64 old_len, u64 new_len, u32 flags, vaddr_t to);
s64 call_madvise(struct mm *mm, vaddr_t addr, u64 len, int advice);
s64 call_mlock(struct mm *mm, vaddr_t addr, u64 len, u32 on_fault);
s64 call_munlock(struct mm *mm, vaddr_t addr, u64 len);
s64 call_mlockall(struct mm *mm, u32 flags);
s64 call_munlockall(struct mm *mm);
/* vec: one byte per page; *filled: how many pages before an error, or all. */
s64 call_mincore(struct mm *mm, vaddr_t addr, u64 len, u8 *vec, u64 *filled);
s64 call_msync(struct mm *mm, vaddr_t addr, u64 len, u32 flags);

/* A copy of mm, its private pages shared until written. NULL without memory. Linux: dup_mm(). */
must_use struct mm *call_fork(struct mm *parent);

/*
 * May the space grow by an area of so many pages and these flags? 0 or -ENOMEM, by the limits of
 * the process and of overcommit. Linux: may_expand_vm(), __vm_enough_memory().
 */
int call_may_expand(struct mm *mm, u64 pages, u32 flags);

/* Finds a place for len bytes as mmap() would; or -errno. Linux: get_unmapped_area(). */
s64 call_get_area(struct mm *mm, vaddr_t hint, u64 len, u32 flags);

#endif
