// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline. SDM 3A 11.5.4.
 *
 * In every mode the timer is a time of the guest's TSC. All of it is the owner's, who
 * looks whether that time has come: before an entry, and when the VMX preemption timer,
 * set to it, has ended one (vmx/run.c). Only a vCPU that sleeps has an hrtimer, for as
 * long as it sleeps: one that neither runs nor sleeps costs the host no interrupts.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <asm/tsc.h>

#include "../lodge.h"
#include "regs.h"

/*
 * Each period is begun by the owner, on its way into the guest: were a period shorter
 * than that way, the guest would never execute and its thread would spin in the
 * kernel. One-shot and TSC-deadline need no limit: the guest arms them itself.
 */
#define TIMER_MIN_PERIOD_NS	20000

/* A deadline further away is looked at again after this long. */
#define TIMER_MAX_SLEEP_S	86400

#define TIMER_NS_PER_COUNT	(NSEC_PER_SEC / LAPIC_TIMER_HZ)

static u32 timer_mode(const struct lapic *apic)
{
	return lapic_get(apic, APIC_LVTT) & LAPIC_TIMER_MODE;
}

/* Nanoseconds of @count counts; divide configuration by SDM 3A figure 11-10. */
static u64 count_to_ns(const struct lapic *apic, u32 count)
{
	u32 tdcr = lapic_get(apic, APIC_TDCR);
	u32 shift = ((tdcr & 3) | (tdcr & 8) >> 1) + 1;

	return ((u64)count * TIMER_NS_PER_COUNT) << (shift & 7);
}

static u64 ns_to_ticks(u64 ns)
{
	return mul_u64_u32_div(ns, tsc_khz, NSEC_PER_MSEC);
}

static u64 ticks_to_ns(u64 ticks)
{
	return mul_u64_u32_div(ticks, NSEC_PER_MSEC, tsc_khz);
}

static void raise_timer(struct lapic *apic)
{
	u32 lvt = lapic_get(apic, APIC_LVTT);

	if (lvt & APIC_LVT_MASKED)
		return;
	lapic_raise(apic, lvt & APIC_VECTOR_MASK, false, true);
}

/* The time has come. The next is after now, by whole periods: lateness does not add up. */
static void expire(struct lapic *apic, u64 now)
{
	raise_timer(apic);
	if (apic->timer_period)
		apic->timer_tsc += (div64_u64(now - apic->timer_tsc, apic->timer_period) + 1) *
				   apic->timer_period;
	else
		apic->timer_tsc = 0;
}

/**
 * lapic_take_timer() - do what is due if the timer's time has come
 * @vcpu: the vCPU; owner
 *
 * Return: ticks of the TSC until the timer fires next; U64_MAX when it is stopped.
 */
u64 lapic_take_timer(struct lodge_vcpu *vcpu)
{
	struct lapic *apic = &vcpu->lapic;
	u64 now;

	if (!apic->timer_tsc)
		return U64_MAX;
	now = lodge_guest_tsc(vcpu);
	if (now >= apic->timer_tsc)
		expire(apic, now);
	return apic->timer_tsc ? apic->timer_tsc - now : U64_MAX;
}

static enum hrtimer_restart wake_sleeper(struct hrtimer *timer)
{
	lodge_vcpu_request(container_of(timer, struct lapic, timer)->vcpu, LODGE_REQ_TIMER);
	return HRTIMER_NORESTART;
}

/**
 * lapic_sleep_begin() - have the vCPU's thread woken when the timer fires
 * @vcpu: the vCPU, about to sleep; owner
 *
 * The host's clock is slewed and the TSC is not: who is woken too early sleeps again.
 */
