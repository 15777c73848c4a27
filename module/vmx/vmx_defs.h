/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMX by numbers: VMCS fields, controls and exit reasons, under the names of
 * the SDM (3C appendix B, chapter 25, 3D appendix C). Our own, because the
 * kernel's names move between versions.
 */
#ifndef LODGE_VMX_DEFS_H
#define LODGE_VMX_DEFS_H

/* VMCS fields, SDM 3D appendix B. */
#define VMCS_VPID			0x0000
#define VMCS_MSR_BITMAP			0x2004
#define VMCS_TSC_OFFSET			0x2010
#define VMCS_EPT_POINTER		0x201a
#define VMCS_XSS_EXIT_BITMAP		0x202c
#define VMCS_GUEST_PHYSICAL_ADDRESS	0x2400
#define VMCS_LINK_POINTER		0x2800
#define VMCS_GUEST_DEBUGCTL		0x2802
#define VMCS_GUEST_PAT			0x2804
#define VMCS_GUEST_EFER			0x2806
#define VMCS_GUEST_PDPTE0		0x280a
#define VMCS_HOST_PAT			0x2c00
#define VMCS_HOST_EFER			0x2c02
#define VMCS_PIN_CONTROLS		0x4000
#define VMCS_PROC_CONTROLS		0x4002
#define VMCS_EXCEPTION_BITMAP		0x4004
#define VMCS_PF_ERROR_MASK		0x4006
#define VMCS_PF_ERROR_MATCH		0x4008
#define VMCS_CR3_TARGET_COUNT		0x400a
#define VMCS_EXIT_CONTROLS		0x400c
#define VMCS_EXIT_MSR_STORE_COUNT	0x400e
#define VMCS_EXIT_MSR_LOAD_COUNT	0x4010
#define VMCS_ENTRY_CONTROLS		0x4012
#define VMCS_ENTRY_MSR_LOAD_COUNT	0x4014
#define VMCS_ENTRY_INTR_INFO		0x4016
#define VMCS_ENTRY_INTR_CODE		0x4018
#define VMCS_ENTRY_INSN_LEN		0x401a
#define VMCS_PROC2_CONTROLS		0x401e
#define VMCS_NOTIFY_WINDOW		0x4024
#define VMCS_INSN_ERROR			0x4400
#define VMCS_EXIT_REASON		0x4402
#define VMCS_EXIT_INTR_INFO		0x4404
#define VMCS_EXIT_INTR_CODE		0x4406
#define VMCS_IDT_VECTORING_INFO		0x4408
#define VMCS_IDT_VECTORING_CODE		0x440a
#define VMCS_EXIT_INSN_LEN		0x440c
#define VMCS_EXIT_INSN_INFO		0x440e
#define VMCS_GUEST_GDTR_LIMIT		0x4810
#define VMCS_GUEST_IDTR_LIMIT		0x4812
#define VMCS_GUEST_INTERRUPTIBILITY	0x4824
#define VMCS_GUEST_ACTIVITY		0x4826
#define VMCS_GUEST_SYSENTER_CS		0x482a
#define VMCS_PREEMPTION_TIMER		0x482e
#define VMCS_HOST_SYSENTER_CS		0x4c00
#define VMCS_CR0_MASK			0x6000
#define VMCS_CR4_MASK			0x6002
#define VMCS_CR0_SHADOW			0x6004
#define VMCS_CR4_SHADOW			0x6006
#define VMCS_EXIT_QUALIFICATION		0x6400
#define VMCS_GUEST_LINEAR_ADDRESS	0x640a
#define VMCS_GUEST_CR0			0x6800
#define VMCS_GUEST_CR3			0x6802
#define VMCS_GUEST_CR4			0x6804
#define VMCS_GUEST_GDTR_BASE		0x6816
#define VMCS_GUEST_IDTR_BASE		0x6818
#define VMCS_GUEST_DR7			0x681a
#define VMCS_GUEST_RSP			0x681c
#define VMCS_GUEST_RIP			0x681e
#define VMCS_GUEST_RFLAGS		0x6820
#define VMCS_GUEST_PENDING_DBG		0x6822
#define VMCS_GUEST_SYSENTER_ESP		0x6824
#define VMCS_GUEST_SYSENTER_EIP		0x6826
#define VMCS_HOST_ES			0x0c00
#define VMCS_HOST_CS			0x0c02
#define VMCS_HOST_SS			0x0c04
#define VMCS_HOST_DS			0x0c06
#define VMCS_HOST_FS			0x0c08
#define VMCS_HOST_GS			0x0c0a
#define VMCS_HOST_TR			0x0c0c
#define VMCS_HOST_CR0			0x6c00
#define VMCS_HOST_CR3			0x6c02
#define VMCS_HOST_CR4			0x6c04
#define VMCS_HOST_FS_BASE		0x6c06
#define VMCS_HOST_GS_BASE		0x6c08
#define VMCS_HOST_TR_BASE		0x6c0a
#define VMCS_HOST_GDTR_BASE		0x6c0c
#define VMCS_HOST_IDTR_BASE		0x6c0e
#define VMCS_HOST_SYSENTER_ESP		0x6c10
#define VMCS_HOST_SYSENTER_EIP		0x6c12
#define VMCS_HOST_RSP			0x6c14
#define VMCS_HOST_RIP			0x6c16

