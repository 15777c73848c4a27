// SPDX-License-Identifier: GPL-2.0
/*
 * One stint in the guest: from interrupts off to interrupts on. What the guest
 * needs is put into the CPU, fast exits are handled on the spot and the guest
 * entered again; any other exit, an interrupt or a request ends the stint.
 */
#include <linux/context_tracking.h>
#include <linux/ftrace.h>
#include <linux/mmu_context.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/vtime.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/mce.h>
#include <asm/pkru.h>
#include <asm/special_insns.h>
#include <asm/trapnr.h>

#include "../lodge.h"
#include "../trace.h"
#include "caps.h"
#include "host.h"
#include "insn.h"
#include "owner.h"
#include "vmx_internal.h"

/*
 * The longest stint. Interrupts end it sooner; but a CPU that is itself emulated
 * may hold them back while the guest has them off. The preemption timer bounds
 * the time without an exit, vmx_stint() the time with fast exits.
 */
#define VMX_STINT_US	4000

static u64 vmx_stint_ticks(void)
{
	return mul_u64_u32_div(VMX_STINT_US, tsc_khz, 1000);
}

/** vmx_timer_value() - what the preemption timer counts down from */
u32 vmx_timer_value(void)
{
	return min_t(u64, (vmx_stint_ticks() >> vmx_caps.timer_shift) + 1, U32_MAX);
}

/*
 * Give an NMI or a machine check to the host at once: NMIs are still blocked. The
 * handler may be perf's, which works on DEBUGCTL: it has to find the host's, and
 * what it makes of that must stay.
 */
static __always_inline void vmx_host_exceptions(struct vmx_vcpu *v)
{
	u32 info;

	if ((v->exit_reason & VMX_EXIT_REASON_BASIC) == VMX_EXIT_MCE_ENTRY) {
		v->intr_info = VMX_INTR_VALID |
			       LODGE_EVENT_EXCEPTION << VMX_INTR_TYPE_SHIFT | X86_TRAP_MC;
		return;
	}
	if ((v->exit_reason & VMX_EXIT_REASON_BASIC) != VMX_EXIT_EXCEPTION_NMI)
		return;
	info = vmx_vmread(VMCS_EXIT_INTR_INFO);
	v->intr_info = info;
	if ((info & VMX_INTR_TYPE) != LODGE_EVENT_NMI << VMX_INTR_TYPE_SHIFT)
		return;
	if (v->host_debugctl) {
		native_wrmsrl(MSR_IA32_DEBUGCTLMSR, v->host_debugctl);
		v->host_debugctl = 0;
	}
	vmx_handle_nmi();
}

/* Hand the machine check to the kernel as if user mode had met it. */
static void vmx_host_mce(const struct vmx_vcpu *v)
{
	struct pt_regs regs = {
		.cs = 3,	/* not the kernel's fault: it can be survived */
		.flags = X86_EFLAGS_IF,
	};

	u32 basic = v->exit_reason & VMX_EXIT_REASON_BASIC;

	/* Without machine-check support CR4.MCE is clear, and the CPU shuts down. */
	if (!IS_ENABLED(CONFIG_X86_MCE) ||
	    (basic != VMX_EXIT_MCE_ENTRY && basic != VMX_EXIT_EXCEPTION_NMI))
		return;
	if ((v->intr_info & (VMX_INTR_TYPE | VMX_INTR_VECTOR)) ==
	    (LODGE_EVENT_EXCEPTION << VMX_INTR_TYPE_SHIFT | X86_TRAP_MC))
		do_machine_check(&regs);
}

/*
 * Enter and come back. Between the two context-tracking calls RCU may not be
 * watching: only noinstr code.
 */
static noinstr unsigned long vmx_enter_exit(struct lodge_vcpu *vcpu, unsigned long flags)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	unsigned long failed;

	instrumentation_begin();
	trace_hardirqs_on_prepare();
	lockdep_hardirqs_on_prepare();
	instrumentation_end();
	context_tracking_guest_enter();
	lockdep_hardirqs_on(CALLER_ADDR0);

	if (vcpu->cr2 != native_read_cr2())
		native_write_cr2(vcpu->cr2);
	failed = vmx_enter(vcpu->regs, &v->entry, flags);
	vcpu->cr2 = native_read_cr2();

	if (likely(!failed)) {
		v->exit_reason = vmx_vmread(VMCS_EXIT_REASON);
		vmx_host_exceptions(v);
	}

	lockdep_hardirqs_off(CALLER_ADDR0);
	context_tracking_guest_exit();
	instrumentation_begin();
	trace_hardirqs_off_finish();
	instrumentation_end();
	return failed;
}

