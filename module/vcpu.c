// SPDX-License-Identifier: GPL-2.0
/* A virtual CPU: its file, its life, its calls but RUN. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "exit.h"
#include "lodge.h"

static_assert(sizeof(struct lodge_run) <= PAGE_SIZE);

void lodge_vcpu_wake(struct lodge_vcpu *vcpu)
{
	int cpu, self;

	rcuwait_wake_up(&vcpu->wait);
	self = get_cpu();	/* no CPU goes offline meanwhile */
	/*
	 * The barrier between the request and this read; vmx_publish() has the
	 * other. A vCPU on this very CPU is out of the guest and will look.
	 */
	smp_mb();
	cpu = READ_ONCE(vcpu->cpu);
	if (cpu >= 0 && cpu != self && cpu_online(cpu))
		smp_send_reschedule(cpu);
	put_cpu();
}

void lodge_vcpu_init_reset(struct lodge_vcpu *vcpu, bool init)
{
	int i;

	for (i = 0; i < 16; i++)
		vcpu->regs[i] = 0;
	/* SDM 3A table 10-1: family, model and stepping. */
	vcpu->regs[LODGE_RDX] = 0x600;
	vcpu->event.info = 0;
	vcpu->pending.reason = LODGE_EXIT_NONE;
	vcpu->nmis_queued = 0;
	vcpu->mp_state = vcpu->id ? LODGE_MP_WAIT_SIPI : LODGE_MP_RUNNABLE;
	lodge_dr_reset(vcpu);
	lodge_cr_reset(vcpu, init);
	lodge_msr_reset(vcpu, init);
	lapic_reset(vcpu, init);
	lodge_fpu_reset(vcpu, init);
	kvmclock_reset(vcpu);
	pv_eoi_reset(vcpu);
	vmx_vcpu_reset(vcpu, init);
	vmx_syscall_msrs_changed(vcpu);
}

/**
 * lodge_exit_fill() - start to fill an exit that is not about an instruction
 * @vcpu: the vCPU; loaded or pinned
 * @reason: LODGE_EXIT_*
 *
 * Return: the exit; what belongs to the reason is zero.
 */
struct lodge_exit *lodge_exit_fill(struct lodge_vcpu *vcpu, u32 reason)
{
	struct lodge_exit *e;

	lodge_rip_read(vcpu);
	e = exit_fill(vcpu, reason, 0, 0, 0);
	memset(e->space, 0, sizeof(e->space));
	return e;
}

/* ------------------------------------------------------------------------- life */

/* Every part takes a vCPU whose own part is still zero: order does not matter. */
void lodge_vcpu_destroy(struct lodge_vcpu *vcpu)
{
	lapic_destroy(vcpu);
	vmx_vcpu_destroy(vcpu);
	lodge_fpu_destroy(vcpu);
	kfree(vcpu->cpuid);
	free_page((unsigned long)vcpu->run);
	mutex_destroy(&vcpu->mutex);
	kfree(vcpu);
}

/* A new model starts from its reset state: what was set for the old may not fit. */
static int lodge_vcpu_set_model(struct lodge_vcpu *vcpu, const struct lodge_cpuid_entry *e,
				u32 nr)
{
	int ret = lodge_vcpu_load(vcpu);

	if (ret)
		return ret;
	ret = lodge_cpuid_set(vcpu, e, nr);
	if (!ret) {
		lodge_cr_apply_model(vcpu);
		lodge_vcpu_init_reset(vcpu, false);
		vmx_vcpu_apply_model(vcpu);
	}
	return lodge_vcpu_put(vcpu) ?: ret;
}

static int lodge_vcpu_init_parts(struct lodge_vcpu *vcpu)
{
	const struct lodge_cpuid_table *cpuid = lodge_cpuid_supported();
	int ret;

	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run)
		return -ENOMEM;
	vcpu->run->size = sizeof(*vcpu->run);
	ret = lodge_fpu_init(vcpu);
	if (ret)
		return ret;
	ret = lapic_init(vcpu);
	if (ret)
		return ret;
	ret = vmx_vcpu_create(vcpu);
	if (ret)
		return ret;
	return lodge_vcpu_set_model(vcpu, cpuid->e, cpuid->nr);
}

