/*
 * world_check.c - the conservation laws of a machine, counted anew from its tables and caches.
 *
 * How     Everything is counted a second time, naively, into arrays by frame and by swap slot, and
 *         compared with what the machine believes.
 * Holds   see world_check(): each assertion names its law
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "phys/zone.h"
#include "space/rmap.h"
#include "store/state.h"

/* One frame as the tables and caches explain it. */
struct census {
	u32 entries, cached, swapcached, listed;
};

struct recount {
	struct world *w;
	struct census *frame;
	u32 *slot_users;
	u64 tables, shadows;
};

static struct census *census_of(struct recount *c, const struct page *page)
{
	u64 pfn = page_to_pfn(&c->w->m.phys, page);

	assert_true(pfn < c->w->ram_pages);
	return &c->frame[pfn];
}

static void count_slot(struct recount *c, u64 slot)
{
	assert_true(slot > 0 && slot < c->w->m.swap.nr_slots);
	c->slot_users[slot]++;
}

static void count_space(struct recount *c, struct mm *mm)
{
	u64 kind[NR_MM_COUNTERS] = { 0 };
	vaddr_t addr = 0;
	pte_t *pte;
	int k;

	for (; (pte = table_next(&mm->table, &addr, TASK_SIZE)); addr += PAGE_SIZE) {
		struct page *page;

		assert_non_null(vma_at(mm, addr));
		if (!pte_present(*pte)) {
			count_slot(c, pte_slot(*pte));
			kind[MM_SWAPENTS]++;
			continue;
		}
		page = pfn_to_page(&c->w->m.phys, pte_pfn(*pte));
		census_of(c, page)->entries++;
		kind[mm_counter_of(page)]++;
		if (*pte & PTE_WRITE) /* what may be written in place is nobody else's */
			assert_true((vma_at(mm, addr)->flags & VM_SHARED) ||
				    (page_is_anon(page) && page->mapcount == 1));
	}
	for (k = 0; k < NR_MM_COUNTERS; k++)
		assert_int_equal(kind[k], mm->counter[k]);
	c->tables += mm->table.nr_pages;
}

/* The MMU holds a translation exactly where the entry is young, and no more than it grants. */
static void check_translations(struct mm *mm)
{
	vaddr_t addr;

	for (addr = ARENA; addr < ARENA_END; addr += PAGE_SIZE) {
		struct translation *t = &soft_space(mm)->at[(addr - ARENA) >> PAGE_SHIFT];
		pte_t *pte = table_find(&mm->table, addr);

		if (t->installed) {
			assert_true(pte && pte_young(*pte));
			assert_int_equal(t->pfn, pte_pfn(*pte));
			assert_true(!t->writable || (*pte & PTE_WRITE));
			assert_int_equal(t->prot, vma_at(mm, addr)->flags & VM_ACCESS);
		} else if (pte && pte_young(*pte) && !soft_space(mm)->forked &&
			   !world_of_mm(mm)->refused) {
			fail_msg("page %llu is young and not installed: entry %llx",
				 (unsigned long long)((addr - ARENA) >> PAGE_SHIFT),
				 (unsigned long long)*pte);
		}
	}
}

static void count_mapping(struct recount *c, struct mapping *map)
{
	u64 index = 0, users = 0;
	struct vma *vma;
	void *value;

	for (; (value = radix_next(&map->pages, &index)); index++) {
		if (!radix_is_shadow(value)) {
			census_of(c, value)->cached++;
			assert_ptr_equal(((struct page *)value)->mapping, map);
			assert_int_equal(((struct page *)value)->index, index);
		} else if (map->kind == MAPPING_SHMEM) {
			count_slot(c, radix_shadow_stamp(value));
		}
	}
	list_for_each_entry(vma, &map->areas, struct vma, mapping_link) {
		assert_ptr_equal(vma->mapping, map);
		users++;
	}
	assert_true(map->users >= users);
}

static void count_swap_cache(struct recount *c)
{
	struct swap *s = &c->w->m.swap;
	u64 slot = 0;
	void *value;

	for (; (value = radix_next(&s->cache, &slot)); slot++) {
		if (radix_is_shadow(value)) {
			c->shadows++;
			assert_true(swap_count(s, slot) > 0);
			continue;
		}
		census_of(c, value)->swapcached++;
		count_slot(c, slot);
		assert_true(page_test(value, PG_swapcache));
		assert_int_equal(((struct page *)value)->private, slot);
	}
}

