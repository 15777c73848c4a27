/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The I/O APIC: 24 interrupt pins, each with an entry that says which vCPUs get
 * which vector.
 */
#ifndef LODGE_IOAPIC_H
#define LODGE_IOAPIC_H

#include <pthread.h>

#include "bus.h"

#define IOAPIC_PINS	24

/**
 * struct ioapic - the device
 * @send: sends a message-signalled interrupt
 * @arg: for @send
 * @lock: guards what follows. A leaf: devices hold their own when they set a pin
 * @select: index register
 * @entry: redirection entries
 * @level: pins that are high, one bit each
 */
struct ioapic {
	void (*send)(void *arg, u64 address, u32 data);
	void *arg;
	pthread_mutex_t lock;
	u8 select;
	u64 entry[IOAPIC_PINS];
	u32 level;
};

extern const struct bus_ops ioapic_ops;

/**
 * ioapic_init() - put it into reset state
 * @io: the device
 * @send: how to send an interrupt message
 * @arg: passed to @send
 */
void ioapic_init(struct ioapic *io, void (*send)(void *arg, u64 address, u32 data), void *arg);

/**
 * ioapic_set_pin() - drive an interrupt pin
 * @io: the device
 * @pin: 0 to IOAPIC_PINS - 1
 * @high: is an interrupt wanted?
 */
void ioapic_set_pin(struct ioapic *io, unsigned int pin, bool high);

/**
 * ioapic_eoi() - a vCPU has acknowledged a level-triggered interrupt
 * @io: the device
 * @vector: its vector
 */
void ioapic_eoi(struct ioapic *io, u8 vector);

#endif /* LODGE_IOAPIC_H */
