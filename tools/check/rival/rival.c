// SPDX-License-Identifier: GPL-2.0
/*
 * A rival, for selftests/suspend.c: after the host has slept, the first CPU's CR4
 * says that somebody is in VMX operation there. So that CPU is not to be had, and
 * what lodge does about it can be seen. To be loaded before lodge has a VM, since
 * who registers first is woken first.
 */
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/syscore_ops.h>
#include <asm/tlbflush.h>

static void rival_resume(void)
{
	cr4_set_bits(X86_CR4_VMXE);
}

static struct syscore_ops rival_ops = { .resume = rival_resume };

static void rival_leave(void *arg)
{
	cr4_clear_bits(X86_CR4_VMXE);
}

static int __init rival_init(void)
{
	register_syscore_ops(&rival_ops);
	return 0;
}

static void __exit rival_exit(void)
{
	unregister_syscore_ops(&rival_ops);
	smp_call_function_single(0, rival_leave, NULL, 1);
}

module_init(rival_init);
module_exit(rival_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("takes the first CPU's VMX when the host wakes");
