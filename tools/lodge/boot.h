/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loading a kernel: what to boot, and the two ways to do it.
 */
#ifndef LODGE_BOOT_H
#define LODGE_BOOT_H

#include <linux/lodge.h>

#include "file.h"
#include "ram.h"

/**
 * struct boot - what to boot and where
 * @kernel_path: --kernel
 * @initrd_path: --initrd, NULL without
 * @append: the kernel's command line
 * @ram: guest memory
 * @rsdp: where the ACPI tables begin
 * @kernel: the kernel, open while it is loaded
 * @initrd_addr: where the initrd was put
 * @initrd_size: its size, 0 without
 */
struct boot {
	const char *kernel_path;
	const char *initrd_path;
	const char *append;
	const struct ram *ram;
	u64 rsdp;
	struct file kernel;
	u64 initrd_addr;
	u64 initrd_size;
};

/**
 * boot_load() - put kernel, initrd and what the kernel is told into memory
 * @boot: what to boot
 * @state: the boot vCPU's reset state; changed to the state to enter with
 *
 * Return: 0, or -1 after a complaint.
 */
int boot_load(struct boot *boot, struct lodge_vcpu_state *state);

/**
 * boot_load_initrd() - put the initrd as high as it may lie
 * @boot: has the path; gets address and size
 * @floor: end of the kernel, bss included
 * @max: highest address the kernel lets it have
 *
 * Return: 0, or -1 after a complaint.
 */
int boot_load_initrd(struct boot *boot, u64 floor, u64 max);

/**
 * boot_load_cmdline() - put the command line at CMDLINE_ADDR
 * @boot: has it
 * @max: how long the kernel lets it be, without the final NUL
 *
 * Return: 0, or -1 after a complaint.
 */
int boot_load_cmdline(struct boot *boot, u64 max);

/**
 * boot_need_memory() - check that low memory is enough for the kernel
 * @boot: what to boot
 * @end: first address behind the kernel, bss included
 *
 * Return: 0, or -1 after a complaint.
 */
int boot_need_memory(const struct boot *boot, u64 end);

/**
 * bzimage_check() - is this a bzImage?
 * @head: the file's first bytes
 * @len: how many
 */
bool bzimage_check(const u8 *head, size_t len);

/**
 * bzimage_load() - load a bzImage by the 64-bit boot protocol
 * @boot: what to boot
 * @state: as in boot_load()
 *
 * Return: 0, or -1 after a complaint.
 */
int bzimage_load(struct boot *boot, struct lodge_vcpu_state *state);

/**
 * pvh_load() - load an ELF kernel by the PVH boot protocol
 * @boot: what to boot
 * @state: as in boot_load()
 *
 * Return: 0, or -1 after a complaint.
 */
int pvh_load(struct boot *boot, struct lodge_vcpu_state *state);

#endif /* LODGE_BOOT_H */
