/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two objects, VM and vCPU: what they are made of and what every part may
 * ask of them.
 *
 * Who may touch a field, by the letter behind it:
 *
 *	[c]	constant once the object is published
 *	[m]	vm->lock
 *	[o]	owner: the thread in RUN, or one that lodge_vcpu_lock_killable() let in
 *	[a]	atomic; anyone
 *	[r]	set once under vm->lock, read by anyone: vCPUs go when the VM goes
 *	[i]	this CPU with interrupts off, between VM entry and exit
 */
#ifndef LODGE_H
#define LODGE_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/refcount.h>
#include <linux/stddef.h>
#include <linux/wait.h>
#include <asm/tsc.h>
#include <linux/lodge.h>

#include "cpu/cpu.h"
#include "ept/ept.h"
#include "irq/lapic.h"
#include "irq/signals.h"
#include "pv/pv.h"
#include "types.h"
#include "vmx/vmx.h"

/*
 * Why a vCPU must not (re-)enter the guest before its owner has looked:
 * bits of lodge_vcpu.requests. Whoever sets one then calls lodge_vcpu_wake().
 */
enum lodge_request {
	LODGE_REQ_KICK,		/* leave RUN; consumed by exactly one return */
	LODGE_REQ_PAUSE,	/* the VM pauses */
	LODGE_REQ_STATE,	/* another thread wants the vCPU */
	LODGE_REQ_IRQ,		/* the APIC has something new */
	LODGE_REQ_TIMER,	/* the APIC timer ended a sleep */
	LODGE_REQ_NMI,		/* vcpu->nmis_sent is not zero */
	LODGE_REQ_INIT,		/* INIT arrived */
	LODGE_REQ_SIPI,		/* SIPI arrived: vcpu->sipi_vector */
	LODGE_REQ_CLOCK,	/* the kvmclock page is out of date */
	LODGE_REQ_SHUTDOWN,	/* a triple fault without an exit of its own */
};

/**
 * struct lodge_vm - a virtual machine
 * @refs: [a] its file, its vCPUs
 * @lock: serializes calls that change the VM: vCPU creation, pause
 * @mem: its memory and EPT; locks of its own
 * @vcpus: [r] by id
 * @paused: [m] written; read by anyone: vCPUs stay out of the guest
 * @pause_wait: LODGE_VM_PAUSE waits here for vCPUs to settle
 * @all: on the list of VMs; see vm.c
 * @tsc_offset: guest TSC - host TSC of a new vCPU, so that all start alike; [c]
 *	but for a resume, when nothing runs
 * @clock: its kvmclock; a lock of its own
 * @signals: by what devices interrupt it; a lock of its own
 */
struct lodge_vm {
	refcount_t refs;
	struct mutex lock;	/* protects: see the legend */
	struct lodge_mem mem;
	struct lodge_vcpu *vcpus[LODGE_MAX_VCPUS];
	bool paused;
	wait_queue_head_t pause_wait;
	struct list_head all;
	u64 tsc_offset;
	struct lodge_vmclock clock;
	struct lodge_signals signals;
};

/**
 * enum lodge_running - what RUN has of a vCPU
 * @LODGE_RUN_NONE: no thread is in RUN
 * @LODGE_RUN_OWNS: one is, and is the owner, unless it has just come and finds others
 * @LODGE_RUN_LENT: one is, and waits until it may be the owner
 */
enum lodge_running {
	LODGE_RUN_NONE,
	LODGE_RUN_OWNS,
	LODGE_RUN_LENT,
};

/**
 * enum lodge_hold - what keeps a vCPU's VMCS current on the CPU that works on it
 * @LODGE_HOLD_NONE: nothing: it need not be
 * @LODGE_HOLD_PIN: preemption is off
 * @LODGE_HOLD_NOTIFIER: a preempt notifier, which makes it follow the thread
 */
enum lodge_hold {
	LODGE_HOLD_NONE,
	LODGE_HOLD_PIN,
	LODGE_HOLD_NOTIFIER,
};

