/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vCPUs without VMX that have local APICs, for the suites that try those: their
 * registers are written as a guest would.
 */
#ifndef LODGE_TESTS_LAPIC_VCPUS_H
#define LODGE_TESTS_LAPIC_VCPUS_H

#include <kunit/test.h>

#include "../irq/regs.h"
#include "../lodge.h"

#define X2APIC_BASE	(LAPIC_MMIO_BASE | XAPIC_ENABLE | X2APIC_ENABLE)
#define XAPIC_BASE	(LAPIC_MMIO_BASE | XAPIC_ENABLE)
#define ENABLED		(APIC_SPIV_APIC_ENABLED | 0xff)

/* A set of vCPUs is a mask by index. */
#define NR_VCPUS	4

struct lapic_fixture {
	struct lodge_vm *vm;
	struct lodge_vcpu *vcpu[NR_VCPUS];
};

static inline bool x2apic(struct lodge_vcpu *vcpu)
{
	return lapic_mode(&vcpu->lapic) == LAPIC_X2APIC;
}

static inline int wr(struct lodge_vcpu *vcpu, u32 offset, u64 value)
{
	if (x2apic(vcpu))
		return lapic_msr_write(vcpu, APIC_BASE_MSR + offset / 16, value);
	lapic_mmio_write(vcpu, offset, 4, value);
	return 0;
}

static inline u64 rd(struct lodge_vcpu *vcpu, u32 offset)
{
	u64 value = U64_MAX;

	if (x2apic(vcpu))
		lapic_msr_read(vcpu, APIC_BASE_MSR + offset / 16, &value);
	else
		lapic_mmio_read(vcpu, offset, 4, &value);
	return value;
}

static inline bool waits(struct lodge_vcpu *vcpu, u8 vector)
{
	return lapic_vector_test(&vcpu->lapic, APIC_IRR, vector);
}

/* Back to power-on, then enabled by software, in the mode wanted. */
static inline void restart(struct lapic_fixture *f, bool x2)
{
	u32 i;

	for (i = 0; i < NR_VCPUS; i++) {
		lapic_reset(f->vcpu[i], false);
		if (x2)
			lapic_base_write(f->vcpu[i], X2APIC_BASE, false);
		wr(f->vcpu[i], APIC_SPIV, ENABLED);
		f->vcpu[i]->requests = 0;
		f->vcpu[i]->vmx.recheck = false;
		atomic_set(&f->vcpu[i]->nmis_sent, 0);
	}
}

/* Others make a request of it, the owner a note for itself. */
static inline bool told(const struct lodge_vcpu *vcpu)
{
	return test_bit(LODGE_REQ_IRQ, &vcpu->requests) || vcpu->vmx.recheck;
}

/* The vCPUs on which @vector waits, or that have request @req when it is not IRQ. */
static inline u32 reached(struct lapic_fixture *f, u8 vector, enum lodge_request req)
{
	u32 i, mask = 0;

	for (i = 0; i < NR_VCPUS; i++)
		if (req == LODGE_REQ_IRQ ? told(f->vcpu[i]) && waits(f->vcpu[i], vector) :
					   test_bit(req, &f->vcpu[i]->requests))
			mask |= BIT(i);
	return mask;
}

static inline u64 to_ticks(u64 ns)
{
	return mul_u64_u32_div(ns, tsc_khz, NSEC_PER_MSEC);
}

/* test->priv: a struct lapic_fixture. */
int lapic_vcpus_init(struct kunit *test);
void lapic_vcpus_exit(struct kunit *test);

#endif
