// SPDX-License-Identifier: GPL-2.0
/*
 * A local APIC's life and its heart: the vectors that wait (IRR), that are
 * being served (ISR), and which of them the CPU takes next.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/string.h>

#include "../lodge.h"
#include "regs.h"

/* Integrated APIC, version 14h, highest LVT entry 6: CMCI (SDM 3A 11.4.8). */
#define LAPIC_VERSION	(0x14 | 6 << 16)

/* SVR after reset: disabled, spurious vector ff (SDM 3A 11.4.7.1). */
#define LAPIC_SVR_RESET	0xff

static const u16 lvt_offsets[] = {
	APIC_LVTCMCI, APIC_LVTT, APIC_LVTTHMR, APIC_LVTPC, APIC_LVT0, APIC_LVT1, APIC_LVTERR,
};

/* ----------------------------------------------------------------- vectors */

static int highest_vector(const struct lapic *apic, u32 set)
{
	int i;

	for (i = 7; i >= 0; i--) {
		u32 word = lapic_get(apic, set + i * 0x10);

		if (word)
			return i * 32 + __fls(word);
	}
	return -1;
}

/*
 * The owner is not in the guest while it does this, and looks before it enters: no need
 * to end its stint for that. Anybody else has to wake it.
 */
static void tell_owner(struct lapic *apic, bool own)
{
	if (own)
		apic->vcpu->vmx.recheck = true;
	else
		lodge_vcpu_request(apic->vcpu, LODGE_REQ_IRQ);
}

/* A vector that already waits merges with the new one: the owner knows of it. */
static void request_vector(struct lapic *apic, u8 vector, bool level, bool own)
{
	unsigned long *tmr = lapic_vector_word(apic, APIC_TMR, vector);
	unsigned long *irr = lapic_vector_word(apic, APIC_IRR, vector);
	u32 bit = vector & 31;

	if (level != test_bit(bit, tmr)) {
		if (level)
			set_bit(bit, tmr);
		else
			clear_bit(bit, tmr);
	}
	if (!test_and_set_bit(bit, irr))
		tell_owner(apic, own);
}

/**
 * lapic_error() - note errors and raise the LVT error interrupt for new ones
 * @apic: the APIC that found them
 * @bits: APIC_ESR_*
 * @own: the caller is the vCPU's owner
 *
 * Context: any.
 */
void lapic_error(struct lapic *apic, u32 bits, bool own)
{
	u32 lvt = lapic_get(apic, APIC_LVTERR);
	u8 vector = lvt;

	if (!(bits & ~atomic_fetch_or(bits, &apic->errors)) || lvt & APIC_LVT_MASKED)
		return;

	if (vector < LAPIC_FIRST_VECTOR)
		atomic_or(APIC_ESR_RECVILL, &apic->errors);
	else
		request_vector(apic, vector, false, own);
}

/**
 * lapic_raise() - make a vector wait in the IRR
 * @apic: the APIC
 * @vector: the vector; an illegal one is noted as an error (SDM 3A 11.5.3)
 * @level: level triggered
 * @own: the caller is the vCPU's owner
 *
 * Context: any, hard interrupts included.
 * Return: true when the vector waits.
 */
bool lapic_raise(struct lapic *apic, u8 vector, bool level, bool own)
{
	if (vector < LAPIC_FIRST_VECTOR) {
		lapic_error(apic, APIC_ESR_RECVILL, own);
		return false;
	}
	request_vector(apic, vector, level, own);
	return true;
}

/**
 * lapic_ppr() - the processor priority
 * @apic: the APIC
 *
 * Context: any; a hint when the caller is not the owner.
 * Return: the PPR (SDM 3A 11.8.3.1).
 */
u32 lapic_ppr(const struct lapic *apic)
{
	u32 tpr = lapic_get(apic, APIC_TASKPRI);
	int served = highest_vector(apic, APIC_ISR);

	if (served < 0 || tpr >> 4 >= served >> 4)
		return tpr;
	return served & 0xf0;
}

