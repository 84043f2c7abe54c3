/*
 * stack.h - the call stack of a request, and names for its addresses.
 *
 * Use     stack_take() follows frame pointers where they hold, else the unwinder of libgcc;
 *         stack_name() writes "function+offset (file)" for an address.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_MALLOC_STACK_H
#define QUIRE_MALLOC_STACK_H

#include "report.h"

#define STACK_DEPTH 24

unsigned stack_take(uintptr_t *frames, unsigned most);
void stack_setup(void); /* loads the unwinder, outside any lock */
const char *stack_symbol(uintptr_t address); /* the function there, or NULL */
const char *symbol_in_file(const char *name, uintptr_t base, uintptr_t address,
			   uintptr_t *start); /* symbols.c; name: of the file loaded at base */
void stack_name(struct out *o, uintptr_t frame);

#endif
