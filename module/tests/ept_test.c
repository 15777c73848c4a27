// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of ept/: the tables on made-up frames, the memory map by sequences of
 * operations, the flush generation against a counted kick, and the whole against
 * the memory of a real process: the one that loads the module.
 */
#include <kunit/test.h>
#include <linux/ctype.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

#include "../ept/mem.h"
#include "suites.h"

/* Each case starts from the same CPU; what was found is put back at the end. */
static struct ept_caps saved_caps;
static struct mm_struct *user_mm;

/* ------------------------------------------------------------------- tables */

/* Entries as the SDM has them, spelled out once more, to check those of table.h. */
#define E_4K(pfn, rwx)	(((pfn) << 12) | 0x170 | (rwx))		/* A, ignore PAT, WB */
#define E_HUGE(pfn, rwx) (((pfn) << 12) | 0x1f0 | (rwx))	/* and huge */
#define RX		0x5
#define RWX		0x7
#define DIRTY		0x200

/**
 * struct tables - an EPT under test
 * @test: whose
 * @root: top table
 * @cache: what its calls take tables from
 * @taken: tables it was given so far
 */
struct tables {
	struct kunit *test;
	u64 *root;
	struct ept_cache cache;
	int taken;
};

static void tables_init(struct tables *t, struct kunit *test)
{
	memset(t, 0, sizeof(*t));
	t->test = test;
	t->root = ept_table_alloc();
	KUNIT_ASSERT_NOT_NULL(test, t->root);
}

/* Tables from @table at @level down, itself included: a walk of its own. */
static int count_tables(const u64 *table, int level)
{
	int i, nr = 1;

	for (i = 0; level > 1 && i < 512; i++) {
		if ((table[i] & 0x87) == 0x7)
			nr += count_tables(__va(table[i] & 0x000ffffffffff000), level - 1);
	}
	return nr;
}

static int count_gone(const struct ept_gone *gone)
{
	struct page *page;
	int nr = 0;

	list_for_each_entry(page, &gone->tables, lru)
		nr += count_tables(page_address(page), page_private(page));
	return nr;
}

/* The leaf that maps @gpa, 0 for none, and its level (that of the hole for none). */
static u64 look_up(const u64 *root, u64 gpa, int *level)
{
	const u64 *table = root;
	u64 entry = 0;

	for (*level = 4; *level > 0; (*level)--) {
		entry = table[(gpa >> (3 + 9 * *level)) & 0x1ff];
		if (*level == 1 || (entry & 0x87) != 0x7)
			break;
		table = __va(entry & 0x000ffffffffff000);
	}
	return entry;
}

static int map_with(struct tables *t, u64 gpa, int level, u64 leaf, struct ept_gone *gone)
{
	int ret, before;

	for (;;) {
		before = t->cache.nr;
		ret = ept_map(t->root, gpa, level, leaf, &t->cache, gone);
		t->taken += before - t->cache.nr;
		if (ret != -ENOMEM)
			return ret;
		KUNIT_EXPECT_LE(t->test, t->cache.want, (u32)EPT_CACHE_SIZE);
		if (t->cache.nr >= t->cache.want || ept_cache_fill(&t->cache))
			return ret;
	}
}

static int map(struct tables *t, u64 gpa, int level, u64 pfn, u64 perm)
{
	return map_with(t, gpa, level, ept_leaf(pfn, level, perm), NULL);
}

static int split(struct tables *t, u64 gpa, struct ept_gone *gone)
{
	int ret, before;

	for (;;) {
		before = t->cache.nr;
		ret = ept_split(t->root, gpa, &t->cache, gone);
		t->taken += before - t->cache.nr;
		if (ret != -ENOMEM || ept_cache_fill(&t->cache))
			return ret;
	}
}

static void expect_entry(struct tables *t, u64 gpa, int level, u64 entry)
{
	int found_level;
	u64 found = look_up(t->root, gpa, &found_level);

	KUNIT_EXPECT_EQ_MSG(t->test, found, entry, "gpa %#llx", gpa);
	KUNIT_EXPECT_EQ_MSG(t->test, found_level, level, "gpa %#llx", gpa);
}

/* No table is lost: those taken are linked, or were unlinked into @gone. */
static void tables_end(struct tables *t, struct ept_gone *gone)
{
	int linked = count_tables(t->root, 4) - 1;

	KUNIT_EXPECT_EQ(t->test, t->taken, linked + count_gone(gone));
	ept_zap(t->root, 0, 1ULL << 48, gone);
	KUNIT_EXPECT_EQ(t->test, t->taken, count_gone(gone));
	KUNIT_EXPECT_EQ(t->test, count_tables(t->root, 4), 1);
	ept_gone_free(gone, true);
	KUNIT_EXPECT_TRUE(t->test, list_empty(&gone->tables));
	ept_cache_drain(&t->cache);
	ept_table_free(t->root);
}

static void map_levels_test(struct kunit *test)
{
	static const struct {
		u64 gpa;
		int level;
		u64 pfn, perm;
		u64 entry;
		u32 want;	/* tables, all others being there */
	} cases[] = {
		{ 0x0,            1, 0x12345,  EPT_W | EPT_X,         E_4K(0x12345ULL, RWX), 3 },
		{ 0x1000,         1, 0x777,    EPT_X,                 E_4K(0x777ULL, RX), 0 },
		{ 0x1fffff,       1, 0x1,      EPT_RWX | EPT_D,      E_4K(0x1ULL, RWX | DIRTY), 0 },
		{ 0x200000,       1, 0x2,      0,                     E_4K(0x2ULL, 1), 1 },
		{ 0x400000,       2, 0x40000,  EPT_W | EPT_X,         E_HUGE(0x40000ULL, RWX), 0 },
		/* A frame in the middle of its page, and an address so too. */
		{ 0x7ff123,       2, 0x403ff,  EPT_X,                 E_HUGE(0x40200ULL, RX), 0 },
		{ 0x40000000,     3, 0x80000,  EPT_W,                 E_HUGE(0x80000ULL, 3), 0 },
		{ 0x7fffffffff,   3, 0xbffff,  EPT_X,                 E_HUGE(0x80000ULL, RX), 0 },
		{ 0x8000000000,   3, 0x1000000, EPT_X,                E_HUGE(0x1000000ULL, RX), 1 },
		{ 0xffffc0000000, 2, 0x200,    EPT_X,                 E_HUGE(0x200ULL, RX), 2 },
		{ 0xfffffffff000, 1, 0xfffffffff, EPT_X,              E_4K(0xfffffffffULL, RX), 1 },
	};
	struct ept_gone gone;
	struct tables t;
	u32 i;

	tables_init(&t, test);
	ept_gone_init(&gone);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 leaf = ept_leaf(cases[i].pfn, cases[i].level, cases[i].perm);
		int before = t.taken;

		if (cases[i].want) {
			ept_cache_drain(&t.cache);
			KUNIT_EXPECT_EQ(test, -ENOMEM, ept_map(t.root, cases[i].gpa, cases[i].level,
							       leaf, &t.cache, NULL));
			KUNIT_EXPECT_EQ_MSG(test, t.cache.want, cases[i].want, "case %u", i);
		}
		KUNIT_EXPECT_EQ(test, 0, map_with(&t, cases[i].gpa, cases[i].level, leaf, NULL));
		KUNIT_EXPECT_EQ_MSG(test, (u32)(t.taken - before), cases[i].want, "case %u", i);
	}
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		expect_entry(&t, cases[i].gpa, cases[i].level, cases[i].entry);
	expect_entry(&t, 0x2000, 1, 0);
	expect_entry(&t, 0x80000000, 3, 0);
	expect_entry(&t, 0x10000000000, 4, 0);
	tables_end(&t, &gone);
}

