// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC, in xAPIC and in x2APIC mode: registers, priorities, timer,
 * interprocessor interrupts, messages from devices, and changes of mode.
 */
#include "vm.h"
#include "kselftest_harness.h"

#define LOW_VECTOR	0x31
#define MID_VECTOR	0x41
#define HIGH_VECTOR	0x61
#define TIMER_VECTOR	0x51
#define ERROR_VECTOR	0x71
#define STOP_VECTOR	0x81
#define MANY_TICKS	200000ULL	/* long for an interrupt to arrive */
#define PATIENCE	2000000000ULL	/* ticks until the guest gives up */
/* Of the timer, in counts: on a slow host a shorter one leaves the guest no time. */
#define PERIOD		5000000

#define MSI_LEVEL	0xc000U		/* level triggered, asserted */
#define MSI_LOGICAL	0x4ULL		/* in the address */
#define MSI_LOWEST	0x100U
#define MSI_NMI		0x400U

/* Order of events, written by handlers. */
static u8 order[16];
static u32 nr_order;
static u64 fired_at;
static u32 ready, stop;

FIXTURE(apic)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_VARIANT(apic)
{
	bool x2apic;
};

FIXTURE_VARIANT_ADD(apic, xapic)
{
	.x2apic = false,
};

FIXTURE_VARIANT_ADD(apic, x2apic)
{
	.x2apic = true,
};

FIXTURE_SETUP(apic)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(apic)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static void run_guest(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	vcpu_start_long(vcpu, fn, arg);
	guest_run_done(vcpu);
}

/* Each guest begins with this. */
static void apic_on(bool x2apic)
{
	if (x2apic)
		guest_x2apic_on();
	guest_apic_enable();
}

static u64 count_of(u32 cpu, u8 vector)
{
	return READ_ONCE(guest_cpus[cpu].interrupts[vector]);
}

static void wait_for_count(u32 cpu, u8 vector, u64 n)
{
	u64 start = read_tsc();

	while (count_of(cpu, vector) < n && read_tsc() - start < PATIENCE)
		cpu_relax();
	GUEST_EQ(count_of(cpu, vector), n);
}

static void self_ipi(u8 vector)
{
	guest_send_ipi(0, APIC_DEST_SELF | vector);
}

/* --------------------------------------------------------------------- registers */

static void reset_values(u64 x2apic)
{
	static const u32 lvts[] = {
		APIC_LVT_TIMER, APIC_LVT_THERMAL, APIC_LVT_PERF, APIC_LVT_LINT0,
		APIC_LVT_LINT1, APIC_LVT_ERROR,
	};
	u32 id = guest_cpu_id(), version, i;

	if (x2apic)
		guest_x2apic_on();
	GUEST_EQ(guest_apic_read(APIC_ID), x2apic ? id : id << 24);
	version = guest_apic_read(APIC_VERSION);
	GUEST_ASSERT((version & 0xff) >= 0x10 && (version & 0xff) <= 0x1f);
	GUEST_ASSERT((version >> 16 & 0xff) >= 5);
	GUEST_EQ(guest_apic_read(APIC_TPR), 0);
	GUEST_EQ(guest_apic_read(APIC_PPR), 0);
	GUEST_EQ(guest_apic_read(APIC_LDR), x2apic ? (id >> 4) << 16 | 1U << (id & 15) : 0);
	if (!x2apic)
		GUEST_EQ(guest_apic_read(APIC_DFR), 0xffffffff);
	GUEST_EQ(guest_apic_read(APIC_SVR), 0xff);
	GUEST_EQ(guest_apic_read(APIC_ESR), 0);
	for (i = 0; i < 8; i++) {
		GUEST_EQ(guest_apic_read(APIC_ISR + i * 16), 0);
		GUEST_EQ(guest_apic_read(APIC_IRR + i * 16), 0);
		GUEST_EQ(guest_apic_read(APIC_TMR + i * 16), 0);
	}
	for (i = 0; i < ARRAY_SIZE(lvts); i++)
		GUEST_EQ(guest_apic_read(lvts[i]), APIC_LVT_MASKED);
	GUEST_EQ(guest_apic_read(APIC_TIMER_INIT), 0);
	GUEST_EQ(guest_apic_read(APIC_TIMER_COUNT), 0);
	GUEST_EQ(guest_apic_read(APIC_TIMER_DIVIDE), 0);
	guest_done();
}

