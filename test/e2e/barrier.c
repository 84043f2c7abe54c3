/*
 * barrier.c - threads that work on each other's memory, phase by phase, between barriers.
 *
 * Use     barrier THREADS PHASES MEGABYTES
 * Holds   In each phase thread t reads the slice that thread t+1 wrote in the phase before. A page
 *         lost, torn or not shared between the threads changes the sum.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct world {
	unsigned threads, phases;
	size_t words; /* of each slice */
	uint64_t *slices[2];
	pthread_barrier_t barrier;
};

struct worker {
	struct world *world;
	pthread_t thread;
	unsigned index;
	uint64_t sum;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 29;
	return x;
}

static void *work(void *argument)
{
	struct worker *me = argument;
	struct world *w = me->world;
	unsigned phase;
	size_t i;

	for (phase = 0; phase < w->phases; phase++) {
		const uint64_t *from =
			w->slices[phase % 2] + w->words * ((me->index + 1) % w->threads);
		uint64_t *to = w->slices[(phase + 1) % 2] + w->words * me->index;

		for (i = 0; i < w->words; i++)
			to[i] = mix(from[i] + phase + i);
		pthread_barrier_wait(&w->barrier);
		me->sum += to[(phase * 7919) % w->words];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct worker workers[64] = { 0 };
	struct world w = { 0 };
	uint64_t sum = 0;
	size_t i;

	if (argc != 4)
		return 2;
	w.threads = atoi(argv[1]);
	w.phases = atoi(argv[2]);
	w.words = ((size_t)atoi(argv[3]) << 20) / 16 / w.threads;
	for (i = 0; i < 2; i++)
		w.slices[i] = malloc(w.words * w.threads * sizeof(uint64_t));
	for (i = 0; i < w.words * w.threads; i++)
		w.slices[0][i] = i;
	pthread_barrier_init(&w.barrier, NULL, w.threads);
	for (i = 0; i < w.threads; i++) {
		workers[i].world = &w;
		workers[i].index = i;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 3;
	}
	for (i = 0; i < w.threads; i++) {
		pthread_join(workers[i].thread, NULL);
		sum = mix(sum + workers[i].sum);
	}
	for (i = 0; i < w.words * w.threads; i++)
		sum += mix(w.slices[w.phases % 2][i] + i);
	printf("%u threads, %u phases: %016llx\n", w.threads, w.phases, (unsigned long long)sum);
	return 0;
}
