// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID: one table says what lodge supports. From it and from what the host has
 * comes the supported table; a caller may ask for any part of that, no more;
 * what it asked for is a vCPU's table, from which exits are answered.
 *
 * A leaf that a vCPU's table lacks reads as zero, above the highest leaf too.
 * Hardware gives the data of the highest basic leaf there (SDM 2A, CPUID), which
 * no software wants and which would make a new leaf appear by accident.
 */
#include <linux/align.h>
#include <linux/cpufeature.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/processor.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/processor-flags.h>
#include <asm/tsc.h>

#include "../lodge.h"
#include "cpuid.h"

#define LEAF_MAX_BASIC_MIN	0x16		/* leaves 15h and 16h are made here */
#define LEAF_MAX_BASIC		0x1f
#define LEAF_HYPERVISOR		0x40000000	/* KVM's, with its features at +1 */
#define LEAF_KVM_FEATURES	0x40000001
#define LEAF_HV_TIMING		0x40000010
#define LEAF_EXTENDED		0x80000000
#define LEAF_MAX_EXTENDED	0x80000008

#define APIC_BUS_KHZ		(LAPIC_TIMER_HZ / 1000)

#define DEFAULT_PHYS_BITS	36	/* without leaf 80000008h */
#define MIN_PHYS_BITS		32
#define VIRT_BITS		48
#define XSTATE_LEGACY_SIZE	576	/* x87, SSE and the header: SDM 1 13.4 */

/* State components a guest may have. Supervisor ones: none yet. */
#define LODGE_XCR0	(XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM | \
			 XFEATURE_MASK_AVX512 | XFEATURE_MASK_PKRU)
#define LODGE_XSS	0

/* KVM's feature bits, leaf 40000001h EAX: what stock guests look for. */
#define KVM_CLOCKSOURCE		BIT(0)
#define KVM_NOP_IO_DELAY	BIT(1)
#define KVM_CLOCKSOURCE2	BIT(3)
#define KVM_PV_EOI		BIT(6)
#define KVM_CLOCK_STABLE	BIT(24)

/* Leaf 7.1 EAX and 7.2 EDX, where the kernels' names differ or are missing. */
#define LEAF7_1_CMPCCXADD	BIT(7)
#define LEAF7_1_FZRM		BIT(10)
#define LEAF7_1_FSRS		BIT(11)
#define LEAF7_1_FSRC		BIT(12)
#define LEAF7_1_AVX_IFMA	BIT(23)
#define LEAF7_2_PSFD		BIT(0)
#define LEAF7_2_IPRED_CTRL	BIT(1)
#define LEAF7_2_RRSBA_CTRL	BIT(2)
#define LEAF7_2_DDPD_U		BIT(3)
#define LEAF7_2_BHI_CTRL	BIT(4)
#define LEAF7_2_MCDT_NO		BIT(5)
#define LEAF8_7_INVARIANT_TSC	BIT(8)

/* ------------------------------------------------------------ what is supported */

/* What a caller may ask of a register, against the supported value. */
enum cpuid_rule {
	RULE_BITS,	/* some of the bits */
	RULE_MOST,	/* no higher number */
	RULE_SAME,	/* that value */
	RULE_FREE,	/* anything: it promises nothing of the CPU, or lodge keeps it up */
};

/**
 * struct cpuid_reg - what lodge supports in one register of one leaf
 * @rule: enum cpuid_rule
 * @word: BITS: 1 + the kernel's feature word for it, 0 when it has none
 * @pass: BITS: offered when host and kernel have it
 * @offer: BITS: offered always: lodge emulates it
 * @ignore: BITS: kept up by lodge, whatever a caller says
 */
struct cpuid_reg {
	u8 rule;
	u8 word;
	u32 pass;
	u32 offer;
	u32 ignore;
};

/**
 * struct cpuid_row - a leaf that lodge knows
 * @leaf: EAX
 * @first: first subleaf
 * @last: last subleaf
 * @indexed: ECX counts
 * @r: by register; the rest is 0
 * @make: completes an entry that @r has been applied to; false: there is no
 *	such subleaf, and none behind it
 */
struct cpuid_row {
	u32 leaf;
	u32 first, last;
	bool indexed;
	struct cpuid_reg r[4];
	bool (*make)(const struct cpuid_host *host, struct lodge_cpuid_entry *e);
};

#define F(name)		BIT(X86_FEATURE_##name & 31)
#define WORD(name)	(CPUID_##name + 1)

static bool make_max_basic(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->eax = clamp_t(u32, e->eax, LEAF_MAX_BASIC_MIN, LEAF_MAX_BASIC);
	return true;
}

/* Ids in a package: 31:24 is the vCPU's own id, see cpuid_follow_state(). */
static bool make_version(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->ebx = (e->ebx & 0xffff) | LODGE_MAX_VCPUS << 16;
	return true;
}

/* The host's caches; all vCPUs share the third level, none the others. */
static bool make_cache(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	u32 type = e->eax & 0x1f;
	u32 level = (e->eax >> 5) & 7;

	if (!type)
		return false;
	e->eax = (e->eax & 0x3fff) | (LODGE_MAX_VCPUS - 1) << 26;
	if (level >= 3)
		e->eax |= (LODGE_MAX_VCPUS - 1) << 14;
	return true;
}

static bool make_features(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->eax = min_t(u32, e->eax, 2);
	if (!(host->xcr0 & XFEATURE_MASK_PKRU))
		e->ecx &= ~F(PKU);
	return true;
}

