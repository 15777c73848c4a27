/* SPDX-License-Identifier: GPL-2.0 */
#define SYS_ioctl	16
#define SYS_arch_prctl	158
#define ARCH_SET_FS	0x1002

	.text

/*
 * long ioctl_in_segments(int fd, u64 call, u64 selector, u64 fs_base,
 *			  struct seen_segments *seen, u64 gs_base)
 *
 * No C here: what it keeps behind FS is somewhere else meanwhile.
 */
	.globl	ioctl_in_segments
ioctl_in_segments:
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	movq	%rcx, %rbx
	movq	%r8, %r12

	movl	%edx, %ds
	movl	%edx, %es
	movl	%edx, %fs
	movl	%edx, %gs
	testq	%r9, %r9
	jz	1f
	wrgsbase %r9
1:	xorl	%edx, %edx
	movl	$SYS_ioctl, %eax
	syscall
	movq	%rax, %r13

	xorl	%eax, %eax
	movl	%ds, %eax
	movq	%rax, 0(%r12)
	movl	%es, %eax
	movq	%rax, 8(%r12)
	movl	%fs, %eax
	movq	%rax, 16(%r12)
	movl	%gs, %eax
	movq	%rax, 24(%r12)
	movq	%fs:0, %rax
	movq	%rax, 32(%r12)
	movq	%gs:0, %rax
	movq	%rax, 40(%r12)

	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$ARCH_SET_FS, %edi
	movq	%rbx, %rsi
	movl	$SYS_arch_prctl, %eax
	syscall

	movq	%r13, %rax
	popq	%r13
	popq	%r12
	popq	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