/* What mapping does where something is mapped. */
static void map_over_test(struct kunit *test)
{
	static const struct {
		const char *name;
		int old_level;
		u64 old_pfn, old_perm;
		int level;
		u64 pfn, perm;
		int shared;		/* answer when nothing may be replaced */
		int new_level;		/* what stands there when it may */
		u64 entry;
		bool flush;
	} cases[] = {
		{ "same", 1, 0x10, EPT_X, 1, 0x10, EPT_X, 0, 1, E_4K(0x10ULL, RX), false },
		{ "wider", 1, 0x10, EPT_X, 1, 0x10, EPT_X | EPT_W | EPT_D, 0,
		  1, E_4K(0x10ULL, RWX | DIRTY), false },
		{ "narrower", 1, 0x10, EPT_X | EPT_W, 1, 0x10, EPT_X, 0,
		  1, E_4K(0x10ULL, RWX), false },
		{ "wider here, narrower there", 1, 0x10, EPT_W | EPT_D, 1, 0x10, EPT_X, 0,
		  1, E_4K(0x10ULL, RWX | DIRTY), false },
		{ "another page", 1, 0x10, EPT_X, 1, 0x11, EPT_X, -EBUSY,
		  1, E_4K(0x11ULL, RX), true },
		{ "huge, wider", 2, 0x200, EPT_X, 2, 0x200, EPT_X | EPT_W, 0,
		  2, E_HUGE(0x200ULL, RWX), false },
		{ "another huge page", 2, 0x200, EPT_X, 2, 0x400, EPT_X, -EBUSY,
		  2, E_HUGE(0x400ULL, RX), true },
		{ "small in huge, same", 2, 0x200, EPT_X | EPT_W, 1, 0x200, EPT_X, 0,
		  2, E_HUGE(0x200ULL, RWX), false },
		{ "small in huge, wider", 2, 0x200, EPT_X, 1, 0x200, EPT_X | EPT_W, -EBUSY,
		  1, E_4K(0x200ULL, RWX), true },
		{ "small in huge, another", 2, 0x200, EPT_X, 1, 0x10, EPT_X, -EBUSY,
		  1, E_4K(0x10ULL, RX), true },
		{ "small in 1G, wider", 3, 0x40000, 0, 1, 0x40000, EPT_X, -EBUSY,
		  1, E_4K(0x40000ULL, RX), true },
		{ "2M in 1G, another", 3, 0x40000, 0, 2, 0x200, EPT_X, -EBUSY,
		  2, E_HUGE(0x200ULL, RX), true },
		{ "huge over small", 1, 0x200, EPT_X, 2, 0x200, EPT_X, -EEXIST,
		  2, E_HUGE(0x200ULL, RX), true },
		{ "1G over small", 1, 0x200, EPT_X, 3, 0x40000, EPT_X, -EEXIST,
		  3, E_HUGE(0x40000ULL, RX), true },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 leaf = ept_leaf(cases[i].pfn, cases[i].level, cases[i].perm);
		struct ept_gone gone;
		struct tables t;

		tables_init(&t, test);
		ept_gone_init(&gone);
		KUNIT_EXPECT_EQ(test, 0, map(&t, 0x40000000, cases[i].old_level, cases[i].old_pfn,
					     cases[i].old_perm));
		KUNIT_EXPECT_EQ_MSG(test, cases[i].shared,
				    map_with(&t, 0x40000000, cases[i].level, leaf, NULL), "%s",
				    cases[i].name);
		if (cases[i].shared)
			expect_entry(&t, 0x40000000, cases[i].old_level,
				     ept_leaf(cases[i].old_pfn, cases[i].old_level,
					      cases[i].old_perm));
		KUNIT_EXPECT_EQ_MSG(test, 0,
				    map_with(&t, 0x40000000, cases[i].level, leaf, &gone), "%s",
				    cases[i].name);
		KUNIT_EXPECT_EQ_MSG(test, gone.flush, cases[i].flush, "%s", cases[i].name);
		expect_entry(&t, 0x40000000, cases[i].new_level, cases[i].entry);
		tables_end(&t, &gone);
	}
}

/* A split changes the size of pages, and neither addresses nor permissions. */
static void split_test(struct kunit *test)
{
	static const u64 probes[] = {
		0x40000000, 0x401ff000, 0x40200000, 0x40203000, 0x40204000, 0x403ff000,
		0x40400000, 0x7fffffff,
	};
	struct ept_gone gone;
	struct tables t;
	int level;
	u32 i;

	tables_init(&t, test);
	ept_gone_init(&gone);
	KUNIT_EXPECT_EQ(test, 0, map(&t, 0x40000000, EPT_1G, 0x80000, EPT_W | EPT_D));

	/* At its borders and in a hole there is nothing to split. */
	KUNIT_EXPECT_EQ(test, 0, split(&t, 0x40000000, &gone));
	KUNIT_EXPECT_EQ(test, 0, split(&t, 0x80000000, &gone));
	KUNIT_EXPECT_EQ(test, 0, split(&t, 0x80001000, &gone));
	KUNIT_EXPECT_EQ(test, 0, split(&t, 1ULL << 48, &gone));
	KUNIT_EXPECT_FALSE(test, gone.flush);
	expect_entry(&t, 0x40000000, EPT_1G, E_HUGE(0x80000ULL, 3 | DIRTY));

	KUNIT_EXPECT_EQ(test, 0, split(&t, 0x40203000, &gone));
	KUNIT_EXPECT_TRUE(test, gone.flush);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		bool small = probes[i] >= 0x40200000 && probes[i] < 0x40400000;
		u64 pfn = 0x80000 + ((probes[i] - 0x40000000) >> 12);
		u64 entry = look_up(t.root, probes[i], &level);

		KUNIT_EXPECT_EQ_MSG(test, level, small ? 1 : 2, "gpa %#llx", probes[i]);
		KUNIT_EXPECT_EQ_MSG(test, entry,
				    small ? E_4K(pfn, 3 | DIRTY) :
				    E_HUGE(pfn & ~0x1ffULL, 3 | DIRTY), "gpa %#llx", probes[i]);
	}
	/* A 2 MiB border needs no small pages. */
	KUNIT_EXPECT_EQ(test, 0, split(&t, 0x40800000, &gone));
	expect_entry(&t, 0x40800000, EPT_2M, E_HUGE(0x80800ULL, 3 | DIRTY));
	expect_entry(&t, 0x407ff000, EPT_2M, E_HUGE(0x80600ULL, 3 | DIRTY));
	tables_end(&t, &gone);
}

/* Small pages for 2 MiB at 0, a huge one at 2M, one small at 6M, 1 GiB at 1G, one at the top. */
static void fill(struct tables *t)
{
	u64 i;

	for (i = 0; i < 512; i++)
		KUNIT_EXPECT_EQ(t->test, 0, map(t, i << 12, EPT_4K, 0x1000 + i, EPT_W | EPT_X));
	KUNIT_EXPECT_EQ(t->test, 0, map(t, 0x200000, EPT_2M, 0x2000, EPT_W | EPT_X));
	KUNIT_EXPECT_EQ(t->test, 0, map(t, 0x601000, EPT_4K, 0x4000, EPT_W | EPT_X));
	KUNIT_EXPECT_EQ(t->test, 0, map(t, 0x40000000, EPT_1G, 0x40000, EPT_W | EPT_X));
	KUNIT_EXPECT_EQ(t->test, 0, map(t, 0xfffffffff000, EPT_4K, 0x3000, EPT_W | EPT_X));
}

#define ALL_GPA		BIT_ULL(48)

static void zap_test(struct kunit *test)
{
	static const u64 probes[] = {
		0x0, 0x1000, 0x1fe000, 0x1ff000, 0x200000, 0x3ff000, 0x40000000, 0x7ffff000,
		0xfffffffff000, 0x601000,
	};
	static const struct {
		u64 start, end;
		u32 left;	/* bit i: probes[i] is still mapped */
		int tables;	/* unlinked */
		bool flush;
	} cases[] = {
		{ 0x0,        0x0,        0x3ff, 0, false },
		{ 0x400000,   0x600000,   0x3ff, 0, false },
		{ 0x80000000, 0xfffffffff000, 0x3ff, 0, false },
		{ 0x0,        0x1000,     0x3fe, 0, true },
		{ 0x1000,     0x1ff000,   0x3f9, 0, true },
		{ 0x0,        0x200000,   0x3f0, 1, true },
		{ 0x1000,     0x200000,   0x3f1, 0, true },
		{ 0x0,        0x201000,   0x3c0, 1, true },	/* the huge page goes whole */
		{ 0x3ff000,   0x400000,   0x3cf, 0, true },
		{ 0x5ff000,   0x602000,   0x1ff, 0, true },	/* from the middle of a hole */
		{ 0x50000000, 0x50001000, 0x33f, 0, true },
		{ 0x0,        0x40000000, 0x1c0, 3, true },
		{ 0x0,        0x8000000000, 0x100, 4, true },
		{ 0x1000,     ALL_GPA,    0x001, 4, true },
		{ 0x0,        ALL_GPA,    0x000, 7, true },
		{ 0xfffffffff000, ALL_GPA, 0x2ff, 0, true },
		{ 0xffffffe00000, ALL_GPA, 0x2ff, 1, true },
	};
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ept_gone gone;
		struct tables t;
		u32 left = 0;
		int level;

		tables_init(&t, test);
		ept_gone_init(&gone);
		fill(&t);
		ept_zap(t.root, cases[i].start, cases[i].end, &gone);
		for (j = 0; j < ARRAY_SIZE(probes); j++)
			left |= look_up(t.root, probes[j], &level) ? BIT(j) : 0;
		KUNIT_EXPECT_EQ_MSG(test, left, cases[i].left, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, count_gone(&gone), cases[i].tables, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, gone.flush, cases[i].flush, "case %u", i);
		tables_end(&t, &gone);
	}
}

