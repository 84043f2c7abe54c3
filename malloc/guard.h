/*
 * guard.h - the hardened mode: QUIRE_MALLOC=hardened=1.
 *
 * How     No caches: every request and release takes block.c's way and comes by here.
 *         guarded     one small request in GUARD_ONE_IN gets pages of its own, ending at a page
 *                     without access; once freed the pages have no access either
 *         quarantined a freed block is zeroed and waits in a ring; when it leaves the ring it
 *                     must still be zero
 *         random      the block handed out is drawn from RANDOM_FROM free ones
 *         zeroed      follows: a block is zero from its release, or from the kernel, on
 * Use     guard_alloc(), guard_free() first; they decline what is not theirs.
 * Locks   guard's own, outside all others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_GUARD_H
#define QUIRE_MALLOC_GUARD_H

#include "layout.h"

void *guard_alloc(size_t bytes, size_t align); /* NULL: not this one */
bool guard_free(void *block); /* false: not guarded */
size_t guard_usable(const void *block); /* 0: not guarded */
void guard_quarantine(void *block, unsigned class);
bool guard_holds(const void *block); /* is it in quarantine? */
void *guard_draw(unsigned class); /* a random free block of the class */

#endif
