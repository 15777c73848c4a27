// SPDX-License-Identifier: GPL-2.0
/*
 * Events before they reach the VMCS: how exceptions merge, what an exception
 * may be, which LODGE_STATE_EVENTS a caller may set, and what an entry that is
 * refused leaves. vCPUs without a VMCS.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <asm/processor-flags.h>

#include "../lodge.h"
#include "../irq/regs.h"
#include "../vmx/vmx_internal.h"
#include "suites.h"

#define INFO(vector, type)	((vector) | (type) << 8 | (u32)BIT(31))
#define WITH_CODE		((u32)BIT(11))
#define EXCEPTION(vector)	INFO(vector, 3u)

static struct lodge_vcpu *make_vcpu(struct kunit *test, bool protected)
{
	struct lodge_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	vcpu->cpu = -1;
	rcuwait_init(&vcpu->wait);
	vcpu->cr0 = X86_CR0_ET | (protected ? X86_CR0_PE : 0);
	return vcpu;
}

/* ---------------------------------------------------------------- merging */

/* Classes of SDM 3A table 6-4, and the double fault. */
enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT, NR_CLASSES };
enum outcome { SERIAL, DOUBLE, SHUTDOWN };

static const struct {
	u8 vector;
	enum class class;
	bool code;
} vectors[] = {
	{ 0, CONTRIBUTORY }, { 1, BENIGN }, { 3, BENIGN }, { 4, BENIGN }, { 5, BENIGN },
	{ 6, BENIGN }, { 7, BENIGN }, { 8, DOUBLE_FAULT, true }, { 10, CONTRIBUTORY, true },
	{ 11, CONTRIBUTORY, true }, { 12, CONTRIBUTORY, true }, { 13, CONTRIBUTORY, true },
	{ 14, PAGE_FAULT, true }, { 16, BENIGN }, { 17, BENIGN, true }, { 18, BENIGN },
	{ 19, BENIGN },
};

/* SDM 3A table 6-5, and what follows it about a double fault's delivery. */
static const enum outcome merged[NR_CLASSES][NR_CLASSES] = {
	[BENIGN]	= { SERIAL, SERIAL, SERIAL, SERIAL },
	[CONTRIBUTORY]	= { SERIAL, DOUBLE, SERIAL, SERIAL },
	[PAGE_FAULT]	= { SERIAL, DOUBLE, DOUBLE, SERIAL },
	[DOUBLE_FAULT]	= { SERIAL, SHUTDOWN, SHUTDOWN, SERIAL },
};

static void expect_merge(struct kunit *test, struct lodge_vcpu *vcpu, u32 a, u32 b)
{
	enum outcome outcome = merged[vectors[a].class][vectors[b].class];
	bool pe = vcpu->cr0 & X86_CR0_PE;
	u32 info = EXCEPTION(8u) | (pe ? WITH_CODE : 0);
	u32 code = 0;

	if (outcome == SERIAL) {
		info = EXCEPTION(vectors[b].vector) | (vectors[b].code && pe ? WITH_CODE : 0);
		code = 0x1234;
	}
	vcpu->requests = 0;
	vcpu->event.info = 0;
	lodge_inject_exception(vcpu, vectors[a].vector, vectors[a].code, 0x55);
	vcpu->vmx.recheck = false;
	lodge_inject_exception(vcpu, vectors[b].vector, vectors[b].code, 0x1234);
	KUNIT_EXPECT_EQ_MSG(test, vcpu->event.info, outcome == SHUTDOWN ? 0 : info,
			    "%u then %u", vectors[a].vector, vectors[b].vector);
	KUNIT_EXPECT_EQ_MSG(test, vcpu->requests,
			    outcome == SHUTDOWN ? BIT(LODGE_REQ_SHUTDOWN) : 0ul,
			    "%u then %u", vectors[a].vector, vectors[b].vector);
	if (outcome == SHUTDOWN)
		return;
	KUNIT_EXPECT_TRUE(test, vcpu->vmx.recheck);
	KUNIT_EXPECT_EQ(test, vcpu->event.insn_len, 0u);
	if (info & WITH_CODE)
		KUNIT_EXPECT_EQ_MSG(test, vcpu->event.code, code, "%u then %u",
				    vectors[a].vector, vectors[b].vector);
}

