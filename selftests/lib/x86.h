/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The x86 architecture as the tests need it, for both sides: constants named as
 * in the SDM and one inline function per instruction.
 */
#ifndef LODGE_TEST_X86_H
#define LODGE_TEST_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define BIT_ULL(n)		(1ULL << (n))
#define PAGE_SIZE		4096UL
#define HUGE_SIZE		(2UL << 20)
#define NSEC_PER_SEC		1000000000ULL
#define NSEC_PER_MSEC		1000000ULL

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)

/* Control registers. */
#define CR0_PE			BIT_ULL(0)
#define CR0_MP			BIT_ULL(1)
#define CR0_EM			BIT_ULL(2)
#define CR0_TS			BIT_ULL(3)
#define CR0_ET			BIT_ULL(4)
#define CR0_NE			BIT_ULL(5)
#define CR0_WP			BIT_ULL(16)
#define CR0_AM			BIT_ULL(18)
#define CR0_NW			BIT_ULL(29)
#define CR0_CD			BIT_ULL(30)
#define CR0_PG			BIT_ULL(31)

#define CR4_TSD			BIT_ULL(2)
#define CR4_DE			BIT_ULL(3)
#define CR4_PSE			BIT_ULL(4)
#define CR4_PAE			BIT_ULL(5)
#define CR4_MCE			BIT_ULL(6)
#define CR4_PGE			BIT_ULL(7)
#define CR4_PCE			BIT_ULL(8)
#define CR4_OSFXSR		BIT_ULL(9)
#define CR4_OSXMMEXCPT		BIT_ULL(10)
#define CR4_UMIP		BIT_ULL(11)
#define CR4_LA57		BIT_ULL(12)
#define CR4_VMXE		BIT_ULL(13)
#define CR4_SMXE		BIT_ULL(14)
#define CR4_FSGSBASE		BIT_ULL(16)
#define CR4_PCIDE		BIT_ULL(17)
#define CR4_OSXSAVE		BIT_ULL(18)
#define CR4_SMEP		BIT_ULL(20)
#define CR4_SMAP		BIT_ULL(21)

#define EFER_SCE		BIT_ULL(0)
#define EFER_LME		BIT_ULL(8)
#define EFER_LMA		BIT_ULL(10)
#define EFER_NX			BIT_ULL(11)

#define RFLAGS_CF		BIT_ULL(0)
#define RFLAGS_ONE		BIT_ULL(1)
#define RFLAGS_ZF		BIT_ULL(6)
#define RFLAGS_TF		BIT_ULL(8)
#define RFLAGS_IF		BIT_ULL(9)
#define RFLAGS_DF		BIT_ULL(10)
#define RFLAGS_IOPL3		(3ULL << 12)
#define RFLAGS_VM		BIT_ULL(17)
#define RFLAGS_AC		BIT_ULL(18)

#define DR6_BS			BIT_ULL(14)
#define DR6_RESET		0xffff0ff0ULL
#define DR7_RESET		0x400ULL
#define DR7_GD			BIT_ULL(13)

#define XCR0_X87		BIT_ULL(0)
#define XCR0_SSE		BIT_ULL(1)
#define XCR0_AVX		BIT_ULL(2)

/* Page-table entries. */
#define PTE_P			BIT_ULL(0)
#define PTE_W			BIT_ULL(1)
#define PTE_U			BIT_ULL(2)
#define PTE_PS			BIT_ULL(7)
#define PTE_NX			BIT_ULL(63)
#define PTE_ADDR		0x000ffffffffff000ULL

/* Exceptions. */
#define DE_VECTOR		0
#define DB_VECTOR		1
#define NMI_VECTOR		2
#define BP_VECTOR		3
#define UD_VECTOR		6
#define NM_VECTOR		7
#define DF_VECTOR		8
#define TS_VECTOR		10
#define NP_VECTOR		11
#define SS_VECTOR		12
#define GP_VECTOR		13
#define PF_VECTOR		14
#define MF_VECTOR		16
#define AC_VECTOR		17
#define XM_VECTOR		19

#define PF_PROT			BIT_ULL(0)
#define PF_WRITE		BIT_ULL(1)
#define PF_USER			BIT_ULL(2)
#define PF_RSVD			BIT_ULL(3)
#define PF_INSTR		BIT_ULL(4)

/* Model-specific registers. */
#define MSR_TSC			0x010
#define MSR_APIC_BASE		0x01b
#define MSR_TSC_ADJUST		0x03b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_MISC_ENABLE		0x1a0
#define MSR_DEBUGCTL		0x1d9
#define DEBUGCTL_BTF		BIT_ULL(1)
#define MSR_PAT			0x277
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC		0x800
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103
#define MSR_KVM_WALL_CLOCK	0x4b564d00
#define MSR_KVM_SYSTEM_TIME	0x4b564d01
#define MSR_KVM_PV_EOI_EN	0x4b564d04

#define PAT_RESET		0x0007040600070406ULL

#define APIC_BASE_BSP		BIT_ULL(8)
#define APIC_BASE_X2APIC	BIT_ULL(10)
#define APIC_BASE_ENABLE	BIT_ULL(11)
#define APIC_BASE_ADDR		0xfee00000ULL

