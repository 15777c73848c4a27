// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID with hosts that the test plays: what is offered and masked, what a
 * caller may ask for, what the guest is answered.
 */
#include <kunit/test.h>
#include <linux/cpufeature.h>
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/fpu/types.h>
#include <asm/processor-flags.h>

#include "../cpu/cpuid.h"
#include "../lodge.h"
#include "suites.h"

#define ALL_FEATURES	(~0ull)
#define F(name)		BIT(X86_FEATURE_##name & 31)

/* ---------------------------------------------------------------- the hosts */

/* A big CPU: every bit of every feature register; AVX-512 and PKRU state. */
static void big_query(u32 leaf, u32 subleaf, u32 r[4])
{
	static const struct {
		u32 size, offset, flags;
	} xstate[] = {
		[2] = { 256, 576, 0 }, [3] = { 64, 960, 0 }, [4] = { 64, 1024, 0 },
		[5] = { 60, 1088, 0 },	/* odd, so that aligning [7] shows */
		[6] = { 512, 1152, 0 }, [7] = { 1024, 1664, 2 },
		[9] = { 8, 2688, 0 },
	};
	static const u32 caches[][4] = {
		{ 0x1c004121, 0x01c0003f, 0x3f, 0 },
		{ 0x1c004143, 0x03c0003f, 0x3ff, 0 },
		{ 0x1c03c163, 0x02c0003f, 0x3fff, 4 },
	};

	memset(r, 0xff, 16);
	switch (leaf) {
	case 0:
		r[0] = 0x20;
		memcpy(&r[1], "Genu", 4);
		memcpy(&r[3], "ineI", 4);
		memcpy(&r[2], "ntel", 4);
		break;
	case 4:
		memset(r, 0, 16);
		if (subleaf < ARRAY_SIZE(caches))
			memcpy(r, caches[subleaf], 16);
		break;
	case 0xd:
		if (subleaf < 2)
			break;
		memset(r, 0, 16);
		if (subleaf < ARRAY_SIZE(xstate)) {
			r[0] = xstate[subleaf].size;
			r[1] = xstate[subleaf].offset;
			r[2] = xstate[subleaf].flags;
		}
		break;
	case 0x80000000:
		r[0] = 0x80000008;
		break;
	}
}

/* A small one: few leaves, no XSAVE, no features at all. */
static void small_query(u32 leaf, u32 subleaf, u32 r[4])
{
	memset(r, 0, 16);
	if (leaf == 0)
		r[0] = 2;
	else if (leaf == 0x80000000)
		r[0] = 0x80000004;
	else if (leaf == 1)
		r[0] = 0x106a5;
	else
		memset(r, 0xff, 16);	/* past its highest leaf: must not be looked at */
}

static u32 word_all(u32 word)
{
	return ~0u;
}

static u32 word_no_avx2_no_x2apic(u32 word)
{
	if (word == CPUID_7_0_EBX)
		return ~(u32)F(AVX2);
	return word == CPUID_1_ECX ? ~(u32)(F(X2APIC) | F(AES)) : ~0u;
}

static const struct cpuid_host big_host = {
	.query = big_query, .kernel_word = word_all, .xcr0 = 0x2e7, .tsc_khz = 2995200,
	.phys_bits = 52, .tsc_stable = true, .features = ALL_FEATURES,
};

static const struct cpuid_host small_host = {
	.query = small_query, .kernel_word = word_all, .xcr0 = 0, .tsc_khz = 2000000,
	.phys_bits = 40, .tsc_stable = false, .features = 0,
};

