// SPDX-License-Identifier: GPL-2.0
/* The counts of instructions, in debugfs: lodge/instructions, a line for each. */
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "counts.h"

DEFINE_PER_CPU(struct vmx_counts, vmx_counts);

static struct dentry *vmx_counts_dir;

#define VMX_COUNT(what)		{ #what, offsetof(struct vmx_counts, what) }

static const struct {
	const char *name;
	size_t offset;
} vmx_count_names[] = {
	VMX_COUNT(vmread),
	VMX_COUNT(vmwrite),
	VMX_COUNT(vmxon),
	VMX_COUNT(vmclear),
	VMX_COUNT(vmptrld),
	VMX_COUNT(invept),
	VMX_COUNT(invvpid),
	VMX_COUNT(l1d_flush),
};

static int instructions_show(struct seq_file *m, void *unused)
{
	u64 sum;
	int i, cpu;

	for (i = 0; i < ARRAY_SIZE(vmx_count_names); i++) {
		sum = 0;
		for_each_possible_cpu(cpu)
			sum += READ_ONCE(*(u64 *)((void *)per_cpu_ptr(&vmx_counts, cpu) +
						  vmx_count_names[i].offset));
		seq_printf(m, "%s %llu\n", vmx_count_names[i].name, sum);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(instructions);

/** vmx_counts_init() - show the counts; without debugfs nobody sees them */
void vmx_counts_init(void)
{
	vmx_counts_dir = debugfs_create_dir("lodge", NULL);
	debugfs_create_file("instructions", 0400, vmx_counts_dir, NULL, &instructions_fops);
}

/** vmx_counts_exit() - undo vmx_counts_init() */
void vmx_counts_exit(void)
{
	debugfs_remove(vmx_counts_dir);
}
