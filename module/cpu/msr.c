// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs: one table, sorted by index, says of each where its value lives, who may
 * touch it and what it may hold. What is not in it is #GP.
 *
 * The names are the SDM's (volume 4), without IA32_.
 */
#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/align.h>
#include <linux/cpufeature.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <asm/kvm_para.h>
#include <asm/msr.h>
#include <asm/pvclock-abi.h>
#include <asm/tsc.h>

#include "../lodge.h"
#include "msr.h"

/* The kernel's names are in mixed case. */
#define MSR_MTRR_CAP		0xfe
#define MSR_MTRR_VARIABLE	0x200
#define MSR_MTRR_FIXED_64K	0x250
#define MSR_MTRR_FIXED_16K	0x258
#define MSR_MTRR_FIXED_4K	0x268
#define MSR_MTRR_DEF_TYPE	0x2ff

#define PAT_RESET		0x0007040600070406ull	/* SDM 3A 12.12.4 */
#define MTRR_TYPE_WB		6ull
#define MTRR_ALL_WB		0x0606060606060606ull
#define MTRR_DEF_FIXED		BIT_ULL(10)
#define MTRR_DEF_ENABLE		BIT_ULL(11)
#define MTRR_MASK_VALID		BIT_ULL(11)
#define MTRRCAP_FIXED		BIT_ULL(8)
#define MTRRCAP_WC		BIT_ULL(10)

/* SPEC_CTRL bits that the kernels' headers name differently or not at all. */
#define SPEC_IBRS		BIT_ULL(0)
#define SPEC_STIBP		BIT_ULL(1)
#define SPEC_SSBD		BIT_ULL(2)
#define SPEC_IPRED_DIS_U	BIT_ULL(3)
#define SPEC_IPRED_DIS_S	BIT_ULL(4)
#define SPEC_RRSBA_DIS_U	BIT_ULL(5)
#define SPEC_RRSBA_DIS_S	BIT_ULL(6)
#define SPEC_PSFD		BIT_ULL(7)
#define SPEC_BHI_DIS_S		BIT_ULL(10)

/*
 * ARCH_CAPABILITIES bits that say the CPU is not affected, or how to help it;
 * none that brings another MSR with it.
 */
#define ARCH_CAPS_PASS							\
	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA | ARCH_CAP_SSB_NO | \
	 ARCH_CAP_MDS_NO | ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | \
	 ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | \
	 ARCH_CAP_FB_CLEAR | ARCH_CAP_RRSBA | ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO | \
	 ARCH_CAP_GDS_NO | ARCH_CAP_RFDS_NO | ARCH_CAP_RFDS_CLEAR | ARCH_CAP_ITS_NO)

/* No branch trace, no PEBS; fast strings. */
#define MISC_ENABLE_RESET	(MSR_IA32_MISC_ENABLE_FAST_STRING |		\
				 MSR_IA32_MISC_ENABLE_BTS_UNAVAIL |		\
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL)
#define MISC_ENABLE_WRITABLE	MSR_IA32_MISC_ENABLE_FAST_STRING

/* The rest of PLATFORM_INFO says which of its MSRs exist: none. */
#define PLATFORM_INFO_RATIO_SHIFT	8
#define PLATFORM_INFO_RATIO_KHZ		100000

/* ------------------------------------------------------------------- checks */

static bool check_canonical(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return (u64)((s64)(value << 16) >> 16) == value;
}

static bool check_u32(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return !(value >> 32);
}

static bool check_zero(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return !value;
}

static bool check_bit0(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return !(value & ~1ull);
}

/* Memory types 2, 3 and from @types on are reserved (SDM 3A table 12-2). */
static bool memory_types_valid(u64 value, u32 bytes, u32 types)
{
	for (; bytes--; value >>= 8) {
		u8 type = value;

		if (type >= types || type == 2 || type == 3)
			return false;
	}
	return true;
}

/* PAT has UC- (7) besides the types of MTRRs: SDM 3A table 12-10. */
static bool check_pat(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return memory_types_valid(value, 8, 8);
}

static bool check_mtrr_fixed(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return memory_types_valid(value, 8, 7);
}

static bool check_mtrr_def_type(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return memory_types_valid(value, 1, 7) &&
	       !(value & ~(MTRR_DEF_ENABLE | MTRR_DEF_FIXED | 0xff));
}