static struct lodge_vcpu *lodge_vcpu_alloc(struct lodge_vm *vm, u32 id)
{
	struct lodge_vcpu *vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->cpu = -1;
	vcpu->vmx.vmcs_cpu = -1;
	mutex_init(&vcpu->mutex);
	init_waitqueue_head(&vcpu->state_wait);
	rcuwait_init(&vcpu->wait);
	ret = lodge_vcpu_init_parts(vcpu);
	if (ret) {
		lodge_vcpu_destroy(vcpu);
		return ERR_PTR(ret);
	}
	return vcpu;
}

/* ------------------------------------------------------------------------ calls */

static long lodge_vcpu_kick(void *object, void *arg)
{
	lodge_vcpu_request(object, LODGE_REQ_KICK);
	return 0;
}

static long lodge_vcpu_get_state(void *object, void *arg)
{
	return lodge_state_get(object, arg);
}

static long lodge_vcpu_set_state(void *object, void *arg)
{
	return lodge_state_set(object, arg);
}

static long lodge_vcpu_set_cpuid(void *object, void *arg)
{
	struct lodge_vcpu *vcpu = object;
	struct lodge_cpuid_entry *e;
	struct lodge_cpuid *req = arg;
	long ret;

	if (req->flags || req->nr > LODGE_MAX_CPUID)
		return -EINVAL;
	e = kcalloc(req->nr ?: 1, sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	ret = -EFAULT;
	if (copy_from_user(e, u64_to_user_ptr(req->entries), req->nr * sizeof(*e)))
		goto out;
	ret = lodge_cpuid_check(e, req->nr, &req->bad);
	if (ret)
		goto out;
	ret = lodge_vcpu_lock_killable(vcpu);
	if (ret)
		goto out;
	ret = vcpu->has_run ? -EBUSY : lodge_vcpu_set_model(vcpu, e, req->nr);
	lodge_vcpu_unlock(vcpu);
out:
	kfree(e);
	return ret;
}

static long lodge_vcpu_inject_exception(struct lodge_vcpu *vcpu, const struct lodge_inject *req)
{
	bool has_code = req->flags & LODGE_INJECT_F_CODE;
	long ret;

	if (req->code >> 32 || !vmx_exception_valid(req->vector, has_code, req->code) ||
	    (req->address && req->vector != 14) || (!has_code && req->code))
		return -EINVAL;
	ret = lodge_vcpu_lock_killable(vcpu);
	if (ret)
		return ret;
	if (vcpu->event.info) {
		ret = -EBUSY;
	} else {
		if (req->vector == 14)
			vcpu->cr2 = req->address;
		lodge_inject_exception(vcpu, req->vector, has_code, req->code);
	}
	lodge_vcpu_unlock(vcpu);
	return ret;
}

static long lodge_vcpu_inject(void *object, void *arg)
{
	const struct lodge_inject *req = arg;
	struct lodge_vcpu *vcpu = object;

	if (req->flags & ~LODGE_INJECT_F_CODE)
		return -EINVAL;
	switch (req->kind) {
	case LODGE_INJECT_NMI:
		if (req->flags || req->vector || req->code || req->address)
			return -EINVAL;
		lodge_vcpu_nmi(vcpu);
		return 0;
	case LODGE_INJECT_EXCEPTION:
		return lodge_vcpu_inject_exception(vcpu, req);
	default:
		return -EINVAL;
	}
}

static long lodge_vcpu_translate(void *object, void *arg)
{
	const u32 known = LODGE_GVA_WRITE | LODGE_GVA_EXEC | LODGE_GVA_USER;
	struct lodge_walk_fault fault;
	struct lodge_translate *req = arg;
	struct lodge_vcpu *vcpu = object;
	u32 flag, allowed = 0;
	gpa_t gpa = 0;
	int lost;
	long ret;

	if (req->flags & ~known)
		return -EINVAL;
	if (current->mm != vcpu->vm->mem.mm)
		return -EPERM;	/* whose memory the page tables are in */
	ret = lodge_vcpu_lock_killable(vcpu);
	if (ret)
		return ret;
	ret = lodge_vcpu_load(vcpu);
	if (ret) {
		lodge_vcpu_unlock(vcpu);
		return ret;
	}
	ret = lodge_walk(vcpu, req->gva, req->flags, &gpa, &fault);
	req->gpa = gpa;
	for (flag = 1; !ret && flag <= known; flag <<= 1)
		if (!lodge_walk(vcpu, req->gva, flag, &gpa, &fault))
			allowed |= flag;
	lost = lodge_vcpu_put(vcpu);
	lodge_vcpu_unlock(vcpu);
	if (lost)
		return lost;
	if (ret)
		return -ENOENT;
	req->flags = allowed;
	return 0;
}

static long lodge_vcpu_get_stats(void *object, void *arg)
{
	struct lodge_vcpu_stats *stats = arg;
	struct lodge_vcpu *vcpu = object;
	u32 size = stats->size;

	if (stats->flags)
		return -EINVAL;
	/* Counters only: a value that is one behind does not matter. */
	memcpy(stats, &vcpu->stats, sizeof(*stats));
	stats->size = size;
	return 0;
}

static const struct lodge_call lodge_vcpu_calls[] = {
	LODGE_CALL_PLAIN(LODGE_VCPU_KICK, lodge_vcpu_kick),
	LODGE_CALL(LODGE_VCPU_GET_STATE, lodge_vcpu_state, bad_groups, LODGE_OUT_ALWAYS,
		   lodge_vcpu_get_state),
	LODGE_CALL(LODGE_VCPU_SET_STATE, lodge_vcpu_state, bad_groups, LODGE_OUT_ERRORS,
		   lodge_vcpu_set_state),
	LODGE_CALL(LODGE_VCPU_SET_CPUID, lodge_cpuid, bad, LODGE_OUT_ERRORS, lodge_vcpu_set_cpuid),
	LODGE_CALL(LODGE_VCPU_INJECT, lodge_inject, address, LODGE_OUT_NEVER, lodge_vcpu_inject),
	LODGE_CALL(LODGE_VCPU_TRANSLATE, lodge_translate, gpa, LODGE_OUT_ALWAYS,
		   lodge_vcpu_translate),
	LODGE_CALL(LODGE_VCPU_GET_STATS, lodge_vcpu_stats, hw, LODGE_OUT_ALWAYS,
		   lodge_vcpu_get_stats),
};

static long lodge_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	/* The hot one has no structure to copy. */
	if (likely(cmd == LODGE_VCPU_RUN))
		return lodge_vcpu_run(file->private_data);
	return lodge_call(file->private_data, lodge_vcpu_calls, ARRAY_SIZE(lodge_vcpu_calls),
			  cmd, arg);
}

