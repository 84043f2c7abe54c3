/*
 * image.c - the memory of a new image becomes the machine's.
 *
 * How     The host's kernel has loaded the image. Every area that it made becomes one of ours,
 *         pages that were written before now are carried over, backdrop is put over everything, and
 *         what is there already, with small files' pages that are in the cache, is translated at
 *         once.
 * Why     Linux: fs/binfmt_elf.c has done its work by then; Documentation/filesystems/proc.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "call/call.h"
#include "fault/fault.h"
#include "mmu/host/file.h"
#include "mmu/host/host.h"
#include "mmu/host/shadow.h"

/* The image and its heap lie below, the areas of mmap() and the stack above. */
#define LOW_HALF  0x700000000000ull
#define HEAP_ROOM (1ull << 40)
/* Between our agent and this the host puts what it maps itself. */
#define STACK_ROOM    (1ull << 27)
#define MAP_AHEAD_MAX (64 * PAGE_SIZE)

/* One line of /proc/PID/maps. */
struct host_area {
	vaddr_t start, end;
	u32 prot;
	bool shared;
	u64 offset, inode;
	unsigned int major, minor; /* of the device, as the host's kernel names it */
	char name[256];
};

static bool parse_area(const char *line, struct host_area *a)
{
	unsigned long long start, end, offset, inode;
	char perm[8];
	unsigned int major, minor;

	a->name[0] = '\0';
	if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %255[^\n]", &start, &end, perm, &offset,
		   &major, &minor, &inode, a->name) < 7)
		return false;
	*a = (struct host_area){ .start = start,
				 .end = end,
				 .offset = offset,
				 .inode = inode,
				 .major = major,
				 .minor = minor,
				 .shared = perm[3] == 's',
				 .name = "" };
	sscanf(line, "%*s %*s %*s %*s %*s %255[^\n]", a->name);
	a->prot = (perm[0] == 'r' ? PROT_READ : 0) | (perm[1] == 'w' ? PROT_WRITE : 0) |
		  (perm[2] == 'x' ? PROT_EXEC : 0);
	return true;
}

/* Areas that stay the host's: its own pages for the clock, and ours. */
static bool stays_native(const struct host_area *a)
{
	return !strncmp(a->name, "[v", 2) || a->start >= TASK_SIZE ||
	       (a->start >= AGENT_BASE && a->start < AGENT_ZONE_END);
}

/* Pages that the program or its loader wrote before now are private and not the file's. */
static int carry_pages(struct space *s, pid_t pid, const struct host_area *a, int pagemap)
{
	u8 data[PAGE_SIZE];
	u64 entries[128];
	unsigned int i = 0, have = 0;
	vaddr_t addr;

	for (addr = a->start; addr < a->end; addr += PAGE_SIZE, i++) {
		struct iovec local = { data, PAGE_SIZE }, remote = { (void *)addr, PAGE_SIZE };

		if (i == have) {
			u64 left = (a->end - addr) >> PAGE_SHIFT;
			ssize_t n = pread(pagemap, entries, min_u64(left, array_size(entries)) * 8,
					  (off_t)(addr >> PAGE_SHIFT) * 8);

			if (n < 8)
				return -EIO;
			have = (unsigned int)(n / 8);
			i = 0;
		}
		if (!(entries[i] >> 63) || (entries[i] >> 61 & 1))
			continue;
		if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)PAGE_SIZE)
			continue;
		if (fault_insert(s->mm, addr, data) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The image while it is read. */
struct adoption {
	int pagemap;
	struct host_area area; /* the last one of a file, and its mapping, with a use; or NULL */
	struct mapping *mapping;
};

static bool same_file(const struct host_area *a, const struct host_area *b)
{
	return a->inode == b->inode && a->major == b->major && a->minor == b->minor;
}

/* The areas of a file follow each other: it is looked up once. `last` is taken over. */
static struct mapping *area_mapping(struct space *s, pid_t pid, const struct host_area *a,
				    struct adoption *last)
{
	char path[128];
	int fd;

	if (last->mapping && same_file(a, &last->area))
		return last->mapping;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", pid,
		 (unsigned long long)a->start, (unsigned long long)a->end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (last->mapping)
		mapping_put(last->mapping);
	last->area = *a;
	last->mapping = file_mapping(&s->host->machine, fd, a->name);
	return last->mapping;
}

static int adopt_area(struct space *s, pid_t pid, const struct host_area *a, struct adoption *last)
{
	bool stack = !strcmp(a->name, "[stack]");
	struct map_request req = { .addr = a->start,
				   .len = a->end - a->start,
				   .prot = a->prot,
				   .flags =
					   MAP_PRIVATE | MAP_FIXED | (a->inode ? 0 : MAP_ANONYMOUS),
				   .offset = a->inode ? a->offset : 0,
				   .vm_flags = stack ? VM_GROWSDOWN : 0 };
	s64 r;

	if (a->inode) {
		req.mapping = area_mapping(s, pid, a, last);
		if (!req.mapping)
			return -ENOMEM;
	}
	r = call_mmap(s->mm, &req);
	if (stack)
		s->mm->start_stack = a->end;
	return r < 0 ? (int)r : carry_pages(s, pid, a, last->pagemap);
}

#define NATIVE_MAX 16

/* What the layout of the image is, besides its areas. */
struct layout {
	vaddr_t image_low, image_high; /* program, up to the heap */
	vaddr_t mmap_top, stack_end;
	struct default_range native[NATIVE_MAX]; /* in order */
	unsigned int nr_native;
};

/* The host's own area keeps its place: nothing of ours will be put there. */
static int keep_native(struct space *s, struct layout *l, const struct host_area *a)
{
	struct map_request req = { .addr = a->start,
				   .len = a->end - a->start,
				   .prot = a->prot,
				   .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   .vm_flags = VM_PFNMAP };

	if (a->start >= TASK_SIZE)
		return 0;
	if (l->nr_native == NATIVE_MAX)
		return -ENOMEM;
	l->native[l->nr_native++] = (struct default_range){ a->start, a->end };
	return call_mmap(s->mm, &req) < 0 ? -ENOMEM : 0;
}

static void note_area(struct layout *l, const struct host_area *a)
{
	if (!strcmp(a->name, "[stack]")) {
		l->stack_end = a->end;
	} else if (a->start < LOW_HALF) {
		if (!l->image_low)
			l->image_low = a->start;
		l->image_high = a->end;
	} else if (a->end > l->mmap_top) {
		l->mmap_top = a->end;
	}
}

/* Where the image's parts are, as the host's kernel has it. */
struct image {
	unsigned long long start_code, end_code, start_stack, start_data, end_data, start_brk;
	unsigned long long arg_start, arg_end, env_start, env_end;
};

/* Fields 26 to 28 and 45 to 51 of /proc/PID/stat. */
static int read_image(struct image *im, pid_t pid)
{
	char path[64], text[2048];
	const char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')');
	if (!at ||
	    sscanf(at + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%*u %*u %*d %*u %llu %llu %llu %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %*u "
		   "%*u %*u %*u %*d %llu %llu %llu %llu %llu %llu %llu",
		   &im->start_code, &im->end_code, &im->start_stack, &im->start_data, &im->end_data,
		   &im->start_brk, &im->arg_start, &im->arg_end, &im->env_start,
		   &im->env_end) != 10)
		return -ESRCH;
	return 0;
}

