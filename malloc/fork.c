/*
 * fork.c - takes every lock before a fork and gives them back in parent and child.
 *
 * How     In the order of lock.h. While they are held the forking thread's own calls pass
 *         through the locks, for handlers that other libraries registered before us.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fork.h"
#include "cache.h"
#include "large.h"
#include "profile.h"
#include "reap.h"
#include "slab.h"
#include "span.h"
#include "units.h"

#include <pthread.h>

static void before(void)
{
	lock_take(&profile_lock);
	lock_take(&cache_lock);
	for (unsigned c = 0; c < CLASS_COUNT; c++)
		lock_take(&class_state[c].lock);
	lock_take(&units.lock);
	lock_take(&spans.lock);
	lock_take(&larges.lock);
	atomic_store(&lock_forking_tid, os_tid());
}

static void give_all(void)
{
	atomic_store(&lock_forking_tid, 0);
	lock_give(&larges.lock);
	lock_give(&spans.lock);
	lock_give(&units.lock);
	for (unsigned c = CLASS_COUNT; c-- > 0;)
		lock_give(&class_state[c].lock);
	lock_give(&cache_lock);
	lock_give(&profile_lock);
}

static void in_parent(void)
{
	give_all();
}

static void in_child(void)
{
	cache_forget_others();
	reap_forked();
	give_all();
}

void fork_setup(void)
{
	pthread_atfork(before, in_parent, in_child);
}
