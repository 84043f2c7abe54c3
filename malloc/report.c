/*
 * report.c - says what is wrong with a block, and stops; and the output buffer.
 *
 * How     out_print() knows %s, %c, %d, %u, %x, %p, %zu, %lu, %lx with an optional width: the C
 *         library's printf may allocate.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report.h"
#include "classes.h"
#include "os.h"
#include "slab.h"
#include "span.h"
#include "units.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void out_open(struct out *o, int fd)
{
	o->stream = NULL;
	o->fd = fd;
	o->used = 0;
}

/* "%p" in a path is the process: programs start others, and they inherit the settings. */
void out_path(struct out *o, const char *path)
{
	const char *mark = strstr(path, "%p");
	int fd = 2;

	out_open(o, 2);
	out_bytes(o, path, mark ? (size_t)(mark - path) : strlen(path));
	if (mark) {
		out_print(o, "%d", os_pid());
		out_text(o, mark + 2);
	}
	out_bytes(o, "", 1);
	if (*path)
		fd = os_open(o->text, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	out_open(o, fd < 0 ? 2 : fd);
}

void out_flush(struct out *o)
{
	if (o->stream)
		fwrite(o->text, 1, o->used, o->stream);
	else
		os_write(o->fd, o->text, o->used);
	o->used = 0;
}

void out_close(struct out *o)
{
	out_flush(o);
	if (o->fd > 2)
		os_close(o->fd);
}

void out_bytes(struct out *o, const void *bytes, size_t count)
{
	const char *at = bytes;

	while (count) {
		size_t n = sizeof(o->text) - o->used;

		if (n > count)
			n = count;
		memcpy(o->text + o->used, at, n);
		o->used += (unsigned)n;
		at += n;
		count -= n;
		if (o->used == sizeof(o->text))
			out_flush(o);
	}
}

void out_text(struct out *o, const char *text)
{
	out_bytes(o, text, strlen(text));
}

static void out_number(struct out *o, unsigned long value, unsigned base, int width, char pad)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n < width && n < (int)sizeof(digits))
		digits[n++] = pad;
	while (n)
		out_bytes(o, &digits[--n], 1);
}

static void out_signed(struct out *o, long value, int width)
{
	if (value < 0)
		out_text(o, "-");
	out_number(o, value < 0 ? 0 - (unsigned long)value : (unsigned long)value, 10, width, ' ');
}

static const char *out_one(struct out *o, const char *f, va_list *args)
{
	char pad = *f == '0' ? '0' : ' ';
	int width = 0;
	bool wide = false;

	while (*f >= '0' && *f <= '9')
		width = width * 10 + (*f++ - '0');
	while (*f == 'l' || *f == 'z') {
		wide = true;
		f++;
	}
	if (*f == 's')
		out_text(o, va_arg(*args, const char *));
	else if (*f == 'c')
		out_bytes(o, &(char){ (char)va_arg(*args, int) }, 1);
	else if (*f == 'd')
		out_signed(o, wide ? va_arg(*args, long) : va_arg(*args, int), width);
	else if (*f == 'p')
		out_print(o, "0x%lx", (unsigned long)va_arg(*args, void *));
	else if (*f == 'u' || *f == 'x')
		out_number(o, wide ? va_arg(*args, unsigned long) : va_arg(*args, unsigned),
			   *f == 'u' ? 10 : 16, width, pad);
	else
		out_bytes(o, f, 1);
	return f + 1;
}

void out_print(struct out *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	while (*format) {
		size_t plain = strcspn(format, "%");

		out_bytes(o, format, plain);
		format += plain;
		if (*format)
			format = out_one(o, format + 1, &args);
	}
	va_end(args);
}

static void describe(struct out *o, const void *block)
{
	uint32_t unit = unit_of(block);

	if (heap_base && zone_has(&heap.units, block) && unit < units_top() &&
	    slab_at(unit)->in_use)
		out_print(o, " (slab %u of blocks of %u bytes, offset %u)", unit,
			  class_info[slab_at(unit)->class].bytes,
			  (unsigned)((uintptr_t)block & (UNIT_BYTES - 1)));
	else if (heap_base && zone_has(&heap.pages, block))
		out_print(o, " (in the zone of page runs, page %zu)", page_of(block));
	else if (heap_base && zone_has(&heap.units, block))
		out_text(o, " (in a part of the heap that holds no blocks now)");
	else
		out_text(o, " (not in the heap)");
}

static _Noreturn void stop(const char *what, const void *block)
{
	static struct out o;

	out_open(&o, 2);
	out_print(&o, "quire-malloc: %s %p", what, block);
	describe(&o, block);
	out_text(&o, "\n");
	out_flush(&o);
	abort();
}

cold void report_double_free(const void *block)
{
	stop("double free of block", block);
}

cold void report_written(const void *block)
{
	stop("written after free, or overrun from below, block", block);
}

cold void report_invalid_free(const void *block)
{
	stop("invalid free of", block);
}

cold void report_overflow(const void *block)
{
	stop("overrun past the end of block", block);
}
