// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts: the host's, that only cost, the guest's own of its local APIC, and those
 * of devices.
 */
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "bench.h"

#define VECTOR		0x40
#define SELF_IPI_MSR	(MSR_X2APIC + APIC_SELF_IPI / 16)
#define LVT_TIMER_MSR	(MSR_X2APIC + APIC_LVT_TIMER / 16)

/* The smallest handler there is: count, acknowledge, return. */
u64 irq_count;

#define HANDLER_TEXT							\
	"push	%rax\n"							\
	"push	%rcx\n"							\
	"push	%rdx\n"							\
	"incq	irq_count(%rip)\n"					\
	"mov	$0x80b, %ecx\n"						\
	"xor	%eax, %eax\n"						\
	"xor	%edx, %edx\n"						\
	"wrmsr\n"							\
	"pop	%rdx\n"							\
	"pop	%rcx\n"							\
	"pop	%rax\n"							\
	"iretq"

GUEST_ASM(irq_handler, .code64, HANDLER_TEXT);

/* Our handler in the place of the library's. */
static void setup_handler(struct machine *m)
{
	u64 entry = (uintptr_t)irq_handler;
	u64 *gate = (u64 *)(m->vm->low + GPA_IDT + VECTOR * 16);

	gate[0] = (entry & 0xffff) | SEL_CODE64 << 16 | 1ULL << 32 | 0x8eULL << 40 |
		  (entry >> 16 & 0xffff) << 48;
	gate[1] = entry >> 32;
}

/* In the warm-up only: it exits too. */
static void apic_on(u64 lvt_timer)
{
	static bool enabled;

	if (enabled)
		return;
	guest_x2apic_on();
	guest_apic_enable();
	wrmsr(LVT_TIMER_MSR, lvt_timer);
	enabled = true;
}

/* --------------------------------------------------------------------- self-IPI */

static inline void op_self_ipi(u64 vector)
{
	u64 count = READ_ONCE(irq_count);

	wrmsr(SELF_IPI_MSR, vector);
	while (READ_ONCE(irq_count) == count)
		cpu_relax();
}

/* It is pending already when the guest halts. */
static inline void op_halt_pending(u64 vector)
{
	wrmsr(SELF_IPI_MSR, vector);
	irq_wait();
}

static void time_self_ipi(u64 arg)
{
	apic_on(APIC_LVT_MASKED);
	irq_on();
	guest_measure(arg, op_self_ipi);
}

static void time_halt_pending(u64 arg)
{
	apic_on(APIC_LVT_MASKED);
	irq_off();
	guest_measure(arg, op_halt_pending);
	irq_on();
}

static const struct guest_case self_ipi = {
	.guest = time_self_ipi,
	.setup = setup_handler,
	.apic = true,
	.job = { .arg = VECTOR, .batches = 101, .iterations = 20 },
	/* The IPI, and its EOI. */
	.per_op = { [COUNT_EXITS] = 2, [COUNT_WRMSR] = 2, [COUNT_INJECTED] = 1 },
};

static const struct guest_case halt_pending = {
	.guest = time_halt_pending,
	.setup = setup_handler,
	.apic = true,
	.job = { .arg = VECTOR, .batches = 101, .iterations = 20 },
	.per_op = { [COUNT_EXITS] = 3, [COUNT_WRMSR] = 2, [COUNT_HLT] = 1,
		    [COUNT_INJECTED] = 1 },
	/* KVM waits for the interrupt window even so. */
	.kvm_more = { [COUNT_EXITS] = 1 },
};

/* ------------------------------------------------------------- the APIC's timer */

#define SPIN_TICKS	4000
#define HALT_TICKS	20000

static u64 arm(u64 ticks)
{
	u64 deadline = read_tsc() + ticks;

	wrmsr(MSR_TSC_DEADLINE, deadline);
	return deadline;
}

/* From the deadline until the handler is done; how the guest waits is @halt. */
static __always_inline void time_timer(u64 arg, bool halt)
{
	struct job *job = (struct job *)arg;
	u64 i, count, deadline;

	apic_on(VECTOR | APIC_TIMER_DEADLINE);
	for (i = 0; i < job->batches; i++) {
		count = READ_ONCE(irq_count);
		if (halt)
			irq_off();
		else
			irq_on();
		deadline = arm(job->arg);
		while (READ_ONCE(irq_count) == count) {
			if (halt)
				irq_wait();
			else
				cpu_relax();
		}
		job->ticks[i] = read_tsc() - deadline;
	}
	irq_on();
}

