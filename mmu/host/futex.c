/*
 * futex.c - words that somebody may wait on by frame: who waits is woken when the frame changes.
 *
 * Why     A futex that is not private is keyed by the frame. Waiters must expect to be woken
 *         without a reason, and wait again: at the new frame.
 *
 * SPDX-License-Identifier: MIT
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmu/host/host.h"
#include "mmu/host/shadow.h"

void space_note_futex(struct space *s, vaddr_t addr)
{
	unsigned int i;

	for (i = 0; i < s->nr_futex; i++)
		if (s->futex[i] == addr)
			return;
	if (s->nr_futex == FUTEX_WORDS) { /* the oldest wakes up spuriously, and comes again */
		space_wake_futexes(s, s->futex[0], s->futex[0] + 1);
		if (s->nr_futex == FUTEX_WORDS)
			s->nr_futex--;
	}
	s->futex[s->nr_futex++] = addr;
}

void space_wake_futexes(struct space *s, vaddr_t start, vaddr_t end)
{
	unsigned int i = 0;

	while (i < s->nr_futex) {
		vaddr_t addr = s->futex[i];
		u32 *sh = shadow_find(s, addr);

		if (addr < start || addr >= end) {
			i++;
			continue;
		}
		if (sh && (*sh & SHADOW_KIND) == SHADOW_WINDOW)
			syscall(SYS_futex,
				s->host->ram + (SHADOW_GET_PFN(*sh) << PAGE_SHIFT) +
					(addr & ~PAGE_MASK),
				FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
		s->futex[i] = s->futex[--s->nr_futex];
	}
}
