// SPDX-License-Identifier: GPL-2.0
/*
 * Register groups: read and written through the shared page by the thread in
 * RUN, and by call from any other. A write checks everything before it changes
 * anything.
 */
#include <linux/errno.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/processor-flags.h>

#include "../lodge.h"

#define LODGE_MAX_STATE_MSRS	512

/* The groups as they follow one another in lodge_run and lodge_vcpu_state. */
struct lodge_regs {
	struct lodge_gprs gprs;
	struct lodge_sregs sregs;
	struct lodge_crs crs;
	struct lodge_drs drs;
	struct lodge_events events;
};

#define SAME_PLACE(group)							\
	static_assert(offsetof(struct lodge_run, group) -			\
		      offsetof(struct lodge_run, gprs) ==			\
		      offsetof(struct lodge_regs, group) &&			\
		      offsetof(struct lodge_vcpu_state, group) -		\
		      offsetof(struct lodge_vcpu_state, gprs) ==		\
		      offsetof(struct lodge_regs, group))

SAME_PLACE(sregs);
SAME_PLACE(crs);
SAME_PLACE(drs);
SAME_PLACE(events);

/* ------------------------------------------------------------- the five groups */

static void gprs_get(struct lodge_vcpu *vcpu, struct lodge_regs *r)
{
	int i;

	for (i = 0; i < 16; i++)
		r->gprs.reg[i] = lodge_reg_read(vcpu, i);
	r->gprs.rip = lodge_rip_read(vcpu);
	r->gprs.rflags = lodge_rflags_read(vcpu);
}

static int gprs_check(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	const u64 known = 0x3f7fd7ull;	/* SDM 1 3.4.3 */

	return r->gprs.rflags & ~known || !(r->gprs.rflags & X86_EFLAGS_FIXED) ? -EINVAL : 0;
}

static void gprs_set(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	int i;

	for (i = 0; i < 16; i++)
		lodge_reg_write(vcpu, i, r->gprs.reg[i]);
	lodge_rip_write(vcpu, r->gprs.rip);
	lodge_rflags_write(vcpu, r->gprs.rflags);
}

static void sregs_get(struct lodge_vcpu *vcpu, struct lodge_regs *r)
{
	int i;

	for (i = 0; i < LODGE_NR_SEGS; i++)
		vmx_segment_read(vcpu, i, &r->sregs.seg[i]);
	r->sregs.gdt = (struct lodge_table) {
		.base = vmcs_read(VMCS_GUEST_GDTR_BASE),
		.limit = vmcs_read(VMCS_GUEST_GDTR_LIMIT),
	};
	r->sregs.idt = (struct lodge_table) {
		.base = vmcs_read(VMCS_GUEST_IDTR_BASE),
		.limit = vmcs_read(VMCS_GUEST_IDTR_LIMIT),
	};
}

static bool canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

static int sregs_check(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	int i;

	for (i = 0; i < LODGE_NR_SEGS; i++) {
		const struct lodge_segment *s = &r->sregs.seg[i];

		if (s->reserved || s->unusable > 1 || s->attrs & ~0xf0ff || !canonical(s->base))
			return -EINVAL;
	}
	if (r->sregs.gdt.limit > 0xffff || r->sregs.idt.limit > 0xffff ||
	    r->sregs.gdt.reserved || r->sregs.idt.reserved ||
	    !canonical(r->sregs.gdt.base) || !canonical(r->sregs.idt.base))
		return -EINVAL;
	return 0;
}

static void sregs_set(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	int i;

	for (i = 0; i < LODGE_NR_SEGS; i++)
		vmx_segment_write(vcpu, i, &r->sregs.seg[i]);
	vmcs_write(VMCS_GUEST_GDTR_BASE, r->sregs.gdt.base);
	vmcs_write(VMCS_GUEST_GDTR_LIMIT, r->sregs.gdt.limit);
	vmcs_write(VMCS_GUEST_IDTR_BASE, r->sregs.idt.base);
	vmcs_write(VMCS_GUEST_IDTR_LIMIT, r->sregs.idt.limit);
}

static void crs_get(struct lodge_vcpu *vcpu, struct lodge_regs *r)
{
	lodge_crs_get(vcpu, &r->crs);
}

