// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that leave the guest, by exit reason: those lodge answers by
 * itself, those the guest must see fail, and those that end RUN.
 * PIO and MMIO have programs of their own, so do MSRs and interrupts.
 */
#include "vm.h"
#include "kselftest_harness.h"

/* Basic exit reasons (SDM 3D appendix C). */
#define HW_TRIPLE_FAULT		2
#define HW_TASK_SWITCH		9
#define HW_CPUID		10
#define HW_HLT			12
#define HW_RDTSC		16
#define HW_INVALID_STATE	33

#define IRQ_VECTOR		0x41
#define TSC_READS		100

static u64 tsc_values[2];
static u32 host_says;

FIXTURE(exits)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(exits)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(exits)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static void run_guest(struct vcpu *vcpu, void (*fn)(u64 arg))
{
	vcpu_start_long(vcpu, fn, 0);
	guest_run_done(vcpu);
}

/* -------------------------------------------------- answered by the module */

static void many_cpuids(u64 arg)
{
	struct cpuid_regs r;
	int i;

	for (i = 0; i < 10; i++)
		r = cpuid(0, 0);
	GUEST_ASSERT(r.ebx && r.ecx && r.edx);
	guest_done();
}

TEST_F(exits, cpuid)
{
	u64 before = vcpu_stats(self->vcpu).hw[HW_CPUID];

	run_guest(self->vcpu, many_cpuids);
	ASSERT_EQ(before + 10, vcpu_stats(self->vcpu).hw[HW_CPUID]);
}

/* The upper halves of the four registers read as zero. */
static void wide_cpuid(u64 arg)
{
	u64 a = ~0xffffffffULL, b = ~0ULL, c = ~0xffffffffULL, d = ~0ULL;

	asm volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
	GUEST_EQ((a | b | c | d) >> 32, 0);
	guest_done();
}

TEST_F(exits, cpuid_width)
{
	run_guest(self->vcpu, wide_cpuid);
}

static void many_rdtscs(u64 arg)
{
	u64 last = read_tsc(), now;
	int i;

	tsc_values[0] = last;
	for (i = 0; i < TSC_READS; i++) {
		now = read_tsc();
		GUEST_ASSERT(now > last);
		last = now;
	}
	tsc_values[1] = last;
	guest_done();
}

TEST_F(exits, rdtsc_does_not_exit)
{
	run_guest(self->vcpu, many_rdtscs);
	ASSERT_EQ(0, vcpu_stats(self->vcpu).hw[HW_RDTSC]);
	ASSERT_LT(tsc_values[0], tsc_values[1]);
}

/* What a KVM guest expects of a call nobody knows: -KVM_ENOSYS. */
static void unknown_vmcall(u64 arg)
{
	u64 rax = 0x1234, rbx = 1, rcx = 2, rdx = 3, rsi = 4;

	asm volatile("vmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx), "+S"(rsi)
		     : : "memory");
	GUEST_EQ(rax, -1000ULL);
	GUEST_EQ(rbx, 1);
	GUEST_EQ(rcx, 2);
	GUEST_EQ(rdx, 3);
	GUEST_EQ(rsi, 4);
	guest_done();
}

TEST_F(exits, vmcall)
{
	run_guest(self->vcpu, unknown_vmcall);
}

static void cache_flushes(u64 arg)
{
	u64 v = 0x5a5a;

	asm volatile("wbinvd" : : : "memory");
	/* A guest's INVD must not lose anybody's memory. */
	asm volatile("movq $0x1111, %0\ninvd" : "+m"(v) : : "memory");
	GUEST_EQ(v, 0x1111);
	guest_done();
}

TEST_F(exits, wbinvd_invd)
{
	run_guest(self->vcpu, cache_flushes);
}