/**
 * lapic_next_vector() - the interrupt the CPU would take now
 * @vcpu: the vCPU; owner
 *
 * To be asked when vmx.recheck is set, by LODGE_REQ_IRQ or by the owner's doing (the
 * timer, an EOI, a lower TPR), and after each lapic_accept().
 *
 * Return: its vector, or -1 when none is due.
 */
int lapic_next_vector(struct lodge_vcpu *vcpu)
{
	struct lapic *apic = &vcpu->lapic;
	int vector;

	if (!(apic->base & XAPIC_ENABLE) || !lapic_software_enabled(apic))
		return -1;

	vector = highest_vector(apic, APIC_IRR);
	if (vector < 0 || vector >> 4 <= lapic_ppr(apic) >> 4)
		return -1;
	return vector;
}

/**
 * lapic_look() - have the next entry look for an interrupt that has become due
 * @apic: the APIC; owner. Its TPR, ISR or SVR has changed
 */
void lapic_look(struct lapic *apic)
{
	tell_owner(apic, true);
}

/**
 * lapic_accept() - the CPU takes an interrupt: from IRR to ISR
 * @vcpu: the vCPU; owner
 * @vector: what lapic_next_vector() gave
 */
void lapic_accept(struct lodge_vcpu *vcpu, u8 vector)
{
	struct lapic *apic = &vcpu->lapic;

	clear_bit(vector & 31, lapic_vector_word(apic, APIC_IRR, vector));
	__set_bit(vector & 31, lapic_vector_word(apic, APIC_ISR, vector));
}

/**
 * lapic_unaccept() - undo lapic_accept(): the interrupt has to wait again
 * @vcpu: the vCPU; owner
 * @vector: what was accepted and has not been delivered
 */
void lapic_unaccept(struct lodge_vcpu *vcpu, u8 vector)
{
	struct lapic *apic = &vcpu->lapic;

	__clear_bit(vector & 31, lapic_vector_word(apic, APIC_ISR, vector));
	set_bit(vector & 31, lapic_vector_word(apic, APIC_IRR, vector));
}

/**
 * lapic_eoi() - the guest has served the interrupt of highest priority
 * @apic: the APIC; owner
 */
void lapic_eoi(struct lapic *apic)
{
	int vector = highest_vector(apic, APIC_ISR);

	if (vector < 0)
		return;

	__clear_bit(vector & 31, lapic_vector_word(apic, APIC_ISR, vector));
	if (lapic_vector_test(apic, APIC_TMR, vector)) {
		__set_bit(vector, apic->eoi_level);
		apic->eoi_due = true;
		/* User space is told at once: it may have the line raised again. */
		set_bit(LODGE_REQ_IRQ, &apic->vcpu->requests);
	}
	lapic_look(apic);
}

/**
 * lapic_next_eoi() - take one acknowledged level interrupt to tell of
 * @vcpu: the vCPU; owner
 * @vector: its vector, when there is one
 *
 * Return: true when there was one.
 */
bool lapic_next_eoi(struct lodge_vcpu *vcpu, u8 *vector)
{
	unsigned long *level = vcpu->lapic.eoi_level;
	u32 first;

	if (likely(!vcpu->lapic.eoi_due))
		return false;
	first = find_first_bit(level, 256);

	if (first >= 256) {
		vcpu->lapic.eoi_due = false;
		return false;
	}

	__clear_bit(first, level);
	*vector = first;
	return true;
}

/**
 * lapic_is_alone() - would the end of this interrupt concern nobody else?
 * @vcpu: the vCPU; owner
 * @vector: what lapic_accept() has been told
 *
 * Return: true when it is edge triggered, the only one in service, and none waits.
 */
