/*
 * fork.h - the heap across fork(): consistent in the child, whatever other threads did.
 *
 * Use     fork_setup() once, before the program can register handlers of its own: ours must be
 *         the last to run before the fork and the first after it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_FORK_H
#define QUIRE_MALLOC_FORK_H

void fork_setup(void);

#endif
