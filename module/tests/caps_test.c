// SPDX-License-Identifier: GPL-2.0
/*
 * Capability negotiation with capability MSRs that the test plays. Bits are
 * numbers out of the SDM (3C chapter 25, 3D appendix A), not lodge's names for
 * them, so that a wrong name is found as well.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/lodge.h>
#include <linux/string.h>
#include <asm/msr.h>

#include "../vmx/caps.h"
#include "suites.h"

#define NR_CONTROL_WORDS	VMX_WORD_EPT_VPID

struct cap_row {
	enum vmx_cap_word word;
	u32 bit;
	const char *name;
	u64 feature;
};

static const struct cap_row required[] = {
	{ VMX_WORD_PIN, 0, "external-interrupt exiting" },
	{ VMX_WORD_PIN, 3, "NMI exiting" },
	{ VMX_WORD_PIN, 5, "virtual NMIs" },
	{ VMX_WORD_PIN, 6, "VMX preemption timer" },
	{ VMX_WORD_PROC, 3, "TSC offsetting" },
	{ VMX_WORD_PROC, 7, "HLT exiting" },
	{ VMX_WORD_PROC, 10, "MWAIT exiting" },
	{ VMX_WORD_PROC, 11, "RDPMC exiting" },
	{ VMX_WORD_PROC, 19, "CR8-load exiting" },
	{ VMX_WORD_PROC, 20, "CR8-store exiting" },
	{ VMX_WORD_PROC, 23, "MOV-DR exiting" },
	{ VMX_WORD_PROC, 24, "unconditional I/O exiting" },
	{ VMX_WORD_PROC, 28, "MSR bitmaps" },
	{ VMX_WORD_PROC, 29, "MONITOR exiting" },
	{ VMX_WORD_PROC, 31, "secondary controls" },
	{ VMX_WORD_PROC2, 1, "EPT" },
	{ VMX_WORD_PROC2, 5, "VPID" },
	{ VMX_WORD_PROC2, 6, "WBINVD exiting" },
	{ VMX_WORD_PROC2, 7, "unrestricted guest" },
	{ VMX_WORD_EXIT, 2, "save debug controls" },
	{ VMX_WORD_EXIT, 9, "64-bit host" },
	{ VMX_WORD_EXIT, 18, "save PAT" },
	{ VMX_WORD_EXIT, 19, "load host PAT" },
	{ VMX_WORD_EXIT, 20, "save EFER" },
	{ VMX_WORD_EXIT, 21, "load host EFER" },
	{ VMX_WORD_EXIT, 22, "save VMX preemption timer" },
	{ VMX_WORD_ENTRY, 2, "load debug controls" },
	{ VMX_WORD_ENTRY, 14, "load guest PAT" },
	{ VMX_WORD_ENTRY, 15, "load guest EFER" },
	{ VMX_WORD_EPT_VPID, 6, "4-level EPT" },
	{ VMX_WORD_EPT_VPID, 14, "write-back EPT" },
	{ VMX_WORD_EPT_VPID, 16, "2 MiB EPT pages" },
	{ VMX_WORD_EPT_VPID, 20, "INVEPT" },
	{ VMX_WORD_EPT_VPID, 25, "single-context INVEPT" },
	{ VMX_WORD_EPT_VPID, 32, "INVVPID" },
	{ VMX_WORD_EPT_VPID, 41, "single-context INVVPID" },
};

static const struct cap_row optional[] = {
	{ VMX_WORD_PROC2, 3, "rdtscp", LODGE_FEATURE_RDTSCP },
	{ VMX_WORD_PROC2, 12, "invpcid", LODGE_FEATURE_INVPCID },
	{ VMX_WORD_PROC2, 20, "xsaves", LODGE_FEATURE_XSAVES },
	{ VMX_WORD_PROC2, 30, "bus_lock", LODGE_FEATURE_BUS_LOCK },
	{ VMX_WORD_PROC2, 31, "notify_window", LODGE_FEATURE_NOTIFY_WINDOW },
	{ VMX_WORD_EPT_VPID, 17, "ept_1gb", LODGE_FEATURE_EPT_1GB },
	{ VMX_WORD_EPT_VPID, 21, "ept_ad", LODGE_FEATURE_EPT_AD },
};

/* Needed, but not from the start: windows open, guests enter long mode. */
static const struct cap_row must_be_there[] = {
	{ VMX_WORD_PROC, 2, "interrupt-window exiting" },
	{ VMX_WORD_PROC, 22, "NMI-window exiting" },
	{ VMX_WORD_ENTRY, 9, "64-bit guests" },
};

