// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O APIC (Intel 82093AA, with the EOI register of its successors). An
 * interrupt leaves as a message to the local APICs, which live in the module.
 */
#include <string.h>

#include "ioapic.h"
#include "layout.h"

/* Memory-mapped registers, and what the index register selects. */
#define MMIO_SELECT	0x00
#define MMIO_WINDOW	0x10
#define MMIO_EOI	0x40
#define REG_ID		0x00
#define REG_VERSION	0x01
#define REG_ARBITRATION	0x02
#define REG_ENTRY	0x10		/* two registers each, low half first */

#define VERSION		0x20		/* the first with MMIO_EOI */

/* Redirection entry */
#define ENTRY_VECTOR	0xffULL
#define ENTRY_MODE	(7ULL << 8)
#define ENTRY_LOGICAL	BIT_ULL(11)
#define ENTRY_PENDING	BIT_ULL(12)	/* read-only; messages leave at once: 0 */
#define ENTRY_REMOTE	BIT_ULL(14)	/* read-only: sent, EOI not yet seen */
#define ENTRY_LEVEL	BIT_ULL(15)
#define ENTRY_MASKED	BIT_ULL(16)
#define ENTRY_WRITABLE	(0xff0000000001ffffULL & ~(ENTRY_PENDING | ENTRY_REMOTE))
#define ENTRY_DEST	56

/* The message (SDM 3A 11.11): its low 11 data bits are those of the entry. */
#define MSI_DEST	12
#define MSI_LOGICAL	BIT(2)
#define MSI_ASSERT	BIT(14)
#define MSI_LEVEL	BIT(15)

static void ioapic_send(struct ioapic *io, u64 entry)
{
	u64 address = LAPIC_ADDR | (entry >> ENTRY_DEST) << MSI_DEST;
	u32 data = entry & (ENTRY_VECTOR | ENTRY_MODE);

	if (entry & ENTRY_LOGICAL)
		address |= MSI_LOGICAL;
	if (entry & ENTRY_LEVEL)
		data |= MSI_LEVEL | MSI_ASSERT;
	io->send(io->arg, address, data);
}

/* A level-triggered pin: send while it is high and the last one is finished. */
static void ioapic_service_level(struct ioapic *io, unsigned int pin)
{
	u64 *entry = &io->entry[pin];

	if (!(*entry & ENTRY_LEVEL) || (*entry & (ENTRY_MASKED | ENTRY_REMOTE)))
		return;
	if (!(io->level & BIT(pin)))
		return;
	*entry |= ENTRY_REMOTE;
	ioapic_send(io, *entry);
}

void ioapic_set_pin(struct ioapic *io, unsigned int pin, bool high)
{
	bool was_high;

	pthread_mutex_lock(&io->lock);
	was_high = io->level & BIT(pin);
	if (high)
		io->level |= BIT(pin);
	else
		io->level &= ~(BIT(pin));
	if (io->entry[pin] & ENTRY_LEVEL)
		ioapic_service_level(io, pin);
	else if (high && !was_high && !(io->entry[pin] & ENTRY_MASKED))
		ioapic_send(io, io->entry[pin]);
	pthread_mutex_unlock(&io->lock);
}

static void eoi(struct ioapic *io, u8 vector)
{
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 *entry = &io->entry[pin];

		if (!(*entry & ENTRY_REMOTE) || (*entry & ENTRY_VECTOR) != vector)
			continue;
		*entry &= ~ENTRY_REMOTE;
		ioapic_service_level(io, pin);
	}
}

void ioapic_eoi(struct ioapic *io, u8 vector)
{
	pthread_mutex_lock(&io->lock);
	eoi(io, vector);
	pthread_mutex_unlock(&io->lock);
}

static u32 read_register(const struct ioapic *io)
{
	unsigned int pin = (io->select - REG_ENTRY) / 2;

	if (io->select == REG_VERSION)
		return VERSION | (IOAPIC_PINS - 1) << 16;
	if (io->select < REG_ENTRY || pin >= IOAPIC_PINS)
		return 0;		/* id and arbitration id, too, are 0 */
	return io->select & 1 ? io->entry[pin] >> 32 : io->entry[pin];
}

static void write_register(struct ioapic *io, u32 data)
{
	unsigned int pin = (io->select - REG_ENTRY) / 2;
	u64 old, new;

	if (io->select < REG_ENTRY || pin >= IOAPIC_PINS)
		return;
	old = io->entry[pin];
	if (io->select & 1)
		new = (u64)data << 32 | (u32)old;
	else
		new = (old & ~0xffffffffULL) | data;
	new = (new & ENTRY_WRITABLE) | (old & ~ENTRY_WRITABLE);
	/* Made edge triggered, an entry forgets that it waits for an EOI. */
	if (!(new & ENTRY_LEVEL))
		new &= ~ENTRY_REMOTE;
	io->entry[pin] = new;
	ioapic_service_level(io, pin);
}

static u64 ioapic_read(void *dev, u64 offset, unsigned int width __unused)
{
	struct ioapic *io = dev;
	u32 data = 0;

	pthread_mutex_lock(&io->lock);
	if (offset == MMIO_SELECT)
		data = io->select;
	else if (offset == MMIO_WINDOW)
		data = read_register(io);
	pthread_mutex_unlock(&io->lock);
	return data;
}

static void ioapic_write(void *dev, u64 offset, unsigned int width __unused, u64 data)
{
	struct ioapic *io = dev;

	pthread_mutex_lock(&io->lock);
	if (offset == MMIO_SELECT)
		io->select = data;
	else if (offset == MMIO_WINDOW)
		write_register(io, data);
	else if (offset == MMIO_EOI)
		eoi(io, data);
	pthread_mutex_unlock(&io->lock);
}

const struct bus_ops ioapic_ops = { 4, ioapic_read, ioapic_write };

void ioapic_init(struct ioapic *io, void (*send)(void *arg, u64 address, u32 data), void *arg)
{
	memset(io, 0, sizeof(*io));
	pthread_mutex_init(&io->lock, NULL);
	io->send = send;
	io->arg = arg;
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		io->entry[pin] = ENTRY_MASKED;
}
