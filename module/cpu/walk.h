/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page walk itself: a pure function of the paging registers and of memory
 * read through a callback, so that KUnit can walk tables in an array.
 */
#ifndef LODGE_WALK_H
#define LODGE_WALK_H

#include "cpu.h"

/**
 * struct walk_regs - what decides how a linear address is translated
 * @cr0: as the guest reads it
 * @cr3: page-table root
 * @cr4: as the guest reads it
 * @efer: IA32_EFER
 * @pdpte: the four entries that PAE paging uses
 * @pkru: protection-key rights
 * @ac: EFLAGS.AC
 * @phys_bits: physical-address width the guest was told
 * @huge_1g: the guest was told of 1 GiB pages
 */
struct walk_regs {
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 efer;
	u64 pdpte[4];
	u32 pkru;
	bool ac;
	u8 phys_bits;
	bool huge_1g;
};

/* Reads guest-physical memory; anything but 0: it is not RAM. */
typedef int (*walk_read_fn)(void *arg, gpa_t gpa, void *buf, size_t len);

int walk_tables(const struct walk_regs *regs, walk_read_fn read, void *arg, gva_t gva,
		u32 access, gpa_t *gpa, struct lodge_walk_fault *fault);

#endif