/* Base (even) and mask (odd): SDM 3A 12.11.2.3. */
static bool check_mtrr_variable(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	u64 address = GENMASK_ULL(lodge_guest_phys_bits(vcpu) - 1, PAGE_SHIFT);

	if (index & 1)
		return !(value & ~(address | MTRR_MASK_VALID));
	return memory_types_valid(value, 1, 7) && !(value & ~(address | 0xff));
}

static bool check_misc_enable(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return !((value ^ vcpu->msrs.misc_enable) & ~MISC_ENABLE_WRITABLE);
}

static bool check_spec_ctrl(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	static const struct {
		u64 bits;
		enum lodge_guest_feature feature;
	} rows[] = {
		{ SPEC_IBRS, GF_SPEC_CTRL },
		{ SPEC_STIBP, GF_STIBP },
		{ SPEC_SSBD, GF_SSBD },
		{ SPEC_IPRED_DIS_U | SPEC_IPRED_DIS_S, GF_IPRED_CTRL },
		{ SPEC_RRSBA_DIS_U | SPEC_RRSBA_DIS_S, GF_RRSBA_CTRL },
		{ SPEC_PSFD, GF_PSFD },
		{ SPEC_BHI_DIS_S, GF_BHI_CTRL },
	};
	/* Without STIBP the bit may be set and does nothing (SDM 4, 48H). */
	u64 allowed = lodge_guest_has(vcpu, GF_SPEC_CTRL) ? SPEC_STIBP : 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (lodge_guest_has(vcpu, rows[i].feature))
			allowed |= rows[i].bits;
	}
	return !(value & ~allowed);
}

/* LBR may be set: it records what no MSR of the guest's shows. */
static bool check_debugctl(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return !(value & ~(u64)(DEBUGCTLMSR_LBR | DEBUGCTLMSR_BTF));
}

static bool check_xss(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return !(value & ~lodge_guest_xss_mask(vcpu));
}

static bool check_system_time(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return !(value & KVM_MSR_ENABLED) ||
	       pv_address_ok(value & ~(u64)KVM_MSR_ENABLED,
			     sizeof(struct pvclock_vcpu_time_info));
}

static bool check_wall_clock(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return pv_address_ok(value, sizeof(struct pvclock_wall_clock));
}

static bool check_pv_eoi(const struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	return pv_address_ok(value & ~(u64)KVM_MSR_ENABLED, sizeof(u32));
}

/* ----------------------------------------------------------------- handlers */

static int gp_if(int err)
{
	return err ? LODGE_MSR_GP : LODGE_MSR_OK;
}

static int read_tsc(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = lodge_guest_tsc(vcpu);
	return LODGE_MSR_OK;
}

static void shift_tsc(struct lodge_vcpu *vcpu, u64 delta)
{
	if (!delta)
		return;
	vcpu->vmx.tsc_offset += delta;
	vmcs_write(VMCS_TSC_OFFSET, vcpu->vmx.tsc_offset);
	lapic_tsc_changed(vcpu, delta);
	vcpu->vmx.recheck = true;	/* the APIC timer */
	set_bit(LODGE_REQ_CLOCK, &vcpu->requests);
}

/*
 * A guest's write of either moves the other by as much (SDM 3B 18.17.3). Who
 * restores a vCPU writes both.
 */
static int write_tsc(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	u64 delta = value - lodge_guest_tsc(vcpu);

	if (!from_host)
		vcpu->msrs.tsc_adjust += delta;
	shift_tsc(vcpu, delta);
	return LODGE_MSR_OK;
}

static int write_tsc_adjust(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	if (!from_host)
		shift_tsc(vcpu, value - vcpu->msrs.tsc_adjust);
	vcpu->msrs.tsc_adjust = value;
	return LODGE_MSR_OK;
}

static int read_apic_base(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->lapic.base;
	return LODGE_MSR_OK;
}

static int write_apic_base(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	return gp_if(lapic_base_write(vcpu, value, from_host));
}

static int read_x2apic(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	return gp_if(lapic_msr_read(vcpu, index, value));
}

static int write_x2apic(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	vcpu->vmx.recheck = true;
	return gp_if(lapic_msr_write(vcpu, index, value));
}

