// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory: the map and its changes, memory of every kind behind it, and
 * what the host does to that memory while the guest uses it.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "worker.h"
#include "kselftest_harness.h"

#define GPA		GPA_TEST
#define PAGES(n)	((n) * PAGE_SIZE)
#define SEED		7

#define NR_HUGEPAGES	"/proc/sys/vm/nr_hugepages"
#define THP_ENABLED	"/sys/kernel/mm/transparent_hugepage/enabled"

FIXTURE(map)
{
	struct vm *vm;
	u8 *mem;		/* 16 pages, not mapped yet */
};

FIXTURE_SETUP(map)
{
	self->vm = vm_create_empty();
	self->mem = map_anon(PAGES(16));
}

FIXTURE_TEARDOWN(map)
{
	vm_destroy(self->vm);
}

/* -------------------------------------------------------------- the map as such */

/* What MEM_QUERY says of one page: its region, or one of length 0. */
static struct lodge_mem_region region_at(struct vm *vm, u64 gpa)
{
	struct lodge_mem_region regions[64], none = {};
	struct lodge_mem_query query = {
		.size = sizeof(query), .regions = (uintptr_t)regions,
		.nr = ARRAY_SIZE(regions),
	};
	u32 i;

	require(!try_ioctl(vm->fd, LODGE_VM_MEM_QUERY, &query));
	for (i = 0; i < query.nr; i++)
		if (gpa >= regions[i].gpa && gpa < regions[i].gpa + regions[i].len)
			return regions[i];
	return none;
}

/* True when the page at @gpa has @hva behind it (NULL: nothing). */
static bool page_is(struct vm *vm, u64 gpa, const void *hva, u32 flags)
{
	struct lodge_mem_region r = region_at(vm, gpa);

	if (!hva)
		return !r.len;
	return r.len && r.hva + gpa - r.gpa == (uintptr_t)hva && r.flags == flags;
}

TEST_F(map, map_unmap)
{
	vm_map(self->vm, GPA, self->mem, PAGES(4), 0);
	ASSERT_TRUE(page_is(self->vm, GPA, self->mem, 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(3), self->mem + PAGES(3), 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(4), NULL, 0));
	vm_unmap(self->vm, GPA, PAGES(4));
	ASSERT_TRUE(page_is(self->vm, GPA, NULL, 0));
	vm_map(self->vm, GPA, self->mem, PAGES(4), LODGE_MEM_F_READONLY);
	ASSERT_TRUE(page_is(self->vm, GPA, self->mem, LODGE_MEM_F_READONLY));
}

/* A piece out of the middle leaves the two ends. */
TEST_F(map, unmap_part)
{
	vm_map(self->vm, GPA, self->mem, PAGES(8), 0);
	vm_unmap(self->vm, GPA + PAGES(3), PAGES(2));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(2), self->mem + PAGES(2), 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(3), NULL, 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(4), NULL, 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(5), self->mem + PAGES(5), 0));
	ASSERT_EQ(0, vm_try_map(self->vm, GPA + PAGES(3), self->mem + PAGES(8), PAGES(2), 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(4), self->mem + PAGES(9), 0));
	/* One operation over all three. */
	vm_unmap(self->vm, GPA + PAGES(1), PAGES(6));
	ASSERT_TRUE(page_is(self->vm, GPA, self->mem, 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(1), NULL, 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(7), self->mem + PAGES(7), 0));
}

TEST_F(map, protect_part)
{
	vm_map(self->vm, GPA, self->mem, PAGES(8), 0);
	vm_protect(self->vm, GPA + PAGES(2), PAGES(2), LODGE_MEM_F_READONLY);
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(1), self->mem + PAGES(1), 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(2), self->mem + PAGES(2),
			    LODGE_MEM_F_READONLY));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(4), self->mem + PAGES(4), 0));
	vm_protect(self->vm, GPA, PAGES(8), 0);
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(2), self->mem + PAGES(2), 0));
}

#define MEM		1	/* hva: that of the fixture's memory */
#define KERNEL		0xffff888000000000ULL

/* With pages 4 to 7 mapped; page numbers are relative to GPA. */
static const struct bad_op {
	const char *name;
	struct lodge_mem_op op;
	int error;
} bad_ops[] = {
	{ "map over all", { LODGE_MEM_MAP, 0, GPA + PAGES(4), PAGES(4), MEM }, EBUSY },
	{ "map over one", { LODGE_MEM_MAP, 0, GPA + PAGES(5), PAGES(1), MEM }, EBUSY },
	{ "map over its start", { LODGE_MEM_MAP, 0, GPA + PAGES(2), PAGES(3), MEM }, EBUSY },
	{ "map over its end", { LODGE_MEM_MAP, 0, GPA + PAGES(7), PAGES(3), MEM }, EBUSY },
	{ "map around", { LODGE_MEM_MAP, 0, GPA, PAGES(16), MEM }, EBUSY },
	{ "unmap a hole", { LODGE_MEM_UNMAP, 0, GPA, PAGES(1), 0 }, ENOENT },
	{ "unmap more than is", { LODGE_MEM_UNMAP, 0, GPA + PAGES(6), PAGES(4), 0 }, ENOENT },
	{ "unmap from before", { LODGE_MEM_UNMAP, 0, GPA + PAGES(3), PAGES(2), 0 }, ENOENT },
	{ "protect a hole", { LODGE_MEM_PROTECT, 0, GPA + PAGES(8), PAGES(1), 0 }, ENOENT },
	{ "unaligned gpa", { LODGE_MEM_MAP, 0, GPA + 1, PAGES(1), MEM }, EINVAL },
	{ "unaligned length", { LODGE_MEM_MAP, 0, GPA, 100, MEM }, EINVAL },
	{ "unaligned hva", { LODGE_MEM_MAP, 0, GPA, PAGES(1), 0x10001 }, EINVAL },
	{ "unmap unaligned", { LODGE_MEM_UNMAP, 0, GPA + PAGES(4), 17, 0 }, EINVAL },
	{ "nothing", { LODGE_MEM_MAP, 0, GPA, 0, MEM }, EINVAL },
	{ "unmap nothing", { LODGE_MEM_UNMAP, 0, GPA + PAGES(4), 0, 0 }, EINVAL },
	{ "wrap", { LODGE_MEM_MAP, 0, GPA, -GPA, MEM }, EINVAL },
	{ "wrap to itself", { LODGE_MEM_MAP, 0, GPA, -PAGE_SIZE, MEM }, EINVAL },
	{ "last page there is", { LODGE_MEM_MAP, 0, -PAGE_SIZE, PAGE_SIZE, MEM }, EINVAL },
	{ "past gpa_bits", { LODGE_MEM_MAP, 0, BIT_ULL(52), PAGE_SIZE, MEM }, EINVAL },
	{ "no such operation 0", { 0, 0, GPA, PAGES(1), MEM }, EINVAL },
	{ "no such operation 4", { 4, 0, GPA, PAGES(1), MEM }, EINVAL },
	{ "unknown flag", { LODGE_MEM_MAP, 2, GPA, PAGES(1), MEM }, EINVAL },
	{ "protect, unknown flag", { LODGE_MEM_PROTECT, 4, GPA + PAGES(4), PAGES(1), 0 }, EINVAL },
	{ "unmap with flags", { LODGE_MEM_UNMAP, 1, GPA + PAGES(4), PAGES(1), 0 }, EINVAL },
	{ "unmap with hva", { LODGE_MEM_UNMAP, 0, GPA + PAGES(4), PAGES(1), MEM }, EINVAL },
	{ "protect with hva", { LODGE_MEM_PROTECT, 0, GPA + PAGES(4), PAGES(1), MEM }, EINVAL },
	{ "kernel memory", { LODGE_MEM_MAP, 0, GPA, PAGES(1), KERNEL }, EINVAL },
	{ "hva that wraps", { LODGE_MEM_MAP, 0, GPA, PAGES(2), -PAGE_SIZE }, EINVAL },
	{ "hva to beyond user space", { LODGE_MEM_MAP, 0, GPA, PAGES(4),
					0x7ffffffff000ULL }, EINVAL },
};