static void inject_merge(struct kunit *test)
{
	struct lodge_vcpu *vcpu = make_vcpu(test, true);
	u32 a, b;

	for (a = 0; a < ARRAY_SIZE(vectors); a++)
		for (b = 0; b < ARRAY_SIZE(vectors); b++)
			expect_merge(test, vcpu, a, b);
}

/* The classes are the same, but nothing pushes an error code. */
static void inject_real_mode(struct kunit *test)
{
	struct lodge_vcpu *vcpu = make_vcpu(test, false);
	u32 a, b;

	for (a = 0; a < ARRAY_SIZE(vectors); a++)
		for (b = 0; b < ARRAY_SIZE(vectors); b++)
			expect_merge(test, vcpu, a, b);
}

/*
 * Only hardware exceptions merge; any other event gives way. SDM 3A table 6-5: a
 * benign first event and the second are handled one after the other. What an
 * instruction raised comes again with it.
 */
static void inject_over_others(struct kunit *test)
{
	static const u32 first[] = {
		0,
		EXCEPTION(8u) & ~(u32)BIT(31),	/* left over: not valid */
		INFO(13u, LODGE_EVENT_INTERRUPT), INFO(0x20u, LODGE_EVENT_INTERRUPT),
		INFO(2u, LODGE_EVENT_NMI),
		INFO(8u, LODGE_EVENT_SOFT_INT), INFO(13u, LODGE_EVENT_SOFT_INT),
		INFO(1u, LODGE_EVENT_PRIV_TRAP),
		INFO(3u, LODGE_EVENT_SOFT_TRAP), INFO(4u, LODGE_EVENT_SOFT_TRAP),
	};
	struct lodge_vcpu *vcpu = make_vcpu(test, true);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(first); i++) {
		vcpu->event = (struct lodge_pending_event){ .info = first[i], .insn_len = 2 };
		lodge_inject_gp(vcpu);
		KUNIT_EXPECT_EQ_MSG(test, vcpu->event.info, EXCEPTION(13u) | WITH_CODE,
				    "after %#x", first[i]);
		KUNIT_EXPECT_EQ(test, vcpu->event.code, 0u);
		KUNIT_EXPECT_EQ(test, vcpu->event.insn_len, 0u);
		KUNIT_EXPECT_EQ(test, vcpu->requests, 0ul);
	}
	vcpu->event.info = 0;
	lodge_inject_ud(vcpu);
	KUNIT_EXPECT_EQ(test, vcpu->event.info, EXCEPTION(6u));
}

/*
 * Interrupts and NMIs that give way: the CPU has acknowledged them, so a fault in
 * their delivery loses them; but a debug trap only goes before them.
 */
