/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of vmx/ say to each other. */
#ifndef LODGE_VMX_INTERNAL_H
#define LODGE_VMX_INTERNAL_H

#include <linux/cpufeature.h>
#include <linux/jump_label.h>
#include <asm/nospec-branch.h>

#include "../compat.h"
#include "../lodge.h"

void vmx_stint_init(void);
void vmx_xstate_init(void);

/* entry.S */
bool vmx_enter(struct lodge_vcpu *vcpu);
bool vmx_exited(struct lodge_vcpu *vcpu);
void vmx_handle_nmi(void);

/* run.c */
void vmx_offer_eoi(struct lodge_vcpu *vcpu, u8 vector);

/* regs.c */
void vmx_skip(struct lodge_vcpu *vcpu);

/* inject.c */
void vmx_inject(struct lodge_vcpu *vcpu);
void vmx_take_lost_event(struct lodge_vcpu *vcpu);
void vmx_take_back_event(struct lodge_vcpu *vcpu);
void vmx_reflect_exception(struct lodge_vcpu *vcpu, u32 info, u32 code);

/* perf.c */
void vmx_perf_init(void);
bool vmx_perf_load(struct vmx_vcpu *v);
DECLARE_STATIC_KEY_FALSE(vmx_perf_key);

/* mitigate.c */
int vmx_mitigate_init(void);
bool vmx_needs_nx_huge(void);
void vmx_mitigate_exit(void);
void vmx_l1d_entry(struct vmx_vcpu *v);
void vmx_spec_ctrl_prepare(struct lodge_vcpu *vcpu);
DECLARE_STATIC_KEY_FALSE(vmx_l1d_key);

/**
 * vmx_mitigate_entry() - what has to be done before an entry
 * @v: the vCPU's VMX part
 *
 * Context: interrupts off.
 */
static __always_inline void vmx_mitigate_entry(struct vmx_vcpu *v)
{
	if (static_branch_unlikely(&vmx_l1d_key))
		vmx_l1d_entry(v);
}

/**
 * vmx_mitigate_after() - what has to be noted after an exit
 *
 * VMSCAPE: user mode may not run on predictions that the guest has trained; the
 * kernel looks at the note on its way there.
 *
 * Context: interrupts off.
 */
static __always_inline void vmx_mitigate_after(void)
{
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
}

/**
 * struct vmx_exit_handler - what is done about an exit
 * @name: of the exit, for people
 * @fast: called first, if there is one: interrupts off, bounded, no lock, no
 *	user access, no sleep. Return: true when the exit is dealt with
 * @bell: where there is no @fast, called first if there are ioeventfds: as @fast, but
 *	takes the lock of an eventfd's queue. Not on PREEMPT_RT, where that lock sleeps:
 *	there it is called before @slow
 * @slow: called when none of these is there or says true; may sleep. Return:
 *	enum lodge_next
 * @insn: an instruction exits, so no event was being delivered (SDM 3C 28.2.4); goes
 *	without saying where @fast is there
 * @quiet: @slow says itself, by vmx.recheck, when an event may have to be looked for,
 *	and settles itself when it has to sleep
 */
struct vmx_exit_handler {
	const char *name;
	bool (*fast)(struct lodge_vcpu *vcpu);
	bool (*bell)(struct lodge_vcpu *vcpu);
	int (*slow)(struct lodge_vcpu *vcpu);
	bool insn;
	bool quiet;
};

/* By basic exit reason; the last row, and any without a handler, is "unknown". */
extern const struct vmx_exit_handler vmx_exit_handlers[LODGE_NR_HW_EXITS];
int vmx_slow_unhandled(struct lodge_vcpu *vcpu);

/* words.c */
int vmx_entry_failed(struct lodge_vcpu *vcpu, bool vmfail);

#endif
