/*
 * call_test.c - random programs against a naive model, on whole machines of all sizes.
 *
 * Use     QUIRE_SEEDS=N and QUIRE_STEPS=N make it longer; QUIRE_SEED=S runs that one alone,
 *         QUIRE_TEST=NAME that test; QUIRE_TRACE=1 shows each call.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/model.h"

static u64 setting(const char *name, u64 otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static struct model md;
static const char *what;

/* A failed assertion or invariant names the run that shows it. */
static void name_run(void)
{
	if (what)
		fprintf(stderr, "# %s: QUIRE_SEED=%llu, step %llu\n", what,
			(unsigned long long)md.config.seed, (unsigned long long)md.step);
}

/* QUIRE_NUMBERS=1: did the run meet what it is for? */
static void show_numbers(void)
{
	static const enum vm_stat_item items[] = {
		PGFAULT,	 PGMAJFAULT,   PSWPIN,		 PSWPOUT,	   SWPIN_ZERO,
		QUIRE_FAULT_COW, PGREUSE,      QUIRE_FAULT_SOFT, QUIRE_FAULT_FILE, SWAP_RA_HIT,
		OOM_KILL,	 PGSTEAL_FILE, QUIRE_COLLAPSE
	};
	unsigned int i;

	if (!setting("QUIRE_NUMBERS", 0))
		return;
	fprintf(stderr, "# %s %llu:", what, (unsigned long long)md.config.seed);
	for (i = 0; i < array_size(items); i++)
		fprintf(stderr, " %s %llu", stat_info(items[i])->name,
			(unsigned long long)stat_read(&md.w.m.phys.stat, items[i]));
	fprintf(stderr, "\n");
}

/* What goes wrong in between, before a step. */
typedef void (*trouble)(void);

static void run(const char *name, struct model_config config, u64 steps, trouble make_trouble)
{
	u64 seeds = setting("QUIRE_SEEDS", 3), s;
	u64 only = setting("QUIRE_SEED", 0), i;

	name_run();
	steps = setting("QUIRE_STEPS", steps);
	md.w.verbose = setting("QUIRE_TRACE", 0);
	for (s = 1; s <= seeds; s++) {
		config.seed = only ? only : s;
		what = name;
		model_open(&md, config);
		for (i = 0; i < steps; i++) {
			if (make_trouble)
				make_trouble();
			model_step(&md);
			model_compare(&md);
		}
		show_numbers();
		model_close(&md);
		what = NULL;
		if (only)
			break;
	}
}

static void with_plenty(void **state)
{
	(void)state;
	run("plenty",
	    (struct model_config){ .world = { .ram_pages = 4096, .swap_pages = 1024 },
				   .reach = 200 },
	    250, NULL);
}

static void swapping(void **state)
{
	(void)state;
	run("swapping",
	    (struct model_config){
		    .world = { .ram_pages = 256, .swap_pages = 4096, .min_free_kbytes = 64 },
		    .reach = 200 },
	    250, NULL);
}

/* Hardly more frames than the tables and the pages locked in them. */
static void cramped(void **state)
{
	(void)state;
	run("cramped",
	    (struct model_config){
		    .world = { .ram_pages = 160, .swap_pages = 4096, .min_free_kbytes = 32 },
		    .reach = 150 },
	    250, NULL);
}

/* Swap does not suffice: victims die, and the rest is as it was. */
static void without_swap(void **state)
{
	(void)state;
	run("without swap",
	    (struct model_config){ .world = { .ram_pages = 256, .min_free_kbytes = 64 },
				   .oom = OOM_HAPPENS,
				   .reach = 200 },
	    300, NULL);
	assert_true(md.w.kills > 0);
}

static void little_swap(void **state)
{
	(void)state;
	run("little swap",
	    (struct model_config){
		    .world = { .ram_pages = 256, .swap_pages = 60, .min_free_kbytes = 64 },
		    .oom = OOM_HAPPENS,
		    .reach = 200 },
	    300, NULL);
}

static u64 failed;

static void break_swap(void)
{
	struct test_device *d = &md.w.swap;

	md.io_errors = true;
	failed += d->write.failed + d->read.failed;
	d->write.failed = d->read.failed = 0;
	if (model_below(&md, 4) == 0)
		d->write = (struct failing){ .nth = 1 + model_below(&md, 5),
					     .error = model_below(&md, 2) ? 5 : 28 };
	if (model_below(&md, 4) == 0)
		d->read = (struct failing){ .nth = 1 + model_below(&md, 5),
					    .error = model_below(&md, 2) ? 5 : 0 };
	if (model_below(&md, 8) == 0)
		md.file.read = (struct failing){ .nth = 1, .error = 5 };
}

/* The swap device and the file fail now and then: no byte is lost, an access may end in SIGBUS. */
static void failing_devices(void **state)
{
	(void)state;
	run("failing devices",
	    (struct model_config){
		    .world = { .ram_pages = 256, .swap_pages = 4096, .min_free_kbytes = 64 },
		    .oom = OOM_HAPPENS,
		    .reach = 200 },
	    300, break_swap);
	assert_true(failed > 0);
}

static void lose_windows(void)
{
	if (model_below(&md, 6) == 0)
		md.w.no_room = 1;
}

/* The back end has no room for a translation: the access is made again. */
static void no_room(void **state)
{
	(void)state;
	run("no room",
	    (struct model_config){
		    .world = { .ram_pages = 256, .swap_pages = 4096, .min_free_kbytes = 64 },
		    .reach = 200 },
	    300, lose_windows);
}

static void fail_allocation(void)
{
	md.out_of_memory = md.w.refused = true;
	md.w.m.phys.fault = (struct phys_fault){ .nth = 1 + model_below(&md, 12) };
}

/* One allocation of each step fails: -ENOMEM and nothing lost, or nothing noticed. */
static void failing_allocations(void **state)
{
	(void)state;
	run("failing allocations",
	    (struct model_config){ .world = { .ram_pages = 512, .swap_pages = 4096 },
				   .oom = OOM_HAPPENS,
				   .reach = 200 },
	    300, fail_allocation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_plenty), cmocka_unit_test(swapping),
		cmocka_unit_test(cramped),     cmocka_unit_test(without_swap),
		cmocka_unit_test(little_swap), cmocka_unit_test(failing_devices),
		cmocka_unit_test(no_room),     cmocka_unit_test(failing_allocations),
	};

	atexit(name_run);
	if (getenv("QUIRE_TEST"))
		cmocka_set_test_filter(getenv("QUIRE_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
