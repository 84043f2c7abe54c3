/*
 * watermark_test.c - watermarks and reserves equal to those of a real kernel with the same zones.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "phys/pcp.h"
#include "phys/watermark.h"
#include "test/testram.h"

/*
 * A node whose zones have the managed frames of a real machine of 24 GB; no RAM is needed for the
 * formulas.
 */
struct paper {
	struct phys phys;
	struct node node;
};

static void paper_init(struct paper *p, const u64 managed[MAX_NR_ZONES])
{
	unsigned i;

	memset(p, 0, sizeof(*p));
	p->phys.nr_nodes = 1;
	p->phys.nodes[0] = &p->node;
	p->node.phys = &p->phys;
	p->phys.watermark_scale_factor = 10;
	p->phys.lowmem_reserve_ratio[ZONE_DMA] = 256;
	p->phys.lowmem_reserve_ratio[ZONE_DMA32] = 256;
	p->phys.lowmem_reserve_ratio[ZONE_NORMAL] = 32;
	for (i = 0; i < MAX_NR_ZONES; i++) {
		p->node.zones[i].phys = &p->phys;
		p->node.zones[i].type = (enum zone_type)i;
		p->node.zones[i].managed_pages = managed[i];
	}
}

static void assert_marks(const struct zone *zone, u64 min, u64 low, u64 high, u64 promo)
{
	assert_int_equal(zone->watermark[WMARK_MIN], min);
	assert_int_equal(zone->watermark[WMARK_LOW], low);
	assert_int_equal(zone->watermark[WMARK_HIGH], high);
	assert_int_equal(zone->watermark[WMARK_PROMO], promo);
}

static void same_as_a_kernel_of_24_gb(void **state)
{
	struct paper p;
	struct zone *zones = p.node.zones;

	paper_init(&p, (u64[]){ 3840, 772917, 5394266, 0, 0 });
	set_min_free_kbytes(&p.phys, 67584);
	assert_marks(&zones[ZONE_DMA], 10, 13, 16, 19);
	assert_marks(&zones[ZONE_DMA32], 2116, 2888, 3660, 4432);
	assert_marks(&zones[ZONE_NORMAL], 14769, 20163, 25557, 30951);
	assert_int_equal(zones[ZONE_MOVABLE].watermark[WMARK_MIN], 32);
	assert_int_equal(zones[ZONE_DMA].lowmem_reserve[ZONE_DMA], 0);
	assert_int_equal(zones[ZONE_DMA].lowmem_reserve[ZONE_DMA32], 3019);
	assert_int_equal(zones[ZONE_DMA].lowmem_reserve[ZONE_NORMAL], 24090);
	assert_int_equal(zones[ZONE_DMA].lowmem_reserve[ZONE_MOVABLE], 24090);
	assert_int_equal(zones[ZONE_DMA32].lowmem_reserve[ZONE_NORMAL], 21071);
	assert_int_equal(zones[ZONE_DMA32].lowmem_reserve[ZONE_DMA32], 0);
	assert_int_equal(zones[ZONE_NORMAL].lowmem_reserve[ZONE_MOVABLE], 0);
}

static void default_min_free(void **state)
{
	/* The same machine, before khugepaged raised it. */
	assert_int_equal(default_min_free_kbytes((3840 + 772917 + 5394266) * 4), 19873);
	assert_int_equal(default_min_free_kbytes(100), 128);
	assert_int_equal(default_min_free_kbytes((u64)1 << 40), 262144);
}

