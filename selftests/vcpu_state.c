// SPDX-License-Identifier: GPL-2.0
/*
 * Register groups: what is set is what is read, by call and by page, while the
 * guest runs, and in another VM; and what is wrong changes nothing.
 */
#include "state.h"
#include "kselftest_harness.h"

FIXTURE(state)
{
	struct vm *vm;
	struct vcpu *vcpu;
	struct full_state *full;
};

static void say_done(u64 arg)
{
	guest_sync(1);
	guest_done();
}

FIXTURE_SETUP(state)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_at(self->vm, 0, say_done, 0);
	self->full = aligned_alloc(64, sizeof(*self->full));
	state_prepare(self->full);
}

FIXTURE_TEARDOWN(state)
{
	free(self->full);
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

/* ------------------------------------------------------------- what is set is read */

/* Values that tell each member from every other. */
static void put_distinct(struct lodge_vcpu_state *s)
{
	int i;

	for (i = 0; i < 16; i++)
		s->gprs.reg[i] = 0x1111111111111111ULL * i + 5;
	s->gprs.rip = 0x7fff12345678ULL;
	s->gprs.rflags = RFLAGS_ONE | RFLAGS_CF | RFLAGS_IF | RFLAGS_AC;
	for (i = 0; i < 6; i++)
		s->sregs.seg[i].selector = SEL_DATA;
	s->sregs.seg[LODGE_SEG_CS].selector = SEL_CODE64;
	s->sregs.seg[LODGE_SEG_FS].base = 0x7ffff0001000ULL;
	s->sregs.seg[LODGE_SEG_GS].base = 0xffff888000001000ULL;
	s->sregs.gdt.base = 0xffff800000002000ULL;
	s->sregs.gdt.limit = 0x7f;
	s->sregs.idt.base = 0x5000;
	s->sregs.idt.limit = 0x1ff;
	s->crs.cr2 = 0x123456789abcULL;
	s->crs.cr3 = 0x345000;
	s->crs.cr4 |= CR4_PSE | CR4_DE;
	s->crs.cr8 = 9;
	for (i = 0; i < 4; i++)
		s->drs.dr[i] = 0x1000 * (i + 1);
	s->drs.dr6 = DR6_RESET | 5;
	s->drs.dr7 = DR7_RESET | 0x2;
	s->events.flags = LODGE_EV_NMI_PENDING | LODGE_EV_NMI_MASKED;
	s->events.mp_state = LODGE_MP_HALTED;
}

static void expect_same(struct __test_metadata *_metadata, const struct lodge_vcpu_state *a,
			const struct lodge_vcpu_state *b)
{
	EXPECT_EQ(0, memcmp(&a->gprs, &b->gprs, sizeof(a->gprs)));
	EXPECT_EQ(0, memcmp(&a->sregs, &b->sregs, sizeof(a->sregs)));
	EXPECT_EQ(0, memcmp(&a->crs, &b->crs, sizeof(a->crs)));
	EXPECT_EQ(0, memcmp(&a->drs, &b->drs, sizeof(a->drs)));
	EXPECT_EQ(0, memcmp(&a->events, &b->events, sizeof(a->events)));
}

TEST_F(state, by_call)
{
	struct lodge_vcpu_state a = {}, b = {};

	vcpu_get(self->vcpu, &a, LODGE_STATE_SHARED);
	put_distinct(&a);
	vcpu_set(self->vcpu, &a, LODGE_STATE_SHARED);
	vcpu_get(self->vcpu, &b, LODGE_STATE_SHARED);
	expect_same(_metadata, &a, &b);
}

/* One group alone leaves the others as they were. */
TEST_F(state, one_group)
{
	struct lodge_vcpu_state before = {}, s = {}, after = {};

	vcpu_get(self->vcpu, &before, LODGE_STATE_SHARED);
	vcpu_get(self->vcpu, &s, LODGE_STATE_SHARED);
	put_distinct(&s);
	vcpu_set(self->vcpu, &s, LODGE_STATE_DRS);
	vcpu_get(self->vcpu, &after, LODGE_STATE_SHARED);
	before.drs = s.drs;
	expect_same(_metadata, &before, &after);

	/* GET writes only what was asked for. */
	memset(&s, 0xee, sizeof(s));
	s.flags = 0;
	s.reserved = 0;
	vcpu_get(self->vcpu, &s, LODGE_STATE_CRS);
	ASSERT_EQ(before.crs.cr3, s.crs.cr3);
	ASSERT_EQ(0xeeeeeeeeeeeeeeeeULL, s.gprs.rip);
	ASSERT_EQ(0xeeeeeeeeeeeeeeeeULL, s.drs.dr7);
}

static void show_registers(u64 arg)
{
	GUEST_EQ(read_dr0(), 0x1000);
	GUEST_EQ(read_cr2(), 0x4444);
	GUEST_EQ(read_cr8(), 7);
	GUEST_EQ(arg, 0x5555);
	guest_sync(2);
	guest_done();
}

/* Through the page: RUN takes what is dirty, and gives what is wanted. */
TEST_F(state, by_page)
{
	struct lodge_run *run = self->vcpu->run;

	run->wanted = LODGE_STATE_SHARED;
	guest_run_sync(self->vcpu, 1);
	run->gprs.rip = (uintptr_t)show_registers;
	run->gprs.reg[7] = 0x5555;
	run->gprs.reg[4] = (run->gprs.reg[4] & ~0xfULL) - 8;
	run->drs.dr[0] = 0x1000;
	run->crs.cr2 = 0x4444;
	run->crs.cr8 = 7;
	run->dirty = LODGE_STATE_GPRS | LODGE_STATE_DRS | LODGE_STATE_CRS;
	guest_run_sync(self->vcpu, 2);
	ASSERT_EQ(0, run->dirty);
	ASSERT_EQ(0x1000, run->drs.dr[0]);
	ASSERT_EQ(7, run->crs.cr8);
	guest_run_done(self->vcpu);
}

/* RUN refuses a bad page whole, and says which group it is. */
TEST_F(state, bad_page)
{
	struct lodge_run *run = self->vcpu->run;
	struct lodge_vcpu_state s = {};

	run->wanted = LODGE_STATE_SHARED;
	guest_run_sync(self->vcpu, 1);
	run->gprs.reg[15] = 0x77;
	run->crs.cr4 |= BIT_ULL(63);
	run->dirty = LODGE_STATE_GPRS | LODGE_STATE_CRS;
	ASSERT_EQ(EINVAL, vcpu_run(self->vcpu));
	ASSERT_EQ(LODGE_STATE_CRS, run->dirty);
	vcpu_get(self->vcpu, &s, LODGE_STATE_SHARED);
	ASSERT_NE(0x77, s.gprs.reg[15]);
	ASSERT_EQ(0, s.crs.cr4 & BIT_ULL(63));
}

TEST_F(state, msrs)
{
	static const u32 index[] = { MSR_LSTAR, MSR_KERNEL_GS_BASE, MSR_SYSENTER_EIP };
	struct lodge_msr msrs[3], back[3];
	struct lodge_vcpu_state s = { .nr_msrs = 3 };
	int i;

	for (i = 0; i < 3; i++) {
		msrs[i] = (struct lodge_msr) { index[i], 0, 0x1000 + i };
		back[i] = (struct lodge_msr) { index[i], 0, 0 };
	}
	s.msrs = (uintptr_t)msrs;
	vcpu_set(self->vcpu, &s, LODGE_STATE_MSRS);
	s.msrs = (uintptr_t)back;
	vcpu_get(self->vcpu, &s, LODGE_STATE_MSRS);
	ASSERT_EQ(0, memcmp(msrs, back, sizeof(msrs)));
	guest_run_sync(self->vcpu, 1);
	ASSERT_EQ(0x1001, vcpu_get_msr(self->vcpu, MSR_KERNEL_GS_BASE));
}

TEST_F(state, fpu)
{
	u8 *image = self->full->fpu;
	u64 pattern[2] = { 0x0123456789abcdefULL, 0xfedcba9876543210ULL }, bv = 3;
	u32 mxcsr = 0x1fa0;
	u8 want[MAX_FPU];

	vcpu_get(self->vcpu, &self->full->vcpu, LODGE_STATE_FPU);
	memcpy(image + XSAVE_XMM0, pattern, sizeof(pattern));
	memcpy(image + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	memcpy(image + XSAVE_XSTATE_BV, &bv, sizeof(bv));
	memcpy(want, image, device_info()->fpu_size);
	vcpu_set(self->vcpu, &self->full->vcpu, LODGE_STATE_FPU);
	memset(image, 0xee, sizeof(self->full->fpu));
	vcpu_get(self->vcpu, &self->full->vcpu, LODGE_STATE_FPU);
	ASSERT_EQ(0, memcmp(want + XSAVE_XMM0, image + XSAVE_XMM0, 16));
	ASSERT_EQ(0, memcmp(&mxcsr, image + XSAVE_MXCSR, 4));
	memcpy(&bv, image + XSAVE_XSTATE_BV, sizeof(bv));
	ASSERT_EQ(XCR0_SSE, bv & XCR0_SSE);
}

TEST_F(state, lapic)
{
	struct lodge_lapic *lapic = &self->full->lapic;

	vcpu_get(self->vcpu, &self->full->vcpu, LODGE_STATE_LAPIC);
	ASSERT_EQ(APIC_BASE_ADDR | APIC_BASE_ENABLE | APIC_BASE_BSP, lapic->base);
	lapic->regs[APIC_SVR / 4] = 0x1ff;
	lapic->regs[APIC_TPR / 4] = 0x30;
	lapic->regs[APIC_LVT_LINT0 / 4] = 0x10055;
	vcpu_set(self->vcpu, &self->full->vcpu, LODGE_STATE_LAPIC);
	memset(lapic, 0, sizeof(*lapic));
	vcpu_get(self->vcpu, &self->full->vcpu, LODGE_STATE_LAPIC);
	ASSERT_EQ(0x1ff, lapic->regs[APIC_SVR / 4]);
	ASSERT_EQ(0x30, lapic->regs[APIC_TPR / 4]);
	ASSERT_EQ(0x10055, lapic->regs[APIC_LVT_LINT0 / 4]);
	/* CR8 is the same thing. */
	vcpu_get(self->vcpu, &self->full->vcpu, LODGE_STATE_CRS);
	ASSERT_EQ(3, self->full->vcpu.crs.cr8);
}

/* An event that the program puts in flight arrives first of all. */
static u64 irqs;

static __guest_irq void count_irq(struct guest_frame *frame)
{
	irqs++;
}

static void take_event(u64 vector)
{
	guest_handle(vector, count_irq);
	guest_sync(1);
	GUEST_EQ(irqs, 1);
	guest_done();
}

TEST_F(state, event_in_flight)
{
	struct lodge_vcpu_state s = {}, back = {};

	vcpu_start_long(self->vcpu, take_event, 0x61);
	guest_run_sync(self->vcpu, 1);
	vcpu_get(self->vcpu, &s, LODGE_STATE_EVENTS | LODGE_STATE_GPRS);
	s.events.flags = LODGE_EV_EVENT;
	s.events.event_vector = 0x61;
	s.events.event_type = LODGE_EVENT_INTERRUPT;
	/* An interrupt from outside needs RFLAGS.IF. */
	s.gprs.rflags |= RFLAGS_IF;
	vcpu_set(self->vcpu, &s, LODGE_STATE_EVENTS | LODGE_STATE_GPRS);
	vcpu_get(self->vcpu, &back, LODGE_STATE_EVENTS);
	ASSERT_EQ(0, memcmp(&s.events, &back.events, sizeof(s.events)));
	guest_run_done(self->vcpu);
	vcpu_get(self->vcpu, &back, LODGE_STATE_EVENTS);
	ASSERT_EQ(0, back.events.flags & LODGE_EV_EVENT);
}

/* -------------------------------------------------------------------- bad values */

#define LONG_CR0	(CR0_PG | CR0_NE | CR0_ET | CR0_PE)
/* A member of 4 or 8 bytes. */
#define IN4(member)	{ offsetof(struct lodge_vcpu_state, member), 4 }
#define IN8(member)	{ offsetof(struct lodge_vcpu_state, member), 8 }
/* events.flags and the members behind it. */
#define IN_EVENT	IN8(events.flags)
#define EVENT(vector, type)	(LODGE_EV_EVENT | (vector) << 32 | (type) << 40)

static const struct bad_value {
	const char *name;
	u64 group;
	struct {
		size_t offset;
		size_t size;
	} at;
	u64 value;
} bad_values[] = {
	{ "CR0.PG without PE", LODGE_STATE_CRS, IN8(crs.cr0), CR0_PG | CR0_NE | CR0_ET },
	{ "CR0.NW without CD", LODGE_STATE_CRS, IN8(crs.cr0), LONG_CR0 | CR0_NW },
	{ "CR0 above 32 bits", LODGE_STATE_CRS, IN8(crs.cr0), LONG_CR0 | BIT_ULL(32) },
	{ "CR3 beyond gpa_bits", LODGE_STATE_CRS, IN8(crs.cr3), BIT_ULL(60) },
	{ "CR4 reserved bit", LODGE_STATE_CRS, IN8(crs.cr4), CR4_PAE | BIT_ULL(63) },
	{ "CR4.VMXE", LODGE_STATE_CRS, IN8(crs.cr4), CR4_PAE | CR4_VMXE },
	{ "long mode without PAE", LODGE_STATE_CRS, IN8(crs.cr4), 0 },
	{ "CR8 of 16", LODGE_STATE_CRS, IN8(crs.cr8), 16 },
	{ "EFER reserved bit", LODGE_STATE_CRS, IN8(crs.efer), EFER_LME | EFER_LMA | BIT_ULL(1) },
	{ "EFER.LMA without LME", LODGE_STATE_CRS, IN8(crs.efer), EFER_LMA },
	{ "EFER.LME and paging without LMA", LODGE_STATE_CRS, IN8(crs.efer), EFER_LME },
	{ "XCR0 0", LODGE_STATE_CRS, IN8(crs.xcr0), 0 },
	{ "XCR0 without x87", LODGE_STATE_CRS, IN8(crs.xcr0), XCR0_SSE },
	{ "XCR0 AVX without SSE", LODGE_STATE_CRS, IN8(crs.xcr0), XCR0_X87 | XCR0_AVX },
	{ "XCR0 unknown bit", LODGE_STATE_CRS, IN8(crs.xcr0), XCR0_X87 | BIT_ULL(62) },
	{ "RFLAGS reserved bit", LODGE_STATE_GPRS, IN8(gprs.rflags), BIT_ULL(63) | RFLAGS_ONE },
	{ "RFLAGS without bit 1", LODGE_STATE_GPRS, IN8(gprs.rflags), 0 },
	{ "segment reserved", LODGE_STATE_SREGS, IN4(sregs.seg[LODGE_SEG_DS].reserved), 1 },
	{ "segment unusable 2", LODGE_STATE_SREGS, IN4(sregs.seg[LODGE_SEG_DS].unusable), 2 },
	{ "FS base not canonical", LODGE_STATE_SREGS,
	  IN8(sregs.seg[LODGE_SEG_FS].base), 0x8000000000000000ULL },
	{ "GS base not canonical", LODGE_STATE_SREGS,
	  IN8(sregs.seg[LODGE_SEG_GS].base), 0x0000800000000000ULL },
	{ "GDT base not canonical", LODGE_STATE_SREGS, IN8(sregs.gdt.base), 0x0001000000000000ULL },
	{ "IDT base not canonical", LODGE_STATE_SREGS, IN8(sregs.idt.base), 0xfff0000000000000ULL },
	{ "GDT limit", LODGE_STATE_SREGS, IN4(sregs.gdt.limit), 0x10000 },
	{ "table reserved", LODGE_STATE_SREGS, IN4(sregs.idt.reserved), 1 },
	{ "DR7 above 32 bits", LODGE_STATE_DRS, IN8(drs.dr7), BIT_ULL(32) | DR7_RESET },
	{ "DR6 above 32 bits", LODGE_STATE_DRS, IN8(drs.dr6), BIT_ULL(32) | DR6_RESET },
	{ "unknown activity", LODGE_STATE_EVENTS, IN4(events.mp_state), 3 },
	{ "unknown event flag", LODGE_STATE_EVENTS, IN4(events.flags), BIT_ULL(30) },
	{ "both shadows", LODGE_STATE_EVENTS,
	  IN4(events.flags), LODGE_EV_STI_SHADOW | LODGE_EV_SS_SHADOW },
	{ "error code without event", LODGE_STATE_EVENTS, IN4(events.flags), LODGE_EV_EVENT_CODE },
	{ "event type 7", LODGE_STATE_EVENTS, IN_EVENT, EVENT(0x40ULL, 7ULL) },
	{ "exception 32", LODGE_STATE_EVENTS, IN_EVENT, EVENT(32ULL, 3ULL) },
	{ "NMI of vector 3", LODGE_STATE_EVENTS, IN_EVENT, EVENT(3ULL, 2ULL) },
};

/* Refused, named, and nothing of the other groups has changed either. */
TEST_F(state, bad_values)
{
	struct lodge_vcpu_state before = {}, s, after;
	size_t i;

	vcpu_get(self->vcpu, &before, LODGE_STATE_SHARED);
	for (i = 0; i < ARRAY_SIZE(bad_values); i++) {
		s = before;
		s.drs.dr[0] ^= 0x4000;
		s.gprs.reg[15] ^= 0x1234;
		memcpy((char *)&s + bad_values[i].at.offset, &bad_values[i].value,
		       bad_values[i].at.size);
		EXPECT_EQ(-EINVAL, vcpu_try_set(self->vcpu, &s, LODGE_STATE_SHARED))
			TH_LOG("%s", bad_values[i].name);
		EXPECT_TRUE(s.bad_groups & bad_values[i].group)
			TH_LOG("%s: bad_groups 0x%llx", bad_values[i].name,
			       (u64)s.bad_groups);
		memset(&after, 0, sizeof(after));
		vcpu_get(self->vcpu, &after, LODGE_STATE_SHARED);
		expect_same(_metadata, &before, &after);
		/* For the next row to start right, whatever this one did. */
		vcpu_set(self->vcpu, &before, LODGE_STATE_SHARED);
	}
	guest_run_sync(self->vcpu, 1);
}

static const struct {
	u32 index;
	u64 value;
	u32 reserved;
} bad_msrs[] = {
	{ 0x12345678, 0, 0 },
	{ 0x480, 0, 0 },				/* IA32_VMX_BASIC */
	{ MSR_LSTAR, 0x8000000000000000ULL, 0 },
	{ MSR_SYSENTER_EIP, 0x0001000000000000ULL, 0 },
	{ MSR_KERNEL_GS_BASE, 0x7000000000000000ULL, 0 },
	{ MSR_PAT, 0x0007040600070402ULL, 0 },
	{ MSR_LSTAR, 0, 1 },
};

TEST_F(state, bad_msrs)
{
	struct lodge_vcpu_state s;
	struct lodge_msr msrs[2];
	u64 star = vcpu_get_msr(self->vcpu, MSR_STAR);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_msrs); i++) {
		msrs[0] = (struct lodge_msr) { MSR_STAR, 0, star + 0x100000000ULL };
		msrs[1] = (struct lodge_msr) { bad_msrs[i].index, bad_msrs[i].reserved,
					       bad_msrs[i].value };
		s = (struct lodge_vcpu_state) { .msrs = (uintptr_t)msrs, .nr_msrs = 2 };
		EXPECT_EQ(-EINVAL, vcpu_try_set(self->vcpu, &s, LODGE_STATE_MSRS))
			TH_LOG("MSR 0x%x", bad_msrs[i].index);
		EXPECT_EQ(1, s.bad_msr)
			TH_LOG("MSR 0x%x", bad_msrs[i].index);
		EXPECT_EQ(LODGE_STATE_MSRS, s.bad_groups);
		EXPECT_EQ(star, vcpu_get_msr(self->vcpu, MSR_STAR));
	}
	msrs[0].index = 0x12345678;
	s = (struct lodge_vcpu_state) { .msrs = (uintptr_t)msrs, .nr_msrs = 1 };
	ASSERT_EQ(-EINVAL, vcpu_try_get(self->vcpu, &s, LODGE_STATE_MSRS));
	ASSERT_EQ(0, s.bad_msr);
}

