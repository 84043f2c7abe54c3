/*
 * filemap.c - mapped files: private and shared, write-back, coherence with read() and write(),
 *             growing and shrinking, and dirty pages that outlive their process.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <sys/stat.h>

enum { FILE_PAGES = 2000 };

static int make_file(const char *name, size_t pages, uint64_t key)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char page[PAGE];
	size_t i;

	must(fd >= 0);
	for (i = 0; i < pages; i++) {
		fill_page(page, key + i);
		must(write(fd, page, PAGE) == PAGE);
	}
	return fd;
}

static uint64_t hash_file(const char *name)
{
	int fd = open(name, O_RDONLY);
	char page[PAGE];
	uint64_t hash = 1;
	ssize_t n;

	must(fd >= 0);
	while ((n = read(fd, page, PAGE)) > 0)
		hash = hash * 31 + hash_bytes(page, (size_t)n);
	must(n == 0 && close(fd) == 0);
	return hash;
}

static char *map_file(int fd, size_t pages, int protection, int flags)
{
	char *p = mmap(NULL, pages * PAGE, protection, flags, fd, 0);

	must(p != MAP_FAILED);
	return p;
}

static void private_mapping(void)
{
	int fd = make_file("private", FILE_PAGES, 1);
	char *p = map_file(fd, FILE_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	uint64_t before = hash_file("private");
	size_t i;

	must(close(fd) == 0);
	for (i = 0; i < FILE_PAGES; i += 3)
		fill_page(p + i * PAGE, i + 100000);
	for (i = 0; i < FILE_PAGES; i++)
		must(page_holds(p + i * PAGE, i % 3 ? i + 1 : i + 100000));
	must(madvise(p, FILE_PAGES * PAGE / 2, MADV_DONTNEED) == 0);
	for (i = 0; i < FILE_PAGES; i++)
		must(page_holds(p + i * PAGE, i % 3 || i < FILE_PAGES / 2 ? i + 1 : i + 100000));
	must(munmap(p, FILE_PAGES * PAGE) == 0);
	printf("private: the file is %s\n",
	       hash_file("private") == before ? "unchanged" : "changed");
}

static void shared_mapping(void)
{
	int fd = make_file("shared", FILE_PAGES, 1);
	char *p = map_file(fd, FILE_PAGES, PROT_READ | PROT_WRITE, MAP_SHARED);
	char page[PAGE];
	size_t i;
	pid_t pid;

	for (i = 0; i < FILE_PAGES; i += 5) {
		fill_page(p + i * PAGE, i + 5000);
		must(pread(fd, page, PAGE, (off_t)(i * PAGE)) == PAGE &&
		     page_holds(page, i + 5000));
	}
	for (i = 1; i < FILE_PAGES; i += 5) {
		fill_page(page, i + 6000);
		must(pwrite(fd, page, PAGE, (off_t)(i * PAGE)) == PAGE);
		must(page_holds(p + i * PAGE, i + 6000));
	}
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		for (i = 2; i < FILE_PAGES; i += 5)
			fill_page(p + i * PAGE, i + 7000);
		_exit(0);
	}
	must(wait_for(pid) == 0);
	for (i = 0; i < FILE_PAGES; i++)
		must(page_holds(p + i * PAGE, i % 5 == 0   ? i + 5000
					      : i % 5 == 1 ? i + 6000
					      : i % 5 == 2 ? i + 7000
							   : i + 1));
	must(msync(p, FILE_PAGES * PAGE, MS_SYNC) == 0);
	must(munmap(p, FILE_PAGES * PAGE) == 0 && close(fd) == 0);
	printf("shared: %016llx\n", (unsigned long long)hash_file("shared"));
}

static void dirty_at_exit(void)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		int fd = make_file("left", 300, 1);
		char *p = map_file(fd, 300, PROT_READ | PROT_WRITE, MAP_SHARED);
		size_t i;

		for (i = 0; i < 300; i += 2)
			fill_page(p + i * PAGE, i + 900);
		raise(SIGKILL);
	}
	must(wait_for(pid) == 128 + SIGKILL);
	printf("dirty pages of a killed process: %016llx\n", (unsigned long long)hash_file("left"));
}

static void growing(void)
{
	int fd = make_file("growing", 3, 1);
	char *p = map_file(fd, 10, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *q = map_file(fd, 10, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	must(q[2 * PAGE] == p[2 * PAGE]);
	must(ftruncate(fd, 5 * PAGE + 100) == 0);
	must(p[4 * PAGE] == 0 && q[5 * PAGE] == 0);
	p[5 * PAGE + 50] = 'x';
	p[5 * PAGE + 200] = 'y'; /* beyond the end: lost */
	must(ftruncate(fd, 9 * PAGE) == 0);
	printf("grown: in the file %d\n", p[5 * PAGE + 50] == 'x');
	must(ftruncate(fd, 2 * PAGE + 10) == 0);
	must(ftruncate(fd, 4 * PAGE) == 0);
	printf("shrunk and grown: byte 5 kept %d, byte 500 zero %d, next page zero %d\n",
	       p[2 * PAGE + 5] != 0 || page_holds(p, 1), p[2 * PAGE + 500] == 0, p[3 * PAGE] == 0);
	must(munmap(p, 10 * PAGE) == 0 && munmap(q, 10 * PAGE) == 0 && close(fd) == 0);
	printf("size %016llx\n", (unsigned long long)hash_file("growing"));
}

static void replaced_and_unlinked(void)
{
	int fd = make_file("gone", 50, 31);
	char *p = map_file(fd, 50, PROT_READ, MAP_SHARED);
	char *q = mmap(NULL, 20 * PAGE, PROT_READ, MAP_PRIVATE, fd, 7 * PAGE);
	int i;

	must(q != MAP_FAILED && close(fd) == 0 && unlink("gone") == 0);
	must(close(make_file("gone", 50, 500)) == 0);
	for (i = 0; i < 50; i++)
		must(page_holds(p + i * PAGE, (uint64_t)i + 31));
	for (i = 0; i < 20; i++)
		must(page_holds(q + i * PAGE, (uint64_t)i + 38));
	printf("unlinked: still there\n");
}

static void protections(void)
{
	int fd = make_file("guarded", 20, 1), reader;
	char *p = map_file(fd, 20, PROT_READ, MAP_PRIVATE);

	must(mprotect(p, 5 * PAGE, PROT_READ | PROT_WRITE) == 0);
	fill_page(p + PAGE, 55);
	must(mprotect(p, 5 * PAGE, PROT_READ) == 0);
	must(page_holds(p + PAGE, 55) && page_holds(p, 1));
	reader = open("guarded", O_RDONLY);
	p = map_file(reader, 20, PROT_READ, MAP_SHARED);
	printf("mprotect to write of a read-only file: %d",
	       mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	printf(" errno %d\n", errno);
	must(close(fd) == 0 && close(reader) == 0);
}

int main(void)
{
	private_mapping();
	shared_mapping();
	dirty_at_exit();
	growing();
	replaced_and_unlinked();
	protections();
	return 0;
}
