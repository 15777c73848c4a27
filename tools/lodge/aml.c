// SPDX-License-Identifier: GPL-2.0
/*
 * A small writer of AML, the byte code of ACPI's definition blocks: just what the
 * DSDT needs.
 */
#include <stdlib.h>
#include <string.h>

#include "aml.h"

/* ACPI 6.5, 20.2 */
#define OP_ZERO		0x00
#define OP_ONE		0x01
#define OP_NAME		0x08
#define OP_BYTE		0x0a
#define OP_WORD		0x0b
#define OP_DWORD	0x0c
#define OP_STRING	0x0d
#define OP_QWORD	0x0e
#define OP_SCOPE	0x10
#define OP_BUFFER	0x11
#define OP_PACKAGE	0x12
#define OP_EXT		0x5b
#define OP_EXT_DEVICE	0x82

/* ACPI 6.5, 6.4 */
#define RES_IO			0x47
#define RES_IO_DECODE16		0x01
#define RES_INTERRUPT		0x89
#define RES_INTERRUPT_LEN	6
#define RES_CONSUMER		BIT(0)
#define RES_EDGE		BIT(1)
#define RES_END			0x79

void aml_byte(struct aml *a, u8 byte)
{
	if (a->len < a->max)
		a->buf[a->len] = byte;
	a->len++;
}

void aml_bytes(struct aml *a, const void *bytes, size_t len)
{
	const u8 *b = bytes;

	while (len--)
		aml_byte(a, *b++);
}

void aml_integer(struct aml *a, u64 value)
{
	if (value == 0) {
		aml_byte(a, OP_ZERO);
	} else if (value == 1) {
		aml_byte(a, OP_ONE);
	} else if (value <= 0xff) {
		aml_byte(a, OP_BYTE);
		aml_bytes(a, &value, 1);
	} else if (value <= 0xffff) {
		aml_byte(a, OP_WORD);
		aml_bytes(a, &value, 2);
	} else if (value <= 0xffffffff) {
		aml_byte(a, OP_DWORD);
		aml_bytes(a, &value, 4);
	} else {
		aml_byte(a, OP_QWORD);
		aml_bytes(a, &value, 8);
	}
}

void aml_string(struct aml *a, const char *string)
{
	aml_byte(a, OP_STRING);
	aml_bytes(a, string, strlen(string) + 1);
}

/* Three letters of five bits, four hexadecimal digits, highest byte first. */
void aml_eisa_id(struct aml *a, const char *id)
{
	u32 value = strtoul(id + 3, NULL, 16);

	for (int i = 0; i < 3; i++)
		value |= (id[i] & 0x1fU) << (26 - 5 * i);
	aml_integer(a, __builtin_bswap32(value));
}

void aml_name(struct aml *a, const char *name)
{
	aml_byte(a, OP_NAME);
	aml_bytes(a, name, strlen(name));
}

/* One byte is kept for the length; aml_end() makes room for a longer one. */
static size_t aml_begin(struct aml *a)
{
	aml_byte(a, 0);
	return a->len - 1;
}

size_t aml_begin_scope(struct aml *a, const char *name)
{
	size_t mark;

	aml_byte(a, OP_SCOPE);
	mark = aml_begin(a);
	aml_bytes(a, name, strlen(name));
	return mark;
}

size_t aml_begin_device(struct aml *a, const char *name)
{
	size_t mark;

	aml_byte(a, OP_EXT);
	aml_byte(a, OP_EXT_DEVICE);
	mark = aml_begin(a);
	aml_bytes(a, name, strlen(name));
	return mark;
}

size_t aml_begin_package(struct aml *a, u8 elements)
{
	size_t mark;

	aml_byte(a, OP_PACKAGE);
	mark = aml_begin(a);
	aml_byte(a, elements);
	return mark;
}

/*
 * PkgLength counts its own bytes too. One byte holds up to 63; of two or three,
 * the first has the number of further bytes in 7:6 and the lowest four bits.
 */
void aml_end(struct aml *a, size_t mark)
{
	size_t len = a->len - mark;
	unsigned int more = len < 0x40 ? 0 : len + 1 < 0x1000 ? 1 : 2;

	for (unsigned int i = 0; i < more; i++)
		aml_byte(a, 0);
	len += more;
	if (a->len > a->max)
		return;
	memmove(&a->buf[mark + 1 + more], &a->buf[mark + 1], len - 1 - more);
	if (!more) {
		a->buf[mark] = len;
		return;
	}
	a->buf[mark] = more << 6 | (len & 0xf);
	for (unsigned int i = 1; i <= more; i++)
		a->buf[mark + i] = len >> (8 * i - 4);
}

static void template_bytes(struct aml_template *t, const void *bytes, size_t len)
{
	if (t->len + len <= sizeof(t->bytes))
		memcpy(&t->bytes[t->len], bytes, len);
	t->len += len;
}

void aml_add_ports(struct aml_template *t, u16 start, u8 count)
{
	const u8 io[] = {
		RES_IO, RES_IO_DECODE16,
		start & 0xff, start >> 8,	/* lowest base */
		start & 0xff, start >> 8,	/* highest base */
		1, count,			/* alignment, length */
	};

	template_bytes(t, io, sizeof(io));
}

/* Edge triggered, active high, not shared: no exit is needed for its EOI. */
void aml_add_interrupt(struct aml_template *t, u32 gsi)
{
	const u8 interrupt[] = {
		RES_INTERRUPT, RES_INTERRUPT_LEN, 0,
		RES_CONSUMER | RES_EDGE,
		1,				/* one number follows */
		gsi & 0xff, gsi >> 8 & 0xff, gsi >> 16 & 0xff, gsi >> 24,
	};

	template_bytes(t, interrupt, sizeof(interrupt));
}

void aml_template(struct aml *a, struct aml_template *t)
{
	const u8 end[] = { RES_END, 0 };	/* 0: no checksum */
	size_t mark;

	template_bytes(t, end, sizeof(end));
	if (t->len > sizeof(t->bytes)) {
		a->len = a->max + 1;		/* too long: said as for the rest */
		return;
	}
	aml_byte(a, OP_BUFFER);
	mark = aml_begin(a);
	aml_integer(a, t->len);
	aml_bytes(a, t->bytes, t->len);
	aml_end(a, mark);
}
