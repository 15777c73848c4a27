// SPDX-License-Identifier: GPL-2.0
/*
 * x87, SSE and AVX registers, of the guest and of the host's threads: nobody's
 * are lost or seen by another, whoever runs in between.
 */
#include <sched.h>
#include <signal.h>

#include "state.h"
#include "xsave.h"
#include "kselftest_harness.h"

#define HAS_XSAVE	BIT_ULL(26)	/* CPUID leaf 1, ECX */
#define HAS_OSXSAVE	BIT_ULL(27)

#define FX_MASK		(XCR0_X87 | XCR0_SSE)
#define ALL_MASK	(FX_MASK | XCR0_AVX)
#define FX_SIZE		512
#define IMAGE_SIZE	832		/* with AVX, and nothing behind it */
#define SAME		(-1)

/* The area is as long as any that fp_hold() with ALL_MASK may touch. */
struct fp_image {
	u8 b[1024];
} __attribute((aligned(64)));

/* What the host has, and so what a guest is offered; 0 without XSAVE. */
static u64 host_mask;
/* The registers that means: FXSAVE's are always there. */
static u64 host_regs;

/* ------------------------------------------------------------------- patterns */

static u64 mix(u64 v)
{
	v = (v + 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;
	return v ^ v >> 29;
}

static void put(struct fp_image *image, u32 at, u64 value, u32 bytes)
{
	copy_bytes(image->b + at, &value, bytes);
}

/*
 * Every register has a value of its own for each @seed: none is zero, all x87
 * ones are valid numbers, all exceptions are masked.
 */
static void fp_pattern(struct fp_image *image, u32 seed)
{
	u64 key = mix(seed);
	u32 i;

	fill_bytes(image, 0, sizeof(*image));
	put(image, 0, 0x37f | (seed & 3) << 10, 2);		/* FCW: rounding */
	put(image, 2, (seed & 7) << 11, 2);			/* FSW: top */
	put(image, 4, 0xff, 1);					/* FTW: all in use */
	put(image, XSAVE_MXCSR, 0x1f80 | (seed & 3) << 13 | (seed & 0x3f), 4);
	for (i = 0; i < 8; i++) {
		put(image, 32 + i * 16, mix(key + i) | BIT_ULL(63), 8);
		put(image, 40 + i * 16, 0x3fff + i, 2);
	}
	for (i = 0; i < 32; i++) {
		put(image, XSAVE_XMM0 + i * 8, mix(key + 100 + i), 8);
		put(image, XSAVE_YMM0 + i * 8, mix(key + 200 + i), 8);
	}
	put(image, XSAVE_XSTATE_BV, ALL_MASK, 8);
}

/* As XSAVE has it after a reset, with everything written out. */
static void fp_reset_pattern(struct fp_image *image)
{
	fill_bytes(image, 0, sizeof(*image));
	put(image, 0, 0x37f, 2);
	put(image, XSAVE_MXCSR, 0x1f80, 4);
}

/* Where the two differ in @mask's registers: an offset in the image, or SAME. */
static int differs(const struct fp_image *a, const struct fp_image *b, u32 from, u32 bytes)
{
	u32 i;

	for (i = from; i < from + bytes; i++)
		if (READ_ONCE(a->b[i]) != READ_ONCE(b->b[i]))
			return i;
	return SAME;
}

static int fp_differs(const struct fp_image *a, const struct fp_image *b, u64 mask)
{
	int at = SAME, i;

	if (mask & XCR0_X87) {
		at = differs(a, b, 0, 5);	/* FCW, FSW, FTW */
		for (i = 0; i < 8 && at == SAME; i++)
			at = differs(a, b, 32 + i * 16, 10);
	}
	if (at == SAME && mask & (XCR0_SSE | XCR0_AVX))
		at = differs(a, b, XSAVE_MXCSR, 4);
	if (at == SAME && mask & XCR0_SSE)
		at = differs(a, b, XSAVE_XMM0, 256);
	if (at == SAME && mask & XCR0_AVX)
		at = differs(a, b, XSAVE_YMM0, 256);
	return at;
}

/* ------------------------------------------------------------- the guest's side */

static struct guest_fp {
	u64 xcr0;		/* 0: CR4.OSXSAVE stays off */
	u64 spins;
	u32 seed;
	bool quiet;		/* no sync in the middle of a round */
	u64 rounds;		/* made so far */
	struct fp_image want;
	struct fp_image got;
} guest_fp[NR_GUEST_CPUS];

static u32 stop;

static void guest_fp_on(u64 xcr0)
{
	if (!xcr0)
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	GUEST_EQ(guest_try_xsetbv(0, xcr0), NO_TRAP);
	GUEST_EQ(xgetbv(0), xcr0);
}

/*
 * One round: the registers are @fp->want from before the sync to behind it. SSE is
 * there without XCR0, but then XSAVE does not reach it and FXSAVE does.
 */
static void guest_round(struct guest_fp *fp, u64 sync)
{
	u64 mask = fp->xcr0 & XCR0_SSE ? fp->xcr0 : 0;

	fp_pattern(&fp->want, fp->seed++);
	put(&fp->want, XSAVE_XSTATE_BV, mask, 8);
	fp_hold(&fp->want, &fp->got, mask, fp->spins, sync, GUEST_CALL_SYNC);
	GUEST_EQ(fp_differs(&fp->got, &fp->want, mask ?: FX_MASK), SAME);
	WRITE_ONCE(fp->rounds, fp->rounds + 1);
}

static void guest_rounds(u64 id)
{
	struct guest_fp *fp = &guest_fp[id];

	guest_fp_on(fp->xcr0);
	/* So that the host's interrupts come anywhere, on an emulated CPU too. */
	irq_on();
	while (!READ_ONCE(stop))
		guest_round(fp, fp->quiet ? 0 : id + 1);
	guest_done();
}

/* What the registers hold when the guest first looks. */
static void guest_first_look(u64 id)
{
	struct guest_fp *fp = &guest_fp[id];

	fp_reset_pattern(&fp->want);
	guest_fp_on(fp->xcr0);
	asm volatile("xsave64 %0"
		     : "+m"(fp->got) : "a"((u32)fp->xcr0), "d"(0) : "memory");
	GUEST_EQ(fp_differs(&fp->got, &fp->want, fp->xcr0), SAME);
	guest_done();
}

/* As long as the host likes, a pattern goes out by a sync and another comes in. */
static void guest_exchange(u64 id)
{
	struct guest_fp *fp = &guest_fp[id];

	guest_fp_on(fp->xcr0);
	for (;;) {
		fp_pattern(&fp->want, fp->seed);
		put(&fp->want, XSAVE_XSTATE_BV, fp->xcr0, 8);
		fp_hold(&fp->want, &fp->got, fp->xcr0, 1, 1, GUEST_CALL_SYNC);
		/* The host says what it put there. */
		GUEST_EQ(fp_differs(&fp->got, &fp->want, fp->xcr0 ?: FX_MASK), SAME);
		guest_sync(2);
	}
}

/* AVX goes away under XCR0 and comes back with what it had. */
static void guest_narrow(u64 id)
{
	struct guest_fp *fp = &guest_fp[id];
	int i;

	guest_fp_on(ALL_MASK);
	for (i = 0; i < 5; i++) {
		fp_pattern(&fp->want, fp->seed++);
		fp_narrow(&fp->want, &fp->got, ALL_MASK, XCR0_X87, 1, GUEST_CALL_SYNC);
		GUEST_EQ(fp_differs(&fp->got, &fp->want, ALL_MASK), SAME);
	}
	GUEST_EQ(guest_try_xsetbv(0, XCR0_X87), NO_TRAP);
	GUEST_EQ(guest_try("vxorps %%ymm0, %%ymm0, %%ymm0", :), UD_VECTOR);
	guest_done();
}

/* -------------------------------------------------------------- the host's side */

FIXTURE(fp)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(fp)
{
	u32 features = cpuid(1, 0).ecx;
	int i;

	if (features & HAS_XSAVE && features & HAS_OSXSAVE)
		host_mask = xgetbv(0) & ALL_MASK;
	host_regs = host_mask ?: FX_MASK;
	for (i = 0; i < NR_GUEST_CPUS; i++) {
		guest_fp[i].xcr0 = host_mask;
		guest_fp[i].spins = 100;
		guest_fp[i].seed = (i + 1) * 1000;
	}
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(fp)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

/* XSAVE images must not name what XCR0 lacks. */
static void host_pattern(struct fp_image *image, u32 seed)
{
	fp_pattern(image, seed);
	put(image, XSAVE_XSTATE_BV, host_regs, 8);
	if (!(host_regs & XCR0_AVX))
		memset(image->b + XSAVE_YMM0, 0, 256);
}

/*
 * RUN until the guest syncs or is done, with the thread's registers full of a
 * pattern that must be there afterwards. True at a sync; @signals counts how
 * often a signal came first, and may be NULL when none should.
 */
static bool run_with_pattern(struct vcpu *vcpu, u32 seed, u32 *signals)
{
	static __thread struct fp_image in, out;
	struct lodge_exit *e = &vcpu->run->exit;
	long ret;
	int at;

	do {
		if (vcpu->complete) {
			vcpu->run->complete = LODGE_COMPLETE_DONE;
			vcpu->complete = false;
		}
		host_pattern(&in, seed++);
		ret = fp_ioctl(&in, &out, host_mask, vcpu->fd, LODGE_VCPU_RUN);
		at = fp_differs(&in, &out, host_regs);
		if (at != SAME)
			test_fail("RUN changed the thread's registers: at %d 0x%02x, not 0x%02x",
				  at, out.b[at], in.b[at]);
		if (ret == -EINTR && signals)
			++*signals;
		else if (ret)
			vcpu_fail(vcpu, "RUN gave %s", strerror(-ret));
	} while (ret || e->reason == LODGE_EXIT_HOST_WORK);

	if (e->reason == LODGE_EXIT_PIO && e->pio.port == GUEST_PORT &&
	    e->pio.data == GUEST_CALL_SYNC) {
		vcpu->complete = true;
		return true;
	}
	/* Not completed, the guest says it again; to be told if it is bad. */
	guest_run_done(vcpu);
	return false;
}

TEST_F(fp, reset_state)
{
	if (!host_mask)
		SKIP(return, "no XSAVE");
	vcpu_start_long(self->vcpu, guest_first_look, 0);
	ASSERT_FALSE(run_with_pattern(self->vcpu, 77, NULL));
}

/* The same as the host sees it, before the guest ever runs. */
TEST_F(fp, reset_image)
{
	struct full_state *full = aligned_alloc(64, sizeof(*full));
	struct fp_image reset;
	u64 bv;

	fp_reset_pattern(&reset);
	state_prepare(full);
	memset(full->fpu, 0x5a, sizeof(full->fpu));
	vcpu_get(self->vcpu, &full->vcpu, LODGE_STATE_FPU);
	memcpy(&bv, full->fpu + XSAVE_XSTATE_BV, 8);
	ASSERT_EQ(0, bv & ~host_regs);
	ASSERT_EQ(SAME, fp_differs((struct fp_image *)full->fpu, &reset, host_regs));
	free(full);
}

TEST_F(fp, kept_over_exits)
{
	int i;

	vcpu_start_long(self->vcpu, guest_rounds, 0);
	for (i = 0; i < 50; i++)
		ASSERT_TRUE(run_with_pattern(self->vcpu, i, NULL));
}

/* A guest that knows only FXSAVE. */
TEST_F(fp, kept_without_osxsave)
{
	int i;

	guest_fp[0].xcr0 = 0;
	vcpu_start_long(self->vcpu, guest_rounds, 0);
	for (i = 0; i < 20; i++)
		ASSERT_TRUE(run_with_pattern(self->vcpu, i, NULL));
}

/* A guest with less than the host has: its own is kept, and the host's too. */
TEST_F(fp, xcr0_of_x87)
{
	int i;

	if (!host_mask)
		SKIP(return, "no XSAVE");
	guest_fp[0].xcr0 = XCR0_X87;
	vcpu_start_long(self->vcpu, guest_rounds, 0);
	for (i = 0; i < 20; i++)
		ASSERT_TRUE(run_with_pattern(self->vcpu, i, NULL));
	ASSERT_EQ(host_mask, xgetbv(0) & ALL_MASK);
}

TEST_F(fp, xcr0_narrowed_and_back)
{
	int i;

	if (host_mask != ALL_MASK)
		SKIP(return, "the host has no AVX");
	vcpu_start_long(self->vcpu, guest_narrow, 0);
	for (i = 0; i < 5; i++)
		ASSERT_TRUE(run_with_pattern(self->vcpu, i, NULL));
	ASSERT_FALSE(run_with_pattern(self->vcpu, i, NULL));
}

/* Two vCPUs take turns in one thread. */
TEST_F(fp, two_in_one_thread)
{
	struct vcpu *other = vcpu_create_at(self->vm, 1, guest_rounds, 1);
	int i;

	guest_fp[1].xcr0 = host_mask & FX_MASK;
	vcpu_start_long(self->vcpu, guest_rounds, 0);
	for (i = 0; i < 50; i++)
		ASSERT_TRUE(run_with_pattern(i & 1 ? other : self->vcpu, i, NULL));
	vcpu_destroy(other);
}

/* ------------------------------------------------------------ many on one CPU */

#define CROWD_ROUNDS	60

/* One of those that want the CPU; it goes on until @stop. */
struct rival {
	u32 seed;
	u64 rounds;
	int cpu;
};

static void *rival_fn(void *arg)
{
	static __thread struct fp_image want, got;
	struct rival *rival = arg;
	int at;

	require(pin_to_cpu(0, rival->cpu));
	while (!READ_ONCE(stop)) {
		host_pattern(&want, rival->seed++);
		fp_hold(&want, &got, host_mask, 5000, 0, 0);
		at = fp_differs(&want, &got, host_regs);
		if (at != SAME)
			test_fail("a rival's registers changed: offset %d: 0x%02x, not 0x%02x",
				  at, got.b[at], want.b[at]);
		WRITE_ONCE(rival->rounds, rival->rounds + 1);
		/* Sometimes it waits behind the guest, sometimes it interrupts it. */
		if (rival->rounds & 1)
			sched_yield();
		else
			usleep(50);
	}
	return NULL;
}

struct runner {
	struct vcpu *vcpu;
	int cpu;
};

static void *runner_fn(void *arg)
{
	struct runner *runner = arg;
	u32 seed = 50000 + runner->vcpu->id * 1000;

	require(pin_to_cpu(0, runner->cpu));
	while (run_with_pattern(runner->vcpu, seed++, NULL))
		sched_yield();
	return NULL;
}

/* vCPU @id, and a rival, on @cpu; the guest stays inside for its rounds or not. */
static pthread_t start_runner(struct runner *runner, struct vm *vm, u32 id, int cpu, bool quiet)
{
	guest_fp[id].spins = quiet ? 20000 : 2000;
	guest_fp[id].quiet = quiet;
	runner->vcpu = vcpu_create_at(vm, id, guest_rounds, id);
	runner->cpu = cpu;
	return spawn(runner_fn, runner);
}

static void crowd(struct vm *vm, const u64 *xcr0, u32 nr, bool quiet)
{
	struct rival rival = { .seed = 90000 };
	pthread_t threads[NR_GUEST_CPUS + 1];
	struct runner runners[NR_GUEST_CPUS];
	u32 i;

	require(online_cpus(&rival.cpu, 1) == 1);
	for (i = 0; i < nr; i++) {
		guest_fp[i + 1].xcr0 = xcr0[i];
		threads[i] = start_runner(&runners[i], vm, i + 1, rival.cpu, quiet);
	}
	threads[nr] = spawn(rival_fn, &rival);
	wait_until(READ_ONCE(rival.rounds) >= CROWD_ROUNDS);
	for (i = 0; i < nr; i++)
		wait_until(READ_ONCE(guest_fp[i + 1].rounds) >= CROWD_ROUNDS);
	WRITE_ONCE(stop, 1);
	for (i = 0; i <= nr; i++)
		join(threads[i]);
}

TEST_F(fp, preempted)
{
	crowd(self->vm, &host_mask, 1, true);
}

TEST_F(fp, preempted_between_exits)
{
	crowd(self->vm, &host_mask, 1, false);
}

TEST_F(fp, preempted_xcr0_of_x87)
{
	const u64 xcr0 = XCR0_X87;

	if (!host_mask)
		SKIP(return, "no XSAVE");
	crowd(self->vm, &xcr0, 1, true);
}

TEST_F(fp, three_on_one_cpu)
{
	const u64 xcr0[3] = { host_mask, XCR0_X87, host_mask };

	if (!host_mask)
		SKIP(return, "no XSAVE");
	crowd(self->vm, xcr0, 3, true);
}

/* ------------------------------------------------------------------- signals */

static u32 handled;

/* Uses the registers as any code may; the thread's own come back at its end. */
static void on_signal(int nr)
{
	static struct fp_image junk, out;

	host_pattern(&junk, 123456 + handled);
	fp_hold(&junk, &out, host_mask, 100, 0, 0);
	WRITE_ONCE(handled, handled + 1);
}

struct sender {
	pthread_t to;
	u32 nr;
};

static void *sender_fn(void *arg)
{
	struct sender *s = arg;
	u32 i;

	for (i = 0; i < s->nr; i++) {
		pthread_kill(s->to, SIGUSR1);
		wait_until(READ_ONCE(handled) > i);
	}
	WRITE_ONCE(stop, 1);
	return NULL;
}

TEST_F(fp, signals)
{
	struct sender sender = { .to = pthread_self(), .nr = 30 };
	u32 seen = 0;
	pthread_t thread;

	signal(SIGUSR1, on_signal);
	guest_fp[0].spins = 20000;
	guest_fp[0].quiet = true;
	vcpu_start_long(self->vcpu, guest_rounds, 0);
	thread = spawn(sender_fn, &sender);
	ASSERT_FALSE(run_with_pattern(self->vcpu, 0, &seen));
	join(thread);
	ASSERT_EQ(30, handled);
	ASSERT_GT(seen, 0);
}

/* ------------------------------------------------------------------ by the call */

static void get_image(struct vcpu *vcpu, struct fp_image *image)
{
	static __thread struct full_state full;

	state_prepare(&full);
	vcpu_get(vcpu, &full.vcpu, LODGE_STATE_FPU);
	memcpy(image, full.fpu, IMAGE_SIZE);
}

static int try_set_image(struct vcpu *vcpu, const struct fp_image *image, u32 size)
{
	struct lodge_vcpu_state state = {
		.fpu = (uintptr_t)image, .fpu_size = size,
	};

	return vcpu_try_set(vcpu, &state, LODGE_STATE_FPU);
}

TEST_F(fp, get_and_set)
{
	struct fp_image image, want;
	u32 i;

	vcpu_start_long(self->vcpu, guest_exchange, 0);
	for (i = 0; i < 10; i++) {
		guest_fp[0].seed = i;
		ASSERT_TRUE(run_with_pattern(self->vcpu, 500 + i, NULL));
		get_image(self->vcpu, &image);
		host_pattern(&want, i);
		ASSERT_EQ(SAME, fp_differs(&image, &want, host_regs));

		host_pattern(&want, 1000 + i);
		ASSERT_EQ(0, try_set_image(self->vcpu, &want, IMAGE_SIZE));
		get_image(self->vcpu, &image);
		ASSERT_EQ(SAME, fp_differs(&image, &want, host_regs));
		guest_fp[0].want = want;
		ASSERT_TRUE(run_with_pattern(self->vcpu, 600 + i, NULL));
	}
}

/* What an image leaves out becomes as after a reset. */
TEST_F(fp, set_less)
{
	struct fp_image image, want, reset;
	u64 parts;

	if (!host_mask)
		SKIP(return, "no XSAVE");
	fp_reset_pattern(&reset);
	vcpu_start_long(self->vcpu, guest_exchange, 0);
	for (parts = 0; parts <= host_mask; parts++) {
		if (parts & ~host_mask)
			continue;
		ASSERT_TRUE(run_with_pattern(self->vcpu, 1, NULL));
		host_pattern(&image, 700 + parts);
		put(&image, XSAVE_XSTATE_BV, parts, 8);
		if (!(parts & (XCR0_SSE | XCR0_AVX)))
			put(&image, XSAVE_MXCSR, 0x1f80, 4);
		ASSERT_EQ(0, try_set_image(self->vcpu, &image, IMAGE_SIZE))
			TH_LOG("components 0x%llx", parts);

		want = image;
		if (!(parts & XCR0_X87))
			memcpy(&want, &reset, XSAVE_MXCSR);
		if (!(parts & XCR0_X87))
			memset(want.b + 32, 0, 128);
		if (!(parts & XCR0_SSE))
			memset(want.b + XSAVE_XMM0, 0, 256);
		if (!(parts & XCR0_AVX))
			memset(want.b + XSAVE_YMM0, 0, 256);
		guest_fp[0].want = want;
		ASSERT_TRUE(run_with_pattern(self->vcpu, 2, NULL));
	}
}

/* ------------------------------------------------------- the initial state, MXCSR */

#define MXCSR_RESET	0x1f80
#define MXCSR_OTHER	0x7fbf		/* another rounding, and all exceptions raised */

/* All components as after a reset, but that MXCSR is @mxcsr. */
static void guest_initial(u64 mxcsr)
{
	struct guest_fp *fp = &guest_fp[0];
	u32 control = mxcsr;

	guest_fp_on(fp->xcr0);
	fp_reset_pattern(&fp->want);
	put(&fp->want, XSAVE_MXCSR, mxcsr, 4);
	for (;;) {
		fp_hold_initial(&control, &fp->got, fp->xcr0, 1, GUEST_CALL_SYNC);
		GUEST_EQ(fp_differs(&fp->got, &fp->want, fp->xcr0 ?: FX_MASK), SAME);
		fp_pattern(&fp->got, 3);
		put(&fp->got, XSAVE_XSTATE_BV, fp->xcr0, 8);
		fp_hold(&fp->got, &fp->got, fp->xcr0, 1, 0, 0);
	}
}

static void keep_initial(struct vcpu *vcpu, u32 mxcsr)
{
	struct fp_image want, other, image;
	int i;

	fp_reset_pattern(&want);
	put(&want, XSAVE_MXCSR, mxcsr, 4);
	host_pattern(&other, 9);
	vcpu_start_long(vcpu, guest_initial, mxcsr);
	for (i = 0; i < 5; i++) {
		require(run_with_pattern(vcpu, 800 + i, NULL));
		get_image(vcpu, &image);
		require(fp_differs(&image, &want, host_regs) == SAME);
		/* It says so itself, whatever it leaves out. */
		require(!try_set_image(vcpu, &other, IMAGE_SIZE));
		require(!try_set_image(vcpu, &image, IMAGE_SIZE));
	}
}

TEST_F(fp, initial_state)
{
	keep_initial(self->vcpu, MXCSR_RESET);
}

TEST_F(fp, initial_but_mxcsr)
{
	keep_initial(self->vcpu, MXCSR_OTHER);
}

/* An image of @parts and @mxcsr: what SET says, and MXCSR afterwards. */
static int set_mxcsr(struct vcpu *vcpu, u64 parts, u32 mxcsr, u32 *after)
{
	struct fp_image image;
	int ret;

	host_pattern(&image, 7);
	require(!try_set_image(vcpu, &image, IMAGE_SIZE));
	put(&image, XSAVE_XSTATE_BV, parts, 8);
	put(&image, XSAVE_MXCSR, mxcsr, 4);
	ret = try_set_image(vcpu, &image, IMAGE_SIZE);
	get_image(vcpu, &image);
	memcpy(after, image.b + XSAVE_MXCSR, 4);
	return ret;
}

/*
 * MXCSR comes with any of x87, SSE and AVX, as the kernel has it. Without them what
 * stands in its place does not count, be it as wrong as it likes.
 */
TEST_F(fp, mxcsr_and_its_components)
{
	u64 parts;
	u32 after;

	if (!host_mask)
		SKIP(return, "no XSAVE");
	for (parts = 0; parts <= host_mask; parts++) {
		if (parts & ~host_mask)
			continue;
		ASSERT_EQ(0, set_mxcsr(self->vcpu, parts, MXCSR_OTHER, &after))
			TH_LOG("components 0x%llx", parts);
		ASSERT_EQ(parts ? MXCSR_OTHER : MXCSR_RESET, after)
			TH_LOG("components 0x%llx", parts);
		ASSERT_EQ(parts ? -EINVAL : 0,
			  set_mxcsr(self->vcpu, parts, 0xffffffff, &after))
			TH_LOG("components 0x%llx", parts);
	}
}

/* ------------------------------------------------------------------ EPT violations */

#define FAULT_PAGES	16

/* Memory that is not there is touched while the registers are in use. */
static void guest_faults(u64 id)
{
	struct guest_fp *fp = &guest_fp[id];

	guest_fp_on(fp->xcr0);
	for (;;) {
		fp_pattern(&fp->want, fp->seed++);
		put(&fp->want, XSAVE_XSTATE_BV, fp->xcr0, 8);
		fp_touch(&fp->want, &fp->got, fp->xcr0, GPA_TEST, FAULT_PAGES);
		GUEST_EQ(fp_differs(&fp->got, &fp->want, fp->xcr0 ?: FX_MASK), SAME);
		guest_sync(1);
	}
}

TEST_F(fp, kept_over_faults)
{
	u8 *mem = vm_ram(self->vm, GPA_TEST, FAULT_PAGES * PAGE_SIZE);
	u64 faults;
	int i;

	vcpu_start_long(self->vcpu, guest_faults, 0);
	for (i = 0; i < 20; i++) {
		faults = vcpu_stats(self->vcpu).ept_mapped;
		ASSERT_TRUE(run_with_pattern(self->vcpu, i, NULL));
		/* With huge pages one may be enough for all. */
		ASSERT_GT(vcpu_stats(self->vcpu).ept_mapped, faults);
		ASSERT_EQ(0, madvise(mem, FAULT_PAGES * PAGE_SIZE, MADV_DONTNEED));
	}
}

/* ------------------------------------------------------------------------- PKRU */

#define HAS_PKU		BIT_ULL(3)	/* CPUID leaf 7, ECX */
#define HAS_OSPKE	BIT_ULL(4)
#define CR4_PKE		BIT_ULL(22)
#define XCR0_PKRU	BIT_ULL(9)
#define PKRU_OF(n)	(0x55555550u ^ (n) << 4)	/* key 0 is free */

static u32 read_pkru(void)
{
	u32 value;

	asm volatile("rdpkru" : "=a"(value) : "c"(0) : "edx");
	return value;
}

static void write_pkru(u32 value)
{
	asm volatile("wrpkru" : : "a"(value), "c"(0), "d"(0) : "memory");
}

/* It sets one, and finds the host's next. */
static void guest_pkru(u64 arg)
{
	u32 n;

	write_cr4(read_cr4() | CR4_PKE);
	for (n = 0;; n += 2) {
		write_pkru(PKRU_OF(n));
		guest_sync(1);
		GUEST_EQ(read_pkru(), PKRU_OF(n + 1));
	}
}

TEST_F(fp, pkru)
{
	bool host_has = cpuid(7, 0).ecx & HAS_OSPKE;
	u32 at = cpuid(13, 9).ebx, n, value, before = 0;
	struct full_state *full;
	u64 bv;

	if (!(guest_cpuid(7, 0, 2) & HAS_PKU))
		SKIP(return, "no protection keys");
	full = aligned_alloc(64, sizeof(*full));
	state_prepare(full);
	vcpu_start_long(self->vcpu, guest_pkru, 0);
	for (n = 0; n < 10; n += 2) {
		if (host_has)
			before = read_pkru();
		ASSERT_TRUE(run_with_pattern(self->vcpu, n, NULL));
		if (host_has)
			ASSERT_EQ(before, read_pkru());
		vcpu_get(self->vcpu, &full->vcpu, LODGE_STATE_FPU);
		memcpy(&value, full->fpu + at, 4);
		memcpy(&bv, full->fpu + XSAVE_XSTATE_BV, 8);
		ASSERT_TRUE(bv & XCR0_PKRU);
		ASSERT_EQ(PKRU_OF(n), value);
		value = PKRU_OF(n + 1);
		memcpy(full->fpu + at, &value, 4);
		vcpu_set(self->vcpu, &full->vcpu, LODGE_STATE_FPU);
	}
	free(full);
}

static const struct bad_image {
	const char *name;
	u32 at;
	u64 value;
} bad_images[] = {
	{ "a component nobody has", XSAVE_XSTATE_BV, BIT_ULL(62) | FX_MASK },
	{ "compacted", XSAVE_XCOMP_BV, BIT_ULL(63) | FX_MASK },
	{ "reserved part of the header", XSAVE_XCOMP_BV + 8, 1 },
	{ "reserved bits of MXCSR", XSAVE_MXCSR, 0xffff0000 | 0x1f80 },
};

TEST_F(fp, bad_images)
{
	struct fp_image image, before, after;
	size_t i;

	host_pattern(&before, 7);
	ASSERT_EQ(0, try_set_image(self->vcpu, &before, IMAGE_SIZE));
	for (i = 0; i < ARRAY_SIZE(bad_images); i++) {
		host_pattern(&image, 8);
		put(&image, bad_images[i].at, bad_images[i].value,
		    bad_images[i].at == XSAVE_MXCSR ? 4 : 8);
		EXPECT_EQ(-EINVAL, try_set_image(self->vcpu, &image, IMAGE_SIZE))
			TH_LOG("%s", bad_images[i].name);
		get_image(self->vcpu, &after);
		ASSERT_EQ(SAME, fp_differs(&before, &after, host_regs));
	}
	host_pattern(&image, 8);
	EXPECT_EQ(-EINVAL, try_set_image(self->vcpu, &image, FX_SIZE));
	EXPECT_EQ(-EINVAL, try_set_image(self->vcpu, &image, 0));
	/* Without XSAVE nothing can be left out: FXRSTOR loads both. */
	put(&image, XSAVE_XSTATE_BV, XCR0_X87, 8);
	EXPECT_EQ(host_mask ? 0 : -EINVAL, try_set_image(self->vcpu, &image, FX_SIZE + 64));
	EXPECT_EQ(0, try_set_image(self->vcpu, &before, IMAGE_SIZE));
	host_pattern(&image, 8);
	if (host_mask & XCR0_AVX)
		EXPECT_EQ(-EINVAL, try_set_image(self->vcpu, &image, XSAVE_YMM0 + 128));
	get_image(self->vcpu, &after);
	ASSERT_EQ(SAME, fp_differs(&before, &after, host_regs));
}

/* Another thread looks while the guest has its values in the registers. */
TEST_F(fp, get_while_running)
{
	struct runner runner;
	struct fp_image image;
	pthread_t thread;
	u64 rounds;
	int cpu, i;

	require(online_cpus(&cpu, 1) == 1);
	thread = start_runner(&runner, self->vm, 1, cpu, true);
	wait_until(READ_ONCE(guest_fp[1].rounds));
	for (i = 0; i < 50; i++) {
		get_image(runner.vcpu, &image);
		rounds = READ_ONCE(guest_fp[1].rounds);
		/* And puts it back, on which the guest's rounds depend. */
		if (i % 5 == 0)
			wait_until(READ_ONCE(guest_fp[1].rounds) > rounds);
	}
	WRITE_ONCE(stop, 1);
	join(thread);
}

/* From one VM to another, in the middle of a round. */
TEST_F(fp, moved_to_another_vm)
{
	struct vcpu *vcpu = self->vcpu;
	int i;

	vcpu_start_long(vcpu, guest_rounds, 0);
	ASSERT_TRUE(run_with_pattern(vcpu, 1, NULL));
	for (i = 0; i < 5; i++) {
		vcpu->complete = false;
		vcpu = vcpu_clone(vcpu);
		/* There the OUT is executed once more, then the round ends. */
		ASSERT_TRUE(run_with_pattern(vcpu, 2 + i, NULL));
		ASSERT_TRUE(run_with_pattern(vcpu, 3 + i, NULL));
	}
	ASSERT_GE(guest_fp[0].rounds, 5);
}

TEST_HARNESS_MAIN
