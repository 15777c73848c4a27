// SPDX-License-Identifier: GPL-2.0
/*
 * The host's own state, after and beside a guest that changes all it can: what
 * the thread that runs it has, and what others on the same CPU have.
 */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/auxv.h>
#include <sys/io.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host_state.h"
#include "vm.h"
#include "kselftest_harness.h"

#define HAS_OSXSAVE		BIT_ULL(27)	/* CPUID leaf 1, ECX */
#define HAS_RDTSCP		BIT_ULL(27)	/* CPUID leaf 0x80000001, EDX */
#define HWCAP2_FSGSBASE		BIT_ULL(1)
#define SAFE_PORT		0x80		/* POST codes */

#define GPA_NASTY_GDT		GPA_FREE
#define GPA_NASTY_IDT		(GPA_FREE + 0x1000)
#define GPA_NASTY_LDT		(GPA_FREE + 0x2000)
#define SEL_LDT			(GDT_LIMIT + 1)
#define NASTY_FLAGS		(RFLAGS_ONE | RFLAGS_AC | RFLAGS_IOPL3 | RFLAGS_DF | BIT_ULL(14))

#define MSR_XSS			0xda0
#define MSR_DEBUGCTL		0x1d9
#define MSR_SPEC_CTRL		0x048
#define MSR_FEATURE_CONTROL	0x03a
#define MSR_UMWAIT		0x0e1
#define MSR_TSX_CTRL		0x122
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MSR_PERF_GLOBAL_CTRL	0x38f

/* ------------------------------------------------------------- the guest's side */

/* Where a host thread has a watchpoint; the guest has the same address. */
static u64 watched __attribute((aligned(8)));
static u64 guest_laps;
static u32 stop;

/* What the guest wants to have. */
static const struct nasty_msr {
	u32 index;
	u64 value;
} nasty_msrs[] = {
	{ MSR_STAR, 0x0033002b00100008ULL },
	{ MSR_LSTAR, 0xffffffff81234560ULL },
	{ MSR_CSTAR, 0xffffffff81234570ULL },
	{ MSR_SFMASK, 0x3f7fd5 },
	{ MSR_FS_BASE, 0x7eadbeef0000ULL },
	{ MSR_GS_BASE, 0xffff9eadbeef0000ULL },
	{ MSR_KERNEL_GS_BASE, 0xffffaeadbeef0000ULL },
	{ MSR_TSC_AUX, 0x5a5 },
	{ MSR_SYSENTER_CS, 0x40 },
	{ MSR_SYSENTER_ESP, 0xffffffff8badbad0ULL },
	{ MSR_SYSENTER_EIP, 0xffffffff8badbae0ULL },
	{ MSR_PAT, 0x0606060606060606ULL },
	{ MSR_DEBUGCTL, 1 },
	{ MSR_SPEC_CTRL, 1 },
	{ MSR_TSC_ADJUST, 0x123456789ULL },
};

/* What it was allowed. */
static bool msr_set[ARRAY_SIZE(nasty_msrs)];
static u64 nasty_cr4;

static const u64 nasty_cr4_bits[] = {
	CR4_TSD, CR4_DE, CR4_PSE, CR4_MCE, CR4_PCE, CR4_UMIP, CR4_FSGSBASE, CR4_PCIDE,
	CR4_OSXSAVE, CR4_SMEP, CR4_SMAP,
};

