/*
 * sweep.h - see sweep.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_SWEEP_H
#define QUIRE_MALLOC_SWEEP_H

#include <stdint.h>

void slab_sweep(uint32_t older_than); /* slabs to which nothing came back since then */
extern uint64_t sweep_bytes; /* returned so far */

#endif
