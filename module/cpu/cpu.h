/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The door of cpu/: the CPU that a guest sees. CPUID, MSRs, control and debug
 * registers, FPU state, page walks and the decoding of instructions that touch
 * memory which is not RAM.
 */
#ifndef LODGE_CPU_H
#define LODGE_CPU_H

#include <linux/lodge.h>

#include "../types.h"
#include "decode.h"
#include "memo.h"

/* General registers by the number instructions give them. */
enum lodge_reg {
	LODGE_RAX, LODGE_RCX, LODGE_RDX, LODGE_RBX,
	LODGE_RSP, LODGE_RBP, LODGE_RSI, LODGE_RDI,
	LODGE_R8, LODGE_R9, LODGE_R10, LODGE_R11,
	LODGE_R12, LODGE_R13, LODGE_R14, LODGE_R15,
};

/**
 * struct lodge_pending_io - the instruction that left for user space
 * @reason: LODGE_EXIT_PIO, _MMIO, _RDMSR or _WRMSR; LODGE_EXIT_NONE when there
 *	is nothing to complete
 * @insn_len: instruction length
 * @port_in: PIO: it is an IN
 * @width: PIO: bytes
 * @insn: MMIO: the decoded instruction; while @reason is NONE, being decoded
 * @bytes: MMIO: its bytes
 * @data: MMIO: what it stores
 */
struct lodge_pending_io {
	u32 reason;
	u32 insn_len;
	bool port_in;
	u8 width;
	struct lodge_insn insn;
	u8 bytes[LODGE_INSN_ROOM];
	u64 data;
};

/* Debug register bits, SDM 3B 18.2.3 and 18.2.4. */
#define DR6_TRAPS	0xfull
#define DR6_BD		BIT_ULL(13)
#define DR6_BS		BIT_ULL(14)
#define DR7_ENABLES	0xffull
#define DR7_GD		BIT_ULL(13)

/* ------------------------------------------------------------------- CPUID */

/**
 * enum lodge_guest_feature - CPUID bits that decide what the guest may do
 *
 * lodge_guest_has() answers from the vCPU's own table, in constant time.
 */
enum lodge_guest_feature {
	GF_X2APIC, GF_TSC_DEADLINE, GF_TSC_ADJUST, GF_XSAVE, GF_XSAVES,
	GF_PCID, GF_INVPCID, GF_RDTSCP, GF_RDPID, GF_FSGSBASE, GF_SMEP, GF_SMAP, GF_UMIP,
	GF_PKU, GF_NX, GF_LM, GF_GBPAGES, GF_SYSCALL, GF_PGE, GF_PSE, GF_PAE,
	GF_VME, GF_DE, GF_TSC, GF_MCE, GF_FXSR, GF_XMM, GF_MTRR, GF_PAT, GF_SPEC_CTRL,
	GF_STIBP, GF_SSBD, GF_FLUSH_L1D, GF_ARCH_CAPS,
	GF_PSFD, GF_IPRED_CTRL, GF_RRSBA_CTRL, GF_BHI_CTRL, GF_KVMCLOCK, GF_KVMCLOCK2,
	GF_PV_EOI,
	NR_LODGE_GUEST_FEATURES
};

/* Entries that a vCPU's table may have. */
#define LODGE_MAX_CPUID		256

/* In struct lodge_cpuid_table.first. */
#define LODGE_CPUID_NOT_PLAIN	0x8000

/* The leaves lodge knows lie in windows of 32: see cpuid.c. */
#define LODGE_CPUID_WINDOWS	4
#define LODGE_CPUID_WINDOW	32

/**
 * struct lodge_cpuid_table - a vCPU's CPUID answers
 * @features: bit by enum lodge_guest_feature
 * @xcr0: bits the guest may set in XCR0
 * @xss: bits it may set in IA32_XSS
 * @phys_bits: physical-address width
 * @first: by leaf: 1 + index of its first entry, 0 when there is none; plus
 *	LODGE_CPUID_NOT_PLAIN when the answer depends on ECX or on the vCPU's state
 * @nr: entries
 * @e: sorted by leaf, then subleaf
 *
 * Constant once made.
 */
struct lodge_cpuid_table {
	u64 features;
	u64 xcr0;
	u64 xss;
	u8 phys_bits;
	u16 first[LODGE_CPUID_WINDOWS * LODGE_CPUID_WINDOW];
	u32 nr;
	struct lodge_cpuid_entry e[];
};

int lodge_cpuid_module_init(void);
void lodge_cpuid_module_exit(void);
const struct lodge_cpuid_table *lodge_cpuid_supported(void);
int lodge_cpuid_check(const struct lodge_cpuid_entry *e, u32 nr, u32 *bad);
int lodge_cpuid_set(struct lodge_vcpu *vcpu, const struct lodge_cpuid_entry *e, u32 nr);
void lodge_cpuid_execute(struct lodge_vcpu *vcpu);
void lodge_cpuid_query(struct lodge_vcpu *vcpu, u32 leaf, u32 subleaf, u32 out[4]);
u32 lodge_xstate_size(u64 features, bool compacted);
u32 lodge_xstate_place(u32 component, u32 *size);

bool lodge_guest_has(const struct lodge_vcpu *vcpu, enum lodge_guest_feature f);
u8 lodge_guest_phys_bits(const struct lodge_vcpu *vcpu);

/* XCR0 bits and IA32_XSS bits the guest may set, from its CPUID leaf 0xd. */
u64 lodge_guest_xcr0_mask(const struct lodge_vcpu *vcpu);
u64 lodge_guest_xss_mask(const struct lodge_vcpu *vcpu);

