// SPDX-License-Identifier: GPL-2.0
/* Does a memo still hold, and making one: see memo.h. */
#include "../ept/view.h"
#include "../lodge.h"
#include "memo.h"

/* The words, read anew: all the same, and the memory map, too? */
static __always_inline bool same_words(struct lodge_mem *mem, const struct lodge_memo *m)
{
	struct lodge_mem_view view = lodge_mem_view_begin(mem);
	u64 differs = m->map_seq ^ view.set->seq, word;
	int i;

	if (unlikely(differs))
		goto out;
	lodge_mem_view_open();
#pragma GCC unroll 6
	for (i = 0; i < LODGE_MEMO_WORDS; i++) {
		unsafe_get_user(word, (u64 __user *)m->hva[i], absent);
		differs |= word ^ m->word[i];
	}
	lodge_mem_view_close();
out:
	lodge_mem_view_end(mem, &view);
	return !differs;

absent:
	lodge_mem_view_close();
	lodge_mem_view_end(mem, &view);
	return false;
}

/**
 * lodge_memo_holds() - is the instruction at RIP the one of a memo?
 * @vcpu: the vCPU; in RUN, loaded or pinned
 * @m: a memo for the page that was accessed
 * @access: EPT_ACCESS_*
 *
 * Context: does not sleep.
 */
bool lodge_memo_holds(struct lodge_vcpu *vcpu, const struct lodge_memo *m, u32 access)
{
	u64 differs;

	if (m->rip != lodge_rip_read(vcpu))	/* mostly that is it, if anything */
		return false;
	differs = (m->cr3 ^ vmcs_read(VMCS_GUEST_CR3)) |
		  (m->cs_ar ^ vmcs_read(VMCS_GUEST_AR(LODGE_SEG_CS))) |
		  (m->ss_ar ^ vmcs_read(VMCS_GUEST_AR(LODGE_SEG_SS))) |
		  (m->cr0 ^ vcpu->cr0) | (m->cr4 ^ vcpu->cr4) | (m->efer ^ vcpu->efer) |
		  (m->access ^ access);
	return likely(!differs) && same_words(&vcpu->vm->mem, m);
}

/**
 * lodge_memo_begin() - an instruction is going to be fetched and decoded
 * @vcpu: the vCPU; loaded or pinned
 * @m: the memo for the page that is accessed
 *
 * What comes but once is not worth the work, which is more than the decoding's.
 *
 * Return: the memo, when it was this instruction the last time, too; else NULL.
 */
struct lodge_memo *lodge_memo_begin(struct lodge_vcpu *vcpu, struct lodge_memo *m)
{
	u64 last = m->rip;

	m->page = 0;
	m->bell = ~0ull;	/* and was another instruction's */
	m->rip = lodge_rip_read(vcpu);
	return m->rip == last ? m : NULL;
}

/**
 * lodge_memo_make() - the instruction at RIP has been fetched and decoded
 * @vcpu: the vCPU; in RUN, loaded or pinned
 * @m: from lodge_memo_begin(); lodge_code_fetch() has noted there what it read
 * @gpa: what was accessed; not RAM
 * @access: EPT_ACCESS_*
 */
void lodge_memo_make(struct lodge_vcpu *vcpu, struct lodge_memo *m, gpa_t gpa, u32 access)
{
	u32 i;

	/* Without a walk of entries that are as long as a word: another paging mode. */
	if (!m->nr || m->nr > LODGE_MEMO_ENTRIES)
		return;
	for (i = m->nr; i < LODGE_MEMO_ENTRIES; i++) {
		m->hva[i] = m->hva[m->nr - 1];
		m->word[i] = m->word[m->nr - 1];
	}
	m->access = access;
	m->cs_ar = vmcs_read(VMCS_GUEST_AR(LODGE_SEG_CS));
	m->ss_ar = vmcs_read(VMCS_GUEST_AR(LODGE_SEG_SS));
	m->cr0 = vcpu->cr0;
	m->cr3 = vmcs_read(VMCS_GUEST_CR3);
	m->cr4 = vcpu->cr4;
	m->efer = vcpu->efer;
	m->insn = vcpu->pending.insn;
	memcpy(m->bytes, vcpu->pending.bytes, sizeof(m->bytes));
	m->page = lodge_memo_page(gpa);
}
