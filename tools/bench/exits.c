// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that leave the guest. The guest runs with interrupts on, as guests
 * mostly do.
 */
#include <stdint.h>
#include <sys/ioctl.h>

#include "bench.h"

#define IPI_VECTOR	0x40
#define SELF_IPI_MSR	(MSR_X2APIC + APIC_SELF_IPI / 16)

/* --------------------------------------------------------- the guest's operations */

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

/* The smallest handler there is: count, acknowledge, return. */
u64 ipi_count;

#define IPI_HANDLER_TEXT						\
	"push	%rax\n"							\
	"push	%rcx\n"							\
	"push	%rdx\n"							\
	"incq	ipi_count(%rip)\n"					\
	"mov	$0x80b, %ecx\n"						\
	"xor	%eax, %eax\n"						\
	"xor	%edx, %edx\n"						\
	"wrmsr\n"							\
	"pop	%rdx\n"							\
	"pop	%rcx\n"							\
	"pop	%rax\n"							\
	"iretq"

GUEST_ASM(ipi_handler, .code64, IPI_HANDLER_TEXT);

static inline void op_self_ipi(u64 vector)
{
	u64 count = READ_ONCE(ipi_count);

	wrmsr(SELF_IPI_MSR, vector);
	while (READ_ONCE(ipi_count) == count)
		cpu_relax();
}

#define GUEST(name)						\
static void time_##name(u64 arg)				\
{								\
	irq_on();						\
	guest_measure(arg, op_##name);				\
}								\
struct bench_swallow_semicolon

GUEST(empty);
GUEST(cpuid);
GUEST(vmcall);
GUEST(rdmsr);
GUEST(out);
GUEST(in);
GUEST(mmio_write);
GUEST(mmio_read);

static void guest_self_ipi(u64 arg)
{
	static bool enabled;

	/* In the first round only: it exits too. */
	if (!enabled) {
		guest_x2apic_on();
		guest_apic_enable();
		enabled = true;
	}
	irq_on();
	guest_measure(arg, op_self_ipi);
}

/* Our handler in the place of the library's. */
static void setup_ipi(struct vm *vm)
{
	u64 entry = (uintptr_t)ipi_handler;
	u64 *gate = (u64 *)(vm->low + GPA_IDT + IPI_VECTOR * 16);

	gate[0] = (entry & 0xffff) | SEL_CODE64 << 16 | 1ULL << 32 | 0x8eULL << 40 |
		  (entry >> 16 & 0xffff) << 48;
	gate[1] = entry >> 32;
}

/* -------------------------------------------------------------------- the cases */

#define BATCHES		201
#define ITERATIONS	100

#define CASE(fn, n, g, a, reason, exits, user)			\
static void fn(void)						\
{								\
	static const struct guest_case c = {			\
		.name = (n),					\
		.unit = "ticks",				\
		.guest = (g),					\
		.job = { .arg = (a), .batches = BATCHES,	\
			 .iterations = ITERATIONS },		\
		.rounds = 1,					\
		.hw_reason = (reason),				\
		.hw_exits = (exits),				\
		.user_exits = (user),				\
	};							\
								\
	run_guest_case(&c);					\
}								\
struct bench_swallow_semicolon

CASE(bench_empty, "empty_loop", time_empty, 0, HW_CPUID, 0, 0);
CASE(bench_cpuid, "exit_cpuid", time_cpuid, 0, HW_CPUID, 1, 0);
CASE(bench_vmcall, "exit_vmcall", time_vmcall, 0x7fff, HW_VMCALL, 1, 0);
CASE(bench_rdmsr, "exit_rdmsr_tscadj", time_rdmsr, MSR_TSC_ADJUST, HW_RDMSR, 1, 0);
CASE(bench_out, "exit_out_user", time_out, 0x1234, HW_IO, 1, 1);
CASE(bench_in, "exit_in_user", time_in, 0x1234, HW_IO, 1, 1);
CASE(bench_mmio_write, "exit_mmio_wr_user", time_mmio_write, GPA_MMIO, HW_EPT_VIOLATION, 1, 1);
CASE(bench_mmio_read, "exit_mmio_rd_user", time_mmio_read, GPA_MMIO, HW_EPT_VIOLATION, 1, 1);

static void bench_self_ipi(void)
{
	static const struct guest_case c = {
		.name = "selfipi_x2apic_handler_eoi",
		.unit = "ticks",
		.guest = guest_self_ipi,
		.setup = setup_ipi,
		.job = { .arg = IPI_VECTOR, .batches = BATCHES, .iterations = ITERATIONS },
		.rounds = 1,
		.hw_reason = HW_WRMSR,
		.hw_exits = 2,		/* the IPI, and its EOI */
		.injected = 1,
	};

	run_guest_case(&c);
}

/* RUN that finds a kick and does not enter the guest. */
static void bench_run_kicked(void)
{
	struct vm *vm = vm_create_empty();
	struct vcpu *vcpu = vcpu_create(vm, 0);
	static struct samples samples;
	struct lodge_vcpu_stats stats;
	int i, j, ret;
	u64 start, ticks;

	for (i = 0; i < BATCHES; i++) {
		ticks = 0;
		for (j = 0; j < ITERATIONS; j++) {
			vcpu_kick(vcpu);
			start = read_tsc();
			ret = ioctl(vcpu->fd, LODGE_VCPU_RUN, NULL);
			ticks += read_tsc() - start;
			if (!ret || vcpu->run->exit.reason != LODGE_EXIT_KICK)
				vcpu_fail(vcpu, "a kicked RUN did not leave");
		}
		sample(&samples, (double)ticks / ITERATIONS);
	}
	stats = vcpu_stats(vcpu);
	if (stats.exits || stats.user_exits != BATCHES * ITERATIONS)
		test_fail("kicked: %llu exits, %llu returns to the program", stats.exits,
			  stats.user_exits);
	report("run_immediate_exit", "ticks", &samples);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

const struct bench exit_benches[] = {
	{ "empty_loop", "the loop around all of them", bench_empty },
	{ "exit_cpuid", "CPUID, handled in the module", bench_cpuid },
	{ "exit_vmcall", "VMCALL, handled in the module", bench_vmcall },
	{ "exit_rdmsr_tscadj", "RDMSR of TSC_ADJUST", bench_rdmsr },
	{ "exit_out_user", "OUT to the program and back", bench_out },
	{ "exit_in_user", "IN from the program", bench_in },
	{ "exit_mmio_wr_user", "write of memory that is the program's", bench_mmio_write },
	{ "exit_mmio_rd_user", "read of memory that is the program's", bench_mmio_read },
	{ "run_immediate_exit", "RUN with a kick pending", bench_run_kicked },
	{ "selfipi_x2apic_handler_eoi", "self-IPI, handler, EOI", bench_self_ipi },
	{}
};
