// SPDX-License-Identifier: GPL-2.0
/*
 * An address space of devices: finds who answers an access, and splits accesses
 * that are wider than a device.
 */
#include <string.h>

#include "bus.h"
#include "complain.h"

int bus_add(struct bus *bus, u64 start, u64 len, const struct bus_ops *ops, void *dev)
{
	unsigned int i;

	for (i = 0; i < bus->nr; i++)
		if (start < bus->range[i].start + bus->range[i].len)
			break;
	if (bus->nr == BUS_MAX_RANGES || (i < bus->nr && start + len > bus->range[i].start))
		return complain("no room for a device at address %#llx", start);

	memmove(&bus->range[i + 1], &bus->range[i], (bus->nr - i) * sizeof(bus->range[0]));
	bus->range[i] = (struct bus_range){ start, len, ops, dev };
	bus->nr++;
	return 0;
}

static const struct bus_range *bus_find(const struct bus *bus, u64 addr)
{
	unsigned int low = 0, high = bus->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct bus_range *r = &bus->range[mid];

		if (addr < r->start)
			high = mid;
		else if (addr - r->start >= r->len)
			low = mid + 1;
		else
			return r;
	}
	return NULL;
}

/* Does the device take the access as it is? */
static bool bus_fits(const struct bus_range *r, u64 addr, unsigned int width)
{
	return width <= r->ops->max_width && addr - r->start + width <= r->len;
}

static u64 ones(unsigned int width)
{
	return ~0ULL >> (64 - 8 * width);
}

u64 bus_read(const struct bus *bus, u64 addr, unsigned int width)
{
	const struct bus_range *r = bus_find(bus, addr);
	unsigned int low = width / 2;

	if (r && bus_fits(r, addr, width))
		return r->ops->read(r->dev, addr - r->start, width) & ones(width);
	if (!r || width == 1)
		return ones(width);
	return bus_read(bus, addr, low) | bus_read(bus, addr + low, width - low) << (8 * low);
}

void bus_write(const struct bus *bus, u64 addr, unsigned int width, u64 data)
{
	const struct bus_range *r = bus_find(bus, addr);
	unsigned int low = width / 2;

	if (r && bus_fits(r, addr, width)) {
		r->ops->write(r->dev, addr - r->start, width, data & ones(width));
	} else if (r && width > 1) {
		bus_write(bus, addr, low, data);
		bus_write(bus, addr + low, width - low, data >> (8 * low));
	}
}
