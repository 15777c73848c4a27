/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions that have been decoded before, for a driver accesses its device with
 * the same few over and over.
 *
 * To fetch and decode an instruction is a pure function of some registers, of the
 * page-table entries on the way, of where guest memory is, and of the bytes found. A
 * memo keeps all of these beside the result. It holds if they are all the same now:
 * read again and compared, not trusted, since the guest may change any of them and owes
 * lodge no word about it. That takes a fraction of the walk and the decoding.
 *
 * Only for 64-bit code, which has no segment base, and for instructions that lie whole
 * in a page, with all bytes that one could have.
 */
#ifndef LODGE_MEMO_H
#define LODGE_MEMO_H

#include <linux/mm.h>

#include "../ept/ept.h"
#include "../types.h"
#include "decode.h"

#define LODGE_MEMOS		4
#define LODGE_MEMO_ENTRIES	4	/* page-table entries: four levels */
#define LODGE_MEMO_WORDS	(LODGE_MEMO_ENTRIES + 2)

/**
 * struct lodge_memo - one of them
 * @page: guest frame that was accessed, plus 1; 0: there is no memo
 * @access: EPT_ACCESS_*
 * @bell: where in @page a write signalled an eventfd for which its size does not matter
 * @cs_ar: access rights of CS, which say that it is 64-bit code
 * @ss_ar: those of SS, which say the privilege level
 * @rip: where the instruction is, or where the last one was for which there is no memo
 * @cr0: paging registers
 * @cr3: the same
 * @cr4: the same
 * @efer: the same
 * @map_seq: of the memory map, which says that @page is not RAM and where all is
 * @hva: user addresses of the words: page-table entries, as many as there were and the
 *	last again, then the first 8 and the last 8 of the bytes
 * @word: what stood there
 * @nr: while it is made: how many entries there are
 * @insn: the decoded instruction: a MOV of any kind
 * @bytes: its bytes and more
 */
struct lodge_memo {
	gfn_t page;
	u32 access;
	u32 cs_ar;
	u32 ss_ar;
	u32 nr;
	u64 rip;
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 efer;
	u64 map_seq;
	gpa_t bell;
	unsigned long hva[LODGE_MEMO_WORDS];
	u64 word[LODGE_MEMO_WORDS];
	struct lodge_insn insn;
	u8 bytes[LODGE_INSN_ROOM];
};

/* The memo for accesses to @gpa's page. */
static __always_inline struct lodge_memo *lodge_memo_of(struct lodge_memo *memos, gpa_t gpa)
{
	return &memos[(gpa >> PAGE_SHIFT) % LODGE_MEMOS];
}

static __always_inline gfn_t lodge_memo_page(gpa_t gpa)
{
	return (gpa >> PAGE_SHIFT) + 1;
}

/**
 * lodge_memo_agrees() - does a memo say the same of a write as the CPU?
 * @m: the memo for the page that was written to
 * @map_seq: of the memory map
 * @rip: where the instruction is
 * @len: its length
 * @cr3: the guest's
 *
 * Context: any; reads nothing of the guest's.
 * Return: true when a MOV of that length wrote there, to what is not RAM, the last time
 * anybody looked.
 */
static __always_inline bool lodge_memo_agrees(const struct lodge_memo *m, u64 map_seq, u64 rip,
					      u32 len, u64 cr3)
{
	return m->rip == rip && m->insn.len == len && m->cr3 == cr3 &&
	       m->access == EPT_ACCESS_WRITE && m->map_seq == map_seq;
}

struct lodge_memo *lodge_memo_begin(struct lodge_vcpu *vcpu, struct lodge_memo *m);
bool lodge_memo_holds(struct lodge_vcpu *vcpu, const struct lodge_memo *m, u32 access);
void lodge_memo_make(struct lodge_vcpu *vcpu, struct lodge_memo *m, gpa_t gpa, u32 access);

#endif