static void protect_test(struct kunit *test)
{
	struct ept_gone gone;
	struct tables t;

	tables_init(&t, test);
	ept_gone_init(&gone);
	fill(&t);
	ept_write_protect(t.root, 0x1000, 0x3000, &gone);
	KUNIT_EXPECT_TRUE(test, gone.flush);
	expect_entry(&t, 0x0, 1, E_4K(0x1000ULL, RWX));
	expect_entry(&t, 0x1000, 1, E_4K(0x1001ULL, RX));
	expect_entry(&t, 0x2000, 1, E_4K(0x1002ULL, RX));
	expect_entry(&t, 0x3000, 1, E_4K(0x1003ULL, RWX));

	gone.flush = false;
	ept_write_protect(t.root, 0x1000, 0x3000, &gone);
	KUNIT_EXPECT_FALSE(test, gone.flush);

	ept_write_protect(t.root, 0x200000, ALL_GPA, &gone);
	expect_entry(&t, 0x1ff000, 1, E_4K(0x11ffULL, RWX));
	expect_entry(&t, 0x200000, 2, E_HUGE(0x2000ULL, RX));
	expect_entry(&t, 0x40000000, 3, E_HUGE(0x40000ULL, RX));
	expect_entry(&t, 0xfffffffff000, 1, E_4K(0x3000ULL, RX));
	tables_end(&t, &gone);
}

static void young_test(struct kunit *test)
{
	struct ept_gone gone;
	struct tables t;

	tables_init(&t, test);
	ept_gone_init(&gone);
	fill(&t);
	/* Looking changes nothing; clearing is for the range only. */
	KUNIT_EXPECT_TRUE(test, ept_young(t.root, 0x1000, 0x2000, true, false));
	KUNIT_EXPECT_TRUE(test, ept_young(t.root, 0x1000, 0x2000, true, true));
	KUNIT_EXPECT_FALSE(test, ept_young(t.root, 0x1000, 0x2000, true, true));
	KUNIT_EXPECT_TRUE(test, ept_young(t.root, 0x0, 0x1000, true, false));
	KUNIT_EXPECT_TRUE(test, ept_young(t.root, 0x1000, 0x3000, true, true));
	KUNIT_EXPECT_FALSE(test, ept_young(t.root, 0x1000, 0x3000, true, false));
	expect_entry(&t, 0x1000, 1, E_4K(0x1001ULL, RWX) & ~EPT_A);
	/* Any part of a huge page stands for it. */
	KUNIT_EXPECT_TRUE(test, ept_young(t.root, 0x3ff000, 0x400000, true, true));
	KUNIT_EXPECT_FALSE(test, ept_young(t.root, 0x200000, 0x201000, true, false));
	/* Without accessed bits: what is mapped is young. */
	KUNIT_EXPECT_TRUE(test, ept_young(t.root, 0x1000, 0x2000, false, true));
	KUNIT_EXPECT_TRUE(test, ept_young(t.root, 0x1000, 0x2000, false, false));
	KUNIT_EXPECT_FALSE(test, ept_young(t.root, 0x400000, 0x600000, false, false));
	tables_end(&t, &gone);
}

/* ------------------------------------------------------------------ regions */

#define RO		LODGE_MEM_F_READONLY
#define OP_MAP(g, l, h, f)	{ LODGE_MEM_MAP, f, g, l, h }
#define OP_UNMAP(g, l)		{ LODGE_MEM_UNMAP, 0, g, l, 0 }
#define OP_PROT(g, l, f)	{ LODGE_MEM_PROTECT, f, g, l, 0 }
#define END		{ 0 }
#define H		0x10000000ULL	/* some user address */

static const struct region_case {
	const char *name;
	struct lodge_mem_op before[4], ops[5];
	int ret;
	u32 bad;
	struct lodge_mem_region after[5];	/* ends with len 0 */
} region_cases[] = {
	{ "nothing", {}, {}, 0, 0, {} },
	{ "one", {}, { OP_MAP(0, 0x1000, H, 0) }, 0, 0, { { 0, 0x1000, H, 0 } } },
	{ "sorted", {}, { OP_MAP(0x8000, 0x1000, H, 0), OP_MAP(0, 0x1000, H, RO),
	  OP_MAP(0x4000, 0x1000, H, 0) }, 0, 0,
	  { { 0, 0x1000, H, RO }, { 0x4000, 0x1000, H, 0 }, { 0x8000, 0x1000, H, 0 } } },
	{ "merge", {}, { OP_MAP(0x1000, 0x1000, H + 0x1000, 0),
	  OP_MAP(0x3000, 0x1000, H + 0x3000, 0), OP_MAP(0x2000, 0x1000, H + 0x2000, 0),
	  OP_MAP(0, 0x1000, H, 0) }, 0, 0, { { 0, 0x4000, H, 0 } } },
	{ "no merge: other user memory", {}, { OP_MAP(0, 0x1000, H, 0),
	  OP_MAP(0x1000, 0x1000, H + 0x2000, 0) }, 0, 0,
	  { { 0, 0x1000, H, 0 }, { 0x1000, 0x1000, H + 0x2000, 0 } } },
	{ "no merge: other flags", {}, { OP_MAP(0, 0x1000, H, 0),
	  OP_MAP(0x1000, 0x1000, H + 0x1000, RO) }, 0, 0,
	  { { 0, 0x1000, H, 0 }, { 0x1000, 0x1000, H + 0x1000, RO } } },
	{ "touching is no overlap", { OP_MAP(0x1000, 0x1000, H, 0) },
	  { OP_MAP(0, 0x1000, H, 0), OP_MAP(0x2000, 0x1000, H, 0) }, 0, 0,
	  { { 0, 0x1000, H, 0 }, { 0x1000, 0x1000, H, 0 }, { 0x2000, 0x1000, H, 0 } } },
	{ "overlap at the head", { OP_MAP(0x1000, 0x2000, H, 0) },
	  { OP_MAP(0, 0x2000, H, 0) }, -EBUSY, 0, { { 0x1000, 0x2000, H, 0 } } },
	{ "overlap at the tail", { OP_MAP(0x1000, 0x2000, H, 0) },
	  { OP_MAP(0x2000, 0x2000, H, 0) }, -EBUSY, 0, { { 0x1000, 0x2000, H, 0 } } },
	{ "overlap around", { OP_MAP(0x1000, 0x1000, H, 0) },
	  { OP_MAP(0, 0x4000, H, 0) }, -EBUSY, 0, { { 0x1000, 0x1000, H, 0 } } },
	{ "overlap inside", { OP_MAP(0, 0x4000, H, 0) },
	  { OP_MAP(0x1000, 0x1000, H, 0) }, -EBUSY, 0, { { 0, 0x4000, H, 0 } } },
	{ "unmap all", { OP_MAP(0, 0x4000, H, 0) }, { OP_UNMAP(0, 0x4000) }, 0, 0, {} },
	{ "unmap head", { OP_MAP(0, 0x4000, H, 0) }, { OP_UNMAP(0, 0x1000) }, 0, 0,
	  { { 0x1000, 0x3000, H + 0x1000, 0 } } },
	{ "unmap tail", { OP_MAP(0, 0x4000, H, 0) }, { OP_UNMAP(0x3000, 0x1000) }, 0, 0,
	  { { 0, 0x3000, H, 0 } } },
	{ "unmap middle", { OP_MAP(0, 0x4000, H, RO) }, { OP_UNMAP(0x1000, 0x1000) }, 0, 0,
	  { { 0, 0x1000, H, RO }, { 0x2000, 0x2000, H + 0x2000, RO } } },
	{ "unmap across", { OP_MAP(0, 0x2000, H, 0), OP_MAP(0x2000, 0x2000, H, 0),
	  OP_MAP(0x4000, 0x2000, H, 0) }, { OP_UNMAP(0x1000, 0x4000) }, 0, 0,
	  { { 0, 0x1000, H, 0 }, { 0x5000, 0x1000, H + 0x1000, 0 } } },
	{ "unmap a hole", { OP_MAP(0, 0x1000, H, 0) }, { OP_UNMAP(0x1000, 0x1000) }, -ENOENT, 0,
	  { { 0, 0x1000, H, 0 } } },
	{ "unmap over a hole", { OP_MAP(0, 0x1000, H, 0), OP_MAP(0x2000, 0x1000, H, 0) },
	  { OP_UNMAP(0, 0x3000) }, -ENOENT, 0,
	  { { 0, 0x1000, H, 0 }, { 0x2000, 0x1000, H, 0 } } },
	{ "unmap past the end", { OP_MAP(0, 0x1000, H, 0) }, { OP_UNMAP(0, 0x2000) }, -ENOENT, 0,
	  { { 0, 0x1000, H, 0 } } },
	{ "protect middle", { OP_MAP(0, 0x3000, H, 0) }, { OP_PROT(0x1000, 0x1000, RO) }, 0, 0,
	  { { 0, 0x1000, H, 0 }, { 0x1000, 0x1000, H + 0x1000, RO },
	    { 0x2000, 0x1000, H + 0x2000, 0 } } },
	{ "protect and back", { OP_MAP(0, 0x3000, H, 0) },
	  { OP_PROT(0x1000, 0x1000, RO), OP_PROT(0x1000, 0x1000, 0) }, 0, 0,
	  { { 0, 0x3000, H, 0 } } },
	{ "protect the same", { OP_MAP(0, 0x3000, H, RO) }, { OP_PROT(0x1000, 0x1000, RO) }, 0, 0,
	  { { 0, 0x3000, H, RO } } },
	{ "protect a hole", { OP_MAP(0, 0x1000, H, 0) }, { OP_PROT(0, 0x2000, RO) }, -ENOENT, 0,
	  { { 0, 0x1000, H, 0 } } },
	{ "replace in one call", { OP_MAP(0, 0x2000, H, 0) },
	  { OP_UNMAP(0, 0x2000), OP_MAP(0, 0x1000, H + 0x8000, RO) }, 0, 0,
	  { { 0, 0x1000, H + 0x8000, RO } } },
	{ "all or nothing", { OP_MAP(0, 0x2000, H, 0) },
	  { OP_UNMAP(0, 0x1000), OP_MAP(0x8000, 0x1000, H, 0), OP_MAP(0x1000, 0x1000, H, 0) },
	  -EBUSY, 2, { { 0, 0x2000, H, 0 } } },
	{ "unknown operation", {}, { OP_MAP(0, 0x1000, H, 0),
	  { 4, 0, 0, 0x1000, 0 } }, -EINVAL, 1 },
	{ "operation 0", {}, { { 0, 0, 0, 0x1000, 0 } }, -EINVAL, 0 },
	{ "unknown flag", {}, { OP_MAP(0, 0x1000, H, 2) }, -EINVAL, 0 },
	{ "unmap takes no flags", { OP_MAP(0, 0x1000, H, 0) },
	  { { LODGE_MEM_UNMAP, RO, 0, 0x1000, 0 } }, -EINVAL, 0, { { 0, 0x1000, H, 0 } } },
	{ "unmap takes no hva", { OP_MAP(0, 0x1000, H, 0) },
	  { { LODGE_MEM_UNMAP, 0, 0, 0x1000, H } }, -EINVAL, 0, { { 0, 0x1000, H, 0 } } },
	{ "no length", {}, { OP_MAP(0, 0, H, 0), END }, -EINVAL, 0 },
	{ "gpa not aligned", {}, { OP_MAP(0x800, 0x1000, H, 0) }, -EINVAL, 0 },
	{ "length not aligned", {}, { OP_MAP(0, 0x1001, H, 0) }, -EINVAL, 0 },
	{ "hva not aligned", {}, { OP_MAP(0, 0x1000, H + 8, 0) }, -EINVAL, 0 },
	{ "last page", {}, { OP_MAP(0xfffffff000, 0x1000, H, 0) }, 0, 0,
	  { { 0xfffffff000, 0x1000, H, 0 } } },
	{ "past the last page", {}, { OP_MAP(0xfffffff000, 0x2000, H, 0) }, -EINVAL, 0 },
	{ "past the address width", {}, { OP_MAP(0x10000000000, 0x1000, H, 0) }, -EINVAL, 0 },
	{ "gpa wraps", {}, { OP_MAP(0xfffffffffffff000, 0x2000, H, 0) }, -EINVAL, 0 },
	{ "length wraps", {}, { OP_MAP(0x1000, 0xfffffffffffff000, H, 0) }, -EINVAL, 0 },
	{ "hva wraps", {}, { OP_MAP(0, 0x2000, 0xfffffffffffff000, 0) }, -EFAULT, 0 },
	{ "kernel hva", {}, { OP_MAP(0, 0x1000, 0xffff888000000000, 0) }, -EFAULT, 0 },
	{ "hva runs out of user memory", {}, { OP_MAP(0, 0x2000, TASK_SIZE_MAX - 0x1000, 0) },
	  -EFAULT, 0 },
	{ "the last of user memory", {}, { OP_MAP(0, 0x1000, TASK_SIZE_MAX - 0x1000, 0) }, 0, 0,
	  { { 0, 0x1000, TASK_SIZE_MAX - 0x1000, 0 } } },
	{ "xAPIC page", {}, { OP_MAP(0xfee00000, 0x1000, H, 0) }, -EBUSY, 0 },
	{ "around the xAPIC page", {}, { OP_MAP(0xfe000000, 0x2000000, H, 0) }, -EBUSY, 0 },
	{ "beside the xAPIC page", {}, { OP_MAP(0xfedff000, 0x1000, H, 0),
	  OP_MAP(0xfee01000, 0x1000, H, 0) }, 0, 0,
	  { { 0xfedff000, 0x1000, H, 0 }, { 0xfee01000, 0x1000, H, 0 } } },
};

