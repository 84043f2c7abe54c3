/*
 * vma.c - the areas of an address space: find, place, add, merge, split, remove.
 *
 * How     A red-black tree by address. Each area knows the gap in front of it and the largest gap
 *         in its subtree, so that a free range is found in logarithmic time. Neighbours with the
 *         same flags, backing and continuous offset are always one area.
 * Use     vma_add() for a new range, vma_cut() before changing part of a range.
 * Holds   V1  areas are in order, page aligned, not empty, and do not overlap
 *         V2  gap is start minus the end of the previous area (or minus zero)
 *         V3  gap_max is the largest gap in the subtree
 *         V4  mm->map_count is the number of areas, mm->total_vm their pages
 *         V5  no two neighbours can merge
 * Locks   The mm's.
 * Why     Linux: mm/vma.c; the gap summary is the one it had before the maple tree.
 *
 * SPDX-License-Identifier: MIT
 */
#include "space/vma.h"

#include "base/check.h"
#include "base/errno.h"
#include "kmem/slab.h"
#include "store/state.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "store/mapping.h"

static struct vma *vma_of(struct rb_node *node)
{
	return node ? rb_entry(node, struct vma, node) : NULL;
}

static void update_gap_max(struct rb_node *node)
{
	struct vma *vma = vma_of(node);
	u64 best = vma->gap;

	if (node->left)
		best = max_u64(best, vma_of(node->left)->gap_max);
	if (node->right)
		best = max_u64(best, vma_of(node->right)->gap_max);
	vma->gap_max = best;
}

/* Recomputes the gap in front of an area after its neighbourhood changed. */
static void refresh_gap(struct vma *vma)
{
	struct vma *prev;

	if (!vma)
		return;
	prev = vma_prev(vma);
	vma->gap = vma->start - (prev ? prev->end : 0);
	rb_propagate(&vma->node, update_gap_max);
}

struct vma *vma_next(const struct vma *vma)
{
	return vma_of(rb_next(&vma->node));
}

struct vma *vma_prev(const struct vma *vma)
{
	return vma_of(rb_prev(&vma->node));
}

struct vma *vma_first(struct mm *mm)
{
	return vma_of(rb_first(&mm->areas));
}

struct vma *vma_find(struct mm *mm, vaddr_t addr)
{
	struct rb_node *node = mm->areas.top;
	struct vma *best = NULL;

