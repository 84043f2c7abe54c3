/*
 * rbtree.c - balances the trees of rbtree.h.
 *
 * How     Inserting adds a red node and removes red-red pairs upwards; erasing splices out a node
 *         with at most one child and repairs the missing black upwards. Summaries: a rotation
 *         recomputes the two nodes it turns, child first; all else that changed lies on the way
 *         from the lowest change to the root.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/rbtree.h"

static bool is_red(const struct rb_node *node)
{
	return node && (node->parent_color & 1);
}
static void set_red(struct rb_node *node)
{
	node->parent_color |= 1;
}
static void set_black(struct rb_node *node)
{
	node->parent_color &= ~(uintptr_t)1;
}

static void set_parent(struct rb_node *node, struct rb_node *parent)
{
	node->parent_color = (uintptr_t)parent | (node->parent_color & 1);
}

/* Make `to` the child of `parent` (or the root) in the place of `from`. */
static void replace_child(struct rb_root *root, struct rb_node *parent, struct rb_node *from,
			  struct rb_node *to)
{
	if (!parent)
		root->top = to;
	else if (parent->left == from)
		parent->left = to;
	else
		parent->right = to;
	if (to)
		set_parent(to, parent);
}

/* Turn `node` down to the left (or right); its child on the other side takes its place. */
static void rotate(struct rb_root *root, struct rb_node *node, bool left, rb_update_fn update)
{
	struct rb_node *child = left ? node->right : node->left;
	struct rb_node *moved = left ? child->left : child->right;

	replace_child(root, rb_parent(node), node, child);
	if (left) {
		child->left = node;
		node->right = moved;
	} else {
		child->right = node;
		node->left = moved;
	}
	set_parent(node, child);
	if (moved)
		set_parent(moved, node);
	if (update) {
		update(node);
		update(child);
	}
}

void rb_propagate(struct rb_node *node, rb_update_fn update)
{
	for (; node; node = rb_parent(node))
		update(node);
}

void rb_insert(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link, rb_update_fn update)
{
	node->left = NULL;
	node->right = NULL;
	node->parent_color = (uintptr_t)parent | 1;
	*link = node;
	if (update)
		rb_propagate(node, update);

	while ((parent = rb_parent(node)) && is_red(parent)) {
		struct rb_node *grand = rb_parent(parent);
		bool on_left = grand->left == parent;
		struct rb_node *uncle = on_left ? grand->right : grand->left;

		if (is_red(uncle)) {
			set_black(parent);
			set_black(uncle);
			set_red(grand);
			node = grand;
			continue;
		}
		if (node == (on_left ? parent->right : parent->left)) {
			rotate(root, parent, on_left, update);
			parent = node;
		}
		set_black(parent);
		set_red(grand);
		rotate(root, grand, !on_left, update);
		break;
	}
	set_black(root->top);
}

/*
 * The subtree at `node` (may be NULL) below `parent` has one black node too few on each way down.
 */
static void repair_black(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
			 rb_update_fn update)
{
	while (parent && !is_red(node)) {
		bool on_left = parent->left == node;
		struct rb_node *sibling = on_left ? parent->right : parent->left;
		struct rb_node *near, *far;

		if (is_red(sibling)) {
			set_black(sibling);
			set_red(parent);
			rotate(root, parent, on_left, update);
			sibling = on_left ? parent->right : parent->left;
		}
		near = on_left ? sibling->left : sibling->right;
		far = on_left ? sibling->right : sibling->left;
		if (!is_red(near) && !is_red(far)) {
			set_red(sibling);
			node = parent;
			parent = rb_parent(node);
			continue;
		}
		if (!is_red(far)) {
			set_black(near);
			set_red(sibling);
			rotate(root, sibling, !on_left, update);
			far = sibling;
			sibling = near;
		}
		sibling->parent_color =
			(sibling->parent_color & ~(uintptr_t)1) | (parent->parent_color & 1);
		set_black(parent);
		set_black(far);
		rotate(root, parent, on_left, update);
		return;
	}
	if (node)
		set_black(node);
}

/* Put `heir`, the next node in order, into the place of `node`, which has two children. */
static void take_place(struct rb_root *root, struct rb_node *node, struct rb_node *heir)
{
	replace_child(root, rb_parent(node), node, heir);
	heir->parent_color = node->parent_color;
	heir->left = node->left;
	set_parent(heir->left, heir);
	if (node->right != heir) {
		heir->right = node->right;
		set_parent(heir->right, heir);
	}
}

void rb_erase(struct rb_root *root, struct rb_node *node, rb_update_fn update)
{
	struct rb_node *parent = rb_parent(node), *child;
	bool black_lost;

	if (node->left && node->right) {
		struct rb_node *heir = node->right;

		while (heir->left)
			heir = heir->left;
		child = heir->right;
		black_lost = !is_red(heir);
		parent = rb_parent(heir);
		if (parent == node) {
			parent = heir;
		} else {
			parent->left = child;
			if (child)
				set_parent(child, parent);
		}
		take_place(root, node, heir);
	} else {
		child = node->left ? node->left : node->right;
		black_lost = !is_red(node);
		replace_child(root, parent, node, child);
	}
	if (update)
		rb_propagate(parent, update);
	if (black_lost)
		repair_black(root, child, parent, update);
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *node = root->top;

	while (node && node->left)
		node = node->left;
	return node;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *node = root->top;

	while (node && node->right)
		node = node->right;
	return node;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->right) {
		node = node->right;
		while (node->left)
			node = node->left;
		return (struct rb_node *)node;
	}
	while ((parent = rb_parent(node)) && parent->right == node)
		node = parent;
	return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->left) {
		node = node->left;
		while (node->right)
			node = node->right;
		return (struct rb_node *)node;
	}
	while ((parent = rb_parent(node)) && parent->left == node)
		node = parent;
	return parent;
}

/* Number of black nodes from `node` up to the root, both included. */
static size_t black_height(const struct rb_node *node)
{
	size_t height = 0;

	for (; node; node = rb_parent(node))
		height += !is_red(node);
	return height;
}

size_t rb_check(const struct rb_root *root)
{
	const struct rb_node *node;
	size_t count = 0, height = 0;

	invariant(R1, !is_red(root->top));
	for (node = rb_first(root); node; node = rb_next(node)) {
		count++;
		invariant(R1, !is_red(node) || (!is_red(node->left) && !is_red(node->right)));
		invariant(R3, !node->left || rb_parent(node->left) == node);
		invariant(R3, !node->right || rb_parent(node->right) == node);
		if (node->left && node->right)
			continue;
		if (!height)
			height = black_height(node);
		invariant(R2, black_height(node) == height);
	}
	return count;
}
