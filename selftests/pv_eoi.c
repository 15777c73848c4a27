// SPDX-License-Identifier: GPL-2.0
/*
 * PV EOI (MSR_KVM_PV_EOI_EN): a guest that ends interrupts as Linux does, by clearing a
 * bit of its memory where it is set, and by a write to its APIC where it is not.
 */
#include "state.h"
#include "kselftest_harness.h"

#define LAST_VECTOR	0x21
#define LOW_VECTOR	0x31
#define MID_VECTOR	0x41
#define HIGH_VECTOR	0x61
#define PATIENCE	2000000000ULL	/* ticks until the guest gives up */
#define ROUNDS		50
#define TRIES		20

#define MSI_LEVEL	0xc000U		/* level triggered, asserted */

#define EXIT_WRMSR	32

#define GPA_WORD	(GPA_FREE + 0x40)
#define GPA_FAR		(GPA_TEST + 0x4000000)	/* alone in its region */
#define GPA_RO		(GPA_TEST + 0x8000000)

/* What handlers have met, in order. */
static struct {
	u8 vector;
	bool offered;
} met[8];
static u32 nr_met;
static bool missed;
static u64 offers, writes;
static u32 phase;
static u64 word_gpa = GPA_WORD;

FIXTURE(pv_eoi)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_VARIANT(pv_eoi)
{
	bool x2apic;
};

FIXTURE_VARIANT_ADD(pv_eoi, xapic)
{
	.x2apic = false,
};

FIXTURE_VARIANT_ADD(pv_eoi, x2apic)
{
	.x2apic = true,
};

FIXTURE_SETUP(pv_eoi)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(pv_eoi)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static void run_guest(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	vcpu_start_long(vcpu, fn, arg);
	guest_run_done(vcpu);
}

/* --------------------------------------------------------------- the guest's half */

static __guest_irq u32 *word(void)
{
	return (u32 *)word_gpa;
}

static __guest_irq bool is_offered(void)
{
	return READ_ONCE(*word()) & 1;
}

static __guest_irq bool take_offer(void)
{
	bool taken;

	asm volatile("btrl $0, %1" : "=@ccc"(taken), "+m"(*word()) : : "memory");
	return taken;
}

static __guest_irq void end_interrupt(void)
{
	if (take_offer()) {
		offers++;
	} else {
		writes++;
		guest_eoi();
	}
}

static __guest_irq void note(struct guest_frame *frame)
{
	met[nr_met].vector = frame->vector;
	met[nr_met++].offered = is_offered();
}

static __guest_irq void end_at_once(struct guest_frame *frame)
{
	end_interrupt();
	this_guest_cpu()->interrupts[frame->vector]++;
}

static __guest_irq void note_and_end(struct guest_frame *frame)
{
	note(frame);
	end_interrupt();
}

static __guest_irq void send_self(u8 vector)
{
	guest_send_ipi(0, APIC_DEST_SELF | vector);
}

static u64 count_of(u8 vector)
{
	return READ_ONCE(guest_cpus[0].interrupts[vector]);
}

static void wait_for_count(u8 vector, u64 n)
{
	u64 start = read_tsc();

	while (count_of(vector) < n && read_tsc() - start < PATIENCE)
		cpu_relax();
	GUEST_EQ(count_of(vector), n);
}

static void pv_on(u64 x2apic, guest_handler handler)
{
	if (x2apic)
		guest_x2apic_on();
	guest_apic_enable();
	wrmsr(MSR_KVM_PV_EOI_EN, word_gpa | 1);
	guest_handle(LOW_VECTOR, handler);
	guest_handle(MID_VECTOR, handler);
	guest_handle(HIGH_VECTOR, handler);
	guest_handle(LAST_VECTOR, end_at_once);
}

/*
 * What handlers have met: these vectors. Where there is to be no offer there must be
 * none; an offer may have been withdrawn for an exit of the host's making.
 */
static void expect_met(u32 i, u8 vector, bool offered)
{
	GUEST_ASSERT(i < nr_met);
	GUEST_EQ(met[i].vector, vector);
	if (offered && !met[i].offered)
		missed = true;
	else
		GUEST_EQ(met[i].offered, offered);
}

