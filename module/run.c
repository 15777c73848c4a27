// SPDX-License-Identifier: GPL-2.0
/*
 * RUN: take the inputs, loop between requests and the guest, leave with a
 * reason. And how other threads get at a vCPU that is in here.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "lodge.h"
#include "vmx/load.h"

/* ---------------------------------------------------------- ownership of a vCPU */

/*
 * RUN is the owner without taking a lock. It says that it is there, and then looks
 * whether anybody waits; who wants the vCPU says so, and then looks whether RUN is
 * there. With a full barrier in between on both sides one sees the other, and if both
 * do RUN stands back.
 */

static bool lodge_run_owns(struct lodge_vcpu *vcpu)
{
	return atomic_read_acquire(&vcpu->running) == LODGE_RUN_OWNS;
}

/**
 * lodge_vcpu_lock_killable() - become the owner of a vCPU
 * @vcpu: the vCPU
 *
 * A thread in RUN leaves the guest and lends the vCPU; see lodge_lend(). Ends
 * with lodge_vcpu_unlock().
 *
 * Context: may sleep.
 * Return: 0, or -EINTR when the caller is being killed.
 */
int lodge_vcpu_lock_killable(struct lodge_vcpu *vcpu)
{
	atomic_inc(&vcpu->state_waiters);
	if (mutex_lock_killable(&vcpu->mutex))
		goto err;
	/* Pairs with RUN's; see above. */
	smp_mb();
	if (lodge_run_owns(vcpu)) {
		lodge_vcpu_request(vcpu, LODGE_REQ_STATE);
		if (wait_event_killable(vcpu->state_wait, !lodge_run_owns(vcpu)))
			goto err_unlock;
	}
	return 0;

err_unlock:
	mutex_unlock(&vcpu->mutex);
err:
	atomic_dec(&vcpu->state_waiters);
	return -EINTR;
}

/**
 * lodge_vcpu_unlock() - end what lodge_vcpu_lock_killable() started
 * @vcpu: the vCPU
 */
void lodge_vcpu_unlock(struct lodge_vcpu *vcpu)
{
	mutex_unlock(&vcpu->mutex);
	atomic_dec(&vcpu->state_waiters);
}

/*
 * RUN lets who waits for the vCPU have it, and gets in line behind them: it has its turn,
 * for the mutex is fair, and who comes later finds it the owner. One of them may keep the
 * vCPU for long: who walks page tables waits for the memory they are in.
 *
 * Return: 0 when RUN is the owner, -EINTR when it is being killed and is not.
 */
static noinline int lodge_run_stand_back(struct lodge_vcpu *vcpu)
{
	atomic_set_release(&vcpu->running, LODGE_RUN_LENT);
	wake_up(&vcpu->state_wait);
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	atomic_set(&vcpu->running, LODGE_RUN_OWNS);
	vcpu->turn_tsc = vcpu->stats.guest_tsc;
	mutex_unlock(&vcpu->mutex);
	return 0;
}

/* Host state back into the CPU. Return: 0, or -EIO when the vCPU has got lost. */
static __always_inline int lodge_run_end(struct lodge_vcpu *vcpu)
{
	if (likely(vcpu->hold == LODGE_HOLD_PIN)) {
		lodge_vcpu_unpin(vcpu);
		return 0;
	}
	/* Or lent, and VMX has gone meanwhile. */
	return vcpu->hold ? lodge_vcpu_put(vcpu) : 0;
}

/* Return: LODGE_NEXT_ENTER, LODGE_NEXT_LOST, -EIO. */
static noinline int lodge_lend(struct lodge_vcpu *vcpu)
{
	lodge_run_end(vcpu);
	return lodge_run_stand_back(vcpu) ? LODGE_NEXT_LOST : lodge_vcpu_load(vcpu);
}

/* ------------------------------------------------------------- slots of CPU time */

/*
 * Where the scheduler of vCPUs has its say: between get and put the vCPU may be
 * in the guest. Today the host's scheduler alone decides.
 */
static int lodge_slot_get(struct lodge_vcpu *vcpu)
{
	return 0;
}

static void lodge_slot_put(struct lodge_vcpu *vcpu)
{
}

/* ----------------------------------------------------------------------- requests */

static void lodge_take_nmis(struct lodge_vcpu *vcpu)
{
	/* One being handled or pending, one behind it; more are lost. */
	int sent = atomic_xchg(&vcpu->nmis_sent, 0);

	vcpu->nmis_queued = min(2, vcpu->nmis_queued + sent);
}

static void lodge_take_init(struct lodge_vcpu *vcpu)
{
	lodge_vcpu_init_reset(vcpu, true);
}

