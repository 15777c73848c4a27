/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of a KVM vCPU: what it starts with, and its registers in lodge's form.
 */
#ifndef LODGE_KVM_STATE_H
#define LODGE_KVM_STATE_H

#include <linux/lodge.h>

#include "vcpu.h"

/**
 * kvm_setup_cpuid() - give a vCPU the CPUID and the MSRs that one of lodge has
 * @dev: file of /dev/kvm
 * @v: the vCPU
 *
 * Return: 0, or -1 after a complaint.
 */
int kvm_setup_cpuid(int dev, const struct vcpu *v);

/**
 * kvm_gpa_bits() - guest-physical address width
 * @dev: file of /dev/kvm
 *
 * Return: bits, or -1 after a complaint.
 */
int kvm_gpa_bits(int dev);

/**
 * kvm_get_state() - read registers
 * @v: the vCPU
 * @state: filled in; PDPTEs, XCR0 and pending debug exceptions read as 0
 * @groups: LODGE_STATE_SHARED at most
 *
 * Return: 0, or -1 with errno set.
 */
int kvm_get_state(const struct vcpu *v, struct lodge_vcpu_state *state, u64 groups);

/**
 * kvm_set_state() - write registers
 * @v: the vCPU
 * @state: what to write; PDPTEs and XCR0 are left alone
 * @groups: of LODGE_STATE_GPRS, _SREGS and _CRS
 *
 * Return: 0, or -1 after a complaint.
 */
int kvm_set_state(const struct vcpu *v, struct lodge_vcpu_state *state, u64 groups);

#endif /* LODGE_KVM_STATE_H */
