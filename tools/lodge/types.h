/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's short names for integers, and the few attributes and helpers that
 * every file uses.
 */
#ifndef LODGE_TYPES_H
#define LODGE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define ATTRIBUTE(x)		__attribute__((x))
#define __packed		ATTRIBUTE(__packed__)
#define __unused		ATTRIBUTE(__unused__)
#define __noinline		ATTRIBUTE(__noinline__)
#define __printf(a, b)		ATTRIBUTE(__format__(__printf__, a, b))

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BIT(n)			(1U << (n))
#define BIT_ULL(n)		(1ULL << (n))

#define KIB			BIT_ULL(10)
#define MIB			BIT_ULL(20)
#define GIB			BIT_ULL(30)
#define PAGE			(4 * KIB)

/* @to is a power of two. */
static inline u64 align_down(u64 x, u64 to)
{
	return x & ~(to - 1);
}

static inline u64 align_up(u64 x, u64 to)
{
	return align_down(x + to - 1, to);
}

#endif /* LODGE_TYPES_H */
