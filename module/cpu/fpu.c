// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's FPU state: a kernel fpstate of its own, which changes places with
 * the thread's while the vCPU runs, and XSAVE images of it for state groups.
 *
 * Everything here works on memory: the state must not be in the registers.
 * PKRU is apart, in vcpu->pkru: the kernel keeps it out of the swap.
 */
#include <linux/cpufeature.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xstate.h>

#include "../lodge.h"

/* x87, SSE and header: an image has them even where the CPU has no XSAVE. */
#define IMAGE_MIN_SIZE	(FXSAVE_SIZE + XSAVE_HDR_SIZE)

/* What brings MXCSR with it: SDM 1 13.7. */
#define MXCSR_FEATURES	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM)

/* SDM 1 13.6: the initial configuration of x87 and SSE. */
static const struct xregs_state fpu_initial = {
	.i387 = { .cwd = 0x37f, .mxcsr = MXCSR_DEFAULT },
	.header = { .xfeatures = XFEATURE_MASK_FPSSE },
};

static u64 allowed_features(const struct lodge_vcpu *vcpu)
{
	return lodge_guest_xcr0_mask(vcpu) | XFEATURE_MASK_FPSSE;
}

/**
 * lodge_fpu_init() - allocate a vCPU's FPU state
 * @vcpu: the vCPU
 *
 * Context: may sleep; the thread whose permissions for extended features count.
 * Return: 0 or -ENOMEM.
 */
int lodge_fpu_init(struct lodge_vcpu *vcpu)
{
	return fpu_alloc_guest_fpstate(&vcpu->fpu) ? 0 : -ENOMEM;
}

/**
 * lodge_fpu_destroy() - free a vCPU's FPU state
 * @vcpu: the vCPU, which nobody uses any more
 */
void lodge_fpu_destroy(struct lodge_vcpu *vcpu)
{
	fpu_free_guest_fpstate(&vcpu->fpu);
}

/**
 * lodge_fpu_reset() - put the FPU in its initial state
 * @vcpu: the vCPU
 * @init: after INIT, which leaves x87, SSE and extended state alone (SDM 3A
 *	table 10-1)
 *
 * x87 is as after FNINIT rather than as after power-on (control word 37FH, not
 * 40H): no software runs before it that could tell.
 *
 * Context: owner; the guest's state is not in the registers.
 */
void lodge_fpu_reset(struct lodge_vcpu *vcpu, bool init)
{
	if (init)
		return;
	fpu_copy_uabi_to_guest_fpstate(&vcpu->fpu, &fpu_initial, XFEATURE_MASK_FPSSE, NULL);
	vcpu->pkru = 0;
}

/**
 * lodge_fpu_size() - bytes of an image with everything a guest can have
 *
 * Return: bytes; the same for every vCPU.
 */
u32 lodge_fpu_size(void)
{
	return lodge_xstate_size(lodge_cpuid_supported()->xcr0, false);
}

/**
 * lodge_fpu_get() - make an XSAVE image of the state
 * @vcpu: the vCPU
 * @buf: filled whole
 * @size: its size, at least lodge_fpu_size()
 *
 * Context: owner; the guest's state is not in the registers.
 */
void lodge_fpu_get(struct lodge_vcpu *vcpu, void *buf, u32 size)
{
	struct xregs_state *image = buf;

	memset(buf, 0, size);
	fpu_copy_guest_fpstate_to_uabi(&vcpu->fpu, buf, size, allowed_features(vcpu), vcpu->pkru);
	/* The kernel describes its signal frames here. */
	memset(image->i387.sw_reserved, 0, sizeof(image->i387.sw_reserved));
}

/**
 * lodge_fpu_check() - would lodge_fpu_set() take this image?
 * @vcpu: the vCPU
 * @buf: the image
 * @size: its size
 *
 * Return: 0 or -EINVAL.
 */
int lodge_fpu_check(struct lodge_vcpu *vcpu, const void *buf, u32 size)
{
	const struct xregs_state *image = buf;
	u64 features;

	if (size < IMAGE_MIN_SIZE)
		return -EINVAL;
	features = image->header.xfeatures;
	if ((features & ~allowed_features(vcpu)) || image->header.xcomp_bv ||
	    memchr_inv(image->header.reserved, 0, sizeof(image->header.reserved)))
		return -EINVAL;
	if (size < lodge_xstate_size(features, false))
		return -EINVAL;
	/* FXRSTOR loads both whatever the header says. */
	if (!boot_cpu_has(X86_FEATURE_XSAVE) && features != XFEATURE_MASK_FPSSE)
		return -EINVAL;
	if ((features & MXCSR_FEATURES) && (image->i387.mxcsr & ~mxcsr_feature_mask))
		return -EINVAL;
	return 0;
}

/**
 * lodge_fpu_set() - take the state from an XSAVE image
 * @vcpu: the vCPU
 * @buf: the image, in kernel memory; components it lacks get their initial state
 * @size: its size
 *
 * Context: owner; the guest's state is not in the registers.
 * Return: 0, or -EINVAL with nothing changed.
 */
int lodge_fpu_set(struct lodge_vcpu *vcpu, const void *buf, u32 size)
{
	const struct xregs_state *image = buf;
	int err = lodge_fpu_check(vcpu, buf, size);

	if (err)
		return err;
	/* The legacy area's MXCSR is loaded even where the header lacks SSE. */
	lodge_fpu_reset(vcpu, false);
	return fpu_copy_uabi_to_guest_fpstate(&vcpu->fpu, image, allowed_features(vcpu),
					      &vcpu->pkru);
}