static void set_nasty_tables(void)
{
	u64 *gdt = (u64 *)GPA_NASTY_GDT;

	copy_bytes(gdt, (void *)GPA_GDT, GDT_LIMIT + 1);
	copy_bytes((void *)GPA_NASTY_IDT, (void *)GPA_IDT, PAGE_SIZE);
	/* An LDT of one page, and in it data. */
	gdt[SEL_LDT / 8] = 0xfff | GPA_NASTY_LDT << 16 | 0x82ULL << 40;
	gdt[SEL_LDT / 8 + 1] = 0;
	((u64 *)GPA_NASTY_LDT)[1] = 0x00cf93000000ffffULL;
	write_gdt(GPA_NASTY_GDT, SEL_LDT + 15);
	write_idt(GPA_NASTY_IDT, 0x7ff);
	asm volatile("lldt %w0" : : "r"(SEL_LDT));
	asm volatile("mov %0, %%ds\n"
		     "mov %0, %%es\n"
		     "mov %0, %%fs\n"
		     "mov %0, %%gs"
		     : : "r"(1 << 3 | 4) : "memory");
}

static void set_nasty_registers(void)
{
	u32 index;
	u64 value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nasty_msrs); i++) {
		value = nasty_msrs[i].value;
		index = nasty_msrs[i].index;
		/* Some are refused, some take no value. */
		msr_set[i] = guest_try_wrmsr(index, value) == NO_TRAP && rdmsr(index) == value;
	}
	for (i = 0; i < ARRAY_SIZE(nasty_cr4_bits); i++)
		guest_try_cr4(read_cr4() | nasty_cr4_bits[i]);
	nasty_cr4 = read_cr4();
	if (nasty_cr4 & CR4_OSXSAVE)
		GUEST_EQ(guest_try_xsetbv(0, XCR0_X87), NO_TRAP);
	guest_try_cr0((read_cr0() | CR0_AM) & ~CR0_WP);
	write_cr8(5);
	write_cr2(0xdeadbeef000ULL);
	write_dr0((u64)&guest_laps + 64);
	write_dr1((u64)&guest_laps + 128);
	write_dr2(0x7fff00000000ULL);
	write_dr3((u64)&guest_laps + 256);
	write_dr6(DR6_RESET | 0xf);
	/* All four, local and global, for data of 8 bytes. */
	write_dr7(DR7_RESET | 0xff | 0xbbbb0000);
}

/* It still has what it set. */
static void check_nasty_registers(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nasty_msrs); i++)
		if (msr_set[i])
			GUEST_EQ(rdmsr(nasty_msrs[i].index), nasty_msrs[i].value);
	GUEST_EQ(read_cr4(), nasty_cr4);
	GUEST_EQ(read_cr8(), 5);
	GUEST_EQ(read_cr2(), 0xdeadbeef000ULL);
	if (nasty_cr4 & CR4_OSXSAVE)
		GUEST_EQ(xgetbv(0), XCR0_X87);
	GUEST_EQ(read_dr0(), (u64)&guest_laps + 64);
	GUEST_EQ(read_dr3(), (u64)&guest_laps + 256);
	GUEST_EQ(read_dr6(), DR6_RESET | 0xf);
	GUEST_EQ(read_dr7(), DR7_RESET | 0xff | 0xbbbb0000);
	GUEST_EQ(read_gdt().limit, SEL_LDT + 15);
	GUEST_EQ(read_idt().limit, 0x7ff);
}

/* Nasty, and for @spins laps busy, from one sync to the next. */
static void nasty_guest(u64 spins)
{
	u64 i;

	set_nasty_tables();
	set_nasty_registers();
	while (!READ_ONCE(stop)) {
		for (i = 0; i < spins; i++)
			WRITE_ONCE(guest_laps, guest_laps + 1);
		WRITE_ONCE(watched, READ_ONCE(watched));
		write_flags(NASTY_FLAGS);
		guest_sync(1);
		write_flags(RFLAGS_ONE);
		check_nasty_registers();
	}
	guest_done();
}

/* Never leaves on its own account. */
static void endless_guest(u64 arg)
{
	set_nasty_tables();
	set_nasty_registers();
	/* So that the host's interrupts come anywhere, on an emulated CPU too. */
	irq_on();
	while (!READ_ONCE(stop))
		WRITE_ONCE(guest_laps, guest_laps + 1);
	guest_done();
}

