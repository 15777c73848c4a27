// SPDX-License-Identifier: GPL-2.0
/*
 * Calls in any order with arguments that are nearly right. An input is a string
 * of bytes out of which a program of calls is chosen; inputs that reach new code
 * of the module (as KCOV tells, where the kernel has it) are kept and mutated. It
 * begins with those of fuzz_ioctl.corpus, and prints those of them that reach what
 * none before does, and new ones, as "@corpus HEX": the next fuzz_ioctl.corpus.
 * Making and taking down what is called costs more than the calls, so a few inputs
 * go on with what those before them have left; but each of the corpus has its own.
 *
 * LODGE_ROUNDS: how many calls; LODGE_SEED: another sequence.
 */
#include <fcntl.h>
#include <linux/kcov.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "fuzz.h"
#include "fuzz_ioctl.h"
#include "state.h"
#include "kselftest_harness.h"

#define REFCOUNT	"/sys/module/lodge/refcnt"
#define NR_VMS		2
#define NR_VCPUS	4
#define NR_PAGES	16
#define NR_EVENTS	4
#define MAX_CALLS	48		/* of one input */
#define MAX_CORPUS	4096
#define MAX_SEEN	65536		/* edges told apart */
#define MAX_TRACE	65536
#define MAX_SHARE	4		/* inputs, one after another, on the same objects */
#define RUN_US		1000		/* a guest that runs on is interrupted */

/* -------------------------------------------------------------------- coverage */

static int kcov = -1;
static unsigned long *trace;
static u8 seen[MAX_SEEN];
static u32 nr_seen;

static void coverage_open(void)
{
	kcov = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov < 0)
		return;
	require(!ioctl(kcov, KCOV_INIT_TRACE, MAX_TRACE));
	trace = mmap(NULL, MAX_TRACE * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED,
		     kcov, 0);
	require(trace != MAP_FAILED);
	require(!ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC));
}

static void coverage_begin(void)
{
	if (trace)
		__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
}

/* Was there an edge that no input had before? */
static bool coverage_end(void)
{
	u64 before = 0, pc, i, n;
	bool found = false;
	u32 edge;

	if (!trace)
		return false;
	n = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	for (i = 0; i < n; i++) {
		pc = trace[i + 1];
		edge = ((pc * 0x9e3779b97f4a7c15ULL) ^ before) >> 17 & (MAX_SEEN - 1);
		before = pc * 0x9e3779b97f4a7c15ULL >> 1;
		if (seen[edge])
			continue;
		seen[edge] = 1;
		nr_seen++;
		found = true;
	}
	return found;
}

/* --------------------------------------------------------------------- objects */

static int dev;
static int vms[NR_VMS], vcpus[NR_VCPUS];
static int events[NR_EVENTS];	/* eventfds */
static struct lodge_run *pages[NR_VCPUS];
static u8 *arena;		/* NR_PAGES: all the memory guests are given */
static struct full_state full;
static u32 msr_list[MAX_MSRS];
static struct lodge_cpuid_entry cpuid_list[256];
static u32 nr_cpuid;
static u64 nr_calls;

static int *any_vm(void)
{
	return &vms[fuzz_below(4) == 3 && vms[1] >= 0];
}

/* The first is the one most calls are for. */
static int any_vcpu(void)
{
	static const u8 choice[] = { 0, 0, 0, 0, 0, 1, 2, 3 };
	int i = choice[fuzz_below(ARRAY_SIZE(choice))];

	return vcpus[i] < 0 ? 0 : i;
}

static void drop_vcpu(int i)
{
	if (pages[i])
		munmap(pages[i], device_info()->run_size);
	if (vcpus[i] >= 0)
		close(vcpus[i]);
	pages[i] = NULL;
	vcpus[i] = -1;
}

static void new_event(int i)
{
	if (events[i] >= 0)
		close(events[i]);
	events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(events[i] >= 0);
}

static void drop_all(void)
{
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		drop_vcpu(i);
	for (i = 0; i < NR_VMS; i++) {
		if (vms[i] >= 0)
			close(vms[i]);
		vms[i] = -1;
	}
}

/* ---------------------------------------------------- the calls: argument, result */

/* What the ABI says a call may give. */
static const int known_errors[] = {
	ENOTTY, E2BIG, EOPNOTSUPP, EINVAL, ENOENT, EBUSY, EINTR, EFAULT, ENOSPC, EPERM,
	EBADF,
};