static int crs_check(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	return lodge_crs_check(vcpu, &r->crs);
}

static void crs_set(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	lodge_crs_set(vcpu, &r->crs);
}

static void drs_get(struct lodge_vcpu *vcpu, struct lodge_regs *r)
{
	memcpy(r->drs.dr, vcpu->dr, sizeof(r->drs.dr));
	r->drs.dr6 = vcpu->dr6;
	r->drs.dr7 = vcpu->dr7;
}

static int drs_check(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	return r->drs.dr6 >> 32 || r->drs.dr7 >> 32 ? -EINVAL : 0;
}

static void drs_set(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	memcpy(vcpu->dr, r->drs.dr, sizeof(vcpu->dr));
	lodge_dr_write(vcpu, 6, r->drs.dr6);
	lodge_dr_write(vcpu, 7, r->drs.dr7);
}

static void events_get(struct lodge_vcpu *vcpu, struct lodge_regs *r)
{
	vmx_events_get(vcpu, &r->events);
}

static int events_check(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	return vmx_events_check(vcpu, &r->events);
}

static void events_set(struct lodge_vcpu *vcpu, const struct lodge_regs *r)
{
	vmx_events_set(vcpu, &r->events);
}

/* In the order in which they are written: events look at CR0. */
static const struct {
	u64 group;
	void (*get)(struct lodge_vcpu *vcpu, struct lodge_regs *r);
	int (*check)(struct lodge_vcpu *vcpu, const struct lodge_regs *r);
	void (*set)(struct lodge_vcpu *vcpu, const struct lodge_regs *r);
} lodge_groups[] = {
	{ LODGE_STATE_GPRS, gprs_get, gprs_check, gprs_set },
	{ LODGE_STATE_SREGS, sregs_get, sregs_check, sregs_set },
	{ LODGE_STATE_CRS, crs_get, crs_check, crs_set },
	{ LODGE_STATE_DRS, drs_get, drs_check, drs_set },
	{ LODGE_STATE_EVENTS, events_get, events_check, events_set },
};

static void regs_get(struct lodge_vcpu *vcpu, struct lodge_regs *r, u64 groups)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(lodge_groups); i++)
		if (groups & lodge_groups[i].group)
			lodge_groups[i].get(vcpu, r);
}

/* Return: 0, or the group that is wrong. */
static u64 regs_check(struct lodge_vcpu *vcpu, const struct lodge_regs *r, u64 groups)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(lodge_groups); i++)
		if (groups & lodge_groups[i].group && lodge_groups[i].check(vcpu, r))
			return lodge_groups[i].group;
	return 0;
}

static void regs_set(struct lodge_vcpu *vcpu, const struct lodge_regs *r, u64 groups)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(lodge_groups); i++)
		if (groups & lodge_groups[i].group)
			lodge_groups[i].set(vcpu, r);
}

/* ------------------------------------------------------------- the shared page */

/**
 * lodge_state_to_page() - fill groups of the shared page
 * @vcpu: the vCPU; loaded
 * @groups: of LODGE_STATE_SHARED
 */
void lodge_state_to_page(struct lodge_vcpu *vcpu, u64 groups)
{
	regs_get(vcpu, (struct lodge_regs *)&vcpu->run->gprs, groups);
}

/**
 * lodge_state_from_page() - take groups from the shared page
 * @vcpu: the vCPU; loaded
 * @groups: of LODGE_STATE_SHARED
 * @apply: change the vCPU; else only look whether that would go
 *
 * Return: 0, or the group that is wrong, with nothing changed.
 */
u64 lodge_state_from_page(struct lodge_vcpu *vcpu, u64 groups, bool apply)
{
	struct lodge_regs r;
	u64 bad;

	/* User space can write the page while we look: look at a copy. */
	r = *(const struct lodge_regs *)&vcpu->run->gprs;
	bad = regs_check(vcpu, &r, groups);
	if (!bad && apply) {
		regs_set(vcpu, &r, groups);
		vcpu->vmx.recheck = true;
	}
	return bad;
}

/* --------------------------------------------------------------------- by call */