/* Overwrites 8 bytes of a good image; SET must refuse it. */
static void expect_bad_fpu(struct __test_metadata *_metadata, struct vcpu *vcpu,
			   struct full_state *full, u32 offset, u64 value)
{
	u64 old;

	memcpy(&old, full->fpu + offset, sizeof(old));
	memcpy(full->fpu + offset, &value, sizeof(value));
	EXPECT_EQ(-EINVAL, vcpu_try_set(vcpu, &full->vcpu, LODGE_STATE_FPU))
		TH_LOG("offset %u", offset);
	EXPECT_EQ(LODGE_STATE_FPU, full->vcpu.bad_groups);
	memcpy(full->fpu + offset, &old, sizeof(old));
}

TEST_F(state, bad_fpu)
{
	struct lodge_vcpu_state *s = &self->full->vcpu;
	u32 size = s->fpu_size;
	int ret;

	vcpu_get(self->vcpu, s, LODGE_STATE_FPU);
	expect_bad_fpu(_metadata, self->vcpu, self->full, XSAVE_MXCSR, 0xffffffffULL);
	expect_bad_fpu(_metadata, self->vcpu, self->full, XSAVE_XSTATE_BV, BIT_ULL(62) | 3);
	expect_bad_fpu(_metadata, self->vcpu, self->full, XSAVE_XCOMP_BV, BIT_ULL(63) | 3);
	expect_bad_fpu(_metadata, self->vcpu, self->full, XSAVE_XCOMP_BV + 8, 1);

	s->fpu_size = 512;
	ASSERT_EQ(-EINVAL, vcpu_try_set(self->vcpu, s, LODGE_STATE_FPU));
	s->fpu_size = size - 1;
	ret = vcpu_try_get(self->vcpu, s, LODGE_STATE_FPU);
	ASSERT_TRUE(ret == -EINVAL || ret == -ENOSPC);
	s->fpu_size = 0;
	ret = vcpu_try_get(self->vcpu, s, LODGE_STATE_FPU);
	ASSERT_TRUE(ret == -EINVAL || ret == -ENOSPC);
	s->fpu_size = size;
	vcpu_set(self->vcpu, s, LODGE_STATE_FPU);
}

