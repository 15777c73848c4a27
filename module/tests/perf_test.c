// SPDX-License-Identifier: GPL-2.0
/*
 * Which of the host's performance counters change hands at an entry, and by what:
 * perf's answers as they come from several CPUs, played by the test.
 */
#include <kunit/test.h>
#include <linux/kernel.h>
#include <asm/msr-index.h>

#include "../lodge.h"
#include "../vmx/perf.h"
#include "suites.h"

#define CTRL	MSR_CORE_PERF_GLOBAL_CTRL
#define PEBS	MSR_IA32_PEBS_ENABLE
#define SEL0	MSR_ARCH_PERFMON_EVENTSEL0
#define ROW_MSRS	4

struct slot {
	u32 index;
	u64 entry;
	u64 exit;
};

static const struct plan_case {
	const char *name;
	bool have_ctrl;
	int nr;
	struct perf_guest_switch_msr msrs[ROW_MSRS];
	struct vmx_perf_plan plan;
	struct slot slots[ROW_MSRS];
} cases[] = {
	{ "no PMU", true, 0 },
	{ "nothing to switch", true, 1, { { CTRL, 0x7000000ff, 0x7000000ff } } },
	{ "nothing, old PEBS", true, 2, { { CTRL, 0xf, 0xf }, { PEBS, 0, 0 } } },
	{ "exclude_guest", true, 1, { { CTRL, 0xf, 0xd } },
	  { .ctrl = true, .host = 0xf, .guest = 0xd } },
	{ "exclude_host", true, 1, { { CTRL, 0xd, 0xf } },
	  { .ctrl = true, .host = 0xd, .guest = 0xf } },
	{ "all off in the guest", true, 1, { { CTRL, 0xf, 0 } },
	  { .ctrl = true, .host = 0xf } },
	{ "exclude_guest, no controls", false, 1, { { CTRL, 0xf, 0xd } },
	  { .nr = 1 }, { { CTRL, 0xd, 0xf } } },
	{ "nothing, no controls", false, 1, { { CTRL, 0xf, 0xf } } },
	{ "PEBS without isolation", true, 2, { { CTRL, 0xf, 0xe }, { PEBS, 1, 0 } },
	  { .ctrl = true, .host = 0xf, .guest = 0xe, .nr = 1, .pebs = true },
	  { { PEBS, 0, 1 } } },
	{ "the same, no controls", false, 2, { { CTRL, 0xf, 0xe }, { PEBS, 1, 0 } },
	  { .nr = 2, .pebs = true }, { { CTRL, 0xe, 0xf }, { PEBS, 0, 1 } } },
	{ "a guest's own PEBS, that it has not", true, 3,
	  { { CTRL, 0xf, 0xf }, { MSR_IA32_DS_AREA, 0xfffffe0000001000, 0 },
	    { MSR_PEBS_DATA_CFG, 3, 0 } } },
	{ "version 1, by event select", true, 3,
	  { { SEL0, 0x4300c0, 0x4300c0 }, { SEL0 + 1, 0x4300c0, 0x300c0 }, { SEL0 + 2, 0, 0 } },
	  { .nr = 1 }, { { SEL0 + 1, 0x300c0, 0x4300c0 } } },
};

static void expect_plan(struct kunit *test, const struct plan_case *c,
			const struct vmx_perf_plan *plan, const struct vmx_perf_areas *areas)
{
	u32 i;

	KUNIT_EXPECT_EQ_MSG(test, plan->ctrl, c->plan.ctrl, "%s", c->name);
	KUNIT_EXPECT_EQ_MSG(test, plan->guest, c->plan.guest, "%s", c->name);
	KUNIT_EXPECT_EQ_MSG(test, plan->host, c->plan.host, "%s", c->name);
	KUNIT_EXPECT_EQ_MSG(test, plan->pebs, c->plan.pebs, "%s", c->name);
	KUNIT_ASSERT_EQ_MSG(test, plan->nr, c->plan.nr, "%s", c->name);
	for (i = 0; i < plan->nr; i++) {
		KUNIT_EXPECT_EQ_MSG(test, areas->entry[i].index, c->slots[i].index, "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, areas->exit[i].index, c->slots[i].index, "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, areas->entry[i].value, c->slots[i].entry, "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, areas->exit[i].value, c->slots[i].exit, "%s", c->name);
		/* The CPU refuses an entry whose reserved bits are not 0. */
		KUNIT_EXPECT_EQ(test, areas->entry[i].reserved | areas->exit[i].reserved, 0u);
	}
}

static void perf_plans(struct kunit *test)
{
	struct vmx_perf_areas *areas = kunit_kmalloc(test, sizeof(*areas), GFP_KERNEL);
	struct vmx_perf_plan plan;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, areas);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(areas, 0xff, sizeof(*areas));
		memset(&plan, 0xff, sizeof(plan));
		vmx_perf_plan(cases[i].msrs, cases[i].nr, cases[i].have_ctrl, areas, &plan);
		expect_plan(test, &cases[i], &plan, areas);
	}
}

/* As many as perf can have fit, and the areas are where the CPU takes them. */
static void perf_areas(struct kunit *test)
{
	struct perf_guest_switch_msr *msrs;
	struct vmx_perf_areas *areas;
	struct vmx_perf_plan plan;
	u32 i;

	msrs = kunit_kcalloc(test, VMX_PERF_MSRS, sizeof(*msrs), GFP_KERNEL);
	areas = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, msrs);
	KUNIT_ASSERT_NOT_NULL(test, areas);
	for (i = 0; i < VMX_PERF_MSRS; i++)
		msrs[i] = (struct perf_guest_switch_msr){ SEL0 + i, 1, 0 };
	vmx_perf_plan(msrs, VMX_PERF_MSRS, true, areas, &plan);
	KUNIT_EXPECT_EQ(test, plan.nr, (u32)VMX_PERF_MSRS);
	KUNIT_EXPECT_EQ(test, areas->exit[0].index, (u32)SEL0);
	KUNIT_EXPECT_EQ(test, areas->exit[VMX_PERF_MSRS - 1].index, SEL0 + VMX_PERF_MSRS - 1u);
	KUNIT_EXPECT_EQ(test, sizeof(areas->entry[0]), 16ul);
}

static struct kunit_case perf_test_cases[] = {
	KUNIT_CASE(perf_plans),
	KUNIT_CASE(perf_areas),
	{ }
};

struct kunit_suite lodge_perf_suite = {
	.name = "lodge_perf",
	.test_cases = perf_test_cases,
};
