// SPDX-License-Identifier: GPL-2.0
/*
 * The serial port: a 16550A (National Semiconductor PC16550D). The line is
 * infinitely fast: a byte sent is gone at once, so the transmitter is always empty.
 */
#include <string.h>

#include "serial.h"

/* Registers; the first two are the divisor while LCR_DLAB is set. */
#define REG_DATA	0
#define REG_IER		1
#define REG_IIR		2		/* read */
#define REG_FCR		2		/* write */
#define REG_LCR		3
#define REG_MCR		4
#define REG_LSR		5
#define REG_MSR		6
#define REG_SCRATCH	7

#define IER_DATA	BIT(0)
#define IER_SENT	BIT(1)
#define IER_LINE	BIT(2)
#define IER_MODEM	BIT(3)

#define IIR_NONE	0x01
#define IIR_MODEM	0x00
#define IIR_SENT	0x02
#define IIR_DATA	0x04
#define IIR_LINE	0x06
#define IIR_TIMEOUT	0x0c
#define IIR_FIFO	0xc0

#define FCR_ENABLE	BIT(0)
#define FCR_CLEAR_RX	BIT(1)
#define FCR_TRIGGER(x)	((x) >> 6)

#define LCR_DLAB	BIT(7)

#define MCR_DTR		BIT(0)
#define MCR_RTS		BIT(1)
#define MCR_OUT1	BIT(2)
#define MCR_OUT2	BIT(3)
#define MCR_LOOP	BIT(4)
#define MCR_BITS	0x1f

#define LSR_DATA	BIT(0)
#define LSR_OVERRUN	BIT(1)
#define LSR_EMPTY	(BIT(5) | BIT(6))	/* holding register and shifter */

#define MSR_CTS		BIT(4)
#define MSR_DSR		BIT(5)
#define MSR_RI		BIT(6)
#define MSR_DCD		BIT(7)

static const u8 triggers[4] = { 1, 4, 8, 14 };

/* The highest of the interrupts that are due and enabled. */
static u8 pending(const struct serial *s)
{
	if ((s->ier & IER_LINE) && s->lsr_errors)
		return IIR_LINE;
	if ((s->ier & IER_DATA) && s->rx_len)
		return s->fifo_on && s->rx_len < s->trigger ? IIR_TIMEOUT : IIR_DATA;
	if ((s->ier & IER_SENT) && s->sent)
		return IIR_SENT;
	if ((s->ier & IER_MODEM) && s->msr_changes)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct serial *s)
{
	bool high = pending(s) != IIR_NONE;

	if (high == s->irq_high)
		return;
	s->irq_high = high;
	s->wires.irq(s->wires.arg, high);
}

static unsigned int rx_room(const struct serial *s)
{
	return (s->fifo_on ? SERIAL_FIFO : 1) - s->rx_len;
}

static bool listening(const struct serial *s)
{
	return (s->mcr & (MCR_RTS | MCR_LOOP)) == MCR_RTS;
}

static void rx_put(struct serial *s, u8 byte)
{
	if (!rx_room(s)) {
		s->lsr_errors |= LSR_OVERRUN;
		return;
	}
	s->rx[(s->rx_start + s->rx_len++) % SERIAL_FIFO] = byte;
}

static u8 rx_get(struct serial *s)
{
	u8 byte = s->rx[s->rx_start];

	if (s->rx_len) {
		s->rx_start = (s->rx_start + 1) % SERIAL_FIFO;
		s->rx_len--;
	}
	return byte;
}

/* Somebody has more to send, and now there is room. */
static void wake_sender(struct serial *s)
{
	if (!s->starved || s->rx_len || !listening(s))
		return;
	s->starved = false;
	s->wires.ready(s->wires.arg);
}