static void check_error(unsigned long cmd, int error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known_errors); i++)
		if (error == known_errors[i])
			return;
	test_fail("call 0x%lx gave %s", cmd, strerror(error));
}

static int do_call(int fd, unsigned long cmd, void *arg)
{
	int ret;

	if (fd < 0)
		return fd;
	nr_calls++;
	ret = try_ioctl(fd, cmd, arg);
	if (ret < 0)
		check_error(cmd, -ret);
	return ret;
}

/* Never one into this program: what a call writes there would be its end. */
static void *bad_pointer(void)
{
	u64 p = fuzz_number();

	return (void *)(p >= PAGE_SIZE && p < 1ULL << 47 ? p & 7 : p);
}

/*
 * Calls with the structure @arg, which holds no pointers, now and then spoilt; @size
 * is its first member.
 */
static int call_with(int fd, unsigned long cmd, void *arg, u32 size)
{
	*(u32 *)arg = size;
	if (fuzz_below(4) == 0)
		fuzz_members(arg, size, 1 + fuzz_below(3));
	return do_call(fd, cmd, fuzz_below(32) ? arg : bad_pointer());
}

static void op_device(void)
{
	static struct lodge_cpuid_entry entries[256];
	static u32 indices[MAX_MSRS];
	struct lodge_info info = {};
	struct lodge_cpuid cpuid = { .entries = (uintptr_t)entries };
	struct lodge_msr_list msrs = { .indices = (uintptr_t)indices };

	cpuid.size = sizeof(cpuid);
	msrs.size = sizeof(msrs);
	switch (fuzz_below(3)) {
	case 0:
		call_with(dev, LODGE_GET_INFO, &info, sizeof(info));
		break;
	case 1:
		cpuid.nr = fuzz_take(1);
		do_call(dev, LODGE_GET_SUPPORTED_CPUID, &cpuid);
		break;
	case 2:
		msrs.nr = fuzz_take(1);
		do_call(dev, LODGE_GET_SUPPORTED_MSRS, &msrs);
		break;
	}
}

static void op_create_vm(void)
{
	struct lodge_create_vm create = {};
	int *vm = &vms[fuzz_below(4) != 3];
	int fd = call_with(dev, LODGE_CREATE_VM, &create, sizeof(create));

	if (fd < 0)
		return;
	if (*vm >= 0)
		close(*vm);
	*vm = fd;
}

