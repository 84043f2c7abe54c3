/*
 * check.h - require() for callers' mistakes, invariant() for ours; both stop the program.
 *
 * Use     require(cond)           the caller broke the contract of this function
 *         invariant(TAG, cond)    this module broke the numbered invariant TAG of its opener
 *         invariant2(TAG, cond)   the same, checked from level 2 (costs more than constant time)
 *         BUG(what)               a place that cannot be reached
 * Levels  QUIRE_CHECK 0 none, 1 constant time (default, release too), 2 neighbours, 3 S_check()
 *         after each change. Operating errors (no memory, I/O) are returned, never asserted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_BASE_CHECK_H
#define QUIRE_BASE_CHECK_H

#include "base/types.h"

#ifndef QUIRE_CHECK
#define QUIRE_CHECK 1
#endif

/*
 * Reports and ends the program (or the test: it may longjmp). Never returns. Supplied by the
 * platform.
 */
extern void quire_panic(const char *file, int line, const char *what)
	__attribute__((noreturn, cold));

#define BUG(what) quire_panic(__FILE__, __LINE__, what)
#define check_at(level, cond, text)                                                                \
	do {                                                                                       \
		if (QUIRE_CHECK >= (level) && unlikely(!(cond)))                                   \
			BUG(text);                                                                 \
	} while (0)

#define require(cond)	      check_at(1, cond, "require: " #cond)
#define invariant(tag, cond)  check_at(1, cond, "invariant " #tag ": " #cond)
#define invariant2(tag, cond) check_at(2, cond, "invariant " #tag ": " #cond)

#endif
