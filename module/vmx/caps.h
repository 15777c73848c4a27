/* SPDX-License-Identifier: GPL-2.0 */
/* What the CPU's VMX can do and what of it lodge uses. */
#ifndef LODGE_VMX_CAPS_H
#define LODGE_VMX_CAPS_H

#include <linux/types.h>

/* The words that capabilities come in: control words and two capability MSRs. */
enum vmx_cap_word {
	VMX_WORD_PIN,
	VMX_WORD_PROC,
	VMX_WORD_PROC2,
	VMX_WORD_EXIT,
	VMX_WORD_ENTRY,
	VMX_WORD_EPT_VPID,
	NR_VMX_CAP_WORDS,
};

/**
 * struct vmx_cap_msrs - what IA32_VMX_* say, read once
 * @basic: IA32_VMX_BASIC
 * @misc: IA32_VMX_MISC
 * @cr0_fixed0: bits that must be 1 in CR0
 * @cr0_fixed1: bits that may be 1
 * @cr4_fixed0: bits that must be 1 in CR4
 * @cr4_fixed1: bits that may be 1
 * @word: by enum vmx_cap_word: for control words allowed-0 in 31:0 (must be 1)
 *	and allowed-1 in 63:32 (may be 1), SDM 3D A.2; the EPT and VPID word as is
 */
struct vmx_cap_msrs {
	u64 basic;
	u64 misc;
	u64 cr0_fixed0, cr0_fixed1;
	u64 cr4_fixed0, cr4_fixed1;
	u64 word[NR_VMX_CAP_WORDS];
};

/**
 * struct vmx_caps - the outcome of the negotiation
 * @control: control words to put in a VMCS
 * @ept_vpid: bits of IA32_VMX_EPT_VPID_CAP that are used
 * @features: LODGE_FEATURE_* in use
 * @revision: VMCS revision id
 * @timer_shift: the preemption timer counts TSC >> this
 * @perf_ctrl: VM entry and VM exit can load IA32_PERF_GLOBAL_CTRL
 * @cr0_fixed0: see struct vmx_cap_msrs; and the next three
 * @cr0_fixed1: see above
 * @cr4_fixed0: see above
 * @cr4_fixed1: see above
 */
struct vmx_caps {
	u32 control[NR_VMX_CAP_WORDS - 1];
	u64 ept_vpid;
	u64 features;
	u32 revision;
	u8 timer_shift;
	bool perf_ctrl;
	u64 cr0_fixed0, cr0_fixed1;
	u64 cr4_fixed0, cr4_fixed1;
};

/* Written once, at load, before anything reads it. */
extern struct vmx_caps vmx_caps;

typedef void (*vmx_missing_fn)(const char *name, void *arg);

void vmx_caps_read(struct vmx_cap_msrs *msrs);
int vmx_caps_negotiate(const struct vmx_cap_msrs *msrs, u64 off, struct vmx_caps *caps,
		       vmx_missing_fn missing, void *arg);
int vmx_caps_fit(const struct vmx_cap_msrs *msrs, const struct vmx_caps *caps,
		 vmx_missing_fn missing, void *arg);
int vmx_caps_parse_off(const char *list, u64 *off);

#endif
