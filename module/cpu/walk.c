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
 * SDM 3A chapter 4: 4.3 32-bit paging, 4.4 PAE, 4.5 4-level, 4.6 access rights,
 * 4.7 page-fault error code. Five levels are not offered to guests.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <asm/msr-index.h>
#include <asm/pkru.h>
#include <asm/processor-flags.h>
#include <asm/trap_pf.h>

#include "../lodge.h"
#include "walk.h"

/* Bits of a paging-structure entry that all modes share. */
#define PTE_P		BIT_ULL(0)
#define PTE_RW		BIT_ULL(1)
#define PTE_US		BIT_ULL(2)
#define PTE_PS		BIT_ULL(7)
#define PTE_NX		BIT_ULL(63)

#define PSE36_ADDR_BITS	40	/* most that a 4 MiB page can address */

/**
 * struct walk_mode - a paging mode
 * @levels: tables between the root and the page
 * @index_bits: bits of the linear address that index one table
 * @entry_size: bytes of an entry
 */
struct walk_mode {
	u8 levels;
	u8 index_bits;
	u8 entry_size;
};

/* PAE's third level is in registers. */
static const struct walk_mode mode_32bit = { .levels = 2, .index_bits = 10, .entry_size = 4 };
static const struct walk_mode mode_pae = { .levels = 2, .index_bits = 9, .entry_size = 8 };
static const struct walk_mode mode_4level = { .levels = 4, .index_bits = 9, .entry_size = 8 };

/**
 * struct walk - one walk
 * @regs: the caller's
 * @mode: paging mode
 * @gva: linear address
 * @access: LODGE_GVA_*
 * @table: address of the table being read
 * @entry: its entry
 * @level: its level: 0 is the page table
 * @rights: PTE_RW and PTE_US: what all levels allow
 * @nx: some level forbids execution
 */
struct walk {
	const struct walk_regs *regs;
	const struct walk_mode *mode;
	gva_t gva;
	u32 access;
	gpa_t table;
	u64 entry;
	int level;
	u64 rights;
	bool nx;
};

static bool walk_nx_enabled(const struct walk_regs *r)
{
	return (r->cr4 & X86_CR4_PAE) && (r->efer & EFER_NX);
}

static u64 bits_from(unsigned int low, unsigned int high)
{
	return low > high ? 0 : GENMASK_ULL(high, low);
}

static unsigned int level_shift(const struct walk *w)
{
	return 12 + w->mode->index_bits * w->level;
}

static bool is_leaf(const struct walk *w)
{
	if (w->level == 0)
		return true;
	if (!(w->entry & PTE_PS))
		return false;
	if (w->mode == &mode_32bit)
		return w->regs->cr4 & X86_CR4_PSE;
	return w->level == 1 || (w->level == 2 && w->regs->huge_1g);
}

/* The page or table that the entry names. */
static gpa_t entry_address(const struct walk *w, bool leaf)
{
	unsigned int shift = leaf ? level_shift(w) : 12;

	if (w->mode != &mode_32bit)
		return w->entry & bits_from(shift, 51);
	if (leaf && w->level)		/* PSE-36: bits 39:32 stand in 20:13 */
		return (w->entry & bits_from(22, 31)) | (w->entry & bits_from(13, 20)) << 19;
	return w->entry & bits_from(12, 31);
}

/* Bits that must be 0 in a present entry: SDM 3A tables 4-4 to 4-20. */
static u64 reserved_bits(const struct walk *w, bool leaf)
{
	const struct walk_regs *r = w->regs;
	u64 mask;

	if (w->mode == &mode_32bit) {
		if (!leaf || !w->level)
			return 0;
		return bits_from(min_t(u8, r->phys_bits, PSE36_ADDR_BITS) - 19, 21);
	}

	mask = bits_from(r->phys_bits, w->mode == &mode_pae ? 62 : 51);
	if (!walk_nx_enabled(r))
		mask |= PTE_NX;
	if (leaf)
		mask |= bits_from(13, level_shift(w) - 1);	/* empty for 4 KiB */
	else if (w->level >= 2)
		mask |= PTE_PS;
	return mask;
}

