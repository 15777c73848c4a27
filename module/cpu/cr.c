// SPDX-License-Identifier: GPL-2.0
/*
 * Control registers: what a guest may write to CR0, CR4, EFER and XCR0, what of
 * it reaches the hardware, and what else has to follow. SDM 3A 2.5, 4.1, 9.8.
 */
#include <linux/bits.h>
#include <linux/cpufeature.h>
#include <linux/errno.h>
#include <asm/fpu/types.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/tlbflush.h>

#include "../lodge.h"
#include "../vmx/caps.h"

/* Changed by the guest without an exit. Both act inside the guest only. */
#define CR0_OWNED	(X86_CR0_TS | X86_CR0_WP)

#define CR0_KNOWN	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | \
			 X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | \
			 X86_CR0_PG)

/* The same for CR4: none changes what lodge has to know, page walks included. */
#define CR4_OWNED	(X86_CR4_PVI | X86_CR4_DE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_TSD | \
			 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE)

/* A CR4 bit and the CPUID bit that allows it. */
static const struct {
	u64 bit;
	enum lodge_guest_feature feature;
} cr4_bits[] = {
	{ X86_CR4_VME | X86_CR4_PVI, GF_VME },
	{ X86_CR4_TSD, GF_TSC },
	{ X86_CR4_DE, GF_DE },
	{ X86_CR4_PSE, GF_PSE },
	{ X86_CR4_PAE, GF_PAE },
	{ X86_CR4_MCE, GF_MCE },
	{ X86_CR4_PGE, GF_PGE },
	{ X86_CR4_OSFXSR, GF_FXSR },
	{ X86_CR4_OSXMMEXCPT, GF_XMM },
	{ X86_CR4_UMIP, GF_UMIP },
	{ X86_CR4_FSGSBASE, GF_FSGSBASE },
	{ X86_CR4_PCIDE, GF_PCID },
	{ X86_CR4_OSXSAVE, GF_XSAVE },
	{ X86_CR4_SMEP, GF_SMEP },
	{ X86_CR4_SMAP, GF_SMAP },
	{ X86_CR4_PKE, GF_PKU },
};

/**
 * lodge_cr_apply_model() - let control registers follow the vCPU's CPUID table
 * @vcpu: the vCPU; owner
 */
void lodge_cr_apply_model(struct lodge_vcpu *vcpu)
{
	int i;

	vcpu->cr4_allowed = X86_CR4_PCE;
	for (i = 0; i < ARRAY_SIZE(cr4_bits); i++)
		if (lodge_guest_has(vcpu, cr4_bits[i].feature))
			vcpu->cr4_allowed |= cr4_bits[i].bit;
}

static u64 cr4_owned(const struct lodge_vcpu *vcpu)
{
	return CR4_OWNED & vcpu->cr4_allowed;
}

static u64 efer_allowed(const struct lodge_vcpu *vcpu)
{
	u64 allowed = 0;

	if (lodge_guest_has(vcpu, GF_SYSCALL))
		allowed |= EFER_SCE;
	if (lodge_guest_has(vcpu, GF_LM))
		allowed |= EFER_LME | EFER_LMA;
	if (lodge_guest_has(vcpu, GF_NX))
		allowed |= EFER_NX;
	return allowed;
}

/**
 * lodge_cr0_read() - CR0 as the guest reads it
 * @vcpu: the vCPU; loaded
 */
u64 lodge_cr0_read(struct lodge_vcpu *vcpu)
{
	return (vcpu->cr0 & ~(u64)CR0_OWNED) | (vmcs_read(VMCS_GUEST_CR0) & CR0_OWNED);
}

/**
 * lodge_cr3_read() - CR3
 * @vcpu: the vCPU; loaded
 */
u64 lodge_cr3_read(struct lodge_vcpu *vcpu)
{
	return vmcs_read(VMCS_GUEST_CR3);
}

/**
 * lodge_cr4_read() - CR4 as the guest reads it
 * @vcpu: the vCPU; loaded
 */
u64 lodge_cr4_read(struct lodge_vcpu *vcpu)
{
	u64 owned = cr4_owned(vcpu);

	return (vcpu->cr4 & ~owned) | (vmcs_read(VMCS_GUEST_CR4) & owned);
}

