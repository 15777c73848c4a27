// SPDX-License-Identifier: GPL-2.0
/*
 * kvmclock: a page of guest memory per vCPU from which the guest makes
 * nanoseconds out of its TSC, without an exit.
 *
 * Guest time runs by the host's TSC where the host trusts that. Then all vCPUs
 * share one base, which moves only when the clock is set, so that no two of them
 * can disagree. Where it does not, each update takes a base from
 * CLOCK_MONOTONIC_RAW, and the guest, not seeing the stable bit, keeps time
 * monotonic by itself. A clock goes from the first to the second when the host
 * loses its trust (hostclock.c), and back only by being set.
 */
#include <linux/errno.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/smp.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>

#include "../ept/ept.h"
#include "../lodge.h"
#include "pv.h"

#define SYSTEM_ENABLE	BIT_ULL(0)

/*
 * CLOCK_MONOTONIC_RAW's multiplier has at least 22 significant bits, ours 32: in
 * a suspend's aftermath the one may be behind the other by this fraction.
 */
#define RAW_ERROR_SHIFT	21

/**
 * struct clock_sample - the host's clocks, read together
 * @tsc: TSC
 * @raw_ns: CLOCK_MONOTONIC_RAW
 * @real_ns: CLOCK_REALTIME
 */
struct clock_sample {
	u64 tsc;
	u64 raw_ns;
	u64 real_ns;
};

static void sample_clocks(struct clock_sample *now)
{
	unsigned long flags;

	local_irq_save(flags);
	now->tsc = rdtsc_ordered();
	now->raw_ns = ktime_get_raw_ns();
	now->real_ns = ktime_get_real_ns();
	local_irq_restore(flags);
}

/* -------------------------------------------------------------- arithmetic */

/**
 * kvmclock_scale() - multiplier and shift from TSC ticks to nanoseconds
 * @khz: TSC rate, not 0
 * @mult: ticks shifted by @shift, times this, >> 32, are nanoseconds
 * @shift: left shift; right when negative
 *
 * The multiplier has all its 32 bits and is rounded down: so guests that compute
 * the rate back from it, as Linux does, find @khz exactly.
 */
void kvmclock_scale(u32 khz, u32 *mult, s8 *shift)
{
	u64 scaled;
	s8 s = 20;	/* 10^6 < 2^20: enough for 1 kHz */

	do {
		scaled = div_u64((u64)NSEC_PER_MSEC << (32 - s), khz);
	} while (scaled < BIT_ULL(31) && s-- > -12);

	*mult = scaled;
	*shift = s;
}

/**
 * kvmclock_shifted_ns() - guest time moved on by the host time that has passed
 * @guest_ns: guest time at @then_ns
 * @then_ns: host time then; 0: no time has passed
 * @now_ns: host time now; one before @then_ns counts as @then_ns
 *
 * Return: guest time now, at most S64_MAX, all a guest's clock can take.
 */
u64 kvmclock_shifted_ns(u64 guest_ns, u64 then_ns, u64 now_ns)
{
	u64 passed = then_ns && now_ns > then_ns ? now_ns - then_ns : 0;
	u64 sum;

	if (check_add_overflow(guest_ns, passed, &sum))
		return S64_MAX;
	return min_t(u64, sum, S64_MAX);
}

/**
 * kvmclock_next_version() - the version of a page's next content
 * @version: what the page has now, which the guest may have spoilt
 *
 * Return: an even number; the one before it marks the page while it is written.
 */
u32 kvmclock_next_version(u32 version)
{
	return ((version + 1) | 1) + 1;
}

/**
 * kvmclock_fill() - a vCPU's page, computed
 * @page: the page
 * @base: where guest time stands
 * @tsc_offset: guest TSC = host TSC + this
 *
 * The version is left 0: it follows from what the guest's memory has.
 */
