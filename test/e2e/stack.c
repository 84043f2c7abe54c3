/*
 * stack.c - deep stacks, large frames, big environments, alternate stacks, and growth downwards.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <alloca.h>
#include <pthread.h>
#include <sys/resource.h>
#include <ucontext.h>

static uint64_t descend(int depth)
{
	volatile uint64_t frame[200];
	uint64_t below;
	int i;

	for (i = 0; i < 200; i++)
		frame[i] = (uint64_t)depth * 1000 + (uint64_t)i;
	below = depth > 0 ? descend(depth - 1) : 0;
	for (i = 0; i < 200; i++)
		must(frame[i] == (uint64_t)depth * 1000 + (uint64_t)i);
	return below * 3 + frame[depth % 200];
}

/* A frame of several pages whose far end is touched first: the stack grows by a jump. */
static void jump(size_t pages)
{
	char *block = alloca(pages * PAGE);

	fill_page(block, pages);
	must(page_holds(block, pages));
	memset(block + PAGE, 7, (pages - 1) * PAGE);
}

static void *in_thread(void *argument)
{
	return (void *)descend((int)(long)argument);
}

static ucontext_t main_context, other_context;

static void coroutine(void)
{
	int i;

	for (i = 0; i < 50; i++) {
		jump(3);
		swapcontext(&other_context, &main_context);
	}
}

static void coroutines(void)
{
	size_t size = 64 * 1024;
	int i;

	must(getcontext(&other_context) == 0);
	other_context.uc_stack.ss_sp = map_anonymous(size, MAP_PRIVATE | MAP_STACK);
	other_context.uc_stack.ss_size = size;
	makecontext(&other_context, coroutine, 0);
	for (i = 0; i < 50; i++)
		must(swapcontext(&main_context, &other_context) == 0);
	printf("coroutines: fine\n");
}

static void grows_down(void)
{
	size_t pages = 50, i;
	char *area = mmap(NULL, 2000 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p;

	must(area != MAP_FAILED && munmap(area, 2000 * PAGE) == 0);
	p = mmap(area + 1990 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	must(p != MAP_FAILED);
	for (i = 0; i < pages; i++)
		fill_page(p - i * PAGE, i);
	for (i = 0; i < pages; i++)
		must(page_holds(p - i * PAGE, i));
	printf("MAP_GROWSDOWN: fine\n");
}

static void limited(void)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = { 1 << 20, 1 << 20 }, none = { 0, 0 };

		must(setrlimit(RLIMIT_STACK, &limit) == 0 && setrlimit(RLIMIT_CORE, &none) == 0);
		jump(100);
		jump(400);
		_exit(0);
	}
	printf("beyond RLIMIT_STACK: %d\n", wait_for(pid));
}

int main(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	void *value;

	setvbuf(stdout, NULL, _IOLBF, 0);
	limited();
	printf("deep: %016llx\n", (unsigned long long)descend(3500));
	jump(1000);
	jump(1500);
	printf("jumps: fine\n");
	pthread_attr_init(&attributes);
	must(pthread_attr_setstacksize(&attributes, 16 << 20) == 0);
	must(pthread_create(&thread, &attributes, in_thread, (void *)7000L) == 0);
	must(pthread_join(thread, &value) == 0);
	printf("in a thread: %016llx\n", (unsigned long long)value);
	coroutines();
	grows_down();
	return 0;
}
