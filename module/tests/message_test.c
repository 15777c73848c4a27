// SPDX-License-Identifier: GPL-2.0
/*
 * Messages between APICs and from devices against the SDM: who is addressed, what comes
 * of it, and the routes by which a device's message is known.
 */
#include "lapic_vcpus.h"
#include "suites.h"

static void lapic_destinations(struct kunit *test)
{
	static const struct {
		bool x2apic;
		u32 dfr;
		u32 ldr[NR_VCPUS];	/* bits 31:24, xAPIC only */
		bool logical;
		u32 dest;
		u32 want;		/* mask by index */
	} cases[] = {
		/* physical */
		{ false, 15, { 1, 2, 4, 8 }, false, 0, 0x1 },
		{ false, 15, { 1, 2, 4, 8 }, false, 2, 0x4 },
		{ false, 15, { 1, 2, 4, 8 }, false, 17, 0x8 },
		{ false, 15, { 1, 2, 4, 8 }, false, 3, 0x0 },
		{ false, 15, { 1, 2, 4, 8 }, false, 200, 0x0 },
		{ false, 15, { 1, 2, 4, 8 }, false, 0xff, 0xf },
		{ true, 0, { 0 }, false, 17, 0x8 },
		{ true, 0, { 0 }, false, 0xff, 0x0 },
		{ true, 0, { 0 }, false, 0x10001, 0x0 },
		{ true, 0, { 0 }, false, U32_MAX, 0xf },
		/* logical, flat */
		{ false, 15, { 1, 2, 4, 8 }, true, 0x01, 0x1 },
		{ false, 15, { 1, 2, 4, 8 }, true, 0x0a, 0xa },
		{ false, 15, { 1, 2, 4, 8 }, true, 0xf0, 0x0 },
		{ false, 15, { 1, 2, 4, 8 }, true, 0x00, 0x0 },
		{ false, 15, { 0x80, 0x81, 4, 0 }, true, 0x80, 0x3 },
		{ false, 15, { 1, 2, 4, 0 }, true, 0xff, 0xf },
		/* logical, cluster */
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x11, 0x1 },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x13, 0x3 },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x2f, 0xc },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x31, 0x0 },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0x10, 0x0 },
		{ false, 0, { 0x11, 0x12, 0x21, 0x28 }, true, 0xff, 0xf },
		/* a model that does not exist */
		{ false, 3, { 1, 2, 4, 8 }, true, 0x01, 0x0 },
		/* logical, x2APIC: ids 0, 1, 2 are cluster 0, 17 is cluster 1 */
		{ true, 0, { 0 }, true, 0x00000001, 0x1 },
		{ true, 0, { 0 }, true, 0x00000007, 0x7 },
		{ true, 0, { 0 }, true, 0x00000008, 0x0 },
		{ true, 0, { 0 }, true, 0x00010002, 0x8 },
		{ true, 0, { 0 }, true, 0x00010001, 0x0 },
		{ true, 0, { 0 }, true, 0x000000ff, 0x7 },
		{ true, 0, { 0 }, true, U32_MAX, 0xf },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lapic_message msg = {
			.dest = cases[i].dest,
			.vector = 0x40,
			.logical = cases[i].logical,
			.x2apic = cases[i].x2apic,
		};

		restart(f, cases[i].x2apic);
		for (j = 0; j < NR_VCPUS && !cases[i].x2apic; j++) {
			wr(f->vcpu[j], APIC_DFR, cases[i].dfr << 28);
			wr(f->vcpu[j], APIC_LDR, cases[i].ldr[j] << 24);
		}
		KUNIT_EXPECT_EQ_MSG(test, lapic_send(f->vm, NULL, &msg), hweight32(cases[i].want),
				    "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, 0x40, LODGE_REQ_IRQ), cases[i].want,
				    "case %u", i);
	}
}

