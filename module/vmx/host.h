/* SPDX-License-Identifier: GPL-2.0 */
/* The host thread's state around a stint in the guest; for vmx/ only. */
#ifndef LODGE_VMX_HOST_H
#define LODGE_VMX_HOST_H

#include "../types.h"

struct vmx_vcpu;

void vmx_host_learn(void);
void vmx_host_fill_vmcs(void);
void vmx_host_fill_cpu(int cpu);
void vmx_host_park(struct lodge_vcpu *vcpu);
void vmx_host_unpark(struct lodge_vcpu *vcpu);
void vmx_vmcs_clear_local(struct vmx_vcpu *v);
void vmx_vmcs_clear(struct vmx_vcpu *v);

#endif
