/*
 * kcompactd.c - compaction in the background: after a request, and before there is one.
 *
 * How     A node where the allocator missed a high order is compacted in steps until there is a
 *         block of it. Otherwise, twice a second, one node is looked at: if its free memory is
 *         scattered beyond what compaction_proactiveness allows, it is compacted as a whole, in
 *         steps; where that has not helped, it is left alone for 32 seconds.
 * Use     kcompactd_step() from machine_tick(), when nothing else is to be done.
 * Locks   The machine's.
 * Why     Linux: kcompactd(), should_proactive_compact_node(), COMPACT_MAX_DEFER_SHIFT.
 *
 * SPDX-License-Identifier: MIT
 */
#include "move/migrate.h"
#include "space/mm.h"
#include "store/state.h"

#define INTERVAL_NS 500000000ull
#define DEFERRED    64 /* intervals after a compaction that did not help */

static u64 now_ns(struct machine *m)
{
	return m->ops && m->ops->now_ns ? m->ops->now_ns(m) : 0;
}

/* Steps for nodes where somebody waits for a block. */
static bool step_for_requests(struct machine *m)
{
	bool more = false;
	unsigned int nid;

	for (nid = 0; nid < m->phys.nr_nodes; nid++)
		if (m->phys.nodes[nid] && m->phys.nodes[nid]->kcompactd_wanted &&
		    !migrate_must_wait(m))
			more |= compact_step(m->phys.nodes[nid]);
	return more;
}

/* The next node that is worth the work, or NULL. */
static struct node *choose_node(struct machine *m)
{
	struct kcompactd *k = &m->kcompactd;
	unsigned int i;

	for (i = 0; i < m->phys.nr_nodes; i++) {
		struct node *node = m->phys.nodes[++k->nid % m->phys.nr_nodes];

		if (node && compact_is_worthwhile(node))
			return node;
	}
	return NULL;
}

static bool step_of_own_accord(struct machine *m)
{
	struct kcompactd *k = &m->kcompactd;

	if (!k->node) {
		u64 now = now_ns(m);

		if (now < k->next_ns || !m->phys.compaction_proactiveness)
			return false;
		k->next_ns = now + INTERVAL_NS;
		if (k->deferred && k->deferred--)
			return false;
		k->node = choose_node(m);
		if (!k->node)
			return false;
		k->score = compact_score(k->node);
	}
	if (migrate_must_wait(m))
		return false;
	if (compact_step(k->node))
		return true;
	if (compact_score(k->node) >= k->score)
		k->deferred = DEFERRED;
	k->node = NULL;
	return false;
}

bool kcompactd_step(struct machine *m)
{
	if (!m->phys.move_ops || m->reclaiming)
		return false;
	return step_for_requests(m) || step_of_own_accord(m);
}