/* What vCPU 1 sends through its ICR, in both modes. */
static void lapic_icr(struct kunit *test)
{
	static const struct {
		u32 low;
		u32 dest;
		u32 want;
		enum lodge_request req;
	} cases[] = {
		{ 0x40, 2, 0x4, LODGE_REQ_IRQ },
		{ 0x40, 1, 0x2, LODGE_REQ_IRQ },
		{ APIC_INT_ASSERT | 0x40, 0, 0x1, LODGE_REQ_IRQ },
		{ APIC_INT_LEVELTRIG | APIC_INT_ASSERT | 0x40, 0, 0x1, LODGE_REQ_IRQ },
		{ APIC_DEST_SELF | 0x40, 2, 0x2, LODGE_REQ_IRQ },
		{ APIC_DEST_ALLINC | 0x40, 2, 0xf, LODGE_REQ_IRQ },
		{ APIC_DEST_ALLBUT | 0x40, 2, 0xd, LODGE_REQ_IRQ },
		{ APIC_DEST_ALLBUT | APIC_DEST_LOGICAL | 0x40, 0, 0xd, LODGE_REQ_IRQ },
		{ APIC_DM_NMI, 17, 0x8, LODGE_REQ_NMI },
		{ APIC_DM_NMI, 1, 0x2, LODGE_REQ_NMI },
		{ APIC_DEST_ALLBUT | APIC_DM_NMI, 0, 0xd, LODGE_REQ_NMI },
		{ APIC_DEST_ALLINC | APIC_DM_NMI, 0, 0x0, LODGE_REQ_NMI },
		{ APIC_DEST_SELF | APIC_DM_NMI, 0, 0x0, LODGE_REQ_NMI },
		{ APIC_DM_INIT | APIC_INT_LEVELTRIG | APIC_INT_ASSERT, 2, 0x4, LODGE_REQ_INIT },
		{ APIC_DM_INIT | APIC_INT_ASSERT, 2, 0x4, LODGE_REQ_INIT },
		{ APIC_DM_INIT | APIC_INT_LEVELTRIG, 2, 0x0, LODGE_REQ_INIT },
		{ APIC_DEST_ALLBUT | APIC_DM_INIT | APIC_INT_ASSERT, 0, 0xd, LODGE_REQ_INIT },
		{ APIC_DM_STARTUP | 0x40, 2, 0x4, LODGE_REQ_SIPI },
		{ APIC_DEST_ALLBUT | APIC_DM_STARTUP | 0x40, 2, 0xd, LODGE_REQ_SIPI },
		{ APIC_DM_SMI, 2, 0x0, LODGE_REQ_IRQ },
		{ APIC_DM_EXTINT | 0x40, 2, 0x0, LODGE_REQ_IRQ },
		{ APIC_DM_REMRD | 0x40, 2, 0x0, LODGE_REQ_IRQ },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, round;

	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		struct lodge_vcpu *source = f->vcpu[1];
		u32 others = 0;

		restart(f, i & 1);
		if (i & 1) {
			wr(source, APIC_ICR, (u64)c->dest << 32 | c->low);
			KUNIT_EXPECT_EQ(test, rd(source, APIC_ICR), (u64)c->dest << 32 | c->low);
		} else {
			wr(source, APIC_ICR2, c->dest << 24);
			wr(source, APIC_ICR, c->low);
			KUNIT_EXPECT_EQ(test, rd(source, APIC_ICR), c->low);
		}
		KUNIT_EXPECT_EQ_MSG(test, reached(f, 0x40, c->req), c->want, "case %u", i);
		for (round = LODGE_REQ_IRQ; round <= LODGE_REQ_SIPI; round++)
			others |= reached(f, 0x40, round);
		KUNIT_EXPECT_EQ_MSG(test, others, c->want, "case %u", i);
		if (c->req == LODGE_REQ_SIPI)
			KUNIT_EXPECT_EQ(test, f->vcpu[2]->sipi_vector, 0x40);
		if (c->req == LODGE_REQ_NMI)
			KUNIT_EXPECT_EQ(test, atomic_read(&f->vcpu[3]->nmis_sent), !!(c->want & 8));
		/* IPIs are edge triggered, whatever they say. */
		KUNIT_EXPECT_FALSE(test, lapic_vector_test(&f->vcpu[0]->lapic, APIC_TMR, 0x40));
	}

	restart(f, true);
	KUNIT_EXPECT_EQ(test, wr(f->vcpu[1], APIC_SELF_IPI, 0x77), 0);
	KUNIT_EXPECT_EQ(test, reached(f, 0x77, LODGE_REQ_IRQ), 0x2);
}

