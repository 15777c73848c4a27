// SPDX-License-Identifier: GPL-2.0
/*
 * The registers by which a guest switches itself off or restarts: ACPI's sleep
 * control and sleep status registers (ACPI 6.5, 4.8.3.7) and its reset register.
 * Where they are and what to write there the FADT tells. And the last way that is
 * left to a guest that does not use them: the BIOS's reset vector.
 */
#include <string.h>

#include "layout.h"
#include "power.h"

#define SLEEP_ENABLE		BIT(5)
#define SLEEP_TYPE(control)	((control) >> 2 & 7)

/* All read as zero: the status register's only bit says "woken from sleep". */
static u64 power_read(void *dev __unused, u64 offset __unused, unsigned int width __unused)
{
	return 0;
}

static void power_write(void *dev, u64 offset, unsigned int width __unused, u64 data)
{
	struct power *power = dev;

	if (offset == POWER_SLEEP_CONTROL && (data & SLEEP_ENABLE) &&
	    SLEEP_TYPE(data) == POWER_S5_TYPE)
		power->off(power->arg);
	else if (offset == POWER_RESET && data == POWER_RESET_VALUE)
		power->restart(power->arg);
}

const struct bus_ops power_ops = { 1, power_read, power_write };

/*
 * Linux believes a machine with reduced-hardware ACPI to be one with EFI, restarts
 * it by EFI's reset service, and finding none jumps in real mode to where a BIOS
 * begins after a reset (SDM vol. 3, 10.1.4): some instructions there do the rest.
 */
void power_install_reset_vector(const struct ram *ram)
{
	static const u8 code[] = {
		0xba, (POWER_PORT + POWER_RESET) & 0xff, (POWER_PORT + POWER_RESET) >> 8,
						/* mov dx, the reset register */
		0xb0, POWER_RESET_VALUE,	/* mov al, value */
		0xee,				/* out dx, al */
		0xfa,				/* cli */
		0xf4,				/* hlt */
		0xeb, 0xfd,			/* jmp back to the hlt */
	};

	memcpy(ram_ptr(ram, RESET_VECTOR_ADDR, sizeof(code)), code, sizeof(code));
}
