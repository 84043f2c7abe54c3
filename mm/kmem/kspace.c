/*
 * kspace.c - the regions of the kernel address space, and kmap (vmalloc.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/vmalloc.h"

#define MIB ((u64)1 << 20)
#define TIB ((u64)1 << 40)

static const struct kernel_range layouts[2][NR_KERNEL_REGIONS] = {
	[LAYOUT_64] = {
		{ "direct map", 0xffff888000000000, 0xffff888000000000 + 64 * TIB },
		{ "vmalloc", 0xffffc90000000000, 0xffffc90000000000 + 32 * TIB },
		{ "vmemmap", 0xffffea0000000000, 0xffffea0000000000 + 1 * TIB },
		{ "pkmap", 0, 0 },
		{ "fixmap", 0xffffffffff578000, 0xffffffffff600000 },
	},
	/* 8 MiB of nothing behind the direct map catch what runs over its end. */
	[LAYOUT_32] = {
		{ "direct map", 0xc0000000, 0xc0000000 + 896 * MIB },
		{ "vmalloc", 0xc0000000 + 904 * MIB, 0xff7fe000 },
		{ "vmemmap", 0, 0 },
		{ "pkmap", 0xff800000, 0xff800000 + PKMAP_SLOTS * PAGE_SIZE },
		{ "fixmap", 0xffd00000, 0xfffff000 },
	},
};

struct kspace *kspace_create(struct phys *phys)
{
	struct kspace *space = kzalloc(phys, sizeof(*space), GFP_KERNEL);

	if (!space)
		return NULL;
	space->phys = phys;
	memcpy(space->regions, layouts[phys->layout], sizeof(space->regions));
	/* The direct map ends where memory does. */
	space->regions[REGION_DIRECT].end =
		min_u64(space->regions[REGION_DIRECT].end,
			space->regions[REGION_DIRECT].start + (phys->max_pages << PAGE_SHIFT));
	lock_init(&space->lock, RANK_VMALLOC, phys->locks);
	space->local =
		kcalloc(phys, phys->nr_cpus * KMAP_LOCAL_SLOTS, sizeof(struct page *), GFP_KERNEL);
	space->local_depth = kcalloc(phys, phys->nr_cpus, 1, GFP_KERNEL);
	space->pkmap = kcalloc(phys, PKMAP_SLOTS, sizeof(struct pkmap_slot), GFP_KERNEL);
	if (space->local && space->local_depth && space->pkmap)
		return space;
	kspace_destroy(space);
	return NULL;
}

static void remember_first(void *arg, const struct vm_area *area)
{
	vaddr_t *first = arg;

	if (!*first)
		*first = area->start;
}

void kspace_destroy(struct kspace *space)
{
	vaddr_t first;

	if (!space)
		return;
	for (;;) {
		first = 0;
		vmalloc_for_each(space, remember_first, &first);
		if (!first)
			break;
		vfree(space, first);
	}
	kfree(space->phys, space->local);
	kfree(space->phys, space->local_depth);
	kfree(space->phys, space->pkmap);
	kfree(space->phys, space);
}

vaddr_t direct_address(const struct kspace *space, pfn_t pfn)
{
	const struct kernel_range *direct = &space->regions[REGION_DIRECT];
	vaddr_t addr = direct->start + (pfn << PAGE_SHIFT);

	return addr < direct->end ? addr : 0;
}

static void tell(struct kspace *space, vaddr_t addr, struct page *page)
{
	if (space->changed)
		space->changed(space->arg, addr, page);
}

static vaddr_t slot_address(const struct kspace *space, unsigned slot)
{
	return space->regions[REGION_PKMAP].start + slot * PAGE_SIZE;
}

/* The slot of a page; or, with NULL, one without users. PKMAP_SLOTS: none. */
static unsigned find_slot(const struct kspace *space, const struct page *page)
{
	unsigned i, slot;

	for (i = 0; i < PKMAP_SLOTS; i++) {
		slot = (space->pkmap_next + i) % PKMAP_SLOTS;
		if (page ? space->pkmap[slot].page == page : !space->pkmap[slot].users)
			return slot;
	}
	return PKMAP_SLOTS;
}

