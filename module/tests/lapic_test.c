// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC against the SDM, case by case: vCPUs without VMX whose
 * registers are written as a guest would.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/ktime.h>

#include "../irq/regs.h"
#include "../lodge.h"
#include "suites.h"

#define X2APIC_BASE	(LAPIC_MMIO_BASE | XAPIC_ENABLE | X2APIC_ENABLE)
#define XAPIC_BASE	(LAPIC_MMIO_BASE | XAPIC_ENABLE)
#define ENABLED		(APIC_SPIV_APIC_ENABLED | 0xff)

/* The machine: ids in two x2APIC clusters. A set of vCPUs is a mask by index. */
static const u32 test_ids[] = { 0, 1, 2, 17 };
#define NR_VCPUS	ARRAY_SIZE(test_ids)

struct lapic_fixture {
	struct lodge_vm *vm;
	struct lodge_vcpu *vcpu[NR_VCPUS];
};

static bool x2apic(struct lodge_vcpu *vcpu)
{
	return lapic_mode(&vcpu->lapic) == LAPIC_X2APIC;
}

static int wr(struct lodge_vcpu *vcpu, u32 offset, u64 value)
{
	if (x2apic(vcpu))
		return lapic_msr_write(vcpu, APIC_BASE_MSR + offset / 16, value);
	lapic_mmio_write(vcpu, offset, 4, value);
	return 0;
}

static u64 rd(struct lodge_vcpu *vcpu, u32 offset)
{
	u64 value = U64_MAX;

	if (x2apic(vcpu))
		lapic_msr_read(vcpu, APIC_BASE_MSR + offset / 16, &value);
	else
		lapic_mmio_read(vcpu, offset, 4, &value);
	return value;
}

static bool waits(struct lodge_vcpu *vcpu, u8 vector)
{
	return lapic_vector_test(&vcpu->lapic, APIC_IRR, vector);
}

/* Back to power-on, then enabled by software, in the mode wanted. */
static void restart(struct lapic_fixture *f, bool x2)
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
static bool told(const struct lodge_vcpu *vcpu)
{
	return test_bit(LODGE_REQ_IRQ, &vcpu->requests) || vcpu->vmx.recheck;
}

/* The vCPUs on which @vector waits, or that have request @req when it is not IRQ. */
static u32 reached(struct lapic_fixture *f, u8 vector, enum lodge_request req)
{
	u32 i, mask = 0;

	for (i = 0; i < NR_VCPUS; i++)
		if (req == LODGE_REQ_IRQ ? told(f->vcpu[i]) && waits(f->vcpu[i], vector) :
					   test_bit(req, &f->vcpu[i]->requests))
			mask |= BIT(i);
	return mask;
}

/* ---------------------------------------------------------------- registers */

static void lapic_reset_values(struct kunit *test)
{
	static const struct {
		u32 offset;
		u32 dirt;
		u32 value;
	} regs[] = {
		{ APIC_ID, 0, 1 << 24 },	{ APIC_LVR, 0, 0x00060014 },
		{ APIC_TASKPRI, 0x50, 0 },	{ APIC_PROCPRI, 0, 0 },
		{ APIC_LDR, 0x02000000, 0 },	{ APIC_DFR, 0, U32_MAX },
		{ APIC_SPIV, 0x1fe, 0xff },	{ APIC_ESR, 0, 0 },
		{ APIC_LVTCMCI, 0x20, 0x10000 }, { APIC_LVTT, 0x20030, 0x10000 },
		{ APIC_LVTTHMR, 0x31, 0x10000 }, { APIC_LVTPC, 0x400, 0x10000 },
		{ APIC_LVT0, 0x700, 0x10000 },	{ APIC_LVT1, 0x400, 0x10000 },
		{ APIC_LVTERR, 0xfe, 0x10000 },	{ APIC_ICR2, 0x05000000, 0 },
		{ APIC_ICR, 0x40030, 0 },	{ APIC_TDCR, 0xb, 0 },
		{ APIC_TMICT, 1u << 31, 0 },	{ APIC_TMCCT, 0, 0 },
		{ APIC_IRR + 0x10, 0, 0 },	{ APIC_ISR + 0x10, 0, 0 },
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 round, i;

	for (round = 0; round < 3; round++) {
		/* power-on, power-on over dirt, INIT over dirt */
		lapic_reset(vcpu, round == 2);
		for (i = 0; i < ARRAY_SIZE(regs); i++)
			KUNIT_EXPECT_EQ_MSG(test, rd(vcpu, regs[i].offset), regs[i].value,
					    "register %x round %u", regs[i].offset, round);
		KUNIT_EXPECT_EQ(test, vcpu->lapic.base, XAPIC_BASE);
		KUNIT_EXPECT_EQ(test, vcpu->lapic.timer_tsc, 0ull);

		wr(vcpu, APIC_SPIV, 0x1fe);
		for (i = 0; i < ARRAY_SIZE(regs); i++)
			if (regs[i].dirt)
				wr(vcpu, regs[i].offset, regs[i].dirt);
		for (i = 0; i < ARRAY_SIZE(regs); i++)
			if (regs[i].dirt)
				KUNIT_EXPECT_EQ_MSG(test, rd(vcpu, regs[i].offset), regs[i].dirt,
						    "register %x", regs[i].offset);
		KUNIT_EXPECT_TRUE(test, waits(vcpu, 0x30));
		lapic_accept(vcpu, 0x30);
	}
}

/* INIT keeps the mode; the boot processor's base says so. */
static void lapic_reset_modes(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[3];

	KUNIT_EXPECT_EQ(test, f->vcpu[0]->lapic.base, XAPIC_BASE | MSR_IA32_APICBASE_BSP);
	restart(f, true);
	lapic_reset(vcpu, true);
	KUNIT_EXPECT_EQ(test, vcpu->lapic.base, X2APIC_BASE);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ID), 17);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LDR), 0x00010002);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_SPIV), 0xff);
	lapic_reset(vcpu, false);
	KUNIT_EXPECT_EQ(test, vcpu->lapic.base, XAPIC_BASE);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ID), 17 << 24);
}

static void lapic_base_transitions(struct kunit *test)
{
	static const u64 modes[] = { LAPIC_MMIO_BASE, XAPIC_BASE, X2APIC_BASE };
	static const u8 allowed[3] = { BIT(0) | BIT(1), BIT(0) | BIT(1) | BIT(2), BIT(0) | BIT(2) };
	static const u64 bad[] = {
		LAPIC_MMIO_BASE | X2APIC_ENABLE,	/* x2APIC without enable */
		XAPIC_BASE | BIT(0), XAPIC_BASE | BIT(7), XAPIC_BASE | BIT(9),
		XAPIC_BASE | BIT_ULL(52), XAPIC_BASE | BIT_ULL(36),
		0xfed00000 | XAPIC_ENABLE, XAPIC_ENABLE, XAPIC_BASE + 0x1000,
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 from, to, i;

	for (from = 0; from < 3; from++) {
		for (to = 0; to < 3; to++) {
			int want = allowed[from] & BIT(to) ? 0 : -EINVAL;

			KUNIT_ASSERT_EQ(test, lapic_base_write(vcpu, modes[from], true), 0);
			KUNIT_EXPECT_EQ_MSG(test, lapic_base_write(vcpu, modes[to], false), want,
					    "%u to %u", from, to);
			KUNIT_EXPECT_EQ(test, vcpu->lapic.base, modes[want ? from : to]);
		}
	}
	lapic_reset(vcpu, false);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ_MSG(test, lapic_base_write(vcpu, bad[i], false), -EINVAL,
				    "base %llx", bad[i]);
		KUNIT_EXPECT_EQ(test, lapic_base_write(vcpu, bad[i], true), -EINVAL);
	}
	vcpu->cpuid->features &= ~BIT_ULL(GF_X2APIC);
	KUNIT_EXPECT_EQ(test, lapic_base_write(vcpu, X2APIC_BASE, false), -EINVAL);
	vcpu->cpuid->features |= BIT_ULL(GF_X2APIC);
}