/* Each is refused as written, and named by its index; the map stays. */
TEST_F(map, bad)
{
	struct lodge_mem_op ops[2];
	size_t i;
	u32 bad;
	int ret;

	vm_map(self->vm, GPA + PAGES(4), self->mem, PAGES(4), 0);
	for (i = 0; i < ARRAY_SIZE(bad_ops); i++) {
		/* First one that is good, which must not stay either. */
		ops[0] = (struct lodge_mem_op) { LODGE_MEM_MAP, 0, GPA + PAGES(100), PAGES(1),
						 (uintptr_t)self->mem };
		ops[1] = bad_ops[i].op;
		if (ops[1].hva == MEM)
			ops[1].hva = (uintptr_t)self->mem;
		ret = vm_try_update(self->vm, ops, 2, &bad);
		if (bad_ops[i].op.hva >= 0x7ffffffff000ULL && ret == -EFAULT)
			ret = -EINVAL;
		EXPECT_EQ(-bad_ops[i].error, ret)
			TH_LOG("%s", bad_ops[i].name);
		EXPECT_EQ(1, bad)
			TH_LOG("%s", bad_ops[i].name);
		ASSERT_TRUE(page_is(self->vm, GPA + PAGES(100), NULL, 0));
		ASSERT_TRUE(page_is(self->vm, GPA + PAGES(4), self->mem, 0));
		ASSERT_TRUE(page_is(self->vm, GPA + PAGES(7), self->mem + PAGES(3), 0));
		ASSERT_TRUE(page_is(self->vm, GPA + PAGES(3), NULL, 0));
		ASSERT_TRUE(page_is(self->vm, GPA + PAGES(8), NULL, 0));
	}
}

/* Up to the last page below gpa_bits, and none beyond. */
TEST_F(map, gpa_limit)
{
	u64 end = BIT_ULL(device_info()->gpa_bits);

	ASSERT_EQ(-EINVAL, vm_try_map(self->vm, end, self->mem, PAGES(1), 0));
	ASSERT_EQ(-EINVAL, vm_try_map(self->vm, end - PAGES(1), self->mem, PAGES(2), 0));
	ASSERT_EQ(0, vm_try_map(self->vm, end - PAGES(1), self->mem, PAGES(1), 0));
	ASSERT_TRUE(page_is(self->vm, end - PAGES(1), self->mem, 0));
}

/* Operations take effect in their order. */
TEST_F(map, order)
{
	struct lodge_mem_op ops[] = {
		{ LODGE_MEM_MAP, 0, GPA, PAGES(4), (uintptr_t)self->mem },
		{ LODGE_MEM_UNMAP, 0, GPA + PAGES(1), PAGES(1), 0 },
		{ LODGE_MEM_MAP, 0, GPA + PAGES(1), PAGES(1), (uintptr_t)self->mem + PAGES(9) },
		{ LODGE_MEM_PROTECT, LODGE_MEM_F_READONLY, GPA + PAGES(1), PAGES(2), 0 },
	};

	ASSERT_EQ(0, vm_try_update(self->vm, ops, ARRAY_SIZE(ops), NULL));
	ASSERT_TRUE(page_is(self->vm, GPA, self->mem, 0));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(1), self->mem + PAGES(9),
			    LODGE_MEM_F_READONLY));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(2), self->mem + PAGES(2),
			    LODGE_MEM_F_READONLY));
	ASSERT_TRUE(page_is(self->vm, GPA + PAGES(3), self->mem + PAGES(3), 0));
}

TEST_F(map, query)
{
	struct lodge_mem_region r[4];
	struct lodge_mem_query query = {
		.size = sizeof(query), .regions = (uintptr_t)r, .nr = 4,
	};

	ASSERT_EQ(0, try_ioctl(self->vm->fd, LODGE_VM_MEM_QUERY, &query));
	ASSERT_EQ(0, query.nr);

	/* Not in order, with holes: listed in order. */
	vm_map(self->vm, GPA + PAGES(20), self->mem + PAGES(2), PAGES(2), 0);
	vm_map(self->vm, GPA, self->mem, PAGES(1), LODGE_MEM_F_READONLY);
	query.nr = 4;
	ASSERT_EQ(0, try_ioctl(self->vm->fd, LODGE_VM_MEM_QUERY, &query));
	ASSERT_EQ(2, query.nr);
	ASSERT_EQ(GPA, r[0].gpa);
	ASSERT_EQ(PAGES(1), r[0].len);
	ASSERT_EQ((uintptr_t)self->mem, r[0].hva);
	ASSERT_EQ(LODGE_MEM_F_READONLY, r[0].flags);
	ASSERT_EQ(0, r[0].reserved);
	ASSERT_EQ(GPA + PAGES(20), r[1].gpa);
	ASSERT_EQ(PAGES(2), r[1].len);
	ASSERT_EQ(0, r[1].flags);

	query.nr = 1;
	ASSERT_EQ(-ENOSPC, try_ioctl(self->vm->fd, LODGE_VM_MEM_QUERY, &query));
	ASSERT_EQ(2, query.nr);
	query.nr = 2;
	query.regions = 16;
	ASSERT_EQ(-EFAULT, try_ioctl(self->vm->fd, LODGE_VM_MEM_QUERY, &query));
}