/* One thread a core, all cores one package (SDM 2A, CPUID leaf 0BH). */
static bool make_topology(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	u32 r[4];

	host->query(0, 0, r);
	if (e->leaf > LEAF_MAX_BASIC_MIN && r[CPUID_EAX] < e->leaf)
		return false;

	e->edx = 0;	/* the x2APIC id: see cpuid_follow_state() */
	switch (e->subleaf) {
	case 0:
		e->eax = 0;
		e->ebx = 1;
		e->ecx = 1 << 8;
		return true;
	case 1:
		e->eax = ilog2(LODGE_MAX_VCPUS);
		e->ebx = LODGE_MAX_VCPUS;
		e->ecx = 1 | 2 << 8;
		return true;
	default:
		return false;
	}
}

static bool make_xsave(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	u64 xcr0 = host->xcr0 & LODGE_XCR0;

	e->eax = xcr0;
	e->edx = xcr0 >> 32;
	e->ebx = 0;	/* sizes: see cpuid_follow_state() */
	e->ecx = 0;
	return xcr0;
}

static bool make_xsave_features(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->ebx = 0;	/* the size: see cpuid_follow_state() */
	e->ecx = (u32)LODGE_XSS;
	e->edx = (u64)LODGE_XSS >> 32;
	return host->xcr0;
}

/* Size and place of one component. */
static bool make_xstate(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	bool have = host->xcr0 & LODGE_XCR0 & BIT_ULL(e->subleaf);

	e->eax = have ? e->eax : 0;
	e->ebx = have ? e->ebx : 0;
	e->ecx = have ? e->ecx & BIT(1) : 0;	/* aligned when compacted; no XFD */
	e->edx = 0;
	return true;
}

/*
 * TSC rate = crystal * EBX / EAX, and the crystal drives the APIC timer. Linux
 * multiplies kHz by EBX in 32 bits: find the best fraction that fits.
 */
static bool make_tsc_ratio(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	s64 best = -1;
	u32 d;

	for (d = 1; d <= APIC_BUS_KHZ; d++) {
		u64 n = DIV_ROUND_CLOSEST_ULL((u64)host->tsc_khz * d, APIC_BUS_KHZ);
		s64 error = abs((s64)(n * APIC_BUS_KHZ - (u64)host->tsc_khz * d));

		if (n * APIC_BUS_KHZ > U32_MAX)
			break;
		/* The fraction is off by error / d: compared without dividing. */
		if (!n || (best >= 0 && error * e->eax >= best * d))
			continue;
		best = error;
		e->eax = d;
		e->ebx = n;
	}
	e->ecx = APIC_BUS_KHZ * 1000;
	e->edx = 0;
	return best >= 0;
}

static bool make_rate(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->eax = host->tsc_khz / 1000;
	e->ebx = e->eax;
	e->ecx = 100;	/* MHz of the reference bus, as Intel has had it since 2008 */
	e->edx = 0;
	return true;
}

static void put_signature(struct lodge_cpuid_entry *e, const char *text)
{
	memcpy(&e->ebx, text, 4);
	memcpy(&e->ecx, text + 4, 4);
	memcpy(&e->edx, text + 8, 4);
}

static bool make_kvm_signature(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->eax = LEAF_HV_TIMING;
	put_signature(e, "KVMKVMKVM\0\0");
	return true;
}

static bool make_kvm_features(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	if (host->tsc_stable)
		e->eax |= KVM_CLOCK_STABLE;
	return true;
}

static bool make_hv_timing(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->eax = host->tsc_khz;
	e->ebx = APIC_BUS_KHZ;
	return true;
}

static bool make_lodge_signature(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->eax = LODGE_CPUID_SIGNATURE;
	put_signature(e, "LodgeLodgeLo");
	return true;
}

static bool make_max_extended(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	e->eax = LEAF_MAX_EXTENDED;
	return true;
}

static bool make_power(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	if (!host->tsc_stable)
		e->edx &= ~LEAF8_7_INVARIANT_TSC;
	return true;
}

static bool make_address(const struct cpuid_host *host, struct lodge_cpuid_entry *e)
{
	u32 phys = min_t(u32, host->phys_bits, LODGE_MAX_GPA_BITS);

	e->eax = phys | VIRT_BITS << 8;
	return true;
}

/*
 * The table. Not in it, on purpose: VMX, SMX, MONITOR, TM, DS, PMU (leaf 0Ah,
 * PDCM), DCA, SGX, PT, LBR, MPX, HLE, RTM, LA57, AMX, CET, WAITPKG, thermal
 * and power control.
 */
