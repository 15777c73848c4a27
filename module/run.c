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

/* ---------------------------------------------------------- ownership of a vCPU */

/**
 * lodge_vcpu_lock_killable() - become the owner of a vCPU
 * @vcpu: the vCPU
 *
 * A thread in RUN leaves the guest and lends the vCPU; see lodge_lend(). Ends
 * with mutex_unlock(&vcpu->mutex).
 *
 * Context: may sleep.
 * Return: 0, or -EINTR when the caller is being killed.
 */
int lodge_vcpu_lock_killable(struct lodge_vcpu *vcpu)
{
	int ret;

	atomic_inc(&vcpu->state_waiters);
	lodge_vcpu_request(vcpu, LODGE_REQ_STATE);
	ret = mutex_lock_killable(&vcpu->mutex);
	if (atomic_dec_and_test(&vcpu->state_waiters))
		wake_up(&vcpu->state_wait);
	return ret;
}

/* Host state back into the CPU. Return: 0, or -EIO when the vCPU has got lost. */
static int lodge_run_end(struct lodge_vcpu *vcpu)
{
	/* Or lent, and VMX has gone meanwhile. */
	return vcpu->hold ? lodge_vcpu_put(vcpu) : 0;
}

/*
 * Let those who wait for the vCPU have it first. One of them may keep it for long:
 * who walks page tables waits for the memory they are in.
 *
 * Return: LODGE_NEXT_ENTER, LODGE_NEXT_LOST, -EIO.
 */
static noinline int lodge_lend(struct lodge_vcpu *vcpu)
{
	lodge_run_end(vcpu);
	mutex_unlock(&vcpu->mutex);
	if (wait_event_killable(vcpu->state_wait, !atomic_read(&vcpu->state_waiters)) ||
	    mutex_lock_killable(&vcpu->mutex))
		return LODGE_NEXT_LOST;
	return lodge_vcpu_load(vcpu);
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
	lodge_exit_fill(vcpu, reason, 0);
	return reason == LODGE_EXIT_KICK || reason == LODGE_EXIT_SIGNAL ? -EINTR :
									  LODGE_NEXT_LEAVE;
}

