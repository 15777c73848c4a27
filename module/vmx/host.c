// SPDX-License-Identifier: GPL-2.0
/*
 * The host thread's state: what VM exit puts back from the VMCS, what is parked
 * while a vCPU is loaded (segments, KERNEL_GS_BASE), and the system-call MSRs,
 * which change hands only when the CPU goes back to user mode.
 */
#include <linux/cpufeature.h>
#include <linux/kernel.h>
#include <linux/mmu_context.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/user-return-notifier.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>

#include "../lodge.h"
#include "host.h"
#include "insn.h"

extern void vmx_exit(void);	/* entry.S: where VM exit arrives */

/* The kernel's one IDT; written by the first VMCS, always with the same. */
static struct desc_ptr vmx_host_idt;

/* ------------------------------------------------------- system-call MSRs */

/* Only user mode and the way into it use these. */
static const u32 vmx_user_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_SYSCALL_MASK, MSR_TSC_AUX,
};

#define NR_USER_MSRS	ARRAY_SIZE(vmx_user_msrs)

/**
 * struct vmx_user_return - a CPU's system-call MSRs
 * @urn: called when this CPU next goes to user mode
 * @armed: @urn is registered
 * @host: the host's values
 * @now: what is in the MSRs
 *
 * This CPU's, with interrupts off.
 */
struct vmx_user_return {
	struct user_return_notifier urn;
	bool armed;
	u64 host[NR_USER_MSRS];
	u64 now[NR_USER_MSRS];
};

static DEFINE_PER_CPU(struct vmx_user_return, vmx_user_return);

/* TSC_AUX is the last, and not on every CPU. */
static unsigned int vmx_nr_user_msrs(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP) ? NR_USER_MSRS : NR_USER_MSRS - 1;
}

/** vmx_host_msrs_read() - learn the host's values; interrupts off */
void vmx_host_msrs_read(void)
{
	struct vmx_user_return *ur = this_cpu_ptr(&vmx_user_return);
	unsigned int i;

	for (i = 0; i < vmx_nr_user_msrs(); i++) {
		rdmsrl(vmx_user_msrs[i], ur->host[i]);
		ur->now[i] = ur->host[i];
	}
}

/** vmx_host_msrs_restore() - put the host's values back; interrupts off */
void vmx_host_msrs_restore(void)
{
	struct vmx_user_return *ur = this_cpu_ptr(&vmx_user_return);
	unsigned int i;

	if (ur->armed) {
		ur->armed = false;
		user_return_notifier_unregister(&ur->urn);
	}
	for (i = 0; i < vmx_nr_user_msrs(); i++) {
		if (ur->now[i] == ur->host[i])
			continue;
		wrmsrl(vmx_user_msrs[i], ur->host[i]);
		ur->now[i] = ur->host[i];
	}
}

static void vmx_on_user_return(struct user_return_notifier *urn)
{
	unsigned long flags;

	/* Hotplug and the end of the last VM restore by IPI: not both at once. */
	local_irq_save(flags);
	vmx_host_msrs_restore();
	local_irq_restore(flags);
}

/* Interrupts off. */
static void vmx_user_msrs_load(struct lodge_vcpu *vcpu)
{
	struct vmx_user_return *ur = this_cpu_ptr(&vmx_user_return);
	const u64 guest[NR_USER_MSRS] = {
		vcpu->msrs.star, vcpu->msrs.lstar, vcpu->msrs.sfmask, vcpu->msrs.tsc_aux,
	};
	unsigned int i;

	for (i = 0; i < vmx_nr_user_msrs(); i++) {
		if (ur->now[i] == guest[i])
			continue;
		wrmsrl(vmx_user_msrs[i], guest[i]);
		ur->now[i] = guest[i];
		if (!ur->armed) {
			ur->armed = true;
			ur->urn.on_user_return = vmx_on_user_return;
			user_return_notifier_register(&ur->urn);
		}
	}
}

/**
 * vmx_syscall_msrs_changed() - STAR, LSTAR, SFMASK or TSC_AUX have new values
 * @vcpu: the vCPU; owner
 *
 * Context: preemptible or not.
 */
void vmx_syscall_msrs_changed(struct lodge_vcpu *vcpu)
{
	unsigned long flags;

	local_irq_save(flags);
	if (vcpu->vmx.host.loaded)
		vmx_user_msrs_load(vcpu);
	local_irq_restore(flags);
}

/**
 * vmx_kernel_gs_base_read() - the guest's KERNEL_GS_BASE, wherever it is now
 * @vcpu: the vCPU; owner
 */
u64 vmx_kernel_gs_base_read(struct lodge_vcpu *vcpu)
{
	preempt_disable();
	if (vcpu->vmx.host.loaded)
		rdmsrl(MSR_KERNEL_GS_BASE, vcpu->msrs.kernel_gs_base);
	preempt_enable();
	return vcpu->msrs.kernel_gs_base;
}

/**
 * vmx_kernel_gs_base_write() - set the guest's KERNEL_GS_BASE
 * @vcpu: the vCPU; owner
 * @value: a canonical address
 */
