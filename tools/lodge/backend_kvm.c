// SPDX-License-Identifier: GPL-2.0
/*
 * The back end for comparison: KVM, doing the same part of the work as the lodge
 * module does. The local APICs are in the kernel, every other device is here
 * ("split irqchip"); there is no PIC and no PIT.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backend.h"
#include "complain.h"
#include "kvm_state.h"
#include "layout.h"
#include "machine.h"

#define KVM_DEVICE	"/dev/kvm"

/*
 * An interrupt route for each vector there can be (SDM 3A 11.5.2). KVM keeps the
 * number of those that are the I/O APIC's in 8 bits, so 256 would be none.
 */
#define FIRST_VECTOR	16
#define ROUTES		(256 - FIRST_VECTOR)

/* Makes KVM_RUN come back: a signal that does nothing else. */
#define KICK_SIGNAL	SIGUSR1

/* Of an interrupt message (SDM 3A 11.11). */
#define MSI_TO_ALL	0xff000ULL
#define MSI_VECTOR	0xff
#define MSI_LEVEL	BIT(15)

/**
 * struct kvm_vm - a VM of KVM
 * @vm: as all back ends have it
 * @lock: guards what follows, and the VM's interrupt routes
 * @level: vectors that have been sent level triggered, from FIRST_VECTOR on
 */
struct kvm_vm {
	struct vm vm;
	pthread_mutex_t lock;
	bool level[ROUTES];
};

static struct kvm_vm *to_kvm(struct vm *vm)
{
	return (struct kvm_vm *)((u8 *)vm - offsetof(struct kvm_vm, vm));
}

/* --- the device ------------------------------------------------------------------ */

static int complain_open(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return complain("--backend kvm: no " KVM_DEVICE "; 'modprobe kvm_intel' %s",
				"brings it, unless virtual machines of lodge run");
	case EACCES:
	case EPERM:
		return complain("--backend kvm: " KVM_DEVICE ": permission denied; %s",
				"Debian lets root and the group kvm use it");
	default:
		return complain("--backend kvm: " KVM_DEVICE ": %s", strerror(error));
	}
}

/* What the program relies on; the youngest came with Linux 4.12. */
static int check_capabilities(int dev)
{
	static const struct {
		int number;
		const char *name;
	} needed[] = {
		{ KVM_CAP_USER_MEMORY, "memory of the program's own" },
		{ KVM_CAP_EXT_CPUID, "a CPUID table" },
		{ KVM_CAP_SPLIT_IRQCHIP, "the local APIC alone" },
		{ KVM_CAP_SIGNAL_MSI, "interrupt messages" },
		{ KVM_CAP_TSC_DEADLINE_TIMER, "the TSC-deadline timer" },
		{ KVM_CAP_IMMEDIATE_EXIT, "immediate exits" },
	};

	if (ioctl(dev, KVM_GET_API_VERSION, NULL) != KVM_API_VERSION)
		return complain("--backend kvm: " KVM_DEVICE " is not the KVM that Linux has");
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(dev, KVM_CHECK_EXTENSION, needed[i].number) <= 0)
			return complain("--backend kvm: this KVM does not offer %s",
					needed[i].name);
	return 0;
}

/* --- the VM ------------------------------------------------------------------------- */

/*
 * Where a CPU without unrestricted guest keeps its real mode: addresses that are
 * nothing else's. The second takes three pages.
 */
static int reserve_pages(int fd)
{
	u64 identity_map = KVM_IDENTITY_MAP_ADDR;

	if (ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) ||
	    ioctl(fd, KVM_SET_TSS_ADDR, KVM_TSS_ADDR))
		return complain("cannot set aside KVM's own pages: %s", strerror(errno));
	return 0;
}

/* Interrupt routes up to ROUTES are the I/O APIC's: see route_level(). */
static int split_irqchip(int fd)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = ROUTES };

	if (ioctl(fd, KVM_ENABLE_CAP, &cap))
		return complain("cannot have KVM's local APIC alone: %s", strerror(errno));
	return 0;
}

