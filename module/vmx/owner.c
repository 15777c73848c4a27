// SPDX-License-Identifier: GPL-2.0
/*
 * Who owns VMX: lodge takes it on every CPU for the first VM and gives it back
 * after the last, at hotplug, suspend, reboot, kexec and crash; it refuses when
 * another hypervisor has it and keeps KVM out meanwhile. The one file that
 * changes CR4.VMXE.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/reboot.h>
#include <asm/tlbflush.h>

#include "../compat.h"
#include "../lodge.h"
#include "caps.h"
#include "host.h"
#include "insn.h"
#include "owner.h"

DEFINE_PER_CPU(struct vmx_cpu, vmx_cpu);

static DEFINE_MUTEX(vmx_owner_lock);	/* protects these two and the callbacks */
static unsigned int vmx_vms;		/* VMs that need VMX */
static bool vmx_kvm_coming;		/* kvm_intel was let in and is not yet in sysfs */

/* The host is on its way down, for good; read with interrupts off. */
static bool vmx_host_leaves;

static void vmx_cpu_lacks(const char *name, void *arg)
{
	pr_err_ratelimited("CPU %d has no %s, which lodge uses\n", smp_processor_id(), name);
}

/* The negotiation was with one CPU; what it found goes into every CPU's VMCSs. */
static int vmx_cpu_fits(void)
{
	struct vmx_cap_msrs msrs;

	vmx_caps_read(&msrs);
	return vmx_caps_fit(&msrs, &vmx_caps, vmx_cpu_lacks, NULL);
}

/*
 * Interrupts off. Return: 0, -EBUSY when somebody is in VMX operation, -EOPNOTSUPP
 * when this CPU has less than the others, -EIO.
 */
static int vmx_cpu_on(struct vmx_cpu *c)
{
	int ret;

	if (c->on)
		return 0;
	if (READ_ONCE(vmx_host_leaves))
		return -EIO;
	if (cr4_read_shadow() & X86_CR4_VMXE)
		return -EBUSY;
	ret = vmx_cpu_fits();
	if (ret)
		return ret;

	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	if (!vmx_vmxon(__pa(c->vmxon))) {
		cr4_clear_bits(X86_CR4_VMXE);
		intel_pt_handle_vmx(0);
		return -EIO;
	}
	c->current_vmcs = NULL;
	c->on = true;
	vmx_host_learn();
	return 0;
}

/* Write back every VMCS this CPU may cache (SDM 3C 25.11.1). Interrupts off. */
static void vmx_cpu_clear_active(struct vmx_cpu *c)
{
	struct vmx_vcpu *v, *next;

	list_for_each_entry_safe(v, next, &c->active, link)
		vmx_vmcs_clear_local(v);
}