static int read_tsc_deadline(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = lapic_tsc_deadline_read(vcpu);
	return LODGE_MSR_OK;
}

static int write_tsc_deadline(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	vcpu->vmx.recheck = true;
	lapic_tsc_deadline_write(vcpu, value);
	return LODGE_MSR_OK;
}

/* Commands: the CPU does them, and keeps nothing. */
static int write_command(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	if (value && !from_host)
		wrmsrl(index, value);
	return LODGE_MSR_OK;
}

/* A guest writes 0 before it asks CPUID for the revision (SDM 3A 10.11.7.1). */
static int write_ucode_rev(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	if (from_host)
		vcpu->msrs.ucode_rev = value;
	return LODGE_MSR_OK;
}

static int read_ucode_rev(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->msrs.ucode_rev;
	return LODGE_MSR_OK;
}

static int read_platform_info(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = (u64)(tsc_khz / PLATFORM_INFO_RATIO_KHZ) << PLATFORM_INFO_RATIO_SHIFT;
	return LODGE_MSR_OK;
}

static int read_arch_caps(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	u64 caps = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, caps);
	caps &= ARCH_CAPS_PASS;

	/* The kernel knows more CPUs that are not affected than say so. */
	if (!boot_cpu_has_bug(X86_BUG_CPU_MELTDOWN))
		caps |= ARCH_CAP_RDCL_NO;
	if (!boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS))
		caps |= ARCH_CAP_SSB_NO;
	if (!boot_cpu_has_bug(X86_BUG_MDS))
		caps |= ARCH_CAP_MDS_NO;
	if (!lodge_guest_has(vcpu, GF_SPEC_CTRL))
		caps &= ~ARCH_CAP_IBRS_ALL;
	*value = caps;
	return LODGE_MSR_OK;
}

static unsigned long vmcs_field(u32 index)
{
	switch (index) {
	case MSR_IA32_SYSENTER_CS:
		return VMCS_GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP:
		return VMCS_GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP:
		return VMCS_GUEST_SYSENTER_EIP;
	case MSR_IA32_DEBUGCTLMSR:
		return VMCS_GUEST_DEBUGCTL;
	default:
		return VMCS_GUEST_PAT;
	}
}

static int read_vmcs(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vmcs_read(vmcs_field(index));
	return LODGE_MSR_OK;
}

static int write_vmcs(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	vmcs_write(vmcs_field(index), value);
	return LODGE_MSR_OK;
}

/* Without the LBR bit: see check_debugctl(). */
static int write_debugctl(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	vmcs_write(VMCS_GUEST_DEBUGCTL, value & DEBUGCTLMSR_BTF);
	return LODGE_MSR_OK;
}

static int base_segment(u32 index)
{
	return index == MSR_FS_BASE ? LODGE_SEG_FS : LODGE_SEG_GS;
}

static int read_base(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	struct lodge_segment s;

	vmx_segment_read(vcpu, base_segment(index), &s);
	*value = s.base;
	return LODGE_MSR_OK;
}

static int write_base(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	struct lodge_segment s;

	vmx_segment_read(vcpu, base_segment(index), &s);
	s.base = value;
	vmx_segment_write(vcpu, base_segment(index), &s);
	return LODGE_MSR_OK;
}

static int read_kernel_gs_base(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vmx_kernel_gs_base_read(vcpu);
	return LODGE_MSR_OK;
}

static int write_kernel_gs_base(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	vmx_kernel_gs_base_write(vcpu, value);
	return LODGE_MSR_OK;
}

static int read_efer(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->efer;
	return LODGE_MSR_OK;
}

static int write_efer(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	return gp_if(lodge_efer_write(vcpu, value));
}

static int read_system_time(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->clock.system_msr;
	return LODGE_MSR_OK;
}

static int write_system_time(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	return gp_if(kvmclock_system_write(vcpu, value));
}

static int read_wall_clock(struct lodge_vcpu *vcpu, u32 index, u64 *value)
{
	*value = vcpu->clock.wall_msr;
	return LODGE_MSR_OK;
}

static int write_wall_clock(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	return gp_if(kvmclock_wall_write(vcpu, value));
}

/* ---------------------------------------------------------------- the table */