/* Return: enum lodge_next, or -errno to end RUN with. */
static noinline int lodge_take_requests(struct lodge_vcpu *vcpu)
{
	int i, ret;

	lodge_vcpu_settle(vcpu);
	/* What another CPU wrote before it set a bit is seen after the bit is. */
	smp_rmb();
	vcpu->vmx.recheck = true;
	if (lodge_test_and_clear(vcpu, LODGE_REQ_STATE)) {
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
	if (lodge_test_and_clear(vcpu, LODGE_REQ_PAUSE) && READ_ONCE(vcpu->vm->paused))
		return lodge_leave(vcpu, LODGE_EXIT_PAUSED);
	return LODGE_NEXT_ENTER;
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
	rcuwait_wait_event(&vcpu->wait,
			   READ_ONCE(vcpu->requests) || signal_pending(current),
			   TASK_INTERRUPTIBLE);
	lapic_sleep_end(vcpu);
}

static bool lodge_leave_for_eoi(struct lodge_vcpu *vcpu)
{
	u8 vector;

	if (likely(!vcpu->lapic.eoi_due) || !lapic_next_eoi(vcpu, &vector))
		return false;
	lodge_exit_fill(vcpu, LODGE_EXIT_EOI, 0);
	vcpu->run->exit.eoi.vector = vector;
	return true;
}

/* Return: LODGE_NEXT_LEAVE with the exit filled, LODGE_NEXT_LOST, or -errno. */
static int lodge_loop(struct lodge_vcpu *vcpu)
{
	int next;

	for (;;) {
		next = READ_ONCE(vcpu->requests) ? lodge_take_requests(vcpu) : LODGE_NEXT_ENTER;
		if (next == LODGE_NEXT_ENTER)
			next = lodge_host_wants(vcpu);
		if (next != LODGE_NEXT_ENTER)
			return next;
		if (lodge_leave_for_eoi(vcpu))
			return LODGE_NEXT_LEAVE;
		if (!lodge_runnable(vcpu)) {
			lodge_block(vcpu);
			continue;
		}
		next = lodge_slot_get(vcpu);
		if (next)
			return next;
		next = vmx_vcpu_enter(vcpu);
		lodge_slot_put(vcpu);
		if (next != LODGE_NEXT_ENTER)
			return next;
	}
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

static int lodge_complete_done(struct lodge_vcpu *vcpu, u64 data)
{
	const struct lodge_pending_io *p = &vcpu->pending;

	switch (p->reason) {
	case LODGE_EXIT_MMIO:
		return lodge_mmio_complete(vcpu, &p->insn, data);
	case LODGE_EXIT_PIO:
		if (p->port_in)
			lodge_complete_in(vcpu, p->width, data);
		break;
	case LODGE_EXIT_RDMSR:
		vcpu->regs[LODGE_RAX] = (u32)data;
		vcpu->regs[LODGE_RDX] = data >> 32;
		break;
	}
	lodge_skip(vcpu, p->insn_len);
	return 0;
}

/* Finish the instruction that left. Pinned or loaded. */
static int lodge_complete(struct lodge_vcpu *vcpu, u32 complete, u64 data)
{
	int ret = 0;

	if (complete == LODGE_COMPLETE_DONE)
		ret = lodge_complete_done(vcpu, data);
	else if (complete == LODGE_COMPLETE_FAULT)
		lodge_inject_gp(vcpu);
	if (ret)
		return ret;	/* the data waits until the caller has made room */
	vcpu->pending.reason = LODGE_EXIT_NONE;
	return 0;
}

/* Take what the caller has put into the page; @wanted is from there. Pinned. */
static int lodge_take_inputs(struct lodge_vcpu *vcpu, u64 wanted)
{
	struct lodge_run *run = vcpu->run;
	u32 complete = READ_ONCE(run->complete);
	u64 dirty = READ_ONCE(run->dirty);
	u32 flags = READ_ONCE(run->flags);
	int ret;

	if (flags & ~LODGE_RUN_F_BYTES || (dirty | wanted) & ~LODGE_STATE_SHARED ||
	    READ_ONCE(run->reserved) || complete > LODGE_COMPLETE_FAULT)
		return -EINVAL;
	if (complete && vcpu->pending.reason == LODGE_EXIT_NONE)
		return -EINVAL;
	if (unlikely(dirty)) {
		/* Checked before the completion changes anything, set after it. */
		u64 bad;

		lodge_vcpu_settle(vcpu);
		bad = lodge_state_from_page(vcpu, dirty, false);

		if (bad) {
			run->dirty = bad;
			return -EINVAL;
		}
	}
	if (complete) {
		ret = lodge_complete(vcpu, complete, READ_ONCE(run->data));
		if (ret)
			return ret;
	}
	if (unlikely(dirty) && lodge_state_from_page(vcpu, dirty, true))
		return -EINVAL;
	run->complete = LODGE_COMPLETE_NONE;
	run->dirty = 0;
	return 0;
}

/* Fill the page for the caller. Loaded or pinned. */
static void lodge_give_outputs(struct lodge_vcpu *vcpu, u64 wanted, bool bytes)
{
	struct lodge_exit *e = &vcpu->run->exit;
	int nr;

	e->seq = ++vcpu->stats.user_exits;
	if (bytes && !(e->flags & LODGE_EXIT_F_BYTES)) {
		nr = lodge_insn_fetch(vcpu, e->insn, LODGE_INSN_MAX);
		if (nr > 0) {
			e->insn_bytes = nr;
			e->flags |= LODGE_EXIT_F_BYTES;
		}
	}
	if (wanted)
		lodge_state_to_page(vcpu, wanted);
	vcpu->run->valid = wanted;
}

/* The instruction bytes are worth a page walk where the guest is at its end. */
static bool lodge_wants_bytes(const struct lodge_vcpu *vcpu)
{
	u32 reason = vcpu->run->exit.reason;

	return READ_ONCE(vcpu->run->flags) & LODGE_RUN_F_BYTES ||
	       reason == LODGE_EXIT_UNHANDLED || reason == LODGE_EXIT_SHUTDOWN ||
	       reason == LODGE_EXIT_MEM_FAULT;
}

/* Return: LODGE_NEXT_LOST, or what RUN returns. */
static long lodge_run_owned(struct lodge_vcpu *vcpu)
{
	u64 wanted = READ_ONCE(vcpu->run->wanted);
	int ret;

	ret = lodge_vcpu_pin(vcpu);
	if (ret)
		return ret;
	ret = lodge_take_inputs(vcpu, wanted);
	if (!ret) {
		vcpu->pending.reason = LODGE_EXIT_NONE;
		vcpu->thread_wanted = VMX_THREAD_WANTED & ~_TIF_NOTIFY_RESUME;
		ret = lodge_loop(vcpu);
		if (ret == LODGE_NEXT_LOST)
			return ret;
		if (ret == LODGE_NEXT_LEAVE || ret == -EINTR)
			lodge_give_outputs(vcpu, wanted, lodge_wants_bytes(vcpu));
	}
	return lodge_run_end(vcpu) ?: (ret == LODGE_NEXT_LEAVE ? 0 : ret);
}

/* RUN is over: say so to a PAUSE that waits for it. Return: @ret. */
static __always_inline long lodge_run_over(struct lodge_vm *vm, struct lodge_vcpu *vcpu, long ret)
{
	atomic_set_release(&vcpu->running, 0);
	/* Pairs with the barrier of whoever starts to wait. */
	smp_mb();
	if (unlikely(READ_ONCE(vm->paused)))
		wake_up(&vm->pause_wait);
	return ret;
}

/* Apart, since its frame is large and lodge_run_kicked() is in a hurry. */
static noinline long lodge_run_locked(struct lodge_vcpu *vcpu)
{
	long ret = mutex_lock_killable(&vcpu->mutex);

	if (ret)
		return lodge_run_over(vcpu->vm, vcpu, ret);
	ret = lodge_run_owned(vcpu);
	if (ret == LODGE_NEXT_LOST)
		ret = -EINTR;	/* and the mutex is not ours */
	else
		mutex_unlock(&vcpu->mutex);
	return lodge_run_over(vcpu->vm, vcpu, ret);
}

/*
 * A RUN that finds nothing but a kick, and is asked for nothing, needs no vCPU: it
 * consumes the kick and says where the guest is. RIP is known since the exit
 * before, or since it was set.
 *
 * Only RUN writes the exit, and we are the one: the mutex, which other threads
 * take to look at the vCPU, is not needed.
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
	if (atomic_cmpxchg(&vcpu->running, 0, 1))
		return -EBUSY;
	/* After a full barrier: PAUSE sees us running, or we see it pausing. */
	if (unlikely(READ_ONCE(vm->paused)))
		set_bit(LODGE_REQ_PAUSE, &vcpu->requests);
	if (lodge_run_kicked(vcpu))
		return lodge_run_over(vm, vcpu, -EINTR);
	return lodge_run_locked(vcpu);
}
