/*
 * unmap.h - taking pages out of an address space.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_SPACE_UNMAP_H
#define QUIRE_SPACE_UNMAP_H

#include "base/types.h"

struct machine;
struct mm;
struct page;

/* Empties the entries of [start, end) and frees what nobody else uses. Linux: zap_page_range(). */
void unmap_pages(struct mm *mm, vaddr_t start, vaddr_t end);

/*
 * The same for file pages at index and above, in every area of the mapping. Linux:
 * unmap_mapping_range().
 */
struct mapping;
void unmap_mapping(struct mapping *map, u64 first, u64 nr);

/* Drops a reference of any page; the last frees it, with its swap slot. Linux: put_page(). */
void page_put(struct machine *m, struct page *page);

#endif
