/*
 * reap.c - the reaper: a task of about ten system calls a second while there is work.
 *
 * How     `state` is claimed by compare-and-swap. The task gives it up before it leaves, then
 *         looks once more, so that no note is lost; two stacks alternate, because the next task
 *         may start while the last one is still on its way out.
 * Why     "Within a second, without a call by the program" needs somebody else's time; a signal
 *         would interrupt the program's system calls, a C library thread would show up in it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "reap.h"
#include "os.h"
#include "slab.h"
#include "span.h"
#include "stats.h"
#include "sweep.h"
#include "tune.h"
#include "units.h"

#include <stdatomic.h>

#define IDLE_TICKS     10
#define STACK_BYTES    16384
#define NOTES_PER_LOOK 256

uint32_t reap_ticks = REAP_AGE + 1;
struct lock reap_lock;

static struct {
	char stack[STACK_BYTES];
	char control_block[512]; /* stays zero: os_spawn */
} place[2] __attribute__((aligned(64)));

static _Atomic uint32_t state; /* 1: a reaper runs, or is being started */
static _Atomic uint32_t refused; /* 1: it cannot be started here */
static uint32_t turn;
static uint64_t last_look_ns;
static _Atomic uint32_t notes;

static size_t dirty_bytes_now(void)
{
	return ((size_t)relaxed(units.dirty) << UNIT_SHIFT) + (spans.dirty_pages << PAGE_SHIFT);
}

static void tick(void)
{
	uint32_t now = __atomic_add_fetch(&reap_ticks, 1, __ATOMIC_RELAXED);

	lock_take(&reap_lock);
	units_purge(now - REAP_AGE);
	span_purge(now - REAP_AGE);
	slab_sweep(now - REAP_AGE);
	if (unlikely(*tune.timeline))
		stats_timeline_tick();
	lock_give(&reap_lock);
}

static bool claim(void)
{
	uint32_t none = 0;

	return atomic_compare_exchange_strong(&state, &none, 1);
}

static uint64_t returned_bytes(void)
{
	return units.purged_bytes + spans.purged_bytes + sweep_bytes;
}

static int reaper(void)
{
	uint64_t before;
	int idle = 0;

	for (;;) {
		os_sleep_ms(REAP_TICK_MS);
		before = returned_bytes();
		tick();
		idle = dirty_bytes_now() < REAP_FROM && returned_bytes() == before ? idle + 1 : 0;
		if (idle < IDLE_TICKS || *tune.timeline)
			continue;
		atomic_store(&state, 0);
		if (dirty_bytes_now() < REAP_FROM || !claim())
			return 0;
		idle = 0;
	}
}

/* No reaper: a look at the clock every so many notes. */
static void tick_by_note(void)
{
	uint64_t now;

	if (atomic_fetch_add(&notes, 1) % NOTES_PER_LOOK)
		return;
	now = os_now_ns();
	if (now - last_look_ns < REAP_TICK_MS * 1000000ull)
		return;
	last_look_ns = now;
	tick();
}

cold void reap_start(size_t dirty_bytes)
{
	(void)dirty_bytes;
	if (atomic_load_explicit(&state, memory_order_relaxed))
		return;
	if (!tune.reaper || atomic_load(&refused)) {
		tick_by_note();
		return;
	}
	if (!claim())
		return;
	turn ^= 1;
	if (os_spawn(reaper, place[turn].stack + STACK_BYTES, place[turn].control_block)) {
		atomic_store(&refused, 1);
		atomic_store(&state, 0);
	}
}

void reap_forked(void)
{
	atomic_store(&state, 0);
	atomic_store(&reap_lock.state, 0);
}

void reap_all(size_t pad)
{
	lock_take(&reap_lock);
	units_purge(UINT32_MAX);
	span_trim(pages_for(pad < PTRDIFF_MAX ? pad : PTRDIFF_MAX));
	slab_sweep(UINT32_MAX);
	lock_give(&reap_lock);
}
