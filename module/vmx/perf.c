// SPDX-License-Identifier: GPL-2.0
/*
 * The host's performance counters around an entry: those that are not to run in
 * the guest (exclude_guest, PEBS, whose records go to linear addresses) stop with
 * the entry and go on with the exit, those for the guest only the other way round.
 * perf says which MSRs that takes; VM-entry and VM-exit controls load
 * IA32_PERF_GLOBAL_CTRL, MSR-load areas the rest, and that too on a CPU without
 * these controls. (The CPUs whose controls are broken have a broken preemption
 * timer as well: lodge does not load there.)
 *
 * How long is perf's answer good? It changes by interrupts (context switches,
 * IPIs, ticks), which are off in a stint, and by NMIs, whose handler stops events
 * that come too fast, but starts none. So a stint that begins with nothing to
 * switch ends with nothing to switch. With something to switch, a stint is one
 * entry: perf is asked before each. What an NMI between question and entry stops
 * is stopped in its own event select; loading GLOBAL_CTRL as it was does not start
 * it again, and PEBS_ENABLE is asked for anew before it could matter, after the
 * very next exit.
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <asm/msr.h>
#include <asm/perf_event.h>

#include "../lodge.h"
#include "caps.h"
#include "insn.h"
#include "perf.h"
#include "vmx_internal.h"

static_assert(sizeof(struct vmx_perf_areas) <= PAGE_SIZE);
static_assert(!(offsetof(struct vmx_perf_areas, exit) % 16));

/*
 * Where PEBS puts the guest's own records: some kernels answer with a guest value
 * although the guest has no PEBS, and with PEBS counters stopped nobody looks.
 */
static bool vmx_perf_ignored(u32 msr)
{
	return msr == MSR_IA32_DS_AREA || msr == MSR_PEBS_DATA_CFG;
}

/**
 * vmx_perf_plan() - what has to change hands, and how
 * @msrs: perf's answer
 * @nr: its length, at most VMX_PERF_MSRS
 * @have_ctrl: the CPU has the controls for IA32_PERF_GLOBAL_CTRL
 * @areas: filled as far as the plan says
 * @plan: filled
 */
void vmx_perf_plan(const struct perf_guest_switch_msr *msrs, int nr, bool have_ctrl,
		   struct vmx_perf_areas *areas, struct vmx_perf_plan *plan)
{
	int i;

	*plan = (struct vmx_perf_plan) { };
	for (i = 0; i < nr; i++) {
		const struct perf_guest_switch_msr *m = &msrs[i];

		if (likely(m->guest == m->host) || vmx_perf_ignored(m->msr))
			continue;
		if (m->msr == MSR_CORE_PERF_GLOBAL_CTRL && have_ctrl) {
			plan->ctrl = true;
			plan->guest = m->guest;
			plan->host = m->host;
			continue;
		}
		plan->pebs |= m->msr == MSR_IA32_PEBS_ENABLE;
		areas->entry[plan->nr] = (struct vmx_msr_slot){ m->msr, 0, m->guest };
		areas->exit[plan->nr] = (struct vmx_msr_slot){ m->msr, 0, m->host };
		plan->nr++;
	}
}

static void vmx_perf_apply(struct vmx_perf *p, const struct vmx_perf_plan *plan)
{
	if (plan->ctrl != p->now.ctrl) {
		vmcs_write(VMCS_ENTRY_CONTROLS, plan->ctrl ?
			   vmcs_read(VMCS_ENTRY_CONTROLS) | ENTRY_LOAD_PERF :
			   vmcs_read(VMCS_ENTRY_CONTROLS) & ~ENTRY_LOAD_PERF);
		vmcs_write(VMCS_EXIT_CONTROLS, plan->ctrl ?
			   vmcs_read(VMCS_EXIT_CONTROLS) | EXIT_LOAD_PERF :
			   vmcs_read(VMCS_EXIT_CONTROLS) & ~EXIT_LOAD_PERF);
	}
	if (plan->ctrl) {
		vmcs_write(VMCS_GUEST_PERF_GLOBAL_CTRL, plan->guest);
		vmcs_write(VMCS_HOST_PERF_GLOBAL_CTRL, plan->host);
	}
	if (plan->nr != p->now.nr) {
		vmcs_write(VMCS_ENTRY_MSR_LOAD_COUNT, plan->nr);
		vmcs_write(VMCS_EXIT_MSR_LOAD_COUNT, plan->nr);
	}
	p->now = *plan;
}

static noinline bool vmx_perf_switch(struct vmx_perf *p,
				     const struct perf_guest_switch_msr *msrs, int nr)
{
	struct vmx_perf_plan plan;

	vmx_perf_plan(msrs, nr, vmx_caps.perf_ctrl, p->areas, &plan);
	if (likely(!plan.ctrl && !plan.nr && !p->now.ctrl && !p->now.nr))
		return false;
	vmx_perf_apply(p, &plan);
	/*
	 * PEBS needs time to write its last record, which a load by the entry does
	 * not give: the record would go to the guest. After an entry that fails at
	 * once perf has to put it on again, as it does at its next reprogramming.
	 */
	if (plan.pebs)
		wrmsrl(MSR_IA32_PEBS_ENABLE, 0);
	return plan.ctrl || plan.nr;
}

/* The host has a PMU. */
DEFINE_STATIC_KEY_FALSE(vmx_perf_key);

/** vmx_perf_init() - does vmx_perf_load() have to be asked? At load */
void __init vmx_perf_init(void)
{
	struct x86_pmu_capability cap = {};

	/* Of CPUs with several kinds of cores perf does not want to be asked. */
	if (!boot_cpu_has(X86_FEATURE_HYBRID_CPU))
		perf_get_x86_pmu_capability(&cap);
	if (boot_cpu_has(X86_FEATURE_HYBRID_CPU) || cap.num_counters_gp)
		static_branch_enable(&vmx_perf_key);
}

/**
 * vmx_perf_load() - prepare the next entry for the host's performance counters
 * @v: the vCPU's VMX part; its VMCS is current
 *
 * Context: interrupts off, before the first entry of a stint.
 * Return: true when something is switched: the answer is good for one entry.
 */
bool vmx_perf_load(struct vmx_vcpu *v)
{
	const struct perf_guest_switch_msr *msrs;

	/* It reads KVM's account of the guest's own counters, a fraction of a page: none. */
	msrs = perf_guest_get_msrs(&v->perf.nr, empty_zero_page);
	/* A PMU without such MSRs gives no answer, and leaves its length as it was. */
	return msrs && vmx_perf_switch(&v->perf, msrs, min(v->perf.nr, VMX_PERF_MSRS));
}
