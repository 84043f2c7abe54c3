/*
 * phys.h - all physical memory of one machine: its frames, nodes and zones, from boot to the last
 * page.
 *
 * How     The caller maps the RAM at one address (the direct map: frame n is at ram + n *
 *         PAGE_SIZE) and calls phys_boot(). An early allocator (memblock.h) places the struct page
 *         array, the bits of the free frames, nodes and per-CPU lists in that RAM, and hands what
 *         is left to the buddy.
 * Use     phys_boot(), then alloc.h for pages; pfn_to_page/page_to_pfn/page_address/virt_to_page
 *         convert.
 * Holds   P1  every present frame is in exactly one state: free block, per-CPU list, allocated, or
 *             reserved
 *         P2  managed = free + on per-CPU lists + allocated, in each zone
 * Locks   see base/lock.h; the fields here are (C) constant after boot, or changed under
 *         hotplug_lock (H).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_PHYS_H
#define QUIRE_PHYS_PHYS_H

#include "base/check.h"
#include "base/lock.h"
#include "base/stat.h"
#include "phys/node.h"
#include "phys/page.h"
#include "phys/zone.h"

/* "No frame". */
#define PFN_NONE (~(pfn_t)0)

#define SECTION_SHIFT 27 /* 128 MiB, as on x86-64 */
#define SECTION_PAGES ((u64)1 << (SECTION_SHIFT - PAGE_SHIFT))

enum memory_model {
	MEMORY_FLAT, /* one mem_map for the whole span, holes included */
	MEMORY_DISCONTIG, /* one mem_map per node */
	MEMORY_SPARSE, /* one mem_map per section of 128 MiB that has memory */
	MEMORY_NONE, /* no struct pages: alloc_frames() only */
};

enum memory_layout {
	LAYOUT_64, /* DMA, DMA32, Normal, Movable */
	LAYOUT_32, /* DMA, Normal below 896 MiB, HighMem, Movable */
};

/* Frames [start, start + pages) of node nid. */
struct phys_range {
	pfn_t start;
	u64 pages;
	unsigned nid;
};

/* What to boot. Zero means the default wherever there is one. */
struct phys_config {
	/* direct map of the whole span, page-aligned; holes need no backing */
	void *ram;
	u64 nr_pages; /* frames in the span from frame 0: RAM and holes */
	u64 max_pages; /* span that hotplug may reach; 0: nr_pages */
	/* RAM, ascending, each start a multiple of 512 frames; NULL: all of it, node 0 */
	const struct phys_range *ranges;
	unsigned nr_ranges;
	const u8 *distances; /* nr_nodes * nr_nodes, row by row; NULL: 10 and 20 */
	enum memory_model model;
	enum memory_layout layout;
	unsigned nr_nodes; /* 0: one more than the largest nid of the ranges */
	unsigned nr_cpus; /* 0: one */
	const u8 *cpu_node; /* node of each CPU; NULL: dealt out in turn */
	/* at the top of each node's memory in proportion: zone Movable (movablecore=) */
	u64 movable_pages;
	u64 min_free_kbytes; /* 0: int_sqrt(16 * lowmem KiB), 128 to 262144 */
	unsigned watermark_scale_factor; /* in 1/10000; 0: 10 */
	enum lock_mode locks; /* LOCK_ON: several threads use the machine */
	enum { RAM_ZEROED, RAM_DIRTY } ram_content; /* RAM_ZEROED: fresh from the host, all zero */
	unsigned debug; /* enum phys_debug */
	unsigned (*this_cpu)(void *arg); /* number of the caller's CPU; NULL: 0 */
	/* boot and failure lines, no newline; NULL: none */
	void (*log)(void *arg, const char *line);
	void *arg; /* for the two functions */
};

enum phys_debug {
	/* fill freed frames with 0xaa, check on allocation (page_poisoning) */
	PHYS_POISON = 1 << 0,
	PHYS_OWNER = 1 << 1, /* remember who holds each frame (page_owner) */
	/* one migrate type for all, for comparison (page_group_by_mobility_disabled) */
	PHYS_NO_MOBILITY = 1 << 2,
};

/* When __free_pages() looks at the struct page: free.c. */
enum put_mode {
	PUTS_NOW,
	PUTS_LATER, /* FLATMEM, no debugging */
	PUTS_LATER_ALONE, /* the same, and one thread uses the machine */
};

/* Fail the nth allocation from now on (1: the next), then every `interval`th (0: only that one). */
struct phys_fault {
	u64 nth;
	u64 interval;
	u64 failed; /* how often it did */
};

struct page_owner;

