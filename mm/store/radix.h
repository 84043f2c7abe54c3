/*
 * radix.h - index -> pointer, for the pages of a file and of the swap cache.
 *
 * A value is a pointer (low bit clear) or a shadow: an integer with the low bit set that tells
 * when a page that is gone was evicted. NULL is absence. Linux: the i_pages xarray.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_STORE_RADIX_H
#define QUIRE_STORE_RADIX_H

#include "base/types.h"

struct kmem_cache;
struct radix_node;

struct radix {
	struct kmem_cache *nodes; /* (C) where nodes come from */
	struct radix_node *root;
	unsigned int height; /* levels below the root pointer */
	u64 nr_pages; /* pointers, not shadows */
	u64 nr_shadows;
};

/* What `nodes` must be able to hold. */
size_t radix_node_size(void);

void radix_init(struct radix *r, struct kmem_cache *nodes);
/* Gives back all nodes; what they point to is the caller's. */
void radix_fini(struct radix *r);

void *radix_get(const struct radix *r, u64 index);
/* Sets or, with NULL, erases. 0, or -ENOMEM when a node was needed; erasing never fails. */
int radix_set(struct radix *r, u64 index, void *value);
/* The first value at or after *index, *index set to its place; NULL at the end. */
void *radix_next(const struct radix *r, u64 *index);

static inline bool radix_is_shadow(const void *value)
{
	return (uintptr_t)value & 1;
}

static inline void *radix_shadow(u64 stamp)
{
	return (void *)(uintptr_t)(stamp << 1 | 1);
}

static inline u64 radix_shadow_stamp(const void *value)
{
	return (u64)(uintptr_t)value >> 1;
}

#endif
