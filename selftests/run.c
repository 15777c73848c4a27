// SPDX-License-Identifier: GPL-2.0
/*
 * RUN and what ends it from outside: kicks, signals, death, pause; two threads
 * and one vCPU; misuse of the shared page; statistics.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "vm.h"
#include "kselftest_harness.h"

/* Guest and host both see these. */
static u64 ticks;
static u32 stop;

FIXTURE(run)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(run)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(run)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

/* Spins with interrupts off, or on, until told to stop. */
static void spin(u64 interrupts)
{
	if (interrupts)
		irq_on();
	while (!READ_ONCE(stop))
		WRITE_ONCE(ticks, ticks + 1);
	guest_done();
}

static void halt_forever(u64 interrupts)
{
	WRITE_ONCE(ticks, 1);
	for (;;) {
		if (interrupts)
			asm volatile("sti\nhlt" : : : "memory");
		else
			asm volatile("cli\nhlt" : : : "memory");
	}
}

static void say_done(u64 arg)
{
	guest_done();
}

static void say_two(u64 arg)
{
	guest_sync(1);
	guest_sync(2);
	guest_done();
}

/* Returns when the guest has made progress since now. */
static void wait_for_progress(void)
{
	u64 before = READ_ONCE(ticks);

	wait_until(READ_ONCE(ticks) != before);
}

/* -------------------------------------------------------------------- KICK */

TEST_F(run, kick_before_run)
{
	struct lodge_exit *e = &self->vcpu->run->exit;

	vcpu_start_long(self->vcpu, say_two, 0);
	vcpu_kick(self->vcpu);
	ASSERT_EQ(EINTR, vcpu_run(self->vcpu));
	ASSERT_EQ(LODGE_EXIT_KICK, e->reason);
	ASSERT_EQ(1, e->seq);
	ASSERT_EQ((uintptr_t)say_two, e->rip);
	guest_run_sync(self->vcpu, 1);
}

/* Sticky, and not counted: two kicks are one return. */
TEST_F(run, kick_twice)
{
	vcpu_start_long(self->vcpu, say_two, 0);
	vcpu_kick(self->vcpu);
	vcpu_kick(self->vcpu);
	ASSERT_EQ(EINTR, vcpu_run(self->vcpu));
	guest_run_sync(self->vcpu, 1);
	guest_run_sync(self->vcpu, 2);
}

/* A completion handed to a RUN that is kicked is not lost. */
TEST_F(run, kick_with_completion)
{
	vcpu_start_long(self->vcpu, say_two, 0);
	guest_run_sync(self->vcpu, 1);
	vcpu_kick(self->vcpu);
	ASSERT_EQ(EINTR, vcpu_run(self->vcpu));
	ASSERT_EQ(LODGE_EXIT_KICK, self->vcpu->run->exit.reason);
	ASSERT_EQ(LODGE_COMPLETE_NONE, self->vcpu->run->complete);
	guest_run_sync(self->vcpu, 2);
	guest_run_done(self->vcpu);
}

static void kick_guest(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	struct async_run run;

	WRITE_ONCE(ticks, 0);
	vcpu_start_long(vcpu, fn, arg);
	async_run(&run, vcpu);
	wait_until(READ_ONCE(ticks));
	vcpu_kick(vcpu);
	require(async_end(&run) == EINTR);
	if (vcpu->run->exit.reason != LODGE_EXIT_KICK)
		vcpu_fail(vcpu, "kicked");
}

TEST_F(run, kick_spinning_guest)
{
	kick_guest(self->vcpu, spin, 0);
	kick_guest(self->vcpu, spin, 1);
}

TEST_F(run, kick_halted_guest)
{
	kick_guest(self->vcpu, halt_forever, 0);
	kick_guest(self->vcpu, halt_forever, 1);
}

/* Not a single one may be lost while the guest runs on. */
TEST_F(run, many_kicks)
{
	struct async_run run;
	int i;

	vcpu_start_long(self->vcpu, spin, 0);
	for (i = 0; i < 50; i++) {
		async_run(&run, self->vcpu);
		if (i % 3)
			wait_for_progress();
		vcpu_kick(self->vcpu);
		ASSERT_EQ(EINTR, async_end(&run));
		ASSERT_EQ(LODGE_EXIT_KICK, self->vcpu->run->exit.reason);
	}
}

/* An application processor that nobody has started waits inside RUN. */
TEST_F(run, kick_waiting_for_sipi)
{
	struct vcpu *ap = vcpu_create(self->vm, 1);
	struct async_run run;

	async_run(&run, ap);
	usleep(20000);
	ASSERT_FALSE(READ_ONCE(run.finished));
	vcpu_kick(ap);
	ASSERT_EQ(EINTR, async_end(&run));
	ASSERT_EQ(LODGE_EXIT_KICK, ap->run->exit.reason);
	vcpu_destroy(ap);
}

