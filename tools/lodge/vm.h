/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's calls, as functions that complain in words.
 */
#ifndef LODGE_VM_H
#define LODGE_VM_H

#include <linux/lodge.h>

#include "ram.h"

#define LODGE_DEVICE	"/dev/lodge"

/**
 * lodge_call() - make a call to the module
 * @fd: file of the device, a VM or a vCPU
 * @call: LODGE_*
 * @arg: its structure, or NULL when it has none
 *
 * Return: what the call returns, or -1 with errno set.
 */
int lodge_call(int fd, unsigned long call, void *arg);

/**
 * device_open() - open /dev/lodge and ask what is there
 * @info: filled in
 *
 * Return: descriptor, or -1 after a complaint.
 */
int device_open(struct lodge_info *info);

/**
 * vm_create() - make a VM
 * @dev: descriptor of the device
 * @info: what device_open() has found
 *
 * Return: descriptor, or -1 after a complaint.
 */
int vm_create(int dev, const struct lodge_info *info);

/**
 * vm_map_ram() - give a VM its memory
 * @vm: descriptor of the VM
 * @ram: the memory
 *
 * Return: 0, or -1 after a complaint.
 */
int vm_map_ram(int vm, const struct ram *ram);

/**
 * vm_create_vcpu() - make a vCPU
 * @vm: descriptor of the VM
 * @id: its number
 *
 * Return: descriptor, or -1 after a complaint.
 */
int vm_create_vcpu(int vm, unsigned int id);

/**
 * vm_send_msi() - send an interrupt message to a VM's local APICs
 * @vm: descriptor of the VM
 * @address: where to
 * @data: what
 *
 * A message nobody is addressed by, or with a mode no APIC knows, is lost: as in
 * hardware.
 */
void vm_send_msi(int vm, u64 address, u32 data);

/**
 * vcpu_get_state() - read registers
 * @fd: descriptor of the vCPU
 * @state: filled in
 * @groups: LODGE_STATE_*
 *
 * Return: 0, or -1 with errno set.
 */
int vcpu_get_state(int fd, struct lodge_vcpu_state *state, u64 groups);

/**
 * vcpu_set_state() - write registers
 * @fd: descriptor of the vCPU
 * @state: what to write
 * @groups: LODGE_STATE_*
 *
 * Return: 0, or -1 after a complaint.
 */
int vcpu_set_state(int fd, struct lodge_vcpu_state *state, u64 groups);

#endif /* LODGE_VM_H */
