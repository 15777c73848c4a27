/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtual machine: its VM, memory, devices and vCPUs, from power-on to the end.
 */
#ifndef LODGE_MACHINE_H
#define LODGE_MACHINE_H

#include <stdatomic.h>

#include "backend.h"
#include "bus.h"
#include "console.h"
#include "ioapic.h"
#include "layout.h"
#include "power.h"
#include "ram.h"
#include "rtc.h"
#include "serial.h"
#include "vcpu.h"

/* Why a machine came to its end. */
enum machine_end {
	END_NONE,		/* it runs */
	END_POWEROFF,
	END_REBOOT,
	END_QUIT,		/* by the user or a signal */
	END_TRIPLE_FAULT,
	END_UNHANDLED,
	END_FAIL_ENTRY,
	END_MEM_FAULT,
	END_HOST,		/* a call to the hypervisor failed */
};

/**
 * struct config - the options of "lodge run"
 * @kernel: --kernel
 * @initrd: --initrd, or NULL
 * @append: --append
 * @mem: --mem, in bytes
 * @cpus: --cpus
 * @backend: --backend
 * @stats: --stats
 */
struct config {
	const char *kernel;
	const char *initrd;
	const char *append;
	u64 mem;
	unsigned int cpus;
	const struct backend *backend;
	bool stats;
};

/**
 * struct machine - a virtual machine
 * @config: what the user wants
 * @console: where the serial port leads
 * @vm: the hypervisor's part of it
 * @wake: eventfd; readable when the main thread has something to look at
 * @end: enum machine_end, set once
 * @end_vcpu: the vCPU that ended it, NULL when none did
 * @ram: memory
 * @pio: devices by I/O port
 * @mmio: devices by address
 * @ioapic: device
 * @serial: device
 * @rtc: device
 * @power: device
 * @nr_vcpus: entries of @vcpu in use
 * @vcpu: the vCPUs
 */
struct machine {
	const struct config *config;
	struct console *console;
	struct vm *vm;
	int wake;
	atomic_int end;
	struct vcpu *end_vcpu;
	struct ram ram;
	struct bus pio;
	struct bus mmio;
	struct ioapic ioapic;
	struct serial serial;
	struct rtc rtc;
	struct power power;
	unsigned int nr_vcpus;
	struct vcpu vcpu[MAX_VCPUS];
};

/**
 * machine_create() - make a machine, loaded and ready to start
 * @m: filled in
 * @config: what the user wants
 * @console: where its serial port leads
 *
 * Return: 0, or -1 after a complaint; machine_destroy() is needed in both cases.
 */
int machine_create(struct machine *m, const struct config *config, struct console *console);

/**
 * machine_start() - start the vCPUs
 * @m: the machine
 *
 * Return: 0, or -1 after a complaint.
 */
int machine_start(struct machine *m);

/**
 * machine_feed() - give the guest what the console has read
 * @m: the machine
 */
void machine_feed(struct machine *m);

/**
 * machine_end() - bring the machine to its end; the first one to call decides
 * @m: the machine
 * @end: why
 * @v: the vCPU that calls, or NULL
 *
 * Does not wait: the vCPUs stop when the main thread calls machine_stop().
 */
void machine_end(struct machine *m, enum machine_end end, struct vcpu *v);

static inline bool machine_ended(struct machine *m)
{
	return atomic_load_explicit(&m->end, memory_order_relaxed) != END_NONE;
}

/**
 * machine_stop() - wait until no vCPU runs any more; they can still be looked at
 * @m: a machine that has come to its end
 */
void machine_stop(struct machine *m);

/**
 * machine_destroy() - let go of everything
 * @m: the machine, stopped
 */
void machine_destroy(struct machine *m);

#endif /* LODGE_MACHINE_H */
