// SPDX-License-Identifier: GPL-2.0
/*
 * The MSR table: in order, whole, and saying one thing only; the bitmap made
 * from it; and what values its checks let through. Only MSRs whose value does
 * not live in the VMCS are touched: there is none here.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/string.h>
#include <asm/msr-index.h>

#include "../cpu/msr.h"
#include "../lodge.h"
#include "suites.h"

#define ALL_FEATURES	(~0ull)

/* A vCPU with these features, enough for the checks. */
static struct lodge_vcpu *new_vcpu(struct kunit *test, u64 features)
{
	struct lodge_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	vcpu->cpuid = kunit_kzalloc(test, sizeof(*vcpu->cpuid), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vcpu->cpuid);
	vcpu->cpuid->features = features;
	vcpu->cpuid->phys_bits = 40;
	return vcpu;
}

static void msr_table_sorted(struct kunit *test)
{
	u32 i;

	for (i = 0; i < nr_msr_rows; i++) {
		const struct msr_row *row = &msr_rows[i];

		KUNIT_EXPECT_GT_MSG(test, row->nr, 0u, "%s", row->name);
		if (i)
			KUNIT_EXPECT_GE_MSG(test, row->first, row[-1].first + row[-1].nr, "%s",
					    row->name);
		KUNIT_EXPECT_PTR_EQ(test, msr_find(row->first), row);
		KUNIT_EXPECT_PTR_EQ(test, msr_find(row->first + row->nr - 1), row);
	}
	KUNIT_EXPECT_NULL(test, msr_find(0));
	KUNIT_EXPECT_NULL(test, msr_find(0x7ff));
	KUNIT_EXPECT_NULL(test, msr_find(0x900));
	KUNIT_EXPECT_NULL(test, msr_find(0xffffffff));
	KUNIT_EXPECT_NULL(test, msr_find(LODGE_MSR_USER - 1));
	KUNIT_EXPECT_NULL(test, msr_find(LODGE_MSR_USER + LODGE_NR_MSR_USER));
}

/* With hints as without them, each MSR has its row, and its neighbours none. */
static void msr_hints_agree(struct kunit *test)
{
	u32 i, j;

	lodge_msr_module_init();
	for (i = 0; i < nr_msr_rows; i++) {
		const struct msr_row *row = &msr_rows[i];

		for (j = 0; j < row->nr; j++)
			KUNIT_EXPECT_PTR_EQ_MSG(test, msr_find(row->first + j), row, "%s",
						row->name);
		if (!i || msr_rows[i - 1].first + msr_rows[i - 1].nr < row->first)
			KUNIT_EXPECT_NULL_MSG(test, msr_find(row->first - 1), "%s", row->name);
	}
}

/* Each row has what its kind needs and nothing that its kind ignores. */
static void msr_table_kinds(struct kunit *test)
{
	u32 i;

	for (i = 0; i < nr_msr_rows; i++) {
		const struct msr_row *row = &msr_rows[i];
		bool stored = row->kind == MSR_STORED, handled = row->kind == MSR_HANDLED;

		KUNIT_EXPECT_TRUE_MSG(test, row->name && row->name[0], "%x", row->first);
		/* A stored value may have a say about how it is written. */
		KUNIT_EXPECT_EQ_MSG(test, handled, row->read || (row->write && !stored), "%s",
				    row->name);
		KUNIT_EXPECT_EQ_MSG(test, stored, row->field != 0, "%s", row->name);
		if (row->field)
			KUNIT_EXPECT_LE_MSG(test, row->field + row->nr * sizeof(u64),
					    sizeof(struct lodge_vcpu), "%s", row->name);
		if (row->value)
			KUNIT_EXPECT_EQ_MSG(test, (int)row->kind, MSR_CONST, "%s", row->name);
		if (row->changed)
			KUNIT_EXPECT_TRUE_MSG(test, stored, "%s", row->name);
		if (row->check)
			KUNIT_EXPECT_TRUE_MSG(test, stored || row->write, "%s", row->name);
		if (row->pass)
			KUNIT_EXPECT_TRUE_MSG(test, stored || handled, "%s", row->name);
		/* Saved means restored: by index, and something to read and write. */
		if (row->save)
			KUNIT_EXPECT_TRUE_MSG(test, !row->group &&
					      (stored || (row->read && row->write)), "%s",
					      row->name);
	}
}

