/*
 * span.c - finding, splitting, merging and growing runs of pages.
 *
 * How     A fit is the first run of the smallest sufficient bin: exact up to 64 pages, within
 *         an eighth beyond. Merged runs take the age of the longer part: churn at the edge of
 *         an idle run does not keep it. A tag that no longer starts a run says so at once, or
 *         a stray pointer into the middle of a block would pass for a block.
 *
 * SPDX-License-Identifier: MIT
 */
#include "span.h"
#include "reap.h"
#include "tune.h"

struct spans spans;

static unsigned bin_of(size_t pages)
{
	unsigned doubling;

	if (pages < SPAN_EXACT)
		return (unsigned)pages;
	doubling = 63 - (unsigned)__builtin_clzl(pages) - 6;
	return SPAN_EXACT + doubling * 8 + (unsigned)((pages >> (doubling + 3)) & 7);
}

/* A free run's age shares the field that says a run starts here: 15 bits of it will do. */
static void stamp_set(size_t page, uint32_t stamp)
{
	tag_at(page)->first = (uint16_t)(stamp << 1 | 1);
}

static uint32_t stamp_age(size_t page)
{
	return (uint16_t)((reap_now() << 1) - (tag_at(page)->first & ~1u)) >> 1;
}

static uint32_t stamp_of(size_t page)
{
	return reap_now() - stamp_age(page);
}

static void run_set(size_t page, size_t pages, enum span_state state)
{
	struct tag *last = tag_at(page + pages - 1), *head = tag_at(page);

	last->first = 0;
	last->pages = (uint32_t)pages;
	last->state = (uint8_t)state;
	head->pages = (uint32_t)pages;
	head->state = (uint8_t)state;
	head->first = 1;
}

static void bin_add(size_t page)
{
	struct tag *t = tag_at(page);
	unsigned bin = bin_of(t->pages);

	t->prev = 0;
	t->next = spans.bin[bin];
	if (t->next)
		tag_at(t->next - 1)->prev = (uint32_t)page + 1;
	spans.bin[bin] = (uint32_t)page + 1;
	spans.map[bin / 64] |= (uint64_t)1 << (bin % 64);
	spans.free_pages += t->pages;
	if (t->dirty)
		spans.dirty_pages += t->pages;
}

static void bin_remove(size_t page)
{
	struct tag *t = tag_at(page);
	unsigned bin = bin_of(t->pages);

	if (t->prev)
		tag_at(t->prev - 1)->next = t->next;
	else
		spans.bin[bin] = t->next;
	if (t->next)
		tag_at(t->next - 1)->prev = t->prev;
	if (!spans.bin[bin])
		spans.map[bin / 64] &= ~((uint64_t)1 << (bin % 64));
	spans.free_pages -= t->pages;
	if (t->dirty)
		spans.dirty_pages -= t->pages;
}

/* Adds a free run, merging it with free neighbours (P2); where the merged run starts. */
static size_t free_run(size_t page, size_t pages, bool dirty, uint32_t stamp)
{
	size_t next = page + pages, longest = pages, part;

	if (page > 0 && tag_at(page - 1)->state == SPAN_FREE) {
		part = tag_at(page - 1)->pages;
		bin_remove(page - part);
		dirty |= tag_at(page - part)->dirty;
		if (part > longest) {
			longest = part;
			stamp = stamp_of(page - part);
		}
		tag_at(page)->first = 0;
		page -= part;
		pages += part;
	}
	if (next < spans.top && tag_at(next)->state == SPAN_FREE) {
		part = tag_at(next)->pages;
		bin_remove(next);
		dirty |= tag_at(next)->dirty;
		if (part > longest)
			stamp = stamp_of(next);
		tag_at(next)->first = 0;
		pages += part;
	}
	run_set(page, pages, SPAN_FREE);
	tag_at(page)->dirty = dirty;
	stamp_set(page, stamp);
	bin_add(page);
	return page;
}

static size_t fit_in_bin(unsigned bin, size_t pages)
{
	uint32_t at = spans.bin[bin];

	for (int i = 0; at && i < 16; i++, at = tag_at(at - 1)->next)
		if (tag_at(at - 1)->pages >= pages)
			return at;
	return 0;
}

static unsigned bin_next(unsigned bin)
{
	unsigned word = bin / 64;
	uint64_t w;

	if (bin >= SPAN_BINS)
		return SPAN_BINS;
	w = spans.map[word] & (~(uint64_t)0 << (bin % 64));
	while (!w && ++word < SPAN_BINS / 64)
		w = spans.map[word];
	return w ? word * 64 + (unsigned)__builtin_ctzl(w) : SPAN_BINS;
}

