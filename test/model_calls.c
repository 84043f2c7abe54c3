/*
 * model_calls.c - memory calls on the model and on the machine, page by page as Linux defines them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/model.h"

#include "base/errno.h"
#include "call/call.h"

/* QUIRE_TRACE=1 shows each call. */
#define say(md, sp, ...)                                                                           \
	do {                                                                                       \
		if ((md)->w.verbose) {                                                             \
			fprintf(stderr, "# %llu space %d: ", (unsigned long long)(md)->step,       \
				(int)((sp) - (md)->space));                                        \
			fprintf(stderr, __VA_ARGS__);                                              \
		}                                                                                  \
	} while (0)

/* A range of pages of one space. */
struct range {
	unsigned int first, nr;
};

static struct range pick_range(struct model *md)
{
	struct range r;

	r.nr = 1 + model_below(md, model_below(md, 4) ? 12 : 60);
	r.first = model_below(md, md->config.reach - r.nr);
	return r;
}

static bool any_mapped(const struct model_space *sp, struct range r)
{
	unsigned int i;

	for (i = 0; i < r.nr; i++)
		if (sp->page[r.first + i].mapped)
			return true;
	return false;
}

static void clear(struct model_space *sp, struct range r)
{
	memset(&sp->page[r.first], 0, r.nr * sizeof(sp->page[0]));
}

/* The call's result is what Linux's would be; or memory was short, where that may be. */
static bool agrees(struct model *md, struct model_space *sp, s64 have, s64 want)
{
	if (have == want)
		return true;
	if (have == -ENOMEM || have == -EAGAIN) {
		if (md->config.oom == OOM_HAPPENS || md->newborn) {
			model_exit(md, sp); /* what was done of it is not said */
			return false;
		}
		if (md->out_of_memory)
			return false;
	}
	assert_int_equal(have, want);
	return true;
}

/* --- mmap, munmap --- */

static u32 random_prot(struct model *md)
{
	static const u32 prot[] = { 3, 3, 3, 3, 3, 1, 0, 5, 7 };

	return prot[model_below(md, array_size(prot))];
}

static struct object *new_shared(struct model *md)
{
	unsigned int i, s, n;

	for (i = 1; i < MODEL_OBJECTS; i++)
		md->object[i].used = false;
	for (s = 0; s < MODEL_SPACES; s++)
		for (n = 0; n < ARENA_PAGES; n++)
			if (md->space[s].page[n].object)
				md->space[s].page[n].object->used = true;
	for (i = 1; i < MODEL_OBJECTS; i++)
		if (!md->object[i].used) {
			memset(&md->object[i], 0, sizeof(md->object[i]));
			return &md->object[i];
		}
	return NULL;
}

static void set_pages(struct model_space *sp, struct range r, u32 flags, struct object *o,
		      u32 index)
{
	unsigned int i;

	for (i = 0; i < r.nr; i++)
		sp->page[r.first + i] = (struct model_page){
			.mapped = true, .flags = flags, .object = o, .index = index + i
		};
}

/* The highest gap of nr pages, as mmap() without an address finds it. */
static s64 highest_gap(const struct model_space *sp, unsigned int nr)
{
	unsigned int free = 0, n;

	for (n = ARENA_PAGES; n-- > 0;) {
		free = sp->page[n].mapped ? 0 : free + 1;
		if (free == nr)
			return (s64)page_at(n);
	}
	return -ENOMEM;
}

static void step_mmap(struct model *md, struct model_space *sp)
{
	struct range r = pick_range(md);
	u32 prot = random_prot(md), index = 0;
	struct map_request req = { .addr = page_at(r.first),
				   .len = r.nr * PAGE_SIZE - model_below(md, 2) * 5,
				   .prot = prot,
				   .flags = CALL_MAP_PRIVATE | CALL_MAP_ANONYMOUS };
	unsigned int kind = model_below(md, 8);
	struct object *o = NULL;
	s64 want = (s64)req.addr, have;

	if (kind == 0 && (o = new_shared(md)) && r.nr <= OBJECT_PAGES) {
		req.flags = CALL_MAP_SHARED | CALL_MAP_ANONYMOUS;
		o->pages = r.nr;
		req.mapping = mapping_create_shmem(&md->w.m, r.nr * PAGE_SIZE);
		if (!req.mapping) {
			assert_true(md->out_of_memory || md->config.oom == OOM_HAPPENS);
			return;
		}
	} else if (kind == 1) {
		o = &md->object[0];
		index = model_below(md, OBJECT_PAGES);
		req.flags = CALL_MAP_PRIVATE;
		req.offset = index * PAGE_SIZE;
		req.mapping = o->mapping;
	} else {
		o = NULL;
	}
	if (model_below(md, 8) == 0)
		req.flags |= CALL_MAP_FIXED_NOREPLACE;
	else if (model_below(md, 8))
		req.flags |= CALL_MAP_FIXED;
	else
		req.addr = 0;
	if (!req.addr)
		want = highest_gap(sp, r.nr);
	else if ((req.flags & CALL_MAP_FIXED_NOREPLACE) && any_mapped(sp, r))
		want = -EEXIST;
	say(md, sp, "mmap %lld+%u prot %u flags %x object %d+%u\n",
	    req.addr ? (long long)r.first : -1, r.nr, prot, req.flags,
	    o ? (int)(o - md->object) : -1, index);
	if (req.addr || want > 0) {
		if (model_below(md, 6) == 0)
			req.flags |= CALL_MAP_POPULATE;
		have = call_mmap(sp->mm, &req);
		if (agrees(md, sp, have, want) && want > 0) {
			r.first = (unsigned int)(((vaddr_t)want - ARENA) >> PAGE_SHIFT);
			set_pages(sp, r, prot | (o && !o->file ? VM_SHARED : 0), o, index);
		}
	}
	if (o && !o->file)
		mapping_put(req.mapping);
}

