/*
 * memory.c - the machine's RAM as a file of the host: it grows, shrinks, and is shown.
 *
 * How     Frame n is the file's bytes from n * 4096. The manager's mapping is as long as memory may
 *         ever reach; the file ends with the last frame that was plugged in, and has holes where
 *         frames were taken out: the host has that memory back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mmu/host/control.h"
#include "mmu/host/host.h"
#include "phys/hotplug.h"

static unsigned int this_cpu(void *arg)
{
	return ((const struct host *)arg)->cpu;
}

/* One CPU for each node unless told otherwise; CPUs are what nodes are local to. */
static void describe_cpus(const struct quire_topology *t, struct memory_layout_config *layout)
{
	struct phys_config *p = &layout->phys;
	unsigned int i;

	p->nr_cpus = t->nr_cpus ? t->nr_cpus : p->nr_nodes;
	for (i = 0; i < p->nr_cpus; i++)
		layout->cpu_node[i] = t->nr_cpus ? t->cpu_node[i] : (u8)i;
	p->cpu_node = layout->cpu_node;
	if (p->nr_cpus > 1)
		p->this_cpu = this_cpu;
}

static void describe_distances(const struct quire_topology *t, struct memory_layout_config *layout)
{
	unsigned int nr = layout->phys.nr_nodes, from, to;

	if (!t->distance[0][0])
		return;
	for (from = 0; from < nr; from++)
		for (to = 0; to < nr; to++)
			layout->distance[from * nr + to] = t->distance[from][to];
	layout->phys.distances = layout->distance;
}

void memory_describe(struct host *h, struct memory_layout_config *layout)
{
	static const enum memory_model models[] = { MEMORY_FLAT, MEMORY_DISCONTIG, MEMORY_SPARSE };
	const struct quire_topology *t = &h->config->topology;
	struct phys_config *p = &layout->phys;
	unsigned int i;

	*layout = (struct memory_layout_config){ 0 };
	h->ram_bytes = h->config->ram_bytes & PAGE_MASK;
	p->nr_nodes = (unsigned int)max_u64(t->nr_nodes, 1);
	for (i = 0; i < t->nr_ram; i++) {
		layout->range[i] =
			(struct phys_range){ t->ram[i].start >> PAGE_SHIFT,
					     t->ram[i].bytes >> PAGE_SHIFT, t->ram[i].node };
		h->ram_bytes = t->ram[i].start + t->ram[i].bytes;
		p->nr_nodes = (unsigned int)max_u64(p->nr_nodes, t->ram[i].node + 1);
		p->ranges = layout->range;
		p->nr_ranges = t->nr_ram;
	}
	h->ram_max_bytes = max_u64(h->ram_bytes, t->max_bytes & PAGE_MASK);
	p->nr_pages = h->ram_bytes >> PAGE_SHIFT;
	p->max_pages = h->ram_max_bytes >> PAGE_SHIFT;
	p->model = models[t->model];
	p->movable_pages = t->movable_bytes >> PAGE_SHIFT;
	p->debug = (h->config->page_poison ? PHYS_POISON : 0) |
		   (h->config->page_owner ? PHYS_OWNER : 0);
	p->layout = t->layout == QUIRE_LAYOUT_32 ? LAYOUT_32 : LAYOUT_64;
	p->ram_content = RAM_ZEROED;
	describe_cpus(t, layout);
	describe_distances(t, layout);
}

void memory_set_up(struct host *h)
{
	u64 bytes = h->config->topology.cma_bytes;
	int err = bytes ? cma_create(&h->cma, &h->machine.phys, "reserved", bytes >> PAGE_SHIFT, 0)
			: 0;

	if (err)
		host_fail("--cma: %s",
			  err == -EINVAL ? "not a multiple of 2M" : "no room for it on node 0");
	if (bytes && h->verbose)
		host_log(h, "cma: Reserved %llu MiB at 0x%016llx on node 0",
			 (unsigned long long)bytes >> 20,
			 (unsigned long long)h->cma.start << PAGE_SHIFT);
}

int memory_plug(struct host *h, u64 start, u64 end, unsigned int nid)
{
	int err;

	if (end > h->ram_max_bytes)
		return -EINVAL;
	if (end > h->ram_bytes && ftruncate(h->ram_fd, (off_t)end) < 0)
		return -errno;
	err = memory_add(&h->machine.phys, start >> PAGE_SHIFT, (end - start) >> PAGE_SHIFT, nid,
			 ONLINE_KERNEL);
	if (!err)
		h->ram_bytes = max_u64(h->ram_bytes, end);
	return err;
}