struct phys {
	u8 *ram; /* (C) direct map */
	struct page *mem_map; /* (C) FLATMEM: entry of frame 0; NULL otherwise */
	enum memory_model model; /* (C) */
	enum memory_layout layout; /* (C) */
	u64 *free_bits; /* (Z) bit n: frame n is in a free block */
	/* (Z) bit n: frame n has never been handed out and is zero */
	u64 *fresh_bits;
	struct pageblock *blocks; /* (Z) entry of frames 0 to 511, ... */
	u64 nr_blocks; /* (C) */
	/*
	 * (H) SPARSEMEM: where the struct page of section s's first frame is or would be; NULL:
	 * hole
	 */
	struct page **sections;
	u64 nr_sections; /* (C) */
	u64 span_pages; /* (H) frames from 0 to the end of the last node */
	u64 max_pages; /* (C) frames that the tables above can describe */

	struct node *nodes[MAX_NUMNODES]; /* (H) node_data[]; NULL: no such node */
	unsigned nr_nodes; /* (H) */
	u64 node_states[NR_NODE_STATES]; /* (H) bit n: node n is in that state */
	u8 *distances; /* (C) MAX_NUMNODES-independent: nr_nodes * nr_nodes */
	unsigned nr_cpus; /* (C) */
	u8 *cpu_node; /* (C) */
	u8 *cpu_states; /* (A) LOCK_OWNED: who may touch what belongs to the CPU: drain.c */

	/* (H) managed frames of all zones (Linux: totalram_pages) */
	struct pcp **zone_pcp; /* (C) by cpu * pcp_stride + zone_id */
	/* (H) by cpu * MAX_NR_ZONES + highest zone; NULL: not on its node */
	struct pcp **first_pcp;
	unsigned pcp_stride; /* (C) */

	u64 total_pages;
	u64 present_pages; /* (H) */
	u64 boot_pages; /* (C) frames that the tables took at boot */
	/* (H) present, but kept by boot: mem_map and all else listed above */
	u64 reserved_pages;

	/* Knobs of /proc/sys/vm; change them with the functions in watermark.h. */
	u64 min_free_kbytes;
	unsigned watermark_scale_factor;
	unsigned watermark_boost_factor;
	unsigned lowmem_reserve_ratio[MAX_NR_ZONES];
	unsigned extfrag_threshold;
	unsigned pcp_high_fraction; /* percpu_pagelist_high_fraction */
	unsigned compaction_proactiveness;
	/* (C) 3; 0: one migrate type for all (tiny machine or PHYS_NO_MOBILITY) */
	unsigned mobility_mask;

	/* set by the allocator when free < low, cleared by kswapd */
	u32 kswapd_wanted;
	enum lock_mode locks; /* (C) */
	unsigned debug; /* (C) enum phys_debug */
	bool lists_locked; /* (C) per-CPU lists need their lock */
	enum put_mode puts; /* (C) */
	struct phys_fault fault; /* test hook */
	/* the machine's counters; call phys_stat_sync() before reading */
	struct vm_stat stat;
	struct page_owner *owners; /* (C) PHYS_OWNER: one per frame */
	u64 owner_serial; /* PHYS_OWNER: allocations so far */
	struct lock hotplug_lock;
	struct kmem *kmem; /* kmem's own state, made by kmem_boot() */
	/* how to move a page, set by move/ (compact.h); NULL: nothing moves */
	const struct move_ops *move_ops;
	void *move_arg;

	unsigned (*this_cpu)(void *arg); /* (C) */
	void (*log)(void *arg, const char *line); /* (C) */
	void *arg; /* (C) */
};

/*
 * Make `phys` from the caller's RAM. The struct may lie anywhere; everything else goes into the
 * RAM. 0, -EINVAL (ranges overlap, are not aligned or lie outside the span), or -ENOMEM (RAM too
 * small for its own tables).
 */
int must_use phys_boot(struct phys *phys, const struct phys_config *config);
/* Forget the machine. Nothing is freed: all of it lies in the caller's RAM. */
void phys_shutdown(struct phys *phys);

/*
 * Bring phys->stat up to date with what the per-CPU lists have counted (pgalloc_*, pgfree,
 * nr_free_pages, numa_*).
 */
void phys_stat_sync(struct phys *phys);
/*
 * What is counted by node: nr_free_pages (per-CPU lists included) and numa_*; numa_foreign counts
 * on the node that was wanted. Linux: /sys/devices/system/node/nodeN/numastat.
 */
void phys_node_stat(struct phys *phys, unsigned nid, struct vm_stat *stat);
/*
 * Frames in free blocks and on per-CPU lists, of all zones. Linux: nr_free_pages() plus the lists.
 */
