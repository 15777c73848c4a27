// SPDX-License-Identifier: GPL-2.0
/* The local APIC's timer against the SDM, in each of its modes. */
#include <linux/delay.h>
#include <linux/ktime.h>

#include "lapic_vcpus.h"
#include "suites.h"

#define MINUTE_NS	(60ull * NSEC_PER_SEC)

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

static struct kunit_case lapic_timer_cases[] = {
	KUNIT_CASE(lapic_timer_divide),
	KUNIT_CASE(lapic_timer_one_shot),
	KUNIT_CASE(lapic_timer_periodic),
	KUNIT_CASE(lapic_timer_tsc_deadline),
	KUNIT_CASE(lapic_timer_modes),
	{}
};

struct kunit_suite lodge_lapic_timer_suite = {
	.name = "lodge_lapic_timer",
	.init = lapic_vcpus_init,
	.exit = lapic_vcpus_exit,
	.test_cases = lapic_timer_cases,
};
