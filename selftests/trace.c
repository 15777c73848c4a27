// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints lodge:lodge_entry and lodge:lodge_exit: each entry and exit
 * leaves one line, with its reason; and the statistics agree with them.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "vm.h"
#include "kselftest_harness.h"

#define TRACING		"/sys/kernel/tracing/"
#define ENABLE		TRACING "events/lodge/enable"
#define HW_CPUID	10
#define NR_CPUIDS	100

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	require(fd >= 0);
	require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void cpuids(u64 arg)
{
	int i;

	for (i = 0; i < NR_CPUIDS; i++)
		cpuid(0, 0);
	guest_done();
}

struct lines {
	u64 entries;
	u64 exits;
	u64 cpuid_exits;
};

static struct lines count_lines(void)
{
	FILE *f = fopen(TRACING "trace", "r");
	struct lines n = { 0 };
	char line[512];

	require(f);
	while (fgets(line, sizeof(line), f)) {
		n.entries += !!strstr(line, "lodge_entry: vcpu 0 rip 0x");
		n.exits += !!strstr(line, "lodge_exit: vcpu 0 reason ");
		n.cpuid_exits += !!strstr(line, "lodge_exit: vcpu 0 reason 10 rip 0x");
	}
	fclose(f);
	return n;
}

TEST(entries_and_exits)
{
	struct lodge_vcpu_stats stats = { .size = sizeof(stats) };
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create(vm, 0);
	struct lines n;

	if (access(ENABLE, W_OK)) {
		vcpu_destroy(vcpu);
		vm_destroy(vm);
		SKIP(return, "no tracefs");
	}
	write_file(TRACING "trace", "");
	write_file(ENABLE, "1");
	vcpu_start_long(vcpu, cpuids, 0);
	guest_run_done(vcpu);
	write_file(ENABLE, "0");
	n = count_lines();

	ASSERT_EQ(0, try_ioctl(vcpu->fd, LODGE_VCPU_GET_STATS, &stats));
	ASSERT_EQ(NR_CPUIDS, stats.hw[HW_CPUID]);
	ASSERT_EQ(NR_CPUIDS, n.cpuid_exits);
	ASSERT_EQ(stats.exits, n.exits);
	ASSERT_EQ(n.entries, n.exits);

	/* Switched off they are silent. */
	write_file(TRACING "trace", "");
	vcpu_start_long(vcpu, cpuids, 0);
	guest_run_done(vcpu);
	n = count_lines();
	ASSERT_EQ(0, n.entries + n.exits);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

TEST_HARNESS_MAIN