/* Guest segments: @seg is LODGE_SEG_*, which has the order of the fields. */
#define VMCS_GUEST_SEL(seg)		(0x0800 + 2 * (seg))
#define VMCS_GUEST_LIMIT(seg)		(0x4800 + 2 * (seg))
#define VMCS_GUEST_AR(seg)		(0x4814 + 2 * (seg))
#define VMCS_GUEST_BASE(seg)		(0x6806 + 2 * (seg))

/* Access rights beyond a descriptor's, SDM 3C 25.4.1. */
#define VMX_AR_UNUSABLE			(1u << 16)

/* Pin-based controls, SDM 3C 25.6.1. */
#define PIN_EXTERNAL_INTERRUPT		(1u << 0)
#define PIN_NMI				(1u << 3)
#define PIN_VIRTUAL_NMI			(1u << 5)
#define PIN_PREEMPTION_TIMER		(1u << 6)

/* Primary processor-based controls, SDM 3C 25.6.2. */
#define PROC_INTERRUPT_WINDOW		(1u << 2)
#define PROC_TSC_OFFSETTING		(1u << 3)
#define PROC_HLT			(1u << 7)
#define PROC_INVLPG			(1u << 9)
#define PROC_MWAIT			(1u << 10)
#define PROC_RDPMC			(1u << 11)
#define PROC_CR3_LOAD			(1u << 15)
#define PROC_CR3_STORE			(1u << 16)
#define PROC_CR8_LOAD			(1u << 19)
#define PROC_CR8_STORE			(1u << 20)
#define PROC_NMI_WINDOW			(1u << 22)
#define PROC_MOV_DR			(1u << 23)
#define PROC_IO				(1u << 24)
#define PROC_MSR_BITMAPS		(1u << 28)
#define PROC_MONITOR			(1u << 29)
#define PROC_SECONDARY			(1u << 31)

/* Secondary processor-based controls, SDM 3C 25.6.2. */
#define PROC2_EPT			(1u << 1)
#define PROC2_RDTSCP			(1u << 3)
#define PROC2_VPID			(1u << 5)
#define PROC2_WBINVD			(1u << 6)
#define PROC2_UNRESTRICTED		(1u << 7)
#define PROC2_INVPCID			(1u << 12)
#define PROC2_XSAVES			(1u << 20)
#define PROC2_BUS_LOCK			(1u << 30)
#define PROC2_NOTIFY			(1u << 31)

/* VM-exit controls, SDM 3C 25.7.1. */
#define EXIT_SAVE_DEBUG			(1u << 2)
#define EXIT_HOST_64			(1u << 9)
#define EXIT_SAVE_PAT			(1u << 18)
#define EXIT_LOAD_PAT			(1u << 19)
#define EXIT_SAVE_EFER			(1u << 20)
#define EXIT_LOAD_EFER			(1u << 21)

/* VM-entry controls, SDM 3C 25.8.1. */
#define ENTRY_LOAD_DEBUG		(1u << 2)
#define ENTRY_IA32E			(1u << 9)
#define ENTRY_LOAD_PAT			(1u << 14)
#define ENTRY_LOAD_EFER			(1u << 15)

/* IA32_VMX_EPT_VPID_CAP, SDM 3D A.10. */
#define EPT_VPID_WALK_4			(1ull << 6)
#define EPT_VPID_WB			(1ull << 14)
#define EPT_VPID_2M			(1ull << 16)
#define EPT_VPID_1G			(1ull << 17)
#define EPT_VPID_INVEPT			(1ull << 20)
#define EPT_VPID_AD			(1ull << 21)
#define EPT_VPID_INVEPT_SINGLE		(1ull << 25)
#define EPT_VPID_INVVPID		(1ull << 32)
#define EPT_VPID_INVVPID_SINGLE		(1ull << 41)

/* Interruptibility state, SDM 3C 25.4.2. */
#define VMX_SHADOW_STI			(1u << 0)
#define VMX_SHADOW_MOV_SS		(1u << 1)
#define VMX_BLOCKED_NMI			(1u << 3)
#define VMX_SHADOWS			(VMX_SHADOW_STI | VMX_SHADOW_MOV_SS)

/* Interruption information, SDM 3C 25.8.3, 25.9.2, 25.9.3. */
#define VMX_INTR_VECTOR			0xffu
#define VMX_INTR_TYPE			(7u << 8)
#define VMX_INTR_TYPE_SHIFT		8
#define VMX_INTR_CODE			(1u << 11)
#define VMX_INTR_NMI_UNBLOCKED		(1u << 12)
#define VMX_INTR_VALID			(1u << 31)

