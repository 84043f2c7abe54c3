/*
 * watermark.h - how much each zone keeps: min, low, high, promo, and the reserve against requests
 * for better zones.
 *
 * How     Formulas are Linux's, all in frames:
 *           pages_min  min_free_kbytes / 4, shared out by managed frames of the low zones
 *           step       max(min / 4, managed * watermark_scale_factor / 10000)
 *           low, high, promo   min + 1, 2, 3 steps
 *           min of HighMem and Movable   managed / 1024, 32 to 128
 *           reserve[k] of zone j (k > j)   managed in zones j+1 .. k / lowmem_reserve_ratio[j]
 * Use     Set a knob with one of these; all zones follow at once. Also after hotplug.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_WATERMARK_H
#define QUIRE_PHYS_WATERMARK_H

#include "phys/phys.h"

/* int_sqrt(16 * lowmem KiB) between 128 and 262144. */
u64 default_min_free_kbytes(u64 lowmem_kbytes);
/* /proc/sys/vm/min_free_kbytes */
void set_min_free_kbytes(struct phys *phys, u64 kbytes);
/*
 * For who hands out huge blocks: raise min_free_kbytes, if it is lower, so that each low zone keeps
 * two pageblocks whole, and of each migrate type one for every other to fall back to; but to no
 * more than 5 % of low memory. khugepaged does that on Linux when huge pages are on.
 */
void set_recommended_min_free_kbytes(struct phys *phys);
/* /proc/sys/vm/watermark_scale_factor: 1 to 3000, else -EINVAL */
int must_use set_watermark_scale_factor(struct phys *phys, unsigned factor);
/* /proc/sys/vm/lowmem_reserve_ratio of one zone type; 0: no reserve */
void set_lowmem_reserve_ratio(struct phys *phys, enum zone_type type, unsigned ratio);
/*
 * /proc/sys/vm/watermark_boost_factor: in 1/10000 of the high watermark, how much more a zone keeps
 * free at most after a request took a pageblock of another type. 0, the default here: nothing; set
 * it (Linux: 15000) where somebody calls lower_watermark_boost(), or the boost stays for ever.
 */
void set_watermark_boost_factor(struct phys *phys, unsigned factor);
/* Frames that the zones of a node are boosted by. */
u64 node_watermark_boost(const struct node *node);
/*
 * kswapd has done what it could for the node: take the boost away again, and have kcompactd make
 * whole pageblocks of what became free. Linux: the end of balance_pgdat().
 */
void lower_watermark_boost(struct node *node);
/* Recompute everything from the knobs and the zones' managed frames. */
void update_watermarks(struct phys *phys);
/*
 * totalreserve_pages: what no user of the machine can count on (for overcommit and dirty limits).
 */
u64 totalreserve_pages(const struct phys *phys);

#endif