static int walk_fail(const struct walk *w, u32 code, struct lodge_walk_fault *fault)
{
	if (w->access & LODGE_GVA_WRITE)
		code |= X86_PF_WRITE;
	if (w->access & LODGE_GVA_USER)
		code |= X86_PF_USER;
	if ((w->access & LODGE_GVA_EXEC) &&
	    (walk_nx_enabled(w->regs) || (w->regs->cr4 & X86_CR4_SMEP)))
		code |= X86_PF_INSTR;
	fault->code = code;
	return -EFAULT;
}

/* SDM 3A 4.6.1: access rights that do not come from protection keys. */
static bool rights_allow(const struct walk *w)
{
	const struct walk_regs *r = w->regs;
	bool user_page = w->rights & PTE_US;

	if (w->access & LODGE_GVA_USER) {
		if (!user_page)
			return false;
	} else if (user_page) {
		if (w->access & LODGE_GVA_EXEC) {
			if (r->cr4 & X86_CR4_SMEP)
				return false;
		} else if ((r->cr4 & X86_CR4_SMAP) && !r->ac) {
			return false;
		}
	}
	if ((w->access & LODGE_GVA_EXEC) && w->nx)
		return false;
	if ((w->access & LODGE_GVA_WRITE) && !(w->rights & PTE_RW))
		return !(w->access & LODGE_GVA_USER) && !(r->cr0 & X86_CR0_WP);
	return true;
}

/* SDM 3A 4.6.2: protection keys guard data on user pages of 4-level paging. */
static bool key_allows(const struct walk *w)
{
	const struct walk_regs *r = w->regs;
	u32 rights;

	if (w->mode != &mode_4level || !(r->cr4 & X86_CR4_PKE) || !(w->rights & PTE_US) ||
	    (w->access & LODGE_GVA_EXEC))
		return true;
	rights = r->pkru >> (((w->entry >> 59) & 0xf) * PKRU_BITS_PER_PKEY);
	if (rights & PKRU_AD_BIT)
		return false;
	if (!(w->access & LODGE_GVA_WRITE) || !(rights & PKRU_WD_BIT))
		return true;
	return !(w->access & LODGE_GVA_USER) && !(r->cr0 & X86_CR0_WP);
}

/* Read and judge one entry. 1 when it is the page, 0 to go on, or negative. */
static int walk_step(struct walk *w, walk_read_fn read, void *arg,
		     struct lodge_walk_fault *fault)
{
	u64 index = (w->gva >> level_shift(w)) & (BIT_ULL(w->mode->index_bits) - 1);
	bool leaf;

	w->entry = 0;
	if (read(arg, w->table + index * w->mode->entry_size, &w->entry, w->mode->entry_size))
		return -EIO;
	if (!(w->entry & PTE_P))
		return walk_fail(w, 0, fault);

	leaf = is_leaf(w);
	if (w->entry & reserved_bits(w, leaf))
		return walk_fail(w, X86_PF_PROT | X86_PF_RSVD, fault);

	w->rights &= w->entry;
	w->nx |= walk_nx_enabled(w->regs) && (w->entry & PTE_NX);
	w->table = entry_address(w, leaf);
	return leaf;
}

/* Choose the mode and find the root; -EINVAL or -EFAULT when there is none. */
static int walk_start(struct walk *w, struct lodge_walk_fault *fault)
{
	const struct walk_regs *r = w->regs;

	if (r->efer & EFER_LMA) {
		if ((u64)((s64)(w->gva << 16) >> 16) != w->gva)
			return -EINVAL;
		w->mode = &mode_4level;
		w->table = r->cr3 & bits_from(12, 51);
	} else if (r->cr4 & X86_CR4_PAE) {
		u64 pdpte = r->pdpte[(w->gva >> 30) & 3];

		w->mode = &mode_pae;
		if (!(pdpte & PTE_P))
			return walk_fail(w, 0, fault);
		w->table = pdpte & bits_from(12, 51);
	} else {
		w->mode = &mode_32bit;
		w->table = r->cr3 & bits_from(12, 31);
	}
	w->level = w->mode->levels - 1;
	return 0;
}