TEST_F(apic, reset_values)
{
	struct vcpu *other = vcpu_create_at(self->vm, 3, reset_values, variant->x2apic);

	run_guest(self->vcpu, reset_values, variant->x2apic);
	guest_run_done(other);
	vcpu_destroy(other);
}

/* While software-disabled the LVTs stay masked, and no IPI is taken. */
static void software_disabled(u64 x2apic)
{
	if (x2apic)
		guest_x2apic_on();
	guest_handle(MID_VECTOR, guest_count_irq);
	guest_apic_write(APIC_LVT_LINT0, MID_VECTOR);
	GUEST_EQ(guest_apic_read(APIC_LVT_LINT0), APIC_LVT_MASKED | MID_VECTOR);
	self_ipi(MID_VECTOR);
	irq_on();
	guest_delay(MANY_TICKS);
	irq_off();
	GUEST_EQ(count_of(0, MID_VECTOR), 0);

	guest_apic_enable();
	guest_apic_write(APIC_LVT_LINT0, MID_VECTOR);
	GUEST_EQ(guest_apic_read(APIC_LVT_LINT0), MID_VECTOR);
	guest_apic_write(APIC_SVR, 0xff);
	GUEST_EQ(guest_apic_read(APIC_LVT_LINT0), APIC_LVT_MASKED | MID_VECTOR);
	guest_done();
}

TEST_F(apic, software_disabled)
{
	run_guest(self->vcpu, software_disabled, variant->x2apic);
}

/* -------------------------------------------------------------------- priorities */

static __guest_irq void note_order(struct guest_frame *frame)
{
	order[nr_order++] = frame->vector;
	guest_eoi();
}

static void three_at_once(u64 x2apic)
{
	apic_on(x2apic);
	guest_handle(LOW_VECTOR, note_order);
	guest_handle(MID_VECTOR, note_order);
	guest_handle(HIGH_VECTOR, note_order);
	self_ipi(MID_VECTOR);
	self_ipi(LOW_VECTOR);
	self_ipi(HIGH_VECTOR);
	self_ipi(MID_VECTOR);		/* the same again: one interrupt */
	GUEST_ASSERT(guest_apic_bit(APIC_IRR, LOW_VECTOR));
	GUEST_ASSERT(guest_apic_bit(APIC_IRR, MID_VECTOR));
	GUEST_ASSERT(guest_apic_bit(APIC_IRR, HIGH_VECTOR));
	irq_on();
	irq_off();
	GUEST_EQ(nr_order, 3);
	GUEST_EQ(order[0], HIGH_VECTOR);
	GUEST_EQ(order[1], MID_VECTOR);
	GUEST_EQ(order[2], LOW_VECTOR);
	GUEST_ASSERT(!guest_apic_bit(APIC_IRR, LOW_VECTOR));
	GUEST_ASSERT(!guest_apic_bit(APIC_ISR, LOW_VECTOR));
	guest_done();
}

TEST_F(apic, priority_order)
{
	run_guest(self->vcpu, three_at_once, variant->x2apic);
}

/* In service, with interrupts on: only a higher class comes through. */
static __guest_irq void nesting_handler(struct guest_frame *frame)
{
	order[nr_order++] = frame->vector;
	guest_send_ipi(0, APIC_DEST_SELF | LOW_VECTOR);
	guest_send_ipi(0, APIC_DEST_SELF | (MID_VECTOR + 1));	/* the same class */
	guest_send_ipi(0, APIC_DEST_SELF | HIGH_VECTOR);
	irq_on();
	order[nr_order++] = 0xee;
	irq_off();
	guest_eoi();
}

static __guest_irq void inner_handler(struct guest_frame *frame)
{
	order[nr_order++] = frame->vector;
	if (!guest_apic_bit(APIC_ISR, MID_VECTOR) || !guest_apic_bit(APIC_ISR, HIGH_VECTOR))
		order[nr_order++] = 0xff;
	if ((guest_apic_read(APIC_PPR) & 0xf0) != (HIGH_VECTOR & 0xf0))
		order[nr_order++] = 0xfe;
	guest_eoi();
}

static void nested(u64 x2apic)
{
	apic_on(x2apic);
	guest_handle(LOW_VECTOR, note_order);
	guest_handle(MID_VECTOR, nesting_handler);
	guest_handle(MID_VECTOR + 1, note_order);
	guest_handle(HIGH_VECTOR, inner_handler);
	self_ipi(MID_VECTOR);
	irq_on();
	irq_off();
	GUEST_EQ(nr_order, 5);
	GUEST_EQ(order[0], MID_VECTOR);
	GUEST_EQ(order[1], HIGH_VECTOR);
	GUEST_EQ(order[2], 0xee);
	GUEST_EQ(order[3], MID_VECTOR + 1);
	GUEST_EQ(order[4], LOW_VECTOR);
	guest_done();
}