/* With huge pages the same machine shows 67584 kB: 512 * 3 zones * (2 + 3 * 3) pages. */
static void recommended_for_huge_pages(void **state)
{
	struct paper p;

	paper_init(&p, (u64[]){ 3840, 772917, 5394266, 0, 0 });
	set_min_free_kbytes(&p.phys, 19873);
	set_recommended_min_free_kbytes(&p.phys);
	assert_int_equal(p.phys.min_free_kbytes, 67584);
	assert_marks(&p.node.zones[ZONE_NORMAL], 14769, 20163, 25557, 30951);
	/* What is more stays. */
	set_min_free_kbytes(&p.phys, 100000);
	set_recommended_min_free_kbytes(&p.phys);
	assert_int_equal(p.phys.min_free_kbytes, 100000);
	/* No more than a twentieth of low memory above high; Movable counts for neither. */
	paper_init(&p, (u64[]){ 3840, 28160, 0, 0, 50000 });
	set_min_free_kbytes(&p.phys, 1024);
	assert_marks(&p.node.zones[ZONE_DMA], 30, 37, 44, 51);
	assert_marks(&p.node.zones[ZONE_DMA32], 225, 281, 337, 393);
	set_recommended_min_free_kbytes(&p.phys);
	assert_int_equal(p.phys.min_free_kbytes, (3840 - 44 + 28160 - 337) / 20 * 4);
}

/* Zones that the kernel itself does not use keep a 1024th, 32 to 128 frames. */
static void zones_of_users(void **state)
{
	struct paper p;

	paper_init(&p, (u64[]){ 3840, 0, 221184, 65536, 1000 });
	p.phys.lowmem_reserve_ratio[ZONE_NORMAL] = 32;
	set_min_free_kbytes(&p.phys, 3795);
	assert_int_equal(p.node.zones[ZONE_HIGHMEM].watermark[WMARK_MIN], 64);
	assert_int_equal(p.node.zones[ZONE_MOVABLE].watermark[WMARK_MIN], 32);
	assert_int_equal(p.node.zones[ZONE_NORMAL].lowmem_reserve[ZONE_HIGHMEM], 65536 / 32);
	assert_int_equal(p.node.zones[ZONE_HIGHMEM].lowmem_reserve[ZONE_MOVABLE], 0);
	p.node.zones[ZONE_HIGHMEM].managed_pages = 1000000;
	update_watermarks(&p.phys);
	assert_int_equal(p.node.zones[ZONE_HIGHMEM].watermark[WMARK_MIN], 128);
	/* All that is kept, by zone: high and the largest reserve, no more than there is. */
	p.node.zones[ZONE_HIGHMEM].managed_pages = 0;
	p.node.zones[ZONE_MOVABLE].managed_pages = 0;
	p.phys.lowmem_reserve_ratio[ZONE_DMA] = 2;
	update_watermarks(&p.phys);
	assert_true(p.node.zones[ZONE_DMA].lowmem_reserve[ZONE_NORMAL] > 3840);
	assert_int_equal(totalreserve_pages(&p.phys),
			 3840 + p.node.zones[ZONE_NORMAL].watermark[WMARK_HIGH]);
}

static void knobs_apply_at_once(void **state)
{
	struct paper p;

	paper_init(&p, (u64[]){ 3840, 772917, 5394266, 0, 0 });
	set_min_free_kbytes(&p.phys, 67584);
	assert_int_equal(set_watermark_scale_factor(&p.phys, 1000), 0);
	assert_int_equal(p.node.zones[ZONE_NORMAL].watermark[WMARK_LOW], 14769 + 539426);
	assert_int_equal(set_watermark_scale_factor(&p.phys, 0), -PHYS_EINVAL);
	assert_int_equal(set_watermark_scale_factor(&p.phys, 3001), -PHYS_EINVAL);
	set_lowmem_reserve_ratio(&p.phys, ZONE_DMA, 0);
	assert_int_equal(p.node.zones[ZONE_DMA].lowmem_reserve[ZONE_NORMAL], 0);
}

/* --- the kernel that this runs on --- */

#define HOST_NODES 8

/* One zone of /proc/zoneinfo. */
struct host_zone {
	unsigned nid;
	enum zone_type type;
	u64 boost, mark[NR_WMARK], managed;
	u64 protection[8];
	unsigned nr_protection;
};

static u64 read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long value = 0;

	if (!file || fscanf(file, "%lu", &value) != 1)
		fail_msg("%s cannot be read", path);
	fclose(file);
	return value;
}

