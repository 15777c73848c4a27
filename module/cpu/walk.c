// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's page tables, walked by software, and instruction bytes found
 * through them.
 *
 * Needed where the CPU's own walk has left nothing behind: to read the
 * instruction that touched memory which is not RAM, to find a string
 * instruction's other operand, and for LODGE_VCPU_TRANSLATE. Accessed and dirty
 * bits are left alone: for the access that faulted the CPU has set them already.
 *
 * Nothing is remembered from one call to the next: the guest may change its tables
 * and its code at any time, and owes lodge no word about it.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "../ept/view.h"
#include "../lodge.h"
#include "walk.h"

/*
 * What the guest may change without an exit is in the VMCS. Of CR4 nothing that
 * a walk looks at is (CR4_OWNED in cr.c), of CR0 WP, which like AC and PKRU says
 * nothing about a fetch.
 */
static __always_inline struct walk_regs read_regs(struct lodge_vcpu *vcpu, gva_t gva, u32 access)
{
	bool data = !(access & LODGE_GVA_EXEC);
	struct walk_regs r = {
		.cr0 = data ? lodge_cr0_read(vcpu) : vcpu->cr0,
		.cr3 = vmcs_read(VMCS_GUEST_CR3),
		.cr4 = vcpu->cr4,
		.efer = vcpu->efer,
		.pkru = vcpu->pkru,
		.ac = data && (lodge_rflags_read(vcpu) & X86_EFLAGS_AC),
		.phys_bits = vcpu->cpuid->phys_bits,
		.huge_1g = vcpu->cpuid->features & BIT_ULL(GF_GBPAGES),
	};

	if (!(r.efer & EFER_LMA) && (r.cr0 & X86_CR0_PG) && (r.cr4 & X86_CR4_PAE))
		r.pdpte = vmcs_read(VMCS_GUEST_PDPTE0 + 2 * walk_pdpte_index(gva));
	return r;
}

/**
 * struct reader - where walk_tables() reads
 * @view: guest memory; begun and open
 * @tables: where page tables were read last
 * @memo: where entries are noted; NULL: nowhere
 */
struct reader {
	struct lodge_mem_view *view;
	struct lodge_mem_cursor *tables;
	struct lodge_memo *memo;
};

/* A walk of more or other entries than these gets no memo. */
static __always_inline void note_entry(struct lodge_memo *memo, u32 size, unsigned long hva,
				       u64 entry)
{
	u32 nr = memo->nr;

	/* No subscripts: UBSAN's checks of them are calls, while user access is open. */
	if (size == 8 && nr < LODGE_MEMO_ENTRIES) {
		*(memo->hva + nr) = hva;
		*(memo->word + nr) = entry;
	}
	memo->nr = nr + (size == 8 ? 1 : LODGE_MEMO_WORDS);
}

static __always_inline int read_entry(void *arg, gpa_t gpa, u32 size, u64 *entry)
{
	struct reader *reader = arg;
	int err = lodge_mem_view_read(reader->view, reader->tables, gpa, size, entry);

	if (!err && reader->memo)
		note_entry(reader->memo, size, region_hva(reader->tables->region, gpa), *entry);
	return err;
}

/* One try of lodge_walk(). */
static int try_walk(struct lodge_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
		    struct lodge_walk_fault *fault)
{
	struct lodge_mem *mem = &vcpu->vm->mem;
	struct lodge_mem_view view = lodge_mem_view_begin(mem);
	const struct walk_regs regs = read_regs(vcpu, gva, access);
	struct lodge_mem_cursor tables = lodge_mem_cursor(&view, &vcpu->table_region);
	struct reader reader = { &view, &tables, NULL };
	int err;

	lodge_mem_view_open();
	err = walk_tables(&regs, read_entry, &reader, gva, access, gpa, fault);
	lodge_mem_view_close();
	lodge_mem_view_end(mem, &view);
	vcpu->absent = view.absent;
	return err;
}

/**
 * lodge_walk() - translate a guest linear address as the vCPU would now
 * @vcpu: the vCPU
 * @gva: linear address
 * @access: LODGE_GVA_*; USER is not taken from the vCPU's privilege level
 * @gpa: out: guest-physical address
 * @fault: out, with -EFAULT: the page fault the guest would get
 *
 * Context: owner, loaded; may sleep.
 * Return: as walk_tables().
 */
int lodge_walk(struct lodge_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
	       struct lodge_walk_fault *fault)
{
	u32 attempts = 0;
	int err;

	if (!lodge_mem_is_ours(&vcpu->vm->mem))
		return -EIO;
	do {
		err = try_walk(vcpu, gva, access, gpa, fault);
	} while (err == -EAGAIN && !lodge_mem_bring_in(vcpu->absent, &attempts));
	return err == -EAGAIN ? -EIO : err;
}

/*
 * @len bytes of one page, and so of one region. Where there are as many, two words
 * that may overlap: what another vCPU stores meanwhile is seen in pieces that are
 * no smaller than what a CPU fetches.
 */
static __always_inline int read_bytes(struct lodge_mem_view *view, struct lodge_mem_cursor *code,
				      gpa_t gpa, u8 *bytes, u32 len)
{
	unsigned long hva;
	u64 first, second;
	u32 i;

	if (!lodge_mem_view_at(view, code, gpa, &hva))
		return -EIO;
	if (likely(len >= 8)) {
		unsafe_get_user(first, (u64 __user *)hva, absent);
		unsafe_get_user(second, (u64 __user *)(hva + len - 8), absent);
		memcpy(bytes, &first, 8);
		memcpy(bytes + len - 8, &second, 8);
		return 0;
	}
	for (i = 0; i < len; i++)
		unsafe_get_user(bytes[i], (u8 __user *)(hva + i), absent);
	return 0;

absent:
	view->absent = hva;
	return -EAGAIN;
}

