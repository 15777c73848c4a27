// SPDX-License-Identifier: GPL-2.0
/* The whole state of a vCPU. */
#include <stdint.h>

#include "state.h"

u32 supported_msrs(u32 *indices)
{
	struct lodge_msr_list list = {
		.size = sizeof(list), .indices = (uintptr_t)indices, .nr = MAX_MSRS,
	};
	int dev = device_open();
	int ret = try_ioctl(dev, LODGE_GET_SUPPORTED_MSRS, &list);

	if (ret)
		test_fail("LODGE_GET_SUPPORTED_MSRS: %s", strerror(-ret));
	close(dev);
	return list.nr;
}

void state_prepare(struct full_state *state)
{
	u32 indices[MAX_MSRS], i;

	memset(state, 0, sizeof(*state));
	require(device_info()->fpu_size <= MAX_FPU);
	state->vcpu.nr_msrs = supported_msrs(indices);
	for (i = 0; i < state->vcpu.nr_msrs; i++)
		state->msrs[i].index = indices[i];
	state->vcpu.msrs = (uintptr_t)state->msrs;
	state->vcpu.fpu = (uintptr_t)state->fpu;
	state->vcpu.fpu_size = device_info()->fpu_size;
	state->vcpu.lapic = (uintptr_t)&state->lapic;
}

void state_save(struct vcpu *vcpu, struct full_state *state)
{
	state_prepare(state);
	vcpu_get(vcpu, &state->vcpu, ALL_GROUPS);
}

void state_load(struct vcpu *vcpu, struct full_state *state)
{
	vcpu_set(vcpu, &state->vcpu, ALL_GROUPS);
}

struct vm *vm_create_twin(const struct vm *vm)
{
	struct vm *twin = vm_create_empty();

	twin->low = vm->low;
	twin->next_table = vm->next_table;
	vm_map(twin, 0, twin->low, LOW_SIZE, 0);
	vm_map_image(twin);
	return twin;
}

struct vcpu *vcpu_clone(struct vcpu *vcpu)
{
	struct vcpu *clone = vcpu_create(vm_create_twin(vcpu->vm), vcpu->id);
	struct full_state *state = aligned_alloc(64, sizeof(*state));

	state_save(vcpu, state);
	state_load(clone, state);
	free(state);
	return clone;
}
