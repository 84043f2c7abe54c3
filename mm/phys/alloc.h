/*
 * alloc.h - pages from the machine's RAM: the page API, by Linux's names, with the machine as first
 * argument.
 *
 * How     Per-CPU list, then the zones of the node's zonelist above the low watermark; failing
 *         that, wake kswapd, go down to min, relieve pressure (pressure.h), try again, and at last
 *         fail.
 * Use     A block comes with one reference, refcount 1, mapcount 0, its other fields undefined. A
 *         block of order k starts at a multiple of 2^k frames. Give it back whole with the same
 *         order, or split_page() it first. Content is undefined unless __GFP_ZERO; PG_hostzero on
 *         the head says that the block is still zero.
 * Locks   takes RANK_PCP and RANK_ZONE; holds none when it calls pressure_relieve().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_ALLOC_H
#define QUIRE_PHYS_ALLOC_H

#include "phys/gfp.h"
#include "phys/phys.h"

/* A block of 2^order frames near the caller's CPU (or near node nid), or NULL. Order 0 to 10. */
struct page *must_use alloc_pages(struct phys *phys, gfp_t gfp, unsigned order);
struct page *must_use alloc_pages_node(struct phys *phys, unsigned nid, gfp_t gfp, unsigned order);
/* The same from the nodes in the mask only (bit n: node n); 0: any. nid is where to begin. */
struct page *must_use alloc_pages_nodemask(struct phys *phys, gfp_t gfp, unsigned order,
					   unsigned nid, u64 nodemask);

/*
 * The same without struct pages: the number of the first frame, PFN_NONE if there is none; and
 * back. For users who keep their own books, and machines of MEMORY_NONE; no reference is counted.
 */
pfn_t must_use alloc_frames(struct phys *phys, gfp_t gfp, unsigned order);
void free_frames(struct phys *phys, pfn_t pfn, unsigned order);

/*
 * Drop one reference; the last one frees the 2^order frames. Also for compound pages (order is then
 * the head's). The struct page may be looked at later: a mistake (a page freed twice, or still on a
 * list) then stops the program at one of the CPU's next allocations or 32 frees; at once in a
 * machine with debugging (enum phys_debug).
 */
void __free_pages(struct phys *phys, struct page *page, unsigned order);
/* The same, for a block that will not be wanted soon: the cold end of the per-CPU list. */
void __free_pages_cold(struct phys *phys, struct page *page, unsigned order);
/*
 * Drop one reference of a page or compound page of any order; the last one frees it. Linux:
 * put_page(), folio_put().
 */
void put_page(struct phys *phys, struct page *page);

static inline struct page *must_use alloc_page(struct phys *phys, gfp_t gfp)
{
	return alloc_pages(phys, gfp, 0);
}
static inline void __free_page(struct phys *phys, struct page *page)
{
	__free_pages(phys, page, 0);
}

/* By address in the direct map. NULL or 0 address is "none". */
void *must_use __get_free_pages(struct phys *phys, gfp_t gfp, unsigned order);
void *must_use __get_free_page(struct phys *phys, gfp_t gfp);
void *must_use get_zeroed_page(struct phys *phys, gfp_t gfp);
void free_pages(struct phys *phys, void *addr, unsigned order);
void free_page(struct phys *phys, void *addr);

/*
 * Up to nr single pages into pages[]; returns how many. Never relieves pressure. Linux:
 * alloc_pages_bulk().
 */
u64 alloc_pages_bulk(struct phys *phys, gfp_t gfp, u64 nr, struct page **pages);
/* Give nr single pages back, one reference each. Linux: release_pages(). */
void free_pages_bulk(struct phys *phys, u64 nr, struct page **pages);

/*
 * Enough contiguous frames for `size` bytes, the unused tail given back; order-0 pages. Free with
 * the same size.
 */
void *must_use alloc_pages_exact(struct phys *phys, u64 size, gfp_t gfp);
void free_pages_exact(struct phys *phys, void *addr, u64 size);

/*
 * The block of 2^order frames that starts at `pfn` (a multiple of 2^order), if all of it is free
 * now; else NULL. A hint for virtual contiguity: looks at the watermark, never relieves pressure,
 * does not see per-CPU lists.
 */
struct page *must_use alloc_pages_at(struct phys *phys, pfn_t pfn, unsigned order, gfp_t gfp);

/*
 * Make 2^order single pages, each with one reference, of a block that is not compound. Linux:
 * split_page().
 */
void split_page(struct phys *phys, struct page *page, unsigned order);
/*
 * Make single pages of a compound page with one reference; each then has one. Linux: split_folio().
 */
void split_compound(struct phys *phys, struct page *head);

/*
 * Give the per-CPU lists of all CPUs (or of one zone) back to the free blocks. With LOCK_OWNED the
 * list of a CPU that is busy is its thread's alone: it is asked to, and does it at its next free,
 * or when it runs out. Linux: drain_all_pages().
 */
void drain_all_pages(struct phys *phys);
void drain_zone_pages(struct zone *zone);
/* Those of the caller's CPU. */
void drain_local_pages(struct phys *phys);
/*
 * For those who go through struct pages by frame number: from now on those of all pages given to
 * __free_pages() say that they are free. With LOCK_OWNED busy CPUs' few latest are left out.
 */
void settle_free_pages(struct phys *phys);

/*
 * LOCK_OWNED: the thread of the caller's CPU will not call for a while, and others may drain its
 * lists meanwhile; it is back, and may have to wait for one who is just doing that. In between it
 * must call nothing of phys and kmem.
 */
void phys_cpu_idle(struct phys *phys);
void phys_cpu_busy(struct phys *phys);
/*
 * For those who drain: take over what belongs to another CPU, if its thread is idle (true also
 * where locks guard it, and for one's own); and give it back.
 */
bool must_use phys_cpu_borrow(struct phys *phys, unsigned cpu);
void phys_cpu_return(struct phys *phys, unsigned cpu);

/* Whether the frame is in a free block (per-CPU lists do not count). */
bool pfn_is_free(const struct phys *phys, pfn_t pfn);

/*
 * The highest zone, and the migrate type, that gfp asks for. Linux: gfp_zone(), gfp_migratetype().
 */
enum zone_type gfp_zone(const struct phys *phys, gfp_t gfp);
enum migratetype gfp_migratetype(gfp_t gfp);

#endif