static int lodge_vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct lodge_vcpu *vcpu = file->private_data;

	if (vma->vm_pgoff || vma_pages(vma) != 1 || !(vma->vm_flags & VM_SHARED) ||
	    vma->vm_flags & VM_EXEC)
		return -EINVAL;
	lodge_vm_flags_clear(vma, VM_MAYEXEC);
	return vm_insert_page(vma, vma->vm_start, virt_to_page(vcpu->run));
}

static int lodge_vcpu_release(struct inode *inode, struct file *file)
{
	struct lodge_vcpu *vcpu = file->private_data;

	lodge_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations lodge_vcpu_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = lodge_vcpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = lodge_vcpu_mmap,
	.release = lodge_vcpu_release,
	.llseek = noop_llseek,
};

/**
 * lodge_vcpu_create() - make a vCPU and a file for it
 * @vm: its VM
 * @id: below LODGE_MAX_VCPUS
 *
 * Context: may sleep.
 * Return: the file descriptor, -EBUSY when @id is taken, -ENOMEM, -EMFILE.
 */
int lodge_vcpu_create(struct lodge_vm *vm, u32 id)
{
	struct lodge_vcpu *vcpu;
	struct file *file;
	int fd;

	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	if (vm->vcpus[id]) {
		fd = -EBUSY;
		goto out;
	}
	vcpu = lodge_vcpu_alloc(vm, id);
	if (IS_ERR(vcpu)) {
		fd = PTR_ERR(vcpu);
		goto out;
	}
	fd = get_unused_fd_flags(O_RDWR | O_CLOEXEC);
	if (fd < 0)
		goto err_vcpu;
	file = anon_inode_getfile("lodge-vcpu", &lodge_vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto err_vcpu;
	}
	lodge_vm_get(vm);
	/* Complete: from here on messages find it. */
	smp_store_release(&vm->vcpus[id], vcpu);
	fd_install(fd, file);
	goto out;

err_vcpu:
	lodge_vcpu_destroy(vcpu);
out:
	mutex_unlock(&vm->lock);
	return fd;
}