/* Two MSRs never share a field: fields of all rows, eight bytes each. */
static void msr_table_fields(struct kunit *test)
{
	u32 i, j;

	for (i = 0; i < nr_msr_rows; i++) {
		const struct msr_row *a = &msr_rows[i];

		if (a->kind != MSR_STORED)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, a->field % sizeof(u64), 0ul, "%s", a->name);
		for (j = 0; j < i; j++) {
			const struct msr_row *b = &msr_rows[j];

			if (b->kind != MSR_STORED)
				continue;
			KUNIT_EXPECT_TRUE_MSG(test, a->field >= b->field + b->nr * sizeof(u64) ||
					      b->field >= a->field + a->nr * sizeof(u64),
					      "%s, %s", a->name, b->name);
		}
	}
}

/* ------------------------------------------------------------------ bitmap */

static bool exits(const unsigned long *bitmap, u32 msr, bool write)
{
	/* SDM 3C 25.6.9: bytes 0, 400h, 800h, C00h. */
	u32 byte = (write ? 0x800 : 0) + (msr & 0x80000000 ? 0x400 : 0) + (msr & 0x1fff) / 8;

	return ((const u8 *)bitmap)[byte] & BIT(msr % 8);
}

static u32 count_passed(const unsigned long *bitmap)
{
	return PAGE_SIZE * 8 - bitmap_weight(bitmap, PAGE_SIZE * 8);
}

static void msr_bitmap(struct kunit *test)
{
	static const struct {
		u32 msr;
		bool read, write;	/* pass, with every feature */
	} cases[] = {
		{ MSR_IA32_TSC, true, false },
		{ MSR_IA32_SYSENTER_CS, true, true },
		{ MSR_IA32_SYSENTER_ESP, true, true },
		{ MSR_IA32_SYSENTER_EIP, true, true },
		{ MSR_FS_BASE, true, true },
		{ MSR_GS_BASE, true, true },
		{ MSR_KERNEL_GS_BASE, true, true },
		{ MSR_IA32_SPEC_CTRL, false, false },
		{ MSR_IA32_PRED_CMD, false, true },
		{ MSR_IA32_FLUSH_CMD, false, true },
		{ MSR_IA32_APICBASE, false, false },
		{ MSR_IA32_TSC_DEADLINE, false, false },
		{ MSR_IA32_CR_PAT, false, false },
		{ MSR_EFER, false, false },
		{ MSR_LSTAR, false, false },
		{ 0x830, false, false },
		{ 0, false, false },
		{ 0x1fff, false, false },
		{ 0xc0001fff, false, false },
	};
	unsigned long *bitmap = (void *)get_zeroed_page(GFP_KERNEL);
	struct lodge_vcpu *vcpu = new_vcpu(test, ALL_FEATURES);
	u32 passed = 0;
	size_t i;

	KUNIT_ASSERT_NOT_NULL(test, bitmap);
	lodge_msr_fill_bitmap(vcpu, bitmap);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		KUNIT_EXPECT_EQ_MSG(test, exits(bitmap, cases[i].msr, false), !cases[i].read,
				    "read %x", cases[i].msr);
		KUNIT_EXPECT_EQ_MSG(test, exits(bitmap, cases[i].msr, true), !cases[i].write,
				    "write %x", cases[i].msr);
		passed += cases[i].read + cases[i].write;
	}
	/* And nothing else passes. */
	KUNIT_EXPECT_EQ(test, count_passed(bitmap), passed);

	/* Without features: the TSC's read and SYSENTER. */
	vcpu->cpuid->features = 0;
	lodge_msr_fill_bitmap(vcpu, bitmap);
	KUNIT_EXPECT_TRUE(test, exits(bitmap, MSR_FS_BASE, false));
	KUNIT_EXPECT_TRUE(test, exits(bitmap, MSR_IA32_SPEC_CTRL, true));
	KUNIT_EXPECT_EQ(test, count_passed(bitmap), 7u);
	free_page((unsigned long)bitmap);
}

/* ------------------------------------------------------------------ values */

/**
 * struct value_case - a value a guest may or may not write
 * @msr: the MSR
 * @value: the value
 * @want: LODGE_MSR_*
 */