static u32 count_ops(const struct lodge_mem_op *ops, u32 max)
{
	u32 nr = 0;

	while (nr < max && (ops[nr].op || ops[nr].len))
		nr++;
	return nr;
}

static void expect_regions(struct kunit *test, const struct lodge_region_set *set,
			   const struct region_case *c)
{
	u64 low = U64_MAX, high = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(c->after) && c->after[i].len; i++) {
		low = min(low, c->after[i].hva);
		high = max(high, c->after[i].hva + c->after[i].len);
		if (i >= set->nr)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, 0, memcmp(&set->region[i], &c->after[i],
						    sizeof(c->after[i])), "%s: %u", c->name, i);
	}
	KUNIT_EXPECT_EQ_MSG(test, set->nr, i, "%s", c->name);
	KUNIT_EXPECT_EQ_MSG(test, set->hva_start, low, "%s", c->name);
	KUNIT_EXPECT_EQ_MSG(test, set->hva_end, high, "%s", c->name);
}

static void region_update_test(struct kunit *test)
{
	const struct region_case *c;

	for (c = region_cases; c < region_cases + ARRAY_SIZE(region_cases); c++) {
		struct lodge_region_set *empty = region_set_alloc(0), *before, *after;
		u32 nr = count_ops(c->before, ARRAY_SIZE(c->before)), bad = ~0u;

		KUNIT_ASSERT_NOT_NULL(test, empty);
		before = region_set_build(empty, c->before, nr, &bad);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(before), "%s", c->name);
		nr = count_ops(c->ops, ARRAY_SIZE(c->ops));
		after = region_set_build(before, c->ops, nr, &bad);
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(after), c->ret, "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, bad, c->ret ? c->bad : ~0u, "%s", c->name);
		/* A failed update leaves the old map as it was. */
		expect_regions(test, IS_ERR(after) ? before : after, c);
		/* Another map is told by its number alone. */
		KUNIT_EXPECT_EQ_MSG(test, before->seq, empty->seq + 1, "%s", c->name);
		if (!IS_ERR(after)) {
			KUNIT_EXPECT_EQ_MSG(test, after->seq, before->seq + 1, "%s", c->name);
			kvfree(after);
		}
		kvfree(before);
		kvfree(empty);
	}
}

/* Fill the map to its limit and cross it. */
static void region_limit_test(struct kunit *test)
{
	struct lodge_region_set *empty = region_set_alloc(0), *full, *more;
	struct lodge_mem_op one[] = {
		OP_MAP(0x10000000, 0x1000, H, 0),
		OP_PROT(0x1000, 0x1000, RO),
		OP_UNMAP(0x1000, 0x1000),
	};
	struct lodge_mem_op *ops;
	u32 i, bad = ~0u;

	ops = kunit_kcalloc(test, LODGE_MAX_REGIONS, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	KUNIT_ASSERT_NOT_NULL(test, empty);
	for (i = 0; i < LODGE_MAX_REGIONS; i++)
		ops[i] = (struct lodge_mem_op)OP_MAP(0x4000ULL * i, 0x3000, H, 0);
	full = region_set_build(empty, ops, LODGE_MAX_REGIONS, &bad);
	KUNIT_ASSERT_FALSE(test, IS_ERR(full));
	KUNIT_EXPECT_EQ(test, full->nr, (u32)LODGE_MAX_REGIONS);

	for (i = 0; i < ARRAY_SIZE(one); i++) {
		bad = ~0u;
		more = region_set_build(full, &one[i], 1, &bad);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(more), -ENOSPC);
		KUNIT_EXPECT_EQ(test, bad, 0u);
	}
	KUNIT_EXPECT_EQ(test, -EINVAL,
			PTR_ERR(region_set_build(empty, ops, LODGE_MAX_MEM_OPS + 1, &bad)));

	/* The search, at each border. */
	for (i = 0; i < LODGE_MAX_REGIONS; i++) {
		u64 gpa = 0x4000ULL * i;
		const struct lodge_mem_region *r = &full->region[i];

		KUNIT_EXPECT_PTR_EQ(test, region_find(full, gpa), r);
		KUNIT_EXPECT_PTR_EQ(test, region_find(full, gpa + 0x2fff), r);
		KUNIT_EXPECT_NULL(test, region_find(full, gpa + 0x3000));
		KUNIT_EXPECT_NULL(test, region_find(full, gpa + 0x3fff));
	}
	KUNIT_EXPECT_NULL(test, region_find(full, U64_MAX));
	KUNIT_EXPECT_NULL(test, region_find(empty, 0));
	kvfree(full);
	kvfree(empty);
}

