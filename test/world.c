/*
 * world.c - machine, MMU and devices for tests.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "base/errno.h"
#include "kmem/slab.h"
#include "phys/zone.h"
#include "store/state.h"

/* An invariant that does not hold fails the test, not the program. */
void quire_panic(const char *file, int line, const char *what)
{
	fail_msg("panic at %s:%d: %s", file, line, what);
	abort();
}

/* --- devices --- */

static struct test_device *test_device(struct device *dev)
{
	return container_of(dev, struct test_device, dev);
}

static bool fails(struct failing *f)
{
	if (!f->nth || --f->nth)
		return false;
	f->nth = f->interval;
	f->failed++;
	return true;
}

static s64 transfer(struct test_device *d, u64 offset, const struct device_vec *vec,
		    unsigned int nr, bool out)
{
	struct failing *f = out ? &d->write : &d->read;
	unsigned int i;
	s64 done = 0;

	assert_true(nr > 0);
	if (fails(f)) {
		if (f->error)
			return -f->error;
		nr /= 2; /* a short transfer */
	}
	for (i = 0; i < nr; i++) {
		u64 part = offset < d->size ? min_u64(vec[i].len, d->size - offset) : 0;

		if (out && part < vec[i].len)
			return done ? done : -ENOSPC;
		if (out)
			memcpy(d->bytes + offset, vec[i].base, part);
		else
			memcpy(vec[i].base, d->bytes + offset, part);
		offset += part;
		done += (s64)part;
	}
	return done;
}

static s64 device_read(struct device *dev, u64 offset, const struct device_vec *vec,
		       unsigned int nr)
{
	struct test_device *d = test_device(dev);

	d->reads++;
	d->pages_read += nr;
	return transfer(d, offset, vec, nr, false);
}

static s64 device_write(struct device *dev, u64 offset, const struct device_vec *vec,
			unsigned int nr)
{
	struct test_device *d = test_device(dev);

	d->writes++;
	d->pages_written += nr;
	return transfer(d, offset, vec, nr, true);
}

static u64 device_size(struct device *dev)
{
	return test_device(dev)->size;
}

/* The bytes stay until test_device_init() or the end of the test: a file can be opened again. */
static void device_close(struct device *dev)
{
	test_device(dev)->closed = true;
}

static const struct device_ops device_ops = { device_read, device_write, device_size,
					      device_close };

void test_device_init(struct test_device *d, u64 size)
{
	*d = (struct test_device){ .dev = { &device_ops }, .size = size };
	d->bytes = calloc(1, align_up(size, PAGE_SIZE));
	assert_non_null(d->bytes);
}

struct mapping *world_file(struct world *w, struct test_device *d, u64 ino)
{
	struct file_id id = { .dev = 1, .ino = ino, .size = d->size };

	d->closed = false;
	return mapping_open(&w->m, &id, &d->dev, "test");
}

/* --- the MMU --- */

static struct translation *translation(struct mm *mm, vaddr_t addr)
{
	assert_true(addr >= ARENA && addr < ARENA_END);
	return &soft_space(mm)->at[(addr - ARENA) >> PAGE_SHIFT];
}

static int soft_install(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	struct soft_space *s = soft_space(mm);
	struct world *w = world_of_mm(mm);

	assert_true(start < end && start >= vma->start && end <= vma->end);
	if (w->no_room && --w->no_room + 1) {
		w->refused = true;
		/* as the host does: nothing is translated there any more */
		for (; start < end && !s->newborn; start += PAGE_SIZE)
			translation(mm, start)->installed = false;
		return -ENOMEM;
	}
	for (; start < end; start += PAGE_SIZE) {
		struct translation *t = translation(mm, start);
		pte_t *pte = table_find(&mm->table, start);

		assert_true(pte && pte_young(*pte));
		assert_true(!(*pte & PTE_WRITE) || (vma->flags & VM_WRITE));
		if (s->newborn && t->installed)
			assert_int_equal(t->pfn, pte_pfn(*pte));
		*t = (struct translation){ .pfn = (u32)pte_pfn(*pte),
					   .prot = vma->flags & VM_ACCESS,
					   .installed = true,
					   .writable = *pte & PTE_WRITE };
		w->installs++;
	}
	return 0;
}

static bool soft_can_replace(struct mm *mm)
{
	struct soft_space *s = soft_space(mm);

	return s && !s->newborn;
}

static void soft_write_protect(struct mm *mm, vaddr_t start, vaddr_t end)
{
	for (; start < end; start += PAGE_SIZE)
		translation(mm, start)->writable = false;
}