/* ----------------------------------------------------- guest values in the CPU */

/* Host values; the same on every CPU, read once. */
static u64 vmx_host_xcr0 __ro_after_init;
static u64 vmx_host_xss __ro_after_init;

/** vmx_xstate_init() - learn the host's extended-state settings; at load */
void __init vmx_xstate_init(void)
{
	if (boot_cpu_has(X86_FEATURE_XSAVE))
		vmx_host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, vmx_host_xss);
}

/* A guest without OSXSAVE cannot see XCR0 and XSS; one without PKE not PKRU. */
static bool vmx_uses_pkru(const struct lodge_vcpu *vcpu)
{
	return cpu_feature_enabled(X86_FEATURE_PKU) &&
	       (vcpu->cr4 & X86_CR4_PKE || vcpu->xcr0 & XFEATURE_MASK_PKRU);
}

/*
 * Extended state of the guest is in force only while interrupts are off: with
 * the guest's PKRU or XCR0 the host's next user access or context switch fails.
 *
 * Return: the host's PKRU.
 */
static u32 vmx_load_xstate(struct lodge_vcpu *vcpu)
{
	u32 host_pkru = 0;

	if (vcpu->cr4 & X86_CR4_OSXSAVE) {
		if (vcpu->xcr0 != vmx_host_xcr0)
			xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
		if (vcpu->xss != vmx_host_xss)
			wrmsrl(MSR_IA32_XSS, vcpu->xss);
	}
	if (vmx_uses_pkru(vcpu)) {
		host_pkru = rdpkru();
		wrpkru(vcpu->pkru);
	}
	return host_pkru;
}

static void vmx_unload_xstate(struct lodge_vcpu *vcpu, u32 host_pkru)
{
	if (vmx_uses_pkru(vcpu)) {
		vcpu->pkru = rdpkru();
		wrpkru(host_pkru);
	}
	if (vcpu->cr4 & X86_CR4_OSXSAVE) {
		if (vcpu->xss != vmx_host_xss)
			wrmsrl(MSR_IA32_XSS, vmx_host_xss);
		if (vcpu->xcr0 != vmx_host_xcr0)
			xsetbv(XCR_XFEATURE_ENABLED_MASK, vmx_host_xcr0);
	}
}

/* DR7 is the VMCS's; the addresses count only while it enables one. */
static void vmx_load_debug(struct lodge_vcpu *vcpu)
{
	if (!(vcpu->dr7 & DR7_ENABLES))
		return;
	/* An entry that fails late must not meet the guest's addresses. */
	set_debugreg(0, 7);
	set_debugreg(vcpu->dr[0], 0);
	set_debugreg(vcpu->dr[1], 1);
	set_debugreg(vcpu->dr[2], 2);
	set_debugreg(vcpu->dr[3], 3);
}

static void vmx_unload_debug(struct vmx_vcpu *v)
{
	/* VM exit has zeroed both (SDM 3C 28.5.1); the host may have had some. */
	if (v->host_debugctl)
		wrmsrl(MSR_IA32_DEBUGCTLMSR, v->host_debugctl);
	if (hw_breakpoint_active())
		hw_breakpoint_restore();
}

/* Host CR3 and CR4 change under us with every context switch. */
static void vmx_refresh_host_crs(struct vmx_vcpu *v)
{
	u64 cr3 = __get_current_cr3_fast();
	u64 cr4 = cr4_read_shadow();

	if (cr3 != v->host_cr3) {
		vmx_vmwrite(VMCS_HOST_CR3, cr3);
		v->host_cr3 = cr3;
	}
	if (cr4 != v->host_cr4) {
		vmx_vmwrite(VMCS_HOST_CR4, cr4);
		v->host_cr4 = cr4;
	}
}

static void vmx_flush_translations(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	if (ept_must_flush(&vcpu->vm->mem))
		vmx_invept(INVEPT_SINGLE, ept_pointer(&vcpu->vm->mem), 0);
	if (v->flush_vpid) {
		vmx_invvpid(INVVPID_SINGLE, v->vpid, 0);
		v->flush_vpid = false;
	}
}

/* ----------------------------------------------------------------------- the stint */

/* Does anybody want the thread or the vCPU? Two plain reads. */
static bool vmx_wanted(const struct lodge_vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) ||
	       (read_thread_flags() & (_TIF_NEED_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL |
				       _TIF_NOTIFY_RESUME));
}

static void vmx_count_exit(struct lodge_vcpu *vcpu, u32 basic)
{
	vcpu->stats.exits++;
	vcpu->stats.hw[min_t(u32, basic, LODGE_NR_HW_EXITS - 1)]++;
}