static void region_clip_test(struct kunit *test)
{
	static const struct lodge_mem_region r = { 0x100000, 0x3000, H, 0 };
	static const struct {
		u64 from, to;
		bool meets;
		u64 start, end;
	} cases[] = {
		{ 0, H, false },
		{ H + 0x3000, ULONG_MAX, false },
		{ 0, ULONG_MAX, true, 0x100000, 0x103000 },
		{ H, H + 1, true, 0x100000, 0x101000 },
		{ H + 0x1fff, H + 0x2001, true, 0x101000, 0x103000 },
		{ H - 0x1000, H + 0x1000, true, 0x100000, 0x101000 },
		{ H + 0x2000, H + 0x9000, true, 0x102000, 0x103000 },
	};
	u64 start, end;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		start = 0;
		end = 0;
		KUNIT_EXPECT_EQ(test, cases[i].meets,
				region_clip(&r, cases[i].from, cases[i].to, &start, &end));
		KUNIT_EXPECT_EQ_MSG(test, start, cases[i].start, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, end, cases[i].end, "case %u", i);
	}
}

/* -------------------------------------------------------------------- flush */

static int kicks;

static void count_kick(struct lodge_mem *mem)
{
	kicks++;
}

static const struct lodge_mem_ops kick_ops = { .kick = count_kick };

static bool must_flush(struct lodge_mem *mem)
{
	bool ret;

	local_irq_disable();
	ret = ept_must_flush(mem);
	local_irq_enable();
	return ret;
}

static void publish(struct lodge_mem *mem, bool flush)
{
	struct ept_gone gone;

	ept_gone_init(&gone);
	gone.flush = flush;
	write_lock(&mem->lock);
	ept_gone_publish(mem, &gone);
	write_unlock(&mem->lock);
}

/* A memory without an mm: enough for generations and sequences. */
static struct lodge_mem *bare_mem(struct kunit *test)
{
	struct lodge_mem *mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	mem->ops = &kick_ops;
	rwlock_init(&mem->lock);
	init_waitqueue_head(&mem->inval_wait);
	atomic64_set(&mem->flush_gen, 1);
	atomic64_set(&mem->flush_done, 1);
	mem->flush_seen = alloc_percpu(s64);
	KUNIT_ASSERT_TRUE(test, mem->flush_seen);
	return mem;
}

static void flush_test(struct kunit *test)
{
	struct lodge_mem *mem = bare_mem(test);

	kicks = 0;
	migrate_disable();
	KUNIT_EXPECT_TRUE(test, must_flush(mem));	/* the first time here */
	KUNIT_EXPECT_FALSE(test, must_flush(mem));

	publish(mem, false);
	ept_flush(mem);
	KUNIT_EXPECT_EQ(test, kicks, 0);
	KUNIT_EXPECT_FALSE(test, must_flush(mem));

	publish(mem, true);
	KUNIT_EXPECT_TRUE(test, must_flush(mem));
	KUNIT_EXPECT_FALSE(test, must_flush(mem));
	/* Not kicked yet: one who took nothing away must see to it as well. */
	publish(mem, false);
	ept_flush(mem);
	KUNIT_EXPECT_EQ(test, kicks, 1);
	ept_flush(mem);
	KUNIT_EXPECT_EQ(test, kicks, 1);

	publish(mem, true);
	publish(mem, true);
	ept_flush(mem);
	KUNIT_EXPECT_EQ(test, kicks, 2);
	KUNIT_EXPECT_TRUE(test, must_flush(mem));
	KUNIT_EXPECT_FALSE(test, must_flush(mem));
	migrate_enable();
	free_percpu(mem->flush_seen);
}

static void begin(struct lodge_mem *mem, u64 start, u64 end)
{
	write_lock(&mem->lock);
	ept_inval_begin(mem, start, end);
	write_unlock(&mem->lock);
}

static void inval_test(struct kunit *test)
{
	struct lodge_mem *mem = bare_mem(test);

	KUNIT_EXPECT_FALSE(test, ept_inval_covers(mem, 0, U64_MAX));
	begin(mem, 0x3000, 0x5000);
	KUNIT_EXPECT_FALSE(test, ept_inval_covers(mem, 0x2000, 0x3000));
	KUNIT_EXPECT_TRUE(test, ept_inval_covers(mem, 0x2000, 0x4000));
	KUNIT_EXPECT_TRUE(test, ept_inval_covers(mem, 0x4000, 0x5000));
	KUNIT_EXPECT_FALSE(test, ept_inval_covers(mem, 0x5000, 0x6000));
	begin(mem, 0x8000, 0x9000);
	KUNIT_EXPECT_TRUE(test, ept_inval_covers(mem, 0x8000, 0x9000));
	KUNIT_EXPECT_TRUE(test, ept_inval_covers(mem, 0x3000, 0x4000));
	KUNIT_EXPECT_EQ(test, mem->inval_seq, 0ul);
	ept_inval_end(mem, NULL);
	KUNIT_EXPECT_EQ(test, mem->inval_seq, 1ul);
	KUNIT_EXPECT_TRUE(test, ept_inval_covers(mem, 0x3000, 0x4000));
	ept_inval_end(mem, NULL);
	KUNIT_EXPECT_EQ(test, mem->inval_seq, 2ul);
	KUNIT_EXPECT_FALSE(test, ept_inval_covers(mem, 0, U64_MAX));
	free_percpu(mem->flush_seen);
}

static void pointer_test(struct kunit *test)
{
	struct lodge_mem *mem = bare_mem(test);
	u64 *root = ept_table_alloc();

	KUNIT_ASSERT_NOT_NULL(test, root);
	mem->root = root;
	ept_caps.ad = false;
	KUNIT_EXPECT_EQ(test, ept_pointer(mem), (u64)__pa(root) | 0x1e);
	ept_caps.ad = true;
	KUNIT_EXPECT_EQ(test, ept_pointer(mem), (u64)__pa(root) | 0x5e);
	ept_table_free(root);
	free_percpu(mem->flush_seen);
}

/* -------------------------------------------------- a real process's memory */

#define GPA		0x200000ULL
#define LEN		0x400000ULL	/* room for an aligned huge page */

/**
 * struct world - a VM's memory on that of the process
 * @test: whose
 * @mem: the memory
 * @hva: behind GPA, LEN bytes, aligned to 2 MiB
 * @area: what was mapped to get them
 * @area_len: bytes of it
 */
struct world {
	struct kunit *test;
	struct lodge_mem *mem;
	unsigned long hva;
	unsigned long area, area_len;
};

static bool world_init(struct world *w, struct kunit *test, unsigned long prot,
		       unsigned long flags)
{
	struct lodge_mem_op op = { .op = LODGE_MEM_MAP, .gpa = GPA, .len = LEN };
	u32 bad;

	memset(w, 0, sizeof(*w));
	w->test = test;
	w->mem = kunit_kzalloc(test, sizeof(*w->mem), GFP_KERNEL);
	if (!user_mm || !w->mem)
		return false;
	kthread_use_mm(user_mm);
	w->area_len = LEN + SZ_2M;
	w->area = vm_mmap(NULL, 0, w->area_len, prot, flags | MAP_ANONYMOUS, 0);
	w->hva = ALIGN(w->area, SZ_2M);
	op.hva = w->hva;
	kicks = 0;
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_init(w->mem, &kick_ops));
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_update(w->mem, &op, 1, &bad));
	return true;
}

static void world_end(struct world *w)
{
	lodge_mem_destroy(w->mem);
	vm_munmap(w->area, w->area_len);
	kthread_unuse_mm(user_mm);
}

static int fault(struct world *w, u64 gpa, u32 access)
{
	struct ept_fault f = { .gpa = gpa, .access = access };
	int ret = ept_fault(w->mem, &f);

	if (ret == EPT_FAULT_SLOW)
		ret = ept_fault_slowly(w->mem, &f);
	if (gpa >= GPA && gpa < GPA + LEN && ret >= 0 && f.hva)
		KUNIT_EXPECT_EQ(w->test, f.hva, w->hva + (gpa - GPA));
	return ret;
}

static int update(struct world *w, u32 op, u64 gpa, u64 len, u32 flags)
{
	struct lodge_mem_op o = { .op = op, .gpa = gpa, .len = len, .flags = flags };
	u32 bad;

	if (op == LODGE_MEM_MAP)
		o.hva = w->hva + (gpa - GPA);
	return lodge_mem_update(w->mem, &o, 1, &bad);
}

/* The 4 KiB frame that the EPT gives to @gpa, and its entry. */
static u64 mapped_pfn(struct world *w, u64 gpa, u64 *entry)
{
	int level;

	*entry = look_up(w->mem->root, gpa, &level);
	if (!*entry)
		return 0;
	return ((*entry & EPT_ADDR) | (gpa & (ept_size(level) - 1))) >> 12;
}

