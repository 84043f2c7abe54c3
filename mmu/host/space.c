/*
 * space.c - what the host maps for an address space, and how it is made to follow the table.
 *
 * How     A shadow, four levels like the table, says for each page what the host has there:
 *         nothing, backdrop (private, empty, every access reported) or a window onto a frame, with
 *         which protection, and whether the host's own page table holds the translation.
 *         install() makes windows where the frame or the protection differs, registers them, and
 *         continues the pages; invalidate() drops pages but leaves the windows, which then report
 *         every access. Mapping calls are made by the agent, in batches; the rest are ioctls.
 * Holds   S1  a page is installed only where its window shows the frame that the table names
 *         S2  without an agent (a child just forked) nothing is taken away: reclaim leaves its
 *         pages
 *         S3  what the host may translate is marked installed; what it may translate without
 *         reporting writes is not marked as reporting them
 *         S4  a frame that was replaced is not used for anything else, nor written by others,
 *         before its translations are gone: space_settle()
 * Why     DESIGN: windows; Linux: Documentation/admin-guide/mm/userfaultfd.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "mmu/host/host.h"
#include "mmu/host/shadow.h"
#include "store/mapping.h"

#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP ((__u64)1 << 1)
#endif

#define WINDOW_MODES                                                                               \
	(UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP)

int space_prot(const struct vma *vma)
{
	return (int)(vma->flags & VM_ACCESS);
}

/* Read-only private file pages are mapped private, so that a debugger can write into them. */
static int window_flags(const struct vma *vma)
{
	bool text = vma->mapping && !(vma->flags & (VM_SHARED | VM_WRITE));

	return text ? MAP_PRIVATE : MAP_SHARED;
}

void space_wake(struct space *s, vaddr_t addr)
{
	struct uffdio_range range = { addr & PAGE_MASK, PAGE_SIZE };

	ioctl(s->uffd, UFFDIO_WAKE, &range);
}

bool space_alive(struct space *s)
{
	struct uffdio_writeprotect wp = { .range = { AGENT_BASE, PAGE_SIZE } };

	return s->uffd < 0 || ioctl(s->uffd, UFFDIO_WRITEPROTECT, &wp) == 0 || errno != ESRCH;
}

/* The next run in [*at, end) whose windows are missing or wrong. */
static bool next_wrong_window(struct space *s, const struct vma *vma, vaddr_t *at, vaddr_t end,
			      struct run *run)
{
	pte_t *pte = NULL;
	u32 *sh = NULL;

	run->start = run->end = 0;
	for (; *at < end; *at += PAGE_SIZE) {
		bool edge = !pte || !(*at & (PAGE_SIZE * TABLE_ENTRIES - 1));
		u32 want;

		pte = edge ? table_find(&s->mm->table, *at) : pte + 1;
		sh = edge ? shadow_get(s, *at) : sh + 1;
		want = SHADOW_WINDOW | SHADOW_PROT(space_prot(vma)) | SHADOW_PFN(pte_pfn(*pte));
		if ((*sh & ~(SHADOW_INSTALLED | SHADOW_WP)) == want) {
			if (run->end)
				return true;
			continue;
		}
		if (!s->comm) { /* nothing can be mapped: leave the shadow as it is */
			run->end = *at + PAGE_SIZE;
			return true;
		}
		if (run->end && pte_pfn(*pte) != run->pfn + ((*at - run->start) >> PAGE_SHIFT))
			return true;
		if (!run->end) {
			run->start = *at;
			run->pfn = pte_pfn(*pte);
		}
		run->end = *at + PAGE_SIZE;
		if (s->nr_futex && (*sh & SHADOW_KIND) == SHADOW_WINDOW)
			space_wake_futexes(s, *at, *at + PAGE_SIZE);
		s->replaced |= (*sh & SHADOW_INSTALLED) != 0;
		*sh = want;
	}
	return run->end != 0;
}

/* The host stops at the first page that is no window, where there is nothing to protect. */
static void set_wp(struct space *s, vaddr_t start, vaddr_t end, bool on)
{
	vaddr_t stop = end;

	(void)agent_sync(s);
	while (start < end) {
		struct uffdio_writeprotect wp = { .range = { start, stop - start },
						  .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };

		if (ioctl(s->uffd, UFFDIO_WRITEPROTECT, &wp) == 0) {
			start = stop;
		} else if (errno == ENOENT && stop - start > PAGE_SIZE) {
			stop = start + align_up((stop - start) / 2, PAGE_SIZE);
			continue;
		} else if (errno == ENOENT) {
			start += PAGE_SIZE;
		} else if (errno == EAGAIN) {
			events_take_notes(s);
		} else {
			return;
		}
		stop = end;
	}
}