/* Used where there is one, and not to be switched off: ENCLS exiting. */
static const struct cap_row always = { VMX_WORD_PROC2, 15, "encls" };

static const struct cap_row must_be_off[] = {
	{ VMX_WORD_PROC, 9, "INVLPG exiting off" },
	{ VMX_WORD_PROC, 15, "CR3-load exiting off" },
	{ VMX_WORD_PROC, 16, "CR3-store exiting off" },
};

#define ALL_OPTIONAL							\
	(LODGE_FEATURE_RDTSCP | LODGE_FEATURE_INVPCID | LODGE_FEATURE_XSAVES |	\
	 LODGE_FEATURE_BUS_LOCK | LODGE_FEATURE_NOTIFY_WINDOW |		\
	 LODGE_FEATURE_EPT_1GB | LODGE_FEATURE_EPT_AD)

/* The names that a negotiation found missing. */
struct missing {
	u32 nr;
	const char *name[64];
};

static void note_missing(const char *name, void *arg)
{
	struct missing *m = arg;

	if (m->nr < ARRAY_SIZE(m->name))
		m->name[m->nr] = name;
	m->nr++;
}

static bool is_missing(const struct missing *m, const char *name)
{
	u32 i;

	for (i = 0; i < min_t(u32, m->nr, ARRAY_SIZE(m->name)); i++)
		if (!strcmp(m->name[i], name))
			return true;
	return false;
}

/* A CPU that can do everything and insists on nothing. */
static void big_cpu(struct vmx_cap_msrs *msrs)
{
	int w;

	memset(msrs, 0, sizeof(*msrs));
	for (w = 0; w < NR_CONTROL_WORDS; w++)
		msrs->word[w] = 0xffffffff00000000ull;
	msrs->word[VMX_WORD_EPT_VPID] = ~0ull;
}

static void take_away(struct vmx_cap_msrs *msrs, const struct cap_row *row)
{
	msrs->word[row->word] &= ~BIT_ULL(row->word == VMX_WORD_EPT_VPID ? row->bit :
								       row->bit + 32);
}

static bool is_used(const struct vmx_caps *caps, const struct cap_row *row)
{
	if (row->word == VMX_WORD_EPT_VPID)
		return caps->ept_vpid & BIT_ULL(row->bit);
	return caps->control[row->word] & BIT_ULL(row->bit);
}

/* What @word is when all is there: the rows' bits, and no other. */
static u64 rows_of(enum vmx_cap_word word, u64 features)
{
	u64 bits = word == always.word ? BIT_ULL(always.bit) : 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(required); i++)
		if (required[i].word == word)
			bits |= BIT_ULL(required[i].bit);
	for (i = 0; i < ARRAY_SIZE(optional); i++)
		if (optional[i].word == word && optional[i].feature & features)
			bits |= BIT_ULL(optional[i].bit);
	return bits;
}

static void expect_words(struct kunit *test, const struct vmx_caps *caps, u64 features)
{
	int w;

	for (w = 0; w < NR_CONTROL_WORDS; w++)
		KUNIT_EXPECT_EQ_MSG(test, (u64)caps->control[w], rows_of(w, features),
				    "word %d, features %#llx", w, features);
	KUNIT_EXPECT_EQ(test, caps->ept_vpid, rows_of(VMX_WORD_EPT_VPID, features));
	KUNIT_EXPECT_EQ(test, caps->features, features);
}

static void caps_all_there(struct kunit *test)
{
	struct missing missing = {};
	struct vmx_cap_msrs msrs;
	struct vmx_caps caps;

	big_cpu(&msrs);
	memset(&caps, 0xff, sizeof(caps));
	KUNIT_EXPECT_EQ(test, vmx_caps_negotiate(&msrs, 0, &caps, note_missing, &missing), 0);
	KUNIT_EXPECT_EQ(test, missing.nr, 0u);
	expect_words(test, &caps, ALL_OPTIONAL);
}

