// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC against the SDM, case by case: its registers and modes, priorities, and
 * the state that user space saves.
 */
#include "lapic_vcpus.h"
#include "suites.h"

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
	KUNIT_CASE(lapic_state_round_trip),
	KUNIT_CASE(lapic_state_refused),
	{}
};

struct kunit_suite lodge_lapic_suite = {
	.name = "lodge_lapic",
	.init = lapic_vcpus_init,
	.exit = lapic_vcpus_exit,
	.test_cases = lapic_cases,
};