static void vmx_cpu_off(struct vmx_cpu *c)
{
	if (!c->on)
		return;
	vmx_cpu_clear_active(c);
	vmx_vmxoff();
	c->on = false;
	cr4_clear_bits(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
}

static void vmx_cpu_on_ipi(void *arg)
{
	int ret = vmx_cpu_on(this_cpu_ptr(&vmx_cpu));

	/* Which CPU's errno is told does not matter, that there is one does. */
	if (ret)
		atomic_cmpxchg((atomic_t *)arg, 0, ret);
}

static void vmx_cpu_off_ipi(void *arg)
{
	vmx_cpu_off(this_cpu_ptr(&vmx_cpu));
}

/* ---------------------------------------------------- CPUs that come and go */

static int vmx_cpu_online(unsigned int cpu)
{
	unsigned long flags;
	int ret;

	local_irq_save(flags);
	ret = vmx_cpu_on(this_cpu_ptr(&vmx_cpu));
	local_irq_restore(flags);

	/* The slot may not fail on all kernels; vCPUs look at ->on anyway. */
	if (ret)
		pr_err("cannot enter VMX operation on CPU %u (%d): no VM will run there\n",
		       cpu, ret);
	return 0;
}

static int vmx_cpu_offline(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	vmx_cpu_off(this_cpu_ptr(&vmx_cpu));
	local_irq_restore(flags);
	return 0;
}

static u64 vmx_suspend_tsc;	/* host TSC at suspend; one CPU runs */

/* The last CPU at suspend; the others went by hotplug. Interrupts off. */
static int vmx_suspend(LODGE_SYSCORE_ARG)
{
	vmx_suspend_tsc = rdtsc();
	vmx_cpu_off(this_cpu_ptr(&vmx_cpu));
	return 0;
}

static void vmx_resume(LODGE_SYSCORE_ARG)
{
	if (vmx_cpu_on(this_cpu_ptr(&vmx_cpu)))
		pr_err("cannot enter VMX operation after suspend: no VM will run\n");
	lodge_vms_resumed(vmx_suspend_tsc);
}

LODGE_SYSCORE(vmx_syscore, vmx_suspend, vmx_resume);

/*
 * Reboot, kexec, halt: INIT, which restarts a CPU, is blocked in VMX operation
 * (SDM 3C 24.8), and none may take it up again: programs still run.
 */
static int vmx_reboot(struct notifier_block *nb, unsigned long action, void *arg)
{
	WRITE_ONCE(vmx_host_leaves, true);
	on_each_cpu(vmx_cpu_off_ipi, NULL, 1);
	return NOTIFY_DONE;
}

static struct notifier_block vmx_reboot_notifier = { .notifier_call = vmx_reboot };

/*
 * Panic and kdump: this CPU was stopped wherever it was, maybe in the middle of
 * this file, by an NMI. No lock, no list change.
 */
static void vmx_emergency(void)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);
	struct vmx_vcpu *v;

	/* The hardware says it; ->on may be about to be written. */
	if (!(__read_cr4() & X86_CR4_VMXE))
		return;
	list_for_each_entry(v, &c->active, link)
		vmx_vmclear(__pa(v->vmcs));
	c->on = false;
	vmx_vmxoff();
}

/* --------------------------------------------------------------- the others */

/* Where /sys/module has its folders. */
#ifdef MODULE
#define vmx_module_kset	(THIS_MODULE->mkobj.kobj.kset)
#else
#define vmx_module_kset	module_kset
#endif

/*
 * KVM may not come while lodge is in VMX operation. On some kernels it takes what
 * there is one of only with its first VM, and then does not stand a refusal.
 */
