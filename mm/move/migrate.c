/*
 * migrate.c - moves a page of a running program to another frame.
 *
 * How     movable -> unmapped   every entry becomes old and the back end forgets it   [unmap]
 *         unmapped -> copied    nothing can write the frame any more
 *         copied -> named       cache slots and entries now name the new frame        [rename]
 *         named -> free         the old frame goes back to the allocator
 *         The entries keep their bits, only the frame changes; the next access finds the page
 *         present and old, and takes it back: a soft fault. A range that is to be cleared is
 *         unmapped at once beforehand, because a back end pays for each request.
 * Use     migrate_start(); then compaction, alloc_contig_range() and memory_offline() call it.
 * Holds   M1  a page moves only if entries and caches explain all of its references
 *         M2  when a move has succeeded, nothing names the old frame
 * Locks   The machine's. No migration entries: a fault that comes meanwhile waits in the back
 *         end's queue, because one thread at a time is inside a machine.
 * Why     Linux: mm/migrate.c: try_to_migrate(), migrate_folio_move(), remove_migration_ptes().
 *
 * SPDX-License-Identifier: MIT
 */
#include "move/migrate.h"

#include "base/check.h"
#include "base/errno.h"
#include "space/gather.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

/* What a page takes along. */
#define FLAGS_THAT_MOVE                                                                            \
	(PAGE_FLAG(PG_referenced) | PAGE_FLAG(PG_uptodate) | PAGE_FLAG(PG_dirty) |                 \
	 PAGE_FLAG(PG_active) | PAGE_FLAG(PG_swapbacked) | PAGE_FLAG(PG_swapcache) |               \
	 PAGE_FLAG(PG_readahead) | PAGE_FLAG(PG_unevictable) | PAGE_FLAG(PG_mlocked) |             \
	 PAGE_FLAG(PG_workingset) | PAGE_FLAG(PG_anon_exclusive) | PAGE_FLAG(PG_error))

/* One page on its way, or many that are only unmapped. */
struct migration {
	struct machine *machine;
	struct page *from, *to;
	struct gather gather;
	s32 entries; /* found */
	bool stuck; /* an entry whose back end cannot let go: a child just forked */
};

static enum rmap_step look_at_entry(void *ctx, const struct rmap_entry *e)
{
	struct migration *g = ctx;

	g->entries++;
	g->stuck |= !g->machine->mmu->can_replace(e->vma->mm);
	return g->stuck ? RMAP_STOP : RMAP_NEXT;
}

static int can_move(struct migration *g)
{
	struct page *page = g->from;

	if (compound_order(page) || !page_test(page, PG_lru) || !page->mapping ||
	    page_test(page, PG_pinned))
		return -EBUSY;
	if (g->machine->reclaiming || page->refcount != page_explained_refs(page))
		return -EAGAIN;
	g->entries = 0;
	g->stuck = false;
	rmap_walk(g->machine, page, look_at_entry, g);
	return g->stuck || g->entries != page->mapcount ? -EAGAIN : 0;
}

static enum rmap_step unmap_entry(void *ctx, const struct rmap_entry *e)
{
	struct migration *g = ctx;

	if (pte_young(*e->pte)) {
		*e->pte &= ~PTE_ACCESSED;
		gather_add(&g->gather, e->vma->mm, e->addr);
	}
	return RMAP_NEXT;
}

static void unmap(struct migration *g)
{
	rmap_walk(g->machine, g->from, unmap_entry, g);
}

static enum rmap_step rename_entry(void *ctx, const struct rmap_entry *e)
{
	struct migration *g = ctx;
	pfn_t pfn = page_to_pfn(&g->machine->phys, g->to);

	invariant(M2, !pte_young(*e->pte));
	table_set(&e->vma->mm->table, e->pte, (*e->pte & ~PTE_PFN_MASK) | pfn << PAGE_SHIFT);
	return RMAP_NEXT;
}

