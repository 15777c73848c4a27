// SPDX-License-Identifier: GPL-2.0
/*
 * The back end that the program is made for: the lodge module. Its ABI is the
 * door's own language, so most calls pass as they are.
 */
#include <asm/vmx.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backend.h"
#include "complain.h"
#include "layout.h"
#include "vcpu.h"

/* --- the VM -------------------------------------------------------------------- */

static int complain_open(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return complain(LODGE_DEVICE ": not there; 'modprobe lodge' or see 'lodge doctor'");
	case EACCES:
	case EPERM:
		return complain(LODGE_DEVICE ": permission denied; it is root's by default");
	default:
		return complain(LODGE_DEVICE ": %s", strerror(error));
	}
}

/* Return: descriptor of the device, or -1 after a complaint. */
static int device_open(struct lodge_info *info)
{
	int dev = open(LODGE_DEVICE, O_RDWR | O_CLOEXEC);

	if (dev < 0)
		return complain_open(errno);
	*info = (struct lodge_info){ .size = sizeof(*info) };
	if (ioctl(dev, LODGE_GET_INFO, info)) {
		complain(LODGE_DEVICE ": this is not the lodge module this program is made for: %s",
			 strerror(errno));
		close(dev);
		return -1;
	}
	return dev;
}

/* Return: descriptor of a VM, or -1 after a complaint. */
static int vm_create(int dev, const struct lodge_info *info)
{
	struct lodge_create_vm create = { .size = sizeof(create) };
	int fd = ioctl(dev, LODGE_CREATE_VM, &create);

	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return complain("another hypervisor (%s) uses VT-x; unload it first",
				info->owner[0] ? info->owner : "unknown");
	return complain("cannot create a virtual machine: %s; 'lodge doctor' may say why",
			strerror(errno));
}

static void lodge_destroy(struct vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->dev >= 0)
		close(vm->dev);
	free(vm);
}

static struct vm *lodge_create(void)
{
	struct vm *vm = malloc(sizeof(*vm));
	struct lodge_info info = { 0 };

	if (!vm) {
		complain("out of memory");
		return NULL;
	}
	*vm = (struct vm){ .backend = &lodge_backend, .dev = device_open(&info), .fd = -1 };
	if (vm->dev >= 0)
		vm->fd = vm_create(vm->dev, &info);
	if (vm->fd < 0) {
		lodge_destroy(vm);
		return NULL;
	}
	vm->max_vcpus = info.max_vcpus;
	vm->gpa_bits = info.gpa_bits;
	vm->run_size = info.run_size;
	return vm;
}

static int lodge_map_ram(struct vm *vm, const struct ram *ram)
{
	struct lodge_mem_op ops[2] = {
		{ LODGE_MEM_MAP, 0, 0, ram->low, (uintptr_t)ram->base },
		{ LODGE_MEM_MAP, 0, HOLE_END, ram->size - ram->low,
		  (uintptr_t)(ram->base + ram->low) },
	};
	struct lodge_mem_update update = {
		.size = sizeof(update),
		.ops = (uintptr_t)ops,
		.nr = ram->size > ram->low ? 2 : 1,
	};

	if (ioctl(vm->fd, LODGE_VM_MEM_UPDATE, &update))
		return complain("cannot give the virtual machine its memory: %s", strerror(errno));
	return 0;
}

static void lodge_send_msi(struct vm *vm, u64 address, u32 data)
{
	struct lodge_msi msi = { .size = sizeof(msi), .address = address, .data = data };

	ioctl(vm->fd, LODGE_VM_MSI, &msi);
}

/* --- vCPUs ----------------------------------------------------------------------- */

static int lodge_create_vcpu(struct vm *vm, unsigned int id)
{
	struct lodge_create_vcpu create = { .size = sizeof(create), .id = id };
	int fd = ioctl(vm->fd, LODGE_VM_CREATE_VCPU, &create);

	if (fd < 0)
		return complain("--cpus: cannot create vCPU %u: %s", id, strerror(errno));
	return fd;
}

static int lodge_setup_vcpu(struct vcpu *v)
{
	struct lodge_run *run = v->run;

	v->exit = &run->exit;
	return 0;
}

static int lodge_run(struct vcpu *v)
{
	/* Then the reason is LODGE_EXIT_KICK or LODGE_EXIT_SIGNAL. */
	if (ioctl(v->fd, LODGE_VCPU_RUN, NULL) && errno != EINTR)
		return errno;
	return 0;
}

