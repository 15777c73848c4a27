// SPDX-License-Identifier: GPL-2.0
/*
 * The page walk over tables in an array: each paging mode, each page size, each
 * reserved bit that software gets wrong, and the whole matrix of access rights.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "../cpu/walk.h"
#include "suites.h"

#define NR_PAGES	8
#define GUEST_BITS	36

#define P	1ull
#define W	2ull
#define U	4ull
#define PS	0x80ull
#define NX	BIT_ULL(63)

/* Page-fault error code bits: SDM 3A 4.7. */
#define ERR_P	1u
#define ERR_W	2u
#define ERR_U	4u
#define ERR_R	8u
#define ERR_I	16u
#define ERR_K	32u

#define CR0_PAGING	(X86_CR0_PG | X86_CR0_PE)

/* Memory that the host has not at hand. */
#define NOT_NOW		0x800000ull

/* Guest memory: page n is at gpa n << 12; the rest is not RAM. */
struct walk_mem {
	u8 page[NR_PAGES][4096];
};

static int mem_read(void *arg, gpa_t gpa, u32 size, u64 *entry)
{
	struct walk_mem *mem = arg;

	if (gpa >> 12 == NOT_NOW >> 12)
		return -EAGAIN;
	if (gpa + size > sizeof(mem->page))
		return -EIO;
	*entry = 0;
	memcpy(entry, (u8 *)mem->page + gpa, size);
	return 0;
}

static void put(struct walk_mem *mem, u64 table, u32 index, u64 entry, u32 size)
{
	memcpy((u8 *)mem->page + table + index * size, &entry, size);
}

static struct walk_mem *new_mem(struct kunit *test)
{
	struct walk_mem *mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	return mem;
}

static struct walk_regs regs_32bit(void)
{
	return (struct walk_regs) {
		.cr0 = CR0_PAGING | X86_CR0_WP, .cr3 = 0x1000, .cr4 = X86_CR4_PSE,
		.phys_bits = GUEST_BITS,
	};
}

static struct walk_regs regs_pae(void)
{
	return (struct walk_regs) {
		.cr0 = CR0_PAGING | X86_CR0_WP, .cr4 = X86_CR4_PAE, .efer = EFER_NX,
		.phys_bits = GUEST_BITS,
	};
}

static struct walk_regs regs_4level(void)
{
	return (struct walk_regs) {
		.cr0 = CR0_PAGING | X86_CR0_WP, .cr3 = 0x1000, .cr4 = X86_CR4_PAE,
		.efer = EFER_LME | EFER_LMA | EFER_NX, .phys_bits = GUEST_BITS, .huge_1g = true,
	};
}

/* -EFAULT is told by its code, so that one number says it all. */
#define OK_GPA(gpa)	(gpa)
#define FAULT(code)	(~(u64)(code))
#define ERROR(err)	(~(u64)(0x1000 - (err)))

/* The registers of PAE paging; 0 in all other modes. */
static u64 pdptes[4];

static u64 walk(const struct walk_regs *regs, struct walk_mem *mem, u64 gva, u32 access)
{
	struct walk_regs r = *regs;
	struct lodge_walk_fault fault = { .code = 0xfff };
	gpa_t gpa = ~0ull;
	int ret;

	r.pdpte = pdptes[walk_pdpte_index(gva)];
	ret = walk_tables(&r, mem_read, mem, gva, access, &gpa, &fault);
	return !ret ? gpa : ret == -EFAULT ? FAULT(fault.code) : ERROR(ret);
}

static void walk_paging_off(struct kunit *test)
{
	struct walk_regs r = { .cr0 = X86_CR0_PE };

	KUNIT_EXPECT_EQ(test, walk(&r, NULL, 0x12345678, 0), OK_GPA(0x12345678));
	KUNIT_EXPECT_EQ(test, walk(&r, NULL, 0x100000010ull, LODGE_GVA_WRITE), OK_GPA(0x10));
}