/* Until all has been offered that is to be: that fails seldom, and at first for sure. */
static void until_offered(void (*fn)(void))
{
	int i;

	for (i = 0; i < TRIES; i++) {
		nr_met = 0;
		missed = false;
		fn();
		if (!missed)
			return;
	}
	GUEST_ASSERT(!missed);
}

static void take_interrupts(void)
{
	irq_on();
	irq_off();
}

static void expect_end(u32 nr)
{
	u64 n = count_of(LAST_VECTOR);

	GUEST_EQ(nr_met, nr);
	GUEST_EQ(guest_apic_bit(APIC_ISR, LOW_VECTOR), false);
	GUEST_EQ(guest_apic_bit(APIC_ISR, MID_VECTOR), false);
	GUEST_EQ(guest_apic_bit(APIC_ISR, HIGH_VECTOR), false);
	GUEST_EQ(guest_apic_read(APIC_PPR), 0);
	/* And the APIC goes on to work. */
	irq_on();
	send_self(LAST_VECTOR);
	wait_for_count(LAST_VECTOR, n + 1);
	irq_off();
	GUEST_EQ(is_offered(), false);
}

/* ----------------------------------------------------------------- it is offered */

static void many(u64 x2apic)
{
	u64 i;

	pv_on(x2apic, end_at_once);
	*word() = 0xabcdef0;
	irq_on();
	guest_sync(1);
	for (i = 1; i <= ROUNDS; i++) {
		send_self(MID_VECTOR);
		wait_for_count(MID_VECTOR, i);
	}
	guest_sync(2);
	GUEST_EQ(*word(), 0xabcdef0);
	GUEST_EQ(offers + writes, ROUNDS);
	GUEST_ASSERT(offers > ROUNDS / 2);
	guest_done();
}

/* An exit less for each interrupt: with x2APIC all that remain are counted. */
TEST_F(pv_eoi, offered)
{
	u64 before;

	vcpu_start_long(self->vcpu, many, variant->x2apic);
	guest_run_sync(self->vcpu, 1);
	before = vcpu_stats(self->vcpu).hw[EXIT_WRMSR];
	guest_run_sync(self->vcpu, 2);
	if (variant->x2apic)
		ASSERT_EQ(ROUNDS + READ_ONCE(writes),
			  vcpu_stats(self->vcpu).hw[EXIT_WRMSR] - before);
	guest_run_done(self->vcpu);
}

/* Nobody has to ask for it; and it can be switched off again. */
static void off(u64 x2apic)
{
	pv_on(x2apic, note_and_end);
	wrmsr(MSR_KVM_PV_EOI_EN, 0);
	GUEST_EQ(rdmsr(MSR_KVM_PV_EOI_EN), 0);
	send_self(MID_VECTOR);
	take_interrupts();
	expect_met(0, MID_VECTOR, false);
	expect_end(1);
	GUEST_EQ(offers, 0);
	guest_done();
}

TEST_F(pv_eoi, off)
{
	run_guest(self->vcpu, off, variant->x2apic);
}

/* -------------------------------------------------------- where something hangs on it */

static void level(u64 x2apic)
{
	pv_on(x2apic, note_and_end);
	guest_sync(1);
	take_interrupts();
	expect_met(0, MID_VECTOR, false);
	GUEST_EQ(writes, 1);
	expect_end(1);
	guest_done();
}

/* The program is to be told of its end. */
TEST_F(pv_eoi, level)
{
	vcpu_start_long(self->vcpu, level, variant->x2apic);
	guest_run_sync(self->vcpu, 1);
	ASSERT_EQ(1, vm_try_msi(self->vm, APIC_BASE_ADDR, MID_VECTOR | MSI_LEVEL));
	ASSERT_EQ(MID_VECTOR, vcpu_run_until(self->vcpu, LODGE_EXIT_EOI)->eoi.vector);
	guest_run_done(self->vcpu);
}

/* Two wait: the end of the first is the time for the second. */
static void waiting(void)
{
	send_self(MID_VECTOR);
	send_self(HIGH_VECTOR);
	take_interrupts();
	expect_met(0, HIGH_VECTOR, false);
	expect_met(1, MID_VECTOR, true);
	expect_end(2);
}

static __guest_irq void nest(struct guest_frame *frame)
{
	note(frame);
	send_self(HIGH_VECTOR);
	irq_on();
	irq_off();
	note(frame);
	end_interrupt();
}

