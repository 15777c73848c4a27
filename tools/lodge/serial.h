/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The serial port: a 16550A.
 */
#ifndef LODGE_SERIAL_H
#define LODGE_SERIAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "bus.h"

#define SERIAL_FIFO	16

/**
 * struct serial_wires - what the port is connected to
 * @irq: drives its interrupt pin
 * @send: takes a byte that the guest sends; may wait until there is room
 * @ready: the port takes bytes again, after serial_receive() took too few
 * @arg: for all three
 */
struct serial_wires {
	void (*irq)(void *arg, bool high);
	void (*send)(void *arg, u8 byte);
	void (*ready)(void *arg);
	void *arg;
};

/**
 * struct serial - the device
 * @wires: what it is connected to
 * @lock: guards what follows; not held while a byte is sent
 * @ier: interrupts enabled
 * @lcr: line control
 * @mcr: modem control
 * @lsr_errors: error bits of the line status, until read
 * @msr_changes: change bits of the modem status, until read
 * @scratch: scratch register
 * @divisor: baud rate divisor, of no effect
 * @fifo_on: FIFOs enabled
 * @trigger: received bytes that make the "data" interrupt, not the "timeout" one
 * @sent: the transmitter has run empty and the guest does not know yet
 * @irq_high: the interrupt pin as last driven
 * @starved: serial_receive() took too few bytes
 * @rx: received bytes
 * @rx_start: index of the oldest
 * @rx_len: how many
 */
struct serial {
	struct serial_wires wires;
	pthread_mutex_t lock;
	u8 ier;
	atomic_uchar lcr;
	atomic_uchar mcr;
	u8 lsr_errors;
	u8 msr_changes;
	u8 scratch;
	u16 divisor;
	bool fifo_on;
	u8 trigger;
	bool sent;
	bool irq_high;
	bool starved;
	u8 rx[SERIAL_FIFO];
	unsigned int rx_start;
	unsigned int rx_len;
};

extern const struct bus_ops serial_ops;

/**
 * serial_init() - put it into reset state
 * @s: the device
 * @wires: what it is connected to
 */
void serial_init(struct serial *s, const struct serial_wires *wires);

/**
 * serial_receive() - bytes arrive on the line
 * @s: the device
 * @bytes: the bytes
 * @len: how many
 *
 * The other end of the line minds RTS: nothing is taken before the guest's driver
 * is ready, so that what is typed early is not lost.
 *
 * Return: how many were taken; wires.ready is called later if not all were.
 */
unsigned int serial_receive(struct serial *s, const u8 *bytes, unsigned int len);

#endif /* LODGE_SERIAL_H */