/* The kernel's columns of the zones that it has and we have. */
static const struct {
	const char *name;
	enum zone_type type;
} host_types[] = {
	{ "DMA", ZONE_DMA },
	{ "DMA32", ZONE_DMA32 },
	{ "Normal", ZONE_NORMAL },
	{ "Movable", ZONE_MOVABLE },
};

static void read_protection(struct host_zone *zone, const char *line)
{
	const char *at = strchr(line, '(');
	char *end;

	for (zone->nr_protection = 0; at && zone->nr_protection < 8; at = *end == ',' ? end : NULL)
		zone->protection[zone->nr_protection++] = strtoull(at + 1, &end, 10);
}

static unsigned read_zoneinfo(FILE *file, struct host_zone *zones, unsigned most)
{
	struct host_zone *zone = NULL;
	char line[512], name[32];
	unsigned nr = 0, nid, i;
	unsigned long n;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %u, zone %31s", &nid, name) == 2) {
			zone = NULL;
			for (i = 0; i < array_size(host_types) && nr < most; i++) {
				if (strcmp(name, host_types[i].name) != 0 || nid >= HOST_NODES)
					continue;
				zone = &zones[nr++];
				memset(zone, 0, sizeof(*zone));
				zone->nid = nid;
				zone->type = host_types[i].type;
			}
		}
		if (!zone)
			continue;
		if (sscanf(line, " boost %lu", &n) == 1)
			zone->boost = n;
		if (sscanf(line, " min %lu", &n) == 1)
			zone->mark[WMARK_MIN] = n;
		if (sscanf(line, " low %lu", &n) == 1)
			zone->mark[WMARK_LOW] = n;
		if (sscanf(line, " high %lu", &n) == 1)
			zone->mark[WMARK_HIGH] = n;
		if (sscanf(line, " promo %lu", &n) == 1)
			zone->mark[WMARK_PROMO] = n;
		if (sscanf(line, " managed %lu", &n) == 1)
			zone->managed = n;
		if (strstr(line, "protection:"))
			read_protection(zone, line);
	}
	return nr;
}

/* A machine without RAM that has the host's zones and knobs. */
static void paper_of_host(struct phys *phys, struct node *nodes, const struct host_zone *zones,
			  unsigned nr)
{
	FILE *file = fopen("/proc/sys/vm/lowmem_reserve_ratio", "r");
	unsigned i;

	memset(phys, 0, sizeof(*phys));
	memset(nodes, 0, HOST_NODES * sizeof(*nodes));
	assert_non_null(file);
	for (i = 0; i < array_size(host_types); i++)
		assert_int_equal(
			fscanf(file, "%u", &phys->lowmem_reserve_ratio[host_types[i].type]), 1);
	fclose(file);
	for (i = 0; i < nr; i++) {
		struct node *node = &nodes[zones[i].nid];

		phys->nodes[zones[i].nid] = node;
		phys->nr_nodes = (unsigned)max_u64(phys->nr_nodes, zones[i].nid + 1);
		node->phys = phys;
		node->zones[zones[i].type].managed_pages = zones[i].managed;
	}
	for (i = 0; i < phys->nr_nodes * MAX_NR_ZONES; i++) {
		nodes[i / MAX_NR_ZONES].zones[i % MAX_NR_ZONES].type = i % MAX_NR_ZONES;
		nodes[i / MAX_NR_ZONES].zones[i % MAX_NR_ZONES].phys = phys;
	}
	phys->watermark_scale_factor = (unsigned)read_number("/proc/sys/vm/watermark_scale_factor");
	set_min_free_kbytes(phys, read_number("/proc/sys/vm/min_free_kbytes"));
}

/* Figures of ours that are not the kernel's. */
static unsigned count_differences(const struct node *nodes, const struct host_zone *zones,
				  unsigned nr)
{
	unsigned differences = 0, i, k;

	for (i = 0; i < nr; i++) {
		const struct zone *ours = &nodes[zones[i].nid].zones[zones[i].type];

		for (k = 0; k < NR_WMARK; k++)
			differences += ours->watermark[k] + zones[i].boost != zones[i].mark[k];
		assert_true(zones[i].nr_protection >= array_size(host_types));
		for (k = 0; k < array_size(host_types); k++)
			differences +=
				ours->lowmem_reserve[host_types[k].type] != zones[i].protection[k];
	}
	return differences;
}

