/*
 * start.c - makes a machine on this host, starts the first program on it, and clears all away.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmu/host/cleanup.h"
#include "mmu/host/control.h"
#include "mmu/host/file.h"
#include "mmu/host/host.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS	   SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

extern const char __start_agent_text[], __stop_agent_text[];

void host_fail(const char *fmt, ...)
{
	va_list args;

	fputs("quire: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(125);
}

void host_log(struct host *h, const char *fmt, ...)
{
	va_list args;

	(void)h;
	fputs("quire: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static void log_boot(void *arg, const char *line)
{
	struct host *h = arg;

	if (h->verbose)
		fprintf(stderr, "[quire] %s\n", line);
}

static void log_machine(struct machine *m, const char *line)
{
	struct host *h = m->owner;

	if (h->verbose)
		fprintf(stderr, "[quire] %s\n", line);
}

#define SEEDED_TURN_NS 20000

/* With a seed the machine's clock counts turns: the real one decides differently each time. */
static u64 machine_now(struct machine *m)
{
	struct host *h = m->owner;

	return h->config->seeded ? h->turns * SEEDED_TURN_NS : now_ns();
}

static const struct machine_ops ops = {
	.kill = proc_kill, .refresh = proc_refresh, .now_ns = machine_now, .log = log_machine
};

