/* SPDX-License-Identifier: GPL-2.0 */
/* The whole state of a vCPU: taken from one, given to another. */
#ifndef LODGE_TEST_STATE_H
#define LODGE_TEST_STATE_H

#include "vm.h"

#define MAX_MSRS	256
#define MAX_FPU		16384
#define ALL_GROUPS	(LODGE_STATE_SHARED | LODGE_STATE_MSRS | LODGE_STATE_FPU | \
			 LODGE_STATE_LAPIC)

/* Offsets in an XSAVE image of the standard form (SDM 1 13.4). */
#define XSAVE_MXCSR	24
#define XSAVE_XMM0	160
#define XSAVE_XSTATE_BV	512
#define XSAVE_XCOMP_BV	520
#define XSAVE_YMM0	576

struct full_state {
	struct lodge_vcpu_state vcpu;
	struct lodge_msr msrs[MAX_MSRS];
	struct lodge_lapic lapic;
	u8 fpu[MAX_FPU] __attribute((aligned(64)));
};

/* GET_SUPPORTED_MSRS: how many; their indices in @indices, of MAX_MSRS. */
u32 supported_msrs(u32 *indices);

/* Pointers and sizes of the groups that are by call only, MSRs included. */
void state_prepare(struct full_state *state);
void state_save(struct vcpu *vcpu, struct full_state *state);
void state_load(struct vcpu *vcpu, struct full_state *state);

/* A VM with the low memory and the image of @vm. */
struct vm *vm_create_twin(const struct vm *vm);
/* A vCPU of the same number in a twin, with the state of @vcpu. */
struct vcpu *vcpu_clone(struct vcpu *vcpu);

#endif