static void step_munmap(struct model *md, struct model_space *sp)
{
	struct range r = pick_range(md);

	say(md, sp, "munmap %u+%u\n", r.first, r.nr);
	if (agrees(md, sp, call_munmap(sp->mm, page_at(r.first), r.nr * PAGE_SIZE), 0))
		clear(sp, r);
}

/* --- calls that go page by page until one cannot --- */

static void step_mprotect(struct model *md, struct model_space *sp)
{
	struct range r = pick_range(md);
	u32 prot = random_prot(md);
	s64 want = 0, have;
	unsigned int i;

	say(md, sp, "mprotect %u+%u %u\n", r.first, r.nr, prot);
	have = call_mprotect(sp->mm, page_at(r.first), r.nr * PAGE_SIZE, prot);
	for (i = 0; i < r.nr; i++)
		if (!sp->page[r.first + i].mapped) {
			want = -ENOMEM;
			break;
		}
	if (!agrees(md, sp, have, want))
		return;
	while (i-- > 0) {
		struct model_page *p = &sp->page[r.first + i];

		p->flags = (p->flags & ~(u32)VM_ACCESS) | prot;
	}
}

static void step_mlock(struct model *md, struct model_space *sp)
{
	struct range r = pick_range(md);
	unsigned int lock = model_below(md, 3), i, n = r.nr;
	s64 want = 0, have;
	u32 set = lock == 0 ? 0 : lock == 1 ? VM_LOCKED : VM_LOCKED | VM_LOCKONFAULT;

	if (set && r.nr > 8)
		r.nr = n = 8; /* what is locked cannot be swapped */
	for (i = 0; i < r.nr && n == r.nr; i++)
		if (!sp->page[r.first + i].mapped)
			n = i;
	want = n < r.nr ? -ENOMEM : 0;
	/* pages that cannot be brought in are an error after all of them were marked */
	for (i = 0; i < r.nr && !want && lock == 1; i++) {
		struct model_page *p = &sp->page[r.first + i];

		if (!(p->flags & VM_ACCESS) ||
		    (p->object && p->index >= p->object->pages && !p->own))
			want = -ENOMEM;
	}
	say(md, sp, "mlock %u+%u %u\n", r.first, r.nr, lock);
	have = lock ? call_mlock(sp->mm, page_at(r.first), r.nr * PAGE_SIZE, lock == 2)
		    : call_munlock(sp->mm, page_at(r.first), r.nr * PAGE_SIZE);
	if (md->io_errors && want == 0 && have == -ENOMEM)
		want = have;
	if (!agrees(md, sp, have, want))
		return;
	for (i = 0; i < n; i++) {
		struct model_page *p = &sp->page[r.first + i];

		p->flags = (p->flags & ~(u32)(VM_LOCKED | VM_LOCKONFAULT)) | set;
	}
}

/* What one advice does to a page: its new flags, whether it loses its contents, or an error. */
struct advice {
	int number;
	u32 clear, set;
};

static const struct advice advices[] = {
	{ 0, VM_RAND_READ | VM_SEQ_READ, 0 },
	{ 1, VM_SEQ_READ, VM_RAND_READ },
	{ 2, VM_RAND_READ, VM_SEQ_READ },
	{ 3, 0, 0 },
	{ 4, 0, 0 },
	{ 4, 0, 0 },
	{ 8, 0, 0 },
	{ 10, 0, VM_DONTCOPY },
	{ 11, VM_DONTCOPY, 0 },
	{ 15, VM_HUGEPAGE, VM_NOHUGEPAGE },
	{ 16, 0, VM_DONTDUMP },
	{ 17, VM_DONTDUMP, 0 },
	{ 18, 0, VM_WIPEONFORK },
	{ 19, VM_WIPEONFORK, 0 },
	{ 20, 0, 0 },
	{ 21, 0, 0 },
	{ 77, 0, 0 },
};

