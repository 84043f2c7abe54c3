/*
 * benchseams.h - what phys and kmem ask of a program that is only a bench: to panic, and to relieve
 * pressure, which nothing can.
 *
 * Use     Include from one file per program. Unit tests have testram.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TEST_BENCHSEAMS_H
#define QUIRE_TEST_BENCHSEAMS_H

#include <stdio.h>
#include <stdlib.h>

#include "phys/pressure.h"

void quire_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "panic: %s:%d: %s\n", file, line, what);
	abort();
}

enum pressure_result pressure_relieve(struct phys *phys, gfp_t gfp, unsigned order)
{
	return PRESSURE_FAIL;
}

#endif
