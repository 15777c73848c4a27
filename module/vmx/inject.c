// SPDX-License-Identifier: GPL-2.0
/*
 * Events on their way into the guest: exceptions, NMIs and interrupts are put
 * into the VMCS when the guest can take them, windows are opened when it cannot
 * yet, and what an exit cut short is delivered again, once.
 */
#include <linux/kernel.h>
#include <asm/kvm_para.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../lodge.h"
#include "insn.h"
#include "vmx_internal.h"

#define EVENT(type)	((u32)(type) << VMX_INTR_TYPE_SHIFT)

/* Exceptions that push an error code, SDM 3A table 6-1. */
#define VECTORS_WITH_CODE						\
	(BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) |	\
	 BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_AC))

#define CONTRIBUTORY							\
	(BIT(X86_TRAP_DE) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) |	\
	 BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP))

/* Exceptions that are always faults; #DB is one or the other (SDM 3A table 6-1). */
#define FAULTS								\
	(CONTRIBUTORY | BIT(X86_TRAP_BR) | BIT(X86_TRAP_UD) | BIT(X86_TRAP_NM) |	\
	 BIT(X86_TRAP_OLD_MF) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_MF) |	\
	 BIT(X86_TRAP_AC) | BIT(X86_TRAP_XF) | BIT(X86_TRAP_VE) | BIT(X86_TRAP_CP))

enum vmx_merge { MERGE_SECOND, MERGE_DOUBLE, MERGE_SHUTDOWN };

/* What becomes of a second exception while a first is delivered, SDM 3A table 6-5. */
static enum vmx_merge vmx_merge(u8 first, u8 second)
{
	bool harmful = BIT(second) & (CONTRIBUTORY | BIT(X86_TRAP_PF));

	if (first == X86_TRAP_DF && harmful)
		return MERGE_SHUTDOWN;
	if (first == X86_TRAP_PF && harmful)
		return MERGE_DOUBLE;
	if (BIT(first) & CONTRIBUTORY && BIT(second) & CONTRIBUTORY)
		return MERGE_DOUBLE;
	return MERGE_SECOND;
}

/* Is it an exception that pushes an error code, in any mode but real mode? */
static bool vmx_event_has_code(u32 info)
{
	return (info & VMX_INTR_TYPE) == EVENT(LODGE_EVENT_EXCEPTION) &&
	       BIT(info & VMX_INTR_VECTOR) & VECTORS_WITH_CODE;
}

static bool vmx_event_is_fault(u32 info)
{
	return (info & VMX_INTR_TYPE) == EVENT(LODGE_EVENT_EXCEPTION) &&
	       BIT(info & VMX_INTR_VECTOR) & FAULTS;
}

static void vmx_event_set(struct lodge_vcpu *vcpu, u32 info, u32 code, u32 len)
{
	/* In real mode nothing pushes an error code (SDM 3C 27.2.1.3). */
	if (!(vcpu->cr0 & X86_CR0_PE))
		info &= ~VMX_INTR_CODE;
	vcpu->event = (struct lodge_pending_event) {
		.info = info | VMX_INTR_VALID, .code = code, .insn_len = len,
	};
	vcpu->vmx.recheck = true;
}

static void vmx_block_nmi(bool block)
{
	u32 state = vmx_vmread(VMCS_GUEST_INTERRUPTIBILITY);

	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
		   block ? state | VMX_BLOCKED_NMI : state & ~VMX_BLOCKED_NMI);
}

/*
 * An exception came while an event that is none was being delivered: the two are
 * handled one after the other (SDM 3A table 6-5). What an instruction raises comes
 * again with the instruction. An interrupt or NMI does not: a fault is the end of
 * its delivery, and the CPU has acknowledged it, so it is lost, as on hardware (and
 * the fault's IRET ends the blocking by NMI). A debug trap is no part of the
 * delivery and goes before it: then interrupt and NMI wait again.
 */
static void vmx_give_way(struct lodge_vcpu *vcpu, u32 old, u8 vector)
{
	switch ((old & VMX_INTR_TYPE) >> VMX_INTR_TYPE_SHIFT) {
	case LODGE_EVENT_INTERRUPT:
		if (vector == X86_TRAP_DB)
			lapic_unaccept(vcpu, old & VMX_INTR_VECTOR);
		break;
	case LODGE_EVENT_NMI:
		if (vector == X86_TRAP_DB)
			vcpu->nmis_queued = min(2, vcpu->nmis_queued + 1);
		else
			vmx_block_nmi(true);
		break;
	}
}

