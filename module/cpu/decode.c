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
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

/* What a byte begins. Those that are no whole opcode come first. */
enum decode_form {
	FORM_NONE,		/* nothing that is known */
	FORM_PREFIX,		/* legacy prefix: @op is DECODE_* */
	FORM_REX,		/* in 64-bit mode; else an instruction, not known */
	FORM_ESCAPE,		/* the opcode is the next byte, of the second table */
	FORM_LONG_MODRM,	/* FORM_MODRM in 64-bit mode only */
	FORM_MODRM,		/* memory operand in ModRM */
	FORM_MODRM_IMM,		/* the same, reg field 0, then an immediate */
	FORM_MOFFS,		/* absolute address behind the opcode */
	FORM_STRING,		/* rSI, rDI */
};

/* The legacy prefixes: SDM 2A 2.1.1. */
enum decode_prefix {
	DECODE_OPERAND_SIZE,
	DECODE_ADDRESS_SIZE,
	DECODE_LOCK,
	DECODE_REP,		/* F3, or F2 which strings take for the same */
	DECODE_SEGMENT,		/* @width is the segment */
};

/* decode_row.width: by operand size */
#define WIDTH_OPERAND	0

/**
 * struct decode_row - what one byte means
 * @form: what it is, and what follows
 * @op: LODGE_INSN_*; of a prefix DECODE_*
 * @extend: LODGE_EXTEND_*
 * @width: bytes of memory, or WIDTH_OPERAND; the register has as many, unless
 *	@extend: then it is of operand size
 */
struct decode_row {
	u8 form;
	u8 op;
	u8 extend;
	u8 width;
};

