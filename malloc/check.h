/*
 * check.h - asserts the invariants of the whole heap, for tests.
 *
 * Use     heap_check() while no other thread allocates; NULL, or the tag of what does not hold.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_CHECK_H
#define QUIRE_MALLOC_CHECK_H

const char *heap_check(void);

#endif
