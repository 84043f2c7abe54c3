/*
 * vmalloc.c - areas of contiguous kernel addresses over scattered pages (vmalloc.h).
 *
 * Holds   V1  areas are disjoint, in order, each followed by at least one page of nothing
 *         V2  max_gap is the largest gap_before of the subtree
 * Locks   space->lock guards the tree.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/vmalloc.h"

static struct vm_area *area_of(const struct rb_node *node)
{
	return node ? rb_entry(node, struct vm_area, node) : NULL;
}

static vaddr_t guarded_end(const struct vm_area *area)
{
	return area->start + (area->nr_pages + 1) * PAGE_SIZE;
}

static void update_gap(struct rb_node *node)
{
	struct vm_area *area = area_of(node), *left = area_of(node->left),
		       *right = area_of(node->right);

	area->max_gap = area->gap_before;
	if (left)
		area->max_gap = max_u64(area->max_gap, left->max_gap);
	if (right)
		area->max_gap = max_u64(area->max_gap, right->max_gap);
}

/* The gap before an area follows from its neighbour. */
static void refresh_gap(struct kspace *space, struct vm_area *area)
{
	struct vm_area *before;

	if (!area)
		return;
	before = area_of(rb_prev(&area->node));
	area->gap_before =
		area->start - (before ? guarded_end(before) : space->regions[REGION_VMALLOC].start);
	rb_propagate(&area->node, update_gap);
}

/* The first area, by address, with a gap of `bytes` before it; NULL: only behind the last. */
static struct vm_area *first_with_gap(const struct kspace *space, u64 bytes)
{
	struct rb_node *node = space->areas.top;

	if (!node || area_of(node)->max_gap < bytes)
		return NULL;
	for (;;) {
		if (node->left && area_of(node->left)->max_gap >= bytes)
			node = node->left;
		else if (area_of(node)->gap_before >= bytes)
			return area_of(node);
		else
			node = node->right;
	}
}

/* Lowest address with room for `bytes`, or 0. */
static vaddr_t find_room(const struct kspace *space, u64 bytes)
{
	const struct kernel_range *range = &space->regions[REGION_VMALLOC];
	const struct vm_area *area = first_with_gap(space, bytes), *last;
	vaddr_t start;

	if (area)
		return area->start - area->gap_before;
	last = area_of(rb_last(&space->areas));
	start = last ? guarded_end(last) : range->start;
	return range->end - start >= bytes ? start : 0;
}

static void insert_area(struct kspace *space, struct vm_area *area)
{
	struct rb_node **link = &space->areas.top, *parent = NULL;

	while (*link) {
		parent = *link;
		link = area->start < area_of(parent)->start ? &parent->left : &parent->right;
	}
	area->gap_before = 0;
	rb_insert(&space->areas, &area->node, parent, link, update_gap);
	refresh_gap(space, area);
	refresh_gap(space, area_of(rb_next(&area->node)));
	space->nr_areas++;
}

static bool place_area(struct kspace *space, struct vm_area *area)
{
	lock_take(&space->lock);
	area->start = find_room(space, (area->nr_pages + 1) * PAGE_SIZE);
	if (area->start)
		insert_area(space, area);
	lock_give(&space->lock);
	return area->start;
}

/* The area that holds addr, guard pages not included. space->lock is held. */
static struct vm_area *find_area(const struct kspace *space, vaddr_t addr)
{
	struct rb_node *node = space->areas.top;

	while (node) {
		struct vm_area *area = area_of(node);

		if (addr < area->start)
			node = node->left;
		else if (addr < area->start + area->nr_pages * PAGE_SIZE)
			return area;
		else
			node = node->right;
	}
	return NULL;
}

static void tell(struct kspace *space, const struct vm_area *area, bool mapped)
{
	u64 i;

	for (i = 0; space->changed && i < area->nr_pages; i++)
		space->changed(space->arg, area->start + i * PAGE_SIZE,
			       mapped ? area->pages[i] : NULL);
}

