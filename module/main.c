// SPDX-License-Identifier: GPL-2.0
/* Load and unload, and the device /dev/lodge: what is here, and new VMs. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "lodge.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static long lodge_get_info(void *object, void *arg)
{
	struct lodge_info *info = arg;
	int status;

	if (info->flags || info->reserved)
		return -EINVAL;
	status = vmx_owner_status(info->owner, sizeof(info->owner));
	if (status == -EINTR)
		return status;
	info->status = -status;
	info->features = vmx_features();
	info->mitigations = vmx_mitigations();
	info->max_vcpus = LODGE_MAX_VCPUS;
	info->run_size = PAGE_SIZE;
	info->fpu_size = lodge_fpu_size();
	info->gpa_bits = ept_caps.gpa_bits;
	info->tsc_khz = tsc_khz;
	info->max_regions = LODGE_MAX_REGIONS;
	info->max_routes = LODGE_MAX_ROUTES;
	info->max_ioeventfds = LODGE_MAX_IOEVENTFDS;
	return 0;
}

static long lodge_get_supported_cpuid(void *object, void *arg)
{
	const struct lodge_cpuid_table *table = lodge_cpuid_supported();
	struct lodge_cpuid *req = arg;
	u32 room = req->nr;

	if (req->flags)
		return -EINVAL;
	req->nr = table->nr;
	if (room < table->nr)
		return -ENOSPC;
	if (copy_to_user(u64_to_user_ptr(req->entries), table->e,
			 array_size(table->nr, sizeof(table->e[0]))))
		return -EFAULT;
	return 0;
}

static long lodge_get_supported_msrs(void *object, void *arg)
{
	struct lodge_msr_list *req = arg;
	u32 room = req->nr;
	u32 nr = lodge_msr_list(NULL, 0);
	u32 *indices;
	long ret = 0;

	if (req->flags || req->reserved)
		return -EINVAL;
	req->nr = nr;
	if (room < nr)
		return -ENOSPC;
	indices = kmalloc_array(nr, sizeof(*indices), GFP_KERNEL);
	if (!indices)
		return -ENOMEM;
	lodge_msr_list(indices, nr);
	if (copy_to_user(u64_to_user_ptr(req->indices), indices, nr * sizeof(*indices)))
		ret = -EFAULT;
	kfree(indices);
	return ret;
}

static long lodge_create_vm(void *object, void *arg)
{
	struct lodge_create_vm *req = arg;

	return req->flags ? -EINVAL : lodge_vm_open();
}

static const struct lodge_call lodge_device_calls[] = {
	LODGE_CALL(LODGE_GET_INFO, lodge_info, owner, LODGE_OUT_ALWAYS, lodge_get_info),
	LODGE_CALL(LODGE_GET_SUPPORTED_CPUID, lodge_cpuid, bad, LODGE_OUT_ALWAYS,
		   lodge_get_supported_cpuid),
	LODGE_CALL(LODGE_GET_SUPPORTED_MSRS, lodge_msr_list, reserved, LODGE_OUT_ALWAYS,
		   lodge_get_supported_msrs),
	LODGE_CALL(LODGE_CREATE_VM, lodge_create_vm, flags, LODGE_OUT_NEVER, lodge_create_vm),
};

static long lodge_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return lodge_call(NULL, lodge_device_calls, ARRAY_SIZE(lodge_device_calls), cmd, arg);
}

static const struct file_operations lodge_device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = lodge_device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice lodge_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "lodge",
	.mode = 0600,
	.fops = &lodge_device_fops,
};

static int __init lodge_init(void)
{
	int ret;

	ret = vmx_module_init();
	if (ret)
		return ret;
	lodge_msr_module_init();
	ret = lodge_cpuid_module_init();
	if (ret)
		goto err_vmx;
	ret = lodge_fpu_module_init();
	if (ret)
		goto err_cpuid;
	ret = lodge_irqfd_module_init();
	if (ret)
		goto err_fpu;
	kvmclock_module_init();
	ret = misc_register(&lodge_device);
	if (ret)
		goto err_clock;
	return 0;

err_clock:
	kvmclock_module_exit();
	lodge_irqfd_module_exit();
err_fpu:
	lodge_fpu_module_exit();
err_cpuid:
	lodge_cpuid_module_exit();
err_vmx:
	vmx_module_exit();
	return ret;
}

static void __exit lodge_exit(void)
{
	misc_deregister(&lodge_device);
	kvmclock_module_exit();
	lodge_irqfd_module_exit();
	lodge_fpu_module_exit();
	lodge_cpuid_module_exit();
	vmx_module_exit();
}

module_init(lodge_init);
module_exit(lodge_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("lodge: a hypervisor in a loadable module");
