// SPDX-License-Identifier: GPL-2.0
/*
 * The host thread's state: what VM exit puts back from the VMCS, what is parked
 * while a vCPU is loaded (segments, KERNEL_GS_BASE, the system-call MSRs): from the
 * first entry until the CPU goes to another thread or back to user mode.
 */
#include <linux/cpufeature.h>
#include <linux/kernel.h>
#include <linux/mmu_context.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>

#include "../cpu/fpu.h"
#include "../lodge.h"
#include "host.h"
#include "insn.h"

extern void vmx_exit(void);	/* entry.S: where VM exit arrives */

/* The kernel's one IDT; written by the first VMCS, always with the same. */
static struct desc_ptr vmx_host_idt;

/* The GDT of each CPU; written when VMX is switched on there. */
static DEFINE_PER_CPU(struct desc_ptr, vmx_host_gdt);

/* ------------------------------------------------------- system-call MSRs */

/* Only user mode and the way into it use these: the guest's stay while parked. */
static const struct {
	u32 msr;
	u32 guest;		/* its place in struct lodge_msr_state */
} vmx_user_msrs[VMX_NR_USER_MSRS] = {
	{ MSR_STAR, offsetof(struct lodge_msr_state, star) },
	{ MSR_LSTAR, offsetof(struct lodge_msr_state, lstar) },
	{ MSR_SYSCALL_MASK, offsetof(struct lodge_msr_state, sfmask) },
	{ MSR_TSC_AUX, offsetof(struct lodge_msr_state, tsc_aux) },
};

#define USER_MSRS_SYSCALL	(BIT(0) | BIT(1) | BIT(2))
#define USER_MSRS_TSC_AUX	BIT(3)

/* The host's values on each CPU: written when VMX is switched on there. */
static DEFINE_PER_CPU(u64 [VMX_NR_USER_MSRS], vmx_host_msrs);

/** vmx_host_learn() - learn what of the host stays the same here; interrupts off */
void vmx_host_learn(void)
{
	u64 *host = this_cpu_ptr(vmx_host_msrs);
	int i;

	this_cpu_write(vmx_host_gdt.size, GDT_SIZE - 1);
	this_cpu_write(vmx_host_gdt.address, (unsigned long)get_cpu_gdt_ro(smp_processor_id()));
	/* TSC_AUX is the last, and not on every CPU. */
	lodge_fpu_learn();
	for (i = 0; i < VMX_NR_USER_MSRS - !boot_cpu_has(X86_FEATURE_RDTSCP); i++)
		rdmsrl(vmx_user_msrs[i].msr, host[i]);
}

/* Preemption off. */
static void vmx_user_msrs_load(struct lodge_vcpu *vcpu)
{
	const u64 *host = this_cpu_ptr(vmx_host_msrs);
	struct vmx_host *h = &vcpu->vmx.host;
	unsigned long left;
	int i;

	for (left = vcpu->vmx.user_msrs; left; left &= left - 1) {
		u64 guest;

		i = __ffs(left);
		guest = *(u64 *)((void *)&vcpu->msrs + vmx_user_msrs[i].guest);
		if (guest == host[i])
			continue;
		native_wrmsrl(vmx_user_msrs[i].msr, guest);
		h->swapped_msrs |= BIT(i);
	}
}

/* Is there anything to load? Of most guests at most TSC_AUX is looked at. */
static __always_inline bool vmx_user_msrs_differ(const struct lodge_vcpu *vcpu)
{
	u32 msrs = vcpu->vmx.user_msrs;

	return msrs & USER_MSRS_SYSCALL ||
	       (msrs && vcpu->msrs.tsc_aux != this_cpu_read(vmx_host_msrs[VMX_NR_USER_MSRS - 1]));
}

/* Preemption off. */
static void vmx_user_msrs_restore(struct vmx_host *h)
{
	const u64 *host = this_cpu_ptr(vmx_host_msrs);
	unsigned long left;

	for (left = h->swapped_msrs; left; left &= left - 1)
		native_wrmsrl(vmx_user_msrs[__ffs(left)].msr, host[__ffs(left)]);
	h->swapped_msrs = 0;
}

/**
 * vmx_syscall_msrs_changed() - STAR, LSTAR, SFMASK, TSC_AUX or what uses them changed
 * @vcpu: the vCPU; owner
 *
 * Without EFER.SCE the guest has no SYSCALL, and RDMSR of these exits: then they
 * need not be in the CPU. So with TSC_AUX, without RDTSCP and RDPID.
 *
 * Context: preemptible or not.
 */
