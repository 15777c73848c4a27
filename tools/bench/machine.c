// SPDX-License-Identifier: GPL-2.0
/* Runs a guest_case: a guest repeats an operation and times it itself. */
#include <stdint.h>

#include "bench.h"

static struct job job;
static void (*guest_fn)(u64 job);

static const char *const count_names[NR_COUNTS] = {
	[COUNT_EXITS] = "VM exits",
	[COUNT_INTERRUPTS] = "exits by the host's interrupts",
	[COUNT_USER] = "returns to the program",
	[COUNT_CPUID] = "CPUID exits",
	[COUNT_VMCALL] = "hypercalls",
	[COUNT_HLT] = "HLT exits",
	[COUNT_IO] = "I/O exits",
	[COUNT_RDMSR] = "RDMSR exits",
	[COUNT_WRMSR] = "WRMSR exits",
	[COUNT_EPT] = "EPT exits",
	[COUNT_MAPPED] = "EPT faults that mapped",
	[COUNT_INJECTED] = "injected interrupts",
	[COUNT_L1D_FLUSH] = "L1D flushes",
};

/* The guest: its job, again and again. */
static void guest_main(u64 arg)
{
	for (;;) {
		READ_ONCE(guest_fn)(arg);
		guest_done();
	}
}

void bench_state(u32 id, void (*fn)(u64 arg), u64 arg, struct lodge_vcpu_state *s)
{
	vcpu_long_state(id, fn, arg, s);
	/* With it, RUN has the host's system-call MSRs to change: a case of its own. */
	s->crs.efer &= ~EFER_SCE;
}

void machine_create(struct machine *m, const struct backend *be, bool apic)
{
	void *image;
	u64 len;

	memset(m, 0, sizeof(*m));
	m->be = be;
	m->vm = be->vm_create(apic);
	m->vm->low = map_anon(LOW_SIZE);
	vm_lay_out(m->vm);
	be->map(m->vm, SLOT_LOW, 0, m->vm->low, LOW_SIZE);
	image = vm_image(&len);
	be->map(m->vm, SLOT_IMAGE, GPA_IMAGE, image, len);
	m->vcpu = be->vcpu_create(m->vm, 0);
	be->vcpu_start(m->vcpu, guest_main, (uintptr_t)&job);
}

void machine_destroy(struct machine *m)
{
	u8 *low = m->vm->low;

	m->vm->low = NULL;
	m->be->vcpu_destroy(m->vcpu);
	m->be->vm_destroy(m->vm);
	munmap(low, LOW_SIZE);
}

void machine_job(const struct guest_case *c)
{
	job = c->job;
	WRITE_ONCE(guest_fn, c->guest);
}

u64 machine_run(struct machine *m)
{
	u64 other = m->be->run(m->vcpu, GUEST_PORT);

	if (m->be->said(m->vcpu) != GUEST_CALL_DONE)
		test_fail("the guest said %u", m->be->said(m->vcpu));
	return other;
}

static u64 operations(const struct guest_case *c)
{
	return c->job.batches * (c->single ? 1 : c->job.iterations);
}

/* One job is one OUT and one return besides what its operations count. */
static u64 expected(const struct guest_case *c, bool kvm, enum count count, u64 other)
{
	u64 n = c->per_op[count] + (kvm ? c->kvm_more[count] : 0);

	n *= operations(c);
	if (count == COUNT_EXITS || count == COUNT_USER || count == COUNT_IO)
		n++;
	return n + (count == COUNT_USER ? other : 0);
}

/*
 * Host interrupts come when they like, and one that meets an injection makes the
 * hypervisor inject again; so does, to KVM, what is wanted of it right before an entry.
 */
static bool count_is_right(const struct guest_case *c, enum count count, u64 seen, u64 want,
			   u64 interrupts)
{
	switch (count) {
	case COUNT_INTERRUPTS:
		return seen >= want;
	case COUNT_INJECTED:
		return seen >= want && seen <= want + interrupts + want / 100;
	case COUNT_L1D_FLUSH:
		return true;	/* the host's settings say how many */
	default:
		return seen <= want && seen * (c->serves ?: 1) >= want;
	}
}

static void check_counts(const struct guest_case *c, const struct machine *m,
			 const struct counts *before, const struct counts *after, u64 other)
{
	u64 seen, want, interrupts = after->nr[COUNT_INTERRUPTS] - before->nr[COUNT_INTERRUPTS];
	bool kvm = m->be == &kvm_backend;
	int i;

	for (i = 0; i < NR_COUNTS; i++) {
		if (!(after->known & BIT_ULL(i)))
			continue;
		seen = after->nr[i] - before->nr[i];
		want = expected(c, kvm, i, other);
		if (!count_is_right(c, i, seen, want, interrupts))
			test_fail("%llu %s, expected %llu", seen, count_names[i], want);
	}
}

static void take_samples(const struct guest_case *c, struct samples *samples)
{
	u64 i;

	for (i = 0; i < job.batches; i++)
		sample(samples, (double)job.ticks[i] / (c->single ? 1 : job.iterations));
}

static void run_machine(const struct backend *be, const char *name,
			const struct guest_case *c, struct samples *samples)
{
	struct counts before, after;
	struct machine m;
	u64 other;
	int round;

	machine_create(&m, be, c->apic);
	if (c->setup)
		c->setup(&m);
	for (round = 0; round < 2; round++) {
		machine_job(c);
		if (!round && c->warm_up)
			WRITE_ONCE(guest_fn, c->warm_up);
		if (c->prepare)
			c->prepare(&m);
		be->counts(m.vcpu, &before);
		if (counting && round)
			counting_begin(be);
		other = machine_run(&m);
	}
	if (counting)
		counting_end(name, be, operations(c));
	be->counts(m.vcpu, &after);
	check_counts(c, &m, &before, &after, other);
	if (counting)
		report_count(name, "exits", after.nr[COUNT_EXITS] - before.nr[COUNT_EXITS] +
			     after.nr[COUNT_INTERRUPTS] - before.nr[COUNT_INTERRUPTS],
			     operations(c));
	if (counting && after.known & BIT_ULL(COUNT_L1D_FLUSH))
		report_count(name, "l1d_flush",
			     after.nr[COUNT_L1D_FLUSH] - before.nr[COUNT_L1D_FLUSH],
			     operations(c));
	take_samples(c, samples);
	machine_destroy(&m);
}

/* The host does the job itself. */
static void run_on_host(const struct guest_case *c, struct samples *samples)
{
	static struct machine nothing;
	int round;

	for (round = 0; round < 2; round++) {
		job = c->job;
		if (c->prepare)
			c->prepare(&nothing);
		c->guest((uintptr_t)&job);
	}
	take_samples(c, samples);
}

void run_guest_case(const struct backend *be, const struct bench *bench)
{
	const struct guest_case *c = bench->guest;
	static struct samples samples;
	u32 i;

	require(c->job.batches <= MAX_BATCHES);
	if (be == &host_backend)
		run_on_host(c, &samples);
	for (i = 0; be != &host_backend && i < (counting ? 1 : c->vms ?: 1); i++)
		run_machine(be, bench->name, c, &samples);
	if (!counting)
		report(bench->name, "ticks", &samples);
}
