// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's side: traps, instructions that may fault, and the local APIC.
 * Everything here runs inside the VM.
 */
#include "guest.h"

struct guest_cpu guest_cpus[NR_GUEST_CPUS];
guest_handler guest_handlers[256];

static inline u64 relative(const __s32 *offset)
{
	return (u64)offset + *offset;
}

/* Where to go on after a fault at @rip, or 0. */
static __guest_irq u64 find_fixup(u64 rip)
{
	const struct guest_extable *e;

	for (e = __start_guest_extable; e < __stop_guest_extable; e++)
		if (relative(&e->insn) == rip)
			return relative(&e->fixup);
	return 0;
}

static __guest_irq void record_trap(const struct guest_frame *frame)
{
	struct guest_trap *trap = &this_guest_cpu()->trap;

	trap->vector = frame->vector;
	trap->error = frame->error;
	trap->rip = frame->rip;
	trap->cr2 = read_cr2();
}

static __guest_irq void leave_user_mode(struct guest_frame *frame)
{
	record_trap(frame);
	frame->rip = (u64)guest_user_exit;
	frame->cs = SEL_CODE64;
	frame->ss = SEL_DATA;
	frame->rsp = this_guest_cpu()->user_sp;
	frame->rflags = RFLAGS_ONE;
}

__guest_irq void guest_trap(struct guest_frame *frame)
{
	u64 fixup = find_fixup(frame->rip);

	if (guest_handlers[frame->vector]) {
		guest_handlers[frame->vector](frame);
	} else if (frame->cs & 3) {
		leave_user_mode(frame);
	} else if (fixup) {
		record_trap(frame);
		frame->rip = fixup;
	} else {
		guest_call(GUEST_CALL_TRAP, (u64)frame, read_cr2(), 0, 0, 0);
	}
}

void guest_handle(u8 vector, guest_handler handler)
{
	guest_handlers[vector] = handler;
}

__guest_irq void guest_count_only(struct guest_frame *frame)
{
	u64 *count = &this_guest_cpu()->interrupts[frame->vector];

	WRITE_ONCE(*count, *count + 1);
}

__guest_irq void guest_count_irq(struct guest_frame *frame)
{
	guest_count_only(frame);
	guest_eoi();
}

void guest_fail(const char *text, const char *file, u32 line)
{
	guest_call(GUEST_CALL_FAIL, (u64)text, (u64)file, line, 0, 0);
}

void guest_fail_cmp(const char *text, const char *file, u32 line, u64 seen, u64 want)
{
	guest_call(GUEST_CALL_FAIL_CMP, (u64)text, (u64)file, line, seen, want);
}

int guest_user_call(u16 selector, u64 code, u64 stack)
{
	struct guest_cpu *cpu = this_guest_cpu();

	cpu->trap.vector = NO_TRAP;
	guest_user_enter(code, stack, &cpu->user_sp, selector);
	return READ_ONCE(cpu->trap.vector);
}

int guest_try_rdmsr(u32 index, u64 *value)
{
	u32 lo = 0, hi = 0;
	int vector = guest_try("rdmsr", : "+a"(lo), "+d"(hi) : "c"(index));

	*value = lo | (u64)hi << 32;
	return vector;
}

int guest_try_wrmsr(u32 index, u64 value)
{
	return guest_try("wrmsr", : : "c"(index), "a"((u32)value),
			 "d"((u32)(value >> 32)));
}

int guest_try_cr0(u64 value)
{
	return guest_try("mov %0, %%cr0", : : "r"(value) : "memory");
}

int guest_try_cr3(u64 value)
{
	return guest_try("mov %0, %%cr3", : : "r"(value) : "memory");
}

int guest_try_cr4(u64 value)
{
	return guest_try("mov %0, %%cr4", : : "r"(value) : "memory");
}

int guest_try_xsetbv(u32 index, u64 value)
{
	return guest_try("xsetbv", : : "c"(index), "a"((u32)value),
			 "d"((u32)(value >> 32)));
}

int guest_try_read(u64 addr)
{
	u64 value;

	return guest_try("mov (%1), %0", : "=r"(value) : "r"(addr) : "memory");
}

int guest_try_write(u64 addr, u64 value)
{
	return guest_try("mov %0, (%1)", : : "r"(value), "r"(addr) : "memory");
}

/*
 * The fault of a fetch has the target as its RIP, so no table knows it: the
 * handler of that vector goes back to the caller by the stack.
 */
static __guest_irq void return_from_call(struct guest_frame *frame)
{
	record_trap(frame);
	frame->rip = *(u64 *)frame->rsp;
	frame->rsp += 8;
}

int guest_try_call(u64 addr)
{
	guest_handler old = guest_handlers[PF_VECTOR];
	struct guest_cpu *cpu = this_guest_cpu();

	cpu->trap.vector = NO_TRAP;
	guest_handlers[PF_VECTOR] = return_from_call;
	asm volatile("subq $128, %%rsp; call *%0; addq $128, %%rsp"
		     : : "r"(addr) : "memory", "rax", "cc");
	guest_handlers[PF_VECTOR] = old;
	return READ_ONCE(cpu->trap.vector);
}

static __guest_irq bool x2apic_mode(void)
{
	return rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

u64 guest_apic_read(u32 reg)
{
	if (x2apic_mode())
		return rdmsr(MSR_X2APIC + reg / 16);
	return mmio_read(APIC_BASE_ADDR + reg);
}

void guest_apic_write(u32 reg, u64 value)
{
	if (x2apic_mode())
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		mmio_write(APIC_BASE_ADDR + reg, value);
}

__guest_irq void guest_eoi(void)
{
	if (x2apic_mode())
		wrmsr(MSR_X2APIC + APIC_EOI / 16, 0);
	else
		mmio_write(APIC_BASE_ADDR + APIC_EOI, 0);
}

void guest_x2apic_on(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
}

void guest_apic_enable(void)
{
	guest_apic_write(APIC_SVR, APIC_SVR_ENABLE | 0xff);
}

void guest_send_ipi(u32 dest, u32 icr_low)
{
	if (x2apic_mode()) {
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (u64)dest << 32 | icr_low);
		return;
	}
	mmio_write(APIC_BASE_ADDR + APIC_ICR2, dest << 24);
	mmio_write(APIC_BASE_ADDR + APIC_ICR, icr_low);
}

bool guest_apic_bit(u32 base_reg, u8 vector)
{
	u64 bits = guest_apic_read(base_reg + vector / 32 * 16);

	return bits >> vector % 32 & 1;
}

void guest_delay(u64 ticks)
{
	u64 start = read_tsc();

	while (read_tsc() - start < ticks)
		cpu_relax();
}
