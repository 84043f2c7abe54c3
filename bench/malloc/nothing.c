/*
 * nothing.c - a library that does nothing: what it costs to preload any.
 *
 * SPDX-License-Identifier: MIT
 */
int malloc_bench_nothing(void);

int malloc_bench_nothing(void)
{
	return 0;
}