/* -------------------------------------------------------------- the host's side */

FIXTURE(host)
{
	struct vm *vm;
	struct vcpu *vcpu;
	int cpus[2];
	int nr_cpus;
};

FIXTURE_SETUP(host)
{
	self->nr_cpus = online_cpus(self->cpus, 2);
	ASSERT_TRUE(pin_to_cpu(0, self->cpus[0]));
	self->vm = vm_create();
	self->vcpu = vcpu_create_at(self->vm, 0, nasty_guest, 50000);
}

FIXTURE_TEARDOWN(host)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

/* Some of RUN, on this CPU: its exits, and the host's interrupts. */
static void run_nasty(struct vcpu *vcpu)
{
	int i;

	for (i = 0; i < 4; i++)
		guest_run_sync(vcpu, 1);
}

static sigjmp_buf on_fault;

static void fault_handler(int nr)
{
	siglongjmp(on_fault, nr);
}

/* Does @fn meet a signal? Its number, or 0. */
static int faults(void (*fn)(void))
{
	struct sigaction act = { .sa_handler = fault_handler }, segv, trap;
	int nr;

	sigaction(SIGSEGV, &act, &segv);
	sigaction(SIGTRAP, &act, &trap);
	nr = sigsetjmp(on_fault, 1);
	if (!nr)
		fn();
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGTRAP, &trap, NULL);
	return nr;
}

/* ------------------------------------------------------------------------- MSRs */

static const struct host_msr {
	const char *name;
	u32 index;
} known_msrs[] = {
	{ "EFER", MSR_EFER }, { "STAR", MSR_STAR }, { "LSTAR", MSR_LSTAR },
	{ "CSTAR", MSR_CSTAR }, { "SFMASK", MSR_SFMASK }, { "FS_BASE", MSR_FS_BASE },
	{ "GS_BASE", MSR_GS_BASE }, { "KERNEL_GS_BASE", MSR_KERNEL_GS_BASE },
	{ "TSC_AUX", MSR_TSC_AUX }, { "SYSENTER_CS", MSR_SYSENTER_CS },
	{ "SYSENTER_ESP", MSR_SYSENTER_ESP }, { "SYSENTER_EIP", MSR_SYSENTER_EIP },
	{ "PAT", MSR_PAT }, { "MISC_ENABLE", MSR_MISC_ENABLE }, { "DEBUGCTL", MSR_DEBUGCTL },
	{ "APIC_BASE", MSR_APIC_BASE }, { "XSS", MSR_XSS }, { "SPEC_CTRL", MSR_SPEC_CTRL },
	{ "TSC_ADJUST", MSR_TSC_ADJUST }, { "FEATURE_CONTROL", MSR_FEATURE_CONTROL },
	{ "UMWAIT_CONTROL", MSR_UMWAIT }, { "TSX_CTRL", MSR_TSX_CTRL },
	{ "MTRR_DEF_TYPE", MSR_MTRR_DEF_TYPE }, { "PERF_GLOBAL_CTRL", MSR_PERF_GLOBAL_CTRL },
};

#define NR_HOST_MSRS	ARRAY_SIZE(known_msrs)

struct msr_values {
	bool there[NR_HOST_MSRS];
	u64 value[NR_HOST_MSRS];
};

static int open_msrs(int cpu)
{
	char path[64];
	int fd;

	module_load("msr");
	snprintf(path, sizeof(path), "/dev/cpu/%d/msr", cpu);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd;
}

/* The CPU must be the one we are on: two MSRs belong to the running thread. */
static void read_msrs(int fd, struct msr_values *v)
{
	size_t i;

	for (i = 0; i < NR_HOST_MSRS; i++)
		v->there[i] = pread(fd, &v->value[i], 8, known_msrs[i].index) == 8;
}

