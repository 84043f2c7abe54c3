/*
 * migrate_test.c - pages of address spaces change their frames, and nobody notices.
 *
 * How     A machine whose back end is a table of what it translates: one frame number per page of
 *         each space. Reads and writes of the test go through it as a program's would: without a
 *         translation they fault. Each page's content is known, so that a page that was copied too
 *         early, named wrongly or written through an old translation shows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/errno.h"
#include "call/call.h"
#include "fault/fault.h"
#include "machine.h"
#include "move/migrate.h"
#include "phys/contig.h"
#include "phys/hotplug.h"
#include "reclaim/reclaim.h"
#include "space/mm.h"
#include "space/vma.h"
#include "store/device.h"
#include "store/mapping.h"
#include "table/mmu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#define MIB(n)	   ((u64)(n) << (20 - PAGE_SHIFT))
#define BASE	   0x10000000ull
#define PAGES	   4096
#define SPACES	   4
#define SWAP_PAGES 8192

void quire_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "panic: %s:%d: %s\n", file, line, what);
	abort();
}

/* What the back end translates for one space: frame + 1, 0 nothing; writable or not. */
struct space {
	struct mm *mm;
	u32 frame[PAGES];
	bool writable[PAGES];
	bool young_fork; /* nothing can be taken away */
};

static struct machine machine;
static struct space spaces[SPACES];
static void *ram;
static size_t ram_bytes;
static unsigned int nr_invalidate;

static struct space *space_of(struct mm *mm)
{
	return mm->backend;
}

static u64 page_at(vaddr_t addr)
{
	assert_true(addr >= BASE && addr < BASE + PAGES * PAGE_SIZE);
	return (addr - BASE) >> PAGE_SHIFT;
}

static int install(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	for (; start < end; start += PAGE_SIZE) {
		pte_t *pte = table_find(&mm->table, start);

		assert_true(pte_young(*pte));
		space_of(mm)->frame[page_at(start)] = (u32)pte_pfn(*pte) + 1;
		space_of(mm)->writable[page_at(start)] = *pte & PTE_WRITE;
	}
	return 0;
}

static bool can_replace(struct mm *mm)
{
	return mm->backend && !space_of(mm)->young_fork;
}

static void write_protect(struct mm *mm, vaddr_t start, vaddr_t end)
{
	for (; start < end; start += PAGE_SIZE)
		space_of(mm)->writable[page_at(start)] = false;
}

static void invalidate(const struct mmu_range *ranges, unsigned int nr)
{
	vaddr_t at;

	for (nr_invalidate++; nr--; ranges++)
		for (at = ranges->start; at < ranges->end; at += PAGE_SIZE)
			space_of(ranges->mm)->frame[page_at(at)] = 0;
}

static int area_changed(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	return 0;
}

static void area_removed(struct mm *mm, vaddr_t start, vaddr_t end)
{
}

static const struct mmu_ops mmu = { install,	  can_replace,	write_protect, invalidate,
				    area_changed, area_removed, NULL };

/* --- a swap device in memory --- */

static u8 *disk;

static s64 disk_read(struct device *dev, u64 offset, const struct device_vec *vec, unsigned int nr)
{
	u64 at = offset;

	for (; nr--; at += vec++->len)
		memcpy(vec->base, disk + at, vec->len);
	return (s64)(at - offset);
}

static s64 disk_write(struct device *dev, u64 offset, const struct device_vec *vec, unsigned int nr)
{
	u64 at = offset;

	for (; nr--; at += vec++->len)
		memcpy(disk + at, vec->base, vec->len);
	return (s64)(at - offset);
}

static u64 disk_size(struct device *dev)
{
	return SWAP_PAGES * PAGE_SIZE;
}

static void disk_close(struct device *dev)
{
}

static const struct device_ops disk_ops = { disk_read, disk_write, disk_size, disk_close };
static struct device disk_device = { &disk_ops };

/* --- the machine and its programs --- */

static void boot(struct phys_config config)
{
	struct machine_config mc = { .mmu = &mmu, .swap_dev = &disk_device };

	ram_bytes = max_u64(config.nr_pages, config.max_pages) << PAGE_SHIFT;
	ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	disk = calloc(SWAP_PAGES, PAGE_SIZE);
	assert_true(ram != MAP_FAILED && disk);
	config.ram = ram;
	mc.phys = config;
	mc.swap_pages = SWAP_PAGES;
	assert_int_equal(machine_boot(&machine, &mc), 0);
	memset(spaces, 0, sizeof(spaces));
	nr_invalidate = 0;
}

