/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The EPT's four levels of tables as a structure of their own: it knows frames
 * and guest-physical addresses, and neither locks, regions, mm nor VM.
 *
 * Three rules make up its life. Entries are installed and widened with cmpxchg,
 * so that faults may do it side by side. Entries are taken away, narrowed and
 * replaced by one thread at a time, while nobody installs. What was taken away
 * is collected in struct ept_gone, and its tables stay whole until every CPU has
 * flushed: the CPU may still walk them and set accessed bits in them.
 */
#ifndef LODGE_EPT_TABLE_H
#define LODGE_EPT_TABLE_H

#include <linux/align.h>
#include <linux/bits.h>
#include <linux/list.h>
#include <linux/mm.h>

#include "../types.h"

/* SDM 3C 29.3.2: the format of EPT entries. */
#define EPT_R		BIT_ULL(0)
#define EPT_W		BIT_ULL(1)
#define EPT_X		BIT_ULL(2)
#define EPT_RWX		(EPT_R | EPT_W | EPT_X)
#define EPT_MT_WB	(6ULL << 3)		/* memory type of a leaf: write-back ... */
#define EPT_IGNORE_PAT	BIT_ULL(6)		/* ... whatever the guest's PAT says */
#define EPT_HUGE	BIT_ULL(7)		/* a leaf above level 1 */
#define EPT_A_BIT	8
#define EPT_A		BIT_ULL(EPT_A_BIT)
#define EPT_D		BIT_ULL(9)
#define EPT_ADDR	GENMASK_ULL(51, 12)

#define EPT_4K		1
#define EPT_2M		2
#define EPT_1G		3
#define EPT_ROOT	4
#define EPT_ENTRIES	512

/* Tables that one fault can need: one for each level below the root. */
#define EPT_CACHE_SIZE	(EPT_ROOT - 1)

/**
 * struct ept_cache - tables allocated before the EPT lock is taken
 * @nr: how many there are
 * @want: how many the last call that failed with -ENOMEM needs
 * @page: zeroed tables
 */
struct ept_cache {
	u32 nr;
	u32 want;
	u64 *page[EPT_CACHE_SIZE];
};

/**
 * struct ept_gone - what was taken away and not yet flushed
 * @tables: unlinked tables, by their page's lru; private is their level
 * @flush: CPUs must flush before the caller goes on
 */
struct ept_gone {
	struct list_head tables;
	bool flush;
};

/* Bytes that an entry at @level maps. */
static inline u64 ept_size(int level)
{
	return 1ULL << (PAGE_SHIFT + 9 * (level - 1));
}

static inline u32 ept_index(gpa_t gpa, int level)
{
	return (gpa >> (PAGE_SHIFT + 9 * (level - 1))) & (EPT_ENTRIES - 1);
}

static inline bool ept_is_table(u64 entry, int level)
{
	return level > EPT_4K && (entry & (EPT_RWX | EPT_HUGE)) == EPT_RWX;
}

static inline u64 *ept_below(u64 entry)
{
	return __va(entry & EPT_ADDR);
}

/*
 * A leaf for @pfn, which may lie anywhere in the page. It is born accessed (and
 * dirty when @perm has EPT_D): the access that asks for it comes at once, and
 * setting the bits costs the CPU a locked write.
 */
static inline u64 ept_leaf(u64 pfn, int level, u64 perm)
{
	u64 addr = ALIGN_DOWN(pfn << PAGE_SHIFT, ept_size(level));

	return addr | (level > EPT_4K ? EPT_HUGE : 0) | EPT_A | EPT_IGNORE_PAT | EPT_MT_WB |
	       EPT_R | perm;
}

/* The table that has the 4 KiB entry for @gpa; NULL when there is none. */
static __always_inline u64 *ept_last_table(u64 *root, gpa_t gpa)
{
	u64 *table = root;
	int at;

#pragma GCC unroll 3
	for (at = EPT_ROOT; at > EPT_4K; at--) {
		u64 entry = READ_ONCE(table[ept_index(gpa, at)]);

		if (unlikely(!ept_is_table(entry, at)))
			return NULL;
		table = ept_below(entry);
	}
	return table;
}

/* Put @leaf where nothing is. False: there is something. */
static __always_inline bool ept_install(u64 *slot, u64 leaf)
{
	return !READ_ONCE(*slot) && !cmpxchg64(slot, 0, leaf);
}

static inline void ept_gone_init(struct ept_gone *gone)
{
	INIT_LIST_HEAD(&gone->tables);
	gone->flush = false;
}

u64 *ept_table_alloc(void);
void ept_table_free(u64 *table);
int ept_cache_fill(struct ept_cache *cache);
void ept_cache_drain(struct ept_cache *cache);

int ept_map(u64 *root, gpa_t gpa, int level, u64 leaf, struct ept_cache *cache,
	    struct ept_gone *gone);
int ept_split(u64 *root, gpa_t gpa, struct ept_cache *cache, struct ept_gone *gone);
void ept_zap(u64 *root, gpa_t start, gpa_t end, struct ept_gone *gone);
void ept_write_protect(u64 *root, gpa_t start, gpa_t end, struct ept_gone *gone);
bool ept_young(u64 *root, gpa_t start, gpa_t end, bool ad, bool clear);
void ept_gone_free(struct ept_gone *gone, bool may_sleep);

#endif
