/*
 * swap_test.c - slots in order, zero pages without I/O, errors of the device, a full device.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/world.h"

#include "base/errno.h"
#include "phys/alloc.h"
#include "store/swap.h"

static struct world w;

static struct page *new_page(u64 word)
{
	struct page *page = alloc_pages(&w.m.phys, GFP_HIGHUSER_MOVABLE | __GFP_ZERO, 0);

	assert_non_null(page);
	page_prepare(page);
	page_set(page, PG_swapbacked);
	page_set(page, PG_uptodate);
	*(u64 *)page_address(&w.m.phys, page) = word;
	return page;
}

/* The cache's reference and ours: the page is gone, its slot lives on with one user. */
static u64 leave_slot(struct page *page)
{
	u64 slot = page->private;

	swap_dup(&w.m.swap, slot);
	swap_cache_delete(&w.m.swap, page, NULL);
	store_page_put(&w.m, page);
	return slot;
}

/* Pages evicted together lie together, are written in one transfer, and zeros in none. */
static void one_transfer(void **state)
{
	struct page *page[SWAP_BATCH];
	u64 slot[SWAP_BATCH];
	unsigned int i;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 4096 });
	for (i = 0; i < SWAP_BATCH; i++) {
		page[i] = new_page(i == 20 ? 0 : i + 1);
		assert_int_equal(swap_add(&w.m.swap, page[i]), 0);
		assert_int_equal(page[i]->private, 1 + i);
	}
	assert_int_equal(swap_write(&w.m.swap, page, SWAP_BATCH), 0);
	assert_int_equal(w.swap.writes, 2); /* the zero page parts them */
	assert_int_equal(w.swap.pages_written, SWAP_BATCH - 1);
	assert_int_equal(stat_read(&w.m.phys.stat, PSWPOUT), SWAP_BATCH - 1);
	assert_int_equal(stat_read(&w.m.phys.stat, SWPOUT_ZERO), 1);
	for (i = 0; i < SWAP_BATCH; i++) {
		assert_false(page_test(page[i], PG_dirty));
		slot[i] = leave_slot(page[i]);
	}
	for (i = 0; i < SWAP_BATCH; i++) {
		void *shadow;

		page[i] = new_page(99);
		page_clear(page[i], PG_uptodate);
		assert_int_equal(swap_cache_insert(&w.m.swap, slot[i], page[i], &shadow), 0);
	}
	assert_int_equal(swap_read(&w.m.swap, page, SWAP_BATCH), 2);
	for (i = 0; i < SWAP_BATCH; i++) {
		assert_true(page_test(page[i], PG_uptodate));
		assert_int_equal(*(u64 *)page_address(&w.m.phys, page[i]), i == 20 ? 0 : i + 1);
		swap_cache_delete(&w.m.swap, page[i], NULL);
		swap_put(&w.m.swap, slot[i]);
		store_page_put(&w.m, page[i]);
	}
	assert_int_equal(w.m.swap.used, 0);
	world_close(&w);
}

/* A failed write leaves the pages dirty; a failed read says so in the page. */
static void errors(void **state)
{
	struct page *page = NULL;
	void *shadow;
	u64 slot;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 64 });
	page = new_page(5);
	assert_int_equal(swap_add(&w.m.swap, page), 0);
	w.swap.write = (struct failing){ .nth = 1, .error = ENOSPC };
	assert_int_equal(swap_write(&w.m.swap, &page, 1), -ENOSPC);
	assert_true(page_test(page, PG_dirty));
	w.swap.write = (struct failing){ .nth = 1 }; /* short */
	assert_int_equal(swap_write(&w.m.swap, &page, 1), -EIO);
	assert_true(page_test(page, PG_dirty));
	assert_int_equal(swap_write(&w.m.swap, &page, 1), 0);
	assert_false(page_test(page, PG_dirty));
	assert_int_equal(w.m.swap.write_errors, 2);
	slot = leave_slot(page);
	page = new_page(0);
	page_clear(page, PG_uptodate);
	assert_int_equal(swap_cache_insert(&w.m.swap, slot, page, &shadow), 0);
	w.swap.read = (struct failing){ .nth = 1, .error = EIO };
	swap_read(&w.m.swap, &page, 1);
	assert_true(page_test(page, PG_error) && !page_test(page, PG_uptodate));
	swap_cache_delete(&w.m.swap, page, NULL);
	swap_put(&w.m.swap, slot);
	store_page_put(&w.m, page);
	world_close(&w);
}

/* Slot 0 is the header; a full area says ENOSPC; a slot given back is found again. */
static void full(void **state)
{
	struct page *page[64], *one;
	unsigned int i;

	(void)state;
	world_open(&w, (struct world_config){ .ram_pages = 1024, .swap_pages = 64 });
	for (i = 1; i < 64; i++) {
		page[i] = new_page(i);
		assert_int_equal(swap_add(&w.m.swap, page[i]), 0);
	}
	assert_int_equal(swap_free_slots(&w.m.swap), 0);
	one = new_page(1);
	assert_int_equal(swap_add(&w.m.swap, one), -ENOSPC);
	swap_cache_delete(&w.m.swap, page[17], NULL);
	store_page_put(&w.m, page[17]);
	assert_int_equal(swap_add(&w.m.swap, one), 0);
	assert_int_equal(one->private, 17);
	page[17] = one;
	assert_int_equal(w.m.swap_peak, 63);
	for (i = 1; i < 64; i++) {
		swap_cache_delete(&w.m.swap, page[i], NULL);
		store_page_put(&w.m, page[i]);
	}
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_transfer),
		cmocka_unit_test(errors),
		cmocka_unit_test(full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
