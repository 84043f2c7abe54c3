/*
 * vmalloc_test.c - kernel addresses: areas and their guards, the regions of both layouts, kmap.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kmem/vmalloc.h"
#include "test/testram.h"

static struct testram t;
static struct kspace *space;

static void boot(u64 pages, enum memory_layout layout)
{
	testram_boot(&t, (struct phys_config){ .nr_pages = pages, .layout = layout });
	assert_int_equal(kmem_boot(&t.phys), 0);
	space = kspace_create(&t.phys);
	assert_non_null(space);
}

static void areas_with_guards(void **state)
{
	vaddr_t a, b, c, d;
	u64 i;

	boot(MIB(64), LAYOUT_64);
	a = vmalloc(space, 10 * PAGE_SIZE, GFP_KERNEL);
	b = vzalloc(space, 3 * PAGE_SIZE + 1, GFP_KERNEL);
	assert_int_equal(a, 0xffffc90000000000);
	/*  aaaaaaaaaa.bbbb.  */
	assert_int_equal(b, a + 11 * PAGE_SIZE);
	for (i = 0; i < 10; i++)
		*(u64 *)kernel_to_ptr(space, a + i * PAGE_SIZE) = i;
	assert_null(kernel_to_ptr(space, a + 10 * PAGE_SIZE));
	assert_null(kernel_to_ptr(space, b + 4 * PAGE_SIZE));
	assert_int_equal(*(u8 *)kernel_to_ptr(space, b + 4 * PAGE_SIZE - 1), 0);
	assert_int_equal(*(u64 *)kernel_to_ptr(space, a + 7 * PAGE_SIZE), 7);
	assert_int_equal(t.phys.stat.v[NR_VMALLOC], 14);
	/* The lowest gap that fits is used again. */
	c = vmalloc(space, PAGE_SIZE, GFP_KERNEL);
	vfree(space, a);
	d = vmalloc(space, 4 * PAGE_SIZE, GFP_KERNEL);
	assert_int_equal(d, a);
	a = vmalloc(space, 5 * PAGE_SIZE, GFP_KERNEL);
	assert_int_equal(a, d + 5 * PAGE_SIZE);
	vfree(space, a);
	a = vmalloc(space, 6 * PAGE_SIZE, GFP_KERNEL);
	assert_true(a > c);
	vfree(space, a);
	vfree(space, b);
	vfree(space, c);
	vfree(space, d);
	vfree(space, 0);
	assert_int_equal(t.phys.stat.v[NR_VMALLOC], 0);
	assert_int_equal(space->nr_areas, 0);
	EXPECT_PANIC(vfree(space, d));
	testram_end(&t);
}

/* Against a byte per page. */
static void random_areas(void **state)
{
	static u8 used[4096];
	struct {
		vaddr_t addr;
		u64 pages;
	} held[100];
	unsigned nr = 0, step, seed = 5, i;

	boot(MIB(64), LAYOUT_64);
	memset(used, 0, sizeof(used));
	for (step = 0; step < 5000; step++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 31 && nr < 100) {
			u64 pages = (seed >> 8) % 12 + 1, at, run = 0;
			vaddr_t addr = vmalloc(space, pages * PAGE_SIZE, GFP_KERNEL);

			assert_int_not_equal(addr, 0);
			/* The model's lowest run of pages + 1. */
			for (at = 0; run < pages + 1; at++)
				run = used[at] ? 0 : run + 1;
			at -= pages + 1;
			assert_int_equal(addr, 0xffffc90000000000 + at * PAGE_SIZE);
			memset(used + at, 1, pages + 1);
			held[nr].addr = addr;
			held[nr++].pages = pages;
		} else if (nr) {
			i = (seed >> 4) % nr;
			vfree(space, held[i].addr);
			memset(used + (held[i].addr - 0xffffc90000000000) / PAGE_SIZE, 0,
			       held[i].pages + 1);
			held[i] = held[--nr];
		}
		assert_int_equal(rb_check(&space->areas), nr);
	}
	kspace_destroy(space);
	testram_end(&t);
}

static void failures_leave_nothing(void **state)
{
	u64 nth, before;
	vaddr_t addr;

	boot(MIB(64), LAYOUT_64);
	vfree(space, vmalloc(space, 100 * PAGE_SIZE, GFP_KERNEL));
	drain_all_pages(&t.phys);
	before = nr_free_pages(&t.phys);
	for (nth = 1;; nth++) {
		t.phys.fault = (struct phys_fault){ .nth = nth };
		addr = vmalloc(space, 100 * PAGE_SIZE, GFP_KERNEL);
		if (addr)
			break;
		assert_int_equal(nr_free_pages(&t.phys), before);
		assert_int_equal(space->nr_areas, 0);
	}
	assert_in_range(nth, 100, 110);
	t.phys.fault.nth = 0;
	vfree(space, addr);
	assert_int_equal(vmalloc(space, (u64)1 << 40, GFP_KERNEL), 0);
	assert_int_equal(vmalloc(space, 0, GFP_KERNEL), 0);
	testram_end(&t);
}