#define GATE(f)			BIT_ULL(GF_##f)
#define STORED(field_)		.kind = MSR_STORED, .field = offsetof(struct lodge_vcpu, field_)
#define HANDLED(fn)		.kind = MSR_HANDLED, .read = read_##fn, .write = write_##fn
#define PASS_RW			.pass = MSR_PASS_READ | MSR_PASS_WRITE
#define SAVE			.save = true
#define FAST			.fast = true
#define ONE(index, name_)	.first = (index), .nr = 1, .name = name_
#define SOME(index, nr_, name_)	.first = (index), .nr = (nr_), .name = name_

#define SPEC_GATE		(GATE(SPEC_CTRL) | GATE(STIBP) | GATE(SSBD))

const struct msr_row msr_rows[] = {
	{ ONE(MSR_IA32_TSC, "TIME_STAMP_COUNTER"), HANDLED(tsc), .pass = MSR_PASS_READ, SAVE },
	{ ONE(MSR_KVM_WALL_CLOCK, "KVM_WALL_CLOCK"), HANDLED(wall_clock),
	  .gate = GATE(KVMCLOCK), .check = check_wall_clock },
	{ ONE(MSR_KVM_SYSTEM_TIME, "KVM_SYSTEM_TIME"), HANDLED(system_time),
	  .gate = GATE(KVMCLOCK), .check = check_system_time },
	{ ONE(MSR_IA32_PLATFORM_ID, "PLATFORM_ID"), .kind = MSR_CONST },
	{ ONE(MSR_IA32_APICBASE, "APIC_BASE"), HANDLED(apic_base), .group = true },
	{ ONE(MSR_SMI_COUNT, "SMI_COUNT"), .kind = MSR_CONST },
	{ ONE(MSR_IA32_FEAT_CTL, "FEATURE_CONTROL"), .kind = MSR_CONST, .value = FEAT_CTL_LOCKED },
	{ ONE(MSR_IA32_TSC_ADJUST, "TSC_ADJUST"), STORED(msrs.tsc_adjust), SAVE, FAST,
	  .gate = GATE(TSC_ADJUST), .write = write_tsc_adjust },
	{ ONE(MSR_IA32_SPEC_CTRL, "SPEC_CTRL"), STORED(msrs.spec_ctrl), SAVE,
	  .gate = SPEC_GATE, .check = check_spec_ctrl },
	{ ONE(MSR_IA32_PRED_CMD, "PRED_CMD"), .kind = MSR_HANDLED, .write = write_command,
	  .pass = MSR_PASS_WRITE, .gate = GATE(SPEC_CTRL), .check = check_bit0 },
	{ ONE(MSR_IA32_UCODE_REV, "BIOS_SIGN_ID"), HANDLED(ucode_rev), SAVE },
	{ ONE(MSR_PLATFORM_INFO, "PLATFORM_INFO"), .kind = MSR_HANDLED,
	  .read = read_platform_info },
	{ ONE(MSR_MTRR_CAP, "MTRRCAP"), .kind = MSR_CONST, .gate = GATE(MTRR),
	  .value = LODGE_MTRR_VARIABLE | MTRRCAP_FIXED | MTRRCAP_WC },
	{ ONE(MSR_IA32_ARCH_CAPABILITIES, "ARCH_CAPABILITIES"), .kind = MSR_HANDLED,
	  .read = read_arch_caps, .gate = GATE(ARCH_CAPS) },
	{ ONE(MSR_IA32_FLUSH_CMD, "FLUSH_CMD"), .kind = MSR_HANDLED, .write = write_command,
	  .pass = MSR_PASS_WRITE, .gate = GATE(FLUSH_L1D), .check = check_bit0 },
	{ ONE(MSR_IA32_SYSENTER_CS, "SYSENTER_CS"), HANDLED(vmcs), PASS_RW, SAVE,
	  .check = check_u32 },
	{ SOME(MSR_IA32_SYSENTER_ESP, 2, "SYSENTER_ESP"), HANDLED(vmcs),
	  PASS_RW, SAVE, .check = check_canonical },
	{ ONE(MSR_IA32_MCG_CAP, "MCG_CAP"), .kind = MSR_CONST, .gate = GATE(MCE) },
	{ ONE(MSR_IA32_MCG_STATUS, "MCG_STATUS"), STORED(msrs.mcg_status), SAVE,
	  .gate = GATE(MCE), .check = check_zero },
	{ ONE(MSR_IA32_PERF_STATUS, "PERF_STATUS"), .kind = MSR_CONST },
	{ ONE(MSR_IA32_MISC_ENABLE, "MISC_ENABLE"), STORED(msrs.misc_enable), SAVE,
	  .check = check_misc_enable },
	{ ONE(MSR_IA32_DEBUGCTLMSR, "DEBUGCTL"), .kind = MSR_HANDLED, .read = read_vmcs,
	  .write = write_debugctl, SAVE, .check = check_debugctl },
	{ SOME(MSR_MTRR_VARIABLE, 2 * LODGE_MTRR_VARIABLE, "MTRR_PHYSBASE"),
	  STORED(msrs.mtrr_var), SAVE, .gate = GATE(MTRR), .check = check_mtrr_variable },
	{ ONE(MSR_MTRR_FIXED_64K, "MTRR_FIX64K"), STORED(msrs.mtrr_fixed[0]), SAVE,
	  .gate = GATE(MTRR), .check = check_mtrr_fixed },
	{ SOME(MSR_MTRR_FIXED_16K, 2, "MTRR_FIX16K"),
	  STORED(msrs.mtrr_fixed[1]), SAVE, .gate = GATE(MTRR), .check = check_mtrr_fixed },
	{ SOME(MSR_MTRR_FIXED_4K, 8, "MTRR_FIX4K"),
	  STORED(msrs.mtrr_fixed[3]), SAVE, .gate = GATE(MTRR), .check = check_mtrr_fixed },
	{ ONE(MSR_IA32_CR_PAT, "PAT"), HANDLED(vmcs), SAVE, .gate = GATE(PAT),
	  .check = check_pat },
	{ ONE(MSR_MTRR_DEF_TYPE, "MTRR_DEF_TYPE"), STORED(msrs.mtrr_def_type), SAVE,
	  .gate = GATE(MTRR), .check = check_mtrr_def_type },
	{ ONE(MSR_IA32_TSC_DEADLINE, "TSC_DEADLINE"), HANDLED(tsc_deadline), FAST, .group = true,
	  .gate = GATE(TSC_DEADLINE) },
	{ SOME(0x800, 0x100, "X2APIC"), HANDLED(x2apic), FAST, .group = true,
	  .gate = GATE(X2APIC) },
	{ ONE(MSR_IA32_XSS, "XSS"), STORED(xss), SAVE, .gate = GATE(XSAVES), .check = check_xss },
	{ ONE(MSR_KVM_WALL_CLOCK_NEW, "KVM_WALL_CLOCK_NEW"), HANDLED(wall_clock), SAVE,
	  .gate = GATE(KVMCLOCK2), .check = check_wall_clock },
	{ ONE(MSR_KVM_SYSTEM_TIME_NEW, "KVM_SYSTEM_TIME_NEW"), HANDLED(system_time), SAVE,
	  .gate = GATE(KVMCLOCK2), .check = check_system_time },
	{ ONE(MSR_KVM_PV_EOI_EN, "KVM_PV_EOI_EN"), STORED(pv_eoi.msr), SAVE,
	  .gate = GATE(PV_EOI), .check = check_pv_eoi },
	{ SOME(LODGE_MSR_USER, LODGE_NR_MSR_USER, "USER"),
	  .kind = MSR_USER },
	{ ONE(MSR_EFER, "EFER"), HANDLED(efer), .group = true },
	{ ONE(MSR_STAR, "STAR"), STORED(msrs.star), SAVE, .gate = GATE(SYSCALL),
	  .changed = vmx_syscall_msrs_changed },
	{ ONE(MSR_LSTAR, "LSTAR"), STORED(msrs.lstar), SAVE, .gate = GATE(LM),
	  .check = check_canonical, .changed = vmx_syscall_msrs_changed },
	{ ONE(MSR_CSTAR, "CSTAR"), STORED(msrs.cstar), SAVE, .gate = GATE(LM),
	  .check = check_canonical },
	{ ONE(MSR_SYSCALL_MASK, "FMASK"), STORED(msrs.sfmask), SAVE, .gate = GATE(SYSCALL),
	  .check = check_u32, .changed = vmx_syscall_msrs_changed },
	{ SOME(MSR_FS_BASE, 2, "FS_BASE"), HANDLED(base), PASS_RW, .group = true,
	  .gate = GATE(LM), .check = check_canonical },
	{ ONE(MSR_KERNEL_GS_BASE, "KERNEL_GS_BASE"), HANDLED(kernel_gs_base), PASS_RW, SAVE,
	  .gate = GATE(LM), .check = check_canonical },
	{ ONE(MSR_TSC_AUX, "TSC_AUX"), STORED(msrs.tsc_aux), SAVE,
	  .gate = GATE(RDTSCP) | GATE(RDPID), .check = check_u32,
	  .changed = vmx_syscall_msrs_changed },
};

