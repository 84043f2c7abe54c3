/*
 * table.h - the page table of one address space: four levels, in the machine's own frames.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TABLE_TABLE_H
#define QUIRE_TABLE_TABLE_H

#include "base/types.h"
#include "table/pte.h"

struct phys;

#define TABLE_VA_BITS 48
#define TABLE_ENTRIES 512

/* The table of one address space. Guarded by its mm. */
struct table {
	struct phys *phys;
	u64 *root; /* the top level (Linux: mm->pgd); NULL before the first entry */
	u64 nr_pages; /* frames used by all levels */
};

void table_init(struct table *t, struct phys *phys);

/* Gives every level back. Entries must have been cleared: frames they name are not touched. */
void table_fini(struct table *t);

/* The entry of `addr`, or NULL where no leaf exists. Valid until table_trim() or table_fini(). */
pte_t *table_find(struct table *t, vaddr_t addr);

/* The entry of `addr`, made if need be; NULL without memory. Linux: pte_alloc_map(). */
must_use pte_t *table_get(struct table *t, vaddr_t addr);

/*
 * The next entry that is not zero at or after *addr and below end, or NULL. Sets *addr to its
 * address. Skips absent levels at once, so that a sparse terabyte costs nothing.
 */
pte_t *table_next(struct table *t, vaddr_t *addr, vaddr_t end);

/* Writes an entry and keeps the count of used entries of its leaf. The only way to write one. */
void table_set(struct table *t, pte_t *pte, pte_t value);

/* Gives back levels below [start, end) that hold nothing. Linux: free_pgtables(). */
void table_trim(struct table *t, vaddr_t start, vaddr_t end);

#endif
