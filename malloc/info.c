/*
 * info.c - glibc's inspection and tuning calls: mallopt, mallinfo, malloc_info and friends.
 *
 * How     What the fields mean here: arena is what slabs and page runs occupy up to their tops;
 *         smblks and fsmblks are blocks in threads' caches; ordblks and fordblks the free blocks
 *         and bytes, the caches' included in the bytes; keepcost is what malloc_trim() could
 *         return at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "block.h"
#include "cache.h"
#include "malloc.h"
#include "reap.h"
#include "span.h"
#include "stats.h"
#include "sweep.h"
#include "tune.h"
#include "units.h"

#include <errno.h>
#include <limits.h>

public
int mallopt(int what, int value)
{
	return block_setup() ? tune_set(what, value) : 0;
}

public
struct mallinfo2 mallinfo2(void)
{
	struct mallinfo2 m = { 0 };
	struct stats s;

	if (!block_setup())
		return m;
	stats_take(&s);
	for (unsigned c = 0; c < CLASS_COUNT; c++) {
		m.ordblks += s.class[c].free;
		m.smblks += s.class[c].cached;
	}
	m.arena = s.unit_bytes + s.page_bytes;
	m.hblks = s.large_blocks;
	m.hblkhd = s.large_bytes;
	m.fsmblks = s.small_cached;
	m.uordblks = s.small_used + s.span_used;
	m.fordblks = m.arena - m.uordblks;
	m.keepcost = s.unit_dirty + s.span_dirty;
	return m;
}

static int clamp(size_t n)
{
	return n > INT_MAX ? INT_MAX : (int)n;
}

public
struct mallinfo mallinfo(void)
{
	struct mallinfo2 m = mallinfo2();

	return (struct mallinfo){
		.arena = clamp(m.arena),
		.ordblks = clamp(m.ordblks),
		.smblks = clamp(m.smblks),
		.hblks = clamp(m.hblks),
		.hblkhd = clamp(m.hblkhd),
		.fsmblks = clamp(m.fsmblks),
		.uordblks = clamp(m.uordblks),
		.fordblks = clamp(m.fordblks),
		.keepcost = clamp(m.keepcost),
	};
}

/* `pad` bytes stay at the top of the page runs; below it everything goes, as with glibc. */
public
int malloc_trim(size_t pad)
{
	uint64_t before;

	if (!block_setup())
		return 0;
	before = units.purged_bytes + spans.purged_bytes + sweep_bytes;
	cache_flush_mine();
	reap_all(pad);
	return units.purged_bytes + spans.purged_bytes + sweep_bytes != before;
}

public
void malloc_stats(void)
{
	struct stats s;
	struct out o;

	if (!block_setup())
		return;
	stats_take(&s);
	out_open(&o, 2);
	stats_print(&o, &s);
	out_close(&o);
}

public
int malloc_info(int options, FILE *stream)
{
	struct stats s;
	struct out o;

	if (options != 0) {
		errno = EINVAL;
		return -1;
	}
	if (!block_setup())
		return -1;
	stats_take(&s);
	out_open(&o, 2);
	o.stream = stream;
	stats_print_xml(&o, &s);
	out_flush(&o);
	return 0;
}
