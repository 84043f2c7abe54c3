/*
 * gfp.h - what a caller of the page allocator wants: which zone, which migrate type, what it may do
 * to get it.
 *
 * How     A gfp_t is a set of single bits (__GFP_*); callers use the ready-made sets (GFP_KERNEL
 *         ...). The two mobility bits choose the migrate type, the zone bits the highest zone.
 * Why     Names and meanings are Linux's (include/linux/gfp_types.h); the numbers are ours.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_GFP_H
#define QUIRE_PHYS_GFP_H

#include "base/types.h"

typedef u32 gfp_t;

/*
 * Zone: at most one of the first three; __GFP_MOVABLE with __GFP_HIGHMEM also admits zone Movable.
 */
#define __GFP_DMA     ((gfp_t)1 << 0)
#define __GFP_HIGHMEM ((gfp_t)1 << 1)
#define __GFP_DMA32   ((gfp_t)1 << 2)
/* Mobility: the content can be moved to another frame, or freed under pressure. */
#define __GFP_MOVABLE	  ((gfp_t)1 << 3)
#define __GFP_RECLAIMABLE ((gfp_t)1 << 4)
/* Reserves. */
#define __GFP_HIGH	 ((gfp_t)1 << 5) /* urgent: may use part of the reserve below min */
#define __GFP_MEMALLOC	 ((gfp_t)1 << 6) /* frees more than it takes: ignores the watermarks */
#define __GFP_NOMEMALLOC ((gfp_t)1 << 7) /* never the reserves, overrides __GFP_MEMALLOC */
/* What the allocator may do when memory is short. */
#define __GFP_IO	     ((gfp_t)1 << 8) /* start device I/O */
#define __GFP_FS	     ((gfp_t)1 << 9) /* call the page cache's owners */
#define __GFP_DIRECT_RECLAIM ((gfp_t)1 << 10) /* reclaim itself, and wait */
#define __GFP_KSWAPD_RECLAIM ((gfp_t)1 << 11) /* wake kswapd */
#define __GFP_RECLAIM	     (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define __GFP_RETRY_MAYFAIL  ((gfp_t)1 << 12) /* try hard, fail rather than kill */
#define __GFP_NOFAIL	     ((gfp_t)1 << 13) /* the caller cannot handle NULL */
#define __GFP_NORETRY	     ((gfp_t)1 << 14) /* one round of relief at most */
/* Details. */
#define __GFP_NOWARN   ((gfp_t)1 << 15) /* no allocation-failure line in the log */
#define __GFP_COMP     ((gfp_t)1 << 16) /* make one compound page (a folio) of the block */
#define __GFP_ZERO     ((gfp_t)1 << 17) /* fill with zeroes */
#define __GFP_HARDWALL ((gfp_t)1 << 18) /* keep to the caller's cpuset */
#define __GFP_THISNODE ((gfp_t)1 << 19) /* this node or none */
#define __GFP_ACCOUNT  ((gfp_t)1 << 20) /* charge to the caller's cgroup */
#define __GFP_WRITE    ((gfp_t)1 << 21) /* is going to be made dirty */
#define __GFP_COLD     ((gfp_t)1 << 22) /* for __free_pages_cold(): not wanted soon */

#define GFP_ATOMIC	     (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT	     (__GFP_KSWAPD_RECLAIM | __GFP_NOWARN)
#define GFP_NOIO	     __GFP_RECLAIM
#define GFP_NOFS	     (__GFP_RECLAIM | __GFP_IO)
#define GFP_KERNEL	     (__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_USER	     (GFP_KERNEL | __GFP_HARDWALL)
#define GFP_HIGHUSER	     (GFP_USER | __GFP_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE (GFP_HIGHUSER | __GFP_MOVABLE)
#define GFP_DMA		     __GFP_DMA
#define GFP_DMA32	     __GFP_DMA32
/* Larger blocks are worth less effort. */
#define PAGE_ALLOC_COSTLY_ORDER 3
#define GFP_TRANSHUGE_LIGHT                                                                        \
	((GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM)
#define GFP_TRANSHUGE (GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM)

#endif
