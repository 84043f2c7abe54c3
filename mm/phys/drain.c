/*
 * drain.c - giving the per-CPU lists back to the zones: one's own, and those of other CPUs.
 *
 * How     With LOCK_ON a list is drained under its lock, whosever it is. With LOCK_OWNED a list
 *         has none, and only its CPU's thread may touch it. Another thread then leaves a request
 *         in the lists: their limit becomes 0, so that the owner, when it next frees or finds a
 *         list empty, comes to pcp_make_room() or pcp_refill() and drains everything. A thread
 *         that is going to do something else for a while says so, phys_cpu_idle(); until it is
 *         back, phys_cpu_busy(), others borrow its CPU and drain its lists themselves.
 * Holds   D1  a CPU is BUSY, IDLE or BORROWED; only its owner makes it BUSY or IDLE from BUSY, only
 *             a borrower BORROWED, from IDLE, and IDLE again
 * Locks   none in LOCK_OWNED: the state is the lock.
 * Why     Linux: drain_all_pages() takes the remote pcp->lock since 6.1, before that it sent work
 *         to the CPU.
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/alloc.h"
#include "phys/pcp.h"

enum cpu_state { CPU_BUSY, CPU_IDLE, CPU_BORROWED };

void phys_cpu_idle(struct phys *phys)
{
	__atomic_store_n(&phys->cpu_states[phys_this_cpu(phys)], CPU_IDLE, __ATOMIC_RELEASE);
}

void phys_cpu_busy(struct phys *phys)
{
	u8 *state = &phys->cpu_states[phys_this_cpu(phys)], idle = CPU_IDLE;

	while (!__atomic_compare_exchange_n(state, &idle, CPU_BUSY, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		if (idle == CPU_BUSY)
			return;
		idle = CPU_IDLE; /* borrowed: for no longer than draining takes */
	}
}

bool phys_cpu_borrow(struct phys *phys, unsigned cpu)
{
	u8 idle = CPU_IDLE;

	if (phys->locks != LOCK_OWNED || cpu == phys_this_cpu(phys))
		return true;
	return __atomic_compare_exchange_n(&phys->cpu_states[cpu], &idle, CPU_BORROWED, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void phys_cpu_return(struct phys *phys, unsigned cpu)
{
	if (phys->locks == LOCK_OWNED && cpu != phys_this_cpu(phys))
		__atomic_store_n(&phys->cpu_states[cpu], CPU_IDLE, __ATOMIC_RELEASE);
}

/* A CPU's lists of the zone, nobody else's until they are given back; NULL: it is busy. */
static struct pcp *take_lists(struct zone *zone, unsigned cpu)
{
	if (!phys_cpu_borrow(zone->phys, cpu))
		return NULL;
	lock_take(&zone->pcp[cpu]->lock);
	return zone->pcp[cpu];
}

static void give_lists(struct pcp *pcp, unsigned cpu)
{
	lock_give(&pcp->lock);
	phys_cpu_return(pcp->zone->phys, cpu);
}

void pcp_settle_cpu(struct zone *zone, unsigned cpu)
{
	struct pcp *pcp = zone->phys->puts == PUTS_NOW ? NULL : take_lists(zone, cpu);
	int i;

	if (!pcp)
		return;
	for (i = 0; i < NR_PCP_RINGS; i++)
		pcp_settle_all(pcp, &pcp->rings[i]);
	give_lists(pcp, cpu);
}

void pcp_settle_zone(struct zone *zone)
{
	unsigned cpu;

	for (cpu = 0; cpu < zone->phys->nr_cpus; cpu++)
		pcp_settle_cpu(zone, cpu);
}

void settle_free_pages(struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type;

	for_each_zone(phys, nid, type, zone)
		pcp_settle_zone(zone);
}

static void drain_cpu(struct zone *zone, unsigned cpu)
{
	struct pcp *pcp = take_lists(zone, cpu);

	if (!pcp) {
		pcp_request_drain(zone->pcp[cpu]);
		return;
	}
	pcp_drain(pcp);
	give_lists(pcp, cpu);
}

void drain_zone_pages(struct zone *zone)
{
	unsigned cpu;

	for (cpu = 0; cpu < zone->phys->nr_cpus; cpu++)
		drain_cpu(zone, cpu);
}

void drain_all_pages(struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type;

	for_each_zone(phys, nid, type, zone)
		drain_zone_pages(zone);
}

void drain_local_pages(struct phys *phys)
{
	struct zone *zone;
	unsigned nid, type;

	for_each_zone(phys, nid, type, zone)
		drain_cpu(zone, phys_this_cpu(phys));
}
