/*
 * profile.h - sampled blocks and the stacks that asked for them.
 *
 * How     While a profile is wanted, malloc's tables lead to block.c (heap_route), which counts
 *         bytes down per thread; each time sample_bytes have gone by, the request gets pages of
 *         its own and its stack is recorded. So free() of all other blocks runs as fast as ever:
 *         a sampled block is recognised by where it lies.
 * Use     profile_alloc() from block.c; profile_each() for the reports.
 * Holds   A tag's `sample` is the number of the record of the block on those pages, or 0.
 * Locks   profile_lock guards the records. Outermost: nothing else is held when it is taken.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_PROFILE_H
#define QUIRE_MALLOC_PROFILE_H

#include "span.h"
#include "stack.h"

/* One stack, with what was sampled there; `weight` figures are scaled up to all requests. */
struct site {
	uint32_t depth;
	uint32_t next; /* in its hash chain */
	uint64_t blocks, bytes; /* weighted, ever */
	uint64_t freed_blocks, freed_bytes;
	uintptr_t frame[STACK_DEPTH];
};

extern struct lock profile_lock;

void *profile_alloc(size_t bytes, size_t align, enum span_place place); /* NULL: not this one */
void profile_free(void *block);
void profile_setup(void);
void profile_stop(void); /* no more samples: reports are being written */
size_t profile_count(void);
const struct site *profile_site(size_t i); /* 0 .. count - 1; profile stopped */
void profile_write(const char *path); /* pprof.c */
void profile_write_proto(const char *path); /* proto.c */
void profile_write_leaks(struct out *o);

#endif