/* One within the other: each ends itself. */
static void nested(void)
{
	guest_handle(MID_VECTOR, nest);
	send_self(MID_VECTOR);
	take_interrupts();
	expect_met(0, MID_VECTOR, true);
	expect_met(1, HIGH_VECTOR, false);
	expect_met(2, MID_VECTOR, false);
	expect_end(3);
}

static __guest_irq void send_lower(struct guest_frame *frame)
{
	note(frame);
	send_self(LOW_VECTOR);
	note(frame);
	end_interrupt();
}

/* One that has to wait comes after the offer: it is withdrawn. */
static void withdrawn(void)
{
	guest_handle(MID_VECTOR, send_lower);
	send_self(MID_VECTOR);
	take_interrupts();
	expect_met(0, MID_VECTOR, true);
	expect_met(1, MID_VECTOR, false);
	expect_met(2, LOW_VECTOR, true);
	expect_end(3);
}

static __guest_irq void look_after(struct guest_frame *frame)
{
	note_and_end(frame);
	phase = guest_apic_bit(APIC_ISR, frame->vector);
}

static __guest_irq void look_before(struct guest_frame *frame)
{
	note(frame);
	phase = guest_apic_bit(APIC_ISR, frame->vector);
	end_interrupt();
}

static __guest_irq void write_anyway(struct guest_frame *frame)
{
	note(frame);
	guest_eoi();
}

/* What the guest reads of its APIC is right at any time. */
static void read_after(void)
{
	guest_handle(MID_VECTOR, look_after);
	send_self(MID_VECTOR);
	take_interrupts();
	expect_met(0, MID_VECTOR, true);
	GUEST_EQ(phase, 0);
	expect_end(1);
}

static void read_before(void)
{
	guest_handle(MID_VECTOR, look_before);
	send_self(MID_VECTOR);
	take_interrupts();
	expect_met(0, MID_VECTOR, true);
	GUEST_EQ(phase, 1);
	expect_end(1);
}

/* As if there were no such thing. */
static void written(void)
{
	guest_handle(MID_VECTOR, write_anyway);
	send_self(MID_VECTOR);
	take_interrupts();
	expect_met(0, MID_VECTOR, true);
	GUEST_EQ(is_offered(), false);
	expect_end(1);
}

static const struct {
	const char *name;
	void (*run)(void);
} scenes[] = {
	{ "one waits", waiting },
	{ "one within the other", nested },
	{ "one comes later", withdrawn },
	{ "the ISR, after", read_after },
	{ "the ISR, before", read_before },
	{ "written all the same", written },
};

static void play(u64 x2apic)
{
	size_t i;

	pv_on(x2apic, note_and_end);
	for (i = 0; i < ARRAY_SIZE(scenes); i++) {
		guest_sync(i);
		guest_handle(MID_VECTOR, note_and_end);
		until_offered(scenes[i].run);
	}
	guest_done();
}

TEST_F(pv_eoi, scenes)
{
	size_t i;

	vcpu_start_long(self->vcpu, play, variant->x2apic);
	for (i = 0; i < ARRAY_SIZE(scenes); i++) {
		test_context("%s", scenes[i].name);
		guest_run_sync(self->vcpu, i);
	}
	guest_run_done(self->vcpu);
}

static void halt(u64 x2apic)
{
	pv_on(x2apic, end_at_once);
	while (!offers) {
		send_self(HIGH_VECTOR);
		take_interrupts();
	}
	irq_wait();
	GUEST_EQ(count_of(LOW_VECTOR), 1);
	guest_done();
}

/* Whoever sleeps, with an interrupt ended so, is woken by a lower one. */
TEST_F(pv_eoi, halt)
{
	pthread_t thread;

	vcpu_start_long(self->vcpu, halt, variant->x2apic);
	thread = guest_thread(self->vcpu);
	wait_until(vcpu_stats(self->vcpu).halts);
	vm_irq(self->vm, 0, LOW_VECTOR);
	join(thread);
}

/* ---------------------------------------------------------------------- the state */

