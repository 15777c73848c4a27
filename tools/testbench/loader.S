/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The boot loader of the test bench: an option ROM that reads a flat 64-bit
 * vmlinux and an initramfs from the first ATA disk and jumps to the kernel.
 *
 * An emulated CPU is slow, so this skips what costs most on the usual way:
 * the boot menu, the kernel's real-mode start, and decompression.  The BIOS
 * calls an option ROM after it has set up PCI, ACPI and the other CPUs, which
 * is all a kernel wants of it.
 *
 * The disk is made by mkdisk.py.  Its first four sectors are the header:
 *
 *	  0	"LDGE"
 *	  4	u32 number of segments (1..16)
 *	  8	u32 physical entry point
 *	 12	u32 physical address of the initramfs
 *	 16	u32 its size
 *	 32	segments, each: u32 first sector, u32 sectors, u32 physical address
 *	256	command line, ending in NUL
 *
 * Errors are told on port 0xE9, which the emulator prints, and end the machine
 * by way of Bochs' shutdown port.
 */

#define ROM		0xd0000		/* where the bochsrc puts this ROM */

/* What low memory is used for, until the kernel runs */
#define HDR		0x8000		/* the header, as read */
#define HDR_SECTORS	4
#define HDR_ENTRY	(HDR + 8)
#define HDR_INITRD	(HDR + 12)
#define HDR_INITRD_SIZE	(HDR + 16)
#define HDR_SEGMENTS	(HDR + 32)
#define HDR_CMDLINE	(HDR + 256)
#define CMDLINE_SIZE	(HDR_SECTORS * 512 - 256)
#define STACK		0x7c00
#define BOOT_PARAMS	0x10000		/* the kernel's struct boot_params */
#define CMDLINE		0x20000
#define PGTABLE		0x30000		/* six pages: an identity map of 4 GiB */

/* struct boot_params, see Documentation/x86/boot.rst and zero-page.rst */
#define BP_E820_ENTRIES	0x1e8
#define BP_E820_TABLE	0x2d0
#define E820_ENTRY_SIZE	20
#define E820_MAX	128

/* The primary ATA channel */
#define ATA_DATA	0x1f0
#define ATA_COUNT	0x1f2
#define ATA_LBA0	0x1f3
#define ATA_STATUS	0x1f7
#define ATA_CONTROL	0x3f6
#define ATA_CMD_READ	0x20
#define ATA_BSY		0x80
#define ATA_DRQ		0x08
#define ATA_ERR		0x01
#define ATA_NIEN	0x02		/* no interrupts, please */

#define OFF(symbol)	((symbol) - rom)
#define PHYS(symbol)	(ROM + OFF(symbol))

#define CS32		0x08
#define CS64		0x10		/* the numbers the kernel's boot */
#define DS		0x18		/* protocol asks for */

	.text
	.code16
	.globl	rom
rom:
	.byte	0x55, 0xaa		/* an option ROM ... */
	.byte	(rom_end - rom) / 512	/* ... of so many 512 byte units */
	jmp	start

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* CS32 */
	.quad	0x00af9b000000ffff	/* CS64 */
	.quad	0x00cf93000000ffff	/* DS */
gdt_ptr:
	.word	gdt_ptr - gdt - 1
	.long	PHYS(gdt)

start:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ss
	movw	$STACK, %sp

	/* boot_params: all zero, then the BIOS's memory map */
	movw	$(BOOT_PARAMS >> 4), %ax
	movw	%ax, %es
	xorw	%di, %di
	movw	$(4096 / 2), %cx
	xorw	%ax, %ax
	rep stosw
	movw	$BP_E820_TABLE, %di
	xorl	%ebx, %ebx		/* the BIOS's place in its list */
1:	movl	$0xe820, %eax
	movl	$E820_ENTRY_SIZE, %ecx
	movl	$0x534d4150, %edx	/* "SMAP" */
	int	$0x15
	jc	2f
	cmpl	$0x534d4150, %eax
	jne	2f
	incb	%es:BP_E820_ENTRIES
	addw	$E820_ENTRY_SIZE, %di
	cmpb	$E820_MAX, %es:BP_E820_ENTRIES
	je	2f
	testl	%ebx, %ebx
	jnz	1b
2:
	cli
	inb	$0x92, %al		/* A20 on */
	orb	$2, %al
	outb	%al, $0x92
	lgdtl	%cs:OFF(gdt_ptr)
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$CS32, $PHYS(protected)

	.code32
protected:
	movw	$DS, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$STACK, %esp

	movw	$ATA_CONTROL, %dx
	movb	$ATA_NIEN, %al
	outb	%al, %dx

	/* the header, then the segments it lists */
	xorl	%ebx, %ebx
	movl	$HDR_SECTORS, %ebp
	movl	$HDR, %edi
	call	read_disk
	movl	$PHYS(msg_header), %esi
	cmpl	$0x4547444c, HDR	/* "LDGE" */
	jne	fail
	movl	HDR + 4, %ecx
	movl	$HDR_SEGMENTS, %esi
