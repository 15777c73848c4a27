// SPDX-License-Identifier: GPL-2.0
/*
 * The CPU state in which a kernel is entered: 64-bit for a bzImage (Linux
 * Documentation/arch/x86/boot.rst), 32-bit for PVH. Interrupts are off in both.
 */
#include <string.h>

#include "entry.h"
#include "layout.h"

#define CR0_PE		BIT(0)
#define CR0_ET		BIT(4)
#define CR0_PG		BIT(31)
#define CR4_PAE		BIT(5)
#define EFER_LME	BIT(8)
#define EFER_LMA	BIT(10)
#define RFLAGS_FIXED	BIT(1)

#define PTE_PRESENT	BIT(0)
#define PTE_WRITE	BIT(1)
#define PTE_HUGE	BIT(7)
#define PAGE_ENTRIES	512

/* Selectors of the descriptor table: Linux's __BOOT_CS, __BOOT_DS, __BOOT_TSS. */
#define BOOT_CS		0x10
#define BOOT_DS		0x18
#define BOOT_TSS	0x20
#define GDT_ENTRIES	6		/* a TSS takes two in 64-bit mode */

/* Segment attributes: struct lodge_segment.attrs */
#define ATTR_DATA	0xc093		/* read/write, accessed, present, 32 bits, pages */
#define ATTR_CODE32	0xc09b		/* execute/read, accessed, present, 32 bits, pages */
#define ATTR_CODE64	0xa09b		/* the same for 64-bit mode */
#define ATTR_TSS	0x008b		/* busy TSS, present */
#define TSS_LIMIT	0x67

static struct lodge_segment segment(u16 selector, u16 attrs, u32 limit)
{
	return (struct lodge_segment){
		.limit = limit,
		.selector = selector,
		.attrs = attrs,
	};
}

/* A segment register as the eight bytes of its descriptor; the base is 0. */
static u64 descriptor(const struct lodge_segment *seg)
{
	u64 limit = seg->attrs & 0x8000 ? seg->limit >> 12 : seg->limit;

	return (limit & 0xffff) | (limit & 0xf0000) << 32 | (u64)seg->attrs << 40;
}

/* Flat segments, in the registers and in a table that agrees with them. */
static void set_segments(struct lodge_sregs *s, const struct ram *ram, u16 code_attrs)
{
	u64 *gdt = ram_ptr(ram, GDT_ADDR, GDT_ENTRIES * sizeof(*gdt));

	s->seg[LODGE_SEG_CS] = segment(BOOT_CS, code_attrs, ~0U);
	s->seg[LODGE_SEG_DS] = segment(BOOT_DS, ATTR_DATA, ~0U);
	s->seg[LODGE_SEG_ES] = s->seg[LODGE_SEG_DS];
	s->seg[LODGE_SEG_FS] = s->seg[LODGE_SEG_DS];
	s->seg[LODGE_SEG_GS] = s->seg[LODGE_SEG_DS];
	s->seg[LODGE_SEG_SS] = s->seg[LODGE_SEG_DS];
	s->seg[LODGE_SEG_TR] = segment(BOOT_TSS, ATTR_TSS, TSS_LIMIT);
	s->seg[LODGE_SEG_LDTR] = (struct lodge_segment){ .unusable = 1 };

	memset(gdt, 0, GDT_ENTRIES * sizeof(*gdt));
	gdt[BOOT_CS / 8] = descriptor(&s->seg[LODGE_SEG_CS]);
	gdt[BOOT_DS / 8] = descriptor(&s->seg[LODGE_SEG_DS]);
	gdt[BOOT_TSS / 8] = descriptor(&s->seg[LODGE_SEG_TR]);
	s->gdt = (struct lodge_table){ GDT_ADDR, GDT_ENTRIES * sizeof(*gdt) - 1, 0 };
	s->idt = (struct lodge_table){ 0, 0, 0 };
}

/* PML4, PDPT, and four page directories of 2 MiB pages. */
static u64 build_page_tables(const struct ram *ram)
{
	u64 (*table)[PAGE_ENTRIES] = ram_ptr(ram, PAGE_TABLES_ADDR, 6 * PAGE);
	u64 *directory = table[2];

	memset(table, 0, 6 * PAGE);
	table[0][0] = (PAGE_TABLES_ADDR + PAGE) | PTE_PRESENT | PTE_WRITE;
	for (u64 i = 0; i < 4; i++)
		table[1][i] = (PAGE_TABLES_ADDR + (2 + i) * PAGE) | PTE_PRESENT | PTE_WRITE;
	for (u64 i = 0; i < 4 * PAGE_ENTRIES; i++)
		directory[i] = (i * 2 * MIB) | PTE_PRESENT | PTE_WRITE | PTE_HUGE;
	return PAGE_TABLES_ADDR;
}

static void set_common(struct lodge_vcpu_state *state, u64 rip)
{
	memset(&state->gprs, 0, sizeof(state->gprs));
	state->gprs.rip = rip;
	state->gprs.rflags = RFLAGS_FIXED;
	state->crs.cr0 = CR0_PE | CR0_ET;
	state->crs.cr3 = 0;
	state->crs.cr4 = 0;
	state->crs.efer = 0;
}

void entry_long_mode(struct lodge_vcpu_state *state, const struct ram *ram, u64 rip, u64 rsi)
{
	set_common(state, rip);
	set_segments(&state->sregs, ram, ATTR_CODE64);
	state->gprs.reg[REG_RSI] = rsi;
	state->crs.cr0 |= CR0_PG;
	state->crs.cr3 = build_page_tables(ram);
	state->crs.cr4 = CR4_PAE;
	state->crs.efer = EFER_LME | EFER_LMA;
}

void entry_flat_mode(struct lodge_vcpu_state *state, const struct ram *ram, u64 eip, u64 ebx)
{
	set_common(state, eip);
	set_segments(&state->sregs, ram, ATTR_CODE32);
	state->gprs.reg[REG_RBX] = ebx;
}