TEST_F(map, too_many_operations)
{
	struct lodge_mem_op *ops = calloc(1025, sizeof(*ops));
	u32 i;

	for (i = 0; i < 1025; i++)
		ops[i] = (struct lodge_mem_op) { LODGE_MEM_MAP, 0, GPA + PAGES(2 * i), PAGES(1),
						 (uintptr_t)self->mem };
	ASSERT_EQ(-EINVAL, vm_try_update(self->vm, ops, 1025, NULL));
	ASSERT_TRUE(page_is(self->vm, GPA, NULL, 0));
	ASSERT_EQ(-EFAULT, vm_try_update(self->vm, (void *)16, 1, NULL));
}

/* max_regions is what GET_INFO says, and one more is refused whole. */
TEST_F(map, too_many_regions)
{
	u32 max = device_info()->max_regions, at, i, n;
	struct lodge_mem_op *ops = calloc(1024, sizeof(*ops));
	u32 bad;

	for (at = 0; at < max; at += n) {
		n = max - at < 1024 ? max - at : 1024;
		for (i = 0; i < n; i++)
			ops[i] = (struct lodge_mem_op) {
				LODGE_MEM_MAP, 0, GPA + PAGES(2 * (at + i)), PAGES(1),
				(uintptr_t)self->mem };
		ASSERT_EQ(0, vm_try_update(self->vm, ops, n, NULL));
	}
	ops[0] = (struct lodge_mem_op) { LODGE_MEM_UNMAP, 0, GPA, PAGES(1), 0 };
	ops[1] = (struct lodge_mem_op) { LODGE_MEM_MAP, 0, 0, PAGES(1), (uintptr_t)self->mem };
	ops[2] = (struct lodge_mem_op) { LODGE_MEM_MAP, 0, PAGES(8), PAGES(1),
					 (uintptr_t)self->mem };
	ASSERT_EQ(-ENOSPC, vm_try_update(self->vm, ops, 3, &bad));
	ASSERT_EQ(2, bad);
	ASSERT_EQ(0, vm_try_update(self->vm, ops, 2, NULL));
}

#define MANY		1024	/* operations in one call */

/* As much as one call can be made to do: all there is, again and again. */
static void protect_for_long(u32 *begun)
{
	u64 len = BIT_ULL(device_info()->gpa_bits) - (4ULL << 30);
	struct lodge_mem_op *ops = calloc(MANY, sizeof(*ops));
	struct vm *vm = vm_create_empty();
	u32 i;

	vm_map(vm, 4ULL << 30, (void *)0x10000, len, 0);
	for (i = 0; i < MANY; i++)
		ops[i] = (struct lodge_mem_op) { LODGE_MEM_PROTECT, LODGE_MEM_F_READONLY,
						 4ULL << 30, len, 0 };
	WRITE_ONCE(*begun, 1);
	for (;;)
		vm_try_update(vm, ops, MANY, NULL);
}

TEST(sigkill_during_update)
{
	u32 *begun = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;
	u64 start;

	ASSERT_NE(MAP_FAILED, begun);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		protect_for_long(begun);
	wait_until(READ_ONCE(*begun));
	usleep(50000);
	start = now_ns();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_LT(now_ns() - start, 2 * NSEC_PER_SEC);
}

/* ----------------------------------------------------------- memory of all kinds */

FIXTURE(memory)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(memory)
{
	self->vm = vm_create();
	self->vcpu = worker_create(self->vm, 0);
}

FIXTURE_TEARDOWN(memory)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

/* Guest and host write by turns, each sees what the other wrote. */
static void exchange(struct vcpu *vcpu, void *hva, u64 gpa, u64 len)
{
	host_fill(hva, gpa, len, PAGE_SIZE, 1);
	worker_check(vcpu, gpa, len, 1);
	worker_fill(vcpu, gpa, len, 2);
	require(!host_check(hva, gpa, len, PAGE_SIZE, 2));
	host_fill(hva, gpa, len, PAGE_SIZE, 3);
	worker_check(vcpu, gpa, len, 3);
}

/* The guest is the first to touch it: reads zeros, then writes. */
static void guest_first(struct vcpu *vcpu, void *hva, u64 gpa, u64 len)
{
	require(!worker_read(vcpu, gpa));
	worker_fill(vcpu, gpa, len, SEED);
	require(!host_check(hva, gpa, len, PAGE_SIZE, SEED));
	exchange(vcpu, hva, gpa, len);
}

TEST_F(memory, anonymous)
{
	guest_first(self->vcpu, vm_ram(self->vm, GPA, PAGES(64)), GPA, PAGES(64));
}

TEST_F(memory, anonymous_shared)
{
	void *p = mmap(NULL, PAGES(64), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	vm_map(self->vm, GPA, p, PAGES(64), 0);
	guest_first(self->vcpu, p, GPA, PAGES(64));
}

static int make_memfd(u64 len)
{
	int fd = memfd_create("lodge-test", MFD_CLOEXEC);

	require(fd >= 0);
	require(!ftruncate(fd, len));
	return fd;
}

static void *map_fd(int fd, u64 offset, u64 len, int flags)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, offset);

	require(p != MAP_FAILED);
	return p;
}

TEST_F(memory, memfd_shared)
{
	int fd = make_memfd(PAGES(64));
	void *p = map_fd(fd, 0, PAGES(64), MAP_SHARED);
	u64 v;

	vm_map(self->vm, GPA, p, PAGES(64), 0);
	guest_first(self->vcpu, p, GPA, PAGES(64));
	/* It is the file that the guest writes. */
	worker_fill(self->vcpu, GPA, PAGES(64), 9);
	ASSERT_EQ(sizeof(v), pread(fd, &v, sizeof(v), PAGES(5)));
	ASSERT_EQ(worker_pattern(GPA + PAGES(5), 9), v);
	v = 0x1234;
	ASSERT_EQ(sizeof(v), pwrite(fd, &v, sizeof(v), PAGES(6)));
	ASSERT_EQ(v, worker_read(self->vcpu, GPA + PAGES(6)));
}

