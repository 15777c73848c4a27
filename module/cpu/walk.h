/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page walk itself: a pure function of the paging registers and of memory
 * read through a callback. It is inline so that its callback is, too, and so that
 * what the paging mode decides is decided when it is compiled. The same lines walk
 * a guest's memory in walk.c and tables in an array in KUnit.
 *
 * SDM 3A chapter 4: 4.3 32-bit paging, 4.4 PAE, 4.5 4-level, 4.6 access rights,
 * 4.7 page-fault error code. Five levels are not offered to guests.
 */
#ifndef LODGE_WALK_H
#define LODGE_WALK_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <asm/msr-index.h>
#include <asm/pkru.h>
#include <asm/processor-flags.h>
#include <asm/trap_pf.h>

#include "cpu.h"

/**
 * struct walk_regs - what decides how a linear address is translated
 * @cr0: as the guest reads it; WP is looked at for writes only
 * @cr3: page-table root
 * @cr4: as the guest reads it
 * @efer: IA32_EFER
 * @pdpte: PAE paging: the entry in a register, number walk_pdpte_index()
 * @pkru: protection-key rights; looked at for data only
 * @ac: EFLAGS.AC; looked at for data only
 * @phys_bits: physical-address width the guest was told
 * @huge_1g: the guest was told of 1 GiB pages
 */
struct walk_regs {
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 efer;
	u64 pdpte;
	u32 pkru;
	bool ac;
	u8 phys_bits;
	bool huge_1g;
};

/*
 * Reads an entry, @size bytes at their own alignment, in one piece. 0; -EIO: it is
 * not RAM; anything else ends the walk and is returned.
 */
typedef int (*walk_read_fn)(void *arg, gpa_t gpa, u32 size, u64 *entry);

/* Which of PAE's four registers translates @gva. */
static __always_inline unsigned int walk_pdpte_index(gva_t gva)
{
	return (u32)gva >> 30;
}

/* Bits of a paging-structure entry that all modes share. */
#define WALK_P		BIT_ULL(0)
#define WALK_RW		BIT_ULL(1)
#define WALK_US		BIT_ULL(2)
#define WALK_PS		BIT_ULL(7)
#define WALK_NX		BIT_ULL(63)
#define WALK_ADDR	GENMASK_ULL(51, 12)	/* 32-bit entries end at 31 by themselves */

#define WALK_PSE36_BITS	40	/* most that a 4 MiB page can address */

/**
 * struct walk_mode - a paging mode
 * @levels: tables between the root and the page
 * @index_bits: bits of the linear address that index one table
 * @entry_size: bytes of an entry
 * @top_reserved: from the guest's physical-address width up to this bit, an
 *	entry must be 0
 * @keys: protection keys guard its user pages
 */
struct walk_mode {
	u8 levels;
	u8 index_bits;
	u8 entry_size;
	u8 top_reserved;
	bool keys;
};

/* PAE's third level is in registers. */
static const struct walk_mode walk_mode_32bit = { 2, 10, 4 };
static const struct walk_mode walk_mode_pae = { 2, 9, 8, .top_reserved = 62 };
static const struct walk_mode walk_mode_4level = { 4, 9, 8, .top_reserved = 51, .keys = true };

/* Bits @low to @high; none when @low is the higher. */
static __always_inline u64 walk_bits(unsigned int low, unsigned int high)
{
	return GENMASK_ULL(high, 0) & (~0ull << low);
}

static __always_inline bool walk_nx_enabled(const struct walk_regs *r)
{
	return (r->cr4 & X86_CR4_PAE) && (r->efer & EFER_NX);
}

static __always_inline int walk_fail(const struct walk_regs *r, u32 access, u32 code,
				     struct lodge_walk_fault *fault)
{
	if (access & LODGE_GVA_WRITE)
		code |= X86_PF_WRITE;
	if (access & LODGE_GVA_USER)
		code |= X86_PF_USER;
	if ((access & LODGE_GVA_EXEC) && (walk_nx_enabled(r) || (r->cr4 & X86_CR4_SMEP)))
		code |= X86_PF_INSTR;
	fault->code = code;
	return -EFAULT;
}

/* Must be 0 in any present entry, above its address bits: SDM 3A tables 4-4 to 4-20. */
static __always_inline u64 walk_reserved(const struct walk_mode *mode, const struct walk_regs *r)
{
	if (mode->entry_size == 4)
		return 0;
	/* PAE is on, or entries were not as long: only NXE decides about NX. */
	return walk_bits(r->phys_bits, mode->top_reserved) | (r->efer & EFER_NX ? 0 : WALK_NX);
}

/* Does PS make an entry that maps BIT(@shift) bytes a page? */
static __always_inline bool walk_is_large(const struct walk_mode *mode, const struct walk_regs *r,
					  unsigned int shift)
{
	if (mode->entry_size == 4)
		return r->cr4 & X86_CR4_PSE;
	return shift == 21 || (shift == 30 && r->huge_1g);
}

/* Must be 0 in an entry with PS, below or among its address bits. */
static __always_inline u64 walk_reserved_large(const struct walk_mode *mode,
					       const struct walk_regs *r, unsigned int shift)
{
	bool large = walk_is_large(mode, r, shift);

	if (mode->entry_size == 4)	/* without PSE the bit is ignored */
		return large ? walk_bits(min_t(u8, r->phys_bits, WALK_PSE36_BITS) - 19, 21) : 0;
	return large ? walk_bits(13, shift - 1) : WALK_PS;
}