TEST_F(host, msrs)
{
	struct msr_values before, after;
	int fd, c, nr = 0;
	size_t i;

	for (c = 0; c < self->nr_cpus; c++) {
		ASSERT_TRUE(pin_to_cpu(0, self->cpus[c]));
		fd = open_msrs(self->cpus[c]);
		/* Later it would hide what the CPUs before have shown. */
		if (fd < 0 && !c)
			SKIP(return, "no /dev/cpu/N/msr");
		ASSERT_GE(fd, 0);
		read_msrs(fd, &before);
		run_nasty(self->vcpu);
		read_msrs(fd, &after);
		close(fd);
		for (i = 0; i < NR_HOST_MSRS; i++) {
			EXPECT_EQ(before.there[i], after.there[i])
				TH_LOG("%s", known_msrs[i].name);
			if (!before.there[i])
				continue;
			EXPECT_EQ(before.value[i], after.value[i])
				TH_LOG("%s on CPU %d", known_msrs[i].name, self->cpus[c]);
			nr++;
		}
	}
	ASSERT_GE(nr, 12 * self->nr_cpus);
}

/* And when there are no VMs any more. */
TEST_F(host, msrs_after_the_vm)
{
	int fd = open_msrs(self->cpus[0]);
	struct msr_values before, after;
	struct vcpu *vcpu;
	struct vm *vm;
	size_t i;

	if (fd < 0)
		SKIP(return, "no /dev/cpu/N/msr");
	read_msrs(fd, &before);
	vm = vm_create();
	vcpu = vcpu_create_at(vm, 1, nasty_guest, 100);
	run_nasty(vcpu);
	run_nasty(self->vcpu);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
	read_msrs(fd, &after);
	close(fd);
	for (i = 0; i < NR_HOST_MSRS; i++)
		if (before.there[i])
			EXPECT_EQ(before.value[i], after.value[i])
				TH_LOG("%s", known_msrs[i].name);
	self->vm = vm_create_empty();
	self->vcpu = vcpu_create(self->vm, 0);
}

/* ------------------------------------------------- descriptor tables, segments */

struct tables {
	struct table_register gdt, idt;
	u16 tr, ldt, ss, cs, msw;
};

/* Where UMIP is on the kernel makes these up, always the same. */
static void read_tables(struct tables *t)
{
	memset(t, 0, sizeof(*t));
	t->gdt = read_gdt();
	t->idt = read_idt();
	asm volatile("str %0\n" : "=m"(t->tr));
	asm volatile("sldt %0\n" : "=m"(t->ldt));
	asm volatile("smsw %0\n" : "=m"(t->msw));
	asm volatile("mov %%ss, %0\n" : "=m"(t->ss));
	asm volatile("mov %%cs, %0\n" : "=m"(t->cs));
}

TEST_F(host, tables)
{
	struct tables before, after;
	int i;

	for (i = 0; i < self->nr_cpus; i++) {
		ASSERT_TRUE(pin_to_cpu(0, self->cpus[i]));
		read_tables(&before);
		run_nasty(self->vcpu);
		read_tables(&after);
		EXPECT_EQ(before.gdt.limit, after.gdt.limit);
		EXPECT_EQ(before.gdt.base, after.gdt.base);
		EXPECT_EQ(before.idt.limit, after.idt.limit);
		EXPECT_EQ(before.idt.base, after.idt.base);
		EXPECT_EQ(before.tr, after.tr);
		EXPECT_EQ(before.ldt, after.ldt);
		EXPECT_EQ(before.msw, after.msw);
		EXPECT_EQ(before.ss, after.ss);
		EXPECT_EQ(before.cs, after.cs);
	}
}

#define LDT_ENTRY	1
#define LDT_SELECTOR	(LDT_ENTRY << 3 | 4 | 3)

static u64 behind_segment[2] = { 0x1122334455667788ULL, 0x99aabbccddeeff00ULL };