TEST_F(state, bad_lapic)
{
	struct lodge_vcpu_state *s = &self->full->vcpu;
	static const u64 bases[] = {
		APIC_BASE_ADDR | APIC_BASE_X2APIC,		/* without enable */
		APIC_BASE_ADDR | APIC_BASE_ENABLE | 1,		/* reserved */
		APIC_BASE_ENABLE | BIT_ULL(60),
	};
	size_t i;

	vcpu_get(self->vcpu, s, LODGE_STATE_LAPIC);
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		self->full->lapic.base = bases[i];
		EXPECT_EQ(-EINVAL, vcpu_try_set(self->vcpu, s, LODGE_STATE_LAPIC))
			TH_LOG("base 0x%llx", bases[i]);
		EXPECT_EQ(LODGE_STATE_LAPIC, s->bad_groups);
	}
	guest_run_sync(self->vcpu, 1);
}

TEST_F(state, bad_pointers)
{
	struct lodge_vcpu_state *s = &self->full->vcpu;

	s->msrs = 16;
	s->nr_msrs = 1;
	ASSERT_EQ(-EFAULT, vcpu_try_get(self->vcpu, s, LODGE_STATE_MSRS));
	ASSERT_EQ(-EFAULT, vcpu_try_set(self->vcpu, s, LODGE_STATE_MSRS));
	s->fpu = 64;
	ASSERT_EQ(-EFAULT, vcpu_try_get(self->vcpu, s, LODGE_STATE_FPU));
	ASSERT_EQ(-EFAULT, vcpu_try_set(self->vcpu, s, LODGE_STATE_FPU));
	s->lapic = 16;
	ASSERT_EQ(-EFAULT, vcpu_try_get(self->vcpu, s, LODGE_STATE_LAPIC));
	ASSERT_EQ(-EFAULT, vcpu_try_set(self->vcpu, s, LODGE_STATE_LAPIC));
	ASSERT_EQ(-EINVAL, vcpu_try_get(self->vcpu, s, BIT_ULL(8)));
	ASSERT_EQ(-EINVAL, vcpu_try_set(self->vcpu, s, BIT_ULL(63)));
	ASSERT_EQ(0, vcpu_try_get(self->vcpu, s, 0));
	ASSERT_EQ(0, vcpu_try_set(self->vcpu, s, 0));
}

