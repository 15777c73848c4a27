/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registers by which a guest switches itself off or restarts.
 */
#ifndef LODGE_POWER_H
#define LODGE_POWER_H

#include "bus.h"
#include "ram.h"

/**
 * struct power - the device
 * @off: called when the guest switches itself off
 * @restart: called when it restarts itself
 * @arg: for both
 */
struct power {
	void (*off)(void *arg);
	void (*restart)(void *arg);
	void *arg;
};

extern const struct bus_ops power_ops;

/**
 * power_install_reset_vector - put code that restarts the guest where a BIOS begins
 * @ram: the guest's memory
 */
void power_install_reset_vector(const struct ram *ram);

#endif /* LODGE_POWER_H */
