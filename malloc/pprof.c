/*
 * pprof.c - writes the profile for pprof, and the leak report for people.
 *
 * How     A path that ends in .pb.gz gets the format of today's pprof (proto.c). Any other gets
 *         the older text format, followed by /proc/self/maps, from which pprof
 *         finds the symbols. Its figures are estimates for all requests, not of the samples:
 *         sites hold weighted sums already, so pprof has nothing to scale.
 *
 * SPDX-License-Identifier: MIT
 */
#include "os.h"
#include "profile.h"
#include "tune.h"

#include <fcntl.h>
#include <string.h>

#define SHOWN_MOST 100

static uint64_t live_bytes(const struct site *s)
{
	return (s->bytes - s->freed_bytes) / 1000;
}

static uint64_t live_blocks(const struct site *s)
{
	return (s->blocks - s->freed_blocks + 500) / 1000;
}

static void print_counts(struct out *o, const struct site *s)
{
	out_print(o, "%lu: %lu [%lu: %lu] @", live_blocks(s), live_bytes(s),
		  (s->blocks + 500) / 1000, s->bytes / 1000);
}

static void print_total(struct out *o)
{
	struct site all = { 0 };

	for (size_t i = 0; i < profile_count(); i++) {
		const struct site *s = profile_site(i);

		all.blocks += s->blocks;
		all.bytes += s->bytes;
		all.freed_blocks += s->freed_blocks;
		all.freed_bytes += s->freed_bytes;
	}
	out_text(o, "heap profile: ");
	print_counts(o, &all);
	out_text(o, " heapprofile\n");
}

static void copy_maps(struct out *o)
{
	static char buffer[4096];
	int fd = os_open("/proc/self/maps", O_RDONLY, 0);
	long n;

	if (fd < 0)
		return;
	while ((n = os_read(fd, buffer, sizeof(buffer))) > 0)
		out_bytes(o, buffer, (size_t)n);
	os_close(fd);
}

void profile_write(const char *path)
{
	static struct out o;
	const char *dot = strrchr(path, '.');

	if (dot && dot - path > 3 && !strcmp(dot - 3, ".pb.gz")) {
		profile_write_proto(path);
		return;
	}
	out_path(&o, path);
	print_total(&o);
	for (size_t i = 0; i < profile_count(); i++) {
		const struct site *s = profile_site(i);

		print_counts(&o, s);
		for (unsigned k = 0; k < s->depth; k++)
			out_print(&o, " 0x%lx", (unsigned long)s->frame[k]);
		out_text(&o, "\n");
	}
	out_text(&o, "\nMAPPED_LIBRARIES:\n");
	copy_maps(&o);
	out_close(&o);
}

/* The site with most live bytes below `under`, ties by number above `after`. */
static long largest(uint64_t under, long after)
{
	long best = -1;

	for (long i = 0; i < (long)profile_count(); i++) {
		uint64_t bytes = live_bytes(profile_site((size_t)i));

		if (!bytes || bytes > under || (bytes == under && i <= after))
			continue;
		if (best < 0 || bytes > live_bytes(profile_site((size_t)best)))
			best = i;
	}
	return best;
}

static void print_leak(struct out *o, const struct site *s)
{
	out_print(o, "%lu bytes in %lu blocks still allocated, from\n", live_bytes(s),
		  live_blocks(s));
	for (unsigned k = 0; k < s->depth; k++) {
		out_text(o, "    ");
		stack_name(o, s->frame[k]);
		out_text(o, "\n");
	}
}

void profile_write_leaks(struct out *o)
{
	uint64_t under = UINT64_MAX, all = 0;
	long i = -1;

	for (size_t k = 0; k < profile_count(); k++)
		all += live_bytes(profile_site(k));
	out_print(o, "quire-malloc: %lu bytes still allocated (%s, one sample per %zu bytes)\n",
		  all, tune.sample_bytes == 1 ? "exact" : "estimated", tune.sample_bytes);
	for (int shown = 0; shown < SHOWN_MOST; shown++) {
		i = largest(under, i);
		if (i < 0)
			break;
		under = live_bytes(profile_site((size_t)i));
		print_leak(o, profile_site((size_t)i));
	}
}
