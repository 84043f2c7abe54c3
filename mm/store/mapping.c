/*
 * mapping.c - the page cache of one object.
 *
 * How     A file is known by device, inode, size and times: a file that changed is a new mapping,
 *         and the old one, marked stale, lives only as long as its areas. Pages of a file without
 *         users stay for the next one; mapping_prune() frees what reclaim emptied.
 * Use     mapping_open(), mapping_create_shmem(), mapping_put(); insert, find, delete for pages.
 * Holds   C1  a page in the tree has mapping and index of its place and one reference for it
 *         C2  users counts areas and openers
 * Locks   The machine's.
 * Why     Linux: mm/filemap.c; inode and address_space are one struct here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/mapping.h"

#include "base/check.h"
#include "base/errno.h"
#include "kmem/slab.h"
#include "store/state.h"
#include "phys/phys.h"
#include "store/device.h"
#include "store/swap.h"

static struct mapping *mapping_alloc(struct machine *m, enum mapping_kind kind, u64 size)
{
	struct mapping *map = kmem_cache_alloc(m->mapping_cache, GFP_KERNEL);

	if (!map)
		return NULL;
	*map = (struct mapping){ .machine = m, .kind = kind, .size = size, .users = 1 };
	radix_init(&map->pages, m->radix_cache);
	list_init(&map->areas);
	list_add_tail(&map->link, &m->mappings);
	return map;
}

static bool same_file(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool same_content(const struct file_id *a, const struct file_id *b)
{
	return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static void set_name(struct mapping *map, const char *name)
{
	size_t len = 0, skip;

	while (name[len])
		len++;
	skip = len < sizeof(map->name) ? 0 : len - (sizeof(map->name) - 1);
	memcpy(map->name, name + skip, len - skip);
	map->name[len - skip] = '\0';
}

/* Frees the mapping and all of its pages. */
static void mapping_free(struct mapping *map)
{
	u64 index = 0;
	void *value;

	require(list_empty(&map->areas));
	while ((value = radix_next(&map->pages, &index))) {
		if (!radix_is_shadow(value)) {
			mapping_delete(value, NULL);
			continue;
		}
		if (map->kind == MAPPING_SHMEM)
			swap_put(&map->machine->swap, radix_shadow_stamp(value));
		if (radix_set(&map->pages, index, NULL) < 0)
			BUG("erasing needs no memory");
	}
	radix_fini(&map->pages);
	if (map->machine->collapse.map == map)
		map->machine->collapse.map = NULL;
	if (map->dev)
		map->dev->ops->close(map->dev);
	list_del(&map->link);
	kmem_cache_free(map->machine->mapping_cache, map);
}

struct mapping *mapping_open(struct machine *m, const struct file_id *id, struct device *dev,
			     const char *name)
{
	struct mapping *map, *after;

	list_for_each_entry_safe(map, after, &m->mappings, struct mapping, link) {
		if (map->kind != MAPPING_FILE || map->stale || !same_file(&map->id, id))
			continue;
		if (same_content(&map->id, id)) {
			dev->ops->close(dev);
			map->users++;
			return map;
		}
		map->stale = true;
		if (map->users == 0)
			mapping_free(map);
	}
	map = mapping_alloc(m, MAPPING_FILE, id->size);
	if (!map) {
		dev->ops->close(dev);
		return NULL;
	}
	map->id = *id;
	map->dev = dev;
	set_name(map, name);
	return map;
}

struct mapping *mapping_create_shmem(struct machine *m, u64 size)
{
	struct mapping *map = mapping_alloc(m, MAPPING_SHMEM, size);

	if (map)
		set_name(map, "/dev/zero (deleted)");
	return map;
}

void mapping_put(struct mapping *map)
{
	require(map->users > 0);
	map->users--;
	if (map->users == 0 && (map->kind == MAPPING_SHMEM || map->stale || !map->pages.nr_pages))
		mapping_free(map);
}

void mapping_add_area(struct mapping *map, struct list_head *link)
{
	map->users++;
	list_add_tail(link, &map->areas);
}

void mapping_remove_area(struct mapping *map, struct list_head *link)
{
	list_del_init(link);
	mapping_put(map);
}

struct page *mapping_find(struct mapping *map, u64 index)
{
	void *value = radix_get(&map->pages, index);

	return value && !radix_is_shadow(value) ? value : NULL;
}

int mapping_insert(struct mapping *map, u64 index, struct page *page, void **shadow)
{
	struct vm_stat *stat = &map->machine->phys.stat;

	*shadow = radix_get(&map->pages, index);
	require(!*shadow || radix_is_shadow(*shadow));
	if (radix_set(&map->pages, index, page) < 0)
		return -ENOMEM;
	page->mapping = map;
	page->index = index;
	page->refcount++;
	stat_inc(stat, NR_FILE_PAGES);
	if (map->kind == MAPPING_SHMEM) {
		page_set(page, PG_swapbacked);
		stat_inc(stat, NR_SHMEM);
	}
	return 0;
}

void mapping_delete(struct page *page, void *shadow)
{
	struct mapping *map = page->mapping;
	struct machine *m = map->machine;

	require(page->mapcount == 0);
	/* Replacing a page by a shadow needs no node: there is one. */
	if (radix_set(&map->pages, page->index, shadow) < 0)
		BUG("replacing needs no memory");
	page->mapping = NULL;
	stat_dec(&m->phys.stat, NR_FILE_PAGES);
	if (map->kind == MAPPING_SHMEM)
		stat_dec(&m->phys.stat, NR_SHMEM);
	store_page_put(m, page);
}

void mapping_replace(struct mapping *map, struct page *page, struct page *by)
{
	struct vm_stat *stat = &map->machine->phys.stat;

	by->mapping = map;
	by->index = page->index;
	by->refcount++;
	if (radix_set(&map->pages, page->index, by) < 0)
		BUG("replacing needs no memory");
	if (page_test(page, PG_lru))
		lru_del(page_lruvec(&map->machine->phys, page), page);
	page->mapping = NULL;
	page->refcount--;
	if (page->mapcount) { /* by its new owner, as an anonymous page */
		stat_dec(stat, NR_FILE_MAPPED);
		stat_inc(stat, NR_ANON_MAPPED);
	}
}

bool mapping_has(struct mapping *map, u64 index)
{
	u64 size;

	if (index < mapping_pages(map))
		return true;
	if (map->kind != MAPPING_FILE)
		return false;
	size = map->dev->ops->size(map->dev);
	if (size > map->size)
		map->size = size;
	return index < mapping_pages(map);
}

void mapping_note_scattered(struct mapping *map, u64 index)
{
	struct machine *m = map->machine;
	unsigned int enough = m->knobs.collapse_faults << min_u64(map->collapses, 10);

	if (!enough || ++map->scattered < enough)
		return;
	map->scattered = 0;
	map->collapses++;
	m->collapse = (struct collapse_wish){ map, align_down(index, COLLAPSE_PAGES) };
}

void mapping_prune(struct machine *m)
{
	struct mapping *map, *after;

	list_for_each_entry_safe(map, after, &m->mappings, struct mapping, link)
		if (map->users == 0 && map->pages.nr_pages == 0) {
			stat_inc(&m->phys.stat, SLABS_SCANNED);
			mapping_free(map);
		}
}

void mapping_destroy_all(struct machine *m)
{
	struct mapping *map, *after;

	list_for_each_entry_safe(map, after, &m->mappings, struct mapping, link)
		mapping_free(map);
}