int memory_unplug(struct host *h, u64 start, u64 end)
{
	int err = memory_remove(&h->machine.phys, start >> PAGE_SHIFT, (end - start) >> PAGE_SHIFT);

	if (err)
		return err;
	/* Windows onto these frames may be left; nothing in them is translated. */
	if (fallocate(h->ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
		      (off_t)(end - start)) < 0)
		return -errno;
	return 0;
}

/* What the pageblocks of one line have in common. */
struct block_kind {
	u16 zone_id;
	bool offline;
};

static struct block_kind kind_of(struct phys *phys, u64 id)
{
	struct block_kind kind = { .zone_id = phys->blocks[id].zone_id };
	pfn_t pfn = id << PAGEBLOCK_ORDER;

	if (kind.zone_id != PAGEBLOCK_NO_ZONE)
		kind.offline = page_test(pfn_to_page(phys, pfn), PG_offline);
	return kind;
}

static void show_run(struct host *h, struct answer *a, u64 first, u64 last, struct block_kind kind)
{
	struct phys *phys = &h->machine.phys;
	const struct zone *zone;

	if (kind.zone_id == PAGEBLOCK_NO_ZONE)
		return;
	zone = pfn_zone(phys, first << PAGEBLOCK_ORDER);
	answer_add(a, "%lluM-%lluM node %u zone %s %s\n", (unsigned long long)first * 2,
		   (unsigned long long)last * 2, zone->nid, zone->name,
		   kind.offline ? "offline" : "online");
}

void memory_show_blocks(struct host *h, struct answer *a)
{
	struct phys *phys = &h->machine.phys;
	struct block_kind kind = kind_of(phys, 0), next;
	u64 first = 0, id;

	for (id = 1; id < phys->nr_blocks; id++) {
		next = kind_of(phys, id);
		if (next.zone_id == kind.zone_id && next.offline == kind.offline)
			continue;
		show_run(h, a, first, id, kind);
		first = id;
		kind = next;
	}
	show_run(h, a, first, id, kind);
}

void memory_show_buddy(struct host *h, struct answer *a)
{
	struct phys *phys = &h->machine.phys;
	u64 blocks[NR_PAGE_ORDERS];
	unsigned int nid, type, order;
	struct zone *zone;

	for_each_zone(phys, nid, type, zone) {
		zone_free_area(zone, blocks);
		answer_add(a, "Node %u, zone %8s ", nid, zone->name);
		for (order = 0; order < NR_PAGE_ORDERS; order++)
			answer_add(a, "%6llu ", (unsigned long long)blocks[order]);
		answer_add(a, "\n");
	}
}

static void show_zone(const struct zone *zone, struct answer *a)
{
	const u64 *mark = zone->watermark, *keep = zone->lowmem_reserve;
	const struct {
		const char *name;
		u64 pages;
	} row[] = {
		{ "pages free", zone_free_pages(zone) },  { "      boost", zone->watermark_boost },
		{ "      min", mark[WMARK_MIN] },	  { "      low", mark[WMARK_LOW] },
		{ "      high", mark[WMARK_HIGH] },	  { "      promo", mark[WMARK_PROMO] },
		{ "      spanned", zone->spanned_pages }, { "      present", zone->present_pages },
		{ "      managed", zone->managed_pages }, { "      cma", zone->cma_pages },
	};
	unsigned int i;

	answer_add(a, "Node %u, zone %8s\n", zone->nid, zone->name);
	for (i = 0; i < array_size(row); i++)
		answer_add(a, "  %-14s %llu\n", row[i].name, (unsigned long long)row[i].pages);
	answer_add(a, "        protection: (");
	for (i = 0; i < MAX_NR_ZONES; i++)
		answer_add(a, "%s%llu", i ? ", " : "", (unsigned long long)keep[i]);
	answer_add(a, ")\n");
}

void memory_show_zones(struct host *h, struct answer *a)
{
	unsigned int nid, type;
	struct zone *zone;

	for_each_zone(&h->machine.phys, nid, type, zone)
		show_zone(zone, a);
}

void memory_show_nodes(struct host *h, struct answer *a)
{
	struct phys *phys = &h->machine.phys;
	unsigned int nid, i;

	for (nid = 0; nid < phys->nr_nodes; nid++) {
		struct vm_stat stat;

		if (!phys->nodes[nid])
			continue;
		phys_node_stat(phys, nid, &stat);
		answer_add(a, "node %u size %lluK free %lluK", nid,
			   (unsigned long long)phys->nodes[nid]->present_pages * 4,
			   (unsigned long long)stat.v[NR_FREE_PAGES] * 4);
		for (i = NUMA_HIT; i <= NUMA_OTHER; i++)
			answer_add(a, " %s %llu", stat_info((enum vm_stat_item)i)->name,
				   (unsigned long long)stat.v[i]);
		answer_add(a, "\n");
	}
}
