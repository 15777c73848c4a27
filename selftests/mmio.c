// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is not RAM: every instruction form that lodge decodes, in 64-bit,
 * 32-bit and 16-bit code, with what the program must be shown and what the
 * guest's registers must hold afterwards; and the forms it must not guess at.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "vm.h"
#include "kselftest_harness.h"

#define MMIO		0x70000000ULL	/* within reach of RIP-relative addresses */
#define RAM		0xf100ULL	/* within reach of 16-bit code */
#define END_PORT	0xf1

#define RAX_IN		0x1122334455667788ULL
#define RDX_IN		(0xdead000000000000ULL | MMIO)
#define R8_IN		0x8899aabbccddeeffULL
#define R9_IN		0x0123456789abcdefULL
#define RBP_IN		0x5a5a5a5a5a5a5a5aULL
#define RSI16_IN	RAM

/* Values the device gives; with and without the sign bit of each width. */
#define NEG		0xf1e2d3c4b5a69788ULL
#define POS		0x1122334455667718ULL

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9 };

struct access {
	u8 kind;		/* 'r', 'w', or 0: none */
	u8 width;
	u16 offset;		/* from MMIO */
	u64 data;
};

struct changed {
	u8 reg;
	u8 set;
	u64 value;
};

struct row {
	const char *name;
	u8 mode;		/* 64, 32, 16 */
	u8 len;
	bool from_mmio;		/* RSI is the device and RDI is RAM */
	bool down;		/* DF is set */
	u8 code[14];
	struct access access[3];
	struct changed changed[3];
};

#define CODE(...)	.len = sizeof((u8[]){ __VA_ARGS__ }), .code = { __VA_ARGS__ }
#define ACCESS(...)	.access = { __VA_ARGS__ }
#define CHANGED(...)	.changed = { __VA_ARGS__ }
#define RD(w, off, v)	{ 'r', w, off, v }
#define WR(w, off, v)	{ 'w', w, off, v }
#define TO(r, v)	{ r, 1, v }