/* SDM 3A 9.4.4: real mode, CS:IP = vector << 12. */
static void lodge_take_sipi(struct lodge_vcpu *vcpu)
{
	struct lodge_segment cs;
	u8 vector = READ_ONCE(vcpu->sipi_vector);

	if (vcpu->mp_state != LODGE_MP_WAIT_SIPI)
		return;	/* ignored by a CPU that runs */
	vmx_segment_read(vcpu, LODGE_SEG_CS, &cs);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	vmx_segment_write(vcpu, LODGE_SEG_CS, &cs);
	lodge_rip_write(vcpu, 0);
	vcpu->mp_state = LODGE_MP_RUNNABLE;
}

static void lodge_take_nothing(struct lodge_vcpu *vcpu)
{
	/* The look at the APIC and its timer comes anyway, as after any request. */
}

/* Requests that do not leave RUN, in the order in which they are taken. */
static const struct {
	enum lodge_request request;
	void (*take)(struct lodge_vcpu *vcpu);
} lodge_requests[] = {
	{ LODGE_REQ_INIT, lodge_take_init },
	{ LODGE_REQ_SIPI, lodge_take_sipi },
	{ LODGE_REQ_TIMER, lodge_take_nothing },
	{ LODGE_REQ_NMI, lodge_take_nmis },
	{ LODGE_REQ_IRQ, lodge_take_nothing },
	{ LODGE_REQ_CLOCK, kvmclock_update },
};

static bool lodge_test_and_clear(struct lodge_vcpu *vcpu, enum lodge_request request)
{
	return test_bit(request, &vcpu->requests) &&
	       test_and_clear_bit(request, &vcpu->requests);
}

/* The end of RUN: an exit of no instruction. */
static int lodge_leave(struct lodge_vcpu *vcpu, u32 reason)
{
	lodge_exit_fill(vcpu, reason);
	return reason == LODGE_EXIT_KICK || reason == LODGE_EXIT_SIGNAL ? -EINTR :
									  LODGE_NEXT_LEAVE;
}

/* Return: true when the vCPU executes instructions. */
static bool lodge_runnable(struct lodge_vcpu *vcpu)
{
	if (vcpu->mp_state == LODGE_MP_HALTED) {
		lapic_take_timer(vcpu);
		if (vmx_can_wake(vcpu))
			vcpu->mp_state = LODGE_MP_RUNNABLE;
	}
	return vcpu->mp_state == LODGE_MP_RUNNABLE;
}

/* Return: enum lodge_next, or -errno to end RUN with. */
static noinline int lodge_take_requests(struct lodge_vcpu *vcpu)
{
	int i, ret;

	lodge_vcpu_settle(vcpu);
	/* What another CPU wrote before it set a bit is seen after the bit is. */
	smp_rmb();
	vcpu->vmx.recheck = true;
	/* The bit stays while it is RUN's turn: see vmx_takes_turn(). */
	if (!(lodge_has_turn(vcpu) && lodge_runnable(vcpu)) &&
	    lodge_test_and_clear(vcpu, LODGE_REQ_STATE)) {
		ret = lodge_lend(vcpu);
		if (ret != LODGE_NEXT_ENTER)
			return ret;
	}
	for (i = 0; i < ARRAY_SIZE(lodge_requests); i++)
		if (lodge_test_and_clear(vcpu, lodge_requests[i].request))
			lodge_requests[i].take(vcpu);
	if (lodge_test_and_clear(vcpu, LODGE_REQ_SHUTDOWN))
		return lodge_leave(vcpu, LODGE_EXIT_SHUTDOWN);
	if (lodge_test_and_clear(vcpu, LODGE_REQ_KICK))
		return lodge_leave(vcpu, LODGE_EXIT_KICK);
	if (lodge_test_and_clear(vcpu, LODGE_REQ_PAUSE) && READ_ONCE(vcpu->vm->paused)) {
		set_bit(LODGE_REQ_PAUSE, &vcpu->requests);	/* for lodge_run_over() */
		return lodge_leave(vcpu, LODGE_EXIT_PAUSED);
	}
	return LODGE_NEXT_ENTER;
}

/* What the host wants of the thread. Return: as lodge_take_requests(). */
static int lodge_host_wants(struct lodge_vcpu *vcpu)
{
	if (likely(!(read_thread_flags() & VMX_THREAD_WANTED)))
		return LODGE_NEXT_ENTER;
	if (signal_pending(current))
		return lodge_leave(vcpu, LODGE_EXIT_SIGNAL);
	/*
	 * Task work, rseq, memory-cgroup throttling: done on the way to user mode. Not
	 * before the guest has got on: a thread that a tracer stops on its way into RUN
	 * comes with rseq's wish each time.
	 */
	if (test_thread_flag(TIF_NOTIFY_RESUME) &&
	    (vcpu->thread_wanted == VMX_THREAD_WANTED || !lodge_runnable(vcpu)))
		return lodge_leave(vcpu, LODGE_EXIT_HOST_WORK);
	lodge_vcpu_settle(vcpu);
	cond_resched();
	return LODGE_NEXT_ENTER;
}