static void lodge_complete(struct vcpu *v, u32 how, u64 data)
{
	struct lodge_run *run = v->run;

	run->complete = how;
	run->data = data;
}

static void lodge_kick(struct vcpu *v)
{
	ioctl(v->fd, LODGE_VCPU_KICK, NULL);
}

static int lodge_get_state(const struct vcpu *v, struct lodge_vcpu_state *state, u64 groups)
{
	*state = (struct lodge_vcpu_state){ .size = sizeof(*state), .groups = groups };
	return ioctl(v->fd, LODGE_VCPU_GET_STATE, state);
}

static int lodge_set_state(const struct vcpu *v, struct lodge_vcpu_state *state, u64 groups)
{
	state->groups = groups;
	if (ioctl(v->fd, LODGE_VCPU_SET_STATE, state))
		return complain("cannot set a vCPU's registers: %s (groups %#llx)",
				strerror(errno), state->bad_groups);
	return 0;
}

/* By whatever right the guest has there: its kernel's, or only its user mode's. */
static int lodge_translate(const struct vcpu *v, u64 gva, u64 *gpa)
{
	struct lodge_translate t = { .size = sizeof(t), .gva = gva };

	if (ioctl(v->fd, LODGE_VCPU_TRANSLATE, &t)) {
		t.flags = LODGE_GVA_USER;
		if (ioctl(v->fd, LODGE_VCPU_TRANSLATE, &t))
			return -1;
	}
	*gpa = t.gpa;
	return 0;
}

/* --- what happened ------------------------------------------------------------------ */

/* The name of a basic exit reason, as Linux has it; by number when it has none. */
static void name_reason(u32 reason, char name[STATS_NAME])
{
	static const struct {
		u32 reason;
		const char *name;
	} names[] = { VMX_EXIT_REASONS };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].reason == reason) {
			snprintf(name, STATS_NAME, "%s", names[i].name);
			return;
		}
	}
	snprintf(name, STATS_NAME, "REASON_%u", reason);
}

static int lodge_get_stats(const struct vcpu *v, struct stats *stats)
{
	struct lodge_vcpu_stats s = { .size = sizeof(s) };
	char name[STATS_NAME];

	if (ioctl(v->fd, LODGE_VCPU_GET_STATS, &s))
		return complain("--stats: cannot read the counters of vCPU %u: %s", v->id,
				strerror(errno));
	for (u32 reason = 0; reason < ARRAY_SIZE(s.hw); reason++) {
		name_reason(reason, name);
		stats_add(stats, STATS_REASON, name, s.hw[reason]);
	}
	stats_add(stats, STATS_OTHER, "exits", s.exits);
	stats_add(stats, STATS_OTHER, "user_exits", s.user_exits);
	stats_add(stats, STATS_OTHER, "halts", s.halts);
	stats_add(stats, STATS_OTHER, "injected", s.injected);
	stats_add(stats, STATS_OTHER, "ept_mapped", s.ept_mapped);
	stats_add(stats, STATS_OTHER, "guest_tsc", s.guest_tsc);
	return 0;
}

static void lodge_explain(const struct vcpu *v)
{
	const struct lodge_exit *e = v->exit;
	char name[STATS_NAME];

	name_reason(e->unhandled.hw_reason & 0xffff, name);
	complain("the guest left by VM exit %u (%s), which lodge does not handle",
		 e->unhandled.hw_reason & 0xffff, name);
	fprintf(stderr,
		"  reason %#x, qualification %#llx, interruption %#x, physical address %#llx\n",
		e->unhandled.hw_reason, e->unhandled.qualification, e->unhandled.intr_info,
		e->unhandled.gpa);
}

const struct backend lodge_backend = {
	.name		= "lodge",
	.create		= lodge_create,
	.destroy	= lodge_destroy,
	.map_ram	= lodge_map_ram,
	.send_msi	= lodge_send_msi,
	.create_vcpu	= lodge_create_vcpu,
	.setup_vcpu	= lodge_setup_vcpu,
	.run		= lodge_run,
	.complete	= lodge_complete,
	.kick		= lodge_kick,
	.get_state	= lodge_get_state,
	.set_state	= lodge_set_state,
	.translate	= lodge_translate,
	.get_stats	= lodge_get_stats,
	.explain	= lodge_explain,
};
