/*
 * report.h - text without malloc: messages that end the program, and buffered output.
 *
 * Use     report_*() name the block, its size and what is known about it, then abort().
 *         A struct out collects text and writes it to a descriptor.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_REPORT_H
#define QUIRE_MALLOC_REPORT_H

#include "layout.h"

_Noreturn void report_double_free(const void *block);
_Noreturn void report_written(const void *block);
_Noreturn void report_invalid_free(const void *block);
_Noreturn void report_overflow(const void *block);

struct out {
	void *stream; /* a FILE to write to, or NULL */
	int fd;
	unsigned used;
	char text[4000];
};

void out_open(struct out *o, int fd);
void out_path(struct out *o, const char *path); /* empty: standard error */
void out_close(struct out *o); /* flushes; closes what out_path opened */
void out_flush(struct out *o);
void out_bytes(struct out *o, const void *bytes, size_t count);
void out_text(struct out *o, const char *text);
__attribute__((format(printf, 2, 3))) void out_print(struct out *o, const char *format, ...);

#endif
