/*
 * owners.c - who holds the frames: programs, kernel objects, caches, the machine itself.
 *
 * How     Each frame's struct page tells what it is used for, and the rmap which processes map it.
 *         With --page-owner, how it was allocated as well: order, gfp flags.
 * Why     Linux: mm/page_owner.c with tools/mm/page_owner_sort; /proc/kpageflags.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "kmem/cache.h"
#include "mmu/host/control.h"
#include "mmu/host/host.h"
#include "phys/debug.h"
#include "space/rmap.h"

#define ROWS_MAX 64

/* Frames of one holder; mapped ones are somebody's alone, or shared with others. */
struct row {
	const void *key; /* a process's mm, a cache, or the name of a use */
	unsigned int order; /* with gfp: of blocks that were allocated so */
	gfp_t gfp;
	u64 pages, shared;
};

struct tally {
	struct row row[ROWS_MAX]; /* the last one holds what finds no place */
	unsigned int nr;
};

static struct row *row_of(struct tally *t, const void *key, unsigned int order, gfp_t gfp)
{
	unsigned int i;

	for (i = 0; i < t->nr; i++)
		if (t->row[i].key == key && t->row[i].order == order && t->row[i].gfp == gfp)
			return &t->row[i];
	if (t->nr < ROWS_MAX)
		t->row[t->nr++] = (struct row){ .key = key, .order = order, .gfp = gfp };
	return &t->row[t->nr - 1];
}

static enum rmap_step count_mapping(void *ctx, const struct rmap_entry *e)
{
	struct tally *t = ctx;
	const struct page *page = pfn_to_page(&e->vma->mm->machine->phys, pte_pfn(*e->pte));
	struct row *row = row_of(t, e->vma->mm, 0, 0);

	if (page->mapcount > 1)
		row->shared++;
	else
		row->pages++;
	return RMAP_NEXT;
}

/* What a frame is that no process maps. */
static const char *use_of(const struct host *h, pfn_t pfn, const struct page *page)
{
	if (page_test(page, PG_offline))
		return "offline";
	if (page_test(page, PG_reserved))
		return "the machine's own tables";
	if (page->refcount <= 0)
		return "free";
	if (page_test(page, PG_table))
		return "page tables";
	if (page_test(page, PG_swapcache))
		return "swap cache, not mapped";
	if (page->mapping && !page_is_anon(page))
		return "page cache, not mapped";
	return pfn - h->cma.start < h->cma.nr_pages ? "taken from the CMA area"
						    : "other memory of the kernel's";
}

static void show_uses(struct host *h, struct answer *a)
{
	struct phys *phys = &h->machine.phys;
	struct tally use = { .nr = 0 }, process = { .nr = 0 }, slab = { .nr = 0 };
	unsigned int i;
	pfn_t pfn;

	for (pfn = 0; pfn < phys->span_pages; pfn++) {
		struct page *page =
			pfn_valid(phys, pfn) ? compound_head(pfn_to_page(phys, pfn)) : NULL;

		if (!page)
			continue;
		if (page_test(page, PG_slab))
			row_of(&slab, page->slab_cache, 0, 0)->pages++;
		else if (page->refcount > 0 && page->mapping && page->mapcount > 0)
			rmap_walk(&h->machine, page, count_mapping, &process);
		else
			row_of(&use, use_of(h, pfn, page), 0, 0)->pages++;
	}
	for (i = 0; i < process.nr; i++) {
		const struct mm *mm = process.row[i].key;

		answer_add(a, "%8llu own %8llu shared  process %d (%s)\n",
			   (unsigned long long)process.row[i].pages,
			   (unsigned long long)process.row[i].shared, mm->pid, mm->comm);
	}
	for (i = 0; i < slab.nr; i++)
		answer_add(a, "%8llu pages  slab %s\n", (unsigned long long)slab.row[i].pages,
			   ((const struct kmem_cache *)slab.row[i].key)->name);
	for (i = 0; i < use.nr; i++)
		answer_add(a, "%8llu pages  %s\n", (unsigned long long)use.row[i].pages,
			   (const char *)use.row[i].key);
}

static void count_allocation(void *arg, pfn_t pfn, const struct page_owner *owner)
{
	(void)pfn;
	row_of(arg, NULL, owner->order, owner->gfp)->pages += 1ull << owner->order;
}

static const char *gfp_name(gfp_t gfp)
{
	static const struct {
		gfp_t gfp;
		const char *name;
	} names[] = {
		{ GFP_HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE" },
		{ GFP_HIGHUSER, "GFP_HIGHUSER" },
		{ GFP_USER, "GFP_USER" },
		{ GFP_KERNEL, "GFP_KERNEL" },
		{ GFP_ATOMIC, "GFP_ATOMIC" },
		{ __GFP_MOVABLE | __GFP_HIGHMEM, "__GFP_MOVABLE|__GFP_HIGHMEM" },
		{ 0, "0" },
	};
	unsigned int i = 0;

	while ((gfp & names[i].gfp) != names[i].gfp)
		i++;
	return names[i].name;
}

void memory_show_owners(struct host *h, struct answer *a)
{
	struct phys *phys = &h->machine.phys;
	struct tally how = { .nr = 0 };
	unsigned int i;

	show_uses(h, a);
	if (!(phys->debug & PHYS_OWNER))
		return;
	page_owner_for_each(phys, count_allocation, &how);
	for (i = 0; i < how.nr; i++)
		answer_add(a, "%8llu pages  allocated via order %u, mask 0x%x(%s...)\n",
			   (unsigned long long)how.row[i].pages, how.row[i].order, how.row[i].gfp,
			   gfp_name(how.row[i].gfp));
}
