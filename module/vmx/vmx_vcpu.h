/* SPDX-License-Identifier: GPL-2.0 */
/* What a vCPU needs of VMX: its VMCS and the facts around entry and exit. */
#ifndef LODGE_VMX_VCPU_H
#define LODGE_VMX_VCPU_H

#include <linux/bits.h>
#include <linux/list.h>

#include "../types.h"

/**
 * struct lodge_pending_event - an event to deliver at the next VM entry
 * @info: VM-entry interruption information (SDM 3C 25.8.3); valid bit clear: none
 * @code: error code, when @info says there is one
 * @insn_len: instruction length, for software events
 */
struct lodge_pending_event {
	u32 info;
	u32 code;
	u32 insn_len;
};

/**
 * struct vmx_entry - what entry.S needs behind the general registers
 * @host_rsp: HOST_RSP as the VMCS has it
 * @spec_guest: SPEC_CTRL to load at entry
 * @spec_host: SPEC_CTRL to load at exit
 * @flags: VMX_ENTRY_*_BIT. RESUME: VMRESUME, else VMLAUNCH; goes when the VMCS is
 *	cleared. SPEC_IN, SPEC_OUT: load SPEC_CTRL on the way in, out
 */
struct vmx_entry {
	u64 host_rsp;
	u32 spec_guest;
	u32 spec_host;
	u32 flags;
};

/* struct vmx_vcpu.cached: what has been read from the VMCS since the exit */
#define VMX_CACHED_RIP		BIT(0)
#define VMX_CACHED_RFLAGS	BIT(1)

/* STAR, LSTAR, SFMASK, TSC_AUX: see host.c. */
#define VMX_NR_USER_MSRS	4

/**
 * struct vmx_host - the host thread's state while the guest's is in the CPU
 * @loaded: the rest counts
 * @kernel_gs_base: user GS base, parked there by the kernel
 * @fs_base: user FS base, as HOST_FS_BASE has it
 * @sel: selectors; null stands in the VMCS, so that VM exit never faults
 * @all_sel: @sel in one
 * @ldt: LDTR selector; VM exit makes LDTR unusable (SDM 3C 28.5.2)
 * @swapped_msrs: which of the system-call MSRs have the guest's value, by bit
 */
struct vmx_host {
	bool loaded;
	u64 kernel_gs_base;
	u64 fs_base;
	union {
		struct {
			u16 ds, es, fs, gs;
		} sel;
		u64 all_sel;
	};
	u16 ldt;
	u32 swapped_msrs;
};

/**
 * struct vmx_perf_plan - the host's performance counters at an entry and its exit
 * @ctrl: VM-entry and VM-exit controls load IA32_PERF_GLOBAL_CTRL
 * @pebs: IA32_PEBS_ENABLE is among the others
 * @nr: MSRs in the MSR-load areas
 * @guest: IA32_PERF_GLOBAL_CTRL in the guest
 * @host: the same in the host
 */
struct vmx_perf_plan {
	bool ctrl;
	bool pebs;
	u32 nr;
	u64 guest;
	u64 host;
};

/**
 * struct vmx_perf - see perf.c
 * @areas: the MSR-load areas, a page; constant
 * @nr: the length of perf's last answer; with interrupts off
 * @now: as the VMCS has it
 */
struct vmx_perf {
	struct vmx_perf_areas *areas;
	int nr;
	struct vmx_perf_plan now;
};

/**
 * struct vmx_vcpu - a vCPU's VMCS and what stands around it
 * @vmcs: the VMCS page
 * @msr_bitmap: the MSR bitmap page
 * @vmcs_cpu: the CPU on whose list the VMCS is, or -1 when it is clear;
 *	written with that CPU's interrupts off
 * @link: on that CPU's list
 * @lost: its thread has been on a CPU without VMX while it was loaded: what it read
 *	and wrote there went nowhere, so it can never run again
 * @vpid: virtual-processor id
 * @flush_vpid: translations tagged with @vpid may be stale on this CPU
 * @host_cr3: HOST_CR3 as the VMCS has it
 * @host_cr4: HOST_CR4 as the VMCS has it
 * @proc: primary controls as the VMCS has them (windows come and go)
 * @host: the thread's state, parked
 * @user_msrs: the system-call MSRs that the guest can use, by bit
 * @host_pkru: PKRU of the host in a stint of a guest that has its own
 * @host_debugctl: DEBUGCTL to put back after the exit; 0: nothing to put back
 * @perf: the host's performance counters; with interrupts off
 * @tsc_offset: guest TSC = host TSC + this
 * @exit_reason: of the last exit, with its high bits
 * @exit_offered: VMX_EXIT_OFFERED, which the exit's reason gets, from a PV EOI's offer
 *	until it is known what has become of it; else 0
 * @intr_info: VM-exit interruption information of the last exception or NMI
 * @basic: the basic exit reason, in range for tables of LODGE_NR_HW_EXITS
 * @handled: a fast handler has dealt with the last exit
 * @exits_left: exits until the stint ends in any case
 * @timer: what the preemption timer was set to, in its units
 * @timer_for: the APIC timer's time when it was set
 * @rcu_jiffies: when RCU was last told of a quiescent state from here
 * @recheck: an event may wait for delivery: look before the next entry. Set by
 *	whatever lets an event arrive or be taken
 * @flush_l1d: the host has touched more than this vCPU since the last entry
 * @injected: what the last look put into the VMCS, until the CPU has entered with it
 * @cached: VMX_CACHED_*
 * @rip: cached
 * @rflags: cached
 *
 * All the owner's unless said otherwise.
 */
struct vmx_vcpu {
	void *vmcs;
	unsigned long *msr_bitmap;
	int vmcs_cpu;
	struct list_head link;
	bool lost;
	u16 vpid;
	bool flush_vpid;
	u64 host_cr3;
	u64 host_cr4;
	u32 proc;
	struct vmx_host host;
	u32 user_msrs;
	u32 host_pkru;
	u64 host_debugctl;
	struct vmx_perf perf;
	u64 tsc_offset;
	u32 exit_reason;
	u32 exit_offered;
	u32 basic;
	u32 exits_left;
	u32 timer;
	u64 timer_for;
	unsigned long rcu_jiffies;
	u32 intr_info;
	bool handled;
	bool recheck;
	bool flush_l1d;
	struct lodge_pending_event injected;
	u32 cached;
	u64 rip;
	u64 rflags;
};

#endif
