// SPDX-License-Identifier: GPL-2.0
/*
 * VMs, vCPUs, memory maps and registers: calls timed from outside, and the kernel
 * memory that an object holds. Creation sleeps at times (other CPUs, RCU), so the
 * figure is this process's CPU time; what is left to kernel threads is not in it.
 */
#include <ctype.h>
#include <glob.h>

#include "bench.h"

#define ROUNDS		21
#define NR_VCPUS	16
/* A fault that is counted may have mapped its neighbours as well. */
#define AROUND		(16 * PAGE_SIZE)
#define MAP_LEN		(64UL << 20)
#define NR_VMS		128

/* What an object left to others shall not meet the next. */
static void settle(void)
{
	usleep(20000);
}

/* ---------------------------------------------------------------- make, destroy */

static void bench_vm_create(const struct backend *be)
{
	static struct samples create, destroy;
	double t0, t1;
	struct vm *vm;
	int i;

	be->vm_destroy(be->vm_create(true));
	for (i = 0; i < ROUNDS; i++) {
		settle();
		t0 = cpu_ticks();
		vm = be->vm_create(true);
		sample(&create, cpu_ticks_since(t0));
		t1 = cpu_ticks();
		be->vm_destroy(vm);
		sample(&destroy, cpu_ticks_since(t1));
	}
	report("vm_create", "cputicks", &create);
	report("vm_destroy", "cputicks", &destroy);
}

static void create_vcpus(const struct backend *be, struct samples *samples)
{
	struct vm *vm = be->vm_create(true);
	struct vcpu *vcpus[NR_VCPUS];
	double start;
	int i;

	settle();
	for (i = 0; i < NR_VCPUS; i++) {
		start = cpu_ticks();
		vcpus[i] = be->vcpu_create(vm, i);
		sample(samples, cpu_ticks_since(start));
	}
	for (i = 0; i < NR_VCPUS; i++)
		be->vcpu_destroy(vcpus[i]);
	be->vm_destroy(vm);
}

static void bench_vcpu_create(const struct backend *be)
{
	static struct samples samples, warm_up;
	int i;

	create_vcpus(be, &warm_up);
	for (i = 0; i < ROUNDS; i++)
		create_vcpus(be, &samples);
	report("vcpu_create", "cputicks", &samples);
}

/* A VM whose processor executes one OUT at its reset address. */
static u8 *make_rom(void)
{
	static const u8 code[] = { 0xe6, 0x80 };	/* out %al, $0x80 */
	u8 *rom = map_anon(PAGE_SIZE);

	memcpy(rom + 0xff0, code, sizeof(code));
	return rom;
}

static struct vcpu *run_once(const struct backend *be, u8 *rom)
{
	struct vm *vm = be->vm_create(true);
	struct counts before, after;
	struct vcpu *vcpu;

	be->map(vm, SLOT_LOW, 0xfffff000, rom, PAGE_SIZE);
	vcpu = be->vcpu_create(vm, 0);
	be->counts(vcpu, &before);
	be->run(vcpu, 0x80);
	be->counts(vcpu, &after);
	if (after.nr[COUNT_IO] - before.nr[COUNT_IO] != 1)
		test_fail("the guest did not do its one OUT");
	return vcpu;
}

static void bench_life(const struct backend *be)
{
	static struct samples samples;
	u8 *rom = make_rom();
	struct vcpu *vcpu;
	struct vm *vm;
	double start;
	int i;

	for (i = 0; i <= ROUNDS; i++) {
		settle();
		start = cpu_ticks();
		vcpu = run_once(be, rom);
		vm = vcpu->vm;
		be->vcpu_destroy(vcpu);
		be->vm_destroy(vm);
		if (i)
			sample(&samples, cpu_ticks_since(start));
	}
	report("vm_life", "cputicks", &samples);
}

/* ----------------------------------------------------------------------- mapping */

static void touch_all(u64 arg)
{
	u64 page, end = READ_ONCE(((struct job *)arg)->arg);

	irq_on();
	for (page = GPA_TEST; page < end; page += PAGE_SIZE)
		WRITE_ONCE(*(u8 *)page, 1);
}

