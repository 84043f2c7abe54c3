/*
 * heap.c - reserves the zones and opens them step by step.
 *
 * Why     One reservation, not brk: measured they are equal (docs/malloc.md), but a library that
 *         calls sbrk() itself ends a heap at the break, and huge pages cannot be laid out there.
 *         Opening by mprotect keeps the kernel's accounting honest: with strict overcommit
 *         malloc() fails, not the first touch.
 *
 * SPDX-License-Identifier: MIT
 */
#include "heap.h"
#include "cache.h"
#include "classes.h"
#include "os.h"
#include "reap.h"
#include "slab.h"
#include "span.h"
#include "tune.h"
#include "units.h"

#define ZONE_LEAST  ((size_t)16 << 20)
#define ZONE_MOST   ((size_t)4 << 40)
#define CACHES_MOST ((size_t)256 << 20)
#define STEP_BYTES  ((size_t)64 << 10)

struct heap heap = { .route = ROUTE_SLOW };
uintptr_t heap_base in_data __attribute__((aligned(64)));
size_t heap_unit_limit in_data;
int32_t *heap_map in_data;
size_t heap_quick in_data, heap_counted in_data;
int32_t heap_magazine[QUICK_MAX + 1];

/* Of a cache few pages are touched. */
static size_t caches_bytes(size_t zone_bytes)
{
	return zone_bytes / 4 < CACHES_MOST ? zone_bytes / 4 : CACHES_MOST;
}

static size_t sizes_total(size_t zone_bytes)
{
	size_t count = zone_bytes >> UNIT_SHIFT;

	return 2 * zone_bytes + count * sizeof(struct slab) +
	       round_up(count * sizeof(int32_t), PAGE_BYTES) +
	       round_up(count / 64 * sizeof(struct unit_bits), PAGE_BYTES) +
	       (zone_bytes >> PAGE_SHIFT) * sizeof(struct tag) + caches_bytes(zone_bytes) +
	       UNIT_BYTES * 32;
}

/* Four times the RAM, so that it is never the reservation that ends first. */
static size_t zone_bytes_wanted(void)
{
	size_t limit = os_address_limit(), want = ZONE_LEAST, ram = os_ram_bytes();

	while (want < 4 * ram && want < ZONE_MOST)
		want *= 2;
	while (limit != SIZE_MAX && want > ZONE_LEAST && sizes_total(want) > limit / 2)
		want /= 2;
	return want;
}

static char *zone_place(struct zone *zone, char *at, size_t bytes, size_t step)
{
	bytes = round_up(bytes, PAGE_BYTES);
	*zone = (struct zone){ .base = at, .limit_bytes = bytes, .step_bytes = step };
	return at + bytes;
}

/* What a small program touches lies together: the more apart, the more page tables it needs. */
static void zones_place(char *at, size_t zone_bytes)
{
	size_t count = zone_bytes >> UNIT_SHIFT;

	at = (char *)round_up((uintptr_t)at, HUGE_BYTES);
	at = zone_place(&heap.units, at, zone_bytes, (size_t)1 << 20);
	at = zone_place(&heap.pages, at, zone_bytes, (size_t)1 << 20);
	heap.units.holds_blocks = heap.pages.holds_blocks = true;
	at = zone_place(&heap.caches, at, caches_bytes(zone_bytes), STEP_BYTES);
	at = zone_place(&heap.tags, at, (zone_bytes >> PAGE_SHIFT) * sizeof(struct tag),
			STEP_BYTES);
	at = zone_place(&heap.bits, at, count / 64 * sizeof(struct unit_bits), PAGE_BYTES);
	at = zone_place(&heap.maps, at, count * sizeof(int32_t), PAGE_BYTES);
	zone_place(&heap.slabs, at, count * sizeof(struct slab), STEP_BYTES);
}

static bool open_to(struct zone *zone, size_t bytes)
{
	bytes = round_up(bytes, zone->step_bytes);
	if (bytes > zone->limit_bytes)
		bytes = zone->limit_bytes;
	if (!(zone->by_break ? os_extend_break : os_commit)(zone->base + zone->open_bytes,
							    bytes - zone->open_bytes))
		return false;
	zone->open_bytes = bytes;
	return true;
}

