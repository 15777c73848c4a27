// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a KVM vCPU: what it starts with, and its registers in lodge's form.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "complain.h"
#include "kvm_state.h"
#include "layout.h"

/* --- CPUID ---------------------------------------------------------------------- */

#define CPUID_MAX		256

#define LEAF_VERSION		0x1
#define LEAF_CACHE		0x4
#define LEAF_PMU		0xa
#define LEAF_TOPOLOGY		0xb
#define LEAF_TOPOLOGY_2		0x1f
#define LEAF_ADDRESS		0x80000008

#define VERSION_ECX_X2APIC	BIT(21)
#define VERSION_ECX_DEADLINE	BIT(24)
#define VERSION_ECX_HYPERVISOR	BIT(31)
#define VERSION_EDX_HT		BIT(28)
#define CACHE_MAX_CORES		0x3fU	/* less one; the field holds no more */

/* One package of single-threaded cores, with room for all APIC ids. */
#define PACKAGE_SHIFT		8
#define PACKAGE_CPUS		(1 << PACKAGE_SHIFT)
#define LEVEL_THREAD		1
#define LEVEL_CORE		2

/* SDM 4, table 2-2 */
#define MSR_MISC_ENABLE		0x1a0
#define MISC_FAST_STRING	BIT(0)
#define MISC_NO_BTS		BIT(11)
#define MISC_NO_PEBS		BIT(12)
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_WRITE_BACK		6
#define MTRR_ENABLE		BIT(11)

struct cpuid_table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 e[CPUID_MAX];
};

static int get_supported(int dev, struct cpuid_table *t)
{
	t->head.nent = CPUID_MAX;
	if (ioctl(dev, KVM_GET_SUPPORTED_CPUID, t))
		return complain("/dev/kvm: KVM does not say what CPUs it offers: %s",
				strerror(errno));
	return 0;
}

int kvm_gpa_bits(int dev)
{
	static struct cpuid_table t;

	if (get_supported(dev, &t))
		return -1;
	for (u32 i = 0; i < t.head.nent; i++)
		if (t.e[i].function == LEAF_ADDRESS)
			return t.e[i].eax & 0xff;
	return complain("/dev/kvm: KVM does not say how wide physical addresses are");
}

/*
 * What KVM_GET_SUPPORTED_CPUID leaves to the program: the topology, and bits of
 * devices that the program could have emulated. Return: false to drop the entry.
 */
static bool adjust_entry(struct kvm_cpuid_entry2 *e, unsigned int id)
{
	switch (e->function) {
	case LEAF_VERSION:
		e->ebx = (e->ebx & 0xffff) | id << 24 | (PACKAGE_CPUS - 1) << 16;
		e->ecx |= VERSION_ECX_X2APIC | VERSION_ECX_DEADLINE | VERSION_ECX_HYPERVISOR;
		e->edx |= VERSION_EDX_HT;
		return true;
	case LEAF_CACHE:
		/* Each core has its own, the third level is all cores'. */
		e->eax = (e->eax & 0x3fff) | CACHE_MAX_CORES << 26;
		if ((e->eax >> 5 & 7) >= 3)
			e->eax |= (PACKAGE_CPUS - 1) << 14;
		return true;
	case LEAF_PMU:			/* lodge has none */
	case LEAF_TOPOLOGY:
	case LEAF_TOPOLOGY_2:
		return false;
	default:
		return true;
	}
}

static void add_topology(struct cpuid_table *t, unsigned int id)
{
	const struct kvm_cpuid_entry2 levels[] = {
		{ .eax = 0, .ebx = 1, .ecx = LEVEL_THREAD << 8 },
		{ .eax = PACKAGE_SHIFT, .ebx = PACKAGE_CPUS, .ecx = LEVEL_CORE << 8 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(levels) && t->head.nent < CPUID_MAX; i++) {
		struct kvm_cpuid_entry2 *e = &t->e[t->head.nent++];

		*e = levels[i];
		e->function = LEAF_TOPOLOGY;
		e->index = i;
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		e->ecx |= i;
		e->edx = id;
	}
}

/*
 * What a PC's firmware has set, and lodge's vCPUs have from the start: without
 * fast strings Linux copies by single loads and stores; memory is write-back.
 */
static int set_msrs(const struct vcpu *v)
{
	static const struct kvm_msr_entry values[] = {
		{ .index = MSR_MISC_ENABLE, .data = MISC_FAST_STRING | MISC_NO_BTS | MISC_NO_PEBS },
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK },
	};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[ARRAY_SIZE(values)];
	} msrs = { .head.nmsrs = ARRAY_SIZE(values) };

	memcpy(msrs.e, values, sizeof(values));
	if (ioctl(v->fd, KVM_SET_MSRS, &msrs) != ARRAY_SIZE(values))
		return complain("cannot set the MSRs of vCPU %u: %s", v->id, strerror(errno));
	return 0;
}

