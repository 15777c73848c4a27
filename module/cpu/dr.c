// SPDX-License-Identifier: GPL-2.0
/*
 * Debug registers. Every MOV to or from one exits, and so does every #DB: the
 * values here are the guest's, and only DR7 (and, while it enables a breakpoint,
 * DR0 to DR3) is ever in the CPU. SDM 3B 18.2.
 */
#include <linux/errno.h>
#include <linux/nospec.h>

#include "../lodge.h"

#define DR6_SETTABLE	0xe00full	/* B0-B3, BD, BS, BT */
#define DR6_ONES	0xffff0ff0ull
#define DR7_SETTABLE	0xffff23ffull	/* all but RTM and the reserved ones */
#define DR7_ONES	0x400ull

static void dr7_load(struct lodge_vcpu *vcpu, u64 value)
{
	vcpu->dr7 = (value & DR7_SETTABLE) | DR7_ONES;
	vmcs_write(VMCS_GUEST_DR7, vcpu->dr7);
}

/**
 * lodge_dr_write() - a MOV to a debug register of the guest
 * @vcpu: the vCPU; loaded
 * @n: 0 to 7; 4 and 5 are 6 and 7
 * @value: what it writes
 *
 * Return: 0, or -EINVAL for a #GP.
 */
int lodge_dr_write(struct lodge_vcpu *vcpu, int n, u64 value)
{
	if (n < 4) {
		vcpu->dr[array_index_nospec(n, 4)] = value;
		return 0;
	}
	if (value >> 32)
		return -EINVAL;
	if (n == 4 || n == 6)
		vcpu->dr6 = (value & DR6_SETTABLE) | DR6_ONES;
	else
		dr7_load(vcpu, value);
	return 0;
}

/**
 * lodge_dr_read() - a debug register of the guest
 * @vcpu: the vCPU; owner
 * @n: 0 to 7; 4 and 5 are 6 and 7
 */
u64 lodge_dr_read(struct lodge_vcpu *vcpu, int n)
{
	if (n < 4)
		return vcpu->dr[array_index_nospec(n, 4)];
	return n == 4 || n == 6 ? vcpu->dr6 : vcpu->dr7;
}

/**
 * lodge_dr_reset() - debug registers as after power-on
 * @vcpu: the vCPU; loaded
 */
void lodge_dr_reset(struct lodge_vcpu *vcpu)
{
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = DR6_ONES;
	dr7_load(vcpu, 0);
}
