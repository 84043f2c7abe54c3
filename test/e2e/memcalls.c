/*
 * memcalls.c - the same sequence of memory calls on any kernel gives the same results.
 *
 * Use     memcalls SEED OPERATIONS [mincore]
 * How     Random mmap, munmap, mprotect, mremap, madvise, msync, mlock, fork, and mincore on
 *         request (residency depends on memory pressure), all inside one arena at a fixed address,
 *         which lies within 2 MiB so that no huge page fits. After each operation its result and
 *         errno are printed; now and then what each page permits and holds, found by touching it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <sys/utsname.h>

enum { PAGES = 96 };
#define ARENA ((char *)0x200000001000)

static uint64_t state;
static sigjmp_buf back;
static int with_mincore;
static int moves_ranges; /* the kernel's mremap takes several areas at once: 6.17 */
static int file;

static unsigned below(unsigned n)
{
	return (unsigned)((next_number(&state) >> 20) % n);
}

static void handler(int number)
{
	siglongjmp(back, number);
}

static void result(long value)
{
	if (value == -1)
		printf(" = -1 errno %d\n", errno);
	else
		printf(" = %s%ld\n", value >= (long)ARENA ? "arena+" : "",
		       value >= (long)ARENA ? (value - (long)ARENA) / PAGE : value);
}

/* What one page permits and holds: `.` nothing, else r or w, and its hash. */
static char touch(char *page, uint64_t *hash)
{
	volatile char kind = '.';
	int number = sigsetjmp(back, 1);

	if (number)
		return number == SIGBUS ? 'B' : kind;
	*hash ^= hash_bytes(page, PAGE) + (uint64_t)(page - ARENA);
	kind = 'r';
	*(volatile char *)(page + 100) = page[100];
	return 'w';
}

static void show_state(void)
{
	char kinds[PAGES + 1] = { 0 };
	uint64_t hash = 0;
	int i;

	for (i = 0; i < PAGES; i++)
		kinds[i] = touch(ARENA + i * PAGE, &hash);
	printf("  %s %016llx\n", kinds, (unsigned long long)hash);
}

static void write_some(char *at, size_t pages)
{
	size_t i;

	for (i = 0; i < pages; i++) {
		uint64_t key = next_number(&state);

		if (key % 3 == 0)
			continue;
		if (sigsetjmp(back, 1) == 0)
			fill_page(at + i * PAGE, key);
	}
}

static const int protections[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
				   PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC };

static void call_mmap(char *at, size_t size)
{
	int protection = protections[below(5)];
	int flags = MAP_FIXED;
	int fd = -1;

	switch (below(6)) {
	case 0:
		flags |= MAP_SHARED | MAP_ANONYMOUS;
		break;
	case 1:
		flags |= MAP_PRIVATE;
		if (with_mincore)
			flags |= MAP_ANONYMOUS;
		else
			fd = file;
		break;
	case 2:
		flags = MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS;
		break;
	default:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	}
	printf("mmap prot %d flags %x fd %d", protection, flags, fd >= 0);
	result((long)mmap(at, size, protection, flags, fd, fd < 0 ? 0 : PAGE * below(8)));
}

static void call_mremap(char *at, size_t size)
{
	size_t to = (1 + below(20)) * PAGE;
	char *target = ARENA + below(PAGES - 24) * PAGE;

	if (moves_ranges && below(2))
		to = size;
	else if (to == size && !moves_ranges)
		to += PAGE;
	switch (below(4)) {
	case 0:
		printf("mremap in place to %zu", to / PAGE);
		if (at + to > ARENA + PAGES * PAGE) {
			printf(" (skipped)\n");
			return;
		}
		result((long)mremap(at, size, to, 0));
		break;
	case 1:
		printf("mremap dontunmap to arena+%zd", (target - ARENA) / PAGE);
		result((long)mremap(at, PAGE, PAGE,
				    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, target));
		break;
	default:
		printf("mremap to arena+%zd %zu", (target - ARENA) / PAGE, to / PAGE);
		result((long)mremap(at, size, to, MREMAP_MAYMOVE | MREMAP_FIXED, target));
	}
}

