/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests need of the host: failing, waiting, threads, CPUs, files of
 * /proc and /sys, modules.
 */
#ifndef LODGE_TEST_HOST_H
#define LODGE_TEST_HOST_H

#include <pthread.h>
#include <unistd.h>

#include "x86.h"

#define __printf(a, b)		__attribute((__format__(printf, a, b)))
#define __noreturn		__attribute((__noreturn__))

/* Ends the test with a message. */
__printf(1, 2) __noreturn void test_fail(const char *format, ...);

/* What is being tried, for the message of a failure to come; "" for nothing. */
__printf(1, 2) void test_context(const char *format, ...);
const char *test_context_text(void);

#define require(expr)							\
do {									\
	if (!(expr))							\
		test_fail("%s:%d: not so: %s", __FILE__, __LINE__, #expr);\
} while (0)

/* Waits until @expr is true; the test fails when it takes far too long. */
#define WAIT_SECONDS	20
#define wait_until(expr)						\
do {									\
	u64 __end = now_ns() + WAIT_SECONDS * NSEC_PER_SEC;		\
									\
	while (!(expr)) {						\
		if (now_ns() > __end)					\
			test_fail("%s:%d: waited in vain for: %s",	\
				  __FILE__, __LINE__, #expr);		\
		usleep(1000);						\
	}								\
} while (0)

/* Of @n pages or rounds as many as suit the host: LODGE_SLOW=4 says a quarter. */
int shorter(int n);

u64 now_ns(void);		/* CLOCK_MONOTONIC */
u64 realtime_ns(void);		/* CLOCK_REALTIME */

pthread_t spawn(void *(*fn)(void *arg), void *arg);
void join(pthread_t thread);

/* Online CPUs: how many, and the numbers of up to @max. */
int online_cpus(int *cpus, int max);
/* The calling thread, or thread @tid, to that CPU only; true when it worked. */
bool pin_to_cpu(int tid, int cpu);

void *map_anon(size_t len);
/* Anonymous memory whose address is a multiple of @align. */
void *map_aligned(size_t len, size_t align);

/* Files: 0 or an errno below zero; text is cut to @size and ends without newline. */
int read_text(const char *path, char *text, size_t size);
int write_text(const char *path, const char *text);
long read_number(const char *path);	/* -1 when there is none */

/* modprobe or rmmod, without their output: the exit status, 0 when it worked. */
int run_command(const char *const argv[]);
int module_load(const char *name);
int module_unload(const char *name);
bool module_loaded(const char *name);

#endif
