// SPDX-License-Identifier: GPL-2.0
/*
 * The rules that hold for every call: sizes, tails, flags, pointers, kinds of
 * file; and the life of the files themselves.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "state.h"
#include "kselftest_harness.h"

#define KERNEL_ADDRESS	((void *)0xffff888000000000ULL)
#define REFCOUNT	"/sys/module/lodge/refcnt"
#define NO_RESERVED	(~0U)

enum kind { DEVICE, VM, VCPU, NR_KINDS };

FIXTURE(abi)
{
	int fd[NR_KINDS];
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(abi)
{
	self->vm = vm_create_empty();
	self->vcpu = vcpu_create(self->vm, 0);
	self->fd[DEVICE] = device_open();
	self->fd[VM] = self->vm->fd;
	self->fd[VCPU] = self->vcpu->fd;
}

FIXTURE_TEARDOWN(abi)
{
	close(self->fd[DEVICE]);
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

/* --------------------------------------------------------------------- the calls */

static struct lodge_cpuid_entry entries[MAX_MSRS];
static struct lodge_mem_op one_op;
static u32 indices[MAX_MSRS];
static u32 next_id, next_page;

static void fill_nothing(void *arg)
{
}

static void fill_cpuid(void *arg)
{
	struct lodge_cpuid *c = arg;

	c->entries = (uintptr_t)entries;
	c->nr = ARRAY_SIZE(entries);
}

static void fill_set_cpuid(void *arg)
{
	struct lodge_cpuid *c = arg;
	int dev = device_open();

	fill_cpuid(c);
	c->size = sizeof(*c);
	require(!try_ioctl(dev, LODGE_GET_SUPPORTED_CPUID, c));
	close(dev);
}

static void fill_msrs(void *arg)
{
	struct lodge_msr_list *m = arg;

	m->indices = (uintptr_t)indices;
	m->nr = ARRAY_SIZE(indices);
}

static void fill_vcpu(void *arg)
{
	struct lodge_create_vcpu *c = arg;

	c->id = ++next_id;
}

static void fill_update(void *arg)
{
	struct lodge_mem_update *u = arg;

	one_op = (struct lodge_mem_op) {
		.op = LODGE_MEM_MAP, .gpa = GPA_TEST + PAGE_SIZE * ++next_page,
		.len = PAGE_SIZE, .hva = 0x10000,
	};
	u->ops = (uintptr_t)&one_op;
	u->nr = 1;
}

static struct lodge_mem_region regions[64];

static void fill_query(void *arg)
{
	struct lodge_mem_query *q = arg;

	q->regions = (uintptr_t)regions;
	q->nr = ARRAY_SIZE(regions);
}

static void fill_msi(void *arg)
{
	struct lodge_msi *m = arg;

	m->address = APIC_BASE_ADDR | 0xe0 << 12;	/* nobody */
	m->data = 0x41;
}

static struct lodge_route one_route = { .address = APIC_BASE_ADDR, .data = 0x41 };

static void fill_routes(void *arg)
{
	struct lodge_irq_routes *r = arg;

	r->routes = (uintptr_t)&one_route;
	r->nr = 1;
}

static void fill_irqfd(void *arg)
{
	struct lodge_irqfd *i = arg;

	i->fd = eventfd(0, EFD_CLOEXEC);	/* a new one each time: they go with us */
}

static void fill_ioeventfd(void *arg)
{
	struct lodge_ioeventfd *i = arg;

	i->addr = GPA_MMIO + ++next_page;
	i->fd = eventfd(0, EFD_CLOEXEC);
}

static void fill_inject(void *arg)
{
	struct lodge_inject *i = arg;

	i->kind = LODGE_INJECT_NMI;
}

