/*
 * block.h - every request and release that the fast paths of malloc.c do not serve.
 *
 * How     By size: a class's slabs, a run of pages, a mapping. By address, for a block that
 *         comes back: the zone it lies in says which of them it is, or that it is none.
 * Use     All return NULL without setting errno; malloc.c sets it. A pointer that is no block
 *         stops the program (report.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_BLOCK_H
#define QUIRE_MALLOC_BLOCK_H

#include "layout.h"

enum block_zero { BLOCK_ANY, BLOCK_ZERO };

must_use void *block_alloc(size_t bytes, size_t align, enum block_zero zero);
must_use void *block_pop(size_t bytes); /* what is at hand and needs no sample, or NULL */
void block_free(void *block);
must_use void *block_resize(void *block, size_t bytes);
size_t block_usable(const void *block);
bool block_setup(void); /* once, by whoever comes first */

#endif