TEST_F(apic, nested)
{
	run_guest(self->vcpu, nested, variant->x2apic);
}

static void task_priority(u64 x2apic)
{
	apic_on(x2apic);
	guest_handle(MID_VECTOR, guest_count_irq);
	guest_handle(HIGH_VECTOR, guest_count_irq);
	irq_on();
	guest_apic_write(APIC_TPR, 0x50);
	GUEST_EQ(guest_apic_read(APIC_PPR), 0x50);
	GUEST_EQ(read_cr8(), 5);
	self_ipi(MID_VECTOR);
	self_ipi(HIGH_VECTOR);
	wait_for_count(0, HIGH_VECTOR, 1);
	guest_delay(1000);
	GUEST_EQ(count_of(0, MID_VECTOR), 0);
	guest_apic_write(APIC_TPR, 0x40);	/* its own class: still held */
	guest_delay(1000);
	GUEST_EQ(count_of(0, MID_VECTOR), 0);
	guest_apic_write(APIC_TPR, 0x30);
	wait_for_count(0, MID_VECTOR, 1);

	write_cr8(6);
	GUEST_EQ(guest_apic_read(APIC_TPR), 0x60);
	self_ipi(HIGH_VECTOR);
	guest_delay(1000);
	GUEST_EQ(count_of(0, HIGH_VECTOR), 1);
	write_cr8(0);
	wait_for_count(0, HIGH_VECTOR, 2);
	GUEST_EQ(guest_apic_read(APIC_TPR), 0);
	guest_done();
}

TEST_F(apic, task_priority)
{
	run_guest(self->vcpu, task_priority, variant->x2apic);
}

/* ------------------------------------------------------------------------- timer */

static __guest_irq void note_time(struct guest_frame *frame)
{
	fired_at = read_tsc();
	guest_count_irq(frame);
}

static void timer_guest(bool x2apic, u32 lvt)
{
	apic_on(x2apic);
	guest_handle(TIMER_VECTOR, note_time);
	guest_apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	guest_apic_write(APIC_LVT_TIMER, TIMER_VECTOR | lvt);
}

static void one_shot(u64 x2apic)
{
	u64 first, second;

	timer_guest(x2apic, 0);
	guest_apic_write(APIC_TIMER_INIT, 1000000000);
	first = guest_apic_read(APIC_TIMER_COUNT);
	guest_delay(10000);
	second = guest_apic_read(APIC_TIMER_COUNT);
	GUEST_ASSERT(first <= 1000000000);
	GUEST_ASSERT(second < first);
	GUEST_EQ(guest_apic_read(APIC_TIMER_INIT), 1000000000);

	guest_apic_write(APIC_TIMER_INIT, 100000);
	while (!count_of(0, TIMER_VECTOR))
		irq_wait();
	GUEST_EQ(guest_apic_read(APIC_TIMER_COUNT), 0);
	irq_on();
	guest_delay(MANY_TICKS);
	irq_off();
	GUEST_EQ(count_of(0, TIMER_VECTOR), 1);

	/* A count of 0 stops it. */
	guest_apic_write(APIC_TIMER_INIT, 1000000);
	guest_apic_write(APIC_TIMER_INIT, 0);
	GUEST_EQ(guest_apic_read(APIC_TIMER_COUNT), 0);
	guest_done();
}

TEST_F(apic, timer_one_shot)
{
	run_guest(self->vcpu, one_shot, variant->x2apic);
}

/* A spinning guest gets it as well as a halted one. */
static void one_shot_spinning(u64 x2apic)
{
	timer_guest(x2apic, 0);
	irq_on();
	guest_apic_write(APIC_TIMER_INIT, 200000);
	wait_for_count(0, TIMER_VECTOR, 1);
	guest_done();
}

TEST_F(apic, timer_spinning)
{
	run_guest(self->vcpu, one_shot_spinning, variant->x2apic);
}

