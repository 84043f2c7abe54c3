/*
 * pcp.h - per-CPU lists: free blocks of small orders (and of order 9) in front of the zone's lock.
 *
 * How     One ring of frame numbers per migrate type and order. Its newest end is hot (taken next),
 *         its oldest cold (given back to the zone first). An empty ring takes a batch from the
 *         zone, a full one gives a batch back. A frame on a ring is not touched, and struct page is
 *         not needed to link it.
 * Holds   C1  0 <= unchecked <= newest - oldest <= capacity
 *         C2  a frame on a ring is on no other and in no free block; an unchecked one (free.c)
 *             may turn out to have users still, and then leaves it
 *         C3  a pageblock of the zone that a CPU claims is marked as claimed, and no other's claim
 * Locks   (P) pcp->lock, rank PCP, taken before the zone's. Other CPUs take it only to drain.
 * Why     Linux: struct per_cpu_pages; there the frames are linked through struct page.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_PCP_H
#define QUIRE_PHYS_PCP_H

#include "phys/buddy.h"
#include "phys/phys.h"

#define PCP_MAX_ORDER 3
/* Rings: orders 0 to 3 of three types, then order 9 of three types. */
#define PCP_ORDERS   (PCP_MAX_ORDER + 2)
#define NR_PCP_RINGS (MIGRATE_PCPTYPES * PCP_ORDERS)

struct pcp_ring {
	u32 *frames; /* (C) capacity entries: frame number, FRAME_FRESH (order 0) */
	u16 mask; /* (C) capacity - 1 */
	u16 batch; /* (C) blocks moved at a time */
	/* (A) blocks that it may hold: mask + 1; 0: another CPU asks for everything back */
	u32 limit;
	u32 oldest; /* (P) counts up for ever */
	u32 newest; /* (P) */
	u32 newest_freed; /* (P) what newest became at the latest free */
	u32 unchecked; /* (P) of the newest, whose struct page has not been looked at: free.c */
};

struct pcp {
	struct lock lock;
	struct zone *zone; /* (C) */
	u16 quarter; /* (C) of the zone: where this CPU looks first for whole pageblocks */
	/* (Z) pageblocks that it takes single frames from, so that CPUs share none */
	u32 claims[MIGRATE_PCPTYPES];
	u64 allocated; /* (P) frames handed out, by way of this CPU, rings or not */
	u64 freed; /* (P) */
	struct pcp_ring rings[NR_PCP_RINGS];
	u64 numa_miss; /* (P) of these, handed out though another node was wanted */
	u64 numa_other; /* (P) of these, handed out to a CPU of another node */
};

/* What pcp_pop() returns when the ring is empty. */
#define FRAME_NONE (~(u32)0)

/* Ring of a type and order, or -1 if such blocks are not kept per CPU. */
static inline int pcp_ring_index(enum migratetype type, unsigned order)
{
	if (order > PCP_MAX_ORDER) {
		if (order != PAGEBLOCK_ORDER)
			return -1;
		order = PCP_MAX_ORDER + 1;
	}
	return (int)(order * MIGRATE_PCPTYPES + type);
}

static inline unsigned pcp_ring_order(int ring)
{
	unsigned order = (unsigned)ring / MIGRATE_PCPTYPES;

	return order > PCP_MAX_ORDER ? PAGEBLOCK_ORDER : order;
}

/* Look at the struct pages of the oldest `nr` unchecked blocks of a ring. Holds pcp->lock. */
void pcp_settle(struct pcp *pcp, struct pcp_ring *ring, u32 nr);
/* Of all of them: before anything is taken from the ring. */
static inline void pcp_settle_all(struct pcp *pcp, struct pcp_ring *ring)
{
	if (unlikely(ring->unchecked))
		pcp_settle(pcp, ring, ring->unchecked);
}

/* Of all rings of a CPU, of all CPUs of a zone; takes their locks. See settle_free_pages(). */
void pcp_settle_cpu(struct zone *zone, unsigned cpu);
void pcp_settle_zone(struct zone *zone);

/* The newest block of a ring: frame number, with FRAME_FRESH for order 0; FRAME_NONE: empty. */
static inline u32 pcp_pop(struct pcp *pcp, int index, unsigned order)
{
	struct pcp_ring *ring = &pcp->rings[index];
	u32 entry = FRAME_NONE;

	lock_take(&pcp->lock);
	pcp_settle_all(pcp, ring);
	if (likely(ring->newest != ring->oldest)) {
		entry = ring->frames[--ring->newest & ring->mask];
		pcp->allocated += (u64)1 << order;
	}
	lock_give(&pcp->lock);
	return entry;
}

static inline u32 ring_count(const struct pcp_ring *ring)
{
	return ring->newest - ring->oldest;
}

static inline bool ring_is_full(const struct pcp_ring *ring)
{
	return ring_count(ring) >= __atomic_load_n(&ring->limit, __ATOMIC_RELAXED);
}

/* Bytes that the rings of one of so many CPUs need for a zone of that many frames. */
size_t pcp_bytes(u64 zone_pages, unsigned nr_cpus);
/* Set up a CPU's in memory of pcp_bytes(), for a zone of that many frames. */
void pcp_init(struct pcp *pcp, struct zone *zone, unsigned cpu, u64 zone_pages);
/*
 * /proc/sys/vm/percpu_pagelist_high_fraction: what the rings of one order may hold, as a fraction
 * of the zone divided among the CPUs; never more than they have room for, nor less than four
 * batches. 0: all that they have room for. -EINVAL: 1 to 7.
 */
int must_use set_percpu_pagelist_high_fraction(struct phys *phys, unsigned fraction);
/* Linux's batch for a zone of that many managed frames: 63 for large ones. */
unsigned zone_batchsize(u64 managed_pages);

/* Fill an empty ring from the zone; false if the zone has nothing. Holds pcp->lock. */
bool pcp_refill(struct pcp *pcp, int ring, unsigned alloc_flags);
/*
 * Make room in a full ring: give a batch back to the zone; or all rings, if that was asked for.
 * Holds pcp->lock.
 */
void pcp_make_room(struct pcp *pcp, int ring);
/* Give all rings back to the zone. Holds pcp->lock. */
void pcp_drain(struct pcp *pcp);
/* From another CPU: have the owner do that. */
void pcp_request_drain(struct pcp *pcp);
/* Give `nr` of the oldest blocks back to the zone. Holds pcp->lock. */
void pcp_drain_ring(struct pcp *pcp, int ring, u32 nr);
/* Frames on all rings of all CPUs of the zone. */
u64 zone_pcp_pages(struct zone *zone);

#endif
