// SPDX-License-Identifier: GPL-2.0
/* The back end that is KVM's ABI, as the least of programs would use it. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>

#include "bench.h"

#define MAX_STATS	128

struct kvm_vcpu {
	struct vcpu vcpu;	/* its @run is not used */
	struct kvm_run *run;
	u64 user;		/* returns of RUN; KVM does not count them */
	int stats;		/* KVM_GET_STATS_FD */
	struct kvm_stats_header header;
};

/* KVM's statistics, and what they count. */
static const struct {
	const char *name;
	u8 count;
} stat_counts[] = {
	{ "exits", COUNT_EXITS },
	{ "irq_exits", COUNT_INTERRUPTS },
	{ "hypercalls", COUNT_VMCALL },
	{ "halt_exits", COUNT_HLT },
	{ "io_exits", COUNT_IO },
	{ "pf_fixed", COUNT_MAPPED },
	{ "irq_injections", COUNT_INJECTED },
	{ "l1d_flush", COUNT_L1D_FLUSH },
};

static struct kvm_vcpu *to_kvm(struct vcpu *vcpu)
{
	return (struct kvm_vcpu *)vcpu;
}

static int must(int fd, unsigned long call, void *arg, const char *name)
{
	int ret = ioctl(fd, call, arg);

	if (ret < 0)
		test_fail("%s: %s", name, strerror(errno));
	return ret;
}

#define MUST(fd, call, arg)	must(fd, call, (void *)(uintptr_t)(arg), #call)

static int kvm_open(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		test_fail("/dev/kvm: %s", strerror(errno));
	return fd;
}

static struct vm *create_vm(bool apic)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int dev = kvm_open();

	vm->fd = MUST(dev, KVM_CREATE_VM, 0);
	close(dev);
	if (apic)
		MUST(vm->fd, KVM_CREATE_IRQCHIP, 0);
	return vm;
}

static void set_region(struct vm *vm, u32 slot, u64 gpa, void *hva, u64 len)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)hva,
	};

	MUST(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void map(struct vm *vm, enum mem_slot slot, u64 gpa, void *hva, u64 len)
{
	set_region(vm, slot, gpa, hva, len);
}

static void unmap(struct vm *vm, enum mem_slot slot, u64 gpa, u64 len)
{
	(void)len;
	set_region(vm, slot, gpa, NULL, 0);
}

/* CPUID leaf 1, ECX: the program has to offer it, KVM does not. */
#define TSC_DEADLINE	BIT_ULL(24)

/* All that KVM offers, as most programs do. */
static void set_cpuid(int fd)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} table;
	int dev = kvm_open();
	u32 i;

	table.head.nent = ARRAY_SIZE(table.entries);
	MUST(dev, KVM_GET_SUPPORTED_CPUID, &table);
	for (i = 0; i < table.head.nent; i++)
		if (table.entries[i].function == 1)
			table.entries[i].ecx |= TSC_DEADLINE;
	MUST(fd, KVM_SET_CPUID2, &table);
	close(dev);
}

static void open_stats(struct kvm_vcpu *k)
{
	k->stats = MUST(k->vcpu.fd, KVM_GET_STATS_FD, 0);
	require(pread(k->stats, &k->header, sizeof(k->header), 0) == sizeof(k->header));
	require(k->header.num_desc <= MAX_STATS);
}

static struct vcpu *create_vcpu(struct vm *vm, u32 id)
{
	struct kvm_vcpu *k = calloc(1, sizeof(*k));
	int dev = kvm_open();

