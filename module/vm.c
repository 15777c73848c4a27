// SPDX-License-Identifier: GPL-2.0
/* A virtual machine: its file, its life, its calls. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include "lodge.h"

#define LODGE_MAX_MEM_OPS	1024

static DEFINE_SPINLOCK(lodge_vms_lock);	/* protects lodge_vms */
static LIST_HEAD(lodge_vms);		/* every VM, for what concerns the host */

static void lodge_vm_nothing(void *arg)
{
}

/*
 * Get every CPU out of this VM's guest mode. The interrupt alone does it: a CPU
 * that takes it is in the host, and looks at the flush generation before it
 * enters again. vmx_publish() has the other half of the barrier.
 */
static void lodge_vm_kick_cpus(struct lodge_mem *mem)
{
	struct lodge_vm *vm = container_of(mem, struct lodge_vm, mem);
	struct lodge_vcpu *vcpu;
	int self = get_cpu();
	int cpu;

	smp_mb();	/* the generation before the CPUs: see vmx_publish() */
	lodge_for_each_vcpu(vm, vcpu) {
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu >= 0 && cpu != self)
			smp_call_function_single(cpu, lodge_vm_nothing, NULL, 1);
	}
	put_cpu();
}

static const struct lodge_mem_ops lodge_vm_mem_ops = {
	.kick = lodge_vm_kick_cpus,
};

/* ------------------------------------------------------------------------- life */

static struct lodge_vm *lodge_vm_create(void)
{
	struct lodge_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	refcount_set(&vm->refs, 1);
	mutex_init(&vm->lock);
	init_waitqueue_head(&vm->pause_wait);
	ret = vmx_own();
	if (ret)
		goto err_free;
	ret = lodge_mem_init(&vm->mem, &lodge_vm_mem_ops);
	if (ret)
		goto err_disown;
	lodge_vmclock_init(vm);
	lodge_signals_init(&vm->signals);
	vm->tsc_offset = -rdtsc();
	spin_lock(&lodge_vms_lock);
	list_add(&vm->all, &lodge_vms);
	spin_unlock(&lodge_vms_lock);
	/* The host may have changed its mind before it could find the VM. */
	lodge_vmclock_follow(vm, kvmclock_tsc_trusted());
	return vm;

err_disown:
	vmx_disown();
err_free:
	kfree(vm);
	return ERR_PTR(ret);
}

/** lodge_vm_get() - take a reference */
void lodge_vm_get(struct lodge_vm *vm)
{
	refcount_inc(&vm->refs);
}

/**
 * lodge_vm_put() - drop a reference; the last one takes the VM down
 * @vm: the VM
 *
 * Context: may sleep.
 */
void lodge_vm_put(struct lodge_vm *vm)
{
	int i;

	if (!refcount_dec_and_test(&vm->refs))
		return;
	spin_lock(&lodge_vms_lock);
	list_del(&vm->all);
	spin_unlock(&lodge_vms_lock);
	lodge_signals_destroy(&vm->signals);
	/* Memory first: until it is gone, the notifier kicks vCPUs. */
	lodge_mem_destroy(&vm->mem);
	for (i = 0; i < LODGE_MAX_VCPUS; i++)
		if (vm->vcpus[i])
			lodge_vcpu_destroy(vm->vcpus[i]);
	vmx_disown();
	mutex_destroy(&vm->lock);
	kfree(vm);
}

/**
 * lodge_vms_each() - call a function for every VM
 * @fn: the function. A VM that is made meanwhile may be left out
 *
 * Context: may sleep.
 */
void lodge_vms_each(void (*fn)(struct lodge_vm *vm))
{
	struct lodge_vm *vm, *done = NULL;

	spin_lock(&lodge_vms_lock);
	list_for_each_entry(vm, &lodge_vms, all) {
		if (!refcount_inc_not_zero(&vm->refs))
			continue;
		spin_unlock(&lodge_vms_lock);
		/* Not before: it has to lead to this one. */
		if (done)
			lodge_vm_put(done);
		fn(vm);
		done = vm;
		spin_lock(&lodge_vms_lock);
	}
	spin_unlock(&lodge_vms_lock);
	if (done)
		lodge_vm_put(done);
}

