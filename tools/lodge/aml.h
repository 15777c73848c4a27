/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small writer of AML, the byte code of ACPI's definition blocks (ACPI 6.5,
 * chapter 20): just what the DSDT needs.
 */
#ifndef LODGE_AML_H
#define LODGE_AML_H

#include "types.h"

/**
 * struct aml - where the bytes go
 * @buf: room for them
 * @len: bytes written
 * @max: bytes of room; what does not fit is dropped, and @len says so by
 *	exceeding it
 */
struct aml {
	u8 *buf;
	size_t len;
	size_t max;
};

void aml_byte(struct aml *a, u8 byte);
void aml_bytes(struct aml *a, const void *bytes, size_t len);

/* Objects: an integer, a string, an EISA id such as "PNP0501". */
void aml_integer(struct aml *a, u64 value);
void aml_string(struct aml *a, const char *string);
void aml_eisa_id(struct aml *a, const char *id);

/* Name (@name, ...): the object is written next. Names have four characters. */
void aml_name(struct aml *a, const char *name);

/*
 * What has a length in front: each begin returns a mark for aml_end(), and what
 * is written in between is the content.
 */
size_t aml_begin_scope(struct aml *a, const char *name);
size_t aml_begin_device(struct aml *a, const char *name);
size_t aml_begin_package(struct aml *a, u8 elements);
void aml_end(struct aml *a, size_t mark);

/* A resource template in a buffer, and what may stand in it. */
struct aml_template {
	u8 bytes[64];
	size_t len;
};

void aml_add_ports(struct aml_template *t, u16 start, u8 count);
void aml_add_interrupt(struct aml_template *t, u32 gsi);
void aml_template(struct aml *a, struct aml_template *t);

#endif /* LODGE_AML_H */
