/*
 * lru.c - moves between the lists of lru.h, and their check.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/lru.h"

void lruvec_init(struct lruvec *lruvec)
{
	unsigned l;

	memset(lruvec, 0, sizeof(*lruvec));
	for (l = 0; l < NR_LRU_LISTS; l++)
		list_init(&lruvec->lists[l]);
}

/* Change a flag that decides on the list. */
static void refile(struct lruvec *lruvec, struct page *page, u64 set, u64 clear)
{
	lru_del(lruvec, page);
	page->flags = (page->flags | set) & ~clear;
	lru_add(lruvec, page);
}

void lru_activate(struct lruvec *lruvec, struct page *page)
{
	refile(lruvec, page, PAGE_FLAG(PG_active), 0);
}
void lru_deactivate(struct lruvec *lruvec, struct page *page)
{
	refile(lruvec, page, 0, PAGE_FLAG(PG_active));
}

void lru_make_unevictable(struct lruvec *lruvec, struct page *page)
{
	refile(lruvec, page, PAGE_FLAG(PG_unevictable), PAGE_FLAG(PG_active));
}

void lru_make_evictable(struct lruvec *lruvec, struct page *page)
{
	refile(lruvec, page, 0, PAGE_FLAG(PG_unevictable));
}

void lruvec_check(const struct lruvec *lruvec)
{
	const struct page *page;
	unsigned l;
	u64 nr;

	for (l = 0; l < NR_LRU_LISTS; l++) {
		nr = 0;
		list_for_each_entry(page, &lruvec->lists[l], struct page, lru) {
			invariant(U1, page_test(page, PG_lru));
			invariant(U1, page_lru_list(page) == (enum lru_list)l);
			nr += compound_nr(page);
		}
		invariant(U2, nr == lruvec->nr[l]);
	}
}
