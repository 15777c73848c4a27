// SPDX-License-Identifier: GPL-2.0
/*
 * Which write signals which eventfd: what may be asked for, what stands in another's way,
 * and what matches. The eventfds are names only; nobody signals them.
 */
#include <kunit/test.h>
#include <linux/err.h>
#include <linux/mm.h>

#include "../ept/ept.h"
#include "../irq/ioeventfd.h"
#include "../irq/signals.h"
#include "suites.h"

#define PIO	LODGE_IOEVENTFD_F_PIO
#define MATCH	LODGE_IOEVENTFD_F_DATAMATCH

static struct ept_caps saved_caps;
static char names[32];

/* The eventfd of that number. */
static struct eventfd_ctx *name(u32 i)
{
	return (struct eventfd_ctx *)&names[i];
}

static void ioeventfd_checked(struct kunit *test)
{
	static const struct {
		u32 flags;
		u64 addr;
		u32 len;
		u64 match;
		int ret;
	} cases[] = {
		{ 0, 0xd0000000, 0, 0, 0 },
		{ 0, 0xd0000001, 1, 0, 0 },
		{ 0, 0xd0000001, 2, 0, 0 },
		{ 0, 0xd0000000, 8, 0, 0 },
		{ 0, 0xd0000000, 3, 0, -EINVAL },
		{ 0, 0xd0000000, 16, 0, -EINVAL },
		{ 0, 0xd0000000, U32_MAX, 0, -EINVAL },
		{ 0, 0xd0000ff8, 8, 0, 0 },
		{ 0, 0xd0000ff9, 8, 0, -EINVAL },
		{ 0, 0xd0000fff, 1, 0, 0 },
		{ 0, 0xd0000fff, 0, 0, 0 },
		{ 0, (1ull << 40) - 8, 8, 0, 0 },
		{ 0, 1ull << 40, 0, 0, -EINVAL },
		{ 0, 1ull << 62, 1, 0, -EINVAL },
		{ 0, U64_MAX, 1, 0, -EINVAL },
		{ 0, U64_MAX, 8, 0, -EINVAL },
		{ 0, LAPIC_MMIO_BASE, 4, 0, -EBUSY },
		{ 0, LAPIC_MMIO_BASE + 0xfff, 0, 0, -EBUSY },
		{ 0, LAPIC_MMIO_BASE - 1, 1, 0, 0 },
		{ 0, LAPIC_MMIO_BASE + LAPIC_MMIO_SIZE, 4, 0, 0 },
		{ 0, 0xd0000000, 4, 1, -EINVAL },
		{ MATCH, 0xd0000000, 4, 0, 0 },
		{ MATCH, 0xd0000000, 4, U32_MAX, 0 },
		{ MATCH, 0xd0000000, 4, 1ull << 32, -EINVAL },
		{ MATCH, 0xd0000000, 1, 0xff, 0 },
		{ MATCH, 0xd0000000, 1, 0x100, -EINVAL },
		{ MATCH, 0xd0000000, 8, U64_MAX, 0 },
		{ MATCH, 0xd0000000, 0, 0, -EINVAL },
		{ PIO, 0, 0, 0, 0 },
		{ PIO, 0xffff, 1, 0, 0 },
		{ PIO, 0xffff, 0, 0, 0 },
		{ PIO, 0xffff, 2, 0, -EINVAL },
		{ PIO, 0xfffd, 4, 0, -EINVAL },
		{ PIO, 0xfffc, 4, 0, 0 },
		{ PIO, 0x10000, 1, 0, -EINVAL },
		{ PIO, 0x100000000ull, 1, 0, -EINVAL },
		{ PIO, 0, 8, 0, -EINVAL },
		{ PIO, 0xffe, 4, 0, 0 },	/* ports have no pages */
		{ PIO | MATCH, 0x80, 2, 0xffff, 0 },
		{ PIO | MATCH, 0x80, 2, 0x10000, -EINVAL },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lodge_ioeventfd req = {
			.flags = cases[i].flags, .addr = cases[i].addr, .len = cases[i].len,
			.datamatch = cases[i].match,
		};

		KUNIT_EXPECT_EQ_MSG(test, ioeventfd_check(&req), cases[i].ret, "case %u", i);
		req.flags |= LODGE_IOEVENTFD_F_DEASSIGN;
		KUNIT_EXPECT_EQ_MSG(test, ioeventfd_check(&req), cases[i].ret, "case %u", i);
	}
}

