// SPDX-License-Identifier: GPL-2.0
/* A guest that does one memory job after another. */
#include "worker.h"

static struct worker_job jobs[NR_GUEST_CPUS];

/* ------------------------------------------------------------ the guest's side */

static u64 fill(const struct worker_job *job)
{
	u64 at;

	for (at = job->addr; at < job->addr + job->len; at += job->step)
		WRITE_ONCE(*(u64 *)at, worker_pattern(at, job->seed));
	return 0;
}

static u64 check(const struct worker_job *job)
{
	u64 at, wrong = 0;

	for (at = job->addr; at < job->addr + job->len; at += job->step)
		if (READ_ONCE(*(u64 *)at) != worker_pattern(at, job->seed))
			wrong++;
	return wrong;
}

static u64 do_job(const struct worker_job *job)
{
	switch (job->op) {
	case WORK_READ:
		return READ_ONCE(*(u64 *)job->addr);
	case WORK_WRITE:
		WRITE_ONCE(*(u64 *)job->addr, job->seed);
		return 0;
	case WORK_FILL:
		return fill(job);
	case WORK_CHECK:
		return check(job);
	case WORK_CALL:
		((void (*)(void))job->addr)();
		return 0;
	}
	guest_done();
	return 0;
}

static void work(u64 id)
{
	for (;;) {
		guest_sync(0);
		guest_value(do_job(&jobs[id]));
	}
}

/* ------------------------------------------------------------- the host's side */

struct vcpu *worker_create(struct vm *vm, u32 id)
{
	struct vcpu *vcpu = vcpu_create_at(vm, id, work, id);

	guest_run_sync(vcpu, 0);
	return vcpu;
}

void worker_set(struct vcpu *vcpu, struct worker_job job)
{
	if (!job.step)
		job.step = PAGE_SIZE;
	jobs[vcpu->id] = job;
}

u64 worker_do(struct vcpu *vcpu, struct worker_job job)
{
	u64 value;

	worker_set(vcpu, job);
	value = guest_run_value(vcpu);
	guest_run_sync(vcpu, 0);
	return value;
}

u64 worker_read(struct vcpu *vcpu, u64 addr)
{
	return worker_do(vcpu, (struct worker_job) { .op = WORK_READ, .addr = addr });
}

void worker_write(struct vcpu *vcpu, u64 addr, u64 value)
{
	worker_do(vcpu, (struct worker_job) {
		.op = WORK_WRITE, .addr = addr, .seed = value });
}

void worker_fill(struct vcpu *vcpu, u64 addr, u64 len, u64 seed)
{
	worker_do(vcpu, (struct worker_job) {
		.op = WORK_FILL, .addr = addr, .len = len, .seed = seed });
}

void worker_check(struct vcpu *vcpu, u64 addr, u64 len, u64 seed)
{
	u64 wrong = worker_do(vcpu, (struct worker_job) {
		.op = WORK_CHECK, .addr = addr, .len = len, .seed = seed });

	if (wrong)
		vcpu_fail(vcpu, "guest: %llu of %llu pages at 0x%llx are wrong, seed %llu",
			  wrong, len / PAGE_SIZE, addr, seed);
}

u64 host_check(const void *hva, u64 addr, u64 len, u64 step, u64 seed)
{
	u64 off, wrong = 0;

	for (off = 0; off < len; off += step)
		if (READ_ONCE(*(const u64 *)((const char *)hva + off)) !=
		    worker_pattern(addr + off, seed))
			wrong++;
	return wrong;
}

void host_fill(void *hva, u64 addr, u64 len, u64 step, u64 seed)
{
	u64 off;

	for (off = 0; off < len; off += step)
		WRITE_ONCE(*(u64 *)((char *)hva + off), worker_pattern(addr + off, seed));
}
