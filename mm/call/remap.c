/*
 * remap.c - mremap: shrink, grow in place, or move.
 *
 * How     A move makes the new area with the old one's offset, carries the entries over, and
 *         removes the old area: the pages stay in their frames, and rmap finds them by the same
 *         offset at the new place. The levels of the table at the new place are made first, so
 *         that nothing can fail once an entry has moved. A move that changes no size (MREMAP_FIXED)
 *         takes a range of several areas, with the holes between them, as Linux does since 6.17.
 * Why     Linux: mm/mremap.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/errno.h"
#include "call/call.h"
#include "fault/fault.h"
#include "space/mm.h"
#include "space/unmap.h"
#include "space/rmap.h"
#include "space/vma.h"
#include "store/mapping.h"
#include "store/state.h"

/* One request, or the part of it that lies in one area. */
struct remap {
	struct mm *mm;
	vaddr_t old, to;
	u64 old_len, new_len;
	u32 flags;
};

/* The new place gets the levels that the entries of [from, from + len) will need. */
static int make_room(struct mm *mm, vaddr_t from, vaddr_t to, u64 len)
{
	vaddr_t addr = from;

	for (; table_next(&mm->table, &addr, from + len); addr += PAGE_SIZE)
		if (!table_get(&mm->table, to + (addr - from))) {
			table_trim(&mm->table, to, to + len);
			return -ENOMEM;
		}
	return 0;
}

/* Carries entries from the old range to the new one; all become old. */
static void move_entries(struct mm *mm, vaddr_t from, vaddr_t to, u64 len)
{
	struct mmu_range range = { mm, from, from + len };
	vaddr_t addr = from;
	pte_t *pte;

	mm->machine->mmu->invalidate(&range, 1);
	for (; (pte = table_next(&mm->table, &addr, from + len)); addr += PAGE_SIZE) {
		pte_t *new = table_find(&mm->table, to + (addr - from));

		table_set(&mm->table, new, pte_present(*pte) ? *pte & ~PTE_ACCESSED : *pte);
		table_set(&mm->table, pte, 0);
	}
	table_trim(&mm->table, from, from + len);
}

/*
 * What is left of a moved area with MREMAP_DONTUNMAP is not locked; and as good as new if all of it
 * was moved. Linux: dontunmap_complete().
 */
static void settle_source(const struct remap *r)
{
	struct vma *vma = vma_at(r->mm, r->old);

	if (vma->start == r->old && vma->end == r->old + r->old_len) {
		anon_vma_leave(vma);
		vma->written = false;
	}
	vma_set_flags(vma, vma->flags & ~(u32)(VM_LOCKED | VM_LOCKONFAULT));
}

/* All zero: wherever it goes, it is as if it had been there from the beginning. */
static bool as_new(const struct vma *vma)
{
	return vma_is_anon(vma) && !vma->written;
}

/* The pages of such an area belong to the new place then, before their entries go there. */
static void rehome(const struct remap *r, struct vma *new, u64 len)
{
	if (new->anon_vma || anon_vma_prepare(new) == 0)
		rmap_rehome_zeros(r->mm, r->old, r->old + len, new->anon_vma,
				  vma_index(new, r->to));
	else
		unmap_pages(r->mm, r->old, r->old + len);
}

/* The area at the new place, empty. */
static struct vma *add_target(const struct remap *r, const struct vma *from)
{
	struct vma_desc d = { .start = r->to,
			      .end = r->to + r->new_len,
			      .flags = from->flags,
			      .pgoff = vma_index(from, r->old),
			      .mapping = from->mapping,
			      .anon_vma = from->anon_vma,
			      .written = from->written };

	if (as_new(from)) {
		d.pgoff = d.start >> PAGE_SHIFT;
		d.anon_vma = NULL;
	}
	return vma_add(r->mm, &d);
}

