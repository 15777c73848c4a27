/* SPDX-License-Identifier: GPL-2.0 */
/*
 * x87, SSE and AVX registers held from one instruction to another, with nothing
 * in between that the compiler could put there. Images are XSAVE areas of the
 * standard form; a mask of 0 takes FXSAVE's part of them.
 */
#define GUEST_PORT	0x5e0
#define SYS_ioctl	16

	.macro	fp_load		/* image in RDI, mask in R12 */
	testl	%r12d, %r12d
	jz	1f
	movl	%r12d, %eax
	xorl	%edx, %edx
	xrstor64 (%rdi)
	jmp	2f
1:	fxrstor64 (%rdi)
2:
	.endm

	.macro	fp_store	/* to RBX; then the initial state, for the compiler */
	testl	%r12d, %r12d
	jz	1f
	movl	%r12d, %eax
	xorl	%edx, %edx
	xsave64	(%rbx)
	xrstor64 fp_initial(%rip)
	jmp	2f
1:	fxsave64 (%rbx)
	fxrstor64 fp_initial(%rip)
2:
	.endm

	.text

/*
 * void fp_hold(const void *in, void *out, u64 mask, u64 spins, u64 sync, u64 nr)
 *
 * Load, spin, and with @sync not 0 make the guest call @nr(@sync); store. Both
 * sides use it.
 */
	.globl	fp_hold
fp_hold:
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	movq	%rsi, %rbx
	movl	%edx, %r12d
	movq	%r8, %r13
	fp_load
3:	decq	%rcx
	jg	3b
	testq	%r13, %r13
	jz	4f
	movq	%r13, %rdi
	movl	%r9d, %eax
	movl	$GUEST_PORT, %edx
	outl	%eax, %dx
4:
	fp_store
	popq	%r13
	popq	%r12
	popq	%rbx
	ret

/*
 * void fp_hold_initial(const u32 *mxcsr, void *out, u64 mask, u64 sync, u64 nr)
 *
 * The initial state but for MXCSR, in the guest, around the call.
 */
	.globl	fp_hold_initial
fp_hold_initial:
	pushq	%rbx
	pushq	%r12
	movq	%rsi, %rbx
	movl	%edx, %r12d
	movq	%rdi, %r9
	leaq	fp_initial(%rip), %rdi
	fp_load
	ldmxcsr	(%r9)
	movq	%rcx, %rdi
	movl	%r8d, %eax
	movl	$GUEST_PORT, %edx
	outl	%eax, %dx
	fp_store
	popq	%r12
	popq	%rbx
	ret

/*
 * void fp_touch(const void *in, void *out, u64 mask, u64 addr, u64 pages)
 *
 * Load, write to so many pages; store.
 */
	.globl	fp_touch
fp_touch:
	pushq	%rbx
	pushq	%r12
	movq	%rsi, %rbx
	movl	%edx, %r12d
	fp_load
3:	incq	(%rcx)
	addq	$4096, %rcx
	decq	%r8
	jg	3b
	fp_store
	popq	%r12
	popq	%rbx
	ret

/*
 * void fp_narrow(const void *in, void *out, u64 mask, u64 narrow, u64 sync, u64 nr)
 *
 * The same in the guest, with XCR0 = @narrow around the call and @mask otherwise.
 */
	.globl	fp_narrow
fp_narrow:
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	movq	%rsi, %rbx
	movl	%edx, %r12d
	movq	%rcx, %r13
	fp_load
	movl	%r13d, %eax
	xorl	%edx, %edx
	xorl	%ecx, %ecx
	xsetbv
	movq	%r8, %rdi
	movl	%r9d, %eax
	movl	$GUEST_PORT, %edx
	outl	%eax, %dx
	movl	%r12d, %eax
	xorl	%edx, %edx
	xorl	%ecx, %ecx
	xsetbv
	fp_store
	popq	%r13
	popq	%r12
	popq	%rbx
	ret

/*
 * long fp_ioctl(const void *in, void *out, u64 mask, int fd, u64 call)
 *
 * An ioctl without argument, with the registers loaded before and stored after.
 */
	.globl	fp_ioctl
fp_ioctl:
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	movq	%rsi, %rbx
	movl	%edx, %r12d
	fp_load
	movl	%ecx, %edi
	movq	%r8, %rsi
	xorl	%edx, %edx
	movl	$SYS_ioctl, %eax
	syscall
	movq	%rax, %r13
	fp_store
	movq	%r13, %rax
	popq	%r13
	popq	%r12
	popq	%rbx
	ret

	.data
	.balign	64
fp_initial:
	.word	0x37f
	.zero	22
	.long	0x1f80
	.zero	4096 - 28

	.section .note.GNU-stack, "", @progbits
