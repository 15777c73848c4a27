/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's exception and interrupt entries, 16 bytes each. All gates switch
 * to an interrupt stack (IST), because compiled code keeps data in the red zone
 * below its stack pointer. From there the frame moves to the interrupted stack,
 * below the red zone, so that handlers may nest; except when the guest was in
 * user mode, and for NMI, #DF and #MC, whose IST is their own.
 */
#define NR_REGS		15
#define FRAME_SIZE	((NR_REGS + 7) * 8)
#define FRAME_VECTOR	(NR_REGS * 8)
#define FRAME_CS	((NR_REGS + 3) * 8)
#define FRAME_RSP	((NR_REGS + 5) * 8)
#define RED_ZONE	128

	.text

	.globl	guest_trap_stubs
	.balign	16
guest_trap_stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	guest_trap_common
	.set	vector, vector + 1
	.endr

	.balign	16
guest_trap_common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld

	testb	$3, FRAME_CS(%rsp)
	jnz	.Lcall
	cmpq	$2, FRAME_VECTOR(%rsp)
	je	.Lcall
	cmpq	$8, FRAME_VECTOR(%rsp)
	je	.Lcall
	cmpq	$18, FRAME_VECTOR(%rsp)
	je	.Lcall

	movq	FRAME_RSP(%rsp), %rdi
	subq	$(RED_ZONE + FRAME_SIZE), %rdi
	andq	$-16, %rdi
	movq	%rsp, %rsi
	movq	%rdi, %rdx
	movl	$(FRAME_SIZE / 8), %ecx
	rep movsq
	movq	%rdx, %rsp

.Lcall:
	movq	%rsp, %rdi
	call	guest_trap
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

/* void guest_user_enter(u64 code, u64 stack, u64 *sp, u64 selector) */
	.globl	guest_user_enter
guest_user_enter:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdx)
	pushq	$0x3b			/* SEL_USER_DATA */
	pushq	%rsi
	pushq	$0x3002			/* RFLAGS: IOPL 3 */
	pushq	%rcx
	pushq	%rdi
	iretq

	.globl	guest_user_exit
guest_user_exit:
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

	.section .note.GNU-stack, "", @progbits