/* Phase 0: stop while it is in service. Phase 1: stop when it has been ended. */
static __guest_irq void stop(struct guest_frame *frame)
{
	nr_met = 0;
	note(frame);
	if (!phase) {
		guest_call(GUEST_CALL_SYNC, 0, 0, 0, 0, 0);
		note(frame);
	}
	end_interrupt();
	guest_call(GUEST_CALL_SYNC, 1, 0, 0, 0, 0);
}

static void stop_often(u64 x2apic)
{
	pv_on(x2apic, stop);
	while (phase < 2) {
		send_self(MID_VECTOR);
		take_interrupts();
	}
	nr_met = 0;
	expect_end(0);
	guest_done();
}

static bool in_service(struct vcpu *vcpu, u8 vector)
{
	struct lodge_lapic lapic;

	vcpu_get_lapic(vcpu, &lapic);
	return lapic.regs[(APIC_ISR + vector / 32 * 16) / 4] >> vector % 32 & 1;
}

/* Saved and restored in the middle: the new vCPU goes on as the old would have. */
TEST_F(pv_eoi, state)
{
	struct vcpu *clone;

	vcpu_start_long(self->vcpu, stop_often, variant->x2apic);
	guest_run_sync(self->vcpu, 0);
	while (!met[0].offered) {
		guest_run_sync(self->vcpu, 1);
		guest_run_sync(self->vcpu, 0);
	}
	ASSERT_TRUE(in_service(self->vcpu, MID_VECTOR));
	ASSERT_EQ(0, *(u32 *)(self->vm->low + GPA_WORD));
	clone = vcpu_clone(self->vcpu);
	ASSERT_EQ(GPA_WORD | 1, vcpu_get_msr(clone, MSR_KVM_PV_EOI_EN));
	ASSERT_TRUE(in_service(clone, MID_VECTOR));
	phase = 1;
	/* The OUT is made again. */
	guest_run_sync(clone, 0);
	guest_run_sync(clone, 1);
	ASSERT_FALSE(met[1].offered);
	ASSERT_FALSE(in_service(clone, MID_VECTOR));

	/* Ended by the bit alone, and the state knows it. */
	do {
		guest_run_sync(clone, 1);
		ASSERT_FALSE(in_service(clone, MID_VECTOR));
	} while (!met[0].offered);
	phase = 2;
	guest_run_done(clone);
	vcpu_destroy(clone);
}

static const struct {
	u64 value;
	int vector;
} msr_values[] = {
	{ GPA_WORD | 1, NO_TRAP },
	{ GPA_WORD, NO_TRAP },
	{ GPA_FREE + PAGE_SIZE - 4 + 1, NO_TRAP },
	{ GPA_MMIO | 1, NO_TRAP },		/* no memory: no offer */
	{ GPA_WORD | 2, GP_VECTOR },
	{ GPA_WORD | 3, GP_VECTOR },
	{ BIT_ULL(48) | 1, GP_VECTOR },
	{ ~3ULL, GP_VECTOR },
	{ 0, NO_TRAP },
};

static void write_values(u64 arg)
{
	u64 before, value;
	size_t i;

	GUEST_EQ(cpuid(0x40000001, 0).eax >> 6 & 1, 1);
	GUEST_EQ(rdmsr(MSR_KVM_PV_EOI_EN), 0);
	for (i = 0; i < ARRAY_SIZE(msr_values); i++) {
		before = rdmsr(MSR_KVM_PV_EOI_EN);
		value = msr_values[i].value;
		GUEST_EQ(guest_try_wrmsr(MSR_KVM_PV_EOI_EN, value), msr_values[i].vector);
		GUEST_EQ(rdmsr(MSR_KVM_PV_EOI_EN),
			 msr_values[i].vector == NO_TRAP ? value : before);
	}
	guest_done();
}

TEST_F(pv_eoi, msr_values)
{
	run_guest(self->vcpu, write_values, 0);
}

static void set_and_wait(u64 x2apic)
{
	pv_on(x2apic, end_at_once);
	WRITE_ONCE(phase, 1);
	for (;;)
		cpu_relax();
}

static void send_init(u64 x2apic)
{
	if (x2apic)
		guest_x2apic_on();
	guest_apic_enable();
	guest_send_ipi(1, APIC_DM_INIT | APIC_LEVEL_ASSERT);
	guest_done();
}