/* A file without a name, so that nothing can stay behind; or the one the user names. */
static int open_swap(const struct quire_run_config *c)
{
	const char *dir = getenv("TMPDIR");
	int how = O_RDWR | O_CLOEXEC | (c->swap_direct ? O_DIRECT : 0), fd;

	if (c->swap_path) {
		fd = open(c->swap_path, how | O_CREAT, 0600);
		if (fd < 0 && errno == EINVAL && c->swap_direct)
			host_fail("the file system of %s cannot bypass its cache; leave out "
				  "--swap-direct or use another --swap-file",
				  c->swap_path);
		if (fd < 0)
			host_fail("cannot open swap file %s: %s", c->swap_path, strerror(errno));
	} else {
		if (!dir || !*dir)
			dir = "/var/tmp";
		fd = open(dir, how | O_TMPFILE | O_EXCL, 0600);
		if (fd < 0)
			host_fail(
				"cannot make a swap file in %s: %s; set TMPDIR or use --swap-file",
				dir, strerror(errno));
	}
	/* The core reads ahead itself, by what lies together in the programs. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	if (ftruncate(fd, (off_t)(c->swap_bytes + PAGE_SIZE)) < 0)
		host_fail("cannot make a swap file of %llu MiB: %s; use a smaller --swap",
			  (unsigned long long)c->swap_bytes >> 20, strerror(errno));
	return fd;
}

void host_block_signals(sigset_t *set)
{
	static const int signals[] = {
		SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2
	};
	unsigned int i;

	sigemptyset(set);
	for (i = 0; i < array_size(signals); i++)
		sigaddset(set, signals[i]);
	sigprocmask(SIG_BLOCK, set, NULL);
}

static void open_events(struct host *h)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 4 };
	sigset_t set;

	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	host_block_signals(&set);
	h->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->signal_fd, &ev);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

struct host *host_create(const struct quire_run_config *c)
{
	struct host *h = calloc(1, sizeof(*h));
	struct machine_config mc = {
		.mmu = &host_mmu_ops, .ops = &ops, .seed = c->seed, .owner = h
	};
	struct memory_layout_config layout;
	u64 code_bytes = COMM_FILE_OFFSET + COMM_SLOTS * COMM_SIZE;
	int i, err;

	if (!h)
		host_fail("out of host memory");
	h->verbose = c->verbose;
	h->config = c;
	h->manager = getpid();
	h->start_ns = now_ns();
	list_init(&h->spaces);
	for (i = 0; i < PROC_HASH; i++) {
		list_init(&h->proc_hash[i]);
		list_init(&h->tid_hash[i]);
	}
	limits_lift(h);
	h->max_mappings = room_limit();
	memory_describe(h, &layout);
	h->ram_fd = ram_file(h->ram_bytes);
	h->ram = ram_map(h->ram_fd, h->ram_max_bytes);
	h->code_fd = memory_file("quire-agent", code_bytes);
	if (pwrite(h->code_fd, __start_agent_text, (size_t)(__stop_agent_text - __start_agent_text),
		   0) < 0)
		host_fail("cannot write the agent's code: %s", strerror(errno));
	restorer_write(h->code_fd);
	h->uffd_dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	h->comm_base = memory_map(h->code_fd, COMM_SLOTS * COMM_SIZE, COMM_FILE_OFFSET);
	mc.phys = layout.phys;
	mc.phys.ram = h->ram;
	mc.phys.log = log_boot;
	mc.phys.arg = h;
	if (c->swap_bytes) {
		mc.swap_dev = file_device(open_swap(c));
		mc.swap_pages = (c->swap_bytes >> PAGE_SHIFT) + 1;
	}
	err = machine_boot(&h->machine, &mc);
	if (err)
		host_fail("a machine with %llu KiB of RAM cannot boot: %s; give it more with --mem",
			  (unsigned long long)h->ram_bytes >> 10, strerror(-err));
	memory_set_up(h);
	h->machine.policy =
		(struct policy){ (enum policy_mode)c->topology.policy, c->topology.preferred_node };
	open_events(h);
	control_open(h);
	herd_start(h);
	return h;
}

/* Runs in the child: the filter, then the program. Tells the manager an errno on failure. */
static void run_child(const struct host *h, char **argv, int to_manager, int from_manager)
{
	sigset_t none;
	int fd, err;
	char go;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (h->config->seeded)
		personality(ADDR_NO_RANDOMIZE);
	fd = filter_install();
	if (write(to_manager, &fd, sizeof(fd)) != (ssize_t)sizeof(fd) || fd < 0)
		_exit(125);
	if (read(from_manager, &go, 1) != 1)
		_exit(125);
	close(fd);
	execvp(argv[0], argv);
	err = errno;
	if (write(to_manager, &err, sizeof(err)) < 0)
		_exit(125);
	_exit(err == ENOENT ? 127 : 126);
}

int host_start(struct host *h, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0 };
	int up[2], down[2], fd = -1, pidfd;

	if (pipe2(up, O_CLOEXEC) < 0 || pipe2(down, O_CLOEXEC) < 0)
		host_fail("cannot make a pipe: %s", strerror(errno));
	h->first_pid = fork();
	if (h->first_pid < 0)
		host_fail("cannot fork: %s", strerror(errno));
	if (h->first_pid == 0)
		run_child(h, argv, up[1], down[0]);
	close(up[1]);
	close(down[0]);
	setpriority(PRIO_PROCESS, 0, -20); /* a fault must be answered before another can be made */
	if (read(up[0], &fd, sizeof(fd)) != (ssize_t)sizeof(fd) || fd < 0)
		host_fail("cannot install the system call filter: %s; CAP_SYS_ADMIN or a container "
			  "that "
			  "allows seccomp is needed",
			  strerror(fd < 0 ? -fd : EPIPE));
	pidfd = (int)syscall(SYS_pidfd_open, h->first_pid, 0);
	h->notify_fd = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	if (h->notify_fd < 0)
		host_fail("cannot get the filter's listener: %s; CAP_SYS_PTRACE is needed",
			  strerror(errno));
	fcntl(h->notify_fd, F_SETFD, FD_CLOEXEC);
	/*
	 * The two sides take turns: wake the other on this CPU. Linux 6.6; without it only
	 * slower.
	 */
	ioctl(h->notify_fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->notify_fd, &ev);
	if (write(down[1], "g", 1) != 1)
		host_fail("the program's process died early");
	close(down[1]);
	(void)host_loop(h);
	fcntl(up[0], F_SETFL, O_NONBLOCK);
	fd = 0;
	if (read(up[0], &fd, sizeof(fd)) == (ssize_t)sizeof(fd)) {
		fprintf(stderr, "quire: cannot run %s: %s\n", argv[0], strerror(fd));
		return fd == ENOENT ? 127 : 126;
	}
	close(up[0]);
	return 0;
}

/* Ends whatever still runs on the machine. */
static void kill_all(struct host *h)
{
	struct proc *p, *after;
	int i;

	for (i = 0; i < PROC_HASH; i++)
		list_for_each_entry_safe(p, after, &h->proc_hash[i], struct proc, hash) {
			kill(p->pid, SIGKILL);
			proc_exit(p);
		}
}

void host_destroy(struct host *h)
{
	struct space *s, *after;

	kill_all(h);
	peek_end(h, 0);
	list_for_each_entry_safe(s, after, &h->spaces, struct space, all)
		space_destroy(s);
	cleanup_descendants();
	machine_shutdown(&h->machine);
	control_close(h);
	munmap(h->ram, h->ram_max_bytes);
	close(h->ram_fd);
	close(h->code_fd);
	if (h->uffd_dev >= 0)
		close(h->uffd_dev);
	close(h->notify_fd);
	close(h->epoll_fd);
	close(h->signal_fd);
	free(h);
}
