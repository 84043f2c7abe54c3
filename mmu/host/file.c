/*
 * file.c - the device of a mapped file, or of the swap file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mmu/host/file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mmu/host/host.h"

struct file {
	struct device dev;
	int fd;
};

/* Injected failures; process-wide because they are a test's, set once before the start. */
static struct {
	unsigned long reads, writes;
	int err;
} inject;

void file_fail_at(unsigned long reads, unsigned long writes, int err)
{
	inject.reads = reads;
	inject.writes = writes;
	inject.err = err;
}

static bool injected(unsigned long *countdown)
{
	return *countdown && --*countdown == 0;
}

static s64 transfer(struct device *dev, u64 offset, const struct device_vec *vec, unsigned int nr,
		    ssize_t (*io)(int, const struct iovec *, int, off_t))
{
	struct file *f = container_of(dev, struct file, dev);
	struct iovec iov[256];
	u64 want = 0, done = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		iov[i] = (struct iovec){ vec[i].base, vec[i].len };
		want += vec[i].len;
	}
	while (done < want) {
		unsigned int skip = (unsigned int)(done >> PAGE_SHIFT);
		struct iovec first = iov[skip];
		ssize_t r;

		iov[skip].iov_base = (u8 *)first.iov_base + (done & ~PAGE_MASK);
		iov[skip].iov_len -= done & ~PAGE_MASK;
		r = io(f->fd, iov + skip, (int)(nr - skip), (off_t)(offset + done));
		iov[skip] = first;
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (u64)r;
	}
	return (s64)done;
}

static s64 file_read(struct device *dev, u64 offset, const struct device_vec *vec, unsigned int nr)
{
	if (injected(&inject.reads))
		return -inject.err;
	return transfer(dev, offset, vec, nr, preadv);
}

static s64 file_write(struct device *dev, u64 offset, const struct device_vec *vec, unsigned int nr)
{
	if (injected(&inject.writes))
		return -inject.err;
	return transfer(dev, offset, vec, nr, pwritev);
}

static u64 file_size(struct device *dev)
{
	struct file *f = container_of(dev, struct file, dev);
	struct stat st;

	return fstat(f->fd, &st) < 0 ? 0 : (u64)st.st_size;
}

static void file_close(struct device *dev)
{
	struct file *f = container_of(dev, struct file, dev);

	close(f->fd);
	free(f);
}

static const struct device_ops file_ops = {
	.read = file_read, .write = file_write, .size = file_size, .close = file_close
};

struct device *file_device(int fd)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		host_fail("out of host memory");
	f->dev.ops = &file_ops;
	f->fd = fd;
	return &f->dev;
}

struct mapping *file_mapping(struct machine *m, int fd, const char *name)
{
	struct stat st;
	struct file_id id;

	if (fstat(fd, &st) < 0) {
		close(fd);
		return NULL;
	}
	id = (struct file_id){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.size = (u64)st.st_size,
		.mtime_ns = (u64)st.st_mtim.tv_sec * 1000000000ull + (u64)st.st_mtim.tv_nsec,
		.ctime_ns = (u64)st.st_ctim.tv_sec * 1000000000ull + (u64)st.st_ctim.tv_nsec
	};
	return mapping_open(m, &id, file_device(fd), name);
}

#define TMPFS_MAGIC 0x01021994

enum outside file_outside(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		return OUTSIDE_DEVICE;
	return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC ? OUTSIDE_SHM : OUTSIDE_FILE;
}

u64 file_sysv_bytes(int id)
{
	struct shmid_ds ds;

	return shmctl(id, IPC_STAT, &ds) < 0 ? 0 : align_up(ds.shm_segsz, PAGE_SIZE);
}
