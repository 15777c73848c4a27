// SPDX-License-Identifier: GPL-2.0
/*
 * Loading a bzImage by the 64-bit boot protocol: Linux
 * Documentation/arch/x86/boot.rst.
 *
 * The file is a real-mode part (setup_sects sectors and the boot sector), which
 * is not used save for its header, then the protected-mode part, loaded whole;
 * its 64-bit entry lies 0x200 bytes behind its start.
 */
#include <asm/bootparam.h>
#include <string.h>

#include "boot.h"
#include "complain.h"
#include "entry.h"
#include "layout.h"

#define HEADER_OFFSET	offsetof(struct boot_params, hdr)
#define HEADER_MAGIC	0x53726448	/* "HdrS" */
#define BOOT_FLAG	0xaa55
#define OLDEST_PROTOCOL	0x020c		/* first with xloadflags; Linux 3.8 */
#define LOADED_HIGH_BIT	BIT(0)	/* loadflags: a bzImage, not a zImage */
#define LOADER_UNKNOWN	0xff		/* type_of_loader: has no number of its own */
#define SECTOR		512
#define ENTRY_64	0x200

bool bzimage_check(const u8 *head, size_t len)
{
	struct setup_header h;

	if (len < HEADER_OFFSET + sizeof(h))
		return false;
	memcpy(&h, head + HEADER_OFFSET, sizeof(h));
	return h.boot_flag == BOOT_FLAG && h.header == HEADER_MAGIC;
}

/* The header ends where the jump over it goes; newer kernels have a longer one. */
static int read_header(const struct file *f, struct setup_header *h)
{
	u8 raw[sizeof(*h)];
	u64 len;

	if (file_read(f, raw, sizeof(raw), HEADER_OFFSET))
		return -1;
	len = 0x202 + (((struct setup_header *)raw)->jump >> 8) - HEADER_OFFSET;
	if (len > sizeof(*h))
		len = sizeof(*h);
	memset(h, 0, sizeof(*h));
	memcpy(h, raw, len);
	if (!h->setup_sects)
		h->setup_sects = 4;	/* by the protocol */
	return 0;
}

static int check_header(const struct file *f, const struct setup_header *h)
{
	u64 want = (h->setup_sects + 1ULL) * SECTOR + h->syssize * 16ULL;

	if (h->version < OLDEST_PROTOCOL)
		return complain("--kernel %s: boot protocol %u.%02u is too old (before Linux 3.8)",
				f->path, h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH_BIT))
		return complain("--kernel %s: a zImage; only a bzImage can be booted", f->path);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return complain("--kernel %s: a 32-bit kernel; only 64-bit ones can be booted",
				f->path);
	/* The size is given in units of 16 bytes, rounded up. */
	if (f->size + 15 < want)
		return complain("--kernel %s: truncated: it has %llu bytes, and says %llu",
				f->path, f->size, want);
	return 0;
}

/* The zero page: what the kernel is told. The memory comes zeroed. */
static void fill_boot_params(const struct boot *boot, const struct setup_header *h)
{
	struct boot_params *bp = ram_ptr(boot->ram, ZERO_PAGE_ADDR, sizeof(*bp));
	struct boot_e820_entry e820[RAM_MAX_E820];

	memset(bp, 0, sizeof(*bp));
	bp->hdr = *h;
	bp->hdr.type_of_loader = LOADER_UNKNOWN;
	bp->hdr.code32_start = h->pref_address;
	bp->hdr.cmd_line_ptr = CMDLINE_ADDR;
	bp->hdr.ramdisk_image = boot->initrd_addr;
	bp->hdr.ramdisk_size = boot->initrd_size;
	bp->acpi_rsdp_addr = boot->rsdp;
	bp->e820_entries = ram_e820(boot->ram, e820);
	memcpy(bp->e820_table, e820, bp->e820_entries * sizeof(e820[0]));
}

/*
 * Relocatable or not, the kernel goes to the address it prefers: one that can be
 * loaded elsewhere moves there by itself unless it lies higher.
 */
int bzimage_load(struct boot *boot, struct lodge_vcpu_state *state)
{
	const struct file *f = &boot->kernel;
	struct setup_header h;
	u64 start, len, room;

	if (read_header(f, &h) || check_header(f, &h))
		return -1;

	start = (h.setup_sects + 1ULL) * SECTOR;
	len = f->size - start;
	if (len > h.syssize * 16ULL)
		len = h.syssize * 16ULL;
	room = h.init_size > len ? h.init_size : len;
	if (h.pref_address < MIB || h.pref_address > HOLE_START)
		return complain("--kernel %s: wants to be loaded at %#llx, which cannot be",
				f->path, h.pref_address);
	if (boot_need_memory(boot, h.pref_address + room) ||
	    boot_load_cmdline(boot, h.cmdline_size) ||
	    boot_load_initrd(boot, h.pref_address + room, h.initrd_addr_max) ||
	    file_load(f, ram_ptr(boot->ram, h.pref_address, len), len, start))
		return -1;

	fill_boot_params(boot, &h);
	entry_long_mode(state, boot->ram, h.pref_address + ENTRY_64, ZERO_PAGE_ADDR);
	return 0;
}
