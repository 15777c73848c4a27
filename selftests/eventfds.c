// SPDX-License-Identifier: GPL-2.0
/*
 * Devices outside of the module: routes, eventfds that interrupt the guest and
 * eventfds that its writes signal. What is refused, what arrives, that nothing gets
 * lost in a storm, and that they can go at any moment.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "vm.h"
#include "kselftest_harness.h"

#define VECTOR		0x40
#define NR_SOURCES	4
#define LEVEL		(APIC_TRIGGER_LEVEL | APIC_LEVEL_ASSERT)
#define ROUNDS		shorter(400)
#define BELL_PORT	0x700
#define BELL		(GPA_MMIO + 0x1008)

static u32 stop;

/* -------------------------------------------------------------------- calls */

static int new_eventfd(u64 count)
{
	int fd = eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK);

	require(fd >= 0);
	return fd;
}

static void signal_fd(int fd)
{
	u64 one = 1;

	require(write(fd, &one, sizeof(one)) == sizeof(one));
}

/* Reads the count off; 0 when there is none. */
static u64 take(int fd)
{
	u64 count = 0;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		require(errno == EAGAIN);
	return count;
}

static int try_routes(struct vm *vm, const struct lodge_route *routes, u32 nr, u32 *bad)
{
	struct lodge_irq_routes r = {
		.size = sizeof(r), .routes = (uintptr_t)routes, .nr = nr, .bad = ~0U,
	};
	int ret = try_ioctl(vm->fd, LODGE_VM_IRQ_ROUTES, &r);

	if (bad)
		*bad = r.bad;
	return ret;
}

/* Source i sends vector @first + i to vCPU 0. */
static void set_routes(struct vm *vm, u32 first, u32 mode)
{
	struct lodge_route routes[NR_SOURCES] = {};
	u32 i;

	for (i = 0; i < NR_SOURCES; i++) {
		routes[i].id = i;
		routes[i].address = APIC_BASE_ADDR;
		routes[i].data = (first + i) | mode;
	}
	require(!try_routes(vm, routes, NR_SOURCES, NULL));
}

static int try_irqfd(struct vm *vm, u32 flags, int fd, u32 route, int resample)
{
	struct lodge_irqfd req = {
		.size = sizeof(req), .flags = flags, .fd = fd, .route = route,
		.resample_fd = resample,
	};

	return try_ioctl(vm->fd, LODGE_VM_IRQFD, &req);
}

static void assign(struct vm *vm, int fd, u32 route)
{
	require(!try_irqfd(vm, 0, fd, route, 0));
}

static int try_ioeventfd(struct vm *vm, u32 flags, u64 addr, u32 len, u64 match, int fd)
{
	struct lodge_ioeventfd req = {
		.size = sizeof(req), .flags = flags, .addr = addr, .datamatch = match,
		.len = len, .fd = fd,
	};

	return try_ioctl(vm->fd, LODGE_VM_IOEVENTFD, &req);
}

/* ------------------------------------------------------------------- guests */

static void all_vectors(u64 arg)
{
	u32 i;

	guest_x2apic_on();
	guest_apic_enable();
	for (i = 0; i < 2 * NR_SOURCES; i++)
		guest_handle(VECTOR + i, guest_count_irq);
	guest_sync(arg);
	for (;;) {
		irq_off();
		irq_wait();
	}
}

static u64 seen(u32 vector)
{
	return READ_ONCE(guest_cpus[0].interrupts[vector]);
}

/* A thread that runs the vCPU. */
struct runner {
	struct vcpu *vcpu;
	pthread_t thread;
	bool runs;
};

/* RUN until told to stop, whatever comes. */
static void *run_always(void *arg)
{
	struct vcpu *vcpu = arg;

	while (!READ_ONCE(stop)) {
		vcpu_run(vcpu);
		vcpu->complete = vcpu->run->exit.flags & LODGE_EXIT_F_COMPLETE;
	}
	return NULL;
}

FIXTURE(eventfds)
{
	struct vm *vm;
	struct vcpu *vcpu;
	struct runner runner;
};

FIXTURE_SETUP(eventfds)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_at(self->vm, 0, all_vectors, 1);
	self->runner.vcpu = self->vcpu;
}

/* The guest is where it takes interrupts. */
static void start_guest(struct runner *r)
{
	guest_run_sync(r->vcpu, 1);
	r->thread = spawn(run_always, r->vcpu);
	r->runs = true;
}

static void stop_guest(struct runner *r)
{
	if (!r->runs)
		return;
	WRITE_ONCE(stop, 1);
	vcpu_kick(r->vcpu);
	join(r->thread);
	WRITE_ONCE(stop, 0);
	r->runs = false;
}