static unsigned bin_highest(void)
{
	for (unsigned word = SPAN_BINS / 64; word-- > 0;)
		if (spans.map[word])
			return word * 64 + 63 - (unsigned)__builtin_clzl(spans.map[word]);
	return 0;
}

/* page + 1 of a free run of at least that length, or 0. */
static size_t find_fit(size_t pages, enum span_place place)
{
	unsigned bin = bin_of(pages);
	size_t at;

	if (place == SPAN_ROOMY) {
		at = fit_in_bin(bin_highest(), 2 * pages);
		return at;
	}
	at = fit_in_bin(bin, pages);
	if (at)
		return at;
	bin = bin_next(bin + 1);
	return bin < SPAN_BINS ? spans.bin[bin] : 0;
}

static void *use_run(size_t page, size_t pages, size_t skip, bool *zeroed)
{
	struct tag *t = tag_at(page);
	size_t all = t->pages;
	bool dirty = t->dirty;
	uint32_t stamp = stamp_of(page);

	bin_remove(page);
	run_set(page + skip, pages, SPAN_USED);
	if (skip)
		free_run(page, skip, dirty, stamp);
	if (all > skip + pages)
		free_run(page + skip + pages, all - skip - pages, dirty, stamp);
	tag_at(page + skip)->sample = 0;
	spans.used++;
	spans.used_pages += pages;
	*zeroed = !dirty;
	return page_start(page + skip);
}

static void want_huge(size_t from, size_t to)
{
	if (from < HUGE_FROM)
		from = HUGE_FROM;
	if (tune_huge() && to > from)
		os_want_huge(heap.pages.base + from, to - from);
}

static bool open_to(size_t pages)
{
	size_t before = heap.pages.open_bytes;

	if (pages > heap.pages.limit_bytes >> PAGE_SHIFT ||
	    !zone_open(&heap.tags, (pages + 1) * sizeof(struct tag)) ||
	    !zone_open(&heap.pages, pages << PAGE_SHIFT))
		return false;
	want_huge(before, heap.pages.open_bytes);
	return true;
}

/* Makes the zone's end one free run of at least `pages`; returns its page + 1. */
static size_t extend_top(size_t pages)
{
	size_t tail = 0, add;

	if (spans.top && tag_at(spans.top - 1)->state == SPAN_FREE)
		tail = tag_at(spans.top - 1)->pages;
	add = pages > tail ? pages - tail : 0;
	if (!open_to(spans.top + add))
		return 0;
	if (add) {
		size_t page = spans.top;

		spans.top += (uint32_t)add;
		free_run(page, add, false, reap_now());
	}
	return spans.top - tag_at(spans.top - 1)->pages + 1;
}

static size_t skip_for(size_t page, size_t align_pages)
{
	size_t at = (size_t)(heap.pages.base - (char *)0) >> PAGE_SHIFT;

	return (0 - (at + page)) & (align_pages - 1);
}

void *span_take(size_t pages, size_t align_pages, enum span_place place, bool *zeroed)
{
	size_t need = pages + align_pages - 1, at;
	void *block = NULL;

	if (need < pages || need > heap.pages.limit_bytes >> PAGE_SHIFT)
		return NULL;
	lock_take(&spans.lock);
	at = find_fit(need, place);
	if (!at && place != SPAN_NO_GROWTH)
		at = extend_top(need);
	if (at)
		block = use_run(at - 1, pages, skip_for(at - 1, align_pages), zeroed);
	lock_give(&spans.lock);
	return block;
}

/* locked: spans. The used block that starts there, or NULL. */
static struct tag *used_tag(const void *block)
{
	size_t page = page_of(block);

	if (!zone_has(&heap.pages, block) || page >= spans.top ||
	    ((uintptr_t)block & (PAGE_BYTES - 1)))
		return NULL;
	if (!tag_at(page)->first || tag_at(page)->state != SPAN_USED)
		return NULL;
	return tag_at(page);
}

bool span_give(void *block)
{
	struct tag *t;
	size_t dirty, pages;

	lock_take(&spans.lock);
	t = used_tag(block);
	if (t) {
		pages = t->pages;
		spans.used--;
		spans.used_pages -= pages;
		free_run(page_of(block), pages, true, reap_now());
	}
	dirty = spans.dirty_pages;
	lock_give(&spans.lock);
	reap_note(dirty << PAGE_SHIFT);
	return t != NULL;
}

size_t span_find(const void *block)
{
	struct tag *t;
	size_t pages;

	lock_take(&spans.lock);
	t = used_tag(block);
	pages = t ? t->pages : 0;
	lock_give(&spans.lock);
	return pages;
}

bool span_was_freed(const void *block)
{
	size_t page = page_of(block);

	return zone_has(&heap.pages, block) && page < spans.top && tag_at(page)->first &&
	       tag_at(page)->state != SPAN_USED;
}

