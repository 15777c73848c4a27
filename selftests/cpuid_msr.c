// SPDX-License-Identifier: GPL-2.0
/* The CPU model: CPUID tables, MSRs by table, and MSRs of the program's own. */
#include "state.h"
#include "kselftest_harness.h"

#define MAX_ENTRIES	256

static struct lodge_cpuid_entry entries[MAX_ENTRIES];
static u32 nr_entries;
static u32 msr_indices[MAX_MSRS];
static u32 nr_msrs;

FIXTURE(cpu)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

static u32 supported_cpuid(void)
{
	struct lodge_cpuid c = {
		.size = sizeof(c), .entries = (uintptr_t)entries, .nr = MAX_ENTRIES,
	};
	int dev = device_open();

	require(!try_ioctl(dev, LODGE_GET_SUPPORTED_CPUID, &c));
	close(dev);
	return c.nr;
}

FIXTURE_SETUP(cpu)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
	nr_entries = supported_cpuid();
	nr_msrs = supported_msrs(msr_indices);
}

FIXTURE_TEARDOWN(cpu)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static struct lodge_cpuid_entry *find_entry(u32 leaf, u32 subleaf)
{
	struct lodge_cpuid_entry *e;

	for (e = entries; e < entries + nr_entries; e++)
		if (e->leaf == leaf &&
		    (!(e->flags & LODGE_CPUID_F_SUBLEAF) || e->subleaf == subleaf))
			return e;
	return NULL;
}

static int set_cpuid(struct vcpu *vcpu, u32 *bad)
{
	struct lodge_cpuid c = {
		.size = sizeof(c), .entries = (uintptr_t)entries, .nr = nr_entries,
	};
	int ret = try_ioctl(vcpu->fd, LODGE_VCPU_SET_CPUID, &c);

	if (bad)
		*bad = c.bad;
	return ret;
}

static void run_guest(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	vcpu_start_long(vcpu, fn, arg);
	guest_run_done(vcpu);
}

/* ----------------------------------------------------------- SUPPORTED_CPUID */

/* Bits that must be there, or must not, whatever the host is. */
static const struct {
	const char *name;
	u32 leaf;
	u8 reg;		/* 0: EAX ... 3: EDX */
	u8 bit;
	bool present;
} sane_bits[] = {
	{ "hypervisor", 1, 2, 31, true },
	{ "x2APIC", 1, 2, 21, true },
	{ "TSC deadline", 1, 2, 24, true },
	{ "APIC", 1, 3, 9, true },
	{ "TSC", 1, 3, 4, true },
	{ "MSR", 1, 3, 5, true },
	{ "PAE", 1, 3, 6, true },
	{ "SSE2", 1, 3, 26, true },
	{ "VMX", 1, 2, 5, false },
	{ "SMX", 1, 2, 6, false },
	{ "MONITOR", 1, 2, 3, false },
	{ "TSC adjust", 7, 1, 1, true },
	{ "SGX", 7, 1, 2, false },
	{ "Intel PT", 7, 1, 25, false },
	{ "ARAT", 6, 0, 2, true },
	{ "long mode", 0x80000001, 3, 29, true },
	{ "NX", 0x80000001, 3, 20, true },
};

static u32 entry_reg(const struct lodge_cpuid_entry *e, int reg)
{
	return (&e->eax)[reg];
}

TEST_F(cpu, supported)
{
	struct lodge_cpuid_entry *e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sane_bits); i++) {
		e = find_entry(sane_bits[i].leaf, 0);
		EXPECT_EQ(sane_bits[i].present,
			  e ? entry_reg(e, sane_bits[i].reg) >> sane_bits[i].bit & 1 : 0)
			TH_LOG("%s", sane_bits[i].name);
	}
	e = find_entry(0, 0);
	ASSERT_NE(NULL, e);
	ASSERT_GE(e->eax, 0xd);
	e = find_entry(0x80000008, 0);
	ASSERT_NE(NULL, e);
	ASSERT_EQ(device_info()->gpa_bits, e->eax & 0xff);
	ASSERT_GE(e->eax >> 8 & 0xff, 48);
	e = find_entry(0x15, 0);
	if (e && e->eax && e->ebx && e->ecx) {
		u64 khz = (u64)e->ecx * e->ebx / e->eax / 1000;

		ASSERT_LE(khz, device_info()->tsc_khz + device_info()->tsc_khz / 100 + 1);
		ASSERT_GE(khz + device_info()->tsc_khz / 100 + 1, device_info()->tsc_khz);
	}
}

