// SPDX-License-Identifier: GPL-2.0
/*
 * The registers by which a guest switches itself off or restarts: ACPI's sleep
 * control and sleep status registers (ACPI 6.5, 4.8.3.7) and its reset register.
 * Where they are and what to write there the FADT tells.
 */
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
