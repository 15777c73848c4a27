/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory: ordinary anonymous memory of this process.
 */
#ifndef LODGE_RAM_H
#define LODGE_RAM_H

#include <asm/bootparam.h>

#include "types.h"

#define RAM_MIN			(16 * MIB)
#define RAM_MAX_E820		4

/**
 * struct ram - the guest's memory
 * @base: where this process has it
 * @size: bytes in all
 * @low: bytes below the hole under 4 GiB, from address 0 on; the rest begins at
 *	4 GiB. In this process the two follow each other without a gap
 */
struct ram {
	u8 *base;
	u64 size;
	u64 low;
};

/**
 * ram_check() - can this machine give that much memory to a guest?
 * @size: bytes
 * @gpa_bits: guest-physical address width
 *
 * Return: 0, or -1 after a complaint.
 */
int ram_check(u64 size, unsigned int gpa_bits);

/**
 * ram_alloc() - get the guest's memory, all zero
 * @ram: filled in
 * @size: bytes
 *
 * Return: 0, or -1 after a complaint.
 */
int ram_alloc(struct ram *ram, u64 size);

/**
 * ram_free() - give the memory back
 * @ram: the memory; may never have been allocated
 */
void ram_free(struct ram *ram);

/**
 * ram_ptr() - where this process has a piece of guest memory
 * @ram: the memory
 * @gpa: guest-physical address
 * @len: bytes
 *
 * Return: the pointer, or NULL when not all of it is RAM.
 */
void *ram_ptr(const struct ram *ram, u64 gpa, u64 len);

/**
 * ram_e820() - describe the memory to a kernel
 * @ram: the memory
 * @map: filled in, room for RAM_MAX_E820 entries
 *
 * Return: the number of entries.
 */
unsigned int ram_e820(const struct ram *ram, struct boot_e820_entry *map);

#endif /* LODGE_RAM_H */
