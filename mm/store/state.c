/*
 * state.c - a page's way into the caches and out of the machine.
 *
 * Use     page_prepare() after allocation, page_lru_add() once it is mapped or cached,
 *         store_page_put() for each reference.
 * Locks   The machine's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/state.h"

#include "base/check.h"

/* The next node in turn that has memory. */
static unsigned int next_node(struct machine *m)
{
	do
		m->policy.node = (m->policy.node + 1) % m->phys.nr_nodes;
	while (!(m->phys.node_states[N_MEMORY] >> m->policy.node & 1));
	return m->policy.node;
}

static struct page *interleave(struct machine *m, gfp_t gfp, unsigned int order)
{
	unsigned int nid = next_node(m);
	struct page *page = alloc_pages_node(&m->phys, nid, gfp, order);

	if (page && page_to_nid(page) == nid) {
		stat_add(&m->phys.stat, NUMA_INTERLEAVE, 1ull << order);
		stat_add(&m->phys.nodes[nid]->stat, NUMA_INTERLEAVE, 1ull << order);
	}
	return page;
}

struct page *user_pages_alloc(struct machine *m, gfp_t gfp, unsigned int order)
{
	if (likely(m->policy.mode == POLICY_LOCAL))
		return alloc_pages(&m->phys, gfp, order);
	if (m->policy.mode == POLICY_PREFERRED)
		return alloc_pages_node(&m->phys, m->policy.node, gfp, order);
	return interleave(m, gfp, order);
}

void page_prepare(struct page *page)
{
	page->mapping = NULL;
	page->index = 0;
	page->private = 0;
	list_init(&page->lru);
}

void page_mark_accessed(struct machine *m, struct page *page)
{
	if (!page_test(page, PG_referenced)) {
		page_set(page, PG_referenced);
	} else if (page_test(page, PG_lru) && !page_test(page, PG_active) &&
		   !page_test(page, PG_unevictable)) {
		lru_activate(page_lruvec(&m->phys, page), page);
		page_clear(page, PG_referenced);
		stat_inc(&m->phys.stat, PGACTIVATE);
	}
}

void page_lru_add(struct machine *m, struct page *page)
{
	if (!page_test(page, PG_lru))
		lru_add(page_lruvec(&m->phys, page), page);
}

void store_page_put(struct machine *m, struct page *page)
{
	require(page->refcount > 0);
	if (page->refcount > 1) {
		page->refcount--;
		return;
	}
	invariant(C1, page->mapcount == 0 && !page->mapping);
	if (page_test(page, PG_lru))
		lru_del(page_lruvec(&m->phys, page), page);
	page->flags &= PAGE_LINK_MASK;
	__free_pages(&m->phys, page, 0);
}