/* Disabling loses all state; x2APIC mode keeps it. */
static void lapic_base_state(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];

	wr(vcpu, APIC_TASKPRI, 0x20);
	wr(vcpu, APIC_LDR, 0x08000000);
	lapic_base_write(vcpu, X2APIC_BASE, false);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_TASKPRI), 0x20);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_SPIV), ENABLED);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LDR), 0x2);
	KUNIT_EXPECT_FALSE(test, lapic_mmio_here(vcpu, LAPIC_MMIO_BASE));

	lapic_base_write(vcpu, LAPIC_MMIO_BASE, false);
	KUNIT_EXPECT_FALSE(test, lapic_mmio_here(vcpu, LAPIC_MMIO_BASE));
	KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), -1);
	KUNIT_EXPECT_EQ(test, lapic_send_msi(f->vm, 0xfee01000, 0x40), 0);

	lapic_base_write(vcpu, XAPIC_BASE, false);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_TASKPRI), 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_SPIV), 0xff);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LDR), 0);
	KUNIT_EXPECT_TRUE(test, lapic_mmio_here(vcpu, LAPIC_MMIO_BASE + 0xfff));
	KUNIT_EXPECT_FALSE(test, lapic_mmio_here(vcpu, LAPIC_MMIO_BASE + 0x1000));
	KUNIT_EXPECT_FALSE(test, lapic_mmio_here(vcpu, LAPIC_MMIO_BASE - 1));
}

/* SDM 3A table 11-6: what exists in x2APIC mode. */
static void lapic_x2apic_registers(struct kunit *test)
{
	static const struct {
		u16 first, last;
		bool r, w;
	} known[] = {
		{ 0x802, 0x803, true, false },	{ 0x808, 0x808, true, true },
		{ 0x80a, 0x80a, true, false },	{ 0x80b, 0x80b, false, true },
		{ 0x80d, 0x80d, true, false },	{ 0x80f, 0x80f, true, true },
		{ 0x810, 0x827, true, false },	{ 0x828, 0x828, true, true },
		{ 0x82f, 0x830, true, true },	{ 0x832, 0x838, true, true },
		{ 0x839, 0x839, true, false },	{ 0x83e, 0x83e, true, true },
		{ 0x83f, 0x83f, false, true },
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 msr, i;
	u64 value;

	KUNIT_EXPECT_EQ(test, lapic_msr_read(vcpu, 0x802, &value), -EINVAL);
	KUNIT_EXPECT_EQ(test, lapic_msr_write(vcpu, 0x808, 0), -EINVAL);
	restart(f, true);
	for (msr = 0x7ff; msr <= 0x900; msr++) {
		int r = -EINVAL, w = -EINVAL;

		for (i = 0; i < ARRAY_SIZE(known); i++) {
			if (msr < known[i].first || msr > known[i].last)
				continue;
			r = known[i].r ? 0 : -EINVAL;
			w = known[i].w ? 0 : -EINVAL;
		}
		KUNIT_EXPECT_EQ_MSG(test, lapic_msr_read(vcpu, msr, &value), r, "read %x", msr);
		KUNIT_EXPECT_EQ_MSG(test, lapic_msr_write(vcpu, msr, 0), w, "write %x", msr);
		if (msr != 0x830)
			KUNIT_EXPECT_EQ_MSG(test, lapic_msr_write(vcpu, msr, BIT_ULL(32)), -EINVAL,
					    "high bit %x", msr);
	}
}

static void lapic_reserved_bits(struct kunit *test)
{
	static const struct {
		u32 offset;
		u32 good;	/* all bits that may be set */
	} regs[] = {
		{ APIC_TASKPRI, 0xff },		{ APIC_EOI, 0 },
		{ APIC_SPIV, 0x3ff },		{ APIC_ESR, 0 },
		{ APIC_LVTCMCI, 0x107ff },	{ APIC_LVTT, 0x700ff },
		{ APIC_LVTTHMR, 0x107ff },	{ APIC_LVTPC, 0x107ff },
		{ APIC_LVT0, 0x1a7ff },		{ APIC_LVT1, 0x1a7ff },
		{ APIC_LVTERR, 0x100ff },	{ APIC_ICR, 0xccfff },
		{ APIC_TMICT, U32_MAX },	{ APIC_TDCR, 0xb },
		{ APIC_SELF_IPI, 0xff },
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 i, bit;

	restart(f, true);
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		for (bit = 0; bit < 32; bit++)
			KUNIT_EXPECT_EQ_MSG(test, wr(vcpu, regs[i].offset, BIT(bit)),
					    regs[i].good & BIT(bit) ? 0 : -EINVAL,
					    "register %x bit %u", regs[i].offset, bit);

	vcpu->cpuid->features &= ~BIT_ULL(GF_TSC_DEADLINE);
	KUNIT_EXPECT_EQ(test, wr(vcpu, APIC_LVTT, BIT(18)), -EINVAL);
	KUNIT_EXPECT_EQ(test, wr(vcpu, APIC_LVTT, BIT(17)), 0);
	vcpu->cpuid->features |= BIT_ULL(GF_TSC_DEADLINE);

	/* xAPIC drops what x2APIC refuses. */
	restart(f, false);
	wr(vcpu, APIC_LVT0, U32_MAX);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LVT0), 0x1a7ff);
	wr(vcpu, APIC_DFR, 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_DFR), 0x0fffffff);
	wr(vcpu, APIC_ID, 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ID), 1 << 24);
}

static void lapic_xapic_widths(struct kunit *test)
{
	static const struct {
		u32 offset, width;
		u64 value;
	} reads[] = {
		{ 0x30, 4, 0x00060014 },	{ 0x30, 1, 0x14 },
		{ 0x32, 1, 0x06 },		{ 0x32, 2, 0x0006 },
		{ 0x31, 2, 0x0600 },		{ 0x33, 2, 0 },
		{ 0x30, 8, 0 },			{ 0x34, 4, 0 },
		{ 0x3c, 4, 0 },			{ 0xfff, 1, 0 },
		{ 0x400, 4, 0 },
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u64 value;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(reads); i++) {
		value = U64_MAX;
		lapic_mmio_read(vcpu, reads[i].offset, reads[i].width, &value);
		KUNIT_EXPECT_EQ_MSG(test, value, reads[i].value, "%x:%u", reads[i].offset,
				    reads[i].width);
	}
	lapic_mmio_write(vcpu, APIC_TASKPRI, 4, 0x40);
	lapic_mmio_write(vcpu, APIC_TASKPRI, 1, 0x50);
	lapic_mmio_write(vcpu, APIC_TASKPRI, 8, 0x60);
	lapic_mmio_write(vcpu, APIC_TASKPRI + 4, 4, 0x70);
	lapic_mmio_write(vcpu, 0xff0, 4, 0x70);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_TASKPRI), 0x40);
}

static void lapic_errors(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	struct lodge_vcpu *other = f->vcpu[2];

	wr(vcpu, APIC_LVTERR, 0xe0);
	wr(vcpu, APIC_ICR2, 2 << 24);
	wr(vcpu, APIC_ICR, APIC_DM_FIXED | 0x0f);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ESR), 0);
	KUNIT_EXPECT_TRUE(test, waits(vcpu, 0xe0));
	wr(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ESR), APIC_ESR_SENDILL);
	wr(other, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, rd(other, APIC_ESR), APIC_ESR_RECVILL);
	KUNIT_EXPECT_FALSE(test, waits(other, 0x0f));
	wr(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ESR), 0);

	/* A reserved address, and no second interrupt for what is known. */
	lapic_accept(vcpu, 0xe0);
	rd(vcpu, 0x40);
	KUNIT_EXPECT_TRUE(test, waits(vcpu, 0xe0));
	lapic_accept(vcpu, 0xe0);
	rd(vcpu, 0x40);
	KUNIT_EXPECT_FALSE(test, waits(vcpu, 0xe0));
	wr(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ESR), APIC_ESR_ILLREGA);

	/* An error interrupt that is itself illegal does not recurse. */
	wr(vcpu, APIC_LVTERR, 0x05);
	rd(vcpu, 0x40);
	wr(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ESR), APIC_ESR_ILLREGA | APIC_ESR_RECVILL);

	restart(f, true);
	KUNIT_EXPECT_EQ(test, wr(vcpu, APIC_SELF_IPI, 0x03), 0);
	wr(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ESR), APIC_ESR_SENDILL | APIC_ESR_RECVILL);
}