void kvmclock_fill(struct pvclock_vcpu_time_info *page, const struct kvmclock_base *base,
		   u64 tsc_offset)
{
	*page = (struct pvclock_vcpu_time_info) {
		.tsc_timestamp = base->tsc + tsc_offset,
		.system_time = base->ns,
		.tsc_to_system_mul = base->mult,
		.tsc_shift = base->shift,
		.flags = base->stable ? PVCLOCK_TSC_STABLE_BIT : 0,
	};
}

/**
 * kvmclock_ns() - guest time
 * @base: where it stands
 * @tsc: host TSC
 * @raw_ns: CLOCK_MONOTONIC_RAW, taken with @tsc
 *
 * Return: nanoseconds.
 */
u64 kvmclock_ns(const struct kvmclock_base *base, u64 tsc, u64 raw_ns)
{
	if (base->stable)
		return base->ns + pvclock_scale_delta(tsc - base->tsc, base->mult, base->shift);
	/* By a TSC that is off, this CPU's clock may be behind the one of the base. */
	return base->ns + (raw_ns > base->raw_ns ? raw_ns - base->raw_ns : 0);
}

static u64 guest_ns_at(const struct kvmclock_base *base, const struct clock_sample *at)
{
	return kvmclock_ns(base, at->tsc, at->raw_ns);
}

/* ------------------------------------------------------------ the VM's clock */

static struct kvmclock_base read_base(struct lodge_vmclock *clock)
{
	struct kvmclock_base base;

	mutex_lock(&clock->lock);
	base = clock->base;
	mutex_unlock(&clock->lock);
	return base;
}

/* The clock's lock is held, or nothing else runs. */
static void set_base(struct lodge_vmclock *clock, const struct clock_sample *now, u64 ns,
		     bool stable)
{
	struct kvmclock_base *base = &clock->base;

	base->tsc = now->tsc;
	base->raw_ns = now->raw_ns;
	base->ns = ns;
	WRITE_ONCE(base->stable, stable);	/* lodge_vmclock_stable() */
}

static void request_updates(struct lodge_vm *vm)
{
	struct lodge_vcpu *vcpu;

	lodge_for_each_vcpu(vm, vcpu)
		lodge_vcpu_request(vcpu, LODGE_REQ_CLOCK);
}

/**
 * lodge_vmclock_init() - start a VM's clock at 0
 * @vm: the VM, not yet published
 *
 * The host's TSC rate is known, or the module would not have loaded.
 */
void lodge_vmclock_init(struct lodge_vm *vm)
{
	struct lodge_vmclock *clock = &vm->clock;
	struct clock_sample now;

	mutex_init(&clock->lock);
	kvmclock_scale(tsc_khz, &clock->base.mult, &clock->base.shift);
	sample_clocks(&now);
	set_base(clock, &now, 0, kvmclock_tsc_trusted());
}

/**
 * lodge_vmclock_get() - guest time, host time and host TSC taken together
 * @vm: the VM
 * @out: its three members are filled
 *
 * Context: may sleep.
 */
void lodge_vmclock_get(struct lodge_vm *vm, struct lodge_clock *out)
{
	struct kvmclock_base base = read_base(&vm->clock);
	struct clock_sample now;

	sample_clocks(&now);
	out->guest_ns = guest_ns_at(&base, &now);
	out->host_ns = now.real_ns;
	out->host_tsc = now.tsc;
}

/**
 * lodge_vmclock_set() - set guest time
 * @vm: the VM. Paused, if no vCPU shall see another go first
 * @in: guest time, and the host time it was right at, or 0
 *
 * Context: may sleep.
 */
void lodge_vmclock_set(struct lodge_vm *vm, const struct lodge_clock *in)
{
	struct clock_sample now;

	mutex_lock(&vm->clock.lock);
	sample_clocks(&now);
	set_base(&vm->clock, &now, kvmclock_shifted_ns(in->guest_ns, in->host_ns, now.real_ns),
		 kvmclock_tsc_trusted());
	mutex_unlock(&vm->clock.lock);
	request_updates(vm);
}

