/*
 * migrate.h - VERB: relocate. A page gets another frame while programs use it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MOVE_MIGRATE_H
#define QUIRE_MOVE_MIGRATE_H

#include "phys/compact.h"

struct machine;
struct page;

/* From now on phys moves pages of this machine: compaction, contiguous ranges, hotplug. */
void migrate_start(struct machine *m);
void migrate_stop(struct machine *m);

/*
 * Puts the content of `from`, and everything that names it, into `to`, a single page with one
 * reference; `from` is free then. 0; -EBUSY: a page that never moves (pinned, or no program's);
 * -EAGAIN: somebody uses it just now. Linux: migrate_folio().
 */
must_use int migrate_page(struct machine *m, struct page *from, struct page *to);

/*
 * Moves from[i] to the single page to + i, for all i below nr that are not NULL; the back end is
 * asked once for all. Frames of `to` that nothing came into are free then. Returns how many moved.
 * Linux: migrate_pages().
 */
unsigned int migrate_pages(struct machine *m, struct page *const *from, struct page *to,
			   unsigned int nr);

/*
 * A page that is about to be pinned leaves memory that must be able to give it up (zone Movable,
 * CMA). True if it moved: look the page up again. Linux: check_and_migrate_movable_pages().
 */
bool migrate_for_pin(struct machine *m, struct page *page);

/*
 * kcompactd: a bounded step for a node where a high order was wanted, or, at most twice a second,
 * where free memory is too scattered. True if there is more to do.
 */
bool kcompactd_step(struct machine *m);

/* Pages that a child just forked shares cannot move: most attempts would fail. */
bool migrate_must_wait(struct machine *m);

/* Puts file pages side by side where faults asked for it: once. */
void collapse_step(struct machine *m);

#endif
