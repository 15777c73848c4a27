/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where things lie in the guest: physical addresses, I/O ports, interrupt pins.
 */
#ifndef LODGE_LAYOUT_H
#define LODGE_LAYOUT_H

#include "types.h"

/* RAM: below this hole, and from its end on. */
#define HOLE_START		(3 * GIB)
#define HOLE_END		(4 * GIB)

/* What a kernel is handed over with. All in usable memory: it takes it over. */
#define GDT_ADDR		0x1000ULL
#define START_INFO_ADDR		0x2000ULL	/* PVH */
#define ZERO_PAGE_ADDR		0x7000ULL	/* boot_params of a bzImage */
#define PAGE_TABLES_ADDR	0x9000ULL	/* 6 pages */
#define CMDLINE_ADDR		0x20000ULL
#define CMDLINE_MAX		(64 * KIB)

/* From here to 1 MiB the memory is there, but reserved. */
#define RESERVED_ADDR		0x9fc00ULL
#define ACPI_ADDR		0xe0000ULL
#define ACPI_MAX		(64 * KIB)
#define RESET_VECTOR_ADDR	0xffff0ULL	/* real mode's f000:fff0; 16 bytes */

/* Memory-mapped devices. */
#define IOAPIC_ADDR		0xfec00000ULL
#define IOAPIC_SIZE		0x1000ULL
#define LAPIC_ADDR		0xfee00000ULL	/* in the kernel */

/* What KVM wants to itself on CPUs without unrestricted guest; three pages at the second. */
#define KVM_IDENTITY_MAP_ADDR	0xfffbc000ULL
#define KVM_TSS_ADDR		0xfffbd000ULL

/* I/O ports. */
#define RTC_PORT		0x70
#define RTC_PORTS		2
#define COM1_PORT		0x3f8
#define COM1_PORTS		8
#define POWER_PORT		0x600
#define POWER_SLEEP_CONTROL	0		/* offsets from POWER_PORT */
#define POWER_SLEEP_STATUS	1
#define POWER_RESET		2
#define POWER_PORTS		3

/* Values the ACPI tables and the power device must agree on. */
#define POWER_S5_TYPE		5
#define POWER_RESET_VALUE	1

/* IOAPIC pins; the first pin is GSI 0. */
#define COM1_PIN		4

/* APIC ids are 8 bits wide in the IOAPIC and the MADT; 255 is "all". */
#define MAX_VCPUS		255

#endif /* LODGE_LAYOUT_H */
