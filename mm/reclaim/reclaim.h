/*
 * reclaim.h - VERB: push out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_RECLAIM_RECLAIM_H
#define QUIRE_RECLAIM_RECLAIM_H

#include "base/list.h"
#include "base/types.h"
#include "phys/lru.h"
#include "phys/zone.h"
#include "space/gather.h"

struct machine;
struct mm;
struct node;
struct page;

#define DEF_PRIORITY	    12
#define SWAP_CLUSTER_MAX    32
#define MAX_RECLAIM_RETRIES 16 /* fruitless runs before the OOM killer */

enum reclaimer { RECLAIM_KSWAPD, RECLAIM_DIRECT };

/* One run of reclaim. Linux: struct scan_control. */
struct scan {
	struct machine *machine;
	struct node *node;
	enum reclaimer who;
	enum zone_type highest; /* pages of higher zones are of no use. Linux: reclaim_idx */
	int priority; /* scan a list's size >> priority */
	u64 want; /* pages to reclaim */
	u64 scanned, reclaimed;
	bool no_swap; /* leave anonymous pages alone */
	bool deactivate_anon, deactivate_file;
};

/* One round over the lists of a node at the scan's priority. Linux: shrink_lruvec(). */
void reclaim_round(struct scan *s);

/*
 * Bounded background work: one round if a zone is below its high watermark. True if there is
 * more to do.
 */
bool kswapd_step(struct machine *m);

/* Reclaims about `want` pages now; how many it got. */
u64 reclaim_pages(struct machine *m, u64 want);

/*
 * Looks at nr pages from the back of a list. Linux: shrink_inactive_list(),
 * shrink_active_list().
 */
void shrink_inactive(struct scan *s, enum lru_list l, u64 nr);
void shrink_active(struct scan *s, enum lru_list l, u64 nr);

/* Looks at pages isolated from an inactive list and evicts those it may; returns how many. The
 * others go back to the lists. Linux: shrink_folio_list(). */
u64 evict_pages(struct scan *s, struct list_head *pages);

/*
 * Entries that hold the page young; with a gather they become old, and join it. Linux:
 * folio_referenced().
 */
unsigned int page_referenced(struct machine *m, struct page *page, struct gather *g, u32 *vm_flags);

/* Kills the worst process. False when there is nobody to kill. Linux: out_of_memory(). */
bool oom_kill(struct machine *m, unsigned int order);
/* Frees a victim's private memory: it never runs again. Linux: __oom_reap_task_mm(). */
void oom_reap(struct mm *mm);
/* Points of one process in pages; negative: never. Linux: oom_badness(). */
s64 oom_badness(const struct machine *m, const struct mm *mm);

#endif