static void mapping_pages_of_the_caller(void **state)
{
	struct page *pages[3];
	vaddr_t addr;
	int i;

	boot(MIB(64), LAYOUT_64);
	for (i = 0; i < 3; i++)
		pages[i] = alloc_page(&t.phys, GFP_KERNEL);
	addr = vmap(space, pages, 3);
	*(char *)kernel_to_ptr(space, addr + 2 * PAGE_SIZE + 5) = 'x';
	assert_int_equal(((char *)page_address(&t.phys, pages[2]))[5], 'x');
	assert_ptr_equal(vmalloc_to_page(space, addr + PAGE_SIZE), pages[1]);
	vunmap(space, addr);
	for (i = 0; i < 3; i++)
		assert_int_equal(pages[i]->refcount, 1);
	testram_end(&t);
}

static void regions_of_64_bits(void **state)
{
	struct page *page;
	vaddr_t addr;

	boot(MIB(64), LAYOUT_64);
	page = alloc_page(&t.phys, GFP_HIGHUSER);
	addr = kmap(space, page);
	assert_int_equal(addr, 0xffff888000000000 + (page_to_pfn(&t.phys, page) << PAGE_SHIFT));
	assert_ptr_equal(kernel_to_ptr(space, addr), page_address(&t.phys, page));
	kunmap(space, page);
	assert_ptr_equal(kernel_to_ptr(space, 0xffffea0000000000 +
						      sizeof(*page) * page_to_pfn(&t.phys, page)),
			 page);
	assert_null(kernel_to_ptr(space, 0xffff888000000000 + ((u64)64 << 20)));
	assert_null(kernel_to_ptr(space, 0x1000));
	testram_end(&t);
}

static void high_memory_of_32_bits(void **state)
{
	struct page *low, *high, *pages[PKMAP_SLOTS + 1];
	vaddr_t a, b;
	int i;

	boot(MIB(1024), LAYOUT_32);
	low = alloc_page(&t.phys, GFP_KERNEL);
	high = alloc_page(&t.phys, GFP_HIGHUSER);
	a = kmap(space, low);
	assert_int_equal(a, 0xc0000000 + (page_to_pfn(&t.phys, low) << PAGE_SHIFT));
	assert_int_equal(direct_address(space, page_to_pfn(&t.phys, high)), 0);
	a = kmap(space, high);
	assert_int_equal(a, 0xff800000);
	assert_int_equal(kmap(space, high), a);
	assert_ptr_equal(kernel_to_ptr(space, a), page_address(&t.phys, high));
	kunmap(space, high);
	kunmap(space, high);
	EXPECT_PANIC(kunmap(space, high));
	space->lock.held = 0;
	/* All slots in use, then one is free again. */
	for (i = 0; i < PKMAP_SLOTS; i++) {
		pages[i] = alloc_page(&t.phys, GFP_HIGHUSER);
		assert_int_not_equal(kmap(space, pages[i]), 0);
	}
	pages[i] = alloc_page(&t.phys, GFP_HIGHUSER);
	assert_int_equal(kmap(space, pages[i]), 0);
	kunmap(space, pages[17]);
	assert_int_not_equal(kmap(space, pages[i]), 0);

	a = kmap_local_page(space, pages[0]);
	b = kmap_local_page(space, pages[1]);
	assert_int_equal(a, 0xffffe000);
	assert_int_equal(b, 0xffffd000);
	assert_ptr_equal(kernel_to_ptr(space, b + 9), (u8 *)page_address(&t.phys, pages[1]) + 9);
	EXPECT_PANIC(kunmap_local(space, a));
	space->local_depth[0] = 2;
	kunmap_local(space, b);
	kunmap_local(space, a);
	assert_null(kernel_to_ptr(space, a));
	testram_end(&t);
}

/* The last frame of the direct map, and the first that needs a mapping. */
static void direct_map_ends_at_896_mib(void **state)
{
	pfn_t last = MIB(896) - 1;

	boot(MIB(1024), LAYOUT_32);
	assert_int_equal(direct_address(space, last), 0xc0000000 + (last << PAGE_SHIFT));
	assert_int_equal(direct_address(space, last + 1), 0);
	assert_ptr_equal(kernel_to_ptr(space, 0xf7ffffff),
			 (u8 *)pfn_to_virt(&t.phys, last) + PAGE_SIZE - 1);
	assert_null(kernel_to_ptr(space, 0xf8000000));
	testram_end(&t);
}