static const struct cpuid_row cpuid_rows[] = {
	{
		.leaf = 0,
		.r[CPUID_EAX] = { RULE_MOST },
		.r[CPUID_EBX] = { RULE_SAME },
		.r[CPUID_ECX] = { RULE_SAME },
		.r[CPUID_EDX] = { RULE_SAME },
		.make = make_max_basic,
	}, {
		.leaf = 1,
		.r[CPUID_EAX] = { RULE_FREE },
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = {
			.word = WORD(1_ECX),
			.pass = F(XMM3) | F(PCLMULQDQ) | F(SSSE3) | F(FMA) | F(CX16) | F(PCID) |
				F(XMM4_1) | F(XMM4_2) | F(MOVBE) | F(POPCNT) | F(AES) |
				F(XSAVE) | F(AVX) | F(F16C) | F(RDRAND),
			.offer = F(X2APIC) | F(TSC_DEADLINE_TIMER) | F(HYPERVISOR),
			.ignore = F(OSXSAVE),
		},
		.r[CPUID_EDX] = {
			.word = WORD(1_EDX),
			.pass = F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) |
				F(CX8) | F(SEP) | F(PGE) | F(CMOV) | F(PAT) | F(PSE36) |
				F(CLFLUSH) | F(MMX) | F(FXSR) | F(XMM) | F(XMM2) |
				F(SELFSNOOP),
			.offer = F(APIC) | F(MTRR) | F(MCE) | F(MCA) | F(HT),
		},
		.make = make_version,
	}, {
		.leaf = 2,
		.r[CPUID_EAX] = { RULE_FREE },
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = { RULE_FREE },
		.r[CPUID_EDX] = { RULE_FREE },
	}, {
		.leaf = 4, .indexed = true, .last = 15,
		.r[CPUID_EAX] = { RULE_FREE },
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = { RULE_FREE },
		.r[CPUID_EDX] = { RULE_FREE },
		.make = make_cache,
	}, {
		.leaf = 6,
		.r[CPUID_EAX] = { .offer = F(ARAT) },
	}, {
		.leaf = 7, .indexed = true,
		.r[CPUID_EAX] = { RULE_MOST },
		.r[CPUID_EBX] = {
			.word = WORD(7_0_EBX),
			.pass = F(FSGSBASE) | F(BMI1) | F(AVX2) | F(FDP_EXCPTN_ONLY) | F(SMEP) |
				F(BMI2) | F(ERMS) | F(INVPCID) | F(ZERO_FCS_FDS) | F(AVX512F) |
				F(AVX512DQ) | F(RDSEED) | F(ADX) | F(SMAP) | F(AVX512IFMA) |
				F(CLFLUSHOPT) | F(CLWB) | F(AVX512CD) | F(SHA_NI) |
				F(AVX512BW) | F(AVX512VL),
			.offer = F(TSC_ADJUST),
		},
		.r[CPUID_ECX] = {
			.word = WORD(7_ECX),
			.pass = F(AVX512VBMI) | F(UMIP) | F(PKU) | F(AVX512_VBMI2) | F(GFNI) |
				F(VAES) | F(VPCLMULQDQ) | F(AVX512_VNNI) | F(AVX512_BITALG) |
				F(AVX512_VPOPCNTDQ) | F(RDPID) | F(CLDEMOTE) | F(MOVDIRI) |
				F(MOVDIR64B),
			.ignore = F(OSPKE),
		},
		.r[CPUID_EDX] = {
			.word = WORD(7_EDX),
			.pass = F(FSRM) | F(AVX512_VP2INTERSECT) | F(MD_CLEAR) | F(SERIALIZE) |
				F(AVX512_FP16) | F(SPEC_CTRL) | F(INTEL_STIBP) | F(FLUSH_L1D) |
				F(SPEC_CTRL_SSBD),
			.offer = F(ARCH_CAPABILITIES),
		},
		.make = make_features,
	}, {
		.leaf = 7, .indexed = true, .first = 1, .last = 1,
		.r[CPUID_EAX] = {
			.word = WORD(7_1_EAX),
			.pass = F(AVX_VNNI) | F(AVX512_BF16) | LEAF7_1_CMPCCXADD | LEAF7_1_FZRM |
				LEAF7_1_FSRS | LEAF7_1_FSRC | LEAF7_1_AVX_IFMA,
		},
	}, {
		.leaf = 7, .indexed = true, .first = 2, .last = 2,
		.r[CPUID_EDX] = {
			.pass = LEAF7_2_PSFD | LEAF7_2_IPRED_CTRL | LEAF7_2_RRSBA_CTRL |
				LEAF7_2_DDPD_U | LEAF7_2_BHI_CTRL | LEAF7_2_MCDT_NO,
		},
	}, {
		.leaf = 0xb, .indexed = true, .last = 7,
		.r[CPUID_EAX] = { RULE_FREE },
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = { RULE_FREE },
		.r[CPUID_EDX] = { RULE_FREE },
		.make = make_topology,
	}, {
		.leaf = 0xd, .indexed = true,
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = { RULE_FREE },
		.make = make_xsave,
	}, {
		.leaf = 0xd, .indexed = true, .first = 1, .last = 1,
		.r[CPUID_EAX] = {
			.word = WORD(D_1_EAX),
			.pass = F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1) | F(XSAVES),
		},
		.r[CPUID_EBX] = { RULE_FREE },
		.make = make_xsave_features,
	}, {
		.leaf = 0xd, .indexed = true, .first = 2, .last = CPUID_MAX_XSTATE - 1,
		.r[CPUID_EAX] = { RULE_SAME },
		.r[CPUID_EBX] = { RULE_SAME },
		.r[CPUID_ECX] = { RULE_SAME },
		.r[CPUID_EDX] = { RULE_SAME },
		.make = make_xstate,
	}, {
		.leaf = 0x15,
		.r[CPUID_EAX] = { RULE_SAME },
		.r[CPUID_EBX] = { RULE_SAME },
		.r[CPUID_ECX] = { RULE_SAME },
		.make = make_tsc_ratio,
	}, {
		.leaf = 0x16,
		.r[CPUID_EAX] = { RULE_SAME },
		.r[CPUID_EBX] = { RULE_SAME },
		.r[CPUID_ECX] = { RULE_SAME },
		.make = make_rate,
	}, {
		.leaf = 0x1f, .indexed = true, .last = 7,
		.r[CPUID_EAX] = { RULE_FREE },
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = { RULE_FREE },
		.r[CPUID_EDX] = { RULE_FREE },
		.make = make_topology,
	}, {
		.leaf = LEAF_HYPERVISOR,
		.r[CPUID_EAX] = { RULE_SAME },
		.r[CPUID_EBX] = { RULE_SAME },
		.r[CPUID_ECX] = { RULE_SAME },
		.r[CPUID_EDX] = { RULE_SAME },
		.make = make_kvm_signature,
	}, {
		.leaf = LEAF_KVM_FEATURES,
		.r[CPUID_EAX] = {
			.offer = KVM_CLOCKSOURCE | KVM_NOP_IO_DELAY | KVM_CLOCKSOURCE2 |
				 KVM_PV_EOI,
		},
		.make = make_kvm_features,
	}, {
		.leaf = LEAF_HV_TIMING,
		.r[CPUID_EAX] = { RULE_SAME },
		.r[CPUID_EBX] = { RULE_SAME },
		.make = make_hv_timing,
	}, {
		.leaf = LODGE_CPUID_SIGNATURE,
		.r[CPUID_EAX] = { RULE_SAME },
		.r[CPUID_EBX] = { RULE_SAME },
		.r[CPUID_ECX] = { RULE_SAME },
		.r[CPUID_EDX] = { RULE_SAME },
		.make = make_lodge_signature,
	}, {
		.leaf = LEAF_EXTENDED,
		.r[CPUID_EAX] = { RULE_MOST },
		.make = make_max_extended,
	}, {
		.leaf = 0x80000001,
		.r[CPUID_ECX] = {
			.word = WORD(8000_0001_ECX),
			.pass = F(LAHF_LM) | F(ABM) | F(3DNOWPREFETCH),
		},
		.r[CPUID_EDX] = {
			.word = WORD(8000_0001_EDX),
			.pass = F(SYSCALL) | F(NX) | F(GBPAGES) | F(RDTSCP) | F(LM),
		},
	}, {
		.leaf = 0x80000002,
		.r[CPUID_EAX] = { RULE_FREE },
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = { RULE_FREE },
		.r[CPUID_EDX] = { RULE_FREE },
	}, {
		.leaf = 0x80000003,
		.r[CPUID_EAX] = { RULE_FREE },
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = { RULE_FREE },
		.r[CPUID_EDX] = { RULE_FREE },
	}, {
		.leaf = 0x80000004,
		.r[CPUID_EAX] = { RULE_FREE },
		.r[CPUID_EBX] = { RULE_FREE },
		.r[CPUID_ECX] = { RULE_FREE },
		.r[CPUID_EDX] = { RULE_FREE },
	}, {
		.leaf = 0x80000006,
		.r[CPUID_ECX] = { RULE_FREE },
	}, {
		.leaf = 0x80000007,
		.r[CPUID_EDX] = { .pass = LEAF8_7_INVARIANT_TSC },
		.make = make_power,
	}, {
		.leaf = LEAF_MAX_EXTENDED,
		.r[CPUID_EAX] = { RULE_MOST },
		.make = make_address,
	},
};

