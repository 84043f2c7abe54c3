/*
 * pte.h - one page table entry, in the format of the x86-64 manual.
 *
 * How     A present entry has the hardware's bits. ACCESSED means "the MMU back end holds this
 *         translation": a back end that caches the table cannot report single accesses, so the
 *         entry is young exactly while the back end maps it, and old once it was taken away.
 *         An entry that is neither zero nor present holds a swap slot.
 * Use     pte_mk(), pte_swap(), and questions; all pure.
 * Why     Linux: arch/x86/include/asm/pgtable_64.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TABLE_PTE_H
#define QUIRE_TABLE_PTE_H

#include "base/types.h"

typedef u64 pte_t;

#define PTE_PRESENT  (1ull << 0)
#define PTE_WRITE    (1ull << 1)
#define PTE_USER     (1ull << 2)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY    (1ull << 6)
#define PTE_SPECIAL  (1ull << 9) /* software bit: a frame that is not on any LRU list */
#define PTE_SWAP     (1ull << 1) /* meaning of bit 1 where PRESENT is clear */
#define PTE_NX	     (1ull << 63)
#define PTE_PFN_MASK 0x000ffffffffff000ull

static inline pte_t pte_mk(pfn_t pfn, u64 bits)
{
	return (pfn << PAGE_SHIFT) | bits | PTE_PRESENT | PTE_USER;
}

static inline pfn_t pte_pfn(pte_t pte)
{
	return (pte & PTE_PFN_MASK) >> PAGE_SHIFT;
}

static inline bool pte_present(pte_t pte)
{
	return pte & PTE_PRESENT;
}

/* Present and held by the MMU back end. */
static inline bool pte_young(pte_t pte)
{
	return (pte & (PTE_PRESENT | PTE_ACCESSED)) == (PTE_PRESENT | PTE_ACCESSED);
}

static inline pte_t pte_swap(u64 slot)
{
	return (slot << PAGE_SHIFT) | PTE_SWAP;
}

static inline bool pte_is_swap(pte_t pte)
{
	return pte && !(pte & PTE_PRESENT);
}

static inline u64 pte_slot(pte_t pte)
{
	return pte >> PAGE_SHIFT;
}

#endif
