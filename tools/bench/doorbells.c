// SPDX-License-Identifier: GPL-2.0
/* Writes that signal an eventfd, and never come to the program. */
#include <sys/eventfd.h>

#include "bench.h"

#define PORT	0x1234

static void ring(struct machine *m, const struct doorbell *bell)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	require(fd >= 0);
	m->be->doorbell(m->vm, bell, fd);
}

#define DOORBELL(name, ...)						\
static void setup_##name(struct machine *m)				\
{									\
	static const struct doorbell bell = { __VA_ARGS__ };		\
									\
	ring(m, &bell);							\
}									\
struct bench_swallow_semicolon

/* What op_out() and op_mmio_write() write. */
DOORBELL(pio, .pio = true, .addr = PORT, .len = 4);
DOORBELL(pio_match, .pio = true, .match = true, .addr = PORT, .len = 4, .value = PORT);
DOORBELL(mmio, .addr = GPA_MMIO);
DOORBELL(mmio_match, .match = true, .addr = GPA_MMIO, .len = 4, .value = GPA_MMIO);

static inline void op_out(u64 port)
{
	port_out(port, port);
}

static inline void op_mmio_write(u64 addr)
{
	mmio_write(addr, addr);
}

static void time_out(u64 arg)
{
	irq_on();
	guest_measure(arg, op_out);
}

static void time_mmio_write(u64 arg)
{
	irq_on();
	guest_measure(arg, op_mmio_write);
}

#define PIO_CASE(name)							\
static const struct guest_case name##_case = {				\
	.guest = time_out,						\
	.setup = setup_##name,						\
	.job = { .arg = PORT, .batches = 101, .iterations = 20 },	\
	.per_op = { [COUNT_EXITS] = 1, [COUNT_IO] = 1 },		\
}

#define MMIO_CASE(name)							\
static const struct guest_case name##_case = {				\
	.guest = time_mmio_write,					\
	.setup = setup_##name,						\
	.job = { .arg = GPA_MMIO, .batches = 101, .iterations = 20 },	\
	.per_op = { [COUNT_EXITS] = 1, [COUNT_EPT] = 1 },		\
}

PIO_CASE(pio);
PIO_CASE(pio_match);
MMIO_CASE(mmio);
MMIO_CASE(mmio_match);

const struct bench doorbell_benches[] = {
	{ "ioeventfd_pio", "OUT that signals an eventfd", .guest = &pio_case },
	{ "ioeventfd_pio_match", "the same, of one value only", .guest = &pio_match_case },
	{ "ioeventfd_mmio", "write to memory, of any length, that does", .guest = &mmio_case },
	{ "ioeventfd_mmio_match", "the same, of 4 bytes of one value only",
	  .guest = &mmio_match_case },
	{}
};
