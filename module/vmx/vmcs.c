// SPDX-License-Identifier: GPL-2.0
/*
 * The VMCS: made, loaded on a CPU, moved to another, reset, destroyed. And the
 * two accessors through which the rest of the module reads and writes it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/idr.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/smp.h>
#include <asm/nospec-branch.h>
#include <asm/trapnr.h>

#include "../lodge.h"
#include "caps.h"
#include "host.h"
#include "insn.h"
#include "load.h"
#include "owner.h"
#include "perf.h"
#include "vmx_internal.h"

/* What entry.S counts on. */
static_assert(offsetof(struct lodge_vcpu, regs) == 0);
static_assert(offsetof(struct lodge_vcpu, entry.host_rsp) == VMX_ENTRY_HOST_RSP);
static_assert(offsetof(struct lodge_vcpu, entry.spec_guest) == VMX_ENTRY_SPEC_GUEST);
static_assert(offsetof(struct lodge_vcpu, entry.spec_host) == VMX_ENTRY_SPEC_HOST);
static_assert(offsetof(struct lodge_vcpu, entry.flags) == VMX_ENTRY_FLAGS);

static DEFINE_IDA(vmx_vpids);	/* 1 to 65535; 0 is the host's (SDM 3C 29.1) */

/**
 * vmcs_write_checked() - vmcs_write() that says when the CPU refuses the field
 * @field: VMCS_*
 * @value: what to write
 *
 * Context: the vCPU is loaded.
 */
void vmcs_write_checked(unsigned long field, u64 value)
{
	if (!vmx_vmwrite(field, value))
		pr_err_ratelimited("VMWRITE %lx refused\n", field);
}

/**
 * vmx_vmcs_clear_local() - clear a VMCS that is active on this CPU
 * @v: whose
 *
 * Context: interrupts off.
 */
void vmx_vmcs_clear_local(struct vmx_vcpu *v)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	/* Clear before unlinking: a crash in between must still find it. */
	vmx_vmclear(__pa(v->vmcs));
	if (c->current_vmcs == v->vmcs)
		c->current_vmcs = NULL;
	list_del(&v->link);
	container_of(v, struct lodge_vcpu, vmx)->entry.flags &= ~BIT(VMX_ENTRY_RESUME_BIT);
	/* Whoever sees -1 may use the VMCS on another CPU: all of the above first. */
	smp_store_release(&v->vmcs_cpu, -1);
}

static void vmx_vmcs_clear_ipi(void *arg)
{
	struct vmx_vcpu *v = arg;

	/* Hotplug may have been faster. */
	if (v->vmcs_cpu == raw_smp_processor_id())
		vmx_vmcs_clear_local(v);
}

/**
 * vmx_vmcs_clear() - clear a VMCS wherever it is active
 * @v: whose; not running
 *
 * Context: interrupts on.
 */
void vmx_vmcs_clear(struct vmx_vcpu *v)
{
	int cpu = READ_ONCE(v->vmcs_cpu);

	if (cpu >= 0)
		smp_call_function_single(cpu, vmx_vmcs_clear_ipi, v, 1);
	/* The CPU that went offline meanwhile has cleared it on its way. */
	while (smp_load_acquire(&v->vmcs_cpu) >= 0)
		cpu_relax();
}

/* Make the VMCS current on this CPU. Preemption off, interrupts on. */
static noinline void vmx_vmcs_load(struct lodge_vcpu *vcpu, int cpu)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);
	struct vmx_vcpu *v = &vcpu->vmx;
	bool moved = v->vmcs_cpu != cpu;
	unsigned long flags;

	if (moved)
		vmx_vmcs_clear(v);

	local_irq_save(flags);
	if (unlikely(!c->on)) {
		v->lost = true;
		goto out;
	}
	if (moved) {
		list_add(&v->link, &c->active);
		v->vmcs_cpu = cpu;
		/*
		 * Translations made under our VPID when the vCPU was here last
		 * have missed what it invalidated elsewhere since.
		 */
		v->flush_vpid = true;
	}
	if (c->current_vmcs != v->vmcs) {
		vmx_vmptrld(__pa(v->vmcs));
		c->current_vmcs = v->vmcs;
		/* Guests rely on it between vCPUs of one VM, too. */
		indirect_branch_prediction_barrier();
	}
	if (moved) {
		vmx_host_fill_cpu(cpu);
		vmx_vmwrite(VMCS_TSC_OFFSET, v->tsc_offset);	/* a resume changes it */
	}
	/* Each CPU has a TSC of its own, and it may run at any rate. */
	if (!lodge_vmclock_stable(&vcpu->vm->clock))
		set_bit(LODGE_REQ_CLOCK, &vcpu->requests);