/**
 * walk_tables() - translate a linear address
 * @regs: the paging registers
 * @read: reads guest-physical memory
 * @arg: handed to @read
 * @gva: linear address; outside long mode its low 32 bits count
 * @access: LODGE_GVA_*; a data read when neither WRITE nor EXEC is set
 * @gpa: out: guest-physical address
 * @fault: out, with -EFAULT: the page fault the guest would get
 *
 * Return: 0; -EFAULT; -EINVAL when @gva is not canonical; -EIO when a table is
 * not in RAM.
 */
int walk_tables(const struct walk_regs *regs, walk_read_fn read, void *arg, gva_t gva,
		u32 access, gpa_t *gpa, struct lodge_walk_fault *fault)
{
	struct walk w = {
		.regs = regs,
		.gva = regs->efer & EFER_LMA ? gva : (u32)gva,
		.access = access,
		.rights = PTE_RW | PTE_US,
	};
	int ret;

	if (!(regs->cr0 & X86_CR0_PG)) {
		*gpa = w.gva;
		return 0;
	}
	ret = walk_start(&w, fault);
	if (ret)
		return ret;

	for (;;) {
		ret = walk_step(&w, read, arg, fault);
		if (ret < 0)
			return ret;
		if (ret)
			break;
		w.level--;
	}

	if (!rights_allow(&w))
		return walk_fail(&w, X86_PF_PROT, fault);
	if (!key_allows(&w))
		return walk_fail(&w, X86_PF_PROT | X86_PF_PK, fault);
	*gpa = w.table | (w.gva & (BIT_ULL(level_shift(&w)) - 1));
	return 0;
}

static int read_mem(void *arg, gpa_t gpa, void *buf, size_t len)
{
	return lodge_mem_read(arg, gpa, buf, len);
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
	struct walk_regs regs = {
		.cr0 = lodge_cr0_read(vcpu),
		.cr3 = lodge_cr3_read(vcpu),
		.cr4 = lodge_cr4_read(vcpu),
		.efer = vcpu->efer,
		.pkru = vcpu->pkru,
		.ac = lodge_rflags_read(vcpu) & X86_EFLAGS_AC,
		.phys_bits = lodge_guest_phys_bits(vcpu),
		.huge_1g = lodge_guest_has(vcpu, GF_GBPAGES),
	};
	int i;

	if ((regs.cr0 & X86_CR0_PG) && (regs.cr4 & X86_CR4_PAE) && !(regs.efer & EFER_LMA)) {
		for (i = 0; i < 4; i++)
			regs.pdpte[i] = vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i);
	}
	return walk_tables(&regs, read_mem, &vcpu->vm->mem, gva, access, gpa, fault);
}

/**
 * lodge_insn_fetch() - read the instruction bytes at RIP
 * @vcpu: the vCPU
 * @bytes: filled
 * @max: how many to read
 *
 * Fewer come back when the instruction's end is on a page that is not there.
 *
 * Context: owner, loaded; may sleep.
 * Return: bytes read, not 0; else an error of lodge_walk().
 */
int lodge_insn_fetch(struct lodge_vcpu *vcpu, u8 *bytes, u32 max)
{
	u32 access = LODGE_GVA_EXEC | (lodge_cpl(vcpu) == 3 ? LODGE_GVA_USER : 0);
	gva_t gva = lodge_rip_read(vcpu);
	struct lodge_walk_fault fault;
	struct lodge_segment cs;
	u32 got = 0;

	if (lodge_code_width(vcpu) != 8) {
		vmx_segment_read(vcpu, LODGE_SEG_CS, &cs);
		gva = (u32)(cs.base + gva);
	}
	while (got < max) {
		u32 len = min_t(u32, max - got, PAGE_SIZE - offset_in_page(gva + got));
		gpa_t gpa;
		int err;

		err = lodge_walk(vcpu, gva + got, access, &gpa, &fault);
		if (!err && lodge_mem_read(&vcpu->vm->mem, gpa, bytes + got, len))
			err = -EIO;
		if (err)
			return got ? got : err;
		got += len;
	}
	return got;
}
