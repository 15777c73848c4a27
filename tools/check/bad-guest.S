/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests that misbehave, one per build: a PVH kernel of a few instructions, in
 * 32-bit protected mode. DO names what it does.
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
halt:
	cli
	hlt
	jmp	halt
wild_jump:				/* into addresses where no memory is */
	ljmp	$0x10, $0xd0000000
string_io:
	mov	$0x1234, %dx
	mov	$16, %ecx
	rep outsb

none:	.word	0
	.long	0
