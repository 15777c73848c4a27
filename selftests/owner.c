// SPDX-License-Identifier: GPL-2.0
/*
 * Who has a vCPU: the thread in RUN, and those that ask for its state, change it,
 * translate its addresses, inject, kick and pause, all at once and all the time. Each
 * of them gets on, and what one sees is of one moment.
 */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "fuzz.h"
#include "vm.h"
#include "kselftest_harness.h"

#define PORT		0xf2

/*
 * A number in three registers, of which one is in the VMCS: where RIP is says how far
 * the next one has come. Then what R13 says.
 */
GUEST_ASM(triple, .code64,
	  "0:	inc	%r14\n"
	  "	mov	%r14, %r15\n"
	  "	mov	%r14, %rsp\n"
	  "	cmp	$1, %r13\n"
	  "	jb	0b\n"
	  "	je	1f\n"
	  "	hlt\n"
	  "	jmp	0b\n"
	  "1:	out	%eax, $0xf2\n"
	  "	jmp	0b\n");

/* The first three are as long as each other. */
#define STEP		3

enum guest_kind { SPINS, TALKS, HALTS };

struct owned {
	struct vm *vm;
	struct vcpu *vcpu;
	u64 turns;		/* RUNs that came back */
	u64 seen;		/* the guest's number, as it was last seen */
};

static struct owned owned;
static u32 stop;

static bool in_loop(u64 rip)
{
	return rip >= (uintptr_t)triple && rip < (uintptr_t)triple_end;
}

/* Registers as they are at one instruction. */
static void check_gprs(const struct lodge_gprs *g)
{
	u64 step = g->rip - (uintptr_t)triple;
	u64 r14 = g->reg[14], copied = r14, moved = r14;

	if (!in_loop(g->rip))
		return;		/* an interrupt's */
	if (step == STEP)
		copied--;
	if (step == STEP || step == 2 * STEP)
		moved--;
	if (g->reg[15] != copied || g->reg[4] != moved)
		test_fail("torn: r14 %llu r15 %llu rsp %llu at +%llu", r14, g->reg[15],
			  g->reg[4], step);
	WRITE_ONCE(owned.seen, r14);
}

static void check_drs(const struct lodge_drs *d)
{
	int i;

	for (i = 1; i < 4; i++)
		if (d->dr[i] != d->dr[0])
			test_fail("torn: dr0 %llu dr%d %llu", d->dr[0], i, d->dr[i]);
}

/* ------------------------------------------------------------- those who ask */

static void get_state(struct vcpu *vcpu)
{
	struct lodge_vcpu_state s = {};

	vcpu_get(vcpu, &s, LODGE_STATE_GPRS | LODGE_STATE_DRS);
	check_gprs(&s.gprs);
	check_drs(&s.drs);
}

static void set_state(struct vcpu *vcpu)
{
	struct lodge_vcpu_state s = {};
	int i;

	vcpu_get(vcpu, &s, LODGE_STATE_DRS);
	for (i = 0; i < 4; i++)
		s.drs.dr[i] += 0x1000;
	vcpu_set(vcpu, &s, LODGE_STATE_DRS);
}

static void translate(struct vcpu *vcpu)
{
	struct lodge_translate t = { .size = sizeof(t), .gva = GPA_TEST + 0x123 };

	require(!try_ioctl(vcpu->fd, LODGE_VCPU_TRANSLATE, &t));
	require(t.gpa == GPA_TEST + 0x123);
}

static bool back_in_loop(struct vcpu *vcpu)
{
	struct lodge_vcpu_state s = {};

	vcpu_get(vcpu, &s, LODGE_STATE_GPRS);
	return in_loop(s.gprs.rip) || READ_ONCE(stop);
}

/*
 * One after another, and waited for: their stacks begin anew with each, and the return
 * from an exception would let the next NMI in. These two leave the guest's RSP alone.
 */
static void inject(struct vcpu *vcpu)
{
	static u64 nth;
	u8 vector = nth++ & 1 ? DF_VECTOR : NMI_VECTOR;
	u64 *count = &guest_cpus[0].interrupts[vector], before = READ_ONCE(*count);

	if (vector == NMI_VECTOR)
		vcpu_nmi(vcpu);
	else
		require(!vcpu_try_inject(vcpu, (struct lodge_inject) {
			.kind = LODGE_INJECT_EXCEPTION, .vector = vector,
			.flags = LODGE_INJECT_F_CODE,
		}));
	wait_until(READ_ONCE(*count) != before || READ_ONCE(stop));
	wait_until(back_in_loop(vcpu));
}