/* Both or neither; never in the words from the start, and never asked for. */
static void caps_perf_ctrl(struct kunit *test)
{
	static const struct cap_row rows[] = { { VMX_WORD_EXIT, 12 }, { VMX_WORD_ENTRY, 13 } };
	u32 i, without;

	for (without = 0; without < 4; without++) {
		struct missing missing = {};
		struct vmx_cap_msrs msrs;
		struct vmx_caps caps;

		big_cpu(&msrs);
		for (i = 0; i < ARRAY_SIZE(rows); i++)
			if (without & BIT(i))
				take_away(&msrs, &rows[i]);
		KUNIT_EXPECT_EQ(test, vmx_caps_negotiate(&msrs, 0, &caps, note_missing, &missing),
				0);
		KUNIT_EXPECT_EQ(test, missing.nr, 0u);
		KUNIT_EXPECT_EQ_MSG(test, caps.perf_ctrl, !without, "without %u", without);
		expect_words(test, &caps, ALL_OPTIONAL);
	}
}

static void expect_required(struct kunit *test, const struct cap_row *row)
{
	struct missing missing = {};
	struct vmx_cap_msrs msrs;
	struct vmx_caps caps;

	big_cpu(&msrs);
	take_away(&msrs, row);
	KUNIT_EXPECT_EQ_MSG(test, vmx_caps_negotiate(&msrs, 0, &caps, note_missing, &missing),
			    -EOPNOTSUPP, "%s", row->name);
	KUNIT_EXPECT_EQ_MSG(test, missing.nr, 1u, "%s", row->name);
	KUNIT_EXPECT_TRUE_MSG(test, is_missing(&missing, row->name), "%s", row->name);
	KUNIT_EXPECT_FALSE_MSG(test, is_used(&caps, row), "%s", row->name);
}

static void caps_required(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(required); i++)
		expect_required(test, &required[i]);
	for (i = 0; i < ARRAY_SIZE(must_be_there); i++)
		expect_required(test, &must_be_there[i]);
}

/* A refusal names everything at once, and a CPU with nothing is no accident. */
static void caps_nothing_there(struct kunit *test)
{
	const struct vmx_cap_msrs msrs = {};
	struct missing missing = {};
	struct vmx_caps caps;
	u32 i;

	KUNIT_EXPECT_EQ(test, vmx_caps_negotiate(&msrs, 0, &caps, note_missing, &missing),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, missing.nr,
			(u32)(ARRAY_SIZE(required) + ARRAY_SIZE(must_be_there)));
	for (i = 0; i < ARRAY_SIZE(required); i++)
		KUNIT_EXPECT_TRUE_MSG(test, is_missing(&missing, required[i].name), "%s",
				      required[i].name);
	KUNIT_EXPECT_EQ(test, caps.features, 0ull);
}

static void caps_optional(struct kunit *test)
{
	struct missing missing = {};
	struct vmx_cap_msrs msrs;
	struct vmx_caps caps;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(optional); i++) {
		const struct cap_row *row = &optional[i];

		big_cpu(&msrs);
		take_away(&msrs, row);
		KUNIT_EXPECT_EQ_MSG(test,
				    vmx_caps_negotiate(&msrs, 0, &caps, note_missing, &missing),
				    0, "%s absent", row->name);
		expect_words(test, &caps, ALL_OPTIONAL & ~row->feature);

		big_cpu(&msrs);
		KUNIT_EXPECT_EQ_MSG(test,
				    vmx_caps_negotiate(&msrs, row->feature, &caps, note_missing,
						       &missing),
				    0, "%s off", row->name);
		expect_words(test, &caps, ALL_OPTIONAL & ~row->feature);
	}
	KUNIT_EXPECT_EQ(test, vmx_caps_negotiate(&msrs, ALL_OPTIONAL, &caps, note_missing,
						 &missing), 0);
	expect_words(test, &caps, 0);
	KUNIT_EXPECT_EQ(test, missing.nr, 0u);
}