struct value_case {
	u32 msr;
	u64 value;
	int want;
};

#define OK	LODGE_MSR_OK
#define GP	LODGE_MSR_GP

static const struct value_case value_cases[] = {
	/* MTRRs: fixed, variable base and mask, default type. */
	{ 0x250, 0x0606060606060606, OK },
	{ 0x250, 0x0706060606060606, GP },
	{ 0x258, 0x0001040506000104, OK },
	{ 0x26f, 0x0000000000000200, GP },
	{ 0x26f, 0x0300000000000000, GP },
	{ 0x200, 0x00000000fffff006, OK },
	{ 0x200, 0x000000fffffff000, OK },
	{ 0x200, 0x0000010000000000, GP },
	{ 0x200, 0x0000000000000106, GP },
	{ 0x200, 0x0000000000000007, GP },
	{ 0x201, 0x000000fffffff800, OK },
	{ 0x201, 0x000000fffffffc00, GP },
	{ 0x20f, 0x0000010000000800, GP },
	{ 0x20e, 0x0000000000001001, OK },
	{ 0x210, 0, GP },
	{ 0x2ff, 0xc06, OK },
	{ 0x2ff, 0x000, OK },
	{ 0x2ff, 0xd06, GP },
	{ 0x2ff, 0x1c06, GP },
	{ 0x2ff, 0xc02, GP },
	{ 0xfe, 0x508, GP },
	/* System calls. TSC_AUX and FMASK have 32 bits. */
	{ MSR_CSTAR, 0xffff800000000000, OK },
	{ MSR_CSTAR, 0x0000800000000000, GP },
	{ MSR_CSTAR, 0x00007fffffffffff, OK },
	/* Speculation control: what CPUID shows. */
	{ MSR_IA32_SPEC_CTRL, 0x4ff, OK },
	{ MSR_IA32_SPEC_CTRL, 0x800, GP },
	{ MSR_IA32_MCG_STATUS, 0, OK },
	{ MSR_IA32_MCG_STATUS, 4, GP },
	/* Read-only and unknown. */
	{ MSR_IA32_MCG_CAP, 0, GP },
	{ MSR_IA32_FEAT_CTL, 1, GP },
	{ MSR_IA32_FEAT_CTL, 5, GP },
	{ MSR_PLATFORM_INFO, 0, GP },
	{ MSR_IA32_ARCH_CAPABILITIES, 0, GP },
	{ MSR_IA32_UCODE_REV, 0, OK },
	{ MSR_IA32_XSS, 0, OK },
	{ MSR_IA32_XSS, 0x100, GP },
	{ MSR_IA32_VMX_BASIC, 0, GP },
	{ MSR_P6_EVNTSEL0, 0, GP },
	{ LODGE_MSR_USER + 3, 1234, LODGE_MSR_USER_EXIT },
};

static void msr_values(struct kunit *test)
{
	struct lodge_vcpu *vcpu = new_vcpu(test, ALL_FEATURES);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(value_cases); i++) {
		const struct value_case *c = &value_cases[i];
		u64 before = 0, after = 0;
		bool known = !lodge_msr_read(vcpu, c->msr, &before, true);

		KUNIT_EXPECT_EQ_MSG(test, lodge_msr_write(vcpu, c->msr, c->value, false), c->want,
				    "%x = %llx", c->msr, c->value);
		if (!known)
			continue;
		lodge_msr_read(vcpu, c->msr, &after, true);
		if (c->want == OK && c->msr != MSR_IA32_UCODE_REV)
			KUNIT_EXPECT_EQ_MSG(test, after, c->value, "%x", c->msr);
		else
			KUNIT_EXPECT_EQ_MSG(test, after, before, "%x", c->msr);
	}
}

/* The rule for PAT, which lives in the VMCS, by its check alone. */
static void msr_pat_check(struct kunit *test)
{
	const struct msr_row *pat = msr_find(MSR_IA32_CR_PAT);
	int type, i;

	KUNIT_ASSERT_NOT_NULL(test, pat);
	for (type = 0; type < 256; type++) {
		bool valid = type == 0 || type == 1 || (type >= 4 && type <= 7);

		for (i = 0; i < 8; i++)
			KUNIT_EXPECT_EQ_MSG(test, pat->check(NULL, MSR_IA32_CR_PAT,
							     (u64)type << (8 * i)),
					    valid, "type %x in %d", type, i);
	}
}