static void periodic(u64 x2apic)
{
	timer_guest(x2apic, APIC_TIMER_PERIODIC);
	guest_apic_write(APIC_TIMER_INIT, PERIOD);
	while (count_of(0, TIMER_VECTOR) < 5)
		irq_wait();
	GUEST_ASSERT(guest_apic_read(APIC_TIMER_COUNT) <= PERIOD);
	guest_apic_write(APIC_LVT_TIMER, TIMER_VECTOR | APIC_TIMER_PERIODIC | APIC_LVT_MASKED);
	irq_on();
	irq_off();
	guest_cpus[0].interrupts[TIMER_VECTOR] = 0;
	irq_on();
	guest_delay(MANY_TICKS * 10);
	irq_off();
	GUEST_EQ(count_of(0, TIMER_VECTOR), 0);
	GUEST_ASSERT(!guest_apic_bit(APIC_IRR, TIMER_VECTOR));
	guest_done();
}

TEST_F(apic, timer_periodic)
{
	run_guest(self->vcpu, periodic, variant->x2apic);
}

static void deadline(u64 x2apic)
{
	u64 when, i;

	timer_guest(x2apic, APIC_TIMER_DEADLINE);
	for (i = 1; i <= 10; i++) {
		when = read_tsc() + i * 50000;
		wrmsr(MSR_TSC_DEADLINE, when);
		while (count_of(0, TIMER_VECTOR) < i)
			irq_wait();
		GUEST_ASSERT(fired_at >= when);
		GUEST_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
	}
	/* In the past: at once. */
	irq_on();
	wrmsr(MSR_TSC_DEADLINE, read_tsc() - 1000);
	wait_for_count(0, TIMER_VECTOR, 11);

	/* Zero disarms, and so does another mode. */
	wrmsr(MSR_TSC_DEADLINE, read_tsc() + MANY_TICKS);
	GUEST_ASSERT(rdmsr(MSR_TSC_DEADLINE));
	wrmsr(MSR_TSC_DEADLINE, 0);
	guest_delay(2 * MANY_TICKS);
	GUEST_EQ(count_of(0, TIMER_VECTOR), 11);
	wrmsr(MSR_TSC_DEADLINE, read_tsc() + MANY_TICKS);
	guest_apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	guest_delay(2 * MANY_TICKS);
	GUEST_EQ(count_of(0, TIMER_VECTOR), 11);
	GUEST_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
	/* Outside its mode the MSR is not written. */
	wrmsr(MSR_TSC_DEADLINE, read_tsc() + 1000);
	GUEST_EQ(rdmsr(MSR_TSC_DEADLINE), 0);
	guest_done();
}

TEST_F(apic, timer_deadline)
{
	run_guest(self->vcpu, deadline, variant->x2apic);
}

/* The deadline comes at every point of the way to sleep: none may be slept through. */
static void deadline_at_halt(u64 x2apic)
{
	u64 i;

	timer_guest(x2apic, APIC_TIMER_DEADLINE);
	for (i = 1; i <= 1000; i++) {
		wrmsr(MSR_TSC_DEADLINE, read_tsc() + 100 + i * 3);
		while (count_of(0, TIMER_VECTOR) < i)
			irq_wait();
	}
	guest_done();
}

TEST_F(apic, timer_deadline_at_halt)
{
	run_guest(self->vcpu, deadline_at_halt, variant->x2apic);
}

static void masked_timer(u64 x2apic)
{
	timer_guest(x2apic, APIC_LVT_MASKED);
	guest_apic_write(APIC_TIMER_INIT, 1000);
	irq_on();
	guest_delay(MANY_TICKS * 10);
	irq_off();
	GUEST_EQ(count_of(0, TIMER_VECTOR), 0);
	GUEST_ASSERT(!guest_apic_bit(APIC_IRR, TIMER_VECTOR));
	guest_done();
}

TEST_F(apic, timer_masked)
{
	run_guest(self->vcpu, masked_timer, variant->x2apic);
}

/* ------------------------------------------------------------------------ errors */

static u32 read_esr(void)
{
	guest_apic_write(APIC_ESR, 0);
	return guest_apic_read(APIC_ESR);
}

static void illegal_vectors(u64 x2apic)
{
	apic_on(x2apic);
	guest_handle(ERROR_VECTOR, guest_count_irq);
	GUEST_EQ(read_esr(), 0);
	guest_apic_write(APIC_LVT_ERROR, ERROR_VECTOR);
	irq_on();
	self_ipi(5);
	wait_for_count(0, ERROR_VECTOR, 1);
	GUEST_ASSERT(read_esr() & APIC_ESR_SEND_ILLEGAL);
	GUEST_EQ(read_esr(), 0);
	guest_done();
}

TEST_F(apic, illegal_vector)
{
	run_guest(self->vcpu, illegal_vectors, variant->x2apic);
}

/* ---------------------------------------------------------------- messages of devices */

