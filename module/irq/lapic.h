/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The door of irq/: the local APIC of a vCPU and the messages between APICs.
 * SDM 3A chapter 11 ("Advanced Programmable Interrupt Controller").
 */
#ifndef LODGE_LAPIC_H
#define LODGE_LAPIC_H

#include <linux/atomic.h>
#include <linux/hrtimer.h>
#include <linux/lodge.h>

#include "../types.h"

/*
 * What the timer counts at divide-by-1. CPUID leaf 15h must give the same rate
 * as the crystal clock (SDM 3A 11.5.4): guests take one for the other.
 */
#define LAPIC_TIMER_HZ	1000000000u

/**
 * struct lapic - a local APIC
 * @vcpu: its vCPU; constant
 * @regs: the register page as hardware lays it out (and as APIC-register
 *	virtualization wants it: this page is what a VMCS's virtual-APIC address
 *	would point to). IRR and TMR bits are set atomically by any sender;
 *	everything else is the owner's, read by senders
 * @base: IA32_APIC_BASE; the owner's, read by senders
 * @errors: ESR bits gathered since the guest last wrote the ESR; atomic
 * @timer: wakes the owner's thread from its sleep, else inactive
 * @timer_tsc: when the LVT timer fires, as guest TSC; 0: it is stopped. In
 *	TSC-deadline mode this is IA32_TSC_DEADLINE. The owner's
 * @timer_period: periodic mode: ticks of the TSC, else 0; the owner's
 * @eoi_due: @eoi_level is not empty; the owner's
 * @eoi_level: vectors of level interrupts that were acknowledged and that user
 *	space has not been told of; the owner's
 */
struct lapic {
	struct lodge_vcpu *vcpu;
	void *regs;
	u64 base;
	atomic_t errors;
	struct hrtimer timer;
	u64 timer_tsc;
	u64 timer_period;
	bool eoi_due;
	DECLARE_BITMAP(eoi_level, 256);
};

/**
 * struct lapic_message - an interrupt on its way between APICs
 * @dest: APIC id or logical destination (32 bits wide in x2APIC form)
 * @vector: vector (SIPI: start page)
 * @mode: delivery mode as in ICR bits 10:8 (SDM 3A 11.6.1)
 * @logical: destination mode is logical
 * @level: level triggered
 * @assert: ICR level bit; false only for the INIT de-assert
 * @x2apic: @dest has 32-bit meaning: 0xffffffff is broadcast, not 0xff
 * @shorthand: ICR bits 19:18: 0 none, 1 self, 2 all, 3 all but self
 */
struct lapic_message {
	u32 dest;
	u8 vector;
	u8 mode;
	bool logical;
	bool level;
	bool assert;
	bool x2apic;
	u8 shorthand;
};

int lapic_init(struct lodge_vcpu *vcpu);
void lapic_destroy(struct lodge_vcpu *vcpu);
void lapic_reset(struct lodge_vcpu *vcpu, bool init);

/* Guest accesses; owner. 0, or -EINVAL for a #GP. */
int lapic_msr_read(struct lodge_vcpu *vcpu, u32 msr, u64 *value);
int lapic_msr_write(struct lodge_vcpu *vcpu, u32 msr, u64 value);
int lapic_base_write(struct lodge_vcpu *vcpu, u64 value, bool from_host);
u64 lapic_tsc_deadline_read(struct lodge_vcpu *vcpu);
void lapic_tsc_deadline_write(struct lodge_vcpu *vcpu, u64 value);
void lapic_tsc_changed(struct lodge_vcpu *vcpu, u64 delta);
void lapic_mmio_read(struct lodge_vcpu *vcpu, u32 offset, u32 width, u64 *value);
void lapic_mmio_write(struct lodge_vcpu *vcpu, u32 offset, u32 width, u64 value);
bool lapic_mmio_here(const struct lodge_vcpu *vcpu, gpa_t gpa);
u64 lapic_cr8_read(const struct lodge_vcpu *vcpu);
void lapic_cr8_write(struct lodge_vcpu *vcpu, u64 value);

/* What the run loop asks; owner. */
u64 lapic_take_timer(struct lodge_vcpu *vcpu);
void lapic_sleep_begin(struct lodge_vcpu *vcpu);
void lapic_sleep_end(struct lodge_vcpu *vcpu);
int lapic_next_vector(struct lodge_vcpu *vcpu);
void lapic_accept(struct lodge_vcpu *vcpu, u8 vector);
void lapic_unaccept(struct lodge_vcpu *vcpu, u8 vector);
bool lapic_next_eoi(struct lodge_vcpu *vcpu, u8 *vector);
bool lapic_is_alone(const struct lodge_vcpu *vcpu, u8 vector);
void lapic_end_alone(struct lodge_vcpu *vcpu, u8 vector);

/* Messages; any thread. Number of vCPUs that took it; MSI: or -EINVAL. */
int lapic_send(struct lodge_vm *vm, struct lodge_vcpu *source, const struct lapic_message *msg);
int lapic_msi_message(u64 address, u32 data, struct lapic_message *msg);
int lapic_message_check(const struct lapic_message *msg);
int lapic_send_msi(struct lodge_vm *vm, u64 address, u32 data);

/* State for LODGE_STATE_LAPIC; owner. */
void lapic_get_state(struct lodge_vcpu *vcpu, struct lodge_lapic *out);
int lapic_check_state(const struct lodge_vcpu *vcpu, const struct lodge_lapic *in);
void lapic_set_state(struct lodge_vcpu *vcpu, const struct lodge_lapic *in);

#endif
