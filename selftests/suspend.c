// SPDX-License-Identifier: GPL-2.0
/*
 * The host sleeps and wakes, with guests inside: they go on where they were, and
 * no time has passed for them.
 *
 * The host really does sleep: so only where the environment says how, by the word
 * for /sys/power/state in LODGE_TEST_SUSPEND, and where something wakes it. (The
 * emulated machine wakes at once.) LODGE_TEST_RIVAL is the file of the module
 * tools/check/rival.
 */
#include <sys/syscall.h>

#include "pvclock.h"
#include "vm.h"
#include "kselftest_harness.h"

#define GPA_CLOCK	GPA_FREE
#define VECTOR		0x40
#define PERIOD		200000	/* counts or ticks of a guest's timer */
/* How late what a guest says may be: others run, too, on a slow machine. */
#define SLACK_NS	(500 * NSEC_PER_MSEC)
#define SKIPPED		255	/* what the harness takes as such, from a setup */

/* What the guests tell, each of its own. */
static struct {
	u64 laps;
	u64 tsc;
	u64 ns;
} seen[NR_GUEST_CPUS];
static u32 stop;

static void lap(void)
{
	u64 *laps = &seen[guest_cpu_id()].laps;

	WRITE_ONCE(*laps, *laps + 1);
}

/* -------------------------------------------------------------- the guests */

/* Never leaves but for the host's sake. */
static void spin(u64 arg)
{
	irq_on();
	while (!READ_ONCE(stop))
		lap();
	guest_done();
}

static void timer_on(u32 mode)
{
	guest_handle(VECTOR, guest_count_irq);
	guest_x2apic_on();
	guest_apic_enable();
	guest_apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	guest_apic_write(APIC_LVT_TIMER, mode | VECTOR);
}

/* Halted, and woken by its periodic timer. */
static void periodic(u64 arg)
{
	timer_on(APIC_TIMER_PERIODIC);
	guest_apic_write(APIC_TIMER_INIT, PERIOD);
	while (!READ_ONCE(stop)) {
		irq_wait();
		lap();
	}
	guest_done();
}

/* Halted, and woken by a deadline: never before it, and not long after. */
static void deadline(u64 late)
{
	u64 when;

	timer_on(APIC_TIMER_DEADLINE);
	while (!READ_ONCE(stop)) {
		when = read_tsc() + PERIOD;
		wrmsr(MSR_TSC_DEADLINE, when);
		irq_wait();
		GUEST_ASSERT(read_tsc() >= when);
		GUEST_ASSERT(read_tsc() < when + late);
		lap();
	}
	guest_done();
}

/* Neither clock may ever go back. */
static void watch_clocks(u64 gpa)
{
	u32 id = guest_cpu_id();
	u64 tsc, ns;

	wrmsr(MSR_KVM_SYSTEM_TIME, gpa | 1);
	while (!READ_ONCE(stop)) {
		tsc = read_tsc();
		ns = guest_read_clock(gpa);
		GUEST_ASSERT(tsc >= seen[id].tsc);
		GUEST_ASSERT(ns >= seen[id].ns);
		WRITE_ONCE(seen[id].tsc, tsc);
		WRITE_ONCE(seen[id].ns, ns);
		lap();
	}
	guest_done();
}

static void two_words(u64 arg)
{
	guest_sync(1);
	guest_sync(2);
	guest_done();
}

/* ---------------------------------------------------------------- the host */

enum { SPIN, PERIODIC, DEADLINE, CLOCKS, NR_RUNNING, IDLE = NR_RUNNING, NR_VCPUS };

FIXTURE(suspend)
{
	const char *state;	/* the word that does it */
	int cpus[64], nr_cpus;
	struct vm *vm;
	struct vcpu *vcpu[NR_VCPUS];
	pthread_t thread[NR_RUNNING];
};

FIXTURE_SETUP(suspend)
{
	self->state = getenv("LODGE_TEST_SUSPEND");
	if (!self->state)
		SKIP(_exit(SKIPPED), "puts the host to sleep: set LODGE_TEST_SUSPEND=mem");
	self->nr_cpus = online_cpus(self->cpus, 64);
	self->vm = vm_create();
}

FIXTURE_TEARDOWN(suspend)
{
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		vcpu_destroy(self->vcpu[i]);
	vm_destroy(self->vm);
}

static u64 khz(void)
{
	return device_info()->tsc_khz;
}

static void wait_for_laps(void)
{
	u64 before[NR_RUNNING];
	int i;

	for (i = 0; i < NR_RUNNING; i++)
		before[i] = READ_ONCE(seen[i].laps);
	/* Two, for the first may have been under way. */
	for (i = 0; i < NR_RUNNING; i++)
		wait_until(READ_ONCE(seen[i].laps) >= before[i] + 2);
}

/* Runs its guest to the end; that it is put on ice looks like a signal. */
static void *runner(void *arg)
{
	struct vcpu *vcpu = arg;
	int error;

	do {
		error = vcpu_run(vcpu);
	} while (error == EINTR && vcpu->run->exit.reason == LODGE_EXIT_SIGNAL);
	if (error)
		vcpu_fail(vcpu, "RUN gave %s", strerror(error));
	guest_hear(vcpu);
	return NULL;
}

struct clocks {
	u64 host, guest, tsc;	/* nanoseconds, all */
};

static struct clocks read_clocks(void)
{
	wait_for_laps();
	return (struct clocks) {
		.host = now_ns(),
		.guest = READ_ONCE(seen[CLOCKS].ns),
		.tsc = READ_ONCE(seen[CLOCKS].tsc) / khz() * 1000000,
	};
}