static void walk_32bit(struct kunit *test)
{
	struct walk_mem *mem = new_mem(test);
	struct walk_regs r = regs_32bit();

	put(mem, 0x1000, 1, 0x2000 | P | W | U, 4);		/* 4 MiB up: a table */
	put(mem, 0x2000, 3, 0xabcde000 | P | W | U, 4);
	put(mem, 0x1000, 2, 0x00c00000 | PS | P | W | U, 4);	/* 8 MiB up: a page */
	put(mem, 0x1000, 3, 0x00c00000 | 0x5 << 13 | PS | P | W | U, 4);
	put(mem, 0x1000, 4, 0x00c00000 | 1 << 21 | PS | P, 4);
	put(mem, 0x1000, 5, 0x00c00000 | 0x10 << 13 | PS | P, 4);	/* bit 36 */
	put(mem, 0x1000, 6, 0xfff000 | P, 4);			/* a table outside RAM */

	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x00403123, 0), OK_GPA(0xabcde123));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x5ull << 32 | 0x00403123, 0), OK_GPA(0xabcde123));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x00812345, 0), OK_GPA(0x00c12345));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x00c12345, 0), OK_GPA(0x500c12345));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x01000000, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x01400000, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x01800000, 0), ERROR(-EIO));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x00404000, 0), FAULT(0));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x00000000, LODGE_GVA_WRITE), FAULT(ERR_W));
	/* Nothing forbids execution here, and without SMEP the code does not say so. */
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, LODGE_GVA_EXEC), FAULT(0));
	r.cr4 |= X86_CR4_SMEP;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, LODGE_GVA_EXEC), FAULT(ERR_I));

	/* Without PSE the bit is ignored: 00C00000h is a table, outside RAM. */
	r.cr4 = 0;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x00812345, 0), ERROR(-EIO));
}

static void walk_pae(struct kunit *test)
{
	struct walk_mem *mem = new_mem(test);
	struct walk_regs r = regs_pae();

	pdptes[1] = 0x1000 | P;
	put(mem, 0x1000, 0, 0x2000 | P | W | U, 8);
	put(mem, 0x2000, 5, 0x8abcde000 | P | W | U, 8);
	put(mem, 0x2000, 6, 0x8abcde000 | P | W | U | NX, 8);
	put(mem, 0x2000, 7, 0x8abcde000 | P | 1ull << 36, 8);
	put(mem, 0x2000, 8, 0x8abcde000 | P | 1ull << 62, 8);
	put(mem, 0x1000, 1, 0x840000000 | PS | P | W | U, 8);
	put(mem, 0x1000, 2, 0x840000000 | PS | P | 1 << 13, 8);

	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x40005123, 0), OK_GPA(0x8abcde123));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x40345678, 0), OK_GPA(0x840145678));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x00005123, 0), FAULT(0));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x40006000, 0), OK_GPA(0x8abcde000));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x40006000, LODGE_GVA_EXEC), FAULT(ERR_P | ERR_I));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x40007000, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x40008000, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x40400000, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x80005123, 0), FAULT(0));
	pdptes[1] = 0;
	pdptes[3] = 0x1000 | P;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0xffc0005123, 0), OK_GPA(0x8abcde123));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x40005123, 0), FAULT(0));
	r.efer = 0;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0xc0006000, 0), FAULT(ERR_P | ERR_R));
	pdptes[3] = 0;
}

static void walk_4level(struct kunit *test)
{
	const u64 rw = P | W | U;
	struct walk_mem *mem = new_mem(test);
	struct walk_regs r = regs_4level();
	const u64 high = 0xffff800000000000;

	put(mem, 0x1000, 0, 0x2000 | rw, 8);
	put(mem, 0x1000, 1, 0x2000 | rw | PS, 8);		/* PS in a PML4E */
	put(mem, 0x1000, 256, 0x2000 | rw | 1ull << 52 | 0x800, 8);	/* ignored bits */
	put(mem, 0x2000, 0, 0x3000 | rw, 8);
	put(mem, 0x2000, 1, 0x840000000 | rw | PS, 8);		/* 1 GiB */
	put(mem, 0x2000, 2, 0x840000000 | rw | PS | 1 << 13, 8);
	put(mem, 0x3000, 0, 0x4000 | rw, 8);
	put(mem, 0x3000, 1, 0x800200000 | rw | PS | 1 << 12, 8);	/* 2 MiB, with PAT */
	put(mem, 0x3000, 2, 0x800200000 | rw | PS | 1 << 20, 8);
	put(mem, 0x4000, 0x1ff, 0x812345000 | rw, 8);
	put(mem, 0x4000, 0, 0x812345000 | rw | 1ull << GUEST_BITS, 8);

	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x1ff678, 0), OK_GPA(0x812345678));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, high + 0x1ff678, 0), OK_GPA(0x812345678));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x2abcde, 0), OK_GPA(0x8002abcde));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x7abcdef0, 0), OK_GPA(0x87abcdef0));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x400000, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x80000000, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 1ull << 39, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, 0), FAULT(ERR_P | ERR_R));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x1fe000, LODGE_GVA_USER), FAULT(ERR_U));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 1ull << 47, 0), ERROR(-EINVAL));
	KUNIT_EXPECT_EQ(test, walk(&r, mem, high - 1, 0), ERROR(-EINVAL));
	r.huge_1g = false;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x7abcdef0, 0), FAULT(ERR_P | ERR_R));
	/* Low bits of CR3 are a PCID and flags. */
	r.cr3 |= 0xfff;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x1ff678, 0), OK_GPA(0x812345678));
	r.cr3 = 0x10000;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x1ff678, 0), ERROR(-EIO));
	/* What a read says besides is the walk's answer, from whatever level. */
	r.cr3 = NOT_NOW;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x1ff678, 0), ERROR(-EAGAIN));
	r.cr3 = 0x1000;
	put(mem, 0x3000, 3, NOT_NOW | rw, 8);
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0x600000, 0), ERROR(-EAGAIN));
}