static void adopt(struct space *s, struct mm *mm)
{
	assert_non_null(mm);
	s->mm = mm;
	mm->backend = s;
}

static void end(void)
{
	unsigned int i;

	machine_check(&machine);
	for (i = 0; i < SPACES; i++)
		mm_destroy(spaces[i].mm);
	machine_shutdown(&machine);
	munmap(ram, ram_bytes);
	free(disk);
}

static void map_at(struct space *s, u64 page, u64 nr, u32 flags)
{
	struct map_request req = { .addr = BASE + page * PAGE_SIZE,
				   .len = nr * PAGE_SIZE,
				   .prot = CALL_PROT_READ | CALL_PROT_WRITE,
				   .flags = flags | CALL_MAP_FIXED | CALL_MAP_ANONYMOUS };

	if (flags & CALL_MAP_SHARED)
		req.mapping = mapping_create_shmem(&machine, req.len);
	assert_int_equal(call_mmap(s->mm, &req), req.addr);
	if (req.mapping)
		mapping_put(req.mapping);
}

/* The word at the start of a page, as a program reaches it. */
static u64 *reach(struct space *s, u64 page, enum access access)
{
	while (!s->frame[page] || (access == ACCESS_WRITE && !s->writable[page]))
		assert_int_equal(fault_handle(s->mm, BASE + page * PAGE_SIZE, access), FAULT_DONE);
	return pfn_to_virt(&machine.phys, s->frame[page] - 1);
}

static void put(struct space *s, u64 page, u64 value)
{
	u64 *word = reach(s, page, ACCESS_WRITE);

	word[0] = value;
	word[511] = ~value;
}

static u64 get(struct space *s, u64 page)
{
	u64 *word = reach(s, page, ACCESS_READ);

	assert_int_equal(word[511], word[0] ? ~word[0] : word[511]);
	return word[0];
}

static struct page *page_of(struct space *s, u64 page)
{
	pte_t *pte = table_find(&s->mm->table, BASE + page * PAGE_SIZE);

	return pfn_to_page(&machine.phys, pte_pfn(*pte));
}

/* Moves one page to a frame somewhere else. */
static int move_one(struct page *page)
{
	struct page *to = alloc_page(&machine.phys, GFP_HIGHUSER_MOVABLE);
	int err;

	assert_non_null(to);
	err = migrate_page(&machine, page, to);
	if (err)
		__free_page(&machine.phys, to);
	return err;
}

/* --- tests --- */

static void a_private_page_moves(void **state)
{
	struct page *before;
	pte_t bits;

	boot((struct phys_config){ .nr_pages = MIB(32) });
	adopt(&spaces[0], mm_create(&machine));
	map_at(&spaces[0], 0, 64, CALL_MAP_PRIVATE);
	put(&spaces[0], 5, 77);
	before = page_of(&spaces[0], 5);
	bits = *table_find(&spaces[0].mm->table, BASE + 5 * PAGE_SIZE);
	assert_int_equal(move_one(before), 0);
	assert_ptr_not_equal(page_of(&spaces[0], 5), before);
	assert_null(movable_page(&machine.phys, page_to_pfn(&machine.phys, before)));
	/* The back end has let go; the entry keeps everything but its frame and its youth. */
	assert_int_equal(spaces[0].frame[5], 0);
	assert_int_equal((*table_find(&spaces[0].mm->table, BASE + 5 * PAGE_SIZE) ^ bits) &
				 ~PTE_PFN_MASK,
			 PTE_ACCESSED);
	assert_int_equal(get(&spaces[0], 5), 77);
	put(&spaces[0], 5, 78);
	assert_int_equal(get(&spaces[0], 5), 78);
	end();
}

static void what_is_in_use_stays(void **state)
{
	struct page *page;

	boot((struct phys_config){ .nr_pages = MIB(32) });
	adopt(&spaces[0], mm_create(&machine));
	map_at(&spaces[0], 0, 64, CALL_MAP_PRIVATE);
	put(&spaces[0], 0, 1);
	page = page_of(&spaces[0], 0);
	get_page(page);
	assert_int_equal(move_one(page), -EAGAIN);
	page->refcount--;
	page_set(page, PG_pinned);
	assert_int_equal(move_one(page), -EBUSY);
	page_clear(page, PG_pinned);
	spaces[0].young_fork = true;
	assert_int_equal(move_one(page), -EAGAIN);
	spaces[0].young_fork = false;
	/* A page of nobody's address space: the machine's own. */
	page = alloc_page(&machine.phys, GFP_KERNEL);
	assert_int_equal(move_one(page), -EBUSY);
	__free_page(&machine.phys, page);
	assert_ptr_not_equal(spaces[0].frame[0], 0); /* what stays was not unmapped */
	assert_int_equal(move_one(page_of(&spaces[0], 0)), 0);
	assert_int_equal(get(&spaces[0], 0), 1);
	end();
}

static void shared_pages_move_for_all(void **state)
{
	boot((struct phys_config){ .nr_pages = MIB(32) });
	adopt(&spaces[0], mm_create(&machine));
	map_at(&spaces[0], 0, 16, CALL_MAP_PRIVATE);
	map_at(&spaces[0], 16, 16, CALL_MAP_SHARED);
	put(&spaces[0], 3, 30);
	put(&spaces[0], 20, 40);
	adopt(&spaces[1], call_fork(spaces[0].mm));
	assert_int_equal(get(&spaces[1], 3), 30);
	assert_int_equal(get(&spaces[1], 20), 40);
	assert_int_equal(page_of(&spaces[0], 3)->mapcount, 2);
	assert_int_equal(move_one(page_of(&spaces[0], 3)), 0);
	assert_int_equal(move_one(page_of(&spaces[0], 20)), 0);
	assert_ptr_equal(page_of(&spaces[0], 3), page_of(&spaces[1], 3));
	put(&spaces[0], 20, 41);
	assert_int_equal(get(&spaces[1], 20), 41);
	put(&spaces[1], 3, 31); /* copy on write is as before */
	assert_int_equal(get(&spaces[0], 3), 30);
	assert_int_equal(get(&spaces[1], 3), 31);
	end();
}

static void cached_pages_move(void **state)
{
	struct mapping *map;
	struct page *page;
	u64 i;

	boot((struct phys_config){ .nr_pages = MIB(32) });
	adopt(&spaces[0], mm_create(&machine));
	map_at(&spaces[0], 0, 256, CALL_MAP_PRIVATE);
	map_at(&spaces[0], 256, 4, CALL_MAP_SHARED);
	for (i = 0; i < 256; i++)
		put(&spaces[0], i, i + 1);
	put(&spaces[0], 256, 999);
	map = vma_at(spaces[0].mm, BASE + 256 * PAGE_SIZE)->mapping;
	page = mapping_find(map, 0);
	assert_int_equal(move_one(page), 0);
	assert_ptr_equal(mapping_find(map, 0), page_of(&spaces[0], 256));
	/* Swapped out, and read again: the page and its slot stay together. */
	for (i = 0; i < 64; i++)
		(void)reclaim_pages(&machine, 300);
	assert_true(machine.swap.used > 100);
	for (i = 0; i < 256; i++)
		assert_int_equal(get(&spaces[0], i), i + 1);
	for (i = 0; i < 256; i++) {
		page = page_of(&spaces[0], i);
		if (page_test(page, PG_swapcache))
			break;
	}
	assert_in_range(i, 0, 255);
	assert_int_equal(move_one(page), 0);
	assert_ptr_equal(swap_cache_find(&machine.swap, page_of(&spaces[0], i)->private),
			 page_of(&spaces[0], i));
	assert_int_equal(get(&spaces[0], i), i + 1);
	assert_int_equal(get(&spaces[0], 256), 999);
	end();
}

/* Every second page of a large area is given back, so that nothing large is free. */
static void fragment(u64 pages)
{
	u64 i;

	adopt(&spaces[0], mm_create(&machine));
	map_at(&spaces[0], 0, pages, CALL_MAP_PRIVATE);
	machine.knobs.fault_zero_pages = 1;
	for (i = 0; i < pages; i++)
		put(&spaces[0], i, i + 1000);
	for (i = 0; i < pages; i += 2)
		assert_int_equal(call_madvise(spaces[0].mm, BASE + i * PAGE_SIZE, PAGE_SIZE, 4), 0);
}

static void expect_pattern(u64 pages)
{
	u64 i;

	for (i = 1; i < pages; i += 2)
		assert_int_equal(get(&spaces[0], i), i + 1000);
	machine_check(&machine);
}

static void compaction_moves_programs(void **state)
{
	struct zone *zone;
	unsigned int before;

	boot((struct phys_config){ .nr_pages = MIB(32) });
	fragment(4000);
	drain_all_pages(&machine.phys);
	zone = &machine.phys.nodes[0]->zones[ZONE_DMA32];
	before = unusable_free_index(zone, 9);
	nr_invalidate = 0;
	compact_all(&machine.phys);
	assert_true(unusable_free_index(zone, 9) + 100 < before);
	assert_true(machine.phys.stat.v[PGMIGRATE_SUCCESS] > 300);
	/* In batches: far fewer requests to the back end than pages. */
	assert_true(nr_invalidate * 16 < machine.phys.stat.v[PGMIGRATE_SUCCESS]);
	expect_pattern(4000);
	end();
}

static void kcompactd_works_in_steps(void **state)
{
	struct node *node;
	unsigned int steps = 0;

	boot((struct phys_config){ .nr_pages = MIB(32) });
	fragment(4096);
	drain_all_pages(&machine.phys);
	node = machine.phys.nodes[0];
	assert_false(kcompactd_step(&machine) && !compact_is_worthwhile(node));
	node->kcompactd_order = 9;
	node->kcompactd_wanted = 1;
	while (kcompactd_step(&machine))
		assert_true(++steps < 100 && node->kcompactd_wanted);
	assert_true(machine.phys.stat.v[KCOMPACTD_WAKE] > 0);
	expect_pattern(4096);
	end();
}

static void ranges_are_cleared_under_a_program(void **state)
{
	pfn_t pfn, start = PFN_NONE;
	u64 used = 0;

	boot((struct phys_config){ .nr_pages = MIB(64) });
	fragment(4096);
	/* A range that the program has pages in. */
	for (pfn = MIB(16); pfn < MIB(60) && used < 100; pfn += 512) {
		u64 i;

		start = pfn;
		for (used = 0, i = 0; i < 512; i++)
			used += movable_page(&machine.phys, pfn + i) != NULL;
	}
	assert_true(used >= 100);
	assert_int_equal(alloc_contig_range(&machine.phys, start, start + 512), 0);
	memset(pfn_to_virt(&machine.phys, start), 0xee, 512 * PAGE_SIZE);
	expect_pattern(4096);
	free_contig_range(&machine.phys, start, 512);
	end();
}

static void memory_goes_offline_under_a_program(void **state)
{
	u64 total, i;

	boot((struct phys_config){ .nr_pages = MIB(32), .max_pages = MIB(64) });
	total = machine.phys.total_pages;
	assert_int_equal(memory_add(&machine.phys, MIB(32), MIB(32), 0, ONLINE_MOVABLE), 0);
	assert_int_equal(memory_online(&machine.phys, MIB(32), MIB(32)), 0);
	fragment(4096);
	for (i = 1; i < 4096 && page_zonenum(page_of(&spaces[0], i)) != ZONE_MOVABLE; i += 2)
		;
	assert_true(i < 4096); /* it has pages there */
	assert_int_equal(memory_offline(&machine.phys, MIB(32), MIB(32)), 0);
	assert_int_equal(machine.phys.total_pages, total);
	assert_int_equal(memory_remove(&machine.phys, MIB(32), MIB(32)), 0);
	memset((u8 *)ram + (MIB(32) << PAGE_SHIFT), 0xee, MIB(32) << PAGE_SHIFT);
	expect_pattern(4096);
	end();
}

static void memory_changes_its_zone(void **state)
{
	boot((struct phys_config){ .nr_pages = MIB(64) });
	fragment(4096);
	/* In the middle: tables of the boot lie at the top. */
	assert_int_equal(machine_unmovable(&machine, MIB(32), MIB(16)), PFN_NONE);
	assert_int_not_equal(machine_unmovable(&machine, 0, MIB(64)), PFN_NONE);
	assert_int_equal(machine_offline(&machine, MIB(48), MIB(16)), -EBUSY);
	assert_int_equal(machine_offline(&machine, MIB(32), MIB(16)), 0);
	assert_int_equal(machine_online(&machine, MIB(32), MIB(16), ONLINE_MOVABLE), 0);
	assert_int_equal(pfn_zone(&machine.phys, MIB(32))->type, ZONE_MOVABLE);
	expect_pattern(4096);
	assert_int_equal(machine_offline(&machine, MIB(32), MIB(16)), 0);
	assert_int_equal(machine_online(&machine, MIB(32), MIB(16), ONLINE_KERNEL), 0);
	assert_int_equal(pfn_zone(&machine.phys, MIB(32))->type, ZONE_DMA32);
	expect_pattern(4096);
	end();
}

