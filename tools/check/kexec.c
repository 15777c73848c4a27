// SPDX-License-Identifier: GPL-2.0
/*
 * kexec VMLINUX INITRD COMMANDLINE: load a kernel for "kexec -e"
 * kexec -p VMLINUX INITRD COMMANDLINE: load one for a panic
 * kexec -e: start the loaded kernel at once
 *
 * Debian's kexec does the same by way of a bzImage, its decompression, and a
 * checksum over everything: minutes on an emulated machine. Here the flat
 * vmlinux is put where it runs, with the few things around it that its 64-bit
 * entry wants (Documentation/x86/boot.rst).
 */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <asm/bootparam.h>
#include <linux/kexec.h>
#include <linux/reboot.h>

#define PAGE		4096UL
#define LARGE_PAGE	(2UL << 20)
#define ARRAY_SIZE(x)	(sizeof(x) / sizeof((x)[0]))
#define ALIGN(x, a)	(((x) + (a) - 1) & ~((a) - 1))
/* What the kernel takes behind its end before it reads its memory map. */
#define BRK_ROOM	(8UL << 20)

struct blob {
	char *data;
	size_t size;
};

static struct blob blob_read(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct blob blob;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	blob.size = st.st_size;
	blob.data = mmap(NULL, blob.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (blob.data == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return blob;
}

static struct blob blob_new(size_t size)
{
	struct blob blob = { .size = ALIGN(size, PAGE) };

	blob.data = mmap(NULL, blob.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (blob.data == MAP_FAILED)
		err(1, "no memory");
	return blob;
}

/* The kernel as it stands in memory, from its first byte to its last. */
static struct blob kernel_image(const char *path, unsigned long *start, unsigned long *entry)
{
	struct blob file = blob_read(path);
	const Elf64_Ehdr *head = (void *)file.data;
	const Elf64_Phdr *p = (void *)(file.data + head->e_phoff);
	unsigned long from = -1UL, to = 0;
	struct blob image;
	int i;

	if (memcmp(head->e_ident, ELFMAG, SELFMAG))
		errx(1, "%s is no ELF file", path);
	for (i = 0; i < head->e_phnum; i++) {
		if (p[i].p_type != PT_LOAD)
			continue;
		if (p[i].p_paddr < from)
			from = p[i].p_paddr;
		if (p[i].p_paddr + p[i].p_memsz > to)
			to = p[i].p_paddr + p[i].p_memsz;
	}
	image = blob_new(to - from);
	for (i = 0; i < head->e_phnum; i++)
		if (p[i].p_type == PT_LOAD)
			memcpy(image.data + p[i].p_paddr - from, file.data + p[i].p_offset,
			       p[i].p_filesz);
	*start = from;
	/* An ELF kernel's entry is a physical address. */
	*entry = head->e_entry - from;
	return image;
}

/* A line of /proc/iomem: where memory of that name is. */
static void find_memory(const char *name, unsigned long *start, unsigned long *end)
{
	FILE *f = fopen("/proc/iomem", "r");
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, name) && sscanf(line, " %lx-%lx", start, end) == 2) {
			fclose(f);
			return;
		}
	}
	errx(1, "no %s in /proc/iomem", name);
}

static const struct {
	const char *name;
	unsigned int type;
} memory_types[] = {
	{ "System RAM", 1 },
	{ "ACPI Tables", 3 },
	{ "ACPI Non-volatile Storage", 4 },
};

static void read_line(const char *dir, const char *name, char *text, size_t size)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f || !fgets(text, size, f))
		err(1, "%s", path);
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
}

static void add_memory(struct boot_params *bp, unsigned long start, unsigned long end,
		       unsigned int type)
{
	struct boot_e820_entry *e = &bp->e820_table[bp->e820_entries++];

	*e = (struct boot_e820_entry) { .addr = start, .size = end - start + 1, .type = type };
}

