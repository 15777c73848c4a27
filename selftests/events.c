// SPDX-License-Identifier: GPL-2.0
/*
 * Exceptions, debugging, NMIs and injection: each event arrives once, where it
 * belongs, also over instructions that lodge emulates and when its delivery is
 * broken off by an EPT fault.
 */
#include "vm.h"
#include "kselftest_harness.h"

#define SOFT_VECTOR	0x50
#define IRQ_VECTOR	0x41
#define MMIO		0x70000000ULL
#define IO_PORT		0xf0
#define RFLAGS_RF	BIT_ULL(16)
#define USER_GVA	0x100000000ULL

/* What the last event said, and how many there were. */
static struct {
	u64 count;
	u64 rip;
	u64 error;
	u64 dr6;
	u64 cr2;
	u64 flags;
	u64 resume;		/* for note_and_resume() */
} seen;

FIXTURE(events)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(events)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(events)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static __guest_irq void note_event(struct guest_frame *frame)
{
	seen.count++;
	seen.rip = frame->rip;
	seen.error = frame->error;
	seen.cr2 = read_cr2();
	seen.flags = frame->rflags;
}

static __guest_irq void forget_events(void)
{
	seen.count = 0;
	seen.rip = 0;
	seen.dr6 = 0;
	seen.cr2 = 0;
}

/* ------------------------------------------------------ software exceptions */

static __guest_irq void note_fault(struct guest_frame *frame)
{
	note_event(frame);
	frame->rip += 2;	/* ud2 */
}

/* Executes @insn; the event it makes must show the label behind or before it. */
#define EXPECT_EVENT(insn, label)					\
do {									\
	u64 __want;							\
									\
	forget_events();						\
	asm volatile("lea " label "f(%%rip), %0\n"			\
		     "774: " insn "\n775: nop\n"			\
		     : "=&r"(__want) : : "memory", "cc");		\
	GUEST_EQ(seen.count, 1);					\
	GUEST_EQ(seen.rip, __want);					\
} while (0)

#define AT_INSN		"774"
#define BEHIND_INSN	"775"

static void software_events(u64 arg)
{
	guest_handle(BP_VECTOR, note_event);
	guest_handle(SOFT_VECTOR, note_event);
	guest_handle(DB_VECTOR, note_event);
	guest_handle(UD_VECTOR, note_fault);

	EXPECT_EVENT("int3", BEHIND_INSN);
	EXPECT_EVENT("int $0x50", BEHIND_INSN);
	EXPECT_EVENT(".byte 0xf1", BEHIND_INSN);	/* int1 */
	EXPECT_EVENT("ud2", AT_INSN);
	guest_done();
}

TEST_F(events, software)
{
	vcpu_start_long(self->vcpu, software_events, 0);
	guest_run_done(self->vcpu);
}