static void pinned_pages_leave_the_movable_zone(void **state)
{
	struct page *page;

	boot((struct phys_config){ .nr_pages = MIB(32), .max_pages = MIB(64) });
	assert_int_equal(memory_add(&machine.phys, MIB(32), MIB(32), 0, ONLINE_MOVABLE), 0);
	assert_int_equal(memory_online(&machine.phys, MIB(32), MIB(32)), 0);
	adopt(&spaces[0], mm_create(&machine));
	map_at(&spaces[0], 0, 16, CALL_MAP_PRIVATE);
	put(&spaces[0], 0, 5);
	page = page_of(&spaces[0], 0);
	assert_int_equal(page_zonenum(page), ZONE_MOVABLE);
	assert_true(migrate_for_pin(&machine, page));
	page = page_of(&spaces[0], 0);
	assert_int_not_equal(page_zonenum(page), ZONE_MOVABLE);
	assert_false(migrate_for_pin(&machine, page));
	assert_int_equal(get(&spaces[0], 0), 5);
	assert_int_equal(memory_offline(&machine.phys, MIB(32), MIB(32)), 0);
	end();
}

/* --- random histories against a naive model --- */

struct model {
	u64 value[SPACES][64];
	u64 state;
};

static u64 next_random(struct model *m)
{
	m->state ^= m->state << 13;
	m->state ^= m->state >> 7;
	m->state ^= m->state << 17;
	return m->state;
}

static void random_fork(struct model *m)
{
	unsigned int to = (unsigned int)(next_random(m) % (SPACES - 1)) + 1;
	unsigned int from = (unsigned int)(next_random(m) % SPACES), i;

	if (from == to || !spaces[from].mm)
		return;
	mm_destroy(spaces[to].mm);
	memset(&spaces[to], 0, sizeof(spaces[to]));
	adopt(&spaces[to], call_fork(spaces[from].mm));
	memcpy(m->value[to], m->value[from], sizeof(m->value[to]));
	/* The last 16 pages are shared memory: one value for all. */
	for (i = 48; i < 64; i++)
		assert_int_equal(get(&spaces[to], i), m->value[0][i]);
}

static void random_write(struct model *m, unsigned int s, u64 page)
{
	u64 value = next_random(m) | 1;
	unsigned int i;

	put(&spaces[s], page, value);
	m->value[s][page] = value;
	for (i = 0; page >= 48 && i < SPACES; i++)
		m->value[i][page] = value;
}

static void random_history(void **state)
{
	struct model m = { .state = 88172645463325252ull };
	unsigned int step;
	u64 moved = 0;

	boot((struct phys_config){ .nr_pages = MIB(16) });
	adopt(&spaces[0], mm_create(&machine));
	map_at(&spaces[0], 0, 48, CALL_MAP_PRIVATE);
	map_at(&spaces[0], 48, 16, CALL_MAP_SHARED);
	for (step = 0; step < 40000; step++) {
		unsigned int s = (unsigned int)(next_random(&m) % SPACES);
		u64 page = next_random(&m) % 64, what = next_random(&m) % 100;
		pte_t *pte;

		if (!spaces[s].mm)
			s = 0;
		pte = table_find(&spaces[s].mm->table, BASE + page * PAGE_SIZE);
		if (what < 30)
			random_write(&m, s, page);
		else if (what < 60)
			assert_int_equal(get(&spaces[s], page), m.value[s][page]);
		else if (what < 95 && pte && pte_present(*pte))
			moved += move_one(page_of(&spaces[s], page)) == 0;
		else if (what == 96)
			(void)reclaim_pages(&machine, 32);
		else if (what == 97)
			random_fork(&m);
		if (step % 1000 == 0)
			machine_check(&machine);
	}
	assert_true(moved > 5000);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_private_page_moves),
		cmocka_unit_test(what_is_in_use_stays),
		cmocka_unit_test(shared_pages_move_for_all),
		cmocka_unit_test(cached_pages_move),
		cmocka_unit_test(compaction_moves_programs),
		cmocka_unit_test(kcompactd_works_in_steps),
		cmocka_unit_test(ranges_are_cleared_under_a_program),
		cmocka_unit_test(memory_goes_offline_under_a_program),
		cmocka_unit_test(memory_changes_its_zone),
		cmocka_unit_test(pinned_pages_leave_the_movable_zone),
		cmocka_unit_test(random_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