static void take_messages(u64 x2apic)
{
	apic_on(x2apic);
	guest_handle(MID_VECTOR, guest_count_irq);
	guest_handle(NMI_VECTOR, guest_count_only);
	if (!x2apic)
		guest_apic_write(APIC_LDR, 1U << (24 + guest_cpu_id()));
	guest_sync(1);
	irq_on();
	irq_off();
	guest_value(count_of(guest_cpu_id(), MID_VECTOR));
	guest_value(count_of(guest_cpu_id(), NMI_VECTOR));
	guest_done();
}

static const struct {
	const char *name;
	u32 dest;
	u64 address;		/* beyond the destination */
	u32 data;
	int taken;
	int irqs[2];
	int nmis[2];
} messages[] = {
	{ "to 0", 0, 0, MID_VECTOR, 1, { 1, 0 }, { 0, 0 } },
	{ "to 1", 1, 0, MID_VECTOR, 1, { 0, 1 }, { 0, 0 } },
	{ "to nobody", 9, 0, MID_VECTOR, 0, { 0, 0 }, { 0, 0 } },
	{ "to all", 0xff, 0, MID_VECTOR, 2, { 1, 1 }, { 0, 0 } },
	{ "logical, to 0", 1, MSI_LOGICAL, MID_VECTOR, 1, { 1, 0 }, { 0, 0 } },
	{ "logical, to 1", 2, MSI_LOGICAL, MID_VECTOR, 1, { 0, 1 }, { 0, 0 } },
	{ "logical, to both", 3, MSI_LOGICAL, MID_VECTOR, 2, { 1, 1 }, { 0, 0 } },
	{ "NMI to 1", 1, 0, MSI_NMI, 1, { 0, 0 }, { 0, 1 } },
};

TEST_F(apic, messages)
{
	struct vcpu *vcpu[2] = { self->vcpu, vcpu_create(self->vm, 1) };
	size_t row;
	int i;

	for (row = 0; row < ARRAY_SIZE(messages); row++) {
		test_context("%s", messages[row].name);
		memset(guest_cpus, 0, sizeof(guest_cpus));
		for (i = 0; i < 2; i++) {
			vcpu_start_long(vcpu[i], take_messages, variant->x2apic);
			guest_run_sync(vcpu[i], 1);
		}
		ASSERT_EQ(messages[row].taken,
			  vm_try_msi(self->vm, APIC_BASE_ADDR | messages[row].dest << 12 |
				     messages[row].address, messages[row].data));
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(messages[row].irqs[i], guest_run_value(vcpu[i]));
			ASSERT_EQ(messages[row].nmis[i], guest_run_value(vcpu[i]));
			guest_run_done(vcpu[i]);
		}
	}
	vcpu_destroy(vcpu[1]);
}

/* Lowest priority: one of those addressed, whichever. */
TEST_F(apic, message_to_lowest)
{
	struct vcpu *vcpu[2] = { self->vcpu, vcpu_create(self->vm, 1) };
	u64 sum = 0;
	int i;

	for (i = 0; i < 2; i++) {
		vcpu_start_long(vcpu[i], take_messages, variant->x2apic);
		guest_run_sync(vcpu[i], 1);
	}
	ASSERT_EQ(1, vm_try_msi(self->vm, APIC_BASE_ADDR | 3 << 12 | MSI_LOGICAL,
				MID_VECTOR | MSI_LOWEST));
	for (i = 0; i < 2; i++) {
		sum += guest_run_value(vcpu[i]);
		ASSERT_EQ(0, guest_run_value(vcpu[i]));
	}
	ASSERT_EQ(1, sum);
	vcpu_destroy(vcpu[1]);
}

TEST_F(apic, message_bad_address)
{
	vcpu_start_long(self->vcpu, take_messages, variant->x2apic);
	guest_run_sync(self->vcpu, 1);
	ASSERT_EQ(-EINVAL, vm_try_msi(self->vm, 0xfed00000, MID_VECTOR));
	ASSERT_EQ(-EINVAL, vm_try_msi(self->vm, 0, MID_VECTOR));
	ASSERT_EQ(0, guest_run_value(self->vcpu));
}

/* The EOI of a level interrupt is told to the program. */
static void level_interrupt(u64 x2apic)
{
	apic_on(x2apic);
	guest_handle(MID_VECTOR, guest_count_irq);
	guest_sync(1);
	GUEST_ASSERT(guest_apic_bit(APIC_TMR, MID_VECTOR));
	irq_on();
	irq_off();
	GUEST_EQ(count_of(0, MID_VECTOR), 1);
	guest_sync(2);
	irq_on();
	irq_off();
	GUEST_EQ(count_of(0, MID_VECTOR), 2);
	GUEST_ASSERT(!guest_apic_bit(APIC_TMR, MID_VECTOR));
	guest_done();
}