/* Caching is the host's business: CD and NW never reach the hardware. */
static void cr0_load(struct lodge_vcpu *vcpu, u64 cr0)
{
	u64 hw = cr0 & ~(u64)(X86_CR0_CD | X86_CR0_NW);

	/* VMX fixes NE; PE and PG are free with "unrestricted guest". */
	hw |= vmx_caps.cr0_fixed0 & ~(u64)(X86_CR0_PE | X86_CR0_PG);
	vcpu->cr0 = cr0;
	vmcs_write(VMCS_GUEST_CR0, hw);
	vmcs_write(VMCS_CR0_SHADOW, cr0);
	vmcs_write(VMCS_CR0_MASK, ~(u64)CR0_OWNED);
}

/* With MCE clear a machine check in the guest would shut the host down. */
static void cr4_load(struct lodge_vcpu *vcpu, u64 cr4)
{
	vcpu->cr4 = cr4;
	vmcs_write(VMCS_GUEST_CR4,
		   cr4 | vmx_caps.cr4_fixed0 | (cr4_read_shadow() & X86_CR4_MCE));
	vmcs_write(VMCS_CR4_SHADOW, cr4);
	vmcs_write(VMCS_CR4_MASK, ~cr4_owned(vcpu));
}

static void efer_load(struct lodge_vcpu *vcpu, u64 efer)
{
	u32 entry = vmcs_read(VMCS_ENTRY_CONTROLS);

	bool sce = (vcpu->efer ^ efer) & EFER_SCE;

	vcpu->efer = efer;
	if (sce)
		vmx_syscall_msrs_changed(vcpu);
	vmcs_write(VMCS_GUEST_EFER, efer);
	vmcs_write(VMCS_ENTRY_CONTROLS,
		   efer & EFER_LMA ? entry | ENTRY_IA32E : entry & ~ENTRY_IA32E);
}

/* In long mode TR must be a 64-bit TSS, whatever was loaded before. */
static void tr_make_64bit(struct lodge_vcpu *vcpu)
{
	struct lodge_segment tr;

	vmx_segment_read(vcpu, LODGE_SEG_TR, &tr);
	if ((tr.attrs & 15) == 11)
		return;
	tr.attrs = (tr.attrs & ~15) | 11;
	vmx_segment_write(vcpu, LODGE_SEG_TR, &tr);
}

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return cr0 & X86_CR0_PG && cr4 & X86_CR4_PAE && !(efer & EFER_LMA);
}

static bool pdpte_valid(const struct lodge_vcpu *vcpu, u64 pdpte)
{
	u64 reserved = GENMASK_ULL(2, 1) | GENMASK_ULL(8, 5) |
		       GENMASK_ULL(63, lodge_guest_phys_bits(vcpu));

	return !(pdpte & 1) || !(pdpte & reserved);
}

/* SDM 3A 4.4.1: the CPU keeps the four entries; here we are the CPU. */
static int pdptes_load(struct lodge_vcpu *vcpu)
{
	u64 pdpte[4];
	int i;

	if (lodge_mem_read(&vcpu->vm->mem, lodge_cr3_read(vcpu) & 0xffffffe0, pdpte,
			   sizeof(pdpte)))
		return -EINVAL;
	for (i = 0; i < 4; i++)
		if (!pdpte_valid(vcpu, pdpte[i]))
			return -EINVAL;
	for (i = 0; i < 4; i++)
		vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
	return 0;
}

static int cr0_check(u64 cr0)
{
	if (cr0 >> 32)
		return -EINVAL;
	if (cr0 & X86_CR0_PG && !(cr0 & X86_CR0_PE))
		return -EINVAL;
	if (cr0 & X86_CR0_NW && !(cr0 & X86_CR0_CD))
		return -EINVAL;
	return 0;
}

static bool in_64bit_code(struct lodge_vcpu *vcpu)
{
	return vcpu->efer & EFER_LMA && vmcs_read(VMCS_GUEST_AR(LODGE_SEG_CS)) & BIT(13);
}

/* Turning paging on enters long mode when EFER.LME is set, SDM 3A 9.8.5. */
static int cr0_paging_on(struct lodge_vcpu *vcpu, u64 cr0, u64 cr4)
{
	if (!(vcpu->efer & EFER_LME))
		return pae_paging(cr0, cr4, vcpu->efer) ? pdptes_load(vcpu) : 0;
	if (!(cr4 & X86_CR4_PAE) || vmcs_read(VMCS_GUEST_AR(LODGE_SEG_CS)) & BIT(13))
		return -EINVAL;
	tr_make_64bit(vcpu);
	efer_load(vcpu, vcpu->efer | EFER_LMA);
	return 0;
}