static u64 host_pfn(struct world *w, u64 gpa)
{
	struct page *page;
	u64 pfn;

	if (get_user_pages_unlocked(w->hva + (gpa - GPA), 1, &page, 0) != 1)
		return 0;
	pfn = page_to_pfn(page);
	put_page(page);
	return pfn;
}

#define NEED_WORLD_OF(w, prot, flags)						\
	do {									\
		if (!world_init(w, test, prot, flags))				\
			kunit_skip(test, "no user memory: built in");		\
	} while (0)
#define NEED_WORLD(w, prot)	NEED_WORLD_OF(w, prot, MAP_PRIVATE)

/* Reads get the zero page, writes one of their own, and both the host's. */
static void anon_test(struct kunit *test)
{
	u64 gpa = GPA + 0x5678, entry, pfn;
	struct world w;

	NEED_WORLD(&w, PROT_READ | PROT_WRITE);
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MMIO, fault(&w, GPA - 1, EPT_ACCESS_READ));
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MMIO, fault(&w, GPA + LEN, EPT_ACCESS_WRITE));
	KUNIT_EXPECT_EQ(test, 0ull, mapped_pfn(&w, gpa, &entry));

	KUNIT_EXPECT_EQ(test, EPT_FAULT_MAPPED, fault(&w, gpa, EPT_ACCESS_READ));
	pfn = mapped_pfn(&w, gpa, &entry);
	KUNIT_EXPECT_EQ(test, pfn, host_pfn(&w, gpa));
	KUNIT_EXPECT_EQ(test, entry & 0x1ff & ~0x80ull, 0x175ull);
	KUNIT_EXPECT_EQ(test, kicks, 0);

	KUNIT_EXPECT_EQ(test, EPT_FAULT_MAPPED, fault(&w, gpa, EPT_ACCESS_WRITE));
	KUNIT_EXPECT_NE(test, pfn, mapped_pfn(&w, gpa, &entry));
	pfn = mapped_pfn(&w, gpa, &entry);
	KUNIT_EXPECT_EQ(test, pfn, host_pfn(&w, gpa));
	KUNIT_EXPECT_EQ(test, entry & RWX, (u64)RWX);
	KUNIT_EXPECT_TRUE(test, entry & DIRTY);
	KUNIT_EXPECT_EQ(test, kicks, 1);

	/* Again, as a spurious fault would: nothing changes, nobody is disturbed. */
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MAPPED, fault(&w, gpa, EPT_ACCESS_EXEC));
	KUNIT_EXPECT_EQ(test, pfn, mapped_pfn(&w, gpa, &entry));
	KUNIT_EXPECT_EQ(test, kicks, 1);
	world_end(&w);
}

/* What the host takes away is gone when it says so, and then an error. */
static void munmap_test(struct kunit *test)
{
	u64 gpa = GPA + 0x3000, entry;
	struct world w;

	NEED_WORLD(&w, PROT_READ | PROT_WRITE);
	KUNIT_EXPECT_EQ(test, 0, fault(&w, gpa, EPT_ACCESS_WRITE));
	KUNIT_EXPECT_NE(test, 0ull, mapped_pfn(&w, gpa, &entry));
	KUNIT_EXPECT_TRUE(test, must_flush(w.mem));

	/* Memory that is nobody's: no kick. */
	kicks = 0;
	vm_munmap(vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, 0),
		  PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kicks, 0);

	KUNIT_EXPECT_EQ(test, 0, vm_munmap(w.area, w.area_len));
	KUNIT_EXPECT_EQ(test, 0ull, mapped_pfn(&w, gpa, &entry));
	KUNIT_EXPECT_GE(test, kicks, 1);
	KUNIT_EXPECT_EQ(test, w.mem->inval_active, 0ul);
	KUNIT_EXPECT_EQ(test, -EFAULT, fault(&w, gpa, EPT_ACCESS_READ));
	world_end(&w);
}

static void update_test(struct kunit *test)
{
	u64 gpa = GPA + 0x3000, entry;
	struct lodge_mem_region regions[2];
	struct world w;
	u32 nr = 1;

	NEED_WORLD(&w, PROT_READ | PROT_WRITE);
	KUNIT_EXPECT_EQ(test, 0, fault(&w, gpa, EPT_ACCESS_WRITE));
	KUNIT_EXPECT_EQ(test, 0, fault(&w, gpa + 0x1000, EPT_ACCESS_WRITE));

	kicks = 0;
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_PROTECT, gpa, PAGE_SIZE, RO));
	KUNIT_EXPECT_EQ(test, kicks, 1);
	mapped_pfn(&w, gpa, &entry);
	KUNIT_EXPECT_EQ(test, entry & RWX, (u64)RX);
	mapped_pfn(&w, gpa + 0x1000, &entry);
	KUNIT_EXPECT_EQ(test, entry & RWX, (u64)RWX);
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MMIO, fault(&w, gpa, EPT_ACCESS_WRITE));
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MAPPED, fault(&w, gpa, EPT_ACCESS_READ));
	mapped_pfn(&w, gpa, &entry);
	KUNIT_EXPECT_EQ(test, entry & RWX, (u64)RX);

	KUNIT_EXPECT_EQ(test, -ENOSPC, lodge_mem_query(w.mem, regions, &nr));
	KUNIT_EXPECT_EQ(test, nr, 3u);
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_PROTECT, gpa, PAGE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_query(w.mem, regions, &nr));
	KUNIT_EXPECT_EQ(test, nr, 1u);
	KUNIT_EXPECT_EQ(test, regions[0].hva, (u64)w.hva);
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MAPPED, fault(&w, gpa, EPT_ACCESS_WRITE));

	kicks = 0;
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_UNMAP, gpa, PAGE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, kicks, 1);
	KUNIT_EXPECT_EQ(test, 0ull, mapped_pfn(&w, gpa, &entry));
	KUNIT_EXPECT_NE(test, 0ull, mapped_pfn(&w, gpa + 0x1000, &entry));
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MMIO, fault(&w, gpa, EPT_ACCESS_READ));
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_MAP, gpa, PAGE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MAPPED, fault(&w, gpa, EPT_ACCESS_READ));
	KUNIT_EXPECT_EQ(test, mapped_pfn(&w, gpa, &entry), host_pfn(&w, gpa));
	world_end(&w);
}

static void access_test(struct kunit *test)
{
	u8 buf[0x40], back[0x40];
	u64 word = 0x1122334455667788, entry;
	struct world w;
	u32 i;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = i ^ 0x5a;
	NEED_WORLD(&w, PROT_READ | PROT_WRITE);
	/* Across a page, and across two regions that cannot merge. */
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_PROTECT, GPA + 0x2000, PAGE_SIZE, RO));
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_write(w.mem, GPA + 0xfe0, buf, sizeof(buf)));
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_read(w.mem, GPA + 0xfe0, back, sizeof(back)));
	KUNIT_EXPECT_EQ(test, 0, memcmp(buf, back, sizeof(buf)));
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_read(w.mem, GPA + 0x1fe0, back, sizeof(back)));
	KUNIT_EXPECT_EQ(test, -EFAULT, lodge_mem_write(w.mem, GPA + 0x1fe0, buf, sizeof(buf)));
	KUNIT_EXPECT_EQ(test, -EFAULT, lodge_mem_read(w.mem, GPA - 8, back, 16));
	KUNIT_EXPECT_EQ(test, -EFAULT, lodge_mem_read(w.mem, GPA + LEN - 8, back, 16));

	KUNIT_EXPECT_EQ(test, 0, lodge_mem_write(w.mem, GPA + 8, &word, 8));
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_write(w.mem, GPA + 20, &word, 4));
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_read(w.mem, GPA + 9, back, 15));
	KUNIT_EXPECT_EQ(test, back[0], 0x77);
	KUNIT_EXPECT_EQ(test, back[6], 0x11);
	KUNIT_EXPECT_EQ(test, back[11], 0x88);
	KUNIT_EXPECT_EQ(test, back[14], 0x55);
	/* The module and the guest see the same page. */
	KUNIT_EXPECT_EQ(test, 0, fault(&w, GPA, EPT_ACCESS_READ));
	word = mapped_pfn(&w, GPA + 8, &entry);
	KUNIT_EXPECT_EQ(test, *(u64 *)(__va(word << 12) + 8), 0x1122334455667788ull);
	world_end(&w);
}

static int view_read(struct world *w, u64 gpa, u32 *last, u64 *value, unsigned long *absent)
{
	struct lodge_mem_view view = lodge_mem_view_begin(w->mem);
	struct lodge_mem_cursor cursor = lodge_mem_cursor(&view, last);
	int err;

	lodge_mem_view_open();
	err = lodge_mem_view_read(&view, &cursor, gpa, 8, value);
	lodge_mem_view_close();
	lodge_mem_view_end(w->mem, &view);
	*absent = view.absent;
	return err;
}

