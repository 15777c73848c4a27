// SPDX-License-Identifier: GPL-2.0
/* The VM's clock: kvmclock as the guest reads it, CLOCK_GET and CLOCK_SET. */
#include "pvclock.h"
#include "vm.h"
#include "kselftest_harness.h"

#define GPA_CLOCK	(GPA_FREE)
#define GPA_WALL	(GPA_FREE + 0x100)
#define SLACK_NS	(2 * NSEC_PER_MSEC)

#define CLOCKSOURCE	"/sys/devices/system/clocksource/clocksource0/"

struct wall_clock {
	u32 version;
	u32 sec;
	u32 nsec;
};

FIXTURE(clock)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(clock)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(clock)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static u64 get_clock(struct vm *vm, struct lodge_clock *clock)
{
	struct lodge_clock c = { .size = sizeof(c) };
	int ret = try_ioctl(vm->fd, LODGE_VM_CLOCK_GET, &c);

	if (ret)
		test_fail("LODGE_VM_CLOCK_GET: %s", strerror(-ret));
	if (clock)
		*clock = c;
	return c.guest_ns;
}

static int set_clock(struct vm *vm, u64 guest_ns, u64 host_ns)
{
	struct lodge_clock c = {
		.size = sizeof(c), .guest_ns = guest_ns, .host_ns = host_ns,
	};

	return try_ioctl(vm->fd, LODGE_VM_CLOCK_SET, &c);
}

/* ----------------------------------------------------------- CLOCK_GET, SET */

TEST_F(clock, get)
{
	struct lodge_clock c;
	u64 ns[2], tsc[2];

	ns[0] = realtime_ns();
	tsc[0] = read_tsc();
	get_clock(self->vm, &c);
	tsc[1] = read_tsc();
	ns[1] = realtime_ns();
	ASSERT_LE(tsc[0], c.host_tsc);
	ASSERT_GE(tsc[1], c.host_tsc);
	ASSERT_LE(ns[0], c.host_ns + SLACK_NS);
	ASSERT_GE(ns[1] + SLACK_NS, c.host_ns);
	/* Since the VM was created: not long ago. */
	ASSERT_LT(c.guest_ns, 20 * NSEC_PER_SEC);
}

TEST_F(clock, runs)
{
	u64 start = now_ns(), before = get_clock(self->vm, NULL), after, took;

	usleep(50000);
	after = get_clock(self->vm, NULL);
	took = now_ns() - start;
	ASSERT_GE(after - before, 49 * NSEC_PER_MSEC);
	ASSERT_LE(after - before, took + SLACK_NS);
}

TEST_F(clock, set)
{
	const u64 there = 1000 * NSEC_PER_SEC;
	u64 now;

	ASSERT_EQ(0, set_clock(self->vm, there, 0));
	now = get_clock(self->vm, NULL);
	ASSERT_GE(now, there);
	ASSERT_LT(now, there + 5 * NSEC_PER_SEC);

	/* Five seconds ago it was that late. */
	ASSERT_EQ(0, set_clock(self->vm, there, realtime_ns() - 5 * NSEC_PER_SEC));
	now = get_clock(self->vm, NULL);
	ASSERT_GE(now + SLACK_NS, there + 5 * NSEC_PER_SEC);
	ASSERT_LT(now, there + 10 * NSEC_PER_SEC);
}

/* ---------------------------------------------------------------- the guest */

static void watch_clock(u64 gpa)
{
	u64 last = 0, now;
	int i;

	wrmsr(MSR_KVM_SYSTEM_TIME, gpa | 1);
	GUEST_EQ(rdmsr(MSR_KVM_SYSTEM_TIME), gpa | 1);
	for (i = 0; i < 1000; i++) {
		now = guest_read_clock(gpa);
		GUEST_ASSERT(now >= last);
		last = now;
	}
	for (;;)
		guest_value(guest_read_clock(gpa));
}