static int create_fd(int dev)
{
	int fd = ioctl(dev, KVM_CREATE_VM, 0);

	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return complain("--backend kvm: another hypervisor uses VT-x; %s",
				"end its virtual machines first");
	return complain("--backend kvm: cannot create a virtual machine: %s", strerror(errno));
}

static int setup(struct vm *vm)
{
	int bits;

	vm->dev = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	if (vm->dev < 0)
		return complain_open(errno);
	bits = check_capabilities(vm->dev) ? -1 : kvm_gpa_bits(vm->dev);
	if (bits < 0)
		return -1;
	vm->gpa_bits = bits;
	vm->max_vcpus = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	vm->run_size = ioctl(vm->dev, KVM_GET_VCPU_MMAP_SIZE, NULL);
	vm->fd = create_fd(vm->dev);
	if (vm->fd < 0)
		return -1;
	return reserve_pages(vm->fd) || split_irqchip(vm->fd) ? -1 : 0;
}

static void kvm_destroy(struct vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->dev >= 0)
		close(vm->dev);
	free(to_kvm(vm));
}

static void kicked(int sig __unused)
{
}

static struct vm *kvm_create(void)
{
	const struct sigaction sa = { .sa_handler = kicked };
	struct kvm_vm *kvm = calloc(1, sizeof(*kvm));

	if (!kvm) {
		complain("out of memory");
		return NULL;
	}
	kvm->vm = (struct vm){ .backend = &kvm_backend, .dev = -1, .fd = -1 };
	pthread_mutex_init(&kvm->lock, NULL);
	sigaction(KICK_SIGNAL, &sa, NULL);
	if (setup(&kvm->vm)) {
		kvm_destroy(&kvm->vm);
		return NULL;
	}
	return &kvm->vm;
}

static int kvm_map_ram(struct vm *vm, const struct ram *ram)
{
	const struct kvm_userspace_memory_region slots[] = {
		{ 0, 0, 0, ram->low, (uintptr_t)ram->base },
		{ 1, 0, HOLE_END, ram->size - ram->low, (uintptr_t)(ram->base + ram->low) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		if (slots[i].memory_size && ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slots[i]))
			return complain("cannot give the virtual machine its memory: %s",
					strerror(errno));
	return 0;
}

/*
 * KVM tells of an EOI only for vectors that it finds level triggered among the I/O
 * APIC's routes. There is one for each vector, to everybody, whoever gets it in
 * truth; made when that vector is first sent so, and left there: an EOI too many
 * does no harm.
 */
static void route_level(struct kvm_vm *kvm, u8 vector)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry e[ROUTES];
	} routes = { 0 };

	if (vector < FIRST_VECTOR)
		return;
	pthread_mutex_lock(&kvm->lock);
	if (!kvm->level[vector - FIRST_VECTOR]) {
		kvm->level[vector - FIRST_VECTOR] = true;
		for (u32 i = 0; i < ROUTES; i++)
			if (kvm->level[i])
				routes.e[routes.head.nr++] = (struct kvm_irq_routing_entry){
					.gsi = i,
					.type = KVM_IRQ_ROUTING_MSI,
					.u.msi.address_lo = LAPIC_ADDR | MSI_TO_ALL,
					.u.msi.data = (i + FIRST_VECTOR) | MSI_LEVEL,
				};
		ioctl(kvm->vm.fd, KVM_SET_GSI_ROUTING, &routes);
	}
	pthread_mutex_unlock(&kvm->lock);
}

static void kvm_send_msi(struct vm *vm, u64 address, u32 data)
{
	struct kvm_msi msi = { .address_lo = address, .address_hi = address >> 32, .data = data };

	if (data & MSI_LEVEL)
		route_level(to_kvm(vm), data & MSI_VECTOR);
	ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

/* --- vCPUs ----------------------------------------------------------------------------- */

static int kvm_create_vcpu(struct vm *vm, unsigned int id)
{
	int fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);

	if (fd < 0)
		return complain("--cpus: cannot create vCPU %u: %s", id, strerror(errno));
	return fd;
}

static int kvm_setup_vcpu(struct vcpu *v)
{
	v->exit = &v->translated;
	return kvm_setup_cpuid(v->machine->vm->dev, v);
}