/* Disabled by software: LVTs masked, nothing accepted or delivered, NMIs still. */
static void lapic_software_disable(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];

	wr(vcpu, APIC_LVT0, 0x31);
	wr(vcpu, APIC_LVTCMCI, 0x32);
	lapic_send_msi(f->vm, 0xfee01000, 0x50);
	wr(vcpu, APIC_SPIV, 0xff);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LVT0), 0x10031);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LVTCMCI), 0x10032);
	wr(vcpu, APIC_LVT0, 0x33);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LVT0), 0x10033);
	KUNIT_EXPECT_EQ(test, lapic_send_msi(f->vm, 0xfee01000, 0x51), 0);
	KUNIT_EXPECT_EQ(test, lapic_send_msi(f->vm, 0xfee01000, APIC_DM_NMI), 1);
	KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), -1);
	KUNIT_EXPECT_TRUE(test, waits(vcpu, 0x50));

	vcpu->requests = 0;
	vcpu->vmx.recheck = false;
	wr(vcpu, APIC_SPIV, ENABLED);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LVT0), 0x10033);
	KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), 0x50);
	KUNIT_EXPECT_TRUE(test, told(vcpu));
}

/* ----------------------------------------------------------------- priority */

static void lapic_priority(struct kunit *test)
{
	static const struct {
		u8 tpr;
		u8 served[3];
		u8 waiting[3];
		int next;
		u32 ppr;
	} cases[] = {
		{ 0x00, { 0 }, { 0 }, -1, 0x00 },
		{ 0x00, { 0 }, { 0x10 }, 0x10, 0x00 },
		{ 0x0f, { 0 }, { 0x10 }, 0x10, 0x0f },
		{ 0x10, { 0 }, { 0x1f }, -1, 0x10 },
		{ 0x1f, { 0 }, { 0x20 }, 0x20, 0x1f },
		{ 0x20, { 0 }, { 0x20, 0x2f }, -1, 0x20 },
		{ 0x20, { 0 }, { 0x20, 0x2f, 0x30 }, 0x30, 0x20 },
		{ 0xf0, { 0 }, { 0xff }, -1, 0xf0 },
		{ 0xef, { 0 }, { 0xf0, 0xff }, 0xff, 0xef },
		{ 0x00, { 0x31 }, { 0x3f }, -1, 0x30 },
		{ 0x00, { 0x3f }, { 0x40 }, 0x40, 0x30 },
		{ 0x35, { 0x31 }, { 0x41 }, 0x41, 0x35 },
		{ 0x40, { 0x31 }, { 0x41 }, -1, 0x40 },
		{ 0x25, { 0x31 }, { 0x31 }, -1, 0x30 },
		{ 0x00, { 0x31, 0x81, 0x51 }, { 0x8f, 0x52 }, -1, 0x80 },
		{ 0x00, { 0x31, 0x81, 0x51 }, { 0x91 }, 0x91, 0x80 },
		{ 0x00, { 0 }, { 0x21, 0x5f, 0x3f }, 0x5f, 0x00 },
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		restart(f, i & 1);
		for (j = 0; j < 3 && cases[i].served[j]; j++) {
			lapic_raise(&vcpu->lapic, cases[i].served[j], false, true);
			lapic_accept(vcpu, cases[i].served[j]);
		}
		for (j = 0; j < 3 && cases[i].waiting[j]; j++)
			lapic_raise(&vcpu->lapic, cases[i].waiting[j], false, true);
		wr(vcpu, APIC_TASKPRI, cases[i].tpr);
		KUNIT_EXPECT_EQ_MSG(test, lapic_next_vector(vcpu), cases[i].next, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, rd(vcpu, APIC_PROCPRI), cases[i].ppr, "case %u", i);
		KUNIT_EXPECT_EQ(test, lapic_cr8_read(vcpu), cases[i].tpr >> 4);
	}
}

/* The whole of SDM 3A 11.8.3.1: every TPR class against every vector. */
static void lapic_tpr_matrix(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[0];
	u32 class, vector;

	for (vector = LAPIC_FIRST_VECTOR; vector < 256; vector++) {
		lapic_raise(&vcpu->lapic, vector, false, true);
		for (class = 0; class < 16; class++) {
			vcpu->vmx.recheck = false;
			lapic_cr8_write(vcpu, class);
			KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_TASKPRI), class << 4);
			KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu),
					vector >> 4 > class ? (int)vector : -1);
			KUNIT_EXPECT_TRUE(test, told(vcpu));
		}
		lapic_accept(vcpu, vector);
		wr(vcpu, APIC_EOI, 0);
	}
}

static void lapic_nested(struct kunit *test)
{
	static const u8 order[] = { 0x31, 0x41, 0xf1 };
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	int i;

	for (i = 0; i < 3; i++) {
		lapic_raise(&vcpu->lapic, order[i], false, false);
		KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), order[i]);
		lapic_accept(vcpu, order[i]);
		KUNIT_EXPECT_FALSE(test, waits(vcpu, order[i]));
		KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), -1);
	}
	/* The same vector again, and one between, wait for the EOIs. */
	lapic_raise(&vcpu->lapic, 0xf1, false, false);
	lapic_raise(&vcpu->lapic, 0x51, false, false);
	KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), -1);

	vcpu->requests = 0;
	vcpu->vmx.recheck = false;
	wr(vcpu, APIC_EOI, 0);
	KUNIT_EXPECT_TRUE(test, told(vcpu));
	KUNIT_EXPECT_EQ(test, lapic_ppr(&vcpu->lapic), 0x40);
	KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), 0xf1);
	lapic_accept(vcpu, 0xf1);
	wr(vcpu, APIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), 0x51);
	lapic_accept(vcpu, 0x51);
	for (i = 2; i >= 0; i--) {
		static const u32 ppr[] = { 0x00, 0x30, 0x40 };

		wr(vcpu, APIC_EOI, 0);
		KUNIT_EXPECT_EQ(test, lapic_ppr(&vcpu->lapic), ppr[i]);
	}
	wr(vcpu, APIC_EOI, 0);	/* one too many does nothing */
	KUNIT_EXPECT_EQ(test, lapic_ppr(&vcpu->lapic), 0);
}

static void lapic_level_eoi(struct kunit *test)
{
	static const struct {
		u32 data;
		bool told;
	} cases[] = {
		{ 0x60, false },
		{ APIC_INT_LEVELTRIG | APIC_INT_ASSERT | 0x60, true },
		{ APIC_INT_LEVELTRIG | APIC_INT_ASSERT | 0xff, true },
		{ 0x60, false },	/* the TMR follows the last message */
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u8 vector;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		KUNIT_EXPECT_EQ(test, lapic_send_msi(f->vm, 0xfee01000, cases[i].data), 1);
		lapic_accept(vcpu, cases[i].data);
		KUNIT_EXPECT_FALSE(test, lapic_next_eoi(vcpu, &vector));
		wr(vcpu, APIC_EOI, 0);
		KUNIT_EXPECT_EQ_MSG(test, lapic_next_eoi(vcpu, &vector), cases[i].told, "%u", i);
		if (cases[i].told)
			KUNIT_EXPECT_EQ(test, vector, (u8)cases[i].data);
		KUNIT_EXPECT_FALSE(test, lapic_next_eoi(vcpu, &vector));
	}
}

/* With whose end nothing else happens: what PV EOI asks. */
static void lapic_alone(struct kunit *test)
{
	static const struct {
		const char *name;
		u8 served[2];		/* accepted, in order */
		u8 waiting;
		bool level;
		u8 vector;
		bool alone;
	} cases[] = {
		{ "one", { 0x41 }, 0, false, 0x41, true },
		{ "the highest there is", { 0xff }, 0, false, 0xff, true },
		{ "the lowest there is", { 0x10 }, 0, false, 0x10, true },
		{ "none", { 0 }, 0, false, 0x41, false },
		{ "another", { 0x51 }, 0, false, 0x41, false },
		{ "two", { 0x41, 0x61 }, 0, false, 0x61, false },
		{ "two in one word", { 0x41, 0x51 }, 0, false, 0x51, false },
		{ "a lower one waits", { 0x41 }, 0x31, false, 0x41, false },
		{ "one of its class waits", { 0x41 }, 0x42, false, 0x41, false },
		{ "the same waits again", { 0x41 }, 0x41, false, 0x41, false },
		{ "level", { 0x41 }, 0, true, 0x41, false },
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		restart(f, true);
		for (j = 0; j < 2 && cases[i].served[j]; j++) {
			lapic_raise(&vcpu->lapic, cases[i].served[j], cases[i].level, true);
			lapic_accept(vcpu, cases[i].served[j]);
		}
		if (cases[i].waiting)
			lapic_raise(&vcpu->lapic, cases[i].waiting, false, true);
		KUNIT_EXPECT_EQ_MSG(test, lapic_is_alone(vcpu, cases[i].vector), cases[i].alone,
				    "%s", cases[i].name);
		if (cases[i].alone) {
			lapic_end_alone(vcpu, cases[i].vector);
			KUNIT_EXPECT_EQ_MSG(test, lapic_ppr(&vcpu->lapic), 0, "%s",
					    cases[i].name);
		}
	}
}