const u32 nr_msr_rows = ARRAY_SIZE(msr_rows);

/*
 * By a hash of the MSR: the row where it may stand. Only where to look first: a
 * wrong hint costs a search, and changes nothing.
 */
static const struct msr_row *msr_hints[256];

static u8 msr_hash(u32 index)
{
	return index ^ index >> 8;
}

/** lodge_msr_module_init() - fill the hints; at load, or before tests */
void lodge_msr_module_init(void)
{
	/* Whoever has few comes last, or the wide ranges would take all places. */
	static const u32 widths[] = { U32_MAX, 8 };
	u32 i, j, pass;

	for (pass = 0; pass < ARRAY_SIZE(widths); pass++)
		for (i = 0; i < ARRAY_SIZE(msr_rows); i++)
			for (j = 0; j < msr_rows[i].nr && msr_rows[i].nr <= widths[pass]; j++)
				msr_hints[msr_hash(msr_rows[i].first + j)] = &msr_rows[i];
}

static noinline const struct msr_row *msr_search(u32 index)
{
	u32 low = 0, high = ARRAY_SIZE(msr_rows);

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (index < msr_rows[mid].first)
			high = mid;
		else if (index - msr_rows[mid].first >= msr_rows[mid].nr)
			low = mid + 1;
		else
			return &msr_rows[mid];
	}
	return NULL;
}

