/*
 * format.h - a small snprintf for the core's own lines: boot log, OOM report, leak report.
 *
 * Use     %s %c %d %u %x %ld %lu %lx %lld %llu %llx %zu %p %%, with a width, '-' and '0'. No
 *         floating point.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_BASE_FORMAT_H
#define QUIRE_BASE_FORMAT_H

#include <stdarg.h>

#include "base/types.h"

/*
 * Writes at most `size` bytes, the final NUL included; returns the length that all of it would have
 * had.
 */
size_t format(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
size_t vformat(char *buf, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

#endif
