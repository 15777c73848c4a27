// SPDX-License-Identifier: GPL-2.0
/*
 * What is done about each VM exit: one table, by basic exit reason, and the
 * handlers it names. SDM 3C chapter 28, 3D appendix C.
 */
#include <linux/cpufeature.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <asm/apicdef.h>
#include <asm/cpu.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../exit.h"
#include "../lodge.h"
#include "insn.h"
#include "vmx_internal.h"

static inline u32 vmx_insn_len(void)
{
	return vmx_vmread(VMCS_EXIT_INSN_LEN);
}

static bool vmx_protected_not_kernel(struct lodge_vcpu *vcpu)
{
	return lodge_cpl(vcpu) != 0;
}

/* ------------------------------------------------------------ nothing to do */

/* The host has dealt with it while interrupts were on, or it just ends a stint. */
static int vmx_slow_nothing(struct lodge_vcpu *vcpu)
{
	return LODGE_NEXT_ENTER;
}

/* The guest's APIC timer, or the end of the stint. */
static bool vmx_fast_preemption_timer(struct lodge_vcpu *vcpu)
{
	u64 due = vcpu->lapic.timer_tsc;

	if (!due || lodge_guest_tsc(vcpu) < due)
		return false;
	vcpu->vmx.timer_for = 0;	/* used up */
	vcpu->vmx.recheck = true;
	return true;
}

static bool vmx_fast_window(struct lodge_vcpu *vcpu)
{
	vcpu->vmx.recheck = true;
	return true;
}

/* -------------------------------------------------- instructions, done in here */

static bool vmx_fast_cpuid(struct lodge_vcpu *vcpu)
{
	lodge_cpuid_execute(vcpu);
	vmx_skip(vcpu);
	return true;
}

static int vmx_slow_hlt(struct lodge_vcpu *vcpu)
{
	vmx_skip(vcpu);
	vcpu->mp_state = LODGE_MP_HALTED;
	return LODGE_NEXT_ENTER;
}

/* Caches are coherent and no device bypasses them: nothing to write back. */
static bool vmx_fast_cache(struct lodge_vcpu *vcpu)
{
	vmx_skip(vcpu);
	return true;
}

static bool vmx_fast_ud(struct lodge_vcpu *vcpu)
{
	lodge_inject_ud(vcpu);
	return true;
}

static bool vmx_fast_gp(struct lodge_vcpu *vcpu)
{
	lodge_inject_gp(vcpu);
	return true;
}

/* The answers stock guests know: no such call; not from user mode. */
#define LODGE_HYPERCALL_ENOSYS	1000
#define LODGE_HYPERCALL_EPERM	1

static bool vmx_fast_vmcall(struct lodge_vcpu *vcpu)
{
	u64 ret = -LODGE_HYPERCALL_ENOSYS;

	if (vmx_protected_not_kernel(vcpu))
		ret = -LODGE_HYPERCALL_EPERM;
	vcpu->regs[LODGE_RAX] = lodge_code_width(vcpu) == 8 ? ret : (u32)ret;
	vmx_skip(vcpu);
	return true;
}

static int vmx_slow_xsetbv(struct lodge_vcpu *vcpu)
{
	u64 value = (u32)vcpu->regs[LODGE_RAX] | vcpu->regs[LODGE_RDX] << 32;

	if (vmx_protected_not_kernel(vcpu) || (u32)vcpu->regs[LODGE_RCX] ||
	    lodge_xcr0_write(vcpu, value))
		lodge_inject_gp(vcpu);
	else
		vmx_skip(vcpu);
	return LODGE_NEXT_ENTER;
}

/* ------------------------------------------------------------------------ MSRs */

static void vmx_rdmsr_done(struct lodge_vcpu *vcpu, u64 value)
{
	vcpu->regs[LODGE_RAX] = (u32)value;
	vcpu->regs[LODGE_RDX] = value >> 32;
	vmx_skip(vcpu);
}

static int vmx_msr_leave(struct lodge_vcpu *vcpu, u32 reason, u64 data)
{
	u32 len = vmx_insn_len();
	struct lodge_exit *e = lodge_exit_fill_insn(vcpu, reason, len, LODGE_EXIT_F_COMPLETE);

	e->msr.index = vcpu->regs[LODGE_RCX];
	e->msr.reserved = 0;
	e->msr.data = data;
	vcpu->pending.reason = reason;
	vcpu->pending.insn_len = len;
	return LODGE_NEXT_LEAVE;
}

