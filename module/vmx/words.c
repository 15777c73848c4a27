// SPDX-License-Identifier: GPL-2.0
/*
 * A failed VM entry in words: the VM-instruction error (SDM 3C 31.4), or the
 * first of the guest-state checks of SDM 3C 27.3.1 that the guest's state fails.
 * Not on any hot path: a guest with such a state does not run.
 */
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/processor-flags.h>

#include "../lodge.h"
#include "caps.h"
#include "insn.h"
#include "vmx_internal.h"

static const char * const vmx_insn_errors[] = {
	[1] = "VMCALL in VMX root operation",
	[2] = "VMCLEAR with an invalid address",
	[3] = "VMCLEAR with the VMXON pointer",
	[4] = "VMLAUNCH with a VMCS that is not clear",
	[5] = "VMRESUME with a VMCS that is not launched",
	[6] = "VMRESUME after VMXOFF",
	[7] = "VM entry with invalid control fields",
	[8] = "VM entry with invalid host-state fields",
	[9] = "VMPTRLD with an invalid address",
	[10] = "VMPTRLD with the VMXON pointer",
	[11] = "VMPTRLD with a wrong revision",
	[12] = "VMREAD or VMWRITE of an unsupported field",
	[13] = "VMWRITE to a read-only field",
	[15] = "VMXON in VMX root operation",
	[26] = "VM entry with events blocked by MOV SS",
	[28] = "INVEPT or INVVPID with an invalid operand",
};

static const char * const vmx_seg_names[LODGE_NR_SEGS] = {
	"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR",
};

static bool vmx_canonical(u64 a)
{
	return (u64)((s64)(a << 16) >> 16) == a;
}

/* The guest's state as the checks need it. */
struct vmx_guest {
	u64 cr0, cr3, cr4, efer, rip, rflags, dr7;
	u32 entry, interruptibility, activity, event;
	struct lodge_segment seg[LODGE_NR_SEGS];
	bool ia32e;
};

static bool vmx_bad_cr0(const struct vmx_guest *g)
{
	u64 must = vmx_caps.cr0_fixed0 & ~(u64)(X86_CR0_PE | X86_CR0_PG);

	return (g->cr0 & must) != must || g->cr0 & ~vmx_caps.cr0_fixed1;
}

static bool vmx_bad_paging(const struct vmx_guest *g)
{
	return g->cr0 & X86_CR0_PG && !(g->cr0 & X86_CR0_PE);
}

static bool vmx_bad_cr4(const struct vmx_guest *g)
{
	return (g->cr4 & vmx_caps.cr4_fixed0) != vmx_caps.cr4_fixed0 ||
	       g->cr4 & ~vmx_caps.cr4_fixed1;
}

static bool vmx_bad_long_mode(const struct vmx_guest *g)
{
	return g->ia32e && (!(g->cr0 & X86_CR0_PG) || !(g->cr4 & X86_CR4_PAE));
}

static bool vmx_bad_pcid(const struct vmx_guest *g)
{
	return !g->ia32e && g->cr4 & X86_CR4_PCIDE;
}

static bool vmx_bad_cr3(const struct vmx_guest *g)
{
	return g->cr3 >> boot_cpu_data.x86_phys_bits;
}

static bool vmx_bad_efer(const struct vmx_guest *g)
{
	bool lma = g->efer & EFER_LMA;

	return lma != g->ia32e || (g->cr0 & X86_CR0_PG && lma != !!(g->efer & EFER_LME));
}

static bool vmx_bad_rflags(const struct vmx_guest *g)
{
	return !(g->rflags & X86_EFLAGS_FIXED) || g->rflags & 0xffffffffffc08028ull;
}

static bool vmx_bad_vm86(const struct vmx_guest *g)
{
	return g->rflags & X86_EFLAGS_VM && (g->ia32e || !(g->cr0 & X86_CR0_PE));
}

static bool vmx_bad_if(const struct vmx_guest *g)
{
	bool interrupt = g->event & VMX_INTR_VALID && !(g->event & VMX_INTR_TYPE);

	return interrupt && !(g->rflags & X86_EFLAGS_IF);
}

static bool vmx_bad_rip(const struct vmx_guest *g)
{
	bool l = g->ia32e && g->seg[LODGE_SEG_CS].attrs & BIT(13);

	return l ? !vmx_canonical(g->rip) : g->rip >> 32;
}

static bool vmx_bad_dr7(const struct vmx_guest *g)
{
	return g->dr7 >> 32;
}

static bool vmx_bad_cs_type(const struct vmx_guest *g)
{
	u16 attrs = g->seg[LODGE_SEG_CS].attrs;
	u16 type = attrs & 15;

	return type != 3 && (type & 9) != 9;
}