FIXTURE_TEARDOWN(eventfds)
{
	stop_guest(&self->runner);
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

/* ------------------------------------------------------------------- routes */

TEST_F(eventfds, bad_routes)
{
	static const struct lodge_route wrong[] = {
		{ .id = 4096, .address = APIC_BASE_ADDR, .data = VECTOR },
		{ .id = 0, .address = APIC_BASE_ADDR, .data = VECTOR },
		{ .id = 1, .address = APIC_BASE_ADDR, .data = 15 },
		{ .id = 1, .address = APIC_BASE_ADDR, .data = VECTOR | 0x300 },
		{ .id = 1, .address = 0xfed00000, .data = VECTOR },
		{ .id = 1, .address = APIC_BASE_ADDR, .data = VECTOR, .flags = 1 },
		{ .id = 1, .address = APIC_BASE_ADDR, .data = VECTOR, .reserved = 1 },
	};
	struct lodge_route routes[2] = { { .address = APIC_BASE_ADDR, .data = VECTOR } };
	u32 i, bad;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		routes[1] = wrong[i];
		EXPECT_EQ(-EINVAL, try_routes(self->vm, routes, 2, &bad))
			TH_LOG("case %u", i);
		EXPECT_EQ(1, bad)
			TH_LOG("case %u", i);
	}
	EXPECT_EQ(-EINVAL, try_routes(self->vm, routes, 4097, NULL));
	EXPECT_EQ(-EFAULT, try_routes(self->vm, (void *)16, 1, NULL));
	EXPECT_EQ(0, try_routes(self->vm, routes, 1, NULL));
	EXPECT_EQ(0, try_routes(self->vm, NULL, 0, NULL));
}

/* ------------------------------------------------------------------- irqfds */

TEST_F(eventfds, bad_irqfds)
{
	int fd = new_eventfd(0), other = new_eventfd(0), closed = new_eventfd(0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	close(closed);
	ASSERT_GE(null, 0);
	EXPECT_EQ(-EBADF, try_irqfd(self->vm, 0, closed, 0, 0));
	EXPECT_EQ(-EBADF, try_irqfd(self->vm, 0, -1, 0, 0));
	EXPECT_EQ(-EINVAL, try_irqfd(self->vm, 0, null, 0, 0));
	EXPECT_EQ(-EINVAL, try_irqfd(self->vm, 0, self->vm->fd, 0, 0));
	EXPECT_EQ(-EINVAL, try_irqfd(self->vm, 0, fd, 4096, 0));
	EXPECT_EQ(-EINVAL, try_irqfd(self->vm, 4, fd, 0, 0));
	EXPECT_EQ(-EINVAL, try_irqfd(self->vm, 0, fd, 0, other));
	EXPECT_EQ(-EBADF, try_irqfd(self->vm, LODGE_IRQFD_F_RESAMPLE, fd, 0, closed));
	EXPECT_EQ(-EINVAL, try_irqfd(self->vm, LODGE_IRQFD_F_RESAMPLE, fd, 0, null));
	EXPECT_EQ(-ENOENT, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, fd, 0, 0));

	EXPECT_EQ(0, try_irqfd(self->vm, 0, fd, 0, 0));
	EXPECT_EQ(-EBUSY, try_irqfd(self->vm, 0, fd, 0, 0));
	EXPECT_EQ(-EBUSY, try_irqfd(self->vm, 0, fd, 1, 0));
	EXPECT_EQ(-EINVAL, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN | LODGE_IRQFD_F_RESAMPLE,
				     fd, 0, 0));
	EXPECT_EQ(-EINVAL, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, fd, 0, other));
	EXPECT_EQ(-ENOENT, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, fd, 1, 0));
	EXPECT_EQ(-ENOENT, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, other, 0, 0));
	EXPECT_EQ(-EBADF, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, closed, 0, 0));
	EXPECT_EQ(0, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, fd, 0, 0));
	EXPECT_EQ(-ENOENT, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, fd, 0, 0));
	close(null);
}

/* Each signal is an interrupt; what was signalled before, too; after the end none. */
TEST_F(eventfds, edge)
{
	int fd = new_eventfd(3);
	int i;

	set_routes(self->vm, VECTOR, 0);
	start_guest(&self->runner);
	assign(self->vm, fd, 2);
	wait_until(seen(VECTOR + 2) == 1);
	for (i = 2; i < 20; i++) {
		signal_fd(fd);
		wait_until(seen(VECTOR + 2) == (u64)i);
	}
	EXPECT_EQ(0, take(fd));
	EXPECT_EQ(0, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, fd, 2, 0));
	signal_fd(fd);
	usleep(20000);
	EXPECT_EQ(19, seen(VECTOR + 2));
	EXPECT_EQ(1, take(fd));
}