/* ----------------------------------------------------------------- signals */

static void do_nothing(int sig)
{
}

static void signal_guest(struct vcpu *vcpu, void (*fn)(u64 arg), int flags)
{
	struct sigaction action = { .sa_handler = do_nothing, .sa_flags = flags };
	struct async_run run;

	sigaction(SIGUSR1, &action, NULL);
	WRITE_ONCE(ticks, 0);
	vcpu_start_long(vcpu, fn, 0);
	async_run(&run, vcpu);
	wait_until(READ_ONCE(ticks));
	pthread_kill(run.thread, SIGUSR1);
	require(async_end(&run) == EINTR);
	if (vcpu->run->exit.reason != LODGE_EXIT_SIGNAL)
		vcpu_fail(vcpu, "signalled");
}

TEST_F(run, signals)
{
	signal_guest(self->vcpu, spin, 0);
	signal_guest(self->vcpu, spin, SA_RESTART);
	signal_guest(self->vcpu, halt_forever, 0);
	signal_guest(self->vcpu, halt_forever, SA_RESTART);
}

/* A blocked signal is none. */
TEST_F(run, blocked_signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	vcpu_start_long(self->vcpu, say_two, 0);
	guest_run_sync(self->vcpu, 1);
	guest_run_sync(self->vcpu, 2);
}

/* ------------------------------------------------------------------- death */

struct mortal {
	void (*fn)(u64 arg);
	u64 arg;
	int nr_vcpus;
};

/* A process of its own: runs guests, tells when they run, waits for its end. */
static void run_until_killed(const struct mortal *m, u64 *running)
{
	struct vm *vm = vm_create();
	struct async_run run[2];
	int i;

	for (i = 0; i < m->nr_vcpus; i++)
		async_run(&run[i], vcpu_create_at(vm, i, m->fn, m->arg));
	wait_until(READ_ONCE(ticks));
	WRITE_ONCE(*running, 1);
	for (;;)
		pause();
}

/* Kills a process whose guest runs; the nanoseconds until it was gone. */
static u64 time_to_die(const struct mortal *m)
{
	u64 start, *shared;
	int status;
	pid_t pid;

	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	require(shared != MAP_FAILED);
	pid = fork();
	require(pid >= 0);
	if (!pid)
		run_until_killed(m, shared);
	wait_until(READ_ONCE(*shared));
	usleep(10000);
	start = now_ns();
	require(!kill(pid, SIGKILL));
	require(waitpid(pid, &status, 0) == pid);
	require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	munmap(shared, PAGE_SIZE);
	return now_ns() - start;
}

TEST(sigkill)
{
	static const struct mortal mortals[] = {
		{ spin, 0, 1 },
		{ spin, 1, 1 },
		{ halt_forever, 0, 1 },
		{ halt_forever, 1, 1 },
		{ spin, 0, 2 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mortals); i++) {
		EXPECT_LT(time_to_die(&mortals[i]), 2 * NSEC_PER_SEC)
			TH_LOG("row %zu", i);
	}
	/* Nothing of them is left: VMX is free for the next VM. */
	guest_simple(say_done, 0);
}

/*
 * The last descriptors go while the guest runs, and it runs on. When the host
 * wants the thread for a moment, though, there is no file to call RUN on again.
 */
TEST(close_while_running)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, spin, 0);
	struct async_run run;
	u64 before;

	async_run(&run, vcpu);
	wait_for_progress();
	close(vcpu->fd);
	close(vm->fd);
	before = READ_ONCE(ticks);
	wait_until(READ_ONCE(ticks) != before || READ_ONCE(run.finished));
	WRITE_ONCE(stop, 1);
	if (async_end(&run) == EBADF)
		return;
	ASSERT_EQ(0, run.error);
	ASSERT_EQ(LODGE_EXIT_PIO, vcpu->run->exit.reason);
	ASSERT_EQ(GUEST_CALL_DONE, vcpu->run->exit.pio.data);
}

/* ------------------------------------------------------------------- pause */

