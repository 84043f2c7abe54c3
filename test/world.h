/*
 * world.h - a whole machine for tests: RAM in a plain buffer, devices in memory, and an MMU made of
 * software that checks every answer.
 *
 * How     The MMU keeps what it was told to install, page by page, and reads and writes of a test
 *         go through that. It holds the core to its contract (mmu.h): what is installed is present
 *         and young in the table, with the same frame; nothing is taken away from a space that was
 *         just forked (world_adopt() ends that); what an entry calls young is installed. Devices
 *         fail on demand.
 * Use     world_open(), spaces with world_space() or call_fork() + world_forked(), world_read() and
 *         world_write() as a program would, world_peek() without touching anything, world_check()
 *         for the conservation laws, world_close() at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TEST_WORLD_H
#define QUIRE_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault/fault.h"
#include "machine.h"
#include "space/mm.h"
#include "space/vma.h"
#include "store/state.h"
#include "store/device.h"
#include "store/mapping.h"

/* Where simulated programs live: it crosses two borders of page table leaves. */
#define ARENA_PAGES 640u
#define ARENA	    (((vaddr_t)3 << 39) - 100 * PAGE_SIZE)
#define ARENA_END   (ARENA + ARENA_PAGES * PAGE_SIZE)

/* Fails the nth transfer from now on (1: the next), then every `interval`th (0: only that one). */
struct failing {
	u64 nth, interval;
	int error; /* errno; 0: a short transfer */
	u64 failed; /* how often it did */
};

/* A device in the test's memory. */
struct test_device {
	struct device dev;
	u8 *bytes;
	u64 size;
	struct failing read, write;
	u64 reads, writes; /* transfers */
	u64 pages_read, pages_written;
	bool closed;
};

/* One translation that the MMU holds. */
struct translation {
	u32 pfn;
	u8 prot; /* the area's rights when it was installed */
	bool installed, writable;
};

/* The MMU's side of one address space. */
struct soft_space {
	struct translation at[ARENA_PAGES];
	bool newborn; /* just forked: nothing can be taken away or put in another frame's place */
	bool forked; /* young entries may lack their translation: the parent's was just taken */
};

struct world_config {
	u64 ram_pages, swap_pages; /* swap_pages 0: none */
	u64 swap_bytes; /* the device's real size; 0: as large as its slots ask */
	u64 min_free_kbytes;
	u64 movable_pages; /* zone Movable, at the top */
};

struct world {
	struct machine m;
	u8 *ram;
	u64 ram_pages;
	struct test_device swap;
	u64 installs, invalidations; /* pages */
	u64 no_room; /* fail that many install()s */
	bool refused; /* did so: young entries may lack their translation */
	u64 kills;
	struct mm *last_killed;
	u64 base_pages; /* frames taken by an empty machine */
	bool verbose;
};

void world_open(struct world *w, struct world_config config);
/* All spaces gone: nothing may be left allocated. */
void world_close(struct world *w);

/* An empty address space, confined to the arena. */
struct mm *world_space(struct world *w);
/* The MMU's half of a fork. */
void world_forked(struct mm *parent, struct mm *child);
void world_adopt(struct mm *mm);
void world_exit(struct mm *mm);

/* As the MMU would: translated at once, or after as many faults as it takes. */
enum fault_result world_read(struct mm *mm, vaddr_t addr, void *to, size_t len);
enum fault_result world_write(struct mm *mm, vaddr_t addr, const void *from, size_t len);

/* What a page holds, wherever it is, without touching it: frame, swap cache, swap, file, zero. */
void world_peek(struct mm *mm, vaddr_t addr, u8 page[PAGE_SIZE]);

/* Every frame in one state, every count as the tables and caches say. */
void world_check(struct world *w);
/* Frames handed out and not explained by boot and slabs: user pages, tables, swap counts. */
u64 world_frames(struct world *w);

/* A file of the device's bytes. */
void test_device_init(struct test_device *d, u64 size);
struct mapping *world_file(struct world *w, struct test_device *d, u64 ino);

static inline struct world *world_of_mm(struct mm *mm)
{
	return mm->machine->owner;
}

static inline struct soft_space *soft_space(struct mm *mm)
{
	return mm->backend;
}

#endif