static s64 advise_page(struct model_page *p, const struct advice *a)
{
	switch (a->number) {
	case 4:
	case 8:
		if ((p->flags & VM_LOCKED) || (a->number == 8 && p->object))
			return -EINVAL;
		p->own = false;
		break;
	case 18:
		if (p->object)
			return -EINVAL;
		break;
	case 20:
	case 21:
		if (p->flags & VM_LOCKED)
			return -EINVAL;
	}
	p->flags = (p->flags & ~a->clear) | a->set;
	return 0;
}

static void step_madvise(struct model *md, struct model_space *sp)
{
	struct range r = pick_range(md);
	const struct advice *a = &advices[model_below(md, array_size(advices))];
	s64 want = 0, have, err = 0;
	unsigned int i;

	say(md, sp, "madvise %u+%u %d\n", r.first, r.nr, a->number);
	have = call_madvise(sp->mm, page_at(r.first), r.nr * PAGE_SIZE, a->number);
	if (have == -ENOMEM && (md->config.oom == OOM_HAPPENS || md->out_of_memory)) {
		for (i = 0; i < r.nr; i++)
			if (!sp->page[r.first + i].mapped)
				break;
		if (i == r.nr) {
			(void)agrees(md, sp, have, 0);
			return;
		}
	}
	for (i = 0; i < r.nr && !err && a->number != 77; i++) {
		if (!sp->page[r.first + i].mapped)
			want = -ENOMEM;
		else
			err = advise_page(&sp->page[r.first + i], a);
	}
	if (a->number == 77)
		err = -EINVAL;
	(void)agrees(md, sp, have, err ? err : want);
}

static void step_mincore(struct model *md, struct model_space *sp)
{
	struct range r = pick_range(md);
	u8 vec[ARENA_PAGES];
	u64 filled = 0;
	s64 want = 0, have;
	unsigned int i;

	memset(vec, 9, sizeof(vec));
	have = call_mincore(sp->mm, page_at(r.first), r.nr * PAGE_SIZE, vec, &filled);
	for (i = 0; i < r.nr && !want; i++) {
		struct translation *t = &soft_space(sp->mm)->at[r.first + i];

		if (!sp->page[r.first + i].mapped)
			want = -ENOMEM;
		else
			assert_true(vec[i] == 1 || (vec[i] == 0 && !t->installed));
	}
	assert_int_equal(have, want);
	assert_int_equal(filled, want ? i - 1 : r.nr);
}

/* --- mremap --- */

static void move_pages(struct model_space *sp, unsigned int from, unsigned int to, unsigned int nr,
		       unsigned int new_nr, bool keep)
{
	struct model_page moved[ARENA_PAGES], last;
	unsigned int i;

	memcpy(moved, &sp->page[from], nr * sizeof(moved[0]));
	last = sp->page[from + (nr ? nr - 1 : 0)];
	for (i = 0; i < nr; i++) {
		if (!moved[i].mapped)
			continue;
		if (keep)
			sp->page[from + i].own = false;
		else
			memset(&sp->page[from + i], 0, sizeof(moved[0]));
	}
	for (i = 0; i < nr && i < new_nr; i++)
		if (moved[i].mapped)
			sp->page[to + i] = moved[i];
	for (i = nr; i < new_nr; i++) {
		sp->page[to + i] = last;
		sp->page[to + i].own = false;
		sp->page[to + i].index = last.index + 1 + i - nr;
	}
}

/* Pages from n to the end of its area, by the machine's own areas (which vma_check() holds to). */
static unsigned int area_left(struct model_space *sp, unsigned int n)
{
	struct vma *vma = vma_at(sp->mm, page_at(n));

	return vma ? (unsigned int)((vma->end - page_at(n)) >> PAGE_SHIFT) : 0;
}

struct remap {
	unsigned int from, nr, to, new_nr;
	u32 flags;
};