TEST_F(cpu, no_duplicates)
{
	u32 i, k;

	for (i = 0; i < nr_entries; i++) {
		ASSERT_EQ(0, entries[i].reserved);
		ASSERT_EQ(0, entries[i].flags & ~LODGE_CPUID_F_SUBLEAF);
		for (k = 0; k < i; k++)
			ASSERT_FALSE(entries[i].leaf == entries[k].leaf &&
				     entries[i].subleaf == entries[k].subleaf);
	}
	for (i = 0; i < nr_msrs; i++) {
		ASSERT_NE(MSR_EFER, msr_indices[i]);
		ASSERT_NE(MSR_FS_BASE, msr_indices[i]);
		ASSERT_NE(MSR_GS_BASE, msr_indices[i]);
		ASSERT_NE(MSR_APIC_BASE, msr_indices[i]);
		for (k = 0; k < i; k++)
			ASSERT_NE(msr_indices[i], msr_indices[k]);
	}
}

/* Arrays that are too short say how long they ought to be. */
TEST_F(cpu, short_arrays)
{
	struct lodge_cpuid c = {
		.size = sizeof(c), .entries = (uintptr_t)entries, .nr = 1,
	};
	struct lodge_msr_list m = {
		.size = sizeof(m), .indices = (uintptr_t)msr_indices, .nr = 0,
	};
	int dev = device_open();

	ASSERT_EQ(-ENOSPC, try_ioctl(dev, LODGE_GET_SUPPORTED_CPUID, &c));
	ASSERT_EQ(nr_entries, c.nr);
	ASSERT_EQ(-ENOSPC, try_ioctl(dev, LODGE_GET_SUPPORTED_MSRS, &m));
	ASSERT_EQ(nr_msrs, m.nr);
	c.entries = 16;
	ASSERT_EQ(-EFAULT, try_ioctl(dev, LODGE_GET_SUPPORTED_CPUID, &c));
	m.indices = 16;
	ASSERT_EQ(-EFAULT, try_ioctl(dev, LODGE_GET_SUPPORTED_MSRS, &m));
	close(dev);
}

/* ---------------------------------------------------------------- SET_CPUID */

TEST_F(cpu, set_back)
{
	ASSERT_EQ(0, set_cpuid(self->vcpu, NULL));
}

/* More than is offered is refused, and the entry named. */
TEST_F(cpu, set_more)
{
	static const struct {
		u32 leaf;
		u8 reg;
		u8 bit;
	} extra[] = {
		{ 1, 2, 5 }, { 1, 2, 6 }, { 7, 1, 2 }, { 7, 1, 25 }, { 7, 2, 16 },
		{ 0x80000001, 2, 2 }, { 0xd, 3, 30 },
	};
	struct lodge_cpuid_entry *e, old;
	size_t i;
	u32 bad;

	for (i = 0; i < ARRAY_SIZE(extra); i++) {
		e = find_entry(extra[i].leaf, 0);
		if (!e)
			continue;
		old = *e;
		(&e->eax)[extra[i].reg] |= 1U << extra[i].bit;
		EXPECT_EQ(-EINVAL, set_cpuid(self->vcpu, &bad))
			TH_LOG("leaf 0x%x", extra[i].leaf);
		EXPECT_EQ((u32)(e - entries), bad);
		*e = old;
	}
	/* A leaf that nobody offers. */
	entries[nr_entries++] = (struct lodge_cpuid_entry) { .leaf = 0x12, .eax = 1 };
	ASSERT_EQ(-EINVAL, set_cpuid(self->vcpu, &bad));
	ASSERT_EQ(nr_entries - 1, bad);
	nr_entries--;

	entries[2].flags |= 2;
	ASSERT_EQ(-EINVAL, set_cpuid(self->vcpu, &bad));
	entries[2].flags &= ~2U;
	entries[2].reserved = 1;
	ASSERT_EQ(-EINVAL, set_cpuid(self->vcpu, &bad));
	entries[2].reserved = 0;
	ASSERT_EQ(0, set_cpuid(self->vcpu, NULL));
}

static void nothing(u64 arg)
{
	guest_done();
}

TEST_F(cpu, set_after_run)
{
	run_guest(self->vcpu, nothing, 0);
	ASSERT_EQ(-EBUSY, set_cpuid(self->vcpu, NULL));
}

