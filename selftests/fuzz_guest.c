// SPDX-License-Identifier: GPL-2.0
/*
 * Guests of random code, out of instructions that concern a hypervisor and of mere
 * bytes, begun in every mode in states that SET_STATE lets pass, on VMs that have
 * had such guests before. Each ends in an exit that the ABI knows, or when its time
 * is over; and a good guest runs afterwards.
 *
 * LODGE_ROUNDS: how many guests; LODGE_SEED: another sequence.
 */
#include "fuzz.h"
#include "state.h"
#include "kselftest_harness.h"

#define GUESTS_PER_VM	100
#define MAX_EXITS	24		/* of one guest */
#define GUEST_US	1500
#define SAVED_SIZE	0x40000		/* of low memory, put back for each guest */
#define CODE_SIZE	256
#define GPA_HANDLER	0x7000ULL	/* where all exceptions go */

static u32 msr_list[MAX_MSRS], nr_msrs;

/* ------------------------------------------------------------------------ code */

/*
 * Instructions without what follows them: random bytes, which are operands, or
 * the next instruction.
 */
static const struct snippet {
	u8 len;
	u8 code[7];
} snippets[] = {
#define CODE(...)	{ sizeof((u8[]){ __VA_ARGS__ }), { __VA_ARGS__ } }
	CODE(0x0f, 0xa2),			/* cpuid */
	CODE(0x0f, 0x32),			/* rdmsr */
	CODE(0x0f, 0x30),			/* wrmsr */
	CODE(0x0f, 0x31),			/* rdtsc */
	CODE(0x0f, 0x01, 0xf9),			/* rdtscp */
	CODE(0x0f, 0x33),			/* rdpmc */
	CODE(0x0f, 0x20),			/* mov from cr */
	CODE(0x0f, 0x22),			/* mov to cr */
	CODE(0x0f, 0x22, 0xc0),			/* mov %rax, %cr0 */
	CODE(0x0f, 0x22, 0xd8),			/* mov %rax, %cr3 */
	CODE(0x0f, 0x22, 0xe0),			/* mov %rax, %cr4 */
	CODE(0x44, 0x0f, 0x22, 0xc0),		/* mov %rax, %cr8 */
	CODE(0x0f, 0x21),			/* mov from dr */
	CODE(0x0f, 0x23),			/* mov to dr */
	CODE(0x0f, 0x06),			/* clts */
	CODE(0x0f, 0x08),			/* invd */
	CODE(0x0f, 0x09),			/* wbinvd */
	CODE(0x0f, 0x0b),			/* ud2 */
	CODE(0x0f, 0x00),			/* sldt, str, lldt, ltr, verr ... */
	CODE(0x0f, 0x01),			/* sgdt, lgdt, smsw, lmsw, invlpg ... */
	CODE(0x0f, 0x01, 0xc1),			/* vmcall */
	CODE(0x0f, 0x01, 0xc8),			/* monitor */
	CODE(0x0f, 0x01, 0xc9),			/* mwait */
	CODE(0x0f, 0x01, 0xd0),			/* xgetbv */
	CODE(0x0f, 0x01, 0xd1),			/* xsetbv */
	CODE(0x0f, 0x01, 0xf8),			/* swapgs */
	CODE(0x0f, 0xc7),			/* vmptrld, xsaves, rdrand ... */
	CODE(0x0f, 0x78),			/* vmread */
	CODE(0x66, 0x0f, 0x38, 0x80),		/* invept */
	CODE(0x66, 0x0f, 0x38, 0x82),		/* invpcid */
	CODE(0x0f, 0xae),			/* fxsave, xrstor, clflush, wrfsbase ... */
	CODE(0x0f, 0x05),			/* syscall */
	CODE(0x0f, 0x07),			/* sysret */
	CODE(0x0f, 0x34),			/* sysenter */
	CODE(0x0f, 0x35),			/* sysexit */
	CODE(0x0f, 0xaa),			/* rsm */
	CODE(0xf4),				/* hlt */
	CODE(0xfa), CODE(0xfb),			/* cli, sti */
	CODE(0xfb, 0xf4),			/* sti; hlt */
	CODE(0x9c), CODE(0x9d),			/* pushf, popf */
	CODE(0xcf), CODE(0x48, 0xcf),		/* iret */
	CODE(0xcc), CODE(0xcd), CODE(0xce),	/* int3, int, into */
	CODE(0xf1),				/* int1 */
	CODE(0xe4), CODE(0xe5), CODE(0xe6), CODE(0xe7),	/* in, out $port */
	CODE(0xec), CODE(0xed), CODE(0xee), CODE(0xef),	/* in, out %dx */
	CODE(0x6c), CODE(0x6d), CODE(0x6e), CODE(0x6f),	/* ins, outs */
	CODE(0xf3, 0x6d), CODE(0xf3, 0x6f),	/* rep ins, rep outs */
	CODE(0xa4), CODE(0xf3, 0xa4), CODE(0xf3, 0xa5), CODE(0xaa), CODE(0xf3, 0xab),
	CODE(0x88), CODE(0x89), CODE(0x8a), CODE(0x8b), CODE(0xc6), CODE(0xc7),
	CODE(0xa0), CODE(0xa1), CODE(0xa2), CODE(0xa3),
	CODE(0x0f, 0xb6), CODE(0x0f, 0xbe), CODE(0x63),
	CODE(0x8e), CODE(0x8c),			/* mov to and from segment */
	CODE(0x0f, 0xb2),			/* lss */
	CODE(0xea), CODE(0x9a), CODE(0xcb),	/* far jmp, call, ret */
	CODE(0xff),				/* jmp, call, push */
	CODE(0xf0, 0x0f, 0xb1),			/* lock cmpxchg */
	CODE(0xf3, 0x90),			/* pause */
	CODE(0xeb, 0xfe),			/* jmp to itself */
	CODE(0xb8), CODE(0xb9), CODE(0xba),	/* mov $imm to ax, cx, dx */
	CODE(0x48, 0xc7, 0xc1),			/* mov $imm, %rcx */
	CODE(0x66), CODE(0x67), CODE(0x48), CODE(0x41), CODE(0xf2), CODE(0x64),
#undef CODE
};

