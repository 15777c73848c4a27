// SPDX-License-Identifier: GPL-2.0
/*
 * CPU bugs that a guest could use against the host: what the kernel's own
 * settings ask a hypervisor to do around VM entry and exit. The parts that must
 * stand next to the instruction (VERW, return buffer, branch history, SPEC_CTRL)
 * are in entry.S; see Documentation/admin-guide/hw-vuln in the kernel.
 */
#include <linux/cpu.h>
#include <linux/cpufeature.h>
#include <linux/gfp.h>
#include <linux/hardirq.h>
#include <linux/jump_label.h>
#include <linux/processor.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/spec-ctrl.h>
#include <asm/vmx.h>

#include "../compat.h"
#include "../lodge.h"
#include "counts.h"
#include "vmx_internal.h"

/* L1TF: how often the L1 data cache is emptied before an entry. */
enum vmx_l1d_mode {
	VMX_L1D_NEVER,
	VMX_L1D_CONDITIONAL,	/* when other data than the vCPU's may be in it */
	VMX_L1D_ALWAYS,
};

#define VMX_L1D_ORDER		4	/* 64 KiB, more than any L1 data cache */
#define VMX_L1D_SIZE		(PAGE_SIZE << VMX_L1D_ORDER)

static enum vmx_l1d_mode vmx_l1d_mode __ro_after_init;
DEFINE_STATIC_KEY_FALSE(vmx_l1d_key);	/* the mode is not NEVER */
static void *vmx_l1d_pages __ro_after_init;	/* read to displace L1D's contents */
static enum vmx_l1d_flush_state vmx_l1d_was;	/* put back at unload */

static enum vmx_l1d_mode __init vmx_l1d_decide(void)
{
	u64 arch_caps = 0;

	if (!boot_cpu_has_bug(X86_BUG_L1TF))
		return VMX_L1D_NEVER;
	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, arch_caps);
	if (arch_caps & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH)
		return VMX_L1D_NEVER;
	switch (l1tf_mitigation) {
	case L1TF_MITIGATION_OFF:
		return VMX_L1D_NEVER;
	case L1TF_MITIGATION_FULL:
	case L1TF_MITIGATION_FULL_FORCE:
		return VMX_L1D_ALWAYS;
	default:
		return VMX_L1D_CONDITIONAL;
	}
}

/* What sysfs shows as the L1TF mitigation of virtual machines. */
static enum vmx_l1d_flush_state __init vmx_l1d_shown(void)
{
	static const enum vmx_l1d_flush_state shown[] = {
		[VMX_L1D_NEVER] = VMENTER_L1D_FLUSH_NEVER,
		[VMX_L1D_CONDITIONAL] = VMENTER_L1D_FLUSH_COND,
		[VMX_L1D_ALWAYS] = VMENTER_L1D_FLUSH_ALWAYS,
	};

	return shown[vmx_l1d_mode];
}

/**
 * vmx_mitigate_init() - read the kernel's settings
 *
 * Return: 0 or -ENOMEM.
 */
int __init vmx_mitigate_init(void)
{
	vmx_l1d_was = l1tf_vmx_mitigation;
	vmx_l1d_mode = vmx_l1d_decide();
	if (vmx_l1d_mode != VMX_L1D_NEVER && !boot_cpu_has(X86_FEATURE_FLUSH_L1D)) {
		vmx_l1d_pages = (void *)__get_free_pages(GFP_KERNEL, VMX_L1D_ORDER);
		if (!vmx_l1d_pages)
			return -ENOMEM;
		/* Not the zero of fresh memory, which KSM-like tricks could merge. */
		memset(vmx_l1d_pages, 0x5a, VMX_L1D_SIZE);
	}
	if (vmx_l1d_mode != VMX_L1D_NEVER)
		static_branch_enable(&vmx_l1d_key);
	if (boot_cpu_has_bug(X86_BUG_L1TF))
		l1tf_vmx_mitigation = vmx_l1d_shown();
	itlb_multihit_kvm_mitigation = ept_caps.nx_huge;
	return 0;
}

/** vmx_mitigate_exit() - undo vmx_mitigate_init() */
void vmx_mitigate_exit(void)
{
	if (boot_cpu_has_bug(X86_BUG_L1TF))
		l1tf_vmx_mitigation = vmx_l1d_was;
	itlb_multihit_kvm_mitigation = false;
	if (vmx_l1d_pages)
		free_pages((unsigned long)vmx_l1d_pages, VMX_L1D_ORDER);
}