/**
 * lodge_inject_exception() - raise an exception before the next instruction
 * @vcpu: the vCPU; owner
 * @vector: exception vector
 * @has_code: @code goes on the stack
 * @code: error code
 *
 * Merges with an exception that is still being delivered; any other event gives way.
 *
 * Context: any; the vCPU is loaded, or has no event on its way.
 */
void lodge_inject_exception(struct lodge_vcpu *vcpu, u8 vector, bool has_code, u32 code)
{
	u32 old = vcpu->event.info;

	if (old & VMX_INTR_VALID &&
	    (old & VMX_INTR_TYPE) != EVENT(LODGE_EVENT_EXCEPTION)) {
		vmx_give_way(vcpu, old, vector);
	} else if (old & VMX_INTR_VALID) {
		switch (vmx_merge(old & VMX_INTR_VECTOR, vector)) {
		case MERGE_SECOND:
			break;
		case MERGE_DOUBLE:
			vector = X86_TRAP_DF;
			has_code = true;
			code = 0;
			break;
		case MERGE_SHUTDOWN:
			vcpu->event.info = 0;
			lodge_vcpu_request(vcpu, LODGE_REQ_SHUTDOWN);
			return;
		}
	}
	vmx_event_set(vcpu, vector | EVENT(LODGE_EVENT_EXCEPTION) |
		      (has_code ? VMX_INTR_CODE : 0), code, 0);
}

/**
 * vmx_inject_db() - raise a #DB that the guest's debug registers call for
 * @vcpu: the vCPU; loaded
 * @cause: bits of DR6
 *
 * What the CPU does with a #DB of its own: a new cause in B0 to B3, DR7.GD and
 * DEBUGCTL.BTF cleared (SDM 3B 18.2.3, 18.2.4, 18.4.3). Of the faults, the one that
 * comes of DR7.GD pushes RF as any fault does (SDM 3B 18.3.1.1), an instruction
 * breakpoint does not.
 */
void vmx_inject_db(struct lodge_vcpu *vcpu, u64 cause)
{
	u64 debugctl = vmx_vmread(VMCS_GUEST_DEBUGCTL);

	vcpu->dr6 = (vcpu->dr6 & ~DR6_TRAPS) | cause;
	if (vcpu->dr7 & DR7_GD) {
		vcpu->dr7 &= ~DR7_GD;
		vmcs_write(VMCS_GUEST_DR7, vcpu->dr7);
	}
	if (debugctl & DEBUGCTLMSR_BTF)
		vmcs_write(VMCS_GUEST_DEBUGCTL, debugctl & ~(u64)DEBUGCTLMSR_BTF);
	if (cause & DR6_BD)
		lodge_rflags_write(vcpu, lodge_rflags_read(vcpu) | X86_EFLAGS_RF);
	lodge_inject_exception(vcpu, X86_TRAP_DB, false, 0);
}

/**
 * vmx_reflect_exception() - give the guest an exception that was intercepted
 * @vcpu: the vCPU; loaded
 * @info: VM-exit interruption information
 * @code: error code
 *
 * INT1 arrives as a privileged software exception and keeps its length.
 */
void vmx_reflect_exception(struct lodge_vcpu *vcpu, u32 info, u32 code)
{
	if ((info & VMX_INTR_TYPE) == EVENT(LODGE_EVENT_EXCEPTION))
		lodge_inject_exception(vcpu, info & VMX_INTR_VECTOR, info & VMX_INTR_CODE, code);
	else
		vmx_event_set(vcpu, info & (VMX_INTR_VECTOR | VMX_INTR_TYPE), 0,
			      vmx_vmread(VMCS_EXIT_INSN_LEN));
}

/* IRET had ended the blocking of NMIs and then faulted: it is still to come. */
static void vmx_undo_iret(struct lodge_vcpu *vcpu)
{
	u32 reason = vcpu->vmx.exit_reason & VMX_EXIT_REASON_BASIC;
	u32 bits = 0;

	if (reason == VMX_EXIT_EXCEPTION_NMI)
		bits = vcpu->vmx.intr_info;
	else if (reason == VMX_EXIT_EPT_VIOLATION || reason == VMX_EXIT_NOTIFY)
		bits = vmx_vmread(VMCS_EXIT_QUALIFICATION);
	BUILD_BUG_ON(VMX_EPT_NMI_UNBLOCKED != VMX_INTR_NMI_UNBLOCKED);
	if (bits & VMX_INTR_NMI_UNBLOCKED)
		vmx_block_nmi(true);
}