/**
 * struct lodge_vcpu - a virtual CPU
 * @regs: [o] general registers in instruction order; RSP lives in the VMCS. First,
 *	for entry.S
 * @entry: [o] what entry.S needs besides, right behind
 * @vm: [c] holds a reference
 * @id: [c] its number and initial APIC id
 * @cpu: [a] the physical CPU whose guest mode it may be in, or -1; written by
 *	the owner with a full barrier, so that whoever changes what the guest
 *	depends on and then reads it knows whom to interrupt
 * @requests: [a] bits of enum lodge_request
 * @running: [a] enum lodge_running: is a thread in RUN, and the owner?
 * @mutex: lets one thread at a time be the owner besides RUN
 * @state_waiters: [a] threads that hold @mutex or wait for it: a new RUN gets in line
 * @state_wait: the thread with @mutex waits here until RUN lends the vCPU, or is over
 * @turn_tsc: [o] @stats.guest_tsc when RUN stood back the last time: see lodge_has_turn()
 * @wait: the owner sleeps here in HLT
 * @pn: [o] tells when the owner's thread leaves and enters a CPU
 * @hold: [o] what keeps the VMCS current
 * @mp_state: [o] written; LODGE_MP_*
 * @sipi_vector: [a] start vector of the pending SIPI
 * @nmis_sent: [a] NMIs sent and not yet taken over by the owner
 * @nmis_queued: [o] NMIs to inject, 0 to 2
 * @event: [o] the event to deliver at the next entry
 * @cr0: [o] as the guest reads it; bits it owns are in the VMCS while loaded
 * @cr2: [o] page-fault address
 * @cr4: [o] as the guest reads it; bits it owns are in the VMCS while loaded
 * @cr4_allowed: [o] bits that @cpuid lets the guest set
 * @efer: [o] as the guest reads it
 * @xcr0: [o] extended control register 0
 * @xss: [o] IA32_XSS
 * @pkru: [o] PKRU
 * @dr: [o] DR0 to DR3
 * @dr6: [o] debug status
 * @dr7: [o] debug control
 * @fpu: [o] guest FPU state; during a stint it is in the CPU
 * @cpuid: [o] its CPUID table
 * @msrs: [o] values of emulated MSRs
 * @table_region: [o] where its page tables were last: see struct lodge_mem_cursor
 * @code_region: [o] where its code was last
 * @fault: [o] its EPT violation, while there is one; keeps a hint for the next
 * @absent: [o] user address that a read of its memory did not find at hand
 * @lapic: its local APIC; see there
 * @clock: [o] its kvmclock page
 * @pv_eoi: [o] its PV EOI
 * @vmx: [o] its VMCS and what the entry code needs
 * @run: [o] page shared with user space
 * @pending: [o] the instruction that left for user space, until completed
 * @memos: [o] instructions decoded before
 * @has_run: [o] RUN has entered the guest: the CPU model is frozen
 * @thread_wanted: [o] flags of the thread for which this RUN does not enter the guest:
 *	VMX_THREAD_WANTED, before the first entry without TIF_NOTIFY_RESUME
 * @stats: [o] counters
 */
struct lodge_vcpu {
	u64 regs[16];
	struct vmx_entry entry;

	struct lodge_vm *vm;
	u32 id;
	int cpu;
	unsigned long requests;

	atomic_t running;
	struct mutex mutex;	/* protects: see the legend */
	atomic_t state_waiters;
	wait_queue_head_t state_wait;
	u64 turn_tsc;
	struct rcuwait wait;
	struct preempt_notifier pn;
	enum lodge_hold hold;

	u32 mp_state;
	u8 sipi_vector;
	atomic_t nmis_sent;
	u8 nmis_queued;
	struct lodge_pending_event event;

	u64 cr0;
	u64 cr2;
	u64 cr4;
	u64 cr4_allowed;
	u64 efer;
	u64 xcr0;
	u64 xss;
	u32 pkru;
	u64 dr[4];
	u64 dr6;
	u64 dr7;
	struct xregs_state *fpu;
	struct lodge_cpuid_table *cpuid;
	struct lodge_msr_state msrs;
	u32 table_region;
	u32 code_region;
	struct ept_fault fault;
	unsigned long absent;
	struct lapic lapic;
	struct lodge_vcpu_clock clock;
	struct lodge_pv_eoi pv_eoi;
	struct vmx_vcpu vmx;

	struct lodge_run *run;
	struct lodge_pending_io pending;
	struct lodge_memo memos[LODGE_MEMOS];
	bool has_run;
	unsigned long thread_wanted;
	struct lodge_vcpu_stats stats;
};

/**
 * lodge_vcpu_wake() - make the owner look at its requests
 * @vcpu: the vCPU
 *
 * Wakes it from HLT, or interrupts the CPU whose guest mode it may be in. The
 * caller has set a bit in @requests before.
 *
 * Context: any, hard interrupts included; no lock needed.
 */
void lodge_vcpu_wake(struct lodge_vcpu *vcpu);

/**
 * lodge_vcpu_request() - set a request bit and wake the owner
 * @vcpu: the vCPU
 * @req: what is wanted
 *
 * Context: as lodge_vcpu_wake().
 */
static inline void lodge_vcpu_request(struct lodge_vcpu *vcpu, enum lodge_request req)
{
	set_bit(req, &vcpu->requests);
	lodge_vcpu_wake(vcpu);
}