static void run_new_vm(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, two_words, 0);

	guest_run_sync(vcpu, 1);
	guest_run_sync(vcpu, 2);
	guest_run_done(vcpu);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

TEST_F(suspend, guests_go_on)
{
	static void (*const guest[NR_VCPUS])(u64 arg) = {
		[SPIN] = spin, [PERIODIC] = periodic, [DEADLINE] = deadline,
		[CLOCKS] = watch_clocks, [IDLE] = two_words,
	};
	const u64 arg[NR_VCPUS] = {
		[DEADLINE] = khz() * (SLACK_NS / NSEC_PER_MSEC), [CLOCKS] = GPA_CLOCK,
	};
	struct clocks before, after;
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		self->vcpu[i] = vcpu_create_at(self->vm, i, guest[i], arg[i]);
	/* On the CPU that goes first; its VMCS stays there. */
	ASSERT_TRUE(pin_to_cpu(0, self->cpus[self->nr_cpus - 1]));
	guest_run_sync(self->vcpu[IDLE], 1);
	/* A thread runs where it was made. */
	for (i = 0; i < NR_RUNNING; i++) {
		ASSERT_TRUE(pin_to_cpu(0, self->cpus[i % self->nr_cpus]));
		self->thread[i] = spawn(runner, self->vcpu[i]);
	}
	ASSERT_TRUE(pin_to_cpu(0, self->cpus[0]));

	before = read_clocks();
	ASSERT_EQ(0, write_text("/sys/power/state", self->state));
	after = read_clocks();

	/* The host's clock stood still in its sleep, and so do the guest's. */
	EXPECT_LT(after.guest - before.guest, after.host - before.host + SLACK_NS);
	EXPECT_GT(after.guest - before.guest + SLACK_NS, after.host - before.host);
	EXPECT_LT(after.tsc - before.tsc, after.host - before.host + SLACK_NS);
	EXPECT_GT(after.tsc - before.tsc + SLACK_NS, after.host - before.host);

	WRITE_ONCE(stop, 1);
	for (i = 0; i < NR_RUNNING; i++)
		join(self->thread[i]);
	guest_run_sync(self->vcpu[IDLE], 2);
	guest_run_done(self->vcpu[IDLE]);
	/* VMX is on everywhere. */
	for (i = 0; i < self->nr_cpus; i++) {
		ASSERT_TRUE(pin_to_cpu(0, self->cpus[i]));
		run_new_vm();
	}
}

/* ------------------------------------------------------- a CPU without VMX */

struct wanderer {
	struct vcpu *vcpu;
	int tid;
	int error;	/* that ended RUN */
};

static void *wander(void *arg)
{
	struct wanderer *w = arg;

	WRITE_ONCE(w->tid, syscall(SYS_gettid));
	do {
		w->error = vcpu_run(w->vcpu);
	} while (w->error == EINTR);
	return NULL;
}

FIXTURE(rival)
{
	const char *state, *module;
	int first, last;	/* CPUs */
	struct vm *vm;
	struct vcpu *idle, *inside;
};

FIXTURE_SETUP(rival)
{
	int cpus[64], nr = online_cpus(cpus, 64);

	self->state = getenv("LODGE_TEST_SUSPEND");
	self->module = getenv("LODGE_TEST_RIVAL");
	if (!self->state || !self->module || nr < 2)
		SKIP(_exit(SKIPPED), "wants LODGE_TEST_SUSPEND, LODGE_TEST_RIVAL and 2 CPUs");
	self->first = cpus[0];
	self->last = cpus[nr - 1];
	require(!run_command((const char *const[]){ "insmod", self->module, NULL }));
	self->vm = vm_create();
	self->idle = vcpu_create_at(self->vm, 0, two_words, 0);
	self->inside = vcpu_create_at(self->vm, 1, spin, 0);
}

FIXTURE_TEARDOWN(rival)
{
	vcpu_destroy(self->idle);
	vcpu_destroy(self->inside);
	vm_destroy(self->vm);
	require(!module_unload("rival"));
	require(pin_to_cpu(0, self->first));
	run_new_vm();
}

TEST_F(rival, cpu_without_vmx)
{
	struct wanderer w = { .vcpu = self->inside };
	struct lodge_vcpu_state state = {};
	pthread_t thread;

	ASSERT_TRUE(pin_to_cpu(0, self->first));
	guest_run_sync(self->idle, 1);
	ASSERT_TRUE(pin_to_cpu(0, self->last));
	thread = spawn(wander, &w);
	wait_until(READ_ONCE(seen[1].laps));
	ASSERT_EQ(0, write_text("/sys/power/state", self->state));

	/* The first CPU is the rival's: who comes there with nothing loses nothing. */
	ASSERT_TRUE(pin_to_cpu(0, self->first));
	EXPECT_EQ(EIO, vcpu_run(self->idle));
	EXPECT_EQ(-EIO, vcpu_try_get(self->idle, &state, LODGE_STATE_SHARED));
	EXPECT_EQ(-EIO, vcpu_try_create(self->vm, 2));
	ASSERT_TRUE(pin_to_cpu(0, self->last));
	guest_run_sync(self->idle, 2);

	/* Who comes in the middle of it is lost, and told so wherever it goes. */
	ASSERT_TRUE(pin_to_cpu(w.tid, self->first));
	join(thread);
	EXPECT_EQ(EIO, w.error);
	EXPECT_EQ(EIO, vcpu_run(self->inside));
	EXPECT_EQ(-EIO, vcpu_try_get(self->inside, &state, LODGE_STATE_SHARED));
	guest_run_done(self->idle);
}

TEST_HARNESS_MAIN