/* Moves [old, old + old_len), which lies in one area, to a free range. Linux: move_vma(). */
static s64 move_area(const struct remap *r)
{
	struct mm *mm = r->mm;
	u64 moved = min_u64(r->old_len, r->new_len);
	bool locked, fresh, keep = r->flags & CALL_MREMAP_DONTUNMAP;
	struct vma *new;
	int err;

	/* Cut first: afterwards the old range can be removed without memory. */
	if (!keep && moved && vma_cut(mm, r->old, r->old + r->old_len) < 0)
		return -ENOMEM;
	fresh = as_new(vma_at(mm, r->old));
	new = add_target(r, vma_at(mm, r->old));
	err = new ? mm->machine->mmu->area_changed(mm, new, r->to, r->to + r->new_len) : -ENOMEM;
	if (!err)
		err = make_room(mm, r->old, r->to, moved);
	if (err) {
		if (new)
			(void)call_munmap(mm, r->to, r->new_len);
		vma_heal(mm, r->old);
		vma_heal(mm, r->old + r->old_len);
		return -ENOMEM;
	}
	locked = (new->flags &(VM_LOCKED | VM_LOCKONFAULT)) == VM_LOCKED;
	if (fresh && moved)
		rehome(r, new, moved);
	if (moved)
		move_entries(mm, r->old, r->to, moved);
	if (keep)
		settle_source(r);
	else if (moved)
		(void)call_munmap(mm, r->old, r->old_len);
	vma_heal(mm, r->to);
	vma_heal(mm, r->to + r->new_len);
	if (locked && r->new_len > r->old_len)
		(void)fault_populate(mm, r->to + r->old_len, r->to + r->new_len);
	return (s64)r->to;
}

/* Linux: vrm_can_expand_in_place(). */
static bool can_grow(const struct vma *vma, vaddr_t end)
{
	const struct vma *next = vma_next(vma);

	return (!next || next->start >= end) && end <= TASK_SIZE;
}

static s64 grow_in_place(const struct remap *r, struct vma *vma)
{
	vaddr_t old_end = vma->end, end = r->old + r->new_len;
	bool locked = (vma->flags & (VM_LOCKED | VM_LOCKONFAULT)) == VM_LOCKED;

	vma_resize(vma, vma->start, end);
	vma = vma_set_flags(vma, vma->flags); /* it may meet one that fits */
	if (r->mm->machine->mmu->area_changed(r->mm, vma, old_end, end) < 0) {
		(void)call_munmap(r->mm, old_end, end - old_end);
		return -ENOMEM;
	}
	if (locked)
		(void)fault_populate(r->mm, old_end, end);
	return (s64)r->old;
}

/* No new place was asked for: grow where it is, or anywhere. Linux: expand_vma(). */
static s64 grow(struct remap *r, struct vma *vma)
{
	s64 at;

	if (r->old + r->old_len == vma->end && can_grow(vma, r->old + r->new_len))
		return grow_in_place(r, vma);
	if (!(r->flags & CALL_MREMAP_MAYMOVE))
		return -ENOMEM;
	at = call_get_area(r->mm, 0, r->new_len,
			   vma->flags & VM_SHARED ? CALL_MAP_SHARED : CALL_MAP_PRIVATE);
	if (at < 0)
		return at;
	r->to = (vaddr_t)at;
	return move_area(r);
}

/* A new place was asked for, or none in particular but not this one. Linux: mremap_to(). */
static s64 move_to(struct remap *r)
{
	s64 at = (s64)r->to;

	if (r->flags & CALL_MREMAP_FIXED)
		at = call_munmap(r->mm, r->to, r->new_len);
	if (at < 0)
		return at;
	if (r->new_len < r->old_len) {
		at = call_munmap(r->mm, r->old + r->new_len, r->old_len - r->new_len);
		r->old_len = r->new_len;
	}
	if (at < 0)
		return at;
	if (r->flags & CALL_MREMAP_DONTUNMAP) {
		struct vma *vma = vma_at(r->mm, r->old);
		int err = call_may_expand(r->mm, r->old_len >> PAGE_SHIFT, vma->flags);

		if (err)
			return err;
	}
	if (!(r->flags & CALL_MREMAP_FIXED)) {
		at = call_get_area(r->mm, r->to, r->new_len, CALL_MAP_PRIVATE);
		if (at < 0)
			return at;
		r->to = (vaddr_t)at;
	}
	return move_area(r);
}

