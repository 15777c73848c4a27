// SPDX-License-Identifier: GPL-2.0
/*
 * The EPT's tables: installing, splitting, taking away and ageing entries.
 * table.h says who may do what beside whom.
 */
#include <linux/gfp.h>
#include <linux/sched.h>

#include "table.h"

u64 *ept_table_alloc(void)
{
	return (u64 *)__get_free_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

void ept_table_free(u64 *table)
{
	free_page((unsigned long)table);
}

/**
 * ept_cache_fill() - allocate the tables that a call found missing
 * @cache: holds @cache->want tables afterwards
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int ept_cache_fill(struct ept_cache *cache)
{
	while (cache->nr < cache->want) {
		u64 *table = ept_table_alloc();

		if (!table)
			return -ENOMEM;
		cache->page[cache->nr++] = table;
	}
	return 0;
}

/**
 * ept_cache_drain() - free the tables that were not used
 * @cache: is empty afterwards
 */
void ept_cache_drain(struct ept_cache *cache)
{
	while (cache->nr)
		ept_table_free(cache->page[--cache->nr]);
}

/* A table was unlinked; it stays whole until CPUs have flushed. */
static void gone_add(struct ept_gone *gone, u64 *table, int level)
{
	struct page *page = virt_to_page(table);

	set_page_private(page, level);
	list_add(&page->lru, &gone->tables);
}

static bool replace(u64 *slot, u64 old, u64 new)
{
	return cmpxchg64(slot, old, new) == old;
}

/* The address that @leaf at @level gives to @gpa, in units of the page at @gpa's @want. */
static u64 leaf_addr(u64 leaf, int level, gpa_t gpa, int want)
{
	u64 addr = (leaf & EPT_ADDR) | (gpa & (ept_size(level) - 1));

	return ALIGN_DOWN(addr, ept_size(want));
}

/* Fill @table with what @leaf at @level maps, permissions and history included. */
static void fill_from_leaf(u64 *table, u64 leaf, int level)
{
	u64 step = ept_size(level - 1);
	u32 i;

	/* SDM 3C 29.3.2: bit 7 has no meaning in a 4 KiB leaf; keep it clear. */
	if (level - 1 == EPT_4K)
		leaf &= ~EPT_HUGE;
	for (i = 0; i < EPT_ENTRIES; i++)
		table[i] = leaf + i * step;
}

/*
 * Put a table into @slot, where @old is nothing or a leaf; with @keep it maps
 * what the leaf mapped. Tables for the levels down to @want will be needed.
 */
static int put_table(u64 *slot, u64 old, int level, int want, bool keep,
		     struct ept_cache *cache, struct ept_gone *gone)
{
	u64 *table;

	if (old && !gone)
		return -EBUSY;
	if (!cache)
		return -ENOMEM;
	if (!cache->nr) {
		cache->want = level - want;
		return -ENOMEM;
	}

	table = cache->page[cache->nr - 1];
	if (keep)
		fill_from_leaf(table, old, level);
	if (!replace(slot, old, __pa(table) | EPT_RWX)) {
		if (keep)
			clear_page(table);
		return -EAGAIN;
	}
	cache->nr--;
	if (old)
		gone->flush = true;
	return 0;
}

/* Put @leaf into @slot, widening, or replacing when @gone allows it. */
static int put_leaf(u64 *slot, int level, u64 leaf, struct ept_gone *gone)
{
	u64 old = READ_ONCE(*slot);
	bool table = ept_is_table(old, level);

	if (!old)
		return replace(slot, 0, leaf) ? 0 : -EAGAIN;

	if (!table && !((old ^ leaf) & EPT_ADDR)) {
		/*
		 * Widening needs no flush: a CPU that holds the narrow entry
		 * faults, and an EPT violation drops what it has cached for the
		 * address (SDM 3C 29.4.3.1).
		 */
		if (!(leaf & ~old & EPT_RWX))
			return 0;
		return replace(slot, old, old | leaf) ? 0 : -EAGAIN;
	}

	if (!gone)
		return table ? -EEXIST : -EBUSY;
	if (!replace(slot, old, leaf))
		return -EAGAIN;
	gone->flush = true;
	if (table)
		gone_add(gone, ept_below(old), level - 1);
	return 0;
}

/**
 * ept_map() - make a leaf stand for an address
 * @root: the top table
 * @gpa: any address in the page
 * @level: the leaf's level
 * @leaf: what ept_leaf() gave. An entry for the same page is widened to it, never
 *	narrowed; a larger leaf that already grants as much is left alone
 * @cache: gives the tables that are missing on the way; NULL: there are none to give
 * @gone: collects what had to be replaced; NULL: replace nothing
 *
 * Context: without @gone, beside others that map; with it, alone.
 *
 * Return: 0; -ENOMEM when @cache needs more tables (it says how many); -EAGAIN
 * when another thread or the CPU changed an entry meanwhile; and without @gone:
 * -EEXIST when a table stands where the leaf belongs, -EBUSY when another leaf
 * is in the way.
 */
int ept_map(u64 *root, gpa_t gpa, int level, u64 leaf, struct ept_cache *cache,
	    struct ept_gone *gone)
{
	u64 *table = root;
	int at, ret;

	for (at = EPT_ROOT; at > level; at--) {
		u64 *slot = &table[ept_index(gpa, at)];
		u64 old = READ_ONCE(*slot);
		bool same;

		if (likely(ept_is_table(old, at))) {
			table = ept_below(old);
			continue;
		}

		same = old && leaf_addr(old, at, gpa, level) == (leaf & EPT_ADDR);
		if (same && !(leaf & ~old & EPT_RWX))
			return 0;
		ret = put_table(slot, old, at, level, same, cache, gone);
		if (ret)
			return ret;
		table = ept_below(READ_ONCE(*slot));
	}
	return put_leaf(&table[ept_index(gpa, level)], level, leaf, gone);
}

/**
 * ept_split() - let no leaf reach across an address
 * @root: the top table
 * @gpa: the address; a leaf that begins before it and ends behind it is split
 *	until none does, and maps as before
 * @cache: gives tables
 * @gone: tells whether a flush is due
 *
 * Context: alone.
 * Return: 0; -ENOMEM or -EAGAIN as ept_map().
 */
int ept_split(u64 *root, gpa_t gpa, struct ept_cache *cache, struct ept_gone *gone)
{
	u64 *table = root;
	int at, ret;

	for (at = EPT_ROOT; !IS_ALIGNED(gpa, ept_size(at)); at--) {
		u64 *slot = &table[ept_index(gpa, at)];
		u64 old = READ_ONCE(*slot);

		if (!old)
			return 0;
		if (!ept_is_table(old, at)) {
			ret = put_table(slot, old, at, EPT_4K, true, cache, gone);
			if (ret)
				return ret;
			old = READ_ONCE(*slot);
		}
		table = ept_below(old);
	}
	return 0;
}

/*
 * The next entry at or behind *@gpa and before @end: a leaf that overlaps the
 * range or, with @whole, a table that maps nothing outside it. *@gpa moves past
 * what the entry maps. NULL when there is none.
 */
static u64 *next_entry(u64 *root, gpa_t *gpa, gpa_t end, int *level, bool whole)
{
	while (*gpa < end) {
		gpa_t here = *gpa;
		u64 *table = root;
		int at = EPT_ROOT;

		for (;; at--) {
			u64 size = ept_size(at);
			u64 *slot = &table[ept_index(here, at)];
			u64 old = READ_ONCE(*slot);

			if (ept_is_table(old, at) &&
			    !(whole && IS_ALIGNED(here, size) && end - here >= size)) {
				table = ept_below(old);
				continue;
			}
			*gpa = ALIGN_DOWN(here, size) + size;
			*level = at;
			if (old)
				return slot;
			break;
		}
	}
	return NULL;
}

/**
 * ept_zap() - take away what maps a range
 * @root: the top table
 * @start: page aligned
 * @end: page aligned
 * @gone: collects it. A leaf goes whole, also when the range covers only a part
 *	of it; ept_split() first, where that matters
 *
 * A table that lies in the range is unlinked with all below it, so the work is
 * bounded by the entries of the tables on the range's two edges, whatever its
 * length.
 *
 * Context: alone.
 */
void ept_zap(u64 *root, gpa_t start, gpa_t end, struct ept_gone *gone)
{
	int level;
	u64 *slot;

	while ((slot = next_entry(root, &start, end, &level, true))) {
		u64 old = xchg(slot, 0);

		gone->flush = true;
		if (ept_is_table(old, level))
			gone_add(gone, ept_below(old), level - 1);
	}
}

/**
 * ept_write_protect() - take away the right to write in a range
 * @root: the top table
 * @start: page aligned
 * @end: page aligned; the work grows with what is mapped in the range
 * @gone: tells whether a flush is due
 *
 * Context: alone.
 */
void ept_write_protect(u64 *root, gpa_t start, gpa_t end, struct ept_gone *gone)
{
	int level;
	u64 *slot;

	while ((slot = next_entry(root, &start, end, &level, false))) {
		u64 old = READ_ONCE(*slot);

		/* The CPU may set A or D between the two. */
		while ((old & EPT_W) && !replace(slot, old, old & ~EPT_W))
			old = READ_ONCE(*slot);
		if (old & EPT_W)
			gone->flush = true;
	}
}

/**
 * ept_young() - has a range been accessed?
 * @root: the top table
 * @start: page aligned
 * @end: page aligned
 * @ad: the CPU keeps accessed bits; else what is mapped counts as accessed
 * @clear: with @ad, make it old
 *
 * CPUs are not flushed, as the host does not flush for its own page tables: a
 * cached accessed bit may make a page look older than it is, no more than that.
 *
 * Context: beside others that map.
 */
bool ept_young(u64 *root, gpa_t start, gpa_t end, bool ad, bool clear)
{
	bool young = false;
	int level;
	u64 *slot;

	while ((slot = next_entry(root, &start, end, &level, false))) {
		if (!ad)
			return true;
		if (!(READ_ONCE(*slot) & EPT_A))
			continue;
		young = true;
		if (!clear)
			return true;
		clear_bit(EPT_A_BIT, (unsigned long *)slot);
	}
	return young;
}

/* Free @table and all tables below it. */
static void free_tree(u64 *table, int level, bool may_sleep)
{
	u32 i;

	for (i = 0; level > EPT_4K && i < EPT_ENTRIES; i++) {
		if (ept_is_table(table[i], level))
			free_tree(ept_below(table[i]), level - 1, may_sleep);
	}
	ept_table_free(table);
	if (may_sleep)
		cond_resched();
}

/**
 * ept_gone_free() - free unlinked tables
 * @gone: filled by the calls above; every CPU has flushed since. Software walks
 *	tables only while nobody takes them away, so no walker is left either
 * @may_sleep: give way to others now and then
 */
void ept_gone_free(struct ept_gone *gone, bool may_sleep)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &gone->tables, lru) {
		list_del(&page->lru);
		free_tree(page_address(page), page_private(page), may_sleep);
	}
}
