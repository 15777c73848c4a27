/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts of the instructions that cost more on silicon than any others: for make
 * bench, in a build with CONFIG_LODGE_DEBUG. In any other this is nothing.
 */
#ifndef LODGE_VMX_COUNTS_H
#define LODGE_VMX_COUNTS_H

#ifdef CONFIG_LODGE_DEBUG

#include <linux/percpu.h>

/* One for each CPU; written by that CPU alone. */
struct vmx_counts {
	u64 vmread;
	u64 vmwrite;
	u64 vmxon;
	u64 vmclear;
	u64 vmptrld;
	u64 invept;
	u64 invvpid;
	u64 l1d_flush;
};

DECLARE_PER_CPU(struct vmx_counts, vmx_counts);

/* One instruction, so an interrupt cannot lose a count; nothing to trace or check. */
#define vmx_count(what)		raw_cpu_inc(vmx_counts.what)

void vmx_counts_init(void);
void vmx_counts_exit(void);

#else

#define vmx_count(what)		do { } while (0)

static inline void vmx_counts_init(void)
{
}

static inline void vmx_counts_exit(void)
{
}

#endif

#endif