static void time_timer_spin(u64 arg)
{
	time_timer(arg, false);
}

static void time_timer_halt(u64 arg)
{
	time_timer(arg, true);
}

/* The spin loop's longest turn that is no exit. */
#define NO_EXIT_TICKS	60

/* Spins until it has been interrupted; for how long it was. */
static inline u64 find_gap(u64 after)
{
	u64 last = read_tsc(), now;

	for (;; last = now) {
		now = read_tsc();
		if (now - last > NO_EXIT_TICKS && now >= after)
			return now - last;
	}
}

/* The timer fires and is masked: what remains is the exit that it takes. */
static void time_timer_exit(u64 arg)
{
	struct job *job = (struct job *)arg;
	u64 i;

	apic_on(VECTOR | APIC_TIMER_DEADLINE | APIC_LVT_MASKED);
	irq_on();
	for (i = 0; i < job->batches; i++)
		job->ticks[i] = find_gap(arm(job->arg));
}

static const struct guest_case timer_spin = {
	.guest = time_timer_spin,
	.setup = setup_handler,
	.apic = true,
	.single = true,
	.job = { .arg = SPIN_TICKS, .batches = 101 },
	/* To arm it, and the EOI; the timer itself is an interrupt of the host's ... */
	.per_op = { [COUNT_EXITS] = 2, [COUNT_WRMSR] = 2, [COUNT_INJECTED] = 1 },
	/* ... or the preemption timer, which KVM counts as any exit. */
	.kvm_more = { [COUNT_EXITS] = 1 },
};

static const struct guest_case timer_halt = {
	.guest = time_timer_halt,
	.setup = setup_handler,
	.apic = true,
	.single = true,
	.job = { .arg = HALT_TICKS, .batches = 101 },
	.per_op = { [COUNT_EXITS] = 3, [COUNT_WRMSR] = 2, [COUNT_HLT] = 1,
		    [COUNT_INJECTED] = 1 },
};

static const struct guest_case timer_exit = {
	.guest = time_timer_exit,
	.setup = setup_handler,
	.apic = true,
	.single = true,
	.job = { .arg = SPIN_TICKS, .batches = 101 },
	.per_op = { [COUNT_EXITS] = 1, [COUNT_WRMSR] = 1, [COUNT_INTERRUPTS] = 1 },
	/* KVM counts the preemption timer as any exit. */
	.kvm_more = { [COUNT_EXITS] = 1, [COUNT_INTERRUPTS] = -1 },
};

/* --------------------------------------------------------- the host's interrupts */

#define NR_TIMERS	201
#define TIMER_LEAD_NS	2000000
#define TIMER_STEP_NS	50000

static void time_interrupt(u64 arg)
{
	struct job *job = (struct job *)arg;
	u64 i;

	for (i = 0; i < job->batches; i++)
		job->ticks[i] = find_gap(0);
}

static void time_interrupt_on(u64 arg)
{
	irq_on();
	time_interrupt(arg);
}

/*
 * A train of one-shot timers, for which nobody waits. The guest has nothing else
 * to be interrupted by, but for the host's clock ticks: few, and the median hides
 * them.
 */
static void start_timers(struct machine *m)
{
	static int fds[NR_TIMERS];
	struct itimerspec when = {};
	u64 at = now_ns() + TIMER_LEAD_NS;
	int i;

	(void)m;
	for (i = 0; i < NR_TIMERS; i++, at += TIMER_STEP_NS) {
		if (!fds[i])
			fds[i] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
		require(fds[i] > 0);
		when.it_value.tv_sec = at / NSEC_PER_SEC;
		when.it_value.tv_nsec = at % NSEC_PER_SEC;
		require(!timerfd_settime(fds[i], TFD_TIMER_ABSTIME, &when, NULL));
	}
}

