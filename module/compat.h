/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between the kernels that lodge builds on, and nothing else.
 * The HAVE_ macros come from Kbuild, which asks the headers.
 */
#ifndef LODGE_COMPAT_H
#define LODGE_COMPAT_H

#include <linux/cpuhotplug.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <linux/syscore_ops.h>
#ifdef HAVE_ARCH_SEND_RESCHEDULE
#include <trace/events/ipi.h>
#endif

/* The hotplug slot that one hypervisor can have. */
#ifdef HAVE_CPUHP_AP_KVM_ONLINE
#define LODGE_CPUHP_STATE	CPUHP_AP_KVM_ONLINE	/* interrupts on */
#else
#define LODGE_CPUHP_STATE	CPUHP_AP_KVM_STARTING	/* interrupts off */
#endif

/* System core operations: suspend and resume of the last CPU. */
#ifdef HAVE_REGISTER_SYSCORE
#define LODGE_SYSCORE_ARG	void *data
#define LODGE_SYSCORE(name, suspend_fn, resume_fn)				\
	static const struct syscore_ops name##_ops = {				\
		.suspend = (suspend_fn), .resume = (resume_fn),			\
	};									\
	static struct syscore name = { .ops = &name##_ops }
#define lodge_syscore_register		register_syscore
#define lodge_syscore_unregister	unregister_syscore
#else
#define LODGE_SYSCORE_ARG	void
#define LODGE_SYSCORE(name, suspend_fn, resume_fn)				\
	static struct syscore_ops name = {					\
		.suspend = (suspend_fn), .resume = (resume_fn),			\
	}
#define lodge_syscore_register		register_syscore_ops
#define lodge_syscore_unregister	unregister_syscore_ops
#endif

/* 6.1 takes NUMA hint faults in get_user_pages() by itself. */
#ifdef HAVE_FOLL_HONOR_NUMA
#define LODGE_FOLL_NUMA		FOLL_HONOR_NUMA_FAULT
#else
#define LODGE_FOLL_NUMA		0
#endif

/* In 6.1 only a fatal signal ends get_user_pages(). */
#ifdef HAVE_FOLL_INTERRUPTIBLE
#define LODGE_FOLL_INTERRUPTIBLE	FOLL_INTERRUPTIBLE
#else
#define LODGE_FOLL_INTERRUPTIBLE	0
#endif

/* A vma of our own, in its mmap(). */
#ifdef HAVE_VM_FLAGS_CLEAR
#define lodge_vm_flags_clear		vm_flags_clear
#else
static inline void lodge_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* Add one to an eventfd's count. */
#ifdef HAVE_EVENTFD_SIGNAL_N
#define lodge_eventfd_signal(ctx)	eventfd_signal(ctx, 1)
#else
#define lodge_eventfd_signal(ctx)	eventfd_signal(ctx)
#endif

/* 6.1 exports it, but no header declares it. */
extern bool itlb_multihit_kvm_mitigation;

#endif