static void good_xsetbv(u64 arg)
{
	u64 mask = cpuid(0xd, 0).eax;

	GUEST_EQ(guest_try_xsetbv(0, 1), UD_VECTOR);	/* CR4.OSXSAVE is off */
	write_cr4(read_cr4() | CR4_OSXSAVE);
	GUEST_EQ(guest_try_xsetbv(0, mask), NO_TRAP);
	GUEST_EQ(xgetbv(0), mask);
	GUEST_EQ(guest_try_xsetbv(0, XCR0_X87), NO_TRAP);
	GUEST_EQ(xgetbv(0), XCR0_X87);

	GUEST_EQ(guest_try_xsetbv(0, 0), GP_VECTOR);
	GUEST_EQ(guest_try_xsetbv(0, XCR0_SSE), GP_VECTOR);
	GUEST_EQ(guest_try_xsetbv(0, XCR0_X87 | XCR0_AVX), GP_VECTOR);
	GUEST_EQ(guest_try_xsetbv(0, mask | BIT_ULL(62)), GP_VECTOR);
	GUEST_EQ(guest_try_xsetbv(1, XCR0_X87), GP_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(xgetbv(0), XCR0_X87);
	guest_done();
}

TEST_F(exits, xsetbv)
{
	if (!(guest_cpuid(1, 0, 2) & BIT_ULL(26)))
		SKIP(return, "no XSAVE for guests");
	run_guest(self->vcpu, good_xsetbv);
}

static void descriptor_stores(u64 arg)
{
	u64 tr = 0, ldt = ~0ULL, msw;

	GUEST_EQ(read_gdt().base, GPA_GDT);
	GUEST_EQ(read_gdt().limit, GDT_LIMIT);
	GUEST_EQ(read_idt().base, GPA_IDT);
	GUEST_EQ(read_idt().limit, 0xfff);
	asm volatile("str %0" : "+r"(tr));
	GUEST_EQ(tr, SEL_TSS);
	asm volatile("sldt %0" : "+r"(ldt));
	GUEST_EQ(ldt, 0);
	asm volatile("smsw %0" : "=r"(msw));
	GUEST_EQ(msw & 0xffff, read_cr0() & 0xffff);
	write_gdt(GPA_GDT, GDT_LIMIT - 16);
	write_idt(GPA_IDT, 0xffe);
	GUEST_EQ(read_gdt().limit, GDT_LIMIT - 16);
	GUEST_EQ(read_idt().limit, 0xffe);
	guest_done();
}

TEST_F(exits, descriptor_tables)
{
	run_guest(self->vcpu, descriptor_stores);
}

/* -------------------------------------------------------- refused to guests */

#define EXPECT_UD(insn)		GUEST_EQ(guest_try(insn, : : "r"(&scratch), "a"(0ULL)	\
					 : "memory", "cc"), UD_VECTOR)

static void vmx_instructions(u64 arg)
{
	u64 scratch[2] = {};

	write_cr4(read_cr4() & ~CR4_VMXE);
	EXPECT_UD("vmxon (%0)");
	EXPECT_UD("vmxoff");
	EXPECT_UD("vmclear (%0)");
	EXPECT_UD("vmptrld (%0)");
	EXPECT_UD("vmptrst (%0)");
	EXPECT_UD("vmread %1, %1");
	EXPECT_UD("vmwrite %1, %1");
	EXPECT_UD("vmlaunch");
	EXPECT_UD("vmresume");
	EXPECT_UD("invept (%0), %1");
	EXPECT_UD("invvpid (%0), %1");
	EXPECT_UD(".byte 0x0f, 0x01, 0xd4");	/* vmfunc */
	GUEST_EQ(guest_try_cr4(read_cr4() | CR4_VMXE), GP_VECTOR);
	guest_done();
}

TEST_F(exits, vmx_instructions)
{
	run_guest(self->vcpu, vmx_instructions);
}

static void other_refusals(u64 arg)
{
	u64 scratch[2] = {};

	EXPECT_UD("ud2");
	EXPECT_UD(".byte 0x0f, 0x37");		/* getsec */
	EXPECT_UD(".byte 0x0f, 0xaa");		/* rsm */
	EXPECT_UD(".byte 0x0f, 0x01, 0xcf");	/* encls */
	if (!(cpuid(1, 0).ecx & BIT_ULL(3))) {
		EXPECT_UD(".byte 0x0f, 0x01, 0xc8");	/* monitor */
		EXPECT_UD(".byte 0x0f, 0x01, 0xc9");	/* mwait */
	}
	GUEST_EQ(guest_try("rdpmc", : : "c"(0) : "rax", "rdx"), GP_VECTOR);
	guest_done();
}

TEST_F(exits, refused)
{
	run_guest(self->vcpu, other_refusals);
}

/* ------------------------------------------------------------------- HLT */

static void wait_for_irq(u64 arg)
{
	u64 *count = &this_guest_cpu()->interrupts[IRQ_VECTOR];

	guest_handle(IRQ_VECTOR, guest_count_irq);
	guest_apic_enable();
	guest_sync(1);
	while (!READ_ONCE(*count))
		irq_wait();
	GUEST_EQ(*count, 1);
	guest_done();
}

/* HLT blocks in the kernel, and an interrupt wakes it. */
TEST_F(exits, hlt)
{
	pthread_t thread;
	u64 halts;

	vcpu_start_long(self->vcpu, wait_for_irq, 0);
	guest_run_sync(self->vcpu, 1);
	halts = vcpu_stats(self->vcpu).halts;
	thread = guest_thread(self->vcpu);
	wait_until(vcpu_stats(self->vcpu).halts > halts);
	vm_irq(self->vm, 0, IRQ_VECTOR);
	join(thread);
	ASSERT_GT(vcpu_stats(self->vcpu).hw[HW_HLT], 0);
}

