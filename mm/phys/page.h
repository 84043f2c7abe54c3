/*
 * page.h - struct page: one per frame of RAM, 64 bytes, living in that RAM.
 *
 * Use     page_test/page_set/page_clear(page, PG_x); get_page/put_page (put_page in alloc.h's
 *         file); page_set_mapping() and friends pack "anonymous" into the low bit of the mapping
 *         pointer.
 * Holds   G1  sizeof(struct page) is 64, or 56 where a pointer has 32 bits
 *         G2  a frame in the allocator has refcount 0 and mapcount 0
 *         G3  the links (node, zone, section) of a page are valid from the first time that it is
 *             handed out; before that the struct may be all zero, for boot does not touch it
 * Locks   flags and the other words belong to whoever owns the page (its reference, its page lock);
 *         refcount is atomic. The plain page_set/page_clear are for owners, the atomic ones for
 *         pages that others can see.
 * Why     Names are Linux's (struct page, PG_*). mapcount counts from 0, not from -1.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_PAGE_H
#define QUIRE_PHYS_PAGE_H

#include "base/list.h"
#include "base/types.h"

/* Bits of page->flags. Bits 32 and up are the links, see below. */
enum page_flag {
	PG_locked, /* its content or mapping is being changed */
	PG_referenced, /* used since last looked at */
	PG_uptodate, /* content is valid */
	PG_dirty, /* content is newer than its store's */
	PG_lru, /* on one of its node's LRU lists */
	PG_active, /* on an active list */
	PG_swapbacked, /* goes to swap: anonymous or shared memory */
	PG_swapcache, /* has a swap slot: private is the slot */
	PG_writeback, /* being written */
	PG_reclaim, /* to be reclaimed once written */
	PG_readahead, /* reading it starts the next window */
	PG_unevictable, /* on the unevictable list */
	PG_mlocked, /* locked by mlock */
	PG_slab, /* belongs to a kmem_cache */
	PG_buddy, /* free: head of a block in the allocator */
	PG_reserved, /* never the allocator's: mem_map and the like */
	PG_table, /* a page table */
	PG_workingset, /* was part of the working set when evicted */
	PG_pinned, /* must stay in this frame */
	/* not written since the machine was built: known to be zero; not set again after a free */
	PG_hostzero,
	PG_head, /* first page of a compound page; its order is compound_order */
	PG_tail, /* other page of a compound page: compound_head leads to the first */
	PG_private, /* its owner uses private */
	PG_private_2, /* for the owner's use */
	PG_isolated, /* taken off its LRU list for moving */
	PG_anon_exclusive, /* anonymous page of exactly one process */
	PG_offline, /* frame of a removed memory block */
	PG_vmalloc, /* behind a vmalloc area */
	PG_error, /* its store reported an I/O error */
	PG_dropbehind, /* drop from the page cache once written */
	NR_PAGE_FLAGS
};

#define PAGE_ZONE_SHIFT	   32
#define PAGE_ZONE_BITS	   3
#define PAGE_NODE_SHIFT	   35
#define PAGE_NODE_BITS	   6
#define PAGE_SECTION_SHIFT 41
#define PAGE_SECTION_BITS  23
#define PAGE_LINK_MASK	   (~(u64)0 << PAGE_ZONE_SHIFT)

struct kmem_cache;

/*
 * One frame. What a word means depends on who owns the page; the owner says so in its own header.
 */
struct page {
	u64 flags;
	union {
		struct list_head lru; /* LRU list, or any list of the owner's */
		struct { /* PG_tail */
			struct page *compound_head;
			void *tail_unused;
		};
	};
	union {
		/* struct mapping *, or struct anon_vma * with bit 0 set */
		void *mapping;
		struct kmem_cache *slab_cache; /* PG_slab */
	};
	union {
		struct {
			u64 index; /* offset in the mapping, in pages */
			u64 private; /* swap slot (PG_swapcache), or its owner's */
		};
		u64 slab_bits[2]; /* PG_slab, up to 128 objects: bit n set: object n is free */
	};
	union {
		struct {
			s32 mapcount; /* page table entries that map it; 0: none */
			s32 refcount; /* users; 0: free */
		};
		u64 counts; /* both at once, for the allocator */
	};
	union {
		u64 owner_word;
		struct {
			u8 compound_order; /* PG_head */
			u8 owner_byte;
			u16 slab_inuse; /* PG_slab: objects handed out or in a magazine */
			u32 owner_half;
		};
	};
};

_Static_assert(sizeof(struct page) == (sizeof(void *) == 8 ? 64 : 56), "invariant G1");
_Static_assert(NR_PAGE_FLAGS <= PAGE_ZONE_SHIFT, "flags and links overlap");