/*
 * Each kick ends a RUN, and so does each pause: without a rest that is long beside a turn
 * of all the others there is one for every RUN, and the guest is never entered.
 */
#define REST_US		2000

static void kick(struct vcpu *vcpu)
{
	vcpu_kick(vcpu);
	usleep(REST_US);
}

/*
 * Between the two nobody is in the guest, and nobody enters it. RUN may finish the
 * instruction that has left, for which RIP moves.
 */
static void pause_and_resume(struct vcpu *vcpu)
{
	struct lodge_vcpu_stats before, after;
	struct lodge_vcpu_state a = {}, b = {};

	vm_pause(vcpu->vm);
	before = vcpu_stats(vcpu);
	vcpu_get(vcpu, &a, LODGE_STATE_GPRS);
	usleep(200);
	vcpu_get(vcpu, &b, LODGE_STATE_GPRS);
	after = vcpu_stats(vcpu);
	require(before.exits == after.exits);
	require(a.gprs.reg[14] == b.gprs.reg[14]);
	vm_resume(vcpu->vm);
	usleep(REST_US);
}

struct asker {
	void (*ask)(struct vcpu *vcpu);
	u64 done;
	pthread_t thread;
};

static void *asker_fn(void *arg)
{
	struct asker *asker = arg;

	while (!READ_ONCE(stop)) {
		asker->ask(owned.vcpu);
		WRITE_ONCE(asker->done, asker->done + 1);
	}
	return NULL;
}

/* ------------------------------------------------------------------------- RUN */

static void check_exit(struct vcpu *vcpu)
{
	const struct lodge_exit *e = &vcpu->run->exit;

	guest_hear(vcpu);
	if (e->reason == LODGE_EXIT_PIO && e->pio.port == PORT)
		vcpu->complete = true;
	else if (e->reason != LODGE_EXIT_KICK && e->reason != LODGE_EXIT_PAUSED)
		vcpu_fail(vcpu, "unexpected exit");
	check_gprs(&vcpu->run->gprs);
	check_drs(&vcpu->run->drs);
	if (e->reason == LODGE_EXIT_PAUSED)
		usleep(100);
}

static void *runner_fn(void *arg)
{
	struct vcpu *vcpu = arg;
	int error;

	vcpu->run->wanted = LODGE_STATE_GPRS | LODGE_STATE_DRS;
	while (!READ_ONCE(stop)) {
		error = vcpu_run(vcpu);
		if (error && error != EINTR)
			vcpu_fail(vcpu, "RUN gave %s", strerror(error));
		check_exit(vcpu);
		WRITE_ONCE(owned.turns, owned.turns + 1);
	}
	return NULL;
}

static pthread_t start_guest(enum guest_kind kind)
{
	struct vcpu *vcpu = owned.vcpu;
	struct lodge_vcpu_state s = {};

	guest_handle(DF_VECTOR, guest_count_only);
	guest_handle(NMI_VECTOR, guest_count_only);
	vcpu_start_long(vcpu, NULL, 0);
	vcpu_get(vcpu, &s, LODGE_STATE_GPRS);
	memset(&s.gprs.reg, 0, sizeof(s.gprs.reg));
	s.gprs.rip = (uintptr_t)triple;
	s.gprs.reg[13] = kind;
	vcpu_set(vcpu, &s, LODGE_STATE_GPRS);
	return spawn(runner_fn, vcpu);
}

static void end_guest(pthread_t runner)
{
	WRITE_ONCE(stop, 1);
	vcpu_kick(owned.vcpu);
	join(runner);
}

FIXTURE(owner)
{
};

FIXTURE_SETUP(owner)
{
	owned.vm = vm_create();
	owned.vcpu = vcpu_create(owned.vm, 0);
}

FIXTURE_TEARDOWN(owner)
{
	vcpu_destroy(owned.vcpu);
	vm_destroy(owned.vm);
}

/* ----------------------------------------------------------------------- all at once */

#define MAX_ASKERS	8

struct row {
	enum guest_kind kind;

