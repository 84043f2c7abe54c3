/*
 * lend.c - what a forked child touches before it has an agent: pages of the host's, for a while.
 *
 * How     Nothing can be mapped in such a child; but what it has where its parent never touched
 *         anything, backdrop, takes copies of pages (UFFDIO_COPY). The core has the page, too, with
 *         a frame of its own; the child's copy is read back when its agent comes, and goes.
 *         That is why it happens: a signal handler on an alternate stack, before the C
 *         library's first call; clone() with a fresh stack; a fork that no library knows of.
 * Holds   N1  what is lent is private: nobody else could see what the child writes there
 * Why     Where there is a window onto another frame, the host has a file's page, and no copy can
 *         be put there: such a child is killed, as before.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "fault/fault.h"
#include "mmu/host/host.h"
#include "mmu/host/shadow.h"

#define REFUSALS_MAX 100

static bool is_lent(const struct space *s, vaddr_t addr)
{
	unsigned int i;

	for (i = 0; i < s->nr_loans; i++)
		if (s->loan[i] == addr)
			return true;
	return false;
}

/* The child's own copy of the page at addr. */
static bool lend_page(struct space *s, vaddr_t addr)
{
	const pte_t *pte = table_find(&s->mm->table, addr);
	struct uffdio_copy copy = { .dst = addr, .len = PAGE_SIZE };

	if (!pte || !pte_present(*pte) || s->nr_loans == LOANS_MAX)
		return false;
	copy.src = (u64)(s->host->ram + (pte_pfn(*pte) << PAGE_SHIFT));
	if (ioctl(s->uffd, UFFDIO_COPY, &copy) < 0 && errno != EEXIST)
		return false;
	s->loan[s->nr_loans++] = addr;
	return true;
}

bool lend(struct space *s, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	vaddr_t addr = start <= s->fault_addr && s->fault_addr < end ? s->fault_addr : start;
	u32 *sh = shadow_find(s, addr);
	bool backdrop = ((sh ? *sh : shadow_default(s, addr)) & SHADOW_KIND) == SHADOW_BACKDROP;

	if (is_lent(s, addr))
		return true;
	return s->uffd >= 0 && backdrop && !(vma->flags & VM_SHARED) && lend_page(s, addr);
}

/* Does the process let this signal come? */
static bool takes_signal(pid_t pid, int number)
{
	unsigned long long blocked = 0, ignored = 0;
	char path[32], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SigBlk: %llx", &blocked) != 1)
			(void)sscanf(line, "SigIgn: %llx", &ignored);
	if (f)
		fclose(f);
	return f && !((blocked | ignored) >> (number - 1) & 1);
}

void lend_refuse(struct space *s, int number)
{
	bool lost = ++s->refusals > REFUSALS_MAX || !takes_signal(s->mm->pid, number);

	kill(s->mm->pid, lost ? SIGKILL : number);
}

/* What the child wrote becomes the machine's. */
static void take_back(struct space *s, vaddr_t addr, const u8 *data)
{
	const struct vma *vma = vma_at(s->mm, addr);
	u8 had[PAGE_SIZE];

	if (!vma || !(vma->flags & VM_WRITE))
		return;
	if (fault_copy_out(s->mm, addr, had, PAGE_SIZE) < 0 || memcmp(data, had, PAGE_SIZE) != 0)
		(void)fault_copy_in(s->mm, addr, data, PAGE_SIZE);
}

int lend_settle(struct space *s)
{
	unsigned int nr = s->nr_loans, i;
	u8 *data = nr ? malloc(nr * PAGE_SIZE) : NULL;
	int err = nr && !data ? -ENOMEM : 0;

	/* All of them are read before the first changes: it may bring its neighbours with it. */
	for (i = 0; i < nr && !err; i++) {
		struct iovec local = { data + i * PAGE_SIZE, PAGE_SIZE };
		struct iovec remote = { (void *)s->loan[i], PAGE_SIZE };

		if (process_vm_readv(s->comm->program, &local, 1, &remote, 1, 0) !=
		    (ssize_t)PAGE_SIZE)
			err = -EFAULT;
	}
	for (i = 0; i < nr && !err; i++)
		err = space_reset(s, s->loan[i], s->loan[i] + PAGE_SIZE, IN_PLACE);
	for (i = 0; i < nr && !err; i++)
		take_back(s, s->loan[i], data + i * PAGE_SIZE);
	free(data);
	s->nr_loans = 0;
	return err;
}

void lend_note_moved(struct space *s, vaddr_t addr)
{
	if (s->nr_moved < MOVED_MAX)
		s->moved[s->nr_moved++] = addr;
}

void lend_catch_up(struct space *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_moved; i++)
		if (vma_at(s->mm, s->moved[i]))
			(void)fault_handle(s->mm, s->moved[i], ACCESS_READ);
	s->nr_moved = 0;
}