static void forget(struct mm *mm, vaddr_t start, vaddr_t end)
{
	vaddr_t at = max_u64(start, ARENA), stop = min_u64(end, ARENA_END);

	for (; at < stop; at += PAGE_SIZE) {
		world_of_mm(mm)->invalidations += translation(mm, at)->installed;
		translation(mm, at)->installed = false;
	}
}

static void soft_invalidate(const struct mmu_range *ranges, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!soft_space(ranges[i].mm))
			continue;
		/* a newborn may only go as a whole, when it ends */
		if (soft_space(ranges[i].mm)->newborn)
			fail_msg("a translation is taken away from a space just forked");
		forget(ranges[i].mm, ranges[i].start, ranges[i].end);
	}
}

static int soft_area_changed(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end)
{
	assert_true(vma->start <= start && end <= vma->end);
	for (; start < end; start += PAGE_SIZE) {
		struct translation *t = translation(mm, start);

		t->installed &= t->prot == (vma->flags & VM_ACCESS);
	}
	return 0;
}

static void soft_area_removed(struct mm *mm, vaddr_t start, vaddr_t end)
{
	vaddr_t at;

	for (at = max_u64(start, ARENA); at < min_u64(end, ARENA_END); at += PAGE_SIZE)
		assert_false(translation(mm, at)->installed);
}

static const struct mmu_ops soft_ops = {
	.install = soft_install,
	.can_replace = soft_can_replace,
	.write_protect = soft_write_protect,
	.invalidate = soft_invalidate,
	.area_changed = soft_area_changed,
	.area_removed = soft_area_removed,
};

/* --- spaces --- */

static void adopt_space(struct mm *mm, bool newborn)
{
	struct soft_space *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->newborn = s->forked = newborn;
	mm->backend = s;
}

struct mm *world_space(struct world *w)
{
	struct mm *mm = mm_create(&w->m);

	if (!mm)
		return NULL;
	mm->mmap_low = ARENA;
	mm->mmap_base = ARENA_END;
	adopt_space(mm, false);
	return mm;
}

void world_forked(struct mm *parent, struct mm *child)
{
	adopt_space(child, true);
	memcpy(soft_space(child)->at, soft_space(parent)->at, sizeof(soft_space(child)->at));
	for (struct vma *vma = vma_first(parent); vma; vma = vma_next(vma))
		if (vma->flags & (VM_DONTCOPY | VM_WIPEONFORK))
			for (vaddr_t at = vma->start; at < vma->end; at += PAGE_SIZE)
				assert_false(translation(child, at)->installed);
}

void world_adopt(struct mm *mm)
{
	soft_space(mm)->newborn = false;
}

void world_exit(struct mm *mm)
{
	struct soft_space *s = soft_space(mm);

	s->newborn = false;
	mm_destroy(mm);
	free(s);
}

static void *translated(struct mm *mm, vaddr_t addr, enum access access)
{
	struct translation *t = translation(mm, addr);

	if (!t->installed || (access == ACCESS_WRITE && !t->writable))
		return NULL;
	return (u8 *)pfn_to_virt(&mm->machine->phys, t->pfn) + (addr & ~PAGE_MASK);
}

/* A few faults may be needed: FAULT_NO_ROOM asks for another try after some were evicted. */
static enum fault_result reach(struct mm *mm, vaddr_t addr, enum access access, void **at)
{
	enum fault_result r = FAULT_DONE;
	int tries;

	for (tries = 0; tries < 4; tries++) {
		*at = translated(mm, addr, access);
		if (*at)
			return FAULT_DONE;
		r = fault_handle(mm, addr, access);
		if (r != FAULT_DONE && r != FAULT_NO_ROOM)
			return r;
	}
	*at = translated(mm, addr, access);
	if (r == FAULT_DONE && !*at)
		fail_msg("the fault at arena+%llu was handled four times in vain",
			 (unsigned long long)((addr - ARENA) >> PAGE_SHIFT));
	return r;
}

static enum fault_result touch(struct mm *mm, vaddr_t addr, void *to, const void *from, size_t len)
{
	enum access access = from ? ACCESS_WRITE : ACCESS_READ;
	size_t done = 0;

