// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder, form by form: what it makes of each, what it refuses, and that
 * it never looks past the bytes it was given.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/lodge.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "../cpu/cpu.h"
#include "../cpu/decode.h"
#include "suites.h"

/**
 * struct decode_case - bytes and what they mean
 * @bytes: the instruction
 * @len: its length
 * @mode: 2, 4 or 8
 * @ret: what lodge_decode() returns
 * @want: when @ret is 0; @want.len is @len
 */
struct decode_case {
	const char *bytes;
	u32 len;
	u32 mode;
	int ret;
	struct lodge_insn want;
};

#define GOOD(mode_, bytes_, ...) \
	{ .bytes = bytes_, .len = sizeof(bytes_) - 1, .mode = (mode_), .want = { __VA_ARGS__ } }
#define BAD(mode_, bytes_, ret_) \
	{ .bytes = bytes_, .len = sizeof(bytes_) - 1, .mode = (mode_), .ret = (ret_) }

/* A register is as wide as memory where nothing else is said. */
#define LOAD(w, r)	.op = LODGE_INSN_LOAD, .width = w, .reg = r
#define STORE(w, r)	.op = LODGE_INSN_STORE, .width = w, .reg = r
#define IMM(w, v)	.op = LODGE_INSN_STORE_IMM, .width = w, .imm = v
#define ZEXT(w, rw, r)	.op = LODGE_INSN_LOAD, .width = w, .reg_width = rw, .reg = r, \
			.extend = LODGE_EXTEND_ZERO
#define SEXT(w, rw, r)	.op = LODGE_INSN_LOAD, .width = w, .reg_width = rw, .reg = r, \
			.extend = LODGE_EXTEND_SIGN
#define MOVS(w, s)	.op = LODGE_INSN_MOVS, .width = w, .seg = LODGE_SEG_##s
#define STOS(w)		.op = LODGE_INSN_STOS, .width = w, .seg = LODGE_SEG_DS
#define A(w)		.addr_width = w
#define HIGH		.high_byte = true
#define REP		.rep = true