#define CALL(kind, name, type, first, fill)	\
	{ #name, kind, LODGE_##name, sizeof(struct type), first, NO_RESERVED, fill }
#define CALL_R(kind, name, type, first, fill)	\
	{ #name, kind, LODGE_##name, sizeof(struct type), first, offsetof(struct type, reserved), \
	  fill }

static const struct call {
	const char *name;
	enum kind kind;
	unsigned long cmd;
	u32 size;			/* of the structure */
	u32 first;			/* of its first published form: for ever */
	u32 reserved;
	void (*fill)(void *arg);	/* a good argument */
} calls[] = {
	CALL_R(DEVICE, GET_INFO, lodge_info, 88, fill_nothing),
	CALL(DEVICE, GET_SUPPORTED_CPUID, lodge_cpuid, 24, fill_cpuid),
	CALL_R(DEVICE, GET_SUPPORTED_MSRS, lodge_msr_list, 24, fill_msrs),
	CALL(DEVICE, CREATE_VM, lodge_create_vm, 8, fill_nothing),
	CALL_R(VM, VM_CREATE_VCPU, lodge_create_vcpu, 16, fill_vcpu),
	CALL(VM, VM_MEM_UPDATE, lodge_mem_update, 24, fill_update),
	CALL_R(VM, VM_MEM_QUERY, lodge_mem_query, 24, fill_query),
	CALL(VM, VM_CLOCK_GET, lodge_clock, 32, fill_nothing),
	CALL(VM, VM_CLOCK_SET, lodge_clock, 32, fill_nothing),
	CALL_R(VM, VM_MSI, lodge_msi, 24, fill_msi),
	CALL(VM, VM_IRQ_ROUTES, lodge_irq_routes, 24, fill_routes),
	CALL_R(VM, VM_IRQFD, lodge_irqfd, 24, fill_irqfd),
	CALL(VM, VM_IOEVENTFD, lodge_ioeventfd, 32, fill_ioeventfd),
	CALL_R(VCPU, VCPU_GET_STATE, lodge_vcpu_state, 592, fill_nothing),
	CALL_R(VCPU, VCPU_SET_STATE, lodge_vcpu_state, 592, fill_nothing),
	CALL(VCPU, VCPU_SET_CPUID, lodge_cpuid, 24, fill_set_cpuid),
	CALL(VCPU, VCPU_INJECT, lodge_inject, 32, fill_inject),
	CALL(VCPU, VCPU_TRANSLATE, lodge_translate, 24, fill_nothing),
	CALL(VCPU, VCPU_GET_STATS, lodge_vcpu_stats, 824, fill_nothing),
};

#define CALLS_END	(calls + ARRAY_SIZE(calls))

/* A buffer with room for a tail; both zero but for what makes a good call. */
union argument {
	struct {
		u32 size;
		u32 flags;
	};
	u8 bytes[2 * 4096];
};

static void make_argument(const struct call *c, union argument *arg)
{
	memset(arg, 0, sizeof(*arg));
	c->fill(arg);
	arg->size = c->size;
}

static int do_call(const struct call *c, const int *fd, union argument *arg)
{
	int ret = try_ioctl(fd[c->kind], c->cmd, arg);

	if (ret >= 0 && (c->cmd == LODGE_CREATE_VM || c->cmd == LODGE_VM_CREATE_VCPU))
		close(ret);
	return ret < 0 ? ret : 0;
}

/* ------------------------------------------------------------ what holds for all */

/* Behind the caller's structure: not to be read, not to be written. */
#define BEHIND		0x5a

static bool all_bytes(const u8 *p, size_t len, u8 byte)
{
	while (len && *p == byte) {
		p++;
		len--;
	}
	return !len;
}

/* A call by one whose structure has @size bytes; its errno, and what it left alone. */
static int call_sized(struct __test_metadata *_metadata, const struct call *c, const int *fd,
		      u32 size)
{
	union argument arg;
	int ret;

	make_argument(c, &arg);
	arg.size = size;
	memset(arg.bytes + size, BEHIND, sizeof(arg) - size);
	ret = do_call(c, fd, &arg);
	EXPECT_EQ(size, arg.size)
		TH_LOG("%s, size %u", c->name, size);
	EXPECT_TRUE(all_bytes(arg.bytes + size, sizeof(arg) - size, BEHIND))
		TH_LOG("%s, size %u: written behind it", c->name, size);
	if (size > c->size)
		EXPECT_TRUE(all_bytes(arg.bytes + c->size, size - c->size, 0))
			TH_LOG("%s, size %u: the tail was written", c->name, size);
	return ret;
}

/* From the first form to more than there is yet, with nothing in what is not known. */
TEST_F(abi, sizes)
{
	static const u32 more[] = { 1, 7, 8, 64 };
	const struct call *c;
	size_t i;
	u32 size;

	for (c = calls; c < CALLS_END; c++) {
		for (size = c->first; size <= c->size; size += 8)
			EXPECT_EQ(0, call_sized(_metadata, c, self->fd, size))
				TH_LOG("%s, size %u", c->name, size);
		for (i = 0; i < ARRAY_SIZE(more); i++)
			EXPECT_EQ(0, call_sized(_metadata, c, self->fd, c->size + more[i]))
				TH_LOG("%s, %u bytes more", c->name, more[i]);
		EXPECT_EQ(0, call_sized(_metadata, c, self->fd, PAGE_SIZE))
			TH_LOG("%s, a page", c->name);
	}
}

TEST_F(abi, unknown_tail)
{
	static const u32 at[] = { 0, 1, 7, 8, 63 };
	const struct call *c;
	union argument arg;
	size_t i;

	for (c = calls; c < CALLS_END; c++) {
		for (i = 0; i < ARRAY_SIZE(at); i++) {
			make_argument(c, &arg);
			arg.size = c->size + 64;
			arg.bytes[c->size + at[i]] = 1;
			EXPECT_EQ(-E2BIG, do_call(c, self->fd, &arg))
				TH_LOG("%s, byte %u", c->name, at[i]);
		}
		make_argument(c, &arg);
		arg.size = PAGE_SIZE;
		arg.bytes[PAGE_SIZE - 1] = 1;
		EXPECT_EQ(-E2BIG, do_call(c, self->fd, &arg))
			TH_LOG("%s, last byte of a page", c->name);
		make_argument(c, &arg);
		arg.size = PAGE_SIZE + 1;
		EXPECT_EQ(-E2BIG, do_call(c, self->fd, &arg))
			TH_LOG("%s, more than a page", c->name);
		arg.size = ~0U;
		EXPECT_EQ(-E2BIG, do_call(c, self->fd, &arg))
			TH_LOG("%s, size of 4 GiB", c->name);
	}
}

TEST_F(abi, too_small)
{
	const struct call *c;
	union argument arg;

	for (c = calls; c < CALLS_END; c++) {
		u32 sizes[] = { 0, 1, 4, 7, c->first - 8, c->first - 1 };
		size_t i;

		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			make_argument(c, &arg);
			arg.size = sizes[i];
			EXPECT_EQ(-EINVAL, do_call(c, self->fd, &arg))
				TH_LOG("%s, size %u", c->name, sizes[i]);
		}
	}
}