static void put_random_code(u8 *to)
{
	const struct snippet *s;
	u32 at = 0, i, nr;

	while (at < CODE_SIZE) {
		s = &snippets[fuzz_below(ARRAY_SIZE(snippets))];
		for (i = 0; i < s->len && at < CODE_SIZE; i++)
			to[at++] = s->code[i];
		/* None, so that what was picked goes one after another, or some. */
		for (nr = fuzz_below(6); nr > 1 && at < CODE_SIZE; nr--)
			to[at++] = fuzz_take(1);
	}
}

/* ----------------------------------------------------------------------- state */

static void start_compat(struct vcpu *vcpu)
{
	vcpu_start_compat(vcpu, GPA_CODE);
}

static void start_long(struct vcpu *vcpu)
{
	struct lodge_vcpu_state s = {};

	vcpu_start_long(vcpu, NULL, 0);
	vcpu_get(vcpu, &s, LODGE_STATE_GPRS);
	s.gprs.rip = GPA_CODE;
	vcpu_set(vcpu, &s, LODGE_STATE_GPRS);
}

static void start_protected(struct vcpu *vcpu)
{
	vcpu_start_protected(vcpu, GPA_CODE);
}

static void start_protected16(struct vcpu *vcpu)
{
	vcpu_start_protected16(vcpu, GPA_CODE);
}

static void start_real(struct vcpu *vcpu)
{
	vcpu_start_real(vcpu, 0, GPA_CODE);
}

static void (*const modes[])(struct vcpu *vcpu) = {
	start_long, start_compat, start_protected, start_protected16, start_real,
};

static u64 useful_number(void)
{
	switch (fuzz_below(4)) {
	case 0:
		return msr_list[fuzz_below(nr_msrs)];
	case 1:
		return GPA_CODE + fuzz_take(2);
	default:
		return fuzz_number();
	}
}

/* The registers a guest begins with, and RFLAGS but for those that SET refuses. */
static void set_random_registers(struct vcpu *vcpu)
{
	struct lodge_vcpu_state s = {}, good = {};
	int i;

	vcpu_get(vcpu, &s, LODGE_STATE_SHARED);
	for (i = 0; i < 16; i++)
		if (i != 4 || fuzz_below(4) == 0)
			s.gprs.reg[i] = useful_number();
	good = s;
	if (fuzz_below(2))
		s.gprs.rflags = (fuzz_take(3) & 0x257fd5) | RFLAGS_ONE;
	if (fuzz_below(3) == 0)
		fuzz_members(&s.sregs, sizeof(s.sregs), 1 + fuzz_below(2));
	if (fuzz_below(3) == 0)
		fuzz_members(&s.crs, sizeof(s.crs), 1 + fuzz_below(2));
	if (fuzz_below(3) == 0)
		fuzz_members(&s.drs, sizeof(s.drs), 1 + fuzz_below(2));
	if (fuzz_below(3) == 0) {
		s.events.mp_state = 0;
		s.events.flags = fuzz_take(1);
		s.events.event_vector = fuzz_take(1);
		s.events.event_type = fuzz_below(8);
		s.events.event_insn_len = fuzz_below(4);
		s.events.pending_dbg = fuzz_below(4) ? 0 : fuzz_number();
	}
	if (vcpu_try_set(vcpu, &s, LODGE_STATE_SHARED))
		vcpu_set(vcpu, &good, LODGE_STATE_SHARED);
}

/* -------------------------------------------------------------------- one guest */

enum { WANT_MORE, WANT_NO_MORE, WANT_DEFINED };