/**
 * struct lodge_bulk - the groups that come by pointer, in kernel memory
 * @msrs: LODGE_STATE_MSRS
 * @fpu: LODGE_STATE_FPU
 * @lapic: LODGE_STATE_LAPIC
 */
struct lodge_bulk {
	struct lodge_msr *msrs;
	void *fpu;
	struct lodge_lapic *lapic;
};

static void bulk_free(struct lodge_bulk *b)
{
	kvfree(b->msrs);
	kvfree(b->fpu);
	kfree(b->lapic);
}

static int bulk_msrs_in(const struct lodge_vcpu_state *st, struct lodge_bulk *b)
{
	if (st->nr_msrs > LODGE_MAX_STATE_MSRS)
		return -EINVAL;
	b->msrs = kvmalloc_array(st->nr_msrs ?: 1, sizeof(*b->msrs), GFP_KERNEL_ACCOUNT);
	if (!b->msrs)
		return -ENOMEM;
	if (copy_from_user(b->msrs, u64_to_user_ptr(st->msrs), st->nr_msrs * sizeof(*b->msrs)))
		return -EFAULT;
	return 0;
}

/* @in: the caller's values are wanted; else room for ours. */
static int bulk_alloc(const struct lodge_vcpu_state *st, struct lodge_bulk *b, bool in)
{
	int ret = 0;

	if (st->groups & LODGE_STATE_MSRS)
		ret = bulk_msrs_in(st, b);	/* GET, too, needs the indices */
	if (!ret && st->groups & LODGE_STATE_FPU) {
		if (st->fpu_size < (in ? 576 : lodge_fpu_size()) || st->fpu_size > SZ_64K)
			return -EINVAL;
		b->fpu = kvzalloc(max(st->fpu_size, lodge_fpu_size()), GFP_KERNEL_ACCOUNT);
		if (!b->fpu)
			return -ENOMEM;
		if (in && copy_from_user(b->fpu, u64_to_user_ptr(st->fpu), st->fpu_size))
			return -EFAULT;
	}
	if (!ret && st->groups & LODGE_STATE_LAPIC) {
		b->lapic = kzalloc(sizeof(*b->lapic), GFP_KERNEL_ACCOUNT);
		if (!b->lapic)
			return -ENOMEM;
		if (in && copy_from_user(b->lapic, u64_to_user_ptr(st->lapic), sizeof(*b->lapic)))
			return -EFAULT;
	}
	return ret;
}

static int bulk_get(struct lodge_vcpu *vcpu, struct lodge_vcpu_state *st, struct lodge_bulk *b)
{
	u32 i;

	for (i = 0; i < (b->msrs ? st->nr_msrs : 0); i++) {
		if (b->msrs[i].reserved ||
		    lodge_msr_read(vcpu, b->msrs[i].index, &b->msrs[i].value, true)) {
			st->bad_msr = i;
			st->bad_groups = LODGE_STATE_MSRS;
			return -EINVAL;
		}
	}
	if (b->fpu)
		lodge_fpu_get(vcpu, b->fpu, lodge_fpu_size());
	if (b->lapic)
		lapic_get_state(vcpu, b->lapic);
	return 0;
}

static int bulk_copy_out(const struct lodge_vcpu_state *st, const struct lodge_bulk *b)
{
	if (b->msrs && copy_to_user(u64_to_user_ptr(st->msrs), b->msrs,
				    st->nr_msrs * sizeof(*b->msrs)))
		return -EFAULT;
	if (b->fpu && copy_to_user(u64_to_user_ptr(st->fpu), b->fpu, lodge_fpu_size()))
		return -EFAULT;
	if (b->lapic && copy_to_user(u64_to_user_ptr(st->lapic), b->lapic, sizeof(*b->lapic)))
		return -EFAULT;
	return 0;
}

