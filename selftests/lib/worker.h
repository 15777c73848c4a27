/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that does one memory job after another, as the host says; and memory
 * of all kinds to give it.
 */
#ifndef LODGE_TEST_WORKER_H
#define LODGE_TEST_WORKER_H

#include "vm.h"

enum worker_op {
	WORK_READ,		/* value: what is at @addr */
	WORK_WRITE,		/* @seed to @addr */
	WORK_FILL,		/* every @step bytes: worker_pattern() */
	WORK_CHECK,		/* value: how many of those are wrong */
	WORK_CALL,		/* a call of @addr */
	WORK_END,
};

struct worker_job {
	u32 op;
	u64 addr;
	u64 len;
	u64 step;
	u64 seed;
};

/* What FILL writes at @addr. */
static inline u64 worker_pattern(u64 addr, u64 seed)
{
	return (addr ^ seed << 32) * 0x9e3779b97f4a7c15ULL + seed;
}

struct vcpu *worker_create(struct vm *vm, u32 id);
/* Gives the job without running it. */
void worker_set(struct vcpu *vcpu, struct worker_job job);
/* Runs the job to its end; its value, for those that have one. */
u64 worker_do(struct vcpu *vcpu, struct worker_job job);
u64 worker_read(struct vcpu *vcpu, u64 addr);
void worker_write(struct vcpu *vcpu, u64 addr, u64 value);
void worker_fill(struct vcpu *vcpu, u64 addr, u64 len, u64 seed);
/* Fails the test when a page of it is not what FILL wrote. */
void worker_check(struct vcpu *vcpu, u64 addr, u64 len, u64 seed);

/* The same as CHECK and FILL, by the host at @hva for guest address @addr. */
u64 host_check(const void *hva, u64 addr, u64 len, u64 step, u64 seed);
void host_fill(void *hva, u64 addr, u64 len, u64 step, u64 seed);

#endif