/* The firmware's map; with @only, what RAM there is above 1 MiB is left out. */
static void fill_memory_map(struct boot_params *bp, int only)
{
	char text[64];
	glob_t dirs;
	size_t i, t;

	if (glob("/sys/firmware/memmap/*", 0, NULL, &dirs))
		errx(1, "no /sys/firmware/memmap");
	for (i = 0; i < dirs.gl_pathc; i++) {
		unsigned long start, end;
		unsigned int type = 2;

		read_line(dirs.gl_pathv[i], "start", text, sizeof(text));
		start = strtoul(text, NULL, 16);
		read_line(dirs.gl_pathv[i], "end", text, sizeof(text));
		end = strtoul(text, NULL, 16);
		read_line(dirs.gl_pathv[i], "type", text, sizeof(text));
		for (t = 0; t < ARRAY_SIZE(memory_types); t++)
			if (!strcmp(text, memory_types[t].name))
				type = memory_types[t].type;
		if (!only || type != 1 || end < 1UL << 20)
			add_memory(bp, start, end, type);
	}
	globfree(&dirs);
}

static void fill_header(struct setup_header *h, unsigned long initrd, size_t initrd_size,
			unsigned long cmdline)
{
	h->vid_mode = 0xffff;
	h->boot_flag = 0xaa55;
	h->header = 0x53726448;		/* "HdrS" */
	h->version = 0x20c;
	h->type_of_loader = 0xff;
	h->loadflags = LOADED_HIGH;
	h->ramdisk_image = initrd;
	h->ramdisk_size = initrd_size;
	h->cmd_line_ptr = cmdline;
	h->kernel_alignment = LARGE_PAGE;
	h->cmdline_size = PAGE - 1;
}

/* mov $params, %rsi; mov $entry, %rax; jmp *%rax */
static void fill_code(char *code, unsigned long params, unsigned long entry)
{
	memcpy(code, "\x48\xbe", 2);
	memcpy(code + 2, &params, 8);
	memcpy(code + 10, "\x48\xb8", 2);
	memcpy(code + 12, &entry, 8);
	memcpy(code + 20, "\xff\xe0", 2);
}

static struct kexec_segment segment(struct blob blob, unsigned long where, size_t room)
{
	return (struct kexec_segment) {
		.buf = blob.data, .bufsz = blob.size,
		.mem = (void *)where, .memsz = ALIGN(room, PAGE),
	};
}

static void load(char **argv, int crash)
{
	unsigned long start, entry, kernel, end = 0, initrd, params;
	struct blob image = kernel_image(argv[0], &start, &entry);
	struct blob archive = blob_read(argv[1]);
	struct blob around = blob_new(3 * PAGE);	/* parameters, command line, code */
	struct boot_params *bp = (void *)around.data;
	struct kexec_segment segments[3];

	kernel = start;
	if (crash) {
		find_memory("Crash kernel", &kernel, &end);
		add_memory(bp, kernel, end, 1);
		kernel = ALIGN(kernel, LARGE_PAGE);
	}
	initrd = ALIGN(kernel + image.size + BRK_ROOM, LARGE_PAGE);
	params = ALIGN(initrd + archive.size, PAGE);

	fill_memory_map(bp, crash);
	fill_header(&bp->hdr, initrd, archive.size, params + PAGE);
	snprintf(around.data + PAGE, PAGE, "%s", argv[2]);
	fill_code(around.data + 2 * PAGE, params, kernel + entry);

	segments[0] = segment(image, kernel, image.size);
	segments[1] = segment(archive, initrd, archive.size);
	segments[2] = segment(around, params, around.size);
	if (syscall(SYS_kexec_load, params + 2 * PAGE, 3, segments,
		    KEXEC_ARCH_DEFAULT | (crash ? KEXEC_ON_CRASH : 0)))
		err(1, "kexec_load");
}

int main(int argc, char **argv)
{
	int crash = argc == 5 && !strcmp(argv[1], "-p");

	if (argc == 2 && !strcmp(argv[1], "-e")) {
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
		err(1, "kexec");
	}
	if (argc != 4 + crash)
		errx(2, "usage: kexec [-p] VMLINUX INITRD COMMANDLINE; kexec -e");
	load(argv + 1 + crash, crash);
	return 0;
}