TEST_F(abi, unknown_flags)
{
	const struct call *c;
	union argument arg;
	int bit;

	for (c = calls; c < CALLS_END; c++) {
		for (bit = 3; bit < 32; bit++) {
			make_argument(c, &arg);
			arg.flags = 1U << bit;
			EXPECT_EQ(-EINVAL, do_call(c, self->fd, &arg))
				TH_LOG("%s, flag %d", c->name, bit);
		}
	}
}

TEST_F(abi, reserved)
{
	const struct call *c;
	union argument arg;

	for (c = calls; c < CALLS_END; c++) {
		if (c->reserved == NO_RESERVED)
			continue;
		make_argument(c, &arg);
		arg.bytes[c->reserved] = 1;
		EXPECT_EQ(-EINVAL, do_call(c, self->fd, &arg))
			TH_LOG("%s", c->name);
	}
}

TEST_F(abi, bad_pointers)
{
	void *addresses[] = { NULL, (void *)8, KERNEL_ADDRESS, (void *)-8UL };
	const struct call *c;
	size_t i;

	for (c = calls; c < CALLS_END; c++) {
		for (i = 0; i < ARRAY_SIZE(addresses); i++) {
			EXPECT_EQ(-EFAULT, do_call(c, self->fd, addresses[i]))
				TH_LOG("%s of %p", c->name, addresses[i]);
		}
	}
}

/* The structure ends where the memory ends, or goes on beyond it. */
TEST_F(abi, end_of_memory)
{
	u8 *p = map_anon(2 * PAGE_SIZE);
	const struct call *c;
	union argument arg;

	ASSERT_EQ(0, munmap(p + PAGE_SIZE, PAGE_SIZE));
	for (c = calls; c < CALLS_END; c++) {
		make_argument(c, &arg);
		memcpy(p + PAGE_SIZE - c->size, &arg, c->size);
		EXPECT_EQ(0, do_call(c, self->fd, (void *)(p + PAGE_SIZE - c->size)))
			TH_LOG("%s", c->name);
		make_argument(c, &arg);
		memcpy(p + PAGE_SIZE - c->size + 8, &arg, c->size - 8);
		EXPECT_EQ(-EFAULT, do_call(c, self->fd, (void *)(p + PAGE_SIZE - c->size + 8)))
			TH_LOG("%s, cut", c->name);
	}
}