/* A source without a route is silent, and speaks when it has one. */
TEST_F(eventfds, no_route)
{
	int fd = new_eventfd(0);

	start_guest(&self->runner);
	assign(self->vm, fd, 1);
	signal_fd(fd);
	EXPECT_EQ(0, take(fd));
	set_routes(self->vm, VECTOR, 0);
	usleep(20000);
	EXPECT_EQ(0, seen(VECTOR + 1));
	signal_fd(fd);
	wait_until(seen(VECTOR + 1) == 1);
}

struct storm {
	int fd[NR_SOURCES];
	u32 rounds;
};

static void *signal_all(void *arg)
{
	struct storm *storm = arg;
	u32 i;

	for (i = 0; i < storm->rounds * NR_SOURCES; i++)
		signal_fd(storm->fd[i % NR_SOURCES]);
	return NULL;
}

/* All sources at once while the routes change: none is ever stuck. */
TEST_F(eventfds, storm)
{
	struct storm storm = { .rounds = 10 * ROUNDS };
	pthread_t threads[2];
	u64 before;
	int i, round;

	set_routes(self->vm, VECTOR, 0);
	start_guest(&self->runner);
	for (i = 0; i < NR_SOURCES; i++) {
		storm.fd[i] = new_eventfd(0);
		assign(self->vm, storm.fd[i], i);
	}
	for (i = 0; i < 2; i++)
		threads[i] = spawn(signal_all, &storm);
	for (round = 0; round < ROUNDS; round++)
		set_routes(self->vm, VECTOR + round % 2 * NR_SOURCES, 0);
	for (i = 0; i < 2; i++)
		join(threads[i]);
	/* The last signals may be under way in the guest. */
	set_routes(self->vm, VECTOR, 0);
	usleep(100000);
	for (i = 0; i < NR_SOURCES; i++) {
		EXPECT_LT(0, seen(VECTOR + i) + seen(VECTOR + NR_SOURCES + i));
		before = seen(VECTOR + i);
		signal_fd(storm.fd[i]);
		wait_until(seen(VECTOR + i) == before + 1);
	}
}

/* More than there may be at a time: closing is enough to be rid of them. */
TEST_F(eventfds, closed_is_gone)
{
	int i, fd, ret;
	u64 end;

	set_routes(self->vm, VECTOR, 0);
	for (i = 0; i < 4096 + 200; i++) {
		fd = new_eventfd(0);
		end = now_ns() + WAIT_SECONDS * NSEC_PER_SEC;
		while ((ret = try_irqfd(self->vm, 0, fd, 0, 0)) == -ENOSPC && now_ns() < end)
			usleep(1000);
		ASSERT_EQ(0, ret)
			TH_LOG("number %d", i);
		close(fd);
	}
}

/* ------------------------------------------------------------------- levels */

/* The device: its line is up until the guest has served it so often. */
static u32 to_serve, served;

static __guest_irq void serve(struct guest_frame *frame)
{
	WRITE_ONCE(served, served + 1);
	guest_count_irq(frame);
}

static void level_guest(u64 arg)
{
	guest_x2apic_on();
	guest_apic_enable();
	guest_handle(VECTOR, serve);
	guest_handle(VECTOR + 1, guest_count_irq);
	guest_sync(arg);
	for (;;) {
		irq_off();
		irq_wait();
	}
}

static bool resampled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, WAIT_SECONDS * 1000) == 1 && take(fd);
}

/* The program's half: each EOI asks, and the line answers while it is up. */
TEST_F(eventfds, resample)
{
	int fd = new_eventfd(0), back = new_eventfd(0), other = new_eventfd(0);
	int silent = new_eventfd(0);
	u32 n;

	vcpu_start_long(self->vcpu, level_guest, 1);
	set_routes(self->vm, VECTOR, LEVEL);
	ASSERT_EQ(0, try_irqfd(self->vm, LODGE_IRQFD_F_RESAMPLE, fd, 0, back));
	ASSERT_EQ(0, try_irqfd(self->vm, LODGE_IRQFD_F_RESAMPLE, other, 1, silent));
	start_guest(&self->runner);
	to_serve = 50;
	for (n = 1; n <= to_serve; n++) {
		signal_fd(fd);
		ASSERT_TRUE(resampled(back))
			TH_LOG("number %u", n);
		ASSERT_EQ(n, READ_ONCE(served));
	}
	usleep(20000);
	EXPECT_EQ(to_serve, READ_ONCE(served));
	EXPECT_EQ(0, take(back));
	EXPECT_EQ(0, take(silent));

	/* An edge asks nobody. */
	set_routes(self->vm, VECTOR, 0);
	EXPECT_TRUE(resampled(back));	/* but a new route does */
	EXPECT_TRUE(resampled(silent));
	signal_fd(fd);
	wait_until(READ_ONCE(served) == to_serve + 1);
	usleep(20000);
	EXPECT_EQ(0, take(back));
	set_routes(self->vm, VECTOR, 0);
	EXPECT_EQ(0, take(back));	/* the same one does not */
	EXPECT_EQ(0, try_irqfd(self->vm, LODGE_IRQFD_F_DEASSIGN, fd, 0, 0));
	set_routes(self->vm, VECTOR, LEVEL);
	EXPECT_EQ(0, take(back));
	EXPECT_TRUE(resampled(silent));
}