/* Less is what the guest sees, and what it may use. */
static void reduced_guest(u64 arg)
{
	GUEST_EQ(cpuid(1, 0).ecx & BIT_ULL(26), 0);
	GUEST_EQ(cpuid(7, 0).ebx, 0);
	GUEST_EQ(cpuid(0xd, 0).eax, 0);
	GUEST_EQ(guest_try_cr4(read_cr4() | CR4_OSXSAVE), GP_VECTOR);
	GUEST_EQ(guest_try_cr4(read_cr4() | CR4_SMEP), GP_VECTOR);
	GUEST_EQ(guest_try_cr4(read_cr4() | CR4_FSGSBASE), GP_VECTOR);
	guest_done();
}

static void remove_leaf(u32 leaf)
{
	u32 i, k = 0;

	for (i = 0; i < nr_entries; i++)
		if (entries[i].leaf != leaf)
			entries[k++] = entries[i];
	nr_entries = k;
}

TEST_F(cpu, set_less)
{
	struct lodge_cpuid_entry *e = find_entry(1, 0);

	/* XSAVE and what needs it: AVX, F16C, FMA. */
	e->ecx &= ~(1U << 26 | 1U << 28 | 1U << 29 | 1U << 12);
	remove_leaf(7);
	remove_leaf(0xd);
	ASSERT_EQ(0, set_cpuid(self->vcpu, NULL));
	run_guest(self->vcpu, reduced_guest, 0);
}

/* -------------------------------------------------------- what the guest sees */

static char signature[2][13];

static void read_signatures(u64 arg)
{
	static const u32 leaf[2] = { 0x40000000, LODGE_CPUID_SIGNATURE };
	struct cpuid_regs r;
	int i;

	for (i = 0; i < 2; i++) {
		r = cpuid(leaf[i], 0);
		GUEST_ASSERT(r.eax >= leaf[i]);
		copy_bytes(signature[i], &r.ebx, 4);
		copy_bytes(signature[i] + 4, &r.ecx, 4);
		copy_bytes(signature[i] + 8, &r.edx, 4);
	}
	/* kvmclock: CLOCKSOURCE2, and stable when said so. */
	GUEST_ASSERT(cpuid(0x40000001, 0).eax & BIT_ULL(3));
	guest_done();
}

TEST_F(cpu, signatures)
{
	run_guest(self->vcpu, read_signatures, 0);
	ASSERT_EQ(0, memcmp(signature[0], "KVMKVMKVM\0\0", 12));
	ASSERT_EQ(0, memcmp(signature[1], "LodgeLodgeLo", 12));
}

/* Bits that follow from the vCPU's state. */
static void dynamic_bits(u64 id)
{
	bool avx = cpuid(0xd, 0).eax & XCR0_AVX;

	GUEST_EQ(cpuid(1, 0).ebx >> 24, id);
	GUEST_EQ(cpuid(0xb, 0).edx, id);
	GUEST_EQ(cpuid(0xb, 1).edx, id);
	GUEST_EQ(cpuid(1, 0).ecx >> 27 & 1, 0);
	if (guest_try_cr4(read_cr4() | CR4_OSXSAVE) == NO_TRAP) {
		GUEST_EQ(cpuid(1, 0).ecx >> 27 & 1, 1);
		GUEST_EQ(guest_try_xsetbv(0, XCR0_X87), NO_TRAP);
		GUEST_EQ(cpuid(0xd, 0).ebx, 576);
		if (avx) {
			GUEST_EQ(guest_try_xsetbv(0, 7), NO_TRAP);
			GUEST_EQ(cpuid(0xd, 0).ebx, 576 + 256);
		}
		write_cr4(read_cr4() & ~CR4_OSXSAVE);
		GUEST_EQ(cpuid(1, 0).ecx >> 27 & 1, 0);
	}
	/* The APIC bit goes with the APIC. */
	GUEST_EQ(cpuid(1, 0).edx >> 9 & 1, 1);
	guest_done();
}

TEST_F(cpu, dynamic_bits)
{
	struct vcpu *other = vcpu_create_at(self->vm, 5, dynamic_bits, 5);

	run_guest(self->vcpu, dynamic_bits, 0);
	guest_run_done(other);
	vcpu_destroy(other);
}

static u32 what_leaf, what_subleaf;
static struct cpuid_regs what_seen;

static void read_leaves(u64 arg)
{
	for (;;) {
		guest_sync(0);
		what_seen = cpuid(what_leaf, what_subleaf);
	}
}