/* LODGE_INSN_MAX bytes, in two words as read_bytes() has read them. */
static void note_code(struct lodge_memo *memo, const struct lodge_region_set *set,
		      unsigned long hva, const u8 *bytes)
{
	const u32 last = LODGE_INSN_MAX - 8;

	memo->map_seq = set->seq;
	memo->hva[LODGE_MEMO_ENTRIES] = hva;
	memcpy(&memo->word[LODGE_MEMO_ENTRIES], bytes, 8);
	memo->hva[LODGE_MEMO_ENTRIES + 1] = hva + last;
	memcpy(&memo->word[LODGE_MEMO_ENTRIES + 1], bytes + last, 8);
}

/*
 * What @gva's page has of an instruction, walk and bytes in one view: how many
 * bytes, at most @max, or an error, -EAGAIN with vcpu->absent among them.
 */
static int fetch_page(struct lodge_vcpu *vcpu, gva_t gva, u8 *bytes, u32 max,
		      struct lodge_memo *memo)
{
	const u32 access = LODGE_GVA_EXEC | (lodge_cpl(vcpu) == 3 ? LODGE_GVA_USER : 0);
	const u32 len = min_t(u32, max, PAGE_SIZE - offset_in_page(gva));
	struct lodge_mem *mem = &vcpu->vm->mem;
	struct lodge_mem_view view = lodge_mem_view_begin(mem);
	const struct walk_regs regs = read_regs(vcpu, gva, access);
	struct lodge_mem_cursor tables = lodge_mem_cursor(&view, &vcpu->table_region);
	struct lodge_mem_cursor code = lodge_mem_cursor(&view, &vcpu->code_region);
	struct reader reader = { &view, &tables, memo };
	struct lodge_walk_fault fault;
	gpa_t gpa;
	int err;

	lodge_mem_view_open();
	err = walk_tables(&regs, read_entry, &reader, gva, access, &gpa, &fault);
	if (!err)
		err = read_bytes(&view, &code, gpa, bytes, len);
	lodge_mem_view_close();
	if (memo && !err && len == LODGE_INSN_MAX)
		note_code(memo, view.set, region_hva(code.region, gpa), bytes);
	lodge_mem_view_end(mem, &view);
	if (unlikely(err == -EAGAIN))
		vcpu->absent = view.absent;
	return err ?: len;
}

/* fetch_page(), and again as long as there is something to wait for. */
static int fetch_page_waiting(struct lodge_vcpu *vcpu, gva_t gva, u8 *bytes, u32 max)
{
	u32 attempts = 0;
	int ret;

	do {
		ret = fetch_page(vcpu, gva, bytes, max, NULL);
	} while (ret == -EAGAIN && !lodge_mem_bring_in(vcpu->absent, &attempts));
	return ret == -EAGAIN ? -EIO : ret;
}

/* All there is to a fetch, besides what lodge_code_fetch() tries first. */
static noinline int fetch_slowly(struct lodge_vcpu *vcpu, u32 width, gva_t gva, u8 *bytes, u32 max)
{
	int here, more;

	lodge_vcpu_settle(vcpu);
	here = fetch_page_waiting(vcpu, gva, bytes, max);
	if (here < 0 || here == max)
		return here;
	gva += here;
	if (width != 8)
		gva = (u32)gva;
	more = fetch_page_waiting(vcpu, gva, bytes + here, max - here);
	return more < 0 ? here : here + more;
}

/**
 * lodge_code_fetch() - read the instruction bytes at RIP
 * @vcpu: the vCPU
 * @width: lodge_code_width()
 * @bytes: filled
 * @max: how many to read, at most LODGE_INSN_MAX
 * @memo: what is read is noted here, if it is at hand and @width is 8, else @nr is 0;
 *	or NULL
 *
 * Fewer come back when the instruction's end is on a page that is not there.
 *
 * Context: owner, loaded or pinned, in RUN: a thread of the VM's process; may sleep,
 * and settles then.
 * Return: bytes read, not 0; else an error of lodge_walk().
 */
int lodge_code_fetch(struct lodge_vcpu *vcpu, u32 width, u8 *bytes, u32 max,
		     struct lodge_memo *memo)
{
	gva_t gva = lodge_rip_read(vcpu);
	int ret;

	if (memo)
		memo->nr = 0;
	if (unlikely(width != 8)) {
		gva = (u32)(vmcs_read(VMCS_GUEST_BASE(LODGE_SEG_CS)) + gva);
		memo = NULL;
	}
	ret = fetch_page(vcpu, gva, bytes, max, memo);
	if (likely(ret == max))
		return ret;
	if (memo)
		memo->nr = 0;
	return fetch_slowly(vcpu, width, gva, bytes, max);
}

/**
 * lodge_insn_fetch() - read the instruction bytes at RIP
 * @vcpu: the vCPU
 * @bytes: filled
 * @max: how many to read, at most LODGE_INSN_MAX
 *
 * Context: as lodge_code_fetch().
 * Return: the same.
 */
int lodge_insn_fetch(struct lodge_vcpu *vcpu, u8 *bytes, u32 max)
{
	return lodge_code_fetch(vcpu, lodge_code_width(vcpu), bytes, max, NULL);
}