/* Reads come from the file, writes stay in the process. */
TEST_F(memory, memfd_private)
{
	int fd = make_memfd(PAGES(8));
	u8 *p = map_fd(fd, 0, PAGES(8), MAP_PRIVATE);
	u64 v = 0x77;

	ASSERT_EQ(sizeof(v), pwrite(fd, &v, sizeof(v), PAGES(1)));
	vm_map(self->vm, GPA, p, PAGES(8), 0);
	ASSERT_EQ(0x77, worker_read(self->vcpu, GPA + PAGES(1)));
	worker_write(self->vcpu, GPA + PAGES(1), 0x88);
	ASSERT_EQ(0x88, *(u64 *)(p + PAGES(1)));
	ASSERT_EQ(0x88, worker_read(self->vcpu, GPA + PAGES(1)));
	ASSERT_EQ(sizeof(v), pread(fd, &v, sizeof(v), PAGES(1)));
	ASSERT_EQ(0x77, v);
}

/* Guest-physical and host addresses that are not congruent modulo 2 MiB. */
TEST_F(memory, odd_alignment)
{
	u8 *p = map_aligned(4 * HUGE_SIZE, HUGE_SIZE);

	madvise(p, 4 * HUGE_SIZE, MADV_HUGEPAGE);
	vm_map(self->vm, GPA, p + PAGES(3), 2 * HUGE_SIZE, 0);
	exchange(self->vcpu, p + PAGES(3), GPA, 2 * HUGE_SIZE);
}

/* Regions that meet inside a huge page: each page from its own. */
TEST_F(memory, regions_meet)
{
	u8 *p = map_aligned(2 * HUGE_SIZE, HUGE_SIZE);
	u8 *q = map_anon(PAGES(2));

	madvise(p, 2 * HUGE_SIZE, MADV_HUGEPAGE);
	memset(p, 1, 2 * HUGE_SIZE);
	vm_map(self->vm, GPA, p, PAGES(100), 0);
	vm_map(self->vm, GPA + PAGES(100), q, PAGES(2), 0);
	vm_map(self->vm, GPA + PAGES(102), p + PAGES(102), HUGE_SIZE - PAGES(102), 0);
	worker_fill(self->vcpu, GPA, HUGE_SIZE, SEED);
	ASSERT_EQ(0, host_check(p, GPA, PAGES(100), PAGE_SIZE, SEED));
	ASSERT_EQ(0, host_check(q, GPA + PAGES(100), PAGES(2), PAGE_SIZE, SEED));
	ASSERT_EQ(0x0101010101010101ULL, *(u64 *)(p + PAGES(100)));
	ASSERT_EQ(0, host_check(p + PAGES(102), GPA + PAGES(102),
				HUGE_SIZE - PAGES(102), PAGE_SIZE, SEED));
}

/* kB of @field in the mapping of /proc/self/smaps that holds @p. */
static long smaps_kb(const void *p, const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	bool inside = false;
	long kb = -1;
	char line[256];

	while (f && kb < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)p >= start && (uintptr_t)p < end;
		else if (inside && !strncmp(line, field, strlen(field)))
			kb = strtol(line + strlen(field), NULL, 10);
	}
	if (f)
		fclose(f);
	return kb;
}

static u64 entries_for(struct vcpu *vcpu, u64 gpa, u64 len)
{
	u64 before = vcpu_stats(vcpu).ept_mapped;

	worker_fill(vcpu, gpa, len, SEED);
	worker_check(vcpu, gpa, len, SEED);
	return vcpu_stats(vcpu).ept_mapped - before;
}

TEST_F(memory, transparent_huge_pages)
{
	u8 *huge = map_aligned(2 * HUGE_SIZE, HUGE_SIZE);
	u8 *plain = map_aligned(HUGE_SIZE, HUGE_SIZE);
	u64 small, large;

	write_text(THP_ENABLED, "madvise");
	if (madvise(huge, 2 * HUGE_SIZE, MADV_HUGEPAGE))
		SKIP(return, "no transparent huge pages");
	memset(huge, 0, 2 * HUGE_SIZE);
	if (smaps_kb(huge, "AnonHugePages:") < 4096)
		SKIP(return, "the host gave no huge page");
	madvise(plain, HUGE_SIZE, MADV_NOHUGEPAGE);
	vm_map(self->vm, GPA, huge, 2 * HUGE_SIZE, 0);
	vm_map(self->vm, GPA + 2 * HUGE_SIZE, plain, HUGE_SIZE, 0);

	large = entries_for(self->vcpu, GPA, 2 * HUGE_SIZE);
	small = entries_for(self->vcpu, GPA + 2 * HUGE_SIZE, HUGE_SIZE);
	ASSERT_GE(small, HUGE_SIZE / PAGE_SIZE);
	ASSERT_LE(large, 32);
	exchange(self->vcpu, huge, GPA, 2 * HUGE_SIZE);
}

TEST_F(memory, hugetlb)
{
	void *p;

	write_text(NR_HUGEPAGES, "4");
	p = mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED) {
		write_text(NR_HUGEPAGES, "0");
		SKIP(return, "no hugetlb pages");
	}
	vm_map(self->vm, GPA, p, 2 * HUGE_SIZE, 0);
	EXPECT_LE(entries_for(self->vcpu, GPA, 2 * HUGE_SIZE), 32);
	exchange(self->vcpu, p, GPA, 2 * HUGE_SIZE);
	/* A piece of it, and 4 KiB that do not begin with it. */
	vm_unmap(self->vm, GPA, 2 * HUGE_SIZE);
	vm_map(self->vm, GPA, (u8 *)p + PAGES(7), PAGES(300), 0);
	exchange(self->vcpu, (u8 *)p + PAGES(7), GPA, PAGES(300));
	vm_unmap(self->vm, GPA, PAGES(300));
	munmap(p, 2 * HUGE_SIZE);
	write_text(NR_HUGEPAGES, "0");
}

/* Far more address space than memory: only what is touched costs. */
TEST_F(memory, sparse)
{
	const u64 gva = 0x200000000ULL;
	u64 gpa = 1ULL << 33, len = 16ULL << 30, at;
	u8 *p = map_anon(len);
	int i;

	if (device_info()->gpa_bits < 36)
		SKIP(return, "guest-physical addresses are too short");
	vm_map(self->vm, gpa, p, len, 0);
	for (i = 0; i < 8; i++) {
		at = i * (len / 8) + (i + 1) * PAGE_SIZE;
		if (i == 7)
			at = len - PAGE_SIZE;
		vm_gva_map(self->vm, gva + i * PAGE_SIZE, gpa + at, PAGE_SIZE,
			   PTE_P | PTE_W, GVA_4K);
		worker_write(self->vcpu, gva + i * PAGE_SIZE, i + 1);
		ASSERT_EQ(i + 1, *(u64 *)(p + at));
	}
	ASSERT_LT(smaps_kb(p, "Rss:"), 32 * 1024);
}