/* Basic exit reasons, SDM 3D appendix C. */
#ifndef __ASSEMBLY__
enum vmx_exit_reason {
	VMX_EXIT_EXCEPTION_NMI		= 0,
	VMX_EXIT_EXTERNAL_INTERRUPT	= 1,
	VMX_EXIT_TRIPLE_FAULT		= 2,
	VMX_EXIT_INIT			= 3,
	VMX_EXIT_SIPI			= 4,
	VMX_EXIT_INTERRUPT_WINDOW	= 7,
	VMX_EXIT_NMI_WINDOW		= 8,
	VMX_EXIT_TASK_SWITCH		= 9,
	VMX_EXIT_CPUID			= 10,
	VMX_EXIT_GETSEC			= 11,
	VMX_EXIT_HLT			= 12,
	VMX_EXIT_INVD			= 13,
	VMX_EXIT_INVLPG			= 14,
	VMX_EXIT_RDPMC			= 15,
	VMX_EXIT_RDTSC			= 16,
	VMX_EXIT_RSM			= 17,
	VMX_EXIT_VMCALL			= 18,
	VMX_EXIT_VMCLEAR		= 19,
	VMX_EXIT_VMLAUNCH		= 20,
	VMX_EXIT_VMPTRLD		= 21,
	VMX_EXIT_VMPTRST		= 22,
	VMX_EXIT_VMREAD			= 23,
	VMX_EXIT_VMRESUME		= 24,
	VMX_EXIT_VMWRITE		= 25,
	VMX_EXIT_VMXOFF			= 26,
	VMX_EXIT_VMXON			= 27,
	VMX_EXIT_CR			= 28,
	VMX_EXIT_DR			= 29,
	VMX_EXIT_IO			= 30,
	VMX_EXIT_RDMSR			= 31,
	VMX_EXIT_WRMSR			= 32,
	VMX_EXIT_INVALID_STATE		= 33,
	VMX_EXIT_MSR_LOAD		= 34,
	VMX_EXIT_MWAIT			= 36,
	VMX_EXIT_MTF			= 37,
	VMX_EXIT_MONITOR		= 39,
	VMX_EXIT_PAUSE			= 40,
	VMX_EXIT_MCE_ENTRY		= 41,
	VMX_EXIT_TPR			= 43,
	VMX_EXIT_APIC_ACCESS		= 44,
	VMX_EXIT_VIRTUAL_EOI		= 45,
	VMX_EXIT_GDTR_IDTR		= 46,
	VMX_EXIT_LDTR_TR		= 47,
	VMX_EXIT_EPT_VIOLATION		= 48,
	VMX_EXIT_EPT_MISCONFIG		= 49,
	VMX_EXIT_INVEPT			= 50,
	VMX_EXIT_RDTSCP			= 51,
	VMX_EXIT_PREEMPTION_TIMER	= 52,
	VMX_EXIT_INVVPID		= 53,
	VMX_EXIT_WBINVD			= 54,
	VMX_EXIT_XSETBV			= 55,
	VMX_EXIT_APIC_WRITE		= 56,
	VMX_EXIT_RDRAND			= 57,
	VMX_EXIT_INVPCID		= 58,
	VMX_EXIT_VMFUNC			= 59,
	VMX_EXIT_ENCLS			= 60,
	VMX_EXIT_RDSEED			= 61,
	VMX_EXIT_PML_FULL		= 62,
	VMX_EXIT_XSAVES			= 63,
	VMX_EXIT_XRSTORS		= 64,
	VMX_EXIT_UMWAIT			= 67,
	VMX_EXIT_TPAUSE			= 68,
	VMX_EXIT_BUS_LOCK		= 74,
	VMX_EXIT_NOTIFY			= 75,
	NR_VMX_EXITS			= 76,
};
#endif

#define VMX_EXIT_REASON_BASIC		0xffffu
#define VMX_EXIT_BUS_LOCK_TOO		(1u << 26)
#define VMX_EXIT_ENTRY_FAILED		(1u << 31)

/* EPT-violation qualification, SDM 3C table 28-7. */
#define VMX_EPT_READ			(1u << 0)
#define VMX_EPT_WRITE			(1u << 1)
#define VMX_EPT_FETCH			(1u << 2)
#define VMX_EPT_GLA_VALID		(1u << 7)
#define VMX_EPT_NMI_UNBLOCKED		(1u << 12)

/* INVEPT and INVVPID types, SDM 3C chapter 31. */
#define INVEPT_SINGLE			1
#define INVVPID_SINGLE			1

/* Flags of vmx_enter(), see entry.S. */
#define VMX_ENTER_RESUME_BIT		0
#define VMX_ENTER_SPEC_IN_BIT		1
#define VMX_ENTER_SPEC_OUT_BIT		2

/* Offsets in struct vmx_entry, for entry.S. */
#define VMX_ENTRY_HOST_RSP		0
#define VMX_ENTRY_SPEC_GUEST		8
#define VMX_ENTRY_SPEC_HOST		12

#endif