static const struct decode_case good_cases[] = {
	/* MOV between register and memory, all operand sizes. */
	GOOD(8, "\x88\x08", STORE(1, LODGE_RCX), A(8)),
	GOOD(8, "\x89\x08", STORE(4, LODGE_RCX), A(8)),
	GOOD(8, "\x66\x89\x08", STORE(2, LODGE_RCX), A(8)),
	GOOD(8, "\x48\x89\x08", STORE(8, LODGE_RCX), A(8)),
	GOOD(8, "\x66\x48\x89\x08", STORE(8, LODGE_RCX), A(8)),
	GOOD(8, "\x8a\x10", LOAD(1, LODGE_RDX), A(8)),
	GOOD(8, "\x8b\x10", LOAD(4, LODGE_RDX), A(8)),
	GOOD(8, "\x44\x8b\x38", LOAD(4, LODGE_R15), A(8)),
	GOOD(8, "\x41\x8b\x38", LOAD(4, LODGE_RDI), A(8)),
	GOOD(4, "\x8b\x10", LOAD(4, LODGE_RDX), A(4)),
	GOOD(4, "\x66\x8b\x10", LOAD(2, LODGE_RDX), A(4)),
	GOOD(2, "\x8b\x10", LOAD(2, LODGE_RDX), A(2)),
	GOOD(2, "\x66\x8b\x10", LOAD(4, LODGE_RDX), A(2)),

	/* 8-bit registers: high bytes without REX, low ones with any REX. */
	GOOD(8, "\x88\x20", STORE(1, LODGE_RAX), HIGH, A(8)),
	GOOD(8, "\x8a\x38", LOAD(1, LODGE_RBX), HIGH, A(8)),
	GOOD(8, "\x40\x88\x20", STORE(1, LODGE_RSP), A(8)),
	GOOD(8, "\x44\x8a\x20", LOAD(1, LODGE_R12), A(8)),
	GOOD(4, "\x8a\x30", LOAD(1, LODGE_RDX), HIGH, A(4)),
	GOOD(8, "\x89\x20", STORE(4, LODGE_RSP), A(8)),

	/* Addresses, 64 and 32 bits: SIB, displacements, RIP-relative. */
	GOOD(8, "\x8b\x40\x10", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x8b\x80\x10\x00\x00\x00", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x8b\x05\x10\x00\x00\x00", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x8b\x04\x24", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x8b\x44\x24\x10", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x8b\x84\x24\x10\x00\x00\x00", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x8b\x04\x25\x00\x00\xe0\xfe", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x8b\x44\x25\x00", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x41\x8b\x05\x10\x00\x00\x00", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x67\x8b\x00", LOAD(4, LODGE_RAX), A(4)),
	GOOD(8, "\x67\x67\x8b\x00", LOAD(4, LODGE_RAX), A(4)),
	GOOD(4, "\x8b\x05\x00\x00\xe0\xfe", LOAD(4, LODGE_RAX), A(4)),

	/* 16-bit addresses. */
	GOOD(2, "\x8b\x06\x34\x12", LOAD(2, LODGE_RAX), A(2)),
	GOOD(2, "\x8b\x46\x12", LOAD(2, LODGE_RAX), A(2)),
	GOOD(2, "\x8b\x86\x34\x12", LOAD(2, LODGE_RAX), A(2)),
	GOOD(2, "\x8b\x04", LOAD(2, LODGE_RAX), A(2)),
	GOOD(4, "\x67\x8b\x06\x34\x12", LOAD(4, LODGE_RAX), A(2)),
	GOOD(2, "\x67\x8b\x04\x24", LOAD(2, LODGE_RAX), A(4)),

	/* Absolute addresses. */
	GOOD(8, "\xa0\x00\x00\xe0\xfe\x00\x00\x00\x00", LOAD(1, LODGE_RAX), A(8)),
	GOOD(8, "\xa1\x00\x00\xe0\xfe\x00\x00\x00\x00", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x48\xa3\x00\x00\xe0\xfe\x00\x00\x00\x00", STORE(8, LODGE_RAX), A(8)),
	GOOD(8, "\x67\xa1\x00\x00\xe0\xfe", LOAD(4, LODGE_RAX), A(4)),
	GOOD(4, "\xa2\x00\x00\xe0\xfe", STORE(1, LODGE_RAX), A(4)),
	GOOD(4, "\xa3\x00\x00\xe0\xfe", STORE(4, LODGE_RAX), A(4)),
	GOOD(2, "\xa1\x34\x12", LOAD(2, LODGE_RAX), A(2)),

	/* Immediates, sign-extended. */
	GOOD(8, "\xc6\x00\x80", IMM(1, -128), A(8)),
	GOOD(8, "\xc7\x00\x78\x56\x34\x12", IMM(4, 0x12345678), A(8)),
	GOOD(8, "\x66\xc7\x00\x34\x12", IMM(2, 0x1234), A(8)),
	GOOD(8, "\x48\xc7\x00\xff\xff\xff\xff", IMM(8, -1), A(8)),
	GOOD(8, "\xc7\x05\x00\x01\x00\x00\x01\x00\x00\x00", IMM(4, 1), A(8)),
	GOOD(2, "\xc7\x06\x34\x12\x78\x56", IMM(2, 0x5678), A(2)),

	/* Extensions. */
	GOOD(8, "\x0f\xb6\x00", ZEXT(1, 4, LODGE_RAX), A(8)),
	GOOD(8, "\x0f\xb7\x08", ZEXT(2, 4, LODGE_RCX), A(8)),
	GOOD(8, "\x48\x0f\xb7\x08", ZEXT(2, 8, LODGE_RCX), A(8)),
	GOOD(8, "\x66\x0f\xb6\x00", ZEXT(1, 2, LODGE_RAX), A(8)),
	GOOD(8, "\x0f\xbe\x20", SEXT(1, 4, LODGE_RSP), A(8)),
	GOOD(8, "\x4c\x0f\xbf\x00", SEXT(2, 8, LODGE_R8), A(8)),
	GOOD(8, "\x48\x63\x00", SEXT(4, 8, LODGE_RAX), A(8)),
	GOOD(8, "\x63\x00", LOAD(4, LODGE_RAX), A(8)),
	GOOD(8, "\x66\x0f\xb7\x00", LOAD(2, LODGE_RAX), A(8)),

	/* Strings. */
	GOOD(8, "\xa4", MOVS(1, DS), A(8)),
	GOOD(8, "\xa5", MOVS(4, DS), A(8)),
	GOOD(8, "\xf3\x48\xa5", MOVS(8, DS), REP, A(8)),
	GOOD(8, "\xf2\xa4", MOVS(1, DS), REP, A(8)),
	GOOD(8, "\x67\xf3\xa4", MOVS(1, DS), REP, A(4)),
	GOOD(2, "\xf3\x66\xa5", MOVS(4, DS), REP, A(2)),
	GOOD(8, "\xaa", STOS(1), A(8)),
	GOOD(8, "\xf3\x48\xab", STOS(8), REP, A(8)),
	GOOD(4, "\x66\xab", STOS(2), A(4)),
	GOOD(4, "\x26\xa4", MOVS(1, ES), A(4)),
	GOOD(4, "\x2e\xa4", MOVS(1, CS), A(4)),
	GOOD(4, "\x36\xa4", MOVS(1, SS), A(4)),
	GOOD(8, "\x64\xa4", MOVS(1, FS), A(8)),
	GOOD(8, "\x65\x2e\xa4", MOVS(1, GS), A(8)),
	GOOD(8, "\x26\xa4", MOVS(1, DS), A(8)),

	/* As long as an instruction may be. */
	GOOD(8, "\x3e\x3e\x3e\x3e\x3e\x3e\x3e\x3e\x3e\x8b\x80\x00\x00\x00\x00",
	     LOAD(4, LODGE_RAX), A(8)),
};

static const struct decode_case bad_cases[] = {
	BAD(8, "\x8b\xc0", -EOPNOTSUPP),		/* register to register */
	BAD(8, "\xf0\x89\x08", -EOPNOTSUPP),		/* LOCK */
	BAD(8, "\xc6\x08\x00", -EOPNOTSUPP),		/* C6 /1 */
	BAD(8, "\xc7\x38\x00\x00\x00\x00", -EOPNOTSUPP),
	BAD(8, "\x66\x63\x00", -EOPNOTSUPP),		/* wider memory than register */
	BAD(4, "\x63\x00", -EOPNOTSUPP),		/* ARPL */
	BAD(8, "\x48\x66\x89\x08", -EOPNOTSUPP),	/* REX not last */
	BAD(4, "\x48\x89\x08", -EOPNOTSUPP),		/* DEC, not REX */
	BAD(8, "\x01\x08", -EOPNOTSUPP),		/* ADD */
	BAD(8, "\x87\x08", -EOPNOTSUPP),		/* XCHG */
	BAD(8, "\xff\x30", -EOPNOTSUPP),		/* PUSH */
	BAD(8, "\xa6", -EOPNOTSUPP),			/* CMPS */
	BAD(8, "\x6c", -EOPNOTSUPP),			/* INS */
	BAD(8, "\x0f\x10\x00", -EOPNOTSUPP),		/* MOVUPS */
	BAD(8, "\x0f\x0f\x00", -EOPNOTSUPP),
	BAD(8, "\xc5\xf8\x10\x00", -EOPNOTSUPP),	/* VEX */
	BAD(8, "\x62\xf1\x7c\x48\x10\x00", -EOPNOTSUPP),	/* EVEX */
	BAD(8, "\x3e\x3e\x3e\x3e\x3e\x3e\x3e\x3e\x3e\x3e\x8b\x80\x00\x00\x00\x00", -EINVAL),
	BAD(8, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", -EINVAL),
	BAD(8, "", -EAGAIN),
};

static u32 limited(u32 len)
{
	return min_t(u32, len, LODGE_INSN_MAX);
}

static void decode_good(struct kunit *test)
{
	size_t i;
	u32 nr;

	for (i = 0; i < ARRAY_SIZE(good_cases); i++) {
		const struct decode_case *c = &good_cases[i];
		struct lodge_insn got, want = c->want;
		u8 bytes[LODGE_INSN_MAX + 1];

		want.len = c->len;
		if (want.op == LODGE_INSN_LOAD && !want.reg_width)
			want.reg_width = want.width;
		memset(bytes, 0xcc, sizeof(bytes));
		memcpy(bytes, c->bytes, c->len);
		memset(&got, 0xaa, sizeof(got));
		KUNIT_EXPECT_EQ_MSG(test, lodge_decode(bytes, LODGE_INSN_MAX, c->mode, &got), 0,
				    "%*ph", (int)c->len, c->bytes);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(&got, &want, sizeof(got)), 0,
				    "%*ph gave op %u ext %u len %u width %u/%u reg %u%s addr %u seg %u imm %llx",
				    (int)c->len, c->bytes, got.op, got.extend, got.len, got.width,
				    got.reg_width, got.reg, got.high_byte ? "h" : "",
				    got.addr_width, got.seg, got.imm);
		/* One byte less is never enough, and never taken for something else. */
		for (nr = 0; nr < c->len; nr++)
			KUNIT_EXPECT_EQ_MSG(test, lodge_decode(bytes, nr, c->mode, &got), -EAGAIN,
					    "%*ph", (int)nr, c->bytes);
	}
}

static void decode_bad(struct kunit *test)
{
	struct lodge_insn insn;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_cases); i++) {
		const struct decode_case *c = &bad_cases[i];

		KUNIT_EXPECT_EQ_MSG(test, lodge_decode((const u8 *)c->bytes, limited(c->len),
						       c->mode, &insn), c->ret,
				    "%*ph", (int)c->len, c->bytes);
	}
}