static void rename_in_caches(struct migration *g)
{
	struct page *from = g->from;
	struct mapping *map = page_is_anon(from) ? NULL : from->mapping;
	int err = 0;

	if (map)
		err = radix_set(&map->pages, from->index, g->to);
	if (page_test(from, PG_swapcache))
		err |= radix_set(&g->machine->swap.cache, from->private, g->to);
	if (err)
		BUG("replacing needs no memory");
}

/* Everything that named the old page names the new one, which takes over its references. */
static void rename(struct migration *g)
{
	struct page *from = g->from, *to = g->to;

	page_prepare(to);
	to->flags = (to->flags & PAGE_LINK_MASK) | (from->flags & FLAGS_THAT_MOVE);
	to->mapping = from->mapping;
	to->index = from->index;
	to->private = from->private;
	rename_in_caches(g);
	rmap_walk(g->machine, from, rename_entry, g);
	to->mapcount = from->mapcount;
	to->refcount = from->refcount;
	from->mapping = NULL;
	from->private = 0;
	from->mapcount = 0;
	from->refcount = 1;
}

int migrate_page(struct machine *m, struct page *from, struct page *to)
{
	struct migration g = { .machine = m, .from = from, .to = to };
	int err = can_move(&g);

	if (err)
		return err;
	require(to->refcount == 1 && !compound_order(to));
	gather_init(&g.gather, m);
	unmap(&g);
	gather_flush(&g.gather);
	memcpy(page_address(&m->phys, to), page_address(&m->phys, from), PAGE_SIZE);
	rename(&g);
	page_lru_add(m, to);
	store_page_put(m, from);
	return 0;
}

unsigned int migrate_pages(struct machine *m, struct page *const *from, struct page *to,
			   unsigned int nr)
{
	struct migration g = { .machine = m };
	unsigned int i, moved = 0;

	gather_init(&g.gather, m);
	for (i = 0; i < nr; i++) {
		g.from = from[i];
		if (g.from && can_move(&g) == 0)
			unmap(&g);
	}
	gather_flush(&g.gather);
	for (i = 0; i < nr; i++) {
		if (from[i] && migrate_page(m, from[i], to + i) == 0)
			moved++;
		else
			__free_pages(&m->phys, to + i, 0);
	}
	return moved;
}

bool migrate_must_wait(struct machine *m)
{
	struct mm *mm;

	list_for_each_entry(mm, &m->mms, struct mm, all)
		if (!m->mmu->can_replace(mm))
			return true;
	return false;
}

/* --- what phys asks --- */

static int move(void *arg, struct phys *phys, struct page *from, struct page *to)
{
	(void)phys;
	return migrate_page(arg, from, to);
}

/* The back end forgets all that will move, in one request instead of one a page. */
static void prepare(void *arg, struct phys *phys, pfn_t start, pfn_t end)
{
	struct migration g = { .machine = arg };
	pfn_t pfn;

	gather_init(&g.gather, arg);
	for (pfn = start; pfn < end; pfn++) {
		g.from = movable_page(phys, pfn);
		if (g.from && can_move(&g) == 0)
			unmap(&g);
	}
	gather_flush(&g.gather);
}

static const struct move_ops move_ops = { .move = move, .prepare = prepare };

void migrate_start(struct machine *m)
{
	m->phys.move_ops = &move_ops;
	m->phys.move_arg = m;
}

void migrate_stop(struct machine *m)
{
	m->phys.move_ops = NULL;
}

bool migrate_for_pin(struct machine *m, struct page *page)
{
	struct phys *phys = &m->phys;
	struct page *to;

	if (page_zonenum(page) != ZONE_MOVABLE &&
	    phys->blocks[page_to_pfn(phys, page) >> PAGEBLOCK_ORDER].migratetype != MIGRATE_CMA)
		return false;
	to = alloc_pages(phys, GFP_HIGHUSER & ~__GFP_DIRECT_RECLAIM, 0);
	if (!to)
		return false;
	if (migrate_page(m, page, to) == 0) {
		stat_inc(&phys->stat, PGMIGRATE_SUCCESS);
		return true;
	}
	stat_inc(&phys->stat, PGMIGRATE_FAIL);
	__free_pages(phys, to, 0);
	return false;
}
