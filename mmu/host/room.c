/*
 * room.c - the host allows a process so many mappings (vm.max_map_count), and windows are many.
 *
 * How     Each window posted counts as two mappings more, which it costs at most. When the limit
 *         is near, the shadow is counted, and parts of 2 MiB that have many mappings become
 *         backdrop again, one mapping each, until a quarter is free. Their pages stay where they
 *         are and come back with soft faults.
 * Holds   R1  parts with pages that the host writes (pinned) stay; so does text, which a
 *             debugger may have changed, and what the host maps itself
 * Why     Frames of a machine that swaps are scattered: 256 MiB of them can be 65,536 windows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mmu/host/shadow.h"

#define PART		   (PAGE_SIZE * TABLE_ENTRIES)
#define MAPPINGS_OF_OTHERS 2048 /* the program's own, and a margin */
#define MANY		   16u /* mappings of a part that is worth it */

unsigned int room_limit(void)
{
	int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	char text[32] = "";
	long most;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	if (fd >= 0)
		close(fd);
	most = atol(text);
	return most > 2 * MAPPINGS_OF_OTHERS ? (unsigned int)most - MAPPINGS_OF_OTHERS
					     : MAPPINGS_OF_OTHERS;
}

/* Mappings of one part, going by the shadow. */
static unsigned int count_part(const u32 *sh)
{
	unsigned int i, nr = 1;

	for (i = 1; i < TABLE_ENTRIES; i++) {
		u32 marks = SHADOW_INSTALLED | SHADOW_WP;
		u32 before = sh[i - 1] & ~marks, now = sh[i] & ~marks;

		nr += now != before + ((now & SHADOW_KIND) == SHADOW_WINDOW ? SHADOW_PFN(1) : 0);
	}
	return nr;
}

static bool must_stay(const struct space *s, vaddr_t start, const u32 *sh)
{
	const struct vma *vma = vma_find(s->mm, start);
	unsigned int i;

	for (i = 0; i < TABLE_ENTRIES; i++)
		if ((sh[i] & SHADOW_KIND) == SHADOW_HOLE)
			return true;
	for (i = 0; i < s->nr_pinned; i++)
		if (s->pinned[i] - start < PART)
			return true;
	for (; vma && vma->start < start + PART; vma = vma_next(vma))
		if (vma->flags & (VM_EXEC | VM_PFNMAP))
			return true;
	return false;
}

static void give_back(struct space *s, vaddr_t start)
{
	vaddr_t addr = start;
	pte_t *pte;

	if (space_reset(s, start, start + PART, staging_now(s)) < 0)
		return;
	for (; (pte = table_next(&s->mm->table, &addr, start + PART)); addr += PAGE_SIZE)
		if (pte_present(*pte))
			*pte &= ~PTE_ACCESSED;
}

/* Counts what the host maps, and gives back what is worth it while `excess` are too many. */
static unsigned int walk(struct space *s, unsigned int excess)
{
	vaddr_t first = s->room_next, addr = first, end = TASK_SIZE;
	unsigned int total = 0, turn;

	for (turn = 0; turn < 2; turn++) {
		while (addr < end) {
			u32 *sh = shadow_find(s, addr);
			unsigned int nr;

			if (!sh) {
				addr = shadow_skip(s, addr, end);
				continue;
			}
			addr &= ~(PART - 1);
			sh = shadow_find(s, addr);
			nr = count_part(sh);
			if (excess && nr >= MANY && !must_stay(s, addr, sh)) {
				give_back(s, addr);
				excess -= nr < excess ? nr - 1 : excess;
				s->room_next = addr + PART;
				nr = 1;
			}
			total += nr;
			addr += PART;
		}
		addr = 0;
		end = first;
	}
	return total;
}

void room_make(struct space *s)
{
	unsigned int limit = s->host->max_mappings;

	if (s->mappings < limit || !s->comm)
		return;
	s->mappings = walk(s, 0);
	if (s->mappings >= limit / 8 * 7)
		s->mappings = walk(s, s->mappings - limit / 4 * 3);
}