static const struct row rows[] = {
	/* 88, 89: register to memory */
	{ "mov %al, (%rbx)", 64, CODE(0x88, 0x03), ACCESS(WR(1, 0, 0x88)) },
	{ "mov %ah, (%rbx)", 64, CODE(0x88, 0x23), ACCESS(WR(1, 0, 0x77)) },
	{ "mov %bpl, (%rbx)", 64, CODE(0x40, 0x88, 0x2b), ACCESS(WR(1, 0, 0x5a)) },
	{ "mov %r8b, (%rbx)", 64, CODE(0x44, 0x88, 0x03), ACCESS(WR(1, 0, 0xff)) },
	{ "mov %ax, (%rbx)", 64, CODE(0x66, 0x89, 0x03), ACCESS(WR(2, 0, 0x7788)) },
	{ "mov %eax, (%rbx)", 64, CODE(0x89, 0x03), ACCESS(WR(4, 0, 0x55667788)) },
	{ "mov %rax, (%rbx)", 64, CODE(0x48, 0x89, 0x03), ACCESS(WR(8, 0, RAX_IN)) },
	{ "mov %r9, 8(%rbx)", 64, CODE(0x4c, 0x89, 0x4b, 8), ACCESS(WR(8, 8, R9_IN)) },
	/* 8A, 8B: memory to register; 8 and 16 bits leave the rest alone */
	{ "mov (%rbx), %al", 64, CODE(0x8a, 0x03), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RAX, 0x1122334455667799ULL)) },
	{ "mov (%rbx), %ah", 64, CODE(0x8a, 0x23), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RAX, 0x1122334455669988ULL)) },
	{ "mov (%rbx), %bpl", 64, CODE(0x40, 0x8a, 0x2b), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RBP, 0x5a5a5a5a5a5a5a99ULL)) },
	{ "mov (%rbx), %r8b", 64, CODE(0x44, 0x8a, 0x03), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(R8, 0x8899aabbccddee99ULL)) },
	{ "mov (%rbx), %ax", 64, CODE(0x66, 0x8b, 0x03), ACCESS(RD(2, 0, 0x9988)),
	  CHANGED(TO(RAX, 0x1122334455669988ULL)) },
	{ "mov (%rbx), %eax", 64, CODE(0x8b, 0x03), ACCESS(RD(4, 0, 0xb5a69788)),
	  CHANGED(TO(RAX, 0xb5a69788)) },
	{ "mov (%rbx), %rax", 64, CODE(0x48, 0x8b, 0x03), ACCESS(RD(8, 0, NEG)),
	  CHANGED(TO(RAX, NEG)) },
	{ "mov (%rbx), %r9d", 64, CODE(0x44, 0x8b, 0x0b), ACCESS(RD(4, 0, 0x80000001)),
	  CHANGED(TO(R9, 0x80000001)) },
	{ "mov (%rbx), %rbx", 64, CODE(0x48, 0x8b, 0x1b), ACCESS(RD(8, 0, NEG)),
	  CHANGED(TO(RBX, NEG)) },
	/* A0 to A3: the accumulator and an absolute address */
	{ "movabs MMIO+2, %al", 64, CODE(0xa0, 2, 0, 0, 0x70, 0, 0, 0, 0),
	  ACCESS(RD(1, 2, 0x99)), CHANGED(TO(RAX, 0x1122334455667799ULL)) },
	{ "movabs MMIO, %eax", 64, CODE(0xa1, 0, 0, 0, 0x70, 0, 0, 0, 0),
	  ACCESS(RD(4, 0, 0xb5a69788)), CHANGED(TO(RAX, 0xb5a69788)) },
	{ "movabs MMIO, %rax", 64, CODE(0x48, 0xa1, 0, 0, 0, 0x70, 0, 0, 0, 0),
	  ACCESS(RD(8, 0, NEG)), CHANGED(TO(RAX, NEG)) },
	{ "movabs %al, MMIO", 64, CODE(0xa2, 0, 0, 0, 0x70, 0, 0, 0, 0),
	  ACCESS(WR(1, 0, 0x88)) },
	{ "movabs %ax, MMIO", 64, CODE(0x66, 0xa3, 0, 0, 0, 0x70, 0, 0, 0, 0),
	  ACCESS(WR(2, 0, 0x7788)) },
	{ "movabs %rax, MMIO", 64, CODE(0x48, 0xa3, 0, 0, 0, 0x70, 0, 0, 0, 0),
	  ACCESS(WR(8, 0, RAX_IN)) },
	{ "addr32 mov MMIO, %eax", 64, CODE(0x67, 0xa1, 4, 0, 0, 0x70),
	  ACCESS(RD(4, 4, 5)), CHANGED(TO(RAX, 5)) },
	/* C6, C7: immediates */
	{ "movb $0x5a, (%rbx)", 64, CODE(0xc6, 0x03, 0x5a), ACCESS(WR(1, 0, 0x5a)) },
	{ "movw $0x1234, (%rbx)", 64, CODE(0x66, 0xc7, 0x03, 0x34, 0x12),
	  ACCESS(WR(2, 0, 0x1234)) },
	{ "movl $0xfffffff0, (%rbx)", 64, CODE(0xc7, 0x03, 0xf0, 0xff, 0xff, 0xff),
	  ACCESS(WR(4, 0, 0xfffffff0)) },
	{ "movq $-16, (%rbx)", 64, CODE(0x48, 0xc7, 0x03, 0xf0, 0xff, 0xff, 0xff),
	  ACCESS(WR(8, 0, -16ULL)) },
	{ "movl $7, MMIO(%rip)", 64,	/* the immediate counts for RIP, too */
	  CODE(0xc7, 0x05, 0xf6, 0x7f, 0xff, 0x6f, 7, 0, 0, 0), ACCESS(WR(4, 0, 7)) },
	/* 0F B6, B7, BE, BF, 63: widening loads */
	{ "movzbw (%rbx), %ax", 64, CODE(0x66, 0x0f, 0xb6, 0x03), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RAX, 0x1122334455660099ULL)) },
	{ "movzbl (%rbx), %eax", 64, CODE(0x0f, 0xb6, 0x03), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RAX, 0x99)) },
	{ "movzbq (%rbx), %r8", 64, CODE(0x4c, 0x0f, 0xb6, 0x03), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(R8, 0x99)) },
	{ "movzwl (%rbx), %eax", 64, CODE(0x0f, 0xb7, 0x03), ACCESS(RD(2, 0, 0x9788)),
	  CHANGED(TO(RAX, 0x9788)) },
	{ "movzwq (%rbx), %rax", 64, CODE(0x48, 0x0f, 0xb7, 0x03), ACCESS(RD(2, 0, 0x9788)),
	  CHANGED(TO(RAX, 0x9788)) },
	{ "movsbw (%rbx), %ax", 64, CODE(0x66, 0x0f, 0xbe, 0x03), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RAX, 0x112233445566ff99ULL)) },
	{ "movsbl (%rbx), %eax", 64, CODE(0x0f, 0xbe, 0x03), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RAX, 0xffffff99)) },
	{ "movsbl (%rbx), %eax", 64, CODE(0x0f, 0xbe, 0x03), ACCESS(RD(1, 0, 0x18)),
	  CHANGED(TO(RAX, 0x18)) },
	{ "movsbq (%rbx), %rax", 64, CODE(0x48, 0x0f, 0xbe, 0x03), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RAX, 0xffffffffffffff99ULL)) },
	{ "movswl (%rbx), %eax", 64, CODE(0x0f, 0xbf, 0x03), ACCESS(RD(2, 0, 0x9788)),
	  CHANGED(TO(RAX, 0xffff9788)) },
	{ "movswq (%rbx), %rax", 64, CODE(0x48, 0x0f, 0xbf, 0x03), ACCESS(RD(2, 0, 0x9788)),
	  CHANGED(TO(RAX, 0xffffffffffff9788ULL)) },
	{ "movslq (%rbx), %rax", 64, CODE(0x48, 0x63, 0x03), ACCESS(RD(4, 0, 0xb5a69788)),
	  CHANGED(TO(RAX, 0xffffffffb5a69788ULL)) },
	{ "movslq (%rbx), %rax", 64, CODE(0x48, 0x63, 0x03), ACCESS(RD(4, 0, 0x55667718)),
	  CHANGED(TO(RAX, 0x55667718)) },
	/* addresses */
	{ "mov -4(%rbx), %eax", 64, CODE(0x8b, 0x43, 0xfc), ACCESS(RD(4, -4, 1)),
	  CHANGED(TO(RAX, 1)) },
	{ "mov 0x100(%rbx), %eax", 64, CODE(0x8b, 0x83, 0, 1, 0, 0), ACCESS(RD(4, 0x100, 1)),
	  CHANGED(TO(RAX, 1)) },
	{ "mov (%rbx,%rcx,4), %eax", 64, CODE(0x8b, 0x04, 0x8b), ACCESS(RD(4, 12, 1)),
	  CHANGED(TO(RAX, 1)) },
	{ "mov 8(%rbx,%rcx,8), %eax", 64, CODE(0x8b, 0x44, 0xcb, 8), ACCESS(RD(4, 32, 1)),
	  CHANGED(TO(RAX, 1)) },
	{ "mov MMIO+4, %eax (SIB)", 64, CODE(0x8b, 0x04, 0x25, 4, 0, 0, 0x70),
	  ACCESS(RD(4, 4, 1)), CHANGED(TO(RAX, 1)) },
	{ "mov MMIO(%rip), %eax", 64, CODE(0x8b, 0x05, 0xfa, 0x7f, 0xff, 0x6f),
	  ACCESS(RD(4, 0, 1)), CHANGED(TO(RAX, 1)) },
	{ "mov (%r12), %eax", 64, CODE(0x41, 0x8b, 0x04, 0x24), ACCESS(RD(4, 0x200, 1)),
	  CHANGED(TO(RAX, 1)) },
	{ "mov 0(%r13), %eax", 64, CODE(0x41, 0x8b, 0x45, 0), ACCESS(RD(4, 0x300, 1)),
	  CHANGED(TO(RAX, 1)) },
	{ "mov (%rbx,%r14,2), %eax", 64, CODE(0x42, 0x8b, 0x04, 0x73), ACCESS(RD(4, 0x20, 1)),
	  CHANGED(TO(RAX, 1)) },
	{ "addr32 mov (%edx), %eax", 64, CODE(0x67, 0x8b, 0x02), ACCESS(RD(4, 0, 1)),
	  CHANGED(TO(RAX, 1)) },
	{ "mov %gs:0x40, %eax", 64, CODE(0x65, 0x8b, 0x04, 0x25, 0x40, 0, 0, 0),
	  ACCESS(RD(4, 0x440, 1)), CHANGED(TO(RAX, 1)) },
	{ "mov %fs:0x40, %eax", 64, CODE(0x64, 0x8b, 0x04, 0x25, 0x40, 0, 0, 0),
	  ACCESS(RD(4, 0x840, 1)), CHANGED(TO(RAX, 1)) },
	{ "mov %es:(%rbx), %eax", 64, CODE(0x26, 0x8b, 0x03), ACCESS(RD(4, 0, 1)),
	  CHANGED(TO(RAX, 1)) },
	/* STOS and MOVS */
	{ "stosb", 64, CODE(0xaa), ACCESS(WR(1, 0x100, 0x88)),
	  CHANGED(TO(RDI, MMIO + 0x101)) },
	{ "stosw", 64, CODE(0x66, 0xab), ACCESS(WR(2, 0x100, 0x7788)),
	  CHANGED(TO(RDI, MMIO + 0x102)) },
	{ "stosl", 64, CODE(0xab), ACCESS(WR(4, 0x100, 0x55667788)),
	  CHANGED(TO(RDI, MMIO + 0x104)) },
	{ "stosq", 64, CODE(0x48, 0xab), ACCESS(WR(8, 0x100, RAX_IN)),
	  CHANGED(TO(RDI, MMIO + 0x108)) },
	{ "stosl, down", 64, .down = true, CODE(0xab), ACCESS(WR(4, 0x100, 0x55667788)),
	  CHANGED(TO(RDI, MMIO + 0xfc)) },
	{ "rep stosl", 64, CODE(0xf3, 0xab),
	  ACCESS(WR(4, 0x100, 0x55667788), WR(4, 0x104, 0x55667788), WR(4, 0x108, 0x55667788)),
	  CHANGED(TO(RDI, MMIO + 0x10c), TO(RCX, 0)) },
	{ "movsb to MMIO", 64, CODE(0xa4), ACCESS(WR(1, 0x100, 0xa0)),
	  CHANGED(TO(RDI, MMIO + 0x101), TO(RSI, RAM + 1)) },
	{ "movsw to MMIO", 64, CODE(0x66, 0xa5), ACCESS(WR(2, 0x100, 0xa1a0)),
	  CHANGED(TO(RDI, MMIO + 0x102), TO(RSI, RAM + 2)) },
	{ "movsl to MMIO", 64, CODE(0xa5), ACCESS(WR(4, 0x100, 0xa3a2a1a0)),
	  CHANGED(TO(RDI, MMIO + 0x104), TO(RSI, RAM + 4)) },
	{ "movsq to MMIO", 64, CODE(0x48, 0xa5), ACCESS(WR(8, 0x100, 0xa7a6a5a4a3a2a1a0ULL)),
	  CHANGED(TO(RDI, MMIO + 0x108), TO(RSI, RAM + 8)) },
	{ "rep movsb to MMIO", 64, CODE(0xf3, 0xa4),
	  ACCESS(WR(1, 0x100, 0xa0), WR(1, 0x101, 0xa1), WR(1, 0x102, 0xa2)),
	  CHANGED(TO(RDI, MMIO + 0x103), TO(RSI, RAM + 3), TO(RCX, 0)) },
	{ "movsl from MMIO", 64, .from_mmio = true, CODE(0xa5), ACCESS(RD(4, 0x100, 0x12345678)),
	  CHANGED(TO(RSI, MMIO + 0x104), TO(RDI, RAM + 4)) },
	{ "rep movsw from MMIO", 64, .from_mmio = true, CODE(0xf3, 0x66, 0xa5),
	  ACCESS(RD(2, 0x100, 0x5678), RD(2, 0x102, 0x1234), RD(2, 0x104, 0x4321)),
	  CHANGED(TO(RSI, MMIO + 0x106), TO(RDI, RAM + 6), TO(RCX, 0)) },
	{ "rep movsb from MMIO, down", 64, .from_mmio = true, .down = true, CODE(0xf3, 0xa4),
	  ACCESS(RD(1, 0x100, 0x78), RD(1, 0xff, 0x56), RD(1, 0xfe, 0x34)),
	  CHANGED(TO(RSI, MMIO + 0xfd), TO(RDI, RAM - 3), TO(RCX, 0)) },

	/* 32-bit code: registers are 32 bits wide */
	{ "mov %al, (%ebx)", 32, CODE(0x88, 0x03), ACCESS(WR(1, 0, 0x88)) },
	{ "mov %dh, (%ebx)", 32, CODE(0x88, 0x33), ACCESS(WR(1, 0, 0)) },
	{ "mov %ax, (%ebx)", 32, CODE(0x66, 0x89, 0x03), ACCESS(WR(2, 0, 0x7788)) },
	{ "mov %eax, 8(%ebx)", 32, CODE(0x89, 0x43, 8), ACCESS(WR(4, 8, 0x55667788)) },
	{ "mov (%ebx), %ah", 32, CODE(0x8a, 0x23), ACCESS(RD(1, 0, 0x99)),
	  CHANGED(TO(RAX, 0x55669988)) },
	{ "mov (%ebx,%ecx,4), %eax", 32, CODE(0x8b, 0x04, 0x8b), ACCESS(RD(4, 12, 9)),
	  CHANGED(TO(RAX, 9)) },
	{ "mov MMIO, %eax (moffs)", 32, CODE(0xa1, 0, 0, 0, 0x70), ACCESS(RD(4, 0, 9)),
	  CHANGED(TO(RAX, 9)) },
	{ "mov MMIO, %eax (disp32)", 32, CODE(0x8b, 0x05, 0, 0, 0, 0x70), ACCESS(RD(4, 0, 9)),
	  CHANGED(TO(RAX, 9)) },
	{ "mov %ax, MMIO (moffs)", 32, CODE(0x66, 0xa3, 2, 0, 0, 0x70), ACCESS(WR(2, 2, 0x7788)) },
	{ "movl $5, (%ebx)", 32, CODE(0xc7, 0x03, 5, 0, 0, 0), ACCESS(WR(4, 0, 5)) },
	{ "movswl (%ebx), %eax", 32, CODE(0x0f, 0xbf, 0x03), ACCESS(RD(2, 0, 0x9788)),
	  CHANGED(TO(RAX, 0xffff9788)) },
	{ "addr16 mov %gs:(%bx), %eax", 32, CODE(0x65, 0x67, 0x8b, 0x07),
	  ACCESS(RD(4, 0x400, 9)), CHANGED(TO(RAX, 9)) },
	{ "rep stosw", 32, CODE(0xf3, 0x66, 0xab),
	  ACCESS(WR(2, 0x100, 0x7788), WR(2, 0x102, 0x7788), WR(2, 0x104, 0x7788)),
	  CHANGED(TO(RDI, MMIO + 0x106), TO(RCX, 0)) },
	{ "movsl to MMIO", 32, CODE(0xa5), ACCESS(WR(4, 0x100, 0xa3a2a1a0)),
	  CHANGED(TO(RDI, MMIO + 0x104), TO(RSI, RAM + 4)) },

	/* 16-bit code in real mode; DS and ES begin at MMIO, BX is 0x10 */
	{ "mov %al, (%bx)", 16, CODE(0x88, 0x07), ACCESS(WR(1, 0x10, 0x88)) },
	{ "mov %ax, (%bx)", 16, CODE(0x89, 0x07), ACCESS(WR(2, 0x10, 0x7788)) },
	{ "mov %eax, (%bx)", 16, CODE(0x66, 0x89, 0x07), ACCESS(WR(4, 0x10, 0x55667788)) },
	{ "mov 8(%bx), %ax", 16, CODE(0x8b, 0x47, 8), ACCESS(RD(2, 0x18, 0x9988)),
	  CHANGED(TO(RAX, 0x55669988)) },
	{ "mov 0x100(%bx,%di), %ax", 16, CODE(0x8b, 0x81, 0, 1), ACCESS(RD(2, 0x210, 0x9988)),
	  CHANGED(TO(RAX, 0x55669988)) },
	{ "mov (%bx), %al", 16, CODE(0x8a, 0x07), ACCESS(RD(1, 0x10, 0x99)),
	  CHANGED(TO(RAX, 0x55667799)) },
	{ "mov 0x20, %ax", 16, CODE(0xa1, 0x20, 0), ACCESS(RD(2, 0x20, 0x9988)),
	  CHANGED(TO(RAX, 0x55669988)) },
	{ "mov 0x20, %ax (disp16)", 16, CODE(0x8b, 0x06, 0x20, 0), ACCESS(RD(2, 0x20, 0x9988)),
	  CHANGED(TO(RAX, 0x55669988)) },
	{ "mov %al, 0x20", 16, CODE(0xa2, 0x20, 0), ACCESS(WR(1, 0x20, 0x88)) },
	{ "movw $0x1234, (%bx)", 16, CODE(0xc7, 0x07, 0x34, 0x12), ACCESS(WR(2, 0x10, 0x1234)) },
	{ "movl $0x12345678, (%bx)", 16, CODE(0x66, 0xc7, 0x07, 0x78, 0x56, 0x34, 0x12),
	  ACCESS(WR(4, 0x10, 0x12345678)) },
	{ "movzbw (%bx), %ax", 16, CODE(0x0f, 0xb6, 0x07), ACCESS(RD(1, 0x10, 0x99)),
	  CHANGED(TO(RAX, 0x55660099)) },
	{ "addr32 mov (%ebx), %ax", 16, CODE(0x67, 0x8b, 0x03), ACCESS(RD(2, 0x10, 0x9988)),
	  CHANGED(TO(RAX, 0x55669988)) },
	{ "rep stosb", 16, CODE(0xf3, 0xaa),
	  ACCESS(WR(1, 0x100, 0x88), WR(1, 0x101, 0x88), WR(1, 0x102, 0x88)),
	  CHANGED(TO(RDI, 0x103), TO(RCX, 0)) },
	{ "movsw %cs:(%si), %es:(%di)", 16, CODE(0x2e, 0xa5), ACCESS(WR(2, 0x100, 0xa1a0)),
	  CHANGED(TO(RDI, 0x102), TO(RSI, RAM + 2)) },
};

