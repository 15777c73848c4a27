// SPDX-License-Identifier: GPL-2.0
/*
 * Errors in words, on standard error.
 */
#include <stdarg.h>
#include <stdio.h>

#include "complain.h"

int complain(const char *fmt, ...)
{
	va_list args;

	fputs("lodge: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}
