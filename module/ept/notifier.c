// SPDX-License-Identifier: GPL-2.0
/*
 * What the host says of its user memory, carried over to the EPT: that it is
 * about to change, and whether it is in use.
 *
 * Dirt needs no carrying here. A page is marked dirty before an entry becomes
 * writable (fault.c), and whoever makes a page clean announces that first, by
 * which the entry goes. Neither does the accessed bit of an entry that goes: a
 * guest that still uses the page faults, and the page is young again.
 */
#include <linux/sched.h>

#include "mem.h"

static struct lodge_mem *to_mem(struct mmu_notifier *mn)
{
	return container_of(mn, struct lodge_mem, notifier);
}

typedef bool (*part_fn)(struct lodge_mem *mem, gpa_t from, gpa_t to, void *arg);

/*
 * Call @fn for each part of the guest behind [@start, @end) of user memory, until
 * it says true. The caller is in an SRCU read section and holds the EPT lock,
 * under which the regions are replaced.
 */
static bool each_part(struct lodge_mem *mem, u64 start, u64 end, part_fn fn, void *arg)
{
	const struct lodge_region_set *set = region_set(mem);
	gpa_t from, to;
	u32 i;

	if (start >= set->hva_end || end <= set->hva_start)
		return false;
	for (i = 0; i < set->nr; i++) {
		if (region_clip(&set->region[i], start, end, &from, &to) && fn(mem, from, to, arg))
			return true;
	}
	return false;
}

struct zap_arg {
	struct ept_gone gone;
	bool may_sleep;
};

static bool zap_part(struct lodge_mem *mem, gpa_t from, gpa_t to, void *arg)
{
	struct zap_arg *z = arg;

	ept_zap(mem->root, from, to, &z->gone);
	if (z->gone.flush && z->may_sleep && need_resched()) {
		/* What is gone must be counted before the lock is dropped. */
		ept_gone_publish(mem, &z->gone);
		cond_resched_rwlock_write(&mem->lock);
	}
	return false;
}

/* The other half of a zap, with the EPT lock dropped. */
static void flush_and_free(struct lodge_mem *mem, struct zap_arg *z)
{
	ept_flush(mem);
	ept_gone_free(&z->gone, z->may_sleep);
}

static int invalidate_range_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct zap_arg z = { .may_sleep = mmu_notifier_range_blockable(range) };
	struct lodge_mem *mem = to_mem(mn);
	int idx;

	ept_gone_init(&z.gone);
	idx = srcu_read_lock(&mem->srcu);
	write_lock(&mem->lock);
	/*
	 * Counted whether it meets a region or not: regions may come between start
	 * and end, and the two must agree.
	 */
	ept_inval_begin(mem, range->start, range->end);
	each_part(mem, range->start, range->end, zap_part, &z);
	ept_gone_publish(mem, &z.gone);
	write_unlock(&mem->lock);
	srcu_read_unlock(&mem->srcu, idx);

	flush_and_free(mem, &z);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	ept_inval_end(to_mem(mn), NULL);
}

/* --------------------------------------------------------------------- age */

static bool old_part(struct lodge_mem *mem, gpa_t from, gpa_t to, void *arg)
{
	bool *young = arg;

	*young |= ept_young(mem->root, from, to, ept_caps.ad, true);
	return false;
}

static bool test_part(struct lodge_mem *mem, gpa_t from, gpa_t to, void *arg)
{
	return ept_young(mem->root, from, to, ept_caps.ad, false);
}

static int clear_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start,
		       unsigned long end)
{
	struct lodge_mem *mem = to_mem(mn);
	bool young = false;
	int idx;

	idx = srcu_read_lock(&mem->srcu);
	read_lock(&mem->lock);
	each_part(mem, start, end, old_part, &young);
	read_unlock(&mem->lock);
	srcu_read_unlock(&mem->srcu, idx);
	return young;
}

static int test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	struct lodge_mem *mem = to_mem(mn);
	bool young;
	int idx;

	idx = srcu_read_lock(&mem->srcu);
	read_lock(&mem->lock);
	young = each_part(mem, address, address + 1, test_part, NULL);
	read_unlock(&mem->lock);
	srcu_read_unlock(&mem->srcu, idx);
	return young;
}

/* Without accessed bits only a new fault can tell that a page is in use. */
static int clear_young_by_zap(struct lodge_mem *mem, unsigned long start, unsigned long end)
{
	struct zap_arg z = { .may_sleep = false };
	int idx;

	ept_gone_init(&z.gone);
	idx = srcu_read_lock(&mem->srcu);
	write_lock(&mem->lock);
	each_part(mem, start, end, zap_part, &z);
	ept_gone_publish(mem, &z.gone);
	write_unlock(&mem->lock);
	srcu_read_unlock(&mem->srcu, idx);

	flush_and_free(mem, &z);
	return z.gone.flush;
}

static int clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start,
			     unsigned long end)
{
	if (!ept_caps.ad)
		return clear_young_by_zap(to_mem(mn), start, end);
	return clear_young(mn, mm, start, end);
}

/* ----------------------------------------------------------------- the end */

/* The mm exits, or the VM goes first; the two may meet, so it may run twice. */
static void release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct zap_arg z = { .may_sleep = true };
	struct lodge_mem *mem = to_mem(mn);

	ept_gone_init(&z.gone);
	write_lock(&mem->lock);
	if (!mem->dead) {
		/* An invalidation that never ends: no fault installs any more. */
		ept_inval_begin(mem, 0, U64_MAX);
		WRITE_ONCE(mem->dead, true);
	}
	ept_zap(mem->root, 0, 1ULL << LODGE_MAX_GPA_BITS, &z.gone);
	ept_gone_publish(mem, &z.gone);
	write_unlock(&mem->lock);
	wake_up_all(&mem->inval_wait);

	flush_and_free(mem, &z);
}

const struct mmu_notifier_ops ept_notifier_ops = {
	.release = release,
	.clear_flush_young = clear_flush_young,
	.clear_young = clear_young,
	.test_young = test_young,
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
};
