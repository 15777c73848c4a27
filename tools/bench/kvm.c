// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's figures: Debian's kvm_intel 6.1 in the same emulated machine, host booted
 * with mitigations=off. Documentation/performance.rst says how they were taken.
 */
#include "bench.h"

static const struct {
	const char *name;
	double ticks;
} figures[] = {
	{ "empty_loop", 3 },
	{ "exit_cpuid", 974 },
	{ "exit_vmcall", 963 },
	{ "exit_rdmsr_tscadj", 1095 },
	{ "exit_out_user", 2995 },
	{ "exit_in_user", 3037 },
	{ "exit_mmio_wr_user", 5143 },
	{ "exit_mmio_rd_user", 5805 },
	{ "run_immediate_exit", 1323 },
	{ "ept_4k_populated_wr", 3475 },
	{ "ept_4k_fresh_wr", 6647 },
	{ "ept_thp_populated_wr2m", 3987 },
	{ "selfipi_x2apic_handler_eoi", 4127 },
	{ "vm_create_only_cpu", 280511 },
	{ "vm_create_close", 2008901 },
	{ "vm_create_close_cpu", 465869 },
	{ "vcpu_create", 61093 },
	{ "vcpu_create_cpu", 59975 },
	{ "vm_full_create_run_close", 3199154 },
	{ "vm_full_create_run_close_cpu", 1712243 },
	{ "boot_to_end", 1644e6 },
	/* Of the host alone: they tell whether two machines can be compared. */
	{ "host_getppid", 348 },
	{ "host_anon_fault_4k", 3319 },
};

double kvm_figure(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(figures); i++)
		if (!strcmp(figures[i].name, name))
			return figures[i].ticks;
	return 0;
}