TEST_F(clock, guest_reads)
{
	u64 before, guest, after;
	int i;

	vcpu_start_long(self->vcpu, watch_clock, GPA_CLOCK);
	for (i = 0; i < 10; i++) {
		before = get_clock(self->vm, NULL);
		guest = guest_run_value(self->vcpu);
		after = get_clock(self->vm, NULL);
		ASSERT_GE(guest + SLACK_NS, before);
		ASSERT_LE(guest, after + SLACK_NS);
		usleep(5000);
	}
}

/* CLOCK_SET reaches a guest that has the page already. */
TEST_F(clock, guest_sees_set)
{
	const u64 there = 5000 * NSEC_PER_SEC;
	u64 guest;

	vcpu_start_long(self->vcpu, watch_clock, GPA_CLOCK);
	ASSERT_LT(guest_run_value(self->vcpu), 100 * NSEC_PER_SEC);
	ASSERT_EQ(0, set_clock(self->vm, there, 0));
	guest = guest_run_value(self->vcpu);
	ASSERT_GE(guest + SLACK_NS, there);
	ASSERT_LT(guest, there + 20 * NSEC_PER_SEC);
}

/* Both vCPUs show one time. */
TEST_F(clock, two_vcpus)
{
	struct vcpu *other = vcpu_create_at(self->vm, 1, watch_clock, GPA_CLOCK + 0x200);
	u64 last = 0, now;
	int i;

	vcpu_start_long(self->vcpu, watch_clock, GPA_CLOCK);
	for (i = 0; i < 20; i++) {
		now = guest_run_value(i & 1 ? other : self->vcpu);
		ASSERT_GE(now, last);
		last = now;
	}
	vcpu_destroy(other);
}

/* ------------------------------------------ the host leaves its TSC meanwhile */

static u64 last_value;		/* the latest time read without the stable flag */
static u64 latest;		/* the latest time that any vCPU has seen */
static u64 reads[2];
static u32 flags_seen[2];
static u32 stop;

/* The greater of the two, which *@at is afterwards. */
static u64 raise_to(u64 *at, u64 value)
{
	u64 old = __atomic_load_n(at, __ATOMIC_SEQ_CST);

	do {
		if (old >= value)
			return old;
	} while (!__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	return value;
}

/* As Linux does: without the flag vCPUs see to it that no one's time goes back. */
static void watch_together(u64 id)
{
	u64 gpa = GPA_CLOCK + id * 0x200, before, now;
	u8 flags;

	irq_on();
	wrmsr(MSR_KVM_SYSTEM_TIME, gpa | 1);
	while (!READ_ONCE(stop)) {
		before = __atomic_load_n(&latest, __ATOMIC_SEQ_CST);
		now = guest_read_clock_flags(gpa, &flags);
		if (!(flags & PVCLOCK_STABLE))
			now = raise_to(&last_value, now);
		GUEST_ASSERT(now >= before);
		raise_to(&latest, now);
		WRITE_ONCE(flags_seen[id], flags);
		WRITE_ONCE(reads[id], reads[id] + 1);
	}
	guest_done();
}

/* Both vCPUs have read the time, with these flags, since now. */
static void wait_for_flags(u32 flags)
{
	u64 from[2] = { READ_ONCE(reads[0]), READ_ONCE(reads[1]) };

	wait_until(READ_ONCE(reads[0]) > from[0] + 100 && READ_ONCE(flags_seen[0]) == flags &&
		   READ_ONCE(reads[1]) > from[1] + 100 && READ_ONCE(flags_seen[1]) == flags);
}

static const char *other_clocksource(void)
{
	static const char *const names[] = { "hpet", "acpi_pm" };
	char text[128];
	size_t i;

	if (read_text(CLOCKSOURCE "available_clocksource", text, sizeof(text)))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strstr(text, names[i]))
			return names[i];
	return NULL;
}

static u8 page_flags(const struct vm *vm)
{
	return ((const struct pvclock *)(vm->low + GPA_CLOCK))->flags;
}