/* Without NXE the bit is reserved at each level, for any access. */
static void walk_no_nx(struct kunit *test)
{
	struct walk_mem *mem = new_mem(test);
	struct walk_regs r = regs_4level();
	int level;

	r.efer &= ~EFER_NX;
	for (level = 0; level < 4; level++) {
		int i;

		for (i = 0; i < 4; i++)
			put(mem, 0x1000 * (i + 1), 0,
			    (0x1000 * (i + 2)) | P | W | U | (i == level ? NX : 0), 8);
		KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, 0), FAULT(ERR_P | ERR_R));
		KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, LODGE_GVA_EXEC), FAULT(ERR_P | ERR_R));
	}
	r.efer |= EFER_NX;
	KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, 0), OK_GPA(0x5000));
}

/* Every level counts: an intermediate entry takes rights away. */
static void walk_every_level(struct kunit *test)
{
	const u64 all = P | W | U;
	struct walk_regs r = regs_4level();
	struct walk_mem *mem = new_mem(test);
	int level;

	for (level = 0; level < 4; level++) {
		u64 entry[4] = { 0x2000 | all, 0x3000 | all, 0x4000 | all, 0x5000 | all };
		int i;

		for (i = 0; i < 4; i++)
			put(mem, 0x1000 * (i + 1), 0, entry[i], 8);
		KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, LODGE_GVA_WRITE | LODGE_GVA_USER), 0x5000);
		put(mem, 0x1000 * (level + 1), 0, entry[level] & ~W, 8);
		KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, LODGE_GVA_WRITE), FAULT(ERR_P | ERR_W));
		put(mem, 0x1000 * (level + 1), 0, entry[level] & ~U, 8);
		KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, LODGE_GVA_USER), FAULT(ERR_P | ERR_U));
		put(mem, 0x1000 * (level + 1), 0, entry[level] | NX, 8);
		KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, LODGE_GVA_EXEC), FAULT(ERR_P | ERR_I));
		put(mem, 0x1000 * (level + 1), 0, entry[level] & ~P, 8);
		KUNIT_EXPECT_EQ(test, walk(&r, mem, 0, 0), FAULT(0));
	}
}

#define RD	0
#define WR	LODGE_GVA_WRITE
#define EX	LODGE_GVA_EXEC
#define US	LODGE_GVA_USER

/**
 * struct rights_case - a page, the control bits, an access
 * @page: its entry's rights
 * @cr4: added to CR4
 * @no_wp: CR0.WP is 0
 * @ac: EFLAGS.AC
 * @pkru: PKRU; the page has key 1
 * @access: LODGE_GVA_*
 * @code: the fault, 0: allowed
 */
struct rights_case {
	u64 page;
	u64 cr4;
	bool no_wp;
	bool ac;
	u32 pkru;
	u32 access;
	u32 code;
};

#define AD1	4u
#define WD1	8u
#define SMEP	X86_CR4_SMEP
#define SMAP	X86_CR4_SMAP
#define PKE	X86_CR4_PKE