/* Registers before the row's instruction. */
static void set_registers(const struct row *row, struct lodge_gprs *g)
{
	u64 device = row->mode == 16 ? 0x100 : MMIO + 0x100;
	int i;

	g->reg[RAX] = RAX_IN;
	g->reg[RCX] = 3;
	g->reg[RDX] = RDX_IN;
	g->reg[RBX] = row->mode == 16 ? 0x10 : MMIO;
	g->reg[RBP] = RBP_IN;
	g->reg[RSI] = row->from_mmio ? device : RAM;
	g->reg[RDI] = row->from_mmio ? RAM : device;
	g->reg[R8] = R8_IN;
	g->reg[R9] = R9_IN;
	g->reg[12] = MMIO + 0x200;
	g->reg[13] = MMIO + 0x300;
	g->reg[14] = 0x10;
	if (row->mode != 64)
		for (i = 0; i < 16; i++)
			g->reg[i] = i < 8 ? (u32)g->reg[i] : 0;
	if (row->down)
		g->rflags |= RFLAGS_DF;
}

static void set_segments(const struct row *row, struct lodge_sregs *s)
{
	s->seg[LODGE_SEG_GS].base = MMIO + 0x400;
	s->seg[LODGE_SEG_FS].base = MMIO + 0x800;
	if (row->mode == 16) {
		s->seg[LODGE_SEG_DS].base = MMIO;
		s->seg[LODGE_SEG_ES].base = MMIO;
	}
}