static void same_as_the_kernel_here(void **state)
{
	static struct host_zone zones[HOST_NODES * array_size(host_types)];
	static struct node nodes[HOST_NODES];
	unsigned nr, tries, differences = 1;
	static struct phys phys;
	FILE *file;

	/* A boost may come or go while the file is read: look three times. */
	for (tries = 0; tries < 3 && differences; tries++) {
		file = fopen("/proc/zoneinfo", "r");
		if (!file)
			skip();
		nr = read_zoneinfo(file, zones, array_size(zones));
		fclose(file);
		assert_true(nr > 0);
		paper_of_host(&phys, nodes, zones, nr);
		differences = count_differences(nodes, zones, nr);
	}
	assert_int_equal(differences, 0);
	/* And the test can tell: another scale is another kernel. */
	assert_int_equal(set_watermark_scale_factor(&phys, 2999), 0);
	assert_true(count_differences(nodes, zones, nr) > 0);
}

/* --- the boost --- */

static struct page *take_until(struct phys *phys, gfp_t gfp)
{
	return alloc_page(phys, (gfp & ~__GFP_RECLAIM) | __GFP_NOWARN);
}

/*
 * All of the zone is movable, half of each pageblock is free again: an unmovable page has to break
 * into one, which makes the zone keep more free until kswapd has been there.
 */
static void a_fallback_boosts(void **state)
{
	static struct page *held[MIB(64)];
	struct testram t;
	struct zone *zone;
	u64 nr = 0, i, low;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(64) });
	zone = &t.phys.nodes[0]->zones[ZONE_DMA32];
	while ((held[nr] = take_until(&t.phys, GFP_HIGHUSER_MOVABLE)))
		nr++;
	for (i = 0; i < nr; i++)
		if (page_to_pfn(&t.phys, held[i]) % 2)
			__free_page(&t.phys, held[i]);
	drain_all_pages(&t.phys);
	low = zone_wmark(zone, WMARK_LOW);
	t.phys.kswapd_wanted = 0;

	/* The default of the library: nobody would lower it. */
	assert_non_null(take_until(&t.phys, GFP_KERNEL));
	assert_true(t.phys.stat.v[QUIRE_PAGEBLOCK_STEAL] > 0);
	assert_int_equal(zone_wmark(zone, WMARK_LOW), low);

	set_watermark_boost_factor(&t.phys, 15000);
	while (!zone->watermark_boost && take_until(&t.phys, GFP_KERNEL))
		;
	assert_int_equal(zone->watermark_boost, PAGEBLOCK_PAGES);
	assert_int_equal(zone_wmark(zone, WMARK_LOW), low + PAGEBLOCK_PAGES);
	assert_true(t.phys.kswapd_wanted && t.phys.nodes[0]->kswapd_wanted);
	assert_int_equal(node_watermark_boost(t.phys.nodes[0]), PAGEBLOCK_PAGES);
	/* It does not grow beyond 1.5 times the high watermark, or one pageblock. */
	for (i = 0; i < 4000 && take_until(&t.phys, GFP_KERNEL | __GFP_HIGH); i++)
		;
	assert_int_equal(zone->watermark_boost,
			 max_u64(zone->watermark[WMARK_HIGH] * 3 / 2, PAGEBLOCK_PAGES));

	lower_watermark_boost(t.phys.nodes[0]);
	assert_int_equal(zone_wmark(zone, WMARK_LOW), low);
	assert_true(t.phys.nodes[0]->kcompactd_wanted);
	phys_check(&t.phys);
	testram_end(&t);
}

