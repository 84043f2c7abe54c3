/*
 * inout.c - system calls that read and write memory which is not there yet, or no longer.
 *
 * Use     inout MEGABYTES
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <dirent.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

static size_t size;

static void files(void)
{
	char *out = map_anonymous(size, MAP_PRIVATE), *in;
	int fd = open("inout.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct iovec v[16];
	size_t i;

	must(fd >= 0);
	for (i = 0; i < size / PAGE; i++)
		fill_page(out + i * PAGE, i);
	must(write(fd, out, size) == (ssize_t)size);
	in = map_anonymous(size, MAP_PRIVATE);
	must(pread(fd, in, size, 0) == (ssize_t)size);
	must(!memcmp(in, out, size));
	must(munmap(in, size) == 0);
	in = map_anonymous(16 * 3 * PAGE, MAP_PRIVATE);
	for (i = 0; i < 16; i++) {
		v[i].iov_base = in + i * 3 * PAGE + 100;
		v[i].iov_len = 2 * PAGE;
	}
	must(preadv(fd, v, 16, 12345) == 32 * PAGE);
	for (i = 0; i < 16; i++)
		must(!memcmp(v[i].iov_base, out + 12345 + i * 2 * PAGE, 2 * PAGE));
	must(pwrite(fd, map_anonymous(PAGE, MAP_PRIVATE), PAGE, 0) == PAGE); /* never touched */
	must(pread(fd, out, PAGE, 0) == PAGE && out[0] == 0 && out[PAGE - 1] == 0);
	printf("files: %016llx\n", (unsigned long long)hash_bytes(out, size));
	must(munmap(out, size) == 0 && close(fd) == 0);
}

static void sockets(void)
{
	size_t part = 1 << 20, done, i;
	int fd[2];
	pid_t pid;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		char *out = map_anonymous(part, MAP_PRIVATE);

		for (i = 0; i < part / PAGE; i++)
			fill_page(out + i * PAGE, i * 3);
		for (done = 0; done < part;) {
			ssize_t n = send(fd[1], out + done, part - done, 0);

			must(n > 0);
			done += (size_t)n;
		}
		_exit(0);
	} else {
		char *in = map_anonymous(part, MAP_PRIVATE);

		for (done = 0; done < part;) {
			ssize_t n = recv(fd[0], in + done, part - done, 0);

			must(n > 0);
			done += (size_t)n;
		}
		must(wait_for(pid) == 0);
		for (i = 0; i < part / PAGE; i++)
			must(page_holds(in + i * PAGE, i * 3));
		must(munmap(in, part) == 0);
	}
	close(fd[0]);
	close(fd[1]);
	printf("sockets: fine\n");
}

static void many_small(void)
{
	char *cold = map_anonymous(40 * PAGE, MAP_PRIVATE);
	struct stat *st = (struct stat *)(cold + PAGE);
	struct timespec *t = (struct timespec *)(cold + 2 * PAGE);
	struct utsname *name = (struct utsname *)(cold + 3 * PAGE);
	struct rusage *usage = (struct rusage *)(cold + 5 * PAGE);
	struct pollfd *poller = (struct pollfd *)(cold + 6 * PAGE);
	sigset_t *set = (sigset_t *)(cold + 7 * PAGE);
	char *path = cold + 8 * PAGE;
	int *pipes = (int *)(cold + 10 * PAGE);

	must(stat("/", st) == 0 && S_ISDIR(st->st_mode));
	must(syscall(SYS_clock_gettime, CLOCK_REALTIME, t) == 0 && t->tv_sec > 0);
	must(uname(name) == 0 && !strcmp(name->sysname, "Linux"));
	must(getrusage(RUSAGE_SELF, usage) == 0 && usage->ru_maxrss > 0);
	must(sigprocmask(SIG_BLOCK, NULL, set) == 0);
	must(getcwd(path, PAGE) == path && path[0] == '/');
	must(readlink("/proc/self/exe", path + PAGE, PAGE) > 0);
	must(pipe(pipes) == 0);
	poller->fd = pipes[0];
	poller->events = POLLIN;
	must(poll(poller, 1, 0) == 0);
	must(write(pipes[1], cold + 20 * PAGE, PAGE) == PAGE);
	must(read(pipes[0], cold + 21 * PAGE + 5, PAGE) == PAGE);
	strcpy(cold + 24 * PAGE - 3, "/dev/null");
	must(open(cold + 24 * PAGE - 3, O_RDONLY) >= 0);
	printf("many small ones: fine\n");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void directories(void)
{
	struct dirent **entries;
	char name[64];
	int i, n;

	must(mkdir("many", 0700) == 0);
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "many/a-rather-long-file-name-%03d", i);
		must(close(open(name, O_CREAT | O_WRONLY, 0600)) == 0);
	}
	n = scandir("many", &entries, NULL, by_name);
	printf("directory: %d entries, last %s\n", n, entries[n - 1]->d_name);
}

static void remote(void)
{
	size_t part = 200 * PAGE, i;
	char *theirs = map_anonymous(part, MAP_PRIVATE), *ours = map_anonymous(part, MAP_PRIVATE);
	struct iovec local = { ours, part }, far = { theirs, part };
	int fd[2];
	pid_t pid;

	must(pipe(fd) == 0);
	for (i = 0; i < 200; i += 2)
		fill_page(theirs + i * PAGE, i);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		for (i = 0; i < 200; i += 4)
			fill_page(theirs + i * PAGE, i + 7);
		must(write(fd[1], "", 1) == 1);
		pause();
		_exit(0);
	}
	must(read(fd[0], ours, 1) == 1);
	must(process_vm_readv(pid, &local, 1, &far, 1, 0) == (ssize_t)part);
	for (i = 0; i < 200; i++)
		must(i % 4 == 0	  ? page_holds(ours + i * PAGE, i + 7)
		     : i % 2 == 0 ? page_holds(ours + i * PAGE, i)
				  : ours[i * PAGE] == 0);
	kill(pid, SIGKILL);
	wait_for(pid);
	printf("process_vm_readv: fine\n");
}

/* splice and its kin give pages away: whatever happens, the contents must be right. */
static void given_away(void)
{
	char *page = map_anonymous(2 * PAGE, MAP_PRIVATE), buffer[PAGE];
	struct iovec v = { page, PAGE };
	int fd[2], data = open("inout.data", O_RDWR), to = open("copy", O_RDWR | O_CREAT, 0600);
	ssize_t n;

	must(pipe(fd) == 0 && data >= 0 && to >= 0);
	fill_page(page, 1);
	n = vmsplice(fd[1], &v, 1, 0);
	if (n == PAGE) {
		must(read(fd[0], buffer, PAGE) == PAGE && page_holds(buffer, 1));
	}
	must(sendfile(to, data, NULL, 100 * PAGE) == 100 * PAGE);
	must(splice(data, NULL, fd[1], NULL, PAGE, 0) == PAGE);
	must(read(fd[0], page + PAGE, PAGE) == PAGE);
	printf("given away: %016llx\n", (unsigned long long)hash_bytes(page, 2 * PAGE));
}

int main(int argc, char **argv)
{
	must(argc == 2);
	size = (size_t)atoi(argv[1]) << 20;
	files();
	sockets();
	many_small();
	directories();
	remote();
	given_away();
	return 0;
}