/* Puts the row's instruction and an OUT behind it into the guest. */
static struct lodge_gprs start_row(struct vcpu *vcpu, const struct row *row)
{
	const u8 end[] = { 0xe7, END_PORT };
	struct lodge_vcpu_state s = {};
	u8 *ram = vcpu->vm->low + RAM;
	int i;

	for (i = 0; i < 16; i++)
		ram[i] = 0xa0 + i;
	vm_put_code(vcpu->vm, GPA_CODE, row->code, row->len);
	vm_put_code(vcpu->vm, GPA_CODE + row->len, end, sizeof(end));

	vcpu->complete = false;
	if (row->mode == 64)
		vcpu_start_long(vcpu, NULL, 0);
	else if (row->mode == 32)
		vcpu_start_protected(vcpu, GPA_CODE);
	else
		vcpu_start_real(vcpu, 0, GPA_CODE);
	vcpu_get(vcpu, &s, LODGE_STATE_GPRS | LODGE_STATE_SREGS);
	s.gprs.rip = GPA_CODE;
	set_registers(row, &s.gprs);
	set_segments(row, &s.sregs);
	vcpu_set(vcpu, &s, LODGE_STATE_GPRS | LODGE_STATE_SREGS);
	return s.gprs;
}

static void check_access(struct vcpu *vcpu, const struct access *want, const char *name)
{
	bool write = want->kind == 'w';
	u64 gpa = MMIO + (s64)(__s16)want->offset;
	struct lodge_exit *e;

	e = vcpu_run_complete(vcpu, LODGE_EXIT_MMIO, write ? 0 : want->data);
	if (e->mmio.gpa != gpa || e->mmio.width != want->width ||
	    e->mmio.flags != (write ? LODGE_MMIO_WRITE : 0) ||
	    (write && e->mmio.data != want->data))
		vcpu_fail(vcpu, "%s: wanted %s of %u bytes at 0x%llx, data 0x%llx", name,
			  write ? "write" : "read", want->width, gpa, want->data);
}