3:	pushl	%ecx
	movl	0(%esi), %ebx
	movl	4(%esi), %ebp
	movl	8(%esi), %edi
	call	read_disk
	addl	$12, %esi
	popl	%ecx
	loop	3b

	movw	$ATA_CONTROL, %dx
	xorl	%eax, %eax
	outb	%al, %dx

	movl	$HDR_CMDLINE, %esi
	movl	$CMDLINE, %edi
	movl	$(CMDLINE_SIZE / 4), %ecx
	rep movsl

	/* the setup header a boot loader would have copied from the bzImage */
	movw	$0xffff, BOOT_PARAMS + 0x1fa		/* vid_mode: normal */
	movw	$0xaa55, BOOT_PARAMS + 0x1fe		/* boot_flag */
	movl	$0x53726448, BOOT_PARAMS + 0x202	/* "HdrS" */
	movw	$0x20c, BOOT_PARAMS + 0x206		/* version */
	movb	$0xff, BOOT_PARAMS + 0x210		/* type_of_loader */
	movb	$1, BOOT_PARAMS + 0x211			/* LOADED_HIGH */
	movl	HDR_INITRD, %eax
	movl	%eax, BOOT_PARAMS + 0x218		/* ramdisk_image */
	movl	HDR_INITRD_SIZE, %eax
	movl	%eax, BOOT_PARAMS + 0x21c		/* ramdisk_size */
	movl	$CMDLINE, BOOT_PARAMS + 0x228		/* cmd_line_ptr */
	movl	$0x200000, BOOT_PARAMS + 0x230		/* kernel_alignment */
	movl	$2047, BOOT_PARAMS + 0x238		/* cmdline_size */

	/* page tables: one PML4 page, one PDPT page, four PD pages of 2 MiB */
	movl	$PGTABLE, %edi
	xorl	%eax, %eax
	movl	$(2 * 4096 / 4), %ecx
	rep stosl
	movl	$PGTABLE + 0x1003, PGTABLE
	movl	$PGTABLE + 0x2003, PGTABLE + 0x1000
	movl	$PGTABLE + 0x3003, PGTABLE + 0x1008
	movl	$PGTABLE + 0x4003, PGTABLE + 0x1010
	movl	$PGTABLE + 0x5003, PGTABLE + 0x1018
	movl	$PGTABLE + 0x2000, %edi
	movl	$0x83, %eax				/* present, writable, large */
	movl	$(4 * 512), %ecx
4:	movl	%eax, 0(%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	4b

	/* long mode, and into the kernel with %rsi = boot_params */
	movl	$0x20, %eax				/* CR4.PAE */
	movl	%eax, %cr4
	movl	$PGTABLE, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx			/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax			/* CR0.PG */
	movl	%eax, %cr0
	ljmpl	$CS64, $PHYS(long_mode)

/* Read %ebp sectors, the first of them %ebx, to %edi.  Clobbers %eax..%edx. */
read_disk:
	movl	%ebp, %eax
	testl	%eax, %eax
	jz	9f
	cmpl	$256, %eax		/* a command reads at most 256 */
	jbe	5f
	movl	$256, %eax
5:	movl	%eax, %ecx
	subl	%eax, %ebp
	movw	$ATA_COUNT, %dx
	outb	%al, %dx		/* 256 is written as 0 */
	movl	%ebx, %eax
	movw	$ATA_LBA0, %dx
	outb	%al, %dx
	shrl	$8, %eax
	incw	%dx
	outb	%al, %dx
	shrl	$8, %eax
	incw	%dx
	outb	%al, %dx
	shrl	$8, %eax
	andb	$0x0f, %al		/* sector numbers have 28 bits */
	orb	$0xe0, %al		/* LBA, first drive */
	incw	%dx
	outb	%al, %dx
	incw	%dx
	movb	$ATA_CMD_READ, %al
	outb	%al, %dx
	addl	%ecx, %ebx
6:	movw	$ATA_STATUS, %dx
7:	inb	%dx, %al
	testb	$ATA_BSY, %al
	jnz	7b
	testb	$ATA_ERR, %al
	jnz	8f
	testb	$ATA_DRQ, %al
	jz	7b
	movw	$ATA_DATA, %dx
	movl	%ecx, %eax
	movl	$(512 / 4), %ecx
	rep insl
	movl	%eax, %ecx
	loop	6b
	jmp	read_disk
8:	movl	$PHYS(msg_disk), %esi
	jmp	fail
9:	ret

/* Say the message at %esi on port 0xE9, and end the machine. */
fail:
	movw	$0xe9, %dx
	call	out_string
	movl	$PHYS(msg_shutdown), %esi
	movw	$0x8900, %dx
	call	out_string
	hlt
	jmp	fail

out_string:
	lodsb
	testb	%al, %al
	jz	1f
	outb	%al, %dx
	jmp	out_string
1:	ret

msg_header:
	.asciz	"\nloader: the disk has no header of mkdisk.py\n"
msg_disk:
	.asciz	"\nloader: cannot read the disk\n"
msg_shutdown:
	.asciz	"Shutdown"

	.code64
long_mode:
	movl	$DS, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	HDR_ENTRY, %eax
	movl	$BOOT_PARAMS, %esi
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	jmp	*%rax

	.org	1023			/* a full unit of 512, checksum in the last byte */
	.byte	0
rom_end:
