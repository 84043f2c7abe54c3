/*
 * area.c - an area appears, changes its rights or goes: what the host maps there follows.
 *
 * How     A new area needs backdrop, or windows with its own rights, so that each access reaches
 *         the manager; what else is there is replaced by backdrop. Where an area only loses
 *         rights, its windows stay and lose them too.
 * Why     Linux: mm/mprotect.c, mm/mmap.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mmu/host/host.h"
#include "mmu/host/shadow.h"

/* Windows and holes in [start, end) that the area's accesses must not meet. */
static bool next_unfit(struct space *s, int prot, vaddr_t *at, vaddr_t end, struct run *run)
{
	run->start = run->end = 0;
	while (*at < end) {
		u32 *sh = shadow_find(s, *at);
		u32 state = sh ? *sh : shadow_default(s, *at);
		u32 kind = state & SHADOW_KIND;
		vaddr_t next = sh ? *at + PAGE_SIZE : shadow_skip(s, *at, end);
		bool fit = kind == SHADOW_BACKDROP
				   ? SHADOW_GET_PROT(state) == (PROT_READ | PROT_WRITE | PROT_EXEC)
				   : kind == SHADOW_WINDOW && SHADOW_GET_PROT(state) == (u32)prot;

		if (fit && run->end)
			return true;
		if (!fit) {
			if (!run->end)
				run->start = *at;
			run->end = next;
		}
		*at = next;
	}
	return run->end != 0;
}

/* The next run in [*at, end) of windows with other rights than `prot`; false: none. */
static bool next_other_rights(struct space *s, int prot, vaddr_t *at, vaddr_t end, struct run *run)
{
	run->start = run->end = 0;
	while (*at < end) {
		u32 *sh = shadow_find(s, *at);
		vaddr_t next = sh ? *at + PAGE_SIZE : shadow_skip(s, *at, end);
		bool other = sh && (*sh & SHADOW_KIND) == SHADOW_WINDOW &&
			     SHADOW_GET_PROT(*sh) != (u32)prot;

		if (!other && run->end)
			return true;
		if (other && !run->end)
			run->start = *at;
		if (other)
			run->end = next;
		*at = next;
	}
	return run->end != 0;
}

/* Is there only backdrop, and windows with at least these rights? */
static bool only_more_rights(struct space *s, int prot, vaddr_t at, vaddr_t end)
{
	while (at < end) {
		u32 *sh = shadow_find(s, at);
		u32 word = sh ? *sh : shadow_default(s, at);

		if ((word & SHADOW_KIND) == SHADOW_HOLE || ((u32)prot & ~SHADOW_GET_PROT(word)))
			return false;
		at = sh ? at + PAGE_SIZE : shadow_skip(s, at, end);
	}
	return true;
}

bool area_restrict(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	struct space *s = space_of(mm);
	int prot = space_prot(vma);
	vaddr_t at = start;
	struct run run;

	if (s->quiet || s->gone || !s->comm || (vma->flags & VM_PFNMAP) ||
	    !only_more_rights(s, prot, start, end))
		return false;
	while (next_other_rights(s, prot, &at, end, &run)) {
		s->mappings += 2;
		agent_post(s, SYS_mprotect, run.start, run.end - run.start, (u64)prot, 0, 0, 0);
		for (; run.start < run.end; run.start += PAGE_SIZE) {
			u32 *sh = shadow_get(s, run.start);

			*sh = (*sh & ~SHADOW_PROT(7)) | SHADOW_PROT(prot);
		}
	}
	(void)agent_run(s);
	return true;
}

int area_changed(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	struct space *s = space_of(mm);
	struct run run;
	int err = 0;

	if (s->quiet || s->gone || (vma->flags & VM_PFNMAP))
		return 0;
	while (!err && next_unfit(s, space_prot(vma), &start, end, &run))
		err = space_reset(s, run.start, run.end, staging_now(s));
	return err == -ESRCH ? 0 : err;
}

/* Would an access to a free address be answered by the host itself, and wrongly so? */
static bool is_odd(u32 word)
{
	return (word & SHADOW_KIND) == SHADOW_HOLE ||
	       ((word & SHADOW_KIND) == SHADOW_WINDOW &&
		(SHADOW_GET_PROT(word) & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE));
}

static bool is_window(u32 word)
{
	return (word & SHADOW_KIND) == SHADOW_WINDOW;
}

/*
 * What is odd must go. Long ranges give their windows back too, so that the host has fewer
 * mappings; short ones keep them for the next area, which may well get the same frames.
 */
void area_removed(struct mm *mm, vaddr_t start, vaddr_t end)
{
	struct space *s = space_of(mm);

	if (s->quiet || s->gone || !s->comm)
		return;
	if (start < AGENT_BASE && end > AGENT_ZONE_END) { /* what lies between is ours */
		area_removed(mm, start, AGENT_BASE);
		start = AGENT_ZONE_END;
	}
	if (shadow_narrow(s, &start, &end, end - start < 32 * PAGE_SIZE ? is_odd : is_window))
		(void)space_reset(s, start, end, IN_PLACE);
}
