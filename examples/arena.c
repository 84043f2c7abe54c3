/*
 * arena.c - a server's session store whose memory is one block with a limit, by <quire/memory.h>.
 *
 * What    Sessions (fixed size) come from a cache, their data (any size) from the memory's malloc,
 *         network buffers from its pages. When the block is full, the oldest sessions go:
 *         pressure_relieve() is where a server says what it can do without.
 * Build   cc -O2 -Imm -Iinclude examples/arena.c mm/base/[a-z]*.c ... (see examples/run-arena)
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/memory.h>

#include "phys/pressure.h"

struct session {
	struct session *next; /* younger */
	unsigned id;
	size_t size;
	char *data;
};

static struct quire_memory *memory;
static struct quire_cache *sessions;
static struct session *oldest, *youngest;
static unsigned evicted, alive;

void quire_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static void session_end(void)
{
	struct session *session = oldest;

	oldest = session->next;
	if (!oldest)
		youngest = NULL;
	quire_free(memory, session->data);
	quire_cache_free(sessions, session);
	alive--;
}

/* Called when an allocation finds no room: drop the oldest sessions. */
enum pressure_result pressure_relieve(struct phys *phys, gfp_t gfp, unsigned order)
{
	unsigned n;

	(void)phys, (void)gfp, (void)order;
	if (!oldest)
		return PRESSURE_FAIL;
	for (n = 0; n < 64 && oldest; n++) {
		session_end();
		evicted++;
	}
	quire_memory_reap(memory);
	return PRESSURE_RETRY;
}

static void session_start(unsigned id)
{
	struct session *session = quire_cache_alloc(sessions, QUIRE_ZERO);

	if (!session)
		exit(1);
	session->id = id;
	session->size = 100 + (size_t)id * 7919 % 20000;
	session->data = quire_alloc(memory, session->size, 0);
	if (!session->data)
		exit(1);
	memset(session->data, (int)id, session->size);
	if (youngest)
		youngest->next = session;
	else
		oldest = session;
	youngest = session;
	alive++;
}

int main(void)
{
	const size_t limit = 32 << 20;
	void *block = aligned_alloc(4096, limit);
	struct quire_memory_info info;
	struct session *session;
	unsigned id;

	memory = quire_memory_create(block, limit, NULL);
	if (!memory)
		return 1;
	sessions = quire_cache_create(memory, "session", sizeof(struct session), 0);
	for (id = 0; id < 20000; id++)
		session_start(id);
	for (session = oldest; session; session = session->next)
		if (session->data[0] != (char)session->id ||
		    session->data[session->size - 1] != (char)session->id)
			return 1;
	quire_memory_info(memory, &info);
	printf("20000 sessions served in %zu MiB: %u alive, %u evicted, %llu KiB free, slab %llu "
	       "KiB\n",
	       limit >> 20, alive, evicted, (unsigned long long)info.free >> 10,
	       (unsigned long long)info.slab >> 10);
	while (oldest)
		session_end();
	quire_memory_reap(memory);
	quire_memory_check(memory);
	quire_memory_info(memory, &info);
	printf("all ended: %llu of %llu KiB free, largest block %llu KiB\n",
	       (unsigned long long)info.free >> 10, (unsigned long long)info.managed >> 10,
	       (unsigned long long)info.largest_free_block >> 10);
	free(block);
	return 0;
}
