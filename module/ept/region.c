// SPDX-License-Identifier: GPL-2.0
/*
 * The memory map: which user memory stands behind which guest-physical
 * addresses. A map is built by copying the old one and applying operations to
 * the copy; only a copy that took them all is ever seen by anyone.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mem.h"

/* Half-open ranges [a, b) and [c, d) meet. */
static bool meets(u64 a, u64 b, u64 c, u64 d)
{
	return a < d && c < b;
}

static u64 region_end(const struct lodge_mem_region *r)
{
	return r->gpa + r->len;
}

/**
 * region_set_alloc() - an empty map
 * @max: regions it has room for
 *
 * Return: to be freed with kvfree(); NULL when there is no memory.
 */
struct lodge_region_set *region_set_alloc(u32 max)
{
	struct lodge_region_set *set;

	set = kvmalloc(struct_size(set, region, max), GFP_KERNEL_ACCOUNT);
	if (!set)
		return NULL;
	set->hva_start = U64_MAX;
	set->hva_end = 0;
	set->seq = 0;
	set->nr = 0;
	return set;
}

/* Index of the first region that ends behind @gpa; @set->nr when there is none. */
static u32 first_behind(const struct lodge_region_set *set, gpa_t gpa)
{
	u32 lo = 0, hi = set->nr;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (region_end(&set->region[mid]) <= gpa)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/**
 * region_find() - the region an address lies in
 * @set: the map
 * @gpa: the address
 *
 * Return: the region, or NULL. Whatever way the CPU guesses, none but a region of
 * @set is looked at.
 */
const struct lodge_mem_region *region_find(const struct lodge_region_set *set, gpa_t gpa)
{
	const struct lodge_mem_region *r = set->region;
	u32 nr, half;

	/* The last of them that begins at @gpa or before, if any does: one of @nr at @r. */
	for (nr = set->nr; nr > 1; nr -= half) {
		half = nr / 2;
		if (r[half].gpa <= gpa)
			r += half;
	}
	return nr && gpa - r->gpa < r->len ? r : NULL;
}

/**
 * region_clip() - where a range of user memory shows in a region
 * @r: the region
 * @hva_start: the range's start, any alignment
 * @hva_end: its end
 * @start: first guest-physical address, page aligned
 * @end: one past the last
 *
 * Return: false when the two do not meet.
 */
bool region_clip(const struct lodge_mem_region *r, u64 hva_start, u64 hva_end, gpa_t *start,
		 gpa_t *end)
{
	u64 from, to;

	if (!meets(hva_start, hva_end, r->hva, r->hva + r->len))
		return false;
	from = max(ALIGN_DOWN(hva_start, PAGE_SIZE), r->hva);
	to = PAGE_ALIGN(min(hva_end, r->hva + r->len));
	*start = r->gpa + (from - r->hva);
	*end = r->gpa + (to - r->hva);
	return true;
}

/* --------------------------------------------------------- changing a copy */

static void insert_at(struct lodge_region_set *set, u32 i, const struct lodge_mem_region *r)
{
	memmove(&set->region[i + 1], &set->region[i], (set->nr - i) * sizeof(*r));
	set->region[i] = *r;
	set->nr++;
}

static void remove_at(struct lodge_region_set *set, u32 i, u32 nr)
{
	memmove(&set->region[i], &set->region[i + nr],
		(set->nr - i - nr) * sizeof(set->region[0]));
	set->nr -= nr;
}

/* Make @gpa a border. Index of the first region at or behind it. */
static u32 split_at(struct lodge_region_set *set, gpa_t gpa)
{
	u32 i = first_behind(set, gpa);
	struct lodge_mem_region *r = &set->region[i], tail;
	u64 head;

	if (i == set->nr || r->gpa >= gpa)
		return i;
	head = gpa - r->gpa;
	tail = *r;
	tail.gpa += head;
	tail.hva += head;
	tail.len -= head;
	r->len = head;
	insert_at(set, i + 1, &tail);
	return i + 1;
}

/* Region @i and the next are one range of user memory, and alike. */
static bool can_merge(const struct lodge_region_set *set, u32 i)
{
	const struct lodge_mem_region *a = &set->region[i], *b = a + 1;

	return region_end(a) == b->gpa && a->hva + a->len == b->hva && a->flags == b->flags;
}

/* Merge what can be merged among regions @first to @last and their neighbours. */
static void merge_around(struct lodge_region_set *set, u32 first, u32 last)
{
	u32 low = first ? first - 1 : 0;
	u32 i = min(last + 1, set->nr - 1);

	while (i-- > low) {
		if (!can_merge(set, i))
			continue;
		set->region[i].len += set->region[i + 1].len;
		remove_at(set, i + 1, 1);
	}
}

/* Is every byte of [@gpa, @end) mapped? */
static bool is_covered(const struct lodge_region_set *set, gpa_t gpa, gpa_t end)
{
	u32 i;

	for (i = first_behind(set, gpa); gpa < end; i++) {
		if (i == set->nr || set->region[i].gpa > gpa)
			return false;
		gpa = region_end(&set->region[i]);
	}
	return true;
}

static int apply_map(struct lodge_region_set *set, const struct lodge_mem_op *op)
{
	struct lodge_mem_region r = {
		.gpa = op->gpa, .len = op->len, .hva = op->hva, .flags = op->flags,
	};
	u32 i = first_behind(set, op->gpa);

	/* The xAPIC page belongs to the local APIC, which takes faults there. */
	if (meets(op->gpa, op->gpa + op->len, LAPIC_MMIO_BASE, LAPIC_MMIO_BASE + LAPIC_MMIO_SIZE))
		return -EBUSY;
	if (i < set->nr && set->region[i].gpa < op->gpa + op->len)
		return -EBUSY;
	insert_at(set, i, &r);
	merge_around(set, i, i);
	return 0;
}

static int apply_unmap(struct lodge_region_set *set, const struct lodge_mem_op *op)
{
	u32 first;

	if (!is_covered(set, op->gpa, op->gpa + op->len))
		return -ENOENT;
	first = split_at(set, op->gpa);
	remove_at(set, first, split_at(set, op->gpa + op->len) - first);
	return 0;
}

static int apply_protect(struct lodge_region_set *set, const struct lodge_mem_op *op)
{
	u32 first, last, i;

	if (!is_covered(set, op->gpa, op->gpa + op->len))
		return -ENOENT;
	first = split_at(set, op->gpa);
	last = split_at(set, op->gpa + op->len) - 1;
	for (i = first; i <= last; i++)
		set->region[i].flags = op->flags;
	merge_around(set, first, last);
	return 0;
}

/* Index: lodge_mem_op.op. */
static const struct mem_op_kind {
	int (*apply)(struct lodge_region_set *set, const struct lodge_mem_op *op);
	u32 flags;	/* that it takes */
	bool hva;	/* that it takes one */
} op_kinds[] = {
	[LODGE_MEM_MAP]     = { apply_map, LODGE_MEM_F_READONLY, true },
	[LODGE_MEM_UNMAP]   = { apply_unmap, 0, false },
	[LODGE_MEM_PROTECT] = { apply_protect, LODGE_MEM_F_READONLY, false },
};

/* Does [@start, @start + @len) end by @limit? */
static bool fits(u64 start, u64 len, u64 limit)
{
	return len <= limit && start <= limit - len;
}

static int check_hva(const struct lodge_mem_op *op)
{
	/* access_ok() takes a range that no user mapping can have, on some kernels. */
	if (!fits(op->hva, op->len, TASK_SIZE_MAX) ||
	    !access_ok((void __user *)(unsigned long)op->hva, op->len))
		return -EFAULT;
	return 0;
}

static const struct mem_op_kind *op_kind(u32 op)
{
	if (op >= ARRAY_SIZE(op_kinds))
		return NULL;
	op = array_index_nospec(op, ARRAY_SIZE(op_kinds));
	return op_kinds[op].apply ? &op_kinds[op] : NULL;
}

static int apply_op(struct lodge_region_set *set, const struct lodge_mem_op *op)
{
	const struct mem_op_kind *kind = op_kind(op->op);
	int ret;

	if (!kind || (op->flags & ~kind->flags))
		return -EINVAL;
	if (!op->len || !PAGE_ALIGNED(op->gpa | op->len | op->hva))
		return -EINVAL;
	if (!fits(op->gpa, op->len, 1ULL << ept_caps.gpa_bits))
		return -EINVAL;
	if (!kind->hva && op->hva)
		return -EINVAL;
	if (kind->hva) {
		ret = check_hva(op);
		if (ret)
			return ret;
	}
	ret = kind->apply(set, op);
	if (ret)
		return ret;
	return set->nr > LODGE_MAX_REGIONS ? -ENOSPC : 0;
}

static void find_hva_bounds(struct lodge_region_set *set)
{
	u32 i;

	set->hva_start = U64_MAX;
	set->hva_end = 0;
	for (i = 0; i < set->nr; i++) {
		const struct lodge_mem_region *r = &set->region[i];

		set->hva_start = min(set->hva_start, r->hva);
		set->hva_end = max(set->hva_end, r->hva + r->len);
	}
}

/**
 * region_set_build() - the map after some operations
 * @old: the map before; not changed
 * @ops: operations, applied in order; nothing about them is known to be right
 * @nr: how many
 * @bad: the index of the one that failed, when one did; else not touched
 *
 * Context: may sleep.
 *
 * Return: the new map, to be freed with kvfree(); or the ERR_PTR of what the
 * user is told: -EINVAL, -EFAULT, -EBUSY, -ENOENT, -ENOSPC (see struct
 * lodge_mem_update) or -ENOMEM.
 */
struct lodge_region_set *region_set_build(const struct lodge_region_set *old,
					  const struct lodge_mem_op *ops, u32 nr, u32 *bad)
{
	struct lodge_region_set *set;
	int ret;
	u32 i;

	if (nr > LODGE_MAX_MEM_OPS)
		return ERR_PTR(-EINVAL);
	/* An operation adds two regions at most: PROTECT in the middle of one. */
	set = region_set_alloc(min_t(u32, old->nr + 2 * nr, LODGE_MAX_REGIONS + 2));
	if (!set)
		return ERR_PTR(-ENOMEM);
	set->seq = old->seq + 1;
	set->nr = old->nr;
	memcpy(set->region, old->region, old->nr * sizeof(old->region[0]));

	for (i = 0; i < nr; i++) {
		ret = apply_op(set, &ops[i]);
		if (ret) {
			*bad = i;
			kvfree(set);
			return ERR_PTR(ret);
		}
		cond_resched();
	}
	find_hva_bounds(set);
	return set;
}