static void check_registers(struct vcpu *vcpu, const struct row *row,
			    struct lodge_gprs want)
{
	const struct lodge_gprs *seen = &vcpu->run->gprs;
	int i, nr = row->mode == 64 ? 16 : 8;

	for (i = 0; i < 3; i++)
		if (row->changed[i].set)
			want.reg[row->changed[i].reg] = row->changed[i].value;
	for (i = 0; i < nr; i++) {
		u64 v = row->mode == 64 ? seen->reg[i] : (u32)seen->reg[i];

		if (v != want.reg[i])
			vcpu_fail(vcpu, "%s: register %d is 0x%llx, wanted 0x%llx",
				  row->name, i, v, want.reg[i]);
	}
}

/* What a movs from the device must have left in RAM. */
static void check_ram(struct vcpu *vcpu, const struct row *row)
{
	s64 at = RAM;
	u64 v;
	int i;

	if (!row->from_mmio)
		return;
	for (i = 0; i < 3 && row->access[i].kind; i++) {
		v = 0;
		memcpy(&v, vcpu->vm->low + at, row->access[i].width);
		if (v != row->access[i].data)
			vcpu_fail(vcpu, "%s: 0x%llx in RAM, wanted 0x%llx", row->name, v,
				  row->access[i].data);
		at += row->down ? -row->access[i].width : row->access[i].width;
	}
}

static void run_row(struct vcpu *vcpu, const struct row *row)
{
	struct lodge_gprs before = start_row(vcpu, row);
	struct lodge_exit *e;
	int i;

	for (i = 0; i < 3 && row->access[i].kind; i++)
		check_access(vcpu, &row->access[i], row->name);
	e = vcpu_run_until(vcpu, LODGE_EXIT_PIO);
	if (e->pio.port != END_PORT)
		vcpu_fail(vcpu, "%s: did not reach its end", row->name);
	check_registers(vcpu, row, before);
	check_ram(vcpu, row);
}

FIXTURE(mmio)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(mmio)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
	self->vcpu->run->wanted = LODGE_STATE_GPRS;
}

FIXTURE_TEARDOWN(mmio)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static void run_rows(struct vcpu *vcpu, int mode)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].mode == mode)
			run_row(vcpu, &rows[i]);
}

TEST_F(mmio, code64)
{
	run_rows(self->vcpu, 64);
}

TEST_F(mmio, code32)
{
	run_rows(self->vcpu, 32);
}

TEST_F(mmio, code16)
{
	run_rows(self->vcpu, 16);
}

/* REP with RCX 0 touches nothing. */
TEST_F(mmio, rep_zero)
{
	const struct row row = { "rep stosl, 0 times", 64, CODE(0xf3, 0xab) };
	struct lodge_vcpu_state s = {};

	s.gprs = start_row(self->vcpu, &row);
	s.gprs.reg[RCX] = 0;
	vcpu_set(self->vcpu, &s, LODGE_STATE_GPRS);
	vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
	ASSERT_EQ(s.gprs.reg[RDI], self->vcpu->run->gprs.reg[RDI]);
}

static const struct row undecodable[] = {
	{ "add %eax, (%rbx)", 64, CODE(0x01, 0x03) },
	{ "lock orl $0, (%rbx)", 64, CODE(0xf0, 0x83, 0x0b, 0x00) },
	{ "xchg %eax, (%rbx)", 64, CODE(0x87, 0x03) },
	{ "cmp %eax, (%rbx)", 64, CODE(0x39, 0x03) },
	{ "push (%rbx)", 64, CODE(0xff, 0x33) },
	{ "movups (%rbx), %xmm0", 64, CODE(0x0f, 0x10, 0x03) },
	{ "add %eax, (%ebx)", 32, CODE(0x01, 0x03) },
	{ "add %ax, (%bx)", 16, CODE(0x01, 0x07) },
};