/* Each call on the other kinds of file, and numbers that are no call. */
TEST_F(abi, not_a_call)
{
	static const unsigned long numbers[] = {
		_IO(LODGE_IOC_TYPE, 0x04), _IO(LODGE_IOC_TYPE, 0x1f),
		_IO(LODGE_IOC_TYPE, 0x2b), _IO(LODGE_IOC_TYPE, 0x48),
		_IO(LODGE_IOC_TYPE, 0xff), _IO(0xae, 0x00),
		_IOWR(LODGE_IOC_TYPE, 0x00, struct lodge_info),
		_IOWR(LODGE_IOC_TYPE, 0x20, struct lodge_create_vcpu),
		_IOR(LODGE_IOC_TYPE, 0x40, u32), 0, ~0UL,
	};
	const struct call *c;
	union argument arg;
	size_t i;
	int k;

	for (k = 0; k < NR_KINDS; k++) {
		for (c = calls; c < CALLS_END; c++) {
			make_argument(c, &arg);
			if ((int)c->kind != k)
				EXPECT_EQ(-ENOTTY, try_ioctl(self->fd[k], c->cmd, &arg))
					TH_LOG("%s on kind %d", c->name, k);
		}
		for (i = 0; i < ARRAY_SIZE(numbers); i++) {
			EXPECT_EQ(-ENOTTY, try_ioctl(self->fd[k], numbers[i], &arg))
				TH_LOG("0x%lx on kind %d", numbers[i], k);
		}
	}
	ASSERT_EQ(-ENOTTY, try_ioctl(self->fd[VM], LODGE_VCPU_RUN, NULL));
	ASSERT_EQ(-ENOTTY, try_ioctl(self->fd[DEVICE], LODGE_VCPU_KICK, NULL));
	ASSERT_EQ(-ENOTTY, try_ioctl(self->fd[VCPU], LODGE_VM_PAUSE, NULL));
}

/* Members that are out only may hold anything on the way in. */
struct out_member {
	const char *call;
	u32 offset;
};

#define OUT(name, type, member)	{ #name, offsetof(struct type, member) }

static const struct out_member out_members[] = {
	OUT(GET_INFO, lodge_info, features),
	OUT(GET_INFO, lodge_info, status),
	OUT(GET_INFO, lodge_info, owner),
	OUT(GET_INFO, lodge_info, max_routes),
	OUT(GET_INFO, lodge_info, max_ioeventfds),
	OUT(VM_MEM_UPDATE, lodge_mem_update, bad),
	OUT(VM_CLOCK_GET, lodge_clock, guest_ns),
	OUT(VM_CLOCK_GET, lodge_clock, host_tsc),
	OUT(VM_CLOCK_SET, lodge_clock, host_tsc),
	OUT(VCPU_GET_STATE, lodge_vcpu_state, bad_groups),
	OUT(VCPU_SET_STATE, lodge_vcpu_state, bad_groups),
	OUT(VCPU_SET_STATE, lodge_vcpu_state, bad_msr),
	OUT(VCPU_SET_CPUID, lodge_cpuid, bad),
	OUT(VCPU_TRANSLATE, lodge_translate, gpa),
	OUT(VCPU_GET_STATS, lodge_vcpu_stats, hw),
};

static const struct call *find_call(const char *name)
{
	const struct call *c;

	for (c = calls; c < CALLS_END; c++)
		if (!strcmp(c->name, name))
			return c;
	test_fail("no call %s", name);
}

TEST_F(abi, out_members)
{
	const struct out_member *m;
	union argument arg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(out_members); i++) {
		m = &out_members[i];
		make_argument(find_call(m->call), &arg);
		memset(arg.bytes + m->offset, 0xff, 4);
		EXPECT_EQ(0, do_call(find_call(m->call), self->fd, &arg))
			TH_LOG("%s, offset %u", m->call, m->offset);
	}
}

/* ------------------------------------------------------------------- GET_INFO */

