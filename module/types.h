/* SPDX-License-Identifier: GPL-2.0 */
/* The few scalar types that every part of the module shares. */
#ifndef LODGE_TYPES_H
#define LODGE_TYPES_H

#include <linux/types.h>

typedef u64 gpa_t;		/* guest-physical address */
typedef u64 gfn_t;		/* guest frame: gpa >> PAGE_SHIFT */
typedef u64 gva_t;		/* guest-linear address */

#define LODGE_MAX_VCPUS		64
#define LODGE_MAX_REGIONS	1024
#define LODGE_MAX_GPA_BITS	48	/* what four levels of EPT can map */

/* The page of the local APIC; never RAM. */
#define LAPIC_MMIO_BASE		0xfee00000ull
#define LAPIC_MMIO_SIZE		0x1000

struct lodge_vm;
struct lodge_vcpu;

#endif
