// SPDX-License-Identifier: GPL-2.0
/*
 * EPT faults: the guest writes once to each page of a range that the EPT does not
 * map. It is new to the EPT because its region was unmapped and mapped again.
 */
#include "bench.h"

#define PAGES_4K	4096
#define PAGES_2M	32
#define LEN_4K		(PAGES_4K * PAGE_SIZE)
#define LEN_2M		(PAGES_2M * HUGE_SIZE)

static u8 *ram;

static inline void op_write(u64 addr)
{
	WRITE_ONCE(*(u8 *)addr, 1);
}

static void guest_write(u64 arg)
{
	irq_on();
	guest_measure(arg, op_write);
}

/* Afterwards the far ends of the pages: if these fault, the page was not large. */
static void guest_write_huge(u64 arg)
{
	u64 i;

	guest_write(arg);
	for (i = 1; i <= PAGES_2M; i++)
		op_write(GPA_TEST + i * HUGE_SIZE - PAGE_SIZE);
}

static void setup_ram(struct vm *vm, u64 len, int advice)
{
	ram = map_aligned(len, HUGE_SIZE);
	require(!madvise(ram, len, advice));
	memset(ram, 1, len);
	vm_map(vm, GPA_TEST, ram, len, 0);
}

static void setup_small(struct vm *vm)
{
	setup_ram(vm, LEN_4K, MADV_NOHUGEPAGE);
}

static void setup_huge(struct vm *vm)
{
	setup_ram(vm, LEN_2M, MADV_HUGEPAGE);
}

static void drop_small(struct vm *vm)
{
	vm_unmap(vm, GPA_TEST, LEN_4K);
	vm_map(vm, GPA_TEST, ram, LEN_4K, 0);
}

static void drop_huge(struct vm *vm)
{
	vm_unmap(vm, GPA_TEST, LEN_2M);
	vm_map(vm, GPA_TEST, ram, LEN_2M, 0);
}

/* The host's pages, too. */
static void drop_host(struct vm *vm)
{
	drop_small(vm);
	require(!madvise(ram, LEN_4K, MADV_DONTNEED));
}

/* A batch has one EPT table to make: it stands in the middle of its 2 MiB. */
static void bench_populated(void)
{
	static const struct guest_case c = {
		.name = "ept_4k_populated_wr",
		.unit = "ticks",
		.guest = guest_write,
		.setup = setup_small,
		.prepare = drop_small,
		.job = { .arg = GPA_TEST, .step = PAGE_SIZE, .batches = PAGES_4K / 512,
			 .iterations = 512 },
		.rounds = 5,
		.hw_reason = HW_EPT_VIOLATION,
		.hw_exits = 1,
	};

	run_guest_case(&c);
}

static void bench_fresh(void)
{
	static const struct guest_case c = {
		.name = "ept_4k_fresh_wr",
		.unit = "ticks",
		.guest = guest_write,
		.setup = setup_small,
		.prepare = drop_host,
		.job = { .arg = GPA_TEST, .step = PAGE_SIZE, .batches = PAGES_4K / 512,
			 .iterations = 512 },
		.rounds = 5,
		.hw_reason = HW_EPT_VIOLATION,
		.hw_exits = 1,
	};

	run_guest_case(&c);
}

static void bench_huge(void)
{
	static const struct guest_case c = {
		.name = "ept_thp_populated_wr2m",
		.unit = "ticks",
		.guest = guest_write_huge,
		.setup = setup_huge,
		.prepare = drop_huge,
		.job = { .arg = GPA_TEST, .step = HUGE_SIZE, .batches = 1,
			 .iterations = PAGES_2M },
		.rounds = 15,
		.hw_reason = HW_EPT_VIOLATION,
		.hw_exits = 1,
	};

	run_guest_case(&c);
}

const struct bench memory_benches[] = {
	{ "ept_4k_populated_wr", "EPT fault, 4 KiB, the host has the page", bench_populated },
	{ "ept_4k_fresh_wr", "EPT fault, 4 KiB, the host must make the page", bench_fresh },
	{ "ept_thp_populated_wr2m", "EPT fault, 2 MiB, the host has the page", bench_huge },
	{}
};