/* The program's I/O APIC is told as well. */
TEST_F(eventfds, resample_and_exit)
{
	int fd = new_eventfd(0), back = new_eventfd(0);

	set_routes(self->vm, VECTOR, LEVEL);
	ASSERT_EQ(0, try_irqfd(self->vm, LODGE_IRQFD_F_RESAMPLE, fd, 1, back));
	guest_run_sync(self->vcpu, 1);
	signal_fd(fd);
	ASSERT_EQ(VECTOR + 1, vcpu_run_until(self->vcpu, LODGE_EXIT_EOI)->eoi.vector);
	EXPECT_EQ(1, take(back));
}

/* --------------------------------------------------------------- ioeventfds */

#define PIO		LODGE_IOEVENTFD_F_PIO
#define MATCH		LODGE_IOEVENTFD_F_DATAMATCH

/* Writes in the guest's order, and which of @bells each is to ring. */
static const struct bell {
	u32 flags;
	u64 addr;
	u32 len;
	u64 match;
} bells[] = {
	{ PIO, BELL_PORT, 1, 0 },
	{ PIO, BELL_PORT, 2, 0 },
	{ PIO | MATCH, BELL_PORT, 4, 0x12345678 },
	{ PIO | MATCH, BELL_PORT, 4, 0 },
	{ PIO, BELL_PORT + 1, 0, 0 },
	{ 0, BELL, 1, 0 },
	{ MATCH, BELL, 2, 0xfffe },
	{ 0, BELL, 4, 0 },
	{ MATCH, BELL, 8, 0x123456789abcdef0 },
	{ MATCH, BELL, 8, 0x123456789abcdef1 },
	{ 0, BELL + 8, 0, 0 },
	{ 0, BELL + 0x10000, 4, 0 },
};

#define NOBODY	ARRAY_SIZE(bells)

static const struct ring {
	bool pio;
	u64 addr;
	u32 len;
	u64 data;
	u32 bell;
} rings[] = {
	{ true, BELL_PORT, 1, 5, 0 },
	{ true, BELL_PORT, 2, 0xffff, 1 },
	{ true, BELL_PORT, 4, 0x12345678, 2 },
	{ true, BELL_PORT, 4, 0x12345679, NOBODY },
	{ true, BELL_PORT, 4, 0, 3 },
	{ true, BELL_PORT + 1, 1, 1, 4 },
	{ true, BELL_PORT + 1, 2, 1, 4 },
	{ true, BELL_PORT + 1, 4, 1, 4 },
	{ true, BELL_PORT + 2, 1, 1, NOBODY },
	{ true, BELL_PORT - 1, 4, 1, NOBODY },
	{ false, BELL, 1, 0, 5 },
	{ false, BELL, 2, 0xfffe, 6 },
	{ false, BELL, 2, 0xfffd, NOBODY },
	{ false, BELL, 4, 77, 7 },
	{ false, BELL, 8, 0x123456789abcdef0, 8 },
	{ false, BELL, 8, 0x123456789abcdef1, 9 },
	{ false, BELL, 8, 0x023456789abcdef1, NOBODY },
	{ false, BELL + 8, 1, 1, 10 },
	{ false, BELL + 8, 2, 1, 10 },
	{ false, BELL + 8, 4, 1, 10 },
	{ false, BELL + 8, 8, 1, 10 },
	{ false, BELL + 4, 4, 1, NOBODY },
	{ false, BELL + 0x10000, 4, 1, 11 },
	{ false, BELL + 0x10000, 2, 1, NOBODY },
};

