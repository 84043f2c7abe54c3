/*
 * machine.h - boots and ends a machine.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MACHINE_H
#define QUIRE_MACHINE_H

#include "phys/hotplug.h"
#include "store/state.h"

/* What a machine is made of. */
struct machine_config {
	struct phys_config phys;
	struct device *swap_dev; /* taken over; NULL: no swap */
	u64 swap_pages; /* slot 0, the header, included */
	const struct mmu_ops *mmu;
	const struct machine_ops *ops;
	void *owner;
	u64 seed;
};

/* Boots a machine in the RAM of the config. 0, -EINVAL, or -ENOMEM when the RAM is too small. */
must_use int machine_boot(struct machine *m, const struct machine_config *config);
/* Ends it; all address spaces must be gone. Panics where anything was lost. */
void machine_shutdown(struct machine *m);

/* Bounded background work; true if there is more. Call it when nothing else is to be done. */
bool machine_tick(struct machine *m);

/*
 * Sets a knob of /proc/sys/vm by name: 0, -ENOENT or -EINVAL. All take one value, but for
 * lowmem_reserve_ratio, which takes up to four: DMA, DMA32, Normal, Movable (32-bit layout: DMA,
 * Normal, HighMem, Movable).
 */
must_use int machine_set_knob(struct machine *m, const char *name, const u64 *value,
			      unsigned int nr);

/*
 * Frames [start, start + nr) that are offline go to the allocator, in the zone that the address
 * calls for or in zone Movable. 0; -EINVAL: not offline, or not whole pageblocks (sections of
 * SPARSEMEM, where the zone changes). Linux: /sys/devices/system/memory/memoryN/state.
 */
must_use int machine_online(struct machine *m, pfn_t start, u64 nr, enum online_type type);
/*
 * Moves everything out of the frames and takes them from the allocator, while programs run. 0;
 * -EBUSY: something cannot move, or has nowhere to go; -EINVAL.
 */
must_use int machine_offline(struct machine *m, pfn_t start, u64 nr);
/*
 * The first frame of the range that is in use and cannot be moved; PFN_NONE: there is none. Linux:
 * has_unmovable_pages().
 */
pfn_t machine_unmovable(struct machine *m, pfn_t start, u64 nr);

/* Panics unless the conservation laws of the whole machine hold. */
void machine_check(struct machine *m);

#endif