static void lapic_lowest_priority(struct kunit *test)
{
	static const struct {
		u8 tpr[NR_VCPUS];
		u32 off;		/* disabled by software, mask by index */
		u8 vector;
		u32 dest;		/* logical, flat: bit by index */
		u32 want;
	} cases[] = {
		{ { 0x40, 0x30, 0x20, 0x50 }, 0, 0x60, 0xff, 0x4 },
		{ { 0x40, 0x30, 0x20, 0x50 }, 0, 0x61, 0x0b, 0x2 },
		{ { 0x40, 0x30, 0x20, 0x50 }, 0, 0x61, 0x08, 0x8 },
		{ { 0x40, 0x30, 0x20, 0x50 }, 0x4, 0x61, 0xff, 0x2 },
		{ { 0x40, 0x30, 0x20, 0x50 }, 0xf, 0x61, 0xff, 0x0 },
		/* equals share by vector */
		{ { 0, 0, 0, 0 }, 0, 0x60, 0xff, 0x1 },
		{ { 0, 0, 0, 0 }, 0, 0x61, 0xff, 0x2 },
		{ { 0, 0, 0, 0 }, 0, 0x62, 0xff, 0x4 },
		{ { 0, 0, 0, 0 }, 0, 0x63, 0xff, 0x8 },
		{ { 0x10, 0, 0x10, 0 }, 0, 0x61, 0xff, 0x8 },
		{ { 0x10, 0, 0x10, 0 }, 0, 0x62, 0xff, 0x2 },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 address = 0xfee00000 | cases[i].dest << 12 | BIT(2);

		restart(f, false);
		for (j = 0; j < NR_VCPUS; j++) {
			wr(f->vcpu[j], APIC_LDR, BIT(j) << 24);
			wr(f->vcpu[j], APIC_TASKPRI, cases[i].tpr[j]);
			if (cases[i].off & BIT(j))
				wr(f->vcpu[j], APIC_SPIV, 0xff);
		}
		KUNIT_EXPECT_EQ(test, lapic_send_msi(f->vm, address,
						     APIC_DM_LOWEST | cases[i].vector),
				!!cases[i].want);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, cases[i].vector, LODGE_REQ_IRQ),
				    cases[i].want, "case %u", i);

		/* With the redirection hint a fixed message does the same. */
		if (!cases[i].want)
			continue;
		lapic_accept(f->vcpu[__ffs(cases[i].want)], cases[i].vector);
		wr(f->vcpu[__ffs(cases[i].want)], APIC_EOI, 0);
		lapic_send_msi(f->vm, address | BIT(3), cases[i].vector);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, cases[i].vector, LODGE_REQ_IRQ),
				    cases[i].want, "case %u, hint", i);
	}
}