out:
	local_irq_restore(flags);
}

static void vmx_sched_in(struct preempt_notifier *pn, int cpu)
{
	struct lodge_vcpu *vcpu = container_of(pn, struct lodge_vcpu, pn);

	if (!vmx_is_current(&vcpu->vmx))
		vmx_vmcs_load(vcpu, cpu);
	vmx_publish(vcpu, cpu);
}

/* Off this CPU; its VMCS may stay cached here. */
static void vmx_sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	struct lodge_vcpu *vcpu = container_of(pn, struct lodge_vcpu, pn);

	WRITE_ONCE(vcpu->cpu, -1);
	vmx_host_unpark(vcpu);
}

static struct preempt_ops vmx_preempt_ops = {
	.sched_in = vmx_sched_in,
	.sched_out = vmx_sched_out,
};

/**
 * vmx_pin_slowly() - lodge_vcpu_pin() where the VMCS has to be made current first
 * @vcpu: the vCPU; owner
 *
 * Context: preemption off, and on again with an error.
 * Return: as lodge_vcpu_pin().
 */
int vmx_pin_slowly(struct lodge_vcpu *vcpu)
{
	int cpu = smp_processor_id();

	if (this_cpu_read(vmx_cpu.on) && !vcpu->vmx.lost)
		vmx_vmcs_load(vcpu, cpu);
	if (!vmx_is_current(&vcpu->vmx)) {
		preempt_enable();
		return -EIO;
	}
	vcpu->hold = LODGE_HOLD_PIN;
	vmx_publish(vcpu, cpu);
	return 0;
}

/**
 * lodge_vcpu_settle() - go on with preemption on: before anything that may sleep
 * @vcpu: the vCPU; pinned, or it has settled already
 *
 * Context: holds no spinlock, interrupts on.
 */
void lodge_vcpu_settle(struct lodge_vcpu *vcpu)
{
	if (vcpu->hold != LODGE_HOLD_PIN)
		return;
	vcpu->hold = LODGE_HOLD_NOTIFIER;
	preempt_notifier_register(&vcpu->pn);
	preempt_enable();
}

/**
 * lodge_vcpu_load() - start to work on a vCPU: its VMCS can be used
 * @vcpu: the vCPU; owner
 *
 * Context: may sleep, before and after. Ends with lodge_vcpu_put().
 * Return: as lodge_vcpu_pin().
 */
int lodge_vcpu_load(struct lodge_vcpu *vcpu)
{
	int ret = lodge_vcpu_pin(vcpu);

	if (!ret)
		lodge_vcpu_settle(vcpu);
	return ret;
}

/**
 * lodge_vcpu_put() - end what lodge_vcpu_load() or lodge_vcpu_pin() started
 * @vcpu: the vCPU
 *
 * Return: 0, or -EIO when it has got lost: what was read or written does not count.
 */
int lodge_vcpu_put(struct lodge_vcpu *vcpu)
{
	if (vcpu->hold == LODGE_HOLD_NOTIFIER) {
		preempt_disable();
		preempt_notifier_unregister(&vcpu->pn);
	}
	lodge_vcpu_unpin(vcpu);
	if (likely(!vcpu->vmx.lost))
		return 0;
	/* So that lodge_vcpu_pin() does not find it current. */
	vmx_vmcs_clear(&vcpu->vmx);
	return -EIO;
}

/* ---------------------------------------------------------- creation, reset */

