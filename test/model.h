/*
 * model.h - what several programs and their memory calls should see: one array of pages each, no
 * areas, no tables, no frames.
 *
 * How     A page is mapped or not, has flags, belongs to a shared object or not, and holds a few
 *         words; all else of it is zero. Each operation is done on the model, and on the machine
 *         through its real functions, and the results compared; model_compare() compares flags
 *         and every byte of every page.
 * Use     model_open(), model_step() many times, model_compare(), model_close().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TEST_MODEL_H
#define QUIRE_TEST_MODEL_H

#include "test/world.h"

#define MODEL_SPACES  4
#define MODEL_OBJECTS 64
#define OBJECT_PAGES  64
#define WORDS	      4 /* of a page that may differ from zero */

struct words {
	u64 word[WORDS];
};

/* A file, or shared memory. */
struct object {
	struct mapping *mapping; /* FILE: an opener's reference. SHMEM: NULL */
	bool used, file;
	u32 pages; /* beyond is SIGBUS */
	struct words page[OBJECT_PAGES];
};

struct model_page {
	bool mapped, own; /* own: contents below; else zero or the object's */
	u32 flags; /* those of MODEL_FLAGS */
	struct object *object;
	u32 index;
	struct words words;
};

struct model_space {
	struct mm *mm; /* NULL: none */
	struct model_page page[ARENA_PAGES];
};

enum model_oom { OOM_IS_A_BUG, OOM_HAPPENS };

struct model_config {
	struct world_config world;
	u64 seed;
	enum model_oom oom;
	unsigned int reach; /* pages of the arena that most operations fall into */
};

struct model {
	struct world w;
	struct model_config config;
	struct model_space space[MODEL_SPACES];
	struct model_space *newborn;
	unsigned int newborn_for; /* steps left */
	struct object object[MODEL_OBJECTS];
	struct test_device file;
	u64 random;
	u64 step;
	u64 ops[32]; /* how often each kind was done */
	bool io_errors; /* an access may end in SIGBUS */
	bool out_of_memory; /* an operation may fail with -ENOMEM, half done */
};

void model_open(struct model *md, struct model_config config);
void model_step(struct model *md);
void model_compare(struct model *md);
/* Ends all programs; nothing may be left. */
void model_close(struct model *md);

/* Parts of a step, for tests of their own. */
unsigned int model_below(struct model *md, unsigned int n);
struct model_space *model_pick(struct model *md);
void model_exit(struct model *md, struct model_space *sp);

/* model_calls.c */
void model_call(struct model *md, struct model_space *sp);

#define MODEL_FLAGS                                                                                \
	((u32)(VM_READ | VM_WRITE | VM_EXEC | VM_SHARED | VM_LOCKED | VM_LOCKONFAULT |             \
	       VM_DONTCOPY | VM_WIPEONFORK | VM_SEQ_READ | VM_RAND_READ | VM_DONTDUMP |            \
	       VM_NOHUGEPAGE | VM_HUGEPAGE))

static inline vaddr_t page_at(unsigned int n)
{
	return ARENA + n * PAGE_SIZE;
}

#endif
