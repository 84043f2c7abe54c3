/*
 * stack.c - unwinding by the C library's backtrace(), names by dladdr() and symbols.c.
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
#include <sys/auxv.h>

static struct {
	uintptr_t from, to;
} own;

static void *main_program; /* where it is loaded */

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
	if (dladdr((void *)getauxval(AT_ENTRY), &info))
		main_program = info.dli_fbase;
	if (MALLOC_SHARED && dladdr((void *)(uintptr_t)stack_take, &info)) {
		own.from = (uintptr_t)info.dli_fbase;
		own.to = (uintptr_t)etext;
	}
}

/* The main program has no name of its own for the loader, or whatever it was started by. */
static const char *file_of(const Dl_info *info)
{
	return info->dli_fbase == main_program ? "/proc/self/exe" : info->dli_fname;
}

/* The function that holds the address, and where it starts; NULL: nobody knows. */
static const char *function_at(uintptr_t address, const Dl_info *info, uintptr_t *start)
{
	*start = (uintptr_t)info->dli_saddr;
	if (info->dli_sname)
		return info->dli_sname;
	return symbol_in_file(file_of(info), (uintptr_t)info->dli_fbase, address, start);
}

const char *stack_symbol(uintptr_t address)
{
	uintptr_t start;
	Dl_info info;

	if (!dladdr((void *)address, &info) || !info.dli_fname)
		return NULL;
	return function_at(address, &info, &start);
}

void stack_name(struct out *o, uintptr_t frame)
{
	const char *file, *name;
	uintptr_t start;
	Dl_info info;

	/* the return address may be the first byte of the next function */
	if (!dladdr((void *)(frame - 1), &info) || !info.dli_fname) {
		out_print(o, "0x%lx", (unsigned long)frame);
		return;
	}
	file = strrchr(info.dli_fname, '/');
	file = file ? file + 1 : info.dli_fname;
	name = function_at(frame - 1, &info, &start);
	if (name)
		out_print(o, "%s+0x%lx (%s)", name, (unsigned long)(frame - start), file);
	else
		out_print(o, "%s+0x%lx", file, (unsigned long)(frame - (uintptr_t)info.dli_fbase));
}