static void caps_must_be_off(struct kunit *test)
{
	struct vmx_cap_msrs msrs;
	struct vmx_caps caps;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(must_be_off); i++) {
		const struct cap_row *row = &must_be_off[i];
		struct missing missing = {};

		big_cpu(&msrs);
		msrs.word[row->word] |= BIT_ULL(row->bit);
		KUNIT_EXPECT_EQ_MSG(test,
				    vmx_caps_negotiate(&msrs, 0, &caps, note_missing, &missing),
				    -EOPNOTSUPP, "%s", row->name);
		KUNIT_EXPECT_EQ_MSG(test, missing.nr, 1u, "%s", row->name);
		KUNIT_EXPECT_TRUE_MSG(test, is_missing(&missing, row->name), "%s", row->name);
	}
}

/* What the CPU wants to be 1 is 1: any bit but those that lodge cannot live with. */
static void caps_allowed0(struct kunit *test)
{
	struct missing missing = {};
	struct vmx_cap_msrs msrs;
	struct vmx_caps caps;
	u32 bit;
	int w;

	for (w = 0; w < NR_CONTROL_WORDS; w++) {
		for (bit = 0; bit < 32; bit++) {
			if (w == VMX_WORD_PROC && BIT(bit) & (BIT(9) | BIT(15) | BIT(16)))
				continue;
			big_cpu(&msrs);
			msrs.word[w] |= BIT_ULL(bit);
			KUNIT_EXPECT_EQ(test, vmx_caps_negotiate(&msrs, 0, &caps, note_missing,
								 &missing), 0);
			KUNIT_EXPECT_EQ_MSG(test, (u64)caps.control[w],
					    rows_of(w, ALL_OPTIONAL) | BIT_ULL(bit),
					    "word %d bit %u", w, bit);
		}
	}
	KUNIT_EXPECT_EQ(test, missing.nr, 0u);
}

static void caps_facts(struct kunit *test)
{
	struct missing missing = {};
	struct vmx_cap_msrs msrs;
	struct vmx_caps caps;

	big_cpu(&msrs);
	msrs.basic = 0x00d8100092345678ull;	/* bit 31 is no part of the id */
	msrs.misc = 0xfffffffffffffff5ull;
	msrs.cr0_fixed0 = 0x80000021;
	msrs.cr0_fixed1 = 0xfffffffe;
	msrs.cr4_fixed0 = 0x2000;
	msrs.cr4_fixed1 = 0x3727ff;
	KUNIT_EXPECT_EQ(test, vmx_caps_negotiate(&msrs, 0, &caps, note_missing, &missing), 0);
	KUNIT_EXPECT_EQ(test, caps.revision, 0x12345678u);
	KUNIT_EXPECT_EQ(test, caps.timer_shift, 0x15);
	KUNIT_EXPECT_EQ(test, caps.cr0_fixed0, 0x80000021ull);
	KUNIT_EXPECT_EQ(test, caps.cr0_fixed1, 0xfffffffeull);
	KUNIT_EXPECT_EQ(test, caps.cr4_fixed0, 0x2000ull);
	KUNIT_EXPECT_EQ(test, caps.cr4_fixed1, 0x3727ffull);
	KUNIT_EXPECT_EQ(test, caps.features, ALL_OPTIONAL);

	msrs.cr4_fixed1 |= BIT(11);
	KUNIT_EXPECT_EQ(test, vmx_caps_negotiate(&msrs, 0, &caps, note_missing, &missing), 0);
	KUNIT_EXPECT_EQ(test, caps.features, ALL_OPTIONAL | LODGE_FEATURE_UMIP);
}

