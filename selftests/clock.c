// SPDX-License-Identifier: GPL-2.0
/* The VM's clock: kvmclock as the guest reads it, CLOCK_GET and CLOCK_SET. */
#include "vm.h"
#include "kselftest_harness.h"

#define GPA_CLOCK	(GPA_FREE)
#define GPA_WALL	(GPA_FREE + 0x100)
#define SLACK_NS	(2 * NSEC_PER_MSEC)

/* The page a kvmclock guest reads (MSR_KVM_SYSTEM_TIME). */
struct pvclock {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	__s8 tsc_shift;
	u8 flags;
	u8 pad[2];
};

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

static u64 scale(u64 delta, const struct pvclock *p)
{
	if (p->tsc_shift < 0)
		delta >>= -p->tsc_shift;
	else
		delta <<= p->tsc_shift;
	return (delta >> 32) * p->tsc_to_system_mul +
	       ((delta & 0xffffffff) * p->tsc_to_system_mul >> 32);
}

/* As a guest kernel reads it. */
static u64 read_clock(u64 gpa)
{
	const struct pvclock *p = (const struct pvclock *)gpa;
	u32 version;
	u64 ns;

	do {
		version = READ_ONCE(p->version) & ~1U;
		asm volatile("lfence" : : : "memory");
		ns = p->system_time + scale(read_tsc() - p->tsc_timestamp, p);
		asm volatile("lfence" : : : "memory");
	} while (version != READ_ONCE(p->version));
	return ns;
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
	u64 before = get_clock(self->vm, NULL), start = now_ns(), after, took;

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
		now = read_clock(gpa);
		GUEST_ASSERT(now >= last);
		last = now;
	}
	for (;;)
		guest_value(read_clock(gpa));
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