/* ----------------------------------------------------------------------- the loop */

/* HLT, or waiting for SIPI: sleep until somebody has a request, or a signal. */
static noinline void lodge_block(struct lodge_vcpu *vcpu)
{
	lodge_vcpu_settle(vcpu);
	vcpu->stats.halts++;
	lapic_sleep_begin(vcpu);
	/* Others may have had the CPU since anybody looked: has the timer fired meanwhile? */
	if (!lodge_runnable(vcpu))
		rcuwait_wait_event(&vcpu->wait,
				   READ_ONCE(vcpu->requests) || signal_pending(current),
				   TASK_INTERRUPTIBLE);
	lapic_sleep_end(vcpu);
}

/* What others want of the vCPU, and the host of the thread. Return: as they do. */
static __always_inline int lodge_look(struct lodge_vcpu *vcpu)
{
	int next = LODGE_NEXT_ENTER;

	if (READ_ONCE(vcpu->requests))
		next = lodge_take_requests(vcpu);
	return next == LODGE_NEXT_ENTER ? lodge_host_wants(vcpu) : next;
}

/* Wait until the vCPU may be runnable, or leaves RUN. Return: as lodge_look(). */
static noinline int lodge_wait(struct lodge_vcpu *vcpu)
{
	int next = lodge_look(vcpu);

	if (next == LODGE_NEXT_ENTER && !lodge_runnable(vcpu))
		lodge_block(vcpu);
	return next;
}

/* Once into the guest. Return: as vmx_vcpu_enter(). */
static __always_inline int lodge_go(struct lodge_vcpu *vcpu)
{
	int next = lodge_slot_get(vcpu);

	if (!next) {
		next = vmx_vcpu_enter(vcpu);
		lodge_slot_put(vcpu);
	}
	return next;
}

static noinline bool lodge_leave_for_eoi(struct lodge_vcpu *vcpu)
{
	u8 vector;

	if (!lapic_next_eoi(vcpu, &vector))
		return false;
	lodge_irqfd_eoi(vcpu, vector);
	lodge_exit_fill(vcpu, LODGE_EXIT_EOI)->eoi.vector = vector;
	return true;
}

/* Return: LODGE_NEXT_LEAVE with the exit filled, LODGE_NEXT_LOST, or -errno. */
static __always_inline int lodge_loop(struct lodge_vcpu *vcpu)
{
	int next;

	do {
		if (unlikely(vcpu->lapic.eoi_due) && lodge_leave_for_eoi(vcpu))
			return LODGE_NEXT_LEAVE;
		/* Nobody has been asked yet what he wants; vmx_vcpu_enter() looks, too. */
		next = likely(lodge_runnable(vcpu)) ? lodge_go(vcpu) : lodge_wait(vcpu);
		if (next == LODGE_NEXT_ENTER)
			next = lodge_look(vcpu);
	} while (next == LODGE_NEXT_ENTER);
	return next;
}

/* --------------------------------------------------------------- inputs, outputs */

/* The data of an IN, in the part of RAX that the instruction writes. */
static void lodge_complete_in(struct lodge_vcpu *vcpu, u32 width, u64 data)
{
	u64 mask = GENMASK(width * 8 - 1, 0);
	u64 rax = vcpu->regs[LODGE_RAX];

	/* As any 32-bit result, a 32-bit IN clears bits 63:32. */
	vcpu->regs[LODGE_RAX] = width == 4 ? (u32)data : (rax & ~mask) | (data & mask);
}

/*
 * Finish the instruction that left. Pinned or loaded. With an error the data waits
 * until the caller has made room.
 */
static __always_inline int lodge_complete(struct lodge_vcpu *vcpu, u32 complete, u64 data)
{
	const struct lodge_pending_io *p = &vcpu->pending;

	if (unlikely(complete == LODGE_COMPLETE_FAULT)) {
		lodge_inject_gp(vcpu);
		return 0;
	}
	if (p->reason == LODGE_EXIT_MMIO)
		return lodge_mmio_complete(vcpu, &p->insn, data);
	if (p->reason == LODGE_EXIT_PIO) {
		if (p->port_in)
			lodge_complete_in(vcpu, p->width, data);
	} else if (p->reason == LODGE_EXIT_RDMSR) {
		vcpu->regs[LODGE_RAX] = (u32)data;
		vcpu->regs[LODGE_RDX] = data >> 32;
	}
	lodge_skip(vcpu, p->insn_len);
	return 0;
}

