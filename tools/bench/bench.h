/* SPDX-License-Identifier: GPL-2.0 */
/*
 * lodge-bench: what lodge costs, in ticks of the TSC, beside what KVM costs.
 *
 * Guests are made with the library of the selftests. Every benchmark checks by
 * the vCPU's exit counters that what it timed is what it is named after.
 */
#ifndef LODGE_BENCH_H
#define LODGE_BENCH_H

#include "vm.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Basic exit reasons (SDM 3D appendix C). */
#define HW_EXCEPTION_NMI	0
#define HW_INTERRUPT		1
#define HW_CPUID		10
#define HW_VMCALL		18
#define HW_IO			30
#define HW_RDMSR		31
#define HW_WRMSR		32
#define HW_EPT_VIOLATION	48
#define HW_PREEMPTION_TIMER	52

/* ------------------------------------------------------------------- results */

#define MAX_SAMPLES	1024

struct samples {
	u32 nr;
	double value[MAX_SAMPLES];
};

void sample(struct samples *s, double value);
/* Prints the median as "BENCH name value unit", KVM's figure beside it. */
void report(const char *name, const char *unit, struct samples *s);
/* KVM's figure for that name, or 0. */
double kvm_figure(const char *name);

/* -------------------------------------------------- one guest instruction, timed */

#define MAX_BATCHES	256

/* What the guest does; both sides see it. */
struct job {
	u64 arg;		/* the first operation's argument */
	u64 step;		/* added for each further one */
	u64 batches;		/* these are timed ... */
	u64 iterations;		/* ... and have so many operations each */
	u64 ticks[MAX_BATCHES];
};

struct guest_case {
	const char *name;
	const char *unit;
	void (*guest)(u64 job);
	/* Called once, and before each round; may be NULL. */
	void (*setup)(struct vm *vm);
	void (*prepare)(struct vm *vm);
	struct job job;
	u32 rounds;		/* how often the guest does its job; one more to warm up */
	u32 hw_reason;		/* each operation causes @hw_exits of these ... */
	u32 hw_exits;
	u32 user_exits;		/* ... so many returns of RUN ... */
	u32 injected;		/* ... and so many events for the guest */
};

void run_guest_case(const struct guest_case *c);

/* The guest's loop. @op is known when this is compiled, so nothing is called. */
static __always_inline void guest_measure(u64 arg, void (*op)(u64 arg))
{
	struct job *job = (struct job *)arg;
	u64 batch, i, start, next = job->arg;

	for (batch = 0; batch < job->batches; batch++) {
		start = read_tsc();
		for (i = job->iterations; i; i--) {
			op(next);
			next += job->step;
		}
		job->ticks[batch] = read_tsc() - start;
	}
}

/* ------------------------------------------------------------------ benchmarks */

struct bench {
	const char *name;	/* for the command line; results start with it */
	const char *text;
	void (*run)(void);
};

extern const struct bench exit_benches[];
extern const struct bench memory_benches[];
extern const struct bench host_benches[];
extern const struct bench boot_benches[];

/* For boot.c. */
struct boot_files {
	const char *kernel;
	const char *initrd;
};

extern struct boot_files boot_files;

#endif
