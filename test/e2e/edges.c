/*
 * edges.c - the edges of each memory call: wrong arguments, holes, overlaps, limits, and brk.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define R(call) result(#call, (long)(call))

static char *base; /* 16 pages, all mapped, the last one a hole */

static void result(const char *call, long value)
{
	int e = errno;

	if (value == -1)
		printf("%-70s -1 errno %d\n", call, e);
	else if (value >= (long)base && value <= (long)(base + 64 * PAGE))
		printf("%-70s base+%ld\n", call, value - (long)base);
	else
		printf("%-70s %s\n", call, value ? "other" : "0");
}

static void fresh(void)
{
	int i;

	if (!base) {
		base = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(base != MAP_FAILED);
	}
	must(mmap(base, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	     base);
	must(mprotect(base, 16 * PAGE, PROT_READ | PROT_WRITE) == 0);
	must(munmap(base + 15 * PAGE, PAGE) == 0);
	for (i = 0; i < 15; i++)
		fill_page(base + i * PAGE, (uint64_t)i + 1);
}

static void pages(void)
{
	unsigned char resident;
	struct iovec local = { .iov_len = 8 }, remote = { .iov_len = 8 };
	char buffer[8];
	int i, j;

	printf("  ");
	local.iov_base = buffer;
	for (i = 0; i < 24; i++) {
		char *page = base + i * PAGE;

		remote.iov_base = page;
		if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 8) {
			putchar(mincore(page, PAGE, &resident) ? '.' : 'n');
			continue;
		}
		for (j = 1; j < 20 && !page_holds(page, (uint64_t)j); j++)
			;
		putchar(j < 20 ? '@' + j : *page ? '?' : '0');
	}
	putchar('\n');
}