void vmx_syscall_msrs_changed(struct lodge_vcpu *vcpu)
{
	struct vmx_host *h = &vcpu->vmx.host;
	u32 msrs = 0;

	if (vcpu->efer & EFER_SCE)
		msrs |= USER_MSRS_SYSCALL;
	if (lodge_guest_has(vcpu, GF_RDTSCP) || lodge_guest_has(vcpu, GF_RDPID))
		msrs |= USER_MSRS_TSC_AUX;
	preempt_disable();
	vcpu->vmx.user_msrs = msrs;
	if (h->loaded) {
		vmx_user_msrs_restore(h);
		vmx_user_msrs_load(vcpu);
	}
	preempt_enable();
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

/* The FS base of this thread, which may have changed without the kernel. */
static u64 vmx_fs_base(void)
{
	u64 base;

	if (static_cpu_has(X86_FEATURE_FSGSBASE))
		return rdfsbase();
	rdmsrl(MSR_FS_BASE, base);
	return base;
}

/**
 * vmx_host_park() - take the host thread's registers out of the guest's way
 * @vcpu: the vCPU; its VMCS is current
 *
 * Context: preemption off.
 */
void vmx_host_park(struct lodge_vcpu *vcpu)
{
	struct vmx_host *h = &vcpu->vmx.host;
	u64 fs_base;

	if (h->loaded)
		return;

	savesegment(ds, h->sel.ds);
	savesegment(es, h->sel.es);
	savesegment(fs, h->sel.fs);
	savesegment(gs, h->sel.gs);
	store_ldt(h->ldt);
	fs_base = vmx_fs_base();
	if (h->fs_base != fs_base) {
		h->fs_base = fs_base;
		vmx_vmwrite(VMCS_HOST_FS_BASE, fs_base);
	}
	/* The kernel keeps user mode's GS base there. */
	h->kernel_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
	native_wrmsrl(MSR_KERNEL_GS_BASE, vcpu->msrs.kernel_gs_base);
	h->loaded = true;
	if (vmx_user_msrs_differ(vcpu))
		vmx_user_msrs_load(vcpu);
}

/* A thread of 64-bit Linux has null selectors, save by modify_ldt() and the like. */
static void vmx_selectors_load(struct vmx_host *h)
{
	if (h->ldt)
		asm volatile("lldt %0" : : "r" (h->ldt));
	if (h->sel.gs)
		load_gs_index(h->sel.gs);
	/* Loading a selector took the base from its descriptor; the MSR has the last word. */
	wrmsrl(MSR_KERNEL_GS_BASE, h->kernel_gs_base);
	if (h->sel.fs) {
		loadsegment(fs, h->sel.fs);
		wrmsrl(MSR_FS_BASE, h->fs_base);
	}
	if (h->sel.ds)
		loadsegment(ds, h->sel.ds);
	if (h->sel.es)
		loadsegment(es, h->sel.es);
}

/* What few threads and few guests have. */
static noinline void vmx_unpark_rest(struct vmx_host *h)
{
	if (h->all_sel | h->ldt)
		vmx_selectors_load(h);
	/* The I/O bitmap lies behind the limit that VM exit has given the TSS. */
	invalidate_tss_limit();
	if (h->swapped_msrs)
		vmx_user_msrs_restore(h);
}

/**
 * vmx_host_unpark() - put the host thread's registers back
 * @vcpu: the vCPU
 *
 * VM exit has set the limits of GDTR, IDTR and TR to fixed values and LDTR to
 * unusable (SDM 3C 28.5.2).
 *
 * Context: preemption off: interrupts use none of these registers.
 */
void vmx_host_unpark(struct lodge_vcpu *vcpu)
{
	struct vmx_host *h = &vcpu->vmx.host;

	if (!h->loaded)
		return;

	h->loaded = false;
	vcpu->msrs.kernel_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
	native_wrmsrl(MSR_KERNEL_GS_BASE, h->kernel_gs_base);
	/* The descriptor table before selectors into it. */
	native_load_gdt(this_cpu_ptr(&vmx_host_gdt));
	native_load_idt(&vmx_host_idt);
	/* As invalidate_tss_limit(), which has the rare case inline. */
	this_cpu_write(__tss_limit_invalid, true);
	if (unlikely(h->all_sel | h->ldt | h->swapped_msrs || test_thread_flag(TIF_IO_BITMAP)))
		vmx_unpark_rest(h);
}