static void inject_over_accepted(struct kunit *test)
{
	static const struct {
		u32 first;
		u8 second;
		u8 nmis;
		bool waits;
	} cases[] = {
		{ INFO(0x41u, LODGE_EVENT_INTERRUPT), 13, 0, false },
		{ INFO(0x41u, LODGE_EVENT_INTERRUPT), 14, 0, false },
		{ INFO(0x41u, LODGE_EVENT_INTERRUPT), 17, 0, false },
		{ INFO(0x41u, LODGE_EVENT_INTERRUPT), 1, 0, true },
		{ INFO(0x41u, LODGE_EVENT_INTERRUPT), 1, 1, true },
		{ INFO(2u, LODGE_EVENT_NMI), 13, 0, false },
		{ INFO(2u, LODGE_EVENT_NMI), 13, 1, false },
		{ INFO(2u, LODGE_EVENT_NMI), 1, 0, true },
		{ INFO(2u, LODGE_EVENT_NMI), 1, 1, true },
		{ INFO(2u, LODGE_EVENT_NMI), 1, 2, false },	/* no room */
		{ INFO(0x41u, LODGE_EVENT_SOFT_INT), 1, 0, false },
	};
	struct lodge_vcpu *vcpu = make_vcpu(test, true);
	u32 i;

	vcpu->lapic.vcpu = vcpu;
	vcpu->lapic.regs = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vcpu->lapic.regs);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 vector = cases[i].first;
		bool irq = vector == 0x41 && cases[i].first == INFO(0x41u, LODGE_EVENT_INTERRUPT);

		memset(vcpu->lapic.regs, 0, PAGE_SIZE);
		if (irq)
			lapic_accept(vcpu, vector);
		vcpu->nmis_queued = cases[i].nmis;
		vcpu->event = (struct lodge_pending_event){ .info = cases[i].first };
		lodge_inject_exception(vcpu, cases[i].second, false, 0);
		KUNIT_EXPECT_EQ_MSG(test, vcpu->event.info, EXCEPTION(cases[i].second),
				    "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, lapic_vector_test(&vcpu->lapic, APIC_ISR, 0x41),
				    irq && !cases[i].waits, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, lapic_vector_test(&vcpu->lapic, APIC_IRR, 0x41),
				    irq && cases[i].waits, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, vcpu->nmis_queued,
				    cases[i].nmis + (!irq && cases[i].waits), "case %u", i);
		KUNIT_EXPECT_TRUE(test, vcpu->vmx.recheck);
	}
}

/* -------------------------------------------------------------- RFLAGS.RF */

/* SDM 3B 18.3.1.1: what is pushed has RF set for a fault, else it is as it was. */
static void inject_rf(struct kunit *test)
{
	static const struct {
		u32 info;
		bool rf;
	} cases[] = {
		{ EXCEPTION(0u), true }, { EXCEPTION(1u), false }, { EXCEPTION(3u), false },
		{ EXCEPTION(4u), false }, { EXCEPTION(5u), true }, { EXCEPTION(6u), true },
		{ EXCEPTION(7u), true }, { EXCEPTION(8u), false }, { EXCEPTION(9u), true },
		{ EXCEPTION(10u), true }, { EXCEPTION(11u), true }, { EXCEPTION(12u), true },
		{ EXCEPTION(13u), true }, { EXCEPTION(14u), true }, { EXCEPTION(16u), true },
		{ EXCEPTION(17u), true }, { EXCEPTION(18u), false }, { EXCEPTION(19u), true },
		{ INFO(13u, LODGE_EVENT_SOFT_INT), false },
		{ INFO(3u, LODGE_EVENT_SOFT_TRAP), false },
		{ INFO(1u, LODGE_EVENT_PRIV_TRAP), false },
		{ INFO(0x2du, LODGE_EVENT_INTERRUPT), false },
		{ INFO(2u, LODGE_EVENT_NMI), false },
		{ 0, false },
	};
	struct lodge_vcpu *vcpu = make_vcpu(test, true);
	u32 i, old;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (old = 0; old < 2; old++) {
			u64 flags = X86_EFLAGS_FIXED | (old ? X86_EFLAGS_RF : 0);
			u64 want = flags;

			if (cases[i].rf)
				want |= X86_EFLAGS_RF;
			vcpu->vmx.cached = VMX_CACHED_RFLAGS;
			vcpu->vmx.rflags = flags;
			vcpu->vmx.recheck = true;
			vcpu->event = (struct lodge_pending_event){ .info = cases[i].info };
			vmx_inject(vcpu);
			KUNIT_EXPECT_EQ_MSG(test, vcpu->vmx.rflags, want, "case %u", i);
			KUNIT_EXPECT_EQ(test, vcpu->vmx.injected.info, cases[i].info);
			KUNIT_EXPECT_FALSE(test, vcpu->vmx.recheck);
		}
	}
}

