// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that leave the guest. The guest runs with interrupts on, as guests
 * mostly do.
 */
#include "bench.h"

static inline void op_empty(u64 arg)
{
	asm volatile("" : : "r"(arg));
}

static inline void op_cpuid(u64 leaf)
{
	cpuid(leaf, 0);
}

static inline void op_vmcall(u64 nr)
{
	asm volatile("vmcall" : "+a"(nr) : : "memory");
}

static inline void op_rdmsr(u64 index)
{
	rdmsr(index);
}

static inline void op_wrmsr(u64 index)
{
	wrmsr(index, 0);
}

static inline void op_out(u64 port)
{
	port_out(port, port);
}

static inline void op_in(u64 port)
{
	port_in(port);
}

static inline void op_mmio_write(u64 addr)
{
	mmio_write(addr, addr);
}

static inline void op_mmio_read(u64 addr)
{
	mmio_read(addr);
}

/* Never the same instruction twice in a row. */
static inline void op_mmio_turns(u64 turn)
{
	if (turn & 1)
		mmio_write(GPA_MMIO, turn);
	else
		mmio_read(GPA_MMIO);
}

/* What a compiler makes of a checksum: no memory, no exits. */
static inline void op_compute(u64 seed)
{
	int i;

	for (i = 0; i < 1000; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		asm volatile("" : "+r"(seed));
	}
}

#define GUEST(name)						\
static void time_##name(u64 arg)				\
{								\
	irq_on();						\
	guest_measure(arg, op_##name);				\
}								\
struct bench_swallow_semicolon

GUEST(cpuid);
GUEST(vmcall);
GUEST(rdmsr);
GUEST(wrmsr);
GUEST(out);
GUEST(in);
GUEST(mmio_write);
GUEST(mmio_read);
GUEST(mmio_turns);

/* These two may run outside of guests, where STI is not allowed. */
static void time_empty(u64 arg)
{
	guest_measure(arg, op_empty);
}

static void time_compute(u64 arg)
{
	guest_measure(arg, op_compute);
}

/* So short that the host's clock tick is in few batches, not in the median. */
#define EXITS(fn, what)								\
	.guest = time_##fn, .job = { .arg = (what), .batches = 101, .iterations = 20 }

static const struct guest_case empty = { EXITS(empty, 0) };

/* As a Linux guest: SYSCALL is on, with MSRs that are not the host's. */
static void time_out_syscall(u64 arg)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR, 0x0023001000000000);
	wrmsr(MSR_LSTAR, GPA_IMAGE);
	wrmsr(MSR_SFMASK, RFLAGS_IF);
	time_out(arg);
}

/* Long enough that the host's clock ticks weigh what they always weigh. */
static const struct guest_case compute = {
	.guest = time_compute,
	.job = { .arg = 1, .batches = 1, .iterations = 5000 },
};

static const struct guest_case cpuid_exit = {
	EXITS(cpuid, 0),
	.per_op = { [COUNT_EXITS] = 1, [COUNT_CPUID] = 1 },
};

static const struct guest_case vmcall_exit = {
	EXITS(vmcall, 0x7fff),
	.per_op = { [COUNT_EXITS] = 1, [COUNT_VMCALL] = 1 },
};

static const struct guest_case rdmsr_exit = {
	EXITS(rdmsr, MSR_TSC_ADJUST),
	.per_op = { [COUNT_EXITS] = 1, [COUNT_RDMSR] = 1 },
};

static const struct guest_case wrmsr_exit = {
	EXITS(wrmsr, MSR_TSC_ADJUST),
	.per_op = { [COUNT_EXITS] = 1, [COUNT_WRMSR] = 1 },
};

static const struct guest_case out_exit = {
	EXITS(out, 0x1234),
	.per_op = { [COUNT_EXITS] = 1, [COUNT_USER] = 1, [COUNT_IO] = 1 },
};

static const struct guest_case out_syscall_exit = {
	EXITS(out, 0x1234), .warm_up = time_out_syscall,
	.per_op = { [COUNT_EXITS] = 1, [COUNT_USER] = 1, [COUNT_IO] = 1 },
};

static const struct guest_case in_exit = {
	EXITS(in, 0x1234),
	.per_op = { [COUNT_EXITS] = 1, [COUNT_USER] = 1, [COUNT_IO] = 1 },
};

static const struct guest_case mmio_write_exit = {
	EXITS(mmio_write, GPA_MMIO),
	.per_op = { [COUNT_EXITS] = 1, [COUNT_USER] = 1, [COUNT_EPT] = 1 },
};

static const struct guest_case mmio_read_exit = {
	EXITS(mmio_read, GPA_MMIO),
	.per_op = { [COUNT_EXITS] = 1, [COUNT_USER] = 1, [COUNT_EPT] = 1 },
};

static const struct guest_case mmio_turns_exit = {
	.guest = time_mmio_turns,
	.job = { .step = 1, .batches = 101, .iterations = 20 },
	.per_op = { [COUNT_EXITS] = 1, [COUNT_USER] = 1, [COUNT_EPT] = 1 },
};

const struct bench exit_benches[] = {
	{ "empty_loop", "the loop around all of these", .guest = &empty, .host = true },
	{ "cpu_bound", "1000 rounds of arithmetic", .guest = &compute, .host = true },
	{ "exit_cpuid", "CPUID, handled in the kernel", .guest = &cpuid_exit },
	{ "exit_vmcall", "VMCALL, handled in the kernel", .guest = &vmcall_exit },
	{ "exit_rdmsr", "RDMSR of TSC_ADJUST", .guest = &rdmsr_exit },
	{ "exit_wrmsr", "WRMSR of TSC_ADJUST", .guest = &wrmsr_exit },
	{ "exit_out", "OUT to the program and back", .guest = &out_exit },
	{ "exit_out_syscall", "the same, the guest's SYSCALL is on", .guest = &out_syscall_exit },
	{ "exit_in", "IN from the program", .guest = &in_exit },
	{ "exit_mmio_write", "write of memory that is the program's", .guest = &mmio_write_exit },
	{ "exit_mmio_read", "read of memory that is the program's", .guest = &mmio_read_exit },
	{ "exit_mmio_turns", "the two in turn: each is decoded anew", .guest = &mmio_turns_exit },
	{}
};