/* --------------------------------------------------------------- read-only regions */

TEST_F(memory, readonly_region)
{
	u64 *p = vm_ram(self->vm, GPA, PAGES(2));
	struct lodge_exit *e;

	p[0] = 0x1111;
	vm_protect(self->vm, GPA, PAGES(2), LODGE_MEM_F_READONLY);
	ASSERT_EQ(0x1111, worker_read(self->vcpu, GPA));
	worker_set(self->vcpu, (struct worker_job) {
		.op = WORK_WRITE, .addr = GPA, .seed = 0x2222 });
	e = vcpu_run_complete(self->vcpu, LODGE_EXIT_MMIO, 0);
	ASSERT_EQ(GPA, e->mmio.gpa);
	ASSERT_EQ(8, e->mmio.width);
	ASSERT_EQ(LODGE_MMIO_WRITE, e->mmio.flags);
	ASSERT_EQ(0x2222, e->mmio.data);
	guest_run_value(self->vcpu);
	guest_run_sync(self->vcpu, 0);
	ASSERT_EQ(0x1111, p[0]);
	ASSERT_EQ(0x1111, worker_read(self->vcpu, GPA));
	p[0] = 0x3333;
	ASSERT_EQ(0x3333, worker_read(self->vcpu, GPA));
}

/* From writable to read-only and back: the guest's entry follows. */
TEST_F(memory, protect)
{
	u64 *p = vm_ram(self->vm, GPA, PAGES(1));
	int i;

	for (i = 1; i <= 3; i++) {
		worker_write(self->vcpu, GPA, i);
		ASSERT_EQ(i, p[0]);
		vm_protect(self->vm, GPA, PAGES(1), LODGE_MEM_F_READONLY);
		worker_set(self->vcpu, (struct worker_job) {
			.op = WORK_WRITE, .addr = GPA, .seed = 99 });
		vcpu_run_complete(self->vcpu, LODGE_EXIT_MMIO, 0);
		guest_run_value(self->vcpu);
		guest_run_sync(self->vcpu, 0);
		ASSERT_EQ(i, p[0]);
		vm_protect(self->vm, GPA, PAGES(1), 0);
	}
}

/* Memory the process may only read, and a file it may only read. */
TEST_F(memory, read_only_mapping)
{
	u64 *p = map_anon(PAGES(1));

	p[0] = 5;
	ASSERT_EQ(0, mprotect(p, PAGES(1), PROT_READ));
	vm_map(self->vm, GPA, p, PAGES(1), 0);
	ASSERT_EQ(5, worker_read(self->vcpu, GPA));
}

/* --------------------------------------------- what the host does to the memory */

/* The job must end in a MEM_FAULT that says this. */
static void expect_mem_fault(struct vcpu *vcpu, struct worker_job job, const void *hva,
			     u32 flags)
{
	struct lodge_exit *e;

	worker_set(vcpu, job);
	e = vcpu_run_until(vcpu, LODGE_EXIT_MEM_FAULT);
	if (e->mem.error != EFAULT ||
	    (e->mem.gpa & ~(PAGE_SIZE - 1)) != (job.addr & ~(PAGE_SIZE - 1)) ||
	    (e->mem.hva & ~(PAGE_SIZE - 1)) != ((uintptr_t)hva & ~(PAGE_SIZE - 1)) ||
	    e->mem.flags != flags)
		vcpu_fail(vcpu, "wanted EFAULT for hva %p, gpa 0x%llx, flags 0x%x", hva,
			  job.addr, flags);
}

static void finish_job(struct vcpu *vcpu)
{
	guest_run_value(vcpu);
	guest_run_sync(vcpu, 0);
}

