/* SPDX-License-Identifier: GPL-2.0 */
/* xsave.S: registers held in images, which are XSAVE areas; see there. */
#ifndef LODGE_TEST_XSAVE_H
#define LODGE_TEST_XSAVE_H

#include "x86.h"

void fp_hold(const void *in, void *out, u64 mask, u64 spins, u64 sync, u64 nr);
void fp_hold_initial(const void *mxcsr, void *out, u64 mask, u64 sync, u64 nr);
void fp_touch(const void *in, void *out, u64 mask, u64 addr, u64 pages);
void fp_narrow(const void *in, void *out, u64 mask, u64 narrow, u64 sync, u64 nr);
long fp_ioctl(const void *in, void *out, u64 mask, int fd, u64 call);

#endif