/* INIT takes the guest's word from it. */
TEST_F(pv_eoi, init)
{
	struct vcpu *other = vcpu_create_at(self->vm, 1, set_and_wait, variant->x2apic);
	struct async_run run;

	async_run(&run, other);
	wait_until(READ_ONCE(phase));
	ASSERT_EQ(GPA_WORD | 1, vcpu_get_msr(other, MSR_KVM_PV_EOI_EN));
	run_guest(self->vcpu, send_init, variant->x2apic);
	wait_until(!vcpu_get_msr(other, MSR_KVM_PV_EOI_EN));
	vcpu_kick(other);
	ASSERT_EQ(EINTR, async_end(&run));
	vcpu_destroy(other);
}

/* --------------------------------------------------------------------- its memory */

static void no_offer(u64 x2apic)
{
	u64 before = word_gpa == GPA_RO ? *word() : 0;

	pv_on(x2apic, write_anyway);
	guest_handle(MID_VECTOR, guest_count_irq);
	irq_on();
	send_self(MID_VECTOR);
	wait_for_count(MID_VECTOR, 1);
	send_self(MID_VECTOR);
	wait_for_count(MID_VECTOR, 2);
	if (word_gpa == GPA_RO)
		GUEST_EQ(*word(), before);
	guest_done();
}

TEST_F(pv_eoi, no_memory)
{
	word_gpa = GPA_MMIO;
	run_guest(self->vcpu, no_offer, variant->x2apic);
}

TEST_F(pv_eoi, read_only)
{
	u32 *there = vm_ram(self->vm, GPA_RO, PAGE_SIZE);

	*there = 0x1230;
	vm_protect(self->vm, GPA_RO, PAGE_SIZE, LODGE_MEM_F_READONLY);
	word_gpa = GPA_RO;
	run_guest(self->vcpu, no_offer, variant->x2apic);
	ASSERT_EQ(0x1230, *there);
}

/* Does not look at its word until the host has taken the page behind it. */
static __guest_irq void end_late(struct guest_frame *frame)
{
	WRITE_ONCE(phase, 1);
	while (READ_ONCE(phase) != 2)
		cpu_relax();
	note_and_end(frame);
}

static void wait_late(u64 x2apic)
{
	pv_on(x2apic, end_late);
	for (;;) {
		nr_met = 0;
		guest_sync(1);
		send_self(MID_VECTOR);
		take_interrupts();
		GUEST_EQ(nr_met, 1);
		expect_end(1);
		guest_sync(2);
	}
}

static void *run_to_two(void *arg)
{
	guest_run_sync(arg, 2);
	return NULL;
}

/* In a round the guest's page goes, with an offer in it if there is one. */
static bool offered_and_gone(struct vcpu *vcpu, u32 *there)
{
	pthread_t thread;
	bool offered;

	WRITE_ONCE(phase, 0);
	guest_run_sync(vcpu, 1);
	/* Only the host maps the page: the guest's part goes with it, and comes late. */
	require(!madvise(there, PAGE_SIZE, MADV_DONTNEED));
	WRITE_ONCE(*there, 0x5a0);
	thread = spawn(run_to_two, vcpu);
	/* Without a sleep: the next clock tick ends the offer. */
	while (READ_ONCE(phase) != 1)
		cpu_relax();
	offered = READ_ONCE(*there) & 1;
	require(!madvise(there, PAGE_SIZE, MADV_DONTNEED));
	WRITE_ONCE(phase, 2);
	join(thread);
	require(*there == 0x5a0);
	require(!met[0].offered);
	return offered;
}

/*
 * The page goes, without an exit, while the offer stands: the exit that the guest makes
 * for it has to know what it holds, and has to have it brought in.
 */
TEST_F(pv_eoi, page_gone)
{
	u32 *there = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int cpus[2], i;

	if (online_cpus(cpus, 2) < 2)
		SKIP(return, "the host has one CPU: to look at the guest ends the offer");
	ASSERT_NE(MAP_FAILED, there);
	vm_map(self->vm, GPA_FAR, there, PAGE_SIZE, 0);
	word_gpa = GPA_FAR;
	vcpu_start_long(self->vcpu, wait_late, variant->x2apic);
	for (i = 0; !offered_and_gone(self->vcpu, there); i++)
		require(i < TRIES);
}

TEST_HARNESS_MAIN
