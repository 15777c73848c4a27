// SPDX-License-Identifier: GPL-2.0
/* The back end that is lodge's ABI. */
#include <stdint.h>
#include <sys/ioctl.h>

#include "bench.h"

/* Basic exit reasons (SDM 3D appendix C), and what they are counted as. */
static const struct {
	u8 reason;
	u8 count;
} hw_counts[] = {
	{ 0, COUNT_INTERRUPTS },	/* an NMI */
	{ 1, COUNT_INTERRUPTS },
	{ 52, COUNT_INTERRUPTS },	/* preemption timer: the guest's, or the end of a stint */
	{ 10, COUNT_CPUID },
	{ 12, COUNT_HLT },
	{ 18, COUNT_VMCALL },
	{ 30, COUNT_IO },
	{ 31, COUNT_RDMSR },
	{ 32, COUNT_WRMSR },
	{ 48, COUNT_EPT },
	{ 49, COUNT_EPT },
};

static struct vm *create_vm(bool apic)
{
	(void)apic;		/* it is always there */
	return vm_create_empty();
}

static void map(struct vm *vm, enum mem_slot slot, u64 gpa, void *hva, u64 len)
{
	(void)slot;
	vm_map(vm, gpa, hva, len, 0);
}

static void unmap(struct vm *vm, enum mem_slot slot, u64 gpa, u64 len)
{
	(void)slot;
	vm_unmap(vm, gpa, len);
}

static void start_vcpu(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	struct lodge_vcpu_state s = {};

	bench_state(vcpu->id, fn, arg, &s);
	vcpu_set(vcpu, &s, VCPU_START_GROUPS);
}

static u64 run(struct vcpu *vcpu, u16 port)
{
	struct lodge_run *run = vcpu->run;
	u64 other = 0;

	for (;;) {
		long error = call_run(vcpu->fd, LODGE_VCPU_RUN);

		if (error)
			vcpu_fail(vcpu, "RUN: %s", strerror(-error));
		if (run->exit.reason == LODGE_EXIT_PIO) {
			if (run->exit.pio.port == port)
				break;
		} else if (run->exit.reason == LODGE_EXIT_HOST_WORK) {
			other++;
			continue;
		} else if (run->exit.reason != LODGE_EXIT_MMIO) {
			vcpu_fail(vcpu, "unexpected exit");
		}
		run->data = 0x5a;
		run->complete = LODGE_COMPLETE_DONE;
	}
	run->complete = LODGE_COMPLETE_DONE;
	return other;
}

static u32 said(struct vcpu *vcpu)
{
	return vcpu->run->exit.pio.data;
}

static u64 run_nothing(struct vcpu *vcpu)
{
	u64 start;
	long ret;

	vcpu_kick(vcpu);
	start = read_tsc();
	ret = call_run(vcpu->fd, LODGE_VCPU_RUN);
	start = read_tsc() - start;
	if (!ret || vcpu->run->exit.reason != LODGE_EXIT_KICK)
		vcpu_fail(vcpu, "a kicked RUN did not leave");
	return start;
}

static struct lodge_vcpu_state regs;

static void regs_get(struct vcpu *vcpu)
{
	vcpu_get(vcpu, &regs, LODGE_STATE_GPRS);
}

static void regs_set(struct vcpu *vcpu)
{
	vcpu_set(vcpu, &regs, LODGE_STATE_GPRS);
}

static void counts(struct vcpu *vcpu, struct counts *counts)
{
	struct lodge_vcpu_stats stats = vcpu_stats(vcpu);
	size_t i;

	memset(counts, 0, sizeof(*counts));
	counts->known = ~BIT_ULL(COUNT_L1D_FLUSH);
	for (i = 0; i < ARRAY_SIZE(hw_counts); i++)
		counts->nr[hw_counts[i].count] += stats.hw[hw_counts[i].reason];
	counts->nr[COUNT_EXITS] = stats.exits - counts->nr[COUNT_INTERRUPTS];
	counts->nr[COUNT_USER] = stats.user_exits;
	counts->nr[COUNT_MAPPED] = stats.ept_mapped;
	counts->nr[COUNT_INJECTED] = stats.injected;
}

static void must(struct vm *vm, unsigned long call, void *arg, const char *name)
{
	int ret = try_ioctl(vm->fd, call, arg);

	if (ret < 0)
		test_fail("%s: %s", name, strerror(-ret));
}

#define MUST(vm, call, arg)	must(vm, call, arg, #call)

static void doorbell(struct vm *vm, const struct doorbell *bell, int fd)
{
	struct lodge_ioeventfd req = {
		.size = sizeof(req),
		.flags = (bell->pio ? LODGE_IOEVENTFD_F_PIO : 0) |
			 (bell->match ? LODGE_IOEVENTFD_F_DATAMATCH : 0),
		.addr = bell->addr,
		.datamatch = bell->value,
		.len = bell->len,
		.fd = fd,
	};

	MUST(vm, LODGE_VM_IOEVENTFD, &req);
}

static void irqfd(struct vm *vm, int fd, u8 vector)
{
	struct lodge_route route = { .address = APIC_BASE_ADDR, .data = vector };
	struct lodge_irq_routes routes = {
		.size = sizeof(routes), .routes = (uintptr_t)&route, .nr = 1,
	};
	struct lodge_irqfd req = { .size = sizeof(req), .fd = fd };

	MUST(vm, LODGE_VM_IRQ_ROUTES, &routes);
	MUST(vm, LODGE_VM_IRQFD, &req);
}

const struct backend lodge_backend = {
	.name = "lodge",
	.module = "lodge",
	.vm_create = create_vm,
	.vm_destroy = vm_destroy,
	.map = map,
	.unmap = unmap,
	.vcpu_create = vcpu_create,
	.vcpu_destroy = vcpu_destroy,
	.vcpu_start = start_vcpu,
	.run = run,
	.said = said,
	.run_nothing = run_nothing,
	.regs_get = regs_get,
	.regs_set = regs_set,
	.counts = counts,
	.doorbell = doorbell,
	.irqfd = irqfd,
};
