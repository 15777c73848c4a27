// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual machine: puts VM, memory, devices and vCPUs together, starts and stops
 * them.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "acpi.h"
#include "boot.h"
#include "complain.h"
#include "entry.h"
#include "machine.h"

/* --- wires between the devices ---------------------------------------------- */

/* Nothing else wakes it: a write that fails, as any call may once, is done again. */
static void wake_main(struct machine *m)
{
	if (eventfd_write(m->wake, 1))
		eventfd_write(m->wake, 1);
}

static void send_msi(void *arg, u64 address, u32 data)
{
	struct machine *m = arg;

	m->vm->backend->send_msi(m->vm, address, data);
}

static void serial_irq(void *arg, bool high)
{
	struct machine *m = arg;

	ioapic_set_pin(&m->ioapic, COM1_PIN, high);
}

static void serial_send(void *arg, u8 byte)
{
	struct machine *m = arg;

	console_send(m->console, byte);
}

static void serial_ready(void *arg)
{
	wake_main(arg);
}

static void power_off(void *arg)
{
	machine_end(arg, END_POWEROFF, NULL);
}

static void power_restart(void *arg)
{
	machine_end(arg, END_REBOOT, NULL);
}

static int create_devices(struct machine *m)
{
	const struct serial_wires wires = { serial_irq, serial_send, serial_ready, m };

	ioapic_init(&m->ioapic, send_msi, m);
	serial_init(&m->serial, &wires);
	rtc_init(&m->rtc);
	m->power = (struct power){ power_off, power_restart, m };

	if (bus_add(&m->pio, RTC_PORT, RTC_PORTS, &rtc_ops, &m->rtc) ||
	    bus_add(&m->pio, COM1_PORT, COM1_PORTS, &serial_ops, &m->serial) ||
	    bus_add(&m->pio, POWER_PORT, POWER_PORTS, &power_ops, &m->power) ||
	    bus_add(&m->mmio, IOAPIC_ADDR, IOAPIC_SIZE, &ioapic_ops, &m->ioapic))
		return -1;
	return 0;
}

/* --- making one --------------------------------------------------------------- */

static int check_config(const struct machine *m)
{
	unsigned int max = m->vm->max_vcpus < MAX_VCPUS ? m->vm->max_vcpus : MAX_VCPUS;

	if (m->config->cpus > max)
		return complain("--cpus: at most %u are possible", max);
	return ram_check(m->config->mem, m->vm->gpa_bits);
}

static int create_vcpus(struct machine *m)
{
	while (m->nr_vcpus < m->config->cpus) {
		struct vcpu *v = &m->vcpu[m->nr_vcpus++];

		if (vcpu_create(v, m, v - m->vcpu))
			return -1;
	}
	return 0;
}

/* Fill the memory; leave vCPU 0 at the kernel's entry point. */
static int load(struct machine *m)
{
	struct boot boot = {
		.kernel_path = m->config->kernel,
		.initrd_path = m->config->initrd,
		.append = m->config->append,
		.ram = &m->ram,
	};
	const struct backend *backend = m->vm->backend;
	struct lodge_vcpu_state state;

	if (backend->get_state(&m->vcpu[0], &state, ENTRY_GROUPS))
		return complain("cannot read a vCPU's registers: %s", strerror(errno));
	if (acpi_build(&m->ram, m->nr_vcpus, &boot.rsdp) || boot_load(&boot, &state))
		return -1;
	power_install_reset_vector(&m->ram);
	return backend->set_state(&m->vcpu[0], &state, ENTRY_GROUPS);
}

int machine_create(struct machine *m, const struct config *config, struct console *console)
{
	memset(m, 0, sizeof(*m));
	m->config = config;
	m->console = console;
	m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->wake < 0)
		return complain("cannot make an eventfd: %s", strerror(errno));
	m->vm = config->backend->create();
	if (!m->vm ||
	    check_config(m) ||
	    ram_alloc(&m->ram, config->mem) ||
	    m->vm->backend->map_ram(m->vm, &m->ram) ||
	    create_devices(m) ||
	    create_vcpus(m))
		return -1;
	return load(m);
}

/* --- running --------------------------------------------------------------------- */

int machine_start(struct machine *m)
{
	console_release(m->console, false);
	for (unsigned int i = 0; i < m->nr_vcpus; i++)
		if (vcpu_start(&m->vcpu[i]))
			return -1;
	return 0;
}

void machine_feed(struct machine *m)
{
	struct console *c = m->console;
	unsigned int n;

	if (!c->in_len)
		return;
	n = serial_receive(&m->serial, &c->in[c->in_start], c->in_len);
	c->in_start += n;
	c->in_len -= n;
}

void machine_end(struct machine *m, enum machine_end end, struct vcpu *v)
{
	int none = END_NONE;

	if (!atomic_compare_exchange_strong(&m->end, &none, end))
		return;
	m->end_vcpu = v;
	wake_main(m);
}

void machine_stop(struct machine *m)
{
	console_release(m->console, true);
	for (unsigned int i = 0; i < m->nr_vcpus; i++)
		vcpu_kick(&m->vcpu[i]);
	for (unsigned int i = 0; i < m->nr_vcpus; i++)
		vcpu_join(&m->vcpu[i]);
}

void machine_destroy(struct machine *m)
{
	for (unsigned int i = 0; i < m->nr_vcpus; i++)
		vcpu_destroy(&m->vcpu[i]);
	if (m->vm)
		m->vm->backend->destroy(m->vm);
	if (m->wake >= 0)
		close(m->wake);
	ram_free(&m->ram);
}
