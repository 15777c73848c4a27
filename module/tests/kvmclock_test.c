// SPDX-License-Identifier: GPL-2.0
/*
 * kvmclock's arithmetic against 128 bits, and a VM's clock against the host's,
 * read as a guest reads it.
 */
#include <kunit/test.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>

#include "../lodge.h"
#include "suites.h"

struct kvmclock_fixture {
	struct lodge_vm *vm;
	struct lodge_vcpu *vcpu[2];
};

static const u32 rates_khz[] = {
	1, 999, 1000, 32768, 100000, 499999, 500000, 999999, 1000000, 1000001, 1193182,
	1600000, 1999999, 2000000, 2000001, 2394231, 2800000, 3000000, 3141593, 3999999,
	4000000, 5799999, 8000000, 123456789, 4294967295u,
};

/* Exact nanoseconds of @ticks; both fit. */
static u64 exact_ns(u64 ticks, u32 khz)
{
	return mul_u64_u64_div_u64(ticks, NSEC_PER_MSEC, khz);
}

static void kvmclock_scale_accuracy(struct kunit *test)
{
	u32 i, seconds, mult;
	s8 shift;

	for (i = 0; i < ARRAY_SIZE(rates_khz); i++) {
		u32 khz = rates_khz[i];

		kvmclock_scale(khz, &mult, &shift);
		KUNIT_EXPECT_GE_MSG(test, mult, BIT(31), "%u kHz", khz);
		for (seconds = 1; seconds < 100000000; seconds *= 7) {
			u64 ticks = (u64)khz * 1000 * seconds + 12345;
			u64 want = exact_ns(ticks, khz);
			u64 got = pvclock_scale_delta(ticks, mult, shift);

			/* 2^-31 of it, and a tick or two of those shifted out. */
			KUNIT_EXPECT_LE_MSG(test, got, want, "%u kHz", khz);
			KUNIT_EXPECT_LE_MSG(test, want - got, (want >> 31) + 2, "%u kHz", khz);
		}
	}
}

/* A guest computes the rate back, as pvclock_tsc_khz() does. */
static void kvmclock_scale_inverse(struct kunit *test)
{
	u32 khz, mult;
	s8 shift;

	for (khz = 100000; khz < 6000000; khz += 997) {
		u64 back;

		kvmclock_scale(khz, &mult, &shift);
		back = div_u64((u64)NSEC_PER_MSEC << 32, mult);
		back = shift < 0 ? back << -shift : back >> shift;
		/* Exact but for the bits that its own last shift to the left loses. */
		KUNIT_EXPECT_EQ_MSG(test, back, shift < 0 ? khz >> -shift << -shift : khz,
				    "%u kHz", khz);
	}
}

static void kvmclock_set_arithmetic(struct kunit *test)
{
	static const struct {
		u64 guest, then, now, want;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 1000, 0, 5000, 1000 },		/* no host time: as it stood */
		{ 1000, 4000, 5000, 2000 },
		{ 1000, 5000, 5000, 1000 },
		{ 1000, 6000, 5000, 1000 },		/* the host's clock was set back */
		{ 1000, U64_MAX, 5000, 1000 },
		{ 0, 1, U64_MAX, S64_MAX },
		{ U64_MAX, 0, 0, S64_MAX },
		{ U64_MAX, 1, 3, S64_MAX },
		{ S64_MAX, 1, 2, S64_MAX },
		{ S64_MAX - 1, 1, 2, S64_MAX },
		{ S64_MAX - 2, 1, 2, S64_MAX - 1 },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, kvmclock_shifted_ns(cases[i].guest, cases[i].then,
							      cases[i].now),
				    cases[i].want, "case %u", i);
}

static void kvmclock_versions(struct kunit *test)
{
	static const u32 versions[][2] = {
		{ 0, 2 }, { 1, 4 }, { 2, 4 }, { 3, 6 }, { U32_MAX - 1, 0 }, { U32_MAX, 2 },
	};
	u32 i;

	/* Even, another than before, and odd (thus another, too) on the way there. */
	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		u32 next = kvmclock_next_version(versions[i][0]);

		KUNIT_EXPECT_EQ(test, next, versions[i][1]);
		KUNIT_EXPECT_NE(test, next - 1, versions[i][0]);
	}
}