static int vmx_module_event(struct notifier_block *nb, unsigned long action, void *data)
{
	const struct module *mod = data;
	bool refuse = false;

	if (strcmp(mod->name, "kvm_intel"))
		return NOTIFY_DONE;
	mutex_lock(&vmx_owner_lock);
	if (action == MODULE_STATE_COMING)
		refuse = vmx_vms;
	/* Later states come when sysfs shows it, or nobody will. */
	vmx_kvm_coming = action == MODULE_STATE_COMING && !refuse;
	mutex_unlock(&vmx_owner_lock);
	if (!refuse)
		return NOTIFY_DONE;
	pr_info("kvm_intel refused: a lodge VM owns VMX\n");
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block vmx_module_notifier = { .notifier_call = vmx_module_event };

/*
 * Is kvm_intel there, built in or loaded, whether it uses VMX now or not? kvm alone
 * does not count: a kvm_intel that was refused leaves it behind.
 */
static bool vmx_kvm_there(void)
{
	struct kobject *found = kset_find_obj(vmx_module_kset, "kvm_intel");

	kobject_put(found);
	return found || vmx_kvm_coming;
}

/* The hotplug slot that hypervisors share: whoever has it may use VMX. */
static int vmx_slot_take(void)
{
	int ret = cpuhp_setup_state_nocalls_cpuslocked(LODGE_CPUHP_STATE, "lodge:vmx",
						       vmx_cpu_online, vmx_cpu_offline);

	return ret < 0 ? ret : 0;
}

static void vmx_slot_give(void)
{
	cpuhp_remove_state_nocalls_cpuslocked(LODGE_CPUHP_STATE);
}

/**
 * vmx_owner_status() - could a VM be created now?
 * @name: filled with who owns VMX when the answer is -EBUSY, else empty
 * @len: its size
 *
 * Only looks: neither KVM nor another caller is in anybody's way meanwhile.
 *
 * Context: may sleep.
 * Return: 0, -EBUSY, or -EINTR when the caller is being killed.
 */
int vmx_owner_status(char *name, size_t len)
{
	const char *owner = NULL;

	if (mutex_lock_killable(&vmx_owner_lock))
		return -EINTR;
	if (!vmx_vms) {
		if (vmx_kvm_there())
			owner = "kvm";
		else if (cr4_read_shadow() & X86_CR4_VMXE)
			owner = "unknown";
	}
	mutex_unlock(&vmx_owner_lock);
	strscpy(name, owner ?: "", len);
	return owner ? -EBUSY : 0;
}

static void vmx_watch_start(void)
{
	cpu_emergency_register_virt_callback(vmx_emergency);
	lodge_syscore_register(&vmx_syscore);
}

static void vmx_watch_stop(void)
{
	lodge_syscore_unregister(&vmx_syscore);
	cpu_emergency_unregister_virt_callback(vmx_emergency);
}

/* Hotplug slot and VMXON on every CPU there is; none left half way. */
static int vmx_take(void)
{
	atomic_t error = ATOMIC_INIT(0);
	int ret;

	if (vmx_kvm_there())
		return -EBUSY;
	preempt_notifier_inc();		/* takes the hotplug lock itself */
	cpus_read_lock();
	ret = vmx_slot_take();
	if (ret)
		goto out;
	/* Whatever may stop the machine knows of it before the first VMXON. */
	vmx_watch_start();
	on_each_cpu(vmx_cpu_on_ipi, &error, 1);
	ret = atomic_read(&error);
	if (ret) {
		on_each_cpu(vmx_cpu_off_ipi, NULL, 1);
		vmx_watch_stop();
		vmx_slot_give();
	}
out:
	cpus_read_unlock();
	if (ret)
		preempt_notifier_dec();
	return ret;
}

static void vmx_give(void)
{
	cpus_read_lock();
	on_each_cpu(vmx_cpu_off_ipi, NULL, 1);
	vmx_watch_stop();
	vmx_slot_give();
	cpus_read_unlock();
	preempt_notifier_dec();
}

/**
 * vmx_own() - a VM needs VMX
 *
 * Context: may sleep.
 * Return: 0; -EBUSY when another hypervisor has VMX; -EOPNOTSUPP when a CPU lacks
 * what the others have (the log names it); -EIO when a CPU refuses; -EINTR when the
 * caller is being killed.
 */
int vmx_own(void)
{
	int ret = 0;

	if (mutex_lock_killable(&vmx_owner_lock))
		return -EINTR;
	if (!vmx_vms)
		ret = vmx_take();
	if (!ret)
		vmx_vms++;
	mutex_unlock(&vmx_owner_lock);
	return ret;
}

/**
 * vmx_disown() - a VM needs VMX no more
 *
 * Context: may sleep.
 */
void vmx_disown(void)
{
	mutex_lock(&vmx_owner_lock);
	if (!--vmx_vms)
		vmx_give();
	mutex_unlock(&vmx_owner_lock);
}

static void vmx_free_pages(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		free_page((unsigned long)per_cpu_ptr(&vmx_cpu, cpu)->vmxon);
}

/**
 * vmx_owner_init() - a VMXON page for each CPU there may ever be, and ears for the
 * events that concern ownership whether there is a VM or not
 *
 * Preallocated, so that a CPU that comes online needs no memory.
 *
 * Return: 0 or -ENOMEM.
 */
int vmx_owner_init(void)
{
	int cpu, ret;

	for_each_possible_cpu(cpu) {
		struct vmx_cpu *c = per_cpu_ptr(&vmx_cpu, cpu);
		u32 *page = (u32 *)get_zeroed_page(GFP_KERNEL);

		INIT_LIST_HEAD(&c->active);
		if (!page) {
			ret = -ENOMEM;
			goto err_pages;
		}
		*page = vmx_caps.revision;	/* SDM 3C 25.11.5 */
		c->vmxon = page;
	}
	ret = register_module_notifier(&vmx_module_notifier);
	if (ret)
		goto err_pages;
	ret = register_reboot_notifier(&vmx_reboot_notifier);
	if (ret)
		goto err_module;
	return 0;

err_module:
	unregister_module_notifier(&vmx_module_notifier);
err_pages:
	vmx_free_pages();
	return ret;
}

/** vmx_owner_exit() - undo vmx_owner_init(); no VM is left */
void vmx_owner_exit(void)
{
	unregister_reboot_notifier(&vmx_reboot_notifier);
	unregister_module_notifier(&vmx_module_notifier);
	vmx_free_pages();
}
