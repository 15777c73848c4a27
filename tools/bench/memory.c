// SPDX-License-Identifier: GPL-2.0
/*
 * EPT faults: the guest touches memory that its new VM has never touched. Before
 * that it warms its own code and stack up on other pages.
 */
#include "bench.h"

/*
 * A window is what a hypervisor may map around a fault. The cases of a single
 * fault touch each window once; its last one in each 2 MiB is left to the warm-up,
 * which so makes the EPT tables: their cost is in the sequential cases.
 */
#define WINDOW		0x10000UL
#define WINDOWS		(HUGE_SIZE / WINDOW - 1)
#define NR_TABLES	16
#define LEN_4K		(NR_TABLES * HUGE_SIZE)
#define SEQ_BATCHES	8
#define SEQ_PAGES	512
#define PAGES_2M	32
#define LEN_2M		(PAGES_2M * HUGE_SIZE)

static inline void op_write(u64 addr)
{
	WRITE_ONCE(*(u8 *)addr, 1);
}

static inline void op_read(u64 addr)
{
	READ_ONCE(*(u8 *)addr);
}

static void time_write(u64 arg)
{
	irq_on();
	guest_measure(arg, op_write);
}

static void time_read(u64 arg)
{
	irq_on();
	guest_measure(arg, op_read);
}

/* Afterwards the far ends of the pages: if these fault, the page was not large. */
static void time_write_huge(u64 arg)
{
	u64 i;

	time_write(arg);
	for (i = 1; i <= PAGES_2M; i++)
		op_write(GPA_TEST + i * HUGE_SIZE - PAGE_SIZE);
}

/* The same code, on low memory. */
static void warm_up(u64 arg)
{
	struct job *job = (struct job *)arg;

	job->arg = GPA_FREE;
	job->step = 0;
	job->gap = 0;
	time_write(arg);
	time_read(arg);
}

static void warm_up_tables(u64 arg)
{
	u64 i;

	warm_up(arg);
	for (i = 1; i <= NR_TABLES; i++)
		op_write(GPA_TEST + i * HUGE_SIZE - PAGE_SIZE);
}

static void setup_ram(struct machine *m, u64 len, int advice, bool populate)
{
	static u8 *ram;		/* of the VM before this one */

	if (ram)
		munmap(ram, len);
	ram = map_aligned(len, HUGE_SIZE);
	require(!madvise(ram, len, advice));
	if (populate)
		memset(ram, 1, len);
	m->be->map(m->vm, SLOT_TEST, GPA_TEST, ram, len);
}

static void setup_populated(struct machine *m)
{
	setup_ram(m, LEN_4K, MADV_NOHUGEPAGE, true);
}

static void setup_fresh(struct machine *m)
{
	setup_ram(m, LEN_4K, MADV_NOHUGEPAGE, false);
}

static void setup_huge(struct machine *m)
{
	setup_ram(m, LEN_2M, MADV_HUGEPAGE, true);
}

#define SINGLE_FAULTS								\
	.warm_up = warm_up_tables, .vms = 3,					\
	.job = { .arg = GPA_TEST, .step = WINDOW, .gap = WINDOW,		\
		 .batches = NR_TABLES, .iterations = WINDOWS },			\
	.per_op = { [COUNT_EXITS] = 1, [COUNT_EPT] = 1, [COUNT_MAPPED] = 1 }

#define SEQUENTIAL								\
	.warm_up = warm_up, .vms = 3,						\
	.job = { .arg = GPA_TEST, .step = PAGE_SIZE,				\
		 .batches = SEQ_BATCHES, .iterations = SEQ_PAGES },		\
	.per_op = { [COUNT_EXITS] = 1, [COUNT_EPT] = 1, [COUNT_MAPPED] = 1 }

static const struct guest_case populated_write = {
	.guest = time_write, .setup = setup_populated, SINGLE_FAULTS,
};

static const struct guest_case populated_read = {
	.guest = time_read, .setup = setup_populated, SINGLE_FAULTS,
};

static const struct guest_case fresh_write = {
	.guest = time_write, .setup = setup_fresh, SEQUENTIAL,
};

static const struct guest_case fresh_read = {
	.guest = time_read, .setup = setup_fresh, SEQUENTIAL,
};

static const struct guest_case sequential_write = {
	.guest = time_write, .setup = setup_populated, SEQUENTIAL, .serves = WINDOW / PAGE_SIZE,
};

static const struct guest_case huge_write = {
	.guest = time_write_huge, .setup = setup_huge, .warm_up = warm_up, .vms = 9,
	.job = { .arg = GPA_TEST, .step = HUGE_SIZE, .batches = 1, .iterations = PAGES_2M },
	.per_op = { [COUNT_EXITS] = 1, [COUNT_EPT] = 1, [COUNT_MAPPED] = 1 },
};

const struct bench memory_benches[] = {
	{ "ept_4k_write", "EPT fault, 4 KiB, write, the host has the page",
	  .guest = &populated_write },
	{ "ept_4k_read", "EPT fault, 4 KiB, read, the host has the page",
	  .guest = &populated_read },
	{ "ept_4k_fresh_write", "EPT fault, 4 KiB, write, the host must make the page",
	  .guest = &fresh_write },
	{ "ept_4k_fresh_read", "EPT fault, 4 KiB, read, the host has no page",
	  .guest = &fresh_read },
	{ "ept_4k_sequential", "a page of many written in turn, the host has them",
	  .guest = &sequential_write },
	{ "ept_2m_write", "EPT fault, 2 MiB, the host has the page", .guest = &huge_write },
	{}
};