static const struct rights_case rights_cases[] = {
	/* Supervisor page. */
	{ 0, .access = RD },
	{ 0, .access = WR, .code = ERR_P | ERR_W },
	{ 0, .access = WR, .no_wp = true },
	{ W, .access = WR },
	{ 0, .access = EX },
	{ NX, .access = EX, .code = ERR_P | ERR_I },
	{ W, .access = US, .code = ERR_P | ERR_U },
	{ W, .access = US | WR, .code = ERR_P | ERR_U | ERR_W },
	{ W, .access = US | EX, .code = ERR_P | ERR_U | ERR_I },
	{ W, .access = US | WR, .no_wp = true, .code = ERR_P | ERR_U | ERR_W },

	/* User page, user access. */
	{ U, .access = US },
	{ U, .access = US | EX },
	{ U | NX, .access = US | EX, .code = ERR_P | ERR_U | ERR_I },
	{ U | W, .access = US | WR },
	{ U, .access = US | WR, .code = ERR_P | ERR_U | ERR_W },
	{ U, .access = US | WR, .no_wp = true, .code = ERR_P | ERR_U | ERR_W },
	{ U, SMEP | SMAP, .access = US },
	{ U, SMEP | SMAP, .access = US | EX },

	/* User page, supervisor access. */
	{ U, .access = RD },
	{ U, .access = EX },
	{ U, SMEP, .access = EX, .code = ERR_P | ERR_I },
	{ U, SMEP, .access = RD },
	{ U, SMAP, .access = RD, .code = ERR_P },
	{ U | W, SMAP, .access = WR, .code = ERR_P | ERR_W },
	{ U, SMAP, .access = RD, .ac = true },
	{ U, SMAP, .access = WR, .ac = true, .code = ERR_P | ERR_W },
	{ U, SMAP, .access = WR, .ac = true, .no_wp = true },
	{ U, SMAP, .access = WR, .no_wp = true, .code = ERR_P | ERR_W },
	{ U, SMAP, .access = EX },
	{ 0, SMEP | SMAP, .access = EX },
	{ 0, SMEP | SMAP, .access = RD },

	/* Protection keys: data on user pages only. */
	{ U | W, PKE, .access = US },
	{ U | W, PKE, .pkru = AD1, .access = US, .code = ERR_P | ERR_U | ERR_K },
	{ U | W, PKE, .pkru = AD1, .access = RD, .code = ERR_P | ERR_K },
	{ U | W, PKE, .pkru = AD1, .access = US | EX },
	{ U | W, PKE, .pkru = WD1, .access = US },
	{ U | W, PKE, .pkru = WD1, .access = US | WR, .code = ERR_P | ERR_U | ERR_W | ERR_K },
	{ U | W, PKE, .pkru = WD1, .access = WR, .code = ERR_P | ERR_W | ERR_K },
	{ U | W, PKE, .pkru = WD1, .access = WR, .no_wp = true },
	{ U | W, PKE, .pkru = WD1, .access = US | WR, .no_wp = true,
	  .code = ERR_P | ERR_U | ERR_W | ERR_K },
	{ W, PKE, .pkru = AD1 | WD1, .access = WR },
	{ U | W, PKE, .pkru = ~(AD1 | WD1), .access = US | WR },
	{ U | W, 0, .pkru = AD1, .access = US },
};

static void walk_rights(struct kunit *test)
{
	struct walk_mem *mem = new_mem(test);
	size_t i;

	put(mem, 0x1000, 0, 0x2000 | P | W | U, 8);
	put(mem, 0x2000, 0, 0x3000 | P | W | U, 8);
	put(mem, 0x3000, 0, 0x4000 | P | W | U, 8);
	for (i = 0; i < ARRAY_SIZE(rights_cases); i++) {
		const struct rights_case *c = &rights_cases[i];
		struct walk_regs r = regs_4level();

		r.cr4 |= c->cr4;
		r.ac = c->ac;
		r.pkru = c->pkru;
		if (c->no_wp)
			r.cr0 &= ~X86_CR0_WP;
		put(mem, 0x4000, 0, 0x7000 | P | c->page | 1ull << 59, 8);
		KUNIT_EXPECT_EQ_MSG(test, walk(&r, mem, 0x123, c->access),
				    c->code ? FAULT(c->code) : OK_GPA(0x7123), "case %zu", i);
	}
}

static struct kunit_case walk_test_cases[] = {
	KUNIT_CASE(walk_paging_off),
	KUNIT_CASE(walk_32bit),
	KUNIT_CASE(walk_pae),
	KUNIT_CASE(walk_4level),
	KUNIT_CASE(walk_no_nx),
	KUNIT_CASE(walk_every_level),
	KUNIT_CASE(walk_rights),
	{ }
};

struct kunit_suite lodge_walk_suite = {
	.name = "lodge_walk",
	.test_cases = walk_test_cases,
};
