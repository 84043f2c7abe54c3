/*
 * testram.h - a machine's RAM for unit tests and benches of phys and kmem, and the two seams that
 * they link.
 *
 * Use     struct testram t; testram_boot(&t, config) fills in what the config leaves open;
 *         testram_end(&t). EXPECT_PANIC(statement) passes if the statement panics. Include from one
 *         file per program.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TEST_TESTRAM_H
#define QUIRE_TEST_TESTRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "phys/alloc.h"
#include "phys/pressure.h"

struct testram {
	struct phys phys;
	void *ram;
	size_t bytes;
};

static jmp_buf panic_jump;
static bool panic_expected;
static char panic_text[256];

void quire_panic(const char *file, int line, const char *what)
{
	snprintf(panic_text, sizeof(panic_text), "%s:%d: %s", file, line, what);
	if (panic_expected)
		longjmp(panic_jump, 1);
	fprintf(stderr, "panic: %s\n", panic_text);
	abort();
}

/* Without checks there is nothing to expect. */
#define EXPECT_PANIC(statement)                                                                    \
	do {                                                                                       \
		if (QUIRE_CHECK == 0)                                                              \
			break;                                                                     \
		panic_expected = true;                                                             \
		if (setjmp(panic_jump) == 0) {                                                     \
			statement;                                                                 \
			panic_expected = false;                                                    \
			fail_msg("no panic");                                                      \
		}                                                                                  \
		panic_expected = false;                                                            \
		lock_forget_held();                                                                \
	} while (0)

/* What the seam does: by default nothing can be done. */
static enum pressure_result (*test_pressure)(struct phys *phys, gfp_t gfp, unsigned order);

enum pressure_result pressure_relieve(struct phys *phys, gfp_t gfp, unsigned order)
{
	return test_pressure ? test_pressure(phys, gfp, order) : PRESSURE_FAIL;
}

/* The result of phys_boot(). */
static inline int testram_try(struct testram *t, struct phys_config config)
{
	u64 pages = config.max_pages > config.nr_pages ? config.max_pages : config.nr_pages;

	t->bytes = pages * PAGE_SIZE;
	t->ram = mmap(NULL, t->bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->ram == MAP_FAILED)
		abort();
	config.ram = t->ram;
	return phys_boot(&t->phys, &config);
}

static inline void testram_boot(struct testram *t, struct phys_config config)
{
	if (testram_try(t, config) != 0)
		abort();
}

/* The CPU of the calling thread, which sets it. */
static __thread unsigned testram_cpu;

static inline unsigned testram_this_cpu(void *arg)
{
	(void)arg;
	return testram_cpu;
}

/* 64 MiB and four CPUs, for threads. */
static inline void testram_boot_cpus(struct testram *t, enum lock_mode mode)
{
	testram_boot(t, (struct phys_config){ .nr_pages = (u64)64 << (20 - PAGE_SHIFT),
					      .nr_cpus = 4,
					      .locks = mode,
					      .this_cpu = testram_this_cpu });
}

static inline void testram_end(struct testram *t)
{
	phys_shutdown(&t->phys);
	munmap(t->ram, t->bytes);
}

#define MIB(n) ((u64)(n) << (20 - PAGE_SHIFT)) /* frames */

/* Frames of the struct pages of so many frames. */
static inline u64 map_pages(u64 frames)
{
	return frames * sizeof(struct page) >> PAGE_SHIFT;
}

#endif