/* Leaf by leaf the guest reads the table, save what follows its state. */
TEST_F(cpu, guest_sees_table)
{
	struct lodge_cpuid_entry *e;

	ASSERT_EQ(0, set_cpuid(self->vcpu, NULL));
	vcpu_start_long(self->vcpu, read_leaves, 0);
	guest_run_sync(self->vcpu, 0);
	for (e = entries; e < entries + nr_entries; e++) {
		what_leaf = e->leaf;
		what_subleaf = e->flags & LODGE_CPUID_F_SUBLEAF ? e->subleaf : 0;
		guest_run_sync(self->vcpu, 0);
		if (e->leaf == 1) {
			ASSERT_EQ(e->ecx & ~(1U << 27), what_seen.ecx & ~(1U << 27));
			ASSERT_EQ(e->edx, what_seen.edx);
			continue;
		}
		if (e->leaf == 4 || e->leaf == 7 || e->leaf == 0xb || e->leaf == 0xd ||
		    e->leaf == 0x1f)
			continue;
		ASSERT_EQ(e->eax, what_seen.eax)
			TH_LOG("leaf 0x%x.%u", e->leaf, e->subleaf);
		ASSERT_EQ(e->ebx, what_seen.ebx);
		ASSERT_EQ(e->ecx, what_seen.ecx);
		ASSERT_EQ(e->edx, what_seen.edx);
	}
	/* Not in the table: zero. */
	what_leaf = 0x12;
	what_subleaf = 0;
	guest_run_sync(self->vcpu, 0);
	ASSERT_EQ(0, what_seen.eax | what_seen.ebx | what_seen.ecx | what_seen.edx);
}

/* -------------------------------------------------------------------- MSRs */

/* Each can be read, by the program and by the guest, and written with what it has. */
TEST_F(cpu, listed_by_program)
{
	u32 i;

	ASSERT_GT(nr_msrs, 10);
	for (i = 0; i < nr_msrs; i++) {
		u64 v = vcpu_get_msr(self->vcpu, msr_indices[i]);

		EXPECT_EQ(0, vcpu_try_set_msr(self->vcpu, msr_indices[i], v))
			TH_LOG("MSR 0x%x value 0x%llx", msr_indices[i], v);
	}
}

static void read_and_write_back(u64 index)
{
	u64 v;

	GUEST_EQ(guest_try_rdmsr(index, &v), NO_TRAP);
	if (index != MSR_TSC && index != MSR_KVM_WALL_CLOCK)
		GUEST_EQ(guest_try_wrmsr(index, v), NO_TRAP);
	guest_done();
}

TEST_F(cpu, listed_by_guest)
{
	u32 i;

	for (i = 0; i < nr_msrs; i++) {
		test_context("MSR 0x%x", msr_indices[i]);
		run_guest(self->vcpu, read_and_write_back, msr_indices[i]);
	}
}

static const struct {
	u32 index;
	u64 value;
	int vector;	/* of the write; a good value must read back */
} msr_writes[] = {
	{ MSR_STAR, 0x0033001000000000ULL, NO_TRAP },
	{ MSR_LSTAR, 0xffff800012345678ULL, NO_TRAP },
	{ MSR_LSTAR, 0x8000000000000000ULL, GP_VECTOR },
	{ MSR_CSTAR, 0x1234, NO_TRAP },
	{ MSR_CSTAR, 0x0000800000000000ULL, GP_VECTOR },
	{ MSR_SFMASK, 0x47700, NO_TRAP },
	{ MSR_FS_BASE, 0x00007ffffffff000ULL, NO_TRAP },
	{ MSR_FS_BASE, 0x0001000000000000ULL, GP_VECTOR },
	{ MSR_GS_BASE, 0xffff888000000000ULL, NO_TRAP },
	{ MSR_GS_BASE, 0x8000000000000001ULL, GP_VECTOR },
	{ MSR_KERNEL_GS_BASE, 0xffffffff80000000ULL, NO_TRAP },
	{ MSR_KERNEL_GS_BASE, 0x4000000000000000ULL, GP_VECTOR },
	{ MSR_SYSENTER_CS, 0x10, NO_TRAP },
	{ MSR_SYSENTER_ESP, 0x12345678, NO_TRAP },
	{ MSR_SYSENTER_EIP, 0xffffffff81000000ULL, NO_TRAP },
	{ MSR_SYSENTER_EIP, 0x0f00000000000000ULL, GP_VECTOR },
	{ MSR_SYSENTER_ESP, 0x0f00000000000000ULL, GP_VECTOR },
	{ MSR_PAT, 0x0007010600070106ULL, NO_TRAP },
	{ MSR_PAT, 0x0007040600070402ULL, GP_VECTOR },
	{ MSR_PAT, 0x0807040600070406ULL, GP_VECTOR },
	{ MSR_PAT, PAT_RESET, NO_TRAP },
	{ MSR_APIC_BASE, APIC_BASE_ADDR | APIC_BASE_ENABLE | APIC_BASE_BSP, NO_TRAP },
	{ MSR_APIC_BASE, APIC_BASE_ADDR | APIC_BASE_X2APIC, GP_VECTOR },
	{ MSR_APIC_BASE, APIC_BASE_ADDR | APIC_BASE_ENABLE | 1, GP_VECTOR },
	{ MSR_APIC_BASE, BIT_ULL(60) | APIC_BASE_ENABLE, GP_VECTOR },
	{ MSR_TSC_ADJUST, 0, NO_TRAP },
	{ MSR_KVM_SYSTEM_TIME, 0, NO_TRAP },
};

