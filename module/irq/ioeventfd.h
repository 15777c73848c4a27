/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sets of writes that signal an eventfd, as values: what is in one, and which write is
 * which. Who holds the eventfds and who sees which set is ioeventfd.c's business.
 */
#ifndef LODGE_IOEVENTFD_H
#define LODGE_IOEVENTFD_H

#include <linux/lodge.h>
#include <linux/types.h>

struct eventfd_ctx;

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

int ioeventfd_check(const struct lodge_ioeventfd *req);
struct lodge_ioeventfd_set *ioeventfd_set_with(const struct lodge_ioeventfd_set *old,
					       const struct ioeventfd *e);
struct lodge_ioeventfd_set *ioeventfd_set_without(const struct lodge_ioeventfd_set *old,
						  const struct ioeventfd *e);
const struct ioeventfd *ioeventfd_set_find(const struct lodge_ioeventfd_set *set, u64 addr,
					   u32 len, u64 data);

#endif