/* The supported table of a host; freed with the test. */
static const struct lodge_cpuid_table *table_of(struct kunit *test, const struct cpuid_host *host)
{
	struct lodge_cpuid_entry *e;
	struct lodge_cpuid_table *made, *t;
	u32 nr;

	e = kunit_kzalloc(test, LODGE_MAX_CPUID * sizeof(*e), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, e);
	nr = cpuid_build(host, e, LODGE_MAX_CPUID);
	made = cpuid_make_table(e, nr);
	KUNIT_ASSERT_NOT_NULL(test, made);
	t = kunit_kzalloc(test, struct_size(t, e, made->nr), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	memcpy(t, made, struct_size(t, e, made->nr));
	kfree(made);
	return t;
}

static const struct lodge_cpuid_entry *entry_of(const struct lodge_cpuid_table *t, u32 leaf,
						u32 subleaf)
{
	static const struct lodge_cpuid_entry none;
	u32 i;

	for (i = 0; i < t->nr; i++) {
		if (t->e[i].leaf == leaf && t->e[i].subleaf == subleaf)
			return &t->e[i];
	}
	return &none;
}

/* --------------------------------------------------------------- the masks */

static void cpuid_big_host(struct kunit *test)
{
	const struct lodge_cpuid_table *t = table_of(test, &big_host);
	const struct lodge_cpuid_entry *e;

	e = entry_of(t, 0, 0);
	KUNIT_EXPECT_EQ(test, e->eax, 0x1fu);
	KUNIT_EXPECT_EQ(test, memcmp(&e->ebx, "Genu", 4), 0);

	e = entry_of(t, 1, 0);
	KUNIT_EXPECT_EQ(test, e->ecx & (F(XSAVE) | F(AVX) | F(X2APIC) | F(HYPERVISOR)),
			F(XSAVE) | F(AVX) | F(X2APIC) | F(HYPERVISOR));
	KUNIT_EXPECT_EQ(test, e->ecx & (F(VMX) | F(SMX) | F(MWAIT) | F(PDCM) | F(DCA) |
					F(OSXSAVE) | F(DTES64) | F(EST) | F(TM2)), 0u);
	KUNIT_EXPECT_EQ(test, e->edx & (F(DS) | F(ACPI) | F(ACC) | F(PBE) | F(PN)), 0u);
	KUNIT_EXPECT_EQ(test, (e->ebx >> 16) & 0xff, (u32)LODGE_MAX_VCPUS);

	e = entry_of(t, 6, 0);
	KUNIT_EXPECT_EQ(test, e->eax, F(ARAT));
	KUNIT_EXPECT_EQ(test, e->ecx, 0u);

	e = entry_of(t, 7, 0);
	KUNIT_EXPECT_EQ(test, e->eax, 2u);
	KUNIT_EXPECT_EQ(test, e->ebx & (F(AVX512F) | F(INVPCID) | F(TSC_ADJUST)),
			F(AVX512F) | F(INVPCID) | F(TSC_ADJUST));
	KUNIT_EXPECT_EQ(test, e->ebx & (F(RTM) | F(HLE) | F(MPX) | F(SGX) | F(INTEL_PT)), 0u);
	KUNIT_EXPECT_EQ(test, e->ecx & (F(PKU) | F(UMIP) | F(RDPID)),
			F(PKU) | F(UMIP) | F(RDPID));
	KUNIT_EXPECT_EQ(test, e->ecx & (F(LA57) | F(OSPKE) | F(WAITPKG) | BIT(7)), 0u);
	KUNIT_EXPECT_EQ(test, e->edx & (F(AMX_TILE) | F(PCONFIG) | F(ARCH_LBR)), 0u);

	KUNIT_EXPECT_EQ(test, entry_of(t, 0xa, 0)->eax, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 5, 0)->eax, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x14, 0)->eax, 0u);

	e = entry_of(t, 0x80000008, 0);
	KUNIT_EXPECT_EQ(test, e->eax, 48u | 48 << 8);
	KUNIT_EXPECT_EQ(test, t->phys_bits, 48);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x80000007, 0)->edx, BIT(8));
}

