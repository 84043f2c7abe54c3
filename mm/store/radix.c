/*
 * radix.c - a tree of 64-way nodes that grows upwards.
 *
 * How     A node of height h covers 64^h indices. The tree is as high as its largest index asks;
 *         a node that became empty is given back at once, up to the root.
 * Use     radix_get(), radix_set(), radix_next().
 * Holds   R1  node->used is the number of its slots that are not NULL, and is not zero
 * Locks   The owner's.
 * Why     Index order is what readahead, writeback and truncation need. Linux: lib/xarray.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/radix.h"

#include "base/check.h"
#include "base/errno.h"
#include "kmem/slab.h"

#define FANOUT_BITS 6
#define FANOUT	    (1u << FANOUT_BITS)

struct radix_node {
	void *slot[FANOUT];
	unsigned int used;
};

size_t radix_node_size(void)
{
	return sizeof(struct radix_node);
}

void radix_init(struct radix *r, struct kmem_cache *nodes)
{
	*r = (struct radix){ .nodes = nodes };
}

static unsigned int slot_index(u64 index, unsigned int height)
{
	return (index >> (FANOUT_BITS * (height - 1))) & (FANOUT - 1);
}

static bool covers(const struct radix *r, u64 index)
{
	return r->height * FANOUT_BITS >= 64 || !(index >> (r->height * FANOUT_BITS));
}

static void fini_node(struct radix *r, struct radix_node *node, unsigned int height)
{
	unsigned int i;

	for (i = 0; height > 1 && i < FANOUT; i++)
		if (node->slot[i])
			fini_node(r, node->slot[i], height - 1);
	kmem_cache_free(r->nodes, node);
}

void radix_fini(struct radix *r)
{
	if (r->root)
		fini_node(r, r->root, r->height);
	radix_init(r, r->nodes);
}

void *radix_get(const struct radix *r, u64 index)
{
	void *at = r->root;
	unsigned int h;

	if (!at || !covers(r, index))
		return NULL;
	for (h = r->height; at && h > 0; h--)
		at = ((struct radix_node *)at)->slot[slot_index(index, h)];
	return at;
}

static struct radix_node *node_alloc(struct radix *r)
{
	struct radix_node *node = kmem_cache_alloc(r->nodes, GFP_KERNEL);
	unsigned int i;

	for (i = 0; node && i < FANOUT; i++)
		node->slot[i] = NULL;
	if (node)
		node->used = 0;
	return node;
}

/* Puts levels on top until the tree covers `index`. */
static int grow(struct radix *r, u64 index)
{
	while (!r->root && !covers(r, index))
		r->height++;
	if (r->height == 0)
		r->height = 1;
	while (!covers(r, index)) {
		struct radix_node *top = node_alloc(r);

		if (!top)
			return -ENOMEM;
		top->slot[0] = r->root;
		top->used = 1;
		r->root = top;
		r->height++;
	}
	return 0;
}

static void count(struct radix *r, const void *value, int by)
{
	if (value && radix_is_shadow(value))
		r->nr_shadows += by;
	else if (value)
		r->nr_pages += by;
}

/* At most eleven levels deep: sets below *at, then gives back what became empty. */
static int set_below(struct radix *r, void **at, unsigned int height, u64 index, void *value)
{
	struct radix_node *node = *at;
	void **slot;
	int had, err;

	if (height == 0) {
		count(r, *at, -1);
		count(r, value, 1);
		*at = value;
		return 0;
	}
	if (!node && !value)
		return 0;
	if (!node)
		node = *at = node_alloc(r);
	if (!node)
		return -ENOMEM;
	slot = &node->slot[slot_index(index, height)];
	had = *slot != NULL;
	err = set_below(r, slot, height - 1, index, value);
	node->used += (*slot != NULL) - had;
	if (node->used == 0) {
		kmem_cache_free(r->nodes, node);
		*at = NULL;
	}
	return err;
}

int radix_set(struct radix *r, u64 index, void *value)
{
	void *root;
	int err;

	if (!value && (!r->root || !covers(r, index)))
		return 0;
	if (value && grow(r, index) < 0)
		return -ENOMEM;
	root = r->root;
	err = set_below(r, &root, r->height, index, value);
	r->root = root;
	if (!root)
		r->height = 0;
	return err;
}

static void *next_below(const struct radix_node *node, unsigned int height, u64 *index)
{
	u64 span = 1ull << (FANOUT_BITS * (height - 1));
	unsigned int i;

	for (i = slot_index(*index, height); i < FANOUT; i++) {
		void *at = node->slot[i];

		if (at && height > 1)
			at = next_below(at, height - 1, index);
		else if (!at)
			*index = (*index & ~(span - 1)) + span;
		if (at)
			return at;
	}
	return NULL;
}

void *radix_next(const struct radix *r, u64 *index)
{
	if (!r->root || !covers(r, *index))
		return NULL;
	return next_below(r->root, r->height, index);
}
