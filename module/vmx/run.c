// SPDX-License-Identifier: GPL-2.0
/*
 * One stint in the guest: from interrupts off to interrupts on. What the guest
 * needs is put into the CPU, fast exits are handled on the spot and the guest
 * entered again; any other exit, an interrupt or a request ends the stint.
 */
#include <linux/context_tracking.h>
#include <linux/ftrace.h>
#include <linux/jiffies.h>
#include <linux/mmu_context.h>
#include <linux/nospec.h>
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

#include "../cpu/fpu.h"
#include "../lodge.h"
#include "../trace.h"
#include "caps.h"
#include "host.h"
#include "insn.h"
#include "owner.h"
#include "vmx_internal.h"

/*
 * The longest stint. Interrupts end it sooner; but a CPU that is itself emulated
 * may hold them back while the guest has them off. The preemption timer bounds the
 * time in the guest: VM exit saves what is left of it, so it goes on counting over
 * fast exits. VMX_STINT_EXITS bounds how many of these there are.
 *
 * Set to the guest's APIC timer it is late by what the fast exits take, for it stands
 * still meanwhile: VMX_TIMED_EXITS bounds that, at some 10 microseconds.
 */
#define VMX_STINT_US	4000
#define VMX_STINT_EXITS	4096
#define VMX_TIMED_EXITS	32

static u32 vmx_stint_timer __ro_after_init;	/* in the timer's units */

/** vmx_stint_init() - know how long a stint is; at load, after the capabilities */
void __init vmx_stint_init(void)
{
	u64 ticks = mul_u64_u32_div(VMX_STINT_US, tsc_khz, 1000);

	vmx_stint_timer = min_t(u64, ticks >> vmx_caps.timer_shift, U32_MAX - 2);
}

/*
 * Give an NMI or a machine check to the host at once: NMIs are still blocked. The
 * handler may be perf's, which works on DEBUGCTL: it has to find the host's, and
 * what it makes of that must stay.
 */