u64 nr_free_pages(struct phys *phys);
/* Frames above the high watermarks. Linux: nr_free_buffer_pages(), nr_free_zone_pages(). */
u64 nr_free_buffer_pages(struct phys *phys);
/* Panic unless P1, P2 and the invariants of the zones and pageblocks hold; walks all of RAM. */
void phys_check(struct phys *phys);
/* Print a line through the config's log function. */
void phys_log(struct phys *phys, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* -EINVAL and -ENOMEM of the functions of phys and kmem are Linux's numbers. */
#define PHYS_EINVAL 22
#define PHYS_ENOMEM 12
#define PHYS_EBUSY  16

/* Node whose CPU the caller runs on. */
static inline unsigned phys_this_cpu(const struct phys *phys)
{
	return phys->this_cpu ? phys->this_cpu(phys->arg) : 0;
}
static inline unsigned numa_node_id(const struct phys *phys)
{
	return phys->cpu_node[phys_this_cpu(phys)];
}
static inline unsigned node_distance(const struct phys *phys, unsigned from, unsigned to)
{
	return phys->distances[from * phys->nr_nodes + to];
}

/*
 * Whether pfn is a frame with a struct page (in a hole of FLATMEM: false, though the struct
 * exists).
 */
static inline bool pfn_valid(const struct phys *phys, pfn_t pfn)
{
	return pfn < phys->max_pages &&
	       phys->blocks[pfn >> PAGEBLOCK_ORDER].zone_id != PAGEBLOCK_NO_ZONE;
}

/* Zone of a frame for which pfn_valid() holds. */
static inline struct zone *pfn_zone(const struct phys *phys, pfn_t pfn)
{
	unsigned id = phys->blocks[pfn >> PAGEBLOCK_ORDER].zone_id;

	return &phys->nodes[id >> PAGE_ZONE_BITS]->zones[id & ((1u << PAGE_ZONE_BITS) - 1)];
}

/*
 * struct page of a frame and back. pfn_valid(pfn), or a page that was handed out: else undefined.
 */
static inline struct page *pfn_to_page(const struct phys *phys, pfn_t pfn)
{
	if (likely(phys->model == MEMORY_FLAT))
		return phys->mem_map + pfn;
	if (phys->model == MEMORY_SPARSE)
		return phys->sections[pfn / SECTION_PAGES] + pfn % SECTION_PAGES;
	return phys->nodes[phys->blocks[pfn >> PAGEBLOCK_ORDER].zone_id >> PAGE_ZONE_BITS]
		       ->mem_map +
	       (pfn - phys->nodes[phys->blocks[pfn >> PAGEBLOCK_ORDER].zone_id >> PAGE_ZONE_BITS]
			      ->start_pfn);
}

static inline pfn_t page_to_pfn(const struct phys *phys, const struct page *page)
{
	if (likely(phys->model == MEMORY_FLAT))
		return (pfn_t)(page - phys->mem_map);
	if (phys->model == MEMORY_SPARSE)
		return page_to_section(page) * SECTION_PAGES +
		       (pfn_t)(page - phys->sections[page_to_section(page)]);
	return phys->nodes[page_to_nid(page)]->start_pfn +
	       (pfn_t)(page - phys->nodes[page_to_nid(page)]->mem_map);
}

/* Address of a frame in the direct map, and the frame of such an address. */
static inline void *pfn_to_virt(const struct phys *phys, pfn_t pfn)
{
	return phys->ram + (pfn << PAGE_SHIFT);
}
static inline pfn_t virt_to_pfn(const struct phys *phys, const void *addr)
{
	return (pfn_t)((const u8 *)addr - phys->ram) >> PAGE_SHIFT;
}

static inline void *page_address(const struct phys *phys, const struct page *page)
{
	return pfn_to_virt(phys, page_to_pfn(phys, page));
}

static inline struct page *virt_to_page(const struct phys *phys, const void *addr)
{
	return pfn_to_page(phys, virt_to_pfn(phys, addr));
}

/* Zone and node of a page that was handed out. */
static inline struct node *page_node(const struct phys *phys, const struct page *page)
{
	return phys->nodes[page_to_nid(page)];
}

static inline struct zone *page_zone(const struct phys *phys, const struct page *page)
{
	return &phys->nodes[page_to_nid(page)]->zones[page_zonenum(page)];
}

/* The LRU lists that a page belongs to. */
static inline struct lruvec *page_lruvec(const struct phys *phys, const struct page *page)
{
	return &page_node(phys, page)->lruvec;
}

/*
 * Visit every zone with managed frames: for_each_zone(phys, node_cursor, type_cursor, zone_cursor)
 * { ... }
 */
#define for_each_zone(phys, nid, type, zone)                                                       \
	for ((nid) = 0; (nid) < (phys)->nr_nodes; (nid)++)                                         \
		for ((type) = 0; (phys)->nodes[nid] && (type) < MAX_NR_ZONES; (type)++)            \
			if (((zone) = &(phys)->nodes[nid]->zones[type])->managed_pages == 0) {     \
			} else

#endif
