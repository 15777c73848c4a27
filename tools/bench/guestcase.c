// SPDX-License-Identifier: GPL-2.0
/* Runs one guest_case: a guest repeats an operation and times it itself. */
#include <stdint.h>
#include <sys/ioctl.h>

#include "bench.h"

static struct job job;
static void (*guest_fn)(u64 job);

/* The guest: its job, again and again. */
static void guest_main(u64 arg)
{
	for (;;) {
		guest_fn(arg);
		guest_done();
	}
}

/* What a program would do at the least about each exit. */
static u64 run_round(struct vcpu *vcpu)
{
	struct lodge_run *run = vcpu->run;
	u64 host_work = 0;

	for (;;) {
		if (ioctl(vcpu->fd, LODGE_VCPU_RUN, NULL))
			vcpu_fail(vcpu, "RUN: %s", strerror(errno));
		if (run->exit.reason == LODGE_EXIT_PIO) {
			if (run->exit.pio.port == GUEST_PORT)
				break;
		} else if (run->exit.reason == LODGE_EXIT_HOST_WORK) {
			host_work++;
			continue;
		} else if (run->exit.reason != LODGE_EXIT_MMIO) {
			vcpu_fail(vcpu, "unexpected exit");
		}
		run->data = 0x5a;
		run->complete = LODGE_COMPLETE_DONE;
	}
	if (run->exit.pio.data != GUEST_CALL_DONE)
		vcpu_fail(vcpu, "the guest said %llu", run->exit.pio.data);
	run->complete = LODGE_COMPLETE_DONE;
	return host_work;
}

static void must_be(const char *name, const char *what, u64 seen, u64 want)
{
	if (seen != want)
		test_fail("%s: %llu %s, expected %llu", name, seen, what, want);
}

/* Exits that are nobody's doing: the host's interrupts. */
static u64 interruptions(const struct lodge_vcpu_stats *s)
{
	return s->hw[HW_INTERRUPT] + s->hw[HW_EXCEPTION_NMI] + s->hw[HW_PREEMPTION_TIMER];
}

static void check_counts(const struct guest_case *c, const struct lodge_vcpu_stats *before,
			 const struct lodge_vcpu_stats *after, u64 host_work)
{
	u64 ops = c->job.batches * c->job.iterations;
	u64 hw = c->hw_exits * ops + (c->hw_reason == HW_IO);
	u64 all = after->exits - before->exits;

	must_be(c->name, "exits of its reason",
		after->hw[c->hw_reason] - before->hw[c->hw_reason], hw);
	must_be(c->name, "returns to the program",
		after->user_exits - before->user_exits, c->user_exits * ops + host_work + 1);
	/* One more is guest_done()'s. */
	must_be(c->name, "other exits",
		all - (interruptions(after) - interruptions(before)) - hw,
		c->hw_reason == HW_IO ? 0 : 1);
	if (c->injected)
		must_be(c->name, "injected events",
			after->injected - before->injected, c->injected * ops);
	if (c->hw_reason == HW_EPT_VIOLATION && !c->user_exits)
		must_be(c->name, "EPT entries",
			after->ept_mapped - before->ept_mapped, ops);
}

void run_guest_case(const struct guest_case *c)
{
	struct vm *vm = vm_create();
	struct lodge_vcpu_stats before, after;
	static struct samples samples;
	struct vcpu *vcpu;
	u64 host_work, i;
	u32 round;

	require(c->job.batches <= MAX_BATCHES);
	job = c->job;
	guest_fn = c->guest;
	vcpu = vcpu_create_at(vm, 0, guest_main, (uintptr_t)&job);
	if (c->setup)
		c->setup(vm);
	for (round = 0; round <= c->rounds; round++) {
		if (c->prepare)
			c->prepare(vm);
		before = vcpu_stats(vcpu);
		host_work = run_round(vcpu);
		if (!round)
			continue;
		after = vcpu_stats(vcpu);
		check_counts(c, &before, &after, host_work);
		for (i = 0; i < job.batches; i++)
			sample(&samples, (double)job.ticks[i] / job.iterations);
	}
	report(c->name, c->unit, &samples);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}
