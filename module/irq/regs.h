/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of irq/ share and nobody else sees: the register page of a
 * local APIC, its mode, and the calls between the files.
 */
#ifndef LODGE_IRQ_REGS_H
#define LODGE_IRQ_REGS_H

#include <linux/bitops.h>
#include <linux/bits.h>
#include <asm/apicdef.h>
#include <asm/msr-index.h>

#include "lapic.h"

#define LAPIC_NR_SLOTS		64	/* registers stand 16 bytes apart */
#define LAPIC_FIRST_VECTOR	16	/* below: illegal (SDM 3A 11.5.2) */
#define LAPIC_TIMER_MODE	(3 << 17)	/* LVT timer mode (SDM 3A 11.5.4) */

/* IA32_APIC_BASE bits 11:10: enable, x2APIC (SDM 3A table 11-5). */
enum lapic_mode {
	LAPIC_DISABLED,
	LAPIC_INVALID,
	LAPIC_XAPIC,
	LAPIC_X2APIC,
};

static inline enum lapic_mode lapic_base_mode(u64 base)
{
	return (base & (XAPIC_ENABLE | X2APIC_ENABLE)) / X2APIC_ENABLE;
}

static inline enum lapic_mode lapic_mode(const struct lapic *apic)
{
	return lapic_base_mode(READ_ONCE(apic->base));
}

static inline u32 lapic_get(const struct lapic *apic, u32 offset)
{
	return READ_ONCE(*(u32 *)(apic->regs + offset));
}

static inline void lapic_put(struct lapic *apic, u32 offset, u32 value)
{
	WRITE_ONCE(*(u32 *)(apic->regs + offset), value);
}

/* Enabled by SVR; what it is in IA32_APIC_BASE is another matter. */
static inline bool lapic_software_enabled(const struct lapic *apic)
{
	return lapic_get(apic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

/* The word of @set (APIC_ISR, APIC_TMR, APIC_IRR) that holds @vector in bits 31:0. */
static inline unsigned long *lapic_vector_word(const struct lapic *apic, u32 set, u8 vector)
{
	return apic->regs + set + (vector >> 5) * 0x10;
}

static inline bool lapic_vector_test(const struct lapic *apic, u32 set, u8 vector)
{
	return test_bit(vector & 31, lapic_vector_word(apic, set, vector));
}

/* lapic.c */
int lapic_base_check(const struct lodge_vcpu *vcpu, u64 base);
void lapic_base_put(struct lapic *apic, u64 base);
bool lapic_raise(struct lapic *apic, u8 vector, bool level, bool own);
void lapic_error(struct lapic *apic, u32 bits, bool own);
void lapic_eoi(struct lapic *apic);
void lapic_look(struct lapic *apic);
u32 lapic_ppr(const struct lapic *apic);
u32 lapic_x2apic_ldr(u32 id);

/* access.c */
u32 lapic_reg_holds(const struct lodge_vcpu *vcpu, u32 offset);

/* message.c */
void lapic_send_icr(struct lapic *apic, u32 low, u32 dest);

/* timer.c */
void lapic_timer_init(struct lapic *apic);
void lapic_timer_stop(struct lapic *apic);
void lapic_timer_resume(struct lapic *apic, u64 ns);
u64 lapic_timer_left(const struct lapic *apic);
u32 lapic_timer_count(struct lapic *apic);
void lapic_timer_write_count(struct lapic *apic, u32 value);
void lapic_timer_write_divide(struct lapic *apic, u32 value);
void lapic_timer_write_lvt(struct lapic *apic, u32 value);

#endif