/**
 * msr_find() - the row of an MSR
 * @index: the MSR
 *
 * Return: its row, or NULL: there is no such MSR.
 */
const struct msr_row *msr_find(u32 index)
{
	const struct msr_row *row = msr_hints[msr_hash(index)];

	/* Tests may run before the hints are filled. */
	return likely(row && index - row->first < row->nr) ? row : msr_search(index);
}

/* ------------------------------------------------------------------ accesses */

static bool gate_open(const struct lodge_cpuid_table *cpuid, const struct msr_row *row)
{
	return !row->gate || (row->gate & cpuid->features);
}

static u64 *stored(struct lodge_vcpu *vcpu, const struct msr_row *row, u32 index)
{
	u32 i = array_index_nospec(index - row->first, row->nr);

	return (u64 *)((void *)vcpu + row->field) + i;
}

static int read_row(struct lodge_vcpu *vcpu, const struct msr_row *row, u32 index, u64 *value)
{
	switch (row->kind) {
	case MSR_STORED:
		*value = *stored(vcpu, row, index);
		return LODGE_MSR_OK;
	case MSR_CONST:
		*value = row->value;
		return LODGE_MSR_OK;
	case MSR_HANDLED:
		return row->read ? row->read(vcpu, index, value) : LODGE_MSR_GP;
	default:
		return LODGE_MSR_USER_EXIT;
	}
}

static bool is_read_only(const struct msr_row *row)
{
	return row->kind == MSR_CONST || (row->kind == MSR_HANDLED && !row->write);
}

/*
 * The host may write what the guest cannot reach only as it stands: restoring a
 * vCPU where it was saved works, inventing values does not.
 */
static bool same_as_now(struct lodge_vcpu *vcpu, const struct msr_row *row, u32 index, u64 value)
{
	u64 now;

	return row->kind != MSR_USER && !read_row(vcpu, row, index, &now) && now == value;
}

static bool write_allowed(struct lodge_vcpu *vcpu, const struct msr_row *row, u32 index,
			  u64 value, bool from_host)
{
	if (from_host && (row->group || row->kind == MSR_USER))
		return false;
	if (is_read_only(row) || !gate_open(vcpu->cpuid, row))
		return from_host && same_as_now(vcpu, row, index, value);
	return !row->check || row->check(vcpu, index, value);
}