/* Nothing of the guest has changed yet. */
static noinline int lodge_check_inputs(struct lodge_vcpu *vcpu, u64 wanted, u64 dirty, u32 flags)
{
	u64 bad;

	lodge_vcpu_settle(vcpu);
	if (flags & ~LODGE_RUN_F_BYTES || (dirty | wanted) & ~LODGE_STATE_SHARED ||
	    READ_ONCE(vcpu->run->reserved))
		return -EINVAL;
	if (!dirty)
		return 0;
	bad = lodge_state_from_page(vcpu, dirty, false);
	if (!bad)
		return 0;
	vcpu->run->dirty = bad;
	return -EINVAL;
}

/* What the caller has changed; checked already, but the page is the caller's. */
static noinline int lodge_take_dirty(struct lodge_vcpu *vcpu, u64 dirty)
{
	if (lodge_state_from_page(vcpu, dirty, true))
		return -EINVAL;
	vcpu->run->dirty = 0;
	return 0;
}

/*
 * Take what the caller has put into the page, each input read once; @wanted and @flags
 * have been. Mostly there is nothing but a completion. Pinned.
 */
static __always_inline int lodge_take_inputs(struct lodge_vcpu *vcpu, u64 wanted, u32 flags)
{
	struct lodge_run *run = vcpu->run;
	u32 complete = READ_ONCE(run->complete);
	u64 dirty = READ_ONCE(run->dirty);
	int ret;

	if (complete && (complete > LODGE_COMPLETE_FAULT ||
			 vcpu->pending.reason == LODGE_EXIT_NONE))
		return -EINVAL;
	if (unlikely(wanted | dirty | flags | READ_ONCE(run->reserved))) {
		ret = lodge_check_inputs(vcpu, wanted, dirty, flags);
		if (ret)
			return ret;
	}
	if (complete) {
		ret = lodge_complete(vcpu, complete, READ_ONCE(run->data));
		if (ret)
			return ret;
		run->complete = LODGE_COMPLETE_NONE;
	}
	vcpu->pending.reason = LODGE_EXIT_NONE;
	return unlikely(dirty) ? lodge_take_dirty(vcpu, dirty) : 0;
}

/* Where the guest is at its end the instruction bytes are worth a page walk. */
#define LODGE_LAST_EXITS						\
	(BIT(LODGE_EXIT_UNHANDLED) | BIT(LODGE_EXIT_SHUTDOWN) | BIT(LODGE_EXIT_MEM_FAULT))

/* Other threads of the program can write the page. */
static __always_inline bool lodge_is_last_exit(const struct lodge_vcpu *vcpu)
{
	return BIT(READ_ONCE(vcpu->run->exit.reason) % BITS_PER_LONG) & LODGE_LAST_EXITS;
}

static noinline void lodge_give_more(struct lodge_vcpu *vcpu, u64 wanted, u32 flags)
{
	struct lodge_exit *e = &vcpu->run->exit;
	int nr;

	if (!(e->flags & LODGE_EXIT_F_BYTES) &&
	    (flags & LODGE_RUN_F_BYTES || lodge_is_last_exit(vcpu))) {
		nr = lodge_insn_fetch(vcpu, e->insn, LODGE_INSN_MAX);
		if (nr > 0) {
			e->insn_bytes = nr;
			e->flags |= LODGE_EXIT_F_BYTES;
		}
	}
	if (wanted)
		lodge_state_to_page(vcpu, wanted);
}

/* Fill the page for the caller. Loaded or pinned. */
static __always_inline void lodge_give_outputs(struct lodge_vcpu *vcpu, u64 wanted, u32 flags)
{
	struct lodge_run *run = vcpu->run;

	run->exit.seq = ++vcpu->stats.user_exits;
	run->valid = wanted;
	if (unlikely((wanted | flags) || lodge_is_last_exit(vcpu)))
		lodge_give_more(vcpu, wanted, flags);
}