/* An interrupt that is there before: HLT does not sleep. */
static void hlt_after_irq(u64 arg)
{
	guest_handle(IRQ_VECTOR, guest_count_irq);
	guest_apic_enable();
	guest_sync(1);
	irq_wait();
	GUEST_EQ(this_guest_cpu()->interrupts[IRQ_VECTOR], 1);
	guest_done();
}

TEST_F(exits, hlt_with_pending_irq)
{
	vcpu_start_long(self->vcpu, hlt_after_irq, 0);
	guest_run_sync(self->vcpu, 1);
	vm_irq(self->vm, 0, IRQ_VECTOR);
	guest_run_done(self->vcpu);
}

static void count_nmi(u64 arg)
{
	guest_handle(NMI_VECTOR, guest_count_only);
	guest_sync(1);
	asm volatile("cli\nhlt" : : : "memory");
	GUEST_EQ(this_guest_cpu()->interrupts[NMI_VECTOR], 1);
	guest_done();
}

/* With interrupts off only an NMI ends HLT. */
TEST_F(exits, hlt_wakes_by_nmi)
{
	pthread_t thread;
	u64 halts;

	vcpu_start_long(self->vcpu, count_nmi, 0);
	guest_run_sync(self->vcpu, 1);
	halts = vcpu_stats(self->vcpu).halts;
	thread = guest_thread(self->vcpu);
	wait_until(vcpu_stats(self->vcpu).halts > halts);
	vcpu_nmi(self->vcpu);
	join(thread);
}

/* ------------------------------------------------------------- ends of RUN */

static void triple_fault(u64 arg)
{
	write_idt(0, 0);
	asm volatile("ud2");
}

TEST_F(exits, triple_fault)
{
	vcpu_start_long(self->vcpu, triple_fault, 0);
	vcpu_run_until(self->vcpu, LODGE_EXIT_SHUTDOWN);
	ASSERT_EQ(1, vcpu_stats(self->vcpu).hw[HW_TRIPLE_FAULT]);
}

/* A shut-down vCPU can be set up again. */
TEST_F(exits, again_after_shutdown)
{
	vcpu_start_long(self->vcpu, triple_fault, 0);
	vcpu_run_until(self->vcpu, LODGE_EXIT_SHUTDOWN);
	run_guest(self->vcpu, many_cpuids);
}

GUEST_ASM(task_switch, .code32,
	  "ljmp $0x60, $0");

TEST_F(exits, task_switch)
{
	u64 *gdt = (u64 *)(self->vm->low + GPA_GDT);
	struct lodge_exit *e;

	gdt[0x60 / 8] = (gdt[0x60 / 8] & ~(0xfULL << 40)) | 9ULL << 40;
	vm_put_code(self->vm, GPA_CODE, task_switch, guest_asm_size(task_switch));
	vcpu_start_protected(self->vcpu, GPA_CODE);
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_UNHANDLED);
	ASSERT_EQ(HW_TASK_SWITCH, e->unhandled.hw_reason & 0xffff);
	ASSERT_EQ(0x60, e->unhandled.qualification & 0xffff);
	ASSERT_EQ(GPA_CODE, e->rip);
	ASSERT_TRUE(e->flags & LODGE_EXIT_F_BYTES);
	ASSERT_EQ(0, memcmp(e->insn, task_switch, guest_asm_size(task_switch)));
}

/* Guest states that no CPU enters: refused by SET_STATE, or named by RUN. */
static void bad_rflags(struct lodge_vcpu_state *s)
{
	s->gprs.rflags |= RFLAGS_VM;		/* virtual 8086 in long mode */
}

static void bad_cs_type(struct lodge_vcpu_state *s)
{
	s->sregs.seg[LODGE_SEG_CS].attrs = SEG_DATA & ~1;
}

static void bad_cs_d_and_l(struct lodge_vcpu_state *s)
{
	s->sregs.seg[LODGE_SEG_CS].attrs |= 0x4000;
}

static void bad_tr(struct lodge_vcpu_state *s)
{
	s->sregs.seg[LODGE_SEG_TR].unusable = 1;
}

static void bad_tr_type(struct lodge_vcpu_state *s)
{
	s->sregs.seg[LODGE_SEG_TR].attrs = 0x82;
}

static void bad_granularity(struct lodge_vcpu_state *s)
{
	s->sregs.seg[LODGE_SEG_DS].limit = 0x12345678;
}

static void bad_rip(struct lodge_vcpu_state *s)
{
	s->gprs.rip = 0x123456789ULL;		/* with CS.L clear */
	s->sregs.seg[LODGE_SEG_CS].attrs = SEG_CODE32;
}