/* Opcodes that are known, by byte; behind 0F in the second row. */
static bool is_known(bool escape, u32 opcode, u32 mode)
{
	switch (opcode | (escape ? 0x100 : 0)) {
	case 0x63:
		return mode == 8;
	case 0x88 ... 0x8b:
	case 0xa0 ... 0xa5:
	case 0xaa ... 0xab:
	case 0xc6 ... 0xc7:
	case 0x1b6 ... 0x1b7:
	case 0x1be ... 0x1bf:
		return true;
	default:
		return false;
	}
}

static bool is_prefix(u32 byte, u32 mode)
{
	static const u8 legacy[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67,
				     0xf0, 0xf2, 0xf3 };

	return memchr(legacy, byte, sizeof(legacy)) || (mode == 8 && byte >> 4 == 4);
}

/* Each byte there is, as an opcode and behind 0F: no row too many in the table. */
static void decode_every_opcode(struct kunit *test)
{
	static const u32 modes[] = { 2, 4, 8 };
	u8 bytes[LODGE_INSN_MAX] = { };
	struct lodge_insn insn;
	u32 i, byte;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		u32 mode = modes[i];

		for (byte = 0; byte < 256; byte++) {
			bytes[0] = byte;
			bytes[1] = 0;
			/* A prefix makes it 00: ADD. */
			KUNIT_EXPECT_EQ_MSG(test, lodge_decode(bytes, sizeof(bytes), mode, &insn),
					    is_known(false, byte, mode) ? 0 : -EOPNOTSUPP,
					    "%02x, mode %u", byte, mode);
			bytes[1] = 0xaa;
			if (is_prefix(byte, mode))
				KUNIT_EXPECT_EQ_MSG(test, lodge_decode(bytes, sizeof(bytes), mode,
								       &insn),
						    byte == 0xf0 ? -EOPNOTSUPP : 0,
						    "%02x aa, mode %u", byte, mode);
			bytes[0] = 0x0f;
			bytes[1] = byte;
			KUNIT_EXPECT_EQ_MSG(test, lodge_decode(bytes, sizeof(bytes), mode, &insn),
					    is_known(true, byte, mode) ? 0 : -EOPNOTSUPP,
					    "0f %02x, mode %u", byte, mode);
		}
	}
}