static int cr0_paging_off(struct lodge_vcpu *vcpu, u64 cr4)
{
	if (in_64bit_code(vcpu) || cr4 & X86_CR4_PCIDE)
		return -EINVAL;
	efer_load(vcpu, vcpu->efer & ~(u64)EFER_LMA);
	return 0;
}

/**
 * lodge_cr0_write() - a MOV to CR0, CLTS or LMSW of the guest
 * @vcpu: the vCPU; loaded
 * @value: what it writes
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL for a #GP with nothing changed.
 */
int lodge_cr0_write(struct lodge_vcpu *vcpu, u64 value)
{
	u64 old = lodge_cr0_read(vcpu);
	u64 cr4 = lodge_cr4_read(vcpu);
	u64 cr0 = (value & (CR0_KNOWN | GENMASK_ULL(63, 32))) | X86_CR0_ET;
	int ret;

	ret = cr0_check(cr0);
	if (ret)
		return ret;
	if ((cr0 ^ old) & X86_CR0_PG)
		ret = cr0 & X86_CR0_PG ? cr0_paging_on(vcpu, cr0, cr4) :
					 cr0_paging_off(vcpu, cr4);
	else if ((cr0 ^ old) & (X86_CR0_CD | X86_CR0_NW) && pae_paging(cr0, cr4, vcpu->efer))
		ret = pdptes_load(vcpu);	/* SDM 3A 4.4.1 */
	if (ret)
		return ret;
	if ((cr0 ^ old) & (X86_CR0_PG | X86_CR0_PE | X86_CR0_WP))
		vcpu->vmx.flush_vpid = true;	/* SDM 3A 4.10.4.1 */
	cr0_load(vcpu, cr0);
	return 0;
}

/**
 * lodge_cr4_write() - a MOV to CR4 of the guest
 * @vcpu: the vCPU; loaded
 * @value: what it writes
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL for a #GP with nothing changed.
 */
int lodge_cr4_write(struct lodge_vcpu *vcpu, u64 value)
{
	const u64 reload = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP;
	u64 old = lodge_cr4_read(vcpu);
	u64 cr0 = lodge_cr0_read(vcpu);

	if (value & ~vcpu->cr4_allowed)
		return -EINVAL;
	if (vcpu->efer & EFER_LMA && !(value & X86_CR4_PAE))
		return -EINVAL;
	if ((value & ~old) & X86_CR4_PCIDE &&
	    (!(vcpu->efer & EFER_LMA) || lodge_cr3_read(vcpu) & 0xfff))
		return -EINVAL;
	if (pae_paging(cr0, value, vcpu->efer) && (value ^ old) & reload && pdptes_load(vcpu))
		return -EINVAL;
	if ((value ^ old) & (reload | X86_CR4_PCIDE | X86_CR4_SMAP | X86_CR4_PKE))
		vcpu->vmx.flush_vpid = true;
	cr4_load(vcpu, value);
	return 0;
}

/**
 * lodge_efer_write() - a WRMSR to EFER of the guest
 * @vcpu: the vCPU; loaded
 * @value: what it writes; LMA is ignored
 *
 * Return: 0, or -EINVAL for a #GP with nothing changed.
 */
int lodge_efer_write(struct lodge_vcpu *vcpu, u64 value)
{
	if (value & ~efer_allowed(vcpu))
		return -EINVAL;
	if ((value ^ vcpu->efer) & EFER_LME && lodge_cr0_read(vcpu) & X86_CR0_PG)
		return -EINVAL;
	if ((value ^ vcpu->efer) & EFER_NX)
		vcpu->vmx.flush_vpid = true;
	efer_load(vcpu, (value & ~(u64)EFER_LMA) | (vcpu->efer & EFER_LMA));
	return 0;
}

#define XCR0_AVX512	(XFEATURE_MASK_OPMASK | XFEATURE_MASK_ZMM_Hi256 | XFEATURE_MASK_Hi16_ZMM)

/* SDM 1 13.3: x87 always; AVX needs SSE; the parts of AVX-512 only together. */
static int xcr0_check(const struct lodge_vcpu *vcpu, u64 xcr0)
{
	u64 allowed = lodge_guest_xcr0_mask(vcpu) | XFEATURE_MASK_FP;

	if (!(xcr0 & XFEATURE_MASK_FP) || xcr0 & ~allowed)
		return -EINVAL;
	if (xcr0 & XFEATURE_MASK_YMM && !(xcr0 & XFEATURE_MASK_SSE))
		return -EINVAL;
	if (xcr0 & XCR0_AVX512 &&
	    ((xcr0 & XCR0_AVX512) != XCR0_AVX512 || !(xcr0 & XFEATURE_MASK_YMM)))
		return -EINVAL;
	return 0;
}