/* Put in this order, which is not the addresses'; each with the eventfd of its index. */
static const struct ioeventfd members[] = {
	{ .addr = 0x1000, .len = 4 },
	{ .addr = 0x1000, .len = 2, .match = true, .data = 7 },
	{ .addr = 0x3000 },
	{ .addr = 0x0, .len = 1 },
	{ .addr = 0x1000, .len = 2, .match = true },
	{ .addr = 0x1001, .len = 4 },		/* begins elsewhere */
	{ .addr = 0x3001, .len = 8, .match = true, .data = U64_MAX },
	{ .addr = 0x1000, .len = 8 },
	{ .addr = U64_MAX },
};

#define NR_MEMBERS	ARRAY_SIZE(members)
#define NOTHING		NR_MEMBERS

static struct ioeventfd member(u32 i)
{
	struct ioeventfd e = members[i];

	e.eventfd = name(i);
	return e;
}

/* Put in @e, or take it out; frees @old when that has worked. */
static int change(struct lodge_ioeventfd_set **set, const struct ioeventfd *e, bool in)
{
	struct lodge_ioeventfd_set *old = *set, *new;

	new = in ? ioeventfd_set_with(old, e) : ioeventfd_set_without(old, e);
	if (IS_ERR(new))
		return PTR_ERR(new);
	*set = new;
	kvfree(old);
	return 0;
}

static struct lodge_ioeventfd_set *all_members(struct kunit *test)
{
	struct lodge_ioeventfd_set *set = NULL;
	struct ioeventfd e;
	u32 i;

	for (i = 0; i < NR_MEMBERS; i++) {
		e = member(i);
		KUNIT_EXPECT_EQ_MSG(test, change(&set, &e, true), 0, "member %u", i);
	}
	KUNIT_ASSERT_NOT_NULL(test, set);
	KUNIT_EXPECT_EQ(test, set->nr, NR_MEMBERS);
	return set;
}

static const struct {
	u64 addr;
	u32 len;
	u64 data;
	u32 member;
} writes[] = {
	{ 0x0, 1, 0xff, 3 },
	{ 0x0, 2, 0, NOTHING },
	{ 0x1, 1, 0, NOTHING },
	{ 0xfff, 1, 0, NOTHING },
	{ 0x1000, 1, 7, NOTHING },
	{ 0x1000, 2, 7, 1 },
	{ 0x1000, 2, 0, 4 },
	{ 0x1000, 2, 8, NOTHING },
	{ 0x1000, 4, 7, 0 },
	{ 0x1000, 4, 0xffffffff, 0 },
	{ 0x1000, 8, 7, 7 },
	{ 0x1001, 4, 0, 5 },
	{ 0x1001, 1, 0, NOTHING },
	{ 0x2fff, 2, 0, NOTHING },		/* over it, but not at it */
	{ 0x3000, 1, 1, 2 },
	{ 0x3000, 2, 2, 2 },
	{ 0x3000, 4, 3, 2 },
	{ 0x3000, 8, U64_MAX, 2 },
	{ 0x3001, 8, U64_MAX, 6 },
	{ 0x3001, 8, U64_MAX - 1, NOTHING },
	{ 0x3001, 4, 0xffffffff, NOTHING },
	{ U64_MAX, 1, 0, 8 },
	{ U64_MAX - 1, 1, 0, NOTHING },
};

/* Each write finds its member while that is in @set, else nothing. */
static void find_all(struct kunit *test, const struct lodge_ioeventfd_set *set, u32 gone)
{
	const struct ioeventfd *found;
	struct eventfd_ctx *want;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(writes); i++) {
		want = writes[i].member < gone ? name(writes[i].member) : NULL;
		found = ioeventfd_set_find(set, writes[i].addr, writes[i].len, writes[i].data);
		KUNIT_EXPECT_TRUE_MSG(test, (found ? found->eventfd : NULL) == want,
				      "write %u, %u members", i, gone);
	}
}

static void ioeventfd_found(struct kunit *test)
{
	struct lodge_ioeventfd_set *set = all_members(test);
	struct ioeventfd e;
	u32 i;

	for (i = NR_MEMBERS; i--;) {
		find_all(test, set, i + 1);
		e = member(i);
		KUNIT_EXPECT_EQ_MSG(test, change(&set, &e, false), 0, "member %u", i);
	}
	KUNIT_EXPECT_NULL(test, set);
	KUNIT_EXPECT_EQ(test, change(&set, &e, false), -ENOENT);
}