/* Local APIC registers, by their offset in the xAPIC page. */
#define APIC_ID			0x020
#define APIC_VERSION		0x030
#define APIC_TPR		0x080
#define APIC_PPR		0x0a0
#define APIC_EOI		0x0b0
#define APIC_LDR		0x0d0
#define APIC_DFR		0x0e0
#define APIC_SVR		0x0f0
#define APIC_ISR		0x100
#define APIC_TMR		0x180
#define APIC_IRR		0x200
#define APIC_ESR		0x280
#define APIC_ICR		0x300
#define APIC_ICR2		0x310
#define APIC_LVT_TIMER		0x320
#define APIC_LVT_THERMAL	0x330
#define APIC_LVT_PERF		0x340
#define APIC_LVT_LINT0		0x350
#define APIC_LVT_LINT1		0x360
#define APIC_LVT_ERROR		0x370
#define APIC_TIMER_INIT		0x380
#define APIC_TIMER_COUNT	0x390
#define APIC_TIMER_DIVIDE	0x3e0
#define APIC_SELF_IPI		0x3f0

#define APIC_SVR_ENABLE		0x100
#define APIC_LVT_MASKED		0x10000
#define APIC_TIMER_PERIODIC	0x20000
#define APIC_TIMER_DEADLINE	0x40000
#define APIC_DIVIDE_BY_1	0xb

#define APIC_DM_FIXED		0x000
#define APIC_DM_LOWEST		0x100
#define APIC_DM_NMI		0x400
#define APIC_DM_INIT		0x500
#define APIC_DM_STARTUP		0x600
#define APIC_DEST_LOGICAL	0x800
#define APIC_LEVEL_ASSERT	0x4000
#define APIC_TRIGGER_LEVEL	0x8000
#define APIC_DEST_SELF		0x40000
#define APIC_DEST_ALL		0x80000
#define APIC_DEST_OTHERS	0xc0000

#define APIC_ESR_SEND_ILLEGAL	0x20
#define APIC_ESR_RECV_ILLEGAL	0x40

#define CR_ACCESSORS(name)						\
static inline u64 read_##name(void)					\
{									\
	u64 v;								\
									\
	asm volatile("mov %%" #name ", %0" : "=r"(v) : : "memory");	\
	return v;							\
}									\
									\
static inline void write_##name(u64 v)					\
{									\
	asm volatile("mov %0, %%" #name : : "r"(v) : "memory");		\
}									\
struct x86_swallow_semicolon

CR_ACCESSORS(cr0);
CR_ACCESSORS(cr2);
CR_ACCESSORS(cr3);
CR_ACCESSORS(cr4);
CR_ACCESSORS(cr8);
CR_ACCESSORS(dr0);
CR_ACCESSORS(dr1);
CR_ACCESSORS(dr2);
CR_ACCESSORS(dr3);
CR_ACCESSORS(dr6);
CR_ACCESSORS(dr7);

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "0"(leaf), "2"(subleaf) : "memory");
	return r;
}

static inline u64 rdmsr(u32 index)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return lo | (u64)hi << 32;
}

static inline void wrmsr(u32 index, u64 value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((u32)value),
		     "d"((u32)(value >> 32)) : "memory");
}

static inline u64 read_tsc(void)
{
	u32 lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (u64)hi << 32;
}

static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;

	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return lo | (u64)hi << 32;
}

/* What pushes must stay clear of the compiler's red zone. */
#define PUSH_BEGIN	"lea -128(%%rsp), %%rsp\n"
#define PUSH_END	"lea 128(%%rsp), %%rsp\n"

static inline u64 read_flags(void)
{
	u64 v;

	asm volatile(PUSH_BEGIN "pushfq\npopq %0\n" PUSH_END
		     : "=r"(v) : : "memory");
	return v;
}

static inline void write_flags(u64 v)
{
	asm volatile(PUSH_BEGIN "pushq %0\npopfq\n" PUSH_END
		     : : "r"(v) : "memory", "cc");
}

/* GDTR or IDTR in memory. */
#pragma pack(push, 1)
struct table_register {
	u16 limit;
	u64 base;
};

#pragma pack(pop)

#define TABLE_ACCESSORS(name)						\
static inline struct table_register read_##name(void)			\
{									\
	struct table_register t;					\
									\
	asm volatile("s" #name " %0" : "=m"(t));			\
	return t;							\
}									\
									\
static inline void write_##name(u64 base, u16 limit)			\
{									\
	struct table_register t = { limit, base };			\
									\
	asm volatile("l" #name " %0" : : "m"(t) : "memory");		\
}									\
struct x86_swallow_semicolon

TABLE_ACCESSORS(gdt);
TABLE_ACCESSORS(idt);

static inline void irq_on(void)
{
	asm volatile("sti; nop" : : : "memory");
}

static inline void irq_off(void)
{
	asm volatile("cli" : : : "memory");
}

/* HLT with interrupts coming on: none is lost between the two. */
static inline void irq_wait(void)
{
	asm volatile("sti; hlt; cli" : : : "memory");
}

static inline void cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}

static inline u32 mmio_read(u64 addr)
{
	u32 v;

	asm volatile("movl (%1), %0" : "=r"(v) : "r"(addr) : "memory");
	return v;
}

static inline void mmio_write(u64 addr, u32 v)
{
	asm volatile("movl %0, (%1)" : : "r"(v), "r"(addr) : "memory");
}

static inline u32 port_in(u16 port)
{
	u32 v;

	asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void port_out(u16 port, u32 v)
{
	asm volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

/* GCC may turn a loop into a call of memset(); guest code uses these. */
static inline void fill_bytes(void *p, u8 v, u64 n)
{
	asm volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(v) : "memory");
}

static inline void copy_bytes(void *to, const void *from, u64 n)
{
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

#endif