	if (mm->last && mm->last->start <= addr && addr < mm->last->end)
		return mm->last;
	while (node) {
		struct vma *vma = vma_of(node);

		if (addr < vma->end) {
			best = vma;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	if (best && best->start <= addr)
		mm->last = best;
	return best;
}

struct vma *vma_at(struct mm *mm, vaddr_t addr)
{
	struct vma *vma = vma_find(mm, addr);

	return vma && vma->start <= addr ? vma : NULL;
}

/* total_vm and its part that counts as data. Linux: vm_stat_account(). */
static void account(struct mm *mm, const struct vma *vma, s64 pages)
{
	mm->total_vm += pages;
	if ((vma->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
		mm->data_vm += pages;
	if (vma->flags & VM_LOCKED)
		mm->locked_vm += pages;
}

static void link_area(struct mm *mm, struct vma *vma)
{
	struct rb_node **link = &mm->areas.top, *parent = NULL;

	while (*link) {
		parent = *link;
		link = vma->start < vma_of(parent)->start ? &parent->left : &parent->right;
	}
	vma->gap = vma->gap_max = 0;
	rb_insert(&mm->areas, &vma->node, parent, link, update_gap_max);
	refresh_gap(vma);
	refresh_gap(vma_next(vma));
	mm->map_count++;
	account(mm, vma, (s64)vma_pages(vma));
}

static void unlink_area(struct vma *vma)
{
	struct mm *mm = vma->mm;
	struct vma *next = vma_next(vma);

	account(mm, vma, -(s64)vma_pages(vma));
	rb_erase(&mm->areas, &vma->node, update_gap_max);
	refresh_gap(next);
	mm->map_count--;
	if (mm->last == vma)
		mm->last = NULL;
}

static struct vma *area_alloc(struct mm *mm, const struct vma_desc *d)
{
	struct vma *vma = kmem_cache_alloc(mm->machine->vma_cache, GFP_KERNEL);

	if (!vma)
		return NULL;
	*vma = (struct vma){ .start = d->start,
			     .end = d->end,
			     .mm = mm,
			     .flags = d->flags,
			     .pgoff = d->pgoff,
			     .written = d->written,
			     .mapping = d->mapping };
	list_init(&vma->anon_link);
	list_init(&vma->mapping_link);
	if (vma->mapping)
		mapping_add_area(vma->mapping, &vma->mapping_link);
	if (d->anon_vma)
		anon_vma_join(vma, d->anon_vma);
	return vma;
}

static void area_free(struct vma *vma)
{
	struct machine *m = vma->mm->machine;

	anon_vma_leave(vma);
	if (vma->mapping)
		mapping_remove_area(vma->mapping, &vma->mapping_link);
	kmem_cache_free(m->vma_cache, vma);
}

/*
 * May `right`, which begins where `left` ends, be one area with it? Linux:
 * can_vma_merge_after().
 */
static bool mergeable(const struct vma *left, const struct vma_desc *right)
{
	return left->end == right->start && left->flags == right->flags &&
	       left->mapping == right->mapping && vma_index(left, left->end) == right->pgoff &&
	       (!left->anon_vma || !right->anon_vma || left->anon_vma == right->anon_vma);
}

static struct vma_desc describe(const struct vma *vma)
{
	return (struct vma_desc){ .start = vma->start,
				  .end = vma->end,
				  .flags = vma->flags,
				  .pgoff = vma->pgoff,
				  .mapping = vma->mapping,
				  .anon_vma = vma->anon_vma,
				  .written = vma->written };
}

/* Two that only their anon_vmas keep apart, which on Linux one of them would not have. */
static void make_mergeable(struct vma *left, struct vma *right)
{
	struct vma *zeros = left->written ? right : left, *other = left->written ? left : right;
	struct vma_desc d = describe(right);

	if (!left->anon_vma || !right->anon_vma || left->anon_vma == right->anon_vma ||
	    (left->written && right->written))
		return;
	d.anon_vma = NULL;
	if (!mergeable(left, &d))
		return;
	rmap_rehome_zeros(zeros->mm, zeros->start, zeros->end, other->anon_vma, zeros->pgoff);
	anon_vma_leave(zeros);
}

/* Makes `left` cover `right` too, and frees `right`. */
static void absorb(struct vma *left, struct vma *right)
{
	vaddr_t end = right->end;

	left->written |= right->written;
	if (right->anon_vma && !left->anon_vma)
		anon_vma_join(left, right->anon_vma);
	unlink_area(right);
	area_free(right);
	vma_resize(left, left->start, end);
}

enum merge {
	MERGE_EQUAL, /* an area that is being filled: only where the anon_vma is right already */
	MERGE_SETTLED,
};

/* One area of two neighbours, if they fit. */
static bool merge_pair(struct vma *left, struct vma *right, enum merge how)
{
	struct vma_desc d;

	if (!left || !right)
		return false;
	if (how == MERGE_SETTLED)
		make_mergeable(left, right);
	d = describe(right);
	if (!mergeable(left, &d))
		return false;
	absorb(left, right);
	return true;
}

/* Merges an area with both neighbours as far as they fit; the survivor. */
static struct vma *merge_around(struct vma *vma, enum merge how)
{
	struct vma *prev = vma_prev(vma);

	if (merge_pair(prev, vma, how))
		vma = prev;
	(void)merge_pair(vma, vma_next(vma), how);
	return vma;
}

struct vma *vma_add(struct mm *mm, const struct vma_desc *desc)
{
	struct vma *prev = NULL, *next, *vma;

	require(desc->start < desc->end);
	next = vma_find(mm, desc->start);
	prev = next ? vma_prev(next) : vma_of(rb_last(&mm->areas));
	require(!next || next->start >= desc->end);
	if (prev && mergeable(prev, desc)) {
		if (desc->anon_vma && !prev->anon_vma)
			anon_vma_join(prev, desc->anon_vma);
		prev->written |= desc->written;
		vma_resize(prev, prev->start, desc->end);
		return merge_around(prev, MERGE_EQUAL);
	}
	vma = area_alloc(mm, desc);
	if (!vma)
		return NULL;
	link_area(mm, vma);
	return merge_around(vma, MERGE_EQUAL);
}

int vma_split(struct vma *vma, vaddr_t addr)
{
	struct vma_desc upper = describe(vma);
	struct vma *new;

	require(vma->start < addr && addr < vma->end);
	upper.start = addr;
	upper.pgoff = vma_index(vma, addr);
	new = area_alloc(vma->mm, &upper);
	if (!new)
		return -ENOMEM;
	new->swap_ra = vma->swap_ra;
	vma_resize(vma, vma->start, addr);
	link_area(vma->mm, new);
	return 0;
}

void vma_remove(struct vma *vma)
{
	unlink_area(vma);
	area_free(vma);
}

static int cut_at(struct mm *mm, vaddr_t addr)
{
	struct vma *vma = vma_at(mm, addr);

	return vma && vma->start < addr ? vma_split(vma, addr) : 0;
}

int vma_cut(struct mm *mm, vaddr_t start, vaddr_t end)
{
	if (cut_at(mm, start) < 0)
		return -ENOMEM;
	if (cut_at(mm, end) < 0) {
		vma_heal(mm, start);
		return -ENOMEM;
	}
	return 0;
}

void vma_heal(struct mm *mm, vaddr_t addr)
{
	struct vma *vma = vma_at(mm, addr);

	if (vma && vma->start == addr)
		(void)merge_around(vma, MERGE_SETTLED);
}

struct vma *vma_set_flags(struct vma *vma, u32 flags)
{
	s64 pages = (s64)vma_pages(vma);

	account(vma->mm, vma, -pages);
	vma->flags = flags;
	account(vma->mm, vma, pages);
	return merge_around(vma, MERGE_SETTLED);
}

void vma_resize(struct vma *vma, vaddr_t start, vaddr_t end)
{
	account(vma->mm, vma, -(s64)vma_pages(vma));
	if (start < vma->start)
		vma->pgoff -= (vma->start - start) >> PAGE_SHIFT;
	else
		vma->pgoff += (start - vma->start) >> PAGE_SHIFT;
	vma->start = start;
	vma->end = end;
	account(vma->mm, vma, (s64)vma_pages(vma));
	refresh_gap(vma);
	refresh_gap(vma_next(vma));
}

/* The highest aligned start of len bytes inside [low, high), or 0. */
static vaddr_t fit_high(vaddr_t low, vaddr_t high, u64 len, u64 align)
{
	vaddr_t at;

	if (high < low || high - low < len)
		return 0;
	at = align_down(high - len, align);
	return at >= low ? at : 0;
}

/* Searches gaps in front of areas, highest first. */
static vaddr_t gap_high_below(struct rb_node *node, u64 len, vaddr_t low, vaddr_t high, u64 align)
{
	while (node) {
		struct vma *vma = vma_of(node);
		vaddr_t at;

		if (vma->gap_max < len)
			return 0;
		if (vma->end < high) {
			at = gap_high_below(node->right, len, low, high, align);
			if (at)
				return at;
		}
		at = fit_high(max_u64(low, vma->start - vma->gap), min_u64(high, vma->start), len,
			      align);
		if (at)
			return at;
		if (vma->start - vma->gap <= low)
			return 0;
		node = node->left;
	}
	return 0;
}

vaddr_t vma_gap_topdown(struct mm *mm, u64 len, vaddr_t low, vaddr_t high, u64 align)
{
	struct vma *last = vma_of(rb_last(&mm->areas));
	vaddr_t at = fit_high(max_u64(low, last ? last->end : 0), high, len, align);

	return at ? at : gap_high_below(mm->areas.top, len, low, high, align);
}

static vaddr_t fit_low(vaddr_t low, vaddr_t high, u64 len, u64 align)
{
	vaddr_t at = align_up(low, align);

	return at >= low && high >= len && at <= high - len ? at : 0;
}

static vaddr_t gap_low_below(struct rb_node *node, u64 len, vaddr_t low, vaddr_t high, u64 align)
{
	while (node) {
		struct vma *vma = vma_of(node);
		vaddr_t at;

		if (vma->gap_max < len)
			return 0;
		if (vma->start > low) {
			at = gap_low_below(node->left, len, low, high, align);
			if (!at)
				at = fit_low(max_u64(low, vma->start - vma->gap),
					     min_u64(high, vma->start), len, align);
			if (at)
				return at;
		}
		if (vma->end >= high)
			return 0;
		node = node->right;
	}
	return 0;
}

vaddr_t vma_gap_bottomup(struct mm *mm, u64 len, vaddr_t low, vaddr_t high, u64 align)
{
	struct vma *last = vma_of(rb_last(&mm->areas));
	vaddr_t at = gap_low_below(mm->areas.top, len, low, high, align);

	return at ? at : fit_low(max_u64(low, last ? last->end : 0), high, len, align);
}

void vma_check(struct mm *mm)
{
	struct vma *vma, *prev = NULL;
	unsigned int n = 0;
	u64 pages = 0;

	rb_check(&mm->areas);
	for (vma = vma_first(mm); vma; prev = vma, vma = vma_next(vma)) {
		struct vma_desc d = describe(vma);
		u64 gap_max = vma->gap_max;

		invariant(V1, vma->start < vma->end && (!prev || prev->end <= vma->start));
		invariant(V1, is_aligned(vma->start | vma->end, PAGE_SIZE));
		invariant(V2, vma->gap == vma->start - (prev ? prev->end : 0));
		update_gap_max(&vma->node);
		invariant(V3, gap_max == vma->gap_max);
		invariant(V5, !prev || !mergeable(prev, &d));
		n++;
		pages += vma_pages(vma);
	}
	invariant(V4, n == mm->map_count && pages == mm->total_vm);
}
