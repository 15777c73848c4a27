// SPDX-License-Identifier: GPL-2.0
/*
 * Of every call, each allocation and each copy from or to the caller fails once:
 * the call gives a clean error and has changed nothing, for the same call works
 * right after it. Needs a kernel with fault injection.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "fault.h"
#include "state.h"
#include "worker.h"
#include "kselftest_harness.h"

#define REFCOUNT	"/sys/module/lodge/refcnt"
#define MOST_FAULTS	2000	/* that one call can meet */
#define NR_PAGES	8

/* What a call works on; some have made an object of their own. */
struct world {
	int dev;
	struct vm *vm;
	struct vcpu *vcpu;
	struct full_state *full;
	u8 *mem;		/* NR_PAGES, mapped at GPA_TEST */
	u8 *more;		/* the same, not mapped */
	int fd;			/* of a VM that has nothing */
	struct vcpu *fresh;	/* a vCPU that has not run */
	int event, back;	/* eventfds */
};

/*
 * Has the fault been met? Reading is a copy to user space that can fail, too: then
 * the call met none.
 */
static bool disarm(int fd)
{
	bool met = !fault_left(fd);

	fault_arm(fd, 0);
	return met;
}

/* ------------------------------------------------------------------- the calls */

static long call_open(struct world *w)
{
	int fd = open("/dev/lodge", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void undo_fd(struct world *w, long ret)
{
	close(ret);
}

static long call_info(struct world *w)
{
	struct lodge_info info = { .size = sizeof(info) };

	return try_ioctl(w->dev, LODGE_GET_INFO, &info);
}

static struct lodge_cpuid_entry entries[256];

static long call_cpuid(struct world *w)
{
	struct lodge_cpuid table = {
		.size = sizeof(table), .entries = (uintptr_t)entries, .nr = 256,
	};

	return try_ioctl(w->dev, LODGE_GET_SUPPORTED_CPUID, &table);
}

static long call_msrs(struct world *w)
{
	static u32 indices[MAX_MSRS];
	struct lodge_msr_list list = {
		.size = sizeof(list), .indices = (uintptr_t)indices, .nr = MAX_MSRS,
	};

	return try_ioctl(w->dev, LODGE_GET_SUPPORTED_MSRS, &list);
}

static long call_create_vm(struct world *w)
{
	struct lodge_create_vm create = { .size = sizeof(create) };

	return try_ioctl(w->dev, LODGE_CREATE_VM, &create);
}

static void make_vm(struct world *w)
{
	w->fd = call_create_vm(w);
	require(w->fd >= 0);
}

static void drop_vm(struct world *w)
{
	close(w->fd);
}

static long call_create_vcpu(struct world *w)
{
	struct lodge_create_vcpu create = { .size = sizeof(create) };

	return try_ioctl(w->fd, LODGE_VM_CREATE_VCPU, &create);
}

static void make_vcpu(struct world *w)
{
	struct vm *vm = vm_create_empty();

	w->fresh = vcpu_create(vm, 0);
	vm_destroy(vm);
}

static void drop_vcpu(struct world *w)
{
	vcpu_destroy(w->fresh);
}

static long call_mmap(struct world *w)
{
	void *p = mmap(NULL, device_info()->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       w->fresh->fd, 0);

	return p == MAP_FAILED ? -errno : (long)p;
}

static void undo_mmap(struct world *w, long ret)
{
	munmap((void *)ret, device_info()->run_size);
}

static long call_map(struct world *w)
{
	return vm_try_map(w->vm, GPA_TEST + 2 * NR_PAGES * PAGE_SIZE, w->more,
			  NR_PAGES * PAGE_SIZE, 0);
}

static void undo_map(struct world *w, long ret)
{
	vm_unmap(w->vm, GPA_TEST + 2 * NR_PAGES * PAGE_SIZE, NR_PAGES * PAGE_SIZE);
}

static long call_unmap(struct world *w)
{
	return vm_try_unmap(w->vm, GPA_TEST + PAGE_SIZE, PAGE_SIZE);
}

static void undo_unmap(struct world *w, long ret)
{
	vm_map(w->vm, GPA_TEST + PAGE_SIZE, w->mem + PAGE_SIZE, PAGE_SIZE, 0);
}

static long call_protect(struct world *w)
{
	return vm_try_protect(w->vm, GPA_TEST + PAGE_SIZE, PAGE_SIZE, LODGE_MEM_F_READONLY);
}

static void undo_protect(struct world *w, long ret)
{
	vm_protect(w->vm, GPA_TEST + PAGE_SIZE, PAGE_SIZE, 0);
}

static long call_query(struct world *w)
{
	struct lodge_mem_region r[16];
	struct lodge_mem_query query = {
		.size = sizeof(query), .regions = (uintptr_t)r, .nr = ARRAY_SIZE(r),
	};

	return try_ioctl(w->vm->fd, LODGE_VM_MEM_QUERY, &query);
}

static long call_clock_get(struct world *w)
{
	struct lodge_clock clock = { .size = sizeof(clock) };

	return try_ioctl(w->vm->fd, LODGE_VM_CLOCK_GET, &clock);
}

static long call_clock_set(struct world *w)
{
	struct lodge_clock clock = { .size = sizeof(clock), .guest_ns = NSEC_PER_SEC };

	return try_ioctl(w->vm->fd, LODGE_VM_CLOCK_SET, &clock);
}

static long call_msi(struct world *w)
{
	return vm_try_msi(w->vm, APIC_BASE_ADDR | 0xe0 << 12, 0x41);
}

static long call_routes(struct world *w)
{
	struct lodge_route route = { .address = APIC_BASE_ADDR, .data = 0x41 };
	struct lodge_irq_routes routes = {
		.size = sizeof(routes), .routes = (uintptr_t)&route, .nr = 1,
	};

	return try_ioctl(w->vm->fd, LODGE_VM_IRQ_ROUTES, &routes);
}

static void make_events(struct world *w)
{
	w->event = eventfd(0, EFD_CLOEXEC);
	w->back = eventfd(0, EFD_CLOEXEC);
	require(w->event >= 0 && w->back >= 0);
}

static void drop_events(struct world *w)
{
	close(w->event);
	close(w->back);
}

static long call_irqfd(struct world *w)
{
	struct lodge_irqfd irqfd = {
		.size = sizeof(irqfd), .flags = LODGE_IRQFD_F_RESAMPLE, .fd = w->event,
		.resample_fd = w->back,
	};

	return try_ioctl(w->vm->fd, LODGE_VM_IRQFD, &irqfd);
}

static long call_irqfd_end(struct world *w)
{
	struct lodge_irqfd irqfd = {
		.size = sizeof(irqfd), .flags = LODGE_IRQFD_F_DEASSIGN, .fd = w->event,
	};

	return try_ioctl(w->vm->fd, LODGE_VM_IRQFD, &irqfd);
}

static void make_irqfd(struct world *w)
{
	make_events(w);
	require(!call_irqfd(w));
}

static void undo_irqfd(struct world *w, long ret)
{
	require(!call_irqfd_end(w));
}

static long ioeventfd(struct world *w, u32 flags, u64 addr)
{
	struct lodge_ioeventfd io = {
		.size = sizeof(io), .flags = flags, .addr = addr, .fd = w->event,
	};

	return try_ioctl(w->vm->fd, LODGE_VM_IOEVENTFD, &io);
}

static long call_ioeventfd(struct world *w)
{
	return ioeventfd(w, 0, GPA_MMIO);
}

static long call_ioeventfd_end(struct world *w)
{
	return ioeventfd(w, LODGE_IOEVENTFD_F_DEASSIGN, GPA_MMIO);
}

static void undo_ioeventfd(struct world *w, long ret)
{
	require(!call_ioeventfd_end(w));
}

/* Of two, so that one is left. */
static void make_ioeventfds(struct world *w)
{
	make_events(w);
	require(!call_ioeventfd(w) && !ioeventfd(w, 0, GPA_MMIO + 8));
}

static void drop_ioeventfds(struct world *w)
{
	require(!ioeventfd(w, LODGE_IOEVENTFD_F_DEASSIGN, GPA_MMIO + 8));
	drop_events(w);
}

static long call_pause(struct world *w)
{
	return try_ioctl(w->vm->fd, LODGE_VM_PAUSE, NULL);
}

static void undo_pause(struct world *w, long ret)
{
	vm_resume(w->vm);
}

static long call_resume(struct world *w)
{
	return try_ioctl(w->vm->fd, LODGE_VM_RESUME, NULL);
}

static long call_get_state(struct world *w)
{
	return vcpu_try_get(w->vcpu, &w->full->vcpu, ALL_GROUPS);
}

static void get_state(struct world *w)
{
	state_save(w->vcpu, w->full);
}

static long call_set_state(struct world *w)
{
	return vcpu_try_set(w->vcpu, &w->full->vcpu, ALL_GROUPS);
}

static long call_set_cpuid(struct world *w)
{
	struct lodge_cpuid table = {
		.size = sizeof(table), .entries = (uintptr_t)entries, .nr = 1,
	};

	return try_ioctl(w->fresh->fd, LODGE_VCPU_SET_CPUID, &table);
}

static long call_inject(struct world *w)
{
	return vcpu_try_inject(w->fresh, (struct lodge_inject) { .kind = LODGE_INJECT_NMI });
}

static long call_translate(struct world *w)
{
	struct lodge_translate t = { .size = sizeof(t), .gva = GPA_TEST };

	return try_ioctl(w->vcpu->fd, LODGE_VCPU_TRANSLATE, &t);
}

static long call_stats(struct world *w)
{
	struct lodge_vcpu_stats stats = { .size = sizeof(stats) };

	return try_ioctl(w->vcpu->fd, LODGE_VCPU_GET_STATS, &stats);
}

static long call_kick(struct world *w)
{
	return try_ioctl(w->fresh->fd, LODGE_VCPU_KICK, NULL);
}

/* The guest is the first to write this page, and the first of its 2 MiB. */
static void make_untouched(struct world *w)
{
	u64 at = GPA_TEST + HUGE_SIZE;

	w->more = map_anon(PAGE_SIZE);
	vm_map(w->vm, at, w->more, PAGE_SIZE, 0);
	worker_set(w->vcpu, (struct worker_job) { .op = WORK_WRITE, .addr = at, .seed = 7 });
}

static void drop_untouched(struct world *w)
{
	vm_unmap(w->vm, GPA_TEST + HUGE_SIZE, PAGE_SIZE);
	require(*(u64 *)w->more == 7);
	munmap(w->more, PAGE_SIZE);
}

/* A page that could not be had is an exit, and RUN again tries again. */
static long call_run(struct world *w)
{
	const struct lodge_exit *e = &w->vcpu->run->exit;
	int error = vcpu_run(w->vcpu);

	if (error)
		return -error;
	if (e->reason == LODGE_EXIT_MEM_FAULT)
		return -(long)e->mem.error;
	require(e->reason == LODGE_EXIT_PIO && e->pio.data == GUEST_CALL_VALUE);
	return 0;
}

static void undo_run(struct world *w, long ret)
{
	w->vcpu->complete = true;
	guest_run_sync(w->vcpu, 0);
}

static const struct call {
	const char *name;
	void (*prepare)(struct world *w);
	long (*call)(struct world *w);
	void (*undo)(struct world *w, long ret);
	void (*finish)(struct world *w);
} calls[] = {
	{ "open", NULL, call_open, undo_fd, NULL },
	{ "GET_INFO", NULL, call_info, NULL, NULL },
	{ "GET_SUPPORTED_CPUID", NULL, call_cpuid, NULL, NULL },
	{ "GET_SUPPORTED_MSRS", NULL, call_msrs, NULL, NULL },
	{ "CREATE_VM", NULL, call_create_vm, undo_fd, NULL },
	{ "CREATE_VCPU", make_vm, call_create_vcpu, undo_fd, drop_vm },
	{ "mmap", make_vcpu, call_mmap, undo_mmap, drop_vcpu },
	{ "MEM_UPDATE map", NULL, call_map, undo_map, NULL },
	{ "MEM_UPDATE unmap", NULL, call_unmap, undo_unmap, NULL },
	{ "MEM_UPDATE protect", NULL, call_protect, undo_protect, NULL },
	{ "MEM_QUERY", NULL, call_query, NULL, NULL },
	{ "CLOCK_GET", NULL, call_clock_get, NULL, NULL },
	{ "CLOCK_SET", NULL, call_clock_set, NULL, NULL },
	{ "MSI", NULL, call_msi, NULL, NULL },
	{ "IRQ_ROUTES", NULL, call_routes, NULL, NULL },
	{ "IRQFD", make_events, call_irqfd, undo_irqfd, drop_events },
	{ "IRQFD deassign", make_irqfd, call_irqfd_end, NULL, drop_events },
	{ "IOEVENTFD", make_events, call_ioeventfd, undo_ioeventfd, drop_events },
	{ "IOEVENTFD deassign", make_ioeventfds, call_ioeventfd_end, NULL, drop_ioeventfds },
	{ "PAUSE", NULL, call_pause, undo_pause, NULL },
	{ "RESUME", NULL, call_resume, NULL, NULL },
	{ "GET_STATE", get_state, call_get_state, NULL, NULL },
	{ "SET_STATE", get_state, call_set_state, NULL, NULL },
	{ "SET_CPUID", make_vcpu, call_set_cpuid, NULL, drop_vcpu },
	{ "INJECT", make_vcpu, call_inject, NULL, drop_vcpu },
	{ "TRANSLATE", NULL, call_translate, NULL, NULL },
	{ "GET_STATS", NULL, call_stats, NULL, NULL },
	{ "KICK", make_vcpu, call_kick, NULL, drop_vcpu },
	{ "RUN", make_untouched, call_run, undo_run, drop_untouched },
};

/* -------------------------------------------------------------------- the tests */

FIXTURE(fault)
{
	struct world w;
	int nth;
};

FIXTURE_SETUP(fault)
{
	struct world *w = &self->w;

	if (!fault_prepare())
		SKIP(_exit(255), "no fault injection");
	self->nth = fault_open(getpid(), syscall(SYS_gettid));
	w->dev = device_open();
	w->full = aligned_alloc(64, sizeof(*w->full));
	w->mem = map_anon(NR_PAGES * PAGE_SIZE);
	w->more = map_anon(NR_PAGES * PAGE_SIZE);
}

FIXTURE_TEARDOWN(fault)
{
	close(self->w.dev);
	close(self->nth);
	free(self->w.full);
}

/*
 * One call with its @nth fault; true when it met that. A call may also work
 * though something failed, where it can do without.
 */
static bool fail_once(int fd, const struct call *c, struct world *w, int nth)
{
	bool met;
	long ret;

	test_context("%s, fault %d", c->name, nth);
	if (c->prepare)
		c->prepare(w);
	fault_arm(fd, nth);
	ret = c->call(w);
	met = disarm(fd);
	if (ret < 0) {
		if (!met || (ret != -ENOMEM && ret != -EFAULT))
			test_fail("%s", strerror(-ret));
		ret = c->call(w);
		if (ret < 0)
			test_fail("and then, without a fault: %s", strerror(-ret));
	}
	if (c->undo)
		c->undo(w, ret);
	if (c->finish)
		c->finish(w);
	return met;
}

static void fail_each(int fd, const struct call *c, struct world *w)
{
	int nth = 1;

	/* Once without, so that what is made at the first use is there. */
	fail_once(fd, c, w, 0);
	while (fail_once(fd, c, w, nth))
		require(++nth < MOST_FAULTS);
	printf("# %s: %d faults\n", c->name, nth - 1);
	fflush(stdout);
	test_context("%s", "");
}

/* The only VM there is comes and goes: VMX is taken and given back each time. */
TEST_F_TIMEOUT(fault, first_vm, 600)
{
	long refs = read_number(REFCOUNT);
	const struct call *c;

	for (c = calls; c < calls + ARRAY_SIZE(calls); c++)
		if (c->call == call_create_vm)
			fail_each(self->nth, c, &self->w);
	wait_until(read_number(REFCOUNT) == refs);
}

TEST_F_TIMEOUT(fault, every_call, 3000)
{
	long refs = read_number(REFCOUNT);
	struct world *w = &self->w;
	const struct call *c;

	w->vm = vm_create();
	w->vcpu = worker_create(w->vm, 0);
	vm_map(w->vm, GPA_TEST, w->mem, NR_PAGES * PAGE_SIZE, 0);
	require(!call_cpuid(w));
	for (c = calls; c < calls + ARRAY_SIZE(calls); c++)
		fail_each(self->nth, c, w);
	worker_fill(w->vcpu, GPA_TEST, NR_PAGES * PAGE_SIZE, 5);
	vcpu_destroy(w->vcpu);
	vm_destroy(w->vm);
	wait_until(read_number(REFCOUNT) == refs);
}

TEST_HARNESS_MAIN
