/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of vmx/ say to each other. */
#ifndef LODGE_VMX_INTERNAL_H
#define LODGE_VMX_INTERNAL_H

#include "../lodge.h"

void vmx_vcpu_load(struct lodge_vcpu *vcpu, int cpu);
void vmx_vcpu_unload(struct lodge_vcpu *vcpu);
u32 vmx_timer_value(void);
void vmx_xstate_init(void);

/* entry.S */
unsigned long vmx_enter(u64 *regs, struct vmx_entry *entry, unsigned long flags);
void vmx_handle_nmi(void);

/* inject.c */
void vmx_inject(struct lodge_vcpu *vcpu);
void vmx_take_lost_event(struct lodge_vcpu *vcpu);
void vmx_take_back_event(struct lodge_vcpu *vcpu);
void vmx_reflect_exception(struct lodge_vcpu *vcpu, u32 info, u32 code);

/* perf.c */
bool vmx_perf_load(struct vmx_vcpu *v);

/* mitigate.c */
int vmx_mitigate_init(void);
bool vmx_needs_nx_huge(void);
void vmx_mitigate_exit(void);
void vmx_mitigate_entry(struct vmx_vcpu *v);
void vmx_mitigate_after(void);
unsigned long vmx_spec_ctrl_flags(struct vmx_vcpu *v, u32 guest);

/**
 * struct vmx_exit_handler - what is done about an exit
 * @name: of the exit, for people
 * @fast: called first, if there is one: interrupts off, bounded, no lock, no
 *	user access, no sleep. Return: true when the exit is dealt with
 * @slow: called when @fast is not there or says false; may sleep. Return:
 *	enum lodge_next
 * @qual: vmx.exit_qual is read before
 */
struct vmx_exit_handler {
	const char *name;
	bool (*fast)(struct lodge_vcpu *vcpu);
	int (*slow)(struct lodge_vcpu *vcpu);
	bool qual;
};

const struct vmx_exit_handler *vmx_exit_handler(u32 basic);

/* words.c */
int vmx_entry_failed(struct lodge_vcpu *vcpu, bool vmfail);

#endif