/* Data at @base, which must be below 4 GiB; the errno, or 0. */
static int make_ldt(const void *base)
{
	struct user_desc desc = {
		.entry_number = LDT_ENTRY, .base_addr = (uintptr_t)base, .limit = 0xfffff,
		.seg_32bit = 1, .limit_in_pages = 1,
	};

	return syscall(SYS_modify_ldt, 0x11, &desc, sizeof(desc)) ? errno : 0;
}

static u64 get_base(int code)
{
	u64 base = 0;

	require(!syscall(SYS_arch_prctl, code, &base));
	return base;
}

/* RUN until the guest's next sync. */
static void run_in_segments(struct __test_metadata *_metadata, struct vcpu *vcpu, u64 gs_base,
			    u64 at_gs)
{
	struct lodge_exit *e = &vcpu->run->exit;
	struct seen_segments seen;
	u64 fs_base = get_base(ARCH_GET_FS);
	long ret;

	do {
		vcpu->run->complete = vcpu->complete ? LODGE_COMPLETE_DONE : 0;
		vcpu->complete = false;
		ret = ioctl_in_segments(vcpu->fd, LODGE_VCPU_RUN, LDT_SELECTOR, fs_base, &seen,
					gs_base);
		EXPECT_EQ(LDT_SELECTOR, seen.ds);
		EXPECT_EQ(LDT_SELECTOR, seen.es);
		EXPECT_EQ(LDT_SELECTOR, seen.fs);
		EXPECT_EQ(LDT_SELECTOR, seen.gs);
		EXPECT_EQ(behind_segment[0], seen.at_fs);
		EXPECT_EQ(at_gs, seen.at_gs);
		ASSERT_EQ(0, ret);
	} while (e->reason == LODGE_EXIT_HOST_WORK);
	/* Not completed, the guest says it again; to be told if it is bad. */
	guest_run_sync(vcpu, 1);
}

TEST_F(host, ldt_segments)
{
	struct tables before, after;
	int error = make_ldt(behind_segment), i;

	if (error)
		SKIP(return, "no modify_ldt: %s", strerror(error));
	read_tables(&before);
	for (i = 0; i < 5; i++) {
		run_in_segments(_metadata, self->vcpu, 0, behind_segment[0]);
		if (i == 2 && self->nr_cpus > 1)
			ASSERT_TRUE(pin_to_cpu(0, self->cpus[1]));
	}
	ASSERT_TRUE(pin_to_cpu(0, self->cpus[0]));
	read_tables(&after);
	ASSERT_EQ(before.ldt, after.ldt);
}

/* A base that is not the one of the descriptor. */
TEST_F(host, ldt_segment_other_base)
{
	int i;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE))
		SKIP(return, "no WRGSBASE");
	if (make_ldt(behind_segment))
		SKIP(return, "no modify_ldt");
	for (i = 0; i < 3; i++)
		run_in_segments(_metadata, self->vcpu, (uintptr_t)&behind_segment[1],
				behind_segment[1]);
}

TEST_F(host, bases)
{
	const u64 value = 0x123456789000ULL;
	bool insns = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
	u64 fs = get_base(ARCH_GET_FS), base;

	ASSERT_EQ(0, syscall(SYS_arch_prctl, ARCH_SET_GS, value));
	run_nasty(self->vcpu);
	EXPECT_EQ(value, get_base(ARCH_GET_GS));
	EXPECT_EQ(fs, get_base(ARCH_GET_FS));
	if (!insns)
		return;
	asm volatile("rdgsbase %0" : "=r"(base));
	EXPECT_EQ(value, base);
	/* Behind the kernel's back. */
	asm volatile("wrgsbase %0" : : "r"(value + 8));
	run_nasty(self->vcpu);
	asm volatile("rdgsbase %0" : "=r"(base));
	EXPECT_EQ(value + 8, base);
	asm volatile("rdfsbase %0" : "=r"(base));
	EXPECT_EQ(fs, base);
}