static void lapic_msi(struct kunit *test)
{
	static const struct {
		u64 address;
		u32 data;
		int taken;
		u32 want;
		enum lodge_request req;
	} cases[] = {
		{ 0xfee00000, 0x40, 1, 0x1, LODGE_REQ_IRQ },
		{ 0xfee02000, 0x40, 1, 0x4, LODGE_REQ_IRQ },
		{ 0xfee02008, 0x40, 1, 0x4, LODGE_REQ_IRQ },
		{ 0xfee11000, 0x40, 1, 0x8, LODGE_REQ_IRQ },
		{ 0xfee03000, 0x40, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfeeff000, 0x40, 4, 0xf, LODGE_REQ_IRQ },
		{ 0xfee06004, 0x40, 2, 0x6, LODGE_REQ_IRQ },
		{ 0xfee02000, 0xc040, 1, 0x4, LODGE_REQ_IRQ },
		{ 0xfee02000, 0x8040, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfee02000, 0xffff0040, 1, 0x4, LODGE_REQ_IRQ },
		{ 0xfee02000, APIC_DM_NMI, 1, 0x4, LODGE_REQ_NMI },
		{ 0xfee02000, APIC_DM_INIT, 1, 0x4, LODGE_REQ_INIT },
		{ 0xfee02000, APIC_DM_STARTUP | 0x40, 0, 0x0, LODGE_REQ_SIPI },
		{ 0xfee02000, APIC_DM_SMI, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfee02000, APIC_DM_EXTINT | 0x40, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfee02000, 0x0f, 0, 0x0, LODGE_REQ_IRQ },
		{ 0xfed02000, 0x40, -EINVAL, 0x0, LODGE_REQ_IRQ },
		{ 0xfef00000, 0x40, -EINVAL, 0x0, LODGE_REQ_IRQ },
		{ 0x1fee00000, 0x40, -EINVAL, 0x0, LODGE_REQ_IRQ },
		{ 0, 0x40, -EINVAL, 0x0, LODGE_REQ_IRQ },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		restart(f, false);
		for (j = 0; j < NR_VCPUS; j++)
			wr(f->vcpu[j], APIC_LDR, BIT(j) << 24);
		KUNIT_EXPECT_EQ_MSG(test, lapic_send_msi(f->vm, cases[i].address, cases[i].data),
				    cases[i].taken, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, 0x40, cases[i].req), cases[i].want,
				    "case %u", i);
	}

	/* A vector that already waits is taken, and asks for nothing new. */
	restart(f, false);
	lapic_send_msi(f->vm, 0xfee02000, 0x40);
	f->vcpu[2]->requests = 0;
	KUNIT_EXPECT_EQ(test, lapic_send_msi(f->vm, 0xfee02000, 0x40), 1);
	KUNIT_EXPECT_EQ(test, f->vcpu[2]->requests, 0);
}

/* ------------------------------------------------------------------- routes */

#define ROUTE(n, a, d)	{ .id = (n), .address = (a), .data = (d) }

static void routes_refused(struct kunit *test)
{
	static const struct lodge_route cases[] = {
		ROUTE(LODGE_MAX_ROUTES, 0xfee00000, 0x40),
		ROUTE(U32_MAX, 0xfee00000, 0x40),
		ROUTE(1, 0xfee00000, 0x40),	/* there is a 1 already */
		ROUTE(2, 0xfed00000, 0x40),
		ROUTE(2, 0x1fee00000, 0x40),
		ROUTE(2, 0xfee00000, 0x0f),
		ROUTE(2, 0xfee00000, 0),
		ROUTE(2, 0xfee00000, APIC_DM_LOWEST | 0x0f),
		ROUTE(2, 0xfee00000, APIC_DM_SMI),
		ROUTE(2, 0xfee00000, 0x340),	/* a reserved mode */
		ROUTE(2, 0xfee00000, APIC_DM_STARTUP | 0x40),
		ROUTE(2, 0xfee00000, APIC_DM_EXTINT | 0x40),
		ROUTE(2, 0xfee00000, 0x8040),	/* a level goes down */
		{ .id = 2, .address = 0xfee00000, .data = 0x40, .flags = 1 },
		{ .id = 2, .address = 0xfee00000, .data = 0x40, .reserved = 1 },
	};
	struct lodge_route routes[3] = { ROUTE(1, 0xfee01000, 0x40), {},
					 ROUTE(3, 0xfee01000, 0x42) };
	struct lapic_fixture *f = test->priv;
	u32 i, bad;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		routes[1] = cases[i];
		bad = U32_MAX;
		KUNIT_EXPECT_EQ_MSG(test, lodge_routes_set(f->vm, routes, 3, &bad), -EINVAL,
				    "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, bad, 1u, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, lodge_route_send(f->vm, 1), -ENOENT, "case %u", i);
	}
}