/* Bits that also need a VM-execution control. */
static const struct {
	u32 leaf;
	u32 subleaf;
	u8 reg;
	u32 bit;
	u64 feature;
} cpuid_vmx_bits[] = {
	{ 7, 0, CPUID_EBX, F(INVPCID), LODGE_FEATURE_INVPCID },
	{ 7, 0, CPUID_ECX, F(RDPID), LODGE_FEATURE_RDTSCP },
	{ 7, 0, CPUID_ECX, F(UMIP), LODGE_FEATURE_UMIP },
	{ 0xd, 1, CPUID_EAX, F(XSAVES), LODGE_FEATURE_XSAVES },
	{ 0x80000001, 0, CPUID_EDX, F(RDTSCP), LODGE_FEATURE_RDTSCP },
};

/* Where each enum lodge_guest_feature is. */
static const struct {
	u32 leaf;
	u32 subleaf;
	u8 reg;
	u32 bit;
} cpuid_features[NR_LODGE_GUEST_FEATURES] = {
	[GF_X2APIC]		= { 1, 0, CPUID_ECX, F(X2APIC) },
	[GF_TSC_DEADLINE]	= { 1, 0, CPUID_ECX, F(TSC_DEADLINE_TIMER) },
	[GF_PCID]		= { 1, 0, CPUID_ECX, F(PCID) },
	[GF_XSAVE]		= { 1, 0, CPUID_ECX, F(XSAVE) },
	[GF_VME]		= { 1, 0, CPUID_EDX, F(VME) },
	[GF_DE]			= { 1, 0, CPUID_EDX, F(DE) },
	[GF_PSE]		= { 1, 0, CPUID_EDX, F(PSE) },
	[GF_TSC]		= { 1, 0, CPUID_EDX, F(TSC) },
	[GF_PAE]		= { 1, 0, CPUID_EDX, F(PAE) },
	[GF_MCE]		= { 1, 0, CPUID_EDX, F(MCE) },
	[GF_MTRR]		= { 1, 0, CPUID_EDX, F(MTRR) },
	[GF_PGE]		= { 1, 0, CPUID_EDX, F(PGE) },
	[GF_PAT]		= { 1, 0, CPUID_EDX, F(PAT) },
	[GF_FXSR]		= { 1, 0, CPUID_EDX, F(FXSR) },
	[GF_XMM]		= { 1, 0, CPUID_EDX, F(XMM) },
	[GF_FSGSBASE]		= { 7, 0, CPUID_EBX, F(FSGSBASE) },
	[GF_TSC_ADJUST]		= { 7, 0, CPUID_EBX, F(TSC_ADJUST) },
	[GF_SMEP]		= { 7, 0, CPUID_EBX, F(SMEP) },
	[GF_INVPCID]		= { 7, 0, CPUID_EBX, F(INVPCID) },
	[GF_SMAP]		= { 7, 0, CPUID_EBX, F(SMAP) },
	[GF_UMIP]		= { 7, 0, CPUID_ECX, F(UMIP) },
	[GF_PKU]		= { 7, 0, CPUID_ECX, F(PKU) },
	[GF_RDPID]		= { 7, 0, CPUID_ECX, F(RDPID) },
	[GF_SPEC_CTRL]		= { 7, 0, CPUID_EDX, F(SPEC_CTRL) },
	[GF_STIBP]		= { 7, 0, CPUID_EDX, F(INTEL_STIBP) },
	[GF_FLUSH_L1D]		= { 7, 0, CPUID_EDX, F(FLUSH_L1D) },
	[GF_ARCH_CAPS]		= { 7, 0, CPUID_EDX, F(ARCH_CAPABILITIES) },
	[GF_SSBD]		= { 7, 0, CPUID_EDX, F(SPEC_CTRL_SSBD) },
	[GF_PSFD]		= { 7, 2, CPUID_EDX, LEAF7_2_PSFD },
	[GF_IPRED_CTRL]		= { 7, 2, CPUID_EDX, LEAF7_2_IPRED_CTRL },
	[GF_RRSBA_CTRL]		= { 7, 2, CPUID_EDX, LEAF7_2_RRSBA_CTRL },
	[GF_BHI_CTRL]		= { 7, 2, CPUID_EDX, LEAF7_2_BHI_CTRL },
	[GF_XSAVES]		= { 0xd, 1, CPUID_EAX, F(XSAVES) },
	[GF_KVMCLOCK]		= { LEAF_KVM_FEATURES, 0, CPUID_EAX, KVM_CLOCKSOURCE },
	[GF_KVMCLOCK2]		= { LEAF_KVM_FEATURES, 0, CPUID_EAX, KVM_CLOCKSOURCE2 },
	[GF_PV_EOI]		= { LEAF_KVM_FEATURES, 0, CPUID_EAX, KVM_PV_EOI },
	[GF_SYSCALL]		= { 0x80000001, 0, CPUID_EDX, F(SYSCALL) },
	[GF_NX]			= { 0x80000001, 0, CPUID_EDX, F(NX) },
	[GF_GBPAGES]		= { 0x80000001, 0, CPUID_EDX, F(GBPAGES) },
	[GF_RDTSCP]		= { 0x80000001, 0, CPUID_EDX, F(RDTSCP) },
	[GF_LM]			= { 0x80000001, 0, CPUID_EDX, F(LM) },
};