int kvm_setup_cpuid(int dev, const struct vcpu *v)
{
	static struct cpuid_table t;
	u32 kept = 0;

	if (get_supported(dev, &t))
		return -1;
	for (u32 i = 0; i < t.head.nent; i++)
		if (adjust_entry(&t.e[i], v->id))
			t.e[kept++] = t.e[i];
	t.head.nent = kept;
	add_topology(&t, v->id);
	if (ioctl(v->fd, KVM_SET_CPUID2, &t))
		return complain("cannot set the CPUID of vCPU %u: %s", v->id, strerror(errno));
	return set_msrs(v);
}

/* --- general registers ------------------------------------------------------------ */

/* Where KVM has them, in the order in which instructions number them. */
static const size_t gpr_offset[16] = {
	offsetof(struct kvm_regs, rax), offsetof(struct kvm_regs, rcx),
	offsetof(struct kvm_regs, rdx), offsetof(struct kvm_regs, rbx),
	offsetof(struct kvm_regs, rsp), offsetof(struct kvm_regs, rbp),
	offsetof(struct kvm_regs, rsi), offsetof(struct kvm_regs, rdi),
	offsetof(struct kvm_regs, r8), offsetof(struct kvm_regs, r9),
	offsetof(struct kvm_regs, r10), offsetof(struct kvm_regs, r11),
	offsetof(struct kvm_regs, r12), offsetof(struct kvm_regs, r13),
	offsetof(struct kvm_regs, r14), offsetof(struct kvm_regs, r15),
};

static int get_gprs(const struct vcpu *v, struct lodge_vcpu_state *state)
{
	struct lodge_gprs *g = &state->gprs;
	struct kvm_regs regs;

	if (ioctl(v->fd, KVM_GET_REGS, &regs))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(gpr_offset); i++)
		memcpy(&g->reg[i], (u8 *)&regs + gpr_offset[i], sizeof(g->reg[i]));
	g->rip = regs.rip;
	g->rflags = regs.rflags;
	return 0;
}

static int set_gprs(const struct vcpu *v, const struct lodge_vcpu_state *state)
{
	const struct lodge_gprs *g = &state->gprs;
	struct kvm_regs regs = { .rip = g->rip, .rflags = g->rflags };

	for (size_t i = 0; i < ARRAY_SIZE(gpr_offset); i++)
		memcpy((u8 *)&regs + gpr_offset[i], &g->reg[i], sizeof(g->reg[i]));
	return ioctl(v->fd, KVM_SET_REGS, &regs);
}

/* --- segments and control registers ---------------------------------------------------- */

static const size_t seg_offset[LODGE_NR_SEGS] = {
	[LODGE_SEG_ES]		= offsetof(struct kvm_sregs, es),
	[LODGE_SEG_CS]		= offsetof(struct kvm_sregs, cs),
	[LODGE_SEG_SS]		= offsetof(struct kvm_sregs, ss),
	[LODGE_SEG_DS]		= offsetof(struct kvm_sregs, ds),
	[LODGE_SEG_FS]		= offsetof(struct kvm_sregs, fs),
	[LODGE_SEG_GS]		= offsetof(struct kvm_sregs, gs),
	[LODGE_SEG_LDTR]	= offsetof(struct kvm_sregs, ldt),
	[LODGE_SEG_TR]		= offsetof(struct kvm_sregs, tr),
};

static struct lodge_segment segment_from_kvm(const struct kvm_segment *k)
{
	return (struct lodge_segment){
		.base = k->base,
		.limit = k->limit,
		.selector = k->selector,
		.attrs = k->type | k->s << 4 | k->dpl << 5 | k->present << 7 | k->avl << 12 |
			 k->l << 13 | k->db << 14 | k->g << 15,
		.unusable = k->unusable,
	};
}

static struct kvm_segment segment_to_kvm(const struct lodge_segment *s)
{
	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = s->attrs & 0xf,
		.s = s->attrs >> 4 & 1,
		.dpl = s->attrs >> 5 & 3,
		.present = s->attrs >> 7 & 1,
		.avl = s->attrs >> 12 & 1,
		.l = s->attrs >> 13 & 1,
		.db = s->attrs >> 14 & 1,
		.g = s->attrs >> 15 & 1,
		.unusable = s->unusable,
	};
}

static struct kvm_segment *kvm_seg(struct kvm_sregs *k, int seg)
{
	return (struct kvm_segment *)((u8 *)k + seg_offset[seg]);
}

static int get_sregs(const struct vcpu *v, struct lodge_vcpu_state *state)
{
	struct lodge_sregs *s = &state->sregs;
	struct lodge_crs *c = &state->crs;
	struct kvm_sregs k;

	if (ioctl(v->fd, KVM_GET_SREGS, &k))
		return -1;
	for (int i = 0; i < LODGE_NR_SEGS; i++)
		s->seg[i] = segment_from_kvm(kvm_seg(&k, i));
	s->gdt = (struct lodge_table){ k.gdt.base, k.gdt.limit, 0 };
	s->idt = (struct lodge_table){ k.idt.base, k.idt.limit, 0 };
	*c = (struct lodge_crs){
		.cr0 = k.cr0,
		.cr2 = k.cr2,
		.cr3 = k.cr3,
		.cr4 = k.cr4,
		.cr8 = k.cr8,
		.efer = k.efer,
	};
	return 0;
}

