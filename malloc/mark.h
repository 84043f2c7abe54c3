/*
 * mark.h - how a free block of a slab is told from one in use: it begins with its own address.
 *
 * How     free() writes the mark, malloc() exchanges it for zero in the instruction that looks for
 *         it. A word that is not there any more was written by somebody who had no right to.
 * Holds   K1  a free block carries its mark, unless the kernel gave its page as zeroes
 *         K2  a block in use may carry it as well, by chance: a list head that points at itself.
 *             So the mark proves that a free block is broken, not that a block is free
 * Why     An address, because both calls have it in a register already. Secret it need not be:
 *         nothing is done with the word but to compare it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_MARK_H
#define QUIRE_MALLOC_MARK_H

#include "layout.h"

#ifndef MALLOC_CHECKS /* 0: to measure what they cost (bench/malloc) */
#define MALLOC_CHECKS 1
#endif

static inline bool is_marked(const void *block)
{
	return !MALLOC_CHECKS || *(const uintptr_t *)block == (uintptr_t)block;
}

static inline void mark(void *block)
{
	if (MALLOC_CHECKS)
		*(uintptr_t *)block = (uintptr_t)block;
}

/*
 * Marks a free block that is marked, or that starts with zero. False: with something else. One
 * instruction reads and writes: a load would first map the kernel's page of zeroes into a fresh
 * page, and the store fault a second time.
 */
static inline bool mark_again(void *block)
{
	uintptr_t *word = block;

	if (!MALLOC_CHECKS)
		return true;
#if defined(__x86_64__)
	__asm__("xorq %1, %0" : "+m"(*word) : "r"(block) : "cc");
#else
	*word ^= (uintptr_t)block;
#endif
	if (*word == (uintptr_t)block)
		return true;
	if (*word) {
		*word ^= (uintptr_t)block;
		return false;
	}
	*word = (uintptr_t)block;
	return true;
}

/* Takes the mark off. False: there was none, and unmark_undo() restores the word. */
static inline bool unmark(void *block)
{
	uintptr_t *word = block;
#if defined(__x86_64__)
	bool marked;
#endif

	if (!MALLOC_CHECKS)
		return true;
#if defined(__x86_64__)

	__asm__("xorq %2, %1" : "=@ccz"(marked), "+m"(*word) : "r"(block));
	return marked;
#else
	*word ^= (uintptr_t)block;
	return *word == 0;
#endif
}

static inline void unmark_undo(void *block)
{
	*(uintptr_t *)block ^= (uintptr_t)block;
}

#endif