/* Never a guess: the program gets the bytes, and may not complete. */
TEST_F(mmio, undecoded)
{
	const struct row *row;
	struct lodge_exit *e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(undecodable); i++) {
		row = &undecodable[i];
		start_row(self->vcpu, row);
		e = vcpu_run_until(self->vcpu, LODGE_EXIT_MMIO);
		TH_LOG("%s", row->name);
		ASSERT_TRUE(e->mmio.flags & LODGE_MMIO_UNDECODED);
		ASSERT_FALSE(e->flags & LODGE_EXIT_F_COMPLETE);
		ASSERT_TRUE(e->flags & LODGE_EXIT_F_BYTES);
		ASSERT_GE(e->insn_bytes, row->len);
		ASSERT_EQ(0, memcmp(e->insn, row->code, row->len));
		ASSERT_EQ(MMIO + (row->mode == 16 ? 0x10 : 0), e->mmio.gpa);
		ASSERT_EQ(GPA_CODE, e->rip);

		self->vcpu->run->complete = LODGE_COMPLETE_DONE;
		ASSERT_EQ(EINVAL, vcpu_run(self->vcpu));
		self->vcpu->run->complete = LODGE_COMPLETE_NONE;
	}
}

/* The program may skip the instruction by itself, too. */
TEST_F(mmio, skip_by_rip)
{
	const struct row row = { "add %eax, (%rbx)", 64, CODE(0x01, 0x03) };

	start_row(self->vcpu, &row);
	vcpu_run_until(self->vcpu, LODGE_EXIT_MMIO);
	self->vcpu->run->gprs.rip += row.len;
	self->vcpu->run->dirty = LODGE_STATE_GPRS;
	vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
}

/* COMPLETE_NONE: the instruction is executed again, and nothing has happened. */
TEST_F(mmio, again)
{
	const struct row row = { "mov (%rbx), %al", 64, CODE(0x8a, 0x03) };
	struct lodge_exit *e;
	u64 seq, i;

	start_row(self->vcpu, &row);
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_MMIO);
	for (i = 0; i < 3; i++) {
		seq = e->seq;
		e = vcpu_run_until(self->vcpu, LODGE_EXIT_MMIO);
		ASSERT_EQ(seq + 1, e->seq);
		ASSERT_EQ(GPA_CODE, e->rip);
		ASSERT_EQ(RAX_IN, self->vcpu->run->gprs.reg[RAX]);
	}
	ASSERT_TRUE(e->flags & LODGE_EXIT_F_INSN);
	ASSERT_EQ(2, e->insn_len);
	ASSERT_EQ(GPA_CODE + 2, e->next_rip);
}

/* Instructions fetched from where no RAM is. */
TEST_F(mmio, fetch)
{
	struct lodge_vcpu_state s = {};
	struct lodge_exit *e;

	vcpu_start_long(self->vcpu, NULL, 0);
	vcpu_get(self->vcpu, &s, LODGE_STATE_GPRS);
	s.gprs.rip = MMIO + 0x123;
	vcpu_set(self->vcpu, &s, LODGE_STATE_GPRS);
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_MMIO);
	ASSERT_TRUE(e->mmio.flags & LODGE_MMIO_FETCH);
	ASSERT_FALSE(e->flags & LODGE_EXIT_F_COMPLETE);
	ASSERT_EQ(MMIO + 0x123, e->rip);
	ASSERT_EQ(MMIO, e->mmio.gpa & ~(PAGE_SIZE - 1));
}

/* COMPLETE_FAULT gives the guest a #GP at the instruction. */
static void refused_access(u64 arg)
{
	u32 v = 0x1234;

	GUEST_EQ(guest_try("movl (%1), %0", : "+a"(v) : "r"(MMIO)), GP_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(v, 0x1234);
	guest_done();
}

TEST_F(mmio, refused)
{
	vcpu_start_long(self->vcpu, refused_access, 0);
	vcpu_run_until(self->vcpu, LODGE_EXIT_MMIO);
	self->vcpu->run->complete = LODGE_COMPLETE_FAULT;
	guest_run_done(self->vcpu);
}

/* ------------------------------------------------- where the instruction comes from */

/*
 * Nothing about an instruction may be remembered from one access to the next.
 * Host memory, guest tables and the memory map change below; each access must be
 * what the guest's memory says at that moment.
 */
#define CODE_A		GPA_TEST
#define CODE_B		(GPA_TEST + 0x200000)
#define REGIONS		(GPA_TEST - 0x1000000)	/* below the code */

static const struct row step_a = { "mov %rax, (%rbx)", 64, CODE(0x48, 0x89, 0x03),
				   ACCESS(WR(8, 0, RAX_IN)) };
static const struct row step_b = { "mov %al, 4(%rbx)", 64, CODE(0x88, 0x43, 0x04),
				   ACCESS(WR(1, 4, 0x88)) };

/* A vCPU at @gva, with registers as all rows have them. */
static void start_at(struct vcpu *vcpu, u64 gva)
{
	struct lodge_vcpu_state s = {};

	vcpu->complete = false;
	vcpu_start_long(vcpu, NULL, 0);
	vcpu_get(vcpu, &s, LODGE_STATE_GPRS | LODGE_STATE_CRS);
	s.gprs.rip = gva;
	set_registers(&step_a, &s.gprs);
	s.gprs.reg[RSI] = s.crs.cr3;
	vcpu_set(vcpu, &s, LODGE_STATE_GPRS);
}

/* Other code under the same RIP, an access later. */
TEST_F(mmio, code_changes)
{
	const struct row *row;
	size_t i;

	start_row(self->vcpu, &step_a);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		row = &rows[i];
		if (row->mode != 64 || row->from_mmio || row->access[0].kind != 'w')
			continue;
		vm_put_code(self->vm, GPA_CODE, row->code, row->len);
		check_access(self->vcpu, &row->access[0], row->name);
		self->vcpu->complete = false;	/* once more, from the same RIP */
		self->vcpu->run->complete = LODGE_COMPLETE_NONE;
	}
}

