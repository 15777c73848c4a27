// SPDX-License-Identifier: GPL-2.0
/*
 * Writes of the guest that signal an eventfd: a driver rings its device's bell, and goes
 * on at once. One set for ports and one for addresses, sorted, replaced whole.
 */
#include <linux/errno.h>
#include <linux/eventfd.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "../compat.h"
#include "../lodge.h"
#include "signals.h"

#define NR_PORTS	0x10000ull
#define PORT_WIDTH	4	/* of the widest OUT */

/**
 * struct ioeventfd - a write that signals
 * @addr: where it begins
 * @len: its bytes; 0: any
 * @match: only if it is of @data
 * @data: see there
 * @eventfd: what it signals
 */
struct ioeventfd {
	u64 addr;
	u32 len;
	bool match;
	u64 data;
	struct eventfd_ctx *eventfd;
};

/**
 * struct lodge_ioeventfd_set - the writes of a space; constant once published
 * @nr: how many, not 0
 * @e: by address; no write matches two
 */
struct lodge_ioeventfd_set {
	u32 nr;
	struct ioeventfd e[];
};

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

static struct eventfd_ctx *find_match(const struct lodge_ioeventfd_set *set, u64 addr, u32 len,
				      u64 data)
{
	const struct ioeventfd *e = &set->e[first_at(set, addr)];

	for (; e < &set->e[set->nr] && e->addr == addr; e++)
		if ((!e->len || e->len == len) && (!e->match || e->data == data))
			return e->eventfd;
	return NULL;
}

/**
 * lodge_ioeventfd_signal() - the guest writes somewhere
 * @signals: the VM's
 * @space: where to
 * @addr: the address or port
 * @len: bytes
 * @data: what it writes, no more than @len bytes
 *
 * Context: as the run loop; does not sleep.
 * Return: true when the write has signalled, and is done.
 */
bool lodge_ioeventfd_signal(struct lodge_signals *signals, enum lodge_space space, u64 addr,
			    u32 len, u64 data)
{
	const struct lodge_ioeventfd_set *set;
	struct eventfd_ctx *eventfd = NULL;
	int srcu;

	srcu = srcu_read_lock(&lodge_signals_srcu);
	set = srcu_dereference(signals->ioeventfds[space], &lodge_signals_srcu);
	if (set)
		eventfd = find_match(set, addr, len, data);
	if (eventfd)
		lodge_eventfd_signal(eventfd);
	srcu_read_unlock(&lodge_signals_srcu, srcu);
	return eventfd;
}

/* --------------------------------------------------------------------- the calls */

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

/* Is there such a write? Return: 0, -EINVAL, -EBUSY. */
static int check(const struct lodge_ioeventfd *req)
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

/* Holds the eventfd, unless an error is returned. */
static int take(const struct lodge_ioeventfd *req, struct ioeventfd *e)
{
	int ret = check(req);

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

static struct lodge_ioeventfd_set *make_set(u32 nr)
{
	struct lodge_ioeventfd_set *set;

	set = kvmalloc(struct_size(set, e, nr), GFP_KERNEL_ACCOUNT);
	if (set)
		set->nr = nr;
	return set;
}

/* What is in force; locked. */
static struct lodge_ioeventfd_set *current_set(struct lodge_signals *signals,
					       enum lodge_space space)
{
	return rcu_dereference_protected(signals->ioeventfds[space],
					 lockdep_is_held(&signals->lock));
}

/* Locked. */
static void replace(struct lodge_signals *signals, enum lodge_space space,
		    struct lodge_ioeventfd_set *set)
{
	struct lodge_ioeventfd_set *old = current_set(signals, space);

	rcu_assign_pointer(signals->ioeventfds[space], set);
	synchronize_srcu_expedited(&lodge_signals_srcu);
	kvfree(old);
}

static int add(struct lodge_signals *signals, enum lodge_space space, const struct ioeventfd *e)
{
	const struct lodge_ioeventfd_set *old = current_set(signals, space);
	u32 i, at = old ? first_at(old, e->addr) : 0, nr = old ? old->nr : 0;
	struct lodge_ioeventfd_set *set;

	for (i = at; i < nr && old->e[i].addr == e->addr; i++)
		if (overlap(&old->e[i], e))
			return -EBUSY;
	if (nr >= LODGE_MAX_IOEVENTFDS)
		return -ENOSPC;
	set = make_set(nr + 1);
	if (!set)
		return -ENOMEM;
	if (old) {
		memcpy(set->e, old->e, flex_array_size(set, e, at));
		memcpy(&set->e[at + 1], &old->e[at], flex_array_size(set, e, nr - at));
	}
	set->e[at] = *e;
	replace(signals, space, set);
	return 0;
}

static int take_off(struct lodge_signals *signals, enum lodge_space space,
		    const struct ioeventfd *e)
{
	const struct lodge_ioeventfd_set *old = current_set(signals, space);
	u32 at = old ? first_at(old, e->addr) : 0, nr = old ? old->nr : 0;
	struct lodge_ioeventfd_set *set = NULL;
	struct eventfd_ctx *eventfd;

	while (at < nr && !same(&old->e[at], e))
		at++;
	if (at == nr)
		return -ENOENT;
	if (nr > 1) {
		set = make_set(nr - 1);
		if (!set)
			return -ENOMEM;
		memcpy(set->e, old->e, flex_array_size(set, e, at));
		memcpy(&set->e[at], &old->e[at + 1], flex_array_size(set, e, nr - at - 1));
	}
	eventfd = old->e[at].eventfd;
	replace(signals, space, set);
	eventfd_ctx_put(eventfd);
	return 0;
}

static enum lodge_space space_of(const struct lodge_ioeventfd *req)
{
	return req->flags & LODGE_IOEVENTFD_F_PIO ? LODGE_SPACE_PIO : LODGE_SPACE_MMIO;
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
	ret = -EINTR;
	if (!mutex_lock_killable(&signals->lock)) {
		ret = add(signals, space_of(req), &e);
		mutex_unlock(&signals->lock);
	}
	if (ret)
		eventfd_ctx_put(e.eventfd);
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
	ret = -EINTR;
	if (!mutex_lock_killable(&signals->lock)) {
		ret = take_off(signals, space_of(req), &e);
		mutex_unlock(&signals->lock);
	}
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
