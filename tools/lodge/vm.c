// SPDX-License-Identifier: GPL-2.0
/*
 * The module's calls, as functions that complain in words.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "complain.h"
#include "layout.h"
#include "vm.h"

int lodge_call(int fd, unsigned long call, void *arg)
{
	return ioctl(fd, call, arg);
}

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

int device_open(struct lodge_info *info)
{
	int dev = open(LODGE_DEVICE, O_RDWR | O_CLOEXEC);

	if (dev < 0)
		return complain_open(errno);
	*info = (struct lodge_info){ .size = sizeof(*info) };
	if (lodge_call(dev, LODGE_GET_INFO, info)) {
		complain(LODGE_DEVICE ": this is not the lodge module this program is made for: %s",
			 strerror(errno));
		close(dev);
		return -1;
	}
	return dev;
}

int vm_create(int dev, const struct lodge_info *info)
{
	struct lodge_create_vm create = { .size = sizeof(create) };
	int vm = lodge_call(dev, LODGE_CREATE_VM, &create);

	if (vm >= 0)
		return vm;
	if (errno == EBUSY)
		return complain("another hypervisor (%s) uses VT-x; unload it first",
				info->owner[0] ? info->owner : "unknown");
	return complain("cannot create a virtual machine: %s; 'lodge doctor' may say why",
			strerror(errno));
}

int vm_map_ram(int vm, const struct ram *ram)
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

	if (lodge_call(vm, LODGE_VM_MEM_UPDATE, &update))
		return complain("cannot give the virtual machine its memory: %s", strerror(errno));
	return 0;
}

int vm_create_vcpu(int vm, unsigned int id)
{
	struct lodge_create_vcpu create = { .size = sizeof(create), .id = id };
	int fd = lodge_call(vm, LODGE_VM_CREATE_VCPU, &create);

	if (fd < 0)
		return complain("--cpus: cannot create vCPU %u: %s", id, strerror(errno));
	return fd;
}

void vm_send_msi(int vm, u64 address, u32 data)
{
	struct lodge_msi msi = { .size = sizeof(msi), .address = address, .data = data };

	lodge_call(vm, LODGE_VM_MSI, &msi);
}

int vcpu_get_state(int fd, struct lodge_vcpu_state *state, u64 groups)
{
	*state = (struct lodge_vcpu_state){ .size = sizeof(*state), .groups = groups };
	return lodge_call(fd, LODGE_VCPU_GET_STATE, state);
}

int vcpu_set_state(int fd, struct lodge_vcpu_state *state, u64 groups)
{
	state->groups = groups;
	if (lodge_call(fd, LODGE_VCPU_SET_STATE, state))
		return complain("cannot set a vCPU's registers: %s (groups %#llx)",
				strerror(errno), state->bad_groups);
	return 0;
}
