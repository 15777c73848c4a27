// SPDX-License-Identifier: GPL-2.0
/*
 * Writes of the guest that signal an eventfd: a driver rings its device's bell, and goes
 * on at once. One set for ports and one for addresses, sorted, replaced whole.
 */
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/eventfd.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "../compat.h"
#include "../lodge.h"
#include "ioeventfd.h"
#include "signals.h"

DEFINE_STATIC_KEY_FALSE(lodge_ioeventfd_key);

#define NR_PORTS	0x10000ull
#define PORT_WIDTH	4	/* of the widest OUT */

/* ------------------------------------------------------------------ the hot path */

/* Where those at @addr, or behind it, begin. */
static u32 first_at(const struct lodge_ioeventfd_set *set, u64 addr)
{
	u32 low = 0, high = set->nr;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (set->e[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/**
 * ioeventfd_set_find() - what a write signals
 * @set: of the space it goes to
 * @addr: where it begins
 * @len: bytes; 0: unknown, so that it has to be one for which they do not matter
 * @data: what is written, no more than @len bytes
 *
 * Context: any; @set does not go meanwhile.
 * Return: what stands for it, or NULL: nothing.
 */
const struct ioeventfd *ioeventfd_set_find(const struct lodge_ioeventfd_set *set, u64 addr,
					   u32 len, u64 data)
{
	const struct ioeventfd *e = &set->e[first_at(set, addr)];

	for (; e < &set->e[set->nr] && e->addr == addr; e++)
		if ((!e->len || e->len == len) && (!e->match || e->data == data))
			return e;
	return NULL;
}

/**
 * lodge_ioeventfd_signal() - the guest writes somewhere
 * @signals: the VM's
 * @space: where to
 * @addr: the address or port
 * @len: bytes; 0: unknown
 * @data: what it writes, no more than @len bytes
 *
 * Context: any but, on PREEMPT_RT, with interrupts off; does not sleep. Takes the lock of
 * the eventfd's queue.
 */
enum lodge_signalled lodge_ioeventfd_signal(struct lodge_signals *signals,
					    enum lodge_space space, u64 addr, u32 len, u64 data)
{
	enum lodge_signalled ret = LODGE_SIGNALLED_NOBODY;
	const struct lodge_ioeventfd_set *set;
	const struct ioeventfd *e = NULL;
	int srcu;

	srcu = srcu_read_lock(&lodge_signals_srcu);
	set = srcu_dereference(signals->ioeventfds[space], &lodge_signals_srcu);
	if (set)
		e = ioeventfd_set_find(set, addr, len, data);
	if (e) {
		ret = e->len ? LODGE_SIGNALLED : LODGE_SIGNALLED_ANY;
		lodge_eventfd_signal(e->eventfd);
	}
	srcu_read_unlock(&lodge_signals_srcu, srcu);
	return ret;
}

/* ------------------------------------------------------------------------- sets */

static bool overlap(const struct ioeventfd *a, const struct ioeventfd *b)
{
	return a->addr == b->addr && (!a->len || !b->len || a->len == b->len) &&
	       (!a->match || !b->match || a->data == b->data);
}

static bool same(const struct ioeventfd *a, const struct ioeventfd *b)
{
	return a->addr == b->addr && a->len == b->len && a->match == b->match &&
	       a->data == b->data && a->eventfd == b->eventfd;
}

static bool value_fits(u64 value, u32 len)
{
	return len && (len == sizeof(value) || !(value >> (len * BITS_PER_BYTE)));
}

/**
 * ioeventfd_check() - is there such a write?
 * @req: from user space; the flags are known
 *
 * Return: 0, -EINVAL, -EBUSY: it would meet the local APIC.
 */
int ioeventfd_check(const struct lodge_ioeventfd *req)
{
	bool pio = req->flags & LODGE_IOEVENTFD_F_PIO;
	bool match = req->flags & LODGE_IOEVENTFD_F_DATAMATCH;
	u64 end = pio ? NR_PORTS : 1ull << ept_caps.gpa_bits;
	u32 len = req->len ?: 1;

	if (!is_power_of_2(len) || len > (pio ? PORT_WIDTH : sizeof(u64)))
		return -EINVAL;
	if (match ? !value_fits(req->datamatch, req->len) : !!req->datamatch)
		return -EINVAL;
	if (req->addr >= end || len > end - req->addr)
		return -EINVAL;
	if (pio)
		return 0;
	/* What crosses a page is never decoded. */
	if (offset_in_page(req->addr) + len > PAGE_SIZE)
		return -EINVAL;
	return (req->addr & PAGE_MASK) == LAPIC_MMIO_BASE ? -EBUSY : 0;
}

static struct lodge_ioeventfd_set *make_set(u32 nr)
{
	struct lodge_ioeventfd_set *set;

	set = kvmalloc(struct_size(set, e, nr), GFP_KERNEL_ACCOUNT);
	if (set)
		set->nr = nr;
	return set;
}

/**
 * ioeventfd_set_with() - a set and one more write
 * @old: the set, or NULL: nothing in it
 * @e: the write
 *
 * Context: may sleep.
 * Return: the new set; -EBUSY when there is a write that would match both, -ENOSPC,
 * -ENOMEM.
 */
struct lodge_ioeventfd_set *ioeventfd_set_with(const struct lodge_ioeventfd_set *old,
					       const struct ioeventfd *e)
{
	u32 i, at = old ? first_at(old, e->addr) : 0, nr = old ? old->nr : 0;
	struct lodge_ioeventfd_set *set;

	for (i = at; i < nr && old->e[i].addr == e->addr; i++)
		if (overlap(&old->e[i], e))
			return ERR_PTR(-EBUSY);
	if (nr >= LODGE_MAX_IOEVENTFDS)
		return ERR_PTR(-ENOSPC);
	set = make_set(nr + 1);
	if (!set)
		return ERR_PTR(-ENOMEM);
	if (old) {
		memcpy(set->e, old->e, flex_array_size(set, e, at));
		memcpy(&set->e[at + 1], &old->e[at], flex_array_size(set, e, nr - at));
	}
	set->e[at] = *e;
	return set;
}

/**
 * ioeventfd_set_without() - a set less one write
 * @old: the set, or NULL: nothing in it
 * @e: the write
 *
 * Context: may sleep.
 * Return: the new set, NULL: nothing in it; -ENOENT when @e is not in @old, -ENOMEM.
 */
struct lodge_ioeventfd_set *ioeventfd_set_without(const struct lodge_ioeventfd_set *old,
						  const struct ioeventfd *e)
{
	u32 at = old ? first_at(old, e->addr) : 0, nr = old ? old->nr : 0;
	struct lodge_ioeventfd_set *set;

	while (at < nr && !same(&old->e[at], e))
		at++;
	if (at == nr)
		return ERR_PTR(-ENOENT);
	if (nr == 1)
		return NULL;
	set = make_set(nr - 1);
	if (!set)
		return ERR_PTR(-ENOMEM);
	memcpy(set->e, old->e, flex_array_size(set, e, at));
	memcpy(&set->e[at], &old->e[at + 1], flex_array_size(set, e, nr - at - 1));
	return set;
}

/* --------------------------------------------------------------------- the calls */

/* Holds the eventfd, unless an error is returned. */
static int take(const struct lodge_ioeventfd *req, struct ioeventfd *e)
{
	int ret = ioeventfd_check(req);

	if (ret)
		return ret;
	*e = (struct ioeventfd) {
		.addr = req->addr,
		.len = req->len,
		.match = req->flags & LODGE_IOEVENTFD_F_DATAMATCH,
		.data = req->datamatch,
		.eventfd = eventfd_ctx_fdget(req->fd),
	};
	return PTR_ERR_OR_ZERO(e->eventfd);
}

/* What is in force; locked. */
static struct lodge_ioeventfd_set *current_set(struct lodge_signals *signals,
					       enum lodge_space space)
{
	return rcu_dereference_protected(signals->ioeventfds[space],
					 lockdep_is_held(&signals->lock));
}

/* Publish what ioeventfd_set_with() or _without() gave, if it is a set; locked. */
static int replace(struct lodge_signals *signals, enum lodge_space space,
		   struct lodge_ioeventfd_set *set)
{
	struct lodge_ioeventfd_set *old = current_set(signals, space);

	if (IS_ERR(set))
		return PTR_ERR(set);
	rcu_assign_pointer(signals->ioeventfds[space], set);
	synchronize_srcu_expedited(&lodge_signals_srcu);
	kvfree(old);
	return 0;
}

/* Replace the set that @req names by what @make makes of it and @e. */
static int change(struct lodge_signals *signals, const struct lodge_ioeventfd *req,
		  const struct ioeventfd *e,
		  struct lodge_ioeventfd_set *(*make)(const struct lodge_ioeventfd_set *old,
						      const struct ioeventfd *e))
{
	enum lodge_space space = req->flags & LODGE_IOEVENTFD_F_PIO ? LODGE_SPACE_PIO :
								      LODGE_SPACE_MMIO;
	int ret;

	if (mutex_lock_killable(&signals->lock))
		return -EINTR;
	ret = replace(signals, space, make(current_set(signals, space), e));
	mutex_unlock(&signals->lock);
	return ret;
}

/**
 * lodge_ioeventfd_assign() - let a guest's write signal an eventfd
 * @signals: the VM's
 * @req: from user space; the flags are known
 *
 * Context: may sleep.
 * Return: 0, -EINVAL, -EBADF, -EBUSY, -ENOSPC, -ENOMEM, -EINTR when the caller is being
 * killed.
 */
int lodge_ioeventfd_assign(struct lodge_signals *signals, const struct lodge_ioeventfd *req)
{
	struct ioeventfd e;
	int ret = take(req, &e);

	if (ret)
		return ret;
	ret = change(signals, req, &e, ioeventfd_set_with);
	if (ret)
		eventfd_ctx_put(e.eventfd);
	else if (!static_branch_likely(&lodge_ioeventfd_key))
		static_branch_enable(&lodge_ioeventfd_key);
	return ret;
}

/**
 * lodge_ioeventfd_deassign() - a guest's write signals an eventfd no more
 * @signals: the VM's
 * @req: from user space; the flags are known
 *
 * When it returns, nothing is signalled because of it any more.
 *
 * Context: may sleep.
 * Return: 0, -EINVAL, -EBADF, -EBUSY (where none can be), -ENOENT, -ENOMEM, -EINTR when
 * the caller is being killed.
 */
int lodge_ioeventfd_deassign(struct lodge_signals *signals, const struct lodge_ioeventfd *req)
{
	struct ioeventfd e;
	int ret = take(req, &e);

	if (ret)
		return ret;
	ret = change(signals, req, &e, ioeventfd_set_without);
	if (!ret)
		eventfd_ctx_put(e.eventfd);	/* the set's */
	eventfd_ctx_put(e.eventfd);
	return ret;
}

/**
 * lodge_ioeventfd_destroy_all() - free a VM's ioeventfds
 * @signals: the VM's; no call and no vCPU can find it any more
 */
void lodge_ioeventfd_destroy_all(struct lodge_signals *signals)
{
	struct lodge_ioeventfd_set *set;
	u32 space, i;

	for (space = 0; space < LODGE_NR_SPACES; space++) {
		set = rcu_dereference_protected(signals->ioeventfds[space], true);
		for (i = 0; set && i < set->nr; i++)
			eventfd_ctx_put(set->e[i].eventfd);
		kvfree(set);
	}
}
