/*
 * load.c - the synthetic loads of the malloc bench, one per name on the command line.
 *
 * How     Plain malloc and free, no allocator is named here; every block is written to. Sizes
 *         and orders come from a fixed generator, so each allocator gets the same requests.
 * Use     malloc-load NAME [repetitions]; bench/malloc/run runs all of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static uint32_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static size_t between(uint64_t *seed, size_t low, size_t high)
{
	return low + next(seed) % (high - low + 1);
}

/* Mostly small, now and then up to `high`: what programs ask for. */
static size_t skewed(uint64_t *seed, size_t high)
{
	size_t cap = 32;

	while (cap < high && next(seed) % 2)
		cap *= 2;
	return between(seed, 8, cap < high ? cap : high);
}

static void *block(size_t bytes)
{
	char *p = malloc(bytes);

	if (!p)
		abort();
	p[0] = 1;
	p[bytes - 1] = 1;
	return p;
}

static void touch(char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
}

static void pair(size_t rounds)
{
	for (size_t i = 0; i < rounds * 40000000; i++)
		free(block(64));
}

static void lifo(size_t rounds)
{
	void *held[1000];
	uint64_t seed = 1;

	for (size_t i = 0; i < rounds * 12000; i++) {
		for (int k = 0; k < 1000; k++)
			held[k] = block(between(&seed, 16, 256));
		for (int k = 1000; k-- > 0;)
			free(held[k]);
	}
}

static void fifo(size_t rounds)
{
	static void *ring[4096];
	uint64_t seed = 2;

	for (size_t i = 0; i < rounds * 10000000; i++) {
		free(ring[i % 4096]);
		ring[i % 4096] = block(between(&seed, 16, 512));
	}
	for (int k = 0; k < 4096; k++)
		free(ring[k]);
}

/* `look`: at a block before it is freed, as destructors do. */
static void replace_at_random(size_t rounds, int look)
{
	static char *held[100000];
	volatile char seen;
	uint64_t seed = 3;

	for (size_t i = 0; i < rounds * 8000000; i++) {
		size_t k = next(&seed) % 100000;

		if (look && held[k])
			seen = held[k][0];
		free(held[k]);
		held[k] = block(skewed(&seed, 4096));
	}
	for (int k = 0; k < 100000; k++)
		free(held[k]);
	(void)seen;
}

static void churn(size_t rounds)
{
	replace_at_random(rounds, 0);
}

static void objects(size_t rounds)
{
	replace_at_random(rounds, 1);
}

/* Trees built and dropped: a compiler's or an interpreter's pattern. */
struct node {
	struct node *left, *right;
	char text[24];
};

static struct node *tree(int depth, uint64_t *seed)
{
	struct node *n = block(sizeof(*n) + between(seed, 0, 64));

	n->left = depth ? tree(depth - 1, seed) : NULL;
	n->right = depth ? tree(depth - 1, seed) : NULL;
	return n;
}

static void drop(struct node *n)
{
	if (!n)
		return;
	drop(n->left);
	drop(n->right);
	free(n);
}

static void trees(size_t rounds)
{
	uint64_t seed = 4;

	for (size_t i = 0; i < rounds * 40; i++)
		drop(tree(16, &seed));
}

#define QUEUE 256
#define BATCH 64

static struct queue {
	pthread_mutex_t lock;
	pthread_cond_t more, room;
	void **batch[QUEUE];
	unsigned head, tail;
	size_t left;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER,
	    .more = PTHREAD_COND_INITIALIZER,
	    .room = PTHREAD_COND_INITIALIZER };

static void *producer(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (size_t i = 0; i < queue.left; i++) {
		void **batch = block(BATCH * sizeof(*batch));

		for (int k = 0; k < BATCH; k++)
			batch[k] = block(between(&seed, 16, 256));
		pthread_mutex_lock(&queue.lock);
		while (queue.head - queue.tail == QUEUE)
			pthread_cond_wait(&queue.room, &queue.lock);
		queue.batch[queue.head++ % QUEUE] = batch;
		pthread_cond_signal(&queue.more);
		pthread_mutex_unlock(&queue.lock);
	}
	return NULL;
}

static void *consumer(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < queue.left; i++) {
		void **batch;

		pthread_mutex_lock(&queue.lock);
		while (queue.head == queue.tail)
			pthread_cond_wait(&queue.more, &queue.lock);
		batch = queue.batch[queue.tail++ % QUEUE];
		pthread_cond_signal(&queue.room);
		pthread_mutex_unlock(&queue.lock);
		for (int k = 0; k < BATCH; k++)
			free(batch[k]);
		free(batch);
	}
	return NULL;
}

static void handover(size_t rounds)
{
	pthread_t t[4];

	queue.left = rounds * 60000;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i % 2 ? consumer : producer, (void *)(i + 5));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

/* larson: each thread replaces blocks at random, then leaves its blocks to a successor. */
#define SLOTS 1000

struct server {
	void *held[SLOTS];
	uint64_t seed;
	size_t operations;
	int generations;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	pthread_t heir;