bool lapic_is_alone(const struct lodge_vcpu *vcpu, u8 vector)
{
	const struct lapic *apic = &vcpu->lapic;
	u32 others = 0, i;

	for (i = 0; i < 8; i++)
		others |= lapic_get(apic, APIC_IRR + i * 0x10) |
			  (lapic_get(apic, APIC_ISR + i * 0x10) ^
			   (i == vector >> 5 ? BIT(vector & 31) : 0));
	return !others && !lapic_vector_test(apic, APIC_TMR, vector);
}

/**
 * lapic_end_alone() - the guest has served an interrupt that was alone
 * @vcpu: the vCPU; owner
 * @vector: of which lapic_is_alone() was true at the last entry
 *
 * There is nothing to look for: what has come since then has asked for a look itself.
 */
void lapic_end_alone(struct lodge_vcpu *vcpu, u8 vector)
{
	__clear_bit(vector & 31, lapic_vector_word(&vcpu->lapic, APIC_ISR, vector));
}

/**
 * lapic_cr8_read() - the task priority as CR8 shows it
 * @vcpu: the vCPU; owner
 *
 * Return: TPR bits 7:4 (SDM 3A 11.8.6).
 */
u64 lapic_cr8_read(const struct lodge_vcpu *vcpu)
{
	return lapic_get(&vcpu->lapic, APIC_TASKPRI) >> 4;
}

/**
 * lapic_cr8_write() - set the task priority through CR8
 * @vcpu: the vCPU; owner
 * @value: priority class, 0 to 15; the caller has refused more
 */
void lapic_cr8_write(struct lodge_vcpu *vcpu, u64 value)
{
	lapic_put(&vcpu->lapic, APIC_TASKPRI, (value & 0xf) << 4);
	lapic_look(&vcpu->lapic);
}

/* ------------------------------------------------------ mode and life time */

/**
 * lapic_x2apic_ldr() - the logical id that x2APIC mode derives
 * @id: x2APIC id
 *
 * Return: cluster in 31:16, one bit of 15:0 (SDM 3A 11.12.10.2).
 */
u32 lapic_x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | BIT(id & 0xf);
}

/* The registers whose form depends on the mode (SDM 3A 11.12.5.1). */
static void put_identity(struct lapic *apic)
{
	u32 id = apic->vcpu->id;
	bool x2apic = lapic_mode(apic) == LAPIC_X2APIC;

	lapic_put(apic, APIC_ID, x2apic ? id : id << 24);
	lapic_put(apic, APIC_LDR, x2apic ? lapic_x2apic_ldr(id) : 0);
	lapic_put(apic, APIC_ICR + 4, 0);
	lapic_put(apic, APIC_ICR2, 0);
}

/* Register values after power-on and after INIT (SDM 3A 11.4.7.1, 11.4.7.3). */
static void reset_regs(struct lapic *apic)
{
	u32 i;

	lapic_timer_stop(apic);
	memset(apic->regs, 0, PAGE_SIZE);
	lapic_put(apic, APIC_LVR, LAPIC_VERSION);
	lapic_put(apic, APIC_DFR, U32_MAX);
	lapic_put(apic, APIC_SPIV, LAPIC_SVR_RESET);
	for (i = 0; i < ARRAY_SIZE(lvt_offsets); i++)
		lapic_put(apic, lvt_offsets[i], APIC_LVT_MASKED);
	put_identity(apic);
	atomic_set(&apic->errors, 0);
}

/**
 * lapic_base_check() - may IA32_APIC_BASE have this value
 * @vcpu: the vCPU
 * @base: the value
 *
 * The page cannot be moved: no guest that boots on x86-64 needs it to.
 *
 * Return: 0 or -EINVAL.
 */
