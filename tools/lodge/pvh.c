// SPDX-License-Identifier: GPL-2.0
/*
 * Loading an ELF kernel (vmlinux) by the PVH boot protocol: Xen
 * docs/misc/pvh.pandoc. A note in the file gives the 32-bit entry point, a
 * structure in memory tells the kernel about the machine.
 */
#include <assert.h>
#include <linux/elf.h>
#include <stdlib.h>
#include <string.h>

#include "boot.h"
#include "complain.h"
#include "entry.h"
#include "layout.h"

#define XEN_ELFNOTE_PHYS32_ENTRY	18
#define MAX_HEADERS			64
#define MAX_NOTES			(64 * KIB)

/* Linux's COMMAND_LINE_SIZE on x86, without the NUL. */
#define PVH_CMDLINE_MAX			2047

/* The memory behind the kernel is mapped up to here when the initrd is needed. */
#define PVH_INITRD_MAX			0x7fffffff

#define START_MAGIC			0x336ec578
#define START_VERSION			1

/* The structures at START_INFO_ADDR, in the protocol's own order. */
struct start_info {
	u32 magic;
	u32 version;
	u32 flags;
	u32 nr_modules;
	u64 modlist_paddr;
	u64 cmdline_paddr;
	u64 rsdp_paddr;
	u64 memmap_paddr;
	u32 memmap_entries;
	u32 reserved;
};

struct module_entry {
	u64 paddr;
	u64 size;
	u64 cmdline_paddr;
	u64 reserved;
};

struct memmap_entry {
	u64 addr;
	u64 size;
	u32 type;
	u32 reserved;
};

struct start_page {
	struct start_info info;
	struct module_entry initrd;
	struct memmap_entry memmap[RAM_MAX_E820];
};

static_assert(sizeof(struct start_info) == 56, "fixed by the protocol");
static_assert(sizeof(struct memmap_entry) == 24, "fixed by the protocol");

/**
 * struct elf - what is known of the kernel file
 * @nr: program headers
 * @ph: the headers
 * @end: first address behind everything loaded
 */
struct elf {
	unsigned int nr;
	struct elf64_phdr ph[MAX_HEADERS];
	u64 end;
};

