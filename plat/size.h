/*
 * size.h - sizes as people write them: 64M, 1G, 4096.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PLAT_SIZE_H
#define QUIRE_PLAT_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads a number with K, M, G or T (powers of 1024; "MiB", "mb" mean the same) at the start of the
 * text; *end is what follows. False where there is none, or it is too large.
 */
bool size_scan(const char *text, const char **end, uint64_t *bytes);
/* The same for a whole text. */
bool size_parse(const char *text, uint64_t *bytes);
/* "512M-640M", half open, not empty, and nothing behind it. */
bool size_parse_range(const char *text, uint64_t *start, uint64_t *end);

#endif
