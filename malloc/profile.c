/*
 * profile.c - draws samples and keeps the table of stacks.
 *
 * How     The distance to the next sample is exponential with mean sample_bytes, so a request of n
 *         bytes is sampled with probability p = 1 - exp(-n / mean), and stands for 1 / p
 *         requests. The reports so estimate all requests without bias.
 *         With sample=1 every request is recorded, and figures are exact.
 *
 * SPDX-License-Identifier: MIT
 */
#include "profile.h"
#include "cache.h"
#include "heap.h"
#include "span.h"
#include "tune.h"

#include <string.h>

#define SITES_MOST   65536
#define RECORDS_MOST (1u << 20)
#define BUCKETS	     16384

struct record {
	uint32_t site; /* or, when free, the next free record */
	uint32_t unused;
	uint64_t blocks_milli; /* the weight, in thousandths of a block */
	uint64_t bytes;
};

struct lock profile_lock;

static struct site *sites;
static struct record *records;
static uint32_t *bucket;
static uint32_t site_count, record_count, record_free;
static bool stopped = true;
static __thread bool inside __attribute__((tls_model("initial-exec")));

void profile_setup(void)
{
	sites = os_map(SITES_MOST * sizeof(*sites), OS_READ_WRITE);
	records = os_map(RECORDS_MOST * sizeof(*records), OS_READ_WRITE);
	bucket = os_map(BUCKETS * sizeof(*bucket), OS_READ_WRITE);
	stack_setup();
	stopped = !sites || !records || !bucket;
}

/* -ln(u) for u uniform in (0, 1], times 2^16: enough bits for a sampling distance. */
static uint64_t minus_log(uint64_t random)
{
	uint64_t u = random >> 32 | 1, fraction;
	unsigned top = 63 - (unsigned)__builtin_clzl(u);

	/* log2(u) = top + log2(1 + f), the latter about f + 0.34 f (1 - f) */
	fraction = (u << (63 - top)) << 1 >> 48;
	fraction += (fraction * (65536 - fraction) >> 16) * 22282 >> 16;
	return (((uint64_t)32 << 16) - (((uint64_t)top << 16) + fraction)) * 45426 >> 16;
}

static int64_t next_distance(struct cache *t)
{
	t->random = t->random * 6364136223846793005u + 1442695040888963407u;
	if (tune.sample_bytes == 1)
		return 0;
	return (int64_t)((tune.sample_bytes >> 4) * minus_log(t->random) >> 12) + 1;
}

/* 1 / (1 - exp(-x)), in thousandths, for x = bytes / mean. */
static uint64_t weight_milli(size_t bytes)
{
	double x = (double)bytes / (double)tune.sample_bytes, e = 1.0, term = 1.0;

	if (tune.sample_bytes == 1 || x > 30)
		return 1000;
	for (int i = 1; i < 100 && term > 1e-12; i++) {
		term *= x / i;
		e += term;
	}
	return (uint64_t)(1000.0 / (1.0 - 1.0 / e) + 0.5);
}

static uint32_t hash_of(const uintptr_t *frame, unsigned depth)
{
	uint64_t h = depth;

	for (unsigned i = 0; i < depth; i++)
		h = (h ^ frame[i]) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 40) % BUCKETS;
}

/* locked: profile. The site of that stack, made if need be; its number + 1, 0 if full. */
static uint32_t site_for(const uintptr_t *frame, unsigned depth)
{
	uint32_t *head = &bucket[hash_of(frame, depth)], i;
	struct site *s;

	for (i = *head; i; i = sites[i - 1].next)
		if (sites[i - 1].depth == depth &&
		    !memcmp(sites[i - 1].frame, frame, depth * sizeof(*frame)))
			return i;
	if (site_count == SITES_MOST)
		return 0;
	s = &sites[site_count++];
	s->depth = depth;
	memcpy(s->frame, frame, depth * sizeof(*frame));
	s->next = *head;
	*head = site_count;
	return site_count;
}

/* locked: profile. A record's number + 1, or 0. */
static uint32_t record_new(void)
{
	uint32_t r = record_free;

	if (r)
		record_free = records[r - 1].site;
	else if (record_count < RECORDS_MOST)
		r = ++record_count;
	return r;
}

static uint32_t record_add(const uintptr_t *frame, unsigned depth, size_t bytes)
{
	uint32_t site, r = 0;
	uint64_t milli = weight_milli(bytes);

	lock_take(&profile_lock);
	site = site_for(frame, depth);
	if (site)
		r = record_new();
	if (r) {
		records[r - 1] = (struct record){ site, 0, milli, bytes };
		sites[site - 1].blocks += milli;
		sites[site - 1].bytes += milli * bytes;
	}
	lock_give(&profile_lock);
	return r;
}

static bool due(size_t bytes)
{
	struct cache *t;

	if (stopped || inside || !(t = cache_mine()))
		return false;
	if (!sample_left) /* a new cache; or each request is sampled */
		sample_left = next_distance(t);
	sample_left -= (int64_t)(bytes ? bytes : 1);
	if (sample_left > 0)
		return false;
	sample_left = next_distance(t);
	return true;
}

void *profile_alloc(size_t bytes, size_t align, enum span_place place)
{
	uintptr_t frame[STACK_DEPTH];
	unsigned depth;
	uint32_t r;
	bool zeroed;
	void *block;

	if (!due(bytes))
		return NULL;
	inside = true;
	depth = stack_take(frame, STACK_DEPTH);
	inside = false;
	block = span_take(pages_for(bytes ? bytes : 1), pages_for(align), place, &zeroed);
	if (!block)
		return NULL;
	if (!zeroed)
		memset(block, 0, bytes);
	r = record_add(frame, depth, bytes);
	tag_at(page_of(block))->sample = r;
	return block;
}

void profile_free(void *block)
{
	struct record *record;
	struct site *s;
	uint64_t r;

	if (!span_find(block) || !(r = tag_at(page_of(block))->sample))
		return;
	lock_take(&profile_lock);
	record = &records[r - 1];
	s = &sites[record->site - 1];
	s->freed_blocks += record->blocks_milli;
	s->freed_bytes += record->blocks_milli * record->bytes;
	record->site = record_free;
	record_free = (uint32_t)r;
	lock_give(&profile_lock);
}

void profile_stop(void)
{
	stopped = true;
}

size_t profile_count(void)
{
	return site_count;
}

const struct site *profile_site(size_t i)
{
	return &sites[i];
}