static void call_madvise(char *at, size_t size)
{
	static const int advices[] = { MADV_DONTNEED,	   MADV_DONTNEED,
				       MADV_WILLNEED,	   MADV_NORMAL,
				       MADV_RANDOM,	   MADV_SEQUENTIAL,
				       MADV_COLD,	   MADV_PAGEOUT,
				       MADV_POPULATE_READ, MADV_POPULATE_WRITE,
				       MADV_NOHUGEPAGE,	   MADV_DONTDUMP,
				       MADV_DODUMP,	   77 };
	int advice = advices[below(sizeof(advices) / sizeof(advices[0]))];

	if (with_mincore && (advice == MADV_COLD || advice == MADV_PAGEOUT))
		advice = MADV_DONTNEED;
	printf("madvise %d", advice);
	result(madvise(at, size, advice));
}

static void call_mincore(char *at, size_t size)
{
	unsigned char resident[PAGES];
	size_t i;

	memset(resident, 9, sizeof(resident));
	printf("mincore");
	result(mincore(at, size, resident));
	printf("  ");
	for (i = 0; i < size / PAGE; i++)
		putchar('0' + (resident[i] == 9 ? 9 : resident[i] & 1));
	putchar('\n');
}

static void call_fork(char *at, size_t pages)
{
	int done[2];
	pid_t pid;
	int status;

	printf("fork\n");
	fflush(stdout);
	must(pipe(done) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		must(read(done[0], &status, 1) == 1); /* the parent writes first */
		show_state();
		write_some(at, pages);
		printf("  in the child: munmap");
		result(munmap(ARENA + 30 * PAGE, 3 * PAGE));
		show_state();
		fflush(stdout);
		_exit(7);
	}
	write_some(at + PAGE, pages / 2);
	must(write(done[1], "", 1) == 1);
	status = wait_for(pid);
	close(done[0]);
	close(done[1]);
	printf("  the child: %d\n", status);
}

static void step(void)
{
	size_t pages = 1 + below(below(4) ? 8 : 30);
	size_t first = below(PAGES - (unsigned)pages);
	char *at = ARENA + first * PAGE;
	size_t size = pages * PAGE;

	printf("%zu+%zu ", first, pages);
	switch (below(20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		call_mmap(at, size);
		break;
	case 4:
		printf("munmap");
		result(munmap(at, size));
		break;
	case 5:
	case 6:
	case 7:
	case 8: {
		int protection = protections[below(5)];

		printf("mprotect %d", protection);
		result(mprotect(at, size, protection));
		break;
	}
	case 9:
	case 10:
	case 11:
		call_mremap(at, size);
		break;
	case 12:
	case 13:
		call_madvise(at, size);
		break;
	case 14:
		printf("msync");
		result(msync(at, size, below(2) ? MS_SYNC : MS_ASYNC));
		break;
	case 15:
		printf("mlock");
		result(mlock(at, size));
		printf("%zu+%zu munlock", first, pages);
		result(munlock(at, size));
		break;
	case 16:
		call_fork(at, pages);
		break;
	case 17:
		if (with_mincore)
			call_mincore(at, size);
		else
			printf("nothing\n");
		break;
	default:
		write_some(at, pages);
		printf("written\n");
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = handler };
	struct utsname kernel;
	char page[PAGE];
	int operations, i, major, minor;

	must(argc >= 3);
	state = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15ULL | 1;
	operations = atoi(argv[2]);
	with_mincore = argc > 3;
	must(uname(&kernel) == 0 && sscanf(kernel.release, "%d.%d", &major, &minor) == 2);
	moves_ranges = major > 6 || (major == 6 && minor >= 17);
	must(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
	file = open("memcalls.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(file >= 0);
	for (i = 0; i < 16; i++) {
		fill_page(page, (uint64_t)i + 1000);
		must(write(file, page, i == 15 ? 1000 : PAGE) > 0);
	}
	must(mmap(ARENA, PAGES * PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == ARENA);
	write_some(ARENA, PAGES / 2);
	for (i = 0; i < operations; i++) {
		step();
		if (i % 8 == 7)
			show_state();
	}
	show_state();
	return 0;
}
