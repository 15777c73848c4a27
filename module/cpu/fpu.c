// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's FPU state: an XSAVE area of its own, and images of it for state groups.
 *
 * Outside a stint the state is in memory, and so all that is done here. The area is in
 * the standard form: a component that the header does not name is in its initial state,
 * whatever stands in its place (SDM 1 13.7 and 13.9). PKRU is apart, in vcpu->pkru.
 */
#include <linux/cpufeature.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xstate.h>

#include "../lodge.h"
#include "fpu.h"

/* x87, SSE and header: an image has them even where the CPU has no XSAVE. */
#define IMAGE_MIN_SIZE	(FXSAVE_SIZE + XSAVE_HDR_SIZE)

/* What brings MXCSR with it: SDM 1 13.7. */
#define MXCSR_FEATURES	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM)

#define XSAVE_ALIGN	64

/* SDM 1 13.6: the initial configuration of x87 and SSE. */
static const struct xregs_state fpu_initial = {
	.i387 = { .cwd = 0x37f, .mxcsr = MXCSR_DEFAULT },
	.header = { .xfeatures = XFEATURE_MASK_FPSSE },
};

u64 lodge_fpu_mask __ro_after_init;
struct xregs_state __percpu *lodge_fpu_host;

/**
 * lodge_fpu_module_init() - make room for the threads' registers
 *
 * Context: module load, after lodge_cpuid_module_init().
 * Return: 0 or -ENOMEM.
 */
int __init lodge_fpu_module_init(void)
{
	lodge_fpu_mask = (lodge_cpuid_supported()->xcr0 & ~XFEATURE_MASK_PKRU) |
			 XFEATURE_MASK_FPSSE;
	lodge_fpu_host = __alloc_percpu(lodge_fpu_size(), XSAVE_ALIGN);
	return lodge_fpu_host ? 0 : -ENOMEM;
}

/**
 * lodge_fpu_module_exit() - undo lodge_fpu_module_init()
 */
void lodge_fpu_module_exit(void)
{
	free_percpu(lodge_fpu_host);
}

static u64 allowed_features(const struct lodge_vcpu *vcpu)
{
	return lodge_guest_xcr0_mask(vcpu) | XFEATURE_MASK_FPSSE;
}

/**
 * lodge_fpu_init() - allocate a vCPU's FPU state
 * @vcpu: the vCPU
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int lodge_fpu_init(struct lodge_vcpu *vcpu)
{
	/* Only a power of two is sure to be aligned. */
	vcpu->fpu = kzalloc(roundup_pow_of_two(lodge_fpu_size()), GFP_KERNEL_ACCOUNT);
	return vcpu->fpu ? 0 : -ENOMEM;
}

/**
 * lodge_fpu_destroy() - free a vCPU's FPU state
 * @vcpu: the vCPU, which nobody uses any more
 */
void lodge_fpu_destroy(struct lodge_vcpu *vcpu)
{
	kfree(vcpu->fpu);
}

/* The components @features of @from; the others in their initial state, as is MXCSR. */
static void fpu_copy(struct xregs_state *to, const struct xregs_state *from, u64 features)
{
	const u32 x87 = offsetof(struct fxregs_state, mxcsr);
	u32 i, offset, size;

	memcpy(to, &fpu_initial, IMAGE_MIN_SIZE);
	to->header.xfeatures = features;
	if (features & XFEATURE_MASK_FP) {
		memcpy(&to->i387, &from->i387, x87);
		memcpy(to->i387.st_space, from->i387.st_space, sizeof(to->i387.st_space));
	}
	if (features & MXCSR_FEATURES) {
		to->i387.mxcsr = from->i387.mxcsr;
		to->i387.mxcsr_mask = from->i387.mxcsr_mask;
	}
	if (features & XFEATURE_MASK_SSE)
		memcpy(to->i387.xmm_space, from->i387.xmm_space, sizeof(to->i387.xmm_space));
	for (i = FIRST_EXTENDED_XFEATURE; features >> i; i++) {
		if (!(features & BIT_ULL(i)))
			continue;
		offset = lodge_xstate_place(i, &size);
		memcpy((void *)to + offset, (const void *)from + offset, size);
	}
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
 * Context: owner.
 */
void lodge_fpu_reset(struct lodge_vcpu *vcpu, bool init)
{
	if (init)
		return;
	fpu_copy(vcpu->fpu, &fpu_initial, XFEATURE_MASK_FPSSE);
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
 * Context: owner.
 */
void lodge_fpu_get(struct lodge_vcpu *vcpu, void *buf, u32 size)
{
	const struct fxregs_state *state = &vcpu->fpu->i387;
	struct xregs_state *image = buf;
	u32 bytes;

	memset(buf, 0, size);
	/* What the guest does not know may count as in use, in its initial state. */
	fpu_copy(image, vcpu->fpu, vcpu->fpu->header.xfeatures & allowed_features(vcpu));
	/* MXCSR is SSE's, whose registers may be in their initial state: zero. */
	if (state->mxcsr != MXCSR_DEFAULT) {
		image->i387.mxcsr = state->mxcsr;
		image->i387.mxcsr_mask = state->mxcsr_mask;
		image->header.xfeatures |= XFEATURE_MASK_SSE;
	}
	if (vcpu->pkru) {
		*(u32 *)(buf + lodge_xstate_place(XFEATURE_PKRU, &bytes)) = vcpu->pkru;
		image->header.xfeatures |= XFEATURE_MASK_PKRU;
	}
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
 * Context: owner.
 * Return: 0, or -EINVAL with nothing changed.
 */
int lodge_fpu_set(struct lodge_vcpu *vcpu, const void *buf, u32 size)
{
	const struct xregs_state *image = buf;
	int err = lodge_fpu_check(vcpu, buf, size);
	u32 bytes;

	if (err)
		return err;
	fpu_copy(vcpu->fpu, image, image->header.xfeatures & ~XFEATURE_MASK_PKRU);
	vcpu->pkru = 0;
	if (image->header.xfeatures & XFEATURE_MASK_PKRU)
		vcpu->pkru = *(u32 *)(buf + lodge_xstate_place(XFEATURE_PKRU, &bytes));
	return 0;
}