/* A debug exception's own marks: DR6, DR7.GD, and RF for that one alone. */
static void inject_db(struct kunit *test)
{
	static const struct {
		u64 dr6, dr7, cause, want;
		bool rf;
	} cases[] = {
		{ 0xffff0ff0, 0x400, BIT(14), 0xffff4ff0, false },
		{ 0xffff0ff5, 0x400, BIT(14), 0xffff4ff0, false },
		{ 0xffff4ff1, 0x400, BIT(1), 0xffff4ff2, false },
		{ 0xffff0ff0, 0x2400, BIT(13), 0xffff2ff0, true },
		{ 0xffff0ff0, 0x2402, BIT(0), 0xffff0ff1, false },
	};
	struct lodge_vcpu *vcpu = make_vcpu(test, true);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu->event.info = 0;
		vcpu->vmx.cached = VMX_CACHED_RFLAGS;
		vcpu->vmx.rflags = X86_EFLAGS_FIXED;
		vcpu->dr6 = cases[i].dr6;
		vcpu->dr7 = cases[i].dr7;
		vmx_inject_db(vcpu, cases[i].cause);
		KUNIT_EXPECT_EQ_MSG(test, vcpu->dr6, cases[i].want, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, vcpu->dr7, cases[i].dr7 & ~BIT_ULL(13), "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, !!(vcpu->vmx.rflags & X86_EFLAGS_RF), cases[i].rf,
				    "case %u", i);
		KUNIT_EXPECT_EQ(test, vcpu->event.info, EXCEPTION(1u));
	}
}

/* -------------------------------------------------------------- what is valid */

static void inject_exception_valid(struct kunit *test)
{
	static const u32 codes[] = { 0, 1, 0x7fff, 0xffff, 0x10000, 0x80000000, U32_MAX };
	static const u32 outside[] = { 32, 34, 40, 64, 128, 255, 256, 0x80000000, U32_MAX };
	/* SDM 3A table 6-1. */
	const u32 with_code = BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17);
	u32 v, c, code;

	for (v = 0; v < 32; v++) {
		for (c = 0; c < ARRAY_SIZE(codes); c++) {
			bool has = with_code & BIT(v);
			bool fits = v != 2 && codes[c] <= 0xffff;

			KUNIT_EXPECT_EQ_MSG(test, vmx_exception_valid(v, true, codes[c]),
					    fits && has, "%u with code %#x", v, codes[c]);
			KUNIT_EXPECT_EQ_MSG(test, vmx_exception_valid(v, false, codes[c]),
					    fits && !has && !codes[c],
					    "%u without, but %#x", v, codes[c]);
		}
	}
	for (v = 0; v < ARRAY_SIZE(outside); v++)
		for (code = 0; code < 2; code++)
			KUNIT_EXPECT_FALSE_MSG(test, vmx_exception_valid(outside[v], code, 0),
					       "%#x", outside[v]);
}

#define EV(type, vector, len)						\
	.flags = LODGE_EV_EVENT, .event_type = LODGE_EVENT_##type,	\
	.event_vector = (vector), .event_insn_len = (len)
#define EV_CODE(type, vector, code)					\
	.flags = LODGE_EV_EVENT | LODGE_EV_EVENT_CODE,			\
	.event_type = LODGE_EVENT_##type, .event_vector = (vector), .event_code = (code)

static const struct lodge_events good_events[] = {
	{ },
	{ .mp_state = LODGE_MP_HALTED },
	{ .mp_state = LODGE_MP_WAIT_SIPI },
	{ .flags = LODGE_EV_STI_SHADOW },
	{ .flags = LODGE_EV_SS_SHADOW },
	{ .flags = LODGE_EV_NMI_PENDING },
	{ .flags = LODGE_EV_NMI_MASKED },
	{ .flags = LODGE_EV_NMI_PENDING | LODGE_EV_NMI_QUEUED | LODGE_EV_NMI_MASKED },
	{ .pending_dbg = 0x500f },
	{ EV(INTERRUPT, 16, 0) },
	{ EV(INTERRUPT, 255, 0) },
	{ EV(NMI, 2, 0) },
	{ EV(EXCEPTION, 0, 0) },
	{ EV(EXCEPTION, 1, 0) },
	{ EV(EXCEPTION, 6, 0) },
	{ EV_CODE(EXCEPTION, 8, 0) },
	{ EV_CODE(EXCEPTION, 13, 0xfff8) },
	{ EV_CODE(EXCEPTION, 14, 0xffff) },
	{ EV(SOFT_INT, 0, 1) },
	{ EV(SOFT_INT, 0x80, 2) },
	{ EV(SOFT_INT, 255, 15) },
	{ EV(PRIV_TRAP, 1, 1) },
	{ EV(SOFT_TRAP, 3, 1) },
	{ EV(SOFT_TRAP, 4, 1) },
};