/*
 * Random bytes at the end of a vmalloc page: one read too far is a fault. An
 * answer must not depend on what follows the instruction either.
 */
static void decode_random(struct kunit *test)
{
	static const u8 likely[] = {
		0x66, 0x67, 0xf3, 0x48, 0x44, 0x0f, 0x88, 0x89, 0x8a, 0x8b, 0xa1, 0xa5, 0xab,
		0xb6, 0xbf, 0xc6, 0xc7, 0x63, 0x04, 0x05, 0x84,
	};
	static const u32 modes[] = { 2, 4, 8 };
	u8 *page = vmalloc(PAGE_SIZE);
	u64 seed = 0x10d6e;
	u32 round, i, decoded = 0;

	KUNIT_ASSERT_NOT_NULL(test, page);
	for (round = 0; round < 6000; round++) {
		u32 nr = round % (LODGE_INSN_MAX + 1);
		u8 *bytes = page + PAGE_SIZE - nr;
		struct lodge_insn a, b;
		u8 copy[LODGE_INSN_MAX];
		int ret;

		for (i = 0; i < nr; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			bytes[i] = seed >> 56;
			if ((seed >> 40) & 1)
				bytes[i] = likely[(seed >> 32 & 0xff) % ARRAY_SIZE(likely)];
		}
		ret = lodge_decode(bytes, nr, modes[round % 3], &a);
		if (ret)
			continue;
		decoded++;
		KUNIT_EXPECT_LE(test, (u32)a.len, nr);
		KUNIT_EXPECT_TRUE(test, a.width == 1 || a.width == 2 || a.width == 4 ||
				  a.width == 8);
		KUNIT_EXPECT_LT(test, a.reg, 16);
		memset(copy, 0x5a, sizeof(copy));
		memcpy(copy, bytes, a.len);
		KUNIT_EXPECT_EQ(test, lodge_decode(copy, sizeof(copy), modes[round % 3], &b), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&a, &b, sizeof(a)), 0);
	}
	KUNIT_EXPECT_GT(test, decoded, 500u);
	vfree(page);
}

static struct kunit_case decode_test_cases[] = {
	KUNIT_CASE(decode_good),
	KUNIT_CASE(decode_bad),
	KUNIT_CASE(decode_every_opcode),
	KUNIT_CASE(decode_random),
	{ }
};

struct kunit_suite lodge_decode_suite = {
	.name = "lodge_decode",
	.test_cases = decode_test_cases,
};