/* KVM takes both groups at once; the APIC's base in between stays as it is. */
static int set_sregs(const struct vcpu *v, const struct lodge_vcpu_state *state, u64 groups)
{
	const struct lodge_sregs *s = &state->sregs;
	const struct lodge_crs *c = &state->crs;
	struct kvm_sregs k;

	if (ioctl(v->fd, KVM_GET_SREGS, &k))
		return -1;
	if (groups & LODGE_STATE_SREGS) {
		for (int i = 0; i < LODGE_NR_SEGS; i++)
			*kvm_seg(&k, i) = segment_to_kvm(&s->seg[i]);
		k.gdt = (struct kvm_dtable){ .base = s->gdt.base, .limit = s->gdt.limit };
		k.idt = (struct kvm_dtable){ .base = s->idt.base, .limit = s->idt.limit };
	}
	if (groups & LODGE_STATE_CRS) {
		k.cr0 = c->cr0;
		k.cr2 = c->cr2;
		k.cr3 = c->cr3;
		k.cr4 = c->cr4;
		k.cr8 = c->cr8;
		k.efer = c->efer;
	}
	return ioctl(v->fd, KVM_SET_SREGS, &k);
}

/* --- the rest ----------------------------------------------------------------------------- */

static int get_drs(const struct vcpu *v, struct lodge_vcpu_state *state)
{
	struct kvm_debugregs k;

	if (ioctl(v->fd, KVM_GET_DEBUGREGS, &k))
		return -1;
	memcpy(state->drs.dr, k.db, sizeof(state->drs.dr));
	state->drs.dr6 = k.dr6;
	state->drs.dr7 = k.dr7;
	return 0;
}

static u32 mp_state(u32 k)
{
	switch (k) {
	case KVM_MP_STATE_HALTED:
		return LODGE_MP_HALTED;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
		return LODGE_MP_WAIT_SIPI;
	default:
		return LODGE_MP_RUNNABLE;
	}
}

/* Of what can be on its way: an exception, an interrupt or an NMI, in this order. */
static void event_from_kvm(const struct kvm_vcpu_events *k, struct lodge_events *ev)
{
	if (k->exception.injected) {
		ev->event_vector = k->exception.nr;
		ev->event_type = LODGE_EVENT_EXCEPTION;
		ev->event_code = k->exception.error_code;
		ev->flags |= k->exception.has_error_code ? LODGE_EV_EVENT_CODE : 0;
	} else if (k->interrupt.injected) {
		ev->event_vector = k->interrupt.nr;
		ev->event_type = k->interrupt.soft ? LODGE_EVENT_SOFT_INT : LODGE_EVENT_INTERRUPT;
	} else if (k->nmi.injected) {
		ev->event_vector = 2;
		ev->event_type = LODGE_EVENT_NMI;
	} else {
		return;
	}
	ev->flags |= LODGE_EV_EVENT;
}

static int get_events(const struct vcpu *v, struct lodge_vcpu_state *state)
{
	struct lodge_events *ev = &state->events;
	struct kvm_vcpu_events k;
	struct kvm_mp_state mp;

	if (ioctl(v->fd, KVM_GET_MP_STATE, &mp) || ioctl(v->fd, KVM_GET_VCPU_EVENTS, &k))
		return -1;
	ev->mp_state = mp_state(mp.mp_state);
	if (k.interrupt.shadow & KVM_X86_SHADOW_INT_STI)
		ev->flags |= LODGE_EV_STI_SHADOW;
	if (k.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS)
		ev->flags |= LODGE_EV_SS_SHADOW;
	if (k.nmi.pending)
		ev->flags |= LODGE_EV_NMI_PENDING;
	if (k.nmi.masked)
		ev->flags |= LODGE_EV_NMI_MASKED;
	event_from_kvm(&k, ev);
	return 0;
}

/* --- the door -------------------------------------------------------------------------------- */

int kvm_get_state(const struct vcpu *v, struct lodge_vcpu_state *state, u64 groups)
{
	*state = (struct lodge_vcpu_state){ .size = sizeof(*state), .groups = groups };
	if (groups & LODGE_STATE_GPRS && get_gprs(v, state))
		return -1;
	if (groups & (LODGE_STATE_SREGS | LODGE_STATE_CRS) && get_sregs(v, state))
		return -1;
	if (groups & LODGE_STATE_DRS && get_drs(v, state))
		return -1;
	return groups & LODGE_STATE_EVENTS ? get_events(v, state) : 0;
}

int kvm_set_state(const struct vcpu *v, struct lodge_vcpu_state *state, u64 groups)
{
	if ((groups & (LODGE_STATE_SREGS | LODGE_STATE_CRS) && set_sregs(v, state, groups)) ||
	    (groups & LODGE_STATE_GPRS && set_gprs(v, state)))
		return complain("cannot set a vCPU's registers: %s", strerror(errno));
	return 0;
}
