/* SPDX-License-Identifier: GPL-2.0 */
/* The door of pv/: what stock Linux guests know of KVM: kvmclock, PV EOI. */
#ifndef LODGE_PV_H
#define LODGE_PV_H

#include <linux/compiler.h>
#include <linux/lodge.h>
#include <linux/mm.h>
#include <linux/mutex.h>

#include "../types.h"

struct pvclock_vcpu_time_info;

/**
 * struct kvmclock_base - host TSC, host time and guest time taken together
 * @tsc: host TSC
 * @raw_ns: CLOCK_MONOTONIC_RAW at @tsc
 * @ns: guest nanoseconds at @tsc
 * @mult: guest ns = @ns + (((host TSC - @tsc) shifted left by @shift) * @mult >> 32)
 * @shift: see @mult; negative: shifted right
 * @stable: guest time runs by the host's TSC: this one base serves all vCPUs
 *	until the clock is set. Else each update of a vCPU's page takes a new one
 *	from CLOCK_MONOTONIC_RAW
 */
struct kvmclock_base {
	u64 tsc;
	u64 raw_ns;
	u64 ns;
	u32 mult;
	s8 shift;
	bool stable;
};

/**
 * struct lodge_vmclock - a VM's clock
 * @lock: held by who changes @base until all may go by the new one, and by who
 *	copies it
 * @base: where guest time stands; under @lock, but for what
 *	lodge_vmclock_stable() reads
 */
struct lodge_vmclock {
	struct mutex lock;	/* protects: @base */
	struct kvmclock_base base;
};

/**
 * struct lodge_vcpu_clock - a vCPU's kvmclock page
 * @system_msr: MSR_KVM_SYSTEM_TIME as written: gpa of the page, bit 0 enables;
 *	that bit is cleared when the page turns out to be no memory
 * @wall_msr: MSR_KVM_WALL_CLOCK as written
 * @wall_due: it has been written and the time not yet filled in
 *
 * All the owner's.
 */
struct lodge_vcpu_clock {
	u64 system_msr;
	u64 wall_msr;
	bool wall_due;
};

/**
 * struct lodge_pv_eoi - a vCPU's way to end an interrupt without an exit
 * @msr: MSR_KVM_PV_EOI_EN: gpa of the guest's word, bit 0 enables
 * @region: where in the memory map that was last: see struct lodge_mem_cursor
 * @vector: what the guest ends by clearing bit 0 there, while it has an offer
 *
 * All the owner's.
 */
struct lodge_pv_eoi {
	u64 msr;
	u32 region;
	u8 vector;
};

/**
 * pv_address_ok() - may the guest put something there?
 * @gpa: the address
 * @size: of what it puts there
 *
 * Return: true when it is aligned, in its memory's width, and in one page.
 */
static inline bool pv_address_ok(u64 gpa, u32 size)
{
	return !(gpa & 3) && !(gpa >> LODGE_MAX_GPA_BITS) &&
	       offset_in_page(gpa) + size <= PAGE_SIZE;
}

/* hostclock.c */
void kvmclock_module_init(void);
void kvmclock_module_exit(void);
bool kvmclock_tsc_trusted(void);

void lodge_vmclock_init(struct lodge_vm *vm);
void lodge_vmclock_get(struct lodge_vm *vm, struct lodge_clock *out);
void lodge_vmclock_set(struct lodge_vm *vm, const struct lodge_clock *in);
void lodge_vmclock_follow(struct lodge_vm *vm, bool trusted);
void lodge_vmclock_resync(struct lodge_vm *vm);

/* Does one base serve all vCPUs? Any context; a change to no comes with LODGE_REQ_CLOCK. */
static inline bool lodge_vmclock_stable(const struct lodge_vmclock *clock)
{
	return READ_ONCE(clock->base.stable);
}

/* Guest MSR writes; owner. 0, or -EINVAL for a #GP. The pages follow by kvmclock_update(). */
int kvmclock_system_write(struct lodge_vcpu *vcpu, u64 value);
int kvmclock_wall_write(struct lodge_vcpu *vcpu, u64 value);

/* For LODGE_REQ_CLOCK; owner, may sleep. */
void kvmclock_update(struct lodge_vcpu *vcpu);
void kvmclock_reset(struct lodge_vcpu *vcpu);

/* eoi.c; owner. See there. */
bool pv_eoi_offer(struct lodge_vcpu *vcpu, u8 vector);
bool pv_eoi_end(struct lodge_vcpu *vcpu);
void pv_eoi_end_slowly(struct lodge_vcpu *vcpu);
void pv_eoi_reset(struct lodge_vcpu *vcpu);

/* The arithmetic, for KUnit. */
void kvmclock_scale(u32 khz, u32 *mult, s8 *shift);
u64 kvmclock_shifted_ns(u64 guest_ns, u64 then_ns, u64 now_ns);
u32 kvmclock_next_version(u32 version);
u64 kvmclock_ns(const struct kvmclock_base *base, u64 tsc, u64 raw_ns);
void kvmclock_fill(struct pvclock_vcpu_time_info *page, const struct kvmclock_base *base,
		   u64 tsc_offset);

#endif
