/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The beginning of an exit in the shared page, the same for every reason. Inline, for
 * it is on the way of every access to a device.
 */
#ifndef LODGE_EXIT_H
#define LODGE_EXIT_H

#include "lodge.h"

static __always_inline struct lodge_exit *
exit_fill(struct lodge_vcpu *vcpu, u32 reason, u32 flags, u64 next_rip, u32 insn_len)
{
	struct lodge_exit *e = &vcpu->run->exit;

	e->reason = reason;
	e->flags = flags;
	e->rip = vcpu->vmx.rip;
	e->next_rip = next_rip;
	e->insn_len = insn_len;
	e->insn_bytes = 0;
	return e;
}

/**
 * lodge_exit_fill_insn() - start to fill the exit of an instruction to be completed
 * @vcpu: the vCPU; loaded or pinned
 * @reason: LODGE_EXIT_*
 * @insn_len: length of the instruction at RIP
 * @flags: LODGE_EXIT_F_* besides LODGE_EXIT_F_INSN
 *
 * Return: the exit; the caller writes all that belongs to the reason.
 */
static __always_inline struct lodge_exit *
lodge_exit_fill_insn(struct lodge_vcpu *vcpu, u32 reason, u32 insn_len, u32 flags)
{
	u64 rip = lodge_rip_read(vcpu), next = rip + insn_len;

	if (unlikely((rip ^ next) >> 32))
		next = lodge_next_rip(vcpu, next);
	return exit_fill(vcpu, reason, LODGE_EXIT_F_INSN | flags, next, insn_len);
}

#endif
