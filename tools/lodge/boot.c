// SPDX-License-Identifier: GPL-2.0
/*
 * Loading a kernel: finds out what kind of file it is; puts initrd and command
 * line where both kinds want them.
 */
#include <linux/elf.h>
#include <string.h>

#include "boot.h"
#include "complain.h"
#include "layout.h"

/* Enough to tell what the file is: the setup header ends before. */
#define HEAD_SIZE	1024

int boot_need_memory(const struct boot *boot, u64 end)
{
	if (end <= boot->ram->low)
		return 0;
	return complain("--mem: %llu MiB is too little, this kernel needs %llu MiB",
			boot->ram->size / MIB, align_up(end, MIB) / MIB);
}

int boot_load_initrd(struct boot *boot, u64 floor, u64 max)
{
	u64 top = max + 1 < boot->ram->low ? max + 1 : boot->ram->low;
	struct file f;
	int err;

	if (!boot->initrd_path)
		return 0;
	if (file_open(&f, "--initrd", boot->initrd_path))
		return -1;

	floor = align_up(floor, PAGE);
	top = align_down(top, PAGE);
	if (top < floor || align_up(f.size, PAGE) > top - floor) {
		file_close(&f);
		return complain("--initrd %s: %llu MiB do not fit behind the kernel, --mem %lluM",
				boot->initrd_path, align_up(f.size, MIB) / MIB,
				boot->ram->size / MIB);
	}
	boot->initrd_size = f.size;
	boot->initrd_addr = align_down(top - f.size, PAGE);
	err = file_load(&f, ram_ptr(boot->ram, boot->initrd_addr, f.size), f.size, 0);
	file_close(&f);
	return err;
}

int boot_load_cmdline(struct boot *boot, u64 max)
{
	size_t len = strlen(boot->append);

	if (max > CMDLINE_MAX - 1)
		max = CMDLINE_MAX - 1;
	if (len > max)
		return complain("--append: %zu characters; this kernel takes %llu", len, max);
	memcpy(ram_ptr(boot->ram, CMDLINE_ADDR, len + 1), boot->append, len + 1);
	return 0;
}

/* For a file that is no x86 kernel: what may it be instead? */
static const char *guess(const u8 *head, size_t len)
{
	if (len >= 2 && head[0] == 0x1f && head[1] == 0x8b)
		return " (it is compressed with gzip)";
	if (len >= 6 && !memcmp(head, "\xfd\x37zXZ", 6))
		return " (it is compressed with xz)";
	if (len >= 4 && !memcmp(head, "\x28\xb5\x2f\xfd", 4))
		return " (it is compressed with zstd)";
	if (len >= 6 && (!memcmp(head, "070701", 6) || !memcmp(head, "070702", 6)))
		return " (it is a cpio archive: an initrd?)";
	if (len >= 0x3c && !memcmp(&head[0x38], "ARM\x64", 4))
		return " (it is a kernel for arm64)";
	return "";
}

static int load_open_kernel(struct boot *boot, struct lodge_vcpu_state *state)
{
	const struct file *f = &boot->kernel;
	size_t len = f->size < HEAD_SIZE ? f->size : HEAD_SIZE;
	u8 head[HEAD_SIZE];

	if (file_read(f, head, len, 0))
		return -1;
	if (len >= SELFMAG && !memcmp(head, ELFMAG, SELFMAG))
		return pvh_load(boot, state);
	if (bzimage_check(head, len))
		return bzimage_load(boot, state);
	return complain("--kernel %s: neither a bzImage nor an ELF kernel%s", f->path,
			guess(head, len));
}

int boot_load(struct boot *boot, struct lodge_vcpu_state *state)
{
	int err;

	if (file_open(&boot->kernel, "--kernel", boot->kernel_path))
		return -1;
	err = load_open_kernel(boot, state);
	file_close(&boot->kernel);
	return err;
}
