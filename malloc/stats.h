/*
 * stats.h - one consistent-enough picture of the heap in numbers.
 *
 * Use     stats_take() locks one class at a time; threads go on meanwhile, so sums may be off by
 *         what happens in those microseconds. Counts of magazines are read without a lock.
 * Holds   For a heap at rest: slots * bytes = used + cached + free, in every class.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_STATS_H
#define QUIRE_MALLOC_STATS_H

#include "classes.h"
#include "report.h"

struct class_stats {
	size_t slabs, slots, used, cached, free; /* blocks; cached: in threads' magazines */
	uint64_t refills, flushes;
	uint64_t requests, asked_bytes; /* since the start, if they are counted */
};

struct stats {
	struct class_stats class[CLASS_COUNT];
	size_t small_used, small_cached, small_free, small_tail; /* bytes */
	size_t small_slack; /* of the used ones */
	size_t span_blocks, span_used, span_free, span_dirty;
	size_t large_blocks, large_bytes, large_most;
	size_t unit_bytes, unit_dirty, unit_clean; /* opened by use; free of each kind */
	size_t page_bytes; /* of the span zone, up to its top */
	size_t meta_bytes; /* opened for descriptors and caches */
	uint64_t returned_bytes; /* to the kernel, by age or on request */
	unsigned threads;
	size_t live_bytes; /* all that the program holds */
};

void stats_asked(unsigned class, size_t bytes); /* one request; if tune.counts */
unsigned stats_slack(const struct class_stats *cs, unsigned class); /* percent */
unsigned stats_idle(const struct class_stats *cs); /* percent */
void stats_take(struct stats *s);
void stats_print(struct out *o, const struct stats *s);
void stats_print_xml(struct out *o, const struct stats *s);
void stats_timeline_start(void);
void stats_timeline_tick(void);
void picture_write(const char *path); /* SVG of the heap by pages */

#endif