static int read_headers(const struct file *f, struct elf *elf)
{
	struct elf64_hdr eh;

	if (f->size < sizeof(eh))
		return complain("--kernel %s: truncated in the ELF header", f->path);
	if (file_read(f, &eh, sizeof(eh), 0))
		return -1;
	if (eh.e_ident[EI_CLASS] != ELFCLASS64)
		return complain("--kernel %s: a 32-bit ELF file; only 64-bit kernels can be booted",
				f->path);
	if (eh.e_machine != EM_X86_64 || eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return complain("--kernel %s: an ELF file for another kind of CPU", f->path);
	if (eh.e_phentsize != sizeof(struct elf64_phdr) || !eh.e_phnum || eh.e_phnum > MAX_HEADERS)
		return complain("--kernel %s: its ELF program headers are not a kernel's",
				f->path);
	if (eh.e_phoff > f->size || f->size - eh.e_phoff < eh.e_phnum * sizeof(struct elf64_phdr))
		return complain("--kernel %s: truncated in the ELF program headers", f->path);
	elf->nr = eh.e_phnum;
	return file_read(f, elf->ph, elf->nr * sizeof(struct elf64_phdr), eh.e_phoff);
}

static int check_headers(const struct boot *boot, struct elf *elf)
{
	const struct file *f = &boot->kernel;

	for (unsigned int i = 0; i < elf->nr; i++) {
		const struct elf64_phdr *ph = &elf->ph[i];

		if (ph->p_type != PT_LOAD && ph->p_type != PT_NOTE)
			continue;
		if (ph->p_offset > f->size || ph->p_filesz > f->size - ph->p_offset)
			return complain("--kernel %s: truncated: a segment lies behind its end",
					f->path);
		if (ph->p_type != PT_LOAD)
			continue;
		if (ph->p_paddr < MIB || ph->p_paddr > HOLE_START ||
		    ph->p_memsz > HOLE_START || ph->p_filesz > ph->p_memsz)
			return complain("--kernel %s: no kernel: a segment's load address is %#llx",
					f->path, (u64)ph->p_paddr);
		if (ph->p_paddr + ph->p_memsz > elf->end)
			elf->end = ph->p_paddr + ph->p_memsz;
	}
	if (!elf->end)
		return complain("--kernel %s: an ELF file with nothing to load", f->path);
	return boot_need_memory(boot, elf->end);
}

/* Is this the entry note? Then @entry is set. The caller has checked the sizes. */
static bool entry_note(const struct elf64_note *nh, const u8 *name, const u8 *desc, u64 *entry)
{
	if (nh->n_type != XEN_ELFNOTE_PHYS32_ENTRY || nh->n_namesz != 4 || memcmp(name, "Xen", 4))
		return false;
	if (nh->n_descsz != 4 && nh->n_descsz != 8)
		return false;
	*entry = 0;
	memcpy(entry, desc, nh->n_descsz);
	return true;
}

static bool search_notes(const u8 *notes, u64 len, u64 *entry)
{
	struct elf64_note nh;

	while (len >= sizeof(nh)) {
		u64 name, desc;

		memcpy(&nh, notes, sizeof(nh));
		name = align_up((u64)nh.n_namesz, 4);
		desc = align_up((u64)nh.n_descsz, 4);
		if (len - sizeof(nh) < name + desc)
			return false;
		if (entry_note(&nh, notes + sizeof(nh), notes + sizeof(nh) + name, entry))
			return true;
		notes += sizeof(nh) + name + desc;
		len -= sizeof(nh) + name + desc;
	}
	return false;
}

static int find_entry(const struct file *f, const struct elf *elf, u64 *entry)
{
	bool found = false;
	u8 *notes;

	notes = malloc(MAX_NOTES);
	if (!notes)
		return complain("out of memory");
	for (unsigned int i = 0; i < elf->nr && !found; i++) {
		const struct elf64_phdr *ph = &elf->ph[i];
		u64 len = ph->p_filesz < MAX_NOTES ? ph->p_filesz : MAX_NOTES;

		if (ph->p_type != PT_NOTE)
			continue;
		if (file_read(f, notes, len, ph->p_offset))
			break;
		found = search_notes(notes, len, entry);
	}
	free(notes);
	if (!found)
		return complain("--kernel %s: an ELF file without PVH entry (CONFIG_PVH gives one)",
				f->path);
	if (*entry < MIB || *entry >= elf->end)
		return complain("--kernel %s: its PVH entry point %#llx lies outside it",
				f->path, *entry);
	return 0;
}

static int load_segments(const struct boot *boot, const struct elf *elf)
{
	for (unsigned int i = 0; i < elf->nr; i++) {
		const struct elf64_phdr *ph = &elf->ph[i];

		if (ph->p_type == PT_LOAD &&
		    file_load(&boot->kernel, ram_ptr(boot->ram, ph->p_paddr, ph->p_filesz),
			      ph->p_filesz, ph->p_offset))
			return -1;
	}
	return 0;
}

static void fill_start_page(const struct boot *boot)
{
	struct start_page *page = ram_ptr(boot->ram, START_INFO_ADDR, sizeof(*page));
	struct boot_e820_entry e820[RAM_MAX_E820];
	unsigned int nr = ram_e820(boot->ram, e820);

	memset(page, 0, sizeof(*page));
	page->info.magic = START_MAGIC;
	page->info.version = START_VERSION;
	page->info.cmdline_paddr = CMDLINE_ADDR;
	page->info.rsdp_paddr = boot->rsdp;
	page->info.memmap_paddr = START_INFO_ADDR + offsetof(struct start_page, memmap);
	page->info.memmap_entries = nr;
	for (unsigned int i = 0; i < nr; i++)
		page->memmap[i] = (struct memmap_entry){ e820[i].addr, e820[i].size,
							 e820[i].type, 0 };
	if (boot->initrd_size) {
		page->info.nr_modules = 1;
		page->info.modlist_paddr = START_INFO_ADDR + offsetof(struct start_page, initrd);
		page->initrd.paddr = boot->initrd_addr;
		page->initrd.size = boot->initrd_size;
	}
}

int pvh_load(struct boot *boot, struct lodge_vcpu_state *state)
{
	struct elf elf = { 0 };
	u64 entry;

	if (read_headers(&boot->kernel, &elf) ||
	    check_headers(boot, &elf) ||
	    find_entry(&boot->kernel, &elf, &entry) ||
	    boot_load_cmdline(boot, PVH_CMDLINE_MAX) ||
	    boot_load_initrd(boot, elf.end, PVH_INITRD_MAX) ||
	    load_segments(boot, &elf))
		return -1;

	fill_start_page(boot);
	entry_flat_mode(state, boot->ram, entry, START_INFO_ADDR);
	return 0;
}