static void map_edges(void)
{
	int f = open("/dev/null", O_RDONLY),
	    file = open("edges.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int reader, writer;

	must(file >= 0 && ftruncate(file, 10000) == 0);
	reader = open("edges.data", O_RDONLY);
	writer = open("edges.data", O_WRONLY);
	R(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	R(mmap(base + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	R(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
	R(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0));
	R(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0));
	R(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 1));
	R(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, f, 0));
	R(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, writer, 0));
	R(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0));
	R(mmap(NULL, 1UL << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	R(mmap(NULL, -4096UL, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	R(mmap(base, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	R(mmap(base + 15 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	R(mmap((void *)(1UL << 47), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	       0));
	R(mmap((void *)4096, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	  MAP_FAILED);
	pages();
	close(f);
	close(file);
	close(reader);
	close(writer);
}

static void unmap_edges(void)
{
	fresh();
	R(munmap(base + 1, PAGE));
	R(munmap(base, 0));
	R(munmap(base + 14 * PAGE, 2 * PAGE));
	R(munmap(base + 3 * PAGE, 1));
	R(munmap(base + 5 * PAGE, PAGE + 1));
	R(munmap((void *)(1UL << 47), PAGE));
	pages();
}

static void protect_edges(void)
{
	fresh();
	R(mprotect(base + 1, PAGE, PROT_READ));
	R(mprotect(base, 0, PROT_READ));
	R(mprotect(base + 12 * PAGE, 6 * PAGE, PROT_NONE));
	pages();
	R(mprotect(base, PAGE, 0x80));
	R(mprotect(base, 1UL << 62, PROT_READ));
	R(mprotect(base, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP));
	R(mprotect(base, PAGE, PROT_READ | PROT_GROWSDOWN));
}

static void remap_edges(void)
{
	const int move = MREMAP_MAYMOVE, fixed = MREMAP_MAYMOVE | MREMAP_FIXED;

	fresh();
	R(mremap(base + 1, PAGE, PAGE, 0));
	R(mremap(base, PAGE, 0, 0));
	R(mremap(base, 0, PAGE, move));
	R(mremap(base, PAGE, 2 * PAGE, 0));
	R(mremap(base, PAGE, PAGE, 8));
	R(mremap(base, PAGE, PAGE, MREMAP_FIXED, base + 20 * PAGE));
	R(mremap(base, 2 * PAGE, 2 * PAGE, fixed, base + PAGE));
	R(mremap(base, 2 * PAGE, 2 * PAGE, fixed, base + 1));
	R(mremap(base + 15 * PAGE, PAGE, PAGE, 0));
	R(mremap(base + 15 * PAGE, PAGE, 2 * PAGE, move));
	R(mremap(base + 14 * PAGE, 2 * PAGE, 4 * PAGE, move));
	R(mremap(base, 4 * PAGE, 2 * PAGE, 0));
	pages();
	R(mremap(base + 4 * PAGE, 2 * PAGE, 2 * PAGE, fixed, base + 17 * PAGE));
	pages();
	R(mremap(base + 14 * PAGE, PAGE, 2 * PAGE, 0));
	R(mremap(base + 6 * PAGE, 3 * PAGE, 5 * PAGE, fixed, base + 18 * PAGE));
	pages();
	R(mremap(base + 9 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	R(mremap(base + 10 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	pages();
}

static void advise_edges(void)
{
	fresh();
	R(madvise(base + 1, PAGE, MADV_DONTNEED));
	R(madvise(base, 0, MADV_DONTNEED));
	R(madvise(base, PAGE, 12345));
	R(madvise(base + 13 * PAGE, 3 * PAGE, MADV_DONTNEED));
	R(madvise(base + 2 * PAGE, 1, MADV_DONTNEED));
	R(madvise(base + 4 * PAGE, 2 * PAGE, MADV_DONTFORK));
	R(madvise(base + 6 * PAGE, PAGE, MADV_WIPEONFORK));
	R(madvise(base + 40 * PAGE, PAGE, MADV_DONTNEED));
	R(madvise(base, PAGE, MADV_REMOVE));
	R(madvise(base + 20 * PAGE, PAGE, MADV_POPULATE_WRITE));
	pages();
	fflush(stdout);
	if (fork() == 0) {
		printf("child:\n");
		pages();
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	pages();
}

static void other_edges(void)
{
	unsigned char resident[64];

	fresh();
	R(mincore(base + 1, PAGE, resident));
	R(mincore(base, 16 * PAGE, resident));
	R(mincore(base, PAGE, NULL));
	R(mincore(base, 0, resident));
	R(msync(base + 1, PAGE, MS_SYNC));
	R(msync(base, PAGE, MS_SYNC | MS_ASYNC));
	R(msync(base, 16 * PAGE, MS_SYNC));
	R(msync(base, PAGE, 64));
	R(mlock(base, 2 * PAGE));
	R(mlock(base + 14 * PAGE, 2 * PAGE));
	R(mlock2(base, PAGE, 2));
	R(mlock2(base, PAGE, MLOCK_ONFAULT));
	R(munlock(base, 2 * PAGE));
	R(mlockall(0));
	R(mlockall(64));
	R(mlockall(MCL_CURRENT));
	R(munlockall());
	R(syscall(SYS_madvise, base, PAGE, MADV_HWPOISON + 100000));
	pages();
}

static void heap(void)
{
	char *start = sbrk(0);
	long result_of;

	must(sbrk(10 * PAGE) == start);
	fill_page(start, 1);
	fill_page(start + 9 * PAGE, 2);
	must(sbrk(-5 * PAGE) == start + 10 * PAGE && sbrk(0) == start + 5 * PAGE);
	must(sbrk(5 * PAGE) == start + 5 * PAGE);
	printf("heap: shrunk and grown pages are %s\n", start[9 * PAGE] ? "kept" : "zero");
	must(page_holds(start, 1));
	result_of = syscall(SYS_brk, 1);
	printf("brk(1) leaves the break: %d\n", result_of == (long)sbrk(0));
	result_of = syscall(SYS_brk, (long)start + (1L << 46));
	printf("brk far away leaves the break: %d\n", result_of == (long)sbrk(0));
	must(sbrk(123) == start + 10 * PAGE && sbrk(0) == start + 10 * PAGE + 123);
	start[10 * PAGE + 122] = 1;
	must(brk(start) == 0 && sbrk(0) == start);
}

static void limits(void)
{
	struct rlimit old, limit;

	must(getrlimit(RLIMIT_AS, &old) == 0);
	limit = (struct rlimit){ .rlim_cur = 1UL << 30, .rlim_max = old.rlim_max };
	must(setrlimit(RLIMIT_AS, &limit) == 0);
	R(mmap(NULL, 2UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(setrlimit(RLIMIT_AS, &old) == 0);
	must(getrlimit(RLIMIT_DATA, &old) == 0);
	limit = (struct rlimit){ .rlim_cur = 64UL << 20, .rlim_max = old.rlim_max };
	must(setrlimit(RLIMIT_DATA, &limit) == 0);
	R(sbrk(128 << 20));
	R(mmap(NULL, 128 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(setrlimit(RLIMIT_DATA, &old) == 0);
}

int main(void)
{
	static char buffer[BUFSIZ]; /* no malloc: the heap is under test */

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	fresh();
	heap();
	map_edges();
	unmap_edges();
	protect_edges();
	remap_edges();
	advise_edges();
	other_edges();
	limits();
	return 0;
}