static void kvmclock_page(struct kunit *test)
{
	struct kvmclock_base base = {
		.tsc = 1000, .ns = 77, .mult = 0x80000001, .shift = -1, .stable = true,
	};
	struct pvclock_vcpu_time_info page;

	BUILD_BUG_ON(sizeof(page) != 32);
	memset(&page, 0xff, sizeof(page));
	kvmclock_fill(&page, &base, -600ull);
	KUNIT_EXPECT_EQ(test, page.tsc_timestamp, 400);
	KUNIT_EXPECT_EQ(test, page.system_time, 77);
	KUNIT_EXPECT_EQ(test, page.tsc_to_system_mul, 0x80000001);
	KUNIT_EXPECT_EQ(test, page.tsc_shift, -1);
	KUNIT_EXPECT_EQ(test, page.flags, PVCLOCK_TSC_STABLE_BIT);
	KUNIT_EXPECT_EQ(test, page.pad0, 0);
	KUNIT_EXPECT_EQ(test, page.version, 0);
	base.stable = false;
	kvmclock_fill(&page, &base, 0);
	KUNIT_EXPECT_EQ(test, page.flags, 0);
}

/* Guests with any TSC offset agree, and never see time go back. */
static void kvmclock_monotonic(struct kunit *test)
{
	static const u64 offsets[] = { 0, 12345, -1ull << 40, 1ull << 62, -987654321ull };
	struct kvmclock_base base = { .tsc = 5000000000, .ns = 123456789, .stable = true };
	struct pvclock_vcpu_time_info page;
	u64 tsc, ns, last;
	u32 r, i, step;

	for (r = 0; r < ARRAY_SIZE(rates_khz); r++) {
		kvmclock_scale(rates_khz[r], &base.mult, &base.shift);
		last = 0;
		tsc = base.tsc;
		for (step = 0; step < 200; step++) {
			u64 first = 0;

			for (i = 0; i < ARRAY_SIZE(offsets); i++) {
				kvmclock_fill(&page, &base, offsets[i]);
				ns = __pvclock_read_cycles(&page, tsc + offsets[i]);
				first = i ? first : ns;
				KUNIT_EXPECT_EQ(test, ns, first);
			}
			KUNIT_EXPECT_GE(test, first, last);
			last = first;
			tsc += step < 100 ? 1 : 1 << (step / 10);
		}
		KUNIT_EXPECT_GT(test, last, base.ns);
	}
}

static void kvmclock_get_set(struct kunit *test)
{
	struct kvmclock_fixture *f = test->priv;
	struct lodge_clock a = {}, b = {};
	u32 i;

	/* It runs from 0 with the host, forward only. */
	lodge_vmclock_get(f->vm, &a);
	KUNIT_EXPECT_LT(test, a.guest_ns, 600ull * NSEC_PER_SEC);
	for (i = 0; i < 1000; i++) {
		lodge_vmclock_get(f->vm, &b);
		KUNIT_EXPECT_GE(test, b.guest_ns, a.guest_ns);
		KUNIT_EXPECT_GE(test, b.host_tsc, a.host_tsc);
		a = b;
	}

	/* Without host time it starts where it was told, and every vCPU hears of it. */
	a = (struct lodge_clock){ .guest_ns = 1ull << 50 };
	lodge_vmclock_set(f->vm, &a);
	lodge_vmclock_get(f->vm, &b);
	KUNIT_EXPECT_GE(test, b.guest_ns, 1ull << 50);
	KUNIT_EXPECT_LT(test, b.guest_ns, (1ull << 50) + 60ull * NSEC_PER_SEC);
	for (i = 0; i < ARRAY_SIZE(f->vcpu); i++)
		KUNIT_EXPECT_TRUE(test, test_bit(LODGE_REQ_CLOCK, &f->vcpu[i]->requests));

	/* With it, the time that has passed is added. */
	a.host_ns = ktime_get_real_ns() - 1000ull * NSEC_PER_SEC;
	lodge_vmclock_set(f->vm, &a);
	lodge_vmclock_get(f->vm, &b);
	KUNIT_EXPECT_GE(test, b.guest_ns, (1ull << 50) + 1000ull * NSEC_PER_SEC);
	KUNIT_EXPECT_LT(test, b.guest_ns, (1ull << 50) + 1060ull * NSEC_PER_SEC);
}