/*
 * Pages of [start, end) that must report writes were translated without that: some thread met the
 * window in the moment before accesses to it were reported, and may have written.
 */
static void note_early_write(struct space *s, vaddr_t start, vaddr_t end)
{
	pte_t *pte;

	set_wp(s, start, end, true);
	for (; start < end; start += PAGE_SIZE) {
		pte = table_find(&s->mm->table, start);
		if (pte && pte_present(*pte))
			page_set(pfn_to_page(&s->host->machine.phys, pte_pfn(*pte)), PG_dirty);
	}
}

/* So many windows are posted at most before the agent makes them. */
#define WINDOWS_MAX (COMM_COMMANDS / 4)

/*
 * Posts the windows that [start, end) lacks, with what makes accesses to them reported. Adds their
 * number to *nr. A thread that meets a window before its accesses are reported may see and
 * write what it will see and write anyway, unless the frame is not the area's alone.
 */
static int post_windows(struct space *s, const struct vma *vma, vaddr_t start, vaddr_t end,
			unsigned int *nr)
{
	struct mapping_call c = { .prot = space_prot(vma),
				  .flags = window_flags(vma),
				  .fd = s->comm ? s->comm->ram_fd : -1,
				  .modes = WINDOW_MODES };
	struct run run;
	int err = 0;

	while (!err && next_wrong_window(s, vma, &start, end, &run)) {
		if (!s->comm)
			return -ESRCH;
		c.start = run.start;
		c.end = run.end;
		c.offset = run.pfn << PAGE_SHIFT;
		post_mapping(s, &c, staging_of(s, vma, &run));
		s->mappings += 2;
		if (++*nr % WINDOWS_MAX == 0)
			err = agent_run(s);
	}
	return err;
}

/* Nobody knows what the host has there; it may translate. The next fault puts it right. */
#define SHADOW_UNKNOWN (SHADOW_HOLE | SHADOW_INSTALLED)

/*
 * A command was not done, or in part. A window may be missing then: the next fault there makes it.
 * A missing translation costs one more fault. If another thread got a page in the moment before
 * accesses to its window were reported, it may have written where we must know of it. That shows
 * as EEXIST at the range's first page, as EAGAIN at a later one, and not at all in ranges
 * that were not tried.
 */
s64 space_command_failed(struct space *s, const struct comm_command *k)
{
	vaddr_t at = k->nr == SYS_mremap ? k->arg[4] : k->nr == SYS_ioctl ? k->arg[3] : k->arg[0];
	u64 len = k->nr == SYS_ioctl ? k->arg[4] : k->arg[1];
	bool maps = k->nr == SYS_mmap || k->nr == SYS_mremap ||
		    (k->nr == SYS_ioctl && k->arg[1] == UFFDIO_REGISTER);

	if (maps && at != AGENT_STAGE)
		shadow_fill(s, at, at + len, SHADOW_UNKNOWN);
	if (maps || k->nr != SYS_ioctl)
		return k->result;
	if (k->arg[5] == UFFDIO_CONTINUE_MODE_WP) /* done in part, or not tried */
		note_early_write(s, k->arg[3], k->arg[3] + k->arg[4]);
	return 0;
}

/* The host makes a frame that was never touched, zero-filled. */
static void touch_frame(struct space *s, vaddr_t addr)
{
	u8 *frame = s->host->ram + (SHADOW_GET_PFN(*shadow_get(s, addr)) << PAGE_SHIFT);

	__atomic_fetch_or(frame, 0, __ATOMIC_RELAXED); /* a thread may have it already, and write */
}

/*
 * Lets the host translate [start, end). The range may still span several of the host's mappings,
 * if frames that lie side by side were mapped one by one.
 */