static void ioeventfd_overlapping(struct kunit *test)
{
	static const struct {
		struct ioeventfd e;
		int ret;
	} cases[] = {
		{ { .addr = 0x1000, .len = 4 }, -EBUSY },
		{ { .addr = 0x1000 }, -EBUSY },
		{ { .addr = 0x1000, .len = 4, .match = true, .data = 1 }, -EBUSY },
		{ { .addr = 0x1000, .len = 2 }, -EBUSY },
		{ { .addr = 0x1000, .len = 2, .match = true, .data = 7 }, -EBUSY },
		{ { .addr = 0x1000, .len = 2, .match = true }, -EBUSY },
		{ { .addr = 0x1000, .len = 2, .match = true, .data = 8 }, 0 },
		{ { .addr = 0x1000, .len = 1 }, 0 },
		{ { .addr = 0x1002, .len = 2 }, 0 },
		{ { .addr = 0x3000, .len = 8 }, -EBUSY },
		{ { .addr = 0x3000, .len = 1, .match = true, .data = 1 }, -EBUSY },
		{ { .addr = 0x3001 }, -EBUSY },
		{ { .addr = 0x3001, .len = 4 }, 0 },
		{ { .addr = U64_MAX, .len = 1 }, -EBUSY },
	};
	struct lodge_ioeventfd_set *set = all_members(test);
	struct ioeventfd e;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		e = cases[i].e;
		e.eventfd = name(NR_MEMBERS);
		KUNIT_EXPECT_EQ_MSG(test, change(&set, &e, true), cases[i].ret, "case %u", i);
		if (!cases[i].ret)
			KUNIT_EXPECT_EQ(test, change(&set, &e, false), 0);
		find_all(test, set, NR_MEMBERS);
	}
	kvfree(set);
}

/* Only the very same one is taken out. */
static void ioeventfd_not_there(struct kunit *test)
{
	struct lodge_ioeventfd_set *set = all_members(test);
	struct ioeventfd e[5];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(e); i++)
		e[i] = member(1);
	e[0].addr++;
	e[1].len = 0;
	e[2].match = false;
	e[3].data++;
	e[4].eventfd = name(0);
	for (i = 0; i < ARRAY_SIZE(e); i++)
		KUNIT_EXPECT_EQ_MSG(test, change(&set, &e[i], false), -ENOENT, "case %u", i);
	find_all(test, set, NR_MEMBERS);
	kvfree(set);
}

static void ioeventfd_full(struct kunit *test)
{
	struct lodge_ioeventfd_set *set = NULL;
	struct ioeventfd e = { .len = 1 };
	u32 i;

	for (i = 0; i < LODGE_MAX_IOEVENTFDS; i++) {
		e.addr = i * 7919 % 0x10000;
		KUNIT_ASSERT_EQ(test, change(&set, &e, true), 0);
	}
	for (i = 1; i < set->nr; i++)
		KUNIT_EXPECT_LT(test, set->e[i - 1].addr, set->e[i].addr);
	KUNIT_EXPECT_EQ(test, change(&set, &e, true), -EBUSY);
	e.addr++;
	KUNIT_EXPECT_EQ(test, change(&set, &e, true), -ENOSPC);
	e.addr--;
	KUNIT_EXPECT_EQ(test, change(&set, &e, false), 0);
	e.addr++;
	KUNIT_EXPECT_EQ(test, change(&set, &e, true), 0);
	kvfree(set);
}

static struct kunit_case ioeventfd_cases[] = {
	KUNIT_CASE(ioeventfd_checked),
	KUNIT_CASE(ioeventfd_found),
	KUNIT_CASE(ioeventfd_overlapping),
	KUNIT_CASE(ioeventfd_not_there),
	KUNIT_CASE(ioeventfd_full),
	{}
};

static int ioeventfd_suite_init(struct kunit_suite *suite)
{
	saved_caps = ept_caps;
	ept_caps.gpa_bits = 40;
	return 0;
}

static void ioeventfd_suite_exit(struct kunit_suite *suite)
{
	ept_caps = saved_caps;
}

struct kunit_suite lodge_ioeventfd_suite = {
	.name = "lodge_ioeventfd",
	.suite_init = ioeventfd_suite_init,
	.suite_exit = ioeventfd_suite_exit,
	.test_cases = ioeventfd_cases,
};
