/* SPDX-License-Identifier: GPL-2.0 */
/* The inside of msr.c, for it and its KUnit suite: the table of MSRs. */
#ifndef LODGE_MSR_H
#define LODGE_MSR_H

#include "cpu.h"

enum msr_kind {
	MSR_STORED,	/* its value is a field of struct lodge_vcpu */
	MSR_HANDLED,	/* has functions */
	MSR_CONST,	/* reads as a constant; a write is #GP */
	MSR_USER,	/* the program's */
};

/* struct msr_row.pass: accesses that do not exit while the gate is open */
#define MSR_PASS_READ	BIT(0)
#define MSR_PASS_WRITE	BIT(1)

/**
 * struct msr_row - an MSR, or a range of them
 * @first: lowest index
 * @nr: how many
 * @name: for people
 * @kind: enum msr_kind
 * @pass: MSR_PASS_*
 * @save: in LODGE_GET_SUPPORTED_MSRS
 * @fast: a write needs nothing that a stint in the guest begins with (SPEC_CTRL, XSS
 *	and a flush do): it can be done between two entries
 * @group: another state group writes it: the host cannot, by index
 * @gate: bits by enum lodge_guest_feature, one of which the guest must have; 0:
 *	always there
 * @field: STORED: offset in struct lodge_vcpu of the u64 of @first; the others
 *	follow it
 * @value: CONST: what it reads as
 * @read: HANDLED: null when it cannot be read
 * @check: may this value be written? Null: any
 * @write: HANDLED: after @check; null when it cannot be written. STORED: instead of
 *	storing it
 * @changed: STORED: called after a write
 */
struct msr_row {
	u32 first;
	u32 nr;
	const char *name;
	u8 kind;
	u8 pass;
	bool save;
	bool fast;
	bool group;
	u64 gate;
	u32 field;
	u64 value;
	int (*read)(struct lodge_vcpu *vcpu, u32 index, u64 *value);
	bool (*check)(const struct lodge_vcpu *vcpu, u32 index, u64 value);
	int (*write)(struct lodge_vcpu *vcpu, u32 index, u64 value, bool from_host);
	void (*changed)(struct lodge_vcpu *vcpu);
};

extern const struct msr_row msr_rows[];
extern const u32 nr_msr_rows;

const struct msr_row *msr_find(u32 index);
u32 msr_list(const struct lodge_cpuid_table *cpuid, u32 *indices, u32 max);

#endif