static void continue_range(struct space *s, vaddr_t start, vaddr_t end, bool wp)
{
	vaddr_t stop = end;

	(void)agent_sync(s);
	while (start < end) {
		struct uffdio_continue c = { .range = { start, stop - start },
					     .mode = wp ? UFFDIO_CONTINUE_MODE_WP : 0 };

		if (ioctl(s->uffd, UFFDIO_CONTINUE, &c) == 0) {
			s->woken |= start <= s->fault_addr && s->fault_addr < stop;
			start = stop;
		} else if (c.mapped > 0)
			start += (u64)c.mapped;
		else if (errno == EFAULT)
			touch_frame(s, start);
		else if (errno == ENOENT && stop - start > PAGE_SIZE) {
			stop = start + align_up((stop - start) / 2, PAGE_SIZE);
			continue;
		} else if (errno == EEXIST || errno == ENOENT) {
			if (errno == EEXIST && wp)
				note_early_write(s, start, start + PAGE_SIZE);
			start += PAGE_SIZE;
		} else if (errno == EAGAIN) {
			events_take_notes(s); /* a fork waits until we have read of it */
		} else {
			return;
		}
		stop = end;
	}
}

/* What must be done for a page so that the host's translation is the table's. */
enum step { STEP_NONE, STEP_CONTINUE, STEP_CONTINUE_WP, STEP_UNPROTECT };

static enum step step_for(const struct vma *vma, pte_t pte, u32 sh)
{
	bool wp = (vma->flags & VM_WRITE) && !(pte & PTE_WRITE);

	if (!(sh & SHADOW_INSTALLED))
		return wp ? STEP_CONTINUE_WP : STEP_CONTINUE;
	return (sh & SHADOW_WP) && !wp ? STEP_UNPROTECT : STEP_NONE;
}

/* Frames that nobody has touched yet: the host makes them, zero-filled, all at once. */
static void touch_fresh(struct space *s, vaddr_t start, vaddr_t end)
{
	struct phys *phys = &s->host->machine.phys;
	pfn_t pfn = SHADOW_GET_PFN(*shadow_get(s, start));
	struct page *page = pfn_to_page(phys, pfn);
	u64 i;

	if (!page_test(page, PG_hostzero))
		return;
	(void)madvise(s->host->ram + (pfn << PAGE_SHIFT), end - start, MADV_POPULATE_WRITE);
	for (i = 0; i < (end - start) >> PAGE_SHIFT; i++)
		page_clear(page + i, PG_hostzero);
}

static void take_step(struct space *s, enum step step, vaddr_t start, vaddr_t end, bool post)
{
	if (step == STEP_CONTINUE || step == STEP_CONTINUE_WP)
		touch_fresh(s, start, end);
	if (step == STEP_UNPROTECT) {
		set_wp(s, start, end, false);
		s->woken |= start <= s->fault_addr && s->fault_addr < end;
	} else if (step != STEP_NONE && post) {
		agent_post_uffd(s, UFFDIO_CONTINUE, start, end - start,
				step == STEP_CONTINUE_WP ? UFFDIO_CONTINUE_MODE_WP : 0);
	} else if (step != STEP_NONE) {
		continue_range(s, start, end, step == STEP_CONTINUE_WP);
	}
}

/*
 * The host gets the table's translations for [start, end): with `post` by the agent, after it has
 * made the windows; else these are there.
 */
static void translate(struct space *s, const struct vma *vma, vaddr_t start, vaddr_t end, bool post)
{
	enum step step = STEP_NONE;
	vaddr_t at, from = start;
	pte_t *pte = NULL;
	pfn_t pfn = 0;
	u32 *sh = NULL;

	for (at = start; at < end; at += PAGE_SIZE) {
		bool edge = !pte || !(at & (PAGE_SIZE * TABLE_ENTRIES - 1));
		enum step next;

		pte = edge ? table_find(&s->mm->table, at) : pte + 1;
		sh = edge ? shadow_get(s, at) : sh + 1;
		next = step_for(vma, *pte, s->absent && at == s->fault_addr ? 0 : *sh);
		/* A request may not span two of the host's mappings. */
		if (next != step || (at > from && pte_pfn(*pte) != pfn + 1)) {
			take_step(s, step, from, at, post);
			from = at;
			step = next;
		}
		pfn = pte_pfn(*pte);
		*sh |= SHADOW_INSTALLED;
		if (next == STEP_CONTINUE_WP)
			*sh |= SHADOW_WP;
		else if (next != STEP_NONE)
			*sh &= ~SHADOW_WP;
	}
	take_step(s, step, from, end, post);
}