static void ring_pio(const struct ring *r)
{
	u16 port = r->addr;

	if (r->len == 1)
		asm volatile("outb %%al, %%dx" : : "a"(r->data), "d"(port));
	else if (r->len == 2)
		asm volatile("outw %%ax, %%dx" : : "a"(r->data), "d"(port));
	else
		asm volatile("outl %%eax, %%dx" : : "a"(r->data), "d"(port));
}

static void ring_mmio(const struct ring *r)
{
	switch (r->len) {
	case 1:
		WRITE_ONCE(*(u8 *)r->addr, r->data);
		break;
	case 2:
		WRITE_ONCE(*(u16 *)r->addr, r->data);
		break;
	case 4:
		WRITE_ONCE(*(u32 *)r->addr, r->data);
		break;
	default:
		WRITE_ONCE(*(u64 *)r->addr, r->data);
	}
}

/* Each write @times over, so that a memo serves it as well. */
static void ring_table(u64 times)
{
	const struct ring *r;
	u64 i;

	for (r = rings; r < rings + ARRAY_SIZE(rings); r++) {
		for (i = 0; i < times; i++) {
			if (r->pio)
				ring_pio(r);
			else
				ring_mmio(r);
		}
		guest_sync(r - rings);
	}
	guest_done();
}

#define TIMES		3

/* Writes that nobody waits for are the program's. */
static void expect_exits(struct vcpu *vcpu, const struct ring *r)
{
	struct lodge_exit *e;
	int i;

	for (i = 0; i < TIMES; i++) {
		e = vcpu_run_complete(vcpu, r->pio ? LODGE_EXIT_PIO : LODGE_EXIT_MMIO, 0);
		require((r->pio ? e->pio.port : e->mmio.gpa) == r->addr);
		require((r->pio ? e->pio.data : e->mmio.data) == r->data);
	}
}

TEST_F(eventfds, bells)
{
	int fd[ARRAY_SIZE(bells)];
	const struct ring *r;
	u32 i, b;

	vcpu_start_long(self->vcpu, ring_table, TIMES);
	for (i = 0; i < ARRAY_SIZE(bells); i++) {
		fd[i] = new_eventfd(0);
		ASSERT_EQ(0, try_ioeventfd(self->vm, bells[i].flags, bells[i].addr, bells[i].len,
					   bells[i].match, fd[i]))
			TH_LOG("bell %u", i);
	}
	for (r = rings; r < rings + ARRAY_SIZE(rings); r++) {
		if (r->bell == NOBODY)
			expect_exits(self->vcpu, r);
		guest_run_sync(self->vcpu, r - rings);
		for (b = 0; b < ARRAY_SIZE(bells); b++)
			EXPECT_EQ(b == r->bell ? TIMES : 0, take(fd[b]))
				TH_LOG("write %zu, bell %u", r - rings, b);
	}
	guest_run_done(self->vcpu);

	/* And all of them can be taken off, once. */
	for (i = 0; i < 2 * ARRAY_SIZE(bells); i++) {
		b = i % ARRAY_SIZE(bells);
		EXPECT_EQ(i == b ? 0 : -ENOENT,
			  try_ioeventfd(self->vm, bells[b].flags | LODGE_IOEVENTFD_F_DEASSIGN,
					bells[b].addr, bells[b].len, bells[b].match, fd[b]))
			TH_LOG("bell %u", b);
	}
}

