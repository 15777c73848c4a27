/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VM entry and VM exit, and the hand-over of an NMI that caused one.
 *
 * Nothing in here may be traced, probed or patched: between entry and exit the
 * CPU holds guest registers, and RCU may not be watching.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>
#include "vmx_defs.h"

	.section .noinstr.text, "ax"

/* Where register @n stands in struct lodge_vcpu; the order is the instructions'. */
#define REG(n)	(8 * (n))(%rax)

/*
 * Guest registers that are moved the same way at entry and exit. RAX holds the
 * pointer meanwhile, RSP is the VMCS's.
 */
.macro for_each_reg op
	\op %rcx, 1
	\op %rdx, 2
	\op %rbx, 3
	\op %rbp, 5
	\op %rsi, 6
	\op %rdi, 7
	\op %r8, 8
	\op %r9, 9
	\op %r10, 10
	\op %r11, 11
	\op %r12, 12
	\op %r13, 13
	\op %r14, 14
	\op %r15, 15
.endm

.macro load_reg reg, n
	mov	REG(\n), \reg
.endm

.macro save_reg reg, n
	mov	\reg, REG(\n)
.endm

/*
 * The CPU is the host's again, its general registers still the guest's: nothing
 * of the guest may steer what follows. Leaves the vCPU in RDI.
 */
.macro to_host
	/* No guest value may be left for speculation to use. */
	xor	%eax, %eax
	xor	%ebx, %ebx
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d

	/* Both before the first RET: the guest filled the return stack buffer. */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT,\
			   X86_FEATURE_RSB_VMEXIT_LITE

	mov	(%rsp), %rdi
	btl	$VMX_ENTRY_SPEC_OUT_BIT, VMX_ENTRY_FLAGS(%rdi)
	jnc	.Lspec_done\@
	mov	VMX_ENTRY_SPEC_HOST(%rdi), %eax
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
.Lspec_done\@:
	/* The guest trained the branches above: let none run ahead of the write. */
	ALTERNATIVE "", "lfence", X86_FEATURE_LFENCE_RDTSC
	CLEAR_BRANCH_HISTORY_VMEXIT
.endm

/*
 * bool vmx_enter(struct lodge_vcpu *vcpu)
 *
 * Enter the guest, and after each exit call vmx_exited(); enter again as long as
 * that says true. So the callee-saved registers of the host are saved once per
 * stint, not once per exit.
 * Return: true; false when the CPU did not enter (VMfail, or #UD because VMX is
 * off).
 *
 * Context: interrupts off, VMCS loaded, noinstr.
 */
SYM_FUNC_START(vmx_enter)
	push	%rbp
	mov	%rsp, %rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdi			/* VM exit comes back with this on top */

	/* VM exit sets RSP from the VMCS; the stack is mostly where it was. */
	cmp	%rsp, VMX_ENTRY_HOST_RSP(%rdi)
	je	.Lenter
	mov	$VMCS_HOST_RSP, %eax
.Lwrite_host_rsp:
	vmwrite	%rsp, %rax
	mov	%rsp, VMX_ENTRY_HOST_RSP(%rdi)

.Lenter:
	/*
	 * From the write of SPEC_CTRL to the entry there is no RET and no
	 * indirect branch, so that none can be steered by the guest's setting.
	 */
	btl	$VMX_ENTRY_SPEC_IN_BIT, VMX_ENTRY_FLAGS(%rdi)
	jnc	1f
	mov	VMX_ENTRY_SPEC_GUEST(%rdi), %eax
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
1:
	btl	$VMX_ENTRY_RESUME_BIT, VMX_ENTRY_FLAGS(%rdi)
	mov	%rdi, %rax		/* MOV leaves CF alone */
	for_each_reg load_reg
	mov	REG(0), %rax

	/* Last, so that no host data enters the buffers again. Clobbers only ZF. */
	CLEAR_CPU_BUFFERS

	jnc	.Lvmlaunch

	/*
	 * Objtool cannot see that HOST_RIP brings us to vmx_exit: the stack
	 * there is the stack here.
	 */
	UNWIND_HINT_SAVE

.Lvmresume:
	vmresume
	jmp	.Lvmfail
.Lvmlaunch:
	vmlaunch
	jmp	.Lvmfail

	_ASM_EXTABLE(.Lvmresume, .Lvmfail)
	_ASM_EXTABLE(.Lvmlaunch, .Lvmfail)
	_ASM_EXTABLE(.Lwrite_host_rsp, .Lvmfail)

SYM_INNER_LABEL(vmx_exit, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	push	%rax
	mov	8(%rsp), %rax		/* the vCPU */
	pop	REG(0)
	for_each_reg save_reg
	to_host

	call	vmx_exited
	mov	(%rsp), %rdi
	test	%al, %al
	jnz	.Lenter
	mov	$1, %eax

.Lreturn:
	pop	%rdi
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET

.Lvmfail:
	to_host
	xor	%eax, %eax
	jmp	.Lreturn
SYM_FUNC_END(vmx_enter)

/*
 * void vmx_handle_nmi(void)
 *
 * Give the NMI that caused the exit to the kernel's handler. VM exit has left
 * NMIs blocked (SDM 3C 28.5.5); the IRET of the handler, on a frame made here,
 * unblocks them.
 */
SYM_FUNC_START(vmx_handle_nmi)
	push	%rbp
	mov	%rsp, %rbp
	and	$-16, %rsp		/* as the CPU does for an interrupt in 64-bit mode */
	push	$__KERNEL_DS
	push	%rbp
	pushf
	push	$__KERNEL_CS
	call	LODGE_NMI_ENTRY
	/* IRET popped the frame: RSP is RBP again, as the frame says. */
	leave
	RET
SYM_FUNC_END(vmx_handle_nmi)
