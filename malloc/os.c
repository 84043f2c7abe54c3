/*
 * os.c - the system calls behind os.h, for x86-64 and AArch64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

static unsigned long calls, fail_from;

#if defined(__x86_64__)
static long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#error "os.c knows the system calls of x86-64 and AArch64 only"
#endif

#define sys(nr, a, b, c) sys6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)

static bool refused(void)
{
	unsigned long n = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);

	return unlikely(fail_from && n >= fail_from);
}

static void *pointer_or_null(long result)
{
	return (unsigned long)result > -4096UL ? NULL : (void *)result;
}

void os_fail_at(unsigned long nth)
{
	fail_from = nth ? calls + nth : 0;
}

unsigned long os_calls(void)
{
	return calls;
}

void *os_map(size_t bytes, enum os_access access)
{
	int prot = access == OS_READ_WRITE ? PROT_READ | PROT_WRITE : PROT_NONE;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (access == OS_RESERVED ? MAP_NORESERVE : 0);

	if (refused())
		return NULL;
	return pointer_or_null(sys6(SYS_mmap, 0, (long)bytes, prot, flags, -1, 0));
}

bool os_commit(void *at, size_t bytes)
{
	if (refused())
		return false;
	return sys(SYS_mprotect, at, bytes, PROT_READ | PROT_WRITE) == 0;
}

/* By the C library's sbrk(): it remembers the break, and would take ours back at its next call. */
void *os_break(void)
{
	void *at = sbrk(0);

	return at == (void *)-1 ? NULL : at;
}

bool os_extend_break(void *from, size_t bytes)
{
	if (refused() || bytes > PTRDIFF_MAX || sbrk(0) != from)
		return false;
	return sbrk((intptr_t)bytes) == from;
}

static void *remap(void *at, size_t old_bytes, size_t bytes, int flags)
{
	if (refused())
		return NULL;
	return pointer_or_null(
		sys6(SYS_mremap, (long)at, (long)old_bytes, (long)bytes, flags, 0, 0));
}

void *os_remap(void *at, size_t old_bytes, size_t bytes)
{
	return remap(at, old_bytes, bytes, MREMAP_MAYMOVE);
}

void *os_remap_in_place(void *at, size_t old_bytes, size_t bytes)
{
	return remap(at, old_bytes, bytes, 0);
}

const char *os_map_file(const char *path, size_t *bytes)
{
	int fd = os_open(path, O_RDONLY, 0);
	struct stat st;
	long at;

	if (fd < 0)
		return NULL;
	if (sys(SYS_fstat, fd, &st, 0) || st.st_size <= 0) {
		os_close(fd);
		return NULL;
	}
	*bytes = (size_t)st.st_size;
	at = sys6(SYS_mmap, 0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	os_close(fd);
	return pointer_or_null(at);
}

void os_unmap(void *at, size_t bytes)
{
	sys(SYS_munmap, at, bytes, 0);
}

void os_guard(void *at, size_t bytes)
{
	sys(SYS_mprotect, at, bytes, PROT_NONE);
}

void os_purge(void *at, size_t bytes)
{
	sys(SYS_madvise, at, bytes, MADV_DONTNEED);
}

void os_want_huge(void *at, size_t bytes)
{
	sys(SYS_madvise, at, bytes, MADV_HUGEPAGE);
}

void os_wait(_Atomic uint32_t *word, uint32_t value)
{
	sys6(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, (long)value, 0, 0, 0);
}

void os_wake_one(_Atomic uint32_t *word)
{
	sys(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1);
}

void os_sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	sys(SYS_nanosleep, &t, 0, 0);
}

uint64_t os_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

size_t os_ram_bytes(void)
{
	struct sysinfo info;

	if (sys(SYS_sysinfo, &info, 0, 0))
		return (size_t)1 << 30;
	return (size_t)info.totalram * info.mem_unit;
}

size_t os_address_limit(void)
{
	struct rlimit limit;

	if (sys6(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0))
		return SIZE_MAX;
	return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

uint64_t os_random(void)
{
	uint64_t value = 0;

	if (sys(SYS_getrandom, &value, sizeof(value), GRND_NONBLOCK) != sizeof(value))
		value = os_now_ns() * 0x9e3779b97f4a7c15u ^ (uintptr_t)&value;
	return value;
}

int os_open(const char *path, int flags, int mode)
{
	return (int)sys6(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, mode, 0, 0);
}

long os_read(int fd, void *buffer, size_t bytes)
{
	return sys(SYS_read, fd, buffer, bytes);
}

void os_write(int fd, const void *text, size_t bytes)
{
	const char *at = text;
	long n;

	while (bytes) {
		n = sys(SYS_write, fd, at, bytes);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return;
		at += n;
		bytes -= (size_t)n;
	}
}

void os_close(int fd)
{
	sys(SYS_close, fd, 0, 0);
}

int os_pid(void)
{
	return (int)sys(SYS_getpid, 0, 0, 0);
}

int os_tid(void)
{
	return (int)sys(SYS_gettid, 0, 0, 0);
}

#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
	 CLONE_SETTLS)

/*
 * The new task never returns from here: it calls body and exits. Its thread-local storage is a
 * blank control block, enough for the stack protector; body must use no thread-local variable.
 */
static long clone_onto(void *stack_top, void *control_block)
{
#if defined(__x86_64__)
	register long no_tid __asm__("r10") = 0;
	register void *tls __asm__("r8") = control_block;
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "pop %%rax\n\t"
			 "call *%%rax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n"
			 "1:"
			 : "=a"(ret)
			 : "0"((long)SYS_clone), "D"((long)THREAD_FLAGS), "S"(stack_top), "d"(0L),
			   "r"(no_tid), "r"(tls), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
	return ret;
#else
	(void)stack_top;
	(void)control_block;
	return -ENOSYS;
#endif
}

/* All signals are blocked in the new task: the program's handlers must never run there. */
int os_spawn(int (*body)(void), void *stack_top, void *control_block)
{
	uint64_t all = ~(uint64_t)0, old = 0;
	void **stack = stack_top;
	long ret;

	*--stack = NULL;
	*--stack = NULL; /* alignment at the call */
	*--stack = (void *)(uintptr_t)body;
	sys6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, sizeof(all), 0, 0);
	ret = clone_onto(stack, control_block);
	sys6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, sizeof(old), 0, 0);
	return ret > 0 ? 0 : (int)ret;
}
