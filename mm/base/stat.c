/*
 * stat.c - names and meanings of the counters, from stat.def.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/stat.h"

static const struct stat_info stat_table[NR_VM_STAT] = {
#define STAT(id, name, kind, unit, meaning) [id] = { #name, STAT_##kind, unit, meaning },
#include "base/stat.def"
#undef STAT
};

const struct stat_info *stat_info(enum vm_stat_item item)
{
	require((unsigned)item < NR_VM_STAT);
	return &stat_table[item];
}

static bool same_name(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

enum vm_stat_item stat_find(const char *name)
{
	unsigned i;

	for (i = 0; i < NR_VM_STAT; i++)
		if (same_name(stat_table[i].name, name))
			break;
	return (enum vm_stat_item)i;
}