/* The MSRs that matter are read, and each into its place. */
static void caps_read_here(struct kunit *test)
{
	static const struct {
		enum vmx_cap_word word;
		u32 msr, true_msr;
	} rows[] = {
		{ VMX_WORD_PIN, 0x481, 0x48d },
		{ VMX_WORD_PROC, 0x482, 0x48e },
		{ VMX_WORD_EXIT, 0x483, 0x48f },
		{ VMX_WORD_ENTRY, 0x484, 0x490 },
		{ VMX_WORD_PROC2, 0x48b, 0x48b },
		{ VMX_WORD_EPT_VPID, 0x48c, 0x48c },
	};
	struct vmx_cap_msrs msrs;
	u64 basic, value;
	u32 i;

	rdmsrl(0x480, basic);
	memset(&msrs, 0xff, sizeof(msrs));
	vmx_caps_read(&msrs);
	KUNIT_EXPECT_EQ(test, msrs.basic, basic);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		rdmsrl(basic & BIT_ULL(55) ? rows[i].true_msr : rows[i].msr, value);
		KUNIT_EXPECT_EQ_MSG(test, msrs.word[rows[i].word], value, "word %d",
				    rows[i].word);
	}
	rdmsrl(0x485, value);
	KUNIT_EXPECT_EQ(test, msrs.misc, value);
	rdmsrl(0x486, value);
	KUNIT_EXPECT_EQ(test, msrs.cr0_fixed0, value);
	rdmsrl(0x487, value);
	KUNIT_EXPECT_EQ(test, msrs.cr0_fixed1, value);
	rdmsrl(0x488, value);
	KUNIT_EXPECT_EQ(test, msrs.cr4_fixed0, value);
	rdmsrl(0x489, value);
	KUNIT_EXPECT_EQ(test, msrs.cr4_fixed1, value);
}

static void caps_parse_off(struct kunit *test)
{
	static const struct {
		const char *list;
		int ret;
		u64 off;
	} rows[] = {
		{ NULL, 0, 0 },
		{ "", 0, 0 },
		{ "rdtscp,invpcid", 0, LODGE_FEATURE_RDTSCP | LODGE_FEATURE_INVPCID },
		{ "ept_ad,ept_ad", 0, LODGE_FEATURE_EPT_AD },
		{ "rdtscp,invpcid,xsaves,bus_lock,notify_window,ept_1gb,ept_ad", 0, ALL_OPTIONAL },
		{ "ept_1gb,", 0, LODGE_FEATURE_EPT_1GB },
		{ ",", -EINVAL },
		{ ",ept_1gb", -EINVAL },
		{ "ept_1gb,,ept_ad", -EINVAL },
		{ "ept_1gb ept_ad", -EINVAL },
		{ " ept_1gb", -EINVAL },
		{ "ept_1g", -EINVAL },
		{ "ept_1gbb", -EINVAL },
		{ "EPT_1GB", -EINVAL },
		{ "ept_1gb,nonsense", -EINVAL },
		{ "nonsense,ept_1gb", -EINVAL },
		{ "EPT", -EINVAL },		/* required ones cannot be switched off */
		{ "virtual NMIs", -EINVAL },
	};
	u64 off;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		off = ~0ull;
		KUNIT_EXPECT_EQ_MSG(test, vmx_caps_parse_off(rows[i].list, &off), rows[i].ret,
				    "\"%s\"", rows[i].list ?: "(null)");
		if (!rows[i].ret)
			KUNIT_EXPECT_EQ_MSG(test, off, rows[i].off, "\"%s\"",
					    rows[i].list ?: "(null)");
	}
	for (i = 0; i < ARRAY_SIZE(optional); i++) {
		KUNIT_EXPECT_EQ(test, vmx_caps_parse_off(optional[i].name, &off), 0);
		KUNIT_EXPECT_EQ_MSG(test, off, optional[i].feature, "%s", optional[i].name);
	}
}

static struct kunit_case caps_test_cases[] = {
	KUNIT_CASE(caps_all_there),
	KUNIT_CASE(caps_perf_ctrl),
	KUNIT_CASE(caps_required),
	KUNIT_CASE(caps_nothing_there),
	KUNIT_CASE(caps_optional),
	KUNIT_CASE(caps_must_be_off),
	KUNIT_CASE(caps_allowed0),
	KUNIT_CASE(caps_facts),
	KUNIT_CASE(caps_read_here),
	KUNIT_CASE(caps_parse_off),
	{ }
};

struct kunit_suite lodge_caps_suite = {
	.name = "lodge_caps",
	.test_cases = caps_test_cases,
};
