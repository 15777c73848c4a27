/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The door of vmx/, the only code that knows VMX.
 *
 * "Loaded" below: the calling thread is the vCPU's owner and between lodge_vcpu_load()
 * and lodge_vcpu_put(); its preempt notifier keeps the VMCS current on whatever CPU it
 * runs, so VMCS fields may be read and written with preemption on. Should the thread
 * come to a CPU that has no VMX to give, lodge_vcpu_put() tells that what was read and
 * written does not count. RUN begins with less, lodge_vcpu_pin(): preemption is off,
 * and who may sleep settles first; for all else that is as good.
 */
#ifndef LODGE_VMX_H
#define LODGE_VMX_H

#include <linux/lodge.h>
#include <linux/thread_info.h>

#include "../types.h"
#include "insn.h"
#include "vmx_defs.h"
#include "vmx_vcpu.h"

/**
 * vmcs_read() - read a VMCS field
 * @field: VMCS_*
 *
 * Context: the vCPU is loaded.
 */
static __always_inline u64 vmcs_read(unsigned long field)
{
	return vmx_vmread(field);
}

void vmcs_write_checked(unsigned long field, u64 value);

/**
 * vmcs_write() - write a VMCS field
 * @field: VMCS_*
 * @value: what to write
 *
 * Context: the vCPU is loaded.
 */
static __always_inline void vmcs_write(unsigned long field, u64 value)
{
	if (IS_ENABLED(CONFIG_LODGE_DEBUG))
		vmcs_write_checked(field, value);
	else
		vmx_vmwrite_unchecked(field, value);
}

/* Flags of the thread that keep it out of the guest. */
#define VMX_THREAD_WANTED						\
	(_TIF_NEED_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME)

int vmx_module_init(void);
void vmx_module_exit(void);

int vmx_own(void);			/* a VM more; EBUSY, EOPNOTSUPP, EIO */
void vmx_disown(void);			/* a VM less */
int vmx_owner_status(char *name, size_t len);	/* what vmx_own() would say, and why */
u64 vmx_features(void);
u64 vmx_mitigations(void);

int vmx_vcpu_create(struct lodge_vcpu *vcpu);
void vmx_vcpu_destroy(struct lodge_vcpu *vcpu);
void vmx_vcpu_reset(struct lodge_vcpu *vcpu, bool init);
void vmx_vcpu_apply_model(struct lodge_vcpu *vcpu);
int vmx_vcpu_enter(struct lodge_vcpu *vcpu);
u64 vmx_guest_time(const struct lodge_vcpu *vcpu);

/* MSRs that change hands with the thread. */
void vmx_syscall_msrs_changed(struct lodge_vcpu *vcpu);
u64 vmx_kernel_gs_base_read(struct lodge_vcpu *vcpu);
void vmx_kernel_gs_base_write(struct lodge_vcpu *vcpu, u64 value);

/* RUN has more: load.h. */
void lodge_vcpu_settle(struct lodge_vcpu *vcpu);
int lodge_vcpu_load(struct lodge_vcpu *vcpu);
int lodge_vcpu_put(struct lodge_vcpu *vcpu);

/* Registers that live in the VMCS; loaded. More of them: regs.h. */
void lodge_rip_write(struct lodge_vcpu *vcpu, u64 value);
void lodge_rflags_write(struct lodge_vcpu *vcpu, u64 value);
u64 lodge_reg_read(struct lodge_vcpu *vcpu, int reg);
void lodge_reg_write(struct lodge_vcpu *vcpu, int reg, u64 value);
void vmx_segment_read(struct lodge_vcpu *vcpu, int seg, struct lodge_segment *out);
void vmx_segment_write(struct lodge_vcpu *vcpu, int seg, const struct lodge_segment *in);

/* End an emulated instruction: lodge_skip(), in regs.h. */
void lodge_iterate(struct lodge_vcpu *vcpu);	/* of REP, and not the last time */

/* Events; loaded. */
void vmx_events_get(struct lodge_vcpu *vcpu, struct lodge_events *out);
int vmx_events_check(struct lodge_vcpu *vcpu, const struct lodge_events *in);
void vmx_events_set(struct lodge_vcpu *vcpu, const struct lodge_events *in);
bool vmx_can_wake(struct lodge_vcpu *vcpu);
bool vmx_exception_valid(u32 vector, bool has_code, u32 code);

/* An exception for the next entry. */
void lodge_inject_exception(struct lodge_vcpu *vcpu, u8 vector, bool has_code, u32 code);
static inline void lodge_inject_gp(struct lodge_vcpu *vcpu)
{
	lodge_inject_exception(vcpu, 13, true, 0);
}

static inline void lodge_inject_ud(struct lodge_vcpu *vcpu)
{
	lodge_inject_exception(vcpu, 6, false, 0);
}

void vmx_inject_db(struct lodge_vcpu *vcpu, u64 cause);

/* The guest's TSC. */
u64 lodge_guest_tsc(struct lodge_vcpu *vcpu);

#endif
