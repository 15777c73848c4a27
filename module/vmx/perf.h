/* SPDX-License-Identifier: GPL-2.0 */
/* The inside of perf.c, for it and its KUnit suite. */
#ifndef LODGE_VMX_PERF_H
#define LODGE_VMX_PERF_H

#include <asm/perf_event.h>

#include "vmx_vcpu.h"

#define VMX_PERF_MSRS	X86_PMC_IDX_MAX		/* the most perf has room for */

/* An entry of an MSR-load area, SDM 3C table 25-15. */
struct vmx_msr_slot {
	u32 index;
	u32 reserved;
	u64 value;
};

/* What VM entry and VM exit load; aligned to 16. */
struct vmx_perf_areas {
	struct vmx_msr_slot entry[VMX_PERF_MSRS];
	struct vmx_msr_slot exit[VMX_PERF_MSRS];
};

void vmx_perf_plan(const struct perf_guest_switch_msr *msrs, int nr, bool have_ctrl,
		   struct vmx_perf_areas *areas, struct vmx_perf_plan *plan);

#endif
