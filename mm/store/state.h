/*
 * state.h - struct machine: what all nouns and verbs of one machine share.
 *
 * How     One machine owns RAM, swap, page cache and address spaces. There are no globals: a test
 *         may hold a thousand machines. machine.h boots and ends one.
 * Locks   One thread at a time is inside a machine; its owner sees to that (mmu/host: the manager).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_STORE_STATE_H
#define QUIRE_STORE_STATE_H

#include "base/list.h"
#include "phys/alloc.h"
#include "phys/lru.h"
#include "phys/node.h"
#include "phys/phys.h"
#include "store/swap.h"
#include "table/mmu.h"

struct kmem_cache;
struct mm;

/* /proc/sys/vm, with Linux's defaults. */
struct knobs {
	unsigned int swappiness; /* 0 to 200 */
	unsigned int page_cluster; /* swap readahead: 2^n pages */
	unsigned int vfs_cache_pressure;
	unsigned int overcommit_memory; /* 0 heuristic, 1 always, 2 never */
	unsigned int overcommit_ratio; /* percent */
	unsigned int read_ahead_kb;
	unsigned int fault_around_bytes; /* file pages mapped around a fault */
	unsigned int fault_zero_pages; /* largest run of zero pages that one fault maps */
	unsigned int collapse_faults; /* that end at scattered pages, for a collapse; 0: never */
	unsigned int oom_kill_allocating_task;
	unsigned int panic_on_oom;
};

/* What the machine asks of its surroundings. All may be NULL in a test. */
struct machine_ops {
	/* Kill the process that owns mm (SIGKILL); its memory is reaped at once. */
	void (*kill)(struct mm *mm, const char *why);
	/* A fresh oom_score_adj, which the process may have changed. */
	void (*refresh)(struct mm *mm);
	u64 (*now_ns)(struct machine *m);
	/* A line of the log, without newline. */
	void (*log)(struct machine *m, const char *line);
};

/* One candidate of one OOM kill, as Linux's table has it. */
struct oom_row {
	int pid, uid;
	u64 total_vm, rss, pgtables_bytes, swapents;
	s32 oom_score_adj;
	s64 points;
	char comm[16];
};

/* kcompactd's memory: move/kcompactd.c. */
struct kcompactd {
	struct node *node; /* being compacted of its own accord; NULL: none */
	unsigned int nid; /* the node looked at last */
	unsigned int score; /* of that node before */
	unsigned int deferred; /* looks to leave out */
	u64 next_ns; /* of the next look */
};

/* Pages that are collapsed together, at most: what one leaf of the tables translates. */
#define COLLAPSE_PAGES 512u

/* File pages that are to come side by side: move/collapse.c. */
struct collapse_wish {
	struct mapping *map; /* NULL: none */
	u64 first; /* a multiple of COLLAPSE_PAGES */
};

/* Where pages of programs and files come from. Linux: struct mempolicy, for all of the machine. */
enum policy_mode {
	POLICY_LOCAL, /* the node of the CPU that asks, then by distance */
	POLICY_PREFERRED, /* one node, then by distance from it */
	POLICY_INTERLEAVE, /* each block from the next node in turn */
};

struct policy {
	enum policy_mode mode;
	unsigned int node; /* preferred, or the one that was last in turn */
};

#define OOM_ROWS  32
#define OOM_KILLS 16

/* One kill: victim and the candidates, highest points first. */
struct oom_kill {
	struct oom_row victim;
	unsigned int order;
	u64 total_pages;
	unsigned int nr_rows;
	struct oom_row rows[OOM_ROWS];
};

/* One machine. */
struct machine {
	struct phys phys;
	struct swap swap;
	struct knobs knobs;
	const struct mmu_ops *mmu;
	const struct machine_ops *ops;
	void *owner; /* of whoever supplied ops */
	struct kmem_cache *mm_cache, *vma_cache, *anon_vma_cache, *mapping_cache, *radix_cache;
	struct list_head mms; /* struct mm by all */
	struct list_head mappings; /* struct mapping by link; most recently made last */
	u64 committed; /* pages that VM_ACCOUNT areas may need */
	u64 swap_peak; /* slots */
	unsigned int reclaiming; /* nested: allocations inside reclaim use the reserves */
	/* Whose fault, fork or mremap is being handled: not to be reaped meanwhile. */
	struct mm *faulting;
	unsigned int oom_deferred; /* kills that a fork under way put off */
	unsigned int kswapd_failures;
	struct kcompactd kcompactd;
	struct collapse_wish collapse;
	struct policy policy;
	u64 nr_oom; /* kills so far */
	struct oom_kill oom[OOM_KILLS];
	u64 seed; /* of every choice */
};

/*
 * A block of 2^order frames for programs or files, from the node that the policy says, or NULL.
 * Linux: vma_alloc_folio(), alloc_pages_mpol().
 */
struct page *must_use user_pages_alloc(struct machine *m, gfp_t gfp, unsigned int order);
/* Fields of a page that the allocator leaves undefined. Call on each page for the caches. */
void page_prepare(struct page *page);
/*
 * A cached page was used by somebody who lets go of it: once, it is marked; twice, it is active.
 * Linux: folio_mark_accessed().
 */
void page_mark_accessed(struct machine *m, struct page *page);
/* A page becomes reclaimable. */
void page_lru_add(struct machine *m, struct page *page);
/* Drops a reference of a page that no anon_vma knows; the last frees it. */
void store_page_put(struct machine *m, struct page *page);

#endif