static void vmx_vmcs_fill_controls(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u32 proc2 = vmx_caps.control[VMX_WORD_PROC2];

	v->proc = vmx_caps.control[VMX_WORD_PROC];
	vmcs_write(VMCS_PIN_CONTROLS, vmx_caps.control[VMX_WORD_PIN]);
	vmcs_write(VMCS_PROC_CONTROLS, v->proc);
	vmcs_write(VMCS_PROC2_CONTROLS, proc2);
	vmcs_write(VMCS_EXIT_CONTROLS, vmx_caps.control[VMX_WORD_EXIT]);
	vmcs_write(VMCS_ENTRY_CONTROLS, vmx_caps.control[VMX_WORD_ENTRY]);
	if (proc2 & PROC2_XSAVES)
		vmcs_write(VMCS_XSS_EXIT_BITMAP, 0);
	if (proc2 & PROC2_ENCLS)
		vmcs_write(VMCS_ENCLS_BITMAP, ~0ull);
	if (proc2 & PROC2_NOTIFY)
		vmcs_write(VMCS_NOTIFY_WINDOW, 0);

	/*
	 * #DB and #AC can loop in microcode while they are delivered, where not
	 * even the preemption timer gets in; #MC is the host's.
	 */
	vmcs_write(VMCS_EXCEPTION_BITMAP,
		   BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC));
	vmcs_write(VMCS_PF_ERROR_MASK, 0);
	vmcs_write(VMCS_PF_ERROR_MATCH, 0);
	vmcs_write(VMCS_CR3_TARGET_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_LOAD_ADDR, __pa(v->perf.areas->exit));
	vmcs_write(VMCS_ENTRY_MSR_LOAD_ADDR, __pa(v->perf.areas->entry));
	vmcs_write(VMCS_MSR_BITMAP, __pa(v->msr_bitmap));
	vmcs_write(VMCS_EPT_POINTER, ept_pointer(&vcpu->vm->mem));
	vmcs_write(VMCS_VPID, v->vpid);
	vmcs_write(VMCS_LINK_POINTER, ~0ull);
}

/**
 * vmx_vcpu_apply_model() - let the VMCS follow the vCPU's CPUID table
 * @vcpu: the vCPU; loaded
 */
void vmx_vcpu_apply_model(struct lodge_vcpu *vcpu)
{
	static const struct {
		u32 bit;
		enum lodge_guest_feature feature;
	} follow[] = {
		{ PROC2_RDTSCP, GF_RDTSCP },
		{ PROC2_INVPCID, GF_INVPCID },
		{ PROC2_XSAVES, GF_XSAVES },
	};
	u32 proc2 = vmx_caps.control[VMX_WORD_PROC2];
	int i;

	for (i = 0; i < ARRAY_SIZE(follow); i++)
		if (!lodge_guest_has(vcpu, follow[i].feature))
			proc2 &= ~follow[i].bit;
	/* RDPID, too, is enabled by "enable RDTSCP". */
	if (lodge_guest_has(vcpu, GF_RDPID))
		proc2 |= vmx_caps.control[VMX_WORD_PROC2] & PROC2_RDTSCP;
	vmcs_write(VMCS_PROC2_CONTROLS, proc2);
	lodge_msr_fill_bitmap(vcpu, vcpu->vmx.msr_bitmap);
}

/**
 * vmx_vcpu_create() - make a VMCS
 * @vcpu: the vCPU, all but loaded
 *
 * What has been made by then goes with vmx_vcpu_destroy(), also on failure.
 *
 * Return: 0, -ENOMEM, -ENOSPC when all VPIDs are taken, -EIO.
 */