/**
 * lodge_xcr0_write() - an XSETBV of the guest
 * @vcpu: the vCPU; owner
 * @value: what it writes
 *
 * Return: 0, or -EINVAL for a #GP.
 */
int lodge_xcr0_write(struct lodge_vcpu *vcpu, u64 value)
{
	if (xcr0_check(vcpu, value))
		return -EINVAL;
	vcpu->xcr0 = value;
	return 0;
}

/**
 * lodge_cr_reset() - control registers as after power-on or INIT
 * @vcpu: the vCPU; loaded
 * @init: INIT: CD, NW and XCR0 are kept (SDM 3A table 10-1)
 */
void lodge_cr_reset(struct lodge_vcpu *vcpu, bool init)
{
	const u64 kept = X86_CR0_CD | X86_CR0_NW;

	cr0_load(vcpu, X86_CR0_ET | (init ? vcpu->cr0 & kept : kept));
	vcpu->cr2 = 0;
	vmcs_write(VMCS_GUEST_CR3, 0);
	cr4_load(vcpu, 0);
	efer_load(vcpu, 0);
	if (!init)
		vcpu->xcr0 = XFEATURE_MASK_FP;
}

/**
 * lodge_crs_get() - read the group LODGE_STATE_CRS
 * @vcpu: the vCPU; loaded
 * @crs: filled
 */
void lodge_crs_get(struct lodge_vcpu *vcpu, struct lodge_crs *crs)
{
	int i;

	*crs = (struct lodge_crs) {
		.cr0 = lodge_cr0_read(vcpu),
		.cr2 = vcpu->cr2,
		.cr3 = lodge_cr3_read(vcpu),
		.cr4 = lodge_cr4_read(vcpu),
		.cr8 = lapic_cr8_read(vcpu),
		.efer = vcpu->efer,
		.xcr0 = vcpu->xcr0,
	};
	for (i = 0; i < 4; i++)
		crs->pdpte[i] = vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i);
}

/**
 * lodge_crs_check() - could LODGE_STATE_CRS be set to this?
 * @vcpu: the vCPU; owner
 * @crs: the values
 *
 * Return: 0 or -EINVAL.
 */
int lodge_crs_check(struct lodge_vcpu *vcpu, const struct lodge_crs *crs)
{
	bool lma = crs->efer & EFER_LMA;
	int i;

	if (cr0_check(crs->cr0) || crs->cr0 & ~(u64)CR0_KNOWN || crs->cr4 & ~vcpu->cr4_allowed ||
	    crs->efer & ~efer_allowed(vcpu) || crs->cr8 > 15 || xcr0_check(vcpu, crs->xcr0))
		return -EINVAL;
	if (crs->cr3 >> lodge_guest_phys_bits(vcpu))
		return -EINVAL;
	if (lma != (crs->efer & EFER_LME && crs->cr0 & X86_CR0_PG))
		return -EINVAL;
	if (lma && !(crs->cr4 & X86_CR4_PAE))
		return -EINVAL;
	if (crs->cr4 & X86_CR4_PCIDE && !lma)
		return -EINVAL;
	if (!pae_paging(crs->cr0, crs->cr4, crs->efer))
		return 0;
	for (i = 0; i < 4; i++)
		if (!pdpte_valid(vcpu, crs->pdpte[i]))
			return -EINVAL;
	return 0;
}

/**
 * lodge_crs_set() - write the group LODGE_STATE_CRS
 * @vcpu: the vCPU; loaded
 * @crs: values that lodge_crs_check() took
 */
void lodge_crs_set(struct lodge_vcpu *vcpu, const struct lodge_crs *crs)
{
	int i;

	cr0_load(vcpu, crs->cr0 | X86_CR0_ET);
	vcpu->cr2 = crs->cr2;
	vmcs_write(VMCS_GUEST_CR3, crs->cr3);
	cr4_load(vcpu, crs->cr4);
	efer_load(vcpu, crs->efer);
	lapic_cr8_write(vcpu, crs->cr8);
	vcpu->xcr0 = crs->xcr0;
	for (i = 0; i < 4; i++)
		vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, crs->pdpte[i]);
	vcpu->vmx.flush_vpid = true;
	vcpu->vmx.recheck = true;
}