/* On each CPU: the latest TSC of all. */
static void note_tsc(void *arg)
{
	atomic64_t *latest = arg;
	s64 tsc = rdtsc_ordered();
	s64 seen = atomic64_read(latest);

	while (tsc > seen && !atomic64_try_cmpxchg(latest, &seen, tsc))
		;
}

/**
 * lodge_vmclock_follow() - leave the host's TSC when the host has left it
 * @vm: the VM
 * @trusted: the host trusts its TSC
 *
 * No vCPU sees time go back. While the base changes none is in the guest: each
 * has its request before the interrupt that takes it out, and waits for the lock
 * in kvmclock_update() before it enters again. The new base begins as late as any
 * CPU's TSC could have made it for a guest.
 *
 * The way back is not taken: a guest may by then have read times, from a TSC that
 * was wrong, which no base knows of.
 *
 * Context: may sleep; interrupts every CPU, once in a VM's life.
 */
void lodge_vmclock_follow(struct lodge_vm *vm, bool trusted)
{
	struct lodge_vmclock *clock = &vm->clock;
	atomic64_t latest = ATOMIC64_INIT(0);
	struct clock_sample now;

	mutex_lock(&clock->lock);
	if (clock->base.stable && !trusted) {
		request_updates(vm);
		on_each_cpu(note_tsc, &latest, 1);
		sample_clocks(&now);
		now.tsc = atomic64_read(&latest);
		set_base(clock, &now, guest_ns_at(&clock->base, &now), false);
	}
	mutex_unlock(&clock->lock);
}

/**
 * lodge_vmclock_resync() - go on after a suspend, with a TSC that has restarted
 * @vm: the VM; none of its vCPUs is in the guest
 *
 * CLOCK_MONOTONIC_RAW stood still in between, as guest time is meant to. It may
 * be a little behind the TSC that was, and no vCPU may see time go back.
 *
 * Context: the resume path: interrupts off and nothing else runs. Who holds the
 * clock's lock does not freeze, so nobody does.
 */
void lodge_vmclock_resync(struct lodge_vm *vm)
{
	const struct kvmclock_base *base = &vm->clock.base;
	struct clock_sample now;
	u64 passed;

	sample_clocks(&now);
	passed = now.raw_ns - base->raw_ns;
	set_base(&vm->clock, &now, base->ns + passed + (passed >> RAW_ERROR_SHIFT),
		 base->stable);
	request_updates(vm);
}

/* ------------------------------------------------------------ a vCPU's pages */

/*
 * Guests read the version, the rest, and the version again: it has to be odd in
 * memory while the rest is written. It goes on from what is there, so that no
 * reader, were it one that slept through a migration, takes two for one.
 */
static int write_versioned(struct lodge_mem *mem, u64 gpa, void *page, u32 size)
{
	u32 *version = page;
	u32 odd;
	int err;

	err = lodge_mem_read(mem, gpa, version, sizeof(*version));
	if (err)
		return err;
	*version = kvmclock_next_version(*version);
	odd = *version - 1;

	err = lodge_mem_write(mem, gpa, &odd, sizeof(odd));
	if (err)
		return err;
	smp_wmb();	/* the odd version before the rest */
	err = lodge_mem_write(mem, gpa + sizeof(odd), page + sizeof(odd), size - sizeof(odd));
	if (err)
		return err;
	smp_wmb();	/* the rest before the even version */
	return lodge_mem_write(mem, gpa, version, sizeof(*version));
}

/**
 * kvmclock_system_write() - the guest writes MSR_KVM_SYSTEM_TIME
 * @vcpu: the vCPU; owner
 * @value: gpa of the page; bit 0 enables
 *
 * No guest memory is touched: kvmclock_update() does that before the next entry.
 *
 * Return: 0 or -EINVAL.
 */