/*
 * When to end a stint, host TSC. While the host's perf uses what an entry or exit
 * changes, at the first exit: what it has set is back at once, and asked for anew
 * before the next entry. A host without pays for that once per stint.
 */
static u64 vmx_stint_limit(struct vmx_vcpu *v)
{
	if (vmx_perf_load(v) || v->host_debugctl)
		return 0;
	return rdtsc() + vmx_stint_ticks();
}

/*
 * Enter, and handle fast exits, until something else happens. With
 * vmx.handled set there is nothing left to do about the last exit.
 *
 * Return: 0, or 1 when the CPU did not enter at all.
 */
static unsigned long vmx_stint(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	unsigned long spec = vmx_spec_ctrl_flags(v, vcpu->msrs.spec_ctrl);
	u64 limit = vmx_stint_limit(v);
	const struct vmx_exit_handler *h;
	u64 start, end;
	u32 basic;

	v->recheck = true;
	do {
		if (v->recheck)
			vmx_inject(vcpu);
		trace_lodge_entry(vcpu);
		vmx_mitigate_entry(v);
		start = rdtsc();
		if (unlikely(vmx_enter_exit(vcpu, spec | (unsigned long)v->launched)))
			return 1;
		end = rdtsc();
		vcpu->stats.guest_tsc += end - start;
		vmx_mitigate_after();
		v->cached = 0;
		v->handled = false;

		basic = v->exit_reason & VMX_EXIT_REASON_BASIC;
		vmx_count_exit(vcpu, basic);
		trace_lodge_exit(vcpu);
		if (unlikely(v->exit_reason & VMX_EXIT_ENTRY_FAILED))
			return 0;	/* and VMLAUNCH has not launched */
		v->launched = true;
		vmx_take_lost_event(vcpu);

		h = vmx_exit_handler(basic);
		if (h->qual)
			v->exit_qual = vmx_vmread(VMCS_EXIT_QUALIFICATION);
		if (!h->fast || !h->fast(vcpu))
			return 0;
		v->handled = true;
	} while (!vmx_wanted(vcpu) && end < limit);
	return 0;
}

/* All that must be true before interrupts-off code touches the guest. */
static int vmx_prepare(struct lodge_vcpu *vcpu)
{
	if (unlikely(!this_cpu_read(vmx_cpu.on)))
		return -EIO;	/* reboot, or a CPU that refused VMXON */
	if (vmx_wanted(vcpu))
		return -EAGAIN;
	/* A softirq used the FPU, or we were scheduled: our registers are in memory. */
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
	vmx_host_park(vcpu);
	vmx_flush_translations(vcpu);
	vmx_refresh_host_crs(&vcpu->vmx);
	return 0;
}

/**
 * vmx_vcpu_enter() - run the guest until it wants something that is not fast
 * @vcpu: the vCPU; loaded, guest FPU state current, slot held
 *
 * Context: may sleep (in slow handlers).
 * Return: LODGE_NEXT_ENTER, LODGE_NEXT_LEAVE, -EIO when this CPU is not in VMX
 * operation.
 */
int vmx_vcpu_enter(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	unsigned long failed;
	u32 pkru;
	int ret;

	preempt_disable();
	local_irq_disable();
	ret = vmx_prepare(vcpu);
	if (ret) {
		local_irq_enable();
		preempt_enable();
		return ret == -EAGAIN ? LODGE_NEXT_ENTER : ret;
	}

	vtime_account_guest_enter();
	/* Guest mode is a quiescent state; context tracking says it by itself. */
	if (!context_tracking_enabled_this_cpu())
		rcu_note_context_switch(false);
	v->host_debugctl = get_debugctlmsr();
	pkru = vmx_load_xstate(vcpu);
	vmx_load_debug(vcpu);

	failed = vmx_stint(vcpu);

	vmx_unload_debug(v);
	vmx_unload_xstate(vcpu, pkru);
	if (likely(!failed))
		vmx_host_mce(v);
	/* A tick that ended the stint is the guest's: let it in before we account. */
	local_irq_enable();
	local_irq_disable();
	vtime_account_guest_exit();
	local_irq_enable();
	preempt_enable();

	vcpu->has_run = true;
	if (unlikely(failed || v->exit_reason & VMX_EXIT_ENTRY_FAILED))
		return vmx_entry_failed(vcpu, failed);
	if (v->handled)
		return LODGE_NEXT_ENTER;
	return vmx_exit_handler(v->exit_reason & VMX_EXIT_REASON_BASIC)->slow(vcpu);
}
