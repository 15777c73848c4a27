// SPDX-License-Identifier: GPL-2.0
/*
 * The ACPI tables by which a guest finds its CPUs and devices (ACPI 6.5, 5.2):
 * RSDP -> XSDT -> FADT -> DSDT, and MADT.
 *
 * The platform is "hardware-reduced": no PM timer, no SCI, no legacy devices;
 * sleep and reset go by the registers of power.c.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "acpi.h"
#include "aml.h"
#include "complain.h"
#include "layout.h"

#define OEM_ID		"LODGE "
#define OEM_TABLE	"LODGEVM "
#define CREATOR		"LODG"

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table[8];
	u32 oem_revision;
	char creator[4];
	u32 creator_revision;
} __packed;

struct acpi_rsdp {
	char signature[8];
	u8 checksum;			/* of the first 20 bytes */
	char oem_id[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 extended_checksum;		/* of all */
	u8 reserved[3];
} __packed;

struct acpi_xsdt {
	struct acpi_header h;
	u64 table[2];
} __packed;

/* Generic address structure. */
struct acpi_address {
	u8 space;
	u8 bit_width;
	u8 bit_offset;
	u8 access;
	u64 address;
} __packed;

#define SPACE_IO		1
#define ACCESS_BYTE		1

struct acpi_fadt {
	struct acpi_header h;
	u32 firmware_ctrl;
	u32 dsdt;
	u8 reserved1;
	u8 profile;
	u8 fixed_hardware1[62];		/* registers of full ACPI hardware: 0 */
	u8 century;			/* index in the RTC */
	u16 boot_arch;
	u8 reserved2;
	u32 flags;
	struct acpi_address reset;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor_revision;
	u64 x_firmware_ctrl;
	u64 x_dsdt;
	u8 fixed_hardware2[96];		/* the same, as generic addresses: 0 */
	struct acpi_address sleep_control;
	struct acpi_address sleep_status;
	char hypervisor[8];
} __packed;

static_assert(offsetof(struct acpi_fadt, century) == 108, "fixed by ACPI");
static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "fixed by ACPI");
static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "fixed by ACPI");
static_assert(sizeof(struct acpi_fadt) == 276, "fixed by ACPI");

#define FADT_REVISION		6
#define FADT_MINOR		5
#define PROFILE_SERVER		4
#define BOOT_NO_VGA		BIT(2)	/* and neither 8042 nor legacy devices */
#define FADT_WBINVD		BIT(0)
#define FADT_PROC_C1		BIT(2)
#define FADT_PWR_BUTTON		BIT(4)	/* not a fixed one */
#define FADT_SLP_BUTTON		BIT(5)	/* not a fixed one */
#define FADT_RESET_REG		BIT(10)
#define FADT_HW_REDUCED		BIT(20)
#define RTC_CENTURY		0x32

struct acpi_madt {
	struct acpi_header h;
	u32 lapic_address;
	u32 flags;			/* 0: no legacy PICs */
} __packed;

struct madt_lapic {
	u8 type;
	u8 length;
	u8 uid;
	u8 apic_id;
	u32 flags;
} __packed;

struct madt_ioapic {
	u8 type;
	u8 length;
	u8 id;
	u8 reserved;
	u32 address;
	u32 gsi_base;
} __packed;

#define MADT_REVISION		5
#define MADT_LAPIC		0
#define MADT_IOAPIC		1
#define LAPIC_ENABLED		1

static u8 checksum(const void *table, size_t len)
{
	const u8 *b = table;
	u8 sum = 0;

	while (len--)
		sum += *b++;
	return -sum;
}

static struct acpi_header header(const char *signature, u8 revision)
{
	struct acpi_header h = { .revision = revision, .oem_revision = 1, .creator_revision = 1 };

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table, OEM_TABLE, sizeof(h.oem_table));
	memcpy(h.creator, CREATOR, sizeof(h.creator));
	return h;
}

/* Begin a table at the next free address, 16-byte aligned: returns its offset. */
static size_t table_begin(struct aml *a, const void *table, size_t len)
{
	size_t start;

	while (a->len % 16)
		aml_byte(a, 0);
	start = a->len;
	aml_bytes(a, table, len);
	return start;
}

/* Its length and checksum are known now: returns its guest-physical address. */
static u64 table_end(struct aml *a, size_t start)
{
	struct acpi_header *h = (struct acpi_header *)(a->buf + start);

	if (a->len <= a->max) {
		h->length = a->len - start;
		h->checksum = 0;
		h->checksum = checksum(h, h->length);
	}
	return ACPI_ADDR + start;
}

