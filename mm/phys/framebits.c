/*
 * framebits.c - finds and counts free blocks in the bits of frames (framebits.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "phys/framebits.h"

static const u64 aligned_bits[WORD_ORDER + 1] = {
	ALIGNED_BITS(0), ALIGNED_BITS(1), ALIGNED_BITS(2), ALIGNED_BITS(3),
	ALIGNED_BITS(4), ALIGNED_BITS(5), ALIGNED_BITS(6),
};

/* Bit n set: a free block of that order begins at bit n. order is 0 to 6. */
static inline u64 word_runs(u64 word, unsigned order)
{
	unsigned k;

	for (k = 0; k < order; k++)
		word &= word >> (1u << k) & aligned_bits[k + 1];
	return word;
}

unsigned framebits_word_order(u64 word)
{
	unsigned k;

	for (k = 0; k < WORD_ORDER; k++) {
		word &= word >> (1u << k) & aligned_bits[k + 1];
		if (!word)
			break;
	}
	return k;
}

/* Bit n set: word n of the pageblock is wholly free. */
static unsigned full_words(const u64 *words)
{
	unsigned mask = 0, i;

	for (i = 0; i < PAGEBLOCK_WORDS; i++)
		mask |= (unsigned)(words[i] == ~(u64)0) << i;
	return mask;
}

/* Bit n set: an aligned run of 2^(order-6) full words begins at word n. order is 6 to 9. */
static unsigned word_run_starts(unsigned full, unsigned order)
{
	if (order >= 7)
		full &= full >> 1 & 0x55;
	if (order >= 8)
		full &= full >> 2 & 0x11;
	if (order >= 9)
		full &= full >> 4 & 1;
	return full;
}

unsigned framebits_order(const u64 *words, unsigned nr_free)
{
	unsigned full, order, best = 0, i;

	if (nr_free == PAGEBLOCK_PAGES)
		return PAGEBLOCK_ORDER;
	full = nr_free >= 64 ? full_words(words) : 0;
	if (full) {
		for (order = 8; order > WORD_ORDER && !word_run_starts(full, order); order--)
			;
		return order;
	}
	for (i = 0; i < PAGEBLOCK_WORDS && best < WORD_ORDER - 1; i++) {
		if (words[i] && word_runs(words[i], best + 1))
			best = framebits_word_order(words[i]);
	}
	return best;
}

/*
 * Where in the pageblock a free block of `order` (0 to 9) begins, in frames. The smallest that will
 * do.
 */
unsigned framebits_find(const u64 *words, unsigned order)
{
	unsigned best_order = ~0u, best = 0, i, found;
	u64 runs;

	if (order >= WORD_ORDER) {
		unsigned full = full_words(words), starts = word_run_starts(full, order);

		/* Prefer a run whose buddy is not free. */
		for (i = 0; i < PAGEBLOCK_WORDS; i += 1u << (order - WORD_ORDER)) {
			if (!(starts >> i & 1))
				continue;
			best = i;
			if (!(starts >> (i ^ (1u << (order - WORD_ORDER))) & 1))
				break;
		}
		return best * 64;
	}
	for (i = 0; i < PAGEBLOCK_WORDS && best_order > order; i++) {
		runs = word_runs(words[i], order);
		if (!runs)
			continue;
		for (found = order; found < WORD_ORDER; found++) {
			/* Runs of this order that are not part of a larger one. */
			u64 larger = runs & runs >> (1u << found) & aligned_bits[found + 1];
			u64 alone = runs & ~(larger | larger << (1u << found));

			if (alone) {
				runs = alone;
				break;
			}
			runs = larger;
		}
		if (found < best_order) {
			best_order = found;
			best = i * 64 + (unsigned)__builtin_ctzll(runs);
		}
	}
	return best;
}

void framebits_clear(u64 *bits, pfn_t pfn, unsigned order)
{
	u64 *word = bits + pfn / 64;
	unsigned i;

	if (order < WORD_ORDER) {
		*word &= ~(run_mask(order) << pfn % 64);
		return;
	}
	for (i = 0; i < 1u << (order - WORD_ORDER); i++)
		word[i] = 0;
}

/*
 * Order of the free block around `bit` (whose own run of 2^order frames is set) in the pageblock.
 */
unsigned framebits_merged(const u64 *words, unsigned bit, unsigned order)
{
	u64 word = words[bit / 64];
	unsigned at = bit % 64, full;

	for (; order < WORD_ORDER; order++) {
		at &= ~((2u << order) - 1);
		if ((word >> at & run_mask(order + 1)) != run_mask(order + 1))
			return order;
	}
	full = full_words(words);
	for (; order < PAGEBLOCK_ORDER; order++) {
		unsigned start = bit / 64 & ~((2u << (order - WORD_ORDER)) - 1);

		if (!(word_run_starts(full, order + 1) >> start & 1))
			return order;
	}
	return order;
}

unsigned framebits_count(const u64 *bits, pfn_t start, u64 nr)
{
	unsigned count = 0;
	u64 i, n;

	for (i = 0; i < nr; i += n) {
		n = min_u64(nr - i, 64 - (start + i) % 64);
		count += count_bits(bits[(start + i) / 64] >> (start + i) % 64 &
				    (n == 64 ? ~(u64)0 : ((u64)1 << n) - 1));
	}
	return count;
}

static unsigned low_bits(unsigned n)
{
	return (1u << n) - 1;
}

/* Count the largest blocks of one pageblock (not of a pair) by order. */
void framebits_count_blocks(const u64 *words, u64 nr_blocks[NR_PAGE_ORDERS])
{
	unsigned i, k, full = 0;

	for (i = 0; i < PAGEBLOCK_WORDS; i++) {
		u64 word = words[i];

		if (word == ~(u64)0) {
			full |= 1u << i;
			continue;
		}
		for (k = 0; word; k++) {
			u64 larger = word & word >> (1u << k) & aligned_bits[k + 1];

			nr_blocks[k] += count_bits(word & ~(larger | larger << (1u << k)));
			word = larger;
		}
	}
	for (i = 0; i < PAGEBLOCK_WORDS; i += 1u << k) {
		for (k = 0; k < 3 && is_aligned(i, 2u << k); k++)
			if ((full >> i & low_bits(2u << k)) != low_bits(2u << k))
				break;
		if (full >> i & 1)
			nr_blocks[6 + k]++;
		else
			k = 0;
	}
}
