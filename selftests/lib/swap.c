// SPDX-License-Identifier: GPL-2.0
/* Memory pressure. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "host.h"
#include "swap.h"

#define SWAP_MIB	64
#define CGROUPS		"/sys/fs/cgroup"
#define CGROUP		CGROUPS "/lodge-selftest"

/* ------------------------------------------------------------------------- swap */

/* Block devices in memory. One that is in use already is not ours to take. */
static const struct ram_disk {
	const char *module;
	const char *load[5];
	const char *size_file;
	const char *device;
} ram_disks[] = {
	{ "brd", { "modprobe", "brd", "rd_nr=1", "rd_size=65536" }, NULL, "/dev/ram0" },
	{ "zram", { "modprobe", "zram", "num_devices=1" }, "/sys/block/zram0/disksize",
	  "/dev/zram0" },
};

static const struct ram_disk *our_disk;

static bool swap_in_use(void)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[256];
	int lines = 0;

	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	return lines > 1;	/* one is the heading */
}

/* What mkswap writes. */
static bool make_swap(const char *device)
{
	u8 page[PAGE_SIZE] = {};
	u32 info[2] = { 1, SWAP_MIB * 256 - 1 };	/* version, last page */
	int fd = open(device, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	memcpy(page + 1024, info, sizeof(info));
	memcpy(page + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	good = write(fd, page, sizeof(page)) == sizeof(page) && !fsync(fd);
	close(fd);
	return good;
}

static bool swap_on(const struct ram_disk *disk)
{
	if (module_loaded(disk->module) || run_command(disk->load))
		return false;
	if (disk->size_file && write_text(disk->size_file, "64M"))
		goto unload;
	if (make_swap(disk->device) && !swapon(disk->device, 0))
		return true;
unload:
	module_unload(disk->module);
	return false;
}

const char *swap_begin(void)
{
	size_t i;

	if (swap_in_use())
		return NULL;
	for (i = 0; i < sizeof(ram_disks) / sizeof(*ram_disks); i++) {
		if (swap_on(&ram_disks[i])) {
			our_disk = &ram_disks[i];
			return NULL;
		}
	}
	return "neither brd nor zram gives a swap area";
}

int swap_end(void)
{
	const struct ram_disk *disk = our_disk;

	if (!disk)
		return 0;
	our_disk = NULL;
	if (swapoff(disk->device))
		return -errno;
	module_unload(disk->module);
	return 0;
}

/* ------------------------------------------------------------------------- limit */

const char *limit_begin(void)
{
	if (write_text(CGROUPS "/cgroup.subtree_control", "+memory"))
		return "no memory controller";
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		return "cannot make a cgroup";
	if (write_text(CGROUP "/memory.max", "max") ||
	    write_text(CGROUP "/cgroup.procs", "0")) {
		rmdir(CGROUP);
		return "cannot use a cgroup";
	}
	return NULL;
}

int limit_set(u64 bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", bytes);
	return write_text(CGROUP "/memory.max", text);
}

void limit_end(void)
{
	write_text(CGROUPS "/cgroup.procs", "0");
	rmdir(CGROUP);
}

/* -------------------------------------------------------------------- statistics */

u64 vm_counter(const char *name)
{
	FILE *f = fopen("/proc/vmstat", "re");
	size_t len = strlen(name);
	char line[128];
	u64 value = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ' ')
			value = strtoull(line + len, NULL, 10);
	if (f)
		fclose(f);
	return value;
}

u64 mapped_kb(const void *start, u64 len, const char *field)
{
	u64 from = (uintptr_t)start, kb = 0;
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long low, high;
	bool inside = false;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
			inside = low >= from && high <= from + len;
		else if (inside && !strncmp(line, field, strlen(field)))
			kb += strtoull(line + strlen(field), NULL, 10);
	}
	if (f)
		fclose(f);
	return kb;
}
