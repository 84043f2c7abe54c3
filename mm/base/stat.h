/*
 * stat.h - the machine's counters: each declared once, in stat.def, shown everywhere.
 *
 * How     stat.def is a list of STAT(ENUM, name, kind, unit, meaning); the name is Linux's in
 *         /proc/vmstat. A gauge goes up and down, an event only up. `struct vm_stat` is plain
 *         memory: a machine has one, a node another.
 * Locks   the owner of the struct's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_BASE_STAT_H
#define QUIRE_BASE_STAT_H

#include "base/types.h"

enum vm_stat_item {
#define STAT(id, name, kind, unit, meaning) id,
#include "base/stat.def"
#undef STAT
	NR_VM_STAT
};

enum stat_kind { STAT_GAUGE, STAT_EVENT };

/* What stat.def says about one counter. */
struct stat_info {
	const char *name; /* as in /proc/vmstat */
	enum stat_kind kind; /* goes up and down, or only up */
	const char *unit;
	const char *meaning;
};

struct vm_stat {
	u64 v[NR_VM_STAT];
};

static inline void stat_add(struct vm_stat *stat, enum vm_stat_item item, u64 n)
{
	stat->v[item] += n;
}
static inline void stat_sub(struct vm_stat *stat, enum vm_stat_item item, u64 n)
{
	stat->v[item] -= n;
}
static inline void stat_inc(struct vm_stat *stat, enum vm_stat_item item)
{
	stat->v[item]++;
}
static inline void stat_dec(struct vm_stat *stat, enum vm_stat_item item)
{
	stat->v[item]--;
}
/* For counters that several threads write. */
static inline void stat_add_atomic(struct vm_stat *stat, enum vm_stat_item item, u64 n)
{
	/* For a known 0 clang 14 calls a library on 32 bits. */
	if (__builtin_constant_p(n) && !n)
		return;
	__atomic_fetch_add(&stat->v[item], n, __ATOMIC_RELAXED);
}

static inline u64 stat_read(const struct vm_stat *stat, enum vm_stat_item item)
{
	return __atomic_load_n(&stat->v[item], __ATOMIC_RELAXED);
}

/* Description of a counter; `item` is below NR_VM_STAT. */
const struct stat_info *stat_info(enum vm_stat_item item);
/* The counter of that name, or NR_VM_STAT. */
enum vm_stat_item stat_find(const char *name);

#endif