static void free_area(struct kspace *space, struct vm_area *area, u64 nr_pages)
{
	u64 i;

	for (i = 0; area->kind == VM_ALLOC && i < nr_pages; i++) {
		page_clear(area->pages[i], PG_vmalloc);
		__free_page(space->phys, area->pages[i]);
	}
	if (area->kind == VM_ALLOC)
		stat_add_atomic(&space->phys->stat, NR_VMALLOC, 0 - nr_pages);
	kfree(space->phys, area->pages);
	kfree(space->phys, area);
}

static struct vm_area *new_area(struct kspace *space, u64 nr, gfp_t gfp, const void *caller)
{
	struct vm_area *area = kzalloc(space->phys, sizeof(*area), gfp & ~__GFP_HIGHMEM);

	if (!area)
		return NULL;
	area->nr_pages = nr;
	area->caller = caller;
	area->pages = kmalloc_array(space->phys, nr, sizeof(struct page *),
				    gfp & ~(__GFP_HIGHMEM | __GFP_ZERO));
	if (area->pages)
		return area;
	kfree(space->phys, area);
	return NULL;
}

static vaddr_t alloc_area(struct kspace *space, u64 size, gfp_t gfp, const void *caller)
{
	u64 nr = align_up(size, PAGE_SIZE) >> PAGE_SHIFT, i;
	struct vm_area *area;

	/* More than there is: say so before taking all of it. */
	if (!nr || nr > space->phys->total_pages)
		return 0;
	area = new_area(space, nr, gfp, caller);
	if (!area)
		return 0;
	area->kind = VM_ALLOC;
	for (i = 0; i < nr; i++) {
		area->pages[i] = alloc_page(space->phys, gfp | __GFP_HIGHMEM);
		if (!area->pages[i])
			break;
		page_set(area->pages[i], PG_vmalloc);
	}
	stat_add_atomic(&space->phys->stat, NR_VMALLOC, i);
	if (i < nr || !place_area(space, area)) {
		free_area(space, area, i);
		return 0;
	}
	tell(space, area, true);
	return area->start;
}

vaddr_t vmalloc(struct kspace *space, u64 size, gfp_t gfp)
{
	return alloc_area(space, size, gfp, __builtin_return_address(0));
}

vaddr_t vzalloc(struct kspace *space, u64 size, gfp_t gfp)
{
	return alloc_area(space, size, gfp | __GFP_ZERO, __builtin_return_address(0));
}

vaddr_t vmap(struct kspace *space, struct page **pages, u64 nr)
{
	struct vm_area *area =
		nr ? new_area(space, nr, GFP_KERNEL, __builtin_return_address(0)) : NULL;

	if (!area)
		return 0;
	area->kind = VM_MAP;
	memcpy(area->pages, pages, nr * sizeof(struct page *));
	if (!place_area(space, area)) {
		free_area(space, area, 0);
		return 0;
	}
	tell(space, area, true);
	return area->start;
}

static void remove_area(struct kspace *space, vaddr_t addr)
{
	struct vm_area *area, *next;

	lock_take(&space->lock);
	area = find_area(space, addr);
	require(area && area->start == addr);
	next = area_of(rb_next(&area->node));
	rb_erase(&space->areas, &area->node, update_gap);
	refresh_gap(space, next);
	space->nr_areas--;
	lock_give(&space->lock);
	tell(space, area, false);
	free_area(space, area, area->nr_pages);
}

void vfree(struct kspace *space, vaddr_t addr)
{
	if (addr)
		remove_area(space, addr);
}

void vunmap(struct kspace *space, vaddr_t addr)
{
	if (addr)
		remove_area(space, addr);
}

struct page *vmalloc_to_page(struct kspace *space, vaddr_t addr)
{
	struct vm_area *area;
	struct page *page = NULL;

	lock_take(&space->lock);
	area = find_area(space, addr);
	if (area)
		page = area->pages[(addr - area->start) >> PAGE_SHIFT];
	lock_give(&space->lock);
	return page;
}

void vmalloc_for_each(struct kspace *space, void (*visit)(void *arg, const struct vm_area *area),
		      void *arg)
{
	struct rb_node *node;

	lock_take(&space->lock);
	for (node = rb_first(&space->areas); node; node = rb_next(node))
		visit(arg, area_of(node));
	lock_give(&space->lock);
}
