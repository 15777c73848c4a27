// SPDX-License-Identifier: GPL-2.0
/* What the host itself costs: whether two machines can be compared. */
#include <sys/syscall.h>
#include <time.h>

#include "bench.h"

#define ROUNDS		21
#define FAULT_PAGES	512

const struct backend host_backend = { .name = "host" };

static double clock_ns(clockid_t clock)
{
	struct timespec ts;

	require(!clock_gettime(clock, &ts));
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static double ticks_per_ns(void)
{
	static double rate;
	u64 tsc, ns;

	if (!rate) {
		tsc = read_tsc();
		ns = now_ns();
		while (now_ns() - ns < 20 * NSEC_PER_MSEC)
			;
		rate = (double)(read_tsc() - tsc) / (now_ns() - ns);
	}
	return rate;
}

double cpu_ticks(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) * ticks_per_ns();
}

/* What it takes to ask: the least of some tries. */
static double cost_of_asking(void)
{
	double start, ticks, least = 1e9;
	int i;

	for (i = 0; i < 32; i++) {
		start = cpu_ticks();
		ticks = cpu_ticks() - start;
		if (ticks < least)
			least = ticks;
	}
	return least;
}

double cpu_ticks_since(double start)
{
	double ticks = cpu_ticks() - start;

	return ticks - cost_of_asking();
}

double cpu_ticks_of(pid_t pid)
{
	clockid_t clock;

	require(!clock_getcpuclockid(pid, &clock));
	return clock_ns(clock) * ticks_per_ns();
}

static void bench_getppid(const struct backend *be)
{
	static struct samples samples;
	int i, j;
	u64 start;

	(void)be;
	for (i = 0; i < 101; i++) {
		start = read_tsc();
		for (j = 0; j < 100; j++)
			syscall(SYS_getppid);
		sample(&samples, (read_tsc() - start) / 100.0);
	}
	report("host_getppid", "ticks", &samples);
}

static void bench_fault(const struct backend *be)
{
	const u64 len = FAULT_PAGES * PAGE_SIZE;
	static struct samples samples;
	u8 *p = map_aligned(len, HUGE_SIZE);
	u64 start;
	int i, j;

	(void)be;
	require(!madvise(p, len, MADV_NOHUGEPAGE));
	for (i = 0; i < ROUNDS; i++) {
		require(!madvise(p, len, MADV_DONTNEED));
		start = read_tsc();
		for (j = 0; j < FAULT_PAGES; j++)
			WRITE_ONCE(p[j * PAGE_SIZE], 1);
		sample(&samples, (double)(read_tsc() - start) / FAULT_PAGES);
	}
	report("host_fault_4k", "ticks", &samples);
	munmap(p, len);
}

const struct bench host_benches[] = {
	{ "host_getppid", "a system call", .run = bench_getppid, .host_only = true },
	{ "host_fault_4k", "a page fault, 4 KiB, the page to be made", .run = bench_fault,
	  .host_only = true },
	{}
};
