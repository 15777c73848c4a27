// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder: from instruction bytes to struct lodge_insn, by one table of the
 * opcodes that decode.h names. It looks at nothing but its arguments and needs
 * nothing but integer types and error numbers, so user space compiles it too.
 *
 * SDM 2A chapter 2 has the format: legacy prefixes, REX, opcode, ModRM, SIB,
 * displacement, immediate.
 */
#include <linux/errno.h>
#include <linux/types.h>

#include "decode.h"

/* Segment numbers as in LODGE_SEG_*: the order in which the CPU counts them. */
#define SEG_DS	3
#define SEG_FS	4

/* Where the memory operand and the immediate are. */
enum decode_form {
	FORM_MODRM,		/* memory operand in ModRM */
	FORM_MODRM_IMM,		/* the same, reg field 0, then an immediate */
	FORM_MOFFS,		/* absolute address behind the opcode */
	FORM_STRING,		/* rSI, rDI */
};

/* decode_row.width: by operand size */
#define WIDTH_OPERAND	0

/**
 * struct decode_row - one opcode
 * @opcode: its last byte
 * @escape: behind 0F
 * @long_only: 64-bit mode only
 * @form: what follows
 * @op: LODGE_INSN_*
 * @extend: LODGE_EXTEND_*
 * @width: bytes of memory, or WIDTH_OPERAND; the register has as many, unless
 *	extended: then it is as wide as operands are
 */
struct decode_row {
	u8 opcode;
	bool escape;
	bool long_only;
	u8 form;
	u8 op;
	u8 extend;
	u8 width;
};

#define ROW(code, form_, op_, width_, ...) \
	{ .opcode = (code), .form = FORM_##form_, .op = LODGE_INSN_##op_, .width = (width_), \
	  ##__VA_ARGS__ }

static const struct decode_row decode_rows[] = {
	ROW(0x88, MODRM, STORE, 1),
	ROW(0x89, MODRM, STORE, WIDTH_OPERAND),
	ROW(0x8a, MODRM, LOAD, 1),
	ROW(0x8b, MODRM, LOAD, WIDTH_OPERAND),
	ROW(0xa0, MOFFS, LOAD, 1),
	ROW(0xa1, MOFFS, LOAD, WIDTH_OPERAND),
	ROW(0xa2, MOFFS, STORE, 1),
	ROW(0xa3, MOFFS, STORE, WIDTH_OPERAND),
	ROW(0xa4, STRING, MOVS, 1),
	ROW(0xa5, STRING, MOVS, WIDTH_OPERAND),
	ROW(0xaa, STRING, STOS, 1),
	ROW(0xab, STRING, STOS, WIDTH_OPERAND),
	ROW(0xc6, MODRM_IMM, STORE_IMM, 1),
	ROW(0xc7, MODRM_IMM, STORE_IMM, WIDTH_OPERAND),
	ROW(0x63, MODRM, LOAD, 4, .extend = LODGE_EXTEND_SIGN, .long_only = true),
	ROW(0xb6, MODRM, LOAD, 1, .extend = LODGE_EXTEND_ZERO, .escape = true),
	ROW(0xb7, MODRM, LOAD, 2, .extend = LODGE_EXTEND_ZERO, .escape = true),
	ROW(0xbe, MODRM, LOAD, 1, .extend = LODGE_EXTEND_SIGN, .escape = true),
	ROW(0xbf, MODRM, LOAD, 2, .extend = LODGE_EXTEND_SIGN, .escape = true),
};

#define REX_R	0x04
#define REX_W	0x08

/**
 * struct decoder - the instruction being read
 * @bytes: its bytes
 * @nr: how many there are
 * @pos: the next one
 * @mode: 2, 4 or 8, as lodge_decode() has it
 * @rex: the REX prefix, 0 without
 * @opsize: bytes of an operand
 * @addr_width: bytes of an address
 * @seg: segment override, or -1
 * @rep: F3, or F2 which strings take for the same
 * @lock: F0
 * @op66: 66
 */
struct decoder {
	const u8 *bytes;
	u32 nr;
	u32 pos;
	u32 mode;
	u8 rex;
	u8 opsize;
	u8 addr_width;
	int seg;
	bool rep;
	bool lock;
	bool op66;
};

/* The next byte, -EAGAIN when the caller has no more, -EINVAL past the limit. */
static int next_byte(struct decoder *d)
{
	if (d->pos >= LODGE_INSN_MAX)
		return -EINVAL;
	if (d->pos >= d->nr)
		return -EAGAIN;
	return d->bytes[d->pos++];
}

/* A little-endian value of @width bytes, sign-extended. */
static int next_value(struct decoder *d, u32 width, u64 *value)
{
	u32 shift = 64 - 8 * width;
	u64 v = 0;
	u32 i;

	for (i = 0; i < width; i++) {
		int b = next_byte(d);

		if (b < 0)
			return b;
		v |= (u64)b << (8 * i);
	}
	*value = (u64)((s64)(v << shift) >> shift);
	return 0;
}

/*
 * One legacy prefix. 64-bit mode ignores the overrides of ES, CS, SS and DS
 * (SDM 2A 2.2.1), earlier FS or GS stay.
 */
static bool take_prefix(struct decoder *d, int b)
{
	int seg;

	switch (b) {
	case 0x66:
		d->op66 = true;
		return true;
	case 0x67:
		/* 16-bit code addresses 32 bits with it, the others half. */
		d->addr_width = d->mode == 2 ? 4 : d->mode / 2;
		return true;
	case 0xf0:
		d->lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		d->rep = true;
		return true;
	}
	if ((b & 0xe7) == 0x26)
		seg = (b >> 3) & 3;		/* 26, 2E, 36, 3E */
	else if ((b & 0xfe) == 0x64)
		seg = SEG_FS + (b & 1);
	else
		return false;
	if (d->mode != 8 || seg >= SEG_FS)
		d->seg = seg;
	return true;
}

/* Prefixes and REX; returns the first byte of the opcode. */
static int take_prefixes(struct decoder *d)
{
	int b;

	do {
		b = next_byte(d);
		if (b < 0)
			return b;
	} while (take_prefix(d, b));

	/* REX counts only right before the opcode; anything else ends it. */
	if (d->mode == 8 && (b & 0xf0) == 0x40) {
		d->rex = b;
		b = next_byte(d);
	}
	if (d->rex & REX_W)
		d->opsize = 8;
	else if (d->op66)
		d->opsize = d->mode == 2 ? 4 : 2;
	else
		d->opsize = d->mode == 2 ? 2 : 4;
	return b;
}

static const struct decode_row *find_row(const struct decoder *d, int opcode, bool escape)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(decode_rows); i++) {
		const struct decode_row *row = &decode_rows[i];

		if (row->opcode == opcode && row->escape == escape &&
		    (!row->long_only || d->mode == 8))
			return row;
	}
	return NULL;
}