/* ----------------------------------------------------------------- messages */

static void lapic_destinations(struct kunit *test)
{
	static const struct {
		bool x2apic;
		u32 dfr;
		u32 ldr[NR_VCPUS];	/* bits 31:24, xAPIC only */
		bool logical;
		u32 dest;
		u32 want;		/* mask by index */
	} cases[] = {
		/* physical */
		{ false, 15, { 1, 2, 4, 8 }, false, 0, 0x1 },
		{ false, 15, { 1, 2, 4, 8 }, false, 2, 0x4 },
		{ false, 15, { 1, 2, 4, 8 }, false, 17, 0x8 },
		{ false, 15, { 1, 2, 4, 8 }, false, 3, 0x0 },
		{ false, 15, { 1, 2, 4, 8 }, false, 200, 0x0 },
		{ false, 15, { 1, 2, 4, 8 }, false, 0xff, 0xf },
		{ true, 0, { 0 }, false, 17, 0x8 },
		{ true, 0, { 0 }, false, 0xff, 0x0 },
		{ true, 0, { 0 }, false, 0x10001, 0x0 },
		{ true, 0, { 0 }, false, U32_MAX, 0xf },
		/* logical, flat */
		{ false, 15, { 1, 2, 4, 8 }, true, 0x01, 0x1 },
		{ false, 15, { 1, 2, 4, 8 }, true, 0x0a, 0xa },
		{ false, 15, { 1, 2, 4, 8 }, true, 0xf0, 0x0 },
		{ false, 15, { 1, 2, 4, 8 }, true, 0x00, 0x0 },
		{ false, 15, { 0x80, 0x81, 4, 0 }, true, 0x80, 0x3 },
		{ false, 15, { 1, 2, 4, 0 }, true, 0xff, 0xf },
		/* logical, cluster */
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x11, 0x1 },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x13, 0x3 },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x2f, 0xc },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x31, 0x0 },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x10, 0x0 },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0xff, 0xf },
		/* a model that does not exist */
		{ false, 3, { 1, 2, 4, 8 }, true, 0x01, 0x0 },
		/* logical, x2APIC: ids 0, 1, 2 are cluster 0, 17 is cluster 1 */
		{ true, 0, { 0 }, true, 0x00000001, 0x1 },
		{ true, 0, { 0 }, true, 0x00000007, 0x7 },
		{ true, 0, { 0 }, true, 0x00000008, 0x0 },
		{ true, 0, { 0 }, true, 0x00010002, 0x8 },
		{ true, 0, { 0 }, true, 0x00010001, 0x0 },
		{ true, 0, { 0 }, true, 0x000000ff, 0x7 },
		{ true, 0, { 0 }, true, U32_MAX, 0xf },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lapic_message msg = {
			.dest = cases[i].dest,
			.vector = 0x40,
			.logical = cases[i].logical,
			.x2apic = cases[i].x2apic,
		};

		restart(f, cases[i].x2apic);
		for (j = 0; j < NR_VCPUS && !cases[i].x2apic; j++) {
			wr(f->vcpu[j], APIC_DFR, cases[i].dfr << 28);
			wr(f->vcpu[j], APIC_LDR, cases[i].ldr[j] << 24);
		}
		KUNIT_EXPECT_EQ_MSG(test, lapic_send(f->vm, NULL, &msg), hweight32(cases[i].want),
				    "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, 0x40, LODGE_REQ_IRQ), cases[i].want,
				    "case %u", i);
	}
}

/* What vCPU 1 sends through its ICR, in both modes. */
static void lapic_icr(struct kunit *test)
{
	static const struct {
		u32 low;
		u32 dest;
		u32 want;
		enum lodge_request req;
	} cases[] = {
		{ 0x40, 2, 0x4, LODGE_REQ_IRQ },
		{ 0x40, 1, 0x2, LODGE_REQ_IRQ },
		{ APIC_INT_ASSERT | 0x40, 0, 0x1, LODGE_REQ_IRQ },
		{ APIC_INT_LEVELTRIG | APIC_INT_ASSERT | 0x40, 0, 0x1, LODGE_REQ_IRQ },
		{ APIC_DEST_SELF | 0x40, 2, 0x2, LODGE_REQ_IRQ },
		{ APIC_DEST_ALLINC | 0x40, 2, 0xf, LODGE_REQ_IRQ },
		{ APIC_DEST_ALLBUT | 0x40, 2, 0xd, LODGE_REQ_IRQ },
		{ APIC_DEST_ALLBUT | APIC_DEST_LOGICAL | 0x40, 0, 0xd, LODGE_REQ_IRQ },
		{ APIC_DM_NMI, 17, 0x8, LODGE_REQ_NMI },
		{ APIC_DM_NMI, 1, 0x2, LODGE_REQ_NMI },
		{ APIC_DEST_ALLBUT | APIC_DM_NMI, 0, 0xd, LODGE_REQ_NMI },
		{ APIC_DEST_ALLINC | APIC_DM_NMI, 0, 0x0, LODGE_REQ_NMI },
		{ APIC_DEST_SELF | APIC_DM_NMI, 0, 0x0, LODGE_REQ_NMI },
		{ APIC_DM_INIT | APIC_INT_LEVELTRIG | APIC_INT_ASSERT, 2, 0x4, LODGE_REQ_INIT },
		{ APIC_DM_INIT | APIC_INT_ASSERT, 2, 0x4, LODGE_REQ_INIT },
		{ APIC_DM_INIT | APIC_INT_LEVELTRIG, 2, 0x0, LODGE_REQ_INIT },
		{ APIC_DEST_ALLBUT | APIC_DM_INIT | APIC_INT_ASSERT, 0, 0xd, LODGE_REQ_INIT },
		{ APIC_DM_STARTUP | 0x40, 2, 0x4, LODGE_REQ_SIPI },
		{ APIC_DEST_ALLBUT | APIC_DM_STARTUP | 0x40, 2, 0xd, LODGE_REQ_SIPI },
		{ APIC_DM_SMI, 2, 0x0, LODGE_REQ_IRQ },
		{ APIC_DM_EXTINT | 0x40, 2, 0x0, LODGE_REQ_IRQ },
		{ APIC_DM_REMRD | 0x40, 2, 0x0, LODGE_REQ_IRQ },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, round;

	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		struct lodge_vcpu *source = f->vcpu[1];
		u32 others = 0;

		restart(f, i & 1);
		if (i & 1) {
			wr(source, APIC_ICR, (u64)c->dest << 32 | c->low);
			KUNIT_EXPECT_EQ(test, rd(source, APIC_ICR), (u64)c->dest << 32 | c->low);
		} else {
			wr(source, APIC_ICR2, c->dest << 24);
			wr(source, APIC_ICR, c->low);
			KUNIT_EXPECT_EQ(test, rd(source, APIC_ICR), c->low);
		}
		KUNIT_EXPECT_EQ_MSG(test, reached(f, 0x40, c->req), c->want, "case %u", i);
		for (round = LODGE_REQ_IRQ; round <= LODGE_REQ_SIPI; round++)
			others |= reached(f, 0x40, round);
		KUNIT_EXPECT_EQ_MSG(test, others, c->want, "case %u", i);
		if (c->req == LODGE_REQ_SIPI)
			KUNIT_EXPECT_EQ(test, f->vcpu[2]->sipi_vector, 0x40);
		if (c->req == LODGE_REQ_NMI)
			KUNIT_EXPECT_EQ(test, atomic_read(&f->vcpu[3]->nmis_sent), !!(c->want & 8));
		/* IPIs are edge triggered, whatever they say. */
		KUNIT_EXPECT_FALSE(test, lapic_vector_test(&f->vcpu[0]->lapic, APIC_TMR, 0x40));
	}

	restart(f, true);
	KUNIT_EXPECT_EQ(test, wr(f->vcpu[1], APIC_SELF_IPI, 0x77), 0);
	KUNIT_EXPECT_EQ(test, reached(f, 0x77, LODGE_REQ_IRQ), 0x2);
}

