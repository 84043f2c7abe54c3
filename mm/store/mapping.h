/*
 * mapping.h - the pages of one object: a file on a device, or shared memory that swap backs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_STORE_MAPPING_H
#define QUIRE_STORE_MAPPING_H

#include "base/list.h"
#include "base/types.h"
#include "store/radix.h"

struct device;
struct machine;
struct page;
struct vma;

enum mapping_kind { MAPPING_FILE, MAPPING_SHMEM };

/* What makes a file the same file with the same contents. */
struct file_id {
	u64 dev, ino;
	u64 size; /* bytes */
	u64 mtime_ns, ctime_ns;
};

/* Sequential reading of one file, as Linux's struct file_ra_state. Pages. */
struct file_ra {
	u64 start;
	unsigned int size, async_size;
	unsigned int mmap_miss;
};

/*
 * The pages of one object, shared by all address spaces (Linux: struct address_space). In a FILE
 * mapping a shadow in the tree is an eviction stamp; in a SHMEM mapping it is a swap slot.
 */
struct mapping {
	struct machine *machine; /* (C) */
	enum mapping_kind kind; /* (C) */
	struct file_id id; /* (C) FILE */
	struct device *dev; /* (C) FILE: owned */
	u64 size; /* bytes; SHMEM: of the object */
	struct radix pages;
	struct list_head areas; /* struct vma by mapping_link */
	u64 users; /* areas and openers; at 0 a SHMEM mapping goes */
	bool stale; /* the file changed: not found any more, gone with its users */
	struct list_head link; /* on machine->mappings */
	struct file_ra ra;
	unsigned int
		scattered; /* faults that ended at a border of frames since the last collapse */
	unsigned int collapses;
	char name[64]; /* end of the path, for reports */
};

/*
 * The mapping of a file, made if need be, with one user more; NULL without memory. Takes `dev`
 * over (closes it where the mapping exists). Pages of an older content are not found again.
 */
must_use struct mapping *mapping_open(struct machine *m, const struct file_id *id,
				      struct device *dev, const char *name);
/* New shared memory of `size` bytes, one user. Linux: shmem_zero_setup(). */
must_use struct mapping *mapping_create_shmem(struct machine *m, u64 size);
/* One user less. A file without users keeps its pages until reclaim takes them. */
void mapping_put(struct mapping *map);

/* An area begins or ends to map it; the link is the area's own (struct vma: mapping_link). */
void mapping_add_area(struct mapping *map, struct list_head *link);
void mapping_remove_area(struct mapping *map, struct list_head *link);

/* The page at index, or NULL. No reference is taken. Linux: filemap_get_folio(). */
struct page *mapping_find(struct mapping *map, u64 index);
/* Puts a page in, with a reference; 0 or -ENOMEM. *shadow is what stood there. */
must_use int mapping_insert(struct mapping *map, u64 index, struct page *page, void **shadow);
/* Takes a page out, leaves `shadow` (or NULL) in its place, drops the reference. */
void mapping_delete(struct page *page, void *shadow);

/* Puts `by` in the place of a page that nobody else maps any more; the page leaves the cache. */
void mapping_replace(struct mapping *map, struct page *page, struct page *by);

/* Pages that the object covers; beyond is SIGBUS. */
static inline u64 mapping_pages(const struct mapping *map)
{
	return (map->size + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/*
 * A fault around index ended where the next cached page lies in a frame elsewhere. Often enough, it
 * makes the machine put them side by side.
 */
void mapping_note_scattered(struct mapping *map, u64 index);

/* Does the object have this page, looked at again if it did not? */
bool mapping_has(struct mapping *map, u64 index);

/* Frees mappings without users and pages. Reclaim calls it when files shrink. */
void mapping_prune(struct machine *m);
/* Frees every mapping; no area may be left. */
void mapping_destroy_all(struct machine *m);

#endif