/* Reads the host's areas into ours. */
static int adopt_image(struct space *s, pid_t pid, struct layout *l)
{
	char path[64], line[512];
	struct adoption now = { 0 };
	struct host_area area;
	FILE *maps;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	now.pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps || now.pagemap < 0)
		err = -errno;
	while (!err && fgets(line, sizeof(line), maps)) {
		if (!parse_area(line, &area))
			continue;
		if (stays_native(&area)) {
			err = keep_native(s, l, &area);
			continue;
		}
		note_area(l, &area);
		if (strcmp(area.name, "[heap]"))
			err = adopt_area(s, pid, &area, &now);
	}
	if (maps)
		fclose(maps);
	if (now.pagemap >= 0)
		close(now.pagemap);
	if (now.mapping)
		mapping_put(now.mapping);
	return err;
}

/* Posts backdrop over [start, end) but for what stays native. */
static void cover_range(struct space *s, const struct layout *l, vaddr_t start, vaddr_t end)
{
	unsigned int i;

	for (i = 0; i <= l->nr_native && start < end; i++) {
		vaddr_t stop = i < l->nr_native ? l->native[i].start : end;

		stop = min_u64(stop, end);
		if (start < stop) {
			space_post_backdrop(s, start, stop, IN_PLACE);
			space_set_default(s, start, stop);
		}
		if (i < l->nr_native)
			start = max_u64(start, l->native[i].end);
	}
}

/* Backdrop everywhere that the program is likely to use. */
static int cover(struct space *s, const struct layout *l)
{
	struct mm *mm = s->mm;
	vaddr_t heap_end = max_u64(align_up(mm->brk, PAGE_SIZE), l->image_high) + HEAP_ROOM;
	vaddr_t top = l->stack_end ? l->stack_end : l->mmap_top;

	if (heap_end > AGENT_BASE && l->image_low < AGENT_BASE)
		heap_end = AGENT_BASE;
	mm->mmap_base = l->mmap_top ? l->mmap_top : align_down(top - STACK_ROOM, PAGE_SIZE);
	mm->mmap_low = AGENT_ZONE_END;
	cover_range(s, l, l->image_low, heap_end);
	cover_range(s, l, mm->mmap_low, top);
	return agent_run(s);
}

#define STRINGS_MAX (4ull << 20)

