/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inside of cpuid.c, for it and its KUnit suite: the supported table is a
 * pure function of what the host says, so that a test can play the host.
 */
#ifndef LODGE_CPUID_H
#define LODGE_CPUID_H

#include "cpu.h"

#define CPUID_MAX_XSTATE	64

/**
 * struct cpuid_host - what the supported table is made from
 * @query: the CPUID instruction
 * @kernel_word: a word of the kernel's feature bits (enum cpuid_leafs), which
 *	lack what the kernel has switched off
 * @xcr0: the kernel's XCR0; 0 without XSAVE
 * @tsc_khz: TSC rate
 * @phys_bits: guest-physical address width that EPT can map
 * @tsc_stable: the TSC runs at one rate, everywhere the same
 * @features: LODGE_FEATURE_*: what VMX can switch on for guests
 */
struct cpuid_host {
	void (*query)(u32 leaf, u32 subleaf, u32 r[4]);
	u32 (*kernel_word)(u32 word);
	u64 xcr0;
	u32 tsc_khz;
	u8 phys_bits;
	bool tsc_stable;
	u64 features;
};

u32 cpuid_build(const struct cpuid_host *host, struct lodge_cpuid_entry *e, u32 max);
struct lodge_cpuid_table *cpuid_make_table(const struct lodge_cpuid_entry *e, u32 nr);
int cpuid_check(const struct lodge_cpuid_table *supported, const struct lodge_cpuid_entry *e,
		u32 nr, u32 *bad);

#endif