TEST_F(eventfds, bad_ioeventfds)
{
	static const struct {
		u32 flags;
		u64 addr;
		u32 len;
		u64 match;
		int ret;
	} cases[] = {
		{ 8, BELL, 4, 0, -EINVAL },
		{ 0, BELL, 3, 0, -EINVAL },
		{ 0, BELL, 16, 0, -EINVAL },
		{ 0, BELL, 1U << 31, 0, -EINVAL },
		{ 0, BELL, 4, 1, -EINVAL },
		{ MATCH, BELL, 0, 0, -EINVAL },
		{ MATCH, BELL, 1, 0x100, -EINVAL },
		{ MATCH, BELL, 4, 1ULL << 32, -EINVAL },
		{ 0, BELL - 0x1008 + 0xffd, 4, 0, -EINVAL },
		{ 0, 1ULL << 62, 4, 0, -EINVAL },
		{ 0, -1ULL, 0, 0, -EINVAL },
		{ 0, APIC_BASE_ADDR + APIC_EOI, 4, 0, -EBUSY },
		{ PIO, BELL_PORT, 8, 0, -EINVAL },
		{ PIO, 0x10000, 1, 0, -EINVAL },
		{ PIO, 0xffff, 2, 0, -EINVAL },
		{ PIO, 1ULL << 32, 1, 0, -EINVAL },
		/* overlapping ones; there are 4 at BELL, 4 matching 7 at BELL + 8 */
		{ 0, BELL, 4, 0, -EBUSY },
		{ 0, BELL, 0, 0, -EBUSY },
		{ MATCH, BELL, 4, 7, -EBUSY },
		{ MATCH, BELL + 8, 4, 7, -EBUSY },
		{ 0, BELL + 8, 4, 0, -EBUSY },
		{ 0, BELL + 8, 0, 0, -EBUSY },
		/* not there */
		{ LODGE_IOEVENTFD_F_DEASSIGN, BELL, 0, 0, -ENOENT },
		{ LODGE_IOEVENTFD_F_DEASSIGN, BELL + 1, 4, 0, -ENOENT },
		{ LODGE_IOEVENTFD_F_DEASSIGN | PIO, BELL_PORT, 4, 0, -ENOENT },
		{ LODGE_IOEVENTFD_F_DEASSIGN | MATCH, BELL + 8, 4, 8, -ENOENT },
		{ LODGE_IOEVENTFD_F_DEASSIGN, BELL + 8, 4, 0, -ENOENT },
		/* these do not overlap */
		{ 0, BELL, 2, 0, 0 },
		{ 0, BELL + 2, 2, 0, 0 },
		{ MATCH, BELL + 8, 4, 8, 0 },
		{ 0, BELL + 8, 8, 0, 0 },
		{ PIO, 0xffff, 1, 0, 0 },
		{ PIO, 0xffff, 2, 0, -EINVAL },
	};
	int fd = new_eventfd(0), closed = new_eventfd(0), other = new_eventfd(0);
	u32 i;

	close(closed);
	EXPECT_EQ(-EBADF, try_ioeventfd(self->vm, 0, BELL, 4, 0, closed));
	EXPECT_EQ(-EINVAL, try_ioeventfd(self->vm, 0, BELL, 4, 0, self->vm->fd));
	ASSERT_EQ(0, try_ioeventfd(self->vm, 0, BELL, 4, 0, fd));
	ASSERT_EQ(0, try_ioeventfd(self->vm, MATCH, BELL + 8, 4, 7, fd));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].ret,
			  try_ioeventfd(self->vm, cases[i].flags, cases[i].addr, cases[i].len,
					cases[i].match, fd))
			TH_LOG("case %u", i);
	/* Another eventfd's is not this one's. */
	EXPECT_EQ(-ENOENT, try_ioeventfd(self->vm, LODGE_IOEVENTFD_F_DEASSIGN, BELL, 4, 0,
					 other));
}

TEST_F(eventfds, too_many_ioeventfds)
{
	u32 i, max = device_info()->max_ioeventfds;
	int fd = new_eventfd(0);

	for (i = 0; i < max; i++)
		ASSERT_EQ(0, try_ioeventfd(self->vm, PIO, (i * 7919) % 0x10000, 1, 0, fd))
			TH_LOG("number %u", i);
	EXPECT_EQ(-ENOSPC, try_ioeventfd(self->vm, PIO, 0xfff0, 4, 0, fd));
	EXPECT_EQ(0, try_ioeventfd(self->vm, PIO | LODGE_IOEVENTFD_F_DEASSIGN, 7919, 1, 0, fd));
	EXPECT_EQ(0, try_ioeventfd(self->vm, PIO, 0xfff0, 4, 0, fd));
}

static void ring_often(u64 rounds)
{
	u64 i;

	for (i = 0; i < rounds; i++) {
		asm volatile("outl %%eax, %%dx" : : "a"(i), "d"(BELL_PORT));
		WRITE_ONCE(*(u32 *)BELL, i);
	}
	guest_done();
}

struct bell_change {
	struct vm *vm;
	int fd;
};

/* Comes and goes at addresses around, all the time. */
static void *change_bells(void *arg)
{
	const struct bell_change *c = arg;
	u32 i, flags;

	for (i = 0; !READ_ONCE(stop); i++) {
		flags = i & 1 ? LODGE_IOEVENTFD_F_PIO : 0;
		require(!try_ioeventfd(c->vm, flags, i & 2, 1, 0, c->fd));
		require(!try_ioeventfd(c->vm, flags | LODGE_IOEVENTFD_F_DEASSIGN, i & 2, 1, 0,
				       c->fd));
	}
	return NULL;
}

