/*
 * selfproc.c - what a process can read about itself is what it would read without Quire.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void show_file(const char *path)
{
	char text[4096] = { 0 };
	int fd = open(path, O_RDONLY);
	ssize_t n, i;

	must(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	must(n >= 0 && close(fd) == 0);
	for (i = 0; i < n; i++)
		if (text[i] == 0)
			text[i] = '|';
	printf("%s: %s\n", path, text);
}

static int show_object(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	printf("object %s, %d headers\n", info->dlpi_name[0] == '/' ? info->dlpi_name : "(here)",
	       info->dlpi_phnum);
	return 0;
}

/* Does /proc/self/maps have an area that contains the address, and with these permissions? */
static const char *in_maps(const void *address, const char *permissions, const char *name)
{
	unsigned long start, end, at = (unsigned long)address;
	static char has[8];
	char line[512];
	const char *result = "absent";
	FILE *f = fopen("/proc/self/maps", "r");

	must(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %7s", &start, &end, has) == 3 && at >= start &&
		    at < end) {
			result = strncmp(has, permissions, strlen(permissions)) ? has : "right";
			if (name && !strstr(line, name))
				result = "not named";
		}
	fclose(f);
	return result;
}

int main(int argc, char **argv)
{
	static char data[PAGE];
	char *heap = malloc(10), *area = map_anonymous(3 * PAGE, MAP_PRIVATE);
	struct stat st;
	char link[4096] = { 0 };
	int here;

	area[0] = heap[0] = data[0] = 1;
	printf("%d arguments, last %s\n", argc, argv[argc - 1]);
	show_file("/proc/self/cmdline");
	show_file("/proc/self/comm");
	show_file("/proc/self/environ");
	must(readlink("/proc/self/exe", link, sizeof(link) - 1) > 0);
	printf("exe: %s\n", strrchr(link, '/') + 1);
	dl_iterate_phdr(show_object, NULL);
	printf("maps: stack %s, heap %s, text %s, data %s, area %s\n",
	       in_maps(&here, "rw-p", "[stack]"), in_maps(heap, "rw-p", "[heap]"),
	       in_maps((void *)(uintptr_t)main, "r-xp", "selfproc"), in_maps(data, "rw-p", NULL),
	       in_maps(area, "rw-p", NULL));
	must(mprotect(area + PAGE, PAGE, PROT_READ) == 0);
	printf("maps after mprotect: %s %s\n", in_maps(area + PAGE, "r--p", NULL),
	       in_maps(area + 2 * PAGE, "rw-p", NULL));
	must(munmap(area, PAGE) == 0);
	printf("maps after munmap: %s\n", in_maps(area, "rw-p", NULL));
	printf("page size %ld, secure %lu, vdso %d\n", sysconf(_SC_PAGESIZE), getauxval(AT_SECURE),
	       getauxval(AT_SYSINFO_EHDR) != 0);
	must(stat("/proc/self/fd", &st) == 0);
	for (here = 0; here < 16; here++) /* nothing of Quire is open in the program */
		if (fcntl(here, F_GETFD) >= 0)
			printf("descriptor %d\n", here);
	printf("children of us: %d\n", waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	printf("dumpable %d\n", (int)syscall(SYS_prctl, 3 /* PR_GET_DUMPABLE */, 0, 0, 0, 0));
	return 0;
}
