// SPDX-License-Identifier: GPL-2.0
/*
 * Capability negotiation: one table says which VMX controls lodge requires,
 * which it wants, and what they are called; the CPU's MSRs say what there is.
 * SDM 3D appendix A.
 */
#include <linux/cpufeature.h>
#include <linux/errno.h>
#include <linux/lodge.h>
#include <linux/string.h>
#include <asm/msr.h>

#include "caps.h"
#include "vmx_defs.h"

struct vmx_caps vmx_caps __ro_after_init;

/**
 * struct vmx_cap - one capability
 * @word: where it is
 * @bit: its bit there
 * @name: for people, and for the module parameter "off"
 * @feature: LODGE_FEATURE_* when it is optional; 0: required
 */
struct vmx_cap {
	enum vmx_cap_word word;
	u64 bit;
	const char *name;
	u64 feature;
};

static const struct vmx_cap vmx_cap_table[] = {
	{ VMX_WORD_PIN, PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting" },
	{ VMX_WORD_PIN, PIN_NMI, "NMI exiting" },
	{ VMX_WORD_PIN, PIN_VIRTUAL_NMI, "virtual NMIs" },
	{ VMX_WORD_PIN, PIN_PREEMPTION_TIMER, "VMX preemption timer" },
	{ VMX_WORD_PROC, PROC_TSC_OFFSETTING, "TSC offsetting" },
	{ VMX_WORD_PROC, PROC_HLT, "HLT exiting" },
	{ VMX_WORD_PROC, PROC_MWAIT, "MWAIT exiting" },
	{ VMX_WORD_PROC, PROC_RDPMC, "RDPMC exiting" },
	{ VMX_WORD_PROC, PROC_CR8_LOAD, "CR8-load exiting" },
	{ VMX_WORD_PROC, PROC_CR8_STORE, "CR8-store exiting" },
	{ VMX_WORD_PROC, PROC_MOV_DR, "MOV-DR exiting" },
	{ VMX_WORD_PROC, PROC_IO, "unconditional I/O exiting" },
	{ VMX_WORD_PROC, PROC_MSR_BITMAPS, "MSR bitmaps" },
	{ VMX_WORD_PROC, PROC_MONITOR, "MONITOR exiting" },
	{ VMX_WORD_PROC, PROC_SECONDARY, "secondary controls" },
	{ VMX_WORD_PROC2, PROC2_EPT, "EPT" },
	{ VMX_WORD_PROC2, PROC2_VPID, "VPID" },
	{ VMX_WORD_PROC2, PROC2_WBINVD, "WBINVD exiting" },
	{ VMX_WORD_PROC2, PROC2_UNRESTRICTED, "unrestricted guest" },
	{ VMX_WORD_PROC2, PROC2_RDTSCP, "rdtscp", LODGE_FEATURE_RDTSCP },
	{ VMX_WORD_PROC2, PROC2_INVPCID, "invpcid", LODGE_FEATURE_INVPCID },
	{ VMX_WORD_PROC2, PROC2_XSAVES, "xsaves", LODGE_FEATURE_XSAVES },
	{ VMX_WORD_PROC2, PROC2_BUS_LOCK, "bus_lock", LODGE_FEATURE_BUS_LOCK },
	{ VMX_WORD_PROC2, PROC2_NOTIFY, "notify_window", LODGE_FEATURE_NOTIFY_WINDOW },
	{ VMX_WORD_EXIT, EXIT_SAVE_DEBUG, "save debug controls" },
	{ VMX_WORD_EXIT, EXIT_HOST_64, "64-bit host" },
	{ VMX_WORD_EXIT, EXIT_SAVE_PAT, "save PAT" },
	{ VMX_WORD_EXIT, EXIT_LOAD_PAT, "load host PAT" },
	{ VMX_WORD_EXIT, EXIT_SAVE_EFER, "save EFER" },
	{ VMX_WORD_EXIT, EXIT_LOAD_EFER, "load host EFER" },
	{ VMX_WORD_EXIT, EXIT_SAVE_TIMER, "save VMX preemption timer" },
	{ VMX_WORD_ENTRY, ENTRY_LOAD_DEBUG, "load debug controls" },
	{ VMX_WORD_ENTRY, ENTRY_LOAD_PAT, "load guest PAT" },
	{ VMX_WORD_ENTRY, ENTRY_LOAD_EFER, "load guest EFER" },
	{ VMX_WORD_EPT_VPID, EPT_VPID_WALK_4, "4-level EPT" },
	{ VMX_WORD_EPT_VPID, EPT_VPID_WB, "write-back EPT" },
	{ VMX_WORD_EPT_VPID, EPT_VPID_2M, "2 MiB EPT pages" },
	{ VMX_WORD_EPT_VPID, EPT_VPID_INVEPT, "INVEPT" },
	{ VMX_WORD_EPT_VPID, EPT_VPID_INVEPT_SINGLE, "single-context INVEPT" },
	{ VMX_WORD_EPT_VPID, EPT_VPID_INVVPID, "INVVPID" },
	{ VMX_WORD_EPT_VPID, EPT_VPID_INVVPID_SINGLE, "single-context INVVPID" },
	{ VMX_WORD_EPT_VPID, EPT_VPID_1G, "ept_1gb", LODGE_FEATURE_EPT_1GB },
	{ VMX_WORD_EPT_VPID, EPT_VPID_AD, "ept_ad", LODGE_FEATURE_EPT_AD },
};

/* Controls that come and go with the guest: they must be allowed to be 1. */
static const struct vmx_cap vmx_cap_must_be_there[] = {
	{ VMX_WORD_PROC, PROC_INTERRUPT_WINDOW, "interrupt-window exiting" },
	{ VMX_WORD_PROC, PROC_NMI_WINDOW, "NMI-window exiting" },
	{ VMX_WORD_ENTRY, ENTRY_IA32E, "64-bit guests" },
};

/*
 * Loading IA32_PERF_GLOBAL_CTRL: switched on while the host's perf needs it. By one
 * control alone the counters would not come back, or not have gone.
 */
static const struct vmx_cap vmx_cap_perf[] = {
	{ VMX_WORD_EXIT, EXIT_LOAD_PERF },
	{ VMX_WORD_ENTRY, ENTRY_LOAD_PERF },
};

/*
 * Controls that a CPU may force to 1 and that would make lodge wrong: they must
 * be allowed to be 0. CR3 accesses and INVLPG are the guest's own under EPT.
 */
static const struct vmx_cap vmx_cap_must_be_off[] = {
	{ VMX_WORD_PROC, PROC_CR3_LOAD, "CR3-load exiting off" },
	{ VMX_WORD_PROC, PROC_CR3_STORE, "CR3-store exiting off" },
	{ VMX_WORD_PROC, PROC_INVLPG, "INVLPG exiting off" },
};

/**
 * vmx_caps_read() - read the capability MSRs
 * @msrs: filled
 *
 * Uses the "true" control MSRs where there are some, so that the CR3 controls
 * may be off (SDM 3D A.3.1). A CPU without secondary controls reads as none.
 *
 * Context: any; the CPU has VMX.
 */
void vmx_caps_read(struct vmx_cap_msrs *msrs)
{
	bool true_controls;
	u64 v;

	memset(msrs, 0, sizeof(*msrs));
	rdmsrl(MSR_IA32_VMX_BASIC, msrs->basic);
	rdmsrl(MSR_IA32_VMX_MISC, msrs->misc);
	rdmsrl(MSR_IA32_VMX_CR0_FIXED0, msrs->cr0_fixed0);
	rdmsrl(MSR_IA32_VMX_CR0_FIXED1, msrs->cr0_fixed1);
	rdmsrl(MSR_IA32_VMX_CR4_FIXED0, msrs->cr4_fixed0);
	rdmsrl(MSR_IA32_VMX_CR4_FIXED1, msrs->cr4_fixed1);

	true_controls = msrs->basic & BIT_ULL(55);
	rdmsrl(true_controls ? MSR_IA32_VMX_TRUE_PINBASED_CTLS : MSR_IA32_VMX_PINBASED_CTLS,
	       msrs->word[VMX_WORD_PIN]);
	rdmsrl(true_controls ? MSR_IA32_VMX_TRUE_PROCBASED_CTLS : MSR_IA32_VMX_PROCBASED_CTLS,
	       msrs->word[VMX_WORD_PROC]);
	rdmsrl(true_controls ? MSR_IA32_VMX_TRUE_EXIT_CTLS : MSR_IA32_VMX_EXIT_CTLS,
	       msrs->word[VMX_WORD_EXIT]);
	rdmsrl(true_controls ? MSR_IA32_VMX_TRUE_ENTRY_CTLS : MSR_IA32_VMX_ENTRY_CTLS,
	       msrs->word[VMX_WORD_ENTRY]);

	v = msrs->word[VMX_WORD_PROC] >> 32;
	if (!(v & PROC_SECONDARY))
		return;
	rdmsrl(MSR_IA32_VMX_PROCBASED_CTLS2, msrs->word[VMX_WORD_PROC2]);
	v = msrs->word[VMX_WORD_PROC2] >> 32;
	if (v & (PROC2_EPT | PROC2_VPID))
		rdmsrl(MSR_IA32_VMX_EPT_VPID_CAP, msrs->word[VMX_WORD_EPT_VPID]);
}

static bool vmx_cap_there(const struct vmx_cap_msrs *msrs, const struct vmx_cap *cap)
{
	u64 may = msrs->word[cap->word];

	if (cap->word != VMX_WORD_EPT_VPID)
		may >>= 32;
	return may & cap->bit;
}

static void vmx_cap_use(struct vmx_caps *caps, const struct vmx_cap *cap)
{
	if (cap->word == VMX_WORD_EPT_VPID)
		caps->ept_vpid |= cap->bit;
	else
		caps->control[cap->word] |= (u32)cap->bit;
	caps->features |= cap->feature;
}

static bool vmx_cap_used(const struct vmx_caps *caps, const struct vmx_cap *cap)
{
	return (cap->word == VMX_WORD_EPT_VPID ? caps->ept_vpid : caps->control[cap->word]) &
	       cap->bit;
}

static bool vmx_cap_perf_there(const struct vmx_cap_msrs *msrs)
{
	return vmx_cap_there(msrs, &vmx_cap_perf[0]) && vmx_cap_there(msrs, &vmx_cap_perf[1]);
}

/* What is asked of every CPU, whatever else is used. Return: 0 or -EOPNOTSUPP. */
static int vmx_caps_check(const struct vmx_cap_msrs *msrs, vmx_missing_fn missing, void *arg)
{
	const struct vmx_cap *cap;
	int ret = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(vmx_cap_must_be_there); i++) {
		cap = &vmx_cap_must_be_there[i];
		if (!vmx_cap_there(msrs, cap)) {
			missing(cap->name, arg);
			ret = -EOPNOTSUPP;
		}
	}
	for (i = 0; i < ARRAY_SIZE(vmx_cap_must_be_off); i++) {
		cap = &vmx_cap_must_be_off[i];
		if (msrs->word[cap->word] & cap->bit) {
			missing(cap->name, arg);
			ret = -EOPNOTSUPP;
		}
	}
	return ret;
}