/* The result as Linux 6.17 and later define it, before anything was done. */
static s64 expect_mremap(struct model_space *sp, const struct remap *q)
{
	struct range old = { q->from, q->nr }, tail = { q->from + q->nr, q->new_nr - q->nr };
	bool fixed = q->flags & CALL_MREMAP_FIXED, keep = q->flags & CALL_MREMAP_DONTUNMAP;
	unsigned int need = q->new_nr < q->nr ? q->new_nr : q->nr;

	if ((fixed || keep) && !(q->flags & CALL_MREMAP_MAYMOVE))
		return -EINVAL;
	if (keep && q->nr != q->new_nr)
		return -EINVAL;
	if (fixed && q->from < q->to + q->new_nr && q->to < q->from + q->nr)
		return -EINVAL;
	if (!sp->page[q->from].mapped)
		return -EFAULT;
	if (fixed && q->nr == q->new_nr) /* several areas, holes between them */
		return (s64)page_at(q->to);
	if (q->new_nr == q->nr && !keep)
		return (s64)page_at(q->from);
	if (!fixed && !keep && q->new_nr < q->nr)
		return (s64)page_at(q->from);
	if (need > area_left(sp, q->from))
		return -EFAULT;
	if (fixed)
		return (s64)page_at(q->to);
	if (keep)
		return highest_gap(sp, q->new_nr);
	if (old.nr == area_left(sp, q->from) && tail.first + tail.nr <= ARENA_PAGES &&
	    !any_mapped(sp, tail))
		return (s64)page_at(q->from);
	return q->flags & CALL_MREMAP_MAYMOVE ? highest_gap(sp, q->new_nr) : -ENOMEM;
}

static void apply_mremap(struct model_space *sp, const struct remap *q, s64 at)
{
	unsigned int to = (unsigned int)(((vaddr_t)at - ARENA) >> PAGE_SHIFT);
	bool fixed = q->flags & CALL_MREMAP_FIXED, keep = q->flags & CALL_MREMAP_DONTUNMAP;
	struct range shrunk = { q->from + q->new_nr, q->nr - q->new_nr };
	unsigned int i;

	if (!fixed && q->new_nr <= q->nr && !keep) {
		clear(sp, shrunk);
		return;
	}
	if (fixed) {
		for (i = 0; i < q->new_nr; i++)
			if (q->nr != q->new_nr || sp->page[q->from + i].mapped)
				memset(&sp->page[to + i], 0, sizeof(sp->page[0]));
		if (q->new_nr < q->nr)
			clear(sp, shrunk);
	}
	if (to == q->from) { /* grew in place */
		struct model_page last = sp->page[q->from + q->nr - 1];

		for (i = q->nr; i < q->new_nr; i++) {
			sp->page[to + i] = last;
			sp->page[to + i].own = false;
			sp->page[to + i].index = last.index + 1 + i - q->nr;
		}
		return;
	}
	move_pages(sp, q->from, to, q->nr < q->new_nr ? q->nr : q->new_nr, q->new_nr, keep);
}

/* MREMAP_DONTUNMAP leaves nothing locked of the areas that it took from: whole areas. */
static void unlock_sources(struct model_space *sp, const struct remap *q)
{
	unsigned int i, n;

	for (i = 0; i < q->nr; i++) {
		struct vma *vma = vma_at(sp->mm, page_at(q->from + i));

		for (n = 0; vma && n < ARENA_PAGES; n++)
			if (vma->start <= page_at(n) && page_at(n) < vma->end)
				sp->page[n].flags &= ~(u32)(VM_LOCKED | VM_LOCKONFAULT);
	}
}

static void step_mremap(struct model *md, struct model_space *sp)
{
	static const u32 flags[] = { 0, 1, 1, 3, 3, 3, 5, 7, 2, 4 };
	struct range r = pick_range(md);
	struct remap q = { .from = r.first, .nr = r.nr, .flags = flags[model_below(md, 10)] };
	s64 want, have;

	q.new_nr = model_below(md, 3) ? q.nr : 1 + model_below(md, 30);
	q.to = model_below(md, md->config.reach - q.new_nr);
	want = expect_mremap(sp, &q);
	if (want == -ENOMEM && (q.flags & CALL_MREMAP_MAYMOVE))
		return; /* no room in the arena: it would go elsewhere */
	say(md, sp, "mremap %u+%u -> %u+%u flags %x, want %lld\n", q.from, q.nr, q.to, q.new_nr,
	    q.flags, (long long)(want < 0 ? want : (want - (s64)ARENA) >> PAGE_SHIFT));
	have = call_mremap(sp->mm, page_at(q.from), q.nr * PAGE_SIZE, q.new_nr * PAGE_SIZE, q.flags,
			   q.flags & CALL_MREMAP_FIXED ? page_at(q.to) : 0);
	if (!agrees(md, sp, have, want) || want <= 0)
		return;
	apply_mremap(sp, &q, want);
	if (q.flags & CALL_MREMAP_DONTUNMAP)
		unlock_sources(sp, &q);
}

void model_call(struct model *md, struct model_space *sp)
{
	static void (*const calls[])(struct model * md, struct model_space * sp) = {
		step_mmap,     step_mmap,    step_mmap,	  step_mmap,	step_mprotect,
		step_mprotect, step_mremap,  step_mremap, step_madvise, step_madvise,
		step_mlock,    step_mincore, step_munmap,
	};
	unsigned int n = model_below(md, array_size(calls));

	md->ops[n]++;
	calls[n](md, sp);
}