/* ----------------------------------------------------------------- system calls */

static bool has_rdtscp(void)
{
	return cpuid(0x80000000, 0).eax >= 0x80000001 &&
	       cpuid(0x80000001, 0).edx & HAS_RDTSCP;
}

static u32 rdtscp_aux(void)
{
	u32 aux;

	asm volatile("rdtscp" : "=c"(aux) : : "eax", "edx", "memory");
	return aux;
}

TEST_F(host, tsc_aux)
{
	unsigned int cpu;
	int i;

	if (!has_rdtscp())
		SKIP(return, "no RDTSCP");
	for (i = 0; i < self->nr_cpus; i++) {
		ASSERT_TRUE(pin_to_cpu(0, self->cpus[i]));
		run_nasty(self->vcpu);
		EXPECT_EQ(self->cpus[i], rdtscp_aux() & 0xfff);
		EXPECT_EQ(self->cpus[i], sched_getcpu());
		ASSERT_EQ(0, syscall(SYS_getcpu, &cpu, NULL, NULL));
		EXPECT_EQ(self->cpus[i], cpu);
	}
}

static long int80_getpid(void)
{
	long ret;

	asm volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static void try_int80(void)
{
	int80_getpid();
}

TEST_F(host, int80)
{
	int i;

	if (faults(try_int80) || int80_getpid() != getpid())
		SKIP(return, "no int $0x80");
	for (i = 0; i < 5; i++) {
		run_nasty(self->vcpu);
		ASSERT_EQ(getpid(), int80_getpid());
		ASSERT_EQ(getpid(), syscall(SYS_getpid));
	}
}

/* ------------------------------------------------------------- control registers */

TEST_F(host, xcr0)
{
	u64 before;

	if (!(cpuid(1, 0).ecx & HAS_OSXSAVE))
		SKIP(return, "no XSAVE");
	before = xgetbv(0);
	run_nasty(self->vcpu);
	ASSERT_EQ(before, xgetbv(0));
}

static void try_rdtsc(void)
{
	read_tsc();
}

/* CR4.TSD of this thread, against the CR4 that other threads have. */
TEST_F(host, tsc_disabled)
{
	int i;

	/* First with it on, so that RUN has to notice the change. */
	run_nasty(self->vcpu);
	ASSERT_EQ(0, faults(try_rdtsc));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
		run_nasty(self->vcpu);
		ASSERT_EQ(SIGSEGV, faults(try_rdtsc));
		ASSERT_EQ(0, prctl(PR_SET_TSC, PR_TSC_ENABLE));
		run_nasty(self->vcpu);
		ASSERT_EQ(0, faults(try_rdtsc));
	}
}

/* ------------------------------------------------------------------------- ports */

static void touch_port(void)
{
	outb(0, SAFE_PORT);
}

TEST_F(host, ioperm)
{
	int i;

	ASSERT_EQ(SIGSEGV, faults(touch_port));
	if (ioperm(SAFE_PORT, 1, 1))
		SKIP(return, "no ioperm: %s", strerror(errno));
	ASSERT_EQ(0, faults(touch_port));
	for (i = 0; i < self->nr_cpus; i++) {
		ASSERT_TRUE(pin_to_cpu(0, self->cpus[i]));
		run_nasty(self->vcpu);
		ASSERT_EQ(0, faults(touch_port));
	}
	ASSERT_EQ(0, ioperm(SAFE_PORT, 1, 0));
	run_nasty(self->vcpu);
	ASSERT_EQ(SIGSEGV, faults(touch_port));
}

/* ---------------------------------------------------------- hardware breakpoints */

/* Counts this thread's writes to @p; -1 when there is no such thing. */
static int watch(void *p)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_W, .bp_addr = (uintptr_t)p,
		.bp_len = HW_BREAKPOINT_LEN_8, .exclude_kernel = 1, .exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static u64 count_of(int fd)
{
	u64 n = 0;

	require(read(fd, &n, sizeof(n)) == sizeof(n));
	return n;
}

