/*
 * expect.c - "--expect 'pgmajfault < 500'": what a test asks of a run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/report.h"

bool expectation_parse(struct expectation *e, const char *text, const char **why)
{
	const char *at = text;
	size_t len;
	char *end;

	e->text = text;
	*why = "expected NAME OPERATOR NUMBER, as in 'pgmajfault < 500'";
	at += strspn(at, " \t");
	len = strcspn(at, " \t<>=!");
	if (!len || len >= sizeof(e->name))
		return false;
	memcpy(e->name, at, len);
	e->name[len] = '\0';
	if (!quire_report_knows(e->name)) {
		*why = "there is no counter of that name; --json shows them all";
		return false;
	}
	at += len + strspn(at + len, " \t");
	len = strspn(at, "<>=!");
	if (!len || len > 2)
		return false;
	memcpy(e->op, at, len);
	e->op[len] = '\0';
	if (strcmp(e->op, "<") && strcmp(e->op, "<=") && strcmp(e->op, ">") &&
	    strcmp(e->op, ">=") && strcmp(e->op, "==") && strcmp(e->op, "!=")) {
		*why = "the operator must be one of < <= > >= == !=";
		return false;
	}
	at += len + strspn(at + len, " \t");
	errno = 0;
	e->number = strtoull(at, &end, 10);
	if (!isdigit((unsigned char)*at) || errno || *(end + strspn(end, " \t"))) {
		*why = "the number must be a whole one, from 0 up";
		return false;
	}
	return true;
}

bool expectation_met(const struct expectation *e, const struct quire_report *r, uint64_t *actual)
{
	*actual = 0;
	if (!quire_report_value(r, e->name, actual))
		return false;
	if (!strcmp(e->op, "<"))
		return *actual < e->number;
	if (!strcmp(e->op, "<="))
		return *actual <= e->number;
	if (!strcmp(e->op, ">"))
		return *actual > e->number;
	if (!strcmp(e->op, ">="))
		return *actual >= e->number;
	if (!strcmp(e->op, "=="))
		return *actual == e->number;
	return *actual != e->number;
}
