/* SPDX-License-Identifier: GPL-2.0 */
/* Memory pressure: a swap area in memory, a limit on the process, statistics. */
#ifndef LODGE_TEST_SWAP_H
#define LODGE_TEST_SWAP_H

#include "x86.h"

/* NULL when there is swap now, else why not. What is in use already is taken. */
const char *swap_begin(void);
/* Ends it, if swap_begin() made it; 0 or an errno below zero. */
int swap_end(void);

/* The same for a cgroup of our own; memory used before is not counted in it. */
const char *limit_begin(void);
int limit_set(u64 bytes);
void limit_end(void);

/* A counter of /proc/vmstat; 0 when there is none. */
u64 vm_counter(const char *name);
/* kB of @field ("Swap:") in the mappings of this process that are within the range. */
u64 mapped_kb(const void *start, u64 len, const char *field);

#endif
