/*
 * slab.c - taking from and giving to slabs, in batches under the class's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "slab.h"
#include "cache.h"
#include "classes.h"
#include "reap.h"
#include "report.h"
#include "units.h"

struct class_state class_state[CLASS_COUNT];

static void list_add(struct class_state *cs, uint32_t unit, unsigned list)
{
	struct slab *s = slab_at(unit);

	s->list = (uint8_t)list;
	s->prev = 0;
	s->next = cs->list[list];
	if (s->next)
		slab_at(s->next)->prev = unit;
	cs->list[list] = unit;
}

static void list_remove(struct class_state *cs, uint32_t unit)
{
	struct slab *s = slab_at(unit);

	if (s->prev)
		slab_at(s->prev)->next = s->next;
	else
		cs->list[s->list] = s->next;
	if (s->next)
		slab_at(s->next)->prev = s->prev;
	s->list = SLAB_LISTS;
}

static inline unsigned list_for(const struct slab *s)
{
	unsigned list = (unsigned)(s->free * class_info[s->class].list_scale >> 16);

	return s->free ? list : SLAB_LISTS;
}

static inline void relist(struct class_state *cs, uint32_t unit)
{
	struct slab *s = slab_at(unit);
	unsigned list = list_for(s);

	if (list == s->list)
		return;
	if (s->list != SLAB_LISTS)
		list_remove(cs, unit);
	if (list != SLAB_LISTS)
		list_add(cs, unit, list);
}

static void slab_init(struct slab *s, unsigned class)
{
	unsigned n = class_info[class].per_slab, word = 0;

	s->in_use = 1; /* first: a load would fault a fresh page twice */
	__asm__ volatile("" ::: "memory");
	if (s->stamp && s->class != class)
		s->mixed = 1;

	for (; n >= 64; n -= 64)
		s->bits[word++] = ~(uint64_t)0;
	if (n)
		s->bits[word] = ((uint64_t)1 << n) - 1;
	s->free = class_info[class].per_slab;
	s->low_word = 0;
	s->class = (uint8_t) class;
	s->list = SLAB_LISTS;
	s->swept = 1;
}

static uint32_t slab_create(struct class_state *cs, unsigned class)
{
	uint32_t unit = unit_take();

	if (!unit)
		return 0;
	slab_init(slab_at(unit), class);
	__atomic_store_n(&heap_map[unit], class_info[class].magazine_at, __ATOMIC_RELEASE);
	cs->slabs++;
	cs->free += class_info[class].per_slab;
	list_add(cs, unit, SLAB_LISTS - 1);
	return unit;
}

static void slab_destroy(struct class_state *cs, uint32_t unit)
{
	struct slab *s = slab_at(unit);

	list_remove(cs, unit);
	__atomic_store_n(&heap_map[unit], magazine_offset(0), __ATOMIC_RELEASE);
	s->in_use = 0;
	cs->slabs--;
	cs->free -= s->free;
	for (unsigned w = 0; w * 64 < class_info[s->class].per_slab; w++)
		s->bits[w] = 0;
	unit_give(unit);
}

/* locked: class. Lowest blocks first. */
static size_t carve(struct slab *s, uint32_t unit, void **slot, size_t want)
{
	char *start = unit_start(unit);
	uint32_t bytes = class_info[s->class].bytes;
	unsigned word = s->low_word;
	size_t got = 0;

	while (got < want && s->free > got) {
		uint64_t w = s->bits[word];

		for (; w && got < want; w &= w - 1) {
			void *block = start + (word * 64 + (unsigned)__builtin_ctzl(w)) * bytes;

			__builtin_prefetch(block, 1);
			slot[got++] = block;
		}
		s->bits[word] = w;
		if (!w)
			word++;
	}
	s->low_word = (uint16_t)(word < SLAB_WORDS ? word : 0);
	s->free = (uint16_t)(s->free - got);
	return got;
}

static uint32_t fullest(const struct class_state *cs)
{
	for (unsigned i = 0; i < SLAB_LISTS; i++)
		if (cs->list[i])
			return cs->list[i];
	return 0;
}

static size_t take_locked(struct class_state *cs, unsigned class, void **slot, size_t want)
{
	size_t got = 0, n;
	uint32_t unit;

	while (got < want) {
		unit = fullest(cs);
		if (!unit && !got)
			unit = slab_create(cs, class);
		if (!unit)
			break;
		n = carve(slab_at(unit), unit, slot + got, want - got);
		cs->free -= n;
		got += n;
		relist(cs, unit);
	}
	return got;
}

/* Highest address first in the array: a magazine is popped from its end. */
static void mark_and_reverse(void **slot, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (likely(mark_again(slot[i])))
			continue;
		if (!slab_at(unit_of(slot[i]))->mixed)
			report_written(slot[i]);
		mark(slot[i]);
	}
	for (size_t i = 0; i < count / 2; i++) {
		void *p = slot[i];

		slot[i] = slot[count - 1 - i];
		slot[count - 1 - i] = p;
	}
}

size_t slab_take(unsigned class, void **slot, size_t want)
{
	struct class_state *cs = &class_state[class];
	size_t got;

	lock_take(&cs->lock);
	cs->refills++;
	got = take_locked(cs, class, slot, want);
	lock_give(&cs->lock);
	mark_and_reverse(slot, got);
	return got;
}

/* locked: class. */
static void give_one(struct class_state *cs, unsigned class, void *block)
{
	uint32_t unit = unit_of(block);
	struct slab *s = slab_at(unit);
	unsigned index = class_index(class, (uint32_t)((uintptr_t)block & (UNIT_BYTES - 1)));
	uint64_t bit = (uint64_t)1 << (index % 64);

	if (unlikely(index >= class_info[class].per_slab))
		report_invalid_free(block);
	if (unlikely(!s->in_use || s->class != class || (s->bits[index / 64] & bit)))
		report_double_free(block);
	s->bits[index / 64] |= bit;
	if (index / 64 < s->low_word)
		s->low_word = (uint16_t)(index / 64);
	s->free++;
	cs->free++;
	s->swept = 0;
	s->stamp = reap_now();
	if (s->free == class_info[class].per_slab) {
		if (s->list == SLAB_LISTS)
			list_add(cs, unit, SLAB_LISTS - 1);
		slab_destroy(cs, unit);
	} else {
		relist(cs, unit);
	}
}

void slab_give(unsigned class, void **slot, size_t count)
{
	struct class_state *cs = &class_state[class];
	size_t free;

	lock_take(&cs->lock);
	cs->flushes++;
	for (size_t i = 0; i < count; i++)
		give_one(cs, class, slot[i]);
	free = cs->free;
	lock_give(&cs->lock);
	reap_note(free * class_info[class].bytes + ((size_t)relaxed(units.dirty) << UNIT_SHIFT));
}

bool slab_has_free(unsigned class, const void *block)
{
	struct class_state *cs = &class_state[class];
	unsigned index = class_index(class, (uint32_t)((uintptr_t)block & (UNIT_BYTES - 1)));
	bool free;

	lock_take(&cs->lock);
	free = slab_at(unit_of(block))->bits[index / 64] >> (index % 64) & 1;
	lock_give(&cs->lock);
	return free;
}
