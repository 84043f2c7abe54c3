/*
 * reclaim.c - memory is short: which lists to look at, and how far.
 *
 * How     kswapd works from low to high in the background; an allocation that finds less than min
 *         reclaims itself. Each round looks at a part of every list, size >> priority, shared
 *         between anonymous and file pages by swappiness and by what each has cost lately; the
 *         priority rises until enough was freed. When nothing is left to free, the OOM killer acts.
 * Use     pressure_relieve() is the allocator's call (phys/pressure.h); kswapd_step() the
 *         machine's.
 * Locks   The machine's. Allocations made inside use the reserves and never come back here.
 * Why     Linux: mm/vmscan.c; get_scan_count(), shrink_lruvec(), balance_pgdat().
 *
 * SPDX-License-Identifier: MIT
 */
#include "reclaim/reclaim.h"

#include "base/check.h"
#include "kmem/slab.h"
#include "phys/pressure.h"
#include "phys/watermark.h"
#include "phys/zone.h"
#include "space/mm.h"
#include "store/mapping.h"
#include "store/state.h"

static u64 int_sqrt(u64 x)
{
	u64 r = 0, bit = 1ull << 62;

	while (bit > x)
		bit >>= 2;
	for (; bit; bit >>= 2) {
		if (x >= r + bit) {
			x -= r + bit;
			r = (r >> 1) + bit;
		} else {
			r >>= 1;
		}
	}
	return r;
}

/* Linux: inactive_is_low(): 1:1 below 1 GiB, then 1:sqrt(10 * GiB). */
static bool inactive_is_low(const struct lruvec *lru, enum lru_list inactive)
{
	u64 idle = lru->nr[inactive], active = lru->nr[inactive + LRU_ACTIVE];
	u64 gb = (idle + active) >> (30 - PAGE_SHIFT);

	return idle * (gb ? int_sqrt(10 * gb) : 1) < active;
}

/* What the round may do, by what happened since the last one. Linux: prepare_scan_control(). */
static void prepare(struct scan *s)
{
	struct lruvec *lru = &s->node->lruvec;
	const struct vm_stat *stat = &s->machine->phys.stat;

	s->deactivate_anon = stat_read(stat, WORKINGSET_ACTIVATE_ANON) != lru->refaults[0] ||
			     inactive_is_low(lru, LRU_INACTIVE_ANON);
	s->deactivate_file = stat_read(stat, WORKINGSET_ACTIVATE_FILE) != lru->refaults[1] ||
			     inactive_is_low(lru, LRU_INACTIVE_FILE);
}

enum balance { SCAN_FILE, SCAN_ANON, SCAN_EQUAL, SCAN_FRACTION };

/* So little file cache that reclaiming it alone cannot help. */
static bool file_is_tiny(const struct scan *s)
{
	const struct lruvec *lru = &s->node->lruvec;
	u64 free = 0, high = 0;
	int z;

	for (z = 0; z < MAX_NR_ZONES; z++) {
		free += zone_free_pages(&s->node->zones[z]);
		if (zone_managed(&s->node->zones[z]))
			high += zone_wmark(&s->node->zones[z], WMARK_HIGH);
	}
	return lru->nr[LRU_INACTIVE_FILE] + lru->nr[LRU_ACTIVE_FILE] + free <= high &&
	       !s->deactivate_anon && lru->nr[LRU_INACTIVE_ANON] >> s->priority;
}

static enum balance choose_balance(const struct scan *s)
{
	const struct machine *m = s->machine;
	const struct lruvec *lru = &s->node->lruvec;

	if (!m->swap.dev || m->knobs.swappiness == 0 || swap_free_slots(&m->swap) == 0 ||
	    s->no_swap)
		return SCAN_FILE;
	if (s->priority == 0)
		return SCAN_EQUAL;
	if (file_is_tiny(s))
		return SCAN_ANON;
	if (lru->nr[LRU_INACTIVE_FILE] >> s->priority && !s->deactivate_file)
		return SCAN_FILE;
	return SCAN_FRACTION;
}