/**
 * vmx_caps_negotiate() - decide what is used
 * @msrs: what the CPU offers
 * @off: LODGE_FEATURE_* not to use although they are there
 * @caps: filled
 * @missing: called for each requirement that the CPU lacks
 * @arg: for @missing
 *
 * Return: 0, or -EOPNOTSUPP when a requirement is missing.
 */
int vmx_caps_negotiate(const struct vmx_cap_msrs *msrs, u64 off, struct vmx_caps *caps,
		       vmx_missing_fn missing, void *arg)
{
	const struct vmx_cap *cap;
	int ret = 0;
	int i;

	memset(caps, 0, sizeof(*caps));
	caps->revision = msrs->basic & GENMASK(30, 0);
	caps->timer_shift = msrs->misc & GENMASK(4, 0);
	caps->cr0_fixed0 = msrs->cr0_fixed0;
	caps->cr0_fixed1 = msrs->cr0_fixed1;
	caps->cr4_fixed0 = msrs->cr4_fixed0;
	caps->cr4_fixed1 = msrs->cr4_fixed1;

	/* A control word starts with what the CPU wants to be 1. */
	for (i = 0; i < ARRAY_SIZE(caps->control); i++)
		caps->control[i] = (u32)msrs->word[i];

	for (i = 0; i < ARRAY_SIZE(vmx_cap_table); i++) {
		cap = &vmx_cap_table[i];
		if (vmx_cap_there(msrs, cap)) {
			if (!(cap->feature & off))
				vmx_cap_use(caps, cap);
		} else if (!cap->feature) {
			missing(cap->name, arg);
			ret = -EOPNOTSUPP;
		}
	}
	/* No choice: where there is SGX, its instructions must not reach the CPU. */
	caps->control[VMX_WORD_PROC2] |= (msrs->word[VMX_WORD_PROC2] >> 32) & PROC2_ENCLS;

	if (vmx_caps_check(msrs, missing, arg))
		ret = -EOPNOTSUPP;
	caps->perf_ctrl = vmx_cap_perf_there(msrs);
	if (msrs->cr4_fixed1 & X86_CR4_UMIP)
		caps->features |= LODGE_FEATURE_UMIP;
	return ret;
}

