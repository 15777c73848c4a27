// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory: ordinary anonymous memory of this process, which Linux provides
 * page by page as the guest touches it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "complain.h"
#include "layout.h"
#include "ram.h"

/* As guest-physical addresses, so that host and guest can use 2 MiB pages. */
#define RAM_ALIGN	(2 * MIB)

#define E820_USABLE	1
#define E820_RESERVED	2

/* The host's memory and swap in bytes; 0 when it does not say. */
static u64 host_memory(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib, sum = 0;
	char line[128];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemTotal: %llu kB", &kib) == 1 ||
		    sscanf(line, "SwapTotal: %llu kB", &kib) == 1)
			sum += kib * KIB;
	fclose(f);
	return sum;
}

/* vm.overcommit_memory: 0 guess, 1 always, 2 never. */
static int host_overcommit(void)
{
	FILE *f = fopen("/proc/sys/vm/overcommit_memory", "re");
	int mode = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &mode) != 1)
		mode = 0;
	fclose(f);
	return mode;
}

/*
 * Guest memory is mapped without reserving it, so Linux would let anything pass;
 * what it does with other memory is done here: more than all memory and swap
 * together needs the administrator's word.
 */
int ram_check(u64 size, unsigned int gpa_bits)
{
	u64 top = size > HOLE_START ? size + (HOLE_END - HOLE_START) : size;
	u64 host = host_memory();

	if (top > 1ULL << gpa_bits)
		return complain("--mem: %llu MiB is more than guests can address here (%u bits)",
				size / MIB, gpa_bits);
	if (host && size > host && host_overcommit() != 1)
		return complain("--mem: %llu MiB is more than the host's %llu MiB with swap (%s)",
				size / MIB, host / MIB,
				"'sysctl vm.overcommit_memory=1' allows it");
	return 0;
}

int ram_alloc(struct ram *ram, u64 size)
{
	u64 len = size + RAM_ALIGN, head;
	u8 *map;

	map = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return complain("--mem: the host does not give %llu MiB: %s", size / MIB,
				strerror(errno));

	head = align_up((uintptr_t)map, RAM_ALIGN) - (uintptr_t)map;
	if (head)
		munmap(map, head);
	munmap(map + head + size, len - head - size);

	ram->base = map + head;
	ram->size = size;
	ram->low = size < HOLE_START ? size : HOLE_START;
	/* A host without huge pages runs it all the same. */
	madvise(ram->base, size, MADV_HUGEPAGE);
	return 0;
}

void ram_free(struct ram *ram)
{
	if (ram->base)
		munmap(ram->base, ram->size);
	*ram = (struct ram){ 0 };
}

void *ram_ptr(const struct ram *ram, u64 gpa, u64 len)
{
	if (gpa < ram->low)
		return len <= ram->low - gpa ? ram->base + gpa : NULL;
	if (gpa < HOLE_END)
		return NULL;
	gpa -= HOLE_END;
	if (gpa < ram->size - ram->low && len <= ram->size - ram->low - gpa)
		return ram->base + ram->low + gpa;
	return NULL;
}

unsigned int ram_e820(const struct ram *ram, struct boot_e820_entry *map)
{
	unsigned int nr = 0;

	map[nr++] = (struct boot_e820_entry){ 0, RESERVED_ADDR, E820_USABLE };
	map[nr++] = (struct boot_e820_entry){ RESERVED_ADDR, MIB - RESERVED_ADDR, E820_RESERVED };
	map[nr++] = (struct boot_e820_entry){ MIB, ram->low - MIB, E820_USABLE };
	if (ram->size > ram->low)
		map[nr++] = (struct boot_e820_entry){ HOLE_END, ram->size - ram->low,
						      E820_USABLE };
	return nr;
}
