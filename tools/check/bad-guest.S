/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests that misbehave, one per build: a PVH kernel of a few instructions, in
 * 32-bit protected mode. DO names what it does. Some behave.
 */
	.section .note.Xen, "a", @note
	.long	4, 4, 18		/* name and value sizes, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start

	.text
	.code32
	.globl	start
start:
	jmp	DO

triple_fault:				/* no IDT: #UD, #GP, #DF */
	lidt	none
	ud2
garbage:
	.fill	64, 1, 0xff
spin:					/* nothing but an exit ends this */
	cli
	jmp	.
busy:					/* the same, but open to interrupts */
	sti
	jmp	.
halt:
	cli
	hlt
	jmp	halt
wild_jump:				/* into addresses where no memory is */
	ljmp	$0x10, $0xd0000000
keys:					/* r restarts it, any other switches it off */
	mov	$0x3fc, %dx
	mov	$0x02, %al		/* RTS: ready to receive */
	out	%al, %dx
	mov	$0x3fd, %dx
1:	in	%dx, %al
	test	$0x01, %al		/* a key is there */
	jz	1b
	mov	$0x3fc, %dx
	xor	%al, %al		/* no more: that would be lost with the port */
	out	%al, %dx
	mov	$0x3f8, %dx
	in	%dx, %al
	cmp	$'r', %al
	jne	off
	mov	$0x602, %dx		/* reset register */
	mov	$1, %al
	out	%al, %dx
	jmp	.
off:	mov	$0x600, %dx		/* sleep control: S5, enable */
	mov	$0x34, %al
	out	%al, %dx
	jmp	.
level:					/* takes three interrupts of a level-triggered pin */
	mov	$0x7000, %esp
	mov	$interrupt, %eax	/* below 0x110000 */
	and	$0xffff, %eax
	or	$0x100000, %eax
	mov	%eax, 0x8000 + 8 * 0x30
	movl	$0x108e00, 0x8000 + 8 * 0x30 + 4
	lidt	idt
	movl	$0x1ff, 0xfee000f0	/* local APIC on */
	movl	$0x18, 0xfec00000	/* I/O APIC, pin 4: level triggered, vector 0x30 */
	movl	$0x8030, 0xfec00010
	mov	$0x3f9, %dx
	mov	$0x02, %al		/* serial port: when it has sent */
	out	%al, %dx
	xor	%ebx, %ebx
	sti
	jmp	.
interrupt:
	inc	%ebx
	cmp	$3, %ebx
	je	off
	mov	$0x3fa, %dx		/* the pin goes low ... */
	in	%dx, %al
	mov	$0x3f8, %dx		/* ... and high again */
	out	%al, %dx
	movl	$0, 0xfee000b0		/* EOI: the only thing that brings the next one */
	iret
string_io:
	mov	$0x1234, %dx
	mov	$16, %ecx
	rep outsb

none:	.word	0
	.long	0
idt:	.word	0x7ff
	.long	0x8000