/* Where @gva is in the page of BIT(@shift) bytes that an entry maps. */
static __always_inline gpa_t walk_address(const struct walk_mode *mode, u64 entry, gva_t gva,
					  unsigned int shift)
{
	gva_t offset = gva & (BIT_ULL(shift) - 1);

	if (mode->entry_size == 4 && shift > 12)	/* PSE-36: bits 39:32 stand in 20:13 */
		return (entry & walk_bits(22, 31)) | (entry & walk_bits(13, 20)) << 19 | offset;
	return (entry & walk_bits(shift, 51)) | offset;
}

/* SDM 3A 4.6.1: access rights that do not come from protection keys. */
static __always_inline bool walk_rights_allow(const struct walk_regs *r, u32 access, u64 rights,
					      bool nx)
{
	if (access & LODGE_GVA_USER) {
		if (!(rights & WALK_US))
			return false;
	} else if (rights & WALK_US) {
		if (access & LODGE_GVA_EXEC) {
			if (r->cr4 & X86_CR4_SMEP)
				return false;
		} else if ((r->cr4 & X86_CR4_SMAP) && !r->ac) {
			return false;
		}
	}
	if ((access & LODGE_GVA_EXEC) && nx)
		return false;
	if ((access & LODGE_GVA_WRITE) && !(rights & WALK_RW))
		return !(access & LODGE_GVA_USER) && !(r->cr0 & X86_CR0_WP);
	return true;
}

/* SDM 3A 4.6.2: protection keys guard data on user pages of 4-level paging. */
static __always_inline bool walk_key_allows(const struct walk_regs *r, u32 access, u64 rights,
					    u64 entry)
{
	u32 key;

	if (!(r->cr4 & X86_CR4_PKE) || !(rights & WALK_US) || (access & LODGE_GVA_EXEC))
		return true;
	key = r->pkru >> (((entry >> 59) & 0xf) * PKRU_BITS_PER_PKEY);
	if (key & PKRU_AD_BIT)
		return false;
	if (!(access & LODGE_GVA_WRITE) || !(key & PKRU_WD_BIT))
		return true;
	return !(access & LODGE_GVA_USER) && !(r->cr0 & X86_CR0_WP);
}

/* From the root in @table down to the page, in one mode. */
static __always_inline int walk_levels(const struct walk_mode *mode, const struct walk_regs *r,
				       walk_read_fn read, void *arg, gpa_t table, gva_t gva,
				       u32 access, gpa_t *gpa, struct lodge_walk_fault *fault)
{
	const u64 reserved = walk_reserved(mode, r);
	const u64 index_mask = BIT_ULL(mode->index_bits) - 1;
	unsigned int shift = 12 + mode->index_bits * (mode->levels - 1);
	u64 rights = WALK_RW | WALK_US;		/* that all levels give */
	u64 nx = 0;				/* some level forbids execution */
	u64 entry = 0;
	gpa_t found = 0;
	int level, err;

#pragma GCC unroll 4
	for (level = 0; level < mode->levels; level++, shift -= mode->index_bits) {
		u64 index = (gva >> shift) & index_mask;

		err = read(arg, table + index * mode->entry_size, mode->entry_size, &entry);
		if (err)
			return err;
		if (!(entry & WALK_P))
			return walk_fail(r, access, 0, fault);
		if (entry & reserved)
			return walk_fail(r, access, X86_PF_PROT | X86_PF_RSVD, fault);
		rights &= entry;
		nx |= entry;	/* where NX means nothing it is reserved: not seen here */
		if (shift == 12) {
			found = walk_address(mode, entry, gva, 12);
			break;
		}
		if (unlikely(entry & WALK_PS)) {
			if (entry & walk_reserved_large(mode, r, shift))
				return walk_fail(r, access, X86_PF_PROT | X86_PF_RSVD, fault);
			if (walk_is_large(mode, r, shift)) {
				found = walk_address(mode, entry, gva, shift);
				break;
			}
		}
		table = entry & WALK_ADDR;
	}

	if (!walk_rights_allow(r, access, rights, nx & WALK_NX))
		return walk_fail(r, access, X86_PF_PROT, fault);
	if (mode->keys && !walk_key_allows(r, access, rights, entry))
		return walk_fail(r, access, X86_PF_PROT | X86_PF_PK, fault);
	*gpa = found;
	return 0;
}

/**
 * walk_tables() - translate a linear address
 * @r: the paging registers
 * @read: reads guest-physical memory
 * @arg: handed to @read
 * @gva: linear address; outside long mode its low 32 bits count
 * @access: LODGE_GVA_*; a data read when neither WRITE nor EXEC is set
 * @gpa: out: guest-physical address
 * @fault: out, with -EFAULT: the page fault the guest would get
 *
 * Return: 0; -EFAULT; -EINVAL when @gva is not canonical; -EIO when a table is
 * not in RAM; or what else @read returned.
 */
static __always_inline int walk_tables(const struct walk_regs *r, walk_read_fn read, void *arg,
				       gva_t gva, u32 access, gpa_t *gpa,
				       struct lodge_walk_fault *fault)
{
	if (likely(r->efer & EFER_LMA)) {
		if ((u64)((s64)(gva << 16) >> 16) != gva)
			return -EINVAL;
		return walk_levels(&walk_mode_4level, r, read, arg, r->cr3 & WALK_ADDR, gva,
				   access, gpa, fault);
	}
	gva = (u32)gva;
	if (!(r->cr0 & X86_CR0_PG)) {
		*gpa = gva;
		return 0;
	}
	if (r->cr4 & X86_CR4_PAE) {
		if (!(r->pdpte & WALK_P))
			return walk_fail(r, access, 0, fault);
		return walk_levels(&walk_mode_pae, r, read, arg, r->pdpte & WALK_ADDR, gva,
				   access, gpa, fault);
	}
	return walk_levels(&walk_mode_32bit, r, read, arg, r->cr3 & walk_bits(12, 31), gva,
			   access, gpa, fault);
}

#endif