/* Every write counts once, whatever is assigned meanwhile. */
TEST_F(eventfds, bell_storm)
{
	struct bell_change c = { .vm = self->vm, .fd = new_eventfd(0) };
	int pio = new_eventfd(0), mmio = new_eventfd(0);
	u64 rounds = 25 * ROUNDS;
	pthread_t thread;

	ASSERT_EQ(0, try_ioeventfd(self->vm, PIO, BELL_PORT, 4, 0, pio));
	ASSERT_EQ(0, try_ioeventfd(self->vm, 0, BELL, 0, 0, mmio));
	vcpu_start_long(self->vcpu, ring_often, rounds);
	thread = spawn(change_bells, &c);
	guest_run_done(self->vcpu);
	WRITE_ONCE(stop, 1);
	join(thread);
	WRITE_ONCE(stop, 0);
	EXPECT_EQ(rounds, take(pio));
	EXPECT_EQ(rounds, take(mmio));
}

/* The guest's own write interrupts it: one eventfd is both. */
static void ring_myself(u64 rounds)
{
	u64 i;

	guest_x2apic_on();
	guest_apic_enable();
	guest_handle(VECTOR, guest_count_irq);
	irq_on();
	for (i = 0; i < rounds; i++) {
		WRITE_ONCE(*(u32 *)BELL, i);
		GUEST_EQ(READ_ONCE(guest_cpus[0].interrupts[VECTOR]), i + 1);
	}
	guest_done();
}

TEST_F(eventfds, bell_is_interrupt)
{
	int fd = new_eventfd(0);

	set_routes(self->vm, VECTOR, 0);
	assign(self->vm, fd, 0);
	ASSERT_EQ(0, try_ioeventfd(self->vm, 0, BELL, 4, 0, fd));
	vcpu_start_long(self->vcpu, ring_myself, 100);
	guest_run_done(self->vcpu);
}

/* ----------------------------------- what has rung before need not be a bell now */

static void ring_and_say(u64 rounds)
{
	u64 i;

	for (i = 0; i < rounds; i++) {
		WRITE_ONCE(*(u64 *)BELL, i);
		guest_sync(i);
	}
	guest_done();
}

/* RAM comes and goes where the bell is; a read-only page is none. */
TEST_F(eventfds, bell_or_ram)
{
	static const enum { NONE, RAM, READONLY } ways[] = {
		NONE, RAM, NONE, READONLY, RAM, READONLY, NONE,
	};
	u64 page = BELL & -PAGE_SIZE, i, n = 0;
	u8 *mem = map_anon(PAGE_SIZE);
	u64 *word = (u64 *)(mem + BELL % PAGE_SIZE);
	int fd = new_eventfd(0);
	u32 way;

	ASSERT_EQ(0, try_ioeventfd(self->vm, 0, BELL, 0, 0, fd));
	vcpu_start_long(self->vcpu, ring_and_say, 5 * ARRAY_SIZE(ways));
	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		if (ways[way] != NONE)
			vm_map(self->vm, page, mem, PAGE_SIZE,
			       ways[way] == READONLY ? LODGE_MEM_F_READONLY : 0);
		for (i = 0; i < 5; i++, n++) {
			*word = ~0ULL;
			guest_run_sync(self->vcpu, n);
			EXPECT_EQ(ways[way] != RAM, take(fd))
				TH_LOG("way %u, write %llu", way, i);
			EXPECT_EQ(ways[way] == RAM ? n : ~0ULL, *word)
				TH_LOG("way %u, write %llu", way, i);
		}
		if (ways[way] != NONE)
			vm_unmap(self->vm, page, PAGE_SIZE);
	}
	guest_run_done(self->vcpu);
}

/* Instructions that write to (%rbx); behind each INC ECX and RET: FF C1, C3. */
static const u8 rings_by[][12] = {
	{ 0x88, 0x03, 0xff, 0xc1, 0xc3 },		/* mov %al, (%rbx) */
	{ 0x48, 0x89, 0x03, 0xff, 0xc1, 0xc3 },		/* mov %rax, (%rbx) */
	{ 0xc6, 0x03, 0xc1, 0xff, 0xc1, 0xc3 },		/* movb $0xc1, (%rbx) */
	{ 0x89, 0x03, 0xff, 0xc1, 0xc3 },		/* mov %eax, (%rbx) */
	{ 0xc7, 0x03, 0xff, 0xc1, 0xc3, 0x90, 0xff, 0xc1, 0xc3 }, /* movl $..., (%rbx) */
	{ 0x66, 0xc7, 0x03, 0xff, 0xc1, 0xff, 0xc1, 0xc3 },	/* movw $0xc1ff, (%rbx) */
};

static u64 call_code(u64 at)
{
	u64 n = 0;

	asm volatile("subq $128, %%rsp; call *%1; addq $128, %%rsp"
		     : "+c"(n) : "r"(at), "b"(BELL), "a"(1) : "memory", "cc");
	return n;
}