static void lapic_lowest_priority(struct kunit *test)
{
	static const struct {
		u8 tpr[NR_VCPUS];
		u32 off;		/* disabled by software, mask by index */
		u8 vector;
		u32 dest;		/* logical, flat: bit by index */
		u32 want;
	} cases[] = {
		{ { 0x40, 0x30, 0x20, 0x50 }, 0, 0x60, 0xff, 0x4 },
		{ { 0x40, 0x30, 0x20, 0x50 }, 0, 0x61, 0x0b, 0x2 },
		{ { 0x40, 0x30, 0x20, 0x50 }, 0, 0x61, 0x08, 0x8 },
		{ { 0x40, 0x30, 0x20, 0x50 }, 0x4, 0x61, 0xff, 0x2 },
		{ { 0x40, 0x30, 0x20, 0x50 }, 0xf, 0x61, 0xff, 0x0 },
		/* equals share by vector */
		{ { 0, 0, 0, 0 }, 0, 0x60, 0xff, 0x1 },
		{ { 0, 0, 0, 0 }, 0, 0x61, 0xff, 0x2 },
		{ { 0, 0, 0, 0 }, 0, 0x62, 0xff, 0x4 },
		{ { 0, 0, 0, 0 }, 0, 0x63, 0xff, 0x8 },
		{ { 0x10, 0, 0x10, 0 }, 0, 0x61, 0xff, 0x8 },
		{ { 0x10, 0, 0x10, 0 }, 0, 0x62, 0xff, 0x2 },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 address = 0xfee00000 | cases[i].dest << 12 | BIT(2);

		restart(f, false);
		for (j = 0; j < NR_VCPUS; j++) {
			wr(f->vcpu[j], APIC_LDR, BIT(j) << 24);
			wr(f->vcpu[j], APIC_TASKPRI, cases[i].tpr[j]);
			if (cases[i].off & BIT(j))
				wr(f->vcpu[j], APIC_SPIV, 0xff);
		}
		KUNIT_EXPECT_EQ(test, lapic_send_msi(f->vm, address,
						     APIC_DM_LOWEST | cases[i].vector),
				!!cases[i].want);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, cases[i].vector, LODGE_REQ_IRQ),
				    cases[i].want, "case %u", i);

		/* With the redirection hint a fixed message does the same. */
		if (!cases[i].want)
			continue;
		lapic_accept(f->vcpu[__ffs(cases[i].want)], cases[i].vector);
		wr(f->vcpu[__ffs(cases[i].want)], APIC_EOI, 0);
		lapic_send_msi(f->vm, address | BIT(3), cases[i].vector);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, cases[i].vector, LODGE_REQ_IRQ),
				    cases[i].want, "case %u, hint", i);
	}
}

static void lapic_msi(struct kunit *test)
{
	static const struct {
		u64 address;
		u32 data;
		int taken;
		u32 want;
		enum lodge_request req;
	} cases[] = {
		{ 0xfee00000, 0x40, 1, 0x1, LODGE_REQ_IRQ },
		{ 0xfee02000, 0x40, 1, 0x4, LODGE_REQ_IRQ },
		{ 0xfee02008, 0x40, 1, 0x4, LODGE_REQ_IRQ },
		{ 0xfee11000, 0x40, 1, 0x8, LODGE_REQ_IRQ },
		{ 0xfee03000, 0x40, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfeeff000, 0x40, 4, 0xf, LODGE_REQ_IRQ },
		{ 0xfee06004, 0x40, 2, 0x6, LODGE_REQ_IRQ },
		{ 0xfee02000, 0xc040, 1, 0x4, LODGE_REQ_IRQ },
		{ 0xfee02000, 0x8040, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfee02000, 0xffff0040, 1, 0x4, LODGE_REQ_IRQ },
		{ 0xfee02000, APIC_DM_NMI, 1, 0x4, LODGE_REQ_NMI },
		{ 0xfee02000, APIC_DM_INIT, 1, 0x4, LODGE_REQ_INIT },
		{ 0xfee02000, APIC_DM_STARTUP | 0x40, 0, 0x0, LODGE_REQ_SIPI },
		{ 0xfee02000, APIC_DM_SMI, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfee02000, APIC_DM_EXTINT | 0x40, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfee02000, 0x0f, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfed02000, 0x40, -EINVAL, 0x0, LODGE_REQ_IRQ },
		{ 0xfef00000, 0x40, -EINVAL, 0x0, LODGE_REQ_IRQ },
		{ 0x1fee00000, 0x40, -EINVAL, 0x0, LODGE_REQ_IRQ },
		{ 0, 0x40, -EINVAL, 0x0, LODGE_REQ_IRQ },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		restart(f, false);
		for (j = 0; j < NR_VCPUS; j++)
			wr(f->vcpu[j], APIC_LDR, BIT(j) << 24);
		KUNIT_EXPECT_EQ_MSG(test, lapic_send_msi(f->vm, cases[i].address, cases[i].data),
				    cases[i].taken, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, 0x40, cases[i].req), cases[i].want,
				    "case %u", i);
	}

	/* A vector that already waits is taken, and asks for nothing new. */
	restart(f, false);
	lapic_send_msi(f->vm, 0xfee02000, 0x40);
	f->vcpu[2]->requests = 0;
	KUNIT_EXPECT_EQ(test, lapic_send_msi(f->vm, 0xfee02000, 0x40), 1);
	KUNIT_EXPECT_EQ(test, f->vcpu[2]->requests, 0);
}

/* -------------------------------------------------------------------- timer */

#define MINUTE_NS	(60ull * NSEC_PER_SEC)

static u64 to_ticks(u64 ns)
{
	return mul_u64_u32_div(ns, tsc_khz, NSEC_PER_MSEC);
}

/* Nanoseconds until the armed timer fires; what a slow machine loses is allowed. */
static void expect_due(struct kunit *test, struct lodge_vcpu *vcpu, u64 ns)
{
	s64 left = vcpu->lapic.timer_tsc - lodge_guest_tsc(vcpu);

	KUNIT_EXPECT_NE(test, vcpu->lapic.timer_tsc, 0ull);
	KUNIT_EXPECT_LE(test, left, (s64)to_ticks(ns) + 1);
	KUNIT_EXPECT_GT(test, left, (s64)to_ticks(ns) - (s64)to_ticks(10 * (u64)NSEC_PER_SEC));
}

static void expect_stopped(struct kunit *test, struct lodge_vcpu *vcpu)
{
	KUNIT_EXPECT_EQ(test, vcpu->lapic.timer_tsc, 0ull);
	KUNIT_EXPECT_EQ(test, lapic_take_timer(vcpu), U64_MAX);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_TMCCT), 0);
}

/* Let the armed timer's time have come, @ns ago. */
static void pass(struct lodge_vcpu *vcpu, u64 ns)
{
	vcpu->lapic.timer_tsc = lodge_guest_tsc(vcpu) - to_ticks(ns);
}

static void lapic_timer_divide(struct kunit *test)
{
	static const struct {
		u8 tdcr;
		u8 divide;
	} cases[] = {
		{ 0x0, 2 }, { 0x1, 4 }, { 0x2, 8 }, { 0x3, 16 },
		{ 0x8, 32 }, { 0x9, 64 }, { 0xa, 128 }, { 0xb, 1 },
	};
	const u32 count = 4000000000u;
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 i;

	wr(vcpu, APIC_LVTT, 0x30);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		wr(vcpu, APIC_TDCR, cases[i].tdcr);
		wr(vcpu, APIC_TMICT, count);
		vcpu->lapic.timer_tsc += to_ticks(MINUTE_NS);
		KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_TMCCT), count);	/* never more */
		wr(vcpu, APIC_TMICT, count);
		expect_due(test, vcpu, (u64)count * cases[i].divide);
	}

	/* A new rate under way keeps the count. */
	wr(vcpu, APIC_TDCR, 0xa);
	wr(vcpu, APIC_TMICT, count);
	vcpu->lapic.timer_tsc -= to_ticks(64ull * count);
	wr(vcpu, APIC_TDCR, 0x9);
	expect_due(test, vcpu, 32ull * count);
	wr(vcpu, APIC_TMICT, 0);
	expect_stopped(test, vcpu);
	wr(vcpu, APIC_TDCR, 0x0);
	expect_stopped(test, vcpu);
}

