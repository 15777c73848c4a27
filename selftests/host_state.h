/* SPDX-License-Identifier: GPL-2.0 */
/* host_state.S: RUN in a thread whose segment registers are not the usual ones. */
#ifndef LODGE_TEST_HOST_STATE_H
#define LODGE_TEST_HOST_STATE_H

#include "x86.h"

/* Selectors as RUN left them, and the first 8 bytes of two segments. */
struct seen_segments {
	u64 ds, es, fs, gs;
	u64 at_fs, at_gs;
};

/*
 * ioctl(@fd, @call) with @selector in DS, ES, FS and GS. @fs_base is the thread's
 * and becomes so again. With @gs_base not 0, WRGSBASE of it comes in between.
 */
long ioctl_in_segments(int fd, u64 call, u64 selector, u64 fs_base,
		       struct seen_segments *seen, u64 gs_base);

#endif