/* 119 MiB of addresses are all that vmalloc has on 32 bits, whatever memory there is. */
static void vmalloc_of_32_bits(void **state)
{
	const u64 room = (0xff7fe000 - 0xf8800000) >> PAGE_SHIFT;
	vaddr_t addr, first;
	u64 got = 0, high;

	boot(MIB(2048), LAYOUT_32);
	high = t.phys.nodes[0]->zones[ZONE_HIGHMEM].free_pages;
	first = vmalloc(space, 8 * PAGE_SIZE, GFP_KERNEL);
	assert_int_equal(first, 0xf8800000);
	assert_int_equal(page_zonenum(vmalloc_to_page(space, first)), ZONE_HIGHMEM);
	vfree(space, first);
	while ((addr = vmalloc(space, 255 * PAGE_SIZE, GFP_KERNEL))) {
		assert_true(addr + 256 * PAGE_SIZE <= 0xff7fe000);
		got++;
	}
	assert_int_equal(got, room / 256);
	assert_true(nr_free_pages(&t.phys) > MIB(1024));
	addr = vmalloc(space, (room % 256 - 1) * PAGE_SIZE, GFP_KERNEL);
	assert_int_not_equal(addr, 0);
	assert_int_equal(vmalloc(space, PAGE_SIZE, GFP_KERNEL), 0);
	kspace_destroy(space);
	drain_all_pages(&t.phys);
	assert_int_equal(t.phys.nodes[0]->zones[ZONE_HIGHMEM].free_pages, high);
	testram_end(&t);
}

/* What a back end hears of: page behind each address, as it would enter it into its tables. */
static struct page *mirror[1 << 20];

static void note_change(void *arg, vaddr_t addr, struct page *page)
{
	mirror[addr >> PAGE_SHIFT] = page;
}

static void back_end_is_told(void **state)
{
	struct page *high[2];
	vaddr_t area, slot, local;
	u64 i;

	boot(MIB(1024), LAYOUT_32);
	space->changed = note_change;
	high[0] = alloc_page(&t.phys, GFP_HIGHUSER);
	high[1] = alloc_page(&t.phys, GFP_HIGHUSER);
	area = vmalloc(space, 5 * PAGE_SIZE, GFP_KERNEL);
	slot = kmap(space, high[0]);
	local = kmap_local_page(space, high[1]);
	for (i = 0; i < 5; i++)
		assert_ptr_equal(mirror[(area >> PAGE_SHIFT) + i],
				 vmalloc_to_page(space, area + i * PAGE_SIZE));
	assert_null(mirror[(area >> PAGE_SHIFT) + 5]);
	assert_ptr_equal(mirror[slot >> PAGE_SHIFT], high[0]);
	assert_ptr_equal(mirror[local >> PAGE_SHIFT], high[1]);
	kunmap_local(space, local);
	vfree(space, area);
	assert_null(mirror[local >> PAGE_SHIFT]);
	for (i = 0; i < 5; i++)
		assert_null(mirror[(area >> PAGE_SHIFT) + i]);
	kunmap(space, high[0]);
	testram_end(&t);
}

/* Each CPU has 16 places of its own for kmap_local_page(). */
static void local_maps_of_each_cpu(void **state)
{
	struct page *pages[KMAP_LOCAL_SLOTS + 1];
	vaddr_t addr[2][KMAP_LOCAL_SLOTS];
	int i;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(1024),
					       .layout = LAYOUT_32,
					       .nr_cpus = 2,
					       .this_cpu = testram_this_cpu });
	assert_int_equal(kmem_boot(&t.phys), 0);
	space = kspace_create(&t.phys);
	for (i = 0; i <= KMAP_LOCAL_SLOTS; i++)
		pages[i] = alloc_page(&t.phys, GFP_HIGHUSER);
	for (testram_cpu = 0; testram_cpu < 2; testram_cpu++)
		for (i = 0; i < KMAP_LOCAL_SLOTS; i++) {
			addr[testram_cpu][i] = kmap_local_page(space, pages[i]);
			assert_ptr_equal(kernel_to_ptr(space, addr[testram_cpu][i]),
					 page_address(&t.phys, pages[i]));
		}
	testram_cpu = 1;
	EXPECT_PANIC((void)kmap_local_page(space, pages[KMAP_LOCAL_SLOTS]));
	assert_int_equal(addr[0][0], 0xffffe000);
	assert_int_equal(addr[1][KMAP_LOCAL_SLOTS - 1],
			 0xfffff000 - 2 * KMAP_LOCAL_SLOTS * PAGE_SIZE);
	for (i = KMAP_LOCAL_SLOTS; i-- > 0;)
		kunmap_local(space, addr[1][i]);
	assert_null(kernel_to_ptr(space, addr[1][0]));
	assert_non_null(kernel_to_ptr(space, addr[0][0]));
	testram_cpu = 0;
	testram_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(areas_with_guards),
		cmocka_unit_test(random_areas),
		cmocka_unit_test(failures_leave_nothing),
		cmocka_unit_test(mapping_pages_of_the_caller),
		cmocka_unit_test(regions_of_64_bits),
		cmocka_unit_test(high_memory_of_32_bits),
		cmocka_unit_test(direct_map_ends_at_896_mib),
		cmocka_unit_test(vmalloc_of_32_bits),
		cmocka_unit_test(back_end_is_told),
		cmocka_unit_test(local_maps_of_each_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