static bool vmx_bad_cs_flags(const struct vmx_guest *g)
{
	u16 attrs = g->seg[LODGE_SEG_CS].attrs;

	return !(attrs & BIT(4)) || !(attrs & BIT(7)) ||
	       (g->ia32e && (attrs & BIT(13)) && (attrs & BIT(14)));
}

static bool vmx_bad_ss(const struct vmx_guest *g)
{
	const struct lodge_segment *s = &g->seg[LODGE_SEG_SS];
	u16 type = s->attrs & 15;

	return !s->unusable && ((type != 3 && type != 7) || !(s->attrs & BIT(4)) ||
				!(s->attrs & BIT(7)));
}

static bool vmx_bad_tr(const struct vmx_guest *g)
{
	const struct lodge_segment *s = &g->seg[LODGE_SEG_TR];
	u16 type = s->attrs & 15;

	return s->unusable || (type != 11 && (type != 3 || g->ia32e)) || s->attrs & BIT(4) ||
	       !(s->attrs & BIT(7)) || s->selector & 4 || !vmx_canonical(s->base);
}

static bool vmx_bad_ldtr(const struct vmx_guest *g)
{
	const struct lodge_segment *s = &g->seg[LODGE_SEG_LDTR];

	return !s->unusable && ((s->attrs & 15) != 2 || s->attrs & BIT(4) ||
				!(s->attrs & BIT(7)) || s->selector & 4 ||
				!vmx_canonical(s->base));
}

/* The limit's low and high bits must agree with the granularity. */
static bool vmx_bad_limit(const struct lodge_segment *s)
{
	bool g = s->attrs & BIT(15);

	if (s->unusable)
		return false;
	return (g && (s->limit & 0xfff) != 0xfff) || (!g && s->limit >> 20);
}

static bool vmx_bad_limits(const struct vmx_guest *g)
{
	int i;

	for (i = 0; i < LODGE_NR_SEGS; i++)
		if (vmx_bad_limit(&g->seg[i]))
			return true;
	return false;
}

static bool vmx_bad_shadows(const struct vmx_guest *g)
{
	u32 s = g->interruptibility;

	return (s & VMX_SHADOWS) == VMX_SHADOWS ||
	       (s & VMX_SHADOW_STI && !(g->rflags & X86_EFLAGS_IF));
}

static const struct {
	bool (*fails)(const struct vmx_guest *g);
	const char *text;
} vmx_guest_checks[] = {
	{ vmx_bad_cr0, "CR0 has a bit that VMX fixes otherwise" },
	{ vmx_bad_paging, "CR0.PG without CR0.PE" },
	{ vmx_bad_cr4, "CR4 has a bit that VMX fixes otherwise" },
	{ vmx_bad_long_mode, "long mode without paging or without CR4.PAE" },
	{ vmx_bad_pcid, "CR4.PCIDE outside long mode" },
	{ vmx_bad_cr3, "CR3 beyond the physical-address width" },
	{ vmx_bad_efer, "EFER.LMA and EFER.LME do not fit the mode" },
	{ vmx_bad_dr7, "DR7 bits 63:32 are not zero" },
	{ vmx_bad_rflags, "RFLAGS has reserved bits" },
	{ vmx_bad_vm86, "RFLAGS.VM outside 32-bit protected mode" },
	{ vmx_bad_if, "an interrupt is injected with RFLAGS.IF clear" },
	{ vmx_bad_rip, "RIP does not fit the code segment" },
	{ vmx_bad_cs_type, "CS has a type that is not code" },
	{ vmx_bad_cs_flags, "CS attributes (S, P, L with D)" },
	{ vmx_bad_ss, "SS is not a writable data segment" },
	{ vmx_bad_tr, "TR is not a busy TSS" },
	{ vmx_bad_ldtr, "LDTR is not an LDT" },
	{ vmx_bad_limits, "a segment's limit does not fit its granularity" },
	{ vmx_bad_shadows, "shadows of STI and MOV SS do not fit" },
};