/* What a list of movable blocks of the machine's only CPU holds after nr were freed. */
static u32 kept_of(struct phys *phys, unsigned index, unsigned nr)
{
	static struct page *page[1024];
	const struct pcp_ring *ring = &phys->nodes[0]->zones[ZONE_DMA32].pcp[0]->rings[index];
	unsigned order = pcp_ring_order((int)index);
	u32 kept;
	unsigned i;

	for (i = 0; i < nr; i++)
		assert_non_null(page[i] = alloc_pages(phys, GFP_HIGHUSER_MOVABLE, order));
	for (i = 0; i < nr; i++)
		__free_pages(phys, page[i], order);
	kept = ring_count(ring);
	assert_true(kept <= ring->mask + 1u);
	phys_check(phys);
	drain_all_pages(phys);
	return kept;
}

/* A fraction asks for no more than there is room for since boot, nor for less than four batches. */
static void fraction_and_room(void **state)
{
	struct testram t;
	const struct pcp_ring *ring;
	unsigned i, nr, order;
	u32 room, all;

	testram_boot(&t, (struct phys_config){ .nr_pages = MIB(512) });
	for (i = MIGRATE_MOVABLE; i < NR_PCP_RINGS; i += MIGRATE_PCPTYPES) {
		order = pcp_ring_order((int)i);
		ring = &t.phys.nodes[0]->zones[ZONE_DMA32].pcp[0]->rings[i];
		room = ring->mask + 1u;
		nr = order == PAGEBLOCK_ORDER ? 200 : 1024;
		/* All of it, without a fraction; full, it gives a batch back. */
		assert_int_equal(set_percpu_pagelist_high_fraction(&t.phys, 0), 0);
		all = kept_of(&t.phys, i, nr);
		assert_in_range(all, room - ring->batch + 1, room);
		/* An eighth of the zone: more than the room of any. */
		assert_int_equal(set_percpu_pagelist_high_fraction(&t.phys, 8), 0);
		assert_true(t.phys.nodes[0]->zones[ZONE_DMA32].managed_pages / 8 >
			    (u64)room << order);
		assert_int_equal(kept_of(&t.phys, i, nr), all);
		/* Next to nothing of it: four batches, or what room there is. */
		assert_int_equal(set_percpu_pagelist_high_fraction(&t.phys, 1u << 30), 0);
		assert_in_range(kept_of(&t.phys, i, nr), 1, min_u64(4u * ring->batch, room));
	}
	testram_end(&t);
}

/* FACTS: 63 on large zones; the fraction bounds what a CPU's list keeps. */
static void per_cpu_lists(void **state)
{
	static struct page *page[1024];
	struct testram t;
	struct pcp *pcp;
	unsigned i;

	assert_int_equal(zone_batchsize(5394266), 63);
	assert_int_equal(zone_batchsize(772917), 63);
	testram_boot(&t, (struct phys_config){ .nr_pages = 65536 });
	pcp = t.phys.nodes[0]->zones[ZONE_DMA32].pcp[0];
	assert_int_equal(set_percpu_pagelist_high_fraction(&t.phys, 7), -PHYS_EINVAL);
	assert_int_equal(set_percpu_pagelist_high_fraction(&t.phys, 1000), 0);
	for (i = 0; i < array_size(page); i++)
		assert_non_null(page[i] = alloc_page(&t.phys, GFP_HIGHUSER_MOVABLE));
	for (i = 0; i < array_size(page); i++)
		__free_page(&t.phys, page[i]);
	i = ring_count(&pcp->rings[pcp_ring_index(MIGRATE_MOVABLE, 0)]);
	assert_in_range(i, 1, max_u64(pcp->zone->managed_pages / 1000, 4 * 63));
	assert_int_equal(set_percpu_pagelist_high_fraction(&t.phys, 0), 0);
	assert_int_equal(ring_count(&pcp->rings[pcp_ring_index(MIGRATE_MOVABLE, 0)]), 0);
	testram_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_a_kernel_of_24_gb),
		cmocka_unit_test(default_min_free),
		cmocka_unit_test(recommended_for_huge_pages),
		cmocka_unit_test(zones_of_users),
		cmocka_unit_test(fraction_and_room),
		cmocka_unit_test(knobs_apply_at_once),
		cmocka_unit_test(same_as_the_kernel_here),
		cmocka_unit_test(a_fallback_boosts),
		cmocka_unit_test(per_cpu_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