static void faults(u64 arg)
{
	u32 zero = 0, result = 1;
	u64 hole = USER_GVA;

	GUEST_EQ(guest_try("divl %1", : "+a"(result) : "m"(zero) : "rdx", "cc"), DE_VECTOR);
	GUEST_EQ(guest_try_read(hole + 8), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.cr2, hole + 8);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(guest_try_write(hole + 16, 1), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.cr2, hole + 16);
	GUEST_EQ(this_guest_cpu()->trap.error, PF_WRITE);
	GUEST_EQ(guest_try_call(hole), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.cr2, hole);
	GUEST_EQ(guest_try_read(0x8000000000000000ULL), GP_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(guest_try("mov %0, %%ds", : : "r"(0x1238ULL)), GP_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0x1238);
	guest_done();
}

TEST_F(events, faults)
{
	vcpu_start_long(self->vcpu, faults, 0);
	guest_run_done(self->vcpu);
}

GUEST_ASM(misaligned, .code64,
	  "pushfq\n"
	  "orl $0x40000, (%rsp)\n"	/* RFLAGS.AC */
	  "popfq\n"
	  "movl -63(%rsp), %eax\n"
	  "int $0x80");

static void alignment_check(u64 arg)
{
	write_cr0(read_cr0() | CR0_AM);
	GUEST_EQ(guest_user_call(SEL_USER_CODE64, USER_GVA, USER_GVA + PAGE_SIZE), AC_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	write_cr0(read_cr0() & ~CR0_AM);
	GUEST_EQ(guest_user_call(SEL_USER_CODE64, USER_GVA, USER_GVA + PAGE_SIZE),
		 GUEST_USER_RETURN);
	guest_done();
}

static void map_user_code(struct vm *vm, const void *code, size_t size)
{
	vm_put_code(vm, GPA_CODE, code, size);
	vm_gva_map(vm, USER_GVA, GPA_CODE, PAGE_SIZE, PTE_P | PTE_W | PTE_U, GVA_4K);
}

TEST_F(events, alignment_check)
{
	map_user_code(self->vm, misaligned, guest_asm_size(misaligned));
	vcpu_start_long(self->vcpu, alignment_check, 0);
	guest_run_done(self->vcpu);
}

/* ---------------------------------------------------------------- debugging */

static __guest_irq void note_debug(struct guest_frame *frame)
{
	note_event(frame);
	seen.dr6 = read_dr6();
	write_dr6(DR6_RESET);
	frame->rflags &= ~RFLAGS_TF;
	frame->rflags |= RFLAGS_RF;
}

/*
 * One step over @insn, which may use RAX, RCX, RDX and clobber RBX; RSI holds
 * an MMIO address.
 */
#define STEP_OVER(check, insn, rax, rcx, rdx)				\
do {									\
	u64 __want, __a = (rax), __c = (rcx), __d = (rdx);		\
									\
	forget_events();						\
	asm volatile("lea 773f(%%rip), %0\n" PUSH_BEGIN			\
		     "pushfq\norl $0x100, (%%rsp)\npopfq\n"		\
		     insn "\n773: nop\n" PUSH_END			\
		     : "=&r"(__want), "+a"(__a), "+c"(__c), "+d"(__d)	\
		     : "S"(MMIO) : "rbx", "memory", "cc");		\
	if (!(check))							\
		break;							\
	GUEST_EQ(seen.count, 1);					\
	GUEST_EQ(seen.rip, __want);					\
	GUEST_EQ(seen.dr6 & (DR6_BS | 0xf), DR6_BS);			\
	GUEST_EQ(seen.flags & RFLAGS_RF, 0);				\
} while (0)

static __attribute__((noipa)) void step_over_all(bool check)
{
	STEP_OVER(check, "nop", 0, 0, 0);
	STEP_OVER(check, "cpuid", 0, 0, 0);
	STEP_OVER(check, "rdtsc", 0, 0, 0);
	STEP_OVER(check, "rdmsr", 0, MSR_APIC_BASE, 0);
	STEP_OVER(check, "wrmsr", (u32)PAT_RESET, MSR_PAT, PAT_RESET >> 32);
	STEP_OVER(check, "vmcall", 0x1234, 0, 0);
	STEP_OVER(check, "wbinvd", 0, 0, 0);
	STEP_OVER(check, "mov %%cr0, %%rax", 0, 0, 0);
	STEP_OVER(check, "mov %%rax, %%cr0", read_cr0(), 0, 0);
	STEP_OVER(check, "mov %%rax, %%cr4", read_cr4() ^ CR4_TSD, 0, 0);
	STEP_OVER(check, "mov %%rax, %%cr8", 0, 0, 0);
	STEP_OVER(check, "inl $0xf0, %%eax", 0, 0, 0);
	STEP_OVER(check, "outl %%eax, $0xf0", 0, 0, 0);
	STEP_OVER(check, "movl (%%rsi), %%eax", 0, 0, 0);
	STEP_OVER(check, "movl %%eax, (%%rsi)", 0, 0, 0);
}

/*
 * The first round only touches code and page tables: an EPT fault on them would
 * come amid a step, and Bochs (unlike the SDM) takes that for a step done.
 */
static void single_steps(u64 arg)
{
	guest_handle(DB_VECTOR, note_debug);
	step_over_all(false);
	step_over_all(true);
	guest_done();
}

static void serve_steps(struct __test_metadata *_metadata, struct vcpu *vcpu)
{
	vcpu_run_complete(vcpu, LODGE_EXIT_PIO, 1);
	ASSERT_EQ(IO_PORT, vcpu->run->exit.pio.port);
	vcpu_run_complete(vcpu, LODGE_EXIT_PIO, 0);
	ASSERT_EQ(IO_PORT, vcpu->run->exit.pio.port);
	vcpu_run_complete(vcpu, LODGE_EXIT_MMIO, 1);
	vcpu_run_complete(vcpu, LODGE_EXIT_MMIO, 0);
}

TEST_F(events, single_step)
{
	vcpu_start_long(self->vcpu, single_steps, 0);
	serve_steps(_metadata, self->vcpu);
	serve_steps(_metadata, self->vcpu);
	guest_run_done(self->vcpu);
}

static u64 watched[4];

static __attribute__((noipa)) void breakpoint_here(void)
{
	asm volatile("nop" : : : "memory");
}

/* DR7 for breakpoint @n: @kind 0 execute, 1 write, 3 read or write. */
static inline u64 dr7_for(int n, u64 kind, u64 len)
{
	return DR7_RESET | 1ULL << n * 2 | kind << (16 + n * 4) | len << (18 + n * 4);
}

static void expect_hit(int n)
{
	GUEST_EQ(seen.count, 1);
	GUEST_EQ(seen.dr6 & (DR6_BS | 0xf), BIT_ULL(n));
	forget_events();
}

static void breakpoints(u64 arg)
{
	guest_handle(DB_VECTOR, note_debug);
	forget_events();

	write_dr0((u64)breakpoint_here);
	write_dr7(dr7_for(0, 0, 0));
	GUEST_EQ(read_dr0(), (u64)breakpoint_here);
	GUEST_EQ(read_dr7(), dr7_for(0, 0, 0));
	breakpoint_here();
	GUEST_EQ(seen.rip, (u64)breakpoint_here);
	expect_hit(0);

	write_dr1((u64)&watched[1]);
	write_dr7(dr7_for(1, 1, 3));
	GUEST_EQ(READ_ONCE(watched[1]), 0);
	GUEST_EQ(seen.count, 0);
	mmio_write((u64)&watched[1], 5);
	expect_hit(1);
	GUEST_EQ(watched[1], 5);

	write_dr2((u64)&watched[2]);
	write_dr7(dr7_for(2, 3, 2));
	GUEST_EQ(READ_ONCE(watched[2]), 0);
	expect_hit(2);

	write_dr3((u64)&watched[3]);
	write_dr7(dr7_for(3, 1, 2));
	WRITE_ONCE(watched[3], 1);
	expect_hit(3);

	write_dr7(DR7_RESET);
	WRITE_ONCE(watched[3], 2);
	breakpoint_here();
	GUEST_EQ(seen.count, 0);
	guest_done();
}

TEST_F(events, breakpoints)
{
	vcpu_start_long(self->vcpu, breakpoints, 0);
	guest_run_done(self->vcpu);
}

/* Set by the program, kept over exits, and seen by the program when changed. */
static void keep_breakpoint(u64 arg)
{
	guest_handle(DB_VECTOR, note_debug);
	forget_events();
	guest_sync(1);
	GUEST_EQ(read_dr0(), (u64)breakpoint_here);
	cpuid(0, 0);
	breakpoint_here();
	expect_hit(0);
	write_dr3(0x1234);
	guest_sync(2);
	guest_done();
}

TEST_F(events, breakpoint_by_program)
{
	struct lodge_vcpu_state s = {};

	vcpu_start_long(self->vcpu, keep_breakpoint, 0);
	guest_run_sync(self->vcpu, 1);
	vcpu_get(self->vcpu, &s, LODGE_STATE_DRS);
	ASSERT_EQ(DR7_RESET, s.drs.dr7);
	s.drs.dr[0] = (uintptr_t)breakpoint_here;
	s.drs.dr7 = dr7_for(0, 0, 0);
	vcpu_set(self->vcpu, &s, LODGE_STATE_DRS);
	guest_run_sync(self->vcpu, 2);
	vcpu_get(self->vcpu, &s, LODGE_STATE_DRS);
	ASSERT_EQ((uintptr_t)breakpoint_here, s.drs.dr[0]);
	ASSERT_EQ(0x1234, s.drs.dr[3]);
	ASSERT_EQ(dr7_for(0, 0, 0), s.drs.dr7);
	guest_run_done(self->vcpu);
}

/*
 * RFLAGS.RF, which lets the broken instruction go on, ends with it, also when it
 * is emulated: the breakpoint right behind it must not be missed.
 */
static void breakpoint_on_cpuid(u64 arg)
{
	u64 behind;
	int i;

	guest_handle(DB_VECTOR, note_debug);
	for (i = 0; i < 3; i++) {
		forget_events();
		asm volatile("lea 776f(%%rip), %0\n"
			     "mov %0, %%dr0\n"
			     "lea 777f(%%rip), %0\n"
			     "mov %0, %%dr1\n"
			     "mov %1, %%dr7\n"
			     "xor %%eax, %%eax\n"
			     "776: cpuid\n"
			     "777: nop\n"
			     : "=&D"(behind) : "S"(dr7_for(0, 0, 0) | dr7_for(1, 0, 0))
			     : "rax", "rbx", "rcx", "rdx", "memory", "cc");
		write_dr7(DR7_RESET);
		GUEST_EQ(seen.count, 2);
		GUEST_EQ(seen.rip, behind);
		GUEST_EQ(seen.dr6 & 0xf, BIT_ULL(1));
	}
	guest_done();
}

TEST_F(events, breakpoint_on_emulated)
{
	vcpu_start_long(self->vcpu, breakpoint_on_cpuid, 0);
	guest_run_done(self->vcpu);
}

/* DR7.GD: touching a debug register is a #DB by itself. */
static __guest_irq void note_general_detect(struct guest_frame *frame)
{
	note_event(frame);
	seen.dr6 = read_dr6();
	write_dr6(DR6_RESET);
	frame->rip += 3;	/* mov %dr0, %rax */
}

static void general_detect(u64 arg)
{
	guest_handle(DB_VECTOR, note_general_detect);
	forget_events();
	write_dr7(DR7_RESET | DR7_GD);
	asm volatile("mov %%dr0, %%rax" : : : "rax", "memory");
	GUEST_EQ(seen.count, 1);
	GUEST_EQ(seen.dr6 & BIT_ULL(13), BIT_ULL(13));
	GUEST_EQ(read_dr7() & DR7_GD, 0);
	guest_done();
}

TEST_F(events, general_detect)
{
	vcpu_start_long(self->vcpu, general_detect, 0);
	guest_run_done(self->vcpu);
}

/*
 * A fault pushes RF set, so that a breakpoint on the instruction has been heard when
 * it comes again; also a fault that the module raises. What it raises behind an
 * instruction, a step, has RF clear.
 */
static __guest_irq void note_and_resume(struct guest_frame *frame)
{
	note_event(frame);
	frame->rip = seen.resume;
}

#define EXPECT_RF(insn, rax, rcx, rdx)					\
do {									\
	u64 __want, __a = (rax), __c = (rcx), __d = (rdx);		\
									\
	forget_events();						\
	asm volatile("lea 775f(%%rip), %0\n"				\
		     "mov %0, %1\n"					\
		     "lea 774f(%%rip), %0\n"				\
		     "774: " insn "\n775: nop\n"			\
		     : "=&r"(__want), "=m"(seen.resume), "+a"(__a),	\
		       "+c"(__c), "+d"(__d) : : "memory", "cc");	\
	GUEST_EQ(seen.count, 1);					\
	GUEST_EQ(seen.rip, __want);					\
	GUEST_EQ(seen.flags & RFLAGS_RF, RFLAGS_RF);			\
} while (0)

static void faults_with_rf(u64 arg)
{
	guest_handle(GP_VECTOR, note_and_resume);
	guest_handle(UD_VECTOR, note_and_resume);
	EXPECT_RF("ud2", 0, 0, 0);		/* the CPU's own, to compare with */
	EXPECT_RF("rdmsr", 0, 0x12345, 0);
	EXPECT_RF("wrmsr", 0, 0x12345, 0);
	EXPECT_RF("rdpmc", 0, 0, 0);
	EXPECT_RF("mov %%rax, %%cr4", 1ULL << 63, 0, 0);
	EXPECT_RF("mov %%rax, %%cr8", 16, 0, 0);
	EXPECT_RF("mov %%rax, %%dr7", 1ULL << 32, 0, 0);
	EXPECT_RF("vmxoff", 0, 0, 0);

	guest_handle(DB_VECTOR, note_and_resume);
	write_dr7(DR7_RESET | DR7_GD);
	EXPECT_RF("mov %%dr0, %%rax", 0, 0, 0);
	guest_done();
}

TEST_F(events, faults_push_rf)
{
	vcpu_start_long(self->vcpu, faults_with_rf, 0);
	guest_run_done(self->vcpu);
}

/*
 * A step ends with each iteration of a string instruction, and has RF set before the
 * last. The first round only touches memory, see single_steps().
 */
#define REP_TIMES	3

static __attribute__((noipa)) void step_into_rep(bool check)
{
	u64 want, count = REP_TIMES, to = MMIO;

	forget_events();
	asm volatile("lea 774f(%%rip), %0\n" PUSH_BEGIN
		     "pushfq\norl $0x100, (%%rsp)\npopfq\n"
		     "774: rep stosb\nnop\n" PUSH_END
		     : "=&r"(want), "+c"(count), "+D"(to) : "a"(0) : "memory", "cc");
	GUEST_EQ(count, 0);
	GUEST_EQ(to, MMIO + REP_TIMES);
	if (!check)
		return;
	GUEST_EQ(seen.count, 1);
	GUEST_EQ(seen.rip, want);
	GUEST_EQ(seen.dr6 & (DR6_BS | 0xf), DR6_BS);
	GUEST_EQ(seen.flags & RFLAGS_RF, RFLAGS_RF);
}

static void rep_steps(u64 arg)
{
	guest_handle(DB_VECTOR, note_debug);
	step_into_rep(false);
	step_into_rep(true);
	guest_done();
}

TEST_F(events, single_step_of_rep)
{
	int i;

	vcpu_start_long(self->vcpu, rep_steps, 0);
	for (i = 0; i < 2 * REP_TIMES; i++) {
		vcpu_run_complete(self->vcpu, LODGE_EXIT_MMIO, 0);
		ASSERT_EQ(MMIO + i % REP_TIMES, self->vcpu->run->exit.mmio.gpa);
	}
	guest_run_done(self->vcpu);
}

/* A debug exception clears DEBUGCTL.BTF: whoever steps by branch asks each time. */
static void branch_step_once(u64 arg)
{
	u64 value;

	guest_handle(DB_VECTOR, note_general_detect);
	forget_events();
	wrmsr(MSR_DEBUGCTL, DEBUGCTL_BTF);
	GUEST_EQ(guest_try_rdmsr(MSR_DEBUGCTL, &value), NO_TRAP);
	GUEST_EQ(value, DEBUGCTL_BTF);
	write_dr7(DR7_RESET | DR7_GD);
	asm volatile("mov %%dr0, %%rax" : : : "rax", "memory");
	GUEST_EQ(seen.count, 1);
	GUEST_EQ(guest_try_rdmsr(MSR_DEBUGCTL, &value), NO_TRAP);
	GUEST_EQ(value, 0);
	guest_done();
}

TEST_F(events, branch_step_once)
{
	vcpu_start_long(self->vcpu, branch_step_once, 0);
	guest_run_done(self->vcpu);
}

/* ------------------------------------------------------------------ shadows */

static __guest_irq void note_irq(struct guest_frame *frame)
{
	note_event(frame);
	guest_eoi();
}

/* A pending interrupt comes behind the one emulated instruction after STI. */
#define STI_THEN(insn)							\
do {									\
	u64 __want;							\
	u32 __a = 0, __c = MSR_APIC_BASE, __d = 0;			\
									\
	forget_events();						\
	guest_send_ipi(0, APIC_DEST_SELF | IRQ_VECTOR);			\
	asm volatile("lea 777f(%%rip), %0\n"				\
		     "sti\n" insn "\n"					\
		     "777: nop\nnop\ncli\n"				\
		     : "=&r"(__want), "+a"(__a), "+c"(__c), "+d"(__d)	\
		     : "S"(MMIO) : "rbx", "memory", "cc");		\
	GUEST_EQ(seen.count, 1);					\
	GUEST_EQ(seen.rip, __want);					\
} while (0)

static void sti_shadows(u64 arg)
{
	guest_handle(IRQ_VECTOR, note_irq);
	guest_apic_enable();
	STI_THEN("nop");
	STI_THEN("cpuid");
	STI_THEN("rdmsr");
	STI_THEN("vmcall");
	STI_THEN("inl $0xf0, %%eax");
	STI_THEN("movl (%%rsi), %%eax");
	STI_THEN("hlt");
	guest_done();
}

TEST_F(events, sti_shadow)
{
	vcpu_start_long(self->vcpu, sti_shadows, 0);
	vcpu_run_complete(self->vcpu, LODGE_EXIT_PIO, 0);
	ASSERT_EQ(IO_PORT, self->vcpu->run->exit.pio.port);
	vcpu_run_complete(self->vcpu, LODGE_EXIT_MMIO, 0);
	guest_run_done(self->vcpu);
}

static void mov_ss_shadow(u64 arg)
{
	u64 want;

	guest_handle(IRQ_VECTOR, note_irq);
	guest_apic_enable();
	forget_events();
	guest_send_ipi(0, APIC_DEST_SELF | IRQ_VECTOR);
	asm volatile("lea 778f(%%rip), %0\n"
		     "mov %%ss, %%esi\n"
		     "sti\n"
		     "mov %%esi, %%ss\n"	/* its shadow follows STI's */
		     "cpuid\n"
		     "778: nop\nnop\ncli\n"
		     : "=&D"(want) : "a"(0)
		     : "rbx", "rcx", "rdx", "rsi", "memory", "cc");
	GUEST_EQ(seen.count, 1);
	GUEST_ASSERT(seen.rip <= want);
	guest_done();
}

TEST_F(events, mov_ss_shadow)
{
	vcpu_start_long(self->vcpu, mov_ss_shadow, 0);
	guest_run_done(self->vcpu);
}

/* --------------------------------------------------------------------- NMI */

static void nmis_before(u64 arg)
{
	guest_handle(NMI_VECTOR, note_event);
	guest_sync(1);
	guest_delay(1000);
	guest_value(seen.count);
	guest_done();
}

/* One in service, one behind it, the rest lost; as in hardware. */
TEST_F(events, nmi_twice)
{
	vcpu_start_long(self->vcpu, nmis_before, 0);
	guest_run_sync(self->vcpu, 1);
	vcpu_nmi(self->vcpu);
	vcpu_nmi(self->vcpu);
	vcpu_nmi(self->vcpu);
	ASSERT_EQ(2, guest_run_value(self->vcpu));
	guest_run_done(self->vcpu);
}

static u64 nmi_depth, nmi_deepest;

static __guest_irq void slow_nmi(struct guest_frame *frame)
{
	note_event(frame);
	nmi_depth++;
	if (nmi_depth > nmi_deepest)
		nmi_deepest = nmi_depth;
	if (seen.count == 1)
		guest_sync(2);		/* the host sends another */
	cpuid(0, 0);
	nmi_depth--;
}

static void nmi_in_nmi(u64 arg)
{
	guest_handle(NMI_VECTOR, slow_nmi);
	guest_sync(1);
	guest_delay(1000);
	GUEST_EQ(seen.count, 2);
	GUEST_EQ(nmi_deepest, 1);
	guest_sync(3);
	guest_delay(1000);
	GUEST_EQ(seen.count, 3);	/* IRET unblocked them for good */
	guest_done();
}

TEST_F(events, nmi_blocked_until_iret)
{
	struct lodge_vcpu_state s = {};

	vcpu_start_long(self->vcpu, nmi_in_nmi, 0);
	guest_run_sync(self->vcpu, 1);
	vcpu_nmi(self->vcpu);
	guest_run_sync(self->vcpu, 2);
	vcpu_get(self->vcpu, &s, LODGE_STATE_EVENTS);
	ASSERT_TRUE(s.events.flags & LODGE_EV_NMI_MASKED);
	ASSERT_FALSE(s.events.flags & LODGE_EV_NMI_PENDING);
	vcpu_nmi(self->vcpu);
	vcpu_get(self->vcpu, &s, LODGE_STATE_EVENTS);
	ASSERT_TRUE(s.events.flags & LODGE_EV_NMI_PENDING);
	guest_run_sync(self->vcpu, 3);
	vcpu_get(self->vcpu, &s, LODGE_STATE_EVENTS);
	ASSERT_FALSE(s.events.flags & (LODGE_EV_NMI_MASKED | LODGE_EV_NMI_PENDING));
	vcpu_nmi(self->vcpu);
	guest_run_done(self->vcpu);
}

/* ---------------------------------------------------------------- injection */

static const struct {
	u32 vector;
	u32 flags;
	u32 code;
	u64 address;
} injected[] = {
	{ UD_VECTOR, 0, 0, 0 },
	{ DE_VECTOR, 0, 0, 0 },
	{ NM_VECTOR, 0, 0, 0 },
	{ GP_VECTOR, LODGE_INJECT_F_CODE, 0, 0 },
	{ GP_VECTOR, LODGE_INJECT_F_CODE, 0x1234, 0 },
	{ SS_VECTOR, LODGE_INJECT_F_CODE, 8, 0 },
	{ NP_VECTOR, LODGE_INJECT_F_CODE, 0x10, 0 },
	{ PF_VECTOR, LODGE_INJECT_F_CODE, PF_WRITE, 0xdeadbeef000ULL },
	{ AC_VECTOR, LODGE_INJECT_F_CODE, 0, 0 },
	{ XM_VECTOR, 0, 0, 0 },
};

static void take_injected(u64 nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		guest_handle(injected[i].vector, note_event);
		forget_events();
		guest_sync(i);
		GUEST_EQ(seen.count, 1);
		GUEST_EQ(seen.error, injected[i].code);
		GUEST_EQ(seen.flags & RFLAGS_RF, RFLAGS_RF);
		if (injected[i].address)
			GUEST_EQ(seen.cr2, injected[i].address);
		guest_handle(injected[i].vector, NULL);
	}
	guest_done();
}

TEST_F(events, inject_exception)
{
	struct lodge_inject inject;
	size_t i;

	vcpu_start_long(self->vcpu, take_injected, ARRAY_SIZE(injected));
	for (i = 0; i < ARRAY_SIZE(injected); i++) {
		guest_run_sync(self->vcpu, i);
		inject = (struct lodge_inject) {
			.kind = LODGE_INJECT_EXCEPTION, .vector = injected[i].vector,
			.flags = injected[i].flags, .code = injected[i].code,
			.address = injected[i].address,
		};
		ASSERT_EQ(0, vcpu_try_inject(self->vcpu, inject));
		ASSERT_EQ(-EBUSY, vcpu_try_inject(self->vcpu, inject));
	}
	guest_run_done(self->vcpu);
}

static const struct lodge_inject bad_injects[] = {
	{ .kind = 0 },
	{ .kind = 3 },
	{ .kind = LODGE_INJECT_NMI, .flags = 2 },
	{ .kind = LODGE_INJECT_NMI, .vector = 2 },
	{ .kind = LODGE_INJECT_EXCEPTION, .vector = 32 },
	{ .kind = LODGE_INJECT_EXCEPTION, .vector = 255 },
	{ .kind = LODGE_INJECT_EXCEPTION, .vector = ~0U },
	{ .kind = LODGE_INJECT_EXCEPTION, .vector = UD_VECTOR, .address = 1 },
	{ .kind = LODGE_INJECT_EXCEPTION, .vector = UD_VECTOR, .flags = 4 },
};

static void nothing_comes(u64 arg)
{
	guest_sync(1);
	cpuid(0, 0);
	guest_done();
}

TEST_F(events, inject_bad)
{
	size_t i;

	vcpu_start_long(self->vcpu, nothing_comes, 0);
	guest_run_sync(self->vcpu, 1);
	for (i = 0; i < ARRAY_SIZE(bad_injects); i++) {
		EXPECT_EQ(-EINVAL, vcpu_try_inject(self->vcpu, bad_injects[i]))
			TH_LOG("row %zu", i);
	}
	guest_run_done(self->vcpu);
}

/* ------------------------------------- delivery that an EPT fault breaks off */

/* Nothing of low memory is in the EPT any more, its contents are all there. */
static void forget_low_memory(struct vm *vm)
{
	struct lodge_mem_op ops[] = {
		{ .op = LODGE_MEM_UNMAP, .gpa = 0, .len = LOW_SIZE },
		{ .op = LODGE_MEM_MAP, .gpa = 0, .len = LOW_SIZE,
		  .hva = (uintptr_t)vm->low },
	};
	int ret = vm_try_update(vm, ops, ARRAY_SIZE(ops), NULL);

	if (ret)
		test_fail("remap: %s", strerror(-ret));
}

enum { SYNC_PLAIN = 1, SYNC_IRQ, SYNC_NMI, SYNC_EXCEPTION };

/* No memory access between the two but those of the delivery itself. */
#define LOST_AND_FOUND(insn, label)					\
do {									\
	u64 __want;							\
									\
	forget_events();						\
	asm volatile("lea " label "f(%%rip), %0\n"			\
		     "outl %%eax, %%dx\n"				\
		     "774: " insn "\n775: nop\n"			\
		     : "=&r"(__want)					\
		     : "a"(GUEST_CALL_SYNC), "d"(GUEST_PORT), "D"(SYNC_PLAIN)\
		     : "memory", "cc");					\
	GUEST_EQ(seen.count, 1);					\
	GUEST_EQ(seen.rip, __want);					\
} while (0)

static void expect_one(u64 sync)
{
	forget_events();
	guest_sync(sync);
	asm volatile("sti\nnop\nnop\ncli" : : : "memory");
	GUEST_EQ(seen.count, 1);
}

static void lost_deliveries(u64 arg)
{
	guest_handle(BP_VECTOR, note_event);
	guest_handle(SOFT_VECTOR, note_event);
	guest_handle(UD_VECTOR, note_fault);
	guest_handle(IRQ_VECTOR, note_irq);
	guest_handle(NMI_VECTOR, note_event);
	guest_handle(GP_VECTOR, note_event);
	guest_apic_enable();

	LOST_AND_FOUND("int3", BEHIND_INSN);
	LOST_AND_FOUND("int $0x50", BEHIND_INSN);
	LOST_AND_FOUND("ud2", AT_INSN);
	expect_one(SYNC_IRQ);
	expect_one(SYNC_NMI);
	expect_one(SYNC_NMI);
	expect_one(SYNC_EXCEPTION);
	GUEST_EQ(seen.error, 0x58);
	guest_done();
}

TEST_F(events, lost_and_found)
{
	struct lodge_inject gp = {
		.kind = LODGE_INJECT_EXCEPTION, .vector = GP_VECTOR,
		.flags = LODGE_INJECT_F_CODE, .code = 0x58,
	};
	struct guest_msg msg;

	vcpu_start_long(self->vcpu, lost_deliveries, 0);
	for (msg = guest_run(self->vcpu); msg.nr == GUEST_CALL_SYNC;
	     msg = guest_run(self->vcpu)) {
		if (msg.arg[0] == SYNC_IRQ)
			vm_irq(self->vm, 0, IRQ_VECTOR);
		else if (msg.arg[0] == SYNC_NMI)
			vcpu_nmi(self->vcpu);
		else if (msg.arg[0] == SYNC_EXCEPTION)
			ASSERT_EQ(0, vcpu_try_inject(self->vcpu, gp));
		forget_low_memory(self->vm);
	}
	ASSERT_EQ(GUEST_CALL_DONE, msg.nr);
}

TEST_HARNESS_MAIN