static const struct {
	const char *name;
	void (*spoil)(struct lodge_vcpu_state *s);
} bad_states[] = {
	{ "RFLAGS.VM in long mode", bad_rflags },
	{ "CS is not code", bad_cs_type },
	{ "CS.D with CS.L", bad_cs_d_and_l },
	{ "TR unusable", bad_tr },
	{ "TR not a TSS", bad_tr_type },
	{ "limit without G", bad_granularity },
	{ "RIP wide in compatibility mode", bad_rip },
};

#define BAD_GROUPS	(LODGE_STATE_GPRS | LODGE_STATE_SREGS | LODGE_STATE_CRS)

TEST_F(exits, invalid_state)
{
	struct lodge_vcpu_state s;
	struct lodge_exit *e;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(bad_states); i++) {
		TH_LOG("%s", bad_states[i].name);
		vcpu_start_long(self->vcpu, many_cpuids, 0);
		memset(&s, 0, sizeof(s));
		vcpu_get(self->vcpu, &s, BAD_GROUPS);
		bad_states[i].spoil(&s);
		ret = vcpu_try_set(self->vcpu, &s, BAD_GROUPS);
		if (ret) {
			ASSERT_EQ(-EINVAL, ret);
			ASSERT_TRUE(s.bad_groups & (LODGE_STATE_GPRS | LODGE_STATE_SREGS));
			continue;
		}
		e = vcpu_run_until(self->vcpu, LODGE_EXIT_FAIL_ENTRY);
		if ((e->fail.hw_reason & 0xffff) != HW_INVALID_STATE || !e->fail.text[0])
			vcpu_fail(self->vcpu, "%s: not a refused entry", bad_states[i].name);
		ASSERT_NE(NULL, memchr(e->fail.text, '\0', sizeof(e->fail.text)));
		TH_LOG("  %s", e->fail.text);
	}
	/* None of that spoils what comes after. */
	run_guest(self->vcpu, many_cpuids);
}

/* ------------------------------------------------- what every return carries */

static void three_syncs(u64 arg)
{
	guest_sync(1);
	guest_value(READ_ONCE(host_says));
	guest_done();
}

TEST_F(exits, sequence)
{
	struct lodge_exit *e = &self->vcpu->run->exit;
	u64 seq;

	ASSERT_EQ(LODGE_EXIT_NONE, e->reason);
	ASSERT_EQ(0, e->seq);
	ASSERT_GE(self->vcpu->run->size, sizeof(struct lodge_run));
	vcpu_start_long(self->vcpu, three_syncs, 0);
	guest_run_sync(self->vcpu, 1);
	seq = e->seq;
	ASSERT_GE(seq, 1);
	WRITE_ONCE(host_says, 77);
	ASSERT_EQ(77, guest_run_value(self->vcpu));
	ASSERT_GT(e->seq, seq);
	guest_run_done(self->vcpu);
	ASSERT_GE(vcpu_stats(self->vcpu).user_exits, 3);
	ASSERT_GE(vcpu_stats(self->vcpu).exits, 3);
	ASSERT_GT(vcpu_stats(self->vcpu).guest_tsc, 0);
	ASSERT_GT(vcpu_stats(self->vcpu).ept_mapped, 0);
}

/* Only what is wanted is valid, and all that is wanted. */
TEST_F(exits, wanted_and_valid)
{
	struct lodge_run *run = self->vcpu->run;

	vcpu_start_long(self->vcpu, three_syncs, 0);
	guest_run_sync(self->vcpu, 1);
	ASSERT_EQ(LODGE_STATE_GPRS, run->wanted);
	ASSERT_EQ(LODGE_STATE_GPRS, run->valid & LODGE_STATE_GPRS);
	run->wanted = LODGE_STATE_SHARED;
	guest_run_value(self->vcpu);
	ASSERT_EQ(LODGE_STATE_SHARED, run->valid);
	ASSERT_EQ(GPA_TABLES, run->crs.cr3);
	ASSERT_EQ(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX, run->crs.efer);
	ASSERT_EQ(SEL_CODE64, run->sregs.seg[LODGE_SEG_CS].selector);
	ASSERT_EQ(SEG_CODE64, run->sregs.seg[LODGE_SEG_CS].attrs);
	ASSERT_EQ(GPA_GDT, run->sregs.gdt.base);
	ASSERT_EQ(GPA_IDT, run->sregs.idt.base);
	ASSERT_EQ(DR7_RESET, run->drs.dr7);
	ASSERT_EQ(LODGE_MP_RUNNABLE, run->events.mp_state);
	ASSERT_EQ(run->exit.rip, run->gprs.rip);
}

TEST_HARNESS_MAIN