/* After a suspend the TSC starts over and guest time goes on. */
static void kvmclock_resume(struct kunit *test)
{
	struct kvmclock_fixture *f = test->priv;
	struct kvmclock_base *base = &f->vm->clock.base;
	struct lodge_clock before, after;

	base->ns = 1ull << 50;
	lodge_vmclock_get(f->vm, &before);
	base->tsc += 1ull << 60;	/* as if the host's TSC were that much behind */
	lodge_vmclock_resync(f->vm);
	lodge_vmclock_get(f->vm, &after);
	KUNIT_EXPECT_GE(test, after.guest_ns, before.guest_ns);
	KUNIT_EXPECT_LT(test, after.guest_ns, before.guest_ns + 60ull * NSEC_PER_SEC);
	KUNIT_EXPECT_TRUE(test, test_bit(LODGE_REQ_CLOCK, &f->vcpu[1]->requests));
}

/* Without a TSC to go by, it is the host's time; never one from before the base. */
static void kvmclock_by_host_time(struct kunit *test)
{
	static const struct {
		u64 raw_ns, want;
	} cases[] = {
		{ 1000, 77 }, { 1001, 78 }, { 5000000000, 5000000000 - 1000 + 77 },
		{ 999, 77 }, { 0, 77 },
	};
	struct kvmclock_base base = { .tsc = 500, .raw_ns = 1000, .ns = 77 };
	u32 i;

	kvmclock_scale(1000000, &base.mult, &base.shift);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ(test, kvmclock_ns(&base, 1ull << 40, cases[i].raw_ns),
				cases[i].want);
	base.stable = true;
	KUNIT_EXPECT_EQ(test, kvmclock_ns(&base, 500 + 1000000, 0), 77 + 1000000);
}

static bool all_requested(const struct kvmclock_fixture *f)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(f->vcpu); i++)
		if (!test_bit(LODGE_REQ_CLOCK, &f->vcpu[i]->requests))
			return false;
	return true;
}

/* The host stops to trust its TSC: so do guests, and their time goes on. */
static void kvmclock_follow(struct kunit *test)
{
	struct kvmclock_fixture *f = test->priv;
	struct kvmclock_base *base = &f->vm->clock.base, old;
	struct lodge_clock before, after;

	base->ns = 1ull << 50;
	base->stable = true;
	lodge_vmclock_follow(f->vm, true);
	KUNIT_EXPECT_TRUE(test, lodge_vmclock_stable(&f->vm->clock));
	KUNIT_EXPECT_FALSE(test, all_requested(f));

	/* Long ago, so that the host's other clock would not do: it is none of TSC's. */
	base->raw_ns -= 1000ull * NSEC_PER_SEC;
	lodge_vmclock_get(f->vm, &before);
	lodge_vmclock_follow(f->vm, false);
	lodge_vmclock_get(f->vm, &after);
	KUNIT_EXPECT_FALSE(test, lodge_vmclock_stable(&f->vm->clock));
	KUNIT_EXPECT_TRUE(test, all_requested(f));
	KUNIT_EXPECT_GE(test, base->tsc, before.host_tsc);
	KUNIT_EXPECT_GE(test, base->ns, before.guest_ns);
	KUNIT_EXPECT_GE(test, after.guest_ns, base->ns);
	KUNIT_EXPECT_LT(test, after.guest_ns, before.guest_ns + 60ull * NSEC_PER_SEC);

	/* Once, and there is no way back but to set it. */
	old = *base;
	lodge_vmclock_follow(f->vm, false);
	lodge_vmclock_follow(f->vm, true);
	KUNIT_EXPECT_EQ(test, memcmp(&old, base, sizeof(old)), 0);
	lodge_vmclock_resync(f->vm);
	KUNIT_EXPECT_FALSE(test, lodge_vmclock_stable(&f->vm->clock));
	lodge_vmclock_set(f->vm, &after);
	KUNIT_EXPECT_EQ(test, lodge_vmclock_stable(&f->vm->clock), kvmclock_tsc_trusted());
}

