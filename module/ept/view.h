/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A view of guest memory: many small reads in one SRCU section, none of which
 * sleeps.
 *
 * A change of the memory map waits for the section, so the user addresses in it
 * stay the guest's. For the same reason nothing in it may wait for a page: see
 * access.c. A read that finds no page at hand fails with -EAGAIN; who made it
 * ends the view, has the page brought in, and starts from the beginning:
 *
 *	do {
 *		view = lodge_mem_view_begin(mem);
 *		cursor = lodge_mem_cursor(&view, &last);
 *		lodge_mem_view_open();
 *		err = lodge_mem_view_read(&view, &cursor, gpa, 8, &value);
 *		lodge_mem_view_close();
 *		lodge_mem_view_end(mem, &view);
 *	} while (err == -EAGAIN && !lodge_mem_bring_in(view.absent, &attempts));
 *
 * It is inline because a page walk is made of such reads, at each MMIO exit.
 */
#ifndef LODGE_EPT_VIEW_H
#define LODGE_EPT_VIEW_H

#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "ept.h"

/**
 * struct lodge_region_set - a VM's memory map; never changed once published
 * @hva_start: lowest user address behind it
 * @hva_end: one past the highest: between the two lies all that a notifier call
 *	must look for
 * @seq: of this map among those the VM has had
 * @nr: regions
 * @region: sorted by gpa, disjoint, and merged where they could be
 */
struct lodge_region_set {
	u64 hva_start;
	u64 hva_end;
	u64 seq;
	u32 nr;
	struct lodge_mem_region region[];
};

/**
 * struct lodge_mem_view - a view
 * @set: the memory map; valid between begin and end
 * @srcu: the section
 * @absent: user address that a read did not find at hand
 */
struct lodge_mem_view {
	const struct lodge_region_set *set;
	int srcu;
	unsigned long absent;
};

/**
 * struct lodge_mem_cursor - where one kind of reads has been; valid in its view
 * @region: the last read's region, tried first; an empty one when there is none
 * @last: its index. It outlives the view, for the next one to begin with: a guess,
 *	checked against the map of the day as any other address is
 */
struct lodge_mem_cursor {
	const struct lodge_mem_region *region;
	u32 *last;
};

extern const struct lodge_mem_region lodge_no_region;

const struct lodge_mem_region *lodge_mem_find(const struct lodge_region_set *set, gpa_t gpa,
					      u32 *last);
int lodge_mem_bring_in(unsigned long absent, u32 *attempts);

/* Somebody else's user addresses would mean somebody else's memory. */
static __always_inline bool lodge_mem_is_ours(const struct lodge_mem *mem)
{
	return current->mm == mem->mm;
}

/* The regions; the caller is in an SRCU read section. */
static __always_inline const struct lodge_region_set *region_set(struct lodge_mem *mem)
{
	return srcu_dereference(mem->regions, &mem->srcu);
}

/**
 * lodge_mem_view_begin() - hold the memory map still
 * @mem: the memory
 *
 * Context: a thread of the VM's process. Begins an SRCU section in which page
 * faults are not taken.
 * Return: the view.
 */
static __always_inline struct lodge_mem_view lodge_mem_view_begin(struct lodge_mem *mem)
	__acquires(&mem->srcu)
{
	int srcu = srcu_read_lock(&mem->srcu);

	pagefault_disable();
	return (struct lodge_mem_view) { .set = region_set(mem), .srcu = srcu };
}

/**
 * lodge_mem_view_end() - let go of the memory map
 * @mem: the memory
 * @view: the view
 */
static __always_inline void lodge_mem_view_end(struct lodge_mem *mem,
					       const struct lodge_mem_view *view)
	__releases(&mem->srcu)
{
	pagefault_enable();
	srcu_read_unlock(&mem->srcu, view->srcu);
}

/* The region with index @last, if there is still one; else an empty one. */
static __always_inline const struct lodge_mem_region *
region_guess(const struct lodge_region_set *set, u32 last)
{
	return last < set->nr ? &set->region[last] : &lodge_no_region;
}

/* A cursor where *@last says. */
static __always_inline struct lodge_mem_cursor lodge_mem_cursor(const struct lodge_mem_view *view,
								u32 *last)
{
	return (struct lodge_mem_cursor) {
		.region = region_guess(view->set, *last),
		.last = last,
	};
}

/* The user address behind @gpa, which lies in @r; none past its end, guessed or not. */
static __always_inline unsigned long region_hva(const struct lodge_mem_region *r, gpa_t gpa)
{
	return r->hva + array_index_nospec(gpa - r->gpa, r->len);
}

/*
 * Reads are made with user access open: once for many of them, and with no call
 * in between. The address needs no check each time, access_ok() was asked when
 * the region was mapped.
 */
#define lodge_mem_view_open()	__uaccess_begin_nospec()
#define lodge_mem_view_close()	__uaccess_end()

/**
 * lodge_mem_view_at() - where guest memory is in the view
 * @view: the view; begun and open
 * @cursor: where the last such read was
 * @gpa: the address
 * @hva: out: the user address, good as far as the page goes, for unsafe_get_user()
 *
 * Return: false when there is no RAM.
 */
static __always_inline bool lodge_mem_view_at(const struct lodge_mem_view *view,
					      struct lodge_mem_cursor *cursor, gpa_t gpa,
					      unsigned long *hva)
{
	const struct lodge_mem_region *r = cursor->region;

	if (unlikely(gpa - r->gpa >= r->len)) {
		lodge_mem_view_close();
		r = lodge_mem_find(view->set, gpa, cursor->last);
		lodge_mem_view_open();
		if (!r)
			return false;
		cursor->region = r;
	}
	*hva = region_hva(r, gpa);
	return true;
}

/**
 * lodge_mem_view_read() - read a word of guest memory
 * @view: the view; begun and open
 * @cursor: where the last such read was
 * @gpa: where; aligned to @size
 * @size: bytes, 4 or 8, a constant: read in one piece
 * @value: out
 *
 * Return: 0; -EIO when there is no RAM; -EAGAIN when the page is not at hand.
 */
static __always_inline int lodge_mem_view_read(struct lodge_mem_view *view,
					       struct lodge_mem_cursor *cursor, gpa_t gpa,
					       u32 size, u64 *value)
{
	unsigned long hva;

	if (!lodge_mem_view_at(view, cursor, gpa, &hva))
		return -EIO;
	if (size == 8)
		unsafe_get_user(*value, (u64 __user *)hva, absent);
	else
		unsafe_get_user(*value, (u32 __user *)hva, absent);
	return 0;

absent:
	view->absent = hva;
	return -EAGAIN;
}

#endif