TEST_F(apic, level_eoi)
{
	struct lodge_exit *e;

	vcpu_start_long(self->vcpu, level_interrupt, variant->x2apic);
	guest_run_sync(self->vcpu, 1);
	ASSERT_EQ(1, vm_try_msi(self->vm, APIC_BASE_ADDR, MID_VECTOR | MSI_LEVEL));
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_EOI);
	ASSERT_EQ(MID_VECTOR, e->eoi.vector);
	ASSERT_FALSE(e->flags & LODGE_EXIT_F_COMPLETE);
	guest_run_sync(self->vcpu, 2);
	/* An edge interrupt of the same vector is not told. */
	vm_irq(self->vm, 0, MID_VECTOR);
	guest_run_done(self->vcpu);
}

/* ------------------------------------------------------------------ between vCPUs */

/* The second vCPU: sleeps, and counts what wakes it. */
static void sleeper(u64 x2apic)
{
	apic_on(x2apic);
	if (!x2apic)
		guest_apic_write(APIC_LDR, 1U << (24 + guest_cpu_id()));
	WRITE_ONCE(ready, 1);
	while (!READ_ONCE(stop))
		irq_wait();
	guest_done();
}

static void handle_all(guest_handler handler)
{
	guest_handle(LOW_VECTOR, handler);
	guest_handle(MID_VECTOR, handler);
	guest_handle(HIGH_VECTOR, handler);
	guest_handle(STOP_VECTOR, handler);
	guest_handle(NMI_VECTOR, guest_count_only);
}

static void send_all_kinds(u64 x2apic)
{
	apic_on(x2apic);
	if (!x2apic)
		guest_apic_write(APIC_LDR, 1U << 24);
	handle_all(guest_count_irq);
	irq_on();
	guest_sync(1);		/* the other is started now */
	while (!READ_ONCE(ready))
		cpu_relax();

	guest_send_ipi(1, MID_VECTOR);
	wait_for_count(1, MID_VECTOR, 1);
	GUEST_EQ(count_of(0, MID_VECTOR), 0);

	guest_send_ipi(0, MID_VECTOR);
	wait_for_count(0, MID_VECTOR, 1);

	guest_send_ipi(2, APIC_DEST_LOGICAL | MID_VECTOR);
	wait_for_count(1, MID_VECTOR, 2);
	GUEST_EQ(count_of(0, MID_VECTOR), 1);

	guest_send_ipi(3, APIC_DEST_LOGICAL | LOW_VECTOR);
	wait_for_count(0, LOW_VECTOR, 1);
	wait_for_count(1, LOW_VECTOR, 1);

	guest_send_ipi(0, APIC_DEST_OTHERS | HIGH_VECTOR);
	wait_for_count(1, HIGH_VECTOR, 1);
	GUEST_EQ(count_of(0, HIGH_VECTOR), 0);

	guest_send_ipi(0, APIC_DEST_ALL | HIGH_VECTOR);
	wait_for_count(0, HIGH_VECTOR, 1);
	wait_for_count(1, HIGH_VECTOR, 2);

	guest_send_ipi(x2apic ? 0xffffffff : 0xff, HIGH_VECTOR);	/* broadcast */
	wait_for_count(0, HIGH_VECTOR, 2);
	wait_for_count(1, HIGH_VECTOR, 3);

	guest_send_ipi(1, APIC_DM_NMI | APIC_LEVEL_ASSERT);
	wait_for_count(1, NMI_VECTOR, 1);
	GUEST_EQ(count_of(0, NMI_VECTOR), 0);

	guest_send_ipi(9, MID_VECTOR);		/* nobody */
	WRITE_ONCE(stop, 1);
	guest_send_ipi(1, STOP_VECTOR);
	guest_done();
}

TEST_F(apic, ipis)
{
	struct vcpu *other = vcpu_create(self->vm, 1);
	pthread_t thread;

	vcpu_start_long(other, sleeper, variant->x2apic);
	vcpu_start_long(self->vcpu, send_all_kinds, variant->x2apic);
	guest_run_sync(self->vcpu, 1);
	thread = guest_thread(other);
	guest_run_done(self->vcpu);
	join(thread);
	vcpu_destroy(other);
}

