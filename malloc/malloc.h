/*
 * malloc.h - the symbols this library defines in the C library's place.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_MALLOC_H
#define QUIRE_MALLOC_MALLOC_H

#include <stddef.h>
#include <stdio.h>

struct mallinfo {
	int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

struct mallinfo2 {
	size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks,
		keepcost;
};

void *malloc(size_t bytes);
void free(void *p);
void *calloc(size_t count, size_t bytes);
void *realloc(void *p, size_t bytes);
void *reallocarray(void *p, size_t count, size_t bytes);
void *memalign(size_t align, size_t bytes);
void *aligned_alloc(size_t align, size_t bytes);
int posix_memalign(void **out, size_t align, size_t bytes);
void *valloc(size_t bytes);
void *pvalloc(size_t bytes);
size_t malloc_usable_size(void *p);
void cfree(void *p);
void free_sized(void *p, size_t bytes);
void free_aligned_sized(void *p, size_t align, size_t bytes);

int malloc_trim(size_t pad);
int mallopt(int what, int value);
struct mallinfo mallinfo(void);
struct mallinfo2 mallinfo2(void);
void malloc_stats(void);
int malloc_info(int options, FILE *stream);

#endif
