// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that make and destroy, timed from outside; and what the host itself costs.
 * Creation sleeps at times (other CPUs, RCU): ticks on the clock are one figure,
 * ticks of CPU time of this process the other.
 */
#include <time.h>
#include <sys/syscall.h>

#include "bench.h"

#define ROUNDS		21
#define NR_CREATED	16
#define FAULT_PAGES	512

struct stopwatch {
	u64 tsc;
	u64 cpu_ns;
};

static u64 cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static struct stopwatch watch_start(void)
{
	struct stopwatch w = { .cpu_ns = cpu_ns() };

	w.tsc = read_tsc();
	return w;
}

/* Since the start, for each of @n. */
static void watch_sample(const struct stopwatch *w, u32 n, struct samples *wall,
			 struct samples *cpu)
{
	u64 tsc = read_tsc(), ns = cpu_ns();

	sample(wall, (double)(tsc - w->tsc) / n);
	sample(cpu, (ns - w->cpu_ns) * (device_info()->tsc_khz / 1e6) / n);
}

static int create_vm(int dev)
{
	struct lodge_create_vm create = { .size = sizeof(create) };
	int fd = try_ioctl(dev, LODGE_CREATE_VM, &create);

	if (fd < 0)
		test_fail("LODGE_CREATE_VM: %s", strerror(-fd));
	return fd;
}

static void bench_vm_create(void)
{
	static struct samples create, create_cpu, both, both_cpu;
	struct stopwatch w;
	int dev = device_open(), fd, i;

	close(create_vm(dev));
	for (i = 0; i < ROUNDS; i++) {
		w = watch_start();
		fd = create_vm(dev);
		watch_sample(&w, 1, &create, &create_cpu);
		close(fd);
		watch_sample(&w, 1, &both, &both_cpu);
		usleep(20000);	/* what it left to others shall not meet the next */
	}
	close(dev);
	report("vm_create_only", "ticks", &create);
	report("vm_create_only_cpu", "cputicks", &create_cpu);
	report("vm_create_close", "ticks", &both);
	report("vm_create_close_cpu", "cputicks", &both_cpu);
}

static void bench_vcpu_create(void)
{
	static struct samples wall, cpu;
	struct vm *vm = vm_create_empty();
	int fds[NR_CREATED];
	struct stopwatch w;
	int i;

	for (i = 0; i < NR_CREATED; i++) {
		w = watch_start();
		fds[i] = vcpu_try_create(vm, i);
		watch_sample(&w, 1, &wall, &cpu);
		require(fds[i] >= 0);
	}
	/* They are all there: none can be made again. */
	for (i = 0; i < NR_CREATED; i++) {
		require(vcpu_try_create(vm, i) == -EBUSY);
		close(fds[i]);
	}
	report("vcpu_create", "ticks", &wall);
	report("vcpu_create_cpu", "cputicks", &cpu);
	vm_destroy(vm);
}

/* A VM whose processor executes one OUT at its reset address; from first to last. */
static void full_life(void *rom)
{
	struct vm *vm = vm_create_empty();
	struct lodge_vcpu_stats stats;
	struct vcpu *vcpu;

	vm_map(vm, 0xfffff000, rom, PAGE_SIZE, 0);
	vcpu = vcpu_create(vm, 0);
	if (vcpu_run_until(vcpu, LODGE_EXIT_PIO)->pio.port != 0x80)
		vcpu_fail(vcpu, "not the port");
	stats = vcpu_stats(vcpu);
	if (stats.hw[HW_IO] != 1 || stats.hw[HW_EPT_VIOLATION] != 1)
		vcpu_fail(vcpu, "%llu port accesses, %llu EPT faults", stats.hw[HW_IO],
			  stats.hw[HW_EPT_VIOLATION]);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

static void bench_full_life(void)
{
	static const u8 code[] = { 0xe6, 0x80 };	/* out %al, $0x80 */
	static struct samples wall, cpu;
	u8 *rom = map_anon(PAGE_SIZE);
	struct stopwatch w;
	int i;

	memcpy(rom + 0xff0, code, sizeof(code));
	full_life(rom);
	for (i = 0; i < ROUNDS; i++) {
		w = watch_start();
		full_life(rom);
		watch_sample(&w, 1, &wall, &cpu);
		usleep(20000);
	}
	report("vm_full_create_run_close", "ticks", &wall);
	report("vm_full_create_run_close_cpu", "cputicks", &cpu);
}

/* ------------------------------------------------------------- the host alone */

static void bench_getppid(void)
{
	static struct samples samples;
	int i, j;
	u64 start;

	for (i = 0; i < 101; i++) {
		start = read_tsc();
		for (j = 0; j < 100; j++)
			syscall(SYS_getppid);
		sample(&samples, (read_tsc() - start) / 100.0);
	}
	report("host_getppid", "ticks", &samples);
}

static void bench_host_fault(void)
{
	const u64 len = FAULT_PAGES * PAGE_SIZE;
	static struct samples samples;
	u8 *p = map_aligned(len, HUGE_SIZE);
	u64 start;
	int i, j;

	require(!madvise(p, len, MADV_NOHUGEPAGE));
	for (i = 0; i < ROUNDS; i++) {
		require(!madvise(p, len, MADV_DONTNEED));
		start = read_tsc();
		for (j = 0; j < FAULT_PAGES; j++)
			WRITE_ONCE(p[j * PAGE_SIZE], 1);
		sample(&samples, (double)(read_tsc() - start) / FAULT_PAGES);
	}
	report("host_anon_fault_4k", "ticks", &samples);
	munmap(p, len);
}

const struct bench host_benches[] = {
	{ "vm_create", "a VM: create, and close", bench_vm_create },
	{ "vcpu_create", "a vCPU: create", bench_vcpu_create },
	{ "vm_full_create_run_close", "VM and vCPU: create, run, close", bench_full_life },
	{ "host_getppid", "the host's own: a system call", bench_getppid },
	{ "host_anon_fault_4k", "the host's own: a page fault", bench_host_fault },
	{}
};