	for (size_t i = 0; i < s->operations; i++) {
		size_t k = next(&s->seed) % SLOTS;

		free(s->held[k]);
		s->held[k] = block(between(&s->seed, 8, 1000));
	}
	if (--s->generations > 0) {
		pthread_create(&heir, NULL, serve, s);
		pthread_join(heir, NULL);
	}
	return NULL;
}

static void servers(size_t rounds)
{
	static struct server all[4];
	pthread_t t[4];

	for (int i = 0; i < 4; i++) {
		all[i].seed = (uint64_t)i + 11;
		all[i].operations = rounds * 250000;
		all[i].generations = 10;
		pthread_create(&t[i], NULL, serve, &all[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void growth(size_t rounds)
{
	enum { BUFFERS = 8 };
	uint64_t seed = 7;

	for (size_t i = 0; i < rounds * 6; i++) {
		char *p[BUFFERS] = { NULL };
		size_t bytes[BUFFERS] = { 0 };

		for (int step = 0; step < 6000; step++) {
			int k = (int)(next(&seed) % BUFFERS);
			size_t more = between(&seed, 64, 2048) + bytes[k] / 128;

			if (bytes[k] > 8 * MIB)
				continue;

			p[k] = realloc(p[k], bytes[k] + more);
			memset(p[k] + bytes[k], 1, more);
			bytes[k] += more;
		}
		for (int k = 0; k < BUFFERS; k++)
			free(p[k]);
	}
}

static void middle(size_t rounds)
{
	char *held[64] = { NULL };
	uint64_t seed = 8;

	for (size_t i = 0; i < rounds * 400000; i++) {
		size_t k = next(&seed) % 64, bytes = between(&seed, 8 * KIB, 256 * KIB);

		free(held[k]);
		held[k] = block(bytes);
		touch(held[k], bytes);
	}
	for (int k = 0; k < 64; k++)
		free(held[k]);
}

static void large(size_t rounds)
{
	char *held[4] = { NULL };
	uint64_t seed = 9;

	for (size_t i = 0; i < rounds * 300; i++) {
		size_t k = next(&seed) % 4, bytes = between(&seed, 512 * KIB, 24 * MIB);

		free(held[k]);
		held[k] = block(bytes);
		touch(held[k], bytes);
	}
	for (int k = 0; k < 4; k++)
		free(held[k]);
}

static size_t resident(void)
{
	unsigned long pages = 0, all = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%lu %lu", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * 4096;
}

/*
 * Ten jobs' blocks, one job after the other; then nine jobs end. One job in ten is what stays,
 * so nine tenths of the pages could be returned by an allocator that does not move blocks.
 */
static size_t phase(uint64_t *seed, void **held, size_t count, size_t *live)
{
	size_t bytes, all = 0, keep_from = count / 10 * 4, keep_to = count / 10 * 5;

	*live = 0;
	for (size_t i = 0; i < count; i++) {
		bytes = skewed(seed, 16384);
		held[i] = block(bytes);
		memset(held[i], 1, bytes);
		all += bytes;
		if (i >= keep_from && i < keep_to)
			*live += bytes;
	}
	for (size_t i = 0; i < count; i++)
		if (i < keep_from || i >= keep_to) {
			free(held[i]);
			held[i] = NULL;
		}
	return all;
}

static void end_phase(void **held, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(held[i]);
		held[i] = NULL;
	}
}

static void phases(size_t rounds)
{
	size_t count = 400000, live;
	void **held = malloc(count * sizeof(*held));
	uint64_t seed = 10;

	for (size_t i = 0; i < rounds * 6; i++) {
		phase(&seed, held, count, &live);
		end_phase(held, count);
	}
	free(held);
}

/* Prints live bytes and RSS one second after nine tenths were freed, without further calls. */
static void remains(size_t rounds)
{
	size_t count = rounds * 600000, live, all, base = resident(), after, peak;
	void **held = malloc(count * sizeof(*held));
	uint64_t seed = 12;

	memset(held, 0, count * sizeof(*held));
	base = resident();
	all = phase(&seed, held, count, &live);
	peak = resident() - base;
	sleep(1);
	after = resident() - base;
	printf("allocated %zu MiB, right after the frees RSS %zu MiB, live %zu KiB, "
	       "RSS after 1 s %zu KiB: %.2f\n",
	       all / MIB, peak / MIB, live / KIB, after / KIB, (double)after / (double)live);
}

/* A program that allocates once: what it costs to have an allocator. */
static void once(size_t rounds)
{
	for (size_t i = 0; i < rounds; i++)
		free(block(100));
}

static const struct {
	const char *name;
	void (*run)(size_t rounds);
} loads[] = {
	{ "pair", pair },	{ "lifo", lifo },	{ "fifo", fifo },
	{ "churn", churn },	{ "trees", trees },	{ "handover", handover },
	{ "servers", servers }, { "growth", growth },	{ "middle", middle },
	{ "large", large },	{ "phases", phases },	{ "remains", remains },
	{ "once", once },	{ "objects", objects },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(loads) / sizeof(loads[0]); i++)
		if (!strcmp(argv[1], loads[i].name)) {
			loads[i].run(argc > 2 ? strtoul(argv[2], NULL, 10) : 1);
			return 0;
		}
	fprintf(stderr, "usage: malloc-load NAME [rounds]\n");
	return 2;
}
