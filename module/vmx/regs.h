/* SPDX-License-Identifier: GPL-2.0 */
/* The registers of the VMCS that every exit wants: read once per exit. */
#ifndef LODGE_VMX_REGS_H
#define LODGE_VMX_REGS_H

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "../lodge.h"

/**
 * lodge_rip_read() - the guest's RIP
 * @vcpu: the vCPU; loaded
 */
static inline u64 lodge_rip_read(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	if (!(v->cached & VMX_CACHED_RIP)) {
		v->rip = vmcs_read(VMCS_GUEST_RIP);
		v->cached |= VMX_CACHED_RIP;
	}
	return v->rip;
}

/**
 * lodge_rflags_read() - the guest's RFLAGS
 * @vcpu: the vCPU; loaded
 */
static inline u64 lodge_rflags_read(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	if (!(v->cached & VMX_CACHED_RFLAGS)) {
		v->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
		v->cached |= VMX_CACHED_RFLAGS;
	}
	return v->rflags;
}

/**
 * lodge_cpl() - the guest's privilege level: DPL of SS (SDM 3C 25.4.1)
 * @vcpu: the vCPU; loaded
 */
static inline int lodge_cpl(struct lodge_vcpu *vcpu)
{
	if (!(vcpu->cr0 & X86_CR0_PE))
		return 0;
	return vmcs_read(VMCS_GUEST_AR(LODGE_SEG_SS)) >> 5 & 3;
}

/**
 * lodge_code_width() - default operand size of the code segment
 * @vcpu: the vCPU; loaded
 *
 * Return: 2, 4, or 8 for 64-bit mode.
 */
static inline u32 lodge_code_width(struct lodge_vcpu *vcpu)
{
	u32 ar = vmcs_read(VMCS_GUEST_AR(LODGE_SEG_CS));

	/* CS.L counts in IA-32e mode, where there is no virtual-8086 mode. */
	if (vcpu->efer & EFER_LMA && ar & BIT(13))
		return 8;
	return ar & BIT(14) && !(lodge_rflags_read(vcpu) & X86_EFLAGS_VM) ? 4 : 2;
}

/**
 * lodge_next_rip() - RIP after an instruction that ends in another 4 GiB than it began
 * @vcpu: the vCPU; loaded
 * @next: the sum of RIP and its length
 *
 * Only 64-bit code goes on beyond 32 bits, or comes from there.
 */
u64 lodge_next_rip(struct lodge_vcpu *vcpu, u64 next);

void vmx_skip_rest(struct lodge_vcpu *vcpu, u32 shadow, u64 rflags);

/**
 * lodge_skip() - end an emulated instruction
 * @vcpu: the vCPU; loaded
 * @len: its length
 *
 * Moves RIP, ends the shadow of STI and MOV SS, and raises the single-step trap
 * that the CPU would have raised.
 */
static __always_inline void lodge_skip(struct lodge_vcpu *vcpu, u32 len)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u32 shadow = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	u64 rip = vmcs_read(VMCS_GUEST_RIP), next = rip + len;

	/* Not lodge_rip_read() and so on: where this is hot nothing is cached yet. */
	v->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	if (unlikely((rip ^ next) >> 32))
		next = lodge_next_rip(vcpu, next);
	vmcs_write(VMCS_GUEST_RIP, next);
	v->rip = next;
	v->cached = VMX_CACHED_RIP | VMX_CACHED_RFLAGS;
	if (unlikely((shadow & VMX_SHADOWS) || (v->rflags & (X86_EFLAGS_TF | X86_EFLAGS_RF))))
		vmx_skip_rest(vcpu, shadow, v->rflags);
}

#endif