	void (*ask[MAX_ASKERS])(struct vcpu *vcpu);
};

/* Until each has done so much. */
static void wait_for_all(const struct asker *askers, u32 nr, u64 rounds)
{
	u64 end = now_ns() + WAIT_SECONDS * NSEC_PER_SEC;
	u32 i;

	for (i = 0; i < nr; i++) {
		while (READ_ONCE(askers[i].done) < rounds) {
			if (now_ns() > end)
				test_fail("asker %u got %llu answers, asker 0 %llu, in %llu turns",
					  i, askers[i].done, askers[0].done, owned.turns);
			usleep(1000);
		}
	}
}

/* Nobody ends before the guest has got on, too. */
static void run_row(const struct row *row)
{
	struct asker askers[MAX_ASKERS] = {};
	u64 rounds = fuzz_rounds(50), before;
	pthread_t runner;
	u32 i, nr;

	runner = start_guest(row->kind);
	for (nr = 0; nr < MAX_ASKERS && row->ask[nr]; nr++) {
		askers[nr].ask = row->ask[nr];
		askers[nr].thread = spawn(asker_fn, &askers[nr]);
	}
	wait_for_all(askers, nr, rounds);
	for (i = 0; i < 5; i++) {
		before = READ_ONCE(owned.seen);
		wait_until(READ_ONCE(owned.seen) != before);
	}
	if (row->kind == TALKS)
		wait_until(READ_ONCE(owned.turns) >= rounds);
	WRITE_ONCE(stop, 1);
	for (i = 0; i < nr; i++)
		join(askers[i].thread);
	end_guest(runner);
}

/* Whoever asks without a break, there is more than one of: RUN must get its turn, too. */
#define EVERYTHING	{ get_state, get_state, set_state, translate, inject, kick,	\
			  pause_and_resume }

TEST_F_TIMEOUT(owner, talking_guest, 200)
{
	run_row(&(struct row){ TALKS, EVERYTHING });
}

TEST_F_TIMEOUT(owner, spinning_guest, 200)
{
	run_row(&(struct row){ SPINS, EVERYTHING });
}

TEST_F_TIMEOUT(owner, halting_guest, 200)
{
	run_row(&(struct row){ HALTS, EVERYTHING });
}

/* Nothing but those who ask: no kick brings the guest on. */
TEST_F_TIMEOUT(owner, asked_without_a_break, 200)
{
	run_row(&(struct row){ TALKS, { get_state, get_state, get_state, translate } });
}

/* PAUSE ends, and so does what follows, among them. */
TEST_F_TIMEOUT(owner, paused_among_many, 200)
{
	run_row(&(struct row){ SPINS, { get_state, get_state, get_state, pause_and_resume } });
}

/* ------------------------------------------------------------------ killed askers */

#define CHILDREN	3

/* Another process, whose end can come anywhere in a call. */
static pid_t fork_asker(void)
{
	struct lodge_vcpu_state s = {};
	pid_t pid = fork();

	require(pid >= 0);
	while (!pid)
		if (vcpu_try_get(owned.vcpu, &s, LODGE_STATE_SHARED))
			_exit(1);
	return pid;
}

static void kill_child(pid_t pid)
{
	int status;

	require(!kill(pid, SIGKILL));
	require(waitpid(pid, &status, 0) == pid);
	require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void kill_askers(enum guest_kind kind)
{
	u64 rounds = fuzz_rounds(10), turns;
	pid_t children[CHILDREN];
	pthread_t runner;
	u32 i;

	runner = start_guest(kind);
	for (; rounds; rounds--) {
		for (i = 0; i < CHILDREN; i++)
			children[i] = fork_asker();
		usleep(fuzz_random() % 3000);
		for (i = 0; i < CHILDREN; i++)
			kill_child(children[i]);
		/* RUN does not wait for the dead, nor do others. */
		turns = READ_ONCE(owned.turns);
		get_state(owned.vcpu);
		vcpu_kick(owned.vcpu);
		wait_until(READ_ONCE(owned.turns) != turns);
	}
	end_guest(runner);
}

TEST_F_TIMEOUT(owner, killed_with_talking_guest, 200)
{
	kill_askers(TALKS);
}

TEST_F_TIMEOUT(owner, killed_with_spinning_guest, 200)
{
	kill_askers(SPINS);
}

TEST_HARNESS_MAIN