TEST_F(memory, munmap)
{
	struct worker_job read = { .op = WORK_READ, .addr = GPA + PAGES(2) };
	struct worker_job write = { .op = WORK_WRITE, .addr = GPA + PAGES(2), .seed = 6 };
	u8 *p = vm_ram(self->vm, GPA, PAGES(4));
	u8 *hole = p + PAGES(2);

	worker_fill(self->vcpu, GPA, PAGES(4), SEED);
	ASSERT_EQ(0, munmap(hole, PAGES(1)));
	expect_mem_fault(self->vcpu, read, hole, 0);
	/* RUN again tries again. */
	expect_mem_fault(self->vcpu, read, hole, 0);
	ASSERT_EQ(hole, mmap(hole, PAGES(1), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, guest_run_value(self->vcpu));
	guest_run_sync(self->vcpu, 0);
	worker_check(self->vcpu, GPA, PAGES(2), SEED);

	ASSERT_EQ(0, munmap(hole, PAGES(1)));
	expect_mem_fault(self->vcpu, write, hole, LODGE_GVA_WRITE);
}

TEST_F(memory, fetch_from_hole)
{
	struct worker_job call = { .op = WORK_CALL, .addr = GPA };
	u8 *p = vm_ram(self->vm, GPA, PAGES(1));

	*p = 0xc3;	/* ret */
	worker_do(self->vcpu, call);
	ASSERT_EQ(0, munmap(p, PAGES(1)));
	expect_mem_fault(self->vcpu, call, p, LODGE_GVA_EXEC);
}

TEST_F(memory, madv_dontneed)
{
	u8 *p = vm_ram(self->vm, GPA, PAGES(16));
	int i;

	worker_fill(self->vcpu, GPA, PAGES(16), SEED);
	ASSERT_EQ(0, madvise(p + PAGES(4), PAGES(4), MADV_DONTNEED));
	for (i = 4; i < 8; i++)
		ASSERT_EQ(0, worker_read(self->vcpu, GPA + PAGES(i)));
	worker_check(self->vcpu, GPA, PAGES(4), SEED);
	worker_check(self->vcpu, GPA + PAGES(8), PAGES(8), SEED);
	exchange(self->vcpu, p, GPA, PAGES(16));
}

TEST_F(memory, mprotect)
{
	struct worker_job write = { .op = WORK_WRITE, .addr = GPA, .seed = 9 };
	struct worker_job read = { .op = WORK_READ, .addr = GPA };
	u64 *p = vm_ram(self->vm, GPA, PAGES(1));

	worker_write(self->vcpu, GPA, 5);
	ASSERT_EQ(0, mprotect(p, PAGES(1), PROT_READ));
	ASSERT_EQ(5, worker_read(self->vcpu, GPA));
	expect_mem_fault(self->vcpu, write, p, LODGE_GVA_WRITE);
	ASSERT_EQ(5, p[0]);
	ASSERT_EQ(0, mprotect(p, PAGES(1), PROT_READ | PROT_WRITE));
	finish_job(self->vcpu);
	ASSERT_EQ(9, p[0]);

	ASSERT_EQ(0, mprotect(p, PAGES(1), PROT_NONE));
	expect_mem_fault(self->vcpu, read, p, 0);
	ASSERT_EQ(0, mprotect(p, PAGES(1), PROT_READ));
	ASSERT_EQ(9, guest_run_value(self->vcpu));
}

TEST_F(memory, mremap)
{
	struct worker_job read = { .op = WORK_READ, .addr = GPA };
	u64 *p = vm_ram(self->vm, GPA, PAGES(1)), *q;

	worker_write(self->vcpu, GPA, 5);
	q = mremap(p, PAGES(1), PAGES(1), MREMAP_MAYMOVE | MREMAP_FIXED, map_anon(PAGES(1)));
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(5, q[0]);
	expect_mem_fault(self->vcpu, read, p, 0);
}

/* A file that becomes shorter under the guest. */
TEST_F(memory, truncate)
{
	struct worker_job read = { .op = WORK_READ, .addr = GPA + PAGES(1) };
	int fd = make_memfd(PAGES(2));
	u8 *p = map_fd(fd, 0, PAGES(2), MAP_SHARED);

	vm_map(self->vm, GPA, p, PAGES(2), 0);
	worker_fill(self->vcpu, GPA, PAGES(2), SEED);
	ASSERT_EQ(0, ftruncate(fd, PAGES(1)));
	worker_check(self->vcpu, GPA, PAGES(1), SEED);
	expect_mem_fault(self->vcpu, read, p + PAGES(1), 0);
	ASSERT_EQ(0, ftruncate(fd, PAGES(2)));
	ASSERT_EQ(0, guest_run_value(self->vcpu));
}

/* After fork() the guest writes to the parent's copy, also through old entries. */
TEST_F(memory, fork)
{
	u64 *p = vm_ram(self->vm, GPA, PAGES(2));
	int go[2], status;
	pid_t pid;
	char c;

	worker_write(self->vcpu, GPA, 1);
	ASSERT_EQ(0, worker_read(self->vcpu, GPA + PAGES(1)));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		require(read(go[0], &c, 1) == 1);
		_exit(p[0] == 1 && p[PAGES(1) / 8] == 0 ? 0 : 1);
	}
	worker_write(self->vcpu, GPA, 2);
	worker_write(self->vcpu, GPA + PAGES(1), 2);
	ASSERT_EQ(2, p[0]);
	ASSERT_EQ(2, p[PAGES(1) / 8]);
	ASSERT_EQ(1, write(go[1], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	ASSERT_EQ(2, worker_read(self->vcpu, GPA));
}

/* The zero page that a read maps gives way to the first write, by either side. */
TEST_F(memory, zero_page)
{
	u64 *p = vm_ram(self->vm, GPA, PAGES(2));

	ASSERT_EQ(0, worker_read(self->vcpu, GPA));
	ASSERT_EQ(0, worker_read(self->vcpu, GPA + PAGES(1)));
	p[0] = 3;
	ASSERT_EQ(3, worker_read(self->vcpu, GPA));
	worker_write(self->vcpu, GPA + PAGES(1), 4);
	ASSERT_EQ(4, p[PAGES(1) / 8]);
}

/* -------------------------------------------------- what is mapped around a fault */

/*
 * Two faults in sequence make lodge map what lies around them, 64 KiB at most. The
 * guest has not asked for those pages: each must be what it would have got.
 */
#define AROUND		16
#define CLEAN		6	/* the first page behind the two */

static u8 *small_pages(u64 nr)
{
	u8 *p = map_anon(PAGES(nr));

	require(!madvise(p, PAGES(nr), MADV_NOHUGEPAGE));
	return p;
}

static void fault_twice(struct vcpu *vcpu)
{
	worker_read(vcpu, GPA + PAGES(CLEAN - 2));
	worker_read(vcpu, GPA + PAGES(CLEAN - 1));
}

/* Afterwards the guest has the window, writable, and nothing of the next. */
TEST_F(memory, around)
{
	u8 *p = small_pages(2 * AROUND);
	u64 faults;

	if (!(device_info()->features & LODGE_FEATURE_EPT_AD))
		SKIP(return, "no accessed bits");
	host_fill(p, GPA, PAGES(2 * AROUND), PAGE_SIZE, SEED);
	vm_map(self->vm, GPA, p, PAGES(2 * AROUND), 0);
	fault_twice(self->vcpu);
	faults = vcpu_stats(self->vcpu).ept_mapped;
	worker_check(self->vcpu, GPA, PAGES(AROUND), SEED);
	worker_fill(self->vcpu, GPA, PAGES(AROUND), 2);
	ASSERT_EQ(faults, vcpu_stats(self->vcpu).ept_mapped);
	ASSERT_EQ(0, host_check(p, GPA, PAGES(AROUND), PAGE_SIZE, 2));
	/* One fault brings the next window. */
	worker_check(self->vcpu, GPA + PAGES(AROUND), PAGES(AROUND), SEED);
	ASSERT_EQ(faults + 1, vcpu_stats(self->vcpu).ept_mapped);
}

/* Memory that lies otherwise than the guest's: across two of the host's tables. */
TEST_F(memory, around_unaligned)
{
	u8 *p = map_aligned(2 * HUGE_SIZE, HUGE_SIZE);
	u64 i;

	require(!madvise(p, 2 * HUGE_SIZE, MADV_NOHUGEPAGE));
	for (i = 0; i < AROUND; i++) {
		u8 *at = p + HUGE_SIZE - PAGES(i);

		vm_map(self->vm, GPA, at, PAGES(AROUND), 0);
		host_fill(at, GPA, PAGES(AROUND), PAGE_SIZE, i);
		fault_twice(self->vcpu);
		worker_check(self->vcpu, GPA, PAGES(AROUND), i);
		vm_unmap(self->vm, GPA, PAGES(AROUND));
	}
}

/* Around a region lies another: its pages come from elsewhere, or may not be written. */
TEST_F(memory, around_regions)
{
	struct worker_job write = { .op = WORK_WRITE, .addr = GPA + PAGES(AROUND - 1) };
	u8 *p = small_pages(AROUND), *q = small_pages(AROUND);

	host_fill(p, GPA, PAGES(AROUND), PAGE_SIZE, 1);
	host_fill(q, GPA, PAGES(AROUND), PAGE_SIZE, 2);
	vm_map(self->vm, GPA, q, PAGES(2), 0);
	vm_map(self->vm, GPA + PAGES(2), p + PAGES(2), PAGES(CLEAN - 2), 0);
	vm_map(self->vm, GPA + PAGES(CLEAN), q + PAGES(CLEAN), PAGES(AROUND - CLEAN - 1), 0);
	vm_map(self->vm, GPA + PAGES(AROUND - 1), p + PAGES(AROUND - 1), PAGES(1),
	       LODGE_MEM_F_READONLY);
	fault_twice(self->vcpu);
	worker_check(self->vcpu, GPA, PAGES(2), 2);
	worker_check(self->vcpu, GPA + PAGES(2), PAGES(CLEAN - 2), 1);
	worker_check(self->vcpu, GPA + PAGES(CLEAN), PAGES(AROUND - CLEAN - 1), 2);
	worker_set(self->vcpu, write);
	vcpu_run_complete(self->vcpu, LODGE_EXIT_MMIO, 0);
	finish_job(self->vcpu);
	ASSERT_EQ(0, host_check(p, GPA, PAGES(AROUND), PAGE_SIZE, 1));
}

/* A read-only region stays so, however dirty the host's pages are. */
TEST_F(memory, around_readonly)
{
	struct worker_job write = { .op = WORK_WRITE, .addr = GPA + PAGES(CLEAN) };
	u8 *p = small_pages(AROUND);

	host_fill(p, GPA, PAGES(AROUND), PAGE_SIZE, 1);
	vm_map(self->vm, GPA, p, PAGES(AROUND), LODGE_MEM_F_READONLY);
	fault_twice(self->vcpu);
	worker_check(self->vcpu, GPA, PAGES(AROUND), 1);
	worker_set(self->vcpu, write);
	vcpu_run_complete(self->vcpu, LODGE_EXIT_MMIO, 0);
	finish_job(self->vcpu);
	ASSERT_EQ(0, host_check(p, GPA, PAGES(AROUND), PAGE_SIZE, 1));
}

/* What the process does not have, may not read or may not write, the guest does not. */
TEST_F(memory, around_holes)
{
	const u64 hole = CLEAN, none = CLEAN + 2, readonly = CLEAN + 4;
	struct worker_job job = { .op = WORK_READ, .addr = GPA + PAGES(hole) };
	u8 *p = small_pages(AROUND);

	host_fill(p, GPA, PAGES(AROUND), PAGE_SIZE, SEED);
	ASSERT_EQ(0, munmap(p + PAGES(hole), PAGES(1)));
	ASSERT_EQ(0, mprotect(p + PAGES(none), PAGES(1), PROT_NONE));
	ASSERT_EQ(0, mprotect(p + PAGES(readonly), PAGES(1), PROT_READ));
	vm_map(self->vm, GPA, p, PAGES(AROUND), 0);
	fault_twice(self->vcpu);
	expect_mem_fault(self->vcpu, job, p + PAGES(hole), 0);
	ASSERT_EQ(p + PAGES(hole), mmap(p + PAGES(hole), PAGES(1), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, guest_run_value(self->vcpu));
	guest_run_sync(self->vcpu, 0);

	job.addr = GPA + PAGES(none);
	expect_mem_fault(self->vcpu, job, p + PAGES(none), 0);
	ASSERT_EQ(0, mprotect(p + PAGES(none), PAGES(1), PROT_READ | PROT_WRITE));
	ASSERT_EQ(worker_pattern(job.addr, SEED), guest_run_value(self->vcpu));
	guest_run_sync(self->vcpu, 0);

	job = (struct worker_job) { .op = WORK_WRITE, .addr = GPA + PAGES(readonly) };
	expect_mem_fault(self->vcpu, job, p + PAGES(readonly), LODGE_GVA_WRITE);
	ASSERT_EQ(worker_pattern(job.addr, SEED), *(u64 *)(p + PAGES(readonly)));
}

/* The zero page is everybody's. */
TEST_F(memory, around_zero_pages)
{
	u8 *p = small_pages(2 * AROUND);
	u64 i;

	for (i = 0; i < 2 * AROUND; i++)
		ASSERT_EQ(0, READ_ONCE(p[PAGES(i)]));
	vm_map(self->vm, GPA, p, PAGES(AROUND), 0);
	fault_twice(self->vcpu);
	worker_fill(self->vcpu, GPA, PAGES(AROUND), SEED);
	ASSERT_EQ(0, host_check(p, GPA, PAGES(AROUND), PAGE_SIZE, SEED));
	for (i = AROUND; i < 2 * AROUND; i++)
		ASSERT_EQ(0, READ_ONCE(*(u64 *)(p + PAGES(i))));
}

/* Pages that wait to be copied are the child's as well. */
TEST_F(memory, around_fork)
{
	u8 *p = small_pages(AROUND);
	int go[2], status;
	pid_t pid;
	char c;

	host_fill(p, GPA, PAGES(AROUND), PAGE_SIZE, 1);
	vm_map(self->vm, GPA, p, PAGES(AROUND), 0);
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		require(read(go[0], &c, 1) == 1);
		_exit(host_check(p, GPA, PAGES(AROUND), PAGE_SIZE, 1));
	}
	fault_twice(self->vcpu);
	worker_fill(self->vcpu, GPA, PAGES(AROUND), 2);
	ASSERT_EQ(1, write(go[1], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	ASSERT_EQ(0, host_check(p, GPA, PAGES(AROUND), PAGE_SIZE, 2));
}

/* What the host may drop it drops, unless the guest has written to it since. */
TEST_F(memory, around_freed)
{
	u64 at = GPA + PAGES(CLEAN), len = PAGES(AROUND - CLEAN);
	u8 *p = small_pages(AROUND), *freed = p + PAGES(CLEAN);
	int i, cpu;

	/* PAGEOUT passes by what the kernel has gathered on another CPU, and not yet listed. */
	ASSERT_EQ(1, online_cpus(&cpu, 1));
	ASSERT_TRUE(pin_to_cpu(0, cpu));
	host_fill(p, GPA, PAGES(AROUND), PAGE_SIZE, 1);
	ASSERT_EQ(0, madvise(freed, len, MADV_FREE));
	vm_map(self->vm, GPA, p, PAGES(AROUND), 0);
	fault_twice(self->vcpu);
	/* Some of them again are not the guest's: so one sees that it is done. */
	worker_fill(self->vcpu, at, len - PAGES(2), 2);
	/* The first time the host sees that they are in use. */
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, madvise(freed, len, MADV_PAGEOUT));
	ASSERT_EQ(0, host_check(freed, at, len - PAGES(2), PAGE_SIZE, 2));
	ASSERT_EQ(0, *(u64 *)(freed + len - PAGES(1)));
	worker_check(self->vcpu, at, len - PAGES(2), 2);
}

/* ------------------------------------------------------ changes while it runs */

#define SWAPS		200

static u32 stop;
static u64 reads_done;

/* Reads one word until told to stop; it must never see what was taken away. */
static void watch_word(u64 gpa)
{
	u64 v;

	while (!READ_ONCE(stop)) {
		v = READ_ONCE(*(u64 *)gpa);
		GUEST_ASSERT(v == 1 || v == 2);
		WRITE_ONCE(reads_done, reads_done + 1);
	}
	guest_done();
}

static void swap_mapping(struct vm *vm, u64 *to)
{
	struct lodge_mem_op ops[] = {
		{ LODGE_MEM_UNMAP, 0, GPA, PAGES(1), 0 },
		{ LODGE_MEM_MAP, 0, GPA, PAGES(1), (uintptr_t)to },
	};

	require(!vm_try_update(vm, ops, 2, NULL));
}

/*
 * Replaced in one call, a page is never missing; and when the call is back, the
 * guest uses the old one no more.
 */
TEST(replace_while_running)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, watch_word, GPA);
	u64 *page[2] = { map_anon(PAGES(1)), map_anon(PAGES(1)) };
	pthread_t thread;
	int i;

	*page[0] = 1;
	*page[1] = 2;
	vm_map(vm, GPA, page[0], PAGES(1), 0);
	thread = guest_thread(vcpu);
	wait_until(READ_ONCE(reads_done));
	for (i = 1; i <= SWAPS; i++) {
		swap_mapping(vm, page[i & 1]);
		WRITE_ONCE(*page[~i & 1], 3);
		if (!(i & 15))
			usleep(1000);
		WRITE_ONCE(*page[~i & 1], 2 - (i & 1));
	}
	WRITE_ONCE(stop, 1);
	join(thread);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

/*
 * The same by the host's own means: another page of a file comes to the same
 * address, and when mmap() is back, the guest uses the first one no more.
 */
TEST(remap_while_running)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, watch_word, GPA);
	int fd = make_memfd(PAGES(2)), i;
	u8 *file = map_fd(fd, 0, PAGES(2), MAP_SHARED);
	u64 *page[2] = { (u64 *)file, (u64 *)(file + PAGES(1)) };
	void *window = map_fd(fd, 0, PAGES(1), MAP_SHARED);
	pthread_t thread;

	*page[0] = 1;
	*page[1] = 2;
	vm_map(vm, GPA, window, PAGES(1), 0);
	thread = guest_thread(vcpu);
	wait_until(READ_ONCE(reads_done));
	for (i = 1; i <= SWAPS; i++) {
		require(mmap(window, PAGES(1), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     fd, PAGES(i & 1)) == window);
		WRITE_ONCE(*page[~i & 1], 3);
		if (!(i & 15))
			usleep(1000);
		WRITE_ONCE(*page[~i & 1], 2 - (i & 1));
	}
	WRITE_ONCE(stop, 1);
	join(thread);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

/* Taken away for good: the next access leaves as MMIO. */
TEST(unmap_while_running)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, watch_word, GPA);
	u64 *page = vm_ram(vm, GPA, PAGES(1));
	struct async_run run;

	*page = 1;
	async_run(&run, vcpu);
	wait_until(READ_ONCE(reads_done));
	vm_unmap(vm, GPA, PAGES(1));
	WRITE_ONCE(*page, 3);
	ASSERT_EQ(0, async_end(&run));
	ASSERT_EQ(LODGE_EXIT_MMIO, vcpu->run->exit.reason);
	ASSERT_EQ(GPA, vcpu->run->exit.mmio.gpa);
}

