// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline, on one hrtimer.
 * SDM 3A 11.5.4.
 *
 * The hrtimer's handler only says that it has fired. The owner then decides by
 * the clock, sets the vector and arms the next period: so all state but one
 * flag is the owner's, and a vCPU that does not run costs no interrupts.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <asm/tsc.h>

#include "../lodge.h"
#include "regs.h"

/*
 * The owner arms each period, on its way into the guest: were a period shorter
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

static enum hrtimer_restart timer_fires(struct hrtimer *timer)
{
	struct lapic *apic = container_of(timer, struct lapic, timer);

	atomic_set(&apic->timer_fired, 1);
	lodge_vcpu_request(apic->vcpu, LODGE_REQ_TIMER);
	return HRTIMER_NORESTART;
}

/*
 * Pinned: the vCPU most likely still runs on this CPU, where the interrupt
 * itself then brings it out of the guest and no IPI is needed.
 */
static void start_timer(struct lapic *apic, ktime_t target)
{
	apic->timer_target = target;
	hrtimer_start(&apic->timer, target, HRTIMER_MODE_ABS_PINNED_HARD);
}

static void cancel_timer(struct lapic *apic)
{
	hrtimer_cancel(&apic->timer);
	atomic_set(&apic->timer_fired, 0);
}

static bool timer_expired(struct lapic *apic)
{
	if (!apic->timer_target)
		return false;
	if (apic->tsc_deadline)
		return lodge_guest_tsc(apic->vcpu) >= apic->tsc_deadline;
	return ktime_get() >= apic->timer_target;
}

static void raise_timer(struct lapic *apic)
{
	u32 lvt = lapic_get(apic, APIC_LVTT);

	if (!(lvt & APIC_LVT_MASKED))
		lapic_raise(apic, lvt & APIC_VECTOR_MASK, false, true);
}

/* The next expiry after now, by whole periods: lateness does not add up. */
static void next_period(struct lapic *apic)
{
	u64 late = ktime_to_ns(ktime_sub(ktime_get(), apic->timer_target));
	u64 periods = div64_u64(late, apic->timer_period) + 1;

	start_timer(apic, ktime_add_ns(apic->timer_target, periods * apic->timer_period));
}

static void expire(struct lapic *apic)
{
	raise_timer(apic);
	apic->tsc_deadline = 0;
	if (apic->timer_period)
		next_period(apic);
	else
		apic->timer_target = 0;
}

/*
 * Sleep until the guest's TSC reaches the deadline, rounded up. The host's clock
 * is slewed and the TSC is not, so expiry is checked by the TSC again.
 */
static void start_deadline(struct lapic *apic)
{
	u64 now = lodge_guest_tsc(apic->vcpu);
	u64 ticks;

	if (apic->tsc_deadline <= now) {
		expire(apic);
		return;
	}

	ticks = min_t(u64, apic->tsc_deadline - now, (u64)tsc_khz * MSEC_PER_SEC *
		      TIMER_MAX_SLEEP_S);
	start_timer(apic, ktime_add_ns(ktime_get(),
				       mul_u64_u32_div(ticks, NSEC_PER_MSEC, tsc_khz) + 1));
}

/**
 * lapic_take_timer() - take over what the timer's interrupt left
 * @vcpu: the vCPU; owner, for LODGE_REQ_TIMER
 */
void lapic_take_timer(struct lodge_vcpu *vcpu)
{
	struct lapic *apic = &vcpu->lapic;

	if (!atomic_read(&apic->timer_fired))
		return;
	atomic_set(&apic->timer_fired, 0);

	if (timer_expired(apic))
		expire(apic);
	else if (apic->tsc_deadline)
		start_deadline(apic);
	else if (apic->timer_target)
		start_timer(apic, apic->timer_target);
}

/**
 * lapic_timer_stop() - disarm the timer
 * @apic: the APIC; owner
 *
 * What has expired by now is delivered, by the LVT as it stands.
 */
void lapic_timer_stop(struct lapic *apic)
{
	cancel_timer(apic);
	if (timer_expired(apic))
		raise_timer(apic);
	apic->timer_target = 0;
	apic->timer_period = 0;
	apic->tsc_deadline = 0;
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
		apic->timer_period = max_t(u64, period, TIMER_MIN_PERIOD_NS);
	start_timer(apic, ktime_add_ns(ktime_get(), ns));
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

	if (!apic->timer_target || apic->tsc_deadline)
		return 0;
	left = ktime_to_ns(ktime_sub(apic->timer_target, ktime_get()));
	if (left > 0)
		return left;
	if (!apic->timer_period)
		return 0;
	return apic->timer_period - (u64)-left % apic->timer_period;
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
	return vcpu->lapic.tsc_deadline;
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
	apic->tsc_deadline = value;
	if (value)
		start_deadline(apic);
}

/**
 * lapic_tsc_changed() - reckon with a guest TSC that has jumped
 * @vcpu: the vCPU; owner. Its TSC has its new value
 */
void lapic_tsc_changed(struct lodge_vcpu *vcpu)
{
	struct lapic *apic = &vcpu->lapic;

	if (!apic->tsc_deadline)
		return;
	cancel_timer(apic);
	start_deadline(apic);
}

/**
 * lapic_timer_init() - prepare the timer
 * @apic: the APIC, not yet in use
 */
void lapic_timer_init(struct lapic *apic)
{
	hrtimer_init(&apic->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_HARD);
	apic->timer.function = timer_fires;
}