TEST_F(abi, info)
{
	const struct lodge_info *info = device_info();
	struct full_state *full = aligned_alloc(64, sizeof(*full));

	ASSERT_EQ(0, info->status);
	ASSERT_EQ('\0', info->owner[0]);
	ASSERT_EQ(sizeof(*info), info->size);
	ASSERT_EQ(0, info->features >> 8);
	ASSERT_EQ(0, info->mitigations >> 9);
	ASSERT_GE(info->max_vcpus, 2);
	ASSERT_EQ(0, info->run_size % PAGE_SIZE);
	ASSERT_GE(info->run_size, sizeof(struct lodge_run));
	ASSERT_GE(info->fpu_size, 576);
	ASSERT_GE(info->gpa_bits, 32);
	ASSERT_LE(info->gpa_bits, 48);
	ASSERT_GT(info->tsc_khz, 0);
	ASSERT_GE(info->max_regions, 64);
	/* The sizes it gives are those that work. */
	state_save(self->vcpu, full);
	free(full);
}

/* ------------------------------------------------------------------ files, vCPUs */

TEST_F(abi, cloexec)
{
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd[VM], F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd[VCPU], F_GETFD) & FD_CLOEXEC);
}

TEST_F(abi, no_read_or_write)
{
	char c = 0;
	int k;

	for (k = 0; k < NR_KINDS; k++) {
		EXPECT_EQ(-1, read(self->fd[k], &c, 1));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, write(self->fd[k], &c, 1));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(abi, vcpu_ids)
{
	u32 max = device_info()->max_vcpus;
	int fd;

	ASSERT_EQ(-EBUSY, vcpu_try_create(self->vm, 0));
	ASSERT_EQ(-EINVAL, vcpu_try_create(self->vm, max));
	ASSERT_EQ(-EINVAL, vcpu_try_create(self->vm, ~0U));
	fd = vcpu_try_create(self->vm, max - 1);
	ASSERT_GE(fd, 0);
	/* It exists as long as the VM does: its state is the VM's. */
	close(fd);
	ASSERT_EQ(-EBUSY, vcpu_try_create(self->vm, max - 1));
}

TEST_F(abi, all_vcpus)
{
	u32 max = device_info()->max_vcpus, id;
	struct rlimit limit = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &limit);
	for (id = 1; id < max; id++)
		ASSERT_GE(vcpu_try_create(self->vm, id), 0);
	ASSERT_EQ(-EINVAL, vcpu_try_create(self->vm, max));
}

TEST_F(abi, no_descriptors)
{
	struct lodge_create_vm create = { .size = sizeof(create) };
	long refs = read_number(REFCOUNT);
	struct rlimit limit = { 0, 4096 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(-EMFILE, try_ioctl(self->fd[DEVICE], LODGE_CREATE_VM, &create));
	ASSERT_EQ(-EMFILE, vcpu_try_create(self->vm, 1));
	limit.rlim_cur = 1024;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(refs, read_number(REFCOUNT));
	ASSERT_GE(vcpu_try_create(self->vm, 1), 0);
}

TEST_F(abi, mmap)
{
	u32 size = device_info()->run_size;
	static const struct {
		int prot;
		int flags;
		u64 offset;
		u32 more;
		int error;
	} rows[] = {
		{ PROT_READ | PROT_WRITE, MAP_SHARED, 4096, 0, EINVAL },
		{ PROT_READ | PROT_WRITE, MAP_SHARED, 1ULL << 40, 0, EINVAL },
		{ PROT_READ | PROT_WRITE, MAP_SHARED, 0, 4096, EINVAL },
		{ PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, 0, EINVAL },
		{ PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, 0, 0, EINVAL },
		{ PROT_READ, MAP_SHARED, 0, 0, 0 },
	};
	size_t i;
	void *p;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		p = mmap(NULL, size + rows[i].more, rows[i].prot, rows[i].flags,
			 self->fd[VCPU], rows[i].offset);
		EXPECT_EQ(rows[i].error == 0, p != MAP_FAILED)
			TH_LOG("row %zu", i);
		if (rows[i].error)
			EXPECT_EQ(rows[i].error, errno)
				TH_LOG("row %zu", i);
	}
	ASSERT_EQ(MAP_FAILED, mmap(NULL, size, PROT_READ, MAP_SHARED, self->fd[VM], 0));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, size, PROT_READ, MAP_SHARED, self->fd[DEVICE], 0));
	/* Two mappings are one page. */
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd[VCPU], 0);
	ASSERT_NE(MAP_FAILED, p);
	((struct lodge_run *)p)->data = 0x1234;
	ASSERT_EQ(0x1234, self->vcpu->run->data);
	/* Nor does it become code later. */
	ASSERT_EQ(-1, mprotect(p, size, PROT_READ | PROT_EXEC));
	ASSERT_EQ(EACCES, errno);
}

