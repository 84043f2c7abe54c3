/*
 * mm.c - the life of an address space, and its accounts.
 *
 * Use     mm_create(), mm_destroy(); mm_count() wherever an entry appears or goes.
 * Holds   M1  counter[k] is the number of entries of that kind in the table
 *         M2  hiwater_rss is the largest mm_rss() so far
 * Locks   The machine's.
 * Why     Linux: mm_init(), exit_mmap(), mm_counter().
 *
 * SPDX-License-Identifier: MIT
 */
#include "space/mm.h"

#include "base/check.h"
#include "kmem/slab.h"
#include "store/state.h"
#include "phys/phys.h"
#include "space/unmap.h"
#include "space/vma.h"

struct mm *mm_create(struct machine *m)
{
	struct mm *mm = kmem_cache_alloc(m->mm_cache, GFP_KERNEL);

	if (!mm)
		return NULL;
	*mm = (struct mm){ .machine = m,
			   .rlimit_as = ~0ull,
			   .rlimit_data = ~0ull,
			   .rlimit_stack = 8ull << 20,
			   .rlimit_memlock = ~0ull,
			   .mmap_base = TASK_SIZE,
			   .mmap_low = MMAP_MIN_ADDR };
	table_init(&mm->table, &m->phys);
	list_add_tail(&mm->all, &m->mms);
	return mm;
}

void mm_destroy(struct mm *mm)
{
	struct vma *vma;
	int k;

	if (!mm)
		return;
	unmap_pages(mm, 0, TASK_SIZE);
	while ((vma = vma_first(mm)))
		vma_remove(vma);
	table_fini(&mm->table);
	for (k = 0; k < NR_MM_COUNTERS; k++)
		invariant(M1, mm->counter[k] == 0);
	list_del(&mm->all);
	kmem_cache_free(mm->machine->mm_cache, mm);
}

void mm_count(struct mm *mm, enum mm_counter which, s64 n)
{
	mm->counter[which] += (u64)n;
	if (mm_rss(mm) > mm->hiwater_rss)
		mm->hiwater_rss = mm_rss(mm);
}

enum mm_counter mm_counter_of(const struct page *page)
{
	if (page_is_anon(page))
		return MM_ANONPAGES;
	return page_test(page, PG_swapbacked) ? MM_SHMEMPAGES : MM_FILEPAGES;
}
