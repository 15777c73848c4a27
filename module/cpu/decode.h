/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decoder of instructions that touch memory which is not RAM. A pure
 * function from bytes and mode to a description; it knows no vCPU, so that
 * KUnit and user space can run it.
 *
 * It knows MOV (88-8B, A0-A3, C6 /0, C7 /0), MOVZX and MOVSX (0F B6, B7, BE,
 * BF), MOVSXD (63), MOVS (A4, A5) and STOS (AA, AB). Anything else is refused,
 * never guessed.
 */
#ifndef LODGE_DECODE_H
#define LODGE_DECODE_H

#include <linux/types.h>

#ifndef __KERNEL__
#include <stdbool.h>
#include <stddef.h>
#include <sys/cdefs.h>	/* __always_inline */

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
#endif

#define LODGE_INSN_MAX	15
#define LODGE_INSN_ROOM	16	/* the same in whole words, as lodge_exit.insn has it */

enum lodge_insn_op {
	LODGE_INSN_LOAD,	/* register <- memory, extended as @extend says */
	LODGE_INSN_STORE,	/* memory <- register */
	LODGE_INSN_STORE_IMM,	/* memory <- immediate */
	LODGE_INSN_MOVS,	/* [ES:rDI] <- [seg:rSI]; the decoder's answer */
	LODGE_INSN_STOS,	/* [ES:rDI] <- rAX */
	LODGE_INSN_MOVS_LOAD,	/* a MOVS of which the source is not RAM: see mmio.c */
	LODGE_INSN_MOVS_STORE,	/* a MOVS of which the destination is not RAM */
};

enum lodge_insn_extend {
	LODGE_EXTEND_NONE,	/* partial write; a 32-bit one clears 63:32 */
	LODGE_EXTEND_ZERO,
	LODGE_EXTEND_SIGN,
};

/**
 * struct lodge_insn - a decoded instruction
 * @op: what it does
 * @extend: LOAD: how the value fills the register
 * @len: bytes
 * @width: bytes of the memory access: 1, 2, 4, 8
 * @reg_width: LOAD: bytes of the destination register
 * @reg: register number, 0 to 15
 * @high_byte: @reg is AH, CH, DH, BH: bits 15:8 of register @reg (0 to 3)
 * @addr_width: bytes of an address: 2, 4, 8 (MOVS, STOS: the part of rSI, rDI,
 *	rCX that counts)
 * @rep: MOVS, STOS: with REP
 * @seg: MOVS: LODGE_SEG_* of the source
 * @imm: STORE_IMM: the value, sign-extended to 64 bits
 *
 * The memory operand's address is not computed: a fault gives it.
 */
struct lodge_insn {
	u8 op;
	u8 extend;
	u8 len;
	u8 width;
	u8 reg_width;
	u8 reg;
	bool high_byte;
	u8 addr_width;
	bool rep;
	u8 seg;
	u64 imm;
};

/**
 * lodge_decode() - decode one instruction
 * @bytes: instruction bytes
 * @nr: how many there are, at most LODGE_INSN_MAX
 * @mode: bytes of the default operand size in this code segment: 2, 4, or 8
 *	for 64-bit mode
 * @insn: filled when 0 is returned; else anything may be in it
 *
 * Return: 0; -EAGAIN when @nr bytes are too few; -EOPNOTSUPP for an
 * instruction that is not known; -EINVAL for one longer than 15 bytes.
 */
int lodge_decode(const u8 *bytes, u32 nr, u32 mode, struct lodge_insn *insn);

#endif
