/*
 * machine.h - boots and ends a machine.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MACHINE_H
#define QUIRE_MACHINE_H

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

/* Sets a knob of /proc/sys/vm by name: 0, -ENOENT or -EINVAL. */
must_use int machine_set_knob(struct machine *m, const char *name, u64 value);

/* Panics unless the conservation laws of the whole machine hold. */
void machine_check(struct machine *m);

#endif