static __always_inline void vmx_host_exceptions(struct vmx_vcpu *v)
{
	u32 basic = v->exit_reason & VMX_EXIT_REASON_BASIC;
	u32 info;

	if (likely(basic != VMX_EXIT_EXCEPTION_NMI && basic != VMX_EXIT_MCE_ENTRY))
		return;
	if (basic == VMX_EXIT_MCE_ENTRY) {
		v->intr_info = VMX_INTR_VALID |
			       LODGE_EVENT_EXCEPTION << VMX_INTR_TYPE_SHIFT | X86_TRAP_MC;
		return;
	}
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

/* Hand a machine check to the kernel as if user mode had met it. */
static noinline void vmx_host_mce(const struct vmx_vcpu *v)
{
	struct pt_regs regs = {
		.cs = 3,	/* not the kernel's fault: it can be survived */
		.flags = X86_EFLAGS_IF,
	};

	/* Without machine-check support CR4.MCE is clear, and the CPU shuts down. */
	if (!IS_ENABLED(CONFIG_X86_MCE))
		return;
	if ((v->intr_info & (VMX_INTR_TYPE | VMX_INTR_VECTOR)) ==
	    (LODGE_EVENT_EXCEPTION << VMX_INTR_TYPE_SHIFT | X86_TRAP_MC))
		do_machine_check(&regs);
}

/*
 * What the host has to do about the exit before it accounts the guest's time. A tick
 * that ended the stint is the guest's: let it in. It takes an instruction in between,
 * since STI has a shadow (SDM 2B, STI). A CPU that holds interrupts back from a guest
 * that has them off (see VMX_STINT_US) has one waiting when the preemption timer fires.
 */
static void vmx_host_first(const struct vmx_vcpu *v)
{
	switch (v->exit_reason & VMX_EXIT_REASON_BASIC) {
	case VMX_EXIT_EXTERNAL_INTERRUPT:
	case VMX_EXIT_PREEMPTION_TIMER:
		local_irq_enable();
		asm volatile("nop");
		local_irq_disable();
		break;
	case VMX_EXIT_EXCEPTION_NMI:
	case VMX_EXIT_MCE_ENTRY:
		vmx_host_mce(v);
	}
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
static __always_inline bool vmx_uses_pkru(const struct lodge_vcpu *vcpu)
{
	return cpu_feature_enabled(X86_FEATURE_PKU) &&
	       (vcpu->cr4 & X86_CR4_PKE || vcpu->xcr0 & XFEATURE_MASK_PKRU);
}

/*
 * Extended state of the guest is in force only while interrupts are off: with
 * the guest's PKRU or XCR0 the host's next user access or context switch fails.
 */
static void vmx_load_xstate(struct lodge_vcpu *vcpu)
{
	if (vcpu->cr4 & X86_CR4_OSXSAVE) {
		if (vcpu->xcr0 != vmx_host_xcr0)
			xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
		if (vcpu->xss != vmx_host_xss)
			wrmsrl(MSR_IA32_XSS, vcpu->xss);
	}
	if (vmx_uses_pkru(vcpu)) {
		vcpu->vmx.host_pkru = rdpkru();
		wrpkru(vcpu->pkru);
	}
}

static __always_inline void vmx_unload_pkru(struct lodge_vcpu *vcpu)
{
	if (vmx_uses_pkru(vcpu)) {
		vcpu->pkru = rdpkru();
		wrpkru(vcpu->vmx.host_pkru);
	}
}

/* After vmx_unload_pkru() within a stint, for an access to user memory. */
static __always_inline void vmx_reload_pkru(const struct lodge_vcpu *vcpu)
{
	if (vmx_uses_pkru(vcpu))
		wrpkru(vcpu->pkru);
}

static void vmx_unload_xstate(struct lodge_vcpu *vcpu)
{
	vmx_unload_pkru(vcpu);
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
	u64 cr3 = __read_cr3();
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

/* Apart, for the descriptors that the instructions read from the stack. */
static noinline void vmx_flush_ept(struct lodge_vcpu *vcpu)
{
	vmx_invept(INVEPT_SINGLE, ept_pointer(&vcpu->vm->mem), 0);
}

static noinline void vmx_flush_vpid(struct vmx_vcpu *v)
{
	vmx_invvpid(INVVPID_SINGLE, v->vpid, 0);
	v->flush_vpid = false;
}

static __always_inline void vmx_flush_translations(struct lodge_vcpu *vcpu)
{
	if (unlikely(ept_must_flush(&vcpu->vm->mem)))
		vmx_flush_ept(vcpu);
	if (unlikely(vcpu->vmx.flush_vpid))
		vmx_flush_vpid(&vcpu->vmx);
}

/* ----------------------------------------------------------------------- the stint */

/* Does anybody want the thread or the vCPU? Two plain reads. */
static __always_inline bool vmx_wanted(const struct lodge_vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) || read_thread_flags() & VMX_THREAD_WANTED;
}

static __always_inline u64 guest_time(const struct lodge_vcpu *vcpu)
{
	u32 used = vcpu->vmx.timer - (u32)vmx_vmread(VMCS_PREEMPTION_TIMER);

	return vcpu->stats.guest_tsc + ((u64)used << vmx_caps.timer_shift);
}

/**
 * vmx_guest_time() - TSC ticks in the guest, those of the stint that runs included
 * @vcpu: the vCPU; loaded, in a stint
 *
 * The preemption timer runs in the guest only.
 *
 * Context: interrupts off.
 */
u64 vmx_guest_time(const struct lodge_vcpu *vcpu)
{
	return guest_time(vcpu);
}

/*
 * Set the preemption timer to the guest's APIC timer, or to the end of the stint if that
 * is sooner. Not early: it may count its first unit at once (SDM 3C 26.5.1).
 */
static __always_inline void vmx_set_timer(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 ticks;

	v->timer = vmx_stint_timer;
	if (vcpu->lapic.timer_tsc) {
		ticks = lapic_take_timer(vcpu);
		if (ticks >> vmx_caps.timer_shift < vmx_stint_timer)
			v->timer = (ticks >> vmx_caps.timer_shift) + 2;
		v->exits_left = min_t(u32, v->exits_left, VMX_TIMED_EXITS);
	}
	v->timer_for = vcpu->lapic.timer_tsc;
	vmcs_write(VMCS_PREEMPTION_TIMER, v->timer);
}

/**
 * vmx_offer_eoi() - let the guest end an interrupt without an exit, if nothing hangs on it
 * @vcpu: the vCPU; in a stint. Its guest has asked for such offers
 * @vector: what the next entry delivers
 *
 * The offer stands until the exit, which learns of it by its reason.
 */
void vmx_offer_eoi(struct lodge_vcpu *vcpu, u8 vector)
{
	if (!lapic_is_alone(vcpu, vector))
		return;
	vmx_unload_pkru(vcpu);
	if (pv_eoi_offer(vcpu, vector))
		vcpu->vmx.exit_offered = VMX_EXIT_OFFERED;
	vmx_reload_pkru(vcpu);
}

/* Return: false when what has become of the offer cannot be known yet. */
static bool vmx_end_offer(struct lodge_vcpu *vcpu)
{
	bool done;

	vmx_unload_pkru(vcpu);
	done = pv_eoi_end(vcpu);
	vmx_reload_pkru(vcpu);
	if (done)
		vcpu->vmx.exit_offered = 0;
	return done;
}

/* An event may have become due since the last exit, or the time when one will. */
static noinline void vmx_look_again(struct lodge_vcpu *vcpu)
{
	if (vcpu->lapic.timer_tsc != vcpu->vmx.timer_for) {
		vcpu->stats.guest_tsc = guest_time(vcpu);
		vmx_set_timer(vcpu);
	}
	vmx_inject(vcpu);
}

/* The last thing before an entry. */
static __always_inline void vmx_before_entry(struct lodge_vcpu *vcpu)
{
	if (unlikely(vcpu->vmx.recheck))
		vmx_look_again(vcpu);
	trace_lodge_entry(vcpu);
	vmx_mitigate_entry(&vcpu->vmx);
}

/*
 * A write that is done by signalling an eventfd? With interrupts off, unless @sleepy. What
 * a wake-up touches of others is no secret: the L1 data cache is left alone.
 */
static __always_inline bool vmx_rings(struct lodge_vcpu *vcpu, const struct vmx_exit_handler *h,
				      bool sleepy)
{
	return sleepy == IS_ENABLED(CONFIG_PREEMPT_RT) &&
	       static_branch_unlikely(&lodge_ioeventfd_key) && h->bell && h->bell(vcpu);
}

/* Return: true when the exit is dealt with. */
static __always_inline bool vmx_dispatch_fast(struct lodge_vcpu *vcpu)
{
	const struct vmx_exit_handler *h = &vmx_exit_handlers[vcpu->vmx.basic];

	if (h->fast)
		return h->fast(vcpu);
	if (vmx_rings(vcpu, h, false))
		return true;
	if (!h->insn)
		vmx_take_lost_event(vcpu);
	return false;
}

static __always_inline void vmx_note_exit(struct lodge_vcpu *vcpu, u32 basic)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	basic = array_index_nospec(basic, LODGE_NR_HW_EXITS);
	v->basic = basic;
	v->cached = 0;
	vcpu->stats.exits++;
	vcpu->stats.hw[basic]++;
	trace_lodge_exit(vcpu);
}

/*
 * An exit whose reason has a high bit, or is one that nobody knows. Return: false when
 * it cannot be dealt with before vmx_handle_odd().
 */
static noinline bool vmx_note_odd_exit(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	v->exit_reason &= ~VMX_EXIT_OFFERED;
	vmx_note_exit(vcpu, min_t(u32, v->exit_reason & VMX_EXIT_REASON_BASIC,
				  LODGE_NR_HW_EXITS - 1));
	if (v->exit_reason & VMX_EXIT_ENTRY_FAILED)
		return false;	/* and VMLAUNCH has not launched */
	vcpu->entry.flags |= BIT(VMX_ENTRY_RESUME_BIT);
	v->injected.info = 0;
	if (!v->exit_offered || vmx_end_offer(vcpu))
		return true;
	v->exit_reason |= VMX_EXIT_OFFERED;	/* for vmx_handle_odd() */
	return false;
}

/* Deal with an exit if that is fast. Return: enter again. */
static __always_inline bool vmx_handle_fast(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	vmx_mitigate_after();
	if (likely(v->exit_reason < LODGE_NR_HW_EXITS)) {
		vmx_note_exit(vcpu, v->exit_reason);
		vcpu->entry.flags |= BIT(VMX_ENTRY_RESUME_BIT);
		v->injected.info = 0;
	} else if (!vmx_note_odd_exit(vcpu)) {
		return false;
	}
	if (!vmx_dispatch_fast(vcpu))
		return false;
	if (unlikely(vmx_wanted(vcpu) || !--v->exits_left)) {
		v->handled = true;
		return false;
	}
	vmx_before_entry(vcpu);
	return true;
}

/* Between these two RCU may not be watching: only noinstr code. */
static __always_inline void vmx_guest_begin(void)
{
	instrumentation_begin();
	trace_hardirqs_on_prepare();
	lockdep_hardirqs_on_prepare();
	instrumentation_end();
	context_tracking_guest_enter();
	lockdep_hardirqs_on(CALLER_ADDR0);
}

static __always_inline void vmx_guest_end(void)
{
	lockdep_hardirqs_off(CALLER_ADDR0);
	context_tracking_guest_exit();
	instrumentation_begin();
	trace_hardirqs_off_finish();
	instrumentation_end();
}

static __always_inline void vmx_load_cr2(const struct lodge_vcpu *vcpu)
{
	if (vcpu->cr2 != native_read_cr2())
		native_write_cr2(vcpu->cr2);
}

/**
 * vmx_exited() - the CPU has left the guest; called by vmx_enter()
 * @vcpu: the vCPU
 *
 * Context: interrupts off; NMIs blocked if one caused the exit.
 * Return: true to enter again at once.
 */
noinstr bool vmx_exited(struct lodge_vcpu *vcpu)
{
	bool again;

	/* What runs between exits may fault, tracing programs for one. */
	vcpu->cr2 = native_read_cr2();
	vcpu->vmx.exit_reason = vmx_vmread(VMCS_EXIT_REASON) | vcpu->vmx.exit_offered;
	vmx_host_exceptions(&vcpu->vmx);
	vmx_guest_end();
	instrumentation_begin();
	again = vmx_handle_fast(vcpu);
	instrumentation_end();
	if (!again)
		return false;
	vmx_guest_begin();
	vmx_load_cr2(vcpu);
	return true;
}

/* In the place of an exit reason: the CPU did not even try, and has no reason. */
#define VMX_NOT_ENTERED		(VMX_EXIT_ENTRY_FAILED | VMX_EXIT_REASON_BASIC)

static noinstr void vmx_first_entry(struct lodge_vcpu *vcpu)
{
	vmx_guest_begin();
	vmx_load_cr2(vcpu);
	if (likely(vmx_enter(vcpu)))
		return;
	vmx_guest_end();
	vcpu->vmx.exit_reason = VMX_NOT_ENTERED;
}

/*
 * How many exits a stint may have. While the host's perf uses what an entry or exit
 * changes, one: what it has set is back at once, and asked for anew before the next
 * entry. A host without pays for that once per stint.
 */
static __always_inline u32 vmx_stint_exits(struct vmx_vcpu *v)
{
	bool perf = static_branch_likely(&vmx_perf_key) && vmx_perf_load(v);

	return perf || v->host_debugctl ? 1 : VMX_STINT_EXITS;
}

/*
 * Enter, and handle fast exits, until something else happens. With
 * vmx.handled set there is nothing left to do about the last exit. Should the CPU not
 * enter at all, the first time or later, the exit reason is VMX_NOT_ENTERED.
 */
static void vmx_stint(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	if (static_cpu_has(X86_FEATURE_MSR_SPEC_CTRL))
		vmx_spec_ctrl_prepare(vcpu);
	v->exits_left = vmx_stint_exits(v);
	v->handled = false;
	vmx_set_timer(vcpu);
	vmx_before_entry(vcpu);
	vmx_first_entry(vcpu);
	vcpu->stats.guest_tsc = guest_time(vcpu);
}

/* A slow handler may have changed anything that an event's arrival depends on. */
static int vmx_handle_slow(struct lodge_vcpu *vcpu)
{
	const struct vmx_exit_handler *h = &vmx_exit_handlers[vcpu->vmx.basic];

	if (vmx_rings(vcpu, h, true))
		return LODGE_NEXT_ENTER;
	if (!h->quiet) {
		lodge_vcpu_settle(vcpu);
		vcpu->vmx.recheck = true;
	}
	return h->slow ? h->slow(vcpu) : vmx_slow_unhandled(vcpu);
}

/* The entry has failed, or nothing has been done yet about an exit with an offer. */
static noinline int vmx_handle_odd(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	lodge_vcpu_settle(vcpu);
	if (v->exit_offered) {
		pv_eoi_end_slowly(vcpu);
		v->exit_offered = 0;
	}
	if (v->exit_reason & VMX_EXIT_ENTRY_FAILED)
		return vmx_entry_failed(vcpu, v->exit_reason == VMX_NOT_ENTERED);
	v->exit_reason &= ~VMX_EXIT_OFFERED;
	return vmx_dispatch_fast(vcpu) ? LODGE_NEXT_ENTER : vmx_handle_slow(vcpu);
}

/* Who wants the vCPU waits, when RUN has just let others have it. */
static noinline bool vmx_takes_turn(const struct lodge_vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) == BIT(LODGE_REQ_STATE) && lodge_has_turn(vcpu);
}