/* Linux: check_mremap_params(). */
static int check_request(const struct remap *r)
{
	if ((r->flags & ~7u) || (r->old & ~PAGE_MASK) || !r->new_len || r->new_len > TASK_SIZE)
		return -EINVAL;
	if (!(r->flags & (CALL_MREMAP_FIXED | CALL_MREMAP_DONTUNMAP)))
		return 0;
	if (r->to > TASK_SIZE - r->new_len || (r->to & ~PAGE_MASK) ||
	    !(r->flags & CALL_MREMAP_MAYMOVE))
		return -EINVAL;
	if ((r->flags & CALL_MREMAP_DONTUNMAP) && r->old_len != r->new_len)
		return -EINVAL;
	if (r->to < r->old + r->old_len && r->old < r->to + r->new_len)
		return -EINVAL;
	return r->mm->map_count + 2 >= MAX_MAP_COUNT - 3 ? -ENOMEM : 0;
}

/* What the area allows. Linux: check_prep_vma(). */
static int check_area(const struct remap *r, const struct vma *vma)
{
	bool moves = r->flags & (CALL_MREMAP_FIXED | CALL_MREMAP_DONTUNMAP);
	u64 most = r->mm->rlimit_memlock;

	if (!moves && r->new_len <= r->old_len)
		return 0; /* may span several areas */
	if (!r->old_len && !(vma->flags & VM_SHARED))
		return -EINVAL;
	if ((r->flags & CALL_MREMAP_DONTUNMAP) && (vma->flags & (VM_DONTEXPAND | VM_PFNMAP)))
		return -EINVAL;
	if (min_u64(r->old_len, r->new_len) > vma->end - r->old)
		return -EFAULT;
	if (r->new_len <= r->old_len)
		return 0;
	if (vma_index(vma, r->old) + (r->new_len >> PAGE_SHIFT) < vma_index(vma, r->old))
		return -EINVAL;
	if (vma->flags & (VM_DONTEXPAND | VM_PFNMAP))
		return -EFAULT;
	if ((vma->flags & VM_LOCKED) &&
	    (r->mm->locked_vm << PAGE_SHIFT) + r->new_len - r->old_len > most)
		return -EAGAIN;
	return call_may_expand(r->mm, (r->new_len - r->old_len) >> PAGE_SHIFT, vma->flags);
}

/* Every area of the range goes to the same distance. Linux: remap_move(). */
static s64 move_range(const struct remap *r)
{
	vaddr_t addr = r->old, end = r->old + r->old_len;
	struct vma *vma = vma_at(r->mm, addr);
	s64 ret = -EFAULT;

	while (vma && vma->start < end) {
		struct remap part = *r;

		part.old = max_u64(vma->start, addr);
		part.to = r->to + (part.old - r->old);
		addr = min_u64(vma->end, end);
		part.old_len = part.new_len = addr - part.old;
		ret = check_area(&part, vma);
		if (!ret)
			ret = move_to(&part);
		if (ret < 0)
			return ret;
		vma = addr < end ? vma_find(r->mm, addr) : NULL;
	}
	return ret < 0 ? ret : (s64)r->to;
}

/* Linux: mremap_at(), mremap_to(). */
static s64 remap_area(struct remap *r)
{
	struct vma *vma = vma_at(r->mm, r->old);
	s64 ret = vma ? check_area(r, vma) : -EFAULT;

	if (ret < 0)
		return ret;
	if (r->flags & (CALL_MREMAP_FIXED | CALL_MREMAP_DONTUNMAP))
		return move_to(r);
	if (r->new_len > r->old_len)
		return grow(r, vma);
	if (r->new_len < r->old_len)
		ret = call_munmap(r->mm, r->old + r->new_len, r->old_len - r->new_len);
	return ret < 0 ? ret : (s64)r->old;
}

s64 call_mremap(struct mm *mm, vaddr_t old, u64 old_len, u64 new_len, u32 flags, vaddr_t to)
{
	struct remap r = { .mm = mm,
			   .old = old,
			   .to = to,
			   .old_len = align_up(old_len, PAGE_SIZE),
			   .new_len = align_up(new_len, PAGE_SIZE),
			   .flags = flags };
	s64 ret = check_request(&r);

	if (ret < 0)
		return ret;
	/* What moves must not be reaped half way. */
	mm->machine->faulting = mm;
	ret = (flags & CALL_MREMAP_FIXED) && r.old_len == r.new_len ? move_range(&r)
								    : remap_area(&r);
	mm->machine->faulting = NULL;
	return ret;
}