#define ROW(form_, op_, width_, ...) \
	{ .form = FORM_##form_, .op = LODGE_INSN_##op_, .width = (width_), ##__VA_ARGS__ }
#define PREFIX(prefix, ...) \
	{ .form = FORM_PREFIX, .op = DECODE_##prefix, ##__VA_ARGS__ }

/* By byte: one-byte opcodes and what may stand before them; opcodes behind 0F. */
static const struct decode_row decode_rows[2][256] = { {
	[0x0f] = { .form = FORM_ESCAPE },
	[0x26] = PREFIX(SEGMENT, .width = SEG_ES),
	[0x2e] = PREFIX(SEGMENT, .width = SEG_CS),
	[0x36] = PREFIX(SEGMENT, .width = SEG_SS),
	[0x3e] = PREFIX(SEGMENT, .width = SEG_DS),
	[0x40 ... 0x4f] = { .form = FORM_REX },
	[0x63] = ROW(LONG_MODRM, LOAD, 4, .extend = LODGE_EXTEND_SIGN),
	[0x64] = PREFIX(SEGMENT, .width = SEG_FS),
	[0x65] = PREFIX(SEGMENT, .width = SEG_GS),
	[0x66] = PREFIX(OPERAND_SIZE),
	[0x67] = PREFIX(ADDRESS_SIZE),
	[0x88] = ROW(MODRM, STORE, 1),
	[0x89] = ROW(MODRM, STORE, WIDTH_OPERAND),
	[0x8a] = ROW(MODRM, LOAD, 1),
	[0x8b] = ROW(MODRM, LOAD, WIDTH_OPERAND),
	[0xa0] = ROW(MOFFS, LOAD, 1),
	[0xa1] = ROW(MOFFS, LOAD, WIDTH_OPERAND),
	[0xa2] = ROW(MOFFS, STORE, 1),
	[0xa3] = ROW(MOFFS, STORE, WIDTH_OPERAND),
	[0xa4] = ROW(STRING, MOVS, 1),
	[0xa5] = ROW(STRING, MOVS, WIDTH_OPERAND),
	[0xaa] = ROW(STRING, STOS, 1),
	[0xab] = ROW(STRING, STOS, WIDTH_OPERAND),
	[0xc6] = ROW(MODRM_IMM, STORE_IMM, 1),
	[0xc7] = ROW(MODRM_IMM, STORE_IMM, WIDTH_OPERAND),
	[0xf0] = PREFIX(LOCK),
	[0xf2] = PREFIX(REP),
	[0xf3] = PREFIX(REP),
}, {
	[0xb6] = ROW(MODRM, LOAD, 1, .extend = LODGE_EXTEND_ZERO),
	[0xb7] = ROW(MODRM, LOAD, 2, .extend = LODGE_EXTEND_ZERO),
	[0xbe] = ROW(MODRM, LOAD, 1, .extend = LODGE_EXTEND_SIGN),
	[0xbf] = ROW(MODRM, LOAD, 2, .extend = LODGE_EXTEND_SIGN),
} };

#define NO_MEMORY	0xff	/* a register */
#define SIB		0x80	/* a SIB byte before it; its base may make it 4 */

/*
 * Bytes of displacement behind ModRM, by address size (16 bits, or more), mod and
 * rm: SDM 2A tables 2-1 and 2-2.
 */
static const u8 displacement[2][4][8] = { {
	{ 0, 0, 0, 0, 0, 0, 2, 0 },
	{ 1, 1, 1, 1, 1, 1, 1, 1 },
	{ 2, 2, 2, 2, 2, 2, 2, 2 },
	{ [0 ... 7] = NO_MEMORY },
}, {
	{ 0, 0, 0, 0, SIB, 4, 0, 0 },
	{ 1, 1, 1, 1, SIB | 1, 1, 1, 1 },
	{ 4, 4, 4, 4, SIB | 4, 4, 4, 4 },
	{ [0 ... 7] = NO_MEMORY },
} };

#define REX_R	0x04
#define REX_W	0x08

/**
 * struct decoder - the instruction being read
 * @bytes: its bytes
 * @nr: how many there are
 * @pos: the next one
 * @mode: 2, 4 or 8, as lodge_decode() has it
 * @seen: prefixes: bits by DECODE_*
 * @rex: the REX prefix, 0 without
 * @seg: the segment of an address
 */
struct decoder {
	const u8 *bytes;
	u32 nr;
	u32 pos;
	u32 mode;
	u32 seen;
	u8 rex;
	u8 seg;
};

static __always_inline bool has_seen(const struct decoder *d, enum decode_prefix prefix)
{
	return d->seen & (1u << prefix);
}

/* There are no more bytes: -EINVAL past the limit, else the caller may have more. */
static __always_inline int too_short(const struct decoder *d)
{
	return d->nr >= LODGE_INSN_MAX ? -EINVAL : -EAGAIN;
}

/* The next byte, or an error of too_short(). */
static __always_inline int next_byte(struct decoder *d)
{
	return d->pos < d->nr ? d->bytes[d->pos++] : too_short(d);
}

static __always_inline int skip_bytes(struct decoder *d, u32 nr)
{
	if (d->nr - d->pos < nr)
		return too_short(d);
	d->pos += nr;
	return 0;
}

/* A little-endian value of @width bytes, 1, 2 or 4, sign-extended. */
static __always_inline int next_value(struct decoder *d, u32 width, u64 *value)
{
	const u8 *p = d->bytes + d->pos;
	int err = skip_bytes(d, width);

	if (err)
		return err;
	if (width == 1)
		*value = (s64)(signed char)p[0];
	else if (width == 2)
		*value = (s64)(short)(p[0] | p[1] << 8);
	else
		*value = (s64)(int)(p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24);
	return 0;
}

/* The row of the next byte in the table of one-byte opcodes, or of those behind 0F. */
static __always_inline int next_row(struct decoder *d, bool escaped, const struct decode_row **row)
{
	int b = next_byte(d);

	if (b >= 0)
		*row = &decode_rows[escaped][b];
	return b;
}

/* 64-bit mode ignores the overrides of ES, CS, SS and DS: an FS or GS before stays. */
static __always_inline void take_prefix(struct decoder *d, const struct decode_row *row)
{
	d->seen |= 1u << row->op;
	if (row->op == DECODE_SEGMENT && (d->mode != 8 || row->width >= SEG_FS))
		d->seg = row->width;
}

/* Prefixes, REX and opcode: 0 and the opcode's row, or an error. */
static __always_inline int take_opcode(struct decoder *d, const struct decode_row **row)
{
	int b;

	while ((b = next_row(d, false, row)) >= 0 && (*row)->form == FORM_PREFIX)
		take_prefix(d, *row);
	if (b < 0 || (*row)->form >= FORM_MODRM)
		return b < 0 ? b : 0;

	/* REX counts only right before the opcode: what follows must be one. */
	if ((*row)->form == FORM_REX && d->mode == 8) {
		d->rex = b;
		b = next_row(d, false, row);
		if (b < 0)
			return b;
	}
	if ((*row)->form == FORM_ESCAPE) {
		b = next_row(d, true, row);
		if (b < 0)
			return b;
	}
	return (*row)->form < (d->mode == 8 ? FORM_LONG_MODRM : FORM_MODRM) ? -EOPNOTSUPP : 0;
}

/* Bytes of an operand: SDM 1 tables 3-3 and 3-4. */
static __always_inline u32 operand_size(const struct decoder *d)
{
	if (d->rex & REX_W)
		return 8;
	return has_seen(d, DECODE_OPERAND_SIZE) == (d->mode == 2) ? 4 : 2;
}

/* Bytes of an address: 16-bit code has 32 bits with the prefix, the others half. */
static __always_inline u32 address_size(const struct decoder *d)
{
	if (!has_seen(d, DECODE_ADDRESS_SIZE))
		return d->mode;
	return d->mode == 2 ? 4 : d->mode / 2;
}

/* SIB and displacement. */
static __always_inline int skip_address(struct decoder *d, u8 modrm, u32 address_size)
{
	u8 disp = displacement[address_size != 2][modrm >> 6][modrm & 7];
	int sib;

	if (disp >= SIB) {
		if (disp == NO_MEMORY)
			return -EOPNOTSUPP;
		sib = next_byte(d);
		if (sib < 0)
			return sib;
		disp -= SIB;
		if (!disp && (sib & 7) == 5)	/* no base: SDM 2A table 2-3 */
			disp = 4;
	}
	return skip_bytes(d, disp);
}

static __always_inline int take_modrm(struct decoder *d, const struct decode_row *row,
				      struct lodge_insn *insn)
{
	int modrm = next_byte(d);
	u8 reg;

	if (modrm < 0)
		return modrm;
	reg = (modrm >> 3) & 7;
	if (row->form == FORM_MODRM_IMM) {
		if (reg)
			return -EOPNOTSUPP;
	} else if (insn->width == 1 && reg >= 4 && !d->rex && !row->extend) {
		/* Without REX, 4 to 7 name AH, CH, DH, BH (SDM 2A 3.1.1.3). */
		insn->high_byte = true;
		insn->reg = reg - 4;
	} else {
		insn->reg = reg | (d->rex & REX_R) << 1;
	}
	return skip_address(d, modrm, insn->addr_width);
}

static __always_inline int take_operands(struct decoder *d, const struct decode_row *row,
					 struct lodge_insn *insn)
{
	int err;

	switch (row->form) {
	case FORM_MODRM_IMM:
		err = take_modrm(d, row, insn);
		if (err)
			return err;
		/* A 64-bit store has a 32-bit immediate, sign-extended. */
		return next_value(d, insn->width == 8 ? 4 : insn->width, &insn->imm);
	case FORM_MOFFS:
		return skip_bytes(d, insn->addr_width);
	case FORM_STRING:
		insn->rep = has_seen(d, DECODE_REP);
		insn->seg = d->seg;
		return 0;
	default:
		return take_modrm(d, row, insn);
	}
}

/* How a LOAD fills its register. */
static __always_inline int take_extension(struct decoder *d, const struct decode_row *row,
					  struct lodge_insn *insn)
{
	insn->reg_width = row->extend ? operand_size(d) : insn->width;
	/* MOVSXD without REX.W moves; MOVZX and MOVSX may name the same width. */
	if (insn->width > insn->reg_width)
		return -EOPNOTSUPP;
	if (insn->width < insn->reg_width)
		insn->extend = row->extend;
	return 0;
}

int lodge_decode(const u8 *bytes, u32 nr, u32 mode, struct lodge_insn *insn)
{
	struct decoder d = { .bytes = bytes, .nr = nr, .mode = mode, .seg = SEG_DS };
	const struct decode_row *row;
	int err;

	err = take_opcode(&d, &row);
	if (err)
		return err;
	if (has_seen(&d, DECODE_LOCK))		/* with any of them it is #UD */
		return -EOPNOTSUPP;

	*insn = (struct lodge_insn) {
		.op = row->op,
		.width = row->width ?: operand_size(&d),
		.addr_width = address_size(&d),
	};
	err = take_operands(&d, row, insn);
	if (!err && row->op == LODGE_INSN_LOAD)
		err = take_extension(&d, row, insn);
	insn->len = d.pos;
	return err;
}