	while (done < len) {
		size_t part = (size_t)min_u64(len - done, PAGE_SIZE - (addr & ~PAGE_MASK));
		enum fault_result r;
		void *at;

		r = reach(mm, addr, access, &at);
		if (r != FAULT_DONE)
			return r;
		if (from)
			memcpy(at, (const u8 *)from + done, part);
		else
			memcpy((u8 *)to + done, at, part);
		addr += part;
		done += part;
	}
	return FAULT_DONE;
}

enum fault_result world_read(struct mm *mm, vaddr_t addr, void *to, size_t len)
{
	return touch(mm, addr, to, NULL, len);
}

enum fault_result world_write(struct mm *mm, vaddr_t addr, const void *from, size_t len)
{
	return touch(mm, addr, NULL, from, len);
}

/* --- looking without touching --- */

static void peek_frame(struct machine *m, struct page *page, u8 *to)
{
	memcpy(to, page_address(&m->phys, page), PAGE_SIZE);
}

static void peek_slot(struct machine *m, u64 slot, u8 *to)
{
	struct world *w = m->owner;
	struct page *page = swap_cache_find(&m->swap, slot);
	u64 per_page = PAGE_SIZE / sizeof(u16);

	assert_true(swap_count(&m->swap, slot) > 0);
	if (page && page_test(page, PG_uptodate))
		peek_frame(m, page, to);
	else if (m->swap.count[slot / per_page][slot % per_page] & 0x8000)
		memset(to, 0, PAGE_SIZE);
	else
		memcpy(to, w->swap.bytes + (slot << PAGE_SHIFT), PAGE_SIZE);
}

static void peek_mapping(struct mapping *map, u64 index, u8 *to)
{
	void *value = radix_get(&map->pages, index);
	u64 at = index << PAGE_SHIFT;

	memset(to, 0, PAGE_SIZE);
	if (value && !radix_is_shadow(value) && page_test((struct page *)value, PG_uptodate))
		peek_frame(map->machine, value, to);
	else if (map->kind == MAPPING_SHMEM && value)
		peek_slot(map->machine, radix_shadow_stamp(value), to);
	else if (map->kind == MAPPING_FILE && at < test_device(map->dev)->size)
		memcpy(to, test_device(map->dev)->bytes + at,
		       min_u64(PAGE_SIZE, test_device(map->dev)->size - at));
}

void world_peek(struct mm *mm, vaddr_t addr, u8 page[PAGE_SIZE])
{
	struct machine *m = mm->machine;
	struct vma *vma = vma_at(mm, addr);
	pte_t *pte = table_find(&mm->table, addr);

	assert_non_null(vma);
	if (pte && pte_present(*pte))
		peek_frame(m, pfn_to_page(&m->phys, pte_pfn(*pte)), page);
	else if (pte && *pte)
		peek_slot(m, pte_slot(*pte), page);
	else if (vma->mapping)
		peek_mapping(vma->mapping, vma_index(vma, addr), page);
	else
		memset(page, 0, PAGE_SIZE);
}

/* --- life --- */

static void note_kill(struct mm *mm, const char *why)
{
	struct world *w = world_of_mm(mm);

	(void)why;
	w->kills++;
	w->last_killed = mm;
}

static void log_line(struct machine *m, const char *line)
{
	if (((struct world *)m->owner)->verbose)
		fprintf(stderr, "%s\n", line);
}

static const struct machine_ops machine_ops = { .kill = note_kill, .log = log_line };

void world_open(struct world *w, struct world_config config)
{
	struct machine_config mc = { .mmu = &soft_ops, .ops = &machine_ops, .owner = w };
	bool verbose = w->verbose;

	*w = (struct world){ .ram_pages = config.ram_pages, .verbose = verbose };
	w->ram = aligned_alloc(PAGE_SIZE, config.ram_pages * PAGE_SIZE);
	assert_non_null(w->ram);
	memset(w->ram, 0, config.ram_pages * PAGE_SIZE);
	mc.phys = (struct phys_config){ .ram = w->ram,
					.nr_pages = config.ram_pages,
					.min_free_kbytes = config.min_free_kbytes,
					.movable_pages = config.movable_pages };
	if (config.swap_pages) {
		test_device_init(&w->swap, config.swap_bytes ? config.swap_bytes
							     : config.swap_pages * PAGE_SIZE);
		mc.swap_dev = &w->swap.dev;
		mc.swap_pages = config.swap_pages;
	}
	assert_int_equal(machine_boot(&w->m, &mc), 0);
	w->base_pages = world_frames(w);
}

void world_close(struct world *w)
{
	world_check(w);
	machine_shutdown(&w->m);
	free(w->swap.bytes);
	free(w->ram);
}