/**
 * lodge_msr_read() - read an MSR
 * @vcpu: the vCPU
 * @index: the MSR
 * @value: out: its value
 * @from_host: read by the program, for a state group: the guest's CPUID does
 *	not count
 *
 * Context: owner, loaded; interrupts may be off.
 * Return: LODGE_MSR_*; USER_EXIT never when @from_host.
 */
int lodge_msr_read(struct lodge_vcpu *vcpu, u32 index, u64 *value, bool from_host)
{
	const struct msr_row *row = msr_find(index);

	if (!row || (from_host ? row->kind == MSR_USER : !gate_open(vcpu->cpuid, row)))
		return LODGE_MSR_GP;
	return read_row(vcpu, row, index, value);
}

/**
 * lodge_msr_execute_read() - do what RDMSR does, if the MSR is just a stored value
 * @vcpu: the vCPU; ECX says which
 *
 * Context: as lodge_msr_read().
 * Return: false when there is more to it: nothing has changed.
 */
bool lodge_msr_execute_read(struct lodge_vcpu *vcpu)
{
	u32 index = vcpu->regs[LODGE_RCX];
	const struct msr_row *row = msr_hints[msr_hash(index)];
	u64 value;

	if (index - row->first >= row->nr || row->kind != MSR_STORED ||
	    !gate_open(vcpu->cpuid, row))
		return false;
	value = *stored(vcpu, row, index);
	vcpu->regs[LODGE_RAX] = (u32)value;
	vcpu->regs[LODGE_RDX] = value >> 32;
	return true;
}

static __always_inline int write_row(struct lodge_vcpu *vcpu, const struct msr_row *row,
				     u32 index, u64 value, bool from_host)
{
	if (!write_allowed(vcpu, row, index, value, from_host))
		return LODGE_MSR_GP;

	switch (row->kind) {
	case MSR_STORED:
		if (row->write)
			return row->write(vcpu, index, value, from_host);
		*stored(vcpu, row, index) = value;
		if (row->changed)
			row->changed(vcpu);
		return LODGE_MSR_OK;
	case MSR_HANDLED:
		return row->write ? row->write(vcpu, index, value, from_host) : LODGE_MSR_OK;
	case MSR_CONST:
		return LODGE_MSR_OK;
	default:
		return LODGE_MSR_USER_EXIT;
	}
}

/**
 * lodge_msr_write_fast() - write an MSR between two entries of a stint
 * @vcpu: the vCPU
 * @index: the MSR
 * @value: what the guest writes
 *
 * Context: owner, loaded; interrupts off.
 * Return: LODGE_MSR_*; USER_EXIT: it is for lodge_msr_write(), and nothing has changed.
 */
int lodge_msr_write_fast(struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	const struct msr_row *row = msr_find(index);

	if (!row || !row->fast)
		return LODGE_MSR_USER_EXIT;
	return write_row(vcpu, row, index, value, false);
}

/**
 * lodge_msr_write() - write an MSR
 * @vcpu: the vCPU
 * @index: the MSR
 * @value: the value
 * @from_host: written by the program, for a state group: as
 *	lodge_msr_check(), and without effect on other MSRs
 *
 * Context: owner, loaded; interrupts may be off.
 * Return: LODGE_MSR_*; when not OK, nothing has changed.
 */
int lodge_msr_write(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host)
{
	const struct msr_row *row = msr_find(index);

	return row ? write_row(vcpu, row, index, value, from_host) : LODGE_MSR_GP;
}

/**
 * lodge_msr_check() - would the program's write of an MSR succeed?
 * @vcpu: the vCPU
 * @index: the MSR
 * @value: the value
 *
 * MSRs that belong to another state group (EFER, FS and GS base, the APIC)
 * cannot be written by index. What is read-only, or hidden from the guest by
 * its CPUID, may be written with the value it has.
 *
 * Context: owner, loaded.
 * Return: LODGE_MSR_OK or LODGE_MSR_GP.
 */
int lodge_msr_check(struct lodge_vcpu *vcpu, u32 index, u64 value)
{
	const struct msr_row *row = msr_find(index);

	return row && write_allowed(vcpu, row, index, value, true) ? LODGE_MSR_OK : LODGE_MSR_GP;
}