static void write_msrs(u64 i)
{
	u64 old, v;

	GUEST_EQ(guest_try_rdmsr(msr_writes[i].index, &old), NO_TRAP);
	GUEST_EQ(guest_try_wrmsr(msr_writes[i].index, msr_writes[i].value),
		 msr_writes[i].vector);
	if (msr_writes[i].vector != NO_TRAP)
		GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(guest_try_rdmsr(msr_writes[i].index, &v), NO_TRAP);
	GUEST_EQ(v, msr_writes[i].vector == NO_TRAP ? msr_writes[i].value : old);
	guest_done();
}

TEST_F(cpu, writes)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(msr_writes); i++) {
		test_context("row %zu, MSR 0x%x", i, msr_writes[i].index);
		run_guest(self->vcpu, write_msrs, i);
	}
}

/* What the guest writes is what the program reads, and the other way round. */
static void exchange_msr(u64 arg)
{
	wrmsr(MSR_LSTAR, 0x111000);
	wrmsr(MSR_SYSENTER_CS, 0x18);
	guest_sync(1);
	GUEST_EQ(rdmsr(MSR_LSTAR), 0x222000);
	GUEST_EQ(rdmsr(MSR_SYSENTER_CS), 0x28);
	guest_done();
}

TEST_F(cpu, exchange)
{
	vcpu_start_long(self->vcpu, exchange_msr, 0);
	guest_run_sync(self->vcpu, 1);
	ASSERT_EQ(0x111000, vcpu_get_msr(self->vcpu, MSR_LSTAR));
	ASSERT_EQ(0x18, vcpu_get_msr(self->vcpu, MSR_SYSENTER_CS));
	ASSERT_EQ(0, vcpu_try_set_msr(self->vcpu, MSR_LSTAR, 0x222000));
	ASSERT_EQ(0, vcpu_try_set_msr(self->vcpu, MSR_SYSENTER_CS, 0x28));
	guest_run_done(self->vcpu);
}

static const u32 unknown_msrs[] = {
	0x12345678, 0x480, 0x48b, 0x4b564dff, 0xc0001234, 0xffffffff, 0x00001fff, 0xc0001fff,
	LODGE_MSR_USER - 1, LODGE_MSR_USER + LODGE_NR_MSR_USER,
};

static void touch_unknown(u64 arg)
{
	size_t i;
	u64 v;

	for (i = 0; i < ARRAY_SIZE(unknown_msrs); i++) {
		GUEST_EQ(guest_try_rdmsr(unknown_msrs[i], &v), GP_VECTOR);
		GUEST_EQ(v, 0);
		GUEST_EQ(guest_try_wrmsr(unknown_msrs[i], 0), GP_VECTOR);
	}
	guest_done();
}

TEST_F(cpu, unknown)
{
	run_guest(self->vcpu, touch_unknown, 0);
}

/* -------------------------------------------------- MSRs that are the program's */