/* ------------------------------------------------------------ while the guest runs */

static u64 turns;

/* Spins on R15; the counter shows that it goes on. */
static void spin_on_r15(u64 arg)
{
	asm volatile("xor %%r15d, %%r15d\n"
		     "1: incq %0\n"
		     "test %%r15, %%r15\n"
		     "jz 1b\n"
		     : "+m"(turns) : : "r15", "cc", "memory");
	guest_done();
}

TEST_F(state, while_running)
{
	struct lodge_vcpu_state s = {};
	pthread_t thread;
	u64 before;
	int i;

	vcpu_start_long(self->vcpu, spin_on_r15, 0);
	thread = guest_thread(self->vcpu);
	wait_until(READ_ONCE(turns));
	for (i = 0; i < 50; i++) {
		before = READ_ONCE(turns);
		vcpu_get(self->vcpu, &s, LODGE_STATE_SHARED);
		ASSERT_GT(s.gprs.rip, (uintptr_t)spin_on_r15);
		ASSERT_LT(s.gprs.rip, (uintptr_t)spin_on_r15 + 100);
		ASSERT_EQ(0, s.gprs.reg[15]);
		ASSERT_EQ(GPA_TABLES, s.crs.cr3);
		s.drs.dr[3] = i;
		vcpu_set(self->vcpu, &s, LODGE_STATE_DRS);
		wait_until(READ_ONCE(turns) > before);
	}
	vcpu_get(self->vcpu, &s, LODGE_STATE_GPRS | LODGE_STATE_DRS);
	ASSERT_EQ(49, s.drs.dr[3]);
	s.gprs.reg[15] = 1;
	vcpu_set(self->vcpu, &s, LODGE_STATE_GPRS);
	join(thread);
}