int vmx_vcpu_create(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	int vpid, ret;

	preempt_notifier_init(&vcpu->pn, &vmx_preempt_ops);
	v->vmcs_cpu = -1;
	v->rcu_jiffies = jiffies;
	vcpu->cpu = -1;
	vpid = ida_alloc_range(&vmx_vpids, 1, U16_MAX, GFP_KERNEL_ACCOUNT);
	if (vpid < 0)
		return vpid;
	v->vpid = vpid;
	v->vmcs = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	v->msr_bitmap = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	v->perf.areas = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!v->vmcs || !v->msr_bitmap || !v->perf.areas)
		return -ENOMEM;
	memset(v->msr_bitmap, 0xff, PAGE_SIZE);
	*(u32 *)v->vmcs = vmx_caps.revision;
	preempt_disable();
	ret = this_cpu_read(vmx_cpu.on) && vmx_vmclear(__pa(v->vmcs)) ? 0 : -EIO;
	preempt_enable();
	if (ret)
		return ret;

	ret = lodge_vcpu_load(vcpu);
	if (ret)
		return ret;
	vmx_vmcs_fill_controls(vcpu);
	vmx_host_fill_vmcs();
	return lodge_vcpu_put(vcpu);
}

/**
 * vmx_vcpu_destroy() - free a VMCS
 * @vcpu: the vCPU; nobody uses it
 */
void vmx_vcpu_destroy(struct lodge_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	vmx_vmcs_clear(v);
	free_page((unsigned long)v->vmcs);
	free_page((unsigned long)v->msr_bitmap);
	free_page((unsigned long)v->perf.areas);
	if (v->vpid)
		ida_free(&vmx_vpids, v->vpid);
}

/* A segment register after power-on or INIT, SDM 3A table 10-1. */
struct vmx_reset_segment {
	u16 selector;
	u32 base;
	u16 attrs;
};

static const struct vmx_reset_segment vmx_reset_segments[LODGE_NR_SEGS] = {
	[LODGE_SEG_ES] = { 0, 0, 0x93 },
	[LODGE_SEG_CS] = { 0xf000, 0xffff0000, 0x9b },
	[LODGE_SEG_SS] = { 0, 0, 0x93 },
	[LODGE_SEG_DS] = { 0, 0, 0x93 },
	[LODGE_SEG_FS] = { 0, 0, 0x93 },
	[LODGE_SEG_GS] = { 0, 0, 0x93 },
	[LODGE_SEG_LDTR] = { 0, 0, 0x82 },
	[LODGE_SEG_TR] = { 0, 0, 0x8b },
};

/**
 * vmx_vcpu_reset() - registers in the VMCS as after power-on or INIT
 * @vcpu: the vCPU; loaded
 * @init: INIT
 */
void vmx_vcpu_reset(struct lodge_vcpu *vcpu, bool init)
{
	int i;

	for (i = 0; i < LODGE_NR_SEGS; i++) {
		const struct vmx_reset_segment *r = &vmx_reset_segments[i];
		const struct lodge_segment seg = {
			.base = r->base, .limit = 0xffff,
			.selector = r->selector, .attrs = r->attrs,
		};

		vmx_segment_write(vcpu, i, &seg);
	}
	vmcs_write(VMCS_GUEST_GDTR_BASE, 0);
	vmcs_write(VMCS_GUEST_GDTR_LIMIT, 0xffff);
	vmcs_write(VMCS_GUEST_IDTR_BASE, 0);
	vmcs_write(VMCS_GUEST_IDTR_LIMIT, 0xffff);
	lodge_rip_write(vcpu, 0xfff0);
	lodge_rflags_write(vcpu, X86_EFLAGS_FIXED);
	vmcs_write(VMCS_GUEST_RSP, 0);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmcs_write(VMCS_GUEST_ACTIVITY, 0);
	vmcs_write(VMCS_GUEST_PENDING_DBG, 0);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
	vmcs_write(VMCS_GUEST_DR7, vcpu->dr7);
	if (!init) {
		vmcs_write(VMCS_GUEST_SYSENTER_CS, 0);
		vmcs_write(VMCS_GUEST_SYSENTER_ESP, 0);
		vmcs_write(VMCS_GUEST_SYSENTER_EIP, 0);
		vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
		vcpu->vmx.tsc_offset = vcpu->vm->tsc_offset;
		vmcs_write(VMCS_TSC_OFFSET, vcpu->vmx.tsc_offset);
	}
	vcpu->vmx.flush_vpid = true;
	vcpu->vmx.recheck = true;
}