/* Pages of each list to look at. Linux: get_scan_count(). */
static void scan_counts(const struct scan *s, u64 nr[NR_LRU_LISTS])
{
	const struct lruvec *lru = &s->node->lruvec;
	enum balance balance = choose_balance(s);
	u64 total = lru->anon_cost + lru->file_cost;
	u64 anon_cost = total + lru->anon_cost, file_cost = total + lru->file_cost;
	u64 ap, fp;
	int l;

	total = anon_cost + file_cost;
	ap = s->machine->knobs.swappiness * (total + 1) / (anon_cost + 1);
	fp = (200 - s->machine->knobs.swappiness) * (total + 1) / (file_cost + 1);
	for (l = 0; l < LRU_UNEVICTABLE; l++) {
		bool file = lru_is_file((enum lru_list)l);
		u64 scan = lru->nr[l] >> s->priority;

		if ((balance == SCAN_FILE && !file) || (balance == SCAN_ANON && file))
			scan = 0;
		if (balance == SCAN_FRACTION)
			scan = (scan * (file ? fp : ap) + ap + fp - 1) / (ap + fp);
		nr[l] = scan;
	}
}

static void shrink_list(struct scan *s, enum lru_list l, u64 nr)
{
	if (!lru_is_active(l))
		shrink_inactive(s, l, nr);
	else if (lru_is_file(l) ? s->deactivate_file : s->deactivate_anon)
		shrink_active(s, l, nr);
}

