/*
 * list.h - a circular doubly linked list whose links lie inside the members.
 *
 * How     A head is a link like any other, pointing at itself when the list is empty. A member is
 *         found from its link with list_entry(). Every operation is constant time except
 *         list_length().
 * Locks   the owner of the list's.
 * Why     The words are Linux's (struct list_head, list_add, list_del_init), the code is not.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_BASE_LIST_H
#define QUIRE_BASE_LIST_H

#include "base/types.h"

struct list_head {
	struct list_head *next;
	struct list_head *prev;
};

#define list_entry(link, type, member)	     container_of(link, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)  list_entry((head)->prev, type, member)
#define list_next_entry(pos, type, member)   list_entry((pos)->member.next, type, member)
#define list_prev_entry(pos, type, member)   list_entry((pos)->member.prev, type, member)

/* Visit every link; the list must not change. */
#define list_for_each(link, head)                                                                  \
	for ((link) = (head)->next; (link) != (head); (link) = (link)->next)
/* Visit every member; the list must not change. */
#define list_for_each_entry(pos, head, type, member)                                               \
	for ((pos) = list_first_entry(head, type, member); &(pos)->member != (head);               \
	     (pos) = list_next_entry(pos, type, member))
/* Visit every member; the visited one may be removed. `after` is a second cursor. */
#define list_for_each_entry_safe(pos, after, head, type, member)                                   \
	for ((pos) = list_first_entry(head, type, member),                                         \
	    (after) = list_next_entry(pos, type, member);                                          \
	     &(pos)->member != (head);                                                             \
	     (pos) = (after), (after) = list_next_entry(after, type, member))

/* Make an empty list, or a link that is on no list. */
static inline void list_init(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

/* Put `link` between two neighbours. */
static inline void list_put_between(struct list_head *link, struct list_head *before,
				    struct list_head *after)
{
	link->prev = before;
	link->next = after;
	before->next = link;
	after->prev = link;
}

/* Add at the front, so that it is the first. */
static inline void list_add(struct list_head *link, struct list_head *head)
{
	list_put_between(link, head, head->next);
}

/* Add at the back, so that it is the last. */
static inline void list_add_tail(struct list_head *link, struct list_head *head)
{
	list_put_between(link, head->prev, head);
}

/* Take off its list; the link's own pointers become stale. */
static inline void list_del(struct list_head *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
}

/* Take off its list and make it a link that is on no list. */
static inline void list_del_init(struct list_head *link)
{
	list_del(link);
	list_init(link);
}

/* Move to the front of (another) list. */
static inline void list_move(struct list_head *link, struct list_head *head)
{
	list_del(link);
	list_add(link, head);
}

/* Move to the back of (another) list. */
static inline void list_move_tail(struct list_head *link, struct list_head *head)
{
	list_del(link);
	list_add_tail(link, head);
}

/* Put all members of `from` in front of those of `to`; `from` becomes empty. */
static inline void list_splice_init(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	from->next->prev = to;
	list_init(from);
}

/* Put all members of `from` behind those of `to`; `from` becomes empty. */
static inline void list_splice_tail_init(struct list_head *from, struct list_head *to)
{
	list_splice_init(from, to->prev);
}

/* Number of members, by walking. */
static inline size_t list_length(const struct list_head *head)
{
	const struct list_head *link;
	size_t n = 0;

	list_for_each(link, head)
		n++;
	return n;
}

#endif