static void lapic_timer_one_shot(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 i;

	/* Really, by the clock, and asleep. */
	wr(vcpu, APIC_LVTT, 0x30);
	wr(vcpu, APIC_TDCR, 0xb);
	wr(vcpu, APIC_TMICT, 100000);
	lapic_sleep_begin(vcpu);
	for (i = 0; i < 1000 && !test_bit(LODGE_REQ_TIMER, &vcpu->requests); i++)
		usleep_range(1000, 2000);
	lapic_sleep_end(vcpu);
	KUNIT_EXPECT_TRUE(test, test_bit(LODGE_REQ_TIMER, &vcpu->requests));
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_TMCCT), 0);
	vcpu->vmx.recheck = false;
	lapic_take_timer(vcpu);
	KUNIT_EXPECT_TRUE(test, vcpu->vmx.recheck);
	KUNIT_EXPECT_TRUE(test, waits(vcpu, 0x30));
	expect_stopped(test, vcpu);
	lapic_accept(vcpu, 0x30);
	lapic_take_timer(vcpu);
	KUNIT_EXPECT_FALSE(test, waits(vcpu, 0x30));

	/* Masked: it expires and nothing comes of it. */
	wr(vcpu, APIC_LVTT, APIC_LVT_MASKED | 0x30);
	wr(vcpu, APIC_TMICT, U32_MAX);
	pass(vcpu, 1);
	lapic_take_timer(vcpu);
	KUNIT_EXPECT_FALSE(test, waits(vcpu, 0x30));
	expect_stopped(test, vcpu);

	/* What has expired is delivered by the LVT it expired under. */
	wr(vcpu, APIC_LVTT, 0x31);
	wr(vcpu, APIC_TMICT, U32_MAX);
	pass(vcpu, 1);
	wr(vcpu, APIC_LVTT, 0x32);
	KUNIT_EXPECT_TRUE(test, waits(vcpu, 0x31));
	KUNIT_EXPECT_FALSE(test, waits(vcpu, 0x32));

	/* Too early: it waits for the rest. */
	wr(vcpu, APIC_TMICT, U32_MAX);
	KUNIT_EXPECT_LE(test, lapic_take_timer(vcpu), to_ticks(U32_MAX) + 1);
	KUNIT_EXPECT_FALSE(test, waits(vcpu, 0x32));
	expect_due(test, vcpu, U32_MAX);

	/* Nobody is woken for a timer that is masked or stopped. */
	wr(vcpu, APIC_LVTT, APIC_LVT_MASKED | 0x32);
	lapic_sleep_begin(vcpu);
	KUNIT_EXPECT_FALSE(test, hrtimer_active(&vcpu->lapic.timer));
	wr(vcpu, APIC_TMICT, 0);
	wr(vcpu, APIC_LVTT, 0x32);
	lapic_sleep_begin(vcpu);
	KUNIT_EXPECT_FALSE(test, hrtimer_active(&vcpu->lapic.timer));
	wr(vcpu, APIC_TMICT, U32_MAX);
	lapic_sleep_begin(vcpu);
	KUNIT_EXPECT_TRUE(test, hrtimer_active(&vcpu->lapic.timer));
	lapic_sleep_end(vcpu);
	KUNIT_EXPECT_FALSE(test, hrtimer_active(&vcpu->lapic.timer));

	/* The guest sets its TSC: that is not this timer's affair. */
	vcpu->vmx.tsc_offset += to_ticks(MINUTE_NS);
	lapic_tsc_changed(vcpu, to_ticks(MINUTE_NS));
	lapic_take_timer(vcpu);
	KUNIT_EXPECT_FALSE(test, waits(vcpu, 0x32));
	expect_due(test, vcpu, U32_MAX);
	vcpu->vmx.tsc_offset = 0;

	/* An illegal vector is an error, not an interrupt. */
	wr(vcpu, APIC_LVTT, 0x02);
	pass(vcpu, 1);
	lapic_take_timer(vcpu);
	wr(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_ESR), APIC_ESR_RECVILL);
}

static void lapic_timer_periodic(struct kunit *test)
{
	const u64 period = 128ull * 1000000000;
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	struct lapic *apic = &vcpu->lapic;
	u64 was;

	/* This machine may have started only now. */
	vcpu->vmx.tsc_offset = to_ticks(60 * MINUTE_NS);
	wr(vcpu, APIC_LVTT, APIC_LVT_TIMER_PERIODIC | 0x30);
	wr(vcpu, APIC_TDCR, 0xa);
	wr(vcpu, APIC_TMICT, 1000000000);
	KUNIT_EXPECT_EQ(test, apic->timer_period, to_ticks(period));
	expect_due(test, vcpu, period);

	/* Five periods and a half late: one interrupt, and still in step. */
	pass(vcpu, 5 * period + period / 2);
	was = apic->timer_tsc;
	lapic_take_timer(vcpu);
	KUNIT_EXPECT_TRUE(test, waits(vcpu, 0x30));
	KUNIT_EXPECT_EQ(test, apic->timer_tsc - was, 6 * to_ticks(period));
	expect_due(test, vcpu, period / 2);

	/* The count goes round while the interrupt waits to be taken over. */
	pass(vcpu, period / 4);
	KUNIT_EXPECT_LE(test, rd(vcpu, APIC_TMCCT), 750000000);
	KUNIT_EXPECT_GT(test, rd(vcpu, APIC_TMCCT), 600000000);

	/* No period is so short that the vCPU cannot get between two. */
	wr(vcpu, APIC_TDCR, 0xb);
	wr(vcpu, APIC_TMICT, 1);
	KUNIT_EXPECT_GE(test, apic->timer_period, to_ticks(10000));
	KUNIT_EXPECT_LE(test, rd(vcpu, APIC_TMCCT), 1);
	wr(vcpu, APIC_TMICT, 0);
	KUNIT_EXPECT_EQ(test, apic->timer_period, 0ull);
	expect_stopped(test, vcpu);
	vcpu->vmx.tsc_offset = 0;
}

static void lapic_timer_tsc_deadline(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u64 minute = (u64)tsc_khz * 1000 * 60;

	/* Nothing in other modes. */
	wr(vcpu, APIC_LVTT, 0x30);
	lapic_tsc_deadline_write(vcpu, lodge_guest_tsc(vcpu) + minute);
	KUNIT_EXPECT_EQ(test, lapic_tsc_deadline_read(vcpu), 0);
	expect_stopped(test, vcpu);

	wr(vcpu, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | 0x30);
	wr(vcpu, APIC_TMICT, 1000);
	expect_stopped(test, vcpu);

	lapic_tsc_deadline_write(vcpu, lodge_guest_tsc(vcpu) + minute);
	expect_due(test, vcpu, MINUTE_NS);
	KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_TMCCT), 0);
	lapic_tsc_deadline_write(vcpu, 0);
	expect_stopped(test, vcpu);

	/* In the past: at once, and the register is clear. */
	lapic_tsc_deadline_write(vcpu, lodge_guest_tsc(vcpu));
	KUNIT_EXPECT_TRUE(test, waits(vcpu, 0x30));
	KUNIT_EXPECT_EQ(test, lapic_tsc_deadline_read(vcpu), 0);
	expect_stopped(test, vcpu);
	lapic_accept(vcpu, 0x30);

	/* Beyond all reckoning: no overflow, who sleeps looks again after a day. */
	lapic_tsc_deadline_write(vcpu, U64_MAX);
	KUNIT_EXPECT_EQ(test, lapic_tsc_deadline_read(vcpu), U64_MAX);
	lapic_sleep_begin(vcpu);
	KUNIT_EXPECT_LE(test, ktime_to_ns(hrtimer_get_remaining(&vcpu->lapic.timer)),
			86400 * (s64)NSEC_PER_SEC + 1);
	lapic_sleep_end(vcpu);
	lapic_take_timer(vcpu);
	KUNIT_EXPECT_FALSE(test, waits(vcpu, 0x30));
	KUNIT_EXPECT_EQ(test, lapic_tsc_deadline_read(vcpu), U64_MAX);

	/* The TSC jumps to before, then over it. */
	lapic_tsc_deadline_write(vcpu, lodge_guest_tsc(vcpu) + 2 * minute);
	vcpu->vmx.tsc_offset += minute;
	lapic_tsc_changed(vcpu, minute);
	expect_due(test, vcpu, MINUTE_NS);
	vcpu->vmx.tsc_offset += minute;
	lapic_tsc_changed(vcpu, minute);
	lapic_take_timer(vcpu);
	KUNIT_EXPECT_TRUE(test, waits(vcpu, 0x30));
	expect_stopped(test, vcpu);
	vcpu->vmx.tsc_offset = 0;
}

