// SPDX-License-Identifier: GPL-2.0
/* Guests that write and verify memory all the time. */
#include <sched.h>
#include <sys/syscall.h>

#include "stress.h"

#define GUEST_CALL_WRONG	100	/* args: address, expected, found, state */
#define ADDRESS_BITS		40

struct stress stress;

/* The first word of a page; those behind it have their offset added. */
static u64 page_pattern(u64 page, u32 gen)
{
	return (u64)gen << ADDRESS_BITS | (STRESS_GPA + page % stress.fold * PAGE_SIZE);
}

static u32 state_of(u64 page)
{
	return __atomic_load_n(&stress.state[page], __ATOMIC_SEQ_CST);
}

static bool change_state(u64 page, u32 from, u32 to)
{
	return __atomic_compare_exchange_n(&stress.state[page], &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void set_state(u64 page, u32 state)
{
	__atomic_store_n(&stress.state[page], state, __ATOMIC_SEQ_CST);
}

/* May a word that should be @want be @seen? */
static bool word_good(u32 state, u64 want, u64 seen)
{
	switch (state) {
	case PAGE_KNOWN:
		return seen == want;
	case PAGE_ZERO:
		return !seen;
	case PAGE_HOST:
	case PAGE_FREED:
		return !seen || seen == want;
	default:
		return true;
	}
}

/* ------------------------------------------------------------- the guest's side */

/*
 * The state may have changed since it was read, so what looks wrong is wrong only
 * if it is so by the state there is now, too. Nobody else changes the generation.
 */
static void wrong_word(u64 page, u64 addr, u32 state, u64 want, u64 seen)
{
	u32 now = state_of(page);

	if (now == state || !word_good(now, want, seen))
		guest_call(GUEST_CALL_WRONG, addr, want, seen, now, 0);
}

static void verify_page(u64 page, u32 state)
{
	u64 base = STRESS_GPA + page * PAGE_SIZE, want, seen, off;

	want = page_pattern(page, READ_ONCE(stress.gen[page]));
	for (off = 0; off < PAGE_SIZE; off += STRESS_STEP) {
		seen = READ_ONCE(*(u64 *)(base + off));
		if (!word_good(state, want + off, seen))
			wrong_word(page, base + off, state, want + off, seen);
	}
}

static void write_page(u64 page, u32 state)
{
	u64 base = STRESS_GPA + page * PAGE_SIZE, first, off;
	u32 gen;

	if (state == PAGE_HOST || !change_state(page, state, PAGE_WRITING))
		return;
	gen = stress.fold < STRESS_MAX_PAGES ? READ_ONCE(stress.epoch) : stress.gen[page] + 1;
	first = page_pattern(page, gen);
	for (off = 0; off < PAGE_SIZE; off += STRESS_STEP)
		WRITE_ONCE(*(u64 *)(base + off), first + off);
	WRITE_ONCE(stress.gen[page], gen);
	set_state(page, PAGE_KNOWN);
}

static void wait_while_stopped(void)
{
	while (READ_ONCE(stress.stop))
		guest_done();
}

static void stress_guest(u64 id)
{
	u64 visit = 0, page;
	u32 state, every;

	for (;;) {
		for (page = id; page < stress.pages; page += stress.nr_vcpus) {
			wait_while_stopped();
			state = state_of(page);
			if (state == PAGE_WRITING)
				continue;	/* not ours: a guest is not in two places */
			verify_page(page, state);
			every = READ_ONCE(stress.write_every);
			if (every && visit++ % every == 0)
				write_page(page, state);
		}
		WRITE_ONCE(stress.passes[id], stress.passes[id] + 1);
	}
}

/*
 * The first pass: every page gets its pattern. No interrupt comes, but with them
 * off an emulated CPU would hold back the host's, too (see tools/testbench).
 */
static void stress_guest_first(u64 id)
{
	u64 page;

	irq_on();
	for (page = id; page < stress.pages; page += stress.nr_vcpus)
		write_page(page, PAGE_ZERO);
	stress_guest(id);
}

/* -------------------------------------------------------------- the host's side */

static const char *const state_names[NR_PAGE_STATES] = {
	"known", "being written", "the host's", "freed", "zero",
};

static const char *state_name(u32 state)
{
	return state < NR_PAGE_STATES ? state_names[state] : "not a state";
}

/* What a word says: generation and address, as far as it is one of ours. */
static void say_word(const char *what, u64 word)
{
	fprintf(stderr, "# %s 0x%llx: generation %llu of address 0x%llx\n", what, word,
		word >> ADDRESS_BITS, word & (BIT_ULL(ADDRESS_BITS) - 1));
}

static void say_wrong(const char *who, u64 addr, u64 want, u64 seen, u32 state)
{
	u64 page = (addr - STRESS_GPA) / PAGE_SIZE;

	fprintf(stderr, "# %s: wrong memory at 0x%llx, page %llu, which is %s\n", who, addr,
		page, state_name(state));
	say_word("expected", want);
	say_word("found   ", seen);
	if (page < STRESS_MAX_PAGES)
		fprintf(stderr, "# it is now %s, of generation %u; passes %llu and %llu\n",
			state_name(state_of(page)), stress.gen[page], stress.passes[0],
			stress.passes[1]);
}

/* True when it was one that is over. */
static bool handle_exit(struct vcpu *vcpu)
{
	const struct lodge_exit *e = &vcpu->run->exit;
	const u64 *reg = (const u64 *)vcpu->run->gprs.reg;

	if (e->reason == LODGE_EXIT_MEM_FAULT) {
		__atomic_add_fetch(&stress.mem_faults, 1, __ATOMIC_RELAXED);
		sched_yield();
		return true;
	}
	if (e->reason == LODGE_EXIT_PIO && e->pio.port == GUEST_PORT &&
	    e->pio.data == GUEST_CALL_WRONG) {
		say_wrong("guest", reg[7], reg[6], reg[1], reg[8]);
		vcpu_fail(vcpu, "the guest found wrong memory");
	}
	return false;
}

static void *stress_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	int error;

	WRITE_ONCE(stress.tid[vcpu->id], syscall(SYS_gettid));
	vcpu->run->wanted |= LODGE_STATE_GPRS;
	do {
		error = vcpu_run(vcpu);
		if (error)
			vcpu_fail(vcpu, "RUN gave %s", strerror(error));
	} while (handle_exit(vcpu));
	/* Not completed, the guest says it again; it must be that it has stopped. */
	guest_run_done(vcpu);
	return NULL;
}

void stress_create(void *mem, u64 pages, u32 vcpus)
{
	u64 page;
	u32 i;

	require(pages <= STRESS_MAX_PAGES && vcpus <= STRESS_MAX_VCPUS);
	stress.vm = vm_create();
	stress.mem = mem;
	stress.pages = pages;
	stress.nr_vcpus = vcpus;
	if (!stress.fold)
		stress.fold = STRESS_MAX_PAGES;
	for (page = 0; page < pages; page++)
		stress.state[page] = PAGE_ZERO;
	vm_map(stress.vm, STRESS_GPA, mem, pages * PAGE_SIZE, 0);
	for (i = 0; i < vcpus; i++)
		stress.vcpu[i] = vcpu_create_at(stress.vm, i, stress_guest_first, i);
}

void stress_destroy(void)
{
	u32 i;

	if (!stress.vm)
		return;
	if (stress.running)
		stress_stop();
	for (i = 0; i < stress.nr_vcpus; i++)
		vcpu_destroy(stress.vcpu[i]);
	vm_destroy(stress.vm);
	stress.vm = NULL;
}

void stress_start(void)
{
	u32 i;

	WRITE_ONCE(stress.stop, 0);
	for (i = 0; i < stress.nr_vcpus; i++) {
		WRITE_ONCE(stress.tid[i], 0);
		stress.thread[i] = spawn(stress_thread, stress.vcpu[i]);
	}
	for (i = 0; i < stress.nr_vcpus; i++)
		wait_until(READ_ONCE(stress.tid[i]));
	stress.running = true;
}

void stress_stop(void)
{
	u32 i;

	WRITE_ONCE(stress.stop, 1);
	for (i = 0; i < stress.nr_vcpus; i++)
		join(stress.thread[i]);
	stress.running = false;
}

void stress_passes(u32 n)
{
	u64 from[STRESS_MAX_VCPUS];
	u32 i;

	for (i = 0; i < stress.nr_vcpus; i++)
		from[i] = READ_ONCE(stress.passes[i]);
	/* The one that is on its way began before now. */
	for (i = 0; i < stress.nr_vcpus; i++)
		wait_until(READ_ONCE(stress.passes[i]) > from[i] + n);
}

/* The host's look at a page; the guests have stopped. */
static bool page_good(u64 page)
{
	u64 addr = STRESS_GPA + page * PAGE_SIZE, off, seen, want;
	u64 first = page_pattern(page, stress.gen[page]);
	u32 state = state_of(page);

	for (off = 0; off < PAGE_SIZE; off += STRESS_STEP) {
		seen = READ_ONCE(*(u64 *)(stress_page(page) + off));
		want = first + off;
		if (word_good(state, want, seen))
			continue;
		say_wrong("host", addr + off, want, seen, state);
		return false;
	}
	return true;
}

bool stress_is_good(void)
{
	u64 page;

	require(!stress.running);
	for (page = 0; page < stress.pages; page++)
		if (!page_good(page))
			return false;
	return true;
}

void stress_check_host(void)
{
	if (!stress_is_good())
		test_fail("the host found wrong memory");
}

bool stress_try_take(u64 page)
{
	return change_state(page, PAGE_KNOWN, PAGE_HOST);
}

void stress_take(u64 page, u64 nr)
{
	u64 end = page + nr;
	u32 state;

	for (; page < end; page++) {
		for (;;) {
			state = state_of(page);
			if (state != PAGE_WRITING && change_state(page, state, PAGE_HOST))
				break;
			sched_yield();
		}
	}
}

void stress_give(u64 page, u64 nr, u32 state)
{
	u64 end = page + nr;

	for (; page < end; page++)
		set_state(page, state);
}

u64 stress_random(u64 below)
{
	static u64 seed = 88172645463325252ULL;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}
