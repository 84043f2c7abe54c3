/*
 * model.c - programs that touch, fork and end; their memory calls are in model_calls.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test/model.h"

#include "base/errno.h"
#include "call/call.h"

/* Where the words of a page lie; the last file page ends between the second and the third. */
static const unsigned int word_at[WORDS] = { 0, 1024, 2504, PAGE_SIZE - 8 };
#define FILE_TAIL 2000

unsigned int model_below(struct model *md, unsigned int n)
{
	md->random ^= md->random << 13;
	md->random ^= md->random >> 7;
	md->random ^= md->random << 17;
	return (unsigned int)((md->random >> 20) % n);
}

static struct words *contents(struct model_page *p)
{
	static struct words zero;

	if (p->own)
		return &p->words;
	zero = (struct words){ { 0 } };
	return p->object && p->index < OBJECT_PAGES ? &p->object->page[p->index] : &zero;
}

static void render(const struct words *w, u8 *page)
{
	unsigned int i;

	memset(page, 0, PAGE_SIZE);
	for (i = 0; i < WORDS; i++)
		memcpy(page + word_at[i], &w->word[i], sizeof(u64));
}

static bool beyond_end(const struct model_page *p)
{
	return p->object && p->index >= p->object->pages;
}

static void compare_page(struct model_space *sp, unsigned int n)
{
	struct model_page *p = &sp->page[n];
	struct vma *vma = vma_at(sp->mm, page_at(n));
	u8 have[PAGE_SIZE], want[PAGE_SIZE];

	if (!p->mapped) {
		assert_null(vma);
		return;
	}
	assert_non_null(vma);
	if ((vma->flags & MODEL_FLAGS) != p->flags)
		print_error("page %u, area %llu to %llu\n", n,
			    (unsigned long long)(vma->start - ARENA) / 4096,
			    (unsigned long long)(vma->end - ARENA) / 4096);
	assert_int_equal(vma->flags & MODEL_FLAGS, p->flags);
	assert_int_equal(vma->mapping != NULL, p->object != NULL);
	if (p->object)
		assert_int_equal(vma_index(vma, page_at(n)), p->index);
	if (beyond_end(p) && !p->own)
		return;
	world_peek(sp->mm, page_at(n), have);
	render(contents(p), want);
	assert_memory_equal(have, want, PAGE_SIZE);
}

void model_compare(struct model *md)
{
	unsigned int s, n;

	for (s = 0; s < MODEL_SPACES; s++)
		for (n = 0; md->space[s].mm && n < ARENA_PAGES; n++)
			compare_page(&md->space[s], n);
	world_check(&md->w);
}

/* --- life --- */

static void make_file(struct model *md)
{
	struct object *o = &md->object[0];
	unsigned int i, k;

	test_device_init(&md->file, (OBJECT_PAGES - 1) * PAGE_SIZE + FILE_TAIL);
	o->used = o->file = true;
	o->pages = OBJECT_PAGES;
	for (i = 0; i < OBJECT_PAGES; i++) {
		u8 page[PAGE_SIZE];
		u64 size = i == OBJECT_PAGES - 1 ? FILE_TAIL : PAGE_SIZE;

		for (k = 0; k < WORDS; k++)
			o->page[i].word[k] = word_at[k] < size ? 0x1000000 + i * 16 + k : 0;
		render(&o->page[i], page);
		memcpy(md->file.bytes + i * PAGE_SIZE, page, size);
	}
	o->mapping = world_file(&md->w, &md->file, 7);
	assert_non_null(o->mapping);
}

/* A program begins, with one large area. */
static struct model_space *begin(struct model *md)
{
	struct model_space *sp = &md->space[0];
	struct map_request req = { .addr = ARENA,
				   .len = md->config.reach * PAGE_SIZE,
				   .prot = 3,
				   .flags =
					   CALL_MAP_PRIVATE | CALL_MAP_ANONYMOUS | CALL_MAP_FIXED };
	unsigned int n;

	sp->mm = world_space(&md->w);
	if (!sp->mm)
		return NULL;
	if (call_mmap(sp->mm, &req) != (s64)ARENA) {
		model_exit(md, sp);
		return NULL;
	}
	for (n = 0; n < md->config.reach; n++)
		sp->page[n] = (struct model_page){ .mapped = true, .flags = VM_READ | VM_WRITE };
	return sp;
}

struct model_space *model_pick(struct model *md)
{
	unsigned int s = model_below(md, MODEL_SPACES), i;

	for (i = 0; i < MODEL_SPACES; i++)
		if (md->space[(s + i) % MODEL_SPACES].mm)
			return &md->space[(s + i) % MODEL_SPACES];
	return begin(md);
}

void model_open(struct model *md, struct model_config config)
{
	bool verbose = md->w.verbose;

	memset(md, 0, sizeof(*md));
	md->w.verbose = verbose;
	md->config = config;
	md->random = config.seed * 0x9e3779b97f4a7c15ull | 1;
	world_open(&md->w, config.world);
	if (config.seed & 1) { /* the small file comes in many pieces */
		md->w.m.knobs.read_ahead_kb = 4;
		md->w.m.knobs.fault_around_bytes = 2 * PAGE_SIZE;
		md->w.m.knobs.collapse_faults = 0;
	}
	make_file(md);
	assert_non_null(model_pick(md));
}

void model_exit(struct model *md, struct model_space *sp)
{
	if (md->newborn == sp)
		md->newborn = NULL;
	world_exit(sp->mm);
	memset(sp, 0, sizeof(*sp));
}

