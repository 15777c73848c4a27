// SPDX-License-Identifier: GPL-2.0
/*
 * Does the host still trust its TSC? The kernel's timekeeper says so with each
 * update of its clocks; when the answer turns to no, every VM's clock is told.
 *
 * The timekeeper calls with its own lock held, inside a seqcount section that
 * readers of the time spin on: so nothing is done there but to note the answer
 * and to raise an interrupt, which hands on to a work item. It may sleep.
 */
#include <linux/clocksource.h>
#include <linux/cpufeature.h>
#include <linux/irq_work.h>
#include <linux/notifier.h>
#include <linux/pvclock_gtod.h>
#include <linux/timekeeper_internal.h>
#include <linux/workqueue.h>
#include <asm/tsc.h>

#include "../lodge.h"
#include "pv.h"

static bool tsc_trusted;	/* written under the timekeeper's lock; read by anyone */

/**
 * kvmclock_tsc_trusted() - may guest time run by the host's TSC?
 *
 * Only where the host's own time does: a TSC may be good for nothing long before
 * anybody proves it, and CLOCK_MONOTONIC_RAW goes by what the host has chosen.
 *
 * Context: any.
 */
bool kvmclock_tsc_trusted(void)
{
	return READ_ONCE(tsc_trusted);
}

static void follow(struct lodge_vm *vm)
{
	lodge_vmclock_follow(vm, kvmclock_tsc_trusted());
}

static void tell_vms(struct work_struct *work)
{
	lodge_vms_each(follow);
}

static DECLARE_WORK(tell_work, tell_vms);

/* Freezable: suspend finds no clock half way from one base to the next. */
static void queue_telling(struct irq_work *work)
{
	queue_work(system_freezable_wq, &tell_work);
}

static DEFINE_IRQ_WORK(tell_irq_work, queue_telling);

static int timekeeper_updated(struct notifier_block *nb, unsigned long was_set, void *data)
{
	const struct timekeeper *tk = data;
	bool now = tk->tkr_mono.clock->vdso_clock_mode == VDSO_CLOCKMODE_TSC &&
		   boot_cpu_has(X86_FEATURE_CONSTANT_TSC) &&
		   boot_cpu_has(X86_FEATURE_NONSTOP_TSC) && !check_tsc_unstable();

	if (now == tsc_trusted)
		return NOTIFY_DONE;
	WRITE_ONCE(tsc_trusted, now);
	if (!now)
		irq_work_queue(&tell_irq_work);
	return NOTIFY_DONE;
}

static struct notifier_block timekeeper_notifier = { .notifier_call = timekeeper_updated };

/**
 * kvmclock_module_init() - start to listen to the timekeeper; before the first VM
 *
 * It answers at once, so kvmclock_tsc_trusted() is right from here on.
 */
void kvmclock_module_init(void)
{
	/* Fails only for a notifier that is registered already. */
	pvclock_gtod_register_notifier(&timekeeper_notifier);
}

/** kvmclock_module_exit() - stop listening; what has been queued is done by then */
void kvmclock_module_exit(void)
{
	pvclock_gtod_unregister_notifier(&timekeeper_notifier);
	irq_work_sync(&tell_irq_work);
	cancel_work_sync(&tell_work);
}