static void ring_by(const u8 *code, u64 times)
{
	u64 i;

	for (i = 0; i < sizeof(rings_by[0]); i++)
		WRITE_ONCE(((u8 *)GPA_CODE)[i], code[i]);
	for (i = 0; i < times; i++)
		GUEST_EQ(call_code(GPA_CODE), 1);
}

/* Any after any other, at one place. */
static void ring_by_all(u64 times)
{
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(rings_by); i++) {
		for (j = 0; j < ARRAY_SIZE(rings_by); j++) {
			ring_by(rings_by[i], times);
			ring_by(rings_by[j], times);
		}
	}
	guest_done();
}

TEST_F(eventfds, bell_code_changes)
{
	u64 pairs = ARRAY_SIZE(rings_by) * ARRAY_SIZE(rings_by);
	int fd = new_eventfd(0);

	ASSERT_EQ(0, try_ioeventfd(self->vm, 0, BELL, 0, 0, fd));
	vcpu_start_long(self->vcpu, ring_by_all, 5);
	guest_run_done(self->vcpu);
	EXPECT_EQ(pairs * 2 * 5, take(fd));
}

/* ---------------------------------------------------------------- their end */

/* Closed right before the VM goes, so that both ends are under way at once. */
TEST_F(eventfds, closed_with_vm)
{
	int back = new_eventfd(0), fd[32], round;
	u32 i;

	for (round = 0; round < ROUNDS / 4; round++) {
		struct vm *vm = vm_create_empty();

		for (i = 0; i < ARRAY_SIZE(fd); i++) {
			fd[i] = new_eventfd(0);
			ASSERT_EQ(0, i & 1 ? try_irqfd(vm, LODGE_IRQFD_F_RESAMPLE, fd[i], i, back) :
					     try_irqfd(vm, 0, fd[i], i, 0));
		}
		for (i = 0; i < ARRAY_SIZE(fd); i++)
			close(fd[i]);
		vm_destroy(vm);
	}
}

struct turmoil {
	struct vm *vm;
	int fd[NR_SOURCES];
	int back;
};

static void *come_and_go(void *arg)
{
	struct turmoil *t = arg;
	u32 i, n;

	for (i = 0; !READ_ONCE(stop); i++) {
		n = i % NR_SOURCES;
		try_irqfd(t->vm, i & 8 ? LODGE_IRQFD_F_RESAMPLE : 0, READ_ONCE(t->fd[n]), n,
			  i & 8 ? t->back : 0);
		if (i & 16)
			try_irqfd(t->vm, LODGE_IRQFD_F_DEASSIGN, READ_ONCE(t->fd[n]), n, 0);
	}
	return NULL;
}

static void *signal_and_close(void *arg)
{
	struct turmoil *t = arg;
	u64 one = 1;
	u32 i, n;

	for (i = 0; !READ_ONCE(stop); i++) {
		n = i % NR_SOURCES;
		if (write(t->fd[n], &one, sizeof(one)) < 0)
			require(errno == EAGAIN);
		if (i % 5)
			continue;
		close(t->fd[n]);
		WRITE_ONCE(t->fd[n], new_eventfd(0));
	}
	return NULL;
}

/* Assigned, taken off, signalled, closed and rerouted at once; then the VM goes. */
TEST_F(eventfds, turmoil)
{
	struct turmoil t = { .back = new_eventfd(0) };
	pthread_t threads[3];
	u32 life, round, i;

	for (life = 0; life < 4; life++) {
		struct vm *vm = vm_create();
		struct vcpu *vcpu = vcpu_create_at(vm, 0, all_vectors, 1);

		guest_run_sync(vcpu, 1);
		t.vm = vm;
		for (i = 0; i < NR_SOURCES; i++)
			t.fd[i] = new_eventfd(0);
		threads[0] = spawn(come_and_go, &t);
		threads[1] = spawn(signal_and_close, &t);
		threads[2] = spawn(run_always, vcpu);
		for (round = 0; round < (u32)ROUNDS / 4; round++)
			set_routes(vm, VECTOR, round & 1 ? LEVEL : 0);
		WRITE_ONCE(stop, 1);
		vcpu_kick(vcpu);
		for (i = 0; i < 3; i++)
			join(threads[i]);
		WRITE_ONCE(stop, 0);
		/* Some are assigned still. */
		vcpu_destroy(vcpu);
		vm_destroy(vm);
		for (i = 0; i < NR_SOURCES; i++) {
			signal_fd(t.fd[i]);
			close(t.fd[i]);
		}
	}
}

TEST_HARNESS_MAIN