void model_close(struct model *md)
{
	unsigned int s;

	for (s = 0; s < MODEL_SPACES; s++)
		if (md->space[s].mm)
			model_exit(md, &md->space[s]);
	mapping_put(md->object[0].mapping);
	world_close(&md->w);
	free(md->file.bytes);
}

/* --- touching --- */

static enum fault_result expected(const struct model_page *p, enum access access)
{
	if (!p->mapped)
		return FAULT_SEGV_MAPERR;
	if (access == ACCESS_WRITE ? !(p->flags & VM_WRITE)
				   : !(p->flags & (VM_READ | VM_WRITE | VM_EXEC)))
		return FAULT_SEGV_ACCERR;
	return beyond_end(p) && !p->own ? FAULT_SIGBUS : FAULT_DONE;
}

static void set_word(struct model_page *p, unsigned int k, u64 value)
{
	struct words now = *contents(p);

	now.word[k] = value;
	if (p->flags & VM_SHARED) {
		p->object->page[p->index] = now;
		return;
	}
	p->own = true;
	p->words = now;
}

static void touch(struct model *md, struct model_space *sp, unsigned int n, enum access access)
{
	struct model_page *p = &sp->page[n];
	unsigned int k = model_below(md, WORDS);
	u64 value = model_below(md, 4) ? md->step << 8 | n : 0, got;
	vaddr_t addr = page_at(n) + word_at[k];
	enum fault_result want = expected(p, access), r;

	r = access == ACCESS_WRITE ? world_write(sp->mm, addr, &value, sizeof(value))
				   : world_read(sp->mm, addr, &got, sizeof(got));
	if ((want == FAULT_DONE || want == FAULT_SIGBUS) &&
	    (r == FAULT_OOM || r == FAULT_NO_ROOM) &&
	    (md->config.oom == OOM_HAPPENS || md->out_of_memory || md->newborn)) {
		md->w.refused = true;
		if (r == FAULT_OOM && !md->out_of_memory)
			model_exit(md, sp);
		return;
	}
	if (want == FAULT_DONE && r == FAULT_SIGBUS && md->io_errors)
		return;
	assert_int_equal(r, want);
	if (r != FAULT_DONE)
		return;
	if (access == ACCESS_WRITE)
		set_word(p, k, value);
	else
		assert_int_equal(got, contents(p)->word[k]);
}

static void touch_some(struct model *md, struct model_space *sp)
{
	unsigned int first = model_below(md, md->config.reach), nr = 1 + model_below(md, 48);
	int stride = model_below(md, 4) ? 1 : -1;
	enum access access = model_below(md, 2) ? ACCESS_WRITE : ACCESS_READ;

	for (; nr-- && first < ARENA_PAGES && sp->mm; first += (unsigned int)stride)
		if (sp->page[first].mapped || model_below(md, 16) == 0)
			touch(md, sp, first, access);
}

/* --- fork --- */

static void copy_pages(struct model_space *from, struct model_space *to)
{
	unsigned int n;

	for (n = 0; n < ARENA_PAGES; n++) {
		struct model_page *p = &to->page[n];

		*p = from->page[n];
		p->flags &= ~(u32)(VM_LOCKED | VM_LOCKONFAULT);
		if (p->flags & VM_DONTCOPY)
			memset(p, 0, sizeof(*p));
		if (p->flags & VM_WIPEONFORK)
			p->own = false;
	}
}

static void fork_one(struct model *md, struct model_space *sp)
{
	struct model_space *child = NULL;
	unsigned int s;

	for (s = 0; s < MODEL_SPACES; s++)
		if (!md->space[s].mm)
			child = &md->space[s];
	if (!child || md->newborn)
		return;
	child->mm = call_fork(sp->mm);
	if (!child->mm) {
		assert_true(md->config.oom == OOM_HAPPENS || md->out_of_memory);
		return;
	}
	world_forked(sp->mm, child->mm);
	copy_pages(sp, child);
	md->newborn = child;
	md->newborn_for = model_below(md, 6);
}

/* --- steps --- */

/* Victims of the OOM killer are gone; their memory was reaped at once. */
static void bury_victims(struct model *md)
{
	unsigned int s;

	if (md->config.oom == OOM_IS_A_BUG && !md->out_of_memory)
		assert_int_equal(md->w.kills, 0);
	for (s = 0; s < MODEL_SPACES; s++)
		if (md->space[s].mm && md->space[s].mm->oom_victim)
			model_exit(md, &md->space[s]);
}

static void count_down(struct model *md)
{
	if (md->newborn && md->newborn_for-- == 0) {
		world_adopt(md->newborn->mm);
		md->newborn = NULL;
	}
}

/* All that is due in the background; now and then the file is to lie in order, too. */
static void tick(struct model *md)
{
	if (md->object[0].used && model_below(md, 2))
		md->w.m.collapse = (struct collapse_wish){ md->object[0].mapping, 0 };
	while (machine_tick(&md->w.m))
		;
}

void model_step(struct model *md)
{
	struct model_space *sp = model_pick(md);
	unsigned int kind = model_below(md, 20);

	md->step++;
	if (!sp)
		return;
	if (kind < 9)
		touch_some(md, sp);
	else if (kind == 9)
		fork_one(md, sp);
	else if (kind == 10 && model_below(md, 3) == 0)
		model_exit(md, sp);
	else if (kind == 11)
		tick(md);
	else if (sp != md->newborn) /* its first call is met by an agent */
		model_call(md, sp);
	bury_victims(md);
	count_down(md);
}