/* The data of a port access: KVM has it behind the structure. */
static void *pio_data(struct kvm_run *run)
{
	return (u8 *)run + run->io.data_offset;
}

/* A count above one comes of INS and OUTS only. */
static void on_io(struct kvm_run *run, struct lodge_exit *e)
{
	e->reason = LODGE_EXIT_PIO;
	e->flags = run->io.count == 1 ? LODGE_EXIT_F_COMPLETE : 0;
	e->pio.port = run->io.port;
	e->pio.width = run->io.size;
	e->pio.flags = run->io.count == 1 ? 0 : LODGE_PIO_STRING | LODGE_PIO_REP;
	e->pio.data = 0;
	if (run->io.direction == KVM_EXIT_IO_IN)
		e->pio.flags |= LODGE_PIO_IN;
	else
		memcpy(&e->pio.data, pio_data(run), run->io.size);
}

static void on_mmio(struct kvm_run *run, struct lodge_exit *e)
{
	e->reason = LODGE_EXIT_MMIO;
	e->flags = LODGE_EXIT_F_COMPLETE;
	e->mmio.gpa = run->mmio.phys_addr;
	e->mmio.width = run->mmio.len;
	e->mmio.flags = run->mmio.is_write ? LODGE_MMIO_WRITE : 0;
	memcpy(&e->mmio.data, run->mmio.data, sizeof(e->mmio.data));
}

static void on_intr(struct kvm_run *run __unused, struct lodge_exit *e)
{
	e->reason = LODGE_EXIT_KICK;
}

static void on_eoi(struct kvm_run *run, struct lodge_exit *e)
{
	e->reason = LODGE_EXIT_EOI;
	e->eoi.vector = run->eoi.vector;
}

static void on_shutdown(struct kvm_run *run __unused, struct lodge_exit *e)
{
	e->reason = LODGE_EXIT_SHUTDOWN;
}

static void on_fail_entry(struct kvm_run *run, struct lodge_exit *e)
{
	e->reason = LODGE_EXIT_FAIL_ENTRY;
	e->fail.hw_reason = run->fail_entry.hardware_entry_failure_reason;
	e->fail.insn_error = 0;
	e->fail.qualification = 0;
	snprintf(e->fail.text, sizeof(e->fail.text), "KVM does not say more");
}

static void (*const on_kvm_exit[])(struct kvm_run *run, struct lodge_exit *e) = {
	[KVM_EXIT_IO]		= on_io,
	[KVM_EXIT_MMIO]		= on_mmio,
	[KVM_EXIT_INTR]		= on_intr,
	[KVM_EXIT_IOAPIC_EOI]	= on_eoi,
	[KVM_EXIT_SHUTDOWN]	= on_shutdown,
	[KVM_EXIT_FAIL_ENTRY]	= on_fail_entry,
};

static int kvm_run(struct vcpu *v)
{
	struct lodge_exit *e = &v->translated;
	struct kvm_run *run = v->run;
	u32 reason;

	e->seq++;
	e->flags = 0;
	if (ioctl(v->fd, KVM_RUN, NULL)) {
		/* EAGAIN: it waited for its SIPI, and has got it. */
		if (errno != EINTR && errno != EAGAIN)
			return errno;
		__atomic_store_n(&run->immediate_exit, 0, __ATOMIC_RELAXED);
		e->reason = LODGE_EXIT_KICK;
		return 0;
	}
	reason = run->exit_reason;
	if (reason < ARRAY_SIZE(on_kvm_exit) && on_kvm_exit[reason])
		on_kvm_exit[reason](run, e);
	else
		e->reason = LODGE_EXIT_UNHANDLED;
	return 0;
}

/* KVM takes writes as done; the value of a read it finds where it asked for it. */
static void kvm_complete(struct vcpu *v, u32 how __unused, u64 data)
{
	const struct lodge_exit *e = v->exit;
	struct kvm_run *run = v->run;

	if (e->reason == LODGE_EXIT_PIO && e->pio.flags & LODGE_PIO_IN)
		memcpy(pio_data(run), &data, e->pio.width);
	else if (e->reason == LODGE_EXIT_MMIO && !(e->mmio.flags & LODGE_MMIO_WRITE))
		memcpy(run->mmio.data, &data, sizeof(data));
}