static const struct lodge_events bad_events[] = {
	{ .mp_state = LODGE_MP_WAIT_SIPI + 1 },
	{ .mp_state = U32_MAX },
	{ .flags = LODGE_EV_NMI_QUEUED << 1 },
	{ .flags = BIT(31) },
	{ .flags = LODGE_EV_NMI_QUEUED },
	{ .flags = LODGE_EV_STI_SHADOW | LODGE_EV_SS_SHADOW },
	{ .pending_dbg = 0x10 },
	{ .pending_dbg = 0x2000 },
	{ .pending_dbg = 0x10000 },		/* RTM */
	{ .pending_dbg = 1ull << 32 },
	{ .pending_dbg = 1ull << 63 },
	/* No event, but parts of one. */
	{ .flags = LODGE_EV_EVENT_CODE },
	{ .event_vector = 1 },
	{ .event_type = LODGE_EVENT_NMI },
	{ .event_insn_len = 1 },
	{ .event_code = 1 },
	/* Types that are none. */
	{ .flags = LODGE_EV_EVENT, .event_type = 1 },
	{ .flags = LODGE_EV_EVENT, .event_type = 7 },
	{ .flags = LODGE_EV_EVENT, .event_type = 8 },
	{ .flags = LODGE_EV_EVENT, .event_type = 255 },
	{ EV(INTERRUPT, 15, 0) },
	{ EV(INTERRUPT, 32, 1) },
	{ EV_CODE(INTERRUPT, 32, 0) },
	{ EV(INTERRUPT, 32, 0), .event_code = 1 },
	{ EV(NMI, 3, 0) },
	{ EV(NMI, 2, 1) },
	{ EV_CODE(NMI, 2, 0) },
	{ EV(EXCEPTION, 2, 0) },
	{ EV(EXCEPTION, 32, 0) },
	{ EV(EXCEPTION, 0, 1) },
	{ EV(EXCEPTION, 0, 0), .event_code = 1 },
	{ EV(EXCEPTION, 13, 0) },
	{ EV_CODE(EXCEPTION, 6, 0) },
	{ EV_CODE(EXCEPTION, 13, 0x10000) },
	{ EV(SOFT_INT, 0x80, 0) },
	{ EV(SOFT_INT, 0x80, 16) },
	{ EV(SOFT_INT, 0x80, 0xffff) },
	{ EV_CODE(SOFT_INT, 0x80, 0), .event_insn_len = 2 },
	{ EV(SOFT_INT, 0x80, 2), .event_code = 1 },
	{ EV(PRIV_TRAP, 1, 0) },
	{ EV(SOFT_TRAP, 3, 0) },
};

static void inject_events_check(struct kunit *test)
{
	struct lodge_vcpu *vcpu = make_vcpu(test, true);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(good_events); i++)
		KUNIT_EXPECT_EQ_MSG(test, vmx_events_check(vcpu, &good_events[i]), 0,
				    "good row %u", i);
	for (i = 0; i < ARRAY_SIZE(bad_events); i++)
		KUNIT_EXPECT_EQ_MSG(test, vmx_events_check(vcpu, &bad_events[i]), -EINVAL,
				    "bad row %u", i);
	KUNIT_EXPECT_EQ(test, vcpu->event.info, 0u);
}

/*
 * What GET gives SET takes, an exception on its way in real mode too. Fields of
 * a VMCS that is not there read as 0.
 */