void lapic_sleep_begin(struct lodge_vcpu *vcpu)
{
	u64 ticks = lapic_take_timer(vcpu);

	if (ticks == U64_MAX || lapic_get(&vcpu->lapic, APIC_LVTT) & APIC_LVT_MASKED)
		return;
	ticks = min_t(u64, ticks, (u64)tsc_khz * MSEC_PER_SEC * TIMER_MAX_SLEEP_S);
	hrtimer_start(&vcpu->lapic.timer, ns_to_ktime(ticks_to_ns(ticks) + 1),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

/**
 * lapic_sleep_end() - the vCPU's thread sleeps no more
 * @vcpu: the vCPU; owner
 */
void lapic_sleep_end(struct lodge_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->lapic.timer);
}

/**
 * lapic_timer_stop() - disarm the timer
 * @apic: the APIC; owner
 *
 * What has expired by now is delivered, by the LVT as it stands.
 */
void lapic_timer_stop(struct lapic *apic)
{
	lapic_take_timer(apic->vcpu);
	apic->timer_tsc = 0;
	apic->timer_period = 0;
}

/**
 * lapic_timer_resume() - run the stopped one-shot or periodic timer
 * @apic: the APIC; owner. Mode, initial count and divide configuration are set
 * @ns: nanoseconds until it fires; 0: it stays stopped
 */
void lapic_timer_resume(struct lapic *apic, u64 ns)
{
	u64 period = count_to_ns(apic, lapic_get(apic, APIC_TMICT));

	if (!ns || timer_mode(apic) > APIC_LVT_TIMER_PERIODIC)
		return;
	if (timer_mode(apic) == APIC_LVT_TIMER_PERIODIC)
		apic->timer_period = ns_to_ticks(max_t(u64, period, TIMER_MIN_PERIOD_NS));
	/* Not early; and 0 means stopped. */
	apic->timer_tsc = lodge_guest_tsc(apic->vcpu) + ns_to_ticks(ns) + 1 ?: 1;
}

/**
 * lapic_timer_left() - time until the one-shot or periodic timer fires
 * @apic: the APIC; owner
 *
 * Return: nanoseconds; 0 when it is stopped, has fired, or in TSC-deadline mode.
 */
u64 lapic_timer_left(const struct lapic *apic)
{
	s64 left;

	if (!apic->timer_tsc || timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE)
		return 0;
	left = apic->timer_tsc - lodge_guest_tsc(apic->vcpu);
	if (left <= 0) {
		if (!apic->timer_period)
			return 0;
		left = apic->timer_period - (u64)-left % apic->timer_period;
	}
	return ticks_to_ns(left);
}

/**
 * lapic_timer_count() - the current-count register
 * @apic: the APIC; owner
 *
 * Return: counts until the timer fires, 0 when it does not.
 */
u32 lapic_timer_count(struct lapic *apic)
{
	u64 count = DIV64_U64_ROUND_UP(lapic_timer_left(apic), count_to_ns(apic, 1));

	/* A period that had to be lengthened must not show. */
	return min_t(u64, count, lapic_get(apic, APIC_TMICT));
}

/**
 * lapic_timer_write_count() - write the initial-count register
 * @apic: the APIC; owner
 * @value: counts; 0 stops the timer
 *
 * In TSC-deadline mode the write does nothing (SDM 3A 11.5.4.1).
 */
void lapic_timer_write_count(struct lapic *apic, u32 value)
{
	if (timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE)
		return;
	lapic_timer_stop(apic);
	lapic_put(apic, APIC_TMICT, value);
	lapic_timer_resume(apic, count_to_ns(apic, value));
}

/**
 * lapic_timer_write_divide() - write the divide-configuration register
 * @apic: the APIC; owner
 * @value: APIC_TDR_DIV_*
 *
 * A running timer goes on from its current count at the new rate.
 */
void lapic_timer_write_divide(struct lapic *apic, u32 value)
{
	u32 count = lapic_timer_count(apic);

	if (!count) {
		lapic_put(apic, APIC_TDCR, value);
		return;
	}
	lapic_timer_stop(apic);
	lapic_put(apic, APIC_TDCR, value);
	lapic_timer_resume(apic, count_to_ns(apic, count));
}

/**
 * lapic_timer_write_lvt() - write the LVT timer register
 * @apic: the APIC; owner
 * @value: the value; reserved bits are clear
 *
 * A change of mode disarms the timer (SDM 3A 11.5.4.1).
 */
void lapic_timer_write_lvt(struct lapic *apic, u32 value)
{
	lapic_take_timer(apic->vcpu);
	if ((value ^ lapic_get(apic, APIC_LVTT)) & LAPIC_TIMER_MODE)
		lapic_timer_stop(apic);
	lapic_put(apic, APIC_LVTT, value);
}

/**
 * lapic_tsc_deadline_read() - read IA32_TSC_DEADLINE
 * @vcpu: the vCPU; owner
 *
 * Return: the deadline, guest TSC; 0 when unarmed or in another mode.
 */
u64 lapic_tsc_deadline_read(struct lodge_vcpu *vcpu)
{
	lapic_take_timer(vcpu);
	return timer_mode(&vcpu->lapic) == APIC_LVT_TIMER_TSCDEADLINE ? vcpu->lapic.timer_tsc : 0;
}

/**
 * lapic_tsc_deadline_write() - write IA32_TSC_DEADLINE
 * @vcpu: the vCPU; owner
 * @value: deadline, guest TSC; 0 disarms; one that has passed fires at once
 *
 * Does nothing in another timer mode (SDM 3A 11.5.4.1).
 */
void lapic_tsc_deadline_write(struct lodge_vcpu *vcpu, u64 value)
{
	struct lapic *apic = &vcpu->lapic;

	if (timer_mode(apic) != APIC_LVT_TIMER_TSCDEADLINE)
		return;
	lapic_timer_stop(apic);
	apic->timer_tsc = value;
	lapic_take_timer(vcpu);
}

/**
 * lapic_tsc_changed() - reckon with a guest TSC that has been set
 * @vcpu: the vCPU; owner
 * @delta: by how much
 *
 * A deadline stays what it is; the other modes do not know the TSC.
 */
void lapic_tsc_changed(struct lodge_vcpu *vcpu, u64 delta)
{
	struct lapic *apic = &vcpu->lapic;

	if (apic->timer_tsc && timer_mode(apic) != APIC_LVT_TIMER_TSCDEADLINE)
		apic->timer_tsc = apic->timer_tsc + delta ?: 1;
}

/**
 * lapic_timer_init() - prepare the timer
 * @apic: the APIC, not yet in use
 */
void lapic_timer_init(struct lapic *apic)
{
	hrtimer_init(&apic->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	apic->timer.function = wake_sleeper;
}