/* Many in both directions: none may be lost. */
#define PINGS	200

static u64 pings[2];

static __guest_irq void answer_ping(struct guest_frame *frame)
{
	u32 me = guest_cpu_id();

	WRITE_ONCE(pings[me], pings[me] + 1);
	guest_eoi();
	if (pings[me] < PINGS)
		guest_send_ipi(!me, MID_VECTOR);
}

static void ping_pong(u64 x2apic)
{
	u32 me = guest_cpu_id();

	apic_on(x2apic);
	guest_handle(MID_VECTOR, answer_ping);
	if (me) {
		WRITE_ONCE(ready, 1);
	} else {
		guest_sync(1);
		while (!READ_ONCE(ready))
			cpu_relax();
		guest_send_ipi(1, MID_VECTOR);
	}
	while (READ_ONCE(pings[me]) < PINGS - !me)
		irq_wait();
	guest_done();
}

TEST_F(apic, ping_pong)
{
	struct vcpu *other = vcpu_create(self->vm, 1);
	pthread_t thread;

	vcpu_start_long(other, ping_pong, variant->x2apic);
	vcpu_start_long(self->vcpu, ping_pong, variant->x2apic);
	guest_run_sync(self->vcpu, 1);
	thread = guest_thread(other);
	guest_run_done(self->vcpu);
	join(thread);
	ASSERT_GE(pings[0] + pings[1], 2 * PINGS - 1);
	vcpu_destroy(other);
}

/* INIT and SIPI: the second processor starts in real mode at the vector's page. */
GUEST_ASM(trampoline, .code16,
	  "xorl %edi, %edi\n"
	  "movw %cs, %di\n"
	  "movl $3, %eax\n"		/* GUEST_CALL_VALUE */
	  "movw $0x5e0, %dx\n"
	  "outl %eax, %dx\n"
	  "1: jmp 1b\n");

static void start_other(u64 x2apic)
{
	apic_on(x2apic);
	guest_sync(1);
	guest_send_ipi(1, APIC_DM_INIT | APIC_LEVEL_ASSERT);
	guest_send_ipi(1, APIC_DM_STARTUP | 0x08);
	guest_send_ipi(1, APIC_DM_STARTUP | 0x09);	/* too late: no effect */
	guest_sync(2);
	guest_send_ipi(1, APIC_DM_INIT | APIC_LEVEL_ASSERT);
	guest_sync(3);
	guest_send_ipi(1, APIC_DM_STARTUP | 0x0a);
	guest_sync(4);
	guest_done();
}

static u32 mp_state_of(struct vcpu *vcpu)
{
	struct lodge_vcpu_state s = {};

	vcpu_get(vcpu, &s, LODGE_STATE_EVENTS);
	return s.events.mp_state;
}

static void *run_one_value(void *arg)
{
	return (void *)(uintptr_t)guest_run_value(arg);
}

static u64 value_of(pthread_t thread)
{
	void *value;

	require(!pthread_join(thread, &value));
	return (uintptr_t)value;
}

TEST_F(apic, init_sipi)
{
	struct vcpu *ap = vcpu_create(self->vm, 1);
	struct lodge_vcpu_state s = {};
	struct async_run spinning;
	pthread_t thread;
	int i;

	for (i = 8; i <= 10; i++)
		vm_put_code(self->vm, i << 12, trampoline, guest_asm_size(trampoline));
	vcpu_start_long(self->vcpu, start_other, variant->x2apic);
	guest_run_sync(self->vcpu, 1);
	thread = spawn(run_one_value, ap);
	guest_run_sync(self->vcpu, 2);
	ASSERT_EQ(0x0800, value_of(thread));
	ASSERT_EQ(LODGE_MP_RUNNABLE, mp_state_of(ap));
	vcpu_get(ap, &s, LODGE_STATE_SREGS | LODGE_STATE_CRS);
	ASSERT_EQ(0x8000, s.sregs.seg[LODGE_SEG_CS].base);
	ASSERT_EQ(0, s.crs.cr0 & CR0_PE);

	/* Now it spins; INIT stops it, the next SIPI starts it elsewhere. */
	async_run(&spinning, ap);
	guest_run_sync(self->vcpu, 3);
	wait_until(mp_state_of(ap) == LODGE_MP_WAIT_SIPI);
	ASSERT_FALSE(READ_ONCE(spinning.finished));
	ap->run->wanted = LODGE_STATE_GPRS;
	guest_run_sync(self->vcpu, 4);
	ASSERT_EQ(0, async_end(&spinning));
	ASSERT_EQ(LODGE_EXIT_PIO, ap->run->exit.reason);
	ASSERT_EQ(0x0a00, ap->run->gprs.reg[7]);
	guest_run_done(self->vcpu);
	vcpu_destroy(ap);
}

