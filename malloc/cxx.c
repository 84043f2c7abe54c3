/*
 * cxx.c - the C++ operators new and delete, all forms, under their mangled names.
 *
 * How     Written in C: the library needs no C++ run-time. A failing new calls the program's
 *         new-handler and then throws through libstdc++'s own function; both are found weakly,
 *         so that C programs do not pull libstdc++ in.
 *
 * SPDX-License-Identifier: MIT
 */
#include "block.h"
#include "malloc.h"

#include <stdlib.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

typedef void (*new_handler)(void);

extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

static new_handler handler(void)
{
	return _ZSt15get_new_handlerv ? _ZSt15get_new_handlerv() : NULL;
}

static void *allocate(size_t bytes, size_t align)
{
	return align <= ALIGN_MIN ? malloc(bytes) : memalign(align, bytes);
}

cold static void *new_again(size_t bytes, size_t align)
{
	new_handler h;
	void *block;

	while ((h = handler()) != NULL) {
		h();
		block = allocate(bytes, align);
		if (block)
			return block;
	}
	if (_ZSt17__throw_bad_allocv)
		_ZSt17__throw_bad_allocv();
	abort();
}

static inline void *new_or_throw(size_t bytes, size_t align)
{
	void *block = allocate(bytes, align);

	return likely(block != NULL) ? block : new_again(bytes, align);
}

/* nothrow: a handler may still free memory; one that throws ends in std::terminate. */
static inline void *new_or_null(size_t bytes, size_t align)
{
	void *block = allocate(bytes, align);
	new_handler h;

	while (unlikely(!block) && (h = handler()) != NULL) {
		h();
		block = allocate(bytes, align);
	}
	return block;
}

/* operator new and new[]: plain, nothrow, aligned, aligned nothrow */
public
void *_Znwm(size_t n)
{
	return new_or_throw(n, ALIGN_MIN);
}
public
void *_Znam(size_t n)
{
	return new_or_throw(n, ALIGN_MIN);
}
public
void *_ZnwmRKSt9nothrow_t(size_t n, const void *tag)
{
	(void)tag;
	return new_or_null(n, ALIGN_MIN);
}
public
void *_ZnamRKSt9nothrow_t(size_t n, const void *tag)
{
	(void)tag;
	return new_or_null(n, ALIGN_MIN);
}
public
void *_ZnwmSt11align_val_t(size_t n, size_t a)
{
	return new_or_throw(n, a);
}
public
void *_ZnamSt11align_val_t(size_t n, size_t a)
{
	return new_or_throw(n, a);
}
public
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t n, size_t a, const void *tag)
{
	(void)tag;
	return new_or_null(n, a);
}
public
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t n, size_t a, const void *tag)
{
	(void)tag;
	return new_or_null(n, a);
}

/* operator delete and delete[]: plain, sized, nothrow, aligned, aligned sized, aligned nothrow */
public
void _ZdlPv(void *p)
{
	free(p);
}
public
void _ZdlPvm(void *p, size_t n)
{
	(void)n;
	free(p);
}
public
void _ZdlPvRKSt9nothrow_t(void *p, const void *tag)
{
	(void)tag;
	free(p);
}
public
void _ZdlPvSt11align_val_t(void *p, size_t a)
{
	(void)a;
	free(p);
}
public
void _ZdlPvmSt11align_val_t(void *p, size_t n, size_t a)
{
	(void)n;
	(void)a;
	free(p);
}
public
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *p, size_t a, const void *tag)
{
	(void)a;
	(void)tag;
	free(p);
}
public
void _ZdaPv(void *p)
{
	free(p);
}
public
void _ZdaPvm(void *p, size_t n)
{
	(void)n;
	free(p);
}
public
void _ZdaPvRKSt9nothrow_t(void *p, const void *tag)
{
	(void)tag;
	free(p);
}
public
void _ZdaPvSt11align_val_t(void *p, size_t a)
{
	(void)a;
	free(p);
}
public
void _ZdaPvmSt11align_val_t(void *p, size_t n, size_t a)
{
	(void)n;
	(void)a;
	free(p);
}
public
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *p, size_t a, const void *tag)
{
	(void)a;
	(void)tag;
	free(p);
}
