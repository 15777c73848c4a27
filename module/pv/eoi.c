// SPDX-License-Identifier: GPL-2.0
/*
 * PV EOI: the end of an interrupt without an exit. A guest names a word of its memory
 * by MSR_KVM_PV_EOI_EN. Where it finds bit 0 set, it ends the interrupt that it serves
 * by clearing the bit, in one instruction, and need not write to its APIC.
 *
 * That is an offer for one entry: it is made with an interrupt whose end concerns
 * nobody else, and whatever the exit, what has become of it is found out before
 * anything else is done. Outside the guest the APIC is as it would be without.
 */
#include <asm/kvm_para.h>

#include "../ept/view.h"
#include "../lodge.h"

static gpa_t eoi_gpa(const struct lodge_pv_eoi *eoi)
{
	return eoi->msr & ~(u64)KVM_MSR_ENABLED;
}

/* The user address of the guest's word, in an open view; false: it cannot be written. */
static __always_inline bool find_word(const struct lodge_mem_view *view,
				      struct lodge_mem_cursor *cursor, gpa_t gpa,
				      unsigned long *hva)
{
	return lodge_mem_view_at(view, cursor, gpa, hva) &&
	       !(cursor->region->flags & LODGE_MEM_F_READONLY);
}

/*
 * Make bit 0 of the word what @bit says; the others are the guest's. Its page may not be
 * at hand. Return: the bit before, or -EAGAIN.
 */
static int exchange_bit(struct lodge_vcpu *vcpu, u32 bit)
{
	struct lodge_mem *mem = &vcpu->vm->mem;
	struct lodge_mem_view view = lodge_mem_view_begin(mem);
	struct lodge_mem_cursor cursor = lodge_mem_cursor(&view, &vcpu->pv_eoi.region);
	unsigned long hva;
	int ret = -EAGAIN;
	u32 word;

	lodge_mem_view_open();
	if (!find_word(&view, &cursor, eoi_gpa(&vcpu->pv_eoi), &hva))
		goto out;
	unsafe_get_user(word, (u32 __user *)hva, out);
	if ((word & 1) != bit)
		unsafe_put_user(word ^ 1, (u32 __user *)hva, out);
	ret = word & 1;
out:
	lodge_mem_view_close();
	lodge_mem_view_end(mem, &view);
	return ret;
}

/**
 * pv_eoi_offer() - let the guest end an interrupt without an exit
 * @vcpu: the vCPU; owner. Its MSR enables that
 * @vector: of which lapic_is_alone() is true, and which the next entry delivers
 *
 * Without its page at hand, or without memory there, the guest has to write to its APIC.
 *
 * Context: a thread of the VM's process; interrupts may be off, as they are from here to
 * the entry.
 * Return: true when the offer stands, until pv_eoi_end().
 */
bool pv_eoi_offer(struct lodge_vcpu *vcpu, u8 vector)
{
	vcpu->pv_eoi.vector = vector;
	return exchange_bit(vcpu, 1) >= 0;
}

/**
 * pv_eoi_end() - end the offer: has the guest taken it?
 * @vcpu: the vCPU; owner, offered
 *
 * Context: as pv_eoi_offer().
 * Return: false when that cannot be known without sleeping; nothing has changed.
 */
bool pv_eoi_end(struct lodge_vcpu *vcpu)
{
	int bit = exchange_bit(vcpu, 0);

	if (bit < 0)
		return false;
	if (!bit)
		lapic_end_alone(vcpu, vcpu->pv_eoi.vector);
	return true;
}

/**
 * pv_eoi_end_slowly() - the same, when pv_eoi_end() could not
 * @vcpu: the vCPU; owner, offered
 *
 * Not taken is only what the guest cannot take any more. A word that is no memory, or
 * read-only, by now counts as taken: an interrupt that ends early is less harm than one
 * whose end the guest believes it has told.
 *
 * Context: may sleep, killable.
 */
void pv_eoi_end_slowly(struct lodge_vcpu *vcpu)
{
	struct lodge_mem *mem = &vcpu->vm->mem;
	gpa_t gpa = eoi_gpa(&vcpu->pv_eoi);
	bool taken;
	u32 word;

	taken = lodge_mem_read(mem, gpa, &word, sizeof(word)) || !(word & 1);
	if (!taken) {
		word &= ~1u;
		taken = lodge_mem_write(mem, gpa, &word, sizeof(word));
	}
	if (taken)
		lapic_end_alone(vcpu, vcpu->pv_eoi.vector);
}

/**
 * pv_eoi_reset() - forget the word, as after power-on and INIT
 * @vcpu: the vCPU; owner, not offered
 */
void pv_eoi_reset(struct lodge_vcpu *vcpu)
{
	vcpu->pv_eoi.msr = 0;
}