unsigned int serial_receive(struct serial *s, const u8 *bytes, unsigned int len)
{
	unsigned int n = 0;

	pthread_mutex_lock(&s->lock);
	if (listening(s))
		while (n < len && rx_room(s))
			rx_put(s, bytes[n++]);
	s->starved = n < len;
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* The modem's lines; in loopback they are the port's own outputs. */
static u8 modem_lines(const struct serial *s)
{
	u8 mcr = s->mcr;

	if (!(mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
	       (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct serial *s, u8 data)
{
	u8 old = modem_lines(s), changed;

	s->mcr = data & MCR_BITS;
	changed = old ^ modem_lines(s);
	/* Of the ring line only its end counts as a change. */
	if (!(old & MSR_RI))
		changed &= ~MSR_RI;
	s->msr_changes |= changed >> 4;
}

static void write_fcr(struct serial *s, u8 data)
{
	bool on = data & FCR_ENABLE;

	if (on != s->fifo_on || (on && (data & FCR_CLEAR_RX)))
		s->rx_len = 0;
	s->fifo_on = on;
	if (on)
		s->trigger = triggers[FCR_TRIGGER(data)];
}

static void write_ier(struct serial *s, u8 data)
{
	/* Enabled while the transmitter is empty: says so at once. */
	if ((data & IER_SENT) && !(s->ier & IER_SENT))
		s->sent = true;
	s->ier = data & (IER_DATA | IER_SENT | IER_LINE | IER_MODEM);
}

/* A byte written to the data register; if it went out, it has been sent already. */
static void write_data(struct serial *s, u8 data)
{
	if (s->mcr & MCR_LOOP)
		rx_put(s, data);
	/* Full, then empty again: the interrupt goes and comes back. */
	s->sent = false;
	update_irq(s);
	s->sent = true;
}

static void write_register(struct serial *s, unsigned int reg, u8 data)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			s->divisor = (s->divisor & 0xff00) | data;
		else
			write_data(s, data);
		break;
	case REG_IER:
		if (dlab)
			s->divisor = (s->divisor & 0x00ff) | data << 8;
		else
			write_ier(s, data);
		break;
	case REG_FCR:
		write_fcr(s, data);
		break;
	case REG_LCR:
		s->lcr = data;
		break;
	case REG_MCR:
		write_mcr(s, data);
		break;
	case REG_SCRATCH:
		s->scratch = data;
		break;
	}			/* line and modem status are read-only */
}

static void serial_write(void *dev, u64 offset, unsigned int width __unused, u64 data)
{
	struct serial *s = dev;

	/* Without the lock, for this may wait; see struct serial. */
	if (offset == REG_DATA && !(s->lcr & LCR_DLAB) && !(s->mcr & MCR_LOOP))
		s->wires.send(s->wires.arg, data);
	pthread_mutex_lock(&s->lock);
	write_register(s, offset, data);
	update_irq(s);
	wake_sender(s);
	pthread_mutex_unlock(&s->lock);
}

static u8 read_iir(struct serial *s)
{
	u8 iir = pending(s);

	if (iir == IIR_SENT)
		s->sent = false;		/* now the guest knows */
	return iir | (s->fifo_on ? IIR_FIFO : 0);
}

static u8 read_lsr(struct serial *s)
{
	u8 lsr = LSR_EMPTY | s->lsr_errors | (s->rx_len ? LSR_DATA : 0);

	s->lsr_errors = 0;
	return lsr;
}

static u8 read_msr(struct serial *s)
{
	u8 msr = modem_lines(s) | s->msr_changes;

	s->msr_changes = 0;
	return msr;
}

static u8 read_register(struct serial *s, unsigned int reg)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? s->divisor & 0xff : rx_get(s);
	case REG_IER:
		return dlab ? s->divisor >> 8 : s->ier;
	case REG_IIR:
		return read_iir(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return read_lsr(s);
	case REG_MSR:
		return read_msr(s);
	default:
		return s->scratch;
	}
}

static u64 serial_read(void *dev, u64 offset, unsigned int width __unused)
{
	struct serial *s = dev;
	u8 data;

	pthread_mutex_lock(&s->lock);
	data = read_register(s, offset);
	update_irq(s);
	wake_sender(s);
	pthread_mutex_unlock(&s->lock);
	return data;
}

const struct bus_ops serial_ops = { 1, serial_read, serial_write };

void serial_init(struct serial *s, const struct serial_wires *wires)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	s->wires = *wires;
	s->trigger = 1;
	s->divisor = 12;		/* 9600 baud */
}