int kvmclock_system_write(struct lodge_vcpu *vcpu, u64 value)
{
	u64 gpa = value & ~SYSTEM_ENABLE;

	if (value & SYSTEM_ENABLE &&
	    !pv_address_ok(gpa, sizeof(struct pvclock_vcpu_time_info)))
		return -EINVAL;
	vcpu->clock.system_msr = value;
	set_bit(LODGE_REQ_CLOCK, &vcpu->requests);
	return 0;
}

/**
 * kvmclock_wall_write() - the guest writes MSR_KVM_WALL_CLOCK
 * @vcpu: the vCPU; owner
 * @value: gpa of a struct pvclock_wall_clock to fill in once
 *
 * No guest memory is touched: kvmclock_update() does that before the next entry.
 *
 * Return: 0 or -EINVAL.
 */
int kvmclock_wall_write(struct lodge_vcpu *vcpu, u64 value)
{
	if (!pv_address_ok(value, sizeof(struct pvclock_wall_clock)))
		return -EINVAL;
	vcpu->clock.wall_msr = value;
	/* 0 is what a guest writes that wants no more of it. */
	vcpu->clock.wall_due = value != 0;
	set_bit(LODGE_REQ_CLOCK, &vcpu->requests);
	return 0;
}

static int update_system_time(struct lodge_vcpu *vcpu)
{
	u64 gpa = vcpu->clock.system_msr & ~SYSTEM_ENABLE;
	struct kvmclock_base base = read_base(&vcpu->vm->clock);
	struct pvclock_vcpu_time_info page;
	struct clock_sample now;

	if (!base.stable) {
		sample_clocks(&now);
		base.ns = guest_ns_at(&base, &now);
		base.tsc = now.tsc;
	}

	kvmclock_fill(&page, &base, vcpu->vmx.tsc_offset);
	return write_versioned(&vcpu->vm->mem, gpa, &page, sizeof(page));
}

/* Wall-clock time when guest time was 0; a guest asks once, at boot. */
static int update_wall_clock(struct lodge_vcpu *vcpu)
{
	struct pvclock_wall_clock page;
	struct lodge_clock now;
	u32 nsec;

	lodge_vmclock_get(vcpu->vm, &now);
	page.sec = div_u64_rem(now.host_ns - min(now.host_ns, now.guest_ns), NSEC_PER_SEC, &nsec);
	page.nsec = nsec;
	return write_versioned(&vcpu->vm->mem, vcpu->clock.wall_msr, &page, sizeof(page));
}

/**
 * kvmclock_update() - bring a vCPU's pages up to date
 * @vcpu: the vCPU; owner
 *
 * To be called for LODGE_REQ_CLOCK, which is set when one of the MSRs, the VM's
 * clock or (by whoever changes it) the vCPU's TSC offset has changed; and, while
 * the VM's clock is not stable, when the vCPU has been loaded on a CPU.
 *
 * Context: may sleep, killable; writes guest memory.
 */
void kvmclock_update(struct lodge_vcpu *vcpu)
{
	struct lodge_vcpu_clock *clock = &vcpu->clock;
	int system = 0, wall = 0;

	if (clock->system_msr & SYSTEM_ENABLE)
		system = update_system_time(vcpu);
	if (clock->wall_due)
		wall = update_wall_clock(vcpu);
	clock->wall_due = wall == -EINTR;

	/* Who kills this thread does not mean the guest: the next one goes on. */
	if (system == -EINTR || wall == -EINTR)
		set_bit(LODGE_REQ_CLOCK, &vcpu->requests);
	/* Not memory: this clock is off; the wall clock is none, and its MSR stays. */
	else if (system)
		clock->system_msr &= ~SYSTEM_ENABLE;
}

/**
 * kvmclock_reset() - forget the pages, as after power-on and INIT
 * @vcpu: the vCPU; owner
 */
void kvmclock_reset(struct lodge_vcpu *vcpu)
{
	vcpu->clock.system_msr = 0;
	vcpu->clock.wall_msr = 0;
	vcpu->clock.wall_due = false;
}
