/*
 * machine.c - assembles nouns and verbs into one machine.
 *
 * Use     machine_boot(), machine_tick() when idle, machine_shutdown().
 * Holds   K1  page->mapcount is the number of entries that name the page
 *         K2  the counters of an mm are those of its table
 *         K3  the users of the swap slots are entries, cached pages and shared memory
 * Locks   One thread at a time is inside a machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "machine.h"

#include "base/check.h"
#include "base/errno.h"
#include "kmem/slab.h"
#include "move/migrate.h"
#include "phys/watermark.h"
#include "reclaim/reclaim.h"
#include "space/mm.h"
#include "space/rmap.h"
#include "space/vma.h"
#include "store/mapping.h"

static const struct knobs default_knobs = {
	.swappiness = 60,
	.page_cluster = 3,
	.vfs_cache_pressure = 100,
	.overcommit_ratio = 50,
	.read_ahead_kb = 128,
	.fault_around_bytes = 65536,
	.fault_zero_pages = 512,
	.collapse_faults = 16,
};

static int make_caches(struct machine *m)
{
	struct phys *p = &m->phys;

	m->mm_cache = kmem_cache_create(p, "mm_struct", sizeof(struct mm), 0, 0, NULL);
	m->vma_cache = kmem_cache_create(p, "vm_area_struct", sizeof(struct vma), 0, 0, NULL);
	m->anon_vma_cache = kmem_cache_create(p, "anon_vma", sizeof(struct anon_vma), 0, 0, NULL);
	m->mapping_cache = kmem_cache_create(p, "inode_cache", sizeof(struct mapping), 0, 0, NULL);
	m->radix_cache = kmem_cache_create(p, "radix_tree_node", radix_node_size(), 0, 0, NULL);
	return m->mm_cache && m->vma_cache && m->anon_vma_cache && m->mapping_cache &&
			       m->radix_cache
		       ? 0
		       : -ENOMEM;
}

int machine_boot(struct machine *m, const struct machine_config *config)
{
	int err;

	*m = (struct machine){ .knobs = default_knobs,
			       .mmu = config->mmu,
			       .ops = config->ops,
			       .owner = config->owner,
			       .seed = config->seed };
	list_init(&m->mms);
	list_init(&m->mappings);
	err = phys_boot(&m->phys, &config->phys);
	if (!err)
		err = kmem_boot(&m->phys);
	if (!err)
		err = make_caches(m);
	if (!err)
		err = swap_on(m, config->swap_dev, config->swap_pages);
	migrate_start(m);
	set_watermark_boost_factor(&m->phys, 15000); /* kswapd_step() lowers it */
	return err;
}

void machine_shutdown(struct machine *m)
{
	require(list_empty(&m->mms));
	migrate_stop(m);
	mapping_destroy_all(m);
	swap_off(m);
	require(kmem_cache_destroy(m->mm_cache) == 0);
	require(kmem_cache_destroy(m->vma_cache) == 0);
	require(kmem_cache_destroy(m->anon_vma_cache) == 0);
	require(kmem_cache_destroy(m->mapping_cache) == 0);
	require(kmem_cache_destroy(m->radix_cache) == 0);
	phys_shutdown(&m->phys);
}

bool machine_tick(struct machine *m)
{
	if (kswapd_step(m) || kcompactd_step(m))
		return true;
	collapse_step(m);
	return false;
}

int machine_online(struct machine *m, pfn_t start, u64 nr, enum online_type type)
{
	struct phys *phys = &m->phys;
	unsigned int nid;
	int err;

	if (!pfn_valid(phys, start))
		return -EINVAL;
	nid = pfn_zone(phys, start)->nid;
	if ((pfn_zone(phys, start)->type == ZONE_MOVABLE) != (type == ONLINE_MOVABLE)) {
		/* It changes its zone: as if it were plugged in anew. */
		if (phys->model == MEMORY_DISCONTIG)
			return -EINVAL;
		err = memory_remove(phys, start, nr);
		if (!err)
			err = memory_add(phys, start, nr, nid, type);
		if (err)
			return err == -EBUSY ? -EINVAL : err;
	}
	return memory_online(phys, start, nr);
}

pfn_t machine_unmovable(struct machine *m, pfn_t start, u64 nr)
{
	struct phys *phys = &m->phys;
	pfn_t pfn;

	settle_free_pages(phys);
	for (pfn = start; pfn < start + nr && pfn < phys->max_pages; pfn++) {
		const struct page *page;

		if (!pfn_valid(phys, pfn) || pfn_is_free(phys, pfn))
			continue;
		page = pfn_to_page(phys, pfn);
		if (page->refcount > 0 && (!page_test(page, PG_lru) || page_test(page, PG_pinned)))
			return pfn;
	}
	return PFN_NONE;
}

int machine_offline(struct machine *m, pfn_t start, u64 nr)
{
	/* Empty slabs and files that nobody uses need not be in the way. */
	mapping_prune(m);
	(void)kmem_reap(&m->phys);
	if (machine_unmovable(m, start, nr) != PFN_NONE)
		return -EBUSY;
	return memory_offline(&m->phys, start, nr);
}

/* One address space against its accounts. */
static void check_mm(struct machine *m, struct mm *mm)
{
	u64 counter[NR_MM_COUNTERS] = { 0 };
	vaddr_t addr = 0;
	pte_t *pte;
	int k;

	vma_check(mm);
	for (; (pte = table_next(&mm->table, &addr, TASK_SIZE)); addr += PAGE_SIZE) {
		if (!pte_present(*pte)) {
			counter[MM_SWAPENTS]++;
			invariant(K3, swap_count(&m->swap, pte_slot(*pte)) > 0);
			continue;
		}
		invariant(K1, pfn_to_page(&m->phys, pte_pfn(*pte))->mapcount > 0);
		counter[mm_counter_of(pfn_to_page(&m->phys, pte_pfn(*pte)))]++;
	}
	for (k = 0; k < NR_MM_COUNTERS; k++)
		invariant(K2, counter[k] == mm->counter[k]);
}

/* The sum of all mapcounts. */
static u64 all_mapcounts(struct phys *phys)
{
	const u64 not_mapped = PAGE_FLAG(PG_slab) | PAGE_FLAG(PG_tail) | PAGE_FLAG(PG_offline);
	u64 sum = 0;
	pfn_t pfn;

	settle_free_pages(phys);
	for (pfn = 0; pfn < phys->span_pages; pfn++) {
		const struct page *page;

		if (!pfn_valid(phys, pfn) || pfn_is_free(phys, pfn))
			continue;
		page = pfn_to_page(phys, pfn);
		if (page->refcount <= 0 || page->flags & not_mapped)
			continue;
		invariant(K1, page->mapcount >= 0 && page->mapcount <= page->refcount);
		sum += (u64)page->mapcount;
	}
	return sum;
}

void machine_check(struct machine *m)
{
	u64 entries = 0;
	struct mm *mm;

	list_for_each_entry(mm, &m->mms, struct mm, all) {
		check_mm(m, mm);
		entries += mm_rss(mm);
	}
	invariant(K1, all_mapcounts(&m->phys) == entries);
	phys_check(&m->phys);
}
