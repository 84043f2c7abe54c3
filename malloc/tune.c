/*
 * tune.c - reads QUIRE_MALLOC, serves mallopt().
 *
 * SPDX-License-Identifier: MIT
 */
#include "tune.h"
#include "heap.h"
#include "os.h"
#include "report.h"

#include <string.h>

/* <malloc.h> has these, but declares functions that malloc.h declares differently. */
enum {
	M_TRIM_THRESHOLD = -1,
	M_TOP_PAD = -2,
	M_MMAP_THRESHOLD = -3,
	M_MMAP_MAX = -4,
	M_CHECK_ACTION = -5,
	M_PERTURB = -6,
	M_ARENA_TEST = -7,
	M_ARENA_MAX = -8,
	M_MXFAST = 1
};

extern char **environ;

struct tune tune = {
	.mmap_threshold = MMAP_THRESHOLD,
	.trim_threshold = MMAP_THRESHOLD,
	.mmap_max = 65536,
	.huge = true,
	.reaper = true,
};

static size_t number(const char *text, const char **end)
{
	size_t n = 0;

	while (*text >= '0' && *text <= '9')
		n = n * 10 + (size_t)(*text++ - '0');
	switch (*text) {
	case 'k':
	case 'K':
		n <<= 10;
		text++;
		break;
	case 'm':
	case 'M':
		n <<= 20;
		text++;
		break;
	case 'g':
	case 'G':
		n <<= 30;
		text++;
		break;
	}
	*end = text;
	return n;
}

struct setting {
	const char *name;
	enum { IS_SIZE, IS_BOOL, IS_INT, IS_PATH } kind;
	void *to;
};

static const struct setting settings[] = {
	{ "mmap_threshold", IS_SIZE, &tune.mmap_threshold },
	{ "trim_threshold", IS_SIZE, &tune.trim_threshold },
	{ "top_pad", IS_SIZE, &tune.top_pad },
	{ "arena_max", IS_SIZE, &tune.arena_max },
	{ "mmap_max", IS_SIZE, &tune.mmap_max },
	{ "sample", IS_SIZE, &tune.sample_bytes },
	{ "huge", IS_BOOL, &tune.huge },
	{ "reaper", IS_BOOL, &tune.reaper },
	{ "brk", IS_BOOL, &tune.brk },
	{ "hardened", IS_BOOL, &tune.hardened },
	{ "leaks", IS_BOOL, &tune.leaks },
	{ "stats", IS_BOOL, &tune.stats_at_exit },
	{ "signal", IS_INT, &tune.signal },
	{ "report", IS_PATH, tune.report },
	{ "profile", IS_PATH, tune.profile },
	{ "picture", IS_PATH, tune.picture },
	{ "timeline", IS_PATH, tune.timeline },
};

static const char *apply(const struct setting *s, const char *value)
{
	const char *end = value;
	size_t n;

	if (s->kind == IS_PATH) {
		end = value + strcspn(value, ",");
		n = (size_t)(end - value);
		if (n > sizeof(tune.report) - 1)
			n = sizeof(tune.report) - 1;
		memcpy(s->to, value, n);
		((char *)s->to)[n] = '\0';
		return end;
	}
	n = number(value, &end);
	if (s->kind == IS_SIZE)
		*(size_t *)s->to = n;
	else if (s->kind == IS_INT)
		*(int *)s->to = (int)n;
	else
		*(bool *)s->to = n != 0;
	return end;
}

static void complain(const char *at)
{
	static struct out o;

	out_open(&o, 2);
	out_text(&o, "quire-malloc: unknown or malformed setting in QUIRE_MALLOC: ");
	out_bytes(&o, at, strcspn(at, ","));
	out_text(&o, "\n");
	out_flush(&o);
}

static const char *parse_one(const char *at)
{
	size_t name = strcspn(at, "=,");
	const char *end;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strlen(settings[i].name) != name || memcmp(settings[i].name, at, name) ||
		    at[name] != '=')
			continue;
		end = apply(&settings[i], at + name + 1);
		if (!*end || *end == ',')
			return end;
		break;
	}
	complain(at);
	return at + strcspn(at, ",");
}

static void settle(size_t threshold, size_t trim)
{
	tune.fixed = tune.mmap_threshold != threshold || tune.trim_threshold != trim;
	tune.trim_set = tune.trim_threshold != trim;
	if ((tune.leaks || *tune.profile) && !tune.sample_bytes)
		tune.sample_bytes = (size_t)512 << 10;
	tune.watched = tune.hardened || tune.sample_bytes;
	tune.counts = tune.stats_at_exit || tune.signal || *tune.picture;
}

static const char *setting_text(void)
{
	for (char **e = environ; e && *e; e++)
		if (!strncmp(*e, "QUIRE_MALLOC=", 13))
			return *e + 13;
	return NULL;
}

bool tune_present(void)
{
	return setting_text() != NULL;
}

void tune_from_environment(void)
{
	size_t threshold = tune.mmap_threshold, trim = tune.trim_threshold;
	const char *at = setting_text();

	while (at && *at) {
		at = parse_one(at);
		if (*at == ',')
			at++;
	}
	settle(threshold, trim);
	tune.read = true;
}

int tune_route(void)
{
	if (tune.perturb || tune.hardened)
		return ROUTE_SLOW;
	return tune.sample_bytes || tune.counts ? ROUTE_FREE_FAST : ROUTE_FAST;
}

static int set_size(size_t *to, int value)
{
	*to = value < 0 ? SIZE_MAX : (size_t)value;
	tune.fixed = true;
	return 1;
}

/* 1: accepted, as mallopt() says it. */
int tune_set(int what, int value)
{
	switch (what) {
	case M_MMAP_THRESHOLD:
		return set_size(&tune.mmap_threshold, value);
	case M_TRIM_THRESHOLD:
		tune.trim_set = value >= 0;
		return set_size(&tune.trim_threshold, value);
	case M_TOP_PAD:
		return set_size(&tune.top_pad, value);
	case M_MMAP_MAX:
		return set_size(&tune.mmap_max, value);
	case M_PERTURB:
		tune.perturb = (unsigned char)value;
		heap_route(tune_route());
		return 1;
	case M_ARENA_MAX:
		tune.arena_max = value > 0 ? (size_t)value : 0;
		return value >= 0;
	case M_ARENA_TEST:
	case M_CHECK_ACTION:
		return 1;
	case M_MXFAST:
		return value >= 0 && value <= 160;
	default:
		return 0;
	}
}