/**
 * lodge_vcpu_init_reset() - put the vCPU in the state after INIT or power-on
 * @vcpu: the vCPU; owner
 * @init: INIT, which keeps some state (SDM 3A table 10-1); else power-on
 */
void lodge_vcpu_init_reset(struct lodge_vcpu *vcpu, bool init);

/* An NMI: one can be pending and one wait behind it, more are lost. Any thread. */
static inline void lodge_vcpu_nmi(struct lodge_vcpu *vcpu)
{
	atomic_add_unless(&vcpu->nmis_sent, 1, 2);
	lodge_vcpu_request(vcpu, LODGE_REQ_NMI);
}

/*
 * Has RUN stood back, and the guest not got on for LODGE_TURN_US since? Then it is RUN's
 * turn: threads that ask for the vCPU one after another would let the guest stand still.
 * An entry alone is not enough, for an interrupt may end it at once.
 */
#define LODGE_TURN_US	10

static inline bool lodge_has_turn(const struct lodge_vcpu *vcpu)
{
	return vcpu->stats.guest_tsc - vcpu->turn_tsc < (u64)tsc_khz * LODGE_TURN_US / 1000;
}

/* What RUN does next; a handler's answer. */
enum lodge_next {
	LODGE_NEXT_ENTER,	/* go on in the guest */
	LODGE_NEXT_LEAVE,	/* return 0 to user space; run->exit is filled */
	LODGE_NEXT_LOST,	/* killed, while the vCPU was lent: it is not ours */
};

/* The first vCPU with an id of @id or more, or NULL. */
static inline struct lodge_vcpu *lodge_vcpu_from(struct lodge_vm *vm, u32 id)
{
	struct lodge_vcpu *vcpu = NULL;

	/* Pairs with the release in lodge_vcpu_create(): what is found is whole. */
	while (id < LODGE_MAX_VCPUS && !vcpu)
		vcpu = smp_load_acquire(&vm->vcpus[id++]);	/* see above */
	return vcpu;
}

/* Iterate a VM's vCPUs; the caller has the VM, and so has them. */
#define lodge_for_each_vcpu(vm, vcpu)					\
	for ((vcpu) = lodge_vcpu_from((vm), 0); (vcpu);			\
	     (vcpu) = lodge_vcpu_from((vm), (vcpu)->id + 1))

/* vm.c */
int lodge_vm_open(void);
void lodge_vm_get(struct lodge_vm *vm);
void lodge_vm_put(struct lodge_vm *vm);
void lodge_vms_each(void (*fn)(struct lodge_vm *vm));
void lodge_vms_resumed(u64 suspend_tsc);

/* vcpu.c */
int lodge_vcpu_create(struct lodge_vm *vm, u32 id);
void lodge_vcpu_destroy(struct lodge_vcpu *vcpu);

/* run.c */
long lodge_vcpu_run(struct lodge_vcpu *vcpu);
int lodge_vcpu_lock_killable(struct lodge_vcpu *vcpu);
void lodge_vcpu_unlock(struct lodge_vcpu *vcpu);

/**
 * enum lodge_out - when a call's structure is copied back to its caller
 * @LODGE_OUT_NEVER: it holds inputs only
 * @LODGE_OUT_ERRORS: when the call fails, to say what was wrong. A call that has
 *	changed something must not end in EFAULT
 * @LODGE_OUT_ALWAYS: it is the answer of a call that changes nothing
 */
enum lodge_out {
	LODGE_OUT_NEVER,
	LODGE_OUT_ERRORS,
	LODGE_OUT_ALWAYS,
};

/**
 * struct lodge_call - one ioctl
 * @cmd: its number
 * @size: of the structure as the module knows it; 0 when it takes none
 * @min: of the structure as it was first published: what a caller has at least
 * @out: when the structure is copied back, as far as the caller's goes
 * @run: does it. @arg is the structure in kernel memory, its tail checked; it reads
 *	as zero where the caller's has ended
 */
struct lodge_call {
	unsigned int cmd;
	u32 size;
	u32 min;
	enum lodge_out out;
	long (*run)(void *object, void *arg);
};

/*
 * A row for a call with a structure. @_last is the last member of its first published
 * form: it stays when the structure grows.
 */
#define LODGE_CALL(_cmd, _type, _last, _out, _run) {			\
	.cmd = (_cmd), .size = sizeof(struct _type),			\
	.min = offsetofend(struct _type, _last), .out = (_out), .run = (_run), \
}

/* A row for a call without. */
#define LODGE_CALL_PLAIN(_cmd, _run)	{ .cmd = (_cmd), .run = (_run) }

/* ioctl.c */
long lodge_call(void *object, const struct lodge_call *table, u32 nr, unsigned int cmd,
		unsigned long arg);

#include "vmx/regs.h"

#endif