/** vmx_needs_nx_huge() - iTLB multihit: no executable huge pages for guests */
bool vmx_needs_nx_huge(void)
{
	return boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off();
}

static void vmx_l1d_flush(void)
{
	unsigned int i;

	vmx_count(l1d_flush);
	if (!vmx_l1d_pages) {
		wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
		return;
	}
	/* Translations first, so that page walks do not refill what we displace. */
	for (i = 0; i < VMX_L1D_SIZE; i += PAGE_SIZE)
		READ_ONCE(*(u8 *)(vmx_l1d_pages + i));
	/* The second pass may not start before the first is done. */
	cpuid_eax(0);
	for (i = 0; i < VMX_L1D_SIZE; i += 64)
		READ_ONCE(*(u8 *)(vmx_l1d_pages + i));
	rmb();	/* all of it, before the entry */
}

/**
 * vmx_l1d_entry() - empty the L1 data cache if its contents call for it
 * @v: the vCPU's VMX part
 *
 * Context: interrupts off, before an entry; vmx_l1d_mode is not NEVER.
 */
void vmx_l1d_entry(struct vmx_vcpu *v)
{
	bool flush = v->flush_l1d || vmx_l1d_mode == VMX_L1D_ALWAYS;

	v->flush_l1d = false;
#if IS_ENABLED(CONFIG_KVM_INTEL)
	/* Interrupt handlers, too, leave data behind; the kernel notes it here. */
	flush |= kvm_get_cpu_l1tf_flush_l1d();
	kvm_clear_cpu_l1tf_flush_l1d();
#else
	flush = true;
#endif
	if (flush)
		vmx_l1d_flush();
}

/**
 * vmx_spec_ctrl_prepare() - say which writes of SPEC_CTRL entry.S has to do
 * @vcpu: the vCPU
 *
 * Only for a CPU that has the MSR.
 *
 * Context: interrupts off, before the first entry of a stint: the host's value
 * changes with a context switch only, the guest's by an exit that is not fast.
 */
void vmx_spec_ctrl_prepare(struct lodge_vcpu *vcpu)
{
	struct vmx_entry *e = &vcpu->entry;

	e->flags &= BIT(VMX_ENTRY_RESUME_BIT);
	e->spec_guest = vcpu->msrs.spec_ctrl;
	e->spec_host = this_cpu_read(x86_spec_ctrl_current);
	if (e->spec_guest != e->spec_host)
		e->flags |= BIT(VMX_ENTRY_SPEC_IN_BIT) | BIT(VMX_ENTRY_SPEC_OUT_BIT);
	/* Legacy IBRS counts from its last write on: write it, same or not. */
	if (cpu_feature_enabled(X86_FEATURE_KERNEL_IBRS))
		e->flags |= BIT(VMX_ENTRY_SPEC_OUT_BIT);
}

/** vmx_mitigations() - LODGE_MITIGATION_* in force */
u64 vmx_mitigations(void)
{
	const struct {
		bool on;
		u64 bit;
	} all[] = {
		{ vmx_l1d_mode != VMX_L1D_NEVER, LODGE_MITIGATION_L1D_FLUSH },
		{ vmx_l1d_pages, LODGE_MITIGATION_L1D_SOFTWARE },
		{ boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF), LODGE_MITIGATION_VERW },
		{ boot_cpu_has(X86_FEATURE_USE_IBPB), LODGE_MITIGATION_IBPB },
		{ boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL), LODGE_MITIGATION_SPEC_CTRL },
		{ boot_cpu_has(X86_FEATURE_RSB_VMEXIT) ||
		  boot_cpu_has(X86_FEATURE_RSB_VMEXIT_LITE), LODGE_MITIGATION_RSB_FILL },
		{ boot_cpu_has(X86_FEATURE_CLEAR_BHB_LOOP_ON_VMEXIT) ||
		  boot_cpu_has(X86_FEATURE_CLEAR_BHB_HW), LODGE_MITIGATION_BHB_CLEAR },
		{ boot_cpu_has(X86_FEATURE_IBPB_EXIT_TO_USER), LODGE_MITIGATION_IBPB_TO_USER },
		{ ept_caps.nx_huge, LODGE_MITIGATION_NX_HUGE },
	};
	u64 bits = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].on)
			bits |= all[i].bit;
	return bits;
}