/* A guest without the feature has no such MSR; its program may write it as it stands. */
static void msr_gates(struct kunit *test)
{
	struct lodge_vcpu *vcpu = new_vcpu(test, 0);
	u64 value;
	u32 i;

	for (i = 0; i < nr_msr_rows; i++) {
		const struct msr_row *row = &msr_rows[i];

		if (!row->gate)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, lodge_msr_read(vcpu, row->first, &value, false), GP,
				    "%s", row->name);
		KUNIT_EXPECT_EQ_MSG(test, lodge_msr_write(vcpu, row->first, 0, false), GP, "%s",
				    row->name);
	}
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, MSR_TSC_AUX, 0), OK);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, MSR_TSC_AUX, 1), GP);
	/* One of two features will do. */
	vcpu->cpuid->features = BIT_ULL(GF_RDPID);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, MSR_TSC_AUX, 1), OK);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, MSR_TSC_AUX, 1ull << 32), GP);
}

static void msr_host(struct kunit *test)
{
	struct lodge_vcpu *vcpu = new_vcpu(test, ALL_FEATURES);
	u64 value = 0;

	/* Read-only ones as they stand; those of another group, and the program's, never. */
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, MSR_IA32_FEAT_CTL, 1), OK);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, MSR_IA32_FEAT_CTL, 0), GP);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, MSR_EFER, 0), GP);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, 0x80b, 0), GP);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, MSR_FS_BASE, 0), GP);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, LODGE_MSR_USER, 0), GP);
	KUNIT_EXPECT_EQ(test, lodge_msr_check(vcpu, 0x12345678, 0), GP);
	KUNIT_EXPECT_EQ(test, lodge_msr_read(vcpu, LODGE_MSR_USER, &value, true), GP);
	KUNIT_EXPECT_EQ(test, lodge_msr_read(vcpu, LODGE_MSR_USER, &value, false),
			LODGE_MSR_USER_EXIT);

	/* Microcode revision: the guest's writes are dropped, the program's kept. */
	KUNIT_EXPECT_EQ(test, lodge_msr_write(vcpu, MSR_IA32_UCODE_REV, 0x77ull << 32, true), OK);
	KUNIT_EXPECT_EQ(test, lodge_msr_write(vcpu, MSR_IA32_UCODE_REV, 0, false), OK);
	KUNIT_EXPECT_EQ(test, lodge_msr_read(vcpu, MSR_IA32_UCODE_REV, &value, false), OK);
	KUNIT_EXPECT_EQ(test, value, 0x77ull << 32);

	/* Restoring one of the TSC's two MSRs leaves the other alone. */
	KUNIT_EXPECT_EQ(test, lodge_msr_write(vcpu, MSR_IA32_TSC_ADJUST, 1000, true), OK);
	KUNIT_EXPECT_EQ(test, vcpu->vmx.tsc_offset, 0ull);
	KUNIT_EXPECT_EQ(test, lodge_msr_read(vcpu, MSR_IA32_TSC_ADJUST, &value, false), OK);
	KUNIT_EXPECT_EQ(test, value, 1000ull);
}

/*
 * What a stint in the guest sets up before its first entry only (SPEC_CTRL, XSS, a flush
 * for EFER.NXE) must not change in the middle of it, nor may the program be asked.
 */
static void msr_fast_writes(struct kunit *test)
{
	static const struct {
		u32 msr;
		bool fast;
	} cases[] = {
		{ MSR_IA32_TSC_ADJUST, true }, { MSR_IA32_TSC_DEADLINE, true }, { 0x80b, true },
		{ 0x830, true }, { 0x8ff, true }, { MSR_EFER, false }, { MSR_IA32_XSS, false },
		{ MSR_IA32_SPEC_CTRL, false }, { MSR_IA32_PRED_CMD, false },
		{ 0x4b564d01, false }, { LODGE_MSR_USER, false },
		{ 0x12345678, false },
	};
	struct lodge_vcpu *vcpu = new_vcpu(test, ALL_FEATURES);
	u32 i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct msr_row *row = msr_find(cases[i].msr);

		KUNIT_EXPECT_EQ_MSG(test, row && row->fast, cases[i].fast, "%x", cases[i].msr);
		if (!cases[i].fast)
			KUNIT_EXPECT_EQ(test, lodge_msr_write_fast(vcpu, cases[i].msr, 0),
					LODGE_MSR_USER_EXIT);
	}
	for (i = 0; i < nr_msr_rows; i++)
		nr += msr_rows[i].fast;
	KUNIT_EXPECT_EQ(test, nr, 3);
	KUNIT_EXPECT_EQ(test, lodge_msr_write_fast(vcpu, 0x8ff, 0), GP);
}