/* SDM 3A 11.5.4.1: a write that changes the mode disarms the timer. */
static void lapic_timer_modes(struct kunit *test)
{
	static const u32 modes[] = {
		APIC_LVT_TIMER_ONESHOT, APIC_LVT_TIMER_PERIODIC, APIC_LVT_TIMER_TSCDEADLINE,
		LAPIC_TIMER_MODE,	/* reserved: the timer does not run */
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 from, to;

	for (from = 0; from < ARRAY_SIZE(modes); from++) {
		for (to = 0; to < ARRAY_SIZE(modes); to++) {
			wr(vcpu, APIC_LVTT, modes[from] | 0x30);
			wr(vcpu, APIC_TMICT, U32_MAX);
			lapic_tsc_deadline_write(vcpu, U64_MAX);
			KUNIT_EXPECT_EQ(test, vcpu->lapic.timer_tsc != 0, from != 3);
			wr(vcpu, APIC_LVTT, modes[to] | 0x31);
			KUNIT_EXPECT_EQ(test, rd(vcpu, APIC_LVTT), modes[to] | 0x31);
			if (from != to)
				expect_stopped(test, vcpu);
			else
				KUNIT_EXPECT_EQ(test, vcpu->lapic.timer_tsc != 0, from != 3);
		}
		lapic_reset(vcpu, true);
		expect_stopped(test, vcpu);
		wr(vcpu, APIC_SPIV, ENABLED);
	}
}

/* -------------------------------------------------------------------- state */

static void lapic_state_round_trip(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	struct lodge_lapic *st = kunit_kzalloc(test, 2 * sizeof(*st), GFP_KERNEL);
	struct lodge_vcpu *vcpu = f->vcpu[3];
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, st);
	for (i = 0; i < 2; i++) {
		restart(f, i);
		wr(vcpu, APIC_LVTT, APIC_LVT_TIMER_PERIODIC | 0x30);
		wr(vcpu, APIC_TMICT, U32_MAX);
		wr(vcpu, APIC_TASKPRI, 0x20);
		wr(vcpu, APIC_ICR, i ? 0x1100000040 : 0x40);
		lapic_send_msi(f->vm, 0xfee11000, 0xc051);
		lapic_raise(&vcpu->lapic, 0x61, false, true);
		lapic_accept(vcpu, 0x61);
		lapic_get_state(vcpu, &st[0]);
		KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, &st[0]), 0);

		lapic_reset(vcpu, false);
		vcpu->requests = 0;
		lapic_set_state(vcpu, &st[0]);
		lapic_get_state(vcpu, &st[1]);
		KUNIT_EXPECT_LE(test, st[1].timer_ns, st[0].timer_ns);
		KUNIT_EXPECT_GT(test, st[1].timer_ns, 0);
		KUNIT_EXPECT_EQ(test, vcpu->lapic.timer_period, to_ticks(2ull * U32_MAX));
		st[1].timer_ns = st[0].timer_ns;
		st[1].regs[APIC_TMCCT / 4] = st[0].regs[APIC_TMCCT / 4];
		KUNIT_EXPECT_EQ(test, memcmp(&st[0], &st[1], sizeof(*st)), 0);
		KUNIT_EXPECT_TRUE(test, test_bit(LODGE_REQ_IRQ, &vcpu->requests));
		KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), -1);
		wr(vcpu, APIC_EOI, 0);
		KUNIT_EXPECT_EQ(test, lapic_next_vector(vcpu), 0x51);
	}

	wr(vcpu, APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | 0x30);
	lapic_tsc_deadline_write(vcpu, U64_MAX);
	lapic_get_state(vcpu, &st[0]);
	KUNIT_EXPECT_EQ(test, st[0].tsc_deadline, U64_MAX);
	KUNIT_EXPECT_EQ(test, st[0].timer_ns, 0);
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, &st[0]), 0);
	lapic_reset(vcpu, false);
	lapic_set_state(vcpu, &st[0]);
	KUNIT_EXPECT_EQ(test, lapic_tsc_deadline_read(vcpu), U64_MAX);
}

/* One wrong thing at a time in otherwise good state. */
static void lapic_state_refused(struct kunit *test)
{
	static const struct {
		u32 offset;
		u32 value;
	} bad[] = {
		{ 0x000, 1 },			{ APIC_ID, 2 << 24 },
		{ APIC_ID + 4, 1 },		{ APIC_LVR, 0 },
		{ APIC_TASKPRI, 0x100 },	{ APIC_EOI, 1 },
		{ APIC_LDR, 1 },		{ APIC_DFR, 0xf0000000 },
		{ APIC_SPIV, 0x1000 },		{ APIC_SPIV, 0x0ff },	/* LVTs unmasked */
		{ APIC_ISR, 0x8000 },		{ APIC_TMR, 1 },
		{ APIC_IRR, 0x8000 },		{ APIC_IRR + 4, 0x10000 },
		{ APIC_ESR, 0x100 },		{ APIC_LVTCMCI, 0x1000 },
		{ APIC_LVTT, 0x80000 },		{ APIC_LVT0, 0x4000 },
		{ APIC_LVTERR, 0x100 },		{ APIC_ICR, 0x1000 },
		{ APIC_ICR + 4, 1 },		{ APIC_ICR2, 1 },
		{ APIC_TDCR, 4 },		{ 0x3a0, 1 },
		{ APIC_SELF_IPI, 0x40 },	{ 0x3fc, 1 },
	};
	struct lapic_fixture *f = test->priv;
	struct lodge_lapic *good = kunit_kzalloc(test, 2 * sizeof(*good), GFP_KERNEL);
	struct lodge_lapic *st = good + 1;
	struct lodge_vcpu *vcpu = f->vcpu[1];
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, good);
	wr(vcpu, APIC_LVT0, 0x40);
	lapic_get_state(vcpu, good);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		*st = *good;
		KUNIT_ASSERT_EQ(test, lapic_check_state(vcpu, st), 0);
		st->regs[bad[i].offset / 4] = bad[i].value;
		KUNIT_EXPECT_EQ_MSG(test, lapic_check_state(vcpu, st), -EINVAL,
				    "register %x", bad[i].offset);
	}

	*st = *good;
	st->base = LAPIC_MMIO_BASE | X2APIC_ENABLE;
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), -EINVAL);
	st->base = X2APIC_BASE;		/* the id has xAPIC form */
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), -EINVAL);
	st->regs[APIC_ID / 4] = 1;
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), -EINVAL);
	st->regs[APIC_LDR / 4] = 2;
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), 0);
	st->regs[APIC_ICR2 / 4] = 1 << 24;
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), -EINVAL);

	*st = *good;
	st->tsc_deadline = 1;		/* one-shot mode */
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), -EINVAL);
	st->regs[APIC_LVTT / 4] = APIC_LVT_TIMER_TSCDEADLINE | 0x30;
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), 0);
	st->timer_ns = 1;
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), -EINVAL);

	*st = *good;
	st->timer_ns = 1;		/* runs without a count */
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), -EINVAL);
	st->regs[APIC_TMICT / 4] = 1;
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), 0);
	st->timer_ns = U64_MAX;
	KUNIT_EXPECT_EQ(test, lapic_check_state(vcpu, st), -EINVAL);
}

/* ------------------------------------------------------------------- routes */

#define ROUTE(n, a, d)	{ .id = (n), .address = (a), .data = (d) }