TEST_F(run, pause)
{
	struct async_run run;
	u64 at;

	vcpu_start_long(self->vcpu, spin, 0);
	async_run(&run, self->vcpu);
	wait_for_progress();
	vm_pause(self->vm);
	at = READ_ONCE(ticks);
	usleep(20000);
	ASSERT_EQ(at, READ_ONCE(ticks));
	ASSERT_EQ(0, async_end(&run));
	ASSERT_EQ(LODGE_EXIT_PAUSED, self->vcpu->run->exit.reason);

	/* While paused RUN comes back at once, and nothing moves. */
	ASSERT_EQ(0, vcpu_run(self->vcpu));
	ASSERT_EQ(LODGE_EXIT_PAUSED, self->vcpu->run->exit.reason);
	ASSERT_EQ(at, READ_ONCE(ticks));

	vm_resume(self->vm);
	async_run(&run, self->vcpu);
	wait_for_progress();
	WRITE_ONCE(stop, 1);
	ASSERT_EQ(0, async_end(&run));
	ASSERT_EQ(LODGE_EXIT_PIO, self->vcpu->run->exit.reason);
}

TEST_F(run, pause_halted)
{
	struct async_run run;

	vcpu_start_long(self->vcpu, halt_forever, 1);
	async_run(&run, self->vcpu);
	wait_until(READ_ONCE(ticks));
	vm_pause(self->vm);
	ASSERT_EQ(0, async_end(&run));
	ASSERT_EQ(LODGE_EXIT_PAUSED, self->vcpu->run->exit.reason);
	vm_resume(self->vm);
}

/* All vCPUs are out, and a VM nobody runs can be paused as well. */
TEST_F(run, pause_two)
{
	struct vcpu *other = vcpu_create_at(self->vm, 1, spin, 0);
	struct async_run run[2];
	u64 at;

	vm_pause(self->vm);
	vm_resume(self->vm);
	vcpu_start_long(self->vcpu, spin, 0);
	async_run(&run[0], self->vcpu);
	async_run(&run[1], other);
	wait_for_progress();
	vm_pause(self->vm);
	at = READ_ONCE(ticks);
	usleep(20000);
	ASSERT_EQ(at, READ_ONCE(ticks));
	ASSERT_EQ(0, async_end(&run[0]));
	ASSERT_EQ(0, async_end(&run[1]));
	ASSERT_EQ(LODGE_EXIT_PAUSED, other->run->exit.reason);
	vcpu_destroy(other);
}

/* ------------------------------------------------------ two threads, misuse */

TEST_F(run, busy)
{
	struct async_run run;

	vcpu_start_long(self->vcpu, spin, 0);
	async_run(&run, self->vcpu);
	wait_for_progress();
	ASSERT_EQ(-1, ioctl(self->vcpu->fd, LODGE_VCPU_RUN, NULL));
	ASSERT_EQ(EBUSY, errno);
	wait_for_progress();
	WRITE_ONCE(stop, 1);
	ASSERT_EQ(0, async_end(&run));
}

/* A vCPU may be run by one thread after another. */
TEST_F(run, thread_after_thread)
{
	struct async_run run;
	int i;

	vcpu_start_long(self->vcpu, say_two, 0);
	for (i = 1; i <= 2; i++) {
		self->vcpu->run->wanted = LODGE_STATE_GPRS;
		async_run(&run, self->vcpu);
		ASSERT_EQ(0, async_end(&run));
		ASSERT_EQ(LODGE_EXIT_PIO, self->vcpu->run->exit.reason);
		ASSERT_EQ(GUEST_CALL_SYNC, self->vcpu->run->exit.pio.data);
		ASSERT_EQ(i, self->vcpu->run->gprs.reg[7]);
		self->vcpu->complete = true;
	}
	guest_run_done(self->vcpu);
}

static void clear_inputs(struct lodge_run *run)
{
	run->flags = 0;
	run->wanted = 0;
	run->dirty = 0;
	run->complete = 0;
	run->reserved = 0;
}

static void spoil_flags(struct lodge_run *run)
{
	run->flags = 1U << 1;
}

static void spoil_wanted(struct lodge_run *run)
{
	run->wanted = BIT_ULL(40);
}

static void spoil_wanted_msrs(struct lodge_run *run)
{
	run->wanted = LODGE_STATE_MSRS;
}

static void spoil_dirty(struct lodge_run *run)
{
	run->dirty = BIT_ULL(40);
}

static void spoil_dirty_fpu(struct lodge_run *run)
{
	run->dirty = LODGE_STATE_FPU;
}

static void spoil_reserved(struct lodge_run *run)
{
	run->reserved = 1;
}

static void spoil_complete(struct lodge_run *run)
{
	run->complete = 3;
}

static const struct {
	const char *name;
	void (*spoil)(struct lodge_run *run);
} misuses[] = {
	{ "unknown flag", spoil_flags },
	{ "unknown group wanted", spoil_wanted },
	{ "group wanted that is not shared", spoil_wanted_msrs },
	{ "unknown group dirty", spoil_dirty },
	{ "group dirty that is not shared", spoil_dirty_fpu },
	{ "reserved member", spoil_reserved },
	{ "unknown completion", spoil_complete },
};

