/*
 * debug.c - page poisoning and page owners (debug.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/debug.h"

static void poison(struct phys *phys, struct page *page, unsigned order)
{
	memset(page_address(phys, page), PAGE_POISON, (size_t)PAGE_SIZE << order);
}

/*
 * Whether a block still holds what the allocator left in it: each of its pages all poison, or
 * (never used) all zero. The words of one page must be alike, so comparing the page with itself
 * shifted by a word does.
 */
static void check_poison(struct phys *phys, struct page *page, unsigned order)
{
	const u8 *at = page_address(phys, page), *end = at + ((size_t)PAGE_SIZE << order);

	for (; at < end; at += PAGE_SIZE) {
		invariant(P1, at[0] == PAGE_POISON || at[0] == 0);
		invariant(P1, memcmp(at, at + 1, PAGE_SIZE - 1) == 0);
	}
}

static void set_owner(struct phys *phys, pfn_t pfn, const struct page_owner *owner)
{
	u16 calls = phys->owners[pfn].free_calls;

	phys->owners[pfn] = *owner;
	phys->owners[pfn].free_calls = calls;
}

void debug_page_allocated(struct phys *phys, struct page *page, unsigned order, gfp_t gfp)
{
	pfn_t pfn = page_to_pfn(phys, page), i;
	struct page_owner owner = { 0, 1, gfp, (u16)order, 0 };

	if (phys->debug & PHYS_POISON)
		check_poison(phys, page, order);
	if (!(phys->debug & PHYS_OWNER))
		return;
	owner.count = __atomic_add_fetch(&phys->owner_serial, 1, __ATOMIC_RELAXED);
	set_owner(phys, pfn, &owner);
	owner.count = 0;
	for (i = 1; i < (pfn_t)1 << order; i++)
		set_owner(phys, pfn + i, &owner);
}

void debug_page_freed(struct phys *phys, struct page *page, unsigned order)
{
	pfn_t pfn = page_to_pfn(phys, page), i;

	if (phys->debug & PHYS_POISON)
		poison(phys, page, order);
	if (!(phys->debug & PHYS_OWNER))
		return;
	for (i = 0; i < (pfn_t)1 << order; i++) {
		phys->owners[pfn + i].count = 0;
		phys->owners[pfn + i].free_calls++;
	}
}

void debug_page_split(struct phys *phys, struct page *page, unsigned order)
{
	pfn_t pfn = page_to_pfn(phys, page), i;

	if (!(phys->debug & PHYS_OWNER))
		return;
	phys->owners[pfn].order = 0;
	for (i = 1; i < (pfn_t)1 << order; i++)
		set_owner(phys, pfn + i, &phys->owners[pfn]);
}

void page_owner_tag(struct phys *phys, struct page *page, u64 tag)
{
	if (phys->debug & PHYS_OWNER)
		phys->owners[page_to_pfn(phys, page)].tag = tag;
}

const struct page_owner *page_owner_of(const struct phys *phys, pfn_t pfn)
{
	if (!(phys->debug & PHYS_OWNER) || pfn >= phys->span_pages || !phys->owners[pfn].count)
		return NULL;
	return &phys->owners[pfn];
}

void page_owner_for_each(struct phys *phys,
			 void (*visit)(void *arg, pfn_t pfn, const struct page_owner *owner),
			 void *arg)
{
	const struct page_owner *owner;
	pfn_t pfn;

	for (pfn = 0; pfn < phys->span_pages; pfn++) {
		owner = page_owner_of(phys, pfn);
		if (owner)
			visit(arg, pfn, owner);
	}
}