/**
 * vmx_take_lost_event() - keep an event whose delivery the exit cut short
 * @vcpu: the vCPU; loaded
 *
 * SDM 3C 28.2.4 and 25.9.3.
 *
 * Context: after an exit with a slow handler only, interrupts off.
 */
void vmx_take_lost_event(struct lodge_vcpu *vcpu)
{
	u32 info = vmx_vmread(VMCS_IDT_VECTORING_INFO);
	u32 len = 0, code = 0;

	if (likely(!(info & VMX_INTR_VALID))) {
		vmx_undo_iret(vcpu);
		return;
	}
	switch ((info & VMX_INTR_TYPE) >> VMX_INTR_TYPE_SHIFT) {
	case LODGE_EVENT_NMI:
		/* Its injection blocks NMIs again; blocked ones it could not pass. */
		vmx_block_nmi(false);
		break;
	case LODGE_EVENT_SOFT_INT:
	case LODGE_EVENT_PRIV_TRAP:
	case LODGE_EVENT_SOFT_TRAP:
		len = vmx_vmread(VMCS_EXIT_INSN_LEN);
		break;
	}
	if (info & VMX_INTR_CODE)
		code = vmx_vmread(VMCS_IDT_VECTORING_CODE);
	vmx_event_set(vcpu, info & (VMX_INTR_VECTOR | VMX_INTR_TYPE | VMX_INTR_CODE), code, len);
}

static void vmx_write_event(struct lodge_vcpu *vcpu, u32 info, u32 code, u32 len)
{
	if (info & VMX_INTR_CODE)
		vmcs_write(VMCS_ENTRY_INTR_CODE, code);
	if (len)
		vmcs_write(VMCS_ENTRY_INSN_LEN, len);
	vmcs_write(VMCS_ENTRY_INTR_INFO, info);
	vcpu->vmx.injected = (struct lodge_pending_event) {
		.info = info, .code = code, .insn_len = len,
	};
	vcpu->stats.injected++;
}

/**
 * vmx_take_back_event() - keep an event whose entry was refused
 * @vcpu: the vCPU; loaded
 */
void vmx_take_back_event(struct lodge_vcpu *vcpu)
{
	if (!(vcpu->vmx.injected.info & VMX_INTR_VALID))
		return;
	vcpu->event = vcpu->vmx.injected;
	vcpu->vmx.injected.info = 0;
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
}

/* Exit as soon as the guest can take what waits. */
static void vmx_set_windows(struct vmx_vcpu *v, bool irq, bool nmi)
{
	u32 proc = v->proc & ~(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW);

	if (irq)
		proc |= PROC_INTERRUPT_WINDOW;
	if (nmi)
		proc |= PROC_NMI_WINDOW;
	if (proc != v->proc) {
		v->proc = proc;
		vmcs_write(VMCS_PROC_CONTROLS, proc);
	}
}

/*
 * A trap flag under an STI or MOV-SS shadow: the CPU wants the pending step
 * noted, or the entry fails (SDM 3C 27.3.1.5).
 */
static void vmx_fix_pending_debug(struct lodge_vcpu *vcpu, u32 shadow)
{
	bool step = lodge_rflags_read(vcpu) & X86_EFLAGS_TF &&
		    !(vmx_vmread(VMCS_GUEST_DEBUGCTL) & DEBUGCTLMSR_BTF);
	u64 pending = vmx_vmread(VMCS_GUEST_PENDING_DBG);

	if (!(shadow & VMX_SHADOWS) || !!(pending & DR6_BS) == step)
		return;
	vmcs_write(VMCS_GUEST_PENDING_DBG, step ? pending | DR6_BS : pending & ~DR6_BS);
}

/**
 * vmx_inject() - put what is due into the VMCS
 * @vcpu: the vCPU; loaded
 *
 * One event fits into an entry: an exception or cut-short event first, then an
 * NMI, then an interrupt. For what has to wait, its window is opened.
 *
 * Context: interrupts off, right before an entry.
 */
void vmx_inject(struct lodge_vcpu *vcpu)
{
	struct lodge_pending_event *e = &vcpu->event;
	bool busy = e->info & VMX_INTR_VALID;
	int vector = lapic_next_vector(vcpu);
	u32 shadow;
	bool sti;

	vcpu->vmx.injected.info = 0;
	shadow = vmx_vmread(VMCS_GUEST_INTERRUPTIBILITY);
	if (unlikely(shadow & VMX_SHADOWS))
		vmx_fix_pending_debug(vcpu, shadow);
	if (busy) {
		/* The entry pushes RFLAGS as it is (SDM 3C 27.6.1.1), a fault RF set. */
		if (vmx_event_is_fault(e->info))
			lodge_rflags_write(vcpu, lodge_rflags_read(vcpu) | X86_EFLAGS_RF);
		vmx_write_event(vcpu, e->info, e->code, e->insn_len);
		e->info = 0;
	}
	if (vcpu->nmis_queued && !busy && !(shadow & (VMX_SHADOWS | VMX_BLOCKED_NMI))) {
		vcpu->nmis_queued--;
		vmx_write_event(vcpu, X86_TRAP_NMI | EVENT(LODGE_EVENT_NMI) | VMX_INTR_VALID, 0, 0);
		busy = true;
	}
	if (vector >= 0 && !busy && !(shadow & VMX_SHADOWS) &&
	    lodge_rflags_read(vcpu) & X86_EFLAGS_IF) {
		lapic_accept(vcpu, vector);
		vmx_write_event(vcpu, vector | EVENT(LODGE_EVENT_INTERRUPT) | VMX_INTR_VALID, 0, 0);
		if (vcpu->pv_eoi.msr & KVM_MSR_ENABLED)
			vmx_offer_eoi(vcpu, vector);
		/*
		 * It was the highest, so what else waits is of no higher class and has
		 * to wait for its EOI. What has come since has a request of its own.
		 */
		vector = -1;
	}
	/*
	 * A CPU may or may not hold back the NMI window under the shadow of STI (SDM
	 * 3C 26.2): one that does not would exit for ever. The interrupt window
	 * opens right behind it, since STI has set IF.
	 */
	sti = vcpu->nmis_queued && shadow & VMX_SHADOW_STI;
	vmx_set_windows(&vcpu->vmx, vector >= 0 || sti, vcpu->nmis_queued && !sti);
	vcpu->vmx.recheck = false;
}

/**
 * vmx_can_wake() - is there an event that ends HLT?
 * @vcpu: the vCPU; loaded, mp_state is LODGE_MP_HALTED
 */
bool vmx_can_wake(struct lodge_vcpu *vcpu)
{
	if (vcpu->event.info & VMX_INTR_VALID)
		return true;
	if (vcpu->nmis_queued &&
	    !(vmx_vmread(VMCS_GUEST_INTERRUPTIBILITY) & VMX_BLOCKED_NMI))
		return true;
	return lodge_rflags_read(vcpu) & X86_EFLAGS_IF && lapic_next_vector(vcpu) >= 0;
}

/* ---------------------------------------------------------- LODGE_STATE_EVENTS */

/** vmx_events_get() - read the group; loaded */
void vmx_events_get(struct lodge_vcpu *vcpu, struct lodge_events *out)
{
	u32 state = vmx_vmread(VMCS_GUEST_INTERRUPTIBILITY);
	int nmis = vcpu->nmis_queued + atomic_read(&vcpu->nmis_sent);
	const struct lodge_pending_event *e = &vcpu->event;

	*out = (struct lodge_events) {
		.mp_state = vcpu->mp_state,
		.pending_dbg = vmx_vmread(VMCS_GUEST_PENDING_DBG),
	};
	if (state & VMX_SHADOW_STI)
		out->flags |= LODGE_EV_STI_SHADOW;
	if (state & VMX_SHADOW_MOV_SS)
		out->flags |= LODGE_EV_SS_SHADOW;
	if (state & VMX_BLOCKED_NMI)
		out->flags |= LODGE_EV_NMI_MASKED;
	if (nmis)
		out->flags |= LODGE_EV_NMI_PENDING;
	if (nmis > 1)
		out->flags |= LODGE_EV_NMI_QUEUED;
	if (!(e->info & VMX_INTR_VALID))
		return;
	out->flags |= LODGE_EV_EVENT;
	out->event_vector = e->info & VMX_INTR_VECTOR;
	out->event_type = (e->info & VMX_INTR_TYPE) >> VMX_INTR_TYPE_SHIFT;
	out->event_insn_len = e->insn_len;
	/* By the vector, so that SET takes it whatever mode it is in by then. */
	if (vmx_event_has_code(e->info)) {
		out->flags |= LODGE_EV_EVENT_CODE;
		out->event_code = e->code;
	}
}

static bool vmx_event_valid(const struct lodge_events *in)
{
	bool code = in->flags & LODGE_EV_EVENT_CODE;

	if (!code && in->event_code)
		return false;
	switch (in->event_type) {
	case LODGE_EVENT_INTERRUPT:
		return in->event_vector >= 16 && !code && !in->event_insn_len;
	case LODGE_EVENT_NMI:
		return in->event_vector == X86_TRAP_NMI && !code && !in->event_insn_len;
	case LODGE_EVENT_EXCEPTION:
		return vmx_exception_valid(in->event_vector, code, in->event_code) &&
		       !in->event_insn_len;
	case LODGE_EVENT_SOFT_INT:
	case LODGE_EVENT_PRIV_TRAP:
	case LODGE_EVENT_SOFT_TRAP:
		return !code && in->event_insn_len && in->event_insn_len <= LODGE_INSN_MAX;
	default:
		return false;
	}
}

/**
 * vmx_exception_valid() - would the CPU take this exception?
 * @vector: its vector
 * @has_code: it comes with an error code
 * @code: the error code
 */
bool vmx_exception_valid(u32 vector, bool has_code, u32 code)
{
	if (vector > 31 || vector == X86_TRAP_NMI || code >> 16)
		return false;
	/* Real mode drops the code later; here the vector decides. */
	return has_code == !!(BIT(vector) & VECTORS_WITH_CODE) && (has_code || !code);
}

/** vmx_events_check() - could the group be set? 0 or -EINVAL */
int vmx_events_check(struct lodge_vcpu *vcpu, const struct lodge_events *in)
{
	const u32 known = LODGE_EV_STI_SHADOW | LODGE_EV_SS_SHADOW | LODGE_EV_NMI_PENDING |
			  LODGE_EV_NMI_MASKED | LODGE_EV_EVENT | LODGE_EV_EVENT_CODE |
			  LODGE_EV_NMI_QUEUED;

	if (in->mp_state > LODGE_MP_WAIT_SIPI || in->flags & ~known)
		return -EINVAL;
	if (in->flags & LODGE_EV_NMI_QUEUED && !(in->flags & LODGE_EV_NMI_PENDING))
		return -EINVAL;
	/* The CPU refuses both at once (SDM 3C 27.3.1.5). */
	if (in->flags & LODGE_EV_STI_SHADOW && in->flags & LODGE_EV_SS_SHADOW)
		return -EINVAL;
	/* Bits 3:0 B0-B3, 12 enabled breakpoint, 14 BS; RTM is not offered. */
	if (in->pending_dbg & ~0x500full)
		return -EINVAL;
	if (in->flags & LODGE_EV_EVENT)
		return vmx_event_valid(in) ? 0 : -EINVAL;
	if (in->flags & LODGE_EV_EVENT_CODE || in->event_vector || in->event_type ||
	    in->event_insn_len || in->event_code)
		return -EINVAL;
	return 0;
}

/** vmx_events_set() - write the group, checked before; loaded */
void vmx_events_set(struct lodge_vcpu *vcpu, const struct lodge_events *in)
{
	u32 state = 0;

	vcpu->mp_state = in->mp_state;
	if (in->flags & LODGE_EV_STI_SHADOW)
		state |= VMX_SHADOW_STI;
	if (in->flags & LODGE_EV_SS_SHADOW)
		state |= VMX_SHADOW_MOV_SS;
	if (in->flags & LODGE_EV_NMI_MASKED)
		state |= VMX_BLOCKED_NMI;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, state);
	vmcs_write(VMCS_GUEST_PENDING_DBG, in->pending_dbg);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);	/* of an entry that was refused */
	atomic_set(&vcpu->nmis_sent, 0);
	vcpu->nmis_queued = !!(in->flags & LODGE_EV_NMI_PENDING) +
			    !!(in->flags & LODGE_EV_NMI_QUEUED);
	vcpu->event.info = 0;
	vcpu->vmx.recheck = true;
	if (in->flags & LODGE_EV_EVENT)
		vmx_event_set(vcpu, in->event_vector | EVENT(in->event_type) |
			      (in->flags & LODGE_EV_EVENT_CODE ? VMX_INTR_CODE : 0),
			      in->event_code, in->event_insn_len);
}
