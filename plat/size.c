/*
 * size.c - reads sizes and ranges.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plat/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool size_scan(const char *text, const char **end, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned int shift;
	char *at;

	errno = 0;
	*bytes = strtoull(text, &at,
			  text[0] == '0' && tolower((unsigned char)text[1]) == 'x' ? 16 : 10);
	if (errno || at == text || !isdigit((unsigned char)*text))
		return false;
	unit = *at ? strchr(units, toupper((unsigned char)*at)) : NULL;
	shift = unit ? 10 * (unsigned int)(unit - units + 1) : 0;
	if (unit)
		at++;
	if (shift && toupper((unsigned char)*at) == 'I')
		at++;
	if (toupper((unsigned char)*at) == 'B')
		at++;
	if (*bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	*end = at;
	return true;
}

bool size_parse(const char *text, uint64_t *bytes)
{
	return size_scan(text, &text, bytes) && !*text;
}

bool size_parse_range(const char *text, uint64_t *start, uint64_t *end)
{
	return size_scan(text, &text, start) && *text == '-' && size_parse(text + 1, end) &&
	       *start < *end;
}