/* ----------------------------------------------------------------- changes of mode */

static void change_modes(u64 arg)
{
	const u64 on = APIC_BASE_ADDR | APIC_BASE_BSP | APIC_BASE_ENABLE;
	u64 v;

	GUEST_EQ(rdmsr(MSR_APIC_BASE), on);
	GUEST_EQ(guest_try_rdmsr(MSR_X2APIC + APIC_ID / 16, &v), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_TPR / 16, 0), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_APIC_BASE, on | APIC_BASE_X2APIC), NO_TRAP);
	/* Not back to xAPIC without being off in between. */
	GUEST_EQ(guest_try_wrmsr(MSR_APIC_BASE, on), GP_VECTOR);
	GUEST_EQ(rdmsr(MSR_APIC_BASE), on | APIC_BASE_X2APIC);
	GUEST_EQ(guest_try_wrmsr(MSR_APIC_BASE, on & ~APIC_BASE_ENABLE), NO_TRAP);
	GUEST_EQ(cpuid(1, 0).edx >> 9 & 1, 0);
	GUEST_EQ(guest_try_rdmsr(MSR_X2APIC + APIC_ID / 16, &v), GP_VECTOR);
	/* Not from off to x2APIC. */
	GUEST_EQ(guest_try_wrmsr(MSR_APIC_BASE, on | APIC_BASE_X2APIC), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_APIC_BASE, on), NO_TRAP);
	GUEST_EQ(cpuid(1, 0).edx >> 9 & 1, 1);
	GUEST_EQ(guest_apic_read(APIC_SVR), 0xff);
	guest_done();
}

TEST(mode_changes)
{
	guest_simple(change_modes, 0);
}

/* x2APIC registers that are not there, or only for one kind of access. */
static void x2apic_faults(u64 arg)
{
	u64 v;

	guest_x2apic_on();
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_ID / 16, 1), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_VERSION / 16, 1), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_LDR / 16, 1), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_IRR / 16, 1), GP_VECTOR);
	GUEST_EQ(guest_try_rdmsr(MSR_X2APIC + APIC_EOI / 16, &v), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_EOI / 16, 1), GP_VECTOR);
	GUEST_EQ(guest_try_rdmsr(MSR_X2APIC + APIC_DFR / 16, &v), GP_VECTOR);
	GUEST_EQ(guest_try_rdmsr(MSR_X2APIC + APIC_ICR2 / 16, &v), GP_VECTOR);
	GUEST_EQ(guest_try_rdmsr(MSR_X2APIC + APIC_SELF_IPI / 16, &v), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_TPR / 16, 0x100), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_SVR / 16, BIT_ULL(40)), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_X2APIC + APIC_ESR / 16, 1), GP_VECTOR);
	GUEST_EQ(guest_try_rdmsr(MSR_X2APIC, &v), GP_VECTOR);
	GUEST_EQ(guest_try_rdmsr(MSR_X2APIC + 0xff, &v), GP_VECTOR);

	/* SELF IPI is the one register that only x2APIC has. */
	guest_apic_enable();
	guest_handle(MID_VECTOR, guest_count_irq);
	wrmsr(MSR_X2APIC + APIC_SELF_IPI / 16, MID_VECTOR);
	GUEST_ASSERT(guest_apic_bit(APIC_IRR, MID_VECTOR));
	irq_on();
	GUEST_EQ(count_of(0, MID_VECTOR), 1);
	guest_done();
}

TEST(x2apic_registers)
{
	guest_simple(x2apic_faults, 0);
}

/* In x2APIC mode the page is not there: an access is any device's. */
static void touch_page(u64 arg)
{
	guest_x2apic_on();
	guest_value(mmio_read(APIC_BASE_ADDR + APIC_ID));
	guest_done();
}

TEST(no_page_in_x2apic)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, touch_page, 0);
	struct lodge_exit *e;

	e = vcpu_run_complete(vcpu, LODGE_EXIT_MMIO, 0x1234);
	ASSERT_EQ(APIC_BASE_ADDR + APIC_ID, e->mmio.gpa);
	ASSERT_EQ(0x1234, guest_run_value(vcpu));
	guest_run_done(vcpu);
}

TEST_HARNESS_MAIN
