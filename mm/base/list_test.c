/*
 * list_test.c - the operations of list.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
	int number;
	struct list_head link;
};

/* The numbers of a list as decimal digits. */
static int digits(const struct list_head *head)
{
	const struct item *item;
	int n = 0;

	list_for_each_entry(item, head, struct item, link)
		n = n * 10 + item->number;
	return n;
}

static void adding_and_moving(void **state)
{
	struct item items[4] = {
		{ .number = 1 }, { .number = 2 }, { .number = 3 }, { .number = 4 }
	};
	struct list_head a, b;

	list_init(&a);
	list_init(&b);
	assert_true(list_empty(&a));
	list_add(&items[0].link, &a);
	list_add(&items[1].link, &a);
	list_add_tail(&items[2].link, &a);
	assert_int_equal(digits(&a), 213);
	list_move(&items[2].link, &a);
	assert_int_equal(digits(&a), 321);
	list_move_tail(&items[1].link, &b);
	list_add_tail(&items[3].link, &b);
	assert_int_equal(digits(&a), 31);
	assert_int_equal(digits(&b), 24);
	list_splice_init(&b, &a);
	assert_int_equal(digits(&a), 2431);
	assert_true(list_empty(&b));
	list_splice_tail_init(&a, &b);
	assert_int_equal(digits(&b), 2431);
	list_del_init(&items[3].link);
	assert_int_equal(digits(&b), 231);
	assert_int_equal(list_length(&b), 3);
	assert_ptr_equal(list_first_entry(&b, struct item, link), &items[1]);
	assert_ptr_equal(list_last_entry(&b, struct item, link), &items[0]);
}

static void removing_while_walking(void **state)
{
	struct item items[5], *item, *next;
	struct list_head head;
	int i;

	list_init(&head);
	for (i = 0; i < 5; i++) {
		items[i].number = i + 1;
		list_add_tail(&items[i].link, &head);
	}
	list_for_each_entry_safe(item, next, &head, struct item, link)
		if (item->number % 2)
			list_del(&item->link);
	assert_int_equal(digits(&head), 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding_and_moving),
		cmocka_unit_test(removing_while_walking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
