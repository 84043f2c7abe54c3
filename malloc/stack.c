/*
 * stack.c - unwinding by the C library's backtrace(), names by dladdr().
 *
 * Why     Debian's programs are built without frame pointers; backtrace() reads the unwind
 *         tables. It loads libgcc at its first call, which allocates: stack_setup() does that
 *         early. Only one request in 512 KiB pays for it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stack.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <string.h>

static struct {
	uintptr_t from, to;
} own;

unsigned stack_take(uintptr_t *frames, unsigned most)
{
	void *all[STACK_DEPTH + 8];
	int n = backtrace(all, STACK_DEPTH + 8), i = 0;
	unsigned used = 0;

	while (i < n && (uintptr_t)all[i] >= own.from && (uintptr_t)all[i] < own.to)
		i++;
	while (i < n && used < most)
		frames[used++] = (uintptr_t)all[i++];
	return used;
}

/* The library's own text, so that its frames can be left out; linked statically there is none. */
void stack_setup(void)
{
	extern char etext[] __attribute__((visibility("hidden")));
	void *warm[4];
	Dl_info info;

	backtrace(warm, 4);
	if (MALLOC_SHARED && dladdr((void *)(uintptr_t)stack_take, &info)) {
		own.from = (uintptr_t)info.dli_fbase;
		own.to = (uintptr_t)etext;
	}
}

void stack_name(struct out *o, uintptr_t frame)
{
	const char *file;
	Dl_info info;

	/* the return address may be the first byte of the next function */
	if (!dladdr((void *)(frame - 1), &info) || !info.dli_fname) {
		out_print(o, "0x%lx", (unsigned long)frame);
		return;
	}
	file = strrchr(info.dli_fname, '/');
	file = file ? file + 1 : info.dli_fname;
	if (info.dli_sname)
		out_print(o, "%s+0x%lx (%s)", info.dli_sname,
			  (unsigned long)(frame - (uintptr_t)info.dli_saddr), file);
	else
		out_print(o, "%s+0x%lx", file, (unsigned long)(frame - (uintptr_t)info.dli_fbase));
}