static noinline bool vmx_rdmsr_any(struct lodge_vcpu *vcpu)
{
	u64 value = 0;

	switch (lodge_msr_read(vcpu, vcpu->regs[LODGE_RCX], &value, false)) {
	case LODGE_MSR_OK:
		vmx_rdmsr_done(vcpu, value);
		return true;
	case LODGE_MSR_GP:
		lodge_inject_gp(vcpu);
		return true;
	default:
		return false;
	}
}

static bool vmx_fast_rdmsr(struct lodge_vcpu *vcpu)
{
	if (!lodge_msr_execute_read(vcpu))
		return vmx_rdmsr_any(vcpu);
	vmx_skip(vcpu);
	return true;
}

static int vmx_slow_rdmsr(struct lodge_vcpu *vcpu)
{
	return vmx_msr_leave(vcpu, LODGE_EXIT_RDMSR, 0);
}

static u64 vmx_msr_value(const struct lodge_vcpu *vcpu)
{
	return (u32)vcpu->regs[LODGE_RAX] | vcpu->regs[LODGE_RDX] << 32;
}

static int vmx_slow_wrmsr(struct lodge_vcpu *vcpu)
{
	u32 index = vcpu->regs[LODGE_RCX];
	u64 value = vmx_msr_value(vcpu);

	switch (lodge_msr_write(vcpu, index, value, false)) {
	case LODGE_MSR_OK:
		vmx_skip(vcpu);
		return LODGE_NEXT_ENTER;
	case LODGE_MSR_GP:
		lodge_inject_gp(vcpu);
		return LODGE_NEXT_ENTER;
	default:
		return vmx_msr_leave(vcpu, LODGE_EXIT_WRMSR, value);
	}
}

static bool vmx_fast_wrmsr(struct lodge_vcpu *vcpu)
{
	switch (lodge_msr_write_fast(vcpu, vcpu->regs[LODGE_RCX], vmx_msr_value(vcpu))) {
	case LODGE_MSR_OK:
		vmx_skip(vcpu);
		return true;
	case LODGE_MSR_GP:
		lodge_inject_gp(vcpu);
		return true;
	default:
		return false;
	}
}

/* ---------------------------------------------------- control, debug registers */

/* MOV to a control or debug register has 64-bit operands in 64-bit mode only. */
static u64 vmx_mov_source(struct lodge_vcpu *vcpu, int reg)
{
	u64 value = lodge_reg_read(vcpu, reg);

	return lodge_code_width(vcpu) == 8 ? value : (u32)value;
}

