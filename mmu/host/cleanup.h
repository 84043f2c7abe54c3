/*
 * cleanup.h - nothing stays behind.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_HOST_CLEANUP_H
#define QUIRE_HOST_CLEANUP_H

/* Kills every descendant of this process, which must be a subreaper, and reaps them. */
void cleanup_descendants(void);

#endif
