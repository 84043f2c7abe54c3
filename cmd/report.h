/*
 * report.h - a run's report as text and as JSON, and what was expected of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_CMD_REPORT_H
#define QUIRE_CMD_REPORT_H

#include <stdio.h>

#include "quire/run.h"

void report_text(FILE *out, const struct quire_report *r, char **argv);
/* Keys are stable: docs/report.md. 0, or -1 when it could not be written. */
int report_json(FILE *out, const struct quire_report *r, char **argv);
/* One line for a terminal, as the run goes on. */
void report_progress(const struct quire_report *r);

/* "pgmajfault < 500": a counter or number of the report, an operator, a number. */
struct expectation {
	char name[64];
	char op[3];
	uint64_t number;
	const char *text; /* as given */
};

/* Parses one; false with a message in `why`. */
bool expectation_parse(struct expectation *e, const char *text, const char **why);
/* Does the report meet it? *actual gets the value. false also where the name is unknown. */
bool expectation_met(const struct expectation *e, const struct quire_report *r, uint64_t *actual);
/* Writes a JUnit file with one test case for the program and one for each expectation. 0 or -1. */
int report_junit(const char *path, const struct quire_report *r, char **argv,
		 const struct expectation *e, unsigned int nr);

/* The exit status that the program's end means: its own, or 128 + the signal. */
int report_exit_status(const struct quire_report *r);

#endif
