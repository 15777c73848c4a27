/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMX instructions. Each has an exception-table entry: reboot, crash and
 * hotplug turn VMX off under code that runs, and every one of them then raises
 * #UD (SDM 3C chapter 31). A faulting VMREAD reads 0.
 */
#ifndef LODGE_VMX_INSN_H
#define LODGE_VMX_INSN_H

#include <linux/types.h>
#include <asm/asm.h>

#include "counts.h"

static __always_inline u64 vmx_vmread(unsigned long field)
{
	u64 value;

	vmx_count(vmread);
	asm volatile("1: vmread %1, %0\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_ZERO_REG, %[value])
		     : [value] "=r" (value) : "r" (field) : "cc");
	return value;
}

/* Return: true when the CPU took the value. */
static __always_inline bool vmx_vmwrite(unsigned long field, u64 value)
{
	bool failed = true;

	vmx_count(vmwrite);
	asm volatile("1: vmwrite %2, %1\n"
		     "   setna %0\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : "+qm" (failed) : "r" (field), "rm" (value) : "cc");
	return !failed;
}

/* For a field that exists: it fails only where there is no VMCS any more. */
static __always_inline void vmx_vmwrite_unchecked(unsigned long field, u64 value)
{
	vmx_count(vmwrite);
	asm volatile("1: vmwrite %1, %0\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : : "r" (field), "rm" (value) : "cc");
}

/* VMXON, VMCLEAR, VMPTRLD: one memory operand that holds a physical address. */
#define VMX_INSN_PA(name)						\
static __always_inline bool vmx_##name(u64 pa)				\
{									\
	bool failed = true;						\
									\
	vmx_count(name);						\
	asm volatile("1: " #name " %1\n"				\
		     "   setna %0\n"					\
		     "2:\n"						\
		     _ASM_EXTABLE(1b, 2b)				\
		     : "+qm" (failed) : "m" (pa) : "cc", "memory");	\
	return !failed;							\
}

VMX_INSN_PA(vmxon)
VMX_INSN_PA(vmclear)
VMX_INSN_PA(vmptrld)

static __always_inline void vmx_vmxoff(void)
{
	asm volatile("1: vmxoff\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : : : "cc", "memory");
}

/* INVEPT, INVVPID: a type and a 16-byte descriptor. */
#define VMX_INSN_INVALIDATE(name)					\
static __always_inline bool vmx_##name(unsigned long type, u64 lo, u64 hi) \
{									\
	const struct { u64 lo, hi; } desc = { lo, hi };			\
	bool failed = true;						\
									\
	vmx_count(name);						\
	asm volatile("1: " #name " %2, %1\n"				\
		     "   setna %0\n"					\
		     "2:\n"						\
		     _ASM_EXTABLE(1b, 2b)				\
		     : "+qm" (failed) : "r" (type), "m" (desc) : "cc", "memory"); \
	return !failed;							\
}

VMX_INSN_INVALIDATE(invept)
VMX_INSN_INVALIDATE(invvpid)

#endif
