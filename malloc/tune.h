/*
 * tune.h - what mallopt() and the environment variable QUIRE_MALLOC can set.
 *
 * Use     QUIRE_MALLOC=name=value,name=value... (docs/malloc.md lists the names). Numbers take K,
 *         M or G. Unknown names are reported once on standard error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_TUNE_H
#define QUIRE_MALLOC_TUNE_H

#include "layout.h"

#define HUGE_FROM	    ((size_t)32 << 20)
#define MMAP_THRESHOLD	    ((size_t)128 << 10)
#define MMAP_THRESHOLD_MOST ((size_t)32 << 20)

struct tune {
	size_t mmap_threshold;
	size_t trim_threshold;
	size_t top_pad;
	size_t mmap_max; /* blocks */
	size_t arena_max; /* threads with a cache of their own; 0: all */
	size_t sample_bytes; /* 0: no profile */
	unsigned char perturb;
	bool fixed; /* a threshold was set: the dynamic rule is off */
	bool trim_set;
	bool huge;
	bool reaper;
	bool read; /* the environment was looked at */
	bool brk; /* slabs lie at the break */
	bool hardened;
	bool watched; /* hardened or sampling: block.c must look */
	bool leaks;
	bool stats_at_exit;
	bool counts; /* requests by size: stats_asked() */
	int signal; /* writes a report; 0: none */
	char report[128]; /* path of reports; empty: standard error */
	char profile[128];
	char picture[128];
	char timeline[128];
};

hidden extern struct tune tune;

bool tune_present(void); /* is QUIRE_MALLOC set? */
void tune_from_environment(void);
int tune_route(void); /* enum heap_route, for these settings */
int tune_set(int what, int value); /* mallopt() */

static inline bool tune_huge(void)
{
	return tune.huge;
}

#endif