static void routes_refused(struct kunit *test)
{
	static const struct lodge_route cases[] = {
		ROUTE(LODGE_MAX_ROUTES, 0xfee00000, 0x40),
		ROUTE(U32_MAX, 0xfee00000, 0x40),
		ROUTE(1, 0xfee00000, 0x40),	/* there is a 1 already */
		ROUTE(2, 0xfed00000, 0x40),
		ROUTE(2, 0x1fee00000, 0x40),
		ROUTE(2, 0xfee00000, 0x0f),
		ROUTE(2, 0xfee00000, 0),
		ROUTE(2, 0xfee00000, APIC_DM_LOWEST | 0x0f),
		ROUTE(2, 0xfee00000, APIC_DM_SMI),
		ROUTE(2, 0xfee00000, 0x340),	/* a reserved mode */
		ROUTE(2, 0xfee00000, APIC_DM_STARTUP | 0x40),
		ROUTE(2, 0xfee00000, APIC_DM_EXTINT | 0x40),
		ROUTE(2, 0xfee00000, 0x8040),	/* a level goes down */
		{ .id = 2, .address = 0xfee00000, .data = 0x40, .flags = 1 },
		{ .id = 2, .address = 0xfee00000, .data = 0x40, .reserved = 1 },
	};
	struct lodge_route routes[3] = { ROUTE(1, 0xfee01000, 0x40), {},
					 ROUTE(3, 0xfee01000, 0x42) };
	struct lapic_fixture *f = test->priv;
	u32 i, bad;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		routes[1] = cases[i];
		bad = U32_MAX;
		KUNIT_EXPECT_EQ_MSG(test, lodge_routes_set(f->vm, routes, 3, &bad), -EINVAL,
				    "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, bad, 1u, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, lodge_route_send(f->vm, 1), -ENOENT, "case %u", i);
	}
}

static void routes_send(struct kunit *test)
{
	static const struct lodge_route routes[] = {
		ROUTE(LODGE_MAX_ROUTES - 1, 0xfee02000, 0x40),
		ROUTE(0, 0xfeeff000, 0x41),
		ROUTE(5, 0xfee01000, 0xc042),
		ROUTE(6, 0xfee03000, 0x43),	/* nobody has that id */
		ROUTE(7, 0xfee02000, APIC_DM_NMI),
		ROUTE(8, 0xfee00000, 0x10),
	};
	static const struct {
		u32 id;
		int taken;
		u8 vector;
		u32 want;
		enum lodge_request req;
	} cases[] = {
		{ LODGE_MAX_ROUTES - 1, 1, 0x40, 0x4, LODGE_REQ_IRQ },
		{ 0, 4, 0x41, 0xf, LODGE_REQ_IRQ },
		{ 5, 1, 0x42, 0x2, LODGE_REQ_IRQ },
		{ 6, 0, 0x43, 0, LODGE_REQ_IRQ },
		{ 7, 1, 0, 0x4, LODGE_REQ_NMI },
		{ 8, 1, 0x10, 0x1, LODGE_REQ_IRQ },
		{ 1, -ENOENT, 0x40, 0, LODGE_REQ_IRQ },
		{ LODGE_MAX_ROUTES, -ENOENT, 0x40, 0, LODGE_REQ_IRQ },
		{ U32_MAX, -ENOENT, 0x40, 0, LODGE_REQ_IRQ },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, bad;

	KUNIT_ASSERT_EQ(test, lodge_routes_set(f->vm, routes, ARRAY_SIZE(routes), &bad), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		restart(f, false);
		KUNIT_EXPECT_EQ_MSG(test, lodge_route_send(f->vm, cases[i].id), cases[i].taken,
				    "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, cases[i].vector, cases[i].req),
				    cases[i].want, "case %u", i);
	}
}

/* The new table counts alone; a refused one not at all. */
static void routes_replaced(struct kunit *test)
{
	static const struct lodge_route first[] = { ROUTE(0, 0xfee01000, 0x40),
						    ROUTE(9, 0xfee01000, 0x41) };
	static const struct lodge_route second[] = { ROUTE(0, 0xfee02000, 0x50) };
	static const struct lodge_route wrong[] = { ROUTE(0, 0xfee02000, 1) };
	struct lapic_fixture *f = test->priv;
	u32 bad;

	KUNIT_ASSERT_EQ(test, lodge_routes_set(f->vm, first, 2, &bad), 0);
	KUNIT_ASSERT_EQ(test, lodge_routes_set(f->vm, second, 1, &bad), 0);
	KUNIT_EXPECT_EQ(test, lodge_route_send(f->vm, 9), -ENOENT);
	KUNIT_EXPECT_EQ(test, lodge_routes_set(f->vm, wrong, 1, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, lodge_route_send(f->vm, 0), 1);
	KUNIT_EXPECT_EQ(test, reached(f, 0x50, LODGE_REQ_IRQ), 0x4u);
	KUNIT_EXPECT_EQ(test, reached(f, 0x40, LODGE_REQ_IRQ), 0u);
	KUNIT_EXPECT_EQ(test, lodge_routes_set(f->vm, NULL, 0, &bad), 0);
	KUNIT_EXPECT_EQ(test, lodge_route_send(f->vm, 0), -ENOENT);
}

/* ------------------------------------------------------------------ fixture */

static struct lodge_vcpu *make_vcpu(struct kunit *test, struct lodge_vm *vm, u32 id)
{
	struct lodge_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	if (!vcpu)
		return NULL;
	vcpu->cpuid = kunit_kzalloc(test, sizeof(*vcpu->cpuid), GFP_KERNEL);
	if (!vcpu->cpuid)
		return NULL;

	vcpu->cpuid->features = BIT_ULL(GF_X2APIC) | BIT_ULL(GF_TSC_DEADLINE);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->cpu = -1;
	rcuwait_init(&vcpu->wait);
	return lapic_init(vcpu) ? NULL : vcpu;
}

static int lapic_test_init(struct kunit *test)
{
	struct lapic_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	u32 i;

	if (!f)
		return -ENOMEM;
	test->priv = f;
	f->vm = kunit_kzalloc(test, sizeof(*f->vm), GFP_KERNEL);
	if (!f->vm)
		return -ENOMEM;
	lodge_signals_init(&f->vm->signals);

	for (i = 0; i < NR_VCPUS; i++) {
		f->vcpu[i] = make_vcpu(test, f->vm, test_ids[i]);
		if (!f->vcpu[i])
			return -ENOMEM;
		f->vm->vcpus[test_ids[i]] = f->vcpu[i];
	}
	restart(f, false);
	return 0;
}

static void lapic_test_exit(struct kunit *test)
{
	struct lapic_fixture *f = test->priv;
	u32 i;

	if (f && f->vm)
		lodge_signals_destroy(&f->vm->signals);
	for (i = 0; f && i < NR_VCPUS; i++)
		if (f->vcpu[i])
			lapic_destroy(f->vcpu[i]);
}

static struct kunit_case lapic_cases[] = {
	KUNIT_CASE(lapic_reset_values),
	KUNIT_CASE(lapic_reset_modes),
	KUNIT_CASE(lapic_base_transitions),
	KUNIT_CASE(lapic_base_state),
	KUNIT_CASE(lapic_x2apic_registers),
	KUNIT_CASE(lapic_reserved_bits),
	KUNIT_CASE(lapic_xapic_widths),
	KUNIT_CASE(lapic_errors),
	KUNIT_CASE(lapic_software_disable),
	KUNIT_CASE(lapic_priority),
	KUNIT_CASE(lapic_tpr_matrix),
	KUNIT_CASE(lapic_nested),
	KUNIT_CASE(lapic_level_eoi),
	KUNIT_CASE(lapic_alone),
	KUNIT_CASE(lapic_destinations),
	KUNIT_CASE(lapic_icr),
	KUNIT_CASE(lapic_lowest_priority),
	KUNIT_CASE(lapic_msi),
	KUNIT_CASE(lapic_timer_divide),
	KUNIT_CASE(lapic_timer_one_shot),
	KUNIT_CASE(lapic_timer_periodic),
	KUNIT_CASE(lapic_timer_tsc_deadline),
	KUNIT_CASE(lapic_timer_modes),
	KUNIT_CASE(lapic_state_round_trip),
	KUNIT_CASE(lapic_state_refused),
	KUNIT_CASE(routes_refused),
	KUNIT_CASE(routes_send),
	KUNIT_CASE(routes_replaced),
	{}
};

struct kunit_suite lodge_lapic_suite = {
	.name = "lodge_lapic",
	.init = lapic_test_init,
	.exit = lapic_test_exit,
	.test_cases = lapic_cases,
};
