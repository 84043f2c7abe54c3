/*
 * posix.c - what the core needs from a hosted program.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

void quire_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "quire: BUG at %s:%d: %s\n", file, line, what);
	abort();
}