static_assert(NR_LODGE_GUEST_FEATURES <= 64);

/* ------------------------------------------------------------------- tables */

static u32 *entry_reg(struct lodge_cpuid_entry *e, int reg)
{
	u32 *const regs[] = { &e->eax, &e->ebx, &e->ecx, &e->edx };

	return regs[reg];
}

static u32 entry_value(const struct lodge_cpuid_entry *e, int reg)
{
	const u32 regs[] = { e->eax, e->ebx, e->ecx, e->edx };

	return regs[reg];
}

static bool entry_is_zero(const struct lodge_cpuid_entry *e)
{
	return !(e->eax | e->ebx | e->ecx | e->edx);
}

/* Index into lodge_cpuid_table.first, in range for any leaf; or -1: not ours. */
static int leaf_slot(u32 leaf)
{
	u32 low = leaf & (LODGE_CPUID_WINDOW - 1);

	BUILD_BUG_ON(LEAF_HYPERVISOR != 1u << 30 || LEAF_EXTENDED != 2u << 30);
	if (likely(!(leaf & (BIT(30) - LODGE_CPUID_WINDOW))))
		return (leaf >> 30) * LODGE_CPUID_WINDOW + low;
	if (leaf - low == LODGE_CPUID_SIGNATURE)
		return 3 * LODGE_CPUID_WINDOW + low;
	return -1;
}

/* The first entry of a leaf, 1 + its index; 0 for none. */
static u32 first_entry(const struct lodge_cpuid_table *t, u32 leaf)
{
	int slot = leaf_slot(leaf);

	return slot < 0 ? 0 : t->first[array_index_nospec(slot, ARRAY_SIZE(t->first))];
}

static const struct lodge_cpuid_entry *find_entry(const struct lodge_cpuid_table *t, u32 leaf,
						  u32 subleaf)
{
	u32 i = first_entry(t, leaf) & ~LODGE_CPUID_NOT_PLAIN;

	if (!i)
		return NULL;
	for (i--; i < t->nr && t->e[i].leaf == leaf; i++) {
		if (!(t->e[i].flags & LODGE_CPUID_F_SUBLEAF) || t->e[i].subleaf == subleaf)
			return &t->e[i];
	}
	return NULL;
}

/* Bytes of an XSAVE image with these components (SDM 1 13.4.3). */
static u32 xstate_size(const struct lodge_cpuid_table *t, u64 features, bool compacted)
{
	u32 size = XSTATE_LEGACY_SIZE;
	u32 i;

	for (i = 2; i < CPUID_MAX_XSTATE; i++) {
		const struct lodge_cpuid_entry *e;

		if (!(features & BIT_ULL(i)))
			continue;
		e = find_entry(t, 0xd, i);
		if (!e)
			continue;
		if (compacted)
			size = (e->ecx & BIT(1) ? ALIGN(size, 64) : size) + e->eax;
		else
			size = max(size, e->ebx + e->eax);
	}
	return size;
}

static const struct cpuid_row *find_row(u32 leaf, u32 subleaf)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cpuid_rows); i++) {
		const struct cpuid_row *row = &cpuid_rows[i];

		if (row->leaf == leaf &&
		    (!row->indexed || (subleaf >= row->first && subleaf <= row->last)))
			return row;
	}
	return NULL;
}

/* What the host's CPU says, 0 where it says nothing of its own. */
static void host_query(const struct cpuid_host *host, u32 leaf, u32 subleaf, u32 r[4])
{
	u32 window = leaf & 0xc0000000;

	memset(r, 0, 4 * sizeof(r[0]));
	if (window == LEAF_HYPERVISOR)
		return;
	host->query(window, 0, r);
	if (r[CPUID_EAX] < leaf)
		memset(r, 0, 4 * sizeof(r[0]));
	else
		host->query(leaf, subleaf, r);
}