static void bench_map(const struct backend *be)
{
	static struct samples map, unmap, full;
	static const struct guest_case touch = {
		.guest = touch_all, .job = { .arg = GPA_TEST + MAP_LEN },
	};
	struct counts before, after;
	struct machine m;
	double t0;
	u8 *ram = map_aligned(MAP_LEN, HUGE_SIZE);
	int i;

	require(!madvise(ram, MAP_LEN, MADV_NOHUGEPAGE));
	memset(ram, 1, MAP_LEN);
	machine_create(&m, be, true);
	for (i = 0; i < 2 * ROUNDS; i++) {
		settle();
		t0 = cpu_ticks();
		be->map(m.vm, SLOT_TEST, GPA_TEST, ram, MAP_LEN);
		sample(&map, cpu_ticks_since(t0));
		if (i % 4) {
			t0 = cpu_ticks();
			be->unmap(m.vm, SLOT_TEST, GPA_TEST, MAP_LEN);
			sample(&unmap, cpu_ticks_since(t0));
			continue;
		}
		be->counts(m.vcpu, &before);
		machine_job(&touch);
		machine_run(&m);
		be->counts(m.vcpu, &after);
		require(after.nr[COUNT_MAPPED] - before.nr[COUNT_MAPPED] >= MAP_LEN / AROUND);
		t0 = cpu_ticks();
		be->unmap(m.vm, SLOT_TEST, GPA_TEST, MAP_LEN);
		sample(&full, cpu_ticks_since(t0));
	}
	machine_destroy(&m);
	report("map_64m", "cputicks", &map);
	report("unmap_64m", "cputicks", &unmap);
	report("unmap_64m_touched", "cputicks", &full);
}

/* --------------------------------------------------------------------- registers */

static void *other_thread(void *arg)
{
	static struct samples get, set;
	struct machine *m = arg;
	u64 start;
	int i, j;

	for (i = 0; i < 101; i++) {
		start = read_tsc();
		for (j = 0; j < 20; j++)
			m->be->regs_get(m->vcpu);
		sample(&get, (read_tsc() - start) / 20.0);
		start = read_tsc();
		for (j = 0; j < 20; j++)
			m->be->regs_set(m->vcpu);
		sample(&set, (read_tsc() - start) / 20.0);
	}
	report("regs_get", "ticks", &get);
	report("regs_set", "ticks", &set);
	return NULL;
}

static void nothing(u64 arg)
{
	(void)arg;
	irq_on();
}

static void bench_regs(const struct backend *be)
{
	static const struct guest_case idle = { .guest = nothing };
	struct machine m;

	machine_create(&m, be, true);
	machine_job(&idle);
	machine_run(&m);
	join(spawn(other_thread, &m));
	/* It still is where it was, and goes on. */
	machine_run(&m);
	machine_destroy(&m);
}

static void bench_run_nothing(const struct backend *be)
{
	struct vm *vm = be->vm_create(false);
	struct vcpu *vcpu = be->vcpu_create(vm, 0);
	static struct samples samples;
	struct counts counts;
	u64 ticks;
	int i, j;

	for (i = 0; i < 101; i++) {
		for (j = 0, ticks = 0; j < 20; j++)
			ticks += be->run_nothing(vcpu);
		sample(&samples, ticks / 20.0);
	}
	be->counts(vcpu, &counts);
	if (counts.nr[COUNT_EXITS] || counts.nr[COUNT_USER] != 101 * 20)
		test_fail("%llu exits, %llu returns to the program", counts.nr[COUNT_EXITS],
			  counts.nr[COUNT_USER]);
	be->vcpu_destroy(vcpu);
	be->vm_destroy(vm);
	report("run_and_leave", "ticks", &samples);
}

/* ----------------------------------------------------------------- kernel memory */

/* Bytes of the host's memory. */
struct memory {
	double slab;
	double percpu;
	double used;		/* all that is not free */
	double user;		/* this process's own, page tables included */
};