/* The host's munmap, too. */
TEST(munmap_while_running)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, watch_word, GPA);
	u64 *page = vm_ram(vm, GPA, PAGES(1));
	struct async_run run;

	*page = 1;
	async_run(&run, vcpu);
	wait_until(READ_ONCE(reads_done));
	ASSERT_EQ(0, munmap(page, PAGES(1)));
	ASSERT_EQ(0, async_end(&run));
	ASSERT_EQ(LODGE_EXIT_MEM_FAULT, vcpu->run->exit.reason);
	ASSERT_EQ((uintptr_t)page, vcpu->run->exit.mem.hva);
	ASSERT_EQ(EFAULT, vcpu->run->exit.mem.error);
}

/* ------------------------------------------------------------------- two VMs */

#define TURNS		60

/* Two guests take turns in one word of a shared file. */
static void take_turns(u64 first)
{
	u64 *word = (u64 *)GPA, i;

	for (i = first; i < TURNS; i += 2) {
		while (READ_ONCE(*word) != i)
			cpu_relax();
		WRITE_ONCE(*word, i + 1);
	}
	guest_done();
}

TEST(two_vms_share_memfd)
{
	int fd = make_memfd(PAGES(1));
	u64 *p[2];
	struct vm *vm[2];
	struct vcpu *vcpu[2];
	pthread_t thread[2];
	int i;

	for (i = 0; i < 2; i++) {
		vm[i] = vm_create();
		vcpu[i] = vcpu_create_at(vm[i], i, take_turns, i);
		p[i] = map_fd(fd, 0, PAGES(1), MAP_SHARED);
		vm_map(vm[i], GPA, p[i], PAGES(1), 0);
	}
	for (i = 0; i < 2; i++)
		thread[i] = guest_thread(vcpu[i]);
	for (i = 0; i < 2; i++)
		join(thread[i]);
	ASSERT_EQ(TURNS, *p[0]);
	ASSERT_EQ(TURNS, *p[1]);
}

/* One VM's memory twice in it, and in two VMs: the same bytes. */
TEST(mapped_twice)
{
	struct vm *vm = vm_create(), *other = vm_create();
	struct vcpu *vcpu = worker_create(vm, 0), *second = worker_create(other, 1);
	u64 *p = vm_ram(vm, GPA, PAGES(1));

	vm_map(vm, GPA + PAGES(8), p, PAGES(1), 0);
	vm_map(other, GPA, p, PAGES(1), LODGE_MEM_F_READONLY);
	worker_write(vcpu, GPA, 1);
	ASSERT_EQ(1, worker_read(vcpu, GPA + PAGES(8)));
	ASSERT_EQ(1, worker_read(second, GPA));
	worker_write(vcpu, GPA + PAGES(8), 2);
	ASSERT_EQ(2, worker_read(second, GPA));
	vm_unmap(vm, GPA, PAGES(1));
	ASSERT_EQ(2, worker_read(vcpu, GPA + PAGES(8)));
}

TEST_HARNESS_MAIN
