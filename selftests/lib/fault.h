/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults on demand, where the kernel has them: the n-th allocation that a thread
 * asks the kernel for fails, copies from and to user space counted with them.
 */
#ifndef LODGE_TEST_FAULT_H
#define LODGE_TEST_FAULT_H

#include "x86.h"

/* Makes every kind of allocation able to fail, in silence; false: not this kernel. */
bool fault_prepare(void);

/* A file to arm thread @tid of process @pid with. */
int fault_open(int pid, int tid);
/* The @nth from now on; 0: none. */
void fault_arm(int fd, int nth);
/* How many are left to the fault; 0: it was met, or none was armed; -1: no telling. */
int fault_left(int fd);

#endif
