/*
 * mm.h - one address space: its areas, its page table, its accounts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_SPACE_MM_H
#define QUIRE_SPACE_MM_H

#include "base/list.h"
#include "base/rbtree.h"
#include "base/types.h"
#include "table/table.h"

struct machine;
struct page;

#define TASK_COMM_LEN	16
#define MMAP_MIN_ADDR	65536ull
#define TASK_SIZE	(0x800000000000ull - PAGE_SIZE)
#define STACK_GUARD_GAP (256 * PAGE_SIZE)
#define MAX_MAP_COUNT	65530

/* Where resident pages are counted, as in Linux's mm_counter(). */
enum mm_counter { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES, NR_MM_COUNTERS };

/* One address space. Guarded by its machine. */
struct mm {
	struct machine *machine; /* (C) */
	struct list_head all; /* on machine->mms */
	struct rb_root areas; /* struct vma by start; summary: largest gap in front */
	struct vma *last; /* the area found last: most faults come in runs */
	unsigned int map_count;
	struct table table;
	u64 counter[NR_MM_COUNTERS]; /* pages */
	u64 hiwater_rss; /* pages */
	u64 total_vm, locked_vm; /* pages */
	u64 data_vm; /* pages: private and writable (Linux: data_vm) */
	vaddr_t start_brk, brk, start_stack;
	vaddr_t mmap_base; /* areas are placed below it, top down */
	vaddr_t mmap_low; /* and not below this */
	u64 rlimit_as, rlimit_data, rlimit_stack, rlimit_memlock; /* bytes; ~0 none */
	u32 def_flags; /* VM_LOCKED after mlockall(MCL_FUTURE) */
	s32 oom_score_adj;
	int pid; /* of the process that owns it, for reports */
	int uid;
	char comm[TASK_COMM_LEN];
	bool oom_victim; /* chosen and not gone yet */
	void *backend; /* the MMU back end's own */
};

/* A new, empty address space; NULL without memory. Linux: mm_alloc(). */
must_use struct mm *mm_create(struct machine *m);
/* Unmaps everything and gives all back. NULL is legal. Linux: mmput(). */
void mm_destroy(struct mm *mm);

static inline u64 mm_rss(const struct mm *mm)
{
	return mm->counter[MM_FILEPAGES] + mm->counter[MM_ANONPAGES] + mm->counter[MM_SHMEMPAGES];
}

/* Counts `n` pages of this kind more (or, negative, less) and keeps the high-water mark. */
void mm_count(struct mm *mm, enum mm_counter which, s64 n);

/* Where a page is counted while it is mapped. */
enum mm_counter mm_counter_of(const struct page *page);

#endif