/* The flag for a KVM_RUN that is still to come, the signal for the present one. */
static void kvm_kick(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	__atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(v->thread, KICK_SIGNAL);
}

static int kvm_translate(const struct vcpu *v, u64 gva, u64 *gpa)
{
	struct kvm_translation t = { .linear_address = gva };

	if (ioctl(v->fd, KVM_TRANSLATE, &t) || !t.valid)
		return -1;
	*gpa = t.physical_address;
	return 0;
}

/* --- what happened ------------------------------------------------------------------------ */

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

/* One of KVM's own counters, if it is one: there are peaks and histograms, too. */
static int add_counter(int fd, const struct kvm_stats_header *h, u32 nr, struct stats *stats)
{
	struct {
		struct kvm_stats_desc desc;
		char name[STATS_NAME];
	} d = { 0 };
	size_t size = sizeof(d.desc) + h->name_size;
	u64 count;

	if (pread(fd, &d, size, h->desc_offset + nr * size) != (ssize_t)size)
		return -1;
	d.name[STATS_NAME - 1] = 0;
	if ((d.desc.flags & KVM_STATS_TYPE_MASK) != KVM_STATS_TYPE_CUMULATIVE || d.desc.size != 1)
		return 0;
	if (pread(fd, &count, sizeof(count), h->data_offset + d.desc.offset) != sizeof(count))
		return -1;
	/* "pf_taken" is KVM's name for an EPT violation. */
	stats_add(stats, ends_in(d.name, "_exits") || !strcmp(d.name, "pf_taken") ?
		  STATS_REASON : STATS_OTHER, d.name, count);
	return 0;
}

static int add_counters(int fd, struct stats *stats)
{
	struct kvm_stats_header h;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || h.name_size > STATS_NAME)
		return -1;
	for (u32 i = 0; i < h.num_desc; i++)
		if (add_counter(fd, &h, i, stats))
			return -1;
	return 0;
}

static int kvm_get_stats(const struct vcpu *v, struct stats *stats)
{
	int fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL), err;

	if (fd < 0)
		return complain("--stats: KVM does not tell its counters (Linux 5.14 or later): %s",
				strerror(errno));
	err = add_counters(fd, stats);
	close(fd);
	if (err)
		return complain("--stats: cannot read KVM's counters of vCPU %u", v->id);
	return 0;
}

static void kvm_explain(const struct vcpu *v)
{
	static const char *const suberrors[] = {
		[KVM_INTERNAL_ERROR_EMULATION]	= "an instruction that KVM cannot emulate",
		[KVM_INTERNAL_ERROR_SIMUL_EX]	= "an exception while an exception was delivered",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "an exit while an event was delivered",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "a VM exit KVM does not know",
	};
	const struct kvm_run *run = v->run;
	u32 error = run->internal.suberror;

	if (run->exit_reason != KVM_EXIT_INTERNAL_ERROR)
		complain("KVM reports an exit this program does not know: %u", run->exit_reason);
	else if (error < ARRAY_SIZE(suberrors) && suberrors[error])
		complain("KVM gives up on the guest: %s", suberrors[error]);
	else
		complain("KVM gives up on the guest: internal error %u", error);
}

const struct backend kvm_backend = {
	.name		= "kvm",
	.create		= kvm_create,
	.destroy	= kvm_destroy,
	.map_ram	= kvm_map_ram,
	.send_msi	= kvm_send_msi,
	.create_vcpu	= kvm_create_vcpu,
	.setup_vcpu	= kvm_setup_vcpu,
	.run		= kvm_run,
	.complete	= kvm_complete,
	.kick		= kvm_kick,
	.get_state	= kvm_get_state,
	.set_state	= kvm_set_state,
	.translate	= kvm_translate,
	.get_stats	= kvm_get_stats,
	.explain	= kvm_explain,
};
