/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The door to a hypervisor: what this program asks of one, as a table of functions.
 * Behind it stands the lodge module (backend_lodge.c) or, for comparison, KVM
 * (backend_kvm.c); nobody else knows which.
 *
 * What passes through has the form of lodge's own ABI, <linux/lodge.h>: exits,
 * registers, what became of an exit. Functions complain in words unless they say
 * otherwise.
 */
#ifndef LODGE_BACKEND_H
#define LODGE_BACKEND_H

#include <linux/lodge.h>

#include "ram.h"
#include "stats.h"

#define LODGE_DEVICE	"/dev/lodge"

struct backend;
struct vcpu;

/**
 * struct vm - a VM, as far as all hypervisors have the same; constant once made
 * @backend: whose it is
 * @dev: file of the hypervisor's device
 * @fd: file of the VM
 * @max_vcpus: vCPUs it may have, ids from 0 on
 * @gpa_bits: guest-physical address width
 * @run_size: bytes of the memory that a vCPU shares with the hypervisor
 */
struct vm {
	const struct backend *backend;
	int dev;
	int fd;
	unsigned int max_vcpus;
	unsigned int gpa_bits;
	u32 run_size;
};

/**
 * struct backend - a hypervisor
 * @name: what --backend calls it
 * @create: make a VM. Return: the VM, or NULL after a complaint
 * @destroy: let go of it
 * @map_ram: give it its memory, once. Return: 0, or -1 after a complaint
 * @send_msi: send an interrupt message to its local APICs. One that addresses
 *	nobody, or has a mode no APIC knows, is lost: as in hardware. Any thread
 * @create_vcpu: make a vCPU. Return: its file, or -1 after a complaint
 * @setup_vcpu: make it ready once its memory is mapped: reset state, CPUID,
 *	vcpu->exit. Return: 0, or -1 after a complaint
 * @run: run it until it leaves for the program; vcpu->exit says why, LODGE_EXIT_KICK
 *	for nothing. Return: 0, or an errno, without a complaint
 * @complete: say what became of the last exit, LODGE_COMPLETE_*, before the next
 *	@run, with the value of a read
 * @kick: make the next or present @run come back. Any thread
 * @get_state: read registers, LODGE_STATE_SHARED at most. Return: 0, or -1
 *	without a complaint
 * @set_state: write registers, of GPRS, SREGS and CRS. Return: 0, or -1 after a
 *	complaint
 * @translate: walk the guest's page tables. Return: 0, or -1 without a complaint
 *	when the guest would fault
 * @get_stats: add what a vCPU has done to the counters. Return: 0, or -1 after a
 *	complaint
 * @explain: say in words what a LODGE_EXIT_UNHANDLED was
 */
struct backend {
	const char *name;
	struct vm *(*create)(void);
	void (*destroy)(struct vm *vm);
	int (*map_ram)(struct vm *vm, const struct ram *ram);
	void (*send_msi)(struct vm *vm, u64 address, u32 data);
	int (*create_vcpu)(struct vm *vm, unsigned int id);
	int (*setup_vcpu)(struct vcpu *v);
	int (*run)(struct vcpu *v);
	void (*complete)(struct vcpu *v, u32 how, u64 data);
	void (*kick)(struct vcpu *v);
	int (*get_state)(const struct vcpu *v, struct lodge_vcpu_state *state, u64 groups);
	int (*set_state)(const struct vcpu *v, struct lodge_vcpu_state *state, u64 groups);
	int (*translate)(const struct vcpu *v, u64 gva, u64 *gpa);
	int (*get_stats)(const struct vcpu *v, struct stats *stats);
	void (*explain)(const struct vcpu *v);
};

extern const struct backend lodge_backend;
extern const struct backend kvm_backend;

#endif /* LODGE_BACKEND_H */