	k->vcpu.vm = vm;
	k->vcpu.id = id;
	k->vcpu.fd = MUST(vm->fd, KVM_CREATE_VCPU, id);
	k->stats = -1;
	k->run = mmap(NULL, MUST(dev, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		      MAP_SHARED, k->vcpu.fd, 0);
	if (k->run == MAP_FAILED)
		test_fail("mmap of a KVM vCPU: %s", strerror(errno));
	close(dev);
	return &k->vcpu;
}

static void destroy_vcpu(struct vcpu *vcpu)
{
	struct kvm_vcpu *k = to_kvm(vcpu);
	int dev = kvm_open();

	munmap(k->run, MUST(dev, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(dev);
	if (k->stats >= 0)
		close(k->stats);
	close(vcpu->fd);
	free(k);
}

static struct kvm_segment segment(const struct lodge_segment *s)
{
	return (struct kvm_segment) {
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = s->attrs & 0xf,
		.s = s->attrs >> 4 & 1,
		.dpl = s->attrs >> 5 & 3,
		.present = s->attrs >> 7 & 1,
		.avl = s->attrs >> 12 & 1,
		.l = s->attrs >> 13 & 1,
		.db = s->attrs >> 14 & 1,
		.g = s->attrs >> 15 & 1,
		.unusable = s->unusable,
	};
}

static void set_sregs(int fd, const struct lodge_vcpu_state *s)
{
	const struct lodge_segment *seg = s->sregs.seg;
	struct kvm_sregs sregs;

	MUST(fd, KVM_GET_SREGS, &sregs);
	sregs.cs = segment(&seg[LODGE_SEG_CS]);
	sregs.ds = segment(&seg[LODGE_SEG_DS]);
	sregs.es = segment(&seg[LODGE_SEG_ES]);
	sregs.fs = segment(&seg[LODGE_SEG_FS]);
	sregs.gs = segment(&seg[LODGE_SEG_GS]);
	sregs.ss = segment(&seg[LODGE_SEG_SS]);
	sregs.tr = segment(&seg[LODGE_SEG_TR]);
	sregs.ldt = segment(&seg[LODGE_SEG_LDTR]);
	sregs.gdt.base = s->sregs.gdt.base;
	sregs.gdt.limit = s->sregs.gdt.limit;
	sregs.idt.base = s->sregs.idt.base;
	sregs.idt.limit = s->sregs.idt.limit;
	sregs.cr0 = s->crs.cr0;
	sregs.cr3 = s->crs.cr3;
	sregs.cr4 = s->crs.cr4;
	sregs.efer = s->crs.efer;
	MUST(fd, KVM_SET_SREGS, &sregs);
}

static void start_vcpu(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	struct lodge_vcpu_state s = {};
	struct kvm_regs regs = {};

	set_cpuid(vcpu->fd);
	bench_state(vcpu->id, fn, arg, &s);
	set_sregs(vcpu->fd, &s);
	regs.rip = s.gprs.rip;
	regs.rflags = s.gprs.rflags;
	regs.rsp = s.gprs.reg[4];
	regs.rdi = s.gprs.reg[7];
	MUST(vcpu->fd, KVM_SET_REGS, &regs);
}

static u64 run(struct vcpu *vcpu, u16 port)
{
	struct kvm_vcpu *k = to_kvm(vcpu);
	struct kvm_run *run = k->run;
	u64 other = 0;

	for (;;) {
		long error = call_run(vcpu->fd, KVM_RUN);

		k->user++;
		if (error) {
			if (error != -EINTR)
				test_fail("KVM_RUN: %s", strerror(-error));
			other++;
		} else if (run->exit_reason == KVM_EXIT_IO) {
			if (run->io.port == port)
				break;
			if (run->io.direction == KVM_EXIT_IO_IN)
				*(u32 *)((u8 *)run + run->io.data_offset) = 0x5a;
		} else if (run->exit_reason == KVM_EXIT_MMIO) {
			if (!run->mmio.is_write)
				*(u64 *)run->mmio.data = 0x5a;
		} else {
			test_fail("KVM_RUN: unexpected exit %u", run->exit_reason);
		}
	}
	return other;
}

static u32 said(struct vcpu *vcpu)
{
	struct kvm_run *run = to_kvm(vcpu)->run;

	return *(u32 *)((u8 *)run + run->io.data_offset);
}

static u64 run_nothing(struct vcpu *vcpu)
{
	struct kvm_run *run = to_kvm(vcpu)->run;
	u64 start;
	long ret;

	to_kvm(vcpu)->user++;
	run->immediate_exit = 1;
	start = read_tsc();
	ret = call_run(vcpu->fd, KVM_RUN);
	start = read_tsc() - start;
	if (ret != -EINTR)
		test_fail("an immediate KVM_RUN did not leave");
	run->immediate_exit = 0;
	return start;
}

static struct kvm_regs regs;

static void regs_get(struct vcpu *vcpu)
{
	MUST(vcpu->fd, KVM_GET_REGS, &regs);
}

static void regs_set(struct vcpu *vcpu)
{
	MUST(vcpu->fd, KVM_SET_REGS, &regs);
}

/* Return: one of enum count, or -1. */
static int stat_count(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stat_counts); i++)
		if (!strcmp(stat_counts[i].name, name))
			return stat_counts[i].count;
	return -1;
}

static void counts(struct vcpu *vcpu, struct counts *counts)
{
	struct kvm_vcpu *k = to_kvm(vcpu);
	union {
		struct kvm_stats_desc desc;
		u8 space[sizeof(struct kvm_stats_desc) + 256];
	} d;
	size_t size;
	u32 i;
	int c;

	if (k->stats < 0)
		open_stats(k);
	size = sizeof(d.desc) + k->header.name_size;
	require(size <= sizeof(d));
	memset(counts, 0, sizeof(*counts));
	for (i = 0; i < k->header.num_desc; i++) {
		require(pread(k->stats, &d, size, k->header.desc_offset + i * size) ==
			(ssize_t)size);
		c = stat_count(d.desc.name);
		if (c < 0)
			continue;
		require(pread(k->stats, &counts->nr[c], sizeof(u64),
			      k->header.data_offset + d.desc.offset) == sizeof(u64));
		counts->known |= BIT_ULL(c);
	}
	require(counts->known & BIT_ULL(COUNT_EXITS));
	require(counts->known & BIT_ULL(COUNT_INTERRUPTS));
	counts->nr[COUNT_EXITS] -= counts->nr[COUNT_INTERRUPTS];
	counts->nr[COUNT_USER] = k->user;
	counts->known |= BIT_ULL(COUNT_USER);
}

static void destroy_vm(struct vm *vm)
{
	close(vm->fd);
	free(vm);
}

static void doorbell(struct vm *vm, const struct doorbell *bell, int fd)
{
	struct kvm_ioeventfd req = {
		.flags = (bell->pio ? KVM_IOEVENTFD_FLAG_PIO : 0) |
			 (bell->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0),
		.addr = bell->addr,
		.datamatch = bell->value,
		.len = bell->len,
		.fd = fd,
	};

	MUST(vm->fd, KVM_IOEVENTFD, &req);
}

#define GSI	24	/* the first that is no pin of an I/O APIC */

static void irqfd(struct vm *vm, int fd, u8 vector)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = {
			.gsi = GSI,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = APIC_BASE_ADDR, .data = vector },
		},
	};
	struct kvm_irqfd req = { .fd = fd, .gsi = GSI };

	MUST(vm->fd, KVM_SET_GSI_ROUTING, &routing);
	MUST(vm->fd, KVM_IRQFD, &req);
}

const struct backend kvm_backend = {
	.name = "kvm",
	.module = "kvm_intel",
	.vm_create = create_vm,
	.vm_destroy = destroy_vm,
	.map = map,
	.unmap = unmap,
	.vcpu_create = create_vcpu,
	.vcpu_destroy = destroy_vcpu,
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
