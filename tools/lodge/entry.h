/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CPU state in which a kernel is entered.
 */
#ifndef LODGE_ENTRY_H
#define LODGE_ENTRY_H

#include <linux/lodge.h>

#include "ram.h"

/* Numbers of registers in struct lodge_gprs. */
enum {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
};

/* The groups that both functions change. */
#define ENTRY_GROUPS	(LODGE_STATE_GPRS | LODGE_STATE_SREGS | LODGE_STATE_CRS)

/**
 * entry_long_mode() - 64-bit mode, the low 4 GiB mapped one to one
 * @state: reset state in, entry state out
 * @ram: gets the descriptor table and page tables
 * @rip: entry point
 * @rsi: what the kernel finds in RSI
 */
void entry_long_mode(struct lodge_vcpu_state *state, const struct ram *ram, u64 rip, u64 rsi);

/**
 * entry_flat_mode() - 32-bit protected mode, flat segments, no paging
 * @state: reset state in, entry state out
 * @ram: gets the descriptor table
 * @eip: entry point
 * @ebx: what the kernel finds in EBX
 */
void entry_flat_mode(struct lodge_vcpu_state *state, const struct ram *ram, u64 eip, u64 ebx);

#endif /* LODGE_ENTRY_H */
