/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's side: VMs, vCPUs and the conversation with the guest. What fails
 * here ends the test (each TEST is a process of its own) with a message, and
 * with the vCPU's state when a guest is to blame; functions with "try" in their
 * name give the errno instead.
 */
#ifndef LODGE_TEST_VM_H
#define LODGE_TEST_VM_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include <linux/lodge.h>

#include "guest.h"
#include "host.h"

struct vm {
	int fd;
	u8 *low;		/* host address of guest-physical 0 to LOW_SIZE */
	u64 next_table;		/* where the next page table goes */
};

struct vcpu {
	struct vm *vm;
	struct lodge_run *run;
	int fd;
	u32 id;
	bool complete;		/* the last exit is completed by the next RUN */
};

/* What the guest said. */
struct guest_msg {
	u32 nr;			/* GUEST_CALL_* */
	u64 arg[5];
};

/* -------------------------------------------------------------- the device */

int device_open(void);
const struct lodge_info *device_info(void);
/* A register (0: EAX ... 3: EDX) of a CPUID leaf as a new vCPU has it. */
u32 guest_cpuid(u32 leaf, u32 subleaf, int reg);
/* An ioctl's result, or the errno below zero. */
int try_ioctl(int fd, unsigned long call, void *arg);

/* ---------------------------------------------------------------------- VM */

/* A VM with low memory, the program's image, GDT, IDT and page tables. */
struct vm *vm_create(void);
/* A VM with nothing in it. */
struct vm *vm_create_empty(void);
/* The program itself, at GPA_IMAGE. */
void *vm_image(u64 *len);
void vm_map_image(struct vm *vm);
/* Fills low memory, that is there: GDT, IDT, page tables. For any hypervisor's VM. */
void vm_lay_out(struct vm *vm);
void vm_destroy(struct vm *vm);

/* The errno of MEM_UPDATE below zero, or 0; @bad may be NULL. */
int vm_try_update(struct vm *vm, struct lodge_mem_op *ops, u32 nr, u32 *bad);
int vm_try_map(struct vm *vm, u64 gpa, void *hva, u64 len, u32 flags);
int vm_try_unmap(struct vm *vm, u64 gpa, u64 len);
int vm_try_protect(struct vm *vm, u64 gpa, u64 len, u32 flags);
void vm_map(struct vm *vm, u64 gpa, void *hva, u64 len, u32 flags);
void vm_unmap(struct vm *vm, u64 gpa, u64 len);
void vm_protect(struct vm *vm, u64 gpa, u64 len, u32 flags);
/* Fresh anonymous memory at @gpa; the host's address of it. */
void *vm_ram(struct vm *vm, u64 gpa, u64 len);

/* Guest page tables (all vCPUs have the same): map @gva to @gpa. */
#define GVA_4K		true
#define GVA_ANY		false
void vm_gva_map(struct vm *vm, u64 gva, u64 gpa, u64 len, u64 pte_flags, bool small);
/* The entry that maps @gva. */
u64 *vm_gva_pte(struct vm *vm, u64 gva);

void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
int vm_try_msi(struct vm *vm, u64 address, u32 data);
void vm_irq(struct vm *vm, u32 apic_id, u8 vector);

/* -------------------------------------------------------------------- vCPU */

struct vcpu *vcpu_create(struct vm *vm, u32 id);
int vcpu_try_create(struct vm *vm, u32 id);
/* A vCPU that will run fn(arg) in long mode. */
struct vcpu *vcpu_create_at(struct vm *vm, u32 id, void (*fn)(u64 arg), u64 arg);
void vcpu_destroy(struct vcpu *vcpu);

int vcpu_try_get(struct vcpu *vcpu, struct lodge_vcpu_state *state, u64 groups);
int vcpu_try_set(struct vcpu *vcpu, struct lodge_vcpu_state *state, u64 groups);
void vcpu_get(struct vcpu *vcpu, struct lodge_vcpu_state *state, u64 groups);
void vcpu_set(struct vcpu *vcpu, struct lodge_vcpu_state *state, u64 groups);
u64 vcpu_get_msr(struct vcpu *vcpu, u32 index);
int vcpu_try_set_msr(struct vcpu *vcpu, u32 index, u64 value);
void vcpu_get_lapic(struct vcpu *vcpu, struct lodge_lapic *lapic);
struct lodge_vcpu_stats vcpu_stats(struct vcpu *vcpu);
int vcpu_try_inject(struct vcpu *vcpu, struct lodge_inject inject);
void vcpu_nmi(struct vcpu *vcpu);
void vcpu_kick(struct vcpu *vcpu);

/* States to start in; each sets all of GPRS, SREGS, CRS and EVENTS. */
#define VCPU_START_GROUPS	(LODGE_STATE_GPRS | LODGE_STATE_SREGS | LODGE_STATE_CRS | \
				 LODGE_STATE_EVENTS)
/* The groups that vcpu_start_long() sets, for a vCPU of that id. */
void vcpu_long_state(u32 id, void (*fn)(u64 arg), u64 arg, struct lodge_vcpu_state *s);
void vcpu_start_long(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg);
void vcpu_start_compat(struct vcpu *vcpu, u32 eip);
void vcpu_start_protected(struct vcpu *vcpu, u32 eip);
void vcpu_start_protected16(struct vcpu *vcpu, u32 eip);
void vcpu_start_real(struct vcpu *vcpu, u16 segment, u16 ip);
/* Copies raw code to guest-physical @gpa (below LOW_SIZE). */
void vm_put_code(struct vm *vm, u64 gpa, const void *code, size_t size);

/* Segments, as the VMCS has them. */
struct lodge_segment seg_flat(u16 selector, u16 attrs);
struct lodge_segment seg_real(u16 selector, bool code);
#define SEG_CODE64	0xa09b
#define SEG_CODE32	0xc09b
#define SEG_CODE16	0x009b
#define SEG_DATA	0xc093

/* --------------------------------------------------------------------- RUN */

/* One RUN, or several while the host wants its thread; 0 or an errno. */
int vcpu_run(struct vcpu *vcpu);
/* RUN until an exit that must have that reason. */
struct lodge_exit *vcpu_run_until(struct vcpu *vcpu, u32 reason);
/* The same, to be completed by the next RUN as done, with @data for a read. */
struct lodge_exit *vcpu_run_complete(struct vcpu *vcpu, u32 reason, u64 data);

/* After a RUN: the test fails when the guest has complained. */
void guest_hear(struct vcpu *vcpu);

/* RUN until the guest says something; nothing else may happen. */
struct guest_msg guest_run(struct vcpu *vcpu);
/* RUN; the guest must say exactly this. */
void guest_run_sync(struct vcpu *vcpu, u64 n);
u64 guest_run_value(struct vcpu *vcpu);
void guest_run_done(struct vcpu *vcpu);
/* All in one: a VM whose only vCPU runs fn(arg) to guest_done(). */
void guest_simple(void (*fn)(u64 arg), u64 arg);

/* guest_run_done() in a thread of its own. */
pthread_t guest_thread(struct vcpu *vcpu);

/* One vcpu_run() in a thread of its own. */
struct async_run {
	struct vcpu *vcpu;
	pthread_t thread;
	int error;
	bool finished;
};

void async_run(struct async_run *run, struct vcpu *vcpu);
/* Waits for its end; the errno of RUN. */
int async_end(struct async_run *run);

/* Words, dumps, failure. */
const char *exit_name(u32 reason);
void vcpu_dump(struct vcpu *vcpu);
__printf(2, 3) __noreturn void vcpu_fail(struct vcpu *vcpu, const char *format, ...);

#endif