static void inject_events_round(struct kunit *test)
{
	struct lodge_events events;
	struct lodge_vcpu *vcpu;
	u32 i, pe;

	for (pe = 0; pe < 2; pe++) {
		vcpu = make_vcpu(test, pe);
		for (i = 0; i < ARRAY_SIZE(vectors); i++) {
			bool code = vectors[i].code;

			vcpu->event.info = 0;
			lodge_inject_exception(vcpu, vectors[i].vector, code, code ? 0x18 : 0);
			vmx_events_get(vcpu, &events);
			KUNIT_EXPECT_EQ(test, events.flags, LODGE_EV_EVENT |
					(code ? LODGE_EV_EVENT_CODE : 0));
			KUNIT_EXPECT_EQ(test, events.event_vector, vectors[i].vector);
			KUNIT_EXPECT_EQ(test, events.event_type, LODGE_EVENT_EXCEPTION);
			KUNIT_EXPECT_EQ(test, events.event_code, code ? 0x18u : 0);
			KUNIT_EXPECT_EQ_MSG(test, vmx_events_check(vcpu, &events), 0,
					    "vector %u, PE %u", vectors[i].vector, pe);
		}
	}
}

/* NMIs that were sent and not yet taken over count like those that were. */
static void inject_nmis_get(struct kunit *test)
{
	static const u32 flags[] = {
		0, LODGE_EV_NMI_PENDING, LODGE_EV_NMI_PENDING | LODGE_EV_NMI_QUEUED,
	};
	struct lodge_vcpu *vcpu = make_vcpu(test, true);
	struct lodge_events events;
	u32 queued, sent;

	vcpu->mp_state = LODGE_MP_HALTED;
	for (queued = 0; queued < 3; queued++) {
		for (sent = 0; sent < 4; sent++) {
			vcpu->nmis_queued = queued;
			atomic_set(&vcpu->nmis_sent, sent);
			vmx_events_get(vcpu, &events);
			KUNIT_EXPECT_EQ_MSG(test, events.flags, flags[min(2u, queued + sent)],
					    "%u queued, %u sent", queued, sent);
			KUNIT_EXPECT_EQ(test, events.mp_state, (u32)LODGE_MP_HALTED);
			KUNIT_EXPECT_EQ(test, vmx_events_check(vcpu, &events), 0);
		}
	}
}

/* ---------------------------------------------------------- refused entries */

/* Reasons that are not about the guest's state are called by their name. */
static void inject_entry_failed(struct kunit *test)
{
	static const struct {
		u32 basic;
		const char *word;
	} cases[] = {
		{ 33, "" },	/* some check that zeros fail */
		{ 34, "MSR" },
		{ 41, "machine check" },
	};
	struct lodge_vcpu *vcpu = make_vcpu(test, true);
	u32 i;

	vcpu->run = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vcpu->run);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu->vmx.exit_reason = cases[i].basic | BIT(31);
		vcpu->vmx.injected.info = EXCEPTION(6u);
		KUNIT_EXPECT_EQ(test, vmx_entry_failed(vcpu, false), (int)LODGE_NEXT_LEAVE);
		KUNIT_EXPECT_EQ(test, vcpu->run->exit.reason, (u32)LODGE_EXIT_FAIL_ENTRY);
		KUNIT_EXPECT_EQ(test, vcpu->run->exit.fail.hw_reason, vcpu->vmx.exit_reason);
		KUNIT_EXPECT_NE(test, vcpu->run->exit.fail.text[0], '\0');
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(vcpu->run->exit.fail.text, cases[i].word),
					  "reason %u", cases[i].basic);
		/* The event is not lost. */
		KUNIT_EXPECT_EQ(test, vcpu->event.info, EXCEPTION(6u));
	}
}

static struct kunit_case inject_test_cases[] = {
	KUNIT_CASE(inject_merge),
	KUNIT_CASE(inject_real_mode),
	KUNIT_CASE(inject_over_others),
	KUNIT_CASE(inject_over_accepted),
	KUNIT_CASE(inject_rf),
	KUNIT_CASE(inject_db),
	KUNIT_CASE(inject_exception_valid),
	KUNIT_CASE(inject_events_check),
	KUNIT_CASE(inject_events_round),
	KUNIT_CASE(inject_nmis_get),
	KUNIT_CASE(inject_entry_failed),
	{ }
};

struct kunit_suite lodge_inject_suite = {
	.name = "lodge_inject",
	.test_cases = inject_test_cases,
};