/* Without an agent nothing can be mapped. */
static int no_agent(struct space *s, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	if (!s->comm && !s->gone && !lend(s, vma, start, end)) {
		host_log(s->host, "process %d needs memory before it has an agent", s->mm->pid);
		proc_kill(s->mm, "no agent");
	}
	return 0;
}

static int host_install(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	struct space *s = space_of(mm);
	unsigned int nr = 0;
	int err;

	if (s->quiet || s->gone)
		return 0;
	if (s->host->replacing != s)
		space_settle(s->host);
	err = agent_sync(s);
	s->replaced = false;
	room_make(s);
	if (!err)
		err = post_windows(s, vma, start, end, &nr);
	if (!err)
		translate(s, vma, start, end, nr > 0);
	if (!err && nr && start <= s->fault_addr && s->fault_addr < end) {
		agent_go(s, s->fault_addr);
		s->host->replacing = s->replaced ? s : NULL;
		s->woken = true;
	} else if (!err && nr) {
		err = agent_run(s);
	}
	if (err == -ESRCH)
		return no_agent(s, vma, start, end);
	if (!err)
		return 0;
	if (space_reset(s, start, end, staging_now(s)) < 0)
		shadow_fill(s, start, end, SHADOW_UNKNOWN);
	return -ENOMEM;
}

void space_settle(struct host *h)
{
	if (h->replacing)
		(void)agent_sync(h->replacing);
	h->replacing = NULL;
}

/* The next run of present pages in [*at, end) of one area, young from now on; false: none. */
static bool next_present(struct space *s, vaddr_t *at, vaddr_t end, struct run *run)
{
	pte_t *pte;

	while ((pte = table_next(&s->mm->table, at, end)) && !pte_present(*pte))
		*at += PAGE_SIZE;
	run->start = *at;
	while (*at < end && (pte = table_find(&s->mm->table, *at)) && pte_present(*pte)) {
		*pte |= PTE_ACCESSED; /* the host will have it */
		*at += PAGE_SIZE;
	}
	run->end = *at;
	return run->end > run->start;
}

/* All that is present is translated, with few trips of the agent. */
int space_install_all(struct space *s)
{
	struct vma *vma;
	struct run run;
	vaddr_t at;
	unsigned int nr = 0;
	int err = 0;

	for (vma = vma_first(s->mm); vma && !err; vma = vma_next(vma))
		for (at = vma->start; !err && next_present(s, &at, vma->end, &run);)
			err = post_windows(s, vma, run.start, run.end, &nr);
	for (vma = vma_first(s->mm); vma && !err; vma = vma_next(vma))
		for (at = vma->start; next_present(s, &at, vma->end, &run);)
			translate(s, vma, run.start, run.end, true);
	return err ? err : agent_run(s);
}

static bool host_can_replace(struct mm *mm)
{
	struct space *s = space_of(mm); /* none yet in the middle of fork */

	return s && s->comm;
}

static void host_write_protect(struct mm *mm, vaddr_t start, vaddr_t end)
{
	struct space *s = space_of(mm);

	set_wp(s, start, end, true);
	for (; start < end; start += PAGE_SIZE)
		*shadow_get(s, start) |= SHADOW_WP;
}

/* Clears the installed marks of [start, end); the part that had any. */
static struct run uninstall(struct space *s, vaddr_t start, vaddr_t end)
{
	struct run run = { 0 };
	vaddr_t at = start;

	while (at < end) {
		vaddr_t leaf_end = min_u64(end, (at | (PAGE_SIZE * TABLE_ENTRIES - 1)) + 1);
		u32 *sh = shadow_find(s, at);

		for (; sh && at < leaf_end; at += PAGE_SIZE, sh++) {
			if (!(*sh & SHADOW_INSTALLED))
				continue;
			*sh &= ~(SHADOW_INSTALLED | SHADOW_WP);
			if (!run.end)
				run.start = at;
			run.end = at + PAGE_SIZE;
		}
		at = sh ? leaf_end : shadow_skip(s, at, end);
	}
	return run;
}

/* The space behind a range, if the host has anything of it that it could forget. */
static struct space *space_behind(const struct mmu_range *range)
{
	struct space *s = space_of(range->mm);