/* Tells the host's kernel where the strings are now. PR_SET_MM_MAP needs no capability. */
static void move_strings(struct space *s, const struct image *im, u64 by)
{
	struct prctl_mm_map map = {
		.start_code = im->start_code,
		.end_code = im->end_code,
		.start_data = im->start_data,
		.end_data = im->end_data,
		.start_brk = im->start_brk,
		.brk = im->start_brk,
		.start_stack = im->start_stack,
		.arg_start = im->arg_start + by,
		.arg_end = im->arg_end + by,
		.env_start = im->env_start + by,
		.env_end = im->env_end + by,
		.exe_fd = (u32)-1,
	};
	u64 offset = offsetof(struct comm, command[COMM_COMMANDS - 1]);

	_Static_assert(sizeof(map) <= 2 * sizeof(struct comm_command),
		       "fits behind the first commands");
	memcpy((u8 *)s->comm + offset - sizeof(struct comm_command), &map, sizeof(map));
	agent_post(s, SYS_prctl, PR_SET_MM, PR_SET_MM_MAP,
		   AGENT_COMM + offset - sizeof(struct comm_command), sizeof(map), 0, 0);
}

/* The strings while their place is made. */
struct strings {
	struct iovec at; /* in the manager; or NULL */
	vaddr_t to;
};

/*
 * /proc/PID/cmdline and environ read private memory of the host only: a copy of the strings stays
 * there. It is the one thing of the program's that is not in the machine's frames.
 */
static void take_strings(struct space *s, pid_t pid, const struct image *im, struct strings *copy)
{
	vaddr_t low = im->arg_start & PAGE_MASK, high = align_up(im->env_end, PAGE_SIZE);
	struct iovec from = { (void *)im->arg_start, im->env_end - im->arg_start };

	if (!im->arg_start || high <= low || high - low > STRINGS_MAX)
		return;
	copy->at = (struct iovec){ malloc(from.iov_len), from.iov_len };
	copy->to = AGENT_STRINGS + (im->arg_start - low);
	if (!copy->at.iov_base)
		return;
	if (process_vm_readv(pid, &copy->at, 1, &from, 1, 0) != (ssize_t)from.iov_len) {
		free(copy->at.iov_base);
		copy->at.iov_base = NULL;
		return;
	}
	agent_post(s, SYS_mmap, AGENT_STRINGS, high - low, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, (u64)-1, 0);
	move_strings(s, im, AGENT_STRINGS - low);
}

static void put_strings(pid_t pid, struct strings *copy)
{
	struct iovec to = { (void *)copy->to, copy->at.iov_len };

	if (copy->at.iov_base)
		(void)process_vm_writev(pid, &copy->at, 1, &to, 1, 0);
	free(copy->at.iov_base);
}

static int start_uffd(struct space *s, struct proc *p)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
					      UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MISSING_SHMEM |
					      UFFD_FEATURE_MINOR_SHMEM |
					      UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
					      UFFD_FEATURE_PAGEFAULT_FLAG_WP };

	if (s->comm->uffd < 0 && p->pid == s->host->first_pid)
		host_fail("cannot get the program's userfaultfd (%s); CAP_SYS_PTRACE is needed",
			  strerror(-s->comm->uffd));
	if (s->comm->uffd < 0) {
		host_log(s->host,
			 "process %d may not open a userfaultfd (%s); it changed its user? "
			 "/dev/userfaultfd or vm.unprivileged_userfaultfd=1 would allow it",
			 p->pid, strerror(-s->comm->uffd));
		return s->comm->uffd;
	}
	s->uffd = (int)syscall(SYS_pidfd_getfd, p->pidfd, s->comm->uffd, 0);
	if (s->uffd < 0)
		host_fail("cannot get the program's userfaultfd (%s); CAP_SYS_PTRACE is needed",
			  strerror(errno));
	if (ioctl(s->uffd, UFFDIO_API, &api) < 0)
		host_fail("this kernel's userfaultfd lacks what Quire needs: %s", strerror(errno));
	host_add_uffd(s);
	return 0;
}

/* The loader and small programs are used nearly whole, and soon. */
static void map_ahead(struct space *s)
{
	struct vma *vma;

	for (vma = vma_first(s->mm); vma; vma = vma_next(vma))
		if (vma->mapping && vma->end - vma->start <= MAP_AHEAD_MAX)
			fault_map_cached(s->mm, vma);
}

int image_adopt(struct proc *p, struct space *s)
{
	struct strings strings = { 0 };
	struct layout l = { 0 };
	struct image im;
	int err;

	err = start_uffd(s, p);
	if (err)
		return err;
	s->quiet = true;
	err = read_image(&im, p->pid);
	if (err)
		return err;
	s->mm->start_brk = s->mm->brk = im.start_brk;
	take_strings(s, p->pid, &im, &strings); /* while the host still has them */
	p->space = s;
	limits_read(p);
	err = adopt_image(s, p->pid, &l);
	if (!err)
		map_ahead(s);
	s->quiet = false;
	if (!err)
		err = cover(s, &l);
	put_strings(p->pid, &strings);
	return err ? err : space_install_all(s);
}