void reclaim_round(struct scan *s)
{
	u64 nr[NR_LRU_LISTS];
	bool more = true;
	int l;

	prepare(s);
	scan_counts(s, nr);
	while (more) {
		more = false;
		for (l = 0; l < LRU_UNEVICTABLE; l++) {
			u64 part = min_u64(nr[l], SWAP_CLUSTER_MAX);

			if (!part)
				continue;
			nr[l] -= part;
			shrink_list(s, (enum lru_list)l, part);
		}
		for (l = 0; l < LRU_UNEVICTABLE; l++)
			more |= !lru_is_active((enum lru_list)l) && nr[l];
		if (s->reclaimed >= s->want && s->priority < DEF_PRIORITY)
			break;
	}
	/* Keep the anonymous lists in balance though no anonymous page was wanted. */
	if (s->machine->swap.dev && inactive_is_low(&s->node->lruvec, LRU_INACTIVE_ANON))
		shrink_active(s, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
}

static void snapshot(struct scan *s)
{
	const struct vm_stat *stat = &s->machine->phys.stat;

	s->node->lruvec.refaults[0] = stat_read(stat, WORKINGSET_ACTIVATE_ANON);
	s->node->lruvec.refaults[1] = stat_read(stat, WORKINGSET_ACTIVATE_FILE);
}

#define ALL_NODES     (~0ull)
#define SLAB_PRIORITY (DEF_PRIORITY - 4) /* free slabs too when pages are hard to find */

/*
 * Rounds of rising priority on these nodes (bit n: node n) until `want` pages are free. Linux:
 * do_try_to_free_pages(), shrink_slab().
 */
static u64 reclaim_until(struct machine *m, enum reclaimer who, enum zone_type highest, u64 nodes,
			 u64 want)
{
	u64 got = 0;
	int priority;
	unsigned int nid;

	m->reclaiming++;
	if (m->swap.failing)
		m->swap.failing--;
	for (priority = DEF_PRIORITY; priority >= 0 && got < want; priority--) {
		if (priority == SLAB_PRIORITY && m->radix_cache) /* not while booting */
			got += kmem_reap(&m->phys);
		for (nid = 0; nid < m->phys.nr_nodes; nid++) {
			struct scan s = { .machine = m,
					  .node = m->phys.nodes[nid],
					  .who = who,
					  .highest = highest,
					  .priority = priority,
					  .want = want - got };

			if (!s.node || !(nodes >> nid & 1) || got >= want)
				continue;
			reclaim_round(&s);
			got += s.reclaimed;
			snapshot(&s);
		}
	}
	m->reclaiming--;
	mapping_prune(m);
	return got;
}

u64 reclaim_pages(struct machine *m, u64 want)
{
	return reclaim_until(m, RECLAIM_DIRECT, ZONE_MOVABLE, ALL_NODES, want);
}

#define OOM_DEFER_MAX 1000 /* then it was no fork that kept memory from being reclaimed */

/*
 * A child just forked keeps all pages that it shares with its parent, which may be all of RAM,
 * until it has an agent: nobody is killed for that. The fault is tried again.
 */
static bool oom_defer(struct machine *m)
{
	struct mm *mm;

	list_for_each_entry(mm, &m->mms, struct mm, all)
		if (mm->map_count && !m->mmu->can_replace(mm))
			return m->oom_deferred++ < OOM_DEFER_MAX;
	m->oom_deferred = 0;
	return false;
}

enum pressure_result pressure_relieve(struct phys *phys, gfp_t gfp, unsigned order)
{
	struct machine *m = container_of(phys, struct machine, phys);
	enum zone_type highest = gfp_zone(phys, gfp);
	/* Compaction needs room for copies of twice the block. Linux: compact_gap(). */
	u64 want = max_u64(SWAP_CLUSTER_MAX, order ? 2ull << order : 1);
	int retry;

	if (m->reclaiming)
		return PRESSURE_RESERVES;
	if (!(gfp & __GFP_DIRECT_RECLAIM))
		return PRESSURE_FAIL;
	stat_inc(&phys->stat, (enum vm_stat_item)(ALLOCSTALL_DMA + highest));
	for (retry = 0; retry < MAX_RECLAIM_RETRIES; retry++)
		if (reclaim_until(m, RECLAIM_DIRECT, highest, ALL_NODES, want) > 0)
			return PRESSURE_RETRY;
	if (m->swap.failing) { /* once more, before somebody dies for it */
		m->swap.failing = 0;
		if (reclaim_until(m, RECLAIM_DIRECT, highest, ALL_NODES, SWAP_CLUSTER_MAX) > 0)
			return PRESSURE_RETRY;
	}
	if (order > 3 || (gfp & (__GFP_NORETRY | __GFP_RETRY_MAYFAIL)))
		return PRESSURE_FAIL;
	if (oom_defer(m))
		return PRESSURE_FAIL;
	return oom_kill(m, order) ? PRESSURE_RETRY : PRESSURE_FAIL;
}

/* One zone with enough free pages will do, up to the highest wanted. Linux: pgdat_balanced(). */
static bool balanced(const struct node *node, enum zone_type highest)
{
	bool any = false;
	unsigned int z;

	for (z = 0; z <= highest; z++) {
		const struct zone *zone = &node->zones[z];

		if (!zone_managed(zone))
			continue;
		any = true;
		if (zone_watermark_ok(zone, 0, zone_wmark(zone, WMARK_HIGH), highest, 0))
			return true;
	}
	return !any;
}

#define BOOST_PRIORITY (DEF_PRIORITY - 2) /* no deeper for a boost alone */

/*
 * Where a request broke into a pageblock of another type, free some file pages, so that the next
 * need not; nothing is swapped for that.
 */
static void relieve_boost(struct machine *m, struct node *node)
{
	u64 boost = node_watermark_boost(node), got = 0;
	int priority;

	if (!boost)
		return;
	m->reclaiming++;
	for (priority = DEF_PRIORITY;
	     priority >= BOOST_PRIORITY && got < boost && !balanced(node, ZONE_MOVABLE);
	     priority--) {
		struct scan s = { .machine = m,
				  .node = node,
				  .who = RECLAIM_KSWAPD,
				  .highest = ZONE_MOVABLE,
				  .priority = priority,
				  .want = boost - got,
				  .no_swap = true };

		reclaim_round(&s);
		got += s.reclaimed;
	}
	m->reclaiming--;
	lower_watermark_boost(node);
}

static void kswapd_sleeps(struct node *node)
{
	node->kswapd_wanted = 0;
	node->kswapd_order = 0;
	node->kswapd_zones = 0;
}

bool kswapd_step(struct machine *m)
{
	unsigned int nid;

	if (!m->phys.kswapd_wanted || m->reclaiming)
		return false;
	for (nid = 0; nid < m->phys.nr_nodes; nid++) {
		struct node *node = m->phys.nodes[nid];
		enum zone_type highest;
		u64 got;

		if (!node)
			continue;
		relieve_boost(m, node);
		/* Nobody said: then all of them. */
		highest = node->kswapd_zones ? (enum zone_type)(node->kswapd_zones - 1)
					     : ZONE_MOVABLE;
		if (balanced(node, highest))
			continue;
		stat_inc(&m->phys.stat, PAGEOUTRUN);
		got = reclaim_until(m, RECLAIM_KSWAPD, highest, 1ull << nid, SWAP_CLUSTER_MAX);
		if (got && !balanced(node, highest))
			return true;
	}
	for (nid = 0; nid < m->phys.nr_nodes; nid++)
		if (m->phys.nodes[nid])
			kswapd_sleeps(m->phys.nodes[nid]);
	m->phys.kswapd_wanted = 0;
	return false;
}