static u64 bulk_check(struct lodge_vcpu *vcpu, struct lodge_vcpu_state *st,
		      const struct lodge_bulk *b)
{
	u32 i;

	for (i = 0; i < (b->msrs ? st->nr_msrs : 0); i++) {
		if (b->msrs[i].reserved ||
		    lodge_msr_check(vcpu, b->msrs[i].index, b->msrs[i].value)) {
			st->bad_msr = i;
			return LODGE_STATE_MSRS;
		}
	}
	if (b->fpu && lodge_fpu_check(vcpu, b->fpu, st->fpu_size))
		return LODGE_STATE_FPU;
	if (b->lapic && lapic_check_state(vcpu, b->lapic))
		return LODGE_STATE_LAPIC;
	return 0;
}

static void bulk_set(struct lodge_vcpu *vcpu, const struct lodge_vcpu_state *st,
		     const struct lodge_bulk *b)
{
	u32 i;

	/* Everything has been checked: nothing below can fail. */
	for (i = 0; i < (b->msrs ? st->nr_msrs : 0); i++)
		lodge_msr_write(vcpu, b->msrs[i].index, b->msrs[i].value, true);
	if (b->fpu)
		lodge_fpu_set(vcpu, b->fpu, st->fpu_size);
	if (b->lapic)
		lapic_set_state(vcpu, b->lapic);
}

#define LODGE_STATE_ALL	(LODGE_STATE_SHARED | LODGE_STATE_MSRS | LODGE_STATE_FPU | \
			 LODGE_STATE_LAPIC)

/**
 * lodge_state_get() - LODGE_VCPU_GET_STATE
 * @vcpu: the vCPU; becomes the caller's for a while, but not while user memory is
 *	touched: who waits for the vCPU does not wait for page faults
 * @st: the caller's structure
 *
 * Context: may sleep.
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, -EIO.
 */
int lodge_state_get(struct lodge_vcpu *vcpu, struct lodge_vcpu_state *st)
{
	struct lodge_bulk b = {};
	int ret;

	if (st->flags || st->reserved || st->groups & ~LODGE_STATE_ALL)
		return -EINVAL;
	ret = bulk_alloc(st, &b, false) ?: lodge_vcpu_lock_killable(vcpu);
	if (ret)
		goto out;
	ret = lodge_vcpu_load(vcpu);
	if (!ret) {
		regs_get(vcpu, (struct lodge_regs *)&st->gprs, st->groups);
		ret = bulk_get(vcpu, st, &b);
		ret = lodge_vcpu_put(vcpu) ?: ret;
	}
	lodge_vcpu_unlock(vcpu);
	if (!ret)
		ret = bulk_copy_out(st, &b);
out:
	bulk_free(&b);
	return ret;
}

static int state_set_owned(struct lodge_vcpu *vcpu, struct lodge_vcpu_state *st,
			   const struct lodge_bulk *b)
{
	const struct lodge_regs *r = (const struct lodge_regs *)&st->gprs;

	st->bad_groups = regs_check(vcpu, r, st->groups);
	if (!st->bad_groups)
		st->bad_groups = bulk_check(vcpu, st, b);
	if (st->bad_groups)
		return -EINVAL;
	regs_set(vcpu, r, st->groups);
	bulk_set(vcpu, st, b);
	vcpu->vmx.recheck = true;
	return 0;
}

/**
 * lodge_state_set() - LODGE_VCPU_SET_STATE
 * @vcpu: the vCPU; becomes the caller's for a while, but not while user memory is
 *	touched: who waits for the vCPU does not wait for page faults
 * @st: the caller's structure
 *
 * Context: may sleep.
 * Return: 0, -EINVAL with @st->bad_groups set, -EFAULT, -ENOMEM, -EIO; nothing is
 * changed unless 0.
 */
int lodge_state_set(struct lodge_vcpu *vcpu, struct lodge_vcpu_state *st)
{
	struct lodge_bulk b = {};
	int ret;

	if (st->flags || st->reserved || st->groups & ~LODGE_STATE_ALL)
		return -EINVAL;
	ret = bulk_alloc(st, &b, true) ?: lodge_vcpu_lock_killable(vcpu);
	if (ret)
		goto out;
	ret = lodge_vcpu_load(vcpu);
	if (!ret) {
		ret = state_set_owned(vcpu, st, &b);
		ret = lodge_vcpu_put(vcpu) ?: ret;
	}
	lodge_vcpu_unlock(vcpu);
out:
	bulk_free(&b);
	return ret;
}