/* -------------------------------------------------------------------- MSRs */

#define LODGE_MTRR_VARIABLE	8	/* variable-range MTRRs */

/**
 * struct lodge_msr_state - emulated MSRs that are nobody else's
 *
 * All the owner's. What lives in the VMCS, the APIC or the clock is kept there.
 */
struct lodge_msr_state {
	u64 star, lstar, cstar, sfmask;		/* loaded by vmx/ while in RUN */
	u64 kernel_gs_base;			/* the same */
	u64 tsc_aux;				/* the same */
	u64 spec_ctrl;				/* the same */
	u64 tsc_adjust;
	u64 misc_enable;
	u64 mtrr_def_type;
	u64 mtrr_fixed[11];
	u64 mtrr_var[2 * LODGE_MTRR_VARIABLE];
	u64 mcg_status;
	u64 ucode_rev;
};

/* A handler's or look-up's answer to a guest access. */
#define LODGE_MSR_OK	0
#define LODGE_MSR_GP	1	/* #GP(0) */
#define LODGE_MSR_USER_EXIT 2	/* the program's */

void lodge_msr_module_init(void);
bool lodge_msr_execute_read(struct lodge_vcpu *vcpu);
int lodge_msr_read(struct lodge_vcpu *vcpu, u32 index, u64 *value, bool from_host);
int lodge_msr_write_fast(struct lodge_vcpu *vcpu, u32 index, u64 value);
int lodge_msr_write(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host);
int lodge_msr_check(struct lodge_vcpu *vcpu, u32 index, u64 value);
u32 lodge_msr_list(u32 *indices, u32 max);
void lodge_msr_reset(struct lodge_vcpu *vcpu, bool init);
void lodge_msr_fill_bitmap(const struct lodge_vcpu *vcpu, unsigned long *bitmap);

/* -------------------------------------------------- control, debug, FPU */

/* Guest writes: 0, or -EINVAL for a #GP with nothing changed. Owner, VMCS loaded. */
int lodge_cr0_write(struct lodge_vcpu *vcpu, u64 value);
int lodge_cr4_write(struct lodge_vcpu *vcpu, u64 value);
int lodge_efer_write(struct lodge_vcpu *vcpu, u64 value);
int lodge_xcr0_write(struct lodge_vcpu *vcpu, u64 value);
u64 lodge_cr0_read(struct lodge_vcpu *vcpu);
u64 lodge_cr3_read(struct lodge_vcpu *vcpu);
u64 lodge_cr4_read(struct lodge_vcpu *vcpu);
int lodge_dr_write(struct lodge_vcpu *vcpu, int n, u64 value);
u64 lodge_dr_read(struct lodge_vcpu *vcpu, int n);
void lodge_dr_reset(struct lodge_vcpu *vcpu);
void lodge_cr_apply_model(struct lodge_vcpu *vcpu);
void lodge_cr_reset(struct lodge_vcpu *vcpu, bool init);
void lodge_crs_get(struct lodge_vcpu *vcpu, struct lodge_crs *crs);
int lodge_crs_check(struct lodge_vcpu *vcpu, const struct lodge_crs *crs);
void lodge_crs_set(struct lodge_vcpu *vcpu, const struct lodge_crs *crs);

/* The MXCSR bits this CPU has: exported by the kernel, in none of its public headers. */
extern unsigned int mxcsr_feature_mask;

int lodge_fpu_module_init(void);
void lodge_fpu_module_exit(void);
int lodge_fpu_init(struct lodge_vcpu *vcpu);
void lodge_fpu_destroy(struct lodge_vcpu *vcpu);
void lodge_fpu_reset(struct lodge_vcpu *vcpu, bool init);
u32 lodge_fpu_size(void);
void lodge_fpu_get(struct lodge_vcpu *vcpu, void *buf, u32 size);
int lodge_fpu_check(struct lodge_vcpu *vcpu, const void *buf, u32 size);
int lodge_fpu_set(struct lodge_vcpu *vcpu, const void *buf, u32 size);

int lodge_state_get(struct lodge_vcpu *vcpu, struct lodge_vcpu_state *st);
int lodge_state_set(struct lodge_vcpu *vcpu, struct lodge_vcpu_state *st);
void lodge_state_to_page(struct lodge_vcpu *vcpu, u64 groups);
u64 lodge_state_from_page(struct lodge_vcpu *vcpu, u64 groups, bool apply);

/* vcpu.c; for exits of instructions see exit.h. */
struct lodge_exit *lodge_exit_fill(struct lodge_vcpu *vcpu, u32 reason);

/* ------------------------------------------------------ memory by gva, MMIO */

/**
 * struct lodge_walk_fault - why a walk failed
 * @code: error code of the #PF (SDM 3A 4.7)
 */
struct lodge_walk_fault {
	u32 code;
};

int lodge_walk(struct lodge_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
	       struct lodge_walk_fault *fault);
int lodge_code_fetch(struct lodge_vcpu *vcpu, u32 width, u8 *bytes, u32 max,
		     struct lodge_memo *memo);
int lodge_insn_fetch(struct lodge_vcpu *vcpu, u8 *bytes, u32 max);
int lodge_mmio_again(struct lodge_vcpu *vcpu, struct lodge_memo *memo, gpa_t gpa, u32 access);
int lodge_mmio_exit(struct lodge_vcpu *vcpu, gpa_t gpa, u32 access);
int lodge_mmio_complete(struct lodge_vcpu *vcpu, const struct lodge_insn *insn, u64 data);

#endif