static char *read_all(const char *path)
{
	static char text[1 << 16];
	FILE *f = fopen(path, "re");
	size_t n;

	require(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* The sum of the numbers that follow @key, which begins a line but for blanks. */
static double sum_of(const char *path, const char *key)
{
	size_t len = strlen(key);
	char *p, *line, *rest = read_all(path);
	double sum = 0;

	while ((line = strsep(&rest, "\n"))) {
		for (p = line; isspace(*p); p++)
			;
		if (!strncmp(p, key, len))
			sum += strtod(p + len, NULL);
	}
	return sum;
}

/* Free objects in slabs, kept for the next to come, are nobody's. */
static void shrink_slabs(void)
{
	glob_t found;
	size_t i;

	require(!glob("/sys/kernel/slab/*/shrink", 0, NULL, &found));
	for (i = 0; i < found.gl_pathc; i++)
		write_text(found.gl_pathv[i], "1");
	globfree(&found);
}

/* Free pages in a CPU's own lists are not used ones. */
static struct memory read_memory(void)
{
	double free_pages;

	settle();
	shrink_slabs();
	free_pages = sum_of("/proc/vmstat", "nr_free_pages") +
		     sum_of("/proc/zoneinfo", "count:");
	return (struct memory) {
		.slab = sum_of("/proc/meminfo", "Slab:") * 1024,
		.percpu = sum_of("/proc/meminfo", "Percpu:") * 1024,
		.used = -free_pages * PAGE_SIZE,
		.user = (sum_of("/proc/self/smaps_rollup", "Rss:") +
			 sum_of("/proc/self/status", "VmPTE:")) * 1024,
	};
}

static void report_memory(const char *name, struct memory a, struct memory b)
{
	char text[40];
	double slab = (b.slab - a.slab) / NR_VMS, percpu = (b.percpu - a.percpu) / NR_VMS;
	double all = (b.used - a.used - (b.user - a.user)) / NR_VMS;

	snprintf(text, sizeof(text), "mem_%s", name);
	report_value(text, "bytes", all);
	snprintf(text, sizeof(text), "mem_%s_slab", name);
	report_value(text, "bytes", slab);
	snprintf(text, sizeof(text), "mem_%s_percpu", name);
	report_value(text, "bytes", percpu);
	snprintf(text, sizeof(text), "mem_%s_pages", name);
	report_value(text, "bytes", all - slab - percpu);
}

/*
 * VMs, then a vCPU in each, then one instruction in each: after it they wait for
 * their program. Nothing is destroyed in between, for what allocators keep back then
 * would be missing in the next figure.
 */
static void bench_memory(const struct backend *be)
{
	struct memory start, vms_made, vcpus_made, all_ran;
	static struct vcpu *vcpus[NR_VMS];
	static struct vm *vms[NR_VMS];
	u8 *rom = make_rom();
	int i;

	read_memory();
	start = read_memory();
	for (i = 0; i < NR_VMS; i++) {
		vms[i] = be->vm_create(true);
		be->map(vms[i], SLOT_LOW, 0xfffff000, rom, PAGE_SIZE);
	}
	vms_made = read_memory();
	for (i = 0; i < NR_VMS; i++)
		vcpus[i] = be->vcpu_create(vms[i], 0);
	vcpus_made = read_memory();
	for (i = 0; i < NR_VMS; i++)
		be->run(vcpus[i], 0x80);
	all_ran = read_memory();
	for (i = 0; i < NR_VMS; i++) {
		be->vcpu_destroy(vcpus[i]);
		be->vm_destroy(vms[i]);
	}
	report_memory("vm", start, vms_made);
	report_memory("vcpu", vms_made, vcpus_made);
	report_memory("idle_vm", start, all_ran);
}

const struct bench object_benches[] = {
	{ "run_and_leave", "RUN that finds that it shall not", .run = bench_run_nothing },
	{ "regs", "general registers, by another thread", .run = bench_regs },
	{ "vm_create", "a VM: create, and destroy", .run = bench_vm_create },
	{ "vcpu_create", "a vCPU: create", .run = bench_vcpu_create },
	{ "vm_life", "VM and vCPU: create, run, destroy", .run = bench_life },
	{ "map_64m", "64 MiB: map, unmap, unmap when touched", .run = bench_map },
	{ "mem", "kernel memory: VM, vCPU, VM with a vCPU that has run",
	  .run = bench_memory, .once = true },
	{}
};