static void cpuid_small_host(struct kunit *test)
{
	const struct lodge_cpuid_table *t = table_of(test, &small_host);
	const struct lodge_cpuid_entry *e;

	KUNIT_EXPECT_EQ(test, entry_of(t, 0, 0)->eax, 0x16u);
	e = entry_of(t, 1, 0);
	KUNIT_EXPECT_EQ(test, e->eax, 0x106a5u);
	/* What lodge emulates is there whatever the host has. */
	KUNIT_EXPECT_EQ(test, e->ecx, F(X2APIC) | F(TSC_DEADLINE_TIMER) | F(HYPERVISOR));
	KUNIT_EXPECT_EQ(test, e->edx, F(APIC) | F(MTRR) | F(MCE) | F(MCA) | F(HT));
	KUNIT_EXPECT_EQ(test, entry_of(t, 6, 0)->eax, F(ARAT));
	e = entry_of(t, 7, 0);
	KUNIT_EXPECT_EQ(test, e->ebx, F(TSC_ADJUST));
	KUNIT_EXPECT_EQ(test, e->ecx, 0u);
	KUNIT_EXPECT_EQ(test, e->edx, F(ARCH_CAPABILITIES));
	KUNIT_EXPECT_EQ(test, entry_of(t, 4, 0)->eax, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0xb, 1)->ebx, (u32)LODGE_MAX_VCPUS);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x1f, 1)->ebx, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0xd, 0)->eax, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0xd, 1)->eax, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x80000000, 0)->eax, 0x80000008u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x80000008, 0)->eax, 40u | 48 << 8);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x80000007, 0)->edx, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x40000001, 0)->eax, 0x4bu);
	KUNIT_EXPECT_EQ(test, t->xcr0, 0ull);
}

/* What the kernel has switched off is not offered; what lodge emulates still is. */
static void cpuid_kernel_masks(struct kunit *test)
{
	struct cpuid_host host = big_host;
	const struct lodge_cpuid_table *t;

	host.kernel_word = word_no_avx2_no_x2apic;
	t = table_of(test, &host);
	KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->ebx & (F(AVX2) | F(BMI1)), F(BMI1));
	KUNIT_EXPECT_EQ(test, entry_of(t, 1, 0)->ecx & (F(X2APIC) | F(AES)), F(X2APIC));
}

static void cpuid_vmx_masks(struct kunit *test)
{
	static const struct {
		u64 feature;
		u32 gone;	/* bits of enum lodge_guest_feature's features, two at most */
		u32 gone2;
	} cases[] = {
		{ LODGE_FEATURE_INVPCID, GF_INVPCID, GF_INVPCID },
		{ LODGE_FEATURE_RDTSCP, GF_RDTSCP, GF_RDPID },
		{ LODGE_FEATURE_XSAVES, GF_XSAVES, GF_XSAVES },
		{ LODGE_FEATURE_UMIP, GF_UMIP, GF_UMIP },
	};
	u64 all = table_of(test, &big_host)->features;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cpuid_host host = big_host;

		host.features &= ~cases[i].feature;
		KUNIT_EXPECT_EQ_MSG(test, table_of(test, &host)->features,
				    all & ~(BIT_ULL(cases[i].gone) | BIT_ULL(cases[i].gone2)),
				    "case %zu", i);
	}
	KUNIT_EXPECT_EQ(test, all, GENMASK_ULL(NR_LODGE_GUEST_FEATURES - 1, 0));
}

/* Leaf 15h by Linux's arithmetic, in 32 bits, within one part in a million. */
static void cpuid_tsc_ratio(struct kunit *test)
{
	static const u32 rates[] = { 800000, 1000000, 1999999, 2095078, 2400000, 2995200,
				     3000000, 3391504, 4294000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		struct cpuid_host host = big_host;
		const struct lodge_cpuid_entry *e;
		u32 khz;

		host.tsc_khz = rates[i];
		e = entry_of(table_of(test, &host), 0x15, 0);
		KUNIT_ASSERT_NE(test, e->eax, 0u);
		KUNIT_EXPECT_EQ(test, e->ecx, LAPIC_TIMER_HZ);
		khz = e->ecx / 1000 * e->ebx / e->eax;
		KUNIT_EXPECT_LE_MSG(test, abs((int)(khz - rates[i])), (int)(rates[i] / 1000000 + 1),
				    "%u kHz gave %u", rates[i], khz);
	}
}

/* ------------------------------------------------------------------ asking */

static int ask(const struct lodge_cpuid_table *t, u32 leaf, u32 subleaf, u32 flags, u32 eax,
	       u32 ebx, u32 ecx, u32 edx)
{
	struct lodge_cpuid_entry e = {
		.leaf = leaf, .subleaf = subleaf, .flags = flags,
		.eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx,
	};
	u32 bad;

	return cpuid_check(t, &e, 1, &bad);
}

