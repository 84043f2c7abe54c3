/*
 * watermark_test.c - watermarks and reserves equal to those of a real kernel with the same zones.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/testram.h"
#include "phys/watermark.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_a_kernel_of_24_gb),
		cmocka_unit_test(default_min_free),
		cmocka_unit_test(knobs_apply_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