static bool make_entry(const struct cpuid_host *host, const struct cpuid_row *row, u32 subleaf,
		       struct lodge_cpuid_entry *e)
{
	u32 raw[4];
	size_t i;

	*e = (struct lodge_cpuid_entry) {
		.leaf = row->leaf,
		.subleaf = subleaf,
		.flags = row->indexed ? LODGE_CPUID_F_SUBLEAF : 0,
	};
	host_query(host, row->leaf, subleaf, raw);
	for (i = 0; i < ARRAY_SIZE(raw); i++) {
		const struct cpuid_reg *r = &row->r[i];
		u32 value = raw[i];

		if (r->rule == RULE_BITS) {
			value &= r->pass;
			if (r->word)
				value &= host->kernel_word(r->word - 1);
			value |= r->offer;
		}
		*entry_reg(e, i) = value;
	}
	for (i = 0; i < ARRAY_SIZE(cpuid_vmx_bits); i++) {
		if (cpuid_vmx_bits[i].leaf == e->leaf && cpuid_vmx_bits[i].subleaf == subleaf &&
		    !(cpuid_vmx_bits[i].feature & host->features))
			*entry_reg(e, cpuid_vmx_bits[i].reg) &= ~cpuid_vmx_bits[i].bit;
	}
	return !row->make || row->make(host, e);
}

/**
 * cpuid_build() - make the supported table
 * @host: what it is made from
 * @e: filled
 * @max: room in @e
 *
 * Return: entries made.
 */
u32 cpuid_build(const struct cpuid_host *host, struct lodge_cpuid_entry *e, u32 max)
{
	u32 nr = 0, subleaf;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cpuid_rows); i++) {
		const struct cpuid_row *row = &cpuid_rows[i];

		for (subleaf = row->first; subleaf <= row->last && nr < max; subleaf++) {
			if (!make_entry(host, row, subleaf, &e[nr]))
				break;
			if (!entry_is_zero(&e[nr]))
				nr++;
		}
	}
	return nr;
}

static int compare_entries(const void *a, const void *b)
{
	const struct lodge_cpuid_entry *x = a, *y = b;

	if (x->leaf != y->leaf)
		return x->leaf < y->leaf ? -1 : 1;
	return x->subleaf < y->subleaf ? -1 : x->subleaf > y->subleaf;
}

/* Leaves that cpuid_follow_state() changes. */
static bool follows_state(u32 leaf)
{
	return leaf == 1 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x1f;
}

/* What follows from the entries: see struct lodge_cpuid_table. */
static void cache_facts(struct lodge_cpuid_table *t)
{
	const struct lodge_cpuid_entry *e;
	u32 i;

	for (i = t->nr; i--; ) {
		int slot = leaf_slot(t->e[i].leaf);

		if (slot < 0)
			continue;
		t->first[slot] = i + 1;
		if (t->e[i].flags & LODGE_CPUID_F_SUBLEAF || follows_state(t->e[i].leaf))
			t->first[slot] |= LODGE_CPUID_NOT_PLAIN;
	}
	for (i = 0; i < NR_LODGE_GUEST_FEATURES; i++) {
		e = find_entry(t, cpuid_features[i].leaf, cpuid_features[i].subleaf);
		if (e && (entry_value(e, cpuid_features[i].reg) & cpuid_features[i].bit))
			t->features |= BIT_ULL(i);
	}
	e = find_entry(t, 0xd, 0);
	if (e && (t->features & BIT_ULL(GF_XSAVE)))
		t->xcr0 = e->eax | (u64)e->edx << 32;
	e = find_entry(t, 0xd, 1);
	if (e && (t->features & BIT_ULL(GF_XSAVES)))
		t->xss = e->ecx | (u64)e->edx << 32;
	e = find_entry(t, LEAF_MAX_EXTENDED, 0);
	t->phys_bits = e ? e->eax & 0xff : DEFAULT_PHYS_BITS;
}

/**
 * cpuid_make_table() - make a table to answer from
 * @e: entries that cpuid_check() has passed, in any order
 * @nr: their number
 *
 * Return: the table, for kfree(), or NULL without memory.
 */
struct lodge_cpuid_table *cpuid_make_table(const struct lodge_cpuid_entry *e, u32 nr)
{
	struct lodge_cpuid_table *t;
	u32 i;

	t = kzalloc(struct_size(t, e, nr), GFP_KERNEL_ACCOUNT);
	if (!t)
		return NULL;
	for (i = 0; i < nr; i++) {
		if (!entry_is_zero(&e[i]))
			t->e[t->nr++] = e[i];
	}
	sort(t->e, t->nr, sizeof(t->e[0]), compare_entries, NULL);
	cache_facts(t);
	return t;
}

/* ------------------------------------------------------------------ checking */

static bool reg_allowed(const struct cpuid_reg *r, u32 value, u32 supported)
{
	switch (r->rule) {
	case RULE_BITS:
		return !(value & ~(supported | r->ignore));
	case RULE_MOST:
		return value <= supported;
	case RULE_SAME:
		return value == supported;
	default:
		return true;
	}
}

static bool entry_allowed(const struct lodge_cpuid_table *supported,
			  const struct lodge_cpuid_entry *e)
{
	bool indexed = e->flags & LODGE_CPUID_F_SUBLEAF;
	const struct lodge_cpuid_entry *s;
	const struct cpuid_row *row;
	int i;

	if (e->reserved || (e->flags & ~LODGE_CPUID_F_SUBLEAF))
		return false;
	if (entry_is_zero(e))
		return true;
	row = find_row(e->leaf, e->subleaf);
	if (!row || row->indexed != indexed)
		return false;

	s = find_entry(supported, e->leaf, e->subleaf);
	for (i = CPUID_EAX; i <= CPUID_EDX; i++) {
		if (!reg_allowed(&row->r[i], entry_value(e, i), s ? entry_value(s, i) : 0))
			return false;
	}
	/* Linear addresses are as wide as they are; physical ones hold 4 GiB. */
	if (e->leaf == LEAF_MAX_EXTENDED)
		return (e->eax & 0xff) >= MIN_PHYS_BITS && s && e->eax >> 8 == s->eax >> 8;
	return true;
}