static void count_lists(struct recount *c)
{
	struct lruvec *lru = &c->w->m.phys.nodes[0]->lruvec;
	int l;

	for (l = 0; l < NR_LRU_LISTS; l++) {
		struct page *page;
		u64 nr = 0;

		list_for_each_entry(page, &lru->lists[l], struct page, lru) {
			assert_int_equal(page_lru_list(page), l);
			census_of(c, page)->listed++;
			nr++;
		}
		assert_int_equal(nr, lru->nr[l]);
	}
}

static enum rmap_step count_entry(void *ctx, const struct rmap_entry *e)
{
	(void)e;
	(*(u32 *)ctx)++;
	return RMAP_NEXT;
}

/* A frame that anybody uses: its counts, its list, and the way back to its entries. */
static void check_frame(struct recount *c, struct page *page, const struct census *f)
{
	u32 found = 0;

	assert_int_equal(page->mapcount, f->entries);
	assert_int_equal(page->refcount, f->entries + f->cached + f->swapcached);
	assert_int_equal(page_test(page, PG_swapcache), f->swapcached);
	assert_int_equal(f->listed, 1);
	assert_true(page_test(page, PG_lru));
	assert_true(f->cached + f->swapcached <= 1);
	assert_true(!f->cached || !page_is_anon(page));
	rmap_walk(&c->w->m, page, count_entry, &found);
	assert_int_equal(found, f->entries);
}

static void check_frames(struct recount *c)
{
	struct machine *m = &c->w->m;
	const struct vm_stat *stat = &m->phys.stat;
	u64 anon = 0, file = 0, cached = 0, swapcached = 0, user = 0, chunks = 0, pfn, i;

	for (pfn = 0; pfn < c->w->ram_pages; pfn++) {
		struct census *f = &c->frame[pfn];
		struct page *page = pfn_to_page(&m->phys, pfn);

		if (!f->entries && !f->cached && !f->swapcached) {
			assert_int_equal(f->listed, 0);
			continue;
		}
		check_frame(c, page, f);
		user++;
		anon += f->entries && page_is_anon(page);
		file += f->entries && !page_is_anon(page);
		cached += f->cached;
		swapcached += f->swapcached;
	}
	assert_int_equal(stat_read(stat, NR_ANON_MAPPED), anon);
	assert_int_equal(stat_read(stat, NR_FILE_MAPPED), file);
	assert_int_equal(stat_read(stat, NR_SWAPCACHE), swapcached);
	assert_int_equal(stat_read(stat, NR_FILE_PAGES), cached + swapcached);
	assert_int_equal(stat_read(stat, NR_PAGETABLE), c->tables);
	for (i = 0; m->swap.count && i * 2048 < m->swap.nr_slots; i++)
		chunks += m->swap.count[i] != NULL;
	/* every frame that was handed out is accounted for */
	assert_int_equal(world_frames(c->w), c->w->base_pages + user + c->tables + chunks);
}

static void check_slots(struct recount *c)
{
	struct swap *s = &c->w->m.swap;
	u64 slot, used = 0;

	for (slot = 1; slot < s->nr_slots; slot++) {
		u32 believed = s->count[slot / 2048] ? swap_count(s, slot) : 0;

		assert_int_equal(believed, c->slot_users[slot]);
		used += believed != 0;
	}
	assert_int_equal(s->used, used);
}

u64 world_frames(struct world *w)
{
	struct phys *p = &w->m.phys;

	return p->total_pages - nr_free_pages(p) -
	       (stat_read(&p->stat, NR_SLAB_RECLAIMABLE) +
		stat_read(&p->stat, NR_SLAB_UNRECLAIMABLE));
}

void world_check(struct world *w)
{
	struct recount c = { .w = w };
	struct mapping *map;
	struct mm *mm;

	machine_check(&w->m);
	c.frame = calloc(w->ram_pages, sizeof(*c.frame));
	c.slot_users = calloc(w->m.swap.nr_slots + 1, sizeof(*c.slot_users));
	list_for_each_entry(mm, &w->m.mms, struct mm, all) {
		count_space(&c, mm);
		check_translations(mm);
	}
	list_for_each_entry(map, &w->m.mappings, struct mapping, link)
		count_mapping(&c, map);
	count_swap_cache(&c);
	count_lists(&c);
	check_frames(&c);
	check_slots(&c);
	free(c.frame);
	free(c.slot_users);
}