static void kvmclock_msrs(struct kunit *test)
{
	static const struct {
		u64 value;
		int system, wall;
	} cases[] = {
		{ 0, 0, 0 },
		{ 0x1000, 0, 0 },
		{ 0x1001, 0, -EINVAL },
		{ 0x1fe1, 0, -EINVAL },		/* the last 32 bytes of a page */
		{ 0x1fe4, 0, 0 },
		{ 0x1fe5, -EINVAL, -EINVAL },
		{ 0x1ff4, 0, 0 },		/* the last 12 */
		{ 0x1ff8, 0, -EINVAL },
		{ 0x1003, -EINVAL, -EINVAL },
		{ BIT_ULL(48) | 1, -EINVAL, -EINVAL },
		{ BIT_ULL(48), 0, -EINVAL },
		{ ~0ull, -EINVAL, -EINVAL },
	};
	struct kvmclock_fixture *f = test->priv;
	struct lodge_vcpu *vcpu = f->vcpu[0];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		kvmclock_reset(vcpu);
		vcpu->requests = 0;
		KUNIT_EXPECT_EQ_MSG(test, kvmclock_system_write(vcpu, cases[i].value),
				    cases[i].system, "system %llx", cases[i].value);
		if (!cases[i].system)
			KUNIT_EXPECT_EQ(test, vcpu->clock.system_msr, cases[i].value);
		else
			KUNIT_EXPECT_EQ(test, vcpu->clock.system_msr, 0);
		KUNIT_EXPECT_EQ(test, test_bit(LODGE_REQ_CLOCK, &vcpu->requests),
				!cases[i].system);
		KUNIT_EXPECT_EQ_MSG(test, kvmclock_wall_write(vcpu, cases[i].value),
				    cases[i].wall, "wall %llx", cases[i].value);
		KUNIT_EXPECT_EQ(test, vcpu->clock.wall_due, !cases[i].wall && cases[i].value);
	}
}

static int kvmclock_test_init(struct kunit *test)
{
	struct kvmclock_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	u32 i;

	if (!f)
		return -ENOMEM;
	f->vm = kunit_kzalloc(test, sizeof(*f->vm), GFP_KERNEL);
	if (!f->vm)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(f->vcpu); i++) {
		f->vcpu[i] = kunit_kzalloc(test, sizeof(*f->vcpu[i]), GFP_KERNEL);
		if (!f->vcpu[i])
			return -ENOMEM;
		f->vcpu[i]->vm = f->vm;
		f->vcpu[i]->id = i;
		f->vcpu[i]->cpu = -1;
		rcuwait_init(&f->vcpu[i]->wait);
		f->vm->vcpus[i] = f->vcpu[i];
	}
	lodge_vmclock_init(f->vm);
	test->priv = f;
	return 0;
}

static struct kunit_case kvmclock_cases[] = {
	KUNIT_CASE(kvmclock_scale_accuracy),
	KUNIT_CASE(kvmclock_scale_inverse),
	KUNIT_CASE(kvmclock_set_arithmetic),
	KUNIT_CASE(kvmclock_versions),
	KUNIT_CASE(kvmclock_page),
	KUNIT_CASE(kvmclock_monotonic),
	KUNIT_CASE(kvmclock_get_set),
	KUNIT_CASE(kvmclock_resume),
	KUNIT_CASE(kvmclock_by_host_time),
	KUNIT_CASE(kvmclock_follow),
	KUNIT_CASE(kvmclock_msrs),
	{}
};

struct kunit_suite lodge_kvmclock_suite = {
	.name = "lodge_kvmclock",
	.init = kvmclock_test_init,
	.test_cases = kvmclock_cases,
};
