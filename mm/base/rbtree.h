/*
 * rbtree.h - a red-black tree whose nodes lie inside the members, with optional per-subtree
 * summaries.
 *
 * How     The caller searches with its own loop over ->left and ->right, then hands the place found
 *         to rb_insert(). A summary (augmentation) of a node is a value computed from the node and
 *         its two children, such as the largest gap below it; the caller's rb_update_fn recomputes
 *         it for one node, and the tree calls it, children before parents, for each node whose
 *         subtree changed.
 * Holds   R1  the root is black; a red node has no red child
 *         R2  every way from the root to a leaf meets the same number of black nodes
 *         R3  parent and child point at each other
 * Locks   the owner of the tree's.
 *
 *	struct rb_node **link = &root->top, *parent = NULL;
 *	while (*link) {
 *		parent = *link;
 *		link = key < key_of(parent) ? &parent->left : &parent->right;
 *	}
 *	rb_insert(root, node, parent, link, NULL);
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_BASE_RBTREE_H
#define QUIRE_BASE_RBTREE_H

#include "base/types.h"

struct rb_node {
	struct rb_node *left;
	struct rb_node *right;
	uintptr_t parent_color; /* parent pointer; bit 0 set: red */
};

struct rb_root {
	struct rb_node *top; /* NULL: empty; all zero is an empty tree */
};

/* Recompute the summary of one node from itself and its children. */
typedef void (*rb_update_fn)(struct rb_node *node);

#define rb_entry(node, type, member) container_of(node, type, member)

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
	return (struct rb_node *)(node->parent_color & ~(uintptr_t)1);
}

/*
 * Insert `node` at `*link`, which is NULL and a child slot of `parent` (or the root's). update may
 * be NULL.
 */
void rb_insert(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link, rb_update_fn update);
/* Take `node` out of the tree. Its own links become stale. */
void rb_erase(struct rb_root *root, struct rb_node *node, rb_update_fn update);
/* Recompute the summaries from `node` up to the root, after a member's own value changed. */
void rb_propagate(struct rb_node *node, rb_update_fn update);

/* Smallest, largest, and neighbours in order; NULL when there is none. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

/* Panic unless R1 to R3 hold. Visits the whole tree; returns its number of nodes. */
size_t rb_check(const struct rb_root *root);

#endif