static void msr_save_list(struct kunit *test)
{
	static const u32 must[] = {
		MSR_IA32_TSC, MSR_IA32_TSC_ADJUST, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_EIP,
		MSR_STAR, MSR_LSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX,
		MSR_IA32_CR_PAT, MSR_IA32_XSS, 0x200, 0x20f, 0x250, 0x259, 0x26f, 0x2ff,
		0x4b564d00, 0x4b564d01,
	};
	static const u32 must_not[] = {
		MSR_EFER, MSR_FS_BASE, MSR_GS_BASE, MSR_IA32_APICBASE, MSR_IA32_TSC_DEADLINE,
		0x830, MSR_IA32_PRED_CMD, LODGE_MSR_USER,
	};
	struct lodge_cpuid_table *all = new_vcpu(test, ALL_FEATURES)->cpuid;
	u32 nr = msr_list(all, NULL, 0);
	u32 *list = kunit_kzalloc(test, (nr + 1) * sizeof(*list), GFP_KERNEL);
	u32 i, j, hits;

	KUNIT_ASSERT_NOT_NULL(test, list);
	KUNIT_EXPECT_EQ(test, msr_list(all, list, nr - 1), nr);
	KUNIT_EXPECT_EQ(test, list[nr - 1], 0u);
	KUNIT_EXPECT_EQ(test, msr_list(all, list, nr), nr);
	KUNIT_EXPECT_EQ(test, list[nr], 0u);
	for (i = 0; i < ARRAY_SIZE(must); i++) {
		for (hits = 0, j = 0; j < nr; j++)
			hits += list[j] == must[i];
		KUNIT_EXPECT_EQ_MSG(test, hits, 1u, "%x", must[i]);
	}
	for (i = 0; i < ARRAY_SIZE(must_not); i++) {
		for (hits = 0, j = 0; j < nr; j++)
			hits += list[j] == must_not[i];
		KUNIT_EXPECT_EQ_MSG(test, hits, 0u, "%x", must_not[i]);
	}
}

/* What the machine's CPUID leaves out is no state: only what has no gate is left. */
static void msr_save_list_gates(struct kunit *test)
{
	struct lodge_cpuid_table *none = new_vcpu(test, 0)->cpuid;
	u32 nr = msr_list(none, NULL, 0), want = 0;
	u32 *list = kunit_kzalloc(test, nr * sizeof(*list), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, list);
	msr_list(none, list, nr);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, msr_find(list[i])->gate, 0ull, "%x", list[i]);
	for (i = 0; i < nr_msr_rows; i++)
		want += msr_rows[i].save && !msr_rows[i].gate ? msr_rows[i].nr : 0;
	KUNIT_EXPECT_EQ(test, nr, want);
	KUNIT_EXPECT_GT(test, nr, 0u);
}

static struct kunit_case msr_test_cases[] = {
	KUNIT_CASE(msr_table_sorted),
	KUNIT_CASE(msr_hints_agree),
	KUNIT_CASE(msr_table_kinds),
	KUNIT_CASE(msr_table_fields),
	KUNIT_CASE(msr_bitmap),
	KUNIT_CASE(msr_values),
	KUNIT_CASE(msr_pat_check),
	KUNIT_CASE(msr_gates),
	KUNIT_CASE(msr_host),
	KUNIT_CASE(msr_fast_writes),
	KUNIT_CASE(msr_save_list),
	KUNIT_CASE(msr_save_list_gates),
	{ }
};

struct kunit_suite lodge_msr_suite = {
	.name = "lodge_msr",
	.test_cases = msr_test_cases,
};
