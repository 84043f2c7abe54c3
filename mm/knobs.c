/*
 * knobs.c - the machine's knobs, by their names in /proc/sys/vm.
 *
 * Holds   Ranges and errnos are Linux's. One that a machine of 4 KiB pages could not live with is
 *         refused as well: more than half of RAM for min_free_kbytes.
 * Why     Linux: vm_table[] in mm/ and kernel/sysctl.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "machine.h"

#include "base/errno.h"
#include "phys/pcp.h"
#include "phys/watermark.h"

/* A knob that is a plain number: its place in struct knobs and its limit. */
struct plain_knob {
	const char *name;
	size_t offset;
	u64 most;
};

static const struct plain_knob plain[] = {
	{ "swappiness", offsetof(struct knobs, swappiness), 200 },
	{ "page-cluster", offsetof(struct knobs, page_cluster), 5 },
	{ "vfs_cache_pressure", offsetof(struct knobs, vfs_cache_pressure), 1000000 },
	{ "overcommit_memory", offsetof(struct knobs, overcommit_memory), 2 },
	{ "overcommit_ratio", offsetof(struct knobs, overcommit_ratio), 1000000 },
	{ "read_ahead_kb", offsetof(struct knobs, read_ahead_kb), 1024 },
	{ "fault_around_bytes", offsetof(struct knobs, fault_around_bytes), 2097152 },
	{ "fault_zero_pages", offsetof(struct knobs, fault_zero_pages), 512 },
	{ "collapse_faults", offsetof(struct knobs, collapse_faults), 1000000 },
	{ "oom_kill_allocating_task", offsetof(struct knobs, oom_kill_allocating_task), 1 },
	{ "panic_on_oom", offsetof(struct knobs, panic_on_oom), 2 },
};

static int min_free_kbytes(struct phys *phys, u64 value)
{
	if (value > phys->total_pages * (PAGE_SIZE / 1024) / 2)
		return -EINVAL;
	set_min_free_kbytes(phys, value);
	return 0;
}

static int watermark_scale_factor(struct phys *phys, u64 value)
{
	return value <= 3000 ? set_watermark_scale_factor(phys, (unsigned int)value) : -EINVAL;
}

static int watermark_boost_factor(struct phys *phys, u64 value)
{
	if (value > 0x7fffffff)
		return -EINVAL;
	set_watermark_boost_factor(phys, (unsigned int)value);
	return 0;
}

static int compaction_proactiveness(struct phys *phys, u64 value)
{
	if (value > 100)
		return -EINVAL;
	phys->compaction_proactiveness = (unsigned int)value;
	return 0;
}

static int extfrag_threshold(struct phys *phys, u64 value)
{
	if (value > 1000)
		return -EINVAL;
	phys->extfrag_threshold = (unsigned int)value;
	return 0;
}

static int percpu_pagelist_high_fraction(struct phys *phys, u64 value)
{
	return value <= 0x7fffffff ? set_percpu_pagelist_high_fraction(phys, (unsigned int)value)
				   : -EINVAL;
}

/* Knobs of the frames, which do more than to be remembered. */
static const struct {
	const char *name;
	int (*set)(struct phys *phys, u64 value);
} working[] = {
	{ "min_free_kbytes", min_free_kbytes },
	{ "watermark_scale_factor", watermark_scale_factor },
	{ "watermark_boost_factor", watermark_boost_factor },
	{ "compaction_proactiveness", compaction_proactiveness },
	{ "extfrag_threshold", extfrag_threshold },
	{ "percpu_pagelist_high_fraction", percpu_pagelist_high_fraction },
};

/* One number for each zone that the layout has; those that are missing stay as they are. */
static int lowmem_reserve_ratio(struct phys *phys, const u64 *value, unsigned int nr)
{
	static const enum zone_type zones[2][4] = {
		[LAYOUT_64] = { ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, ZONE_MOVABLE },
		[LAYOUT_32] = { ZONE_DMA, ZONE_NORMAL, ZONE_HIGHMEM, ZONE_MOVABLE },
	};
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (value[i] > 0x7fffffff || nr > array_size(zones[0]))
			return -EINVAL;
	for (i = 0; i < nr; i++)
		set_lowmem_reserve_ratio(phys, zones[phys->layout][i], (unsigned int)value[i]);
	return 0;
}

static bool same_name(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

int machine_set_knob(struct machine *m, const char *name, const u64 *value, unsigned int nr)
{
	unsigned int i;

	if (same_name(name, "lowmem_reserve_ratio"))
		return nr ? lowmem_reserve_ratio(&m->phys, value, nr) : -EINVAL;
	for (i = 0; i < array_size(working); i++)
		if (same_name(name, working[i].name))
			return nr == 1 ? working[i].set(&m->phys, *value) : -EINVAL;
	for (i = 0; i < array_size(plain); i++) {
		if (!same_name(name, plain[i].name))
			continue;
		if (nr != 1 || *value > plain[i].most)
			return -EINVAL;
		*(unsigned int *)(void *)((u8 *)&m->knobs + plain[i].offset) = (unsigned int)*value;
		return 0;
	}
	return -ENOENT;
}