static void routes_send(struct kunit *test)
{
	static const struct lodge_route routes[] = {
		ROUTE(LODGE_MAX_ROUTES - 1, 0xfee02000, 0x40),
		ROUTE(0, 0xfeeff000, 0x41),
		ROUTE(5, 0xfee01000, 0xc042),
		ROUTE(6, 0xfee03000, 0x43),	/* nobody has that id */
		ROUTE(7, 0xfee02000, APIC_DM_NMI),
		ROUTE(8, 0xfee00000, 0x10),
	};
	static const struct {
		u32 id;
		int taken;
		u8 vector;
		u32 want;
		enum lodge_request req;
	} cases[] = {
		{ LODGE_MAX_ROUTES - 1, 1, 0x40, 0x4, LODGE_REQ_IRQ },
		{ 0, 4, 0x41, 0xf, LODGE_REQ_IRQ },
		{ 5, 1, 0x42, 0x2, LODGE_REQ_IRQ },
		{ 6, 0, 0x43, 0, LODGE_REQ_IRQ },
		{ 7, 1, 0, 0x4, LODGE_REQ_NMI },
		{ 8, 1, 0x10, 0x1, LODGE_REQ_IRQ },
		{ 1, -ENOENT, 0x40, 0, LODGE_REQ_IRQ },
		{ LODGE_MAX_ROUTES, -ENOENT, 0x40, 0, LODGE_REQ_IRQ },
		{ U32_MAX, -ENOENT, 0x40, 0, LODGE_REQ_IRQ },
	};
	struct lapic_fixture *f = test->priv;
	u32 i, bad;

	KUNIT_ASSERT_EQ(test, lodge_routes_set(f->vm, routes, ARRAY_SIZE(routes), &bad), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		restart(f, false);
		KUNIT_EXPECT_EQ_MSG(test, lodge_route_send(f->vm, cases[i].id), cases[i].taken,
				    "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, reached(f, cases[i].vector, cases[i].req),
				    cases[i].want, "case %u", i);
	}
}

/* The new table counts alone; a refused one not at all. */
static void routes_replaced(struct kunit *test)
{
	static const struct lodge_route first[] = { ROUTE(0, 0xfee01000, 0x40),
						    ROUTE(9, 0xfee01000, 0x41) };
	static const struct lodge_route second[] = { ROUTE(0, 0xfee02000, 0x50) };
	static const struct lodge_route wrong[] = { ROUTE(0, 0xfee02000, 1) };
	struct lapic_fixture *f = test->priv;
	u32 bad;

	KUNIT_ASSERT_EQ(test, lodge_routes_set(f->vm, first, 2, &bad), 0);
	KUNIT_ASSERT_EQ(test, lodge_routes_set(f->vm, second, 1, &bad), 0);
	KUNIT_EXPECT_EQ(test, lodge_route_send(f->vm, 9), -ENOENT);
	KUNIT_EXPECT_EQ(test, lodge_routes_set(f->vm, wrong, 1, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, lodge_route_send(f->vm, 0), 1);
	KUNIT_EXPECT_EQ(test, reached(f, 0x50, LODGE_REQ_IRQ), 0x4u);
	KUNIT_EXPECT_EQ(test, reached(f, 0x40, LODGE_REQ_IRQ), 0u);
	KUNIT_EXPECT_EQ(test, lodge_routes_set(f->vm, NULL, 0, &bad), 0);
	KUNIT_EXPECT_EQ(test, lodge_route_send(f->vm, 0), -ENOENT);
}

static struct kunit_case message_cases[] = {
	KUNIT_CASE(lapic_destinations),
	KUNIT_CASE(lapic_icr),
	KUNIT_CASE(lapic_lowest_priority),
	KUNIT_CASE(lapic_msi),
	KUNIT_CASE(routes_refused),
	KUNIT_CASE(routes_send),
	KUNIT_CASE(routes_replaced),
	{}
};

struct kunit_suite lodge_message_suite = {
	.name = "lodge_message",
	.init = lapic_vcpus_init,
	.exit = lapic_vcpus_exit,
	.test_cases = message_cases,
};
