/* SPDX-License-Identifier: GPL-2.0 */
/* kvmclock, from the guest's side: the page, and how it is read. */
#ifndef LODGE_TEST_PVCLOCK_H
#define LODGE_TEST_PVCLOCK_H

#include "x86.h"

#define PVCLOCK_STABLE	1	/* struct pvclock.flags: vCPUs may compare their readings */

/* The page a kvmclock guest reads (MSR_KVM_SYSTEM_TIME). */
struct pvclock {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	__s8 tsc_shift;
	u8 flags;
	u8 pad[2];
};

static inline u64 pvclock_scale(u64 delta, const struct pvclock *p)
{
	if (p->tsc_shift < 0)
		delta >>= -p->tsc_shift;
	else
		delta <<= p->tsc_shift;
	return (delta >> 32) * p->tsc_to_system_mul +
	       ((delta & 0xffffffff) * p->tsc_to_system_mul >> 32);
}

/* Nanoseconds, as a guest kernel reads them, and the flags that go with them. */
static inline u64 guest_read_clock_flags(u64 gpa, u8 *flags)
{
	const struct pvclock *p = (const struct pvclock *)gpa;
	u32 version;
	u64 ns;

	do {
		version = READ_ONCE(p->version) & ~1U;
		asm volatile("lfence" : : : "memory");
		ns = p->system_time + pvclock_scale(read_tsc() - p->tsc_timestamp, p);
		*flags = p->flags;
		asm volatile("lfence" : : : "memory");
	} while (version != READ_ONCE(p->version));
	return ns;
}

static inline u64 guest_read_clock(u64 gpa)
{
	u8 flags;

	return guest_read_clock_flags(gpa, &flags);
}

#endif
