/*
 * rbtree_test.c - the tree against a sorted array, with the sum of each subtree as summary.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/rbtree.h"

void quire_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "panic: %s:%d: %s\n", file, line, what);
	abort();
}

struct item {
	struct rb_node node;
	unsigned key;
	u64 sum; /* keys of the subtree */
	bool in;
};

static u64 sum_of(const struct rb_node *node)
{
	return node ? rb_entry(node, struct item, node)->sum : 0;
}

static void update(struct rb_node *node)
{
	struct item *item = rb_entry(node, struct item, node);

	item->sum = item->key + sum_of(node->left) + sum_of(node->right);
}

static void insert(struct rb_root *root, struct item *item)
{
	struct rb_node **link = &root->top, *parent = NULL;

	while (*link) {
		parent = *link;
		link = item->key < rb_entry(parent, struct item, node)->key ? &parent->left
									    : &parent->right;
	}
	rb_insert(root, &item->node, parent, link, update);
}

static void check_against(const struct rb_root *root, const struct item *items, unsigned nr)
{
	const struct rb_node *at = rb_first(root), *back = rb_last(root);
	size_t count = 0;
	u64 sum = 0;
	unsigned i;

	for (i = 0; i < nr; i++) {
		if (!items[i].in)
			continue;
		assert_ptr_equal(at, &items[i].node);
		at = rb_next(at);
		count++;
		sum += items[i].key;
	}
	assert_null(at);
	for (i = nr; i-- > 0;) {
		if (!items[i].in)
			continue;
		assert_ptr_equal(back, &items[i].node);
		back = rb_prev(back);
	}
	assert_int_equal(rb_check(root), count);
	assert_int_equal(sum_of(root->top), sum);
}

static void random_changes(void **state)
{
	struct rb_root root = { NULL };
	struct item items[60] = { 0 };
	unsigned step, i, seed = 1;

	for (i = 0; i < 60; i++)
		items[i].key = i;
	for (step = 0; step < 20000; step++) {
		seed = seed * 1664525 + 1013904223;
		i = seed >> 16;
		i %= step / 2000 % 2 ? 60 : 12;
		if (items[i].in)
			rb_erase(&root, &items[i].node, update);
		else
			insert(&root, &items[i]);
		items[i].in = !items[i].in;
		check_against(&root, items, 60);
	}
}

/* All orders of insertion and removal of five members. */
static void small_world(void **state)
{
	struct item items[5] = { 0 };
	struct rb_root root;
	unsigned order, remove, i;

	for (order = 0; order < 3125; order++) {
		for (remove = 0; remove < 32; remove++) {
			unsigned rest = order;

			root.top = NULL;
			for (i = 0; i < 5; i++)
				items[i] = (struct item){ .key = i };
			for (i = 0; i < 5; i++, rest /= 5) {
				if (items[rest % 5].in)
					continue;
				insert(&root, &items[rest % 5]);
				items[rest % 5].in = true;
			}
			for (i = 0; i < 5; i++) {
				if (remove >> i & 1 && items[i].in) {
					rb_erase(&root, &items[i].node, update);
					items[i].in = false;
				}
			}
			check_against(&root, items, 5);
		}
	}
}

static void changed_value_propagates(void **state)
{
	struct rb_root root = { NULL };
	struct item items[10] = { 0 };
	unsigned i;

	for (i = 0; i < 10; i++) {
		items[i].key = i * 10;
		insert(&root, &items[i]);
	}
	items[3].key = 31;
	rb_propagate(&items[3].node, update);
	assert_int_equal(sum_of(root.top), 451);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes),
		cmocka_unit_test(small_world),
		cmocka_unit_test(changed_value_propagates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
