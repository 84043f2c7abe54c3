/*
 * stage.c - a mapping that appears together with its registration.
 *
 * How     Between mmap() and UFFDIO_REGISTER, two calls of the agent, other threads meet a mapping
 *         that reports nothing. Where that would matter, both are done at a place that nobody
 *         knows, and mremap() takes the finished mapping to where it belongs, in one step. The host
 *         keeps the registration if it may tell us so (UFFD_EVENT_REMAP), and the agent waits until
 *         that was read: trip.c does it.
 * Use     post_mapping() with what staging_of() or staging_now() says.
 * Holds   G1  nobody writes to a frame that others name, and nobody sees raw backdrop
 * Why     Three times as dear as mapping in place: only where another thread may look.
 *
 * SPDX-License-Identifier: MIT
 */
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "mmu/host/shadow.h"

#define RWX		    (PROT_READ | PROT_WRITE | PROT_EXEC)
#define LINKS_OF_ONE_THREAD 3 /* of /proc/PID/task: itself, its parent, the thread */

enum staging staging_now(struct space *s)
{
	char path[64];
	struct stat st;

	if (s->host->served != s || s->users != 1 || s->lent)
		return STAGED;
	snprintf(path, sizeof(path), "/proc/%d/task", s->mm->pid);
	return stat(path, &st) < 0 || st.st_nlink != LINKS_OF_ONE_THREAD ? STAGED : IN_PLACE;
}

/* Does an entry, a cache or a slot of somebody else name a frame that could be written here? */
static bool shows_shared_frame(struct space *s, const struct vma *vma, const struct run *run)
{
	struct machine *m = &s->host->machine;
	struct page *page = pfn_to_page(&m->phys, run->pfn);
	u64 i, nr = (run->end - run->start) >> PAGE_SHIFT;

	if ((vma->flags & (VM_WRITE | VM_SHARED)) != VM_WRITE)
		return false;
	for (i = 0; i < nr; i++, page++)
		if (!page_is_anon(page) || page->mapcount > 1 ||
		    (page_test(page, PG_swapcache) && swap_count(&m->swap, page->private) > 1))
			return true;
	return false;
}

enum staging staging_of(struct space *s, const struct vma *vma, const struct run *run)
{
	return shows_shared_frame(s, vma, run) ? staging_now(s) : IN_PLACE;
}

void post_mapping(struct space *s, const struct mapping_call *c, enum staging how)
{
	u64 len = c->end - c->start;
	vaddr_t at = how == STAGED ? AGENT_STAGE : c->start;

	agent_post(s, SYS_mmap, at, len, (u64)c->prot, (u64)c->flags | MAP_FIXED | MAP_NORESERVE,
		   (u64)c->fd, c->offset);
	if (c->flags & MAP_ANONYMOUS) /* terabytes of nothing */
		agent_post(s, SYS_madvise, at, len, MADV_DONTDUMP, 0, 0, 0);
	agent_post_uffd(s, UFFDIO_REGISTER, at, len, c->modes);
	if (how == STAGED &&
	    agent_post(s, SYS_mremap, at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, c->start, 0))
		s->staged++;
}

void space_post_backdrop(struct space *s, vaddr_t start, vaddr_t end, enum staging how)
{
	struct mapping_call c = { .start = start,
				  .end = end,
				  .prot = RWX,
				  .flags = MAP_PRIVATE | MAP_ANONYMOUS,
				  .fd = -1,
				  .modes = UFFDIO_REGISTER_MODE_MISSING };

	post_mapping(s, &c, how);
}

int space_reset(struct space *s, vaddr_t start, vaddr_t end, enum staging how)
{
	int err;

	space_post_backdrop(s, start, end, how);
	err = agent_run(s);
	if (!err)
		shadow_fill(s, start, end, SHADOW_BACKDROP | SHADOW_PROT(RWX));
	return err;
}