static vaddr_t kmap_high(struct kspace *space, struct page *page)
{
	unsigned slot;
	vaddr_t addr = 0;

	lock_take(&space->lock);
	slot = find_slot(space, page);
	if (slot == PKMAP_SLOTS) {
		slot = find_slot(space, NULL);
		if (slot < PKMAP_SLOTS) {
			space->pkmap[slot].page = page;
			space->pkmap_next = slot + 1;
			tell(space, slot_address(space, slot), page);
		}
	}
	if (slot < PKMAP_SLOTS) {
		space->pkmap[slot].users++;
		addr = slot_address(space, slot);
	}
	lock_give(&space->lock);
	return addr;
}

vaddr_t kmap(struct kspace *space, struct page *page)
{
	vaddr_t addr = direct_address(space, page_to_pfn(space->phys, page));

	return addr ? addr : kmap_high(space, page);
}

void kunmap(struct kspace *space, struct page *page)
{
	unsigned slot;

	if (direct_address(space, page_to_pfn(space->phys, page)))
		return;
	lock_take(&space->lock);
	slot = find_slot(space, page);
	require(slot < PKMAP_SLOTS && space->pkmap[slot].users);
	space->pkmap[slot].users--;
	lock_give(&space->lock);
}

/* Slots of a CPU lie at the top of the fixmap, the first CPU's highest. */
static vaddr_t local_address(const struct kspace *space, unsigned index)
{
	return space->regions[REGION_FIXMAP].end - (index + 1) * PAGE_SIZE;
}

vaddr_t kmap_local_page(struct kspace *space, struct page *page)
{
	unsigned cpu = phys_this_cpu(space->phys), index;
	vaddr_t addr = direct_address(space, page_to_pfn(space->phys, page));

	if (addr)
		return addr;
	require(space->local_depth[cpu] < KMAP_LOCAL_SLOTS);
	index = cpu * KMAP_LOCAL_SLOTS + space->local_depth[cpu]++;
	space->local[index] = page;
	tell(space, local_address(space, index), page);
	return local_address(space, index);
}

void kunmap_local(struct kspace *space, vaddr_t addr)
{
	unsigned cpu = phys_this_cpu(space->phys), index;

	if (addr < space->regions[REGION_FIXMAP].start)
		return;
	require(space->local_depth[cpu]);
	index = cpu * KMAP_LOCAL_SLOTS + --space->local_depth[cpu];
	require(addr == local_address(space, index));
	space->local[index] = NULL;
	tell(space, addr, NULL);
}

static struct page *fixmap_page(const struct kspace *space, vaddr_t addr)
{
	u64 index = (space->regions[REGION_FIXMAP].end - 1 - addr) >> PAGE_SHIFT;

	return index < space->phys->nr_cpus * KMAP_LOCAL_SLOTS ? space->local[index] : NULL;
}

static bool in_region(const struct kspace *space, enum kernel_region region, vaddr_t addr)
{
	return addr >= space->regions[region].start && addr < space->regions[region].end;
}

void *kernel_to_ptr(struct kspace *space, vaddr_t addr)
{
	struct phys *phys = space->phys;
	struct page *page = NULL;
	pfn_t pfn;

	if (in_region(space, REGION_DIRECT, addr)) {
		pfn = (addr - space->regions[REGION_DIRECT].start) >> PAGE_SHIFT;
		return pfn_valid(phys, pfn) ? (u8 *)pfn_to_virt(phys, pfn) + addr % PAGE_SIZE
					    : NULL;
	}
	if (in_region(space, REGION_VMEMMAP, addr)) {
		pfn = (addr - space->regions[REGION_VMEMMAP].start) / sizeof(struct page);
		if (!pfn_valid(phys, pfn))
			return NULL;
		return (u8 *)pfn_to_page(phys, pfn) + addr % sizeof(struct page);
	}
	if (in_region(space, REGION_VMALLOC, addr))
		page = vmalloc_to_page(space, addr);
	else if (in_region(space, REGION_PKMAP, addr))
		page = space->pkmap[(addr - space->regions[REGION_PKMAP].start) >> PAGE_SHIFT].page;
	else if (in_region(space, REGION_FIXMAP, addr))
		page = fixmap_page(space, addr);
	return page ? (u8 *)page_address(phys, page) + addr % PAGE_SIZE : NULL;
}