static bool grow_locked(struct tag *t, size_t page, size_t pages)
{
	size_t old = t->pages, next = page + old, part;
	bool dirty;
	uint32_t stamp;

	if (next == spans.top ||
	    (tag_at(next)->state == SPAN_FREE && next + tag_at(next)->pages == spans.top))
		if (!extend_top(pages - old))
			return false;
	if (next >= spans.top || tag_at(next)->state != SPAN_FREE ||
	    old + tag_at(next)->pages < pages)
		return false;
	part = tag_at(next)->pages;
	dirty = tag_at(next)->dirty;
	stamp = stamp_of(next);
	bin_remove(next);
	tag_at(next)->first = 0;
	run_set(page, pages, SPAN_USED);
	if (old + part > pages)
		free_run(page + pages, old + part - pages, dirty, stamp);
	spans.used_pages += pages - old;
	return true;
}

bool span_grow(void *block, size_t pages)
{
	bool done = false;
	struct tag *t;

	if (pages > heap.pages.limit_bytes >> PAGE_SHIFT)
		return false;
	lock_take(&spans.lock);
	t = used_tag(block);
	if (t)
		done = grow_locked(t, page_of(block), pages);
	lock_give(&spans.lock);
	return done;
}

void span_shrink(void *block, size_t pages)
{
	size_t page = page_of(block), old;
	struct tag *t;

	lock_take(&spans.lock);
	t = used_tag(block);
	if (t && t->pages > pages) {
		old = t->pages;
		run_set(page, pages, SPAN_USED);
		spans.used_pages -= old - pages;
		free_run(page + pages, old - pages, true, reap_now());
	}
	lock_give(&spans.lock);
}

size_t span_top_free(void)
{
	size_t pages = 0;

	lock_take(&spans.lock);
	if (spans.top && tag_at(spans.top - 1)->state == SPAN_FREE) {
		pages = tag_at(spans.top - 1)->pages;
		if (!tag_at(spans.top - pages)->dirty)
			pages = 0;
	}
	lock_give(&spans.lock);
	return pages << PAGE_SHIFT;
}

/*
 * locked: spans, given up during the system call. Neighbours may become free meanwhile, and the
 * run merge with them: returns the page after the run that results.
 */
static size_t purge_run(size_t page)
{
	size_t pages = tag_at(page)->pages;

	bin_remove(page);
	run_set(page, pages, SPAN_BUSY);
	lock_give(&spans.lock);
	os_purge(page_start(page), pages << PAGE_SHIFT);
	lock_take(&spans.lock);
	spans.purged_bytes += pages << PAGE_SHIFT;
	page = free_run(page, pages, false, reap_now());
	return page + tag_at(page)->pages;
}

static void purge_all(uint32_t older_than, size_t keep_top_pages)
{
	size_t page = 0;

	lock_take(&spans.lock);
	zone_purge_tail(&heap.pages, (size_t)spans.top << PAGE_SHIFT, older_than);
	while (page < spans.top && spans.dirty_pages) {
		struct tag *t = tag_at(page);
		bool kept = page + t->pages == spans.top && t->pages <= keep_top_pages;

		if (t->state == SPAN_FREE && t->dirty && stamp_of(page) < older_than && !kept)
			page = purge_run(page);
		else
			page += t->pages;
	}
	lock_give(&spans.lock);
}

void span_purge(uint32_t older_than)
{
	purge_all(older_than, 0);
}

/* locked: spans. The top comes down, as a break would; what lies above it is as good as new. */
static void lower_top(size_t keep_pages)
{
	size_t pages, page;
	bool dirty;
	uint32_t stamp;

	if (!spans.top || tag_at(spans.top - 1)->state != SPAN_FREE)
		return;
	pages = tag_at(spans.top - 1)->pages;
	page = spans.top - pages;
	if (pages <= keep_pages)
		return;
	dirty = tag_at(page)->dirty;
	stamp = stamp_of(page);
	bin_remove(page);
	tag_at(spans.top - 1)->state = SPAN_NONE;
	spans.top = (uint32_t)(page + keep_pages);
	if (dirty) {
		os_purge(page_start(spans.top), (pages - keep_pages) << PAGE_SHIFT);
		spans.purged_bytes += (pages - keep_pages) << PAGE_SHIFT;
	}
	tag_at(page)->first = 0;
	if (keep_pages)
		free_run(page, keep_pages, dirty, stamp);
}

void span_trim(size_t keep_pages)
{
	lock_take(&spans.lock);
	lower_top(keep_pages);
	lock_give(&spans.lock);
	purge_all(UINT32_MAX, keep_pages);
}