/* A VM that begins while the host does not trust its TSC. */
static void begin_without_tsc(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, watch_clock, GPA_CLOCK);
	u64 before = get_clock(vm, NULL);

	require(guest_run_value(vcpu) + SLACK_NS >= before);
	require(!page_flags(vm));
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

/* No vCPU sees time go back, and none goes on to believe in the host's TSC. */
TEST_F(clock, host_leaves_tsc)
{
	struct vcpu *other = vcpu_create_at(self->vm, 1, watch_together, 1);
	const char *source = other_clocksource();
	pthread_t thread[2];
	u64 now;

	if (!source || write_text(CLOCKSOURCE "current_clocksource", "tsc"))
		SKIP(return, "the host has no other clock, or no good TSC");
	vcpu_start_long(self->vcpu, watch_together, 0);
	thread[0] = guest_thread(self->vcpu);
	thread[1] = guest_thread(other);
	wait_for_flags(PVCLOCK_STABLE);

	ASSERT_EQ(0, write_text(CLOCKSOURCE "current_clocksource", source));
	wait_for_flags(0);
	now = get_clock(self->vm, NULL);
	wait_for_flags(0);
	ASSERT_GE(READ_ONCE(latest), now);
	ASSERT_LE(READ_ONCE(latest), get_clock(self->vm, NULL) + SLACK_NS);
	begin_without_tsc();

	/* Its return changes nothing, until the clock is set. */
	ASSERT_EQ(0, write_text(CLOCKSOURCE "current_clocksource", "tsc"));
	wait_for_flags(0);
	WRITE_ONCE(stop, 1);
	join(thread[0]);
	join(thread[1]);
	ASSERT_EQ(0, set_clock(self->vm, 5000 * NSEC_PER_SEC, 0));
	self->vcpu->complete = false;
	vcpu_start_long(self->vcpu, watch_clock, GPA_CLOCK);
	ASSERT_GE(guest_run_value(self->vcpu), 5000 * NSEC_PER_SEC);
	ASSERT_EQ(PVCLOCK_STABLE, page_flags(self->vm));
	vcpu_destroy(other);
}

static void take_wall_clock(u64 gpa)
{
	const struct wall_clock *w = (const struct wall_clock *)gpa;

	wrmsr(MSR_KVM_WALL_CLOCK, gpa);
	GUEST_EQ(READ_ONCE(w->version) & 1, 0);
	GUEST_ASSERT(READ_ONCE(w->version) != 0);
	guest_value(w->sec * NSEC_PER_SEC + w->nsec);
	guest_done();
}

/* The wall clock says when kvmclock was zero. */
TEST_F(clock, wall_clock)
{
	u64 boot, now;

	vcpu_start_long(self->vcpu, take_wall_clock, GPA_WALL);
	boot = guest_run_value(self->vcpu);
	now = boot + get_clock(self->vm, NULL);
	ASSERT_LT(now, realtime_ns() + NSEC_PER_SEC);
	ASSERT_GT(now + NSEC_PER_SEC, realtime_ns());
	guest_run_done(self->vcpu);
}

/* Switched off, the page is left alone. */
static void stop_clock(u64 gpa)
{
	struct pvclock *p = (struct pvclock *)gpa;

	wrmsr(MSR_KVM_SYSTEM_TIME, gpa | 1);
	GUEST_ASSERT(READ_ONCE(p->tsc_to_system_mul));
	wrmsr(MSR_KVM_SYSTEM_TIME, 0);
	fill_bytes(p, 0, sizeof(*p));
	guest_sync(1);
	GUEST_EQ(READ_ONCE(p->tsc_to_system_mul), 0);
	GUEST_EQ(READ_ONCE(p->version), 0);
	guest_done();
}

TEST_F(clock, off)
{
	vcpu_start_long(self->vcpu, stop_clock, GPA_CLOCK);
	guest_run_sync(self->vcpu, 1);
	ASSERT_EQ(0, set_clock(self->vm, NSEC_PER_SEC, 0));
	guest_run_done(self->vcpu);
}

TEST_HARNESS_MAIN