static int vmx_cr_write(struct lodge_vcpu *vcpu, int cr, u64 value)
{
	switch (cr) {
	case 0:
		return lodge_cr0_write(vcpu, value);
	case 4:
		return lodge_cr4_write(vcpu, value);
	case 8:
		if (value & ~0xfull)
			return -EINVAL;
		lapic_cr8_write(vcpu, value);
		vcpu->vmx.recheck = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* SDM 3C table 28-3. CR3 accesses do not exit; CLTS neither: TS is the guest's own. */
static int vmx_slow_cr(struct lodge_vcpu *vcpu)
{
	u64 qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	int cr = qual & 15, reg = qual >> 8 & 15;
	int ret = 0;

	switch (qual >> 4 & 3) {
	case 0:		/* MOV to CR */
		ret = vmx_cr_write(vcpu, cr, vmx_mov_source(vcpu, reg));
		break;
	case 1:		/* MOV from CR8 */
		lodge_reg_write(vcpu, reg, lapic_cr8_read(vcpu));
		break;
	case 3:		/* LMSW can set PE but not clear it */
		ret = lodge_cr0_write(vcpu, (lodge_cr0_read(vcpu) & ~0xeull) |
				      (qual >> 16 & 0xf));
		break;
	}
	if (ret)
		lodge_inject_gp(vcpu);
	else
		vmx_skip(vcpu);
	return LODGE_NEXT_ENTER;
}

/* SDM 3C table 28-4. */
static int vmx_slow_dr(struct lodge_vcpu *vcpu)
{
	u64 qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	int dr = qual & 7, reg = qual >> 8 & 15;

	if ((dr == 4 || dr == 5) && lodge_cr4_read(vcpu) & X86_CR4_DE) {
		lodge_inject_ud(vcpu);
		return LODGE_NEXT_ENTER;
	}
	if (lodge_cpl(vcpu)) {
		lodge_inject_gp(vcpu);
		return LODGE_NEXT_ENTER;
	}
	if (vcpu->dr7 & DR7_GD) {
		vmx_inject_db(vcpu, DR6_BD);
		return LODGE_NEXT_ENTER;
	}
	if (qual & BIT(4)) {
		lodge_reg_write(vcpu, reg, lodge_dr_read(vcpu, dr));
	} else if (lodge_dr_write(vcpu, dr, vmx_mov_source(vcpu, reg))) {
		lodge_inject_gp(vcpu);
		return LODGE_NEXT_ENTER;
	}
	vmx_skip(vcpu);
	return LODGE_NEXT_ENTER;
}

/**
 * vmx_slow_unhandled() - leave RUN: only user space can make something of the exit
 * @vcpu: the vCPU; loaded
 *
 * Return: LODGE_NEXT_LEAVE.
 */
int vmx_slow_unhandled(struct lodge_vcpu *vcpu)
{
	struct lodge_exit *e = lodge_exit_fill(vcpu, LODGE_EXIT_UNHANDLED);
	u32 basic = vcpu->vmx.exit_reason & VMX_EXIT_REASON_BASIC;

	e->unhandled.hw_reason = vcpu->vmx.exit_reason;
	e->unhandled.qualification = vmx_vmread(VMCS_EXIT_QUALIFICATION);
	e->unhandled.intr_info = vmx_vmread(VMCS_EXIT_INTR_INFO);
	if (basic == VMX_EXIT_EPT_MISCONFIG || basic == VMX_EXIT_EPT_VIOLATION)
		e->unhandled.gpa = vmx_vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
	return LODGE_NEXT_LEAVE;
}

/* -------------------------------------------------------------- exceptions, NMI */

/*
 * The host's split-lock detection raises #AC for guests that never asked for
 * alignment checks: that one is for the host to judge.
 */
static bool vmx_guest_wants_ac(struct lodge_vcpu *vcpu)
{
	return !boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) ||
	       (lodge_cpl(vcpu) == 3 && lodge_cr0_read(vcpu) & X86_CR0_AM &&
		lodge_rflags_read(vcpu) & X86_EFLAGS_AC);
}

/*
 * NMIs and machine checks went to the host right after the exit. #DB does not
 * change DR6 and DR7 when it exits: the qualification says how (SDM 3C 28.2.1).
 */
static int vmx_slow_exception(struct lodge_vcpu *vcpu)
{
	u32 info = vcpu->vmx.intr_info;
	u32 vector = info & VMX_INTR_VECTOR;
	u32 code = 0;

	if ((info & VMX_INTR_TYPE) == LODGE_EVENT_NMI << VMX_INTR_TYPE_SHIFT ||
	    vector == X86_TRAP_MC)
		return LODGE_NEXT_ENTER;
	if (vector == X86_TRAP_AC && !vmx_guest_wants_ac(vcpu))
		return handle_guest_split_lock(lodge_rip_read(vcpu)) ? LODGE_NEXT_ENTER :
								       vmx_slow_unhandled(vcpu);
	if (vector == X86_TRAP_DB &&
	    (info & VMX_INTR_TYPE) == LODGE_EVENT_EXCEPTION << VMX_INTR_TYPE_SHIFT) {
		/* Not DR6_BD: an access to a debug register exits before. */
		vmx_inject_db(vcpu, vmcs_read(VMCS_EXIT_QUALIFICATION) & (DR6_TRAPS | DR6_BS));
		return LODGE_NEXT_ENTER;
	}
	if (info & VMX_INTR_CODE)
		code = vmx_vmread(VMCS_EXIT_INTR_CODE);
	vmx_reflect_exception(vcpu, info, code);
	return LODGE_NEXT_ENTER;
}

/* ---------------------------------------------------------- memory, I/O ports */

static u32 vmx_ept_access(u64 qual)
{
	u32 access = 0;

	if (qual & VMX_EPT_FETCH)
		access |= EPT_ACCESS_EXEC;
	if (qual & VMX_EPT_WRITE)
		access |= EPT_ACCESS_WRITE;
	return access ?: EPT_ACCESS_READ;
}

/*
 * Was it an access that the instruction at RIP makes, and not a page walk or the
 * delivery of an event? Only then does decoding the instruction explain it.
 */
static bool vmx_operand_fault(const struct lodge_vcpu *vcpu, u64 qual)
{
	const u64 final = VMX_EPT_GLA_VALID | VMX_EPT_GLA_FINAL;

	return (qual & final) == final && !(vcpu->event.info & VMX_INTR_VALID);
}

static int vmx_mem_fault_leave(struct lodge_vcpu *vcpu, const struct ept_fault *fault, int error)
{
	struct lodge_exit *e = lodge_exit_fill(vcpu, LODGE_EXIT_MEM_FAULT);

	e->mem.gpa = fault->gpa;
	e->mem.hva = fault->hva;
	e->mem.error = -error;
	if (fault->access & EPT_ACCESS_WRITE)
		e->mem.flags |= LODGE_GVA_WRITE;
	if (fault->access & EPT_ACCESS_EXEC)
		e->mem.flags |= LODGE_GVA_EXEC;
	return LODGE_NEXT_LEAVE;
}

/*
 * A write to memory whose size and value do not matter. How long the instruction is
 * does, and that an EPT violation promises nobody (SDM 3C 28.2.5): CPUs tell it though,
 * and are believed when it is the length of the MOV that rang there the last time. What
 * else has that length, at that RIP in that address space, is taken for the MOV. A write
 * that the CPU makes to deliver an event is not ours.
 */
static bool vmx_bell_mmio(struct lodge_vcpu *vcpu)
{
	const u64 all = VMX_EPT_READ | VMX_EPT_WRITE | VMX_EPT_FETCH | VMX_EPT_GLA_VALID |
			VMX_EPT_GLA_FINAL;
	gpa_t gpa = vmx_vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
	const struct lodge_memo *memo = lodge_memo_of(vcpu->memos, gpa);
	u32 len;

	if (memo->bell != gpa || memo->page != lodge_memo_page(gpa))
		return false;
	len = vmx_insn_len();
	if ((vmcs_read(VMCS_EXIT_QUALIFICATION) & all) !=
	    (VMX_EPT_WRITE | VMX_EPT_GLA_VALID | VMX_EPT_GLA_FINAL) ||
	    vmcs_read(VMCS_IDT_VECTORING_INFO) & VMX_INTR_VALID ||
	    !lodge_memo_agrees(memo, READ_ONCE(vcpu->vm->mem.map_seq), lodge_rip_read(vcpu), len,
			       vmcs_read(VMCS_GUEST_CR3)))
		return false;
	if (!lodge_ioeventfd_signal(&vcpu->vm->signals, LODGE_SPACE_MMIO, gpa, 0, 0))
		return false;
	lodge_skip(vcpu, len);
	return true;
}

static int vmx_slow_ept_violation(struct lodge_vcpu *vcpu)
{
	struct ept_fault *fault = &vcpu->fault;
	u64 qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	gpa_t gpa = vmx_vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
	struct lodge_memo *memo = lodge_memo_of(vcpu->memos, gpa);
	u32 access = vmx_ept_access(qual);
	int ret;

	if (memo->page == lodge_memo_page(gpa) && vmx_operand_fault(vcpu, qual)) {
		ret = lodge_mmio_again(vcpu, memo, gpa, access);
		if (ret != -EAGAIN)
			return ret;
	}

	fault->gpa = gpa;
	fault->access = access;
	fault->faulted_in = false;
	ret = ept_fault(&vcpu->vm->mem, fault);
	if (ret == EPT_FAULT_SLOW) {
		lodge_vcpu_settle(vcpu);
		ret = ept_fault_slowly(&vcpu->vm->mem, fault);
	}
	/* A look-up in page tables leaves nothing of others' in the L1 data cache. */
	if (fault->faulted_in || ret != EPT_FAULT_MAPPED)
		vcpu->vmx.flush_l1d = true;
	if (ret == EPT_FAULT_MAPPED) {
		vcpu->stats.ept_mapped++;
		return LODGE_NEXT_ENTER;
	}
	if (ret == EPT_FAULT_MMIO)
		return vmx_operand_fault(vcpu, qual) ? lodge_mmio_exit(vcpu, gpa, access) :
						       vmx_slow_unhandled(vcpu);
	/* A signal or a retry: the run loop looks, and the guest tries again. */
	if (ret == -EINTR || ret == -EAGAIN)
		return LODGE_NEXT_ENTER;
	return vmx_mem_fault_leave(vcpu, fault, ret);
}

/* Exit qualification of an I/O instruction, SDM 3C table 28-5; bits 2:0: width - 1. */
#define VMX_IO_IN	BIT(3)
#define VMX_IO_STRING	BIT(4)
#define VMX_IO_REP	BIT(5)

/* INS, OUTS: the program finds the memory operand and moves RIP itself. */
static noinline int vmx_string_io(struct lodge_vcpu *vcpu, u32 qual, u32 len)
{
	struct lodge_exit *e = lodge_exit_fill_insn(vcpu, LODGE_EXIT_PIO, len, 0);

	e->pio.port = qual >> 16;
	e->pio.width = (qual & 3) + 1;
	e->pio.flags = LODGE_PIO_STRING | (qual & VMX_IO_IN ? LODGE_PIO_IN : 0) |
		       (qual & VMX_IO_REP ? LODGE_PIO_REP : 0);
	e->pio.data = 0;
	return LODGE_NEXT_LEAVE;
}

/* By width - 1: what an OUT puts out of RAX. */
static const u32 vmx_io_mask[] = { 0xff, 0xffff, 0, 0xffffffff };

/* An OUT: the exit tells all there is to know of it. */
static bool vmx_bell_io(struct lodge_vcpu *vcpu)
{
	struct lodge_signals *signals = &vcpu->vm->signals;
	u32 qual;

	if (!lodge_ioeventfd_any(signals, LODGE_SPACE_PIO))
		return false;
	qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	if (qual & (VMX_IO_IN | VMX_IO_STRING) ||
	    !lodge_ioeventfd_signal(signals, LODGE_SPACE_PIO, qual >> 16, (qual & 3) + 1,
				    vcpu->regs[LODGE_RAX] & vmx_io_mask[qual & 3]))
		return false;
	vmx_skip(vcpu);
	return true;
}

static int vmx_slow_io(struct lodge_vcpu *vcpu)
{
	struct lodge_pending_io *p = &vcpu->pending;
	u32 qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	u32 len = vmx_insn_len();
	struct lodge_exit *e;

	if (unlikely(qual & VMX_IO_STRING))
		return vmx_string_io(vcpu, qual, len);

	e = lodge_exit_fill_insn(vcpu, LODGE_EXIT_PIO, len, LODGE_EXIT_F_COMPLETE);
	e->pio.port = qual >> 16;
	e->pio.width = (qual & 3) + 1;
	p->reason = LODGE_EXIT_PIO;
	p->insn_len = len;
	p->width = (qual & 3) + 1;
	p->port_in = qual & VMX_IO_IN;
	e->pio.flags = p->port_in ? LODGE_PIO_IN : 0;
	e->pio.data = p->port_in ? 0 : vcpu->regs[LODGE_RAX] & vmx_io_mask[qual & 3];
	return LODGE_NEXT_LEAVE;
}

/* --------------------------------------------------------------- ends of a guest */

static int vmx_slow_triple_fault(struct lodge_vcpu *vcpu)
{
	lodge_exit_fill(vcpu, LODGE_EXIT_SHUTDOWN);
	return LODGE_NEXT_LEAVE;
}

/* The CPU saw no interrupt window for long; when it lost state, that was all. */
static int vmx_slow_notify(struct lodge_vcpu *vcpu)
{
	if (vmcs_read(VMCS_EXIT_QUALIFICATION) & BIT(0))
		return vmx_slow_unhandled(vcpu);
	return LODGE_NEXT_ENTER;
}

/* ---------------------------------------------------------------------- the table */

#define FAST(n, f)	{ .name = (n), .fast = (f), .slow = vmx_slow_nothing }
#define SLOW(n, s)	{ .name = (n), .slow = (s) }
#define INSN(n, s)	{ .name = (n), .slow = (s), .insn = true }
#define SLOW_QUIET(n, s) { .name = (n), .slow = (s), .quiet = true }

const struct vmx_exit_handler vmx_exit_handlers[LODGE_NR_HW_EXITS] = {
	[VMX_EXIT_EXCEPTION_NMI] = SLOW("exception or NMI", vmx_slow_exception),
	[VMX_EXIT_EXTERNAL_INTERRUPT] = SLOW_QUIET("external interrupt", vmx_slow_nothing),
	[VMX_EXIT_TRIPLE_FAULT] = SLOW("triple fault", vmx_slow_triple_fault),
	[VMX_EXIT_INTERRUPT_WINDOW] = FAST("interrupt window", vmx_fast_window),
	[VMX_EXIT_NMI_WINDOW] = FAST("NMI window", vmx_fast_window),
	[VMX_EXIT_TASK_SWITCH] = SLOW("task switch", vmx_slow_unhandled),
	[VMX_EXIT_CPUID] = FAST("CPUID", vmx_fast_cpuid),
	[VMX_EXIT_GETSEC] = FAST("GETSEC", vmx_fast_ud),
	[VMX_EXIT_HLT] = INSN("HLT", vmx_slow_hlt),
	[VMX_EXIT_INVD] = FAST("INVD", vmx_fast_cache),
	[VMX_EXIT_RDPMC] = FAST("RDPMC", vmx_fast_gp),
	[VMX_EXIT_VMCALL] = FAST("VMCALL", vmx_fast_vmcall),
	[VMX_EXIT_VMCLEAR] = FAST("VMCLEAR", vmx_fast_ud),
	[VMX_EXIT_VMLAUNCH] = FAST("VMLAUNCH", vmx_fast_ud),
	[VMX_EXIT_VMPTRLD] = FAST("VMPTRLD", vmx_fast_ud),
	[VMX_EXIT_VMPTRST] = FAST("VMPTRST", vmx_fast_ud),
	[VMX_EXIT_VMREAD] = FAST("VMREAD", vmx_fast_ud),
	[VMX_EXIT_VMRESUME] = FAST("VMRESUME", vmx_fast_ud),
	[VMX_EXIT_VMWRITE] = FAST("VMWRITE", vmx_fast_ud),
	[VMX_EXIT_VMXOFF] = FAST("VMXOFF", vmx_fast_ud),
	[VMX_EXIT_VMXON] = FAST("VMXON", vmx_fast_ud),
	[VMX_EXIT_CR] = INSN("control register", vmx_slow_cr),
	[VMX_EXIT_DR] = INSN("debug register", vmx_slow_dr),
	[VMX_EXIT_IO] = {
		.name = "I/O port", .bell = vmx_bell_io, .slow = vmx_slow_io,
		.insn = true, .quiet = true,
	},
	[VMX_EXIT_RDMSR] = { .name = "RDMSR", .fast = vmx_fast_rdmsr, .slow = vmx_slow_rdmsr },
	[VMX_EXIT_WRMSR] = { .name = "WRMSR", .fast = vmx_fast_wrmsr, .slow = vmx_slow_wrmsr },
	[VMX_EXIT_MWAIT] = FAST("MWAIT", vmx_fast_ud),
	[VMX_EXIT_MONITOR] = FAST("MONITOR", vmx_fast_ud),
	[VMX_EXIT_EPT_VIOLATION] = {
		.name = "EPT violation", .bell = vmx_bell_mmio, .slow = vmx_slow_ept_violation,
		.quiet = true,
	},
	[VMX_EXIT_EPT_MISCONFIG] = SLOW("EPT misconfiguration", vmx_slow_unhandled),
	[VMX_EXIT_INVEPT] = FAST("INVEPT", vmx_fast_ud),
	[VMX_EXIT_PREEMPTION_TIMER] = {
		.name = "preemption timer", .fast = vmx_fast_preemption_timer,
		.slow = vmx_slow_nothing, .quiet = true,
	},
	[VMX_EXIT_INVVPID] = FAST("INVVPID", vmx_fast_ud),
	[VMX_EXIT_WBINVD] = FAST("WBINVD", vmx_fast_cache),
	[VMX_EXIT_XSETBV] = INSN("XSETBV", vmx_slow_xsetbv),
	[VMX_EXIT_ENCLS] = FAST("ENCLS", vmx_fast_ud),
	[VMX_EXIT_BUS_LOCK] = SLOW("bus lock", vmx_slow_nothing),
	[VMX_EXIT_NOTIFY] = SLOW("notify window", vmx_slow_notify),
};

static_assert(NR_VMX_EXITS < LODGE_NR_HW_EXITS);