void vmx_kernel_gs_base_write(struct lodge_vcpu *vcpu, u64 value)
{
	preempt_disable();
	vcpu->msrs.kernel_gs_base = value;
	if (vcpu->vmx.host.loaded)
		wrmsrl(MSR_KERNEL_GS_BASE, value);
	preempt_enable();
}

/* ------------------------------------------------------------- the VMCS's part */

/**
 * vmx_host_fill_vmcs() - host fields that are the same on every CPU, for good
 *
 * Context: the VMCS is current.
 */
void vmx_host_fill_vmcs(void)
{
	u64 value;

	vmx_vmwrite(VMCS_HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmx_vmwrite(VMCS_HOST_CS, __KERNEL_CS);
	vmx_vmwrite(VMCS_HOST_SS, __KERNEL_DS);
	/* Null, so that loading them cannot fault; the thread's are parked. */
	vmx_vmwrite(VMCS_HOST_DS, 0);
	vmx_vmwrite(VMCS_HOST_ES, 0);
	vmx_vmwrite(VMCS_HOST_FS, 0);
	vmx_vmwrite(VMCS_HOST_GS, 0);
	vmx_vmwrite(VMCS_HOST_TR, GDT_ENTRY_TSS * 8);
	store_idt(&vmx_host_idt);
	vmx_vmwrite(VMCS_HOST_IDTR_BASE, vmx_host_idt.address);
	vmx_vmwrite(VMCS_HOST_RIP, (unsigned long)vmx_exit);
	rdmsrl(MSR_IA32_SYSENTER_CS, value);
	vmx_vmwrite(VMCS_HOST_SYSENTER_CS, value);
	rdmsrl(MSR_IA32_SYSENTER_EIP, value);
	vmx_vmwrite(VMCS_HOST_SYSENTER_EIP, value);
	rdmsrl(MSR_IA32_CR_PAT, value);
	vmx_vmwrite(VMCS_HOST_PAT, value);
	rdmsrl(MSR_EFER, value);
	vmx_vmwrite(VMCS_HOST_EFER, value);
}

/**
 * vmx_host_fill_cpu() - host fields that belong to a CPU
 * @cpu: this CPU
 *
 * Context: the VMCS is current, preemption off.
 */
void vmx_host_fill_cpu(int cpu)
{
	u64 value;

	vmx_vmwrite(VMCS_HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmx_vmwrite(VMCS_HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
	rdmsrl(MSR_IA32_SYSENTER_ESP, value);
	vmx_vmwrite(VMCS_HOST_SYSENTER_ESP, value);
	rdmsrl(MSR_GS_BASE, value);
	vmx_vmwrite(VMCS_HOST_GS_BASE, value);
}

/**
 * vmx_host_park() - take the host thread's registers out of the guest's way
 * @vcpu: the vCPU; its VMCS is current
 *
 * Context: interrupts off.
 */
void vmx_host_park(struct lodge_vcpu *vcpu)
{
	struct vmx_host *h = &vcpu->vmx.host;

	if (h->loaded)
		return;

	savesegment(ds, h->ds);
	savesegment(es, h->es);
	store_ldt(h->ldt);
	/* The bases in the thread are stale while FSGSBASE is on: bring them up. */
	current_save_fsgs();
	h->fs = current->thread.fsindex;
	h->gs = current->thread.gsindex;
	h->kernel_gs_base = current->thread.gsbase;
	if (h->fs_base != current->thread.fsbase) {
		h->fs_base = current->thread.fsbase;
		vmx_vmwrite(VMCS_HOST_FS_BASE, h->fs_base);
	}
	wrmsrl(MSR_KERNEL_GS_BASE, vcpu->msrs.kernel_gs_base);
	vmx_user_msrs_load(vcpu);
	h->loaded = true;
}

/**
 * vmx_host_unpark() - put the host thread's registers back
 * @vcpu: the vCPU
 *
 * VM exit has set the limits of GDTR, IDTR and TR to fixed values and LDTR to
 * unusable (SDM 3C 28.5.2).
 *
 * Context: preemption off.
 */
void vmx_host_unpark(struct lodge_vcpu *vcpu)
{
	struct vmx_host *h = &vcpu->vmx.host;
	unsigned long flags;

	if (!h->loaded)
		return;

	local_irq_save(flags);
	rdmsrl(MSR_KERNEL_GS_BASE, vcpu->msrs.kernel_gs_base);
	if (h->ldt)
		asm volatile("lldt %0" : : "r" (h->ldt));
	if (h->gs)
		load_gs_index(h->gs);
	/* Loading a selector took the base from its descriptor; the MSR is next. */
	wrmsrl(MSR_KERNEL_GS_BASE, h->kernel_gs_base);
	if (h->fs) {
		loadsegment(fs, h->fs);
		/* A selector's base may have been changed without it. */
		wrmsrl(MSR_FS_BASE, h->fs_base);
	}
	if (h->ds)
		loadsegment(ds, h->ds);
	if (h->es)
		loadsegment(es, h->es);
	/* The I/O bitmap lies behind the fixed TSS limit. */
	invalidate_tss_limit();
	load_fixmap_gdt(smp_processor_id());
	load_idt(&vmx_host_idt);
	h->loaded = false;
	local_irq_restore(flags);
}
