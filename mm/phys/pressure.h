/*
 * pressure.h - SEAM: what the page allocator asks of reclaim when no zone has enough.
 *
 * Use     Declared here, defined by reclaim/ and bound at link time; unit tests of phys link a
 *         stub. Called with no lock of phys held; it may free pages, do device I/O and allocate:
 *         its own requests are answered with PRESSURE_RESERVES.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_PHYS_PRESSURE_H
#define QUIRE_PHYS_PRESSURE_H

#include "phys/gfp.h"

struct phys;

enum pressure_result {
	PRESSURE_RETRY, /* something was freed (or killed): try the free lists again */
	PRESSURE_FAIL, /* nothing more can be done for this request */
	PRESSURE_RESERVES, /* who asks is freeing memory: take below the watermarks (PF_MEMALLOC) */
};

/*
 * Make room for one block of 2^order frames of the kind that gfp describes. Linux:
 * __alloc_pages_direct_reclaim().
 */
enum pressure_result pressure_relieve(struct phys *phys, gfp_t gfp, unsigned order);

#endif