static bool entries_clash(const struct lodge_cpuid_entry *a, const struct lodge_cpuid_entry *b)
{
	return a->leaf == b->leaf &&
	       (!(a->flags & b->flags & LODGE_CPUID_F_SUBLEAF) || a->subleaf == b->subleaf);
}

/**
 * cpuid_check() - may a vCPU have this table?
 * @supported: what there is
 * @e: what is asked for
 * @nr: its length
 * @bad: out, with -EINVAL: the first entry that is refused
 *
 * Return: 0 or -EINVAL.
 */
int cpuid_check(const struct lodge_cpuid_table *supported, const struct lodge_cpuid_entry *e,
		u32 nr, u32 *bad)
{
	u32 i, j;

	for (i = 0; i < nr; i++) {
		*bad = i;
		if (i >= LODGE_MAX_CPUID || !entry_allowed(supported, &e[i]))
			return -EINVAL;
		for (j = 0; j < i; j++) {
			if (entries_clash(&e[i], &e[j]))
				return -EINVAL;
		}
	}
	*bad = 0;
	return 0;
}

/* ------------------------------------------------------------------- the door */

/* Made at load, constant until unload. */
static struct lodge_cpuid_table *cpuid_supported;

static void real_query(u32 leaf, u32 subleaf, u32 r[4])
{
	cpuid_count(leaf, subleaf, &r[CPUID_EAX], &r[CPUID_EBX], &r[CPUID_ECX], &r[CPUID_EDX]);
}

static u32 real_kernel_word(u32 word)
{
	return boot_cpu_data.x86_capability[word];
}

/**
 * lodge_cpuid_module_init() - make the supported table of this machine
 *
 * Context: module load, after vmx_module_init().
 * Return: 0 or -ENOMEM.
 */
