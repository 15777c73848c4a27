/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: lodge:lodge_entry and lodge:lodge_exit, one for each VM entry and exit. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lodge

#if !defined(LODGE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define LODGE_TRACE_H

#include <linux/tracepoint.h>

#include "lodge.h"

/* Interrupts off, VMCS loaded. */
TRACE_EVENT(lodge_entry,
	TP_PROTO(struct lodge_vcpu *vcpu),
	TP_ARGS(vcpu),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->id = vcpu->id;
		__entry->rip = lodge_rip_read(vcpu);
	),
	TP_printk("vcpu %u rip 0x%llx", __entry->id, __entry->rip)
);

/* Interrupts off, VMCS loaded, the exit's reason read. */
TRACE_EVENT(lodge_exit,
	TP_PROTO(struct lodge_vcpu *vcpu),
	TP_ARGS(vcpu),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, reason)
		__field(u64, rip)
		__field(u64, qualification)
		__field(u32, ecx)	/* of RDMSR and WRMSR: the MSR */
		__field(u64, tsc)
	),
	TP_fast_assign(
		__entry->id = vcpu->id;
		__entry->reason = vcpu->vmx.exit_reason;
		__entry->rip = lodge_rip_read(vcpu);
		__entry->qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);
		__entry->ecx = vcpu->regs[LODGE_RCX];
		__entry->tsc = vmx_guest_time(vcpu);
	),
	TP_printk("vcpu %u reason %u rip 0x%llx qualification 0x%llx ecx 0x%x guest_tsc %llu",
		  __entry->id, __entry->reason, __entry->rip, __entry->qualification,
		  __entry->ecx, __entry->tsc)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