/* All that must be true before interrupts-off code touches the guest. */
static int vmx_prepare(struct lodge_vcpu *vcpu)
{
	if (unlikely(!this_cpu_read(vmx_cpu.on) || vcpu->vmx.lost))
		return -EIO;	/* reboot, or a CPU that refused VMXON */
	if (read_thread_flags() & vcpu->thread_wanted)
		return -EAGAIN;
	if (unlikely(READ_ONCE(vcpu->requests)) && !vmx_takes_turn(vcpu))
		return -EAGAIN;
	/* A softirq used the FPU, or we were scheduled: the thread's are in memory. */
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
	vmx_host_park(vcpu);
	vmx_flush_translations(vcpu);
	vmx_refresh_host_crs(&vcpu->vmx);
	return 0;
}

/**
 * vmx_vcpu_enter() - run the guest until it wants something that is not fast
 * @vcpu: the vCPU; loaded or pinned, slot held
 *
 * Context: may sleep (in slow handlers, when settled).
 * Return: LODGE_NEXT_ENTER, LODGE_NEXT_LEAVE, -EIO when this CPU is not in VMX
 * operation, or the vCPU is lost.
 */
int vmx_vcpu_enter(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
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
	/*
	 * Guest mode is a quiescent state; context tracking says it by itself. RCU
	 * does not want to know more often than its timer runs.
	 */
	if (!context_tracking_enabled_this_cpu() && time_after(jiffies, v->rcu_jiffies)) {
		v->rcu_jiffies = jiffies;
		rcu_note_context_switch(false);
	}
	v->host_debugctl = __rdmsr(MSR_IA32_DEBUGCTLMSR);
	lodge_fpu_in(vcpu->fpu);
	vmx_load_xstate(vcpu);
	vmx_load_debug(vcpu);

	vmx_stint(vcpu);

	vmx_unload_debug(v);
	vmx_unload_xstate(vcpu);
	lodge_fpu_out(vcpu->fpu);
	vmx_host_first(v);
	WRITE_ONCE(vcpu->has_run, true);
	vcpu->thread_wanted = VMX_THREAD_WANTED;
	vtime_account_guest_exit();
	local_irq_enable();
	preempt_enable();

	if (unlikely(v->exit_reason & (VMX_EXIT_ENTRY_FAILED | VMX_EXIT_OFFERED)))
		return vmx_handle_odd(vcpu);
	if (v->handled)
		return LODGE_NEXT_ENTER;
	return vmx_handle_slow(vcpu);
}
