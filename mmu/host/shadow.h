/*
 * shadow.h - for each page of an address space: what the host has there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_HOST_SHADOW_H
#define QUIRE_HOST_SHADOW_H

#include "mmu/host/host.h"

/* One word per page: kind, protection, marks, frame. */
#define SHADOW_KIND	      3u
#define SHADOW_HOLE	      0u /* nothing of ours: the host's own mapping, or none */
#define SHADOW_BACKDROP	      1u /* private and empty; every access is reported */
#define SHADOW_WINDOW	      2u /* a frame of the RAM file */
#define SHADOW_PROT(prot)     ((u32)(prot) << 2)
#define SHADOW_GET_PROT(word) (((word) >> 2) & 7u)
#define SHADOW_INSTALLED      (1u << 5) /* the host translates it */
#define SHADOW_WP	      (1u << 6) /* and reports writes */
#define SHADOW_PFN(pfn)	      ((u32)(pfn) << 7)
#define SHADOW_GET_PFN(word)  ((u64)((word) >> 7))

/*
 * The word of a page; makes its leaf. Consecutive words of one 2 MiB leaf are consecutive in
 * memory.
 */
u32 *shadow_get(struct space *s, vaddr_t addr);
/* The word, or NULL where no leaf is: then shadow_default() tells. */
u32 *shadow_find(const struct space *s, vaddr_t addr);
u32 shadow_default(const struct space *s, vaddr_t addr);
/* Where, after an address without a leaf, a leaf may be or the default changes; at most end. */
vaddr_t shadow_skip(const struct space *s, vaddr_t addr, vaddr_t end);
/* Sets all of [start, end), as cheaply as the default ranges allow. */
void shadow_fill(struct space *s, vaddr_t start, vaddr_t end, u32 word);
/* Narrows [start, end) to the pages with a leaf that `wanted` says yes to; false without any. */
bool shadow_narrow(const struct space *s, vaddr_t *start, vaddr_t *end, bool (*wanted)(u32 word));
void shadow_copy(struct space *to, const struct space *from);
void shadow_free(struct space *s);

#endif
