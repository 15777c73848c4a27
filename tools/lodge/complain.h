/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Errors in words, on standard error.
 */
#ifndef LODGE_COMPLAIN_H
#define LODGE_COMPLAIN_H

#include "types.h"

/*
 * What "lodge" ends with. The numbers are documented in lodge(1): scripts depend
 * on them. A signal gives 128 + its number.
 */
enum {
	EXIT_OK = 0,		/* poweroff, Ctrl-A x, doctor found nothing wrong */
	EXIT_SETUP = 1,		/* the guest could not be set up */
	EXIT_USAGE = 2,		/* wrong options */
	EXIT_TRIPLE_FAULT = 3,	/* the guest shut down by a triple fault */
	EXIT_UNHANDLED = 4,	/* the guest did what lodge has no answer to */
	EXIT_FAIL_ENTRY = 5,	/* the CPU refused the guest's state */
	EXIT_MEM_FAULT = 6,	/* the host could not provide guest memory */
	EXIT_HOST = 7,		/* a call to the module failed while running */
};

/**
 * complain() - print "lodge: MESSAGE" and a newline on standard error
 * @fmt: printf format, without a newline
 *
 * Return: -1, so that a function that fails can end in "return complain(...)".
 */
int complain(const char *fmt, ...) __printf(1, 2);

#endif /* LODGE_COMPLAIN_H */
