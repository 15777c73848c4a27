/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An address space of devices: one for I/O ports, one for memory.
 */
#ifndef LODGE_BUS_H
#define LODGE_BUS_H

#include "types.h"

#define BUS_MAX_RANGES	32

/**
 * struct bus_ops - how a device answers
 * @max_width: widest access it takes, in bytes; wider ones are split
 * @read: value at @offset of its range
 * @write: write to @offset of its range
 */
struct bus_ops {
	unsigned int max_width;
	u64 (*read)(void *dev, u64 offset, unsigned int width);
	void (*write)(void *dev, u64 offset, unsigned int width, u64 data);
};

struct bus_range {
	u64 start;
	u64 len;
	const struct bus_ops *ops;
	void *dev;
};

/**
 * struct bus - devices by address
 * @nr: entries of @range in use
 * @range: sorted by start, never overlapping
 *
 * Filled before the first vCPU runs and constant from then on, hence no lock.
 */
struct bus {
	unsigned int nr;
	struct bus_range range[BUS_MAX_RANGES];
};

/**
 * bus_add() - give a range of addresses to a device
 * @bus: the address space
 * @start: first address
 * @len: number of addresses
 * @ops: how the device answers
 * @dev: passed to @ops
 *
 * Return: 0, or -1 after a complaint when the range is taken.
 */
int bus_add(struct bus *bus, u64 start, u64 len, const struct bus_ops *ops, void *dev);

/**
 * bus_read() - a read by the guest
 * @bus: the address space
 * @addr: address
 * @width: 1 to 8 bytes; KVM splits what crosses a page anywhere
 *
 * Return: the value; ones where no device answers.
 */
u64 bus_read(const struct bus *bus, u64 addr, unsigned int width);

/**
 * bus_write() - a write by the guest
 * @bus: the address space
 * @addr: address
 * @width: 1 to 8 bytes
 * @data: value
 *
 * Dropped where no device answers.
 */
void bus_write(const struct bus *bus, u64 addr, unsigned int width, u64 data);

#endif /* LODGE_BUS_H */