TEST_F(run, misuse)
{
	struct lodge_run *run = self->vcpu->run;
	size_t i;

	vcpu_start_long(self->vcpu, say_two, 0);
	for (i = 0; i < ARRAY_SIZE(misuses); i++) {
		clear_inputs(run);
		misuses[i].spoil(run);
		EXPECT_EQ(EINVAL, vcpu_run(self->vcpu))
			TH_LOG("%s", misuses[i].name);
	}
	clear_inputs(run);
	guest_run_sync(self->vcpu, 1);
}

/* A completion needs an exit that can be completed. */
TEST_F(run, nothing_to_complete)
{
	struct lodge_run *run = self->vcpu->run;

	vcpu_start_long(self->vcpu, say_two, 0);
	run->complete = LODGE_COMPLETE_DONE;
	ASSERT_EQ(EINVAL, vcpu_run(self->vcpu));
	run->complete = LODGE_COMPLETE_FAULT;
	ASSERT_EQ(EINVAL, vcpu_run(self->vcpu));
	run->complete = LODGE_COMPLETE_NONE;
	vcpu_kick(self->vcpu);
	ASSERT_EQ(EINTR, vcpu_run(self->vcpu));
	run->complete = LODGE_COMPLETE_DONE;
	ASSERT_EQ(EINVAL, vcpu_run(self->vcpu));
	run->complete = LODGE_COMPLETE_NONE;
	guest_run_sync(self->vcpu, 1);
	guest_run_sync(self->vcpu, 2);
	guest_run_done(self->vcpu);
}

/* ---------------------------------------------------- two vCPUs, statistics */

static u64 progress[2];

static void count_up(u64 id)
{
	while (!READ_ONCE(stop))
		WRITE_ONCE(progress[id], progress[id] + 1);
	guest_done();
}

/* Both go on, also when the host has one CPU for them and the guest never exits. */
TEST_F(run, two_vcpus)
{
	struct vcpu *other = vcpu_create_at(self->vm, 1, count_up, 1);
	pthread_t thread[2];
	u64 before[2];
	int i;

	vcpu_start_long(self->vcpu, count_up, 0);
	thread[0] = guest_thread(self->vcpu);
	thread[1] = guest_thread(other);
	for (i = 0; i < 3; i++) {
		before[0] = READ_ONCE(progress[0]);
		before[1] = READ_ONCE(progress[1]);
		wait_until(READ_ONCE(progress[0]) > before[0] &&
			   READ_ONCE(progress[1]) > before[1]);
	}
	WRITE_ONCE(stop, 1);
	join(thread[0]);
	join(thread[1]);
	vcpu_destroy(other);
}

/* The same vCPU on one CPU after another. */
TEST_F(run, migrate)
{
	int cpus[8], nr = online_cpus(cpus, 8), i;
	u64 at;

	if (nr < 2)
		SKIP(return, "one CPU");
	WRITE_ONCE(stop, 1);
	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(pin_to_cpu(0, cpus[i % nr]));
		vcpu_start_long(self->vcpu, spin, 0);
		at = vcpu_stats(self->vcpu).exits;
		guest_run_done(self->vcpu);
		ASSERT_GT(vcpu_stats(self->vcpu).exits, at);
	}
}

/* One instruction may be less than a unit of the timer that measures the guest. */
static void say_two_slowly(u64 arg)
{
	int i;

	guest_sync(1);
	for (i = 0; i < 1000; i++)
		cpu_relax();
	guest_sync(2);
	guest_done();
}

TEST_F(run, stats_grow)
{
	struct lodge_vcpu_stats a, b;
	u64 sum = 0;
	int i;

	vcpu_start_long(self->vcpu, say_two_slowly, 0);
	guest_run_sync(self->vcpu, 1);
	a = vcpu_stats(self->vcpu);
	guest_run_sync(self->vcpu, 2);
	b = vcpu_stats(self->vcpu);
	ASSERT_GT(b.exits, a.exits);
	ASSERT_GT(b.user_exits, a.user_exits);
	ASSERT_GE(b.ept_mapped, a.ept_mapped);
	ASSERT_GT(b.guest_tsc, a.guest_tsc);
	ASSERT_EQ(a.hw[30] + 1, b.hw[30]);	/* I/O instruction */
	for (i = 0; i < LODGE_NR_HW_EXITS; i++)
		sum += b.hw[i];
	ASSERT_EQ(sum, b.exits);
}

/*
 * Stopped on its way into each call, as by strace, a thread comes into RUN with work
 * for its way out (rseq); the guest gets on all the same.
 */
TEST(traced)
{
	int status, calls = 0;
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		guest_simple(say_done, 0);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (++calls == 5000)
			kill(pid, SIGKILL);
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
	}
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
