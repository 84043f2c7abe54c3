/*
 * rmap.h - from a frame to every entry that maps it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_SPACE_RMAP_H
#define QUIRE_SPACE_RMAP_H

#include "base/list.h"
#include "base/types.h"
#include "table/pte.h"

struct machine;
struct mm;
struct page;
struct vma;

/* The areas in which private copies of one lineage of pages may be: parent and forked children. */
struct anon_vma {
	struct list_head areas;
	u64 nr_areas;
	u64 nr_pages; /* pages whose mapping names it: it outlives its areas while some remain */
};

/* Gives the area an anon_vma, its neighbour's if they could merge. 0 or -ENOMEM. */
must_use int anon_vma_prepare(struct vma *vma);
/* The child's area joins the parent's lineage. Linux: anon_vma_fork(). */
void anon_vma_join(struct vma *vma, struct anon_vma *anon);
void anon_vma_leave(struct vma *vma);

/* A new anonymous page begins at this address of the area. Linux: folio_add_new_anon_rmap(). */
void rmap_new_anon(struct page *page, struct vma *vma, vaddr_t addr);
/* The page forgets its anon_vma when it is freed. */
void rmap_page_free(struct machine *m, struct page *page);

/*
 * Pages of [start, end), which hold nothing but zeros, become pages of another anon_vma (and, the
 * first of them, of that index): those that no other entry maps. The rest is unmapped.
 */
void rmap_rehome_zeros(struct mm *mm, vaddr_t start, vaddr_t end, struct anon_vma *to, u64 index);

/* One more, one less entry maps the page. Keeps mapcount and the machine's counters. */
void rmap_add(struct machine *m, struct page *page);
void rmap_remove(struct machine *m, struct page *page);

/* One entry that maps a page. */
struct rmap_entry {
	struct vma *vma;
	vaddr_t addr;
	pte_t *pte;
};

enum rmap_step { RMAP_NEXT, RMAP_STOP };

/* Visits every entry that maps the page until `visit` says stop. Linux: rmap_walk(). */
void rmap_walk(struct machine *m, struct page *page,
	       enum rmap_step (*visit)(void *ctx, const struct rmap_entry *e), void *ctx);

/*
 * The references that entries and caches explain. More: somebody else uses the page. Linux:
 * folio_expected_ref_count().
 */
s32 page_explained_refs(const struct page *page);

#endif