static void op_create_vcpu(void)
{
	struct lodge_create_vcpu create = { .id = fuzz_below(NR_VCPUS) };
	int i = create.id;
	int fd = call_with(*any_vm(), LODGE_VM_CREATE_VCPU, &create, sizeof(create));
	void *p;

	if (fd < 0)
		return;
	drop_vcpu(i);
	vcpus[i] = fd;
	p = mmap(NULL, device_info()->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	require(p != MAP_FAILED);
	pages[i] = p;
}

static void op_close(void)
{
	int *vm;

	if (fuzz_below(2)) {
		drop_vcpu(any_vcpu());
		return;
	}
	vm = any_vm();
	if (*vm >= 0)
		close(*vm);
	*vm = -1;
}

/* Where real mode begins, where code can be, around the APIC's page, anywhere. */
static u64 any_gpa(void)
{
	static const u64 bases[] = { 0, 0xfffff000, 0xfee00000, 0x100000, 1ULL << 32 };

	if (fuzz_below(8) == 0)
		return fuzz_number();
	return bases[fuzz_below(ARRAY_SIZE(bases))] + fuzz_below(NR_PAGES) * PAGE_SIZE;
}

/* Never memory of this program but the arena. */
static u64 any_hva(void)
{
	static const u64 others[] = { 0, 1, 0xffff888000000000ULL, 0x7ffffffff000ULL, -4096ULL };

	if (fuzz_below(8) == 0)
		return others[fuzz_below(ARRAY_SIZE(others))];
	return (uintptr_t)arena + fuzz_below(NR_PAGES) * PAGE_SIZE;
}

static void op_mem_update(void)
{
	struct lodge_mem_op ops[4];
	struct lodge_mem_update update = { .ops = (uintptr_t)ops, .nr = 1 + fuzz_below(4) };
	u32 i;

	memset(ops, 0, sizeof(ops));
	for (i = 0; i < update.nr; i++) {
		ops[i].op = 1 + fuzz_below(4);
		ops[i].flags = fuzz_below(16) ? fuzz_below(2) : fuzz_take(4);
		ops[i].gpa = any_gpa();
		ops[i].len = fuzz_below(16) ? (1 + fuzz_below(4)) * PAGE_SIZE : fuzz_number();
		ops[i].hva = ops[i].op == LODGE_MEM_MAP || !fuzz_below(8) ? any_hva() : 0;
		/* Not beyond the arena. */
		if (ops[i].hva && ops[i].len > NR_PAGES * PAGE_SIZE)
			ops[i].len |= 1;
		else if (ops[i].hva)
			ops[i].hva = (uintptr_t)arena;
	}
	/* Spoilt, it could point anywhere; its members have had their share. */
	update.size = sizeof(update);
	do_call(*any_vm(), LODGE_VM_MEM_UPDATE, &update);
}

static void op_mem_query(void)
{
	struct lodge_mem_region regions[8];
	struct lodge_mem_query query = {
		.regions = (uintptr_t)regions, .nr = fuzz_below(9),
	};

	query.size = sizeof(query);
	do_call(*any_vm(), LODGE_VM_MEM_QUERY, &query);
}

static void op_vm(void)
{
	struct lodge_clock clock = { .guest_ns = fuzz_number(), .host_ns = fuzz_number() };
	struct lodge_msi msi = {
		.address = 0xfee00000 | fuzz_take(3), .data = fuzz_take(2),
	};
	int vm = *any_vm();

	switch (fuzz_below(5)) {
	case 0:
		do_call(vm, LODGE_VM_PAUSE, NULL);
		break;
	case 1:
		do_call(vm, LODGE_VM_RESUME, NULL);
		break;
	case 2:
		call_with(vm, LODGE_VM_CLOCK_GET, &clock, sizeof(clock));
		break;
	case 3:
		call_with(vm, LODGE_VM_CLOCK_SET, &clock, sizeof(clock));
		break;
	case 4:
		call_with(vm, LODGE_VM_MSI, &msi, sizeof(msi));
		break;
	}
}

/* Few sources and addresses, so that calls meet each other's. */
static void op_routes(int vm)
{
	struct lodge_route routes[4];
	struct lodge_irq_routes req = {
		.size = sizeof(req), .routes = (uintptr_t)routes, .nr = fuzz_below(5),
	};
	u32 i;

	memset(routes, 0, sizeof(routes));
	for (i = 0; i < req.nr; i++) {
		routes[i].id = fuzz_below(16) ? fuzz_below(4) : fuzz_number();
		routes[i].address = 0xfee00000 | fuzz_take(2);
		routes[i].data = fuzz_take(2);
	}
	if (fuzz_below(8) == 0)
		fuzz_members(routes, sizeof(routes), 1);
	do_call(vm, LODGE_VM_IRQ_ROUTES, &req);
}

static int any_event(void)
{
	return events[fuzz_below(NR_EVENTS)];
}

static void op_irqfd(int vm)
{
	struct lodge_irqfd req = {
		.flags = fuzz_below(4), .fd = any_event(), .route = fuzz_below(4),
	};

	if (req.flags & LODGE_IRQFD_F_RESAMPLE)
		req.resample_fd = any_event();
	call_with(vm, LODGE_VM_IRQFD, &req, sizeof(req));
}

static void op_ioeventfd(int vm)
{
	struct lodge_ioeventfd req = {
		.flags = fuzz_below(8), .addr = fuzz_below(4), .len = 1 << fuzz_below(4),
		.fd = any_event(),
	};

	if (req.flags & LODGE_IOEVENTFD_F_DATAMATCH)
		req.datamatch = fuzz_below(4);
	else if (fuzz_below(2))
		req.len = 0;
	call_with(vm, LODGE_VM_IOEVENTFD, &req, sizeof(req));
}

/* Signalled, or closed. */
static void op_event(void)
{
	int i = fuzz_below(NR_EVENTS);
	u64 one = 1;

	if (fuzz_below(4) == 0)
		new_event(i);
	else
		require(write(events[i], &one, sizeof(one)) > 0 || errno == EAGAIN);
}

static void op_signals(void)
{
	int vm = *any_vm();

	switch (fuzz_below(4)) {
	case 0:
		op_routes(vm);
		break;
	case 1:
		op_irqfd(vm);
		break;
	case 2:
		op_ioeventfd(vm);
		break;
	case 3:
		op_event();
		break;
	}
}

static u64 any_groups(void)
{
	return fuzz_below(4) ? 1ULL << fuzz_below(8) : fuzz_take(1);
}

static void op_get_state(void)
{
	full.vcpu.groups = any_groups();
	full.vcpu.size = sizeof(full.vcpu);
	do_call(vcpus[any_vcpu()], LODGE_VCPU_GET_STATE, &full.vcpu);
}

/* One of the groups, as it is but for a few members. */
static void spoil_state(u64 group, u32 times)
{
	struct lodge_vcpu_state *s = &full.vcpu;
	struct lodge_msr *m;

	if (group & LODGE_STATE_GPRS)
		fuzz_members(&s->gprs, sizeof(s->gprs), times);
	if (group & LODGE_STATE_SREGS)
		fuzz_members(&s->sregs, sizeof(s->sregs), times);
	if (group & LODGE_STATE_CRS)
		fuzz_members(&s->crs, sizeof(s->crs), times);
	if (group & LODGE_STATE_DRS)
		fuzz_members(&s->drs, sizeof(s->drs), times);
	if (group & LODGE_STATE_EVENTS)
		fuzz_members(&s->events, sizeof(s->events), times);
	if (group & LODGE_STATE_FPU)
		fuzz_members(full.fpu, 1024, times);
	if (group & LODGE_STATE_LAPIC)
		fuzz_members(&full.lapic, sizeof(full.lapic), times);
	if (group & LODGE_STATE_MSRS) {
		m = &full.msrs[fuzz_below(s->nr_msrs)];
		m->value = fuzz_number();
		if (fuzz_below(8) == 0)
			m->index = fuzz_number();
	}
}

static void op_set_state(void)
{
	u64 groups = any_groups();
	int fd = vcpus[any_vcpu()];
	u32 i;

	for (i = 0; i < full.vcpu.nr_msrs; i++)
		full.msrs[i].index = msr_list[i];
	full.vcpu.groups = groups;
	full.vcpu.size = sizeof(full.vcpu);
	if (do_call(fd, LODGE_VCPU_GET_STATE, &full.vcpu))
		return;
	spoil_state(groups, 1 + fuzz_below(3));
	do_call(fd, LODGE_VCPU_SET_STATE, &full.vcpu);
}

static void op_set_cpuid(void)
{
	static struct lodge_cpuid_entry entries[256];
	struct lodge_cpuid table = { .entries = (uintptr_t)entries, .nr = nr_cpuid };

	table.size = sizeof(table);
	memcpy(entries, cpuid_list, sizeof(entries));
	fuzz_members(&entries[fuzz_below(table.nr)], sizeof(entries[0]), fuzz_below(3));
	if (fuzz_below(4) == 0)
		table.nr = fuzz_below(table.nr);
	do_call(vcpus[any_vcpu()], LODGE_VCPU_SET_CPUID, &table);
}

static void op_vcpu(void)
{
	struct lodge_inject inject = {
		.kind = 1 + fuzz_below(2), .flags = fuzz_below(2), .vector = fuzz_below(33),
	};
	struct lodge_translate translate = { .gva = any_gpa(), .flags = fuzz_below(8) };
	struct lodge_vcpu_stats stats = {};
	int fd = vcpus[any_vcpu()];

	switch (fuzz_below(4)) {
	case 0:
		do_call(fd, LODGE_VCPU_KICK, NULL);
		break;
	case 1:
		call_with(fd, LODGE_VCPU_INJECT, &inject, sizeof(inject));
		break;
	case 2:
		call_with(fd, LODGE_VCPU_TRANSLATE, &translate, sizeof(translate));
		break;
	case 3:
		call_with(fd, LODGE_VCPU_GET_STATS, &stats, sizeof(stats));
		break;
	}
}

/* The page as it is but for a few inputs, and RUN. */
static void op_run(void)
{
	int i = any_vcpu();
	struct lodge_run *run = pages[i];

	if (!run)
		return;
	run->flags = fuzz_below(8) ? 0 : fuzz_below(3);
	run->wanted = fuzz_below(2) ? LODGE_STATE_SHARED : fuzz_take(1);
	run->valid = fuzz_take(1);
	run->complete = run->exit.flags & LODGE_EXIT_F_COMPLETE ? fuzz_below(3) :
			fuzz_below(8) == 7;
	run->data = fuzz_number();
	run->dirty = 0;
	if (fuzz_below(3) == 0) {
		run->dirty = 1ULL << fuzz_below(6);
		fuzz_members(&run->gprs, sizeof(*run) - offsetof(struct lodge_run, gprs),
			     1 + fuzz_below(3));
	}
	fuzz_interrupt_in(RUN_US);
	do_call(vcpus[i], LODGE_VCPU_RUN, NULL);
	fuzz_interrupt_in(0);
}

/* Code or whatever, for the guests. */
static void op_write(void)
{
	u64 where = fuzz_below(NR_PAGES) * PAGE_SIZE + (fuzz_below(2) ? 0xff0 : 0);
	u64 i, nr = fuzz_below(17);

	for (i = 0; i < nr; i++)
		arena[where + i] = fuzz_take(1);
}

/* Numbers that are calls, and others, with any pointer. */
static void op_any(void)
{
	const int files[] = { dev, vms[0], vms[1], vcpus[0], vcpus[1] };
	unsigned long cmd = _IO(LODGE_IOC_TYPE, fuzz_take(1));

	/* Its result is a file that nobody would close; or it may never come back. */
	if (cmd == LODGE_CREATE_VM || cmd == LODGE_VM_CREATE_VCPU || cmd == LODGE_VCPU_RUN)
		return;
	do_call(files[fuzz_below(ARRAY_SIZE(files))], cmd, bad_pointer());
}

/* Often what goes deep, seldom what takes long. */
static const struct {
	void (*call)(void);
	u32 share;
} operations[] = {
	{ op_device, 2 },
	{ op_create_vm, 2 },
	{ op_create_vcpu, 3 },
	{ op_close, 2 },
	{ op_mem_update, 8 },
	{ op_mem_query, 2 },
	{ op_vm, 6 },
	{ op_get_state, 3 },
	{ op_set_state, 7 },
	{ op_set_cpuid, 3 },
	{ op_vcpu, 6 },
	{ op_run, 12 },
	{ op_write, 3 },
	{ op_signals, 3 },
	{ op_any, 2 },
};

static void any_operation(void)
{
	u32 n = fuzz_below(64), i = 0;

	while (n >= operations[i].share)
		n -= operations[i++].share;
	operations[i].call();
}

/* ------------------------------------------------------------------- one input */

/* A VM with a vCPU that can run, so that little is wasted on getting there. */
static void begin_input(void)
{
	struct lodge_create_vm create_vm = { .size = sizeof(create_vm) };
	struct lodge_create_vcpu create = { .size = sizeof(create) };
	struct lodge_mem_op ops[] = {
		{ LODGE_MEM_MAP, 0, 0, 4 * PAGE_SIZE, (uintptr_t)arena },
		{ LODGE_MEM_MAP, 0, 0xfffff000, PAGE_SIZE, (uintptr_t)arena },
	};
	struct lodge_mem_update update = {
		.size = sizeof(update), .ops = (uintptr_t)ops, .nr = 2,
	};
	int i;

	for (i = 0; i < NR_EVENTS; i++)
		new_event(i);
	vms[0] = try_ioctl(dev, LODGE_CREATE_VM, &create_vm);
	require(vms[0] >= 0);
	vcpus[0] = try_ioctl(vms[0], LODGE_VM_CREATE_VCPU, &create);
	require(vcpus[0] >= 0);
	pages[0] = mmap(NULL, device_info()->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			vcpus[0], 0);
	require(pages[0] != MAP_FAILED);
	require(!try_ioctl(vms[0], LODGE_VM_MEM_UPDATE, &update));
	memset(arena, 0, NR_PAGES * PAGE_SIZE);
}

static bool run_input(const struct fuzz_input *input, bool last)
{
	int n;

	/* The first, or one that finds nothing left to call. */
	if (vms[0] < 0 && vcpus[0] < 0)
		begin_input();
	coverage_begin();
	fuzz_from(input);
	for (n = 0; n < MAX_CALLS && !fuzz_at_end(); n++)
		any_operation();
	if (last)
		drop_all();
	fuzz_from(NULL);
	return coverage_end();
}

/* ----------------------------------------------------------------------- corpus */

static struct fuzz_input *corpus;
static u32 nr_corpus;

static void keep(const struct fuzz_input *input)
{
	if (nr_corpus < MAX_CORPUS)
		corpus[nr_corpus++] = *input;
}

static void print_input(const struct fuzz_input *input)
{
	u32 i;

	printf("@corpus ");
	for (i = 0; i < input->len; i++)
		printf("%02x", input->bytes[i]);
	printf("\n");
	fflush(stdout);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lines of hexadecimal digits. */
static void read_corpus(void)
{
	struct fuzz_input input = {};
	const char *p = fuzz_corpus;

	for (; p < fuzz_corpus_end; p++) {
		if (*p == '\n') {
			keep(&input);
			input.len = 0;
		} else if (digit(p[0]) >= 0 && digit(p[1]) >= 0 &&
			   input.len < FUZZ_MAX_INPUT) {
			input.bytes[input.len++] = digit(p[0]) << 4 | digit(p[1]);
			p++;
		}
	}
}

static const struct fuzz_input *any_input(void)
{
	static const struct fuzz_input empty;

	return nr_corpus ? &corpus[fuzz_random() % nr_corpus] : &empty;
}

/* Without coverage there is nothing to tell good from bad: any input will do. */
static void make_input(struct fuzz_input *input)
{
	u32 i;

	if (nr_corpus && fuzz_random() % 16) {
		fuzz_mutate(input, any_input(), any_input());
		return;
	}
	input->len = 16 + fuzz_random() % (FUZZ_MAX_INPUT - 16);
	for (i = 0; i < input->len; i++)
		input->bytes[i] = fuzz_random();
}

static void list_cpuid(void)
{
	struct lodge_cpuid table = { .entries = (uintptr_t)cpuid_list, .nr = 256 };

	table.size = sizeof(table);
	require(!try_ioctl(dev, LODGE_GET_SUPPORTED_CPUID, &table));
	nr_cpuid = table.nr;
}

static void say_done(u64 arg)
{
	guest_done();
}

FIXTURE(fuzz)
{
	long refs;
	struct vm *other;	/* so that VMX is not taken and given back by each input */
};

FIXTURE_SETUP(fuzz)
{
	self->refs = read_number(REFCOUNT);
	dev = device_open();
	arena = map_anon(NR_PAGES * PAGE_SIZE);
	corpus = calloc(MAX_CORPUS, sizeof(*corpus));
	memset(vms, -1, sizeof(vms));
	memset(vcpus, -1, sizeof(vcpus));
	memset(events, -1, sizeof(events));
	self->other = vm_create_empty();
	state_prepare(&full);
	supported_msrs(msr_list);
	list_cpuid();
	fuzz_seed(fuzz_first_seed());
	coverage_open();
}

FIXTURE_TEARDOWN(fuzz)
{
	vm_destroy(self->other);
	close(dev);
	if (kcov >= 0)
		close(kcov);
	wait_until(read_number(REFCOUNT) == self->refs);
	guest_simple(say_done, 0);
}

TEST_F_TIMEOUT(fuzz, calls, 6000)
{
	u64 most = fuzz_rounds(1000), inputs = 0, said = 0;
	struct fuzz_input input;
	u32 i, known;

	read_corpus();
	known = nr_corpus;
	for (i = 0; i < known; i++)
		if (run_input(&corpus[i], true))
			print_input(&corpus[i]);
	printf("# %u inputs known, %u edges by them\n", known, nr_seen);
	fflush(stdout);
	while (nr_calls < most) {
		/* For whoever has to end it before its end. */
		if (nr_calls / 10000 != said) {
			said = nr_calls / 10000;
			printf("# %llu calls, %u edges\n", nr_calls, nr_seen);
			fflush(stdout);
		}
		make_input(&input);
		inputs++;
		if (run_input(&input, inputs % MAX_SHARE == 0)) {
			keep(&input);
			print_input(&input);
		}
	}
	drop_all();
	printf("# %llu inputs, %llu calls, %u kept, %u edges\n", inputs, nr_calls,
	       nr_corpus - known, nr_seen);
	fflush(stdout);
	if (trace)
		ASSERT_GT(nr_seen, 100);
}

TEST_HARNESS_MAIN