#define SUB	LODGE_CPUID_F_SUBLEAF

static void cpuid_check_rules(struct kunit *test)
{
	const struct lodge_cpuid_table *t = table_of(test, &small_host);
	const u32 phys40 = 40 | 48 << 8;

	/* Bits: fewer, never more; those lodge keeps up do not count. */
	KUNIT_EXPECT_EQ(test, ask(t, 1, 0, 0, 1, 2, F(X2APIC), 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 1, 0, 0, 1, 2, F(X2APIC) | F(OSXSAVE), 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 1, 0, 0, 1, 2, F(VMX), 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 1, 0, 0, 1, 2, F(AES), 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 7, 0, SUB, 0, F(TSC_ADJUST), F(OSPKE), 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 7, 0, SUB, 0, F(AVX2), 0, 0), -EINVAL);
	/* Numbers: no higher. */
	KUNIT_EXPECT_EQ(test, ask(t, 0, 0, 0, 0x16, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 0, 0, 0, 7, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 0, 0, 0, 0x17, 0, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 0x80000000, 0, 0, 0x80000009, 0, 0, 0), -EINVAL);
	/* Vendor and time: as they are. */
	KUNIT_EXPECT_EQ(test, ask(t, 0, 0, 0, 7, 0x68747541, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 0x15, 0, 0, 1, 1, 1, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 0x40000000, 0, 0, 0x40000001, 1, 1, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 0x40000001, 0, 0, BIT(3), 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 0x40000001, 0, 0, BIT(5), 0, 0, 0), -EINVAL);
	/* Addresses. */
	KUNIT_EXPECT_EQ(test, ask(t, 0x80000008, 0, 0, phys40, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 0x80000008, 0, 0, phys40 - 4, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 0x80000008, 0, 0, phys40 + 1, 0, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 0x80000008, 0, 0, 31 | 48 << 8, 0, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 0x80000008, 0, 0, 40 | 47 << 8, 0, 0, 0), -EINVAL);
	/* Names and topology are free. */
	KUNIT_EXPECT_EQ(test, ask(t, 0x80000002, 0, 0, 1, 2, 3, 4), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 0xb, 1, SUB, 5, 32, 2 << 8 | 1, 9), 0);
	/* Leaves that lodge does not know are empty or refused. */
	KUNIT_EXPECT_EQ(test, ask(t, 0xa, 0, 0, 0, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, ask(t, 0xa, 0, 0, 2, 0, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 0x40000200, 0, 0, 1, 0, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 0xd, 0, SUB, 3, 0, 0, 0), -EINVAL);
	/* Flags say what the leaf is. */
	KUNIT_EXPECT_EQ(test, ask(t, 7, 0, 0, 0, F(TSC_ADJUST), 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 1, 0, SUB, 1, 0, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ask(t, 1, 0, 2, 1, 0, 0, 0), -EINVAL);
}

static void cpuid_check_index(struct kunit *test)
{
	const struct lodge_cpuid_table *t = table_of(test, &big_host);
	struct lodge_cpuid_entry *e;
	u32 bad = 99, i;

	e = kunit_kzalloc(test, (LODGE_MAX_CPUID + 1) * sizeof(*e), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, e);
	memcpy(e, t->e, t->nr * sizeof(*e));

	/* What is offered may be asked for; each entry spoilt is the one named. */
	KUNIT_EXPECT_EQ(test, cpuid_check(t, e, t->nr, &bad), 0);
	for (i = 0; i < t->nr; i++) {
		struct lodge_cpuid_entry good = e[i];

		e[i].reserved = 1;
		KUNIT_EXPECT_EQ(test, cpuid_check(t, e, t->nr, &bad), -EINVAL);
		KUNIT_EXPECT_EQ(test, bad, i);
		e[i] = good;
	}
	/* The second of two that clash. */
	e[t->nr] = e[3];
	KUNIT_EXPECT_EQ(test, cpuid_check(t, e, t->nr + 1, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, t->nr);
	/* One too many. */
	memset(e, 0, (LODGE_MAX_CPUID + 1) * sizeof(*e));
	for (i = 0; i <= LODGE_MAX_CPUID; i++)
		e[i].leaf = 0x1000 + i;
	KUNIT_EXPECT_EQ(test, cpuid_check(t, e, LODGE_MAX_CPUID, &bad), 0);
	KUNIT_EXPECT_EQ(test, cpuid_check(t, e, LODGE_MAX_CPUID + 1, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, bad, (u32)LODGE_MAX_CPUID);
}

/* --------------------------------------------------------------- answering */

static struct lodge_vcpu *new_vcpu(struct kunit *test, const struct cpuid_host *host)
{
	struct lodge_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	vcpu->cpuid = (struct lodge_cpuid_table *)table_of(test, host);
	vcpu->id = 5;
	vcpu->xcr0 = 1;
	return vcpu;
}

static void cpuid_query_plain(struct kunit *test)
{
	struct lodge_vcpu *vcpu = new_vcpu(test, &big_host);
	static const u32 nothing[] = {
		0x3, 0xa, 0x20, 0x7fffffff, 0x40000002, 0x40000101, 0x40000200, 0x80000009,
		0x80000020, 0xc0000000, 0xffffffff,
	};
	const struct lodge_cpuid_table *t = vcpu->cpuid;
	u32 r[4], i;

	for (i = 0; i < t->nr; i++) {
		const struct lodge_cpuid_entry *e = &t->e[i];

		lodge_cpuid_query(vcpu, e->leaf, e->subleaf, r);
		KUNIT_EXPECT_EQ_MSG(test, r[0], e->eax, "leaf %x.%x", e->leaf, e->subleaf);
		if (e->leaf == 1 || e->leaf == 0xd)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, r[1], e->ebx, "leaf %x.%x", e->leaf, e->subleaf);
		KUNIT_EXPECT_EQ_MSG(test, r[2], e->ecx, "leaf %x.%x", e->leaf, e->subleaf);
	}
	for (i = 0; i < ARRAY_SIZE(nothing); i++) {
		lodge_cpuid_query(vcpu, nothing[i], 0, r);
		KUNIT_EXPECT_EQ_MSG(test, r[0] | r[1] | r[2] | r[3], 0u, "leaf %x", nothing[i]);
	}
	/* Without subleaves any ECX does; with them, not. */
	lodge_cpuid_query(vcpu, 0x40000000, 77, r);
	KUNIT_EXPECT_EQ(test, memcmp(&r[1], "KVMKVMKVM\0\0\0", 12), 0);
	lodge_cpuid_query(vcpu, LODGE_CPUID_SIGNATURE, 0, r);
	KUNIT_EXPECT_EQ(test, memcmp(&r[1], "LodgeLodgeLo", 12), 0);
	lodge_cpuid_query(vcpu, 7, 3, r);
	KUNIT_EXPECT_EQ(test, r[0] | r[1] | r[2] | r[3], 0u);
}

static void cpuid_query_state(struct kunit *test)
{
	struct lodge_vcpu *vcpu = new_vcpu(test, &big_host);
	u32 r[4];

	lodge_cpuid_query(vcpu, 1, 0, r);
	KUNIT_EXPECT_EQ(test, r[1] >> 24, 5u);
	KUNIT_EXPECT_EQ(test, r[2] & F(OSXSAVE), 0u);
	lodge_cpuid_query(vcpu, 7, 0, r);
	KUNIT_EXPECT_EQ(test, r[2] & F(OSPKE), 0u);
	vcpu->cr4 = X86_CR4_OSXSAVE | X86_CR4_PKE;
	lodge_cpuid_query(vcpu, 1, 0, r);
	KUNIT_EXPECT_EQ(test, r[2] & F(OSXSAVE), F(OSXSAVE));
	lodge_cpuid_query(vcpu, 7, 0, r);
	KUNIT_EXPECT_EQ(test, r[2] & F(OSPKE), F(OSPKE));

	lodge_cpuid_query(vcpu, 0xb, 0, r);
	KUNIT_EXPECT_EQ(test, r[3], 5u);
	lodge_cpuid_query(vcpu, 0xb, 1, r);
	KUNIT_EXPECT_EQ(test, r[0], 6u);
	KUNIT_EXPECT_EQ(test, r[3], 5u);
	lodge_cpuid_query(vcpu, 0xb, 0x102, r);
	KUNIT_EXPECT_EQ(test, r[0] | r[1], 0u);
	KUNIT_EXPECT_EQ(test, r[2], 2u);
	KUNIT_EXPECT_EQ(test, r[3], 5u);
}

/* Sizes by XCR0: x87; AVX; AVX-512; with PKRU; and what the whole would take. */
static void cpuid_query_xsave(struct kunit *test)
{
	static const struct {
		u64 xcr0;
		u32 standard;
		u32 compacted;
	} cases[] = {
		{ 0x1, 576, 576 },
		{ 0x3, 576, 576 },
		{ 0x7, 832, 832 },
		{ 0xe7, 2688, 576 + 256 + 64 + 512 + 1024 },
		{ 0x2e7, 2696, 576 + 256 + 64 + 512 + 1024 + 8 },
		{ 0x207, 2696, 576 + 256 + 8 },
		{ 0xa7, 2688, 576 + 256 + 64 + 1024 },
	};
	struct lodge_vcpu *vcpu = new_vcpu(test, &big_host);
	size_t i;
	u32 r[4];

	KUNIT_EXPECT_EQ(test, lodge_guest_xcr0_mask(vcpu), 0x2e7ull);
	KUNIT_EXPECT_EQ(test, lodge_guest_xss_mask(vcpu), 0ull);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu->xcr0 = cases[i].xcr0;
		lodge_cpuid_query(vcpu, 0xd, 0, r);
		KUNIT_EXPECT_EQ(test, r[0], 0x2e7u);
		KUNIT_EXPECT_EQ(test, r[1], cases[i].standard);
		KUNIT_EXPECT_EQ(test, r[2], 2696u);
		lodge_cpuid_query(vcpu, 0xd, 1, r);
		KUNIT_EXPECT_EQ(test, r[1], cases[i].compacted);
	}
	lodge_cpuid_query(vcpu, 0xd, 3, r);
	KUNIT_EXPECT_EQ(test, r[0] | r[1] | r[2] | r[3], 0u);
}

/* Without leaf 80000008h: what the SDM says of such CPUs. */
static void cpuid_table_facts(struct kunit *test)
{
	static const struct lodge_cpuid_entry e[] = {
		{ .leaf = 7, .flags = SUB, .ebx = F(SMEP) },
		{ .leaf = 1, .ecx = F(XSAVE) },
		{ .leaf = 0xd, .flags = SUB, .eax = 7 },
		{ .leaf = 2 },
	};
	struct lodge_cpuid_table *t = cpuid_make_table(e, ARRAY_SIZE(e));

	KUNIT_ASSERT_NOT_NULL(test, t);
	KUNIT_EXPECT_EQ(test, t->nr, 3u);
	KUNIT_EXPECT_EQ(test, t->e[0].leaf, 1u);
	KUNIT_EXPECT_EQ(test, t->phys_bits, 36);
	KUNIT_EXPECT_EQ(test, t->xcr0, 7ull);
	KUNIT_EXPECT_EQ(test, t->features, BIT_ULL(GF_SMEP) | BIT_ULL(GF_XSAVE));
	kfree(t);
}

static struct kunit_case cpuid_test_cases[] = {
	KUNIT_CASE(cpuid_big_host),
	KUNIT_CASE(cpuid_small_host),
	KUNIT_CASE(cpuid_kernel_masks),
	KUNIT_CASE(cpuid_vmx_masks),
	KUNIT_CASE(cpuid_tsc_ratio),
	KUNIT_CASE(cpuid_check_rules),
	KUNIT_CASE(cpuid_check_index),
	KUNIT_CASE(cpuid_query_plain),
	KUNIT_CASE(cpuid_query_state),
	KUNIT_CASE(cpuid_query_xsave),
	KUNIT_CASE(cpuid_table_facts),
	{ }
};

struct kunit_suite lodge_cpuid_suite = {
	.name = "lodge_cpuid",
	.test_cases = cpuid_test_cases,
};