static const u8 after_exit[LODGE_NR_EXITS] = {
	[LODGE_EXIT_NONE] = WANT_DEFINED,
	[LODGE_EXIT_KICK] = WANT_NO_MORE,
	[LODGE_EXIT_SIGNAL] = WANT_NO_MORE,
	[LODGE_EXIT_HOST_WORK] = WANT_MORE,
	[LODGE_EXIT_PAUSED] = WANT_DEFINED,
	[LODGE_EXIT_PIO] = WANT_MORE,
	[LODGE_EXIT_MMIO] = WANT_MORE,
	[LODGE_EXIT_RDMSR] = WANT_MORE,
	[LODGE_EXIT_WRMSR] = WANT_MORE,
	[LODGE_EXIT_EOI] = WANT_MORE,
	[LODGE_EXIT_SHUTDOWN] = WANT_NO_MORE,
	[LODGE_EXIT_MEM_FAULT] = WANT_DEFINED,
	[LODGE_EXIT_FAIL_ENTRY] = WANT_NO_MORE,
	[LODGE_EXIT_UNHANDLED] = WANT_NO_MORE,
};

static u64 ends[LODGE_NR_EXITS];

/* True when the guest may go on. */
static bool run_once(struct vcpu *vcpu)
{
	struct lodge_run *run = vcpu->run;
	int error = try_ioctl(vcpu->fd, LODGE_VCPU_RUN, NULL);
	u32 reason = run->exit.reason;

	if (error && error != -EINTR)
		vcpu_fail(vcpu, "RUN gave %s", strerror(-error));
	if (reason >= LODGE_NR_EXITS || after_exit[reason] == WANT_DEFINED)
		vcpu_fail(vcpu, "an exit that cannot be");
	if (after_exit[reason] == WANT_NO_MORE) {
		ends[reason]++;
		return false;
	}
	if (run->exit.flags & LODGE_EXIT_F_COMPLETE) {
		run->complete = 1 + (fuzz_below(8) == 0);
		run->data = fuzz_number();
	} else if (reason == LODGE_EXIT_PIO || reason == LODGE_EXIT_MMIO) {
		/* Strings and what is not decoded would come again and again. */
		ends[reason]++;
		return false;
	}
	return true;
}

static void run_guest(struct vcpu *vcpu)
{
	u32 exits = 0;

	fuzz_interrupt_in(GUEST_US);
	while (run_once(vcpu) && ++exits < MAX_EXITS)
		;
	fuzz_interrupt_in(0);
	/* Nothing of it is left for the next one to complete. */
	vcpu->run->complete = 0;
}

static void drop_image(struct vm *vm)
{
	struct lodge_mem_region r[8];
	struct lodge_mem_query query = {
		.size = sizeof(query), .regions = (uintptr_t)r, .nr = ARRAY_SIZE(r),
	};
	u32 i;

	require(!try_ioctl(vm->fd, LODGE_VM_MEM_QUERY, &query));
	for (i = 0; i < query.nr; i++)
		if (r[i].gpa >= LOW_SIZE)
			vm_unmap(vm, r[i].gpa, r[i].len);
}

/* Handlers that are not in the program's image, which guests must not touch. */
static void put_handlers(struct vm *vm)
{
	/* add $8, %rsp; iretq: right for some exceptions, and wrong for the others */
	static const u8 code[] = { 0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf };
	u64 *idt = (u64 *)(vm->low + GPA_IDT);
	int i;

	vm_put_code(vm, GPA_HANDLER, code, sizeof(code));
	for (i = 0; i < 256; i++) {
		idt[2 * i] = (GPA_HANDLER + 4 * (i & 1)) | SEL_CODE64 << 16 | 0x8e01ULL << 32;
		idt[2 * i + 1] = 0;
	}
}

static void run_guests(u32 nr, u8 *saved)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create(vm, 0);

	drop_image(vm);
	put_handlers(vm);
	memcpy(saved, vm->low, SAVED_SIZE);
	for (; nr; nr--) {
		memcpy(vm->low, saved, SAVED_SIZE);
		put_random_code(vm->low + GPA_CODE);
		modes[fuzz_below(ARRAY_SIZE(modes))](vcpu);
		set_random_registers(vcpu);
		run_guest(vcpu);
	}
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

static void say_done(u64 arg)
{
	guest_done();
}

FIXTURE(fuzz)
{
	u8 *saved;
};

FIXTURE_SETUP(fuzz)
{
	nr_msrs = supported_msrs(msr_list);
	self->saved = malloc(SAVED_SIZE);
	fuzz_seed(fuzz_first_seed());
}

FIXTURE_TEARDOWN(fuzz)
{
	free(self->saved);
}

TEST_F_TIMEOUT(fuzz, guests, 3000)
{
	u64 left = fuzz_rounds(300), now;
	int i, kinds = 0;

	for (; left; left -= now) {
		now = left < GUESTS_PER_VM ? left : GUESTS_PER_VM;
		run_guests(now, self->saved);
		guest_simple(say_done, 0);
	}
	for (i = 0; i < LODGE_NR_EXITS; i++) {
		kinds += ends[i] != 0;
		if (ends[i])
			printf("# ended by %s: %llu\n", exit_name(i), ends[i]);
	}
	fflush(stdout);
	/* Else it is not what it is meant to be. */
	ASSERT_GE(kinds, 4);
}

TEST_HARNESS_MAIN
