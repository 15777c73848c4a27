/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests that misbehave, one per build: a PVH kernel of a few instructions, in
 * 32-bit protected mode. DO names what it does. One does what it is told.
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
	mov	$0x602, %dx		/* reset register */
	cmp	$'r', %al
	mov	$1, %al
	je	2f
	mov	$0x600, %dx		/* sleep control: S5, enable */
	mov	$0x34, %al
2:	out	%al, %dx
	jmp	.
string_io:
	mov	$0x1234, %dx
	mov	$16, %ecx
	rep outsb

none:	.word	0
	.long	0
