/*
 * lru.h - the frames of one node by recency: five lists, linked through page->lru.
 *
 * How     Front = most recently added, back = next to be looked at by reclaim. The list of a page
 *         follows from its flags: PG_unevictable, else PG_swapbacked (anonymous side) or not (file
 *         side), and PG_active.
 * Use     lru_add() when a page becomes reclaimable, lru_del() before it is freed or isolated;
 *         change PG_active, PG_swapbacked or PG_unevictable only between the two (or with
 *         lru_activate/lru_deactivate).
 * Holds   U1  a page has PG_lru exactly while it is on one of these lists
 *         U2  nr[l] is the number of frames on list l (a compound page counts all its frames)
 * Locks   the caller's (Linux: lruvec->lru_lock).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_LRU_H
#define QUIRE_PHYS_LRU_H

#include "base/check.h"
#include "base/list.h"
#include "phys/page.h"

enum lru_list {
	LRU_INACTIVE_ANON,
	LRU_ACTIVE_ANON,
	LRU_INACTIVE_FILE,
	LRU_ACTIVE_FILE,
	LRU_UNEVICTABLE,
	NR_LRU_LISTS
};

#define LRU_ACTIVE 1 /* LRU_INACTIVE_x + LRU_ACTIVE is LRU_ACTIVE_x */
#define LRU_FILE   2 /* LRU_x_ANON + LRU_FILE is LRU_x_FILE */

struct lruvec {
	struct list_head lists[NR_LRU_LISTS];
	u64 nr[NR_LRU_LISTS]; /* frames */
	u64 nonresident_age; /* evictions and activations so far: the clock of refault distances */
	u64 anon_cost; /* decaying cost of reclaiming each kind (Linux: lru_note_cost) */
	u64 file_cost;
	u64 refaults[2]; /* workingset_activate anon, file at the last look */
};

/* Which list a page with these flags belongs on. */
static inline enum lru_list page_lru_list(const struct page *page)
{
	unsigned l;

	if (page_test(page, PG_unevictable))
		return LRU_UNEVICTABLE;
	l = page_test(page, PG_swapbacked) ? 0 : LRU_FILE;
	return (enum lru_list)(l + (page_test(page, PG_active) ? LRU_ACTIVE : 0));
}

/* Whether a list holds active pages, file pages. */
static inline bool lru_is_active(enum lru_list l)
{
	return l == LRU_ACTIVE_ANON || l == LRU_ACTIVE_FILE;
}
static inline bool lru_is_file(enum lru_list l)
{
	return l == LRU_INACTIVE_FILE || l == LRU_ACTIVE_FILE;
}

/* Five empty lists. */
void lruvec_init(struct lruvec *lruvec);

/* Put a page that is on no list at the front of its list; sets PG_lru. */
static inline void lru_add(struct lruvec *lruvec, struct page *page)
{
	enum lru_list l = page_lru_list(page);

	require(!page_test(page, PG_lru));
	page_set(page, PG_lru);
	list_add(&page->lru, &lruvec->lists[l]);
	lruvec->nr[l] += compound_nr(page);
}

/* The same at the back: the next to be looked at. */
static inline void lru_add_tail(struct lruvec *lruvec, struct page *page)
{
	enum lru_list l = page_lru_list(page);

	require(!page_test(page, PG_lru));
	page_set(page, PG_lru);
	list_add_tail(&page->lru, &lruvec->lists[l]);
	lruvec->nr[l] += compound_nr(page);
}

/* Take a page off its list; clears PG_lru, keeps the other flags. */
static inline void lru_del(struct lruvec *lruvec, struct page *page)
{
	enum lru_list l = page_lru_list(page);

	require(page_test(page, PG_lru));
	page_clear(page, PG_lru);
	list_del_init(&page->lru);
	lruvec->nr[l] -= compound_nr(page);
}

/* Move to the front of its own list: looked at, and spared for a round. */
static inline void lru_rotate(struct lruvec *lruvec, struct page *page)
{
	list_move(&page->lru, &lruvec->lists[page_lru_list(page)]);
}

/* Move to the back of its own list: reclaim it next (Linux: rotate_reclaimable_page). */
static inline void lru_rotate_tail(struct lruvec *lruvec, struct page *page)
{
	list_move_tail(&page->lru, &lruvec->lists[page_lru_list(page)]);
}

/*
 * Move a page that is on a list to the active, inactive or unevictable one of its kind; counts no
 * statistics.
 */
void lru_activate(struct lruvec *lruvec, struct page *page);
void lru_deactivate(struct lruvec *lruvec, struct page *page);
void lru_make_unevictable(struct lruvec *lruvec, struct page *page);
void lru_make_evictable(struct lruvec *lruvec, struct page *page);

/* The page at the back (next to be looked at), or NULL. */
static inline struct page *lru_last(struct lruvec *lruvec, enum lru_list l)
{
	return list_empty(&lruvec->lists[l]) ? NULL
					     : list_last_entry(&lruvec->lists[l], struct page, lru);
}

/* Panic unless U1 and U2 hold; visits every page. */
void lruvec_check(const struct lruvec *lruvec);

#endif