/* How much to open when `bytes` are needed: an eighth more than before, or M_TOP_PAD. */
static size_t with_room(const struct zone *zone, size_t bytes)
{
	size_t room = zone->open_bytes + zone->open_bytes / 8, pad = tune.top_pad;

	if (zone->holds_blocks && pad) {
		if (pad > zone->limit_bytes - bytes)
			pad = zone->limit_bytes - bytes;
		if (bytes + pad > room)
			return bytes + pad;
	}
	return room > bytes ? room : bytes;
}

bool zone_open(struct zone *zone, size_t bytes)
{
	if (bytes <= zone->open_bytes)
		return true;
	if (bytes > zone->limit_bytes)
		return false;
	return open_to(zone, with_room(zone, bytes)) || open_to(zone, bytes);
}

/*
 * A fault that brings a huge page fills memory above the top that nobody has used. When the top
 * has not moved for a while, that goes back as well.
 */
void zone_purge_tail(struct zone *zone, size_t top_bytes, uint32_t older_than)
{
	size_t end = round_up(top_bytes, HUGE_BYTES);

	if (top_bytes != zone->seen_top) {
		zone->seen_top = top_bytes;
		zone->seen_at = reap_now();
		zone->tail_gone = false;
	}
	if (zone->tail_gone || top_bytes <= HUGE_FROM || zone->seen_at >= older_than)
		return;
	if (end > zone->open_bytes)
		end = zone->open_bytes;
	os_purge(zone->base + top_bytes, end - top_bytes);
	zone->tail_gone = true;
}

void heap_show_units(size_t count)
{
	static size_t shown;

	for (; shown < count; shown++)
		heap_map[shown] = magazine_offset(0);
	if (heap.route != ROUTE_SLOW)
		__atomic_store_n(&heap_unit_limit, count, __ATOMIC_RELEASE);
}

void heap_route(enum heap_route route)
{
	heap.route = route;
	heap_quick = route == ROUTE_FAST ? QUICK_MAX + 1 : 0;
	heap_counted = route == ROUTE_FREE_FAST && !tune.counts ? QUICK_MAX + 1 : 0;
	if (route == ROUTE_SLOW)
		heap_unit_limit = 0;
	else
		heap_show_units(heap.units.open_bytes >> UNIT_SHIFT);
}

/* Moves the zone of units, still empty, to the break. It stays where it is if that cannot be. */
static void units_to_break(void)
{
	char *at = os_break(), *base = (char *)round_up((uintptr_t)at, UNIT_BYTES);

	if (!at || (base > at && !os_extend_break(at, (size_t)(base - at))))
		return;
	heap.units.base = base;
	heap.units.by_break = true;
}

/* All free bits and the first of the map in one call: they are neighbours. */
static bool open_small_zones(void)
{
	size_t bits = heap.bits.limit_bytes;

	if (!os_commit(heap.bits.base, bits + heap.maps.step_bytes))
		return false;
	heap.bits.open_bytes = bits;
	heap.maps.open_bytes = heap.maps.step_bytes;
	return true;
}

bool heap_setup(void)
{
	size_t zone_bytes = zone_bytes_wanted();
	char *at = NULL;

	if (heap_base)
		return true;
	while (!at && zone_bytes >= ZONE_LEAST) {
		at = os_map(sizes_total(zone_bytes) + HUGE_BYTES, OS_RESERVED);
		if (!at)
			zone_bytes /= 2;
	}
	if (!at)
		return false;
	class_setup();
	zones_place(at, zone_bytes);
	if (!open_small_zones()) {
		os_unmap(at, sizes_total(zone_bytes) + HUGE_BYTES);
		return false;
	}
	if (tune.brk)
		units_to_break();
	for (size_t i = 0; i <= QUICK_MAX; i++)
		heap_magazine[i] = class_info[class_of(i)].magazine_at;
	heap_map = (int32_t *)heap.maps.base;
	heap_base = (uintptr_t)heap.units.base;
	return true;
}
