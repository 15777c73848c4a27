// SPDX-License-Identifier: GPL-2.0
/* vmx/ at load and unload: is this CPU good enough, and for what? */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpufeature.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <asm/cpu_device_id.h>
#include <asm/intel-family.h>
#include <asm/tsc.h>

#include "../lodge.h"
#include "caps.h"
#include "counts.h"
#include "owner.h"
#include "vmx_internal.h"

static char *off;
module_param(off, charp, 0444);
MODULE_PARM_DESC(off, "optional CPU features not to use, by name, separated by commas");

static void __init vmx_report_missing(const char *name, void *arg)
{
	pr_err("this CPU has no %s\n", name);
}

/* The firmware decides once, at boot; the kernel has put its answer here. */
static int __init vmx_check_cpu(void)
{
	if (!boot_cpu_has(X86_FEATURE_VMX)) {
		if (this_cpu_has(X86_FEATURE_MSR_IA32_FEAT_CTL) || cpuid_ecx(1) & BIT(5))
			pr_err("VT-x is disabled by the firmware; look for \"Intel Virtualization Technology\" in its setup\n");
		else
			pr_err("this CPU has no VT-x\n");
		return -EOPNOTSUPP;
	}
#ifdef X86_FEATURE_FRED
	if (cpu_feature_enabled(X86_FEATURE_FRED)) {
		pr_err("FRED event delivery is on, which lodge cannot hand NMIs to; boot with fred=off\n");
		return -EOPNOTSUPP;
	}
#endif
	if (!boot_cpu_has(X86_FEATURE_MSR_IA32_FEAT_CTL)) {
		pr_err("the firmware has left VT-x unusable (IA32_FEATURE_CONTROL)\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

/*
 * CPUs whose preemption timer stops or runs wrong: what bounds a guest that
 * never exits is missing there.
 */
static const struct x86_cpu_id vmx_broken_timer[] __initconst = {
	X86_MATCH_VENDOR_FAM_MODEL(INTEL, 6, 0x1a, NULL),	/* Nehalem EP: AAK139 */
	X86_MATCH_VENDOR_FAM_MODEL(INTEL, 6, 0x1e, NULL),	/* Lynnfield: AAN126 */
	X86_MATCH_VENDOR_FAM_MODEL(INTEL, 6, 0x1f, NULL),	/* Nehalem G: AAM126 */
	X86_MATCH_VENDOR_FAM_MODEL(INTEL, 6, 0x2e, NULL),	/* Nehalem EX: BC86 */
	X86_MATCH_VENDOR_FAM_MODEL(INTEL, 6, 0x25, NULL),	/* Arrandale: AAT102 */
	X86_MATCH_VENDOR_FAM_MODEL(INTEL, 6, 0x2c, NULL),	/* Westmere EP: BD104 */
	X86_MATCH_VENDOR_FAM_MODEL(INTEL, 6, 0x2f, NULL),	/* Westmere EX: BA97 */
	{}
};

static void __init vmx_fill_ept_caps(void)
{
	ept_caps.ad = vmx_caps.ept_vpid & EPT_VPID_AD;
	ept_caps.huge_1g = vmx_caps.ept_vpid & EPT_VPID_1G;
	ept_caps.nx_huge = vmx_needs_nx_huge();
	ept_caps.gpa_bits = min_t(u8, boot_cpu_data.x86_phys_bits, LODGE_MAX_GPA_BITS);
}

/**
 * vmx_module_init() - negotiate with the CPU
 *
 * Return: 0; -EOPNOTSUPP when the CPU lacks something (each is named in the
 * log), -EINVAL for a bad "off" parameter, -ENOMEM.
 */
int __init vmx_module_init(void)
{
	struct vmx_cap_msrs msrs;
	u64 not_used;
	int ret;

	ret = vmx_check_cpu();
	if (ret)
		return ret;
	if (!tsc_khz) {
		pr_err("the rate of this host's TSC is unknown\n");
		return -EOPNOTSUPP;
	}
	ret = vmx_caps_parse_off(off, &not_used);
	if (ret) {
		pr_err("off=%s: not a list of optional features\n", off);
		return ret;
	}
	if (x86_match_cpu(vmx_broken_timer)) {
		pr_err("this CPU's VMX preemption timer is broken (erratum)\n");
		return -EOPNOTSUPP;
	}
	vmx_caps_read(&msrs);
	ret = vmx_caps_negotiate(&msrs, not_used, &vmx_caps, vmx_report_missing, NULL);
	if (ret)
		return ret;
	vmx_fill_ept_caps();
	vmx_xstate_init();
	vmx_stint_init();
	vmx_perf_init();
	ret = vmx_mitigate_init();
	if (ret)
		return ret;
	ret = vmx_owner_init();
	if (ret) {
		vmx_mitigate_exit();
		return ret;
	}
	vmx_counts_init();
	return 0;
}

/** vmx_module_exit() - undo vmx_module_init(); no VM is left */
void vmx_module_exit(void)
{
	vmx_counts_exit();
	vmx_owner_exit();
	vmx_mitigate_exit();
}

/** vmx_features() - LODGE_FEATURE_* in use */
u64 vmx_features(void)
{
	return vmx_caps.features;
}