/* Bytes of displacement behind ModRM and SIB (SDM 2A tables 2-1 to 2-3). */
static int skip_address(struct decoder *d, u8 modrm)
{
	u8 mod = modrm >> 6;
	u8 rm = modrm & 7;
	u64 disp;
	u32 len;
	int sib;

	if (d->addr_width == 2) {
		len = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
	} else {
		bool no_base = rm == 5;		/* in 64-bit mode: RIP-relative */

		if (rm == 4) {
			sib = next_byte(d);
			if (sib < 0)
				return sib;
			no_base = (sib & 7) == 5;
		}
		len = mod == 1 ? 1 : mod == 2 || no_base ? 4 : 0;
	}
	return len ? next_value(d, len, &disp) : 0;
}

static int take_modrm(struct decoder *d, const struct decode_row *row, struct lodge_insn *insn)
{
	bool byte_reg = insn->width == 1 && !row->extend;
	int modrm = next_byte(d);
	u8 reg;

	if (modrm < 0)
		return modrm;
	if (modrm >> 6 == 3)
		return -EOPNOTSUPP;	/* two registers: no memory */
	reg = (modrm >> 3) & 7;

	if (row->form == FORM_MODRM_IMM) {
		if (reg)
			return -EOPNOTSUPP;
	} else if (byte_reg && !d->rex && reg >= 4) {
		/* Without REX, 4 to 7 name AH, CH, DH, BH (SDM 2A 3.1.1.3). */
		insn->high_byte = true;
		insn->reg = reg - 4;
	} else {
		insn->reg = reg | (d->rex & REX_R ? 8 : 0);
	}
	return skip_address(d, modrm);
}

static int take_operands(struct decoder *d, const struct decode_row *row,
			 struct lodge_insn *insn)
{
	u64 address;
	int err;

	switch (row->form) {
	case FORM_MOFFS:
		return next_value(d, d->addr_width, &address);
	case FORM_STRING:
		insn->rep = d->rep;
		insn->seg = d->seg < 0 ? SEG_DS : d->seg;
		return 0;
	case FORM_MODRM_IMM:
		err = take_modrm(d, row, insn);
		if (err)
			return err;
		/* A 64-bit store has a 32-bit immediate, sign-extended. */
		return next_value(d, insn->width == 8 ? 4 : insn->width, &insn->imm);
	default:
		return take_modrm(d, row, insn);
	}
}

int lodge_decode(const u8 *bytes, u32 nr, u32 mode, struct lodge_insn *insn)
{
	struct decoder d = { .bytes = bytes, .nr = nr, .mode = mode, .addr_width = mode,
			     .seg = -1 };
	struct lodge_insn out = { };
	const struct decode_row *row;
	bool escape = false;
	int b, err;

	b = take_prefixes(&d);
	if (b == 0x0f) {
		escape = true;
		b = next_byte(&d);
	}
	if (b < 0)
		return b;

	row = find_row(&d, b, escape);
	if (!row || d.lock)		/* LOCK with any of them is #UD */
		return -EOPNOTSUPP;

	out.op = row->op;
	out.extend = row->extend;
	out.width = row->width ?: d.opsize;
	out.addr_width = d.addr_width;
	if (row->op == LODGE_INSN_LOAD)
		out.reg_width = row->extend ? d.opsize : out.width;
	err = take_operands(&d, row, &out);
	if (err)
		return err;

	/* MOVSXD without REX.W moves; MOVZX and MOVSX may name the same width. */
	if (row->extend && out.width > out.reg_width)
		return -EOPNOTSUPP;
	if (out.width == out.reg_width)
		out.extend = LODGE_EXTEND_NONE;
	out.len = d.pos;
	*insn = out;
	return 0;
}