/* Reads that do not wait; and a cursor is a guess, whatever has become of the map. */
static void view_test(struct kunit *test)
{
	const u64 gpa = GPA + 0x3000;
	u64 word = 0x1122334455667788, got;
	unsigned long absent;
	u32 attempts = 0;
	struct world w;
	u32 last;

	NEED_WORLD(&w, PROT_READ | PROT_WRITE);
	/* Nobody has been there yet: to be brought in, outside. */
	last = 0;
	KUNIT_EXPECT_EQ(test, -EAGAIN, view_read(&w, gpa, &last, &got, &absent));
	KUNIT_EXPECT_EQ(test, absent, w.hva + 0x3000);
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_bring_in(absent, &attempts));
	KUNIT_EXPECT_EQ(test, 0, view_read(&w, gpa, &last, &got, &absent));
	KUNIT_EXPECT_EQ(test, got, 0ull);
	KUNIT_EXPECT_EQ(test, 0, lodge_mem_write(w.mem, gpa + 4, &word, 8));

	/* From any region to any other, and to none. */
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_PROTECT, gpa, PAGE_SIZE, RO));
	for (last = 0; last < 5; last++) {
		u32 at = last;

		KUNIT_EXPECT_EQ(test, 0, view_read(&w, gpa + 4, &at, &got, &absent));
		KUNIT_EXPECT_EQ(test, got, word);
		KUNIT_EXPECT_EQ(test, at, 1u);
		at = last;
		KUNIT_EXPECT_EQ(test, -EIO, view_read(&w, GPA - 8, &at, &got, &absent));
		KUNIT_EXPECT_EQ(test, -EIO, view_read(&w, GPA + LEN, &at, &got, &absent));
	}

	/* The guess is one too high, then one too low. */
	last = 1;
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_UNMAP, GPA, 0x3000, 0));
	KUNIT_EXPECT_EQ(test, 0, view_read(&w, gpa + 4, &last, &got, &absent));
	KUNIT_EXPECT_EQ(test, got, word);
	KUNIT_EXPECT_EQ(test, last, 0u);
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_MAP, GPA, PAGE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, 0, view_read(&w, gpa + 4, &last, &got, &absent));
	KUNIT_EXPECT_EQ(test, got, word);

	/* Its region is gone, and then every other. */
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_UNMAP, gpa, PAGE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, -EIO, view_read(&w, gpa + 4, &last, &got, &absent));
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_UNMAP, GPA, PAGE_SIZE, 0));
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_UNMAP, GPA + 0x4000, LEN - 0x4000, 0));
	last = 0;
	KUNIT_EXPECT_EQ(test, -EIO, view_read(&w, gpa + 4, &last, &got, &absent));

	/* Memory that the host does not have. */
	KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_MAP, GPA, LEN, 0));
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(w.hva, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EAGAIN, view_read(&w, GPA, &last, &got, &absent));
	KUNIT_EXPECT_EQ(test, -EFAULT, lodge_mem_bring_in(absent, &attempts));
	KUNIT_EXPECT_EQ(test, attempts, 2u);
	KUNIT_EXPECT_EQ(test, -EFAULT, lodge_mem_read(w.mem, GPA, &got, 8));
	KUNIT_EXPECT_EQ(test, -EFAULT, lodge_mem_write(w.mem, GPA, &got, 8));
	world_end(&w);
}

/* What the host maps read-only may be read and not written. */
static void readonly_host_test(struct kunit *test)
{
	struct world w;
	u64 entry;

	NEED_WORLD(&w, PROT_READ);
	KUNIT_EXPECT_EQ(test, EPT_FAULT_MAPPED, fault(&w, GPA, EPT_ACCESS_EXEC));
	mapped_pfn(&w, GPA, &entry);
	KUNIT_EXPECT_EQ(test, entry & RWX, (u64)RX);
	KUNIT_EXPECT_EQ(test, -EFAULT, fault(&w, GPA, EPT_ACCESS_WRITE));
	world_end(&w);
}

