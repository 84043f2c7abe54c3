/*
 * shadow.c - a radix tree of 32-bit words, with defaults for what was never touched.
 *
 * Why     The host's /proc/PID/maps has the same facts, but takes milliseconds to read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mmu/host/shadow.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FANOUT	  512
#define LEAF_SPAN (PAGE_SIZE * FANOUT)

struct leaf {
	u32 word[FANOUT];
};

static unsigned int index_at(vaddr_t addr, int level)
{
	return (addr >> (PAGE_SHIFT + 9 * level)) & (FANOUT - 1);
}

static void *zalloc(size_t size)
{
	void *mem = calloc(1, size);

	if (!mem)
		host_fail("out of host memory for the manager's own tables");
	return mem;
}

u32 *shadow_find(const struct space *s, vaddr_t addr)
{
	void **node = s->root;
	int level;

	for (level = 3; node && level > 0; level--)
		node = node[index_at(addr, level)];
	return node ? &((struct leaf *)node)->word[index_at(addr, 0)] : NULL;
}

u32 shadow_default(const struct space *s, vaddr_t addr)
{
	unsigned int i;

	for (i = 0; i < s->nr_def; i++)
		if (addr >= s->def[i].start && addr < s->def[i].end)
			return SHADOW_BACKDROP | SHADOW_PROT(PROT_READ | PROT_WRITE | PROT_EXEC);
	return SHADOW_HOLE;
}

u32 *shadow_get(struct space *s, vaddr_t addr)
{
	void **slot = &s->root;
	struct leaf *leaf;
	vaddr_t at = addr & ~(LEAF_SPAN - 1);
	int level;

	for (level = 3; level > 0; level--) {
		if (!*slot)
			*slot = zalloc(FANOUT * sizeof(void *));
		slot = (void **)*slot + index_at(addr, level);
	}
	leaf = *slot;
	if (!leaf) {
		leaf = *slot = zalloc(sizeof(*leaf));
		for (unsigned int i = 0; i < FANOUT; i++)
			leaf->word[i] = shadow_default(s, at + i * PAGE_SIZE);
	}
	return &leaf->word[index_at(addr, 0)];
}

vaddr_t shadow_skip(const struct space *s, vaddr_t addr, vaddr_t end)
{
	void **node = s->root;
	vaddr_t next = node ? addr + PAGE_SIZE : end;
	unsigned int i;
	int level;

	for (level = 3; node && level > 0; level--) {
		node = node[index_at(addr, level)];
		if (!node)
			next = (addr | ((PAGE_SIZE << (9 * level)) - 1)) + 1;
	}
	for (i = 0; i < s->nr_def; i++) {
		if (s->def[i].start > addr)
			next = min_u64(next, s->def[i].start);
		if (s->def[i].end > addr)
			next = min_u64(next, s->def[i].end);
	}
	return min_u64(next, end);
}

/* Cuts [start, end) out of the default ranges, or adds it to them. */
static void set_default(struct space *s, vaddr_t start, vaddr_t end, bool backdrop)
{
	struct default_range old[DEFAULTS_MAX];
	unsigned int n = s->nr_def, i;

	memcpy(old, s->def, n * sizeof(*old));
	s->nr_def = 0;
	for (i = 0; i < n; i++) {
		if (old[i].start < start)
			space_set_default(s, old[i].start, min_u64(old[i].end, start));
		if (old[i].end > end)
			space_set_default(s, max_u64(old[i].start, end), old[i].end);
	}
	if (backdrop)
		space_set_default(s, start, end);
}

void shadow_fill(struct space *s, vaddr_t start, vaddr_t end, u32 word)
{
	u32 backdrop = SHADOW_BACKDROP | SHADOW_PROT(PROT_READ | PROT_WRITE | PROT_EXEC);
	bool plain = word == backdrop || word == SHADOW_HOLE;
	bool wide = plain && end - start >= 4 * LEAF_SPAN && s->nr_def + 2 < DEFAULTS_MAX;
	vaddr_t at = start;

	if (wide) {
		/* Leaves that straddle the borders keep their other pages: make them first. */
		shadow_get(s, start);
		shadow_get(s, end - PAGE_SIZE);
		set_default(s, align_up(start, LEAF_SPAN), align_down(end, LEAF_SPAN),
			    word == backdrop);
	}
	while (at < end) {
		vaddr_t leaf_end = min_u64(end, (at | (LEAF_SPAN - 1)) + 1);
		u32 *sh = wide ? shadow_find(s, at) : shadow_get(s, at);

		if (!sh) {
			at = shadow_skip(s, at, end);
			continue;
		}
		for (; at < leaf_end; at += PAGE_SIZE)
			*sh++ = word;
	}
}

bool shadow_narrow(const struct space *s, vaddr_t *start, vaddr_t *end, bool (*wanted)(u32 word))
{
	vaddr_t at = *start, first = 0, last = 0;

	while (at < *end) {
		u32 *sh = shadow_find(s, at);

		if (!sh) {
			at = shadow_skip(s, at, *end);
			continue;
		}
		if (wanted(*sh)) {
			if (!last)
				first = at;
			last = at + PAGE_SIZE;
		}
		at += PAGE_SIZE;
	}
	if (last) {
		*start = first;
		*end = last;
	}
	return last != 0;
}

static void *copy_node(const void *from, int level)
{
	void *const *old = from;
	void **new;
	unsigned int i;

	if (level == 0) {
		struct leaf *leaf = zalloc(sizeof(*leaf));

		*leaf = *(const struct leaf *)from;
		return leaf;
	}
	new = zalloc(FANOUT * sizeof(void *));
	for (i = 0; i < FANOUT; i++)
		new[i] = old[i] ? copy_node(old[i], level - 1) : NULL;
	return new;
}

void shadow_copy(struct space *to, const struct space *from)
{
	to->root = from->root ? copy_node(from->root, 3) : NULL;
	memcpy(to->def, from->def, sizeof(to->def));
	to->nr_def = from->nr_def;
}

static void free_node(void *node, int level)
{
	unsigned int i;

	for (i = 0; node && level > 0 && i < FANOUT; i++)
		free_node(((void **)node)[i], level - 1);
	free(node);
}

void shadow_free(struct space *s)
{
	free_node(s->root, 3);
	s->root = NULL;
}