	return s && !s->quiet && !s->gone ? s : NULL;
}

/* One trip for each space, all of them at once: a page may be mapped by many processes. */
static void host_invalidate(const struct mmu_range *ranges, unsigned int nr)
{
	struct space *s;
	struct run run;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		s = space_behind(&ranges[i]);
		if (!s)
			continue;
		if (s->nr_futex)
			space_wake_futexes(s, ranges[i].start, ranges[i].end);
		invariant(S2, s->comm);
		if (s->host->newborn && s->host->served == s->host->newborn)
			lend_note_moved(s, ranges[i].start);
		run = uninstall(s, ranges[i].start, ranges[i].end);
		if (run.end)
			agent_post(s, SYS_madvise, run.start, run.end - run.start, MADV_DONTNEED, 0,
				   0, 0);
	}
	for (i = 0; i < nr; i++)
		if ((s = space_behind(&ranges[i])))
			agent_go(s, 0);
	for (i = 0; i < nr; i++)
		if ((s = space_behind(&ranges[i])))
			(void)agent_sync(s);
}

const struct mmu_ops host_mmu_ops = {
	.install = host_install,
	.can_replace = host_can_replace,
	.write_protect = host_write_protect,
	.invalidate = host_invalidate,
	.restrict_access = area_restrict,
	.area_changed = area_changed,
	.area_removed = area_removed,
};

void space_set_default(struct space *s, vaddr_t start, vaddr_t end)
{
	if (s->nr_def < DEFAULTS_MAX)
		s->def[s->nr_def++] = (struct default_range){ start, end };
}

void space_forget_range(struct space *s, vaddr_t start, vaddr_t end)
{
	shadow_fill(s, start, end, SHADOW_HOLE);
}

void space_bad_access(struct space *s, vaddr_t addr, enum bad_access kind)
{
	struct vma *vma = vma_at(s->mm, addr);

	addr &= PAGE_MASK;
	if (!s->comm) {
		lend_refuse(s, kind == BAD_BUS ? SIGBUS : SIGSEGV);
		return;
	}
	if (kind == BAD_BUS && vma) /* where no RAM ever is, not registered: a native SIGBUS */
		agent_post(s, SYS_mmap, addr, PAGE_SIZE, (u64)space_prot(vma),
			   MAP_FIXED | MAP_SHARED, (u64)s->comm->ram_fd, s->host->ram_max_bytes);
	else if (kind == BAD_ACCERR && vma)
		agent_post(s, SYS_mmap, addr, PAGE_SIZE, (u64)space_prot(vma),
			   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, (u64)-1, 0);
	else
		agent_post(s, SYS_munmap, addr, PAGE_SIZE, 0, 0, 0, 0);
	(void)agent_run(s);
	shadow_fill(s, addr, addr + PAGE_SIZE, SHADOW_HOLE);
	space_wake(s, addr);
}

struct space *space_create(struct host *h, struct mm *mm)
{
	struct space *s = calloc(1, sizeof(*s));

	if (!s)
		host_fail("out of host memory");
	s->host = h;
	s->mm = mm;
	s->uffd = -1;
	s->slot = -1;
	mm->backend = s;
	list_add_tail(&s->all, &h->spaces);
	return s;
}

struct space *space_fork(struct space *parent, struct mm *child)
{
	struct space *s = space_create(parent->host, child);

	s->cpu = ++s->host->forks % s->host->machine.phys.nr_cpus;
	shadow_copy(s, parent);
	memcpy(s->pinned, parent->pinned, sizeof(s->pinned));
	s->nr_pinned = parent->nr_pinned;
	return s;
}

void space_destroy(struct space *s)
{
	struct host *h = s->host;
	bool entered;

	s->gone = true;
	if (h->newborn == s)
		h->newborn = NULL;
	if (h->forked == s)
		h->forked = NULL;
	if (h->replacing == s)
		h->replacing = NULL;
	entered = s->agent > 0;
	agent_end(s);
	mm_destroy(s->mm);
	if (s->uffd >= 0)
		close(s->uffd);
	if (s->slot >= 0)
		takeover_slot_free(h, s->slot, entered);
	shadow_free(s);
	free(s->held);
	if (h->newborn && h->newborn->forked_from == s)
		space_destroy(h->newborn); /* the parent died in the fork */
	list_del(&s->all);
	free(s);
}
