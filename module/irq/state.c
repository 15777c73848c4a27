// SPDX-License-Identifier: GPL-2.0
/*
 * LODGE_STATE_LAPIC: a local APIC saved and restored. State from outside is
 * checked whole, so that the rest of irq/ may rely on what hardware guarantees.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>

#include "../lodge.h"
#include "regs.h"

static u32 reg(const struct lodge_lapic *in, u32 offset)
{
	return in->regs[offset / 4];
}

/**
 * lapic_get_state() - save a local APIC
 * @vcpu: the vCPU; owner
 * @out: where to
 */
void lapic_get_state(struct lodge_vcpu *vcpu, struct lodge_lapic *out)
{
	struct lapic *apic = &vcpu->lapic;
	u32 i;

	out->base = apic->base;
	out->tsc_deadline = lapic_tsc_deadline_read(vcpu);
	out->timer_ns = lapic_timer_left(apic);
	/* 0 would mean stopped; it is about to fire. */
	if (!out->timer_ns && apic->timer_tsc && !out->tsc_deadline)
		out->timer_ns = 1;

	for (i = 0; i < ARRAY_SIZE(out->regs); i++)
		out->regs[i] = lapic_get(apic, i * 4);
	out->regs[APIC_PROCPRI / 4] = lapic_ppr(apic);
	out->regs[APIC_TMCCT / 4] = lapic_timer_count(apic);
}

/* The bits that word @i of the register page can have. */
static u32 word_holds(const struct lodge_vcpu *vcpu, u32 i, bool x2apic)
{
	/* In x2APIC mode the ICR is 64 bits wide and has no second register. */
	if (x2apic && i == APIC_ICR / 4 + 1)
		return U32_MAX;
	if (i % 4 || (x2apic && i == APIC_ICR2 / 4))
		return 0;
	return lapic_reg_holds(vcpu, i * 4);
}

/* What the guest cannot change. */
static bool identity_ok(const struct lodge_vcpu *vcpu, const struct lodge_lapic *in, bool x2apic)
{
	u32 ldr = reg(in, APIC_LDR);

	if (reg(in, APIC_ID) != (x2apic ? vcpu->id : vcpu->id << 24) ||
	    reg(in, APIC_LVR) != lapic_get(&vcpu->lapic, APIC_LVR) ||
	    ~reg(in, APIC_DFR) & APIC_DFR_CLUSTER)
		return false;
	return x2apic ? ldr == lapic_x2apic_ldr(vcpu->id) : !(ldr & ~APIC_LDR_MASK);
}

/* Disabled by software means that every LVT is masked (SDM 3A 11.4.7.2). */
static bool lvts_ok(const struct lodge_lapic *in)
{
	u32 all = reg(in, APIC_LVTCMCI);
	u32 lvt;

	for (lvt = APIC_LVTT; lvt <= APIC_LVTERR; lvt += 0x10)
		all &= reg(in, lvt);
	return reg(in, APIC_SPIV) & APIC_SPIV_APIC_ENABLED || all & APIC_LVT_MASKED;
}

static bool timer_ok(const struct lodge_lapic *in)
{
	u32 mode = reg(in, APIC_LVTT) & LAPIC_TIMER_MODE;

	if (in->tsc_deadline && mode != APIC_LVT_TIMER_TSCDEADLINE)
		return false;
	if (!in->timer_ns)
		return true;
	return mode <= APIC_LVT_TIMER_PERIODIC && reg(in, APIC_TMICT) &&
	       in->timer_ns <= (u64)U32_MAX * 128;
}

/**
 * lapic_check_state() - can a local APIC be in this state
 * @vcpu: the vCPU; owner
 * @in: the state
 *
 * Return: 0 or -EINVAL.
 */
int lapic_check_state(const struct lodge_vcpu *vcpu, const struct lodge_lapic *in)
{
	bool x2apic = lapic_base_mode(in->base) == LAPIC_X2APIC;
	u32 i;

	if (lapic_base_check(vcpu, in->base))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(in->regs); i++)
		if (in->regs[i] & ~word_holds(vcpu, i, x2apic))
			return -EINVAL;
	if (!identity_ok(vcpu, in, x2apic) || !lvts_ok(in) || !timer_ok(in))
		return -EINVAL;
	return 0;
}

/**
 * lapic_set_state() - restore a local APIC
 * @vcpu: the vCPU; owner
 * @in: state that lapic_check_state() has passed
 */
void lapic_set_state(struct lodge_vcpu *vcpu, const struct lodge_lapic *in)
{
	struct lapic *apic = &vcpu->lapic;
	u32 i;

	lapic_timer_stop(apic);
	lapic_base_put(apic, in->base);
	for (i = 0; i < ARRAY_SIZE(in->regs); i++)
		lapic_put(apic, i * 4, in->regs[i]);
	atomic_set(&apic->errors, 0);
	bitmap_zero(apic->eoi_level, 256);

	lapic_timer_resume(apic, in->timer_ns);
	lapic_tsc_deadline_write(vcpu, in->tsc_deadline);
	lodge_vcpu_request(vcpu, LODGE_REQ_IRQ);
}