/* A halted guest goes on sleeping. */
static void halt_once(u64 arg)
{
	turns = 1;
	asm volatile("cli\nhlt" : : : "memory");
	guest_done();
}

TEST_F(state, while_halted)
{
	struct lodge_vcpu_state s = {};
	pthread_t thread;

	vcpu_start_long(self->vcpu, halt_once, 0);
	thread = guest_thread(self->vcpu);
	wait_until(vcpu_stats(self->vcpu).halts);
	vcpu_get(self->vcpu, &s, LODGE_STATE_EVENTS);
	ASSERT_EQ(LODGE_MP_HALTED, s.events.mp_state);
	s.events.mp_state = LODGE_MP_RUNNABLE;
	vcpu_set(self->vcpu, &s, LODGE_STATE_EVENTS);
	join(thread);
}

/* ------------------------------------------------------------------- in another VM */

#define CHECK_WORDS	8

/* What the guest has everywhere before it moves, and expects to find after. */
static void moving_guest(u64 arg)
{
	u64 xmm[CHECK_WORDS], i, sum = 0;

	guest_x2apic_on();
	guest_apic_enable();
	guest_handle(0x61, guest_count_irq);
	wrmsr(MSR_LSTAR, 0x123000);
	wrmsr(MSR_KERNEL_GS_BASE, 0x456000);
	wrmsr(MSR_GS_BASE, 0x789000);
	write_dr1(0x5678);
	write_cr8(3);
	guest_send_ipi(0, APIC_DEST_SELF | 0x61);	/* stays pending: IF is 0 */
	asm volatile("movq %0, %%xmm6\n"
		     "movq %0, %%xmm15\n" : : "r"(0xabcdef0123456789ULL) : "xmm6", "xmm15");
	/* No call of the compiler's own between here and the reading back. */
	asm volatile("outl %%eax, %%dx\n"
		     "movq %%xmm6, %0\n"
		     "movq %%xmm15, %1\n"
		     : "=m"(xmm[0]), "=m"(xmm[1])
		     : "a"(GUEST_CALL_SYNC), "d"(GUEST_PORT), "D"(7)
		     : "memory", "xmm6", "xmm15");
	GUEST_EQ(xmm[0], 0xabcdef0123456789ULL);
	GUEST_EQ(xmm[1], 0xabcdef0123456789ULL);
	GUEST_EQ(rdmsr(MSR_LSTAR), 0x123000);
	GUEST_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x456000);
	GUEST_EQ(rdmsr(MSR_GS_BASE), 0x789000);
	GUEST_EQ(read_dr1(), 0x5678);
	GUEST_EQ(read_cr8(), 3);
	GUEST_ASSERT(rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC);
	GUEST_ASSERT(guest_apic_bit(APIC_IRR, 0x61));
	write_cr8(0);
	irq_on();
	GUEST_EQ(this_guest_cpu()->interrupts[0x61], 1);
	for (i = 0; i < CHECK_WORDS; i++)
		sum += i;
	guest_value(sum);
	guest_done();
}