/* Control bits that a CPU insists on and that are not in use. */
static bool vmx_caps_forces(const struct vmx_cap_msrs *msrs, const struct vmx_caps *caps)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(caps->control); i++)
		if ((u32)msrs->word[i] & ~caps->control[i])
			return true;
	return false;
}

/**
 * vmx_caps_fit() - can a CPU do what was negotiated with another?
 * @msrs: what it offers; it may be more than is used
 * @caps: what is used
 * @missing: called for each thing that it lacks
 * @arg: for @missing
 *
 * Return: 0 or -EOPNOTSUPP.
 */
int vmx_caps_fit(const struct vmx_cap_msrs *msrs, const struct vmx_caps *caps,
		 vmx_missing_fn missing, void *arg)
{
	const u32 encls = msrs->word[VMX_WORD_PROC2] >> 32 & PROC2_ENCLS;
	const struct {
		bool differs;
		const char *name;
	} alike[] = {
		{ (msrs->basic & GENMASK(30, 0)) != caps->revision,
		  "VMCS like the other CPUs'" },
		{ (msrs->misc & GENMASK(4, 0)) != caps->timer_shift,
		  "VMX preemption timer as fast as the other CPUs'" },
		{ msrs->cr0_fixed0 & ~caps->cr0_fixed0 || caps->cr0_fixed1 & ~msrs->cr0_fixed1,
		  "CR0 like the other CPUs'" },
		{ msrs->cr4_fixed0 & ~caps->cr4_fixed0 || caps->cr4_fixed1 & ~msrs->cr4_fixed1,
		  "CR4 like the other CPUs'" },
		{ caps->perf_ctrl && !vmx_cap_perf_there(msrs),
		  "loading of IA32_PERF_GLOBAL_CTRL" },
		{ vmx_caps_forces(msrs, caps), "such choice of VMX controls as the other CPUs" },
		{ encls != (caps->control[VMX_WORD_PROC2] & PROC2_ENCLS),
		  "SGX like the other CPUs'" },
	};
	int ret = vmx_caps_check(msrs, missing, arg);
	int i;

	for (i = 0; i < ARRAY_SIZE(vmx_cap_table); i++) {
		const struct vmx_cap *cap = &vmx_cap_table[i];

		if (vmx_cap_used(caps, cap) && !vmx_cap_there(msrs, cap)) {
			missing(cap->name, arg);
			ret = -EOPNOTSUPP;
		}
	}
	for (i = 0; i < ARRAY_SIZE(alike); i++) {
		if (alike[i].differs) {
			missing(alike[i].name, arg);
			ret = -EOPNOTSUPP;
		}
	}
	return ret;
}

/**
 * vmx_caps_parse_off() - read the module parameter "off"
 * @list: names of optional capabilities, separated by commas; may be NULL
 * @off: filled with LODGE_FEATURE_*
 *
 * Return: 0, or -EINVAL for a name that is none.
 */
int vmx_caps_parse_off(const char *list, u64 *off)
{
	*off = 0;
	while (list && *list) {
		size_t len = strcspn(list, ",");
		u64 feature = 0;
		int i;

		for (i = 0; i < ARRAY_SIZE(vmx_cap_table); i++) {
			const struct vmx_cap *cap = &vmx_cap_table[i];

			if (cap->feature && strlen(cap->name) == len &&
			    !strncmp(cap->name, list, len))
				feature = cap->feature;
		}
		if (!feature)
			return -EINVAL;
		*off |= feature;
		list += len;
		list += *list == ',';
	}
	return 0;
}