/* Return: LODGE_NEXT_LOST, or what RUN returns. */
static __always_inline long lodge_run_owned(struct lodge_vcpu *vcpu)
{
	u64 wanted = READ_ONCE(vcpu->run->wanted);
	u32 flags = READ_ONCE(vcpu->run->flags);
	int ret;

	ret = lodge_vcpu_pin(vcpu);
	if (ret)
		return ret;
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		lodge_vcpu_settle(vcpu);	/* spinlocks sleep there */
	ret = lodge_take_inputs(vcpu, wanted, flags);
	if (!ret) {
		vcpu->thread_wanted = VMX_THREAD_WANTED & ~_TIF_NOTIFY_RESUME;
		ret = lodge_loop(vcpu);
		if (ret == LODGE_NEXT_LOST)
			return ret;
		if (ret == LODGE_NEXT_LEAVE || ret == -EINTR)
			lodge_give_outputs(vcpu, wanted, flags);
	}
	return lodge_run_end(vcpu) ?: (ret == LODGE_NEXT_LEAVE ? 0 : ret);
}

/* Somebody may wait for RUN's end. */
static noinline void lodge_run_tell(struct lodge_vcpu *vcpu)
{
	wake_up(&vcpu->vm->pause_wait);
	wake_up(&vcpu->state_wait);
}

/*
 * RUN is over: say so to who waits for it, and has said so by a request: PAUSE, or a
 * thread that wants the vCPU. Return: @ret.
 */
static __always_inline long lodge_run_over(struct lodge_vcpu *vcpu, long ret)
{
	atomic_set_release(&vcpu->running, LODGE_RUN_NONE);
	/* Pairs with lodge_vcpu_wake()'s, before they start to wait. */
	smp_mb();
	if (unlikely(READ_ONCE(vcpu->requests)))
		lodge_run_tell(vcpu);
	return ret;
}

/* Apart, since its frame is large and lodge_run_kicked() is in a hurry. */
static noinline long lodge_run_whole(struct lodge_vcpu *vcpu)
{
	long ret = LODGE_NEXT_LOST;

	/* Seen after the full barrier of lodge_vcpu_run(). */
	if (likely(!atomic_read_acquire(&vcpu->state_waiters)) || !lodge_run_stand_back(vcpu))
		ret = lodge_run_owned(vcpu);
	return lodge_run_over(vcpu, ret == LODGE_NEXT_LOST ? -EINTR : ret);
}

/*
 * A RUN that finds nothing but a kick, and is asked for nothing, needs no vCPU: it
 * consumes the kick and says where the guest is. RIP is known since the exit
 * before, or since it was set.
 *
 * Only RUN writes the exit, and we are the one: other threads may look at the vCPU
 * meanwhile.
 */
static bool lodge_run_kicked(struct lodge_vcpu *vcpu)
{
	struct lodge_run *run = vcpu->run;
	struct lodge_exit *e = &run->exit;

	if (READ_ONCE(vcpu->requests) != BIT(LODGE_REQ_KICK) ||
	    READ_ONCE(run->wanted) | READ_ONCE(run->dirty) | READ_ONCE(run->complete) |
	    READ_ONCE(run->flags) | READ_ONCE(run->reserved) ||
	    read_thread_flags() & (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL))
		return false;
	clear_bit(LODGE_REQ_KICK, &vcpu->requests);
	vcpu->pending.reason = LODGE_EXIT_NONE;
	e->reason = LODGE_EXIT_KICK;
	e->flags = 0;
	e->rip = READ_ONCE(vcpu->vmx.rip);
	e->next_rip = 0;
	e->insn_len = 0;
	e->insn_bytes = 0;
	e->seq = ++vcpu->stats.user_exits;
	run->valid = 0;
	return true;
}

/**
 * lodge_vcpu_run() - LODGE_VCPU_RUN
 * @vcpu: the vCPU
 *
 * Context: may sleep; the calling thread is the vCPU's while it lasts.
 * Return: 0 with the page's exit filled; -EINTR kicked or signalled, filled as
 * well unless the thread is being killed; -EBUSY another thread is in RUN; -EPERM
 * the caller's memory is not the VM's; -EINVAL bad inputs; -EFAULT a completed MOVS
 * has nowhere to put its data, and waits at it; -EIO no VMX on this CPU, or the
 * vCPU is lost.
 */
long lodge_vcpu_run(struct lodge_vcpu *vcpu)
{
	struct lodge_vm *vm = vcpu->vm;

	if (current->mm != vm->mem.mm)
		return -EPERM;
	if (atomic_cmpxchg(&vcpu->running, LODGE_RUN_NONE, LODGE_RUN_OWNS))
		return -EBUSY;
	/* After a full barrier: PAUSE sees us running, or we see it pausing. */
	if (unlikely(READ_ONCE(vm->paused)))
		set_bit(LODGE_REQ_PAUSE, &vcpu->requests);
	if (lodge_run_kicked(vcpu))
		return lodge_run_over(vcpu, -EINTR);
	return lodge_run_whole(vcpu);
}