/* ------------------------------------------------------------- ends in any order */

enum { END_DEVICE, END_VM, END_VCPU, END_MAPPING, NR_ENDS };

struct whole {
	int dev;
	struct vm *vm;
	struct vcpu *vcpu;
};

static void end_one(struct whole *w, int what)
{
	switch (what) {
	case END_DEVICE:
		close(w->dev);
		break;
	case END_VM:
		close(w->vm->fd);
		break;
	case END_VCPU:
		close(w->vcpu->fd);
		break;
	case END_MAPPING:
		munmap(w->vcpu->run, device_info()->run_size);
		break;
	}
}

static void say_done(u64 arg)
{
	guest_done();
}

static struct whole begin_whole(void)
{
	struct whole w = { .dev = device_open(), .vm = vm_create() };

	w.vcpu = vcpu_create_at(w.vm, 0, say_done, 0);
	guest_run_done(w.vcpu);
	return w;
}

/* All 24 orders; afterwards nobody holds the module any more. */
TEST(close_in_any_order)
{
	long refs = read_number(REFCOUNT);
	int a, b, c;

	for (a = 0; a < NR_ENDS; a++) {
		for (b = 0; b < NR_ENDS; b++) {
			for (c = 0; c < NR_ENDS; c++) {
				struct whole w;

				if (a == b || a == c || b == c)
					continue;
				w = begin_whole();
				end_one(&w, a);
				end_one(&w, b);
				end_one(&w, c);
				end_one(&w, 6 - a - b - c);
			}
		}
	}
	if (refs >= 0)
		wait_until(read_number(REFCOUNT) == refs);
}

/* The shared page outlives the files. */
TEST(mapping_alone)
{
	struct whole w = begin_whole();

	end_one(&w, END_DEVICE);
	end_one(&w, END_VM);
	end_one(&w, END_VCPU);
	ASSERT_EQ(LODGE_EXIT_PIO, w.vcpu->run->exit.reason);
	w.vcpu->run->data = 1;
}

/* A vCPU runs on when the VM's own file is closed. */
TEST(vcpu_alone)
{
	struct whole w = begin_whole();

	end_one(&w, END_DEVICE);
	end_one(&w, END_VM);
	vcpu_start_long(w.vcpu, say_done, 0);
	w.vcpu->complete = false;
	guest_run_done(w.vcpu);
}

/* -------------------------------------------------------------- other processes */

/* In a child the memory is not the VM's: it may look, but not run. */
static int try_as_child(struct whole *w)
{
	struct lodge_translate t = { .size = sizeof(t) };
	struct lodge_vcpu_state s = {};

	if (vm_try_map(w->vm, GPA_TEST, map_anon(PAGE_SIZE), PAGE_SIZE, 0) != -EPERM)
		return 2;
	if (try_ioctl(w->vcpu->fd, LODGE_VCPU_RUN, NULL) != -EPERM)
		return 3;
	if (vcpu_try_get(w->vcpu, &s, LODGE_STATE_GPRS))
		return 4;
	if (try_ioctl(w->vcpu->fd, LODGE_VCPU_KICK, NULL))
		return 5;
	if (try_ioctl(w->vcpu->fd, LODGE_VCPU_TRANSLATE, &t) != -EPERM)
		return 6;
	return 0;
}

TEST(other_process)
{
	struct whole w = begin_whole();
	int status;
	pid_t pid;

	vcpu_start_long(w.vcpu, say_done, 0);
	w.vcpu->complete = false;
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(try_as_child(&w));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	/* Its kick counts, and then the owner goes on. */
	ASSERT_EQ(EINTR, vcpu_run(w.vcpu));
	guest_run_done(w.vcpu);
}

/* What one leaves behind, the next would meet. */
TEST(many_vms)
{
	long refs = read_number(REFCOUNT);
	struct vm *vm;
	int i;

	for (i = 0; i < 50; i++) {
		vm = vm_create_empty();
		vcpu_destroy(vcpu_create(vm, 0));
		vm_destroy(vm);
	}
	wait_until(read_number(REFCOUNT) == refs);
}

TEST_HARNESS_MAIN