/* Other memory under the same linear address, after the guest has said so to its TLB. */
TEST_F(mmio, tables_change)
{
	const u8 a[] = { 0x48, 0x89, 0x03, 0x0f, 0x22, 0xde };	/* step_a; mov %rsi, %cr3 */
	u8 *code = vm_ram(self->vm, CODE_A, 2 * PAGE_SIZE);
	u64 gva = 0x140000000ULL;
	int i;

	memcpy(code, a, sizeof(a));
	memcpy(code + sizeof(a), step_a.code, step_a.len);
	memcpy(code + PAGE_SIZE, a, sizeof(a));
	memcpy(code + PAGE_SIZE + sizeof(a), step_b.code, step_b.len);
	vm_gva_map(self->vm, gva, CODE_A, PAGE_SIZE, PTE_P, GVA_4K);
	for (i = 0; i < 2; i++) {
		*vm_gva_pte(self->vm, gva) = CODE_A | PTE_P;
		start_at(self->vcpu, gva);
		check_access(self->vcpu, &step_a.access[0], "before");
		if (i)
			*vm_gva_pte(self->vm, gva) = (CODE_A + PAGE_SIZE) | PTE_P;
		check_access(self->vcpu, i ? &step_b.access[0] : &step_a.access[0], "after");
	}
}

/* The guest changes to page tables that map other code there. */
TEST_F(mmio, cr3_changes)
{
	const u8 a[] = { 0x48, 0x89, 0x03, 0x0f, 0x22, 0xde };
	u64 gva = 0x140000000ULL, root = GPA_TABLES, other = GPA_FREE;
	u8 *code = vm_ram(self->vm, CODE_A, 2 * PAGE_SIZE);
	struct lodge_vcpu_state s = {};
	u64 *table;

	memcpy(code, a, sizeof(a));
	memcpy(code + PAGE_SIZE + sizeof(a), step_b.code, step_b.len);
	vm_gva_map(self->vm, gva, CODE_A, PAGE_SIZE, PTE_P, GVA_4K);
	start_at(self->vcpu, gva);
	vcpu_get(self->vcpu, &s, LODGE_STATE_GPRS | LODGE_STATE_CRS);
	root = s.crs.cr3;

	/* The same, but for a way of its own to the other page. */
	memcpy(self->vm->low + other, self->vm->low + root, PAGE_SIZE);
	table = (u64 *)(self->vm->low + other + PAGE_SIZE);
	memcpy(table, self->vm->low + (*(u64 *)(self->vm->low + root) & ~0xfffULL), PAGE_SIZE);
	*(u64 *)(self->vm->low + other) = (other + PAGE_SIZE) | PTE_P | PTE_W;
	table[5] = (other + 2 * PAGE_SIZE) | PTE_P | PTE_W;
	table = (u64 *)(self->vm->low + other + 2 * PAGE_SIZE);
	table[0] = (other + 3 * PAGE_SIZE) | PTE_P | PTE_W;
	table = (u64 *)(self->vm->low + other + 3 * PAGE_SIZE);
	table[0] = (CODE_A + PAGE_SIZE) | PTE_P;

	s.gprs.reg[RSI] = other;
	vcpu_set(self->vcpu, &s, LODGE_STATE_GPRS);
	check_access(self->vcpu, &step_a.access[0], "before");
	check_access(self->vcpu, &step_b.access[0], "after");
}

/* Regions come and go before and behind the code's, so that its place in the map moves. */
TEST_F(mmio, regions_change)
{
	u8 *code = vm_ram(self->vm, CODE_A, PAGE_SIZE), *other = map_anon(PAGE_SIZE);
	int i;

	memcpy(code, step_a.code, step_a.len);
	memcpy(other, step_b.code, step_b.len);
	start_at(self->vcpu, CODE_A);
	for (i = 0; i < 8; i++) {
		check_access(self->vcpu, &step_a.access[0], "as it was");
		self->vcpu->complete = false;
		vm_ram(self->vm, REGIONS + 2 * i * PAGE_SIZE, PAGE_SIZE);
		vm_ram(self->vm, CODE_B + 2 * i * PAGE_SIZE, PAGE_SIZE);
	}
	for (i = 0; i < 8; i++) {
		check_access(self->vcpu, &step_a.access[0], "one less");
		self->vcpu->complete = false;
		vm_unmap(self->vm, REGIONS + 2 * i * PAGE_SIZE, PAGE_SIZE);
		vm_unmap(self->vm, CODE_B + 2 * i * PAGE_SIZE, PAGE_SIZE);
	}
	check_access(self->vcpu, &step_a.access[0], "as it was");
	self->vcpu->complete = false;
	/* Other memory in the same region. */
	vm_unmap(self->vm, CODE_A, PAGE_SIZE);
	vm_map(self->vm, CODE_A, other, PAGE_SIZE, 0);
	check_access(self->vcpu, &step_b.access[0], "other memory");
}

/* Code in a region that the guest may not write. */
TEST_F(mmio, readonly_code)
{
	u8 *code = vm_ram(self->vm, CODE_A, PAGE_SIZE);

	memcpy(code, step_a.code, step_a.len);
	vm_protect(self->vm, CODE_A, PAGE_SIZE, LODGE_MEM_F_READONLY);
	start_at(self->vcpu, CODE_A);
	check_access(self->vcpu, &step_a.access[0], step_a.name);
}

/* As long as one gets: each of its bytes may be the first of the second page. */
static const struct row long_row = {
	"movq $-0x12345678, 0x100(%rbx,%rcx,8)", 64,
	CODE(0x48, 0xc7, 0x84, 0xcb, 0x00, 0x01, 0x00, 0x00, 0x88, 0xa9, 0xcb, 0xed),
	ACCESS(WR(8, 0x118, 0xffffffffedcba988ULL)),
};