#define PAGE_FLAG(flag) ((u64)1 << (flag))
/* None of these may be set on a page that is freed. */
#define PAGE_FLAGS_AT_FREE                                                                         \
	(PAGE_FLAG(PG_locked) | PAGE_FLAG(PG_lru) | PAGE_FLAG(PG_writeback) | PAGE_FLAG(PG_slab) | \
	 PAGE_FLAG(PG_buddy) | PAGE_FLAG(PG_reserved) | PAGE_FLAG(PG_swapcache) |                  \
	 PAGE_FLAG(PG_tail) | PAGE_FLAG(PG_isolated) | PAGE_FLAG(PG_offline))

static inline bool page_test(const struct page *page, enum page_flag flag)
{
	return page->flags >> flag & 1;
}
/* page->counts of a page with one reference that nothing maps. */
#define PAGE_ONE_REFERENCE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (u64)1 << 32 : (u64)1)

static inline void page_set(struct page *page, enum page_flag flag)
{
	page->flags |= PAGE_FLAG(flag);
}
static inline void page_clear(struct page *page, enum page_flag flag)
{
	page->flags &= ~PAGE_FLAG(flag);
}

/* Set or clear, and say what it was. */
static inline bool page_test_and_set(struct page *page, enum page_flag flag)
{
	bool was = page_test(page, flag);

	page_set(page, flag);
	return was;
}

static inline bool page_test_and_clear(struct page *page, enum page_flag flag)
{
	bool was = page_test(page, flag);

	page_clear(page, flag);
	return was;
}

/* The same for pages that other threads may change at the same time. */
static inline bool page_test_and_set_atomic(struct page *page, enum page_flag flag)
{
	return __atomic_fetch_or(&page->flags, PAGE_FLAG(flag), __ATOMIC_ACQ_REL) >> flag & 1;
}

static inline bool page_test_and_clear_atomic(struct page *page, enum page_flag flag)
{
	return __atomic_fetch_and(&page->flags, ~PAGE_FLAG(flag), __ATOMIC_ACQ_REL) >> flag & 1;
}

/* Where the page lies: type of its zone, number of its node, number of its section. */
static inline unsigned page_zonenum(const struct page *page)
{
	return page->flags >> PAGE_ZONE_SHIFT & ((1u << PAGE_ZONE_BITS) - 1);
}

static inline unsigned page_to_nid(const struct page *page)
{
	return page->flags >> PAGE_NODE_SHIFT & ((1u << PAGE_NODE_BITS) - 1);
}

static inline u64 page_to_section(const struct page *page)
{
	return page->flags >> PAGE_SECTION_SHIFT;
}

/* Mapping with its "anonymous" bit. */
#define PAGE_MAPPING_ANON ((uintptr_t)1)

static inline bool page_is_anon(const struct page *page)
{
	return (uintptr_t)page->mapping & PAGE_MAPPING_ANON;
}

/* The struct mapping of a file page or the struct anon_vma of an anonymous one, low bit removed. */
static inline void *page_mapping(const struct page *page)
{
	return (void *)((uintptr_t)page->mapping & ~PAGE_MAPPING_ANON);
}

static inline void page_set_mapping(struct page *page, void *mapping)
{
	page->mapping = mapping;
}
static inline void page_set_anon(struct page *page, void *anon_vma)
{
	page->mapping = (void *)((uintptr_t)anon_vma | PAGE_MAPPING_ANON);
}

/* First page of the compound page that this one is part of; itself if it is not part of one. */
static inline struct page *compound_head(struct page *page)
{
	return page_test(page, PG_tail) ? page->compound_head : page;
}

/* Order of the compound page whose head this is; 0 for a single page. */
static inline unsigned compound_order(const struct page *page)
{
	return page_test(page, PG_head) ? page->compound_order : 0;
}

static inline u64 compound_nr(const struct page *page)
{
	return (u64)1 << compound_order(page);
}

/* Take one more reference; the caller has one already. Tails count on their head. */
static inline void get_page(struct page *page)
{
	__atomic_add_fetch(&compound_head(page)->refcount, 1, __ATOMIC_RELAXED);
}

static inline s32 page_count(struct page *page)
{
	return __atomic_load_n(&compound_head(page)->refcount, __ATOMIC_RELAXED);
}

static inline s32 page_mapcount(const struct page *page)
{
	return page->mapcount;
}
static inline bool page_mapped(const struct page *page)
{
	return page->mapcount > 0;
}

/*
 * Drop one reference; true if it was the last and the caller now owns the frame alone. A page with
 * one reference is its holder's: nobody takes references to pages that they have none of, so no
 * atomic operation is needed.
 */
static inline bool put_page_testzero(struct page *page)
{
	if (likely(__atomic_load_n(&page->refcount, __ATOMIC_ACQUIRE) == 1)) {
		__atomic_store_n(&page->refcount, 0, __ATOMIC_RELAXED);
		return true;
	}
	return __atomic_sub_fetch(&page->refcount, 1, __ATOMIC_ACQ_REL) == 0;
}

#endif