/**
 * lodge_vms_resumed() - the host slept, and its TSC has started anew or gone on
 * @suspend_tsc: host TSC when it went to sleep
 *
 * To guests no time has passed: their TSCs go on where they were, as their kvmclock
 * and their timers do, which run by host clocks that stand still in sleep. The
 * VMCSs, all cleared at suspend, take the new offsets when they are next loaded.
 *
 * Context: interrupts off, one CPU.
 */
void lodge_vms_resumed(u64 suspend_tsc)
{
	u64 back = suspend_tsc - rdtsc();	/* below zero when it went on */
	struct lodge_vcpu *vcpu;
	struct lodge_vm *vm;

	/* Nobody can hold the lock: nothing else runs. */
	list_for_each_entry(vm, &lodge_vms, all) {
		lodge_vmclock_resync(vm);
		vm->tsc_offset += back;
		lodge_for_each_vcpu(vm, vcpu)
			vcpu->vmx.tsc_offset += back;
	}
}

/* ------------------------------------------------------------------------ calls */

static long lodge_vm_create_vcpu(void *object, void *arg)
{
	const struct lodge_create_vcpu *req = arg;

	if (req->flags || req->reserved || req->id >= LODGE_MAX_VCPUS)
		return -EINVAL;
	return lodge_vcpu_create(object, req->id);
}

static long lodge_vm_mem_update(void *object, void *arg)
{
	struct lodge_mem_update *req = arg;
	struct lodge_vm *vm = object;
	struct lodge_mem_op *ops;
	long ret;

	if (current->mm != vm->mem.mm)
		return -EPERM;
	if (req->flags || !req->nr || req->nr > LODGE_MAX_MEM_OPS)
		return -EINVAL;
	ops = memdup_user(u64_to_user_ptr(req->ops), array_size(req->nr, sizeof(*ops)));
	if (IS_ERR(ops))
		return PTR_ERR(ops);
	ret = lodge_mem_update(&vm->mem, ops, req->nr, &req->bad);
	kfree(ops);
	return ret;
}

static long lodge_vm_mem_query(void *object, void *arg)
{
	struct lodge_mem_query *req = arg;
	struct lodge_mem_region *regions;
	struct lodge_vm *vm = object;
	u32 room = min_t(u32, req->nr, LODGE_MAX_REGIONS);
	long ret;

	if (req->flags || req->reserved)
		return -EINVAL;
	regions = kvcalloc(room ?: 1, sizeof(*regions), GFP_KERNEL_ACCOUNT);
	if (!regions)
		return -ENOMEM;
	req->nr = room;
	ret = lodge_mem_query(&vm->mem, regions, &req->nr);
	if (!ret && copy_to_user(u64_to_user_ptr(req->regions), regions,
				 array_size(req->nr, sizeof(*regions))))
		ret = -EFAULT;
	kvfree(regions);
	return ret;
}

static bool lodge_vm_settled(struct lodge_vm *vm)
{
	struct lodge_vcpu *vcpu;

	lodge_for_each_vcpu(vm, vcpu)
		if (atomic_read(&vcpu->running))
			return false;
	return true;
}

static long lodge_vm_pause(void *object, void *arg)
{
	struct lodge_vm *vm = object;
	struct lodge_vcpu *vcpu;
	bool was_paused;
	long ret;

	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	was_paused = vm->paused;
	WRITE_ONCE(vm->paused, true);
	lodge_for_each_vcpu(vm, vcpu)
		lodge_vcpu_request(vcpu, LODGE_REQ_PAUSE);
	ret = wait_event_interruptible(vm->pause_wait, lodge_vm_settled(vm));
	if (ret) {
		WRITE_ONCE(vm->paused, was_paused);
		ret = -EINTR;
	}
	mutex_unlock(&vm->lock);
	return ret;
}

static long lodge_vm_resume(void *object, void *arg)
{
	struct lodge_vm *vm = object;

	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	WRITE_ONCE(vm->paused, false);
	mutex_unlock(&vm->lock);
	return 0;
}

static long lodge_vm_clock_get(void *object, void *arg)
{
	struct lodge_clock *clock = arg;

	if (clock->flags)
		return -EINVAL;
	lodge_vmclock_get(object, clock);
	return 0;
}

static long lodge_vm_clock_set(void *object, void *arg)
{
	struct lodge_clock *clock = arg;

	if (clock->flags)
		return -EINVAL;
	lodge_vmclock_set(object, clock);
	return 0;
}

static long lodge_vm_msi(void *object, void *arg)
{
	const struct lodge_msi *msi = arg;

	if (msi->flags || msi->reserved)
		return -EINVAL;
	return lapic_send_msi(object, msi->address, msi->data);
}