/* The processors, by the UIDs that the MADT gives them. */
static void add_processors(struct aml *a, unsigned int cpus)
{
	for (unsigned int i = 0; i < cpus; i++) {
		char name[8];
		size_t device;

		snprintf(name, sizeof(name), "C%03X", i & 0xfff);
		device = aml_begin_device(a, name);
		aml_name(a, "_HID");
		aml_string(a, "ACPI0007");
		aml_name(a, "_UID");
		aml_integer(a, i);
		aml_end(a, device);
	}
}

static void add_serial(struct aml *a)
{
	size_t device = aml_begin_device(a, "COM1");
	struct aml_template resources = { .len = 0 };

	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0501");
	aml_name(a, "_UID");
	aml_integer(a, 0);
	aml_add_ports(&resources, COM1_PORT, COM1_PORTS);
	aml_add_interrupt(&resources, COM1_PIN);
	aml_name(a, "_CRS");
	aml_template(a, &resources);
	aml_end(a, device);
}

static void add_rtc(struct aml *a)
{
	size_t device = aml_begin_device(a, "RTC0");
	struct aml_template resources = { .len = 0 };

	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0B00");
	aml_add_ports(&resources, RTC_PORT, RTC_PORTS);
	aml_name(a, "_CRS");
	aml_template(a, &resources);
	aml_end(a, device);
}

static u64 build_dsdt(struct aml *a, unsigned int cpus)
{
	struct acpi_header h = header("DSDT", 2);
	size_t start = table_begin(a, &h, sizeof(h));
	size_t mark;

	aml_name(a, "\\_S5_");
	mark = aml_begin_package(a, 4);
	aml_integer(a, POWER_S5_TYPE);
	for (int i = 0; i < 3; i++)
		aml_integer(a, 0);
	aml_end(a, mark);

	mark = aml_begin_scope(a, "\\_SB_");
	add_processors(a, cpus);
	add_serial(a);
	add_rtc(a);
	aml_end(a, mark);
	return table_end(a, start);
}

static struct acpi_address power_register(unsigned int offset)
{
	return (struct acpi_address){
		.space = SPACE_IO,
		.bit_width = 8,
		.access = ACCESS_BYTE,
		.address = POWER_PORT + offset,
	};
}

static u64 build_fadt(struct aml *a, u64 dsdt)
{
	struct acpi_fadt fadt = {
		.h = header("FACP", FADT_REVISION),
		.dsdt = dsdt,
		.profile = PROFILE_SERVER,
		.century = RTC_CENTURY,
		.boot_arch = BOOT_NO_VGA,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
			 FADT_RESET_REG | FADT_HW_REDUCED,
		.reset = power_register(POWER_RESET),
		.reset_value = POWER_RESET_VALUE,
		.minor_revision = FADT_MINOR,
		.x_dsdt = dsdt,
		.sleep_control = power_register(POWER_SLEEP_CONTROL),
		.sleep_status = power_register(POWER_SLEEP_STATUS),
		.hypervisor = "LODGE",
	};

	return table_end(a, table_begin(a, &fadt, sizeof(fadt)));
}

static u64 build_madt(struct aml *a, unsigned int cpus)
{
	struct acpi_madt madt = { header("APIC", MADT_REVISION), LAPIC_ADDR, 0 };
	struct madt_ioapic ioapic = { MADT_IOAPIC, sizeof(ioapic), 0, 0, IOAPIC_ADDR, 0 };
	size_t start = table_begin(a, &madt, sizeof(madt));

	for (unsigned int i = 0; i < cpus; i++) {
		struct madt_lapic lapic = { MADT_LAPIC, sizeof(lapic), i, i, LAPIC_ENABLED };

		aml_bytes(a, &lapic, sizeof(lapic));
	}
	aml_bytes(a, &ioapic, sizeof(ioapic));
	return table_end(a, start);
}

static u64 build_rsdp(struct aml *a, u64 xsdt)
{
	struct acpi_rsdp rsdp = {
		.revision = 2,
		.length = sizeof(rsdp),
		.xsdt = xsdt,
	};

	memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
	memcpy(rsdp.oem_id, OEM_ID, sizeof(rsdp.oem_id));
	rsdp.checksum = checksum(&rsdp, offsetof(struct acpi_rsdp, length));
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	return ACPI_ADDR + table_begin(a, &rsdp, sizeof(rsdp));
}

int acpi_build(const struct ram *ram, unsigned int cpus, u64 *rsdp)
{
	struct aml a = { .buf = ram_ptr(ram, ACPI_ADDR, ACPI_MAX), .max = ACPI_MAX };
	struct acpi_xsdt xsdt = { .h = header("XSDT", 1) };

	xsdt.table[0] = build_fadt(&a, build_dsdt(&a, cpus));
	xsdt.table[1] = build_madt(&a, cpus);
	*rsdp = build_rsdp(&a, table_end(&a, table_begin(&a, &xsdt, sizeof(xsdt))));
	if (a.len > a.max)
		return complain("--cpus: the ACPI tables of %u vCPUs do not fit", cpus);
	return 0;
}
