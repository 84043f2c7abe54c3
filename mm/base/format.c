/*
 * format.c - the small snprintf of format.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/format.h"

/* Where the text goes, and how long all of it is. */
struct sink {
	char *buf;
	size_t size;
	size_t length;
};

/* One conversion: %[-][0][width][l..]x */
struct spec {
	bool left;
	bool zero;
	unsigned width;
	unsigned longs;
	char kind;
};

static void emit(struct sink *sink, char c)
{
	if (sink->length + 1 < sink->size)
		sink->buf[sink->length] = c;
	sink->length++;
}

static void emit_padded(struct sink *sink, const char *text, size_t length, const struct spec *spec)
{
	size_t pad = spec->width > length ? spec->width - length : 0, i;

	if (!spec->left && spec->zero && length && text[0] == '-') {
		emit(sink, '-');
		text++;
		length--;
	}
	for (i = 0; !spec->left && i < pad; i++)
		emit(sink, spec->zero ? '0' : ' ');
	for (i = 0; i < length; i++)
		emit(sink, text[i]);
	for (i = 0; spec->left && i < pad; i++)
		emit(sink, ' ');
}

static void emit_number(struct sink *sink, u64 value, bool negative, const struct spec *spec)
{
	unsigned base = spec->kind == 'x' || spec->kind == 'p' ? 16 : 10;
	char digits[24];
	unsigned at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		digits[--at] = '-';
	emit_padded(sink, digits + at, sizeof(digits) - at, spec);
}

static void emit_signed(struct sink *sink, s64 value, const struct spec *spec)
{
	emit_number(sink, value < 0 ? 0 - (u64)value : (u64)value, value < 0, spec);
}

static void emit_string(struct sink *sink, const char *text, const struct spec *spec)
{
	size_t length = 0;

	if (!text)
		text = "(null)";
	while (text[length])
		length++;
	emit_padded(sink, text, length, spec);
}

static const char *parse_spec(const char *fmt, struct spec *spec)
{
	*spec = (struct spec){ 0 };
	for (;; fmt++) {
		if (*fmt == '-')
			spec->left = true;
		else if (*fmt == '0')
			spec->zero = true;
		else
			break;
	}
	for (; *fmt >= '0' && *fmt <= '9'; fmt++)
		spec->width = spec->width * 10 + (unsigned)(*fmt - '0');
	for (; *fmt == 'l' || *fmt == 'z'; fmt++)
		spec->longs++;
	spec->kind = *fmt;
	return *fmt ? fmt + 1 : fmt;
}

size_t vformat(char *buf, size_t size, const char *fmt, va_list args)
{
	struct sink sink = { buf, size, 0 };
	struct spec spec;
	char c;

	while (*fmt) {
		if (*fmt != '%') {
			emit(&sink, *fmt++);
			continue;
		}
		fmt = parse_spec(fmt + 1, &spec);
		switch (spec.kind) {
		case 's':
			emit_string(&sink, va_arg(args, const char *), &spec);
			break;
		case 'c':
			c = (char)va_arg(args, int);
			emit_padded(&sink, &c, 1, &spec);
			break;
		case 'd':
			emit_signed(&sink,
				    spec.longs > 1 ? va_arg(args, long long)
				    : spec.longs   ? va_arg(args, long)
						   : va_arg(args, int),
				    &spec);
			break;
		case 'u':
		case 'x':
			emit_number(&sink,
				    spec.longs > 1 ? va_arg(args, unsigned long long)
				    : spec.longs   ? va_arg(args, unsigned long)
						   : va_arg(args, unsigned),
				    false, &spec);
			break;
		case 'p':
			emit_number(&sink, (uintptr_t)va_arg(args, void *), false, &spec);
			break;
		default:
			emit(&sink, spec.kind ? spec.kind : '%');
		}
	}
	if (size)
		buf[sink.length < size ? sink.length : size - 1] = '\0';
	return sink.length;
}

size_t format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	size_t length;

	va_start(args, fmt);
	length = vformat(buf, size, fmt, args);
	va_end(args);
	return length;
}
