/*
 * scan.c - second chance: which pages of a list stay.
 *
 * How     Pages enter at the front and are looked at from the back. An active page moves to the
 *         inactive list with its translations. At the back of that list they are taken away, and
 *         the page goes round once more: if it came back meanwhile it becomes active, else it
 *         goes. Linux takes the accessed bit at both places; here taking it costs a fault, once
 *         is enough.
 * Use     shrink_active(), shrink_inactive() in batches of 32.
 * Locks   The machine's.
 * Why     Linux: shrink_active_list(), shrink_inactive_list(), lru_note_cost().
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "reclaim/reclaim.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/state.h"

/* What one walk over the entries of a page finds. */
struct references {
	struct gather *gather;
	unsigned int young;
	u32 vm_flags;
	bool age; /* make them old */
};

static enum rmap_step count_young(void *ctx, const struct rmap_entry *e)
{
	struct references *r = ctx;

	if (!e->vma->mm->machine->mmu->can_replace(e->vma->mm)) {
		r->young += 2; /* nothing can be taken away there: as good as in constant use */
		return RMAP_STOP;
	}
	if (!pte_young(*e->pte))
		return RMAP_NEXT;
	if (r->age) {
		*e->pte &= ~PTE_ACCESSED;
		gather_add(r->gather, e->vma->mm, e->addr);
	}
	r->young++;
	r->vm_flags |= e->vma->flags;
	return RMAP_NEXT;
}

unsigned int page_referenced(struct machine *m, struct page *page, struct gather *g, u32 *vm_flags)
{
	struct references r = { .gather = g, .age = g != NULL };

	*vm_flags = 0;
	/* A pinned page must stay mapped: the host writes it when nobody can answer. */
	if (page_test(page, PG_pinned))
		return 1;
	rmap_walk(m, page, count_young, &r);
	*vm_flags = r.vm_flags;
	return r.young;
}

#define SKIP_MAX 1024 /* pages of higher zones that one batch passes over */

/*
 * Takes up to nr pages from the back of a list onto `out`, with a reference each. Those of zones
 * that are not wanted go to the front, so that the next batch does not meet them again.
 */
static u64 isolate(struct scan *s, enum lru_list l, u64 nr, struct list_head *out)
{
	struct lruvec *lru = &s->node->lruvec;
	struct list_head skipped;
	struct page *page;
	u64 n = 0, nr_skipped = 0;

	list_init(&skipped);
	while (n < nr && nr_skipped < SKIP_MAX && (page = lru_last(lru, l))) {
		lru_del(lru, page);
		if (page_zonenum(page) > s->highest) {
			list_add(&page->lru, &skipped);
			nr_skipped++;
			continue;
		}
		page->refcount++;
		list_add(&page->lru, out);
		n++;
	}
	while (!list_empty(&skipped)) {
		page = list_last_entry(&skipped, struct page, lru);
		list_del_init(&page->lru);
		lru_add(lru, page);
		stat_inc(&s->machine->phys.stat,
			 (enum vm_stat_item)(PGSKIP_DMA + page_zonenum(page)));
	}
	s->scanned += n;
	return n;
}

/* What reclaiming this kind has cost; old costs fade. Linux: lru_note_cost(). */
static void note_cost(struct lruvec *lru, bool file, u64 cost)
{
	u64 size = 0;
	int l;

	if (file)
		lru->file_cost += cost;
	else
		lru->anon_cost += cost;
	for (l = 0; l < LRU_UNEVICTABLE; l++)
		size += lru->nr[l];
	if (lru->file_cost + lru->anon_cost > size / 4) {
		lru->file_cost /= 2;
		lru->anon_cost /= 2;
	}
}

void shrink_active(struct scan *s, enum lru_list l, u64 nr)
{
	struct machine *m = s->machine;
	struct list_head pages;
	struct page *page;
	u64 rotated = 0;

	list_init(&pages);
	stat_add(&m->phys.stat, PGREFILL, isolate(s, l, nr, &pages));
	while (!list_empty(&pages)) {
		u32 vm_flags;
		unsigned int young;

		page = list_last_entry(&pages, struct page, lru);
		list_del_init(&page->lru);
		young = page_referenced(m, page, NULL, &vm_flags);
		/*
		 * Text in use goes round once more, and no oftener: entries stay young until the
		 * inactive list's end, so that nothing else would ever let go of it.
		 */
		if (young && (vm_flags & VM_EXEC) && lru_is_file(l) &&
		    !page_test(page, PG_referenced)) {
			page_set(page, PG_referenced);
			rotated++;
		} else {
			page_clear(page, PG_active);
			page_clear(page, PG_referenced);
			page_set(page, PG_workingset);
			stat_inc(&m->phys.stat, PGDEACTIVATE);
		}
		page_lru_add(m, page);
		page_put(m, page);
	}
	note_cost(&s->node->lruvec, lru_is_file(l), rotated);
}

static void count_scan(struct scan *s, bool file, u64 scanned, u64 stolen)
{
	struct vm_stat *stat = &s->machine->phys.stat;
	bool kswapd = s->who == RECLAIM_KSWAPD;

	stat_add(stat, kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, scanned);
	stat_add(stat, kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT, stolen);
	stat_add(stat, file ? PGSCAN_FILE : PGSCAN_ANON, scanned);
	stat_add(stat, file ? PGSTEAL_FILE : PGSTEAL_ANON, stolen);
}

void shrink_inactive(struct scan *s, enum lru_list l, u64 nr)
{
	struct vm_stat *stat = &s->machine->phys.stat;
	u64 written = stat_read(stat, PSWPOUT);
	struct list_head pages;
	u64 scanned, stolen;

	list_init(&pages);
	scanned = isolate(s, l, nr, &pages);
	if (!scanned)
		return;
	stolen = evict_pages(s, &pages);
	s->reclaimed += stolen;
	count_scan(s, lru_is_file(l), scanned, stolen);
	note_cost(&s->node->lruvec, lru_is_file(l),
		  (stat_read(stat, PSWPOUT) - written) * SWAP_CLUSTER_MAX + (scanned - stolen));
}
