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
	static const enum vm_stat_item items[] = { PGFAULT,	PGMAJFAULT,	  PSWPIN,
						   PSWPOUT,	SWPIN_ZERO,	  QUIRE_FAULT_COW,
						   PGREUSE,	QUIRE_FAULT_SOFT, QUIRE_FAULT_FILE,
						   SWAP_RA_HIT, OOM_KILL,	  PGSTEAL_FILE };
	unsigned int i;

	if (!setting("QUIRE_NUMBERS", 0))
		return;
	fprintf(stderr, "# %s %llu:", what, (unsigned long long)md.config.seed);
	for (i = 0; i < array_size(items); i++)
		fprintf(stderr, " %s %llu", stat_info(items[i])->name,
			(unsigned long long)stat_read(&md.w.m.phys.stat, items[i]));
	fprintf(stderr, "\n");
}

static void run(const char *name, struct model_config config, u64 steps)
{
	u64 seeds = setting("QUIRE_SEEDS", 5), s;
	u64 only = setting("QUIRE_SEED", 0), i;

	name_run();
	steps = setting("QUIRE_STEPS", steps);
	md.w.verbose = setting("QUIRE_TRACE", 0);
	for (s = 1; s <= seeds; s++) {
		config.seed = only ? only : s;
		what = name;
		model_open(&md, config);
		for (i = 0; i < steps; i++) {
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
	    400);
}

static void swapping(void **state)
{
	(void)state;
	run("swapping",
	    (struct model_config){
		    .world = { .ram_pages = 256, .swap_pages = 4096, .min_free_kbytes = 64 },
		    .reach = 200 },
	    400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_plenty),
		cmocka_unit_test(swapping),
	};

	atexit(name_run);
	if (getenv("QUIRE_TEST"))
		cmocka_set_test_filter(getenv("QUIRE_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