static void use_user_msrs(u64 arg)
{
	u64 v;

	GUEST_EQ(guest_try_rdmsr(LODGE_MSR_USER, &v), NO_TRAP);
	GUEST_EQ(v, 0x123456789abcdef0ULL);
	GUEST_EQ(guest_try_wrmsr(LODGE_MSR_USER + 15, 0xfedcba9876543210ULL), NO_TRAP);
	GUEST_EQ(guest_try_rdmsr(LODGE_MSR_USER + 1, &v), GP_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(guest_try_wrmsr(LODGE_MSR_USER + 2, 1), GP_VECTOR);
	guest_done();
}

TEST_F(cpu, user_msrs)
{
	struct lodge_run *run = self->vcpu->run;
	struct lodge_exit *e;

	vcpu_start_long(self->vcpu, use_user_msrs, 0);
	e = vcpu_run_complete(self->vcpu, LODGE_EXIT_RDMSR, 0x123456789abcdef0ULL);
	ASSERT_EQ(LODGE_MSR_USER, e->msr.index);
	ASSERT_EQ(2, e->insn_len);
	e = vcpu_run_complete(self->vcpu, LODGE_EXIT_WRMSR, 0);
	ASSERT_EQ(LODGE_MSR_USER + 15, e->msr.index);
	ASSERT_EQ(0xfedcba9876543210ULL, e->msr.data);
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_RDMSR);
	ASSERT_EQ(LODGE_MSR_USER + 1, e->msr.index);
	run->complete = LODGE_COMPLETE_FAULT;
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_WRMSR);
	ASSERT_EQ(LODGE_MSR_USER + 2, e->msr.index);
	/* Not completed: once more. */
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_WRMSR);
	ASSERT_EQ(LODGE_MSR_USER + 2, e->msr.index);
	run->complete = LODGE_COMPLETE_FAULT;
	guest_run_done(self->vcpu);
}

/* --------------------------------------------------------------------- TSC */

#define JUMP	1000000000000ULL

static void adjust_tsc(u64 arg)
{
	u64 a, b;

	GUEST_EQ(rdmsr(MSR_TSC_ADJUST), 0);
	a = read_tsc();
	wrmsr(MSR_TSC_ADJUST, JUMP);
	b = read_tsc();
	GUEST_ASSERT(b >= a + JUMP);
	GUEST_ASSERT(b < a + 2 * JUMP);
	GUEST_EQ(rdmsr(MSR_TSC_ADJUST), JUMP);
	GUEST_ASSERT(rdmsr(MSR_TSC) >= b);

	/* Writing the TSC shows in TSC_ADJUST. */
	wrmsr(MSR_TSC, 5 * JUMP);
	a = read_tsc();
	GUEST_ASSERT(a >= 5 * JUMP);
	GUEST_ASSERT(a < 6 * JUMP);
	GUEST_ASSERT(rdmsr(MSR_TSC_ADJUST) != JUMP);
	wrmsr(MSR_TSC_ADJUST, 0);
	GUEST_ASSERT(read_tsc() < 2 * JUMP);
	guest_done();
}

TEST_F(cpu, tsc_adjust)
{
	run_guest(self->vcpu, adjust_tsc, 0);
}

static void watch_tsc(u64 arg)
{
	for (;;)
		guest_value(read_tsc());
}

/* Monotonic over exits, CPUs and the program's looking at it. */
TEST_F(cpu, tsc_monotonic)
{
	int cpus[4], nr = online_cpus(cpus, 4), i;
	u64 last, now;

	vcpu_start_long(self->vcpu, watch_tsc, 0);
	last = guest_run_value(self->vcpu);
	for (i = 0; i < 40; i++) {
		pin_to_cpu(0, cpus[i % nr]);
		now = guest_run_value(self->vcpu);
		ASSERT_GT(now, last);
		last = now;
		now = vcpu_get_msr(self->vcpu, MSR_TSC);
		ASSERT_GT(now, last);
		last = now;
	}
	ASSERT_EQ(0, vcpu_try_set_msr(self->vcpu, MSR_TSC, last + JUMP));
	now = guest_run_value(self->vcpu);
	ASSERT_GE(now, last + JUMP);
	ASSERT_LT(now, last + 2 * JUMP);
}

/* vCPUs of one VM show the same TSC. */
TEST_F(cpu, tsc_common)
{
	struct vcpu *other = vcpu_create_at(self->vm, 1, watch_tsc, 0);
	u64 last = 0, now;
	int i;

	vcpu_start_long(self->vcpu, watch_tsc, 0);
	for (i = 0; i < 20; i++) {
		now = guest_run_value(i & 1 ? other : self->vcpu);
		ASSERT_GT(now, last);
		last = now;
	}
	vcpu_destroy(other);
}

TEST_HARNESS_MAIN