TEST_F(mmio, code_crosses_page)
{
	u8 *first = vm_ram(self->vm, CODE_A, PAGE_SIZE);
	u8 *second = map_anon(PAGE_SIZE);
	u64 gva = 0x140000000ULL;
	int i;

	/* Two regions, and not neighbours in guest-physical memory either. */
	vm_map(self->vm, CODE_B, second, PAGE_SIZE, LODGE_MEM_F_READONLY);
	vm_gva_map(self->vm, gva, CODE_A, PAGE_SIZE, PTE_P, GVA_4K);
	vm_gva_map(self->vm, gva + PAGE_SIZE, CODE_B, PAGE_SIZE, PTE_P, GVA_4K);
	for (i = 0; i <= long_row.len; i++) {
		memset(first, 0xcc, PAGE_SIZE);
		memset(second, 0xcc, PAGE_SIZE);
		memcpy(first + PAGE_SIZE - i, long_row.code, i);
		memcpy(second, long_row.code + i, long_row.len - i);
		start_at(self->vcpu, gva + PAGE_SIZE - i);
		check_access(self->vcpu, &long_row.access[0], long_row.name);
		ASSERT_EQ(long_row.len, self->vcpu->run->exit.insn_len);
		ASSERT_EQ(0, memcmp(self->vcpu->run->exit.insn, long_row.code, long_row.len));
	}
}

/* The last instruction of a page, when there is nothing behind the page. */
TEST_F(mmio, code_ends_page)
{
	u8 *code = vm_ram(self->vm, CODE_A, 2 * PAGE_SIZE);
	u64 at = CODE_A + PAGE_SIZE - step_a.len, gva = 0x140000000ULL;

	memcpy(code + PAGE_SIZE - step_a.len, step_a.code, step_a.len);

	/* Nothing in the guest's tables. */
	vm_gva_map(self->vm, gva, CODE_A, PAGE_SIZE, PTE_P, GVA_4K);
	start_at(self->vcpu, gva + PAGE_SIZE - step_a.len);
	check_access(self->vcpu, &step_a.access[0], "no page");
	/* A page that the guest's code may not be fetched from. */
	vm_gva_map(self->vm, gva + PAGE_SIZE, CODE_A + PAGE_SIZE, PAGE_SIZE, PTE_P | PTE_NX,
		   GVA_4K);
	start_at(self->vcpu, gva + PAGE_SIZE - step_a.len);
	check_access(self->vcpu, &step_a.access[0], "NX page");
	/* No memory of the host's behind the region. */
	require(!munmap(code + PAGE_SIZE, PAGE_SIZE));
	start_at(self->vcpu, at);
	check_access(self->vcpu, &step_a.access[0], "no host page");
	/* No region. */
	vm_unmap(self->vm, CODE_A + PAGE_SIZE, PAGE_SIZE);
	start_at(self->vcpu, at);
	check_access(self->vcpu, &step_a.access[0], "no region");
}

/* -------------------------------------------- a page that the host has to wait for */

static int uffd_missing(void *mem, u64 len)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)mem, len }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	require(!ioctl(fd, UFFDIO_API, &api));
	require(!ioctl(fd, UFFDIO_REGISTER, &reg));
	return fd;
}

/*
 * The instruction's bytes may go on where nobody has yet been, and the host may
 * take its time. The memory map can be changed meanwhile.
 */
TEST_F(mmio, code_is_waited_for)
{
	u8 *code = vm_ram(self->vm, CODE_A, 2 * PAGE_SIZE);
	struct async_run run;
	struct uffdio_zeropage zero = {
		.range = { (uintptr_t)code + PAGE_SIZE, PAGE_SIZE },
	};
	struct pollfd wait = { .events = POLLIN };

	wait.fd = uffd_missing(code + PAGE_SIZE, PAGE_SIZE);
	if (wait.fd < 0)
		SKIP(return, "no userfaultfd");
	memcpy(code + PAGE_SIZE - step_a.len, step_a.code, step_a.len);
	start_at(self->vcpu, CODE_A + PAGE_SIZE - step_a.len);
	async_run(&run, self->vcpu);
	ASSERT_EQ(1, poll(&wait, 1, WAIT_SECONDS * 1000));

	vm_ram(self->vm, CODE_B, PAGE_SIZE);
	vm_unmap(self->vm, CODE_B, PAGE_SIZE);
	ASSERT_FALSE(run.finished);

	require(!ioctl(wait.fd, UFFDIO_ZEROPAGE, &zero));
	ASSERT_EQ(0, async_end(&run));
	ASSERT_EQ(LODGE_EXIT_MMIO, self->vcpu->run->exit.reason);
	ASSERT_EQ(LODGE_MMIO_WRITE, self->vcpu->run->exit.mmio.flags);
	ASSERT_EQ(RAX_IN, self->vcpu->run->exit.mmio.data);
	close(wait.fd);
}

/* Above what any memory map has, up to the last address the CPU can form. */
static void far_access(u64 arg)
{
	mmio_write(0x100000000ULL + arg, 0x77);
	guest_done();
}

TEST_F(mmio, last_address)
{
	u64 gpa = BIT_ULL(device_info()->gpa_bits) - PAGE_SIZE;
	struct lodge_exit *e;

	vm_gva_map(self->vm, 0x100000000ULL, gpa, PAGE_SIZE, PTE_P | PTE_W, GVA_4K);
	vcpu_start_long(self->vcpu, far_access, PAGE_SIZE - 4);
	e = vcpu_run_complete(self->vcpu, LODGE_EXIT_MMIO, 0);
	ASSERT_EQ(gpa + PAGE_SIZE - 4, e->mmio.gpa);
	ASSERT_EQ(4, e->mmio.width);
	ASSERT_EQ(0x77, e->mmio.data);
	guest_run_done(self->vcpu);
}

TEST_HARNESS_MAIN
