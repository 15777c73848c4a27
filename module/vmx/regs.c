// SPDX-License-Identifier: GPL-2.0
/* Guest registers that live in the VMCS, and the end of an emulated instruction. */
#include <linux/nospec.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../lodge.h"
#include "insn.h"
#include "vmx_internal.h"

/**
 * lodge_rip_write() - set the guest's RIP
 * @vcpu: the vCPU; loaded
 * @value: new value
 */
void lodge_rip_write(struct lodge_vcpu *vcpu, u64 value)
{
	vcpu->vmx.rip = value;
	vcpu->vmx.cached |= VMX_CACHED_RIP;
	vmcs_write(VMCS_GUEST_RIP, value);
}

/**
 * lodge_rflags_write() - set the guest's RFLAGS
 * @vcpu: the vCPU; loaded
 * @value: new value
 */
void lodge_rflags_write(struct lodge_vcpu *vcpu, u64 value)
{
	vcpu->vmx.rflags = value;
	vcpu->vmx.cached |= VMX_CACHED_RFLAGS;
	vcpu->vmx.recheck = true;	/* IF may have come on */
	vmcs_write(VMCS_GUEST_RFLAGS, value);
}

/**
 * lodge_reg_read() - a general register by number
 * @vcpu: the vCPU; loaded
 * @reg: enum lodge_reg
 */
u64 lodge_reg_read(struct lodge_vcpu *vcpu, int reg)
{
	if (reg == LODGE_RSP)
		return vmcs_read(VMCS_GUEST_RSP);
	return vcpu->regs[array_index_nospec(reg & 15, 16)];
}

/**
 * lodge_reg_write() - set a general register
 * @vcpu: the vCPU; loaded
 * @reg: enum lodge_reg
 * @value: new value
 */
void lodge_reg_write(struct lodge_vcpu *vcpu, int reg, u64 value)
{
	if (reg == LODGE_RSP)
		vmcs_write(VMCS_GUEST_RSP, value);
	else
		vcpu->regs[array_index_nospec(reg & 15, 16)] = value;
}

/**
 * vmx_segment_read() - a segment register with its hidden part
 * @vcpu: the vCPU; loaded
 * @seg: LODGE_SEG_*
 * @out: filled
 */
void vmx_segment_read(struct lodge_vcpu *vcpu, int seg, struct lodge_segment *out)
{
	u32 ar = vmcs_read(VMCS_GUEST_AR(seg));

	*out = (struct lodge_segment) {
		.base = vmcs_read(VMCS_GUEST_BASE(seg)),
		.limit = vmcs_read(VMCS_GUEST_LIMIT(seg)),
		.selector = vmcs_read(VMCS_GUEST_SEL(seg)),
		.attrs = ar & 0xf0ff,
		.unusable = !!(ar & VMX_AR_UNUSABLE),
	};
}

/**
 * vmx_segment_write() - set a segment register with its hidden part
 * @vcpu: the vCPU; loaded
 * @seg: LODGE_SEG_*
 * @in: new value
 */
void vmx_segment_write(struct lodge_vcpu *vcpu, int seg, const struct lodge_segment *in)
{
	vmcs_write(VMCS_GUEST_SEL(seg), in->selector);
	vmcs_write(VMCS_GUEST_BASE(seg), in->base);
	vmcs_write(VMCS_GUEST_LIMIT(seg), in->limit);
	vmcs_write(VMCS_GUEST_AR(seg), in->unusable ? VMX_AR_UNUSABLE : in->attrs & 0xf0ff);
}

/* With DEBUGCTL.BTF only branches are steps, and none is emulated. */
static void vmx_step_trap(struct lodge_vcpu *vcpu)
{
	if (lodge_rflags_read(vcpu) & X86_EFLAGS_TF &&
	    !(vmx_vmread(VMCS_GUEST_DEBUGCTL) & DEBUGCTLMSR_BTF))
		vmx_inject_db(vcpu, DR6_BS);
}

/**
 * lodge_iterate() - end an iteration of a repeated string instruction, but the last
 * @vcpu: the vCPU; loaded
 *
 * RIP stays. A single-step trap in between has RF set (SDM 3B 18.3.1.1), so that an
 * instruction breakpoint on the instruction counts once.
 */
void lodge_iterate(struct lodge_vcpu *vcpu)
{
	if (likely(!(lodge_rflags_read(vcpu) & X86_EFLAGS_TF)))
		return;
	lodge_rflags_write(vcpu, lodge_rflags_read(vcpu) | X86_EFLAGS_RF);
	vmx_step_trap(vcpu);
}

u64 lodge_next_rip(struct lodge_vcpu *vcpu, u64 next)
{
	return lodge_code_width(vcpu) == 8 ? next : (u32)next;
}

/**
 * vmx_skip_rest() - the rare part of lodge_skip(): shadows, RF and TF
 * @vcpu: the vCPU; loaded
 * @shadow: the interruptibility state
 * @rflags: RFLAGS. RF holds for one instruction (SDM 3B 18.3.1.1)
 */
void vmx_skip_rest(struct lodge_vcpu *vcpu, u32 shadow, u64 rflags)
{
	if (shadow & VMX_SHADOWS) {
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, shadow & ~VMX_SHADOWS);
		vcpu->vmx.recheck = true;
	}
	if (rflags & X86_EFLAGS_RF)
		lodge_rflags_write(vcpu, rflags & ~(u64)X86_EFLAGS_RF);
	vmx_step_trap(vcpu);
}

/**
 * vmx_skip() - lodge_skip() for the instruction that caused the exit
 * @vcpu: the vCPU; loaded
 */
void vmx_skip(struct lodge_vcpu *vcpu)
{
	lodge_skip(vcpu, vmcs_read(VMCS_EXIT_INSN_LEN));
}

/**
 * lodge_guest_tsc() - the guest's TSC now
 * @vcpu: the vCPU
 */
u64 lodge_guest_tsc(struct lodge_vcpu *vcpu)
{
	return rdtsc() + vcpu->vmx.tsc_offset;
}