static void touch_watched(int times)
{
	while (times-- > 0)
		WRITE_ONCE(watched, READ_ONCE(watched) + 1);
}

TEST_F(host, breakpoint)
{
	int fd = watch(&watched), i;
	u64 count;

	if (fd < 0)
		SKIP(return, "no hardware breakpoints: %s", strerror(errno));
	touch_watched(3);
	if (count_of(fd) != 3)
		SKIP(return, "hardware breakpoints do not count");
	for (i = 1; i <= 5; i++) {
		/* The guest writes there, too; that is not counted. */
		run_nasty(self->vcpu);
		count = count_of(fd);
		ASSERT_EQ(3 * i, count);
		touch_watched(3);
		ASSERT_EQ(3 * i + 3, count_of(fd));
	}
	close(fd);
}

#define GUEST_HITS	5

static u64 guest_watched __attribute((aligned(8)));

/* One #DB for each write, whatever the host has in the registers. */
static void watching_guest(u64 arg)
{
	u64 *hits = &this_guest_cpu()->interrupts[DB_VECTOR], i;

	guest_handle(DB_VECTOR, guest_count_only);
	write_dr0((u64)&guest_watched);
	write_dr7(DR7_RESET | 1 | 0x90000);
	for (i = 1; i <= GUEST_HITS; i++) {
		write_dr6(DR6_RESET);
		WRITE_ONCE(guest_watched, i);
		GUEST_EQ(READ_ONCE(*hits), i);
		GUEST_EQ(read_dr6(), DR6_RESET | 1);
		WRITE_ONCE(watched, i);
		GUEST_EQ(READ_ONCE(*hits), i);
		guest_sync(i);
		GUEST_EQ(read_dr0(), (u64)&guest_watched);
	}
	guest_done();
}

TEST_F(host, breakpoint_of_both)
{
	int fd = watch(&watched), i;

	if (fd < 0)
		SKIP(return, "no hardware breakpoints: %s", strerror(errno));
	vcpu_start_long(self->vcpu, watching_guest, 0);
	for (i = 1; i <= GUEST_HITS; i++) {
		guest_run_sync(self->vcpu, i);
		ASSERT_EQ(i - 1, count_of(fd));
		WRITE_ONCE(guest_watched, 0);
		touch_watched(1);
		ASSERT_EQ(i, count_of(fd));
	}
	guest_run_done(self->vcpu);
	close(fd);
}

/* -------------------------------------------------------------- others on the CPU */

#define NEIGHBOUR_ROUNDS	50

/* What a neighbour finds wrong; 0 when nothing is. */
static const char *neighbour_round(int cpu, int bp, u64 *writes, bool io)
{
	if (has_rdtscp() && (rdtscp_aux() & 0xfff) != (u32)cpu)
		return "RDTSCP does not give the CPU";
	if (sched_getcpu() != cpu)
		return "getcpu does not give the CPU";
	if (syscall(SYS_getppid) <= 0)
		return "a system call failed";
	if (bp >= 0) {
		touch_watched(2);
		*writes += 2;
		if (count_of(bp) != *writes)
			return "a hardware breakpoint was not hit";
	}
	if (io && faults(touch_port))
		return "a port cannot be touched";
	return NULL;
}

/* A process of its own: it has the port and a breakpoint. */
static int neighbour(int cpu)
{
	bool io = !ioperm(SAFE_PORT, 1, 1);
	int bp = watch(&watched), i;
	const char *wrong;
	u64 writes = 0;

	require(pin_to_cpu(0, cpu));
	/* Where they do not count without a guest either, they prove nothing. */
	touch_watched(1);
	if (bp >= 0 && count_of(bp) != 1)
		bp = -1;
	writes = 1;
	for (i = 0; i < NEIGHBOUR_ROUNDS; i++) {
		wrong = neighbour_round(cpu, bp, &writes, io);
		if (wrong) {
			fprintf(stderr, "# beside the guest, round %d: %s\n", i, wrong);
			return 1;
		}
		if (i & 1)
			sched_yield();
		else
			usleep(50);
	}
	return 0;
}