static long lodge_vm_irq_routes(void *object, void *arg)
{
	struct lodge_irq_routes *req = arg;
	struct lodge_route *routes;
	long ret;

	if (req->flags || req->nr > LODGE_MAX_ROUTES)
		return -EINVAL;
	routes = kvmalloc_array(req->nr ?: 1, sizeof(*routes), GFP_KERNEL_ACCOUNT);
	if (!routes)
		return -ENOMEM;
	ret = -EFAULT;
	if (!copy_from_user(routes, u64_to_user_ptr(req->routes),
			    array_size(req->nr, sizeof(*routes))))
		ret = lodge_routes_set(object, routes, req->nr, &req->bad);
	kvfree(routes);
	return ret;
}

static long lodge_vm_irqfd(void *object, void *arg)
{
	const struct lodge_irqfd *req = arg;

	if (req->reserved)
		return -EINVAL;
	return req->flags & LODGE_IRQFD_F_DEASSIGN ? lodge_irqfd_deassign(object, req) :
						     lodge_irqfd_assign(object, req);
}

static long lodge_vm_ioeventfd(void *object, void *arg)
{
	const struct lodge_ioeventfd *req = arg;
	struct lodge_vm *vm = object;

	if (req->flags & ~(LODGE_IOEVENTFD_F_DEASSIGN | LODGE_IOEVENTFD_F_PIO |
			   LODGE_IOEVENTFD_F_DATAMATCH))
		return -EINVAL;
	return req->flags & LODGE_IOEVENTFD_F_DEASSIGN ?
	       lodge_ioeventfd_deassign(&vm->signals, req) :
	       lodge_ioeventfd_assign(&vm->signals, req);
}

static const struct lodge_call lodge_vm_calls[] = {
	LODGE_CALL(LODGE_VM_MSI, lodge_msi, reserved, LODGE_OUT_NEVER, lodge_vm_msi),
	LODGE_CALL(LODGE_VM_IRQ_ROUTES, lodge_irq_routes, bad, LODGE_OUT_ERRORS,
		   lodge_vm_irq_routes),
	LODGE_CALL(LODGE_VM_IRQFD, lodge_irqfd, reserved, LODGE_OUT_NEVER, lodge_vm_irqfd),
	LODGE_CALL(LODGE_VM_IOEVENTFD, lodge_ioeventfd, fd, LODGE_OUT_NEVER, lodge_vm_ioeventfd),
	LODGE_CALL(LODGE_VM_CREATE_VCPU, lodge_create_vcpu, reserved, LODGE_OUT_NEVER,
		   lodge_vm_create_vcpu),
	LODGE_CALL(LODGE_VM_MEM_UPDATE, lodge_mem_update, bad, LODGE_OUT_ERRORS,
		   lodge_vm_mem_update),
	LODGE_CALL(LODGE_VM_MEM_QUERY, lodge_mem_query, reserved, LODGE_OUT_ALWAYS,
		   lodge_vm_mem_query),
	LODGE_CALL_PLAIN(LODGE_VM_PAUSE, lodge_vm_pause),
	LODGE_CALL_PLAIN(LODGE_VM_RESUME, lodge_vm_resume),
	LODGE_CALL(LODGE_VM_CLOCK_GET, lodge_clock, host_tsc, LODGE_OUT_ALWAYS, lodge_vm_clock_get),
	LODGE_CALL(LODGE_VM_CLOCK_SET, lodge_clock, host_tsc, LODGE_OUT_NEVER, lodge_vm_clock_set),
};

static long lodge_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return lodge_call(file->private_data, lodge_vm_calls, ARRAY_SIZE(lodge_vm_calls), cmd,
			  arg);
}

static int lodge_vm_release(struct inode *inode, struct file *file)
{
	lodge_vm_put(file->private_data);
	return 0;
}

static const struct file_operations lodge_vm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = lodge_vm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = lodge_vm_release,
	.llseek = noop_llseek,
};

/**
 * lodge_vm_open() - make a VM and a file for it
 *
 * Context: may sleep.
 * Return: the file descriptor, -EBUSY when VMX is another's, -ENOMEM, -EMFILE.
 */
int lodge_vm_open(void)
{
	struct lodge_vm *vm = lodge_vm_create();
	int fd;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("lodge-vm", &lodge_vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		lodge_vm_put(vm);
	return fd;
}