static void vmx_guest_collect(struct lodge_vcpu *vcpu, struct vmx_guest *g)
{
	int i;

	*g = (struct vmx_guest) {
		.cr0 = vmx_vmread(VMCS_GUEST_CR0),
		.cr3 = vmx_vmread(VMCS_GUEST_CR3),
		.cr4 = vmx_vmread(VMCS_GUEST_CR4),
		.efer = vmx_vmread(VMCS_GUEST_EFER),
		.rip = vmx_vmread(VMCS_GUEST_RIP),
		.rflags = vmx_vmread(VMCS_GUEST_RFLAGS),
		.dr7 = vmx_vmread(VMCS_GUEST_DR7),
		.entry = vmx_vmread(VMCS_ENTRY_CONTROLS),
		.interruptibility = vmx_vmread(VMCS_GUEST_INTERRUPTIBILITY),
		.activity = vmx_vmread(VMCS_GUEST_ACTIVITY),
		.event = vmx_vmread(VMCS_ENTRY_INTR_INFO),
	};
	g->ia32e = g->entry & ENTRY_IA32E;
	for (i = 0; i < LODGE_NR_SEGS; i++)
		vmx_segment_read(vcpu, i, &g->seg[i]);
}

/* Segments in virtual-8086 mode have one form only. */
static const char *vmx_vm86_segment(const struct vmx_guest *g)
{
	int i;

	if (!(g->rflags & X86_EFLAGS_VM))
		return NULL;
	for (i = LODGE_SEG_ES; i <= LODGE_SEG_GS; i++)
		if (g->seg[i].base != (u64)g->seg[i].selector << 4 ||
		    g->seg[i].limit != 0xffff || g->seg[i].attrs != 0xf3)
			return vmx_seg_names[i];
	return NULL;
}

/* Failures that the CPU itself names, by basic reason and qualification. */
static const struct {
	u32 basic;
	u64 qualification;
	const char *text;
} vmx_named_failures[] = {
	{ VMX_EXIT_INVALID_STATE, 2, "a PAE page-directory pointer has reserved bits" },
	{ VMX_EXIT_INVALID_STATE, 4, "VMCS link pointer" },
	{ VMX_EXIT_MSR_LOAD, 0, "an MSR of the host's perf could not be loaded" },
	{ VMX_EXIT_MCE_ENTRY, 0, "a machine check came with the entry" },
};

static const char *vmx_named_failure(u32 basic, u64 qualification)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(vmx_named_failures); i++)
		if (vmx_named_failures[i].basic == basic &&
		    (basic != VMX_EXIT_INVALID_STATE ||
		     vmx_named_failures[i].qualification == qualification))
			return vmx_named_failures[i].text;
	return NULL;
}

static void vmx_explain_guest(struct lodge_vcpu *vcpu, struct lodge_exit *e)
{
	struct vmx_guest g;
	const char *text;
	const char *seg;
	int i;

	text = vmx_named_failure(vcpu->vmx.exit_reason & VMX_EXIT_REASON_BASIC,
				 e->fail.qualification);
	if (text) {
		strscpy(e->fail.text, text, sizeof(e->fail.text));
		return;
	}
	vmx_guest_collect(vcpu, &g);
	seg = vmx_vm86_segment(&g);
	if (seg) {
		snprintf(e->fail.text, sizeof(e->fail.text),
			 "%s has not the form of virtual-8086 mode", seg);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(vmx_guest_checks); i++) {
		if (!vmx_guest_checks[i].fails(&g))
			continue;
		strscpy(e->fail.text, vmx_guest_checks[i].text, sizeof(e->fail.text));
		return;
	}
	strscpy(e->fail.text, "guest state fails a check of SDM 3C 27.3.1",
		sizeof(e->fail.text));
}

/**
 * vmx_entry_failed() - leave RUN because the CPU did not enter
 * @vcpu: the vCPU; loaded
 * @vmfail: the instruction failed; else the guest's state did (SDM 3C 27.8)
 *
 * Return: LODGE_NEXT_LEAVE, or -EIO when VMX was turned off under us.
 */
int vmx_entry_failed(struct lodge_vcpu *vcpu, bool vmfail)
{
	struct lodge_exit *e = &vcpu->run->exit;
	u32 error;

	lodge_exit_fill(vcpu, LODGE_EXIT_FAIL_ENTRY);
	memset(e->fail.text, 0, sizeof(e->fail.text));
	if (!vmfail) {
		e->fail.hw_reason = vcpu->vmx.exit_reason;
		e->fail.qualification = vmx_vmread(VMCS_EXIT_QUALIFICATION);
		vmx_explain_guest(vcpu, e);
		vmx_take_back_event(vcpu);
		return LODGE_NEXT_LEAVE;
	}
	error = vmx_vmread(VMCS_INSN_ERROR);
	if (!error)
		return -EIO;	/* #UD: reboot or hotplug took VMX away */
	vmx_take_back_event(vcpu);
	e->fail.insn_error = error;
	strscpy(e->fail.text,
		error < ARRAY_SIZE(vmx_insn_errors) && vmx_insn_errors[error] ?
		vmx_insn_errors[error] : "unknown VM-instruction error", sizeof(e->fail.text));
	return LODGE_NEXT_LEAVE;
}