int lapic_base_check(const struct lodge_vcpu *vcpu, u64 base)
{
	u64 known = MSR_IA32_APICBASE_BSP | XAPIC_ENABLE | LAPIC_MMIO_BASE;
	enum lapic_mode mode = lapic_base_mode(base);

	if (lodge_guest_has(vcpu, GF_X2APIC))
		known |= X2APIC_ENABLE;
	if (base & ~known || (base & PAGE_MASK) != LAPIC_MMIO_BASE || mode == LAPIC_INVALID)
		return -EINVAL;
	return 0;
}

/**
 * lapic_base_put() - set IA32_APIC_BASE, with nothing else changed
 * @apic: the APIC; owner
 * @base: checked value; which CPU is the boot processor is not the caller's choice
 */
void lapic_base_put(struct lapic *apic, u64 base)
{
	base &= ~(u64)MSR_IA32_APICBASE_BSP;
	if (apic->vcpu->id == 0)
		base |= MSR_IA32_APICBASE_BSP;
	WRITE_ONCE(apic->base, base);
}

/**
 * lapic_base_write() - write IA32_APIC_BASE
 * @vcpu: the vCPU; owner
 * @value: new value
 * @from_host: not a WRMSR of the guest: any mode may follow any other
 *
 * A disabled APIC forgets its state (SDM 3A 11.4.3).
 *
 * Return: 0, or -EINVAL with nothing changed.
 */
int lapic_base_write(struct lodge_vcpu *vcpu, u64 value, bool from_host)
{
	/* By old mode: the modes a guest may go to (SDM 3A 11.12.5, figure 11-27). */
	static const u8 next_modes[] = {
		[LAPIC_DISABLED] = BIT(LAPIC_DISABLED) | BIT(LAPIC_XAPIC),
		[LAPIC_XAPIC]	= BIT(LAPIC_DISABLED) | BIT(LAPIC_XAPIC) | BIT(LAPIC_X2APIC),
		[LAPIC_X2APIC]	= BIT(LAPIC_DISABLED) | BIT(LAPIC_X2APIC),
	};
	struct lapic *apic = &vcpu->lapic;
	enum lapic_mode old = lapic_mode(apic), new = lapic_base_mode(value);

	if (lapic_base_check(vcpu, value))
		return -EINVAL;
	if (!from_host && !(next_modes[old] & BIT(new)))
		return -EINVAL;

	lapic_base_put(apic, value);
	if (new == old)
		return 0;
	if (new == LAPIC_DISABLED || old == LAPIC_DISABLED)
		reset_regs(apic);
	else
		put_identity(apic);
	return 0;
}

/**
 * lapic_reset() - the state after power-on or INIT
 * @vcpu: the vCPU; owner
 * @init: INIT, which keeps IA32_APIC_BASE and so the mode
 *
 * Level interrupts that were acknowledged before are still told of.
 */
void lapic_reset(struct lodge_vcpu *vcpu, bool init)
{
	struct lapic *apic = &vcpu->lapic;

	if (!init)
		lapic_base_put(apic, LAPIC_MMIO_BASE | XAPIC_ENABLE);
	reset_regs(apic);
}

/**
 * lapic_init() - make a vCPU's local APIC, in its state after power-on
 * @vcpu: the vCPU, not yet published; its id is set
 *
 * Return: 0 or -ENOMEM.
 */
int lapic_init(struct lodge_vcpu *vcpu)
{
	struct lapic *apic = &vcpu->lapic;

	apic->regs = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!apic->regs)
		return -ENOMEM;

	apic->vcpu = vcpu;
	lapic_timer_init(apic);
	lapic_reset(vcpu, false);
	return 0;
}

/**
 * lapic_destroy() - free a vCPU's local APIC
 * @vcpu: the vCPU; no sender can find it any more. lapic_init() may have failed
 *
 * Context: may sleep.
 */
void lapic_destroy(struct lodge_vcpu *vcpu)
{
	struct lapic *apic = &vcpu->lapic;

	if (!apic->regs)
		return;
	hrtimer_cancel(&apic->timer);
	free_page((unsigned long)apic->regs);
	apic->regs = NULL;
}
