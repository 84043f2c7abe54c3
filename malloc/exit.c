/*
 * exit.c - the reports that were asked for, when the program ends or a signal comes.
 *
 * How     A constructor installs the signal's handler, a destructor writes the reports. The handler
 *         only formats counts and calls write(2); the profile is left to the end. Without
 *         settings neither does anything: a program that never allocates pays nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "block.h"
#include "os.h"
#include "profile.h"
#include "reap.h"
#include "stats.h"
#include "tune.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

static struct out report;
static struct stats stats;
static int timeline = -1;
static uint64_t started_ns;

static void write_stats(void)
{
	stats_take(&stats);
	out_path(&report, tune.report);
	stats_print(&report, &stats);
	out_close(&report);
}

static void on_signal(int number)
{
	(void)number;
	write_stats();
	if (*tune.picture)
		picture_write(tune.picture);
}

static void write_leaks(void)
{
	out_path(&report, tune.stats_at_exit ? "" : tune.report);
	profile_write_leaks(&report);
	out_close(&report);
}

void stats_timeline_start(void)
{
	timeline = os_open(tune.timeline, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	started_ns = os_now_ns();
	os_write(timeline, "ms,live_bytes,free_resident_bytes,mapped_bytes\n", 47);
	reap_start(0);
}

/* Called by the reaper, a bare task: no thread-local storage. */
void stats_timeline_tick(void)
{
	static struct stats now;
	static struct out o;

	if (timeline < 0)
		return;
	stats_take(&now);
	out_open(&o, timeline);
	out_print(&o, "%lu,%zu,%zu,%zu\n", (unsigned long)((os_now_ns() - started_ns) / 1000000),
		  now.live_bytes, now.unit_dirty + now.span_dirty + now.small_free,
		  now.large_bytes);
	out_flush(&o);
}

__attribute__((constructor)) static void at_start(void)
{
	struct sigaction action;

	if (!tune_present() || !block_setup())
		return;
	if (*tune.timeline)
		stats_timeline_start();
	if (!tune.signal)
		return;
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESTART;
	sigaction(tune.signal, &action, NULL);
}

__attribute__((destructor)) static void at_exit(void)
{
	if (tune.sample_bytes)
		profile_stop();
	if (tune.stats_at_exit)
		write_stats();
	if (tune.leaks)
		write_leaks();
	if (*tune.profile)
		profile_write(tune.profile);
	if (*tune.picture)
		picture_write(tune.picture);
	stats_timeline_tick();
}