static void age_test(struct kunit *test)
{
	const struct mmu_notifier_ops *ops = &ept_notifier_ops;
	struct mmu_notifier *mn;
	unsigned long hva;
	struct world w;
	u64 entry;

	NEED_WORLD(&w, PROT_READ | PROT_WRITE);
	mn = &w.mem->notifier;
	hva = w.hva + 0x7000;
	KUNIT_EXPECT_FALSE(test, ops->test_young(mn, user_mm, hva));
	KUNIT_EXPECT_EQ(test, 0, fault(&w, GPA + 0x7000, EPT_ACCESS_WRITE));
	KUNIT_EXPECT_TRUE(test, ops->test_young(mn, user_mm, hva));
	KUNIT_EXPECT_TRUE(test, ops->clear_flush_young(mn, user_mm, hva, hva + PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, ops->clear_young(mn, user_mm, hva, hva + PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, ops->test_young(mn, user_mm, hva));
	KUNIT_EXPECT_NE(test, 0ull, mapped_pfn(&w, GPA + 0x7000, &entry));

	ept_caps.ad = false;
	kicks = 0;
	KUNIT_EXPECT_TRUE(test, ops->test_young(mn, user_mm, hva));
	KUNIT_EXPECT_TRUE(test, ops->clear_flush_young(mn, user_mm, hva, hva + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0ull, mapped_pfn(&w, GPA + 0x7000, &entry));
	KUNIT_EXPECT_EQ(test, kicks, 1);
	KUNIT_EXPECT_FALSE(test, ops->clear_flush_young(mn, user_mm, hva, hva + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, kicks, 1);
	world_end(&w);
}

/* Huge pages of the host, where it has them for us; then code in one, then a cut. */
static void huge_test(struct kunit *test)
{
	struct world w;
	u64 entry, gpa;
	bool huge;

	NEED_WORLD(&w, PROT_READ | PROT_WRITE);
	ept_caps.nx_huge = true;
	KUNIT_EXPECT_EQ(test, 0, fault(&w, GPA + 0x5000, EPT_ACCESS_WRITE));
	mapped_pfn(&w, GPA + 0x5000, &entry);
	huge = entry & EPT_HUGE;
	if (huge) {
		KUNIT_EXPECT_EQ(test, entry & RWX, 3ull);
		KUNIT_EXPECT_EQ(test, 0, fault(&w, GPA + 0x6000, EPT_ACCESS_EXEC));
		mapped_pfn(&w, GPA + 0x6000, &entry);
		KUNIT_EXPECT_EQ(test, entry & (RWX | EPT_HUGE), (u64)RWX);
		mapped_pfn(&w, GPA + 0x5000, &entry);
		KUNIT_EXPECT_EQ(test, entry & (RWX | EPT_HUGE), 3ull);
		/* Small pages with code among them stay small. */
		KUNIT_EXPECT_EQ(test, 0, fault(&w, GPA + 0x5000, EPT_ACCESS_WRITE));
		mapped_pfn(&w, GPA + 0x6000, &entry);
		KUNIT_EXPECT_EQ(test, entry & (RWX | EPT_HUGE), (u64)RWX);

		ept_caps.nx_huge = false;
		KUNIT_EXPECT_EQ(test, 0, fault(&w, GPA + 0x200000, EPT_ACCESS_WRITE));
		KUNIT_EXPECT_EQ(test, mapped_pfn(&w, GPA + 0x234000, &entry),
				host_pfn(&w, GPA + 0x234000));
		KUNIT_EXPECT_EQ(test, entry & (RWX | EPT_HUGE), RWX | EPT_HUGE);
		/* Cuts, one of which ends in it, leave the rest mapped. */
		KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_UNMAP, GPA + 0x1ff000, 0x2000, 0));
		KUNIT_EXPECT_EQ(test, 0, update(&w, LODGE_MEM_UNMAP, GPA + 0x234000, 0x1000, 0));
		for (gpa = GPA + 0x200000; gpa < GPA + LEN; gpa += PAGE_SIZE) {
			bool cut = gpa == GPA + 0x200000 || gpa == GPA + 0x234000;

			KUNIT_EXPECT_EQ_MSG(test, mapped_pfn(&w, gpa, &entry),
					    cut ? 0 : host_pfn(&w, gpa), "gpa %#llx", gpa);
		}
	}
	world_end(&w);
	if (!huge)
		kunit_skip(test, "the host gave no huge page");
}

/* --------------------------------------------------------------- map-around */

#define NR_AROUND	32	/* pages, two windows */
#define ALL_WRITTEN	"wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
#define ALL_READ	"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
#define R		EPT_ACCESS_READ
#define W		EPT_ACCESS_WRITE

/*
 * Each page has a letter. What the host did: w wrote, r read, so that it may write and
 * its entry is clean. What the EPT has: w is writable, r is not; large: accessed.
 */
static const struct around_case {
	const char *name;
	const char *host;
	int border;		/* of the host's tables: in front of this page */
	u32 readonly;		/* from this page on the region is; 0: it is not */
	bool no_ad;
	bool inval;		/* other memory is being invalidated */
	struct {
		u32 page, access;
	} touch[4];
	const char *ept;
} around_cases[] = {
	{ "one", ALL_WRITTEN, .touch = { { 5, W } },
	  .ept = ".....W.........................." },
	{ "forwards", ALL_WRITTEN, .touch = { { 4, W }, { 5, W } },
	  .ept = "wwwwWWwwwwwwwwww................" },
	{ "backwards", ALL_WRITTEN, .touch = { { 5, W }, { 4, W } },
	  .ept = "wwwwWWwwwwwwwwww................" },
	{ "with a gap", ALL_WRITTEN, .touch = { { 4, W }, { 6, W } },
	  .ept = "....W.W........................." },
	{ "into the next window", ALL_WRITTEN, .touch = { { 15, W }, { 16, W } },
	  .ept = "...............WWwwwwwwwwwwwwwww" },
	{ "into the one before", ALL_WRITTEN, .touch = { { 16, W }, { 15, W } },
	  .ept = "wwwwwwwwwwwwwwwWW..............." },
	{ "beside what was not accessed", ALL_WRITTEN,
	  .touch = { { 4, W }, { 5, W }, { 16, W } },
	  .ept = "wwwwWWwwwwwwwwwwW..............." },
	{ "reads of dirty pages", ALL_WRITTEN, .touch = { { 4, R }, { 5, R } },
	  .ept = "wwwwWWwwwwwwwwww................" },
	{ "reads of clean pages", ALL_READ, .touch = { { 4, R }, { 5, R } },
	  .ept = "rrrrRRrrrrrrrrrr................" },
	{ "writes, clean around", ALL_READ, .touch = { { 4, W }, { 5, W } },
	  .ept = "rrrrWWrrrrrrrrrr................" },
	{ "writes, some clean", "wrrwwwwrwrrrwwwrwwwwwwwwwwwwwwww", .touch = { { 4, W }, { 5, W } },
	  .ept = "wrrwWWwrwrrrwwwr................" },
	{ "holes", ".ww.ww.r.w..r..wwwwwwwwwwwwwwwww", .touch = { { 4, W }, { 5, W } },
	  .ept = ".ww.WW.r.w..r..w................" },
	{ "fresh pages", "wwww....wwwwwwwwwwwwwwwwwwwwwwww",
	  .touch = { { 4, W }, { 5, W }, { 6, R } },
	  .ept = "....WWR........................." },
	{ "up to a read-only region", ALL_WRITTEN, .readonly = 8, .touch = { { 4, W }, { 5, W } },
	  .ept = "wwwwWWww........................" },
	{ "in a read-only region", ALL_WRITTEN, .readonly = 3, .touch = { { 5, R }, { 4, R } },
	  .ept = "...rRRrrrrrrrrrr................" },
	{ "to the end of a region", ALL_WRITTEN, .readonly = 31, .touch = { { 28, W }, { 29, W } },
	  .ept = "................wwwwwwwwwwwwWWw." },
	{ "to the end of a host table", ALL_WRITTEN, .border = 8, .touch = { { 4, W }, { 5, W } },
	  .ept = "wwwwWWww........................" },
	{ "from its start", ALL_WRITTEN, .border = 8, .touch = { { 9, W }, { 10, W } },
	  .ept = "........wWWwwwww................" },
	{ "a host table's first page", ALL_WRITTEN, .border = 5, .touch = { { 4, W }, { 5, W } },
	  .ept = "....WWwwwwwwwwww................" },
	{ "around what is there", ALL_READ, .touch = { { 7, R }, { 4, W }, { 5, W } },
	  .ept = "rrrrWWrRrrrrrrrr................" },
	{ "without accessed bits", ALL_WRITTEN, .no_ad = true, .touch = { { 4, W }, { 5, W } },
	  .ept = "....WW.........................." },
	{ "during an invalidation", ALL_WRITTEN, .inval = true, .touch = { { 4, W }, { 5, W } },
	  .ept = "....WW.........................." },
};

/* Memory in small pages, which the host has as the case says, at @w->hva, mapped to GPA. */
static void around_init(struct world *w, const struct around_case *c)
{
	u8 byte = 1;
	u32 i;

	/* Where there is no border to be, the host's table begins far before. */
	w->hva += SZ_2M - (c->border ?: -NR_AROUND) * (int)PAGE_SIZE;
	KUNIT_EXPECT_EQ(w->test, 0, update(w, LODGE_MEM_UNMAP, GPA, LEN, 0));
	KUNIT_EXPECT_EQ(w->test, 0, update(w, LODGE_MEM_MAP, GPA, NR_AROUND * PAGE_SIZE, 0));
	if (c->readonly)
		KUNIT_EXPECT_EQ(w->test, 0, update(w, LODGE_MEM_PROTECT,
						   GPA + c->readonly * PAGE_SIZE,
						   (NR_AROUND - c->readonly) * PAGE_SIZE, RO));
	for (i = 0; i < NR_AROUND; i++) {
		u8 __user *page = (u8 __user *)(w->hva + i * PAGE_SIZE);

		if (c->host[i] == 'w')
			KUNIT_EXPECT_EQ(w->test, 0, put_user(byte, page));
		else if (c->host[i] == 'r')
			KUNIT_EXPECT_EQ(w->test, 0, get_user(byte, page));
	}
}

/* The letters of what is mapped; a page that is not the host's is a '?'. */
static void around_letters(struct world *w, char *letters)
{
	u64 entry, pfn;
	u32 i;

	for (i = 0; i < NR_AROUND; i++) {
		pfn = mapped_pfn(w, GPA + i * PAGE_SIZE, &entry);
		letters[i] = !entry ? '.' : (entry & RWX) == RWX ? 'w' : 'r';
		if (entry & EPT_A)
			letters[i] = toupper(letters[i]);
		if (entry && pfn != host_pfn(w, GPA + i * PAGE_SIZE))
			letters[i] = '?';
		/* The guest has written only where a write faulted. */
		if ((entry & (EPT_D | EPT_A)) == EPT_D)
			letters[i] = '?';
	}
	letters[NR_AROUND] = '\0';
}

static void around_test(struct kunit *test)
{
	const struct around_case *c;
	char letters[NR_AROUND + 1];
	struct world w;
	u32 i;

	for (c = around_cases; c < around_cases + ARRAY_SIZE(around_cases); c++) {
		ept_caps.ad = !c->no_ad;
		/* Shared memory is in small pages, and may be written when it is clean. */
		NEED_WORLD_OF(&w, PROT_READ | PROT_WRITE, MAP_SHARED);
		around_init(&w, c);
		if (c->inval) {
			write_lock(&w.mem->lock);
			ept_inval_begin(w.mem, 0, PAGE_SIZE);
			write_unlock(&w.mem->lock);
		}
		for (i = 0; i < ARRAY_SIZE(c->touch) && c->touch[i].access; i++)
			KUNIT_EXPECT_EQ_MSG(test, EPT_FAULT_MAPPED,
					    fault(&w, GPA + c->touch[i].page * PAGE_SIZE,
						  c->touch[i].access), "%s", c->name);
		around_letters(&w, letters);
		KUNIT_EXPECT_STREQ_MSG(test, letters, c->ept, "%s", c->name);
		if (c->inval)
			ept_inval_end(w.mem, NULL);
		world_end(&w);
	}
}

#undef R
#undef W

/* --------------------------------------------------------------------------- */

static int suite_init(struct kunit_suite *suite)
{
	/* Here still in the thread that loads the module; cases run in kthreads. */
	user_mm = get_task_mm(current);
	saved_caps = ept_caps;
	return 0;
}

static void suite_exit(struct kunit_suite *suite)
{
	ept_caps = saved_caps;
	if (user_mm)
		mmput(user_mm);
}

static int case_init(struct kunit *test)
{
	ept_caps = (struct ept_caps){ .ad = true, .huge_1g = true, .gpa_bits = 40 };
	return 0;
}

static struct kunit_case cases[] = {
	KUNIT_CASE(map_levels_test),
	KUNIT_CASE(map_over_test),
	KUNIT_CASE(split_test),
	KUNIT_CASE(zap_test),
	KUNIT_CASE(protect_test),
	KUNIT_CASE(young_test),
	KUNIT_CASE(region_update_test),
	KUNIT_CASE(region_limit_test),
	KUNIT_CASE(region_clip_test),
	KUNIT_CASE(flush_test),
	KUNIT_CASE(inval_test),
	KUNIT_CASE(pointer_test),
	KUNIT_CASE(anon_test),
	KUNIT_CASE(munmap_test),
	KUNIT_CASE(update_test),
	KUNIT_CASE(access_test),
	KUNIT_CASE(view_test),
	KUNIT_CASE(readonly_host_test),
	KUNIT_CASE(age_test),
	KUNIT_CASE(huge_test),
	KUNIT_CASE(around_test),
	{}
};

struct kunit_suite lodge_ept_suite = {
	.name = "lodge_ept",
	.suite_init = suite_init,
	.suite_exit = suite_exit,
	.init = case_init,
	.test_cases = cases,
};
