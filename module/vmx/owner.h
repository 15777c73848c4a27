/* SPDX-License-Identifier: GPL-2.0 */
/* Whose VMX is, CPU by CPU. */
#ifndef LODGE_VMX_OWNER_H
#define LODGE_VMX_OWNER_H

#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/types.h>

/**
 * struct vmx_cpu - a physical CPU
 * @vmxon: its VMXON page
 * @on: it is in VMX operation, by us
 * @current_vmcs: the VMCS that VMPTRLD made current; also the last one, for IBPB
 * @active: VMCSs that may be cached by this CPU: each needs VMCLEAR before
 *	its memory or another CPU may be used for it
 *
 * All of it this CPU's with interrupts off; the crash callback reads it from NMI
 * context, so @active is always whole for a walk forwards.
 */
struct vmx_cpu {
	void *vmxon;
	bool on;
	void *current_vmcs;
	struct list_head active;
};

DECLARE_PER_CPU(struct vmx_cpu, vmx_cpu);

int vmx_owner_init(void);
void vmx_owner_exit(void);

#endif