static const struct guest_case interrupt = {
	.guest = time_interrupt_on,
	.prepare = start_timers,
	.single = true,
	.job = { .batches = NR_TIMERS },
	.per_op = { [COUNT_INTERRUPTS] = 1 },
};

static const struct guest_case interrupt_alone = {
	.guest = time_interrupt,
	.prepare = start_timers,
	.single = true,
	.job = { .batches = NR_TIMERS },
};

/* ------------------------------------------------------------- a device's interrupts */

#define BELL_PORT	0x700

/* A device is a thread: each time it is called it answers. */
struct device {
	int call;
	int answer;
};

static void *answer_calls(void *arg)
{
	const struct device *d = arg;
	u64 count;

	while (read(d->call, &count, sizeof(count)) == sizeof(count)) {
		count = 1;
		require(write(d->answer, &count, sizeof(count)) == sizeof(count));
	}
	return NULL;
}

static struct device start_device(void)
{
	static struct device d;

	d.call = eventfd(0, EFD_CLOEXEC);
	d.answer = eventfd(0, EFD_CLOEXEC);
	require(d.call >= 0 && d.answer >= 0);
	spawn(answer_calls, &d);
	return d;
}

static void setup_device(struct machine *m)
{
	static const struct doorbell bell = { .pio = true, .addr = BELL_PORT, .len = 4 };
	struct device d = start_device();

	setup_handler(m);
	m->be->doorbell(m->vm, &bell, d.call);
	m->be->irqfd(m->vm, d.answer, VECTOR);
}

static inline void op_call_device(u64 port)
{
	u64 count = READ_ONCE(irq_count);

	port_out(port, 1);
	while (READ_ONCE(irq_count) == count)
		irq_wait();
}

static void time_call_device(u64 arg)
{
	apic_on(APIC_LVT_MASKED);
	irq_off();
	guest_measure(arg, op_call_device);
	irq_on();
}

static const struct guest_case irqfd_halt = {
	.guest = time_call_device,
	.setup = setup_device,
	.apic = true,
	.job = { .arg = BELL_PORT, .batches = 51, .iterations = 10 },
	/* The call, the sleep, the EOI. */
	.per_op = { [COUNT_EXITS] = 3, [COUNT_IO] = 1, [COUNT_HLT] = 1, [COUNT_WRMSR] = 1,
		    [COUNT_INJECTED] = 1 },
	/* It asks for an interrupt window before the HLT, and gets it after the handler. */
	.kvm_more = { [COUNT_EXITS] = 1 },
};

/* The same two eventfds and threads without a guest. */
static void bench_eventfds(const struct backend *be)
{
	static struct samples samples;
	struct device d = start_device();
	u64 start, count;
	int i, j;

	(void)be;
	for (i = 0; i < 101; i++) {
		start = read_tsc();
		for (j = 0; j < 10; j++) {
			count = 1;
			require(write(d.call, &count, sizeof(count)) == sizeof(count));
			require(read(d.answer, &count, sizeof(count)) == sizeof(count));
		}
		sample(&samples, (read_tsc() - start) / 10.0);
	}
	report("host_eventfds", "ticks", &samples);
}

const struct bench interrupt_benches[] = {
	{ "exit_self_ipi", "self-IPI, handler, EOI", .guest = &self_ipi },
	{ "exit_hlt_pending", "self-IPI pending, STI and HLT, handler, EOI",
	  .guest = &halt_pending },
	{ "exit_timer", "the exit of the guest's APIC timer, masked", .guest = &timer_exit },
	{ "timer_late_spin", "APIC timer, spinning: late after handler and EOI",
	  .guest = &timer_spin },
	{ "timer_late_halt", "APIC timer, in HLT: late after handler and EOI",
	  .guest = &timer_halt },
	{ "exit_interrupt", "an interrupt of the host's, its handler included",
	  .guest = &interrupt },
	{ "host_interrupt", "the same interrupt without a guest",
	  .guest = &interrupt_alone, .host_only = true },
	{ "irqfd_halt", "call of a device's thread by eventfd, HLT, its irqfd, EOI",
	  .guest = &irqfd_halt },
	{ "host_eventfds", "the two eventfds and the thread without a guest",
	  .run = bench_eventfds, .host_only = true },
	{}
};