/**
 * msr_list() - MSRs that hold a vCPU's state
 * @cpuid: what the vCPU can have
 * @indices: filled as far as there is room
 * @max: room in @indices
 *
 * Return: how many there are.
 */
u32 msr_list(const struct lodge_cpuid_table *cpuid, u32 *indices, u32 max)
{
	u32 nr = 0, i, j;

	for (i = 0; i < ARRAY_SIZE(msr_rows); i++) {
		if (!msr_rows[i].save || !gate_open(cpuid, &msr_rows[i]))
			continue;
		for (j = 0; j < msr_rows[i].nr; j++, nr++) {
			if (nr < max)
				indices[nr] = msr_rows[i].first + j;
		}
	}
	return nr;
}

/**
 * lodge_msr_list() - MSRs that hold a vCPU's state, on this machine
 * @indices: filled as far as there is room
 * @max: room in @indices
 *
 * Return: how many there are.
 */
u32 lodge_msr_list(u32 *indices, u32 max)
{
	return msr_list(lodge_cpuid_supported(), indices, max);
}

/**
 * lodge_msr_reset() - give MSRs their values after power-on
 * @vcpu: the vCPU
 * @init: after INIT, which leaves them alone (SDM 3A table 10-1)
 *
 * MTRRs say write-back, as after a firmware's work: there is none, and all of a
 * guest's RAM is write-back. The TSC is not touched.
 *
 * Context: owner, loaded.
 */
void lodge_msr_reset(struct lodge_vcpu *vcpu, bool init)
{
	struct lodge_msr_state *m = &vcpu->msrs;
	size_t i;

	if (init)
		return;

	memset(m, 0, sizeof(*m));
	m->misc_enable = MISC_ENABLE_RESET;
	m->mtrr_def_type = MTRR_TYPE_WB | MTRR_DEF_ENABLE | MTRR_DEF_FIXED;
	for (i = 0; i < ARRAY_SIZE(m->mtrr_fixed); i++)
		m->mtrr_fixed[i] = MTRR_ALL_WB;
	m->ucode_rev = (u64)boot_cpu_data.microcode << 32;
	vcpu->xss = 0;

	vmcs_write(VMCS_GUEST_PAT, PAT_RESET);
	vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
	vmcs_write(VMCS_GUEST_SYSENTER_CS, 0);
	vmcs_write(VMCS_GUEST_SYSENTER_ESP, 0);
	vmcs_write(VMCS_GUEST_SYSENTER_EIP, 0);
	vmx_kernel_gs_base_write(vcpu, 0);
	vmx_syscall_msrs_changed(vcpu);
}

/* The bitmap's four parts: SDM 3C 25.6.9. */
#define BITMAP_HIGH_MSRS	0xc0000000u
#define BITMAP_NR_MSRS		0x2000u
#define BITMAP_READ_LOW		0
#define BITMAP_READ_HIGH	(0x400 * 8)
#define BITMAP_WRITE_LOW	(0x800 * 8)
#define BITMAP_WRITE_HIGH	(0xc00 * 8)

static void bitmap_pass(unsigned long *bitmap, u32 index, u8 pass)
{
	bool high = index >= BITMAP_HIGH_MSRS;
	u32 bit = index & (BITMAP_NR_MSRS - 1);

	if (pass & MSR_PASS_READ)
		__clear_bit(bit + (high ? BITMAP_READ_HIGH : BITMAP_READ_LOW), bitmap);
	if (pass & MSR_PASS_WRITE)
		__clear_bit(bit + (high ? BITMAP_WRITE_HIGH : BITMAP_WRITE_LOW), bitmap);
}

/**
 * lodge_msr_fill_bitmap() - say which MSR accesses do not exit
 * @vcpu: the vCPU; its CPUID table counts
 * @bitmap: the MSR bitmap, a page
 *
 * Context: owner.
 */
void lodge_msr_fill_bitmap(const struct lodge_vcpu *vcpu, unsigned long *bitmap)
{
	u32 i, j;

	memset(bitmap, 0xff, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(msr_rows); i++) {
		if (!msr_rows[i].pass || !gate_open(vcpu->cpuid, &msr_rows[i]))
			continue;
		for (j = 0; j < msr_rows[i].nr; j++)
			bitmap_pass(bitmap, msr_rows[i].first + j, msr_rows[i].pass);
	}
}