struct waiter {
	pid_t pid;
	struct vcpu *vcpu;
	int status;
};

/* Ends the guest when the neighbour ends. */
static void *waiter_fn(void *arg)
{
	struct waiter *w = arg;

	require(waitpid(w->pid, &w->status, 0) == w->pid);
	WRITE_ONCE(stop, 1);
	return NULL;
}

TEST_F(host, neighbour)
{
	struct waiter w = { .vcpu = self->vcpu };
	pthread_t thread;

	vcpu_start_long(self->vcpu, endless_guest, 0);
	w.pid = fork();
	ASSERT_GE(w.pid, 0);
	if (!w.pid)
		_exit(neighbour(self->cpus[0]));
	thread = spawn(waiter_fn, &w);
	guest_run_done(self->vcpu);
	join(thread);
	ASSERT_TRUE(WIFEXITED(w.status));
	ASSERT_EQ(0, WEXITSTATUS(w.status));
}

/* ------------------------------------------------------------------------ signals */

#define SIGNALS		20

static u32 handled;

static void count_signal(int nr)
{
	WRITE_ONCE(handled, handled + 1);
}

struct sender {
	pthread_t to;
	bool ended;
};

/* Each signal goes out while the guest runs. */
static void *sender_fn(void *arg)
{
	struct sender *s = arg;
	u64 laps;
	u32 i;

	for (i = 0; i < SIGNALS; i++) {
		laps = READ_ONCE(guest_laps);
		wait_until(READ_ONCE(guest_laps) != laps);
		pthread_kill(s->to, SIGUSR1);
		wait_until(READ_ONCE(handled) > i);
	}
	return NULL;
}

static void signals(struct __test_metadata *_metadata, struct vcpu *vcpu, int flags)
{
	struct sigaction act = { .sa_handler = count_signal, .sa_flags = flags };
	struct sender s = { .to = pthread_self() };
	pthread_t thread;
	u32 i;

	ASSERT_EQ(0, sigaction(SIGUSR1, &act, NULL));
	vcpu_start_long(vcpu, endless_guest, 0);
	thread = spawn(sender_fn, &s);
	for (i = 1; i <= SIGNALS; i++) {
		ASSERT_EQ(EINTR, vcpu_run(vcpu));
		ASSERT_EQ(LODGE_EXIT_SIGNAL, vcpu->run->exit.reason);
		ASSERT_EQ(i, READ_ONCE(handled));
	}
	join(thread);
	WRITE_ONCE(stop, 1);
	guest_run_done(vcpu);
}

TEST_F(host, signals)
{
	signals(_metadata, self->vcpu, 0);
}

/* SA_RESTART does not hide them. */
TEST_F(host, signals_restart)
{
	signals(_metadata, self->vcpu, SA_RESTART);
}

/* The handler's view of the thread: its bases, and where TLS is. */
static __thread int tls_word = 42;
static int tls_seen;

static void look_at_tls(int nr)
{
	tls_seen = tls_word;
	count_signal(nr);
}

TEST_F(host, signal_sees_tls)
{
	struct sender s = { .to = pthread_self() };
	pthread_t thread;
	u32 i;

	signal(SIGUSR1, look_at_tls);
	vcpu_start_long(self->vcpu, endless_guest, 0);
	thread = spawn(sender_fn, &s);
	for (i = 1; i <= SIGNALS; i++) {
		tls_seen = 0;
		ASSERT_EQ(EINTR, vcpu_run(self->vcpu));
		ASSERT_EQ(42, tls_seen);
	}
	join(thread);
}

TEST_HARNESS_MAIN
