/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A vCPU on its way onto a CPU and off again: what each RUN does, inline.
 *
 * "Pinned": preemption is off, so the VMCS stays current on this CPU. "Loaded": a
 * preempt notifier makes it follow the thread (vmcs.c).
 */
#ifndef LODGE_VMX_LOAD_H
#define LODGE_VMX_LOAD_H

#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/smp.h>

#include "../lodge.h"
#include "host.h"
#include "owner.h"

int vmx_pin_slowly(struct lodge_vcpu *vcpu);

/*
 * Only this CPU makes another VMCS current, or clears ours. Where one is, the CPU is in
 * VMX operation; and that of a vCPU that got lost is cleared when it is put.
 */
static __always_inline bool vmx_is_current(const struct vmx_vcpu *v)
{
	return likely(this_cpu_read(vmx_cpu.current_vmcs) == v->vmcs);
}

/* From here on the vCPU may be in the guest. */
static __always_inline void vmx_publish(struct lodge_vcpu *vcpu, int cpu)
{
	vcpu->vmx.flush_l1d = true;	/* other tasks ran here, or we come from user mode */
	WRITE_ONCE(vcpu->cpu, cpu);
	/*
	 * Who changes what the guest depends on (requests, the EPT) does so, has a full
	 * barrier, and then reads ->cpu; we have written ->cpu, have a full barrier, and
	 * then read the former. One of us sees the other.
	 */
	smp_mb();
}

/**
 * lodge_vcpu_pin() - start to work on a vCPU on this CPU: its VMCS can be used
 * @vcpu: the vCPU; owner
 *
 * Context: may sleep before. Preemption is off then, until lodge_vcpu_settle() or
 * lodge_vcpu_put().
 * Return: 0, or -EIO when this CPU is not in VMX operation, or when the vCPU is lost.
 */
static __always_inline int lodge_vcpu_pin(struct lodge_vcpu *vcpu)
{
	preempt_disable();
	if (!vmx_is_current(&vcpu->vmx))
		return vmx_pin_slowly(vcpu);
	vcpu->hold = LODGE_HOLD_PIN;
	vmx_publish(vcpu, smp_processor_id());
	return 0;
}

/**
 * lodge_vcpu_unpin() - lodge_vcpu_put() for a vCPU that has not settled
 * @vcpu: the vCPU
 */
static __always_inline void lodge_vcpu_unpin(struct lodge_vcpu *vcpu)
{
	vcpu->hold = LODGE_HOLD_NONE;
	WRITE_ONCE(vcpu->cpu, -1);
	vmx_host_unpark(vcpu);
	preempt_enable();
}

#endif
