/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's FPU registers change places with the thread's: inside one stretch of
 * interrupts off, so that the kernel, which may use or switch the registers as soon as
 * they come on, never finds any but the thread's.
 */
#ifndef LODGE_FPU_H
#define LODGE_FPU_H

#include <linux/cpufeature.h>
#include <linux/percpu.h>
#include <asm/alternative.h>
#include <asm/fpu/types.h>

/* The components that a guest can reach, but PKRU: see vmx_load_xstate(). */
extern u64 lodge_fpu_mask;

/* The thread's registers, while the guest's are in the CPU. */
extern struct xregs_state __percpu *lodge_fpu_host;

static __always_inline void fpu_save(struct xregs_state *area)
{
	if (static_cpu_has(X86_FEATURE_XSAVE))
		asm volatile(ALTERNATIVE("xsave64 %0", "xsaveopt64 %0", X86_FEATURE_XSAVEOPT)
			     : "+m" (*area)
			     : "a" ((u32)lodge_fpu_mask), "d" ((u32)(lodge_fpu_mask >> 32))
			     : "memory");
	else
		asm volatile("fxsave64 %0" : "=m" (area->i387));
}

static __always_inline void fpu_restore(const struct xregs_state *area)
{
	if (static_cpu_has(X86_FEATURE_XSAVE))
		asm volatile("xrstor64 %0"
			     : : "m" (*area), "a" ((u32)lodge_fpu_mask),
				 "d" ((u32)(lodge_fpu_mask >> 32))
			     : "memory");
	else
		asm volatile("fxrstor64 %0" : : "m" (area->i387));
}

/**
 * lodge_fpu_learn() - make this CPU's area what XRSTOR has loaded last
 *
 * XSAVEOPT leaves out what has not changed since the last XRSTOR from the same address
 * (SDM 1 13.6). That may have been from an area of the module before it was reloaded.
 *
 * Context: interrupts off.
 */
static inline void lodge_fpu_learn(void)
{
	struct xregs_state *area = this_cpu_ptr(lodge_fpu_host);

	if (!static_cpu_has(X86_FEATURE_XSAVE))
		return;
	asm volatile("xsave64 %0"
		     : "+m" (*area)
		     : "a" ((u32)lodge_fpu_mask), "d" ((u32)(lodge_fpu_mask >> 32))
		     : "memory");
	fpu_restore(area);
}

/**
 * lodge_fpu_in() - the thread's registers out, the guest's in
 * @guest: the guest's state
 *
 * Context: interrupts off until lodge_fpu_out(); the thread's registers are in the
 * CPU (no TIF_NEED_FPU_LOAD), XCR0 is the host's.
 */
static __always_inline void lodge_fpu_in(const struct xregs_state *guest)
{
	fpu_save(this_cpu_ptr(lodge_fpu_host));
	fpu_restore(guest);
}

/**
 * lodge_fpu_out() - the guest's registers out, the thread's in
 * @guest: where the guest's state goes
 *
 * Context: as lodge_fpu_in().
 */
static __always_inline void lodge_fpu_out(struct xregs_state *guest)
{
	fpu_save(guest);
	fpu_restore(this_cpu_ptr(lodge_fpu_host));
}

#endif