/* Saved at an exit that is not completed, it executes that again elsewhere. */
TEST_F(state, move)
{
	struct vcpu *clone;

	vcpu_start_long(self->vcpu, moving_guest, 0);
	guest_run_sync(self->vcpu, 7);
	clone = vcpu_clone(self->vcpu);
	guest_run_sync(clone, 7);
	ASSERT_EQ(28, guest_run_value(clone));
	guest_run_done(clone);
}

#define MOVES		8
#define CRUNCHES	400000ULL

static u64 crunch_step(u64 x)
{
	return x * 6364136223846793005ULL + 1442695040888963407ULL;
}

static void crunch(u64 arg)
{
	u64 i, x = 1;

	for (i = 0; i < CRUNCHES; i++) {
		x = crunch_step(x);
		if (!(i & 1023))
			WRITE_ONCE(turns, turns + 1);
	}
	guest_value(x);
	guest_done();
}

/* Interrupted anywhere and continued elsewhere, the result is the same. */
TEST_F(state, move_anywhere)
{
	struct vcpu *vcpu = self->vcpu;
	struct async_run run;
	u64 i, x = 1, before;
	int ret = EINTR;

	vcpu_start_long(vcpu, crunch, 0);
	for (i = 0; i < MOVES && ret == EINTR; i++) {
		before = READ_ONCE(turns);
		vcpu->run->wanted = LODGE_STATE_GPRS;
		async_run(&run, vcpu);
		wait_until(READ_ONCE(turns) > before + 10 || READ_ONCE(run.finished));
		vcpu_kick(vcpu);
		ret = async_end(&run);
		if (ret == EINTR)
			vcpu = vcpu_clone(vcpu);
	}
	for (i = 0; i < CRUNCHES; i++)
		x = crunch_step(x);
	if (ret == EINTR)
		ASSERT_EQ(x, guest_run_value(vcpu));
	if (ret != EINTR)
		ASSERT_EQ(x, vcpu->run->gprs.reg[7]);
}

TEST_HARNESS_MAIN
