/*
 * fork.c - the forked copy is ready before the host's own fork begins.
 *
 * How     Nothing can be mapped in the child before it has an agent, which it gets at its first
 *         call. So what it touches until then, its stack and the code, must be there, and
 *         stay there while the copy is made, which needs memory itself.
 * Use     fork_begin(); what follows, from the host's message on, is in events.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <sys/syscall.h>

#include "call/call.h"
#include "fault/fault.h"
#include "mmu/host/host.h"
#include "space/unmap.h"

#define CHILD_PAGES 4

/* The page of addr, present and with a reference more; or NULL. */
static struct page *hold_page(struct mm *mm, vaddr_t addr, enum access access)
{
	struct page *page;

	if (fault_handle(mm, addr, access) != FAULT_DONE)
		return NULL;
	page = pfn_to_page(&mm->machine->phys, pte_pfn(*table_find(&mm->table, addr)));
	page->refcount++;
	return page;
}

static struct mm *copy_with_pages(struct mm *mm, vaddr_t sp, vaddr_t ip)
{
	struct page *held[CHILD_PAGES] = { NULL };
	struct mm *child;
	unsigned int i;

	if (sp) {
		held[0] = hold_page(mm, sp - PAGE_SIZE, ACCESS_WRITE);
		held[1] = hold_page(mm, sp, ACCESS_WRITE);
		if (vma_at(mm, sp + PAGE_SIZE))
			held[2] = hold_page(mm, sp + PAGE_SIZE, ACCESS_WRITE);
	}
	held[3] = hold_page(mm, ip, ACCESS_EXEC);
	child = call_fork(mm);
	for (i = 0; i < CHILD_PAGES; i++)
		if (held[i])
			page_put(mm->machine, held[i]);
	return child;
}

/* Where the child will run: on the forker's stack, or on one that was made for it. */
static vaddr_t child_stack(const struct deferred *n)
{
	return n->nr == SYS_clone && n->arg[1] ? n->arg[1] : proc_stack_pointer(n->pid);
}

int fork_begin(struct proc *p, const struct deferred *n)
{
	struct host *h = p->host;
	struct space *child;
	struct mm *mm;

	/* A fault that was answered but is still queued must not be answered again later. */
	events_drain(p->space);
	lend_catch_up(p->space);
	peek_end(h, 0); /* a page of the child's that another holds could not change hands */
	mm = copy_with_pages(p->space->mm, child_stack(n), n->ip);
	if (!mm)
		return -ENOMEM;
	child = space_fork(p->space, mm);
	child->parent = p;
	child->forked_from = p->space;
	child->forker = n->pid;
	child->limits = p->limits;
	child->forked_ns = now_ns();
	h->newborn = child;
	return 0;
}