int lodge_cpuid_module_init(void)
{
	const struct cpuid_host host = {
		.query = real_query,
		.kernel_word = real_kernel_word,
		.xcr0 = boot_cpu_has(X86_FEATURE_OSXSAVE) ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0,
		.tsc_khz = tsc_khz,
		.phys_bits = ept_caps.gpa_bits,
		.tsc_stable = boot_cpu_has(X86_FEATURE_CONSTANT_TSC) &&
			      boot_cpu_has(X86_FEATURE_NONSTOP_TSC) && !check_tsc_unstable(),
		.features = vmx_features(),
	};
	struct lodge_cpuid_entry *e;
	u32 nr;

	e = kcalloc(LODGE_MAX_CPUID, sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	nr = cpuid_build(&host, e, LODGE_MAX_CPUID);
	cpuid_supported = cpuid_make_table(e, nr);
	kfree(e);
	return cpuid_supported ? 0 : -ENOMEM;
}

/**
 * lodge_cpuid_module_exit() - undo lodge_cpuid_module_init()
 */
void lodge_cpuid_module_exit(void)
{
	kfree(cpuid_supported);
	cpuid_supported = NULL;
}

/**
 * lodge_cpuid_supported() - what a vCPU can have at most
 *
 * Return: the table; constant until unload.
 */
const struct lodge_cpuid_table *lodge_cpuid_supported(void)
{
	return cpuid_supported;
}

/**
 * lodge_cpuid_check() - may a vCPU have this table?
 * @e: what is asked for
 * @nr: its length
 * @bad: out, with -EINVAL: the first entry that asks for too much, that stands
 *	twice, or that is one too many
 *
 * A leaf with subleaves needs LODGE_CPUID_F_SUBLEAF, any other must not have it.
 *
 * Return: 0 or -EINVAL.
 */
int lodge_cpuid_check(const struct lodge_cpuid_entry *e, u32 nr, u32 *bad)
{
	return cpuid_check(cpuid_supported, e, nr, bad);
}

/**
 * lodge_cpuid_set() - give a vCPU a CPUID table
 * @vcpu: the vCPU
 * @e: entries that lodge_cpuid_check() has passed
 * @nr: their number
 *
 * MSR bitmap and VM-execution controls that follow CPUID are the caller's to
 * set anew. Who frees the vCPU frees its table, with kfree().
 *
 * Context: owner; may sleep.
 * Return: 0, or -ENOMEM with nothing changed.
 */
int lodge_cpuid_set(struct lodge_vcpu *vcpu, const struct lodge_cpuid_entry *e, u32 nr)
{
	struct lodge_cpuid_table *t = cpuid_make_table(e, nr);

	if (!t)
		return -ENOMEM;
	kfree(vcpu->cpuid);
	vcpu->cpuid = t;
	return 0;
}

/*
 * What follows from the vCPU's state. CR4.OSXSAVE and CR4.PKE are never the
 * guest's own, so vcpu->cr4 has them.
 */
static void cpuid_follow_state(const struct lodge_vcpu *vcpu, u32 leaf, u32 subleaf, u32 out[4])
{
	const struct lodge_cpuid_table *t = vcpu->cpuid;

	switch (leaf) {
	case 1:
		out[CPUID_EBX] = (out[CPUID_EBX] & 0xffffff) | vcpu->id << 24;
		out[CPUID_ECX] &= ~F(OSXSAVE);
		if (vcpu->cr4 & X86_CR4_OSXSAVE)
			out[CPUID_ECX] |= F(OSXSAVE);
		/* SDM 3A 11.4.3: an APIC that is switched off is not there. */
		if (!(vcpu->lapic.base & MSR_IA32_APICBASE_ENABLE))
			out[CPUID_EDX] &= ~F(APIC);
		break;
	case 7:
		if (subleaf)
			break;
		out[CPUID_ECX] &= ~F(OSPKE);
		if (vcpu->cr4 & X86_CR4_PKE)
			out[CPUID_ECX] |= F(OSPKE);
		break;
	case 0xb:
	case 0x1f:
		out[CPUID_EDX] = vcpu->id;
		break;
	case 0xd:
		if (subleaf == 0) {
			out[CPUID_EBX] = xstate_size(t, vcpu->xcr0, false);
			out[CPUID_ECX] = xstate_size(t, t->xcr0, false);
		} else if (subleaf == 1) {
			out[CPUID_EBX] = out[CPUID_EAX] & (F(XSAVEC) | F(XSAVES)) ?
					 xstate_size(t, vcpu->xcr0 | vcpu->xss, true) : 0;
		}
		break;
	}
}

/**
 * lodge_cpuid_query() - what CPUID answers
 * @vcpu: the vCPU
 * @leaf: EAX
 * @subleaf: ECX
 * @out: EAX, EBX, ECX, EDX
 *
 * Context: owner; interrupts may be off.
 */
void lodge_cpuid_query(struct lodge_vcpu *vcpu, u32 leaf, u32 subleaf, u32 out[4])
{
	const struct lodge_cpuid_entry *e = find_entry(vcpu->cpuid, leaf, subleaf);

	if (likely(e)) {
		out[CPUID_EAX] = e->eax;
		out[CPUID_EBX] = e->ebx;
		out[CPUID_ECX] = e->ecx;
		out[CPUID_EDX] = e->edx;
		cpuid_follow_state(vcpu, leaf, subleaf, out);
		return;
	}

	memset(out, 0, 4 * sizeof(out[0]));
	/* Past the last level: CL comes back, and the id still stands in EDX. */
	if ((leaf == 0xb || leaf == 0x1f) && find_entry(vcpu->cpuid, leaf, 0)) {
		out[CPUID_ECX] = subleaf & 0xff;
		out[CPUID_EDX] = vcpu->id;
	}
}

/* The answer depends on ECX or on the vCPU's state, or the leaf is none of ours. */
static noinline void cpuid_execute_any(struct lodge_vcpu *vcpu)
{
	u32 out[4];

	lodge_cpuid_query(vcpu, vcpu->regs[LODGE_RAX], vcpu->regs[LODGE_RCX], out);
	vcpu->regs[LODGE_RAX] = out[CPUID_EAX];
	vcpu->regs[LODGE_RBX] = out[CPUID_EBX];
	vcpu->regs[LODGE_RCX] = out[CPUID_ECX];
	vcpu->regs[LODGE_RDX] = out[CPUID_EDX];
}

/**
 * lodge_cpuid_execute() - do what CPUID does to the registers
 * @vcpu: the vCPU
 *
 * Most leaves have one answer for good.
 *
 * Context: owner; interrupts may be off.
 */
void lodge_cpuid_execute(struct lodge_vcpu *vcpu)
{
	const struct lodge_cpuid_table *t = vcpu->cpuid;
	u32 first = first_entry(t, vcpu->regs[LODGE_RAX]);
	const struct lodge_cpuid_entry *e;

	if (!first || first & LODGE_CPUID_NOT_PLAIN) {
		cpuid_execute_any(vcpu);
		return;
	}
	e = &t->e[first - 1];
	vcpu->regs[LODGE_RAX] = e->eax;
	vcpu->regs[LODGE_RBX] = e->ebx;
	vcpu->regs[LODGE_RCX] = e->ecx;
	vcpu->regs[LODGE_RDX] = e->edx;
}

/**
 * lodge_xstate_size() - bytes of an XSAVE image
 * @features: state components, as in XCR0 and IA32_XSS
 * @compacted: in the compacted form, else the standard one
 *
 * Return: bytes; components lodge does not support count nothing.
 */
u32 lodge_xstate_size(u64 features, bool compacted)
{
	return xstate_size(cpuid_supported, features, compacted);
}

/**
 * lodge_xstate_place() - where a component is in a standard XSAVE image
 * @component: its number, 2 or more; one that a guest can have
 * @size: out: its bytes
 *
 * Return: its offset.
 */
u32 lodge_xstate_place(u32 component, u32 *size)
{
	const struct lodge_cpuid_entry *e = find_entry(cpuid_supported, 0xd, component);

	*size = e ? e->eax : 0;
	return e ? e->ebx : 0;
}

/**
 * lodge_guest_has() - does the vCPU's CPUID show a feature?
 * @vcpu: the vCPU
 * @f: the feature
 */
bool lodge_guest_has(const struct lodge_vcpu *vcpu, enum lodge_guest_feature f)
{
	return vcpu->cpuid->features & BIT_ULL(f);
}

/**
 * lodge_guest_phys_bits() - physical-address width the guest was told
 * @vcpu: the vCPU
 */
u8 lodge_guest_phys_bits(const struct lodge_vcpu *vcpu)
{
	return vcpu->cpuid->phys_bits;
}

/**
 * lodge_guest_xcr0_mask() - bits the guest may set in XCR0
 * @vcpu: the vCPU
 */
u64 lodge_guest_xcr0_mask(const struct lodge_vcpu *vcpu)
{
	return vcpu->cpuid->xcr0;
}

/**
 * lodge_guest_xss_mask() - bits the guest may set in IA32_XSS
 * @vcpu: the vCPU
 */
u64 lodge_guest_xss_mask(const struct lodge_vcpu *vcpu)
{
	return vcpu->cpuid->xss;
}
